"""Popen: the standard library's, for a command that runs on an agent."""
from __future__ import absolute_import, division, print_function

import os
import pickle
import signal
import warnings

import six

from .._compat import (DEFAULT_BUFSIZE, DEFAULT_CLOSE_FDS, class_getitem, fsencode, monotonic, text_encoding,
                       warn_unfinished)
from ..errors import UsageError
from ..utils import decode_data
from .communicate import Conversation, write_all
from .errors import SubprocessError, TaskLost, TimeoutExpired
from .files import Attention, Ends
from .request import Request, make_spec

__all__ = ['Popen']

#: Seconds that the first Ctrl-C gives a command to end by itself, as the standard library does.
INTERRUPT_PATIENCE = 0.25

#: The standard library's arguments that are only taken by name, and their defaults.
_BY_NAME = {'user': None, 'group': None, 'extra_groups': None, 'encoding': None, 'errors': None, 'text': None,
            'umask': -1, 'pipesize': -1, 'process_group': None}

#: Ours, of :class:`~.request.Request`.
_REQUESTED = frozenset(Request._fields) - {'preexec'}


def default_cluster():
    """The cluster of the program; see :func:`pymesos.subprocess.cluster.default`."""
    from . import cluster           # with its drivers: only who runs something needs them
    return cluster.default()


class Popen(object):
    """Run a command on an agent of the cluster, and be to the program what the standard library's Popen is.

    The constructor returns when the command runs. All arguments of the newest Python's Popen are taken on every
    Python, with the same meaning; on 2.7 with 2.7's defaults (``bufsize=0``, ``close_fds=False``, files of bytes).
    Of them these are different, for the command runs elsewhere:

    * without `cwd` it runs in the program's folder if the agent has it, else in the task's sandbox; without `env` it
      has the program's environment;
    * `user`, `group` and `extra_groups` are looked up on the agent;
    * `preexec_fn` is pickled (with cloudpickle if it is installed) and called there;
    * a stream that is None, a descriptor or a file is copied to and fro by the program; the program's own standard
      input only while a thread waits for the command, or (not on 2.7) reads what it writes;
    * `pass_fds` is a ValueError, ``close_fds=False`` a RuntimeWarning (not on 2.7, where it is the default): no
      descriptor reaches another machine. `startupinfo` and `creationflags` are a ValueError as on every POSIX.

    And by name: `cpus, mem, gpus, disk, role, constraints, image, uris, name, labels, max_retries, start_timeout`, see
    :class:`~pymesos.subprocess.request.Request`, and `cluster`, the :class:`~pymesos.subprocess.cluster.Cluster` that
    runs it (default: the program's).

    Raises what the standard library's does when the command cannot be started (FileNotFoundError, PermissionError
    ... with ``remote_traceback``, the text of the traceback on the agent); :class:`~.errors.StartTimeout` if it did not
    run within `start_timeout` seconds; :class:`~.errors.StartFailed` if no agent can hold it or Mesos refused it;
    :class:`~.errors.TaskLost` if it was lost on the way.

    Attributes: `args`, `pid` (on the agent), `returncode`, `stdin`, `stdout`, `stderr`; `hostname`, `agent_id`,
    `task_id`, `state`. All methods may be called from any thread; those of another process than the one that made it,
    such as a forked child, raise :class:`UsageError`.
    """

    # What __del__ finds if the constructor raised.
    _child_created = False

    def __init__(self, args, bufsize=DEFAULT_BUFSIZE, executable=None, stdin=None, stdout=None, stderr=None,
                 preexec_fn=None, close_fds=DEFAULT_CLOSE_FDS, shell=False, cwd=None, env=None,
                 universal_newlines=None, startupinfo=None, creationflags=0, restore_signals=True,
                 start_new_session=False, pass_fds=(), **options):
        named, wanted, cluster = _sort_options(options)
        bufsize, pipesize = _check_sizes(bufsize, named.pop('pipesize'))
        _check_possible(close_fds, pass_fds, startupinfo, creationflags)
        self._set_attributes(args, named, universal_newlines, pipesize)
        ends = Ends(stdin, stdout, stderr)
        spec = make_spec(args, executable=executable, shell=shell, cwd=cwd, env=env, restore_signals=restore_signals,
                         start_new_session=start_new_session, has_preexec=preexec_fn is not None,
                         **dict(named, **ends.modes))
        if preexec_fn is not None:
            wanted['preexec'] = _pickled(preexec_fn)
        wanted = Request(**wanted)
        try:
            ends.open(pipesize)
            self.stdin, self.stdout, self.stderr = ends.files(bufsize, self.encoding, self.errors, self.text_mode,
                                                              self._attention)
            self._execute_child(cluster, wanted, spec, ends)
        except BaseException as error:
            self._close_files()
            _name_as_given(error, spec, cwd, executable or args)
            raise
        finally:
            ends.close()

    def _set_attributes(self, args, named, universal_newlines, pipesize):
        text, self.encoding, self.errors = named.pop('text'), named.pop('encoding'), named.pop('errors')
        if text is not None and universal_newlines is not None and bool(text) != bool(universal_newlines):
            raise SubprocessError('text and universal_newlines mean the same: they cannot be %r and %r'
                                  % (text, universal_newlines))
        self.text_mode = bool(self.encoding or self.errors or text or universal_newlines)
        if self.text_mode and self.encoding is None:
            self.encoding = text_encoding()
        self.args = args
        self.pipesize = pipesize
        self.stdin = self.stdout = self.stderr = None
        self.pid = self.returncode = None
        self._owner = os.getpid()
        self._remote = None
        self._is_lost = False
        self._conversation = None
        self._sigint_wait_secs = INTERRUPT_PATIENCE
        self._attention = Attention()

    def _execute_child(self, cluster, wanted, spec, ends):
        cluster = default_cluster() if cluster is None else cluster
        remote = cluster.launch(wanted, spec, ends.hand_over())
        try:
            remote.wait_started()
        except BaseException:           # KeyboardInterrupt: what was not begun must not begin later
            remote.cancel()
            raise
        self._remote = remote
        if ends.is_stdin_inherited:
            self._attention.turn_to(remote)
        self._child_created = True
        self.pid = remote.pid

    # ------------------------------------------------------------ what it is

    def __repr__(self):
        text = '<%s: returncode: %s args: %r>' % (type(self).__name__, self.returncode, self.args)
        return text if len(text) <= 80 else text[:76] + '...>'

    if class_getitem is not None:
        __class_getitem__ = class_getitem

    @property
    def universal_newlines(self):
        """The same as `text_mode`: whether the files are text."""
        return self.text_mode

    @universal_newlines.setter
    def universal_newlines(self, value):
        self.text_mode = bool(value)

    @property
    def hostname(self):
        """The name of the agent's host, or None."""
        return getattr(self._remote, 'hostname', None)

    @property
    def agent_id(self):
        """The agent's id, text, or None."""
        return getattr(self._remote, 'agent_id', None)

    @property
    def task_id(self):
        """The task's id, text, or None."""
        return getattr(self._remote, 'task_id', None)

    @property
    def state(self):
        """The task's state, such as ``'TASK_RUNNING'``, or None."""
        return getattr(self._remote, 'state', None)

    # ------------------------------------------------------------ life

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        for stream in (self.stdout, self.stderr):
            if stream:
                stream.close()
        try:
            if self.stdin:
                self.stdin.close()      # may raise: it flushes
        finally:
            if kind is not None and issubclass(kind, KeyboardInterrupt):
                if self._sigint_wait_secs > 0:
                    self._wait_after_interrupt(None)
            elif kind is None or not issubclass(kind, TaskLost):
                self.wait()

    def __del__(self, getpid=os.getpid, warn=warn_unfinished):
        # The command goes on; the cluster, which knows nothing of this object, forgets it when it ends.
        if self._child_created and self.returncode is None and not self._is_lost and self._owner == getpid():
            warn('subprocess %s is still running' % self.pid, self)

    def poll(self):
        """The return code, or None while the command runs; TaskLost if it will never be known."""
        if self.returncode is None and self._of_remote().wait(0):
            self._settle()
        return self.returncode

    def wait(self, timeout=None):
        """Wait until the command has ended, and what it wrote to what is no pipe is written; returns the return code.

        Raises :class:`TimeoutExpired` after `timeout` seconds, and :class:`~.errors.TaskLost`.
        """
        deadline = _deadline(timeout)
        try:
            return self._wait(timeout=timeout)
        except KeyboardInterrupt:
            self._wait_after_interrupt(deadline)
            raise

    def _wait(self, timeout):
        if self.returncode is None:
            with self._attention:
                has_ended = self._of_remote().wait(timeout)
            if not has_ended:
                raise TimeoutExpired(self.args, timeout)
            self._settle()
        return self.returncode

    def _wait_after_interrupt(self, deadline):
        """Give the command, once, a moment to end: it may have been interrupted as well."""
        patience = self._sigint_wait_secs
        self._sigint_wait_secs = 0
        if deadline is not None:
            patience = max(0, min(patience, deadline - monotonic()))
        try:
            self._wait(timeout=patience)
        except SubprocessError:
            pass                        # still running, or lost: the caller hears of the interrupt

    def _settle(self):
        error = self._remote.error
        if error is not None:
            self._is_lost = True
            # Another object each time: an exception collects the tracebacks of all who raise it.
            raise pickle.loads(pickle.dumps(error))
        self.returncode = self._remote.returncode

    def _of_remote(self):
        if self._owner != os.getpid():
            raise UsageError('this Popen belongs to process %d, of which this one, %d, is a fork'
                             % (self._owner, os.getpid()))
        if self._remote is None:
            raise UsageError('this Popen has not run anything')
        return self._remote

    def send_signal(self, sig):
        """Send a signal to the command's process; to one that has ended, nothing happens."""
        try:
            self.poll()
        except TaskLost:
            return
        if self.returncode is None:
            self._of_remote().send_signal(int(sig))

    def terminate(self):
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self):
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def cancel(self):
        """Have Mesos kill the command and its whole process group: SIGTERM, a grace, SIGKILL. Does not wait."""
        self._of_remote().cancel()

    # ------------------------------------------------------------ conversation

    def communicate(self, input=None, timeout=None):
        """Write `input`, gather what comes until all is closed, wait; returns (stdout, stderr), None for no pipe.

        After a :class:`TimeoutExpired`, which has what came so far, it can be called again (without input) and loses
        nothing.
        """
        if self._conversation is not None and input:
            raise ValueError('Cannot send input after starting communication')
        deadline = _deadline(timeout)
        pipes = [stream for stream in (self.stdin, self.stdout, self.stderr) if stream]
        try:
            with self._attention:
                if timeout is None and self._conversation is None and len(pipes) <= 1:
                    result = self._communicate_by_one(input)
                else:
                    result = self._communicate(input, deadline, timeout)
        except KeyboardInterrupt:
            self._wait_after_interrupt(deadline)
            raise
        self.wait(timeout=None if deadline is None else max(0, deadline - monotonic()))
        return result

    def _communicate_by_one(self, data):
        """With one pipe at most nothing has to be done side by side."""
        if self.stdin:
            write_all(self.stdin, data)
        gathered = []
        for stream in (self.stdout, self.stderr):
            gathered.append(stream.read() if stream else None)
            if stream:
                stream.close()
        return tuple(gathered)

    def _communicate(self, data, deadline, timeout):
        if self._conversation is None:
            self._conversation = Conversation(self.stdin, self.stdout, self.stderr, data, self.text_mode)
        if not self._conversation.go_on(deadline):
            stdout, stderr = self._conversation.gathered()
            raise TimeoutExpired(self.args, timeout, output=stdout or None, stderr=stderr or None)
        return self._conversation.result()

    def _close_files(self):
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream:
                try:
                    stream.close()
                except (OSError, IOError):
                    pass                # what was written to it has no reader


def _deadline(timeout):
    return None if timeout is None else monotonic() + timeout


def _sort_options(options):
    """Arguments taken by name: (the standard library's with their defaults, ours, the cluster)."""
    cluster = options.pop('cluster', None)
    unknown = set(options) - set(_BY_NAME) - _REQUESTED
    if unknown:
        raise TypeError('__init__() got an unexpected keyword argument %r' % sorted(unknown)[0])
    named = dict((name, options.get(name, _BY_NAME[name])) for name in _BY_NAME)
    return named, dict((name, options[name]) for name in options if name in _REQUESTED), cluster


def _check_sizes(bufsize, pipesize):
    checked = []
    for name, size, default in (('bufsize', bufsize, DEFAULT_BUFSIZE), ('pipesize', pipesize, -1)):
        size = default if size is None else size
        if not isinstance(size, six.integer_types):
            raise TypeError('%s must be an integer' % name)
        checked.append(size)
    return checked


def _check_possible(close_fds, pass_fds, startupinfo, creationflags):
    """Refuse what cannot work here, and warn of what will not."""
    for name, value in (('startupinfo', startupinfo), ('creationflags', creationflags or None)):
        if value is not None:
            raise ValueError('%s is only supported on Windows platforms' % name)
    if pass_fds:
        raise ValueError('pass_fds: no descriptor of this program can be passed to a command on another machine')
    if DEFAULT_CLOSE_FDS and not close_fds:
        warnings.warn('close_fds=False: a command on another machine inherits no descriptor of this program',
                      RuntimeWarning, stacklevel=3)


def _pickled(preexec_fn):
    """`preexec_fn` as the executor takes it: bytes."""
    try:
        import cloudpickle as pickler
    except ImportError:
        pickler = pickle
    try:
        # The oldest that both ends can have in common.
        return pickler.dumps(preexec_fn, 2)
    except Exception as error:          # user code runs in there
        raise UsageError('preexec_fn %r cannot be pickled, to be called on the agent: %s%s' % (
            preexec_fn, error, '' if pickler is not pickle else '; with cloudpickle installed more can'))


def _name_as_given(error, spec, cwd, program):
    """Let the filename of an OSError of the agent be what the caller has called it."""
    filename = getattr(error, 'filename', None)
    if not filename or not hasattr(error, 'remote_traceback'):
        return
    filename = fsencode(filename)
    if cwd is not None and spec['cwd'] is not None and filename == decode_data(spec['cwd']):
        error.filename = cwd
        return
    program = program if isinstance(program, (bytes, six.text_type)) or hasattr(program, '__fspath__') else program[0]
    if filename == fsencode(program):
        error.filename = program

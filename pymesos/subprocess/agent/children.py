"""The commands of an executor as processes: starts them, hears of their ends, signals them and their groups."""
from __future__ import absolute_import, division, print_function

import errno
import logging
import os
import signal

from ..._compat import close_on_exec, pipe, selectors, socket_errors
from .spawn import NotStarted, describe, spawn

__all__ = ['Child', 'Children', 'SignalWatch']

#: Seconds between two looks at groups that outlive their commands: a number that was given back must not be kept.
PRUNE_EVERY = 10.0

_RELEASE, _POKE = b'!', b'.'

#: What Python 3 writes for SIGCHLD.
_CHILD_BYTE = bytes(bytearray([signal.SIGCHLD]))

logger = logging.getLogger(__name__)


class SignalWatch(object):
    """Wakes a loop when a child ends, and lets handlers of signals run while the main thread waits.

    To be made, and closed, on the main thread, where `handlers` (number: function) run as well. SIGCHLD, and whatever
    else comes, writes to a pipe whose `reader` a loop watches: it says no more than that there may be something to see.
    """

    def __init__(self, handlers=()):
        self.reader, self._writer = pipe()
        self._waits, self._releases = (close_on_exec(end) for end in os.pipe())
        handlers = dict(handlers)
        # 2.7 writes nothing for a signal that comes before the handlers of the one before have run: this does.
        handlers.setdefault(signal.SIGCHLD, lambda _number, _frame: self._ring())
        # Calls of the system are interrupted, or a main thread that waits in one would never run a handler. On 2.7,
        # which does not repeat them, that is its business alone: the kernel prefers the main thread.
        self._before = dict((number, signal.signal(number, handlers[number])) for number in handlers)
        self._descriptor_before = signal.set_wakeup_fd(self._writer)

    def hush(self):
        """Empty the pipe. For the loop."""
        seen = b''
        try:
            while True:
                seen += os.read(self.reader, 4096)
        except socket_errors as error:
            if error.errno not in (errno.EAGAIN, errno.EINTR):
                raise
        # The kernel may have given the signal to another thread than the main one, which then does not know that it has
        # handlers to run. What 3 writes is the number of the signal, and SIGCHLD's handler has nothing to do there.
        if seen.strip(_CHILD_BYTE):
            os.write(self._releases, _POKE)

    def wait(self):
        """Wait for :meth:`release`, and let handlers run meanwhile. For the main thread."""
        heard = b''
        while _RELEASE not in heard:
            try:
                heard = os.read(self._waits, 4096)
            except OSError as error:
                if error.errno != errno.EINTR:      # 2.7: a handler has run
                    raise

    def release(self):
        """End :meth:`wait`. From any thread, and from handlers."""
        os.write(self._releases, _RELEASE)

    def close(self):
        """Put the handlers back that were there before."""
        signal.set_wakeup_fd(self._descriptor_before)
        for number in self._before:
            signal.signal(number, self._before[number])
        for end in (self.reader, self._writer, self._waits, self._releases):
            os.close(end)

    def _ring(self):
        try:
            os.write(self._writer, _CHILD_BYTE)
        except socket_errors:           # full: it rings already
            return


class Child(object):
    """A command, from the order to start it to its end. For the loop's thread.

    Its `listener` hears ``opened(child)`` first; then ``started(child)`` or ``not_started(child, fields)`` (the members
    of NOT_STARTED); then, if it was started, ``ended(child)``. `stdin`, `stdout` and `stderr` are our ends of its
    pipes, None where there is none; from ``opened`` on, which always comes, they are the listener's.
    """

    __slots__ = ('_listener', '_report', 'group', 'pid', 'returncode', 'stderr', 'stdin', 'stdout')

    def __init__(self, listener):
        self._listener = listener
        self._report = None
        self.pid = None
        #: The process group that it leads, None if it leads none.
        self.group = None
        #: What its end was: the exit status, negative for a signal; None while it runs.
        self.returncode = None
        self.stdin = self.stdout = self.stderr = None

    def signal(self, number):
        """Send a signal to the process, as long as it has not ended."""
        # A pid is not given to another process before we have waited for it, which happens on this thread.
        if self.returncode is None and self.pid is not None:
            _send(os.kill, self.pid, number)

    def kill(self, number):
        """Send a signal to all of its group, what it has left behind as well; to the process where it leads none."""
        if self.group is not None:
            _send(os.killpg, self.group, number)
        else:
            self.signal(number)


class Children(object):
    """All children of this process: it waits for everything that ends, whoever has started it.

    `watch` is the :class:`SignalWatch`. Between :meth:`open` and :meth:`close`, all on the thread of `loop`
    (:class:`pymesos.serving.loop.Loop`).
    """

    def __init__(self, loop, watch):
        self._loop = loop
        self._watch = watch
        self._running = {}              # pid: Child
        self._starting = {}             # the same of those that have not executed their program yet
        self._failed = set()            # pids of those that could not, and are about to end
        self._left = set()              # groups that outlived their leaders
        self._prune_timer = None
        self.null = None

    def open(self):
        """Begin to wait for children."""
        self.null = close_on_exec(os.open(os.devnull, os.O_RDWR))
        self._loop.watch(self._watch.reader, 0, selectors.EVENT_READ, self._woken)

    def close(self):
        """Wait for nobody any more; what runs is left running."""
        if self.null is not None:
            self._loop.watch(self._watch.reader, selectors.EVENT_READ, 0, None)
            os.close(self.null)
            self.null = None
        if self._prune_timer is not None:
            self._prune_timer.cancel()

    def __len__(self):
        """How many there are, in whatever state."""
        return len(self._running) + len(self._starting) + len(self._failed)

    @property
    def has_left_over(self):
        """Whether there are processes in the group of a command that has ended."""
        self._prune()
        return bool(self._left)

    def start(self, spec, code, listener):
        """Start the command of a START message (dict); the :class:`Child`.

        `code` is its pickled ``preexec_fn`` or None. `listener` hears of what happens, at once or later.
        """
        child, stdio = Child(listener), _Stdio(self.null)
        try:
            failure = stdio.open(spec, child)
            listener.opened(child)
            if failure is None:
                failure = self._spawn(child, spec, code, stdio.descriptors)
        finally:
            stdio.close()
        if child._report is None:
            self._was_started(child, failure)
        else:
            self._starting[child.pid] = child
            self._loop.watch(child._report.reader, 0, selectors.EVENT_READ, lambda _events: self._listen(child))
        return child

    def kill_all(self, number):
        """Send a signal to the groups of all commands, those that have ended as well."""
        for child in list(self._running.values()) + list(self._starting.values()):
            child.kill(number)
        self.kill_left_over(number)

    def kill_left_over(self, number):
        """Send a signal to the groups of commands that have ended."""
        self._prune()
        for group in self._left:
            _send(os.killpg, group, number)

    @staticmethod
    def _spawn(child, spec, code, stdio):
        """Start it; the members of NOT_STARTED, None if it was started or is on its way."""
        try:
            child.pid, child._report = spawn(spec, code, stdio)
        except NotStarted as error:
            return error.fields
        return None

    def _listen(self, child):
        """A fork tells of a failure, or executes its program, or has ended."""
        # (None: its end was heard of before, in the same turn.)
        if child._report is not None and child._report.listen():
            self._conclude(child)

    def _conclude(self, child):
        del self._starting[child.pid]
        self._loop.watch(child._report.reader, selectors.EVENT_READ, 0, None)
        failure = child._report.failure()
        child._report.close()
        child._report = None
        self._was_started(child, failure)

    def _was_started(self, child, failure):
        if failure is not None:
            if child.pid is not None:
                self._failed.add(child.pid)
                child.pid = None
            child._listener.not_started(child, failure)
            return
        self._running[child.pid] = child
        child.group = child.pid if _leads_a_group(child.pid) else None
        child._listener.started(child)

    # ---- ends

    def _woken(self, _events):
        self._watch.hush()
        self._reap()

    def _reap(self):
        is_done = False
        try:
            ended = _wait()
            while ended:
                self._has_ended(*ended)
                ended = _wait()
            is_done = True
        finally:
            if not is_done:             # a listener has raised; there may be more, and no signal for them
                self._loop.order(self._reap)

    def _has_ended(self, pid, status):
        if pid in self._starting:
            # It was ended before it could execute its program; or what it has told was not heard yet.
            self._starting[pid]._report.listen()
            self._conclude(self._starting[pid])
        self._failed.discard(pid)
        child = self._running.pop(pid, None)
        if child is None:
            logger.debug('waited for process %d, which was nobody\'s', pid)
            return
        child.returncode = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        if child.group is not None and _is_there(child.group):
            self._left.add(child.group)
            if self._prune_timer is None or not self._prune_timer.is_pending:
                self._prune_timer = self._loop.call_later(PRUNE_EVERY, self._prune_again)
        else:
            child.group = None
        child._listener.ended(child)

    def _prune(self):
        self._left = set(group for group in self._left if _is_there(group))

    def _prune_again(self):
        self._prune()
        if self._left:
            self._prune_timer = self._loop.call_later(PRUNE_EVERY, self._prune_again)


class _Stdio(object):
    """The standard streams as a child gets them. `null` is a descriptor of the null device."""

    def __init__(self, null):
        self._null = null
        self._pipes = []
        #: For stdin, stdout, stderr.
        self.descriptors = []

    def open(self, spec, child):
        """Make what START asks for, and give our ends to the child; the members of NOT_STARTED if that cannot be."""
        try:
            for name, ours in (('stdin', 1), ('stdout', 0), ('stderr', 0)):
                self.descriptors.append(self._make(spec.get(name), name, ours, child))
        except OSError as error:        # no more descriptors
            return describe(error)
        return None

    def _make(self, kind, name, ours, child):
        if kind != 'pipe':
            return self.descriptors[1] if kind == 'stdout' else self._null
        ends = os.pipe()
        for end in ends:
            close_on_exec(end)
        setattr(child, name, ends[ours])
        self._pipes.append(ends[1 - ours])
        return ends[1 - ours]

    def close(self):
        """The child has its own by now."""
        for descriptor in self._pipes:
            os.close(descriptor)


def _wait():
    """(pid, status) of a child that has ended, None if there is none."""
    try:
        pid, status = os.waitpid(-1, os.WNOHANG)
    except OSError as error:
        if error.errno != errno.ECHILD:
            raise
        return None
    return (pid, status) if pid else None


def _leads_a_group(pid):
    try:
        return os.getpgid(pid) == pid
    except OSError:                     # it was waited for already: a fork that did not execute its program
        return _is_there(pid)


def _is_there(group):
    """Whether a process group has members. Its number is given to nobody else as long as it has.

    In between it may be given away, to a process of another program that then gets our signal at shutdown: it would
    have to happen within PRUNE_EVERY, in which the system goes through all other numbers first.
    """
    try:
        os.killpg(group, 0)
    except OSError as error:
        return error.errno == errno.EPERM
    return True


def _send(function, target, number):
    try:
        function(target, number)
    except OSError as error:            # gone; or somebody else's by now, as after a setuid program
        logger.debug('cannot send signal %d to %d: %s', number, target, error)

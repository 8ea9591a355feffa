"""Starts the processes of containers and tells how they end: the host's side. The processes belong to a keeper.

The keeper (:mod:`pymesos.local.keeper`) is a child process without threads that forks, reaps and kills; when the host
ends, however it ends, the keeper kills all that it started, removes what it was told to and ends too.

A container is named by a text that its owner chooses. What it is to be is told by a `spec`, a dict:

=============  ==================================================================================================
``command``    CommandInfo; only `shell`, `value` and `arguments` are looked at (PROTOCOL 5.3). Required.
``environment``  {name: text}: all that the process gets, nothing is inherited. Default {}.
``directory``  Absolute path of the sandbox. Made with its parents if it is not there, and given to `user`. Required.
``root``       The part of `directory` that is trusted: below it no symbolic link is followed when the sandbox is
               made. Default: the parent of `directory`. For a nested container: the sandbox of its executor.
``latest``     True: the symbolic link ``latest`` beside `directory` is pointed at it. Default False.
``work``       Working directory, absolute. Default `directory`.
``user``       Name of the user to run as. Default None, the user of the host. Needs root if it is another one.
``uris``       [CommandInfo.URI] to fetch into `directory` before the process starts, as `user`. Default none.
``volumes``    [{'path', 'source'}]: persistent volumes; `source` is a folder, made if it is not there and given to
               `user`, and `path` becomes a symbolic link to it in the sandbox. Default none.
``stdout``, ``stderr``  Name of the file in `directory` to append to; None for none. Defaults 'stdout', 'stderr'.
``io``         None (files only), 'pipes' or 'tty': the standard streams are relayed; files get a copy if named. With
               'tty' all output is 'stdout'. Default None, and standard input is /dev/null.
``window``     {'rows', 'columns'} of the tty at the start. Default: that of the system.
``rlimits``    [{'type': 'RLMT_NOFILE', 'soft': n, 'hard': n}] as RLimitInfo has it; without numbers: unlimited.
``umask``      Default 0o022.
``name``       What errors call the container. Default the text that it is known by.
=============  ==================================================================================================

What a listener hears, on the loop's thread: ``on_started(container, pid)`` once the sandbox is made and the URIs are
fetched, and always before the process itself can have done anything; or ``on_launch_failed(container, text)``, the text
as Mesos gives it after "Failed to launch container: ". After a start: ``on_output(container, 'stdout' or 'stderr',
bytes)`` if there is `io`, ``on_fed(container, size)`` for bytes of :meth:`Launcher.feed` that the process has taken
(or will never take), and one ``on_exited(container, status)`` with the status of waitpid, after all output, when no
process of the container is left. A program that cannot be executed is no failed launch: as in Mesos its reason is
written to standard error and it exits with 1 (status 256).
"""
from __future__ import absolute_import, division, print_function

import errno
import logging
import os
import select
import socket
import subprocess
import sys

from .._compat import close_on_exec, monotonic, selectors, socket_errors
from ..errors import UsageError
from . import processes
from .frames import Unpacker, pack

__all__ = ['Launcher']

READ_SIZE = 256 * 1024

#: Seconds that join() waits for the keeper, which gives up after 20 what SIGKILL does not end.
JOIN_TIMEOUT = 30.0

#: The status of waitpid for a process that SIGKILL has ended.
KILLED = 9

#: The keeper is a module of this package that does not wait for the rest of it to be imported. The paths are those
#: of this process; site, which finds them, is not run again.
BOOT = """
import sys
sys.path[:] = %(path)r
from types import ModuleType
for name, folder in (('pymesos', %(package)r), ('pymesos.local', %(local)r)):
    sys.modules[name] = ModuleType(name)
    sys.modules[name].__path__ = [folder]
from pymesos.local.keeper import main
main(%(pid)d)
"""

logger = logging.getLogger(__name__)


class _Container(object):
    """What the host knows of a container."""

    __slots__ = ('listener', 'name', 'pending', 'pid', 'serial', 'unheard')

    def __init__(self, serial, name, listener):
        self.serial = serial
        self.name = name
        self.listener = listener
        self.pid = None
        #: Bytes that it was fed and has not taken.
        self.pending = 0
        #: (method, argument) of its end, if nobody has heard of it yet.
        self.unheard = None


class Launcher(object):
    """Starts, feeds, signals and kills containers by way of a keeper; see the module for what they are.

    All methods but :meth:`join` are for the thread of `loop` (:class:`pymesos.serving.loop.Loop`) and do not block.
    `python` is the interpreter of the keeper, by default this one. Listeners are called on the loop's thread, never
    from within a method of this class. A container is known from :meth:`launch` until a listener has heard of its end;
    orders for one that is not known are ignored, for it may just have ended.
    """

    def __init__(self, loop, python=None):
        self._loop = loop
        self._python = python or sys.executable
        self._keeper = None
        self._socket = None
        self._events = 0
        self._unpacker = Unpacker()
        self._inbox = []
        self._outbox = bytearray()
        self._serial = 0
        self._by_name = {}
        self._by_serial = {}
        self._probes = {}

    # ---- life

    def start(self):
        """Start the keeper, which ends when this process does. OSError if `python` cannot be executed."""
        if not self._python:
            raise UsageError('cannot start the keeper of containers: sys.executable is empty; name a Python')
        ours, theirs = socket.socketpair()
        try:
            close_on_exec(ours)
            ours.setblocking(False)
            with open(os.devnull, 'wb') as null:
                self._keeper = subprocess.Popen([self._python] + _flags() + ['-c', _boot()], stdin=theirs.fileno(),
                                                stdout=null, close_fds=True, cwd='/')
        except Exception:
            ours.close()
            raise
        finally:
            theirs.close()
        self._socket = ours
        self._watch()

    def stop(self):
        """Have the keeper kill everything and end; nobody is told anything any more. Twice is fine."""
        self._hang_up()
        self._by_name, self._by_serial, self._probes, self._inbox = {}, {}, {}, []

    def join(self, timeout=JOIN_TIMEOUT):
        """Wait, at most `timeout` seconds, until the keeper has ended after :meth:`stop`; from any thread.

        False if it takes longer.
        """
        deadline, delay = monotonic() + timeout, 0.001
        while self._keeper is not None and self._keeper.poll() is None:
            if monotonic() > deadline:
                return False
            _nap(delay)
            delay = min(delay * 1.5, 0.02)
        return True

    def remove_at_end(self, path):
        """Have the keeper delete a folder when it ends, even if this process is killed before."""
        self._order({'do': 'remove', 'path': os.path.abspath(path)})

    # ---- containers

    def launch(self, container, spec, listener):
        """Start a container, see the module. UsageError if one of that name is known."""
        if container in self._by_name:
            raise UsageError('a container named %r is running or has just ended' % (container,))
        known = _Container(self._next_serial(), container, listener)
        self._by_name[container] = self._by_serial[known.serial] = known
        if self._socket is None:
            self._loop.order(lambda: self._end(known, 'on_launch_failed', 'The keeper of containers is gone'))
        # Of a command no more than is looked at: the rest can be as large as a call.
        command = dict((key, spec['command'][key]) for key in ('shell', 'value', 'arguments') if key in spec['command'])
        try:
            self._order({'do': 'launch', 'id': known.serial, 'name': spec.get('name', container),
                         'spec': dict(spec, command=command)})
        except ValueError as error:
            text = 'Failed to fork: %s' % error
            self._loop.order(lambda: self._end(known, 'on_launch_failed', text))

    def attach(self, container, listener):
        """Let `listener` hear of a container from now on; False if it is not known. An end that nobody has heard of
        is told soon, a start is not told again.
        """
        known = self._by_name.get(container)
        if known is None:
            return False
        known.listener = listener
        if known.unheard is not None:
            self._loop.order(lambda: self._tell_end(known))
        return True

    def detach(self, container):
        """Let nobody hear of a container: output is dropped, its end is kept for :meth:`attach`."""
        known = self._by_name.get(container)
        if known is not None:
            known.listener = None

    def containers(self):
        """The names of all that are known."""
        return sorted(self._by_name)

    def pid(self, container):
        """The pid of a container that was started, else None."""
        known = self._by_name.get(container)
        return None if known is None else known.pid

    def signal(self, container, number):
        """Send a signal to the process group of a container."""
        self._order_for(container, 'signal', number=number)

    def destroy(self, container):
        """Kill every process of a container, wherever it has gone; a launch that is under way fails."""
        self._order_for(container, 'destroy')

    def feed(self, container, data):
        """Give bytes to the standard input of a container with `io`; None closes it (a tty's stays open)."""
        known = self._by_name.get(container)
        if known is not None and known.unheard is None:
            known.pending += len(data or b'')
            self._order({'do': 'feed', 'id': known.serial, 'more': data is not None}, data or b'')

    def pending(self, container):
        """How many bytes of :meth:`feed` a container has not taken yet."""
        known = self._by_name.get(container)
        return 0 if known is None else known.pending

    def resize(self, container, rows, columns):
        """Set the window size of a container with a tty."""
        self._order_for(container, 'resize', rows=rows, columns=columns)

    def probe(self, check, timeout, done):
        """Look once whether something answers, within `timeout` seconds, and call ``done(result)``.

        `check` and the result are those of :class:`pymesos.local.model.effects.Probe`; a COMMAND may also name the
        `user` to run as.
        """
        serial = self._next_serial()
        self._probes[serial] = done
        spec = {'check': check, 'timeout': timeout}
        if check['type'] == 'COMMAND':
            spec.update(command=check['command'], environment=check.get('environment') or {},
                        directory=check['directory'], user=check.get('user'), stdout=None, stderr=None, make=False)
        if self._socket is None:
            self._loop.order(lambda: self._finish_probe(serial, {'error': 'The keeper of containers is gone'}))
        try:
            self._order({'do': 'probe', 'id': serial, 'spec': spec})
        except ValueError as error:
            text = '%s' % error
            self._loop.order(lambda: self._finish_probe(serial, {'error': text}))

    # ---- the keeper

    def _next_serial(self):
        self._serial += 1
        return self._serial

    def _order_for(self, container, what, **details):
        known = self._by_name.get(container)
        if known is not None and known.unheard is None:
            self._order(dict(details, do=what, id=known.serial))

    def _order(self, message, data=b''):
        if self._socket is not None:
            self._outbox += pack(message, data)
            self._flush()

    def _flush(self):
        try:
            while self._outbox:
                sent = self._socket.send(bytes(self._outbox[:READ_SIZE]))
                del self._outbox[:sent]
        except socket_errors:           # it is full, or the keeper is gone, which is seen when we read
            pass
        self._watch()

    def _watch(self):
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._outbox else 0)
        self._loop.watch(self._socket, self._events, events, self._ready)
        self._events = events

    def _ready(self, events):
        if events & selectors.EVENT_WRITE:
            self._flush()
        if not events & selectors.EVENT_READ:
            return
        try:
            data = self._socket.recv(READ_SIZE)
        except socket_errors as error:
            if error.errno in (errno.EAGAIN, errno.EINTR):
                return
            data = b''
        if data:
            self._inbox += self._unpacker.feed(data)
            self._work_off()
        else:
            self._lose_keeper()

    def _work_off(self):
        try:
            while self._inbox:
                message, data = self._inbox.pop(0)
                self._hear(message, data)
        finally:
            if self._inbox:             # a listener has raised; the others must hear theirs all the same
                self._loop.order(self._work_off)

    def _hear(self, message, data):
        what, serial = message['is'], message['id']
        if what == 'probed':
            self._finish_probe(serial, message['result'])
            return
        known = self._by_serial.get(serial)
        if known is None:
            return
        if what == 'started':
            known.pid = message['pid']
            self._tell(known, 'on_started', known.pid)
        elif what == 'output':
            self._tell(known, 'on_output', message['name'], data)
        elif what == 'fed':
            known.pending -= message['size']
            self._tell(known, 'on_fed', message['size'])
        elif what == 'failed':
            self._end(known, 'on_launch_failed', message['text'])
        else:
            self._end(known, 'on_exited', message['status'])

    def _tell(self, known, method, *args):
        method = getattr(known.listener, method, None)      # None: nobody listens, or it does not want to know
        if method is not None:
            method(known.name, *args)

    def _end(self, known, method, argument):
        known.unheard = (method, argument)
        self._tell_end(known)

    def _tell_end(self, known):
        if known.listener is not None and self._by_serial.pop(known.serial, None) is not None:
            del self._by_name[known.name]
            self._tell(known, *known.unheard)

    def _finish_probe(self, serial, result):
        done = self._probes.pop(serial, None)
        if done is not None:
            done(result)

    def _hang_up(self):
        if self._socket is not None:
            self._loop.watch(self._socket, self._events, 0, self._ready)
            self._socket.close()
            self._socket, self._events = None, 0
        del self._outbox[:]

    def _lose_keeper(self):
        """The keeper was killed, or failed: kill its children in its place, as far as we know them."""
        self._hang_up()
        logger.error('the keeper of containers has ended unexpectedly (status %s); %d containers are killed',
                     self._keeper.poll(), len(self._by_name))
        for known in list(self._by_serial.values()):
            if known.unheard is None:
                if known.pid is not None:
                    processes.kill(known.pid)
                    processes.kill_group(known.pid)
                self._loop.order(lambda known=known: self._end(*self._last_of(known)))
        for serial in list(self._probes):
            self._loop.order(lambda serial=serial: self._finish_probe(
                serial, {'error': 'The keeper of containers is gone'}))

    @staticmethod
    def _last_of(known):
        if known.pid is None:
            return known, 'on_launch_failed', 'The keeper of containers is gone'
        return known, 'on_exited', KILLED


def _nap(seconds):
    try:
        select.select([], [], [], seconds)
    except (OSError, select.error):     # 2.7 is interrupted by signals
        pass


def _flags():
    """Options for a Python that looks neither at its environment nor at site-packages: it is told where things are."""
    return ['-I', '-S'] if hasattr(sys.flags, 'isolated') else ['-E', '-s', '-S']


def _boot():
    """What the keeper's Python executes, in ASCII, whatever the locale makes of other letters."""
    local = os.path.dirname(os.path.abspath(__file__))
    text = BOOT % {'path': [os.path.abspath(path) for path in sys.path], 'package': os.path.dirname(local),
                   'local': local, 'pid': os.getpid()}
    return text.encode('ascii', 'backslashreplace').decode('ascii')

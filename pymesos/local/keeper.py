"""The keeper: a process without threads that forks, reaps and kills the processes of containers for its host.

It is started by :class:`pymesos.local.launcher.Launcher`, and speaks with it over a socket, its standard input. When
that ends, because the host wants it or because the host is gone, it kills all that it has started, removes the folders
that it was told of, and ends.
"""
from __future__ import absolute_import, division, print_function

import errno
import json
import os
import select
import signal
import socket
from collections import deque

from .._compat import close_on_exec, monotonic, pipe
from . import child, processes
from .frames import Unpacker, pack
from .streams import Streams

__all__ = ['main']

READ_SIZE = 65536

#: Bytes for the host above which no output of containers is read until it has taken them.
HIGH_WATER = 1024 * 1024

#: A look through /proc may take a tenth of the time: the next one waits for nine times as long as the last one took.
SWEEP_SHARE = 9
SWEEP_PAUSE = 0.005

#: Seconds after which a process that SIGKILL does not end (it hangs in the kernel) is given up.
SWEEP_PATIENCE = 20.0

#: Seconds for output that is still to be read when all processes have ended: only another container, to which the
#: pipe was given, can keep it open.
DRAIN_PATIENCE = 1.0

#: Seconds between looks whether the host still lives, for the case that somebody else holds its end of the socket.
HOST_CHECK = 1.0

#: prctl: orphans of our children become our children.
PR_SET_CHILD_SUBREAPER = 36


class Process(object):
    """A process that was forked for a container, or for a probe."""

    def __init__(self, serial, spec, name):
        self.serial = serial
        self.spec = spec
        self.name = name
        self.pid = None
        #: Ours of the socket pair; None once the process has begun, or failed to.
        self.channel = None
        self.report = b''
        self.is_started = False
        self.is_destroyed = False
        #: The status of waitpid, None while it runs.
        self.status = None
        self.is_swept = False
        #: When it was first waited for that no process of it is left.
        self.ended = None
        #: {pid: start} of processes of it that may have left the session.
        self.known = {}
        #: The :class:`~pymesos.local.streams.Streams`.
        self.streams = None
        #: For a probe: when it is given up.
        self.deadline = None

    @property
    def is_probe(self):
        return 'check' in self.spec


class Keeper(object):
    """The loop of the keeper; `host` is the socket, `parent` the pid of the host."""

    def __init__(self, host, parent):
        self._host = host
        self._parent = parent
        self._unpacker = Unpacker()
        self._outbox = deque()
        self._outbox_size = 0
        self._poll = select.poll()
        self._watched = {}              # descriptor -> (events, function)
        self._by_serial = {}
        self._by_pid = {}
        self._probes = set()            # processes with a deadline
        self._ending = []               # processes that have exited and are looked after
        self._folders = []              # to be removed at the end
        self._next_sweep = 0.0
        self._is_stopping = False
        self._is_paused = False
        self._orders = {'launch': self._launch, 'probe': self._launch, 'signal': self._signal,
                        'destroy': self._destroy, 'feed': self._feed, 'resize': self._resize, 'remove': self._remove}

    # ---- the loop

    def run(self):
        """Work until the host is gone or wants no more."""
        self._alarm = self._catch_signals()
        self._watch(self._alarm, select.POLLIN, self._wake)
        self._watch(self._host.fileno(), select.POLLIN, self._talk)
        try:
            while not self._is_stopping:
                for number, events in self._wait():
                    watched = self._watched.get(number)
                    if watched is not None:         # else an earlier one has closed it
                        watched[1](events)
                self._reap()
                self._sweep()
                self._expire()
        finally:                        # also after an error of ours: nothing may be left behind
            self._end()

    def _catch_signals(self):
        """Let signals wake the loop; the descriptor that it wakes by."""
        reading, writing = pipe()
        signal.set_wakeup_fd(writing)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._be_stopped)
        return reading

    def _be_stopped(self, _number, _frame):
        self._is_stopping = True

    def _wake(self, _events):
        os.read(self._alarm, READ_SIZE)

    def _wait(self):
        patience = HOST_CHECK
        now = monotonic()
        if self._ending:
            patience = min(patience, max(0.0, self._next_sweep - now))
        for process in self._probes:
            patience = min(patience, max(0.0, process.deadline - now))
        try:
            return self._poll.poll(int(patience * 1000) + 1)
        except (OSError, select.error) as error:        # 2.7 is interrupted by signals
            if error.args[0] != errno.EINTR:
                raise
            return []

    def _watch(self, number, events, function=None):
        """Call ``function(events)`` when a descriptor is ready for `events`; 0: no more."""
        if events:
            self._watched[number] = (events, function or self._watched[number][1])
            self._poll.register(number, events)
        elif self._watched.pop(number, None) is not None:
            self._poll.unregister(number)

    # ---- the host

    def _talk(self, events):
        if events & select.POLLOUT:
            self._flush()
        if events & (select.POLLIN | select.POLLHUP | select.POLLERR):
            try:
                data = self._host.recv(READ_SIZE)
            except (OSError, socket.error) as error:
                if error.errno in (errno.EAGAIN, errno.EINTR):
                    return
                data = b''
            if not data:
                self._is_stopping = True
                return
            for message, extra in self._unpacker.feed(data):
                self._orders[message['do']](message, extra)

    def _tell(self, process, what, data=b'', **details):
        frame = pack(dict(details, **{'id': process.serial, 'is': what}), data)
        self._outbox.append(frame)
        self._outbox_size += len(frame)
        if len(self._outbox) == 1:
            self._flush()

    def _flush(self):
        try:
            while self._outbox:
                sent = self._host.send(self._outbox[0])
                self._outbox_size -= sent
                if sent < len(self._outbox[0]):
                    self._outbox[0] = self._outbox[0][sent:]
                else:
                    self._outbox.popleft()
        except (OSError, socket.error) as error:
            if error.errno not in (errno.EAGAIN, errno.EINTR):
                self._is_stopping = True
        self._watch(self._host.fileno(), select.POLLIN | (select.POLLOUT if self._outbox else 0), self._talk)
        if self._is_paused != (self._outbox_size > HIGH_WATER):
            self._is_paused = not self._is_paused
            for process in self._by_serial.values():
                if process.streams is not None:
                    process.streams.pause(self._is_paused)

    # ---- to start

    def _launch(self, message, _data):
        spec = message['spec']
        process = Process(message['id'], spec, message.get('name', ''))
        self._by_serial[process.serial] = process
        try:
            self._fork(process)
        except Exception as error:      # whatever is wrong with it, the others must not die of it
            self._forget(process)
            text = 'Failed to fork: %s' % (getattr(error, 'strerror', None) or error)
            self._tell(process, 'probed', result={'error': text}) if process.is_probe else (
                self._tell(process, 'failed', text=text))

    def _fork(self, process):
        process.streams = Streams(process.spec, self._watch,
                                  lambda what, data=b'', **details: self._tell(process, what, data, **details))
        ours, theirs = socket.socketpair()
        process.channel = ours
        close_on_exec(ours)
        ours.setblocking(False)
        try:
            process.pid = os.fork()
            if not process.pid:
                _be_child(process, theirs.fileno())
        finally:
            process.streams.let_go()
            theirs.close()
        self._by_pid[process.pid] = process
        if process.is_probe:
            process.deadline = monotonic() + process.spec['timeout']
            self._probes.add(process)
        self._watch(ours.fileno(), select.POLLIN, lambda events: self._hear(process))

    def _hear(self, process):
        """The child says that it is ready, or why it gives up, or has been killed."""
        try:
            data = process.channel.recv(READ_SIZE)
        except (OSError, socket.error) as error:
            if error.errno in (errno.EAGAIN, errno.EINTR):
                return
            data = b''
        process.report += data
        if process.report == child.READY:
            self._begin(process)
        elif not data:
            self._close_channel(process)

    def _begin(self, process):
        """Tell the host, and only then let the child go on."""
        process.is_started = True
        if not process.is_probe:
            self._tell(process, 'started', pid=process.pid)
        try:
            process.streams.begin()
        except (EnvironmentError, child.Refused):       # a file for a copy; it was there a moment ago
            self._kill(process)
        try:
            process.channel.send(b'!')
        except (OSError, socket.error):         # it was killed; that will be seen
            pass
        self._close_channel(process)

    def _close_channel(self, process):
        if process.channel is not None:
            self._watch(process.channel.fileno(), 0)
            process.channel.close()
            process.channel = None

    # ---- orders for a process

    def _signal(self, message, _data):
        process = self._by_serial.get(message['id'])
        if process is not None and process.status is None:
            processes.kill_group(process.pid, message['number'])

    def _destroy(self, message, _data):
        process = self._by_serial.get(message['id'])
        if process is not None and process.pid is not None:
            self._kill(process)

    def _kill(self, process):
        """Kill a process and all that belongs to it. What has left its session is only found before its parent dies."""
        process.is_destroyed = True
        if process.status is None:
            table = processes.snapshot()
            processes.kill(process.pid)
            processes.kill_group(process.pid)
            for pid in processes.family(table, [process.pid], {process.pid: process.pid}):
                process.known[pid] = table[pid].start
                if not table[pid].is_ended:
                    processes.kill(pid)

    def _remove(self, message, _data):
        self._folders.append(message['path'])

    def _resize(self, message, _data):
        process = self._by_serial.get(message['id'])
        if process is not None:
            process.streams.resize(message['rows'], message['columns'])

    def _feed(self, message, data):
        process = self._by_serial.get(message['id'])
        if process is not None:
            process.streams.feed(data if message['more'] else None)

    # ---- the end of a process

    def _reap(self):
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except OSError as error:
                if error.errno == errno.EINTR:
                    continue
                return                  # there are no children
            if not pid:
                return
            process = self._by_pid.pop(pid, None)
            if process is not None:     # else an orphan that came to us
                process.status = status
                process.ended = monotonic()
                self._ending.append(process)

    def _sweep(self):
        """Kill what is left of processes that have exited, and report those of which nothing is left."""
        now = monotonic()
        if not self._ending or now < self._next_sweep:
            return
        waiting = [process for process in self._ending if not process.is_swept]
        if waiting:
            self._kill_rest(waiting)
        self._next_sweep = monotonic() + max(SWEEP_PAUSE, SWEEP_SHARE * (monotonic() - now))
        self._ending = [process for process in self._ending if not self._finish(process)]

    def _kill_rest(self, waiting):
        for process in waiting:
            processes.kill_group(process.pid)
        table = processes.snapshot()
        rest = processes.family(table, set(process.pid for process in waiting), self._outsiders(table, waiting))
        alive = set()
        for pid, session in rest.items():
            if not table[pid].is_ended and pid not in self._by_pid:
                alive.add(session)
                processes.kill(pid)
        now = monotonic()
        for process in waiting:
            process.known.update((pid, table[pid].start) for pid, session in rest.items() if session == process.pid)
            process.is_swept = process.pid not in alive or now > process.ended + SWEEP_PATIENCE

    def _outsiders(self, table, waiting):
        """{pid: pid of the process they belonged to} of processes that have left the sessions of these."""
        found = {}
        for process in waiting:
            found.update((pid, process.pid) for pid, start in process.known.items()
                         if pid in table and table[pid].start == start)
        own = os.getpid()
        strays = [entry.pid for entry in table.values()
                  if entry.parent == own and entry.pid not in self._by_pid and not entry.is_ended]
        for process in waiting:
            if strays and not process.is_probe:         # a probe works in the sandbox of another
                directory = child.to_bytes(process.spec['directory'])
                found.update((pid, process.pid) for pid in strays if processes.is_marked(pid, directory))
        return found

    def _finish(self, process):
        """Report the end, if all is done; whether it was."""
        if process.channel is not None:
            self._hear(process)
            return False
        if not process.is_swept or process.streams.is_open and not self._is_late(process):
            return False
        process.streams.close()
        self._tell_end(process)
        self._forget(process)
        return True

    @staticmethod
    def _is_late(process):
        return not process.is_started or process.streams.is_silent(process.ended, DRAIN_PATIENCE)

    def _tell_end(self, process):
        if process.is_probe:
            self._tell(process, 'probed', result=_probe_result(process))
        elif process.is_started:
            self._tell(process, 'exited', status=process.status)
        else:
            text = process.report[1:].decode('utf-8', 'replace')
            if process.report[:1] != child.REFUSED:
                text = ('Container is being destroyed during %s' if process.is_destroyed else
                        'The process was killed during %s') % ('fetching' if process.spec.get('uris') else 'preparing')
            self._tell(process, 'failed', text=text)

    def _forget(self, process):
        self._close_channel(process)
        if process.streams is not None:
            process.streams.close()
        self._probes.discard(process)
        self._by_serial.pop(process.serial, None)

    def _expire(self):
        now = monotonic()
        for process in [process for process in self._probes if now >= process.deadline]:
            self._probes.discard(process)
            self._kill(process)
        if os.getppid() != self._parent:
            self._is_stopping = True

    # ---- the end of the keeper

    def _end(self):
        """Kill everything, wait for it, remove what is to be removed."""
        deadline = monotonic() + SWEEP_PATIENCE
        own = os.getpid()
        sessions = set(self._by_pid) | set(process.pid for process in self._ending)
        for pid in sessions:
            processes.kill(pid)
            processes.kill_group(pid)
        while monotonic() < deadline:
            table = processes.snapshot()
            rest = processes.family(table, sessions, dict((pid, pid) for pid in table if table[pid].parent == own))
            rest = [pid for pid in rest if not table[pid].is_ended and pid != own]
            for pid in rest:
                processes.kill(pid)
            if not _reap_all() and not rest:
                break
            _nap(0.002)
        for folder in self._folders:
            _remove_tree(folder)


def _be_child(process, channel):
    """In the forked child; never returns."""
    if not process.is_probe or process.spec['check']['type'] == 'COMMAND':
        child.run(process.spec, process.name, channel, process.streams.theirs)
    try:
        child.leave_keeper(channel, ())
        from . import probes            # only the child needs it
        result = probes.look(process.spec['check'], process.spec['timeout'])
        os.write(channel, b'P' + json.dumps(result).encode('ascii'))
    finally:
        os._exit(0)


def _probe_result(process):
    timeout = process.spec['timeout']
    if process.report[:1] == b'P' and not process.is_destroyed:
        return json.loads(process.report[1:].decode('ascii'))
    if process.is_destroyed:
        return {'error': '%s timed out after %gsecs' % (process.spec['check']['type'], timeout)}
    if process.report[:1] == child.REFUSED:
        return {'error': process.report[1:].decode('utf-8', 'replace')}
    if os.WIFEXITED(process.status):
        return {'exit_code': os.WEXITSTATUS(process.status)}
    return {'error': 'terminated with signal %d' % os.WTERMSIG(process.status)}


def _nap(seconds):
    try:
        select.select([], [], [], seconds)
    except (OSError, select.error):     # 2.7 is interrupted by signals
        pass


def _reap_all():
    """Reap what has ended; whether there are children left."""
    while True:
        try:
            if not os.waitpid(-1, os.WNOHANG)[0]:
                return True
        except OSError as error:
            if error.errno != errno.EINTR:
                return False


def _remove_tree(folder):
    import shutil                       # only needed at the end
    shutil.rmtree(child.to_bytes(folder), ignore_errors=True)


def _adopt_orphans():
    """Become the process to which orphans of our children come, where the system has that."""
    try:
        import ctypes
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    except (ImportError, AttributeError, OSError):      # not on Linux
        pass


def _unblock_signals():
    """The mask is that of the thread that started us, and would be that of all containers."""
    if hasattr(signal, 'pthread_sigmask'):        # novm: 2.7 has none
        signal.pthread_sigmask(signal.SIG_SETMASK, [])      # novm


def main(parent):
    """Run as the keeper of the process `parent`; the socket to it is standard input."""
    while True:                         # 0, 1 and 2 are taken, so that nothing else gets their numbers
        number = os.open(os.devnull, os.O_RDWR)
        if number > 2:
            os.close(number)
            break
    os.setsid()
    os.chdir('/')
    host = socket.fromfd(0, socket.AF_UNIX, socket.SOCK_STREAM)
    close_on_exec(host)
    host.setblocking(False)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.close(null)
    _unblock_signals()
    _adopt_orphans()
    Keeper(host, parent).run()

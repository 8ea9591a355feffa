"""What commands print, collected from pipes and written to one descriptor of the program, line by line."""
from __future__ import absolute_import, division, print_function

import errno
import fcntl
import os
import select
import struct
import termios

from ..._compat import close_on_exec, selectors
from .lines import Interleaver

__all__ = ['Outlet', 'is_pollable', 'make_pipe', 'retried', 'set_nonblocking']

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE

CHUNK = 64 * 1024

#: What a descriptor that says it is ready takes without blocking, whoever else writes to it.
PIPE_BUF = getattr(select, 'PIPE_BUF', 512)

#: Bytes that wait for the program's reader above which nothing more is read, and below which it goes on.
HIGH, LOW = 256 * 1024, 128 * 1024

#: Seconds for which a source may keep the others waiting in the middle of a long line.
LONGEST_PAUSE = 0.5

_WOULD_BLOCK = (errno.EAGAIN, errno.EWOULDBLOCK)


def retried(function, *arguments):
    """Call a function of `os` again when a signal came in between, as Python does by itself from 3.5 on."""
    while True:
        try:
            return function(*arguments)
        except EnvironmentError as error:
            if error.errno != errno.EINTR:
                raise


def set_nonblocking(descriptor):
    fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) | os.O_NONBLOCK)


def make_pipe():
    """A pipe whose ends are close-on-exec: (read end, write end)."""
    return tuple(close_on_exec(end) for end in os.pipe())


def is_pollable(loop, descriptor):
    """Whether a descriptor can be waited for: regular files and /dev/null cannot, and are always ready."""
    try:
        loop.selector.register(descriptor, READ)
    except EnvironmentError as error:
        if error.errno == errno.EPERM:
            return False
        raise
    loop.selector.unregister(descriptor)
    return True


class Outlet(object):
    """Several sources on their way into one descriptor, which stays the caller's. All of it on the loop's thread.

    `before` is called before each write, `emptied` when all that came is written. `broken` is called once with the
    error when the descriptor takes no more; from then on what comes is dropped. Memory is bounded: nothing is read that
    cannot be written.
    """

    def __init__(self, loop, descriptor, before, broken, emptied):
        self.loop = loop
        self.lines = Interleaver()
        self._descriptor = descriptor
        self._before = before
        self._broken = broken
        self._emptied = emptied
        self._is_broken = False
        try:
            self._is_pollable = is_pollable(loop, descriptor)
        except EnvironmentError:        # closed, as the first write will tell
            self._is_pollable = False
        self._events = 0
        self._unwritten = b''
        self._paused = []
        self._has_moved = False         # the source that has the floor, since the timer was set
        self._timer = None

    def add(self, descriptor, tag, ended):
        """Read the end of a pipe, which is the outlet's from now on; `ended` is called when all of it is taken."""
        source = _Source(self, descriptor, ended)
        self.lines.add(source, tag)
        source.resume()
        return source

    @property
    def is_idle(self):
        """Whether all that came is written."""
        return not self._unwritten and not self.lines.size

    def close(self):
        """Write no more."""
        self._watch(0)
        if self._timer is not None:
            self._timer.cancel()

    def has_room(self, source):
        return self.lines.size < HIGH and self.lines.may_feed(source)

    def pause(self, source):
        self._paused.append(source)

    def feed(self, source, data):
        self.lines.feed(source, data)
        self._has_moved = self._has_moved or source is self.lines.floor
        self._go_on()

    def end(self, source):
        self.lines.end(source)
        self._go_on()

    def _go_on(self):
        if self._is_broken:
            self._drop()
        elif not self._is_pollable:
            while not self.is_idle and not self._is_broken:
                self._write(CHUNK)
        else:
            self._watch(0 if self.is_idle else WRITE)
        if self.lines.floor is not None and self._timer is None:
            self._has_moved = False
            self._timer = self.loop.call_later(LONGEST_PAUSE, self._look_after_floor)
        if self._paused and self.lines.size < LOW:
            self._wake_paused()

    def _wake_paused(self):
        paused, self._paused = self._paused, []
        for source in paused:
            if self.has_room(source):
                source.resume()
            else:
                self._paused.append(source)

    def _look_after_floor(self):
        self._timer = None
        if self.lines.is_held_up and not self._has_moved:
            self.lines.release()
        self._go_on()

    def _watch(self, events):
        self.loop.watch(self._descriptor, self._events, events, self._ready)
        self._events = events

    def _ready(self, _events):
        if not self._events:            # another that was ready at the same time has ended it
            return
        self._write(PIPE_BUF)
        self._go_on()
        if self.is_idle:
            self._emptied()

    def _write(self, limit):
        data = self._unwritten or self.lines.output(limit)
        self._before()
        try:
            written = retried(os.write, self._descriptor, data)
        except EnvironmentError as error:
            self._unwritten = data
            if error.errno not in _WOULD_BLOCK:
                self._break(error)
            return
        self._unwritten = data[written:]

    def _break(self, error):
        self._is_broken = True
        self._watch(0)
        self._drop()
        self._broken(error)

    def _drop(self):
        self._unwritten = b''
        self.lines.output()


class _Source(object):
    """The read end of a pipe that a command prints to."""

    def __init__(self, outlet, descriptor, ended):
        self._outlet = outlet
        self._descriptor = descriptor
        self._ended = ended
        self._events = 0
        self._left = None           # bytes that are still to come: known when the command has ended
        set_nonblocking(descriptor)

    def resume(self):
        """There is room again."""
        if self._descriptor is None:
            return
        if self._left is None:
            self._watch(READ)
        else:
            self._drain()

    def finish(self):
        """The command has ended: take what is in the pipe, and no more, whoever else has it open."""
        if self._descriptor is None:
            return
        number = fcntl.ioctl(self._descriptor, termios.FIONREAD, struct.pack('i', 0))
        self._left = struct.unpack('i', number)[0]
        if self._events:            # else it is paused, and drained when there is room
            self._watch(0)
            self._drain()

    def close(self):
        """Take no more of it."""
        if self._descriptor is not None:
            self._watch(0)
            os.close(self._descriptor)
            self._descriptor = None
            self._outlet.end(self)
            self._ended()

    def _watch(self, events):
        self._outlet.loop.watch(self._descriptor, self._events, events, self._ready)
        self._events = events

    def _drain(self):
        while self._left and self._read(min(self._left, CHUNK)):
            continue
        if self._left == 0:
            self.close()

    def _ready(self, _events):
        if self._events:                # else another that was ready at the same time has ended it
            self._read(CHUNK)

    def _read(self, limit):
        """Read once; whether there may be more."""
        if not self._outlet.has_room(self):
            self._watch(0)
            self._outlet.pause(self)
            return False
        try:
            data = retried(os.read, self._descriptor, limit)
        except EnvironmentError as error:
            if error.errno in _WOULD_BLOCK and self._left is None:
                return False
            data = b''
        if not data:
            self.close()
            return False
        if self._left is not None:
            self._left -= len(data)
        self._outlet.feed(self, data)
        return self._descriptor is not None

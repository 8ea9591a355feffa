"""What the program is given on its standard input, passed on: whole to each of several commands, or to who asks."""
from __future__ import absolute_import, division, print_function

import errno
import os
import tempfile

from ..._compat import selectors
from .outlet import CHUNK, is_pollable, retried, set_nonblocking

__all__ = ['Inlet', 'Reader']

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE

#: Bytes that are read before the fastest command wants them.
AHEAD = 256 * 1024


class Reader(object):
    """Reads a descriptor of the program, while that is wanted. On the loop's thread; the descriptor stays the caller's.

    `received` is called with bytes, `ended` once, at the end or when there is nothing to read from.
    """

    def __init__(self, loop, descriptor, received, ended):
        self._loop = loop
        self._descriptor = descriptor
        self._received = received
        self._ended = ended
        self._is_wanted = False
        self._is_over = False
        self._is_coming = False         # whether the loop was told to take the next step
        self._events = 0
        self._is_pollable = None        # unknown until it is asked for

    def want(self, is_wanted):
        """Whether to read on. A descriptor that nobody wants to be read is not touched."""
        if is_wanted == self._is_wanted or self._is_over:
            return
        self._is_wanted = is_wanted
        if self._is_pollable is None:
            try:
                self._is_pollable = is_pollable(self._loop, self._descriptor)
            except EnvironmentError:        # closed
                self._end()
                return
        if self._is_pollable:
            self._watch(READ if is_wanted else 0)
        else:
            self._go_on()

    def close(self):
        """Read no more."""
        if not self._is_over:
            self._is_over = True
            self._watch(0)

    def _watch(self, events):
        self._loop.watch(self._descriptor, self._events, events, self._ready)
        self._events = events

    def _ready(self, _events):
        if self._events:                # else another that was ready at the same time has ended it
            self._read()

    def _go_on(self):
        """Read of what is always ready, one piece at a time: others want the loop, too."""
        if self._is_wanted and not self._is_over and not self._is_coming:
            self._is_coming = True
            self._loop.order(self._step)

    def _step(self):
        self._is_coming = False
        if self._is_wanted and not self._is_over:
            self._read()
            self._go_on()

    def _read(self):
        try:
            data = retried(os.read, self._descriptor, CHUNK)
        except EnvironmentError as error:
            if error.errno in (errno.EAGAIN, errno.EWOULDBLOCK):
                return
            data = b''                  # such as EIO: the terminal is somebody else's now
        if data:
            self._received(data)
        else:
            self._end()

    def _end(self):
        self.close()
        self._ended()


class Inlet(object):
    """Gives all of what a descriptor brings to each command, also to those that begin late.

    It keeps that in a file that has no name, so that the slowest sets nobody's pace; the fastest does. On the loop's
    thread.
    """

    def __init__(self, loop, descriptor):
        self.loop = loop
        self.size = 0
        self.is_ended = False
        self._file = tempfile.TemporaryFile()
        self._feeds = set()
        self._reader = Reader(loop, descriptor, self._received, self._ended)

    def add(self, descriptor):
        """Write all of it to the end of a pipe, which is the inlet's from now on and closed when it has everything."""
        set_nonblocking(descriptor)
        feed = _Feed(self, descriptor)
        self._feeds.add(feed)
        feed.go_on()
        return feed

    def close(self):
        """Read and write no more."""
        self._reader.close()
        for feed in list(self._feeds):
            feed.close()
        self._file.close()

    def read(self, offset):
        self._file.seek(offset)
        return self._file.read(CHUNK)

    def moved(self):
        """A feed has got on, or has come."""
        self._reader.want(any(self.size - feed.offset < AHEAD for feed in self._feeds))

    def remove(self, feed):
        self._feeds.discard(feed)
        self.moved()

    def _received(self, data):
        self._file.seek(0, os.SEEK_END)
        self._file.write(data)
        self.size += len(data)
        self._tell()

    def _ended(self):
        self.is_ended = True
        self._tell()

    def _tell(self):
        for feed in list(self._feeds):
            feed.go_on()


class _Feed(object):
    """The write end of the pipe that is a command's standard input."""

    def __init__(self, inlet, descriptor):
        self.offset = 0
        self._inlet = inlet
        self._descriptor = descriptor
        self._events = 0

    def go_on(self):
        """Write if there is something to write; close at the end of all."""
        if self._descriptor is None:
            return
        if self.offset == self._inlet.size and self._inlet.is_ended:
            self.close()
        else:
            self._watch(WRITE if self.offset < self._inlet.size else 0)
            self._inlet.moved()

    def close(self):
        """The command gets no more, for one reason or another."""
        if self._descriptor is not None:
            self._watch(0)
            os.close(self._descriptor)
            self._descriptor = None
            self._inlet.remove(self)

    def _watch(self, events):
        self._inlet.loop.watch(self._descriptor, self._events, events, self._write)
        self._events = events

    def _write(self, _events):
        if not self._events:            # another that was ready at the same time has ended it
            return
        try:
            self.offset += retried(os.write, self._descriptor, self._inlet.read(self.offset))
        except EnvironmentError as error:
            if error.errno not in (errno.EAGAIN, errno.EWOULDBLOCK):
                self.close()            # it reads no more
                return
        self.go_on()

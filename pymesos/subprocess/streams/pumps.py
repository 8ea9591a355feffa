"""Between descriptors and the channels of a link: sources, which read one, and sinks, which write one.

Both stand still, and cost nothing, as long as the other side does not go on.
"""
from __future__ import absolute_import, division, print_function

import logging
from collections import deque

from ..._compat import selectors, socket_errors
from .descriptors import BROKEN, open_stream
from .link import append_piece

__all__ = ['Sink', 'Source']

logger = logging.getLogger(__name__)

#: Bytes read at once, and in one turn of the loop.
READ = 256 * 1024

#: After so many bytes a pipe is one through which much flows.
MUCH = 1024 * 1024


class _Pump(object):
    """What sources and sinks share. All methods are for the loop's thread.

    `conduit` has `loop`, `link` and ``flush()``; `descriptor` is the pump's from now on; `is_own` says that its
    description is ours alone, as that of a pipe that was made for this; `closed`, if given, is called with the pump
    once it has closed the descriptor.
    """

    def __init__(self, conduit, channel, descriptor, is_own, closed):
        self.channel = channel
        #: How many bytes went through it.
        self.offset = 0
        self.is_open = True
        self._conduit = conduit
        self._stream = open_stream(descriptor, is_own)
        self._closed = closed
        self._events = 0
        self._is_ordered = False
        self._has_grown = False

    def close(self):
        """Close the descriptor; what waits is lost. Twice is fine."""
        if not self.is_open:
            return
        self._watch(0)
        self.is_open = False
        self._stream.close()
        if self._closed is not None:
            self._closed(self)

    def _watch(self, events):
        if events == self._events:
            return
        before, self._events = self._events, events
        if not self._stream.is_always_ready:
            self._conduit.loop.watch(self._stream.number, before, events, self._ready)
        else:
            self._order_turn()

    def _order_turn(self):
        if self._events and not self._is_ordered:
            self._is_ordered = True
            self._conduit.loop.order(self._turn)

    def _turn(self):
        """A turn of what is always ready."""
        self._is_ordered = False
        if self._events:
            self._ready(self._events)
            self._order_turn()

    def _passed(self, count):
        self.offset += count
        if self.offset >= MUCH and not self._has_grown:
            self._has_grown = True
            self._stream.grow()

    def _ready(self, events):
        raise NotImplementedError


class Source(_Pump):
    """Reads a descriptor when the link has room, and ends the channel at its end.

    It reads only while it is wanted: see :meth:`want`.
    """

    def __init__(self, conduit, channel, descriptor, is_own=True, closed=None, is_wanted=True):
        super(Source, self).__init__(conduit, channel, descriptor, is_own, closed)
        self._is_wanted = is_wanted
        self.update()

    def want(self, is_wanted):
        """Read from now on, or do not."""
        self._is_wanted = is_wanted
        self.update()

    def update(self):
        """There may be room on the link."""
        if self.is_open:
            is_due = self._is_wanted and self._conduit.link.room(self.channel)
            self._watch(selectors.EVENT_READ if is_due else 0)

    def stopped(self):
        """The peer wants no more."""
        self.close()

    def reachable(self):
        """How many bytes it has read, with those that can be read now."""
        return self.offset + (self._stream.waiting() if self.is_open else 0)

    def _ready(self, _events):
        self._pump()
        self.update()
        self._conduit.flush()

    def _pump(self):
        link = self._conduit.link
        left = READ
        while left > 0:
            size = min(left, link.room(self.channel))
            if not size:
                return
            try:
                data = self._stream.read(size)
            except socket_errors as error:
                logger.warning('cannot read the descriptor for channel %d any more: %s', self.channel, error)
                data = b''
            if data is None:
                return
            if not data:
                link.end(self.channel)
                self.close()
                return
            link.send(self.channel, data)
            self._passed(len(data))
            left -= len(data)
            if len(data) < size:        # there is probably no more: the selector knows
                return


class Sink(_Pump):
    """Writes what arrives to a descriptor, and closes it at the end of the channel.

    When nobody reads it any more, the channel is stopped.
    """

    def __init__(self, conduit, channel, descriptor, is_own=True, closed=None, written=None):
        super(Sink, self).__init__(conduit, channel, descriptor, is_own, closed)
        self._queue = deque()
        self._is_ended = False
        self._written = written or (lambda sink: None)
        self._update()

    def put(self, data):
        """Bytes (a memoryview) have arrived."""
        if not self.is_open:
            self._conduit.link.stop(self.channel)
            return
        if not self._queue:
            data = self._write(data)
        if self.is_open and len(data):
            append_piece(self._queue, data.tobytes())
            self._update()

    def close(self):
        """Close the descriptor; what waits is lost. Twice is fine."""
        self._queue.clear()
        super(Sink, self).close()

    def finish(self):
        """All bytes have arrived."""
        self._is_ended = True
        if not self._queue:
            self.close()

    def _ready(self, _events):
        if not self._queue:
            # Nobody can write into this end: the other one is gone.
            self._break()
        while self._queue:
            data = self._queue.popleft()
            rest = self._write(memoryview(data))
            if not self.is_open:
                break
            if len(rest):
                self._queue.appendleft(rest.tobytes())
                break
        if self.is_open:
            if self._is_ended and not self._queue:
                self.close()
            else:
                self._update()
        self._conduit.flush()

    def _write(self, data):
        """Write what can be; what is left of `data`."""
        before = self.offset
        try:
            while len(data):
                count = self._stream.write(data)
                if not count:
                    break
                self._passed(count)
                data = data[count:]
        except socket_errors as error:
            if error.errno not in BROKEN:
                logger.warning('cannot write what arrives on channel %d: %s', self.channel, error)
            self._break()
            return data
        self._conduit.link.consumed(self.channel, self.offset - before)
        self._written(self)
        return data

    def _break(self):
        self._conduit.link.stop(self.channel)
        self.close()

    def _update(self):
        # The end of a pipe that is written to is never readable, but its loss is told as if it were.
        self._watch((selectors.EVENT_WRITE if self._queue else 0)
                    | (selectors.EVENT_READ if self._stream.is_own_pipe else 0))

"""Carry a link over sockets, on a loop, and its channels to sources, sinks and control messages: on both sides."""
from __future__ import absolute_import, division, print_function

import errno
import logging
import threading
from collections import deque

from ..._compat import gather, monotonic, selectors, send_gathered, socket_errors
from ...errors import ConnectionLost, ProtocolError, TimedOut
from .link import GIVE_UP_AFTER, LOOK_EVERY, WINDOW, Data, Ended, Link, Room
from .protocol import CONTROL, MAX_RECORD, ControlDecoder, encode_control
from .pumps import Sink, Source

__all__ = ['Carrier', 'Conduit']

logger = logging.getLogger(__name__)

#: Bytes read from a connection at once.
READ = 256 * 1024

_BLOCKED = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR)

# One buffer for all connections of a thread: what is read is dealt with, or copied, before the next is read from.
_scratch = threading.local()


class Carrier(object):
    """A proven connection that carries a link: reads, writes, and gives up a peer that has gone silent.

    `sock` does not block and is the carrier's from now on. `received` is called with the list of events that bytes
    mean, `written` whenever the kernel has taken all there was to send, `due` when there may be something to say, as
    after reading: it calls :meth:`flush`. `lost` is called once with the error that ended the connection, but not after
    :meth:`close`. On the loop's thread.
    """

    def __init__(self, loop, sock, link, received, written, due, lost):
        self.is_open = True
        self._loop = loop
        self._socket = sock
        self._link = link
        self._received = received
        self._written = written
        self._due = due
        self._lost = lost
        self._pending = deque()         # what the kernel has not taken
        self._events = 0
        self._is_reading = False
        self._is_silent = False         # writes nothing yet
        self._timer = None

    def start(self, trailing=b'', is_silent=False):
        """Begin; `trailing` are bytes of the link that were read with the handshake.

        If it `is_silent` nothing is written before :meth:`speak`.
        """
        self._is_silent = is_silent
        self._link.connected(monotonic())
        self._watch(selectors.EVENT_READ)
        self._timer = self._loop.call_later(LOOK_EVERY, self._look)
        if trailing:
            self._feed(trailing)
        self.flush()

    @property
    def is_flushed(self):
        """Whether the kernel has taken all that there was to send."""
        return not self._pending

    def speak(self):
        """Write from the next :meth:`flush` on."""
        self._is_silent = False

    def flush(self):
        """Write what the link has to say. To be called after everything that is done to the link."""
        if self._is_reading or self._is_silent:     # it is done at the end of that, once
            return
        has_asked = False
        while self.is_open and (self._pending or not has_asked):
            if self._pending:
                if not self._send():
                    break
            else:
                has_asked = True
                pieces = self._link.output()
                if pieces:
                    self._pending.extend(gather(pieces))
        if self.is_open:
            self._watch(selectors.EVENT_READ | (selectors.EVENT_WRITE if self._pending else 0))
            if not self._pending:
                self._written()

    def close(self):
        """Close the connection; twice is fine."""
        if self.is_open:
            self.is_open = False
            self._watch(0)
            self._socket.close()
            self._link.disconnected()
            if self._timer is not None:
                self._timer.cancel()

    def _send(self):
        """Give the kernel some; whether it may take more."""
        try:
            sent = send_gathered(self._socket, list(self._pending))
        except socket_errors as error:
            if error.errno not in _BLOCKED:
                self._end(ConnectionLost('cannot send to the other side: %s' % error, errno=error.errno))
            return False
        pending = self._pending
        while sent:
            piece = pending.popleft()
            if len(piece) > sent:
                pending.appendleft(memoryview(piece)[sent:])
                return False
            sent -= len(piece)
        return True

    def _ready(self, events):
        if events & selectors.EVENT_READ and self.is_open:
            self._read()
        if self.is_open and events & selectors.EVENT_WRITE:
            self.flush()
        elif self.is_open:
            self._due()

    def _read(self):
        try:
            buffer = _scratch.buffer
        except AttributeError:
            buffer = _scratch.buffer = bytearray(READ)
        try:
            count = self._socket.recv_into(buffer)
        except socket_errors as error:
            if error.errno not in _BLOCKED:
                self._end(ConnectionLost('the connection broke: %s' % error, errno=error.errno))
            return
        if not count:
            self._end(ConnectionLost('the other side has closed the connection'))
            return
        self._feed(memoryview(buffer)[:count])

    def _feed(self, data):
        self._is_reading = True
        try:
            self._received(self._link.feed(data))
        except ProtocolError as error:
            self._is_reading = False
            self._end(error)
        except Exception as error:
            # A fault of ours. What this read has brought besides is lost, so the rest must not seem whole.
            self._is_reading = False
            self._end(ProtocolError('what has come could not be taken: %s' % type(error).__name__))
            raise
        finally:
            self._is_reading = False

    def _look(self):
        if self._link.keep_alive(monotonic()):
            self._timer = self._loop.call_later(LOOK_EVERY, self._look)
            self.flush()
        else:
            self._end(TimedOut('nothing was heard of the other side for %d s' % GIVE_UP_AFTER))

    def _end(self, error):
        if self.is_open:
            self.close()
            self._lost(error)

    def _watch(self, events):
        if events != self._events:
            before, self._events = self._events, events
            self._loop.watch(self._socket, before, events, self._ready)


class Conduit(object):
    """A link with all that is at its one end: the connection of the moment, descriptors, control messages.

    `sends` and `receives` are protocol.PROGRAM_SENDS and EXECUTOR_SENDS; `max_record` is the most bytes that a control
    message that comes may have. Everything happens on the thread of `loop`.
    Channels that nothing is attached to are to be ended (``link.end``) or stopped (``link.stop``) by the owner. To be
    derived from: the methods that do nothing here tell of what happens.
    """

    def __init__(self, loop, sends, receives, window=WINDOW, max_record=MAX_RECORD):
        self.loop = loop
        self.link = Link(sends, receives, window)
        #: The :class:`Source` of each channel that is sent and the :class:`Sink` of each that is received, if any.
        self.sources = {}
        self.sinks = {}
        self.is_closed = False
        self._carrier = None
        self._decoder = ControlDecoder(max_record)
        self._has_told_settled = False

    # -- to be overridden

    def message_received(self, message):
        """A control message (a dict) has come; it is checked for nothing but its ``type``. May raise ProtocolError."""

    def connection_lost(self, error):
        """The connection is gone; another one may take its place."""

    def protocol_broken(self, error):
        """The peer has the key and yet did what is not allowed: what flows cannot be relied on any more."""

    def channel_ended(self, channel):
        """All of a channel has come, or it was stopped and has ended; not called for what a sink takes."""

    def settled(self):
        """All is said and received on both sides, and written: the link has no more use. Called once."""

    # -- the owner

    @property
    def is_connected(self):
        """Whether there is a connection."""
        return self._carrier is not None

    @property
    def is_flushed(self):
        """Whether the kernel has taken all that there was to send."""
        return self._carrier is None or self._carrier.is_flushed

    def adopt(self, sock, trailing=b'', is_silent=False):
        """Carry the link over a proven socket that does not block, in place of the one before.

        If it `is_silent` nothing is written before :meth:`speak`: what there is to say then goes in one packet.
        """
        self.drop()
        carrier = self._carrier = Carrier(self.loop, sock, self.link, self._handle,
                                          self._look_whether_settled, self.flush, self._lose)
        carrier.start(trailing, is_silent)

    def speak(self):
        """Write from the next :meth:`flush` on."""
        if self._carrier is not None:
            self._carrier.speak()

    def drop(self):
        """Close the connection; the link stays."""
        carrier, self._carrier = self._carrier, None
        if carrier is not None:
            carrier.close()

    def attach_source(self, channel, descriptor, is_own=True, closed=None, is_wanted=True):
        """Send what a descriptor gives, which is ours from now on; the :class:`Source`."""
        source = self.sources[channel] = Source(self, channel, descriptor, is_own, closed, is_wanted)
        return source

    def attach_sink(self, channel, descriptor, is_own=True, closed=None, written=None):
        """Write what comes to a descriptor, which is ours from now on; the :class:`Sink`."""
        def sink_closed(sink):
            if closed is not None:
                closed(sink)
            self._look_whether_settled()

        sink = self.sinks[channel] = Sink(self, channel, descriptor, is_own, sink_closed, written)
        return sink

    def send_message(self, message):
        """Send a control message (a dict). UsageError if it is too long, or too many wait."""
        self.link.send(CONTROL, encode_control(message))
        self.flush()

    def flush(self):
        """Write what the link has to say, if there is a connection. To be called after everything done to the link."""
        if self._carrier is not None:
            self._carrier.flush()

    def finish_sinks(self):
        """Nothing more will come: let the sinks write what they have, and close."""
        for sink in list(self.sinks.values()):
            sink.finish()

    def close(self):
        """Close the connection and all descriptors at once; nothing is told any more. Twice is fine."""
        self.is_closed = True
        self.drop()
        for pump in list(self.sources.values()) + list(self.sinks.values()):
            pump.close()

    # -- the carrier's

    def _handle(self, events):
        for event in events:
            if self.is_closed:
                return
            kind = type(event)
            if kind is Data:
                self._take(*event)
            elif kind is Ended:
                self._end(event.channel)
            elif event.channel in self.sources:
                source = self.sources[event.channel]
                source.update() if kind is Room else source.stopped()

    def _take(self, channel, data):
        if channel == CONTROL:
            self.link.consumed(CONTROL, len(data))
            for message in self._decoder.feed(data):
                if not self.is_closed:
                    self.message_received(message)
        elif channel in self.sinks:
            self.sinks[channel].put(data)
        else:
            self.link.stop(channel)

    def _end(self, channel):
        if channel in self.sinks:
            self.sinks[channel].finish()
        else:
            self.channel_ended(channel)

    def _lose(self, error):
        self._carrier = None
        if self.is_closed:
            return
        if isinstance(error, ProtocolError):
            self.protocol_broken(error)
            return
        # The other side may have hung up because it has everything, and our last words went nowhere.
        had_told = self._has_told_settled
        self._look_whether_settled()
        if had_told or not self._has_told_settled:
            self.connection_lost(error)

    def _look_whether_settled(self):
        if (not self._has_told_settled and not self.is_closed and self.link.is_settled and self.is_flushed
                and not any(sink.is_open for sink in self.sinks.values())):
            self._has_told_settled = True
            self.settled()

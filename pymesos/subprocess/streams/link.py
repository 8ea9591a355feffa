"""Several streams of bytes in each direction over one connection that may be cut and made anew. Sans-I/O.

A :class:`Link` outlives its connections: it numbers the bytes of every channel, keeps what it has sent until the peer
says that it has it, and after a new connection sends what the peer lacks. Nothing is lost, nothing comes twice. The
receiver allows how much may be sent, so that neither side ever holds more than a window of each channel.
"""
from __future__ import absolute_import, division, print_function

from collections import deque, namedtuple

from ...errors import ProtocolError, UsageError
from . import protocol
from .protocol import (CONTROL, CREDIT, DATA, END, HEAD_SIZE, MOST_OF_A_PAYLOAD, PING, PONG, RESUME, STOP, pack_head,
                       read_head)

__all__ = ['ASK_AFTER', 'Data', 'Ended', 'GIVE_UP_AFTER', 'LOOK_EVERY', 'Link', 'MAX_CONTROL', 'Room', 'Stopped',
           'WINDOW', 'append_piece']

#: Bytes of each channel that may be under way.
WINDOW = 256 * 1024

#: Bytes of control messages that may wait to be sent.
MAX_CONTROL = 32 * 1024 * 1024

#: Seconds of silence after which the peer is asked for a sign of life, after which it is given up, and between looks.
ASK_AFTER, GIVE_UP_AFTER, LOOK_EVERY = 20.0, 60.0, 5.0

#: So many bytes hold any frame but DATA, whose bytes are not looked at.
MOST_OF_A_FRAME = HEAD_SIZE + MOST_OF_A_PAYLOAD

#: Pieces below this many bytes are copied together rather than kept and sent one by one.
SMALL = 8192

#: A control message is kept in pieces of this many bytes, so that it goes as it is acknowledged.
CONTROL_PIECE = 64 * 1024

#: Bytes arrived: `data` is a memoryview of what was fed, so copy (``tobytes()``) what is to stay.
Data = namedtuple('Data', ['channel', 'data'])

#: The peer has ended the channel, and all of it has arrived.
Ended = namedtuple('Ended', ['channel'])

#: The peer wants no more of the channel; it is ended now, and what is sent goes nowhere.
Stopped = namedtuple('Stopped', ['channel'])

#: More may be sent on the channel.
Room = namedtuple('Room', ['channel'])


class Link(object):
    """One end of a link. For one thread at a time.

    `sends` and `receives` are the channels of this side (protocol.PROGRAM_SENDS and EXECUTOR_SENDS); `window` is how
    many bytes of a channel the peer may send ahead of :meth:`consumed`, and how many of ours are kept until it has
    them.

    The one who owns the connection calls :meth:`connected` when it is proven, :meth:`feed` with what arrives, writes
    what :meth:`output` gives (after every call of anything here), calls :meth:`keep_alive`, and :meth:`disconnected`
    at its end.
    """

    def __init__(self, sends, receives, window=WINDOW):
        self._senders = [_Sender(channel, window) for channel in sorted(sends)]
        self._receivers = [_Receiver(channel, window) for channel in sorted(receives)]
        self._sends = dict((sender.channel, sender) for sender in self._senders)
        self._receives = dict((receiver.channel, receiver) for receiver in self._receivers)
        #: Whether there is a connection.
        self.is_connected = False
        self._is_resumed = False            # the peer's RESUME is here
        self._frames = deque()              # of ours that do not belong to a stream's bytes, at most a few
        self._owes_pong = False
        self._held = bytearray()            # a frame that has begun; of DATA only the head
        self._wanted = HEAD_SIZE            # bytes that it has
        self._left = 0                      # bytes that are to come of the DATA under way
        self._receiver = None               # and whose they are
        self._has_heard = False             # since the last look
        self._heard_at = None

    # -- sending

    def room(self, channel):
        """How many bytes may be sent on the channel now."""
        return self._sends[channel].room()

    def send(self, channel, data):
        """Send bytes. UsageError beyond :meth:`room`; a control channel takes up to MAX_CONTROL without it.

        On a channel that the peer has stopped they go nowhere.
        """
        sender = self._sends[channel]
        if sender.is_stopped or not data:
            return
        if sender.is_ended:
            raise UsageError('cannot send on channel %d: it was ended' % channel)
        if channel == CONTROL:
            if sender.offset - sender.acknowledged + len(data) > MAX_CONTROL:
                raise UsageError('cannot send %d bytes of control messages: %d wait already, of at most %d'
                                 % (len(data), sender.offset - sender.acknowledged, MAX_CONTROL))
            for start in range(0, len(data), CONTROL_PIECE):
                sender.add(data[start:start + CONTROL_PIECE])
        elif len(data) > sender.room():
            raise UsageError('cannot send %d bytes on channel %d: there is room for %d'
                             % (len(data), channel, sender.room()))
        else:
            sender.add(data)

    def end(self, channel):
        """End the channel after what was sent; twice is fine."""
        self._sends[channel].is_ended = True

    def is_stopped(self, channel):
        """Whether the peer wants no more of a channel that we send."""
        return self._sends[channel].is_stopped

    # -- receiving

    def consumed(self, channel, count):
        """So many bytes of the channel's Data are done with: the peer may send as many more."""
        receiver = self._receives[channel]
        if receiver.is_stopped:
            return
        if count > receiver.received - receiver.consumed:
            raise UsageError('cannot have consumed %d bytes of channel %d: %d are there'
                             % (count, channel, receiver.received - receiver.consumed))
        receiver.consumed += count

    def stop(self, channel):
        """Want no more of the channel: no Data of it comes any more, at last Ended does. Twice is fine."""
        receiver = self._receives[channel]
        if not receiver.is_stopped:
            receiver.is_stopped = True
            receiver.owes_stop = receiver.final is None

    def received(self, channel):
        """How many bytes of the channel have arrived, in all."""
        return self._receives[channel].received

    # -- the connection

    def connected(self, now=None):
        """There is a proven connection, with nothing sent or read of it so far. `now` is the monotonic time."""
        self.disconnected()
        self.is_connected = True
        self._has_heard = False
        self._heard_at = now
        self._frames.append(protocol.pack_resume([receiver.tell() for receiver in self._receivers]))

    def disconnected(self):
        """The connection is gone; twice is fine."""
        self.is_connected = self._is_resumed = self._owes_pong = False
        self._frames.clear()
        del self._held[:]
        self._wanted, self._left, self._receiver = HEAD_SIZE, 0, None

    def keep_alive(self, now):
        """To be called about every LOOK_EVERY seconds while connected, with the monotonic time; may want to send.

        False if nothing was heard of the peer for GIVE_UP_AFTER seconds: the connection is of no use.
        """
        if self._has_heard or self._heard_at is None:
            self._has_heard, self._heard_at = False, now
        silence = now - self._heard_at
        if silence >= ASK_AFTER and self._is_resumed and not self._frames:
            self._frames.append(pack_head(PING, CONTROL, 0))
            self._tell_all()
        return silence < GIVE_UP_AFTER

    @property
    def is_settled(self):
        """Whether all channels have ended both ways and each side has told the other that it has everything.

        What :meth:`output` gave last may still have to be written, and what has arrived to be consumed.
        """
        return (all(sender.is_ended and sender.acknowledged == sender.offset + 1 for sender in self._senders)
                and all(receiver.is_done for receiver in self._receivers))

    @property
    def has_nothing_to_hear(self):
        """Whether it is settled but for what the other side has of ours: all has come, and we have said our last.

        That is so only while connected; what :meth:`output` gave last may still have to be written.
        """
        return (self._is_resumed and all(sender.is_ended and not sender.is_end_due for sender in self._senders)
                and all(receiver.is_done for receiver in self._receivers))

    @property
    def may_be_silent(self):
        """Whether there is nothing to say just now, or only that channels have ended or are read no more."""
        return (self._is_resumed and not self._frames and not self._owes_pong
                and not any(receiver.is_news for receiver in self._receivers)
                and not any(sender.fresh for sender in self._senders))

    def output(self):
        """The bytes to write to the connection now, in order: a list, perhaps empty. Never much more than a window."""
        if not self.is_connected:
            return []
        pieces = list(self._frames)
        self._frames.clear()
        if not self._is_resumed:
            return pieces
        if self._owes_pong:
            self._owes_pong = False
            pieces.append(pack_head(PONG, CONTROL, 0))
        for receiver in self._receivers:
            receiver.emit(pieces)
        for sender in self._senders:
            sender.emit(pieces)
        # That a channel's end has come is told along with something else, or at the end of all: nobody waits for it
        # before.
        if pieces or all(receiver.final is not None for receiver in self._receivers):
            pieces.extend(protocol.pack_credit(*receiver.tell()) for receiver in self._receivers if receiver.owes_end)
        return pieces

    def feed(self, data):
        """What bytes of the connection (or a memoryview of some) mean: a list of Data, Ended, Stopped and Room.

        Raises :class:`ProtocolError` if the peer does not keep to the protocol; the link must be given up then.
        """
        self._has_heard = True
        events = []
        view = memoryview(data)
        position, size = 0, len(view)
        held = self._held
        while position < size:
            if self._left:
                piece = view[position:position + self._left]
                position += len(piece)
                self._left -= len(piece)
                if self._receiver.take(len(piece)):
                    events.append(Data(self._receiver.channel, piece))
                continue
            if not held and size - position >= HEAD_SIZE:
                taken = self._take_frame(view[position:position + MOST_OF_A_FRAME].tobytes(), events)
                position += taken
                if taken:
                    continue
            end = position + self._wanted - len(held)
            held += view[position:end]
            position = end
            if len(held) == self._wanted:
                if self._take_frame(bytes(held), events):
                    del held[:]
                    self._wanted = HEAD_SIZE
        return events

    def _take_frame(self, data, events):
        """Handle the frame that `data` begins with, of DATA only the head; how many bytes it was.

        0 if there has to be more; :attr:`_wanted` is how much then.
        """
        head = read_head(data)
        if head.kind == DATA:
            self._check_resumed(head.kind)
            self._receiver = self._find(self._receives, head)
            self._receiver.expect(head.length)
            self._left = head.length
            return HEAD_SIZE
        length = HEAD_SIZE + head.length
        if len(data) < length:
            self._wanted = length
            return 0
        self._check_resumed(head.kind)
        self._handle(head, data[HEAD_SIZE:length], events)
        return length

    def _check_resumed(self, kind):
        if self._is_resumed == (kind == RESUME):
            raise ProtocolError('a RESUME is the first frame of each connection and no other; the peer sent type %d %s'
                                % (kind, 'later' if self._is_resumed else 'first'))

    def _find(self, channels, head):
        if head.channel not in channels:
            raise ProtocolError('a frame of type %d cannot be of channel %d' % (head.kind, head.channel))
        return channels[head.channel]

    def _handle(self, head, payload, events):
        if head.kind == CREDIT:
            self._credit(self._find(self._sends, head), protocol.unpack_credit(payload), events)
        elif head.kind == END:
            self._find(self._receives, head).finish(protocol.unpack_end(payload))
            events.append(Ended(head.channel))
        elif head.kind == STOP:
            sender = self._find(self._sends, head)
            if head.channel == CONTROL:
                raise ProtocolError('the peer stops the control channel')
            if sender.stop():
                events.append(Stopped(head.channel))
        elif head.kind == RESUME:
            self._resume(protocol.unpack_resume(payload), events)
        elif head.kind == PING:
            self._owes_pong = True
            self._tell_all()

    def _tell_all(self):
        for receiver in self._receivers:
            receiver.must_tell = receiver.is_behind()

    def _credit(self, sender, offsets, events):
        sender.acknowledge(*offsets, most=sender.position if sender.is_end_due else sender.offset + 1)
        if not sender.is_ended and sender.room():
            events.append(Room(sender.channel))

    def _resume(self, entries, events):
        if sorted(entry[0] for entry in entries) != sorted(self._sends):
            raise ProtocolError('the peer resumes the channels %s, ours are %s'
                                % (sorted(entry[0] for entry in entries), sorted(self._sends)))
        self._is_resumed = True
        for entry in entries:
            sender = self._sends[entry[0]]
            sender.acknowledge(*entry[1:], most=sender.offset + 1 if sender.has_emitted_end else sender.emitted)
            sender.rewind()
            if not sender.is_ended and sender.room():
                events.append(Room(sender.channel))
        for receiver in self._receivers:
            receiver.owes_stop = receiver.is_stopped and receiver.final is None


class _Sender(object):
    """A channel that we send. Its bytes from `acknowledged` on are in `kept`, sent before, and then in `fresh`."""

    __slots__ = ('acknowledged', 'channel', 'emitted', 'fresh', 'has_emitted_end', 'is_end_due', 'is_ended',
                 'is_stopped', 'kept', 'kept_start', 'limit', 'offset', 'position', 'window')

    def __init__(self, channel, window):
        self.channel = channel
        self.window = window
        self.offset = 0                 # bytes that were given to us, in all
        self.position = 0               # where `fresh` begins
        self.emitted = 0                # the highest position ever
        self.acknowledged = 0           # what the peer has; one more than `offset` once it has the END
        self.limit = 0                  # up to where the peer allows
        self.kept = deque()
        self.kept_start = 0             # where `kept` begins; at or before `acknowledged`
        self.fresh = deque()
        self.is_ended = self.is_stopped = False
        self.is_end_due = True          # it has not been sent on this connection
        self.has_emitted_end = False    # on any

    def room(self):
        # A peer may allow more than we want to keep.
        if self.is_ended:
            return 0
        return max(0, min(self.limit, self.acknowledged + self.window) - self.offset)

    def add(self, data):
        self.offset += len(data)
        append_piece(self.fresh, data)

    def emit(self, pieces):
        allowed = self.limit - self.position
        fresh = self.fresh
        while fresh and allowed > 0:
            data = fresh.popleft()
            most = min(allowed, protocol.MAX_PAYLOAD)
            if len(data) > most:
                fresh.appendleft(data[most:])
                data = data[:most]
            head = pack_head(DATA, self.channel, len(data))
            if len(data) < SMALL:
                pieces.append(head + data)
            else:
                pieces.append(head)
                pieces.append(data)
            self.position += len(data)
            allowed -= len(data)
            append_piece(self.kept, data)
        self.emitted = max(self.emitted, self.position)
        if self.is_ended and self.is_end_due and not fresh:
            self.is_end_due = False
            if self.acknowledged <= self.offset:
                self.has_emitted_end = True
                pieces.append(protocol.pack_end(self.channel, self.offset))

    def acknowledge(self, received, limit, most):
        most = max(most, self.acknowledged)
        if not self.acknowledged <= received <= most or limit < self.limit:
            raise ProtocolError('the peer has received %d bytes of channel %d and allows %d: %d are sent, %d were '
                                'received and %d allowed before'
                                % (received, self.channel, limit, most, self.acknowledged, self.limit))
        self.acknowledged = received
        self.limit = limit
        kept = self.kept
        while kept and self.kept_start + len(kept[0]) <= received:
            self.kept_start += len(kept.popleft())

    def rewind(self):
        """On a new connection: what the peer has not received is to be sent again."""
        kept = self.kept
        if kept and self.kept_start < self.acknowledged:
            kept[0] = kept[0][self.acknowledged - self.kept_start:]
        self.fresh.extendleft(reversed(kept))
        kept.clear()
        if not self.is_stopped:
            self.kept_start = self.position = min(self.acknowledged, self.offset)
        self.is_end_due = True

    def stop(self):
        """The peer wants no more; whether that is new."""
        is_new = not self.is_stopped
        self.is_stopped = self.is_ended = True
        self.kept.clear()
        self.fresh.clear()
        self.kept_start = self.position = self.offset
        return is_new


class _Receiver(object):
    """A channel that we receive."""

    __slots__ = ('channel', 'consumed', 'final', 'is_stopped', 'limit', 'must_tell', 'owes_stop',
                 'received', 'told', 'window')

    def __init__(self, channel, window):
        self.channel = channel
        self.window = window
        self.received = 0
        self.consumed = 0
        self.limit = 0                  # up to where we have allowed the peer to send
        self.told = 0                   # how much of `received` the peer was told of, with the END counted
        self.final = None               # where it ends, once that has come
        self.is_stopped = self.owes_stop = self.must_tell = False

    def count(self):
        return self.received + (self.final is not None)

    def is_behind(self):
        return self.told < self.count()

    @property
    def owes_end(self):
        return self.final is not None and self.is_behind()

    @property
    def is_done(self):
        return self.final is not None and not self.is_behind()

    def tell(self):
        """(channel, received, limit), which the peer is told now."""
        self.told = self.count()
        self.limit = self.consumed + self.window
        self.must_tell = False
        return self.channel, self.told, self.limit

    def emit(self, pieces):
        if self.owes_stop:
            self.owes_stop = False
            pieces.append(pack_head(STOP, self.channel, 0))
        if self.is_news:
            pieces.append(protocol.pack_credit(*self.tell()))

    @property
    def is_news(self):
        news = self.consumed + self.window - self.limit
        return self.must_tell or 4 * news >= self.window and self.final is None

    def expect(self, length):
        if self.final is not None or self.received + length > self.limit:
            raise ProtocolError('the peer sends %d bytes of channel %d, of which it has sent %d: it %s'
                                % (length, self.channel, self.received, 'had ended it' if self.final is not None
                                   else 'may send up to %d' % self.limit))

    def take(self, length):
        """So many bytes have come; whether they are wanted."""
        self.received += length
        return not self.is_stopped

    def finish(self, final):
        # What was under way when we had stopped it is gone; a connection made anew since does not bring it again.
        is_right = self.received <= final <= self.limit if self.is_stopped else final == self.received
        if self.final is not None or not is_right:
            raise ProtocolError('the peer ends channel %d at %d: %d bytes have come%s'
                                % (self.channel, final, self.received,
                                   '' if self.final is None else ', and it had ended it'))
        self.received = self.final = final
        self.owes_stop = False


def append_piece(queue, data):
    """Add bytes to a queue, small ones to those before, so that each piece costs as much memory as it has bytes."""
    if queue and len(queue[-1]) + len(data) <= SMALL:
        queue[-1] += data
    else:
        queue.append(data)

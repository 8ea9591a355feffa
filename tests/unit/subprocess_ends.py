"""Both ends of a link, and a connection between them that may be cut at any byte."""
from __future__ import absolute_import, division, print_function

from pymesos.subprocess.streams.link import WINDOW, Data, Ended, Link, Room, Stopped
from pymesos.subprocess.streams.protocol import EXECUTOR_SENDS, PROGRAM_SENDS


class End(object):
    """A link with what was put in and what came out of it."""

    def __init__(self, sends, receives, window):
        self.link = Link(sends, receives, window)
        self.sends, self.receives, self.window = sends, receives, window
        self.sent = dict((channel, bytearray()) for channel in sends)
        self.got = dict((channel, bytearray()) for channel in receives)
        self.unconsumed = dict((channel, 0) for channel in receives)
        self.ended, self.stopped, self.rooms = set(), set(), set()
        self.has_stopped = set()
        self.is_done = set()            # channels that we have ended

    def send(self, channel, size):
        """Send as many of `size` bytes as there is room for (of control messages some windows more); how many."""
        if channel in self.is_done:
            return 0
        size = min(size, self.link.room(channel) if channel else 20 * self.window)
        # A pattern with no short period, so that bytes at a wrong place are seen.
        start = len(self.sent[channel])
        data = bytes(bytearray((position * 31 + position // 251) % 256 for position in range(start, start + size)))
        self.link.send(channel, data)
        if channel not in self.stopped:
            self.sent[channel] += data
        return size

    def end(self, channel):
        self.is_done.add(channel)
        self.link.end(channel)

    def stop(self, channel):
        self.has_stopped.add(channel)
        self.unconsumed[channel] = 0
        self.link.stop(channel)

    def consume(self, channel, count):
        count = min(count, self.unconsumed[channel])
        self.unconsumed[channel] -= count
        self.link.consumed(channel, count)

    def feed(self, data):
        for event in self.link.feed(data):
            kind, channel = type(event), event.channel
            if kind is Data:
                assert channel not in self.has_stopped and channel not in self.ended
                self.got[channel] += event.data.tobytes()
                self.unconsumed[channel] += len(event.data)
            elif kind is Ended:
                assert channel not in self.ended
                self.ended.add(channel)
            elif kind is Stopped:
                assert channel not in self.stopped
                self.stopped.add(channel)
                self.is_done.add(channel)
            else:
                assert kind is Room
                self.rooms.add(channel)

    def check(self):
        """Nothing holds more than the window allows."""
        for channel in self.receives:
            assert self.unconsumed[channel] <= self.window
        for sender in self.link._senders:
            held = sum(map(len, sender.kept)) + sum(map(len, sender.fresh))
            assert sender.kept_start + held == sender.offset or sender.is_stopped
            assert sender.kept_start <= sender.acknowledged or sender.is_stopped
            if sender.channel:
                # And what was acknowledged of the first piece, which goes as a whole.
                assert sender.offset - sender.acknowledged <= self.window
                assert held <= self.window + (len(sender.kept[0]) if sender.kept else 0)


class Connected(object):
    """The ends of the program and of the executor, and the bytes that are under way between them."""

    def __init__(self, window=WINDOW):
        self.program = End(PROGRAM_SENDS, EXECUTOR_SENDS, window)
        self.executor = End(EXECUTOR_SENDS, PROGRAM_SENDS, window)
        self.ends = (self.program, self.executor)
        self.is_connected = False
        self.cuts = 0
        self._under_way = {self.program: bytearray(), self.executor: bytearray()}     # by receiver

    def other(self, end):
        return self.executor if end is self.program else self.program

    def connect(self):
        if not self.is_connected:
            self.is_connected = True
            for end in self.ends:
                end.link.connected(0.0)

    def cut(self):
        """Lose what is under way."""
        if self.is_connected:
            self.is_connected = False
            self.cuts += 1
            for end in self.ends:
                end.link.disconnected()
                del self._under_way[end][:]

    def write(self, end):
        """Let an end write what it has to say."""
        for piece in end.link.output():
            self._under_way[self.other(end)] += piece

    def deliver(self, end, count=None):
        """Let at most `count` bytes arrive at an end; how many."""
        data = self._under_way[end][:count]
        del self._under_way[end][:len(data)]
        end.feed(bytes(data))
        return len(data)

    def shuttle(self):
        """Let everything arrive that is under way, and what comes of it."""
        is_moving = True
        while is_moving:
            is_moving = False
            for end in self.ends:
                self.write(end)
                is_moving |= bool(self.deliver(self.other(end)))

    def finish(self):
        """Connect, end everything, and let it all arrive."""
        self.connect()
        for end in self.ends:
            for channel in end.sends:
                end.end(channel)
        for _ in range(20000):
            self.shuttle()
            for end in self.ends:
                for channel in end.receives:
                    end.consume(channel, end.unconsumed[channel])
            if all(end.link.is_settled for end in self.ends):
                return
        raise AssertionError('it does not come to an end')

"""Two conduits on one loop, with a connection between them, and what they were told."""
from __future__ import absolute_import, division, print_function

import fcntl
import os
import socket
from contextlib import contextmanager

from pymesos._compat import close_on_exec
from pymesos.serving.loop import Loop
from pymesos.subprocess.streams.carrier import Conduit
from pymesos.subprocess.streams.protocol import EXECUTOR_SENDS, PROGRAM_SENDS
from pymesos.testing import wait_until


class Recording(Conduit):
    """A conduit that remembers what it was told."""

    def __init__(self, *args):
        super(Recording, self).__init__(*args)
        self.messages, self.errors, self.broken, self.ended, self.settlings = [], [], [], [], 0

    def message_received(self, message):
        self.messages.append(message)

    def connection_lost(self, error):
        self.errors.append(error)

    def protocol_broken(self, error):
        self.broken.append(error)

    def channel_ended(self, channel):
        self.ended.append(channel)

    def settled(self):
        self.settlings += 1


class World(object):
    """`program` and `executor` on `loop`. Their methods are to be called with :meth:`do`."""

    def __init__(self):
        self.faults = []
        self.loop = Loop('test-conduits', failed=self.faults.append).start()
        self.turns = 0
        select = self.loop.selector.select

        def counted(timeout=None):
            self.turns += 1
            return select(timeout)

        self.loop.selector.select = counted
        self.program = Recording(self.loop, PROGRAM_SENDS, EXECUTOR_SENDS)
        self.executor = Recording(self.loop, EXECUTOR_SENDS, PROGRAM_SENDS)
        self.sockets = ()

    def do(self, function, *args, **kwargs):
        """Call it on the loop's thread; what it returns."""
        return self.loop.carry_out(lambda: function(*args, **kwargs))

    def connect(self):
        """Make a connection, in place of one that there is."""
        self.sockets = socket.socketpair()
        for sock in self.sockets:
            close_on_exec(sock)
            sock.setblocking(False)
        self.do(self.program.adopt, self.sockets[0])
        self.do(self.executor.adopt, self.sockets[1])

    def cut(self):
        """End the connection at the executor's end; what is under way to it is lost."""
        self.do(self.executor.drop)
        wait_until(lambda: not self.program.is_connected)

    def close(self):
        self.do(self.program.close)
        self.do(self.executor.close)
        self.loop.stop()
        assert not self.faults, self.faults

    def rests(self):
        """Wait until nothing goes on any more; fails if something goes on for ever."""
        def counted():
            before = self.turns
            # What one turn leads to happens in the next few, at once.
            for _ in range(20):
                self.do(int)
            return self.turns - before <= 21
        wait_until(counted, message='the loop to rest')


@contextmanager
def running():
    world = World()
    try:
        yield world
    finally:
        world.close()


def make_pipe():
    """(read end, write end), close-on-exec and blocking."""
    ends = os.pipe()
    for end in ends:
        close_on_exec(end)
    return ends


def is_blocking(descriptor):
    return not fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_NONBLOCK


def is_open(descriptor):
    try:
        fcntl.fcntl(descriptor, fcntl.F_GETFD)
    except (IOError, OSError):
        return False
    return True


def read_all(descriptor):
    """All bytes up to the end; the descriptor is closed."""
    data = bytearray()
    while True:
        piece = os.read(descriptor, 1 << 16)
        if not piece:
            os.close(descriptor)
            return bytes(data)
        data += piece

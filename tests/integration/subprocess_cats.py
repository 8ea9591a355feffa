"""Executors whose command is ``cat``, and sessions that stream to them and back."""
from __future__ import absolute_import, division, print_function

import hashlib
import os
import threading

from pymesos._compat import close_on_exec
from pymesos.serving.loop import Loop
from pymesos.subprocess.agent.dialler import Dialler, Exchange
from pymesos.subprocess.streams.carrier import Conduit
from pymesos.subprocess.streams.protocol import EXECUTOR_SENDS, PROGRAM_SENDS, STDIN, STDOUT
from pymesos.subprocess.streams.session import Session
from pymesos.testing import wait_until

TIMEOUT = 120.0


class CatLoop(Loop):
    """A loop that executors share, which it closes at its end."""

    def __init__(self, failed):
        self.cats = []
        super(CatLoop, self).__init__('cats', self._close_cats, failed)

    def _close_cats(self):
        for cat in self.cats:
            cat.dialler.cancel()
            cat.close()


class Cat(Conduit):
    """An executor whose command is ``cat``: what comes on stdin goes out on stdout."""

    def __init__(self, loop, address, session):
        super(Cat, self).__init__(loop, EXECUTOR_SENDS, PROGRAM_SENDS)
        self.losses = []
        self.dialler = Dialler(Exchange(loop), address, session.identity, session.key, self.adopt, self.losses.append)

    def message_received(self, message):
        reader, writer = (close_on_exec(end) for end in os.pipe())
        self.attach_sink(STDIN, writer)
        self.attach_source(STDOUT, reader, closed=lambda _source: self.loop.order(self._exit))
        self.send_message({'type': 'STARTED', 'pid': 1, 'hostname': u'here'})

    def connection_lost(self, error):
        self.losses.append(error)
        self.dialler.again(str(error))

    def _exit(self):
        self.send_message({'type': 'EXITED', 'returncode': 0, 'drained': {}})
        for channel in EXECUTOR_SENDS:
            self.link.end(channel)
        self.flush()

    def settled(self):
        self.close()


class Stream(threading.Thread):
    """A session that writes random bytes to a cat, and reads them back, until it is told to finish."""

    make_cat = Cat

    def __init__(self, hub, loop, address=None):
        super(Stream, self).__init__(name='stream')
        self.daemon = True
        self.session = Session(hub.loop, os.urandom(16), os.urandom(32))
        self.told = []
        self.session.on_exited = lambda returncode: self.told.append(returncode)
        self.session.on_broken = self.told.append
        self.session.on_connected = self._connected
        self.is_finishing = False
        self.got = 0
        self._ready = threading.Event()
        hub.loop.carry_out(lambda: hub.expect(self.session))
        self.cat = self.make_cat(loop, address or hub.address, self.session)
        loop.cats.append(self.cat)
        loop.carry_out(self.cat.dialler.start)
        self.start()

    def _connected(self, session):
        reader, self._writer = (close_on_exec(end) for end in os.pipe())
        self._reader, writer = (close_on_exec(end) for end in os.pipe())
        session.attach(STDIN, reader)
        session.attach(STDOUT, writer)
        session.start({'type': 'START'})
        self._ready.set()

    def run(self):
        assert self._ready.wait(TIMEOUT)
        sent = hashlib.sha1()
        got = hashlib.sha1()

        def write():
            block = os.urandom(50000)
            while not self.is_finishing:
                sent.update(block)
                view = memoryview(block)
                while len(view):
                    view = view[os.write(self._writer, view):]
            os.close(self._writer)

        writer = threading.Thread(target=write)
        writer.start()
        while True:
            data = os.read(self._reader, 65536)
            if not data:
                break
            got.update(data)
            self.got += len(data)
        os.close(self._reader)
        writer.join()
        self.is_right = sent.digest() == got.digest()

    def finish(self, losses=False):
        """Write no more, and check that all came back; and that connections were lost, or not, as `losses` says."""
        self.is_finishing = True
        self.join(TIMEOUT)
        assert not self.is_alive() and self.is_right
        wait_until(lambda: self.told and self.session.is_gone, timeout=TIMEOUT, message=lambda: repr(self.told))
        assert self.told == [0] and losses in (None, bool(self.cat.losses))

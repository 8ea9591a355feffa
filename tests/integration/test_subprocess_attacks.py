"""Attacks on the port of subprocess while sessions stream over it, which must not be disturbed."""
from __future__ import absolute_import, division, print_function

import gc
import os
import random
import resource
import socket
import struct
import sys
import threading
import time

import pytest

from pymesos._compat import close_on_exec, monotonic
from pymesos.subprocess.streams import hub as hub_module
from pymesos.subprocess.streams.hub import HANDSHAKE_TIMEOUT, MAX_STRANGERS, Hub
from pymesos.subprocess.streams.protocol import make_hello, pack_head, pack_resume
from pymesos.testing import wait_until
from subprocess_cats import TIMEOUT, CatLoop, Stream

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'unit'))
from subprocess_dialling import answer, ask, connect  # noqa: E402

#: Sessions that stream, and bytes that each sends and gets back before, while and after somebody attacks, at least.
SESSIONS = 4
LEAST = 3000000

#: Half-open connections; each has two descriptors in this process.
HALF_OPEN = 1000

#: Seconds in which whoever has shown no secret is gone, also where threads stand still now and then.
BOUNDED = 6 * HANDSHAKE_TIMEOUT

RESET = struct.pack('ii', 1, 0)


def descriptors():
    return len(os.listdir('/proc/self/fd'))


def resident():
    """Bytes of memory that this process has."""
    with open('/proc/self/statm') as stream:
        return int(stream.read().split()[1]) * resource.getpagesize()


@pytest.fixture(scope='module', autouse=True)
def many_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * HALF_OPEN
    if soft != resource.RLIM_INFINITY and soft < wanted:
        if hard != resource.RLIM_INFINITY and hard < wanted:
            pytest.skip('needs %d descriptors' % wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def faults():
    return []


@pytest.fixture
def hub(faults):
    hub = Hub(failed=faults.append).start()
    hub.path = hub.publish('s' * 32, 'pymesos.zip', os.urandom(500000))
    yield hub
    hub.stop()
    assert not faults, faults


@pytest.fixture
def loop(faults):
    loop = CatLoop(faults.append).start()
    yield loop
    loop.stop()


@pytest.fixture
def streams(hub, loop):
    """Sessions that stream; afterwards each of them has to have gone on, and to end well."""
    streams = [Stream(hub, loop) for _ in range(SESSIONS)]
    wait_until(lambda: all(stream.got > LEAST for stream in streams), timeout=TIMEOUT)
    yield streams
    before = [stream.got for stream in streams]
    wait_until(lambda: all(stream.got > got + LEAST for stream, got in zip(streams, before)), timeout=TIMEOUT,
               message='the streams to go on')
    for stream in streams:
        stream.is_finishing = True
    for stream in streams:
        stream.finish()


def attack(function, count, at_once=8):
    """Call the function `count` times, from several threads."""
    errors, left = [], list(range(count))

    def work():
        try:
            while left and not errors:
                function(left.pop())
        except IndexError:
            pass
        except Exception as error:      # for the test's thread
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT)
    assert not errors, errors


def check_nothing_is_left(hub, before):
    """No stranger is held any more, no descriptor of one, and no memory to speak of."""
    wait_until(lambda: not hub._strangers and not hub._listener.connections, timeout=TIMEOUT)
    wait_until(lambda: descriptors() <= before[0], timeout=TIMEOUT, message=lambda: '%d' % descriptors())

    def is_small():
        gc.collect()
        # The attackers' own megabytes among them, which PyPy keeps for a while.
        return resident() - before[1] < 128 * 1024 * 1024

    wait_until(is_small, timeout=TIMEOUT, message=lambda: '%d bytes to shrink to %d' % (resident(), before[1]))


def test_peers_without_a_secret_get_no_byte(hub, streams, random_seed):
    chance = random.Random(random_seed)
    identities = [stream.session.identity for stream in streams]
    before = descriptors(), resident()
    garbage = [
        lambda: os.urandom(chance.randrange(1, 300)),
        lambda: b'pymesos\x01' + os.urandom(68),
        lambda: make_hello(os.urandom(32), chance.choice(identities), chance.randrange(2 ** 32), os.urandom(16)),
        lambda: make_hello(os.urandom(32), os.urandom(16), 1, os.urandom(16)),
        lambda: b'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
        lambda: b'GET %s HTTP/1.1\r\n\r\n' % hub.path.replace('s', 't', 1).encode('ascii'),
        lambda: b'POST /api/v1/scheduler HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello',
        lambda: b'GET /' + os.urandom(5000),
        lambda: b'\x16\x03\x01' + os.urandom(200),
        lambda: pack_resume([(0, 0, 1), (2, 0, 1), (3, 0, 1)]) + pack_head(1, 2, 10) + b'x' * 10,
        lambda: b'pymesos\x01' + b'x' * 2000000,
        lambda: os.urandom(2000000),
    ]

    def strike(number):
        data = garbage[number % len(garbage)]()
        got = ask(hub, data)
        assert got == b'', (data[:100], got[:100])

    attack(strike, 600)
    check_nothing_is_left(hub, before)


def test_half_open_connections_by_the_thousand_cost_neither_memory_nor_work(hub, streams):
    before = descriptors(), resident()
    socks = []
    for number in range(HALF_OPEN):
        sock = connect(hub)
        if number % 3 == 1:
            sock.sendall(b'pymesos\x01')
        elif number % 3 == 2:
            sock.sendall(b'GET /' + b'x' * 1000)
        socks.append(sock)
    wait_until(lambda: hub._listener.accepted >= HALF_OPEN + SESSIONS, timeout=TIMEOUT)
    # On the loop's thread: in between, the newest is there and the oldest not yet gone.
    assert hub.loop.carry_out(lambda: len(hub._strangers)) <= MAX_STRANGERS
    # Whoever has the secret comes in at once, however many wait at the door.
    late = Stream(hub, streams[0].cat.loop)
    wait_until(lambda: late.got, timeout=TIMEOUT)
    begun = monotonic()
    for sock in socks:
        sock.settimeout(TIMEOUT)
        assert answer(sock) == b''
    assert monotonic() - begun < BOUNDED
    late.finish()
    check_nothing_is_left(hub, before)


def test_slow_drips_are_closed_in_time_and_oversize_at_once(hub, streams):
    before = descriptors(), resident()
    hello = make_hello(os.urandom(32), streams[0].session.identity, 9, os.urandom(16))
    request = ('GET %s HTTP/1.1\r\n' % hub.path).encode('ascii') + b'x: y\r\n' * 100
    begun = monotonic()
    drips = [(connect(hub), data) for data in (hello, request) for _ in range(20)]
    position = 0
    while drips and monotonic() - begun < BOUNDED:
        for sock, data in list(drips):
            try:
                # The last byte of a HELLO is kept back.
                sock.sendall(data[position:position + 1] if position < len(data) - 1 else b'')
                sock.setblocking(False)
                assert sock.recv(100) == b''
                is_closed = True
            except socket.error as error:
                is_closed = not isinstance(error, socket.timeout) and error.args[0] not in (11, 35)
            if is_closed:
                sock.close()
                drips.remove((sock, data))
            else:
                sock.settimeout(TIMEOUT)
        position += 1
        time.sleep(0.05)
    assert not drips
    assert monotonic() - begun > HANDSHAKE_TIMEOUT - 1
    check_nothing_is_left(hub, before)


class Wiretap(threading.Thread):
    """A relay that keeps what the dialling side sends."""

    def __init__(self, target):
        super(Wiretap, self).__init__(name='wiretap')
        self.daemon = True
        self.heard = bytearray()
        self._target = target
        self._listener = close_on_exec(socket.socket())
        self._listener.bind(('127.0.0.1', 0))
        self._listener.listen(5)
        self.address = self._listener.getsockname()
        self.start()

    def run(self):
        client = close_on_exec(self._listener.accept()[0])
        server = close_on_exec(socket.create_connection(self._target))
        self._listener.close()
        back = threading.Thread(target=self._relay, args=(server, client, None))
        back.start()
        self._relay(client, server, self.heard)
        back.join()
        client.close()
        server.close()

    @staticmethod
    def _relay(source, sink, heard):
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    break
                if heard is not None and len(heard) < 5000000:
                    heard += data
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except socket.error:
            pass


def test_copies_of_what_an_executor_sent_get_no_byte_and_disturb_nobody(hub, loop, streams):
    tap = Wiretap(hub.address)
    victim = Stream(hub, loop, tap.address)
    wait_until(lambda: victim.got > LEAST, timeout=TIMEOUT)
    before = descriptors(), resident()
    heard = bytes(tap.heard)
    assert heard.startswith(b'pymesos\x01') and len(heard) > LEAST

    def strike(number):
        # A HELLO, a handshake, a session, and one that is cut somewhere.
        got = ask(hub, heard[:[76, 108, len(heard), number * 997 % 5000 + 76][number % 4]])
        assert got == b''

    attack(strike, 200)
    check_nothing_is_left(hub, before)
    wait_until(lambda: victim.got > 2 * LEAST, timeout=TIMEOUT)
    victim.finish()
    # The session is over: not even the first word of it is known any more.
    assert ask(hub, heard[:76]) == b''
    tap.join(TIMEOUT)


def test_connections_that_are_reset_at_once_are_no_trouble(hub, streams):
    before = descriptors(), resident()

    def strike(number):
        sock = connect(hub)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        if number % 2:
            sock.sendall(b'pymesos\x01' + b'x' * 40)
        sock.close()

    attack(strike, 1000)
    check_nothing_is_left(hub, before)


def test_thieves_of_the_bundle_s_path_who_do_not_read_are_closed_in_time(hub, streams, monkeypatch):
    monkeypatch.setattr(hub_module, 'STALLED_AFTER', 0.2)
    path = hub.publish('t' * 32, 'large', b'x' * 20000000)
    before = descriptors(), resident()
    socks = []
    for _ in range(50):
        sock = connect(hub)
        sock.sendall(('GET %s HTTP/1.1\r\n\r\n' % path).encode('ascii'))
        socks.append(sock)
    wait_until(lambda: hub._listener.accepted >= 50 + SESSIONS and not hub._listener.connections, timeout=TIMEOUT)
    for sock in socks:
        sock.close()
    check_nothing_is_left(hub, before)

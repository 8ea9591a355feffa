"""The faults of FaultProxy, on plain sockets."""
from __future__ import absolute_import, division, print_function

import os
import socket
import threading
import time
from contextlib import closing

import pytest

from pymesos._compat import monotonic
from pymesos.errors import UsageError
from pymesos.testing import FaultProxy, ScriptedMaster, wait_until
from pymesos.utils import parse_address


class Pair(object):
    """A client's socket and the one that the target accepted for it."""

    def __init__(self, proxy, listener):
        self.client = socket.create_connection(('127.0.0.1', proxy.port), 30)
        self.target, _ = listener.accept()
        self.target.settimeout(30)

    def close(self):
        self.client.close()
        self.target.close()


@pytest.fixture
def listener():
    with closing(socket.socket()) as listener:
        listener.bind(('127.0.0.1', 0))
        listener.listen(10)
        listener.settimeout(30)
        yield listener


@pytest.fixture
def proxy(listener):
    with FaultProxy('127.0.0.1:%d' % listener.getsockname()[1]) as proxy:
        yield proxy


@pytest.fixture
def pair(proxy, listener):
    with closing(Pair(proxy, listener)) as pair:
        yield pair


def read(sock, count):
    data = b''
    while len(data) < count:
        piece = sock.recv(count - len(data))
        if not piece:
            break
        data += piece
    return data


def read_all(sock):
    """(bytes, None) up to the end, or (bytes, the error)."""
    data = b''
    while True:
        try:
            piece = sock.recv(65536)
        except socket.error as error:
            return data, error
        if not piece:
            return data, None
        data += piece


def test_passes_bytes_both_ways_and_counts_them(proxy, pair):
    pair.client.sendall(b'question')
    assert read(pair.target, 8) == b'question'
    pair.target.sendall(b'the answer')
    assert read(pair.client, 10) == b'the answer'
    assert (proxy.connections, proxy.open_connections, proxy.bytes_up, proxy.bytes_down) == (1, 1, 8, 10)


def test_passes_much(proxy, pair):
    payload = os.urandom(1000) * 10000
    thread = threading.Thread(target=pair.target.sendall, args=(payload,))
    thread.start()
    assert read(pair.client, len(payload)) == payload
    thread.join(30)
    assert proxy.bytes_down == len(payload)


def test_passes_half_closes_and_ends(proxy, pair):
    pair.client.shutdown(socket.SHUT_WR)
    assert pair.target.recv(1) == b''
    pair.target.sendall(b'late')
    pair.target.close()
    assert read_all(pair.client) == (b'late', None)
    wait_until(lambda: proxy.open_connections == 0, message='the proxy to let go')


def test_passes_resets(proxy, pair):
    pair.target.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
    pair.target.close()
    data, error = read_all(pair.client)
    assert data == b'' and error is not None


def test_black_hole_keeps_connections_open_and_forwards_nothing(proxy, pair):
    proxy.black_hole()
    pair.client.sendall(b'lost?')
    pair.target.sendall(b'lost?')
    for sock in (pair.client, pair.target):
        sock.settimeout(0.1)
        with pytest.raises(socket.timeout):
            sock.recv(1)
        sock.settimeout(30)
    proxy.pass_through()
    assert (read(pair.target, 5), read(pair.client, 5)) == (b'lost?', b'lost?')


def test_black_hole_in_one_direction(proxy, pair):
    proxy.black_hole('down')
    pair.client.sendall(b'up')
    assert read(pair.target, 2) == b'up'
    pair.target.sendall(b'down')
    pair.client.settimeout(0.1)
    with pytest.raises(socket.timeout):
        pair.client.recv(1)


def test_black_hole_accepts_and_does_not_tell_the_target(proxy, listener):
    proxy.black_hole()
    with closing(socket.create_connection(('127.0.0.1', proxy.port), 30)) as client:
        client.sendall(b'hello')
        wait_until(lambda: proxy.connections == 1, message='the proxy to accept')
        listener.settimeout(0.1)
        with pytest.raises(socket.timeout):
            listener.accept()
        listener.settimeout(30)
        proxy.pass_through()
        with closing(listener.accept()[0]) as target:
            assert target.recv(100) == b'hello'


def test_black_hole_hides_the_end_as_well(proxy, pair):
    proxy.black_hole()
    pair.client.close()
    pair.target.settimeout(0.1)
    with pytest.raises(socket.timeout):
        pair.target.recv(1)
    proxy.pass_through()
    pair.target.settimeout(30)
    assert pair.target.recv(1) == b''


def test_drip_lets_so_few_bytes_a_second_through(proxy, pair):
    began = monotonic()
    proxy.drip(100)
    pair.target.sendall(b'x' * 30)
    assert read(pair.client, 30) == b'x' * 30
    assert monotonic() - began > 0.25
    pair.target.sendall(b'y' * 100000)
    proxy.pass_through()
    assert read(pair.client, 100000) == b'y' * 100000


def test_fast_drip(proxy, pair):
    began = monotonic()
    proxy.drip(100000, 'both')
    pair.target.sendall(b'x' * 20000)
    assert read(pair.client, 20000) == b'x' * 20000
    assert 0.15 < monotonic() - began < 60      # a byte at a time would last for 200


def test_half_close_looks_like_the_end_of_the_target(proxy, pair):
    proxy.half_close()
    assert pair.client.recv(1) == b''
    pair.client.sendall(b'still there')
    assert read(pair.target, 11) == b'still there'
    pair.target.sendall(b'thrown away')
    pair.client.close()
    assert pair.target.recv(1) == b''
    wait_until(lambda: proxy.open_connections == 0, message='the proxy to let go')


def test_reset_cuts_both_sides(proxy, pair):
    proxy.reset()
    assert read_all(pair.client)[1] is not None
    assert read_all(pair.target)[1] is not None
    assert proxy.open_connections == 0


def test_closed_connections_end_for_both_sides(proxy, pair):
    proxy.close_connections()
    assert (read_all(pair.client), read_all(pair.target)) == ((b'', None), (b'', None))


def test_refuse_and_accept(proxy, pair, listener):
    proxy.refuse()
    proxy.refuse()
    with pytest.raises(socket.error):
        socket.create_connection(('127.0.0.1', proxy.port), 30)
    pair.client.sendall(b'open ones stay')
    assert read(pair.target, 14) == b'open ones stay'
    proxy.accept()
    proxy.accept()
    with closing(Pair(proxy, listener)) as other:
        other.client.sendall(b'again')
        assert read(other.target, 5) == b'again'


@pytest.mark.parametrize('with_reset', [True, False])
def test_cut_after_so_many_bytes(proxy, pair, listener, with_reset):
    pair.target.sendall(b'before')
    assert read(pair.client, 6) == b'before'
    proxy.cut_after(7, with_reset=with_reset)
    pair.target.sendall(b'0123456789')
    data, error = read_all(pair.client)
    assert (data, error is not None) == (b'0123456', with_reset)
    assert proxy.bytes_down == 13
    with closing(Pair(proxy, listener)) as other:
        other.target.sendall(b'0123456789')
        assert read(other.client, 10) == b'0123456789'


def test_garbage_is_injected_behind_what_is_on_its_way(proxy, pair):
    pair.target.sendall(b'good')
    assert read(pair.client, 4) == b'good'
    proxy.garbage(b'bad')
    assert read(pair.client, 3) == b'bad'
    proxy.garbage(b'bad', 'up')
    assert read(pair.target, 3) == b'bad'


def test_target_that_refuses_is_a_reset():
    with closing(socket.socket()) as holder, FaultProxy('127.0.0.1:1') as proxy:
        holder.bind(('127.0.0.1', 0))           # of the port: nobody else listens there
        proxy.target = '127.0.0.1:%d' % holder.getsockname()[1]
        with pytest.raises(socket.error):       # early enough, connect() sees it already
            with closing(socket.create_connection(('127.0.0.1', proxy.port), 30)) as client:
                client.recv(1)


def test_target_can_be_changed(proxy, listener):
    with ScriptedMaster() as master:
        proxy.target = master.address
        with closing(socket.create_connection(('127.0.0.1', proxy.port), 30)) as client:
            client.sendall(b'GET /version HTTP/1.1\r\nHost: x\r\n\r\n')
            assert read(client, 15) == b'HTTP/1.1 200 OK'
        assert master.connections == 1


def test_domain_socket_as_target(tmpdir):
    path = str(tmpdir.join('sock'))
    with ScriptedMaster(unix_path=path) as master, FaultProxy(master.address) as proxy:
        with closing(socket.create_connection(('127.0.0.1', proxy.port), 30)) as client:
            client.sendall(b'GET /version HTTP/1.1\r\nHost: x\r\n\r\n')
            assert read(client, 15) == b'HTTP/1.1 200 OK'


def test_address_is_for_a_driver():
    with FaultProxy('https://127.0.0.1:5050') as proxy:
        assert proxy.address == 'https://127.0.0.1:%d' % proxy.port
        assert parse_address(proxy.address).is_tls
        proxy.target = '127.0.0.1:5050'
        assert proxy.address == '127.0.0.1:%d' % proxy.port


def test_misuse_is_told():
    with FaultProxy('127.0.0.1:5050') as proxy:
        with pytest.raises(UsageError) as caught:
            proxy.black_hole('left')
        assert str(caught.value) == "there is no direction 'left': expected 'up', 'down' or 'both'"
        with pytest.raises(UsageError) as caught:
            proxy.cut_after(1, 'both')
        assert str(caught.value) == "there is no direction 'both': expected 'up' or 'down'"
        with pytest.raises(UsageError) as caught:
            proxy.drip(0.5)
        assert str(caught.value) == 'cannot drip 0.5 bytes per second: expected 1 or more'


def test_idle_faults_use_no_cpu(proxy, pair):
    pair.target.sendall(b'x' * 100)
    read(pair.client, 100)
    proxy.black_hole()
    pair.client.sendall(b'waiting')
    pair.target.shutdown(socket.SHUT_WR)
    before = os.times()
    time.sleep(0.5)         # the time over which is measured
    after = os.times()
    assert after[0] + after[1] - before[0] - before[1] < 0.25


def test_stop_twice_and_without_start():
    proxy = FaultProxy('127.0.0.1:5050')
    proxy.stop()
    proxy.stop()

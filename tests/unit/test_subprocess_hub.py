"""The port of subprocess: who is let in, who is not, and what it costs."""
from __future__ import absolute_import, division, print_function

import errno
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest

from pymesos._compat import monotonic
from pymesos.errors import ConnectionFailed, UsageError
from pymesos.subprocess.streams import hub as hub_module
from pymesos.subprocess.streams.hub import Hub
from pymesos.subprocess.streams.link import Link
from pymesos.subprocess.streams.protocol import (EXECUTOR_SENDS, HELLO_SIZE, PROGRAM_SENDS, Caller, make_hello,
                                                 make_proof, read_hello)
from pymesos.subprocess.streams.session import Session
from pymesos.testing import wait_until
from subprocess_conduits import make_pipe, read_all
from subprocess_dialling import TIMEOUT, answer, ask, connect, get, shake_hands


@pytest.fixture
def hub():
    faults = []
    hub = Hub(failed=faults.append).start()
    yield hub
    hub.stop()
    assert not faults, faults


def expect(hub, **kwargs):
    """A session that the hub expects; `connections` counts how often its owner was told."""
    session = Session(hub.loop, os.urandom(16), os.urandom(32), **kwargs)
    session.connections = []
    session.on_connected = session.connections.append
    hub.loop.carry_out(lambda: hub.expect(session))
    return session


@pytest.fixture
def session(hub):
    return expect(hub)


def strangers(hub):
    return len(hub._strangers)


# ---- executors

def test_executor_that_proves_the_key_is_connected_with_its_session(hub, session):
    sock, _ = shake_hands(hub, session)
    wait_until(lambda: session.connections)
    assert session.connections == [session] and session.is_connected and strangers(hub) == 0
    sock.close()
    wait_until(lambda: not session.is_connected)


def test_frames_that_follow_the_proof_at_once_are_not_lost(hub, session):
    caller = Caller(session.key, session.identity, 1, b'n' * 16)
    link = Link(EXECUTOR_SENDS, PROGRAM_SENDS)
    link.connected()
    sock = connect(hub)
    sock.sendall(caller.hello)
    proof = caller.feed(sock.recv(100))
    sock.sendall(proof + b''.join(link.output()))
    wait_until(lambda: session.link._is_resumed)
    sock.close()


def test_handshake_may_come_byte_by_byte(hub, session):
    caller = Caller(session.key, session.identity, 1, b'n' * 16)
    sock = connect(hub)
    for position in range(HELLO_SIZE):
        sock.sendall(caller.hello[position:position + 1])
    proof = caller.feed(sock.recv(100))
    for position in range(len(proof)):
        sock.sendall(proof[position:position + 1])
    wait_until(lambda: session.is_connected)
    sock.close()


def test_later_connection_takes_the_place_of_the_earlier_one(hub, session):
    first, _ = shake_hands(hub, session, 1)
    wait_until(lambda: session.is_connected)
    second, _ = shake_hands(hub, session, 5)
    assert answer(first) is not None            # it is closed
    wait_until(lambda: session.is_connected)
    assert len(session.connections) == 1
    second.close()


def test_executors_of_many_sessions_are_told_apart(hub):
    sessions = [expect(hub) for _ in range(20)]
    socks = [shake_hands(hub, session)[0] for session in sessions]
    wait_until(lambda: all(session.is_connected for session in sessions))
    for sock in socks:
        sock.close()


@pytest.mark.parametrize('forget', ['forget', 'close', 'abandon'])
def test_session_that_is_expected_no_more_is_closed_without_a_byte(hub, session, forget):
    hub.loop.carry_out(lambda: hub.forget(session) if forget == 'forget' else getattr(session, forget)())
    assert ask(hub, make_hello(session.key, session.identity, 1, b'n' * 16)) == b''


def test_session_that_is_closed_during_the_handshake_is_not_connected(hub, session):
    caller = Caller(session.key, session.identity, 1, b'n' * 16)
    sock = connect(hub)
    sock.sendall(caller.hello)
    proof = caller.feed(sock.recv(100))
    hub.loop.carry_out(session.close)
    sock.sendall(proof)
    assert answer(sock) == b''
    assert not session.is_connected


# ---- others

def hello_of(session, counter=1):
    return make_hello(session.key, session.identity, counter, b'n' * 16)


@pytest.mark.parametrize('make', [
    lambda session: make_hello(session.key, b'x' * 16, 1, b'n' * 16),
    lambda session: make_hello(b'x' * 32, session.identity, 1, b'n' * 16),
    lambda session: hello_of(session, 0),
    lambda session: hello_of(session)[:-1] + b'\0' if hello_of(session)[-1:] != b'\0' else b'pymesos\2' + b'x' * 68,
    lambda session: hello_of(session) + b'more',
    lambda session: b'pymesos\2' + hello_of(session)[8:],
    lambda session: b'\0',
    lambda session: b'P',
    lambda session: b'x' * 1000000,
    lambda session: b'\x16\x03\x01\x02\x00\x01\x00',
    lambda session: b'SSH-2.0-OpenSSH_9.2\r\n',
], ids=['identity', 'key', 'counter', 'mac', 'more', 'version', 'zero', 'letter', 'long', 'tls', 'ssh'])
def test_peer_without_a_secret_is_closed_without_a_byte(hub, session, make):
    assert ask(hub, make(session)) == b''
    assert not session.is_connected and strangers(hub) == 0


def test_copy_of_a_hello_is_closed_without_a_byte_even_if_the_first_was_never_proved(hub, session):
    hello = hello_of(session, 3)
    first = connect(hub)
    first.sendall(hello)
    assert len(first.recv(100)) == 48
    assert ask(hub, hello) == b''
    assert ask(hub, hello_of(session, 2)) == b''
    first.close()
    assert ask(hub, hello) == b''
    sock, _ = shake_hands(hub, session, 4)
    wait_until(lambda: session.is_connected)
    sock.close()


def test_wrong_proof_is_closed_and_does_not_disturb_the_connection_that_there_is(hub, session):
    real, _ = shake_hands(hub, session, 1)
    wait_until(lambda: session.is_connected)
    hello = hello_of(session, 2)
    for proof in (b'x' * 32, make_proof(b'x' * 32, read_hello(hello), b'n' * 16)):
        sock = connect(hub)
        sock.sendall(hello)
        assert len(sock.recv(100)) == 48
        sock.sendall(proof)
        assert answer(sock) == b''
        hello = hello_of(session, 3)
    assert session.is_connected and session.sources == {}
    real.close()


def test_peer_that_says_nothing_is_closed_in_time(hub, session, monkeypatch):
    monkeypatch.setattr(hub_module, 'HANDSHAKE_TIMEOUT', 0.2)
    hello = hello_of(session)
    socks, is_sent = [], threading.Event()
    hub.loop.order(lambda: is_sent.wait(TIMEOUT))       # the time begins when all is on its way
    for data in (b'', b'p', b'GET /', hello[:-1], hello):
        sock = connect(hub)
        sock.sendall(data)
        socks.append(sock)
    is_sent.set()
    assert [len(answer(sock)) for sock in socks] == [0, 0, 0, 0, 48]
    assert strangers(hub) == 0


def test_slow_drip_does_not_lengthen_the_time(hub, session, monkeypatch):
    monkeypatch.setattr(hub_module, 'HANDSHAKE_TIMEOUT', 0.3)
    sock = connect(hub)
    begun = monotonic()
    try:
        for position in range(HELLO_SIZE - 1):          # the whole would be answered by a hub that reads late
            sock.sendall(hello_of(session)[position:position + 1])
            threading.Event().wait(0.02)
            if monotonic() - begun > TIMEOUT:
                break
    except socket.error:
        pass
    assert answer(sock) == b'' and monotonic() - begun < TIMEOUT


def test_oldest_stranger_goes_when_there_are_too_many(hub, session, monkeypatch):
    monkeypatch.setattr(hub_module, 'MAX_STRANGERS', 5)
    real, _ = shake_hands(hub, session)
    socks = [connect(hub) for _ in range(8)]
    for sock in socks[:3]:
        assert answer(sock) == b''
    wait_until(lambda: strangers(hub) == 5)
    assert session.is_connected
    for sock in socks[3:] + [real]:
        sock.close()
    wait_until(lambda: strangers(hub) == 0)


def test_strangers_do_not_push_out_who_has_shown_the_secret(hub, session, monkeypatch):
    monkeypatch.setattr(hub_module, 'MAX_STRANGERS', 5)
    caller = Caller(session.key, session.identity, 1, b'n' * 16)
    real = connect(hub)
    real.sendall(caller.hello)
    proof = caller.feed(real.recv(100))
    socks = [connect(hub) for _ in range(8)]
    wait_until(lambda: strangers(hub) == 5)
    real.sendall(proof)
    wait_until(lambda: session.is_connected)
    for sock in socks + [real]:
        sock.close()
    wait_until(lambda: strangers(hub) == 0 and not hub._proving)


def test_of_those_with_the_same_secret_only_the_last_is_waited_for(hub, session):
    socks = []
    for counter in range(1, 5):
        socks.append(connect(hub))
        socks[-1].sendall(hello_of(session, counter))
        assert len(socks[-1].recv(100)) == 48
    for sock in socks[:-1]:
        assert answer(sock) == b''
    assert len(hub._proving) == 1
    hub.loop.carry_out(session.close)
    socks[-1].close()
    wait_until(lambda: not hub._proving)


def test_little_is_held_of_a_stranger(hub):
    socks = [connect(hub) for _ in range(3)]
    for sock, data in zip(socks, (b'pymesos\1' + b'x' * 60, b'GET /' + b'x' * 4000, b'p')):
        sock.sendall(data)
    wait_until(lambda: sorted(len(peer._held) for peer in list(hub._strangers)) == [1, 68, 4005])
    for sock in socks:
        sock.close()


# ---- files

BUNDLE = os.urandom(3000000)


def test_published_file_is_served_to_who_knows_its_path(hub):
    path = hub.publish('s' * 32, 'pymesos-1.zip', BUNDLE)
    assert path == '/' + 's' * 32 + '/pymesos-1.zip'
    head, body = get(hub, path)
    assert body == BUNDLE
    assert head == (b'HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 3000000\r\n'
                    b'Connection: close')


def test_many_fetch_a_file_at_once_and_it_is_held_once(hub):
    path = hub.publish('t', 'f', BUNDLE)
    bodies = []
    threads = [threading.Thread(target=lambda: bodies.append(get(hub, path)[1])) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bodies == [BUNDLE] * 20


@pytest.mark.skipif(not os.path.exists('/usr/bin/curl'), reason='needs curl')
def test_curl_fetches_a_file(hub, tmpdir):
    path = hub.publish('t', 'f', BUNDLE)
    subprocess.check_call(['curl', '-sSf', '-o', str(tmpdir.join('f')), 'http://127.0.0.1:%d%s' % (hub.port, path)])
    assert tmpdir.join('f').read_binary() == BUNDLE


@pytest.mark.parametrize('request_text', [
    'GET / HTTP/1.1\r\n\r\n', 'GET /t HTTP/1.1\r\n\r\n', 'GET /t/g HTTP/1.1\r\n\r\n', 'GET /t/f/ HTTP/1.1\r\n\r\n',
    'GET /t/../t/f HTTP/1.1\r\n\r\n', 'GET /t/f?x HTTP/1.1\r\n\r\n', 'GET /t/f HTTP/2.0\r\n\r\n',
    'GET /t/f\r\n\r\n', 'GET  /t/f HTTP/1.1\r\n\r\n', 'HEAD /t/f HTTP/1.1\r\n\r\n', 'POST /t/f HTTP/1.1\r\n\r\n',
    'get /t/f HTTP/1.1\r\n\r\n', 'GET http://x/t/f HTTP/1.1\r\n\r\n',
    'GET /t/f HTTP/1.1\r\n' + 'x: y\r\n' * 1000 + '\r\n', 'GET /' + 'x' * 5000, 'GET\r\n\r\n',
])
def test_other_requests_are_closed_without_a_byte(hub, request_text):
    hub.publish('t', 'f', b'secret')
    assert ask(hub, request_text.encode('ascii')) == b''


def test_withdrawn_file_is_served_no_more(hub):
    path = hub.publish('t', 'f', b'data')
    assert get(hub, path)[1] == b'data'
    hub.withdraw(path)
    hub.withdraw(path)
    assert get(hub, path) == (b'', b'')


def test_peer_that_takes_nothing_of_its_file_is_closed(hub, monkeypatch):
    monkeypatch.setattr(hub_module, 'STALLED_AFTER', 0.1)
    path = hub.publish('t', 'f', b'x' * 30000000)
    sock = connect(hub)
    sock.sendall(('GET %s HTTP/1.1\r\n\r\n' % path).encode('ascii'))
    assert sock.recv(1) == b'H'         # it has begun
    wait_until(lambda: not hub._listener.connections)
    assert len(answer(sock)) < 30000000


# ---- the port

def test_address_is_what_was_configured():
    hub = Hub().start()
    assert hub.address == ('127.0.0.1', hub.port) and hub.port > 0
    hub.stop()
    hub = Hub(advertised_host='gate.example.com', advertised_port=4711).start()
    assert hub.address == ('gate.example.com', 4711)
    hub.stop()
    hub = Hub(host='0.0.0.0').start()
    assert hub.address == (socket.gethostname(), hub.port)
    hub.stop()


def test_port_that_is_taken_is_an_error_that_says_so():
    taken = socket.socket()
    taken.bind(('127.0.0.1', 0))
    taken.listen(1)
    port = taken.getsockname()[1]
    hub = Hub(port=port)
    with pytest.raises(ConnectionFailed) as caught:
        hub.start()
    assert str(caught.value).startswith('cannot listen on 127.0.0.1, port %d: ' % port)
    assert caught.value.errno == errno.EADDRINUSE
    hub.stop()
    taken.close()


def test_host_that_does_not_exist_is_an_error_that_says_so():
    with pytest.raises(ConnectionFailed) as caught:
        Hub(host='no.such.host.invalid').start()
    assert str(caught.value).startswith('cannot listen on no.such.host.invalid, port 0: ')


@pytest.mark.parametrize('port', [-1, 65536])
def test_port_that_cannot_be_is_misuse(port):
    with pytest.raises(UsageError) as caught:
        Hub(port=port)
    assert str(caught.value) == 'cannot listen on port %d: expected 0 to 65535' % port


def test_stopped_hub_leaves_nothing():
    hub = Hub().start()
    session = expect(hub)
    taken, writing = make_pipe()
    hub.loop.carry_out(lambda: session.attach(2, writing))
    real, _ = shake_hands(hub, session)
    wait_until(lambda: session.is_connected)
    half = connect(hub)
    hub.stop()
    hub.stop()
    assert read_all(taken) == b''
    assert answer(half) == b'' and answer(real) is not None
    with pytest.raises(socket.error):
        connect(hub)


def test_session_that_is_closed_and_still_writes_is_ended_by_the_stop():
    hub = Hub().start()
    session = expect(hub)
    taken, writing = make_pipe()

    def fill():
        session.attach(2, writing)
        session.link._receives[2].received = 100000
        session.sinks[2].put(memoryview(b'x' * 100000))
        session.close()

    hub.loop.carry_out(fill)
    assert not session.is_gone
    hub.stop()
    assert session.is_gone and len(read_all(taken)) == 65536


def test_closing_is_called_on_the_thread_at_the_end():
    called = []
    hub = Hub(closing=lambda: called.append(hub.loop.is_own_thread()))
    hub.start()
    hub.stop()
    assert called == [True]


SIGPIPE_PROGRAM = '''
import os, signal, time
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
from pymesos.subprocess.streams.hub import Hub
hub = Hub().start()
def write():
    reader, writer = os.pipe()
    os.close(reader)
    try:
        os.write(writer, b'x')
    except OSError as error:
        return error.errno
print(hub.loop.carry_out(write))
hub.stop()
'''


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='2.7 blocks it on Linux only')
def test_broken_pipe_does_not_kill_a_program_that_made_sigpipe_deadly():
    process = subprocess.Popen([sys.executable, '-c', SIGPIPE_PROGRAM], stdout=subprocess.PIPE)
    output, _ = process.communicate()
    assert process.returncode == 0 != -signal.SIGPIPE
    assert int(output) == errno.EPIPE

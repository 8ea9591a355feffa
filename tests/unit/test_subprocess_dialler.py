"""The executor's way to the program: both prove the key, and a lost connection is made again, for a while."""
from __future__ import absolute_import, division, print_function

import os
import socket
import threading
import time

import pytest

from pymesos._compat import close_on_exec, monotonic
from pymesos.serving.loop import Loop
from pymesos.subprocess.agent import dialler as dialler_module
from pymesos.subprocess.agent.dialler import Dialler, Exchange, Patience
from pymesos.subprocess.streams.protocol import (HELLO_SIZE, IDENTITY_SIZE, KEY_SIZE, NONCE_SIZE, PROOF_SIZE,
                                                 is_hello_genuine, is_proof, make_welcome, read_hello)
from pymesos.testing import wait_until

IDENTITY, KEY = b'i' * IDENTITY_SIZE, b'k' * KEY_SIZE


class Program(object):
    """A port on which a test plays the program by hand."""

    def __init__(self):
        self.listener = close_on_exec(socket.socket())
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(('127.0.0.1', 0))
        self.listener.listen(16)
        self.listener.settimeout(30)
        self.address = self.listener.getsockname()
        self.counters = []
        self.sockets = []

    def accept(self):
        sock = close_on_exec(self.listener.accept()[0])
        sock.settimeout(30)
        self.sockets.append(sock)
        return sock

    def welcome(self, key=KEY, trailing=b''):
        """Accept, take HELLO, give WELCOME; (socket, whether HELLO was right)."""
        sock = self.accept()
        hello = read_hello(read(sock, HELLO_SIZE))
        self.counters.append(hello.counter)
        nonce = os.urandom(NONCE_SIZE)
        sock.sendall(make_welcome(key, hello, nonce) + trailing)
        return sock, hello, nonce

    def prove(self, trailing=b''):
        """The whole of the handshake."""
        sock, hello, nonce = self.welcome(trailing=trailing)
        assert hello.identity == IDENTITY and is_hello_genuine(KEY, hello)
        assert is_proof(KEY, hello, nonce, read(sock, PROOF_SIZE))
        return sock

    def close(self):
        for sock in self.sockets + [self.listener]:
            sock.close()

    def go_away(self):
        """Listen no more; the port stays ours, so that nobody else does."""
        self.listener.close()
        self.listener = close_on_exec(socket.socket())
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(self.address)


class Caller(object):
    """A dialler on a loop of its own, and what it has told."""

    def __init__(self, address, **patience):
        self.loop = Loop('dialler').start()
        self.exchange = Exchange(self.loop)
        self.proven = []
        self.failed = []
        self.dialler = Dialler(self.exchange, address, IDENTITY, KEY, lambda *args: self.proven.append(args),
                               self.failed.append, Patience(**patience))
        self.do(self.dialler.start)

    def do(self, function, *args):
        return self.loop.carry_out(lambda: function(*args))

    def run_out_of_patience(self):
        """Have the time be over now, for which a slow machine would need more than a test can wait."""
        def run_out():
            self.dialler._give_up_at = monotonic()
        self.do(run_out)

    def close(self):
        self.do(self.dialler.cancel)
        wait_until(lambda: self.do(lambda: len(self.loop.selector.get_map())) == 1)         # what wakes the loop
        assert not self.exchange._watched
        self.loop.stop()
        for sock, _ in self.proven:
            sock.close()


def read(sock, size):
    data = b''
    while len(data) < size:
        piece = sock.recv(size - len(data))
        assert piece, 'it ended after %r' % data
        data += piece
    return data


@pytest.fixture
def program():
    program = Program()
    yield program
    program.close()


@pytest.fixture
def call():
    callers = []

    def call(address, **patience):
        callers.append(Caller(address, **patience))
        return callers[-1]

    yield call
    for caller in callers:
        caller.close()


def test_proven_connection_is_handed_over_with_what_came_after_the_handshake(program, call):
    caller = call(program.address)
    sock = program.prove(trailing=b'more')
    wait_until(lambda: caller.proven)
    mine, trailing = caller.proven[0]
    assert trailing == b'more' and caller.dialler.was_reached
    sock.sendall(b'and more')
    mine.setblocking(True)
    assert read(mine, 8) == b'and more'
    assert not caller.failed


def test_welcome_may_come_byte_by_byte(program, call):
    caller = call(program.address)
    sock = program.accept()
    hello = read_hello(read(sock, HELLO_SIZE))
    nonce = os.urandom(NONCE_SIZE)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in bytearray(make_welcome(KEY, hello, nonce)):
        sock.sendall(bytes(bytearray([byte])))
        time.sleep(0.001)
    assert is_proof(KEY, hello, nonce, read(sock, PROOF_SIZE))
    wait_until(lambda: caller.proven)


def test_peer_that_has_not_the_key_gets_no_proof_and_another_is_tried(program, call):
    caller = call(program.address)
    sock, _, _ = program.welcome(key=b'x' * KEY_SIZE)
    assert sock.recv(100) == b''
    program.prove()
    wait_until(lambda: caller.proven)
    assert len(caller.proven) == 1


def test_counter_grows_with_every_handshake(program, call):
    caller = call(program.address)
    for number in range(3):
        program.prove()
        wait_until(lambda: len(caller.proven) == number + 1)
        caller.do(caller.dialler.again, 'it was lost')
    program.prove()
    assert program.counters == [1, 2, 3, 4]


def test_lost_connection_is_made_again_at_once_if_it_was_a_good_one(program, call, monkeypatch):
    monkeypatch.setattr(dialler_module, 'GOOD_AFTER', 0.0)
    monkeypatch.setattr(dialler_module, 'SHORTEST_DELAY', 100.0)
    monkeypatch.setattr(dialler_module, 'LONGEST_DELAY', 100.0)
    caller = call(program.address)
    program.prove()
    wait_until(lambda: caller.proven)
    caller.do(caller.dialler.again, 'it was lost')
    program.prove()


def test_attempts_become_rarer(program, call):
    program.go_away()
    began = monotonic()
    caller = call(program.address, reach=60)
    wait_until(lambda: caller.dialler._attempts >= 6)
    assert monotonic() - began > 0.05 + 0.1 + 0.2 + 0.4         # half of each delay may be left out
    caller.do(caller.dialler.cancel)
    began = monotonic()
    caller = call(program.address, reach=1.2)
    wait_until(lambda: caller.failed)
    assert 1.1 < monotonic() - began < 60
    assert 2 <= caller.dialler._attempts <= 12


@pytest.mark.parametrize('was_reached', [False, True])
def test_program_out_of_reach_for_long_is_told_once_with_the_reason(program, call, was_reached):
    if not was_reached:
        program.go_away()
    caller = call(program.address, reach=60, back=600)
    if was_reached:
        program.prove()
        wait_until(lambda: caller.proven)
        program.go_away()
        caller.do(caller.dialler.again, 'it was lost')
    left = caller.do(lambda: caller.dialler._give_up_at) - monotonic()
    assert (540 if was_reached else 0) < left <= (600 if was_reached else 60)
    wait_until(lambda: 'cannot connect' in caller.dialler._last_error)
    assert not caller.failed
    caller.run_out_of_patience()
    wait_until(lambda: caller.failed)
    (text,) = caller.failed
    assert text.startswith('%s the program at 127.0.0.1:%d: ' % ('lost' if was_reached else 'cannot reach',
                                                                 program.address[1]))
    assert 'Connection refused' in text


def test_peer_that_closes_without_a_word_is_tried_again_until_the_end(program, call):
    caller = call(program.address, reach=60)

    def close_all():
        while not caller.failed:
            try:
                sock = program.accept()
            except socket.timeout:
                continue
            read(sock, HELLO_SIZE)
            sock.close()

    program.listener.settimeout(0.2)
    closer = threading.Thread(target=close_all)
    closer.start()
    try:
        wait_until(lambda: len(program.sockets) > 2)
        caller.run_out_of_patience()
        wait_until(lambda: caller.failed)
    finally:
        caller.failed or caller.failed.append('not at all')
        closer.join()
    assert caller.failed == ['cannot reach the program at 127.0.0.1:%d: it closed the connection without a word'
                             % program.address[1]]


def test_peer_that_does_not_answer_is_hung_up_on(program, call):
    caller = call(program.address, reach=600, attempt=0.5)
    sock = program.accept()
    read(sock, HELLO_SIZE)
    assert sock.recv(100) == b''
    caller.dialler._patience.attempt = 30.0     # for those to come; some may have been hung up on meanwhile
    while not caller.proven:
        sock, hello, nonce = program.welcome()
        proof = sock.recv(100)
        if proof:
            assert is_proof(KEY, hello, nonce, proof)
            wait_until(lambda: caller.proven)


def test_name_without_an_address_is_told(call):
    caller = call(('no-such-host.invalid', 5), reach=60, attempt=60)
    wait_until(lambda: 'cannot resolve' in caller.dialler._last_error)
    caller.run_out_of_patience()
    wait_until(lambda: caller.failed)
    assert caller.failed[0].startswith('cannot reach the program at no-such-host.invalid:5: cannot resolve ')


@pytest.mark.parametrize('when', ['dialling', 'in the handshake', 'between attempts'])
def test_cancel_ends_it_at_any_time_without_a_word(program, call, when):
    if when == 'between attempts':
        program.go_away()
    caller = call(program.address, reach=60)
    if when == 'in the handshake':
        read(program.accept(), HELLO_SIZE)
    elif when == 'between attempts':
        wait_until(lambda: caller.dialler._attempts > 2)
    caller.do(caller.dialler.cancel)
    caller.do(caller.dialler.cancel)
    assert not caller.proven and not caller.failed

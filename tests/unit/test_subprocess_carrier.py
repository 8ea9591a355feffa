"""A link over sockets: messages, lost connections, silence, and the end."""
from __future__ import absolute_import, division, print_function

import itertools
import os
import socket

import pytest

from pymesos.errors import ConnectionLost, ProtocolError, TimedOut, UsageError
from pymesos.subprocess.streams import carrier, link
from pymesos.subprocess.streams.protocol import encode_control, pack_head, pack_resume
from pymesos.testing import wait_until
from subprocess_conduits import make_pipe, read_all, running


@pytest.fixture
def world():
    with running() as world:
        yield world


def raw_peer(world):
    """A socket in place of the executor's conduit, on which the test says what it wants."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    world.do(world.program.adopt, ours)
    theirs.settimeout(30)
    return theirs


@pytest.fixture
def clock(monkeypatch):
    """The time of carriers: it goes on by 10 ms whenever one looks at it, however busy the machine is."""
    ticks = itertools.count()
    monkeypatch.setattr(carrier, 'monotonic', lambda: next(ticks) * 0.01)


def messages(count):
    return [{'type': 'NUMBER', 'number': number} for number in range(count)]


def test_messages_arrive_both_ways_in_order(world):
    world.connect()
    for message in messages(100):
        world.do(world.program.send_message, message)
        world.do(world.executor.send_message, message)
    wait_until(lambda: len(world.program.messages) == len(world.executor.messages) == 100)
    assert world.program.messages == world.executor.messages == messages(100)


def test_messages_wait_for_a_connection_and_survive_it(world):
    for message in messages(10):
        world.do(world.program.send_message, message)
    assert not world.program.is_connected
    for number in range(10):
        world.connect()
        wait_until(lambda: world.executor.messages)
        world.do(world.program.send_message, {'type': 'X'})
        world.cut()
    world.connect()
    wait_until(lambda: len(world.executor.messages) == 20)
    assert world.executor.messages[:10] == messages(10)


def test_long_message_arrives(world):
    world.connect()
    text = u'x' * 5000000
    world.do(world.program.send_message, {'type': 'START', 'env': text})
    wait_until(lambda: world.executor.messages)
    assert world.executor.messages[0]['env'] == text
    with pytest.raises(UsageError):
        world.do(world.program.send_message, {'type': 'START', 'env': u'x' * (16 << 20)})


def test_lost_connection_is_told_once_with_the_reason(world):
    world.connect()
    world.do(world.program.drop)
    wait_until(lambda: world.executor.errors)
    error, = world.executor.errors
    assert isinstance(error, ConnectionLost) and str(error) == 'the other side has closed the connection'
    assert world.program.errors == [] and not world.executor.is_connected


def test_new_connection_takes_the_place_of_the_old_one(world):
    world.connect()
    old = world.sockets
    world.connect()
    assert old[0].fileno() == -1 or not old[0]._sock
    world.do(world.program.send_message, {'type': 'X'})
    wait_until(lambda: world.executor.messages)


@pytest.mark.parametrize('data', [
    b'GET / HTTP/1.1\r\n\r\n',
    pack_resume([]),
    pack_resume([(0, 0, 9), (1, 0, 9)]) + pack_head(1, 0, 5) + b'3\n[1]',
    pack_resume([(0, 0, 9), (1, 0, 9)]) + pack_head(1, 0, 6) + b'x' * 6,
], ids=['http', 'resume', 'message', 'record'])
def test_peer_that_breaks_the_protocol_is_closed_and_that_is_told_once(world, data):
    theirs = raw_peer(world)
    theirs.sendall(data)
    wait_until(lambda: world.program.broken)
    assert isinstance(world.program.broken[0], ProtocolError)
    assert len(world.program.broken) == 1 and not world.program.errors and not world.program.is_connected
    received = b''
    while True:
        try:
            piece = theirs.recv(1000)
        except socket.error:            # reset: it had not read all
            break
        if not piece:
            break
        received += piece
    assert received in (b'', pack_resume([(0, 0, 1 << 18), (2, 0, 1 << 18), (3, 0, 1 << 18)]))
    theirs.close()


def test_error_of_the_owner_about_a_message_ends_the_connection(world):
    def refuse(_message):
        raise ProtocolError('not now')

    world.program.message_received = refuse
    theirs = raw_peer(world)
    message = encode_control({'type': 'X'})
    theirs.sendall(pack_resume([(0, 0, 9), (1, 0, 9)]) + pack_head(1, 0, len(message)) + message)
    wait_until(lambda: world.program.broken)
    assert str(world.program.broken[0]) == 'not now'
    theirs.close()


def test_silent_peer_is_asked_and_then_given_up(world, clock, monkeypatch):
    for module in (link, carrier):
        monkeypatch.setattr(module, 'LOOK_EVERY', 0.02)
        monkeypatch.setattr(module, 'GIVE_UP_AFTER', 0.3)
    monkeypatch.setattr(link, 'ASK_AFTER', 0.1)
    theirs = raw_peer(world)
    theirs.sendall(pack_resume([(0, 0, 9), (1, 0, 9)]))
    wait_until(lambda: world.program.errors)
    assert isinstance(world.program.errors[0], TimedOut)
    assert str(world.program.errors[0]) == 'nothing was heard of the other side for 0 s'
    data = b''
    while not data.endswith(pack_head(6, 0, 0)):
        piece = theirs.recv(1000)
        assert piece, 'it was not asked, but told %r' % data
        data += piece
    theirs.close()


def test_two_quiet_peers_keep_their_connection(world, clock, monkeypatch):
    for module in (link, carrier):
        monkeypatch.setattr(module, 'LOOK_EVERY', 0.02)
        monkeypatch.setattr(module, 'GIVE_UP_AFTER', 0.5)
    monkeypatch.setattr(link, 'ASK_AFTER', 0.05)
    world.connect()
    looks = []
    keep_alive = world.program.link.keep_alive
    world.program.link.keep_alive = lambda now: looks.append(now) or keep_alive(now)
    wait_until(lambda: looks and looks[-1] - looks[0] > 1.5)
    assert not world.program.errors and not world.executor.errors


def test_quiet_connection_costs_nothing(world):
    world.connect()
    world.rests()


def test_both_sides_are_told_once_that_all_is_settled(world):
    world.connect()
    taken, writing = make_pipe()
    world.do(world.program.attach_sink, 2, writing)
    world.do(world.executor.link.send, 2, b'x' * 100)
    for conduit in (world.program, world.executor):
        for channel in list(conduit.link._sends):
            world.do(conduit.link.end, channel)
        world.do(conduit.flush)
    wait_until(lambda: world.program.settlings and world.executor.settlings)
    assert read_all(taken) == b'x' * 100
    world.cut()
    world.connect()
    world.rests()
    assert world.program.settlings == world.executor.settlings == 1
    assert sorted(world.executor.ended) == [0, 1] and sorted(world.program.ended) == [0, 3]


def test_nothing_is_settled_before_all_is_written(world):
    world.connect()
    taken, writing = make_pipe()
    world.do(world.program.attach_sink, 2, writing)
    world.do(world.executor.link.send, 2, b'x' * 200000)
    for conduit in (world.program, world.executor):
        for channel in list(conduit.link._sends):
            world.do(conduit.link.end, channel)
        world.do(conduit.flush)
    wait_until(lambda: world.executor.link.is_settled)
    world.rests()
    assert not world.program.settlings
    assert read_all(taken) == b'x' * 200000
    wait_until(lambda: world.program.settlings)


def test_closed_conduit_tells_nothing_any_more_and_closes_all(world):
    world.connect()
    feeding, given = make_pipe()
    taken, writing = make_pipe()
    world.do(world.executor.attach_source, 2, feeding)
    world.do(world.program.attach_sink, 2, writing)
    world.do(world.program.close)
    world.do(world.program.close)
    assert read_all(taken) == b''
    wait_until(lambda: world.executor.errors)
    world.do(world.executor.close)
    assert not world.program.errors and world.program.is_closed
    with pytest.raises(OSError):
        try:
            os.write(given, b'x')
        finally:
            os.close(given)

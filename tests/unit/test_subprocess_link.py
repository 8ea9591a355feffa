"""The link of subprocess: channels with back-pressure over connections that come and go."""
from __future__ import absolute_import, division, print_function

import pytest

from pymesos.errors import ProtocolError, UsageError
from pymesos.subprocess.streams import protocol
from pymesos.subprocess.streams.link import ASK_AFTER, MAX_CONTROL, WINDOW, Data, Link, Room, Stopped
from pymesos.subprocess.streams.protocol import (EXECUTOR_SENDS, PROGRAM_SENDS, pack_credit, pack_end, pack_head,
                                                 pack_resume)
from subprocess_ends import Connected

RESUMED = pack_resume([(0, 0, WINDOW), (1, 0, WINDOW)])


@pytest.fixture
def world():
    world = Connected()
    world.connect()
    world.shuttle()
    return world


@pytest.fixture
def link():
    """The program's end, connected to a peer that is played by the test."""
    link = Link(PROGRAM_SENDS, EXECUTOR_SENDS)
    link.connected(0.0)
    link.output()
    link.feed(RESUMED)
    link.keep_alive(0.0)
    return link


def joined(link):
    return b''.join(bytes(bytearray(piece)) for piece in link.output())


# ---- sending and receiving

def test_nothing_may_be_sent_before_the_peer_has_said_how_much():
    link = Link(PROGRAM_SENDS, EXECUTOR_SENDS)
    assert link.room(1) == 0 and link.output() == []
    link.connected(0.0)
    assert joined(link) == pack_resume([(0, 0, WINDOW), (2, 0, WINDOW), (3, 0, WINDOW)])
    assert link.room(1) == 0 and link.output() == []
    assert link.feed(RESUMED) == [Room(0), Room(1)]
    assert link.room(1) == WINDOW


def test_bytes_arrive_on_their_channel(world):
    world.executor.send(2, 1000)
    world.executor.send(3, 10)
    world.program.send(1, 70000)
    world.shuttle()
    assert world.program.got[2] == world.executor.sent[2] and len(world.program.got[2]) == 1000
    assert world.program.got[3] == world.executor.sent[3] and len(world.program.got[3]) == 10
    assert world.executor.got[1] == world.program.sent[1] and len(world.executor.got[1]) == 70000


def test_data_of_a_frame_is_given_on_before_the_frame_is_whole(link):
    head = pack_head(protocol.DATA, 2, 100000)
    assert link.feed(head[:3]) == [] and link.feed(head[3:]) == []
    event, = link.feed(b'x' * 400)
    assert (event.channel, event.data.tobytes()) == (2, b'x' * 400)
    assert link.received(2) == 400


def test_large_pieces_are_not_copied(link):
    piece = b'x' * 100000
    link.send(1, piece)
    assert any(sent is piece for sent in link.output())
    data = bytearray(pack_head(protocol.DATA, 2, 10) + b'0123456789')
    event, = link.feed(data)
    data[-1:] = b'X'
    assert isinstance(event, Data) and event.data.tobytes() == b'012345678X'


def test_send_beyond_the_room_is_misuse(link):
    link.send(1, b'x' * WINDOW)
    assert link.room(1) == 0
    with pytest.raises(UsageError) as caught:
        link.send(1, b'xyz')
    assert str(caught.value) == 'cannot send 3 bytes on channel 1: there is room for 0'


def test_room_is_our_own_window_even_if_the_peer_allows_more():
    link = Link(PROGRAM_SENDS, EXECUTOR_SENDS, 1000)
    link.connected(0.0)
    link.feed(pack_resume([(0, 0, 2 ** 64 - 1), (1, 0, 2 ** 64 - 1)]))
    assert link.room(1) == 1000


def test_control_messages_are_taken_without_room_up_to_a_limit():
    link = Link(PROGRAM_SENDS, EXECUTOR_SENDS)
    link.send(0, b'x' * MAX_CONTROL)
    with pytest.raises(UsageError) as caught:
        link.send(0, b'xy')
    assert str(caught.value) == ('cannot send 2 bytes of control messages: 33554432 wait already, of at most 33554432')


def test_long_control_message_goes_by_windows(world):
    world.program.send(0, 10 * WINDOW)
    for _ in range(10):
        world.shuttle()
        assert world.executor.unconsumed[0] == WINDOW
        world.executor.consume(0, WINDOW)
    assert world.executor.got[0] == world.program.sent[0]


def test_credit_is_given_by_quarters_of_the_window_and_tells_of_room(world):
    world.executor.send(2, WINDOW)
    world.shuttle()
    world.executor.rooms.clear()
    world.program.consume(2, WINDOW // 4 - 1)
    assert world.program.link.output() == []
    world.program.consume(2, 1)
    world.shuttle()
    assert world.executor.rooms == {2} and world.executor.link.room(2) == WINDOW // 4


def test_consuming_more_than_there_is_is_misuse(link):
    link.feed(pack_head(protocol.DATA, 2, 10) + b'0123456789')
    link.consumed(2, 4)
    with pytest.raises(UsageError) as caught:
        link.consumed(2, 7)
    assert str(caught.value) == 'cannot have consumed 7 bytes of channel 2: 6 are there'


# ---- ends

def test_end_comes_after_all_bytes_and_is_acknowledged(world):
    world.executor.send(2, 5)
    world.executor.end(2)
    world.executor.end(2)
    world.shuttle()
    assert world.program.ended == {2} and len(world.program.got[2]) == 5
    assert acknowledged(world, 2) == 0          # it is told along with something else,
    world.program.send(1, 1)
    world.shuttle()
    assert acknowledged(world, 2) == 6


def test_end_of_the_last_channel_is_acknowledged_at_once(world):
    for channel in (0, 2, 3):
        world.executor.end(channel)
    world.shuttle()
    assert [acknowledged(world, channel) for channel in (0, 2, 3)] == [1, 1, 1]


def test_end_is_acknowledged_to_a_peer_that_asks_for_a_sign_of_life(world):
    world.executor.end(2)
    world.shuttle()
    assert acknowledged(world, 2) == 0
    for now in (0.0, ASK_AFTER, 2 * ASK_AFTER):
        world.executor.link.keep_alive(now)
    world.shuttle()
    assert acknowledged(world, 2) == 1


def acknowledged(world, channel):
    return next(sender.acknowledged for sender in world.executor.link._senders if sender.channel == channel)


def test_sending_after_the_end_is_misuse(link):
    link.end(1)
    assert link.room(1) == 0
    with pytest.raises(UsageError) as caught:
        link.send(1, b'x')
    assert str(caught.value) == 'cannot send on channel 1: it was ended'


def test_link_is_settled_when_both_sides_know_that_all_has_arrived(world):
    world.executor.send(3, 10)
    for end in world.ends:
        for channel in end.sends:
            end.end(channel)
    world.shuttle()
    assert world.executor.link.is_settled and world.program.link.is_settled


def test_link_is_not_settled_before_the_acknowledgements_are_out(world):
    for end in world.ends:
        for channel in end.sends:
            end.end(channel)
    world.write(world.executor)
    world.deliver(world.program)
    world.write(world.program)
    world.deliver(world.executor)
    assert not world.executor.link.is_settled
    world.write(world.executor)
    assert world.executor.link.is_settled and not world.program.link.is_settled
    world.deliver(world.program)
    assert world.program.link.is_settled


def test_stopped_channel_ends_and_what_is_sent_on_it_goes_nowhere(world):
    world.executor.send(2, 1000)
    world.write(world.executor)
    world.program.stop(2)
    world.program.stop(2)
    world.shuttle()
    assert world.executor.stopped == {2} and world.executor.link.is_stopped(2)
    assert world.program.ended == {2} and not world.program.got[2]
    world.executor.link.send(2, b'into the void')
    assert world.executor.link.room(2) == 0
    world.shuttle()
    assert not world.program.got[2]


def test_stop_of_a_channel_that_has_ended_already_says_nothing(world):
    world.executor.end(2)
    world.shuttle()
    world.program.stop(2)
    assert world.program.link.output() == []


def test_stop_survives_the_loss_of_the_connection(world):
    world.executor.send(2, 1000)
    world.program.stop(2)
    world.write(world.program)
    world.cut()
    world.connect()
    world.shuttle()
    assert world.executor.stopped == {2} and world.program.ended == {2}


# ---- connections

@pytest.mark.parametrize('arrived', [0, 3, 6, 7, 5000, 10005, 10006, 10007, 10020])
def test_what_was_under_way_is_sent_again_on_the_next_connection(world, arrived):
    world.executor.send(2, 10000)
    world.executor.end(2)
    world.write(world.executor)
    world.deliver(world.program, arrived)
    world.cut()
    world.connect()
    world.shuttle()
    assert world.program.got[2] == world.executor.sent[2] and world.program.ended == {2}


def test_what_is_sent_without_a_connection_waits_for_one(world):
    world.cut()
    assert world.executor.send(2, 100) == 100
    assert world.executor.link.output() == []
    world.connect()
    world.shuttle()
    assert len(world.program.got[2]) == 100


def test_new_connection_takes_the_place_of_one_that_was_not_known_to_be_gone(world):
    world.executor.send(2, 100)
    world.write(world.executor)
    world.deliver(world.program, 50)
    world.is_connected = False          # nobody is told of it
    world._under_way[world.program][:] = b''
    world.connect()
    world.shuttle()
    assert world.program.got[2] == world.executor.sent[2]


def test_program_that_consumes_again_after_a_cut_allows_more(world):
    world.executor.send(2, WINDOW)
    world.shuttle()
    world.cut()
    world.program.consume(2, WINDOW)
    world.connect()
    world.shuttle()
    assert world.executor.link.room(2) == WINDOW


# ---- silence

def test_peer_is_asked_after_20_seconds_of_silence_and_given_up_after_60(link):
    assert link.keep_alive(19.9) and link.output() == []
    assert link.keep_alive(20.0)
    assert joined(link) == pack_head(protocol.PING, 0, 0)
    assert link.keep_alive(59.9)
    assert not link.keep_alive(60.0)


def test_any_byte_is_a_sign_of_life(link):
    link.feed(pack_head(protocol.PONG, 0, 0)[:1])
    for now in range(5, 300, 5):
        assert link.keep_alive(float(now)) == (now < 65)


def test_new_connection_begins_in_good_health(link):
    link.disconnected()
    link.connected(1000.0)
    assert link.keep_alive(1059.0)
    assert not link.keep_alive(1060.0)


def test_ping_is_answered_once_and_brings_the_acknowledgements_that_are_due(link):
    link.feed(pack_head(protocol.DATA, 2, 1) + b'x')
    assert link.output() == []
    link.feed(pack_head(protocol.PING, 0, 0) * 1000)
    assert joined(link) == pack_head(protocol.PONG, 0, 0) + pack_credit(2, 1, WINDOW)
    assert link.output() == []


# ---- peers that do not keep to it

@pytest.mark.parametrize('data, text', [
    (RESUMED, 'a RESUME is the first frame of each connection and no other; the peer sent type 5 later'),
    (pack_head(protocol.DATA, 1, 5), 'a frame of type 1 cannot be of channel 1'),
    (pack_head(protocol.DATA, 9, 5), 'a frame of type 1 cannot be of channel 9'),
    (pack_credit(2, 0, 1), 'a frame of type 2 cannot be of channel 2'),
    (pack_head(protocol.STOP, 3, 0), 'a frame of type 4 cannot be of channel 3'),
    (pack_head(protocol.STOP, 0, 0), 'the peer stops the control channel'),
    (pack_credit(1, 11, WINDOW), 'the peer has received 11 bytes of channel 1 and allows 262144: 10 are sent, 0 were '
                                 'received and 262144 allowed before'),
    (pack_credit(1, 0, WINDOW - 1), 'the peer has received 0 bytes of channel 1 and allows 262143: 10 are sent, 0 were '
                                    'received and 262144 allowed before'),
    (pack_credit(1, 5, WINDOW) + pack_credit(1, 4, WINDOW),
     'the peer has received 4 bytes of channel 1 and allows 262144: 10 are sent, 5 were received and 262144 allowed '
     'before'),
    ((pack_head(protocol.DATA, 2, WINDOW) + b'x' * WINDOW) + pack_head(protocol.DATA, 2, 1),
     'the peer sends 1 bytes of channel 2, of which it has sent 262144: it may send up to 262144'),
    (pack_end(2, 0) + pack_head(protocol.DATA, 2, 1),
     'the peer sends 1 bytes of channel 2, of which it has sent 0: it had ended it'),
    (pack_end(2, 1), 'the peer ends channel 2 at 1: 0 bytes have come'),
    (pack_end(2, 0) + pack_end(2, 0), 'the peer ends channel 2 at 0: 0 bytes have come, and it had ended it'),
])
def test_peer_that_breaks_the_protocol_is_told_apart(link, data, text):
    link.send(1, b'0123456789')
    link.output()
    with pytest.raises(ProtocolError) as caught:
        link.feed(data)
    assert str(caught.value) == text


@pytest.mark.parametrize('data, text', [
    (pack_credit(1, 0, 1), 'a RESUME is the first frame of each connection and no other; the peer sent type 2 first'),
    (pack_head(protocol.DATA, 2, 1),
     'a RESUME is the first frame of each connection and no other; the peer sent type 1 first'),
    (pack_resume([]), 'the peer resumes the channels [], ours are [0, 1]'),
    (pack_resume([(0, 0, 1), (0, 0, 1)]), 'the peer resumes the channels [0, 0], ours are [0, 1]'),
    (pack_resume([(0, 0, 1), (1, 1, 1)]),
     'the peer has received 1 bytes of channel 1 and allows 1: 0 are sent, 0 were received and 0 allowed before'),
])
def test_connection_that_does_not_begin_with_a_right_resume_is_refused(data, text):
    link = Link(PROGRAM_SENDS, EXECUTOR_SENDS)
    link.connected(0.0)
    with pytest.raises(ProtocolError) as caught:
        link.feed(data)
    assert str(caught.value) == text


def test_peer_cannot_acknowledge_again_what_was_not_sent_again(link):
    link.send(1, b'0123456789')
    link.output()
    link.connected(0.0)
    link.feed(RESUMED)
    with pytest.raises(ProtocolError):
        link.feed(pack_credit(1, 10, WINDOW))


def test_stopped_is_told_once_however_often_the_peer_says_so(link):
    link.send(1, b'x' * 100)
    assert link.feed(pack_head(protocol.STOP, 1, 0) * 3) == [Stopped(1)]
    assert joined(link) == pack_end(1, 100)

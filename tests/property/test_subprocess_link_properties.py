"""Properties of the link of subprocess: however its connections are cut, all arrives, once, in order."""
from __future__ import absolute_import, division, print_function

import os
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'unit'))
from subprocess_ends import Connected  # noqa: E402

from pymesos.errors import ProtocolError  # noqa: E402
from pymesos.subprocess.streams import protocol  # noqa: E402
from pymesos.subprocess.streams.link import Link  # noqa: E402

thorough = settings(print_blob=True, max_examples=300)

sizes = st.one_of(st.integers(0, 40), st.integers(0, 40000))
sides = st.sampled_from([0, 1])
steps = st.one_of(
    st.tuples(st.just('send'), sides, st.integers(0, 3), sizes),
    st.tuples(st.just('send'), sides, st.integers(0, 3), sizes),
    st.tuples(st.just('consume'), sides, st.integers(0, 3), sizes),
    st.tuples(st.just('write'), sides),
    st.tuples(st.just('deliver'), sides, st.one_of(st.none(), sizes)),
    st.tuples(st.just('deliver'), sides, st.one_of(st.none(), sizes)),
    st.tuples(st.just('connect')),
    st.tuples(st.just('connect')),
    st.tuples(st.just('cut')),
    st.tuples(st.just('shuttle')),
    st.tuples(st.just('look'), sides),
    st.tuples(st.just('end'), sides, st.integers(0, 3)),
    st.tuples(st.just('stop'), sides, st.integers(1, 3)),
)
windows = st.one_of(st.integers(1, 20), st.integers(20, 30000))


def take(world, step):
    """Do one thing, as far as it can be done."""
    what = step[0]
    if what in ('connect', 'cut', 'shuttle'):
        getattr(world, what)()
        return
    end = world.ends[step[1]]
    if what in ('write', 'deliver'):
        getattr(world, what)(end, *step[2:])
    elif what == 'look':
        # A minute of silence, as far as the link can know.
        end.link.keep_alive(0.0)
        end.link.keep_alive(59.0)
    elif step[2] in (end.receives if what in ('consume', 'stop') else end.sends):
        getattr(end, what)(*step[2:])


def check_all_arrived(world):
    for end in world.ends:
        other = world.other(end)
        for channel in end.sends:
            if channel in other.has_stopped:
                assert end.sent[channel].startswith(bytes(other.got[channel]))
            else:
                assert end.sent[channel] == other.got[channel]
        assert other.ended == set(other.receives)
        assert not any(sender.kept or sender.fresh for sender in end.link._senders)


@thorough
@given(windows, st.lists(steps, max_size=80))
@example(10, [('connect',), ('shuttle',), ('send', 1, 2, 10), ('write', 1), ('deliver', 0, 25), ('cut',), ('connect',)])
@example(10, [('connect',), ('shuttle',), ('end', 1, 2), ('write', 1), ('cut',), ('stop', 0, 2), ('connect',)])
def test_all_arrives_once_and_in_order_whatever_is_cut_ended_or_stopped(window, script):
    world = Connected(window)
    for step in script:
        take(world, step)
        for end in world.ends:
            end.check()
    world.finish()
    check_all_arrived(world)


@thorough
@given(st.integers(1, 3000), st.lists(st.integers(1, 400), min_size=1, max_size=60), st.randoms())
def test_stream_survives_a_cut_at_any_byte_of_either_direction(window, cuts, chance):
    """Both directions stream all the time, and every few bytes the connection is cut."""
    world = Connected(window)
    for left in cuts:
        world.connect()
        while left > 0:
            for end in world.ends:
                for channel in end.sends:
                    if len(end.sent[channel]) < min(20000, 100 * window):
                        end.send(channel, chance.randrange(1, 500))
                world.write(end)
            moved = 0
            for end in world.ends:
                moved += world.deliver(end, min(left, chance.randrange(1, 300)))
                for channel in end.receives:
                    end.consume(channel, chance.randrange(0, 600))
                end.check()
            left -= max(moved, 1)
        world.cut()
    world.finish()
    check_all_arrived(world)
    assert world.cuts == len(cuts)


@thorough
@given(st.integers(1, 5000), st.integers(0, 100))
def test_sender_stands_still_when_the_receiver_consumes_nothing_and_goes_on_when_it_does(window, rounds):
    world = Connected(window)
    world.connect()
    world.shuttle()
    end = world.executor
    for _ in range(rounds):
        end.send(2, 1000)
        world.shuttle()
    assert len(end.sent[2]) == min(window, 1000 * rounds)
    assert world.program.unconsumed[2] == len(end.sent[2])
    end.check()
    world.shuttle()
    assert not end.link.output() and not world.program.link.output()       # nothing goes to and fro meanwhile
    world.program.consume(2, window)
    world.shuttle()
    if len(end.sent[2]) == window:
        assert end.link.room(2) == window
        assert end.send(2, window) == window


@thorough
@given(st.lists(st.one_of(
    st.binary(max_size=40),
    st.builds(protocol.pack_head, st.integers(0, 9), st.integers(0, 5),
              st.sampled_from([0, 1, 8, 16, 17, 34, 51, 68, 262144, 262145, 2 ** 32 - 1])),
    st.builds(protocol.pack_credit, st.integers(0, 4), st.integers(0, 300), st.integers(0, 2 ** 64 - 1)),
    st.builds(protocol.pack_end, st.integers(0, 4), st.integers(0, 300)),
    st.just(protocol.pack_resume([(0, 0, 100), (1, 0, 100)])),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 50), st.integers(0, 2 ** 64 - 1)), max_size=4).map(
        protocol.pack_resume),
), max_size=20), st.booleans())
def test_whatever_a_peer_sends_is_taken_or_is_a_protocol_error_and_holds_no_memory(pieces, is_resumed):
    link = Link(protocol.PROGRAM_SENDS, protocol.EXECUTOR_SENDS, 1000)
    link.connected(0.0)
    link.output()
    if is_resumed:
        link.feed(protocol.pack_resume([(0, 0, 1000), (1, 0, 1000)]))
        link.send(1, b'x' * 200)
    try:
        for piece in pieces:
            for _ in link.feed(piece):
                assert len(link._held) <= 80
            link.output()
            assert link.room(1) <= 1000
    except ProtocolError as error:
        assert len(str(error)) < 400


@pytest.mark.parametrize('size', [1, 7, 4096])
def test_cost_of_many_small_pieces_is_their_bytes(size):
    """Pieces of one byte are kept together: an object for each would take fifty times as much."""
    world = Connected(100000)
    world.connect()
    world.shuttle()
    end = world.executor
    while end.send(2, size) == size:
        world.write(end)
    sender = [sender for sender in end.link._senders if sender.channel == 2][0]
    assert len(sender.kept) + len(sender.fresh) < 50

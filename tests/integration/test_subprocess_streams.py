"""Streams of subprocess over real connections that are cut, silent or many, between hubs and executors."""
from __future__ import absolute_import, division, print_function

import os
import random
import resource
import subprocess
import threading

import pytest
from subprocess_holdings import IS_EXACT

from pymesos.subprocess.agent import dialler
from pymesos.subprocess.streams import carrier, link
from pymesos.subprocess.streams.hub import Hub
from pymesos.subprocess.streams.protocol import STDOUT
from pymesos.testing import FaultProxy, wait_until
from subprocess_cats import TIMEOUT, Cat, CatLoop, Stream

CUTS = 40


@pytest.fixture
def faults():
    return []


@pytest.fixture
def hub(faults):
    hub = Hub(failed=faults.append).start()
    yield hub
    hub.stop()
    assert not faults, faults


@pytest.fixture
def loop(faults):
    loop = CatLoop(faults.append).start()
    yield loop
    loop.stop()


@pytest.fixture
def proxy(hub):
    with FaultProxy('%s:%d' % hub.address) as proxy:
        yield proxy


def through(proxy):
    host, _, port = proxy.netloc.rpartition(':')
    return host, int(port)


def test_streams_survive_cuts_at_any_byte_of_either_direction(hub, loop, proxy, random_seed, monkeypatch):
    monkeypatch.setattr(dialler, 'LONGEST_DELAY', 0.02)
    chance = random.Random(random_seed)
    streams = [Stream(hub, loop, through(proxy)) for _ in range(3)]
    for _ in range(CUTS):
        # Of the handshake, which may be cut as well, the executor tells nothing, but it dials again.
        accepted = hub._listener.accepted
        proxy.cut_after(chance.choice([0, 50, 110, 1000, 300000]) + chance.randrange(1, 200),
                        chance.choice(['up', 'down']), chance.choice([True, False]))
        wait_until(lambda: hub._listener.accepted > max(accepted, len(streams)), timeout=TIMEOUT)
    for stream in streams:
        stream.is_finishing = True
    for stream in streams:
        stream.finish(losses=None)


def test_silent_connection_is_given_up_and_the_stream_goes_on_over_another_one(hub, loop, proxy, monkeypatch):
    for module in (link, carrier):
        monkeypatch.setattr(module, 'LOOK_EVERY', 0.05)
    monkeypatch.setattr(link, 'ASK_AFTER', 0.3)
    stream = Stream(hub, loop, through(proxy))
    wait_until(lambda: stream.got > 1000000, timeout=TIMEOUT)
    proxy.black_hole()
    # Only here: a thread that stands still for a second must not count as silence.
    with monkeypatch.context() as hurried:
        for module in (link, carrier):
            hurried.setattr(module, 'GIVE_UP_AFTER', 1.0)
        wait_until(lambda: stream.cat.losses, timeout=TIMEOUT)
        assert 'nothing was heard of the other side for 1 s' in str(stream.cat.losses[0])
    proxy.reset()
    proxy.pass_through()
    got = stream.got
    wait_until(lambda: stream.got > got + 1000000, timeout=TIMEOUT)
    stream.finish(losses=True)


def test_many_streams_at_once_share_two_threads(hub, loop):
    streams = [Stream(hub, loop) for _ in range(50)]
    wait_until(lambda: all(stream.got > 100000 for stream in streams), timeout=TIMEOUT)
    names = [thread.name for thread in threading.enumerate()]
    assert len([name for name in names if name in ('pymesos-subprocess', 'cats')]) == 2
    for stream in streams:
        stream.is_finishing = True
    for stream in streams:
        stream.finish()


class Yes(Cat):
    """An executor whose command prints for ever."""

    def message_received(self, message):
        self.child = subprocess.Popen(['yes'], stdout=subprocess.PIPE, close_fds=True)
        descriptor = os.dup(self.child.stdout.fileno())
        self.attach_source(STDOUT, descriptor, closed=lambda _source: self.loop.order(self._exit))
        self.child.stdout.close()
        self.link.stop(1)
        self.send_message({'type': 'STARTED', 'pid': self.child.pid, 'hostname': u'here'})

    def _exit(self):
        self.child.wait()
        super(Yes, self)._exit()


class Unread(Stream):
    """A session whose output is not read."""

    make_cat = Yes

    def run(self):
        pass

    def read(self, size):
        while size:
            data = os.read(self._reader, min(size, 1 << 20))
            assert data.replace(b'y\n', b'') in (b'', b'y', b'\n', b'\ny')
            size -= len(data)


def count_turns(loop):
    turns = []
    select = loop.selector.select
    loop.selector.select = lambda timeout=None: turns.append(1) or select(timeout)
    return turns


def used():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def test_program_that_prints_for_ever_stands_still_when_nobody_reads_and_costs_nothing(hub, loop):
    stream = Unread(hub, loop)
    source = wait_until(lambda: stream.cat.sources.get(STDOUT))
    turns = [count_turns(one) for one in (hub.loop, loop)]

    def is_at_rest():
        before = source.offset, [len(one) for one in turns]
        processor = used()
        threading.Event().wait(2.0)
        return (source.offset == before[0] and used() - processor < 0.1
                and max(len(one) - count for one, count in zip(turns, before[1])) < 3)

    wait_until(is_at_rest, timeout=TIMEOUT, message='all to stand still for 2 s')
    assert 0 < source.offset < 2000000
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    stream.read(50000000)
    if IS_EXACT:
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 20000
    os.close(stream._reader)
    # The reader is gone, and so is the program.
    wait_until(lambda: stream.told and stream.session.is_gone, timeout=TIMEOUT)
    assert stream.told == [0] and stream.cat.child.returncode in (-13, 1)      # SIGPIPE; on 2.7 EPIPE
    os.close(stream._writer)

"""The loop's timers and orders, and servers that share it."""
from __future__ import absolute_import, division, print_function

import gc
import socket
import threading
import weakref

import pytest
from pymesos._compat import monotonic, selectors
from pymesos.serving.http_server import Answer, HttpServer
from pymesos.serving.loop import CANCELLED_TIMERS, Loop
from pymesos.testing import LeakCheck, wait_until

TIMEOUT = 30.0


@pytest.fixture
def loop():
    with LeakCheck():
        loop = Loop('test-loop').start()
        yield loop
        loop.stop()


def test_timers_fire_on_the_thread_in_the_order_of_their_times(loop):
    fired, done, now = [], threading.Event(), monotonic()

    def arm():                          # on the thread: none fires before all are set
        loop.call_at(now + 0.05, lambda: (fired.append('late'), done.set()))
        loop.call_at(now + 0.01, lambda: fired.append('early'))
        loop.call_at(now, lambda: fired.append(loop.is_own_thread()))

    loop.carry_out(arm)
    assert done.wait(TIMEOUT)
    assert fired == [True, 'early', 'late']


def test_timer_that_was_called_off_does_not_fire(loop):
    fired, done, now = [], threading.Event(), monotonic()

    def arm():                          # on the thread: it does not fire meanwhile
        timer = loop.call_at(now + 0.01, lambda: fired.append('called off'))
        assert timer.is_pending
        timer.cancel()
        timer.cancel()
        assert not timer.is_pending
        loop.call_at(now + 0.03, done.set)

    loop.carry_out(arm)
    assert done.wait(TIMEOUT)
    assert fired == []


def test_timer_is_over_once_it_has_fired(loop):
    done = threading.Event()
    timer = loop.call_later(0.0, done.set)
    assert done.wait(TIMEOUT)
    loop.carry_out(lambda: None)
    assert not timer.is_pending
    timer.cancel()


class OneReader(object):
    """Takes one event, and has ended with it."""

    def __init__(self, loop, sock):
        self._loop, self._socket = loop, sock
        loop.carry_out(self._watch)

    def _watch(self):
        self._loop.watch(self._socket, 0, selectors.EVENT_READ, self._ready)

    def _ready(self, _events):
        self._loop.watch(self._socket, selectors.EVENT_READ, 0, None)
        self._socket.close()


def test_what_took_the_last_event_and_has_ended_is_not_kept(loop):
    ours, theirs = socket.socketpair()
    kept = weakref.ref(OneReader(loop, ours))
    theirs.close()
    wait_until(lambda: (gc.collect(), kept() is None)[1], TIMEOUT)


def test_timers_that_were_called_off_do_not_pile_up(loop):
    def make():
        for _ in range(20 * CANCELLED_TIMERS):
            loop.call_later(3600.0, int).cancel()
        return len(loop._timers)

    assert loop.carry_out(make) <= 2 * CANCELLED_TIMERS + 2


def test_timer_that_sets_itself_again_at_once_lets_others_have_their_turn(loop):
    fired = []

    def fire():
        fired.append(1)
        loop.call_later(0, fire)

    loop.call_later(0, fire)
    wait_until(lambda: len(fired) > 1)
    assert loop.carry_out(lambda: 'done') == 'done'


def test_orders_that_give_orders_let_others_have_their_turn(loop):
    followed = []

    def follow():
        followed.append(1)
        loop.order(follow)

    loop.order(follow)
    wait_until(lambda: len(followed) > 1)
    fired = []
    loop.call_later(0, lambda: fired.append(1))
    wait_until(lambda: fired)


def test_order_that_interrupts_another_one_is_followed(loop):
    """A signal handler may wait for what it orders."""
    orders = []

    def order_and_ring():
        del loop._ring
        loop.carry_out(lambda: orders.append('inner'))
        loop._ring()

    loop._ring = order_and_ring
    loop.order(lambda: orders.append('outer'))
    assert orders == ['outer', 'inner']     # in the order in which they were given


def test_orders_of_many_threads_are_all_followed(loop):
    orders = []
    threads = [threading.Thread(target=lambda: [loop.order(lambda: orders.append(1)) for _ in range(1000)])
               for _ in range(8)]
    for thread in threads:
        thread.start()
    for _ in range(1000):
        loop.order(lambda: orders.append(1))
    for thread in threads:
        thread.join()
    wait_until(lambda: len(orders) == 9000)


def test_order_given_by_the_thread_itself_is_followed_without_other_events(loop):
    done = threading.Event()
    loop.order(lambda: loop.order(lambda: loop.order(done.set)))
    assert done.wait(TIMEOUT)


def test_timer_set_by_the_thread_from_an_order_fires(loop):
    done = threading.Event()
    loop.order(lambda: loop.call_later(0.0, done.set))
    assert done.wait(TIMEOUT)


def test_what_a_call_raises_is_told_and_the_thread_goes_on():
    failures, done = [], threading.Event()

    def fail():
        raise ValueError('planned')

    with LeakCheck():
        loop = Loop('test-loop', failed=failures.append).start()
        loop.order(fail)
        loop.call_later(0.0, fail)
        loop.call_later(0.01, done.set)
        assert done.wait(TIMEOUT)
        loop.stop()
    assert [str(error) for error in failures] == ['planned', 'planned']


def fetch(port):
    sock = socket.create_connection(('127.0.0.1', port), TIMEOUT)
    try:
        sock.sendall(b'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
        return b''.join(iter(lambda: sock.recv(4096), b''))
    finally:
        sock.close()


def test_servers_share_a_loop_and_stop_one_by_one(loop):
    threads = []

    def answer(request):
        threads.append(threading.current_thread())
        return Answer(200, 'fine')

    servers = [HttpServer(answer, loop=loop) for _ in range(3)]
    for server in servers:
        server.start()
    assert all(b'fine' in fetch(server.port) for server in servers)
    assert len(set(threads)) == 1
    servers[0].stop()
    servers[0].stop()
    with pytest.raises(socket.error):
        fetch(servers[0].port)
    assert b'fine' in fetch(servers[1].port)
    for server in servers:
        server.stop()

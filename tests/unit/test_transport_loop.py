"""The event loop and the mailbox: order, threads, timers, wake-ups."""
from __future__ import absolute_import, division, print_function

import signal
import socket
import threading

from pymesos._compat import monotonic
from pymesos.testing import wait_until
from pymesos.transport import loop as loop_module
from pymesos.transport.loop import READ, WRITE, Loop
from pymesos.transport.mailbox import Mailbox


class Running(object):
    """A loop on a thread of its own."""

    def __enter__(self):
        self.loop = Loop()
        self.thread = threading.Thread(target=self.loop.run)
        self.thread.start()
        return self.loop

    def __exit__(self, *_):
        self.loop.post(self.loop.close)
        self.thread.join()
        self.loop = None


def test_posted_calls_run_in_order_on_the_loops_thread():
    seen = []
    with Running() as loop:
        for number in range(1000):
            loop.post(lambda number=number: seen.append((number, threading.current_thread())))
        wait_until(lambda: len(seen) == 1000)
    assert [number for number, _thread in seen] == list(range(1000))
    assert len(set(thread for _number, thread in seen)) == 1


def test_posts_of_many_threads_all_arrive():
    seen = []
    with Running() as loop:
        threads = [threading.Thread(target=lambda: [loop.post(seen.append, 1) for _ in range(2000)]) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wait_until(lambda: len(seen) == 16000)


def test_post_from_a_signal_handler():
    seen = []
    with Running() as loop:
        before = signal.signal(signal.SIGALRM, lambda *_: loop.post(seen.append, 'from the handler'))
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
            for _ in range(20000):
                loop.post(seen.append, 'from the main thread')
            signal.setitimer(signal.ITIMER_REAL, 0)
            wait_until(lambda: seen.count('from the main thread') == 20000)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


def test_post_that_interrupts_another_one_wakes_the_loop_by_itself():
    """A signal handler may wait for what it posts."""
    done = threading.Event()
    with Running() as loop:
        def post_and_ring():
            del loop._alarm.ring
            loop.post(done.set)
            assert done.wait(30)
            loop._alarm.ring()

        wait_until(lambda: not loop._is_awake)
        loop._alarm.ring = post_and_ring
        loop.post(lambda: None)
        assert done.is_set()


def test_post_to_a_loop_that_has_ended_is_dropped_and_told():
    with Running() as loop:
        kept = loop
    told = []
    kept.post(lambda: told.append('ran'), dropped=lambda: told.append('dropped'))
    assert told == ['dropped']


def test_posts_that_race_with_the_end_are_run_or_told():
    for _ in range(50):
        told = []
        loop = Loop()
        thread = threading.Thread(target=loop.run)
        thread.start()
        loop.post(loop.close)
        for number in range(100):
            loop.post(told.append, number, dropped=lambda number=number: told.append(number))
        thread.join()
        wait_until(lambda: len(told) == 100)
        del loop


def test_timers_run_when_due_and_in_order_and_not_when_cancelled(monkeypatch):
    seen = []

    def arm():
        began = monotonic()
        monkeypatch.setattr(loop_module, 'monotonic', lambda: began)        # all are armed at one moment
        loop.call_later(0.10, lambda: seen.append(('late', monotonic() - began)))
        loop.call_later(0.05, lambda: seen.append(('soon', monotonic() - began)))
        loop.call_later(0.01, seen.append, 'cancelled').cancel()
        monkeypatch.undo()

    with Running() as loop:
        loop.post(arm)
        wait_until(lambda: len(seen) == 2)
    assert [name for name, _passed in seen] == ['soon', 'late']
    assert seen[0][1] >= 0.049 and seen[1][1] >= 0.099


def test_sockets_are_watched_for_what_was_asked_and_no_longer():
    seen = []
    left, right = socket.socketpair()
    try:
        with Running() as loop:
            def look(ready):
                seen.append(ready)
                if ready & READ:
                    left.recv(10)
                loop.watch(left, READ, look)

            loop.post(loop.watch, left, READ | WRITE, look)
            wait_until(lambda: seen)
            right.send(b'x')
            wait_until(lambda: seen[-1] & READ)
            loop.post(loop.unwatch, left)
            loop.post(loop.unwatch, left)               # twice is fine
    finally:
        left.close()
        right.close()


def test_socket_closed_by_another_function_of_the_same_turn_is_not_called():
    one, one_end = socket.socketpair()
    two, two_end = socket.socketpair()
    called = []

    with Running() as loop:
        def close_other(name, other):
            called.append(name)
            loop.unwatch(other)

        def begin():
            loop.watch(one, READ, lambda _ready: close_other('one', two) or loop.unwatch(one))
            loop.watch(two, READ, lambda _ready: close_other('two', one) or loop.unwatch(two))

        one_end.send(b'x')
        two_end.send(b'x')
        loop.post(begin)
        wait_until(lambda: called)
        done = []
        loop.post(done.append, True)
        wait_until(lambda: done)
    assert len(called) == 1
    for sock in (one, one_end, two, two_end):
        sock.close()


def mailbox(capacity=1000, drained=lambda: None, raised=lambda exc_info: None, fetch=None):
    box = Mailbox('mailbox', capacity, drained, raised, fetch=fetch)
    box.start()
    return box


def finish(box):
    done = threading.Event()
    box.put(0, done.set)
    box.close()
    assert done.wait(30)
    box._thread.join()


def test_mailbox_fetches_once_if_it_may_and_again_as_long_as_that_brings_something():
    fetched, gate = [], threading.Event()

    def fetch():
        fetched.append(len(seen))
        if len(fetched) < 3:
            box.put(1, seen.append, len(fetched))
        return len(fetched) < 3

    seen = []
    box = mailbox(fetch=fetch)
    wait_until(lambda: box._is_asleep)
    assert not box.may_fetch()
    box.put(1, gate.wait, 30)
    box.put(1, seen.append, 0)
    assert box.may_fetch()
    assert not fetched
    gate.set()
    wait_until(lambda: len(fetched) == 3)
    box.put(1, lambda: None)
    finish(box)
    assert seen == [0, 1, 2] and fetched == [1, 2, 3]


def test_mailbox_goes_on_when_it_cannot_fetch():
    errors, seen = [], []

    def fetch():
        raise MemoryError('no more')

    box = mailbox(raised=lambda exc_info: errors.append(exc_info[0]), fetch=fetch)
    box.put(1, box.may_fetch)
    wait_until(lambda: errors)
    box.put(1, seen.append, 1)
    finish(box)
    assert errors == [MemoryError] and seen == [1]


def test_mailbox_runs_in_order_and_goes_on_after_an_exception():
    seen, errors = [], []

    def fail():
        raise ValueError('x')

    box = mailbox(raised=lambda exc_info: errors.append(exc_info[0]))
    box.put(1, seen.append, 1)
    box.put(1, fail)
    box.put(1, seen.append, 2)
    finish(box)
    assert (seen, errors) == ([1, 2], [ValueError])


def test_mailbox_is_full_above_its_capacity_and_tells_when_it_is_half_empty():
    gate, drained = threading.Event(), []
    box = mailbox(capacity=100, drained=lambda: drained.append(box.is_full))
    box.put(0, gate.wait, 30)
    assert box.put(60, int)
    assert not box.put(60, int)
    assert box.is_full
    gate.set()
    wait_until(lambda: drained)
    assert drained == [False]
    finish(box)


def test_mailbox_drops_what_comes_after_its_end():
    box = mailbox()
    finish(box)
    seen = []
    assert box.put(1, seen.append, 1)
    assert not seen


def test_mailbox_knows_its_thread():
    box, seen = mailbox(), []
    box.put(0, lambda: seen.append(box.is_current_thread()))
    finish(box)
    assert seen == [True] and not box.is_current_thread()


def test_mailbox_holds_no_lock_while_it_runs_a_function():
    box, seen = mailbox(), []
    box.put(0, lambda: box.put(0, seen.append, 'put from inside'))
    wait_until(lambda: seen)
    finish(box)

"""Waiting for what another thread tells."""
from __future__ import absolute_import, division, print_function

import os
import signal
import sys
import threading
import time

import pytest

from pymesos._compat import Latch, monotonic
from pymesos.testing import wait_until


def test_latch_is_set_once_and_stays_so():
    latch = Latch()
    assert not latch.is_set() and not latch.wait(0)
    latch.set()
    latch.set()
    assert latch.is_set() and latch.wait() and latch.wait(0) and latch.wait(-1)


def test_wait_ends_with_its_timeout():
    began = monotonic()
    assert Latch().wait(0.2) is False
    assert 0.19 < monotonic() - began < 60


@pytest.mark.parametrize('timeout', [None, 60.0])
def test_all_who_wait_are_woken(timeout):
    latch, woken = Latch(), []
    threads = [threading.Thread(target=lambda: woken.append(latch.wait(timeout))) for _ in range(20)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(latch._waiters) == 20, message='all to wait')
    latch.set()
    for thread in threads:
        thread.join()
    assert woken == [True] * 20
    assert latch._waiters == []


@pytest.mark.parametrize('timeout', [None, 60.0])
def test_main_thread_is_woken_by_another(timeout):
    latch = Latch()
    timer = threading.Timer(0.1, latch.set)
    timer.start()
    assert latch.wait(timeout)
    timer.join()


def signal_once_it_waits():
    """Send this process SIGUSR1 as soon as the calling thread, the main one, is in the midst of a wait; the thread."""
    main = threading.current_thread().ident

    def is_waiting():
        frame = sys._current_frames()[main]
        return frame.f_code.co_name == 'wait' and frame.f_back.f_code == Latch.wait.__code__

    def work():
        wait_until(is_waiting, message='the main thread to wait')
        os.kill(os.getpid(), signal.SIGUSR1)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_signals_are_handled_while_it_waits():
    latch, handled = Latch(), []

    def handle(number, _frame):
        handled.append(number)
        latch.wait(0)
        latch.set()

    before = signal.signal(signal.SIGUSR1, handle)
    thread = signal_once_it_waits()
    try:
        assert latch.wait(60.0)
    finally:
        thread.join()
        signal.signal(signal.SIGUSR1, before)
    assert handled == [signal.SIGUSR1]


def test_interrupted_wait_leaves_nothing():
    class Interrupt(Exception):
        pass

    def handle(_number, _frame):
        raise Interrupt

    latch = Latch()
    before = signal.signal(signal.SIGUSR1, handle)
    thread = signal_once_it_waits()
    try:
        with pytest.raises(Interrupt):
            latch.wait(60.0)
    finally:
        thread.join()
        signal.signal(signal.SIGUSR1, before)
    assert latch._waiters == []


def test_race_of_timeout_and_set_is_lost_by_nobody():
    for number in range(200):
        latch = Latch()
        threads = [threading.Thread(target=latch.wait, args=(0.001 * (number % 4),)) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(0.001 * (number % 3))
        latch.set()
        for thread in threads:
            thread.join()
        assert latch._waiters == []

"""pymesos._compat: what an older Python lacks behaves as Python 3's."""
from __future__ import absolute_import, division, print_function

import errno
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from pymesos import _compat
from pymesos._compat import (JSONDecodeError, NetworkError, close_on_exec, getfullargspec, is_main_thread, monotonic,
                             pipe, reraise, select_from, selectors, socket_errors, wait_for)


def test_every_name_is_there():
    assert [name for name in _compat.__all__ if not hasattr(_compat, name)] == []


def test_clock_goes_forward():
    before = monotonic()
    time.sleep(0.02)
    assert 0.01 < monotonic() - before < 30


def test_bad_json_raises_what_has_the_name():
    with pytest.raises(JSONDecodeError):
        json.loads('{')
    assert issubclass(JSONDecodeError, ValueError)


def test_network_error_is_caught_by_both_names():
    for kind in (OSError, socket.error, EnvironmentError):
        with pytest.raises(kind):
            raise NetworkError(errno.EPIPE, 'broken')


def test_socket_errors_catch_what_sockets_raise():
    with pytest.raises(socket_errors):
        socket.create_connection(('127.0.0.1', 1), 5)
    with pytest.raises(socket_errors):
        os.close(2 ** 20)


def is_close_on_exec(number):
    return bool(fcntl.fcntl(number, fcntl.F_GETFD) & fcntl.FD_CLOEXEC)


def test_close_on_exec_takes_numbers_and_sockets():
    reading, writing = os.pipe()
    sock = socket.socket()
    try:
        for number in (reading, sock.fileno()):
            fcntl.fcntl(number, fcntl.F_SETFD, 0)
        assert close_on_exec(reading) == reading
        assert close_on_exec(sock) is sock
        assert is_close_on_exec(reading) and is_close_on_exec(sock.fileno())
    finally:
        os.close(reading)
        os.close(writing)
        sock.close()


def test_pipe_never_blocks_and_is_not_inherited():
    reading, writing = pipe()
    try:
        assert is_close_on_exec(reading) and is_close_on_exec(writing)
        with pytest.raises(OSError) as caught:
            os.read(reading, 1)
        assert caught.value.errno == errno.EAGAIN
        with pytest.raises(OSError) as caught:
            while True:
                os.write(writing, b'x' * 65536)
        assert caught.value.errno == errno.EAGAIN
        assert os.read(reading, 1) == b'x'
    finally:
        os.close(reading)
        os.close(writing)


def test_selector_sees_what_is_ready():
    selector = selectors.DefaultSelector()
    reading, writing = pipe()
    try:
        selector.register(reading, selectors.EVENT_READ, 'mine')
        assert selector.select(0) == []
        os.write(writing, b'x')
        assert [(key.data, events) for key, events in selector.select(30)] == [('mine', selectors.EVENT_READ)]
    finally:
        selector.close()
        os.close(reading)
        os.close(writing)


def test_reraise_keeps_the_traceback():
    def fail():
        raise KeyError('x')

    try:
        fail()
    except KeyError:
        exc_info = sys.exc_info()
    with pytest.raises(KeyError) as caught:
        reraise(*exc_info)
    assert 'fail' in [entry.name for entry in caught.traceback]


def test_getfullargspec_names_the_arguments():
    assert list(getfullargspec(lambda driver, event=None: None).args) == ['driver', 'event']


def test_is_main_thread():
    seen = []
    thread = threading.Thread(target=lambda: seen.append(is_main_thread()))
    thread.start()
    thread.join()
    assert (is_main_thread(), seen) == (True, [False])


def test_select_from_survives_a_signal_whose_handler_outlasts_the_wait():
    reader, writer = pipe()
    selector = selectors.DefaultSelector()
    selector.register(reader, selectors.EVENT_READ)
    seen = []

    def handle(_number, _frame):
        seen.append(1)
        time.sleep(0.3)

    before = signal.signal(signal.SIGALRM, handle)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        while not seen:
            assert select_from(selector, 0.2) == []
        os.write(writer, b'x')
        assert [key.fileobj for key, _ in select_from(selector)] == [reader]
    finally:
        signal.signal(signal.SIGALRM, before)
        selector.close()
        os.close(reader)
        os.close(writer)


def test_wait_for_returns_whether_the_event_is_set():
    event = threading.Event()
    assert not wait_for(event, 0.01)
    timer = threading.Timer(0.05, event.set)
    timer.start()
    assert wait_for(event)
    assert wait_for(event, 0.01)
    timer.join()


@pytest.mark.parametrize('timeout', ['None', '60'])
def test_signal_handlers_run_while_the_main_thread_waits(timeout):
    # The handler has another thread set the event that its own waits for, as driver.stop() does in one. It must not
    # do so itself: it may have interrupted the wait while that held the event's lock.
    program = ('import os, signal, sys, threading\n'
               'from pymesos._compat import wait_for\n'
               'event, seen, (alarm, waker) = threading.Event(), [], os.pipe()\n'
               'def handler(number, frame):\n'
               '    seen.append(number)\n'
               '    len(seen) == 5 and os.write(waker, b"!")\n'
               '    os.write(1, b"seen\\n")\n'
               'thread = threading.Thread(target=lambda: os.read(alarm, 1) and event.set())\n'
               'thread.daemon = True\n'
               'thread.start()\n'
               'signal.signal(signal.SIGUSR1, handler)\n'
               'os.write(1, b"ready\\n")\n'
               'sys.exit(0 if wait_for(event, %s) and len(seen) == 5 else 3)\n' % timeout)
    process = subprocess.Popen([sys.executable, '-c', program], stdout=subprocess.PIPE, close_fds=True)
    killer = threading.Timer(60, process.kill)
    killer.start()
    try:
        lines = [process.stdout.readline()]
        for _ in range(5):
            os.kill(process.pid, signal.SIGUSR1)
            lines.append(process.stdout.readline())
        assert lines == [b'ready\n'] + [b'seen\n'] * 5
        assert process.wait() == 0
    finally:
        killer.cancel()
        killer.join()
        process.stdout.close()
        process.wait()

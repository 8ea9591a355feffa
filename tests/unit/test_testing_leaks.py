"""What LeakCheck finds, and what it waits for."""
from __future__ import absolute_import, division, print_function

import os
import socket
import subprocess
import sys
import threading
import time
import traceback

import pytest

from pymesos.testing import LeakCheck, Leaked, wait_until

pytestmark = pytest.mark.skipif(not os.path.isdir('/proc/self/fd'), reason='needs /proc')


def test_clean_block_passes_at_once():
    check = LeakCheck(timeout=60.0)
    began = time.time()
    with check:
        os.close(os.open('/dev/null', os.O_RDONLY))
    assert time.time() - began < check.timeout


def stack_of(thread):
    return ''.join(traceback.format_stack(sys._current_frames()[thread.ident]))


def test_thread_is_reported_with_its_stack():
    done = threading.Event()
    thread = threading.Thread(target=done.wait, name='forgotten')
    try:
        with pytest.raises(Leaked) as caught:
            with LeakCheck(timeout=0.05):
                thread.start()
                wait_until(lambda: 'wait' in stack_of(thread), message='the thread to wait')
    finally:
        done.set()
        thread.join()
    assert str(caught.value).startswith("left behind after 0.05 s:\nthread 'forgotten'")
    assert 'wait' in caught.value.leaks[0] and 'threading.py' in caught.value.leaks[0]


def test_thread_that_is_ending_is_waited_for():
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    check = LeakCheck(timeout=60.0)
    thread.start()
    threading.Timer(0.1, done.set).start()
    check.check()
    assert not thread.is_alive()


def test_descriptor_is_reported_with_what_it_is(tmpdir):
    path = str(tmpdir.join('file'))
    check = LeakCheck(timeout=0)
    number = os.open(path, os.O_CREAT | os.O_RDWR)
    assert check.leaks() == ['descriptor %d: %s' % (number, os.path.realpath(path))]
    os.close(number)
    assert check.leaks() == []


def test_descriptor_opened_anew_under_an_old_number_is_reported():
    number = os.open('/dev/null', os.O_RDONLY)
    check = LeakCheck(timeout=0)
    other = os.open('/dev/zero', os.O_RDONLY)
    os.dup2(other, number)
    os.close(other)
    try:
        assert check.leaks() == ['descriptor %d: /dev/zero' % number]
    finally:
        os.close(number)


def test_socket_is_reported_with_its_addresses():
    listener = socket.socket()
    listener.bind(('127.0.0.1', 0))
    listener.listen(1)
    check = LeakCheck(timeout=0)
    client = socket.create_connection(listener.getsockname())
    try:
        text = check.leaks()[0]
    finally:
        client.close()
        listener.close()
    assert text.startswith('descriptor ')
    assert "at ('127.0.0.1', " in text and "connected to ('127.0.0.1', " in text


def test_child_is_reported_until_it_is_reaped():
    check = LeakCheck(timeout=0)
    child = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE)
    try:
        texts = [text for text in check.leaks() if text.startswith('child')]
        assert len(texts) == 1 and texts[0].startswith('child process %d: ' % child.pid)
        child.stdin.close()
        wait_until(lambda: any(text.endswith(', a zombie') for text in check.leaks()), message='the child to end')
    finally:
        child.wait()
    check.check()


def test_an_exception_of_the_block_is_not_hidden():
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    try:
        with pytest.raises(ZeroDivisionError):
            with LeakCheck(timeout=0):
                thread.start()
                1 // 0
    finally:
        done.set()
        thread.join()


def test_wait_until_returns_what_it_waited_for():
    values = iter([None, 0, 'ready'])
    assert wait_until(lambda: next(values)) == 'ready'


@pytest.mark.parametrize('message', ['the moon', lambda: 'the moon'])
def test_wait_until_says_what_it_waited_for(message):
    with pytest.raises(AssertionError) as caught:
        wait_until(lambda: False, timeout=0.02, message=message)
    assert str(caught.value) == 'waited 0.02 s in vain for the moon'

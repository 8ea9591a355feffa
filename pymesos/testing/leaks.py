"""Find the threads, descriptors and child processes that something left behind."""
from __future__ import absolute_import, division, print_function

import gc
import os
import socket
import sys
import threading
import time
import traceback

from .._compat import monotonic, socket_errors

__all__ = ['LeakCheck', 'Leaked']

#: Seconds that what is ending has to end.
TIMEOUT = 10.0

#: Seconds between two looks, from the first to the longest.
INTERVALS = (0.005, 0.1)

#: What the interpreter itself opens once and keeps.
KEPT_FILES = ('/dev/urandom',)
KEPT_PROGRAMS = ('multiprocessing.resource_tracker', 'multiprocessing.semaphore_tracker')


class Leaked(AssertionError):
    """Something was left behind. `leaks` is a list of texts, one for each thread, descriptor and child."""

    def __init__(self, message, leaks=()):
        super(Leaked, self).__init__(message)
        self.leaks = list(leaks)


class LeakCheck(object):
    """Compare what this process has now with what it had before.

    ::

        with LeakCheck():
            driver.start()
            driver.stop()

    `timeout` is how many seconds what is ending has to end: the check polls until all is clean. Looked for are
    threads (reported with their stacks), descriptors (with what they are) and child processes, zombies too; of
    these only what is new. Descriptors and children need ``/proc``; elsewhere only threads are seen. The check is
    left out when the block raises. To be used by one thread, while others rest.
    """

    def __init__(self, timeout=TIMEOUT):
        self.timeout = timeout
        self.start()

    def start(self):
        """Take what there is now for what was there before."""
        self._threads = set(threading.enumerate())
        self._descriptors = set(_descriptors().items())
        self._children = set(_children())

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, *exc_info):
        if kind is None:
            self.check()

    def leaks(self):
        """A list of texts, one for each thing that is new now; no waiting."""
        threads = [thread for thread in threading.enumerate() if thread not in self._threads and thread.is_alive()]
        descriptors = sorted(set(_descriptors().items()) - self._descriptors)
        children = sorted(set(_children()) - self._children)
        return ([_thread_text(thread) for thread in threads]
                + ['descriptor %d: %s' % (number, _descriptor_text(number, what)) for number, what in descriptors]
                + ['child process %d: %s' % (pid, _child_text(pid)) for pid, _ in children])

    def check(self):
        """Wait until nothing is left; raises :class:`Leaked` with the list when the timeout is over."""
        deadline = monotonic() + self.timeout
        interval, longest = INTERVALS
        while True:
            left = self.leaks()
            if not left:
                return
            if monotonic() > deadline:
                raise Leaked('left behind after %g s:\n%s' % (self.timeout, '\n'.join(left)), left)
            gc.collect()                # PyPy closes what nobody refers to only then
            time.sleep(interval)
            interval = min(interval * 2, longest)


def _thread_text(thread):
    text = 'thread %r%s' % (thread.name, ', a daemon' if thread.daemon else '')
    frame = sys._current_frames().get(thread.ident)
    return text + (':\n' + ''.join(traceback.format_stack(frame)).rstrip() if frame is not None else '')


def _descriptors():
    """A dict of the numbers of this process's descriptors to what they are."""
    found = {}
    try:
        numbers = [int(name) for name in os.listdir('/proc/self/fd')]
    except OSError:                     # no /proc
        return found
    for number in numbers:
        try:
            what = os.readlink('/proc/self/fd/%d' % number)
        except OSError:                 # closed since: that of the listing, at least
            continue
        if what not in KEPT_FILES and number != _tracker_descriptor():
            found[number] = what
    return found


def _tracker_descriptor():
    """The descriptor that multiprocessing keeps to its helper process, or None."""
    module = sys.modules.get('multiprocessing.resource_tracker') or sys.modules.get('multiprocessing.semaphore_tracker')
    tracker = getattr(module, '_resource_tracker', None) or getattr(module, '_semaphore_tracker', None)
    return getattr(tracker, '_fd', None)


def _descriptor_text(number, what):
    if not what.startswith('socket:'):
        return what
    try:
        sock = socket.fromfd(number, socket.AF_INET, socket.SOCK_STREAM)
    except socket_errors:
        return what
    try:
        text = '%s at %s' % (what, sock.getsockname())
        return '%s, connected to %s' % (text, sock.getpeername())
    except socket_errors:
        return text
    finally:
        sock.close()


def _children():
    """(pid, start time) of each child of this process."""
    try:
        pids = [int(name) for name in os.listdir('/proc') if name.isdigit()]
    except OSError:                     # no /proc
        return []
    found = []
    for pid in pids:
        # Behind the program's name, which may hold anything: state, parent, ..., the 20th is the start time.
        fields = _read('/proc/%d/stat' % pid).rpartition(')')[2].split()
        if fields[1:2] == [str(os.getpid())] and not any(name in _child_text(pid) for name in KEPT_PROGRAMS):
            found.append((pid, fields[19]))
    return found


def _child_text(pid):
    stat = _read('/proc/%d/stat' % pid)
    command = _read('/proc/%d/cmdline' % pid).replace('\0', ' ').strip() or stat.partition('(')[2].rpartition(')')[0]
    return command + (', a zombie' if stat.rpartition(')')[2].split()[:1] == ['Z'] else '')


def _read(path):
    try:
        with open(path) as stream:
            return stream.read()
    except (IOError, OSError):          # gone since
        return ''

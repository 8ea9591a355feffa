"""The thread that runs the user's callbacks, and the bounded queue before it."""
from __future__ import absolute_import, division, print_function

import logging
import sys
import threading
from collections import deque

__all__ = ['Mailbox']

logger = logging.getLogger(__name__)


class Mailbox(object):
    """Runs functions one at a time, in the order in which they were put, on a thread of its own.

    `capacity` is in bytes: above it :attr:`is_full`, and once half of it is free again `drained()` is called, on the
    mailbox's thread. Nothing is refused: who puts looks at :attr:`is_full` first. `raised(exc_info)` is called with
    what a function raised, on the mailbox's thread. No lock is held while a function runs. `previous` is a mailbox
    whose thread has to end before the first function runs.

    `fetch()`, if given, is called on the mailbox's thread before it sleeps, once for each :meth:`may_fetch`, and again
    as long as it returns True. It may put something, and wait for it, but not for long: what others put waits as well.
    """

    def __init__(self, name, capacity, drained, raised, previous=None, fetch=None):
        self._capacity = capacity
        self._drained = drained
        self._raised = raised
        self._previous = previous
        self._fetch = fetch
        self._items = deque()
        self._size = 0
        self._is_full = False
        self._is_closed = False
        self._is_asleep = False
        self._may_fetch = False         # fetch() is to be called before the thread sleeps
        # Guards all of the above.
        self._lock = threading.Lock()
        # Acquired by the thread to sleep, released by who wakes it, once for each sleep. A third of what a Condition
        # costs, which makes a lock for each wait.
        self._alarm = threading.Lock()
        self._alarm.acquire()
        self._thread = threading.Thread(target=self._run, name=name)
        self._thread.daemon = True

    def start(self):
        self._thread.start()

    @property
    def is_full(self):
        """Whether more bytes wait than the capacity."""
        return self._is_full

    def may_fetch(self):
        """Whether the thread is awake. If so `fetch()` is called when there is nothing more to run."""
        with self._lock:
            self._may_fetch = not self._is_asleep
            return self._may_fetch

    @property
    def waiting(self):
        """How many functions wait behind the one that runs now."""
        return len(self._items)

    def is_current_thread(self):
        """Whether the caller runs inside one of the functions, of this mailbox or of one that it waits for."""
        previous = self._previous
        return threading.current_thread() is self._thread or (previous is not None and previous.is_current_thread())

    def put(self, size, function, *args):
        """Have `function(*args)` run after all that was put before; `size` is its weight in bytes.

        Returns whether there is room for more. What is put after :meth:`close` is dropped.
        """
        with self._lock:
            if self._is_closed:
                return True
            self._items.append((size, function, args))
            self._size += size
            self._is_full = self._is_full or self._size > self._capacity
            self._wake()
            return not self._is_full

    def close(self):
        """End the thread after what was put before."""
        with self._lock:
            self._is_closed = True
            self._wake()

    def _wake(self):
        if self._is_asleep:
            self._is_asleep = False
            self._alarm.release()

    def _run(self):
        if self._previous is not None:
            self._previous._thread.join()
            self._previous = None
        item = self._next()
        while item is not None:
            size, function, args = item
            try:
                function(*args)
            except BaseException:       # user code, at the top of a thread: SystemExit counts as an error, too
                self._tell(sys.exc_info())
            item = function = args = None       # what it held may be large
            if self._release(size):
                self._drained()
            item = self._next()
        # What a callback raised refers to this frame: somebody who keeps it must not keep the whole driver.
        self._drained = self._raised = self._fetch = None

    def _next(self):
        """The next (size, function, arguments), which may take a while; None at the end."""
        while True:
            with self._lock:
                if self._items:
                    return self._items.popleft()
                if self._is_closed:
                    return None
                may_fetch, self._may_fetch = self._may_fetch, False
                self._is_asleep = not may_fetch
            if not may_fetch:
                self._alarm.acquire()
            elif self._fetch_safely():
                self._may_fetch = True

    def _fetch_safely(self):
        try:
            return self._fetch()
        except BaseException as error:  # out of memory, say, or whatever another thread has raised in this one
            # Without the frames: who keeps the exception must not keep what they hold.
            error.__traceback__ = None
            self._tell((type(error), error, None))
            return False

    def _tell(self, exc_info):
        try:
            self._raised(exc_info)
        except BaseException:
            # It raises only if even logging does, and then there is nobody left to tell. The thread goes on all the
            # same: who waits in join() must not wait for ever.
            return

    def _release(self, size):
        """Give back room; whether that ends a time of being full."""
        with self._lock:
            self._size = max(0, self._size - size)
            if not self._is_full or self._size > self._capacity // 2:
                return False
            self._is_full = False
            return True

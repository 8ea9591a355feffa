"""An event loop: one thread, a selector, timers and one door for other threads."""
from __future__ import absolute_import, division, print_function

import heapq
import itertools
import logging
import os
from collections import deque

from .._compat import close_on_exec, monotonic, pipe, selectors, socket_errors

__all__ = ['Loop', 'READ', 'Timer', 'WRITE']

READ = selectors.EVENT_READ
WRITE = selectors.EVENT_WRITE

logger = logging.getLogger(__name__)


class Timer(object):
    """A call that is due at `when` (monotonic seconds); :meth:`cancel` before that calls it off."""

    __slots__ = ('when', 'function', 'args')

    def __init__(self, when, function, args):
        self.when = when
        self.function = function
        self.args = args

    def cancel(self):
        """Call it off; harmless when it is over."""
        self.function = None
        self.args = ()


class Loop(object):
    """Waits for sockets and timers and calls their functions, all on the thread that runs :meth:`run`.

    Only :meth:`post` may be called from other threads, and from signal handlers: it takes no lock.
    """

    def __init__(self):
        self.is_closed = False
        self._selector = selectors.DefaultSelector()
        if hasattr(self._selector, 'fileno'):
            close_on_exec(self._selector)
        self._timers = []
        self._numbers = itertools.count()
        self._posted = deque()
        self._is_woken = False
        self._wake_reader, self._wake_writer = pipe()
        self._selector.register(self._wake_reader, READ, self._drain)

    def __del__(self):
        # Not sooner: a thread that holds a reference to this loop may be about to write to the pipe, and a
        # descriptor that is closed too early may by then belong to somebody else's file.
        for end in (getattr(self, '_wake_reader', None), getattr(self, '_wake_writer', None)):
            if end is not None:
                os.close(end)

    def post(self, function, *args, **options):
        """Have `function(*args)` called on the loop's thread, soon. From any thread, never blocks.

        `dropped` (keyword): called instead, on whichever thread notices, if the loop has ended.
        """
        self._posted.append((function, args, options.get('dropped')))
        if not self._is_woken:
            self._is_woken = True
            self._wake()
        if self.is_closed:
            self._drop_posted()

    def call_later(self, delay, function, *args):
        """Have `function(*args)` called after `delay` seconds; the :class:`Timer`. Loop's thread only."""
        timer = Timer(monotonic() + delay, function, args)
        heapq.heappush(self._timers, (timer.when, next(self._numbers), timer))
        return timer

    def watch(self, sock, events, function):
        """Have `function(ready)` called whenever `sock` is ready for `events` (READ, WRITE or both)."""
        try:
            key = self._selector.get_key(sock)
        except KeyError:
            self._selector.register(sock, events, function)
            return
        if key.events != events or key.data != function:
            self._selector.modify(sock, events, function)

    def unwatch(self, sock):
        """Stop watching; harmless if `sock` is not watched."""
        try:
            self._selector.unregister(sock)
        except (KeyError, ValueError):
            return

    def run(self):
        """Turn until :meth:`close` is called."""
        try:
            while not self.is_closed:
                self._turn()
        finally:
            self.is_closed = True
            self._selector.close()
            self._timers = []
            self._drop_posted()

    def close(self):
        """End :meth:`run` after the current turn. Loop's thread only."""
        self.is_closed = True

    def _turn(self):
        registered = self._selector.get_map()
        for key, ready in self._selector.select(self._time_to_next()):
            # A function called earlier in this turn may have closed this socket, and opened another in its place.
            if registered.get(key.fd) is key:
                key.data(ready)
        self._run_posted()
        self._run_timers()

    def _time_to_next(self):
        while self._timers and self._timers[0][2].function is None:
            heapq.heappop(self._timers)
        if self._posted:
            return 0
        if not self._timers:
            return None
        return max(0.0, self._timers[0][0] - monotonic())

    def _run_posted(self):
        # A snapshot: what these calls post waits for the next turn, so that sockets are not starved.
        for _ in range(len(self._posted)):
            function, args, _dropped = self._posted.popleft()
            function(*args)

    def _run_timers(self):
        now = monotonic()
        due = []
        while self._timers and self._timers[0][0] <= now:
            due.append(heapq.heappop(self._timers)[2])
        for timer in due:
            function, args = timer.function, timer.args
            if function is not None:
                timer.cancel()
                function(*args)

    def _drop_posted(self):
        while self._posted:
            try:
                _function, _args, dropped = self._posted.popleft()
            except IndexError:          # another thread took it
                return
            if dropped is not None:
                dropped()

    def _wake(self):
        try:
            os.write(self._wake_writer, b'\0')
        except socket_errors:           # full: it will wake up anyway
            logger.debug('the wake-up pipe is full')

    def _drain(self, _ready):
        try:
            os.read(self._wake_reader, 4096)
        except socket_errors:
            logger.debug('the wake-up pipe is empty')
        # Before the posted calls are looked at: whoever posts from here on writes again.
        self._is_woken = False

"""An event loop: one thread, a selector, timers and one door for other threads."""
from __future__ import absolute_import, division, print_function

import errno
import gc
import heapq
import itertools
import logging
import os
import threading
from collections import deque

from .._compat import close_on_exec, is_main_thread, monotonic, pipe, select_from, selectors, socket_errors

__all__ = ['Loop', 'READ', 'Timer', 'WRITE']

READ = selectors.EVENT_READ
WRITE = selectors.EVENT_WRITE

#: Bytes asked of the system at once. Twice as many are no faster: what is made of them leaves the processor's cache,
#: and from 128 KiB on every allocation is a system call of its own.
READ_BYTES = 64 * 1024

#: Seconds that one select() lasts at most; epoll cannot count the milliseconds of a month.
LONGEST_WAIT = 3600.0

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


class _Alarm(object):
    """A pipe that wakes a loop.

    It is closed by its finaliser and not sooner: a thread that holds a reference to the loop may be about to ring, and
    a descriptor that is closed too early may by then belong to somebody else's file. It refers to nothing, as 2.7 never
    collects what has a finaliser and is part of a circle.
    """

    def __init__(self):
        try:
            self.reader, self._writer = pipe()
        except socket_errors as error:
            if error.errno != errno.EMFILE:
                raise
            gc.collect()                # PyPy runs the finalisers of earlier ones only then
            self.reader, self._writer = pipe()

    def __del__(self):
        for end in (getattr(self, 'reader', None), getattr(self, '_writer', None)):
            if end is not None:
                os.close(end)

    def ring(self):
        """Wake the loop. From any thread and from signal handlers."""
        try:
            os.write(self._writer, b'\0')
        except socket_errors:           # full: it will wake up anyway
            logger.debug('the wake-up pipe is full')

    def hush(self, _ready=None):
        """Take out what was rung."""
        try:
            os.read(self.reader, 4096)
        except socket_errors:
            logger.debug('the wake-up pipe is empty')


class Loop(object):
    """Waits for sockets and timers and calls their functions, all on the thread that runs :meth:`run`.

    Only :meth:`post` may be called from other threads, and from signal handlers: it takes no lock.
    """

    def __init__(self):
        self.is_closed = False
        self._has_ended = False     # from then on whoever posts clears up after himself
        self.read_buffer = memoryview(bytearray(READ_BYTES))    # for what reads on the loop's thread
        self._selector = selectors.DefaultSelector()
        if hasattr(self._selector, 'fileno'):
            close_on_exec(self._selector)
        self._timers = []
        self._numbers = itertools.count()
        self._posted = deque()
        self._keys = {}             # what is watched -> its key in the selector
        self._elsewhere = {}        # key -> who waits for what runs on another thread
        self._endings = []
        self._is_awake = False      # whether it is going to look at what was posted by now
        self._is_rung = False       # whether a thread is about to wake it, or has
        self._alarm = _Alarm()
        self.watch(self._alarm.reader, READ, self._alarm.hush)

    def post(self, function, *args, **options):
        """Have `function(*args)` called on the loop's thread, soon. From any thread, never blocks.

        `dropped(*args)` (keyword): called instead, on whichever thread notices, if the loop has ended.
        """
        self._posted.append((function, args, options.get('dropped')))
        if not self._is_awake:
            if is_main_thread():
                # Whatever a signal handler posts that interrupts it in here is not to rely on its ringing afterwards.
                self._alarm.ring()
            elif not self._is_rung:
                self._is_rung = True
                self._alarm.ring()
        if self._has_ended:
            self._drop_posted()

    def call_last(self, function):
        """Have `function()` called at the end of this turn. Loop's thread only."""
        self._endings.append(function)

    def call_later(self, delay, function, *args):
        """Have `function(*args)` called after `delay` seconds; the :class:`Timer`. Loop's thread only."""
        timer = Timer(monotonic() + delay, function, args)
        heapq.heappush(self._timers, (timer.when, next(self._numbers), timer))
        return timer

    def run_elsewhere(self, key, function, done):
        """Have `function()` run on a thread of its own and `done(result)` called here. Loop's thread only.

        While one with the same `key` runs no other is started: its result serves all who ask. `function` must not
        raise. Raises what :class:`threading.Thread` does if there can be no more threads.
        """
        waiting = self._elsewhere.setdefault(key, [])
        waiting.append(done)
        if len(waiting) > 1:
            return

        def run():
            self.post(self._done_elsewhere, key, function())

        thread = threading.Thread(target=run, name='pymesos-elsewhere')
        thread.daemon = True
        try:
            thread.start()
        except Exception:
            del self._elsewhere[key]
            raise

    def _done_elsewhere(self, key, result):
        for done in self._elsewhere.pop(key):
            done(result)

    def watch(self, sock, events, function):
        """Have `function(ready)` called whenever `sock` is ready for `events` (READ, WRITE or both)."""
        key = self._keys.get(sock)
        if key is None:
            self._keys[sock] = self._selector.register(sock, events, function)
        elif key.events != events or key.data != function:
            self._keys[sock] = self._selector.modify(sock, events, function)

    def unwatch(self, sock):
        """Stop watching; harmless if `sock` is not watched."""
        if self._keys.pop(sock, None) is not None and not self.is_closed:
            self._selector.unregister(sock)

    def run(self):
        """Turn until :meth:`close` is called."""
        try:
            while not self.is_closed:
                self._turn()
        finally:
            self.is_closed = self._has_ended = True
            self._selector.close()
            self._keys.clear()
            self._timers = []
            self._endings = []
            self._drop_posted()

    def close(self):
        """End :meth:`run` after the current turn. Loop's thread only."""
        self.is_closed = True

    def _turn(self):
        # Before the posted calls are looked at: whoever posts from here on wakes the loop, until it is awake.
        self._is_awake = self._is_rung = False
        found = select_from(self._selector, self._time_to_next())
        self._is_awake = True
        for key, ready in found:
            # A function called earlier in this turn may have closed this socket, and opened another in its place.
            if self._keys.get(key.fileobj) is key:
                key.data(ready)
        self._run_posted()
        self._run_timers()
        while self._endings:
            self._endings.pop(0)()

    def _time_to_next(self):
        while self._timers and self._timers[0][2].function is None:
            heapq.heappop(self._timers)
        if self._posted:
            return 0
        if not self._timers:
            return None
        return min(max(0.0, self._timers[0][0] - monotonic()), LONGEST_WAIT)

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
                _function, args, dropped = self._posted.popleft()
            except IndexError:          # another thread took it
                return
            if dropped is not None:
                dropped(*args)

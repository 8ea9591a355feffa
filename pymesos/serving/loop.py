"""A thread with a selector, orders from other threads, and timers: what the servers run on."""
from __future__ import absolute_import, division, print_function

import heapq
import itertools
import socket
import threading
from collections import deque

from six.moves._thread import get_ident

from .._compat import close_on_exec, is_main_thread, monotonic, select_from, selectors, socket_errors
from ..errors import TimedOut

__all__ = ['Loop', 'Timer', 'listen']

#: Seconds that an order to the thread may take: far above what it needs, so that a hung program ends.
ORDER_TIMEOUT = 30.0

#: Seconds that no selector is asked to wait longer: some count milliseconds in 32 bits.
MAX_PATIENCE = 86400.0

#: Connections that may wait to be accepted: a cluster's clients come all at once.
BACKLOG = 1024

#: How often in one turn those orders are followed that came of the round before; then sockets get their turn.
MOST_ROUNDS = 4

#: Timers that were called off stay in the heap until they would have fired, or until they are so many, and most of it.
CANCELLED_TIMERS = 1000

#: Keeps SIGPIPE from whoever writes, if the program has made it deadly; 0 where there is no such flag.
_NO_SIGPIPE = getattr(socket, 'MSG_NOSIGNAL', 0)


def listen(host, port, unix_path):
    """A listening socket that does not block: on `unix_path` if given, else on `host` and `port`."""
    if unix_path is not None:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        address = unix_path
    else:
        listener = socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET, socket.SOCK_STREAM)
        address = (host, port)
    try:
        close_on_exec(listener)
        if unix_path is None:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except socket_errors:
        listener.close()
        raise
    return listener


class Timer(object):
    """Something that is to be called once, later; see :meth:`Loop.call_later`."""

    __slots__ = ('_function', '_loop', 'when')

    def __init__(self, loop, when, function):
        #: The monotonic time when it is due.
        self.when = when
        self._loop = loop
        self._function = function

    @property
    def is_pending(self):
        """Whether it has neither fired nor been called off."""
        return self._function is not None

    def cancel(self):
        """Call it off. From any thread, twice and too late are fine; elsewhere it may be firing just now."""
        if self._function is not None:
            self._function = None
            self._loop.count_cancelled()

    def fire(self):
        """Call the function, unless the timer was called off. For the loop."""
        function, self._function = self._function, None
        if function is not None:
            function()

    def __repr__(self):
        return '<Timer, %s>' % ('pending' if self.is_pending else 'over')


class Loop(object):
    """A daemon thread that waits for sockets, follows orders and fires timers until it is stopped.

    `closing`, if given, is called on it at the end. `failed`, if given, is called on it with each exception that
    something called by the thread raises, and the thread goes on; without it the exception ends the thread. What other
    threads may call says so; the rest belongs to the thread. Several servers can share one.
    """

    def __init__(self, name, closing=None, failed=None):
        self.selector = selectors.DefaultSelector()
        if hasattr(self.selector, 'fileno'):
            close_on_exec(self.selector)
        #: Every :class:`~pymesos.serving.peer.Peer` that is served on it; kept by the listeners.
        self.peers = set()
        #: The monotonic time when the turn began that the thread is in: to ask the system is dear on Python 2.7.
        self.now = monotonic()
        self._closing = closing or (lambda: None)
        self._failed = failed
        self._alarm, self._waker = (close_on_exec(end) for end in socket.socketpair())
        for end in (self._alarm, self._waker):
            end.setblocking(False)
        self._orders = deque()
        # Guards _is_woken and _is_closed. The main thread does without while the thread runs: a signal handler that
        # interrupts it may order something in its turn, and wait for it.
        self._lock = threading.Lock()
        self._is_woken = False
        self._is_closed = False
        self._is_stopping = False
        # (when, serial, Timer): a heap.
        self._timers = []
        self._cancelled = 0         # about how many of them were called off: other threads count without a lock
        self._serial = itertools.count()
        self._thread = threading.Thread(target=self._run, name=name)
        self._thread.daemon = True

    def start(self):
        """Start the thread; returns the loop itself."""
        self.selector.register(self._alarm, selectors.EVENT_READ, self._drain_alarm)
        self._thread.start()
        return self

    def stop(self):
        """End the thread, let it clean up, and wait for it; from any thread, twice is fine."""
        self._is_stopping = True
        if self._thread.ident is None:
            self._clean_up()
            return
        self._wake()
        if not self.is_own_thread():
            self._thread.join(ORDER_TIMEOUT)

    def is_own_thread(self):
        """Whether the caller is on the thread."""
        return get_ident() == self._thread.ident

    def order(self, function):
        """Let the thread call `function` soon; from any thread and from signal handlers, does not wait."""
        self._orders.append(function)
        if get_ident() != self._thread.ident:       # itself it looks before it waits
            self._wake()

    def carry_out(self, function):
        """Call `function` on the thread and wait until it is done; from any thread. What it raises is raised here.

        Before the thread runs and after it has ended nothing can interfere, and the function is called right here.
        """
        if self.is_own_thread() or not self._thread.is_alive():
            return function()
        done = threading.Event()
        outcome = []

        def carry():
            try:
                outcome.append((True, function()))
            except Exception as error:      # it is the caller's, who raises it
                outcome.append((False, error))
            done.set()

        self.order(carry)
        deadline = monotonic() + ORDER_TIMEOUT
        while not done.wait(0.2):
            if not self._thread.is_alive() and not outcome:
                return function()
            if monotonic() > deadline:
                raise TimedOut('the server\'s thread did not react for %d s: does a function given to it block?'
                               % ORDER_TIMEOUT)
        is_good, value = outcome[0]
        if not is_good:
            raise value
        return value

    def call_at(self, when, function):
        """Call `function` at the monotonic time `when`; returns a :class:`Timer`. From any thread."""
        timer = Timer(self, when, function)
        if self.is_own_thread():
            self._push(timer)
        else:
            self.order(lambda: self._push(timer))
        return timer

    def call_later(self, delay, function):
        """Call `function` in `delay` seconds, on the thread from :attr:`now` on; returns a :class:`Timer`. From any
        thread.
        """
        return self.call_at((self.now if self.is_own_thread() else monotonic()) + delay, function)

    def count_cancelled(self):
        """A timer was called off. For :class:`Timer`."""
        self._cancelled += 1

    def watch(self, sock, before, events, ready):
        """Call ``ready(events)`` when the socket, watched for `before` until now, is ready for `events` (0: never)."""
        if not before and events:
            self.selector.register(sock, events, ready)
        elif before and not events:
            self.selector.unregister(sock)
        elif events != before:
            self.selector.modify(sock, events, ready)

    def _wake(self):
        if is_main_thread():
            if not self._is_woken and not self._is_closed:
                self._ring()
            return
        with self._lock:
            if not self._is_woken and not self._is_closed:
                self._is_woken = True
                self._ring()

    def _ring(self):
        try:
            self._waker.send(b'!', _NO_SIGPIPE)
        except socket_errors:       # full: it is awake anyhow
            pass

    def _drain_alarm(self, _events):
        # First the bytes, then the flag: an order that comes in between must not have its byte swallowed while the flag
        # says that there is one. Orders are looked at afterwards.
        try:
            self._alarm.recv(4096)
        except socket_errors:
            pass
        with self._lock:
            self._is_woken = False

    def _run(self):
        try:
            while not self._is_stopping:
                found = select_from(self.selector, self._patience())
                self.now = monotonic()
                for key, events in found:
                    self._call(key.data, events)
                key = found = None      # what it leads to may have ended: not to be kept until the next event
                self._follow_orders()
                self._fire_timers()
        finally:
            self._clean_up()

    def _call(self, function, *args):
        if self._failed is None:
            function(*args)
            return
        try:
            function(*args)
        except Exception as error:          # the owner's, who wants the thread to live and is told
            self._failed(error)

    def _patience(self):
        if self._orders:                    # the thread's own, made since: nobody wakes it for them
            return 0.0
        while self._timers and not self._timers[0][2].is_pending:
            heapq.heappop(self._timers)
        return min(max(0.0, self._timers[0][0] - monotonic()), MAX_PATIENCE) if self._timers else None

    def _follow_orders(self):
        for _ in range(MOST_ROUNDS):
            for _ in range(len(self._orders)):
                self._call(self._orders.popleft())
            if not self._orders:
                return

    def _push(self, timer):
        if self._cancelled > CANCELLED_TIMERS and 2 * self._cancelled > len(self._timers):
            self._timers = [item for item in self._timers if item[2].is_pending]
            heapq.heapify(self._timers)
            self._cancelled = 0
        heapq.heappush(self._timers, (timer.when, next(self._serial), timer))

    def _fire_timers(self):
        due = []                    # first all: one that sets itself again at once has to wait for the next turn
        while self._timers and self._timers[0][0] <= self.now:
            due.append(heapq.heappop(self._timers)[2])
        for timer in due:
            self._call(timer.fire)

    def _clean_up(self):
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
        self._closing()
        self.selector.close()
        for end in (self._waker, self._alarm):      # the main thread may be about to write
            end.close()

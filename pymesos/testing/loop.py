"""A thread with a selector, orders from other threads, and timers: what the servers for tests run on."""
from __future__ import absolute_import, division, print_function

import heapq
import itertools
import socket
import threading

from .._compat import close_on_exec, monotonic, selectors, socket_errors
from ..errors import TimedOut

__all__ = ['Loop', 'listen']

#: Seconds that an order to the thread may take: far above what it needs, so that a hung test ends.
ORDER_TIMEOUT = 30.0

BACKLOG = 128


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


class Loop(object):
    """A daemon thread that waits for sockets, follows orders and fires timers until it is stopped.

    `closing` is called on it at the end. What other threads may call says so; the rest belongs to the thread.
    """

    def __init__(self, name, closing):
        self.selector = selectors.DefaultSelector()
        self._closing = closing
        self._alarm, self._waker = (close_on_exec(end) for end in socket.socketpair())
        for end in (self._alarm, self._waker):
            end.setblocking(False)
        # Guards _orders, _is_woken and _is_closed.
        self._lock = threading.Lock()
        self._orders = []
        self._is_woken = False
        self._is_closed = False
        self._is_stopping = False
        self._timers = []
        self._serial = itertools.count()
        self._thread = threading.Thread(target=self._run, name=name)
        self._thread.daemon = True

    def start(self):
        """Start the thread."""
        self.selector.register(self._alarm, selectors.EVENT_READ, self._drain_alarm)
        self._thread.start()

    def stop(self):
        """End the thread, let it clean up, and wait for it; from any thread, twice is fine."""
        self._is_stopping = True
        if self._thread.ident is None:
            self._clean_up()
            return
        with self._lock:
            self._wake()
        if not self.is_own_thread():
            self._thread.join(ORDER_TIMEOUT)

    def is_own_thread(self):
        """Whether the caller is on the thread."""
        return threading.current_thread() is self._thread

    def order(self, function):
        """Let the thread call `function` soon; from any thread, does not wait."""
        with self._lock:
            self._orders.append(function)
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
                raise TimedOut('the test server did not react for %d s: does a function given to it block?'
                               % ORDER_TIMEOUT)
        is_good, value = outcome[0]
        if not is_good:
            raise value
        return value

    def call_at(self, when, function):
        """Call `function` at the monotonic time `when`; from any thread."""
        self.order(lambda: heapq.heappush(self._timers, (when, next(self._serial), function)))

    def watch(self, sock, before, events, ready):
        """Call ``ready(events)`` when the socket, watched for `before` until now, is ready for `events` (0: never)."""
        if not before and events:
            self.selector.register(sock, events, ready)
        elif before and not events:
            self.selector.unregister(sock)
        elif events != before:
            self.selector.modify(sock, events, ready)

    def _wake(self):
        if self._is_woken or self._is_closed:
            return
        self._is_woken = True
        try:
            self._waker.send(b'!')
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
                for key, events in self.selector.select(self._patience()):
                    key.data(events)
                self._follow_orders()
                self._fire_timers()
        finally:
            self._clean_up()

    def _patience(self):
        return max(0.0, self._timers[0][0] - monotonic()) if self._timers else None

    def _follow_orders(self):
        with self._lock:
            orders, self._orders = self._orders, []
        for function in orders:
            function()

    def _fire_timers(self):
        now = monotonic()
        while self._timers and self._timers[0][0] <= now:
            heapq.heappop(self._timers)[2]()

    def _clean_up(self):
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
        self._closing()
        self.selector.close()
        for end in (self._alarm, self._waker):
            end.close()

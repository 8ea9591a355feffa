"""A small HTTP/1.1 server in one thread: h11 reads the requests, a function answers them.

It is made for tests: simple rather than fast, on loopback, and able to answer wrongly on purpose.
"""
from __future__ import absolute_import, division, print_function

import errno
import heapq
import itertools
import logging
import os
import socket
import ssl
import threading
import traceback

from .._compat import close_on_exec, monotonic, selectors, socket_errors
from ..errors import TimedOut
from .http_connection import Answer, HttpConnection, Request

__all__ = ['Answer', 'HttpServer', 'Request']

logger = logging.getLogger(__name__)

#: Seconds that an order to the server's thread may take: far above what it needs, so that a hung test ends.
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


class HttpServer(object):
    """An HTTP/1.1 server in a thread of its own.

    `answer` is called on that thread with each :class:`Request` and gives an :class:`Answer`; an exception becomes
    an answer 500 with the traceback, is logged and kept in `failures`. `closed` is called there with each connection that
    ended. It listens from the constructor on and serves from :meth:`start` on. What other threads may call says so;
    the rest belongs to the server's thread.
    """

    def __init__(self, answer, closed=None, host='127.0.0.1', port=0, unix_path=None, ssl_context=None,
                 name='pymesos-http-server'):
        self.answer = answer
        self.closed = closed or (lambda connection: None)
        self.ssl_context = ssl_context
        #: Texts of what went wrong: broken requests and handshakes, exceptions of `answer`.
        self.failures = []
        #: How many connections were accepted.
        self.accepted = 0
        #: The connections that are open, by number.
        self.connections = {}
        self._unix_path = unix_path
        self._listener = listen(host, port, unix_path)
        #: The port listened on; None for a domain socket.
        self.port = None if unix_path is not None else self._listener.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._alarm, self._waker = (close_on_exec(end) for end in socket.socketpair())
        for end in (self._alarm, self._waker):
            end.setblocking(False)
        # Guards _orders, _is_woken and each connection's queue of what is to be written.
        self.lock = threading.Lock()
        self._orders = []
        self._is_woken = False
        self._timers = []
        self._serial = itertools.count()
        self._is_stopping = False
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name=name)
        self._thread.daemon = True

    def start(self):
        """Begin to serve."""
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._selector.register(self._alarm, selectors.EVENT_READ, self._drain_alarm)
        self._thread.start()

    def stop(self):
        """Close all and wait for the thread; from any thread, twice is fine."""
        self._is_stopping = True
        self.wake()
        if not self.is_own_thread() and self._thread.ident is not None:
            self._thread.join(ORDER_TIMEOUT)
        elif self._thread.ident is None:
            self._close_all()

    def is_own_thread(self):
        """Whether the caller is on the server's thread."""
        return threading.current_thread() is self._thread

    def wake(self):
        """Let the thread look at its orders; from any thread."""
        with self.lock:
            self._wake()

    def order(self, function):
        """Let the thread call `function` soon; from any thread, does not wait."""
        with self.lock:
            self._orders.append(function)
            self._wake()

    def carry_out(self, function):
        """Call `function` on the server's thread and wait until it is done; from any thread."""
        if self.is_own_thread():
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
            if not self._thread.is_alive():
                return None
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

    def answer_safely(self, request):
        """The answer to a request, or 500 with the traceback."""
        try:
            return self.answer(request)
        except Exception:       # user code: the test that gave it reads the text
            text = traceback.format_exc()
            logger.exception('a function given to the test server failed')
            self.failures.append(text)
            return Answer(500, text)

    def watch(self, connection, before, events):
        """Wait for `events` (0: none) on the socket of a connection that was watched for `before`."""
        if not before and events:
            self._selector.register(connection.sock, events, connection.ready)
        elif before and not events:
            self._selector.unregister(connection.sock)
        elif events != before:
            self._selector.modify(connection.sock, events, connection.ready)

    def forget(self, connection):
        """A connection is closed."""
        del self.connections[connection.number]
        self.closed(connection)

    def _wake(self):
        if self._is_woken or self._is_closed:
            return
        self._is_woken = True
        try:
            self._waker.send(b'!')
        except socket_errors:       # full: it is awake anyhow
            pass

    def _drain_alarm(self, _events):
        with self.lock:
            self._is_woken = False
        try:
            self._alarm.recv(4096)
        except socket_errors:
            pass

    def _run(self):
        try:
            while not self._is_stopping:
                for key, events in self._selector.select(self._patience()):
                    key.data(events)
                self._follow_orders()
                self._fire_timers()
        finally:
            self._close_all()

    def _patience(self):
        return max(0.0, self._timers[0][0] - monotonic()) if self._timers else None

    def _follow_orders(self):
        with self.lock:
            orders, self._orders = self._orders, []
        for function in orders:
            function()

    def _fire_timers(self):
        now = monotonic()
        while self._timers and self._timers[0][0] <= now:
            heapq.heappop(self._timers)[2]()

    def _accept(self, _events):
        try:
            sock, _ = self._listener.accept()
        except socket_errors as error:
            if error.errno not in (errno.EAGAIN, errno.ECONNABORTED, errno.EINTR):
                self.failures.append('cannot accept a connection: %s' % error)
            return
        close_on_exec(sock)
        sock.setblocking(False)
        if self._unix_path is None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.ssl_context is not None:
            sock = self._wrap(sock)
            if sock is None:
                return
        self.accepted += 1
        connection = HttpConnection(self, sock, self.accepted)
        self.connections[connection.number] = connection
        self._selector.register(sock, selectors.EVENT_READ, connection.ready)

    def _wrap(self, sock):
        try:
            return self.ssl_context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        except (ssl.SSLError, socket.error) as error:
            self.failures.append('cannot begin TLS: %s' % error)
            sock.close()
            return None

    def _close_all(self):
        for connection in list(self.connections.values()):
            connection.close()
        with self.lock:
            if self._is_closed:
                return
            self._is_closed = True
        self._selector.close()
        for sock in (self._listener, self._alarm, self._waker):
            sock.close()
        if self._unix_path is not None and os.path.exists(self._unix_path):
            os.unlink(self._unix_path)

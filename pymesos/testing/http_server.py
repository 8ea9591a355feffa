"""A small HTTP/1.1 server in one thread: h11 reads the requests, a function answers them.

It is made for tests: simple rather than fast, on loopback, and able to answer wrongly on purpose.
"""
from __future__ import absolute_import, division, print_function

import errno
import logging
import os
import socket
import ssl
import threading
import traceback

from .._compat import close_on_exec, selectors, socket_errors
from .http_connection import Answer, HttpConnection, Request
from .loop import Loop, listen

__all__ = ['Answer', 'HttpServer', 'Request']

logger = logging.getLogger(__name__)


class HttpServer(object):
    """An HTTP/1.1 server in a thread of its own.

    `answer` is called on that thread with each :class:`Request` and gives an :class:`Answer`; an exception becomes
    an answer 500 with the traceback, is logged and kept in `failures`. `closed` is called there with each connection
    that ended. It listens from the constructor on and serves from :meth:`start` on. :meth:`start` and :meth:`stop` are
    for any thread, the rest is for the server's.
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
        # Guards each connection's queue of what is to be written.
        self.lock = threading.Lock()
        self.loop = Loop(name, self._close_all)
        self.loop.watch(self._listener, 0, selectors.EVENT_READ, self._accept)

    def start(self):
        """Begin to serve."""
        self.loop.start()

    def stop(self):
        """Close all and wait for the thread; from any thread, twice is fine."""
        self.loop.stop()

    def answer_safely(self, request):
        """The answer to a request, or 500 with the traceback."""
        try:
            return self.answer(request)
        except Exception:       # user code: the test that gave it reads the text
            text = traceback.format_exc()
            logger.exception('a function given to the test server failed')
            self.failures.append(text)
            return Answer(500, text)

    def forget(self, connection):
        """A connection is closed."""
        del self.connections[connection.number]
        self.closed(connection)

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
        self.loop.watch(sock, 0, selectors.EVENT_READ, connection.ready)

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
        self._listener.close()
        if self._unix_path is not None and os.path.exists(self._unix_path):
            os.unlink(self._unix_path)

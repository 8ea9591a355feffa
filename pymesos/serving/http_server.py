"""A small HTTP/1.1 server in one thread: h11 reads the requests, a function answers them.

It is simple rather than fast, and able to answer wrongly on purpose.
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
    """An HTTP/1.1 server in a thread of its own, or in that of `loop` if given, which somebody else starts and stops.

    `answer` is called on that thread with each :class:`Request` and gives an :class:`Answer`; an exception becomes
    an answer 500 with the traceback, is logged and kept in `failures`. `closed` is called there with each connection
    that ended. It listens from the constructor on and serves from :meth:`start` on. :meth:`start` and :meth:`stop` are
    for any thread, the rest is for the server's. `name` is the thread's.
    """

    def __init__(self, answer, closed=None, host='127.0.0.1', port=0, unix_path=None, ssl_context=None,
                 name='pymesos-http-server', loop=None):
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
        self._owns_loop = loop is None
        self._is_listening = self._is_stopped = False
        self.loop = Loop(name, self._close_all) if loop is None else loop

    def start(self):
        """Begin to serve."""
        if self._owns_loop:
            self._listen()
            self.loop.start()
        else:
            self.loop.carry_out(self._listen)

    def stop(self):
        """Close all and wait for the thread; from any thread, twice is fine."""
        if self._owns_loop:
            self.loop.stop()
        else:
            self.loop.carry_out(self._close_all)

    def answer_safely(self, request):
        """The answer to a request, or 500 with the traceback."""
        try:
            return self.answer(request)
        except Exception:       # the user's code: who gave it reads the text
            text = traceback.format_exc()
            logger.exception('a function given to the server failed')
            self.failures.append(text)
            return Answer(500, text)

    def forget(self, connection):
        """A connection is closed."""
        del self.connections[connection.number]
        self.closed(connection)

    def _listen(self):
        self._is_listening = True
        self.loop.watch(self._listener, 0, selectors.EVENT_READ, self._accept)

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
        if self._is_stopped:
            return
        self._is_stopped = True
        if self._is_listening:
            self.loop.watch(self._listener, selectors.EVENT_READ, 0, None)
        for connection in list(self.connections.values()):
            connection.close()
        self._listener.close()
        if self._unix_path is not None and os.path.exists(self._unix_path):
            os.unlink(self._unix_path)

"""A small HTTP/1.1 server in one thread: h11 reads the requests, a function answers them.

It is simple rather than fast, and able to answer wrongly on purpose.
"""
from __future__ import absolute_import, division, print_function

import logging
import threading
import traceback

from .._compat import socket_errors
from .http_connection import Answer, HttpConnection, Request
from .listener import Listener
from .loop import Loop

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
        #: Texts of what went wrong: broken requests and handshakes, exceptions of `answer`.
        self.failures = []
        # Guards each connection's queue of what is to be written.
        self.lock = threading.Lock()
        self._owns_loop = loop is None
        self.loop = Loop(name, self._close_all) if loop is None else loop
        self._listener = None
        try:
            self._listener = Listener(self.loop, self._make_connection, host, port, unix_path, ssl_context, closed,
                                      self.failures.append)
        except socket_errors:
            self.stop()
            raise
        #: The port listened on; None for a domain socket.
        self.port = self._listener.port
        #: The connections that are open, by number.
        self.connections = self._listener.connections

    @property
    def accepted(self):
        """How many connections were accepted."""
        return self._listener.accepted

    def start(self):
        """Begin to serve."""
        if self._owns_loop:
            self._listener.open()
            self.loop.start()
        else:
            self.loop.carry_out(self._listener.open)

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

    def _make_connection(self, listener, sock, number):
        return HttpConnection(self, listener, sock, number)

    def _close_all(self):
        if self._listener is not None:
            self._listener.close()

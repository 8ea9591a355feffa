"""A client's connection to an embedded master or agent: requests in, answers out in their order, now or later."""
from __future__ import absolute_import, division, print_function

from collections import deque

from ..errors import HttpError
from ..serving.peer import Peer
from ..serving.requests import Begin, BodyTooLarge, Piece, Request, RequestParser
from .model.effects import refuse
from .responses import LAST_CHUNK

__all__ = ['Connection', 'Exchange', 'MAX_UNREAD']

#: Bytes that a client may leave unread before its connection is closed.
MAX_UNREAD = 64 * 1024 * 1024

#: Requests of one connection that may wait for their answers.
MAX_PENDING = 1000

#: The methods that the parser of Mesos knows, but for CONNECT, which it cannot serve; others end the connection.
METHODS = frozenset([
    'CHECKOUT', 'COPY', 'DELETE', 'GET', 'HEAD', 'LOCK', 'M-SEARCH', 'MERGE', 'MKACTIVITY', 'MKCALENDAR', 'MKCOL',
    'MOVE', 'NOTIFY', 'OPTIONS', 'PATCH', 'POST', 'PROPFIND', 'PROPPATCH', 'PURGE', 'PUT', 'REPORT', 'SEARCH',
    'SUBSCRIBE', 'TRACE', 'UNLOCK', 'UNSUBSCRIBE'])


class Exchange(object):
    """A request that is to be answered.

    Answers leave in the order of the requests: what is given to one behind another is held until its turn.
    """

    __slots__ = ('_connection', '_held', '_is_over', 'head', 'key', 'reader', 'stream')

    def __init__(self, connection, head):
        self._connection = connection
        self._held = None           # bytes of the answer, as a list, until its turn
        self._is_over = False       # the answer is complete
        self.head = head
        #: What a deferred answer goes by, or None; the server's.
        self.key = None
        #: The token of the stream that its answer is, or None; the server's.
        self.stream = None
        #: What takes the pieces of its body, if it is streamed, or None; the server's.
        self.reader = None

    @property
    def is_over(self):
        """Whether the answer was given."""
        return self._is_over

    def write(self, data, is_last):
        """Give bytes of the answer, the last ones or more to come. Dropped if the connection is gone."""
        self._is_over = is_last
        self._connection.answer(self, data)

    def end(self):
        """End an answer of which nothing is left but the last chunk."""
        self.write(LAST_CHUNK, True)

    def hold(self, data):
        """Keep bytes until it is its turn."""
        if self._held is None:
            self._held = []
        self._held.append(data)

    def release(self):
        """What was held, as a list; None if nothing was given yet."""
        held, self._held = self._held, None
        return held


class Connection(Peer):
    """One connection; `service` is the server that answers. For the loop's thread."""

    def __init__(self, service, listener, sock, number):
        super(Connection, self).__init__(listener, sock, number)
        self._service = service
        self._parser = RequestParser(service.heads, service.max_body, service.is_streamed)
        self._pending = deque()         # Exchange of each request that is not answered yet
        self._held = 0                  # bytes of answers whose turn has not come
        self._is_last = False           # no more requests are taken
        self._incoming = None           # the Exchange whose body comes in pieces
        self._has_asked = False         # a request was read

    @property
    def worth(self):
        """Who asks for nothing can go, who never did first, then who was silent longest."""
        return None if self._pending else (self._has_asked, self.last_heard if self._has_asked else self.number)

    def received(self, data):
        """Read requests and have them answered."""
        if self._parser.error is not None:
            return
        try:
            events = self._parser.feed(data)
        except HttpError as error:
            self._refuse(error)
            return
        for event in events:
            if self._is_last and self._incoming is None or not self.is_open:
                return
            kind = type(event)
            if kind is Request:
                self._begin(event.head, event.body)
            elif kind is Begin:
                self._begin(event.head, None)
            elif self._incoming is not None:
                self._read_on(event.data if kind is Piece else None)
        if self._parser.error is not None:
            self._refuse(self._parser.error)

    def finished(self):
        """The client sends no more: it is gone, as Mesos sees it, and gets no more than it was given already."""
        if self._pending:
            self.close()
        else:
            super(Connection, self).finished()

    def close(self):
        """Close at once; the server is told of what it need not answer any more."""
        if self.is_open:
            pending, self._pending = list(self._pending), deque()
            super(Connection, self).close()
            self._incoming = None
            self._service.abandoned(pending)

    def answer(self, exchange, data):
        """Take bytes of an answer."""
        if not self.is_open:
            return
        if self._pending and self._pending[0] is exchange:
            self._send(data)
            if exchange.is_over and self.is_open:
                self._pending.popleft()
                self._go_on()
        else:
            exchange.hold(data)
            self._held += len(data)
            self._check_unread()

    def _begin(self, head, body):
        if head.method not in METHODS:
            self._refuse(HttpError('the method %s is none of HTTP' % head.method))
            return
        if len(self._pending) >= MAX_PENDING:
            self.server.report('connection %d: %d requests wait for answers' % (self.number, MAX_PENDING))
            self.close()
            return
        self._has_asked = True
        exchange = Exchange(self, head)
        self._pending.append(exchange)
        self._is_last = head.is_last
        if body is None:
            self._incoming = exchange
        self._service.take(exchange, body)

    def _read_on(self, data):
        exchange = self._incoming
        if data is None:
            self._incoming = None
        if exchange.reader is not None:
            self._service.read_on(exchange, data)
        if self._is_last and self._incoming is None and not self._pending and self.is_open:
            self.end()

    def _go_on(self):
        """The first answer is complete: send what the next ones have."""
        while self._pending:
            exchange = self._pending[0]
            for data in exchange.release() or ():
                self._held -= len(data)
                self._send(data)
            if not self.is_open or not exchange.is_over:
                return
            self._pending.popleft()
        if self._is_last and self._incoming is None:
            self.end()

    def _send(self, data):
        self.write(data)
        self._check_unread()

    def _check_unread(self):
        # One answer may be larger; what counts is that the client reads.
        if self.unsent + self._held > MAX_UNREAD and len(self._out) > 1:
            self.flush()
            if self.is_open and self.unsent + self._held > MAX_UNREAD:
                self.server.report('connection %d: the client leaves %d bytes unread, %d are allowed'
                                   % (self.number, self.unsent + self._held, MAX_UNREAD))
                self.close()

    def _refuse(self, error):
        # Not the text of the error: it quotes what was sent, a secret perhaps.
        self.server.report('connection %d sent %s' % (
            self.number, 'a body that is too large' if isinstance(error, BodyTooLarge) else 'what is not HTTP'))
        self._is_last = True
        if self._incoming is None and isinstance(error, BodyTooLarge) and not self._pending:
            self.write(self._service.responses.whole(refuse(413, '413 Request Entity Too Large.')))
        if any(exchange.stream is not None or exchange.reader is not None for exchange in self._pending):
            self.close()
        elif not self._pending:
            self.end()

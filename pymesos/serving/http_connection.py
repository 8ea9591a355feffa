"""One connection of the server: requests in through h11, answers out in order, never blocking."""
from __future__ import absolute_import, division, print_function

from collections import deque, namedtuple
from email.utils import formatdate

import h11
from six.moves.http_client import responses as REASONS

from .peer import Peer

__all__ = ['Answer', 'HttpConnection', 'Request']

_END = h11.EndOfMessage()


def _response_of(answer):
    """The h11 response to begin `answer` with. A new one each time: h11 before 0.13 writes into what it sends."""
    headers = [('Date', formatdate(usegmt=True))]
    if answer.opened is not None:
        headers.append(('Transfer-Encoding', 'chunked'))
    headers.extend(answer.headers)
    if answer.opened is None:
        headers.append(('Content-Length', str(len(answer.body))))
    if answer.close == 'announced':
        headers.append(('Connection', 'close'))
    return h11.Response(status_code=answer.status, reason=REASONS.get(answer.status, 'Odd').encode('ascii'),
                        headers=[(_latin(name), _latin(value)) for name, value in headers])


def _latin(text):
    return text if isinstance(text, bytes) else text.encode('latin-1')


class Request(namedtuple('Request', ['method', 'target', 'headers', 'body', 'connection'])):
    """A request as it was read.

    `method` and `target` are text, `headers` a dict of lower-case name to text, `body` bytes, `connection` the
    :class:`HttpConnection` it came on.
    """

    __slots__ = ()


class Answer(object):
    """What to answer a request with.

    `status` is an int, `body` bytes or text, `headers` pairs of text beside Date and Content-Length. `close` is
    ``'announced'`` (with ``Connection: close``) or ``'silent'`` to close the connection afterwards. `raw`, if
    given, is written as it stands instead of all this. `gate`, if given, is a :class:`threading.Event`: the answer
    leaves once it is set. `opened`, if given, makes the answer the head of an endless chunked body and is called
    with the connection when the head is queued.
    """

    __slots__ = ('body', 'close', 'gate', 'headers', 'opened', 'raw', 'status')

    def __init__(self, status=202, body=b'', headers=(), close=None, raw=None, gate=None, opened=None):
        self.status = status
        self.body = body if isinstance(body, bytes) else body.encode('utf-8')
        self.headers = list(headers)
        self.close = close
        self.raw = raw
        self.gate = gate
        self.opened = opened

    def __repr__(self):
        return '<Answer %s>' % (self.status if self.raw is None else 'of %d raw bytes' % len(self.raw))


class HttpConnection(Peer):
    """A connection that a client opened.

    :meth:`write` is for any thread, the rest for the server's.
    """

    def __init__(self, http, listener, sock, number):
        super(HttpConnection, self).__init__(listener, sock, number)
        self._http = http
        self._lock = http.lock
        #: How many answers were given.
        self.answered = 0
        self._parser = h11.Connection(h11.SERVER)
        self._head = None
        self._body = []
        self._gated = deque()           # (gate or None, bytes), in order, not yet in _out
        self._is_streaming = False

    # -- any thread -------------------------------------------------------------------------------------

    def write(self, data, gate=None):
        """Queue bytes; they leave in order, once `gate` (an Event), if any, is set. False if it is closed."""
        with self._lock:
            if not self.is_open or self._ending is not None:
                return False
            self.unsent += len(data)
            if gate is not None or self._gated:
                self._gated.append((gate, data))
            else:
                self._out.append(data)
            must_order = not self._is_ordered
            self._is_ordered = True
        if must_order:
            self.server.loop.order(self.flush)
        return True

    # -- the server's thread ----------------------------------------------------------------------------

    def flush(self):
        """Send what may be sent and the kernel takes."""
        # Under the lock: a write() that has just looked at the flag is about to set it again, for nobody.
        with self._lock:
            self._is_ordered = False
        super(HttpConnection, self).flush()

    def finish_stream(self):
        """End the chunked body; the connection can be used for the next request."""
        if self.is_open and self._is_streaming:
            self._is_streaming = False
            self.write(self._parser.send(_END))
            self._next_cycle(None)
            self._parse()

    def received(self, data):
        """Read requests and answer them."""
        self._parser.receive_data(data)
        self._parse()

    def finished(self):
        """The client sends no more; a stream has no use then."""
        if self._is_streaming:
            self.close()
        else:
            super(HttpConnection, self).finished()

    def _parse(self):
        while self.is_open and self._ending is None and not self._is_streaming:
            try:
                event = self._parser.next_event()
            except h11.RemoteProtocolError as error:
                self.server.report('connection %d broke HTTP: %s' % (self.number, error))
                self.end('close')
                return
            kind = type(event)
            if kind is h11.Request:
                self._head = event
            elif kind is h11.Data:
                self._body.append(bytes(event.data))
            elif kind is h11.EndOfMessage:
                self._respond()
            else:
                return

    def _respond(self):
        head, body = self._head, b''.join(self._body)
        self._head, self._body = None, []
        headers = dict((name.decode('latin-1'), value.decode('latin-1')) for name, value in head.headers)
        request = Request(head.method.decode('ascii'), head.target.decode('latin-1'), headers, body, self)
        answer = self._http.answer_safely(request)
        try:
            data = self._encode(answer, head.method)
        except h11.LocalProtocolError as error:
            self.server.report('connection %d: cannot send %r: %s' % (self.number, answer, error))
            self.end('close')
            return
        self.answered += 1
        self.write(data, answer.gate)
        if answer.opened is not None:
            self._is_streaming = True
            answer.opened(self)
        else:
            self._next_cycle(answer.close)

    def _encode(self, answer, method):
        # h11 goes through an answer of raw bytes as well, so that it can read the next request.
        data = self._parser.send(_response_of(answer))
        if answer.opened is None:
            if answer.body and method != b'HEAD':
                data += self._parser.send(h11.Data(data=answer.body))
            data += self._parser.send(_END)
        return data if answer.raw is None else answer.raw

    def _next_cycle(self, close):
        if close is not None or self._parser.our_state is not h11.DONE or self._parser.their_state is not h11.DONE:
            self.end('close')
        else:
            self._parser.start_next_cycle()

    def _has_more(self):
        return bool(self._out or self._gated)

    def _next_piece(self):
        with self._lock:
            while self._gated and (self._gated[0][0] is None or self._gated[0][0].is_set()):
                self._out.append(self._gated.popleft()[1])
            return super(HttpConnection, self)._next_piece()

    def _put_back(self, piece, sent):
        with self._lock:
            super(HttpConnection, self)._put_back(piece, sent)

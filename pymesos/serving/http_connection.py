"""One connection of the server: requests in through h11, answers out in order, never blocking."""
from __future__ import absolute_import, division, print_function

import errno
import socket
import ssl
import struct
import time
from collections import deque, namedtuple
from email.utils import formatdate

import h11
from six.moves.http_client import responses as REASONS

from .._compat import monotonic, selectors, socket_errors

__all__ = ['Answer', 'HttpConnection', 'Request']

#: Bytes asked of a socket at once, and about as many given to it.
PIECE = 256 * 1024

#: Seconds that a closing connection waits for the peer to close as well. To close while bytes are unread would
#: make the kernel send RST, which can overtake the last answer.
LINGER = 2.0

#: close() with this sends RST (struct linger: on, 0 s).
RESET = struct.pack('ii', 1, 0)

_BLOCKED = (ssl.SSLWantReadError, ssl.SSLWantWriteError)
_END = h11.EndOfMessage()


class _Heads(object):
    """The responses without a body, made once a second: most answers of a benchmark are the same 202."""

    def __init__(self):
        self._second = None
        self._date = None
        self._empty = {}

    def make(self, answer):
        """The h11 response to begin `answer` with."""
        second = int(time.time())
        if second != self._second:
            self._second, self._date, self._empty = second, formatdate(usegmt=True), {}
        if not answer.headers and not answer.body and answer.close is None and answer.opened is None:
            if answer.status not in self._empty:
                self._empty[answer.status] = self._build(answer)
            return self._empty[answer.status]
        return self._build(answer)

    def _build(self, answer):
        headers = [('Date', self._date)]
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


class HttpConnection(object):
    """A connection that a client opened.

    `number` counts from 1. :meth:`write` is for any thread, the rest for the server's.
    """

    _heads = _Heads()

    def __init__(self, server, sock, number):
        self.server = server
        self.sock = sock
        self.number = number
        self.is_open = True
        #: How many answers were given.
        self.answered = 0
        #: Bytes queued that the kernel has not taken.
        self.unsent = 0
        self._parser = h11.Connection(h11.SERVER)
        self._head = None
        self._body = []
        self._out = deque()
        self._gated = deque()           # (gate or None, bytes), in order, not yet in _out
        self._is_ordered = False        # an order to flush is on its way to the server's thread
        self._is_streaming = False
        self._is_peer_done = False
        self._ending = None             # 'close' or 'half' once all is sent; 'done' when that has happened
        self._is_greeted = server.ssl_context is None
        self._events = selectors.EVENT_READ

    # -- any thread -------------------------------------------------------------------------------------

    def write(self, data, gate=None):
        """Queue bytes; they leave in order, once `gate` (an Event), if any, is set. False if it is closed."""
        with self.server.lock:
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

    def ready(self, events):
        """The socket is ready for `events`."""
        if not self.is_open:            # closed by what was handled before it in the same turn
            return
        if not self._is_greeted and not self._greet():
            return
        if events & selectors.EVENT_READ:
            self._read()
        if self.is_open:
            self.flush()

    def flush(self):
        """Send what may be sent and the kernel takes."""
        # Under the lock: a write() that has just looked at the flag is about to set it again, for nobody.
        with self.server.lock:
            self._is_ordered = False
        if not self.is_open or not self._is_greeted:
            return
        while True:
            piece = self._next_piece()
            if not piece:
                break
            try:
                sent = self.sock.send(piece)
            except _BLOCKED:
                sent = 0
            except socket_errors as error:
                if not _is_blocked(error):
                    self.close()
                    return
                sent = 0
            self._put_back(piece, sent)
            if sent < len(piece):
                break
        self._watch()
        if not self._out and not self._gated:
            self._end_if_due()

    def finish_stream(self):
        """End the chunked body; the connection can be used for the next request."""
        if self.is_open and self._is_streaming:
            self._is_streaming = False
            self.write(self._parser.send(_END))
            self._next_cycle(None)
            self._parse()

    def end(self, how):
        """When all is sent, close the connection (``'close'``) or only our direction (``'half'``)."""
        if self._ending is None:
            self._ending = how
        self.flush()

    def reset(self):
        """Send what the kernel takes, then RST."""
        self.flush()
        if self.is_open:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self.close()

    def close(self):
        """Close at once."""
        if not self.is_open:
            return
        self.is_open = False
        self.server.loop.watch(self.sock, self._events, 0, None)
        self.server.forget(self)
        self.sock.close()

    def _greet(self):
        try:
            self.sock.do_handshake()
        except _BLOCKED:
            return False
        except socket_errors as error:
            self.server.failures.append('TLS handshake with connection %d: %s' % (self.number, error))
            self.close()
            return False
        self._is_greeted = True
        return True

    def _read(self):
        # A TLS socket may hold bytes that no selector sees, so it is read until it says that there are no more.
        while self.is_open:
            try:
                data = self.sock.recv(PIECE)
            except _BLOCKED:
                return
            except socket_errors as error:
                if not _is_blocked(error):
                    self.close()
                return
            self._take(data)
            if self.server.ssl_context is None or not data:
                return

    def _take(self, data):
        if not data:
            self._is_peer_done = True
            if self._is_streaming or self._ending == 'done' or not self.unsent:
                self.close()
            elif self._ending is None:
                self._ending = 'close'
            return
        if self._ending is None:
            self._parser.receive_data(data)
            self._parse()

    def _parse(self):
        while self.is_open and self._ending is None and not self._is_streaming:
            try:
                event = self._parser.next_event()
            except h11.RemoteProtocolError as error:
                self.server.failures.append('connection %d broke HTTP: %s' % (self.number, error))
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
        answer = self.server.answer_safely(request)
        try:
            data = self._encode(answer, head.method)
        except h11.LocalProtocolError as error:
            self.server.failures.append('connection %d: cannot send %r: %s' % (self.number, answer, error))
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
        data = self._parser.send(self._heads.make(answer))
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

    def _next_piece(self):
        with self.server.lock:
            while self._gated and (self._gated[0][0] is None or self._gated[0][0].is_set()):
                self._out.append(self._gated.popleft()[1])
            if not self._out:
                return b''
            piece = self._out.popleft()
            # (What is left of a big piece is a memoryview, which 2.7 cannot join.)
            if isinstance(piece, bytes) and len(piece) < PIECE and self._out:
                pieces = [piece]
                size = len(piece)
                while self._out and size < PIECE:
                    pieces.append(self._out.popleft())
                    size += len(pieces[-1])
                piece = b''.join(pieces)
            return piece

    def _put_back(self, piece, sent):
        with self.server.lock:
            self.unsent -= sent
            if sent < len(piece):
                self._out.appendleft(memoryview(piece)[sent:] if sent else piece)

    def _watch(self):
        events = (0 if self._is_peer_done else selectors.EVENT_READ) | (selectors.EVENT_WRITE if self._out else 0)
        if events != self._events:
            self.server.loop.watch(self.sock, self._events, events, self.ready)
            self._events = events

    def _end_if_due(self):
        if self._ending not in ('close', 'half'):
            return
        must_close = self._ending == 'close'
        self._ending = 'done'
        if self._is_peer_done:
            self.close()
            return
        try:
            # On a TLS socket this would end TLS without a word as well: a half-close is of TCP here.
            self.sock.shutdown(socket.SHUT_WR)
        except socket_errors:
            self.close()
            return
        if must_close:
            self.server.loop.call_at(monotonic() + LINGER, self.close)


def _is_blocked(error):
    return isinstance(error, _BLOCKED) or error.errno in (errno.EAGAIN, errno.EINTR)

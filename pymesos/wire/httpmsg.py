"""HTTP/1.1 messages: the bytes of a request, and one adapter over the HTTP parsers.

h11 reads every head: there are few of them, it is the strictest, and equal heads, as those of a second's `202
Accepted`, are read once and remembered. Of http-parser no head could be used: it does not tell the reason phrase and
puts a blank into a value that was cut between two feeds. Which bytes are the body is settled here for all parsers
alike (RFC 9112, 6.3). What costs are chunked bodies, the event streams, and these are decoded by the chosen backend.
"""
from __future__ import absolute_import, division, print_function

import re
from collections import namedtuple

import h11

from ..errors import EXCERPT_BYTES, HttpError, UsageError, excerpt

try:
    import httptools
except ImportError:
    httptools = None
try:
    from http_parser import parser as http_parser
except ImportError:         # it cannot be built from Python 3.11 on
    http_parser = None

__all__ = ['BACKENDS', 'MAX_HEAD', 'Body', 'End', 'Head', 'ResponseParser', 'request']

#: The most bytes that a response's head may have.
MAX_HEAD = 64 * 1024

# What ends a head, and a chunked body with its trailer.
_BLANK_LINE = b'\r\n\r\n'

# Every response of HTTP/1 begins so; who sends anything else is told so before a blank line comes.
_BEGINNING = b'HTTP/1.'

# As many heads are remembered as a second brings different ones, in less memory than a megabyte.
_REMEMBERED_HEADS = 32
_REMEMBERED_HEAD_BYTES = 2048

# Enough digits for the largest int64.
_CONTENT_LENGTH = re.compile(r'[0-9]{1,19}\Z')

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_TARGET = r'[\x21-\x7e]+'
_VALUE = u'[\t\x20-\x7e\x80-\xff]*'
_HEAD = re.compile(u'%s %s HTTP/1[.]1\r\n(?:%s: %s\r\n)*\\Z' % (_TOKEN, _TARGET, _TOKEN, _VALUE))


def request(method, target, headers, body=b''):
    """The bytes of a request.

    `method` and `target` are text; `headers` is a list of (name, value), both text, that are written in that order;
    Content-Length is added behind them. Raises :class:`UsageError` for a name or a value that would break the
    message, such as one with a line break.
    """
    return request_head(method, target, headers) + ('Content-Length: %d\r\n\r\n' % len(body)).encode('ascii') + body


def request_head(method, target, headers):
    """The bytes of a request up to its Content-Length; see :func:`request`."""
    lines = ['%s %s HTTP/1.1\r\n' % (method, target)]
    lines += ['%s: %s\r\n' % field for field in headers]
    head = ''.join(lines)
    # No part can hold a line break if the head has the lines that were written and no more.
    if not _HEAD.match(head) or head.count('\n') != len(lines):
        raise UsageError('cannot write a request: %s characters that HTTP does not allow there'
                         % _name_culprit(method, target, headers))
    return head if isinstance(head, bytes) else head.encode('latin-1')


def _name_culprit(method, target, headers):
    """What breaks the head of a request. Not its value: that may be a secret."""
    if not re.match(_TOKEN + r'\Z', method):
        return 'the method has'
    if not re.match(_TARGET + r'\Z', target):
        return 'the target has'
    for name, _ in headers:
        if not re.match(_TOKEN + r'\Z', name):
            return 'the name of a header has'
    names = [name for name, value in headers if not re.match(_VALUE + u'\\Z', value)]
    return 'the value of the header %s has' % ', '.join(names)


class Head(namedtuple('Head', ['status', 'reason', 'headers'])):
    """A response begins: `status` (int), `reason` (text) and `headers`, lower-case name -> text.

    Values of a name that came more than once are joined with ``', '``. Equal heads share one dict: do not change it.
    """

    __slots__ = ()


class Body(namedtuple('Body', ['data'])):
    """Some bytes of the response's body, never none."""

    __slots__ = ()


class End(object):
    """A response is complete."""

    __slots__ = ()

    def __repr__(self):
        return 'End()'

    def __eq__(self, other):
        return isinstance(other, End)

    def __ne__(self, other):
        return not self == other

    def __hash__(self):
        return hash(End)


_END = End()


class ResponseParser(object):
    """Reads the responses to POST and GET requests, one after the other, from the bytes of one connection.

    `backend` is one of :data:`BACKENDS`; None takes the first of them, the fastest. An error is for good.
    For one thread at a time.
    """

    def __init__(self, backend=None):
        #: The name of the library that decodes chunked bodies.
        self.backend = BACKENDS[0] if backend is None else backend
        if self.backend not in BACKENDS:
            raise UsageError('cannot read HTTP with %r: importable here: %s' % (backend, ', '.join(BACKENDS)))
        self._begun_head = bytearray()
        self._read_body = None          # what decodes the body under way; None in a head and between responses
        self._remembered = {}           # the bytes of a head -> what _read_head() made of them
        self._failure = None            # the text of the error, once there is one

    @property
    def error(self):
        """The :class:`HttpError` that the next call of `feed` or `close` will raise, or None."""
        return None if self._failure is None else HttpError(self._failure)

    def feed(self, data):
        """What `data` (bytes) holds, as a list of Head, Body and End in order; interim (1xx) responses are left out.

        Raises :class:`HttpError` as soon as the bytes are not HTTP/1 or a head is above :data:`MAX_HEAD`, and from
        then on at every call. What was read in `data` before the error is returned first; then the next call
        raises, and `error` tells of it at once.
        """
        if self._failure is not None:
            raise HttpError(self._failure)
        events = []
        try:
            self._advance(data, events.append)
        except HttpError as error:
            self._failure = str(error)
            if not events:
                raise
        return events

    def close(self):
        """To be called when no more bytes will come: a list, [End()] if that is how the body ends, else empty.

        Raises :class:`HttpError` if they ended inside a response, and if there was an error before.
        """
        if self._failure is None and self._begun_head:
            self._failure = ('cannot read HTTP: the connection ended inside a head: %s'
                             % excerpt(bytes(self._begun_head)))
        elif self._failure is None and self._read_body is not None:
            if self._read_body is _until_close:
                self._read_body = None
                return [_END]
            self._failure = 'cannot read HTTP: the connection ended inside the body of a response'
        if self._failure is not None:
            raise HttpError(self._failure)
        return []

    def _advance(self, data, emit):
        if self._read_body is None and self._begun_head:
            data = self._join_head(data)
        position = 0
        while position < len(data):
            if self._read_body is None:
                position = self._advance_head(data, position, emit)
                continue
            position = self._advance_body(data, position, emit)

    def _join_head(self, data):
        """Adds `data` to the head under way; b'' as long as it is not whole, else all bytes since its first."""
        begun = self._begun_head
        searched = max(0, len(begun) - len(_BLANK_LINE) + 1)
        begun += data
        if begun.find(_BLANK_LINE, searched) < 0:
            _check_begun_head(begun)
            return b''
        self._begun_head = bytearray()
        return bytes(begun)

    def _advance_head(self, data, position, emit):
        end = data.find(_BLANK_LINE, position)
        if end < 0:
            self._begun_head += data[position:]
            _check_begun_head(self._begun_head)
            return len(data)
        end += len(_BLANK_LINE)
        raw = data[position:end]
        head, framing = self._remembered.get(raw) or self._read_head(raw)
        if head is not None:
            emit(head)
            if framing == 0:
                emit(_END)
            else:
                self._read_body = self._body_reader(framing)
        return end

    def _advance_body(self, data, position, emit):
        pieces = []
        try:
            end = self._read_body(data, position, pieces)
        finally:                # what was read before an error counts
            body = b''.join(pieces)
            if body:
                emit(Body(body))
        if end < 0:
            return len(data)
        self._read_body = None
        emit(_END)
        return end

    def _read_head(self, raw):
        _check_begun_head(raw)
        head = _parse_head(raw)
        if head.status < 200:
            read = None, 0
        else:
            read = head, _framing(head)
        if len(raw) <= _REMEMBERED_HEAD_BYTES:
            if len(self._remembered) >= _REMEMBERED_HEADS:
                self._remembered.clear()
            self._remembered[raw] = read
        return read

    def _body_reader(self, framing):
        if framing is _CHUNKED:
            return _CHUNKED_READERS[self.backend]()
        return _until_close if framing is _UNTIL_CLOSE else _CountedBody(framing)


def _check_begun_head(begun):
    if begun[:len(_BEGINNING)] != _BEGINNING[:len(begun)]:
        raise HttpError('cannot read HTTP: expected a response of HTTP/1.1, the peer sent %s' % excerpt(bytes(begun)))
    if len(begun) > MAX_HEAD:
        raise HttpError('cannot read HTTP: the head of a response has more than the %d bytes that are allowed: %s'
                        % (MAX_HEAD, excerpt(bytes(begun))))


def _said_by(error):
    """The text of a parser's error, which may quote all of what the peer has sent."""
    text = str(error)
    return text if len(text) <= EXCERPT_BYTES else text[:EXCERPT_BYTES] + '...'


# -- heads ------------------------------------------------------------------------------------------------------------

# h11 reads a response only after a request. Its method decides whether there is a body; POST and GET are alike there.
_ANY_REQUEST = h11.Request(method='POST', target='/', headers=[('Host', 'localhost'), ('Content-Length', '0')])


def _new_h11():
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD + 1)
    connection.send(_ANY_REQUEST)
    connection.send(h11.EndOfMessage())
    return connection


def _parse_head(raw):
    connection = _new_h11()
    connection.receive_data(raw)
    try:
        event = connection.next_event()
    except h11.RemoteProtocolError as error:
        raise HttpError('cannot read HTTP: %s, in the head %s' % (_said_by(error), excerpt(raw)))
    # A bare line feed twice ends a head for h11 before it does for us.
    if not isinstance(event, (h11.Response, h11.InformationalResponse)) or connection.trailing_data[0]:
        raise HttpError('cannot read HTTP: a bare line feed in the head %s' % excerpt(raw))
    headers = {}
    for name, value in event.headers:
        name, value = bytes(name).decode('latin-1'), bytes(value).decode('latin-1')
        headers[name] = headers[name] + ', ' + value if name in headers else value
    return Head(event.status_code, bytes(event.reason).decode('latin-1'), headers)


_CHUNKED = 'chunked'
_UNTIL_CLOSE = 'until close'


def _framing(head):
    """How the body ends: its length in bytes, _CHUNKED or _UNTIL_CLOSE."""
    coding = head.headers.get('transfer-encoding')
    length = head.headers.get('content-length')
    if head.status in (204, 304):
        return 0
    if coding is not None:
        if coding.lower() != 'chunked' or length is not None:
            raise HttpError('cannot read HTTP: expected the Transfer-Encoding chunked and no Content-Length, '
                            'the peer sent %s with the Content-Length %s' % (excerpt(coding), length))
        return _CHUNKED
    if length is None:
        return _UNTIL_CLOSE
    if not _CONTENT_LENGTH.match(length):
        raise HttpError('cannot read HTTP: expected a Content-Length of digits, the peer sent %s' % excerpt(length))
    return int(length)


# -- bodies: called with bytes and the position to begin at, they append what of the body is there to a list and return
# -- the position where the body ended, or -1 if there is more to come.

def _until_close(data, position, pieces):
    pieces.append(data[position:])
    return -1


class _CountedBody(object):
    """A body that is as long as Content-Length says."""

    def __init__(self, length):
        self._missing = length

    def __call__(self, data, position, pieces):
        end = position + self._missing
        pieces.append(data[position:end])
        self._missing -= len(pieces[-1])
        return -1 if self._missing else end


# A chunked reader gets a head of its own, as the parsers decode no body without one. A response that closes the
# connection is one behind which they take no other, so what a parser does not stop at is an error and not lost.
_CHUNKED_HEAD = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n'


class _ChunkedBody(object):
    """A chunked body, decoded by one of the parsers.

    Not every parser tells where in its food the body ended. But a body ends in a blank line: so the parser is fed up
    to each of them and then asked whether that was the end. A subclass has `_decode(data, pieces)`, which appends what
    of the body is in `data` to a list, with HttpError if it is not HTTP; and `_is_complete()`.
    """

    def __init__(self):
        self._tail = b''        # the last bytes of before, in which a blank line may have begun

    def __call__(self, data, position, pieces):
        for cut in _after_blank_lines(self._tail, data, position):
            self._decode_before_end(data[position:cut - 1], pieces)
            self._decode(data[cut - 1:cut], pieces)
            position = cut
            if self._is_complete():
                return position
        rest = data[position:]
        self._tail = (self._tail + rest)[-3:] if len(rest) < 3 else rest[-3:]
        self._decode_before_end(rest, pieces)
        return -1

    def _decode_before_end(self, data, pieces):
        if data:                # to be fed nothing is the end of the connection for a parser
            self._decode(data, pieces)
        if self._is_complete():
            raise HttpError('cannot read HTTP: a chunked body ends in a bare line feed')


def _after_blank_lines(tail, data, position):
    """Where in `data`, from `position` on, a blank line is complete; it may have begun in the `tail` of before."""
    seam = tail + data[position:position + 3]
    at = seam.find(_BLANK_LINE)
    while at >= 0:
        yield position + at + len(_BLANK_LINE) - len(tail)
        at = seam.find(_BLANK_LINE, at + 1)
    at = _find_blank_line(data, position)
    while at >= 0:
        yield at + len(_BLANK_LINE)
        at = _find_blank_line(data, at + 1)


def _find_blank_line(data, position):
    # To look for one byte is ten times as fast as to look for four. With large records few of it are in the way.
    for _ in range(32):
        position = data.find(b'\r', position)
        if position < 0 or data.startswith(_BLANK_LINE, position):
            return position
        position += 1
    return data.find(_BLANK_LINE, position)


class _H11Chunked(_ChunkedBody):
    """A chunked body, decoded by h11."""

    def __init__(self):
        super(_H11Chunked, self).__init__()
        self._has_ended = False
        self._connection = _new_h11()
        self._connection.receive_data(_CHUNKED_HEAD)
        self._connection.next_event()

    def _decode(self, data, pieces):
        self._connection.receive_data(data)
        try:
            event = self._connection.next_event()
            while type(event) is h11.Data:
                pieces.append(bytes(event.data))
                event = self._connection.next_event()
        except h11.RemoteProtocolError as error:
            raise HttpError('cannot read HTTP: %s, in a chunked body' % _said_by(error))
        self._has_ended = type(event) is h11.EndOfMessage
        if self._has_ended and self._connection.trailing_data[0]:
            raise HttpError('cannot read HTTP: a chunked body ends in a bare line feed')

    def _is_complete(self):
        return self._has_ended


class _HttptoolsChunked(_ChunkedBody):
    """A chunked body, decoded by httptools."""

    def __init__(self):
        super(_HttptoolsChunked, self).__init__()
        self._pieces = []
        self._completions = []
        # httptools looks its callbacks up in the object it is given, once, when it is made.
        self.on_body = self._pieces.append
        self._parser = httptools.HttpResponseParser(self)
        self._parser.feed_data(_CHUNKED_HEAD)

    def on_message_complete(self):
        self._completions.append(None)

    def _decode(self, data, pieces):
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            raise HttpError('cannot read HTTP: %s, in a chunked body' % _said_by(error))
        finally:
            pieces.extend(self._pieces)
            del self._pieces[:]

    def _is_complete(self):
        return bool(self._completions)


class _HttpParserChunked(_ChunkedBody):
    """A chunked body, decoded by http-parser."""

    def __init__(self):
        super(_HttpParserChunked, self).__init__()
        self._parser = http_parser.HttpParser(1)        # 1: of responses
        self._parser.execute(_CHUNKED_HEAD, len(_CHUNKED_HEAD))

    def _decode(self, data, pieces):
        executed = self._parser.execute(data, len(data))
        pieces.append(self._parser.recv_body())
        if executed != len(data):
            description = http_parser.get_errno_description(self._parser.get_errno())
            raise HttpError('cannot read HTTP: %s, in a chunked body' % description.decode('ascii'))

    def _is_complete(self):
        return self._parser.is_message_complete()


_CHUNKED_READERS = {'h11': _H11Chunked}
if httptools is not None:
    _CHUNKED_READERS['httptools'] = _HttptoolsChunked
if http_parser is not None:
    _CHUNKED_READERS['http-parser'] = _HttpParserChunked

#: The parsers that can be imported here, the fastest first.
BACKENDS = tuple(name for name in ('httptools', 'http-parser', 'h11') if name in _CHUNKED_READERS)

"""Requests out of the bytes of a connection: h11 reads heads and chunked bodies, equal heads are read once.

A client sends the same head again and again, so that most of them are found in a dict. That costs less than any parser,
one in C included.
"""
from __future__ import absolute_import, division, print_function

import re
from collections import namedtuple

import h11

from ..errors import HttpError, excerpt

__all__ = ['Begin', 'BodyTooLarge', 'END', 'Head', 'HeadMemory', 'MAX_HEAD', 'Piece', 'Request', 'RequestParser']

#: The most bytes that a head may have; the parser of Mesos has the same limit.
MAX_HEAD = 80 * 1024

#: How many heads are remembered, of at most how many bytes each: those of a hundred clients, in a few megabytes.
REMEMBERED_HEADS = 2000
REMEMBERED_HEAD_BYTES = 2048

_BLANK_LINE = re.compile(br'\n\r?\n')
_HOST = re.compile(br'\n[Hh][Oo][Ss][Tt][ \t]*:')
_METHOD = re.compile(br'[A-Za-z-]{1,20}(?: |\Z)')
_LINE_END = re.compile(br'\r?\n')


class BodyTooLarge(HttpError):
    """The body of a request has more bytes than are allowed."""


class Head(object):
    """The head of a request. Equal heads may be one object: do not change it, but for `plan`.

    `method` and `target` are text; `headers` a dict of lower-case name to text, values of the same name joined by
    ``', '``; `length` the bytes of the body, None if it is chunked; `is_last` whether the client wants the connection
    closed after the answer; `plan` is the server's, for what follows from the head alone.
    """

    __slots__ = ('headers', 'is_last', 'length', 'method', 'plan', 'raw', 'target')

    def __init__(self, method, target, headers, length, is_last, raw):
        self.method = method
        self.target = target
        self.headers = headers
        self.length = length
        self.is_last = is_last
        self.raw = raw
        self.plan = None

    def __repr__(self):
        return '<Head %s %s>' % (self.method, self.target)


#: A whole request: its :class:`Head` and its body (bytes).
Request = namedtuple('Request', ['head', 'body'])

#: A request begins whose body comes in pieces (of bytes, none of them empty), and then END.
Begin = namedtuple('Begin', ['head'])
Piece = namedtuple('Piece', ['data'])
END = object()


class HeadMemory(object):
    """The heads that were read lately; for one thread, and for as many parsers as one likes."""

    def __init__(self):
        self._heads = {}
        self.find = self._heads.get

    def keep(self, head):
        """Remember a head."""
        if len(head.raw) <= REMEMBERED_HEAD_BYTES:
            if len(self._heads) >= REMEMBERED_HEADS:
                self._heads.clear()
            self._heads[head.raw] = head


class RequestParser(object):
    """Reads requests, one after the other, from the bytes of one connection. An error is for good.

    `memory` is a :class:`HeadMemory` to share; `max_body` the most bytes that a body may have; `is_streamed`, called
    with a :class:`Head`, says whether its body is given in pieces, however long. For one thread at a time.

    As Mesos it takes a request of HTTP/1.1 without a Host, blank lines before a head, and a bare line feed for
    the end of a line.
    """

    def __init__(self, memory=None, max_body=64 * 1024 * 1024, is_streamed=None):
        self._memory = HeadMemory() if memory is None else memory
        self._max_body = max_body
        self._is_streamed = is_streamed or (lambda head: False)
        #: The :class:`HttpError` that the next feed() will raise, or None.
        self.error = None
        self._begun = bytearray()       # of a head
        self._head = None               # of the request whose body is read
        self._left = 0                  # bytes of its body that are to come
        self._chunks = None             # the h11 connection that decodes it, if it is chunked
        self._body = None               # what came of it; None if it is given away in pieces

    def feed(self, data):
        """What `data` (bytes) completes: a list of :class:`Request`, or Begin, Piece and END, in order.

        Raises :class:`HttpError`, :class:`BodyTooLarge` among them, when nothing was completed before it; else that
        is returned first, and `error` tells.
        """
        if self.error is not None:
            raise self.error
        events = []
        try:
            self._advance(data, events.append)
        except HttpError as error:
            self.error = error
            if not events:
                raise
        return events

    def _advance(self, data, emit):
        if self._begun:
            data = self._join_head(data)
        position, size = 0, len(data)
        while position < size:
            if self._head is None:
                position = self._advance_head(data, position, emit)
            elif self._chunks is not None:
                position = self._advance_chunks(data[position:], size, emit)
            else:
                position = self._advance_counted(data, position, emit)

    def _join_head(self, data):
        """Adds `data` to the head under way; b'' as long as it is not whole, else all bytes since its first."""
        begun = self._begun
        searched = max(0, len(begun) - 2)
        begun += data
        if _BLANK_LINE.search(begun, searched) is None:
            _check_begun(begun)
            return b''
        self._begun = bytearray()
        return bytes(begun)

    def _advance_head(self, data, position, emit):
        while data[position:position + 1] in (b'\r', b'\n'):
            position += 1
        blank = _BLANK_LINE.search(data, position)
        if blank is None:
            self._begun += data[position:]
            _check_begun(self._begun)
            return len(data)
        end = blank.end()
        raw = data[position:end]
        head = self._memory.find(raw) or self._read_head(raw)
        length = head.length
        if length is not None and not self._is_streamed(head):
            if end + length <= len(data) and length <= self._max_body:
                emit(Request(head, data[end:end + length]))
                return end + length
        self._begin_body(head, emit)
        return end

    def _read_head(self, raw):
        _check_begun(raw)
        head = _parse_head(raw)
        self._memory.keep(head)
        return head

    def _begin_body(self, head, emit):
        self._body = bytearray()
        if self._is_streamed(head):
            self._body = None
            emit(Begin(head))
        elif head.length is not None and head.length > self._max_body:
            raise self._too_large('%d' % head.length)
        self._head = head
        if head.length is None:
            self._chunks = h11.Connection(h11.SERVER)
            self._chunks.receive_data(_tidy(head.raw))
            self._chunks.next_event()
        else:
            self._left = head.length
            if not self._left:
                self._finish(emit)

    def _advance_counted(self, data, position, emit):
        piece = data[position:position + self._left]
        self._left -= len(piece)
        self._add(piece, emit)
        if not self._left:
            self._finish(emit)
        return position + len(piece)

    def _advance_chunks(self, data, size, emit):
        self._chunks.receive_data(data)
        while True:
            try:
                event = self._chunks.next_event()
            except h11.RemoteProtocolError as error:
                raise HttpError('cannot read HTTP: %s, in a chunked body' % error)
            if isinstance(event, h11.Data):
                if event.data:
                    self._add(bytes(event.data), emit)
            elif isinstance(event, h11.EndOfMessage):
                rest = len(self._chunks.trailing_data[0])
                self._chunks = None
                self._finish(emit)
                return size - rest
            else:
                return size

    def _add(self, piece, emit):
        if self._body is None:
            emit(Piece(piece))
            return
        if len(self._body) + len(piece) > self._max_body:
            raise self._too_large('more')
        self._body += piece

    def _finish(self, emit):
        head, body = self._head, self._body
        self._head = self._body = None
        emit(END if body is None else Request(head, bytes(body)))

    def _too_large(self, size):
        return BodyTooLarge('cannot read a request: its body has %s bytes, at most %d are allowed'
                            % (size, self._max_body))


def _check_begun(begun):
    # Who speaks another protocol may wait for us to speak, and not send a blank line before.
    if begun and not _METHOD.match(begun):
        raise HttpError('cannot read HTTP: no method at the beginning of %s' % excerpt(bytes(begun)))
    if len(begun) > MAX_HEAD:
        raise HttpError('cannot read HTTP: the head of a request has more than the %d bytes that are allowed: %s'
                        % (MAX_HEAD, excerpt(bytes(begun))))


def _tidy(raw):
    """A head as h11 insists on it and Mesos does not: no bare line feeds, and a Host."""
    raw = _LINE_END.sub(b'\r\n', raw)
    return raw if _HOST.search(raw) else raw[:-2] + b'Host:\r\n\r\n'


def _parse_head(raw):
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=2 * MAX_HEAD)
    connection.receive_data(_tidy(raw))
    try:
        event = connection.next_event()
    except h11.RemoteProtocolError as error:
        raise HttpError('cannot read HTTP: %s, in the head %s' % (error, excerpt(raw)))
    if not isinstance(event, h11.Request):
        raise HttpError('cannot read HTTP: no request in the head %s' % excerpt(raw))
    headers = {}
    for name, value in event.headers:
        name, value = bytes(name).decode('latin-1'), bytes(value).decode('latin-1')
        headers[name] = headers[name] + ', ' + value if name in headers else value
    if not headers.get('host'):
        headers.pop('host', None)
    return Head(bytes(event.method).decode('ascii'), bytes(event.target).decode('latin-1'), headers,
                None if 'transfer-encoding' in headers else int(headers.get('content-length', 0)),
                _is_last(bytes(event.http_version), headers), raw)


def _is_last(version, headers):
    tokens = [token.strip().lower() for token in headers.get('connection', '').split(',')]
    return 'close' in tokens if version == b'1.1' else 'keep-alive' not in tokens

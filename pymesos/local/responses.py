"""The bytes of answers: heads with the headers in the order that Mesos has, bodies in JSON, chunks of streams."""
from __future__ import absolute_import, division, print_function

import gzip
import io
import json
import time
from email.utils import formatdate

from .._compat import PY2
from ..wire import messages, recordio

__all__ = ['LAST_CHUNK', 'Responses', 'dumps', 'event_chunk']

#: The reasons as Mesos writes them; the standard library's change from Python to Python.
REASONS = {
    200: 'OK', 202: 'Accepted', 307: 'Temporary Redirect', 400: 'Bad Request', 401: 'Unauthorized', 403: 'Forbidden',
    404: 'Not Found', 405: 'Method Not Allowed', 406: 'Not Acceptable', 409: 'Conflict', 410: 'Gone',
    413: 'Request Entity Too Large', 415: 'Unsupported Media Type', 500: 'Internal Server Error',
    501: 'Not Implemented', 503: 'Service Unavailable'}

#: Bodies of so many bytes or more are compressed if the client allows it (PROTOCOL 1.2).
GZIP_BYTES = 1024

#: Larger bodies are sent as they are: all others would wait meanwhile.
MAX_GZIP_BYTES = 16 * 1024 * 1024

LAST_CHUNK = b'0\r\n\r\n'

TEXT = 'text/plain; charset=utf-8'
JSON = 'application/json'
JAVASCRIPT = 'text/javascript'

#: How hard to compress: the quickest, on the thread that serves all.
_EFFORT = 1

# As Mesos, text as it is in UTF-8; 2.7 can write only ASCII quickly.
_encode = json.JSONEncoder(ensure_ascii=PY2, separators=(',', ':'), allow_nan=False).encode


def dumps(body):
    """A dict or a list as compact JSON (bytes); infinite numbers as Mesos writes them."""
    try:
        return _encode(body).encode('utf-8')
    except ValueError:
        return messages.dumps(body)


def event_chunk(event):
    """An event (a dict) as one record in one chunk."""
    record = recordio.encode(dumps(event))
    return b'%x\r\n%s\r\n' % (len(record), record)


def _head(status, headers):
    lines = ['HTTP/1.1 %d %s' % (status, REASONS[status])]
    lines += ['%s: %s' % header for header in headers]
    return ('\r\n'.join(lines) + '\r\n\r\n').encode('latin-1')


def _body(reply, jsonp):
    """(the bytes of its body, its Content-Type or None)."""
    body, kind = reply.body, dict(reply.headers).get('Content-Type')
    if body is None:
        return b'', kind
    if isinstance(body, (dict, list)):
        data = dumps(body)
        return (data, kind or JSON) if jsonp is None else (jsonp.encode('utf-8') + b'(' + data + b')', JAVASCRIPT)
    return body if isinstance(body, bytes) else body.encode('utf-8'), kind or TEXT


def _gzip(data):
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode='wb', compresslevel=_EFFORT, mtime=0) as stream:
        stream.write(data)
    return out.getvalue()


class Responses(object):
    """Makes answers; `clock` gives seconds since the epoch. What is alike is made once a second."""

    def __init__(self, clock=time.time):
        self._clock = clock
        self._second = None
        self._date = None
        self._empty = {}

    def _refresh(self):
        second = int(self._clock())
        if second != self._second:
            self._second, self._date, self._empty = second, formatdate(second, usegmt=True), {}

    def empty(self, status):
        """An answer without a body and without headers of its own."""
        self._refresh()
        made = self._empty.get(status)
        if made is None:
            made = self._empty[status] = _head(status, [('Date', self._date), ('Content-Length', '0')])
        return made

    def whole(self, reply, may_gzip=False, is_legacy=False, jsonp=None):
        """The bytes of an answer with the status, the body and the headers of a Reply.

        `is_legacy` puts the headers in the order of the endpoints without an API version; `jsonp` (text or None) is the
        function to wrap the JSON of these in.
        """
        if reply.body is None and not reply.headers:
            return self.empty(reply.status)
        self._refresh()
        data, kind = _body(reply, jsonp)
        is_legacy = is_legacy and kind not in (TEXT, None)
        before, after = [('Date', self._date)], [header for header in reply.headers if header[0] != 'Content-Type']
        if may_gzip and GZIP_BYTES <= len(data) <= MAX_GZIP_BYTES:
            data = _gzip(data)
            before.insert(0, ('Content-Encoding', 'gzip'))
        after += [('Content-Type', kind)] if kind else []
        (before if is_legacy else after).append(('Content-Length', '%d' % len(data)))
        return _head(reply.status, before + after) + data

    def stream(self, reply, kinds):
        """The head of an endless answer; `kinds` are headers (pairs) with its types, unless the Reply has its own."""
        self._refresh()
        own = dict(reply.headers)
        kinds = [header for header in kinds if header[0] not in own]
        return _head(reply.status if reply.status != 202 else 200,
                     [('Date', self._date), ('Transfer-Encoding', 'chunked')] + list(reply.headers) + kinds)

"""A client of the Mesos HTTP APIs that shares no code with the library: sockets, HTTP/1.1 and RecordIO by hand.

What a test says about the wire is so no echo of what the drivers believe.
"""
from __future__ import absolute_import, division, print_function

import base64
import json
import os
import re
import socket
import time
import uuid
from collections import namedtuple

#: Seconds that whatever is waited for may take. Generous: it is only used up when a promise is broken.
DEADLINE = float(os.environ.get('PYMESOS_CONTRACT_DEADLINE') or 60)

JSON = 'application/json'
SCHEDULER = '/api/v1/scheduler'
EXECUTOR = '/api/v1/executor'
OPERATOR = '/api/v1'

RECV_BYTES = 65536


class Timeout(AssertionError):
    """What was waited for did not come."""


class Ended(AssertionError):
    """The peer closed the connection where more had to come."""


class Reply(namedtuple('Reply', ['status', 'reason', 'headers', 'body'])):
    """An answer: status (int), reason, headers ((name, value) pairs as sent), body (bytes, de-chunked)."""

    __slots__ = ()

    def header(self, name):
        """The value of a header, whatever its case; None if there is none."""
        for each, value in self.headers:
            if each.lower() == name.lower():
                return value
        return None

    @property
    def names(self):
        """The names of the headers, in order, as they were written."""
        return [name for name, _ in self.headers]

    @property
    def text(self):
        return self.body.decode('utf-8')

    def json(self):
        return json.loads(self.text)


def credentials(text):
    """The header of basic authentication for ``'principal:secret'``."""
    return {'Authorization': 'Basic ' + base64.b64encode(text.encode('utf-8')).decode('ascii')}


def request(address, path, body=b'', headers=None, method='POST', version='HTTP/1.1'):
    """The bytes of a request. `body`: bytes, or anything that is sent as JSON; a header that is None is left out."""
    if not isinstance(body, bytes):
        body = json.dumps(body).encode('utf-8')
    fields = [('Host', address), ('Content-Type', JSON), ('Accept', JSON)]
    given = dict(headers or {})
    fields = [(name, given.pop(name, value)) for name, value in fields] + sorted(given.items())
    if body or method == 'POST':
        fields.append(('Content-Length', str(len(body))))
    lines = ['%s %s %s' % (method, path, version)] + ['%s: %s' % pair for pair in fields if pair[1] is not None]
    return '\r\n'.join(lines + ['', '']).encode('latin-1') + body


class Connection(object):
    """One connection; answers are read in the order of the requests."""

    def __init__(self, address, context=None):
        host, _, port = address.rpartition(':')
        self.socket = socket.create_connection((host.strip('[]'), int(port)), DEADLINE)
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_hostname='localhost')
        self.buffer = b''

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def fill(self, end):
        """Receive some bytes until the time `end`; raises Ended at the end of the connection."""
        self.socket.settimeout(max(0.001, end - time.time()))
        try:
            data = self.socket.recv(RECV_BYTES)
        except socket.timeout:
            raise Timeout('nothing came; unread: %r' % self.buffer[:200])
        except EnvironmentError as error:           # a reset
            raise Ended(str(error))
        if not data:
            raise Ended('the connection was closed; unread: %r' % self.buffer[:200])
        self.buffer += data

    def take(self, count, end):
        while len(self.buffer) < count:
            self.fill(end)
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def line(self, end):
        while b'\r\n' not in self.buffer:
            self.fill(end)
        line, _, self.buffer = self.buffer.partition(b'\r\n')
        return line.decode('latin-1')

    def head(self, end=None):
        """The head of the next answer, a Reply with an empty body."""
        end = end or time.time() + DEADLINE
        _version, status, reason = (self.line(end).split(' ', 2) + [''])[:3]
        headers = []
        while True:
            line = self.line(end)
            if not line:
                return Reply(int(status), reason, headers, b'')
            name, _, value = line.partition(':')
            headers.append((name, value.strip()))

    def chunk(self, end):
        """The next chunk of a body; b'' is the last."""
        data = self.take(int(self.line(end).partition(';')[0], 16), end)
        self.line(end)
        return data

    def reply(self, method='POST'):
        """The next answer, whole."""
        end = time.time() + DEADLINE
        head = self.head(end)
        if head.status == 100:
            head = self.head(end)
        body = b''
        if (head.header('Transfer-Encoding') or '').lower() == 'chunked':
            parts = []
            while not parts or parts[-1]:
                parts.append(self.chunk(end))
            body = b''.join(parts)
        elif method != 'HEAD':
            body = self.take(int(head.header('Content-Length') or 0), end)
        return head._replace(body=body)

    def is_closed_by_peer(self):
        """Whether the peer ends this connection without another byte; waits for that."""
        try:
            self.fill(time.time() + DEADLINE)
        except Ended:
            return True
        return False


def send(address, data, method='POST', context=None):
    """Send the bytes of one request on a connection of its own and return the answer."""
    with Connection(address, context) as connection:
        connection.send(data)
        return connection.reply(method)


def post(address, path, body=b'', headers=None, **options):
    """POST `body` and return the answer."""
    return send(address, request(address, path, body, headers, **options), options.get('method', 'POST'))


def get(address, path, headers=None):
    """GET a path and return the answer."""
    return send(address, request(address, path, b'', dict({'Content-Type': None}, **(headers or {})), 'GET'), 'GET')


def records(buffer):
    """([complete records], the rest) of RecordIO bytes."""
    found = []
    while True:
        length, newline, rest = buffer.partition(b'\n')
        if not newline or len(rest) < int(length):
            return found, buffer
        found.append(rest[:int(length)])
        buffer = rest[int(length):]


class Stream(object):
    """The stream of events that answers a SUBSCRIBE.

    `events` is all that has been read, in order. :meth:`wait` hands out each event once, and takes them in any
    order, for Mesos promises none between most of them; what order there is a test looks up in `events`.
    """

    def __init__(self, address, data, context=None):
        self.connection = Connection(address, context)
        self.events = []
        self.taken = set()
        self.has_ended = False
        self.is_last_chunk_seen = False
        self._bytes = b''
        try:
            self.connection.send(data)
            self.head = self.connection.head()
            self.error = None
            if self.head.status != 200:
                length = int(self.head.header('Content-Length') or 0)
                self.error = self.connection.take(length, time.time() + DEADLINE).decode('utf-8')
                self.close()
        except BaseException:
            self.close()
            raise

    def close(self):
        self.has_ended = True
        self.connection.close()

    def read(self, end):
        """Read at least one more record, or find out that the stream has ended (False)."""
        while not self.has_ended:
            try:
                data = self.connection.chunk(end)
            except Ended:
                self.close()
                return False
            if not data:
                self.is_last_chunk_seen = True
                self.close()
                return False
            found, self._bytes = records(self._bytes + data)
            self.events += [self.decode(record) for record in found]
            if found:
                return True
        return False

    def decode(self, record):
        return json.loads(record.decode('utf-8'))

    def wait(self, kind, condition=None, what='', deadline=DEADLINE):
        """The first event of a type that `condition(payload)` is true for and that was not handed out before.

        Returns its payload (``event[kind.lower()]``; the event itself if it has none).
        """
        end = time.time() + deadline
        position = 0
        while True:
            while position < len(self.events):
                event = self.events[position]
                if position not in self.taken and event.get('type') == kind:
                    payload = event.get(kind.lower(), event)
                    if condition is None or condition(payload):
                        self.taken.add(position)
                        return payload
                position += 1
            try:
                is_open = self.read(end)
            except Timeout:
                raise Timeout('waited %d s for %s %s; there came: %s' % (deadline, kind, what, self.summary()))
            if not is_open:
                raise Ended('the stream ended before %s %s; there came: %s' % (kind, what, self.summary()))

    def wait_for_end(self):
        """Read to the end of the stream; returns all events."""
        end = time.time() + DEADLINE
        while self.read(end):
            pass
        return self.events

    def kinds(self):
        """The types of all events so far."""
        return [event.get('type') for event in self.events]

    def of(self, kind):
        """The payloads of all events of a type so far."""
        return [event.get(kind.lower(), event) for event in self.events if event.get('type') == kind]

    def summary(self):
        return '; '.join(re.sub(r'\s+', ' ', json.dumps(event))[:300] for event in self.events[-12:]) or 'nothing'


def new_uuid():
    """16 random bytes as the JSON of Mesos writes bytes."""
    return base64.b64encode(uuid.uuid4().bytes).decode('ascii')


def encode(text):
    """The base64 text of a text."""
    return base64.b64encode(text.encode('utf-8')).decode('ascii')


def decode(data):
    """The text of a base64 text."""
    return base64.b64decode(data).decode('utf-8')


def wait_until(question, what, deadline=DEADLINE):
    """Ask until the answer is true and return it. For what no event tells."""
    end = time.time() + deadline
    while True:
        answer = question()
        if answer:
            return answer
        if time.time() > end:
            raise Timeout('waited %d s for %s' % (deadline, what))
        time.sleep(0.02)

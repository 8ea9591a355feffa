"""An embedded server with a model that a test scripts, and a client that sends raw bytes and reads what comes."""
from __future__ import absolute_import, division, print_function

import re
import socket
import time

from pymesos.local.access import Access
from pymesos.local.model.effects import Reply
from pymesos.local.options import AgentOptions, MasterOptions
from pymesos.local.server import AgentServer, MasterServer
from pymesos.serving.loop import Loop

TIMEOUT = 30.0

_DATE = re.compile(br'\r\nDate: [A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT\r\n')


class FakeModel(object):
    """Answers what it is told to and remembers what it was asked."""

    def __init__(self):
        self.effects = []
        self.calls = []                 # (method, arguments)
        self.replies = {}               # call type or path -> Reply, or a function of the arguments
        self.closed = []

    def _answer(self, name, method, *args):
        self.calls.append((method, args))
        reply = self.replies.get(name, Reply(202))
        return reply(*args) if callable(reply) else reply

    def scheduler_call(self, call, principal, stream_id):
        return self._answer(call['type'], 'scheduler', call, principal, stream_id)

    def operator_call(self, call, principal):
        return self._answer(call['type'], 'operator', call, principal)

    def executor_call(self, call, claims):
        return self._answer(call['type'], 'executor', call, claims)

    def legacy(self, path, query, principal, method='GET', form=None):
        self.calls.append(('legacy', (path, query, principal, method, form)))
        return self.replies.get(path)

    def on_stream_closed(self, stream):
        self.closed.append(stream)

    def on_abandoned(self, key):
        self.closed.append(key)

    def attach_begin(self, call):
        return self._answer('attach_begin', 'attach_begin', call) if 'attach_begin' in self.replies else None

    def attach_data(self, key, process_io):
        self.calls.append(('attach_data', (key, process_io)))

    def attach_end(self, key):
        self.calls.append(('attach_end', (key,)))


class FakeFiles(object):
    """One folder with one file."""

    TEXT = b'this is stderr\n'

    def list(self, path):
        if path != '/logs':
            raise LookupError(path)
        return [{'path': '/logs/stderr', 'nlink': 1, 'size': 15, 'mtime': 1795329148.25, 'mode': 0o100644,
                 'uid': 'root', 'gid': 'root'}]

    def read(self, path, offset=0, length=None):
        if path == '/logs':
            raise ValueError('Cannot read a directory.')
        if path != '/logs/stderr':
            raise LookupError(path)
        return len(self.TEXT), self.TEXT[offset:][:length]

    def attachments(self):
        return {'/logs': '/var/log'}


class FakeNode(object):
    """What a server is given: a model, options, files, who leads."""

    def __init__(self, options):
        self.model = FakeModel()
        self.options = options
        self.files = FakeFiles()
        self.leading = 'self'
        self.settled = 0
        self.server = None

    def leader(self):
        return self.leading

    def settle(self):
        self.settled += 1


class Serving(object):
    """A server on a loop of its own; a context manager. `node` is its :class:`FakeNode`."""

    def __init__(self, kind='master', credentials=None, ssl_context=None, max_body=None, **options):
        self.access = Access(credentials, ssl_context, b'key')
        self.node = FakeNode(MasterOptions(**options) if kind == 'master' else AgentOptions(**options))
        self.model = self.node.model
        self._make = MasterServer if kind == 'master' else AgentServer
        self._more = {} if max_body is None else {'max_body': max_body}
        self.failures = []
        self.loop = Loop('test-local-server', failed=self.failures.append)

    def __enter__(self):
        self.loop.start()
        self.server = self.loop.carry_out(
            lambda: self._make(self.loop, self.node, '127.0.0.1', 0, self.access, **self._more))
        self.port = self.server.port
        return self

    def __exit__(self, *exc_info):
        self.loop.carry_out(self.server.stop)
        self.loop.stop()
        assert self.failures == []

    def do(self, function):
        """Call something on the server's thread."""
        return self.loop.carry_out(function)

    def ask(self, data):
        """Send a request, or several, and return all that comes before the answers are complete."""
        with Client(self.port) as client:
            client.send(data)
            return client.response()

    def client(self):
        """A :class:`Client` of it."""
        return Client(self.port)


class Client(object):
    """A raw connection."""

    def __init__(self, port, wrap=None):
        self.sock = socket.create_connection(('127.0.0.1', port), TIMEOUT)
        if wrap is not None:
            self.sock = wrap(self.sock)
        self._held = b''

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def _more(self):
        data = self.sock.recv(65536)
        self._held += data
        return bool(data)

    def until(self, mark):
        """Everything up to and with some bytes."""
        while mark not in self._held:
            assert self._more(), 'ended after %r, waiting for %r' % (self._held, mark)
        end = self._held.index(mark) + len(mark)
        found, self._held = self._held[:end], self._held[end:]
        return found

    def exactly(self, size):
        """So many bytes."""
        while len(self._held) < size:
            assert self._more(), 'ended after %r' % self._held
        found, self._held = self._held[:size], self._held[size:]
        return found

    def response(self):
        """One answer that has a Content-Length."""
        head = self.until(b'\r\n\r\n')
        length = re.search(br'\r\nContent-Length: ([0-9]+)\r\n', head)
        assert length, head
        return head + self.exactly(int(length.group(1)))

    def rest(self):
        """All that comes until the server closes."""
        while self._more():
            pass
        found, self._held = self._held, b''
        return found

    def is_closed(self, timeout=TIMEOUT):
        """Whether the server closes within some seconds, having sent nothing more."""
        self.sock.settimeout(timeout)
        try:
            return not self._held and self.sock.recv(1) == b''
        except socket.timeout:
            return False
        except socket.error:
            return True
        finally:
            self.sock.settimeout(TIMEOUT)


def undated(data):
    """An answer with the same Date as every other."""
    assert _DATE.search(data), data
    return _DATE.sub(b'\r\nDate: X\r\n', data)


def wait_for(condition, timeout=TIMEOUT):
    """Wait until something is true."""
    deadline = time.time() + timeout
    while not condition():
        assert time.time() < deadline, 'waited in vain'
        time.sleep(0.002)


def request(method, path, headers=(), body=b'', version='1.1'):
    """The bytes of a request."""
    lines = ['%s %s HTTP/%s' % (method, path, version), 'Host: localhost'] + ['%s: %s' % header for header in headers]
    if body or method == 'POST':
        lines.append('Content-Length: %d' % len(body))
    return '\r\n'.join(lines + ['', '']).encode('latin-1') + body


#: Headers of an ordinary call.
JSON = [('Content-Type', 'application/json'), ('Accept', 'application/json')]


def call(path, body, headers=()):
    """The bytes of a call; `body` is bytes."""
    return request('POST', path, JSON + list(headers), body)

"""A client of the v1 APIs made of the standard library alone, to test the scripted servers with."""
from __future__ import absolute_import, division, print_function

import json
import socket

from six.moves import http_client

JSON_HEADERS = {'Content-Type': 'application/json', 'Accept': 'application/json'}


class UnixConnection(http_client.HTTPConnection):
    """An HTTP connection to a domain socket."""

    def __init__(self, path, timeout=30):
        http_client.HTTPConnection.__init__(self, 'localhost', timeout=timeout)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(30)
        self.sock.connect(self._path)


class Client(object):
    """Two connections to a server, as a driver has them: one for the stream, one for calls."""

    PATH = '/api/v1/scheduler'

    def __init__(self, connect):
        self._connect = connect
        self._connections = []
        self.calls = self.connection()
        self.stream = None
        self.stream_id = None
        self.headers = dict(JSON_HEADERS)

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        for connection in self._connections:
            connection.close()

    def connection(self):
        connection = self._connect()
        self._connections.append(connection)
        return connection

    def subscribe(self, body=None, path=None):
        """Send a SUBSCRIBE on a connection of its own; the response."""
        if body is None:
            body = {'type': 'SUBSCRIBE', 'subscribe': {'framework_info': {'user': 'nobody', 'name': 'test'}}}
        connection = self.connection()
        connection.request('POST', path or self.PATH, json.dumps(body), self.headers)
        self.stream = connection.getresponse()
        self.stream_id = self.stream.getheader('Mesos-Stream-Id')
        return self.stream

    def call(self, body, path=None, **headers):
        """(status, text) of the answer to a call."""
        response = self.send(body, path, **headers)
        return response.status, response.read().decode('utf-8')

    def send(self, body, path=None, **headers):
        """The response to a call; `headers` with _ for -, None to leave one out."""
        sent = dict(self.headers)
        if self.stream_id is not None:
            sent['Mesos-Stream-Id'] = self.stream_id
        sent.update((name.replace('_', '-'), value) for name, value in headers.items())
        sent = dict((name, value) for name, value in sent.items() if value is not None)
        body = body if isinstance(body, bytes) else json.dumps(body).encode('ascii')
        self.calls.request('POST', path or self.PATH, body, sent)
        return self.calls.getresponse()

    def read_record(self):
        """The next record of the stream; None at its end."""
        length = b''
        while not length.endswith(b'\n'):
            byte = self.stream.read(1)
            if not byte:
                return None
            length += byte
        return self.stream.read(int(length))

    def read_event(self):
        """The next event of the stream (a dict); None at its end."""
        record = self.read_record()
        return None if record is None else json.loads(record.decode('utf-8'))


def to(server):
    """A client of a scripted server or a proxy on TCP."""
    return Client(lambda: http_client.HTTPConnection(server.netloc, timeout=30))

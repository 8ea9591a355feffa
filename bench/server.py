"""A server of prepared bytes that stands in for a master: it does so little that it is never what is slow.

Run as a process: ``server.py KIND EVENTS OFFERS`` prints its port and ends when its standard input does. For every
subscription in turn it

- answers ``GET /version`` and a SUBSCRIBE, which gets the event SUBSCRIBED at once;
- sends the load (see load.py) after ``GET /go``;
- answers every other call with 202, all that came in one read in one write;
- answers ``GET /calls/N`` as soon as N of these were answered since SUBSCRIBE.
"""
from __future__ import absolute_import, division, print_function

import re
import socket
import sys
import threading

import load

READ_BYTES = 256 * 1024

#: Seconds between heartbeats, as of a master; the idle driver gets them, too.
HEARTBEAT = 15.0

_HEARTBEAT_CHUNK = load.chunk(b'{"type":"HEARTBEAT"}')
_LENGTH = re.compile(br'\r\ncontent-length: *(\d+)', re.IGNORECASE)
_CALLS = re.compile(br'GET /calls/(\d+) ')


class Server(object):
    """`data` is sent `times` times over the stream of whoever subscribed last."""

    def __init__(self, data, times):
        self._data = data
        self._times = times
        self._calls = 0
        self._is_told_to_go = threading.Event()
        self._counted = threading.Condition()       # guards _calls
        self._listener = socket.socket()
        self._listener.bind(('127.0.0.1', 0))
        self._listener.listen(16)
        self.port = self._listener.getsockname()[1]

    def run(self):
        while True:
            connection, _ = self._listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(target=self._serve, args=(connection,))
            thread.daemon = True
            thread.start()

    def _serve(self, connection):
        held = b''
        try:
            while True:
                data = connection.recv(READ_BYTES)
                if not data:
                    return
                held = self._answer(connection, held + data)
        except EnvironmentError:        # whoever was measured has gone
            return
        finally:
            connection.close()

    def _answer(self, connection, data):
        """Answers what is complete in `data`; returns the rest."""
        position = calls = 0
        while True:
            head = data.find(b'\r\n\r\n', position)
            if head < 0:
                break
            length = _LENGTH.search(data, position, head)
            end = head + 4 + (int(length.group(1)) if length else 0)
            if end > len(data):
                break
            if data.startswith(b'GET ', position):
                self._answer_get(connection, data[position:head])
            elif data.find(b'"SUBSCRIBE"', head, end) >= 0:
                self._subscribe(connection)
            else:
                calls += 1
            position = end
        if calls:
            connection.sendall(load.ANSWER * calls)
            with self._counted:
                self._calls += calls
                self._counted.notify_all()
        return data[position:]

    def _answer_get(self, connection, head):
        wanted = _CALLS.match(head)
        if wanted:
            with self._counted:
                while self._calls < int(wanted.group(1)):
                    self._counted.wait(60)
        elif head.startswith(b'GET /go '):
            self._is_told_to_go.set()
        connection.sendall(load.VERSION)

    def _subscribe(self, connection):
        with self._counted:
            self._calls = 0
        self._is_told_to_go.clear()
        connection.sendall(load.STREAM_HEAD + load.SUBSCRIBED + _HEARTBEAT_CHUNK)
        while not self._is_told_to_go.wait(HEARTBEAT):
            connection.sendall(_HEARTBEAT_CHUNK)
        for _ in range(self._times):
            connection.sendall(self._data)


def main():
    kind, events, offers = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    server = Server(*load.stream(kind, events, offers))
    thread = threading.Thread(target=server.run)
    thread.daemon = True
    thread.start()
    print(server.port)
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == '__main__':
    main()

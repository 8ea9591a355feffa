"""An event stream of a scripted server, and what a test may send or do on it."""
from __future__ import absolute_import, division, print_function

import json

from .waiting import TIMEOUT, wait_until

__all__ = ['Stream', 'chunked', 'record']

#: Bytes queued on a stream that its peer does not read, above which a sender waits.
CEILING_BYTES = 64 * 1024 * 1024


def record(data):
    """`data` (bytes) as a RecordIO record (PROTOCOL 1.3)."""
    return str(len(data)).encode('ascii') + b'\n' + data


def chunked(data, size=None):
    """`data` in HTTP chunks of `size` bytes each (the last may be shorter); one chunk by default."""
    if not size:
        size = len(data)
    pieces = []
    for start in range(0, len(data), size or 1):
        piece = data[start:start + size]
        pieces += [('%x\r\n' % len(piece)).encode('ascii'), piece, b'\r\n']
    return b''.join(pieces)


class Stream(object):
    """One subscription: the endless answer to a SUBSCRIBE.

    `call` is the :class:`Recorded` SUBSCRIBE, `framework_id` the framework's id (text), `stream_id` the value of
    Mesos-Stream-Id (None on an agent). All methods are for any thread. What is sent leaves in order; to send on a
    stream that is closed does nothing and returns False. A send waits, up to 30 s, while the peer has left more than
    64 MiB unread.
    """

    def __init__(self, server, connection, call, framework_id, stream_id=None):
        self.call = call
        self.framework_id = framework_id
        self.stream_id = stream_id
        self._server = server
        self._connection = connection
        self._is_ended = False

    def __repr__(self):
        return '<Stream of framework %s on connection %d, %s>' % (
            self.framework_id, self._connection.number, 'open' if self.is_open else 'closed')

    @property
    def is_open(self):
        """Whether neither side has ended it."""
        return self._connection.is_open and not self._is_ended

    def send_event(self, event, chunk_size=None):
        """Send a dict as an event: JSON in a record."""
        return self.send_record(json.dumps(event, separators=(',', ':')).encode('utf-8'), chunk_size)

    def send_record(self, data, chunk_size=None):
        """Send bytes as a record, whatever they are."""
        return self.send_raw(record(data), chunk_size)

    def send_raw(self, data, chunk_size=None):
        """Send bytes of the body as they are: half a record, garbage, many records at once.

        They travel in one HTTP chunk, or in chunks of `chunk_size` bytes.
        """
        return self.send_wire(chunked(data, chunk_size))

    def send_wire(self, data):
        """Send bytes without a chunk's frame, for instance a frame that is broken."""
        if self._is_ended:
            return False
        if self._connection.unsent > CEILING_BYTES and not self._server.loop.is_own_thread():
            wait_until(lambda: self._connection.unsent <= CEILING_BYTES or not self.is_open,
                       message='the peer to read what was sent')
        return self._connection.write(data)

    def flush(self, timeout=TIMEOUT):
        """Wait until the kernel has taken all that was sent; AssertionError after `timeout` seconds."""
        wait_until(lambda: not self._connection.unsent or not self._connection.is_open, timeout,
                   lambda: '%d bytes to leave' % self._connection.unsent)

    def end(self):
        """End the body with the zero-length chunk, as Mesos does after an ERROR. The connection stays."""
        if self.is_open:
            self._server.loop.carry_out(self._finish)

    def cut(self):
        """Cut the connection with RST, after what was sent and the kernel takes."""
        self._server.loop.carry_out(self._connection.reset)

    def close(self):
        """Close the connection with FIN in the midst of the body, as a killed process does."""
        self._server.loop.carry_out(self._close)

    def half_close(self):
        """Send FIN and keep reading: the peer may still send."""
        self._server.loop.carry_out(lambda: self._connection.end('half'))

    def await_closed(self, timeout=TIMEOUT):
        """Wait until the connection is gone, by whoever's doing; AssertionError after `timeout` seconds."""
        wait_until(lambda: not self._connection.is_open, timeout, '%r to be closed' % self)

    def _finish(self):
        self._is_ended = True
        self._connection.finish_stream()

    def _close(self):
        self._is_ended = True
        self._connection.end('close')

"""One subscription's connection: bytes in, batches of events out."""
from __future__ import absolute_import, division, print_function

import logging

from .._compat import monotonic, socket_errors
from ..errors import ConnectionLost, HttpError, ProtocolError, TimedOut
from ..wire import httpmsg, messages, recordio
from .loop import READ, WRITE
from .sockets import close_socket, read_some, send_some

__all__ = ['Stream']

#: An unfinished record counts as a sign of life only if at least this many bytes of it came during the allowed
#: silence (about 0.9 KB/s with Mesos' 75 seconds): a dripping peer is as good as a dead one.
LEAST_PROGRESS = 64 * 1024

#: How much of the text of a refusal is kept.
LONGEST_REFUSAL = 4096

#: How often the socket is read in one turn of the loop, as long as every read fills the buffer. What they bring goes to
#: the callbacks at once: to wake their thread and to take turns with it is dearer than to read.
MOST_READS = 4

#: Seconds that a rest lasts at most. Nobody notices: what is read during it only waits, and it is little beside the
#: silence and the grace period that are counted from what is read.
REST = 0.05

logger = logging.getLogger(__name__)


def _raise_if(error):
    """Raise what a parser found behind the good part that it gave out first."""
    if error is not None:
        raise error


class Stream(object):
    """Sends a request on a connected socket and reads the stream of records that answers it.

    `listener` is told, on the loop's thread: ``stream_answered(head)`` once; ``stream_records(records)`` with a list of
    bytes, which returns whether reading may go on; ``stream_refused(head, text)`` instead of events
    if the status is not 200; ``stream_ended(error)`` once at the end, however it came; the socket is closed by then.
    """

    def __init__(self, loop, sock, address, listener, max_record):
        self._loop = loop
        self._sock = sock
        self._address = address
        self._listener = listener
        self._parser = httpmsg.ResponseParser()
        logger.debug('reading the stream of %s with %s and %s', address, self._parser.backend, messages.PARSERS[0])
        self._decoder = recordio.Decoder(max_record)
        self._head = None
        self._refusal = []
        self._records = []              # read and not handed over yet
        self._preamble = None
        self._out = b''
        self._is_reading = True
        self._is_closed = False
        self._silence = None
        self._silence_timer = None
        self._rest_timer = None
        self._last_record = monotonic()
        self._progress = 0

    def ask(self, request, answered):
        """Send a request before the subscription; `answered(head, body)` is called with its answer."""
        self._preamble = (answered, [])
        self._write(request)

    def subscribe(self, request):
        """Send the request that the stream answers."""
        self._preamble = None
        self._head = None
        self._write(request)

    def watch_silence(self, seconds):
        """From now on a stream without a finished record for `seconds` has ended."""
        self._silence = seconds
        self._last_record = monotonic()
        self._progress = 0
        self._check_silence()

    def pause(self):
        """Read nothing more until :meth:`resume`: nobody can take it. That is not the peer's silence."""
        self._is_reading = False
        self._watch()

    def rest(self):
        """Read nothing more until :meth:`resume`, for :data:`REST` seconds at most: then many records come at once."""
        if not self._is_closed:
            self.pause()
            self._rest_timer = self._loop.call_later(REST, self.resume)

    def resume(self):
        """Read on."""
        if self._is_closed or self._is_reading:
            return
        self._is_reading = True
        if self._rest_timer is not None:
            self._rest_timer.cancel()
            self._rest_timer = None
        self._last_record = monotonic()
        self._watch()
        self._loop.post(self._read_if_open)     # TLS may hold bytes that no selector sees

    def close(self):
        """Close the socket and say nothing more."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._silence_timer is not None:
            self._silence_timer.cancel()
        if self._rest_timer is not None:
            self._rest_timer.cancel()
        self._loop.unwatch(self._sock)
        close_socket(self._sock)

    # ---- the socket

    def _write(self, data):
        self._out += data
        self._flush()

    def _flush(self):
        try:
            self._out = send_some(self._sock, self._out)
        except socket_errors as error:
            self._end(ConnectionLost('lost the connection to %s while subscribing: %s' % (self._address, error),
                                     str(self._address), error.errno))
            return
        self._watch()

    def _watch(self):
        if self._is_closed:
            return
        events = (READ if self._is_reading else 0) | (WRITE if self._out else 0)
        if events:
            self._loop.watch(self._sock, events, self._ready)
        else:
            self._loop.unwatch(self._sock)

    def _ready(self, ready):
        if ready & WRITE and self._out:
            self._flush()
        if ready & READ:
            self._read_if_open()

    def _read_if_open(self):
        for _ in range(MOST_READS):
            if self._is_closed or not self._is_reading or not self._read():
                break
        self._hand_over()
        if not self._is_closed and getattr(self._sock, 'pending', None) is not None and self._sock.pending():
            self._loop.post(self._read_if_open)

    def _read(self):
        """Read once; whether there is likely to be more."""
        try:
            data = read_some(self._sock, self._loop.read_buffer)
        except socket_errors as error:
            self._end(ConnectionLost('lost the connection to %s: %s' % (self._address, error),
                                     str(self._address), error.errno))
            return False
        if data:
            self._take(data)
        elif data is not None:
            self._take_end()
        return bool(data) and len(data) == len(self._loop.read_buffer)

    def _hand_over(self):
        """Give out the records that were read."""
        if self._is_closed or not self._records:
            return
        records, self._records = self._records, []
        try:
            has_room = self._listener.stream_records(records)
        except ProtocolError as error:
            self._end(error)
            return
        if not has_room and not self._is_closed:
            self.pause()

    # ---- what the bytes mean

    def _take(self, data):
        try:
            parts = self._parser.feed(data)
            for part in parts:
                self._take_part(part)
                if self._is_closed:
                    return
            _raise_if(self._parser.error)
        except ProtocolError as error:
            self._end(error)

    def _take_part(self, part):
        if self._preamble is not None:
            self._take_preamble(part)
        elif isinstance(part, httpmsg.Head):
            self._take_head(part)
        elif isinstance(part, httpmsg.End):
            self._finish_message()
        elif self._head.status == 200:
            self._take_records(part.data)
        elif sum(map(len, self._refusal)) < LONGEST_REFUSAL:
            self._refusal.append(part.data)

    def _take_preamble(self, part):
        answered, parts = self._preamble
        if not isinstance(part, httpmsg.End):
            if sum(len(getattr(one, 'data', b'')) for one in parts) < LONGEST_REFUSAL:
                parts.append(part)
            return
        body = b''.join(one.data for one in parts if isinstance(one, httpmsg.Body))
        self._preamble = None
        answered(parts[0], body)

    def _take_head(self, head):
        if self._head is not None:
            raise HttpError('%s sent a second answer to one SUBSCRIBE' % self._address)
        self._head = head
        self._listener.stream_answered(head)

    def _take_records(self, data):
        records = self._decoder.feed(data)
        self._progress += len(data)
        if records:
            self._last_record = monotonic()
            self._progress = 0
            self._records += records
        _raise_if(self._decoder.error)

    def _finish_message(self):
        if self._head.status == 200:
            self._take_end()
        else:
            text = b''.join(self._refusal)[:LONGEST_REFUSAL].decode('utf-8', 'replace')
            self._listener.stream_refused(self._head, text)

    def _take_end(self):
        try:
            if self._head is None or self._head.status != 200:
                for part in self._parser.close():
                    self._take_part(part)
            self._decoder.close()
        except ProtocolError as error:
            self._end(error)
            return
        if not self._is_closed:
            self._end(ConnectionLost('%s closed the connection' % self._address, str(self._address)))

    def _end(self, error):
        self._hand_over()               # what came before the end is good
        if not self._is_closed:
            self.close()
            self._listener.stream_ended(error)

    # ---- silence

    def _check_silence(self):
        if self._quiet() >= self._silence:
            # This thread may have been kept from running for as long; what came meanwhile waits in the socket.
            self._read_if_open()
            if self._is_closed:
                return
        quiet = self._quiet()
        if quiet >= self._silence and self._decoder.is_partial and self._progress >= LEAST_PROGRESS:
            self._last_record, self._progress, quiet = monotonic(), 0, 0.0
        if quiet < self._silence:
            self._silence_timer = self._loop.call_later(self._silence - quiet, self._check_silence)
            return
        self._end(TimedOut('heard nothing from %s for %.3g seconds, allowed are %.3g'
                           % (self._address, quiet, self._silence), str(self._address)))

    def _quiet(self):
        return monotonic() - self._last_record if self._is_reading else 0.0

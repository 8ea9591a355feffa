"""One subscription's connection: bytes in, batches of events out."""
from __future__ import absolute_import, division, print_function

import logging
import threading

from .._compat import monotonic, socket_errors
from ..errors import ConnectionLost, HttpError, ProtocolError, TimedOut
from ..wire import httpmsg, messages, recordio
from .loop import READ, WRITE
from .sockets import Waiter, close_socket, hang_up, read_some, send_some, stop_reading

__all__ = ['Stream']

#: An unfinished record counts as a sign of life only if at least this many bytes of it came during the allowed
#: silence (about 0.9 KB/s with Mesos' 75 seconds): a dripping peer is as good as a dead one.
LEAST_PROGRESS = 64 * 1024

#: How much of the text of a refusal is kept.
LONGEST_REFUSAL = 4096

#: How often the socket is read in one turn of the loop, as long as every read fills the buffer. What they bring goes to
#: the callbacks at once: to wake their thread and to take turns with it is dearer than to read.
MOST_READS = 4

#: How many bytes are read at most before it is given up. What has come is the last that is heard of it, and an executor
#: that did not read of a task is one that lost it.
LAST_BYTES = 8 * 1024 * 1024

#: Records that come within so many seconds of each other are left to the thread of the callbacks. It gives the socket
#: back when nothing comes for as long, and the loop takes it when nobody has read for as long. What waits meanwhile
#: waits little beside the silence and the grace period that are counted from what is read.
LENT = 0.2

#: How much that thread reads at once. If there is as much the loop had better read on.
LENT_BYTES = 64 * 1024

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

    All methods but :meth:`read_lent` are for the loop's thread. Another may read while the socket is lent: it takes
    what is nothing but records, and leaves the rest to the loop.
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
        self._reason = None             # why it is given up
        self._records = []              # read and not handed over yet
        self._preamble = None
        self._out = b''
        self._is_reading = True
        self._is_closed = False
        self._silence = None
        self._silence_timer = None
        self._lent_timer = None
        self._waiter = None
        self._handed_over = 0.0         # when that was, last
        self._comes_fast = False
        self._is_flooded = False        # there is more to be read than one reads at once
        # Guards what follows, and _is_closed becoming true. While there is a reader all that reading changes is his,
        # and the loop neither reads nor closes the socket.
        self._lock = threading.Lock()
        self._is_lent = False
        self._has_reader = False
        self._left = None               # what the reader could not make sense of: bytes or an error, and its parts
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

    def resume(self):
        """Read on."""
        if self._is_closed or self._is_reading:
            return
        with self._lock:
            if self._has_reader:
                return
            self._is_lent = False
        self._is_reading = True
        if self._lent_timer is not None:
            self._lent_timer.cancel()
            self._lent_timer = None
        self._last_record = monotonic()
        self._watch()
        self._loop.post(self._read_if_open)     # TLS may hold bytes that no selector sees

    def close(self):
        """Close the socket and say nothing more."""
        if self._is_closed:
            return
        self._loop.unwatch(self._sock)
        for timer in (self._silence_timer, self._lent_timer):
            if timer is not None:
                timer.cancel()
        with self._lock:
            self._is_closed = True
            self._is_lent = False
            if self._has_reader:
                # Its thread wakes up and closes it: until then the number must not serve another file.
                hang_up(self._sock)
            else:
                close_socket(self._sock)

    def abandon(self, error):
        """Give out what has come and end with `error`. If another thread reads it is told to come back and the answer
        is False: then try again.
        """
        if self._is_closed:
            return True
        self._reason = error
        with self._lock:
            if self._has_reader:
                stop_reading(self._sock)
                return False
            self._is_lent = False
        self._is_reading = True         # even if there was no room for more
        left = LAST_BYTES
        while left > 0 and not self._is_closed:
            size = self._read()
            if not size:
                break
            left -= size
        if not self._is_closed:
            self._end(error)
        return True

    # ---- reading on another thread

    def lend(self, may_fetch):
        """Leave the reading to :meth:`read_lent`, if records come fast and `may_fetch()` promises that it is called."""
        may_lend = self._is_reading and self._comes_fast and not self._is_flooded
        may_lend = may_lend and not self._out and self._reason is None
        if self._is_closed or not may_lend or getattr(self._sock, 'pending', None) is not None:     # TLS is for one
            return
        self._waiter = self._waiter or Waiter(self._sock, LENT_BYTES)
        with self._lock:
            self._is_lent = True        # before it is promised: the promise may be kept at once
        if not may_fetch():
            with self._lock:
                is_over, self._is_lent = not self._is_lent, self._has_reader
            if is_over:                 # an older promise was kept, and left something that is for the loop
                self._loop.post(self._read_if_open)
            if not self._is_lent:
                return
        self.pause()
        self._lent_timer = self._loop.call_later(LENT, self._look_after)

    def _look_after(self):
        """Read on, unless somebody does."""
        self._lent_timer = None
        with self._lock:
            is_lent, is_read = self._is_lent, self._has_reader
            self._is_lent = is_read     # whoever comes now comes too late
        if is_read:
            self._lent_timer = self._loop.call_later(LENT, self._look_after)
        elif is_lent:
            self.resume()

    def read_lent(self, decode, deliver):
        """Read what comes while the socket is lent, on the calling thread; whether it gave out anything.

        `decode(records)` makes of bytes what `deliver` is given, or None if that is for the loop; `deliver(batch)`
        returns whether there is room for more, and is called with a lock held.
        """
        with self._lock:
            if not self._is_lent:
                return False
            self._has_reader = True
        try:
            batch = decode(self._records) if self._read_records() else None
        except BaseException as error:
            self._left = error, []
            self._return(None, deliver)
            raise
        return self._return(batch, deliver)

    def _read_records(self):
        """Read until there are records, and nothing but whole ones; False if the loop has to go on, for any reason."""
        deadline = monotonic() + LENT       # a peer that drips is the loop's affair
        while not self._records:
            patience = deadline - monotonic()
            if patience <= 0:
                return False
            try:
                data = self._waiter.read(patience)
            except socket_errors as error:
                self._left = error, []
                return False
            if data is None:
                return False
            parts = self._parse(data)
            while parts and isinstance(parts[0], httpmsg.Body) and self._decoder.error is None:
                self._decode(parts.pop(0).data)
            if (parts or not data or self._parser.error is not None or self._decoder.error is not None
                    or len(data) == LENT_BYTES):
                self._left = data, parts
                return False
        return True

    def _return(self, batch, deliver):
        """Give out a batch, or have the loop read on if it is None."""
        with self._lock:
            self._has_reader = False
            if self._is_closed:
                close_socket(self._sock)        # the loop has left that to us
                self._left = None
                return False
            if batch is None:
                self._is_lent = False
                self._loop.post(self.resume)
                return False
            self._records = []
            self._handed_over = monotonic()
            self._is_lent = deliver(batch)      # if there is no room it pauses, and is resumed when there is
            return True

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
        if self._is_closed or not self._is_reading:
            return
        for _ in range(MOST_READS):
            self._is_flooded = self._read() >= len(self._loop.read_buffer)
            if self._is_closed or not self._is_flooded:
                break
        self._hand_over()
        if not self._is_closed and getattr(self._sock, 'pending', None) is not None and self._sock.pending():
            self._loop.post(self._read_if_open)

    def _read(self):
        """Read once; how many bytes that were. As many as the buffer holds: there is likely to be more."""
        if self._left is not None:
            (data, parts), self._left = self._left, None
        else:
            try:
                data = read_some(self._sock, self._loop.read_buffer)
            except socket_errors as error:
                data = error
            parts = self._parse(data)
        if isinstance(data, BaseException):
            self._end(ConnectionLost('lost the connection to %s: %s' % (self._address, data),
                                     str(self._address), getattr(data, 'errno', None)))
            return 0
        if data:
            self._take(parts)
        elif data is not None:
            self._take_end()
        return len(data or b'')

    def _hand_over(self):
        """Give out the records that were read."""
        if self._is_closed or not self._records:
            return
        records, self._records = self._records, []
        now = monotonic()
        self._comes_fast, self._handed_over = now - self._handed_over < LENT, now
        try:
            has_room = self._listener.stream_records(records)
        except ProtocolError as error:
            self._end(error)
            return
        if not has_room and not self._is_closed:
            self.pause()

    # ---- what the bytes mean

    def _parse(self, data):
        """What bytes hold for HTTP; an error is left in the parser."""
        try:
            return self._parser.feed(data) if isinstance(data, bytes) and data else []
        except ProtocolError:
            return []

    def _take(self, parts):
        try:
            _raise_if(self._decoder.error)
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
            self._decode(part.data)
            _raise_if(self._decoder.error)
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

    def _decode(self, data):
        """Add to the records; an error is left in the decoder."""
        try:
            records = self._decoder.feed(data)
        except ProtocolError:
            return
        self._progress += len(data)
        if records:
            self._last_record = monotonic()
            self._progress = 0
            self._records += records

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
            self._listener.stream_ended(self._reason or error)

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

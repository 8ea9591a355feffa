"""Blocking calls to a master or an agent over HTTP, for the operator's drivers."""
from __future__ import absolute_import, division, print_function

import errno
import logging
import os
import socket
import ssl
import threading
import zlib
from collections import deque, namedtuple
from contextlib import contextmanager

import six

from ._compat import monotonic, select_from, selectors, socket_errors
from .errors import ConnectionLost, HttpError, InvalidAddress, MesosError, TimedOut
from .transport.channel import MOST_HOPS
from .transport.dial import Dial
from .transport.loop import READ_BYTES, Loop
from .transport.sockets import close_socket, read_some
from .transport.tls import make_context
from .utils import redirected_address
from .wire import httpmsg, messages, recordio

__all__ = ['Client', 'Records', 'Reply', 'Request']

#: The most bytes of an answer that are taken, compressed or not. A GET_STATE of thousands of agents has some tens of
#: megabytes.
MAX_ANSWER = 256 * 1024 * 1024

#: How much of the text of a refusal is kept, in bytes; the rest is read, and dropped.
MAX_REFUSAL = 64 * 1024

#: An answer under way is alive if at least this many bytes of it come within the allowed silence: a peer that drips
#: a byte a second is as good as a dead one.
LEAST_PROGRESS = 1024

#: Connections that are kept open for the next calls; more are opened while calls run at the same time.
MAX_IDLE = 4

#: Bytes asked of a socket, or given to it, at once.
PIECE = 256 * 1024

#: Statuses that move a call to another address.
REDIRECTS = (307, 308)

#: A record stream of an agent carries a heartbeat every --http_heartbeat_interval seconds, 30 by default
#: (PROTOCOL 4.4), and is given up after this many have not come.
HEARTBEAT, MISSED_HEARTBEATS = 30.0, 5

_BLOCKED = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR)
_NO_CONTENT = b'Content-Length: 0\r\n\r\n'

# poll() has no limit to the number of a descriptor, as select() has, and needs none of its own, as epoll does.
_Selector = getattr(selectors, 'PollSelector', selectors.DefaultSelector)

logger = logging.getLogger(__name__)


class Request(namedtuple('Request', ['kind', 'method', 'path', 'headers', 'body', 'silence', 'is_repeatable'])):
    """A call.

    `kind` is its type (text) for errors; `headers` pairs of text without Host and Content-Length; `body` bytes, or an
    iterator of bytes that is sent in chunks as it yields them; `silence` how many seconds the answer may take, None for
    any time; `is_repeatable` whether it may be sent again when a kept connection broke before its answer.
    """

    __slots__ = ()

    @property
    def is_streamed(self):
        """Whether the body is an iterator."""
        return not isinstance(self.body, bytes)


class Client(object):
    """Sends calls to whatever address it is told, over connections that it keeps open.

    `timeout` is the seconds that a connection may take, and each step of sending; `tls` see
    :func:`pymesos.transport.tls.make_context`. Any thread may call, and several at once: each then has a connection of
    its own. No lock is taken, so a signal handler may close it. A child of fork() makes connections of its own.
    """

    def __init__(self, timeout, tls=None):
        self.timeout = timeout
        self._tls_context = make_context(tls) if tls is not None else None
        self._pid = os.getpid()
        self._idle = deque()

    def __del__(self):
        if hasattr(self, '_idle'):
            self.close()

    def close(self):
        """Close the connections that no call uses; the next call opens one."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return
            connection.release(is_shared=self._pid != os.getpid())

    def open(self, address):
        """A new connection to `address`. ConnectionFailed or TimedOut."""
        if address.is_tls and self._tls_context is None:
            self._tls_context = make_context()
        return Connection(address, self.timeout, self._tls_context)

    def connect(self, address):
        """A connection to `address`, kept or new. ConnectionFailed or TimedOut."""
        return self._take_idle(address) or self.open(address)

    def call(self, connection, request):
        """Send `request` over `connection`, and after it where it is redirected to: (address, :class:`Reply`).

        The reply's status may be any. Raises ConnectionFailed, ConnectionLost, TimedOut, HttpError.
        """
        hops = 0
        while True:
            connection, reply = self._ask(connection, request)
            if reply.status not in REDIRECTS or request.is_streamed or hops == MOST_HOPS:
                return connection.address, reply
            hops += 1
            connection = self.connect(_next_address(reply, connection.address))

    def open_records(self, connection, request):
        """As :meth:`call`, but instead of a reply with the status 200 there are :class:`Records`.

        They keep the connection.
        """
        hops = 0
        while True:
            with _closing_on_error(connection):
                connection.send_request(request, self.timeout)
                head = connection.read_head(Silence(request.silence))
                if head.status == 200:
                    return connection.address, Records(connection)
                reply = connection.read_reply(head, Silence(self.timeout))
            self._keep(connection)
            if reply.status not in REDIRECTS or hops == MOST_HOPS:
                return connection.address, reply
            hops += 1
            connection = self.open(_next_address(reply, connection.address))

    def _ask(self, connection, request):
        """(the connection used, the reply); the connection is kept if it can be."""
        try:
            with _closing_on_error(connection):
                reply = connection.exchange(request, self.timeout)
        except ConnectionLost:
            if not (connection.is_reused and not connection.has_heard and request.is_repeatable):
                raise
            # The peer closed the kept connection at the moment of the call.
            connection = self.open(connection.address)
            with _closing_on_error(connection):
                reply = connection.exchange(request, self.timeout)
        self._keep(connection)
        return connection, reply

    def _keep(self, connection):
        if connection.may_be_reused and len(self._idle) < MAX_IDLE:
            self._idle.append(connection)
        else:
            connection.release()

    def _take_idle(self, address):
        if self._pid != os.getpid():            # forked: the connections belong to the parent
            self.close()
            self._pid = os.getpid()
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            if connection.address == address and connection.is_quiet():
                connection.begin_again()
                return connection
            connection.release()


def _next_address(reply, current):
    location = reply.headers.get('location', '')
    try:
        address = redirected_address(location, current)
    except InvalidAddress as error:
        raise HttpError('%s redirects to a place that cannot be used: %s' % (current, error))
    logger.info('%s points to %s', current, address)
    return address


@contextmanager
def _closing_on_error(connection):
    """Nothing can be read any more from a connection on which an answer was not read to its end."""
    try:
        yield
    except BaseException:
        connection.release()
        raise


class Reply(namedtuple('Reply', ['status', 'headers', 'body'])):
    """A complete answer: `headers` are lower-case name -> text, `body` bytes, not compressed any more."""

    __slots__ = ()


class Silence(object):
    """How long a peer may say nothing: `seconds`, None for any time."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.restart()

    def restart(self):
        """There was a sign of life."""
        self._since = monotonic()
        self._progress = 0

    def heard(self, size):
        """`size` bytes came."""
        self._progress += size
        if self._progress >= LEAST_PROGRESS:
            self.restart()

    def left(self):
        """Seconds until it has lasted too long, None for any time."""
        return None if self.seconds is None else self._since + self.seconds - monotonic()


class Connection(object):
    """An open connection, for one thread at a time."""

    def __init__(self, address, timeout, tls_context):
        self.address = address
        self.is_reused = False
        self.has_heard = False          # whether bytes of the answer to the last request came
        self.may_be_reused = False      # whether the last answer ended where the next may begin
        self._parser = httpmsg.ResponseParser()
        self._parts = deque()
        self._is_at_end = False
        self._sock = _dial(address, timeout, tls_context)
        self._selector = _Selector()
        self._key = self._selector.register(self._sock.fileno(), selectors.EVENT_READ)

    def release(self, is_shared=False):
        """Close it; twice is fine. `is_shared`: only in this process, a parent goes on to use it."""
        if is_shared:
            self._sock.close()
        else:
            close_socket(self._sock)

    def interrupt(self):
        """End whatever another thread does with it; that thread is still to release it."""
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except socket_errors as error:
            logger.debug('%s was gone before: %s', self.address, error)

    def begin_again(self):
        """Get ready for the next request."""
        self.is_reused = True
        self.has_heard = self.may_be_reused = False

    def exchange(self, request, timeout):
        """Send `request` and return its :class:`Reply`."""
        self.send_request(request, timeout)
        silence = Silence(request.silence)
        return self.read_reply(self.read_head(silence), silence)

    # ---- out

    def send_request(self, request, timeout):
        """Send head and body. An answer that comes before all was sent ends the sending."""
        headers = [('Host', self.address.netloc)] + list(request.headers)
        if request.is_streamed:
            self._send_chunked(request, headers, timeout)
        else:
            self._send(httpmsg.request(request.method, request.path, headers, request.body), timeout)

    def _send_chunked(self, request, headers, timeout):
        head = httpmsg.request(request.method, request.path, headers + [('Transfer-Encoding', 'chunked')])
        self._send(head[:-len(_NO_CONTENT)] + b'\r\n', timeout)
        for piece in request.body:
            if not self.is_quiet():
                return
            self._send(('%x\r\n' % len(piece)).encode('ascii') + piece + b'\r\n', timeout)
        self._send(b'0\r\n\r\n', timeout)

    def _send(self, data, timeout):
        silence = Silence(timeout)
        position = 0
        while position < len(data):
            event = selectors.EVENT_WRITE
            try:
                position += self._sock.send(data[position:position + PIECE])
                silence.restart()
                continue
            except ssl.SSLWantReadError:
                event = selectors.EVENT_READ
            except ssl.SSLWantWriteError:
                event = selectors.EVENT_WRITE
            except socket_errors as error:
                if error.errno not in _BLOCKED:
                    raise self._lost(error, error.errno)
            self._wait(event, silence, 'taken what was sent to it')

    # ---- in

    def is_quiet(self):
        """Whether nothing has come that is not read yet: no bytes, and no end."""
        if self._parts or self._parser.error is not None:
            return False
        try:
            data = self._read_now()
            if data is None:
                return True
            self._take(data)
        except (ConnectionLost, HttpError) as error:        # whoever reads gets it again
            logger.debug('%s', error)
        return False

    def read_head(self, silence):
        """The :class:`pymesos.wire.httpmsg.Head` of the answer."""
        return self.next_part(silence)

    def read_reply(self, head, silence):
        """The :class:`Reply` that `head` begins."""
        body = self._read_body(silence, MAX_ANSWER if head.status < 300 else MAX_REFUSAL)
        self.may_be_reused = not (self._parts or self._parser.error is not None or self._is_at_end or _is_last(head))
        if head.headers.get('content-encoding', '').lower() in ('gzip', 'x-gzip'):
            body = _inflate(body, self.address)
        return Reply(head.status, head.headers, body)

    def _read_body(self, silence, kept):
        pieces = []
        size = 0
        while True:
            part = self.next_part(silence)
            if isinstance(part, httpmsg.End):
                return b''.join(pieces)[:kept]
            if size < kept:
                pieces.append(part.data)
            size += len(part.data)
            if size > MAX_ANSWER:
                raise _too_long(self.address, MAX_ANSWER)

    def next_part(self, silence):
        """The next Head, Body or End of the answer."""
        while not self._parts:
            if self._parser.error is not None:
                raise self._parser.error
            data = self._read_now()
            if data is None:
                self._wait(selectors.EVENT_READ, silence, 'answered')
            else:
                silence.heard(len(data))
                self._take(data)
        return self._parts.popleft()

    def _take(self, data):
        if data:
            self.has_heard = True
            self._parts.extend(self._parser.feed(data))
            return
        self._is_at_end = True
        try:
            parts = self._parser.close()
        except HttpError as error:
            logger.debug('%s', error)
            parts = []
        if not parts:
            raise self._lost('it was closed %s' % (
                'in the middle of an answer' if self.has_heard else 'before an answer came'), None)
        self._parts.extend(parts)

    # ---- the socket

    def _read_now(self):
        try:
            return read_some(self._sock, memoryview(bytearray(READ_BYTES)))
        except socket_errors as error:
            raise self._lost(error, error.errno)

    def _lost(self, why, number):
        return ConnectionLost('lost the connection to %s: %s' % (self.address, why), str(self.address), number)

    def _wait(self, event, silence, what):
        if event != self._key.events:
            self._key = self._selector.modify(self._key.fd, event)
        left = silence.left()
        if left is not None and left <= 0:
            raise TimedOut('%s has not %s within %g seconds' % (self.address, what, silence.seconds),
                           str(self.address), errno.ETIMEDOUT)
        select_from(self._selector, left)


def _dial(address, timeout, tls_context):
    """A connected socket that does not block. ConnectionFailed or TimedOut."""
    loop = Loop()
    outcome = []

    def end(sock=None, error=None):
        outcome.extend([sock, error])
        loop.close()

    dial = Dial(loop, address, timeout, end, lambda error: end(error=error), tls_context)
    try:
        loop.run()
    except BaseException:               # KeyboardInterrupt
        dial.cancel()
        raise
    sock, error = outcome
    if error is not None:
        raise error
    return sock


def _is_last(head):
    return 'close' in [option.strip() for option in head.headers.get('connection', '').lower().split(',')]


def _too_long(address, limit):
    return HttpError('%s sends more than the %d bytes of an answer that are allowed' % (address, limit))


def _inflate(data, address):
    decoder = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        body = decoder.decompress(data, MAX_ANSWER)
    except zlib.error as error:
        raise HttpError('%s sent a body that is not gzip: %s' % (address, error))
    if decoder.unconsumed_tail:
        raise _too_long(address, MAX_ANSWER)
    return body


class Records(six.Iterator):
    """The messages (dicts) of a streamed answer, as they come; for one thread at a time.

    Iterating blocks until a message is there. It ends when the peer has ended the stream, or after :meth:`close`; it
    raises ConnectionLost if the connection broke, TimedOut after five heartbeats did not come, and ProtocolError for
    what is not a stream of messages. A context manager that closes at its end.
    """

    def __init__(self, connection):
        self._connection = connection
        self._decoder = recordio.Decoder()
        self._silence = Silence(MISSED_HEARTBEATS * HEARTBEAT)
        self._records = deque()
        # Guards the two flags. Reentrant: a signal handler may close what the main thread is reading.
        self._lock = threading.RLock()
        self._is_closed = False
        self._is_reading = False

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.close()

    def __iter__(self):
        return self

    def __next__(self):
        with self._lock:
            if self._is_closed:
                raise StopIteration
            self._is_reading = True
        message = None
        try:
            message = self._next_message()
        except MesosError:
            if not self._is_closed:
                raise
        finally:
            with self._lock:
                self._is_reading = False
                self._is_closed = self._is_closed or message is None
                if self._is_closed:
                    self._connection.release()
        if message is None:
            raise StopIteration
        return message

    def close(self):
        """Close the connection, from any thread; a thread that waits for the next message gets none. Twice is fine."""
        with self._lock:
            self._is_closed = True
            if self._is_reading:
                self._connection.interrupt()
            else:
                self._connection.release()

    def _next_message(self):
        """The next message, None at the end."""
        while not self._records:
            if self._decoder.error is not None:
                raise self._decoder.error
            part = self._connection.next_part(self._silence)
            if isinstance(part, httpmsg.End):
                self._decoder.close()
                return None
            self._records.extend(self._decoder.feed(part.data))
        self._silence.restart()
        message = messages.loads(self._records.popleft())
        self._heed_heartbeat(message)
        return message

    def _heed_heartbeat(self, message):
        """The interval that a heartbeat announces rules how long silence may last."""
        try:
            interval = message['control']['heartbeat']['interval']['nanoseconds'] / 1e9
        except (KeyError, TypeError):
            return
        if interval > 0:
            self._silence.seconds = MISSED_HEARTBEATS * interval

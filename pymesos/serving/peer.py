"""A socket that never blocks, on a server's thread: reads, a queue of what is to be written, TLS, and ways to end."""
from __future__ import absolute_import, division, print_function

import errno
import socket
import ssl
import struct
from collections import deque

from .._compat import selectors, socket_errors

__all__ = ['Peer']

#: Bytes asked of a socket at once where nobody says otherwise, and about as many given to it.
PIECE = 256 * 1024

#: Seconds that a closing connection waits for the peer to close as well. To close while bytes are unread would
#: make the kernel send RST, which can overtake the last answer.
LINGER = 2.0

#: close() with this sends RST (struct linger: on, 0 s).
RESET = struct.pack('ii', 1, 0)

_BLOCKED = (ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Peer(object):
    """The connection of a client. All methods are for the server's thread.

    `server` has `loop`, `ssl_context` (None without TLS), `forget(peer)`, called once it is closed, and
    `report(text)` for what a peer did wrong. `number` counts from 1. Subclasses do something in :meth:`received`.
    """

    def __init__(self, server, sock, number):
        self.server = server
        self.sock = sock
        self.number = number
        self.is_open = True
        #: Bytes queued that the kernel has not taken.
        self.unsent = 0
        self._out = deque()
        self._is_ordered = False        # a flush is ordered, or due at the end of ready()
        self._is_peer_done = False
        self._ending = None             # 'close' or 'half' once all is sent; 'done' when that has happened
        #: When something was last read (monotonic).
        self.last_heard = server.loop.now
        self._is_greeted = server.ssl_context is None
        self._events = selectors.EVENT_READ

    # -- to be overridden -------------------------------------------------------------------------------

    #: Bytes asked of the socket at once. To have room for many costs time, even where few come.
    read_size = PIECE

    #: What it is worth to us, the least first, if there are too many; None if it must not be closed for others.
    worth = None

    def received(self, data):
        """Bytes have come; not called any more once :meth:`end` was."""
        raise NotImplementedError

    def finished(self):
        """The peer sends no more; what is queued is sent, then the connection is closed."""
        if self._ending == 'done' or not self.unsent:
            self.close()
        elif self._ending is None:
            self._ending = 'close'

    # -------------------------------------------------------------------------------------------------

    def write(self, data):
        """Queue bytes (not changed any more); they leave in order, at the latest in the loop's next turn.

        False if the connection is closed or ending.
        """
        if not self.is_open or self._ending is not None:
            return False
        self.unsent += len(data)
        self._out.append(data)
        if not self._is_ordered:
            self._is_ordered = True
            self.server.loop.order(self.flush)
        return True

    def ready(self, events):
        """The socket is ready for `events`."""
        if not self.is_open:            # closed by what was handled before it in the same turn
            return
        if not self._is_greeted and not self._greet():
            return
        self._is_ordered = True         # no need to: it is flushed below
        try:
            if events & selectors.EVENT_READ:
                self._read()
        finally:
            if self.is_open:
                self.flush()

    def flush(self):
        """Send what may be sent and the kernel takes."""
        self._is_ordered = False
        if not self.is_open or not self._is_greeted:
            return
        while True:
            piece = self._next_piece()
            if not piece:
                break
            try:
                sent = self.sock.send(piece)
            except _BLOCKED:
                sent = 0
            except socket_errors as error:
                if not _is_blocked(error):
                    self.close()
                    return
                sent = 0
            self._put_back(piece, sent)
            if sent < len(piece):
                break
        self._watch()
        if not self._has_more():
            self._end_if_due()

    def end(self, how='close'):
        """When all is sent, close the connection (``'close'``) or only our direction (``'half'``)."""
        if self._ending is None:
            self._ending = how
        self.flush()

    def reset(self):
        """Send what the kernel takes, then RST."""
        self.flush()
        if self.is_open:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self.close()

    def close(self):
        """Close at once."""
        if not self.is_open:
            return
        self.is_open = False
        self.server.loop.watch(self.sock, self._events, 0, None)
        self.server.forget(self)
        self.sock.close()

    def _greet(self):
        try:
            self.sock.do_handshake()
        except _BLOCKED:
            return False
        except socket_errors as error:
            self.server.report('TLS handshake with connection %d: %s' % (self.number, error))
            self.close()
            return False
        self._is_greeted = True
        return True

    def _read(self):
        # A TLS socket may hold bytes that no selector sees, so it is read until it says that there are no more.
        while self.is_open:
            try:
                data = self.sock.recv(self.read_size)
            except _BLOCKED:
                return
            except socket_errors as error:
                if not _is_blocked(error):
                    self.close()
                return
            if not data:
                self._is_peer_done = True
                self.finished()
                return
            self.last_heard = self.server.loop.now
            if self._ending is None:
                self.received(data)
            if self.server.ssl_context is None:
                return

    def _has_more(self):
        return bool(self._out)

    def _next_piece(self):
        """What to give to the kernel next, b'' if there is nothing."""
        out = self._out
        if not out:
            return b''
        piece = out.popleft()
        # (What is left of a big piece is a memoryview, which 2.7 cannot join.)
        if out and isinstance(piece, bytes) and len(piece) < PIECE:
            pieces = [piece]
            size = len(piece)
            while out and size < PIECE:
                pieces.append(out.popleft())
                size += len(pieces[-1])
            piece = b''.join(pieces)
        return piece

    def _put_back(self, piece, sent):
        self.unsent -= sent
        if sent < len(piece):
            self._out.appendleft(memoryview(piece)[sent:] if sent else piece)

    def _watch(self):
        events = (0 if self._is_peer_done else selectors.EVENT_READ) | (selectors.EVENT_WRITE if self._out else 0)
        if events != self._events:
            self.server.loop.watch(self.sock, self._events, events, self.ready)
            self._events = events

    def _end_if_due(self):
        if self._ending not in ('close', 'half'):
            return
        must_close = self._ending == 'close'
        self._ending = 'done'
        if self._is_peer_done:
            self.close()
            return
        try:
            # On a TLS socket this would end TLS without a word as well: a half-close is of TCP here.
            self.sock.shutdown(socket.SHUT_WR)
        except socket_errors:
            self.close()
            return
        if must_close:
            self.server.loop.call_later(LINGER, self.close)


def _is_blocked(error):
    return isinstance(error, _BLOCKED) or error.errno in (errno.EAGAIN, errno.EINTR)

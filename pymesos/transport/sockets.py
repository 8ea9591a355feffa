"""What streams and channels do with a socket that does not block, with TLS or without."""
from __future__ import absolute_import, division, print_function

import errno
import logging
import select
import socket
import ssl

from .._compat import socket_errors

__all__ = ['Waiter', 'close_socket', 'hang_up', 'read_some', 'send_some', 'stop_reading']

_NOT_NOW = (ssl.SSLWantReadError, ssl.SSLWantWriteError)
_RETRY = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR)

logger = logging.getLogger(__name__)


def read_some(sock, view):
    """What is there to be read: bytes, b'' at the end, None if nothing is there just now.

    `view` is a memoryview to read into: recv() with as large a buffer costs five times the time, in fresh memory.
    Raises what the socket raises for anything worse.
    """
    try:
        return view[:sock.recv_into(view)].tobytes()
    except _NOT_NOW:
        return None
    except ssl.SSLEOFError:             # the end without a goodbye; a record cut by it is found by its decoder
        return b''
    except socket_errors as error:
        if error.errno in _RETRY:
            return None
        raise


def send_some(sock, data):
    """Send as much of `data` as goes just now; what is left of it. Raises what the socket raises for anything worse."""
    if not data:
        return data
    try:
        return data[sock.send(data):]
    except _NOT_NOW:
        return data
    except socket_errors as error:
        if error.errno in _RETRY:
            return data
        raise


def hang_up(sock):
    """End a connection, and whatever waits for it; the socket is still to be closed."""
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except socket_errors:               # not connected, or reset: closed it is all the same
        logger.debug('the peer was gone before the socket was closed')


def stop_reading(sock):
    """Have whoever waits for more wake up; what has come can still be read."""
    try:
        sock.shutdown(socket.SHUT_RD)
    except socket_errors:               # not connected, or reset: then it wakes up all the same
        logger.debug('the peer was gone before the reading was stopped')


def close_socket(sock):
    """Close a socket for the peer as well, even if a child of fork() still holds it."""
    hang_up(sock)
    sock.close()


class Waiter(object):
    """Waits for a socket that does not block, on a thread that may; for one thread at a time."""

    def __init__(self, sock, size=4096):
        self._sock = sock
        self._view = memoryview(bytearray(size))
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)

    def read(self, timeout=None):
        """What :func:`read_some` gives, once there is something. None after `timeout` seconds, after a signal on 2.7.
        """
        try:
            self._poll.poll(timeout and timeout * 1e3)
        except select.error as error:   # an OSError only from Python 3 on
            if error.args[0] != errno.EINTR:
                raise socket.error(*error.args)
        return read_some(self._sock, self._view)

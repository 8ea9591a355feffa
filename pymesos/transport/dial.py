"""Make a connection without blocking: resolve, try each address, shake hands."""
from __future__ import absolute_import, division, print_function

import errno
import os
import socket
import ssl

from six.moves import _thread

from .._compat import close_on_exec, monotonic, socket_errors
from ..errors import ConnectionFailed, TimedOut
from .loop import READ, WRITE

__all__ = ['Dial']

#: The system notices a peer whose host vanished after 30 + 4 * 10 seconds of silence, even where the protocol
#: announces no heartbeat.
KEEPALIVE = (('TCP_KEEPIDLE', 30), ('TCP_KEEPINTVL', 10), ('TCP_KEEPCNT', 4))

#: sun_path holds 108 bytes with the closing NUL (PROTOCOL 3.3).
LONGEST_SOCKET_PATH = 107

_NOT_NOW = (errno.EWOULDBLOCK, errno.EAGAIN)
_UNDER_WAY = _NOT_NOW + (errno.EINPROGRESS, errno.EINTR)

#: What a look-up raises; UnicodeError for a name with an empty or an overlong label.
_UNRESOLVED = socket_errors + (UnicodeError,)

#: Seconds before a domain socket whose backlog is full is tried again.
FULL_BACKLOG_DELAY = 0.02


class Dial(object):
    """One attempt to reach `address` (:class:`pymesos.utils.Address`), over all the IP addresses of its name.

    Calls `done(sock)` with a connected socket that does not block, or `failed(error)` with a
    :class:`ConnectionFailed`, once, on the loop's thread; neither after :meth:`cancel`. `timeout` is in seconds
    and for the whole attempt, but each IP address gets its share of what is left of it.
    """

    def __init__(self, loop, address, timeout, done, failed, tls_context=None):
        self._loop = loop
        self._address = address
        self._done = done
        self._failed = failed
        self._tls_context = tls_context
        self._sock = None
        self._targets = []
        self._last_error = None
        self._is_over = False
        self._next_timer = None
        self._timeout = timeout
        self._timer = loop.call_later(timeout, self._time_out)
        loop.post(self._start)

    def cancel(self):
        """Drop the attempt; harmless when it is over."""
        if not self._is_over:
            self._finish()
            self._drop_socket()

    def _start(self):
        if self._is_over:
            return
        if self._address.scheme == 'unix':
            self._try_all([(socket.AF_UNIX, _short_path(self._address.path))])
            return
        try:
            targets = _look_up(self._address, socket.AI_NUMERICHOST)
        except _UNRESOLVED:
            # A name: asking for its addresses blocks, for as long as the resolver likes.
            self._look_up_elsewhere()
        else:
            self._try_all(targets)

    def _look_up_elsewhere(self):
        try:
            self._loop.run_elsewhere((self._address.host, self._address.port), self._resolve, self._resolved)
        except (RuntimeError, _thread.error) as error:      # no more threads
            self._fail('cannot resolve %s: %s' % (self._address.host, error), error)

    def _resolve(self):
        try:
            return _look_up(self._address, 0), None
        except _UNRESOLVED as error:
            return [], error

    def _resolved(self, found):
        targets, error = found
        if self._is_over:
            return
        if error is not None or not targets:
            self._fail('cannot resolve %s: %s' % (self._address.host, error or 'no address'), error)
            return
        self._try_all(targets)

    def _try_all(self, targets):
        self._targets = list(targets)
        self._try_next()

    def _try_next(self):
        self._drop_socket()
        if not self._targets:
            self._fail('cannot connect to %s: %s' % (self._address, self._last_error), self._last_error)
            return
        share = (self._timer.when - monotonic()) / len(self._targets)
        family, target = self._targets.pop(0)
        if self._targets:
            self._next_timer = self._loop.call_later(share, self._skip, target)
        try:
            self._sock = _open(family)
        except socket_errors as error:
            self._note(error)
            return
        self._connect(family, target)

    def _connect(self, family, target):
        if self._sock is None:
            return
        try:
            code = self._sock.connect_ex(target)
        except socket_errors as error:
            self._note(error)
            return
        if code in _NOT_NOW and family == socket.AF_UNIX:
            # Not under way: its backlog is full.
            self._loop.call_later(FULL_BACKLOG_DELAY, self._connect, family, target)
        elif code in _UNDER_WAY:
            self._loop.watch(self._sock, WRITE, self._connected)
        elif code:
            self._note(socket.error(code, os.strerror(code)))
        else:
            self._connected(WRITE)

    def _note(self, error):
        """This IP address failed; the next one, but not from within a long chain of calls."""
        self._last_error = error
        self._drop_socket()
        self._loop.post(self._try_next_if_open)

    def _try_next_if_open(self):
        if not self._is_over:
            self._try_next()

    def _skip(self, target):
        self._last_error = 'no answer from %s' % (target,)
        self._try_next_if_open()

    def _connected(self, _ready):
        code = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._note(socket.error(code, os.strerror(code)))
            return
        if not self._address.is_tls:
            self._succeed()
            return
        try:
            self._loop.unwatch(self._sock)
            self._sock = self._tls_context.wrap_socket(
                self._sock, do_handshake_on_connect=False, server_hostname=self._address.host)
        except (socket_errors + (ssl.SSLError, ValueError)) as error:
            self._note(error)
            return
        self._shake_hands(READ)

    def _shake_hands(self, _ready):
        try:
            self._sock.do_handshake()
        except ssl.SSLWantReadError:
            self._loop.watch(self._sock, READ, self._shake_hands)
        except ssl.SSLWantWriteError:
            self._loop.watch(self._sock, WRITE, self._shake_hands)
        except (socket_errors + (ssl.SSLError, ssl.CertificateError)) as error:
            # Another IP address has the same certificate: the name as a whole is refused.
            hint = '' if 'certificate' in str(error).lower() else '; if it does not speak TLS, leave out https://'
            self._fail('cannot speak TLS with %s: %s%s' % (self._address, error, hint), error)
        else:
            self._succeed()

    def _succeed(self):
        sock, self._sock = self._sock, None
        self._loop.unwatch(sock)
        self._finish()
        self._done(sock)

    def _time_out(self):
        self._finish()
        self._drop_socket()
        self._failed(TimedOut('cannot connect to %s: no answer within %g seconds' % (self._address, self._timeout),
                              str(self._address), errno.ETIMEDOUT))

    def _fail(self, text, reason):
        self._finish()
        self._drop_socket()
        self._failed(ConnectionFailed(text, str(self._address), getattr(reason, 'errno', None)))

    def _finish(self):
        self._is_over = True
        self._timer.cancel()
        if self._next_timer is not None:
            self._next_timer.cancel()

    def _drop_socket(self):
        if self._next_timer is not None:
            self._next_timer.cancel()
        if self._sock is not None:
            self._loop.unwatch(self._sock)
            self._sock.close()
            self._sock = None


def _look_up(address, flags):
    found = socket.getaddrinfo(address.host, address.port, socket.AF_UNSPEC, socket.SOCK_STREAM, 0, flags)
    return [(family, target) for family, _kind, _protocol, _name, target in found]


def _open(family):
    sock = socket.socket(family, socket.SOCK_STREAM)
    close_on_exec(sock)
    sock.setblocking(False)
    if family != socket.AF_UNIX:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in KEEPALIVE:
            if hasattr(socket, name):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return sock


def _short_path(path):
    """A path that fits into a socket's name: the way from the working directory if the whole is too long."""
    if len(path.encode('utf-8')) <= LONGEST_SOCKET_PATH:
        return path
    return os.path.relpath(path)

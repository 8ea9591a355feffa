"""Read and write descriptors without ever waiting, whatever they are and whoever else uses them.

A description that others share, such as the program's standard output, must not be made non-blocking: they would see
EAGAIN. What can be opened once more is, with a description of its own; what cannot is used in ways that do not wait.
"""
from __future__ import absolute_import, division, print_function

import array
import errno
import fcntl
import os
import select
import socket
import stat
import termios

from ..._compat import clear_of_standard_streams, close_on_exec, duplicate, selectors, socket_errors

__all__ = ['BROKEN', 'open_stream']

_BLOCKED = (errno.EAGAIN, errno.EWOULDBLOCK)

#: What writing raises when nobody reads any more.
BROKEN = (errno.EPIPE, errno.ECONNRESET)

#: As much is written to a pipe at once or not at all, so that a pipe that poll() calls writable takes it.
PIPE_BUF = getattr(select, 'PIPE_BUF', 512)

#: Linux' numbers, which 2.7 and most others do not name.
F_SETPIPE_SZ, F_GETPIPE_SZ = 1031, 1032

#: Bytes of a pipe as Linux makes it, and of one through which much flows. A system allows a user without privileges
#: 64 MiB of pipes and makes new ones tiny beyond that, so we take at most MAX_GROWN pipes for a part of it.
PIPE_SIZE, GROWN_SIZE = 64 * 1024, 256 * 1024
MAX_GROWN = 64

_grown = set()


def open_stream(descriptor, is_own):
    """What reads or writes `descriptor`, which is close-on-exec and closed with it.

    `is_own` says that it is the end of a pipe that was made for this: it is made non-blocking.
    """
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return Stream(descriptor, is_always_ready=True)
    if stat.S_ISSOCK(mode):
        return SocketStream(descriptor)
    if is_own:
        fcntl.fcntl(descriptor, fcntl.F_SETFL, os.O_NONBLOCK)
        return Stream(descriptor, is_own_pipe=stat.S_ISFIFO(mode))
    if stat.S_ISFIFO(mode) or os.isatty(descriptor):
        reopened = _reopen(descriptor)
        if reopened is not None:
            return Stream(reopened)
    return PolledStream(descriptor) if _is_selectable(descriptor) else Stream(descriptor, is_always_ready=True)


def _is_selectable(descriptor):
    """Whether a selector takes it; /dev/null and the like are always ready."""
    selector = selectors.DefaultSelector()
    try:
        selector.register(descriptor, selectors.EVENT_READ)
        return True
    except (IOError, OSError):
        return False
    finally:
        selector.close()


def _reopen(descriptor):
    """A new description of the same pipe or terminal in place of `descriptor`; None if that cannot be.

    It gets no number of a standard stream that the program has closed and may open again.
    """
    access = fcntl.fcntl(descriptor, fcntl.F_GETFL) & (os.O_WRONLY | os.O_RDWR)
    try:
        # Elsewhere than on Linux, where there is no such path, /dev/fd gives the same description again.
        new = os.open('/proc/self/fd/%d' % descriptor, access | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:         # no /proc, another user's terminal, or a pipe without a reader
        return None
    if new <= 2:
        low, new = new, duplicate(new)
        os.close(low)
    close_on_exec(new)
    os.close(descriptor)
    return new


class Stream(object):
    """A descriptor that does not block, or whose reads and writes never take long. For one thread."""

    def __init__(self, number, is_always_ready=False, is_own_pipe=False):
        self.number = number
        #: No selector is needed for it, and none takes it.
        self.is_always_ready = is_always_ready
        #: A pipe made for us: when its other end is gone, it is so for good.
        self.is_own_pipe = is_own_pipe

    def read(self, size):
        """At most `size` bytes; b'' at the end, None if there are none now. OSError."""
        while True:
            try:
                return self._read(size)
            except socket_errors as error:
                if error.errno in _BLOCKED:
                    return None
                if error.errno == errno.EIO:        # a terminal that was hung up
                    return b''
                if error.errno != errno.EINTR:
                    raise

    def write(self, data):
        """How many bytes of a memoryview were written, 0 if none can be now. OSError."""
        while True:
            try:
                return self._write(data)
            except socket_errors as error:
                if error.errno in _BLOCKED:
                    return 0
                if error.errno != errno.EINTR:
                    raise

    def waiting(self):
        """How many bytes can be read now."""
        count = array.array('i', [0])
        fcntl.ioctl(self.number, termios.FIONREAD, count)
        return count[0]

    def grow(self):
        """Make a pipe that is ours larger, as much flows through it."""
        if self.is_own_pipe and len(_grown) < MAX_GROWN:
            try:
                # One that somebody made larger, or smaller, on purpose stays as it is.
                if fcntl.fcntl(self.number, F_GETPIPE_SZ) == PIPE_SIZE:
                    fcntl.fcntl(self.number, F_SETPIPE_SZ, GROWN_SIZE)
                    _grown.add(self)
            except (IOError, OSError):          # not Linux, or the user has too many
                pass

    def close(self):
        """Close it."""
        _grown.discard(self)
        os.close(self.number)

    def _read(self, size):
        return os.read(self.number, size)

    def _write(self, data):
        return os.write(self.number, data)


class PolledStream(Stream):
    """A description that others share and that blocks: asked every time whether it would, and then used a little."""

    def __init__(self, number):
        super(PolledStream, self).__init__(number)
        self._poll = select.poll()

    def _read(self, size):
        return os.read(self.number, size) if self._is_ready(select.POLLIN) else None

    def _write(self, data):
        return os.write(self.number, data[:PIPE_BUF]) if self._is_ready(select.POLLOUT) else 0

    def _is_ready(self, event):
        self._poll.register(self.number, event)
        return bool(self._poll.poll(0))


class SocketStream(Stream):
    """A socket, whose calls can be told not to wait."""

    def __init__(self, number):
        flags = fcntl.fcntl(number, fcntl.F_GETFL)
        # The family does not matter for what is done with it.
        self._socket = clear_of_standard_streams(socket.fromfd(number, socket.AF_UNIX, socket.SOCK_STREAM))
        os.close(number)
        super(SocketStream, self).__init__(self._socket.fileno())
        # A default timeout of the program would have made it non-blocking, for all who share it.
        self._socket.settimeout(None)
        fcntl.fcntl(self.number, fcntl.F_SETFL, flags)

    def close(self):
        """Close it."""
        self._socket.close()

    def _read(self, size):
        return self._socket.recv(size, socket.MSG_DONTWAIT)

    def _write(self, data):
        return self._socket.send(data, socket.MSG_DONTWAIT)

"""The only file that asks which Python this is.

The rest of the library is written for Python 3; what an older Python lacks is
supplied here under the name that Python 3 uses.
"""
from __future__ import absolute_import, division, print_function

import errno
import fcntl
import io
import locale
import os
import select
import signal
import socket
import sys
import threading
import time
import types
import warnings

import six
from six.moves import builtins

if six.PY2:
    # A module that waits for a driver while it is imported holds 2.7's import lock, and our threads must not need it
    # for the first text that they decode.
    import encodings.idna       # noqa: F401
    import encodings.latin_1    # noqa: F401

try:
    from time import monotonic
except ImportError:                 # 2.7
    from monotonic import monotonic

try:
    import selectors
except ImportError:                 # 2.7
    import selectors2 as selectors

try:
    from inspect import getfullargspec
except ImportError:                 # 2.7
    from inspect import getargspec as getfullargspec

try:
    JSONDecodeError = __import__('json').JSONDecodeError
except AttributeError:              # 2.7
    JSONDecodeError = ValueError

__all__ = ['DEFAULT_BUFSIZE', 'DEFAULT_CLOSE_FDS', 'JSONDecodeError', 'Latch', 'NetworkError', 'NullByteError', 'PY2',
           'PYTHON', 'TextError', 'block_sigpipe', 'class_getitem', 'clear_of_standard_streams', 'close_on_exec',
           'duplicate', 'fsdecode', 'fsencode', 'gather', 'getfullargspec', 'is_broken_pipe',
           'is_main_thread', 'monotonic', 'native_text', 'open_pipe', 'pipe', 'reraise', 'selectors', 'send_gathered',
           'select_from', 'set_pipe_size', 'socket_errors', 'text_encoding', 'wait_for', 'wait_for_lock',
           'warn_unfinished']

PY2 = six.PY2

#: Major and minor version.
PYTHON = sys.version_info[:2]

#: What a socket raises. On 2.7 socket.error is an IOError and not an OSError.
socket_errors = (OSError, socket.error)

if PY2:
    class NetworkError(OSError, socket.error):
        """What both ``except OSError`` and ``except socket.error`` catch."""
else:
    NetworkError = OSError

reraise = six.reraise


def select_from(selector, timeout=None):
    """What `selector` (of :data:`selectors`) finds ready within `timeout` seconds, None for no limit.

    On 2.7 it raises ETIMEDOUT where a wait that a signal interrupts (SIGCONT needs no handler for it) is over by then.
    """
    try:
        return selector.select(timeout)
    except OSError as error:
        if error.errno != errno.ETIMEDOUT:
            raise
        return []


def close_on_exec(descriptor):
    """Mark a descriptor, or an object with ``fileno()``, to be closed in programs that are executed.

    Python 3.4 does so by itself (PEP 446); here it is a second look that costs nothing.
    """
    number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
    fcntl.fcntl(number, fcntl.F_SETFD, fcntl.FD_CLOEXEC)        # there is no other such flag
    return descriptor


def pipe():
    """A pipe whose both ends are close-on-exec and never block: (read end, write end)."""
    ends = os.pipe()
    for end in ends:
        close_on_exec(end)
        fcntl.fcntl(end, fcntl.F_SETFL, fcntl.fcntl(end, fcntl.F_GETFL) | os.O_NONBLOCK)
    return ends


if sys.version_info >= (3, 3):
    def wait_for(event, timeout=None):
        """``event.wait(timeout)`` that signal handlers can run in."""
        return event.wait(timeout)
else:
    def wait_for(event, timeout=None):
        """``event.wait(timeout)`` that signal handlers can run in.

        Without a timeout 2.7 waits in a lock that no signal interrupts; with one it polls, at least
        every 50 ms.
        """
        if timeout is not None:
            return event.wait(timeout)
        while not event.wait(3600.0):
            continue
        return True

if hasattr(threading, 'main_thread'):
    def is_main_thread():
        """Whether the caller runs on the main thread."""
        return threading.current_thread() is threading.main_thread()

    def wait_for_lock(lock):
        """``lock.acquire()`` that signal handlers can run in."""
        lock.acquire()
else:
    def is_main_thread():
        """Whether the caller runs on the main thread."""
        return isinstance(threading.current_thread(), threading._MainThread)

    def wait_for_lock(lock):
        """``lock.acquire()`` that signal handlers can run in.

        On 2.7 no signal interrupts a lock; there the main thread, where handlers run, polls: at first every 0.5 ms,
        later every 20 ms.
        """
        if not is_main_thread():
            lock.acquire()
            return
        delay = 0.0005
        while not lock.acquire(False):
            time.sleep(delay)
            delay = min(delay * 2, 0.02)


# ---- what crosses to the system as bytes (subprocess) ----

#: What the standard library raises for a null byte in an argument, a path or a variable of the environment.
NullByteError = TypeError if PY2 else ValueError


def fsencode(text):
    """The bytes of a path, an argument or a variable: str, bytes, or an object with ``__fspath__``.

    Raises TypeError for anything else.
    """
    if hasattr(text, '__fspath__'):
        text = text.__fspath__()
    if isinstance(text, bytes):
        return text
    if not isinstance(text, six.text_type):
        raise TypeError('expected str, bytes or os.PathLike object, not %s' % type(text).__name__)
    return text.encode(sys.getfilesystemencoding() or 'utf-8') if PY2 else os.fsencode(text)


def fsdecode(data):
    """The native text of a path, an argument or a variable that is bytes: bytes themselves on 2.7."""
    return data if PY2 else os.fsdecode(data)


if PY2:
    class TextError(Exception):
        """An exception whose text, its only argument, may be any: what a peer says must not have str() fail."""

        def __str__(self):
            text = self._text()
            return text.encode('ascii', 'backslashreplace') if isinstance(text, six.text_type) else text

        def __unicode__(self):
            text = self._text()
            return text if isinstance(text, six.text_type) else text.decode('utf-8', 'replace')

        def _text(self):
            if len(self.args) == 1 and isinstance(self.args[0], six.string_types):
                return self.args[0]
            return super(TextError, self).__str__()
else:
    TextError = Exception


def native_text(value):
    """``str(value)``; on 2.7 also of what has other text than ASCII, which is written with backslashes then."""
    try:
        return str(value)
    except UnicodeError:
        return six.text_type(value).encode('ascii', 'backslashreplace')


# ---- what subprocess does differently (subprocess) ----

#: Popen's defaults.
DEFAULT_BUFSIZE = 0 if PY2 else -1
DEFAULT_CLOSE_FDS = not PY2


def is_broken_pipe(error):
    """Whether an OSError or IOError says that nobody reads any more."""
    return error.errno == errno.EPIPE or (not PY2 and isinstance(error, BrokenPipeError))   # noqa: F821


#: For which 2.7 has no name; None where its number is not known.
_DUPLICATE_CLOSED_ON_EXEC = getattr(fcntl, 'F_DUPFD_CLOEXEC', 1030 if sys.platform.startswith('linux') else None)


def duplicate(descriptor):
    """A duplicate of a descriptor: close-on-exec, and none of those that are the standard streams'."""
    if _DUPLICATE_CLOSED_ON_EXEC is not None:
        return fcntl.fcntl(descriptor, _DUPLICATE_CLOSED_ON_EXEC, 3)
    return close_on_exec(fcntl.fcntl(descriptor, fcntl.F_DUPFD, 3))     # another thread may fork in between


def clear_of_standard_streams(sock):
    """The socket, or another for the same connection if it has the number of a standard stream.

    A program that has closed one of these may open it again, and so close what has taken the number since.
    """
    low = []
    try:
        while sock.fileno() <= 2:
            low.append(sock)
            sock = socket.fromfd(sock.fileno(), sock.family, socket.SOCK_STREAM)
    finally:
        for one in low:
            one.close()
    return close_on_exec(sock)


def set_pipe_size(descriptor, size):
    """Make a pipe hold `size` bytes, where the system can (Linux); OSError or IOError if it may not."""
    if sys.platform.startswith('linux'):
        fcntl.fcntl(descriptor, getattr(fcntl, 'F_SETPIPE_SZ', 1031), size)


def open_pipe(descriptor, mode, bufsize, encoding, errors, is_text, reader=None):
    """The file object that Popen has for its end of a pipe; `mode` is ``'rb'`` or ``'wb'``.

    On 2.7 text means other newlines, and only an encoding or a way to treat errors makes it unicode. `reader`, if
    given, makes the raw file of a descriptor, where there is one: 2.7 has files of its own for bytes.
    """
    if PY2 and not (encoding or errors):
        return os.fdopen(descriptor, 'rU' if is_text and mode == 'rb' else mode, bufsize)
    is_by_line = is_text and bufsize == 1
    if is_by_line or (PY2 and bufsize == 0):
        bufsize = -1                # by line is the wrapper's business; 2.7's needs a buffer below it
    if reader is None:
        stream = io.open(descriptor, mode, bufsize)
    else:
        stream = reader(descriptor)
        if bufsize != 0:
            stream = io.BufferedReader(stream, bufsize if bufsize > 1 else io.DEFAULT_BUFFER_SIZE)
    if not is_text:
        return stream
    if PY2:
        return io.TextIOWrapper(stream, encoding=encoding, errors=errors, line_buffering=is_by_line)
    return io.TextIOWrapper(stream, encoding=encoding, errors=errors, line_buffering=is_by_line,
                            write_through=mode == 'wb')


def text_encoding():
    """The encoding of text for which none was named; None where that means bytes with other newlines, on 2.7."""
    if PY2:
        return None
    if getattr(sys.flags, 'warn_default_encoding', 0):
        # The caller is the first frame outside the package.
        frame, level, home = sys._getframe(), 1, os.path.dirname(__file__)
        while frame.f_back is not None and frame.f_code.co_filename.startswith(home):
            frame, level = frame.f_back, level + 1
        warnings.warn("'encoding' argument not specified.", EncodingWarning, level)     # noqa: F821
    if getattr(sys.flags, 'utf8_mode', 0):
        return 'utf-8'
    return locale.getencoding() if hasattr(locale, 'getencoding') else locale.getpreferredencoding(False)


def warn_unfinished(text, source, warn=warnings.warn, kind=getattr(builtins, 'ResourceWarning', None)):
    """Warn that a resource was dropped before its end, on Pythons that have a warning for it."""
    if kind is not None:
        warn(text, kind, **({'source': source} if sys.version_info >= (3, 6) else {}))


#: What makes ``Popen[bytes]`` possible, for annotations: from 3.9 on.
class_getitem = getattr(types, 'GenericAlias', None) and classmethod(types.GenericAlias)


# ---- connections and pipes that carry much (subprocess) ----

if hasattr(socket.socket, 'sendmsg'):
    def gather(pieces):
        """`pieces` (bytes and memoryviews) as :func:`send_gathered` takes them."""
        return pieces

    def send_gathered(sock, pieces):
        """Send the first bytes of `pieces`, as many as the socket takes; how many."""
        return sock.sendmsg(pieces[:GATHERED])
else:
    def gather(pieces):
        """`pieces` (bytes) as :func:`send_gathered` takes them."""
        return [b''.join(pieces)]

    def send_gathered(sock, pieces):
        """Send the first bytes of `pieces`, as many as the socket takes; how many."""
        return sock.send(pieces[0])

#: Pieces given to the kernel at once; it takes 1024 everywhere.
GATHERED = 64


def block_sigpipe():
    """Let writes of this thread to what nobody reads fail with EPIPE, even if the program made SIGPIPE deadly."""
    if hasattr(signal, 'pthread_sigmask'):
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGPIPE])
    elif sys.platform.startswith('linux'):              # 2.7
        import ctypes
        library = ctypes.CDLL(None)
        signals = ctypes.create_string_buffer(1024)     # a sigset_t, which has 128 bytes
        library.sigemptyset(signals)
        library.sigaddset(signals, int(signal.SIGPIPE))
        library.pthread_sigmask(0, signals, None)       # 0: SIG_BLOCK


# ---- waiting for what another thread tells (subprocess) ----

class _LockWaiter(object):
    """One thread that waits, for a lock."""

    def __init__(self):
        self._lock = threading.Lock()
        self._lock.acquire()

    def wait(self, deadline):
        """Wait until woken, or for the deadline (monotonic time, None for ever)."""
        if deadline is None:
            self._lock.acquire()
        else:
            self._lock.acquire(timeout=min(max(0.0, deadline - monotonic()), threading.TIMEOUT_MAX))

    def wake(self):
        """End the wait. Once, by whoever took it off the list."""
        self._lock.release()

    def close(self, is_taken):
        """Nothing to let go of."""


class _PipeWaiter(object):
    """The same with a pipe: on 2.7, where no signal interrupts the wait for a lock, and a timeout makes it poll."""

    def __init__(self):
        self._ends = os.pipe()
        for end in self._ends:
            fcntl.fcntl(end, fcntl.F_SETFD, fcntl.FD_CLOEXEC)

    def wait(self, deadline):
        """Wait until woken, or for the deadline (monotonic time, None for ever)."""
        poll = select.poll()
        poll.register(self._ends[0], select.POLLIN)
        while True:
            left = None if deadline is None else max(0.0, deadline - monotonic())
            try:
                # Rounded up, and no more than the system takes.
                if poll.poll(None if left is None else min(left * 1000 + 1, 2 ** 31 - 1)):
                    return
            except select.error as error:
                if error.args[0] != errno.EINTR:        # a signal, whose handler has run
                    raise
            if left == 0.0:
                return

    def wake(self):
        """End the wait. Once, by whoever took it off the list."""
        os.write(self._ends[1], b'!')

    def close(self, is_taken):
        """Close the pipe, once nobody uses it: who has taken it off the list is about to write."""
        if is_taken:
            self.wait(None)
        for end in self._ends:
            os.close(end)


def _waiter(timeout):
    if PY2 and (timeout is not None or is_main_thread()):
        return _PipeWaiter()
    return _LockWaiter()


class Latch(object):
    """Something that happens once. Any thread may tell it, and any number wait for it, with signals being handled.

    There is no lock that a signal handler, or a forked child, could find taken.
    """

    __slots__ = ('_is_set', '_waiters')

    def __init__(self):
        self._is_set = False
        self._waiters = []

    def is_set(self):
        """Whether it has happened."""
        return self._is_set

    def set(self):
        """It happens. Twice is fine."""
        self._is_set = True
        while self._waiters:
            try:
                waiter = self._waiters.pop()
            except IndexError:          # another thread, or a handler, does the same
                return
            waiter.wake()

    def wait(self, timeout=None):
        """Wait until it happens, for `timeout` seconds at most; whether it has."""
        if self._is_set or (timeout is not None and timeout <= 0):
            return self._is_set
        deadline = None if timeout is None else monotonic() + timeout
        waiter = _waiter(timeout)
        # First on the list, then the look: set() does it the other way round, so one of the two sees the other.
        self._waiters.append(waiter)
        try:
            if not self._is_set:
                waiter.wait(deadline)
        finally:
            try:
                self._waiters.remove(waiter)
                is_taken = False
            except ValueError:
                is_taken = True
            waiter.close(is_taken)
        return self._is_set

"""The only file that asks which Python this is.

The rest of the library is written for Python 3; what an older Python lacks is
supplied here under the name that Python 3 uses.
"""
from __future__ import absolute_import, division, print_function

import fcntl
import os
import socket
import sys
import threading
import time

import six

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

__all__ = ['JSONDecodeError', 'NetworkError', 'NullByteError', 'PY2', 'close_on_exec', 'fsdecode', 'fsencode',
           'getfullargspec', 'is_main_thread', 'monotonic', 'pipe', 'reraise', 'selectors', 'socket_errors',
           'wait_for', 'wait_for_lock']

PY2 = six.PY2

#: What a socket raises. On 2.7 socket.error is an IOError and not an OSError.
socket_errors = (OSError, socket.error)

if PY2:
    class NetworkError(OSError, socket.error):
        """What both ``except OSError`` and ``except socket.error`` catch."""
else:
    NetworkError = OSError

reraise = six.reraise


def close_on_exec(descriptor):
    """Mark a descriptor, or an object with ``fileno()``, to be closed in programs that are executed.

    Python 3.4 does so by itself (PEP 446); here it is a second look that costs nothing.
    """
    number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
    fcntl.fcntl(number, fcntl.F_SETFD, fcntl.fcntl(number, fcntl.F_GETFD) | fcntl.FD_CLOEXEC)
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

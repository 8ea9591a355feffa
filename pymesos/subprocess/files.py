"""The program's ends of a command's three streams: which descriptors the cluster gets, and the caller's files."""
from __future__ import absolute_import, division, print_function

import fcntl
import functools
import io
import os
import stat
import threading
from collections import namedtuple

import six

from .._compat import close_on_exec, duplicate, open_pipe, set_pipe_size
from . import request
from .request import Stream, Streams

__all__ = ['Attention', 'DEVNULL', 'Ends', 'PIPE', 'STDOUT']

#: What can be given for a stream besides None, a descriptor and a file; the numbers are the standard library's.
PIPE, STDOUT, DEVNULL = -1, -2, -3


class Attention(object):
    """A context manager: while at least one thread is in it, the program's standard input is read for a command.

    The rest of the time it is the program's. For any thread.
    """

    def __init__(self):
        # Guards the rest and the order of what the remote is told. A signal handler may wait for a command, too.
        self._lock = threading.RLock()
        self._count = 0
        self._remote = None
        self._is_told = False           # whether the remote was told that input is wanted

    def turn_to(self, remote):
        """The command whose stdin is the program's own. Before that, entering does nothing."""
        with self._lock:
            self._remote = remote
            if self._count:
                self._want()

    def __enter__(self):
        with self._lock:
            self._count += 1
            try:
                if self._remote is not None and not self._is_told:
                    self._want()
            except BaseException:       # KeyboardInterrupt: then nobody leaves
                self.__exit__()
                raise

    def __exit__(self, *exc_info):
        with self._lock:
            self._count -= 1
            if self._count == 0 and self._remote is not None:
                self._is_told = False
                self._remote.want_input(False)

    def _want(self):
        # First said, then noted: who interrupts us in between says it, too, instead of relying on us.
        self._remote.want_input(True)
        self._is_told = True


class _AttentiveFile(io.FileIO):
    """Who reads a command's output waits for the command, which may wait for its input."""

    def __init__(self, attention, descriptor):
        super(_AttentiveFile, self).__init__(descriptor, 'rb')
        self._attention = attention

    def readinto(self, buffer):
        with self._attention:
            return super(_AttentiveFile, self).readinto(buffer)

    def read(self, size=-1):
        with self._attention:
            return super(_AttentiveFile, self).read(size)

    def readall(self):
        with self._attention:
            return super(_AttentiveFile, self).readall()


class Ends(object):
    """Both ends, on this side, of the streams of one command, from the arguments of Popen.

    Making one opens nothing. After :meth:`open` the descriptors are to be taken, by :meth:`files` and
    :meth:`hand_over`, or closed by :meth:`close`.
    """

    def __init__(self, stdin, stdout, stderr):
        if stdout is not None and stdout == STDOUT:
            raise ValueError('STDOUT can only be used for stderr')
        self._chosen = [_choose(stdin, 0), _choose(stdout, 1)]
        is_joined = stderr is not None and stderr == STDOUT
        self._chosen.append(_NOTHING if is_joined else _choose(stderr, 2))
        is_joined = is_joined or _is_same(self._chosen[1], self._chosen[2])
        if is_joined:
            # One pipe on the agent: the order of what is written to both is kept.
            self._chosen[2] = _NOTHING
        #: How the agent connects stdin, stdout and stderr: arguments of :func:`~.request.make_spec`.
        self.modes = dict(zip(('stdin', 'stdout', 'stderr'),
                              [request.NULL if choice.kind is None else request.PIPE for choice in self._chosen]))
        if is_joined:
            self.modes['stderr'] = request.TO_STDOUT
        #: Whether stdin is the program's own.
        self.is_stdin_inherited = self._chosen[0].kind == request.INHERITED
        self._callers = [None, None, None]
        self._streams = [None, None, None]

    def open(self, pipesize=-1):
        """Make the pipes, of `pipesize` bytes if above 0, and duplicate the descriptors; OSError if that fails."""
        try:
            for number, (descriptor, kind, _status) in enumerate(self._chosen):
                if kind == request.PIPE:
                    ours, callers = _make_pipe(number == 0, pipesize)
                    self._callers[number] = callers
                    self._streams[number] = Stream(ours, kind)
                elif kind is not None:
                    self._streams[number] = Stream(duplicate(descriptor), kind)
        except BaseException:
            self.close()
            raise

    def files(self, bufsize, encoding, errors, is_text, attention):
        """The caller's ends as file objects: (stdin, stdout, stderr), None where there is no pipe.

        While one of them is read, and stdin is the program's own, the :class:`Attention` is entered.
        """
        opened = []
        reader = functools.partial(_AttentiveFile, attention) if self.is_stdin_inherited else None
        for number, mode in enumerate(('wb', 'rb', 'rb')):
            descriptor = self._callers[number]
            opened.append(None if descriptor is None else
                          open_pipe(descriptor, mode, bufsize, encoding, errors, is_text,
                                    reader if mode == 'rb' else None))
            self._callers[number] = None        # the file closes it
        return tuple(opened)

    def hand_over(self):
        """The cluster's ends, as :class:`~.request.Streams`, to be closed by the cluster from now on."""
        streams, self._streams = Streams(*self._streams), [None, None, None]
        return streams

    def close(self):
        """Close what nobody has taken; twice is fine."""
        left = self._callers + [stream and stream.descriptor for stream in self._streams]
        self._callers, self._streams = [None, None, None], [None, None, None]
        for descriptor in left:
            if descriptor is not None:
                os.close(descriptor)


#: One argument: its descriptor and what fstat() says of it, None where there is none; its kind, None where nothing
#: flows.
_Choice = namedtuple('_Choice', 'descriptor kind status')

_NOTHING = _Choice(None, None, None)


def _choose(given, number):
    """The :class:`_Choice` for one argument.

    What is connected to /dev/null here is so on the agent: its bytes need not travel.
    """
    kind = request.FILE
    if given is None:
        given, kind = number, request.INHERITED
    elif not isinstance(given, six.integer_types):
        given = given.fileno()
    if given == PIPE:
        return _Choice(None, request.PIPE, None)
    if given == DEVNULL:
        return _NOTHING
    try:
        status = os.fstat(given)
    except OSError:
        if kind == request.INHERITED:       # the program has closed it
            return _NOTHING
        raise
    return _NOTHING if _is_null(status) else _Choice(given, kind, status)


#: The number of the null device, None while it is not known.
_null = None


def _is_null(status):
    global _null
    if not stat.S_ISCHR(status.st_mode):
        return False
    if _null is None:
        try:
            _null = os.stat(os.devnull).st_rdev
        except OSError:                     # no /dev in this jail
            return False
    return status.st_rdev == _null


def _is_same(first, second):
    """Whether two choices of :func:`_choose` write to one place, so that the order of what is written matters.

    Two descriptors of one regular file may have an offset each, which cannot be seen: they are told apart.
    """
    if first.descriptor is None or second.descriptor is None:
        return False
    if first.descriptor == second.descriptor:
        return True
    one, other = first.status, second.status
    return (not stat.S_ISREG(one.st_mode)
            and (one.st_dev, one.st_ino, one.st_rdev) == (other.st_dev, other.st_ino, other.st_rdev))


def _make_pipe(is_stdin, pipesize):
    """(our end, the caller's end); ours never blocks, and none is one of the standard streams' descriptors."""
    reading, writing = ends = [_lift(end) for end in os.pipe()]
    ours, callers = (reading, writing) if is_stdin else (writing, reading)
    try:
        fcntl.fcntl(ours, fcntl.F_SETFL, os.O_NONBLOCK)
        if pipesize > 0:
            set_pipe_size(callers, pipesize)
    except (OSError, IOError):
        for end in ends:
            os.close(end)
        raise
    return ours, callers


def _lift(descriptor):
    """The descriptor, or another for the same if it is one of the standard streams' (which the program had closed)."""
    if descriptor > 2:
        return close_on_exec(descriptor)
    try:
        return duplicate(descriptor)
    finally:
        os.close(descriptor)

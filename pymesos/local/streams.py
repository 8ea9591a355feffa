"""The standard streams of a container, as its keeper relays them: pipes or a terminal."""
from __future__ import absolute_import, division, print_function

import errno
import fcntl
import os
import pty
import select
import struct
import termios

from .._compat import close_on_exec, monotonic
from . import child

__all__ = ['Streams']

READ_SIZE = 65536


class Streams(object):
    """Our ends of the streams of one container.

    ``watch(descriptor, events, function)`` has the loop call ``function(events)`` when the descriptor is ready, and
    never again with events 0; ``tell(what, data, **details)`` sends the host a message. `theirs` are the descriptors
    for the child, three numbers or Nones, which :meth:`let_go` closes.
    """

    def __init__(self, spec, watch, tell):
        self._spec = spec
        self._watch = watch
        self._tell = tell
        self._is_begun = False
        self._is_paused = False
        self._terminal = None
        self._input = None
        self._feed = []                 # bytes, None for the end
        self._outputs = {}              # descriptor -> 'stdout' or 'stderr'
        self._copies = {}               # 'stdout' or 'stderr' -> descriptor of a file
        self.theirs = [None] * 3
        #: Monotonic time at which something was read last, 0 at first.
        self.last_output = 0.0
        if spec.get('io') == 'tty':
            self._open_terminal(spec.get('window'))
        elif spec.get('io') == 'pipes':
            self._open_pipes()

    def _open_terminal(self, window):
        ours, theirs = pty.openpty()
        for number in (ours, theirs):
            close_on_exec(number)
        _never_block(ours)
        self._terminal = self._input = ours
        self._outputs = {ours: 'stdout'}
        self.theirs = [theirs] * 3
        if window:
            self.resize(window['rows'], window['columns'])

    def _open_pipes(self):
        found = []
        try:
            for _ in range(3):
                found += os.pipe()
        except OSError:
            for number in found:
                os.close(number)
            raise
        for number in found:
            close_on_exec(number)
        self._input, self._outputs = found[1], {found[2]: 'stdout', found[4]: 'stderr'}
        for number in (found[1], found[2], found[4]):
            _never_block(number)
        self.theirs = [found[0], found[3], found[5]]

    def let_go(self):
        """Close the ends of the child, once it has them."""
        for number in set(self.theirs) - {None}:
            os.close(number)
        self.theirs = [None] * 3

    def begin(self):
        """The child is ready: its sandbox is there, and what it writes from now on is its own."""
        self._is_begun = True
        for name in self._outputs.values():
            if self._spec.get(name, name) is not None:
                self._copies[name] = _open_copy(self._spec, name)
        self._watch_all()

    def pause(self, is_paused):
        """Read no output, or go on with it: the host has enough to take."""
        self._is_paused = is_paused
        self._watch_all()

    @property
    def is_open(self):
        """Whether there may be more output."""
        return bool(self._outputs)

    def is_silent(self, since, seconds):
        """Whether nothing was read for so long, though we wanted to; `since` is the monotonic time to count from."""
        now = monotonic()
        if self._is_paused:
            self.last_output = now
        elif now > max(since, self.last_output) + seconds:
            for number in list(self._outputs):      # nobody may have looked for as long
                self._read(number, select.POLLIN)
        return now > max(since, self.last_output) + seconds

    # ---- input

    def feed(self, data):
        """Bytes for standard input; None for its end, which a terminal does not have."""
        self._feed.append(data)
        self._write()

    def _write(self, _events=0):
        taken = 0
        while self._feed:
            data = self._feed[0]
            if self._input is None or not data:
                taken += len(data or b'')
                if data is None and self._terminal is None:
                    self._close_input()
                del self._feed[0]
                continue
            try:
                sent = os.write(self._input, data[:READ_SIZE])
            except OSError as error:
                if error.errno == errno.EAGAIN:
                    break
                self._close_input()     # nobody reads any more
                continue
            taken += sent
            self._feed[0] = data[sent:]
        if taken:
            self._tell('fed', size=taken)
        if self._terminal is not None:
            self._watch_all()
        elif self._input is not None:
            self._watch(self._input, select.POLLOUT if self._feed else 0, self._write)

    def _close_input(self):
        number, self._input = self._input, None
        if number is not None and number != self._terminal:
            self._watch(number, 0, None)
            os.close(number)

    def resize(self, rows, columns):
        """Set the window size of the terminal, if there is one."""
        if self._terminal is not None:
            try:
                fcntl.ioctl(self._terminal, termios.TIOCSWINSZ,
                            struct.pack('HHHH', rows & 0xffff, columns & 0xffff, 0, 0))
            except EnvironmentError:    # nobody has it any more
                pass

    # ---- output

    def _watch_all(self):
        if not self._is_begun:
            return
        for number in self._outputs:
            events = 0 if self._is_paused else select.POLLIN
            if number == self._input and self._feed:
                events |= select.POLLOUT
            self._watch(number, events, lambda ready, number=number: self._read(number, ready))

    def _read(self, number, events):
        if events & select.POLLOUT:
            self._write()
        if not events & (select.POLLIN | select.POLLHUP | select.POLLERR) or number not in self._outputs:
            return
        try:
            data = os.read(number, READ_SIZE)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EINTR):
                return
            data = b''                  # EIO: nobody has the terminal any more
        if not data:
            self._close_output(number)
            return
        name, self.last_output = self._outputs[number], monotonic()
        if name in self._copies:
            _write_all(self._copies[name], data)
        self._tell('output', data, name=name)

    def _close_output(self, number):
        if number == self._terminal:
            self._terminal = self._input = None
        del self._outputs[number]
        self._watch(number, 0, None)
        os.close(number)

    def close(self):
        """Close all; what is left of the input counts as taken."""
        self._close_input()
        for number in list(self._outputs):
            self._close_output(number)
        for number in self._copies.values():
            os.close(number)
        self._copies = {}
        unread = sum(len(data or b'') for data in self._feed)
        if unread:
            self._tell('fed', size=unread)
        self._feed = []
        self.let_go()


def _never_block(number):
    fcntl.fcntl(number, fcntl.F_SETFL, fcntl.fcntl(number, fcntl.F_GETFL) | os.O_NONBLOCK)


def _open_copy(spec, name):
    """The file of the sandbox that gets a copy of a stream. The child has made it already."""
    directory = child.to_bytes(spec['directory'])
    child.enter(directory, child.to_bytes(spec.get('root') or os.path.dirname(directory)))
    try:
        return child.open_log(child.to_bytes(spec.get(name, name)))
    finally:
        os.chdir('/')


def _write_all(number, data):
    try:
        while data:
            data = data[os.write(number, data):]
    except OSError:                     # the disk is full: the stream goes on
        pass

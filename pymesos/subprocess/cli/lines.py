"""Several outputs made one, line by line. Pure: bytes in, bytes out."""
from __future__ import absolute_import, division, print_function

from collections import deque

__all__ = ['Interleaver', 'LineReader', 'MAX_HELD']

#: Bytes that are held of one source while its line is unfinished, or while another has the floor.
MAX_HELD = 64 * 1024

#: Bytes that one line of input may have.
MAX_LINE = 1024 * 1024


class Interleaver(object):
    """Puts the lines of several sources one after the other, each whole and with its source's tag before it.

    A line longer than MAX_HELD is passed on as it comes: its source has the floor until the line ends, and the others
    are held; ``may_feed`` says whose data there is no room for just now. If it keeps them waiting, ``release`` breaks
    its line. A last line without an end gets one. The bytes are not looked at otherwise. Memory is bounded by MAX_HELD,
    and what is fed at once, for each source.
    """

    def __init__(self):
        self._held = {}             # source -> bytes of it that are not out
        self._tags = {}
        self._ended = set()         # of the sources that are held: those that will not be fed again
        #: The source whose line is out in part, or None.
        self.floor = None
        self._output = deque()
        #: Bytes that wait in :meth:`output`.
        self.size = 0

    def add(self, source, tag=b''):
        """A source, any hashable but None; each of its lines will begin with `tag`."""
        self._tags[source] = tag
        self._held[source] = b''

    def may_feed(self, source):
        """Whether there is room for more of a source."""
        return len(self._held[source]) < MAX_HELD

    @property
    def is_held_up(self):
        """Whether something of other sources waits for the one that has the floor."""
        return self.floor is not None and any(self._held.values())

    def feed(self, source, data):
        """Take bytes of a source."""
        if self.floor is None:
            self._pass_on(source, data)
        elif self.floor == source:
            self._go_on(source, data)
        else:
            self._held[source] += data

    def end(self, source):
        """A source has ended: what is held of it is its last line, or it ends the one that is out in part."""
        if self.floor not in (None, source):
            self._ended.add(source)
            return
        had_floor = self.floor is not None
        self._finish(source)
        if had_floor:
            self._let_others()

    def release(self):
        """Break the line that is out in part, so that the others may go on."""
        if self.floor is not None:
            self.floor = None
            self._put(b'\n')
            self._let_others()

    def output(self, limit=None):
        """Take what is to be written next: bytes, at most `limit` (None: all); empty if there is nothing."""
        taken, size = [], 0
        while self._output and (limit is None or size < limit):
            chunk = self._output.popleft()
            if limit is not None and size + len(chunk) > limit:
                self._output.appendleft(chunk[limit - size:])
                chunk = chunk[:limit - size]
            taken.append(chunk)
            size += len(chunk)
        self.size -= size
        return b''.join(taken)

    def _put(self, data):
        if data:
            self._output.append(data)
            self.size += len(data)

    def _go_on(self, source, data):
        end = data.find(b'\n') + 1
        if not end:
            self._put(data)
            return
        self._put(data[:end])
        self.floor = None
        self._pass_on(source, data[end:])
        if self.floor is None:
            self._let_others()

    def _pass_on(self, source, data):
        """Put out the whole lines of a source; take the floor if what is left is too long to hold."""
        held = self._held[source]
        end = data.rfind(b'\n') + 1
        if not end:
            rest = held + data
        else:
            self._put(self._tagged(source, held + data[:end]))
            rest = data[end:]
        if len(rest) >= MAX_HELD:
            self._put(self._tags[source] + rest)
            self.floor = source
            rest = b''
        self._held[source] = rest

    def _tagged(self, source, lines):
        tag = self._tags[source]
        if not tag:
            return lines
        # Not splitlines(): that of text, and of 2.7's bytes, splits at other characters, too.
        return tag + lines[:-1].replace(b'\n', b'\n' + tag) + b'\n'

    def _finish(self, source):
        if self.floor == source:
            self._put(b'\n')
            self.floor = None
        rest = self._held.pop(source)
        if rest:
            self._put(self._tagged(source, rest + b'\n'))
        del self._tags[source]

    def _let_others(self):
        """The floor is free: what was held of the others goes on, until one takes it again."""
        for source in list(self._held):
            if self.floor is not None:
                return
            held, self._held[source] = self._held[source], b''
            self._pass_on(source, held)
            if source in self._ended:
                self._ended.remove(source)
                self._finish(source)


class LineReader(object):
    """Cuts bytes into lines without their ends; the last need not have one."""

    def __init__(self):
        self._parts = []
        self._size = 0

    def feed(self, data):
        """The lines that `data` completes: a list of bytes. ValueError if one is longer than MAX_LINE."""
        first, end, rest = data.partition(b'\n')
        if not end:
            self._hold(data)
            return []
        self._hold(first)
        lines = [b''.join(self._parts)]
        self._parts, self._size = [], 0
        lines += rest.split(b'\n')
        self._hold(lines.pop())
        return lines

    def close(self):
        """What is left: a list with the last line, or an empty one."""
        last, self._parts = b''.join(self._parts), []
        return [last] if last else []

    def _hold(self, data):
        self._size += len(data)
        if self._size > MAX_LINE:
            raise ValueError('a line of more than %d bytes' % MAX_LINE)
        self._parts.append(data)

"""Write a command's input and gather its output side by side, in the caller's thread."""
from __future__ import absolute_import, division, print_function

import os
import select

from six import text_type

from .._compat import is_broken_pipe, monotonic, select_from, selectors

__all__ = ['Conversation', 'write_all']

#: Bytes that one read asks for: what a pipe holds.
READ_BYTES = 65536

#: Bytes that a pipe takes without blocking when it is said to be writable.
WRITE_BYTES = getattr(select, 'PIPE_BUF', 512)

#: Not epoll: it knows no regular files.
Selector = getattr(selectors, 'PollSelector', selectors.SelectSelector)


class Conversation(object):
    """What one Popen was told to send, and what it gathered so far; kept when a timeout ends an attempt.

    For one thread at a time.
    """

    def __init__(self, stdin, stdout, stderr, data, is_text):
        self._is_text = is_text
        self._stdin = stdin
        self._outputs = [(stream, []) for stream in (stdout, stderr) if stream]
        self._stdout, self._stderr = stdout, stderr
        self._rest = None
        if stdin:
            _ignore_broken_pipe(stdin.flush)
            if data:
                self._rest = memoryview(encode(stdin, data, is_text))
                self._rest = self._rest.cast('B') if hasattr(self._rest, 'cast') else self._rest
            else:
                _ignore_broken_pipe(stdin.close)

    def go_on(self, deadline):
        """Write and read until all is done, or until `deadline` (monotonic) is over; returns whether all is done."""
        with Selector() as selector:
            if self._rest is not None:
                selector.register(self._stdin, selectors.EVENT_WRITE, None)
            for stream, chunks in self._outputs:
                if not stream.closed:
                    selector.register(stream, selectors.EVENT_READ, chunks)
            while selector.get_map():
                patience = None if deadline is None else deadline - monotonic()
                if patience is not None and patience < 0:
                    return False
                for key, _ in select_from(selector, patience):
                    is_over = self._write(key) if key.data is None else _read(key)
                    if is_over:
                        selector.unregister(key.fileobj)
                        _ignore_broken_pipe(key.fileobj.close)
        return True

    def _write(self, key):
        try:
            # No more than surely fits: the descriptor blocks.
            written = os.write(key.fd, self._rest[:WRITE_BYTES])
        except (OSError, IOError) as error:
            if not is_broken_pipe(error):
                raise
            written = len(self._rest)
        self._rest = self._rest[written:]
        if not self._rest:
            self._rest = None
        return self._rest is None

    def gathered(self):
        """The bytes so far: (stdout, stderr), None for what is no pipe."""
        found = dict((id(stream), b''.join(chunks)) for stream, chunks in self._outputs)
        return found.get(id(self._stdout)), found.get(id(self._stderr))

    def result(self):
        """What was gathered as the caller wants it: text if the files are text."""
        return tuple(data if data is None or not self._is_text else decode(stream, data)
                     for stream, data in zip((self._stdout, self._stderr), self.gathered()))


def write_all(stdin, data):
    """Write all of `data`, if there is any, to a file and close it; that nobody reads is fine."""
    if data:
        _ignore_broken_pipe(stdin.write, data)
    _ignore_broken_pipe(stdin.close)


def encode(stream, data, is_text):
    """Input as bytes. On 2.7 text for a file of bytes is taken as ASCII, as there it always is."""
    if is_text and getattr(stream, 'encoding', None):
        return data.encode(stream.encoding, stream.errors)
    return data.encode('ascii') if isinstance(data, text_type) and str is bytes else data


def decode(stream, data):
    """Output as text, its line ends made ``\\n``."""
    if getattr(stream, 'encoding', None):
        data = data.decode(stream.encoding, stream.errors)
        return data.replace(u'\r\n', u'\n').replace(u'\r', u'\n')
    return data.replace(b'\r\n', b'\n').replace(b'\r', b'\n')


def _read(key):
    data = os.read(key.fd, READ_BYTES)
    if data:
        key.data.append(data)
    return not data


def _ignore_broken_pipe(function, *args):
    try:
        function(*args)
    except (OSError, IOError) as error:
        if not is_broken_pipe(error):
            raise

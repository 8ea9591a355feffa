"""The messages between the host and its keeper: a dict of small things and some bytes, framed."""
from __future__ import absolute_import, division, print_function

import json
import struct

__all__ = ['Unpacker', 'pack']

_HEAD = struct.Struct('!II')

#: Both ends are ours and start together; a longer frame means that they are out of step.
MAX_FRAME = 256 * 1024 * 1024


def pack(message, data=b''):
    """The frame (bytes) of a dict that JSON can hold, and of bytes that go beside it. ValueError if it is too long."""
    text = json.dumps(message, separators=(',', ':')).encode('ascii')
    if max(len(text), len(data)) > MAX_FRAME:
        raise ValueError('what is to be started is described by %d bytes, at most %d are allowed'
                         % (max(len(text), len(data)), MAX_FRAME))
    return b''.join((_HEAD.pack(len(text), len(data)), text, data))


class Unpacker(object):
    """Takes bytes as they come and gives whole messages."""

    def __init__(self):
        self._buffer = bytearray()

    def feed(self, data):
        """[(dict, bytes)] of all messages that are complete now. ValueError if this is no such stream."""
        self._buffer += data
        messages, start = [], 0
        while len(self._buffer) - start >= _HEAD.size:
            text_size, data_size = _HEAD.unpack_from(bytes(self._buffer[start:start + _HEAD.size]))
            middle = start + _HEAD.size + text_size
            end = middle + data_size
            if max(text_size, data_size) > MAX_FRAME:
                raise ValueError('a frame of %d and %d bytes, at most %d are allowed'
                                 % (text_size, data_size, MAX_FRAME))
            if len(self._buffer) < end:
                break
            message = json.loads(bytes(self._buffer[start + _HEAD.size:middle]).decode('ascii'))
            messages.append((message, bytes(self._buffer[middle:end])))
            start = end
        if start:
            del self._buffer[:start]
        return messages

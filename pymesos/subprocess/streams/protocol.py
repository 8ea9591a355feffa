"""What the program and its executors say to each other: the handshake, frames, and control messages. Sans-I/O.

The executor dials the program's port, once for each task, with the secret that came in the task's data. Handshake, all
of fixed size::

    HELLO    executor -> program    magic 8 | identity 16 | counter u32 | nonce 16 | HMAC(key, 'hello' + all before)
    WELCOME  program -> executor    nonce 16 | HMAC(key, 'welcome' + HELLO + nonce)
    PROOF    executor -> program    HMAC(key, 'proof' + HELLO + nonce)

The HMACs are of SHA-256, numbers are big-endian. Both sides know then that the other one has the key, now: each chose
a nonce. The counter grows with every connection of a task, and the program answers none that it has seen: a copy of a
HELLO is closed without a byte. What follows, in both directions, are frames::

    type u8 | channel u8 | length u32 | payload

    DATA      bytes of the channel, at least one
    CREDIT    received u64, limit u64: so much has arrived, up to here may be sent
    END       final u64: the channel ends there. It takes one place in the numbering: who has it has received final + 1
    STOP      the receiver wants no more of the channel
    RESUME    (channel u8, received u64, limit u64) of each channel that its sender receives; the first frame of each
              connection
    PING      PONG
"""
from __future__ import absolute_import, division, print_function

import hmac
import struct
from collections import namedtuple
from hashlib import sha256

import six

from ...errors import MessageError, ProtocolError, UsageError, excerpt
from ...utils import decode_data
from ...wire import recordio
from ...wire.messages import dumps, loads

__all__ = ['CONTROL', 'CREDIT', 'Caller', 'ControlDecoder', 'DATA', 'END', 'EXECUTOR_SENDS', 'FrameHead', 'HELLO_SIZE',
           'Hello', 'IDENTITY_SIZE', 'KEY_SIZE', 'MAGIC', 'MAX_PAYLOAD', 'MAX_RECORD', 'NONCE_SIZE', 'PING', 'PONG',
           'PROGRAM_SENDS', 'PROOF_SIZE', 'RESUME', 'STDERR', 'STDIN', 'STDOUT', 'STOP', 'WELCOME_SIZE',
           'encode_control', 'is_hello_genuine', 'is_proof', 'make_hello', 'make_proof', 'make_welcome', 'pack_credit',
           'pack_end', 'pack_head', 'pack_resume', 'read_head', 'read_hello', 'unpack_credit', 'unpack_end',
           'unpack_environment', 'unpack_resume']

# ---- the handshake

MAGIC = b'pymesos\x01'

#: Bytes of what a task is known by and of the secret that it proves; both are random.
IDENTITY_SIZE, KEY_SIZE = 16, 32

NONCE_SIZE, MAC_SIZE = 16, 32

_HELLO = struct.Struct('!8s16sI16s32s')

#: Bytes of the three messages.
HELLO_SIZE, WELCOME_SIZE, PROOF_SIZE = _HELLO.size, NONCE_SIZE + MAC_SIZE, MAC_SIZE

#: `raw` is the whole of it, as bytes.
Hello = namedtuple('Hello', ['identity', 'counter', 'raw'])


def make_hello(key, identity, counter, nonce):
    """The HELLO (bytes). `counter` is above that of every HELLO before with this key; `nonce` is 16 random bytes."""
    signed = struct.pack('!8s16sI16s', MAGIC, identity, counter, nonce)
    return signed + _sign(key, b'hello', signed)


def read_hello(data):
    """The :class:`Hello` that `data`, HELLO_SIZE bytes, is; nothing of it is proved. ProtocolError for other bytes."""
    if len(data) != HELLO_SIZE or data[:len(MAGIC)] != MAGIC:
        raise ProtocolError('expected %d bytes that begin with %r, the peer sent %s'
                            % (HELLO_SIZE, MAGIC, excerpt(data)))
    _, identity, counter, _, _ = _HELLO.unpack(data)
    return Hello(identity, counter, data)


def is_hello_genuine(key, hello):
    """Whether a :class:`Hello` was made with `key`. In constant time."""
    return hmac.compare_digest(_sign(key, b'hello', hello.raw[:-MAC_SIZE]), hello.raw[-MAC_SIZE:])


def make_welcome(key, hello, nonce):
    """The WELCOME (bytes) that answers a :class:`Hello`; `nonce` is 16 random bytes."""
    return nonce + _sign(key, b'welcome', hello.raw + nonce)


def make_proof(key, hello, nonce):
    """The PROOF (bytes) that answers a WELCOME with that nonce."""
    return _sign(key, b'proof', hello.raw + nonce)


def is_proof(key, hello, nonce, data):
    """Whether `data` (bytes) is the PROOF. In constant time."""
    return hmac.compare_digest(make_proof(key, hello, nonce), data)


def _sign(key, purpose, data):
    return hmac.new(key, purpose + data, sha256).digest()


class Caller(object):
    """The executor's side of the handshake: send `hello`, then what :meth:`feed` returns.

    The arguments are those of :func:`make_hello`.
    """

    def __init__(self, key, identity, counter, nonce):
        #: What to send first (bytes).
        self.hello = make_hello(key, identity, counter, nonce)
        #: Bytes that came after the WELCOME, to be fed to the link.
        self.trailing = b''
        self._key = key
        self._begun = b''

    def feed(self, data):
        """The PROOF (bytes) to send once the WELCOME is complete, None before.

        After the PROOF the connection is proven and frames may be sent. ProtocolError if the peer has not the key.
        """
        data = self._begun + data
        self._begun = data[:WELCOME_SIZE]
        if len(data) < WELCOME_SIZE:
            return None
        self.trailing = data[WELCOME_SIZE:]
        hello = read_hello(self.hello)
        nonce = data[:NONCE_SIZE]
        if not hmac.compare_digest(make_welcome(self._key, hello, nonce), self._begun):
            raise ProtocolError('the peer does not know the secret of the task')
        return make_proof(self._key, hello, nonce)


# ---- frames

DATA, CREDIT, END, STOP, RESUME, PING, PONG = range(1, 8)

#: Channels.
CONTROL, STDIN, STDOUT, STDERR = range(4)

#: What each side sends; it receives what the other one sends.
PROGRAM_SENDS = (CONTROL, STDIN)
EXECUTOR_SENDS = (CONTROL, STDOUT, STDERR)

#: The most bytes that the payload of a frame may have.
MAX_PAYLOAD = 256 * 1024

FrameHead = namedtuple('FrameHead', ['kind', 'channel', 'length'])

_HEAD = struct.Struct('!BBI')
_OFFSETS = struct.Struct('!QQ')
_OFFSET = struct.Struct('!Q')
_RESUMED = struct.Struct('!BQQ')

HEAD_SIZE = _HEAD.size

#: The longest payload that is not DATA's: that of a RESUME.
MOST_OF_A_PAYLOAD = 4 * _RESUMED.size

#: The lengths that are allowed, first and last.
_LENGTHS = {
    DATA: (1, MAX_PAYLOAD),
    CREDIT: (_OFFSETS.size, _OFFSETS.size),
    END: (_OFFSET.size, _OFFSET.size),
    STOP: (0, 0),
    RESUME: (0, MOST_OF_A_PAYLOAD),
    PING: (0, 0),
    PONG: (0, 0),
}

#: The head of a frame (bytes) from its type, channel and length.
pack_head = _HEAD.pack


def read_head(data):
    """The :class:`FrameHead` in HEAD_SIZE bytes. ProtocolError for an unknown type and a length that is not allowed."""
    head = FrameHead(*_HEAD.unpack_from(data))
    if head.kind not in _LENGTHS:
        raise ProtocolError('cannot read a frame: its type is %d, known are %d to %d' % (head.kind, DATA, PONG))
    least, most = _LENGTHS[head.kind]
    if not least <= head.length <= most:
        raise ProtocolError('cannot read a frame of type %d: it announces %d bytes, allowed are %d to %d'
                            % (head.kind, head.length, least, most))
    return head


def pack_credit(channel, received, limit):
    """A CREDIT frame (bytes)."""
    return pack_head(CREDIT, channel, _OFFSETS.size) + _OFFSETS.pack(received, limit)


#: (received, limit) in the payload of a CREDIT.
unpack_credit = _OFFSETS.unpack_from


def pack_end(channel, final):
    """An END frame (bytes)."""
    return pack_head(END, channel, _OFFSET.size) + _OFFSET.pack(final)


def unpack_end(payload):
    """The final offset in the payload of an END."""
    return _OFFSET.unpack_from(payload)[0]


def pack_resume(entries):
    """A RESUME frame (bytes) from [(channel, received, limit)]."""
    return pack_head(RESUME, CONTROL, len(entries) * _RESUMED.size) + b''.join(
        _RESUMED.pack(*entry) for entry in entries)


def unpack_resume(payload):
    """[(channel, received, limit)] in the payload of a RESUME; ProtocolError if it is not a whole number of them."""
    if len(payload) % _RESUMED.size:
        raise ProtocolError('cannot read a RESUME: %d bytes are no multiple of %d' % (len(payload), _RESUMED.size))
    return [_RESUMED.unpack_from(payload, start) for start in range(0, len(payload), _RESUMED.size)]


# ---- control messages

#: The most bytes that a control message may have: arguments and environment together, which Linux limits to a few
#: megabytes, in base64.
MAX_RECORD = 16 * 1024 * 1024

#: The same of an executor's, which are short but for an exception's words: a large one would hold up all commands.
MAX_EXECUTOR_RECORD = 256 * 1024


def encode_control(message):
    """The bytes that carry a message (a dict with a ``type``) on the control channel. UsageError if it is too long."""
    record = dumps(message)
    if len(record) > MAX_RECORD:
        raise UsageError('cannot send a %s of %d bytes: at most %d are allowed'
                         % (message.get('type'), len(record), MAX_RECORD))
    return recordio.encode(record)


def unpack_environment(packed):
    """The dict (bytes) that is the ``env`` of a START: ``name=value`` with null bytes between them, in base64.

    Raises ValueError, or TypeError, for what is none.
    """
    data = decode_data(packed)
    return dict(pair.split(b'=', 1) for pair in data.split(b'\0')) if data else {}


class ControlDecoder(object):
    """Reads control messages of up to `max_record` bytes from the bytes of the channel. An error is for good."""

    def __init__(self, max_record=MAX_RECORD):
        self._decoder = recordio.Decoder(max_record)

    def feed(self, data):
        """The messages (dicts with a ``type``, text) that `data`, a memoryview, completes, in order.

        ProtocolError for what is none; messages before it in `data` are lost with the connection.
        """
        messages = [loads(record) for record in self._decoder.feed(data.tobytes())]
        if self._decoder.error is not None:
            raise self._decoder.error
        for message in messages:
            if not isinstance(message.get('type'), six.text_type):
                raise MessageError('cannot read a control message: it has no type, only %s'
                                   % excerpt(', '.join(sorted(message))))
        return messages

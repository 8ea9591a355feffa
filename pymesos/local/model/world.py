"""What a model is given of the world: clocks and randomness, so that a test can give others."""
from __future__ import absolute_import, division, print_function

import base64
import binascii
import uuid

__all__ = ['World']

#: The bits of a UUID that are not random, and what they are in version 4 (RFC 4122).
_FIXED_BITS = 0xf000 << 64 | 0xc000 << 48
_VERSION_4 = 0x4000 << 64 | 0x8000 << 48


class World(object):
    """Clocks and randomness.

    `time()` gives seconds since the epoch, `monotonic()` seconds of a clock that is never set, `random` is a
    :class:`random.Random`. A model asks for nothing else.
    """

    def __init__(self, time, monotonic, random):
        self.time = time
        self.monotonic = monotonic
        self.random = random

    def uuid(self):
        """A random UUID (version 4) as text of 36 characters."""
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def uuid_base64(self):
        """The 16 bytes of a random UUID as base64 text, as the `uuid` of a status has it (PROTOCOL 8.1).

        Mesos takes only what is a UUID of some version, not any 16 bytes.
        """
        number = self.random.getrandbits(128) & ~_FIXED_BITS | _VERSION_4
        return base64.b64encode(binascii.unhexlify('%032x' % number)).decode('ascii')

    def nanoseconds(self):
        """The time as a TimeInfo holds it: an int of nanoseconds since the epoch."""
        return int(self.time() * 1000000) * 1000

"""What a model is given of the world: clocks and randomness, so that a test can give others."""
from __future__ import absolute_import, division, print_function

import base64
import binascii
import uuid

__all__ = ['World']


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
        """16 random bytes as base64 text, as the `uuid` of a status has it (PROTOCOL 8.1)."""
        return base64.b64encode(binascii.unhexlify('%032x' % self.random.getrandbits(128))).decode('ascii')

    def nanoseconds(self):
        """The time as a TimeInfo holds it: an int of nanoseconds since the epoch."""
        return int(self.time() * 1000000) * 1000

"""The executor's way to the program: dials it, proves the task's key, and dials again when the connection was lost."""
from __future__ import absolute_import, division, print_function

import errno
import logging
import os
import random
import sys
import threading

from ..._compat import selectors, socket_errors
from ...errors import ProtocolError
from ...transport.dial import Dial
from ...utils import Address
from ...wire.backoff import Backoff
from ..streams.protocol import NONCE_SIZE, Caller

__all__ = ['Dialler', 'Exchange', 'Patience']

#: Seconds from the first dialling within which there has to be a proven connection, and for which it may be missed once
#: there was one.
REACH_WITHIN, RETURN_WITHIN = 10.0, 60.0

#: Seconds that one attempt may take, to connect and then to be proven.
ATTEMPT_WITHIN = 10.0

#: Seconds before an attempt: none before the first after a good connection, then this, twice as long each time, and
#: never longer than that.
SHORTEST_DELAY, LONGEST_DELAY = 0.1, 2.0

#: A connection that lasted so long, in seconds, was a good one.
GOOD_AFTER = 1.0

#: Bytes read at once during the handshake; what comes after it is passed on.
READ = 64 * 1024

#: MSG_MORE, for which 2.7 has no name: do not send yet, there is more to come; within 200 ms, or it goes alone.
_MORE = 0x8000 if sys.platform.startswith('linux') else 0

logger = logging.getLogger(__name__)


class Patience(object):
    """How long a :class:`Dialler` waits, in seconds: to `reach` the program, to have it `back`, for one `attempt`."""

    def __init__(self, reach=REACH_WITHIN, back=RETURN_WITHIN, attempt=ATTEMPT_WITHIN):
        self.reach = reach
        self.back = back
        self.attempt = attempt


class Exchange(object):
    """What :class:`pymesos.transport.dial.Dial` wants of a loop, by means of a :class:`pymesos.serving.loop.Loop`."""

    def __init__(self, loop):
        self.loop = loop
        self._watched = {}

    def post(self, function, *args):
        """Have the function called soon."""
        self.loop.order(lambda: function(*args))

    def call_later(self, delay, function, *args):
        """Have the function called in `delay` seconds; the timer."""
        return self.loop.call_later(delay, lambda: function(*args))

    def watch(self, sock, events, function):
        """Have ``function(ready)`` called whenever the socket is ready for `events`."""
        self.loop.watch(sock, self._watched.get(sock, 0), events, function)
        self._watched[sock] = events

    def unwatch(self, sock):
        """Watch it no more; harmless if it is not watched."""
        if sock in self._watched:
            self.loop.watch(sock, self._watched.pop(sock), 0, None)

    def run_elsewhere(self, _key, function, done):
        """Have the function run on a thread of its own and ``done(result)`` called here."""
        thread = threading.Thread(target=lambda: self.post(done, function()), name='pymesos-elsewhere')
        thread.daemon = True
        thread.start()


class _Handshake(object):
    """Proves the key over a connected socket, and has the other side prove it.

    ``done(sock, trailing)`` or ``failed(text)`` is called, and nothing after :meth:`close`.
    """

    def __init__(self, loop, sock, caller, done, failed):
        self._loop = loop
        self._socket = sock
        self._caller = caller
        self._done = done
        self._failed = failed

    def start(self):
        self._loop.watch(self._socket, 0, selectors.EVENT_READ, self._ready)
        self._send(self._caller.hello)

    def close(self):
        """Hang up; twice is fine."""
        sock = self._release()
        if sock is not None:
            sock.close()

    def _release(self):
        sock, self._socket = self._socket, None
        if sock is not None:
            self._loop.watch(sock, selectors.EVENT_READ, 0, None)
        return sock

    def _fail(self, text):
        self.close()
        self._failed(text)

    def _send(self, data, flags=0):
        """Send a small message at once: nothing was sent before that could fill the buffers."""
        try:
            sent = self._socket.send(data, flags)
        except socket_errors as error:
            sent, reason = 0, error
        else:
            reason = 'it takes %d bytes of %d' % (sent, len(data))
        if sent < len(data):
            self._fail('cannot send to it: %s' % reason)
        return sent == len(data)

    def _ready(self, _events):
        if self._socket is None:        # closed by what was handled before it in the same turn
            return
        try:
            data = self._socket.recv(READ)
        except socket_errors as error:
            if error.errno not in (errno.EAGAIN, errno.EINTR):
                self._fail('%s' % error)
            return
        if not data:
            self._fail('it closed the connection without a word')
            return
        try:
            proof = self._caller.feed(data)
        except ProtocolError as error:
            self._fail(str(error))
            return
        # What the link has to say follows at once, and goes into the same packet.
        if proof is not None and self._send(proof, _MORE):
            self._done(self._release(), self._caller.trailing)


class Dialler(object):
    """Makes proven connections to the program, one after the other. For the thread of the loop.

    `exchange` is the loop's :class:`Exchange`, `address` is (host, port); `identity` and `key` (bytes) come from the
    task's data. ``proven(sock, trailing)`` is called with each connection that both sides have proved, and the bytes
    that came after the handshake; ``failed(text)`` once the program was out of reach for as long as `patience` says.
    """

    def __init__(self, exchange, address, identity, key, proven, failed, patience=None):
        self.address = Address('http', address[0], address[1])
        #: Whether there was ever a proven connection.
        self.was_reached = False
        self._exchange = exchange
        self._loop = exchange.loop
        self._identity = identity
        self._key = key
        self._proven = proven
        self._failed = failed
        self._patience = patience or Patience()
        self._backoff = Backoff(0.0, SHORTEST_DELAY, cap=LONGEST_DELAY, random=random.random)
        self._attempts = 0              # in a row, since a good connection
        self._counter = 0               # of the handshakes with this key
        self._proven_at = None
        self._give_up_at = None
        self._step = None               # the Dial or the _Handshake under way
        self._timer = None              # of that, or of the next attempt
        self._last_error = 'it was not tried'

    def start(self):
        """Dial for the first time."""
        self._attempts = 1
        self._give_up_at = self._loop.now + self._patience.reach
        self._dial()

    def again(self, reason):
        """The connection was lost, for a `reason` (text): make another one."""
        now = self._loop.now
        self._last_error = reason
        self._attempts = 0 if now - self._proven_at >= GOOD_AFTER else 1
        self._give_up_at = now + self._patience.back
        logger.info('the connection to %s is lost (%s); dialling for %g s', self.address, reason, self._patience.back)
        self._dial_later()

    def cancel(self):
        """Dial no more; twice is fine."""
        self._set_timer(None)
        step, self._step = self._step, None
        if isinstance(step, Dial):
            step.cancel()
        elif step is not None:
            step.close()

    def _dial(self):
        left = self._give_up_at - self._loop.now
        if left <= 0:
            self._failed('%s the program at %s: %s' % ('lost' if self.was_reached else 'cannot reach', self.address,
                                                       self._last_error))
            return
        self._step = Dial(self._exchange, self.address, min(self._patience.attempt, left), self._dialled,
                          lambda error: self._miss(str(error)))

    def _dialled(self, sock):
        self._counter += 1
        caller = Caller(self._key, self._identity, self._counter, os.urandom(NONCE_SIZE))
        self._step = _Handshake(self._loop, sock, caller, self._shaken, self._miss)
        self._set_timer(min(self._patience.attempt, self._give_up_at - self._loop.now), self._time_out)
        self._step.start()

    def _shaken(self, sock, trailing):
        self.cancel()
        self.was_reached = True
        self._proven_at = self._loop.now
        self._proven(sock, trailing)

    def _time_out(self):
        self._step.close()
        self._miss('it took the connection and did not answer')

    def _miss(self, reason):
        self._step = None
        # What the end of our patience has cut short says less than what came of the attempt before.
        if self._attempts <= 1 or self._loop.now < self._give_up_at:
            self._last_error = reason
        self._dial_later()

    def _dial_later(self):
        delay = self._backoff.delay(self._attempts)
        self._attempts += 1
        self._set_timer(min(delay, max(0.0, self._give_up_at - self._loop.now)), self._dial)

    def _set_timer(self, delay, function=None):
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if delay is None else self._loop.call_later(delay, function)

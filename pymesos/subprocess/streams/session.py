"""The program's end of one attempt at a command: what its executor says, and the descriptors of its streams."""
from __future__ import absolute_import, division, print_function

import logging

import six

from ...errors import ConnectionLost, ProtocolError, UsageError
from ..request import PIPE
from .carrier import Conduit
from .link import WINDOW
from .protocol import (CONTROL, EXECUTOR_SENDS, IDENTITY_SIZE, KEY_SIZE, MAX_EXECUTOR_RECORD, PROGRAM_SENDS, STDERR,
                       STDIN, STDOUT)

__all__ = ['LINGER', 'LOST_AFTER', 'Session']

logger = logging.getLogger(__name__)

#: Seconds without a connection, after START, until the executor is given up. It does the same at its end.
LOST_AFTER = 60.0

#: Seconds that a session which has everything can still be reached by an executor that does not know so.
LINGER = 10.0

#: The same after we have hung up: then it comes back at once, or not at all.
LINGER_ALONE = 1.0

#: The largest of the numbers that a system has for processes and their ends, and of the positions in a stream.
INT_MAX, MAX_OFFSET = 2 ** 31 - 1, 2 ** 64 - 1


class Session(Conduit):
    """The program's end of one attempt at a command. Everything but the constructor is for the loop's thread.

    `identity` (16 random bytes) and `key` (32) are what the executor proves; :meth:`Hub.expect` lets it in.
    `lost_after` is in seconds.

    The owner sets those of these attributes that it wants; they are called on the loop's thread:

    ``on_connected(session)``
        The executor is there, for the first time: :meth:`attach` and :meth:`start`.
    ``on_started(pid, hostname)``, ``on_not_started(message)``
        One of them answers :meth:`start`; `message` is the dict of NOT_STARTED.
    ``on_exited(returncode)``
        The command has ended, and what it had written by then to streams that are no pipes of ours was written. More
        may come, from pipes and from what the command has left running: :meth:`close` would lose it.
    ``on_broken(error)``
        It will never be known from the executor: ProtocolError, or ConnectionLost after `lost_after` seconds.
    ``on_settled()``
        All has been said and received, and written. The session closes itself soon.
    """

    def __init__(self, loop, identity, key, window=WINDOW, lost_after=LOST_AFTER):
        if len(identity) != IDENTITY_SIZE or len(key) != KEY_SIZE:
            raise UsageError('a session wants %d bytes of identity and %d of key, not %d and %d'
                             % (IDENTITY_SIZE, KEY_SIZE, len(identity), len(key)))
        super(Session, self).__init__(loop, PROGRAM_SENDS, EXECUTOR_SENDS, window, MAX_EXECUTOR_RECORD)
        self.identity = identity
        self.key = key
        #: The counter of the last HELLO that was answered.
        self.counter = 0
        self.on_connected = self.on_started = self.on_not_started = self.on_exited = _ignore
        self.on_broken = self.on_settled = _ignore
        #: For the hub: called once when no new connection is of use, and once when no descriptor is held any more.
        self.on_closed = self.on_gone = _ignore
        self._lost_after = lost_after
        self._phase = 'new'             # then connected, started (START is sent), running, over
        self._timer = None              # lost, or lingering
        self._is_left = False           # by an executor that has everything
        self._returncode = None
        self._must_drain = set()        # channels whose sinks on_exited waits for,
        self._drained = {}              # and the offsets up to which they must have written
        self._is_shut = False           # on_closed was called
        self._is_ending = False         # close() was
        #: Whether it is closed and holds no descriptor any more.
        self.is_gone = False

    def __repr__(self):
        return '<Session %s>' % ('closed' if self.is_closed or self._is_ending else self._phase)

    # -- the owner

    def attach(self, channel, descriptor, kind=PIPE, is_wanted=True):
        """Connect a stream (protocol.STDIN, STDOUT, STDERR) to a descriptor, which is the session's from now on.

        `kind` is request.PIPE for our end of a pipe that was made for this; another descriptor may be used by others
        too. Of STDIN is read only while it `is_wanted`, see :meth:`want_input`.
        """
        if channel == STDIN:
            self.attach_source(channel, descriptor, kind == PIPE, self._closed_one, is_wanted)
        else:
            self.attach_sink(channel, descriptor, kind == PIPE, self._closed_one, self._wrote)
            if kind != PIPE:
                self._must_drain.add(channel)

    def start(self, spec):
        """Have the command started: `spec` is the START message. What is attached must be so before."""
        if self._is_ending:
            return
        self._phase = 'started'
        if STDIN not in self.sources:
            self.link.end(STDIN)
        self.speak()
        self.send_message(spec)
        if not self.is_connected:
            self._await_connection()

    def signal(self, number):
        """Send the command a signal."""
        self.send_message({'type': 'SIGNAL', 'number': int(number)})

    def want_input(self, is_wanted):
        """Read standard input from now on, or do not."""
        if STDIN in self.sources:
            self.sources[STDIN].want(is_wanted)

    def close(self):
        """End the session: no connection, no call any more. What has arrived is still written, as far as it is read.

        Twice is fine.
        """
        if self._is_ending:
            return
        self._is_ending = True
        self._shut()
        for source in list(self.sources.values()):
            source.close()
        self.finish_sinks()
        self._look_whether_gone()

    def abandon(self):
        """End the session and close all at once."""
        self.close()
        super(Session, self).close()
        self._look_whether_gone()

    # -- what happens

    def adopt(self, sock, trailing=b''):
        """The executor has proved itself on a new connection."""
        self._cancel_timer()
        super(Session, self).adopt(sock, trailing, is_silent=self._phase in ('new', 'connected'))
        if self._phase == 'new' and self.is_connected:
            self._phase = 'connected'
            self.on_connected(self)

    def message_received(self, message):
        """A control message of the executor."""
        if self._is_ending:
            return
        kind = message['type']
        handler = self._HANDLERS.get(kind)
        if handler is None:
            logger.debug('an executor says %r, which is not known', kind[:100])
            return
        phase, handle = handler
        if self._phase != phase:
            raise ProtocolError('the executor says %s while the command is %s' % (kind, self._phase))
        handle(self, message)

    def connection_lost(self, error):
        """Wait for another connection, as long as there is something to wait for."""
        logger.debug('an executor\'s connection is gone: %s', error)
        if self._has_told_settled:
            self.close()
        elif self.link.is_settled:      # it has gone because it has everything; ours is still to be written
            self._is_left = True
        elif self._phase in ('started', 'running', 'over'):
            self._await_connection()

    def protocol_broken(self, error):
        """Nothing can be relied on but what is known already."""
        logger.warning('an executor breaks the protocol, its connection is closed: %s', error)
        self._give_up(error)

    def channel_ended(self, channel):
        """The executor says no more; nor do we."""
        if channel == CONTROL:
            if self._phase != 'over':
                raise ProtocolError('the executor falls silent while the command is %s' % self._phase)
            self.link.end(CONTROL)

    def _look_whether_settled(self):
        """Hang up first: who waits for the command is to find nothing of it left, and the executor needs no answer.

        Should it miss something it comes back, until the session is closed.
        """
        super(Session, self)._look_whether_settled()
        if (self.is_connected and self.link.has_nothing_to_hear and self.is_flushed and not self._is_ending
                and not any(sink.is_open for sink in self.sinks.values())):
            self.drop()
            if not self._has_told_settled:
                self._has_told_settled = True
                self.on_settled()
            # What these would tell has been told; with them goes what they hold on to.
            self.on_connected = self.on_started = self.on_not_started = self.on_broken = _ignore
            self._linger(LINGER_ALONE)

    def settled(self):
        """Stay for a while if the executor may still have to learn the same."""
        self._linger(0.0 if self._is_left else LINGER)
        self.on_settled()

    def _linger(self, delay):
        self._cancel_timer()
        self._timer = self.loop.call_later(delay, self.close)

    # -- control messages

    def _take_started(self, message):
        pid, hostname = message.get('pid'), message.get('hostname')
        if not _is_int(pid, 1) or not isinstance(hostname, six.text_type):
            raise ProtocolError('a STARTED without a pid or a hostname')
        self._phase = 'running'
        self.on_started(pid, hostname)

    def _take_not_started(self, message):
        self._phase = 'over'
        self.on_not_started(message)

    def _take_exited(self, message):
        returncode, drained = message.get('returncode'), message.get('drained')
        if not _is_int(returncode, -INT_MAX) or not isinstance(drained, dict) or not all(
                _is_int(offset, 0, MAX_OFFSET) for offset in drained.values()):
            raise ProtocolError('an EXITED without a returncode or offsets')
        self._returncode = returncode
        self._drained = dict((channel, drained.get(str(channel), 0)) for channel in (STDOUT, STDERR))
        self._phase = 'over'
        self._tell_exit()

    _HANDLERS = {
        'STARTED': ('started', _take_started),
        'NOT_STARTED': ('started', _take_not_started),
        'EXITED': ('running', _take_exited),
    }

    def _tell_exit(self, must=False):
        """Tell the return code, once, when all is written that must be."""
        if self._returncode is None or self._is_ending:
            return
        for channel in self._must_drain:
            sink = self.sinks[channel]
            if sink.is_open and sink.offset < self._drained[channel] and not must:
                return
        returncode, self._returncode = self._returncode, None
        self.on_exited(returncode)

    # -- what flows

    def _wrote(self, _sink):
        if self._returncode is not None:
            self._tell_exit()

    def _closed_one(self, _pump):
        if self._returncode is not None:
            self._tell_exit()
        self._look_whether_gone()

    def _look_whether_gone(self):
        if self._is_ending and not self.is_gone and not any(sink.is_open for sink in self.sinks.values()):
            self.is_gone = True
            self.on_gone(self)

    def _shut(self):
        """Be connected no more."""
        self._cancel_timer()
        self.drop()
        if not self._is_shut:
            self._is_shut = True
            self.on_closed(self)

    def _await_connection(self):
        self._cancel_timer()
        self._timer = self.loop.call_later(self._lost_after, self._lose_for_good)

    def _cancel_timer(self):
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _lose_for_good(self):
        self._give_up(ConnectionLost('the executor has not been heard of for %g s' % self._lost_after))

    def _give_up(self, error):
        """No connection any more; the owner hears why, or how the command ended, and closes the session."""
        self._shut()
        if self._phase == 'over':
            self._tell_exit(must=True)
            self.close()
        else:
            self.on_broken(error)


def _ignore(*_args):
    """Nobody wants to know."""


def _is_int(value, lowest, highest=INT_MAX):
    return isinstance(value, six.integer_types) and not isinstance(value, bool) and lowest <= value <= highest

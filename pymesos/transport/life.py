"""One life of a driver, from a start to its end: the engine, the mailbox, and all that is known of this life only."""
from __future__ import absolute_import, division, print_function

import logging
import os
import threading

from .._compat import is_main_thread, wait_for, wait_for_lock
from ..errors import CallRejected, ConnectionFailed, HttpError, MessageError, Stopped, UsageError
from ..wire import messages
from ..wire.session import is_about_subscription
from .channel import Call
from .engine import LEAVE_TIMEOUT, Engine
from .mailbox import Mailbox

__all__ = ['Life']

#: From so many waiting events on it is cheaper to wake the loop, which writes many calls at once, than to write each.
MANY = 8

logger = logging.getLogger(__name__)


class Life(object):
    """What one start of a driver brings about.

    `host` is the engine's (see :class:`pymesos.transport.engine.Engine`), `raised(life, exc_info)` is told what a
    callback raised. `previous` is the life before, whose last callback returns before the first of this one runs.
    """

    def __init__(self, name, settings, max_queued, host, raised, previous=None):
        #: Whether it was neither stopped nor has ended by itself.
        self.is_started = True
        #: Whether the events that wait are dropped.
        self.is_muted = False
        #: The number of a subscription that brought what is no event: the rest of it is dropped.
        self.spoilt = None
        #: The exception that ended it, and that with its traceback if a callback raised it.
        self.failure = None
        self.exc_info = None
        #: Set when its sockets are closed, and when its last callback has returned.
        self.loop_ended = threading.Event()
        self.ended = threading.Event()
        self._is_leaving = False
        self._has_many = False          # whether many events wait behind the one whose callback runs
        self._eaten = None              # what a call raised for the network, on the callbacks' thread
        self._pid = os.getpid()
        self.engine = Engine(host, name + '-loop', settings)
        self._mailbox = Mailbox(name + '-callbacks', max_queued, self.engine.resume,
                                lambda exc_info: raised(self, exc_info), previous and previous._mailbox,
                                self._fetch)

    def start(self, detector):
        """Start both threads. If the system has no more of them it raises what :class:`threading.Thread` does."""
        try:
            self._mailbox.start()
            self.engine.start(detector)
        except BaseException:
            self.is_started = False
            self.engine = None
            self._mailbox.close()
            self.ended.set()
            self.loop_ended.set()
            raise

    def stop(self, leaves):
        """End it, with a farewell if it `leaves`. Takes no lock: a signal handler may call it. Twice is fine."""
        engine = self.engine
        if engine is None or self.is_foreign():
            return
        self.is_started = False
        self.is_muted = True
        self._is_leaving = self._is_leaving or leaves
        engine.stop(leaves)

    def end(self):
        """The engine's last word, on its thread."""
        self.is_started = False
        self.engine = None
        self._mailbox.put(0, self.ended.set)
        self._mailbox.close()
        self.loop_ended.set()           # last: the next life may begin from here on

    def finish_leaving(self):
        """Wait until the farewell has left, for a few seconds at most."""
        if self._is_leaving and not self.is_foreign():
            self.loop_ended.wait(LEAVE_TIMEOUT + 1.0)

    def join(self):
        """Wait until the last callback has returned."""
        wait_for(self.ended)

    def is_foreign(self):
        """Whether this process was forked from the one whose threads these are."""
        return self._pid != os.getpid()

    def is_callback_thread(self):
        """Whether the caller is a callback of this life."""
        return self._mailbox.is_current_thread()

    def is_own_thread(self):
        """Whether the caller runs on one of the two threads."""
        return self.is_callback_thread() or self._is_loop_thread()

    def _is_loop_thread(self):
        engine = self.engine
        return engine is not None and engine.is_current_thread()

    @property
    def subscription(self):
        """The number of the current subscription, None while there is no engine."""
        engine = self.engine
        return engine and engine.subscriptions

    @property
    def last_failure(self):
        """Why the last try to subscribe failed, as text; '' if none has, or the life has ended. Any thread."""
        engine = self.engine
        return engine.session.last_failure if engine is not None else ''

    # ---- callbacks

    def put(self, size, function, *args):
        """Have `function(*args)` run on the callbacks' thread; whether there is room for more."""
        return self._mailbox.put(size, function, *args)

    def may_fetch(self):
        """Whether the callbacks' thread is awake. If so it calls the engine's ``read_lent`` when no callback waits."""
        return self._mailbox.may_fetch()

    def _fetch(self):
        # A child that a callback has forked must not read what is its parent's.
        engine = self.engine
        return engine is not None and not self.is_foreign() and engine.read_lent()

    def deliver(self, number, batch, driver, use_addict):
        """Call ``driver.on_event(event)`` for each of a batch of subscription `number`. On the callbacks' thread.

        A record that cannot be read ends the subscription.
        """
        left = len(batch)
        for record, event in batch:
            left -= 1
            self._has_many = left >= MANY or self._mailbox.waiting >= MANY
            if self.is_muted or number == self.spoilt:
                return
            if event is None:
                try:
                    event = messages.loads(record, use_addict)
                except MessageError as error:
                    self.spoilt = number
                    self.resubscribe(number, error)
                    return
            try:
                driver.on_event(event)
            except (CallRejected, ConnectionFailed, HttpError, Stopped) as error:
                # What a call of this driver raised because of the network, or because the subscription has ended and
                # Mesos noticed that first, is no fault of the callback that let it through. An update whose callback it
                # was comes again, as it is not acknowledged.
                if error is not self._eaten:
                    raise
                logger.warning('a callback made a call that came to nothing: %s', str(error))
            event = self._eaten = None          # its memory serves the next

    # ---- calls

    def call(self, body, path, headers, waits, may_wait=False, settled=None):
        """Send a call; if it `waits` the answer's bytes, else None at once. Otherwise the call itself `may_wait`, too.

        Raises CallRejected, ConnectionFailed, HttpError or Stopped if it waits. The loop's thread never waits. With
        `settled` it is lasting (:class:`pymesos.transport.channel.Call`): b'' when it is late, and `settled` is told of
        that and of the end.
        """
        # No engine among the locals: a traceback that somebody keeps would keep its descriptors, too.
        kind = body['type']
        if self.is_foreign():
            raise UsageError('%s: this process was forked from the one whose driver this is; use the driver there, '
                             'or make a new one here' % kind)
        if not waits or self._is_loop_thread():
            # Of many, as while a batch of updates is worked off, the loop writes several at once.
            self._submit(body, path, headers, _Forgetting(kind), True, not waits and not self._has_many, may_wait)
            return None
        answer = _Answer(settled)
        try:
            self._submit(body, path, headers, answer, False, True, is_lasting=settled is not None)
            return answer.get()
        except (CallRejected, ConnectionFailed, HttpError, Stopped) as error:
            if self.is_callback_thread() and (not isinstance(error, CallRejected) or is_about_subscription(error)):
                self._eaten = error
            raise

    def submit(self, body, path, headers, finished, is_forgotten=False, is_lasting=False):
        """Send a call and wait for nothing: `finished(body, error)` is called on the loop's thread.

        Of a call that `is_forgotten` only an error matters, and not soon: it may be told on any thread, and the call is
        written by the one that makes it, if that can be. For `is_lasting` see :class:`pymesos.transport.channel.Call`.
        """
        self._submit(body, path, headers, finished, is_forgotten, is_forgotten, is_lasting=is_lasting)

    def _submit(self, body, path, headers, finished, is_forgotten, is_hurried, may_wait=False, is_lasting=False):
        """With `is_hurried` the calling thread writes the call, if it can, and reads the answer, unless that is
        forgotten. The main thread never does: in the middle of it a signal handler may run, whose own call would wait
        for the loop, and the loop for the lock.
        """
        engine = self.engine
        call = Call(body['type'], path, headers, messages.dumps(body), finished, is_forgotten=is_forgotten,
                    may_wait=may_wait, is_lasting=is_lasting)
        if engine is None:
            finished(None, Stopped('%s: the driver is not running' % call.kind))
        elif is_hurried and self.is_started and not is_main_thread():
            engine.write_now(call)
        else:
            engine.submit(call)

    def resubscribe(self, number, error):
        """Give up subscription `number`, if it is still the current one, because of `error`, and make the next."""
        engine = self.engine
        if engine is not None:
            engine.lose(number, error)


class _Forgetting(object):
    """Takes the answer of a call that nobody waits for."""

    __slots__ = ('_kind',)

    def __init__(self, kind):
        self._kind = kind

    def __call__(self, _body, error):
        if isinstance(error, Stopped):
            logger.debug('%s came to nothing: %s', self._kind, str(error))
        elif error is not None:
            logger.warning('%s came to nothing: %s', self._kind, str(error))


class _Answer(object):
    """Where a call's answer is left for the thread that waits for it, or who is told when that has gone."""

    __slots__ = ('_lock', '_body', '_error', '_settled', '_is_left')

    def __init__(self, settled=None):
        self._body = self._error = None
        self._settled = settled
        self._is_left = False
        # A bare lock: the engine always answers, within the call's deadline, so nothing has to time out here.
        self._lock = threading.Lock()
        self._lock.acquire()

    def __call__(self, body, error):
        if self._is_left:
            self._settled(body, error)
        else:
            self._body, self._error = body, error
            self._lock.release()

    def late(self, error):
        """Let the thread go; what comes now is for `settled`."""
        self._settled.late(error)
        self._is_left, self._body = True, b''
        self._lock.release()

    def is_wanted(self):
        """Whether the call still is."""
        return self._settled.is_wanted()

    def get(self):
        """Wait for the answer: its bytes, or the error is raised."""
        wait_for_lock(self._lock)
        if self._error is not None:
            raise self._error
        return self._body

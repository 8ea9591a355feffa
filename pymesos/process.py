"""What the drivers have in common: one subscription, its thread and the thread of the callbacks."""
from __future__ import absolute_import, division, print_function

import atexit
import logging
import random
import sys
import threading
import traceback
import weakref

from six.moves import _thread

from ._compat import getfullargspec, is_main_thread, reraise, wait_for
from .detector import detect
from .errors import MessageError, Stopped, SubscriptionEnded
from .transport.engine import Settings
from .transport.life import Life
from .transport.tls import make_context
from .utils import DAY, parse_address
from .wire import events, messages
from .wire.backoff import Backoff
from .wire.recordio import DEFAULT_MAX_RECORD
from .wire.session import Terms

__all__ = ['Process', 'dict_in', 'list_in', 'parameters_of']

#: The longest delay between two tries of a scheduler, in seconds (PROTOCOL 2.3).
BACKOFF_CAP = 15.0

#: What Mesos announces, for masters that announce nothing (PROTOCOL 9).
DEFAULT_HEARTBEAT = 15.0

#: How long a connection may take, in seconds.
CONNECT_TIMEOUT = 10.0

#: How long a call may take, and SUBSCRIBE until the SUBSCRIBED event, in seconds (PROTOCOL 2.3).
CALL_TIMEOUT = 75.0

#: Bytes of events that may wait for the callbacks before the loop stops reading.
MAX_QUEUED = 8 * 1024 * 1024

logger = logging.getLogger(__name__)

#: Drivers that were started, and whether the exit of the interpreter already waits for their farewells.
_running = weakref.WeakSet()
_exit_hooks = []


def _finish_leaving():
    """Give the farewells of drivers that were just stopped the time to leave before the interpreter does."""
    for process in list(_running):
        process.finish_leaving()


def _remember(process):
    _running.add(process)
    if not _exit_hooks:
        _exit_hooks.append(atexit.register(_finish_leaving))


class Process(object):
    """A driver's life: start, stop, and what happens in between.

    Two threads: the loop's (sockets, timers; it never runs user code) and one that runs the callbacks, one at a time
    and in order of arrival. No lock is held while a callback runs. Between them events wait, up to `max_queued`
    bytes; above that the loop stops reading.

    Subclasses supply :meth:`gen_request` and :meth:`on_event`, and override the hooks that begin with an underscore.

    :param master: the address, or None until :meth:`change_master` tells.
    :param timeout: seconds without a subscription after which the driver gives up.
    :param use_addict: whether events are ``addict.Dict``.
    :param tls: see :func:`pymesos.transport.tls.make_context`; given, every connection speaks TLS.
    :param connect_timeout: seconds that a connection may take.
    :param call_timeout: seconds that a call may take.
    :param max_record: the largest event in bytes that is accepted.
    :param max_queued: bytes of events that may wait for the callbacks.
    """

    #: Set it to have an exception of a callback interrupt the main thread with KeyboardInterrupt.
    interrupt_main = False

    #: The name of the threads.
    _thread_name = 'pymesos'

    #: The events that are known, see :mod:`pymesos.wire.events`.
    _events = {}

    #: The types whose events only the callbacks need: these are decoded on their thread.
    _late_types = frozenset()

    _returns_after_loss = True
    _heartbeat = DEFAULT_HEARTBEAT

    def __init__(self, master=None, timeout=DAY, use_addict=False, tls=None, connect_timeout=CONNECT_TIMEOUT,
                 call_timeout=CALL_TIMEOUT, max_record=DEFAULT_MAX_RECORD, max_queued=MAX_QUEUED):
        self.master_uri = master
        self._master = None
        self._stream_id = None
        self._timeout = timeout
        self._use_addict = use_addict
        self._dict_cls = messages.Dict if use_addict else dict
        self._tls = tls
        self._connect_timeout = connect_timeout
        self._call_timeout = call_timeout
        self._max_record = max_record
        self._max_queued = max_queued
        self._opened_id = None
        self._told = None               # what error() itself raised
        self._life = None               # the current or the last one
        # Guards the change from one life to the next in start().
        self._start_lock = threading.Lock()

    # ---- what users see

    @property
    def aborted(self):
        """Whether the driver is not running: not started yet, stopped, or ended by an error."""
        return not self._started

    @property
    def _started(self):
        life = self._life
        return life is not None and life.is_started

    @property
    def connected(self):
        """Whether there is a subscription."""
        return self.stream_id is not None

    @property
    def master(self):
        """``host:port`` of the peer in use, None before the first."""
        return self._master

    @property
    def stream_id(self):
        """The Mesos-Stream-Id of the subscription, ``''`` where the peer gives none, None while there is none."""
        return self._stream_id

    @property
    def failure(self):
        """The exception that ended the driver, None if it runs or was stopped."""
        life = self._life
        return life and life.failure

    def start(self):
        """Start the threads. Does nothing, with a warning, while the driver runs.

        Returns at once, but for the last callback of an earlier life: that is waited for unless it is the caller.
        Raises :class:`pymesos.errors.InvalidAddress` if the address cannot be used.
        """
        while True:
            with self._start_lock:
                if self._started:
                    logger.warning('the driver is started already')
                    return
                life = self._life
                is_callback = life is not None and life.is_callback_thread()
                if life is None or (life.loop_ended.is_set() and (is_callback or life.ended.is_set())):
                    self._begin_life(life)
                    return
            # Without the lock: the last callback of the life that ends may be waiting for it, in start(). It is the
            # one thing that is not waited for.
            wait_for(life.loop_ended)
            if not is_callback:
                life.join()

    def stop(self):
        """End the driver; returns at once, from any thread, callbacks and signal handlers included.

        A callback that is under way goes on; those that wait are dropped. Twice is fine, and so is before start.
        """
        self._end_life(False)

    def abort(self):
        """End the driver without a farewell: tasks live on as if this program had crashed."""
        self._end_life(False)

    def join(self):
        """Wait until the driver has ended and its last callback has returned; returns None.

        Returns at once inside a callback. On the main thread it raises what a callback raised.
        """
        life = self._life
        if life is None or life.is_own_thread():
            return
        life.join()
        if is_main_thread() and life.exc_info is not None:
            exc_info, life.exc_info = life.exc_info, None
            reraise(*exc_info)

    def run(self):
        """:meth:`start` and :meth:`join`. May be called again once the driver has ended."""
        self.start()
        self.join()

    def finish_leaving(self):
        """Wait, for a few seconds at most, until the farewell of :meth:`stop` has left."""
        life = self._life
        if life is not None:
            life.finish_leaving()

    def change_master(self, new_master):
        """Subscribe at another address, text such as ``host:port``; None to hang up and wait for the next."""
        if self._life is None:
            self.master_uri = new_master
        else:
            self._lead(() if new_master is None else (parse_address(new_master, scheme=self._scheme),))

    # ---- for subclasses

    def gen_request(self):
        """The bytes of the SUBSCRIBE request. Loop's thread."""
        return b''

    def on_event(self, event):
        """Call the ``on_`` method of the event's type with the event's data.

        `event` is the dict as it came. Callbacks' thread. Looked up on the instance for every event.
        """
        try:
            kind, data = events.read(event, self._events)
        except MessageError as error:
            logger.error('ignored an event of %s: %s', self.master, error)
            return
        handler = getattr(self, 'on_' + kind.lower(), None) if kind in self._events else None
        if handler is None:
            logger.info('ignored an event of the unknown type %r', kind)
            return
        handler(data)

    def on_close(self):
        """A subscription ended. Callbacks' thread."""

    def _backoff(self):
        return Backoff(cap=BACKOFF_CAP, random=random.random)

    def _patience(self):
        """Seconds after a loss without a new subscription after which to give up."""
        return self._timeout

    def _request_headers(self):
        """Headers of a call besides Host and Content-Length, as a list of pairs."""
        return [('Content-Type', 'application/json'), ('Accept', 'application/json')]

    def _take_failure(self, error):
        """The driver has given up. Callbacks' thread."""

    def _take_exception(self, error):
        """A callback raised `error`. Callbacks' thread."""

    def _call_user(self, target, name, *args):
        """Call `target.name(driver, *args)`; a callback that is missing counts as empty."""
        callback = getattr(target, name, None)
        if callback is None:
            return
        try:
            callback(self, *args)
        except BaseException as error:
            if name == 'error':
                self._told = error
            raise

    def _dicts_in(self, message, name):
        """The objects in the list under `name` as the user wants them, [] where a peer sent none or something else."""
        found = message.get(name)
        if isinstance(found, list) and set(map(type, found)) == {self._dict_cls}:
            return found                # as it came over the wire
        return [self._as_dict(one) for one in list_in(message, name)]

    def _as_dict(self, value):
        """`value` as the user wants dicts; what came over the wire is so already."""
        if value is None or (isinstance(value, dict) and not isinstance(value, self._dict_cls)):
            return self._dict_cls(value or {})
        return value

    # ---- calls

    def _post(self, body, path, headers, waits=True, may_wait=False, settled=None):
        """Send a call; if it `waits` the answer's bytes, else None at once. Otherwise the call itself `may_wait`, too.
        For `settled` see :meth:`pymesos.transport.life.Life.call`.

        Raises CallRejected, ConnectionFailed, HttpError or Stopped if it waits. Any thread but the loop's may wait.
        """
        life = self._life
        if life is None:
            raise Stopped('%s: the driver is not running' % body['type'])
        return life.call(body, path, headers, waits, may_wait, settled)

    def _subscription(self):
        """The number of the current subscription, None while the driver does not run."""
        return self._life and self._life.subscription

    # ---- one life

    @property
    def _scheme(self):
        return 'http' if self._tls is None else 'https'

    def _begin_life(self, previous):
        # First what may fail, so that nothing is left of it.
        settings = self._settings()
        detector = _Nobody() if self.master_uri is None else detect(self.master_uri, self._lead, self._scheme)
        detector.prepare()
        try:
            life = Life(self._thread_name, settings, self._max_queued, self, self._raised, previous)
            self._stream_id = None
            self._life = life
            _remember(self)
            life.start(detector)
        except BaseException:
            detector.stop()
            raise

    def _lead(self, candidates):
        engine = self._life and self._life.engine
        if engine is not None:
            engine.lead(candidates)

    def _settings(self):
        # What was asked for is looked at now; the system's authorities only if an address turns out to be https.
        context = make_context(self._tls) if self._tls is not None else None
        terms = Terms(answer=self._call_timeout, first_patience=self._timeout, patience=self._patience(),
                      settled=BACKOFF_CAP, returns=self._returns_after_loss)
        return Settings(backoff=self._backoff(), terms=terms, dial_timeout=self._connect_timeout,
                        call_timeout=self._call_timeout, max_record=self._max_record, heartbeat=self._heartbeat,
                        use_addict=self._use_addict, late_beginnings=messages.beginnings(self._late_types),
                        tls_context=context)

    def _end_life(self, leaves):
        """No lock is taken here: it may be called from a signal handler."""
        life = self._life
        if life is not None:
            life.stop(leaves)

    def _raised(self, life, exc_info):
        """A callback raised, and this is its thread: end without a farewell, and tell."""
        life.exc_info = exc_info
        life.failure = exc_info[1]
        life.stop(False)
        try:
            _show(exc_info)
            if exc_info[1] is not self._told:
                self._take_exception(exc_info[1])
        except BaseException:           # error() is user code, and so is the handler of a logger
            logger.exception('telling of it raised as well')
        finally:
            self._told = None
        if self.interrupt_main:
            _thread.interrupt_main()

    def _deliver(self, life, number, batch):
        life.deliver(number, batch, self, self._use_addict)

    # ---- what the engine tells (its host), on the loop's thread

    def preamble_for(self, address):
        """See :class:`pymesos.transport.engine.Engine`."""
        self._master = str(address)
        return None

    def preamble_answered(self, head, body):
        """See :class:`pymesos.transport.engine.Engine`."""

    def request_for(self, address):
        """See :class:`pymesos.transport.engine.Engine`."""
        self._master = str(address)
        return self.gen_request()

    def stream_opened(self, head):
        """See :class:`pymesos.transport.engine.Engine`."""
        self._opened_id = head.headers.get('mesos-stream-id', '')

    def was_subscribed(self, event):
        """See :class:`pymesos.transport.engine.Engine`."""
        self._stream_id = self._opened_id

    def deliver(self, number, batch):
        """See :class:`pymesos.transport.engine.Engine`."""
        life = self._life
        if not batch or life.is_muted:
            return True
        return life.put(sum(len(record) for record, _event in batch), self._deliver, life, number, batch)

    def may_fetch(self):
        """See :class:`pymesos.transport.engine.Engine`."""
        return self._life.may_fetch()

    def is_ending(self):
        """See :class:`pymesos.transport.engine.Engine`."""
        self._life.is_started = False
        self._stream_id = None

    def was_lost(self):
        """See :class:`pymesos.transport.engine.Engine`."""
        self._stream_id = None
        self._life.put(0, self.on_close)

    def farewell(self):
        """See :class:`pymesos.transport.engine.Engine`."""
        return None

    def left_unsaid(self):
        """See :class:`pymesos.transport.engine.Engine`."""

    def failed(self, error):
        """See :class:`pymesos.transport.engine.Engine`."""
        logger.error('the driver ends: %s', str(error))
        life = self._life
        life.failure = life.failure or error
        # Of an ERROR event the callbacks hear from the event itself.
        if not isinstance(error, SubscriptionEnded):
            life.put(0, self._take_failure, error)

    def ended(self):
        """See :class:`pymesos.transport.engine.Engine`."""
        self._stream_id = None
        self._life.end()


class _Nobody(object):
    """The detector of a driver that is told later where to go."""

    def prepare(self):
        """Nothing to get ready."""

    def start(self):
        """Nothing to look for."""

    def stop(self):
        """Nothing to stop."""


def dict_in(message, name):
    """The object under `name`, {} where a peer sent none or something else."""
    found = message.get(name)
    return found if isinstance(found, dict) else {}


def list_in(message, name):
    """The objects in the list under `name`, [] where a peer sent none or something else."""
    found = message.get(name)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def parameters_of(callback):
    """How many arguments a bound callback takes by position, and whether any number more.

    None where nobody can tell.
    """
    try:
        found = getfullargspec(callback)
    except (TypeError, ValueError):
        return None
    bound = 1 if getattr(callback, '__self__', None) is not None else 0
    return len(found.args) - bound, bool(found[1])


def _show(exc_info):
    """Log what a callback raised, or print it if nobody configured logging."""
    at = logger
    while at is not None:
        if any(not isinstance(handler, logging.NullHandler) for handler in at.handlers):
            logger.error('a callback raised; the driver ends', exc_info=exc_info)
            return
        at = at.parent if at.propagate else None
    sys.stderr.write('pymesos: a callback raised; the driver ends\n')
    traceback.print_exception(*exc_info)

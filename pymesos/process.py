"""What the drivers have in common: one subscription, its thread and the thread of the callbacks."""
from __future__ import absolute_import, division, print_function

import atexit
import logging
import os
import random
import sys
import threading
import traceback
import weakref

from six.moves import _thread

from ._compat import is_main_thread, reraise, wait_for
from .detector import detect
from .errors import ConnectionFailed, HttpError, MessageError, Stopped, SubscriptionEnded, UsageError
from .transport.channel import Call
from .transport.engine import LEAVE_TIMEOUT, Engine, Settings
from .transport.mailbox import Mailbox
from .transport.tls import make_context
from .utils import DAY, parse_address
from .wire import events, messages
from .wire.backoff import Backoff
from .wire.recordio import DEFAULT_MAX_RECORD
from .wire.session import Terms

__all__ = ['Process', 'dict_in']

#: The longest delay between two tries of a scheduler, in seconds (PROTOCOL 2.3).
BACKOFF_CAP = 15.0

#: What Mesos announces, for masters that announce nothing (PROTOCOL 9).
DEFAULT_HEARTBEAT = 15.0

#: How long a connection may take, in seconds.
CONNECT_TIMEOUT = 10.0

#: How long a call may take, and SUBSCRIBE until the SUBSCRIBED event, in seconds (PROTOCOL 2.3).
CALL_TIMEOUT = 75.0

#: Bytes of events that may wait for the callbacks before the loop stops reading.
MAX_QUEUED = 32 * 1024 * 1024

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
        self._started = False
        self._timeout = timeout
        self._use_addict = use_addict
        self._dict_cls = messages.Dict if use_addict else dict
        self._tls = tls
        self._connect_timeout = connect_timeout
        self._call_timeout = call_timeout
        self._max_record = max_record
        self._max_queued = max_queued
        self._failure = None
        self._exc_info = None
        self._engine = None
        self._mailbox = None
        self._is_leaving = False
        self._is_muted = False
        self._was_told = False                      # whether error() was called
        self._eaten = None                          # what a call raised, on the callbacks' thread, for the network
        self._pid = None
        self._opened_id = None
        self._spoilt = None                         # the number of a subscription with a record that is no event
        self._loop_ended = self._ended = None       # events of the current life
        # Guards the change from one life to the next in start().
        self._start_lock = threading.Lock()

    # ---- what users see

    @property
    def aborted(self):
        """Whether the driver is not running: not started yet, stopped, or ended by an error."""
        return not self._started

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
        return self._failure

    def start(self):
        """Start the threads; returns at once. Does nothing, with a warning, while the driver runs.

        Raises :class:`pymesos.errors.InvalidAddress` if the address cannot be used.
        """
        while True:
            with self._start_lock:
                if self._started:
                    logger.warning('the driver is started already')
                    return
                loop_ended, ended = self._loop_ended, self._ended
                is_callback = self._is_own_thread()
                if ended is None or (loop_ended.is_set() and (is_callback or ended.is_set())):
                    self._begin_life()
                    return
            # Without the lock: the last callback of the life that ends may be waiting for it, in start(). It is the
            # one thing that is not waited for.
            wait_for(loop_ended)
            if not is_callback:
                wait_for(ended)

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
        if self._is_own_thread():
            return
        if self._ended is not None:
            wait_for(self._ended)
        if is_main_thread() and self._exc_info is not None:
            exc_info, self._exc_info = self._exc_info, None
            reraise(*exc_info)

    def run(self):
        """:meth:`start` and :meth:`join`. May be called again once the driver has ended."""
        self.start()
        self.join()

    def finish_leaving(self):
        """Wait, for a few seconds at most, until the farewell of :meth:`stop` has left."""
        if self._is_leaving and self._pid == os.getpid():
            self._loop_ended.wait(LEAVE_TIMEOUT + 1.0)

    def change_master(self, new_master):
        """Subscribe at another address, text such as ``host:port``; None to hang up and wait for the next."""
        engine = self._engine
        if engine is None:
            self.master_uri = new_master
        elif new_master is None:
            engine.lead(())
        else:
            engine.lead((parse_address(new_master, scheme=self._scheme),))

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
        self._was_told = self._was_told or name == 'error'
        if callback is not None:
            callback(self, *args)

    def _as_dict(self, value):
        """`value` as the user wants dicts; what came over the wire is so already."""
        if value is None or (isinstance(value, dict) and not isinstance(value, self._dict_cls)):
            return self._dict_cls(value or {})
        return value

    def _is_own_thread(self):
        mailbox, engine = self._mailbox, self._engine
        return (mailbox is not None and mailbox.is_current_thread()) or (
            engine is not None and engine.is_current_thread())

    # ---- calls

    def _post(self, body, path, headers, wait=True):
        """Send a call; with `wait` the answer's bytes, else None at once.

        Raises CallRejected, ConnectionFailed or Stopped if it waits. Any thread but the loop's may wait.
        """
        engine = self._engine
        kind = body.get('type', '')
        if self._pid is not None and self._pid != os.getpid():
            raise UsageError('%s: this process was forked from the one whose driver this is; use the driver there, '
                             'or make a new one here' % kind)
        if engine is None:
            raise Stopped('%s: the driver is not running' % kind)
        answer = _Answer(kind, wait and not engine.is_current_thread())
        engine.submit(Call(kind, path, headers, messages.dumps(body), answer.take))
        try:
            return answer.get()
        except (ConnectionFailed, HttpError, Stopped) as error:
            if self._mailbox.is_current_thread():
                self._eaten = error
            raise

    def _submit(self, body, path, headers, finished):
        """Send a call and wait for nothing: `finished(body, error)` is called on the loop's thread."""
        self._engine.submit(Call(body['type'], path, headers, messages.dumps(body), finished))

    def _subscription(self):
        """The number of the current subscription, None while the driver does not run."""
        engine = self._engine
        return engine and engine.subscriptions

    def _resubscribe(self, number, error):
        """Give up subscription `number`, if it is still the current one, because of `error`, and make the next."""
        engine = self._engine
        if engine is not None:
            engine.lose(number, error)

    # ---- one life

    @property
    def _scheme(self):
        return 'http' if self._tls is None else 'https'

    def _begin_life(self):
        # First what may fail, so that nothing is left of it.
        settings = self._settings()
        detector = _Nobody() if self.master_uri is None else detect(self.master_uri, self._lead, self._scheme)
        engine = Engine(self, self._thread_name + '-loop', settings)
        mailbox = Mailbox(self._thread_name + '-callbacks', self._max_queued, engine.resume, self._raised)
        self._failure = self._exc_info = None
        self._is_leaving = self._is_muted = self._was_told = False
        self._spoilt = self._eaten = None
        self._pid = os.getpid()
        self._stream_id = None
        self._engine, self._mailbox = engine, mailbox
        self._loop_ended, self._ended = threading.Event(), threading.Event()
        self._started = True
        _remember(self)
        mailbox.start()
        engine.start(detector)

    def _lead(self, candidates):
        engine = self._engine
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
        engine = self._engine
        if engine is None or self._pid != os.getpid():
            return
        self._started = False
        self._is_muted = True
        self._is_leaving = self._is_leaving or leaves
        engine.stop(leaves)

    def _raised(self, exc_info):
        """A callback raised, and this is its thread: end without a farewell, and tell."""
        self._exc_info = exc_info
        self._failure = exc_info[1]
        self._end_life(False)
        try:
            _show(exc_info)
            if not self._was_told:
                self._take_exception(exc_info[1])
        except BaseException:           # error() is user code, and so is the handler of a logger
            logger.exception('telling of it raised as well')
        if self.interrupt_main:
            _thread.interrupt_main()

    def _deliver(self, number, batch):
        """Call :meth:`on_event` for each of a batch. A record that cannot be read ends its subscription."""
        use_addict = self._use_addict
        for record, event in batch:
            if self._is_muted or number == self._spoilt:
                return
            if event is None:
                try:
                    event = messages.loads(record, use_addict)
                except MessageError as error:
                    self._spoilt = number
                    self._resubscribe(number, error)
                    return
            try:
                self.on_event(event)
            except (ConnectionFailed, HttpError, Stopped) as error:
                # What a call of this driver raised because of the network is no fault of the callback that let it
                # through. An update whose callback it was comes again, as it is not acknowledged.
                if error is not self._eaten:
                    raise
                logger.warning('a callback made a call that came to nothing: %s', str(error))
            event = self._eaten = None          # its memory serves the next

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
        if not batch or self._is_muted:
            return True
        return self._mailbox.put(sum(len(record) for record, _event in batch), self._deliver, number, batch)

    def was_lost(self):
        """See :class:`pymesos.transport.engine.Engine`."""
        self._stream_id = None
        self._mailbox.put(0, self.on_close)

    def farewell(self):
        """See :class:`pymesos.transport.engine.Engine`."""
        return None

    def failed(self, error):
        """See :class:`pymesos.transport.engine.Engine`."""
        logger.error('the driver ends: %s', str(error))
        self._failure = self._failure or error
        # Of an ERROR event the callbacks hear from the event itself.
        if not isinstance(error, SubscriptionEnded):
            self._mailbox.put(0, self._take_failure, error)

    def ended(self):
        """See :class:`pymesos.transport.engine.Engine`."""
        self._started = False
        self._stream_id = None
        self._engine = None
        self._is_leaving = False
        self._mailbox.put(0, self._ended.set)
        self._mailbox.close()
        self._loop_ended.set()          # last: the next life may begin from here on


class _Answer(object):
    """Where a call's answer is left for the thread that waits for it."""

    __slots__ = ('_kind', '_waits', '_lock', '_body', '_error')

    def __init__(self, kind, waits):
        self._kind = kind
        self._waits = waits
        self._body = self._error = None
        # A bare lock: the engine always answers, within the call's deadline, so nothing has to time out here.
        self._lock = threading.Lock() if waits else None
        if waits:
            self._lock.acquire()

    def take(self, body, error):
        if not self._waits:
            if isinstance(error, Stopped):
                logger.debug('%s came to nothing: %s', self._kind, str(error))
            elif error is not None:
                logger.warning('%s came to nothing: %s', self._kind, str(error))
            return
        self._body, self._error = body, error
        self._lock.release()

    def get(self):
        if not self._waits:
            return None
        self._lock.acquire()
        if self._error is not None:
            raise self._error
        return self._body


class _Nobody(object):
    """The detector of a driver that is told later where to go."""

    def start(self):
        """Nothing to look for."""

    def stop(self):
        """Nothing to stop."""


def dict_in(message, name):
    """The object under `name`, {} where a peer sent none or something else."""
    found = message.get(name)
    return found if isinstance(found, dict) else {}


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

"""Carries out what a session orders, from one start of a driver to its end."""
from __future__ import absolute_import, division, print_function

import logging
import math
import threading
from collections import deque
from functools import partial

from ..errors import (EXCERPT_BYTES, CallRejected, ConnectionLost, MesosError, MessageError, Stopped,
                      SubscriptionEnded)
from ..utils import redirected_address
from ..wire import messages
from ..wire.session import ENDED, LEAVING, SUBSCRIBED, WAITING, Session, classify_status, is_over
from .channel import Channel
from .dial import Dial
from .loop import Loop
from .stream import Stream
from .tls import make_context

__all__ = ['Engine', 'Settings']

#: A subscription is lost after this many announced heartbeat intervals of silence (PROTOCOL 2.3).
MISSED_HEARTBEATS = 5

#: How long a stop waits for the answer to TEARDOWN before it hangs up all the same, in seconds.
LEAVE_TIMEOUT = 2.0

#: Seconds until it is looked again whether another thread has done reading.
LOOK_AGAIN = 0.001

logger = logging.getLogger(__name__)


class Settings(object):
    """What an engine needs to know; times in seconds, sizes in bytes.

    `backoff` and `terms` go to the session; `dial_timeout` is for one connection, `call_timeout` for one call;
    `max_record` the ceiling of one event; `heartbeat` the interval that is assumed when none is announced (None: no
    watch); `use_addict` the kind of the events' dicts; `tls_context` for https (None: the system's authorities).
    """

    def __init__(self, backoff, terms, dial_timeout, call_timeout, max_record, heartbeat, use_addict, late_beginnings,
                 tls_context):
        self.backoff = backoff
        self.terms = terms
        self.dial_timeout = dial_timeout
        self.call_timeout = call_timeout
        self.max_record = max_record
        self.heartbeat = heartbeat
        self.use_addict = use_addict
        self.late_beginnings = late_beginnings
        self.tls_context = tls_context


class Engine(object):
    """The loop's thread of one life of a driver.

    `host` is the driver's side; its methods are called on the loop's thread:

    - ``preamble_for(address)``: bytes of a request to ask before SUBSCRIBE, or None; ``preamble_answered(head, body)``
    - ``request_for(address)``: bytes of the SUBSCRIBE request
    - ``stream_opened(head)``: the answer to SUBSCRIBE was 200
    - ``was_subscribed(event)``: the SUBSCRIBED event came; the channel is ready
    - ``deliver(number, batch)``: a list of (record, event) of subscription `number`, the event None for records
      that begin as one of ``late_beginnings``; whether there is room for more. On the thread of :meth:`read_lent`, too
    - ``may_fetch()``: whether the callbacks' thread is awake, and if so will call :meth:`read_lent` when no callback
      waits
    - ``is_ending()``: an ERROR event came; it is delivered next, and nothing after it
    - ``was_lost()``: a subscription ended, for whatever reason
    - ``farewell()``: the call to send before leaving, or None
    - ``left_unsaid()``: it was told to leave while there was no subscription to say farewell on
    - ``failed(error)``: the engine gives up, with a MesosError
    - ``ended()``: the last word, whatever came before
    """

    def __init__(self, host, name, settings):
        self.loop = Loop()
        self.session = Session(settings.backoff, settings.terms)
        self.channel = None
        self.subscriptions = 0
        self._host = host
        self._settings = settings
        self._detector = None
        self._dial = None
        self._stream = None
        self._timers = {}
        self._under_way = deque()       # what was posted, and a call made after it must not overtake
        self._is_stopping = False
        self._is_losing = False         # a subscription is about to be given up
        self._thread = threading.Thread(target=self._run, name=name)
        self._thread.daemon = True
        self._do = {'dial': self._do_dial, 'subscribe': self._do_subscribe, 'hang_up': self._do_hang_up,
                    'arm': self._do_arm, 'disarm': self._do_disarm, 'tell_loss': host.was_lost,
                    'leave': self._do_leave, 'fail': self._do_fail, 'quit': self._do_quit}

    # ---- from any thread

    def start(self, detector):
        """Start the thread, and on it `detector`, whose listener is :meth:`lead`."""
        self._detector = detector
        self.loop.post(self._tell, 'started')
        self._thread.start()

    def stop(self, leaves):
        """End: `leaves` says whether to say farewell first. Takes no lock; a signal handler may call it."""
        self.loop.post(self._tell, 'left' if leaves else 'stopped')

    def lead(self, candidates):
        """Take the addresses of who may lead, () for nobody."""
        self.loop.post(self._tell, *(('led', tuple(candidates)) if candidates else ('unled',)))

    def submit(self, call):
        """Send a :class:`pymesos.transport.channel.Call` on the subscription's channel."""
        self._under_way.append(call)
        self.loop.post(self._submit, call, dropped=_refuse)

    def write_now(self, call):
        """Send a call like :meth:`submit`, without the loop's help where that is possible. Not on the main thread."""
        channel = self.channel
        if self._under_way or channel is None or not channel.write_now(call):
            self.submit(call)

    def lose(self, number, error):
        """Treat subscription `number` (see :attr:`subscriptions`) as lost because of `error`."""
        self._under_way.append(error)
        self.loop.post(self._lose, number, error)

    def resume(self):
        """Read on after ``deliver`` had said that there was no room."""
        self.loop.post(self._resume)

    def read_lent(self):
        """Read what the loop leaves to the callbacks' thread, on that thread, and deliver it; whether there was
        anything.
        """
        stream = self._stream
        return stream is not None and stream.read_lent(self._decode_plain, self._deliver_lent)

    def _deliver_lent(self, batch):
        # The stream was not closed yet, so that its subscription is the newest.
        return self._host.deliver(self.subscriptions, batch)

    def is_current_thread(self):
        """Whether the caller runs on the loop's thread."""
        return threading.current_thread() is self._thread

    # ---- the thread

    def _run(self):
        try:
            self.loop.run()
        except Exception as error:      # a fault of ours must not leave waiting threads behind
            logger.exception('the event loop failed')
            self._tell('crashed', MesosError('the event loop failed: %s' % error))
        finally:
            self._do_hang_up()
            self._detector.stop()
            self._timers.clear()
            self._do.clear()
            self._host.ended()

    def _tell(self, stimulus, fact=None):
        before = self.session.state
        self._is_stopping = self._is_stopping or stimulus in ('stopped', 'left')
        orders = self.session.handle(stimulus, fact)
        if stimulus == 'left' and self.session.state == ENDED != before:
            self._host.left_unsaid()
        if self.session.state != before:
            logger.debug('%s: %s -> %s', stimulus, before, self.session.state)
        for order in orders:
            self._do[order.name](*order.args)
        if stimulus == 'started' and self.session.state != ENDED:
            self._detector.start()

    def _lose(self, number, error):
        if number == self.subscriptions and self.session.state == SUBSCRIBED:
            # What Mesos has sent before counts, but nothing is asked of it any more.
            self._is_losing = not self._stream.abandon(error)
            if self._is_losing:
                self.loop.call_later(LOOK_AGAIN, self._lose, number, error)
                return
        self._is_losing = False
        self._under_way.popleft()

    def _submit(self, call):
        if self.channel is None or self._is_losing:
            call.finished(None, self._unanswered('not subscribed any more: %s was not sent' % call.kind))
        else:
            self.channel.submit(call)
        self._under_way.popleft()

    def _unanswered(self, text):
        if self._is_stopping:
            return Stopped(text)
        return ConnectionLost(text, str(self.session.address))

    def _call_refused(self, number, error):
        """End subscription `number` if Mesos knows of none: the stream may look alive for long, with what is between
        us saying nothing. Not where there is no other to follow."""
        if self._settings.terms.returns and is_over(error.body):
            # Another exception, as that one gets the frames of the user's code, which nobody is to keep.
            self.lose(number, ConnectionLost(str(error), error.address))

    def _resume(self):
        if self._stream is not None:
            self._stream.resume()

    # ---- orders

    def _do_arm(self, timer, seconds):
        self._do_disarm(timer)
        self._timers[timer] = self.loop.call_later(seconds, self._tell, timer)

    def _do_disarm(self, timer):
        armed = self._timers.pop(timer, None)
        if armed is not None:
            armed.cancel()

    def _do_dial(self, address):
        self._dial = Dial(self.loop, address, self._settings.dial_timeout, self._dialled, self._dial_failed,
                          self._context_for(address))

    def _context_for(self, address):
        if address.is_tls and self._settings.tls_context is None:
            self._settings.tls_context = make_context()
        return self._settings.tls_context

    def _do_subscribe(self):
        address = self.session.address
        preamble = self._host.preamble_for(address)
        if preamble is not None:
            self._stream.ask(preamble, self._preamble_answered)
        else:
            self._stream.subscribe(self._host.request_for(address))

    def _do_hang_up(self):
        if self._dial is not None:
            self._dial.cancel()
            self._dial = None
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        if self.channel is not None:
            channel, self.channel = self.channel, None
            channel.close(self._unanswered('the subscription ended before the answer came'))

    def _do_leave(self):
        call = self._host.farewell()
        if call is None or self.channel is None:
            self._tell('leave_done')
            return
        finished = call.finished

        def left(body, error):
            finished(body, error)
            self._tell('leave_done')

        call.finished = left
        self._timers['leave_done'] = self.loop.call_later(LEAVE_TIMEOUT, self._tell, 'leave_done')
        self.channel.submit(call)

    def _do_fail(self, error):
        error.__traceback__ = None      # its frames would keep this engine alive for as long as the driver
        self._host.failed(error)
        self.loop.close()

    def _do_quit(self):
        self.loop.close()

    # ---- what the dial and the stream tell

    def _dialled(self, sock):
        self._dial = None
        address = self.session.address
        self._stream = Stream(self.loop, sock, address, self, self._settings.max_record)
        self._tell('dialled')

    def _dial_failed(self, error):
        self._dial = None
        self._tell('dial_failed', error)
        self._log_retry(error)

    def _preamble_answered(self, head, body):
        self._host.preamble_answered(head, body)
        if self._stream is not None:
            self._stream.subscribe(self._host.request_for(self.session.address))

    def stream_answered(self, head):
        """The head of the answer to SUBSCRIBE."""
        if head.status == 200:
            self._host.stream_opened(head)
            self._tell('accepted')

    def stream_refused(self, head, text):
        """The whole answer to SUBSCRIBE, which is not a stream."""
        address = self.session.address
        stimulus = classify_status(head.status)
        fact = CallRejected('Failed to subscribe at %s: HTTP status %d: %s'
                            % (address, head.status, _one_line(text) or head.reason),
                            head.status, text, 'SUBSCRIBE', str(address))
        reason = fact
        if stimulus == 'redirected':
            try:
                fact = redirected_address(head.headers.get('location', ''), address)
                reason = '%s does not lead, it points to %s' % (address, fact)
            except MesosError as error:
                stimulus, reason = 'unavailable', error
        self._tell(stimulus, fact)
        self._log_retry(reason)

    def stream_records(self, records):
        """A batch of records, in order; whether there is room for more.

        To wake two threads for every single record is dearer than what is done with it. So while they come one after
        the other the thread of the callbacks reads them itself.
        """
        has_room = self._take_records(records)
        if has_room and self._stream is not None:
            self._stream.lend(self._host.may_fetch)
        return has_room

    def _decode_plain(self, records):
        """Any thread: records and their events, as they are delivered; None if one is more than that, or no event."""
        batch = []
        for record in records:
            event = None
            if not record.startswith(self._settings.late_beginnings):
                try:
                    event = messages.loads(record, self._settings.use_addict)
                except MessageError:
                    return None
                if event.get('type') in ('SUBSCRIBED', 'ERROR'):
                    return None
            batch.append((record, event))
        return batch

    def _take_records(self, records):
        """Hand records over; whether there is room for more.

        Those of an OFFERS event and the like are decoded by the thread of the callbacks, one at a time: the loop is
        free meanwhile, and what is decoded is in the processor's cache when the callback looks at it.
        """
        late = self._settings.late_beginnings
        batch = []
        for record in records:
            if record.startswith(late):
                batch.append((record, None))
                continue
            try:
                event = messages.loads(record, self._settings.use_addict)
            except MessageError:
                self._host.deliver(self.subscriptions, batch)       # what came before a bad record is good
                raise
            batch.append((record, event))
            kind = event.get('type')
            if kind == 'SUBSCRIBED' and self.session.state != SUBSCRIBED:
                self._subscribed(event)
            elif kind == 'ERROR':
                # All that came before it, and itself, still reach the callbacks.
                self._host.is_ending()
                has_room = self._host.deliver(self.subscriptions, batch)
                self._errored(event)
                return has_room
        return self._host.deliver(self.subscriptions, batch)

    def stream_ended(self, error):
        """The stream's socket is closed."""
        if self.session.state == LEAVING:       # as it should be; the answer to the farewell is still to come
            return
        self._tell('lost', error)
        self._log_retry(error)

    def _subscribed(self, event):
        address = self.session.address
        settings = self._settings
        number = self.subscriptions + 1
        self.channel = Channel(self.loop, address, settings.dial_timeout, settings.call_timeout,
                               self._context_for(address), partial(self._call_refused, number))
        self.subscriptions = number
        logger.info('subscribed at %s', address)
        self._tell('subscribed')
        self._host.was_subscribed(event)
        interval = _heartbeat_of(event, settings.heartbeat)
        if interval is not None:
            self._stream.watch_silence(MISSED_HEARTBEATS * interval)

    def _errored(self, event):
        payload = event.get('error')
        reason = payload.get('message') if isinstance(payload, dict) else None
        text = '%s ended the subscription: %s' % (self.session.address, reason)
        self._tell('errored', SubscriptionEnded(text, reason))

    def _log_retry(self, reason):
        if self.session.state == WAITING:
            # As text: an exception kept by a log handler would keep this engine, and its descriptors, alive.
            logger.warning('%s; trying again in %.1f seconds', str(reason), self.session.delay)


def _refuse(call):
    call.finished(None, Stopped('the driver was stopped before %s was sent' % call.kind))


def _one_line(text):
    """What a peer gives as a reason, which may be a whole page."""
    text = ' '.join(text.split())
    return text if len(text) <= EXCERPT_BYTES else text[:EXCERPT_BYTES] + '...'


def _heartbeat_of(event, default):
    """The announced interval in seconds; `default` where there is none that makes sense."""
    payload = event.get('subscribed')
    interval = payload.get('heartbeat_interval_seconds') if isinstance(payload, dict) else None
    is_number = isinstance(interval, (int, float)) and not isinstance(interval, bool)
    if is_number and not math.isinf(interval) and interval > 0:
        return interval
    return default

"""The executor's driver: tasks in, status updates out, none of them lost."""
from __future__ import absolute_import, division, print_function

import atexit
import logging
import os
import random
import signal
import threading
import time
import uuid
from binascii import Error as Base64Error
from collections import OrderedDict

from ._compat import native_text
from .errors import CallRejected, ConnectionFailed, ProtocolError, Refused, Stopped, UsageError, excerpt
from .interface import ExecutorDriver
from .process import Process, dict_in, list_in, parameters_of
from .transport.tls import context_from_environment
from .utils import DAY, decode_data, encode_data, parse_duration
from .wire import calls, events, httpmsg, messages
from .wire.backoff import Spread
from .wire.session import classify_status

__all__ = ['MesosExecutorDriver']

PATH = '/api/v1/executor'

#: What an agent allows unless its flags say otherwise (PROTOCOL 3.3).
DEFAULT_RECOVERY_TIMEOUT = '15mins'
DEFAULT_BACKOFF_MAX = '2secs'

#: The part of MESOS_SUBSCRIPTION_BACKOFF_MAX that delays are drawn from. An agent that was started again waits for its
#: executors that long and no longer, so that one whom it has just refused has to come again well before.
BACKOFF_SHARE = 0.5

#: Seconds between two HEARTBEAT calls, which keep proxies from closing a connection that has nothing to say
#: (PROTOCOL 3.1).
HEARTBEAT_INTERVAL = 1800.0

#: Seconds before an update whose call came to nothing is sent again, where re-subscribing is not possible.
RESEND_DELAY = 1.0

#: How many of the uuids that were used are remembered, to notice a status dict that is sent a second time.
REMEMBERED_UUIDS = 1000

#: What an executor may report (PROTOCOL 2.5, 3.1).
STATES = ('TASK_DROPPED', 'TASK_ERROR', 'TASK_FAILED', 'TASK_FINISHED', 'TASK_GONE', 'TASK_GONE_BY_OPERATOR',
          'TASK_KILLED', 'TASK_KILLING', 'TASK_LOST', 'TASK_RUNNING', 'TASK_STARTING', 'TASK_UNKNOWN',
          'TASK_UNREACHABLE')

#: What the driver supplies where an update lacks it.
_FILLED_IN = ('uuid', 'timestamp', 'source')

logger = logging.getLogger(__name__)


class MesosExecutorDriver(Process, ExecutorDriver):
    """Connects an executor with the agent that started it.

    :param executor: the object whose callbacks are called, such as a :class:`pymesos.Executor`; what it lacks counts as
        an empty callback. ``killTask`` gets the kill policy as a third argument if it takes one.
    :param use_addict: whether callbacks get ``addict.Dict`` in place of dict.
    :param timeout: seconds after which the driver gives up if it never gets a subscription.
    :param http_timeout: seconds that the agent may take to answer a call.
    :param options: see :class:`pymesos.process.Process`.

    The environment that the agent made is read here, not at :meth:`start`; the authentication token is removed from
    it. Raises :class:`~pymesos.errors.UsageError` if it lacks what an executor is given. Source: PROTOCOL 3.
    """

    _thread_name = 'pymesos-executor'
    _events = events.EXECUTOR
    _late_types = frozenset(['HEARTBEAT', 'KILL', 'MESSAGE'])
    _heartbeat = None           # an agent announces none, and sends one every 30 minutes if it is not too old

    def __init__(self, executor, use_addict=False, timeout=DAY, http_timeout=10, **options):
        environ = os.environ
        options.setdefault('tls', context_from_environment(environ))
        options.setdefault('call_timeout', http_timeout)
        self.checkpoint = environ.get('MESOS_CHECKPOINT', '').strip().lower() in ('1', 'true')
        self.local = bool(environ.get('MESOS_LOCAL'))
        self.grace_shutdown_period = _seconds(environ, 'MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD', '0secs')
        self.recovery_timeout = _seconds(environ, 'MESOS_RECOVERY_TIMEOUT', DEFAULT_RECOVERY_TIMEOUT)
        self.subscription_backoff_max = _seconds(environ, 'MESOS_SUBSCRIPTION_BACKOFF_MAX', DEFAULT_BACKOFF_MAX)
        # An agent that restarts waits no longer than this for its executors, so one try must not take longer.
        options.setdefault('connect_timeout', max(0.5, min(http_timeout, self.subscription_backoff_max)))
        super(MesosExecutorDriver, self).__init__(master=_agent_address(environ), timeout=timeout,
                                                  use_addict=use_addict, **options)
        self.framework_id = {'value': _needed(environ, 'MESOS_FRAMEWORK_ID')}
        self.executor_id = {'value': _needed(environ, 'MESOS_EXECUTOR_ID')}
        self.executor = executor
        self.framework_info = None
        self.executor_info = None
        self._path = _path_prefix(environ) + PATH
        self._token = environ.pop('MESOS_EXECUTOR_AUTHENTICATION_TOKEN', None)
        # One list serves all calls.
        self._headers = super(MesosExecutorDriver, self)._request_headers() + self._authorization()
        self._returns_after_loss = self.checkpoint
        self._was_ever_subscribed = False
        # Guards the ledger: tasks, updates, _replayed and _used.
        self._ledger_lock = threading.Lock()
        self.tasks = OrderedDict()      # unacknowledged: task id -> TaskInfo
        self.updates = OrderedDict()    # unacknowledged: uuid.UUID -> {'status': TaskStatus}
        self._replayed = set()          # uuids that the latest SUBSCRIBE carried
        self._used = OrderedDict()      # uuid text -> what was sent under it, of the latest updates
        self._killer = None
        self._beat_timer = None

    # ---- calls

    def sendStatusUpdate(self, status):
        """Report the state of a task: TaskStatus, a dict; ``uuid``, ``timestamp`` and ``source`` are filled in.

        Returns when the agent has taken it. While there is no connection, or if it breaks meanwhile, the update is
        kept and sent with the next subscription, in order; if the agent takes longer than `http_timeout` to answer it
        goes on without being waited for. It is forgotten only when the agent has acknowledged it.
        Raises :class:`~pymesos.errors.CallRejected` if the agent refuses it, and then does not keep it. From any
        thread. Source: PROTOCOL 3.1, 3.4.
        """
        key = self._enter(status)
        body = calls.update(self.framework_id, self.executor_id, status)
        subscription = self._subscription()
        try:
            self._send(body)
        except UsageError:
            with self._ledger_lock:
                self.updates.pop(key, None)
            raise
        except (CallRejected, ConnectionFailed, ProtocolError, Stopped) as error:
            if not self._keeps(key, error, subscription):
                raise
            logger.warning('the update of task %s is kept: %s', _task_id(status), str(error))

    def _report(self, status, answered):
        """The same as :meth:`sendStatusUpdate` for a thread that must not wait: a refusal is only logged.

        Without a subscription the update waits for the next; else ``answered()`` is called once, on any thread and
        perhaps not soon, when the agent has taken the update or it is clear that it has not.
        """
        self._enter(status)
        if self.connected:
            self._resend(status, answered, is_forgotten=True)
        else:
            answered()

    def _keeps(self, key, error, subscription):
        """Whether the update `key` stays in the ledger although sending it ended with `error`.

        It does unless the agent refused the update itself. An agent that has just restarted says 503, or 403, until
        it knows its executors again (PROTOCOL 3.1); then, as when the connection broke, the next subscription tells it
        all. Without checkpoint there is no next one: the update goes again on its own, as long as the stream lives.
        """
        is_refusal = isinstance(error, CallRejected) and error.status != 403
        if is_refusal and classify_status(error.status) != 'unavailable':
            with self._ledger_lock:
                self.updates.pop(key, None)
            return False
        life = self._life
        if life is None or isinstance(error, Stopped):
            return True
        if self.checkpoint:
            life.resubscribe(subscription, error)
        else:
            self._resend_later(life, key)
        return True

    def _resend_later(self, life, key):
        engine = life.engine
        if engine is not None:
            engine.loop.post(engine.loop.call_later, RESEND_DELAY, self._resend_if_kept, key)

    def _resend_if_kept(self, key):
        with self._ledger_lock:
            update = self.updates.get(key)
        if update is not None and self.connected:
            self._resend(update['status'])

    def sendFrameworkMessage(self, data):
        """Send `data` (base64 text) to the scheduler; it may get lost. Dropped, with a WARNING, while disconnected."""
        self._send(calls.executor_message(self.framework_id, self.executor_id, data))

    def _send(self, body, path=None, method='POST', headers=None):
        """The seam through which every call leaves: `body` is the call as a dict. Returns the answer, {} if empty."""
        kind = calls.check(body, calls.EXECUTOR_CALLS)['type']
        if not self.connected:
            if kind == 'UPDATE':
                logger.info('not connected: the update of task %s waits', _task_id(body['update']['status']))
            else:
                logger.warning('%s is dropped: there is no subscription now', kind)
            return {}
        pairs = self._request_headers()
        if headers:
            pairs = pairs + sorted(headers.items())
        settled = self._settler(body['update']['status']) if kind == 'UPDATE' else None
        answer = self._post(body, path or self._path, pairs, settled=settled)
        return messages.loads(answer, self._use_addict) if answer else {}

    def _enter(self, status):
        """Supply what an update must have and enter it in the ledger; its key there."""
        # What distinguishes an update from a repetition of itself, and small enough to remember.
        content = messages.dumps({name: status[name] for name in status if name not in _FILLED_IN})
        fingerprint = hash(content)
        is_new = not any(name in status for name in _FILLED_IN)
        key = self._identify(status, fingerprint)
        status.setdefault('timestamp', time.time())
        status.setdefault('source', 'SOURCE_EXECUTOR')
        if status.get('state', 'TASK_RUNNING') not in STATES:
            # Kept for the next SUBSCRIBE it would have that refused, and with it everything else.
            raise UsageError('a status has the state %r: expected one of %s' % (status['state'], ', '.join(STATES)))
        # A copy: the caller may change its dict while this one waits for its acknowledgement.
        kept = messages.loads(content if is_new else messages.dumps(status))
        if is_new:
            kept.update(uuid=status['uuid'], timestamp=status['timestamp'], source=status['source'])
        with self._ledger_lock:
            self._used[status['uuid']] = fingerprint
            if len(self._used) > REMEMBERED_UUIDS:
                self._used.popitem(last=False)
            self.updates[key] = {'status': kept}
        return key

    def _identify(self, status, fingerprint):
        """Give an update its uuid, unless it has one, and say which it is."""
        text = status.get('uuid')
        if text and self._used.get(text, fingerprint) != fingerprint:
            # The caller's dict again, with other content: under the old uuid Mesos would take it for a repetition.
            text = None
            status.pop('timestamp', None)
        if not text:
            key = uuid.uuid4()
            status['uuid'] = encode_data(key.bytes)
            return key
        key = _uuid_of(text)
        if key is None:
            raise UsageError('a status has the uuid %s: expected 16 bytes in base64' % excerpt(text))
        return key

    # ---- the request of the subscription

    def gen_request(self):
        """The bytes of the SUBSCRIBE request, with all that is not acknowledged."""
        with self._ledger_lock:
            tasks = list(self.tasks.values())
            statuses = [update['status'] for update in self.updates.values()]
            self._replayed = set(self.updates)
        body = messages.dumps(calls.executor_subscribe(self.framework_id, self.executor_id, tasks, statuses))
        headers = [('Host', _host(self.master)), ('Content-Type', 'application/json'), ('Accept', 'application/json')]
        return httpmsg.request('POST', self._path, headers + self._authorization() + [('Connection', 'close')], body)

    def _authorization(self):
        return [('Authorization', 'Bearer ' + self._token)] if self._token else []

    def _request_headers(self):
        return self._headers

    def _backoff(self):
        return Spread(BACKOFF_SHARE * self.subscription_backoff_max, random.random)

    def _patience(self):
        return self.recovery_timeout

    # ---- what the engine tells, on the loop's thread

    def was_subscribed(self, event):
        """Send the updates that were made since SUBSCRIBE was written."""
        with self._ledger_lock:
            late = [update['status'] for key, update in self.updates.items() if key not in self._replayed]
            for status in late:
                self._resend(status)
            # Only now may others send: what is newer must not overtake what is older.
            super(MesosExecutorDriver, self).was_subscribed(event)
        self._was_ever_subscribed = True
        self._beat_later()

    def _beat_later(self):
        if self._beat_timer is not None:
            self._beat_timer.cancel()
        self._beat_timer = self._life.engine.loop.call_later(HEARTBEAT_INTERVAL, self._beat)

    def _beat(self):
        if self.connected:
            self._life.submit(calls.executor_heartbeat(self.framework_id, self.executor_id), self._path,
                              self._request_headers(), _forget_answer)
            self._beat_later()

    def _resend(self, status, answered=None, is_forgotten=False):
        self._life.submit(calls.update(self.framework_id, self.executor_id, status), self._path,
                          self._request_headers(), self._settler(status, answered), is_forgotten, is_lasting=True)

    def _settler(self, status, answered=None):
        return _Settler(self, status.get('uuid'), self._subscription(), answered)

    def deliver(self, number, batch):
        """Keep the ledger before any callback: a subscription may end while events wait for theirs."""
        kept = []
        for item in batch:
            event = item[1] or {}
            kind = event.get('type')
            if kind == 'LAUNCH':
                self._note_launch([dict_in(dict_in(event, 'launch'), 'task')])
            elif kind == 'LAUNCH_GROUP':
                self._note_launch(_tasks_of(dict_in(event, 'launch_group')))
            elif kind == 'ACKNOWLEDGED':
                self._note_acknowledged(dict_in(event, 'acknowledged'))
            elif kind == 'SHUTDOWN':
                self._arm_killer()
            # Of an acknowledgement there is nothing left to do: every update has one, and waking a thread is dear.
            if kind != 'ACKNOWLEDGED' or self._is_overridden():
                kept.append(item)
        return super(MesosExecutorDriver, self).deliver(number, kept)

    def _is_overridden(self):
        """Whether somebody has put a method of his own where ACKNOWLEDGED passes."""
        return (not {'on_event', 'on_acknowledged'}.isdisjoint(self.__dict__)
                or type(self).on_event != Process.on_event
                or type(self).on_acknowledged != MesosExecutorDriver.on_acknowledged)

    def failed(self, error):
        """Without its agent an executor has to go."""
        if self._has_lost_agent(error):
            self._arm_killer()
        super(MesosExecutorDriver, self).failed(error)

    def _has_lost_agent(self, error):
        return self._was_ever_subscribed and not isinstance(error, Refused)

    def ended(self):
        """Say what was not delivered: a later executor cannot know of it."""
        with self._ledger_lock:
            left = [_task_id(update['status']) for update in self.updates.values()]
        if left:
            logger.warning('the driver ends with %d updates that the agent has not acknowledged, of the tasks %s',
                           len(left), ', '.join(sorted(set(map(native_text, left)))[:10]))
        super(MesosExecutorDriver, self).ended()

    def _note_launch(self, tasks):
        with self._ledger_lock:
            for task in tasks:
                if _task_id(task) is not None:
                    self.tasks[_task_id(task)] = task

    def _note_acknowledged(self, event):
        """Forget an update; whether it was there. The first acknowledgement for a task lets go of the task, too."""
        key = _uuid_of(event.get('uuid'))
        with self._ledger_lock:
            if self.updates.pop(key, None) is None:
                return
            self.tasks.pop(_task_id(event), None)

    # ---- events, on the callbacks' thread

    def on_subscribed(self, info):
        """SUBSCRIBED: ``registered``, the first time; ``reregistered`` later."""
        is_first = self.executor_info is None or self.framework_info is None
        agent_info = self._as_dict(info.get('agent_info'))
        if is_first:
            self.executor_info, self.framework_info = info.get('executor_info'), info.get('framework_info')
            self._callback('registered', self._as_dict(self.executor_info), self._as_dict(self.framework_info),
                           agent_info)
        else:
            self._callback('reregistered', agent_info)

    def on_launch(self, event):
        """LAUNCH: ``launchTask``."""
        task = dict_in(event, 'task')
        if not task:
            logger.error('ignored an event of %s: a launch without a task', self.master)
            return
        if self._life is None:
            self._note_launch([task])
        self._callback('launchTask', self._as_dict(task))

    def on_launch_group(self, event):
        """LAUNCH_GROUP: ``launchTaskGroup`` with the list of tasks."""
        tasks = _tasks_of(event)
        if self._life is None:
            self._note_launch(tasks)
        self._callback('launchTaskGroup', [self._as_dict(task) for task in tasks])

    def on_kill(self, event):
        """KILL: ``killTask``, with the kill policy (None if there is none) if the method takes it."""
        args = [self._as_dict(event.get('task_id'))]
        if _takes_kill_policy(getattr(self.executor, 'killTask', None)):
            args.append(self._as_dict(event['kill_policy']) if 'kill_policy' in event else None)
        self._callback('killTask', *args)

    def on_acknowledged(self, event):
        """ACKNOWLEDGED: the agent has the update for good."""
        self._note_acknowledged(event)

    def on_message(self, event):
        """MESSAGE: ``frameworkMessage`` with base64 text."""
        self._callback('frameworkMessage', event.get('data'))

    def on_error(self, event):
        """ERROR: ``error``. The driver has ended by then."""
        self._callback('error', event.get('message'))

    def on_heartbeat(self, _event):
        """HEARTBEAT: the agent is there; that was noted when it came."""

    def on_shutdown(self, _event=None):
        """SHUTDOWN: ``shutdown``, and then the driver ends."""
        self._arm_killer()
        self._callback('shutdown')
        self.abort()

    def on_close(self):
        """The subscription ended: ``disconnected``."""
        self._callback('disconnected')

    def _take_failure(self, error):
        if self._has_lost_agent(error):
            self._callback('shutdown')
        else:
            self._callback('error', native_text(error))

    def _take_exception(self, error):
        self._callback('error', '%s: %s' % (type(error).__name__, native_text(error)))

    def _callback(self, name, *args):
        self._call_user(self.executor, name, *args)

    # ---- the end

    def _arm_killer(self):
        """Kill the process group once the grace period is over, whatever the callbacks do.

        Not where MESOS_LOCAL says that this is the agent's own process.
        """
        if self.local or self._killer is not None:
            return
        self._killer = threading.Timer(self.grace_shutdown_period, _kill_group)
        self._killer.name = 'pymesos-executor-killer'
        self._killer.daemon = True
        self._killer.start()
        atexit.register(_disarm, self._killer)


class _Settler(object):
    """Takes the answer to an update that nobody waits for.

    An agent may be too busy to answer in time. The subscription is kept then: to make another one would tell the agent
    that tasks on their way, which have not come yet, are lost.
    """

    __slots__ = ('_driver', '_uuid', '_is_entered', '_subscription', '_answered')

    def __init__(self, driver, uuid_text, subscription, answered):
        self._driver = driver
        self._uuid = uuid_text
        self._is_entered = uuid_text in driver._used    # what was sent without us has no entry in the ledger
        self._subscription = subscription
        self._answered = answered

    def __call__(self, _body, error):
        if error is not None and not self._driver._keeps(_uuid_of(self._uuid), error, self._subscription):
            logger.error('an update is lost, the agent refused it: %s', str(error))
        if self._answered is not None:
            self._answered()

    def late(self, error):
        """It goes on: the channel sends it again, before whatever came after it."""
        logger.warning('an update waits on: %s', str(error))

    def is_wanted(self):
        """Whether it is not acknowledged yet."""
        with self._driver._ledger_lock:
            return not self._is_entered or _uuid_of(self._uuid) in self._driver.updates


def _kill_group():
    logger.warning('the grace period is over: the process group is killed')
    os.killpg(0, signal.SIGKILL)


def _disarm(killer):
    """Stop the killer of a process that ends by itself: on 2.7 its timer would go off early, while globals vanish."""
    killer.cancel()
    killer.join(1.0)


def _forget_answer(_body, error):
    """An agent before 1.8 knows no HEARTBEAT; and a connection that broke shows itself elsewhere."""
    if error is not None:
        logger.debug('HEARTBEAT came to nothing: %s', str(error))


def _needed(environ, name):
    value = environ.get(name)
    if not value:
        raise UsageError('the environment has no %s: an executor is started by a Mesos agent, which sets it' % name)
    return value


def _seconds(environ, name, default):
    return parse_duration(environ.get(name) or default)


def _agent_address(environ):
    path = environ.get('MESOS_DOMAIN_SOCKET')
    if path:
        return 'unix://' + os.path.abspath(path)
    endpoint = environ.get('MESOS_AGENT_ENDPOINT') or environ.get('MESOS_SLAVE_PID', '').rpartition('@')[2]
    return endpoint or _needed(environ, 'MESOS_AGENT_ENDPOINT')


def _path_prefix(environ):
    """``/slave(1)`` of the agent's pid ``slave(1)@10.0.0.1:5051``; the agent need not be its process' only one."""
    identity, at, _ = environ.get('MESOS_SLAVE_PID', '').rpartition('@')
    return '/' + identity if at and identity else ''


def _host(master):
    return 'localhost' if (master or '').startswith('unix://') else master or ''


def _task_id(message):
    return dict_in(message, 'task_id').get('value') if isinstance(message, dict) else None


def _tasks_of(launch_group):
    return list_in(dict_in(launch_group, 'task_group'), 'tasks')


def _uuid_of(text):
    """The UUID behind base64 text, None if it is not one."""
    try:
        return uuid.UUID(bytes=decode_data(text))
    except (Base64Error, TypeError, ValueError):
        return None


def _takes_kill_policy(callback):
    """Whether a bound ``killTask`` has a parameter after the driver and the task's id."""
    found = parameters_of(callback)
    return found is not None and found[0] > 2

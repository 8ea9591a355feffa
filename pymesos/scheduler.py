"""The scheduler's driver: offers and updates in, calls out."""
from __future__ import absolute_import, division, print_function

import logging

import six

from ._compat import native_text
from .errors import MessageError, UsageError
from .interface import Scheduler, SchedulerDriver
from .process import Process, dict_in, parameters_of
from .transport.channel import Call
from .utils import DAY, basic_credential, parse_address
from .wire import calls, events, httpmsg, messages

__all__ = ['MesosSchedulerDriver']

PATH = '/api/v1/scheduler'

#: What 0.3.15 asked for if the framework did not say, in seconds.
DEFAULT_FAILOVER_TIMEOUT = 100

logger = logging.getLogger(__name__)

_IGNORES_OFFERS = six.get_unbound_function(Scheduler.resourceOffers)


class MesosSchedulerDriver(Process, SchedulerDriver):
    """Registers a framework with the leading master and keeps it registered.

    :param sched: the object whose callbacks are called, such as a :class:`pymesos.Scheduler`; what it lacks counts as
        an empty callback.
    :param framework: FrameworkInfo, a dict. Its ``id`` is set once the master has assigned one.
    :param master_uri: ``host``, ``host:port``, ``https://host:port``, several of them with commas between,
        ``zk://...`` or ``file://...``; see :func:`pymesos.detector.detect`.
    :param use_addict: whether callbacks get ``addict.Dict`` in place of dict.
    :param implicit_acknowledgements: whether an update is acknowledged once its callback has returned.
    :param principal: with `secret`, the credentials of basic authentication.
    :param failover: taken for the sake of old programs; :meth:`stop` is told by its own argument, and nothing else
        tears a framework down.
    :param timeout: seconds without a subscription after which the driver gives up and calls ``error``.
    :param suppressed_roles: roles that get no offers from the start; replaced by :meth:`updateFramework`.
    :param offer_constraints: OfferConstraints from the start (Mesos 1.11); replaced likewise.
    :param options: see :class:`pymesos.process.Process`: ``tls``, ``connect_timeout``, ``call_timeout``,
        ``max_record``, ``max_queued``.

    Every call may be made from any thread, callbacks included. It returns when the master has answered, and raises
    :class:`~pymesos.errors.CallRejected` if the master said no, :class:`~pymesos.errors.ConnectionFailed` (an OSError)
    if no answer came, :class:`~pymesos.errors.HttpError` if what came was not one, and
    :class:`~pymesos.errors.Stopped` if the driver was stopped meanwhile. While there is no
    subscription a call is dropped with a WARNING. Source: PROTOCOL 2.
    """

    _thread_name = 'pymesos-scheduler'
    _events = events.SCHEDULER
    _late_types = frozenset(events.SCHEDULER).difference(['SUBSCRIBED', 'ERROR'])

    def __init__(self, sched, framework, master_uri, use_addict=False, implicit_acknowledgements=True, principal=None,
                 secret=None, failover=False, timeout=DAY, suppressed_roles=None, offer_constraints=None, **options):
        super(MesosSchedulerDriver, self).__init__(master=master_uri, timeout=timeout, use_addict=use_addict, **options)
        self.sched = sched
        self.implicit_acknowledgements = implicit_acknowledgements
        self.version = None
        self._framework = framework
        self._suppressed_roles = suppressed_roles
        self._offer_constraints = offer_constraints
        self._basic_credential = basic_credential(principal, secret)
        self._assigned_id = None        # known to the loop before registered() has run
        self._version_of = None         # the address whose version was asked for
        self._call_headers = None, []   # of which stream id, and the headers
        self._heartbeat_function = None     # whose arguments were looked at, and whether it takes the driver
        self._heartbeat_takes_driver = True
        self._acknowledging = None      # the status that the callbacks' thread acknowledges implicitly just now

    # ---- properties

    @property
    def framework(self):
        """A copy of the FrameworkInfo as it is sent: with GPU_RESOURCES where the master knows it."""
        framework = dict(self._framework)
        capabilities = list(framework.get('capabilities') or ())
        if _major(self.version) >= 1 and not any(c.get('type') == 'GPU_RESOURCES' for c in capabilities):
            capabilities.append({'type': 'GPU_RESOURCES'})
        if capabilities:
            framework['capabilities'] = capabilities
        framework.setdefault('failover_timeout', DEFAULT_FAILOVER_TIMEOUT)
        return framework

    @property
    def framework_id(self):
        """The framework's id as text, None before there is one."""
        found = self._framework.get('id')
        return found.get('value') if found else None

    @framework_id.setter
    def framework_id(self, value):
        self._framework['id'] = {'value': value}

    # ---- life

    def start(self):
        """See :meth:`pymesos.process.Process.start`."""
        callback = getattr(self.sched, 'resourceOffers', None)
        if callback is None or getattr(callback, '__func__', None) is _IGNORES_OFFERS:
            logger.warning('the scheduler has no resourceOffers of its own: it keeps every offer and uses none')
        super(MesosSchedulerDriver, self).start()

    def stop(self, failover=False):
        """End the driver; returns at once, from any thread, callbacks and signal handlers included.

        Without `failover` the master is told to tear the framework down: its tasks end and its id is of no more use.
        With it they live on for the framework's ``failover_timeout``, for the next scheduler to take over.
        """
        self._end_life(not failover)

    def teardown(self):
        """Tear the framework down and end the driver, whatever `failover` says; returns at once."""
        self.stop(failover=False)

    # ---- calls

    def acceptOffers(self, offer_ids, operations, filters=None):
        """Perform `operations` on the offers, which must be of one agent. Without operations they are declined."""
        operations = list(operations)
        if not operations:
            return self.declineOffer(offer_ids, filters=filters)
        return self._call(calls.accept, offer_ids, operations, filters)

    def launchTasks(self, offer_ids, tasks, filters=None):
        """Launch `tasks` (an iterable of TaskInfo) on the offers. Without tasks they are declined."""
        tasks = list(tasks)
        if not tasks:
            return self.declineOffer(offer_ids, filters=filters)
        return self.acceptOffers(offer_ids, [calls.launch(tasks)], filters=filters)

    def declineOffer(self, offer_ids, filters=None):
        """Decline one offer (a dict) or several (an iterable)."""
        return self._call(calls.decline, offer_ids, filters)

    def acceptInverseOffers(self, offer_ids, filters=None):
        """Agree to be gone from the agents of the inverse offers in time."""
        return self._call(calls.accept_inverse_offers, offer_ids, filters)

    def declineInverseOffer(self, offer_ids, filters=None):
        """Say that the framework will not be gone in time."""
        return self._call(calls.decline_inverse_offers, offer_ids, filters)

    def reviveOffers(self, roles=()):
        """Clear all filters and suppression of `roles`, of every role if there are none."""
        return self._call(calls.revive, roles)

    def suppressOffers(self, roles=()):
        """Ask for no more offers for `roles`, for every role if there are none."""
        return self._call(calls.suppress, roles)

    def killTask(self, task_id, agent_id=None, kill_policy=None):
        """Kill a task. Of a task that the master does not know it says so in an update."""
        return self._call(calls.kill, task_id, agent_id, kill_policy)

    def shutdownExecutor(self, executor_id, agent_id):
        """Shut an executor down; the agent kills it after its grace period."""
        return self._call(calls.shutdown, executor_id, agent_id)

    def acknowledgeStatusUpdate(self, status):
        """Acknowledge a status update. One without ``uuid`` needs none, and gets none."""
        if status.get('uuid'):
            self._call(calls.acknowledge, status)

    def acknowledgeOperationStatusUpdate(self, status):
        """Acknowledge an operation's status update. One without ``uuid`` or ``operation_id`` gets none."""
        if status.get('uuid') and status.get('operation_id'):
            self._call(calls.acknowledge_operation_status, status)

    def reconcileTasks(self, tasks):
        """Ask for the state of `tasks`, dicts with ``task_id`` and perhaps ``agent_id``; of all tasks if empty."""
        return self._call(calls.reconcile, tasks)

    def reconcileOperations(self, operations):
        """Ask for the state of `operations`, dicts with ``operation_id``; of all operations if empty."""
        return self._call(calls.reconcile_operations, operations)

    def sendFrameworkMessage(self, executor_id, agent_id, data):
        """Send `data` (base64 text) to an executor; it may get lost."""
        return self._call(calls.message, executor_id, agent_id, data)

    def requestResources(self, requests):
        """Ask for resources; Mesos' own allocator ignores it."""
        return self._call(calls.request, requests)

    def updateFramework(self, framework, suppressed_roles=None, offer_constraints=None):
        """Change the registered framework to `framework` (FrameworkInfo); its ``id`` may be left out.

        `suppressed_roles` and `offer_constraints` replace the earlier ones: left out means none. What the master
        accepts is used for later subscriptions as well.
        """
        changed = dict(framework)
        fid = self._fid()
        if fid is not None:
            changed['id'] = {'value': fid}
        if not self._may_call('UPDATE_FRAMEWORK'):
            return
        self._send(calls.update_framework(changed, suppressed_roles, offer_constraints))
        self._framework.clear()
        self._framework.update(changed)
        self._suppressed_roles, self._offer_constraints = suppressed_roles, offer_constraints

    def _fid(self):
        return self.framework_id or self._assigned_id

    def _may_call(self, name):
        if self.connected and self._fid():
            return True
        logger.warning('%s is dropped: there is no subscription now', name)
        return False

    def _call(self, build, *args):
        if self._may_call(build.__name__.upper()):
            self._send(build(self._fid(), *args))

    def _send(self, body, path=PATH, method='POST', headers=None):
        """The seam through which every call leaves: `body` is the call as a dict. Returns the answer, {} if empty."""
        calls.check(body)
        pairs = self._headers_of(self.stream_id)
        if headers:
            pairs = pairs + sorted(headers.items())
        implicit = self._implicit()
        # For the acknowledgement of a task's last update nobody waits; that of another lets Mesos send the next one.
        may_wait = implicit is not None and body['type'] == 'ACKNOWLEDGE' and _is_end(implicit.get('state'))
        answer = self._post(body, path, pairs, implicit is None, may_wait)
        return messages.loads(answer, self._use_addict) if answer else {}

    def _headers_of(self, stream_id):
        """The headers of a call. One list serves all calls of a subscription."""
        known, pairs = self._call_headers
        if known != stream_id:
            pairs = self._request_headers() + [('Mesos-Stream-Id', stream_id)] * bool(stream_id)
            self._call_headers = stream_id, pairs
        return pairs

    def _implicit(self):
        """The status that this thread acknowledges implicitly, None if it does not."""
        status, life = self._acknowledging, self._life
        return status if status is not None and life is not None and life.is_callback_thread() else None

    # ---- the request of the subscription

    def gen_request(self):
        """The bytes of the SUBSCRIBE request."""
        framework = self.framework
        if not framework.get('id') and self._assigned_id:
            framework['id'] = {'value': self._assigned_id}
        body = messages.dumps(calls.subscribe(framework, self._suppressed_roles, self._offer_constraints))
        headers = [('Host', self.master or ''), ('Content-Type', 'application/json'), ('Accept', 'application/json')]
        return httpmsg.request('POST', PATH, headers + self._authorization() + [('Connection', 'close')], body)

    def _authorization(self):
        return [('Authorization', self._basic_credential)] if self._basic_credential else []

    def _request_headers(self):
        return super(MesosSchedulerDriver, self)._request_headers() + self._authorization()

    # ---- what the engine tells, on the loop's thread

    def preamble_for(self, address):
        """A GET of ``/version``, once per address: which capabilities may be sent depends on it."""
        super(MesosSchedulerDriver, self).preamble_for(address)
        if self._version_of == address:
            return None
        self._version_of, self.version = address, None
        return httpmsg.request('GET', '/version', [('Host', address.netloc), ('Accept', 'application/json')])

    def preamble_answered(self, head, body):
        """Keep the version, if that is what came."""
        try:
            version = messages.loads(body).get('version') if head.status == 200 else None
        except MessageError as error:
            logger.warning('%s told no version: %s', self.master, error)
            return
        if isinstance(version, six.string_types):
            self.version = native_text(version)

    def was_subscribed(self, event):
        """Take the framework's id and the master's version before any callback runs."""
        super(MesosSchedulerDriver, self).was_subscribed(event)
        subscribed = dict_in(event, 'subscribed')
        self._assigned_id = dict_in(subscribed, 'framework_id').get('value') or self._assigned_id
        version = dict_in(subscribed, 'master_info').get('version')
        if version:
            self.version = native_text(version)

    def farewell(self):
        """TEARDOWN. Once it is accepted the framework's id is of no more use."""
        fid = self._fid()
        if fid is None:
            return None
        headers = self._request_headers() + [('Mesos-Stream-Id', self.stream_id or '')]
        return Call('TEARDOWN', PATH, headers, messages.dumps(calls.teardown(fid)), self._torn_down)

    def left_unsaid(self):
        """A stop without failover that found no subscription."""
        if self._fid():
            logger.warning('the framework %s is not torn down: there is no subscription now; its tasks live on for its '
                           'failover_timeout', self._fid())

    def _torn_down(self, _body, error):
        if error is not None:
            logger.warning('the framework %s may not be torn down: %s', self._fid(), str(error))
            return
        self._framework.pop('id', None)
        self._assigned_id = None

    # ---- events, on the callbacks' thread

    def on_subscribed(self, info):
        """SUBSCRIBED: ``registered``, or ``reregistered`` if the framework had an id."""
        had_id = self.framework_id is not None
        self.framework_id = dict_in(info, 'framework_id').get('value')
        master = dict(dict_in(info, 'master_info'))
        address = parse_address(self.master)
        master['hostname'], master['port'] = address.host, address.port
        if self.version:
            master['version'] = self.version
        elif 'version' in master:
            self.version = native_text(master['version'])
        if had_id:
            self._callback('reregistered', self._as_dict(master))
        else:
            self._callback('registered', self._as_dict({'value': self.framework_id}), self._as_dict(master))

    def on_offers(self, event):
        """OFFERS: ``resourceOffers``; ``inverseOffers`` too, for masters before 1.0 that sent both in one event."""
        offers = self._dicts_in(event, 'offers')
        if offers:
            self._callback('resourceOffers', offers)
        if 'inverse_offers' in event:
            self.on_inverse_offers(event)

    def on_inverse_offers(self, event):
        """INVERSE_OFFERS: ``inverseOffers``."""
        offers = self._dicts_in(event, 'inverse_offers')
        if offers:
            self._callback('inverseOffers', offers)

    def on_rescind(self, event):
        """RESCIND: ``offerRescinded``."""
        self._callback('offerRescinded', self._as_dict(event.get('offer_id')))

    def on_rescind_inverse_offer(self, event):
        """RESCIND_INVERSE_OFFER: ``inverseOfferRescinded``."""
        self._callback('inverseOfferRescinded', self._as_dict(event.get('inverse_offer_id')))

    def on_update(self, event):
        """UPDATE: ``statusUpdate``, and then the acknowledgement unless that is the user's affair."""
        self._take_update('statusUpdate', event, self.acknowledgeStatusUpdate)

    def on_update_operation_status(self, event):
        """UPDATE_OPERATION_STATUS: ``operationStatusUpdate``, and the acknowledgement likewise."""
        self._take_update('operationStatusUpdate', event, self.acknowledgeOperationStatusUpdate)

    def _take_update(self, name, event, acknowledge):
        status = dict_in(event, 'status')
        if not status:
            logger.error('ignored an event of %s: an update without a status', self.master)
            return
        self._callback(name, self._as_dict(status))
        if not self.implicit_acknowledgements or not self.connected:
            return                      # what is not acknowledged Mesos sends again
        self._acknowledging = status
        try:
            acknowledge(status)
        except UsageError as error:     # the peer left out what an acknowledgement needs
            logger.error('cannot acknowledge an update of %s: %s', self.master, error)
        finally:
            self._acknowledging = None

    def on_message(self, message):
        """MESSAGE: ``frameworkMessage``."""
        self._callback('frameworkMessage', self._as_dict(message.get('executor_id')),
                       self._as_dict(message.get('agent_id')), message.get('data'))

    def on_failure(self, failure):
        """FAILURE: ``executorLost`` if it names an executor, else ``slaveLost``."""
        agent_id = self._as_dict(failure.get('agent_id'))
        if 'executor_id' in failure:
            self._callback('executorLost', self._as_dict(failure['executor_id']), agent_id, failure.get('status'))
        else:
            self._callback('slaveLost', agent_id)

    def on_error(self, event):
        """ERROR: ``error``. The driver has ended by then."""
        self._callback('error', event.get('message'))

    def on_heartbeat(self, _event):
        """HEARTBEAT: ``processHeartBeat``, with the driver unless it takes none."""
        callback = getattr(self.sched, 'processHeartBeat', None)
        if callback is None:
            return
        if self._takes_driver(callback):
            callback(self)
        else:
            callback()

    def on_close(self):
        """The subscription ended: ``disconnected``."""
        self._callback('disconnected')

    def _take_failure(self, error):
        self._callback('error', native_text(error))

    def _take_exception(self, error):
        self._callback('error', '%s: %s' % (type(error).__name__, native_text(error)))

    def _callback(self, name, *args):
        self._call_user(self.sched, name, *args)

    def _takes_driver(self, callback):
        function = getattr(callback, '__func__', callback)
        if self._heartbeat_function is not function:
            found = parameters_of(callback)
            self._heartbeat_function, self._heartbeat_takes_driver = function, found is None or found > (0, False)
        return self._heartbeat_takes_driver


def _is_end(state):
    return isinstance(state, six.string_types) and state in events.ENDED


def _major(version):
    """The first number of a version such as '1.12.0-rc1', -1 if there is none."""
    first = (version or '').split('.')[0]
    return int(first) if first.isdigit() else -1

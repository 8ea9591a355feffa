"""The embedded agent as a pure state machine: its master and its executors tell it things, effects come out.

See :mod:`.effects` for what it orders; what it and the master tell each other are dicts with `type`. PROTOCOL 2.5, 2.7,
3, 8.
"""
from __future__ import absolute_import, division, print_function

from collections import OrderedDict, defaultdict

from .agent_operations import AgentOperations
from .agent_state import AgentFramework
from .agent_views import AgentViews
from .container_tree import ContainerTree
from .containers import Containers
from .effects import MASTER, Cancel, Tell, Timer, refuse
from .executor_api import ExecutorApi
from .executors import Executors
from .recovery import Recovery, snapshot
from .status_updates import StatusUpdates
from .version import VERSION
from .volumes import Volumes

__all__ = ['CAPABILITIES', 'AgentModel']

#: What the agents of Mesos 1.11 are capable of.
CAPABILITIES = [{'type': name} for name in (
    'MULTI_ROLE', 'HIERARCHICAL_ROLE', 'RESERVATION_REFINEMENT', 'RESOURCE_PROVIDER', 'RESIZE_VOLUME',
    'AGENT_OPERATION_FEEDBACK', 'AGENT_DRAINING', 'TASK_RESOURCE_LIMITS')]

#: The longest delay (seconds) between two tries to register.
MAX_REGISTRATION_BACKOFF = 60.0


class AgentModel(object):
    """An agent. `options` is a :class:`~pymesos.local.options.AgentOptions`; its `port` is known by now.

    `snapshot` is what :meth:`snapshot` of the one before gave, None for a new agent. What is to be done is in
    `effects`, to be taken out by the node; each method leaves what it wants there. Stimuli: :meth:`start`,
    ``on_*``, and the calls :meth:`executor_call`, :meth:`operator_call`, :meth:`legacy`, ``attach_*``.
    """

    #: [{'type': name}]
    capabilities = CAPABILITIES

    def __init__(self, world, options, snapshot=None):
        self.world = world
        self.options = options
        self.effects = []
        #: Text, None before it is registered for the first time.
        self.agent_id = None
        #: 'RECOVERING', 'DISCONNECTED', 'RUNNING' or 'TERMINATING'.
        self.state = 'RECOVERING'
        #: ``host:port`` of the master that leads, None if none does.
        self.master = None
        self.start_time = world.time()
        #: [Resource], reservations and volumes included.
        self.total = list(options.resources)
        #: DrainConfig and the time (whole seconds) that it came at, while it is drained.
        self.drain = None
        self.drain_start = None
        #: framework id -> AgentFramework
        self.frameworks = OrderedDict()
        self.completed_frameworks = OrderedDict()
        #: Counters for metrics.
        self.counts = defaultdict(int)
        protocol = 'IPv6' if ':' in options.ip else 'IPv4'
        self.network_infos = [{'ip_addresses': [{'protocol': protocol, 'ip_address': options.ip}]}]
        self.tree = ContainerTree(self)
        self.updates = StatusUpdates(self)
        self.operations = AgentOperations(self)
        self.volumes = Volumes(options.work_dir or '')
        self.executors = Executors(self)
        self.executor_api = ExecutorApi(self)
        self.nested = Containers(self)
        self.views = AgentViews(self)
        self._recovery = Recovery(self)
        self._snapshot = snapshot
        self._attempts = 0
        self._messages = self._message_table()
        self._timers = self._timer_table()

    def _message_table(self):
        """What a message of the master is for: {type: function of it}."""
        return {
            'REGISTERED': self._on_registered, 'REREGISTERED': self._on_registered, 'PING': self._on_ping,
            'RUN_TASK': self._on_run_task, 'RUN_GROUP': self._on_run_group, 'KILL': self._on_kill, 'ACK': self._on_ack,
            'SHUTDOWN_EXECUTOR': self._on_shutdown_executor, 'SHUTDOWN_FRAMEWORK': self._on_shutdown_framework,
            'MESSAGE': self._on_framework_message, 'UPDATE_FRAMEWORK': self._on_update_framework,
            'APPLY': lambda message: self.operations.apply(message), 'ACK_OPERATION': self._on_ack_operation,
            'DRAIN': self._on_drain, 'SHUTDOWN': lambda message: self.shutdown(),
            'REREGISTER_PLEASE': lambda message: self._on_master_silent()}

    def _timer_table(self):
        """What a timer is for: {first part of its key: function of the others}."""
        return {
            'register': self._register, 'ping': self._on_master_silent, 'recovered': self._finish_recovery,
            'updates': self.updates.on_timer, 'operations': self.operations.on_timer,
            'registration': self.executors.on_registration_timeout, 'shutdown': self.executors.on_shutdown_timeout,
            'heartbeat': self.executor_api.on_heartbeat, 'builtin': self._on_builtin_timer,
            'containers': self.nested.on_timer}

    # ---- what it is

    @property
    def pid(self):
        """``slave(1)@127.0.0.1:5051``."""
        return '%s@%s' % (self.options.name, self.options.endpoint)

    @property
    def info(self):
        """AgentInfo, with `id` once there is one."""
        info = {'hostname': self.options.hostname, 'port': self.options.port,
                'resources': list(self.options.resources), 'attributes': list(self.options.attributes)}
        if self.options.domain is not None:
            info['domain'] = self.options.domain
        if self.agent_id is not None:
            info['id'] = self.id_message
        return dict((name, info[name]) for name in info if info[name] != [])

    @property
    def id_message(self):
        """AgentID."""
        return {'value': self.agent_id}

    @property
    def is_recovering(self):
        return self.state == 'RECOVERING'

    @property
    def is_registered(self):
        return self.state == 'RUNNING'

    @property
    def is_terminating(self):
        return self.state == 'TERMINATING'

    def containers(self):
        """The tokens of all containers that have a process and are not over."""
        return [container.token for container in self.tree if container.has_process and not container.is_ended]

    def snapshot(self):
        """What a disk would hold, for the next agent: plain data."""
        return snapshot(self)

    # ---- life

    def start(self):
        """Begin: recover, then register as soon as there is a master."""
        data, self._snapshot = self._snapshot, None
        if data is None or not self._recovery.start(data):
            self._finish_recovery()

    def _finish_recovery(self):
        self._recovery.finish()
        if not self.is_terminating:
            self.state = 'DISCONNECTED'
            self._begin_registration()

    def shutdown(self):
        """Kill all executors, take nothing new and do not register again."""
        self.state = 'TERMINATING'
        self.effects += [Cancel(('register',)), Cancel(('ping',))]
        self.updates.pause()
        self.operations.pause()
        for framework_id in list(self.frameworks):
            self._on_shutdown_framework({'framework_id': framework_id})

    def unregister(self):
        """Leave the master for good, as Mesos' agent does on SIGUSR1; all executors are killed."""
        self.tell('UNREGISTER')
        self.shutdown()

    # ---- the master

    def on_master(self, address):
        """A master leads (``host:port``), or none does (None)."""
        self.master = address
        if self.is_recovering or self.is_terminating:
            return
        self._disconnect()
        self._begin_registration()

    def on_message(self, message, pid=None):
        """The master says something."""
        self._messages[message['type']](message)

    def tell(self, kind, **fields):
        """Say something to the master."""
        self.effects.append(Tell(MASTER, dict(fields, type=kind, agent_id=self.agent_id, pid=self.pid)))

    def forward(self, framework_id, status, is_retry):
        """Send a status to the master; called by :class:`~.status_updates.StatusUpdates`."""
        framework = self.frameworks.get(framework_id)
        task_id = status['task_id']['value']
        executor = None if framework is None else framework.task_owners.get(task_id)
        task = None if executor is None else executor.find_task(task_id)
        latest = status['state']
        if task is not None:
            task.update_state, task.update_uuid = status['state'], status['uuid']
            latest = task.state
        # A status that does not name its executor does not on its way to the scheduler either.
        self.tell('STATUS', framework_id=framework_id, executor_id=status.get('executor_id', {}).get('value'),
                  status=dict(status), latest_state=latest, is_retry=is_retry)

    def _disconnect(self):
        self.state = 'DISCONNECTED'
        self.effects += [Cancel(('register',)), Cancel(('ping',))]
        self.updates.pause()
        self.operations.pause()

    def _begin_registration(self):
        self._attempts = 0
        if self.master is not None:
            self._register()

    def _register(self):
        """Ask to be registered, again after a while that grows."""
        about = {'agent_info': self.info, 'version': VERSION, 'capabilities': self.capabilities}
        if self.agent_id is None:
            self.tell('REGISTER', **about)
        else:
            about.update(self._inventory())
            self.tell('REREGISTER', **about)
        limit = min(self.options.registration_backoff * 2 ** min(self._attempts, 16), MAX_REGISTRATION_BACKOFF)
        self._attempts += 1
        # Not sooner than half of it: an answer takes its time.
        self.effects.append(Timer(('register',), limit * (0.5 + self.world.random.random() / 2)))

    def _inventory(self):
        """What a master that has forgotten all has to know."""
        executors, tasks = [], []
        for framework in self.frameworks.values():
            for executor in framework.executors.values():
                if not executor.is_command and executor.state != 'TERMINATED':
                    executors.append({'framework_id': framework.id, 'executor_info': executor.info})
                executor_id = None if executor.is_command else executor.id
                tasks += [{'framework_id': framework.id, 'executor_id': executor_id, 'task_info': info,
                           'state': 'TASK_STAGING', 'status_update_state': None, 'status_update_uuid': None,
                           'statuses': []} for info in executor.queued.values()]
                tasks += [{'framework_id': framework.id, 'executor_id': executor_id, 'task_info': task.info,
                           'state': task.state, 'status_update_state': task.update_state,
                           'status_update_uuid': task.update_uuid, 'statuses': list(task.statuses)}
                          for group in (executor.launched, executor.terminated) for task in group.values()]
        return {'frameworks': [framework.info for framework in self.frameworks.values()], 'executors': executors,
                'tasks': tasks, 'operations': list(self.operations.shown.values()), 'total': list(self.total)}

    def _on_registered(self, message):
        if self.state != 'DISCONNECTED' or self.master is None:
            return
        if self.agent_id is not None and self.agent_id != message['agent_id']:
            # Another agent has this one's place: Mesos' agent ends itself.
            self.shutdown()
            return
        self.agent_id = message['agent_id']
        self.state = 'RUNNING'
        self.effects.append(Cancel(('register',)))
        self._await_ping()
        for lost in message.get('reconciliations', ()):
            self._reconcile(lost['framework_id'], lost['task_id'])
        self.updates.resume()
        self.operations.resume()

    def _reconcile(self, framework_id, task_id):
        """The master has a task of which this agent may know nothing."""
        framework = self.frameworks.get(framework_id) or self.completed_frameworks.get(framework_id)
        if framework is not None and task_id in framework.task_owners:
            return
        state = 'TASK_LOST' if framework is None else framework.lost('TASK_DROPPED')
        # Not by way of `executors`: there may be no such framework.
        self.updates.update(framework_id, {
            'task_id': {'value': task_id}, 'state': state, 'message': 'Reconciliation: task unknown to the agent',
            'source': 'SOURCE_AGENT', 'reason': 'REASON_RECONCILIATION', 'agent_id': self.id_message,
            'timestamp': self.world.time(), 'uuid': self.world.uuid_base64()})

    def _on_ping(self, message):
        if self.is_terminating:
            return
        self.tell('PONG')
        if not message.get('is_connected', True):
            self._on_master_silent()
        elif self.is_registered:
            self._await_ping()

    def _await_ping(self):
        self.effects.append(Timer(('ping',), self.options.master_ping_timeout))

    def _on_master_silent(self):
        """The master does not know this agent any more, or cannot be heard."""
        if self.is_registered:
            self._disconnect()
            self._begin_registration()

    def _on_run_task(self, message):
        self.executors.run(message['framework_info'], message.get('executor_info'), [message['task']],
                           message['is_new_executor'])

    def _on_run_group(self, message):
        if not message['tasks']:
            # As in Mesos, whose master goes on to believe that the executor runs.
            return
        self.executors.run(message['framework_info'], message['executor_info'], message['tasks'],
                           message['is_new_executor'], is_group=True)

    def _on_kill(self, message):
        self.executors.kill(message['framework_id'], message['task_id'], message.get('kill_policy'))

    def _on_ack(self, message):
        self.executors.on_acknowledged(message['framework_id'], message['task_id'], message['uuid'])

    def _on_ack_operation(self, message):
        self.operations.acknowledge(message['uuid'])
        self._check_drained()

    def _on_shutdown_executor(self, message):
        framework = self.frameworks.get(message['framework_id'])
        executor = None if framework is None else framework.executors.get(message['executor_id'])
        if executor is not None:
            self.executors.shutdown(executor)

    def _on_shutdown_framework(self, message):
        framework = self.frameworks.get(message['framework_id'])
        if framework is None or framework.is_terminating:
            return
        framework.is_terminating = True
        self.updates.forget(framework.id)
        for executor in list(framework.executors.values()):
            if executor.state == 'TERMINATED':
                self.executors.sweep(executor)
            else:
                self.executors.shutdown(executor)
        self.sweep(framework)

    def _on_framework_message(self, message):
        framework = self.frameworks.get(message['framework_id'])
        executor = None if framework is None else framework.executors.get(message['executor_id'])
        if executor is None or executor.state != 'RUNNING' or framework.is_terminating:
            self.counts['invalid_framework_messages'] += 1
            return
        self.counts['valid_framework_messages'] += 1
        self.executor_api.send(executor, {'type': 'MESSAGE', 'message': {'data': message['data']}})

    def _on_update_framework(self, message):
        framework = self.frameworks.get(message['framework_info']['id']['value'])
        if framework is not None:
            framework.info = message['framework_info']
            if self.state == 'RUNNING':
                # It may have subscribed anew: what it missed is sent now, as Mesos does, and not with the next retry.
                self.updates.resume()

    # ---- draining

    def _on_drain(self, message):
        if not self.frameworks and not self.operations.shown:
            return
        config = message['config']
        self.drain, self.drain_start = config, int(self.world.time())
        limit = _grace(config.get('max_grace_period'))
        for framework in list(self.frameworks.values()):
            for task_id, executor in list(framework.task_owners.items()):
                info = executor.queued.get(task_id)
                if task_id in executor.launched:
                    info = executor.launched[task_id].info
                if info is not None:
                    self.executors.kill(framework.id, task_id, _drain_policy(info.get('kill_policy'), limit))

    def _check_drained(self):
        if self.drain is not None and not self.frameworks and not self.operations.shown:
            self.drain = self.drain_start = None

    # ---- frameworks

    def framework_for(self, info):
        """The AgentFramework of a FrameworkInfo, new if need be."""
        framework_id = info['id']['value']
        framework = self.frameworks.get(framework_id)
        if framework is None:
            framework = AgentFramework(info, self.options.max_completed_executors_per_framework)
            former = self.completed_frameworks.pop(framework_id, None)
            if former is not None:
                # One and the same: executors know their framework, and would keep each earlier one with what it had.
                framework.completed_executors = former.completed_executors
            self.frameworks[framework_id] = framework
        return framework

    def sweep(self, framework):
        """Forget a framework of which nothing is left."""
        if framework.executors or self.frameworks.get(framework.id) is not framework or (
                self.updates.has(framework.id) and not framework.is_terminating):
            return
        del self.frameworks[framework.id]
        self.updates.forget(framework.id)
        self.completed_frameworks[framework.id] = framework
        while len(self.completed_frameworks) > self.options.max_completed_frameworks:
            self.completed_frameworks.popitem(last=False)
        self._check_drained()

    def executor_token(self, executor):
        """What an executor needs to show who it is, as an environment; {} if nobody asks."""
        if not self.options.authenticate_executors or self.options.make_executor_token is None:
            return {}
        return {'MESOS_EXECUTOR_AUTHENTICATION_TOKEN': self.options.make_executor_token(
            executor.framework.id, executor.id, executor.container.token)}

    # ---- the node

    def on_timer(self, key):
        """A :class:`~.effects.Timer` is due."""
        self._timers[key[0]](*key[1:])

    def on_stream_closed(self, stream):
        """A client has ended an event stream."""
        if not self.executor_api.on_stream_closed(stream):
            self.nested.on_stream_closed(stream)

    def on_abandoned(self, key):
        """A client has gone before it was given the answer that was deferred."""
        self.nested.on_abandoned(key)

    def on_started(self, container, pid):
        """A container's process was started."""
        self.tree.on_started(container, pid)

    def on_launch_failed(self, container, text):
        """A container could not be started."""
        self.tree.on_launch_failed(container, text)

    def on_exited(self, container, status):
        """A container is over; `status` is that of waitpid."""
        self.tree.on_exited(container, status)

    def on_output(self, container, name, data):
        """A container that was launched with `io` has written `data` (bytes) to 'stdout' or 'stderr'."""
        self.tree.on_output(container, name, data)

    def on_fed(self, container, size):
        """A container has taken `size` bytes of what :class:`~.effects.Feed` gave it, or never will."""
        self.nested.on_fed(container, size)

    def on_probe(self, key, result):
        """The result of a :class:`~.effects.Probe`."""
        container = self.tree.get(key[1])
        if container is not None and container.executor is not None and container.executor.driver is not None:
            container.executor.driver.on_probe(key[2], key[3], key[4], result)

    def _on_builtin_timer(self, token, what, task_id):
        container = self.tree.get(token)
        if container is not None and container.executor.driver is not None:
            container.executor.driver.on_timer(what, task_id)

    # ---- its APIs

    def executor_call(self, call, claims=None):
        """Answer an executor.Call; `claims` are those of its token, None if it needs none."""
        return self.executor_api.call(call, claims)

    def operator_call(self, call, principal=None):
        """Answer an agent.Call."""
        if self.is_recovering:
            return refuse(503, 'Agent has not finished recovery')
        reply = self.views.call(call)
        return self.nested.call(call, principal) if reply is None else reply

    def legacy(self, path, query=None, principal=None):
        """Answer a GET of ``/state`` and the like; None: there is no such path."""
        return self.views.legacy(path, query or {})

    def attach_begin(self, call):
        """The first record of an ATTACH_CONTAINER_INPUT; a Reply that refuses it, or None."""
        return self.nested.attach_begin(call)

    def attach_data(self, key, process_io):
        """A further record of it."""
        return self.nested.attach_data(key, process_io)

    def attach_end(self, key):
        """The end of it."""
        return self.nested.attach_end(key)


def _grace(period):
    """Seconds of a DurationInfo or a google.protobuf.Duration, None for none."""
    if period is None:
        return None
    if 'nanoseconds' in period:
        return period['nanoseconds'] / 1e9
    return float(period.get('seconds', 0)) + period.get('nanos', 0) / 1e9


def _drain_policy(policy, limit):
    """The KillPolicy of a kill because of draining, None: the task's own."""
    if limit is None:
        return None
    given = _grace((policy or {}).get('grace_period'))
    if given is not None and given <= limit:
        return None
    return {'grace_period': {'nanoseconds': int(limit * 1e9)}}

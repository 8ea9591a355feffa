"""A master of the embedded cluster without network: a test plays its frameworks, its agents and its clock."""
from __future__ import absolute_import, division, print_function

import copy

from local_world import FakeWorld, take_effects
from pymesos.local.model.effects import CloseStream, Send, Tell
from pymesos.local.model.master import MasterModel
from pymesos.local.options import MasterOptions

CAPABILITIES = [{'type': name} for name in (
    'MULTI_ROLE', 'HIERARCHICAL_ROLE', 'RESERVATION_REFINEMENT', 'RESOURCE_PROVIDER', 'RESIZE_VOLUME',
    'AGENT_OPERATION_FEEDBACK', 'AGENT_DRAINING', 'TASK_RESOURCE_LIMITS')]


def scalar(name, value, **fields):
    """A Resource."""
    return dict({'name': name, 'type': 'SCALAR', 'scalar': {'value': float(value)}}, **fields)


def resources(cpus, mem, **fields):
    """Resources of a task or an agent."""
    return [scalar('cpus', cpus, **fields), scalar('mem', mem, **fields)]


def framework_info(**fields):
    """A FrameworkInfo as the server hands it over; `capabilities` may be names."""
    info = dict({'user': 'root', 'name': 'test', 'failover_timeout': 0.0, 'checkpoint': False}, **fields)
    if 'capabilities' in info:
        info['capabilities'] = [{'type': name} for name in info['capabilities']]
    return info


def command_task(task_id, agent_id, cpus=0.1, mem=32, **fields):
    """A TaskInfo with a command."""
    return dict({'name': task_id, 'task_id': {'value': task_id}, 'agent_id': {'value': agent_id},
                 'resources': resources(cpus, mem), 'command': {'shell': True, 'value': 'true'}}, **fields)


def executor_info(executor_id='e', **fields):
    """An ExecutorInfo of a custom executor."""
    return dict({'type': 'CUSTOM', 'executor_id': {'value': executor_id}, 'resources': resources(0.1, 32),
                 'command': {'shell': True, 'value': 'run'}}, **fields)


def executor_task(task_id, agent_id, executor=None, **fields):
    """A TaskInfo with an executor."""
    task = command_task(task_id, agent_id, executor=executor or executor_info(), **fields)
    del task['command']
    return task


class Bench(object):
    """A master, what it has ordered, and the means to play everyone else. Times are those of the world."""

    def __init__(self, registry=None, **options):
        self.world = FakeWorld()
        self.timers = {}
        self.lead(registry, **options)

    def lead(self, registry=None, **options):
        """Let a new master lead."""
        self.timers.clear()
        self.model = MasterModel(self.world, MasterOptions(**dict({'port': 5050}, **options)), registry)
        self.model.start()
        #: All events sent, in order: [(stream, event)], and all messages told: [(pid, message)].
        self.sent, self.told, self.closed = [], [], []
        self.take()

    def take(self):
        """Sort what the master has ordered."""
        self._sort(take_effects(self.world, self.model, self.timers))

    def _sort(self, effects):
        for effect in effects:
            if isinstance(effect, Send):
                self.sent.append((effect.stream, effect.event))
            elif isinstance(effect, Tell):
                self.told.append((effect.peer, effect.message))
            elif isinstance(effect, CloseStream):
                self.closed.append(effect.stream)

    def wait(self, seconds=0.0):
        """Let time pass."""
        self._sort(self.world.pass_time(self.model, seconds, self.timers))

    def hear(self, message, pid):
        """An agent says something."""
        self.model.on_message(message, pid)
        self.take()

    def lose(self, pid):
        """The line to an agent breaks."""
        self.model.on_agent_disconnected(pid)
        self.take()

    def forget(self):
        """Forget what was sent and told so far."""
        del self.sent[:], self.told[:], self.closed[:]

    def told_to(self, pid, kind=None):
        """Messages to an agent, of one type if it is given."""
        return [message for peer, message in self.told if peer == pid and kind in (None, message['type'])]

    def agent(self, port=5051, given=None, **fields):
        """A new agent registers; returns a :class:`PlayedAgent`."""
        return PlayedAgent(self, port, given or resources(4, 4096), **fields)

    def framework(self, info=None, principal=None, **body):
        """A framework subscribes; returns a :class:`PlayedFramework`. Offers come when time passes."""
        return PlayedFramework(self, info or framework_info(), principal, body)


class PlayedFramework(object):
    """The client of one stream."""

    def __init__(self, bench, info, principal=None, body=None):
        self._bench = bench
        self.info = copy.deepcopy(info)
        call = {'type': 'SUBSCRIBE', 'subscribe': dict({'framework_info': copy.deepcopy(info)}, **(body or {}))}
        if 'id' in info:
            call['framework_id'] = info['id']
        self.reply = bench.model.scheduler_call(call, principal)
        self.stream = self.stream_id = self.reply.stream
        bench.take()
        subscribed = self.events('SUBSCRIBED')
        self.id = subscribed[0]['framework_id']['value'] if subscribed else None
        if self.id:
            self.info['id'] = {'value': self.id}

    @property
    def state(self):
        return self._bench.model.frameworks[self.id]

    @property
    def types(self):
        """The types of all events, in order."""
        return [event['type'] for stream, event in self._bench.sent if stream == self.stream]

    def events(self, kind):
        """The bodies of all events of a type."""
        return [event.get(kind.lower()) for stream, event in self._bench.sent
                if stream == self.stream and event['type'] == kind]

    def updates(self):
        """All TaskStatus that came."""
        return [update['status'] for update in self.events('UPDATE')]

    def operations(self):
        """All OperationStatus that came."""
        return [update['status'] for update in self.events('UPDATE_OPERATION_STATUS')]

    def offers(self):
        """All offers that came."""
        return [offer for batch in self.events('OFFERS') for offer in batch['offers']]

    def rescinded(self):
        """Ids of the offers that were rescinded."""
        return [event['offer_id']['value'] for event in self.events('RESCIND')]

    def failures(self):
        return self.events('FAILURE')

    def last_offer(self):
        """The newest offer, after what may be offered now was."""
        self._bench.wait(1.0)
        return self.offers()[-1]

    def call(self, kind, body=None, principal=None, stream_id=True):
        """Make a call; the Reply."""
        call = {'type': kind, 'framework_id': {'value': self.id}}
        if body is not None:
            call[kind.lower()] = copy.deepcopy(body)
        reply = self._bench.model.scheduler_call(call, principal, self.stream_id if stream_id is True else stream_id)
        self._bench.take()
        return reply

    def accept(self, offers, *operations, **fields):
        """ACCEPT offers (Offer messages or ids)."""
        ids = [{'value': offer} if not isinstance(offer, dict) else offer['id'] for offer in offers]
        return self.call('ACCEPT', dict({'offer_ids': ids, 'operations': list(operations)}, **fields))

    def launch(self, offer, *tasks, **fields):
        """ACCEPT with one LAUNCH."""
        return self.accept([offer], {'type': 'LAUNCH', 'launch': {'task_infos': list(tasks)}}, **fields)

    def decline(self, offers, seconds=None):
        body = {'offer_ids': [offer['id'] for offer in offers]}
        if seconds is not None:
            body['filters'] = {'refuse_seconds': seconds}
        return self.call('DECLINE', body)

    def acknowledge(self, status):
        return self.call('ACKNOWLEDGE', {'agent_id': status['agent_id'], 'task_id': status['task_id'],
                                         'uuid': status['uuid']})

    def close(self):
        """The connection breaks."""
        self._bench.model.on_stream_closed(self.stream)
        self._bench.take()


class PlayedAgent(object):
    """An agent, as far as a master sees of it."""

    def __init__(self, bench, port, given, hostname='127.0.0.1', attributes=None, domain=None,
                 capabilities=CAPABILITIES):
        self._bench = bench
        self.pid = 'slave(1)@127.0.0.1:%d' % port
        self.info = {'hostname': hostname, 'port': port, 'resources': given}
        if attributes:
            self.info['attributes'] = attributes
        if domain:
            self.info['domain'] = domain
        self.capabilities = capabilities
        self.id = None
        self.register()

    def register(self):
        """REGISTER as a new agent."""
        self._say('REGISTER', agent_info=copy.deepcopy(self.info), version='1.11.0', capabilities=self.capabilities)
        answers = self._bench.told_to(self.pid, 'REGISTERED')
        if answers:
            self.id = answers[-1]['agent_id']

    def reregister(self, frameworks=(), executors=(), tasks=(), operations=(), total=None):
        """REREGISTER with what it runs."""
        info = dict(self.info, id={'value': self.id})
        self._say('REREGISTER', agent_info=info, version='1.11.0', capabilities=self.capabilities,
                  frameworks=list(frameworks), executors=list(executors), tasks=list(tasks),
                  operations=list(operations), total=list(total or self.info['resources']))

    def _say(self, kind, **fields):
        self._bench.hear(dict(fields, type=kind, pid=self.pid, agent_id=self.id) if self.id is not None
                         else dict(fields, type=kind, pid=self.pid), self.pid)

    @property
    def state(self):
        return self._bench.model.agents[self.id]

    def say(self, kind, **fields):
        """Any message."""
        self._say(kind, **fields)

    def told(self, kind=None):
        return self._bench.told_to(self.pid, kind)

    def update(self, framework, task_id, state, latest=None, executor_id=None, **fields):
        """STATUS of a task, of the executor's making; the status."""
        status = dict({'task_id': {'value': task_id}, 'state': state, 'source': 'SOURCE_EXECUTOR',
                       'agent_id': {'value': self.id}, 'timestamp': self._bench.world.time(),
                       'uuid': self._bench.world.uuid_base64()}, **fields)
        if executor_id is not None:
            status['executor_id'] = {'value': executor_id}
        self._say('STATUS', framework_id=framework.id, executor_id=executor_id, status=status,
                  latest_state=latest or state, is_retry=False)
        return status

    def disconnect(self):
        """Its socket breaks."""
        self._bench.lose(self.pid)

    def pong(self):
        self._say('PONG')

    def task_record(self, framework, task, state='TASK_RUNNING', executor_id=None, **fields):
        """A task as REREGISTER tells of it."""
        return dict({'framework_id': framework.id, 'executor_id': executor_id, 'task_info': allocated(task),
                     'state': state, 'status_update_state': None, 'status_update_uuid': None, 'statuses': []}, **fields)


def allocated(message, role='*'):
    """A copy of a TaskInfo or ExecutorInfo with its resources allocated."""
    message = copy.deepcopy(message)
    for item in message.get('resources', ()):
        item['allocation_info'] = {'role': role}
    if 'executor' in message:
        message['executor'] = allocated(message['executor'], role)
    return message

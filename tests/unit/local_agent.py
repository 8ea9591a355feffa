"""An embedded agent on a bench: a test plays its master, its launcher and its custom executors."""
from __future__ import absolute_import, division, print_function

import base64
import uuid

from local_world import FakeWorld, take_effects

from pymesos.local.model.agent import AgentModel
from pymesos.local.model.effects import CloseStream, Destroy, Launch, Probe, Send, Signal, Tell
from pymesos.local.options import AgentOptions

AGENT = 'M-S0'
FRAMEWORK = 'M-0000'
RESOURCES = [{'name': 'cpus', 'type': 'SCALAR', 'scalar': {'value': 4.0}},
             {'name': 'mem', 'type': 'SCALAR', 'scalar': {'value': 4096.0}},
             {'name': 'disk', 'type': 'SCALAR', 'scalar': {'value': 10000.0}},
             {'name': 'ports', 'type': 'RANGES', 'ranges': {'range': [{'begin': 31000, 'end': 31499}]}}]
OWN = [{'name': 'cpus', 'type': 'SCALAR', 'scalar': {'value': 0.1}, 'allocation_info': {'role': '*'}},
       {'name': 'mem', 'type': 'SCALAR', 'scalar': {'value': 32.0}, 'allocation_info': {'role': '*'}}]


def make_uuid():
    """The uuid of a status, base64."""
    return base64.b64encode(uuid.uuid4().bytes).decode('ascii')


def framework_info(framework_id=FRAMEWORK, capabilities=(), **fields):
    """A FrameworkInfo as a master hands it on."""
    info = dict({'user': 'root', 'name': 'test', 'id': {'value': framework_id}, 'failover_timeout': 0.0,
                 'checkpoint': False}, **fields)
    if capabilities:
        info['capabilities'] = [{'type': name} for name in capabilities]
    return info


def executor_info(executor_id='e', framework_id=FRAMEWORK, **fields):
    """The ExecutorInfo of a custom executor."""
    info = {'type': 'CUSTOM', 'executor_id': {'value': executor_id}, 'framework_id': {'value': framework_id},
            'command': {'shell': True, 'value': 'run'}, 'resources': OWN, 'name': 'raw', 'source': 'src'}
    return dict(info, **fields)


def task_info(task_id='t', **fields):
    """A TaskInfo; of a command task if nothing else is said."""
    return dict({'name': 'task-' + task_id, 'task_id': {'value': task_id}, 'agent_id': {'value': AGENT},
                 'resources': OWN}, **fields)


def command_task(task_id='c', value='true', **fields):
    """The TaskInfo of a command task."""
    return task_info(task_id, command={'shell': True, 'value': value}, **fields)


class Bench(object):
    """An agent that is registered, and all that came out of it since the last look (:meth:`take`)."""

    def __init__(self, world=None, snapshot=None, is_registered=True, info=None, **options):
        self.world = world or FakeWorld()
        self.timers = {}
        self.effects = []
        self.info = info or framework_info()
        settings = {'port': 5051, 'work_dir': '/srv', 'resources': RESOURCES}
        self.model = AgentModel(self.world, AgentOptions(**dict(settings, **options)), snapshot)
        self.model.start()
        if is_registered:
            self.register()
            self.take()

    def register(self):
        """A master leads, and takes the agent."""
        self.model.on_master('127.0.0.1:5050')
        self.hear('REGISTERED' if self.model.agent_id is None else 'REREGISTERED', agent_id=AGENT,
                  master='127.0.0.1:5050')

    def hear(self, kind, **fields):
        """The master says something."""
        self.model.on_message(dict(fields, type=kind))
        self._collect()

    def restart(self, **options):
        """A new agent on what the old one would have had on its disk."""
        return Bench(self.world, self.model.snapshot(), is_registered=False, info=self.info, **options)

    # ---- what came out

    def take(self, kind=None):
        """All effects since the last look, or those of a kind; the rest is forgotten."""
        self._collect()
        found, self.effects = self.effects, []
        return [effect for effect in found if kind is None or isinstance(effect, kind)]

    def told(self, kind=None):
        """The messages to the master, of a type, since the last look; the rest is forgotten."""
        return [effect.message for effect in self.take(Tell) if kind in (None, effect.message['type'])]

    def statuses(self):
        """The statuses that the master was told since the last look."""
        return [message['status'] for message in self.told('STATUS')]

    def states(self):
        """(task id, state) of the statuses."""
        return [(status['task_id']['value'], status['state']) for status in self.statuses()]

    def events(self):
        """The events that were sent since the last look, and 'END' for the end of a stream."""
        return [effect.event if isinstance(effect, Send) else 'END' for effect in self.take((Send, CloseStream))]

    def signals(self):
        """(container, number) of signals; number None for a Destroy."""
        return [(effect.container, getattr(effect, 'number', None)) for effect in self.take((Signal, Destroy))]

    def probes(self):
        """The probes that were ordered."""
        return self.take(Probe)

    def pass_time(self, seconds):
        """Time passes."""
        self._collect()
        self.effects += self.world.pass_time(self.model, seconds, self.timers)

    def _collect(self):
        self.effects += take_effects(self.world, self.model, self.timers)

    # ---- tasks

    def run(self, task, executor=None):
        """The master launches a task; its containers so far."""
        if executor is not None:
            task = dict(task, executor=executor)
        self.hear('RUN_TASK', framework_info=self.info, executor_info=executor, task=task,
                  is_new_executor=self._is_new(executor))

    def _is_new(self, executor):
        framework = self.model.frameworks.get(self.info['id']['value'])
        return executor is None or framework is None or executor['executor_id']['value'] not in framework.executors

    def run_group(self, executor, *tasks):
        self.hear('RUN_GROUP', framework_info=self.info, executor_info=executor, is_new_executor=self._is_new(executor),
                  tasks=[dict(task, executor=executor) for task in tasks])

    def start_all(self, pid=4711):
        """Every container that was ordered starts; [their names]."""
        launched = [effect.container for effect in self.take(Launch)]
        for number, container in enumerate(launched):
            self.model.on_started(container, pid + number)
        self._collect()
        return launched

    def command(self, task_id='c', **fields):
        """A command task that runs, everything acknowledged; its container."""
        self.run(command_task(task_id, **fields))
        container, = self.start_all()
        self.acknowledge_all()
        return container

    def custom(self, executor_id='e', tasks=('t',), **fields):
        """A custom executor that has started and subscribed; its container."""
        executor = executor_info(executor_id, **fields)
        for task_id in tasks:
            self.run(task_info(task_id), executor)
        container, = self.start_all()
        self.subscribe(executor_id)
        return container

    def group(self, *tasks, **fields):
        """A task group in the default executor, all tasks of which have started; their containers."""
        executor = dict(executor_info('g', type='DEFAULT'), **fields)
        del executor['command']
        self.run_group(executor, *tasks)
        return self.start_all()

    def acknowledge_all(self):
        """The scheduler acknowledges whatever it is told, until there is no more; the states."""
        found = []
        while True:
            statuses = self.statuses()
            if not statuses:
                return found
            for status in statuses:
                found.append((status['task_id']['value'], status['state']))
                self.hear('ACK', framework_id=self.info['id']['value'], task_id=status['task_id']['value'],
                          uuid=status['uuid'])

    # ---- a custom executor

    def call(self, kind, executor_id='e', claims=None, **fields):
        """An executor's call; the Reply."""
        framework_id = fields.pop('framework_id', self.info['id']['value'])
        reply = self.model.executor_call(dict(fields, type=kind, framework_id={'value': framework_id},
                                              executor_id={'value': executor_id}), claims)
        self._collect()
        return reply

    def subscribe(self, executor_id='e', tasks=(), updates=()):
        """An executor subscribes; its stream."""
        body = {}
        if tasks:
            body['unacknowledged_tasks'] = list(tasks)
        if updates:
            body['unacknowledged_updates'] = [{'status': status} for status in updates]
        reply = self.call('SUBSCRIBE', executor_id, subscribe=body)
        assert reply.status == 200, reply
        return reply.stream

    def update(self, task_id='t', state='TASK_RUNNING', sender='e', **fields):
        """An executor's update; the status that it sent."""
        status = dict({'task_id': {'value': task_id}, 'state': state, 'source': 'SOURCE_EXECUTOR',
                       'uuid': make_uuid()}, **fields)
        sent = dict(status)
        assert self.call('UPDATE', sender, update={'status': status}).status == 202
        return sent

"""A scheduler, an executor and an operator by hand, for the tests of the contract (over :mod:`raw`)."""
from __future__ import absolute_import, division, print_function

import json
import os
import sys
import uuid

import raw

HERE = os.path.dirname(os.path.abspath(__file__))

#: What an executor that a test plays itself runs: the test speaks for it, once it has said that it is there. Earlier
#: its agent would destroy it, for its container is not yet made.
IDLE = 'echo ready; exec sleep 600'

NO_FILTER = {'refuse_seconds': 0}
FOR_LONG = {'refuse_seconds': 100000}

#: What most tasks of the tests, and most executors, take.
SMALL = {'cpus': 0.1, 'mem': 32}


def scalars(amounts, **more):
    """[Resource] of ``{'cpus': 0.1, 'mem': 32}``; `more` are further fields of each."""
    return [dict({'name': name, 'type': 'SCALAR', 'scalar': {'value': value}}, **more)
            for name, value in sorted(amounts.items())]


def amount(resources, name):
    """The sum of a scalar in [Resource]."""
    return round(sum(each['scalar']['value'] for each in resources if each['name'] == name and 'scalar' in each), 3)


def raw_executor_command(**environment):
    """The CommandInfo that runs raw_executor.py with the Python of the tests; its environment as keywords."""
    variables = [{'name': name, 'value': value} for name, value in sorted(environment.items())]
    command = {'value': 'exec %s %s' % (sys.executable, os.path.join(HERE, 'raw_executor.py'))}
    return dict(command, environment={'variables': variables}) if variables else command


class Cluster(object):
    """What a test does with a cluster; `target` is what starts and breaks it. Closes all that the test opened."""

    def __init__(self, target):
        self.target = target
        self.frameworks = []
        self.streams = []

    @property
    def master(self):
        return self.target.master

    @property
    def agents(self):
        """Objects with `address`, `id` and `work_dir`; the first is 0."""
        return self.target.agents

    def address_of(self, agent_id):
        """Where the agent with an id listens."""
        for agent in self.agents:
            if agent.id == agent_id:
                return agent.address
        raise AssertionError('there is no agent %s' % agent_id)

    def close(self):
        """Tear down the frameworks and close the streams of a test."""
        for framework in self.frameworks:
            framework.close()
        for stream in self.streams:
            stream.close()
        self.frameworks, self.streams = [], []

    # ------------------------------------------------------------ schedulers

    def framework(self, **fields):
        """A :class:`Framework` that has subscribed; for its keywords see there."""
        framework = Framework(self, **fields)
        self.frameworks.append(framework)
        framework.subscribe()
        return framework

    def subscribe(self, body, headers=None):
        """The stream that answers the JSON of a SUBSCRIBE call."""
        headers = dict(self.target.authorization, **(headers or {}))
        stream = raw.Stream(self.master, raw.request(self.master, raw.SCHEDULER, body, headers))
        self.streams.append(stream)
        return stream

    def refused(self, **info):
        """The text of the ERROR that a SUBSCRIBE with this FrameworkInfo gets, and nothing else, on its stream."""
        call = {'type': 'SUBSCRIBE', 'subscribe': {'framework_info': dict({'user': 'root', 'name': 'refused'}, **info)}}
        if 'id' in info:
            call['framework_id'] = info['id']
        stream = self.subscribe(call)
        assert stream.head.status == 200, (stream.head, stream.error)
        events = stream.wait_for_end()
        assert [event['type'] for event in events] == ['ERROR'], events
        return events[0]['error']['message']

    # ------------------------------------------------------------ operators

    def operator(self, kind, body=None, agent=None, headers=None):
        """The Reply to an operator call of the master, or of the agent at an address."""
        call = {'type': kind}
        if body is not None:
            call[kind.lower()] = body
        return raw.post(agent or self.master, raw.OPERATOR, call, dict(self.target.authorization, **(headers or {})))

    def ask(self, kind, body=None, agent=None):
        """The payload of the answer to an operator call that must succeed."""
        reply = self.operator(kind, body, agent)
        assert reply.status in (200, 202), (kind, reply)
        return reply.json().get(kind.lower(), {}) if reply.body else None

    def get(self, path, agent=None):
        """The Reply to a GET."""
        return raw.get(agent or self.master, path, self.target.authorization)

    def watch(self):
        """The stream of the operator's SUBSCRIBE."""
        data = raw.request(self.master, raw.OPERATOR, {'type': 'SUBSCRIBE'}, self.target.authorization)
        stream = raw.Stream(self.master, data)
        self.streams.append(stream)
        return stream

    def metric(self, name):
        """A value of the master's metrics."""
        for metric in self.ask('GET_METRICS', {})['metrics']:
            if metric['name'] == name:
                return metric['value']
        raise AssertionError('there is no metric %s' % name)

    def allocate(self, runs=2):
        """Wait until the allocator has run again."""
        name = 'allocator/mesos/allocation_runs'
        goal = self.metric(name) + runs
        raw.wait_until(lambda: self.metric(name) >= goal, 'the allocator to run')

    def agent(self, agent_id):
        """What GET_AGENTS says about an agent, None if it does not name it."""
        for agent in self.ask('GET_AGENTS').get('agents', []):
            if agent['agent_info']['id']['value'] == agent_id:
                return agent
        return None

    def task(self, task_id, kind='tasks'):
        """What GET_TASKS says about a task, None if it does not name it."""
        for task in self.ask('GET_TASKS').get(kind, []):
            if task['task_id']['value'] == task_id:
                return task
        return None

    def described(self, framework_id, kind='frameworks'):
        """What GET_FRAMEWORKS says about a framework, None if it does not name it."""
        for each in self.ask('GET_FRAMEWORKS').get(kind, []):
            if each['framework_info']['id']['value'] == framework_id:
                return each
        return None


class Framework(object):
    """A scheduler. Keywords are fields of FrameworkInfo; `capabilities` may be names."""

    def __init__(self, cluster, suppressed_roles=None, offer_constraints=None, **info):
        self.cluster = cluster
        self.info = dict({'user': 'root', 'name': 'contract'}, **info)
        if 'capabilities' in info:
            self.info['capabilities'] = [{'type': name} for name in info['capabilities']]
        self.more = {}
        if suppressed_roles is not None:
            self.more['suppressed_roles'] = suppressed_roles
        if offer_constraints is not None:
            self.more['offer_constraints'] = offer_constraints
        self.id = self.stream = self.stream_id = None
        self.used_offers = set()
        self.is_torn_down = False

    # ------------------------------------------------------------ life

    def subscribe(self):
        """SUBSCRIBE, anew if it has an id; waits for SUBSCRIBED. The old stream is left as it is."""
        body = {'type': 'SUBSCRIBE', 'subscribe': dict({'framework_info': self.info}, **self.more)}
        if self.id:
            self.info['id'] = body['framework_id'] = {'value': self.id}
        self.stream = self.cluster.subscribe(body)
        assert self.stream.head.status == 200, (self.stream.head, self.stream.error)
        self.stream_id = self.stream.head.header('Mesos-Stream-Id')
        self.subscribed = self.stream.wait('SUBSCRIBED')
        self.id = self.subscribed['framework_id']['value']
        return self.stream

    def disconnect(self):
        """Close the stream and wait until the master has noticed."""
        self.stream.close()
        raw.wait_until(lambda: not (self.cluster.described(self.id) or {}).get('connected'), 'the disconnection')

    def close(self):
        """Tear it down, whether or not it is connected."""
        if self.id and not self.is_torn_down:
            try:
                self.cluster.operator('TEARDOWN', {'framework_id': {'value': self.id}})
            except (EnvironmentError, AssertionError):      # the test has killed the master
                pass
        if self.stream is not None:
            self.stream.close()

    # ------------------------------------------------------------ calls

    def call(self, kind, body=None, headers=None, path=raw.SCHEDULER, **more):
        """The Reply to a call; a header that is None is left out."""
        call = dict({'framework_id': {'value': self.id}, 'type': kind}, **more)
        if body is not None:
            call[kind.lower()] = body
        return self.post(call, headers, path)

    def post(self, body, headers=None, path=raw.SCHEDULER):
        """The Reply to any body."""
        fields = dict(self.cluster.target.authorization, **{'Mesos-Stream-Id': self.stream_id})
        fields.update(headers or {})
        return raw.post(self.cluster.master, path, body, fields)

    def do(self, kind, body=None, **more):
        """A call that the master must take."""
        reply = self.call(kind, body, **more)
        assert (reply.status, reply.body) == (200 if kind == 'UPDATE_FRAMEWORK' else 202, b''), (kind, reply)
        return reply

    def teardown(self):
        self.do('TEARDOWN')
        self.is_torn_down = True

    def offer(self, condition=None, agent_id=None):
        """The next offer that was not handed out before; one of an agent if that is named."""
        def is_fresh(offer):
            return (offer['id']['value'] not in self.used_offers
                    and (agent_id is None or offer['agent_id']['value'] == agent_id)
                    and (condition is None or condition(offer)))

        while True:
            for offer in self.offers():
                if is_fresh(offer):
                    self.used_offers.add(offer['id']['value'])
                    return offer
            self.stream.wait('OFFERS', lambda payload: any(map(is_fresh, payload['offers'])))

    def offers(self):
        """All offers that have come on this stream so far."""
        return [offer for event in self.stream.of('OFFERS') for offer in event['offers']]

    def accept(self, offers, operations, filters=None):
        """ACCEPT one offer or several with operations."""
        offers = offers if isinstance(offers, list) else [offers]
        body = {'offer_ids': [offer['id'] for offer in offers], 'operations': operations}
        if filters is not None:
            body['filters'] = filters
        return self.do('ACCEPT', body)

    def decline(self, offer, filters=None):
        body = {'offer_ids': [offer['id']]}
        if filters is not None:
            body['filters'] = filters
        return self.do('DECLINE', body)

    def launch(self, offer, *tasks, **options):
        """ACCEPT an offer with one LAUNCH; what is left comes back at once unless `filters` are given."""
        operation = {'type': 'LAUNCH', 'launch': {'task_infos': list(tasks)}}
        return self.accept(offer, [operation], options.get('filters', NO_FILTER))

    def task(self, offer, executor=None, command=None, resources=None, **fields):
        """A TaskInfo with an id of its own, for the agent of an offer."""
        task_id = fields.pop('task_id', None) or 'task-' + uuid.uuid4().hex[:12]
        task = {'name': task_id, 'task_id': {'value': task_id}, 'agent_id': offer['agent_id'],
                'resources': resources or scalars(SMALL)}
        if executor is not None:
            task['executor'] = executor
        if command is not None:
            task['command'] = command if isinstance(command, dict) else {'value': command}
        return dict(task, **fields)

    def update(self, task, state=None, condition=None):
        """Wait for an update of a task (TaskInfo or id); acknowledges nothing."""
        task_id = task['task_id']['value'] if isinstance(task, dict) else task

        def is_it(payload):
            status = payload['status']
            return (status['task_id']['value'] == task_id and (state is None or status['state'] == state)
                    and (condition is None or condition(status)))
        return self.stream.wait('UPDATE', is_it, 'of %s %s' % (task_id, state or ''))['status']

    def updates(self, task):
        """All statuses of a task so far. One that came again, for want of an early acknowledgement, counts once."""
        found = []
        for each in self.stream.of('UPDATE'):
            status = each['status']
            if status['task_id'] == task['task_id'] and not (status.get('uuid') and status['uuid'] in [
                    one.get('uuid') for one in found]):
                found.append(status)
        return found

    def acknowledge(self, status):
        return self.do('ACKNOWLEDGE', {key: status[key] for key in ('agent_id', 'task_id', 'uuid')})

    def expect(self, task, *states):
        """Wait for these updates of a task in turn and acknowledge what wants it; returns the last status."""
        status = None
        for state in states:
            status = self.update(task, state)
            if 'uuid' in status:
                self.acknowledge(status)
        return status

    def reconcile(self, *tasks):
        return self.do('RECONCILE', {'tasks': [{'task_id': {'value': each}} for each in tasks]})

    def fence(self):
        """Wait until all that the master has sent because of earlier calls is read."""
        task_id = 'fence-' + uuid.uuid4().hex
        self.reconcile(task_id)
        self.update(task_id)

    # ------------------------------------------------------------ executors

    def executor_info(self, executor_id=None, **fields):
        """An ExecutorInfo that runs IDLE."""
        return dict({'executor_id': {'value': executor_id or 'executor-' + uuid.uuid4().hex[:12]}, 'type': 'CUSTOM',
                     'command': {'value': IDLE}, 'resources': scalars(SMALL), 'name': 'by hand'}, **fields)

    def run(self, offer=None, tasks=1, executor_fields=None, **task_fields):
        """Launch tasks on a new executor that this process plays; returns the :class:`Executor`, not yet subscribed."""
        offer = offer or self.offer()
        info = self.executor_info(**(executor_fields or {}))
        infos = [self.task(offer, executor=info, **task_fields) for _ in range(tasks)]
        self.launch(offer, *infos)
        executor = Executor(self, offer['agent_id']['value'], info, infos)
        raw.wait_until(executor.is_ready, 'the executor to start')
        return executor

    def run_ready(self, **options):
        """The same, subscribed and with each task reported as running, and that acknowledged."""
        executor = self.run(**options)
        executor.subscribe()
        for task in executor.tasks:
            executor.take(task)
            executor.update(task, 'TASK_RUNNING')
            self.expect(task, 'TASK_RUNNING')
        return executor


class Executor(object):
    """An executor whose process only sleeps, and for which the test speaks."""

    def __init__(self, framework, agent_id, info, tasks):
        self.framework = framework
        self.cluster = framework.cluster
        self.agent_id = agent_id
        self.info = info
        self.id = info['executor_id']['value']
        self.tasks = tasks
        self.task = tasks[0]
        self.stream = None

    @property
    def address(self):
        return self.cluster.address_of(self.agent_id)

    def is_ready(self):
        """Whether its process has started."""
        return 'ready' in self.file('stdout')

    def file(self, name):
        """The text of a file of its sandbox, '' if there is none yet."""
        path = '/frameworks/%s/executors/%s/runs/latest/%s' % (self.framework.id, self.id, name)
        reply = self.cluster.operator('READ_FILE', {'path': path, 'offset': 0}, self.address)
        return raw.decode(reply.json()['read_file']['data']) if reply.status == 200 else ''

    def container(self):
        """What GET_CONTAINERS of its agent says about it, None if it is gone."""
        for each in self.cluster.ask('GET_CONTAINERS', agent=self.address).get('containers', []):
            if each['executor_id']['value'] == self.id and each['framework_id']['value'] == self.framework.id:
                return each
        return None

    def subscribe(self, tasks=(), updates=(), headers=None):
        """SUBSCRIBE; returns the stream, of which nothing is read yet."""
        body = {'unacknowledged_tasks': list(tasks), 'unacknowledged_updates': list(updates)}
        data = raw.request(self.address, raw.EXECUTOR, self.envelope('SUBSCRIBE', body), headers)
        self.stream = raw.Stream(self.address, data)
        self.cluster.streams.append(self.stream)
        return self.stream

    def envelope(self, kind, body=None):
        call = {'type': kind, 'framework_id': {'value': self.framework.id}, 'executor_id': {'value': self.id}}
        if body is not None:
            call[kind.lower()] = body
        return call

    def call(self, kind, body=None, headers=None, path=raw.EXECUTOR):
        """The Reply to a call."""
        return raw.post(self.address, path, self.envelope(kind, body), headers)

    def take(self, task):
        """Wait for the LAUNCH of a task; returns the TaskInfo as it came."""
        return self.stream.wait('LAUNCH', lambda launch: launch['task']['task_id'] == task['task_id'])['task']

    def status(self, task, state, **fields):
        """A TaskStatus as an executor writes it."""
        return dict({'task_id': task['task_id'], 'state': state, 'source': 'SOURCE_EXECUTOR', 'uuid': raw.new_uuid(),
                     'executor_id': {'value': self.id}}, **fields)

    def update(self, task, state, **fields):
        """UPDATE that the agent must take; returns the status."""
        status = self.status(task, state, **fields)
        reply = self.call('UPDATE', {'status': status})
        assert (reply.status, reply.body) == (202, b''), reply
        return status

    def message(self, text):
        reply = self.call('MESSAGE', {'data': raw.encode(text)})
        assert (reply.status, reply.body) == (202, b''), reply

    def wait(self, kind, condition=None):
        """The next event of a type."""
        return self.stream.wait(kind, condition)

    def acknowledged(self, status):
        """Wait until the agent has taken an update."""
        return self.stream.wait('ACKNOWLEDGED', lambda payload: payload['uuid'] == status['uuid'])


def unwrap(text):
    """The JSON in a base64 text."""
    return json.loads(raw.decode(text))

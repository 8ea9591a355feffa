"""The embedded cluster with many tasks, agents, frameworks, streams and faults: nothing piles up."""
from __future__ import absolute_import, division, print_function

import gc
import json
import os
import platform
import resource
import socket
import sys
import threading
from contextlib import closing

import pytest

import pymesos
from held_sizes import children, descriptors, grown, resident, sizes
from pymesos.local import LocalCluster, node
from pymesos.local.model import state
from pymesos.local.options import AgentOptions, MasterOptions
from pymesos.resources import Resources, parse
from pymesos.serving import loop, requests
from pymesos.testing import wait_until
from pymesos.wire import httpmsg, recordio
from recorders import FRAMEWORK, scheduling

RESOURCES = 'cpus:8;mem:8192;disk:1000'

FOR_TASK, FOR_EXECUTOR = parse('cpus:0.01;mem:4'), parse('cpus:0.1;mem:32')

#: Seconds that a round may take: far above what it needs.
PATIENCE = 120

#: Seconds that what is over has to be forgotten: less than a heartbeat, which tells of connections that ended.
SETTLING = 14

QUICK_OFFERS = {'allocation_interval': 0.02}

#: So little is remembered of what is over that a few rounds fill it. (Of executors more than run at once: one that is
#: remembered must not keep those before it.)
FORGETFUL_MASTER = dict(QUICK_OFFERS, max_completed_frameworks=2)
FORGETFUL_AGENT = {'max_completed_frameworks': 2, 'max_completed_executors_per_framework': 10,
                   'max_completed_tasks_per_executor': 5, 'status_update_retry_min': 1.0}

#: MB that memory may wobble: PyPy collects when it likes.
WOBBLE = 40 if platform.python_implementation() == 'PyPy' else 6

EXECUTOR = '''
from pymesos import Executor, MesosExecutorDriver

class Noop(Executor):
    def launchTask(self, driver, task):
        for state in ('TASK_RUNNING', 'TASK_FINISHED'):
            driver.sendStatusUpdate({'task_id': task['task_id'], 'state': state})

MesosExecutorDriver(Noop()).run()
'''


class Load(pymesos.Scheduler):
    """Runs tasks, at most `at_once` at a time, when it is asked to; `executor` is None for command tasks."""

    def __init__(self, executor=None, at_once=100):
        self.executor, self.at_once = executor, at_once
        self.wanted = self.launched = 0
        self.over = set()
        self.is_done = threading.Event()
        self.failures = []
        # Held while offers are answered: a refusal by the old number must not reach the master behind the REVIVE.
        self._lock = threading.Lock()

    def run(self, driver, count):
        """Run so many more, and wait until they are over."""
        with self._lock:
            self.wanted += count
        driver.reviveOffers()
        wait_until(lambda: self.failures or len(self.over) == self.wanted, PATIENCE,
                   lambda: 'all tasks to finish: %d of %d have' % (len(self.over), self.wanted))
        assert not self.failures

    def resourceOffers(self, driver, offers):
        with self._lock:
            self._answer(driver, offers)

    def _answer(self, driver, offers):
        for number, offer in enumerate(offers):
            rest, tasks = Resources(offer['resources']), []
            room = min(self.wanted - self.launched, self.at_once - self.launched + len(self.over))
            share = -(-room // (len(offers) - number))          # of each agent the same
            while len(tasks) < share and rest.has(FOR_TASK + FOR_EXECUTOR):
                taken, rest = rest.take(FOR_TASK)
                tasks.append(self._task(offer, taken))
                self.launched += 1
            driver.launchTasks(offer['id'], tasks, {'refuse_seconds': 0 if self.launched < self.wanted else 3600})

    def _task(self, offer, taken):
        task = {'name': 'load', 'task_id': {'value': 'task-%d' % self.launched}, 'agent_id': offer['agent_id'],
                'resources': taken.to_list()}
        if self.executor is None:
            task['command'] = {'value': 'exit 0'}
        else:
            task['executor'] = self.executor
        return task

    def statusUpdate(self, driver, status):
        if status['state'] == 'TASK_FINISHED':
            self.over.add(status['task_id']['value'])
        elif status['state'] not in ('TASK_STARTING', 'TASK_RUNNING'):
            self.failures.append(status)
        if len(self.over) == self.wanted or self.failures:
            self.is_done.set()

    def error(self, driver, message):
        self.failures.append(message)
        self.is_done.set()


@pytest.fixture
def executor(tmpdir):
    """The ExecutorInfo of one whose tasks are finished at once."""
    program = tmpdir.join('executor.py')
    program.write(EXECUTOR)
    return {'executor_id': {'value': 'load'}, 'name': 'load', 'type': 'CUSTOM',
            'command': {'value': 'exec %s %s' % (sys.executable, program), 'environment': {'variables': [
                {'name': 'PYTHONPATH', 'value': os.pathsep.join(path for path in sys.path if path)}]}},
            'resources': FOR_EXECUTOR.to_list()}


@pytest.fixture
def forgetful(monkeypatch):
    """Make the limits that are no options small, too."""
    monkeypatch.setattr(state, 'KEPT_TASKS', 20)
    monkeypatch.setattr(node, 'SERVED_SANDBOXES', 20)
    monkeypatch.setattr(requests, 'REMEMBERED_HEADS', 5)
    monkeypatch.setattr(loop, 'CANCELLED_TIMERS', 20)


def settle(cluster, before):
    """The sizes once they are not larger than before, or when there was time enough for that."""
    found = []

    def is_settled():
        found[:] = [sizes(cluster)]
        return before is None or not grown(before, found[0])

    try:
        wait_until(is_settled, SETTLING)
    except AssertionError:
        pass                            # the caller says what has grown
    return found[0]


# ---- tasks


def keeper_of(cluster):
    return cluster._machinery.launcher._keeper.pid


def of_agents(cluster, count):
    """The sum of `count(model)` over the agents."""
    return cluster._loop.carry_out(lambda: sum(count(agent.model) for agent in cluster._agents))


def await_acknowledged(cluster):
    """Wait until all updates are acknowledged. Tasks of which one is not when their scheduler goes are kept apart."""
    wait_until(lambda: not of_agents(cluster, lambda model: len(model.updates)), PATIENCE,
               'all updates to be acknowledged')


def await_rest(cluster):
    """Wait until nothing runs, and the agents have nothing to do for any framework."""
    wait_until(lambda: not of_agents(cluster, lambda model: len(model.frameworks)), PATIENCE,
               'the agents to have no frameworks')
    wait_until(lambda: not children(keeper_of(cluster)), PATIENCE, 'the keeper to have no children')


class Census(object):
    """What a cluster and its keeper hold at rest, to be compared with what they held before."""

    def __init__(self, cluster, before=None):
        await_rest(cluster)
        self._keeper = keeper_of(cluster)
        self.sizes = settle(cluster, before and before.sizes)
        self.counts = self._count()

    def _count(self):
        gc.collect()                    # PyPy closes what nobody refers to only then
        return {'children': len(children(os.getpid())),
                'descriptors': descriptors(os.getpid()), 'descriptors of the keeper': descriptors(self._keeper),
                'MB': resident(os.getpid()), 'MB of the keeper': resident(self._keeper)}

    def check(self, before):
        assert not grown(before.sizes, self.sizes)
        # A connection that one side has closed the other closes a little later.
        wait_until(lambda: not self._more(before), SETTLING, lambda: 'no more than before: %s' % self._more(before))

    def _more(self, before):
        """{name: (before, now)} of what there is more of. One connection may have come to be used."""
        room = {'descriptors': 2, 'MB': WOBBLE, 'MB of the keeper': WOBBLE}
        now = self._count()
        return dict((name, (before.counts[name], now[name])) for name in now
                    if now[name] > before.counts[name] + room.get(name, 0))


@pytest.mark.parametrize('agents, rounds, commands, tasks', [
    (1, 3, 18, 100), pytest.param(3, 8, 60, 400, marks=pytest.mark.slow)])
def test_round_after_round_of_tasks_leaves_no_more_behind(forgetful, executor, agents, rounds, commands, tasks):
    with LocalCluster(agents=agents, resources=RESOURCES, master_options=FORGETFUL_MASTER,
                      agent_options=FORGETFUL_AGENT) as cluster:
        staying = Load()
        with scheduling(cluster.master, staying) as (driver, _):
            threads = threading.active_count()

            def play():
                for _ in range(3):      # each time its agents forget it, and learn of it anew
                    staying.run(driver, commands // 3)
                    await_rest(cluster)
                coming = Load(executor)
                with scheduling(cluster.master, coming, dict(FRAMEWORK, failover_timeout=0)) as (other, _):
                    coming.run(other, tasks)
                    await_acknowledged(cluster)
                wait_until(lambda: threading.active_count() <= threads, message="the driver's threads to end")

            for _ in range(3):          # until all that is remembered is full
                play()
            before = Census(cluster)
            for _ in range(rounds):
                play()
            Census(cluster, before).check(before)


# ---- clients that come and go


class Stream(object):
    """A call on an API over a connection of its own, and the events that it is answered with."""

    def __init__(self, address, target, call):
        host, _, port = address.partition(':')
        self._socket = socket.create_connection((host, int(port)), PATIENCE)
        self._socket.sendall(httpmsg.request('POST', target, [
            ('Host', address), ('Content-Type', 'application/json'), ('Accept', 'application/json')],
            json.dumps(call).encode('ascii')))
        self._parser, self._records, self._events = httpmsg.ResponseParser(), recordio.Decoder(), []

    def next(self, kind):
        """The next event of a type."""
        while True:
            while self._events:
                event = json.loads(self._events.pop(0).decode('utf-8'))
                if event['type'] == kind:
                    return event
            data = self._socket.recv(65536)
            assert data, 'the stream has ended before %s' % kind
            for part in self._parser.feed(data):
                if isinstance(part, httpmsg.Body):
                    self._events += self._records.feed(part.data)

    def close(self):
        self._socket.close()


def subscribe(address, framework_id=None, failover_timeout=0.0):
    """(Stream of a scheduler, framework id)."""
    info = {'user': 'root', 'name': 'test', 'failover_timeout': failover_timeout}
    call = {'type': 'SUBSCRIBE', 'subscribe': {'framework_info': info}}
    if framework_id is not None:
        info['id'] = call['framework_id'] = {'value': framework_id}
    stream = Stream(address, '/api/v1/scheduler', call)
    return stream, stream.next('SUBSCRIBED')['subscribed']['framework_id']['value']


def repeat(cluster, cycle, count):
    """Let `count` cycles grow nothing; some go before, for what is remembered to be full."""
    for _ in range(max(5, count // 10)):
        cycle()
    before, held = settle(cluster, None), descriptors(os.getpid())
    for _ in range(count):
        cycle()
    after = settle(cluster, before)
    assert not grown(before, after)
    wait_until(lambda: descriptors(os.getpid()) <= held + 2, message='descriptors to be closed')


@pytest.fixture
def cluster(forgetful):
    """Simulated agents."""
    with LocalCluster(agents=3, masters=2, resources=RESOURCES, simulated=0.0, master_options=FORGETFUL_MASTER,
                      agent_options=FORGETFUL_AGENT) as cluster:
        yield cluster


def is_known(cluster, framework_id):
    """Whether the framework is one of those that are not completed."""
    return cluster._loop.carry_out(lambda: framework_id in cluster._machinery.network.leader.model.frameworks)


def test_frameworks_that_come_and_go_leave_nothing(cluster):
    def cycle():
        stream, framework_id = subscribe(cluster.master)
        stream.close()
        wait_until(lambda: not is_known(cluster, framework_id), message='the framework to be removed')

    repeat(cluster, cycle, 200)


def test_a_framework_that_comes_again_and_again_leaves_nothing(cluster):
    stream, framework_id = subscribe(cluster.master, failover_timeout=600.0)
    with closing(stream):
        stream.next('OFFERS')

    def cycle():
        # Once with a stream that is closed first, once with one that is taken over.
        with closing(subscribe(cluster.master, framework_id, 600.0)[0]) as other:
            other.next('OFFERS')
            with closing(subscribe(cluster.master, framework_id, 600.0)[0]) as another:
                another.next('OFFERS')

    repeat(cluster, cycle, 100)


def test_streams_of_operators_leave_nothing(cluster):
    def cycle():
        with closing(Stream(cluster.master, '/api/v1', {'type': 'SUBSCRIBE'})) as stream:
            stream.next('SUBSCRIBED')

    repeat(cluster, cycle, 200)


class Sleeper(pymesos.Scheduler):
    """Launches one long command task."""

    def __init__(self):
        self.is_running = threading.Event()

    def resourceOffers(self, driver, offers):
        taken, _ = Resources(offers[0]['resources']).take(FOR_TASK)
        driver.launchTasks(offers[0]['id'], [{
            'name': 'sleep', 'task_id': {'value': 'sleep'}, 'agent_id': offers[0]['agent_id'],
            'command': {'value': 'sleep 1000'}, 'resources': taken.to_list()}], {'refuse_seconds': 3600})

    def statusUpdate(self, driver, status):
        if status['state'] == 'TASK_RUNNING':
            self.is_running.set()


def test_calls_whose_client_does_not_wait_for_the_answer_leave_nothing(forgetful):
    with LocalCluster(resources=RESOURCES, agent_options=FORGETFUL_AGENT) as cluster:
        scheduler = Sleeper()
        with scheduling(cluster.master, scheduler):
            assert scheduler.is_running.wait(PATIENCE)
            agent = cluster._agents[0]
            token, = cluster._loop.carry_out(lambda: agent.model.containers())

            def waiting():
                return cluster._loop.carry_out(lambda: len(agent.server._deferred))

            def cycle():
                with closing(Stream(cluster.agents[0].address, '/api/v1', {
                        'type': 'WAIT_CONTAINER', 'wait_container': {'container_id': {'value': token}}})):
                    wait_until(lambda: waiting() == 1, message='the call to wait')
                wait_until(lambda: waiting() == 0, message='the call to be forgotten')

            repeat(cluster, cycle, 100)


# ---- faults


def await_agents(cluster):
    """Wait until the leader has all three agents, and a framework an offer of each; the ids of the offers."""
    def offers():
        model = cluster._machinery.network.leader.model
        is_back = len(model.agents) == 3 and all(agent.is_connected for agent in model.agents.values())
        return is_back and len(model.offers) == 3 and set(model.offers)

    return wait_until(lambda: cluster._loop.carry_out(offers), PATIENCE, 'the agents to be back and offered')


def test_agents_that_are_killed_and_started_leave_nothing(cluster):
    stream, _ = subscribe(cluster.master)

    def cycle():
        for number in range(3):
            cluster.kill_agent(number)
        for number in range(3):
            cluster.start_agent(number)
        missing = await_agents(cluster)
        while missing:
            missing.difference_update(offer['id']['value'] for offer in stream.next('OFFERS')['offers']['offers'])

    with closing(stream):
        repeat(cluster, cycle, 100)


def test_agents_that_are_lost_and_found_leave_nothing(forgetful):
    with LocalCluster(agents=3, resources=RESOURCES, simulated=0.0, agent_options=FORGETFUL_AGENT,
                      master_options=dict(FORGETFUL_MASTER, agent_reregister_timeout=0.01)) as cluster:
        stream, _ = subscribe(cluster.master)
        await_agents(cluster)

        def cycle():
            cluster.kill_agent(0)
            stream.next('FAILURE')
            cluster.start_agent(0)
            await_agents(cluster)

        with closing(stream):
            repeat(cluster, cycle, 100)


def test_masters_that_take_over_from_one_another_leave_nothing(cluster):
    stream, framework_id = subscribe(cluster.master, failover_timeout=600.0)
    stream.close()

    def cycle():
        cluster.kill_master()
        cluster.start_master()
        with closing(subscribe(cluster.master, framework_id, 600.0)[0]):
            await_agents(cluster)

    repeat(cluster, cycle, 100)


# ---- many at once


@pytest.fixture
def many_descriptors():
    """As many as the system allows: each driver in this process needs seven of them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize('agents, frameworks, tasks', [
    (100, 10, 10), pytest.param(1000, 200, 20, marks=pytest.mark.slow)])
def test_many_simulated_agents_serve_many_frameworks_in_one_process(many_descriptors, agents, frameworks, tasks):
    with LocalCluster(agents=agents, resources=RESOURCES, simulated=0.1) as cluster:
        loads = [Load(at_once=tasks) for _ in range(frameworks)]
        for load in loads:
            load.wanted = tasks
        drivers = [pymesos.MesosSchedulerDriver(load, dict(FRAMEWORK), cluster.master) for load in loads]
        for driver in drivers:
            driver.start()
        try:
            for load in loads:
                assert load.is_done.wait(PATIENCE) and not load.failures
        finally:
            for driver in drivers:
                driver.stop()
            for driver in drivers:
                driver.join()


# ---- limits


def test_the_limits_of_what_is_remembered_are_those_of_mesos():
    assert (state.KEPT_TASKS, state.KEPT_AGENTS, node.SERVED_SANDBOXES) == (1000, 102400, 1000)
    assert MasterOptions.max_completed_frameworks == AgentOptions.max_completed_frameworks == 50
    assert AgentOptions.max_completed_executors_per_framework == 150
    assert AgentOptions.max_completed_tasks_per_executor == 200


@pytest.mark.slow
def test_no_more_is_remembered_than_that(executor):
    with LocalCluster(agents=1, resources=RESOURCES, master_options=QUICK_OFFERS) as cluster:
        commands, tasks = Load(), Load(executor)
        with scheduling(cluster.master, commands) as (driver, _), scheduling(cluster.master, tasks) as (other, _):
            commands.run(driver, 1010)
            tasks.run(other, 1010)

            def remembered():
                agent, master = cluster._agents[0], cluster._machinery.network.leader.model
                known = list(agent.model.frameworks.values()) + list(agent.model.completed_frameworks.values())
                running = [one for framework in known for one in framework.executors.values()]
                return (sorted(len(framework.completed_tasks) for framework in master.frameworks.values()),
                        sorted(len(framework.completed_executors) for framework in known),
                        [len(one.completed) for one in running], len(agent._sandboxes))

            assert cluster._loop.carry_out(remembered) == ([1000, 1000], [0, 150], [200], 1001)
        assert len(cluster.agents[0].sandboxes()) == 1011

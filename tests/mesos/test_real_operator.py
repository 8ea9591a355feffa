"""The operator's drivers against the real Mesos."""
from __future__ import absolute_import, division, print_function

import threading
import time

import pytest

from pymesos.errors import CallRejected, ConnectionFailed
from pymesos.interface import OperatorMaster, Scheduler
from pymesos.operator_v1 import MesosOperatorAgentDriver, MesosOperatorMasterDriver
from pymesos.scheduler import MesosSchedulerDriver
from pymesos.testing import wait_until
from pymesos.utils import decode_data

FRAMEWORK = {'user': 'root', 'name': 'operated'}
READS = ['getHealth', 'getFlags', 'getVersion', 'getMetrics', 'getLoggingLevel', 'getState', 'getFrameworks',
         'getExecutors', 'getTasks']
MASTER_READS = READS + ['getAgents', 'getRoles', 'getWeights', 'getMaster', 'getMaintenanceStatus',
                        'getMaintenanceSchedule', 'getQuota']
AGENT_READS = READS + ['getContainers']
#: Of these Mesos 1.11 answers with the type alone while there is nothing to tell.
MAY_BE_EMPTY = ['getContainers', 'getWeights']


class OneTask(Scheduler):
    """Runs one command on the first offer that has the resources for it."""

    def __init__(self, command):
        self.command = command
        self.states = []
        self.is_launched = False

    def resourceOffers(self, driver, offers):
        for offer in offers:
            if self.is_launched:
                driver.declineOffer(offer['id'])
                continue
            self.is_launched = True
            task = {'name': 'task', 'task_id': {'value': 'one'}, 'agent_id': offer['agent_id'],
                    'command': {'value': self.command},
                    'resources': [{'name': name, 'type': 'SCALAR', 'scalar': {'value': value}}
                                  for name, value in (('cpus', 0.1), ('mem', 32))]}
            driver.launchTasks(offer['id'], [task])

    def statusUpdate(self, driver, status):
        self.states.append(status['state'])


class Watcher(OperatorMaster):
    """Keeps the names of the callbacks, and what they were told."""

    def __init__(self):
        self.told = []

    def names(self):
        return [name for name, _ in self.told]

    def of(self, name):
        return [value for told, value in self.told if told == name]


def _keeper(name):
    return lambda self, value: self.told.append((name, value))


for _name in ('taskAdded', 'taskUpdated', 'frameworkAdded', 'frameworkUpdated', 'frameworkRemoved', 'agentAdded',
              'agentRemoved'):
    setattr(Watcher, _name, _keeper(_name))


@pytest.fixture
def master(mesos):
    driver = MesosOperatorMasterDriver(mesos.master)
    yield driver
    driver.close()


@pytest.fixture
def agent(mesos):
    driver = MesosOperatorAgentDriver(mesos.agent(1))
    yield driver
    driver.close()


@pytest.fixture
def run_task():
    """``run_task(cluster, command)``: the scheduler (with `driver`) of a task that runs until the test's end."""
    drivers = []

    def run(cluster, command='echo hello; sleep 1000'):
        scheduler = OneTask(command)
        scheduler.driver = MesosSchedulerDriver(scheduler, dict(FRAMEWORK), cluster.master)
        drivers.append(scheduler.driver)
        scheduler.driver.start()
        wait_until(lambda: 'TASK_RUNNING' in scheduler.states, timeout=120,
                   message=lambda: 'a running task: %s' % scheduler.states)
        return scheduler

    yield run
    for driver in drivers:
        driver.stop()
        driver.join()


@pytest.mark.parametrize('method', MASTER_READS)
def test_master_is_read(master, method):
    check_read(master, method)


@pytest.mark.parametrize('method', AGENT_READS)
def test_agent_is_read(agent, method):
    check_read(agent, method)


def check_read(driver, method):
    answer = getattr(driver, method)()
    field = ''.join('_' + letter.lower() if letter.isupper() else letter for letter in method)
    assert answer['type'] == field.upper()
    assert isinstance(answer.get(field), dict) or method in MAY_BE_EMPTY


def test_metrics_come_in_the_time_allowed(master):
    assert master.getMetrics(timeout=5 * 10 ** 9)['get_metrics']['metrics']


def test_logging_level_is_set_for_a_while(agent):
    assert agent.setLoggingLevel(1, 10 ** 9) == {}
    wait_until(lambda: agent.getLoggingLevel()['get_logging_level']['level'] == 0, message='the level to fall back')


def test_weights_are_set(master):
    assert master.updateWeights([{'role': 'eng', 'weight': 2.5}]) is None
    assert master.getWeights()['get_weights']['weight_infos'] == [{'role': 'eng', 'weight': 2.5}]
    master.updateWeights([{'role': 'eng', 'weight': 1.0}])


def test_quota_is_set_and_removed(master):
    guarantee = [{'name': 'cpus', 'type': 'SCALAR', 'scalar': {'value': 1.0}}]
    assert master.setQuota({'role': 'eng', 'guarantee': guarantee}) is None
    assert [info['role'] for info in master.getQuota()['get_quota']['status']['infos']] == ['eng']
    assert master.removeQuota('eng') is None
    assert 'infos' not in master.getQuota()['get_quota']['status']


def test_refusals_carry_status_and_reason(master, agent):
    with pytest.raises(CallRejected) as caught:
        master.markAgentGone('nope')
    assert caught.value.status == 404
    assert "'nope'" in str(caught.value)
    with pytest.raises(CallRejected) as caught:
        master.reserveResources('nope', [])
    assert caught.value.status == 400
    for ask in (agent.waitNestedContainer, agent.killNestedContainer):
        with pytest.raises(CallRejected) as caught:
            ask('nope', 'nobody')
        assert caught.value.status == 404
    with pytest.raises(CallRejected) as caught:
        agent.listFiles('/nope')
    assert caught.value.status == 404


def test_resources_are_reserved_and_volumes_made(mesos, master):
    agent_id = master.getAgents()['get_agents']['agents'][0]['agent_info']['id']['value']
    reservation = [{'type': 'DYNAMIC', 'role': 'eng'}]
    disk = {'name': 'disk', 'type': 'SCALAR', 'scalar': {'value': 16.0}, 'reservations': reservation}
    volume = dict(disk, disk={'persistence': {'id': 'v'}, 'volume': {'container_path': 'v', 'mode': 'RW'}})

    def total():
        agents = master.getAgents()['get_agents']['agents']
        return [found for found in agents if found['agent_info']['id']['value'] == agent_id][0]['total_resources']

    assert master.reserveResources(agent_id, [disk]) is None
    wait_until(lambda: [r for r in total() if r.get('reservations')], message='the reservation')
    assert master.createVolumes(agent_id, [volume]) is None
    wait_until(lambda: [r for r in total() if r.get('disk')], message='the volume')
    assert master.destroyVolumes(agent_id, [volume]) is None
    wait_until(lambda: not [r for r in total() if r.get('disk')], message='the volume to go')
    assert master.unreserveResources(agent_id, [disk]) is None
    wait_until(lambda: not [r for r in total() if r.get('reservations')], message='the reservation to go')


def test_machine_is_taken_down_by_hostname_or_by_ip_alone(mesos_factory):
    cluster = mesos_factory(agents=0)
    master = MesosOperatorMasterDriver(cluster.master)
    machines = [{'hostname': 'machine1'}, {'ip': '10.0.0.2'}]
    start = int(time.time() * 1e9)
    assert master.updateMaintenanceSchedule([{'machine_ids': machines, 'unavailability': {
        'start': {'nanoseconds': start}, 'duration': {'nanoseconds': 3600 * 10 ** 9}}}]) is None
    window = master.getMaintenanceSchedule()['get_maintenance_schedule']['schedule']['windows'][0]
    assert window['machine_ids'] == machines
    assert master.startMaintenance(machines) is None
    down = master.getMaintenanceStatus()['get_maintenance_status']['status']['down_machines']
    assert sorted(down, key=str) == sorted(machines, key=str)
    assert master.stopMaintenance(machines) is None
    assert 'down_machines' not in master.getMaintenanceStatus()['get_maintenance_status']['status']
    master.close()


def containers(agent, **options):
    return agent.getContainers(**options).get('get_containers', {}).get('containers', [])


def test_sandbox_is_listed_and_read(mesos, agent, run_task):
    scheduler = run_task(mesos)
    other = MesosOperatorAgentDriver(mesos.agent(2))
    framework_id = {'value': scheduler.driver.framework_id}
    # The cluster is shared: other tests' containers may still be there.
    home, container = [(driver, found) for driver in (agent, other) for found in containers(driver)
                       if found['framework_id'] == framework_id][0]
    sandbox = '/frameworks/%s/executors/%s/runs/latest' % (
        scheduler.driver.framework_id, container['executor_id']['value'])
    names = [info['path'].rsplit('/', 1)[1] for info in home.listFiles(sandbox)['list_files']['file_infos']]
    assert 'stdout' in names

    def read():
        return decode_data(home.readFile(sandbox + '/stdout')['read_file']['data'])

    wait_until(lambda: b'hello' in read(), message='what the task writes')      # it runs, and so has begun
    whole = read()
    at = whole.index(b'hello')
    assert decode_data(home.readFile(sandbox + '/stdout', 4, at)['read_file']['data']) == b'hell'
    other.close()


def test_nested_container_is_launched_waited_for_and_removed(mesos_factory, run_task):
    cluster = mesos_factory(agents=1)
    run_task(cluster)
    agent = MesosOperatorAgentDriver(cluster.agent(1))
    parent = containers(agent)[0]['container_id']['value']

    def launch(name, command):
        assert agent.launchNestedContainer({
            'container_id': {'value': name, 'parent': {'value': parent}}, 'command': {'value': command}}) is None

    launch('quick', 'exit 5')
    assert agent.waitNestedContainer('quick', parent)['wait_nested_container']['exit_status'] == 5 << 8
    assert agent.removeNestedContainer('quick', parent) is None
    launch('long', 'sleep 1000')
    assert len(containers(agent, show_nested=True)) == 2
    waited = []
    waiter = threading.Thread(target=lambda: waited.append(agent.waitNestedContainer('long', parent)))
    waiter.start()
    assert agent.killNestedContainer('long', parent) is None
    waiter.join(60)
    assert waited[0]['wait_nested_container']['exit_status'] == 9
    with pytest.raises(CallRejected):
        agent.attachContainerOutput(parent)
    agent.close()


def test_operator_hears_of_frameworks_tasks_and_agents(mesos_factory, run_task):
    cluster = mesos_factory(agents=1)
    watcher = Watcher()
    master = MesosOperatorMasterDriver(cluster.master, watcher, use_addict=True)
    master.start()
    wait_until(lambda: master.connected, message='the subscription')
    scheduler = run_task(cluster)
    wait_until(lambda: [u for u in watcher.of('taskUpdated') if u.state == 'TASK_RUNNING'], message='a running task')
    assert watcher.of('frameworkAdded')[0].framework_info.name == 'operated'
    assert watcher.of('taskAdded')[0].task_id.value == 'one'
    scheduler.driver.stop()
    scheduler.driver.join()
    wait_until(lambda: 'frameworkRemoved' in watcher.names(), message='the framework to go')
    agent_id = master.getAgents()['get_agents']['agents'][0]['agent_info']['id']['value']
    cluster.kill_agent(1, 'USR1')
    wait_until(lambda: watcher.of('agentRemoved') == [agent_id], timeout=90, message='the agent to go')
    cluster.start_agent(1)
    wait_until(lambda: 'agentAdded' in watcher.names(), message='the agent to come')
    master.stop()
    master.join()


def test_master_that_is_killed_and_started_again_is_found_again(mesos_factory):
    cluster = mesos_factory(agents=1, registry='replicated_log')
    states = []

    class Driver(MesosOperatorMasterDriver):
        def on_subscribed(self, info):
            states.append(info)

    master = Driver(cluster.master)
    master.start()
    wait_until(lambda: states, message='the subscription')
    master.getHealth()
    cluster.kill_master()
    with pytest.raises(ConnectionFailed):
        master.getHealth()
    cluster.start_master()
    assert master.getHealth()['get_health'] == {'healthy': True}
    wait_until(lambda: len(states) == 2, timeout=90, message='the second subscription')
    agent_id = wait_until(lambda: master.getAgents()['get_agents'].get('agents'), timeout=90, message='the agent')[0]
    assert master.markAgentGone(agent_id['agent_info']['id']['value']) is None
    master.stop()
    master.join()


def test_credentials_are_accepted_and_refused(mesos_factory):
    cluster = mesos_factory(agents=1, auth='user:secret')
    good = dict(principal='user', secret='secret')
    for make, address in ((MesosOperatorMasterDriver, cluster.master), (MesosOperatorAgentDriver, cluster.agent(1))):
        driver = make(address, **good)
        assert driver.getHealth()['get_health'] == {'healthy': True}
        driver.close()
        for bad in ({}, {'principal': 'user'}, {'principal': 'user', 'secret': 'wrong'}):
            driver = make(address, **bad)
            with pytest.raises(CallRejected) as caught:
                driver.getHealth()
            assert caught.value.status == 401
            driver.close()
    driver = MesosOperatorMasterDriver(cluster.master, **good)
    driver.start()
    wait_until(lambda: driver.connected, message='the subscription')
    driver.stop()
    driver.join()
    driver = MesosOperatorMasterDriver(cluster.master, principal='user', secret='wrong')
    driver.start()
    driver.join()
    assert driver.failure.status == 401

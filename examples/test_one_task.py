"""How to test a framework without Mesos: ``pytest test_one_task.py``."""
from __future__ import absolute_import, division, print_function

import pytest

from pymesos import Executor, MesosExecutorDriver, MesosSchedulerDriver, Scheduler
from pymesos.testing import ScriptedMaster, wait_until

pytest_plugins = ['pymesos.testing.plugin']

FRAMEWORK = {'user': 'nobody', 'name': 'one task'}


class OneTask(Scheduler):
    """The framework under test: it launches one task, and stops when the task has ended."""

    def resourceOffers(self, driver, offers):
        for offer in offers:
            driver.launchTasks(offer['id'], [{
                'task_id': {'value': 'the-task'}, 'name': 'the task', 'agent_id': offer['agent_id'],
                'command': {'value': 'true'}, 'resources': offer['resources']}])

    def statusUpdate(self, driver, status):
        if status['state'] == 'TASK_FINISHED':
            driver.stop()


class OneMoment(Executor):
    """The executor under test: its task finishes at once, and so does the executor."""

    def launchTask(self, driver, task):
        driver.sendStatusUpdate({'task_id': task['task_id'], 'state': 'TASK_FINISHED'})
        driver.stop()


def offer(name):
    return {'id': {'value': name}, 'framework_id': {'value': 'ours'}, 'agent_id': {'value': 'agent-1'},
            'hostname': 'a.host', 'resources': [{'name': 'cpus', 'type': 'SCALAR', 'scalar': {'value': 1.0}}]}


@pytest.fixture
def driver(no_leaks, scripted_master):
    driver = MesosSchedulerDriver(OneTask(), FRAMEWORK, scripted_master.address)
    driver.start()
    scripted_master.await_subscribe()
    yield driver
    driver.stop()
    driver.join()


def test_an_offer_is_used(scripted_master, driver):
    scripted_master.send_event({'type': 'OFFERS', 'offers': {'offers': [offer('offer-1')]}})
    accept = scripted_master.await_call('ACCEPT').body['accept']
    assert accept['offer_ids'] == [{'value': 'offer-1'}]
    assert accept['operations'][0]['launch']['task_infos'][0]['task_id'] == {'value': 'the-task'}


def test_the_update_is_acknowledged_and_the_framework_ends(scripted_master, driver):
    scripted_master.send_event({'type': 'UPDATE', 'update': {'status': {
        'task_id': {'value': 'the-task'}, 'agent_id': {'value': 'agent-1'}, 'state': 'TASK_FINISHED',
        'uuid': 'AAAAAAAAAAAAAAAAAAAAAA=='}}})
    driver.join()
    assert scripted_master.await_call('TEARDOWN')


def test_a_lost_master_is_found_again_under_the_same_id(scripted_master, driver):
    scripted_master.cut()
    again = scripted_master.await_subscribe(2)
    assert again.framework_id == scripted_master.streams[0].framework_id


def test_a_master_that_falls_silent_is_noticed(no_leaks, fault_proxy):
    with ScriptedMaster(heartbeat_interval=0.2) as master:
        proxy = fault_proxy(master.address)
        driver = MesosSchedulerDriver(OneTask(), FRAMEWORK, proxy.address)
        driver.start()
        wait_until(lambda: driver.connected, message='the driver to be subscribed')
        proxy.black_hole()              # the sockets stay open, and nothing comes through any more
        before = proxy.connections
        wait_until(lambda: proxy.connections > before, message='the driver to try a new connection')
        proxy.pass_through()
        master.await_subscribe(2)
        driver.stop()
        driver.join()


def test_an_executor(no_leaks, scripted_agent, monkeypatch):
    for name, value in scripted_agent.environment().items():
        monkeypatch.setenv(name, value)
    driver = MesosExecutorDriver(OneMoment())
    driver.start()
    scripted_agent.await_subscribe()
    scripted_agent.send_event({'type': 'LAUNCH', 'launch': {'task': {'task_id': {'value': 'the-task'}}}})
    status = scripted_agent.await_call('UPDATE').body['update']['status']
    assert (status['task_id']['value'], status['state']) == ('the-task', 'TASK_FINISHED')
    driver.join()

"""A framework of our own scheduler and executor, on the real Mesos: every call, and what comes of it."""
from __future__ import absolute_import, division, print_function

import json
import os
import time

import pytest
from children import executor_command
from real_mesos import RealMesos
from recording import RecordingScheduler

from pymesos import MesosSchedulerDriver, decode_data, encode_data
from pymesos.errors import CallRejected, Refused, SubscriptionEnded
from pymesos.resources import Resources, parse
from pymesos.testing import wait_until
from pymesos.wire import calls

pytestmark = [pytest.mark.mesos, pytest.mark.mesos_main]

NOW = {'refuse_seconds': 0}             # offer again at once what is left over
FOR_TASK = parse('cpus:0.1;mem:32')


def framework_info(**more):
    return dict({'name': 'first run', 'user': 'root', 'failover_timeout': 600.0}, **more)


def executor_info(name='obedient'):
    return {'executor_id': {'value': name}, 'name': name, 'command': executor_command('obedient_executor.py'),
            'resources': FOR_TASK.to_list()}


def task_info(name, offer, data=b'run', executor='obedient', **more):
    resources, _ = Resources(offer['resources']).take(FOR_TASK)
    return dict({'task_id': {'value': name}, 'name': name, 'agent_id': offer['agent_id'], 'data': encode_data(data),
                 'executor': executor_info(executor), 'resources': resources.to_list()}, **more)


class Framework(object):
    """A recording scheduler and its driver under way; a context manager that tears the framework down."""

    def __init__(self, address, info=None, **options):
        self.scheduler = RecordingScheduler()
        self.driver = MesosSchedulerDriver(self.scheduler, info or framework_info(), address, **options)

    def __enter__(self):
        self.driver.start()
        return self

    def __exit__(self, *exc_info):
        self.driver.stop(failover=False)
        self.driver.join()

    def await_registered(self):
        """Wait until the framework is registered; its id."""
        return self.scheduler.await_call('registered')[0]['value']

    def launch(self, *names, **options):
        """Launch tasks of these names on the first agent that is offered from here on; the last TASK_RUNNING."""
        start = self.scheduler.position if self.scheduler.seen('statusUpdate') else 0
        offer = self.scheduler.await_offer(start)
        for other in self.scheduler.seen('resourceOffers')[-1][0]:
            if other['id'] != offer['id']:
                self.driver.declineOffer(other['id'], NOW)
        self.driver.launchTasks(offer['id'], [task_info(name, offer, **options) for name in names], NOW)
        for name in names:
            status = self.scheduler.await_status(name, 'TASK_RUNNING')
        return status


@pytest.fixture
def framework(mesos):
    with Framework(mesos.master) as framework:
        yield framework


def ask_executor(framework, status, text, executor='obedient'):
    """Send a framework message to the executor of a task and wait for what comes back."""
    start = framework.scheduler.position
    framework.driver.sendFrameworkMessage({'value': executor}, status['agent_id'], encode_data(text))
    executor_id, agent_id, message = framework.scheduler.await_call('frameworkMessage', start=start)
    assert (executor_id, agent_id) == ({'value': executor}, status['agent_id'])
    return decode_data(message)


# ---- tasks

def test_task_runs_and_finishes_and_every_field_arrives(framework):
    framework.launch('task', data=b'finish')
    status = framework.scheduler.await_status('task', 'TASK_FINISHED')
    assert status['source'] == 'SOURCE_EXECUTOR'
    assert len(decode_data(status['uuid'])) == 16
    assert abs(status['timestamp'] - time.time()) < 3600
    assert framework.driver.version == '1.11.0'
    assert framework.driver.connected and not framework.driver.aborted


def test_messages_go_both_ways(framework):
    status = framework.launch('task')
    every_byte = bytes(bytearray(range(256)))
    assert ask_executor(framework, status, every_byte) == b'echo:' + every_byte


def test_killed_task_gets_the_policy_of_the_kill(framework):
    status = framework.launch('with', 'without')
    policy = {'grace_period': {'nanoseconds': 5000000000}}
    framework.driver.killTask({'value': 'with'}, status['agent_id'], policy)
    killed = framework.scheduler.await_status('with', 'TASK_KILLED')
    assert json.loads(decode_data(killed['data']).decode()) == policy
    framework.driver.killTask({'value': 'without'})
    killed = framework.scheduler.await_status('without', 'TASK_KILLED')
    assert killed['message'] == 'killed' and decode_data(killed['data']) == b'null'


def test_unknown_task_that_is_killed_is_reported_lost(framework):
    framework.await_registered()
    framework.driver.killTask({'value': 'nobody'})
    status = framework.scheduler.await_status('nobody', 'TASK_LOST')
    assert status['reason'] == 'REASON_RECONCILIATION' and 'uuid' not in status


def test_launch_on_an_offer_that_is_used_up_is_reported(framework):
    framework.launch('task')
    offer = framework.scheduler.await_offer()
    framework.driver.launchTasks(offer['id'], [task_info('late', offer)])
    assert framework.scheduler.await_status('late', 'TASK_LOST')['reason'] == 'REASON_INVALID_OFFERS'


def test_task_that_mesos_refuses_is_reported(framework):
    offer = framework.scheduler.await_offer()
    framework.driver.launchTasks(offer['id'], [task_info('refused', offer, resources=parse('cpus:64').to_list())])
    status = framework.scheduler.await_status('refused', 'TASK_ERROR')
    assert status['reason'] == 'REASON_TASK_INVALID' and 'uuid' not in status


def test_executor_that_is_shut_down_ends_its_tasks(framework):
    status = framework.launch('task')
    framework.driver.shutdownExecutor({'value': 'obedient'}, status['agent_id'])
    assert framework.scheduler.await_status('task', 'TASK_KILLED')['message'] == 'shut down'
    executor_id, agent_id, ended = framework.scheduler.await_call('executorLost')
    assert (executor_id, agent_id) == ({'value': 'obedient'}, status['agent_id'])
    assert isinstance(ended, int)


def test_executor_that_dies_fails_its_tasks(framework):
    status = framework.launch('task')
    os.kill(int(ask_executor(framework, status, b'pid')), 9)
    failed = framework.scheduler.await_status('task', 'TASK_FAILED')
    assert failed['source'] == 'SOURCE_AGENT'
    assert framework.scheduler.await_call('executorLost')[0] == {'value': 'obedient'}


# ---- reconciliation

def test_explicit_reconciliation_of_known_and_unknown_tasks(mesos):
    info = framework_info(capabilities=[{'type': 'PARTITION_AWARE'}])
    with Framework(mesos.master, info) as framework:
        running = framework.launch('task')
        start = framework.scheduler.position
        framework.driver.reconcileTasks([
            running,
            {'task_id': {'value': 'gone'}, 'agent_id': running['agent_id']},
            {'task_id': {'value': 'unknown'}}])
        status = framework.scheduler.await_status('task', 'TASK_RUNNING', start)
        assert status['reason'] == 'REASON_RECONCILIATION' and 'uuid' not in status
        # The agent's id makes the difference: its agent is there and does not have the task.
        assert framework.scheduler.await_status('gone', 'TASK_GONE', start)['reason'] == 'REASON_RECONCILIATION'
        framework.scheduler.await_status('unknown', 'TASK_UNKNOWN', start)


def test_implicit_reconciliation_tells_of_every_task(framework):
    framework.launch('one', 'two', 'three')
    start = framework.scheduler.position
    framework.driver.reconcileTasks([])
    for name in ('one', 'two', 'three'):
        framework.scheduler.await_status(name, 'TASK_RUNNING', start)


# ---- acknowledgements

@pytest.mark.slow
def test_update_comes_again_until_it_is_acknowledged(mesos):
    with Framework(mesos.master, implicit_acknowledgements=False) as framework:
        running = framework.launch('task', data=b'finish')
        start = framework.scheduler.position
        again = framework.scheduler.await_status('task', 'TASK_RUNNING', start)         # after Mesos' 10 s
        assert again['uuid'] == running['uuid']
        assert not [status for status, in framework.scheduler.seen('statusUpdate')
                    if status['state'] == 'TASK_FINISHED']
        framework.driver.acknowledgeStatusUpdate(again)
        finished = framework.scheduler.await_status('task', 'TASK_FINISHED')
        framework.driver.acknowledgeStatusUpdate(finished)
        mesos.wait_for(lambda: [task for task in of_framework(mesos, framework)['completed_tasks']
                                if task['state'] == 'TASK_FINISHED'], 'the last acknowledgement')


def of_framework(mesos, framework, kind='frameworks'):
    """What the master knows of a framework."""
    mine = framework.driver.framework_id
    return ([found for found in mesos.get('/state')[kind] if found['id'] == mine] or [{}])[0]


# ---- the framework itself

def test_framework_gets_offers_for_the_roles_it_is_updated_to(mesos):
    info = framework_info(roles=['one'], capabilities=[{'type': 'MULTI_ROLE'}])
    with Framework(mesos.master, info) as framework:
        offer = framework.scheduler.await_offer()
        assert offer['allocation_info'] == {'role': 'one'}
        start = framework.scheduler.position
        framework.driver.updateFramework(dict(info, roles=['one', 'two'], name='updated'), suppressed_roles=['one'])
        known = of_framework(mesos, framework)
        assert (sorted(known['roles']), known['name']) == (['one', 'two'], 'updated')
        for offer in framework.scheduler.seen('resourceOffers')[0][0]:
            framework.driver.declineOffer(offer['id'], {'refuse_seconds': 600})
        # An offer for the first role may have been under way.
        framework.scheduler.await_offer(start, lambda offer: offer['allocation_info'] == {'role': 'two'})
        assert framework.driver.framework['roles'] == ['one', 'two']


def test_update_that_mesos_refuses_raises_and_changes_nothing(mesos):
    with Framework(mesos.master) as framework:
        framework.await_registered()
        with pytest.raises(CallRejected) as caught:
            framework.driver.updateFramework(framework_info(user='somebody else'))
        assert caught.value.status == 400 and caught.value.call == 'UPDATE_FRAMEWORK'
        assert framework.driver.framework['user'] == 'root' and framework.driver.connected


def test_suppressed_framework_gets_offers_when_it_revives(framework):
    framework.await_registered()
    for offer in framework.scheduler.await_call('resourceOffers')[0]:
        framework.driver.declineOffer([offer['id']], {'refuse_seconds': 0.1})
    framework.driver.suppressOffers()
    # A message goes behind the SUPPRESS and comes back: offers that were under way are here by then.
    framework.driver.reconcileTasks([{'task_id': {'value': 'after'}}])
    framework.scheduler.await_status('after', 'TASK_LOST')
    start = framework.scheduler.position
    time.sleep(2.5)                     # two of the allocator's rounds
    assert not framework.scheduler.seen('resourceOffers', start)
    framework.driver.reviveOffers()
    framework.scheduler.await_offer(start)


def test_role_is_suppressed_from_the_start(mesos):
    info = framework_info(roles=['one', 'two'], capabilities=[{'type': 'MULTI_ROLE'}])
    with Framework(mesos.master, info, suppressed_roles=['one']) as framework:
        assert framework.scheduler.await_offer()['allocation_info'] == {'role': 'two'}
        for offers, in framework.scheduler.seen('resourceOffers'):
            framework.driver.declineOffer([offer['id'] for offer in offers], {'refuse_seconds': 600})
        start = framework.scheduler.position
        framework.driver.reviveOffers({'one'})
        # The other agent's offer for the second role may have been under way.
        framework.scheduler.await_offer(start, lambda offer: offer['allocation_info'] == {'role': 'one'})


def test_offers_of_several_roles_serve_tasks(mesos):
    info = framework_info(roles=['one', 'two'], capabilities=[{'type': 'MULTI_ROLE'}])
    with Framework(mesos.master, info, use_addict=True) as framework:
        offer = framework.scheduler.await_offer()
        task = task_info('task', offer, data=b'finish')
        assert task['resources'][0]['allocation_info'] == {'role': offer.allocation_info.role}
        framework.driver.launchTasks(offer.id, [task])
        assert framework.scheduler.await_status('task', 'TASK_FINISHED').task_id.value == 'task'


def test_constraints_choose_the_agents(mesos_factory):
    cluster = mesos_factory(agents=2, attributes=['rack:a', 'rack:b'])
    constraint = {'selector': {'attribute_name': 'rack'}, 'predicate': {'text_equals': {'value': 'b'}}}
    constraints = {'role_constraints': {'*': {'groups': [{'attribute_constraints': [constraint]}]}}}
    with Framework(cluster.master, offer_constraints=constraints) as framework:
        offer = framework.scheduler.await_offer()
        assert [attribute['text']['value'] for attribute in offer['attributes']] == ['b']
        assert all(len(offers) == 1 for offers, in framework.scheduler.seen('resourceOffers'))


# ---- operations

def reserve(framework, operation_id):
    """Reserve some of an offer; (the offer, the first operation status)."""
    offer = framework.scheduler.await_offer()
    resources = FOR_TASK.to_list()
    for resource in resources:
        resource['reservations'] = [{'type': 'DYNAMIC', 'role': 'eng'}]
        resource['allocation_info'] = {'role': 'eng'}
    framework.driver.acceptOffers(offer['id'], [calls.reserve(resources, {'value': operation_id})], NOW)
    status, = framework.scheduler.await_call('operationStatusUpdate')
    return resources, status


def operations(mesos, operation_id):
    found = mesos.call({'type': 'GET_OPERATIONS'})['get_operations'].get('operations', [])
    return [operation for operation in found if operation['info'].get('id') == {'value': operation_id}]


ENG = dict(roles=['eng'], capabilities=[{'type': 'MULTI_ROLE'}, {'type': 'RESERVATION_REFINEMENT'}])


@pytest.mark.parametrize('is_implicit', [True, False])
def test_operation_is_reported_and_acknowledged(mesos_factory, is_implicit):
    mesos = mesos_factory(agents=1)
    with Framework(mesos.master, framework_info(**ENG), implicit_acknowledgements=is_implicit) as framework:
        resources, status = reserve(framework, 'reserve')
        assert (status['operation_id'], status['state']) == ({'value': 'reserve'}, 'OPERATION_FINISHED')
        assert len(decode_data(status['uuid']['value'])) == 16
        if not is_implicit:
            assert operations(mesos, 'reserve')
            start = framework.scheduler.position
            framework.driver.reconcileOperations([{'operation_id': {'value': 'reserve'}},
                                                  {'operation_id': {'value': 'unknown'}}])
            framework.scheduler.await_call('operationStatusUpdate', start=start, is_wanted=lambda status: (
                status['operation_id'] == {'value': 'unknown'} and status['state'] == 'OPERATION_UNKNOWN'))
            framework.driver.acknowledgeOperationStatusUpdate(status)
        # What is acknowledged is forgotten by the master.
        mesos.wait_for(lambda: not operations(mesos, 'reserve'), 'the acknowledgement')
        offer = framework.scheduler.await_offer(
            is_wanted=lambda offer: Resources(offer['resources']).reserved('eng'))
        framework.driver.acceptOffers(offer['id'], [calls.unreserve(resources)])


def test_operation_that_is_invalid_is_reported(mesos):
    with Framework(mesos.master, framework_info(**ENG)) as framework:
        offer = framework.scheduler.await_offer()
        resources = parse('cpus:1000').to_list()
        framework.driver.acceptOffers(offer['id'], [calls.unreserve(resources, {'value': 'nonsense'})])
        status, = framework.scheduler.await_call('operationStatusUpdate')
        assert status['state'] == 'OPERATION_ERROR' and 'uuid' not in status


def test_inverse_offers_are_answered(mesos_factory):
    mesos = mesos_factory(agents=1)
    with Framework(mesos.master) as framework:
        framework.launch('task')
        window = {'machine_ids': [{'hostname': '127.0.0.1', 'ip': '127.0.0.1'}], 'unavailability': {
            'start': {'nanoseconds': int((time.time() + 3600) * 1e9)}, 'duration': {'nanoseconds': 3600 * 10 ** 9}}}
        mesos.call({'type': 'UPDATE_MAINTENANCE_SCHEDULE',
                    'update_maintenance_schedule': {'schedule': {'windows': [window]}}})
        start = 0
        for answer, status in (('declineInverseOffer', 'DECLINE'), ('acceptInverseOffers', 'ACCEPT')):
            inverse, = framework.scheduler.await_call('inverseOffers', start=start)[0]
            start = framework.scheduler.position        # the next may come before Mesos shows the answer
            getattr(framework.driver, answer)(inverse['id'], {'refuse_seconds': 0.1})
            mesos.wait_for(lambda: status in json.dumps(mesos.call({'type': 'GET_MAINTENANCE_STATUS'})),
                           'the answer %s' % status)


# ---- agents

def test_agent_that_dies_takes_its_offers_back(mesos_factory):
    mesos = mesos_factory(agents=1)
    with Framework(mesos.master) as framework:
        offer = framework.scheduler.await_offer()
        mesos.kill_agent(1)
        assert framework.scheduler.await_call('offerRescinded') == (offer['id'],)


@pytest.mark.slow
def test_agent_that_leaves_is_reported(mesos_factory):
    mesos = mesos_factory(agents=1)
    with Framework(mesos.master) as framework:
        offer = framework.scheduler.await_offer()
        mesos.kill_agent(1, signal='USR1')
        assert framework.scheduler.await_call('slaveLost') == (offer['agent_id'],)


# ---- authentication

@pytest.fixture(scope='module')
def guarded(mesos_is_here):
    """A master that lets only user:secret in."""
    with RealMesos(agents=1, auth='user:secret') as cluster:
        yield cluster


def refusal(address, info=None, **options):
    """The text that error() gets from a driver that ends by itself, and the driver's failure."""
    with Framework(address, info, **options) as framework:
        text, = framework.scheduler.await_call('error')
        wait_until(lambda: framework.driver.aborted)
        framework.driver.join()
        assert not framework.scheduler.seen('registered')
        return text, framework.driver.failure


def test_right_credentials_are_accepted(guarded):
    with Framework(guarded.master, principal='user', secret='secret') as framework:
        framework.launch('task', data=b'finish')
        framework.scheduler.await_status('task', 'TASK_FINISHED')
        assert of_framework(guarded, framework)['principal'] == 'user'
    assert framework.driver.framework_id is None        # TEARDOWN was accepted as well


@pytest.mark.parametrize('credentials', [{}, {'principal': 'user', 'secret': 'wrong'}, {'principal': 'user'}])
def test_wrong_credentials_end_the_driver(guarded, credentials):
    text, failure = refusal(guarded.master, **credentials)
    assert 'HTTP status 401' in text and 'wrong' not in text
    assert isinstance(failure, CallRejected) and failure.status == 401 and isinstance(failure, RuntimeError)


def test_principal_that_is_not_the_authenticated_one_ends_the_driver(guarded):
    text, failure = refusal(guarded.master, framework_info(principal='other'), principal='user', secret='secret')
    assert "HTTP status 400" in text and "does not match principal 'other'" in text
    assert isinstance(failure, CallRejected) and failure.status == 400


# ---- the end

def test_role_that_is_none_ends_the_driver(mesos):
    text, failure = refusal(mesos.master, framework_info(role='a b'))
    assert text == ("'FrameworkInfo.role' is not a valid role: Role component 'a b' is invalid because it contains "
                    "backspace or whitespace")
    assert isinstance(failure, SubscriptionEnded) and failure.reason == text and isinstance(failure, Refused)


def is_alive(pid):
    """Whether a process runs; a zombie does not."""
    try:
        with open('/proc/%d/stat' % pid) as stream:
            return stream.read().rpartition(')')[2].split()[0] != 'Z'
    except EnvironmentError:
        return False


def test_stop_tears_the_framework_down(mesos):
    with Framework(mesos.master) as framework:
        fid = framework.await_registered()
        pid = int(ask_executor(framework, framework.launch('task'), b'pid'))
        framework.driver.stop()
        framework.driver.join()
        assert framework.scheduler.seen('disconnected')
        mesos.wait_for(lambda: [found for found in mesos.get('/state')['completed_frameworks'] if found['id'] == fid],
                       'the framework to end')
        wait_until(lambda: not is_alive(pid), 60, 'the executor to end')
    text, failure = refusal(mesos.master, framework_info(id={'value': fid}))
    assert text == 'Framework has been removed'


def test_failover_keeps_tasks_for_the_next_scheduler(mesos):
    with Framework(mesos.master) as first:
        fid = first.await_registered()
        running = first.launch('task')
        pid = int(ask_executor(first, running, b'pid'))
        first.driver.stop(failover=True)
        first.driver.join()
        with Framework(mesos.master, framework_info(id={'value': fid})) as second:
            second.scheduler.await_call('reregistered')
            assert not second.scheduler.seen('registered')
            second.driver.reconcileTasks([running])
            second.scheduler.await_status('task', 'TASK_RUNNING')
            assert int(ask_executor(second, running, b'pid')) == pid
            assert second.driver.framework_id == fid


def test_scheduler_that_is_replaced_ends(mesos):
    with Framework(mesos.master) as first:
        fid = first.await_registered()
        running = first.launch('task')
        with Framework(mesos.master, framework_info(id={'value': fid})) as second:
            second.scheduler.await_call('reregistered')
            assert first.scheduler.await_call('error') == ('Framework failed over',)
            wait_until(lambda: first.driver.aborted)
            # The one that was replaced takes nothing with it.
            first.driver.stop()
            first.driver.join()
            assert ask_executor(second, running, b'still there') == b'echo:still there'


def test_driver_runs_again_with_its_id(mesos):
    with Framework(mesos.master) as framework:
        fid = framework.await_registered()
        framework.launch('task')
        framework.driver.stop(failover=True)
        framework.driver.join()
        start = framework.scheduler.position
        framework.driver.start()
        framework.scheduler.await_call('reregistered', start=start)
        assert framework.driver.framework_id == fid
        framework.driver.reconcileTasks([])
        framework.scheduler.await_status('task', 'TASK_RUNNING', start)


def test_request_for_resources_is_accepted(framework):
    framework.await_registered()
    framework.driver.requestResources([{'resources': parse('cpus:1').to_list()}])
    assert framework.driver.connected

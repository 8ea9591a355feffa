"""Updates of tasks, acknowledgements, reconciliation, kills, messages (PROTOCOL 2.1, 2.7, 2.8, 8.3)."""
from __future__ import absolute_import, division, print_function

import pytest
from local_master import Bench, command_task, executor_info, executor_task, framework_info

AWARE = ['PARTITION_AWARE']
CONTAINER = {'container_id': {'value': 'c'}, 'executor_pid': 7}


@pytest.fixture
def bench():
    return Bench()


@pytest.fixture
def agent(bench):
    return bench.agent()


@pytest.fixture
def framework(bench, agent):
    return bench.framework()


def launch(framework, agent, *task_ids):
    framework.launch(framework.last_offer(), *[command_task(task_id, agent.id) for task_id in task_ids],
                     filters={'refuse_seconds': 0.0})


# ---- updates

def test_an_update_is_passed_on_as_it_is(framework, agent):
    launch(framework, agent, 't')
    status = agent.update(framework, 't', 'TASK_RUNNING', executor_id='t', data='ZGF0YQ==', healthy=True,
                          labels={'labels': [{'key': 'k', 'value': 'v'}]}, container_status=CONTAINER)
    assert framework.events('UPDATE') == [{'status': status}]


def test_the_executor_is_named_even_if_the_status_does_not(framework, agent, bench):
    launch(framework, agent, 't')
    status = {'task_id': {'value': 't'}, 'state': 'TASK_FAILED', 'uuid': bench.world.uuid_base64()}
    agent.say('STATUS', framework_id=framework.id, executor_id='t', status=status, latest_state='TASK_FAILED')
    assert framework.updates()[-1]['executor_id'] == {'value': 't'}


def test_an_update_of_an_unknown_task_is_passed_on(framework, agent):
    agent.update(framework, 'unknown', 'TASK_RUNNING')
    assert [status['task_id']['value'] for status in framework.updates()] == ['unknown']


def test_an_update_for_a_disconnected_framework_is_kept_for_reconciliation_only(bench, agent):
    framework = bench.framework(framework_info(failover_timeout=100.0))
    launch(framework, agent, 't')
    framework.close()
    agent.update(framework, 't', 'TASK_RUNNING')
    assert not framework.updates()
    assert framework.state.tasks['t'].state == 'TASK_RUNNING'


def test_an_update_for_an_unknown_framework_is_ignored(bench, framework, agent):
    framework.call('TEARDOWN')
    agent.update(framework, 't', 'TASK_RUNNING')
    assert not framework.updates()


def test_an_update_of_an_agent_that_is_not_registered_is_not_passed_on(bench, framework, agent):
    launch(framework, agent, 't')
    agent.say('UNREGISTER')
    bench.forget()
    agent.update(framework, 't', 'TASK_RUNNING')
    assert not framework.updates()
    assert agent.told() == [{'type': 'REREGISTER_PLEASE'}]


def test_only_the_latest_status_of_a_state_is_kept_and_no_data(framework, agent):
    launch(framework, agent, 't')
    agent.update(framework, 't', 'TASK_STARTING')
    agent.update(framework, 't', 'TASK_RUNNING', message='one')
    agent.update(framework, 't', 'TASK_RUNNING', message='two', data='ZGF0YQ==')
    statuses = framework.state.tasks['t'].statuses
    assert [(status['state'], status.get('message')) for status in statuses] == [
        ('TASK_STARTING', None), ('TASK_RUNNING', 'two')]
    assert 'data' not in statuses[-1]


def test_operators_hear_of_new_states_and_of_checks(bench, framework, agent):
    launch(framework, agent, 't')
    heard = []
    bench.model.publisher.task_updated = lambda task, status: heard.append((status['state'], status.get('reason')))
    agent.update(framework, 't', 'TASK_RUNNING')
    agent.update(framework, 't', 'TASK_RUNNING')
    agent.update(framework, 't', 'TASK_RUNNING', reason='REASON_TASK_HEALTH_CHECK_STATUS_UPDATED')
    agent.update(framework, 't', 'TASK_RUNNING', reason='REASON_TASK_CHECK_STATUS_UPDATED')
    assert heard == [('TASK_RUNNING', None), ('TASK_RUNNING', 'REASON_TASK_HEALTH_CHECK_STATUS_UPDATED'),
                     ('TASK_RUNNING', 'REASON_TASK_CHECK_STATUS_UPDATED')]


def test_resources_are_free_when_the_latest_state_is_terminal(bench, framework, agent):
    framework.launch(framework.last_offer(), command_task('t', agent.id, cpus=4, mem=4096))
    agent.update(framework, 't', 'TASK_RUNNING', latest='TASK_FINISHED')
    assert framework.state.tasks['t'].state == 'TASK_FINISHED'
    bench.wait(1)
    assert len(framework.offers()) == 2


def test_resources_are_freed_once(bench, framework, agent):
    framework.launch(framework.last_offer(), command_task('t', agent.id, cpus=4, mem=4096))
    agent.update(framework, 't', 'TASK_RUNNING', latest='TASK_FINISHED')
    framework.acknowledge(agent.update(framework, 't', 'TASK_FINISHED'))
    assert framework.last_offer()['resources'] == [
        {'name': 'cpus', 'type': 'SCALAR', 'scalar': {'value': 4.0}, 'role': '*'},
        {'name': 'mem', 'type': 'SCALAR', 'scalar': {'value': 4096.0}, 'role': '*'}]


# ---- ACKNOWLEDGE

def test_an_acknowledgement_goes_to_the_agent(framework, agent):
    launch(framework, agent, 't')
    status = agent.update(framework, 't', 'TASK_RUNNING')
    assert framework.acknowledge(status).status == 202
    assert agent.told('ACK') == [{'type': 'ACK', 'framework_id': framework.id, 'task_id': 't', 'uuid': status['uuid']}]
    assert 't' in framework.state.tasks


def test_a_task_is_forgotten_when_its_end_is_acknowledged(framework, agent):
    launch(framework, agent, 't')
    running = agent.update(framework, 't', 'TASK_RUNNING')
    agent.update(framework, 't', 'TASK_FINISHED', latest='TASK_FINISHED')
    assert 't' in framework.state.tasks
    framework.acknowledge(running)
    assert 't' in framework.state.tasks
    framework.acknowledge(framework.updates()[-1])
    assert not framework.state.tasks and not agent.state.tasks
    assert [(task.id, task.is_acknowledged) for task in framework.state.completed_tasks] == [('t', True)]


def test_an_acknowledgement_of_an_unknown_task_goes_to_the_agent(framework, agent):
    status = agent.update(framework, 'unknown', 'TASK_LOST')
    framework.acknowledge(status)
    assert len(agent.told('ACK')) == 1


def test_an_acknowledgement_before_any_update_is_dropped(framework, agent, bench):
    launch(framework, agent, 't')
    framework.acknowledge({'agent_id': {'value': agent.id}, 'task_id': {'value': 't'},
                           'uuid': bench.world.uuid_base64()})
    assert not agent.told('ACK')


def test_an_acknowledgement_for_an_agent_that_cannot_be_reached_is_dropped(bench, agent):
    framework = bench.framework(framework_info(checkpoint=True))
    launch(framework, agent, 't')
    status = agent.update(framework, 't', 'TASK_FINISHED')
    agent.disconnect()
    assert framework.acknowledge(status).status == 202
    assert not agent.told('ACK') and 't' in framework.state.tasks
    framework.acknowledge(dict(status, agent_id={'value': 'unknown'}))
    assert not agent.told('ACK')


# ---- RECONCILE

def reconcile(framework, *tasks):
    del framework._bench.sent[:]
    body = {'tasks': [dict(task_id={'value': task_id}, **({'agent_id': {'value': agent_id}} if agent_id else {}))
                      for task_id, agent_id in tasks]} if tasks else {}
    assert framework.call('RECONCILE', body).status == 202
    return framework.updates()


def answer(status):
    return status['state'], status['message'], status['source'], status['reason'], 'uuid' in status


def test_a_known_task_is_answered_with_its_state(bench, framework, agent):
    launch(framework, agent, 't')
    agent.update(framework, 't', 'TASK_RUNNING', executor_id='t', data='ZGF0YQ==', message='own', healthy=False,
                 check_status={'type': 'TCP'}, labels={'labels': []}, container_status=CONTAINER)
    status, = reconcile(framework, ('t', agent.id))
    assert status == {
        'task_id': {'value': 't'}, 'state': 'TASK_RUNNING', 'message': 'Reconciliation: Latest task state',
        'source': 'SOURCE_MASTER', 'reason': 'REASON_RECONCILIATION', 'agent_id': {'value': agent.id},
        'timestamp': bench.world.time(), 'healthy': False, 'check_status': {'type': 'TCP'},
        'container_status': CONTAINER}


def test_the_answer_names_the_executor_of_a_task_that_has_one(framework, agent):
    framework.launch(framework.last_offer(), executor_task('t', agent.id))
    assert reconcile(framework, ('t', None))[0]['executor_id'] == {'value': 'e'}


def test_the_container_of_an_earlier_status_is_told(framework, agent):
    launch(framework, agent, 't')
    agent.update(framework, 't', 'TASK_RUNNING', container_status=CONTAINER, healthy=True)
    agent.update(framework, 't', 'TASK_FAILED')
    status, = reconcile(framework, ('t', None))
    assert status['container_status'] == CONTAINER and 'healthy' not in status


def test_a_staging_task_is_answered(framework, agent):
    launch(framework, agent, 't')
    assert reconcile(framework, ('t', None))[0]['state'] == 'TASK_STAGING'


def test_the_state_is_the_last_one_that_was_forwarded(framework, agent):
    launch(framework, agent, 't')
    agent.update(framework, 't', 'TASK_RUNNING', latest='TASK_FINISHED')
    assert reconcile(framework, ('t', None))[0]['state'] == 'TASK_RUNNING'


def test_a_wrong_agent_of_a_known_task_does_not_matter(framework, agent):
    launch(framework, agent, 't')
    assert reconcile(framework, ('t', 'nope'))[0]['agent_id'] == {'value': agent.id}


def test_implicit_reconciliation_tells_of_all_tasks_even_ended_ones(framework, agent):
    launch(framework, agent, 't1', 't2', 't3')
    agent.update(framework, 't2', 'TASK_FINISHED')
    framework.acknowledge(agent.update(framework, 't3', 'TASK_FINISHED'))
    assert sorted((status['task_id']['value'], status['state']) for status in reconcile(framework)) == [
        ('t1', 'TASK_STAGING'), ('t2', 'TASK_FINISHED')]


@pytest.mark.parametrize('capabilities, state', [(AWARE, 'TASK_GONE'), ([], 'TASK_LOST')])
def test_unknown_on_a_registered_agent(bench, agent, capabilities, state):
    framework = bench.framework(framework_info(capabilities=capabilities))
    status, = reconcile(framework, ('nope', agent.id))
    assert answer(status) == (state, 'Reconciliation: Task is unknown to the agent', 'SOURCE_MASTER',
                              'REASON_RECONCILIATION', False)
    assert status['agent_id'] == {'value': agent.id}


@pytest.mark.parametrize('capabilities, state', [(AWARE, 'TASK_UNKNOWN'), ([], 'TASK_LOST')])
@pytest.mark.parametrize('agent_id', [None, 'nope'])
def test_unknown_everywhere(bench, agent, capabilities, state, agent_id):
    framework = bench.framework(framework_info(capabilities=capabilities))
    status, = reconcile(framework, ('nope', agent_id))
    assert answer(status) == (state, 'Reconciliation: Task is unknown', 'SOURCE_MASTER', 'REASON_RECONCILIATION', False)
    assert status.get('agent_id') == (agent_id and {'value': agent_id})


@pytest.mark.parametrize('capabilities, state', [(AWARE, 'TASK_UNREACHABLE'), ([], 'TASK_LOST')])
def test_unknown_on_an_unreachable_agent(bench, agent, capabilities, state):
    framework = bench.framework(framework_info(capabilities=capabilities))
    agent_id = agent.id
    bench.wait(75)
    status, = reconcile(framework, ('nope', agent_id))
    assert answer(status) == (state, 'Reconciliation: Task is unreachable', 'SOURCE_MASTER', 'REASON_RECONCILIATION',
                              False)
    assert status['unreachable_time'] == {'nanoseconds': bench.model.unreachable_agents[agent_id]}


@pytest.mark.parametrize('capabilities, state', [(AWARE, 'TASK_GONE_BY_OPERATOR'), ([], 'TASK_LOST')])
def test_unknown_on_an_agent_that_is_gone(bench, agent, capabilities, state):
    framework = bench.framework(framework_info(capabilities=capabilities))
    bench.model.mark_gone(agent.id)
    bench.take()
    status, = reconcile(framework, ('nope', agent.id))
    assert answer(status) == (state, 'Reconciliation: Task is gone', 'SOURCE_MASTER', 'REASON_RECONCILIATION', False)


def test_no_answer_while_an_agent_is_expected_that_may_know(bench, framework, agent):
    bench.lead(bench.model.registry())
    framework = bench.framework(framework.info)
    assert [status['agent_id']['value'] for status in reconcile(
        framework, ('t', None), ('t', agent.id), ('t', 'nope'))] == ['nope']


# ---- KILL

def test_a_kill_goes_to_the_agent_each_time(framework, agent):
    launch(framework, agent, 't')
    policy = {'grace_period': {'nanoseconds': 1}}
    assert framework.call('KILL', {'task_id': {'value': 't'}}).status == 202
    framework.call('KILL', {'task_id': {'value': 't'}, 'agent_id': {'value': agent.id}, 'kill_policy': policy})
    assert agent.told('KILL') == [
        {'type': 'KILL', 'framework_id': framework.id, 'task_id': 't', 'kill_policy': None},
        {'type': 'KILL', 'framework_id': framework.id, 'task_id': 't', 'kill_policy': policy}]


def test_a_kill_with_the_wrong_agent_is_ignored(framework, agent):
    launch(framework, agent, 't')
    framework.call('KILL', {'task_id': {'value': 't'}, 'agent_id': {'value': 'nope'}})
    assert not agent.told('KILL') and not framework.updates()


def test_a_kill_of_an_unknown_task_is_answered_by_reconciliation(framework, agent):
    framework.call('KILL', {'task_id': {'value': 'nope'}})
    framework.call('KILL', {'task_id': {'value': 'nope'}, 'agent_id': {'value': agent.id}})
    assert [answer(status)[:2] for status in framework.updates()] == [
        ('TASK_LOST', 'Reconciliation: Task is unknown'),
        ('TASK_LOST', 'Reconciliation: Task is unknown to the agent')]


def test_a_kill_while_the_agent_is_away_is_told_when_it_comes_back(bench, agent):
    framework = bench.framework(framework_info(checkpoint=True))
    launch(framework, agent, 't')
    agent.disconnect()
    framework.call('KILL', {'task_id': {'value': 't'}})
    assert not agent.told('KILL')
    agent.reregister(tasks=[agent.task_record(framework, command_task('t', agent.id))])
    assert [told['task_id'] for told in agent.told('KILL')] == ['t']


# ---- executors

def test_shutdown_goes_to_the_agent_that_has_the_executor(framework, agent):
    framework.launch(framework.last_offer(), executor_task('t', agent.id))
    assert framework.call('SHUTDOWN', {'executor_id': {'value': 'e'}, 'agent_id': {'value': agent.id}}).status == 202
    assert agent.told('SHUTDOWN_EXECUTOR') == [
        {'type': 'SHUTDOWN_EXECUTOR', 'framework_id': framework.id, 'executor_id': 'e'}]


@pytest.mark.parametrize('executor_id, agent_id', [('nope', None), ('e', 'nope')])
def test_shutdown_of_what_is_not_there_is_ignored(framework, agent, executor_id, agent_id):
    framework.launch(framework.last_offer(), executor_task('t', agent.id))
    framework.call('SHUTDOWN', {'executor_id': {'value': executor_id}, 'agent_id': {'value': agent_id or agent.id}})
    assert not agent.told('SHUTDOWN_EXECUTOR')


def test_a_message_goes_to_the_agent(framework, agent):
    body = {'agent_id': {'value': agent.id}, 'executor_id': {'value': 'e'}, 'data': 'ZGF0YQ=='}
    assert framework.call('MESSAGE', body).status == 202
    assert agent.told('MESSAGE') == [
        {'type': 'MESSAGE', 'framework_id': framework.id, 'executor_id': 'e', 'data': 'ZGF0YQ=='}]


def test_a_message_for_an_agent_that_cannot_be_reached_is_dropped(framework, agent):
    agent.disconnect()
    for agent_id in (agent.id, 'nope'):
        assert framework.call('MESSAGE', {'agent_id': {'value': agent_id}, 'executor_id': {'value': 'e'},
                                          'data': ''}).status == 202
    assert not agent.told('MESSAGE')


def test_a_message_of_an_executor_goes_to_the_framework(framework, agent):
    agent.say('EXECUTOR_MESSAGE', framework_id=framework.id, executor_id='e', data='ZGF0YQ==')
    assert framework.events('MESSAGE') == [
        {'agent_id': {'value': agent.id}, 'executor_id': {'value': 'e'}, 'data': 'ZGF0YQ=='}]


def test_a_message_for_a_disconnected_or_unknown_framework_is_dropped(bench, agent):
    framework = bench.framework(framework_info(failover_timeout=10.0))
    framework.close()
    agent.say('EXECUTOR_MESSAGE', framework_id=framework.id, executor_id='e', data='')
    bench.wait(20)
    agent.say('EXECUTOR_MESSAGE', framework_id=framework.id, executor_id='e', data='')
    assert not framework.events('MESSAGE')


def test_the_end_of_an_executor_is_a_failure_and_frees_what_it_held(bench, framework, agent):
    framework.launch(framework.last_offer(), executor_task('t', agent.id, executor_info()),
                     filters={'refuse_seconds': 0.0})
    agent.update(framework, 't', 'TASK_FAILED')
    agent.say('EXITED_EXECUTOR', framework_id=framework.id, executor_id='e', status=256)
    assert framework.failures() == [{'agent_id': {'value': agent.id}, 'executor_id': {'value': 'e'}, 'status': 256}]
    offer = framework.last_offer()
    assert offer['resources'][0]['scalar']['value'] == 4.0 and 'executor_ids' not in offer
    assert not agent.state.executors and not framework.state.executors


def test_the_end_of_an_unknown_executor_is_told_as_well(framework, agent):
    agent.say('EXITED_EXECUTOR', framework_id=framework.id, executor_id='unknown', status=-1)
    assert framework.failures()[0]['status'] == -1

"""ACCEPT with launches: what is checked, what agents are told, what is left (PROTOCOL 2.5, 2.6, 5.4, 8.3)."""
from __future__ import absolute_import, division, print_function

import pytest
from local_master import Bench, allocated, command_task, executor_info, executor_task, framework_info, scalar


@pytest.fixture
def bench():
    return Bench()


@pytest.fixture
def agent(bench):
    return bench.agent()


@pytest.fixture
def framework(bench, agent):
    return bench.framework()


NO_FILTER = {'refuse_seconds': 0.0}


def amount(offer, name='cpus'):
    return round(sum(item['scalar']['value'] for item in offer['resources'] if item['name'] == name), 3)


def group(executor, *tasks):
    return {'type': 'LAUNCH_GROUP', 'launch_group': {'executor': executor, 'task_group': {'tasks': list(tasks)}}}


# ---- what the agent is told

def test_a_command_task_is_given_to_the_agent(framework, agent):
    task = command_task('t', agent.id)
    assert framework.launch(framework.last_offer(), task).status == 202
    assert agent.told('RUN_TASK') == [{
        'type': 'RUN_TASK', 'framework_info': framework.state.info, 'executor_info': None, 'is_new_executor': True,
        'task': allocated(task)}]


def test_a_task_with_an_executor_is_given_to_the_agent(framework, agent):
    framework.launch(framework.last_offer(), executor_task('t', agent.id))
    expected = allocated(executor_task('t', agent.id))
    expected['executor']['framework_id'] = {'value': framework.id}
    told, = agent.told('RUN_TASK')
    assert told['task'] == expected
    assert told['executor_info'] == expected['executor']


def test_a_launched_task_is_staging_without_an_update(framework, agent):
    framework.launch(framework.last_offer(), command_task('t', agent.id))
    assert framework.state.tasks['t'].state == 'TASK_STAGING'
    assert not framework.updates()
    assert agent.state.tasks[framework.id, 't'] is framework.state.tasks['t']


def test_operators_hear_of_a_new_task(bench, framework, agent):
    added = []
    bench.model.publisher.task_added = added.append
    framework.launch(framework.last_offer(), command_task('t', agent.id))
    assert [task.id for task in added] == ['t']


# ---- what is left

def test_what_is_not_used_is_declined_with_the_filter(bench, framework, agent):
    framework.launch(framework.last_offer(), command_task('t', agent.id, cpus=1), filters={'refuse_seconds': 20.0})
    bench.wait(19)
    assert len(framework.offers()) == 1
    bench.wait(3)
    assert amount(framework.offers()[-1]) == 3.0


def test_the_filter_is_five_seconds_if_none_is_given(bench, framework, agent):
    framework.launch(framework.last_offer(), command_task('t', agent.id, cpus=1))
    bench.wait(4)
    assert len(framework.offers()) == 1
    bench.wait(3)
    assert len(framework.offers()) == 2


def test_accept_without_operations_declines(bench, framework, agent):
    framework.accept([framework.last_offer()], filters={'refuse_seconds': 10.0})
    bench.wait(9)
    assert len(framework.offers()) == 1
    bench.wait(2)
    assert amount(framework.offers()[-1]) == 4.0


def test_accept_of_no_tasks_declines(bench, framework, agent):
    framework.launch(framework.last_offer(), filters=NO_FILTER)
    assert amount(framework.last_offer()) == 4.0


def test_no_rescind_follows_an_accept(framework, agent):
    framework.launch(framework.last_offer(), command_task('t', agent.id))
    assert not framework.rescinded()


def test_executor_and_tasks_are_paid_for_and_the_executor_once(framework, agent):
    executor = executor_info(resources=[scalar('cpus', 0.5), scalar('mem', 100)])
    framework.launch(framework.last_offer(), executor_task('t1', agent.id, executor, cpus=1),
                     executor_task('t2', agent.id, executor, cpus=1), filters=NO_FILTER)
    offer = framework.last_offer()
    assert amount(offer) == 1.5 and amount(offer, 'mem') == 4096 - 100 - 64
    framework.launch(offer, executor_task('t3', agent.id, executor, cpus=1), filters=NO_FILTER)
    assert amount(framework.last_offer()) == 0.5


def test_the_command_executor_is_not_paid_for(framework, agent):
    framework.launch(framework.last_offer(), command_task('t', agent.id, cpus=1), filters=NO_FILTER)
    assert amount(framework.last_offer()) == 3.0


def test_offers_of_one_agent_may_be_accepted_together(bench, framework, agent):
    first = framework.last_offer()
    framework.launch(first, command_task('t1', agent.id, cpus=3), filters=NO_FILTER)
    second = framework.last_offer()
    agent.update(framework, 't1', 'TASK_FINISHED')
    bench.wait(1)
    third = framework.offers()[-1]
    assert third['id'] != second['id']
    framework.accept([second, third], {'type': 'LAUNCH', 'launch': {'task_infos': [
        command_task('t2', agent.id, cpus=4)]}})
    assert [told['task']['task_id']['value'] for told in agent.told('RUN_TASK')] == ['t1', 't2']


# ---- invalid offers

def refused(status):
    return dict((name, status[name]) for name in status if name != 'timestamp')


def test_a_used_offer_loses_the_task(framework, agent):
    offer = framework.last_offer()
    framework.launch(offer, command_task('t1', agent.id))
    framework.launch(offer, command_task('t2', agent.id))
    assert [refused(status) for status in framework.updates()] == [{
        'task_id': {'value': 't2'}, 'state': 'TASK_LOST', 'source': 'SOURCE_MASTER',
        'message': 'Task launched with invalid offers: Offer %s is no longer valid' % offer['id']['value'],
        'reason': 'REASON_INVALID_OFFERS', 'agent_id': {'value': agent.id}}]


def test_a_partition_aware_framework_is_told_dropped(bench, agent):
    framework = bench.framework(framework_info(capabilities=['PARTITION_AWARE']))
    framework.accept(['nope'], {'type': 'LAUNCH', 'launch': {'task_infos': [command_task('t', agent.id)]}})
    assert framework.updates()[0]['state'] == 'TASK_DROPPED'


def test_no_offers_lose_the_task(framework, agent):
    framework.accept([], {'type': 'LAUNCH', 'launch': {'task_infos': [command_task('t', agent.id)]}})
    assert framework.updates()[0]['message'] == 'Task launched with invalid offers: No offers specified'


def test_every_task_of_a_group_is_lost(framework, agent):
    framework.accept(['nope'], group(executor_info(), command_task('g1', agent.id), command_task('g2', agent.id)))
    assert [status['state'] for status in framework.updates()] == ['TASK_LOST'] * 2


def test_one_invalid_offer_gives_the_others_back_without_a_filter(bench, framework, agent):
    offer = framework.last_offer()
    framework.accept([offer, 'nope'], {'type': 'LAUNCH', 'launch': {'task_infos': [command_task('t', agent.id)]}})
    assert framework.updates()[0]['reason'] == 'REASON_INVALID_OFFERS'
    assert not framework.rescinded()
    bench.wait(1)
    assert len(framework.offers()) == 2


def test_offers_of_two_agents_are_invalid_together(bench, framework, agent):
    bench.agent(5052)
    bench.wait(1)
    one, other = framework.offers()
    framework.accept([one, other], {'type': 'LAUNCH', 'launch': {'task_infos': [command_task('t', agent.id)]}})
    assert framework.updates()[0]['message'] == (
        'Task launched with invalid offers: Aggregated offers must belong to one single agent. Offer %s uses agent %s '
        'and agent %s' % (other['id']['value'], other['agent_id']['value'], one['agent_id']['value']))
    bench.wait(1)
    assert len(framework.offers()) == 4


def test_the_same_offer_twice_is_invalid(framework, agent):
    offer = framework.last_offer()
    framework.accept([offer, offer], {'type': 'LAUNCH', 'launch': {'task_infos': [command_task('t', agent.id)]}})
    assert framework.updates()[0]['message'] == (
        'Task launched with invalid offers: Duplicate offer %s in offer list' % offer['id']['value'])


# ---- invalid tasks

def test_a_task_that_is_too_big_is_an_error_and_the_others_go_on(framework, agent):
    framework.launch(framework.last_offer(), command_task('big', agent.id, cpus=100), command_task('ok', agent.id))
    status, = framework.updates()
    assert refused(status) == {
        'task_id': {'value': 'big'}, 'state': 'TASK_ERROR', 'source': 'SOURCE_MASTER',
        'reason': 'REASON_TASK_INVALID', 'agent_id': {'value': agent.id},
        'message': 'Total resources cpus(allocated: *):100; mem(allocated: *):32 required by task and its executor is '
                   'more than available cpus(allocated: *):4; mem(allocated: *):4096'}
    assert [told['task']['task_id']['value'] for told in agent.told('RUN_TASK')] == ['ok']


def test_a_duplicate_id_is_an_error_until_the_end_is_acknowledged(framework, agent):
    framework.launch(framework.last_offer(), command_task('t', agent.id), filters=NO_FILTER)
    framework.launch(framework.last_offer(), command_task('t', agent.id), filters=NO_FILTER)
    assert framework.updates()[-1]['message'] == 'Task has duplicate ID: t'
    status = agent.update(framework, 't', 'TASK_FINISHED')
    framework.launch(framework.last_offer(), command_task('t', agent.id), filters=NO_FILTER)
    assert framework.updates()[-1]['message'] == 'Task has duplicate ID: t'
    framework.acknowledge(status)
    framework.launch(framework.last_offer(), command_task('t', agent.id))
    assert len(agent.told('RUN_TASK')) == 2


def test_a_task_for_another_agent_is_an_error(framework, agent):
    framework.launch(framework.last_offer(), command_task('t', 'nope'))
    status = framework.updates()[0]
    assert status['message'] == 'Task uses invalid agent nope while agent %s is expected' % agent.id
    assert status['agent_id'] == {'value': 'nope'}


def test_two_tasks_in_one_call_with_the_same_id(framework, agent):
    framework.launch(framework.last_offer(), command_task('t', agent.id), command_task('t', agent.id))
    assert [status['message'] for status in framework.updates()] == ['Task has duplicate ID: t']
    assert len(agent.told('RUN_TASK')) == 1


def test_what_one_task_takes_the_next_does_not_have(framework, agent):
    framework.launch(framework.last_offer(), command_task('t1', agent.id, cpus=3), command_task('t2', agent.id, cpus=3))
    assert [status['task_id']['value'] for status in framework.updates()] == ['t2']


def test_another_executor_with_the_same_id_is_an_error(framework, agent):
    framework.launch(framework.last_offer(), executor_task('t1', agent.id), filters=NO_FILTER)
    framework.launch(framework.last_offer(), executor_task('t2', agent.id, executor_info(name='other')))
    assert framework.updates()[-1]['state'] == 'TASK_ERROR'
    assert len(agent.told('RUN_TASK')) == 1


def test_bad_resources_are_an_error_for_every_task_of_the_launch(framework, agent):
    bad = command_task('bad', agent.id)
    bad['resources'][0]['scalar']['value'] = -1.0
    framework.launch(framework.last_offer(), bad, command_task('good', agent.id))
    assert [(status['task_id']['value'], status['state'], status['reason'], status['message'])
            for status in framework.updates()] == [
        (task_id, 'TASK_ERROR', 'REASON_TASK_INVALID',
         "Resource 'cpus:-1' is invalid: Invalid scalar resource: value <= 0") for task_id in ('bad', 'good')]
    assert not agent.told('RUN_TASK')


@pytest.mark.parametrize('kind, reason', [('LAUNCH', 'REASON_TASK_INVALID'),
                                          ('LAUNCH_GROUP', 'REASON_TASK_GROUP_INVALID')])
def test_a_launch_with_an_operation_id_is_an_error(framework, agent, kind, reason):
    task = command_task('t', agent.id)
    operation = group(executor_info(), task) if kind == 'LAUNCH_GROUP' else {
        'type': 'LAUNCH', 'launch': {'task_infos': [task]}}
    framework.accept([framework.last_offer()], dict(operation, id={'value': 'op'}))
    status, = framework.updates()
    assert (status['state'], status['reason']) == ('TASK_ERROR', reason)
    assert status['message'] == 'The `id` field cannot be set on %s operations' % kind


def test_an_operation_of_a_type_that_is_not_known_is_ignored(framework, agent):
    framework.accept([framework.last_offer()], {'id': {'value': 'op'}}, filters=NO_FILTER)
    assert not framework.operations()
    assert amount(framework.last_offer()) == 4.0


def test_a_group_is_refused_as_a_whole(framework, agent):
    executor = executor_info(framework_id={'value': framework.id})
    framework.accept([framework.last_offer()], group(executor, command_task('g1', agent.id),
                                                     command_task('g2', agent.id, cpus=100)), filters=NO_FILTER)
    assert [(status['state'], status['reason']) for status in framework.updates()] == [
        ('TASK_ERROR', 'REASON_TASK_GROUP_INVALID')] * 2
    assert not agent.told('RUN_GROUP')
    assert amount(framework.last_offer()) == 4.0


def test_a_valid_group_takes_executor_and_tasks(bench):
    agent = bench.agent(given=[scalar('cpus', 4), scalar('mem', 4096), scalar('disk', 100)])
    framework = bench.framework()
    executor = executor_info(framework_id={'value': framework.id},
                             resources=[scalar('cpus', 0.5), scalar('mem', 32), scalar('disk', 10)])
    framework.accept([framework.last_offer()], group(executor, command_task('g1', agent.id, cpus=1),
                                                     command_task('g2', agent.id, cpus=1)), filters=NO_FILTER)
    told, = agent.told('RUN_GROUP')
    assert told['executor_info'] == allocated(executor)
    assert [task['task_id']['value'] for task in told['tasks']] == ['g1', 'g2']
    assert all(task['executor'] == allocated(executor) for task in told['tasks'])
    offer = framework.last_offer()
    assert amount(offer) == 1.5 and amount(offer, 'disk') == 90
    assert offer['executor_ids'] == [{'value': 'e'}]

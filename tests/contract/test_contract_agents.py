"""Agents that are lost, drained, deactivated or gone, and a master that is started again (PROTOCOL 2.5, 8.3)."""
from __future__ import absolute_import, division, print_function

import pytest
import raw

row = pytest.mark.row

#: How soon an agent is given up in these tests.
SOON = {'agent_ping_timeout': 1, 'max_agent_ping_timeouts': 5}

#: Seconds that an agent which comes back waits for its executors, all of them in each case: enough for a test that
#: stands still for a moment.
REREGISTRATION = 8


@row('8.3 agent unreachable', '2.2 FAILURE')
def test_agent_that_does_not_answer_is_unreachable_and_comes_back(own_cluster):
    cluster = own_cluster(agents=2, executor_reregistration_timeout=REREGISTRATION, **SOON)
    aware = cluster.framework(checkpoint=True, capabilities=['PARTITION_AWARE'])
    executor = aware.run_ready()
    index = [agent.id for agent in cluster.agents].index(executor.agent_id)
    unaware = cluster.framework(checkpoint=True)
    cluster.target.kill_agent(index)

    status = aware.update(executor.task, 'TASK_UNREACHABLE')
    assert (status['source'], status['reason']) == ('SOURCE_MASTER', 'REASON_AGENT_REMOVED')
    assert status['message'] == 'health check timed out'
    assert status['unreachable_time']['nanoseconds'] > 10 ** 18 and 'uuid' not in status
    for framework in (aware, unaware):      # told to all, whether or not they have something there
        framework.stream.wait('FAILURE', lambda failure: failure == {'agent_id': {'value': executor.agent_id}})

    aware.do('RECONCILE', {'tasks': [{'task_id': {'value': 'nope'}, 'agent_id': {'value': executor.agent_id}}]})
    assert aware.update('nope')['state'] == 'TASK_UNREACHABLE'
    assert cluster.task(executor.task['task_id']['value'], 'unreachable_tasks')

    cluster.target.start_agent(index, is_awaited=False)
    raw.wait_until(lambda: is_let_in(executor), 'the agent to take the executor back')
    status = aware.update(executor.task, 'TASK_RUNNING',
                          lambda each: each.get('reason') == 'REASON_AGENT_REREGISTERED')
    assert status['source'] == 'SOURCE_MASTER' and 'uuid' not in status


def is_let_in(executor):
    try:
        executor.subscribe()
    except (EnvironmentError, AssertionError):
        return False
    return executor.stream.head.status == 200


@row('8.3 agent unreachable')
def test_task_on_an_unreachable_agent_is_lost_to_who_does_not_know_better(own_cluster):
    cluster = own_cluster(agents=1, **SOON)
    framework = cluster.framework(checkpoint=True)
    executor = framework.run_ready()
    cluster.target.kill_agent(0)
    status = framework.update(executor.task)
    assert (status['state'], status['reason']) == ('TASK_LOST', 'REASON_AGENT_REMOVED')
    assert status['unreachable_time']['nanoseconds'] > 10 ** 18


@row('2.1 RECONCILE')
def test_task_of_an_agent_that_has_yet_to_come_back_is_not_reconciled(own_cluster):
    """Behind a restart of the master there is no answer until the agents have registered."""
    cluster = own_cluster(agents=1, is_durable=True)
    cluster.target.kill_agent(0)
    cluster.target.kill_master()
    cluster.target.start_master()
    framework = cluster.framework()
    framework.reconcile('nope')
    framework.do('RECONCILE', {'tasks': [{'task_id': {'value': 'fence'}, 'agent_id': {'value': 'nope'}}]})
    framework.update('fence')
    assert framework.updates({'task_id': {'value': 'nope'}}) == []


@row('8.3 agent unreachable')
def test_tasks_outlive_a_restart_of_the_master(own_cluster):
    cluster = own_cluster(agents=1, is_durable=True)
    framework = cluster.framework(failover_timeout=3600.0)
    executor = framework.run_ready()
    cluster.target.kill_master()
    framework.stream.wait_for_end()
    cluster.target.start_master()
    old = framework.id
    framework.subscribe()
    assert framework.id == old
    raw.wait_until(lambda: cluster.task(executor.task['task_id']['value']), 'the agent to tell of the task')
    executor.update(executor.task, 'TASK_RUNNING', message='as before')
    assert framework.update(executor.task, condition=lambda each: each.get('message') == 'as before')


@row('8.3 agent unreachable', '2.2 FAILURE')
@pytest.mark.parametrize('is_aware', [True, False], ids=['aware', 'unaware'])
def test_tasks_of_an_agent_that_is_marked_gone_are_gone(own_cluster, is_aware):
    cluster = own_cluster(agents=1)
    framework = cluster.framework(capabilities=['PARTITION_AWARE'] if is_aware else [])
    executor = framework.run_ready()
    agent_id = {'value': executor.agent_id}
    assert cluster.operator('MARK_AGENT_GONE', {'agent_id': agent_id}).status == 200
    status = framework.update(executor.task)
    assert (status['state'], status['reason']) == (
        ('TASK_GONE_BY_OPERATOR', 'REASON_AGENT_REMOVED_BY_OPERATOR') if is_aware
        else ('TASK_LOST', 'REASON_AGENT_REMOVED'))
    assert status['message'] == 'Agent has been marked gone' and 'uuid' not in status
    assert framework.stream.wait('FAILURE') == {'agent_id': agent_id}
    framework.do('RECONCILE', {'tasks': [{'task_id': {'value': 'nope'}, 'agent_id': agent_id}]})
    assert framework.update('nope')['state'] == ('TASK_GONE_BY_OPERATOR' if is_aware else 'TASK_LOST')
    assert cluster.operator('MARK_AGENT_GONE', {'agent_id': agent_id}).status == 200


@row('8.3 kill')
def test_draining_agent_kills_its_tasks_and_gets_no_more(own_cluster):
    cluster = own_cluster(agents=1)
    framework = cluster.framework(checkpoint=True)
    executor = framework.run_ready()
    agent_id = {'value': executor.agent_id}
    drain = {'agent_id': agent_id, 'max_grace_period': {'seconds': 5}}
    assert cluster.operator('DRAIN_AGENT', drain).status == 200
    kill = executor.wait('KILL')
    assert kill == {'task_id': executor.task['task_id'],
                    'kill_policy': {'grace_period': {'nanoseconds': 5 * 10 ** 9}}}
    executor.update(executor.task, 'TASK_KILLED')
    status = framework.expect(executor.task, 'TASK_KILLED')
    assert status['reason'] == 'REASON_AGENT_DRAINING'
    raw.wait_until(lambda: cluster.agent(executor.agent_id)['drain_info']['state'] == 'DRAINED', 'the end of draining')
    assert cluster.agent(executor.agent_id)['deactivated'] is True
    assert cluster.operator('REACTIVATE_AGENT', {'agent_id': agent_id}).status == 200
    framework.offer(lambda offer: len(framework.offers()) > 1)


@row('2.1 KILL')
def test_kill_for_an_agent_that_is_away_reaches_it_when_it_is_back(own_cluster):
    cluster = own_cluster(agents=1, executor_reregistration_timeout=REREGISTRATION)
    framework = cluster.framework(checkpoint=True)
    executor = framework.run_ready()
    cluster.target.kill_agent(0)
    raw.wait_until(lambda: not cluster.agent(executor.agent_id)['active'], 'the agent to be missed')
    framework.do('KILL', {'task_id': executor.task['task_id']})
    cluster.target.start_agent(0, is_awaited=False)
    raw.wait_until(lambda: is_let_in(executor), 'the agent to take the executor back')
    executor.wait('KILL')


@row('2.2 FAILURE')
def test_agent_that_begins_anew_at_its_address_takes_the_place_of_the_old(own_cluster):
    cluster = own_cluster(agents=1)
    framework = cluster.framework(checkpoint=True, capabilities=['PARTITION_AWARE'])
    executor = framework.run_ready()
    cluster.target.kill_agent(0)
    cluster.target.wipe_agent(0)
    cluster.target.start_agent(0)
    assert framework.stream.wait('FAILURE') == {'agent_id': {'value': executor.agent_id}}
    status = framework.update(executor.task)
    assert (status['state'], status['reason']) == ('TASK_LOST', 'REASON_AGENT_REMOVED')

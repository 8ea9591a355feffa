"""How agents register, come back, are lost, drained and marked gone (PROTOCOL 2.5, 4.1, 8.2, 8.3)."""
from __future__ import absolute_import, division, print_function

import pytest
from local_master import Bench, allocated, command_task, executor_info, executor_task, framework_info, resources

AWARE = ['PARTITION_AWARE']
LASTING = dict(checkpoint=True, failover_timeout=1000.0)
NO_FILTER = {'refuse_seconds': 0.0}


@pytest.fixture
def bench():
    return Bench()


@pytest.fixture
def agent(bench):
    return bench.agent()


def launch(framework, *tasks):
    framework.launch(framework.last_offer(), *tasks, filters=NO_FILTER)


def essence(status):
    return status['task_id']['value'], status['state'], status['reason'], status['message']


def keep_alive(bench, agents, seconds):
    """Let time pass in which these agents answer."""
    for _ in range(int(seconds)):
        bench.wait(1.0)
        for agent in agents:
            agent.pong()


# ---- registering

def test_agent_ids_are_counted(bench):
    assert [bench.agent(port).id for port in (5051, 5052)] == [bench.model.id + '-S0', bench.model.id + '-S1']


def test_a_new_agent_is_told_its_id_and_the_master(bench, agent):
    assert agent.told('REGISTERED') == [
        {'type': 'REGISTERED', 'agent_id': bench.model.id + '-S0', 'master': '127.0.0.1:5050'}]


def test_an_agent_shows_what_it_is(bench, agent):
    state = agent.state
    assert state.info == {'hostname': '127.0.0.1', 'port': 5051, 'resources': resources(4, 4096),
                          'id': {'value': agent.id}}
    assert state.pid == 'slave(1)@127.0.0.1:5051' and state.version == '1.11.0'
    assert state.registered_time == bench.world.time() and state.reregistered_time is None
    assert state.is_active


def test_an_agent_that_asks_twice_gets_the_same_answer(bench, agent):
    first = agent.id
    agent.register()
    assert agent.id == first and len(agent.told('REGISTERED')) == 2
    assert len(bench.model.agents) == 1


def test_operators_hear_of_agents_that_come_and_go(bench):
    heard = []
    bench.model.publisher.agent_added = lambda agent: heard.append(('added', agent.id))
    bench.model.publisher.agent_removed = lambda agent_id: heard.append(('removed', agent_id))
    agent = bench.agent()
    agent.say('UNREGISTER')
    assert heard == [('added', agent.id), ('removed', agent.id)]


def test_a_new_agent_at_the_address_of_a_lost_one_takes_its_place(bench, agent):
    framework = bench.framework(framework_info(capabilities=AWARE, **LASTING))
    launch(framework, command_task('t', agent.id))
    first = agent.id
    agent.disconnect()
    agent.register()
    assert agent.id != first and list(bench.model.agents) == [agent.id]
    assert [essence(status) for status in framework.updates()] == [
        ('t', 'TASK_LOST', 'REASON_AGENT_REMOVED',
         'Agent 127.0.0.1 removed: a new agent registered at the same address')]
    assert framework.failures() == [{'agent_id': {'value': first}}]


def test_an_agent_on_a_machine_that_is_down_is_sent_away(bench):
    bench.model.maintenance.is_down = lambda info, pid: True
    agent = bench.agent()
    assert agent.id is None and not bench.model.agents
    assert agent.told() == [{'type': 'SHUTDOWN', 'message': 'Machine is `DOWN`'}]


def test_what_an_unknown_agent_says_is_answered_with_a_request_to_register(bench):
    bench.hear({'type': 'PONG', 'pid': 'slave(1)@127.0.0.1:9'}, 'slave(1)@127.0.0.1:9')
    assert bench.told == [('slave(1)@127.0.0.1:9', {'type': 'REREGISTER_PLEASE'})]


# ---- unregistering

def test_an_agent_that_unregisters_loses_its_tasks(bench, agent):
    framework = bench.framework(framework_info(capabilities=AWARE))
    launch(framework, executor_task('t', agent.id))
    offer = framework.last_offer()
    bench.forget()
    agent.say('UNREGISTER')
    assert framework.types == ['UPDATE', 'RESCIND', 'FAILURE']
    status, = framework.updates()
    assert status == {
        'task_id': {'value': 't'}, 'state': 'TASK_LOST', 'source': 'SOURCE_MASTER',
        'message': 'Agent 127.0.0.1 removed: the agent unregistered', 'reason': 'REASON_AGENT_REMOVED',
        'agent_id': {'value': agent.id}, 'executor_id': {'value': 'e'}, 'timestamp': bench.world.time()}
    assert framework.rescinded() == [offer['id']['value']]
    assert framework.failures() == [{'agent_id': {'value': agent.id}}]
    assert not framework.state.tasks and not framework.state.executors
    kept, = framework.state.completed_tasks
    assert 'executor_id' not in kept.statuses[-1]


def test_every_framework_hears_of_a_lost_agent(bench, agent):
    frameworks = [bench.framework() for _ in range(3)]
    agent.say('UNREGISTER')
    assert [framework.failures() for framework in frameworks] == [[{'agent_id': {'value': agent.id}}]] * 3


def test_an_agent_whose_machine_is_taken_down_is_shut_down(bench, agent):
    framework = bench.framework()
    launch(framework, command_task('t', agent.id))
    bench.model.shut_down_agent(agent.state, "Operator initiated 'Machine DOWN'")
    bench.take()
    assert agent.told('SHUTDOWN') == [{'type': 'SHUTDOWN', 'message': "Operator initiated 'Machine DOWN'"}]
    assert [essence(status) for status in framework.updates()] == [
        ('t', 'TASK_LOST', 'REASON_AGENT_REMOVED', "Agent 127.0.0.1 removed: Operator initiated 'Machine DOWN'")]
    assert not bench.model.agents


# ---- disconnecting

def test_a_disconnected_agent_loses_tasks_of_frameworks_without_checkpoints(bench, agent):
    framework = bench.framework(framework_info(capabilities=AWARE))
    launch(framework, executor_task('t', agent.id))
    framework.last_offer()
    bench.forget()
    agent.disconnect()
    assert framework.types == ['RESCIND', 'UPDATE']
    assert [essence(status) for status in framework.updates()] == [
        ('t', 'TASK_LOST', 'REASON_AGENT_DISCONNECTED', 'Agent 127.0.0.1 disconnected')]
    assert not agent.state.tasks and not agent.state.executors and not agent.state.is_active


def test_tasks_of_frameworks_with_checkpoints_outlast_a_disconnection(bench, agent):
    framework = bench.framework(framework_info(**LASTING))
    launch(framework, executor_task('t', agent.id))
    agent.disconnect()
    assert not framework.updates() and not framework.failures()
    agent.reregister(frameworks=[framework.state.info],
                     executors=[{'framework_id': framework.id, 'executor_info': executor_info()}],
                     tasks=[agent.task_record(framework, executor_task('t', agent.id), executor_id='e')])
    assert agent.told('REREGISTERED') == [{
        'type': 'REREGISTERED', 'agent_id': agent.id, 'master': '127.0.0.1:5050', 'reconciliations': []}]
    assert agent.state.is_active and agent.state.reregistered_time == bench.world.time()
    assert not framework.updates()
    assert framework.last_offer()['resources'][0]['scalar']['value'] == 3.8


def test_a_disconnected_agent_is_unreachable_after_the_timeout():
    bench = Bench(agent_reregister_timeout=30.0)
    agent = bench.agent()
    agent_id = agent.id
    framework = bench.framework(framework_info(capabilities=AWARE, **LASTING))
    launch(framework, command_task('t', agent.id))
    agent.disconnect()
    bench.wait(29)
    assert not framework.updates()
    bench.wait(1)
    assert [essence(status) for status in framework.updates()] == [
        ('t', 'TASK_UNREACHABLE', 'REASON_AGENT_REMOVED',
         'agent did not reregister within 30secs after disconnecting')]
    assert list(bench.model.unreachable_agents) == [agent_id]


def test_a_task_that_a_returning_agent_does_not_know_is_reconciled_with_it(bench, agent):
    framework = bench.framework(framework_info(**LASTING))
    launch(framework, command_task('t', agent.id))
    agent.disconnect()
    agent.reregister()
    assert agent.told('REREGISTERED')[0]['reconciliations'] == [{'framework_id': framework.id, 'task_id': 't'}]


def test_an_executor_that_a_returning_agent_does_not_know_is_forgotten(bench, agent):
    framework = bench.framework(framework_info(**LASTING))
    launch(framework, executor_task('t', agent.id))
    framework.acknowledge(agent.update(framework, 't', 'TASK_FINISHED'))
    agent.disconnect()
    agent.reregister()
    assert not agent.state.executors
    assert framework.last_offer()['resources'][0]['scalar']['value'] == 4.0


def test_an_agent_may_come_back_at_another_address(bench, agent):
    agent.disconnect()
    agent.pid = 'slave(1)@127.0.0.1:6000'
    agent.reregister()
    assert agent.state.pid == agent.pid and list(bench.model.agent_ids) == [agent.pid]


def test_an_agent_that_comes_back_with_more_is_offered_at_once(bench, agent):
    framework = bench.framework(framework_info(**LASTING))
    framework.decline([framework.last_offer()], 1000.0)
    agent.disconnect()
    agent.reregister(total=resources(8, 4096))
    bench.wait()
    assert framework.offers()[-1]['resources'][0]['scalar']['value'] == 8.0


# ---- pings

def test_an_agent_is_pinged_at_once_and_then_every_fifteen_seconds(bench, agent):
    assert agent.told('PING') == [{'type': 'PING'}]
    agent.pong()
    bench.wait(15)
    assert len(agent.told('PING')) == 2


def test_the_answer_comes_before_the_first_ping(bench, agent):
    assert [told['type'] for told in agent.told()] == ['REGISTERED', 'PING']
    agent_id = agent.id
    bench.wait(80)
    assert agent_id not in bench.model.agents
    bench.forget()
    agent.reregister()
    assert [told['type'] for told in agent.told()] == ['REREGISTERED', 'PING']


def test_an_agent_that_answers_stays(bench, agent):
    agent_id = agent.id
    keep_alive(bench, [agent], 200)
    assert agent_id in bench.model.agents


def test_an_agent_that_is_silent_for_five_pings_is_unreachable(bench, agent):
    framework = bench.framework(framework_info(capabilities=AWARE, **LASTING))
    agent_id = agent.id
    launch(framework, executor_task('t', agent.id))
    framework.last_offer()
    bench.forget()
    bench.wait(74.9 - bench.world.now)
    assert agent_id in bench.model.agents
    bench.wait(0.2)
    assert agent_id not in bench.model.agents
    assert [name for name in framework.types if name not in ('HEARTBEAT', 'OFFERS')] == ['UPDATE', 'RESCIND', 'FAILURE']
    since = bench.model.unreachable_agents[agent_id]
    status, = framework.updates()
    assert essence(status) == ('t', 'TASK_UNREACHABLE', 'REASON_AGENT_REMOVED', 'health check timed out')
    assert status['unreachable_time'] == {'nanoseconds': since} and status['executor_id'] == {'value': 'e'}
    assert framework.failures() == [{'agent_id': {'value': agent_id}}]
    assert list(framework.state.unreachable_tasks) == ['t'] and not framework.state.tasks
    assert framework.state.unreachable_tasks['t'].state == 'TASK_UNREACHABLE'


def test_others_are_told_lost_with_the_time(bench, agent):
    framework = bench.framework(framework_info(**LASTING))
    launch(framework, command_task('t', agent.id))
    bench.wait(80)
    status, = framework.updates()
    assert (status['state'], status['reason']) == ('TASK_LOST', 'REASON_AGENT_REMOVED')
    assert 'unreachable_time' in status


def test_an_ended_task_whose_end_was_not_acknowledged_is_unreachable_too(bench, agent):
    framework = bench.framework(framework_info(capabilities=AWARE, **LASTING))
    launch(framework, command_task('t', agent.id))
    agent.update(framework, 't', 'TASK_FINISHED')
    bench.wait(80)
    assert framework.updates()[-1]['state'] == 'TASK_UNREACHABLE'
    assert framework.state.unreachable_tasks['t'].state == 'TASK_FINISHED'


def test_only_so_many_unreachable_tasks_are_kept(bench, agent, monkeypatch):
    monkeypatch.setattr('pymesos.local.model.state.KEPT_TASKS', 2)
    framework = bench.framework(framework_info(**LASTING))
    launch(framework, *[command_task('t%d' % number, agent.id) for number in range(3)])
    bench.wait(80)
    assert list(framework.state.unreachable_tasks) == ['t1', 't2']


# ---- coming back

def test_an_unreachable_agent_comes_back_with_its_id_and_tasks(bench, agent):
    framework = bench.framework(framework_info(capabilities=AWARE, **LASTING))
    task = executor_task('t', agent.id)
    launch(framework, task)
    agent_id = agent.id
    running = agent.update(framework, 't', 'TASK_RUNNING', executor_id='e',
                           container_status={'container_id': {'value': 'c'}})
    bench.wait(80)
    bench.forget()
    agent.reregister(frameworks=[framework.state.info],
                     executors=[{'framework_id': framework.id, 'executor_info': allocated(executor_info())}],
                     tasks=[agent.task_record(framework, task, executor_id='e', statuses=[running],
                                              status_update_state='TASK_RUNNING',
                                              status_update_uuid=running['uuid'])])
    assert list(bench.model.agents) == [agent_id] and not bench.model.unreachable_agents
    assert framework.updates() == [{
        'task_id': {'value': 't'}, 'state': 'TASK_RUNNING', 'message': 'Unreachable agent re-reregistered',
        'source': 'SOURCE_MASTER', 'reason': 'REASON_AGENT_REREGISTERED', 'agent_id': {'value': agent_id},
        'executor_id': {'value': 'e'}, 'timestamp': bench.world.time(),
        'container_status': {'container_id': {'value': 'c'}}}]
    assert list(framework.state.tasks) == ['t'] and not framework.state.unreachable_tasks
    bench.wait()
    offer = framework.offers()[-1]
    assert offer['resources'][0]['scalar']['value'] == 3.8 and offer['executor_ids'] == [{'value': 'e'}]


def test_an_agent_that_this_master_does_not_know_is_taken_in(bench, agent):
    framework = bench.framework(framework_info(**LASTING))
    task = command_task('t', agent.id)
    launch(framework, task)
    bench.lead()
    again = bench.framework(framework.info)
    agent.reregister(frameworks=[framework.info], tasks=[agent.task_record(framework, task)])
    assert [essence(status) for status in again.updates()] == [
        ('t', 'TASK_RUNNING', 'REASON_AGENT_REREGISTERED', 'Unknown agent reregistered')]


def test_an_agent_of_the_registry_comes_without_updates(bench, agent):
    framework = bench.framework(framework_info(**LASTING))
    task = command_task('t', agent.id)
    launch(framework, task)
    info = framework.state.info
    bench.lead(bench.model.registry())
    assert list(bench.model.recovered_agents) == [agent.id]
    again = bench.framework(info)
    agent.reregister(frameworks=[info], tasks=[agent.task_record(framework, task)])
    assert not bench.model.recovered_agents
    assert not again.updates() and list(again.state.tasks) == ['t']


def test_a_framework_that_only_agents_know_is_recovered(bench, agent):
    framework = bench.framework(framework_info(**LASTING))
    task = command_task('t', agent.id)
    launch(framework, task)
    info = framework.state.info
    bench.lead(bench.model.registry())
    agent.reregister(frameworks=[info], tasks=[agent.task_record(framework, task)])
    state = bench.model.frameworks[framework.id]
    assert state.is_recovered and not state.is_connected and not state.is_active
    reply = framework.call('REVIVE')
    assert (reply.status, reply.body) == (403, 'Framework is not subscribed')
    again = bench.framework(info)
    assert not again.state.is_recovered and list(again.state.tasks) == ['t']
    bench.wait()
    assert again.offers()[-1]['resources'][0]['scalar']['value'] == 3.9


def test_agents_of_the_registry_that_do_not_come_are_unreachable(bench, agent):
    bench.lead(bench.model.registry())
    framework = bench.framework()
    bench.wait(599)
    assert agent.id in bench.model.recovered_agents
    bench.wait(1)
    assert list(bench.model.unreachable_agents) == [agent.id] and not bench.model.recovered_agents
    assert framework.failures() == [{'agent_id': {'value': agent.id}}]


def test_what_is_left_of_a_removed_framework_is_shut_down(bench, agent):
    framework = bench.framework(framework_info(**LASTING))
    task = command_task('t', agent.id)
    launch(framework, task)
    bench.wait(80)
    framework.call('TEARDOWN')
    bench.forget()
    agent.reregister(frameworks=[framework.info], tasks=[agent.task_record(framework, task)],
                     executors=[{'framework_id': framework.id, 'executor_info': executor_info()}])
    assert agent.told('SHUTDOWN_FRAMEWORK') == [{'type': 'SHUTDOWN_FRAMEWORK', 'framework_id': framework.id}]
    assert not agent.state.tasks and not agent.state.executors


def test_an_agent_that_missed_a_change_of_a_framework_is_told(bench, agent):
    framework = bench.framework(framework_info(**LASTING))
    launch(framework, command_task('t', agent.id))
    old = framework.state.info
    agent.disconnect()
    bench.framework(dict(framework.info, name='renamed'))
    bench.forget()
    agent.reregister(frameworks=[old], tasks=[agent.task_record(framework, command_task('t', agent.id))])
    assert [told['framework_info']['name'] for told in agent.told('UPDATE_FRAMEWORK')] == ['renamed']


# ---- gone

def test_an_agent_that_is_marked_gone(bench, agent):
    framework = bench.framework(framework_info(capabilities=AWARE))
    launch(framework, command_task('t', agent.id))
    offer = framework.last_offer()
    bench.forget()
    bench.model.mark_gone(agent.id)
    bench.take()
    assert framework.types == ['UPDATE', 'RESCIND', 'FAILURE']
    assert [essence(status) for status in framework.updates()] == [
        ('t', 'TASK_GONE_BY_OPERATOR', 'REASON_AGENT_REMOVED_BY_OPERATOR', 'Agent has been marked gone')]
    assert framework.rescinded() == [offer['id']['value']]
    assert agent.told('SHUTDOWN') == [{'type': 'SHUTDOWN', 'message': 'Agent has been marked gone'}]
    assert agent.id not in bench.model.agents and list(bench.model.gone_agents) == [agent.id]


def test_others_are_told_lost_when_an_agent_is_gone(bench, agent):
    framework = bench.framework()
    launch(framework, command_task('t', agent.id))
    bench.model.mark_gone(agent.id)
    bench.take()
    assert [essence(status) for status in framework.updates()] == [
        ('t', 'TASK_LOST', 'REASON_AGENT_REMOVED', 'Agent has been marked gone')]


def test_tasks_of_an_unreachable_agent_are_over_when_it_is_gone(bench, agent):
    framework = bench.framework(framework_info(capabilities=AWARE, **LASTING))
    launch(framework, command_task('t', agent.id))
    agent_id = agent.id
    bench.wait(80)
    bench.forget()
    bench.model.mark_gone(agent_id)
    bench.take()
    assert [essence(status) for status in framework.updates()] == [
        ('t', 'TASK_GONE_BY_OPERATOR', 'REASON_AGENT_REMOVED_BY_OPERATOR', 'Agent has been marked gone')]
    assert not framework.failures()
    assert not framework.state.unreachable_tasks and len(framework.state.completed_tasks) == 1


def test_an_agent_that_is_gone_is_refused_for_good(bench, agent):
    bench.model.mark_gone(agent.id)
    bench.take()
    bench.forget()
    agent.reregister()
    assert agent.told() == [{'type': 'SHUTDOWN', 'message': 'Agent has been marked gone'}]
    bench.lead(bench.model.registry())
    agent.reregister()
    assert agent.told('SHUTDOWN') and agent.id not in bench.model.agents


# ---- deactivating and draining

def test_a_deactivated_agent_is_not_offered_and_its_tasks_go_on(bench, agent):
    framework = bench.framework()
    launch(framework, command_task('t', agent.id))
    offer = framework.last_offer()
    bench.model.deactivate_agent(agent.state)
    bench.take()
    assert framework.rescinded() == [offer['id']['value']]
    count = len(framework.offers())
    bench.wait(5)
    assert len(framework.offers()) == count and not framework.updates()
    bench.model.reactivate_agent(agent.state)
    bench.wait(1)
    assert len(framework.offers()) == count + 1


def test_a_deactivated_agent_stays_so_when_it_comes_back(bench, agent):
    framework = bench.framework(framework_info(**LASTING))
    bench.model.deactivate_agent(agent.state)
    agent.disconnect()
    agent.reregister()
    bench.wait(5)
    assert not framework.offers()
    bench.lead(bench.model.registry())
    agent.reregister()
    assert agent.state.is_deactivated
    framework = bench.framework(framework_info(**LASTING))
    bench.wait(5)
    assert not framework.offers()


CONFIG = {'max_grace_period': {'nanoseconds': 5000000000}, 'mark_gone': False}


def test_a_draining_agent_is_told_and_is_drained_after_its_last_task(bench, agent):
    framework = bench.framework()
    launch(framework, command_task('t', agent.id))
    framework.last_offer()
    bench.model.drain_agent(agent.state, CONFIG)
    bench.take()
    assert agent.told('DRAIN') == [{'type': 'DRAIN', 'config': CONFIG}]
    assert len(framework.rescinded()) == 1
    assert agent.state.drain_info == {'state': 'DRAINING', 'config': CONFIG}
    assert agent.state.drain_start == int(bench.world.time()) * 10 ** 9
    status = agent.update(framework, 't', 'TASK_KILLED')
    assert agent.state.drain_info['state'] == 'DRAINING'
    framework.acknowledge(status)
    assert agent.state.drain_info == {'state': 'DRAINED', 'config': CONFIG}


def test_an_empty_agent_is_drained_at_once(bench, agent):
    bench.model.drain_agent(agent.state, CONFIG)
    assert agent.state.drain_info['state'] == 'DRAINED'
    bench.model.reactivate_agent(agent.state)
    assert agent.state.drain_info is None and agent.state.is_active


def test_a_drained_agent_may_be_marked_gone(bench, agent):
    bench.framework()
    bench.model.drain_agent(agent.state, dict(CONFIG, mark_gone=True))
    bench.take()
    assert list(bench.model.gone_agents) == [agent.id]
    assert agent.told('SHUTDOWN')


def test_a_draining_agent_that_comes_back_is_told_again(bench, agent):
    framework = bench.framework(framework_info(**LASTING))
    task = command_task('t', agent.id)
    launch(framework, task)
    bench.model.drain_agent(agent.state, CONFIG)
    agent.disconnect()
    bench.forget()
    agent.reregister(frameworks=[framework.info], tasks=[agent.task_record(framework, task)])
    assert agent.told('DRAIN') == [{'type': 'DRAIN', 'config': CONFIG}]
    bench.lead(bench.model.registry())
    bench.framework(framework.info)
    agent.reregister(frameworks=[framework.info], tasks=[agent.task_record(framework, task)])
    assert agent.told('DRAIN') and agent.state.drain_info['state'] == 'DRAINING'
    assert agent.state.is_deactivated


# ---- the registry

def test_the_registry_keeps_what_must_outlive_a_master(bench, agent):
    bench.model.weights['eng'] = 2.0
    registry = bench.model.registry()
    assert list(registry['agents']) == [agent.id] and registry['weights'] == {'eng': 2.0}
    bench.lead(registry)
    assert bench.model.weights == {'eng': 2.0}
    assert list(bench.model.registry()['agents']) == [agent.id]


# ---- metrics

def test_what_happens_is_counted(bench, agent):
    framework = bench.framework()
    launch(framework, command_task('t1', agent.id), command_task('t2', agent.id, cpus=100))
    framework.acknowledge(agent.update(framework, 't1', 'TASK_FAILED', source='SOURCE_AGENT',
                                       reason='REASON_EXECUTOR_TERMINATED'))
    agent.update(framework, 'unknown', 'TASK_RUNNING')
    agent.say('UNREGISTER')
    assert dict(bench.model.counts) == {
        'messages_register_slave': 1, 'messages_update_slave': 1, 'slave_registrations': 1,
        'messages_register_framework': 1, 'messages_launch_tasks': 1, 'tasks_error': 1,
        'task_error/source_master/reason_task_invalid': 1,
        'messages_status_update': 2, 'valid_status_updates': 1, 'invalid_status_updates': 1, 'tasks_failed': 1,
        'task_failed/source_slave/reason_executor_terminated': 1, 'messages_status_update_acknowledgement': 1,
        'valid_status_update_acknowledgements': 1, 'messages_unregister_slave': 1, 'slave_removals': 1,
        'slave_removals/reason_unregistered': 1}

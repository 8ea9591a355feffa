"""The embedded master's stream of events for operators (PROTOCOL 4.2)."""
from __future__ import absolute_import, division, print_function

import pytest
from local_master import allocated, command_task, executor_task, framework_info
from local_operator import Desk, value


@pytest.fixture
def desk():
    return Desk()


def running(desk):
    """(agent, framework, task): a task that the agent says is running."""
    agent, framework = desk.agent(), desk.framework(framework_info(failover_timeout=60.0, checkpoint=True))
    framework.launch(framework.last_offer(), command_task('t', agent.id))
    agent.update(framework, 't', 'TASK_RUNNING')
    return agent, framework, command_task('t', agent.id)


def test_stream_begins_with_the_state_and_a_heartbeat(desk):
    desk.agent()
    stream = desk.subscribe()
    events = [event for known, event in desk.sent if known == stream]
    assert [event['type'] for event in events] == ['SUBSCRIBED', 'HEARTBEAT']
    subscribed = events[0]['subscribed']
    assert subscribed['heartbeat_interval_seconds'] == 15.0
    assert subscribed['get_state'] == desk.model.operator.call({'type': 'GET_STATE'}).body['get_state']
    assert sorted(subscribed['get_state']) == ['get_agents', 'get_executors', 'get_frameworks', 'get_tasks']


def test_heartbeats_come_at_their_interval(desk):
    stream = desk.subscribe()
    desk.wait(45)
    assert [event['type'] for known, event in desk.sent if known == stream].count('HEARTBEAT') == 4


def test_interval_of_heartbeats_can_be_set():
    desk = Desk(heartbeat_interval=2)
    stream = desk.subscribe()
    desk.wait(5)
    assert [event['type'] for known, event in desk.sent if known == stream].count('HEARTBEAT') == 3


def test_oldest_subscriber_is_closed_if_there_are_too_many():
    desk = Desk(max_operator_subscribers=2)
    streams = [desk.subscribe() for _ in range(3)]
    assert desk.closed == streams[:1]
    desk.forget()
    desk.agent()
    assert [desk.seen(stream) == [] for stream in streams] == [True, False, False]
    desk.wait(15)
    beaten = [known for known, event in desk.sent if event['type'] == 'HEARTBEAT' and known in streams]
    assert sorted(beaten) == sorted(streams[1:])


def test_nothing_is_sent_to_a_client_that_is_gone(desk):
    stream = desk.subscribe()
    desk.model.on_stream_closed(stream)
    desk.take()
    desk.forget()
    desk.agent()
    desk.wait(60)
    assert [event for known, event in desk.sent if known == stream] == []
    assert len(desk.model.publisher) == 0


def test_framework_that_comes_changes_returns_and_goes_is_told_of(desk):
    stream = desk.subscribe()
    framework = desk.framework(framework_info(failover_timeout=60.0, name='f'))
    registered = {'nanoseconds': desk.world.nanoseconds()}
    shown = {'framework_info': framework.info, 'active': True, 'connected': True, 'recovered': False,
             'registered_time': registered, 'reregistered_time': registered, 'unregistered_time': {'nanoseconds': 0}}
    assert desk.seen(stream) == [('FRAMEWORK_ADDED', {'framework': shown})]
    desk.forget()
    framework.call('UPDATE_FRAMEWORK', {'framework_info': framework.info})
    assert desk.seen(stream) == []
    framework.info['name'] = 'g'
    framework.call('UPDATE_FRAMEWORK', {'framework_info': framework.info})
    assert desk.seen(stream) == [('FRAMEWORK_UPDATED', {'framework': dict(shown, framework_info=framework.info)})]
    desk.forget()
    desk.wait(3)
    framework.close()
    assert desk.seen(stream) == []
    again = desk.framework(framework.info)
    shown['reregistered_time'] = {'nanoseconds': desk.world.nanoseconds()}
    assert desk.seen(stream) == [('FRAMEWORK_UPDATED', {'framework': dict(shown, framework_info=framework.info)})]
    desk.forget()
    again.call('TEARDOWN')
    assert desk.seen(stream) == [('FRAMEWORK_REMOVED', {'framework_info': framework.info})]


def test_launch_and_states_of_a_task_are_told(desk):
    agent, framework = desk.agent(), desk.framework()
    stream = desk.subscribe()
    task = command_task('t', agent.id, labels={'labels': [{'key': 'k', 'value': 'v'}]})
    framework.launch(framework.last_offer(), task)
    assert desk.seen(stream) == [('TASK_ADDED', {'task': {
        'name': 't', 'task_id': value('t'), 'framework_id': value(framework.id), 'agent_id': value(agent.id),
        'state': 'TASK_STAGING', 'resources': allocated(task)['resources'], 'labels': task['labels']}})]
    desk.forget()
    status = agent.update(framework, 't', 'TASK_RUNNING', data='ZGF0YQ==')
    assert desk.seen(stream) == [('TASK_UPDATED', {'framework_id': value(framework.id), 'status': status,
                                                   'state': 'TASK_RUNNING'})]


def test_task_with_an_executor_names_it(desk):
    agent, framework = desk.agent(), desk.framework()
    stream = desk.subscribe()
    framework.launch(framework.last_offer(), executor_task('t', agent.id))
    assert desk.seen(stream)[0][1]['task']['executor_id'] == value('e')


def test_repeated_state_of_a_task_is_not_told(desk):
    agent, framework, _task = running(desk)
    stream = desk.subscribe()
    desk.forget()
    agent.update(framework, 't', 'TASK_RUNNING')
    assert desk.seen(stream) == []


def test_new_result_of_a_check_is_told(desk):
    agent, framework, _task = running(desk)
    stream = desk.subscribe()
    desk.forget()
    agent.update(framework, 't', 'TASK_RUNNING', reason='REASON_TASK_HEALTH_CHECK_STATUS_UPDATED', healthy=True)
    assert [kind for kind, _ in desk.seen(stream)] == ['TASK_UPDATED']


def test_state_is_the_latest_that_the_agent_knows(desk):
    agent, framework = desk.agent(), desk.framework()
    framework.launch(framework.last_offer(), command_task('t', agent.id))
    stream = desk.subscribe()
    desk.forget()
    agent.update(framework, 't', 'TASK_RUNNING', latest='TASK_FINISHED')
    body = desk.seen(stream)[0][1]
    assert (body['status']['state'], body['state']) == ('TASK_RUNNING', 'TASK_FINISHED')


def test_end_of_the_tasks_of_a_removed_framework_is_told(desk):
    agent, framework, _task = running(desk)
    stream = desk.subscribe()
    desk.forget()
    framework.call('TEARDOWN')
    assert [kind for kind, _ in desk.seen(stream)] == ['TASK_UPDATED', 'FRAMEWORK_REMOVED']
    status = desk.seen(stream)[0][1]['status']
    assert (status['state'], status['reason'], status['message']) == (
        'TASK_KILLED', 'REASON_FRAMEWORK_REMOVED', 'Framework %s removed' % framework.id)
    assert agent.state.tasks == {}


def test_task_that_is_over_but_not_acknowledged_is_told_of_when_its_framework_is_removed(desk):
    agent, framework, _task = running(desk)
    agent.update(framework, 't', 'TASK_LOST')
    stream = desk.subscribe()
    desk.forget()
    framework.call('TEARDOWN')
    body = desk.seen(stream)[0][1]
    assert (body['status']['state'], body['state']) == ('TASK_KILLED', 'TASK_LOST')
    task, = desk.look('GET_TASKS')['completed_tasks']
    assert [status['state'] for status in task['statuses']] == ['TASK_RUNNING', 'TASK_LOST', 'TASK_KILLED']


def test_agent_that_registers_is_told_of(desk):
    stream = desk.subscribe()
    agent = desk.agent()
    (kind, body), = desk.seen(stream)
    assert kind == 'AGENT_ADDED'
    assert sorted(body['agent']) == ['active', 'agent_info', 'capabilities', 'deactivated', 'pid', 'registered_time',
                                     'total_resources', 'version']
    # Unlike in answers to GET_AGENTS.
    assert 'checkpoint' not in body['agent']['agent_info']
    assert body['agent']['agent_info']['id'] == value(agent.id)


def test_agent_that_unregisters_is_told_of(desk):
    agent = desk.agent()
    stream = desk.subscribe()
    desk.forget()
    agent.say('UNREGISTER')
    assert desk.seen(stream) == [('AGENT_REMOVED', {'agent_id': value(agent.id)})]


def test_agent_that_is_gone_or_unreachable_is_not_told_of(desk):
    gone, lost = desk.agent(5051), desk.agent(5052)
    stream = desk.subscribe()
    desk.forget()
    desk.ask('MARK_AGENT_GONE', agent_id=value(gone.id))
    lost.disconnect()
    desk.wait(600)
    assert lost.id in desk.model.unreachable_agents
    assert desk.seen(stream) == []


def test_agent_that_comes_back_is_told_of_with_its_tasks(desk):
    agent, framework, task = running(desk)
    desk.lead(desk.model.registry())
    stream = desk.subscribe()
    desk.forget()
    agent.reregister(frameworks=[framework.info], tasks=[agent.task_record(framework, task)])
    kinds = [kind for kind, _ in desk.seen(stream)]
    assert sorted(kinds) == ['AGENT_ADDED', 'FRAMEWORK_ADDED', 'TASK_ADDED']
    framework_added = dict(desk.seen(stream))['FRAMEWORK_ADDED']['framework']
    assert (framework_added['recovered'], framework_added['active'], framework_added['registered_time']) == (
        True, False, {'nanoseconds': 0})
    assert dict(desk.seen(stream))['TASK_ADDED']['task']['state'] == 'TASK_RUNNING'
    assert 'reregistered_time' in dict(desk.seen(stream))['AGENT_ADDED']['agent']

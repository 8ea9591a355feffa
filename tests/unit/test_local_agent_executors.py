"""Custom executors on the embedded agent: their API and their life (PROTOCOL 2.5, 3.1, 3.2, 3.4, 8.3)."""
from __future__ import absolute_import, division, print_function

import pytest
from local_agent import (AGENT, FRAMEWORK, Bench, command_task, executor_info, framework_info, make_uuid, task_info)

from pymesos.local.model.effects import Destroy, Launch, Reply

AWARE = framework_info(capabilities=['PARTITION_AWARE'])


def about(status):
    """What a status of the agent says."""
    return tuple(status.get(name) for name in ('state', 'reason', 'message', 'source'))


# ---- calls (3.1)

def test_subscription_gives_what_the_executor_has_to_know_and_its_tasks():
    bench = Bench()
    bench.run(task_info('t1'), executor_info())
    bench.run(task_info('t2'), executor_info())
    container, = bench.start_all()
    assert bench.call('SUBSCRIBE', subscribe={}) == Reply(200, stream='executor/%s/1' % container)
    subscribed, first, second = bench.events()
    assert subscribed == {'type': 'SUBSCRIBED', 'subscribed': {
        'executor_info': executor_info(), 'framework_info': bench.info, 'agent_info': bench.model.info,
        'container_id': {'value': container}}}
    assert subscribed['subscribed']['agent_info']['id'] == {'value': AGENT}
    assert first == {'type': 'LAUNCH', 'launch': {'task': dict(task_info('t1'), executor=executor_info())}}
    assert second['launch']['task']['task_id'] == {'value': 't2'}


def test_tasks_of_a_running_executor_are_sent_at_once():
    bench = Bench()
    bench.custom(tasks=('t1',))
    bench.take()
    bench.run(task_info('t2'), executor_info())
    assert [event['type'] for event in bench.events()] == ['LAUNCH']
    bench.run_group(executor_info(), task_info('t3'), task_info('t4'))
    event, = bench.events()
    assert event['type'] == 'LAUNCH_GROUP'
    assert [task['task_id']['value'] for task in event['launch_group']['task_group']['tasks']] == ['t3', 't4']


def test_queued_groups_and_tasks_keep_their_order():
    bench = Bench()
    bench.run(task_info('t1'), executor_info())
    bench.run_group(executor_info(), task_info('t2'), task_info('t3'))
    bench.run(task_info('t4'), executor_info())
    bench.start_all()
    bench.subscribe()
    assert [event['type'] for event in bench.events()] == ['SUBSCRIBED', 'LAUNCH', 'LAUNCH_GROUP', 'LAUNCH']


def test_update_is_filled_in_and_acknowledged():
    bench = Bench()
    container = bench.custom()
    bench.take()
    sent = bench.update('t', 'TASK_RUNNING', message='running', data='ZGF0YQ==', executor_id={'value': 'e'})
    effects = bench.take()
    tell, send = effects
    assert tell.message == {
        'type': 'STATUS', 'agent_id': AGENT, 'pid': 'slave(1)@127.0.0.1:5051', 'framework_id': FRAMEWORK,
        'executor_id': 'e', 'latest_state': 'TASK_RUNNING', 'is_retry': False,
        'status': dict(sent, agent_id={'value': AGENT}, timestamp=bench.world.time(), container_status={
            'container_id': {'value': container}, 'executor_pid': 4711,
            'network_infos': [{'ip_addresses': [{'protocol': 'IPv4', 'ip_address': '127.0.0.1'}]}]})}
    assert send.event == {'type': 'ACKNOWLEDGED',
                          'acknowledged': {'task_id': {'value': 't'}, 'uuid': sent['uuid']}}


def test_executor_that_does_not_name_itself_is_not_named():
    bench = Bench()
    bench.custom()
    bench.take()
    bench.update('t', 'TASK_RUNNING')
    message, = bench.told()
    assert message['executor_id'] is None
    assert 'executor_id' not in message['status']


def test_status_has_its_fields_in_the_order_of_mesos():
    bench = Bench()
    bench.custom()
    bench.take()
    bench.update('t', 'TASK_RUNNING', labels={}, healthy=True, message='m', data='', reason='r')
    assert list(bench.model.frameworks[FRAMEWORK].executors['e'].launched['t'].statuses[0]) == [
        'task_id', 'state', 'message', 'source', 'reason', 'data', 'agent_id', 'timestamp', 'uuid', 'healthy', 'labels',
        'container_status']


def test_what_the_executor_says_of_its_update_is_kept():
    bench = Bench()
    container = bench.custom()
    bench.take()
    bench.update('t', 'TASK_RUNNING', timestamp=12.5, container_status={
        'cgroup_info': {'net_cls': {'classid': 3}}, 'network_infos': [{'name': 'net'}]})
    bench.update('t', 'TASK_RUNNING', container_status={'container_id': {'value': 'unknown'}})
    first = bench.statuses()[0]
    assert first['timestamp'] == 12.5
    assert first['container_status'] == {'cgroup_info': {'net_cls': {'classid': 3}}, 'network_infos': [{'name': 'net'}],
                                         'container_id': {'value': container}, 'executor_pid': 4711}
    bench.hear('ACK', framework_id=FRAMEWORK, task_id='t', uuid=first['uuid'])
    assert bench.statuses()[0]['container_status'] == {'container_id': {'value': 'unknown'}}


def test_update_for_another_agent_is_ignored():
    bench = Bench()
    bench.custom()
    bench.take()
    bench.update('t', agent_id={'value': 'another'})
    assert bench.take() == []


def test_message_goes_to_the_master():
    bench = Bench()
    bench.custom()
    bench.take()
    assert bench.call('MESSAGE', message={'data': 'aGk='}) == Reply(202)
    assert bench.told() == [{'type': 'EXECUTOR_MESSAGE', 'agent_id': AGENT, 'pid': 'slave(1)@127.0.0.1:5051',
                             'framework_id': FRAMEWORK, 'executor_id': 'e', 'data': 'aGk='}]
    bench.model.on_master(None)
    bench.take()
    assert bench.call('MESSAGE', message={'data': 'aGk='}) == Reply(202)
    assert bench.told() == []


def test_heartbeat_call_is_taken_from_anybody():
    bench = Bench()
    assert bench.call('HEARTBEAT', 'unused', framework_id='unused', claims={}) == Reply(202)


@pytest.mark.parametrize('kind,fields', [
    ('SUBSCRIBE', {'subscribe': {}}), ('UPDATE', {'update': {'status': {}}}), ('MESSAGE', {'message': {'data': ''}})])
def test_call_of_somebody_unknown_is_refused(kind, fields):
    bench = Bench()
    bench.custom()
    assert bench.call(kind, framework_id='nope', **fields) == Reply(400, 'Framework cannot be found')
    assert bench.call(kind, 'nope', **fields) == Reply(400, 'Executor cannot be found')


def test_call_before_subscription_is_refused():
    bench = Bench()
    bench.run(task_info(), executor_info())
    bench.start_all()
    assert bench.call('MESSAGE', message={'data': ''}) == Reply(403, 'Executor is not subscribed')


def test_nobody_speaks_for_a_built_in_executor():
    bench = Bench()
    bench.command('c')
    assert bench.call('SUBSCRIBE', 'c', subscribe={}) == Reply(400, 'Executor cannot be found')


def test_unknown_type_of_an_executor_that_is_subscribed_is_not_implemented():
    bench = Bench()
    assert bench.call('UNKNOWN') == Reply(400, 'Framework cannot be found')
    bench.run(task_info(), executor_info())
    bench.start_all()
    assert bench.call('UNKNOWN') == Reply(403, 'Executor is not subscribed')
    bench.subscribe()
    assert bench.call('UNKNOWN').status == 501


@pytest.mark.parametrize('name,text', [
    ('fid', "an 'fid' claim with the framework ID M-0000, which is set in the call"),
    ('eid', "an 'eid' claim with the executor ID e, which is set in the call"),
    ('cid', "a 'cid' claim with the correct active ContainerID")])
def test_token_of_another_executor_is_refused(name, text):
    bench = Bench()
    container = bench.custom()
    claims = {'fid': FRAMEWORK, 'eid': 'e', 'cid': container}
    assert bench.call('MESSAGE', claims=claims, message={'data': ''}).status == 202
    claims[name] = 'other'
    reply = bench.call('MESSAGE', claims=claims, message={'data': ''})
    assert reply.status == 403
    assert reply.body.startswith('Authenticated principal \'{"claims":{"cid":')
    assert reply.body.endswith("}}' does not contain " + text)


# ---- events (3.2)

def test_kill_is_sent_each_time_with_its_policy():
    bench = Bench()
    bench.custom()
    bench.take()
    bench.hear('KILL', framework_id=FRAMEWORK, task_id='t', kill_policy=None)
    bench.hear('KILL', framework_id=FRAMEWORK, task_id='t', kill_policy={'grace_period': {'nanoseconds': 5}})
    assert bench.events() == [
        {'type': 'KILL', 'kill': {'task_id': {'value': 't'}}},
        {'type': 'KILL', 'kill': {'task_id': {'value': 't'}, 'kill_policy': {'grace_period': {'nanoseconds': 5}}}}]


def test_message_of_the_scheduler_reaches_a_running_executor_only():
    bench = Bench()
    bench.run(task_info(), executor_info())
    bench.start_all()
    bench.hear('MESSAGE', framework_id=FRAMEWORK, executor_id='e', data='ZWFybHk=')
    bench.subscribe()
    bench.take()
    bench.hear('MESSAGE', framework_id=FRAMEWORK, executor_id='e', data='aGk=')
    assert bench.events() == [{'type': 'MESSAGE', 'message': {'data': 'aGk='}}]
    bench.hear('MESSAGE', framework_id='other', executor_id='e', data='aGk=')
    bench.hear('SHUTDOWN_EXECUTOR', framework_id=FRAMEWORK, executor_id='e')
    bench.hear('MESSAGE', framework_id=FRAMEWORK, executor_id='e', data='bGF0ZQ==')
    assert bench.events() == [{'type': 'SHUTDOWN'}]


def test_heartbeats_come_every_half_hour():
    bench = Bench()
    bench.custom()
    bench.take()
    bench.hear('PING')
    bench.pass_time(1799)
    assert bench.events() == []
    bench.pass_time(2)
    assert bench.events() == [{'type': 'HEARTBEAT'}]
    bench.pass_time(1800)
    assert bench.events() == [{'type': 'HEARTBEAT'}]


def test_new_subscription_ends_the_one_before():
    bench = Bench()
    bench.custom()
    bench.update('t')
    bench.take()
    bench.subscribe()
    assert [event if event == 'END' else event['type'] for event in bench.events()] == ['END', 'SUBSCRIBED']
    bench.hear('KILL', framework_id=FRAMEWORK, task_id='t', kill_policy=None)
    assert len(bench.events()) == 1


def test_broken_stream_changes_nothing_and_events_are_lost():
    bench = Bench()
    container = bench.custom()
    bench.take()
    bench.model.on_stream_closed('executor/%s/1' % container)
    bench.hear('KILL', framework_id=FRAMEWORK, task_id='t', kill_policy=None)
    bench.run(task_info('t2'), executor_info())
    bench.pass_time(3600)
    assert bench.events() == []
    assert bench.model.containers() == [container]
    assert bench.model.frameworks[FRAMEWORK].executors['e'].launched['t2'].state == 'TASK_STAGING'


def test_task_that_never_reached_the_executor_is_dropped_when_it_subscribes_again():
    bench = Bench(info=AWARE)
    bench.custom(tasks=('t1', 't2', 't3'))
    bench.update('t1')
    bench.take()
    bench.subscribe(tasks=[task_info('t2')])
    status, = bench.statuses()
    assert status['task_id'] == {'value': 't3'}
    assert about(status) == ('TASK_DROPPED', 'REASON_AGENT_RESTARTED', 'Task launched during agent restart',
                             'SOURCE_AGENT')
    assert 'container_status' not in status


def test_executor_whose_tasks_all_never_reached_it_is_shut_down_when_it_subscribes_again():
    bench = Bench(info=AWARE)
    bench.custom()
    bench.take()
    bench.subscribe()
    assert bench.events() == ['END', {'type': 'SHUTDOWN'}]
    executor = bench.model.frameworks[FRAMEWORK].executors['e']
    assert [task.state for task in executor.terminated.values()] == ['TASK_DROPPED']


def test_updates_that_were_not_acknowledged_are_taken_from_a_new_subscription():
    bench = Bench()
    bench.custom()
    bench.take()
    known = bench.update('t', 'TASK_STARTING')
    bench.take()
    new = dict(known, state='TASK_RUNNING', uuid=make_uuid())
    bench.subscribe(tasks=[task_info('t')], updates=[dict(known), dict(new)])
    events = bench.events()
    assert [event if event == 'END' else event['type'] for event in events] == [
        'END', 'SUBSCRIBED', 'ACKNOWLEDGED', 'ACKNOWLEDGED']
    bench.hear('ACK', framework_id=FRAMEWORK, task_id='t', uuid=known['uuid'])
    assert [status['uuid'] for status in bench.statuses()] == [new['uuid']]


# ---- life (3.4, 8.3)

def test_executor_that_does_not_register_is_killed():
    bench = Bench()
    bench.run(task_info('t1'), executor_info())
    bench.run(task_info('t2'), executor_info())
    container, = bench.start_all()
    bench.pass_time(59)
    assert bench.take() == []
    bench.pass_time(2)
    assert bench.take() == [Destroy(container)]
    bench.model.on_exited(container, 9)
    messages = bench.told()
    assert [message['type'] for message in messages] == ['EXITED_EXECUTOR', 'STATUS', 'STATUS']
    assert messages[0] == {'type': 'EXITED_EXECUTOR', 'agent_id': AGENT, 'pid': 'slave(1)@127.0.0.1:5051',
                           'framework_id': FRAMEWORK, 'executor_id': 'e', 'status': 9}
    status = messages[1]['status']
    assert about(status) == ('TASK_FAILED', 'REASON_EXECUTOR_REGISTRATION_TIMEOUT',
                             'Executor did not register within 1mins', 'SOURCE_AGENT')
    assert (status['executor_id'], status['agent_id']) == ({'value': 'e'}, {'value': AGENT})
    assert 'container_status' not in status


def test_container_that_cannot_be_launched_fails_its_tasks():
    bench = Bench()
    bench.run(task_info(), executor_info())
    container = bench.take(Launch)[0].container
    bench.model.on_launch_failed(container, "Failed to fetch all URIs for container 'x': exited with status 1")
    exited, status = bench.told()
    assert exited['status'] == 256
    assert about(status['status']) == (
        'TASK_FAILED', 'REASON_CONTAINER_LAUNCH_FAILED',
        "Failed to launch container: Failed to fetch all URIs for container 'x': exited with status 1", 'SOURCE_AGENT')


@pytest.mark.parametrize('info,state', [(framework_info(), 'TASK_LOST'), (AWARE, 'TASK_DROPPED')])
def test_sandbox_that_cannot_be_made_drops_the_task(info, state):
    bench = Bench(info=info)
    bench.run(command_task())
    container = bench.take(Launch)[0].container
    text = "Failed to create executor directory '/x': Failed to chown directory to 'nobody': No such user 'nobody'"
    bench.model.on_launch_failed(container, text)
    status, = bench.statuses()
    assert about(status) == (state, 'REASON_EXECUTOR_TERMINATED', text, 'SOURCE_AGENT')
    assert status['executor_id'] == {'value': 'c'}


@pytest.mark.parametrize('wait_status', [0, 1792, 9])
def test_executor_that_ends_fails_its_tasks(wait_status):
    bench = Bench()
    container = bench.custom(tasks=('t1', 't2', 't3'))
    bench.update('t1', 'TASK_FINISHED')
    bench.acknowledge_all()
    bench.take()
    bench.model.on_exited(container, wait_status)
    exited, first, second = bench.told()
    assert (exited['type'], exited['status']) == ('EXITED_EXECUTOR', wait_status)
    for message in (first, second):
        assert about(message['status']) == ('TASK_FAILED', 'REASON_EXECUTOR_TERMINATED', 'Executor terminated',
                                            'SOURCE_AGENT')
    assert 'e' in bench.model.frameworks[FRAMEWORK].executors
    for message in (first, second):
        status = message['status']
        bench.hear('ACK', framework_id=FRAMEWORK, task_id=status['task_id']['value'], uuid=status['uuid'])
    assert FRAMEWORK not in bench.model.frameworks
    assert [executor.id for executor in bench.model.completed_frameworks[FRAMEWORK].completed_executors] == ['e']


def test_executor_stays_without_tasks():
    bench = Bench()
    container = bench.custom()
    bench.update('t', 'TASK_FINISHED')
    bench.acknowledge_all()
    assert bench.model.containers() == [container]
    bench.take()
    bench.run(task_info('t2'), executor_info())
    assert [event['type'] for event in bench.events()] == ['LAUNCH']
    assert len(bench.model.containers()) == 1


def test_executor_is_shut_down_and_killed_after_its_grace():
    bench = Bench()
    container = bench.custom()
    bench.take()
    bench.hear('SHUTDOWN_EXECUTOR', framework_id=FRAMEWORK, executor_id='e')
    bench.hear('SHUTDOWN_EXECUTOR', framework_id=FRAMEWORK, executor_id='e')
    bench.hear('SHUTDOWN_EXECUTOR', framework_id=FRAMEWORK, executor_id='other')
    assert bench.events() == [{'type': 'SHUTDOWN'}]
    bench.pass_time(4.9)
    assert bench.take() == []
    bench.pass_time(0.2)
    assert bench.take() == [Destroy(container)]
    bench.model.on_exited(container, 9)
    assert [about(status) for status in bench.statuses()] == [
        ('TASK_FAILED', 'REASON_EXECUTOR_TERMINATED', 'Executor terminated', 'SOURCE_AGENT')]


def test_executor_may_have_a_grace_of_its_own():
    bench = Bench()
    bench.custom(shutdown_grace_period={'nanoseconds': 1500000000})
    bench.hear('SHUTDOWN_EXECUTOR', framework_id=FRAMEWORK, executor_id='e')
    bench.take()
    bench.pass_time(1.4)
    assert bench.take() == []
    bench.pass_time(0.2)
    assert len(bench.take(Destroy)) == 1


def test_executor_that_ends_in_its_grace_is_not_killed():
    bench = Bench()
    container = bench.custom()
    bench.hear('SHUTDOWN_EXECUTOR', framework_id=FRAMEWORK, executor_id='e')
    bench.update('t', 'TASK_KILLED')
    bench.model.on_exited(container, 0)
    assert bench.states() == [('t', 'TASK_KILLED')]
    bench.pass_time(9)
    assert bench.take(Destroy) == []


@pytest.mark.parametrize('end', ['SHUTDOWN_EXECUTOR', 'SHUTDOWN_FRAMEWORK', 'SHUTDOWN'])
def test_subscription_of_an_executor_that_is_to_end_is_a_shutdown(end):
    bench = Bench()
    bench.custom()
    bench.hear(end, framework_id=FRAMEWORK, executor_id='e', message='')
    bench.take()
    reply = bench.call('SUBSCRIBE', subscribe={})
    assert (reply.status, reply.stream is not None) == (200, True)
    assert bench.events() == [{'type': 'SHUTDOWN'}, 'END']


def test_task_for_an_executor_that_is_to_end_is_dropped():
    bench = Bench(info=AWARE)
    container = bench.custom()
    bench.hear('SHUTDOWN_EXECUTOR', framework_id=FRAMEWORK, executor_id='e')
    bench.take()
    bench.run(task_info('late'), executor_info())
    status, = bench.statuses()
    assert about(status) == ('TASK_DROPPED', 'REASON_EXECUTOR_TERMINATED', 'Executor terminating', 'SOURCE_AGENT')
    assert 'executor_id' not in status
    bench.model.on_exited(container, 0)
    bench.take()
    bench.run(task_info('later'), executor_info())
    assert about(bench.statuses()[0])[2] == 'Executor terminated'


def test_executor_whose_end_is_not_acknowledged_cannot_be_started_again():
    bench = Bench(info=AWARE)
    container = bench.custom('e')
    bench.model.on_exited(container, 9)
    bench.take()
    bench.hear('RUN_TASK', framework_info=bench.info, executor_info=executor_info('e'), is_new_executor=True,
               task=dict(task_info('again'), executor=executor_info('e')))
    told = bench.told()
    assert [(one['executor_id'], one['status']) for one in told if one['type'] == 'EXITED_EXECUTOR'] == [('e', -1)]
    status, = [one['status'] for one in told if one['type'] == 'STATUS']
    assert about(status)[:3] == ('TASK_DROPPED', 'REASON_EXECUTOR_TERMINATED',
                                 'Master wants to launch executor, but one already exists')
    assert status['executor_id'] == {'value': 'e'}


def test_task_for_an_executor_that_is_gone_is_dropped():
    bench = Bench(info=AWARE)
    bench.hear('RUN_TASK', framework_info=bench.info, executor_info=executor_info('e'), is_new_executor=False,
               task=dict(task_info('late'), executor=executor_info('e')))
    assert [about(status)[:3] for status in bench.statuses()] == [
        ('TASK_DROPPED', 'REASON_EXECUTOR_TERMINATED', 'No executor is expected to launch and there is none running')]


def test_group_without_tasks_starts_nothing():
    bench = Bench()
    bench.run_group(executor_info('e'))
    assert bench.take() == [] and not bench.model.frameworks


def test_command_task_must_not_take_the_place_of_an_executor():
    bench = Bench(info=AWARE)
    bench.custom('e')
    bench.take()
    bench.run(command_task('e'))
    assert [about(status)[:3] for status in bench.statuses()] == [
        ('TASK_DROPPED', 'REASON_EXECUTOR_TERMINATED', 'Master wants to launch executor, but one already exists')]


def test_framework_that_is_removed_has_its_executors_shut_down_and_nothing_said():
    bench = Bench()
    container = bench.custom(tasks=('t1', 't2'))
    bench.update('t1')
    bench.take()
    bench.hear('SHUTDOWN_FRAMEWORK', framework_id=FRAMEWORK)
    bench.hear('SHUTDOWN_FRAMEWORK', framework_id=FRAMEWORK)
    bench.hear('SHUTDOWN_FRAMEWORK', framework_id='other')
    assert bench.events() == [{'type': 'SHUTDOWN'}]
    bench.update('t1', 'TASK_KILLED')
    bench.run(task_info('late'), executor_info())
    bench.hear('KILL', framework_id=FRAMEWORK, task_id='t2', kill_policy=None)
    bench.model.on_exited(container, 0)
    bench.pass_time(60)
    assert [message['type'] for message in bench.told()] == ['EXITED_EXECUTOR']
    assert not bench.model.frameworks


def test_idle_framework_is_forgotten_but_for_the_last_fifty():
    bench = Bench()
    for number in range(60):
        bench.info = framework_info('M-%04d' % number)
        container = bench.command('c%d' % number)
        bench.model.on_exited(container, 0)
        bench.acknowledge_all()
    assert not bench.model.frameworks
    assert list(bench.model.completed_frameworks) == ['M-%04d' % number for number in range(10, 60)]
    assert len(bench.model.updates) == 0
    assert bench.model.containers() == []


def test_framework_that_comes_back_has_its_past():
    bench = Bench()
    bench.model.on_exited(bench.command('c1'), 0)
    bench.acknowledge_all()
    bench.command('c2')
    assert list(bench.model.completed_frameworks) == []
    assert [executor.id for executor in bench.model.frameworks[FRAMEWORK].completed_executors] == ['c1']


# ---- kills

@pytest.mark.parametrize('is_started', [True, False])
def test_task_that_is_killed_before_its_executor_registers_is_killed_at_once(is_started):
    bench = Bench()
    bench.run(task_info('t'), executor_info())
    if is_started:
        bench.start_all()
    bench.take()
    bench.hear('KILL', framework_id=FRAMEWORK, task_id='t', kill_policy=None)
    status, = bench.statuses()
    assert about(status) == ('TASK_KILLED', 'REASON_TASK_KILLED_DURING_LAUNCH',
                             'Killed before delivery to the executor', 'SOURCE_AGENT')
    assert status['executor_id'] == {'value': 'e'}


def test_executor_whose_tasks_were_all_killed_is_shut_down_when_it_subscribes():
    bench = Bench()
    bench.run(task_info('t'), executor_info())
    container, = bench.start_all()
    bench.hear('KILL', framework_id=FRAMEWORK, task_id='t', kill_policy=None)
    bench.take()
    bench.subscribe()
    assert bench.events() == [{'type': 'SHUTDOWN'}]
    bench.pass_time(6)
    assert bench.take() == [Destroy(container)]


def test_whole_group_is_killed_before_its_executor_registers():
    bench = Bench()
    bench.run_group(executor_info(), task_info('t1'), task_info('t2'))
    bench.run(task_info('t3'), executor_info())
    bench.take()
    bench.hear('KILL', framework_id=FRAMEWORK, task_id='t2', kill_policy=None)
    statuses = bench.statuses()
    assert [status['task_id']['value'] for status in statuses] == ['t1', 't2']
    assert set(about(status) for status in statuses) == {(
        'TASK_KILLED', 'REASON_TASK_KILLED_DURING_LAUNCH',
        'A task within the task group was killed before delivery to the executor', 'SOURCE_AGENT')}
    bench.start_all()
    bench.subscribe()
    assert [event['type'] for event in bench.events()] == ['SUBSCRIBED', 'LAUNCH']


@pytest.mark.parametrize('info,state', [(framework_info(), 'TASK_LOST'), (AWARE, 'TASK_DROPPED')])
def test_kill_of_a_task_that_nobody_has_is_answered(info, state):
    bench = Bench(info=info)
    bench.custom()
    bench.take()
    bench.hear('KILL', framework_id=FRAMEWORK, task_id='nope', kill_policy=None)
    status, = bench.statuses()
    assert about(status) == (state, 'REASON_EXECUTOR_TERMINATED', 'Cannot find executor', 'SOURCE_AGENT')
    bench.hear('KILL', framework_id='other', task_id='nope', kill_policy=None)
    assert bench.statuses() == []


def test_kill_of_a_task_whose_executor_is_to_end_is_ignored():
    bench = Bench()
    bench.custom()
    bench.hear('SHUTDOWN_EXECUTOR', framework_id=FRAMEWORK, executor_id='e')
    bench.take()
    bench.hear('KILL', framework_id=FRAMEWORK, task_id='t', kill_policy=None)
    assert bench.take() == []


def test_change_of_a_framework_is_told_to_executors_that_come_later():
    bench = Bench()
    bench.custom()
    bench.take()
    changed = framework_info(name='renamed')
    bench.hear('UPDATE_FRAMEWORK', framework_info=changed)
    bench.hear('UPDATE_FRAMEWORK', framework_info=framework_info('other'))
    bench.subscribe(tasks=[task_info('t')])
    assert bench.events()[1]['subscribed']['framework_info'] == changed
    assert list(bench.model.frameworks) == [FRAMEWORK]

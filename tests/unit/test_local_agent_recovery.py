"""The embedded agent dies and comes back: what survives, and what becomes of the rest (PROTOCOL 2.5, 2.7, 3.4)."""
from __future__ import absolute_import, division, print_function

import json

import pytest
from local_agent import AGENT, FRAMEWORK, Bench, command_task, executor_info, framework_info, make_uuid, task_info

from pymesos.local.model.effects import Answer, Destroy, Launch, Reply, Signal

KEPT = framework_info(checkpoint=True, failover_timeout=60.0)
AWARE = framework_info(checkpoint=True, capabilities=['PARTITION_AWARE', 'TASK_KILLING_STATE'])


def about(status):
    return tuple(status.get(name) for name in ('state', 'reason', 'message', 'source'))


def test_checkpoint_is_plain_data():
    bench = Bench(info=AWARE)
    bench.custom(tasks=('t1', 't2'))
    bench.update('t1')
    bench.command('c', health_check={'type': 'TCP', 'tcp': {'port': 80}}, max_completion_time={'nanoseconds': 10 ** 9})
    bench.group(command_task('g1'), command_task('g2'))
    bench.run(command_task('new'))
    data = bench.model.snapshot()
    assert json.loads(json.dumps(data)) == data


def test_new_agent_with_an_empty_checkpoint_keeps_its_id():
    bench = Bench().restart()
    assert not bench.model.is_recovering
    bench.model.on_master('127.0.0.1:5050')
    message, = bench.told()
    assert (message['type'], message['agent_info']['id']) == ('REREGISTER', {'value': AGENT})


def test_frameworks_that_do_not_checkpoint_are_forgotten():
    bench = Bench()
    bench.custom()
    bench.update('t')
    bench.command('c')
    bench = bench.restart()
    assert not bench.model.is_recovering
    assert bench.model.containers() == []
    assert not bench.model.frameworks
    bench.register()
    assert bench.states() == []


def test_executor_subscribes_again_and_goes_on():
    bench = Bench(info=KEPT)
    container = bench.custom(tasks=('t1', 't2'))
    sent = bench.update('t1')
    bench = bench.restart()
    assert bench.model.containers() == [container]
    assert bench.call('MESSAGE', message={'data': ''}) == Reply(503, 'Agent has not finished recovery')
    assert bench.model.operator_call({'type': 'GET_STATE'}) == Reply(503, 'Agent has not finished recovery')
    bench.model.on_master('127.0.0.1:5050')
    assert bench.told() == []
    second = dict(sent, state='TASK_FINISHED', uuid=make_uuid())
    bench.subscribe(tasks=[task_info('t2')], updates=[dict(sent), dict(second)])
    events = bench.events()
    assert [event['type'] for event in events] == ['SUBSCRIBED', 'ACKNOWLEDGED', 'ACKNOWLEDGED']
    assert events[0]['subscribed']['container_id'] == {'value': container}
    bench.pass_time(1.9)
    assert bench.told() == []
    bench.pass_time(0.2)
    message, = bench.told('REREGISTER')
    assert [(item['task_info']['task_id']['value'], item['state']) for item in message['tasks']] == [
        ('t2', 'TASK_STAGING'), ('t1', 'TASK_FINISHED')]
    bench.hear('REREGISTERED', agent_id=AGENT, master='127.0.0.1:5050')
    assert bench.acknowledge_all() == [('t1', 'TASK_RUNNING'), ('t1', 'TASK_FINISHED')]
    bench.hear('KILL', framework_id=FRAMEWORK, task_id='t2', kill_policy=None)
    assert [event['type'] for event in bench.events()] == ['KILL']
    bench.update('t2', 'TASK_KILLED')
    status, = bench.statuses()
    assert status['container_status']['executor_pid'] == 4711


@pytest.mark.parametrize('info,state', [(KEPT, 'TASK_LOST'), (AWARE, 'TASK_GONE')])
def test_executor_that_does_not_subscribe_in_time_is_killed(info, state):
    bench = Bench(info=info)
    container = bench.custom()
    bench.update('t')
    bench.acknowledge_all()
    bench = bench.restart()
    bench.model.on_master('127.0.0.1:5050')
    bench.pass_time(2.1)
    effects = bench.take()
    assert Destroy(container) in effects
    assert [effect.message['type'] for effect in effects if hasattr(effect, 'message')] == ['REREGISTER']
    bench.hear('REREGISTERED', agent_id=AGENT, master='127.0.0.1:5050')
    bench.model.on_exited(container, 9)
    messages = bench.told()
    assert [message['type'] for message in messages] == ['EXITED_EXECUTOR', 'STATUS']
    assert about(messages[1]['status']) == (state, 'REASON_EXECUTOR_REREGISTRATION_TIMEOUT',
                                            'Executor did not reregister within 2secs', 'SOURCE_AGENT')


def test_executor_that_died_meanwhile_is_found_dead():
    bench = Bench(info=AWARE)
    container = bench.custom()
    bench = bench.restart()
    bench.model.on_exited(container, 256)
    bench.model.on_master('127.0.0.1:5050')
    assert bench.told('STATUS') == []
    bench.pass_time(2.1)
    bench.take()
    bench.hear('REREGISTERED', agent_id=AGENT, master='127.0.0.1:5050')
    assert [about(status)[:3] for status in bench.statuses()] == [
        ('TASK_FAILED', 'REASON_EXECUTOR_TERMINATED', 'Executor terminated')]


@pytest.mark.parametrize('info,state', [(KEPT, 'TASK_LOST'), (AWARE, 'TASK_DROPPED')])
def test_task_that_the_executor_never_saw_is_dropped(info, state):
    bench = Bench(info=info)
    bench.run(task_info('t'), executor_info())
    bench.start_all()
    bench = bench.restart()
    bench.subscribe()
    bench.pass_time(2.1)
    bench.register()
    statuses = bench.statuses()
    assert [about(status) for status in statuses] == [
        (state, 'REASON_AGENT_RESTARTED', 'Task launched during agent restart', 'SOURCE_AGENT')]


def test_updates_that_were_not_acknowledged_are_sent_again():
    bench = Bench(info=KEPT)
    container = bench.command('c')
    bench.model.on_exited(container, 0)
    uuid = bench.statuses()[0]['uuid']
    bench = bench.restart()
    bench.register()
    status, = bench.statuses()
    assert (status['state'], status['uuid']) == ('TASK_FINISHED', uuid)
    bench.pass_time(11)
    assert len(bench.statuses()) == 1
    bench.hear('ACK', framework_id=FRAMEWORK, task_id='c', uuid=uuid)
    assert not bench.model.frameworks
    assert [executor.id for executor in bench.model.completed_frameworks[FRAMEWORK].completed_executors] == ['c']


def test_command_task_goes_on_and_can_be_killed():
    bench = Bench(info=AWARE)
    container = bench.command('c')
    bench = bench.restart()
    # Nobody has to be waited for.
    assert not bench.model.is_recovering
    bench.register()
    bench.take()
    bench.hear('KILL', framework_id=FRAMEWORK, task_id='c', kill_policy=None)
    assert Signal(container, 15) in bench.take()
    bench.model.on_exited(container, 15)
    task = bench.model.frameworks[FRAMEWORK].executors['c'].terminated['c']
    assert [status['state'] for status in task.statuses] == ['TASK_STARTING', 'TASK_RUNNING', 'TASK_KILLING',
                                                             'TASK_KILLED']


def test_command_task_that_ended_meanwhile_has_its_end():
    bench = Bench(info=KEPT)
    container = bench.command('c')
    bench = bench.restart()
    bench.model.on_exited(container, 3 << 8)
    bench.register()
    status, = bench.statuses()
    assert (status['state'], status['message']) == ('TASK_FAILED', 'Command exited with status 3')


def test_command_task_that_was_being_started_is_dropped():
    bench = Bench(info=AWARE)
    bench.run(command_task('c'))
    container = bench.take(Launch)[0].container
    bench = bench.restart()
    assert bench.model.containers() == []
    bench.register()
    assert [about(status) for status in bench.statuses()] == [
        ('TASK_DROPPED', 'REASON_AGENT_RESTARTED', 'Task launched during agent restart', 'SOURCE_AGENT')]
    bench.model.on_exited(container, 9)


def test_limits_of_time_and_kills_go_on():
    bench = Bench(info=KEPT)
    first = bench.command('c1', max_completion_time={'nanoseconds': 5 * 10 ** 9})
    second = bench.command('c2')
    bench.hear('KILL', framework_id=FRAMEWORK, task_id='c2', kill_policy={'grace_period': {'nanoseconds': 10 ** 10}})
    bench.pass_time(1)
    bench = bench.restart()
    bench.pass_time(3.9)
    assert bench.signals() == []
    bench.pass_time(0.2)
    assert bench.signals() == [(first, 15), (first, 9)]
    bench.pass_time(5)
    assert bench.signals() == [(second, 9)]
    bench.model.on_exited(first, 9)
    bench.model.on_exited(second, 9)
    bench.register()
    statuses = dict((status['task_id']['value'], status) for status in bench.statuses())
    assert statuses['c1']['reason'] == 'REASON_MAX_COMPLETION_TIME_REACHED'
    assert statuses['c2']['state'] == 'TASK_KILLED'


def test_health_is_looked_after_again():
    bench = Bench(info=KEPT)
    bench.command('c', health_check={'type': 'COMMAND', 'command': {'value': 'x'}, 'delay_seconds': 1.0})
    bench = bench.restart()
    bench.pass_time(1.1)
    probe, = bench.probes()
    assert probe.check['environment']['MESOS_EXECUTOR_ID'] == 'c'
    bench.model.on_probe(probe.key, {'exit_code': 0})
    bench.register()
    assert [status['healthy'] for status in bench.statuses()] == [True]


def test_task_groups_go_on():
    bench = Bench(info=KEPT)
    containers = bench.group(command_task('t1'), command_task('t2'), command_task('t3'))
    bench.model.on_exited(containers[0], 0)
    bench = bench.restart()
    assert bench.model.containers() == containers[1:]
    bench.model.on_exited(containers[2], 256)
    assert bench.signals() == [(containers[1], 15)]
    bench.model.on_exited(containers[1], 15)
    assert [message['status'] for message in bench.told('EXITED_EXECUTOR')] == [0]
    executor = bench.model.frameworks[FRAMEWORK].executors['g']
    assert dict((name, task.state) for name, task in executor.terminated.items()) == {
        't1': 'TASK_FINISHED', 't2': 'TASK_KILLED', 't3': 'TASK_FAILED'}


def test_containers_that_somebody_launched_are_still_there():
    bench = Bench(info=KEPT)
    container = bench.custom()
    nested = {'value': 'n1', 'parent': {'value': container}}
    bench.model.operator_call({'type': 'LAUNCH_CONTAINER', 'launch_container': {
        'container_id': nested, 'command': {'shell': True, 'value': 'sleep 9'}}})
    token, = bench.start_all()
    bench = bench.restart()
    assert bench.model.containers() == [container, token]
    bench.subscribe()
    bench.pass_time(2.1)
    reply = bench.model.operator_call({'type': 'WAIT_CONTAINER', 'wait_container': {'container_id': nested}})
    bench.model.on_exited(token, 256)
    assert [(effect.key, effect.reply.body['wait_container']) for effect in bench.take(Answer)] == [
        (reply.key, {'exit_status': 256})]


def test_sessions_are_killed():
    bench = Bench(info=KEPT)
    container = bench.custom()
    session = {'value': 's1', 'parent': {'value': container}}
    bench.model.operator_call({'type': 'LAUNCH_NESTED_CONTAINER_SESSION', 'launch_nested_container_session': {
        'container_id': session, 'command': {'shell': True, 'value': 'sleep 9'}}})
    token, = bench.start_all()
    bench = bench.restart()
    assert bench.signals() == [(token, None)]


def test_executor_that_was_to_end_is_killed():
    bench = Bench(info=KEPT)
    container = bench.custom()
    bench.hear('SHUTDOWN_EXECUTOR', framework_id=FRAMEWORK, executor_id='e')
    bench = bench.restart()
    assert bench.take() == [Destroy(container)]
    assert not bench.model.is_recovering


def test_recovered_executor_is_waited_for_twice():
    bench = Bench(info=KEPT)
    container = bench.custom()
    bench = bench.restart().restart()
    assert bench.model.is_recovering
    bench.subscribe(tasks=[task_info('t')])
    bench.pass_time(2.1)
    assert bench.model.containers() == [container]
    assert not bench.model.is_recovering


def test_drain_goes_on():
    bench = Bench(info=KEPT)
    container = bench.command('c')
    bench.hear('DRAIN', config={'mark_gone': True})
    bench = bench.restart()
    bench.model.on_exited(container, 15)
    bench.register()
    assert [(status['state'], status['reason']) for status in bench.statuses()] == [
        ('TASK_GONE_BY_OPERATOR', 'REASON_AGENT_DRAINING')]


def test_agent_that_is_to_clean_up_ends_its_executors_and_itself():
    bench = Bench(info=KEPT)
    container = bench.custom()
    bench = bench.restart(recover='cleanup')
    bench.model.on_master('127.0.0.1:5050')
    assert bench.call('SUBSCRIBE', subscribe={}).status == 200
    assert bench.events() == [{'type': 'SHUTDOWN'}, 'END']
    bench.pass_time(5.1)
    assert Destroy(container) in bench.take()
    bench.model.on_exited(container, 9)
    assert bench.told('REREGISTER') == []
    assert not bench.model.frameworks

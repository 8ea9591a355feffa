"""The executors that are part of the embedded agent: command tasks, task groups, kills, checks (PROTOCOL 5.3, 8.3)."""
from __future__ import absolute_import, division, print_function

import pytest
from local_agent import AGENT, FRAMEWORK, Bench, command_task, framework_info

from pymesos.local.model.builtin import ending
from pymesos.local.model.effects import Destroy, Launch, Probe, Signal

KILLER = framework_info(capabilities=['TASK_KILLING_STATE'])
TERM, KILL = 15, 9


def seconds(number):
    """A DurationInfo."""
    return {'nanoseconds': int(number * 10 ** 9)}


def kill(bench, task_id='c', kill_policy=None):
    bench.hear('KILL', framework_id=FRAMEWORK, task_id=task_id, kill_policy=kill_policy)


def end_of(bench):
    """(state, message, reason) of the last update."""
    statuses = []
    while True:
        found = bench.statuses()
        if not found:
            return tuple(statuses[-1].get(name) for name in ('state', 'message', 'reason'))
        statuses += found
        for status in found:
            bench.hear('ACK', framework_id=FRAMEWORK, task_id=status['task_id']['value'], uuid=status['uuid'])


# ---- command tasks

def test_command_task_starts_and_runs_and_finishes():
    bench = Bench()
    bench.run(command_task())
    assert bench.states() == []
    container = bench.model.containers()[0]
    bench.model.on_started(container, 4711)
    bench.model.on_exited(container, 0)
    status, = bench.statuses()
    assert status == {
        'task_id': {'value': 'c'}, 'state': 'TASK_STARTING', 'source': 'SOURCE_EXECUTOR', 'uuid': status['uuid'],
        'agent_id': {'value': AGENT}, 'executor_id': {'value': 'c'}, 'timestamp': bench.world.time(),
        'container_status': {'container_id': {'value': container}, 'executor_pid': 4711,
                             'network_infos': [{'ip_addresses': [{'protocol': 'IPv4', 'ip_address': '127.0.0.1'}]}]}}
    bench.hear('ACK', framework_id=FRAMEWORK, task_id='c', uuid=status['uuid'])
    status, = bench.statuses()
    assert status['state'] == 'TASK_RUNNING'
    bench.hear('ACK', framework_id=FRAMEWORK, task_id='c', uuid=status['uuid'])
    status, = bench.statuses()
    assert (status['state'], status['message']) == ('TASK_FINISHED', 'Command exited with status 0')
    assert status['container_status']['executor_pid'] == 4711
    bench.hear('ACK', framework_id=FRAMEWORK, task_id='c', uuid=status['uuid'])
    assert not bench.model.frameworks


def test_executor_of_a_command_task_is_not_reported():
    bench = Bench()
    container = bench.command()
    bench.model.on_exited(container, 256)
    assert [message['type'] for message in bench.told()] == ['STATUS']


@pytest.mark.parametrize('status,state,message', [
    (0, 'TASK_FINISHED', 'Command exited with status 0'), (3 << 8, 'TASK_FAILED', 'Command exited with status 3'),
    (9, 'TASK_FAILED', 'Command terminated with signal Killed'),
    (11 | 0x80, 'TASK_FAILED', 'Command terminated with signal Segmentation fault (core dumped)')])
def test_command_task_says_how_it_ended(status, state, message):
    bench = Bench()
    bench.model.on_exited(bench.command(), status)
    assert end_of(bench) == (state, message, None)


def test_endings_are_named_as_linux_does():
    assert ending(255 << 8) == 'exited with status 255'
    assert ending(TERM) == 'terminated with signal Terminated'
    assert ending(40) == 'terminated with signal Unknown signal 40'


def test_killed_command_gets_term_and_after_its_grace_kill():
    bench = Bench()
    container = bench.command()
    kill(bench)
    assert bench.take() == [Signal(container, TERM)]
    bench.pass_time(2.9)
    assert bench.take() == []
    bench.pass_time(0.2)
    assert bench.take() == [Signal(container, KILL)]
    bench.model.on_exited(container, KILL)
    assert end_of(bench) == ('TASK_KILLED', 'Command terminated with signal Killed', None)


def test_killed_command_is_killed_even_if_it_ends_well():
    bench = Bench()
    container = bench.command()
    kill(bench)
    bench.model.on_exited(container, 0)
    assert end_of(bench) == ('TASK_KILLED', 'Command exited with status 0', None)
    bench.pass_time(10)
    assert bench.take(Signal) == []


def test_framework_that_can_be_told_is_told_of_the_kill():
    bench = Bench(info=KILLER)
    container = bench.command()
    kill(bench)
    bench.model.on_exited(container, TERM)
    assert bench.acknowledge_all() == [('c', 'TASK_KILLING'), ('c', 'TASK_KILLED')]


@pytest.mark.parametrize('own,given,grace', [
    (None, None, 3), (1, None, 1), (1, 2, 2), (None, 0.5, 0.5), (7, {}, 7)])
def test_grace_is_that_of_the_kill_or_of_the_task_or_three_seconds(own, given, grace):
    bench = Bench()
    fields = {} if own is None else {'kill_policy': {'grace_period': seconds(own)}}
    container = bench.command(**fields)
    policy = {'grace_period': seconds(given)} if isinstance(given, (int, float)) else given
    kill(bench, kill_policy=policy)
    bench.take()
    bench.pass_time(grace - 0.1)
    assert bench.take() == []
    bench.pass_time(0.2)
    assert bench.take() == [Signal(container, KILL)]


@pytest.mark.parametrize('after,grace,due', [(1, 30, 20), (1, 20, 20), (1, 5, 5), (6, 5, 6)])
def test_further_kill_may_only_shorten_the_grace(after, grace, due):
    bench = Bench(info=KILLER)
    container = bench.command()
    start = bench.world.now
    kill(bench, kill_policy={'grace_period': seconds(20)})
    bench.acknowledge_all()
    bench.pass_time(after)
    kill(bench, kill_policy={'grace_period': seconds(grace)})
    assert bench.take() == []
    bench.pass_time(start + due - bench.world.now - 0.1 if due > after else 0)
    if due > after:
        assert bench.take() == []
        bench.pass_time(0.2)
    assert bench.take() == [Signal(container, KILL)]


def test_command_task_that_is_killed_before_it_runs_never_runs():
    bench = Bench()
    bench.run(command_task())
    container = bench.take(Launch)[0].container
    kill(bench)
    tell, destroy = bench.take()
    assert destroy == Destroy(container)
    assert tell.message['status']['reason'] == 'REASON_TASK_KILLED_DURING_LAUNCH'
    bench.model.on_launch_failed(container, 'Container is being destroyed during fetching')
    assert bench.states() == []
    bench.hear('ACK', framework_id=FRAMEWORK, task_id='c', uuid=tell.message['status']['uuid'])
    assert not bench.model.frameworks
    assert bench.model.counts['container_launch_errors'] == 0


def test_command_that_was_about_to_start_when_killed_is_destroyed():
    bench = Bench()
    bench.run(command_task())
    container = bench.take(Launch)[0].container
    kill(bench)
    bench.model.on_started(container, 1)
    bench.model.on_exited(container, 9)
    assert bench.acknowledge_all() == [('c', 'TASK_KILLED')]
    assert not bench.model.frameworks


def test_shutdown_kills_a_command_within_its_grace():
    bench = Bench()
    container = bench.command()
    bench.hear('SHUTDOWN_EXECUTOR', framework_id=FRAMEWORK, executor_id='c')
    assert bench.take() == [Signal(container, TERM)]
    bench.pass_time(3.1)
    assert bench.take() == [Signal(container, KILL)]
    bench.pass_time(2)
    assert bench.take() == [Destroy(container)]
    bench.model.on_exited(container, KILL)
    assert end_of(bench) == ('TASK_FAILED', 'Executor terminated', 'REASON_EXECUTOR_TERMINATED')


def test_command_that_heeds_a_shutdown_is_killed():
    bench = Bench()
    container = bench.command()
    bench.hear('SHUTDOWN_EXECUTOR', framework_id=FRAMEWORK, executor_id='c')
    bench.model.on_exited(container, TERM)
    assert end_of(bench) == ('TASK_KILLED', 'Command terminated with signal Terminated', None)


def test_command_that_runs_too_long_fails():
    bench = Bench(info=KILLER)
    container = bench.command(max_completion_time=seconds(5))
    bench.pass_time(4.9)
    assert bench.take() == []
    bench.pass_time(0.2)
    assert bench.take() == [Signal(container, TERM), Signal(container, KILL)]
    bench.model.on_exited(container, KILL)
    assert end_of(bench) == ('TASK_FAILED', 'Command terminated with signal Killed',
                             'REASON_MAX_COMPLETION_TIME_REACHED')


def test_kill_ends_the_limit_of_time():
    bench = Bench()
    container = bench.command(max_completion_time=seconds(5))
    kill(bench, kill_policy={'grace_period': seconds(60)})
    bench.pass_time(10)
    assert bench.take() == [Signal(container, TERM)]
    bench.model.on_exited(container, TERM)
    assert end_of(bench)[0] == 'TASK_KILLED'


# ---- health checks and checks

def test_healthy_task_is_told_once():
    bench = Bench()
    container = bench.command(health_check={'type': 'COMMAND', 'command': {'value': 'test'}, 'delay_seconds': 2.0,
                                            'interval_seconds': 5.0, 'timeout_seconds': 1.0})
    bench.pass_time(1.9)
    assert bench.probes() == []
    bench.pass_time(0.2)
    probe, = bench.probes()
    assert (probe.timeout, probe.check['type'], probe.check['command'], probe.check['container']) == (
        1.0, 'COMMAND', {'value': 'test'}, container)
    assert probe.check['environment']['MESOS_EXECUTOR_ID'] == 'c'
    assert probe.check['directory'].endswith(container)
    bench.model.on_probe(probe.key, {'exit_code': 0})
    status, = bench.statuses()
    assert (status['state'], status['healthy'], status['reason']) == (
        'TASK_RUNNING', True, 'REASON_TASK_HEALTH_CHECK_STATUS_UPDATED')
    assert status['source'] == 'SOURCE_EXECUTOR'
    assert 'message' not in status
    bench.hear('ACK', framework_id=FRAMEWORK, task_id='c', uuid=status['uuid'])
    bench.pass_time(5.1)
    probe, = bench.probes()
    bench.model.on_probe(probe.key, {'exit_code': 0})
    assert bench.statuses() == []


def check_once(bench, result, interval=10.1):
    """Let a check be made and give its result; the statuses."""
    bench.pass_time(interval)
    probe, = bench.probes()
    bench.model.on_probe(probe.key, result)
    found = bench.statuses()
    for status in found:
        bench.hear('ACK', framework_id=FRAMEWORK, task_id=status['task_id']['value'], uuid=status['uuid'])
    return found


def test_unhealthy_task_is_killed_after_so_many_failures_in_a_row():
    bench = Bench(info=KILLER)
    container = bench.command(health_check={'type': 'TCP', 'tcp': {'port': 80}, 'delay_seconds': 0.0})
    assert check_once(bench, {'succeeded': False}, 0.1) == []               # in the grace period
    assert [status['healthy'] for status in check_once(bench, {'succeeded': False})] == [False]
    assert [status['healthy'] for status in check_once(bench, {'succeeded': True})] == [True]
    assert check_once(bench, {'succeeded': True}) == []
    for _ in range(2):
        assert [status['healthy'] for status in check_once(bench, {'error': 'timed out'})] == [False]
    bench.pass_time(10.1)
    probe, = bench.probes()
    bench.model.on_probe(probe.key, {'succeeded': False})
    effects = bench.take()
    assert Signal(container, TERM) in effects
    bench.effects = effects
    states = bench.acknowledge_all()
    assert states == [('c', 'TASK_RUNNING'), ('c', 'TASK_KILLING')]
    bench.pass_time(3.1)
    assert Signal(container, KILL) in bench.take()
    bench.model.on_exited(container, KILL)
    status, = bench.statuses()
    assert (status['state'], status['healthy']) == ('TASK_KILLED', False)


@pytest.mark.parametrize('check,result,is_good', [
    ({'type': 'HTTP', 'http': {'port': 80}}, {'status_code': 200}, True),
    ({'type': 'HTTP', 'http': {'port': 80}}, {'status_code': 399}, True),
    ({'type': 'HTTP', 'http': {'port': 80}}, {'status_code': 400}, False),
    ({'type': 'HTTP', 'http': {'port': 80}}, {'error': 'refused'}, False),
    ({'type': 'COMMAND', 'command': {'value': 'x'}}, {'exit_code': 1}, False),
    ({'command': {'value': 'x'}}, {'exit_code': 0}, True), ({'http': {'port': 80}}, {'status_code': 200}, True),
    ({'tcp': {'port': 80}}, {'succeeded': True}, True)])
def test_result_of_a_health_check(check, result, is_good):
    bench = Bench()
    bench.command(health_check=dict(check, grace_period_seconds=0.0))
    bench.pass_time(5)
    assert [status['healthy'] for status in check_once(bench, result)] == [is_good]


@pytest.mark.parametrize('check,probe', [
    ({'type': 'HTTP', 'http': {'port': 80}}, {'type': 'HTTP', 'port': 80, 'path': '/', 'scheme': 'http'}),
    ({'type': 'HTTP', 'http': {'port': 443, 'path': '/health', 'scheme': 'https'}},
     {'type': 'HTTP', 'port': 443, 'path': '/health', 'scheme': 'https'}),
    ({'type': 'TCP', 'tcp': {'port': 80}}, {'type': 'TCP', 'port': 80})])
def test_what_is_looked_at(check, probe):
    bench = Bench()
    bench.command(health_check=dict(check, delay_seconds=1.0))
    bench.pass_time(1.1)
    found, = bench.probes()
    assert (found.check, found.timeout) == (probe, 20.0)


def test_check_tells_each_change_and_every_update_has_its_status():
    bench = Bench()
    container = bench.command(check={'type': 'COMMAND', 'command': {'command': {'value': 'x'}}, 'delay_seconds': 0.0})
    task = bench.model.frameworks[FRAMEWORK].executors['c'].launched['c']
    assert [status['check_status'] for status in task.statuses] == [{'type': 'COMMAND', 'command': {}}] * 2
    status, = check_once(bench, {'exit_code': 3}, 0.1)
    assert status['check_status'] == {'type': 'COMMAND', 'command': {'exit_code': 3}}
    assert (status['state'], status['reason']) == ('TASK_RUNNING', 'REASON_TASK_CHECK_STATUS_UPDATED')
    assert check_once(bench, {'exit_code': 3}) == []
    status, = check_once(bench, {'error': 'timed out'})
    assert status['check_status'] == {'type': 'COMMAND', 'command': {}}
    status, = check_once(bench, {'exit_code': 0})
    assert status['check_status'] == {'type': 'COMMAND', 'command': {'exit_code': 0}}
    bench.model.on_exited(container, 0)
    assert bench.statuses()[0]['check_status'] == {'type': 'COMMAND', 'command': {}}


@pytest.mark.parametrize('check,result,shown', [
    ({'type': 'HTTP', 'http': {'port': 80}}, {'status_code': 404}, {'type': 'HTTP', 'http': {'status_code': 404}}),
    ({'type': 'TCP', 'tcp': {'port': 80}}, {'succeeded': False}, {'type': 'TCP', 'tcp': {'succeeded': False}})])
def test_checks_of_other_types(check, result, shown):
    bench = Bench()
    bench.command(check=check)
    bench.pass_time(5)
    status, = check_once(bench, result)
    assert status['check_status'] == shown


def test_nothing_is_checked_once_a_task_is_killed():
    bench = Bench()
    container = bench.command(health_check={'type': 'TCP', 'tcp': {'port': 80}, 'delay_seconds': 0.0})
    bench.pass_time(0.1)
    probe, = bench.probes()
    kill(bench)
    bench.take()
    bench.model.on_probe(probe.key, {'succeeded': True})
    bench.pass_time(2)
    assert bench.take() == []
    bench.model.on_exited(container, TERM)
    bench.model.on_probe(probe.key, {'succeeded': True})
    assert bench.states() == [('c', 'TASK_KILLED')]


# ---- task groups

def test_group_runs_in_nested_containers_and_its_executor_ends_after_it():
    bench = Bench()
    containers = bench.group(command_task('t1'), command_task('t2'))
    assert len(containers) == 2
    assert len(set(name.partition('.')[0] for name in containers)) == 1
    task = bench.model.frameworks[FRAMEWORK].executors['g'].launched['t1']
    parent, _, own = containers[0].partition('.')
    assert [status['state'] for status in task.statuses] == ['TASK_STARTING', 'TASK_RUNNING']
    nested = {'container_id': {'value': own, 'parent': {'value': parent}}}
    assert task.statuses[0]['container_status'] == nested
    assert task.statuses[1]['container_status'] == dict(nested, executor_pid=4711, network_infos=[
        {'ip_addresses': [{'protocol': 'IPv4', 'ip_address': '127.0.0.1'}]}])
    bench.model.on_exited(containers[0], 0)
    assert [message['type'] for message in bench.told()] == []
    bench.model.on_exited(containers[1], 0)
    exited, = bench.told()
    assert (exited['type'], exited['executor_id'], exited['status']) == ('EXITED_EXECUTOR', 'g', 0)
    bench.register()
    bench.acknowledge_all()
    assert not bench.model.frameworks
    assert len(bench.model.tree) == 0


@pytest.mark.parametrize('status,state', [(256, 'TASK_FAILED'), (9, 'TASK_FAILED')])
def test_failure_of_one_task_kills_the_rest_of_its_group(status, state):
    bench = Bench()
    containers = bench.group(command_task('t1'), command_task('t2'), command_task('t3'))
    bench.take()
    bench.model.on_exited(containers[1], status)
    assert bench.signals() == [(containers[0], TERM), (containers[2], TERM)]
    bench.pass_time(3.1)
    assert bench.signals() == [(containers[0], KILL), (containers[2], KILL)]
    bench.model.on_exited(containers[0], KILL)
    bench.model.on_exited(containers[2], KILL)
    tasks = bench.model.frameworks[FRAMEWORK].executors['g'].terminated
    assert dict((name, task.state) for name, task in tasks.items()) == {
        't1': 'TASK_KILLED', 't2': state, 't3': 'TASK_KILLED'}


def test_kill_of_one_task_kills_its_group_but_no_other():
    bench = Bench(info=KILLER)
    first = bench.group(command_task('t1'), command_task('t2'))
    second = bench.group(command_task('t3'))
    bench.take()
    kill(bench, 't1', {'grace_period': seconds(1)})
    kill(bench, 't1', {'grace_period': seconds(0)})
    assert bench.signals() == [(first[0], TERM)]
    bench.pass_time(1.1)
    assert bench.signals() == [(first[0], KILL)]
    bench.model.on_exited(first[0], KILL)
    assert bench.signals() == [(first[1], TERM)]
    bench.model.on_exited(first[1], 0)
    executor = bench.model.frameworks[FRAMEWORK].executors['g']
    assert executor.terminated['t2'].state == 'TASK_KILLED'
    assert [status['state'] for status in executor.terminated['t2'].statuses] == [
        'TASK_STARTING', 'TASK_RUNNING', 'TASK_KILLING', 'TASK_KILLED']
    assert executor.launched['t3'].state == 'TASK_RUNNING'
    bench.model.on_exited(second[0], 0)
    assert executor.state == 'TERMINATED'


def test_task_of_a_group_that_cannot_be_launched_fails():
    bench = Bench()
    bench.group(command_task('t0'))
    info = bench.model.frameworks[FRAMEWORK].executors['g'].info
    bench.run_group(info, command_task('t1'), command_task('t2'))
    launched = [effect.container for effect in bench.take(Launch)]
    bench.model.on_launch_failed(launched[0], 'Failed to fetch')
    executor = bench.model.frameworks[FRAMEWORK].executors['g']
    assert executor.terminated['t1'].statuses[-1]['message'] == 'Failed to fetch'
    assert executor.terminated['t1'].state == 'TASK_FAILED'
    # The other was not started yet.
    assert bench.signals() == [(launched[1], None)]
    bench.model.on_launch_failed(launched[1], 'Container is being destroyed during fetching')
    assert executor.terminated['t2'].state == 'TASK_KILLED'
    assert executor.state == 'RUNNING'


def test_shutdown_of_the_default_executor_kills_its_tasks():
    bench = Bench()
    containers = bench.group(command_task('t1'), command_task('t2'))
    bench.take()
    bench.hear('SHUTDOWN_EXECUTOR', framework_id=FRAMEWORK, executor_id='g')
    assert bench.signals() == [(containers[0], TERM), (containers[1], TERM)]
    bench.model.on_exited(containers[0], TERM)
    bench.model.on_exited(containers[1], TERM)
    assert [message['status'] for message in bench.told('EXITED_EXECUTOR')] == [0]


def test_default_executor_that_does_not_end_in_its_grace_is_killed():
    bench = Bench(executor_shutdown_grace_period=1.0)
    containers = bench.group(command_task('t1'))
    bench.take()
    bench.hear('SHUTDOWN_EXECUTOR', framework_id=FRAMEWORK, executor_id='g')
    bench.take()
    bench.pass_time(1.1)
    effects = bench.take()
    assert Destroy(containers[0]) in effects
    assert [effect.message['status'] for effect in effects
            if hasattr(effect, 'message') and effect.message['type'] == 'EXITED_EXECUTOR'] == [KILL]
    executor = bench.model.frameworks[FRAMEWORK].executors['g']
    assert executor.terminated['t1'].state == 'TASK_FAILED'
    bench.model.on_exited(containers[0], KILL)
    assert len(bench.model.tree) == 0


def test_task_of_a_group_is_checked_and_limited():
    bench = Bench()
    containers = bench.group(
        command_task('t1', max_completion_time=seconds(60)),
        command_task('t2', health_check={'type': 'COMMAND', 'command': {'value': 'x'}, 'delay_seconds': 0.0,
                                         'grace_period_seconds': 0.0, 'consecutive_failures': 1}))
    bench.acknowledge_all()
    bench.pass_time(0.1)
    probe, = bench.probes()
    assert probe.check['container'] == containers[1]
    bench.model.on_probe(probe.key, {'exit_code': 1})
    assert bench.signals() == [(containers[1], TERM)]
    bench.model.on_exited(containers[1], TERM)
    executor = bench.model.frameworks[FRAMEWORK].executors['g']
    last = executor.terminated['t2'].statuses[-1]
    assert (last['state'], last['healthy']) == ('TASK_KILLED', False)
    bench.model.on_exited(containers[0], TERM)
    assert executor.terminated['t1'].statuses[-1]['healthy'] is False


# ---- simulated

def test_simulated_agent_starts_nothing_and_says_so():
    bench = Bench(simulated_seconds=7.0, info=KILLER)
    bench.run(command_task('c1'))
    assert bench.model.containers() == []
    status, = bench.statuses()
    assert (status['state'], status['message']) == ('TASK_RUNNING', 'Simulated: no process was started')
    bench.hear('ACK', framework_id=FRAMEWORK, task_id='c1', uuid=status['uuid'])
    bench.pass_time(6.9)
    assert bench.take() == []
    bench.pass_time(0.2)
    assert bench.acknowledge_all() == [('c1', 'TASK_FINISHED')]
    assert not bench.model.frameworks
    assert len(bench.model.tree) == 0


@pytest.mark.parametrize('kind', ['CUSTOM', 'DEFAULT'])
def test_simulated_agent_stands_for_any_executor(kind):
    bench = Bench(simulated_seconds=7.0)
    info = {'type': kind, 'executor_id': {'value': 'e'}, 'framework_id': {'value': FRAMEWORK}, 'resources': []}
    bench.run_group(info, command_task('t1'), command_task('t2'))
    assert bench.acknowledge_all() == [('t1', 'TASK_RUNNING'), ('t2', 'TASK_RUNNING')]
    kill(bench, 't1')
    assert bench.acknowledge_all() == [('t1', 'TASK_KILLED')]
    bench.hear('SHUTDOWN_EXECUTOR', framework_id=FRAMEWORK, executor_id='e')
    assert [(message['type'], message.get('status') if message['type'] == 'EXITED_EXECUTOR' else
             message['status']['state']) for message in bench.told()] == [
        ('STATUS', 'TASK_KILLED'), ('EXITED_EXECUTOR', 0)]
    assert bench.take((Launch, Probe)) == []

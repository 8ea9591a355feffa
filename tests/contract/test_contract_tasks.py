"""What becomes of tasks and executors (PROTOCOL 5.4, 8.3), and the syntax of ids and roles (8.4)."""
from __future__ import absolute_import, division, print_function

import pytest
import raw
from actors import NO_FILTER, SMALL, amount, raw_executor_command, scalars

row = pytest.mark.row


def launch_command(cluster, command, framework=None, **fields):
    """(framework, offer, task) of a command task that has been launched."""
    framework = framework or cluster.framework()
    offer = framework.offer()
    task = framework.task(offer, command=command, **fields)
    framework.launch(offer, task)
    return framework, offer, task


def refusal(cluster, change=None, **fields):
    """The status that a launch gets which the master refuses; `change(task)` alters the TaskInfo."""
    framework = cluster.framework()
    offer = framework.offer()
    task = framework.task(offer, **fields)
    if change is not None:
        change(task)
    framework.launch(offer, task)
    status = framework.update(task)
    assert (status['state'], status['source'], status['reason']) == (
        'TASK_ERROR', 'SOURCE_MASTER', 'REASON_TASK_INVALID'), status
    assert 'uuid' not in status
    return status


# ---------------------------------------------------------------- launch

@row('8.3 launch')
def test_launched_task_is_staging_without_an_update(cluster):
    framework = cluster.framework()
    executor = framework.run()
    framework.fence()
    assert framework.updates(executor.task) == []
    assert cluster.task(executor.task['task_id']['value'])['state'] == 'TASK_STAGING'


@row('8.3 launch')
def test_tasks_of_one_launch_are_judged_one_by_one(cluster):
    framework = cluster.framework()
    offer = framework.offer()
    good, bad = framework.task(offer, command='exit 0'), framework.task(offer)
    framework.launch(offer, bad, good)
    assert framework.update(bad)['state'] == 'TASK_ERROR'
    framework.expect(good, 'TASK_STARTING', 'TASK_RUNNING', 'TASK_FINISHED')


@row('8.3 launch')
def test_task_without_command_and_executor_is_an_error(cluster):
    assert refusal(cluster)['message'] == (
        'Task should have at least one (but not both) of CommandInfo or ExecutorInfo present')


@row('8.3 launch')
def test_task_for_another_agent_is_an_error(cluster):
    framework = cluster.framework()
    offer = framework.offer()
    task = framework.task(dict(offer, agent_id={'value': 'nope'}), command='exit 0')
    framework.launch(offer, task)
    assert framework.update(task)['message'] == (
        'Task uses invalid agent nope while agent %s is expected' % offer['agent_id']['value'])


@row('8.3 launch')
def test_task_that_wants_more_than_is_offered_is_an_error(cluster):
    status = refusal(cluster, command='exit 0', resources=scalars({'cpus': 100, 'mem': 32}))
    assert status['message'].startswith(
        'Total resources cpus(allocated: *):100; mem(allocated: *):32 required by task and its executor is more than '
        'available ports(allocated: *):[')


@row('8.3 launch')
def test_task_id_that_is_in_use_is_an_error(cluster):
    framework = cluster.framework()
    executor = framework.run_ready()
    task_id = executor.task['task_id']['value']
    offer = framework.offer()
    framework.launch(offer, framework.task(offer, command='exit 0', task_id=task_id))
    status = framework.update(task_id, 'TASK_ERROR')
    assert status['message'] == 'Task has duplicate ID: ' + task_id


@row('8.4 ids')
def test_task_id_is_free_again_once_its_end_is_acknowledged(cluster):
    framework, _offer, task = launch_command(cluster, 'exit 0')
    framework.expect(task, 'TASK_STARTING', 'TASK_RUNNING', 'TASK_FINISHED')
    raw.wait_until(lambda: cluster.task(task['task_id']['value']) is None, 'the task to be forgotten')
    offer = framework.offer()
    again = framework.task(offer, command='exit 3', task_id=task['task_id']['value'])
    framework.launch(offer, again)
    framework.expect(again, 'TASK_STARTING', 'TASK_RUNNING', 'TASK_FAILED')


INVALID = [
    ('no resources', {'resources': []}), ('negative cpus', {'resources': scalars({'cpus': -1, 'mem': 32})}),
    ('negative grace', {'kill_policy': {'grace_period': {'nanoseconds': -1}}}),
    ('negative time to complete', {'max_completion_time': {'nanoseconds': -1}}),
    ('health check of no type', {'health_check': {'delay_seconds': 1.0}}),
    ('health check before time', {'health_check': {'type': 'COMMAND', 'command': {'value': 'x'},
                                                   'delay_seconds': -1.0}}),
    ('secret without a secret', {'command': {'value': 'exit 0', 'environment': {
        'variables': [{'name': 'A', 'type': 'SECRET', 'value': 'x'}]}}}),
    ('part of a gpu', {'resources': scalars({'cpus': 0.1, 'mem': 32, 'gpus': 0.5})}),
]


@row('8.3 launch')
@pytest.mark.parametrize('fields', [pytest.param(each[1], id=each[0]) for each in INVALID])
def test_task_that_is_not_as_it_must_be_is_an_error(cluster, fields):
    fields = dict(fields)
    command = fields.pop('command', 'exit 0')

    def change(task):
        task.update(fields)

    assert refusal(cluster, change, command=command)['message']


# ---------------------------------------------------------------- command tasks

@row('8.3 command task')
def test_command_task_that_exits_with_0_is_finished(cluster):
    framework, offer, task = launch_command(cluster, 'exit 0')
    status = framework.expect(task, 'TASK_STARTING', 'TASK_RUNNING', 'TASK_FINISHED')
    assert status['message'] == 'Command exited with status 0'
    assert (status['source'], status['executor_id']) == ('SOURCE_EXECUTOR', task['task_id'])
    assert status['container_status']['container_id']['value'] and status['container_status']['executor_pid']


@row('8.3 command task')
def test_command_task_that_exits_with_another_status_has_failed(cluster):
    framework, _offer, task = launch_command(cluster, 'exit 3')
    status = framework.expect(task, 'TASK_STARTING', 'TASK_RUNNING', 'TASK_FAILED')
    assert status['message'] == 'Command exited with status 3'


@row('8.3 command task')
def test_command_task_that_dies_of_a_signal_has_failed(cluster):
    framework, _offer, task = launch_command(cluster, 'kill -9 $$')
    status = framework.expect(task, 'TASK_STARTING', 'TASK_RUNNING', 'TASK_FAILED')
    assert status['message'] == 'Command terminated with signal Killed'


@row('8.3 command task', '8.3 kill grace')
def test_command_task_that_is_killed_is_killed(cluster):
    framework, _offer, task = launch_command(cluster, 'exec sleep 600')
    framework.expect(task, 'TASK_STARTING', 'TASK_RUNNING')
    framework.do('KILL', {'task_id': task['task_id']})
    status = framework.expect(task, 'TASK_KILLED')
    assert status['message'] == 'Command terminated with signal Terminated'
    assert [each['state'] for each in framework.updates(task)] == ['TASK_STARTING', 'TASK_RUNNING', 'TASK_KILLED']


@row('8.3 command task')
def test_killing_is_told_to_who_understands_it(cluster):
    framework = cluster.framework(capabilities=['TASK_KILLING_STATE'])
    _framework, _offer, task = launch_command(cluster, 'exec sleep 600', framework)
    framework.expect(task, 'TASK_STARTING', 'TASK_RUNNING')
    framework.do('KILL', {'task_id': task['task_id']})
    framework.expect(task, 'TASK_KILLING', 'TASK_KILLED')


@row('8.3 kill grace')
def test_deaf_command_task_is_killed_behind_its_grace(cluster):
    policy = {'grace_period': {'nanoseconds': 3 * 10 ** 8}}
    framework, offer, task = launch_command(cluster, "trap '' TERM; touch deaf; while :; do sleep 0.1; done",
                                            kill_policy=policy)
    framework.expect(task, 'TASK_STARTING', 'TASK_RUNNING')
    path = '/frameworks/%s/executors/%s/runs/latest/deaf' % (framework.id, task['task_id']['value'])
    address = cluster.address_of(offer['agent_id']['value'])
    raw.wait_until(lambda: cluster.operator('READ_FILE', {'path': path, 'offset': 0}, address).status == 200,
                   'the task to be deaf')
    framework.do('KILL', {'task_id': task['task_id']})
    status = framework.expect(task, 'TASK_KILLED')
    assert status['message'] == 'Command terminated with signal Killed'


@row('8.3 command task')
def test_command_without_a_shell_gets_its_arguments(cluster):
    command = {'shell': False, 'value': '/bin/sh', 'arguments': ['sh', '-c', 'test "$0" = sh && exit 4']}
    framework, _offer, task = launch_command(cluster, command)
    status = framework.expect(task, 'TASK_STARTING', 'TASK_RUNNING', 'TASK_FAILED')
    assert status['message'] == 'Command exited with status 4'


@row('8.3 command task')
def test_command_sees_its_environment(cluster):
    command = {'value': 'test "$FOO" = bar && test "$MESOS_FRAMEWORK_ID" && test "$PWD" = "$MESOS_SANDBOX"',
               'environment': {'variables': [{'name': 'FOO', 'value': 'bar'}]}}
    framework, _offer, task = launch_command(cluster, command)
    framework.expect(task, 'TASK_STARTING', 'TASK_RUNNING', 'TASK_FINISHED')


@row('8.3 command task')
def test_command_finds_its_files(cluster, tmpdir):
    plain = tmpdir.join('plain.txt')
    plain.write('something')
    tmpdir.chmod(0o755)
    command = {'value': 'grep -q something plain.txt && grep -q something other && grep -q something third',
               'uris': [{'value': str(plain)}, {'value': 'file://%s' % plain, 'output_file': 'other'},
                        {'value': str(plain), 'executable': True, 'output_file': 'third'}]}
    framework, _offer, task = launch_command(cluster, command)
    framework.expect(task, 'TASK_STARTING', 'TASK_RUNNING', 'TASK_FINISHED')


@row('8.3 command task')
def test_command_task_whose_file_is_not_there_has_failed(cluster):
    framework, _offer, task = launch_command(cluster, {'value': 'exit 0', 'uris': [{'value': '/no/such/file'}]})
    status = framework.expect(task, 'TASK_FAILED')
    assert (status['source'], status['reason']) == ('SOURCE_AGENT', 'REASON_CONTAINER_LAUNCH_FAILED')
    assert 'Failed to fetch all URIs' in status['message']


@row('8.3 command task')
def test_command_task_is_neither_an_executor_of_offers_nor_a_failure(cluster):
    framework, offer, task = launch_command(cluster, 'exec sleep 600')
    framework.expect(task, 'TASK_STARTING', 'TASK_RUNNING')
    rest = framework.offer(agent_id=offer['agent_id']['value'])
    assert 'executor_ids' not in rest
    assert amount(rest['resources'], 'cpus') == 3.9
    framework.do('KILL', {'task_id': task['task_id']})
    framework.expect(task, 'TASK_KILLED')
    framework.offer(agent_id=offer['agent_id']['value'])
    framework.fence()
    assert 'FAILURE' not in framework.stream.kinds()


# ---------------------------------------------------------------- custom executors

@row('8.3 executor start')
def test_executor_with_the_same_id_and_info_is_used_again(cluster):
    framework = cluster.framework()
    executor = framework.run_ready()
    offer = framework.offer(agent_id=executor.agent_id)
    second = framework.task(offer, executor=executor.info)
    framework.launch(offer, second)
    task = executor.take(second)
    assert task['executor']['executor_id'] == {'value': executor.id}
    rest = framework.offer(agent_id=executor.agent_id)
    assert amount(offer['resources'], 'cpus') - amount(rest['resources'], 'cpus') == pytest.approx(0.1)


@row('8.3 executor start')
def test_executor_with_the_same_id_and_another_info_is_an_error(cluster):
    framework = cluster.framework()
    executor = framework.run_ready()
    offer = framework.offer(agent_id=executor.agent_id)
    task = framework.task(offer, executor=dict(executor.info, name='another'))
    framework.launch(offer, task)
    status = framework.update(task)
    assert (status['state'], status['reason']) == ('TASK_ERROR', 'REASON_TASK_INVALID')
    assert 'ExecutorInfo is not compatible' in status['message']


@row('8.3 executor start')
def test_executor_without_tasks_stays_and_is_named_in_offers(cluster):
    framework = cluster.framework()
    executor = framework.run_ready()
    executor.update(executor.task, 'TASK_FINISHED')
    framework.expect(executor.task, 'TASK_FINISHED')
    offers = [framework.offer(agent_id=executor.agent_id)]
    while sum(amount(offer['resources'], 'cpus') for offer in offers) < 3.9:
        offers.append(framework.offer(agent_id=executor.agent_id))
    assert sum(amount(offer['resources'], 'cpus') for offer in offers) == 3.9
    assert all(offer['executor_ids'] == [{'value': executor.id}] for offer in offers)


@row('8.3 executor start')
def test_several_tasks_share_one_executor(cluster):
    framework = cluster.framework()
    executor = framework.run_ready(tasks=3)
    assert len(executor.stream.of('LAUNCH')) == 3
    offer = framework.offer(agent_id=executor.agent_id)
    assert amount(offer['resources'], 'cpus') == 3.6


@row('8.3 executor exit', '2.2 FAILURE')
def test_exit_of_an_executor_fails_its_tasks(cluster):
    framework = cluster.framework()
    offer = framework.offer()
    info = framework.executor_info(command=raw_executor_command())
    task = framework.task(offer, executor=info, data=raw.encode('crash'))
    framework.launch(offer, task)
    framework.expect(task, 'TASK_STARTING', 'TASK_RUNNING')
    failure = framework.stream.wait('FAILURE')
    assert failure == {'agent_id': offer['agent_id'], 'executor_id': info['executor_id'], 'status': 7 << 8}
    status = framework.expect(task, 'TASK_FAILED')
    assert (status['source'], status['reason']) == ('SOURCE_AGENT', 'REASON_EXECUTOR_TERMINATED')
    assert status['message'] == 'Executor terminated' and status['uuid']
    assert status['executor_id'] == info['executor_id']


@row('8.3 executor exit', '2.2 FAILURE')
def test_executor_that_dies_of_a_signal_tells_the_signal(cluster):
    framework = cluster.framework()
    offer = framework.offer()
    info = framework.executor_info(command=raw_executor_command())
    task = framework.task(offer, executor=info, data=raw.encode('selfkill'))
    framework.launch(offer, task)
    assert framework.stream.wait('FAILURE')['status'] == 9
    framework.expect(task, 'TASK_STARTING', 'TASK_RUNNING', 'TASK_FAILED')


@row('8.3 executor exit')
def test_tasks_that_wait_for_an_executor_fail_with_it(cluster):
    framework = cluster.framework()
    offer = framework.offer()
    info = framework.executor_info(command={'value': 'exit 5'})
    task = framework.task(offer, executor=info)
    framework.launch(offer, task)
    assert framework.stream.wait('FAILURE')['status'] == 5 << 8
    status = framework.expect(task, 'TASK_FAILED')
    assert (status['source'], status['reason']) == ('SOURCE_AGENT', 'REASON_EXECUTOR_TERMINATED')


@row('8.3 executor exit')
def test_executor_that_does_not_register_in_time_is_ended(own_cluster):
    cluster = own_cluster(agents=1, executor_registration_timeout=3)
    framework = cluster.framework()
    offer = framework.offer()
    task = framework.task(offer, executor=framework.executor_info())
    framework.launch(offer, task)
    status = framework.expect(task, 'TASK_FAILED')
    assert (status['source'], status['reason']) == ('SOURCE_AGENT', 'REASON_EXECUTOR_REGISTRATION_TIMEOUT')


@row('8.3 kill')
def test_task_that_is_killed_before_its_executor_is_there_is_killed(cluster):
    framework = cluster.framework()
    executor = framework.run()
    framework.do('KILL', {'task_id': executor.task['task_id']})
    status = framework.expect(executor.task, 'TASK_KILLED')
    assert (status['source'], status['reason']) == ('SOURCE_AGENT', 'REASON_TASK_KILLED_DURING_LAUNCH')


# ---------------------------------------------------------------- updates

@row('8.3 update')
def test_second_end_of_a_task_is_taken_and_not_told(cluster):
    framework = cluster.framework()
    executor = framework.run_ready()
    executor.update(executor.task, 'TASK_FINISHED')
    second = executor.update(executor.task, 'TASK_FAILED')
    executor.acknowledged(second)
    framework.expect(executor.task, 'TASK_FINISHED')
    framework.fence()
    assert [each['state'] for each in framework.updates(executor.task)] == ['TASK_RUNNING', 'TASK_FINISHED']


@row('8.3 update')
def test_same_state_is_told_again(cluster):
    framework = cluster.framework()
    executor = framework.run_ready()
    for healthy in (True, False):
        executor.update(executor.task, 'TASK_RUNNING', healthy=healthy)
        status = framework.update(executor.task, 'TASK_RUNNING')
        assert status['healthy'] is healthy
        framework.acknowledge(status)


@row('8.3 update')
def test_update_of_a_task_that_the_executor_was_not_given_is_told_all_the_same(cluster):
    framework = cluster.framework()
    executor = framework.run_ready()
    executor.update({'task_id': {'value': 'foreign'}}, 'TASK_FINISHED')
    status = framework.update('foreign')
    assert (status['state'], status['source']) == ('TASK_FINISHED', 'SOURCE_EXECUTOR')
    framework.acknowledge(status)


@row('8.3 update')
def test_update_brings_all_that_the_executor_wrote(cluster):
    framework = cluster.framework()
    executor = framework.run_ready()
    more = {'message': 'm', 'data': raw.encode('d'), 'labels': {'labels': [{'key': 'k', 'value': 'v'}]},
            'reason': 'REASON_TASK_HEALTH_CHECK_STATUS_UPDATED', 'healthy': True, 'timestamp': 12.5,
            'check_status': {'type': 'COMMAND', 'command': {'exit_code': 3}}}
    sent = executor.update(executor.task, 'TASK_RUNNING', **more)
    status = framework.update(executor.task)
    assert {key: status[key] for key in sent} == sent
    assert status['agent_id'] == {'value': executor.agent_id}
    assert status['container_status']['network_infos'] == [
        {'ip_addresses': [{'protocol': 'IPv4', 'ip_address': '127.0.0.1'}]}]


@row('8.3 update order')
def test_updates_of_a_task_come_in_their_order(cluster):
    framework = cluster.framework()
    executor = framework.run_ready()
    sent = [executor.update(executor.task, 'TASK_RUNNING', message=str(n))['message'] for n in range(20)]
    came = []
    for _ in sent:
        status = framework.update(executor.task)
        framework.acknowledge(status)
        came.append(status['message'])
    assert came == sent


@row('8.3 update')
@pytest.mark.slow
def test_update_that_is_not_acknowledged_comes_again(cluster):
    framework = cluster.framework()
    executor = framework.run_ready()
    sent = executor.update(executor.task, 'TASK_RUNNING', message='again')
    first = framework.update(executor.task)
    again = framework.update(executor.task)
    assert first == again and again['uuid'] == sent['uuid']


@row('8.3 messages')
def test_message_of_a_framework_that_is_away_is_dropped(cluster):
    framework = cluster.framework(failover_timeout=3600.0)
    executor = framework.run_ready()
    framework.disconnect()
    executor.message('lost')
    executor.acknowledged(executor.update(executor.task, 'TASK_RUNNING', message='later'))
    framework.subscribe()
    framework.update(executor.task, condition=lambda status: status.get('message') == 'later')
    executor.message('found')
    assert framework.stream.wait('MESSAGE')['data'] == raw.encode('found')


@row('8.3 messages')
def test_message_before_the_executor_runs_is_dropped(cluster):
    framework = cluster.framework()
    executor = framework.run()
    ids = {'agent_id': {'value': executor.agent_id}, 'executor_id': {'value': executor.id}}
    framework.do('MESSAGE', dict(ids, data=raw.encode('early')))
    framework.fence()
    executor.subscribe()
    executor.take(executor.task)
    framework.do('MESSAGE', dict(ids, data=raw.encode('late')))
    assert executor.wait('MESSAGE') == {'data': raw.encode('late')}


# ---------------------------------------------------------------- groups

def launch_group(framework, offer, executor, *tasks):
    operation = {'type': 'LAUNCH_GROUP', 'launch_group': {'executor': executor, 'task_group': {'tasks': list(tasks)}}}
    framework.accept(offer, [operation], NO_FILTER)


def group_executor(framework, **fields):
    return framework.executor_info(framework_id={'value': framework.id},
                                   resources=scalars(dict(SMALL, disk=10)), **fields)


@row('8.3 launch', '3.2 LAUNCH_GROUP')
def test_group_reaches_its_executor_as_one(cluster):
    framework = cluster.framework()
    offer = framework.offer()
    info = group_executor(framework, command=raw_executor_command())
    tasks = [framework.task(offer, data=raw.encode('finish')) for _ in range(2)]
    launch_group(framework, offer, info, *tasks)
    for task in tasks:
        framework.expect(task, 'TASK_STARTING', 'TASK_RUNNING', 'TASK_FINISHED')


@row('8.3 launch')
def test_group_with_one_bad_task_is_refused_whole(cluster):
    framework = cluster.framework()
    offer = framework.offer()
    good = framework.task(offer)
    bad = framework.task(offer, resources=scalars({'cpus': 100, 'mem': 32}))
    launch_group(framework, offer, group_executor(framework), good, bad)
    for task in (good, bad):
        status = framework.update(task)
        assert (status['state'], status['reason']) == ('TASK_ERROR', 'REASON_TASK_GROUP_INVALID')


@row('8.3 default executor')
@pytest.mark.local_only('the stand-ins of the real one have no default executor')
def test_default_executor_runs_a_group_and_ends(cluster):
    framework = cluster.framework()
    offer = framework.offer()
    info = {'type': 'DEFAULT', 'executor_id': {'value': 'default'}, 'framework_id': {'value': framework.id},
            'resources': scalars(dict(SMALL, disk=10))}
    tasks = [framework.task(offer, command='exit 0') for _ in range(2)]
    launch_group(framework, offer, info, *tasks)
    for task in tasks:
        framework.expect(task, 'TASK_STARTING', 'TASK_RUNNING', 'TASK_FINISHED')
    assert framework.stream.wait('FAILURE')['executor_id'] == {'value': 'default'}


@row('8.3 default executor')
@pytest.mark.local_only('the stand-ins of the real one have no default executor')
def test_task_that_fails_takes_its_group_with_it(cluster):
    framework = cluster.framework()
    offer = framework.offer()
    info = {'type': 'DEFAULT', 'executor_id': {'value': 'default'}, 'framework_id': {'value': framework.id},
            'resources': scalars(dict(SMALL, disk=10))}
    longer, shorter = framework.task(offer, command='exec sleep 600'), framework.task(offer, command='exit 3')
    launch_group(framework, offer, info, longer, shorter)
    framework.expect(shorter, 'TASK_STARTING', 'TASK_RUNNING', 'TASK_FAILED')
    framework.expect(longer, 'TASK_STARTING', 'TASK_RUNNING', 'TASK_KILLED')


@row('8.3 command task')
@pytest.mark.local_only('the stand-ins of the real one make no health checks')
def test_health_of_a_command_task_is_told(cluster):
    check = {'type': 'COMMAND', 'command': {'value': 'exit 0'}, 'delay_seconds': 0.0, 'interval_seconds': 0.1}
    framework, _offer, task = launch_command(cluster, 'exec sleep 600', health_check=check)
    framework.expect(task, 'TASK_STARTING', 'TASK_RUNNING')
    status = framework.update(task, condition=lambda each: each.get('healthy') is True)
    assert status['reason'] == 'REASON_TASK_HEALTH_CHECK_STATUS_UPDATED'


@row('8.3 command task')
@pytest.mark.local_only('the stand-ins of the real one make no health checks')
def test_command_task_that_is_ill_too_often_is_killed(cluster):
    check = {'type': 'COMMAND', 'command': {'value': 'exit 1'}, 'delay_seconds': 0.0, 'interval_seconds': 0.1,
             'grace_period_seconds': 0.0, 'consecutive_failures': 2}
    framework, _offer, task = launch_command(cluster, 'exec sleep 600', health_check=check)
    framework.expect(task, 'TASK_STARTING', 'TASK_RUNNING')
    for _ in range(2):
        status = framework.update(task, 'TASK_RUNNING', lambda each: each.get('healthy') is False)
        framework.acknowledge(status)
    assert framework.expect(task, 'TASK_KILLED')['healthy'] is False


# ---------------------------------------------------------------- ids and roles

BAD_IDS = ['a/b', '.', '..', 'a\\b', 'a\nb', 'a\x7fb', 'x' * 256]
GOOD_IDS = ['a.b', '...', 'a b', u'\u00e4', 'x' * 200, 'a:b@c', '-']


@row('8.4 ids')
@pytest.mark.parametrize('task_id', BAD_IDS, ids=lambda text: repr(text[:5]))
def test_task_id_that_cannot_be_is_an_error(cluster, task_id):
    def change(task):
        task['task_id'] = {'value': task_id}

    assert refusal(cluster, change, command='exit 0')['message']


@row('8.4 ids')
@pytest.mark.parametrize('task_id', GOOD_IDS, ids=lambda text: repr(text[:5]))
def test_odd_task_id_is_taken(cluster, task_id):
    framework = cluster.framework()
    executor = framework.run_ready(task_id=task_id)
    assert executor.stream.of('LAUNCH')[0]['task']['task_id'] == {'value': task_id}


@row('8.4 ids')
@pytest.mark.parametrize('executor_id', ['a/b', '..', 'x' * 256], ids=lambda text: repr(text[:5]))
def test_executor_id_that_cannot_be_is_an_error(cluster, executor_id):
    framework = cluster.framework()
    offer = framework.offer()
    task = framework.task(offer, executor=framework.executor_info(executor_id))
    framework.launch(offer, task)
    assert framework.update(task)['state'] == 'TASK_ERROR'


@row('8.4 ids')
@pytest.mark.parametrize('framework_id', ['a/b', '.', '..', 'x' * 256], ids=lambda text: repr(text[:5]))
def test_framework_id_that_cannot_be_is_refused(cluster, framework_id):
    assert cluster.refused(id={'value': framework_id})


BAD_ROLES = ['/a', 'a/', 'a//b', '.', '..', 'a/../b', '-a', 'a b', 'a\tb', 'a/*', 'a\x7fb']
GOOD_ROLES = ['a', 'a/b/c', 'a.b', 'a-b', u'\u00e4', '...', '*']


@row('8.4 roles')
@pytest.mark.parametrize('role', BAD_ROLES, ids=repr)
def test_role_that_cannot_be_is_refused(cluster, role):
    assert cluster.refused(role=role).startswith("'FrameworkInfo.role' is not a valid role: ")


@row('8.4 roles')
@pytest.mark.parametrize('role', GOOD_ROLES, ids=repr)
def test_role_that_can_be_gets_offers(cluster, role):
    framework = cluster.framework(roles=[role], capabilities=['MULTI_ROLE'])
    assert framework.offer()['allocation_info'] == {'role': role}

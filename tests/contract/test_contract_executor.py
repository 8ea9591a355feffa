"""The executor API: calls, events, environment, and an agent that is started again (PROTOCOL 3)."""
from __future__ import absolute_import, division, print_function

import json

import pytest
import raw
from actors import Executor, raw_executor_command, unwrap

row = pytest.mark.row


def is_refused(reply, status, text):
    assert (reply.status, reply.text) == (status, text)
    return True


# ---------------------------------------------------------------- SUBSCRIBE

@row('3.1 SUBSCRIBE', '3.2 SUBSCRIBED')
def test_subscription_is_answered_with_a_stream(cluster):
    executor = cluster.framework().run()
    stream = executor.subscribe()
    assert (stream.head.status, stream.head.header('Content-Type')) == (200, 'application/json')
    assert stream.head.header('Transfer-Encoding') == 'chunked'
    assert stream.head.header('Mesos-Stream-Id') is None
    executor.take(executor.task)
    assert stream.kinds() == ['SUBSCRIBED', 'LAUNCH']


@row('3.2 SUBSCRIBED')
def test_subscribed_describes_executor_framework_and_agent(cluster):
    framework = cluster.framework(failover_timeout=12.5, capabilities=['TASK_KILLING_STATE'])
    executor = framework.run()
    executor.subscribe()
    subscribed = executor.wait('SUBSCRIBED')
    assert sorted(subscribed) == ['agent_info', 'container_id', 'executor_info', 'framework_info']
    assert subscribed['framework_info']['id'] == {'value': framework.id}
    assert subscribed['framework_info']['failover_timeout'] == 12.5
    assert subscribed['framework_info']['capabilities'] == [{'type': 'TASK_KILLING_STATE'}]
    info = subscribed['executor_info']
    assert (info['executor_id'], info['framework_id']) == ({'value': executor.id}, {'value': framework.id})
    assert info['command'] == {'shell': True, 'value': executor.info['command']['value']}
    assert [each['allocation_info'] for each in info['resources']] == [{'role': '*'}] * 2
    agent = subscribed['agent_info']
    assert agent['id'] == {'value': executor.agent_id}
    assert agent['port'] == int(executor.address.rpartition(':')[2])
    assert subscribed['container_id'] == executor.container()['container_id']


@row('3.1 SUBSCRIBE')
def test_subscription_anew_ends_the_stream_before_it(cluster):
    executor = cluster.framework().run_ready()
    first = executor.stream
    executor.subscribe(tasks=executor.tasks)
    first.wait_for_end()
    executor.wait('SUBSCRIBED')
    executor.message('from the second')
    assert executor.framework.stream.wait('MESSAGE')


@row('3.1 SUBSCRIBE')
def test_updates_that_were_not_acknowledged_are_replayed(cluster):
    framework = cluster.framework()
    executor = framework.run_ready()
    executor.stream.close()
    status = executor.status(executor.task, 'TASK_FINISHED', message='while away')
    executor.subscribe(updates=[{'status': status}])
    executor.acknowledged(status)
    came = framework.expect(executor.task, 'TASK_FINISHED')
    assert (came['message'], came['uuid']) == ('while away', status['uuid'])


@row('3.1 SUBSCRIBE')
@pytest.mark.parametrize('is_aware', [True, False], ids=['aware', 'unaware'])
def test_task_that_the_executor_does_not_remember_is_lost(cluster, is_aware):
    framework = cluster.framework(capabilities=['PARTITION_AWARE'] if is_aware else [])
    executor = framework.run()
    executor.subscribe()
    executor.take(executor.task)
    executor.subscribe()
    status = framework.expect(executor.task, 'TASK_DROPPED' if is_aware else 'TASK_LOST')
    assert (status['source'], status['reason']) == ('SOURCE_AGENT', 'REASON_AGENT_RESTARTED')


@row('3.1 SUBSCRIBE')
def test_task_that_the_executor_remembers_is_kept(cluster):
    framework = cluster.framework()
    executor = framework.run()
    executor.subscribe()
    task = executor.take(executor.task)
    executor.subscribe(tasks=[task])
    executor.wait('SUBSCRIBED')
    executor.update(executor.task, 'TASK_RUNNING')
    framework.expect(executor.task, 'TASK_RUNNING')
    assert [each['state'] for each in framework.updates(executor.task)] == ['TASK_RUNNING']


@row('3.1 SUBSCRIBE')
def test_lost_stream_changes_nothing(cluster):
    framework = cluster.framework()
    executor = framework.run_ready()
    executor.stream.close()
    executor.update(executor.task, 'TASK_RUNNING', message='still here')
    assert framework.update(executor.task)['message'] == 'still here'
    framework.fence()
    assert 'FAILURE' not in framework.stream.kinds()


@row('3.1 SUBSCRIBE')
@pytest.mark.parametrize('path', ['/slave(1)/api/v1/executor', '/slave%281%29/api/v1/executor'])
def test_executor_api_has_these_paths_too(cluster, path):
    executor = cluster.framework().run_ready()
    assert executor.call('MESSAGE', {'data': ''}, path=path).status == 202


# ---------------------------------------------------------------- UPDATE

@row('3.1 UPDATE', '3.2 ACKNOWLEDGED', '8.3 acknowledged')
def test_update_is_acknowledged_by_the_agent_and_told_to_the_scheduler(cluster):
    framework = cluster.framework()
    executor = framework.run()
    executor.subscribe()
    executor.take(executor.task)
    sent = executor.update(executor.task, 'TASK_RUNNING')
    assert executor.wait('ACKNOWLEDGED') == {'task_id': executor.task['task_id'], 'uuid': sent['uuid']}
    assert framework.update(executor.task)['uuid'] == sent['uuid']


BAD_UPDATES = [
    ('no uuid', {'uuid': None}, "Expecting 'uuid' to be present"),
    ('half a uuid', {'uuid': 'AAAA'}, 'Not a valid UUID'),
    ('no source', {'source': None}, None), ('source of a master', {'source': 'SOURCE_MASTER'}, None),
    ('staging', {'state': 'TASK_STAGING'}, None), ('other executor', {'executor_id': {'value': 'other'}}, None),
    ('check without a result', {'check_status': {'type': 'COMMAND'}}, None),
]


@row('3.1 UPDATE')
@pytest.mark.parametrize('fields, text', [pytest.param(*each[1:], id=each[0]) for each in BAD_UPDATES])
def test_update_that_is_not_as_it_must_be_is_refused(cluster, fields, text):
    executor = cluster.framework().run_ready()
    reply = executor.call('UPDATE', {'status': executor.status(executor.task, fields.get('state', 'TASK_RUNNING'),
                                                               **{key: value for key, value in fields.items()
                                                                  if key != 'state'})})
    assert reply.status == 400 and reply.text.startswith('Failed to validate Executor::Call: ')
    if text:
        assert reply.text == 'Failed to validate Executor::Call: ' + text


@row('3.1 UPDATE')
def test_update_with_a_state_that_is_none_is_refused(cluster):
    executor = cluster.framework().run_ready()
    reply = executor.call('UPDATE', {'status': executor.status(executor.task, 'TASK_WHAT')})
    assert is_refused(reply, 400, "Failed to convert JSON into Call protobuf: Failed to find enum for 'TASK_WHAT'")


@row('3.1 UPDATE')
def test_agent_and_time_of_an_update_are_filled_in(cluster):
    framework = cluster.framework()
    executor = framework.run_ready()
    executor.update(executor.task, 'TASK_RUNNING', executor_id=None)
    status = framework.update(executor.task)
    assert status['agent_id'] == {'value': executor.agent_id} and status['timestamp'] > 1e9
    assert 'executor_id' not in status


@row('3.1 UPDATE')
def test_update_for_another_agent_is_ignored(cluster):
    framework = cluster.framework()
    executor = framework.run_ready()
    executor.update(executor.task, 'TASK_RUNNING', agent_id={'value': 'other'})
    last = executor.update(executor.task, 'TASK_RUNNING', message='fence')
    executor.acknowledged(last)
    assert framework.update(executor.task)['message'] == 'fence'
    assert len(executor.stream.of('ACKNOWLEDGED')) == 2


# ---------------------------------------------------------------- MESSAGE, HEARTBEAT

@row('3.1 MESSAGE', '3.2 MESSAGE')
def test_bytes_of_messages_arrive_as_they_are(cluster):
    framework = cluster.framework()
    executor = framework.run_ready()
    everything = raw.base64.b64encode(bytes(bytearray(range(256)))).decode('ascii')
    assert executor.call('MESSAGE', {'data': everything}).status == 202
    assert framework.stream.wait('MESSAGE')['data'] == everything
    framework.do('MESSAGE', {'agent_id': {'value': executor.agent_id}, 'executor_id': {'value': executor.id},
                             'data': everything})
    assert executor.wait('MESSAGE') == {'data': everything}


@row('3.1 MESSAGE')
def test_message_without_its_field_is_refused(cluster):
    executor = cluster.framework().run_ready()
    assert is_refused(executor.call('MESSAGE'), 400,
                      "Failed to validate Executor::Call: Expecting 'message' to be present")


@row('3.1 HEARTBEAT')
def test_heartbeat_is_taken_from_whomever(cluster):
    call = {'type': 'HEARTBEAT', 'framework_id': {'value': 'unused'}, 'executor_id': {'value': 'unused'}}
    assert raw.post(cluster.agents[0].address, raw.EXECUTOR, call).status == 202


@row('3.1 HEARTBEAT', '3.1 UPDATE')
@pytest.mark.parametrize('missing', ['framework_id', 'executor_id'])
def test_both_ids_are_required_on_every_call(cluster, missing):
    call = {'type': 'HEARTBEAT', 'framework_id': {'value': 'x'}, 'executor_id': {'value': 'x'}}
    del call[missing]
    assert is_refused(raw.post(cluster.agents[0].address, raw.EXECUTOR, call), 400,
                      'Failed to convert JSON into Call protobuf: Missing required fields: ' + missing)


@row('3.2 HEARTBEAT')
@pytest.mark.local_only('the first comes behind 30 minutes, and no flag changes that')
def test_executor_gets_heartbeats(own_cluster):
    cluster = own_cluster(agents=1, executor_heartbeat_interval=0.2)
    executor = cluster.framework().run_ready()
    assert executor.wait('HEARTBEAT') == {'type': 'HEARTBEAT'}
    executor.wait('HEARTBEAT')


@row('3.2 HEARTBEAT')
def test_no_heartbeat_comes_with_the_subscription(cluster):
    executor = cluster.framework().run_ready()
    assert executor.stream.kinds()[:2] == ['SUBSCRIBED', 'LAUNCH'] and 'HEARTBEAT' not in executor.stream.kinds()


@row('3.2 ERROR')
def test_wrong_calls_bring_no_error_event(cluster):
    """The agent never sends ERROR: what it refuses it refuses in the answer."""
    executor = cluster.framework().run_ready()
    assert executor.call('UPDATE', {'status': {'task_id': {'value': 'x'}, 'state': 'TASK_RUNNING'}}).status == 400
    executor.acknowledged(executor.update(executor.task, 'TASK_RUNNING'))
    assert 'ERROR' not in executor.stream.kinds()


# ---------------------------------------------------------------- LAUNCH, KILL, SHUTDOWN

@row('3.2 LAUNCH')
def test_launch_brings_the_whole_task(cluster):
    framework = cluster.framework()
    more = {'data': raw.encode('d'), 'labels': {'labels': [{'key': 'k', 'value': 'v'}]},
            'kill_policy': {'grace_period': {'nanoseconds': 7}}, 'max_completion_time': {'nanoseconds': 10 ** 15},
            'discovery': {'visibility': 'CLUSTER', 'name': 'n',
                          'ports': {'ports': [{'number': 1, 'name': 'p', 'protocol': 'tcp'}]}}}
    executor = framework.run(**more)
    executor.subscribe()
    task = executor.take(executor.task)
    assert {key: task[key] for key in more} == more
    assert task['agent_id'] == {'value': executor.agent_id}
    assert task['executor']['framework_id'] == {'value': framework.id}
    assert task['resources'] == [
        {'name': 'cpus', 'type': 'SCALAR', 'scalar': {'value': 0.1}, 'allocation_info': {'role': '*'}},
        {'name': 'mem', 'type': 'SCALAR', 'scalar': {'value': 32.0}, 'allocation_info': {'role': '*'}}]


@row('3.2 LAUNCH')
def test_queued_tasks_come_with_the_subscription_in_their_order(cluster):
    executor = cluster.framework().run(tasks=4)
    executor.subscribe()
    came = [executor.wait('LAUNCH')['task']['task_id'] for _ in executor.tasks]
    assert came == [task['task_id'] for task in executor.tasks]


@row('3.2 LAUNCH_GROUP')
def test_group_comes_as_one_event(cluster):
    framework = cluster.framework()
    offer = framework.offer()
    info = framework.executor_info(framework_id={'value': framework.id})
    info['resources'] = info['resources'] + [{'name': 'disk', 'type': 'SCALAR', 'scalar': {'value': 10}}]
    tasks = [framework.task(offer) for _ in range(2)]
    framework.accept(offer, [{'type': 'LAUNCH_GROUP', 'launch_group': {
        'executor': info, 'task_group': {'tasks': tasks}}}])
    executor = Executor(framework, offer['agent_id']['value'], info, tasks)
    raw.wait_until(executor.is_ready, 'the executor to start')
    executor.subscribe()
    group = executor.wait('LAUNCH_GROUP')['task_group']['tasks']
    assert [task['task_id'] for task in group] == [task['task_id'] for task in tasks]
    assert all(task['executor']['executor_id'] == {'value': executor.id} for task in group)
    assert executor.stream.kinds() == ['SUBSCRIBED', 'LAUNCH_GROUP']


@row('3.2 KILL')
def test_kill_names_the_task_and_the_policy(cluster):
    executor = cluster.framework().run_ready()
    policy = {'grace_period': {'nanoseconds': 123456789}}
    executor.framework.do('KILL', {'task_id': executor.task['task_id'], 'kill_policy': policy})
    assert executor.wait('KILL') == {'task_id': executor.task['task_id'], 'kill_policy': policy}


@row('3.2 SHUTDOWN')
def test_shutdown_is_an_event_without_a_field(cluster):
    executor = cluster.framework().run_ready()
    executor.framework.teardown()
    assert executor.wait('SHUTDOWN') == {'type': 'SHUTDOWN'}


@row('3.2 SHUTDOWN')
def test_executor_whose_tasks_were_all_killed_is_shut_down_when_it_comes(cluster):
    framework = cluster.framework()
    executor = framework.run()
    framework.do('KILL', {'task_id': executor.task['task_id']})
    framework.expect(executor.task, 'TASK_KILLED')
    executor.subscribe()
    executor.wait('SHUTDOWN')
    assert executor.stream.kinds() == ['SHUTDOWN']


@row('3.2 SHUTDOWN')
def test_deaf_executor_is_killed_behind_its_grace(cluster):
    framework = cluster.framework()
    offer = framework.offer()
    info = framework.executor_info(command=raw_executor_command(),
                                   shutdown_grace_period={'nanoseconds': 3 * 10 ** 8})
    task = framework.task(offer, executor=info)
    framework.launch(offer, task)
    framework.expect(task, 'TASK_STARTING', 'TASK_RUNNING')
    framework.do('MESSAGE', {'agent_id': offer['agent_id'], 'executor_id': info['executor_id'],
                             'data': raw.encode(json.dumps({'do': 'ignore'}))})
    framework.do('SHUTDOWN', {'agent_id': offer['agent_id'], 'executor_id': info['executor_id']})
    assert framework.stream.wait('FAILURE')['status'] == 9
    framework.expect(task, 'TASK_FAILED')


# ---------------------------------------------------------------- the environment

@pytest.fixture(params=[False, True], ids=['plain', 'checkpoint'])
def environment(request, cluster):
    """(what an executor sees of its environment, offer, framework, ExecutorInfo)."""
    framework = cluster.framework(checkpoint=request.param)
    offer = framework.offer()
    info = framework.executor_info(command=raw_executor_command(OWN='mine', MESOS_EXECUTOR_ID='overridden'),
                                   shutdown_grace_period={'nanoseconds': 90 * 10 ** 9})
    info['command']['environment']['variables'].pop(0)
    task = framework.task(offer, executor=info)
    framework.launch(offer, task)
    framework.expect(task, 'TASK_STARTING', 'TASK_RUNNING')
    framework.do('MESSAGE', {'agent_id': offer['agent_id'], 'executor_id': info['executor_id'],
                             'data': raw.encode(json.dumps({'do': 'environment'}))})
    payload = framework.stream.wait('MESSAGE', lambda each: each['data'] != raw.encode('from the executor'))
    return unwrap(payload['data']), offer, framework, info


@row('3.2 SUBSCRIBED')
def test_executor_gets_the_environment_of_an_executor(cluster, environment):
    seen, offer, framework, info = environment
    environ = seen['environ']
    agent = [agent for agent in cluster.agents if agent.id == offer['agent_id']['value']][0]
    is_checkpointing = framework.info['checkpoint']
    directory = environ['MESOS_DIRECTORY']
    expected = {
        'MESOS_FRAMEWORK_ID': framework.id, 'MESOS_EXECUTOR_ID': info['executor_id']['value'],
        'MESOS_SLAVE_ID': agent.id, 'MESOS_SLAVE_PID': 'slave(1)@' + agent.address,
        'MESOS_AGENT_ENDPOINT': agent.address, 'MESOS_SANDBOX': directory,
        'MESOS_CHECKPOINT': '1' if is_checkpointing else '0', 'MESOS_HTTP_COMMAND_EXECUTOR': '0',
        'MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD': '90secs', 'LIBPROCESS_PORT': '0', 'OWN': 'mine',
    }
    if is_checkpointing:
        expected.update(MESOS_RECOVERY_TIMEOUT='15mins', MESOS_SUBSCRIPTION_BACKOFF_MAX='2secs')
    assert {name: environ.get(name) for name in expected} == expected
    others = {name for name in environ if name.startswith('MESOS_')} - set(expected) - {'MESOS_DIRECTORY'}
    assert others <= {'MESOS_NATIVE_JAVA_LIBRARY', 'MESOS_NATIVE_LIBRARY'}
    assert seen['cwd'] == directory and directory.startswith(agent.work_dir)


@row('3.2 SUBSCRIBED')
def test_executor_inherits_nothing_but_what_it_is_given(own_cluster, monkeypatch):
    monkeypatch.setenv('PYMESOS_SHOULD_NOT_BE_SEEN', '1')
    cluster = own_cluster(agents=1, executor_env={'GIVEN': 'to all'})
    framework = cluster.framework()
    offer = framework.offer()
    task = framework.task(offer, command='env > seen')
    framework.launch(offer, task)
    framework.expect(task, 'TASK_STARTING', 'TASK_RUNNING', 'TASK_FINISHED')
    path = '/frameworks/%s/executors/%s/runs/latest/seen' % (framework.id, task['task_id']['value'])
    reply = cluster.operator('READ_FILE', {'path': path, 'offset': 0}, cluster.agents[0].address)
    lines = raw.decode(reply.json()['read_file']['data']).splitlines()
    assert 'GIVEN=to all' in lines
    assert not [line for line in lines if 'SHOULD_NOT_BE_SEEN' in line]


# ---------------------------------------------------------------- an agent that is started again

@row('3.1 SUBSCRIBE', '3.2 SUBSCRIBED')
def test_executor_of_a_checkpointing_framework_outlives_its_agent(own_cluster):
    cluster = own_cluster(agents=1, executor_reregistration_timeout=8)
    framework = cluster.framework(checkpoint=True)
    executor = framework.run_ready()
    cluster.target.kill_agent(0)
    executor.stream.wait_for_end()
    late = executor.status(executor.task, 'TASK_RUNNING', message='late')
    cluster.target.start_agent(0, is_awaited=False)

    def is_let_in():
        try:
            executor.subscribe(updates=[{'status': late}])
        except (EnvironmentError, AssertionError):
            return False
        return executor.stream.head.status == 200

    raw.wait_until(is_let_in, 'the agent to take the executor back')
    executor.wait('SUBSCRIBED')
    executor.acknowledged(late)
    assert framework.update(executor.task, condition=lambda each: each.get('message') == 'late')


@row('8.3 executor exit')
@pytest.mark.parametrize('is_aware', [True, False], ids=['aware', 'unaware'])
def test_executor_that_does_not_come_back_in_time_is_gone(own_cluster, is_aware):
    cluster = own_cluster(agents=1, executor_reregistration_timeout=0.5)
    framework = cluster.framework(checkpoint=True, capabilities=['PARTITION_AWARE'] if is_aware else [])
    executor = framework.run_ready()
    cluster.target.kill_agent(0)
    cluster.target.start_agent(0)
    status = framework.expect(executor.task, 'TASK_GONE' if is_aware else 'TASK_LOST')
    assert (status['source'], status['reason']) == ('SOURCE_AGENT', 'REASON_EXECUTOR_REREGISTRATION_TIMEOUT')


@row('8.3 executor exit')
def test_tasks_of_a_framework_that_does_not_checkpoint_are_lost_with_the_agent(own_cluster):
    cluster = own_cluster(agents=1)
    framework = cluster.framework(capabilities=['PARTITION_AWARE'])
    executor = framework.run_ready()
    cluster.target.kill_agent(0)
    status = framework.update(executor.task)
    assert (status['state'], status['source'], status['reason']) == (
        'TASK_LOST', 'SOURCE_MASTER', 'REASON_AGENT_DISCONNECTED')
    assert status['message'] == 'Agent 127.0.0.1 disconnected' and 'uuid' not in status

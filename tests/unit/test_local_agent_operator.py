"""What the operator API of the embedded agent shows, v1 and older (PROTOCOL 4.3)."""
from __future__ import absolute_import, division, print_function

import pytest
from local_agent import AGENT, FRAMEWORK, OWN, RESOURCES, Bench, command_task, executor_info, framework_info, task_info

from pymesos.local.model.effects import Reply


def ask(bench, kind, **body):
    """The union field of the answer."""
    call = {'type': kind}
    if body:
        call[kind.lower()] = body
    reply = bench.model.operator_call(call)
    assert reply.status == 200, reply
    assert reply.body['type'] == kind
    return reply.body[kind.lower()]


def busy():
    """An agent with a running task, a queued one, one that is over, and a framework that is."""
    bench = Bench(attributes=[{'name': 'rack', 'type': 'TEXT', 'text': {'value': 'a'}},
                              {'name': 'level', 'type': 'SCALAR', 'scalar': {'value': 2.5}},
                              {'name': 'zone', 'type': 'RANGES', 'ranges': {'range': [{'begin': 1, 'end': 3}]}},
                              {'name': 'disks', 'type': 'SET', 'set': {'item': ['a', 'b']}}])
    bench.info = framework_info('M-0009', name='former')
    bench.model.on_exited(bench.command('old', value='exit 1'), 256)
    bench.acknowledge_all()
    bench.info = framework_info()
    bench.custom(tasks=('t1', 't2'))
    bench.take()
    for state in ('TASK_STARTING', 'TASK_RUNNING'):
        status = bench.update('t1', state, labels={'labels': [{'key': 'k', 'value': 'v'}]})
        bench.hear('ACK', framework_id=FRAMEWORK, task_id='t1', uuid=status['uuid'])
    bench.update('t2', 'TASK_FINISHED')
    bench.run(task_info('t3', labels={'labels': [{'key': 'a'}]}), executor_info('late'))
    return bench


def test_health_version_logging():
    bench = Bench()
    assert ask(bench, 'GET_HEALTH') == {'healthy': True}
    assert ask(bench, 'GET_VERSION')['version_info']['version'] == '1.11.0'
    assert ask(bench, 'GET_LOGGING_LEVEL') == {'level': 0}
    assert bench.model.operator_call({'type': 'SET_LOGGING_LEVEL', 'set_logging_level': {
        'level': 2, 'duration': {'nanoseconds': 10 ** 9}}}) == Reply(200)
    assert ask(bench, 'GET_LOGGING_LEVEL') == {'level': 2}


def test_tasks_by_what_became_of_them():
    bench = busy()
    found = ask(bench, 'GET_TASKS')
    assert dict((name, [task['task_id']['value'] for task in tasks]) for name, tasks in found.items()) == {
        'pending_tasks': [], 'queued_tasks': ['t3'], 'launched_tasks': ['t1'], 'terminated_tasks': ['t2'],
        'completed_tasks': ['old']}
    task, = found['launched_tasks']
    assert sorted(task) == sorted(['name', 'task_id', 'framework_id', 'executor_id', 'agent_id', 'state', 'resources',
                                   'statuses', 'status_update_state', 'status_update_uuid'])
    assert (task['name'], task['state'], task['status_update_state']) == ('task-t1', 'TASK_RUNNING', 'TASK_RUNNING')
    assert [status['state'] for status in task['statuses']] == ['TASK_STARTING', 'TASK_RUNNING']
    assert task['status_update_uuid'] == task['statuses'][1]['uuid']
    assert found['queued_tasks'][0]['labels'] == {'labels': [{'key': 'a'}]}
    assert 'statuses' not in found['queued_tasks'][0]
    assert 'executor_id' not in found['completed_tasks'][0]


def test_executors_and_frameworks():
    bench = busy()
    found = ask(bench, 'GET_EXECUTORS')
    assert [item['executor_info']['executor_id']['value'] for item in found['executors']] == ['e', 'late']
    assert [item['executor_info']['name'] for item in found['completed_executors']] == [
        "Command Executor (Task: old) (Command: sh -c 'exit 1')"]
    assert ask(bench, 'GET_FRAMEWORKS') == {
        'frameworks': [{'framework_info': framework_info()}],
        'completed_frameworks': [{'framework_info': framework_info('M-0009', name='former')}]}
    assert ask(bench, 'GET_STATE') == {'get_tasks': ask(bench, 'GET_TASKS'), 'get_executors': found,
                                       'get_frameworks': ask(bench, 'GET_FRAMEWORKS')}


def test_tasks_that_ran_when_their_framework_was_removed_are_shown_as_they_were():
    bench = Bench()
    container = bench.custom()
    bench.update('t')
    bench.hear('SHUTDOWN_FRAMEWORK', framework_id=FRAMEWORK)
    bench.model.on_exited(container, 0)
    found = ask(bench, 'GET_TASKS')
    assert [(task['task_id']['value'], task['state']) for task in found['terminated_tasks']] == [('t', 'TASK_RUNNING')]


def test_user_of_a_task_is_that_of_its_command():
    bench = Bench()
    bench.run(task_info('c', command={'value': 'id', 'user': 'nobody'}))
    bench.run(task_info('t'), executor_info(command={'value': 'x', 'user': 'daemon'}))
    assert [task['user'] for task in ask(bench, 'GET_TASKS')['queued_tasks']] == ['nobody', 'daemon']


def test_agent_shows_itself():
    bench = Bench()
    assert ask(bench, 'GET_AGENT') == {'agent_info': {
        'hostname': '127.0.0.1', 'port': 5051, 'resources': RESOURCES, 'id': {'value': AGENT}}}
    bench.command('c')
    bench.hear('DRAIN', config={'max_grace_period': {'nanoseconds': 5}, 'mark_gone': False})
    found = ask(bench, 'GET_AGENT')
    assert found['drain_config'] == {'max_grace_period': {'nanoseconds': 5}, 'mark_gone': False}
    assert found['estimated_drain_start_time'] == {'nanoseconds': 1700000000 * 10 ** 9}
    assert bench.model.legacy('/state').body['drain_config'] == found['drain_config']


def test_operations_that_are_not_acknowledged():
    bench = Bench()
    assert ask(bench, 'GET_OPERATIONS') == {}
    operation = {'type': 'RESERVE', 'id': {'value': 'r'}, 'reserve': {'resources': OWN}}
    bench.hear('APPLY', framework_id=FRAMEWORK, operation=operation, uuid='dXVpZA==', total=RESOURCES)
    shown, = ask(bench, 'GET_OPERATIONS')['operations']
    assert (shown['framework_id'], shown['agent_id'], shown['info'], shown['uuid']) == (
        {'value': FRAMEWORK}, {'value': AGENT}, operation, {'value': 'dXVpZA=='})
    assert shown['statuses'] == [shown['latest_status']]


def test_there_are_no_resource_providers():
    bench = Bench()
    assert ask(bench, 'GET_RESOURCE_PROVIDERS') == {}
    info = {'type': 'a.b', 'name': 'n'}
    text = ("Failed to validate resource provider config with type 'a.b' and name 'n': Unknown local resource provider "
            "type 'a.b'")
    for kind in ('ADD_RESOURCE_PROVIDER_CONFIG', 'UPDATE_RESOURCE_PROVIDER_CONFIG'):
        assert bench.model.operator_call({'type': kind, kind.lower(): {'info': info}}) == Reply(400, text)
    assert bench.model.operator_call({'type': 'REMOVE_RESOURCE_PROVIDER_CONFIG'}) == Reply(
        500, 'Missing required flag --resource_provider_config_dir')
    assert bench.model.operator_call({'type': 'MARK_RESOURCE_PROVIDER_GONE'}) == Reply(200)
    assert bench.model.operator_call({'type': 'PRUNE_IMAGES', 'prune_images': {}}) == Reply(200)


def test_metrics_count_what_happens():
    bench = busy()
    found = dict((item['name'], item['value']) for item in ask(bench, 'GET_METRICS')['metrics'])
    assert found == bench.model.legacy('/metrics/snapshot').body
    for name, value in {'registered': 1.0, 'frameworks_active': 1.0, 'executors_running': 1.0,
                        'executors_registering': 1.0, 'executors_terminated': 1.0, 'tasks_running': 1.0,
                        'tasks_finished': 1.0, 'tasks_failed': 1.0, 'tasks_staging': 1.0, 'cpus_total': 4.0,
                        'cpus_used': 0.4, 'cpus_percent': 0.1, 'mem_used': 128.0}.items():
        assert found['slave/' + name] == pytest.approx(value), name


def test_flags_are_text():
    bench = Bench(recovery_timeout=90.0)
    flags = dict((item['name'], item['value']) for item in ask(bench, 'GET_FLAGS')['flags'])
    assert flags == bench.model.legacy('/flags').body['flags']
    assert (flags['recovery_timeout'], flags['switch_user'], flags['executor_registration_timeout']) == (
        '90secs', 'true', '1mins')
    assert flags['resources'] == 'cpus:4;mem:4096;disk:10000;ports:[31000-31499]'
    assert flags['work_dir'] == '/srv'


def test_state_of_old():
    bench = busy()
    state = bench.model.legacy('/state').body
    assert (state['id'], state['pid'], state['hostname'], state['master_hostname']) == (
        AGENT, 'slave(1)@127.0.0.1:5051', '127.0.0.1', '127.0.0.1')
    assert state['attributes'] == {'rack': 'a', 'level': 2.5, 'zone': '[1-3]', 'disks': '{a, b}'}
    assert state['resources'] == {'cpus': 4.0, 'mem': 4096.0, 'disk': 10000.0, 'gpus': 0.0, 'ports': '[31000-31499]'}
    assert state['unreserved_resources_full'] == [dict(item, role='*') for item in RESOURCES]
    assert state['unreserved_resources_allocated'] == {'cpus': 0.4, 'mem': 128.0, 'disk': 0.0, 'gpus': 0.0}
    framework, = state['frameworks']
    assert sorted(framework) == ['checkpoint', 'completed_executors', 'executors', 'failover_timeout', 'hostname', 'id',
                                 'name', 'role', 'user']
    executor = framework['executors'][0]
    assert sorted(executor) == ['completed_tasks', 'container', 'directory', 'id', 'name', 'queued_tasks', 'resources',
                                'role', 'source', 'tasks', 'type']
    assert executor['resources'] == {'cpus': 0.2, 'mem': 64.0, 'disk': 0.0, 'gpus': 0.0}
    assert [(task['id'], task['state']) for task in executor['tasks']] == [('t1', 'TASK_RUNNING'),
                                                                           ('t2', 'TASK_FINISHED')]
    task = executor['tasks'][0]
    assert sorted(task) == ['executor_id', 'framework_id', 'id', 'name', 'resources', 'role', 'slave_id', 'state',
                            'statuses']
    status = task['statuses'][1]
    assert sorted(status) == ['container_status', 'labels', 'state', 'timestamp']
    assert sorted(status['container_status']) == ['container_id', 'network_infos']
    assert status['labels'] == [{'key': 'k', 'value': 'v'}]
    assert [task['id'] for task in framework['executors'][1]['queued_tasks']] == ['t3']
    former, = state['completed_frameworks']
    old, = former['completed_executors']
    assert [(task['id'], task['executor_id'], task['state']) for task in old['completed_tasks']] == [
        ('old', '', 'TASK_FAILED')]


def test_reserved_resources_are_shown_by_role():
    bench = Bench()
    reserved = dict(RESOURCES[0], scalar={'value': 1.0}, reservations=[
        {'type': 'DYNAMIC', 'role': 'eng', 'principal': 'p'}])
    bench.hear('APPLY', framework_id=None, operation={'type': 'RESERVE'}, uuid='dXVpZA==',
               total=[dict(RESOURCES[0], scalar={'value': 3.0}), reserved] + RESOURCES[1:])
    state = bench.model.legacy('/state').body
    assert state['reserved_resources'] == {'eng': {'cpus': 1.0, 'mem': 0.0, 'disk': 0.0, 'gpus': 0.0}}
    full, = state['reserved_resources_full']['eng']
    assert (full['role'], full['reservation'], full['reservations']) == (
        'eng', {'principal': 'p'}, reserved['reservations'])
    assert state['unreserved_resources']['cpus'] == 3.0


def test_containers_of_old():
    bench = Bench()
    container = bench.custom()
    statistics = {'timestamp': bench.world.time(), 'cpus_user_time_secs': 0.0, 'cpus_system_time_secs': 0.0,
                  'cpus_soft_limit': 0.2, 'mem_limit_bytes': 67108864, 'mem_soft_limit_bytes': 67108864,
                  'mem_rss_bytes': 0}
    item = {'executor_id': 'e', 'executor_name': 'raw', 'framework_id': FRAMEWORK, 'source': 'src',
            'statistics': statistics}
    assert bench.model.legacy('/monitor/statistics') == Reply(200, [item])
    assert bench.model.legacy('/containers') == Reply(200, [dict(
        item, container_id=container, status={'container_id': {'value': container}, 'executor_pid': 4711})])
    assert bench.model.legacy('/containerizer/debug').body == {'pending': []}
    assert bench.model.legacy('/nope') is None


def test_simulated_tasks_are_shown():
    bench = Bench(simulated_seconds=5.0)
    bench.run(command_task('c'))
    assert [task['state'] for task in ask(bench, 'GET_TASKS')['launched_tasks']] == ['TASK_RUNNING']

"""The operator APIs of master and agent, their stream of events, and the endpoints of old (PROTOCOL 4, 6)."""
from __future__ import absolute_import, division, print_function

import time

import pytest
import raw
from actors import scalars

row = pytest.mark.row

LOCALHOST = {'hostname': '127.0.0.1', 'ip': '127.0.0.1'}


# ---------------------------------------------------------------- what there is

@pytest.mark.parametrize('kind', ['GET_HEALTH', 'GET_FLAGS', 'GET_VERSION', 'GET_LOGGING_LEVEL', 'GET_STATE',
                                  'GET_AGENTS', 'GET_FRAMEWORKS', 'GET_EXECUTORS', 'GET_OPERATIONS', 'GET_TASKS',
                                  'GET_ROLES', 'GET_WEIGHTS', 'GET_MASTER', 'GET_QUOTA', 'GET_MAINTENANCE_STATUS',
                                  'GET_MAINTENANCE_SCHEDULE'])
def test_master_answers_with_the_type_of_the_call(cluster, kind):
    reply = cluster.operator(kind)
    assert (reply.status, reply.json()['type']) == (200, kind)


@pytest.mark.parametrize('kind', ['GET_HEALTH', 'GET_FLAGS', 'GET_VERSION', 'GET_LOGGING_LEVEL', 'GET_STATE',
                                  'GET_AGENT', 'GET_FRAMEWORKS', 'GET_EXECUTORS', 'GET_OPERATIONS', 'GET_TASKS',
                                  'GET_CONTAINERS', 'GET_RESOURCE_PROVIDERS'])
def test_agent_answers_with_the_type_of_the_call(cluster, kind):
    reply = cluster.operator(kind, agent=cluster.agents[0].address)
    assert (reply.status, reply.json()['type']) == (200, kind)


@pytest.mark.parametrize('kind', ['GET_METRICS', 'SET_LOGGING_LEVEL', 'LIST_FILES', 'READ_FILE', 'UPDATE_WEIGHTS',
                                  'RESERVE_RESOURCES', 'UNRESERVE_RESOURCES', 'CREATE_VOLUMES', 'DESTROY_VOLUMES',
                                  'GROW_VOLUME', 'SHRINK_VOLUME', 'UPDATE_MAINTENANCE_SCHEDULE', 'START_MAINTENANCE',
                                  'STOP_MAINTENANCE', 'DRAIN_AGENT', 'DEACTIVATE_AGENT', 'REACTIVATE_AGENT',
                                  'UPDATE_QUOTA', 'SET_QUOTA', 'REMOVE_QUOTA', 'TEARDOWN', 'MARK_AGENT_GONE'])
@row('1.5 400')
def test_operator_call_without_its_field_is_refused(cluster, kind):
    reply = cluster.operator(kind)
    assert (reply.status, reply.text) == (
        400, "Failed to validate master::Call: Expecting '%s' to be present" % kind.lower())


@row('1.5 404')
def test_operator_call_about_what_is_not_there_is_refused(cluster):
    nope = {'value': 'nope'}
    for kind, body, status in (('TEARDOWN', {'framework_id': nope}, 400), ('MARK_AGENT_GONE', {'agent_id': nope}, 404),
                               ('DRAIN_AGENT', {'agent_id': nope}, 400), ('DEACTIVATE_AGENT', {'agent_id': nope}, 400),
                               ('REACTIVATE_AGENT', {'agent_id': nope}, 400)):
        assert cluster.operator(kind, body).status == status, kind


def test_state_of_the_master_shows_frameworks_tasks_executors_and_agents(cluster):
    framework = cluster.framework()
    executor = framework.run_ready()
    state = cluster.ask('GET_STATE')
    assert sorted(state) == ['get_agents', 'get_executors', 'get_frameworks', 'get_tasks']
    task = [each for each in state['get_tasks']['tasks'] if each['task_id'] == executor.task['task_id']][0]
    assert (task['state'], task['framework_id'], task['agent_id'], task['executor_id']) == (
        'TASK_RUNNING', {'value': framework.id}, {'value': executor.agent_id}, {'value': executor.id})
    assert [each['state'] for each in task['statuses']] == ['TASK_RUNNING']
    assert {'value': executor.id} in [
        each['executor_info']['executor_id'] for each in state['get_executors']['executors']]
    known = [each for each in state['get_frameworks']['frameworks']
             if each['framework_info']['id']['value'] == framework.id][0]
    assert (known['active'], known['connected'], known['recovered']) == (True, True, False)
    assert {each['agent_info']['id']['value'] for each in state['get_agents']['agents']} == {
        agent.id for agent in cluster.agents}


def test_agent_shows_its_executor_task_and_container(cluster):
    framework = cluster.framework()
    executor = framework.run_ready()
    tasks = cluster.ask('GET_TASKS', agent=executor.address)['launched_tasks']
    assert executor.task['task_id'] in [each['task_id'] for each in tasks]
    executors = cluster.ask('GET_EXECUTORS', agent=executor.address)['executors']
    assert {'value': executor.id} in [each['executor_info']['executor_id'] for each in executors]
    container = executor.container()
    assert container['executor_name'] == 'by hand'
    assert container['container_status']['executor_pid'] > 1


def test_offered_and_allocated_resources_are_shown(cluster):
    framework = cluster.framework()
    executor = framework.run_ready()
    agent = cluster.agent(executor.agent_id)
    allocated = {each['name']: each['scalar']['value'] for each in agent['allocated_resources'] if 'scalar' in each}
    assert (allocated['cpus'], allocated['mem']) == (0.2, 64.0)
    known = cluster.described(framework.id)
    assert {each['name'] for each in known['allocated_resources']} == {'cpus', 'mem'}


def test_agent_is_described(cluster):
    agent = cluster.agent(cluster.agents[0].id)
    assert agent['pid'] == 'slave(1)@' + cluster.agents[0].address
    assert (agent['active'], agent['deactivated'], agent['version']) == (True, False, '1.11.0')
    assert {'type': 'AGENT_DRAINING'} in agent['capabilities']
    own = cluster.ask('GET_AGENT', agent=cluster.agents[0].address)['agent_info']
    assert own['id'] == agent['agent_info']['id']


def test_operation_shows_up_in_metrics(cluster):
    names = {each['name'] for each in cluster.ask('GET_METRICS', {})['metrics']}
    assert {'master/elected', 'master/slaves_active', 'master/frameworks_active', 'master/tasks_running',
            'master/uptime_secs', 'allocator/mesos/allocation_runs'} <= names
    assert cluster.metric('master/slaves_active') == 2.0
    snapshot = cluster.get('/metrics/snapshot').json()
    assert snapshot['master/elected'] == 1.0


# ---------------------------------------------------------------- what is set

def test_weights_are_kept(cluster):
    before = cluster.ask('GET_WEIGHTS').get('weight_infos', [])
    weight = {'role': 'weighty-contract', 'weight': 2.5}
    assert cluster.operator('UPDATE_WEIGHTS', {'weight_infos': [weight]}).status == 200
    assert cluster.ask('GET_WEIGHTS')['weight_infos'] == before + [weight]
    for wrong in ({'role': 'a b', 'weight': 1.0}, {'role': 'a', 'weight': -1.0}):
        assert cluster.operator('UPDATE_WEIGHTS', {'weight_infos': [wrong]}).status == 400
    cluster.operator('UPDATE_WEIGHTS', {'weight_infos': [dict(weight, weight=1.0)]})


def test_quota_is_kept(cluster):
    config = {'role': 'quota-contract', 'limits': {'cpus': {'value': 3.0}}, 'guarantees': {'cpus': {'value': 1.0}}}
    assert cluster.operator('UPDATE_QUOTA', {'quota_configs': [config]}).status == 200
    assert config in cluster.ask('GET_QUOTA')['status']['configs']
    assert cluster.operator('UPDATE_QUOTA', {'quota_configs': [{'role': 'quota-contract'}]}).status == 200


@row('8.2 coarse-grained')
def test_limit_of_a_quota_is_kept_to(cluster):
    config = {'role': 'limit-contract', 'limits': {'cpus': {'value': 1.0}}}
    assert cluster.operator('UPDATE_QUOTA', {'quota_configs': [config]}).status == 200
    try:
        framework = cluster.framework(role='limit-contract')
        framework.offer()
        cluster.allocate(3)
        framework.fence()
        cpus = sum(each['scalar']['value'] for offer in framework.offers() for each in offer['resources']
                   if each['name'] == 'cpus')
        assert cpus == 1.0
    finally:
        cluster.operator('UPDATE_QUOTA', {'quota_configs': [{'role': 'limit-contract'}]})


def test_maintenance_goes_its_way(own_cluster):
    cluster = own_cluster(agents=1)
    window = {'machine_ids': [LOCALHOST], 'unavailability': {
        'start': {'nanoseconds': int(time.time() + 3600) * 10 ** 9}, 'duration': {'nanoseconds': 10 ** 12}}}
    machines = {'machines': [LOCALHOST]}
    assert cluster.operator('START_MAINTENANCE', machines).status == 400
    assert cluster.operator('UPDATE_MAINTENANCE_SCHEDULE', {'schedule': {'windows': [window]}}).status == 200
    assert cluster.ask('GET_MAINTENANCE_SCHEDULE')['schedule'] == {'windows': [window]}
    assert [each['id'] for each in cluster.ask('GET_MAINTENANCE_STATUS')['status']['draining_machines']] == [LOCALHOST]
    assert cluster.operator('STOP_MAINTENANCE', machines).status == 400
    assert cluster.operator('START_MAINTENANCE', machines).status == 200
    assert cluster.ask('GET_MAINTENANCE_STATUS')['status']['down_machines'] == [LOCALHOST]
    assert cluster.operator('STOP_MAINTENANCE', machines).status == 200
    assert cluster.ask('GET_MAINTENANCE_SCHEDULE')['schedule'] == {}


def test_deactivated_agent_is_not_offered_until_it_is_activated_again(cluster):
    body = {'agent_id': {'value': cluster.agents[1].id}}
    assert cluster.operator('DEACTIVATE_AGENT', body).status == 200
    try:
        assert cluster.agent(cluster.agents[1].id)['deactivated'] is True
        framework = cluster.framework()
        framework.offer()
        cluster.allocate()
        framework.fence()
        assert {offer['agent_id']['value'] for offer in framework.offers()} == {cluster.agents[0].id}
    finally:
        assert cluster.operator('REACTIVATE_AGENT', body).status == 200
    framework.offer(agent_id=cluster.agents[1].id)
    assert cluster.operator('REACTIVATE_AGENT', body).status == 400


# ---------------------------------------------------------------- the stream

def test_stream_of_the_operator_begins_with_the_state_and_a_heartbeat(cluster):
    framework = cluster.framework()
    stream = cluster.watch()
    subscribed = stream.wait('SUBSCRIBED')
    assert stream.kinds()[0] == 'SUBSCRIBED'
    stream.wait('HEARTBEAT', deadline=10)
    assert subscribed['heartbeat_interval_seconds'] == 15.0
    assert {'value': framework.id} in [
        each['framework_info']['id'] for each in subscribed['get_state']['get_frameworks']['frameworks']]
    assert stream.head.header('Mesos-Stream-Id') is None


def test_operator_sees_frameworks_come_change_and_go(cluster):
    stream = cluster.watch()
    stream.wait('SUBSCRIBED')
    framework = cluster.framework(failover_timeout=3600.0)

    def is_mine(payload):
        return payload['framework']['framework_info']['id'] == {'value': framework.id}

    stream.wait('FRAMEWORK_ADDED', is_mine)
    framework.do('UPDATE_FRAMEWORK', {'framework_info': dict(framework.info, id={'value': framework.id}, name='new')})
    assert stream.wait('FRAMEWORK_UPDATED', is_mine)['framework']['framework_info']['name'] == 'new'
    framework.teardown()
    removed = stream.wait('FRAMEWORK_REMOVED')
    assert removed['framework_info']['id'] == {'value': framework.id}


def test_operator_sees_tasks_come_and_change(cluster):
    stream = cluster.watch()
    stream.wait('SUBSCRIBED')
    framework = cluster.framework()
    executor = framework.run_ready()
    task_id = executor.task['task_id']
    added = stream.wait('TASK_ADDED', lambda payload: payload['task']['task_id'] == task_id)
    assert added['task']['state'] == 'TASK_STAGING'
    executor.update(executor.task, 'TASK_FINISHED')
    framework.expect(executor.task, 'TASK_FINISHED')
    for state in ('TASK_RUNNING', 'TASK_FINISHED'):
        updated = stream.wait('TASK_UPDATED', lambda payload: payload['status']['task_id'] == task_id)
        assert (updated['state'], updated['status']['state']) == (state, state)
        assert updated['framework_id'] == {'value': framework.id}


def test_operator_sees_agents_come_and_go(own_cluster):
    cluster = own_cluster(agents=1)
    stream = cluster.watch()
    stream.wait('SUBSCRIBED')
    old = cluster.agents[0].id
    cluster.target.kill_agent(0)
    cluster.target.wipe_agent(0)
    cluster.target.start_agent(0)
    assert stream.wait('AGENT_REMOVED') == {'agent_id': {'value': old}}
    added = stream.wait('AGENT_ADDED')['agent']
    assert added['agent_info']['id'] != {'value': old} and added['active'] is True


def test_oldest_watcher_goes_when_there_are_too_many(own_cluster):
    cluster = own_cluster(agents=1, max_operator_subscribers=2)
    first, second, third = cluster.watch(), cluster.watch(), cluster.watch()
    first.wait_for_end()
    for stream in (second, third):
        stream.wait('SUBSCRIBED')
    cluster.framework()
    for stream in (second, third):
        stream.wait('FRAMEWORK_ADDED')


# ---------------------------------------------------------------- files and containers

def test_sandbox_can_be_listed_and_read(cluster):
    framework = cluster.framework()
    executor = framework.run_ready()
    folder = '/frameworks/%s/executors/%s/runs/latest' % (framework.id, executor.id)
    files = cluster.ask('LIST_FILES', {'path': folder}, executor.address)['file_infos']
    assert {each['path'].rpartition('/')[2] for each in files} >= {'stdout', 'stderr'}
    body = {'path': folder + '/stdout', 'offset': 2, 'length': 3}
    assert cluster.ask('READ_FILE', body, executor.address) == {'size': 6, 'data': raw.encode('ady')}
    body['offset'] = 600
    assert cluster.ask('READ_FILE', body, executor.address) == {'size': 6, 'data': ''}


@row('1.5 404')
@pytest.mark.parametrize('path', ['/etc/passwd', '/frameworks/../../etc/passwd', '../../../../etc/passwd'])
def test_nothing_but_sandboxes_and_logs_can_be_read(cluster, path):
    reply = cluster.operator('READ_FILE', {'path': path, 'offset': 0}, cluster.agents[0].address)
    assert reply.status == 404 and reply.body == b''


def test_sandbox_cannot_be_left(cluster):
    framework = cluster.framework()
    executor = framework.run_ready()
    path = '/frameworks/%s/executors/%s/runs/latest/' % (framework.id, executor.id)
    reply = cluster.operator('READ_FILE', {'path': path + '../' * 30 + 'etc/passwd', 'offset': 0}, executor.address)
    assert reply.status >= 400


def nested(executor, name):
    return {'value': name, 'parent': executor.container()['container_id']}


@row('1.5 202')
def test_nested_container_is_launched_waited_for_and_removed(cluster):
    executor = cluster.framework().run_ready()
    container = nested(executor, 'nested')
    launch = {'container_id': container, 'command': {'value': 'exit 5'}}
    assert cluster.operator('LAUNCH_CONTAINER', launch, executor.address).status == 200
    waited = cluster.ask('WAIT_CONTAINER', {'container_id': container}, executor.address)
    assert waited['exit_status'] == 5 << 8
    assert cluster.operator('REMOVE_CONTAINER', {'container_id': container}, executor.address).status == 200


@row('1.5 202')
def test_nested_container_that_is_there_is_not_launched_again(cluster):
    executor = cluster.framework().run_ready()
    container = nested(executor, 'twice')
    launch = {'container_id': container, 'command': {'value': 'exec sleep 600'}}
    assert [cluster.operator('LAUNCH_CONTAINER', launch, executor.address).status for _ in range(2)] == [200, 202]
    assert cluster.operator('KILL_CONTAINER', {'container_id': container}, executor.address).status == 200
    waited = cluster.ask('WAIT_CONTAINER', {'container_id': container}, executor.address)
    assert waited['exit_status'] == 9


@pytest.mark.local_only('the real one has no I/O switchboard here')
def test_session_streams_its_output(cluster):
    executor = cluster.framework().run_ready()
    body = {'type': 'LAUNCH_NESTED_CONTAINER_SESSION', 'launch_nested_container_session': {
        'container_id': nested(executor, 'session'), 'command': {'value': 'echo out; echo err >&2'}}}
    headers = {'Accept': 'application/recordio', 'Message-Accept': 'application/json'}
    stream = raw.Stream(executor.address, raw.request(executor.address, raw.OPERATOR, body, headers))
    cluster.streams.append(stream)
    assert stream.head.header('Content-Type') == 'application/recordio'
    assert stream.head.header('Message-Content-Type') == 'application/json'
    data = [each['data'] for each in stream.wait_for_end() if each['type'] == 'DATA']
    texts = {kind: ''.join(raw.decode(each['data']) for each in data if each['type'] == kind)
             for kind in ('STDOUT', 'STDERR')}
    assert texts == {'STDOUT': 'out\n', 'STDERR': 'err\n'}


@row('1.5 409')
@pytest.mark.local_only('the real one has no I/O switchboard here')
def test_input_can_be_attached_to_a_session_once(cluster):
    executor = cluster.framework().run_ready()
    container = nested(executor, 'session')
    body = {'type': 'LAUNCH_NESTED_CONTAINER_SESSION', 'launch_nested_container_session': {
        'container_id': container, 'command': {'value': 'cat; echo end'}}}
    stream = raw.Stream(executor.address, raw.request(executor.address, raw.OPERATOR, body))
    cluster.streams.append(stream)
    first = open_input(cluster, executor, container)
    first.send(chunk(process_io({'type': 'DATA', 'data': {'type': 'STDIN', 'data': raw.encode('hello\n')}})))
    stream.wait('DATA', lambda data: raw.decode(data['data']).startswith('hello'))
    second = open_input(cluster, executor, container)
    assert second.reply().status == 409
    first.send(chunk(process_io({'type': 'DATA', 'data': {'type': 'STDIN', 'data': ''}})) + b'0\r\n\r\n')
    stream.wait('DATA', lambda data: 'end' in raw.decode(data['data']))
    assert first.reply().status == 200


@pytest.mark.local_only('the real one has no tty here')
def test_session_with_a_tty_has_one(cluster):
    executor = cluster.framework().run_ready()
    body = {'type': 'LAUNCH_NESTED_CONTAINER_SESSION', 'launch_nested_container_session': {
        'container_id': nested(executor, 'session'), 'command': {'value': 'test -t 0 && test -t 1 && stty size'},
        'container': {'type': 'MESOS', 'tty_info': {'window_size': {'rows': 12, 'columns': 34}}}}}
    stream = raw.Stream(executor.address, raw.request(executor.address, raw.OPERATOR, body))
    cluster.streams.append(stream)
    data = [each['data'] for each in stream.wait_for_end() if each['type'] == 'DATA']
    assert ''.join(raw.decode(each['data']) for each in data).split() == ['12', '34']
    assert {each['type'] for each in data} == {'STDOUT'}


def process_io(payload):
    return {'type': 'ATTACH_CONTAINER_INPUT', 'attach_container_input': {'type': 'PROCESS_IO', 'process_io': payload}}


def chunk(message):
    """One record in one chunk."""
    data = raw.json.dumps(message).encode('utf-8')
    record = str(len(data)).encode('ascii') + b'\n' + data
    return ('%x' % len(record)).encode('ascii') + b'\r\n' + record + b'\r\n'


def open_input(cluster, executor, container):
    """A connection on which an input is attached to a container."""
    head = raw.request(executor.address, raw.OPERATOR, b'', {
        'Content-Type': 'application/recordio', 'Message-Content-Type': 'application/json',
        'Transfer-Encoding': 'chunked'}).replace(b'Content-Length: 0\r\n', b'')
    connection = raw.Connection(executor.address)
    cluster.streams.append(connection)
    connection.send(head + chunk({'type': 'ATTACH_CONTAINER_INPUT', 'attach_container_input': {
        'type': 'CONTAINER_ID', 'container_id': container}}))
    return connection


# ---------------------------------------------------------------- endpoints of old

@pytest.mark.parametrize('path', ['/health', '/master/health'])
def test_health_is_empty(cluster, path):
    reply = cluster.get(path)
    assert (reply.status, reply.body) == (200, b'')


def test_version_is_told_by_both(cluster):
    for address in (cluster.master, cluster.agents[0].address):
        assert cluster.get('/version', address).json()['version'] == '1.11.0'


def test_state_endpoint_describes_the_master(cluster):
    framework = cluster.framework()
    state = cluster.get('/master/state').json()
    assert (state['pid'], state['leader']) == ('master@' + cluster.master,) * 2
    assert state['activated_slaves'] == 2.0
    assert {slave['id'] for slave in state['slaves']} == {agent.id for agent in cluster.agents}
    assert framework.id in [each['id'] for each in state['frameworks']]


@pytest.mark.parametrize('path, key', [('/slaves', 'slaves'), ('/frameworks', 'frameworks'), ('/tasks', 'tasks'),
                                       ('/roles', 'roles'), ('/state-summary', 'slaves'), ('/flags', 'flags')])
def test_other_endpoints_of_the_master_have_their_list(cluster, path, key):
    assert key in cluster.get(path).json()


def test_tasks_endpoint_has_a_limit(cluster):
    framework = cluster.framework()
    framework.run_ready(tasks=3)
    assert len(cluster.get('/tasks?limit=2').json()['tasks']) == 2


@pytest.mark.parametrize('path, key', [('/state', 'frameworks'), ('/slave(1)/state', 'frameworks'),
                                       ('/flags', 'flags')])
def test_endpoints_of_the_agent_have_their_list(cluster, path, key):
    assert key in cluster.get(path, cluster.agents[0].address).json()


def test_teardown_endpoint_removes_a_framework(cluster):
    framework = cluster.framework()
    data = ('frameworkId=' + framework.id).encode('ascii')
    reply = raw.post(cluster.master, '/master/teardown', data, {'Content-Type': 'application/x-www-form-urlencoded'})
    assert reply.status == 200
    framework.stream.wait_for_end()


def test_amounts_are_told_as_they_were_given(cluster):
    framework = cluster.framework()
    offer = framework.offer()
    task = framework.task(offer, command='exec sleep 600', resources=scalars({'cpus': 0.123456, 'mem': 32}))
    framework.launch(offer, task)
    framework.expect(task, 'TASK_STARTING', 'TASK_RUNNING')
    found = cluster.task(task['task_id']['value'])['resources']
    assert [each['scalar']['value'] for each in found] == [0.123456, 32.0]

"""The JSON endpoints of the embedded master that are older than its v1 API: fields and texts of a Mesos 1.11."""
from __future__ import absolute_import, division, print_function

import json

import pytest
from local_master import command_task, executor_info, executor_task, framework_info, resources, scalar
from local_operator import PORTS, Desk, dynamic, two_agents, volume

NOTHING = {'disk': 0.0, 'mem': 0.0, 'gpus': 0.0, 'cpus': 0.0}
ATTRIBUTES = [{'name': 'rack', 'type': 'TEXT', 'text': {'value': 'a'}},
              {'name': 'zone', 'type': 'SCALAR', 'scalar': {'value': 1.0}},
              {'name': 'range', 'type': 'RANGES', 'ranges': {'range': [{'begin': 1, 'end': 3}]}},
              {'name': 'set', 'type': 'SET', 'set': {'item': ['x', 'y']}}]


@pytest.fixture
def desk():
    return Desk()


@pytest.fixture
def agent(desk):
    return two_agents(desk)[0]


def busy(desk):
    """(agent, framework) with a task on a custom executor, a reservation, and an offer."""
    agent = desk.agent(5051, resources(4, 4096) + [scalar('disk', 10000), PORTS], attributes=ATTRIBUTES)
    framework = desk.framework(framework_info(
        roles=['eng'], capabilities=['MULTI_ROLE', 'RESERVATION_REFINEMENT'], principal='me', webui_url='http://w/',
        labels={'labels': [{'key': 'a', 'value': 'b'}]}))
    task = executor_task('t', agent.id, executor_info(name='n', labels={'labels': [{'key': 'x'}]}, command={
        'value': 'run', 'shell': True, 'arguments': ['a'], 'uris': [{'value': 'file:///x', 'extract': True}],
        'environment': {'variables': [{'name': 'A', 'type': 'VALUE', 'value': 'B'}]}}), labels={'labels': [
            {'key': 'k', 'value': 'v'}]}, limits={'mem': {'value': 'Infinity'}, 'cpus': {'value': 1.0}})
    framework.accept(
        [framework.last_offer()],
        {'type': 'RESERVE', 'reserve': {'resources': [scalar('cpus', 1, **dynamic('eng', principal='me'))]}},
        {'type': 'LAUNCH', 'launch': {'task_infos': [task]}})
    agent.update(framework, 't', 'TASK_RUNNING', executor_id='e', labels={'labels': [{'key': 's'}]}, healthy=True,
                 container_status={'container_id': {'value': 'c'}, 'network_infos': [], 'executor_pid': 4711})
    desk.wait(1)
    return agent, framework


def test_state_has_the_fields_of_mesos(desk):
    busy(desk)
    status, state = desk.browse('/state')
    assert status == 200
    assert sorted(state) == sorted([
        'version', 'git_sha', 'git_tag', 'build_date', 'build_time', 'build_user', 'start_time', 'elected_time', 'id',
        'pid', 'hostname', 'capabilities', 'activated_slaves', 'deactivated_slaves', 'unreachable_slaves', 'leader',
        'leader_info', 'flags', 'slaves', 'recovered_slaves', 'frameworks', 'completed_frameworks', 'orphan_tasks',
        'unregistered_frameworks'])
    assert state['capabilities'] == ['AGENT_UPDATE', 'AGENT_DRAINING', 'QUOTA_V2']
    assert (state['activated_slaves'], state['deactivated_slaves']) == (1.0, 0.0)
    assert state['leader_info'] == {'id': desk.model.id, 'pid': state['leader'], 'port': 5050,
                                    'hostname': '127.0.0.1'}


def test_state_names_cluster_and_domain():
    where = {'fault_domain': {'region': {'name': 'r'}, 'zone': {'name': 'z'}}}
    _, state = Desk(cluster='c', domain=where).browse('/state')
    assert (state['cluster'], state['domain']) == ('c', where)


def test_agent_has_the_fields_of_mesos(desk):
    agent, _framework = busy(desk)
    shown, = desk.browse('/state')[1]['slaves']
    assert sorted(shown) == sorted([
        'id', 'hostname', 'port', 'attributes', 'pid', 'registered_time', 'resources', 'used_resources',
        'offered_resources', 'reserved_resources', 'unreserved_resources', 'active', 'deactivated', 'version',
        'capabilities'])
    assert shown['attributes'] == {'rack': 'a', 'zone': 1.0, 'range': '[1-3]', 'set': '{x, y}'}
    assert shown['resources'] == {'cpus': 4.0, 'mem': 4096.0, 'disk': 10000.0, 'gpus': 0.0, 'ports': '[31000-31499]'}
    assert shown['used_resources'] == dict(NOTHING, cpus=0.2, mem=64.0)
    assert shown['offered_resources'] == {'cpus': 3.8, 'mem': 4032.0, 'disk': 10000.0, 'gpus': 0.0,
                                          'ports': '[31000-31499]'}
    assert shown['reserved_resources'] == {'eng': dict(NOTHING, cpus=1.0)}
    assert shown['unreserved_resources'] == dict(shown['resources'], cpus=3.0)
    assert shown['id'] == agent.id


def test_slaves_have_their_resources_in_full(desk):
    busy(desk)
    shown, = desk.browse('/slaves')[1]['slaves']
    reserved = scalar('cpus', 1, role='eng', reservation={'principal': 'me'}, **dynamic('eng', principal='me'))
    assert shown['reserved_resources_full'] == {'eng': [reserved]}
    assert scalar('cpus', 3, role='*') in shown['unreserved_resources_full']
    assert scalar('cpus', 0.2, role='*', allocation_info={'role': 'eng'}) in shown['used_resources_full']
    assert dict(reserved, allocation_info={'role': 'eng'}) in shown['offered_resources_full']


def test_slaves_can_be_asked_for_by_id(desk, agent):
    assert [shown['id'] for shown in desk.browse('/slaves', slave_id=agent.id)[1]['slaves']] == [agent.id]
    assert desk.browse('/slaves', slave_id='x') == (200, {'slaves': [], 'recovered_slaves': []})


def test_draining_agent_says_since_when(desk, agent):
    desk.ask('DRAIN_AGENT', agent_id={'value': agent.id})
    shown = desk.browse('/slaves', slave_id=agent.id)[1]['slaves'][0]
    assert (shown['active'], shown['deactivated']) == (False, True)
    assert shown['drain_info'] == {'state': 'DRAINED', 'config': {'mark_gone': False}}
    assert shown['estimated_drain_start_time_seconds'] == int(desk.world.time())


def test_recovered_agent_is_shown_in_short(desk):
    agent, _framework = busy(desk)
    desk.lead(desk.model.registry())
    assert desk.browse('/slaves')[1]['recovered_slaves'] == [{
        'id': agent.id, 'hostname': '127.0.0.1', 'port': 5051,
        'attributes': {'rack': 'a', 'zone': 1.0, 'range': '[1-3]', 'set': '{x, y}'}}]


def test_framework_has_the_fields_of_mesos(desk):
    agent, framework = busy(desk)
    shown, = desk.browse('/frameworks')[1]['frameworks']
    assert sorted(shown) == sorted([
        'id', 'name', 'used_resources', 'offered_resources', 'capabilities', 'hostname', 'webui_url', 'active',
        'connected', 'recovered', 'user', 'failover_timeout', 'checkpoint', 'registered_time', 'unregistered_time',
        'principal', 'resources', 'roles', 'tasks', 'unreachable_tasks', 'completed_tasks', 'offers', 'executors',
        'labels', 'offer_constraints'])
    assert shown['capabilities'] == ['MULTI_ROLE', 'RESERVATION_REFINEMENT']
    assert shown['resources']['cpus'] == 4.0
    assert (shown['unregistered_time'], shown['labels'], shown['offer_constraints']) == (
        0.0, [{'key': 'a', 'value': 'b'}], {})
    offer, = shown['offers']
    assert sorted(offer) == ['allocation_info', 'framework_id', 'id', 'resources', 'slave_id']
    executor, = shown['executors']
    assert executor == {
        'executor_id': 'e', 'name': 'n', 'framework_id': framework.id, 'role': 'eng', 'type': 'CUSTOM',
        'slave_id': agent.id, 'labels': [{'key': 'x'}], 'resources': dict(NOTHING, cpus=0.1, mem=32.0),
        'command': {'shell': True, 'value': 'run', 'argv': ['a'],
                    'uris': [{'value': 'file:///x', 'executable': False}],
                    'environment': {'variables': [{'name': 'A', 'type': 'VALUE', 'value': 'B'}]}}}


def test_framework_of_one_role_names_it(desk):
    desk.framework(framework_info(role='ops'))
    shown, = desk.browse('/frameworks')[1]['frameworks']
    assert shown['role'] == 'ops' and 'roles' not in shown


def test_framework_that_came_again_says_when(desk):
    framework = desk.framework(framework_info(failover_timeout=60.0))
    assert 'reregistered_time' not in desk.browse('/frameworks')[1]['frameworks'][0]
    desk.wait(3)
    desk.framework(framework.info)
    shown = desk.browse('/frameworks')[1]['frameworks'][0]
    assert shown['reregistered_time'] == shown['registered_time'] + 3


def test_frameworks_can_be_asked_for_by_id(desk):
    frameworks = [desk.framework() for _ in range(2)]
    frameworks[1].call('TEARDOWN')
    for wanted, counts in ((frameworks[0].id, (1, 0)), (frameworks[1].id, (0, 1)), ('x', (0, 0))):
        shown = desk.browse('/frameworks', framework_id=wanted)[1]
        assert (len(shown['frameworks']), len(shown['completed_frameworks'])) == counts
        assert shown['unregistered_frameworks'] == []


def test_task_has_the_fields_of_mesos(desk):
    agent, framework = busy(desk)
    status, = desk.model.frameworks[framework.id].tasks['t'].statuses
    assert desk.browse('/tasks')[1]['tasks'] == [{
        'id': 't', 'name': 't', 'framework_id': framework.id, 'executor_id': 'e', 'slave_id': agent.id,
        'state': 'TASK_RUNNING', 'resources': dict(NOTHING, cpus=0.1, mem=32.0), 'role': 'eng',
        'limits': {'mem': 'Infinity', 'cpus': 1.0}, 'labels': [{'key': 'k', 'value': 'v'}],
        'statuses': [{'state': 'TASK_RUNNING', 'timestamp': status['timestamp'], 'labels': [{'key': 's'}],
                      'healthy': True, 'container_status': {'container_id': {'value': 'c'}, 'network_infos': []}}]}]


@pytest.fixture
def three_tasks(desk):
    """Tasks a, b and c, of which b has no status yet."""
    agent, framework = desk.agent(), desk.framework()
    framework.launch(framework.last_offer(), *[command_task(name, agent.id) for name in 'abc'])
    for name in 'ac':
        agent.update(framework, name, 'TASK_RUNNING')
        desk.wait(1)
    return framework


@pytest.mark.parametrize('query, names', [
    ({}, 'cab'), ({'order': 'asc'}, 'bac'), ({'order': 'des'}, 'cab'), ({'order': 'foo'}, 'cab'), ({'limit': '1'}, 'c'),
    ({'limit': '0'}, ''), ({'limit': 'x'}, 'cab'), ({'limit': '-1'}, 'cab'), ({'offset': '1'}, 'ab'),
    ({'offset': '1', 'limit': '1'}, 'a'), ({'offset': '5'}, ''), ({'offset': '-1'}, ''), ({'task_id': 'b'}, 'b'),
    ({'framework_id': 'x'}, ''), ({'slave_id': 'x'}, 'cab')])
def test_tasks_can_be_ordered_cut_and_chosen(desk, three_tasks, query, names):
    assert [task['id'] for task in desk.browse('/tasks', **query)[1]['tasks']] == list(names)


def test_tasks_are_limited_to_100(desk):
    agent, framework = desk.agent(5051, resources(100, 100000)), desk.framework()
    framework.launch(framework.last_offer(), *[command_task('t%d' % number, agent.id) for number in range(101)])
    assert len(desk.browse('/tasks')[1]['tasks']) == 100
    assert len(desk.browse('/tasks', limit='200')[1]['tasks']) == 101


def test_summary_counts_tasks_of_agents_and_frameworks(desk):
    agent, framework = busy(desk)
    framework.launch(framework.offers()[-1], command_task('c', agent.id))
    framework.acknowledge(agent.update(framework, 'c', 'TASK_FINISHED'))
    summary = desk.browse('/state-summary')[1]
    assert sorted(summary) == ['frameworks', 'hostname', 'slaves']
    for shown, other in ((summary['slaves'][0], ('framework_ids', [framework.id])),
                         (summary['frameworks'][0], ('slave_ids', [agent.id]))):
        counts = dict((name, number) for name, number in shown.items() if name.startswith('TASK_') and number)
        assert counts == {'TASK_RUNNING': 1, 'TASK_FINISHED': 1}
        assert len([name for name in shown if name.startswith('TASK_')]) == 10
        assert shown[other[0]] == other[1]
    assert 'tasks' not in summary['frameworks'][0]


def test_roles_have_the_fields_of_mesos(desk):
    agent, framework = busy(desk)
    desk.ask('UPDATE_QUOTA', quota_configs=[{'role': 'eng', 'limits': {'mem': {'value': 9000}}}])
    assert desk.browse('/roles') == (200, {'roles': [{
        'name': 'eng', 'weight': 1.0, 'frameworks': [framework.id],
        'quota': {'role': 'eng', 'guarantee': {}, 'limit': {'mem': 9000.0}, 'consumed': {'cpus': 1.2, 'mem': 64.0}},
        'resources': {'cpus': 4.0, 'disk': 10000.0, 'mem': 4096.0, 'ports': 500.0},
        'allocated': {'cpus': 0.2, 'mem': 64.0},
        'offered': {'cpus': 3.8, 'disk': 10000.0, 'mem': 4032.0, 'ports': 500.0}, 'reserved': {'cpus': 1.0}}]})


def test_flags_and_metrics_are_plain_objects(desk):
    assert desk.browse('/flags')[1]['flags']['role_sorter'] == 'drf'
    assert desk.browse('/metrics/snapshot')[1]['master/elected'] == 1.0


@pytest.mark.parametrize('path', ['/state', '/state-summary', '/slaves', '/frameworks', '/tasks', '/roles', '/flags'])
def test_pages_do_not_ask_for_the_method(desk, path):
    assert desk.browse(path, 'PUT')[0] == 200


def test_there_are_no_other_endpoints(desk):
    assert desk.browse('/nope') == (404, None)


@pytest.mark.parametrize('path, method, allowed', [
    ('/weights', 'POST', 'GET, PUT'), ('/quota', 'PUT', 'GET, POST, DELETE'), ('/quota/x', 'PUT', 'GET, POST, DELETE'),
    ('/maintenance/schedule', 'PUT', 'GET, POST'), ('/maintenance/status', 'POST', 'GET'),
    ('/machine/up', 'GET', 'POST'), ('/machine/down', 'GET', 'POST'), ('/teardown', 'GET', 'POST'),
    ('/reserve', 'GET', 'POST'), ('/unreserve', 'GET', 'POST'), ('/create-volumes', 'GET', 'POST'),
    ('/destroy-volumes', 'GET', 'POST')])
def test_wrong_method_is_refused(desk, path, method, allowed):
    reply = desk.model.legacy(path, {}, None, method, b'')
    assert (reply.status, reply.headers) == (405, (('Allow', allowed),))
    assert reply.body == "405 Method Not Allowed. Expecting one of { %s }, but received '%s'." % (
        ', '.join("'%s'" % name for name in allowed.split(', ')), method)


# Weights and quotas.

@pytest.mark.parametrize('form, text', [
    (b'{}', "Failed to parse update weights request JSON '{}': Unexpected JSON type parsed"),
    (b'x', "Failed to parse update weights request JSON 'x': syntax error at line 1 near: x"),
    (b'[{"role": "ops", "weight": -1}]', "Failed to validate update weights request JSON for role 'ops': Invalid weight"
                                         " '-1': Weights must be positive"),
    (b'[{"role": "ops"}]', "Failed to convert weights JSON array to protobuf '[{\"role\": \"ops\"}]': Missing required "
                           "fields: weight"),
    (b'["a"]', "Failed to convert weights JSON array to protobuf '[\"a\"]': Expecting a JSON object"),
])
def test_weights_that_cannot_be_read_are_refused(desk, form, text):
    assert desk.browse('/weights', 'PUT', form) == (400, text)


def test_weights_are_set_and_shown(desk):
    assert desk.browse('/weights', 'PUT', [{'role': 'ops', 'weight': 1.5}]) == (200, None)
    assert desk.browse('/weights') == (200, [{'role': 'ops', 'weight': 1.5}])


@pytest.mark.parametrize('form, code, text', [
    (b'x', 400, "Failed to parse set quota request JSON 'x': syntax error at line 1 near: x"),
    (b'[]', 400, "Failed to parse set quota request JSON '[]': Unexpected JSON type parsed"),
    (b'{"role": "z", "guarantee": "x"}', 400, "Failed to validate set quota request JSON '{\"role\": \"z\", "
                                              "\"guarantee\": \"x\"}': Not expecting a JSON string for field "
                                              "'guarantee'"),
    (b'{"role": "z", "guarantee": [{"name": "cpus"}]}', 400,
     "Failed to validate set quota request JSON '{\"role\": \"z\", \"guarantee\": [{\"name\": \"cpus\"}]}': Missing "
     "required fields: guarantee[0].type"),
    (b'{"role": "u", "guarantee": [{"name": "cpus", "type": "SCALAR", "scalar": {"value": 1000.0}}]}', 409,
     "Quota guarantees overcommit the cluster (use 'force' to bypass this check): Total quota guarantees 'cpus:1000' "
     "exceed cluster capacity 'cpus:7; disk:15000; mem:6144'"),
])
def test_quota_that_cannot_be_is_refused(desk, agent, form, code, text):
    assert desk.browse('/quota', 'POST', form) == (code, text)


def test_quota_is_set_shown_and_removed(desk, agent):
    wanted = {'role': 't', 'guarantee': [scalar('cpus', 1)]}
    assert desk.browse('/quota', 'POST', wanted) == (200, None)
    assert desk.browse('/quota') == (200, {'infos': [wanted], 'configs': [
        {'role': 't', 'guarantees': {'cpus': {'value': 1.0}}, 'limits': {'cpus': {'value': 1.0}}}]})
    assert desk.browse('/quota/t', 'DELETE') == (200, None)
    assert desk.browse('/quota') == (200, {})


@pytest.mark.parametrize('path, text', [
    ('/quota/t', "Failed to remove quota for path '/master/quota/t': Role 't' has no quota set"),
    ('/quota/a/b', "Failed to remove quota for path '/master/quota/a/b': Role 'a/b' has no quota set"),
    ('/quota', "Failed to parse remove quota request for path '/master/quota': expected 3 tokens, found 2 tokens")])
def test_quota_that_is_not_there_cannot_be_removed(desk, path, text):
    assert desk.browse(path, 'DELETE') == (400, text)


# Maintenance.

@pytest.mark.parametrize('path, form, text', [
    ('/maintenance/schedule', b'x', 'syntax error at line 1 near: x'),
    ('/maintenance/schedule', b'[]', 'Unexpected JSON type parsed'),
    ('/maintenance/schedule', b'{"windows":[{}]}', 'Missing required fields: windows[0].unavailability'),
    ('/maintenance/schedule', b'{"windows":5}', "Not expecting a JSON number for field 'windows'"),
    ('/machine/down', b'{}', 'Unexpected JSON type parsed'),
    ('/machine/down', b'["a"]', 'Expecting a JSON object'),
    ('/machine/up', b'x', 'syntax error at line 1 near: x'),
    ('/machine/up', b'[{"hostname": "b"}]', "Machine '{\"hostname\":\"b\"}' is not part of a maintenance schedule"),
])
def test_maintenance_that_cannot_be_is_refused(desk, path, form, text):
    assert desk.browse(path, 'POST', form) == (400, text)


def test_maintenance_is_scheduled_begun_and_ended(desk):
    schedule = {'windows': [{'machine_ids': [{'hostname': 'b'}], 'unavailability': {'start': {'nanoseconds': 5}}}]}
    assert desk.browse('/maintenance/schedule', 'POST', schedule) == (200, None)
    assert desk.browse('/maintenance/schedule') == (200, schedule)
    assert desk.browse('/maintenance/status') == (200, {'draining_machines': [{'id': {'hostname': 'b'}}]})
    assert desk.browse('/machine/down', 'POST', [{'hostname': 'b'}]) == (200, None)
    assert desk.browse('/maintenance/status') == (200, {'down_machines': [{'hostname': 'b'}]})
    assert desk.browse('/machine/up', 'POST', [{'hostname': 'b'}]) == (200, None)
    assert desk.browse('/maintenance/schedule') == (200, {})


# Forms.

def test_teardown_takes_a_form(desk):
    framework = desk.framework()
    assert desk.browse('/teardown', 'POST') == (400, "Missing 'frameworkId' query parameter in the request body")
    assert desk.browse('/teardown', 'POST', {'frameworkId': 'nope'}) == (400, 'No framework found with specified ID')
    assert desk.browse('/teardown', 'POST', {'frameworkId': framework.id}) == (200, None)
    assert framework.id in desk.model.completed_frameworks


@pytest.mark.parametrize('path, field, complaint', [
    ('/reserve', 'resources', 'Error parsing'), ('/unreserve', 'resources', 'Error parsing'),
    ('/create-volumes', 'volumes', 'Error in parsing'), ('/destroy-volumes', 'volumes', 'Error in parsing')])
def test_forms_for_resources_are_checked(desk, agent, path, field, complaint):
    complaint += " '%s' query parameter in the request body: " % field
    for form, text in (
            ({}, "Missing 'slaveId' query parameter in the request body"),
            ({'slaveId': agent.id}, "Missing '%s' query parameter in the request body" % field),
            ({'slaveId': 'nope', field: '[]'}, 'No agent found with specified ID'),
            ({'slaveId': agent.id, field: 'x'}, complaint + 'syntax error at line 1 near: x'),
            ({'slaveId': agent.id, field: '{}'}, complaint + 'Unexpected JSON type parsed'),
            ({'slaveId': agent.id, field: '[5]'}, complaint + 'Expecting a JSON object'),
            ({'slaveId': agent.id, field: '[{}]'}, complaint + 'Missing required fields: name, type'),
            ({'slaveId': agent.id, field: json.dumps([scalar('cpus', -1, role='x', reservation={})])},
             "Resource 'cpus:-1' is invalid: Invalid scalar resource: value <= 0")):
        assert desk.browse(path, 'POST', form) == (400, text)


def test_resources_are_reserved_and_unreserved_by_forms(desk, agent):
    wanted = {'slaveId': agent.id, 'resources': json.dumps([scalar('cpus', 1, role='eng', reservation={})])}
    assert desk.browse('/reserve', 'POST', wanted) == (202, None)
    assert agent.state.total.reserved('eng').cpus == 1
    assert desk.browse('/unreserve', 'POST', wanted) == (202, None)
    status, text = desk.browse('/unreserve', 'POST', wanted)
    assert (status, text.split(' does ')[1]) == (409, 'not contain cpus(reservations: [(DYNAMIC,eng)]):1')


def test_volumes_are_created_and_destroyed_by_forms(desk, agent):
    desk.browse('/reserve', 'POST', {'slaveId': agent.id, 'resources': json.dumps(
        [scalar('disk', 100, role='eng', reservation={})])})
    wanted = {'slaveId': agent.id, 'volumes': json.dumps([volume(100)])}
    assert desk.browse('/create-volumes', 'POST', wanted) == (202, None)
    assert desk.browse('/destroy-volumes', 'POST', wanted) == (202, None)
    assert desk.browse('/destroy-volumes', 'POST', wanted) == (
        400, 'Invalid DESTROY operation: Persistent volumes not found')

"""Every operator call has the body that Mesos expects, and 0.3.15's drivers sent."""
from __future__ import absolute_import, division, print_function

import json

import pytest

from pymesos import operator_v1
from pymesos.errors import UsageError
from pymesos.wire import operator_calls

AGENT = '61011e53-227a-4934-8266-fc29e4278b0f-S0'
RESOURCES = [{'name': 'cpus', 'type': 'SCALAR', 'scalar': {'value': 1.0}}]
MACHINES = [{'hostname': 'a', 'ip': '10.0.0.1'}, {'hostname': 'b'}, {'ip': '10.0.0.3'}]
NESTED = {'container_id': {'value': 'c', 'parent': {'value': 'p'}}, 'command': {'value': 'true'}}
INFO = {'type': 'org.apache.mesos.rp.local.storage', 'name': 'lvm'}


def called(name, fields):
    return {'type': name, name.lower(): fields}


BOTH = [
    ('getHealth', (), {'type': 'GET_HEALTH'}),
    ('getFlags', (), {'type': 'GET_FLAGS'}),
    ('getVersion', (), {'type': 'GET_VERSION'}),
    ('getMetrics', (), called('GET_METRICS', {})),
    ('getMetrics', (5000000000,), called('GET_METRICS', {'timeout': {'nanoseconds': 5000000000}})),
    ('getLoggingLevel', (), {'type': 'GET_LOGGING_LEVEL'}),
    ('setLoggingLevel', (2, 60000000000),
     called('SET_LOGGING_LEVEL', {'level': 2, 'duration': {'nanoseconds': 60000000000}})),
    ('listFiles', ('/a',), called('LIST_FILES', {'path': '/a'})),
    ('readFile', ('/a', 100, 50), called('READ_FILE', {'path': '/a', 'length': 100, 'offset': 50})),
    ('readFile', ('/a',), called('READ_FILE', {'path': '/a', 'offset': 0})),
    ('getState', (), {'type': 'GET_STATE'}),
    ('getFrameworks', (), {'type': 'GET_FRAMEWORKS'}),
    ('getExecutors', (), {'type': 'GET_EXECUTORS'}),
    ('getTasks', (), {'type': 'GET_TASKS'}),
]

MASTER = BOTH + [
    ('getAgents', (), {'type': 'GET_AGENTS'}),
    ('getRoles', (), {'type': 'GET_ROLES'}),
    ('getWeights', (), {'type': 'GET_WEIGHTS'}),
    ('updateWeights', ([{'role': 'eng', 'weight': 2.5, 'note': 'x'}],),
     called('UPDATE_WEIGHTS', {'weight_infos': [{'role': 'eng', 'weight': 2.5}]})),
    ('getMaster', (), {'type': 'GET_MASTER'}),
    ('reserveResources', (AGENT, RESOURCES),
     called('RESERVE_RESOURCES', {'agent_id': {'value': AGENT}, 'resources': RESOURCES})),
    ('reserveResources', ({'value': AGENT}, RESOURCES),
     called('RESERVE_RESOURCES', {'agent_id': {'value': AGENT}, 'resources': RESOURCES})),
    ('unreserveResources', (AGENT, RESOURCES),
     called('UNRESERVE_RESOURCES', {'agent_id': {'value': AGENT}, 'resources': RESOURCES})),
    ('createVolumes', (AGENT, RESOURCES),
     called('CREATE_VOLUMES', {'agent_id': {'value': AGENT}, 'volumes': RESOURCES})),
    ('destroyVolumes', (AGENT, RESOURCES),
     called('DESTROY_VOLUMES', {'agent_id': {'value': AGENT}, 'volumes': RESOURCES})),
    ('getMaintenanceStatus', (), {'type': 'GET_MAINTENANCE_STATUS'}),
    ('getMaintenanceSchedule', (), {'type': 'GET_MAINTENANCE_SCHEDULE'}),
    ('updateMaintenanceSchedule', ([{'machine_ids': MACHINES}],),
     called('UPDATE_MAINTENANCE_SCHEDULE', {'schedule': {'windows': [{'machine_ids': MACHINES}]}})),
    ('startMaintenance', (MACHINES,), called('START_MAINTENANCE', {'machines': MACHINES})),
    ('stopMaintenance', (MACHINES,), called('STOP_MAINTENANCE', {'machines': MACHINES})),
    ('getQuota', (), {'type': 'GET_QUOTA'}),
    ('setQuota', ({'role': 'eng'},), called('SET_QUOTA', {'quota_request': {'role': 'eng'}})),
    ('removeQuota', ('eng',), called('REMOVE_QUOTA', {'role': 'eng'})),
    ('markAgentGone', (AGENT,), called('MARK_AGENT_GONE', {'agent_id': {'value': AGENT}})),
]

AGENTS = BOTH + [
    ('getContainers', (), called('GET_CONTAINERS', {'show_nested': False, 'show_standalone': False})),
    ('getContainers', (True, True), called('GET_CONTAINERS', {'show_nested': True, 'show_standalone': True})),
    ('launchNestedContainer', (NESTED,), called('LAUNCH_NESTED_CONTAINER', NESTED)),
    ('waitNestedContainer', ('c',), called('WAIT_NESTED_CONTAINER', {'container_id': {'value': 'c'}})),
    ('waitNestedContainer', ('c', 'p'),
     called('WAIT_NESTED_CONTAINER', {'container_id': {'value': 'c', 'parent': {'value': 'p'}}})),
    ('waitNestedContainer', ('c', {'value': 'p', 'parent': {'value': 'q'}}),
     called('WAIT_NESTED_CONTAINER',
            {'container_id': {'value': 'c', 'parent': {'value': 'p', 'parent': {'value': 'q'}}}})),
    ('killNestedContainer', ('c', 'p'),
     called('KILL_NESTED_CONTAINER', {'container_id': {'value': 'c', 'parent': {'value': 'p'}}})),
    ('removeNestedContainer', ('c', 'p'),
     called('REMOVE_NESTED_CONTAINER', {'container_id': {'value': 'c', 'parent': {'value': 'p'}}})),
    ('launchNestedContainerSession', (NESTED,), called('LAUNCH_NESTED_CONTAINER_SESSION', NESTED)),
    ('attachContainerOutput', ('c',), called('ATTACH_CONTAINER_OUTPUT', {'container_id': {'value': 'c'}})),
    ('attachContainerOutput', (NESTED['container_id'],),
     called('ATTACH_CONTAINER_OUTPUT', {'container_id': {'value': 'c', 'parent': {'value': 'p'}}})),
    ('addResourceProviderConfig', (INFO,), called('ADD_RESOURCE_PROVIDER_CONFIG', {'info': INFO})),
    ('updateResourceProviderConfig', (INFO,), called('UPDATE_RESOURCE_PROVIDER_CONFIG', {'info': INFO})),
    ('removeResourceProviderConfig', (INFO['type'], INFO['name']), called('REMOVE_RESOURCE_PROVIDER_CONFIG', INFO)),
    ('pruneImages', (), {'type': 'PRUNE_IMAGES'}),
    ('pruneImages', ([{'type': 'DOCKER'}],), called('PRUNE_IMAGES', {'excluded_images': [{'type': 'DOCKER'}]})),
]

#: Methods that returned None in 0.3.15 and do so still. (Of waitNestedContainer and launchNestedContainerSession
#: nothing can be used without what they return.)
SILENT = frozenset([
    'updateWeights', 'reserveResources', 'unreserveResources', 'createVolumes', 'destroyVolumes', 'setQuota',
    'updateMaintenanceSchedule', 'startMaintenance', 'stopMaintenance', 'removeQuota', 'markAgentGone',
    'launchNestedContainer', 'killNestedContainer', 'removeNestedContainer', 'addResourceProviderConfig',
    'updateResourceProviderConfig', 'removeResourceProviderConfig', 'pruneImages'])


def check_method(driver, method, arguments, body):
    sent = []
    answer = {'type': 'ANSWER'}
    driver._send = lambda *args, **kwargs: sent.append((args, kwargs)) or answer
    returned = getattr(driver, method)(*arguments)
    assert [args for args, _ in sent] == [(body,)]
    assert returned is (None if method in SILENT else answer)


@pytest.mark.parametrize('method,arguments,body', MASTER)
def test_master_call_leaves_through_the_seam_as_mesos_expects_it(method, arguments, body):
    check_method(operator_v1.MesosOperatorMasterDriver('127.0.0.1:5050'), method, arguments, body)


@pytest.mark.parametrize('method,arguments,body', AGENTS)
def test_agent_call_leaves_through_the_seam_as_mesos_expects_it(method, arguments, body):
    check_method(operator_v1.MesosOperatorAgentDriver('127.0.0.1:5051'), method, arguments, body)


def test_arguments_have_the_names_of_0_3_15():
    driver = operator_v1.MesosOperatorAgentDriver(agent_uri='127.0.0.1:5051')
    sent = []
    driver._send = lambda body, **kwargs: sent.append(body)
    driver.getMetrics(timeout=1)
    driver.setLoggingLevel(level=1, duration=2)
    driver.readFile(path='/a', length=1, offset=2)
    driver.getContainers(show_nested=True, show_standalone=False)
    driver.launchNestedContainer(launch_nested_container=NESTED)
    driver.waitNestedContainer(container_id='c', parent_id='p')
    driver.removeResourceProviderConfig(type='t', name='n')
    driver.pruneImages(excluded_images=[])
    assert [body['type'] for body in sent] == [
        'GET_METRICS', 'SET_LOGGING_LEVEL', 'READ_FILE', 'GET_CONTAINERS', 'LAUNCH_NESTED_CONTAINER',
        'WAIT_NESTED_CONTAINER', 'REMOVE_RESOURCE_PROVIDER_CONFIG', 'PRUNE_IMAGES']


def test_machine_needs_a_name():
    with pytest.raises(UsageError) as caught:
        operator_calls.start_maintenance([{'hostname': '', 'port': 1}])
    assert 'expected a hostname, an ip, or both' in str(caught.value)


def test_container_input_begins_with_the_container_and_is_built_as_it_comes():
    data = {'type': 'DATA', 'data': {'type': 'STDIN', 'data': 'aGk='}}
    calls = operator_calls.attach_container_input('c', iter([data, {'type': 'OUCH'}, data]))
    assert next(calls) == called('ATTACH_CONTAINER_INPUT', {'type': 'CONTAINER_ID', 'container_id': {'value': 'c'}})
    assert next(calls) == called('ATTACH_CONTAINER_INPUT', {'type': 'PROCESS_IO', 'process_io': data})
    with pytest.raises(UsageError) as caught:
        next(calls)
    assert 'expected a ProcessIO of type DATA or CONTROL' in str(caught.value)


def test_bare_call_is_one_that_mesos_takes_so():
    with pytest.raises(UsageError):
        operator_calls.bare('READ_FILE')


def test_calls_that_take_long_by_their_nature_are_given_longer():
    patience = operator_calls.patience
    assert patience({'type': 'GET_STATE'}, 10) == 10
    assert patience(operator_calls.wait_nested_container('c'), 10) is None
    assert patience(operator_calls.get_metrics(), 10) == 10
    assert patience(operator_calls.get_metrics(2500000000), 10) == 12.5
    assert patience(operator_calls.mark_agent_gone('a'), 10) == 30
    assert patience(operator_calls.launch_nested_container({}), 10) == 610
    assert patience('', 10) == 10


def test_calls_that_would_do_more_the_second_time_are_not_repeatable():
    for kind in ('RESERVE_RESOURCES', 'CREATE_VOLUMES', 'SET_QUOTA', 'LAUNCH_NESTED_CONTAINER', 'START_MAINTENANCE',
                 'LAUNCH_NESTED_CONTAINER_SESSION', 'ATTACH_CONTAINER_INPUT', 'KILL_NESTED_CONTAINER', 'SUBSCRIBE'):
        assert kind not in operator_calls.REPEATABLE


def test_bodies_are_json():
    for _method, _arguments, body in MASTER + AGENTS:
        assert json.loads(json.dumps(body)) == body

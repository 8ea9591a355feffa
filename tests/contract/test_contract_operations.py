"""Reservations and volumes, and what is told about them (PROTOCOL 2.6, 4.1)."""
from __future__ import absolute_import, division, print_function

import pytest
import raw
from actors import NO_FILTER, scalars

row = pytest.mark.row

#: What frameworks here are capable of.
CAPABILITIES = ['MULTI_ROLE', 'RESERVATION_REFINEMENT']


@pytest.fixture
def eng(cluster):
    """A framework in a role of its own, and an offer; what it reserves is unreserved behind the test."""
    framework = cluster.framework(roles=['eng-contract'], principal='me', capabilities=CAPABILITIES)
    offer = framework.offer()
    yield framework, offer
    framework.teardown()
    clean_up(cluster)


def clean_up(cluster):
    """Take back all volumes and reservations of all agents."""
    for agent in cluster.ask('GET_AGENTS')['agents']:
        agent_id = agent['agent_info']['id']
        held = [each for each in agent['total_resources'] if each.get('role', '*') != '*']
        volumes = [each for each in held if 'disk' in each]
        if volumes:
            assert cluster.operator('DESTROY_VOLUMES', {'agent_id': agent_id, 'volumes': volumes}).status == 202
        if held:
            plain = [{key: value for key, value in each.items() if key != 'disk'} for each in held]
            raw.wait_until(lambda: cluster.operator('UNRESERVE_RESOURCES', {
                'agent_id': agent_id, 'resources': plain}).status == 202, 'the reservations to be free')


def reserved(amounts, role='eng-contract', **more):
    return scalars(amounts, reservations=[{'type': 'DYNAMIC', 'role': role, 'principal': 'me'}], **more)


def reserve(amounts, operation_id=None, **fields):
    operation = {'type': 'RESERVE', 'reserve': {'resources': reserved(amounts, **fields)}}
    return dict(operation, id={'value': operation_id}) if operation_id else operation


def volume(megabytes, name='vol', **more):
    disk = {'persistence': {'id': name, 'principal': 'me'}, 'volume': {'mode': 'RW', 'container_path': 'data'}}
    return reserved({'disk': megabytes}, disk=disk, **more)


def offered_again(framework, offer, condition):
    return framework.offer(condition, offer['agent_id']['value'])


def has(*wanted):
    """Whether an offer has these resources, its role apart."""
    def is_in(offer):
        resources = [{key: value for key, value in each.items() if key != 'allocation_info'}
                     for each in offer['resources']]
        return all(each in resources for each in wanted)
    return is_in


@row('8.2 reserved', '2.1 ACCEPT')
def test_reserved_resources_are_offered_as_reserved(eng):
    framework, offer = eng
    framework.accept(offer, [reserve({'cpus': 1.0, 'mem': 64.0})], NO_FILTER)
    offered_again(framework, offer, has(*reserved({'cpus': 1.0, 'mem': 64.0})))


@row('8.2 reserved')
def test_reserved_resources_can_be_given_back(eng):
    framework, offer = eng
    framework.accept(offer, [reserve({'cpus': 1.0})], NO_FILTER)
    again = offered_again(framework, offer, has(*reserved({'cpus': 1.0})))
    framework.accept(again, [{'type': 'UNRESERVE', 'unreserve': {'resources': reserved({'cpus': 1.0})}}], NO_FILTER)
    offered_again(framework, offer, has(*scalars({'cpus': 4.0})))


@row('2.1 ACCEPT')
def test_operations_of_one_accept_see_what_those_before_them_did(eng):
    """RESERVE, CREATE, LAUNCH on the volume, DESTROY: one after the other."""
    framework, offer = eng
    resources = reserved({'cpus': 0.1, 'mem': 32.0}) + volume(64.0)
    task = framework.task(offer, command='test -d data && echo kept > data/file', resources=resources)
    framework.accept(offer, [
        reserve({'cpus': 0.1, 'mem': 32.0, 'disk': 64.0}), {'type': 'CREATE', 'create': {'volumes': volume(64.0)}},
        {'type': 'LAUNCH', 'launch': {'task_infos': [task]}}], NO_FILTER)
    framework.expect(task, 'TASK_STARTING', 'TASK_RUNNING', 'TASK_FINISHED')
    again = offered_again(framework, offer, has(*resources))
    second = framework.task(offer, command='grep -q kept data/file', resources=resources)
    framework.launch(again, second)
    framework.expect(second, 'TASK_STARTING', 'TASK_RUNNING', 'TASK_FINISHED')


@row('2.1 ACCEPT')
def test_volumes_can_be_destroyed(eng):
    framework, offer = eng
    framework.accept(offer, [reserve({'disk': 64.0}), {'type': 'CREATE', 'create': {'volumes': volume(64.0)}}],
                     NO_FILTER)
    again = offered_again(framework, offer, has(*volume(64.0)))
    framework.accept(again, [{'type': 'DESTROY', 'destroy': {'volumes': volume(64.0)}}], NO_FILTER)
    offered_again(framework, offer, has(*reserved({'disk': 64.0})))


@row('2.1 ACCEPT')
@pytest.mark.parametrize('kind, body, size', [
    ('GROW_VOLUME', lambda: {'volume': volume(64.0)[0], 'addition': reserved({'disk': 36.0})[0]}, 100.0),
    ('SHRINK_VOLUME', lambda: {'volume': volume(64.0)[0], 'subtract': {'value': 32.0}}, 32.0)])
def test_volumes_grow_and_shrink(eng, kind, body, size):
    framework, offer = eng
    framework.accept(offer, [reserve({'disk': 100.0}), {'type': 'CREATE', 'create': {'volumes': volume(64.0)}}],
                     NO_FILTER)
    again = offered_again(framework, offer, has(*volume(64.0)))
    framework.accept(again, [{'type': kind, kind.lower(): body()}], NO_FILTER)
    offered_again(framework, offer, has(*volume(size)))


# ---------------------------------------------------------------- feedback

@row('2.2 UPDATE_OPERATION_STATUS', '2.1 ACKNOWLEDGE_OPERATION_STATUS')
def test_end_of_an_operation_with_an_id_is_told_and_acknowledged(eng):
    framework, offer = eng
    framework.accept(offer, [reserve({'cpus': 1.0}, 'op')], NO_FILTER)
    status = framework.stream.wait('UPDATE_OPERATION_STATUS')['status']
    assert (status['operation_id'], status['state']) == ({'value': 'op'}, 'OPERATION_FINISHED')
    assert status['agent_id'] == offer['agent_id']
    assert sorted(status) == ['agent_id', 'operation_id', 'state', 'uuid']
    framework.do('ACKNOWLEDGE_OPERATION_STATUS', {
        'agent_id': status['agent_id'], 'uuid': status['uuid']['value'], 'operation_id': status['operation_id']})
    raw.wait_until(lambda: not framework.cluster.ask('GET_OPERATIONS').get('operations'),
                   'the operation to be forgotten')


@row('2.1 ACKNOWLEDGE_OPERATION_STATUS')
def test_acknowledgement_of_an_operation_has_plain_bytes(eng):
    framework, _offer = eng
    body = {'agent_id': {'value': 'x'}, 'uuid': {'value': raw.new_uuid()}, 'operation_id': {'value': 'op'}}
    reply = framework.call('ACKNOWLEDGE_OPERATION_STATUS', body)
    assert (reply.status, reply.text) == (400, "Failed to convert JSON into Call protobuf: "
                                               "Not expecting a JSON object for field 'uuid'")


@row('2.2 UPDATE_OPERATION_STATUS')
def test_operation_without_an_id_is_not_told(eng):
    framework, offer = eng
    framework.accept(offer, [reserve({'cpus': 1.0})], NO_FILTER)
    offered_again(framework, offer, has(*reserved({'cpus': 1.0})))
    framework.fence()
    assert 'UPDATE_OPERATION_STATUS' not in framework.stream.kinds()


BAD_OPERATIONS = [
    ('reserve for all', lambda: reserve({'cpus': 1.0}, 'op', role='*')),
    ('reserve for another', lambda: reserve({'cpus': 1.0}, 'op', role='other-contract')),
    ('reserve more than there is', lambda: reserve({'cpus': 1000.0}, 'op')),
    ('unreserve what is not reserved', lambda: {'id': {'value': 'op'}, 'type': 'UNRESERVE', 'unreserve': {
        'resources': reserved({'cpus': 1.0})}}),
    ('create on what is not reserved', lambda: {'id': {'value': 'op'}, 'type': 'CREATE', 'create': {
        'volumes': volume(64.0)}}),
    ('destroy what is not there', lambda: {'id': {'value': 'op'}, 'type': 'DESTROY', 'destroy': {
        'volumes': volume(64.0)}}),
]


@row('2.2 UPDATE_OPERATION_STATUS')
@pytest.mark.parametrize('operation', [pytest.param(each[1], id=each[0]) for each in BAD_OPERATIONS])
def test_operation_that_cannot_be_is_an_error(eng, operation):
    framework, offer = eng
    framework.accept(offer, [operation()], NO_FILTER)
    status = framework.stream.wait('UPDATE_OPERATION_STATUS')['status']
    assert (status['operation_id'], status['state']) == ({'value': 'op'}, 'OPERATION_ERROR')
    assert sorted(status) == ['message', 'operation_id', 'state'] and status['message']
    offered_again(framework, offer, lambda each: True)


@row('2.2 UPDATE_OPERATION_STATUS')
def test_operation_with_an_offer_that_there_is_not_is_dropped(eng):
    framework, _offer = eng
    framework.accept({'id': {'value': 'nope'}}, [reserve({'cpus': 1.0}, 'op')])
    status = framework.stream.wait('UPDATE_OPERATION_STATUS')['status']
    assert status['state'] in ('OPERATION_ERROR', 'OPERATION_DROPPED') and 'uuid' not in status


@row('2.2 UPDATE')
def test_launch_with_an_id_is_an_error(eng):
    framework, offer = eng
    task = framework.task(offer, command='exit 0')
    framework.accept(offer, [{'id': {'value': 'op'}, 'type': 'LAUNCH', 'launch': {'task_infos': [task]}}], NO_FILTER)
    assert framework.update(task)['state'] == 'TASK_ERROR'


@row('2.1 RECONCILE_OPERATIONS')
def test_reconciliation_tells_the_state_of_operations(eng):
    framework, offer = eng
    framework.accept(offer, [reserve({'cpus': 1.0}, 'op')], NO_FILTER)
    first = framework.stream.wait('UPDATE_OPERATION_STATUS')['status']
    framework.do('RECONCILE_OPERATIONS', {'operations': [
        {'operation_id': {'value': 'op'}, 'agent_id': offer['agent_id']}]})
    status = framework.stream.wait('UPDATE_OPERATION_STATUS')['status']
    del first['uuid']
    assert status == first
    framework.do('RECONCILE_OPERATIONS', {})
    assert framework.stream.wait('UPDATE_OPERATION_STATUS')['status'] == first


@row('2.1 RECONCILE_OPERATIONS')
@pytest.mark.parametrize('agent', [None, 'nope', 0], ids=['no agent', 'unknown agent', 'agent'])
def test_reconciliation_of_an_operation_that_there_is_not(eng, agent):
    framework, offer = eng
    operation = {'operation_id': {'value': 'nope'}}
    if agent is not None:
        operation['agent_id'] = {'value': agent} if agent else offer['agent_id']
    framework.do('RECONCILE_OPERATIONS', {'operations': [operation]})
    status = framework.stream.wait('UPDATE_OPERATION_STATUS')['status']
    assert (status['operation_id'], status['state']) == ({'value': 'nope'}, 'OPERATION_UNKNOWN')
    assert status['message'].startswith('Reconciliation: ') and 'unknown' in status['message']


# ---------------------------------------------------------------- by an operator

@row('8.2 rescind')
def test_operator_reserves_what_is_offered_and_the_offer_is_rescinded(cluster):
    framework = cluster.framework()
    offer = framework.offer(agent_id=cluster.agents[0].id)
    resources = scalars({'cpus': 1.0}, reservations=[{'type': 'DYNAMIC', 'role': 'op-contract'}])
    body = {'agent_id': offer['agent_id'], 'resources': resources}
    try:
        assert cluster.operator('RESERVE_RESOURCES', body).status == 202
        framework.stream.wait('RESCIND', lambda rescind: rescind['offer_id'] == offer['id'])
        again = framework.offer(agent_id=cluster.agents[0].id)
        assert {'name': 'cpus', 'type': 'SCALAR', 'scalar': {'value': 3.0}, 'role': '*'} in again['resources']
    finally:
        clean_up(cluster)


@row('8.2 reserved')
def test_operator_makes_and_destroys_volumes(cluster):
    agent_id = {'value': cluster.agents[0].id}
    try:
        for kind, field, value in (('RESERVE_RESOURCES', 'resources', reserved({'disk': 64.0})),
                                   ('CREATE_VOLUMES', 'volumes', volume(64.0))):
            assert cluster.operator(kind, {'agent_id': agent_id, field: value}).status == 202, kind
        total = cluster.agent(cluster.agents[0].id)['total_resources']
        assert [each['disk']['persistence'] for each in total if 'disk' in each] == [{'id': 'vol', 'principal': 'me'}]
    finally:
        clean_up(cluster)


@pytest.mark.parametrize('kind', ['RESERVE_RESOURCES', 'UNRESERVE_RESOURCES'])
@row('1.5 400')
def test_operator_cannot_reserve_on_an_agent_that_there_is_not(cluster, kind):
    body = {'agent_id': {'value': 'nope'}, 'resources': reserved({'cpus': 1.0})}
    assert cluster.operator(kind, body).status == 400

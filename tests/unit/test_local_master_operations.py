"""Operations on offers and what is told of them (PROTOCOL 2.6, 2.8)."""
from __future__ import absolute_import, division, print_function

import pytest
from local_master import Bench, command_task, framework_info, scalar

NO_FILTER = {'refuse_seconds': 0.0}
ENG = {'role': 'eng'}


@pytest.fixture
def bench():
    return Bench()


@pytest.fixture
def agent(bench):
    return bench.agent(given=[scalar('cpus', 4), scalar('mem', 4096), scalar('disk', 1000)])


@pytest.fixture
def framework(bench, agent):
    return bench.framework(framework_info(roles=['eng'], principal='me',
                                          capabilities=['MULTI_ROLE', 'RESERVATION_REFINEMENT']))


def reserved(name, value, **fields):
    return scalar(name, value, reservations=[{'type': 'DYNAMIC', 'role': 'eng', 'principal': 'me'}], **fields)


def volume(size=100):
    return reserved('disk', size, disk={'persistence': {'id': 'v', 'principal': 'me'},
                                        'volume': {'mode': 'RW', 'container_path': 'data'}})


def operation(kind, operation_id=None, **body):
    made = {'type': kind, kind.lower(): body}
    if operation_id:
        made['id'] = {'value': operation_id}
    return made


def finish(bench, agent, index=-1):
    """The agent does what it was told, as :mod:`pymesos.local.model.agent` does; the status."""
    told = agent.told('APPLY')[index]
    status = {'state': 'OPERATION_FINISHED', 'agent_id': {'value': agent.id}}
    if 'id' in told['operation']:
        status.update(operation_id=told['operation']['id'], uuid={'value': bench.world.uuid_base64()})
    agent.say('OPERATION_STATUS', framework_id=told['framework_id'], operation_uuid=told['uuid'], status=status,
              latest=status)
    return status


def found(resources, name, is_reserved):
    return sum(item['scalar']['value'] for item in resources
               if item['name'] == name and ('reservations' in item) == is_reserved)


def test_reserved_resources_are_offered_as_such(bench, framework, agent):
    framework.accept([framework.last_offer()], operation('RESERVE', resources=[reserved('cpus', 1)]))
    bench.wait(1)
    offer = framework.offers()[-1]
    assert {'name': 'cpus', 'type': 'SCALAR', 'scalar': {'value': 1.0}, 'allocation_info': ENG,
            'reservations': [{'type': 'DYNAMIC', 'role': 'eng', 'principal': 'me'}]} in offer['resources']


def test_fresh_reservations_have_no_filter_and_the_rest_has(bench, framework, agent):
    framework.accept([framework.last_offer()], operation('RESERVE', resources=[reserved('cpus', 1)]),
                     filters={'refuse_seconds': 100.0})
    bench.wait(1)
    # What is offered is more than what was refused.
    assert found(framework.offers()[-1]['resources'], 'cpus', True) == 1.0


def test_the_agent_is_told_what_to_do_and_what_it_has_then(framework, agent):
    wanted = operation('RESERVE', 'op', resources=[reserved('cpus', 1)])
    framework.accept([framework.last_offer()], wanted)
    told, = agent.told('APPLY')
    assert told['framework_id'] == framework.id
    assert told['operation']['id'] == {'value': 'op'} and told['operation']['type'] == 'RESERVE'
    assert found(told['total'], 'cpus', True) == 1.0 and found(told['total'], 'cpus', False) == 3.0
    assert not any('allocation_info' in item for item in told['total'])


def test_an_operation_without_id_is_done_without_a_word(bench, framework, agent):
    framework.accept([framework.last_offer()], operation('RESERVE', resources=[reserved('cpus', 1)]))
    assert len(bench.model.operations) == 1
    finish(bench, agent)
    assert not framework.operations() and not bench.model.operations


def test_an_operation_with_id_is_told_of_and_acknowledged(bench, framework, agent):
    framework.accept([framework.last_offer()], operation('RESERVE', 'op', resources=[reserved('cpus', 1)]))
    assert not framework.operations()
    status = finish(bench, agent)
    assert framework.operations() == [status]
    assert list(agent.state.operations) == list(bench.model.operations)
    reply = framework.call('ACKNOWLEDGE_OPERATION_STATUS', {
        'agent_id': {'value': agent.id}, 'uuid': status['uuid']['value'], 'operation_id': {'value': 'op'}})
    assert reply.status == 202
    uuid = agent.told('APPLY')[0]['uuid']
    assert agent.told('ACK_OPERATION') == [
        {'type': 'ACK_OPERATION', 'uuid': uuid, 'status_uuid': status['uuid']['value']}]
    assert not bench.model.operations and not agent.state.operations and not framework.state.operation_uuids


@pytest.mark.parametrize('fields', [{'operation_id': {'value': 'nope'}}, {'agent_id': {'value': 'nope'}},
                                    {'uuid': 'AAAAAAAAAAAAAAAAAAAAAA=='}])
def test_an_acknowledgement_of_something_else_is_ignored(bench, framework, agent, fields):
    framework.accept([framework.last_offer()], operation('RESERVE', 'op', resources=[reserved('cpus', 1)]))
    status = finish(bench, agent)
    framework.call('ACKNOWLEDGE_OPERATION_STATUS', dict({
        'agent_id': {'value': agent.id}, 'uuid': status['uuid']['value'], 'operation_id': {'value': 'op'}}, **fields))
    assert not agent.told('ACK_OPERATION') and len(bench.model.operations) == 1


def test_the_status_of_a_forgotten_operation_is_acknowledged(bench, framework, agent):
    framework.accept([framework.last_offer()], operation('RESERVE', 'op', resources=[reserved('cpus', 1)]))
    framework.call('TEARDOWN')
    status = finish(bench, agent)
    assert agent.told('ACK_OPERATION')[-1]['status_uuid'] == status['uuid']['value']


def test_later_operations_see_what_earlier_ones_did(bench, framework, agent):
    task = command_task('t', agent.id)
    task['resources'] = [reserved('cpus', 1), scalar('mem', 32), volume()]
    framework.accept(
        [framework.last_offer()], operation('RESERVE', resources=[reserved('cpus', 1), reserved('disk', 100)]),
        operation('CREATE', volumes=[volume()]), {'type': 'LAUNCH', 'launch': {'task_infos': [task]}},
        filters=NO_FILTER)
    assert not framework.updates()
    assert len(agent.told('APPLY')) == 2 and len(agent.told('RUN_TASK')) == 1
    offer = framework.last_offer()
    assert found(offer['resources'], 'cpus', False) == 3.0 and found(offer['resources'], 'cpus', True) == 0
    assert found(offer['resources'], 'disk', False) == 900.0 and found(offer['resources'], 'disk', True) == 0


def test_all_can_be_undone(bench, framework, agent):
    framework.accept([framework.last_offer()], operation('RESERVE', resources=[reserved('disk', 100)]),
                     operation('CREATE', volumes=[volume()]), filters=NO_FILTER)
    offer = framework.last_offer()
    assert any('disk' in item for item in offer['resources'])
    framework.accept([offer], operation('DESTROY', volumes=[volume()]),
                     operation('UNRESERVE', resources=[reserved('disk', 100)]), filters=NO_FILTER)
    assert found(framework.last_offer()['resources'], 'disk', False) == 1000.0
    assert agent.state.total.to_list() == [scalar('cpus', 4), scalar('mem', 4096), scalar('disk', 1000)]
    assert not framework.operations()


def test_what_is_reserved_goes_to_no_other_role(bench, framework, agent):
    framework.accept([framework.last_offer()], operation('RESERVE', resources=[reserved('cpus', 1)]))
    framework.call('SUPPRESS')
    other = bench.framework()
    bench.wait(1)
    for offer in framework.offers():
        framework.decline([offer], 1000.0)
    bench.wait(1)
    assert sum(found(offer['resources'], 'cpus', False) for offer in other.offers()) == 3.0
    assert not any('reservations' in item for offer in other.offers() for item in offer['resources'])


# ---- operations that are not done

@pytest.mark.parametrize('wanted, text', [
    (operation('RESERVE', 'op', resources=[reserved('cpus', 100)]),
     'cpus(allocated: eng):4; mem(allocated: eng):4096; disk(allocated: eng):1000 does not contain '
     'cpus(allocated: eng):100'),
    (operation('UNRESERVE', 'op', resources=[reserved('cpus', 1)]),
     'cpus(allocated: eng):4; mem(allocated: eng):4096; disk(allocated: eng):1000 does not contain '
     'cpus(allocated: eng)(reservations: [(DYNAMIC,eng,me)]):1'),
    (operation('RESERVE', 'op', resources=[scalar('cpus', 1, reservations=[{'type': 'DYNAMIC', 'role': '*'}])]),
     'Operation attempted with invalid resources: Resource \'cpus(reservations: [(DYNAMIC,*)]):1\' is invalid: Invalid '
     'reservation: role "*" cannot be reserved'),
])
def test_an_invalid_operation_is_an_error(framework, agent, wanted, text):
    framework.accept([framework.last_offer()], wanted)
    assert framework.operations() == [
        {'operation_id': {'value': 'op'}, 'state': 'OPERATION_ERROR', 'message': text}]
    assert not agent.told('APPLY')


def test_the_error_of_a_wrong_role_names_the_agent(framework, agent):
    framework.accept([framework.last_offer()], operation('RESERVE', 'op', resources=[
        scalar('cpus', 1, reservations=[{'type': 'DYNAMIC', 'role': 'ops', 'principal': 'me'}])]))
    assert framework.operations()[0]['message'] == (
        "A reserve operation was attempted for a resource with role 'ops', but the resource was allocated to role "
        "'eng'; on agent %s at slave(1)@127.0.0.1:5051 (127.0.0.1)" % agent.id)


def test_an_invalid_operation_without_id_is_dropped_in_silence(framework, agent):
    framework.accept([framework.last_offer()], operation('RESERVE', resources=[reserved('cpus', 100)]))
    assert not framework.operations() and not agent.told('APPLY')


def test_an_operation_on_an_invalid_offer_is_an_error(framework, agent):
    framework.accept(['nope'], operation('RESERVE', 'op', resources=[reserved('cpus', 1)]))
    assert framework.operations() == [{
        'operation_id': {'value': 'op'}, 'state': 'OPERATION_ERROR',
        'message': 'Operation attempted with invalid offers: Offer nope is no longer valid'}]


@pytest.mark.parametrize('fields', [{}, {'type': 'UNKNOWN'}])
def test_an_operation_that_mesos_does_not_know_is_ignored_unless_its_offer_is_invalid(framework, agent, fields):
    wanted = dict({'id': {'value': 'op'}}, **fields)
    framework.accept([framework.last_offer()], wanted)
    assert not framework.operations() and not agent.told('APPLY')
    framework.accept(['nope'], wanted)
    assert [status['state'] for status in framework.operations()] == ['OPERATION_ERROR']


def test_only_operations_that_are_done_are_counted_and_a_launch_for_each_task(bench, framework, agent):
    framework.accept([framework.last_offer()], operation('RESERVE', resources=[reserved('cpus', 1)]),
                     operation('RESERVE', resources=[reserved('cpus', 100)]),
                     operation('LAUNCH', task_infos=[command_task('t1', agent.id), command_task('t2', agent.id),
                                                     command_task('t3', 'nope')]))
    counts = framework.state.counts
    assert (counts['operations/reserve'], counts['operations/launch']) == (1, 2)
    assert bench.model.counts['messages_launch_tasks'] == 1 and not bench.model.counts['messages_decline_offers']


def test_feedback_needs_an_agent_that_can(bench):
    agent = bench.agent(capabilities=[{'type': 'MULTI_ROLE'}])
    framework = bench.framework(framework_info(roles=['eng'], capabilities=['MULTI_ROLE']))
    framework.accept([framework.last_offer()], operation('RESERVE', 'op', resources=[
        scalar('cpus', 1, reservations=[{'type': 'DYNAMIC', 'role': 'eng'}])]))
    assert framework.operations()[0]['message'] == (
        'Operation on agent default resources requested feedback, but agent %s does not have the required '
        'AGENT_OPERATION_FEEDBACK and RESOURCE_PROVIDER capabilities' % agent.id)


# ---- RECONCILE_OPERATIONS

def reconcile(framework, *items):
    del framework._bench.sent[:]
    body = {'operations': [dict(operation_id={'value': name}, **({'agent_id': {'value': agent_id}} if agent_id else {}))
                           for name, agent_id in items]} if items else {}
    assert framework.call('RECONCILE_OPERATIONS', body).status == 202
    return framework.operations()


def test_a_known_operation_is_answered_without_uuid(bench, framework, agent):
    framework.accept([framework.last_offer()], operation('RESERVE', 'op', resources=[reserved('cpus', 1)]))
    assert reconcile(framework, ('op', None))[0]['state'] == 'OPERATION_PENDING'
    finish(bench, agent)
    expected = [{'operation_id': {'value': 'op'}, 'state': 'OPERATION_FINISHED', 'agent_id': {'value': agent.id}}]
    assert reconcile(framework, ('op', agent.id)) == expected
    assert reconcile(framework) == expected


def test_unknown_operations(bench, framework, agent):
    other = bench.agent(5052)
    bench.model.mark_gone(other.id)
    bench.take()
    cases = [
        (None, 'OPERATION_UNKNOWN', "Operation is unknown and no 'agent_id' was provided"),
        (agent.id, 'OPERATION_UNKNOWN', 'Operation is unknown'),
        ('nope', 'OPERATION_UNKNOWN', 'Both operation and agent are unknown'),
        (other.id, 'OPERATION_GONE_BY_OPERATOR', 'Agent marked gone by operator')]
    for agent_id, state, text in cases:
        expected = {'operation_id': {'value': 'nope'}, 'state': state, 'message': 'Reconciliation: ' + text}
        if agent_id:
            expected['agent_id'] = {'value': agent_id}
        assert reconcile(framework, ('nope', agent_id)) == [expected]


def test_unknown_on_an_agent_that_cannot_be_reached(bench, framework, agent):
    agent_id = agent.id
    bench.wait(75)
    status, = reconcile(framework, ('nope', agent_id))
    assert (status['state'], status['message']) == ('OPERATION_UNREACHABLE', 'Reconciliation: Agent is unreachable')


def test_unknown_on_an_agent_that_is_expected(bench, framework, agent):
    bench.lead(bench.model.registry())
    framework = bench.framework(framework.info)
    status, = reconcile(framework, ('nope', agent.id))
    assert (status['state'], status['message']) == (
        'OPERATION_RECOVERING', 'Reconciliation: Agent is recovered but has not re-registered')


# ---- agents that are lost

def test_operations_of_an_unreachable_agent_are_told_of(bench, framework, agent):
    framework.accept([framework.last_offer()], operation('RESERVE', 'op', resources=[reserved('cpus', 1)]))
    finish(bench, agent)
    agent_id = agent.id
    bench.forget()
    bench.wait(75)
    assert framework.operations() == [{
        'operation_id': {'value': 'op'}, 'state': 'OPERATION_UNREACHABLE', 'message': 'Agent was marked unreachable',
        'agent_id': {'value': agent_id}}]
    assert not bench.model.operations


def test_operations_of_an_agent_that_is_gone_are_told_of(bench, framework, agent):
    framework.accept([framework.last_offer()], operation('RESERVE', 'op', resources=[reserved('cpus', 1)]))
    bench.model.mark_gone(agent.id)
    bench.take()
    assert [(status['state'], status['message']) for status in framework.operations()] == [
        ('OPERATION_GONE_BY_OPERATOR', 'Agent has been marked gone')]


def test_operations_of_an_agent_that_unregisters_are_forgotten_without_a_word(bench, framework, agent):
    framework.accept([framework.last_offer()], operation('RESERVE', 'op', resources=[reserved('cpus', 1)]))
    agent.say('UNREGISTER')
    assert not framework.operations() and not bench.model.operations
    assert reconcile(framework, ('op', agent.id))[0]['state'] == 'OPERATION_UNKNOWN'


def test_an_agent_that_comes_back_brings_its_operations(bench, framework, agent):
    framework.accept([framework.last_offer()], operation('RESERVE', 'op', resources=[reserved('cpus', 1)]))
    status = finish(bench, agent)
    told = agent.told('APPLY')[0]
    bench.lead(bench.model.registry())
    again = bench.framework(framework.info)
    agent.reregister(frameworks=[framework.info], total=told['total'], operations=[{
        'info': told['operation'], 'uuid': {'value': told['uuid']}, 'framework_id': {'value': framework.id},
        'latest_status': status, 'statuses': [status]}])
    assert reconcile(again, ('op', agent.id))[0]['state'] == 'OPERATION_FINISHED'
    bench.wait()
    assert found(again.last_offer()['resources'], 'cpus', True) == 1.0


# ---- operators

def test_an_operator_may_reserve_what_is_free(bench, agent):
    model = bench.model
    made = model.apply_operation(agent.state, operation('RESERVE', resources=[reserved('cpus', 1)]))
    bench.take()
    assert made.framework_id is None
    told, = agent.told('APPLY')
    assert told['framework_id'] is None and found(told['total'], 'cpus', True) == 1.0
    assert agent.state.total.to_list() == told['total']
    finish(bench, agent)
    assert not model.operations


# ---- shared volumes

def test_tasks_share_a_volume_and_the_last_gives_it_back(bench):
    agent = bench.agent(given=[scalar('cpus', 4), scalar('mem', 4096), scalar('disk', 1000)])
    framework = bench.framework(framework_info(roles=['eng'], principal='me', capabilities=[
        'MULTI_ROLE', 'RESERVATION_REFINEMENT', 'SHARED_RESOURCES']))
    shared = dict(volume(), shared={})
    tasks = [command_task(name, agent.id) for name in ('t1', 't2')]
    for task in tasks:
        task['resources'].append(shared)
    framework.accept([framework.last_offer()], operation('RESERVE', resources=[reserved('disk', 100)]),
                     operation('CREATE', volumes=[shared]), {'type': 'LAUNCH', 'launch': {'task_infos': tasks}},
                     filters=NO_FILTER)
    assert not framework.updates() and len(agent.told('RUN_TASK')) == 2
    assert list(agent.state.shared_uses.values()) == [[1, 2]]
    framework.acknowledge(agent.update(framework, 't1', 'TASK_FINISHED'))
    assert list(agent.state.shared_uses.values()) == [[1, 1]]
    framework.acknowledge(agent.update(framework, 't2', 'TASK_FINISHED'))
    assert not agent.state.shared_uses
    offer = framework.last_offer()
    assert any('shared' in item for item in offer['resources'])

"""The scheduler's calls and what becomes of them (PROTOCOL 2.1, 2.2)."""
from __future__ import absolute_import, division, print_function

import time

import pytest
import raw
from actors import FOR_LONG, NO_FILTER, SMALL, amount, scalars

row = pytest.mark.row

MULTI_ROLE = ['MULTI_ROLE']
MAINTAINED = 3600 * 10 ** 9


# ---------------------------------------------------------------- SUBSCRIBE and the first events

@row('2.1 SUBSCRIBE', '2.2 SUBSCRIBED', '2.2 HEARTBEAT')
def test_stream_begins_with_subscribed_and_a_heartbeat(cluster):
    """The first offers may come before the first heartbeat."""
    framework = cluster.framework()
    assert framework.stream.kinds()[0] == 'SUBSCRIBED'
    assert framework.stream.wait('HEARTBEAT', deadline=10) == {'type': 'HEARTBEAT'}


@row('2.2 SUBSCRIBED')
def test_subscribed_names_the_framework_the_interval_and_the_master(cluster):
    framework = cluster.framework()
    assert sorted(framework.subscribed) == ['framework_id', 'heartbeat_interval_seconds', 'master_info']
    assert framework.subscribed['heartbeat_interval_seconds'] == 15.0
    info = framework.subscribed['master_info']
    host, port = cluster.master.split(':')
    assert info['address'] == {'hostname': host, 'ip': host, 'port': int(port)}
    assert (info['port'], info['hostname'], info['version']) == (int(port), host, '1.11.0')
    assert info['pid'] == 'master@' + cluster.master
    assert info['ip'] == 16777343       # 127.0.0.1, in the order of a little-endian host
    assert {'type': 'AGENT_UPDATE'} in info['capabilities'] and {'type': 'AGENT_DRAINING'} in info['capabilities']


@row('2.1 SUBSCRIBE', '2.2 HEARTBEAT')
@pytest.mark.timeout(120)
def test_heartbeats_go_on(cluster):
    begin = time.time()
    framework = cluster.framework()
    framework.stream.wait('HEARTBEAT')
    framework.stream.wait('HEARTBEAT')
    assert time.time() - begin > 10


@row('2.1 SUBSCRIBE')
def test_subscribe_with_a_stream_id_is_refused(cluster):
    framework = cluster.framework()
    stream = cluster.subscribe({'type': 'SUBSCRIBE', 'subscribe': {'framework_info': framework.info}},
                               {'Mesos-Stream-Id': framework.stream_id})
    assert stream.head.status == 400
    assert stream.error == "Subscribe calls should not include the 'Mesos-Stream-Id' header"


@row('2.1 SUBSCRIBE')
@pytest.mark.parametrize('outer, inner', [('a', 'b'), ('a', None), (None, 'b')])
def test_subscribe_with_two_different_ids_is_refused(cluster, outer, inner):
    call = {'type': 'SUBSCRIBE', 'subscribe': {'framework_info': {'user': 'root', 'name': 'x'}}}
    if outer:
        call['framework_id'] = {'value': outer}
    if inner:
        call['subscribe']['framework_info']['id'] = {'value': inner}
    stream = cluster.subscribe(call)
    assert stream.head.status == 400
    assert stream.error == ("Failed to validate scheduler::Call: 'framework_id' differs from "
                            "'subscribe.framework_info.id'")


@row('2.1 SUBSCRIBE')
def test_unknown_fields_and_null_are_ignored(cluster):
    stream = cluster.subscribe({'type': 'SUBSCRIBE', 'what': {'is': 'this'}, 'framework_id': None, 'subscribe': {
        'framework_info': {'user': 'root', 'name': 'x', 'nonsense': 1, 'hostname': None}}})
    assert stream.wait('SUBSCRIBED')


@row('2.1 SUBSCRIBE')
def test_bare_element_counts_as_a_list_of_one(cluster):
    framework = cluster.framework()
    offer = framework.offer()
    framework.do('DECLINE', {'offer_ids': offer['id'], 'filters': {'refuse_seconds': '0'}})
    framework.offer(agent_id=offer['agent_id']['value'])


# ---------------------------------------------------------------- TEARDOWN

@row('2.1 TEARDOWN')
def test_teardown_ends_the_stream_without_a_word(cluster):
    framework = cluster.framework()
    framework.offer()
    framework.stream.wait('HEARTBEAT')
    framework.teardown()
    events = framework.stream.wait_for_end()
    assert framework.stream.is_last_chunk_seen
    assert set(event['type'] for event in events) == {'SUBSCRIBED', 'HEARTBEAT', 'OFFERS'}


@row('2.1 TEARDOWN', '8.3 framework removal')
def test_teardown_shuts_executors_down_and_kills_tasks_in_silence(cluster):
    framework = cluster.framework()
    executor = framework.run_ready()
    framework.teardown()
    executor.wait('SHUTDOWN')
    framework.stream.wait_for_end()
    assert [status['state'] for status in framework.updates(executor.task)] == ['TASK_RUNNING']
    task = raw.wait_until(lambda: cluster.task(executor.task['task_id']['value'], 'completed_tasks'), 'its end')
    assert task['state'] == 'TASK_KILLED'
    assert task['statuses'][-1]['reason'] == 'REASON_FRAMEWORK_REMOVED'


@row('2.1 TEARDOWN')
def test_id_of_a_framework_that_was_torn_down_is_never_used_again(cluster):
    framework = cluster.framework()
    framework.teardown()
    assert framework.call('REVIVE').status == 400
    assert cluster.refused(id={'value': framework.id}) == 'Framework has been removed'


# ---------------------------------------------------------------- ACCEPT and DECLINE

@row('2.1 ACCEPT', '2.2 UPDATE')
def test_accept_launches_a_task(cluster):
    framework = cluster.framework()
    offer = framework.offer()
    task = framework.task(offer, command='exit 0')
    framework.launch(offer, task)
    status = framework.expect(task, 'TASK_STARTING', 'TASK_RUNNING', 'TASK_FINISHED')
    assert status['agent_id'] == offer['agent_id']


@row('2.1 ACCEPT')
def test_accept_without_operations_declines(cluster):
    framework = cluster.framework()
    offer = framework.offer()
    framework.do('ACCEPT', {'offer_ids': [offer['id']], 'filters': NO_FILTER})
    again = framework.offer(agent_id=offer['agent_id']['value'])
    assert again['resources'] == offer['resources'] and again['id'] != offer['id']


@row('2.1 ACCEPT')
def test_accept_of_two_offers_of_one_agent_joins_them(cluster):
    framework = cluster.framework()
    offer = framework.offer()
    agent_id = offer['agent_id']['value']
    task = framework.task(offer, command='exit 0', resources=scalars({'cpus': 3, 'mem': 64}))
    framework.launch(offer, task)
    rest = framework.offer(agent_id=agent_id)
    framework.expect(task, 'TASK_STARTING', 'TASK_RUNNING', 'TASK_FINISHED')
    freed = framework.offer(agent_id=agent_id)
    assert (amount(rest['resources'], 'cpus'), amount(freed['resources'], 'cpus')) == (1.0, 3.0)
    whole = framework.task(offer, command='exit 0', resources=scalars({'cpus': 4, 'mem': 64}))
    framework.accept([rest, freed], [{'type': 'LAUNCH', 'launch': {'task_infos': [whole]}}])
    framework.expect(whole, 'TASK_STARTING', 'TASK_RUNNING', 'TASK_FINISHED')


@row('2.1 ACCEPT')
def test_accept_of_offers_of_two_agents_launches_nothing(cluster):
    framework = cluster.framework()
    first, second = [framework.offer(agent_id=agent.id) for agent in cluster.agents]
    task = framework.task(first, command='exit 0')
    framework.accept([first, second], [{'type': 'LAUNCH', 'launch': {'task_infos': [task]}}])
    status = framework.update(task)
    assert (status['state'], status['reason']) == ('TASK_LOST', 'REASON_INVALID_OFFERS')
    assert 'uuid' not in status


@row('2.1 ACCEPT', '2.2 UPDATE')
@pytest.mark.parametrize('capabilities, state', [([], 'TASK_LOST'), (['PARTITION_AWARE'], 'TASK_DROPPED')])
def test_accept_of_an_offer_that_there_is_not_drops_the_tasks(cluster, capabilities, state):
    framework = cluster.framework(capabilities=capabilities)
    offer = dict(framework.offer(), id={'value': 'nope'})
    task = framework.task(offer, command='exit 0')
    framework.launch(offer, task)
    status = framework.update(task)
    assert (status['state'], status['source'], status['reason']) == (state, 'SOURCE_MASTER', 'REASON_INVALID_OFFERS')
    assert status['message'] == 'Task launched with invalid offers: Offer nope is no longer valid'
    assert 'uuid' not in status


@row('2.1 DECLINE')
def test_declined_offer_comes_again(cluster):
    framework = cluster.framework()
    offer = framework.offer()
    framework.decline(offer, NO_FILTER)
    again = framework.offer(agent_id=offer['agent_id']['value'])
    assert again['resources'] == offer['resources']


@row('2.1 DECLINE')
def test_unknown_offers_in_a_decline_are_skipped(cluster):
    framework = cluster.framework()
    offer = framework.offer()
    framework.do('DECLINE', {'offer_ids': [{'value': 'nope'}, offer['id']], 'filters': NO_FILTER})
    framework.offer(agent_id=offer['agent_id']['value'])


# ---------------------------------------------------------------- REVIVE and SUPPRESS

@row('2.1 REVIVE')
def test_revive_clears_filters(cluster):
    framework = cluster.framework()
    offer = framework.offer(agent_id=cluster.agents[0].id)
    framework.decline(offer, FOR_LONG)
    cluster.allocate()
    framework.fence()
    before = len(framework.offers())
    framework.do('REVIVE')
    framework.offer(agent_id=cluster.agents[0].id)
    assert len(framework.offers()) > before


@row('2.1 SUPPRESS')
def test_suppress_stops_offers_until_revive(cluster):
    framework = cluster.framework()
    for agent in cluster.agents:
        framework.offer(agent_id=agent.id)
    framework.do('SUPPRESS')
    framework.do('DECLINE', {'offer_ids': [offer['id'] for offer in framework.offers()], 'filters': NO_FILTER})
    before = len(framework.offers())
    cluster.allocate(5)
    framework.fence()
    assert len(framework.offers()) == before
    framework.do('REVIVE')
    framework.offer()


@row('2.1 SUPPRESS')
def test_suppress_keeps_the_offers_that_are_out(cluster):
    framework = cluster.framework()
    offer = framework.offer()
    framework.do('SUPPRESS')
    task = framework.task(offer, command='exit 0')
    framework.launch(offer, task)
    framework.expect(task, 'TASK_STARTING', 'TASK_RUNNING', 'TASK_FINISHED')
    assert 'RESCIND' not in framework.stream.kinds()


@row('2.1 SUPPRESS', '2.1 REVIVE')
def test_roles_are_suppressed_and_revived_one_by_one(cluster):
    framework = cluster.framework(roles=['one', 'two'], capabilities=MULTI_ROLE, suppressed_roles=['one', 'two'])
    framework.do('REVIVE', {'roles': ['two']})
    first = framework.offer()
    assert first['allocation_info'] == {'role': 'two'}
    framework.do('SUPPRESS', {'roles': ['two']})
    framework.do('REVIVE', {'roles': ['one']})
    framework.do('DECLINE', {'offer_ids': [offer['id'] for offer in framework.offers()], 'filters': NO_FILTER})
    assert framework.offer(lambda offer: offer['allocation_info']['role'] == 'one')


@row('2.1 REVIVE', '2.1 SUPPRESS')
def test_call_with_a_role_that_is_not_subscribed_does_nothing(cluster):
    framework = cluster.framework(roles=['one'], capabilities=MULTI_ROLE, suppressed_roles=['one'])
    framework.do('REVIVE', {'roles': ['one', 'other']})
    cluster.allocate(3)
    framework.fence()
    assert framework.offers() == []


# ---------------------------------------------------------------- KILL

@row('2.1 KILL', '8.3 kill')
def test_kill_reaches_the_executor_each_time(cluster):
    framework = cluster.framework()
    executor = framework.run_ready()
    task_id = executor.task['task_id']
    framework.do('KILL', {'task_id': task_id})
    framework.do('KILL', {'task_id': task_id, 'agent_id': {'value': executor.agent_id},
                          'kill_policy': {'grace_period': {'nanoseconds': 5}}})
    assert executor.wait('KILL') == {'task_id': task_id}
    assert executor.wait('KILL') == {'task_id': task_id, 'kill_policy': {'grace_period': {'nanoseconds': 5}}}


@row('2.1 KILL')
@pytest.mark.parametrize('capabilities, state', [([], 'TASK_LOST'), (['PARTITION_AWARE'], 'TASK_UNKNOWN')])
def test_kill_of_a_task_that_there_is_not_is_answered_as_a_reconciliation(cluster, capabilities, state):
    framework = cluster.framework(capabilities=capabilities)
    framework.do('KILL', {'task_id': {'value': 'nope'}})
    status = framework.update('nope')
    assert (status['state'], status['reason']) == (state, 'REASON_RECONCILIATION')
    assert status['message'] == 'Reconciliation: Task is unknown' and 'uuid' not in status


@row('2.1 KILL')
def test_kill_with_another_agent_is_ignored(cluster):
    framework = cluster.framework()
    executor = framework.run_ready()
    other = [agent.id for agent in cluster.agents if agent.id != executor.agent_id][0]
    framework.do('KILL', {'task_id': executor.task['task_id'], 'agent_id': {'value': other}})
    framework.fence()
    framework.do('MESSAGE', {'agent_id': {'value': executor.agent_id}, 'executor_id': {'value': executor.id},
                             'data': raw.encode('fence')})
    executor.wait('MESSAGE')
    assert 'KILL' not in executor.stream.kinds()


# ---------------------------------------------------------------- SHUTDOWN

@row('2.1 SHUTDOWN')
def test_shutdown_reaches_the_executor_and_ends_it_behind_its_grace(cluster):
    framework = cluster.framework()
    executor = framework.run_ready(executor_fields={'shutdown_grace_period': {'nanoseconds': 10 ** 8}})
    framework.do('SHUTDOWN', {'executor_id': {'value': executor.id}, 'agent_id': {'value': executor.agent_id}})
    assert executor.wait('SHUTDOWN') == {'type': 'SHUTDOWN'}
    failure = framework.stream.wait('FAILURE')
    assert failure['executor_id'] == {'value': executor.id}
    status = framework.update(executor.task, 'TASK_FAILED')
    assert (status['source'], status['reason']) == ('SOURCE_AGENT', 'REASON_EXECUTOR_TERMINATED')


@row('2.1 SHUTDOWN')
def test_shutdown_of_what_is_not_there_is_ignored(cluster):
    framework = cluster.framework()
    executor = framework.run_ready()
    for executor_id, agent_id in (('nope', executor.agent_id), (executor.id, 'nope')):
        framework.do('SHUTDOWN', {'executor_id': {'value': executor_id}, 'agent_id': {'value': agent_id}})
    framework.do('MESSAGE', {'agent_id': {'value': executor.agent_id}, 'executor_id': {'value': executor.id},
                             'data': raw.encode('fence')})
    executor.wait('MESSAGE')
    assert 'SHUTDOWN' not in executor.stream.kinds()


# ---------------------------------------------------------------- ACKNOWLEDGE

@row('2.1 ACKNOWLEDGE')
def test_acknowledgement_brings_the_next_update(cluster):
    framework = cluster.framework()
    executor = framework.run()
    executor.subscribe()
    executor.take(executor.task)
    executor.update(executor.task, 'TASK_STARTING')
    second = executor.update(executor.task, 'TASK_RUNNING')
    executor.acknowledged(second)
    first = framework.update(executor.task)
    framework.fence()
    assert len(framework.updates(executor.task)) == 1
    framework.acknowledge(first)
    assert framework.update(executor.task)['state'] == 'TASK_RUNNING'


@row('2.1 ACKNOWLEDGE')
def test_task_that_ended_is_forgotten_with_its_last_acknowledgement(cluster):
    framework = cluster.framework()
    executor = framework.run_ready()
    executor.update(executor.task, 'TASK_FINISHED')
    status = framework.update(executor.task, 'TASK_FINISHED')
    framework.reconcile(executor.task['task_id']['value'])
    assert framework.update(executor.task)['state'] == 'TASK_FINISHED'
    framework.acknowledge(status)
    raw.wait_until(lambda: cluster.task(executor.task['task_id']['value']) is None, 'the task to be forgotten')
    framework.reconcile(executor.task['task_id']['value'])
    assert framework.update(executor.task)['state'] == 'TASK_LOST'


@row('2.1 ACKNOWLEDGE')
@pytest.mark.parametrize('uuid', ['', 'AAAA'])
def test_acknowledgement_without_a_whole_uuid_is_refused(cluster, uuid):
    framework = cluster.framework()
    reply = framework.call('ACKNOWLEDGE', {'agent_id': {'value': 'x'}, 'task_id': {'value': 'x'}, 'uuid': uuid})
    assert (reply.status, reply.text) == (400, 'Failed to validate scheduler::Call: Not a valid UUID')


@row('2.1 ACKNOWLEDGE')
def test_acknowledgement_of_what_nobody_sent_changes_nothing(cluster):
    framework = cluster.framework()
    executor = framework.run()
    executor.subscribe()
    executor.take(executor.task)
    executor.update(executor.task, 'TASK_STARTING')
    status = framework.update(executor.task)
    framework.acknowledge(dict(status, uuid=raw.new_uuid()))
    executor.acknowledged(executor.update(executor.task, 'TASK_RUNNING'))
    framework.fence()
    assert len(framework.updates(executor.task)) == 1


# ---------------------------------------------------------------- MESSAGE, REQUEST

@row('2.1 MESSAGE', '2.2 MESSAGE')
def test_messages_go_both_ways(cluster):
    framework = cluster.framework()
    executor = framework.run_ready()
    executor.message('up')
    ids = {'agent_id': {'value': executor.agent_id}, 'executor_id': {'value': executor.id}}
    assert framework.stream.wait('MESSAGE') == dict(ids, data=raw.encode('up'))
    framework.do('MESSAGE', dict(ids, data=raw.encode('down')))
    assert executor.wait('MESSAGE') == {'data': raw.encode('down')}


@row('2.1 MESSAGE')
def test_message_to_what_is_not_there_is_dropped(cluster):
    framework = cluster.framework()
    offer = framework.offer()
    for agent_id, executor_id in (('nope', 'nope'), (offer['agent_id']['value'], 'nope')):
        framework.do('MESSAGE', {'agent_id': {'value': agent_id}, 'executor_id': {'value': executor_id}, 'data': ''})
    framework.fence()


@row('2.1 REQUEST')
def test_request_is_taken_and_changes_nothing(cluster):
    framework = cluster.framework()
    framework.do('REQUEST', {'requests': [{'resources': scalars(SMALL)}, {'agent_id': {'value': 'x'}}]})
    framework.fence()


# ---------------------------------------------------------------- UPDATE_FRAMEWORK

def changed(framework, **fields):
    return {'framework_info': dict(framework.info, id={'value': framework.id}, **fields)}


@row('2.1 UPDATE_FRAMEWORK')
def test_update_framework_changes_what_is_known_of_it(cluster):
    framework = cluster.framework()
    framework.do('UPDATE_FRAMEWORK', changed(framework, name='renamed', failover_timeout=12.5))
    info = cluster.described(framework.id)['framework_info']
    assert (info['name'], info['failover_timeout']) == ('renamed', 12.5)


@row('2.1 UPDATE_FRAMEWORK')
@pytest.mark.parametrize('field, value', [('user', 'nobody'), ('checkpoint', True), ('principal', 'me')])
def test_update_framework_cannot_change_what_is_fixed(cluster, field, value):
    framework = cluster.framework()
    reply = framework.call('UPDATE_FRAMEWORK', changed(framework, **{field: value}))
    assert reply.status == 400
    assert field in reply.text


@row('2.1 UPDATE_FRAMEWORK')
def test_update_framework_with_another_id_is_refused(cluster):
    framework = cluster.framework()
    body = changed(framework)
    body['framework_info']['id'] = {'value': 'other'}
    assert framework.call('UPDATE_FRAMEWORK', body).status == 400


@row('2.1 UPDATE_FRAMEWORK')
def test_update_framework_with_roles_that_are_none_is_refused(cluster):
    framework = cluster.framework(roles=['one'], capabilities=MULTI_ROLE)
    assert framework.call('UPDATE_FRAMEWORK', changed(framework, roles=['a b'])).status == 400


@row('2.1 UPDATE_FRAMEWORK', '2.2 RESCIND')
def test_update_framework_rescinds_the_offers_of_roles_that_are_dropped(cluster):
    framework = cluster.framework(roles=['one'], capabilities=MULTI_ROLE)
    offer = framework.offer()
    framework.do('UPDATE_FRAMEWORK', changed(framework, roles=['two']))
    framework.stream.wait('RESCIND', lambda rescind: rescind == {'offer_id': offer['id']})
    assert framework.offer(lambda each: each['allocation_info']['role'] == 'two')


@row('2.1 UPDATE_FRAMEWORK')
def test_update_framework_replaces_the_suppressed_roles(cluster):
    framework = cluster.framework(roles=['one'], capabilities=MULTI_ROLE, suppressed_roles=['one'])
    cluster.allocate()
    framework.fence()
    assert framework.offers() == []
    framework.do('UPDATE_FRAMEWORK', changed(framework))
    framework.offer()


# ---------------------------------------------------------------- inverse offers

@pytest.fixture
def maintained(cluster):
    """Plan the maintenance of the first agent; a function. The plan is dropped behind the test."""
    def plan():
        host, _, _port = cluster.agents[0].address.partition(':')
        window = {'machine_ids': [{'hostname': host, 'ip': host}], 'unavailability': {
            'start': {'nanoseconds': int(time.time() + 3600) * 10 ** 9}, 'duration': {'nanoseconds': MAINTAINED}}}
        assert cluster.operator('UPDATE_MAINTENANCE_SCHEDULE', {'schedule': {'windows': [window]}}).status == 200
        return window['unavailability']
    yield plan
    assert cluster.operator('UPDATE_MAINTENANCE_SCHEDULE', {'schedule': {}}).status == 200


def is_for(executor):
    return lambda payload: any(each['agent_id']['value'] == executor.agent_id for each in payload['inverse_offers'])


def statuses(cluster, executor):
    machines = cluster.ask('GET_MAINTENANCE_STATUS')['status'].get('draining_machines', [])
    return [each['status'] for machine in machines for each in machine.get('statuses', [])
            if each['framework_id']['value'] == executor.framework.id]


@row('2.2 INVERSE_OFFERS')
def test_agent_that_will_be_maintained_is_asked_back(cluster, maintained):
    framework = cluster.framework()
    executor = framework.run_ready()
    unavailability = maintained()
    payload = framework.stream.wait('INVERSE_OFFERS', is_for(executor))
    inverse = [each for each in payload['inverse_offers'] if each['agent_id']['value'] == executor.agent_id][0]
    assert sorted(inverse) == ['agent_id', 'framework_id', 'id', 'unavailability', 'url']
    assert inverse['unavailability'] == unavailability
    assert inverse['framework_id'] == {'value': framework.id}
    assert inverse['url']['path'] == '/slave(1)'


@row('2.1 ACCEPT_INVERSE_OFFERS', '2.1 DECLINE_INVERSE_OFFERS')
@pytest.mark.parametrize('kind, status', [('ACCEPT_INVERSE_OFFERS', 'ACCEPT'), ('DECLINE_INVERSE_OFFERS', 'DECLINE')])
def test_answer_to_an_inverse_offer_is_written_down(cluster, maintained, kind, status):
    framework = cluster.framework()
    executor = framework.run_ready()
    maintained()
    inverse_offers = framework.stream.wait('INVERSE_OFFERS', is_for(executor))['inverse_offers']
    framework.do(kind, {'inverse_offer_ids': [each['id'] for each in inverse_offers], 'filters': FOR_LONG})
    raw.wait_until(lambda: status in statuses(cluster, executor), 'the answer in the maintenance status')


@row('2.1 DECLINE_INVERSE_OFFERS')
def test_declined_inverse_offer_comes_again(cluster, maintained):
    framework = cluster.framework()
    executor = framework.run_ready()
    maintained()
    inverse_offers = framework.stream.wait('INVERSE_OFFERS', is_for(executor))['inverse_offers']
    framework.do('DECLINE_INVERSE_OFFERS', {'inverse_offer_ids': [each['id'] for each in inverse_offers],
                                            'filters': NO_FILTER})
    again = framework.stream.wait('INVERSE_OFFERS', is_for(executor))['inverse_offers']
    assert not {each['id']['value'] for each in again} & {each['id']['value'] for each in inverse_offers}


@row('2.2 RESCIND_INVERSE_OFFER')
def test_inverse_offer_is_rescinded_when_the_plan_changes(cluster, maintained):
    framework = cluster.framework()
    executor = framework.run_ready()
    maintained()
    payload = framework.stream.wait('INVERSE_OFFERS', is_for(executor))
    inverse = [each for each in payload['inverse_offers'] if each['agent_id']['value'] == executor.agent_id][0]
    assert cluster.operator('UPDATE_MAINTENANCE_SCHEDULE', {'schedule': {}}).status == 200
    framework.stream.wait('RESCIND_INVERSE_OFFER', lambda rescind: rescind['inverse_offer_id'] == inverse['id'])


@row('2.2 RESCIND', '2.2 OFFERS')
def test_offers_of_an_agent_that_will_be_maintained_are_made_anew(cluster, maintained):
    framework = cluster.framework()
    offer = framework.offer(agent_id=cluster.agents[0].id)
    unavailability = maintained()
    framework.stream.wait('RESCIND', lambda rescind: rescind['offer_id'] == offer['id'])
    again = framework.offer(lambda each: 'unavailability' in each, cluster.agents[0].id)
    assert again['unavailability'] == unavailability

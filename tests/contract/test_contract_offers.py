"""Ids, and how resources are offered (PROTOCOL 5.2, 8.1, 8.2)."""
from __future__ import absolute_import, division, print_function

import base64
import re

import pytest
import raw
from actors import FOR_LONG, NO_FILTER, SMALL, amount, scalars

row = pytest.mark.row

UUID = '[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}'


def is_like(pattern, text):
    assert re.match('(?:%s)$' % pattern, text), text
    return True


# ---------------------------------------------------------------- 8.1 ids

@row('8.1 master id')
def test_master_has_a_random_uuid(cluster):
    assert is_like(UUID, cluster.framework().subscribed['master_info']['id'])


@row('8.1 master id', '8.1 agent')
def test_master_that_is_started_again_has_another_id_and_agents_keep_theirs(own_cluster):
    cluster = own_cluster(agents=1, is_durable=True)
    before = cluster.ask('GET_MASTER')['master_info']['id']
    cluster.target.kill_master()
    cluster.target.start_master()
    assert cluster.ask('GET_MASTER')['master_info']['id'] != before
    raw.wait_until(lambda: cluster.agent(before + '-S0'), 'the agent to come back under its old id')
    assert cluster.framework().id.startswith(cluster.ask('GET_MASTER')['master_info']['id'])


@row('8.1 framework')
def test_frameworks_are_counted_under_the_masters_id(cluster):
    first, second = cluster.framework(), cluster.framework()
    assert is_like(UUID + '-[0-9]{4,}', first.id)
    master_id = first.subscribed['master_info']['id']
    numbers = [int(each.id[len(master_id) + 1:]) for each in (first, second)]
    assert numbers[1] == numbers[0] + 1


@row('8.1 framework', '8.1 agent', '8.1 offer & inverse offer')
def test_counting_begins_with_zero(own_cluster):
    cluster = own_cluster(agents=2)
    framework = cluster.framework()
    master_id = framework.subscribed['master_info']['id']
    assert framework.id == master_id + '-0000'
    offers = [framework.offer(), framework.offer()]
    assert {offer['id']['value'] for offer in offers} == {master_id + '-O0', master_id + '-O1'}
    assert {offer['agent_id']['value'] for offer in offers} == {master_id + '-S0', master_id + '-S1'}


@row('8.1 agent')
def test_agent_has_an_id_of_its_master_and_keeps_it_when_it_recovers(own_cluster):
    cluster = own_cluster(agents=1)
    framework = cluster.framework(checkpoint=True)
    agent_id = framework.offer()['agent_id']['value']
    assert is_like(UUID + '-S0', agent_id)
    cluster.target.kill_agent(0)
    cluster.target.start_agent(0)
    raw.wait_until(lambda: (cluster.agent(agent_id) or {}).get('active'), 'the agent to be back')
    assert len(cluster.ask('GET_AGENTS')['agents']) == 1


@row('8.1 offer & inverse offer')
def test_offers_have_ids_of_one_counter(cluster):
    framework = cluster.framework()
    offer = framework.offer()
    assert is_like(UUID + '-O[0-9]+', offer['id']['value'])
    framework.decline(offer, NO_FILTER)
    again = framework.offer(agent_id=offer['agent_id']['value'])
    assert int(again['id']['value'].rpartition('-O')[2]) > int(offer['id']['value'].rpartition('-O')[2])


@row('8.1 container (top level)')
def test_containers_have_uuids(cluster):
    executor = cluster.framework().run_ready()
    container_id = executor.container()['container_id']
    assert sorted(container_id) == ['value'] and is_like(UUID, container_id['value'])


@row('8.1 container (top level)')
def test_nested_container_has_the_id_that_it_was_given(cluster):
    executor = cluster.framework().run_ready()
    nested = {'value': 'my-own', 'parent': executor.container()['container_id']}
    body = {'container_id': nested, 'command': {'value': 'exec sleep 600'}}
    assert cluster.operator('LAUNCH_CONTAINER', body, executor.address).status == 200
    containers = cluster.ask('GET_CONTAINERS', {'show_nested': True}, executor.address)['containers']
    assert 'my-own' in [each['container_id']['value'] for each in containers]


@row('8.1 stream id')
def test_streams_have_uuids(cluster):
    first, second = cluster.framework(), cluster.framework()
    assert is_like(UUID, first.stream_id) and first.stream_id != second.stream_id


@row('8.1 status uuid')
def test_updates_have_16_bytes_as_uuid(cluster):
    framework = cluster.framework()
    executor = framework.run()
    executor.subscribe()
    executor.take(executor.task)
    sent = executor.update(executor.task, 'TASK_RUNNING')
    assert framework.update(executor.task)['uuid'] == sent['uuid']
    framework.do('KILL', {'task_id': executor.task['task_id']})
    offer = framework.offer()
    task = framework.task(offer, command='exit 0')
    framework.launch(offer, task)
    assert len(base64.b64decode(framework.update(task)['uuid'])) == 16


@row('8.1 sandbox')
def test_sandbox_lies_where_mesos_puts_it(cluster):
    framework = cluster.framework()
    offer = framework.offer()
    task = framework.task(offer, command='pwd > where')
    framework.launch(offer, task)
    framework.expect(task, 'TASK_STARTING', 'TASK_RUNNING', 'TASK_FINISHED')
    agent = [agent for agent in cluster.agents if agent.id == offer['agent_id']['value']][0]
    folder = '/frameworks/%s/executors/%s/runs/' % (framework.id, task['task_id']['value'])
    reply = cluster.operator('READ_FILE', {'path': folder + 'latest/where', 'offset': 0}, agent.address)
    where = raw.decode(reply.json()['read_file']['data']).strip()
    assert where.startswith(agent.work_dir)
    assert is_like('/slaves/%s%s%s' % (agent.id, folder, UUID), where[len(agent.work_dir):])


# ---------------------------------------------------------------- 8.2 when

@row('8.2 batch allocation')
def test_first_offers_come_with_the_subscription(own_cluster):
    """At once, and not with the next of the long intervals."""
    cluster = own_cluster(agents=1, allocation_interval=3600)
    framework = cluster.framework()
    framework.offer()


@row('8.2 batch allocation')
def test_revive_allocates_at_once(own_cluster):
    cluster = own_cluster(agents=1, allocation_interval=3600)
    framework = cluster.framework()
    framework.decline(framework.offer(), FOR_LONG)
    framework.do('REVIVE')
    framework.offer()


@row('8.2 batch allocation')
def test_declined_resources_wait_for_the_next_batch(own_cluster):
    cluster = own_cluster(agents=1, allocation_interval=3600)
    framework = cluster.framework()
    framework.decline(framework.offer(), NO_FILTER)
    framework.fence()
    assert len(framework.offers()) == 1


@row('8.2 batch allocation')
def test_agent_that_registers_is_offered_at_once(own_cluster):
    cluster = own_cluster(agents=1, allocation_interval=3600)
    framework = cluster.framework()
    first = framework.offer()
    cluster.target.kill_agent(0)
    cluster.target.wipe_agent(0)
    cluster.target.start_agent(0)
    assert framework.offer()['agent_id'] != first['agent_id']


@row('8.2 batch allocation')
def test_batches_go_on(cluster):
    framework = cluster.framework()
    agent_id = cluster.agents[0].id
    for _ in range(5):
        framework.decline(framework.offer(agent_id=agent_id), NO_FILTER)
    framework.offer(agent_id=agent_id)


# ---------------------------------------------------------------- 8.2 what

@row('8.2 coarse-grained', '2.2 OFFERS')
def test_offer_has_all_of_an_agent(cluster):
    framework = cluster.framework()
    offers = {offer['agent_id']['value']: offer for offer in (framework.offer(), framework.offer())}
    assert sorted(offers) == sorted(agent.id for agent in cluster.agents)
    for n, agent in enumerate(cluster.agents):
        offer = offers[agent.id]
        assert sorted(offer) == ['agent_id', 'attributes', 'framework_id', 'hostname', 'id', 'resources', 'url']
        assert offer['framework_id'] == {'value': framework.id}
        assert [amount(offer['resources'], name) for name in ('cpus', 'mem', 'disk')] == [4.0, 4096.0, 10000.0]
        first = 31000 + 400 * n
        assert {'name': 'ports', 'type': 'RANGES', 'role': '*',
                'ranges': {'range': [{'begin': first, 'end': first + 399}]}} in offer['resources']
        host, port = agent.address.split(':')
        assert offer['url'] == {'scheme': 'http', 'path': '/slave(1)',
                                'address': {'hostname': host, 'ip': host, 'port': int(port)}}


@row('8.2 coarse-grained', '2.2 OFFERS')
def test_attributes_are_shown_with_their_types(cluster):
    framework = cluster.framework()
    first, second = [framework.offer(agent_id=agent.id) for agent in cluster.agents]
    assert first['attributes'] == [{'name': 'rack', 'type': 'TEXT', 'text': {'value': 'a'}},
                                   {'name': 'zone', 'type': 'SCALAR', 'scalar': {'value': 1.0}}]
    assert second['attributes'][1] == {'name': 'zone', 'type': 'RANGES',
                                       'ranges': {'range': [{'begin': 1, 'end': 3}]}}


@row('8.2 coarse-grained')
def test_what_is_offered_to_one_is_not_offered_to_another(cluster):
    first = cluster.framework()
    offers = [first.offer(), first.offer()]
    second = cluster.framework()
    cluster.allocate(3)
    second.fence()
    assert second.offers() == []
    first.decline(offers[0], FOR_LONG)
    assert second.offer()['agent_id'] == offers[0]['agent_id']


@row('8.2 coarse-grained')
def test_remainder_of_an_agent_is_offered_beside_the_rest(cluster):
    """What a task frees is an offer of its own while the remainder is still offered."""
    framework = cluster.framework()
    offer = framework.offer()
    task = framework.task(offer, command='exit 0', resources=scalars({'cpus': 1, 'mem': 100}))
    framework.launch(offer, task)
    rest = framework.offer(agent_id=offer['agent_id']['value'])
    framework.expect(task, 'TASK_STARTING', 'TASK_RUNNING', 'TASK_FINISHED')
    freed = framework.offer(agent_id=offer['agent_id']['value'])
    assert (amount(rest['resources'], 'cpus'), amount(freed['resources'], 'cpus')) == (3.0, 1.0)


@row('8.2 coarse-grained')
def test_role_of_an_offer_is_named_to_frameworks_of_several_roles(cluster):
    framework = cluster.framework(roles=['one'], capabilities=['MULTI_ROLE'])
    offer = framework.offer()
    assert offer['allocation_info'] == {'role': 'one'}
    assert all(each['allocation_info'] == {'role': 'one'} and 'role' in each for each in offer['resources'])


@row('8.2 coarse-grained')
def test_fair_share_goes_to_who_has_less(own_cluster):
    cluster = own_cluster(agents=2)
    first = cluster.framework(role='one')
    for _ in cluster.agents:
        first.offer()
    first.do('DECLINE', {'offer_ids': [offer['id'] for offer in first.offers()], 'filters': {'refuse_seconds': 3600}})
    second = cluster.framework(role='two')
    offer = second.offer()
    second.launch(offer, second.task(offer, command='exec sleep 600', resources=scalars({'cpus': 3, 'mem': 64})),
                  filters=FOR_LONG)
    second.decline(second.offer(), NO_FILTER)
    first.do('REVIVE')
    assert first.offer()
    second.fence()


@row('8.2 minimum')
def test_less_than_the_minimum_is_not_offered(cluster):
    framework = cluster.framework()
    offer = framework.offer()
    task = framework.task(offer, command='exec sleep 600', resources=scalars({'cpus': 4, 'mem': 4096 - 16}))
    framework.launch(offer, task)
    framework.expect(task, 'TASK_STARTING', 'TASK_RUNNING')
    before = [each['agent_id'] for each in framework.offers()].count(offer['agent_id'])
    cluster.allocate(3)
    framework.fence()
    assert [each['agent_id'] for each in framework.offers()].count(offer['agent_id']) == before


@row('8.2 minimum')
@pytest.mark.parametrize('left', [{'cpus': 0.01, 'mem': 0}, {'cpus': 0, 'mem': 32}], ids=['cpus', 'mem'])
def test_the_minimum_of_either_is_offered(cluster, left):
    framework = cluster.framework()
    offer = framework.offer()
    task = framework.task(offer, command='exec sleep 600',
                          resources=scalars({'cpus': 4 - left['cpus'], 'mem': 4096 - left['mem']}))
    framework.launch(offer, task)
    rest = framework.offer(agent_id=offer['agent_id']['value'])
    assert {name: amount(rest['resources'], name) for name in left} == left


@row('8.2 no limit')
def test_offers_are_kept_until_they_are_answered(own_cluster):
    """There is neither a limit to their number nor a time after which they end."""
    cluster = own_cluster(agents=3)
    framework = cluster.framework()
    for _ in cluster.agents:
        framework.offer()
    cluster.allocate(10)
    framework.fence()
    assert len(framework.offers()) == 3 and 'RESCIND' not in framework.stream.kinds()


@row('8.2 no limit', '2.2 RESCIND')
def test_offer_that_is_not_answered_in_time_is_rescinded(own_cluster):
    cluster = own_cluster(agents=1, offer_timeout=0.5)
    framework = cluster.framework()
    offer = framework.offer()
    framework.stream.wait('RESCIND', lambda rescind: rescind == {'offer_id': offer['id']})
    framework.offer()


@row('8.2 reserved')
def test_reserved_resources_are_offered_to_their_role_and_those_below_it(own_cluster):
    cluster = own_cluster(agents=1, resources=['cpus(eng):2;mem(eng):512;cpus:1;mem:256'])
    stranger = cluster.framework(role='ops')
    offer = stranger.offer()
    assert amount(offer['resources'], 'cpus') == 1.0
    stranger.teardown()
    for role in ('eng', 'eng/web'):
        framework = cluster.framework(role=role)
        cpus = {each['role']: each['scalar']['value'] for each in framework.offer()['resources']
                if each['name'] == 'cpus'}
        assert cpus == {'*': 1.0, 'eng': 2.0}
        framework.teardown()


# ---------------------------------------------------------------- 8.2 filters

@row('8.2 filters')
def test_refused_resources_do_not_come_again(cluster):
    framework = cluster.framework()
    offer = framework.offer(agent_id=cluster.agents[0].id)
    framework.decline(offer, FOR_LONG)
    cluster.allocate(5)
    framework.fence()
    assert [each['agent_id']['value'] for each in framework.offers()].count(cluster.agents[0].id) == 1


@row('8.2 filters')
@pytest.mark.parametrize('seconds', [0, -1, 0.1])
def test_filter_ends_with_its_time(cluster, seconds):
    """A negative time counts as 5 seconds."""
    framework = cluster.framework()
    offer = framework.offer()
    framework.decline(offer, {'refuse_seconds': seconds})
    framework.offer(agent_id=offer['agent_id']['value'])


@row('8.2 filters')
def test_filter_of_an_accept_holds_for_the_remainder(cluster):
    framework = cluster.framework()
    offer = framework.offer()
    task = framework.task(offer, command='exec sleep 600')
    framework.launch(offer, task, filters=FOR_LONG)
    framework.expect(task, 'TASK_STARTING', 'TASK_RUNNING')
    cluster.allocate(3)
    framework.fence()
    assert [each['agent_id'] for each in framework.offers()].count(offer['agent_id']) == 1


@row('8.2 filters')
def test_more_than_was_refused_is_offered_again(cluster):
    framework = cluster.framework()
    offer = framework.offer()
    task = framework.task(offer, command='exec sleep 600')
    framework.launch(offer, task, filters=FOR_LONG)
    framework.expect(task, 'TASK_STARTING', 'TASK_RUNNING')
    framework.do('KILL', {'task_id': task['task_id']})
    framework.expect(task, 'TASK_KILLED')
    again = framework.offer(agent_id=offer['agent_id']['value'])
    assert amount(again['resources'], 'cpus') in (4.0, 0.1)


@row('8.2 filters')
def test_filter_holds_for_one_framework_only(cluster):
    framework = cluster.framework()
    offer = framework.offer()
    framework.decline(offer, FOR_LONG)
    other = cluster.framework()
    assert other.offer(agent_id=offer['agent_id']['value'])


@row('8.2 accept consumes')
def test_accept_consumes_its_offer_without_a_word(cluster):
    framework = cluster.framework()
    offer = framework.offer()
    task = framework.task(offer, command='exit 0')
    framework.launch(offer, task)
    framework.expect(task, 'TASK_STARTING', 'TASK_RUNNING', 'TASK_FINISHED')
    framework.fence()
    assert 'RESCIND' not in framework.stream.kinds()
    again = framework.task(offer, command='exit 0')
    framework.launch(offer, again)
    status = framework.update(again)
    assert (status['state'], status['reason']) == ('TASK_LOST', 'REASON_INVALID_OFFERS')
    assert status['message'] == ('Task launched with invalid offers: Offer %s is no longer valid'
                                 % offer['id']['value'])


@row('8.2 accept consumes')
def test_offer_of_another_framework_cannot_be_taken(cluster):
    first = cluster.framework()
    offer = first.offer()
    second = cluster.framework()
    task = second.task(offer, command='exit 0')
    second.launch(offer, task)
    assert second.update(task)['reason'] == 'REASON_INVALID_OFFERS'


@row('8.2 rescind', '2.2 RESCIND')
def test_offers_of_an_agent_that_is_lost_are_rescinded_at_once(own_cluster):
    cluster = own_cluster(agents=1)
    framework = cluster.framework()
    offer = framework.offer()
    cluster.target.kill_agent(0)
    framework.stream.wait('RESCIND', lambda rescind: rescind == {'offer_id': offer['id']})
    framework.fence()
    assert 'FAILURE' not in framework.stream.kinds()


@row('8.2 rescind', '2.2 RESCIND')
def test_offers_of_an_agent_that_is_deactivated_are_rescinded(cluster):
    framework = cluster.framework()
    agent_id = {'value': cluster.agents[0].id}
    offer = framework.offer(agent_id=cluster.agents[0].id)
    try:
        assert cluster.operator('DEACTIVATE_AGENT', {'agent_id': agent_id}).status == 200
        framework.stream.wait('RESCIND', lambda rescind: rescind == {'offer_id': offer['id']})
    finally:
        assert cluster.operator('REACTIVATE_AGENT', {'agent_id': agent_id}).status == 200
    framework.offer(agent_id=cluster.agents[0].id)


@row('8.2 suppressed')
def test_roles_can_be_suppressed_from_the_beginning(cluster):
    framework = cluster.framework(roles=['one', 'two'], capabilities=['MULTI_ROLE'], suppressed_roles=['one'])
    offers = [framework.offer(), framework.offer()]
    cluster.allocate()
    framework.fence()
    assert {offer['allocation_info']['role'] for offer in offers + framework.offers()} == {'two'}


@row('8.2 inverse offers')
def test_who_has_nothing_on_an_agent_gets_no_inverse_offer(cluster):
    framework = cluster.framework(roles=[], capabilities=['MULTI_ROLE'])
    host = cluster.agents[0].address.partition(':')[0]
    window = {'machine_ids': [{'hostname': host, 'ip': host}], 'unavailability': {'start': {'nanoseconds': 2 ** 62}}}
    try:
        assert cluster.operator('UPDATE_MAINTENANCE_SCHEDULE', {'schedule': {'windows': [window]}}).status == 200
        cluster.allocate(3)
        framework.fence()
        framework.stream.wait('HEARTBEAT')
    finally:
        assert cluster.operator('UPDATE_MAINTENANCE_SCHEDULE', {'schedule': {}}).status == 200
    assert set(framework.stream.kinds()) == {'SUBSCRIBED', 'HEARTBEAT', 'UPDATE'}


@row('8.2 coarse-grained')
def test_agents_with_gpus_are_offered_to_who_can_use_them(own_cluster):
    cluster = own_cluster(agents=1, resources=['cpus:2;mem:512;gpus:1'])
    without = cluster.framework()
    cluster.allocate(3)
    without.fence()
    assert without.offers() == []
    offer = cluster.framework(capabilities=['GPU_RESOURCES']).offer()
    assert amount(offer['resources'], 'gpus') == 1.0


@row('8.2 minimum')
def test_framework_sets_its_own_minimum(cluster):
    needs = {'min_allocatable_resources': {'quantities': [{'quantities': {'cpus': {'value': 100}}}]}}
    framework = cluster.framework(offer_filters={'*': needs})
    cluster.allocate(3)
    framework.fence()
    assert framework.offers() == []


def test_smallest_amount_is_a_thousandth(cluster):
    framework = cluster.framework()
    offer = framework.offer()
    task = framework.task(offer, command='exec sleep 600', resources=scalars(dict(SMALL, cpus=0.10049)))
    framework.launch(offer, task)
    assert amount(framework.offer(agent_id=offer['agent_id']['value'])['resources'], 'cpus') == 3.9

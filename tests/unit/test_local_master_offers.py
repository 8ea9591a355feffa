"""What offers look like, when they come and go (PROTOCOL 5.2, 8.1, 8.2)."""
from __future__ import absolute_import, division, print_function

import pytest
from local_master import Bench, command_task, executor_info, executor_task, framework_info, resources, scalar

from pymesos.local.model.effects import Timer


@pytest.fixture
def bench():
    return Bench()


def cpus(offer):
    return sum(item['scalar']['value'] for item in offer['resources'] if item['name'] == 'cpus')


def test_an_offer_has_the_fields_of_mesos_in_its_order(bench):
    attributes = [{'name': 'rack', 'type': 'TEXT', 'text': {'value': 'a'}}]
    agent = bench.agent(attributes=attributes, given=[scalar('cpus', 4), scalar('mem', 4096)])
    framework = bench.framework()
    bench.wait()
    assert framework.offers() == [{
        'id': {'value': bench.model.id + '-O0'}, 'framework_id': {'value': framework.id},
        'agent_id': {'value': agent.id}, 'hostname': '127.0.0.1',
        'url': {'scheme': 'http', 'address': {'hostname': '127.0.0.1', 'ip': '127.0.0.1', 'port': 5051},
                'path': '/slave(1)'},
        'resources': [scalar('cpus', 4, role='*'), scalar('mem', 4096, role='*')], 'attributes': attributes}]


def test_resources_are_offered_in_the_order_of_mesos(bench):
    ports = {'name': 'ports', 'type': 'RANGES', 'ranges': {'range': [{'begin': 31000, 'end': 31999}]}}
    static = [{'type': 'STATIC', 'role': 'eng'}]
    bench.agent(given=[scalar('cpus', 4), scalar('mem', 4096), scalar('disk', 100), ports,
                       scalar('mem', 100, reservations=static)])
    framework = bench.framework(framework_info(roles=['eng'], capabilities=['MULTI_ROLE', 'RESERVATION_REFINEMENT']))
    assert [(item['name'], 'reservations' in item) for item in framework.last_offer()['resources']] == [
        ('ports', False), ('mem', True), ('cpus', False), ('mem', False), ('disk', False)]


def test_an_offer_tells_of_the_domain_of_the_agent(bench):
    domain = {'fault_domain': {'region': {'name': 'r'}, 'zone': {'name': 'z'}}}
    bench.agent(domain=domain)
    framework = bench.framework()
    assert framework.last_offer()['domain'] == domain


def test_a_multi_role_framework_sees_what_role_an_offer_is_for(bench):
    bench.agent()
    framework = bench.framework(framework_info(roles=['eng'], capabilities=['MULTI_ROLE', 'RESERVATION_REFINEMENT']))
    offer = framework.last_offer()
    assert offer['allocation_info'] == {'role': 'eng'}
    assert offer['resources'] == resources(4, 4096, allocation_info={'role': 'eng'})


def test_an_offer_names_the_executors_of_the_framework_on_the_agent(bench):
    agent = bench.agent()
    framework = bench.framework()
    framework.launch(framework.last_offer(), executor_task('t1', agent.id, executor_info('shared')),
                     command_task('t2', agent.id), filters={'refuse_seconds': 0.0})
    offer = framework.last_offer()
    assert offer['executor_ids'] == [{'value': 'shared'}]
    other = bench.framework()
    framework.decline([offer], 1000)
    assert 'executor_ids' not in other.last_offer()


def test_offers_of_one_run_come_in_one_event(bench):
    bench.agent(5051)
    bench.agent(5052)
    framework = bench.framework()
    bench.wait()
    assert framework.types.count('OFFERS') == 1
    assert len(framework.offers()) == 2


def test_offer_ids_are_counted(bench):
    bench.agent(5051)
    bench.agent(5052)
    framework = bench.framework()
    bench.wait()
    assert [offer['id']['value'] for offer in framework.offers()] == [bench.model.id + '-O0', bench.model.id + '-O1']


def test_what_is_offered_is_not_offered_to_anybody_else(bench):
    bench.agent()
    one, other = bench.framework(), bench.framework()
    bench.wait(5)
    assert len(one.offers()) + len(other.offers()) == 1


def test_a_new_agent_is_offered_at_once(bench):
    framework = bench.framework()
    bench.wait(0.5)
    bench.agent()
    bench.wait()
    assert len(framework.offers()) == 1


def test_many_agents_that_come_together_share_a_run(bench):
    framework = bench.framework()
    bench.wait(0.5)
    for port in range(5051, 5061):
        bench.agent(port)
    bench.wait()
    assert framework.types.count('OFFERS') == 1
    assert len(framework.offers()) == 10


# ---- DECLINE

def test_declined_resources_wait_for_the_next_run(bench):
    bench.agent()
    framework = bench.framework()
    bench.wait(0.5)
    framework.decline(framework.offers(), 0.0)
    bench.wait(0.4)
    assert len(framework.offers()) == 1
    bench.wait(0.2)
    assert len(framework.offers()) == 2


@pytest.mark.parametrize('seconds, waited', [(None, 5), (10.0, 10), (-1.0, 5)])
def test_declined_resources_are_not_offered_again_for_a_while(bench, seconds, waited):
    bench.agent()
    framework = bench.framework()
    bench.wait(0.5)
    framework.decline(framework.offers(), seconds)
    bench.wait(waited - 0.5)
    assert len(framework.offers()) == 1
    bench.wait(2.5)
    assert len(framework.offers()) == 2


def test_declined_resources_are_offered_to_others(bench):
    bench.agent()
    one = bench.framework()
    bench.wait()
    other = bench.framework()
    one.decline(one.offers(), 1000.0)
    bench.wait(1)
    assert len(other.offers()) == 1


def test_no_rescind_follows_a_decline(bench):
    bench.agent()
    framework = bench.framework()
    framework.decline([framework.last_offer()])
    assert not framework.rescinded()


def test_declining_what_is_gone_does_nothing(bench):
    bench.agent()
    framework = bench.framework()
    offer = framework.last_offer()
    assert framework.call('DECLINE', {'offer_ids': [{'value': 'nope'}, offer['id']]}).status == 202
    assert not bench.model.offers
    assert framework.decline([offer]).status == 202


# ---- REVIVE and SUPPRESS

def test_revive_forgets_filters_and_offers_at_once(bench):
    bench.agent()
    framework = bench.framework()
    framework.decline([framework.last_offer()], 1000.0)
    bench.wait(0.5)
    assert framework.call('REVIVE').status == 202
    bench.wait()
    assert len(framework.offers()) == 2


def test_suppress_stops_offers_and_keeps_those_that_are_out(bench):
    bench.agent(5051)
    framework = bench.framework()
    offer = framework.last_offer()
    framework.call('SUPPRESS')
    bench.agent(5052)
    bench.wait(5)
    assert framework.offers() == [offer] and not framework.rescinded()
    assert offer['id']['value'] in bench.model.offers
    framework.call('REVIVE')
    bench.wait()
    assert len(framework.offers()) == 2


def test_roles_are_suppressed_and_revived_by_name(bench):
    framework = bench.framework(framework_info(roles=['a', 'b'], capabilities=['MULTI_ROLE']))
    framework.call('SUPPRESS', {'roles': ['a']})
    bench.agent(5051)
    bench.agent(5052)
    bench.wait(2)
    assert [offer['allocation_info']['role'] for offer in framework.offers()] == ['b', 'b']
    for offer in framework.offers():
        framework.decline([offer], 1000.0)
    framework.call('REVIVE', {'roles': ['a']})
    bench.wait()
    assert [offer['allocation_info']['role'] for offer in framework.offers()[2:]] == ['a', 'a']


@pytest.mark.parametrize('kind', ['REVIVE', 'SUPPRESS'])
def test_a_call_with_one_foreign_role_is_dropped(bench, kind):
    bench.agent()
    framework = bench.framework(framework_info(roles=['a'], capabilities=['MULTI_ROLE']))
    framework.decline([framework.last_offer()], 3.0)
    assert framework.call(kind, {'roles': ['a', 'foreign']}).status == 202
    bench.wait(1)
    assert len(framework.offers()) == 1
    bench.wait(4)
    assert len(framework.offers()) == 2


# ---- RESCIND

def test_an_offer_is_rescinded_after_the_timeout():
    bench = Bench(offer_timeout=10.0)
    bench.agent()
    framework = bench.framework()
    bench.wait(9)
    offer = framework.offers()[0]
    assert not framework.rescinded()
    bench.wait(1)
    assert framework.rescinded() == [offer['id']['value']]
    bench.wait(1)
    assert len(framework.offers()) == 2


def test_the_timeout_of_an_offer_that_is_used_is_called_off():
    bench = Bench(offer_timeout=10.0)
    bench.agent()
    framework = bench.framework()
    framework.decline([framework.last_offer()], 1000.0)
    assert not [key for key in bench.timers if key[0] == 'offer']
    bench.wait(20)
    assert not framework.rescinded()


def test_offers_of_an_agent_that_is_cut_off_are_rescinded_at_once(bench):
    agent = bench.agent()
    framework = bench.framework()
    offer = framework.last_offer()
    agent.disconnect()
    assert framework.rescinded() == [offer['id']['value']]
    bench.wait(5)
    assert len(framework.offers()) == 1


def test_an_operator_may_have_an_offer_rescinded(bench):
    bench.agent()
    framework = bench.framework()
    offer = framework.last_offer()
    bench.model.rescind(bench.model.offers[offer['id']['value']])
    bench.take()
    assert framework.rescinded() == [offer['id']['value']]
    assert cpus(framework.last_offer()) == 4.0


def test_a_run_goes_on_by_itself(bench):
    bench.model.on_timer(('allocate',))
    assert Timer(('allocate',), 1.0) in bench.model.effects


def test_an_agent_behind_an_ipv6_address_has_a_url(bench):
    agent = bench.agent()
    agent.state.pid = 'slave(2)@[::1]:5051'
    framework = bench.framework()
    assert framework.last_offer()['url'] == {
        'scheme': 'http', 'address': {'hostname': '127.0.0.1', 'ip': '::1', 'port': 5051}, 'path': '/slave(2)'}

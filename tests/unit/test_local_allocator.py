"""The allocator of the embedded master: who is offered what (PROTOCOL 5.2 and 8.2)."""
from __future__ import absolute_import, division, print_function

import pytest
from local_world import FakeWorld

from pymesos.errors import UsageError
from pymesos.local.model.allocator import Allocator, refused_seconds
from pymesos.local.model.amounts import allocate
from pymesos.local.model.state import Agent, Framework
from pymesos.local.options import MasterOptions
from pymesos.resources import Resources, parse

VOLUME = {'name': 'disk', 'type': 'SCALAR', 'scalar': {'value': 64.0},
          'reservations': [{'type': 'DYNAMIC', 'role': 'eng'}], 'shared': {},
          'disk': {'persistence': {'id': 'v'}, 'volume': {'mode': 'RW', 'container_path': 'p'}}}


class Cluster(object):
    """An allocator, with short ways to tell it things."""

    def __init__(self, **settings):
        self.world = FakeWorld()
        self.allocator = Allocator(self.world, MasterOptions(**settings))
        self.frameworks = {}
        self.agents = {}

    def framework(self, name, roles=('*',), capabilities=(), suppressed=(), constraints=None, **info):
        capabilities = ['MULTI_ROLE', 'RESERVATION_REFINEMENT'] if capabilities == () else capabilities
        info.update(id={'value': name}, name=name, user='', roles=list(roles), role=roles[0],
                    capabilities=[{'type': capability} for capability in capabilities])
        framework = self.frameworks[name] = Framework(name, info, 0.0)
        framework.is_active = True
        framework.suppressed = set(suppressed)
        framework.constraints = constraints
        self.allocator.add_framework(framework)
        return framework

    def agent(self, name, resources='cpus:4;mem:1024', used=None, **info):
        resources = Resources(resources) if isinstance(resources, list) else parse(resources)
        info = dict({'hostname': name}, id={'value': name}, resources=resources.to_list(), **info)
        agent = self.agents[name] = Agent(info, 'slave(1)@' + name, '1.11.0', [], 0.0)
        self.allocator.add_agent(agent, used or {})
        return agent

    def offers(self, agent_ids=None):
        """{(framework, agent, role): text of the resources} of one run."""
        return dict(((framework_id, agent_id, role), str(resources))
                    for framework_id, offers in self.allocator.allocate(agent_ids)
                    for agent_id, role, resources in offers)

    def run(self):
        """What one run hands out: {(framework, agent, role): Resources}."""
        return dict(((framework_id, agent_id, role), resources)
                    for framework_id, offers in self.allocator.allocate() for agent_id, role, resources in offers)

    def give_back(self, handed_out, filters=None):
        for (framework_id, agent_id, _role), resources in handed_out.items():
            self.allocator.recover(framework_id, agent_id, resources, filters)

    def winners(self):
        """The frameworks of one run."""
        return sorted(key[0] for key in self.run())


@pytest.fixture
def cluster():
    return Cluster()


def scalar(name, value, **more):
    return dict({'name': name, 'type': 'SCALAR', 'scalar': {'value': value}}, **more)


# Whole agents, exclusively.

def test_framework_gets_all_that_is_free_of_an_agent(cluster):
    cluster.framework('f')
    cluster.agent('a', 'cpus:4;mem:1024;ports:[1-5]')
    assert cluster.run() == {('f', 'a', '*'): allocate(parse('cpus:4;mem:1024;ports:[1-5]'), '*')}


def test_what_is_offered_is_offered_to_nobody_else(cluster):
    cluster.framework('f')
    cluster.framework('g')
    cluster.agent('a')
    assert len(cluster.run()) == 1
    assert cluster.run() == {}


def test_what_tasks_hold_is_not_offered(cluster):
    cluster.framework('f')
    cluster.agent('a', used={'f': allocate(parse('cpus:1;mem:24'), '*')})
    assert cluster.run() == {('f', 'a', '*'): allocate(parse('cpus:3;mem:1000'), '*')}


def test_what_comes_back_later_is_a_second_offer(cluster):
    cluster.framework('f')
    cluster.agent('a', used={'f': allocate(parse('cpus:1;mem:24'), '*')})
    cluster.run()
    cluster.allocator.recover('f', 'a', allocate(parse('cpus:1;mem:24'), '*'))
    assert cluster.run() == {('f', 'a', '*'): allocate(parse('cpus:1;mem:24'), '*')}


def test_only_the_agents_asked_for_are_handed_out(cluster):
    cluster.framework('f')
    cluster.agent('a')
    cluster.agent('b')
    assert list(cluster.offers(['b', 'gone'])) == [('f', 'b', '*')]


def test_agents_are_taken_in_random_order():
    orders = set()
    for seed in range(20):
        cluster = Cluster()
        cluster.world.random.seed(seed)
        cluster.framework('f')
        for name in 'abc':
            cluster.agent(name)
        orders.add(tuple(offer[0] for offer in cluster.allocator.allocate()[0][1]))
    assert len(orders) == 6


def test_too_little_is_not_offered(cluster):
    cluster.framework('f')
    cluster.agent('a', 'cpus:0.009;mem:31;disk:1000')
    assert cluster.run() == {}


@pytest.mark.parametrize('resources', ['cpus:0.01', 'mem:32'])
def test_either_minimum_is_enough(cluster, resources):
    cluster.framework('f')
    cluster.agent('a', resources)
    assert len(cluster.run()) == 1


def test_framework_sets_its_own_minimum(cluster):
    wanted = {'*': {'min_allocatable_resources': {'quantities': [{'quantities': {'cpus': {'value': 2.0}}},
                                                                 {'quantities': {'disk': {'value': 9.0}}}]}}}
    cluster.framework('f', offer_filters=wanted)
    cluster.agent('a', 'cpus:1.999;mem:1000')
    cluster.agent('b', 'cpus:2')
    cluster.agent('c', 'disk:9')
    assert sorted(agent for _, agent, _ in cluster.run()) == ['b', 'c']


def test_empty_minimum_of_a_framework_lets_everything_through(cluster):
    cluster.framework('f', offer_filters={'*': {'min_allocatable_resources': {}}})
    cluster.agent('a', 'ports:[1-2]')
    assert len(cluster.run()) == 1


# Fairness.

def test_who_has_least_comes_first(cluster):
    cluster.agent('a', used={'f': allocate(parse('cpus:2'), '*'), 'g': allocate(parse('mem:100'), '*')})
    for name in 'fg':
        cluster.framework(name)
    assert cluster.winners() == ['g']


def test_the_dominant_share_counts(cluster):
    # 1/10 of the cpus is more than 50/1000 of the memory, whatever the numbers look like.
    cluster.agent('a', 'cpus:10;mem:1000',
                  used={'f': allocate(parse('cpus:1'), '*'), 'g': allocate(parse('mem:50;cpus:0.1'), '*')})
    for name in 'fg':
        cluster.framework(name)
    assert cluster.winners() == ['g']


def test_agents_are_spread_evenly(cluster):
    for name in 'fgh':
        cluster.framework(name)
    for number in range(6):
        cluster.agent('a%d' % number)
    assert cluster.winners() == ['f', 'f', 'g', 'g', 'h', 'h']


def test_among_equals_who_was_given_less_often_comes_first(cluster):
    cluster.framework('f')
    cluster.framework('g')
    cluster.agent('a')
    winners = []
    for _ in range(4):
        handed_out = cluster.run()
        winners += [key[0] for key in handed_out]
        cluster.give_back(handed_out)
    assert winners == ['f', 'g', 'f', 'g']


def test_roles_are_compared_before_frameworks(cluster):
    for name in 'fgh':
        cluster.framework(name, roles=['eng'])
    cluster.framework('o', roles=['ops'])
    for number in range(4):
        cluster.agent('a%d' % number)
    assert cluster.winners().count('o') == 2


def test_weight_multiplies_a_roles_share(cluster):
    cluster.allocator.set_weight('eng', 3.0)
    cluster.framework('e', roles=['eng'])
    cluster.framework('o', roles=['ops'])
    for number in range(8):
        cluster.agent('a%d' % number)
    assert cluster.winners().count('e') == 6


def test_weights_of_the_options_count():
    cluster = Cluster(weights={'ops': 3.0})
    cluster.framework('e', roles=['eng'])
    cluster.framework('o', roles=['ops'])
    for number in range(8):
        cluster.agent('a%d' % number)
    assert cluster.winners().count('o') == 6


def test_roles_below_a_role_share_what_is_its(cluster):
    cluster.framework('a', roles=['eng/a'])
    cluster.framework('b', roles=['eng/b'])
    cluster.framework('o', roles=['ops'])
    for number in range(8):
        cluster.agent('n%d' % number)
    winners = cluster.winners()
    assert [winners.count(name) for name in 'abo'] == [2, 2, 4]


def test_role_shares_with_the_roles_below_it(cluster):
    cluster.framework('e', roles=['eng'])
    cluster.framework('s', roles=['eng/sub'])
    for number in range(4):
        cluster.agent('n%d' % number)
    assert cluster.winners() == ['e', 'e', 's', 's']


def test_framework_with_several_roles_has_an_offer_for_each(cluster):
    cluster.framework('f', roles=['eng', 'ops'])
    for number in range(4):
        cluster.agent('n%d' % number)
    assert sorted(role for _, _, role in cluster.run()) == ['eng', 'eng', 'ops', 'ops']


def test_framework_of_many_roles_without_a_role_has_no_offers(cluster):
    framework = Framework('f', {'id': {'value': 'f'}, 'capabilities': [{'type': 'MULTI_ROLE'}]}, 0.0)
    framework.is_active = True
    cluster.allocator.add_framework(framework)
    cluster.agent('a')
    assert cluster.run() == {}


# Reservations.

@pytest.mark.parametrize('role, has_them', [('eng', True), ('eng/sub', True), ('ops', False), ('english', False),
                                            ('*', False)])
def test_reserved_resources_go_to_their_role_and_those_below(cluster, role, has_them):
    cluster.framework('f', roles=[role])
    cluster.agent('a', 'cpus(eng):2;mem:100')
    expected = parse('cpus(eng):2;mem:100' if has_them else 'mem:100')
    assert cluster.run() == {('f', 'a', role): allocate(expected, role)}


def test_what_one_role_may_not_have_goes_to_another_in_the_same_run(cluster):
    cluster.framework('e', roles=['eng'])
    cluster.framework('o', roles=['ops'])
    cluster.agent('a', 'cpus(eng):2;cpus(ops):1')
    assert cluster.run() == {('e', 'a', 'eng'): allocate(parse('cpus(eng):2'), 'eng'),
                             ('o', 'a', 'ops'): allocate(parse('cpus(ops):1'), 'ops')}


def test_refined_reservations_need_the_capability(cluster):
    refined = [scalar('cpus', 1.0, reservations=[{'type': 'STATIC', 'role': 'eng'},
                                                 {'type': 'DYNAMIC', 'role': 'eng/a'}])]
    cluster.framework('old', roles=['eng/a'], capabilities=['MULTI_ROLE'])
    cluster.agent('a', refined)
    assert cluster.run() == {}
    cluster.framework('new', roles=['eng/a'])
    assert cluster.winners() == ['new']


def test_refined_reservations_are_not_for_the_role_above(cluster):
    cluster.framework('f', roles=['eng'])
    cluster.agent('a', [scalar('cpus', 1.0, reservations=[{'type': 'STATIC', 'role': 'eng'},
                                                          {'type': 'DYNAMIC', 'role': 'eng/a'}])])
    assert cluster.run() == {}


# Capabilities and regions.

def test_revocable_resources_need_the_capability(cluster):
    cluster.framework('plain')
    cluster.agent('a', [scalar('cpus', 1.0), scalar('cpus', 2.0, revocable={})])
    assert cluster.run()[('plain', 'a', '*')].cpus == 1
    cluster.framework('able', capabilities=['MULTI_ROLE', 'REVOCABLE_RESOURCES'])
    assert cluster.run()[('able', 'a', '*')].cpus == 2


def test_agents_with_gpus_need_the_capability(cluster):
    cluster.framework('plain')
    cluster.agent('a', 'cpus:4;gpus:1')
    assert cluster.run() == {}
    cluster.framework('able', capabilities=['MULTI_ROLE', 'GPU_RESOURCES'])
    assert cluster.winners() == ['able']


def test_gpus_can_be_left_unguarded():
    cluster = Cluster(filter_gpu_resources=False)
    cluster.framework('plain')
    cluster.agent('a', 'cpus:4;gpus:1')
    assert cluster.winners() == ['plain']


def test_shared_volumes_need_the_capability(cluster):
    cluster.framework('plain', roles=['eng'])
    cluster.agent('a', [scalar('cpus', 1.0), VOLUME])
    assert cluster.run()[('plain', 'a', 'eng')].disk == 0


def test_shared_volume_is_offered_to_one_per_run_and_again_while_it_is_held(cluster):
    able = ['MULTI_ROLE', 'SHARED_RESOURCES']
    cluster.framework('f', roles=['eng'], capabilities=able)
    cluster.framework('g', roles=['eng'], capabilities=able)
    cluster.agent('a', [scalar('cpus', 1.0), VOLUME])
    first = cluster.run()
    assert [resources.disk for resources in first.values()] == [64.0]
    assert cluster.run() == {}
    cluster.agents['a'].total = Resources([scalar('cpus', 2.0), VOLUME])
    cluster.allocator.update_agent(cluster.agents['a'])
    second = cluster.run()
    assert [(resources.cpus, resources.disk) for resources in second.values()] == [(1.0, 64.0)]
    assert set(first) != set(second)
    cluster.give_back(first)
    cluster.give_back(second)
    assert cluster.allocator.available('a') == Resources([scalar('cpus', 2.0), VOLUME])


def domain(region):
    return {'fault_domain': {'region': {'name': region}, 'zone': {'name': 'z'}}}


def test_agents_of_other_regions_need_the_capability():
    cluster = Cluster(domain=domain('here'))
    cluster.framework('plain')
    cluster.agent('near', domain=domain('here'))
    cluster.agent('far', domain=domain('there'))
    cluster.agent('nowhere')
    assert sorted(agent for _, agent, _ in cluster.run()) == ['near', 'nowhere']
    cluster.framework('able', capabilities=['MULTI_ROLE', 'REGION_AWARE'])
    assert list(cluster.run()) == [('able', 'far', '*')]


# Filters.

@pytest.mark.parametrize('filters, seconds', [
    ({}, 5.0), ({'refuse_seconds': 0}, 0.0), ({'refuse_seconds': 2}, 2.0), ({'refuse_seconds': -1.0}, 5.0),
    ({'refuse_seconds': float('nan')}, 5.0), ({'refuse_seconds': float('inf')}, 365 * 86400.0),
    ({'refuse_seconds': 1e12}, 365 * 86400.0), ({'refuse_seconds': 'x'}, 5.0)])
def test_refused_seconds_are_corrected(filters, seconds):
    assert refused_seconds(filters) == seconds


def refused(cluster, filters):
    cluster.framework('f')
    cluster.agent('a')
    cluster.give_back(cluster.run(), filters)


def test_what_was_declined_is_not_offered_until_the_filter_ends(cluster):
    refused(cluster, {'refuse_seconds': 5.0})
    cluster.world.now = 4.9
    assert cluster.run() == {}
    cluster.world.now = 5.0
    assert len(cluster.run()) == 1


def test_filter_lasts_for_one_allocation_interval_at_least(cluster):
    refused(cluster, {'refuse_seconds': 0.1})
    cluster.world.now = 0.9
    assert cluster.run() == {}
    cluster.world.now = 1.0
    assert len(cluster.run()) == 1


@pytest.mark.parametrize('filters', [None, {'refuse_seconds': 0.0}])
def test_without_a_filter_it_is_offered_at_once(cluster, filters):
    refused(cluster, filters)
    assert len(cluster.run()) == 1


def test_filter_is_for_one_framework_only(cluster):
    refused(cluster, {'refuse_seconds': 100})
    cluster.framework('g')
    assert cluster.winners() == ['g']


def test_filter_is_for_one_agent_only(cluster):
    refused(cluster, {'refuse_seconds': 100})
    cluster.agent('b')
    assert list(cluster.run()) == [('f', 'b', '*')]


def test_filter_is_for_one_role_only(cluster):
    cluster.framework('f', roles=['eng', 'ops'])
    cluster.agent('a')
    first = cluster.run()
    cluster.give_back(first, {'refuse_seconds': 100})
    second = cluster.run()
    assert sorted([role for _, _, role in first] + [role for _, _, role in second]) == ['eng', 'ops']
    cluster.give_back(second, {'refuse_seconds': 100})
    assert cluster.run() == {}


def test_more_than_was_refused_is_offered(cluster):
    cluster.framework('f')
    cluster.agent('a', used={'f': allocate(parse('cpus:1'), '*')})
    cluster.give_back(cluster.run(), {'refuse_seconds': 100})
    assert cluster.run() == {}
    cluster.allocator.recover('f', 'a', allocate(parse('cpus:1'), '*'))
    assert cluster.run()[('f', 'a', '*')].cpus == 4


def test_part_of_what_was_refused_is_not_offered(cluster):
    refused(cluster, {'refuse_seconds': 100})
    cluster.framework('g')
    kept, rest = cluster.run()[('g', 'a', '*')].take('cpus:1')
    cluster.allocator.remove_framework('g')
    cluster.allocator.recover('g', 'a', rest)
    assert kept and cluster.run() == {}


def test_two_filters_do_not_add_up(cluster):
    cluster.framework('f')
    cluster.agent('a', 'cpus:4;mem:64')
    half, rest = cluster.run()[('f', 'a', '*')].take('cpus:2')
    cluster.allocator.recover('f', 'a', half, {'refuse_seconds': 100})
    cluster.allocator.recover('f', 'a', rest, {'refuse_seconds': 100})
    assert cluster.run()[('f', 'a', '*')].cpus == 4


def test_filters_go_with_revive(cluster):
    refused(cluster, {'refuse_seconds': 100})
    cluster.allocator.revive('f')
    assert len(cluster.run()) == 1


def test_revive_for_a_role_keeps_the_filters_of_others(cluster):
    cluster.framework('f', roles=['eng', 'ops'])
    cluster.agent('a')
    cluster.give_back(cluster.run(), {'refuse_seconds': 100})
    cluster.give_back(cluster.run(), {'refuse_seconds': 100})
    cluster.allocator.revive('f', ['ops'])
    assert list(cluster.run()) == [('f', 'a', 'ops')]


def test_filters_go_when_the_framework_is_deactivated(cluster):
    refused(cluster, {'refuse_seconds': 100})
    cluster.allocator.deactivate('f')
    assert cluster.run() == {}
    cluster.allocator.activate('f')
    assert len(cluster.run()) == 1


def test_filters_stay_when_a_framework_only_changes_its_name(cluster):
    refused(cluster, {'refuse_seconds': 100})
    cluster.frameworks['f'].info['name'] = 'other'
    cluster.allocator.update_framework(cluster.frameworks['f'])
    assert cluster.run() == {}


def test_filters_of_a_role_go_when_it_is_left(cluster):
    cluster.framework('f', roles=['eng'])
    cluster.agent('a')
    cluster.give_back(cluster.run(), {'refuse_seconds': 100})
    for roles in (['ops'], ['eng']):
        cluster.frameworks['f'].info['roles'] = roles
        cluster.allocator.update_framework(cluster.frameworks['f'])
    assert list(cluster.run()) == [('f', 'a', 'eng')]


def test_filters_go_with_the_agent(cluster):
    refused(cluster, {'refuse_seconds': 100})
    cluster.allocator.remove_agent('a')
    cluster.agent('a')
    assert len(cluster.run()) == 1


def test_many_refusals_leave_few_filters(cluster):
    cluster.framework('f')
    cluster.agent('a')
    for _ in range(50):
        cluster.give_back(cluster.run(), {'refuse_seconds': 1})
        cluster.world.now += 1
    client = cluster.allocator._clients['f']
    assert len(client.filters['*']['a']) <= 2


# Suppression and activity.

def test_suppressed_framework_gets_nothing_until_it_revives(cluster):
    framework = cluster.framework('f')
    cluster.agent('a')
    cluster.allocator.suppress('f')
    assert framework.suppressed == {'*'}
    assert cluster.run() == {}
    cluster.allocator.revive('f')
    assert framework.suppressed == set()
    assert len(cluster.run()) == 1


def test_some_roles_can_be_suppressed(cluster):
    framework = cluster.framework('f', roles=['eng', 'ops'])
    cluster.agent('a')
    cluster.allocator.suppress('f', ['eng'])
    assert framework.suppressed == {'eng'}
    assert list(cluster.run()) == [('f', 'a', 'ops')]


def test_roles_suppressed_at_the_subscription_are(cluster):
    cluster.framework('f', roles=['eng', 'ops'], suppressed=['ops'])
    cluster.agent('a')
    assert list(cluster.run()) == [('f', 'a', 'eng')]


def test_update_replaces_what_is_suppressed_and_forgets_filters_of_what_is_not_any_more(cluster):
    framework = cluster.framework('f', roles=['eng'])
    cluster.agent('a')
    cluster.give_back(cluster.run(), {'refuse_seconds': 100})
    cluster.allocator.suppress('f')
    framework.suppressed = set()
    cluster.allocator.update_framework(framework)
    assert list(cluster.run()) == [('f', 'a', 'eng')]


def test_inactive_framework_gets_nothing(cluster):
    framework = cluster.framework('f')
    framework.is_active = False
    cluster.allocator.update_framework(framework)
    cluster.agent('a')
    assert cluster.run() == {}


def test_suppression_outlasts_a_disconnection(cluster):
    cluster.framework('f')
    cluster.agent('a')
    cluster.allocator.suppress('f')
    cluster.allocator.deactivate('f')
    cluster.allocator.activate('f')
    assert cluster.run() == {}


def test_inactive_agent_is_not_offered(cluster):
    cluster.framework('f')
    cluster.agent('a')
    cluster.allocator.deactivate_agent('a')
    assert cluster.run() == {}
    cluster.allocator.activate_agent('a')
    assert len(cluster.run()) == 1


def test_agent_that_registers_deactivated_is_not_offered(cluster):
    agent = cluster.agent('a')
    cluster.allocator.remove_agent('a')
    agent.is_deactivated = True
    cluster.allocator.add_agent(agent, {})
    cluster.framework('f')
    assert cluster.run() == {}


# Accounts.

def test_removed_framework_holds_on_until_what_it_held_is_recovered(cluster):
    cluster.framework('f')
    cluster.agent('a')
    handed_out = cluster.run()
    cluster.allocator.remove_framework('f')
    cluster.framework('g')
    assert cluster.run() == {}
    cluster.give_back(handed_out, {'refuse_seconds': 5})
    assert cluster.winners() == ['g']


def test_what_an_unknown_framework_holds_counts_as_its_share_once_it_is_known(cluster):
    cluster.agent('a', used={'f': allocate(parse('cpus:2'), '*')})
    cluster.framework('f')
    cluster.framework('g')
    assert cluster.winners() == ['g']


def test_what_is_held_for_a_role_that_was_left_still_counts_for_it(cluster):
    cluster.agent('a', used={'f': allocate(parse('cpus:2'), 'eng')})
    cluster.framework('e', roles=['eng'])
    cluster.framework('o', roles=['ops'])
    framework = cluster.framework('f', roles=['eng'])
    framework.info['roles'], framework.suppressed = ['dev'], {'dev'}
    cluster.allocator.update_framework(framework)
    assert cluster.winners() == ['o']
    cluster.allocator.recover('f', 'a', allocate(parse('cpus:2'), 'eng'))
    assert cluster.winners() == ['e']


def test_removed_agent_takes_what_was_held_of_it_along(cluster):
    cluster.framework('f')
    cluster.agent('a')
    handed_out = cluster.run()
    cluster.allocator.remove_agent('a')
    cluster.give_back(handed_out)
    cluster.framework('g')
    cluster.agent('a')
    # f was given something already, but holds nothing: only the count is against it.
    assert cluster.winners() == ['g']


def test_unknown_ids_do_no_harm(cluster):
    cluster.allocator.remove_framework('f')
    cluster.allocator.remove_agent('a')
    cluster.allocator.recover('f', 'a', allocate(parse('cpus:2'), '*'))
    assert cluster.allocator.holders('a') == []


def test_more_than_is_held_cannot_come_back(cluster):
    cluster.framework('f')
    cluster.agent('a')
    with pytest.raises(UsageError, match='there is no cpus'):
        cluster.allocator.recover('f', 'a', allocate(parse('cpus:2'), '*'))


def test_operation_converts_what_a_framework_holds(cluster):
    cluster.framework('f', roles=['eng'])
    cluster.agent('a', 'cpus:4')
    held = cluster.run()[('f', 'a', 'eng')]
    two, rest = held.take('cpus:2')
    reserved = allocate(parse('cpus(eng):2'), 'eng')
    cluster.allocator.convert('a', 'f', two, reserved)
    cluster.allocator.recover('f', 'a', rest + reserved)
    assert cluster.allocator.available('a') == parse('cpus:2;cpus(eng):2')
    cluster.framework('o', roles=['ops'])
    cluster.allocator.suppress('f')
    assert cluster.run() == {('o', 'a', 'ops'): allocate(parse('cpus:2'), 'ops')}


def test_operation_converts_what_nobody_holds(cluster):
    cluster.agent('a', 'cpus:4')
    cluster.allocator.convert('a', None, parse('cpus:2'), parse('cpus(eng):2'))
    assert cluster.allocator.available('a') == parse('cpus:2;cpus(eng):2')


def test_agent_that_shrinks_below_what_is_held_offers_the_rest(cluster):
    cluster.framework('f')
    agent = cluster.agent('a', 'cpus:4;mem:100', used={'f': allocate(parse('cpus:3'), '*')})
    agent.total = parse('cpus:2;mem:100')
    cluster.allocator.update_agent(agent)
    assert cluster.run() == {('f', 'a', '*'): allocate(parse('mem:100'), '*')}


def test_holders_are_those_with_offers_or_tasks(cluster):
    cluster.agent('a', used={'g': allocate(parse('cpus:1'), '*')})
    cluster.framework('f')
    cluster.run()
    assert cluster.allocator.holders('a') == ['f', 'g']


# Quota.

def test_limit_of_a_role_is_not_exceeded(cluster):
    cluster.allocator.set_quota('eng', {}, {'cpus': 3.0})
    cluster.framework('f', roles=['eng'])
    cluster.agent('a', 'cpus:2;mem:64')
    cluster.agent('b', 'cpus:2;mem:64')
    assert sorted(resources.cpus for resources in cluster.run().values()) == [1.0, 2.0]


def test_what_roles_below_hold_counts_for_a_limit_that_does_not_hold_them_back(cluster):
    cluster.allocator.set_quota('eng', {}, {'cpus': 3.0})
    cluster.agent('a', 'cpus:2')
    cluster.agent('b', 'cpus:2')
    cluster.agent('c', 'cpus:2')
    cluster.framework('f', roles=['eng/a'])
    assert sum(resources.cpus for resources in cluster.run().values()) == 6
    cluster.allocator.recover('f', 'a', allocate(parse('cpus:2'), 'eng/a'))
    cluster.allocator.recover('f', 'b', allocate(parse('cpus:2'), 'eng/a'))
    cluster.allocator.remove_framework('f')
    cluster.framework('g', roles=['eng'])
    assert sum(resources.cpus for resources in cluster.run().values()) == 1


def test_reservations_count_for_the_limit_and_are_offered_whatever_it_says(cluster):
    cluster.allocator.set_quota('eng', {}, {'cpus': 1.0})
    cluster.framework('f', roles=['eng'])
    cluster.agent('a', 'cpus(eng):2;cpus:2')
    assert cluster.run() == {('f', 'a', 'eng'): allocate(parse('cpus(eng):2'), 'eng')}


def test_limit_can_be_taken_away(cluster):
    cluster.allocator.set_quota('eng', {}, {'cpus': 0.0})
    cluster.framework('f', roles=['eng'])
    cluster.agent('a', 'cpus:2')
    assert cluster.run() == {}
    cluster.allocator.set_quota('eng', {}, {})
    assert cluster.run()[('f', 'a', 'eng')].cpus == 2


def test_what_is_guaranteed_to_a_role_is_kept_for_it(cluster):
    cluster.allocator.set_quota('eng', {'cpus': 3.0}, {})
    cluster.framework('f', roles=['ops'])
    cluster.agent('a', 'cpus:2;mem:64')
    cluster.agent('b', 'cpus:2;mem:64')
    given = cluster.run()
    assert sum(resources.cpus for resources in given.values()) == 1
    assert sum(resources.mem for resources in given.values()) == 128


def test_guarantees_are_met_before_shares_are_looked_at(cluster):
    cluster.agent('a', 'cpus:4;mem:64', used={'f': allocate(parse('cpus:1'), 'eng')})
    cluster.allocator.set_quota('eng', {'cpus': 2.0}, {'cpus': 2.0})
    cluster.framework('f', roles=['eng'])
    cluster.framework('g', roles=['ops'])
    assert cluster.run() == {('f', 'a', 'eng'): allocate(parse('cpus:1;mem:64'), 'eng'),
                             ('g', 'a', 'ops'): allocate(parse('cpus:2'), 'ops')}


# Inverse offers.

def test_refused_inverse_offer_is_filtered_for_a_while(cluster):
    cluster.framework('f')
    assert cluster.allocator.may_ask_to_leave('f', 'a')
    cluster.allocator.refuse_inverse('f', 'a', None)
    cluster.world.now = 4.9
    assert not cluster.allocator.may_ask_to_leave('f', 'a')
    cluster.world.now = 5.0
    assert cluster.allocator.may_ask_to_leave('f', 'a')


def test_filters_of_inverse_offers_go_with_revive_and_deactivation(cluster):
    cluster.framework('f')
    cluster.allocator.refuse_inverse('f', 'a', {'refuse_seconds': 100})
    cluster.allocator.revive('f')
    assert cluster.allocator.may_ask_to_leave('f', 'a')
    cluster.allocator.refuse_inverse('f', 'a', {'refuse_seconds': 100})
    cluster.allocator.deactivate('f')
    assert not cluster.allocator.may_ask_to_leave('f', 'a')
    cluster.allocator.activate('f')
    assert cluster.allocator.may_ask_to_leave('f', 'a')
    assert not cluster.allocator.may_ask_to_leave('gone', 'a')


# Runs that find nothing cost nothing, and miss nothing.

def test_agent_that_nobody_wanted_is_offered_to_who_comes_later(cluster):
    refused(cluster, {'refuse_seconds': 100})
    assert cluster.run() == {}
    cluster.framework('g', roles=['eng'])
    assert cluster.winners() == ['g']


def test_each_of_several_filters_is_noticed_when_it_ends(cluster):
    for name in 'fgh':
        cluster.framework(name)
    cluster.agent('a')
    for seconds in (30, 10, 20):
        cluster.give_back(cluster.run(), {'refuse_seconds': seconds})
    assert cluster.run() == {}
    for now in (10, 20, 30):
        cluster.world.now = now - 0.1
        assert cluster.run() == {}
        cluster.world.now = now
        handed_out = cluster.run()
        assert len(handed_out) == 1
        cluster.give_back(handed_out, {'refuse_seconds': 100})


def test_revived_framework_sees_what_it_had_refused_while_others_keep_their_filters(cluster):
    for name in 'fg':
        cluster.framework(name)
    cluster.agent('a')
    for _ in 'fg':
        cluster.give_back(cluster.run(), {'refuse_seconds': 100})
    assert cluster.run() == {}
    cluster.allocator.revive('g')
    handed_out = cluster.run()
    assert sorted(key[0] for key in handed_out) == ['g']
    cluster.give_back(handed_out, {'refuse_seconds': 50})
    assert cluster.run() == {}
    cluster.world.now = 50
    assert cluster.winners() == ['g']

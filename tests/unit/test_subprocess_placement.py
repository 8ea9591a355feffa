"""Which commands fit where: offers, constraints, the executor's share, fairness."""
from __future__ import absolute_import, division, print_function

import pytest

from pymesos.errors import UsageError
from pymesos.resources import Resources, parse
from pymesos.subprocess.framework import placement
from pymesos.subprocess.framework.placement import Capacity, Offer, Wanted, parse_constraints

SHARE = parse('cpus:0.01;mem:32')

RACK = {'name': 'rack', 'type': 'TEXT', 'text': {'value': 'r1'}}
LEVEL = {'name': 'level', 'type': 'SCALAR', 'scalar': {'value': 10.0}}
SPAN = {'name': 'span', 'type': 'RANGES', 'ranges': {'range': [{'begin': 1, 'end': 5}, {'begin': 8, 'end': 8}]}}
TAGS = {'name': 'tags', 'type': 'SET', 'set': {'item': ['ssd', 'new']}}


class Item(object):
    """What waits."""

    def __init__(self, text='cpus:1;mem:64', constraints=None, role='*', kind='k', claimed=None, wanted=None):
        self.wanted = wanted or Wanted(parse(text), parse_constraints(constraints), role, kind, SHARE)
        self.claimed = claimed


def offer(agent='a1', text='cpus:4;mem:4096', role='*', attributes=(), number=1, reserved=None):
    resources = parse(text).to_list()
    for resource in resources:
        resource['allocation_info'] = {'role': role}
        if reserved:
            resource['reservations'] = [{'type': 'STATIC', 'role': reserved}]
    return Offer({'id': {'value': '%s-%s-%d' % (agent, role, number)}, 'agent_id': {'value': agent},
                  'hostname': agent + '.example', 'allocation_info': {'role': role}, 'resources': resources,
                  'attributes': list(attributes)}, 0.0)


def place(items, offers, warm=(), avoided=()):
    """[(number of the item, agent, text of the task's resources, text of the executor's or None)]"""
    placements = placement.place(items, placement.pile_up(offers), lambda agent, kind: (agent, kind) in warm,
                                 lambda agent: agent in avoided)
    return [(items.index(found.item), found.pile.agent_id, str(found.resources.flatten()),
             found.share and str(found.share.flatten())) for found in placements]


def test_first_come_is_first_placed_and_the_executor_is_counted_once():
    items = [Item('cpus:1;mem:64') for _ in range(5)]
    assert place(items, [offer(text='cpus:4.01;mem:4096')]) == [
        (0, 'a1', 'cpus:1;mem:64', 'cpus:0.01;mem:32')] + [(n, 'a1', 'cpus:1;mem:64', None) for n in (1, 2, 3)]


def test_executor_that_is_there_takes_nothing_more():
    assert place([Item('cpus:4;mem:64')], [offer(text='cpus:4;mem:64')], warm=[('a1', 'k')]) == [
        (0, 'a1', 'cpus:4;mem:64', None)]


def test_executor_of_another_kind_is_another():
    assert place([Item(kind='other')], [offer()], warm=[('a1', 'k')])[0][3] == 'cpus:0.01;mem:32'


def test_command_that_takes_the_whole_agent_shares_it_with_the_executor():
    assert place([Item('cpus:1;mem:1024')], [offer(text='cpus:1;mem:1024')]) == [
        (0, 'a1', 'cpus:0.99;mem:992', 'cpus:0.01;mem:32')]


def test_command_shares_with_the_executor_that_runs_already():
    assert place([Item('cpus:1;mem:1024')], [offer(text='cpus:0.99;mem:992')], warm=[('a1', 'k')]) == [
        (0, 'a1', 'cpus:0.99;mem:992', None)]


def test_command_is_not_cut_by_more_than_the_executor_takes():
    assert place([Item('cpus:1;mem:1024')], [offer(text='cpus:0.98;mem:2048')], warm=[('a1', 'k')]) == []


def test_tiny_command_is_not_cut_to_nothing():
    assert place([Item('cpus:0.01;mem:8')], [offer(text='cpus:0.01;mem:100')]) == []


def test_agent_that_has_all_goes_before_one_that_is_short():
    items = [Item('cpus:4;mem:64')]
    assert place(items, [offer('a1', 'cpus:4;mem:4096'), offer('a2', 'cpus:4.01;mem:4096')])[0][1] == 'a2'


def test_warm_agent_goes_before_a_roomier_one():
    items = [Item()]
    assert place(items, [offer('a1', 'cpus:8;mem:4096'), offer('a2')], warm=[('a2', 'k')])[0][1] == 'a2'


def test_roomiest_agent_is_taken_among_equals():
    items = [Item(), Item()]
    found = place(items, [offer('a1', 'cpus:3;mem:999'), offer('a2', 'cpus:4;mem:999')],
                  warm=[('a1', 'k'), ('a2', 'k')])
    assert [agent for _, agent, _, _ in found] == ['a2', 'a1']


def test_gpus_are_left_to_those_who_want_them():
    offers = [offer('a1', 'cpus:8;mem:4096;gpus:2'), offer('a2', 'cpus:2;mem:4096')]
    assert place([Item()], offers)[0][1] == 'a2'
    assert place([Item('cpus:1;mem:64;gpus:1')], offers)[0][1] == 'a1'


def test_several_offers_of_an_agent_are_one_pile():
    offers = [offer(text='cpus:1;mem:100', number=1), offer(text='cpus:2;mem:100', number=2)]
    piles = placement.pile_up(offers)
    assert [[one.id for one in pile.offers] for pile in piles] == [['a1-*-1', 'a1-*-2']]
    assert place([Item('cpus:2.5;mem:150')], offers)[0][2] == 'cpus:2.5;mem:150'


def test_offers_of_two_roles_are_never_mixed():
    offers = [offer(text='cpus:1;mem:100', role='*'), offer(text='cpus:1;mem:100', role='eng')]
    assert place([Item('cpus:1.5;mem:64', role='eng')], offers) == []
    assert place([Item('cpus:0.5;mem:64', role='eng')], offers)[0][1] == 'a1'


def test_what_is_taken_is_what_was_offered_allocation_and_reservation_included():
    piles = placement.pile_up([offer(role='eng', reserved='eng')])
    found = placement.place([Item(role='eng')], piles, lambda *_: False, lambda _: False)[0]
    for part in (found.resources, found.share):
        assert [resource['allocation_info'] for resource in part.to_list()] == [{'role': 'eng'}] * 2
        assert [resource['reservations'] for resource in part.to_list()] == [[{'type': 'STATIC', 'role': 'eng'}]] * 2


def test_big_one_that_does_not_fit_holds_up_nothing_behind_it():
    items = [Item('cpus:64;mem:64'), Item()]
    assert [number for number, _, _, _ in place(items, [offer()])] == [1]


def test_claimed_agent_is_for_its_claimer_alone():
    items = [Item('cpus:4;mem:64', claimed='a1'), Item(), Item()]
    assert place(items, [offer('a1', 'cpus:3;mem:999')]) == []
    assert place(items, [offer('a1', 'cpus:3;mem:999'), offer('a2', 'cpus:1.01;mem:999')]) == [
        (1, 'a2', 'cpus:1;mem:64', 'cpus:0.01;mem:32')]
    assert place(items, [offer('a1', 'cpus:9;mem:999')])[0][:2] == (0, 'a1')


def test_claimer_may_go_elsewhere():
    items = [Item('cpus:4;mem:64', claimed='a1')]
    assert place(items, [offer('a2', 'cpus:5;mem:999')])[0][1] == 'a2'


def test_avoided_agent_gets_nothing():
    assert place([Item()], [offer('a1')], avoided=['a1']) == []


def test_what_does_not_fit_is_tried_once_for_all_that_want_the_same(monkeypatch):
    tried = []
    monkeypatch.setattr(placement, '_best', lambda wanted, *rest: tried.append(wanted))
    wanted = Item('cpus:64;mem:64').wanted
    place([Item(wanted=wanted) for _ in range(100)], [offer()])
    assert tried == [wanted]


# Claims.

def agents(*each):
    return [(name, name, [], parse(offered) if offered else Resources(), parse(used) if used else Resources())
            for name, offered, used in each]


def test_agent_is_claimed_where_what_we_use_and_what_is_offered_suffice():
    wanted = Item('cpus:4;mem:64').wanted
    assert placement.claim(wanted, agents(('a1', 'cpus:1;mem:999', 'cpus:2;mem:64'),
                                          ('a2', 'cpus:1;mem:999', 'cpus:4;mem:64'))) == 'a2'


def test_agent_that_comes_closest_is_claimed():
    wanted = Item('cpus:4;mem:64').wanted
    assert placement.claim(wanted, agents(('a1', '', 'cpus:5;mem:999'), ('a2', 'cpus:3;mem:999', 'cpus:2;mem:64'))) \
        == 'a2'


def test_nothing_is_claimed_where_it_would_not_help():
    assert placement.claim(Item('cpus:4;mem:64').wanted, agents(('a1', 'cpus:1;mem:999', 'cpus:2;mem:64'))) is None
    assert placement.claim(Item(constraints='rack:r1').wanted, agents(('a1', 'cpus:9;mem:999', ''))) is None


# Constraints.

@pytest.mark.parametrize('constraints,parsed', [
    (None, ()),
    ('rack:r1', (('rack', ('r1',)),)),
    ('time:12:30', (('time', ('12:30',)),)),
    (['rack:r1', ' level : 10 '], (('level', ('10',)), ('rack', ('r1',)))),
    ({'rack': 'r1', 'level': 10}, (('level', (10,)), ('rack', ('r1',)))),
    ({'rack': ['r2', 'r1']}, (('rack', ('r1', 'r2')),)),
])
def test_constraints_are_read(constraints, parsed):
    assert parse_constraints(constraints) == parsed


@pytest.mark.parametrize('constraints', ['rack', 5, ['rack'], [5], {'rack': None}, {'': 'r1'}, {'rack': []}, {5: 'r1'}])
def test_unreadable_constraints_are_refused_with_the_forms(constraints):
    with pytest.raises(UsageError) as caught:
        parse_constraints(constraints)
    assert "expected 'attribute:value', a list of such, or a dict of attribute to value" in str(caught.value)


@pytest.mark.parametrize('constraints,is_met', [
    ('rack:r1', True), ('rack:r2', False), ('row:r1', False), ({'rack': ['r2', 'r1']}, True),
    ('level:10', True), ('level:10.0', True), ('level:9', False), ('level:high', False), ({'level': 10}, True),
    ('span:1', True), ('span:5', True), ('span:6', False), ('span:8', True), ('span:x', False),
    ('tags:ssd', True), ('tags:hdd', False),
    ('hostname:h', True), ('hostname:other', False),
    (['rack:r1', 'level:10'], True), (['rack:r1', 'level:11'], False),
])
def test_attributes_meet_constraints(constraints, is_met):
    assert placement.is_satisfied(parse_constraints(constraints), [RACK, LEVEL, SPAN, TAGS], 'h') is is_met


def test_one_of_several_attributes_of_a_name_suffices():
    other = {'name': 'rack', 'type': 'TEXT', 'text': {'value': 'r2'}}
    assert placement.is_satisfied(parse_constraints('rack:r2'), [RACK, other])
    assert not placement.is_satisfied(parse_constraints(['rack:r2', 'rack:r3']), [RACK, other])


def test_attribute_called_hostname_goes_before_the_host():
    attribute = {'name': 'hostname', 'type': 'TEXT', 'text': {'value': 'x'}}
    assert placement.is_satisfied(parse_constraints('hostname:x'), [attribute], 'h')
    assert not placement.is_satisfied(parse_constraints('hostname:h'), [attribute], 'h')


def test_unsuitable_agent_gets_nothing():
    assert place([Item(constraints='rack:r1')], [offer('a1'), offer('a2', attributes=[RACK])])[0][1] == 'a2'


# What no agent can ever hold.

def test_what_an_agent_can_hold_needs_no_explanation():
    assert placement.explain(Item('cpus:4;mem:4096').wanted, [Capacity('h', [], parse('cpus:4;mem:4096'))]) is None


def test_explanation_tells_what_is_asked_and_what_the_largest_have():
    capacities = [Capacity('h%d' % cpus, [], parse('cpus:%d;mem:100' % cpus)) for cpus in (1, 4, 2, 3)]
    assert placement.explain(Item('cpus:64;mem:64').wanted, capacities) == (
        'no agent can hold cpus:64;mem:64, and cpus:0.01;mem:32 for the executor: the largest of 4 have '
        'cpus:4;mem:100 on h4, cpus:3;mem:100 on h3, cpus:2;mem:100 on h2')


def test_explanation_tells_of_attributes_and_role():
    capacities = [Capacity('h', [LEVEL], parse('cpus:4;mem:100'))]
    assert placement.explain(Item(constraints='rack:r1', role='eng').wanted, capacities) == (
        'no agent can hold cpus:1;mem:64 (rack:r1, role eng): none of 1 has the attributes')


def test_explanation_counts_what_is_reserved_for_the_role_or_one_above_it():
    capacities = [Capacity('h', [], parse('cpus(eng):4;mem:100'))]
    assert placement.explain(Item(role='eng').wanted, capacities) is None
    assert placement.explain(Item(role='eng/web').wanted, capacities) is None
    assert 'cpus:0;mem:100 on h' in placement.explain(Item().wanted, capacities)

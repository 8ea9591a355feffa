"""Laws that pymesos.resources keeps for whatever resources there are."""
from __future__ import absolute_import, division, print_function

import json

from hypothesis import assume, given
from hypothesis import strategies as st

from pymesos.errors import UsageError
from pymesos.resources import Resources, parse

ROLES = st.sampled_from(['eng', 'ops', 'eng/web'])
RESERVATIONS = st.one_of(
    st.just({}), st.just({'role': '*'}),
    st.builds(lambda role: {'role': role}, ROLES),
    st.builds(lambda role, principal: {'role': role, 'reservation': {'principal': principal}},
              ROLES, st.sampled_from('ab')),
    st.builds(lambda role: {'reservations': [{'type': 'DYNAMIC', 'role': role}]}, ROLES))
FIELDS = st.builds(
    lambda reservation, others: dict(others, **reservation), RESERVATIONS,
    st.sampled_from([{}, {'allocation_info': {'role': 'eng'}}, {'revocable': {}}, {'provider_id': {'value': 'p'}},
                     {'disk': {'persistence': {'id': 'v'}}}, {'disk': {'persistence': {'id': 'v'}}, 'shared': {}}]))
SCALARS = st.builds(lambda name, value: {'name': name, 'type': 'SCALAR', 'scalar': {'value': value}},
                    st.sampled_from(['cpus', 'mem', 'gpus']), st.integers(0, 10 ** 7).map(lambda value: value / 1000))


def ranges_strategy(low, high):
    pairs = st.lists(st.tuples(st.integers(low, high), st.integers(0, 20)), max_size=4)
    return pairs.map(lambda found: {'name': 'ports', 'type': 'RANGES', 'ranges': {
        'range': [{'begin': begin, 'end': begin + length} for begin, length in found]}})


def sets_strategy(letters):
    return st.lists(st.sampled_from(letters), max_size=3).map(
        lambda found: {'name': 'disks', 'type': 'SET', 'set': {'item': found}})


def resources_strategy(low, high, letters):
    one = st.one_of(SCALARS, ranges_strategy(low, high), sets_strategy(letters))
    return st.lists(st.builds(lambda resource, fields: dict(resource, **fields), one, FIELDS), max_size=6)


# Two strategies whose ranges and sets have nothing in common: a sum forgets that a port was there twice.
ONES, OTHERS = resources_strategy(0, 500, 'abc'), resources_strategy(1000, 1500, 'xyz')


@given(ONES, OTHERS)
def test_adding_and_subtracting_leaves_what_was_there(one, other):
    one, other = Resources(one), Resources(other)
    assert (one + other) - other == one
    assert (one + other) - one == other


@given(ONES, ONES, ONES)
def test_addition_has_no_order(one, other, third):
    one, other, third = Resources(one), Resources(other), Resources(third)
    assert one + other == other + one
    assert (one + other) + third == one + (other + third)
    assert one + Resources() == one


@given(ONES, ONES)
def test_a_sum_contains_its_parts_and_a_difference_works_just_then(one, other):
    one, other = Resources(one), Resources(other)
    assert one in one + other and other in one + other
    try:
        left = one - other
    except UsageError:
        assert other not in one
    else:
        assert other in one
        assert left + other == one


@given(ONES, ONES)
def test_take_loses_nothing(one, other):
    one, other = Resources(one), Resources(other)
    assume(not any('shared' in resource for resource in one.to_list()))
    assert one.has(one)
    if one.has(other):
        taken, rest = one.take(other)
        assert taken + rest == one
        for name in ('cpus', 'mem', 'gpus', 'disk'):
            assert taken.scalar(name) == other.scalar(name)
        assert taken.ports == other.ports and taken.set('disks') == other.set('disks')


@given(ONES)
def test_what_is_written_reads_the_same(one):
    resources = Resources(one)
    assert Resources(resources.to_list()) == resources
    assert Resources(resources.to_list(refined=False)) == resources
    assert parse(json.dumps(resources.to_list())) == resources
    assert hash(Resources(resources.to_list())) == hash(resources)


@given(st.lists(st.one_of(SCALARS, ranges_strategy(0, 500), sets_strategy('abc')), max_size=6))
def test_text_of_plain_resources_reads_the_same(plain):
    resources = Resources(plain)
    assert parse(str(resources)) == resources


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 20)), max_size=12),
       st.lists(st.tuples(st.integers(0, 300), st.integers(0, 20)), max_size=12))
def test_ranges_behave_as_sets_of_numbers_and_are_normalised(one, other):
    def resources(pairs):
        return Resources([{'name': 'ports', 'type': 'RANGES', 'ranges': {
            'range': [{'begin': begin, 'end': begin + length} for begin, length in pairs]}}])

    def numbers(pairs):
        return set(number for begin, end in pairs for number in range(begin, end + 1))

    first, second = resources(one), resources(other)
    ports = numbers((begin, begin + length) for begin, length in one)
    others = numbers((begin, begin + length) for begin, length in other)
    assert numbers(first.ports) == ports
    assert numbers((first + second).ports) == ports | others
    assert first.contains(second) == (others <= ports)
    if others <= ports:
        assert numbers((first - second).ports) == ports - others
    for pairs in (first.ports, (first + second).ports):
        assert all(left[1] + 1 < right[0] for left, right in zip(pairs, pairs[1:]))
        assert all(begin <= end for begin, end in pairs)


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 20)), max_size=8), st.integers(0, 60))
def test_take_ports_gives_so_many_or_refuses(pairs, count):
    offered = Resources([{'name': 'ports', 'type': 'RANGES', 'ranges': {
        'range': [{'begin': begin, 'end': begin + length} for begin, length in pairs]}}])
    there = sum(end - begin + 1 for begin, end in offered.ports)
    try:
        taken, rest = offered.take_ports(count)
    except UsageError:
        assert count > there
    else:
        assert count == sum(end - begin + 1 for begin, end in taken.ports) <= there
        assert taken + rest == offered


@given(st.lists(st.integers(0, 10 ** 7), min_size=1, max_size=20))
def test_scalars_add_without_error(thousandths):
    total = Resources()
    for value in thousandths:
        total = total + [{'name': 'cpus', 'type': 'SCALAR', 'scalar': {'value': value / 1000}}]
    assert total.cpus == sum(thousandths) / 1000
    for value in thousandths:
        total = total - [{'name': 'cpus', 'type': 'SCALAR', 'scalar': {'value': value / 1000}}]
    assert not total

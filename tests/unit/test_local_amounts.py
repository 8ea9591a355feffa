"""pymesos.local.model.amounts: formats, allocation, and what operations make of resources."""
from __future__ import absolute_import, division, print_function

import copy

import pytest

from pymesos.errors import UsageError
from pymesos.local import convert
from pymesos.local.model import amounts, state
from pymesos.resources import Resources, parse

DYNAMIC = {'type': 'DYNAMIC', 'role': 'eng', 'principal': 'me', 'labels': {'labels': [{'key': 'k'}]}}
INNER = {'type': 'DYNAMIC', 'role': 'eng/fe'}
DISK = {'persistence': {'id': 'p'}, 'volume': {'mode': 'RW', 'container_path': 'x'}}
PATH = {'type': 'PATH', 'path': {'root': '/mnt'}}


def scalar(name, value, **fields):
    return dict(fields, name=name, type='SCALAR', scalar={'value': float(value)})


def operation(kind, **body):
    return {'type': kind, kind.lower(): body}


def make_framework(*capabilities):
    info = {'user': 'u', 'name': 'n', 'capabilities': [{'type': name} for name in capabilities]}
    return state.Framework('F', convert.read('FrameworkInfo', info), 0)


# Allocation.

def test_allocated_resources_are_others_and_back():
    plain = parse('cpus:4;cpus(eng):1;ports:[1-3];devs:{a}')
    allocated = amounts.allocate(plain, 'eng')
    assert all(item['allocation_info'] == {'role': 'eng'} for item in allocated.to_list())
    assert not plain.contains(allocated) and amounts.unallocate(allocated) == plain
    assert amounts.allocate(allocated, 'x') == amounts.allocate(plain, 'x')


def test_what_differs_only_in_its_allocation_becomes_one():
    both = amounts.allocate(parse('cpus:1;ports:[1-2]'), 'a') + amounts.allocate(parse('cpus:2;ports:[5-6]'), 'b')
    assert amounts.unallocate(both) == parse('cpus:3;ports:[1-2,5-6]')


def test_quantities_count_all_kinds_of_a_name():
    resources = parse('cpus:1.5;cpus(eng):1;ports:[1-3,7-7];devs:{a,b}') + Resources(
        [scalar('disk', 5, disk=DISK, role='eng', shared={})] * 2)
    assert amounts.quantities(resources) == {'cpus': 2500, 'ports': 4, 'devs': 2, 'disk': 10000}
    assert amounts.quantities(Resources()) == {}


# Formats.

@pytest.mark.parametrize('given, kept', [
    ({}, {}), ({'role': '*'}, {}), ({'role': 'eng'}, {'reservations': [{'type': 'STATIC', 'role': 'eng'}]}),
    ({'role': 'eng', 'reservation': {'principal': 'me'}},
     {'reservations': [{'type': 'DYNAMIC', 'role': 'eng', 'principal': 'me'}]}),
    ({'reservations': [DYNAMIC, INNER]}, {'reservations': [DYNAMIC, INNER]}),
    ({'role': 'eng', 'reservation': {'principal': 'me'}, 'reservations': [DYNAMIC]}, {'reservations': [DYNAMIC]}),
])
def test_resource_is_kept_in_the_refined_format(given, kept):
    given = scalar('cpus', 1, **given)
    before = copy.deepcopy(given)
    assert amounts.refined(given) == scalar('cpus', 1, **kept) and given == before
    assert amounts.refined(given, 'r') == scalar('cpus', 1, allocation_info={'role': 'r'}, **kept)
    mine = dict(given, allocation_info={'role': 'mine'})
    assert amounts.refined(mine, 'r')['allocation_info'] == {'role': 'mine'}


def test_offer_is_shown_in_the_format_that_the_framework_knows():
    resources = amounts.allocate(Resources([scalar('cpus', 1), scalar('mem', 5, reservations=[DYNAMIC])]), 'eng')
    role = {'allocation_info': {'role': 'eng'}}
    older = {'role': 'eng', 'reservation': {'principal': 'me', 'labels': DYNAMIC['labels']}}
    assert amounts.to_offer_format(resources, make_framework()) == [
        scalar('cpus', 1, role='*'), scalar('mem', 5, **older)]
    assert amounts.to_offer_format(resources, make_framework('MULTI_ROLE')) == [
        scalar('cpus', 1, role='*', **role), scalar('mem', 5, **dict(older, **role))]
    assert amounts.to_offer_format(resources, make_framework('RESERVATION_REFINEMENT')) == [
        scalar('cpus', 1), scalar('mem', 5, reservations=[DYNAMIC])]
    assert amounts.to_offer_format(resources, make_framework('MULTI_ROLE', 'RESERVATION_REFINEMENT')) == [
        scalar('cpus', 1, **role), scalar('mem', 5, reservations=[DYNAMIC], **role)]


def test_launch_is_adopted_with_allocations_framework_id_and_type_of_health_check():
    tasks = [
        {'resources': [scalar('cpus', 1, role='*')], 'executor': {'resources': [scalar('mem', 1)]},
         'health_check': {'command': {'value': 'x'}}},
        {'executor': {'framework_id': {'value': 'other'}}, 'health_check': {'http': {'port': 1}}},
        {'health_check': {'tcp': {'port': 1}}}, {'health_check': {'type': 'TCP', 'http': {'port': 1}}}]
    given = operation('LAUNCH', task_infos=tasks)
    before = copy.deepcopy(given)
    adopted = amounts.adopted(given, 'r', 'F')['launch']['task_infos']
    assert given == before
    role = {'allocation_info': {'role': 'r'}}
    assert adopted[0]['resources'] == [scalar('cpus', 1, **role)]
    assert adopted[0]['executor'] == {'resources': [scalar('mem', 1, **role)], 'framework_id': {'value': 'F'}}
    assert adopted[1]['executor']['framework_id'] == {'value': 'other'}
    assert [task['health_check'].get('type') for task in adopted] == ['COMMAND', 'HTTP', None, 'TCP']


def test_group_is_adopted_with_allocations_alone():
    executor = {'executor_id': {'value': 'e'}, 'resources': [scalar('cpus', 1)]}
    task = {'resources': [scalar('mem', 1)], 'executor': executor, 'health_check': {'http': {'port': 1}}}
    given = operation('LAUNCH_GROUP', executor=executor, task_group={'tasks': [task]})
    before = copy.deepcopy(given)
    adopted = amounts.adopted(given, 'r', 'F')['launch_group']
    assert given == before
    role = {'allocation_info': {'role': 'r'}}
    assert adopted['executor'] == dict(executor, resources=[scalar('cpus', 1, **role)])
    assert adopted['task_group']['tasks'] == [{
        'resources': [scalar('mem', 1, **role)], 'executor': adopted['executor'],
        'health_check': {'http': {'port': 1}}}]
    assert amounts.adopted(operation('LAUNCH'), 'r', 'F') == operation('LAUNCH')
    empty = operation('LAUNCH_GROUP', executor={}, task_group={})
    assert amounts.adopted(empty, 'r', 'F') == empty


@pytest.mark.parametrize('kind, names', [
    ('RESERVE', ['resources', 'source']), ('UNRESERVE', ['resources']), ('CREATE', ['volumes']),
    ('DESTROY', ['volumes']), ('GROW_VOLUME', ['volume', 'addition']), ('SHRINK_VOLUME', ['volume']),
    ('CREATE_DISK', ['source']), ('DESTROY_DISK', ['source'])])
def test_other_operations_are_adopted_in_all_their_resources(kind, names):
    is_list = kind in ('RESERVE', 'UNRESERVE', 'CREATE', 'DESTROY')
    given = dict((name, [scalar('disk', 1)] if is_list else scalar('disk', 1)) for name in names)
    adopted = amounts.adopted({'type': kind, 'id': {'value': 'o'}, kind.lower(): given}, 'r', 'F')
    item = scalar('disk', 1, allocation_info={'role': 'r'})
    assert adopted == {'type': kind, 'id': {'value': 'o'}, kind.lower(): dict(
        (name, [item] if is_list else item) for name in names)}
    assert amounts.adopted({'type': kind, kind.lower(): given}, None, None)[kind.lower()] == given


# Operations.

PLAIN = Resources([scalar('cpus', 4), scalar('disk', 100), scalar('disk', 50, disk={'source': PATH})])


def test_reserve_and_unreserve_push_and_pop_one_reservation():
    outer, inner = [scalar('cpus', 2, reservations=[DYNAMIC])], [scalar('cpus', 1, reservations=[DYNAMIC, INNER])]
    once = amounts.converted(PLAIN, operation('RESERVE', resources=outer))
    assert once == PLAIN - [scalar('cpus', 2)] + outer
    twice = amounts.converted(once, operation('RESERVE', resources=inner))
    assert twice == once - [scalar('cpus', 1, reservations=[DYNAMIC])] + inner
    back = amounts.converted(twice, operation('UNRESERVE', resources=inner))
    assert amounts.converted(back, operation('UNRESERVE', resources=outer)) == PLAIN


def test_reserve_may_name_what_it_is_made_from():
    given = operation('RESERVE', source=[scalar('cpus', 1)],
                      resources=[scalar('cpus', 1, reservations=[DYNAMIC, INNER])])
    assert amounts.converted(PLAIN, given) == PLAIN - [scalar('cpus', 1)] + given['reserve']['resources']


@pytest.mark.parametrize('disk, rest', [(DISK, {}), (dict(DISK, source=PATH), {'disk': {'source': PATH}})])
@pytest.mark.parametrize('shared', [{}, {'shared': {}}])
def test_create_and_destroy_are_each_others_opposite(disk, rest, shared):
    total = PLAIN + [scalar('disk', 20, reservations=[DYNAMIC], **rest)]
    volume = scalar('disk', 5, reservations=[DYNAMIC], disk=disk, **shared)
    made = amounts.converted(total, operation('CREATE', volumes=[volume]))
    assert made == total - [scalar('disk', 5, reservations=[DYNAMIC], **rest)] + [volume]
    assert amounts.converted(made, operation('DESTROY', volumes=[volume])) == total


def test_volume_grows_and_shrinks():
    stack = [DYNAMIC]
    volume, plain = scalar('disk', 5.1, reservations=stack, disk=DISK), scalar('disk', 20, reservations=stack)
    total = PLAIN + [volume, plain]
    grown = amounts.converted(total, operation('GROW_VOLUME', volume=volume,
                                               addition=scalar('disk', 0.2, reservations=stack)))
    assert grown == PLAIN + [scalar('disk', 5.3, reservations=stack, disk=DISK),
                             scalar('disk', 19.8, reservations=stack)]
    shrunk = amounts.converted(grown, operation(
        'SHRINK_VOLUME', volume=scalar('disk', 5.3, reservations=stack, disk=DISK), subtract={'value': 0.2}))
    assert shrunk == total


def test_conversions_tell_each_step_and_what_must_not_stay():
    volumes = [scalar('disk', 1, reservations=[DYNAMIC], disk=dict(DISK, persistence={'id': name})) for name in 'ab']
    steps = amounts.conversions(operation('DESTROY', volumes=volumes))
    assert [step.consumed for step in steps] == [Resources([volume]) for volume in volumes]
    assert [step.volume for step in steps] == volumes
    assert amounts.conversions(operation('DESTROY_DISK', source=volumes[0])) == []
    assert amounts.converted(PLAIN, operation('CREATE_DISK', source=volumes[0], target_type='MOUNT')) is PLAIN


def test_what_is_not_there_cannot_be_converted():
    with pytest.raises(UsageError):
        amounts.converted(PLAIN, operation('RESERVE', resources=[scalar('cpus', 9, reservations=[DYNAMIC])]))

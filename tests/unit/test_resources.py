"""pymesos.resources: reading, accounts, serving tasks, both reservation formats."""
from __future__ import absolute_import, division, print_function

import copy
import json
import pickle

import pytest
from addict import Dict

from pymesos.errors import UsageError
from pymesos.resources import Resources, parse


def scalar(name, value, **fields):
    return dict(fields, name=name, type='SCALAR', scalar={'value': value})


def ranges(name, *pairs, **fields):
    return dict(fields, name=name, type='RANGES', ranges={'range': [{'begin': b, 'end': e} for b, e in pairs]})


def items(name, *values):
    return {'name': name, 'type': 'SET', 'set': {'item': list(values)}}


DYNAMIC = {'type': 'DYNAMIC', 'role': 'eng', 'principal': 'me', 'labels': {'labels': [{'key': 'k', 'value': 'v'}]}}
STATIC = {'type': 'STATIC', 'role': 'eng'}
VOLUME = {'persistence': {'id': 'v1', 'principal': 'me'}, 'volume': {'mode': 'RW', 'container_path': 'data'}}


# Reading text.

def test_text_of_each_type_is_read():
    resources = parse('cpus:4;mem:1024.5;ports:[1-5,7-9];disks:{a,b}')
    assert (resources.cpus, resources.mem, resources.disk, resources.gpus) == (4.0, 1024.5, 0.0, 0.0)
    assert resources.ports == [(1, 5), (7, 9)]
    assert resources.set('disks') == {'a', 'b'}


def test_text_may_have_spaces_an_end_semicolon_and_empty_lists():
    spaced = ' cpus : 4 ; ports : [ 1 - 5 , 7-9 ] ; disks : { a , b } ;'
    assert parse(spaced) == parse('cpus:4;ports:[1-5,7-9];disks:{a,b}')
    assert parse('') == parse(' ; ') == parse('ports:[];disks:{}') == Resources()


def test_text_with_a_role_is_a_static_reservation():
    assert parse('cpus(eng/web):2;cpus:1').to_list() == [
        scalar('cpus', 2.0, reservations=[{'type': 'STATIC', 'role': 'eng/web'}]), scalar('cpus', 1.0)]


def test_text_with_the_star_role_is_unreserved():
    assert parse('cpus(*):2') == parse('cpus:2')


def test_json_text_is_read():
    text = ' ' + json.dumps([scalar('cpus', 2, role='eng'), ranges('ports', (1, 2))])
    assert parse(text) == parse('cpus(eng):2;ports:[1-2]')


EXPECTED = 'expected a number, ranges as in [1-5,7-9] or a set as in {a,b}'


@pytest.mark.parametrize('text, complaint', [
    ('cpus', "cannot read the resource 'cpus': expected name:value or name(role):value"),
    ('cpus:', "cannot read the resource 'cpus:': " + EXPECTED),
    ('mem:1;cpus:four', "cannot read the resource 'cpus:four': " + EXPECTED),
    ('cpus:-1', "cannot read the resource 'cpus:-1': " + EXPECTED),
    ('cpus:1_0', "cannot read the resource 'cpus:1_0': " + EXPECTED),
    ('cpus:nan', "cannot read the resource 'cpus:nan': " + EXPECTED),
    ('cpus:1e999', "cannot read the resource 'cpus:1e999': inf is not a quantity"),
    ('ports:[5]', "cannot read the resource 'ports:[5]': expected ranges as in [1-5,7-9]"),
    ('ports:[5-1]', "cannot read the resource 'ports:[5-1]': 5-1 is not a range"),
    ('cpus():1', "cannot read the resource 'cpus():1': expected name:value or name(role):value"),
    (':1', "cannot read the resource ':1': expected name:value or name(role):value"),
])
def test_text_that_cannot_be_read_is_quoted(text, complaint):
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert str(caught.value) == complaint


def test_json_that_cannot_be_read_is_quoted():
    with pytest.raises(UsageError) as caught:
        parse('[{"name"')
    assert str(caught.value).startswith('cannot read the resources \'[{"name"\': not JSON: ')


# Reading Resource dicts.

@pytest.mark.parametrize('resource, complaint', [
    ('cpus', "expected an object with a field name, not 'cpus'"),
    ({'type': 'SCALAR'}, 'it has no field name'),
    ({'name': 'cpus'}, 'it has no field type'),
    ({'name': 'x', 'type': 'TEXT', 'text': {'value': 'y'}}, "its type is 'TEXT', expected SCALAR, RANGES or SET"),
    ({'name': 'x', 'type': ['SCALAR']}, 'unhashable'),
    ({'name': 'cpus', 'type': 'SCALAR'}, 'it has no field scalar'),
    ({'name': 'cpus', 'type': 'SCALAR', 'scalar': 5}, 'expected an object with a field value, not 5'),
    ({'name': 'cpus', 'type': 'SCALAR', 'scalar': {}}, 'it has no field value'),
    (scalar('cpus', -1), '-1 is negative'),
    (scalar('cpus', float('nan')), 'nan is not a quantity'),
    (scalar('cpus', 'much'), 'much'),
    (ranges('ports', (5, 1)), '5-1 is not a range'),
    (ranges('ports', (-5, 1)), '-5-1 is not a range'),
    (ranges('ports', (1.5, 2)), '1.5-2 is not a range'),
    (items('disks', 5), 'the items of a set are text'),
    (scalar('cpus', 1, reservation={}), 'it has a reservation, which needs a role'),
    (scalar('cpus', 1, role='*', reservation={}), 'it has a reservation, which needs a role'),
    (scalar('cpus', 1, reservations=[{'type': 'STATIC'}]), 'it has no field role'),
    (scalar('cpus', 1, role='ops', reservations=[STATIC]), "its role is 'ops', but its reservation is for 'eng'"),
    (scalar('cpus', 1, disk='big'), 'get'),
    (scalar('cpus', 1, disk=set()), 'JSON'),
])
def test_a_resource_that_cannot_be_read_is_named_with_its_fault(resource, complaint):
    with pytest.raises(UsageError) as caught:
        Resources([scalar('mem', 1), resource])
    text = str(caught.value)
    assert text.startswith('cannot read the resource ')
    assert complaint in text


def test_a_long_resource_is_cut_in_the_complaint():
    with pytest.raises(UsageError) as caught:
        Resources([scalar('x' * 5000, -1)])
    assert len(str(caught.value)) < 300


def test_addict_dicts_are_read_and_left_alone():
    offer = Dict(resources=[scalar('cpus', 1, role='*'), ranges('ports', (1, 2))])
    before = copy.deepcopy(offer)
    assert Resources(offer.resources) == parse('cpus:1;ports:[1-2]')
    assert offer == before


def test_numbers_may_be_text_as_mesos_takes_them():
    assert Resources([scalar('cpus', '1.5')]).cpus == 1.5


def test_large_integers_keep_every_digit_in_accounts():
    large = 2 ** 62
    assert not Resources([scalar('bytes', large)]).contains([scalar('bytes', large + 1)])


def test_what_was_read_is_copied():
    given = [scalar('disk', 5, role='eng', reservation=dict(principal='me'), disk=copy.deepcopy(VOLUME))]
    resources = Resources(given)
    given[0]['disk']['persistence']['id'] = 'other'
    given[0]['reservation']['principal'] = 'other'
    written = resources.to_list()
    assert written[0]['disk'] == VOLUME and written[0]['reservations'][0]['principal'] == 'me'
    written[0]['disk']['persistence']['id'] = 'other'
    assert resources.to_list()[0]['disk'] == VOLUME


# Scalars are fixed-point.

def test_tenths_add_up_exactly():
    assert parse('cpus:0.1') + parse('cpus:0.2') == parse('cpus:0.3')
    total = parse('cpus:0')
    for _ in range(1000):
        total = total + parse('cpus:0.001')
    assert total.cpus == 1.0
    assert not total - parse('cpus:1')


@pytest.mark.parametrize('value, read', [
    (0.0005, 0.001), (0.0004, 0.0), (1.0015, 1.002), (0.1234, 0.123), (2.9999, 3.0)])
def test_scalars_are_rounded_to_a_thousandth_half_up(value, read):
    assert Resources([scalar('cpus', value)]).cpus == read


# Accounts.

def test_ranges_are_united_and_kept_as_few():
    assert (parse('ports:[1-5,20-30]') + parse('ports:[6-9,25-40]')).ports == [(1, 9), (20, 40)]


def test_ranges_are_subtracted_from_the_middle():
    assert (parse('ports:[1-10,20-30]') - parse('ports:[3-4,20-25,10-10]')).ports == [(1, 2), (5, 9), (26, 30)]


def test_sets_add_and_subtract():
    assert parse('disks:{a,b}') + parse('disks:{b,c}') == parse('disks:{a,b,c}')
    assert parse('disks:{a,b}') - parse('disks:{a}') == parse('disks:{b}')


@pytest.mark.parametrize('have, minus, complaint', [
    ('cpus:1', 'cpus:1.5', 'cannot subtract: there is no cpus:0.5 in cpus:1'),
    ('cpus:1;ports:[1-5]', 'cpus:2;mem:10;ports:[4-6]',
     'cannot subtract: there is no cpus:1;mem:10;ports:[6-6] in cpus:1;ports:[1-5]'),
    ('', 'disks:{a}', 'cannot subtract: there is no disks:{a} in nothing'),
    ('cpus(eng):1', 'cpus:1', 'cannot subtract: there is no cpus:1 in cpus(eng):1'),
])
def test_subtracting_what_is_not_there_says_what_is_missing(have, minus, complaint):
    with pytest.raises(UsageError) as caught:
        parse(have) - parse(minus)
    assert str(caught.value) == complaint


@pytest.mark.parametrize('field', [
    dict(role='eng'), dict(role='eng', reservation={'principal': 'me'}), dict(allocation_info={'role': 'eng'}),
    dict(revocable={}), dict(provider_id={'value': 'p'}),
    dict(disk={'source': {'type': 'PATH', 'path': {'root': '/a'}}}),
    dict(something_newer={'a': 1}),
])
def test_accounts_tell_apart_everything_but_the_quantity(field):
    plain, other = Resources([scalar('disk', 5)]), Resources([scalar('disk', 5, **field)])
    assert plain != other and other not in plain and plain not in other
    both = plain + other
    assert both.disk == 10.0 and plain in both and other in both
    assert both - plain == other


def test_labels_and_principals_of_reservations_are_told_apart():
    one = Resources([scalar('cpus', 1, reservations=[DYNAMIC])])
    assert one != Resources([scalar('cpus', 1, reservations=[dict(DYNAMIC, principal='you')])])
    assert one != Resources([scalar('cpus', 1, reservations=[dict(DYNAMIC, labels={'labels': []})])])
    assert one == Resources([scalar('cpus', 1, reservations=[DYNAMIC])])


def test_operators_take_lists_and_text_too():
    offered = Resources([scalar('cpus', 4), scalar('mem', 100)])
    assert offered - [scalar('cpus', 1)] - 'mem:50' == parse('cpus:3;mem:50')
    assert [scalar('cpus', 1)] + offered == offered + 'cpus:1' == parse('cpus:5;mem:100')
    assert 'cpus:4' in offered and not offered.contains('cpus:4.001')
    assert sum([parse('cpus:1'), parse('cpus:2')]) == parse('cpus:3')


def test_resources_are_never_changed():
    one, two = parse('cpus:4;ports:[1-5]'), parse('cpus:1;ports:[2-3]')
    one + two, one - two, one.take(two), one.take_ports(2), one.flatten(), one.unreserved(), one.reserved()
    assert one == parse('cpus:4;ports:[1-5]') and two == parse('cpus:1;ports:[2-3]')


def test_equal_resources_hash_alike_and_none_are_false():
    assert len({parse('cpus:1;mem:2'), parse('mem:2;cpus:1'), parse('mem:2;cpus:1;gpus:0')}) == 1
    assert not Resources() and not parse('gpus:0;ports:[]') and parse('cpus:0.001')
    assert parse('cpus:1') != 'cpus:1'


def test_resources_pickle_and_copy():
    one = Resources([scalar('disk', 5, reservations=[DYNAMIC], disk=VOLUME), ranges('ports', (1, 2))])
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(one, protocol)) == one
    assert copy.deepcopy(one) == one


def test_zero_scalars_of_a_user_survive():
    given = [scalar('cpus', 1.0), scalar('gpus', 0.0)]
    assert Resources(given).to_list() == given
    assert (Resources(given) + 'mem:1').to_list() == given + [scalar('mem', 1.0)]
    assert parse('cpus:4').take(given)[0].to_list() == given
    assert Resources(given) == parse('cpus:1') and parse('cpus:1').contains(given)


def test_what_is_subtracted_completely_is_gone():
    assert (parse('cpus:1;mem:5') - 'cpus:1').to_list() == [scalar('mem', 5.0)]


def test_text_of_resources_can_be_read_again():
    text = 'cpus:4;mem(eng):1024.5;ports:[1-5,7-9];disks:{a,b}'
    assert str(parse(text)) == text
    assert repr(parse('cpus:4')) == '<Resources cpus:4>'


def test_text_shows_what_parse_cannot_say():
    assert str(Resources([scalar('cpus', 1, allocation_info={'role': 'eng'})])) == 'cpus(allocation: eng):1'
    assert str(Resources([scalar('cpus', 1, revocable={})])) == 'cpus{"revocable": {}}:1'
    assert str(Resources([scalar('cpus', 1, reservations=[dict(role='eng', type='DYNAMIC')])])) == (
        'cpus(reservations: [{"role": "eng", "type": "DYNAMIC"}]):1')
    volume = scalar('disk', 5, reservations=[STATIC], disk={'persistence': {'id': 'v'}}, shared={})
    assert str(Resources([volume, volume])) == 'disk(eng){"disk": {"persistence": {"id": "v"}}, "shared": {}}:5 x 2'


# What is used whole only.

@pytest.mark.parametrize('fields', [
    dict(disk=VOLUME, role='eng'),
    dict(disk=VOLUME, role='eng', shared={}),
    dict(disk={'source': {'type': 'MOUNT', 'mount': {'root': '/a'}}}),
    dict(disk={'source': {'type': 'BLOCK', 'id': 'b'}}),
    dict(disk={'source': {'type': 'RAW', 'id': 'r'}}),
])
def test_whole_disks_are_neither_merged_nor_split(fields):
    volume = scalar('disk', 100.0, **fields)
    resources = Resources([volume])
    assert not resources.contains([scalar('disk', 50.0, **fields)])
    assert not resources.has([scalar('disk', 50.0, **fields)])
    assert len((resources + resources).to_list()) == 2
    assert resources + resources - resources == resources
    assert (resources + resources).disk == 200.0
    assert resources.to_list(refined=False)[0]['scalar'] == {'value': 100.0}


def test_raw_disks_without_an_id_add_up():
    raw = dict(disk={'source': {'type': 'RAW', 'profile': 'fast'}})
    total = Resources([scalar('disk', 1.0, **raw)]) + [scalar('disk', 2.0, **raw)]
    assert total.to_list() == [scalar('disk', 3.0, **raw)]


# Serving tasks.

def test_take_serves_by_name_and_leaves_the_rest():
    taken, rest = parse('cpus:4;mem:1000;ports:[1-9];disks:{a,b}').take('cpus:1;ports:[3-4];disks:{b}')
    assert taken == parse('cpus:1;ports:[3-4];disks:{b}')
    assert rest == parse('cpus:3;mem:1000;ports:[1-2,5-9];disks:{a}')


def test_take_finds_what_is_allocated_and_keeps_the_allocation():
    allocated = dict(allocation_info={'role': 'eng'})
    offered = Resources([scalar('cpus', 4.0, **allocated)])
    taken, rest = offered.take('cpus:1')
    assert taken.to_list() == [scalar('cpus', 1.0, **allocated)]
    assert rest.to_list() == [scalar('cpus', 3.0, **allocated)]
    assert not offered.contains('cpus:1') and offered.has('cpus:1')


def test_take_uses_reserved_resources_first_and_then_unreserved_ones():
    offered = Resources([scalar('cpus', 1.0), scalar('cpus', 1.0, reservations=[DYNAMIC])])
    taken, rest = offered.take('cpus:1.5')
    assert taken.to_list() == [scalar('cpus', 1.0, reservations=[DYNAMIC]), scalar('cpus', 0.5)]
    assert rest.to_list() == [scalar('cpus', 0.5)]


def test_take_serves_named_reservations_before_those_who_take_anything():
    offered = Resources([scalar('cpus', 1.0), scalar('cpus', 1.0, role='eng')])
    assert offered.take('cpus:1;cpus(eng):1') == (offered, Resources())


def test_take_uses_a_named_reservation_only():
    offered = Resources([scalar('cpus', 1.0), scalar('cpus', 1.0, role='eng')])
    assert offered.take('cpus(eng):1')[1] == parse('cpus:1')
    with pytest.raises(UsageError) as caught:
        offered.take('cpus(eng):2')
    assert str(caught.value) == 'cannot take cpus(eng):2: there is no cpus(eng):1 in cpus:1;cpus(eng):1'


@pytest.mark.parametrize('fields', [
    dict(revocable={}), dict(disk=VOLUME, role='eng'), dict(provider_id={'value': 'p'})])
def test_take_leaves_special_resources_alone_unless_they_are_named(fields):
    offered = Resources([scalar('disk', 100, **fields)])
    assert not offered.has('disk:1')
    assert offered.take([scalar('disk', 100, **fields)]) == (offered, Resources())


def test_a_shared_volume_serves_several_tasks():
    volume = scalar('disk', 100, disk=VOLUME, role='eng', shared={})
    offered = Resources([volume])
    first, rest = offered.take([volume])
    second, rest = rest.take([volume, volume])
    assert first == offered and second == offered + offered and rest == offered


def test_take_says_all_that_is_missing():
    with pytest.raises(UsageError) as caught:
        parse('cpus:1').take('cpus:2;mem:10;gpus:0')
    assert str(caught.value) == 'cannot take cpus:2;mem:10;gpus:0: there is no cpus:1;mem:10 in cpus:1'


def test_take_ports_gives_the_lowest():
    taken, rest = parse('cpus:1;ports:[20-21,7-8,10-10]').take_ports(4)
    assert taken.ports == [(7, 8), (10, 10), (20, 20)] and rest == parse('cpus:1;ports:[21-21]')
    assert parse('ports:[1-2]').take_ports(0) == (Resources(), parse('ports:[1-2]'))


def test_take_ports_keeps_reservation_and_allocation():
    reserved = ranges('ports', (30, 30), role='eng', allocation_info={'role': 'eng'})
    offered = Resources([ranges('ports', (1, 2)), reserved])
    taken, rest = offered.take_ports(2)
    assert taken.to_list() == [
        ranges('ports', (30, 30), reservations=[STATIC], allocation_info={'role': 'eng'}), ranges('ports', (1, 1))]
    assert rest == parse('ports:[2-2]')


def test_take_ports_says_how_many_there_are():
    with pytest.raises(UsageError) as caught:
        parse('ports:[1-3]').take_ports(4)
    assert str(caught.value) == 'cannot take 4 ports: there are only 3 in ports:[1-3]'
    with pytest.raises(UsageError):
        parse('ports:[1-3]').take_ports(-1)


def test_a_million_ports_are_no_loop():
    taken, rest = parse('ports:[1-1000000000000]').take_ports(500000000000)
    assert taken.ports == [(1, 500000000000)] and rest.ports == [(500000000001, 1000000000000)]


# Reservations.

@pytest.mark.parametrize('old, refined', [
    (dict(role='*'), {}),
    (dict(role='eng'), dict(reservations=[STATIC])),
    (dict(role='eng', reservation={}), dict(reservations=[{'type': 'DYNAMIC', 'role': 'eng'}])),
    (dict(role='eng', reservation={'principal': 'me', 'labels': DYNAMIC['labels']}), dict(reservations=[DYNAMIC])),
])
def test_both_reservation_formats_mean_the_same(old, refined):
    before, after = Resources([scalar('cpus', 1.0, **old)]), Resources([scalar('cpus', 1.0, **refined)])
    assert before == after
    assert before.to_list() == after.to_list(refined=True) == [scalar('cpus', 1.0, **refined)]
    assert before.to_list(refined=False) == after.to_list(refined=False) == [scalar('cpus', 1.0, **old)]


def test_both_formats_at_once_are_read_if_they_agree():
    both = scalar('cpus', 1, role='eng', reservation={'principal': 'me'}, reservations=[DYNAMIC])
    assert Resources([both]) == Resources([scalar('cpus', 1, reservations=[DYNAMIC])])


def test_refined_reservations_cannot_be_written_in_the_old_format():
    resources = Resources([scalar('cpus', 1, reservations=[STATIC, {'type': 'DYNAMIC', 'role': 'eng/web'}])])
    with pytest.raises(UsageError) as caught:
        resources.to_list(refined=False)
    assert str(caught.value) == (
        'cannot write cpus without refined reservations: it is reserved for eng and within that for eng/web')


def test_reserved_and_unreserved_parts():
    refined = [STATIC, {'type': 'DYNAMIC', 'role': 'eng/web'}]
    resources = Resources([scalar('cpus', 1), scalar('cpus', 2, role='eng'), scalar('cpus', 4, reservations=refined)])
    assert resources.unreserved().cpus == 1 and resources.reserved().cpus == 6
    assert resources.reserved('eng').cpus == 2 and resources.reserved('eng/web').cpus == 4
    assert not resources.reserved('ops')
    assert resources.unreserved() + resources.reserved() == resources


def test_flatten_drops_reservations_and_allocation_and_nothing_else():
    resources = Resources([scalar('cpus', 1.0, role='eng', allocation_info={'role': 'eng'}), scalar('cpus', 2.0),
                           scalar('cpus', 4.0, revocable={})])
    assert resources.flatten().to_list() == [scalar('cpus', 3.0), scalar('cpus', 4.0, revocable={})]


def test_volume_is_the_same_however_it_is_mounted_and_whoever_made_it():
    offered = Resources([scalar('disk', 5, reservations=[STATIC], disk=VOLUME)])
    mounted = {'persistence': {'id': 'v1'}, 'volume': {'mode': 'RO', 'container_path': 'elsewhere'}}
    used = Resources([scalar('disk', 5, reservations=[STATIC], disk=mounted)])
    other = Resources([scalar('disk', 5, reservations=[STATIC], disk=dict(VOLUME, persistence={'id': 'v2'}))])
    assert offered.contains(used) and not offered - used and offered == used and hash(offered) == hash(used)
    assert used.to_list()[0]['disk'] == mounted and (offered - used + used).to_list()[0]['disk'] == mounted
    assert not offered.contains(other) and offered != other
    assert pickle.loads(pickle.dumps(used)) == offered

"""JSON <-> dict and Dict; Dict is what addict.Dict is, in every respect that a program sees."""
from __future__ import absolute_import, division, print_function

import copy
import json
import pickle

import addict
import pytest

from pymesos.errors import MessageError, UsageError
from pymesos.wire import messages
from pymesos.wire.messages import PARSERS, Dict, dumps, loads

OFFER = (b'{"id":{"value":"o1"},"hostname":"h","resources":[{"name":"cpus","scalar":{"value":1.5}},'
         b'{"name":"ports","ranges":{"range":[{"begin":1,"end":2}]}}],"empty":{},"list":[[{"deep":{"er":1}}]]}')


@pytest.fixture(params=['addict', 'loads', 'made'])
def tree(request):
    """The same tree as addict makes it, as loads() makes it, and as a program makes it by calling Dict."""
    if request.param == 'addict':
        return addict.Dict(json.loads(OFFER.decode('ascii')))
    if request.param == 'loads':
        return loads(OFFER, use_addict=True)
    return Dict(json.loads(OFFER.decode('ascii')))


def test_attributes_read_members(tree):
    assert tree.id.value == 'o1'
    assert tree.resources[0].scalar.value == 1.5
    assert tree['resources'][1].ranges['range'][0].begin == 1
    assert tree.list[0][0].deep.er == 1


def test_a_missing_key_reads_as_an_empty_dict_and_is_not_created(tree):
    before = json.dumps(tree, sort_keys=True)
    assert tree.attributes == {}
    assert list(tree.attributes) == []
    assert not tree.a.b.c.d
    assert tree['x']['y'] == {}
    assert isinstance(tree.a, addict.Dict)
    assert tree.resources[0].disk.source.type == {}
    assert 'attributes' not in tree and 'a' not in tree and 'x' not in tree
    assert tree.get('a') is None
    assert json.dumps(tree, sort_keys=True) == before


def test_a_missing_branch_is_created_when_it_is_assigned_to(tree):
    tree.a.b.c = 1
    assert tree['a'] == {'b': {'c': 1}}
    tree.resources[0].disk['source'].type = 'MOUNT'
    assert tree.resources[0]['disk'] == {'source': {'type': 'MOUNT'}}
    tree.empty.x.y = 2
    assert tree['empty']['x']['y'] == 2


def test_a_branch_that_was_held_is_attached_once(tree):
    held = tree.a
    held.x = 1
    held.y = 2
    assert tree['a'] is held
    del tree['a']
    held.z = 3
    assert 'a' not in tree


def test_members_can_be_set_and_deleted(tree):
    tree.hostname = 'other'
    tree['plain'] = {'k': 1}
    assert (tree['hostname'], type(tree.plain)) == ('other', dict)
    del tree.hostname
    assert 'hostname' not in tree
    with pytest.raises(KeyError):
        del tree.hostname
    assert tree.pop('plain') == {'k': 1}


def test_names_of_methods_are_read_only(tree):
    with pytest.raises(AttributeError) as raised:
        tree.keys = 1
    assert "'Dict' object attribute 'keys' is read-only" == str(raised.value)
    tree['keys'] = 1
    assert tree['keys'] == 1 and callable(tree.keys)


def test_update_merges(tree):
    tree.update({'id': {'other': 1}, 'new': {'a': 1}}, hostname='x')
    assert tree.id == {'value': 'o1', 'other': 1}
    assert tree.new == {'a': 1} and tree.hostname == 'x'
    with pytest.raises(TypeError):
        tree.update({}, {})


def test_setdefault(tree):
    assert tree.setdefault('hostname', 1) == 'h'
    assert tree.setdefault('fresh', []) is tree.fresh
    assert tree.setdefault('none') is None


def test_operators(tree):
    assert (tree | {'hostname': 'x'}).hostname == 'x'
    assert ({'hostname': 'x', 'more': 1} | tree).more == 1
    assert tree.hostname == 'h'
    tree |= {'hostname': 'y'}
    assert tree.hostname == 'y'
    assert addict.Dict() + 1 == 1 and tree.nothing + 1 == 1
    with pytest.raises(TypeError):
        tree + 1


def test_to_dict_is_plain_all_the_way_down(tree):
    plain = tree.to_dict()
    # addict looks into lists, but not into lists of lists.
    assert type(plain) is dict and type(plain['id']) is dict and type(plain['resources'][0]['scalar']) is dict
    assert plain == json.loads(OFFER.decode('ascii')) == tree


def _check_missing_keys(tree):
    if type(tree) is Dict:              # addict 2.4.0's own copies raise AttributeError here
        assert tree.no.such == {} and 'no' not in tree
        tree.fresh.b = 1
        assert tree['fresh'] == {'b': 1}


@pytest.mark.parametrize('duplicate', [copy.copy, lambda tree: tree.copy()])
def test_a_copy_is_shallow(tree, duplicate):
    other = duplicate(tree)
    assert type(other) is type(tree) and other == tree and other is not tree
    assert other.resources is tree.resources
    other.hostname = 'x'
    assert tree.hostname == 'h'
    _check_missing_keys(other)
    assert 'fresh' not in tree


@pytest.mark.parametrize('duplicate', [copy.deepcopy, lambda tree: tree.deepcopy()])
def test_a_deep_copy_shares_nothing(tree, duplicate):
    other = duplicate(tree)
    assert type(other) is type(tree) and other == tree
    other.resources[0].scalar.value = 9
    other.id.value = 'o2'
    assert (tree.resources[0].scalar.value, tree.id.value) == (1.5, 'o1')
    assert type(other.resources[0]) is type(tree) and other.missing.thing == {}


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle(tree, protocol):
    other = pickle.loads(pickle.dumps(tree, protocol))
    assert type(other) is type(tree) and other == tree
    assert other.resources[0].scalar.value == 1.5
    _check_missing_keys(other)


def test_freeze(tree):
    tree.freeze()
    for read in (lambda: tree.nothing, lambda: tree.id.nothing):
        with pytest.raises(KeyError):
            read()
    with pytest.raises(KeyError):
        tree.fresh = 1
    tree.hostname = 'x'
    tree.unfreeze()
    tree.fresh.b = 1
    assert tree.nothing == {} and tree['fresh'] == {'b': 1}


def test_equality_iteration_and_json(tree):
    plain = json.loads(OFFER.decode('ascii'))
    assert tree == plain and plain == tree and not tree != plain
    assert sorted(tree) == sorted(plain) and len(tree) == len(plain)
    assert json.loads(json.dumps(tree)) == plain
    assert json.loads(dumps(tree).decode('ascii')) == plain


def test_repr_is_that_of_a_dict(tree):
    assert repr(tree.id) == repr(dict(tree.id)) and str(tree.id) == str(dict(tree.id))
    assert repr(tree.nothing) == '{}'


def test_its_type_makes_what_addict_makes(tree):
    kind = type(tree)
    assert kind({'a': [{'b': {'c': 1}}]}).a[0].b.c == 1
    assert kind([('a', {'b': 1})], c={'d': 2}).c.d == 2
    assert kind(('a', {'b': 1})).a.b == 1
    assert kind() == {} and kind(None) == {}
    assert kind({'a': {'b': 1}}).a == kind(a=kind(b=1)).a


def test_loaded_trees_are_dicts_of_both_kinds():
    tree = loads(OFFER, use_addict=True)
    for part in (tree, tree.id, tree.resources[0], tree.list[0][0], tree.list[0][0].deep, tree.missing):
        assert type(part) is Dict and isinstance(part, addict.Dict) and isinstance(part, dict)


def test_plain_trees_are_plain():
    tree = loads(OFFER)
    assert type(tree) is dict and type(tree['id']) is dict and type(tree['resources'][0]) is dict


def test_the_fastest_parser_is_taken_unless_told():
    assert PARSERS[-1] == 'json' and ('orjson' in PARSERS) == (messages.orjson is not None)
    assert loads.__defaults__ == (False, PARSERS[0])


@pytest.mark.parametrize('parser', PARSERS)
@pytest.mark.parametrize('use_addict', [False, True])
def test_values_survive(use_addict, parser):
    message = loads(u'{"int":9223372036854775807,"neg":-9223372036854775808,"big":18446744073709551615,"float":0.001,'
                    u'"text":"\u20ac\\u20ac\\n","t":true,"f":false,"n":null,"e":[],"o":{}}'.encode('utf-8'), use_addict,
                    parser)
    assert message == {'int': 2 ** 63 - 1, 'neg': -2 ** 63, 'big': 2 ** 64 - 1, 'float': 0.001,
                       'text': u'\u20ac\u20ac\n', 't': True, 'f': False, 'n': None, 'e': [], 'o': {}}
    assert json.loads(dumps(message).decode('ascii')) == message


ODD_VALUES = [
    b'0', b'-0', b'-0.0', b'1.0', b'1E5', b'1e-400', b'5e-324', b'1.7976931348623157e308', b'1e400', b'-1e400',
    b'9007199254740993', b'9007199254740993.0', b'0.1000000000000000055511151231257827', b'-9223372036854775808',
    b'9223372036854775808', b'18446744073709551615', b'1' * 400, b'NaN', b'Infinity', b'-Infinity', b'"\\u0000"',
    b'"\x7f"', b'"\\/"', b'"\\ud83d\\ude00"', b'"\xf0\x9f\x98\x80"', b'"\\ud800"', b'"\\ude00\\ud83d"', b'"\xc3\xa9"',
    b'{"a":1,"a":2}', b'{"":{}}', b'[[],{},[{}]]', b'[' * 200 + b']' * 200]


def read(data, parser, use_addict=False):
    """What comes out: the value and its types as text, or the text of the error."""
    try:
        return repr(loads(data, use_addict, parser))
    except MessageError as error:
        return str(error)


@pytest.mark.parametrize('value', ODD_VALUES, ids=lambda value: repr(value[:30]))
def test_odd_values_are_read_alike_by_all_parsers(value):
    results = [read(b'{"a":' + value + b'}', parser) for parser in PARSERS]
    assert results == [repr({u'a': json.loads(value.decode('utf-8'))})] * len(PARSERS)


@pytest.mark.parametrize('value', [b'18446744073709551616', b'-9223372036854775809', b'123456789012345678901234567890'])
def test_integer_beyond_64_bits_is_exact_with_json_and_near_with_any(value):
    assert loads(b'{"a":' + value + b'}', parser='json') == {'a': int(value)}
    for parser in PARSERS:
        assert float(loads(b'{"a":' + value + b'}', parser=parser)['a']) == float(value)


@pytest.mark.parametrize('parser', PARSERS)
@pytest.mark.parametrize('use_addict', [False, True])
def test_white_space_round_a_message_is_allowed(use_addict, parser):
    assert loads(b' \n{"a": 1}\r\n\t', use_addict, parser) == {'a': 1}


@pytest.mark.parametrize('parser', PARSERS)
@pytest.mark.parametrize('use_addict', [False, True])
@pytest.mark.parametrize('data', [
    b'', b' ', b'{', b'{"a":1', b'{"a":1}}', b'{"a":1} x', b'{"a"}', b"{'a':1}", b'nonsense', b'{"a":01}', b'\xff{}',
    b'{"a":"\xff"}', b'\xef\xbb\xbf{}', b'[' * 200000, b'{"a":' * 200000,
    b'{"a":"\x00"}', b'{"a":1}\x0c', b'{"a":[1,]}', b'{"a":1,}', b'{"a":.5}', b'{"a":+1}', b'{"a":"\\x"}', b'{a:1}',
], ids=lambda data: repr(data[:12]))
def test_what_is_not_json_is_an_error(data, use_addict, parser):
    with pytest.raises(MessageError) as raised:
        loads(data, use_addict, parser)
    assert str(raised.value) == read(data, 'json', use_addict)
    assert str(raised.value).startswith('cannot read a message: ')
    assert repr(data[:200]) in str(raised.value)
    assert len(str(raised.value)) < 1200


@pytest.mark.parametrize('parser', PARSERS)
@pytest.mark.parametrize('data', [b'[]', b'1', b'"text"', b'null', b'true', b' [{}]'])
def test_what_is_not_an_object_is_an_error(data, parser):
    with pytest.raises(MessageError) as raised:
        loads(data, parser=parser)
    assert str(raised.value) == 'cannot read a message: expected a JSON object, the peer sent %r' % data


def test_messages_are_written_compact_and_in_ascii():
    assert dumps({u'a': [1, {u'b': u'\u20ac'}]}) == b'{"a":[1,{"b":"\\u20ac"}]}'
    assert type(dumps({})) is bytes


def test_nested_addict_dicts_are_written_as_objects():
    message = addict.Dict(a=[addict.Dict(b=1)])
    message.c.d = (Dict(e=2),)
    assert json.loads(dumps({'x': message}).decode('ascii')) == {'x': {'a': [{'b': 1}], 'c': {'d': [{'e': 2}]}}}


def test_infinity_is_written_as_mesos_reads_it():
    infinite = float('inf')
    message = {'a': infinite, 'b': [-infinite, {'c': infinite}], 'd': (1.5, 'x'), 'e': Dict(f=-infinite)}
    assert json.loads(dumps(message).decode('ascii')) == {
        'a': 'Infinity', 'b': ['-Infinity', {'c': 'Infinity'}], 'd': [1.5, 'x'], 'e': {'f': '-Infinity'}}
    assert message['a'] == infinite


def _circle():
    circle = {}
    circle['a'] = circle
    return circle


@pytest.mark.parametrize('message', [
    {'a': float('nan')}, {'a': object()}, {'a': set()}, {'a': [float('inf'), float('nan')]}, {('a', 'b'): 1},
    {'a': b'\xff\xfe'}, _circle(), {'a': float('inf'), 'b': object()},
], ids=['nan', 'object', 'set', 'nan-and-infinity', 'key', 'bytes', 'circle', 'infinity-and-object'])
def test_what_json_cannot_carry_is_refused(message):
    with pytest.raises(UsageError) as raised:
        dumps(message)
    assert str(raised.value).startswith('cannot write a message as JSON: ')


@pytest.mark.parametrize('data, is_late', [
    (b'{"type":"OFFERS","offers":{}}', True), (b'{"type":"HEARTBEAT"}', True), (b'{"type":"OFFERS_OF_2030"}', False),
    (b'{"type": "OFFERS"}', False), (b'{"offers":{},"type":"OFFERS"}', False), (b'{"type":1}', False), (b'', False),
    (b'{"type":"ERROR"}', False)])
def test_messages_of_a_type_are_known_by_their_beginning(data, is_late):
    assert data.startswith(messages.beginnings(['OFFERS', 'HEARTBEAT'])) == is_late


def test_of_no_type_there_is_no_beginning():
    assert not b'{"type":"OFFERS"}'.startswith(messages.beginnings([]))

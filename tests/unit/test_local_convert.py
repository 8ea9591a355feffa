# coding: utf-8
"""pymesos.local.convert, schema and strictjson: what is read, and what a real Mesos said of what cannot be."""
from __future__ import absolute_import, division, print_function

import io
import json
import os
import random

import pytest
import six

from pymesos.local import convert, schema, strictjson
from pymesos.local.model import validation

VECTORS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'vectors', 'local_calls.json')

with io.open(VECTORS, encoding='utf-8') as stream:
    CALLS = json.load(stream)['calls']

PREFIXES = {'scheduler': 'Failed to validate scheduler::Call: ', 'executor': 'Failed to validate Executor::Call: ',
            'master': 'Failed to validate master::Call: ', 'agent': 'Failed to validate agent::Call: '}
FRAMEWORK = {'user': 'u', 'name': 'n'}


def complaint(kind, data):
    with pytest.raises(convert.ConvertError) as caught:
        convert.parse(kind, data)
    return caught.value.text


def subscribe(**info):
    call = {'type': 'SUBSCRIBE', 'subscribe': {'framework_info': dict(FRAMEWORK, **info)}}
    return convert.read('scheduler.Call', call)['subscribe']['framework_info']


# What Mesos said.

def answer(api, body):
    """The text of the 400 that the body of a call gets, None if it gets none."""
    try:
        call = convert.parse(api + '.Call', body.encode('utf-8'))
    except convert.ConvertError as error:
        return error.text
    wrong = getattr(validation, api + '_call')(call)
    return None if wrong is None else PREFIXES[api] + wrong


@pytest.mark.parametrize('api', sorted(PREFIXES))
def test_bodies_are_answered_as_by_mesos(api):
    cases = [(body, wanted, answer(api, body)) for name, body, wanted in CALLS if name == api]
    assert len(cases) >= 20
    assert [case for case in cases if case[1] != case[2]] == []


def test_200_levels_are_read_and_one_more_is_not():
    def body(levels):
        return b'{"a":' + b'[' * (levels - 1) + b']' * (levels - 1) + b'}'

    def objects(levels):
        return b'{"a":' * levels + b'1' + b'}' * levels

    for make in (body, objects):
        assert convert.parse('scheduler.Call', make(200)) == {}
    assert complaint('scheduler.Call', body(201)) == (
        'Failed to parse body into JSON: syntax error at line 1 near: %s}' % (']' * 200))
    assert complaint('scheduler.Call', objects(201)) == (
        'Failed to parse body into JSON: syntax error at line 1 near: "a":1%s' % ('}' * 201))
    assert complaint('scheduler.Call', body(100000)).startswith('Failed to parse body into JSON: syntax error at line')


def test_many_brackets_that_are_not_deep_are_read():
    text = '[' * 300 + '{' * 300
    call = {'type': 'DECLINE', 'decline': {'offer_ids': [{'value': text}] * 300}}
    assert convert.parse('scheduler.Call', json.dumps(call).encode('ascii'))['decline'] == call['decline']


def test_bytes_that_are_not_utf_8_are_replaced():
    assert convert.parse('scheduler.Call', b'{"framework_id":{"value":"a\xffb"}}') == {
        'framework_id': {'value': u'a\ufffdb'}}
    text = complaint('scheduler.Call', b'{"a\xff')
    assert text == 'Failed to parse body into JSON: syntax error at line 1 near: '


def test_text_of_an_error_beyond_ascii_can_be_had_as_str():
    with pytest.raises(convert.ConvertError) as caught:
        convert.parse('scheduler.Call', u'{"a":é}'.encode('utf-8'))
    text = u'Failed to parse body into JSON: syntax error at line 1 near: é}'
    assert caught.value.text == text and u'%s' % caught.value == text
    assert six.ensure_text(str(caught.value)) == text


def test_agents_operator_api_names_the_reason_alone():
    assert complaint('agent.Call', b'{"type":5}') == "Not expecting a JSON number for field 'type'"
    assert complaint('agent.Call', b'{') == 'Failed to parse body into JSON: syntax error at line 1 near: '


def test_message_that_does_not_exist_is_a_mistake_of_ours():
    with pytest.raises(LookupError):
        convert.read('scheduler.Cal', {})
    with pytest.raises(TypeError):
        convert.read('scheduler.Call', {'type': object()})


# PROTOCOL 1.4, row by row.

@pytest.mark.parametrize('given, kept', [
    ('', ''), ('YQ==', 'YQ=='), ('YWI=', 'YWI='), ('YWJj', 'YWJj'), ('YQ', 'YQ=='), ('YR==', 'YQ=='), ('YWJ', 'YWI='),
    ('Y', ''), ('YQ==YQ==', 'YQ=='), ('YW Jj\n', 'YWJj'), ('====', ''), ('YWJjY', 'YWJj'), ('+/+/', '+/+/'),
])
def test_bytes_are_kept_as_the_usual_base64(given, kept):
    call = {'executor_id': {'value': 'e'}, 'framework_id': {'value': 'f'}, 'message': {'data': given}}
    assert convert.read('executor.Call', call)['message'] == {'data': kept}


def test_enum_that_is_unknown_is_unset_and_dropped_from_several():
    assert convert.read('scheduler.Call', {'type': 'LAUGH'}) == {}
    capabilities = {'capabilities': ['KILL', 'FLY', 'CHOWN']}
    assert convert.read('CapabilityInfo', capabilities) == {'capabilities': ['KILL', 'CHOWN']}
    assert convert.read('CapabilityInfo', {'capabilities': ['FLY']}) == {}
    with pytest.raises(convert.ConvertError) as caught:
        convert.read('Value.Range', {'begin': 1, 'end': 'x'})
    assert caught.value.text.startswith("Failed to parse 'x' as a JSON number for field 'end': ")


@pytest.mark.parametrize('given, kept', [
    (5, 5), ('5', 5), (5.9, 5), ('5.9', 5), (-5.9, -5), (2 ** 63 - 1, 2 ** 63 - 1), (2 ** 63, -2 ** 63),
    (1e300, -2 ** 63), ('-7', -7), ('1e3', 1000),
])
def test_int64_is_a_number_or_numeric_text(given, kept):
    read = convert.read('DurationInfo', {'nanoseconds': given})['nanoseconds']
    assert read == kept and not isinstance(read, float)


@pytest.mark.parametrize('given, kept', [
    (80, 80), ('80', 80), (-1, 2 ** 32 - 1), (2 ** 32, 0), (80.5, 80), (5000000000, 5000000000 - 2 ** 32)])
def test_uint32_is_cut_as_by_a_cast(given, kept):
    assert convert.read('CheckInfo.Tcp', {'port': given}) == {'port': kept}


@pytest.mark.parametrize('given, kept', [
    (5, 5.0), (0.1, 0.1), ('5', 5.0), ('1e3', 1000.0), ('Infinity', 'Infinity'), ('-Infinity', '-Infinity')])
def test_double_is_a_number_or_numeric_text_or_infinity(given, kept):
    read = convert.read('Value.Scalar', {'value': given})['value']
    assert read == kept and isinstance(read, type(kept))
    with pytest.raises(convert.ConvertError):
        convert.read('Value.Scalar', {'value': True})


@pytest.mark.parametrize('given, kept', [(True, True), (False, False), ('true', True), ('false', False)])
def test_bool_is_that_or_its_name(given, kept):
    assert subscribe(checkpoint=given)['checkpoint'] is kept


def test_null_is_unset_and_unknown_fields_are_dropped():
    call = {'type': 'KILL', 'kill': {'task_id': {'value': 't', 'valued': 1}, 'agent_id': None, 'agentId': {}}, 'x': []}
    assert convert.read('scheduler.Call', call) == {'type': 'KILL', 'kill': {'task_id': {'value': 't'}}}
    with pytest.raises(convert.ConvertError) as caught:
        convert.read('TaskID', {'value': None})
    assert caught.value.text == 'Missing required fields: value'


def test_bare_element_and_lists_in_lists_are_one_list_and_an_empty_one_is_dropped():
    for given in ({'value': 'a'}, [{'value': 'a'}], [[{'value': 'a'}], [], None]):
        assert convert.read('scheduler.Call.Decline', {'offer_ids': given}) == {'offer_ids': [{'value': 'a'}]}
    for given in ([], [[]], [None], None):
        assert convert.read('scheduler.Call.Decline', {'offer_ids': given}) == {}
    assert convert.read('scheduler.Call.Revive', {'roles': 'a'}) == {'roles': ['a']}


def test_map_is_an_object_or_objects():
    one = {'cpus': {'value': 1}}
    limits = convert.read('quota.QuotaConfig', {'role': 'r', 'limits': [one, {'mem': {'value': '2'}}]})['limits']
    assert limits == {'cpus': {'value': 1.0}, 'mem': {'value': 2.0}}
    assert convert.read('quota.QuotaConfig', {'role': 'r', 'limits': {}}) == {'role': 'r'}
    filters = convert.read('FrameworkInfo', dict(FRAMEWORK, offer_filters={'r': None}))['offer_filters']
    assert filters == {'r': {}}


def test_null_in_a_map_whose_values_need_fields_is_missing_namelessly():
    with pytest.raises(convert.ConvertError) as caught:
        convert.read('quota.QuotaConfig', {'role': 'r', 'limits': {'cpus': None}})
    assert caught.value.text == 'Missing required fields: '


def test_of_a_choice_the_last_by_name_counts():
    both = {'attribute_name': 'a', 'pseudoattribute_type': 'ZONE'}
    assert convert.read('scheduler.AttributeConstraint.Selector', both) == {'pseudoattribute_type': 'ZONE'}


def test_empty_message_is_kept():
    resource = {'name': 'cpus', 'type': 'SCALAR', 'scalar': {'value': 1}, 'revocable': {}}
    assert convert.read('Resource', resource)['revocable'] == {}


def test_read_makes_a_new_message_and_leaves_the_given_one_alone():
    given = dict(FRAMEWORK, capabilities=[{'type': 'MULTI_ROLE'}])
    before = json.dumps(given, sort_keys=True)
    read = subscribe(**given)
    read['capabilities'][0]['type'] = 'x'
    read['failover_timeout'] = 5.0
    assert json.dumps(given, sort_keys=True) == before and subscribe(**given)['failover_timeout'] == 0.0


@pytest.mark.parametrize('kind, given, shown', [
    ('FrameworkInfo', FRAMEWORK, {'failover_timeout': 0.0, 'checkpoint': False}),
    ('CommandInfo', {}, {'shell': True}),
    ('CommandInfo.URI', {'value': 'x'}, {'extract': True}),
    ('AgentInfo', {'hostname': 'h'}, {'port': 5051}),
    ('Environment.Variable', {'name': 'x'}, {'type': 'VALUE'}),
    ('Filters', {}, {'refuse_seconds': 5.0}),
    ('HealthCheck', {}, {'delay_seconds': 15.0, 'interval_seconds': 10.0, 'timeout_seconds': 20.0,
                         'consecutive_failures': 3, 'grace_period_seconds': 10.0}),
    ('CheckInfo', {}, {'delay_seconds': 15.0, 'interval_seconds': 10.0, 'timeout_seconds': 20.0}),
    ('HealthCheck.HTTPCheckInfo', {'port': 1}, {'protocol': 'IPv4'}),
    ('HealthCheck.TCPCheckInfo', {'port': 1}, {'protocol': 'IPv4'}),
    ('NetworkInfo.IPAddress', {}, {'protocol': 'IPv4'}),
    ('ContainerInfo.DockerInfo', {'image': 'i'}, {'network': 'HOST', 'privileged': False}),
    ('Image', {'type': 'DOCKER'}, {'cached': True}),
    ('LinuxInfo', {}, {'share_cgroups': True}),
    ('CSIPluginInfo', {'type': 't'}, {'name': 'default'}),
    ('master.Call.DrainAgent', {'agent_id': {'value': 'a'}}, {'mark_gone': False}),
])
def test_defaults_are_always_shown(kind, given, shown):
    assert convert.read(kind, given) == dict(given, **shown)


def test_no_other_default_is_shown():
    kinds = {'FrameworkInfo', 'CommandInfo', 'CommandInfo.URI', 'AgentInfo', 'Environment.Variable', 'Filters',
             'HealthCheck', 'CheckInfo', 'HealthCheck.HTTPCheckInfo', 'HealthCheck.TCPCheckInfo',
             'NetworkInfo.IPAddress', 'ContainerInfo.DockerInfo', 'Image', 'LinuxInfo', 'CSIPluginInfo',
             'master.Call.DrainAgent', 'MasterInfo'}
    assert {name for name, message in schema.load()[0].items() if message.defaults} == kinds
    resource = {'name': 'cpus', 'type': 'SCALAR', 'scalar': {'value': 1.0}}
    assert convert.read('Resource', resource) == resource


def test_defaults_are_shown_at_any_depth():
    task = {'name': 'n', 'task_id': {'value': 't'}, 'agent_id': {'value': 'a'},
            'container': {'type': 'MESOS', 'linux_info': {}},
            'command': {'uris': {'value': 'u'}, 'environment': {'variables': [{'name': 'x'}]}}}
    operation = {'type': 'LAUNCH', 'launch': {'task_infos': task}}
    call = convert.read('scheduler.Call', {'accept': {'operations': operation, 'filters': {}}})
    read = call['accept']['operations'][0]['launch']['task_infos'][0]
    assert read['command'] == {'shell': True, 'uris': [{'value': 'u', 'extract': True}],
                               'environment': {'variables': [{'name': 'x', 'type': 'VALUE'}]}}
    assert read['container']['linux_info'] == {'share_cgroups': True}
    assert call['accept']['filters'] == {'refuse_seconds': 5.0}


def test_executors_container_shows_only_what_was_set_of_share_cgroups():
    for linux_info in ({}, {'share_cgroups': True}, {'share_cgroups': False}):
        info = {'executor_id': {'value': 'e'}, 'container': {'type': 'MESOS', 'linux_info': linux_info}}
        assert convert.read('ExecutorInfo', info)['container']['linux_info'] == linux_info


def test_google_duration_is_seconds_and_nanos():
    body = {'agent_id': {'value': 'a'}, 'max_grace_period': {'seconds': '5', 'nanos': 1}}
    assert convert.read('master.Call.DrainAgent', body)['max_grace_period'] == {'seconds': 5, 'nanos': 1}


def test_container_may_have_a_parent_of_a_parent():
    given = {'value': 'c', 'parent': {'value': 'b', 'parent': {'value': 'a'}}}
    assert convert.read('ContainerID', given) == given
    with pytest.raises(convert.ConvertError) as caught:
        convert.read('ContainerID', {'value': 'c', 'parent': {'parent': {}}})
    assert caught.value.text == 'Missing required fields: parent.value, parent.parent.value'


def test_first_error_is_that_of_the_first_field_by_name():
    with pytest.raises(convert.ConvertError) as caught:
        convert.read('scheduler.Call', {'type': 5, 'kill': 5, 'accept': {'operations': 'x', 'offer_ids': 5}})
    assert caught.value.text == "Not expecting a JSON number for field 'offer_ids'"


# The tables.

def test_every_type_of_the_tables_is_known():
    messages, enums = schema.load()
    for message in messages.values():
        for field in message.fields.values():
            assert field.type in messages or field.type in enums or field.type in schema.SCALARS
    assert schema.load() is schema.load()
    assert {'scheduler.Call', 'executor.Call', 'master.Call', 'agent.Call', 'Offer', 'TaskStatus'} <= set(messages)


def test_every_type_of_a_call_has_its_field_or_needs_none():
    messages, enums = schema.load()
    for api in PREFIXES:
        fields = set(messages[api + '.Call'].fields)
        for name in enums[api + '.Call.Type']:
            assert name.lower() in fields or getattr(validation, api + '_call')(
                {'type': name, 'framework_id': {'value': 'f'}, 'executor_id': {'value': 'e'}}) is None


# JSON.

def values(rng, depth=0):
    kind = rng.randrange(8 if depth < 5 else 6)
    if kind == 6:
        return [values(rng, depth + 1) for _ in range(rng.randrange(4))]
    if kind == 7:
        return dict((texts(rng), values(rng, depth + 1)) for _ in range(rng.randrange(4)))
    return [None, True, False, rng.randint(-2 ** 63, 2 ** 63 - 1), rng.uniform(-1e9, 1e9), texts(rng)][kind]


def texts(rng):
    return u''.join(rng.choice(u'ab"\\/\b\f\n\r\té€\U0001f600{}[],: 1') for _ in range(rng.randrange(6)))


def test_strict_json_reads_what_the_standard_library_writes(random_seed):
    rng = random.Random(random_seed)
    for _ in range(300):
        value = {u'x': values(rng)}
        for text in (json.dumps(value), json.dumps(value, indent=1), json.dumps(value, ensure_ascii=False)):
            assert strictjson.parse(six.ensure_text(text)) == value


def test_call_is_read_the_same_by_either_parser(monkeypatch):
    bodies = [body.encode('utf-8') for _, body, wanted in CALLS if wanted is None]
    fast = [convert.parse('scheduler.Call', body) for body in bodies if b'"executor_id"' not in body]
    monkeypatch.setattr(convert, '_is_suspicious', lambda data: True)
    assert fast == [convert.parse('scheduler.Call', body) for body in bodies if b'"executor_id"' not in body]

"""pymesos.wire.calls: each builder against tests/vectors/calls.json, and what must never be built."""
from __future__ import absolute_import, division, print_function

import copy
import inspect
import io
import json
import os

import pytest
from addict import Dict

from pymesos.errors import UsageError
from pymesos.wire import calls

VECTORS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'vectors', 'calls.json')
with io.open(VECTORS, encoding='utf-8') as stream:
    VECTORS = json.load(stream)


def names(case):
    return case['name']


def build(case):
    return getattr(calls, case['call'])(**dict((str(name), value) for name, value in case['arguments'].items()))


@pytest.mark.parametrize('case', VECTORS['cases'], ids=names)
def test_a_call_has_the_body_of_its_vector(case):
    before = copy.deepcopy(case['arguments'])
    assert build(case) == case['body']
    assert case['arguments'] == before, 'the arguments were changed'


@pytest.mark.parametrize('case', VECTORS['cases'], ids=names)
def test_a_call_with_addict_arguments_has_the_same_body(case):
    arguments = Dict(case['arguments']).items()
    body = getattr(calls, case['call'])(**dict((str(name), value) for name, value in arguments))
    assert json.loads(json.dumps(body)) == case['body']


@pytest.mark.parametrize('case', VECTORS['refused'], ids=names)
def test_what_is_refused_is_refused_with_its_reason(case):
    with pytest.raises(UsageError) as caught:
        build(case)
    assert str(caught.value).startswith(case['error'])


def test_every_builder_has_a_vector():
    builders = set(name for name, function in vars(calls).items()
                   if inspect.isfunction(function) and function.__module__ == calls.__name__
                   and not name.startswith('_') and name != 'check')
    assert builders == set(case['call'] for case in VECTORS['cases'])


def test_every_known_type_has_a_builder():
    built = set(case['body']['type'] for case in VECTORS['cases'])
    assert calls.SCHEDULER_CALLS | calls.EXECUTOR_CALLS | calls.OPERATIONS == built


def test_every_builder_is_documented():
    for case in VECTORS['cases']:
        assert getattr(calls, case['call']).__doc__


def test_the_type_unknown_is_nowhere():
    for known in (calls.SCHEDULER_CALLS, calls.EXECUTOR_CALLS, calls.OPERATIONS):
        assert 'UNKNOWN' not in known


@pytest.mark.parametrize('body', [
    {'type': 'UNKNOWN'}, {'type': 'unknown'}, {'type': 'NOPE'}, {'type': 5}, {'type': None}, {'type': ['KILL']},
    {'type': 'UPDATE'}, {}, Dict(), 'KILL', None])
def test_a_body_of_no_known_type_does_not_pass(body):
    with pytest.raises(UsageError) as caught:
        calls.check(body)
    assert str(caught.value).startswith('cannot send the call of type ')
    assert str(caught.value).endswith('SUPPRESS, TEARDOWN, UPDATE_FRAMEWORK')


def test_a_body_of_a_known_type_passes():
    body = {'type': 'KILL'}
    assert calls.check(body) is body
    assert calls.check({'type': 'HEARTBEAT'}, calls.EXECUTOR_CALLS)


@pytest.mark.parametrize('roles', [('eng',), {'eng'}, ['eng'], frozenset(['eng']), iter(['eng'])])
def test_roles_may_be_any_iterable(roles):
    assert calls.suppress('f', roles)['suppress'] == {'roles': ['eng']}


def test_lists_may_be_any_iterable():
    ids = ({'value': name} for name in ('o1', 'o2'))
    assert calls.decline('f', ids)['decline'] == {'offer_ids': [{'value': 'o1'}, {'value': 'o2'}]}


def test_a_missing_key_of_an_addict_status_is_noticed_and_not_made():
    status = Dict(task_id={'value': 't'}, agent_id={'value': 'a'})
    with pytest.raises(UsageError):
        calls.acknowledge('f', status)
    assert 'uuid' not in status


@pytest.mark.parametrize('data', ['hello', 'aGk', 'a b=', u'\u00fc', 5, None, b'\xff'])
def test_message_that_is_not_base64_cannot_be_sent(data):
    with pytest.raises(UsageError) as caught:
        calls.check(calls.message('f', {'value': 'e'}, {'value': 'a'}, data))
    assert 'pymesos.encode_data(data)' in str(caught.value)


@pytest.mark.parametrize('data', ['', 'aGk=', u'aGVsbG8=', 'YWI='])
def test_message_in_base64_can_be_sent(data):
    calls.check(calls.message('f', {'value': 'e'}, {'value': 'a'}, data))


@pytest.mark.parametrize('status, text', [
    ({'state': 'TASK_RUNNING'}, 'without task_id'), ({'task_id': {'value': 't'}}, 'without state'),
    ({}, 'without task_id and state')])
def test_status_update_of_nothing_cannot_be_sent(status, text):
    with pytest.raises(UsageError) as caught:
        calls.check(calls.update({'value': 'f'}, {'value': 'e'}, status), calls.EXECUTOR_CALLS)
    assert text in str(caught.value)


def test_a_kill_for_an_addict_status_without_an_agent_names_none():
    status = Dict(task_id={'value': 't'})
    assert calls.kill('f', status.task_id, status.agent_id)['kill'] == {'task_id': {'value': 't'}}

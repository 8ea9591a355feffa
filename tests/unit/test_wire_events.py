"""pymesos.wire.events: the tables agree with the interface classes, and an unknown event is no error."""
from __future__ import absolute_import, division, print_function

import pytest
from addict import Dict

from pymesos import interface
from pymesos.errors import MessageError
from pymesos.wire import events

TABLES = [(events.SCHEDULER, interface.Scheduler), (events.EXECUTOR, interface.Executor),
          (events.OPERATOR, interface.OperatorMaster)]


@pytest.mark.parametrize('table, callbacks', TABLES)
def test_every_callback_is_for_an_event_and_every_event_for_a_callback_that_exists(table, callbacks):
    defined = set(name for name in vars(callbacks) if not name.startswith('_'))
    named = set(name for event in table.values() for name in (event.callback, event.alternative) if name)
    assert named | {'disconnected', 'error'} == defined | {'disconnected', 'error'}


@pytest.mark.parametrize('table, callbacks', TABLES)
def test_the_field_of_an_event_is_its_type_in_lower_case(table, callbacks):
    for kind, event in table.items():
        assert event.field in (None, kind.lower())


def test_the_types_are_those_of_the_protocol():
    assert sorted(events.SCHEDULER) == [
        'ERROR', 'FAILURE', 'HEARTBEAT', 'INVERSE_OFFERS', 'MESSAGE', 'OFFERS', 'RESCIND', 'RESCIND_INVERSE_OFFER',
        'SUBSCRIBED', 'UPDATE', 'UPDATE_OPERATION_STATUS']
    assert sorted(events.EXECUTOR) == [
        'ACKNOWLEDGED', 'ERROR', 'HEARTBEAT', 'KILL', 'LAUNCH', 'LAUNCH_GROUP', 'MESSAGE', 'SHUTDOWN', 'SUBSCRIBED']
    assert sorted(events.OPERATOR) == [
        'AGENT_ADDED', 'AGENT_REMOVED', 'FRAMEWORK_ADDED', 'FRAMEWORK_REMOVED', 'FRAMEWORK_UPDATED', 'HEARTBEAT',
        'SUBSCRIBED', 'TASK_ADDED', 'TASK_UPDATED']


@pytest.mark.parametrize('make', [dict, Dict])
@pytest.mark.parametrize('table', [None, events.SCHEDULER])
def test_an_event_is_read(make, table):
    event = make(type='OFFERS', offers=make(offers=[]))
    assert events.read(event, table) == ('OFFERS', {'offers': []})


@pytest.mark.parametrize('make', [dict, Dict])
def test_events_without_data_are_read(make):
    assert events.read(make(type='HEARTBEAT'), events.SCHEDULER) == ('HEARTBEAT', None)
    assert events.read(make(type='SHUTDOWN'), events.EXECUTOR) == ('SHUTDOWN', None)


@pytest.mark.parametrize('event', [{}, Dict(), {'type': None}, {'type': 5}, {'type': ''}, {'type': {}}, {'offers': {}}])
def test_an_event_without_a_type_is_data_and_no_error(event):
    assert events.read(event, events.SCHEDULER) == (None, None)


def test_an_unknown_event_is_data_and_no_error():
    assert events.read({'type': 'NEWER', 'newer': {'a': 1}}, events.SCHEDULER) == ('NEWER', {'a': 1})
    assert events.read({'type': 'NEWER'}, events.SCHEDULER) == ('NEWER', None)
    assert events.read({'type': 'OFFERS'}) == ('OFFERS', None)


def test_reading_makes_no_key():
    event = Dict(type='OFFERS')
    events.read(event)
    assert event == {'type': 'OFFERS'}


def test_a_known_event_without_its_data_is_a_message_error():
    with pytest.raises(MessageError) as caught:
        events.read({'type': 'OFFERS'}, events.SCHEDULER)
    assert str(caught.value) == 'event OFFERS has no field offers'


@pytest.mark.parametrize('data', [[], 'text', 5, True])
def test_data_that_is_no_object_is_a_message_error(data):
    with pytest.raises(MessageError) as caught:
        events.read({'type': 'OFFERS', 'offers': data})
    assert str(caught.value) == "event of type 'OFFERS': its data is a %s, expected an object" % type(data).__name__


def test_a_long_type_is_cut_in_the_complaint():
    with pytest.raises(MessageError) as caught:
        events.read({'type': 'X' * 5000, 'x' * 5000: 5})
    assert len(str(caught.value)) < 400

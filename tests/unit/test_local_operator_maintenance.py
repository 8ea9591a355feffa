"""Maintenance of machines at the embedded master (PROTOCOL 2.1, 2.2, 4.1, 5.2); texts are those of Mesos 1.11."""
from __future__ import absolute_import, division, print_function

import pytest
from local_master import resources
from local_operator import Desk, value

HERE = {'hostname': '127.0.0.1', 'ip': '127.0.0.1'}
NAME = '{"hostname":"127.0.0.1","ip":"127.0.0.1"}'
UNAVAILABLE = {'start': {'nanoseconds': 1700000000 * 10 ** 9}, 'duration': {'nanoseconds': 3600 * 10 ** 9}}


def window(*machines, **fields):
    return dict({'machine_ids': list(machines), 'unavailability': UNAVAILABLE}, **fields)


@pytest.fixture
def desk():
    return Desk()


def schedule(desk, *windows):
    return desk.ask('UPDATE_MAINTENANCE_SCHEDULE', schedule={'windows': list(windows)})


@pytest.mark.parametrize('windows, text', [
    ([window()], 'List of machines in the maintenance window is empty'),
    ([window({})], "Both 'hostname' and 'ip' for a machine are empty"),
    ([window(HERE, HERE)], "Machine '%s' appears more than once in the schedule" % NAME),
    ([window(HERE), window(HERE)], "Machine '%s' appears more than once in the schedule" % NAME),
    ([window({'hostname': 'A'}, {'hostname': 'a'})], "Machine '{\"hostname\":\"a\"}' appears more than once in the "
                                                     "schedule"),
    ([window(HERE, unavailability={'start': {'nanoseconds': 1}, 'duration': {'nanoseconds': -5}})],
     "Unavailability 'duration' is negative"),
    ([window({'ip': '999.1.1.1'})], 'Failed to parse IPv4: 999.1.1.1'),
    ([{'machine_ids': [HERE]}], 'Failed to convert JSON into Call protobuf: Missing required fields: '
                                'update_maintenance_schedule.schedule.windows[0].unavailability'),
])
def test_schedule_that_cannot_be_is_refused(desk, windows, text):
    assert schedule(desk, *windows) == (400, text)
    assert desk.look('GET_MAINTENANCE_SCHEDULE') == {'schedule': {}}


def test_schedule_is_shown_and_its_machines_drain(desk):
    assert schedule(desk, window(HERE)) == (200, None)
    assert desk.look('GET_MAINTENANCE_SCHEDULE') == {'schedule': {'windows': [window(HERE)]}}
    assert desk.look('GET_MAINTENANCE_STATUS') == {'status': {'draining_machines': [{'id': HERE}]}}


def test_new_schedule_replaces_the_old(desk):
    schedule(desk, window(HERE), window({'hostname': 'b'}))
    assert schedule(desk, window({'hostname': 'b'})) == (200, None)
    assert desk.look('GET_MAINTENANCE_STATUS') == {'status': {'draining_machines': [{'id': {'hostname': 'b'}}]}}
    assert schedule(desk) == (200, None)
    assert desk.look('GET_MAINTENANCE_STATUS') == {'status': {}}


@pytest.mark.parametrize('kind, machines, text', [
    ('START_MAINTENANCE', [], 'List of machines is empty'),
    ('START_MAINTENANCE', [{}], "Both 'hostname' and 'ip' for a machine are empty"),
    ('START_MAINTENANCE', [{'hostname': 'x'}], "Machine '{\"hostname\":\"x\"}' is not part of a maintenance schedule"),
    ('START_MAINTENANCE', [HERE, HERE], "Machine '%s' appears more than once in the schedule" % NAME),
    ('STOP_MAINTENANCE', [HERE], "Machine '%s' is not in DOWN mode and cannot be brought up" % NAME),
    ('STOP_MAINTENANCE', [], 'List of machines is empty'),
    ('STOP_MAINTENANCE', [{'hostname': 'x'}], "Machine '{\"hostname\":\"x\"}' is not part of a maintenance schedule"),
])
def test_maintenance_that_cannot_be_is_refused(desk, kind, machines, text):
    schedule(desk, window(HERE))
    assert desk.ask(kind, machines=machines) == (400, text)


def test_maintenance_begins_and_ends(desk):
    schedule(desk, window({'hostname': 'A.example.COM'}, {'hostname': 'b'}))
    machine = {'hostname': 'a.example.com'}
    assert desk.ask('START_MAINTENANCE', machines=[machine]) == (200, None)
    assert desk.look('GET_MAINTENANCE_STATUS') == {'status': {
        'draining_machines': [{'id': {'hostname': 'b'}}], 'down_machines': [{'hostname': 'A.example.COM'}]}}
    assert desk.ask('START_MAINTENANCE', machines=[machine]) == (
        400, "Machine '{\"hostname\":\"a.example.com\"}' is not in DRAINING mode and cannot be brought down")
    assert schedule(desk) == (
        400, "Machine '{\"hostname\":\"A.example.COM\"}' is deactivated and cannot be removed from the schedule")
    assert schedule(desk, window(machine), window({'hostname': 'b'})) == (200, None)
    assert desk.ask('STOP_MAINTENANCE', machines=[machine]) == (200, None)
    assert desk.look('GET_MAINTENANCE_SCHEDULE') == {'schedule': {'windows': [window({'hostname': 'b'})]}}
    assert desk.ask('STOP_MAINTENANCE', machines=[machine]) == (
        400, "Machine '{\"hostname\":\"a.example.com\"}' is not in DOWN mode and cannot be brought up")


def test_machine_of_an_agent_that_is_not_scheduled_cannot_be_brought_down(desk):
    desk.agent()
    assert desk.ask('START_MAINTENANCE', machines=[HERE]) == (
        400, "Machine '%s' is not in DRAINING mode and cannot be brought down" % NAME)


def test_schedule_outlives_the_master(desk):
    schedule(desk, window(HERE), window({'hostname': 'b'}))
    desk.ask('START_MAINTENANCE', machines=[{'hostname': 'b'}])
    desk.lead(desk.model.registry())
    assert desk.look('GET_MAINTENANCE_SCHEDULE') == {'schedule': {'windows': [window(HERE), window({'hostname': 'b'})]}}
    assert desk.look('GET_MAINTENANCE_STATUS') == {'status': {
        'draining_machines': [{'id': HERE}], 'down_machines': [{'hostname': 'b'}]}}


# What frameworks see of it.

def inverse_offers(framework):
    return [offer for batch in framework.events('INVERSE_OFFERS') for offer in batch['inverse_offers']]


def test_offers_are_made_anew_and_inverse_offers_with_them(desk):
    agent, framework = desk.agent(), desk.framework()
    desk.wait(1)
    first = framework.offers()[0]
    schedule(desk, window(HERE))
    assert framework.rescinded() == [first['id']['value']]
    desk.wait(0)
    assert framework.offers()[-1]['unavailability'] == UNAVAILABLE
    assert inverse_offers(framework) == [{
        'id': value('%s-O2' % desk.model.id), 'framework_id': value(framework.id), 'agent_id': value(agent.id),
        'url': first['url'], 'unavailability': UNAVAILABLE}]
    shown = desk.look('GET_FRAMEWORKS')['frameworks'][0]
    assert shown['inverse_offers'] == inverse_offers(framework)
    assert shown['offers'][0]['unavailability'] == UNAVAILABLE


def test_framework_without_anything_on_the_agent_is_not_asked_to_leave(desk):
    desk.agent()
    framework = desk.framework(suppressed_roles=['*'])
    schedule(desk, window(HERE))
    desk.wait(5)
    assert framework.events('INVERSE_OFFERS') == []


def test_one_inverse_offer_is_out_at_a_time(desk):
    desk.agent()
    framework = desk.framework()
    schedule(desk, window(HERE))
    desk.wait(20)
    assert len(inverse_offers(framework)) == 1


@pytest.mark.parametrize('kind, status', [('ACCEPT_INVERSE_OFFERS', 'ACCEPT'), ('DECLINE_INVERSE_OFFERS', 'DECLINE')])
def test_answer_is_shown_and_the_question_comes_again_after_the_filter(desk, kind, status):
    desk.agent()
    framework = desk.framework()
    schedule(desk, window(HERE))
    desk.wait(1)
    asked = inverse_offers(framework)
    framework.call(kind, {'inverse_offer_ids': [asked[0]['id'], value('nope')], 'filters': {'refuse_seconds': 3.0}})
    assert desk.look('GET_MAINTENANCE_STATUS') == {'status': {'draining_machines': [{'id': HERE, 'statuses': [{
        'status': status, 'framework_id': value(framework.id),
        'timestamp': {'nanoseconds': desk.world.nanoseconds()}}]}]}}
    desk.wait(2.5)
    assert len(inverse_offers(framework)) == 1
    desk.wait(1.5)
    assert len(inverse_offers(framework)) == 2
    assert framework.events('RESCIND_INVERSE_OFFER') == []


def test_new_time_of_maintenance_asks_anew_whatever_was_answered(desk):
    desk.agent()
    framework = desk.framework()
    schedule(desk, window(HERE))
    desk.wait(1)
    framework.call('DECLINE_INVERSE_OFFERS', {'inverse_offer_ids': [inverse_offers(framework)[0]['id']],
                                              'filters': {'refuse_seconds': 1000.0}})
    later = {'start': {'nanoseconds': 5}}
    schedule(desk, window(HERE, unavailability=later))
    desk.wait(1)
    assert inverse_offers(framework)[-1]['unavailability'] == later
    assert desk.look('GET_MAINTENANCE_STATUS') == {'status': {'draining_machines': [{'id': HERE}]}}


def test_every_schedule_has_all_offers_made_anew(desk):
    desk.agent()
    framework = desk.framework()
    for count, windows in enumerate([(window({'hostname': 'elsewhere'}),)] * 2 + [()], 1):
        desk.wait(1)
        schedule(desk, *windows)
        assert len(framework.rescinded()) == count
    desk.wait(0)
    assert len(framework.offers()) == 4 and not inverse_offers(framework)


def test_end_of_a_schedule_rescinds_offers_and_inverse_offers(desk):
    desk.agent()
    framework = desk.framework()
    schedule(desk, window(HERE))
    desk.wait(1)
    asked = inverse_offers(framework)
    desk.forget()
    schedule(desk)
    assert framework.types == ['RESCIND', 'RESCIND_INVERSE_OFFER']
    assert framework.events('RESCIND_INVERSE_OFFER') == [{'inverse_offer_id': asked[0]['id']}]
    desk.wait(1)
    assert 'unavailability' not in framework.offers()[-1]


def test_revive_brings_the_question_back(desk):
    desk.agent()
    framework = desk.framework()
    schedule(desk, window(HERE))
    desk.wait(1)
    framework.call('DECLINE_INVERSE_OFFERS', {'inverse_offer_ids': [inverse_offers(framework)[0]['id']],
                                              'filters': {'refuse_seconds': 1000.0}})
    framework.call('REVIVE')
    desk.wait(1)
    assert len(inverse_offers(framework)) == 2


def test_inverse_offers_go_without_a_word_when_the_framework_goes(desk):
    agent, framework = desk.agent(), desk.framework()
    schedule(desk, window(HERE))
    desk.wait(1)
    framework.close()
    desk.wait(1)
    assert desk.model.inverse_offers == {} and not agent.state.inverse_offers


def test_machine_that_goes_down_takes_its_agents_along(desk):
    agent, framework = desk.agent(), desk.framework()
    other = desk.agent(5052, resources(1, 64), hostname='other')
    stream = desk.subscribe()
    schedule(desk, window(HERE))
    desk.wait(1)
    desk.forget()
    assert desk.ask('START_MAINTENANCE', machines=[HERE]) == (200, None)
    assert agent.told('SHUTDOWN')[-1]['message'] == "Operator initiated 'Machine DOWN'"
    assert sorted(framework.types) == ['FAILURE', 'RESCIND', 'RESCIND_INVERSE_OFFER']
    assert desk.seen(stream) == [('AGENT_REMOVED', {'agent_id': value(agent.id)})]
    assert [known['agent_info']['id']['value'] for known in desk.look('GET_AGENTS')['agents']] == [other.id]


def test_agent_on_a_machine_that_is_down_may_not_register(desk):
    schedule(desk, window(HERE))
    desk.ask('START_MAINTENANCE', machines=[HERE])
    agent = desk.agent()
    assert agent.id is None
    assert agent.told('SHUTDOWN')[-1]['message'] == 'Machine is `DOWN`'
    desk.ask('STOP_MAINTENANCE', machines=[HERE])
    agent.register()
    assert agent.id is not None


def test_agent_that_registers_while_its_machine_drains_is_offered_with_the_time(desk):
    framework = desk.framework()
    schedule(desk, window(HERE))
    desk.agent()
    desk.wait(1)
    assert framework.offers()[0]['unavailability'] == UNAVAILABLE
    assert len(inverse_offers(framework)) == 1

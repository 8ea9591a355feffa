"""How frameworks subscribe, fail over, change and go (PROTOCOL 1.5, 2.3, 2.4)."""
from __future__ import absolute_import, division, print_function

import pytest
from local_master import Bench, command_task, framework_info

from pymesos.local.model.effects import Timer


@pytest.fixture
def bench():
    return Bench()


# ---- subscribing

def test_a_new_framework_is_told_its_id_and_the_heartbeat_then_offers(bench):
    bench.agent()
    framework = bench.framework()
    bench.wait()
    assert framework.reply.status == 200
    assert framework.reply.headers == (('Mesos-Stream-Id', framework.stream),)
    assert framework.types == ['SUBSCRIBED', 'HEARTBEAT', 'OFFERS']
    assert framework.id == bench.model.id + '-0000'


def test_ids_of_frameworks_are_counted(bench):
    assert [bench.framework().id[-4:] for _ in range(3)] == ['0000', '0001', '0002']


def test_subscribed_tells_of_the_master(bench):
    assert bench.framework().events('SUBSCRIBED') == [{
        'framework_id': {'value': bench.model.id + '-0000'}, 'heartbeat_interval_seconds': 15.0,
        'master_info': {
            'id': bench.model.id, 'ip': 16777343, 'port': 5050, 'pid': 'master@127.0.0.1:5050',
            'hostname': '127.0.0.1', 'version': '1.11.0',
            'address': {'hostname': '127.0.0.1', 'ip': '127.0.0.1', 'port': 5050},
            'capabilities': [{'type': 'AGENT_UPDATE'}, {'type': 'AGENT_DRAINING'}, {}]}}]


def test_heartbeats_come_every_fifteen_seconds(bench):
    framework = bench.framework()
    bench.wait(14.9)
    assert framework.types.count('HEARTBEAT') == 1
    bench.wait(30.2)
    assert framework.types.count('HEARTBEAT') == 4


def test_no_heartbeat_after_the_stream_is_closed(bench):
    framework = bench.framework(framework_info(failover_timeout=100.0))
    framework.close()
    bench.wait(60)
    assert framework.types.count('HEARTBEAT') == 1
    assert not [key for key in bench.timers if key[0] == 'heartbeat']


def test_a_made_up_id_is_accepted(bench):
    framework = bench.framework(framework_info(id={'value': 'made-up'}))
    assert framework.id == 'made-up'
    assert framework.state.info['id'] == {'value': 'made-up'}


def test_the_principal_of_the_connection_is_filled_in(bench):
    framework = bench.framework(principal='me')
    assert framework.state.principal == 'me'
    assert framework.state.info['principal'] == 'me'


def test_an_empty_id_counts_as_none(bench):
    assert bench.framework(framework_info(id={'value': ''})).id == bench.model.id + '-0000'


@pytest.mark.parametrize('fields, message', [
    ({'capabilities': ['MULTI_ROLE'], 'role': 'a'},
     "'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable"),
    ({'roles': ['a']}, "'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable"),
    ({'role': '..'}, "'FrameworkInfo.role' is not a valid role: Role '..' cannot include '..' as a component"),
    ({'role': 'a b'}, "'FrameworkInfo.role' is not a valid role: Role component 'a b' is invalid because it contains "
                      "backspace or whitespace"),
])
def test_a_framework_that_is_refused_gets_an_error_on_its_stream(bench, fields, message):
    framework = bench.framework(framework_info(**fields))
    assert framework.reply.status == 200
    assert framework.events('ERROR') == [{'message': message}]
    assert framework.types == ['ERROR']
    assert bench.closed == [framework.stream]
    assert not bench.model.frameworks


def test_suppressed_roles_get_no_offers(bench):
    bench.agent()
    framework = bench.framework(framework_info(roles=['a', 'b'], capabilities=['MULTI_ROLE']), suppressed_roles=['a'])
    bench.wait(3)
    assert [offer['allocation_info']['role'] for offer in framework.offers()] == ['b']


def test_a_stream_id_on_subscribe_is_refused(bench):
    reply = bench.model.scheduler_call({'type': 'SUBSCRIBE', 'subscribe': {'framework_info': framework_info()}},
                                       None, 'some')
    assert reply.status == 400
    assert reply.body == "Subscribe calls should not include the 'Mesos-Stream-Id' header"


# ---- calls

def test_a_call_of_an_unknown_framework_is_refused(bench):
    framework = bench.framework()
    framework.id = 'nope'
    reply = framework.call('REVIVE')
    assert (reply.status, reply.body) == (400, 'Framework cannot be found')


def test_a_call_without_stream_id_is_refused(bench):
    reply = bench.framework().call('REVIVE', stream_id=None)
    assert (reply.status, reply.body) == (
        400, "All non-subscribe calls should include the 'Mesos-Stream-Id' header")


def test_a_call_with_another_stream_id_is_refused(bench):
    framework = bench.framework()
    reply = framework.call('REVIVE', stream_id='nope')
    assert reply.status == 400
    assert reply.body == ("The stream ID 'nope' included in this request didn't match the stream ID currently "
                          "associated with framework ID " + framework.id)


def test_a_call_of_a_disconnected_framework_is_refused(bench):
    framework = bench.framework(framework_info(failover_timeout=10.0))
    framework.close()
    reply = framework.call('REVIVE')
    assert (reply.status, reply.body) == (403, 'Framework is not subscribed')


def test_a_call_with_another_principal_is_refused(bench):
    framework = bench.framework(principal='me')
    reply = framework.call('REVIVE', principal='you')
    assert reply.status == 400
    assert reply.body == "Authenticated principal 'you' does not match principal 'me' set in `FrameworkInfo`"
    assert framework.call('REVIVE', principal='me').status == 202


def test_a_call_of_type_unknown_is_not_implemented(bench):
    assert bench.framework().call('UNKNOWN').status == 501


def test_request_does_nothing(bench):
    framework = bench.framework()
    bench.forget()
    assert framework.call('REQUEST', {'requests': []}).status == 202
    assert not bench.sent and not bench.told


# ---- failing over

def test_a_framework_that_comes_again_takes_the_stream_over(bench):
    bench.agent()
    old = bench.framework(framework_info(failover_timeout=100.0))
    bench.wait()
    assert len(old.offers()) == 1
    bench.forget()
    new = bench.framework(old.info)
    assert old.types == ['ERROR'] and old.events('ERROR') == [{'message': 'Framework failed over'}]
    assert bench.closed == [old.stream]
    assert new.id == old.id
    assert new.types == ['SUBSCRIBED', 'HEARTBEAT']
    assert old.call('REVIVE').status == 400
    assert new.call('REVIVE').status == 202


def test_offers_of_a_framework_that_fails_over_are_gone_without_a_word(bench):
    bench.agent()
    old = bench.framework(framework_info(failover_timeout=100.0))
    offer = old.last_offer()
    new = bench.framework(old.info)
    assert not bench.model.offers
    assert not old.rescinded() and not new.rescinded()
    new.launch(offer, command_task('t', offer['agent_id']['value']))
    assert new.updates()[-1]['message'] == (
        'Task launched with invalid offers: Offer %s is no longer valid' % offer['id']['value'])
    bench.wait(1)
    assert len(new.offers()) == 1


def test_offers_for_roles_that_a_fail_over_gives_up_are_rescinded_before_the_error(bench):
    bench.agent()
    first = bench.framework(framework_info(roles=['a'], capabilities=['MULTI_ROLE'], failover_timeout=100.0))
    offer = first.last_offer()
    bench.framework(dict(first.info, roles=['b']))
    assert first.types[-2:] == ['RESCIND', 'ERROR']
    assert first.rescinded() == [offer['id']['value']]


def test_user_and_checkpoint_stay_what_they_were_the_rest_is_taken_over(bench):
    old = bench.framework(framework_info(failover_timeout=100.0))
    new = bench.framework(dict(old.info, user='other', checkpoint=True, name='renamed', role='r', failover_timeout=7.0))
    assert new.state.info == {'user': 'root', 'name': 'renamed', 'id': {'value': old.id}, 'failover_timeout': 7.0,
                              'checkpoint': False, 'role': 'r'}
    assert new.state.roles == ('r',)


def test_roles_that_are_not_suppressed_again_are_offered_again(bench):
    bench.agent()
    old = bench.framework(framework_info(failover_timeout=100.0), suppressed_roles=['*'])
    bench.wait(2)
    assert not old.offers()
    new = bench.framework(old.info)
    bench.wait(1)
    assert len(new.offers()) == 1


def test_a_changed_principal_is_refused(bench):
    old = bench.framework(framework_info(principal='me', failover_timeout=100.0))
    new = bench.framework(dict(old.info, principal='you'))
    assert new.events('ERROR') == [{'message': "Changing framework's principal is not allowed."}]
    assert old.call('REVIVE').status == 202


def test_agents_hear_of_a_framework_that_changed(bench):
    agent = bench.agent()
    old = bench.framework(framework_info(failover_timeout=100.0))
    old.launch(old.last_offer(), command_task('t', agent.id))
    new = bench.framework(dict(old.info, name='renamed'))
    assert agent.told('UPDATE_FRAMEWORK')[-1]['framework_info'] == new.state.info


# ---- losing the connection

def test_a_lost_framework_without_timeout_is_removed_at_once(bench):
    framework = bench.framework()
    framework.close()
    bench.wait()
    assert framework.id in bench.model.completed_frameworks
    again = bench.framework(framework.info)
    assert again.types == ['ERROR']
    assert again.events('ERROR') == [{'message': 'Framework has been removed'}]


def test_a_lost_framework_may_come_back_in_time(bench):
    bench.agent()
    framework = bench.framework(framework_info(failover_timeout=10.0))
    bench.wait()
    framework.close()
    assert not bench.model.offers and not framework.rescinded()
    bench.wait(9.9)
    again = bench.framework(framework.info)
    bench.wait()
    assert again.types == ['SUBSCRIBED', 'HEARTBEAT', 'OFFERS']
    bench.wait(30)
    assert again.id in bench.model.frameworks


def test_a_lost_framework_that_comes_too_late_is_removed(bench):
    framework = bench.framework(framework_info(failover_timeout=10.0))
    framework.close()
    bench.wait(10)
    assert bench.framework(framework.info).types == ['ERROR']


def test_a_lost_framework_gets_no_offers(bench):
    framework = bench.framework(framework_info(failover_timeout=100.0))
    framework.close()
    bench.agent()
    bench.wait(5)
    assert not bench.model.offers


def test_filters_are_gone_when_a_lost_framework_comes_back(bench):
    bench.agent()
    framework = bench.framework(framework_info(failover_timeout=100.0))
    framework.decline([framework.last_offer()], 1000.0)
    framework.close()
    again = bench.framework(framework.info)
    bench.wait()
    assert len(again.offers()) == 1


def test_filters_stay_when_the_stream_is_taken_over(bench):
    bench.agent()
    framework = bench.framework(framework_info(failover_timeout=100.0))
    framework.decline([framework.last_offer()], 1000.0)
    again = bench.framework(framework.info)
    bench.wait(10)
    assert not again.offers()


def test_closing_a_stream_that_was_taken_over_changes_nothing(bench):
    old = bench.framework(framework_info(failover_timeout=100.0))
    new = bench.framework(old.info)
    old.close()
    assert new.call('REVIVE').status == 202


# ---- TEARDOWN

def test_teardown_closes_the_stream_without_an_error(bench):
    framework = bench.framework()
    bench.forget()
    assert framework.call('TEARDOWN').status == 202
    assert bench.closed == [framework.stream] and not bench.sent


def test_teardown_shuts_down_executors_and_tells_of_no_task(bench):
    agent = bench.agent()
    framework = bench.framework()
    framework.launch(framework.last_offer(), command_task('t', agent.id))
    bench.forget()
    framework.call('TEARDOWN')
    assert agent.told() == [{'type': 'SHUTDOWN_FRAMEWORK', 'framework_id': framework.id}]
    assert not framework.updates()
    task = bench.model.completed_frameworks[framework.id].completed_tasks[0]
    assert task.state == 'TASK_KILLED'
    assert task.statuses[-1]['reason'] == 'REASON_FRAMEWORK_REMOVED'
    assert task.statuses[-1]['message'] == 'Framework %s removed' % framework.id
    assert not agent.state.tasks


def test_after_teardown_the_id_cannot_be_used_again(bench):
    framework = bench.framework()
    framework.call('TEARDOWN')
    assert framework.call('REVIVE').body == 'Framework cannot be found'
    assert bench.framework(framework.info).events('ERROR') == [{'message': 'Framework has been removed'}]


def test_that_a_framework_has_been_removed_is_said_before_its_timeout_is_looked_at(bench):
    framework = bench.framework()
    framework.call('TEARDOWN')
    again = bench.framework(dict(framework.info, failover_timeout=1e300))
    assert again.events('ERROR') == [{'message': 'Framework has been removed'}]


def test_what_a_removed_framework_held_is_offered_to_others(bench):
    agent = bench.agent()
    one = bench.framework()
    one.launch(one.last_offer(), command_task('t', agent.id, cpus=3))
    other = bench.framework()
    one.call('TEARDOWN')
    bench.wait(1)
    assert sum(item['scalar']['value'] for offer in other.offers() for item in offer['resources']
               if item['name'] == 'cpus') == 4.0


def test_only_so_many_removed_frameworks_are_remembered():
    bench = Bench(max_completed_frameworks=2)
    gone = [bench.framework() for _ in range(3)]
    for framework in gone:
        framework.call('TEARDOWN')
    assert list(bench.model.completed_frameworks) == [gone[1].id, gone[2].id]


# ---- UPDATE_FRAMEWORK

def test_update_framework_takes_over_what_it_brings(bench):
    framework = bench.framework(framework_info(roles=['a', 'b'], capabilities=['MULTI_ROLE']))
    reply = framework.call('UPDATE_FRAMEWORK', {
        'framework_info': dict(framework.info, roles=['b', 'c'], name='renamed'), 'suppressed_roles': ['c']})
    assert (reply.status, reply.body) == (200, None)
    assert framework.state.roles == ('b', 'c') and framework.state.suppressed == set(['c'])
    assert framework.state.info['name'] == 'renamed'


def test_update_framework_with_roles_in_another_order_is_no_news(bench):
    watcher = bench.model.operator_call({'type': 'SUBSCRIBE'}).stream
    framework = bench.framework(framework_info(roles=['a', 'b'], capabilities=['MULTI_ROLE', 'PARTITION_AWARE']))
    for changes, count in ((dict(roles=['b', 'a']), 0), (dict(roles=['b', 'c']), 1)):
        assert framework.call('UPDATE_FRAMEWORK', {'framework_info': dict(framework.info, **changes)}).status == 200
        seen = [event['type'] for stream, event in bench.sent if stream == watcher]
        assert seen.count('FRAMEWORK_UPDATED') == count


def test_update_framework_rescinds_offers_of_roles_that_are_left(bench):
    bench.agent()
    framework = bench.framework(framework_info(roles=['a'], capabilities=['MULTI_ROLE']))
    offer = framework.last_offer()
    framework.call('UPDATE_FRAMEWORK', {'framework_info': dict(framework.info, roles=['b'])})
    assert framework.rescinded() == [offer['id']['value']]
    bench.wait(1)
    assert framework.offers()[-1]['allocation_info'] == {'role': 'b'}


@pytest.mark.parametrize('fields, text', [
    ({'user': 'other'}, "FrameworkInfo update is not valid: Updating 'FrameworkInfo.user' is unsupported; attempted to "
                        "update from 'root' to 'other'"),
    ({'checkpoint': True}, "FrameworkInfo update is not valid: Updating 'FrameworkInfo.checkpoint' is unsupported; "
                           "attempted to update from 'false' to 'true'"),
    ({'principal': 'you'}, "FrameworkInfo update is not valid: Changing framework's principal is not allowed."),
    ({'role': 'a b'}, "Supplied FrameworkInfo is not valid: 'FrameworkInfo.role' is not a valid role: Role component "
                      "'a b' is invalid because it contains backspace or whitespace"),
])
def test_update_framework_refuses_what_cannot_change(bench, fields, text):
    framework = bench.framework(framework_info(principal='me'))
    before = framework.state.info
    reply = framework.call('UPDATE_FRAMEWORK', {'framework_info': dict(framework.info, **fields)})
    assert (reply.status, reply.body) == (400, text)
    assert framework.state.info == before


def test_update_framework_replaces_both_lists(bench):
    framework = bench.framework(framework_info(), suppressed_roles=['*'])
    framework.call('UPDATE_FRAMEWORK', {'framework_info': framework.info})
    assert framework.state.suppressed == set()
    bench.agent()
    bench.wait(1)
    assert len(framework.offers()) == 1


def test_a_master_begins_with_the_allocation(bench):
    model = bench.model
    assert ('allocate',) in bench.timers
    model.on_timer(('allocate',))
    assert Timer(('allocate',), 1.0) in model.effects

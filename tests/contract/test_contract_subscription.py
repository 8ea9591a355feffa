"""How a framework comes, stays, is taken over and goes (PROTOCOL 2.3), offer constraints and reconciliation (2.8)."""
from __future__ import absolute_import, division, print_function

import pytest
import raw
from actors import FOR_LONG

row = pytest.mark.row

MULTI_ROLE = [{'type': 'MULTI_ROLE'}]


# ---------------------------------------------------------------- refused inside the stream

REFUSED = [
    ('role beside roles', {'role': 'a', 'roles': ['b'], 'capabilities': MULTI_ROLE},
     "'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable"),
    ('roles without the capability', {'roles': ['b']},
     "'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable"),
    ('a role twice', {'roles': ['b', 'b'], 'capabilities': MULTI_ROLE},
     "'FrameworkInfo.roles' contains duplicate items: { b }"),
    ('role with a blank', {'role': 'a b'},
     "'FrameworkInfo.role' is not a valid role: Role component 'a b' is invalid because it contains backspace or "
     "whitespace"),
    ('role ..', {'role': '..'},
     "'FrameworkInfo.role' is not a valid role: Role '..' cannot include '..' as a component"),
    ('id with a slash', {'id': {'value': 'a/b'}}, "'a/b' contains invalid characters"),
    ('endless time', {'failover_timeout': 1e20}, 'The framework failover_timeout (1e+20) is invalid'),
]


@row('2.2 ERROR', '2.1 SUBSCRIBE')
@pytest.mark.parametrize('info, text', [pytest.param(*each[1:], id=each[0]) for each in REFUSED])
def test_framework_that_is_not_as_it_must_be_is_refused_inside_the_stream(cluster, info, text):
    assert cluster.refused(**info) == text


@row('2.2 ERROR')
def test_refused_stream_is_ended_properly(cluster):
    stream = cluster.subscribe({'type': 'SUBSCRIBE', 'subscribe': {'framework_info': {
        'user': 'root', 'name': 'x', 'role': '..'}}})
    stream.wait_for_end()
    assert stream.is_last_chunk_seen
    assert stream.head.header('Mesos-Stream-Id')


@row('2.2 ERROR')
def test_role_outside_of_the_masters_is_refused(own_cluster):
    cluster = own_cluster(agents=1, roles='one,two')
    assert 'other' in cluster.refused(role='other')
    cluster.framework(role='two').offer()


@row('2.2 ERROR')
def test_root_is_refused_where_it_may_not_submit(own_cluster):
    cluster = own_cluster(agents=1, root_submissions=False)
    assert cluster.refused(user='root') == "User 'root' is not allowed to run frameworks without --root_submissions set"


@row('2.1 SUBSCRIBE')
@pytest.mark.parametrize('info', [{'user': 'nosuchuser'}, {'user': ''}, {'name': ''}, {'failover_timeout': -1.0}])
def test_framework_with_odd_fields_is_taken(cluster, info):
    cluster.framework(**info).offer()


@row('2.1 SUBSCRIBE')
def test_id_that_the_master_does_not_know_is_taken(cluster):
    framework_id = 'made-up-' + raw.new_uuid().replace('/', '-')
    stream = cluster.subscribe({'type': 'SUBSCRIBE', 'framework_id': {'value': framework_id}, 'subscribe': {
        'framework_info': {'user': 'root', 'name': 'x', 'id': {'value': framework_id}}}})
    assert stream.wait('SUBSCRIBED')['framework_id'] == {'value': framework_id}


# ---------------------------------------------------------------- taken over

@row('2.1 SUBSCRIBE', '2.2 ERROR')
def test_second_subscription_ends_the_first(cluster):
    framework = cluster.framework()
    old, old_id = framework.stream, framework.stream_id
    framework.offer()
    framework.subscribe()
    assert old.wait('ERROR') == {'message': 'Framework failed over'}
    assert old.wait_for_end()[-1]['type'] == 'ERROR' and old.is_last_chunk_seen
    assert framework.stream.wait('HEARTBEAT')
    assert framework.stream_id != old_id
    assert framework.call('REVIVE', headers={'Mesos-Stream-Id': old_id}).status == 400
    framework.do('REVIVE')


@row('2.1 SUBSCRIBE', '2.2 RESCIND')
def test_offers_are_discarded_without_a_word_when_the_framework_is_taken_over(cluster):
    framework = cluster.framework()
    offer = framework.offer()
    old = framework.stream
    framework.subscribe()
    task = framework.task(offer, command='exit 0')
    framework.launch(offer, task)
    assert framework.update(task)['reason'] == 'REASON_INVALID_OFFERS'
    old.wait_for_end()
    assert 'RESCIND' not in old.kinds() + framework.stream.kinds()


@row('2.1 SUBSCRIBE')
def test_framework_that_comes_back_in_time_keeps_its_tasks(cluster):
    framework = cluster.framework(failover_timeout=3600.0)
    executor = framework.run_ready()
    framework.disconnect()
    executor.update(executor.task, 'TASK_RUNNING', message='while it was away')
    framework.subscribe()
    assert framework.update(executor.task, condition=lambda status: status.get('message') == 'while it was away')
    framework.reconcile(executor.task['task_id']['value'])
    assert framework.update(executor.task, condition=lambda status: status.get('reason') == 'REASON_RECONCILIATION')


@row('2.1 SUBSCRIBE')
def test_framework_without_time_to_come_back_is_removed(cluster):
    framework = cluster.framework()
    executor = framework.run_ready()
    framework.stream.close()
    executor.wait('SHUTDOWN')
    raw.wait_until(lambda: cluster.described(framework.id, 'completed_frameworks'), 'the framework to be completed')
    assert cluster.refused(id={'value': framework.id}) == 'Framework has been removed'


@row('2.1 SUBSCRIBE')
def test_framework_whose_time_has_passed_is_removed(cluster):
    framework = cluster.framework(failover_timeout=0.2)
    framework.stream.close()
    raw.wait_until(lambda: cluster.described(framework.id, 'completed_frameworks'), 'the framework to be completed')


@row('2.1 SUBSCRIBE')
def test_subscription_anew_overwrites_what_may_change(cluster):
    framework = cluster.framework(failover_timeout=3600.0)
    framework.info.update(name='renamed', user='nobody', checkpoint=True)
    framework.subscribe()
    info = cluster.described(framework.id)['framework_info']
    assert (info['name'], info['user'], info['checkpoint']) == ('renamed', 'root', False)


@row('2.1 SUBSCRIBE')
def test_principal_cannot_change(cluster):
    framework = cluster.framework(principal='me')
    assert cluster.refused(id={'value': framework.id}, principal='you') == (
        "Changing framework's principal is not allowed.")


@row('2.1 SUBSCRIBE')
def test_subscription_anew_without_suppressed_roles_brings_offers(cluster):
    framework = cluster.framework(roles=['one'], capabilities=['MULTI_ROLE'], suppressed_roles=['one'])
    cluster.allocate()
    framework.fence()
    assert framework.offers() == []
    framework.more.clear()
    framework.subscribe()
    framework.offer()


@row('8.2 filters end')
def test_filters_outlive_a_take_over_and_end_with_a_disconnection(cluster):
    framework = cluster.framework(failover_timeout=3600.0)
    for agent in cluster.agents:
        framework.decline(framework.offer(agent_id=agent.id), FOR_LONG)
    framework.fence()
    framework.subscribe()
    cluster.allocate(3)
    framework.fence()
    assert framework.offers() == []
    framework.disconnect()
    framework.subscribe()
    framework.offer()


@row('2.1 SUBSCRIBE')
def test_operator_removes_a_framework(cluster):
    framework = cluster.framework()
    assert cluster.operator('TEARDOWN', {'framework_id': {'value': framework.id}}).status == 200
    framework.stream.wait_for_end()
    assert cluster.refused(id={'value': framework.id}) == 'Framework has been removed'


@row('2.1 SUBSCRIBE')
def test_principal_of_the_credentials_is_filled_in(own_cluster):
    cluster = own_cluster(agents=1, auth='user:secret')
    framework = cluster.framework()
    assert cluster.described(framework.id)['framework_info']['principal'] == 'user'


# ---------------------------------------------------------------- offer constraints

def constraints(role, *predicates, **selector):
    """OfferConstraints: one group for each of the predicates (or list of them) on the attribute `rack`."""
    selector = selector or {'attribute_name': 'rack'}
    groups = [{'attribute_constraints': [{'selector': selector, 'predicate': predicate}]} for predicate in predicates]
    return {'role_constraints': {role: {'groups': groups}}}


@row('2.1 SUBSCRIBE')
@pytest.mark.parametrize('predicate', [
    {'text_equals': {'value': 'b'}}, {'text_not_equals': {'value': 'a'}}, {'text_matches': {'regex': '[b-z]'}},
    {'text_not_matches': {'regex': 'a+'}}], ids=lambda predicate: sorted(predicate)[0])
def test_constraint_leaves_agents_out(cluster, predicate):
    framework = cluster.framework(offer_constraints=constraints('*', predicate))
    framework.offer(agent_id=cluster.agents[1].id)
    cluster.allocate()
    framework.fence()
    assert {offer['agent_id']['value'] for offer in framework.offers()} == {cluster.agents[1].id}


@row('2.1 SUBSCRIBE')
def test_groups_of_constraints_are_alternatives(cluster):
    framework = cluster.framework(offer_constraints=constraints(
        '*', {'text_equals': {'value': 'a'}}, {'text_equals': {'value': 'b'}}))
    for agent in cluster.agents:
        framework.offer(agent_id=agent.id)


@row('2.1 SUBSCRIBE')
def test_constraint_on_an_attribute_that_is_not_there(cluster):
    framework = cluster.framework(offer_constraints=constraints('*', {'exists': {}}, attribute_name='nope'))
    cluster.allocate(3)
    framework.fence()
    assert framework.offers() == []
    framework.more['offer_constraints'] = constraints('*', {'not_exists': {}}, attribute_name='nope')
    framework.subscribe()
    framework.offer()


@row('2.1 SUBSCRIBE')
def test_constraint_on_the_host_name(cluster):
    framework = cluster.framework(offer_constraints=constraints(
        '*', {'text_equals': {'value': '127.0.0.1'}}, pseudoattribute_type='HOSTNAME'))
    framework.offer()


@row('2.2 ERROR', '2.1 UPDATE_FRAMEWORK')
@pytest.mark.parametrize('broken', [
    {'role_constraints': {'*': {}}}, {'role_constraints': {'*': {'groups': [{}]}}},
    constraints('*', {'text_matches': {'regex': '('}})], ids=['no group', 'no constraint', 'no regex'])
def test_constraints_that_make_no_sense_are_refused(cluster, broken):
    stream = cluster.subscribe({'type': 'SUBSCRIBE', 'subscribe': {
        'framework_info': {'user': 'root', 'name': 'x'}, 'offer_constraints': broken}})
    assert stream.wait('ERROR')['message']
    framework = cluster.framework()
    info = dict(framework.info, id={'value': framework.id})
    assert framework.call('UPDATE_FRAMEWORK', {'framework_info': info, 'offer_constraints': broken}).status == 400


# ---------------------------------------------------------------- RECONCILE

@row('2.1 RECONCILE', '2.2 UPDATE')
def test_reconciliation_tells_the_state_of_a_task(cluster):
    framework = cluster.framework()
    executor = framework.run_ready()
    framework.reconcile(executor.task['task_id']['value'])
    status = framework.update(executor.task, condition=lambda each: each['source'] == 'SOURCE_MASTER')
    assert (status['state'], status['reason']) == ('TASK_RUNNING', 'REASON_RECONCILIATION')
    assert status['message'] == 'Reconciliation: Latest task state'
    assert status['agent_id'] == {'value': executor.agent_id}
    assert 'uuid' not in status and 'data' not in status and 'labels' not in status
    assert status['container_status']['container_id']['value']


@row('2.1 RECONCILE')
@pytest.mark.parametrize('reconcile', [{}, {'tasks': []}], ids=['absent', 'empty'])
def test_implicit_reconciliation_tells_all_tasks(cluster, reconcile):
    framework = cluster.framework()
    executor = framework.run(tasks=3)
    executor.subscribe()
    for task in executor.tasks:
        executor.take(task)
    framework.do('RECONCILE', reconcile)
    assert {framework.update(task)['state'] for task in executor.tasks} == {'TASK_STAGING'}


@row('2.1 RECONCILE')
def test_reconciliation_does_not_mind_another_agent_for_a_task_that_is_known(cluster):
    framework = cluster.framework()
    executor = framework.run_ready()
    framework.do('RECONCILE', {'tasks': [{'task_id': executor.task['task_id'], 'agent_id': {'value': 'nope'}}]})
    status = framework.update(executor.task, condition=lambda each: each['source'] == 'SOURCE_MASTER')
    assert (status['state'], status['agent_id']) == ('TASK_RUNNING', {'value': executor.agent_id})


UNKNOWN = [('none', None, 'TASK_UNKNOWN', 'Reconciliation: Task is unknown'),
           ('one that is not', 'nope', 'TASK_UNKNOWN', 'Reconciliation: Task is unknown'),
           ('one that is', 0, 'TASK_GONE', 'Reconciliation: Task is unknown to the agent')]


@row('2.1 RECONCILE')
@pytest.mark.parametrize('is_aware', [True, False], ids=['aware', 'unaware'])
@pytest.mark.parametrize('agent, state, text', [pytest.param(*each[1:], id=each[0]) for each in UNKNOWN])
def test_reconciliation_of_a_task_that_there_is_not(cluster, agent, state, text, is_aware):
    framework = cluster.framework(capabilities=['PARTITION_AWARE'] if is_aware else [])
    task = {'task_id': {'value': 'nope'}}
    if agent is not None:
        task['agent_id'] = {'value': cluster.agents[agent].id if agent == 0 else agent}
    framework.do('RECONCILE', {'tasks': [task]})
    status = framework.update('nope')
    assert (status['state'], status['message']) == (state if is_aware else 'TASK_LOST', text)
    assert status.get('agent_id') == task.get('agent_id')
    assert (status['source'], status['reason']) == ('SOURCE_MASTER', 'REASON_RECONCILIATION')

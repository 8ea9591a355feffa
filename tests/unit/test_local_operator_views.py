"""What the embedded master shows of its state: the fields are those of a Mesos 1.11 (PROTOCOL 4.1)."""
from __future__ import absolute_import, division, print_function

import pytest
from local_master import command_task, executor_info, executor_task, framework_info, resources, scalar
from local_operator import PORTS, Desk, dynamic, two_agents, value

CONSTRAINTS = {'role_constraints': {'eng': {'groups': [{'attribute_constraints': [
    {'selector': {'attribute_name': 'rack'}, 'predicate': {'exists': {}}}]}]}}}
ATTRIBUTES = [{'name': 'rack', 'type': 'TEXT', 'text': {'value': 'a'}}]


@pytest.fixture
def desk():
    return Desk()


class Lived(object):
    """A cluster in which something has happened."""

    def __init__(self, **task_fields):
        self.desk = Desk()
        self.agent = self.desk.agent(5051, resources(4, 4096) + [scalar('disk', 10000), PORTS], attributes=ATTRIBUTES)
        self.framework = self.desk.framework(framework_info(
            roles=['eng'], capabilities=['MULTI_ROLE', 'RESERVATION_REFINEMENT'], principal='me',
            failover_timeout=60.0), offer_constraints=CONSTRAINTS)
        task = executor_task('t', self.agent.id, executor_info(name='n', source='s'), **task_fields)
        self.framework.accept(
            [self.framework.last_offer()],
            {'type': 'RESERVE', 'reserve': {'resources': [scalar('cpus', 1, **dynamic('eng', principal='me'))]}},
            {'type': 'LAUNCH', 'launch': {'task_infos': [task, command_task('c', self.agent.id)]}})
        self.status = self.agent.update(self.framework, 't', 'TASK_RUNNING', executor_id='e', data='ZGF0YQ==')
        self.desk.wait(1)

    def tasks(self):
        return self.desk.look('GET_TASKS')


def by_role(role, items):
    return [item for item in items if item.get('role') == role]


def test_health_version_and_flags(desk):
    assert desk.look('GET_HEALTH') == {'healthy': True}
    assert sorted(desk.look('GET_VERSION')['version_info']) == ['build_date', 'build_time', 'build_user', 'git_sha',
                                                                'git_tag', 'version']
    flags = dict((flag['name'], flag['value']) for flag in desk.look('GET_FLAGS')['flags'])
    assert len(flags) == 51
    assert (flags['agent_ping_timeout'], flags['allocation_interval'], flags['max_completed_frameworks']) == (
        '15secs', '1secs', '50')
    assert (flags['agent_reregister_timeout'], flags['min_allocatable_resources']) == ('10mins', 'cpus:0.01|mem:32')


def test_flags_follow_the_settings():
    desk = Desk(allocation_interval=0.05, roles=('a', 'b'), weights={'a': 2.5}, offer_timeout=90, cluster='c',
                authenticate_frameworks=True, root_submissions=False)
    flags = dict((flag['name'], flag['value']) for flag in desk.look('GET_FLAGS')['flags'])
    for name, text in (('allocation_interval', '50ms'), ('roles', 'a,b'), ('weights', 'a=2.5'), ('cluster', 'c'),
                       ('offer_timeout', '90secs'), ('authenticate_http_frameworks', 'true'),
                       ('root_submissions', 'false')):
        assert flags[name] == text


def test_master_info(desk):
    shown = desk.look('GET_MASTER')
    assert sorted(shown) == ['elected_time', 'master_info', 'start_time']
    assert shown['master_info']['id'] == desk.model.id


def test_empty_cluster_is_shown_with_the_lists_that_mesos_shows(desk):
    assert desk.look('GET_STATE') == {
        'get_tasks': {'tasks': [], 'unreachable_tasks': [], 'completed_tasks': []}, 'get_executors': {'executors': []},
        'get_frameworks': {'frameworks': [], 'completed_frameworks': []},
        'get_agents': {'agents': [], 'recovered_agents': []}}
    assert desk.look('GET_OPERATIONS') == {}
    assert desk.look('GET_ROLES') == {}
    assert desk.look('GET_WEIGHTS') is None
    assert desk.look('GET_QUOTA') == {'status': {}}
    assert desk.look('GET_MAINTENANCE_STATUS') == {'status': {}}
    assert desk.look('GET_MAINTENANCE_SCHEDULE') == {'schedule': {}}


def test_agent_is_shown_with_its_resources_in_both_formats():
    lived = Lived()
    agent, = lived.desk.look('GET_AGENTS')['agents']
    assert sorted(agent) == ['active', 'agent_info', 'allocated_resources', 'capabilities', 'deactivated',
                             'offered_resources', 'pid', 'registered_time', 'total_resources', 'version']
    assert (agent['active'], agent['deactivated'], agent['version'], agent['pid']) == (
        True, False, '1.11.0', lived.agent.pid)
    assert sorted(agent['agent_info']) == ['attributes', 'checkpoint', 'hostname', 'id', 'port', 'resources']
    reserved = scalar('cpus', 1, role='eng', reservation={'principal': 'me'}, **dynamic('eng', principal='me'))
    assert reserved in agent['total_resources']
    assert scalar('cpus', 3, role='*') in agent['total_resources']
    assert dict(reserved, allocation_info={'role': 'eng'}) in agent['offered_resources']
    assert scalar('cpus', 0.3, role='*', allocation_info={'role': 'eng'}) in agent['allocated_resources']


def test_refined_reservation_is_shown_in_the_newer_format_only(desk):
    stack = [{'type': 'STATIC', 'role': 'eng'}, {'type': 'DYNAMIC', 'role': 'eng/a'}]
    desk.agent(given=[scalar('cpus', 1, reservations=stack)])
    assert desk.look('GET_AGENTS')['agents'][0]['total_resources'] == [scalar('cpus', 1, reservations=stack)]


def test_recovered_agent_is_shown_as_such(desk):
    agent = desk.agent()
    desk.lead(desk.model.registry())
    shown = desk.look('GET_AGENTS')
    assert shown['agents'] == []
    assert [info['id'] for info in shown['recovered_agents']] == [value(agent.id)]
    agent.reregister()
    assert desk.look('GET_AGENTS')['recovered_agents'] == []
    assert 'reregistered_time' in desk.look('GET_AGENTS')['agents'][0]


def test_framework_is_shown_with_its_offers_and_what_it_holds():
    lived = Lived()
    framework, = lived.desk.look('GET_FRAMEWORKS')['frameworks']
    assert sorted(framework) == ['active', 'allocated_resources', 'connected', 'framework_info', 'offer_constraints',
                                 'offered_resources', 'offers', 'recovered', 'registered_time', 'reregistered_time']
    assert framework['framework_info'] == lived.framework.info
    assert framework['offer_constraints'] == CONSTRAINTS
    assert framework['registered_time'] == framework['reregistered_time']
    offer, = framework['offers']
    assert sorted(offer) == ['agent_id', 'allocation_info', 'attributes', 'executor_ids', 'framework_id', 'hostname',
                             'id', 'resources', 'url']
    assert (offer['allocation_info'], offer['executor_ids']) == ({'role': 'eng'}, [value('e')])
    assert scalar('cpus', 1, allocation_info={'role': 'eng'}, **dynamic('eng', principal='me')) in offer['resources']


def test_disconnected_framework_is_shown_without_offers():
    lived = Lived()
    lived.framework.close()
    framework, = lived.desk.look('GET_FRAMEWORKS')['frameworks']
    assert (framework['active'], framework['connected']) == (False, False)
    assert 'offers' not in framework and 'offered_resources' not in framework


def test_completed_framework_is_shown_with_its_end():
    lived = Lived()
    lived.framework.call('TEARDOWN')
    shown = lived.desk.look('GET_FRAMEWORKS')
    assert shown['frameworks'] == []
    framework, = shown['completed_frameworks']
    assert sorted(framework) == ['active', 'connected', 'framework_info', 'offer_constraints', 'recovered',
                                 'registered_time', 'reregistered_time', 'unregistered_time']
    assert [task['state'] for task in lived.tasks()['completed_tasks']] == ['TASK_KILLED', 'TASK_KILLED']


def test_framework_that_only_agents_know_of_has_no_times(desk):
    agent, framework = desk.agent(), desk.framework()
    desk.lead()
    agent.reregister(frameworks=[framework.info])
    shown, = desk.look('GET_FRAMEWORKS')['frameworks']
    assert sorted(shown) == ['active', 'connected', 'framework_info', 'offer_constraints', 'recovered']
    assert (shown['active'], shown['connected'], shown['recovered']) == (False, False, True)


def test_task_is_shown_with_all_that_was_said_of_it():
    fields = {'labels': {'labels': [{'key': 'k'}]}, 'discovery': {'visibility': 'CLUSTER', 'name': 'd'},
              'kill_policy': {'grace_period': {'nanoseconds': 1}},
              'health_check': {'type': 'COMMAND', 'command': {'value': 'true', 'shell': True}},
              'container': {'type': 'MESOS'}, 'limits': {'cpus': value(1.0)}}
    lived = Lived(max_completion_time={'nanoseconds': 10 ** 12},
                  check={'type': 'COMMAND', 'command': {'command': {'value': 'true', 'shell': True}}}, **fields)
    task = [task for task in lived.tasks()['tasks'] if task['name'] == 't'][0]
    # What a task may take, and its check, Mesos does not show.
    assert sorted(task) == sorted(['name', 'task_id', 'framework_id', 'executor_id', 'agent_id', 'state', 'resources',
                                   'statuses', 'status_update_state', 'status_update_uuid'] + list(fields))
    for name in fields:
        assert task[name] == fields[name]
    assert task['resources'] == [dict(item, allocation_info={'role': 'eng'}) for item in resources(0.1, 32)]
    assert task['statuses'] == [dict((name, lived.status[name]) for name in lived.status if name != 'data')]
    assert (task['status_update_state'], task['status_update_uuid']) == ('TASK_RUNNING', lived.status['uuid'])


def test_command_task_has_no_executor_and_may_have_a_user(desk):
    agent, framework = desk.agent(), desk.framework()
    framework.launch(framework.last_offer(), command_task('t', agent.id, command={
        'value': 'true', 'shell': True, 'user': 'nobody'}))
    task, = desk.look('GET_TASKS')['tasks']
    assert 'executor_id' not in task and 'statuses' not in task and 'status_update_state' not in task
    assert task['user'] == 'nobody'


def test_unreachable_task_is_shown_as_such():
    desk = Desk()
    agent = desk.agent()
    framework = desk.framework(framework_info(checkpoint=True, capabilities=['PARTITION_AWARE']))
    framework.launch(framework.last_offer(), command_task('t', agent.id))
    agent.update(framework, 't', 'TASK_RUNNING')
    agent.disconnect()
    desk.wait(600)
    shown = desk.look('GET_TASKS')
    assert shown['tasks'] == []
    assert [task['state'] for task in shown['unreachable_tasks']] == ['TASK_UNREACHABLE']


def test_executor_is_shown_with_its_agent():
    lived = Lived()
    executor, = lived.desk.look('GET_EXECUTORS')['executors']
    assert executor['agent_id'] == value(lived.agent.id)
    assert executor['executor_info']['framework_id'] == value(lived.framework.id)
    assert executor['executor_info']['resources'] == [dict(item, allocation_info={'role': 'eng'})
                                                      for item in resources(0.1, 32)]


def test_roles_are_shown_with_those_above_them():
    desk = Desk()
    agent = desk.agent(5051, resources(4, 4096) + [PORTS])
    framework = desk.framework(framework_info(roles=['eng/a'], capabilities=['MULTI_ROLE']))
    framework.launch(framework.last_offer(), command_task('t', agent.id, 1, 96))
    desk.wait(6)
    desk.ask('UPDATE_WEIGHTS', weight_infos=[{'role': 'w', 'weight': 2.0}])
    total = [scalar('cpus', 4), scalar('mem', 4096)]
    assert desk.look('GET_ROLES') == {'roles': [
        {'name': 'eng', 'weight': 1.0, 'resources': total},
        {'name': 'eng/a', 'weight': 1.0, 'frameworks': [value(framework.id)], 'resources': total},
        {'name': 'w', 'weight': 2.0}]}


# Metrics.

def metrics(desk):
    return dict((metric['name'], metric['value']) for metric in desk.ask('GET_METRICS', timeout={'nanoseconds': 5})[
        1]['metrics'])


def test_metrics_count_agents_frameworks_and_tasks():
    lived = Lived()
    found = metrics(lived.desk)
    for name, number in (('slaves_active', 1), ('slaves_connected', 1), ('slaves_unreachable', 0), ('elected', 1),
                         ('frameworks_active', 1), ('frameworks_connected', 1), ('outstanding_offers', 1),
                         ('tasks_running', 1), ('tasks_staging', 1), ('tasks_finished', 0), ('cpus_total', 4),
                         ('cpus_used', 0.3), ('mem_used', 96), ('cpus_percent', 0.075), ('gpus_total', 0),
                         ('messages_status_update', 1), ('slave_registrations', 1), ('uptime_secs', 2),
                         ('operator_event_stream_subscribers', 0)):
        assert found['master/' + name] == pytest.approx(number), name
    lived.framework.acknowledge(lived.agent.update(lived.framework, 't', 'TASK_FINISHED', executor_id='e'))
    lived.desk.subscribe()
    found = metrics(lived.desk)
    assert (found['master/tasks_finished'], found['master/tasks_running']) == (1, 0)
    assert found['master/operator_event_stream_subscribers'] == 1


def test_metrics_tell_of_the_allocator(desk):
    two_agents(desk)
    desk.framework()
    desk.wait(1)
    found = metrics(desk)
    assert found['allocator/mesos/resources/cpus/total'] == 7
    assert found['allocator/mesos/resources/cpus/offered_or_allocated'] == 6
    assert found['allocator/mesos/roles/*/shares/dominant'] == 1.0
    assert found['allocator/mesos/allocation_runs'] >= 2


def test_metrics_tell_of_filters_and_quotas():
    lived = Lived()
    lived.framework.decline([lived.framework.offers()[-1]], 100)
    found = metrics(lived.desk)
    assert found['allocator/mesos/offer_filters/roles/eng/active'] >= 1
    for role in ('eng', ''):
        assert found['allocator/mesos/quota/roles/%s/resources/cpus/consumed' % role] == 1.3
        assert found['allocator/mesos/quota/roles/%s/resources/mem/consumed' % role] == 96.0
    assert found['frameworks/me/messages_received'] == 0


def test_metrics_tell_of_each_framework(desk):
    framework = desk.framework(framework_info(name='a b', roles=['eng', 'ops'], capabilities=['MULTI_ROLE']))
    framework.call('SUPPRESS', {'roles': ['eng']})
    prefix = 'master/frameworks/a%%20b/%s/' % framework.id
    found = metrics(desk)
    assert (found[prefix + 'subscribed'], found[prefix + 'roles/eng/suppressed'],
            found[prefix + 'roles/ops/suppressed']) == (1.0, 1.0, 0.0)


def test_metrics_count_calls_events_offers_operations_and_tasks_of_a_framework():
    lived = Lived()
    lived.framework.decline([lived.framework.offers()[-1]])
    lived.framework.acknowledge(lived.agent.update(lived.framework, 't', 'TASK_FAILED', executor_id='e'))
    prefix = 'master/frameworks/test/%s/' % lived.framework.id
    found = metrics(lived.desk)
    for name, number in (('calls', 4), ('calls/subscribe', 1), ('calls/accept', 1), ('calls/decline', 1),
                         ('calls/acknowledge', 1), ('calls/kill', 0), ('events/subscribed', 1), ('events/offers', 2),
                         ('events/update', 2), ('events/heartbeat', 1), ('events', 6), ('offers/sent', 2),
                         ('offers/accepted', 1), ('offers/declined', 1), ('operations', 3), ('operations/reserve', 1),
                         ('operations/launch', 2), ('tasks/terminal/task_failed', 1),
                         ('tasks/active/task_staging', 1)):
        assert found[prefix + name] == number, name


def test_metrics_of_a_framework_keep_its_first_name_and_outlive_it(desk):
    framework = desk.framework(framework_info(name='old'))
    framework.call('UPDATE_FRAMEWORK', {'framework_info': dict(framework.info, name='new')})
    framework.call('TEARDOWN')
    assert metrics(desk)['master/frameworks/old/%s/calls/update_framework' % framework.id] == 1


def test_all_metrics_are_numbers(desk):
    two_agents(desk)
    assert all(isinstance(number, float) for number in metrics(desk).values())

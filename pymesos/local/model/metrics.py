"""The metrics of the master: names and meanings are those of Mesos 1.11, where there is something to measure here."""
from __future__ import absolute_import, division, print_function

from six.moves.urllib.parse import quote

__all__ = ['count_call', 'count_event', 'count_operation', 'snapshot']

_ACTIVE = ('TASK_STAGING', 'TASK_STARTING', 'TASK_RUNNING', 'TASK_KILLING', 'TASK_UNREACHABLE', 'TASK_UNKNOWN')
_ENDED = ('TASK_FINISHED', 'TASK_FAILED', 'TASK_KILLED', 'TASK_ERROR', 'TASK_LOST', 'TASK_DROPPED', 'TASK_GONE',
          'TASK_GONE_BY_OPERATOR')
_OPERATIONS = ('create', 'create_disk', 'destroy', 'destroy_disk', 'grow_volume', 'reserve', 'shrink_volume',
               'unreserve')
_LAUNCHES = ('launch', 'launch_group')
_OPERATION_STATES = ('dropped', 'error', 'failed', 'finished', 'gone_by_operator', 'pending', 'recovering', 'total',
                     'unreachable')

#: What is always shown, be it 0; the model counts what of it can happen here.
_COUNTS = '''
dropped_messages http_cache_hits invalid_executor_to_framework_messages invalid_framework_to_executor_messages
invalid_operation_status_update_acknowledgements invalid_operation_status_updates
invalid_status_update_acknowledgements invalid_status_updates messages_authenticate messages_deactivate_framework
messages_decline_offers messages_executor_to_framework messages_exited_executor messages_framework_to_executor
messages_kill_task messages_launch_tasks messages_operation_status_update
messages_operation_status_update_acknowledgement messages_reconcile_operations messages_reconcile_tasks
messages_register_framework messages_register_slave messages_reregister_framework messages_reregister_slave
messages_resource_request messages_revive_offers messages_status_update messages_status_update_acknowledgement
messages_suppress_offers messages_unregister_framework messages_unregister_slave messages_update_slave
recovery_slave_removals slave_registrations slave_removals slave_removals/reason_registered
slave_removals/reason_unhealthy slave_removals/reason_unregistered slave_reregistrations slave_shutdowns_canceled
slave_shutdowns_completed slave_shutdowns_scheduled slave_unreachable_canceled slave_unreachable_completed
slave_unreachable_scheduled valid_executor_to_framework_messages valid_framework_to_executor_messages
valid_operation_status_update_acknowledgements valid_operation_status_updates valid_status_update_acknowledgements
valid_status_updates event_queue_dispatches event_queue_http_requests event_queue_messages
'''.split()

#: What is shown of each framework beside its tasks and roles.
_CALLS = ('subscribe teardown accept decline accept_inverse_offers decline_inverse_offers revive kill shutdown '
          'acknowledge acknowledge_operation_status reconcile reconcile_operations message request suppress '
          'update_framework').split()
_EVENTS = ('subscribed offers inverse_offers rescind rescind_inverse_offer update update_operation_status message '
           'failure error heartbeat').split()
_OFFERS = ('sent', 'accepted', 'declined', 'rescinded')

_RESOURCES = ('cpus', 'mem', 'disk', 'gpus')


def snapshot(master):
    """{name: number} of a :class:`~.master.MasterModel`."""
    numbers = dict.fromkeys(_COUNTS, 0)
    for state in _OPERATION_STATES:
        numbers['operations/' + state] = 0
        numbers.update(('operations/%s/%s' % (kind, state), 0) for kind in _OPERATIONS)
    numbers.update(('tasks_' + state[len('TASK_'):].lower(), 0) for state in _ENDED)
    numbers.update(master.counts)
    numbers.update(_cluster(master))
    numbers.update(_active_tasks(master))
    used, offered = _amounts(master, numbers)
    found = dict(('master/' + name, float(number)) for name, number in numbers.items())
    found.update(_allocator(master, used, offered))
    for framework in list(master.frameworks.values()) + list(master.completed_frameworks.values()):
        found.update(_framework(framework))
    for framework in master.frameworks.values():
        if framework.principal is not None:
            # Mesos counts here what came by its older protocol.
            found['frameworks/%s/messages_received' % framework.principal] = 0.0
            found['frameworks/%s/messages_processed' % framework.principal] = 0.0
    return found


def count_call(framework, call):
    """Count a call of a :class:`~.state.Framework` other than SUBSCRIBE."""
    kind, counts = call['type'], framework.counts
    counts['calls/' + kind.lower()] += 1
    if kind == 'DECLINE':
        counts['offers/declined'] += len(call['decline'].get('offer_ids', ()))
    elif kind == 'ACCEPT':
        counts['offers/accepted'] += len(call['accept'].get('offer_ids', ()))


def count_operation(framework, kind):
    """Count an operation that is done for a framework; a LAUNCH counts once for each of its tasks."""
    framework.counts['operations/' + kind.lower()] += 1


def count_event(framework, kind, body=None):
    """Count an event that is sent to a framework."""
    counts = framework.counts
    counts['events/' + kind.lower()] += 1
    if kind == 'OFFERS':
        counts['offers/sent'] += len(body['offers'])
    elif kind == 'RESCIND':
        counts['offers/rescinded'] += 1
    elif kind == 'SUBSCRIBED':
        counts['calls/subscribe'] += 1


def _cluster(master):
    agents, frameworks = list(master.agents.values()), list(master.frameworks.values())
    active, connected = sum(known.is_active for known in agents), sum(known.is_connected for known in agents)
    offering, online = (sum(known.is_active for known in frameworks), sum(known.is_connected for known in frameworks))
    return {'elected': 1, 'uptime_secs': master.world.time() - master.start_time,
            'slaves_active': active, 'slaves_inactive': len(agents) - active, 'slaves_connected': connected,
            'slaves_disconnected': len(agents) - connected, 'slaves_unreachable': len(master.unreachable_agents),
            'frameworks_active': offering, 'frameworks_inactive': len(frameworks) - offering,
            'frameworks_connected': online, 'frameworks_disconnected': len(frameworks) - online,
            'outstanding_offers': len(master.offers), 'operator_event_stream_subscribers': len(master.publisher)}


def _active_tasks(master):
    states = [task.state for framework in master.frameworks.values() for task in _current(framework)]
    return dict(('tasks_' + state[len('TASK_'):].lower(), states.count(state)) for state in _ACTIVE[:-1])


def _current(framework):
    return list(framework.tasks.values()) + list(framework.unreachable_tasks.values())


def _amounts(master, numbers):
    """Add what there is of resources to `numbers`; returns what is used and what is offered, {name: number}."""
    total, used, offered = {}, {}, {}
    for agent in master.agents.values():
        _add(total, agent.total)
        _add(offered, agent.offered())
        for resources in agent.used().values():
            _add(used, resources)
    for name in _RESOURCES:
        for label in ('', 'revocable_'):
            has, uses = total.get(label + name, 0.0), used.get(label + name, 0.0)
            start = '%s_%s' % (name, label)
            numbers.update({start + 'total': has, start + 'used': uses, start + 'percent': uses / has if has else 0.0})
    return used, offered


def _add(amounts, resources):
    for item in resources.to_list():
        if item['type'] == 'SCALAR':
            name = ('revocable_' if 'revocable' in item else '') + item['name']
            # Amounts have three decimals.
            amounts[name] = round(amounts.get(name, 0.0) + item['scalar']['value'], 3)


def _allocator(master, used, offered):
    found = {'allocator/event_queue_dispatches': 0.0, 'allocator/mesos/event_queue_dispatches': 0.0,
             'allocator/mesos/allocation_runs': float(master.allocator.runs)}
    total = {}
    for agent in master.agents.values():
        _add(total, agent.total)
    for name, amount in total.items():
        start = 'allocator/mesos/resources/%s/' % name
        found[start + 'total'] = amount
        found[start + 'offered_or_allocated'] = round(used.get(name, 0.0) + offered.get(name, 0.0), 3)
    for role, share in master.allocator.shares().items():
        found['allocator/mesos/roles/%s/shares/dominant' % role] = share
    for role, number in master.allocator.active_filters().items():
        found['allocator/mesos/offer_filters/roles/%s/active' % role] = float(number)
    everything = {}
    for role in master.operator.roles.all():
        for name, amount in role.consumed.items():
            found['allocator/mesos/quota/roles/%s/resources/%s/consumed' % (role.name, name)] = amount / 1000
            if '/' not in role.name:
                everything[name] = everything.get(name, 0) + amount
    # What all consume is that of a role without a name.
    found.update(('allocator/mesos/quota/roles//resources/%s/consumed' % name, amount / 1000)
                 for name, amount in everything.items())
    return found


def _framework(framework):
    prefix = 'master/frameworks/%s/%s/' % (quote(framework.first_name.encode('utf-8'), safe=''), framework.id)
    found = {'subscribed': framework.is_connected}
    for group, names in (('calls', _CALLS), ('events', _EVENTS), ('operations', _OPERATIONS + _LAUNCHES)):
        numbers = dict(('%s/%s' % (group, name), framework.counts.get('%s/%s' % (group, name), 0)) for name in names)
        found.update(numbers)
        found[group] = sum(numbers.values())
    for group, names in (('offers', _OFFERS), ('tasks/terminal', [state.lower() for state in _ENDED])):
        found.update(('%s/%s' % (group, name), framework.counts.get('%s/%s' % (group, name), 0)) for name in names)
    states = [task.state for task in _current(framework)]
    found.update(('tasks/active/' + state.lower(), states.count(state)) for state in _ACTIVE)
    found.update(('roles/%s/suppressed' % role, role in framework.suppressed) for role in framework.roles)
    return dict((prefix + name, float(number)) for name, number in found.items())

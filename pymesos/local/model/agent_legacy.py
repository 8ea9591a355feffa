"""The JSON that agents served before there was a v1 API, and still do: ``/state``, ``/containers`` and the like."""
from __future__ import absolute_import, division, print_function

from ...resources import Resources
from .agent_shapes import container_resources, resource_statistics
from .executor_specs import LAUNCHER_DIR
from .shapes import allocation_role, attributes, both_formats, legacy_task, summary
from .texts import duration
from .version import BUILD

__all__ = ['PATHS', 'flags', 'metrics', 'state']

#: Metrics of what nobody counts here, or what there is none of.
NOTHING = (
    'containerizer/fetcher/cache_size_total_bytes', 'containerizer/fetcher/cache_size_used_bytes',
    'containerizer/fetcher/task_fetches_failed', 'containerizer/fetcher/task_fetches_succeeded',
    'containerizer/mesos/container_destroy_errors', 'containerizer/mesos/provisioner/bind/remove_rootfs_errors',
    'containerizer/mesos/provisioner/remove_container_errors', 'gc/path_removals_failed', 'gc/path_removals_pending',
    'gc/path_removals_succeeded', 'resource_provider_manager/events/disconnect',
    'resource_provider_manager/events/subscribe', 'resource_provider_manager/subscribed',
    'slave/executor_directory_max_allowed_age_secs', 'slave/recovery_time_secs', 'system/load_15min',
    'system/load_1min', 'system/load_5min')


# ---- /state

def state(agent):
    """``/state``."""
    found = dict(BUILD)
    found.update({
        'start_time': agent.start_time, 'id': agent.agent_id or '', 'pid': agent.pid,
        'hostname': agent.options.hostname, 'capabilities': [item['type'] for item in agent.capabilities],
        'resources': summary(Resources(agent.total))})
    found.update(_reservations(agent))
    found.update({'resource_providers': [], 'attributes': attributes(agent.options.attributes),
                  'master_hostname': (agent.master or '').rpartition(':')[0], 'flags': flags(agent)['flags'],
                  'frameworks': [_framework(framework) for framework in agent.frameworks.values()],
                  'completed_frameworks': [_framework(framework)
                                           for framework in agent.completed_frameworks.values()]})
    if agent.options.domain is not None:
        found['domain'] = agent.options.domain
    if agent.drain is not None:
        found['drain_config'] = agent.drain
        found['estimated_drain_start_time_seconds'] = agent.drain_start
    return found


def _reservations(agent):
    """Resources by role, in short and in full, and of each how much is in use."""
    total, used = Resources(agent.total), _used(agent)
    found = {}
    for key, resources in (('reserved_resources', total), ('reserved_resources_allocated', used)):
        roles = sorted(set(item['reservations'][-1]['role'] for item in resources.reserved().to_list()))
        found[key] = dict((role, summary(resources.reserved(role))) for role in roles)
    found['reserved_resources_full'] = dict(
        (role, both_formats(total.reserved(role))) for role in sorted(found['reserved_resources']))
    found['unreserved_resources'] = summary(total.unreserved())
    found['unreserved_resources_full'] = both_formats(total.unreserved())
    found['unreserved_resources_allocated'] = summary(used.unreserved())
    return found


def _used(agent):
    used = Resources()
    for container in agent.tree:
        if container.executor is not None and container is container.executor.container:
            used = used + container_resources(container)
    return Resources([dict((name, item[name]) for name in item if name != 'allocation_info')
                      for item in used.to_list()])


def _framework(framework):
    info = framework.info
    found = {'id': framework.id, 'name': info['name'], 'user': info['user'],
             'failover_timeout': info.get('failover_timeout', 0.0), 'checkpoint': framework.is_checkpointed,
             'hostname': info.get('hostname', '')}
    if 'principal' in info:
        found['principal'] = info['principal']
    if framework.has('MULTI_ROLE'):
        found['roles'] = info.get('roles', [])
    else:
        found['role'] = info.get('role', '*')
    found['executors'] = [_executor(executor) for executor in framework.executors.values()]
    found['completed_executors'] = [_executor(executor) for executor in framework.completed_executors]
    return found


def _executor(executor):
    info = executor.info
    found = {'id': executor.id, 'name': info.get('name', ''), 'source': info.get('source', ''),
             'container': executor.container.token, 'directory': executor.container.directory,
             'resources': summary(container_resources(executor.container)),
             'role': allocation_role(info.get('resources', ()))}
    if 'labels' in info:
        found['labels'] = info['labels'].get('labels', [])
    if 'type' in info:
        found['type'] = info['type']
    is_over = executor.is_removed
    live = list(executor.launched.values()) + ([] if is_over else list(executor.terminated.values()))
    found['tasks'] = [legacy_task(task) for task in live]
    found['queued_tasks'] = [_queued(info, executor) for info in executor.queued.values()]
    found['completed_tasks'] = [legacy_task(task) for task in
                                list(executor.completed) + (list(executor.terminated.values()) if is_over else [])]
    return found


def _queued(info, executor):
    return {'id': info['task_id']['value'], 'name': info['name'],
            'executor_id': '' if executor.is_command else executor.id, 'slave_id': info['agent_id']['value'],
            'resources': summary(Resources(info['resources'])), 'role': allocation_role(info['resources'])}


# ---- the rest

def _containers(agent):
    """``/containers``."""
    return [dict(item, container_id=container.token, status=container.executor.container_status())
            for container, item in _monitored(agent)]


def _statistics(agent):
    """``/monitor/statistics``."""
    return [item for _, item in _monitored(agent)]


def _monitored(agent):
    for container in agent.tree:
        executor = container.executor
        if executor is not None and container is executor.container and not container.is_ended:
            yield container, {'executor_id': executor.id, 'executor_name': executor.info.get('name', ''),
                              'framework_id': executor.framework.id, 'source': executor.info.get('source', ''),
                              'statistics': resource_statistics(agent, container)}


def flags(agent):
    """``/flags``: {'flags': {name: text}}, of Mesos' flags those that mean something here."""
    options = agent.options
    found = {
        'attributes': ';'.join('%s:%s' % pair for pair in attributes(options.attributes).items()),
        'authenticate_http_executors': options.authenticate_executors,
        'authenticate_http_readonly': options.authenticate_readonly,
        'authenticate_http_readwrite': options.authenticate_readwrite,
        'default_role': '*', 'hostname': options.hostname, 'ip': options.ip, 'port': options.port,
        'http_command_executor': False, 'http_executor_domain_sockets': False, 'launcher': 'posix',
        'launcher_dir': LAUNCHER_DIR, 'isolation': 'posix/cpu,posix/mem', 'containerizers': 'mesos',
        'max_completed_executors_per_framework': options.max_completed_executors_per_framework,
        'recover': options.recover, 'resources': str(Resources(options.resources)),
        'sandbox_directory': '/mnt/mesos/sandbox', 'strict': True, 'switch_user': options.switch_user, 'version': False,
        'work_dir': options.work_dir or ''}
    for name in ('executor_registration_timeout', 'executor_reregistration_timeout', 'executor_shutdown_grace_period',
                 'recovery_timeout'):
        found[name] = duration(getattr(options, name))
    found['http_heartbeat_interval'] = duration(options.heartbeat_interval)
    found['registration_backoff_factor'] = duration(options.registration_backoff)
    return {'flags': dict((name, _flag(value)) for name, value in found.items())}


def _flag(value):
    return ('false', 'true')[value] if isinstance(value, bool) else '%s' % (value,)


def metrics(agent):
    """``/metrics/snapshot``: {name: number}."""
    found = {'slave/registered': float(agent.is_registered), 'slave/recovery_errors': 0.0,
             'slave/uptime_secs': agent.world.time() - agent.start_time,
             'slave/frameworks_active': float(len(agent.frameworks)),
             'slave/executors_terminated': float(agent.counts['executors_terminated']),
             'slave/executors_preempted': 0.0}
    found.update((name, 0.0) for name in NOTHING)
    executors = [executor for framework in agent.frameworks.values() for executor in framework.executors.values()]
    for name in ('registering', 'running', 'terminating'):
        found['slave/executors_' + name] = float(sum(executor.state == name.upper() for executor in executors))
    for name in ('container_launch_errors', 'invalid_framework_messages', 'invalid_status_updates',
                 'valid_framework_messages', 'valid_status_updates'):
        found['slave/' + name] = float(agent.counts[name])
    for name in ('failed', 'finished', 'gone', 'killed', 'lost'):
        found['slave/tasks_' + name] = float(agent.counts['TASK_' + name.upper()])
    states = [task.state for executor in executors for task in executor.launched.values()]
    for name in ('killing', 'running', 'staging', 'starting'):
        found['slave/tasks_' + name] = float(states.count('TASK_' + name.upper()))
    found['slave/tasks_staging'] += sum(len(executor.queued) for executor in executors)
    total, used = Resources(agent.total), _used(agent)
    for name in ('cpus', 'disk', 'gpus', 'mem'):
        has, uses = total.scalar(name), used.scalar(name)
        found.update({'slave/%s_total' % name: has, 'slave/%s_used' % name: uses,
                      'slave/%s_percent' % name: uses / has if has else 0.0})
        found.update(('slave/%s_revocable_%s' % (name, one), 0.0) for one in ('percent', 'total', 'used'))
    size = total.mem * 2 ** 20
    found.update({'system/cpus_total': total.cpus, 'system/mem_total_bytes': size,
                  'system/mem_free_bytes': size - used.mem * 2 ** 20})
    return found


#: What is served by GET: {path: function of the agent}.
PATHS = {'/state': state, '/containers': _containers, '/monitor/statistics': _statistics, '/flags': flags,
         '/metrics/snapshot': metrics, '/containerizer/debug': lambda agent: {'pending': []}}

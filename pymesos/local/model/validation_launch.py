"""Whether a task or a group of tasks may be launched on what was offered (PROTOCOL 5.4). First failure wins."""
from __future__ import absolute_import, division, print_function

from ...resources import Resources
from . import texts
from . import validation_common as common
from .amounts import quantities
from .shapes import without_secrets
from .validation_common import first

__all__ = ['duplicate_volume', 'group', 'is_same_executor', 'single_role', 'task']

#: What an executor of a group needs at least.
MIN_CPUS, MIN_MEM = 0.01, 32


def task(task, framework, agent, offered):
    """A TaskInfo of a LAUNCH, as :func:`~.amounts.adopted` gives it.

    `framework` and `agent` are of :mod:`.state`, `offered` the Resources that are left. The text goes into TASK_ERROR
    with REASON_TASK_INVALID.
    """
    return _task(task, framework, agent) or _own_executor(task, framework, agent, offered) or _own_cgroups(task)


def group(launch_group, framework, agent, offered):
    """A LaunchGroup whose tasks all have the executor; for TASK_ERROR with REASON_TASK_GROUP_INVALID."""
    executor, tasks = launch_group['executor'], launch_group['task_group'].get('tasks', ())
    seen = set()
    for member in tasks:
        error = _task(member, framework, agent, seen) or _member(member)
        if error is not None:
            return "Task '%s' is invalid: %s" % (member['task_id']['value'], error)
        seen.add(member['task_id']['value'])
    return first(lambda: _executor(executor, framework, agent),
                 lambda: _group_executor(executor, tasks),
                 lambda: _group_resources(executor, tasks, framework, agent, offered),
                 lambda: _explicit_cgroups(executor),
                 lambda: _same_cgroups(executor, tasks, framework, agent))


# A task without its executor.

def _task(task, framework, agent, seen=()):
    task_id = task['task_id']['value']
    error = common.id_(task_id)
    if error is not None:
        return error
    if task_id in framework.tasks or task_id in seen:
        return 'Task has duplicate ID: ' + task_id
    if task_id in framework.unreachable_tasks:
        return 'Task reuses the ID of an unreachable task: ' + task_id
    if task['agent_id']['value'] != agent.id:
        return 'Task uses invalid agent %s while agent %s is expected' % (task['agent_id']['value'], agent.id)
    return (_times(task) or _checks(task) or _resources(task.get('resources', ()), 'Task') or _parts(task, "Task's")
            or (_limits(task, agent) if 'limits' in task else None))


def _times(task):
    if task.get('kill_policy', {}).get('grace_period', {}).get('nanoseconds', 0) < 0:
        return "Task's 'kill_policy.grace_period' must be non-negative"
    if task.get('max_completion_time', {}).get('nanoseconds', 0) < 0:
        return "Task's `max_completion_time` must be non-negative"
    return None


def _checks(task):
    for name, rule, label in (('check', common.check, 'check'), ('health_check', common.health_check, 'health check')):
        error = rule(task[name]) if name in task else None
        if error is not None:
            return 'Task uses invalid %s: %s' % (label, error)
    return None


def _parts(message, owner):
    for name, rule, label in (('command', common.command, 'CommandInfo'),
                              ('container', common.container, 'ContainerInfo')):
        error = rule(message[name]) if name in message else None
        if error is not None:
            return '%s `%s` is invalid: %s' % (owner, label, error)
    return None


def _resources(items, owner):
    """The Resource dicts of a task or an executor (`owner`)."""
    if not items:
        return 'Task uses no resources' if owner == 'Task' else None
    error = common.resources(items)
    if error is not None:
        return '%s uses invalid resources: %s' % (owner, error)
    error = duplicate_volume(items)
    if error is not None:
        return '%s uses duplicate persistence ID: %s' % (owner, error)
    error = single_role(items)
    if error is not None:
        return 'Invalid %s resources: %s' % (owner.lower(), error)
    error = _mixed(items)
    return None if error is None else '%s mixes revocable and non-revocable resources: %s' % (owner, error)


def duplicate_volume(items):
    """Persistence ids are unique for a role."""
    seen = set()
    for item in items:
        if 'disk' in item and 'persistence' in item['disk']:
            key = item['reservations'][-1]['role'], item['disk']['persistence']['id']
            if key in seen:
                return "Persistence ID '%s' is not unique" % key[1]
            seen.add(key)
    return None


def single_role(items):
    """All are allocated to one role."""
    found = None
    for item in items:
        role = item.get('allocation_info', {}).get('role')
        if role is None:
            return 'The resources are not allocated to a role'
        if found is not None and role != found:
            return ("The resources have multiple allocation roles ('%s' and '%s') but only one allocation role is "
                    "allowed" % (role, found))
        found = role
    return None


def _mixed(items):
    for item in items:
        if 'revocable' in item and any(other['name'] == item['name'] and 'revocable' not in other for other in items):
            return "Cannot use both revocable and non-revocable '%s' at the same time" % item['name']
    return None


def _limits(task, agent):
    if not any(item.get('type') == 'TASK_RESOURCE_LIMITS' for item in agent.capabilities):
        return 'Agent is not capable of handling task resource limits'
    limits = task['limits']
    if not set(limits) <= set(['cpus', 'mem']):
        return "Only cpus and mem may be included in a task's resource limits"
    requested = quantities(Resources(task['resources']))
    if 'cpus' in limits:
        if 'cpus' not in requested:
            return 'When a CPU limit is specified, a CPU request must also be specified'
        if float(limits['cpus']['value']) < requested['cpus'] / 1000:
            return 'The cpu limit must be greater than or equal to the cpu request'
    if 'mem' in limits:
        if 'mem' not in requested:
            return 'When a memory limit is specified, a memory request must also be specified'
        # Mesos counts unsigned bytes here: what is negative is more than enough.
        if 0 <= float(limits['mem']['value']) < requested['mem'] // 1000:
            return 'The memory limit must be greater than or equal to the memory request'
    return None


def _own_cgroups(task):
    if _shares_cgroups(task):
        return None
    return "Only tasks in a task group may have 'share_cgroups' set to 'false'"


def _shares_cgroups(task):
    return 'container' not in task or task['container'].get('linux_info', {}).get('share_cgroups', True)


# A task and its executor.

def _own_executor(task, framework, agent, offered):
    if ('executor' in task) == ('command' in task):
        return 'Task should have at least one (but not both) of CommandInfo or ExecutorInfo present'
    total = Resources(task['resources'])
    executor = task.get('executor')
    if executor is not None:
        held = Resources(executor.get('resources', ()))
        error = (_executor(executor, framework, agent) or _custom(executor, held) or _explicit_cgroups(executor)
                 or _together(task['resources'], total, executor.get('resources', ()), held))
        if error is not None:
            return error
        if not _is_running(executor, framework, agent):
            total = total + held
    if offered.contains(total):
        return None
    return ('Total resources %s required by task and its executor is more than available %s'
            % (texts.resources(total), texts.resources(offered)))


def _custom(executor, held):
    if executor.get('type', 'CUSTOM') != 'CUSTOM':
        return "'ExecutorInfo.type' must be 'CUSTOM'"
    if 'command' not in executor:
        return "'ExecutorInfo.command' must be set"
    if any('shared' in item for item in executor.get('resources', ())):
        return 'Executor resources %s should not contain any shared resources' % texts.resources(held)
    return None


def _explicit_cgroups(executor):
    if executor.get('container', {}).get('linux_info', {}).get('share_cgroups'):
        return "The 'share_cgroups' field cannot be set to 'true' on executor containers"
    return None


def _together(task_items, task_total, items, held):
    """The resources of a task and its executor, as one."""
    if _overlap([task_total, held]):
        return ('There are overlapping resources in the task resources %s and executor resources %s'
                % (texts.resource_list(task_items), texts.resource_list(items)))
    both = list(task_items) + list(items)
    error = duplicate_volume(both)
    if error is not None:
        return 'Task and its executor use duplicate persistence ID: ' + error
    error = _mixed(both)
    return None if error is None else 'Task and its executor mix revocable and non-revocable resources: ' + error


def _overlap(parts):
    """Whether a number of a range or an item of a set is in several of the Resources."""
    counted, total = {}, Resources()
    for part in parts:
        total = total + part
        for name, quantity in quantities(part).items():
            counted[name] = counted.get(name, 0) + quantity
    return counted != quantities(total)


# Executors.

def _is_running(executor, framework, agent):
    return executor['executor_id']['value'] in agent.executors.get(framework.id, ())


def _executor(executor, framework, agent):
    """What holds for the executor of a task and of a group."""
    error = (_executor_type(executor) or common.id_(executor['executor_id']['value']) or _grace(executor)
             or _parts(executor, "Executor's"))
    if error is not None:
        return error
    if 'framework_id' not in executor:
        return "'ExecutorInfo.framework_id' must be set"
    if executor['framework_id']['value'] != framework.id:
        return ('ExecutorInfo has an invalid FrameworkID (Actual: %s vs Expected: %s)'
                % (executor['framework_id']['value'], framework.id))
    return _resources(executor.get('resources', ()), 'Executor') or _compatible(executor, framework, agent)


def _grace(executor):
    if executor.get('shutdown_grace_period', {}).get('nanoseconds', 0) < 0:
        return "ExecutorInfo's 'shutdown_grace_period' must be non-negative"
    return None


def _executor_type(executor):
    kind, has_command = executor.get('type'), 'command' in executor
    if kind == 'CUSTOM' and not has_command:
        return "'ExecutorInfo.command' must be set for 'CUSTOM' executor"
    if kind != 'DEFAULT':
        return None
    if has_command:
        return "'ExecutorInfo.command' must not be set for 'DEFAULT' executor"
    container = executor.get('container', {'type': 'MESOS'})
    if container['type'] != 'MESOS':
        return "'ExecutorInfo.container.type' must be 'MESOS' for 'DEFAULT' executor"
    if 'image' in container.get('mesos', ()):
        return "'ExecutorInfo.container.mesos.image' must not be set for 'DEFAULT' executor"
    return None


_RULE = '-' * 60 + '\n'


def _compatible(executor, framework, agent):
    existing = agent.executors.get(framework.id, {}).get(executor['executor_id']['value'])
    if existing is None or is_same_executor(existing, executor):
        return None
    return ('ExecutorInfo is not compatible with existing ExecutorInfo with same ExecutorID.\n'
            + _RULE + 'Existing ExecutorInfo:\n' + texts.message('ExecutorInfo', without_secrets(existing)) + '\n'
            + _RULE + 'ExecutorInfo:\n' + texts.message('ExecutorInfo', without_secrets(executor)) + '\n' + _RULE)


def is_same_executor(one, other):
    """Whether Mesos takes two ExecutorInfos for the same: it ignores labels, the grace period and order."""
    return one is other or one == other or _identity(one) == _identity(other)


def _identity(executor):
    command, container = executor.get('command', {'shell': True}), executor.get('container')
    environment = command.get('environment', {}).get('variables', ())
    command = dict(command, uris=_unordered(dict(uri, executable=uri.get('executable', False))
                                            for uri in command.get('uris', ())), environment=_unordered(environment))
    if container is not None:
        container = (container['type'], container.get('hostname', ''), _unordered(container.get('volumes', ())),
                     container.get('docker'))
    return (executor.get('type'), executor['executor_id'], executor.get('framework_id'), executor.get('data', ''),
            executor.get('name', ''), executor.get('source', ''), executor.get('discovery'), command, container,
            Resources(executor.get('resources', ())))


def _unordered(items):
    return sorted(texts.resource_list([item]) for item in items)


# Groups.

def _member(task):
    if 'executor' not in task:
        return "'TaskInfo.executor' must be set"
    container = task.get('container', {})
    if container.get('network_infos') and task.get('health_check', {}).get('type') in ('HTTP', 'TCP'):
        return "HTTP and TCP health checks are not supported for nested containers not joining parent's network"
    if container.get('type') == 'DOCKER':
        return 'Docker ContainerInfo is not supported on the task'
    if 'limits' in task and _shares_cgroups(task):
        return ("Resource limits may only be set for tasks within a task group when the 'share_cgroups' field is set "
                "to 'false'.")
    return None


def _group_executor(executor, tasks):
    name = executor['executor_id']['value']
    if 'type' not in executor:
        return "'ExecutorInfo.type' must be set"
    if executor['type'] == 'UNKNOWN':
        return 'Unknown executor type'
    if executor.get('container', {}).get('type') == 'DOCKER':
        return 'Docker ContainerInfo is not supported on the executor'
    for member in tasks:
        if not is_same_executor(member['executor'], executor):
            return ("The `ExecutorInfo` of task '%s' is different from executor '%s'"
                    % (member['task_id']['value'], name))
    held = quantities(Resources(executor.get('resources', ())))
    if held.get('cpus', 0) < MIN_CPUS * 1000:
        return ("Executor '%s' uses less CPUs (%s) than the minimum required (%g)"
                % (name, '%g' % (held['cpus'] / 1000) if held.get('cpus') else 'None', MIN_CPUS))
    if held.get('mem', 0) < MIN_MEM * 1000:
        return ("Executor '%s' uses less memory (%s) than the minimum required (%dMB)"
                % (name, '%dMB' % (held['mem'] // 1000) if held.get('mem') else 'None', MIN_MEM))
    return None if held.get('disk') else "Executor '%s' uses no disk" % name


def _group_resources(executor, tasks, framework, agent, offered):
    items = list(executor.get('resources', ()))
    held, parts = Resources(items), [Resources(member['resources']) for member in tasks]
    both = items + [item for member in tasks for item in member['resources']]
    error = duplicate_volume(both)
    if error is not None:
        return 'Task group and executor use duplicate persistence ID: ' + error
    error = _mixed(both)
    if error is not None:
        return 'Task group and executor mix revocable and non-revocable resources: ' + error
    if _overlap(parts + [held]):
        return ("There are overlapping resources in the task group's task resources [ %s ] and/or executor resources %s"
                % (', '.join(texts.resources(part) for part in parts), texts.resource_list(items)))
    total = sum(parts, Resources())
    if not _is_running(executor, framework, agent):
        total = total + held
    if offered.contains(total):
        return None
    return ('Total resources %s required by task group and its executor are more than available %s'
            % (texts.resources(total), texts.resources(offered)))


def _same_cgroups(executor, tasks, framework, agent):
    """All tasks of an executor share its cgroups, or none."""
    infos = list(tasks)
    if tasks and executor['executor_id']['value'] in framework.executors.get(agent.id, ()):
        for known in list(framework.tasks.values()) + list(framework.unreachable_tasks.values()):
            if known.agent_id == agent.id and known.executor_id == executor['executor_id']['value']:
                infos.append(known.info)
    if len(set(bool(_shares_cgroups(info)) for info in infos)) > 1:
        return ("If set, the value of 'share_cgroups' must be the same for all tasks in each task group and under a "
                "single executor")
    return None

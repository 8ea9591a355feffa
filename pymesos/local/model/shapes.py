"""How master and agents show resources, attributes and tasks in what operators see."""
from __future__ import absolute_import, division, print_function

from collections import OrderedDict

from ...resources import Resources

__all__ = ['allocation_role', 'attributes', 'both_formats', 'legacy_task', 'summary', 'task_message', 'with_id',
           'without_secrets']

#: Scalars that are shown even where there is none.
SHOWN = ('disk', 'mem', 'gpus', 'cpus')

#: What a Task has of its TaskInfo as it is.
_COPIED = ('labels', 'discovery', 'container', 'health_check', 'kill_policy', 'limits')


def both_formats(resources):
    """The Resource dicts of :class:`Resources` in both formats at once: the older where it will do, and the newer."""
    shown = []
    for item in resources.to_list():
        stack = item.get('reservations', [])
        if not stack:
            item['role'] = '*'
        elif len(stack) == 1:
            item['role'] = stack[0]['role']
            if stack[0].get('type') == 'DYNAMIC':
                item['reservation'] = dict((name, stack[0][name]) for name in ('principal', 'labels')
                                           if name in stack[0])
        shown.append(item)
    return shown


def summary(resources):
    """{name: number or text} of :class:`Resources`, the older JSON; some scalars are there even if they are 0."""
    found = OrderedDict((name, 0.0) for name in SHOWN)
    for item in resources.to_list():
        name = item['name']
        if item['type'] == 'SCALAR':
            found[name] = resources.scalar(name)
        elif item['type'] == 'RANGES':
            found[name] = '[%s]' % ', '.join('%d-%d' % pair for pair in resources.ranges(name))
        else:
            found[name] = '{%s}' % ', '.join(sorted(resources.set(name)))
    return found


def attributes(items):
    """{name: number or text} of a list of Attributes; of a name that is there twice, the last."""
    found = OrderedDict()
    for item in items:
        if item['type'] == 'SCALAR':
            value = item['scalar']['value']
        elif item['type'] == 'TEXT':
            value = item['text']['value']
        elif item['type'] == 'SET':
            value = '{%s}' % ', '.join(item['set'].get('item', ()))
        else:
            value = '[%s]' % ', '.join('%d-%d' % (pair['begin'], pair['end'])
                                       for pair in item['ranges'].get('range', ()))
        found[item['name']] = value
    return found


def allocation_role(resources):
    """The role that a list of Resource dicts is allocated to; all are to one."""
    for item in resources:
        return item.get('allocation_info', {}).get('role', '*')
    return '*'


def task_user(info):
    """The user that a TaskInfo names, None if it names none."""
    return info.get('command', {}).get('user') or info.get('executor', {}).get('command', {}).get('user')


def without_secrets(message):
    """A message, or a list of messages, as anybody may see it: the Secrets in it have no value."""
    if isinstance(message, (list, tuple)):
        return [without_secrets(item) for item in message]
    if not isinstance(message, dict):
        return message
    is_secret = message.get('type') == 'VALUE' and isinstance(message.get('value'), dict)
    return OrderedDict((name, without_secrets(value)) for name, value in message.items()
                       if not (is_secret and name == 'value'))


def task_message(task):
    """The Task message of a :class:`~.state.Task`."""
    info = task.info
    message = OrderedDict([('name', info['name']), ('task_id', info['task_id']),
                           ('framework_id', {'value': task.framework_id})])
    if task.executor_id is not None:
        message['executor_id'] = {'value': task.executor_id}
    message['agent_id'] = info['agent_id']
    message['state'] = task.state
    message['resources'] = info['resources']
    if task.statuses:
        message['statuses'] = list(task.statuses)
    if task.update_uuid is not None:
        message['status_update_state'] = task.update_state
        message['status_update_uuid'] = task.update_uuid
    for name in _COPIED:
        if name in info:
            message[name] = without_secrets(info[name])
    if task_user(info):
        message['user'] = task_user(info)
    return message


def with_id(info, value, before):
    """A copy of a FrameworkInfo or AgentInfo with its id, where Mesos shows that: behind the fields `before`."""
    made = dict((name, info[name]) for name in before if name in info)
    made['id'] = {'value': value}
    made.update((name, info[name]) for name in info if name not in made)
    return made


def legacy_task(task):
    """A task in the older JSON."""
    info = task.info
    found = OrderedDict([('id', task.id), ('name', info['name']), ('framework_id', task.framework_id),
                         ('executor_id', task.executor_id or ''), ('slave_id', info['agent_id']['value']),
                         ('state', task.state), ('resources', summary(Resources(info['resources'])))])
    if info.get('limits'):
        found['limits'] = dict((name, limit['value']) for name, limit in info['limits'].items())
    found['role'] = allocation_role(info['resources'])
    found['statuses'] = [legacy_status(status) for status in task.statuses]
    if 'labels' in info:
        found['labels'] = info['labels'].get('labels', [])
    for name in ('discovery', 'container', 'health_check'):
        if name in info:
            found[name] = without_secrets(info[name])
    if task_user(info):
        found['user'] = task_user(info)
    return found


def legacy_status(status):
    """A TaskStatus in the older JSON."""
    found = OrderedDict([('state', status['state']), ('timestamp', status.get('timestamp', 0.0))])
    if 'labels' in status:
        found['labels'] = status['labels'].get('labels', [])
    if 'container_status' in status:
        found['container_status'] = OrderedDict((name, status['container_status'][name])
                                                for name in ('container_id', 'network_infos', 'cgroup_info')
                                                if name in status['container_status'])
    for name in ('healthy', 'check_status'):
        if name in status:
            found[name] = status[name]
    return found

"""Messages that an agent shows of what it has."""
from __future__ import absolute_import, division, print_function

from ...resources import Resources

__all__ = ['container_resources', 'resource_statistics', 'task_message']

#: What a Task has of its TaskInfo as it is.
_COPIED = ('labels', 'discovery', 'container', 'health_check', 'kill_policy', 'limits')


def task_message(task):
    """The Task message of an :class:`~.agent_state.AgentTask`."""
    info = task.info
    message = {'name': info['name'], 'task_id': info['task_id'], 'framework_id': {'value': task.framework_id}}
    if task.executor_id is not None:
        message['executor_id'] = {'value': task.executor_id}
    message.update(agent_id=info['agent_id'], state=task.state, resources=info['resources'])
    if task.statuses:
        message['statuses'] = list(task.statuses)
    if task.update_uuid is not None:
        message.update(status_update_state=task.update_state, status_update_uuid=task.update_uuid)
    for name in _COPIED:
        if name in info:
            message[name] = info[name]
    user = info.get('command', {}).get('user') or info.get('executor', {}).get('command', {}).get('user')
    if user:
        message['user'] = user
    return message


def container_resources(container):
    """What a container of an executor may use: its :class:`~pymesos.resources.Resources`."""
    executor = container.executor
    if executor is None or container is not executor.container:
        return Resources(container.resources)
    total = Resources(executor.info.get('resources', ()))
    for task in executor.launched.values():
        total = total + Resources(task.info['resources'])
    for task in executor.queued.values():
        total = total + Resources(task['resources'])
    return total


def resource_statistics(agent, container):
    """The ResourceStatistics of a container; what it has used nobody measures."""
    resources = container_resources(container)
    size = int(resources.mem * 2 ** 20)
    return {'timestamp': agent.world.time(), 'cpus_user_time_secs': 0.0, 'cpus_system_time_secs': 0.0,
            'cpus_soft_limit': resources.cpus, 'mem_limit_bytes': size, 'mem_soft_limit_bytes': size,
            'mem_rss_bytes': 0}

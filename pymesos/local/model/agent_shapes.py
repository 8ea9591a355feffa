"""What an agent shows of its containers."""
from __future__ import absolute_import, division, print_function

from ...resources import Resources

__all__ = ['container_resources', 'resource_statistics']


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

"""What the operator API of an agent shows: v1 calls that only look (PROTOCOL 4.3)."""
from __future__ import absolute_import, division, print_function

from . import agent_legacy
from .effects import Reply, refuse
from .shapes import task_message, without_secrets
from .version import BUILD

__all__ = ['AgentViews']


class AgentViews(object):
    """Shows `agent`, an :class:`~.agent.AgentModel`."""

    def __init__(self, agent):
        self._agent = agent
        self._calls = {
            'GET_HEALTH': lambda: {'healthy': True},
            'GET_FLAGS': self._flags,
            'GET_VERSION': lambda: {'version_info': dict(BUILD)},
            'GET_METRICS': self._metrics,
            'GET_LOGGING_LEVEL': lambda: {'level': self._level},
            'GET_STATE': lambda: {'get_tasks': self._tasks(), 'get_executors': self._executors(),
                                  'get_frameworks': self._frameworks()},
            'GET_FRAMEWORKS': self._frameworks,
            'GET_EXECUTORS': self._executors,
            'GET_TASKS': self._tasks,
            'GET_OPERATIONS': self._operations,
            'GET_AGENT': self._about_agent,
            'GET_RESOURCE_PROVIDERS': lambda: {},
        }
        self._level = 0

    def call(self, call):
        """The Reply to an agent.Call; None if it is not one of these."""
        kind = call['type']
        if kind in self._calls:
            return Reply(200, {'type': kind, kind.lower(): self._calls[kind]()})
        if kind == 'SET_LOGGING_LEVEL':
            self._level = call['set_logging_level']['level']
            return Reply(200)
        if kind in ('PRUNE_IMAGES', 'MARK_RESOURCE_PROVIDER_GONE'):
            return Reply(200)
        if kind in ('ADD_RESOURCE_PROVIDER_CONFIG', 'UPDATE_RESOURCE_PROVIDER_CONFIG'):
            info = call[kind.lower()]['info']
            return refuse(400, "Failed to validate resource provider config with type '%s' and name '%s': Unknown "
                               "local resource provider type '%s'" % (info['type'], info['name'], info['type']))
        if kind == 'REMOVE_RESOURCE_PROVIDER_CONFIG':
            return refuse(500, 'Missing required flag --resource_provider_config_dir')
        return None

    def legacy(self, path, _query):
        """The Reply to a GET of a path of old; None if there is none."""
        if path not in agent_legacy.PATHS:
            return None
        return Reply(200, agent_legacy.PATHS[path](self._agent))

    def _flags(self):
        flags = agent_legacy.flags(self._agent)['flags']
        return {'flags': [{'name': name, 'value': flags[name]} for name in sorted(flags)]}

    def _metrics(self):
        metrics = agent_legacy.metrics(self._agent)
        return {'metrics': [{'name': name, 'value': metrics[name]} for name in sorted(metrics)]}

    def _frameworks(self):
        return {'frameworks': [{'framework_info': framework.info} for framework in self._agent.frameworks.values()],
                'completed_frameworks': [{'framework_info': framework.info}
                                         for framework in self._agent.completed_frameworks.values()]}

    def _all_frameworks(self):
        return list(self._agent.frameworks.values()) + list(self._agent.completed_frameworks.values())

    def _executors(self):
        frameworks = self._all_frameworks()
        return {'executors': [{'executor_info': without_secrets(executor.info)} for framework in frameworks
                              for executor in framework.executors.values()],
                'completed_executors': [{'executor_info': without_secrets(executor.info)} for framework in frameworks
                                        for executor in framework.completed_executors]}

    def _tasks(self):
        found = {'pending_tasks': [], 'queued_tasks': [], 'launched_tasks': [], 'terminated_tasks': [],
                 'completed_tasks': []}
        for framework in self._all_frameworks():
            for executor in list(framework.executors.values()) + list(framework.completed_executors):
                found['queued_tasks'] += [task_message(task) for task in executor.queued_tasks()]
                found['launched_tasks'] += [task_message(task) for task in executor.launched.values()]
                found['terminated_tasks'] += [task_message(task) for task in executor.terminated.values()]
                found['completed_tasks'] += [task_message(task) for task in executor.completed]
        return found

    def _operations(self):
        shown = list(self._agent.operations.shown.values())
        return {'operations': shown} if shown else {}

    def _about_agent(self):
        agent = self._agent
        found = {'agent_info': agent.info}
        if agent.drain is not None:
            found['drain_config'] = agent.drain
            found['estimated_drain_start_time'] = {'nanoseconds': agent.drain_start * 10 ** 9}
        return found

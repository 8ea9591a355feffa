"""What of an agent survives its death: what a disk would hold, and how an agent takes it up (PROTOCOL 3.4, 9)."""
from __future__ import absolute_import, division, print_function

from .agent_state import REGISTERING, RUNNING, TERMINATED, TERMINATING, AgentFramework, AgentTask, Executor
from .container_tree import Container
from .effects import Timer
from .texts import duration

__all__ = ['Recovery', 'snapshot']

#: The timer that ends recovery.
RECOVERED = ('recovered',)


def snapshot(agent):
    """What a disk would hold of an agent: plain dicts and lists. Only frameworks with `checkpoint` are in it."""
    return {
        'agent_id': agent.agent_id,
        'total': list(agent.total),
        'drain': agent.drain,
        'drain_start': agent.drain_start,
        'operations': agent.operations.snapshot(),
        'volumes': agent.volumes.snapshot(),
        'updates': agent.updates.snapshot(),
        'frameworks': [{'info': framework.info,
                        'executors': [_executor(agent, executor) for executor in framework.executors.values()],
                        'completed': [_executor(agent, executor) for executor in framework.completed_executors]}
                       for framework in agent.frameworks.values() if framework.is_checkpointed],
    }


def _executor(agent, executor):
    return {'info': executor.info, 'kind': executor.kind, 'state': executor.state, 'termination': executor.termination,
            'container': _container(executor.container),
            'nested': [_container(container) for container in agent.tree if container.executor is executor and
                       container is not executor.container],
            'tasks': [_task(task) for task in executor.launched.values()] +
                     [_task(task) for task in executor.queued_tasks()],
            'terminated': [_task(task) for task in executor.terminated.values()],
            'completed': [_task(task) for task in executor.completed],
            'runs': [] if executor.driver is None else executor.driver.snapshot()}


def _container(container):
    return {'id': container.id, 'directory': container.directory, 'kind': container.kind, 'pid': container.pid,
            'parent': None if container.parent is None else container.parent.token, 'spec': container.spec,
            'has_process': container.has_process, 'is_ended': container.is_ended, 'status': container.status,
            'termination': container.termination, 'resources': list(container.resources)}


def _task(task):
    return {'info': task.info, 'executor_id': task.executor_id, 'state': task.state, 'statuses': list(task.statuses),
            'update_state': task.update_state, 'update_uuid': task.update_uuid}


class Recovery(object):
    """Takes up a :func:`snapshot`; the agent is not asked for anything but SUBSCRIBE until :meth:`finish`."""

    def __init__(self, agent):
        self._agent = agent

    def start(self, data):
        """Take up `data`; returns whether executors have to be waited for."""
        agent = self._agent
        agent.agent_id = data['agent_id']
        agent.total = list(data['total'])
        agent.drain, agent.drain_start = data['drain'], data['drain_start']
        agent.operations.recover(data['operations'])
        agent.volumes.recover(data['volumes'])
        agent.updates.recover(data['updates'])
        recovered = []
        for item in data['frameworks']:
            framework = AgentFramework(item['info'], agent.options.max_completed_executors_per_framework)
            agent.frameworks[framework.id] = framework
            framework.completed_executors.extend(self._executor(framework, one) for one in item['completed'])
            recovered += [self._recover(framework, one) for one in item['executors']]
        for executor, runs in recovered:
            self._resume(executor, runs)
        for container in list(agent.tree):
            if container.kind == 'debug':
                # The client of a session was connected to the agent of before.
                agent.tree.destroy(container)
        for framework in list(agent.frameworks.values()):
            agent.sweep(framework)
        if agent.options.recover == 'cleanup':
            agent.shutdown()
            return False
        waiting = any(executor.is_awaited for executor, _ in recovered)
        if waiting:
            agent.effects.append(Timer(RECOVERED, agent.options.executor_reregistration_timeout))
        return waiting

    def finish(self):
        """The executors that did not subscribe in time are given up."""
        agent = self._agent
        for framework in list(agent.frameworks.values()):
            for executor in list(framework.executors.values()):
                if executor.is_awaited and executor.state in (REGISTERING, RUNNING):
                    executor.is_awaited = False
                    agent.executors.give_up(executor, {
                        'state': framework.lost('TASK_GONE'), 'reason': 'REASON_EXECUTOR_REREGISTRATION_TIMEOUT',
                        'message': 'Executor did not reregister within %s' % duration(
                            agent.options.executor_reregistration_timeout)})

    def _recover(self, framework, item):
        agent = self._agent
        executor = self._executor(framework, item)
        agent.executors.adopt(executor)
        for task_id in list(executor.launched) + list(executor.terminated):
            framework.task_owners[task_id] = executor
        if executor.state != TERMINATED:
            agent.tree.add(executor.container)
            for one in item['nested']:
                container = self._container(one, agent.nested, executor)
                agent.tree.add(container)
        return executor, item['runs']

    def _resume(self, executor, runs):
        """What was not over goes on."""
        agent = self._agent
        if executor.state == TERMINATED:
            return
        if executor.state == TERMINATING:
            agent.tree.destroy(executor.container)
        elif executor.driver is None:
            executor.is_awaited = True
        elif executor.state == REGISTERING:
            # Whether its process was started nobody has heard.
            agent.executors.give_up(executor, {
                'state': executor.framework.lost('TASK_DROPPED'), 'reason': 'REASON_AGENT_RESTARTED',
                'message': 'Task launched during agent restart'})
            agent.tree.end(executor.container, None)
        else:
            executor.driver.recover(runs)

    def _executor(self, framework, item):
        agent = self._agent
        container = self._container(item['container'], agent.executors, None)
        executor = Executor(framework, item['info'], container, item['kind'],
                            agent.options.max_completed_tasks_per_executor)
        container.executor = executor
        executor.state, executor.termination = item['state'], item['termination']
        for name, tasks in (('tasks', executor.launched), ('terminated', executor.terminated)):
            for one in item[name]:
                task = self._task(framework, one)
                tasks[task.id] = task
        executor.completed.extend(self._task(framework, one) for one in item['completed'])
        return executor

    def _container(self, item, owner, executor):
        parent = None if item['parent'] is None else self._agent.tree.get(item['parent'])
        container = Container(item['id'], owner, item['directory'], executor, parent, item['kind'], item['resources'])
        for name in ('pid', 'spec', 'has_process', 'is_ended', 'status', 'termination'):
            setattr(container, name, item[name])
        return container

    @staticmethod
    def _task(framework, item):
        task = AgentTask(item['info'], framework.id, item['executor_id'], item['state'])
        task.statuses = list(item['statuses'])
        task.update_state, task.update_uuid = item['update_state'], item['update_uuid']
        return task

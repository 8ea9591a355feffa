"""Executors on an agent: how they start, are given tasks, are told to end and end, and what they say of their tasks.

PROTOCOL 2.5, 2.7, 3.4, 8.3.
"""
from __future__ import absolute_import, division, print_function

from collections import OrderedDict

from .agent_state import REGISTERING, RUNNING, TERMINATED, TERMINATING, Executor
from .builtin import CommandExecutor
from .container_tree import Container
from .effects import Cancel, Timer
from .executor_specs import (command_executor, executor_environment, executor_sandbox, launch_spec,
                             shutdown_grace)
from .simulated import SimulatedExecutor
from .state import TERMINAL
from .task_groups import GroupExecutor
from .texts import duration

__all__ = ['Executors']

#: How the launcher begins what it says if it could not make a sandbox.
NO_SANDBOX = 'Failed to create executor directory'

#: The fields of a TaskStatus in the order in which Mesos shows them.
FIELDS = ('task_id', 'state', 'message', 'source', 'reason', 'data', 'agent_id', 'executor_id', 'timestamp', 'uuid',
          'healthy', 'check_status', 'labels', 'container_status', 'unreachable_time', 'limitation')

#: What an executor's status is if nobody knows it.
UNKNOWN_STATUS = -1


class Executors(object):
    """All executors of `agent`, an :class:`~.agent.AgentModel`; the owner of their containers."""

    def __init__(self, agent):
        self._agent = agent

    # ---- tasks come

    def run(self, framework_info, executor_info, tasks, is_new, is_group=False):
        """Run TaskInfos: in the executor that `executor_info` describes, or (None) as one command task.

        `is_new` says whether the master takes it that the executor has yet to be started.
        """
        agent = self._agent
        framework = agent.framework_for(framework_info)
        if framework.is_terminating or agent.is_terminating:
            return
        executor_id = (executor_info or {}).get('executor_id', tasks[0]['task_id'])['value']
        executor = framework.executors.get(executor_id)
        refusal = self._refusal(executor, is_new)
        if refusal:
            for task in tasks:
                self.report(framework, executor_id if is_new and executor else None, task['task_id']['value'],
                            framework.lost('TASK_DROPPED'), *refusal)
            if is_new and executor_info is not None:
                agent.tell('EXITED_EXECUTOR', framework_id=framework.id, executor_id=executor_id,
                           status=UNKNOWN_STATUS)
            agent.sweep(framework)
            return
        if executor is None:
            info = executor_info or command_executor(framework.id, tasks[0])
            kind = 'command' if executor_info is None else 'group' if info.get('type') == 'DEFAULT' else 'custom'
            executor = self._create(framework, info, kind)
            executor.queue(tasks, is_group)
            self._start(executor, tasks[0])
        else:
            executor.queue(tasks, is_group)
        if executor.state == RUNNING and not executor.is_awaited:
            self.give_queued(executor)

    def give_queued(self, executor):
        """Give an executor what was kept for it."""
        for is_group, tasks in executor.take_queued():
            if executor.driver is not None:
                executor.driver.launch(tasks, is_group)
            else:
                self._agent.executor_api.give(executor, tasks, is_group)

    def _refusal(self, executor, is_new):
        """(reason, message) if tasks cannot be run by this executor (None: there is none yet), else None."""
        if self._agent.drain is not None:
            return 'REASON_AGENT_DRAINING', 'Task was received while agent was already draining'
        if is_new and executor is not None:
            return 'REASON_EXECUTOR_TERMINATED', 'Master wants to launch executor, but one already exists'
        if executor is None:
            return None if is_new else (
                'REASON_EXECUTOR_TERMINATED', 'No executor is expected to launch and there is none running')
        if executor.state in (TERMINATING, TERMINATED):
            return 'REASON_EXECUTOR_TERMINATED', 'Executor ' + executor.state.lower()
        return None

    def _create(self, framework, info, kind):
        agent = self._agent
        name = agent.world.uuid()
        directory = executor_sandbox(agent.options, agent.agent_id, framework.id, info['executor_id']['value'], name)
        container = Container({'value': name}, self, directory, resources=info.get('resources', ()))
        return self.adopt(Executor(framework, info, container, kind, agent.options.max_completed_tasks_per_executor))

    def adopt(self, executor):
        """Enter an executor, new or recovered; gives it a driver if it is one that is part of the agent."""
        executor.container.executor = executor
        executor.framework.executors[executor.id] = executor
        if self._agent.options.simulated_seconds is not None:
            executor.driver = SimulatedExecutor(self._agent, executor)
        elif executor.kind == 'command':
            executor.driver = CommandExecutor(self._agent, executor)
        elif executor.kind == 'group':
            executor.driver = GroupExecutor(self._agent, executor)
        return executor

    def _start(self, executor, task):
        agent, container = self._agent, executor.container
        if executor.driver is not None and not executor.driver.has_process:
            agent.tree.add(container)
            executor.state = RUNNING
            return
        environment = executor_environment(agent, executor)
        if executor.is_command:
            environment.update(executor.driver.environment(task))
            command, about = task['command'], task.get('container')
        else:
            command, about = executor.info['command'], executor.info.get('container')
            environment.update(agent.executor_token(executor))
        agent.effects.append(Timer(('registration', container.token), agent.options.executor_registration_timeout))
        spec = launch_spec(agent, executor.framework, command, container, environment, about)
        # What comes with a later task is not given to an executor that runs: it would not look for it.
        spec['volumes'] = agent.volumes.mounts(executor.info.get('resources', ()),
                                               *[one['resources'] for one in executor.queued.values()])
        agent.tree.launch(container, spec)

    # ---- tasks are killed, executors told to end

    def kill(self, framework_id, task_id, kill_policy=None):
        """Kill a task."""
        framework = self._agent.frameworks.get(framework_id)
        if framework is None or framework.is_terminating:
            return
        executor = framework.task_owners.get(task_id)
        if executor is None:
            self.report(framework, None, task_id, framework.lost('TASK_DROPPED'), 'REASON_EXECUTOR_TERMINATED',
                        'Cannot find executor')
        elif task_id in executor.queued and executor.state in (REGISTERING, RUNNING):
            self._kill_queued(executor, task_id)
        elif executor.state == RUNNING and executor.driver is not None:
            executor.driver.kill(task_id, kill_policy)
        elif executor.state == RUNNING:
            kill = {'task_id': {'value': task_id}}
            if kill_policy is not None:
                kill['kill_policy'] = kill_policy
            self._agent.executor_api.send(executor, {'type': 'KILL', 'kill': kill})

    def _kill_queued(self, executor, task_id):
        group = executor.queued_group(task_id)
        message = 'Killed before delivery to the executor' if group is None else (
            'A task within the task group was killed before delivery to the executor')
        for one in [task_id] if group is None else list(group):
            self.report(executor.framework, executor.id, one, 'TASK_KILLED', 'REASON_TASK_KILLED_DURING_LAUNCH',
                        message)
        if executor.is_command:
            # Its process would be the task itself.
            self._agent.tree.destroy(executor.container)

    def shutdown(self, executor):
        """Ask an executor to end, and kill it after its grace."""
        agent = self._agent
        if executor.state not in (REGISTERING, RUNNING):
            return
        is_registered, executor.state = executor.state == RUNNING, TERMINATING
        agent.effects.append(Timer(('shutdown', executor.container.token),
                                   shutdown_grace(agent.options, executor.info)))
        if executor.driver is None:
            agent.executor_api.send(executor, {'type': 'SHUTDOWN'})
        elif is_registered:
            executor.driver.shutdown()
        else:
            agent.tree.destroy(executor.container)

    def on_shutdown_timeout(self, token):
        """An executor was given its grace."""
        executor = self._executor_of(token)
        if executor is not None and executor.state == TERMINATING:
            self._agent.tree.destroy(executor.container)

    def on_registration_timeout(self, token):
        """An executor had time enough to register."""
        executor = self._executor_of(token)
        if executor is not None and executor.state == REGISTERING:
            self.give_up(executor, {
                'state': 'TASK_FAILED', 'reason': 'REASON_EXECUTOR_REGISTRATION_TIMEOUT',
                'message': 'Executor did not register within %s' % duration(
                    self._agent.options.executor_registration_timeout)})

    def give_up(self, executor, termination):
        """Kill an executor at once; its tasks' last updates say why (state, reason, message)."""
        executor.state = TERMINATING
        executor.termination = termination
        self._agent.tree.destroy(executor.container)

    def _executor_of(self, token):
        container = self._agent.tree.get(token)
        return None if container is None else container.executor

    # ---- what becomes of their containers

    def container_started(self, container):
        executor = container.executor
        executor.status_base = None
        if executor.driver is not None and executor.state == REGISTERING and not container.is_destroyed:
            executor.state = RUNNING
            self._agent.effects.append(Cancel(('registration', container.token)))
            self.give_queued(executor)

    def container_failed(self, container, text):
        executor = container.executor
        if text.startswith(NO_SANDBOX):
            executor.has_no_sandbox = True
            executor.termination = {'state': executor.framework.lost('TASK_DROPPED'),
                                    'reason': 'REASON_EXECUTOR_TERMINATED', 'message': text}
            return
        if container.is_destroyed:
            return
        self._agent.counts['container_launch_errors'] += 1
        executor.termination = {'state': 'TASK_FAILED', 'reason': 'REASON_CONTAINER_LAUNCH_FAILED',
                                'message': 'Failed to launch container: ' + text}

    def container_exited(self, container):
        executor = container.executor
        if executor.driver is not None and not container.is_destroyed and executor.termination is None:
            executor.driver.exited(container.status)
        self.terminated(executor, container.status)

    def container_output(self, container, name, data):
        self._agent.nested.on_output(container, name, data)

    def terminated(self, executor, status):
        """An executor is over; `status` is that of waitpid, None if it is unknown."""
        agent, framework = self._agent, executor.framework
        if executor.state == TERMINATED:
            return
        executor.state = TERMINATED
        agent.counts['executors_terminated'] += 1
        token = executor.container.token
        agent.effects += [Cancel(('registration', token)), Cancel(('shutdown', token))]
        agent.executor_api.close(executor)
        if not executor.is_command:
            agent.tell('EXITED_EXECUTOR', framework_id=framework.id, executor_id=executor.id,
                       status=UNKNOWN_STATUS if status is None or executor.has_no_sandbox else status)
        if not framework.is_terminating:
            about = executor.termination or {}
            for task_id in list(executor.launched) + list(executor.queued):
                self.report(framework, executor.id, task_id, about.get('state', 'TASK_FAILED'),
                            about.get('reason', 'REASON_EXECUTOR_TERMINATED'),
                            about.get('message', 'Executor terminated'))
        self.sweep(executor)

    def sweep(self, executor):
        """Forget an executor that is over and of which nothing is left to be said."""
        framework = executor.framework
        if executor.state != TERMINATED:
            return
        if framework.is_terminating or self._agent.is_terminating or not executor.has_tasks:
            if framework.executors.get(executor.id) is executor:
                del framework.executors[executor.id]
                # Of what ran when its framework was removed nobody will say how it ended.
                executor.terminated.update(executor.launched)
                executor.launched.clear()
                executor.is_removed = True
                if not executor.has_no_sandbox:     # Mesos makes no executor where it cannot make a folder for it
                    framework.completed_executors.append(executor)
            self._agent.sweep(framework)

    # ---- what they say of their tasks

    def receive(self, executor, status):
        """An update of an executor: it is filled in and sent on."""
        agent = self._agent
        given = status.get('agent_id')
        if given is not None and given['value'] != agent.agent_id:
            return
        status['agent_id'] = agent.id_message
        if 'timestamp' not in status:
            status['timestamp'] = agent.world.time()
        status['source'] = 'SOURCE_EXECUTOR'
        self.take(executor.framework, status, True)

    def report(self, framework, executor_id, task_id, state, reason, message):
        """Say of a task, in the agent's own name, what became of it."""
        agent = self._agent
        status = {'task_id': {'value': task_id}, 'state': state, 'message': message, 'source': 'SOURCE_AGENT',
                  'reason': reason, 'agent_id': agent.id_message}
        if executor_id is not None:
            status['executor_id'] = {'value': executor_id}
        status.update(timestamp=agent.world.time(), uuid=agent.world.uuid_base64())
        self.take(framework, status)

    def take(self, framework, status, is_from_executor=False):
        """Note a status and give it to the master until it is acknowledged."""
        agent = self._agent
        if framework.is_terminating:
            # Its scheduler could not acknowledge.
            agent.counts['invalid_status_updates'] += 1
            return
        agent.counts['valid_status_updates'] += 1
        if agent.drain is not None and status['state'] in ('TASK_KILLING', 'TASK_KILLED'):
            self._mark_drained(status)
        task_id = status['task_id']['value']
        executor = framework.task_owners.get(task_id)
        if is_from_executor and executor is not None and executor.state != TERMINATED:
            status['container_status'] = self._container_status(executor, status.get('container_status'))
        status = OrderedDict((name, status[name]) for name in FIELDS if name in status)
        if executor is None:
            agent.updates.update(framework.id, status)
            return
        if executor.update(status):
            if status['state'] in TERMINAL:
                agent.counts[status['state']] += 1
            agent.updates.update(framework.id, status, framework.is_checkpointed)
        if is_from_executor:
            agent.executor_api.acknowledge(executor, status)

    def _mark_drained(self, status):
        status['reason'] = 'REASON_AGENT_DRAINING'
        if status['state'] == 'TASK_KILLED' and self._agent.drain.get('mark_gone'):
            status['state'] = 'TASK_GONE_BY_OPERATOR'

    def _container_status(self, executor, given):
        """A ContainerStatus out of what an update has and what the agent knows."""
        if not given:
            # Nobody changes it, so that all updates can share it.
            if executor.status_base is None:
                executor.status_base = executor.container_status(network_infos=self._agent.network_infos)
            return executor.status_base
        container = self._agent.tree.find(given['container_id']) if 'container_id' in given else executor.container
        if container is None or container.is_ended:
            return given
        return executor.container_status(container, **dict({'network_infos': self._agent.network_infos}, **given))

    def on_acknowledged(self, framework_id, task_id, uuid):
        """The scheduler has acknowledged an update."""
        framework = self._agent.frameworks.get(framework_id)
        is_last = self._agent.updates.acknowledge(framework_id, task_id, uuid)
        if not is_last or framework is None:
            return
        executor = framework.task_owners.get(task_id)
        if executor is None:
            self._agent.sweep(framework)
            return
        executor.complete(task_id)
        self.sweep(executor)

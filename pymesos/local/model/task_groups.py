"""The default executor: runs the tasks of groups in nested containers (PROTOCOL 8.3)."""
from __future__ import absolute_import, division, print_function

from .agent_state import TERMINATED
from .builtin import BuiltinExecutor, Run
from .container_tree import Container
from .executor_specs import launch_spec, nested_environment, nested_sandbox

__all__ = ['GroupExecutor']


class GroupExecutor(BuiltinExecutor):
    """Ends when its last task is over; if a task of a group fails or is killed the rest of that group is killed."""

    def __init__(self, agent, executor):
        super(GroupExecutor, self).__init__(agent, executor)
        self._is_ending = False
        self._has_unhealthy = False
        self._groups = []                   # lists of task ids

    def launch(self, tasks, is_group):
        if self._is_ending:
            return
        self._groups.append([task.id for task in tasks])
        runs = [Run(task.info, self._container_for(task.info)) for task in tasks]
        for run in runs:
            self.runs[run.id] = run
            self.say(run, 'TASK_STARTING')
        for run in runs:
            self._start(run)

    def kill(self, task_id, kill_policy=None):
        run = self.runs.get(task_id)
        if run is not None and not self._is_ending and not run.is_killed:
            self._kill(run, self.grace_of(run, kill_policy))

    def shutdown(self):
        if self._is_ending:
            return
        self._is_ending = True
        if not self.runs:
            self._end()
        for run in list(self.runs.values()):
            if not run.is_killed:
                self._kill(run, self.agent.options.kill_grace_period)

    def kill_unhealthy(self, run):
        self._has_unhealthy = True
        self.kill(run.id)

    def is_unhealthy(self, run):
        return self._has_unhealthy

    # ---- the owner of the tasks' containers

    def container_started(self, container):
        run = self._run_of(container)
        if run is not None:
            self.begin(run)

    def container_failed(self, container, text):
        run = self._run_of(container)
        if run is not None:
            run.reason_failed = text

    def container_exited(self, container):
        run = self._run_of(container)
        if run is None or self.executor.state == TERMINATED:
            return
        if run.is_launched:
            state = self.end(run, container.status)
        else:
            state = 'TASK_KILLED' if run.is_killed else 'TASK_FAILED'
            del self.runs[run.id]
            self.say(run, state, None if run.is_killed else run.reason_failed)
        if state in ('TASK_FAILED', 'TASK_KILLED') and not self._is_ending:
            self._kill_rest(run.id)
        self._groups = [group for group in self._groups if any(task_id in self.runs for task_id in group)]
        if not self.runs:
            self._end()

    def container_output(self, container, name, data):
        self.agent.nested.on_output(container, name, data)

    def snapshot(self):
        return [dict(item, group=self._group_of(item['task_id']))
                for item in super(GroupExecutor, self).snapshot()]

    def recover(self, items):
        items = [dict(item) for item in items]
        for item in items:
            group = item.pop('group')
            if group not in self._groups:
                self._groups.append(group)
        super(GroupExecutor, self).recover(items)
        for run in self.runs.values():
            run.container.owner = self
        if not self.runs:
            self._end()

    def _container_for(self, task):
        above = self.executor.container
        container_id = {'value': self.agent.world.uuid(), 'parent': above.id}
        return Container(container_id, self, nested_sandbox(above.directory, container_id['value']), self.executor,
                         above, 'task', task.get('resources', ()))

    def _start(self, run):
        agent = self.agent
        environment = nested_environment(agent, run.container.directory, run.info)
        spec = launch_spec(agent, self.executor.framework, run.info.get('command', {}), run.container, environment,
                           run.info.get('container'))
        spec['volumes'] = agent.volumes.mounts(self.executor.info.get('resources', ()), run.info.get('resources', ()))
        agent.tree.launch(run.container, spec)

    def _run_of(self, container):
        for run in self.runs.values():
            if run.container is container:
                return run
        return None

    def _group_of(self, task_id):
        for group in self._groups:
            if task_id in group:
                return group
        return [task_id]

    def _kill(self, run, grace):
        if run.is_launched:
            self.begin_kill(run, grace)
        else:
            run.is_killed = True
            self.agent.tree.destroy(run.container)

    def _kill_rest(self, task_id):
        for other in self._group_of(task_id):
            run = self.runs.get(other)
            if run is not None and not run.is_killed:
                self._kill(run, self.agent.options.kill_grace_period)

    def _end(self):
        """The executor is over, as if its process had exited with 0."""
        self.agent.tree.end(self.executor.container, 0)

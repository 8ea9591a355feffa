"""What an agent remembers: frameworks, executors and tasks. Data with little behaviour; ids are text (PROTOCOL 8.3)."""
from __future__ import absolute_import, division, print_function

import itertools
from collections import OrderedDict, deque

from .state import TERMINAL

__all__ = ['AgentFramework', 'AgentTask', 'Executor', 'REGISTERING', 'RUNNING', 'TERMINATED', 'TERMINATING']

#: The states of an executor, and the first ones of which a framework has too.
REGISTERING, RUNNING, TERMINATING, TERMINATED = 'REGISTERING', 'RUNNING', 'TERMINATING', 'TERMINATED'


class AgentTask(object):
    """A task that was given to its executor, or that ended before."""

    __slots__ = ('executor_id', 'framework_id', 'id', 'info', 'state', 'statuses', 'update_state', 'update_uuid')

    def __init__(self, info, framework_id, executor_id=None, state='TASK_STAGING'):
        #: TaskInfo.
        self.info = info
        self.id = info['task_id']['value']
        self.framework_id = framework_id
        #: None for a command task: nobody but the agent knows its executor.
        self.executor_id = executor_id
        self.state = state
        #: TaskStatus, the latest of each state.
        self.statuses = []
        #: State and uuid of the update that was last sent to the master; None before the first.
        self.update_state = None
        self.update_uuid = None

    def take(self, status):
        """Note a new status."""
        statuses = self.statuses
        if statuses and statuses[-1]['state'] == status['state']:
            statuses.pop()
        statuses.append(status)
        self.state = status['state']


class AgentFramework(object):
    """A framework that has, or had, something to do on the agent."""

    def __init__(self, info, max_completed_executors):
        self.id = info['id']['value']
        #: FrameworkInfo with `id`.
        self.info = info
        self.is_terminating = False
        #: executor id -> Executor
        self.executors = OrderedDict()
        self.completed_executors = deque(maxlen=max_completed_executors)
        #: task id -> Executor that has it; without those tasks that are over and acknowledged.
        self.task_owners = {}

    @property
    def is_checkpointed(self):
        return bool(self.info.get('checkpoint'))

    def has(self, capability):
        """Whether it has a capability (PROTOCOL 2.5)."""
        return any(item.get('type') == capability for item in self.info.get('capabilities', ()))

    def lost(self, state):
        """`state`, one of TASK_DROPPED and TASK_GONE, or what stands for it if the framework does not know these."""
        return state if self.has('PARTITION_AWARE') else 'TASK_LOST'

    def __repr__(self):
        return '<AgentFramework %s>' % self.id


class Executor(object):
    """An executor from its launch to the acknowledgement of all that was said of its tasks.

    Its tasks are in one of `queued` (not given to it yet), `launched`, `terminated` (the last update is not
    acknowledged yet) and `completed`.
    """

    def __init__(self, framework, info, container, kind, max_completed_tasks):
        self.framework = framework
        self.info = info
        self.id = info['executor_id']['value']
        #: 'custom', 'command' (made for one command task) or 'group' (the default executor).
        self.kind = kind
        #: Its :class:`~.container_tree.Container`.
        self.container = container
        self.state = REGISTERING
        #: What runs the tasks in the agent itself, see :mod:`.builtin`; None for a custom executor.
        self.driver = None
        #: Token of its event stream, None while it is not connected.
        self.stream = None
        #: task id -> TaskInfo; and the task groups among them, lists of task ids.
        self.queued = OrderedDict()
        self.queued_groups = []
        #: task id -> AgentTask
        self.launched = OrderedDict()
        self.terminated = OrderedDict()
        self.completed = deque(maxlen=max_completed_tasks)
        #: Why the agent ends it, as its tasks' last updates say: {'state', 'reason', 'message'}, or None.
        self.termination = None
        #: Whether it never came to be, for want of a sandbox.
        self.has_no_sandbox = False
        #: Whether it is over and nothing of it is left to be said.
        self.is_removed = False
        #: Whether it was recovered and did not subscribe again yet.
        self.is_awaited = False
        #: The ContainerStatus that its updates share, None while it has to be made.
        self.status_base = None

    @property
    def is_command(self):
        return self.kind == 'command'

    @property
    def has_tasks(self):
        """Whether any task is not over and acknowledged."""
        return bool(self.queued or self.launched or self.terminated)

    @property
    def has_had_task(self):
        """Whether a task was given to it: it has one, or has said something of one that is over."""
        return bool(self.launched) or any(status['source'] == 'SOURCE_EXECUTOR'
                                          for task in itertools.chain(self.terminated.values(), self.completed)
                                          for status in task.statuses)

    def queue(self, tasks, is_group):
        """Keep TaskInfos until the executor can be given them."""
        for task in tasks:
            self.queued[task['task_id']['value']] = task
            self.framework.task_owners[task['task_id']['value']] = self
        if is_group:
            self.queued_groups.append([task['task_id']['value'] for task in tasks])

    def queued_group(self, task_id):
        """The ids of the queued group that a task is in, or None."""
        for group in self.queued_groups:
            if task_id in group:
                return group
        return None

    def take_queued(self):
        """Empty the queue: [(is_group, [AgentTask])] in the order of coming; they are `launched` now."""
        found, queued = [], self.queued
        grouped = dict((group[0], group) for group in self.queued_groups)
        self.queued, self.queued_groups = OrderedDict(), []
        for task_id in list(queued):
            if task_id in queued:
                group = grouped.get(task_id)
                ids = [task_id] if group is None else group
                found.append((group is not None, [self._launch(queued.pop(one)) for one in ids]))
        return found

    def launch(self, task):
        """Note that a TaskInfo goes to the executor; the AgentTask."""
        self.framework.task_owners[task['task_id']['value']] = self
        return self._launch(task)

    def _launch(self, info):
        task = AgentTask(info, self.framework.id, None if self.is_command else self.id)
        self.launched[task.id] = task
        return task

    def update(self, status):
        """Note a status of one of its tasks; False if it cannot be: the task is over already."""
        task_id = status['task_id']['value']
        is_terminal = status['state'] in TERMINAL
        task = self.launched.get(task_id)
        if task is None:
            info = self.queued.get(task_id)
            if info is None or not is_terminal:
                return False
            del self.queued[task_id]
            self.queued_groups = [group for group in self.queued_groups if task_id not in group]
            task = AgentTask(info, self.framework.id, None if self.is_command else self.id)
            self.terminated[task_id] = task
        elif is_terminal:
            del self.launched[task_id]
            self.terminated[task_id] = task
        task.take(status)
        return True

    def queued_tasks(self):
        """The queued ones as AgentTasks."""
        executor_id = None if self.is_command else self.id
        return [AgentTask(info, self.framework.id, executor_id) for info in self.queued.values()]

    def find_task(self, task_id):
        """The AgentTask of a task that was given to it and is not completed, or None."""
        return self.launched.get(task_id) or self.terminated.get(task_id)

    def complete(self, task_id):
        """The last update of a task is acknowledged."""
        task = self.terminated.pop(task_id, None)
        if task is not None:
            self.completed.append(task)
            if self.framework.task_owners.get(task_id) is self:
                del self.framework.task_owners[task_id]

    def container_status(self, container=None, **fields):
        """A ContainerStatus; `container` is a nested one, None: the executor's own. `fields` are what else it has."""
        container = container or self.container
        found = OrderedDict([('container_id', container.id)])
        for name in ('network_infos', 'cgroup_info'):
            if name in fields:
                found[name] = fields[name]
        if container.pid is not None:
            found['executor_pid'] = container.pid
        return found

    def __repr__(self):
        return '<Executor %s of %s>' % (self.id, self.framework.id)

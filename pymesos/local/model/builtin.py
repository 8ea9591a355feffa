"""Executors that are part of the agent: what they have in common, and the one that runs a command task.

They do what Mesos' own executors do in processes of their own: run TaskInfos, say how they are, kill them with grace,
look after their health (PROTOCOL 8.3). Tasks of several, in nested containers: :mod:`.task_groups`.
"""
from __future__ import absolute_import, division, print_function

from collections import OrderedDict

from .checks import Checker, empty_check_status
from .effects import Cancel, Timer
from .executor_specs import seconds_of, shutdown_grace
from .shapes import allocation_role

__all__ = ['BuiltinExecutor', 'CommandExecutor', 'Run', 'ending']

SIGKILL, SIGTERM = 9, 15

#: Of its grace after SHUTDOWN a command executor leaves so much to the agent, for its last update to arrive.
SHUTDOWN_MARGIN = 2.0

#: What Linux calls its signals.
SIGNALS = dict(enumerate((
    'Hangup', 'Interrupt', 'Quit', 'Illegal instruction', 'Trace/breakpoint trap', 'Aborted', 'Bus error',
    'Floating point exception', 'Killed', 'User defined signal 1', 'Segmentation fault', 'User defined signal 2',
    'Broken pipe', 'Alarm clock', 'Terminated', 'Stack fault', 'Child exited', 'Continued', 'Stopped (signal)',
    'Stopped', 'Stopped (tty input)', 'Stopped (tty output)', 'Urgent I/O condition', 'CPU time limit exceeded',
    'File size limit exceeded', 'Virtual timer expired', 'Profiling timer expired', 'Window changed', 'I/O possible',
    'Power failure', 'Bad system call'), 1))


def ending(status):
    """How a process ended, of the status of waitpid, as Mesos says it."""
    number = status & 0x7f
    if number == 0:
        return 'exited with status %d' % (status >> 8 & 0xff)
    name = SIGNALS.get(number, 'Unknown signal %d' % number)
    return 'terminated with signal %s%s' % (name, ' (core dumped)' if status & 0x80 else '')


class Run(object):
    """A task that is being run."""

    __slots__ = ('checkers', 'container', 'info', 'is_killed', 'is_launched', 'is_overdue', 'is_unhealthy', 'kill_due',
                 'kill_start', 'last', 'overdue_at', 'reason_failed')

    def __init__(self, info, container):
        #: TaskInfo.
        self.info = info
        self.container = container
        self.is_launched = False
        #: Why its container could not be launched, or None.
        self.reason_failed = None
        self.is_killed = False
        #: Whether it is killed because it ran too long, or because of its health.
        self.is_overdue = False
        self.is_unhealthy = False
        #: When its kill began and when it gets sharp (monotonic), None before.
        self.kill_start = None
        self.kill_due = None
        #: When it has run too long (monotonic), None: never.
        self.overdue_at = None
        #: The TaskStatus that was sent last.
        self.last = None
        #: {'check' or 'health': Checker}
        self.checkers = {}

    @property
    def id(self):
        return self.info['task_id']['value']


class BuiltinExecutor(object):
    """Runs tasks of one executor in the agent itself. `agent` is the :class:`~.agent.AgentModel`."""

    #: Whether the container of the executor is that of its task.
    has_process = False

    def __init__(self, agent, executor):
        self.agent = agent
        self.executor = executor
        #: task id -> Run, of those that are not over.
        self.runs = OrderedDict()

    # ---- for subclasses

    def launch(self, tasks, is_group):
        """AgentTasks have come."""
        raise NotImplementedError

    def kill(self, task_id, kill_policy=None):
        """A task is to be killed."""
        raise NotImplementedError

    def shutdown(self):
        """The executor is to end."""
        raise NotImplementedError

    def exited(self, status):
        """The process of the executor's container is over."""

    # ---- updates

    def say(self, run, state, message=None, reason=None, healthy=None):
        """Send an update that carries nothing of those before it."""
        status = {'task_id': run.info['task_id'], 'state': state}
        if message is not None:
            status['message'] = message
        status['source'] = 'SOURCE_EXECUTOR'
        if reason is not None:
            status['reason'] = reason
        status['executor_id'] = self.executor.info['executor_id']
        status['timestamp'] = self.agent.world.time()
        status['uuid'] = self.agent.world.uuid_base64()
        if healthy is not None:
            status['healthy'] = healthy
        if 'check' in run.info:
            status['check_status'] = empty_check_status(run.info['check'])
        if run.container is not self.executor.container:
            status['container_status'] = {'container_id': run.container.id}
        self._send(run, status)

    def say_again(self, run, reason, **changes):
        """Send the last update once more, with changes."""
        self._send(run, dict(run.last, reason=reason, timestamp=self.agent.world.time(),
                             uuid=self.agent.world.uuid_base64(), **changes))

    def _send(self, run, status):
        run.last = status
        self.agent.executors.receive(self.executor, status)

    # ---- the life of a task

    def begin(self, run):
        """A task's process has started."""
        run.is_launched = True
        limit = seconds_of(run.info.get('max_completion_time', {}))
        if limit > 0:
            run.overdue_at = self.agent.world.monotonic() + limit
            self.set_timer('overdue', run, limit)
        self.say(run, 'TASK_RUNNING')
        self.watch(run)

    def watch(self, run):
        """Begin to look after a task's health."""
        for kind, field in (('check', 'check'), ('health', 'health_check')):
            if field in run.info:
                run.checkers[kind] = Checker(self, run, kind, run.info[field])

    def begin_kill(self, run, grace):
        """Send TERM to a task, and KILL after `grace` seconds; a later call may shorten that."""
        now = self.agent.world.monotonic()
        if run.is_killed:
            if run.kill_start + grace <= run.kill_due:
                run.kill_due = max(run.kill_start + grace, now)
                self.set_timer('kill', run, run.kill_due - now)
            return
        run.is_killed = True
        run.kill_start, run.kill_due = now, now + grace
        self.stop_watching(run)
        if not run.is_overdue and self.executor.framework.has('TASK_KILLING_STATE'):
            self.say(run, 'TASK_KILLING')
        self.agent.tree.signal(run.container, SIGTERM)
        self.set_timer('kill', run, grace)

    def end(self, run, status):
        """A task's process is over; returns the state that was said. None: nobody knows how it ended."""
        self.stop_watching(run)
        if run.kill_due is not None:
            self.cancel_timer('kill', run)
        reason = None
        if status is None:
            state, message = 'TASK_FAILED', 'Command terminated with unknown status'
        else:
            message = 'Command ' + ending(status)
            if run.is_overdue:
                state, reason = 'TASK_FAILED', 'REASON_MAX_COMPLETION_TIME_REACHED'
            elif run.is_killed:
                state = 'TASK_KILLED'
            else:
                state = 'TASK_FINISHED' if status == 0 else 'TASK_FAILED'
        self.runs.pop(run.id, None)
        self.say(run, state, message, reason, False if self.is_unhealthy(run) else None)
        return state

    def is_unhealthy(self, run):
        """Whether the last update of a task says that it was not healthy."""
        return run.is_unhealthy

    def stop_watching(self, run):
        """No more checks, and no limit of time."""
        for checker in run.checkers.values():
            checker.pause()
        if run.overdue_at is not None:
            run.overdue_at = None
            self.cancel_timer('overdue', run)

    def grace_of(self, run, kill_policy=None):
        """The grace (seconds) of a kill: the kill's own, the task's, or the usual one."""
        for policy in (kill_policy, run.info.get('kill_policy')):
            if policy and 'grace_period' in policy:
                return seconds_of(policy['grace_period'])
        return self.agent.options.kill_grace_period

    # ---- time

    def set_timer(self, what, run, delay):
        self.agent.effects.append(Timer(('builtin', self.executor.container.token, what, run.id), delay))

    def cancel_timer(self, what, run):
        self.agent.effects.append(Cancel(('builtin', self.executor.container.token, what, run.id)))

    def on_timer(self, what, task_id):
        """One of the timers of :meth:`set_timer`."""
        run = self.runs.get(task_id)
        if run is None:
            return
        if what == 'kill':
            self.agent.tree.signal(run.container, SIGKILL)
        elif what == 'overdue':
            run.overdue_at, run.is_overdue = None, True
            self.begin_kill(run, 0.0)
        elif what in run.checkers:
            run.checkers[what].perform()

    def on_probe(self, what, task_id, number, result):
        """The result of a :class:`~.effects.Probe`."""
        run = self.runs.get(task_id)
        if run is not None and what in run.checkers:
            run.checkers[what].take(number, result)

    # ---- checkpoints

    def snapshot(self):
        """What a disk would hold of the tasks: a list of dicts."""
        return [{'task_id': run.id, 'container': run.container.token, 'is_launched': run.is_launched,
                 'is_killed': run.is_killed, 'is_overdue': run.is_overdue, 'is_unhealthy': run.is_unhealthy,
                 'kill_start': run.kill_start, 'kill_due': run.kill_due, 'overdue_at': run.overdue_at,
                 'last': run.last} for run in self.runs.values()]

    def recover(self, items):
        """Take up what :meth:`snapshot` gave; the executor's tasks and their containers are recovered already."""
        now = self.agent.world.monotonic()
        for item in items:
            task = self.executor.launched.get(item['task_id'])
            container = self.agent.tree.get(item['container'])
            if task is None or container is None:
                continue
            run = self.runs[task.id] = Run(task.info, container)
            for name in item:
                if name not in ('task_id', 'container'):
                    setattr(run, name, item[name])
            if run.kill_due is not None:
                self.set_timer('kill', run, max(0.0, run.kill_due - now))
            elif run.is_launched:
                self.watch(run)
            if run.overdue_at is not None:
                self.set_timer('overdue', run, max(0.0, run.overdue_at - now))


class CommandExecutor(BuiltinExecutor):
    """Runs one command task, as Mesos' mesos-executor does. The executor's process is that of the task."""

    has_process = True

    @staticmethod
    def environment(task):
        """What the process is given besides the environment of executors."""
        return {'MESOS_ALLOCATION_ROLE': allocation_role(task['resources'])}

    def launch(self, tasks, is_group):
        for task in tasks:
            run = self.runs[task.id] = Run(task.info, self.executor.container)
            self.say(run, 'TASK_STARTING')
            self.begin(run)

    def kill(self, task_id, kill_policy=None):
        run = self.runs.get(task_id)
        if run is not None:
            self.begin_kill(run, self.grace_of(run, kill_policy))

    def shutdown(self):
        grace = max(0.0, shutdown_grace(self.agent.options, self.executor.info) - SHUTDOWN_MARGIN)
        for run in list(self.runs.values()):
            self.begin_kill(run, grace)

    def kill_unhealthy(self, run):
        run.is_unhealthy = True
        self.begin_kill(run, self.grace_of(run))

    def exited(self, status):
        for run in list(self.runs.values()):
            self.end(run, status)

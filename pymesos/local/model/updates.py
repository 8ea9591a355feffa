"""The master's part in the life of tasks: their updates, acknowledgements, reconciliation, kills and messages.

PROTOCOL 2.1, 2.5, 2.7, 2.8, 8.3. Functions on a :class:`~.master.MasterModel`.
"""
from __future__ import absolute_import, division, print_function

from ...resources import Resources
from .effects import Tell
from .state import TERMINAL

__all__ = ['acknowledge', 'forward', 'kill', 'lose', 'make_status', 'message', 'on_executor_exited',
           'on_executor_message', 'on_status', 'reconcile', 'refuse_task', 'release', 'remove_executor', 'remove_task',
           'shutdown', 'state_for', 'update_task']

#: Reasons of updates that tell of a check, not of a new state: operators hear of each (PROTOCOL 4.2).
_CHECKED = frozenset(['REASON_TASK_CHECK_STATUS_UPDATED', 'REASON_TASK_HEALTH_CHECK_STATUS_UPDATED'])

#: Tasks in these states hold nothing any more.
_OVER = TERMINAL | frozenset(['TASK_UNREACHABLE'])


# ---- statuses of the master's own

def make_status(master, task_id, state, text, reason, agent_id=None, executor_id=None, task=None,
                unreachable_time=None):
    """A TaskStatus of the master's own: it has no `uuid`, so nobody acknowledges it.

    `task`, if given, is one whose health, check and container are told along; `unreachable_time` is in nanoseconds.
    """
    status = {'task_id': {'value': task_id}, 'state': state, 'message': text, 'source': 'SOURCE_MASTER',
              'reason': reason}
    if agent_id is not None:
        status['agent_id'] = {'value': agent_id}
    if executor_id is not None:
        status['executor_id'] = {'value': executor_id}
    status['timestamp'] = master.world.time()
    if task is not None:
        status.update(_condition(task))
    if unreachable_time is not None:
        status['unreachable_time'] = {'nanoseconds': unreachable_time}
    return status


def _condition(task):
    """Health and check are the last status'; the container is that of the last status that has one."""
    found = {}
    if task.statuses:
        last = task.statuses[-1]
        found.update((name, last[name]) for name in ('healthy', 'check_status') if name in last)
    for status in reversed(task.statuses):
        if 'container_status' in status:
            found['container_status'] = status['container_status']
            break
    return found


def state_for(framework, state):
    """`state` if the framework is PARTITION_AWARE, else what such frameworks are told in its place."""
    return state if framework.has('PARTITION_AWARE') else 'TASK_LOST'


def count_task(master, status):
    """Count the end of a task; metrics have the names of before v1."""
    state = status['state'].lower()
    master.counts[state.replace('task_', 'tasks_', 1)] += 1
    if 'reason' in status:
        name = '%s/%s/%s' % (state, status.get('source', 'SOURCE_MASTER').lower(), status['reason'].lower())
        master.counts[name.replace('source_agent', 'source_slave').replace('reason_agent', 'reason_slave')] += 1


def refuse_task(master, framework, info, state, text, reason):
    """Say that a task (TaskInfo) was not launched."""
    status = make_status(master, info['task_id']['value'], state, text, reason, info['agent_id']['value'])
    count_task(master, status)
    forward(master, framework, status)


def forward(master, framework, status):
    """Send an UPDATE; lost if the framework is not connected."""
    if framework is not None:
        master.send(framework, 'UPDATE', {'status': status})


def lose(master, task, state, text, reason, unreachable_time=None):
    """End a task, or give it up, because of something that the master did or saw; its framework is told."""
    status = make_status(master, task.id, state, text, reason, task.agent_id, task.executor_id,
                         unreachable_time=unreachable_time)
    # Mesos keeps the executor's id beside a status of its own making, not in it.
    update_task(master, task, dict((name, status[name]) for name in status if name != 'executor_id'))
    remove_task(master, task, is_unreachable=unreachable_time is not None)
    forward(master, master.frameworks.get(task.framework_id), status)


# ---- from agents

def on_status(master, told):
    """An agent tells of a task: pass it on, even if the task is not known, and keep it."""
    agent = master.agents[told['agent_id']]
    status, framework_id = told['status'], told['framework_id']
    master.counts['messages_status_update'] += 1
    if told.get('executor_id') is not None and 'executor_id' not in status:
        status = dict(status, executor_id={'value': told['executor_id']})
    framework = master.frameworks.get(framework_id)
    is_heard = framework is not None and framework.stream is not None
    if is_heard:
        master.send(framework, 'UPDATE', {'status': status})
    task = agent.tasks.get((framework_id, status['task_id']['value']))
    if task is not None:
        update_task(master, task, status, told.get('latest_state'))
    master.counts['valid_status_updates' if is_heard and task is not None else 'invalid_status_updates'] += 1


def update_task(master, task, status, latest=None):
    """Take over what a status says; `latest`, if given, is the state that the task has reached since."""
    was_over, state = task.state in _OVER, status['state']
    if task.state not in TERMINAL:
        task.state = latest or state
    kept = status
    if 'data' in status:
        kept = dict((name, status[name]) for name in status if name != 'data')
    is_news = status.get('reason') in _CHECKED
    if task.statuses and task.statuses[-1]['state'] == state:
        task.statuses[-1] = kept
    else:
        task.statuses.append(kept)
        is_news = True
    if status.get('uuid') is not None:
        task.update_state, task.update_uuid = state, status['uuid']
    if is_news:
        master.publisher.task_updated(task, status)
    if not was_over and task.state in _OVER:
        count_task(master, status)
        if task.framework_id in master.frameworks:
            master.frameworks[task.framework_id].counts['tasks/terminal/' + state.lower()] += 1
        release(master, task)


def release(master, task):
    """Give back what a task held."""
    agent = master.agents.get(task.agent_id)
    resources = task.resources
    if agent is not None and agent.shared_uses:
        resources = agent.released(task.framework_id, resources)
    master.allocator.recover(task.framework_id, task.agent_id, resources)


def remove_task(master, task, is_unreachable=False):
    """Forget a task of a registered agent: its framework keeps it as completed, or as unreachable."""
    if task.state not in _OVER:
        release(master, task)
    agent = master.agents[task.agent_id]
    key = task.framework_id, task.id
    del agent.tasks[key]
    agent.killed.discard(key)
    framework = master.frameworks.get(task.framework_id)
    if framework is not None:
        framework.tasks.pop(task.id, None)
        if is_unreachable:
            framework.add_unreachable(task)
        else:
            framework.completed_tasks.append(task)
    if agent.drain_info is not None:
        master.check_drained(agent)


def remove_executor(master, agent, framework_id, executor_id):
    """Forget an executor and give back what it held."""
    executors = agent.executors[framework_id]
    info = executors.pop(executor_id)
    if not executors:
        del agent.executors[framework_id]
    framework = master.frameworks.get(framework_id)
    if framework is not None and executor_id in framework.executors.get(agent.id, ()):
        del framework.executors[agent.id][executor_id]
        if not framework.executors[agent.id]:
            del framework.executors[agent.id]
    if info.get('resources'):
        master.allocator.recover(framework_id, agent.id, Resources(info['resources']))


def on_executor_exited(master, told):
    """An executor of the framework's own has ended; its tasks are the agent's matter."""
    agent = master.agents[told['agent_id']]
    framework_id, executor_id = told['framework_id'], told['executor_id']
    master.counts['messages_exited_executor'] += 1
    if executor_id in agent.executors.get(framework_id, ()):
        remove_executor(master, agent, framework_id, executor_id)
    framework = master.frameworks.get(framework_id)
    if framework is not None:
        master.send(framework, 'FAILURE', {'agent_id': {'value': agent.id}, 'executor_id': {'value': executor_id},
                                           'status': told['status']})


def on_executor_message(master, told):
    """An executor has something for its framework."""
    framework = master.frameworks.get(told['framework_id'])
    is_heard = framework is not None and framework.stream is not None
    master.counts['messages_executor_to_framework'] += 1
    master.counts['%s_executor_to_framework_messages' % ('valid' if is_heard else 'invalid')] += 1
    if is_heard:
        master.send(framework, 'MESSAGE', {'agent_id': {'value': told['agent_id']},
                                           'executor_id': {'value': told['executor_id']}, 'data': told['data']})


# ---- calls of frameworks

def acknowledge(master, framework, body):
    """ACKNOWLEDGE: to the agent; the task is forgotten if that was its last state."""
    agent = master.agents.get(body['agent_id']['value'])
    if agent is None or not agent.is_connected:
        master.counts['invalid_status_update_acknowledgements'] += 1
        return
    task_id, uuid = body['task_id']['value'], body['uuid']
    task = agent.tasks.get((framework.id, task_id))
    if task is not None:
        if task.update_state is None:
            master.counts['invalid_status_update_acknowledgements'] += 1
            return
        if task.update_state in TERMINAL and task.update_uuid == uuid:
            task.is_acknowledged = True
            remove_task(master, task)
    master.counts['valid_status_update_acknowledgements'] += 1
    master.effects.append(Tell(agent.pid, {'type': 'ACK', 'framework_id': framework.id, 'task_id': task_id,
                                           'uuid': uuid}))


def reconcile(master, framework, body):
    """RECONCILE: say what is known of the tasks, or of all if none are named (PROTOCOL 2.8)."""
    asked = body.get('tasks')
    if not asked:
        for task in list(framework.tasks.values()):
            forward(master, framework, _latest(master, task))
        return
    for item in asked:
        agent_id = item['agent_id']['value'] if 'agent_id' in item else None
        _reconcile_one(master, framework, item['task_id']['value'], agent_id)


def _latest(master, task):
    return make_status(master, task.id, task.update_state or task.state, 'Reconciliation: Latest task state',
                       'REASON_RECONCILIATION', task.agent_id, task.executor_id, task)


def _reconcile_one(master, framework, task_id, agent_id):
    task = framework.tasks.get(task_id)
    if task is not None:
        forward(master, framework, _latest(master, task))
        return
    is_pending = master.recovered_agents if agent_id is None else agent_id in master.recovered_agents
    if is_pending:
        # The agent may know the task when it comes.
        return
    since = None
    if agent_id in master.agents:
        state, text = 'TASK_GONE', 'Reconciliation: Task is unknown to the agent'
    elif agent_id in master.unreachable_agents:
        state, text = 'TASK_UNREACHABLE', 'Reconciliation: Task is unreachable'
        since = master.unreachable_agents[agent_id]
    elif agent_id in master.gone_agents:
        state, text = 'TASK_GONE_BY_OPERATOR', 'Reconciliation: Task is gone'
    else:
        state, text = 'TASK_UNKNOWN', 'Reconciliation: Task is unknown'
    forward(master, framework, make_status(master, task_id, state_for(framework, state), text,
                                           'REASON_RECONCILIATION', agent_id, unreachable_time=since))


def kill(master, framework, body):
    """KILL: to the agent, each time; an unknown task is reconciled (PROTOCOL 8.3)."""
    task_id = body['task_id']['value']
    agent_id = body['agent_id']['value'] if 'agent_id' in body else None
    task = framework.tasks.get(task_id)
    if task is None:
        _reconcile_one(master, framework, task_id, agent_id)
        return
    if agent_id is not None and agent_id != task.agent_id:
        return
    agent = master.agents[task.agent_id]
    agent.killed.add((framework.id, task_id))
    if agent.is_connected:
        master.effects.append(Tell(agent.pid, {'type': 'KILL', 'framework_id': framework.id, 'task_id': task_id,
                                               'kill_policy': body.get('kill_policy')}))


def shutdown(master, framework, body):
    """SHUTDOWN: tell an executor to end."""
    agent = master.agents.get(body['agent_id']['value'])
    executor_id = body['executor_id']['value']
    if agent is not None and executor_id in agent.executors.get(framework.id, ()):
        master.effects.append(Tell(agent.pid, {'type': 'SHUTDOWN_EXECUTOR', 'framework_id': framework.id,
                                               'executor_id': executor_id}))


def message(master, framework, body):
    """MESSAGE: to an executor, if its agent can be reached."""
    agent = master.agents.get(body['agent_id']['value'])
    is_sent = agent is not None and agent.is_connected
    master.counts['%s_framework_to_executor_messages' % ('valid' if is_sent else 'invalid')] += 1
    if is_sent:
        master.effects.append(Tell(agent.pid, {'type': 'MESSAGE', 'framework_id': framework.id,
                                               'executor_id': body['executor_id']['value'], 'data': body['data']}))

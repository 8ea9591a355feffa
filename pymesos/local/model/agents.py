"""Agents: how they register, come back, are lost, drained and marked gone (PROTOCOL 2.5, 4.1, 8.2, 8.3).

Functions on a :class:`~.master.MasterModel`.
"""
from __future__ import absolute_import, division, print_function

from collections import OrderedDict

from ...resources import Resources
from . import frameworks, offers, operations, updates
from .effects import Cancel, Tell, Timer
from .shapes import with_id
from .state import KEPT_AGENTS, Agent, Task
from .texts import duration

__all__ = ['check_drained', 'deactivate', 'drain', 'mark_gone', 'on_disconnected', 'on_ping_due', 'on_pong',
           'on_recovery_timeout', 'on_register', 'on_reregister', 'on_reregister_timeout', 'on_unregister',
           'reactivate', 'shut_down']

_REMOVED = 'REASON_AGENT_REMOVED'

#: The fields of AgentInfo that Mesos shows before its id.
_BEFORE_ID = ('hostname', 'port', 'resources', 'attributes')


# ---- registering

def on_register(master, told):
    """REGISTER: a new agent, or one that has not heard the answer."""
    pid = told['pid']
    master.counts['messages_register_slave'] += 1
    known = master.agents.get(master.agent_ids.get(pid))
    if known is not None and known.is_connected:
        _tell(master, known, 'REGISTERED')
        return
    if known is not None:
        _remove(master, known, 'a new agent registered at the same address', 'registered')
    if _is_down(master, pid, told['agent_info']):
        return
    agent_id = '%s-S%d' % (master.id, master.count('agent'))
    agent = Agent(with_id(told['agent_info'], agent_id, _BEFORE_ID), pid, told['version'], told['capabilities'],
                  master.world.time())
    if told.get('total') is not None:
        agent.set_total(Resources(told['total']))
    master.counts['slave_registrations'] += 1
    # An agent takes no ping before it has its id.
    _tell(master, agent, 'REGISTERED')
    _add(master, agent)


def _is_down(master, pid, info):
    """Whether the agent's machine is down for maintenance; it is told then."""
    if not master.maintenance.is_down(info, pid):
        return False
    _refuse(master, pid, 'Machine is `DOWN`')
    return True


def _refuse(master, pid, text):
    master.effects.append(Tell(pid, {'type': 'SHUTDOWN', 'message': text}))


def _tell(master, agent, kind, **fields):
    # Mesos' agents answer with what they have.
    master.counts['messages_update_slave'] += 1
    message = dict(fields, type=kind, agent_id=agent.id, master=master.address)
    master.effects.append(Tell(agent.pid, message))


def _add(master, agent):
    master.agents[agent.id] = agent
    master.agent_ids[agent.pid] = agent.id
    master.allocator.add_agent(agent, agent.used())
    if not agent.is_active:
        master.allocator.deactivate_agent(agent.id)
    master.publisher.agent_added(agent)
    on_ping_due(master, agent.id)
    master.allocate_soon([agent.id])


# ---- coming back

def on_reregister(master, told):
    """REREGISTER: an agent that has an id comes (again)."""
    agent_id, pid = told['agent_info']['id']['value'], told['pid']
    master.counts['messages_reregister_slave'] += 1
    if agent_id in master.gone_agents:
        _refuse(master, pid, 'Agent has been marked gone')
        return
    if _is_down(master, pid, told['agent_info']):
        return
    other = master.agents.get(master.agent_ids.get(pid))
    if other is not None and other.id != agent_id:
        _remove(master, other, 'a new agent registered at the same address', 'registered')
    agent = master.agents.get(agent_id)
    if agent is None:
        _readmit(master, told)
    else:
        _reconcile(master, agent, told)
        welcome_back(master, agent)


def welcome_back(master, agent):
    """An agent that was not connected is again."""
    if not agent.is_connected:
        agent.is_connected = True
        master.effects.append(Cancel(('reregister', agent.id)))
        if agent.is_active:
            master.allocator.activate_agent(agent.id)
    agent.missed_pings = 0


def _readmit(master, told):
    """Take in an agent that this master does not have: after a fail-over of the master, or after it was given up."""
    agent_id, now = told['agent_info']['id']['value'], master.world.time()
    text = None
    if agent_id not in master.recovered_agents:
        text = ('Unreachable agent re-reregistered' if agent_id in master.unreachable_agents
                else 'Unknown agent reregistered')
    master.recovered_agents.pop(agent_id, None)
    master.unreachable_agents.pop(agent_id, None)
    agent = Agent(told['agent_info'], told['pid'], told['version'], told['capabilities'], now)
    agent.reregistered_time = now
    master.counts['slave_reregistrations'] += 1
    agent.set_total(Resources(told.get('total') or told['agent_info'].get('resources', ())))
    tasks = _adopt(master, agent, told)
    _restore(master, agent)
    _tell(master, agent, 'REREGISTERED', reconciliations=[])
    _add(master, agent)
    _resume_drain(master, agent)
    for task in tasks if text is not None else ():
        status = updates.make_status(master, task.id, task.state, text, 'REASON_AGENT_REREGISTERED', agent.id,
                                     task.executor_id, task)
        updates.forward(master, master.frameworks.get(task.framework_id), status)


def _adopt(master, agent, told):
    """Take over what an agent says that it runs, but for what is of removed frameworks; the tasks."""
    _recover_frameworks(master, agent, told)
    for item in told.get('executors', ()):
        framework = master.frameworks.get(item['framework_id'])
        if framework is not None:
            executor_id, info = item['executor_info']['executor_id']['value'], item['executor_info']
            agent.executors.setdefault(framework.id, OrderedDict())[executor_id] = info
            framework.executors.setdefault(agent.id, OrderedDict())[executor_id] = info
    tasks = []
    for item in told.get('tasks', ()):
        framework = master.frameworks.get(item['framework_id'])
        if framework is not None:
            tasks.append(_adopt_task(master, agent, framework, item))
    for item in told.get('operations', ()):
        operations.adopt(master, agent, item)
    return tasks


def _adopt_task(master, agent, framework, item):
    task = Task(item['task_info'], framework.id, item.get('executor_id'), item['state'])
    task.statuses = list(item.get('statuses', ()))
    task.update_state, task.update_uuid = item.get('status_update_state'), item.get('status_update_uuid')
    framework.unreachable_tasks.pop(task.id, None)
    framework.tasks[task.id] = agent.tasks[framework.id, task.id] = task
    master.publisher.task_added(task)
    return task


def _recover_frameworks(master, agent, told):
    """Learn of frameworks from an agent; those that were removed are to go there, too."""
    for info in told.get('frameworks', ()):
        framework_id = info['id']['value']
        if framework_id in master.completed_frameworks:
            master.effects.append(Tell(told['pid'], {'type': 'SHUTDOWN_FRAMEWORK', 'framework_id': framework_id}))
            continue
        framework = master.frameworks.get(framework_id)
        if framework is None:
            framework = frameworks.recover(master, info)
        elif framework.info != info:
            # Where the agent missed a change.
            master.effects.append(Tell(told['pid'], {'type': 'UPDATE_FRAMEWORK', 'framework_info': framework.info}))
        framework.agent_ids.add(agent.id)


def _reconcile(master, agent, told):
    """An agent that this master has comes again: each may know of things that the other does not."""
    del master.agent_ids[agent.pid]
    master.agent_ids[told['pid']] = agent.id
    agent.pid, agent.version, agent.capabilities = told['pid'], told['version'], told['capabilities']
    agent.reregistered_time = master.world.time()
    _recover_frameworks(master, agent, told)
    running = set((item['framework_id'], item['task_info']['task_id']['value']) for item in told.get('tasks', ()))
    lost = [{'framework_id': framework_id, 'task_id': task_id}
            for framework_id, task_id in agent.tasks if (framework_id, task_id) not in running]
    _tell(master, agent, 'REREGISTERED', reconciliations=lost)
    _drop_executors(master, agent, told)
    for framework_id, task_id in sorted(agent.killed):
        master.effects.append(Tell(agent.pid, {'type': 'KILL', 'framework_id': framework_id, 'task_id': task_id,
                                               'kill_policy': None}))
    _resume_drain(master, agent)
    if told.get('total') is not None:
        total = Resources(told['total'])
        if total != agent.total:
            agent.set_total(total)
            master.allocator.update_agent(agent)
            master.allocate_soon([agent.id])


def _drop_executors(master, agent, told):
    """Executors that ended while the agent was away, and of which it has forgotten."""
    running = set((item['framework_id'], item['executor_info']['executor_id']['value'])
                  for item in told.get('executors', ()))
    for framework_id, executors in list(agent.executors.items()):
        for executor_id in list(executors):
            if (framework_id, executor_id) not in running and not _has_tasks(agent, framework_id, executor_id):
                updates.remove_executor(master, agent, framework_id, executor_id)


def _has_tasks(agent, framework_id, executor_id):
    return any(task.framework_id == framework_id and task.executor_id == executor_id for task in agent.tasks.values())


# ---- losing

def on_ping_due(master, agent_id):
    """Ask an agent for a sign of life; after so many without an answer it is unreachable."""
    agent = master.agents.get(agent_id)
    if agent is None:
        return
    if agent.is_pinged:
        agent.missed_pings += 1
        if agent.missed_pings >= master.options.max_agent_ping_timeouts:
            _mark_unreachable(master, agent, 'health check timed out')
            return
    agent.is_pinged = True
    master.effects.append(Tell(agent.pid, {'type': 'PING'}))
    master.effects.append(Timer(('ping', agent_id), master.options.agent_ping_timeout))


def on_pong(master, agent):
    """A sign of life."""
    agent.is_pinged = False
    agent.missed_pings = 0
    if not agent.is_connected:
        # It has not noticed that the line broke.
        master.effects.append(Tell(agent.pid, {'type': 'REREGISTER_PLEASE'}))


def on_disconnected(master, pid):
    """The line to an agent broke: nothing of it is offered until it comes back."""
    agent = master.agents.get(master.agent_ids.get(pid))
    if agent is None or not agent.is_connected:
        return
    agent.is_connected = False
    master.allocator.deactivate_agent(agent.id)
    offers.rescind_all(master, agent)
    for framework_id in _framework_ids(agent):
        framework = master.frameworks.get(framework_id)
        if framework is not None and not framework.info.get('checkpoint'):
            _drop_framework(master, agent, framework)
    master.effects.append(Timer(('reregister', agent.id), master.options.agent_reregister_timeout))


def _framework_ids(agent):
    return sorted(set(framework_id for framework_id, _ in agent.tasks) | set(agent.executors))


def _drop_framework(master, agent, framework):
    """A framework that does not checkpoint loses all that it has on an agent when that is disconnected."""
    for task in [task for task in agent.tasks.values() if task.framework_id == framework.id]:
        updates.lose(master, task, 'TASK_LOST', 'Agent %s disconnected' % agent.hostname,
                     'REASON_AGENT_DISCONNECTED')
    for executor_id in list(agent.executors.get(framework.id, ())):
        updates.remove_executor(master, agent, framework.id, executor_id)


def on_reregister_timeout(master, agent_id):
    """A disconnected agent has not come back."""
    agent = master.agents.get(agent_id)
    if agent is not None and not agent.is_connected:
        _mark_unreachable(master, agent, 'agent did not reregister within %s after disconnecting'
                          % duration(master.options.agent_reregister_timeout))


def on_recovery_timeout(master):
    """Agents of the registry that have not come since this master began are unreachable."""
    for agent_id in sorted(master.recovered_agents):
        del master.recovered_agents[agent_id]
        _remember(master.unreachable_agents, agent_id, master.world.nanoseconds())
        master.counts['recovery_slave_removals'] += 1
        _tell_failure(master, agent_id)


def _mark_unreachable(master, agent, text):
    since = master.world.nanoseconds()
    for name in ('slave_unreachable_scheduled', 'slave_unreachable_completed', 'slave_removals',
                 'slave_removals/reason_unhealthy'):
        master.counts[name] += 1
    operations.give_up(master, agent, 'OPERATION_UNREACHABLE', 'Agent was marked unreachable')
    _give_up(master, agent, lambda framework: (updates.state_for(framework, 'TASK_UNREACHABLE'), _REMOVED), text, since)
    _remember(master.unreachable_agents, agent.id, since)


def mark_gone(master, agent_id):
    """An operator says that an agent will never come back; for one that is registered, recovered or unreachable."""
    agent = master.agents.get(agent_id)
    text = 'Agent has been marked gone'
    if agent is not None:
        operations.give_up(master, agent, 'OPERATION_GONE_BY_OPERATOR', text)
        _give_up(master, agent, _gone_for, text)
        _refuse(master, agent.pid, text)
    elif agent_id in master.unreachable_agents:
        _end_unreachable(master, agent_id, text)
    master.recovered_agents.pop(agent_id, None)
    master.unreachable_agents.pop(agent_id, None)
    master.drains.pop(agent_id, None)
    master.deactivated.discard(agent_id)
    _remember(master.gone_agents, agent_id, master.world.nanoseconds())


def _remember(agents, agent_id, since):
    agents[agent_id] = since
    while len(agents) > KEPT_AGENTS:
        agents.popitem(last=False)


def _end_unreachable(master, agent_id, text):
    """The tasks of an unreachable agent are over once it is gone."""
    for framework in list(master.frameworks.values()):
        for task in [task for task in framework.unreachable_tasks.values() if task.agent_id == agent_id]:
            state, reason = _gone_for(framework)
            status = updates.make_status(master, task.id, state, text, reason, agent_id)
            updates.update_task(master, task, status)
            del framework.unreachable_tasks[task.id]
            framework.completed_tasks.append(task)
            updates.forward(master, framework, status)


def _gone_for(framework):
    """State and reason of a task whose agent is gone, as a framework is told them."""
    if framework.has('PARTITION_AWARE'):
        return 'TASK_GONE_BY_OPERATOR', 'REASON_AGENT_REMOVED_BY_OPERATOR'
    return 'TASK_LOST', 'REASON_AGENT_REMOVED'


def on_unregister(master, agent):
    """UNREGISTER: an agent says that it goes for good."""
    master.counts['messages_unregister_slave'] += 1
    _remove(master, agent, 'the agent unregistered', 'unregistered')


def shut_down(master, agent, why):
    """An agent's machine is taken down: its tasks are lost, it is to end."""
    _refuse(master, agent.pid, why)
    _remove(master, agent, why)


def _remove(master, agent, why, counted=None):
    master.counts['slave_removals'] += 1
    if counted is not None:
        master.counts['slave_removals/reason_' + counted] += 1
    operations.give_up(master, agent)
    _give_up(master, agent, lambda _: ('TASK_LOST', _REMOVED), 'Agent %s removed: %s' % (agent.hostname, why))
    # It will not come back under this id.
    master.drains.pop(agent.id, None)
    master.deactivated.discard(agent.id)
    master.publisher.agent_removed(agent.id)


def _give_up(master, agent, choose, text, since=None):
    """Take an agent out: its tasks are lost, its offers rescinded, and every framework is told.

    `choose(framework)` gives state and reason of the tasks' end.
    """
    master.allocator.remove_agent(agent.id)
    # It must not be found drained while it is taken apart.
    agent.drain_info = None
    for task in list(agent.tasks.values()):
        state, reason = choose(master.frameworks[task.framework_id])
        updates.lose(master, task, state, text, reason, since)
    for framework_id in _framework_ids(agent):
        for executor_id in list(agent.executors.get(framework_id, ())):
            updates.remove_executor(master, agent, framework_id, executor_id)
    offers.rescind_all(master, agent)
    for key in ('ping', 'reregister'):
        master.effects.append(Cancel((key, agent.id)))
    for framework in master.frameworks.values():
        framework.agent_ids.discard(agent.id)
    master.maintenance.forget(agent.id)
    del master.agents[agent.id]
    del master.agent_ids[agent.pid]
    _tell_failure(master, agent.id)


def _tell_failure(master, agent_id):
    """Every framework that is connected hears that an agent is lost, even one that had nothing there."""
    for framework in list(master.frameworks.values()):
        master.send(framework, 'FAILURE', {'agent_id': {'value': agent_id}})


# ---- what operators do

def deactivate(master, agent):
    """Offer nothing of an agent any more; what runs there runs on."""
    agent.is_deactivated = True
    master.deactivated.add(agent.id)
    master.allocator.deactivate_agent(agent.id)
    offers.rescind_all(master, agent)


def reactivate(master, agent):
    """Undo :func:`deactivate`, or a drain that is over."""
    agent.is_deactivated = False
    agent.drain_info = agent.drain_start = None
    master.deactivated.discard(agent.id)
    master.drains.pop(agent.id, None)
    if agent.is_active:
        master.allocator.activate_agent(agent.id)


def drain(master, agent, config):
    """Deactivate an agent and have all its tasks killed; `config` is a DrainConfig."""
    _set_drain(master, agent, {'state': 'DRAINING', 'config': config}, int(master.world.time()) * 10 ** 9)
    deactivate(master, agent)
    _tell_drain(master, agent)
    check_drained(master, agent)


def _set_drain(master, agent, info, start):
    agent.drain_info, agent.drain_start = info, start
    master.drains[agent.id] = info, start


def _restore(master, agent):
    """Operators' orders outlive the connection of an agent, and the master."""
    agent.is_deactivated = agent.id in master.deactivated
    agent.drain_info, agent.drain_start = master.drains.get(agent.id, (None, None))


def _resume_drain(master, agent):
    if agent.drain_info is not None and agent.drain_info['state'] == 'DRAINING':
        _tell_drain(master, agent)
        check_drained(master, agent)


def _tell_drain(master, agent):
    master.effects.append(Tell(agent.pid, {'type': 'DRAIN', 'config': agent.drain_info['config']}))


def check_drained(master, agent):
    """See whether the last task and operation of a draining agent are gone."""
    if agent.drain_info['state'] != 'DRAINING' or agent.tasks or agent.operations:
        return
    _set_drain(master, agent, dict(agent.drain_info, state='DRAINED'), agent.drain_start)
    if agent.drain_info['config'].get('mark_gone'):
        mark_gone(master, agent.id)

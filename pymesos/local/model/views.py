"""What the operator API of the master shows of its state (PROTOCOL 4.1); the field sets are those of Mesos 1.11."""
from __future__ import absolute_import, division, print_function

from collections import OrderedDict

from ...resources import Resources
from .offers import shown
from .shapes import both_formats, task_message, without_secrets

__all__ = ['agent', 'agent_event', 'agents', 'all_frameworks', 'executors', 'framework_event', 'frameworks', 'offer',
           'operations', 'state', 'tasks', 'used_resources']


def nanoseconds(seconds):
    """TimeInfo for seconds since the epoch."""
    return {'nanoseconds': int(round((seconds or 0) * 1000000)) * 1000}


def used_resources(framework, agents):
    """Resources that a framework's tasks and executors hold, of all `agents`."""
    return sum((agent_.used().get(framework.id, Resources()) for agent_ in agents), Resources())


def all_frameworks(master):
    """Frameworks, and then the completed ones."""
    return list(master.frameworks.values()) + list(master.completed_frameworks.values())


# ---- GET_STATE and its parts

def state(master):
    """GetState."""
    return {'get_tasks': tasks(master), 'get_executors': executors(master), 'get_frameworks': frameworks(master),
            'get_agents': agents(master)}


def tasks(master):
    """GetTasks."""
    found = OrderedDict([('tasks', []), ('unreachable_tasks', []), ('completed_tasks', [])])
    for framework in all_frameworks(master):
        found['tasks'] += [task_message(task) for task in framework.tasks.values()]
        found['unreachable_tasks'] += [task_message(task) for task in framework.unreachable_tasks.values()]
        found['completed_tasks'] += [task_message(task) for task in framework.completed_tasks]
    return found


def executors(master):
    """GetExecutors."""
    return {'executors': [{'executor_info': without_secrets(info), 'agent_id': {'value': agent_id}}
                          for framework in master.frameworks.values()
                          for agent_id, infos in framework.executors.items() for info in infos.values()]}


def operations(master):
    """GetOperations."""
    found = []
    for operation in master.operations.values():
        message = OrderedDict()
        if operation.framework_id is not None:
            message['framework_id'] = {'value': operation.framework_id}
        message['agent_id'] = {'value': operation.agent_id}
        message['info'] = operation.info
        message['latest_status'] = dict({'agent_id': {'value': operation.agent_id}}, **operation.latest)
        if operation.statuses:
            message['statuses'] = list(operation.statuses)
        message['uuid'] = {'value': operation.uuid}
        found.append(message)
    return {'operations': found} if found else {}


def agents(master):
    """GetAgents."""
    return {'agents': [agent(known) for known in master.agents.values()],
            'recovered_agents': list(master.recovered_agents.values())}


def agent(known):
    """GetAgents.Agent."""
    # The master shows the message that agents send it, which says this of itself; in events it is not there.
    found = agent_event(known)
    found['agent_info'] = dict(known.info, checkpoint=True)
    return found


def agent_event(known):
    """GetAgents.Agent as it is in events."""
    found = OrderedDict([
        ('agent_info', dict((name, known.info[name]) for name in known.info if name != 'checkpoint')),
        ('active', known.is_active), ('deactivated', known.is_deactivated), ('version', known.version),
        ('pid', known.pid), ('registered_time', nanoseconds(known.registered_time))])
    if known.reregistered_time is not None:
        found['reregistered_time'] = nanoseconds(known.reregistered_time)
    used = sum(known.used().values(), Resources())
    for name, resources in (('total_resources', known.total), ('allocated_resources', used),
                            ('offered_resources', known.offered())):
        if resources:
            found[name] = both_formats(resources)
    found['capabilities'] = known.capabilities
    if known.drain_info is not None:
        found['drain_info'] = known.drain_info
        found['estimated_drain_start_time'] = {'nanoseconds': known.drain_start}
    return found


def frameworks(master):
    """GetFrameworks."""
    used = {}
    for known in master.agents.values():
        for framework_id, resources in known.used().items():
            used[framework_id] = used.get(framework_id, Resources()) + resources
    return {'frameworks': [_framework(master, framework, used.get(framework.id))
                           for framework in master.frameworks.values()],
            'completed_frameworks': [_framework(master, framework, None)
                                     for framework in master.completed_frameworks.values()]}


def _framework(master, framework, used):
    found = _framework_head(framework)
    for name, seconds in _times(framework):
        if seconds:
            found[name] = nanoseconds(seconds)
    if framework.offers:
        found['offers'] = [offer(master, known) for known in framework.offers.values()]
    if framework.inverse_offers:
        found['inverse_offers'] = [master.maintenance.shown(inverse)
                                   for inverse in framework.inverse_offers.values()]
    offered = sum((known.resources for known in framework.offers.values()), Resources())
    for name, resources in (('allocated_resources', used), ('offered_resources', offered)):
        if resources:
            found[name] = both_formats(resources)
    found['offer_constraints'] = framework.constraints or {}
    return found


def _framework_head(framework):
    return OrderedDict([('framework_info', framework.info), ('active', framework.is_active),
                        ('connected', framework.is_connected), ('recovered', framework.is_recovered)])


def _times(framework):
    """Pairs of name and seconds, 0 for never."""
    if framework.is_recovered:
        return [('registered_time', 0), ('reregistered_time', 0), ('unregistered_time', 0)]
    return [('registered_time', framework.registered_time),
            ('reregistered_time', framework.reregistered_time or framework.registered_time),
            ('unregistered_time', framework.unregistered_time or 0)]


def framework_event(framework):
    """GetFrameworks.Framework as it is in events."""
    found = _framework_head(framework)
    found.update((name, nanoseconds(seconds)) for name, seconds in _times(framework))
    return found


def offer(master, known):
    """The Offer message, in the refined format and with its allocation."""
    return shown(master, known, known.resources.to_list(), True)

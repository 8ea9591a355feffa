"""Frameworks and agents as the older endpoints of the master show them."""
from __future__ import absolute_import, division, print_function

from collections import OrderedDict

from ...resources import Resources
from .shapes import allocation_role, attributes, both_formats, legacy_task, summary, without_secrets

__all__ = ['FrameworkUse', 'agent', 'agent_full', 'framework', 'recovered_agent', 'task_counts']

#: What ``/state-summary`` counts.
_COUNTED = ('TASK_STAGING', 'TASK_STARTING', 'TASK_RUNNING', 'TASK_KILLING', 'TASK_FINISHED', 'TASK_KILLED',
            'TASK_FAILED', 'TASK_LOST', 'TASK_ERROR', 'TASK_UNREACHABLE')


# ---- agents

def recovered_agent(info):
    """An agent that has not come yet since the master began, by its AgentInfo."""
    return OrderedDict([('id', info['id']['value']), ('hostname', info['hostname']), ('port', info.get('port', 5051)),
                        ('attributes', attributes(info.get('attributes', ())))])


def agent(known):
    """A :class:`~.state.Agent`."""
    found = recovered_agent(known.info)
    found['pid'] = known.pid
    found['registered_time'] = known.registered_time
    if known.reregistered_time is not None:
        found['reregistered_time'] = known.reregistered_time
    total, used = known.total, sum(known.used().values(), Resources())
    found['resources'] = summary(total)
    found['used_resources'] = summary(used)
    found['offered_resources'] = summary(known.offered())
    found['reserved_resources'] = OrderedDict((role, summary(total.reserved(role))) for role in _reserved_roles(total))
    found['unreserved_resources'] = summary(total.unreserved())
    found['active'] = known.is_active
    found['deactivated'] = known.is_deactivated
    found['version'] = known.version
    found['capabilities'] = [item['type'] for item in known.capabilities]
    if known.info.get('domain'):
        found['domain'] = known.info['domain']
    if known.drain_info is not None:
        found['drain_info'] = known.drain_info
        found['estimated_drain_start_time_seconds'] = known.drain_start / 1e9
    return found


def agent_full(known):
    """A :class:`~.state.Agent` with its resources in full."""
    found, total = agent(known), known.total
    found['reserved_resources_full'] = OrderedDict((role, both_formats(total.reserved(role)))
                                                   for role in _reserved_roles(total))
    found['unreserved_resources_full'] = both_formats(total.unreserved())
    found['used_resources_full'] = both_formats(sum(known.used().values(), Resources()))
    found['offered_resources_full'] = both_formats(known.offered())
    return found


def _reserved_roles(total):
    return sorted(set(item['reservations'][-1]['role'] for item in total.reserved().to_list()))


# ---- frameworks

class FrameworkUse(object):
    """What each framework of `master` holds: Resources of tasks and executors, and of offers."""

    def __init__(self, master):
        self._used = {}
        for known in master.agents.values():
            for framework_id, resources in known.used().items():
                self._used[framework_id] = self._used.get(framework_id, Resources()) + resources

    def used(self, known):
        return self._used.get(known.id, Resources())

    @staticmethod
    def offered(known):
        return sum((offer.resources for offer in known.offers.values()), Resources())


def framework(known, use, is_short=False):
    """A :class:`~.state.Framework`; `use` is a :class:`FrameworkUse`."""
    info, used, offered = known.info, use.used(known), use.offered(known)
    found = OrderedDict([
        ('id', known.id), ('name', info['name']), ('used_resources', summary(used)),
        ('offered_resources', summary(offered)),
        ('capabilities', [item['type'] for item in info.get('capabilities', ()) if 'type' in item]),
        ('hostname', info.get('hostname', '')), ('webui_url', info.get('webui_url', '')),
        ('active', known.is_active), ('connected', known.is_connected), ('recovered', known.is_recovered)])
    if is_short:
        return found
    found.update([('user', info['user']), ('failover_timeout', info.get('failover_timeout', 0.0)),
                  ('checkpoint', info.get('checkpoint', False)),
                  ('registered_time', 0.0 if known.is_recovered else known.registered_time),
                  ('unregistered_time', known.unregistered_time or 0.0)])
    if 'principal' in info:
        found['principal'] = info['principal']
    found['resources'] = summary(used + offered)
    if known.reregistered_time not in (None, known.registered_time):
        found['reregistered_time'] = known.reregistered_time
    if known.has('MULTI_ROLE'):
        found['roles'] = list(known.roles)
    else:
        found['role'] = known.roles[0]
    found.update([('tasks', [legacy_task(task) for task in known.tasks.values()]),
                  ('unreachable_tasks', [legacy_task(task) for task in known.unreachable_tasks.values()]),
                  ('completed_tasks', [legacy_task(task) for task in known.completed_tasks]),
                  ('offers', [_offer(offer) for offer in known.offers.values()]),
                  ('executors', [_executor(executor, agent_id) for agent_id, executors in known.executors.items()
                                 for executor in executors.values()])])
    if 'labels' in info:
        found['labels'] = info['labels'].get('labels', [])
    found['offer_constraints'] = known.constraints or {}
    return found


def _offer(offer):
    return OrderedDict([('id', offer.id), ('framework_id', offer.framework_id),
                        ('allocation_info', {'role': offer.role}), ('slave_id', offer.agent_id),
                        ('resources', summary(offer.resources))])


def _executor(info, agent_id):
    found = OrderedDict([('executor_id', info['executor_id']['value']), ('name', info.get('name', '')),
                         ('framework_id', info.get('framework_id', {}).get('value', ''))])
    if 'command' in info:
        found['command'] = _command(info['command'])
    found['resources'] = summary(Resources(info.get('resources', ())))
    found['role'] = allocation_role(info.get('resources', ()))
    for name in ('labels', 'type'):
        if name in info:
            found[name] = info[name].get('labels', []) if name == 'labels' else info[name]
    found['slave_id'] = agent_id
    return found


def _command(command):
    found = OrderedDict(shell=command.get('shell', True))
    if 'value' in command:
        found['value'] = command['value']
    found['argv'] = command.get('arguments', [])
    if 'environment' in command:
        found['environment'] = {'variables': without_secrets(command['environment'].get('variables', []))}
    found['uris'] = [OrderedDict([('value', uri['value']), ('executable', uri.get('executable', False))])
                     for uri in command.get('uris', ())]
    return found


# ---- counts

class _Counts(object):
    """How many tasks there are in each state, by agent and by framework, and which of these have to do with which."""

    def __init__(self):
        self._agents, self._frameworks = {}, {}

    def add(self, task):
        for table, key, other in ((self._agents, task.agent_id, task.framework_id),
                                  (self._frameworks, task.framework_id, task.agent_id)):
            counts, others = table.setdefault(key, ({}, []))
            counts[task.state] = counts.get(task.state, 0) + 1
            if other not in others:
                others.append(other)

    def of_agent(self, agent_id):
        return self._shown(self._agents, agent_id, 'framework_ids')

    def of_framework(self, framework_id):
        return self._shown(self._frameworks, framework_id, 'slave_ids')

    @staticmethod
    def _shown(table, key, name):
        counts, others = table.get(key, ({}, []))
        found = OrderedDict((state, counts.get(state, 0)) for state in _COUNTED)
        found[name] = others
        return found


def task_counts(master):
    """The :class:`_Counts` of all tasks of the frameworks of `master`, completed ones included."""
    counts = _Counts()
    for known in master.frameworks.values():
        for task in list(known.tasks.values()) + list(known.unreachable_tasks.values()) + list(known.completed_tasks):
            counts.add(task)
    return counts

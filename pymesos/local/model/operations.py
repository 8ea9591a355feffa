"""ACCEPT: launches and the other operations on offers; what becomes of operations later.

PROTOCOL 2.6, 5.4, 8.3. Functions on a :class:`~.master.MasterModel`.
"""
from __future__ import absolute_import, division, print_function

from collections import OrderedDict

from ...resources import Resources
from . import metrics, offers, updates, validation
from .amounts import adopted, converted, unallocate
from .effects import Tell
from .state import Operation, Task

__all__ = ['accept', 'acknowledge', 'adopt', 'apply_operation', 'give_up', 'on_status', 'reconcile', 'remove']

#: States of an operation that are the last.
TERMINAL = frozenset(['OPERATION_FINISHED', 'OPERATION_FAILED', 'OPERATION_ERROR', 'OPERATION_DROPPED',
                      'OPERATION_GONE_BY_OPERATOR'])

_LAUNCHES = ('LAUNCH', 'LAUNCH_GROUP')

_INVALID = {'LAUNCH': 'REASON_TASK_INVALID', 'LAUNCH_GROUP': 'REASON_TASK_GROUP_INVALID'}


# ---- ACCEPT

def accept(master, framework, body):
    """ACCEPT: do the operations one after the other; what they leave is declined with the filters.

    Everything happens in one step here, so an agent cannot be lost between the check of the offers and the launch, and
    REASON_AGENT_REMOVED or _DISCONNECTED cannot come out of it: its offers are gone before.
    """
    offer_ids, wanted = body.get('offer_ids', ()), body.get('operations', ())
    for operation in wanted:
        if operation.get('type') == 'LAUNCH':
            master.counts['messages_launch_tasks' if _tasks(operation) else 'messages_decline_offers'] += 1
    error = validation.offers(offer_ids, framework, master.offers)
    found = OrderedDict((item['value'], master.offers[item['value']]) for item in offer_ids
                        if item['value'] in master.offers)
    for offer in found.values():
        if error is not None:
            master.allocator.recover(offer.framework_id, offer.agent_id, offer.resources)
        offers.remove(master, offer)
    if error is not None:
        for operation in wanted:
            _refuse(master, framework, operation, error)
        return
    first = next(iter(found.values()))
    deal = _Deal(master, framework, master.agents[first.agent_id], first.role,
                 sum((offer.resources for offer in found.values()), Resources()))
    for operation in [known for known in map(deal.admit, wanted) if known is not None]:
        deal.carry_out(operation)
    deal.close(body.get('filters', {}))


def _tasks(operation):
    if operation.get('type') == 'LAUNCH':
        return operation.get('launch', {}).get('task_infos', ())
    return operation.get('launch_group', {}).get('task_group', {}).get('tasks', ())


def _refuse(master, framework, operation, error):
    """An operation on offers that are not valid."""
    if operation.get('type') not in _LAUNCHES:
        drop(master, framework, operation, 'Operation attempted with invalid offers: ' + error)
        return
    state = updates.state_for(framework, 'TASK_DROPPED')
    for info in _tasks(operation):
        updates.refuse_task(master, framework, info, state, 'Task launched with invalid offers: ' + error,
                            'REASON_INVALID_OFFERS')


def drop(master, framework, operation, text):
    """Say, if the operation has an id, why it is not done."""
    _count(master, operation, 'total')
    _count(master, operation, 'error')
    if framework is not None and 'id' in operation:
        _tell_status(master, framework, {'operation_id': operation['id'], 'state': 'OPERATION_ERROR', 'message': text})


def _count(master, operation, state):
    kind = operation.get('type', 'UNKNOWN')
    for name in ('', kind.lower() + '/') if kind != 'UNKNOWN' else ():
        master.counts['operations/%s%s' % (name, state)] += 1


def _tell_status(master, framework, status):
    master.send(framework, 'UPDATE_OPERATION_STATUS', {'status': status})


class _Deal(object):
    """One ACCEPT at work: what was offered, and what is left of it."""

    def __init__(self, master, framework, agent, role, offered):
        self._master, self._framework, self._agent, self._role = master, framework, agent, role
        self._offered = self._left = offered
        #: {Resources of one copy of a shared volume: how many tasks use it}
        self._shared_uses = {}

    def admit(self, operation):
        """The operation as it is kept, or None if it is refused before any is carried out."""
        kind = operation.get('type', 'UNKNOWN')
        if kind == 'UNKNOWN':
            # Mesos ignores what it does not know, and does not say so.
            return None
        error = validation.operation_resources(operation)
        if error is not None:
            if kind in _LAUNCHES:
                self._refuse_tasks(operation, error)
            else:
                drop(self._master, self._framework, operation, 'Operation attempted with invalid resources: ' + error)
            return None
        if 'id' in operation:
            if kind in _LAUNCHES:
                self._refuse_tasks(operation, 'The `id` field cannot be set on %s operations' % kind)
                return None
            error = self._lacks_feedback()
            if error is not None:
                drop(self._master, self._framework, operation, error)
                return None
        return adopted(operation, self._role, self._framework.id)

    def _lacks_feedback(self):
        capabilities = set(item.get('type') for item in self._agent.capabilities)
        if not capabilities >= set(['AGENT_OPERATION_FEEDBACK', 'RESOURCE_PROVIDER']):
            return ('Operation on agent default resources requested feedback, but agent %s does not have the required '
                    'AGENT_OPERATION_FEEDBACK and RESOURCE_PROVIDER capabilities' % self._agent.id)
        return None

    def carry_out(self, operation):
        """Do one operation with what is left."""
        if operation['type'] == 'LAUNCH':
            for info in _tasks(operation):
                self._launch(info)
        elif operation['type'] == 'LAUNCH_GROUP':
            self._launch_group(operation)
        else:
            self._convert(operation)

    def close(self, filters):
        """Give back what is left: with the filters, but what operations made of it without."""
        left = self._left
        for copy, count in self._shared_uses.items():
            left = left - copy
            self._agent.use_shared(self._framework.id, copy, count)
        fresh, kept = _changes(left, self._offered)[0], left
        if fresh:
            kept = left - fresh
        recover = self._master.allocator.recover
        recover(self._framework.id, self._agent.id, kept, filters)
        recover(self._framework.id, self._agent.id, fresh)

    # ---- launches

    def _launch(self, info):
        error = validation.task(info, self._framework, self._agent, self._left)
        if error is not None:
            updates.refuse_task(self._master, self._framework, info, 'TASK_ERROR', error, 'REASON_TASK_INVALID')
            return
        executor = info.get('executor')
        is_new = executor is None or self._add_executor(executor)
        self._add_task(info, None if executor is None else executor['executor_id']['value'])
        metrics.count_operation(self._framework, 'LAUNCH')
        self._tell({'type': 'RUN_TASK', 'executor_info': executor, 'is_new_executor': is_new, 'task': info})

    def _launch_group(self, operation):
        executor, tasks = operation['launch_group']['executor'], []
        for info in _tasks(operation):
            tasks.append(info if 'executor' in info else dict(info, executor=executor))
        launch = {'executor': executor, 'task_group': {'tasks': tasks}}
        error = validation.group(launch, self._framework, self._agent, self._left)
        if error is not None:
            self._refuse_tasks(operation, error)
            return
        is_new = self._add_executor(executor)
        for info in tasks:
            self._add_task(info, executor['executor_id']['value'])
        metrics.count_operation(self._framework, 'LAUNCH_GROUP')
        self._tell({'type': 'RUN_GROUP', 'executor_info': executor, 'is_new_executor': is_new, 'tasks': tasks})

    def _tell(self, message):
        self._framework.agent_ids.add(self._agent.id)
        message['framework_info'] = self._framework.info
        self._master.effects.append(Tell(self._agent.pid, message))

    def _add_executor(self, info):
        """Note an executor and what it takes, unless it is there already; whether it is new."""
        executor_id = info['executor_id']['value']
        executors = self._agent.executors.setdefault(self._framework.id, OrderedDict())
        if executor_id in executors:
            return False
        executors[executor_id] = info
        self._framework.executors.setdefault(self._agent.id, OrderedDict())[executor_id] = info
        if info.get('resources'):
            self._left = self._left - Resources(info['resources'])
        return True

    def _add_task(self, info, executor_id):
        task = Task(info, self._framework.id, executor_id)
        self._framework.tasks[task.id] = task
        self._agent.tasks[self._framework.id, task.id] = task
        self._consume(task.resources)
        self._master.publisher.task_added(task)

    def _consume(self, resources):
        """Take what a task holds; a shared volume stays for others until the end."""
        shared = [item for item in resources.to_list() if 'shared' in item] if self._agent.has_shared else ()
        for item in shared:
            copy = Resources([item])
            self._shared_uses[copy] = self._shared_uses.get(copy, 0) + 1
            resources = resources - copy
        self._left = self._left - resources

    def _refuse_tasks(self, operation, error):
        for info in _tasks(operation):
            updates.refuse_task(self._master, self._framework, info, 'TASK_ERROR', error,
                                _INVALID[operation['type']])

    # ---- other operations

    def _convert(self, operation):
        error = validation.operation(operation, self._framework, self._agent, self._left)
        if error is not None:
            drop(self._master, self._framework, operation, error)
            return
        before, self._left = self._left, converted(self._left, operation)
        gone, new = _changes(before, self._left)
        self._master.allocator.convert(self._agent.id, self._framework.id, gone, new)
        metrics.count_operation(self._framework, operation['type'])
        _record(self._master, self._agent, operation, unallocate(gone), unallocate(new), self._framework)


def _changes(before, after):
    """(what of `before` is not in `after`, what of `after` was not in `before`)."""
    # What `-` and `contains` of Resources are made of: both halves at once, and neither an error.
    return before._without(after)


# ---- operations at work

def apply_operation(master, agent, operation, framework=None):
    """Do a valid operation on free resources of an agent, for an operator; see :func:`accept` for frameworks.

    The operation is as :func:`~.amounts.adopted` gives it, for no role. Returns the :class:`~.state.Operation`.
    """
    gone, new = _changes(agent.total, converted(agent.total, operation))
    master.allocator.convert(agent.id, None, gone, new)
    return _record(master, agent, operation, gone, new, framework)


def _record(master, agent, info, gone, new, framework):
    agent.set_total(agent.total - gone + new)
    operation = Operation(info, master.world.uuid_base64(), agent.id, None if framework is None else framework.id)
    _keep(master, agent, operation)
    _count(master, info, 'total')
    master.effects.append(Tell(agent.pid, {
        'type': 'APPLY', 'framework_id': operation.framework_id, 'operation': info, 'uuid': operation.uuid,
        'total': agent.total.to_list()}))
    return operation


def adopt(master, agent, told):
    """Take over an operation that an agent has told of: an Operation as GET_OPERATIONS shows it."""
    operation = Operation(told['info'], told['uuid']['value'], agent.id, told.get('framework_id', {}).get('value'))
    operation.statuses = list(told.get('statuses', ()))
    operation.latest = told['latest_status']
    _keep(master, agent, operation)


def _keep(master, agent, operation):
    master.operations[operation.uuid] = agent.operations[operation.uuid] = operation
    framework = master.frameworks.get(operation.framework_id)
    if framework is not None:
        framework.agent_ids.add(agent.id)
        if operation.id is not None:
            framework.operation_uuids[operation.id] = operation.uuid


def on_status(master, told):
    """An agent tells how far an operation is."""
    operation = master.operations.get(told['operation_uuid'])
    status = told['status']
    master.counts['messages_operation_status_update'] += 1
    if operation is None:
        if status.get('uuid'):
            _tell_ack(master, master.agents[told['agent_id']], told['operation_uuid'], status['uuid']['value'])
        return
    if operation.latest['state'] not in TERMINAL:
        _count(master, operation.info, status['state'].replace('OPERATION_', '').lower())
    operation.latest = told.get('latest') or status
    operation.statuses.append(status)
    framework = master.frameworks.get(operation.framework_id)
    if framework is not None and operation.id is not None:
        _tell_status(master, framework, status)
    if operation.latest['state'] in TERMINAL and not status.get('uuid'):
        remove(master, operation)


def remove(master, operation):
    """Forget an operation."""
    del master.operations[operation.uuid]
    agent = master.agents.get(operation.agent_id)
    if agent is not None:
        agent.operations.pop(operation.uuid, None)
    framework = master.frameworks.get(operation.framework_id)
    if framework is not None and framework.operation_uuids.get(operation.id) == operation.uuid:
        del framework.operation_uuids[operation.id]
    if agent is not None and agent.drain_info is not None:
        master.check_drained(agent)


def give_up(master, agent, state=None, text=None):
    """An agent is lost: its operations are forgotten; with a `state`, frameworks are told, even of finished ones."""
    for operation in list(agent.operations.values()):
        framework = master.frameworks.get(operation.framework_id)
        if framework is not None and operation.id is not None and state is not None:
            _tell_status(master, framework, {'operation_id': operation.info['id'], 'state': state, 'message': text,
                                             'agent_id': {'value': agent.id}})
        remove(master, operation)


# ---- calls of frameworks

def acknowledge(master, framework, body):
    """ACKNOWLEDGE_OPERATION_STATUS: to the agent; the operation is forgotten if that was its last state."""
    uuid = framework.operation_uuids.get(body['operation_id']['value'])
    agent = master.agents.get(body['agent_id']['value']) if 'agent_id' in body else None
    if uuid is None or agent is None or not agent.is_connected or uuid not in agent.operations:
        return
    operation = agent.operations[uuid]
    for status in operation.statuses:
        if status.get('uuid', {}).get('value') == body['uuid']:
            if status['state'] in TERMINAL:
                remove(master, operation)
            _tell_ack(master, agent, uuid, body['uuid'])
            return


def _tell_ack(master, agent, uuid, status_uuid):
    master.effects.append(Tell(agent.pid, {'type': 'ACK_OPERATION', 'uuid': uuid, 'status_uuid': status_uuid}))


def reconcile(master, framework, body):
    """RECONCILE_OPERATIONS: say what is known of the operations, or of all if none are named (PROTOCOL 2.8)."""
    asked = body.get('operations')
    if not asked:
        for uuid in list(framework.operation_uuids.values()):
            _tell_status(master, framework, _latest(master.operations[uuid]))
        return
    for item in asked:
        uuid = framework.operation_uuids.get(item['operation_id']['value'])
        _tell_status(master, framework, _unknown(master, item) if uuid is None else _latest(master.operations[uuid]))


def _latest(operation):
    """The latest status, without `uuid`: nobody acknowledges it."""
    latest = dict((name, operation.latest[name]) for name in operation.latest if name != 'uuid')
    latest.setdefault('operation_id', operation.info['id'])
    latest.setdefault('agent_id', {'value': operation.agent_id})
    return latest


def _unknown(master, item):
    agent_id = item['agent_id']['value'] if 'agent_id' in item else None
    if agent_id is None:
        state, text = 'UNKNOWN', "Operation is unknown and no 'agent_id' was provided"
    elif agent_id in master.recovered_agents:
        state, text = 'RECOVERING', 'Agent is recovered but has not re-registered'
    elif agent_id in master.agents:
        state, text = 'UNKNOWN', 'Operation is unknown'
    elif agent_id in master.unreachable_agents:
        state, text = 'UNREACHABLE', 'Agent is unreachable'
    elif agent_id in master.gone_agents:
        state, text = 'GONE_BY_OPERATOR', 'Agent marked gone by operator'
    else:
        state, text = 'UNKNOWN', 'Both operation and agent are unknown'
    status = {'operation_id': item['operation_id'], 'state': 'OPERATION_' + state, 'message': 'Reconciliation: ' + text}
    if agent_id is not None:
        status['agent_id'] = item['agent_id']
    return status

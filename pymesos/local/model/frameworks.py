"""Frameworks: how they subscribe, fail over, change, are lost and removed (PROTOCOL 2.3, 2.4).

Functions on a :class:`~.master.MasterModel`.
"""
from __future__ import absolute_import, division, print_function

from . import metrics, offers, operations, updates, validation
from .effects import Cancel, CloseStream, Reply, Send, Tell, Timer, refuse
from .shapes import with_id
from .state import Framework

__all__ = ['beat', 'on_failover_timeout', 'on_stream_closed', 'recover', 'remove', 'subscribe', 'update']

#: The fields of FrameworkInfo that Mesos shows before its id.
_BEFORE_ID = ('user', 'name')


# ---- subscribing

def subscribe(master, body, principal):
    """SUBSCRIBE: the reply that opens a stream, be it only for an ERROR."""
    info = body['framework_info']
    if principal is not None and 'principal' not in info:
        info = dict(info, principal=principal)
    suppressed, constraints = body.get('suppressed_roles', ()), body.get('offer_constraints')
    master.counts['messages_%sregister_framework' % ('re' if info.get('id') else '')] += 1
    stream = master.world.uuid()
    reply = Reply(200, headers=[('Mesos-Stream-Id', stream)], stream=stream)
    error = _refusal(master, info, suppressed, constraints)
    if error is not None:
        _end(master, stream, error)
        return reply
    framework_id = (info.get('id') or {}).get('value')
    if not framework_id:
        framework_id = '%s-%04d' % (master.id, master.count('framework'))
        _add(master, with_id(info, framework_id, _BEFORE_ID), suppressed, constraints, stream)
        return reply
    framework = master.frameworks.get(framework_id)
    if framework is None:
        # It subscribed with an earlier master, and its agents have not come yet.
        framework = recover(master, info)
    _fail_over(master, framework, info, suppressed, constraints, stream)
    return reply


def _refusal(master, info, suppressed, constraints):
    """Why it may not subscribe, or None."""
    framework_id = (info.get('id') or {}).get('value')
    error = _invalid(master, info, suppressed, constraints, framework_id in master.completed_frameworks)
    if error is not None:
        return error
    known = master.frameworks.get(framework_id)
    return None if known is None else validation.framework_change(known.info, info)


def _invalid(master, info, suppressed, constraints, is_removed=False):
    return validation.framework(info, suppressed, constraints, allowed_roles=master.options.roles,
                                root_submissions=master.options.root_submissions, is_removed=is_removed)


def _end(master, stream, error):
    master.effects.append(Send(stream, {'type': 'ERROR', 'error': {'message': error}}))
    master.effects.append(CloseStream(stream))


def _open(master, framework, stream):
    """Make `stream` the framework's, and say so on it."""
    framework.stream = framework.stream_id = stream
    master.streams[stream] = framework.id
    master.send(framework, 'SUBSCRIBED', {
        'framework_id': {'value': framework.id},
        'heartbeat_interval_seconds': float(master.options.heartbeat_interval), 'master_info': master.master_info()})
    beat(master, stream)


def beat(master, stream):
    """Send a HEARTBEAT, and see to the next."""
    if stream in master.streams:
        master.effects.append(Send(stream, {'type': 'HEARTBEAT'}))
        metrics.count_event(master.frameworks[master.streams[stream]], 'HEARTBEAT')
        master.effects.append(Timer(('heartbeat', stream), master.options.heartbeat_interval))


def _add(master, info, suppressed, constraints, stream):
    framework = Framework(info['id']['value'], info, master.world.time())
    framework.suppressed, framework.constraints = set(suppressed), constraints
    framework.reregistered_time = framework.registered_time
    framework.is_active = True
    master.frameworks[framework.id] = framework
    master.allocator.add_framework(framework)
    _open(master, framework, stream)
    master.publisher.framework_added(framework)
    master.allocate_soon()


def recover(master, info):
    """A framework that an earlier master had, of which an agent tells: it has yet to subscribe with this one."""
    framework = Framework(info['id']['value'], info, master.world.time())
    framework.is_recovered = True
    master.frameworks[framework.id] = framework
    master.allocator.add_framework(framework)
    master.publisher.framework_added(framework)
    return framework


def _fail_over(master, framework, info, suppressed, constraints, stream):
    """A framework comes again; whoever held its stream loses it.

    Offers are gone without RESCIND, but for those of roles that it gives up.
    """
    # Mesos ignores a changed user and checkpoint, and takes over the rest.
    kept = dict((name, framework.info[name]) for name in ('user', 'checkpoint') if name in framework.info)
    _change(master, framework, dict(with_id(info, framework.id, _BEFORE_ID), **kept), suppressed, constraints)
    if framework.stream is not None:
        _end(master, framework.stream, 'Framework failed over')
        _forget_stream(master, framework)
    master.effects.append(Cancel(('failover', framework.id)))
    offers.discard_all(master, framework)
    now = master.world.time()
    if framework.is_recovered:
        framework.is_recovered = False
        framework.registered_time = now
    framework.reregistered_time = now
    was_active, framework.is_active = framework.is_active, True
    if not was_active:
        master.allocator.activate(framework.id)
    _open(master, framework, stream)
    _tell_agents(master, framework)
    master.publisher.framework_updated(framework)
    if not was_active:
        master.allocate_soon()


def _change(master, framework, info, suppressed, constraints):
    framework.info, framework.principal = info, info.get('principal')
    framework.suppressed, framework.constraints = set(suppressed), constraints
    master.allocator.update_framework(framework)
    for offer in [offer for offer in framework.offers.values() if offer.role not in framework.roles]:
        offers.rescind(master, offer)


def _is_same(old, new):
    """Whether two FrameworkInfos mean the same: the order of roles and capabilities means nothing."""
    return old == new or _unordered(old) == _unordered(new)


def _unordered(info):
    return dict(info, roles=sorted(info.get('roles', ())),
                capabilities=sorted(item.get('type', '') for item in info.get('capabilities', ())))


def _tell_agents(master, framework):
    for agent_id in sorted(framework.agent_ids):
        if agent_id in master.agents:
            master.effects.append(Tell(master.agents[agent_id].pid, {
                'type': 'UPDATE_FRAMEWORK', 'framework_info': framework.info}))


def _forget_stream(master, framework):
    del master.streams[framework.stream]
    master.effects.append(Cancel(('heartbeat', framework.stream)))
    framework.stream = framework.stream_id = None


# ---- changing

def update(master, framework, body):
    """UPDATE_FRAMEWORK: 200 when it is done, 400 if it may not be."""
    info, suppressed = body['framework_info'], body.get('suppressed_roles', ())
    constraints = body.get('offer_constraints')
    for what, error in (
            ('Supplied FrameworkInfo is', _invalid(master, info, suppressed, None)),
            ('FrameworkInfo update is', validation.framework_change(framework.info, info, is_update=True)),
            ("'UpdateFramework.offer_constraints' are", _invalid(master, info, suppressed, constraints))):
        if error is not None:
            return refuse(400, '%s not valid: %s' % (what, error))
    is_news = not _is_same(framework.info, info)
    _change(master, framework, with_id(info, framework.id, _BEFORE_ID), suppressed, constraints)
    if is_news:
        _tell_agents(master, framework)
        master.publisher.framework_updated(framework)
    return Reply(200)


# ---- losing

def on_stream_closed(master, stream):
    """The connection of a framework is gone; it may come back for `failover_timeout` seconds."""
    framework = master.frameworks[master.streams[stream]]
    _forget_stream(master, framework)
    _deactivate(master, framework)
    master.effects.append(Timer(('failover', framework.id), framework.info.get('failover_timeout', 0.0)))


def _deactivate(master, framework):
    if framework.is_active:
        framework.is_active = False
        master.allocator.deactivate(framework.id)
    offers.discard_all(master, framework)


def on_failover_timeout(master, framework_id):
    """A framework has not come back in time."""
    framework = master.frameworks.get(framework_id)
    if framework is not None and framework.stream is None:
        remove(master, framework)


def remove(master, framework):
    """Remove a framework for good: its executors are shut down, its tasks are over, and nobody is told of that."""
    _deactivate(master, framework)
    for agent_id in sorted(framework.agent_ids):
        if agent_id in master.agents:
            master.effects.append(Tell(master.agents[agent_id].pid, {
                'type': 'SHUTDOWN_FRAMEWORK', 'framework_id': framework.id}))
    text = 'Framework %s removed' % framework.id
    for task in list(framework.tasks.values()):
        # Also those that are over already: their state stays as it is, but operators are told.
        updates.update_task(master, task, updates.make_status(
            master, task.id, 'TASK_KILLED', text, 'REASON_FRAMEWORK_REMOVED', task.agent_id))
        updates.remove_task(master, task)
    for task in framework.unreachable_tasks.values():
        framework.completed_tasks.append(task)
    framework.unreachable_tasks.clear()
    for agent_id in list(framework.executors):
        for executor_id in list(framework.executors[agent_id]):
            updates.remove_executor(master, master.agents[agent_id], framework.id, executor_id)
    for uuid in list(framework.operation_uuids.values()):
        operations.remove(master, master.operations[uuid])
    framework.unregistered_time = master.world.time()
    if framework.stream is not None:
        stream = framework.stream
        _forget_stream(master, framework)
        master.effects.append(CloseStream(stream))
    master.effects.append(Cancel(('failover', framework.id)))
    del master.frameworks[framework.id]
    master.allocator.remove_framework(framework.id)
    master.completed_frameworks[framework.id] = framework
    while len(master.completed_frameworks) > master.options.max_completed_frameworks:
        master.completed_frameworks.popitem(last=False)
    master.publisher.framework_removed(framework)

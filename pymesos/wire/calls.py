"""One function per call of the v1 scheduler and executor APIs: arguments in, the body (a plain dict) out.

Nothing is filled in that the caller left out, and nothing is copied: what is handed in goes into the body as it is, so
a body must be used up before its arguments are changed. Ids are dicts as Mesos sends them (``{'value': ...}``); only
`fid`, the framework's id in scheduler calls, is text. An argument that Mesos takes as a list may be any iterable; a
single dict counts as a list of one. :class:`~pymesos.errors.UsageError` is raised where a body would be refused for
certain, or worse.
Sources: PROTOCOL 2.1 (scheduler), 2.6 (operations), 3.1 (executor).
"""
from __future__ import absolute_import, division, print_function

import re

import six

from ..errors import UsageError, excerpt

#: The scheduler's calls that this library knows (PROTOCOL 2.1).
SCHEDULER_CALLS = frozenset([
    'ACCEPT', 'ACCEPT_INVERSE_OFFERS', 'ACKNOWLEDGE', 'ACKNOWLEDGE_OPERATION_STATUS', 'DECLINE',
    'DECLINE_INVERSE_OFFERS', 'KILL', 'MESSAGE', 'RECONCILE', 'RECONCILE_OPERATIONS', 'REQUEST', 'REVIVE', 'SHUTDOWN',
    'SUBSCRIBE', 'SUPPRESS', 'TEARDOWN', 'UPDATE_FRAMEWORK'])

#: The executor's calls that this library knows (PROTOCOL 3.1).
EXECUTOR_CALLS = frozenset(['HEARTBEAT', 'MESSAGE', 'SUBSCRIBE', 'UPDATE'])

#: The operations of an ACCEPT that this library knows (PROTOCOL 2.6).
OPERATIONS = frozenset([
    'CREATE', 'CREATE_DISK', 'DESTROY', 'DESTROY_DISK', 'GROW_VOLUME', 'LAUNCH', 'LAUNCH_GROUP', 'RESERVE',
    'SHRINK_VOLUME', 'UNRESERVE'])


_BASE64 = re.compile(r'(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?\Z')


def check(call, known=SCHEDULER_CALLS, what='call'):
    """Return `call`; :class:`~pymesos.errors.UsageError` unless it is a dict whose type is among `known`.

    For bodies that a user built. A master of Mesos 1.11 dies of a call whose type is ``'UNKNOWN'``
    (captures: crash-type-UNKNOWN), so such a call must not leave this process.
    """
    kind = call.get('type') if isinstance(call, dict) else None
    if not isinstance(kind, six.string_types) or kind not in known:
        raise UsageError('cannot send the %s of type %r: expected one of %s' % (what, kind, ', '.join(sorted(known))))
    if kind == 'MESSAGE':
        _check_data(call)
    elif kind == 'UPDATE':
        _check_status(call)
    return call


def _check_data(call):
    """Mesos takes ``'hello'`` for base64 and delivers ``'hell'``: what is not base64 to the letter is refused here."""
    data = (call.get('message') or {}).get('data')
    if not isinstance(data, six.string_types) or not _BASE64.match(data):
        raise UsageError('cannot send a message whose data is %s: expected base64 text, as pymesos.encode_data(data) '
                         'makes it of bytes' % (excerpt(data) if hasattr(data, '__len__') else repr(data)))


def _check_status(call):
    status = (call.get('update') or {}).get('status') or {}
    missing = [name for name in ('task_id', 'state') if not status.get(name)]
    if missing:
        raise UsageError('cannot send a status update without %s; it has %s'
                         % (' and '.join(missing), ', '.join(sorted(status)) or 'nothing'))


# The scheduler's calls.

def subscribe(framework_info, suppressed_roles=None, offer_constraints=None):
    """SUBSCRIBE as `framework_info` (FrameworkInfo); with its ``id``, if there is one, in the envelope too.

    `suppressed_roles` (an iterable of text) and `offer_constraints` (OfferConstraints) replace those of an earlier
    subscription; left out means none.
    """
    return _framed('SUBSCRIBE', framework_info, suppressed_roles, offer_constraints)


def update_framework(framework_info, suppressed_roles=None, offer_constraints=None):
    """UPDATE_FRAMEWORK to `framework_info`, which holds the framework's ``id``; the rest as in :func:`subscribe`."""
    if not framework_info.get('id'):
        raise UsageError('cannot update a framework that has no id: it has not subscribed yet')
    return _framed('UPDATE_FRAMEWORK', framework_info, suppressed_roles, offer_constraints)


def teardown(fid):
    """TEARDOWN: the framework, its executors and its tasks end, and its id can never be used again."""
    return _call('TEARDOWN', fid)


def accept(fid, offer_ids, operations, filters=None):
    """ACCEPT the offers and perform `operations` (see :func:`launch` and so on) on them, in order.

    `filters` (Filters, as ``{'refuse_seconds': 5.0}``) apply to what is left over; Mesos takes 5 s if there are none.
    """
    body = {
        'offer_ids': _listed(offer_ids, 'offer ids'),
        'operations': [check(operation, OPERATIONS, 'operation') for operation in _listed(operations, 'operations')],
    }
    return _call('ACCEPT', fid, _filtered(body, filters))


def decline(fid, offer_ids, filters=None):
    """DECLINE the offers; `filters` as in :func:`accept`."""
    return _call('DECLINE', fid, _filtered({'offer_ids': _listed(offer_ids, 'offer ids')}, filters))


def accept_inverse_offers(fid, offer_ids, filters=None):
    """ACCEPT_INVERSE_OFFERS: the framework will be off those agents before they go away."""
    return _call('ACCEPT_INVERSE_OFFERS', fid,
                 _filtered({'inverse_offer_ids': _listed(offer_ids, 'inverse offer ids')}, filters))


def decline_inverse_offers(fid, offer_ids, filters=None):
    """DECLINE_INVERSE_OFFERS; `filters` delay the next inverse offer."""
    return _call('DECLINE_INVERSE_OFFERS', fid,
                 _filtered({'inverse_offer_ids': _listed(offer_ids, 'inverse offer ids')}, filters))


def revive(fid, roles=()):
    """REVIVE: clear filters and suppression of `roles` (an iterable of text), of every role if there are none."""
    return _call('REVIVE', fid, _roles(roles))


def suppress(fid, roles=()):
    """SUPPRESS: no further offers for `roles` (an iterable of text), for every role if there are none."""
    return _call('SUPPRESS', fid, _roles(roles))


def kill(fid, task_id, agent_id=None, kill_policy=None):
    """KILL the task.

    `kill_policy` (KillPolicy, as ``{'grace_period': {'nanoseconds': 5000000000}}``) overrides the task's own. An empty
    `agent_id` counts as none: so an :class:`addict.Dict` reads that has none, and Mesos would refuse it.
    """
    return _call('KILL', fid, _present(task_id=task_id, agent_id=agent_id or None, kill_policy=kill_policy))


def shutdown(fid, executor_id, agent_id):
    """SHUTDOWN the executor on the agent; it is killed after its grace period."""
    return _call('SHUTDOWN', fid, {'executor_id': executor_id, 'agent_id': agent_id})


def acknowledge(fid, status):
    """ACKNOWLEDGE the task status update `status` (TaskStatus), which must have a ``uuid``."""
    return _call('ACKNOWLEDGE', fid, _picked(status, ('agent_id', 'task_id', 'uuid'), (), 'the status update'))


def acknowledge_operation_status(fid, status):
    """ACKNOWLEDGE_OPERATION_STATUS for `status` (OperationStatus), which must have a ``uuid``.

    The event holds the uuid as ``{'value': base64}``, the call as the bare base64 text (PROTOCOL 2.1); either is
    taken.
    """
    body = _picked(status, ('agent_id', 'operation_id', 'uuid'), ('resource_provider_id',),
                   'the operation status update')
    if isinstance(body['uuid'], dict):
        body['uuid'] = body['uuid']['value']
    return _call('ACKNOWLEDGE_OPERATION_STATUS', fid, body)


def reconcile(fid, tasks):
    """RECONCILE `tasks`, dicts with a ``task_id`` and, if known, its ``agent_id`` (so a TaskStatus will do).

    No tasks ask for all that the master knows (implicit reconciliation, PROTOCOL 2.8).
    """
    return _call('RECONCILE', fid, {'tasks': [
        _picked(task, ('task_id',), ('agent_id',), 'the task to reconcile') for task in _listed(tasks, 'tasks')]})


def reconcile_operations(fid, operations):
    """RECONCILE_OPERATIONS: dicts with an ``operation_id`` and, if known, ``agent_id`` and ``resource_provider_id``.

    No operations ask for all that the master knows.
    """
    return _call('RECONCILE_OPERATIONS', fid, {'operations': [
        _picked(operation, ('operation_id',), ('agent_id', 'resource_provider_id'), 'the operation to reconcile')
        for operation in _listed(operations, 'operations')]})


def message(fid, executor_id, agent_id, data):
    """MESSAGE to the executor: `data` is base64 text (see :func:`pymesos.encode_data`)."""
    return _call('MESSAGE', fid, {'executor_id': executor_id, 'agent_id': agent_id, 'data': data})


def request(fid, requests):
    """REQUEST resources: dicts with ``resources`` and, for a certain agent, ``agent_id``.

    The allocator that Mesos comes with ignores it.
    """
    return _call('REQUEST', fid, {'requests': _listed(requests, 'requests')})


# The operations of an ACCEPT. `operation_id`, as {'value': ...}, asks for updates on the operation.

def launch(task_infos):
    """LAUNCH the tasks (TaskInfo), each on its own. It takes no operation id: with one Mesos refuses the tasks."""
    return _operation('LAUNCH', {'task_infos': _listed(task_infos, 'tasks')})


def launch_group(executor, tasks):
    """LAUNCH_GROUP: the tasks (TaskInfo), all or none, by `executor` (ExecutorInfo with ``framework_id``)."""
    return _operation('LAUNCH_GROUP', {'executor': executor, 'task_group': {'tasks': _listed(tasks, 'tasks')}})


def reserve(resources, operation_id=None):
    """RESERVE: `resources` (Resource) as they are to be, with the new reservation."""
    return _operation('RESERVE', {'resources': _listed(resources, 'resources')}, operation_id)


def unreserve(resources, operation_id=None):
    """UNRESERVE: `resources` (Resource) as they are, with the reservation to remove."""
    return _operation('UNRESERVE', {'resources': _listed(resources, 'resources')}, operation_id)


def create(volumes, operation_id=None):
    """CREATE persistent volumes (Resource with ``disk``)."""
    return _operation('CREATE', {'volumes': _listed(volumes, 'volumes')}, operation_id)


def destroy(volumes, operation_id=None):
    """DESTROY persistent volumes (Resource with ``disk``) and what is on them."""
    return _operation('DESTROY', {'volumes': _listed(volumes, 'volumes')}, operation_id)


def grow_volume(volume, addition, operation_id=None):
    """GROW_VOLUME: add the disk resource `addition` (Resource) to `volume` (Resource)."""
    return _operation('GROW_VOLUME', {'volume': volume, 'addition': addition}, operation_id)


def shrink_volume(volume, subtract, operation_id=None):
    """SHRINK_VOLUME: take `subtract` (Scalar, as ``{'value': megabytes}``) off `volume` (Resource)."""
    return _operation('SHRINK_VOLUME', {'volume': volume, 'subtract': subtract}, operation_id)


def create_disk(source, target_type, target_profile=None, operation_id=None):
    """CREATE_DISK from `source` (Resource of a provider): `target_type` is ``'MOUNT'`` or ``'BLOCK'``."""
    return _operation('CREATE_DISK', _present(source=source, target_type=target_type, target_profile=target_profile),
                      operation_id)


def destroy_disk(source, operation_id=None):
    """DESTROY_DISK: `source` (Resource of a provider) becomes a raw disk again."""
    return _operation('DESTROY_DISK', {'source': source}, operation_id)


# The executor's calls. `framework_id` and `executor_id` are dicts.

def executor_subscribe(framework_id, executor_id, tasks, statuses):
    """SUBSCRIBE; `tasks` (TaskInfo) and `statuses` (TaskStatus, in order) are those not acknowledged yet."""
    return _executor_call('SUBSCRIBE', framework_id, executor_id, {
        'unacknowledged_tasks': list(tasks),
        'unacknowledged_updates': [{'status': status} for status in statuses]})


def update(framework_id, executor_id, status):
    """UPDATE with `status` (TaskStatus, with ``uuid`` and ``source`` SOURCE_EXECUTOR)."""
    return _executor_call('UPDATE', framework_id, executor_id, {'status': status})


def executor_message(framework_id, executor_id, data):
    """MESSAGE to the scheduler: `data` is base64 text."""
    return _executor_call('MESSAGE', framework_id, executor_id, {'data': data})


def executor_heartbeat(framework_id, executor_id):
    """HEARTBEAT: keeps the connection for calls open."""
    return _executor_call('HEARTBEAT', framework_id, executor_id)


def _call(kind, fid, body=None):
    if not isinstance(fid, six.string_types) or not fid:
        raise UsageError('cannot build a call of type %s: the framework id is %r, expected text' % (kind, fid))
    call = {'type': kind, 'framework_id': {'value': fid}}
    if body is not None:
        call[kind.lower()] = body
    return call


def _framed(kind, framework_info, suppressed_roles, offer_constraints):
    body = {'framework_info': framework_info}
    if suppressed_roles:
        body['suppressed_roles'] = _listed(suppressed_roles, 'roles')
    if offer_constraints is not None:
        body['offer_constraints'] = offer_constraints
    call = {'type': kind, kind.lower(): body}
    if framework_info.get('id'):
        call['framework_id'] = framework_info['id']
    return call


def _operation(kind, body, operation_id=None):
    operation = {'type': kind, kind.lower(): body}
    if operation_id is not None:
        operation['id'] = operation_id
    return operation


def _executor_call(kind, framework_id, executor_id, body=None):
    call = {'type': kind, 'framework_id': framework_id, 'executor_id': executor_id}
    if body is not None:
        call[kind.lower()] = body
    return call


def _listed(values, what):
    if isinstance(values, dict):
        return [values]
    # A text is an iterable too, and ['e', 'n', 'g'] is never meant: Mesos would drop such a call in silence.
    if isinstance(values, (six.text_type, six.binary_type)):
        raise UsageError('expected a list of %s, not the text %r' % (what, values))
    return list(values)


def _roles(roles):
    roles = _listed(roles, 'roles')
    return {'roles': roles} if roles else None


def _filtered(body, filters):
    if filters is not None:
        body['filters'] = filters
    return body


def _present(**fields):
    return dict((name, fields[name]) for name in fields if fields[name] is not None)


def _picked(message, needed, optional, what):
    """A dict of the fields `needed` and `optional` of `message`; an empty one counts as missing."""
    missing = [name for name in needed if not message.get(name)]
    if missing:
        raise UsageError('%s has no %s, only %s' % (what, ' and no '.join(missing), ', '.join(sorted(message))))
    return dict((name, message[name]) for name in needed + optional if message.get(name))

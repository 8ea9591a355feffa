"""What operations do to resources, and the two formats that resources are shown in. Pure; Resources in and out."""
from __future__ import absolute_import, division, print_function

from collections import namedtuple

from ...resources import Resources

__all__ = ['Conversion', 'adopted', 'allocate', 'conversions', 'converted', 'in_offer_order', 'quantities', 'refined',
           'stripped', 'to_offer_format', 'unallocate']


# Allocation.

def allocate(resources, role):
    """The Resources, allocated to `role`."""
    made = Resources()
    for kind, amount in resources._amounts.items():
        kind = kind._replace(allocation=role)
        made._amounts[kind] = kind.arithmetic[0](made._amounts[kind], amount) if kind in made._amounts else amount
    return made


def unallocate(resources):
    """The Resources, allocated to nobody."""
    return allocate(resources, None)


def quantities(resources):
    """{name: thousandths, or the number of items and of numbers in ranges} of Resources, all kinds of a name as one."""
    found = {}
    for kind, amount in resources._amounts.items():
        if kind.size is not None:
            amount, copies = kind.size, amount
        else:
            copies = 1
        if kind.type == 'RANGES':
            amount = sum(end - begin + 1 for begin, end in amount)
        elif kind.type == 'SET':
            amount = len(amount)
        found[kind.name] = found.get(kind.name, 0) + amount * copies
    return found


def in_offer_order(resources):
    """The same Resources, in the order in which Mesos offers them: the scalars that nobody has reserved come last."""
    last = [kind for kind in resources._amounts if kind.type == 'SCALAR' and not kind.reservations]
    made = Resources(resources)
    for kind in last:
        made._amounts[kind] = made._amounts.pop(kind)
    return made


# Formats.

def refined(item, role=None):
    """A copy of a Resource dict in the refined format, allocated to `role` unless it is allocated or `role` is None."""
    made = dict(item)
    older_role, older = made.pop('role', '*'), made.pop('reservation', None)
    if not made.get('reservations') and older_role != '*':
        entry = {'type': 'STATIC'} if older is None else dict(older, type='DYNAMIC')
        made['reservations'] = [dict(entry, role=older_role)]
    if role is not None and 'allocation_info' not in made:
        made['allocation_info'] = {'role': role}
    return made


def to_offer_format(resources, framework):
    """The list of Resource dicts that `framework` (:class:`~.state.Framework`) is shown.

    Without RESERVATION_REFINEMENT in the older format, without MULTI_ROLE with no allocation.
    """
    if not framework.has('MULTI_ROLE'):
        resources = unallocate(resources)
    return resources.to_list(refined=framework.has('RESERVATION_REFINEMENT'))


#: Where an operation other than a launch has resources: type -> fields with one, fields with several.
_FIELDS = {'RESERVE': ((), ('resources', 'source')), 'UNRESERVE': ((), ('resources',)), 'CREATE': ((), ('volumes',)),
           'DESTROY': ((), ('volumes',)), 'GROW_VOLUME': (('volume', 'addition'), ()),
           'SHRINK_VOLUME': (('volume',), ()), 'CREATE_DISK': (('source',), ()), 'DESTROY_DISK': (('source',), ())}


def adopted(operation, role, framework_id):
    """A copy of an Offer.Operation as Mesos keeps it: its resources in the refined format and allocated to `role`.

    Where a resource has an allocation it is left alone; for an operator's operation `role` and `framework_id` are
    None. For LAUNCH, `executor.framework_id` and the type of a health check are filled in. To be called after
    :func:`~pymesos.local.model.validation.operation_resources` has found nothing.
    """
    kind = operation['type']
    body = dict(operation[kind.lower()])
    if kind == 'LAUNCH':
        if 'task_infos' in body:
            body['task_infos'] = [_adopted_task(task, role, framework_id) for task in body['task_infos']]
    elif kind == 'LAUNCH_GROUP':
        body['executor'] = _with_resources(body['executor'], role)
        body['task_group'] = dict(body['task_group'])
        if 'tasks' in body['task_group']:
            body['task_group']['tasks'] = [_adopted_member(task, role) for task in body['task_group']['tasks']]
    else:
        for name in _FIELDS[kind][0]:
            body[name] = refined(body[name], role)
        for name in _FIELDS[kind][1]:
            if name in body:
                body[name] = [refined(item, role) for item in body[name]]
    return dict(operation, **{str(kind.lower()): body})


def _with_resources(message, role):
    if 'resources' not in message:
        return dict(message)
    return dict(message, resources=[refined(item, role) for item in message['resources']])


def _adopted_task(task, role, framework_id):
    task = _with_resources(task, role)
    if 'executor' in task:
        task['executor'] = _with_resources(task['executor'], role)
        task['executor'].setdefault('framework_id', {'value': framework_id})
    health_check = task.get('health_check')
    if health_check is not None and 'type' not in health_check:
        for name, kind in (('command', 'COMMAND'), ('http', 'HTTP')):
            if name in health_check:
                task['health_check'] = dict(health_check, type=kind)
                break
    return task


def _adopted_member(task, role):
    task = _with_resources(task, role)
    if 'executor' in task:
        task['executor'] = _with_resources(task['executor'], role)
    return task


# Operations.

#: A step of an operation: what it takes and what it gives. `volume` is a Resource dict of which no copy may be left
#: afterwards, or None.
Conversion = namedtuple('Conversion', ['consumed', 'produced', 'volume'])


def conversions(operation):
    """The steps of RESERVE, UNRESERVE, CREATE, DESTROY, GROW_VOLUME and SHRINK_VOLUME, a list of :class:`Conversion`.

    The operation is valid and as :func:`adopted` gives it. For the others, which need a resource provider, an empty
    list.
    """
    kind = operation['type']
    return _CONVERSIONS[kind](operation[kind.lower()]) if kind in _CONVERSIONS else []


def converted(offered, operation):
    """What of the Resources `offered` becomes by an operation; all of it. UsageError if they do not have what it takes.

    The operation is as for :func:`conversions`.
    """
    for step in conversions(operation):
        offered = offered - step.consumed + step.produced
    return offered


def _popped(item):
    """Without the innermost reservation."""
    made = dict(item, reservations=item['reservations'][:-1])
    if not made['reservations']:
        del made['reservations']
    return made


def stripped(item):
    """A volume as plain disk."""
    made = dict(item)
    made.pop('shared', None)
    disk = dict((name, value) for name, value in made.pop('disk').items() if name not in ('persistence', 'volume'))
    if disk:
        made['disk'] = disk
    return made


def _resized(item, value):
    return dict(item, scalar={'value': value})


def _reserve(body):
    items = body['resources']
    source = body.get('source') or [_popped(item) for item in items]
    return [Conversion(Resources(source), Resources(items), None)]


def _unreserve(body):
    return [Conversion(Resources([item]), Resources([_popped(item)]), None) for item in body['resources']]


def _create(body):
    return [Conversion(Resources([stripped(item)]), Resources([item]), None) for item in body['volumes']]


def _destroy(body):
    return [Conversion(Resources([item]), Resources([stripped(item)]), item) for item in body['volumes']]


def _grow(body):
    volume, addition = body['volume'], body['addition']
    grown = _resized(volume, _sum(volume['scalar']['value'], addition['scalar']['value']))
    return [Conversion(Resources([volume, addition]), Resources([grown]), None)]


def _shrink(body):
    volume, value = body['volume'], body['subtract']['value']
    shrunk = _resized(volume, _sum(volume['scalar']['value'], -value))
    return [Conversion(Resources([volume]), Resources([shrunk, stripped(_resized(volume, value))]), None)]


def _sum(one, other):
    return round(one * 1000 + other * 1000) / 1000


_CONVERSIONS = {'RESERVE': _reserve, 'UNRESERVE': _unreserve, 'CREATE': _create, 'DESTROY': _destroy,
                'GROW_VOLUME': _grow, 'SHRINK_VOLUME': _shrink}

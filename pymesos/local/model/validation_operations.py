"""Whether an operation other than a launch may be done (PROTOCOL 2.6, 5.1)."""
from __future__ import absolute_import, division, print_function

from ...resources import Resources
from . import texts
from . import validation_common as common
from .amounts import conversions, refined, stripped, unallocate
from .validation_common import first
from .validation_launch import duplicate_volume, single_role

__all__ = ['operation', 'operation_resources', 'operator_operation']

_AN = ('UNRESERVE',)

#: Operations whose missing body Mesos describes without a full stop, and without 'offer'.
_NO_STOP = {'GROW_VOLUME': 'A GROW_VOLUME operation', 'SHRINK_VOLUME': 'A SHRINK_VOLUME offer operation'}


def operation_resources(operation):
    """The form of all resources in an Offer.Operation; for launches too. To be asked before anything else of it.

    For a launch the text goes into TASK_ERROR of all its tasks; for others it follows 'Operation attempted with
    invalid resources: ' (but of UNKNOWN ones, and of those without a type, Mesos tells nobody).
    """
    kind = operation.get('type', 'UNKNOWN')
    if kind == 'UNKNOWN':
        return 'Unknown offer operation'
    body = operation.get(kind.lower())
    if body is None:
        label = _NO_STOP.get(kind, '%s %s offer operation' % ('An' if kind in _AN else 'A', kind))
        stop = '' if kind in _NO_STOP else '.'
        return '%s must have the Offer.Operation.%s field set%s' % (label, kind.lower(), stop)
    return _FORMS[kind](body)


def _launch_form(body):
    for task in body.get('task_infos', ()):
        error = _task_form(task)
        if error is not None:
            return error
    return None


def _group_form(body):
    return common.resource_forms(body['executor'].get('resources', ())) or _launch_form(
        {'task_infos': body['task_group'].get('tasks', ())})


def _task_form(task):
    return common.resource_forms(task.get('resources', ())) or (
        common.resource_forms(task['executor'].get('resources', ())) if 'executor' in task else None)


def _reserve_form(body):
    if body.get('source'):
        return 'Reservation updates are not yet implemented for the scheduler API.'
    return common.resource_forms(body.get('resources', ()))


_FORMS = {
    'LAUNCH': _launch_form, 'LAUNCH_GROUP': _group_form, 'RESERVE': _reserve_form,
    'UNRESERVE': lambda body: common.resource_forms(body.get('resources', ())),
    'CREATE': lambda body: common.resource_forms(body.get('volumes', ())),
    'DESTROY': lambda body: common.resource_forms(body.get('volumes', ())),
    'GROW_VOLUME': lambda body: common.resource_form(body['volume']) or common.resource_form(body['addition']),
    'SHRINK_VOLUME': lambda body: common.resource_form(body['volume']),
    'CREATE_DISK': lambda body: common.resource_form(body['source']),
    'DESTROY_DISK': lambda body: common.resource_form(body['source']),
}


def operation(operation, framework, agent, offered):
    """An Offer.Operation of a framework, as :func:`~.amounts.adopted` gives it; the message of OPERATION_ERROR.

    `offered` are the Resources that are left of the offers (allocated).
    """
    error = _rules(operation, agent, framework.info.get('principal'), framework)
    if error is not None:
        return '%s; on agent %s at %s (%s)' % (error, agent.id, agent.pid, agent.hostname)
    kind = operation['type']
    if kind in ('CREATE_DISK', 'DESTROY_DISK'):
        return 'Invalid %s Operation: %s' % (kind, _lacking(offered, Resources([operation[kind.lower()]['source']])))
    error = _applied(offered, operation)
    if error is not None and kind in ('GROW_VOLUME', 'SHRINK_VOLUME'):
        return 'Invalid %s operation: %s' % (kind, error)
    return error


def operator_operation(operation, agent, principal=None):
    """An operator's operation on free resources, adopted for no role; what is wrong, without a prefix.

    Whether the agent has what it takes is not looked at.
    """
    return _rules(operation, agent, principal, None)


def _rules(operation, agent, principal, framework):
    kind = operation['type']
    return _RULES[kind](operation[kind.lower()], agent, principal, framework)


def _applied(offered, operation):
    for step in conversions(operation):
        if not offered.contains(step.consumed):
            return _lacking(offered, step.consumed)
        offered = offered - step.consumed + step.produced
        if step.volume is not None and offered.contains([step.volume]):
            return ('Persistent volume %s cannot be removed due to additional shared copies'
                    % texts.resource(step.volume))
    return None


def _lacking(offered, wanted):
    return '%s does not contain %s' % (texts.resources(offered), texts.resources(wanted))


def _valid(items):
    """What all lists of resources must be."""
    error = common.resource_forms(items)
    if error is not None:
        return 'Invalid resources: Invalid resources: ' + error
    error = common.resources(items) or _single_provider(items)
    return None if error is None else 'Invalid resources: ' + error


def _single_provider(items):
    providers = []
    for item in items:
        provider = item.get('provider_id', {}).get('value')
        if provider not in providers:
            providers.append(provider)
    if len(providers) == 1:
        return None
    if None in providers:
        return 'Some resources have a resource provider and some do not'
    return 'The resources have multiple resource providers: ' + ', '.join(providers)


# RESERVE, UNRESERVE.

def _reserve(body, _agent, principal, framework):
    items = body.get('resources', ())
    error = _reserve_source(items, body['source']) if body.get('source') else None
    error = error or _valid(items)
    if error is not None:
        return error
    for item in items:
        if not common.is_dynamic(item):
            return 'Resource %s is not dynamically reserved' % texts.resource(item)
        error = first(lambda: _reserve_principal(item, principal),
                      lambda: _reserve_role(item, framework))
        if error is not None:
            return error
    error = single_role(items) if framework is not None else None
    return None if error is None else 'Invalid reservation resources: ' + error


def _reserve_source(items, source):
    error = common.resource_forms(source) or common.resources(source)
    if error is not None:
        return 'Invalid source: ' + error
    for label, some in (('source', source), ('resources', items)):
        if not some:
            return 'Invalid %s: Resource cannot be empty' % label
        if any(item.get('reservations') != some[0].get('reservations') for item in some):
            return 'Invalid %s: Mixed reservations are not supported%s' % (label, texts.resource_list(some))
    one, other = (unallocate(Resources(some)).flatten() for some in (source, items))
    if one != other:
        return ('Source and target resources should refer to identical resource quantities: %s vs. %s'
                % (texts.resources(one), texts.resources(other)))
    return None


def _reserve_principal(item, principal):
    if principal is None:
        return None
    reserver = item['reservations'][-1].get('principal')
    if reserver is None:
        return ("A reserve operation was attempted by principal '%s', but there is a reserved resource in the request "
                "with no principal set" % principal)
    if reserver != principal:
        return ("A reserve operation was attempted by authenticated principal '%s', which does not match a reserved "
                "resource in the request with principal '%s'" % (principal, reserver))
    return None


def _reserve_role(item, framework):
    allocated = item.get('allocation_info', {}).get('role')
    if framework is None:
        if 'allocation_info' in item:
            return ('A reserve operation was attempted with an allocated resource, but the operator API only allows '
                    'reservations to be made to unallocated resources')
        return None
    if allocated is None:
        return ('A reserve operation was attempted on unallocated resource %s, but frameworks can only perform '
                'reservations on allocated resources' % texts.resource(item))
    role = item['reservations'][-1]['role']
    if allocated != role:
        return ("A reserve operation was attempted for a resource with role '%s', but the resource was allocated to "
                "role '%s'" % (role, allocated))
    if allocated not in framework.roles:
        return ("A reserve operation was attempted for a resource allocated to role '%s', but the framework only has "
                "roles '%s'" % (allocated, texts.names(framework.roles)))
    return None


def _unreserve(body, _agent, _principal, _framework):
    items = body.get('resources', ())
    error = _valid(items)
    if error is not None:
        return error
    for item in items:
        if not common.is_dynamic(item):
            return 'Resource %s is not dynamically reserved' % texts.resource(item)
        if 'persistence' in item.get('disk', ()):
            return ('A dynamically reserved persistent volume %s cannot be unreserved directly. Please destroy the '
                    'persistent volume first then unreserve the resource' % texts.resource(item))
    return None


# CREATE, DESTROY.

def _create(body, agent, principal, framework):
    volumes = body.get('volumes', ())
    error = _valid(volumes)
    if error is not None:
        return error
    error = _persistent(volumes)
    if error is not None:
        return 'Not a persistent volume: ' + error
    error = duplicate_volume(agent.total.to_list() + list(volumes))
    if error is not None:
        return error
    for volume in volumes:
        error = _may_share(volume, framework) or _create_principal(volume, principal)
        if error is not None:
            return error
    error = single_role(volumes) if framework is not None else None
    return None if error is None else 'Invalid volume resources: ' + error


def _persistent(volumes):
    for volume in volumes:
        disk = volume.get('disk')
        if disk is None:
            return 'Resource %s does not have DiskInfo' % texts.resource(volume)
        if 'persistence' not in disk:
            return "'persistence' is not set in DiskInfo"
        if 'volume' not in disk:
            return "Expecting 'volume' to be set for persistent volume"
        if disk['volume']['mode'] == 'RO':
            return 'Read-only persistent volume not supported'
    return None


def _may_share(volume, framework):
    if framework is not None and 'shared' in volume and not framework.has('SHARED_RESOURCES'):
        return ("Create volume operation for '%s' has been attempted by framework '%s' with no SHARED_RESOURCES "
                "capability" % (texts.resource(volume), framework.id))
    return None


def _create_principal(volume, principal):
    if principal is None:
        return None
    creator = volume['disk']['persistence'].get('principal')
    if creator is None:
        return ("Create volume operation attempted by principal '%s', but there is a volume in the operation with no "
                "principal set in 'disk.persistence'" % principal)
    if creator != principal:
        return ("Create volume operation attempted by authenticated principal '%s', which does not match a volume in "
                "the operation with principal '%s' set in 'disk.persistence'" % (principal, creator))
    return None


def _destroy(body, agent, _principal, _framework):
    volumes = [dict((name, volume[name]) for name in volume if name != 'allocation_info')
               for volume in body.get('volumes', ())]
    error = _valid(volumes)
    if error is not None:
        return error
    error = _persistent(volumes)
    if error is not None:
        return 'Not a persistent volume: ' + error
    for volume in volumes:
        if 'provider_id' not in volume and not agent.total.contains([volume]):
            return 'Persistent volumes not found'
    for used in agent.used().values():
        used = unallocate(used)
        if any(used.contains([volume]) for volume in volumes):
            return 'Persistent volumes in use'
    return None


# GROW_VOLUME, SHRINK_VOLUME.

def _grow(body, _agent, _principal, _framework):
    volume, addition = body['volume'], body['addition']
    for name in ('volume', 'addition'):
        error = common.resource_form(body[name])
        if error is not None:
            return "Invalid resource in the 'GrowVolume.%s' field: %s" % (name, error)
    if _size(addition) <= 0:
        return "The size of 'GrowVolume.addition' field must be greater than zero"
    if 'provider_id' in volume:
        return 'Growing a volume from a resource provider is not supported'
    error = _persistent([volume])
    if error is not None:
        return "Invalid persistent volume in the 'GrowVolume.volume' field: " + error
    if 'shared' in volume:
        return 'Growing a shared persistent volume is not supported'
    if len(Resources([stripped(volume), refined(addition)]).to_list()) != 1:
        return "Incompatible resources in the 'GrowVolume.volume' and 'GrowVolume.addition' fields"
    return None


def _shrink(body, _agent, _principal, _framework):
    volume, subtract = body['volume'], float(body['subtract']['value'])
    error = common.resource_form(volume)
    if error is not None:
        return "Invalid resource in the 'ShrinkVolume.volume' field: " + error
    if subtract < 0.0005:
        return "Value of 'ShrinkVolume.subtract' must be greater than zero"
    if _size(volume) <= subtract:
        return "Value of 'ShrinkVolume.subtract' must be smaller than the size of 'ShrinkVolume.volume'"
    if 'provider_id' in volume:
        return 'Shrinking a volume from a resource provider is not supported'
    if volume.get('disk', {}).get('source', {}).get('type') == 'MOUNT':
        return 'Shrinking a volume on a MOUNT disk is not supported'
    error = _persistent([volume])
    if error is not None:
        return "Invalid persistent volume in the 'ShrinkVolume.volume' field: " + error
    if 'shared' in volume:
        return 'Shrinking a shared persistent volume is not supported'
    return None


def _size(item):
    return item.get('scalar', {}).get('value', 0)


# CREATE_DISK, DESTROY_DISK: these need a resource provider.

def _managed(source):
    error = common.resources([source])
    if error is not None:
        return 'Invalid resource: ' + error
    return None if 'provider_id' in source else "'source' is not managed by a resource provider"


def _create_disk(body, _agent, _principal, _framework):
    source = body['source']
    error = _managed(source)
    if error is not None:
        return error
    disk = source.get('disk', {}).get('source', {})
    if disk.get('type') != 'RAW':
        return "'source' is not a RAW disk resource"
    if body['target_type'] not in ('MOUNT', 'BLOCK'):
        return "'target_type' is neither MOUNT or BLOCK"
    if ('profile' in disk) == ('target_profile' in body):
        if 'profile' in disk:
            return "'target_profile' must not be set when 'source' has a profile"
        return "'target_profile' must be set when 'source' has no profile"
    return None


def _destroy_disk(body, _agent, _principal, _framework):
    source = body['source']
    error = _managed(source)
    if error is not None:
        return error
    disk = source.get('disk', {}).get('source', {})
    if disk.get('type') not in ('MOUNT', 'BLOCK', 'RAW'):
        return "'source' is neither a MOUNT, BLOCK or RAW disk resource"
    if 'id' not in disk:
        return "'source' is not backed by a CSI volume"
    if 'persistence' in source['disk']:
        return ('A disk resource containing a persistent volume %s cannot be destroyed directly. Please destroy the '
                'persistent volume first then destroy the disk resource' % texts.resource(source))
    return None


_RULES = {'RESERVE': _reserve, 'UNRESERVE': _unreserve, 'CREATE': _create, 'DESTROY': _destroy, 'GROW_VOLUME': _grow,
          'SHRINK_VOLUME': _shrink, 'CREATE_DISK': _create_disk, 'DESTROY_DISK': _destroy_disk}

"""One function per operator call of masters and agents: arguments in, the body (a plain dict) out.

Nothing is filled in that the caller left out, and nothing is copied. Ids are text, or the message that Mesos sends
(``{'value': ...}``, a nested container's with its ``parent``). :class:`~pymesos.errors.UsageError` is raised where a
body would be refused for certain.
Sources: PROTOCOL 4.1 (master), 4.3 (agent), 4.4 (container input).
"""
from __future__ import absolute_import, division, print_function

from ..errors import UsageError, excerpt

#: Calls that carry nothing but their type.
BARE = frozenset([
    'GET_AGENTS', 'GET_EXECUTORS', 'GET_FLAGS', 'GET_FRAMEWORKS', 'GET_HEALTH', 'GET_LOGGING_LEVEL',
    'GET_MAINTENANCE_SCHEDULE', 'GET_MAINTENANCE_STATUS', 'GET_MASTER', 'GET_QUOTA', 'GET_ROLES', 'GET_STATE',
    'GET_TASKS', 'GET_VERSION', 'GET_WEIGHTS', 'SUBSCRIBE'])

#: Calls that may be sent again when a kept connection broke before their answer: doing them twice is doing them once.
REPEATABLE = BARE - frozenset(['SUBSCRIBE']) | frozenset([
    'GET_CONTAINERS', 'GET_METRICS', 'LIST_FILES', 'MARK_AGENT_GONE', 'PRUNE_IMAGES',
    'READ_FILE', 'REMOVE_RESOURCE_PROVIDER_CONFIG', 'SET_LOGGING_LEVEL', 'UPDATE_MAINTENANCE_SCHEDULE',
    'UPDATE_WEIGHTS', 'WAIT_NESTED_CONTAINER'])

# The master answers these once its registry has them, for which --registry_store_timeout allows 20 s.
_REGISTRY_CALLS = frozenset([
    'MARK_AGENT_GONE', 'REMOVE_QUOTA', 'SET_QUOTA', 'START_MAINTENANCE', 'STOP_MAINTENANCE',
    'UPDATE_MAINTENANCE_SCHEDULE', 'UPDATE_WEIGHTS'])
_REGISTRY_SECONDS = 20.0

# The agent answers these when images and files are fetched, or removed.
_LONG_CALLS = frozenset(['LAUNCH_NESTED_CONTAINER', 'LAUNCH_NESTED_CONTAINER_SESSION', 'PRUNE_IMAGES'])
_LONG_SECONDS = 600.0


def patience(body, seconds):
    """How long the answer to `body` may take, where one that is at hand may take `seconds`; None for any time."""
    kind = kind_of(body)
    if kind == 'WAIT_NESTED_CONTAINER':
        return None
    if kind in _LONG_CALLS:
        return seconds + _LONG_SECONDS
    if kind in _REGISTRY_CALLS:
        return seconds + _REGISTRY_SECONDS
    if kind == 'GET_METRICS':
        limit = (body.get('get_metrics') or {}).get('timeout') or {}
        return seconds + int(limit.get('nanoseconds') or 0) / 1e9
    return seconds


def kind_of(body):
    """The type of the call `body`, ``''`` if it is none."""
    return body.get('type') or '' if isinstance(body, dict) else ''


def bare(kind):
    """The call `kind`, one of :data:`BARE`."""
    if kind not in BARE:
        raise UsageError('cannot build the call %r from its type alone: expected one of %s'
                         % (kind, ', '.join(sorted(BARE))))
    return {'type': kind}


# Masters and agents.

def get_metrics(timeout=None):
    """GET_METRICS; the daemon answers after `timeout` nanoseconds with what it has then."""
    return _call('GET_METRICS', {} if timeout is None else {'timeout': {'nanoseconds': timeout}})


def set_logging_level(level, duration):
    """SET_LOGGING_LEVEL to `level` (int, 0 is the least) for `duration` nanoseconds."""
    return _call('SET_LOGGING_LEVEL', {'level': level, 'duration': {'nanoseconds': duration}})


def list_files(path):
    """LIST_FILES of a virtual path, such as ``/frameworks/ID/executors/ID/runs/latest``."""
    return _call('LIST_FILES', {'path': path})


def read_file(path, length=None, offset=0):
    """READ_FILE from byte `offset` on, `length` bytes or as many as there are."""
    fields = {'path': path, 'offset': offset}
    if length is not None:
        fields['length'] = length
    return _call('READ_FILE', fields)


# Masters.

def update_weights(weight_infos):
    """UPDATE_WEIGHTS; each of `weight_infos` has ``role`` and ``weight``, what else it has is left out."""
    return _call('UPDATE_WEIGHTS', {
        'weight_infos': [{'role': info['role'], 'weight': info['weight']} for info in weight_infos]})


def reserve_resources(agent_id, resources):
    """RESERVE_RESOURCES on an agent."""
    return _call('RESERVE_RESOURCES', {'agent_id': _id(agent_id), 'resources': resources})


def unreserve_resources(agent_id, resources):
    """UNRESERVE_RESOURCES on an agent."""
    return _call('UNRESERVE_RESOURCES', {'agent_id': _id(agent_id), 'resources': resources})


def create_volumes(agent_id, volumes):
    """CREATE_VOLUMES on an agent."""
    return _call('CREATE_VOLUMES', {'agent_id': _id(agent_id), 'volumes': volumes})


def destroy_volumes(agent_id, volumes):
    """DESTROY_VOLUMES on an agent."""
    return _call('DESTROY_VOLUMES', {'agent_id': _id(agent_id), 'volumes': volumes})


def update_maintenance_schedule(windows):
    """UPDATE_MAINTENANCE_SCHEDULE: `windows` replace all that were scheduled."""
    return _call('UPDATE_MAINTENANCE_SCHEDULE', {'schedule': {'windows': windows}})


def start_maintenance(machines):
    """START_MAINTENANCE: take down `machines`, each with ``hostname`` or ``ip`` or both."""
    return _call('START_MAINTENANCE', {'machines': [_machine(machine) for machine in machines]})


def stop_maintenance(machines):
    """STOP_MAINTENANCE: bring `machines` up again."""
    return _call('STOP_MAINTENANCE', {'machines': [_machine(machine) for machine in machines]})


def set_quota(quota_request):
    """SET_QUOTA."""
    return _call('SET_QUOTA', {'quota_request': quota_request})


def remove_quota(role):
    """REMOVE_QUOTA of a role."""
    return _call('REMOVE_QUOTA', {'role': role})


def mark_agent_gone(agent_id):
    """MARK_AGENT_GONE: its tasks are gone for good and it may not come back."""
    return _call('MARK_AGENT_GONE', {'agent_id': _id(agent_id)})


# Agents.

def get_containers(show_nested=False, show_standalone=False):
    """GET_CONTAINERS."""
    return _call('GET_CONTAINERS', {'show_nested': show_nested, 'show_standalone': show_standalone})


def launch_nested_container(launch):
    """LAUNCH_NESTED_CONTAINER; `launch` is the message LaunchNestedContainer."""
    return _call('LAUNCH_NESTED_CONTAINER', launch)


def wait_nested_container(container_id, parent_id=None):
    """WAIT_NESTED_CONTAINER, which is answered when it has ended."""
    return _call('WAIT_NESTED_CONTAINER', {'container_id': _container_id(container_id, parent_id)})


def kill_nested_container(container_id, parent_id=None):
    """KILL_NESTED_CONTAINER, with SIGKILL."""
    return _call('KILL_NESTED_CONTAINER', {'container_id': _container_id(container_id, parent_id)})


def remove_nested_container(container_id, parent_id=None):
    """REMOVE_NESTED_CONTAINER and its sandbox."""
    return _call('REMOVE_NESTED_CONTAINER', {'container_id': _container_id(container_id, parent_id)})


def launch_nested_container_session(launch):
    """LAUNCH_NESTED_CONTAINER_SESSION; `launch` is the message LaunchNestedContainerSession."""
    return _call('LAUNCH_NESTED_CONTAINER_SESSION', launch)


def attach_container_output(container_id):
    """ATTACH_CONTAINER_OUTPUT."""
    return _call('ATTACH_CONTAINER_OUTPUT', {'container_id': _id(container_id)})


def attach_container_input(container_id, process_ios):
    """The messages of ATTACH_CONTAINER_INPUT, one after the other: the container, then each of `process_ios`.

    UsageError when it comes to one that is neither DATA nor CONTROL.
    """
    yield _call('ATTACH_CONTAINER_INPUT', {'type': 'CONTAINER_ID', 'container_id': _id(container_id)})
    for message in process_ios:
        kind = message.get('type') if isinstance(message, dict) else None
        if kind not in ('DATA', 'CONTROL'):
            raise UsageError('cannot send %s to a container: expected a ProcessIO of type DATA or CONTROL'
                             % excerpt(repr(message)))
        yield _call('ATTACH_CONTAINER_INPUT', {'type': 'PROCESS_IO', 'process_io': message})


def add_resource_provider_config(info):
    """ADD_RESOURCE_PROVIDER_CONFIG."""
    return _call('ADD_RESOURCE_PROVIDER_CONFIG', {'info': info})


def update_resource_provider_config(info):
    """UPDATE_RESOURCE_PROVIDER_CONFIG."""
    return _call('UPDATE_RESOURCE_PROVIDER_CONFIG', {'info': info})


def remove_resource_provider_config(kind, name):
    """REMOVE_RESOURCE_PROVIDER_CONFIG of the resource provider of that type and name."""
    return _call('REMOVE_RESOURCE_PROVIDER_CONFIG', {'type': kind, 'name': name})


def prune_images(excluded_images=None):
    """PRUNE_IMAGES, but for `excluded_images` (a list of Image)."""
    if excluded_images is None:
        return {'type': 'PRUNE_IMAGES'}
    return _call('PRUNE_IMAGES', {'excluded_images': excluded_images})


def _call(kind, fields):
    return {'type': kind, kind.lower(): fields}


def _id(value):
    return value if isinstance(value, dict) else {'value': value}


def _container_id(container_id, parent_id):
    if parent_id is None:
        return _id(container_id)
    return dict(_id(container_id), parent=_id(parent_id))


def _machine(machine):
    names = dict((key, machine[key]) for key in ('hostname', 'ip') if machine.get(key))
    if not names:
        raise UsageError('cannot tell which machine %s is: expected a hostname, an ip, or both'
                         % excerpt(repr(machine)))
    return names

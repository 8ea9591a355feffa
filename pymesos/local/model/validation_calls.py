"""Whether a call may be looked at: the union field is there, ids and uuids are such (PROTOCOL 1.5, 2.1, 3.1, 4.3)."""
from __future__ import absolute_import, division, print_function

from . import validation_common as common

__all__ = ['agent_call', 'container_id', 'executor_call', 'master_call', 'scheduler_call']

_NO_TYPE = "Expecting 'type' to be present"
_NOT_A_UUID = 'Not a valid UUID'


def _missing(name):
    return "Expecting '%s' to be present" % name


# The scheduler API.

#: Calls that need no field of their name.
_BARE_SCHEDULER = frozenset(['REVIVE', 'SUPPRESS', 'TEARDOWN', 'UNKNOWN'])


def scheduler_call(call, principal=None):
    """A scheduler's call; `principal` is that of the authenticated connection, None if there is none.

    The text follows 'Failed to validate scheduler::Call: ' in the answer.
    """
    kind = call.get('type')
    if kind is None:
        return _NO_TYPE
    if kind == 'SUBSCRIBE':
        return _subscribe(call, principal)
    if 'framework_id' not in call:
        return _missing('framework_id')
    if kind in _BARE_SCHEDULER:
        return None
    body = call.get(kind.lower())
    if body is None:
        return _missing(kind.lower())
    return _SCHEDULER[kind](call, body) if kind in _SCHEDULER else None


def _subscribe(call, principal):
    if 'subscribe' not in call:
        return _missing('subscribe')
    info = call['subscribe']['framework_info']
    if info.get('id', {}).get('value', '') != call.get('framework_id', {}).get('value', ''):
        return "'framework_id' differs from 'subscribe.framework_info.id'"
    if principal is not None and info.get('principal', principal) != principal:
        return ("Authenticated principal '%s' does not match principal '%s' set in `FrameworkInfo`"
                % (principal, info['principal']))
    return None


def _acknowledge(_call, body):
    return None if common.is_uuid(body['uuid']) else _NOT_A_UUID


def _acknowledge_operation(_call, body):
    if not common.is_uuid(body['uuid']):
        return _NOT_A_UUID
    return None if 'agent_id' in body else _missing('agent_id')


def _update_framework(call, body):
    if body['framework_info'].get('id', {}).get('value', '') != call['framework_id']['value']:
        return "'framework_id' differs from 'update_framework.framework_info.id'"
    return None


_SCHEDULER = {'ACKNOWLEDGE': _acknowledge, 'ACKNOWLEDGE_OPERATION_STATUS': _acknowledge_operation,
              'UPDATE_FRAMEWORK': _update_framework}


# The executor API.

def executor_call(call):
    """An executor's call; the text follows 'Failed to validate Executor::Call: ' (with a capital, as Mesos has it)."""
    kind = call.get('type')
    if kind is None:
        return _NO_TYPE
    if kind in ('HEARTBEAT', 'UNKNOWN'):
        return None
    if kind.lower() not in call:
        return _missing(kind.lower())
    return _update(call, call['update']['status']) if kind == 'UPDATE' else None


def _update(call, status):
    executor_id, framework_id = call['executor_id']['value'], call['framework_id']['value']
    if 'uuid' not in status:
        return _missing('uuid')
    if not common.is_uuid(status['uuid']):
        return _NOT_A_UUID
    if status.get('executor_id', call['executor_id'])['value'] != executor_id:
        return ('ExecutorID in Call: %s does not match ExecutorID in TaskStatus: %s'
                % (executor_id, status['executor_id']['value']))
    if status.get('source') != 'SOURCE_EXECUTOR':
        return ("Received Call from executor %s of framework %s with invalid source, expecting 'SOURCE_EXECUTOR'"
                % (executor_id, framework_id))
    if status['state'] == 'TASK_STAGING':
        return ('Received TASK_STAGING from executor %s of framework %s which is not allowed'
                % (executor_id, framework_id))
    return common.check_status(status['check_status']) if 'check_status' in status else None


# The master's operator API.

_BARE_MASTER = frozenset(['UNKNOWN', 'GET_HEALTH', 'GET_FLAGS', 'GET_VERSION', 'GET_LOGGING_LEVEL', 'GET_STATE',
                          'GET_AGENTS', 'GET_FRAMEWORKS', 'GET_EXECUTORS', 'GET_OPERATIONS', 'GET_TASKS', 'GET_ROLES',
                          'GET_WEIGHTS', 'GET_MASTER', 'SUBSCRIBE', 'GET_MAINTENANCE_STATUS',
                          'GET_MAINTENANCE_SCHEDULE', 'GET_QUOTA'])


def master_call(call, principal=None):
    """An operator's call to a master; the text follows 'Failed to validate master::Call: '."""
    kind = call.get('type')
    if kind is None:
        return _NO_TYPE
    if kind in _BARE_MASTER:
        return None
    body = call.get(kind.lower())
    if body is None:
        return _missing(kind.lower())
    if kind in ('RESERVE_RESOURCES', 'UNRESERVE_RESOURCES'):
        return common.resource_forms(body.get('resources', ()))
    if kind in ('GROW_VOLUME', 'SHRINK_VOLUME') and 'agent_id' not in body:
        return _missing('agent_id') + '; only agent default resources are supported right now'
    return None


# The agent's operator API.

MAX_CONTAINER_ID = 242

_BARE_AGENT = frozenset(['UNKNOWN', 'GET_HEALTH', 'GET_FLAGS', 'GET_VERSION', 'GET_LOGGING_LEVEL', 'GET_STATE',
                         'GET_CONTAINERS', 'GET_FRAMEWORKS', 'GET_EXECUTORS', 'GET_OPERATIONS', 'GET_TASKS',
                         'GET_AGENT', 'GET_RESOURCE_PROVIDERS', 'PRUNE_IMAGES'])

_OF_A_CONTAINER = frozenset(['ATTACH_CONTAINER_OUTPUT', 'WAIT_CONTAINER', 'KILL_CONTAINER', 'REMOVE_CONTAINER',
                             'WAIT_NESTED_CONTAINER', 'KILL_NESTED_CONTAINER', 'REMOVE_NESTED_CONTAINER',
                             'LAUNCH_CONTAINER', 'LAUNCH_NESTED_CONTAINER', 'LAUNCH_NESTED_CONTAINER_SESSION'])


def agent_call(call):
    """An operator's call to an agent; the text follows 'Failed to validate agent::Call: '."""
    kind = call.get('type')
    if kind is None:
        return _NO_TYPE
    if kind in _BARE_AGENT:
        return None
    name = kind.lower()
    body = call.get(name)
    if body is None:
        return _missing(name)
    if kind in _OF_A_CONTAINER:
        error = _of_a_container(kind, name, body)
        if error is not None:
            return error
    return _AGENT[kind](name, body) if kind in _AGENT else None


def container_id(value):
    """A ContainerID."""
    text = value['value']
    error = common.id_(text)
    if error is not None:
        return error
    if len(text) > MAX_CONTAINER_ID:
        return "'ContainerID.value' '%s' exceeds the maximum length (%d)" % (text, MAX_CONTAINER_ID)
    if '.' in text or ' ' in text:
        return "'ContainerID.value' '%s' contains invalid characters" % text
    error = container_id(value['parent']) if 'parent' in value else None
    return None if error is None else "'ContainerID.parent' is invalid: " + error


def _of_a_container(kind, name, body):
    error = container_id(body['container_id'])
    if error is not None:
        return "'%s.container_id' is invalid: %s" % (name, error)
    if 'NESTED' in kind and 'parent' not in body['container_id']:
        return _missing(name + '.container_id.parent')
    return None


def _command_and_container(name, body):
    for part, rule in (('command', common.command), ('container', common.container)):
        error = rule(body[part]) if part in body else None
        if error is not None:
            return "'%s.%s' is invalid: %s" % (name, part, error)
    return None


def _has_own_cgroups(body):
    return not body.get('container', {}).get('linux_info', {}).get('share_cgroups', True)


def _is_deep(body):
    return 'parent' in body['container_id'].get('parent', ())


_DEEP = "'%s' is invalid: containers nested at the second level or greater cannot "


def _launch_nested(name, body):
    error = _command_and_container(name, body)
    if error is None and _has_own_cgroups(body) and _is_deep(body):
        return _DEEP % name + "set 'share_cgroups' to 'false'"
    return error


def _launch_session(name, body):
    error = _command_and_container(name, body)
    if error is None and _has_own_cgroups(body):
        return ("'%s.container.linux_info' is invalid: 'share_cgroups' cannot be set to 'false' for nested container "
                "sessions" % name)
    return error


def _launch(name, body):
    error = _launch_resources(name, body) or _command_and_container(name, body)
    if error is not None:
        return error
    if 'parent' not in body['container_id'] and body.get('container', {}).get('linux_info', {}).get('share_cgroups'):
        return "'%s' is invalid: containers without a parent cannot set 'share_cgroups' to 'true'" % name
    if _is_deep(body):
        for is_wrong, what in (('resources' in body, 'specify resources'),
                               ('limits' in body, 'specify resource limits'),
                               (_has_own_cgroups(body), "set 'share_cgroups' to 'false'")):
            if is_wrong:
                return _DEEP % name + what
    return None


def _launch_resources(name, body):
    items = body.get('resources', ())
    error = common.resource_forms(items)
    if error is not None:
        return 'Invalid resources: ' + error
    error = common.gpus(items)
    if error is not None:
        return 'Invalid GPU resources: ' + error
    for item in items if 'parent' not in body['container_id'] else ():
        if item.get('reservations') or item.get('role', '*') != '*':
            return "'%s.resources' must be unreserved" % name
        if 'persistence' in item.get('disk', ()):
            return "'%s.resources' may not use persistent volumes" % name
        if 'revocable' in item:
            return "'%s.resources' must be non-revocable" % name
    return None


def _attach_input(name, body):
    kind = body.get('type')
    if kind is None:
        return _missing(name + '.type')
    if kind == 'UNKNOWN':
        return "'%s.type' is unknown" % name
    error = container_id(body.get('container_id', {'value': ''})) if kind == 'CONTAINER_ID' else None
    return None if error is None else "'%s.container_id' is invalid: %s" % (name, error)


def _provider(name, body):
    return "Expecting '%s.info.id' to be unset" % name if 'id' in body['info'] else None


_AGENT = {'LAUNCH_NESTED_CONTAINER': _launch_nested, 'LAUNCH_NESTED_CONTAINER_SESSION': _launch_session,
          'LAUNCH_CONTAINER': _launch, 'ATTACH_CONTAINER_INPUT': _attach_input,
          'ADD_RESOURCE_PROVIDER_CONFIG': _provider, 'UPDATE_RESOURCE_PROVIDER_CONFIG': _provider}

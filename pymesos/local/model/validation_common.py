"""The rules for what is found in many messages: ids, roles, resources, commands, containers, checks."""
from __future__ import absolute_import, division, print_function

import base64

from . import texts

__all__ = ['check', 'check_status', 'command', 'container', 'first', 'health_check', 'id_', 'is_uuid', 'resource_form',
           'resource_forms', 'resources', 'role', 'seconds']

MAX_ID_BYTES = 255


def first(*checks):
    """The first error of functions without arguments, or None."""
    for check_ in checks:
        error = check_()
        if error is not None:
            return error
    return None


# Names.

def id_(text):
    """The text of an id (PROTOCOL 8.4)."""
    if not text:
        return 'ID must not be empty'
    if len(text) * 4 > MAX_ID_BYTES and len(text.encode('utf-8')) > MAX_ID_BYTES:
        return 'ID must not be greater than %d characters' % MAX_ID_BYTES
    if text in ('.', '..'):
        return "'%s' is disallowed" % text
    if '/' in text or '\\' in text or any(character < ' ' or character == '\x7f' for character in text):
        return "'%s' contains invalid characters" % text
    return None


def role(name):
    """The name of a role (PROTOCOL 8.4)."""
    if name == '*':
        return None
    if name.startswith('/'):
        return "Role '%s' cannot start with a slash" % name
    if name.endswith('/'):
        return "Role '%s' cannot end with a slash" % name
    if '//' in name:
        return "Role '%s' cannot contain two adjacent slashes" % name
    if not name:
        return 'Role names cannot be the empty string'
    for part in name.split('/'):
        if part in ('.', '..', '*'):
            return "Role '%s' cannot include '%s' as a component" % (name, part)
        if part.startswith('-'):
            return "Role component '%s' is invalid because it starts with a dash" % part
        if any(character in part for character in '\t\n\v\f\r \x7f'):
            return "Role component '%s' is invalid because it contains backspace or whitespace" % part
    return None


def is_uuid(value):
    """Whether base64 text is that of a UUID: 16 bytes that name one of the versions 1 to 5."""
    data = bytearray(base64.b64decode(value))
    return len(data) == 16 and 1 <= data[6] >> 4 <= 5


# Resources.

def resource_forms(items):
    """A list of Resource dicts, in either format (PROTOCOL 5.1)."""
    for item in items:
        error = resource_form(item)
        if error is not None:
            return "Resource '%s' is invalid: %s" % (texts.resource(item), error)
    return None


def resource_form(item):
    """A Resource dict, in either format."""
    if not item['name']:
        return 'Empty resource name'
    kind = item['type']
    if kind == 'TEXT':
        return 'Unsupported resource type'
    for other in ('SCALAR', 'RANGES', 'SET'):
        if (other.lower() in item) != (other == kind):
            return 'Invalid %s resource' % kind.lower()
    error = _FORMS[kind](item)
    if error is not None:
        return error
    if 'disk' in item:
        error = _disk_form(item)
        if error is not None:
            return error
    error = _stack_form(item) if item.get('reservations') else _role_form(item)
    if error is None and 'shared' in item:
        if item['name'] != 'disk':
            return 'Resource %s cannot be shared' % item['name']
        if 'persistence' not in item.get('disk', ()):
            return 'Only persistent volumes can be shared'
    return error


def _scalar_form(item):
    # The text is a number that is too large or too small: Infinity.
    value = float(item['scalar']['value'])
    if value != 0 and (value < 0.0005 or value == float('inf')):
        return 'Invalid scalar resource: value <= 0'
    return None


def _ranges_form(item):
    pairs = [(pair['begin'], pair['end']) for pair in item['ranges'].get('range', ())]
    last = -1
    for begin, end in pairs:
        if begin > end:
            return 'Invalid ranges resource: begin > end'
    for begin, end in sorted(pairs):
        if begin <= last:
            return 'Invalid ranges resource: overlapping ranges'
        last = end
    return None


def _set_form(item):
    values = item['set'].get('item', ())
    return 'Invalid set resource: duplicated elements' if len(set(values)) < len(values) else None


_FORMS = {'SCALAR': _scalar_form, 'RANGES': _ranges_form, 'SET': _set_form}


def _disk_form(item):
    if item['name'] != 'disk':
        return 'DiskInfo should not be set for %s resource' % item['name']
    source = item['disk'].get('source')
    if source is None:
        return None
    kind = source['type']
    if kind == 'UNKNOWN':
        return "Unsupported 'DiskInfo.Source.Type' in 'UNKNOWN'"
    if kind in ('BLOCK', 'RAW'):
        for part in ('mount', 'path'):
            if part in source:
                return '%s should not be set for %s disk source' % (part.capitalize(), kind)
    return None


def _role_form(item):
    """The format before reservation refinement: `role` and `reservation`."""
    error = role(item.get('role', '*'))
    if error is not None or 'reservation' not in item:
        return error
    for part in ('type', 'role'):
        if part in item['reservation']:
            return ("'Resource.ReservationInfo.%s' must not be set for the 'Resource.reservation' field" % part)
    if item.get('role', '*') == '*':
        return 'Invalid reservation: role "*" cannot be dynamically reserved'
    return None


def _stack_form(item):
    """The refined format: `reservations`."""
    stack = item['reservations']
    for entry in stack:
        for part in ('type', 'role'):
            if part not in entry:
                return "Invalid reservation: 'Resource.ReservationInfo.%s' field must be set." % part
        error = role(entry['role'])
        if error is not None:
            return error
        if entry['role'] == '*':
            return 'Invalid reservation: role "*" cannot be reserved'
    for outer, inner in zip(stack, stack[1:]):
        if inner['type'] == 'STATIC':
            return 'Invalid refined reservation: A refined reservation cannot be STATIC'
        if not inner['role'].startswith(outer['role'] + '/'):
            return ("Invalid refined reservation: role '%s' is not a refinement of '%s'"
                    % (inner['role'], outer['role']))
    return _single_form(item, stack[0]) if len(stack) == 1 else _several_form(item)


def _single_form(item, entry):
    """The one reservation of the refined format may be there in the older one too, if both say the same."""
    if 'role' in item and item['role'] != entry['role']:
        return ("Invalid resource format: 'Resource.role' field with '%s' does not match the role '%s' in "
                "'Resource.reservations'" % (item['role'], entry['role']))
    if entry['type'] == 'UNKNOWN':
        return "Unsupported 'Resource.ReservationInfo.Type'"
    if entry['type'] == 'STATIC':
        return None if 'reservation' not in item else (
            "Invalid resource format: 'Resource.reservation' must not be set if the single reservation in "
            "'Resource.reservations' is STATIC")
    if ('role' in item) != ('reservation' in item):
        return ("Invalid resource format: 'Resource.role' and 'Resource.reservation' must either be both set or both "
                "not set if the single reservation in 'Resource.reservations' is DYNAMIC")
    older = item.get('reservation', entry)
    if older.get('principal', '') != entry.get('principal', ''):
        return ("Invalid resource format: 'Resource.reservation.principal' field with '%s' does not match the "
                "principal '%s' in 'Resource.reservations'" % (older.get('principal', ''), entry.get('principal', '')))
    if older.get('labels', {}) != entry.get('labels', {}):
        return ("Invalid resource format: 'Resource.reservation.labels' field with '%s' does not match the labels "
                "'%s' in 'Resource.reservations'" % (texts.labels(older.get('labels', {})),
                                                     texts.labels(entry.get('labels', {}))))
    return None


def _several_form(item):
    for part in ('role', 'reservation'):
        if part in item:
            return ("Invalid resource format: 'Resource.%s' must not be set if there is more than one reservation in "
                    "'Resource.reservations'" % part)
    return None


def resources(items):
    """Resource dicts in the refined format whose form is valid: gpus, disks, dynamic reservations."""
    if any(item['name'] == 'gpus' for item in items):
        error = gpus(items)
        if error is not None:
            return "Invalid 'gpus' resource: " + error
    for item in items:
        if 'disk' in item:
            error = _disk(item)
            if error is not None:
                return 'Invalid DiskInfo: ' + error
    for item in items:
        if 'revocable' in item and is_dynamic(item):
            return ('Invalid ReservationInfo: Dynamically reserved resource %s cannot be created from revocable '
                    'resources' % texts.resource(item))
    return None


def is_dynamic(item):
    """Whether a Resource dict in the refined format is reserved dynamically."""
    stack = item.get('reservations')
    return bool(stack) and stack[-1]['type'] == 'DYNAMIC'


def gpus(items):
    """The number of gpus is whole."""
    total = sum(item['scalar']['value'] for item in items if item['name'] == 'gpus' and 'scalar' in item)
    return "The 'gpus' resource must be an unsigned integer" if int(total * 1000) % 1000 else None


def _disk(item):
    disk = item['disk']
    if 'persistence' not in disk:
        if 'volume' in disk:
            return 'Non-persistent volume not supported'
        return None if 'source' in disk else 'DiskInfo is set but empty'
    if 'revocable' in item:
        return 'Persistent volumes cannot be created from revocable resources'
    if not item.get('reservations'):
        return 'Persistent volumes cannot be created from unreserved resources'
    if 'volume' not in disk:
        return "Expecting 'volume' to be set for persistent volume"
    if 'host_path' in disk['volume']:
        return "Expecting 'host_path' to be unset for persistent volume"
    error = id_(disk['persistence']['id'])
    return None if error is None else 'Invalid persistence ID for persistent volume: ' + error


# Commands and containers.

def command(info):
    """A CommandInfo: what is wrong with its environment."""
    for variable in info.get('environment', {}).get('variables', ()):
        error = _variable(variable)
        if error is not None:
            return error
    return None


def _variable(variable):
    label = "Environment variable '%s' " % variable['name']
    kind = variable['type']
    if kind == 'UNKNOWN':
        return "Environment variable of type 'UNKNOWN' is not allowed"
    has_value, has_secret = 'value' in variable, 'secret' in variable
    if kind == 'VALUE':
        if not has_value:
            return label + "of type 'VALUE' must have a value set"
        return label + "of type 'VALUE' must not have a secret set" if has_secret else None
    if not has_secret:
        return label + "of type 'SECRET' must have a secret set"
    if has_value:
        return label + "of type 'SECRET' must not have a value set"
    error = _secret(variable['secret'])
    if error is not None:
        return label + 'specifies an invalid secret: ' + error
    if b'\0' in base64.b64decode(variable['secret'].get('value', {}).get('data', '')):
        return label + 'specifies a secret containing null bytes, which is not allowed in the environment'
    return None


def _secret(secret):
    kind = secret.get('type', 'UNKNOWN')
    has_reference, has_value = 'reference' in secret, 'value' in secret
    if kind == 'REFERENCE':
        if not has_reference:
            return "Secret of type REFERENCE must have the 'reference' field set"
        if has_value:
            return ("Secret '%s' of type REFERENCE must not have the 'value' field set" % secret['reference']['name'])
    elif kind == 'VALUE':
        if not has_value:
            return "Secret of type VALUE must have the 'value' field set"
        if has_reference:
            return "Secret of type VALUE must not have the 'reference' field set"
    return None


def container(info):
    """A ContainerInfo."""
    for volume in info.get('volumes', ()):
        error = _volume(volume)
        if error is not None:
            return 'Invalid volume: ' + error
    if info['type'] == 'DOCKER':
        if 'docker' not in info:
            return "DockerInfo 'docker' is not set for DOCKER typed ContainerInfo"
        if any(parameter['key'] == 'name' for parameter in info['docker'].get('parameters', ())):
            return "Parameter in DockerInfo must not be 'name'"
    return None


#: Type of a volume's source: the field that must be there, and what the error calls it.
_SOURCES = {'DOCKER_VOLUME': ('docker_volume', 'DOCKER_VOLUME'), 'HOST_PATH': ('host_path', 'HOST_PATH'),
            'SANDBOX_PATH': ('sandbox_path', 'SANDBOX_PATH'), 'SECRET': ('secret', 'SECRET'),
            'CSI_VOLUME': ('csi_volume', 'CSI')}


def _volume(volume):
    if sum(part in volume for part in ('host_path', 'image', 'source')) != 1:
        return "Only one of them should be set: 'host_path', 'image' and 'source'"
    source = volume.get('source')
    if source is None:
        return None
    if source.get('type') not in _SOURCES:
        return "'source.type' is unknown"
    part, label = _SOURCES[source['type']]
    if part not in source:
        return "'source.%s' is not set for %s volume" % (part, label)
    if part == 'csi_volume' and 'static_provisioning' not in source[part]:
        return "'source.csi_volume.static_provisioning' is not set for CSI volume"
    return None


# Checks.

def seconds(message, names):
    """Durations in seconds that may not be negative."""
    for name in names:
        if float(message.get(name, 0)) < 0:
            return "Expecting '%s' to be non-negative" % name
    return None


def health_check(info):
    """A HealthCheck whose type was inferred where it can be (:func:`~.amounts.adopted`)."""
    if 'type' not in info:
        return "HealthCheck must specify 'type'"
    error = _HEALTH[info['type']](info)
    return error or seconds(info, ('delay_seconds', 'grace_period_seconds', 'interval_seconds', 'timeout_seconds'))


def _command_health(info):
    if 'command' not in info:
        return "Expecting 'command' to be set for COMMAND health check"
    return _checked_command(info['command'], 'Command health check', "Health check's")


def _http_health(info):
    http = info.get('http')
    if http is None:
        return "Expecting 'http' to be set for HTTP health check"
    if http.get('scheme', 'http') not in ('http', 'https'):
        return "Unsupported HTTP health check scheme: '%s'" % http['scheme']
    return _http_path(http, 'HTTP health check')


def _tcp_health(info):
    return None if 'tcp' in info else "Expecting 'tcp' to be set for TCP health check"


_HEALTH = {'COMMAND': _command_health, 'HTTP': _http_health, 'TCP': _tcp_health,
           'UNKNOWN': lambda info: "'UNKNOWN' is not a valid health check type"}


def _checked_command(info, label, owner):
    if 'value' not in info:
        return '%s must contain %s' % (label, "'shell command'" if info['shell'] else "'executable path'")
    error = command(info)
    return None if error is None else '%s `CommandInfo` is invalid: %s' % (owner, error)


def _http_path(http, label):
    if 'path' in http and not http['path'].startswith('/'):
        return "The path '%s' of %s must start with '/'" % (http['path'], label)
    return None


def check(info):
    """A CheckInfo."""
    error = _typed(info, 'CheckInfo', 'check')
    if error is not None:
        return error
    kind = info['type']
    if kind == 'COMMAND':
        error = _checked_command(info['command']['command'], 'Command check', "Check's")
    elif kind == 'HTTP':
        error = _http_path(info['http'], 'HTTP check')
    return error or seconds(info, ('delay_seconds', 'interval_seconds', 'timeout_seconds'))


def check_status(info):
    """A CheckStatusInfo."""
    return _typed(info, 'CheckStatusInfo', "check's status")


def _typed(info, message, label):
    """Whether a message has a type, and the field of it."""
    if 'type' not in info:
        return "%s must specify 'type'" % message
    kind = info['type']
    if kind == 'UNKNOWN':
        return "'UNKNOWN' is not a valid %s type" % label
    if kind.lower() not in info:
        return "Expecting '%s' to be set for %s %s" % (kind.lower(), kind, label)
    return None

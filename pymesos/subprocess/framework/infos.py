"""TaskInfo and ExecutorInfo, as the master wants them, for commands. Pure."""
from __future__ import absolute_import, division, print_function

import hashlib
import json
from binascii import hexlify

import six

from ...errors import UsageError
from ...resources import Resources
from ...utils import encode_data
from ...wire import messages
from ..request import command_text

__all__ = ['Kind', 'make_kind', 'make_resources', 'make_task', 'make_ticket']

#: Characters of a command line that a task is named after, where the user gave no name.
NAME_LENGTH = 100

#: The hexadecimal digits that name a kind of executors.
KIND_DIGITS = 12


class Kind(object):
    """What all executors of a kind have in common: `name` (text), `info` an ExecutorInfo without id and resources."""

    __slots__ = ('info', 'name')

    def __init__(self, info, role):
        text = json.dumps([info, role], sort_keys=True)
        self.info = info
        self.name = hashlib.sha256(text.encode('utf-8')).hexdigest()[:KIND_DIGITS]


def make_kind(command, bundle_uri, request, settings, role):
    """The :class:`Kind` of executors that a request needs.

    `command` is what the agent's shell runs, `bundle_uri` what it needs (text, or None). Roles do not share executors:
    all resources of a task and its executor have to be allocated to one. Raises :class:`UsageError`.
    """
    uris = [_uri(uri) for uri in _as_list(request.uris)]
    if bundle_uri is not None:
        uris.append({'value': bundle_uri, 'extract': False, 'executable': False, 'cache': False})
    info = {'type': 'CUSTOM', 'name': 'pymesos.subprocess', 'command': {'shell': True, 'value': command}}
    if uris:
        info['command']['uris'] = uris
    if settings.executor_environment:
        info['command']['environment'] = {'variables': [
            {'name': name, 'value': value} for name, value in sorted(settings.executor_environment.items())]}
    if request.image is not None:
        info['container'] = _container(request.image, settings.containerizer)
    return Kind(info, role)


def _as_list(value):
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _uri(uri):
    if isinstance(uri, six.string_types) and uri:
        return {'value': uri}
    if isinstance(uri, dict) and isinstance(uri.get('value'), six.string_types):
        return dict(uri)
    raise UsageError("cannot use the uri %r: expected text, or a dict with 'value'" % (uri,))


def _container(image, containerizer):
    if isinstance(image, six.string_types) and image:
        name, image = image, {'type': 'DOCKER', 'docker': {'name': image}}
    elif isinstance(image, dict):
        name = (image.get('docker') or {}).get('name')
    else:
        raise UsageError("cannot use the image %r: expected text, or a dict as Mesos' Image" % (image,))
    if containerizer == 'mesos':
        return {'type': 'MESOS', 'mesos': {'image': image}}
    if not name:
        raise UsageError('cannot use the image %r with the Docker containerizer: it names no Docker image' % (image,))
    return {'type': 'DOCKER', 'docker': {'image': name, 'network': 'HOST'}}


def make_resources(request, settings):
    """What a request wants, as flat :class:`Resources`; zeros are left out."""
    amounts = []
    for name in ('cpus', 'mem', 'gpus', 'disk'):
        value = getattr(request, name)
        value = getattr(settings, 'default_' + name) if value is None else value
        if value:
            amounts.append({'name': name, 'type': 'SCALAR', 'scalar': {'value': float(value)}})
    resources = Resources(amounts)
    if not resources.cpus:
        raise UsageError('a command wants at least 0.001 cpus')        # what Mesos rounds to
    return resources


def make_ticket(address, identity, key, preexec):
    """The data of a task: base64 of the JSON that tells its executor where the program is, and how to prove itself."""
    ticket = {'host': address[0], 'port': address[1], 'identity': hexlify(identity).decode('ascii'),
              'key': hexlify(key).decode('ascii')}
    if preexec is not None:
        ticket['preexec'] = encode_data(preexec)
    return encode_data(messages.dumps(ticket))


def make_task(launch, kind, request, spec, ticket):
    """The TaskInfo of an :class:`orders.Launch`."""
    executor = dict(kind.info, executor_id={'value': launch.executor.id},
                    resources=launch.executor.resources.to_list())
    task = {
        'name': request.name or command_text(spec)[:NAME_LENGTH] or 'command',
        'task_id': {'value': launch.task_id},
        'agent_id': {'value': launch.executor.agent_id},
        'resources': launch.resources.to_list(),
        'executor': executor,
        'data': ticket,
    }
    if request.labels:
        task['labels'] = {'labels': [{'key': '%s' % key, 'value': '%s' % value}
                                     for key, value in sorted(request.labels.items())]}
    return task

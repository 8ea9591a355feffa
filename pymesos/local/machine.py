"""What this machine has, as an agent offers it, and the short forms in which resources and attributes are written."""
from __future__ import absolute_import, division, print_function

import multiprocessing
import os
import re

import six

from ..errors import UsageError
from ..resources import Resources, parse

__all__ = ['agent_attributes', 'agent_resources']

MEGABYTE = 1024 * 1024

#: Ports that all agents of one machine share out among them, both ends included.
FIRST_PORT, LAST_PORT = 31000, 32000

#: What an agent offers of a machine that does not tell, in MB (PROTOCOL 9).
UNKNOWN_MEM, UNKNOWN_DISK = 1024, 10240

_NUMBER = re.compile(r'-?[0-9]+(\.[0-9]*)?\Z')
_RANGE = re.compile(r'\s*([0-9]+)\s*-\s*([0-9]+)\s*\Z')


def agent_resources(wanted, number, count, folder):
    """[Resource] that agent `number` of `count` offers.

    `wanted` is None, text such as ``'cpus:4;mem:1024'``, a list of Resource dicts, or :class:`Resources`. Of cpus, mem,
    disk and ports what is not named in it is this machine's: all agents show all of it, as agents on one machine do,
    but for the ports, which they share out. `folder` is on the disk that counts.
    """
    if wanted is None:
        wanted = Resources()
    elif isinstance(wanted, six.string_types):
        wanted = parse(wanted)
    elif not isinstance(wanted, Resources):
        wanted = Resources(wanted)
    listed = wanted.to_list()
    named = set(resource['name'] for resource in listed)
    own = {'cpus': _cpus, 'mem': _mem, 'disk': lambda: _disk(folder)}
    for name in ('cpus', 'mem', 'disk'):
        if name not in named:
            listed.append({'name': name, 'type': 'SCALAR', 'scalar': {'value': own[name]()}})
    if 'ports' not in named:
        each = (LAST_PORT - FIRST_PORT + 1) // count
        if each:
            first = FIRST_PORT + number * each
            last = LAST_PORT if number == count - 1 else first + each - 1
            listed.append({'name': 'ports', 'type': 'RANGES', 'ranges': {'range': [{'begin': first, 'end': last}]}})
    # A zero is how one says that an agent has none of it.
    return [resource for resource in listed if resource.get('scalar', {}).get('value') != 0]


def agent_attributes(wanted):
    """[Attribute] of text such as ``'rack:a;level:10;slots:[1-5]'``, or of None, or of such a list itself."""
    if wanted is None:
        return []
    if not isinstance(wanted, six.string_types):
        return [dict(attribute) for attribute in wanted]
    return [_attribute(part.strip()) for part in wanted.split(';') if part.strip()]


def _attribute(text):
    name, colon, value = text.partition(':')
    name, value = name.strip(), value.strip()
    if not colon or not name or not value:
        raise UsageError("cannot read the attribute %r: expected name:value, several with ';' between them" % text)
    if _NUMBER.match(value):
        return {'name': name, 'type': 'SCALAR', 'scalar': {'value': float(value)}}
    if value.startswith('[') and value.endswith(']'):
        pairs = [_RANGE.match(part) for part in value[1:-1].split(',')]
        if not all(pairs):
            raise UsageError('cannot read the ranges of the attribute %r: expected [1-5,7-9]' % text)
        return {'name': name, 'type': 'RANGES',
                'ranges': {'range': [{'begin': int(pair.group(1)), 'end': int(pair.group(2))} for pair in pairs]}}
    return {'name': name, 'type': 'TEXT', 'text': {'value': value}}


def _cpus():
    try:
        return float(len(os.sched_getaffinity(0)))      # novm: see below
    except AttributeError:              # 2.7, macOS
        return float(multiprocessing.cpu_count())


def _mem():
    """Mesos leaves 1 GB to the system, or half if there is not that much."""
    try:
        total = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') // MEGABYTE
    except (ValueError, OSError):
        return float(UNKNOWN_MEM)
    return float(total - 1024 if total > 2048 else total // 2)


def _disk(folder):
    """Mesos leaves 5 GB to the system, or half if there is not that much."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return float(UNKNOWN_DISK)
    total = found.f_frsize * found.f_blocks // MEGABYTE
    return float(total - 5120 if total > 10240 else total // 2)

"""How Mesos writes resources and messages into the texts of its errors. Pure."""
from __future__ import absolute_import, division, print_function

import base64
import json
import math

import six

from ..schema import SCALARS, load

__all__ = ['duration', 'items', 'labels', 'message', 'names', 'resource', 'resource_list', 'resources', 'scalar']

_INT64_MIN = -2 ** 63

#: Units of durations, in nanoseconds.
_UNITS = (('weeks', 604800 * 10 ** 9), ('days', 86400 * 10 ** 9), ('hrs', 3600 * 10 ** 9), ('mins', 60 * 10 ** 9),
          ('secs', 10 ** 9), ('ms', 10 ** 6), ('us', 10 ** 3))


def names(values):
    """A set of names: '{ a, b }'."""
    return '{ %s }' % ', '.join(values) if values else '{  }'


def duration(seconds):
    """Seconds as a duration: in the largest unit of which it is a whole number (PROTOCOL 3.3)."""
    nanoseconds = int(round(seconds * 10 ** 9))
    for name, size in _UNITS:
        if nanoseconds >= size and nanoseconds % size == 0:
            return '%d%s' % (nanoseconds // size, name)
    return '%dns' % nanoseconds


def scalar(value):
    """A scalar: three digits after the point are kept."""
    value = float(value)
    whole = _INT64_MIN if math.isinf(value) else int(math.floor(abs(value) * 1000 + 0.5))
    if value < 0 and whole != _INT64_MIN:
        whole = -whole
    return '%.15g' % (whole / 1000)


def labels(value):
    """Labels: '{key: value, key}'."""
    return '{%s}' % ', '.join('%s: %s' % (label['key'], label['value']) if 'value' in label else label['key']
                              for label in value.get('labels', ()))


def resource(item):
    """A Resource, whose reservations are in the refined format; what the older one says is not shown."""
    text = [item['name']]
    if 'allocation_info' in item:
        text.append('(allocated: %s)' % item['allocation_info'].get('role', ''))
    if item.get('reservations'):
        text.append('(reservations: [%s])' % ','.join('(%s)' % _reservation(entry) for entry in item['reservations']))
    if 'disk' in item:
        text.append('[%s]' % _disk(item['disk']))
    if 'revocable' in item:
        text.append('{REV}')
    if 'shared' in item:
        text.append('<SHARED>')
    return '%s:%s' % (''.join(text), _AMOUNTS[item['type']](item))


_AMOUNTS = {
    'SCALAR': lambda item: scalar(item.get('scalar', {}).get('value', 0)),
    'RANGES': lambda item: '[%s]' % ', '.join('%d-%d' % (pair['begin'], pair['end'])
                                              for pair in item.get('ranges', {}).get('range', ())),
    'SET': lambda item: '{%s}' % ', '.join(item.get('set', {}).get('item', ())),
    'TEXT': lambda item: '',
}


def items(values):
    """Some Resources, or a list of Resource dicts that are alike nowhere: '{}' if there are none."""
    counts, order = {}, []
    for item in values if isinstance(values, (list, tuple)) else values.to_list():
        text = resource(item)
        if text not in counts:
            order.append((text, 'shared' in item))
        counts[text] = counts.get(text, 0) + 1
    return '; '.join(text + ('<%d>' % counts[text] if is_shared else '') for text, is_shared in order) or '{}'


#: The same, for :class:`pymesos.resources.Resources`.
resources = items


def resource_list(values):
    """Resource dicts as JSON, which is how Mesos shows them where they may not be valid."""
    return json.dumps(list(values), sort_keys=True, separators=(',', ':'))


def _reservation(entry):
    text = [entry.get('type', 'UNKNOWN'), entry.get('role', '')]
    if 'principal' in entry:
        text.append(entry['principal'])
    if 'labels' in entry:
        text.append(labels(entry['labels']))
    return ','.join(text)


def _disk(disk):
    text = _source(disk['source']) if 'source' in disk else ''
    if 'persistence' in disk:
        text += (',' if text else '') + disk['persistence']['id']
    if 'volume' in disk:
        text += ':' + _volume(disk['volume'])
    return text


def _source(source):
    kind = source['type']
    if 'id' in source or 'profile' in source:
        return '%s(%s,%s,%s)' % (kind, source.get('vendor', ''), source.get('id', ''), source.get('profile', ''))
    root = source.get(kind.lower(), {}).get('root') if kind in ('MOUNT', 'PATH') else None
    return kind if root is None else '%s:%s' % (kind, root)


def _volume(volume):
    if 'host_path' in volume:
        return '%s:%s:%s' % (volume['host_path'], volume['container_path'], volume['mode'].lower())
    return volume['container_path']


# Messages in the text format of protobuf.

#: Fields whose numbers are in another order than the tables have them.
_NUMBERED = {'Volume': ('container_path', 'host_path', 'mode', 'image', 'source')}


def message(kind, value):
    """The message `kind` as protobuf's debugging text. Defaults that are always shown are taken for unset."""
    return ''.join(line + '\n' for line in _lines(kind, value))


def _lines(kind, value):
    messages, schema = load()[0], load()[0][kind]
    lines = []
    for name in _NUMBERED.get(kind, schema.fields):
        if name not in value or (name in schema.defaults and schema.defaults[name] == value[name]
                                 and name not in schema.required):
            continue
        field = schema.fields[name]
        for item in _entries(value[name], field.label):
            if field.label == '{':
                lines += [name + ' {', '  key: ' + _quoted(item[0])]
                lines += ['  ' + line for line in _field('value', field.type, item[1], messages)] + ['}']
            else:
                lines += _field(name, field.type, item, messages)
    return lines


def _entries(value, label):
    return sorted(value.items()) if label == '{' else value if label == '[' else [value]


def _field(name, kind, value, messages):
    if kind in messages:
        return [name + ' {'] + ['  ' + line for line in _lines(kind, value)] + ['}']
    return ['%s: %s' % (name, _WRITERS[kind](value) if kind in SCALARS else value)]


def _double(value):
    if value in ('Infinity', '-Infinity'):
        return value.replace('Infinity', 'inf')
    text = '%.15g' % value
    return text if float(text) == value else '%.17g' % value


def _quoted(text):
    return _escaped(bytearray(text.encode('utf-8') if isinstance(text, six.text_type) else text))


def _escaped(data):
    return '"%s"' % ''.join(_ESCAPES.get(byte) or (chr(byte) if 32 <= byte < 127 else '\\%03o' % byte) for byte in data)


_ESCAPES = {0x0a: '\\n', 0x0d: '\\r', 0x09: '\\t', 0x22: '\\"', 0x27: "\\'", 0x5c: '\\\\'}
_WRITERS = {'string': _quoted, 'bytes': lambda value: _escaped(bytearray(base64.b64decode(value))), 'double': _double,
            'bool': lambda value: 'true' if value else 'false', 'int32': str, 'int64': str, 'uint32': str,
            'uint64': str}

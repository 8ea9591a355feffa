"""JSON of a request -> a message of the v1 API, with the rules and the error texts of Mesos (PROTOCOL 1.4).

The tables of :mod:`.schema` are turned into functions, one for each use of a message, when they are first needed: this
is on the way of every call.
"""
from __future__ import absolute_import, division, print_function

import base64
import binascii
import json
import re
from collections import OrderedDict

import six

from . import strictjson
from .schema import load

__all__ = ['ConvertError', 'parse', 'read']


@six.python_2_unicode_compatible
class ConvertError(ValueError):
    """What was sent is not such a message; `text` is what Mesos says, and so is str(), on Python 2 as UTF-8."""

    def __init__(self, text):
        super(ConvertError, self).__init__(text)
        self.text = text

    def __str__(self):
        return self.text


def read(kind, value):
    """A new dict: the message `kind` ('scheduler.Call', 'FrameworkInfo', ...) that `value`, out of json.loads, is.

    Unknown fields and nulls are dropped, a bare element becomes a list, numeric text a number, base64 text its usual
    form; what Mesos always shows is filled in. Infinity is the text 'Infinity', as in the JSON of both directions.
    :class:`ConvertError` has the text that in Mesos follows 'Failed to convert JSON into Call protobuf: '.
    """
    reader = _reader(kind)
    if not isinstance(value, dict):
        raise ConvertError('Expecting a JSON object')
    missing = []
    try:
        message = reader(value, missing)
    except ConvertError:
        # The first error is that of the first field by name: Mesos keeps the members of an object sorted.
        reader(_ordered(value), missing)
        raise
    if missing:
        raise ConvertError('Missing required fields: ' + ', '.join(_lacking(kind, message, '')))
    return message


def parse(kind, data):
    """The message `kind` out of the bytes of a request's body.

    The text of the :class:`ConvertError` is the body of the 400 that Mesos answers with. What is not UTF-8 is read as
    U+FFFD.
    """
    try:
        value = _loads(data)
    except strictjson.JsonError as error:
        raise ConvertError('Failed to parse body into JSON: ' + error.text)
    try:
        return read(kind, value)
    except ConvertError as error:
        if kind == 'agent.Call':
            raise               # the agent's operator API names the reason alone
        raise ConvertError('Failed to convert JSON into Call protobuf: ' + error.text)


# Reading JSON.

class _Odd(ValueError):
    """Something that the standard parser takes and Mesos does not, or otherwise."""


def _real(text):
    value = float(text)
    if value in _INFINITIES:
        raise _Odd()
    return value


def _whole(text):
    if len(text) > strictjson.MAX_DIGITS:       # to convert a million digits would take seconds
        raise _Odd()
    return int(text)


def _refuse(_text):
    raise _Odd()


_INFINITIES = {float('inf'): 'Infinity', float('-inf'): '-Infinity'}
_DECODER = json.JSONDecoder(parse_float=_real, parse_int=_whole, parse_constant=_refuse)
_PAIR = re.compile(br'\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}')
_HALF = re.compile(br'\\u[dD][89a-fA-F]')
# A text may lack its end: what always fits is never tried again from elsewhere, which could take for ever.
_TEXTS = re.compile(br'"[^"]*(?:"|\Z)')
_OPENING = frozenset(bytearray(b'[{'))
_NO_BRACKETS = re.compile(br'[^\[\]{}]+')


def _loads(data):
    try:
        text = data.decode('utf-8')
    except UnicodeDecodeError:
        text = data.decode('utf-8', 'replace')
    if not _is_suspicious(data):
        try:
            value = _DECODER.decode(text)
            if isinstance(value, dict):
                return value
        except (ValueError, RuntimeError):      # RuntimeError: too deep
            pass
    return strictjson.parse(text)


def _is_suspicious(data):
    """Whether it may hold lone surrogates, or more levels than Mesos takes."""
    if b'\\u' in data and _HALF.search(_PAIR.sub(b'', data.replace(b'\\\\', b''))):
        return True
    if data.count(b'{') + data.count(b'[') <= strictjson.MAX_DEPTH:
        return False
    depth = 0
    for bracket in bytearray(_NO_BRACKETS.sub(b'', _TEXTS.sub(b'', data.replace(b'\\\\', b'').replace(b'\\"', b'')))):
        depth += 1 if bracket in _OPENING else -1
        if depth > strictjson.MAX_DEPTH:
            return True
    return False


# Converters: each takes (value, missing) and gives the value for the message, None for unset. A message that lacks
# something required adds to the list `missing`; which fields that are is looked up afterwards.

def _wrong(name, value):
    """The :class:`ConvertError` for a value of a type that the field `name` cannot have."""
    for types, word in _WORDS:
        if isinstance(value, types):
            return ConvertError("Not expecting a JSON %s for field '%s'" % (word, name))
    raise TypeError('%r did not come out of JSON' % (value,))


_WORDS = ((dict, 'object'), ((list, tuple), 'array'), (bool, 'boolean'), (six.string_types, 'string'),
          (six.integer_types + (float,), 'number'))


def _text(name):
    def convert(value, _missing):
        if isinstance(value, six.string_types):
            return value
        raise _wrong(name, value)
    return convert


def _bool(name):
    def convert(value, _missing):
        if value is True or value is False:
            return value
        if isinstance(value, six.string_types):
            return _parsed(name, value, 'boolean', bool)
        raise _wrong(name, value)
    return convert


def _double(name):
    def convert(value, _missing):
        if isinstance(value, float):
            return value
        if isinstance(value, six.integer_types) and value is not True and value is not False:
            return float(value)
        if isinstance(value, six.string_types):
            if value in ('Infinity', '-Infinity'):
                return value
            return float(_parsed(name, value, 'number', six.integer_types + (float,)))
        raise _wrong(name, value)
    return convert


def _integer(low, high):
    """For the integers from `low` to `high`; others are cut as a cast in C++ cuts them on x86-64."""
    def factory(name):
        def convert(value, _missing):
            if isinstance(value, six.string_types):
                value = _parsed(name, value, 'number', six.integer_types + (float,))
            elif isinstance(value, bool) or not isinstance(value, six.integer_types + (float,)):
                raise _wrong(name, value)
            if isinstance(value, float) or not low <= value <= high:
                return _cut(value, low, high)
            return value
        return convert
    return factory


def _cut(value, low, high):
    is_whole = isinstance(value, six.integer_types) and -2 ** 63 <= value < 2 ** 63
    value = int(value)
    if not is_whole and not -2 ** 63 <= value <= max(high, 2 ** 63 - 1):
        value = -2 ** 63
    return (value - low) % (high - low + 1) + low


def _parsed(name, text, word, types):
    """The number or boolean that the JSON in `text` says."""
    try:
        value = strictjson.parse(text)
        if not isinstance(value, types) or (word == 'number' and isinstance(value, bool)):
            raise strictjson.JsonError('Unexpected JSON type parsed')
        return value
    except strictjson.JsonError as error:
        raise ConvertError("Failed to parse '%s' as a JSON %s for field '%s': %s" % (text, word, name, error.text))


_BASE64 = re.compile(r'[A-Za-z0-9+/]*(?:[AQgw]==|[AEIMQUYcgkosw048]=)?\Z')
_BLANKS = re.compile(r'[ \t\n\v\f\r]+')
_NOT_BASE64 = re.compile(r'[^A-Za-z0-9+/]')


def _bytes(name):
    def convert(value, _missing):
        if not isinstance(value, six.string_types):
            raise _wrong(name, value)
        if len(value) % 4 == 0 and _BASE64.match(value):
            return value
        return _usual(name, value)
    return convert


def _usual(name, value):
    """The usual form of base64 text that Mesos can read: it skips blanks, stops at the first '=' and needs no end."""
    digits = _BLANKS.sub('', value.partition('=')[0])
    wrong = _NOT_BASE64.search(digits)
    if wrong:
        character = wrong.group() if wrong.group() < u'\x80' else u'\ufffd'
        raise ConvertError(u"Failed to base64 decode bytes field '%s': Invalid character '%s'" % (name, character))
    if len(digits) % 4 == 1:
        digits = digits[:-1]
    return base64.b64encode(binascii.a2b_base64(digits + '=' * (-len(digits) % 4))).decode('ascii')


def _enum(names, is_required):
    def factory(name):
        def convert(value, _missing):
            if not isinstance(value, six.string_types):
                raise _wrong(name, value)
            if value in names:
                return value
            if is_required:
                raise ConvertError("Failed to find enum for '%s'" % value)
            return None
        return convert
    return factory


def _several(convert):
    def add(items, value, missing):
        for item in value:
            if isinstance(item, list):
                add(items, item, missing)
            elif item is not None:
                item = convert(item, missing)
                if item is not None:
                    items.append(item)

    def convert_all(value, missing):
        items = []
        add(items, value if isinstance(value, list) else [value], missing)
        return items or None
    return convert_all


def _by_name(name, convert, unset):
    def convert_unset(missing):
        lacking = []
        value = convert(unset, lacking)
        missing += lacking
        return _NAMELESS if lacking else value

    def convert_all(value, missing):
        members = {}
        for part in value if isinstance(value, list) else [value]:
            if not isinstance(part, dict):
                raise _wrong(name, part)
            for key, item in six.iteritems(part):
                members[key] = convert_unset(missing) if item is None else convert(item, missing)
        return members or None
    return convert_all


#: Stands for a null in a map whose values must have fields: Mesos refuses it, but names nothing that is missing.
_NAMELESS = {}


_FACTORIES = {'string': _text, 'bytes': _bytes, 'bool': _bool, 'double': _double,
              'int32': _integer(-2 ** 31, 2 ** 31 - 1), 'int64': _integer(-2 ** 63, 2 ** 63 - 1),
              'uint32': _integer(0, 2 ** 32 - 1), 'uint64': _integer(0, 2 ** 64 - 1)}
_UNSET = {'string': '', 'bytes': '', 'bool': False, 'double': 0.0, 'int32': 0, 'int64': 0, 'uint32': 0, 'uint64': 0}

#: (message, name of the field it is used for): its converter. Filled when needed; a race makes one twice, no more.
_made = {}


def _reader(kind, name=''):
    """The converter of the message `kind` in a field `name`."""
    if (kind, name) not in _made:
        message = load()[0].get(kind)
        if message is None:
            raise LookupError('no message %r' % (kind,))
        fields = {}
        reader = _made[kind, name] = _message(name, fields, message)       # before its fields: it may hold itself
        for field in message.fields.values():
            fields[field.name] = _converter(field)
        return reader
    return _made[kind, name]


def _message(name, fields, message):
    required, choice, defaults = message.required, message.choice, message.defaults

    def convert(value, missing):
        if not isinstance(value, dict):
            raise _wrong(name, value)
        result = defaults.copy()
        for key, item in six.iteritems(value):
            if item is not None and key in fields:
                item = fields[key](item, missing)
                if item is not None:
                    result[key] = item
        for key in required:
            if key not in result:
                missing.append(key)
        return result

    def convert_choice(value, missing):
        result = convert(value, missing)
        for key in sorted(choice.intersection(result))[:-1]:
            del result[key]             # the last that was set counts, and Mesos reads members sorted by name
        return result

    return convert_choice if choice else convert


def _converter(field):
    """The converter of a field; that of a message is looked up when it is first used: messages hold one another."""
    name = 'value' if field.label == '{' else field.name
    unset = _UNSET.get(field.type, {})
    if field.type in _FACTORIES:
        convert = _FACTORIES[field.type](name)
    elif field.type in load()[1]:
        convert = _enum(load()[1][field.type], field.is_required)(name)
    else:
        convert = _reader(field.type, name)
    if field.label == '[':
        return _several(convert)
    return _by_name(field.name, convert, unset) if field.label == '{' else convert


# After an error.

def _ordered(value):
    """The same with the members of objects sorted by name."""
    if isinstance(value, list):
        return [_ordered(item) for item in value]
    if isinstance(value, dict):
        return OrderedDict((key, _ordered(value[key])) for key in sorted(value))
    return value


def _lacking(kind, message, path):
    """The paths of the required fields that the converted `message` lacks, in the order of Mesos."""
    schema = load()[0][kind]
    lacking = [path + name for name in schema.required if name not in message]
    for field in schema.fields.values():
        if field.name not in message or field.type not in load()[0]:
            continue
        value = message[field.name]
        if field.label == '[':
            for index, item in enumerate(value):
                lacking += _lacking(field.type, item, '%s%s[%d].' % (path, field.name, index))
        elif field.label == '{':
            for index, key in enumerate(sorted(value)):
                if value[key] is not _NAMELESS:
                    lacking += _lacking(field.type, value[key], '%s%s[%d].value.' % (path, field.name, index))
        else:
            lacking += _lacking(field.type, value, '%s%s.' % (path, field.name))
    return lacking

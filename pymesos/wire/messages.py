"""JSON in bytes <-> dict or addict.Dict (PROTOCOL 1.4)."""
from __future__ import absolute_import, division, print_function

import json
from json import scanner

import addict
import six

from ..errors import MessageError, UsageError, excerpt

try:
    import orjson
except ImportError:
    orjson = None

__all__ = ['PARSERS', 'Dict', 'dumps', 'loads', 'beginnings']

#: The parsers of JSON that can be imported here, the fastest first.
PARSERS = ('json',) if orjson is None else ('orjson', 'json')


class _DictType(type):
    """Called by a program, ``Dict(...)`` is made as addict does it; :func:`loads` goes past this."""

    def __call__(cls, *args, **kwargs):
        new = cls.__new__(cls)
        addict.Dict.__init__(new, *args, **kwargs)
        return new


class Dict(six.with_metaclass(_DictType, addict.Dict)):
    """An :class:`addict.Dict` in every respect, which :func:`loads` makes ten times faster.

    addict copies and converts a tree from its root, in Python. Here the parser makes each object a Dict when it is
    complete, and its members are Dicts by then; so its initialiser is the C one of dict, which converts nothing.
    (Where the parser is not in C, as in PyPy, a hook costs more than it saves: there a tree is converted.)
    """

    # The slot of the type points straight to C where the class body holds dict's own wrapper.
    __init__ = dict.__init__


# What addict's initialiser sets in each instance and its methods look up. A plain assignment would mangle the name.
setattr(Dict, '__frozen', False)

_plain_decoder = json.JSONDecoder()
# The bound C method is called a third faster than a functools.partial of it.
_addict_decoder = json.JSONDecoder(object_hook=type.__call__.__get__(Dict))
_HAS_C_PARSER = scanner.c_make_scanner is not None
_encoder = json.JSONEncoder(separators=(',', ':'), allow_nan=False)


def _make_encoder():
    """What JSONEncoder makes anew for every message, which takes as long as a small one; None where it is not in C."""
    make = getattr(json.encoder, 'c_make_encoder', None)
    if make is None:
        return None
    return make(None, _encoder.default, json.encoder.encode_basestring_ascii, None, ':', ',', False, False, False)


_encode_in_c = _make_encoder()


def loads(data, use_addict=False, parser=PARSERS[0]):
    """The message that `data` (bytes) holds, as dict or, all the way down, as :class:`Dict`.

    `parser` is one of :data:`PARSERS`. All read the same: what orjson refuses, such as NaN, 1e400 and half of a
    surrogate pair, is read once more by json, whose word and whose error it then is. Two things differ, which Mesos
    cannot send: an integer that neither int64 nor uint64 holds is a float if orjson has read it, and objects in objects
    may go 1024 deep, with json as deep as the recursion limit allows.

    Raises :class:`MessageError` if `data` is not UTF-8, not JSON, or not an object.
    """
    # Not for addict: orjson has no hook, and to convert its dicts costs more than it saves.
    if parser == 'orjson' and not use_addict:
        try:
            message = orjson.loads(data)
        except ValueError:
            return _loads_with_json(data, use_addict)
        return _check(message, data)
    return _loads_with_json(data, use_addict)


def _loads_with_json(data, use_addict):
    try:
        message = _decode(data.decode('utf-8'), use_addict)
    except (ValueError, RuntimeError) as error:         # RuntimeError: nested too deep (a RecursionError from 3.5 on)
        raise MessageError('cannot read a message: %s, in %s' % (error, excerpt(data)))
    return _check(message, data)


def _check(message, data):
    if not isinstance(message, dict):
        raise MessageError('cannot read a message: expected a JSON object, the peer sent %s' % excerpt(data))
    return message


def _decode(text, use_addict):
    if not _HAS_C_PARSER:
        message = json.loads(text)
        return Dict(message) if use_addict and isinstance(message, dict) else message
    decoder = _addict_decoder if use_addict else _plain_decoder
    # raw_decode() saves the two searches for white space that decode() makes; Mesos sends none.
    if text[:1] == '{':
        message, end = decoder.raw_decode(text)
        if end == len(text):
            return message
    return decoder.decode(text)


def beginnings(types):
    """How messages of `types` (text) begin, as a tuple of bytes, where the type stands first, as Mesos writes it."""
    return tuple(('{"type":"%s"' % name).encode('ascii') for name in sorted(types))


def dumps(message):
    """`message` (dicts, addict's too, lists, text, numbers) as compact JSON in ASCII bytes.

    An infinite float becomes the text that Mesos reads as one, ``"Infinity"`` or ``"-Infinity"``. Raises
    :class:`UsageError` for NaN and for everything else that JSON cannot carry.
    """
    try:
        return _encode(message)
    except ValueError:
        infinite = float('inf')
        try:
            return _encode(_replace(message, {infinite: 'Infinity', -infinite: '-Infinity'}))
        except (TypeError, ValueError, RuntimeError) as error:
            raise _unusable(error)
    except (TypeError, RuntimeError) as error:
        raise _unusable(error)


def _encode(message):
    if _encode_in_c is None:
        return _encoder.encode(message).encode('ascii')
    return ''.join(_encode_in_c(message, 0)).encode('ascii')


def _unusable(error):
    return UsageError('cannot write a message as JSON: %s' % (error,))


def _replace(value, replacements):
    if isinstance(value, dict):
        return {key: _replace(value[key], replacements) for key in value}
    if isinstance(value, (list, tuple)):
        return [_replace(item, replacements) for item in value]
    if isinstance(value, float):
        return replacements.get(value, value)
    return value

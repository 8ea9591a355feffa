"""JSON exactly as Mesos reads it, with the texts of its errors: for what the standard parser will not have.

Mesos parses with picojson and some rules of its own: it takes ``01`` and ``1.``, refuses a lone surrogate and more than
200 levels, and quotes the rest of the line where it gave up. Slower than the standard parser, which comes first.
"""
from __future__ import absolute_import, division, print_function

import re

import six

__all__ = ['MAX_DEPTH', 'MAX_DIGITS', 'JsonError', 'parse']

#: How many objects and arrays may lie within each other.
MAX_DEPTH = 200

#: Characters that are read in a second or so.
MAX_TEXT = 1024 * 1024

#: No integer of 64 bits has so many digits.
MAX_DIGITS = 20

_BLANK = re.compile(r'[ \t\n\r]*')
_PLAIN = re.compile(u'[^"\\\\\x00-\x1f]*')
_NUMBER = re.compile(r'[-+0-9.eE]+')
_INTEGER = re.compile(r'[-+]?[0-9]+\Z')
_REAL = re.compile(r'[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?\Z')
_HEX = re.compile(r'[0-9a-fA-F]{0,4}')
_CONTROL = re.compile(u'[\x00-\x1f]')
_ESCAPES = {'"': u'"', '\\': u'\\', '/': u'/', 'b': u'\b', 'f': u'\f', 'n': u'\n', 'r': u'\r', 't': u'\t'}
_WORDS = {'n': ('null', None), 't': ('true', True), 'f': ('false', False)}
_SPACE = u' \t\n\r'


@six.python_2_unicode_compatible
class JsonError(ValueError):
    """Not JSON; `text` is what Mesos says, and so is str(), on Python 2 as UTF-8."""

    def __init__(self, text):
        super(JsonError, self).__init__(text)
        self.text = text

    def __str__(self):
        return self.text


class _Stop(Exception):
    """The reading ended at `position`; what is before `seen` counts for the number of the line."""

    def __init__(self, position, seen=None):
        super(_Stop, self).__init__(position)
        self.position = position
        self.seen = position if seen is None else seen


def parse(text):
    """The value that `text` (text, not bytes) says.

    :class:`JsonError` if Mesos would refuse it, or if it is longer than there is time for.
    """
    if len(text) > MAX_TEXT:
        raise JsonError('%d characters that are no plain JSON; only %d are looked at closely' % (len(text), MAX_TEXT))
    try:
        value, end = _value(text, _blank(text, 0), 0)
    except _Stop as stop:
        raise JsonError(_complaint(text, stop.position, stop.seen))
    if isinstance(value, six.integer_types + (float,)) and not isinstance(value, bool):
        end = min(end + 1, len(text))           # its parser has looked at one character more, and does not give it back
    last = len(text.rstrip(_SPACE))
    if end != last:
        rest = text[end:last] if end < last else text[end:]
        raise JsonError('Parsed JSON included non-whitespace trailing characters: ' + rest)
    return value


def _complaint(text, position, seen):
    line = text.count('\n', 0, seen) + 1
    if seen == len(text) and text.endswith('\n'):
        line -= 1                               # a line is counted when its first character is read
    return 'syntax error at line %d near: %s' % (line, _CONTROL.sub('', text[position:].partition('\n')[0]))


def _blank(text, position):
    return _BLANK.match(text, position).end()


def _value(text, position, depth):
    """(value, position after it) of what begins at `position`, which is not blank."""
    first = text[position:position + 1]
    if first == '{' or first == '[':
        if depth >= MAX_DEPTH:
            raise _Stop(position + 1)
        return (_object if first == '{' else _array)(text, position + 1, depth + 1)
    if first == '"':
        return _string(text, position + 1)
    if first in _WORDS:
        word, value = _WORDS[first]
        for letter in word:
            if text[position:position + 1] != letter:
                raise _Stop(position)
            position += 1
        return value, position
    if first == '-' or '0' <= first <= '9':
        return _number(text, position)
    raise _Stop(position)


def _number(text, position):
    word = _NUMBER.match(text, position).group()
    if _INTEGER.match(word):
        # To convert a million digits would take seconds.
        digits = word.lstrip('-+').lstrip('0')
        value = (int(digits or '0') if len(digits) < MAX_DIGITS else 2 ** 64) * (-1 if word[0] == '-' else 1)
        if -2 ** 63 <= value < 2 ** 63:
            return value, position + len(word)
    if not _REAL.match(word):
        raise _Stop(position + len(word))
    value = float(word)
    if value in (float('inf'), float('-inf')):
        raise JsonError('Value out of range')
    return value, position + len(word)


def _array(text, position, depth):
    items = []
    position = _blank(text, position)
    if text[position:position + 1] == ']':
        return items, position + 1
    while True:
        item, position = _value(text, _blank(text, position), depth)
        items.append(item)
        position = _blank(text, position)
        mark = text[position:position + 1]
        if mark != ',' and mark != ']':
            raise _Stop(position)
        position += 1
        if mark == ']':
            return items, position


def _object(text, position, depth):
    members = {}
    position = _blank(text, position)
    if text[position:position + 1] == '}':
        return members, position + 1
    while True:
        position = _blank(text, position)
        if text[position:position + 1] != '"':
            raise _Stop(position)
        name, position = _string(text, position + 1)
        position = _blank(text, position)
        if text[position:position + 1] != ':':
            raise _Stop(position)
        members[name], position = _value(text, _blank(text, position + 1), depth)
        position = _blank(text, position)
        mark = text[position:position + 1]
        if mark != ',' and mark != '}':
            raise _Stop(position)
        position += 1
        if mark == '}':
            return members, position


def _string(text, position):
    pieces = []
    while True:
        end = _PLAIN.match(text, position).end()
        pieces.append(text[position:end])
        mark = text[end:end + 1]
        if mark == '"':
            return u''.join(pieces), end + 1
        if mark != '\\':
            raise _Stop(end)                    # the end, or a control character
        escape = text[end + 1:end + 2]
        if escape == 'u':
            piece, position = _code_point(text, end + 2)
        elif escape in _ESCAPES:
            piece, position = _ESCAPES[escape], end + 2
        else:
            raise _Stop(min(end + 2, len(text)), end)
        pieces.append(piece)


def _code_point(text, position):
    code, position = _four(text, position)
    if 0xd800 <= code <= 0xdfff:
        if code >= 0xdc00:
            raise _Stop(position)
        for mark in '\\u':
            if text[position:position + 1] != mark:
                raise _Stop(position)
            position += 1
        low, position = _four(text, position)
        if not 0xdc00 <= low <= 0xdfff:
            raise _Stop(position)
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00)
        return ('\\U%08x' % code).encode('ascii').decode('unicode_escape'), position
    return six.unichr(code), position


def _four(text, position):
    digits = _HEX.match(text, position).group()
    if len(digits) < 4:
        raise _Stop(position + len(digits))
    return int(digits, 16), position + 4

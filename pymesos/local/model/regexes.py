"""Whether RE2, which Mesos matches offer constraints with, takes an expression: its errors and the size of its program.

Sizes are counted as RE2 was seen to count them: an instruction for each byte or range of bytes, two for a group, one
for ``+`` and ``?``, none for ``*`` and ``|``. For what is beyond ASCII they are estimates.
"""
from __future__ import absolute_import, division, print_function

import re

__all__ = ['complaint']

#: Mesos' --offer_constraints_re2_max_program_size, and what fits into its --offer_constraints_re2_max_mem.
MAX_SIZE, MAX_COMPILED = 100, 280

MAX_REPEAT, MAX_DEPTH = 1000, 100

#: Of every program.
_FRAME = 4
#: Of a class that has all of what is beyond ASCII, and of a character there.
_BEYOND, _WIDE = 6, 2

_LAST = 0x10ffff
_REPEAT = re.compile(r'\{([0-9]+)(,([0-9]*))?\}')
_NAMED = re.compile(r'\(\?P<[A-Za-z0-9_]+>')
_FLAGS = re.compile(r'\(\?([imsU]*)(-[imsU]+)?([:)])')
_HEX = re.compile(r'\\x(?:([0-9a-fA-F]{2})|\{([0-9a-fA-F]+)\})')
_OCTAL = re.compile(r'\\(0[0-7]{0,2}|[1-7][0-7]{1,2})')
_POSIX = re.compile(r'\[:(\^?)([a-z]+):\]')
_UNICODE = re.compile(r'\\[pP](\{\^?[A-Za-z_&]*\}|[A-Za-z])')

_DIGIT, _UPPER, _LOWER = (0x30, 0x39), (0x41, 0x5a), (0x61, 0x7a)
_WORD = (_DIGIT, _UPPER, (0x5f, 0x5f), _LOWER)
_PERL = {'d': (_DIGIT,), 'w': _WORD, 's': ((9, 10), (12, 13), (32, 32))}
_CLASSES = {'alnum': (_DIGIT, _UPPER, _LOWER), 'alpha': (_UPPER, _LOWER), 'ascii': ((0, 127),), 'digit': (_DIGIT,),
            'blank': ((9, 9), (32, 32)), 'cntrl': ((0, 31), (127, 127)), 'graph': ((33, 126),), 'lower': (_LOWER,),
            'print': ((32, 126),), 'space': ((9, 13), (32, 32)), 'upper': (_UPPER,), 'word': _WORD,
            'punct': ((33, 47), (58, 64), (91, 96), (123, 126)), 'xdigit': (_DIGIT, (65, 70), (97, 102))}
_CONTROLS = {'a': 7, 'f': 12, 'n': 10, 'r': 13, 't': 9, 'v': 11}
_ANY = ((0, _LAST),)


class _Bad(Exception):
    """RE2 refuses it; the text says why."""


def complaint(regex):
    """What Mesos says of a regular expression that it refuses, or None."""
    try:
        size = _FRAME + _Parser(regex).size()
        if size > MAX_COMPILED:
            raise _Bad('pattern too large - compile failed')
    except _Bad as error:
        return "Failed to construct regex from pattern '%s': %s" % (regex, error)
    if size > MAX_SIZE:
        return ("Regex '%s' is too complex: program size of %d is larger than maximum of %d allowed"
                % (regex, size, MAX_SIZE))
    return None


# Ranges of code points: sorted tuples of pairs.

def _merged(ranges):
    merged = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = merged[-1][0], max(high, merged[-1][1])
        else:
            merged.append((low, high))
    return tuple(merged)


def _negated(ranges):
    left, begin = [], 0
    for low, high in _merged(ranges):
        if begin < low:
            left.append((begin, low - 1))
        begin = high + 1
    return tuple(left) + (((begin, _LAST),) if begin <= _LAST else ())


def _folded(ranges):
    """With the other case of ASCII letters, and what Unicode has for k and s."""
    more = list(ranges)
    for low, high in ranges:
        for first, last, step in ((0x41, 0x5a, 32), (0x61, 0x7a, -32)):
            if max(low, first) <= min(high, last):
                more.append((max(low, first) + step, min(high, last) + step))
    for letter, other in ((0x6b, 0x212a), (0x73, 0x17f)):
        if any(low <= letter <= high for low, high in more):
            more.append((other, other))
    return _merged(more)


def _class_size(ranges):
    narrow = [(low, min(high, 127)) for low, high in ranges if low <= 127]
    # A range of capitals and the same of small letters are one instruction.
    pairs = set(narrow)
    doubles = sum(1 for low, high in narrow if 0x41 <= low and high <= 0x5a and (low + 32, high + 32) in pairs)
    size = len(narrow) - doubles
    if ranges and ranges[-1][1] == _LAST and ranges[-1][0] <= 128:
        return size + _BEYOND
    return size + sum(_wide_size(low, high) for low, high in ranges if high > 127)


def _wide_size(low, high):
    if low == high:
        return 2 if high < 0x800 else 3 if high < 0x10000 else 4
    return _WIDE if high < 0x800 else _BEYOND


# What was parsed: an alternation is a list of sequences; a sequence a list of items; an item is (ranges, None) for a
# character, (key, size) for anything else.

def _item_size(item):
    return _class_size(item[0]) if item[1] is None else item[1]


def _sequence_size(items):
    size = sum(_item_size(item) for item in items)
    return size + sum(1 for one, other in zip(items, items[1:]) if _is_star(one) and _is_star(other))


def _is_star(item):
    return item[1] is not None and item[0][0] == '*'


def _size(sequences):
    """Of an alternation: a beginning that neighbours share counts once, characters make one class."""
    if len(sequences) == 1:
        return _sequence_size(sequences[0])
    size, index, merged = 0, 0, []
    while index < len(sequences):
        end = index + 1
        head = sequences[index][:1]
        while end < len(sequences) and sequences[end][:1] == head:
            end += 1
        group = sequences[index:end]
        index = end
        if head and head[0][1] is None and len(group[0]) == 1 and len(group) == 1:
            merged.extend(head[0][0])
            continue
        size, merged = size + (_class_size(_merged(merged)) if merged else 0), []
        if not head:
            size += 1
        elif len(group) == 1:
            size += _sequence_size(group[0])
        else:
            size += _item_size(head[0]) + _size([items[1:] for items in group])
    return size + (_class_size(_merged(merged)) if merged else 0)


class _Parser(object):
    """One expression; methods move `_at` forward."""

    def __init__(self, regex):
        self._regex = regex
        self._at = 0
        self._flags = frozenset()

    def size(self):
        """The size of the program, without what every program has."""
        sequences = self._alternation(0)
        if self._at < len(self._regex):
            raise _Bad('unexpected ): ' + self._regex)
        if len(sequences) == 1:
            items = sequences[0]
            if items and items[0] == ('^', 1):
                del items[0]
            if items and items[-1] == ('$', 1):
                del items[-1]
        return _size(sequences)

    def _next(self):
        return self._regex[self._at:self._at + 1]

    def _alternation(self, depth):
        if depth > MAX_DEPTH:
            raise _Bad('expression nested too deeply: ' + self._regex)
        flags, sequences = self._flags, [[]]
        while self._next() not in ('', ')'):
            if self._next() == '|':
                self._at += 1
                sequences.append([])
            else:
                self._piece(sequences[-1], depth)
        self._flags = flags
        return sequences

    def _piece(self, items, depth):
        """One item, or several for ``\\Q...\\E``, with what repeats it."""
        mark = self._next()
        if mark in '*+?' or (mark == '{' and _REPEAT.match(self._regex, self._at)):
            raise _Bad('no argument for repetition operator: ' + self._operator()[0])
        if mark == '(':
            self._group(items, depth)
        elif mark == '[':
            items.append((self._set(), None))
        elif mark == '.':
            self._at += 1
            items.append((_ANY if 's' in self._flags else _negated(((10, 10),)), None))
        elif mark in '^$':
            self._at += 1
            items.append((mark + 'm' if 'm' in self._flags else mark, 1))
        elif self._regex.startswith('\\Q', self._at):
            end = self._regex.find('\\E', self._at)
            text = self._regex[self._at + 2:end if end >= 0 else len(self._regex)]
            self._at = len(self._regex) if end < 0 else end + 2
            items.extend(self._character(ord(letter)) for letter in text)
        elif mark == '\\':
            items.append(self._escape())
        else:
            self._at += 1
            items.append(self._character(ord(mark)))
        self._repeated(items)

    def _character(self, code):
        ranges = ((code, code),)
        return (_folded(ranges) if 'i' in self._flags else ranges), None

    # Repetition.

    def _operator(self):
        """(text, least, most) of the operator here; `most` None for no end."""
        begin = self._at
        match = _REPEAT.match(self._regex, begin)
        self._at = match.end() if match else begin + 1
        if match is None:
            least, most = {'*': (0, None), '+': (1, None), '?': (0, 1)}[self._regex[begin]]
        else:
            least = int(match.group(1))
            most = least if match.group(2) is None else int(match.group(3)) if match.group(3) else None
        if self._next() == '?':
            self._at += 1
        return self._regex[begin:self._at], least, most

    def _is_operator(self):
        return self._next() in ('*', '+', '?') or _REPEAT.match(self._regex, self._at) is not None

    def _repeated(self, items):
        if not items or not self._is_operator():
            return
        text, least, most = self._operator()
        if max(least, most or 0) > MAX_REPEAT or (most is not None and most < least):
            raise _Bad('invalid repetition size: ' + text)
        if self._is_operator():
            raise _Bad('bad repetition operator: ' + text + self._operator()[0])
        item = items.pop()
        single = _item_size(item)
        size = single * least
        if most is None:
            size = single if least == 0 else size + 1
        else:
            size += (single + 1) * (most - least)
        if size > MAX_REPEAT * 10:
            raise _Bad('invalid repetition size: ' + text)
        key = ('*' if most is None and least == 0 else '{', item, least, most)
        if (least, most) != (0, 0):
            items.append((key, size) if (least, most) != (1, 1) else item)

    # Groups.

    def _group(self, items, depth):
        begin, is_capture, flags = self._at, True, self._flags
        if self._regex.startswith('(?', begin):
            named = _NAMED.match(self._regex, begin)
            match = None if named else _FLAGS.match(self._regex, begin)
            if named is None and match is None:
                raise _Bad(self._bad_group(begin))
            self._at = (named or match).end()
            if match is not None:
                is_capture = False
                self._flags = (flags | frozenset(match.group(1))) - frozenset((match.group(2) or '')[1:])
                if match.group(3) == ')':
                    return
        else:
            self._at += 1
        sequences = self._alternation(depth + 1)
        if self._next() != ')':
            raise _Bad('missing ): ' + self._regex)
        self._at += 1
        self._flags = flags
        text = self._regex[begin:self._at]
        if is_capture:
            items.append((('(', text), _size(sequences) + 2))
        elif len(sequences) == 1 and len(sequences[0]) == 1:
            items.append(sequences[0][0])
        else:
            items.append((('(', text), _size(sequences)))

    def _bad_group(self, begin):
        end = begin + 2
        while self._regex[end:end + 1] in tuple('imsU-'):
            end += 1
        if end >= len(self._regex):
            return 'missing ): ' + self._regex
        return 'invalid perl operator: ' + self._regex[begin:end + 1]

    # Escapes and classes.

    def _escape(self):
        kind = self._regex[self._at + 1:self._at + 2]
        if kind in ('b', 'B', 'A', 'z'):
            self._at += 2
            return {'A': '^', 'z': '$'}.get(kind, kind), 1
        if kind == 'C':
            self._at += 2
            return 'C', 1
        ranges = self._perl_class()
        if ranges is not None:
            return ranges, None
        return self._character(self._code())

    def _perl_class(self):
        """The ranges of ``\\d`` and the like or of ``\\pN``, or None if there is no such class here."""
        kind = self._regex[self._at + 1:self._at + 2]
        if self._regex[self._at:self._at + 1] != '\\':
            return None
        if kind in ('p', 'P'):
            match = _UNICODE.match(self._regex, self._at)
            if match is None or len(match.group(1).strip('{^}')) > 2:
                raise _Bad('invalid character class range: ' + (match.group() if match else self._regex[self._at:]))
            # A category of Unicode is more than fits.
            raise _Bad('pattern too large - compile failed')
        if not kind or kind.lower() not in _PERL:
            return None
        self._at += 2
        return _PERL[kind] if kind.islower() else _negated(_PERL[kind.lower()])

    def _code(self):
        """The code point of the character or escape here."""
        regex, begin = self._regex, self._at
        self._at += 1
        if regex[begin] != '\\':
            return ord(regex[begin])
        kind = self._next()
        self._at += 1
        if not kind:
            raise _Bad('trailing \\')
        if kind in _CONTROLS:
            return _CONTROLS[kind]
        if ord(kind) < 128 and not kind.isalnum() and kind != '_':
            return ord(kind)
        match = (_HEX if kind == 'x' else _OCTAL).match(regex, begin)
        if match is None:
            raise _Bad('invalid escape sequence: ' + regex[begin:self._at + (1 if kind == 'x' else 0)])
        self._at = match.end()
        code = int(match.group(1) or match.group(2), 16) if kind == 'x' else int(match.group(1), 8)
        if code > _LAST:
            raise _Bad('invalid escape sequence: ' + match.group()[:-1])
        return code

    def _set(self):
        """The ranges of a class in brackets."""
        begin, regex = self._at, self._regex
        self._at += 1
        is_negated = self._next() == '^'
        self._at += is_negated
        ranges, is_first = [], True
        while self._next() != ']' or is_first:
            if not self._next():
                raise _Bad('missing ]: ' + regex[begin:])
            is_first = False
            ranges.extend(self._member())
        self._at += 1
        ranges = _merged(ranges)
        if 'i' in self._flags:
            ranges = _folded(ranges)
        return _negated(ranges) if is_negated else ranges

    def _member(self):
        """The ranges of what is next in the brackets."""
        posix = _POSIX.match(self._regex, self._at)
        if posix is not None:
            if posix.group(2) not in _CLASSES:
                raise _Bad('invalid character class range: ' + posix.group())
            self._at = posix.end()
            return _negated(_CLASSES[posix.group(2)]) if posix.group(1) else _CLASSES[posix.group(2)]
        ranges = self._perl_class()
        if ranges is not None:
            return ranges
        start = self._at
        low = high = self._code()
        if self._next() == '-' and self._regex[self._at + 1:self._at + 2] not in ('', ']'):
            self._at += 1
            high = self._code()
        if high < low:
            raise _Bad('invalid character class range: ' + self._regex[start:self._at])
        return ((low, high),)

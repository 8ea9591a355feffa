"""Arithmetic on Mesos resources: read them from text or from offers, add, subtract, compare, take a part. Pure.

::

    offered = Resources(offer['resources'])
    task, rest = offered.take('cpus:0.5;mem:128')           # UsageError says what is missing; or ask offered.has(...)
    ports, rest = rest.take_ports(2)
    driver.launchTasks(offer['id'], [dict(info, resources=(task + ports).to_list())])

The model is PROTOCOL 5.1. Scalars are fixed-point, to 0.001. Resources of one name are kept apart where anything but
the quantity differs: reservations, allocation, disk, revocable, shared, provider and whatever else a Resource holds.
What Mesos uses whole only (shared and persistent volumes, MOUNT and BLOCK disks, RAW disks with an id) is counted in
copies. A persistent volume is the same however a use mounts it and whoever made it, as it is to Mesos.
"""
from __future__ import absolute_import, division, print_function

import json
import math
import re
from collections import OrderedDict, namedtuple

import six

from .errors import EXCERPT_BYTES, UsageError, excerpt

__all__ = ['Resources', 'parse']

_NUMBER = re.compile(r'([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?\Z')
_PAIR = re.compile(r'\s*([^\s:;()\[\]{}]+)\s*(?:\(\s*([^\s()]+)\s*\))?\s*:\s*(.*?)\s*\Z', re.DOTALL)
_RANGE = re.compile(r'\s*([0-9]+)\s*-\s*([0-9]+)\s*\Z')

#: The fields of a Resource that are told apart; what else it holds is kept as it is.
_KNOWN = frozenset(['allocation_info', 'name', 'ranges', 'reservation', 'reservations', 'role', 'scalar', 'set',
                    'type'])


class _Kind(namedtuple('_Kind', ['name', 'type', 'reservations', 'allocation', 'details', 'size'])):
    """All of a Resource but its quantity.

    `reservations` (a list, the refined format) and `details` (a dict) are JSON text with sorted keys, '' for none, so
    that kinds can be compared and hashed; `allocation` is a role or None. `size` is the quantity of one copy, for what
    is counted in copies, else None.
    """

    __slots__ = ()

    @property
    def arithmetic(self):
        """(plus, minus) for quantities of this kind; minus leaves what of the first is not in the second."""
        return _ARITHMETIC['SCALAR' if self.size is not None else self.type]

    @property
    def stack(self):
        """The reservations, as a list of dicts."""
        return json.loads(self.reservations) if self.reservations else []

    @property
    def is_shared(self):
        return bool(self.details) and 'shared' in json.loads(self.details)

    def suits(self, wanted):
        """Whether this may serve where `wanted` was asked for: what that leaves open may be anything."""
        return (self.name == wanted.name and self.type == wanted.type
                and self.details == wanted.details and self.size == wanted.size
                and wanted.reservations in ('', self.reservations) and wanted.allocation in (None, self.allocation))


class _Volume(str):
    """The details of a persistent volume: Mesos finds them equal however each use mounts it and whoever made it."""

    def __new__(cls, text, identity):
        made = super(_Volume, cls).__new__(cls, text)
        made.identity = identity
        return made

    def __getnewargs__(self):
        return str(self), self.identity

    def __eq__(self, other):
        return self.identity == getattr(other, 'identity', other)

    def __ne__(self, other):
        return not self == other

    def __hash__(self):
        return hash(self.identity)


class Resources(object):
    """An amount of resources; never changed once it is made, so any thread may use it.

    `resources` is a list of Resource dicts (or :class:`addict.Dict`), in either reservation format; they are copied.
    UsageError names the first that cannot be read. In the operators and methods below `other` and `wanted` may be such
    a list too, or text for :func:`parse`.

    Two notions of enough: ``contains`` and ``-`` keep accounts, with everything but the quantity equal; ``has`` and
    ``take`` serve a task, from whatever reservation or allocation there is.
    """

    def __init__(self, resources=()):
        self._amounts = OrderedDict()
        self._scalars = {}              # what scalar() has found
        if isinstance(resources, Resources):
            self._amounts.update(resources._amounts)
            return
        for resource in resources:
            _put(self._amounts, *_read(resource))

    # Looking at it. All kinds of one name are taken together here.

    def scalar(self, name):
        """How much there is of the scalar `name`, as a float; 0.0 if there is none."""
        found = self._scalars.get(name)
        if found is None:
            found = self._scalars[name] = sum(
                _thousandths(kind, amount) for kind, amount in self._of(name, 'SCALAR')) / 1000
        return found

    def ranges(self, name):
        """The ranges `name`, a list of (begin, end), both inclusive, sorted and as few as may be."""
        return list(_merged([pair for kind, amount in self._of(name, 'RANGES') for pair in _items(kind, amount)]))

    def set(self, name):
        """The items of the set `name`, a set of text."""
        return set(item for kind, amount in self._of(name, 'SET') for item in _items(kind, amount))

    @property
    def cpus(self):
        """The number of CPUs, a float."""
        return self.scalar('cpus')

    @property
    def gpus(self):
        """The number of GPUs, a float."""
        return self.scalar('gpus')

    @property
    def mem(self):
        """The memory in MB, a float."""
        return self.scalar('mem')

    @property
    def disk(self):
        """The disk space in MB, a float; volumes and disks that are used whole included."""
        return self.scalar('disk')

    @property
    def ports(self):
        """The ports, a list of (begin, end), both inclusive."""
        return self.ranges('ports')

    def __bool__(self):
        return any(six.itervalues(self._amounts))

    __nonzero__ = __bool__

    def __str__(self):
        return ';'.join(_text(kind, amount) for kind, amount in six.iteritems(self._amounts))

    def __repr__(self):
        return '<Resources %s>' % (self,)

    # Accounts.

    def __add__(self, other):
        """The sum. Ranges and sets are united: a port that both have is there once."""
        total = Resources(self)
        for kind, amount in six.iteritems(_coerced(other)._amounts):
            _put(total._amounts, kind, amount)
        return total

    def __radd__(self, other):
        # The start of sum() is 0.
        return self if other == 0 else _coerced(other) + self

    def __sub__(self, other):
        """What is left without `other`; UsageError says what of it is not there."""
        left, lacking = self._without(_coerced(other))
        if lacking:
            raise UsageError('cannot subtract: there is no %s in %s' % (lacking, self or 'nothing'))
        return left

    def contains(self, other):
        """Whether all of `other` is there, of the same kinds; so that ``-`` would work."""
        return not self._without(_coerced(other))[1]

    def __contains__(self, other):
        return self.contains(other)

    def __eq__(self, other):
        if not isinstance(other, Resources):
            return NotImplemented
        return self._substance() == other._substance()

    def __ne__(self, other):
        return not self == other

    def __hash__(self):
        return hash(frozenset(self._substance().items()))

    # Serving tasks.

    def take(self, wanted):
        """(taken, rest): `wanted` out of this, by name; UsageError says what is missing.

        A wanted resource that names a reservation or an allocation is taken from there only; otherwise what is reserved
        goes first. Disks and volumes, revocable, shared and a provider's resources are taken only where `wanted` has
        the same fields. A shared volume stays in the rest as well: several tasks may use one copy. A zero that is
        wanted is taken as it is.
        """
        wanted = _coerced(wanted)
        taken, rest, lacking = self._split(wanted)
        if lacking:
            raise UsageError('cannot take %s: there is no %s in %s' % (wanted, lacking, self or 'nothing'))
        return taken, rest

    def has(self, wanted):
        """Whether :meth:`take` would work."""
        return not self._split(_coerced(wanted))[2]

    def take_ports(self, count, name='ports'):
        """(taken, rest): the `count` lowest of the ranges `name`, reserved first; UsageError if there are fewer."""
        if count < 0:
            raise UsageError('cannot take %d %s' % (count, name))
        plain = _Kind(name, 'RANGES', '', None, '', None)
        taken, rest, missing = Resources(), Resources(self), count
        for kind in self._candidates(plain):
            chosen = _lowest(self._amounts[kind], missing)
            missing -= sum(end - begin + 1 for begin, end in chosen)
            if chosen:
                _put(taken._amounts, kind, chosen)
                rest._drop(kind, chosen)
        if missing:
            raise UsageError('cannot take %d %s: there are only %d in %s'
                             % (count, name, count - missing, self or 'nothing'))
        return taken, rest

    # Reservations.

    def reserved(self, role=None):
        """What is reserved, for `role` (the innermost one) if it is given."""
        return self._filtered(lambda kind: kind.stack and role in (None, kind.stack[-1]['role']))

    def unreserved(self):
        """What is reserved for nobody."""
        return self._filtered(lambda kind: not kind.stack)

    def flatten(self):
        """The same without reservations and allocation, as if an agent had just started."""
        flat = Resources()
        for kind, amount in six.iteritems(self._amounts):
            _put(flat._amounts, kind._replace(reservations='', allocation=None), amount)
        return flat

    def to_list(self, refined=True):
        """A list of new Resource dicts, as for a TaskInfo.

        Reservations are written as ``reservations``, which Mesos knows since 1.4, or, if `refined` is false, as
        ``role`` and ``reservation``; UsageError for a reservation within a reservation, which those cannot express.
        """
        return [resource for kind, amount in six.iteritems(self._amounts)
                for resource in _written(kind, amount, refined)]

    def _of(self, name, type_):
        for kind, amount in six.iteritems(self._amounts):
            if kind.name == name and kind.type == type_:
                yield kind, amount

    def _substance(self):
        """The amounts that are not nothing: a zero that the user wrote is passed on, but makes no difference."""
        return dict((kind, amount) for kind, amount in six.iteritems(self._amounts) if amount)

    def _filtered(self, is_wanted):
        some = Resources()
        some._amounts.update((kind, amount) for kind, amount in six.iteritems(self._amounts) if is_wanted(kind))
        return some

    def _drop(self, kind, amount):
        left = kind.arithmetic[1](self._amounts[kind], amount)
        if left:
            self._amounts[kind] = left
        else:
            del self._amounts[kind]

    def _without(self, other):
        """(what is left, what is lacking), of :class:`Resources` each."""
        left, lacking = Resources(self), Resources()
        for kind, amount in six.iteritems(other._amounts):
            missing = amount
            if kind in left._amounts:
                missing = kind.arithmetic[1](amount, left._amounts[kind])
                left._drop(kind, amount)
            if missing:
                _put(lacking._amounts, kind, missing)
        return left, lacking

    def _candidates(self, wanted):
        """The kinds that may serve, the most reserved first: others may have use for the rest."""
        return sorted((kind for kind in self._amounts if kind.suits(wanted)),
                      key=lambda kind: (-len(kind.stack), kind.allocation is not None))

    def _split(self, wanted):
        """(taken, rest, lacking), of :class:`Resources` each."""
        taken, rest, lacking = Resources(), Resources(self), Resources()
        # What is wanted from one place only goes before what may come from anywhere.
        for kind in sorted(wanted._amounts, key=lambda kind: (not kind.reservations, kind.allocation is None)):
            amount = wanted._amounts[kind]
            if not amount:
                _put(taken._amounts, kind, amount)
            minus = kind.arithmetic[1]
            for candidate in rest._candidates(kind) if amount else ():
                available = amount if candidate.is_shared else rest._amounts[candidate]
                missing = minus(amount, available)
                chosen = minus(amount, missing)
                if chosen:
                    _put(taken._amounts, candidate, chosen)
                    if not candidate.is_shared:
                        rest._drop(candidate, chosen)
                amount = missing
            if amount:
                _put(lacking._amounts, kind, amount)
        return taken, rest, lacking


def parse(text):
    """The :class:`Resources` that `text` names, in the forms that an agent's ``--resources`` takes.

    ``'cpus:4;mem:1024;ports:[31000-31005,32000-32005];disks:{a,b}'``, with a role as in ``cpus(eng):2`` for what is
    reserved statically; or a JSON list of Resource objects. UsageError quotes what cannot be read.
    """
    if text.lstrip().startswith('['):
        try:
            resources = json.loads(text)
        except ValueError as error:
            raise UsageError('cannot read the resources %s: not JSON: %s' % (excerpt(text), error))
        return Resources(resources)
    parsed = Resources()
    for pair in text.split(';'):
        if pair.strip():
            _put(parsed._amounts, *_read_pair(pair))
    return parsed


def _coerced(value):
    if isinstance(value, Resources):
        return value
    return parse(value) if isinstance(value, six.string_types) else Resources(value)


def _put(amounts, kind, amount):
    amounts[kind] = kind.arithmetic[0](amounts[kind], amount) if kind in amounts else amount


# Quantities: an int of thousandths (or of copies), a sorted tuple of ranges that do not touch, a frozenset of items.

def _merged(ranges):
    merged = []
    for begin, end in sorted(ranges):
        if merged and begin <= merged[-1][1] + 1:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((begin, end))
    return tuple(merged)


def _cut(ranges, others):
    """`ranges` without `others`; both merged."""
    left = []
    for begin, end in ranges:
        for other_begin, other_end in others:
            if other_end < begin or other_begin > end:
                continue
            if begin < other_begin:
                left.append((begin, other_begin - 1))
            begin = other_end + 1
        if begin <= end:
            left.append((begin, end))
    return tuple(left)


def _lowest(ranges, count):
    chosen = []
    for begin, end in ranges:
        if count <= 0:
            break
        end = min(end, begin + count - 1)
        chosen.append((begin, end))
        count -= end - begin + 1
    return tuple(chosen)


_ARITHMETIC = {
    'SCALAR': (lambda one, other: one + other, lambda one, other: max(one - other, 0)),
    'RANGES': (lambda one, other: _merged(one + other), _cut),
    'SET': (lambda one, other: one | other, lambda one, other: one - other),
}


def _thousandths(kind, amount):
    return amount if kind.size is None else amount * kind.size


def _items(kind, amount):
    if kind.size is not None:
        return kind.size if amount else ()
    return amount


# Reading.

def _read(resource):
    """(kind, quantity) of a Resource dict."""
    try:
        name, type_ = _field(resource, 'name'), _field(resource, 'type')
        if type_ not in _READERS:
            raise ValueError('its type is %r, expected SCALAR, RANGES or SET' % (type_,))
        quantity = _READERS[type_](_field(resource, type_.lower()))
        reservations = _canonical(_read_reservations(resource))
        details = _read_details(resource)
        allocation = (resource.get('allocation_info') or {}).get('role')
        kind = _Kind(name, type_, reservations, allocation, details, None)
        return (kind._replace(size=quantity), 1) if _is_whole(resource) else (kind, quantity)
    except (AttributeError, TypeError, ValueError) as error:
        raise UsageError('cannot read the resource %s: %s' % (_quoted(resource), error))


def _read_details(resource):
    """What is kept as it is, as JSON text; of a persistent volume an :class:`_Volume`."""
    details = dict((key, resource[key]) for key in resource if key not in _KNOWN)
    persistence = (details.get('disk') or {}).get('persistence')
    if not persistence:
        return _canonical(details)
    disk = dict((key, value) for key, value in details['disk'].items() if key != 'volume')
    disk['persistence'] = {'id': persistence.get('id')}
    return _Volume(_canonical(details), _canonical(dict(details, disk=disk)))


def _quoted(value):
    return excerpt(value) if isinstance(value, six.string_types) else repr(value)[:EXCERPT_BYTES]


def _field(message, name):
    if not isinstance(message, dict):
        raise ValueError('expected an object with a field %s, not %r' % (name, message))
    if message.get(name) is None:
        raise ValueError('it has no field %s' % (name,))
    return message[name]


def _canonical(value):
    return json.dumps(value, sort_keys=True) if value else ''


def _read_scalar(scalar):
    value = _field(scalar, 'value')
    if isinstance(value, six.integer_types):
        thousandths = value * 1000
    else:
        value = float(value)
        if math.isnan(value) or math.isinf(value):
            raise ValueError('%r is not a quantity' % (value,))
        # round() goes to the even neighbour on Python 3; Mesos rounds half up (std::lround).
        thousandths = int(math.floor(value * 1000 + 0.5))
    if thousandths < 0:
        raise ValueError('%r is negative' % (value,))
    return thousandths


def _read_ranges(ranges):
    return _checked((_field(pair, 'begin'), _field(pair, 'end')) for pair in ranges.get('range') or ())


def _checked(pairs):
    pairs = list(pairs)
    for begin, end in pairs:
        if not isinstance(begin, six.integer_types) or not isinstance(end, six.integer_types) or not 0 <= begin <= end:
            raise ValueError('%r-%r is not a range' % (begin, end))
    return _merged(pairs)


def _read_set(items):
    items = frozenset(items.get('item') or ())
    if not all(isinstance(item, six.string_types) for item in items):
        raise ValueError('the items of a set are text')
    return items


_READERS = {'SCALAR': _read_scalar, 'RANGES': _read_ranges, 'SET': _read_set}


def _read_reservations(resource):
    """The reservations in the refined format; the other has `role`, and `reservation` if that is dynamic."""
    role, stack = resource.get('role'), resource.get('reservations')
    is_dynamic = resource.get('reservation') is not None
    if stack:
        innermost = [_field(reservation, 'role') for reservation in stack][-1]
        if role not in (None, '*', innermost):
            raise ValueError('its role is %r, but its reservation is for %r' % (role, innermost))
        return list(stack)
    if role in (None, '*'):
        if is_dynamic:
            raise ValueError('it has a reservation, which needs a role')
        return []
    if is_dynamic:
        return [dict(resource['reservation'], type='DYNAMIC', role=role)]
    return [{'type': 'STATIC', 'role': role}]


def _is_whole(resource):
    """Whether Mesos neither adds nor splits it (its Resources, addable and subtractable)."""
    disk = resource.get('disk') or {}
    source = disk.get('source') or {}
    return (resource.get('shared') is not None or bool(disk.get('persistence'))
            or source.get('type') in ('MOUNT', 'BLOCK') or (source.get('type') == 'RAW' and bool(source.get('id'))))


def _read_pair(text):
    """(kind, quantity) of ``name:value`` or ``name(role):value``."""
    match = _PAIR.match(text)
    try:
        if match is None:
            raise ValueError('expected name:value or name(role):value')
        name, role, value = match.groups()
        type_, quantity = _read_value(value)
    except ValueError as error:
        raise UsageError('cannot read the resource %s: %s' % (_quoted(text.strip()), error))
    return _Kind(name, type_, _canonical(_read_reservations({'role': role})), None, '', None), quantity


def _read_value(value):
    if value.startswith('[') and value.endswith(']'):
        pairs = [_RANGE.match(pair) for pair in value[1:-1].split(',') if pair.strip()]
        if None in pairs:
            raise ValueError('expected ranges as in [1-5,7-9]')
        return 'RANGES', _checked((int(pair.group(1)), int(pair.group(2))) for pair in pairs)
    if value.startswith('{') and value.endswith('}'):
        return 'SET', frozenset(item.strip() for item in value[1:-1].split(',') if item.strip())
    if _NUMBER.match(value) is None:
        raise ValueError('expected a number, ranges as in [1-5,7-9] or a set as in {a,b}')
    return 'SCALAR', _read_scalar({'value': value})


# Writing.

def _written(kind, amount, refined):
    """The Resource dicts for `amount` of `kind`: one, or one for each copy."""
    quantity, copies = (amount, 1) if kind.size is None else (kind.size, amount)
    for _ in range(copies):
        resource = json.loads(kind.details) if kind.details else {}
        resource.update(name=kind.name, type=kind.type)
        resource[kind.type.lower()] = _WRITERS[kind.type](quantity)
        if kind.allocation is not None:
            resource['allocation_info'] = {'role': kind.allocation}
        resource.update(_written_reservations(kind, refined))
        yield resource


_WRITERS = {
    'SCALAR': lambda quantity: {'value': quantity / 1000},
    'RANGES': lambda quantity: {'range': [{'begin': begin, 'end': end} for begin, end in quantity]},
    'SET': lambda quantity: {'item': sorted(quantity)},
}


def _written_reservations(kind, refined):
    stack = kind.stack
    if refined:
        return {'reservations': stack} if stack else {}
    if len(stack) > 1:
        raise UsageError('cannot write %s without refined reservations: it is reserved for %s'
                         % (kind.name, ' and within that for '.join(entry['role'] for entry in stack)))
    if not stack:
        return {'role': '*'}
    reservation = stack[0]
    role = reservation.pop('role')
    return {'role': role} if reservation.pop('type', None) == 'STATIC' else {'role': role, 'reservation': reservation}


def _text(kind, amount):
    """As :func:`parse` reads it, where it can: there is no such text for what is more than a name and a static role."""
    label, stack = kind.name, kind.stack
    if len(stack) == 1 and stack[0] == {'type': 'STATIC', 'role': stack[0]['role']}:
        label += '(%s)' % stack[0]['role']
    elif stack:
        label += '(reservations: %s)' % kind.reservations
    if kind.allocation is not None:
        label += '(allocation: %s)' % kind.allocation
    label += kind.details
    if kind.size is None:
        return '%s:%s' % (label, _FORMATS[kind.type](amount))
    return '%s:%s%s' % (label, _FORMATS[kind.type](kind.size), '' if amount == 1 else ' x %d' % amount)


_FORMATS = {
    'SCALAR': lambda quantity: ('%d.%03d' % divmod(quantity, 1000)).rstrip('0').rstrip('.'),
    'RANGES': lambda quantity: '[%s]' % ','.join('%d-%d' % pair for pair in quantity),
    'SET': lambda quantity: '{%s}' % ','.join(sorted(quantity)),
}

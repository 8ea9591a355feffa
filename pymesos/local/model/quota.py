"""Quotas: how much a role may be given, and how much is kept for it (PROTOCOL 4.1, UPDATE_QUOTA).

What the roles below a role hold counts for its quota; but, as in Mesos 1.11, a limit holds back the role itself only.
"""
from __future__ import absolute_import, division, print_function

from ...resources import Resources
from .pool import Bundle, scalars, thousandths
from .sorter import added

__all__ = ['Quotas', 'lineage']


def lineage(role):
    """A role and the roles above it, the innermost first."""
    parts = role.split('/')
    return ['/'.join(parts[:count]) for count in range(len(parts), 0, -1)]


def _charged(item):
    """The role whose quota a Resource counts for: reserved for it, or unreserved and held by it; None for no role."""
    reservations = item.get('reservations')
    if reservations:
        return reservations[-1]['role']
    if 'revocable' in item:
        return None
    return item.get('allocation_info', {}).get('role')


class Quotas(object):
    """Guarantees and limits of all roles, {role: {name: thousandths}}."""

    def __init__(self):
        self._guarantees = {}
        self._limits = {}

    def set(self, role, guarantees, limits):
        """Set the quota of a role; empty for none."""
        for table, amounts in ((self._guarantees, guarantees), (self._limits, limits)):
            table[role] = amounts
            if not amounts:
                del table[role]

    def start(self, pools):
        """A :class:`_Run` for one allocation over `pools`, which must be all; None if there is no quota."""
        return _Run(self._guarantees, self._limits, pools) if self._guarantees or self._limits else None


def consumption(pools):
    """{role: {name: thousandths}} that count for quotas: what is reserved, and what is held and not reserved."""
    consumed = {}
    for pool in pools:
        held = [item for resources in pool.held.values() for item in resources.to_list()
                if not item.get('reservations')]
        for item in pool.total.to_list() + held:
            role = _charged(item)
            for name in lineage(role) if role else ():
                added(consumed.setdefault(name, {}), scalars(Resources([item])))
    return consumed


class _Run(object):
    """Keeps the count while one allocation is made."""

    def __init__(self, guarantees, limits, pools):
        self._limits = limits
        self._consumed = consumption(pools)
        #: {role: {name: what of its guarantee it has not got yet}}
        self._owed = {}
        for role, amounts in guarantees.items():
            consumed = self._consumed.get(role, {})
            owed = dict((name, amount - consumed.get(name, 0)) for name, amount in amounts.items()
                        if amount > consumed.get(name, 0))
            if owed:
                self._owed[role] = owed
        #: What anybody may be given: {name: thousandths}
        self._free = {}
        for pool in pools if self._owed else ():
            if pool.is_active:
                added(self._free, _unreserved(pool.available()))

    def creditors(self):
        """The roles that have not got what is guaranteed to them."""
        return frozenset(self._owed)

    def cut(self, role, bundle, is_guaranteed=False):
        """The bundle, or as much of it as the quotas leave for the role; None if that is nothing.

        With `is_guaranteed` it may be what is kept for the role, and None if nothing of it is.
        """
        left = self._left(role, is_guaranteed)
        items, is_cut = [], False
        for item in bundle.resources.to_list():
            name = item['name']
            if name in left and _is_free_scalar(item):
                amount = thousandths(item['scalar']['value'])
                is_cut |= amount > left[name]
                item['scalar'] = {'value': min(amount, left[name]) / 1000}
                left[name] -= min(amount, left[name])
                if not item['scalar']['value']:
                    continue
            items.append(item)
        if is_cut:
            resources = Resources(items)
            bundle = Bundle(resources, scalars(resources)) if resources else None
        if is_guaranteed and bundle is not None:
            given = _unreserved(bundle.resources)
            if not any(name in given for name in self._owed[role]):
                return None
        return bundle

    def consume(self, role, bundle, is_guaranteed=False):
        """Count a bundle that was handed out."""
        free = _unreserved(bundle.resources)
        for name in lineage(role):
            added(self._consumed.setdefault(name, {}), free)
        for name, amount in free.items():
            self._free[name] = self._free.get(name, 0) - amount
        if is_guaranteed:
            owed = self._owed[role]
            self._owed[role] = dict((name, owed[name] - free.get(name, 0)) for name in owed
                                    if owed[name] > free.get(name, 0))

    def _left(self, role, is_guaranteed):
        kept = {}
        for creditor, owed in self._owed.items():
            if creditor != role or not is_guaranteed:
                added(kept, owed)
        left = dict((name, max(self._free.get(name, 0) - amount, 0)) for name, amount in kept.items())
        consumed = self._consumed.get(role, {})
        for name, limit in self._limits.get(role, {}).items():
            room = max(limit - consumed.get(name, 0), 0)
            left[name] = min(room, left.get(name, room))
        return left


def _is_free_scalar(item):
    return item['type'] == 'SCALAR' and not item.get('reservations') and 'revocable' not in item


def _unreserved(resources):
    return scalars(Resources([item for item in resources.to_list() if _is_free_scalar(item)]))

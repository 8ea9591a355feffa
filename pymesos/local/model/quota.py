"""Limits of quotas: how much a role with all roles below it may hold (PROTOCOL 4.1, UPDATE_QUOTA)."""
from __future__ import absolute_import, division, print_function

from ...resources import Resources
from .pool import Bundle, scalars, thousandths
from .sorter import added

__all__ = ['Limits']


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


class Limits(object):
    """The limits of all roles, {role: {name: thousandths}}."""

    def __init__(self):
        self._limits = {}

    def set(self, role, amounts):
        """Set the limits of a role; none if `amounts` is empty."""
        self._limits[role] = amounts
        if not amounts:
            del self._limits[role]

    def start(self, pools):
        """A :class:`_Run` for one allocation over `pools`, which must be all; None if no role is limited."""
        return _Run(self._limits, consumption(pools)) if self._limits else None


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

    def __init__(self, limits, consumed):
        self._limits = limits
        self._consumed = consumed

    def cut(self, role, bundle):
        """The bundle, or as much of it as the limits of the role and those above it leave; None if that is nothing."""
        left = self._left(role)
        if not left:
            return bundle
        items, is_cut = [], False
        for item in bundle.resources.to_list():
            name = item['name']
            if name in left and item['type'] == 'SCALAR' and not item.get('reservations') and 'revocable' not in item:
                amount = thousandths(item['scalar']['value'])
                is_cut |= amount > left[name]
                item['scalar'] = {'value': min(amount, left[name]) / 1000}
                left[name] -= min(amount, left[name])
                if not item['scalar']['value']:
                    continue
            items.append(item)
        if not is_cut:
            return bundle
        resources = Resources(items)
        return Bundle(resources, scalars(resources)) if resources else None

    def consume(self, role, bundle):
        """Count a bundle that was handed out."""
        free = scalars(Resources([item for item in bundle.resources.to_list()
                                  if not item.get('reservations') and 'revocable' not in item]))
        for name in lineage(role):
            added(self._consumed.setdefault(name, {}), free)

    def _left(self, role):
        left = {}
        for name in lineage(role):
            consumed = self._consumed.get(name, {})
            for resource, limit in self._limits.get(name, {}).items():
                room = max(limit - consumed.get(resource, 0), 0)
                left[resource] = min(room, left.get(resource, room))
        return left

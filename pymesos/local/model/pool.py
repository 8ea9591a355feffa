"""What the allocator knows of one agent: what it has, who holds what of it, and what of the rest may be offered."""
from __future__ import absolute_import, division, print_function

from collections import OrderedDict, namedtuple

from ...resources import Resources
from .amounts import unallocate

__all__ = ['Bundle', 'Pool', 'REFINED', 'REVOCABLE', 'SHARED', 'by_role', 'scalars', 'thousandths']

#: Kinds of resources that only some frameworks can be offered (PROTOCOL 2.5); bits of a mask.
REVOCABLE, SHARED, REFINED = 1, 2, 4

#: Resources of an agent that are alike for offers: `role` that they are reserved for (None: nobody), `special` mask.
_Sort = namedtuple('_Sort', ['role', 'special'])

#: What may be offered of an agent: Resources that are allocated to nobody, and their scalars.
Bundle = namedtuple('Bundle', ['resources', 'scalars'])


def thousandths(value):
    """A number as Mesos counts scalars."""
    return int(value * 1000 + 0.5)


def scalars(resources):
    """{name: thousandths} of the scalars of Resources; shared volumes, which nobody holds alone, are left out."""
    found = {}
    for item in resources.to_list():
        if item['type'] == 'SCALAR' and 'shared' not in item:
            found[item['name']] = found.get(item['name'], 0) + thousandths(item['scalar']['value'])
    return found


def by_role(resources):
    """{role: Resources} of what is allocated to roles."""
    return _grouped(resources, lambda item: item['allocation_info']['role'])


def _grouped(resources, key):
    groups = OrderedDict()
    for item in resources.to_list():
        groups.setdefault(key(item), []).append(item)
    if len(groups) == 1:
        return {next(iter(groups)): resources}
    # The order is that of the offers.
    return OrderedDict((name, Resources(items)) for name, items in groups.items())


def _sort(item):
    reservations = item.get('reservations') or ()
    return _Sort(reservations[-1]['role'] if reservations else None,
                 (REVOCABLE if 'revocable' in item else 0) | (SHARED if 'shared' in item else 0)
                 | (REFINED if len(reservations) > 1 else 0))


def _is_shared(item):
    return 'shared' in item


def _without(resources, less):
    """`resources` without `less`, as much of that as is there."""
    return resources._without(less)[0]


class Pool(object):
    """The account of one agent. Amounts that are handed in or out are allocated to roles, those within to nobody."""

    def __init__(self, agent):
        self.id = agent.id
        #: {framework id: Resources}, allocated to roles.
        self.held = {}
        self.is_active = True
        self._exclusive = Resources()
        #: Whether shared volumes have been offered in this run.
        self.is_shared_out = False
        #: Nobody wanted what is free when the allocator had counted `seen` changes, and, but for those whom later
        #: changes were for, nobody will before `seen_until`.
        self.seen, self.seen_until = -1, 0
        self.update(agent)

    def update(self, agent):
        """Take over what the agent tells of itself."""
        self.info = agent.info
        self.set_total(agent.total)

    def set_total(self, total):
        self.total = total
        self.scalars = scalars(total)
        self.has_gpus = self.scalars.get('gpus', 0) > 0
        groups = _grouped(total, _is_shared)
        self._owned, self._shared = groups.get(False, Resources()), groups.get(True, Resources())
        self._forget()

    @property
    def region(self):
        """The name of its region, None if it is in none."""
        fault_domain = (self.info.get('domain') or {}).get('fault_domain') or {}
        return (fault_domain.get('region') or {}).get('name')

    def hold(self, framework_id, resources):
        """Note that a framework holds `resources`."""
        self.held[framework_id] = self.held.get(framework_id, Resources()) + resources
        self._exclusive = self._exclusive + self._alone(resources)
        self._forget()

    def release(self, framework_id, resources):
        """Note that it does not any more; UsageError if it did not."""
        left = self.held.get(framework_id, Resources()) - resources
        if left:
            self.held[framework_id] = left
        else:
            del self.held[framework_id]
        self._exclusive = self._exclusive - self._alone(resources)
        self._forget()

    def bundle(self, role, mask):
        """The :class:`Bundle` for a role and what its framework can be offered; None if there is nothing."""
        if self._sorts is None:
            self._split()
        if self.is_shared_out:
            mask &= ~SHARED
        key = role if self._has_reservations else None, mask & self._specials
        if key not in self._bundles:
            self._bundles[key] = self._bundle(role, mask)
        return self._bundles[key]

    def available(self):
        """Resources that nobody holds."""
        return _without(self._owned, self._exclusive) + self._shared

    def is_empty(self):
        """Whether there is nothing left."""
        if self._sorts is None:
            self._split()
        return not self._sorts

    def _alone(self, resources):
        """What of `resources` nobody else can have, allocated to nobody."""
        plain = unallocate(resources)
        return _grouped(plain, _is_shared).get(False, Resources()) if self._shared else plain

    def _forget(self):
        self._sorts = None
        self.seen_until = 0

    def _split(self):
        self._sorts = _grouped(self.available(), _sort)
        self._bundles = {}
        self._specials = 0
        self._has_reservations = False
        for sort in self._sorts:
            self._specials |= sort.special
            self._has_reservations |= sort.role is not None

    def _bundle(self, role, mask):
        chosen = [resources for sort, resources in self._sorts.items()
                  if sort.special & ~mask == 0 and _may_use(role, sort.role)]
        if not chosen:
            return None
        resources = sum(chosen[1:], chosen[0])
        return Bundle(resources, scalars(resources))


def _may_use(role, reserved):
    return reserved is None or role == reserved or role.startswith(reserved + '/')

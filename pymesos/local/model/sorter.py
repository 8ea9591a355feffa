"""Dominant resource fairness (PROTOCOL 8.2): who is to be offered something next. Roles are a tree, frameworks a list.

The share of a client is the largest part that it holds of any scalar of the cluster, divided by its weight; who has the
smallest comes first, then who was given something less often, then by name.
"""
from __future__ import absolute_import, division, print_function

__all__ = ['ClientSorter', 'RoleSorter', 'Totals', 'added', 'taken']


def added(amounts, more):
    """Add the scalars `more` ({name: thousandths}) to `amounts`, in place."""
    for name, amount in more.items():
        amounts[name] = amounts.get(name, 0) + amount


def taken(amounts, less):
    """Take the scalars `less` from `amounts`, in place; what comes to nothing is dropped."""
    for name, amount in less.items():
        left = amounts.get(name, 0) - amount
        if left > 0:
            amounts[name] = left
        else:
            amounts.pop(name, None)


class Totals(object):
    """The scalars of the whole cluster, {name: thousandths}; `version` changes with them."""

    def __init__(self):
        self.amounts = {}
        self.version = 0

    def add(self, scalars):
        added(self.amounts, scalars)
        self.version += 1

    def remove(self, scalars):
        taken(self.amounts, scalars)
        self.version += 1


class _Holder(object):
    """One who holds something: a framework, a role, or a role with all that is below it."""

    __slots__ = ('count', 'held', 'is_stale', 'name', 'share')

    def __init__(self, name):
        self.name = name
        #: {name: thousandths}
        self.held = {}
        #: How often it was given something.
        self.count = 0
        self.share = 0.0
        self.is_stale = False

    def give(self, scalars, is_new=True):
        added(self.held, scalars)
        self.count += is_new
        self.is_stale = True

    def take(self, scalars):
        taken(self.held, scalars)
        self.is_stale = True

    def weigh(self, totals, weight):
        """Work the share out anew."""
        share = 0.0
        for name, amount in self.held.items():
            total = totals.get(name, 0)
            if total and amount > share * total:
                share = amount / total
        self.share = share / weight
        self.is_stale = False


def _order(holder):
    return holder.share, holder.count, holder.name


class ClientSorter(object):
    """Frameworks in the order in which they are to be offered something; those that are not active are left out."""

    def __init__(self, totals):
        self._totals = totals
        self._version = totals.version
        self._holders = {}
        self._active = set()
        self._sorted = []
        self._is_dirty = False

    def __contains__(self, name):
        return name in self._holders

    def __len__(self):
        return len(self._holders)

    def add(self, name):
        self._holders.setdefault(name, _Holder(name))

    def remove(self, name):
        self._holders.pop(name, None)
        self.set_active(name, False)

    def set_active(self, name, is_active):
        if is_active != (name in self._active):
            (self._active.add if is_active else self._active.discard)(name)
            self._sorted = [self._holders[active] for active in self._active]
            self._is_dirty = True

    def give(self, name, scalars, is_new=True):
        """It holds more: something new, or what has become of something that it had."""
        self._holders[name].give(scalars, is_new)
        self._is_dirty = True

    def take(self, name, scalars):
        self._holders[name].take(scalars)
        self._is_dirty = True

    def held(self, name):
        """{name: thousandths} that it holds."""
        return dict(self._holders[name].held)

    def sort(self):
        """The names of the active ones; a list that is not to be changed."""
        has_new_totals = self._version != self._totals.version
        if self._is_dirty or has_new_totals:
            for holder in self._sorted:
                if holder.is_stale or has_new_totals:
                    holder.weigh(self._totals.amounts, 1.0)
            self._sorted.sort(key=_order)
            self._names = [holder.name for holder in self._sorted]
            self._version, self._is_dirty = self._totals.version, False
        return self._names

    _names = ()


class _Node(_Holder):
    """A role with what is below it: the branch holds all of it, `own` what the role itself holds."""

    __slots__ = ('children', 'own', 'parent', 'path')

    def __init__(self, path, parent):
        super(_Node, self).__init__(path)
        self.path = path
        self.parent = parent
        self.children = {}
        #: The role itself as one beside its children, None if it is no client.
        self.own = None


class RoleSorter(object):
    """Roles in the order in which they are to be offered something; `weights` is {role: weight}, 1.0 for others."""

    def __init__(self, totals, weights):
        self._totals = totals
        self._version = totals.version
        self._weights = weights
        self._root = _Node('', None)
        self._nodes = {}
        self._names = []
        self._is_dirty = False

    def __contains__(self, role):
        return role in self._nodes and self._nodes[role].own is not None

    def add(self, role):
        """Make a role a client."""
        node = self._node(role)
        if node.own is None:
            # Mesos gives it this name, too.
            node.own = _Holder(role + '/.')
            self._is_dirty = True

    def remove(self, role):
        """Forget a role that holds nothing."""
        node = self._nodes[role]
        node.own = None
        while node.parent is not None and node.own is None and not node.children:
            del self._nodes[node.path]
            del node.parent.children[node.path]
            node = node.parent
        self._is_dirty = True

    def give(self, role, scalars, is_new=True):
        """See :meth:`ClientSorter.give`."""
        for holder in self._holders(role):
            holder.give(scalars, is_new)
        self._is_dirty = True

    def take(self, role, scalars):
        for holder in self._holders(role):
            holder.take(scalars)
        self._is_dirty = True

    def weights_changed(self):
        """Take notice of what was changed in `weights`."""
        self._version = None

    def sort(self):
        """The names of all roles that are clients; a list that is not to be changed."""
        if self._is_dirty or self._version != self._totals.version:
            self._names = []
            self._collect(self._root, self._version != self._totals.version)
            self._version, self._is_dirty = self._totals.version, False
        return self._names

    def shares(self):
        """{role: share} of the clients."""
        self.sort()
        return dict((role, self._nodes[role].share) for role in self._names)

    def _node(self, role):
        node, path = self._root, ''
        for part in role.split('/'):
            path = path + '/' + part if path else part
            if path not in node.children:
                node.children[path] = self._nodes[path] = _Node(path, node)
            node = node.children[path]
        return node

    def _holders(self, role):
        node = self._nodes[role]
        yield node.own
        while node.parent is not None:
            yield node
            node = node.parent

    def _collect(self, node, is_all):
        """Append the clients of a branch to the names, in order."""
        siblings = list(node.children.values())
        if node.own is not None:
            siblings.append(node.own)
        for holder in siblings:
            if is_all or holder.is_stale:
                holder.weigh(self._totals.amounts, self._weights.get(holder.name, 1.0))
        siblings.sort(key=_order)
        for holder in siblings:
            if holder is node.own:
                self._names.append(node.path)
            elif holder.children:
                self._collect(holder, is_all)
            else:
                self._names.append(holder.path)

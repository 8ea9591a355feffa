"""Who is offered what: the hierarchical allocator of Mesos with dominant resource fairness (PROTOCOL 5.2, 8.2)."""
from __future__ import absolute_import, division, print_function

from .amounts import allocate, unallocate
from .constraints import Constraints
from .pool import REFINED, REVOCABLE, SHARED, Pool, by_role, scalars, thousandths
from .quota import Quotas
from .sorter import ClientSorter, RoleSorter, Totals

__all__ = ['Allocator', 'refused_seconds']

#: Seconds; the default and the largest of `Filters.refuse_seconds`.
DEFAULT_REFUSED = 5.0
MAX_REFUSED = 365 * 86400.0


def refused_seconds(filters):
    """How many seconds the Filters (a dict) ask for, corrected as Mesos does (PROTOCOL 5.2)."""
    seconds = filters.get('refuse_seconds', DEFAULT_REFUSED)
    if not isinstance(seconds, (int, float)) or not seconds >= 0:
        return DEFAULT_REFUSED
    return float(min(seconds, MAX_REFUSED))


class _Filter(object):
    """Resources that were refused, until then."""

    __slots__ = ('_bundle', '_is_blocked', '_refused', 'until')

    def __init__(self, refused, until):
        self._refused = refused
        self.until = until
        self._bundle = None
        self._is_blocked = False

    def covers(self, other):
        """Whether nothing is left for an older filter to do."""
        return other.until <= self.until and self._refused.contains(other._refused)

    def blocks(self, bundle):
        # The same bundle is looked at in each run until something happens on its agent.
        if bundle is not self._bundle:
            self._bundle, self._is_blocked = bundle, self._refused.contains(bundle.resources)
        return self._is_blocked


class _Client(object):
    """A framework as the allocator sees it."""

    def __init__(self, framework):
        self.framework = framework
        self.is_active = framework.is_active
        #: The allocator's count of changes when something was last changed that may let offers through.
        self.changed = 0
        #: role -> {agent id: [_Filter]}
        self.filters = {}
        #: agent id -> when the filter of inverse offers ends.
        self.inverse_filters = {}
        self.roles = set()
        self.suppressed = set()

    def update(self):
        """Take over what the framework says of itself; returns the roles that are new and those that are gone."""
        framework = self.framework
        roles, suppressed = set(framework.roles), set(framework.suppressed)
        for role in (self.roles - roles) | (self.suppressed - suppressed):
            self.filters.pop(role, None)
        new, gone = roles - self.roles, self.roles - roles
        self.roles, self.suppressed = roles, suppressed
        capabilities = framework.capabilities
        self.mask = ((REVOCABLE if 'REVOCABLE_RESOURCES' in capabilities else 0)
                     | (SHARED if 'SHARED_RESOURCES' in capabilities else 0)
                     | (REFINED if 'RESERVATION_REFINEMENT' in capabilities else 0))
        self.takes_gpus = 'GPU_RESOURCES' in capabilities
        self.is_region_aware = 'REGION_AWARE' in capabilities
        self.constraints = Constraints(framework.constraints) if framework.constraints else None
        self.admitted = {}
        self.minima = dict((role, _minima(filters))
                           for role, filters in (framework.info.get('offer_filters') or {}).items())
        return new, gone

    def admits(self, role, pool):
        """Whether its constraints let an agent through."""
        key = role, pool.id
        if key not in self.admitted:
            self.admitted[key] = self.constraints.admits(role, pool.info)
        return self.admitted[key]

    def refuses(self, role, pool, bundle, now):
        """Until when a filter keeps the bundle from it; 0 if none does."""
        agents = self.filters.get(role)
        for known in agents.get(pool.id, ()) if agents else ():
            if known.until > now and known.blocks(bundle):
                return known.until
        return 0


def _minima(filters):
    """The alternatives of an OfferFilters message: [{name: thousandths}], or None if it has none."""
    if filters.get('min_allocatable_resources') is None:
        return None
    return [_amounts(dict((name, scalar['value']) for name, scalar in alternative.get('quantities', {}).items()))
            for alternative in filters['min_allocatable_resources'].get('quantities', ())]


def _amounts(numbers):
    return dict((name, thousandths(number)) for name, number in numbers.items())


def _suffices(scalars_, minima):
    if not minima:
        return True
    return any(all(scalars_.get(name, 0) >= amount for name, amount in minimum.items()) for minimum in minima)


class Allocator(object):
    """Keeps accounts of all agents and says who is to be offered what is free.

    What :meth:`allocate` hands out counts as held by the framework until :meth:`recover`. Ids are text; Resources that
    frameworks hold are allocated to a role. Filters end by the world's monotonic clock.
    """

    def __init__(self, world, options):
        self._world = world
        self._options = options
        self._minima = [_amounts(minimum) for minimum in options.min_allocatable_resources]
        self._totals = Totals()
        self._weights = dict(options.weights)
        self._roles = RoleSorter(self._totals, self._weights)
        #: role -> ClientSorter of the frameworks that subscribe to it or hold something for it.
        self._sorters = {}
        self._clients = {}
        self._pools = {}
        #: How many changes to frameworks there have been that may let offers through.
        self._changes = 0
        self._quotas = Quotas()
        #: How often :meth:`allocate` was called.
        self.runs = 0

    # Frameworks.

    def add_framework(self, framework):
        """A framework has subscribed; `framework.is_active` says whether it may be offered something."""
        client = self._clients[framework.id] = _Client(framework)
        self._follow(client)
        for pool in self._pools.values():
            if framework.id in pool.held:
                self._give(framework.id, pool.held[framework.id])

    def update_framework(self, framework):
        """Its roles, suppressed roles, capabilities, constraints or minima have changed.

        Filters of roles that it has left or that are not suppressed any more are forgotten.
        """
        client = self._clients[framework.id]
        client.framework = framework
        self._follow(client)

    def remove_framework(self, framework_id):
        """Forget a framework; what it holds stays held until it is recovered. Unknown ones are ignored."""
        client = self._clients.pop(framework_id, None)
        for role in list(self._sorters) if client else ():
            self._leave(role, framework_id)

    def activate(self, framework_id):
        """Make offers to it again."""
        self._set_active(framework_id, True)

    def deactivate(self, framework_id):
        """Make no more offers to it, and forget its filters."""
        client = self._clients[framework_id]
        client.filters.clear()
        client.inverse_filters.clear()
        self._set_active(framework_id, False)

    def suppress(self, framework_id, roles=()):
        """Make no more offers for `roles`, or for all of its roles; written down in `framework.suppressed`, too."""
        client = self._clients[framework_id]
        client.suppressed.update(roles or client.roles)
        client.framework.suppressed = set(client.suppressed)
        self._set_active(framework_id, client.is_active)

    def revive(self, framework_id, roles=()):
        """Undo :meth:`suppress` and forget the filters of `roles`, or of all, and those of inverse offers."""
        client = self._clients[framework_id]
        for role in set(roles or client.roles):
            client.suppressed.discard(role)
            client.filters.pop(role, None)
        client.inverse_filters.clear()
        client.framework.suppressed = set(client.suppressed)
        self._set_active(framework_id, client.is_active)

    # Agents.

    def add_agent(self, agent, used):
        """An agent has registered; `used` is {framework id: Resources} of what its tasks and executors hold."""
        pool = self._pools[agent.id] = Pool(agent)
        pool.is_active = agent.is_active
        self._totals.add(pool.scalars)
        for framework_id, resources in used.items():
            if resources:
                pool.hold(framework_id, resources)
                self._give(framework_id, resources)

    def update_agent(self, agent):
        """Its resources, attributes or domain have changed."""
        pool = self._pools[agent.id]
        self._totals.remove(pool.scalars)
        pool.update(agent)
        self._totals.add(pool.scalars)
        for client in self._clients.values():
            client.admitted.clear()

    def remove_agent(self, agent_id):
        """Forget an agent and all that is held of it, filters included. Unknown ones are ignored."""
        pool = self._pools.pop(agent_id, None)
        if pool is None:
            return
        self._totals.remove(pool.scalars)
        for framework_id, resources in pool.held.items():
            self._take(framework_id, resources)
        for client in self._clients.values():
            client.inverse_filters.pop(agent_id, None)
            client.admitted.clear()
            for agents in client.filters.values():
                agents.pop(agent_id, None)

    def activate_agent(self, agent_id):
        """Offer what the agent has again."""
        self._pools[agent_id].is_active = True

    def deactivate_agent(self, agent_id):
        """Offer no more of the agent."""
        self._pools[agent_id].is_active = False

    # Settings.

    def set_weight(self, role, weight):
        """Let a role have `weight` times the share of one with weight 1.0."""
        self._weights[role] = weight
        self._roles.weights_changed()

    def set_quota(self, role, guarantees, limits):
        """Keep `guarantees` for a role, and it within its `limits` ({name: number})."""
        self._quotas.set(role, _amounts(guarantees), _amounts(limits))
        for pool in self._pools.values():
            pool.seen_until = 0

    # What comes back.

    def recover(self, framework_id, agent_id, resources, filters=None):
        """What a framework held is free again: declined, unused, or no longer used.

        With `filters` (Filters, a dict) it is not offered to the framework again for as long as these say, at least
        for one allocation interval. Agents that are gone are ignored.
        """
        pool = self._pools.get(agent_id)
        if pool is None or not resources:
            return
        pool.release(framework_id, resources)
        self._take(framework_id, resources)
        client = self._clients.get(framework_id)
        if client is None or filters is None:
            return
        seconds = refused_seconds(filters)
        if not seconds:
            return
        now = self._world.monotonic()
        # Mesos' filters outlive the next run, too.
        until = now + max(seconds, self._options.allocation_interval)
        for role, part in by_role(resources).items():
            agents = client.filters.setdefault(role, {})
            known = agents[agent_id] = [older for older in agents.get(agent_id, ()) if older.until > now]
            latest = _Filter(unallocate(part), until)
            # Only the last ones, which are the smallest: each is looked at once.
            while known and latest.covers(known[-1]):
                known.pop()
            known.append(latest)

    def convert(self, agent_id, framework_id, before, after):
        """An operation has made `after` of the Resources `before`.

        Both are held by the framework, or, if `framework_id` is None, by nobody.
        """
        pool = self._pools[agent_id]
        self._totals.remove(pool.scalars)
        if framework_id is None:
            pool.set_total(pool.total - before + after)
        else:
            pool.release(framework_id, before)
            self._take(framework_id, before)
            pool.set_total(pool.total - unallocate(before) + unallocate(after))
            pool.hold(framework_id, after)
            self._give(framework_id, after, is_new=False)
        self._totals.add(pool.scalars)

    def available(self, agent_id):
        """Resources of an agent that nobody holds, allocated to nobody."""
        return self._pools[agent_id].available()

    def active_filters(self):
        """{role: how many filters keep something from its frameworks}"""
        now, found = self._world.monotonic(), {}
        for client in self._clients.values():
            for role in client.roles:
                found.setdefault(role, 0)
            for role, agents in client.filters.items():
                found[role] = found.get(role, 0) + sum(
                    known.until > now for filters in agents.values() for known in filters)
        return found

    def shares(self):
        """{role: its share, weighted} of the roles that are anybody's."""
        return self._roles.shares()

    # Inverse offers.

    def refuse_inverse(self, framework_id, agent_id, filters):
        """A framework does not want to be asked to leave an agent again for a while."""
        client, seconds = self._clients.get(framework_id), refused_seconds(filters or {})
        if client is not None and seconds:
            client.inverse_filters[agent_id] = self._world.monotonic() + max(
                seconds, self._options.allocation_interval)

    def forget_inverse(self, agent_id):
        """Forget that frameworks did not want to be asked to leave an agent: it is to be maintained at another time."""
        for client in self._clients.values():
            client.inverse_filters.pop(agent_id, None)

    def may_ask_to_leave(self, framework_id, agent_id):
        """Whether a framework is active, has not suppressed all its roles, and no filter keeps an inverse offer off."""
        client = self._clients.get(framework_id)
        return (client is not None and client.is_active and bool(client.roles - client.suppressed)
                and client.inverse_filters.get(agent_id, 0) <= self._world.monotonic())

    def holders(self, agent_id):
        """The ids of the frameworks that hold something of an agent, offers included."""
        pool = self._pools.get(agent_id)
        return sorted(pool.held) if pool else []

    # The run.

    def allocate(self, agent_ids=None):
        """Hand out what is free, of all agents or of `agent_ids`.

        Returns [(framework id, [(agent id, role, Resources allocated to the role), ...]), ...]; what is in there is
        held from now on.
        """
        self.runs += 1
        chosen = self._pools if agent_ids is None else agent_ids
        pools = [self._pools[agent_id] for agent_id in sorted(chosen) if agent_id in self._pools]
        pools = [pool for pool in pools if pool.is_active and not pool.is_empty()]
        self._world.random.shuffle(pools)
        now, found = self._world.monotonic(), {}
        quotas = self._quotas.start(list(self._pools.values()))
        if quotas is not None and quotas.creditors():
            for pool in pools:
                self._allocate_pool(pool, quotas, -1, now, found, is_guaranteed=True)
        for pool in pools:
            # Where all have been asked in vain, only those need to be asked again for whom something has changed since.
            since = pool.seen if quotas is None and now < pool.seen_until else -1
            if since == self._changes:
                continue
            until = self._allocate_pool(pool, quotas, since, now, found)
            pool.is_shared_out = False
            if until is not None:
                pool.seen_until = until if since < 0 else min(until, pool.seen_until)
                pool.seen = self._changes
        return sorted(found.items())

    def _allocate_pool(self, pool, quotas, since, now, found, is_guaranteed=False):
        """Hand out one agent to those who changed since; until when nobody can have it, None if somebody got it.

        With `is_guaranteed` only to roles that have not got what their quotas guarantee.
        """
        is_remote, until, is_given = self._is_remote(pool), float('inf'), False
        needs_gpus = pool.has_gpus and self._options.filter_gpu_resources
        for role in self._roles.sort():
            if role not in self._sorters or is_guaranteed and role not in quotas.creditors():
                continue
            for framework_id in self._sorters[role].sort():
                client = self._clients[framework_id]
                if client.changed <= since:
                    continue
                if (needs_gpus and not client.takes_gpus) or (is_remote and not client.is_region_aware):
                    continue
                if client.constraints is not None and not client.admits(role, pool):
                    continue
                bundle = pool.bundle(role, client.mask)
                if bundle is not None and quotas is not None:
                    bundle = quotas.cut(role, bundle, is_guaranteed)
                if bundle is None or not self._is_enough(client, role, bundle):
                    continue
                refused_until = client.refuses(role, pool, bundle, now)
                if refused_until:
                    until = min(until, refused_until)
                    continue
                self._hand_out(pool, client, role, bundle, found)
                if quotas is not None:
                    quotas.consume(role, bundle, is_guaranteed)
                is_given = True
                if pool.is_empty():
                    return None
        return None if is_given else until

    def _hand_out(self, pool, client, role, bundle, found):
        framework_id, resources = client.framework.id, allocate(bundle.resources, role)
        found.setdefault(framework_id, []).append((pool.id, role, resources))
        pool.hold(framework_id, resources)
        pool.is_shared_out = True
        self._roles.give(role, bundle.scalars)
        self._sorters[role].give(framework_id, bundle.scalars)

    def _is_enough(self, client, role, bundle):
        minima = client.minima.get(role)
        return _suffices(bundle.scalars, self._minima if minima is None else minima)

    def _is_remote(self, pool):
        domain = self._options.domain
        if not domain or pool.region is None:
            return False
        return pool.region != domain['fault_domain']['region']['name']

    # Accounts.

    def _follow(self, client):
        """Bring the sorters up to what the framework now says of itself."""
        framework_id = client.framework.id
        new, gone = client.update()
        for role in new:
            self._sorter(role).add(framework_id)
        for role in gone:
            self._leave(role, framework_id)
        self._set_active(framework_id, client.framework.is_active)

    def _set_active(self, framework_id, is_active):
        client = self._clients[framework_id]
        client.is_active = is_active
        self._changes += 1
        client.changed = self._changes
        for role in client.roles:
            self._sorters[role].set_active(framework_id, is_active and role not in client.suppressed)

    def _sorter(self, role):
        if role not in self._sorters:
            self._sorters[role] = ClientSorter(self._totals)
            self._roles.add(role)
        return self._sorters[role]

    def _leave(self, role, framework_id):
        """A framework is not in a role any more; it stays there, inactive, as long as it holds something for it."""
        sorter = self._sorters[role]
        if framework_id not in sorter:
            return
        sorter.set_active(framework_id, False)
        held = sorter.held(framework_id)
        if framework_id not in self._clients:
            self._roles.take(role, held)
        if framework_id not in self._clients or not held:
            sorter.remove(framework_id)
        if not len(sorter):
            del self._sorters[role]
            self._roles.remove(role)

    def _give(self, framework_id, resources, is_new=True):
        """A framework holds more; one that is not known holds nothing as far as shares go."""
        if framework_id not in self._clients:
            return
        for role, part in by_role(resources).items():
            self._sorter(role).add(framework_id)
            amounts = scalars(part)
            self._roles.give(role, amounts, is_new)
            self._sorters[role].give(framework_id, amounts, is_new)

    def _take(self, framework_id, resources):
        client = self._clients.get(framework_id)
        if client is None:
            return
        for role, part in by_role(resources).items():
            amounts = scalars(part)
            self._roles.take(role, amounts)
            self._sorters[role].take(framework_id, amounts)
            if role not in client.roles:
                self._leave(role, framework_id)

"""Which of the commands that wait fits where: offers, constraints, the executor's share, fairness. Pure."""
from __future__ import absolute_import, division, print_function

from collections import OrderedDict, namedtuple

import six

from ...errors import UsageError
from ...resources import Resources

__all__ = ['Capacity', 'Offer', 'Pile', 'Placement', 'Wanted', 'amounts', 'claim', 'could_hold', 'cut', 'explain',
           'is_satisfied', 'parse_constraints', 'place']

#: An agent's resources are compared to 0.001, as Mesos does.
PRECISION = 0.001

#: Of how many agents an error tells what they have.
SHOWN_AGENTS = 3


class Wanted(namedtuple('Wanted', 'resources constraints role kind share')):
    """What a command wants: `resources` (flat :class:`Resources`), `constraints` of :func:`parse_constraints`, `role`.

    `kind` (text) tells executors apart, `share` (flat Resources) is what one of that kind takes for itself. Equal
    wishes should be one object: then what does not fit is tried once.
    """

    __slots__ = ()

    def __str__(self):
        parts = ['%s:%s' % (name, '|'.join('%s' % value for value in values)) for name, values in self.constraints]
        if self.role != '*':
            parts.append('role %s' % self.role)
        return '%s%s' % (self.resources, ' (%s)' % ', '.join(parts) if parts else '')


class Offer(object):
    """An offer as the master made it, and when."""

    __slots__ = ('agent_id', 'attributes', 'hostname', 'id', 'resources', 'role', 'since')

    def __init__(self, offer, since):
        self.id = offer['id']['value']
        self.agent_id = offer['agent_id']['value']
        self.hostname = offer.get('hostname') or ''
        self.attributes = offer.get('attributes') or []
        self.role = (offer.get('allocation_info') or {}).get('role') or '*'
        self.resources = Resources(offer.get('resources') or ())
        self.since = since


class Pile(object):
    """The offers of one agent for one role, which one ACCEPT can take together."""

    __slots__ = ('agent_id', 'cpus', 'gpus', 'mem', 'offers', 'rest', 'role')

    def __init__(self, agent_id, role):
        self.agent_id = agent_id
        self.role = role
        self.offers = []
        #: What of them is not placed yet, and how much of it is what counts most.
        self.rest = Resources()
        self.cpus = self.mem = self.gpus = 0.0

    def add(self, offer):
        """One more offer."""
        self.offers.append(offer)
        self.keep(self.rest + offer.resources)

    def keep(self, rest):
        """The rest is now `rest`."""
        self.rest = rest
        self.cpus, self.mem, self.gpus = rest.cpus, rest.mem, rest.gpus

    @property
    def hostname(self):
        """The agent's."""
        return self.offers[-1].hostname

    @property
    def attributes(self):
        """The agent's."""
        return self.offers[-1].attributes


#: What goes where: the item that waited, the pile, the task's resources out of it, and those of a new executor, None
#: where one is there.
Placement = namedtuple('Placement', 'item pile resources share')

#: What a command would take of a pile: the task's resources, those of a new executor or None, what is left, and
#: whether the task has all that it wants.
Cut = namedtuple('Cut', 'resources share rest is_whole')

#: What an agent has in all, as the master's operators see it.
Capacity = namedtuple('Capacity', 'hostname attributes resources')


def pile_up(offers):
    """The :class:`Pile`\\ s of `offers`, a list, in the order of their first offers."""
    piles = OrderedDict()
    for offer in offers:
        key = offer.agent_id, offer.role
        if key not in piles:
            piles[key] = Pile(*key)
        piles[key].add(offer)
    return list(piles.values())


def place(waiting, piles, is_warm, is_avoided, is_patient=lambda item: False):
    """The :class:`Placement`\\ s for as many of `waiting` as fit, first come, first placed; uses up the piles.

    `waiting` is an iterable of what has `wanted` and `claimed` (the id of the agent that is kept for it, or None).
    What does not fit holds up nothing behind it, but nobody else gets an agent that is claimed.
    `is_warm(agent_id, kind)` tells whether an executor is there already, `is_avoided(agent_id)` whether nothing should
    be started there now, `is_patient(item)` whether it should not be the first where no executor is.
    """
    placements, hopeless, started = [], set(), set()
    claimed = dict((item.claimed, item) for item in waiting if item.claimed is not None)
    piles = [pile for pile in piles if not is_avoided(pile.agent_id)]

    def has_executor(agent_id, kind):
        return (agent_id, kind) in started or is_warm(agent_id, kind)

    for item in waiting:
        patient = is_patient(item)
        shape = id(item.wanted), patient
        if shape in hopeless and item.claimed is None:
            continue
        allowed = [pile for pile in piles if claimed.get(pile.agent_id, item) is item
                   and not (patient and not has_executor(pile.agent_id, item.wanted.kind))]
        found = _best(item.wanted, allowed, has_executor)
        if found is None:
            if item.claimed is None:
                hopeless.add(shape)
            continue
        pile, part = found
        pile.keep(part.rest)
        if part.share is not None:
            started.add((pile.agent_id, item.wanted.kind))
        placements.append(Placement(item, pile, part.resources, part.share))
    return placements


def _best(wanted, piles, has_executor):
    """(pile, :class:`Cut`) of the pile that suits best, None if none does.

    One with an executor goes before one without, one whose GPUs would lie idle comes last, and else the one with most
    to spare; but one that is a little short comes behind all that hold the whole.
    """
    cpus, mem, gpus = wanted.resources.cpus, wanted.resources.mem, wanted.resources.gpus
    cpus, mem = cpus - wanted.share.cpus - PRECISION / 2, mem - wanted.share.mem - PRECISION / 2
    ranked = []
    for position, pile in enumerate(piles):
        if pile.role != wanted.role or pile.cpus < cpus or pile.mem < mem or pile.gpus < gpus:
            continue
        if not is_satisfied(wanted.constraints, pile.attributes, pile.hostname):
            continue
        is_warm = has_executor(pile.agent_id, wanted.kind)
        ranked.append((is_warm, gpus > 0 or not pile.gpus, pile.cpus, -position))
    short = None
    for is_warm, _, _, position in sorted(ranked, reverse=True):
        pile = piles[-position]
        part = cut(pile.rest, wanted, is_warm)
        if part is not None and part.is_whole:
            return pile, part
        if short is None and part is not None:
            short = pile, part
    return short


def cut(rest, wanted, is_warm):
    """The :class:`Cut` of a command out of `rest`; None if it does not fit.

    A command that takes all that an agent has shares it with the executor: where as much as that one takes, or less,
    is missing, the task goes without. The container that Mesos makes of both has then what the command was to have.
    """
    share = None
    if not is_warm:
        parts = _take(rest, wanted.share)
        if parts is None:
            return None
        share, rest = parts
    parts, is_whole = _take(rest, wanted.resources), True
    if parts is None:
        parts, is_whole = _take(rest, _without_share(rest, wanted)), False
    return None if parts is None else Cut(parts[0], share, parts[1], is_whole)


def _take(rest, wanted):
    """(taken, rest); None if that is not there, or nothing is wanted."""
    try:
        return rest.take(wanted) if wanted is not None else None
    except UsageError:
        return None


def _without_share(rest, wanted):
    """What the command wants, less what the executor may have taken of it; None if more is missing."""
    resources = wanted.resources.to_list()
    for resource in resources:
        want, have = resource['scalar']['value'], rest.scalar(resource['name'])
        missing = want - have
        if missing > wanted.share.scalar(resource['name']) + PRECISION / 2 or missing > want / 2:
            return None
        resource['scalar']['value'] = min(want, have)
    return Resources(resources)


def claim(wanted, agents):
    """The id of the agent that is to be kept free for a command that has waited for long; None if none would help.

    `agents` is an iterable of (id, hostname, attributes, what is offered there, what our own tasks use there). The
    one that comes closest now is taken.
    """
    best = best_free = None
    for agent_id, hostname, attributes, offered, used in agents:
        if not is_satisfied(wanted.constraints, attributes, hostname):
            continue
        if not could_hold(wanted, offered.flatten() + used.flatten()):
            continue
        if best is None or offered.cpus > best_free:
            best, best_free = agent_id, offered.cpus
    return best


def could_hold(wanted, resources):
    """Whether an agent that had nothing else to do could run it on `resources` (flat)."""
    return cut(resources, wanted, False) is not None


def explain(wanted, capacities):
    """Why no agent could ever hold a command: text, or None if one could.

    `capacities` are the :class:`Capacity`\\ s of all agents of the master, at least one.
    """
    suitable = [capacity for capacity in capacities
                if is_satisfied(wanted.constraints, capacity.attributes, capacity.hostname)]
    sizes = [(_usable(capacity.resources, wanted.role), capacity.hostname) for capacity in suitable]
    if any(could_hold(wanted, usable) for usable, _ in sizes):
        return None
    if not suitable:
        return 'no agent can hold %s: none of %d has the attributes' % (wanted, len(capacities))
    sizes.sort(key=lambda pair: (pair[0].gpus if wanted.resources.gpus else 0, pair[0].cpus, pair[0].mem), reverse=True)
    names = [resource['name'] for resource in wanted.resources.to_list()]
    shown = ', '.join('%s on %s' % (amounts(usable, names), hostname) for usable, hostname in sizes[:SHOWN_AGENTS])
    return 'no agent can hold %s, and %s for the executor: the largest of %d have %s' % (
        wanted, wanted.share, len(sizes), shown)


def amounts(resources, names):
    """The scalars `names` of some resources, as text."""
    return ';'.join('%s:%g' % (name, resources.scalar(name)) for name in names)


def _usable(resources, role):
    """What of an agent's resources a framework of `role` can be offered: what is reserved for nobody, for it, and for
    the roles above it; flat."""
    parts = role.split('/')
    above = ['/'.join(parts[:count]) for count in range(1, len(parts) + 1)]
    usable = resources.unreserved()
    for name in above:
        usable = usable + resources.reserved(name)
    return usable.flatten()


# Constraints.

def parse_constraints(constraints):
    """What agents must have, as a tuple of (attribute, tuple of values of which one will do).

    `constraints` is None, text such as ``'rack:r1'``, a list of such texts, all of which must hold, or a dict of
    attribute to value, or to a list of values. Raises :class:`UsageError`.
    """
    if constraints is None:
        return ()
    if isinstance(constraints, six.string_types):
        constraints = [constraints]
    if isinstance(constraints, dict):
        pairs = list(constraints.items())
    elif isinstance(constraints, (list, tuple, set, frozenset)):
        pairs = [_read_pair(text) for text in constraints]
    else:
        raise _unreadable(constraints)
    found = []
    for name, values in pairs:
        values = tuple(values) if isinstance(values, (list, tuple, set, frozenset)) else (values,)
        is_good = isinstance(name, six.string_types) and name and values and all(
            isinstance(value, six.string_types + six.integer_types + (float,)) for value in values)
        if not is_good:
            raise _unreadable({name: values})
        found.append((name, tuple(sorted(values, key=repr))))
    return tuple(sorted(found, key=repr))


def _read_pair(text):
    if not isinstance(text, six.string_types) or ':' not in text:
        raise _unreadable(text)
    name, _, value = text.partition(':')
    return name.strip(), value.strip()


def _unreadable(constraints):
    return UsageError("cannot use the constraints %r: expected 'attribute:value', a list of such, or a dict of "
                      'attribute to value' % (constraints,))


def is_satisfied(constraints, attributes, hostname=''):
    """Whether an agent with these `attributes` (a list of Attribute dicts) may be used.

    Of several attributes of one name one has to fit. ``hostname`` is the agent's, unless it has such an attribute.
    """
    for name, values in constraints:
        named = [attribute for attribute in attributes if attribute.get('name') == name]
        if not named and name == 'hostname':
            named = [{'name': name, 'type': 'TEXT', 'text': {'value': hostname}}]
        if not any(_matches(attribute, value) for attribute in named for value in values):
            return False
    return True


def _matches(attribute, value):
    kind = attribute.get('type')
    if kind == 'TEXT':
        return (attribute.get('text') or {}).get('value') == '%s' % (value,)
    if kind == 'SET':
        return '%s' % (value,) in ((attribute.get('set') or {}).get('item') or ())
    try:
        number = float(value)
    except ValueError:
        return False
    if kind == 'SCALAR':
        return abs((attribute.get('scalar') or {}).get('value', 0.0) - number) < PRECISION / 2
    ranges = (attribute.get('ranges') or {}).get('range') or ()
    return any(pair.get('begin', 0) <= number <= pair.get('end', 0) for pair in ranges)

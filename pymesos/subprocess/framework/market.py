"""The offers that are held, and when to ask for more, to give them back and to want none. Pure."""
from __future__ import absolute_import, division, print_function

from collections import OrderedDict

from .orders import Decline, Revive, Suppress
from .placement import pile_up

__all__ = ['KEEP', 'Market']

#: Seconds that an offer is held which nothing fits, and after which a role for which nothing waits is suppressed.
KEEP = 0.3

#: The least time between two REVIVEs in seconds, and the most: each makes the master look at all of its agents. In
#: between it is twice what the master took for its offers, doubled with each REVIVE that brought nothing we could use.
SPACING, WIDEST = 0.005, 1.0

#: Seconds more between two REVIVEs for each command that was placed a moment ago and still runs, and the most. Where
#: many short ones come and go it gathers several for one offer; one after the other are not held up.
GATHER, LONGEST_GATHERING = 0.0004, 0.03

#: Seconds after which a REVIVE is repeated while something waits: that, or the offers, may have been lost.
INSIST = 10.0

#: What a declined offer holds is not offered again for so many seconds: while something waits, which a REVIVE ends,
#: and while nothing does, should the SUPPRESS be lost.
REFUSE_WAITING, REFUSE_IDLE = 30.0, 5.0


class Stall(object):
    """What is known of one role."""

    __slots__ = ('fruitless', 'idle_since', 'is_awaiting', 'is_suppressed', 'pace', 'revived_at', 'wants')

    def __init__(self):
        self.is_suppressed = None       # None: the master may think either
        self.wants = False              # there is reason for a REVIVE
        self.revived_at = None
        self.fruitless = 0              # how many REVIVEs in a row brought nothing we could use
        self.is_awaiting = False        # offers, since the last one
        self.pace = SPACING             # twice the seconds that the master took the last time
        self.idle_since = None


class Market(object):
    """Holds offers as long as something may come for them, and steers what the master offers for each role."""

    def __init__(self):
        self._offers = OrderedDict()
        self._stalls = {}

    def __len__(self):
        return len(self._offers)

    def reset(self):
        """A new subscription, or none: all offers are gone, and what is suppressed is not known."""
        self._offers.clear()
        self._stalls.clear()

    def add(self, offer):
        """An offer came."""
        self._offers[offer.id] = offer
        stall = self._stall(offer.role)
        if stall.is_suppressed:         # perhaps the master does not know it
            stall.is_suppressed = None
        if stall.is_awaiting:
            stall.is_awaiting = False
            stall.pace = min(max(SPACING, 2 * (offer.since - stall.revived_at)), WIDEST)

    def rescind(self, offer_id):
        """An offer is not valid any more."""
        self._offers.pop(offer_id, None)

    def lose_agent(self, agent_id):
        """All offers of an agent are not valid any more."""
        for offer in list(self._offers.values()):
            if offer.agent_id == agent_id:
                del self._offers[offer.id]

    def piles(self):
        """The offers as piles, for placing."""
        return pile_up(self._offers.values())

    def take(self, pile):
        """Something was placed on a pile: its offers are used up. Returns their ids."""
        self._stall(pile.role).fruitless = 0
        ids = [offer.id for offer in pile.offers]
        for offer_id in ids:
            self._offers.pop(offer_id, None)
        return ids

    def want(self, role, is_new=True):
        """There is reason to ask for offers; `is_new` if it is likely that there are other ones than last time."""
        stall = self._stall(role)
        stall.wants = True
        if is_new:
            stall.fruitless = min(stall.fruitless, 1)

    def suppressed_roles(self):
        """The roles that the master is to take for suppressed."""
        return sorted(role for role, stall in self._stalls.items() if stall.is_suppressed)

    def run(self, roles, waiting, crowd, now):
        """(the orders for now, when to run again or None).

        `waiting` is the set of roles for which something waits, `crowd` how many commands were placed lately and run.
        """
        orders, again = [], []
        gathering = min(crowd * GATHER, LONGEST_GATHERING)
        for role in sorted(roles):
            stall = self._stall(role)
            if role in waiting:
                orders += self._ask(role, stall, gathering, again, now)
            else:
                orders += self._rest(role, stall, again, now)
        return orders + self._give_back(waiting, again, now), min(again) if again else None

    def _stall(self, role):
        if role not in self._stalls:
            self._stalls[role] = Stall()
        return self._stalls[role]

    def _ask(self, role, stall, gathering, again, now):
        stall.idle_since = None
        # Times are compared as they are set, so that rounding cannot make what is due wait for no time at all.
        if stall.revived_at is not None:
            repeat = stall.revived_at + INSIST
            if not stall.wants and stall.is_suppressed is False and now < repeat:
                again.append(repeat)
                return []
            soonest = stall.revived_at + min(stall.pace * 2 ** stall.fruitless + gathering, WIDEST)
            if now < soonest:
                again.append(soonest)
                return []
        stall.wants = stall.is_suppressed = False
        stall.revived_at = now
        stall.is_awaiting = True
        stall.fruitless = min(stall.fruitless + 1, 16)          # until something is placed
        again.append(now + INSIST)
        return [Revive(role)]

    def _rest(self, role, stall, again, now):
        stall.wants = False
        if stall.idle_since is None:
            stall.idle_since = now
        if stall.is_suppressed:
            return []
        if now < stall.idle_since + KEEP:
            again.append(stall.idle_since + KEEP)
            return []
        stall.is_suppressed = True
        return [Suppress(role)]

    def _give_back(self, waiting, again, now):
        stale = {True: [], False: []}
        for offer in list(self._offers.values()):
            stall = self._stalls.get(offer.role)
            if stall is not None and not stall.is_suppressed and now < offer.since + KEEP:
                again.append(offer.since + KEEP)
                continue
            del self._offers[offer.id]
            stale[offer.role in waiting].append(offer.id)
        return [Decline(ids, REFUSE_WAITING if is_waiting else REFUSE_IDLE)
                for is_waiting, ids in sorted(stale.items()) if ids]

"""The life of one subscription, as a transition table.

A :class:`Session` is told what happened (a *stimulus*, in the past tense) and answers with what to do (a list of
*orders*, in the imperative). It owns no socket, clock or thread: seconds are numbers it passes on, and a timer
that it asks for comes back as a stimulus. What follows what is in :data:`TRANSITIONS`, from which the documentation's
diagram is printed; besides it there is only the choice of whom to dial.
"""
from __future__ import absolute_import, division, print_function

from collections import namedtuple

from ..errors import CallRejected, TimedOut

__all__ = ['Order', 'STATES', 'Session', 'Terms', 'TRANSITIONS', 'classify_status', 'is_about_subscription', 'is_over']

# States.
IDLE = 'IDLE'                   # not started
DETECTING = 'DETECTING'         # nobody is known to lead
DIALLING = 'DIALLING'           # a connection is being made
SUBSCRIBING = 'SUBSCRIBING'     # SUBSCRIBE is sent, the SUBSCRIBED event has not come
SUBSCRIBED = 'SUBSCRIBED'       # events flow, calls may be sent
WAITING = 'WAITING'             # the delay before the next try
LEAVING = 'LEAVING'             # a last call (TEARDOWN) is under way
ENDED = 'ENDED'                 # nothing will happen any more

STATES = (IDLE, DETECTING, DIALLING, SUBSCRIBING, SUBSCRIBED, WAITING, LEAVING, ENDED)

_TRYING = (DIALLING, SUBSCRIBING, WAITING)
_ALIVE = (DETECTING,) + _TRYING + (SUBSCRIBED,)

#: (state, stimulus) -> (next state, names of the steps that make the orders, in order).
#: A pair that is missing here means that the stimulus is late and changes nothing.
TRANSITIONS = {
    (IDLE, 'started'): (DETECTING, ('watch_first_patience',)),

    (DETECTING, 'led'): (DIALLING, ('dial',)),
    (DIALLING, 'dialled'): (SUBSCRIBING, ('subscribe',)),
    (DIALLING, 'dial_failed'): (WAITING, ('next_candidate', 'wait')),
    (SUBSCRIBING, 'accepted'): (SUBSCRIBING, ()),
    (SUBSCRIBING, 'subscribed'): (SUBSCRIBED, ('settle',)),
    (SUBSCRIBING, 'redirected'): (WAITING, ('hang_up', 'follow')),
    (SUBSCRIBING, 'unavailable'): (WAITING, ('hang_up', 'next_candidate', 'wait')),
    (SUBSCRIBING, 'refused'): (ENDED, ('hang_up', 'fail')),
    (SUBSCRIBING, 'lost'): (WAITING, ('hang_up', 'next_candidate', 'wait')),
    (SUBSCRIBING, 'answer_due'): (WAITING, ('hang_up', 'next_candidate', 'wait')),
    (SUBSCRIBED, 'lost'): (WAITING, ('hang_up', 'tell_loss', 'watch_patience', 'wait')),
    (SUBSCRIBED, 'settled'): (SUBSCRIBED, ('forget_tries',)),
    (WAITING, 'retry_due'): (DIALLING, ('dial',)),

    (SUBSCRIBED, 'led'): (DIALLING, ('hang_up', 'tell_loss', 'watch_patience', 'dial')),
    (SUBSCRIBED, 'unled'): (DETECTING, ('hang_up', 'tell_loss', 'watch_patience')),
    (SUBSCRIBED, 'stopped'): (ENDED, ('hang_up', 'tell_loss', 'quit')),
    (SUBSCRIBED, 'left'): (LEAVING, ('leave',)),
    (SUBSCRIBED, 'errored'): (ENDED, ('hang_up', 'tell_loss', 'fail')),
    (SUBSCRIBING, 'errored'): (ENDED, ('hang_up', 'fail')),
    (LEAVING, 'leave_done'): (ENDED, ('hang_up', 'tell_loss', 'quit')),
}
TRANSITIONS.update({(state, 'led'): (DIALLING, ('hang_up', 'dial')) for state in _TRYING})
TRANSITIONS.update({(state, 'unled'): (DETECTING, ('hang_up',)) for state in _TRYING})
TRANSITIONS.update({(state, 'impatient'): (ENDED, ('hang_up', 'fail')) for state in (DETECTING,) + _TRYING})
TRANSITIONS.update({(state, 'stopped'): (ENDED, ('hang_up', 'quit')) for state in (IDLE, DETECTING) + _TRYING})
TRANSITIONS.update({(state, 'left'): (ENDED, ('hang_up', 'quit')) for state in (IDLE, DETECTING) + _TRYING})
TRANSITIONS.update({(state, 'crashed'): (ENDED, ('hang_up', 'fail')) for state in (IDLE, DETECTING) + _TRYING})
TRANSITIONS.update({(state, 'crashed'): (ENDED, ('hang_up', 'tell_loss', 'fail')) for state in (SUBSCRIBED, LEAVING)})

#: What differs for an executor whose framework does not checkpoint: a lost agent ends it.
TRANSITIONS_WITHOUT_RETURN = dict(TRANSITIONS)
TRANSITIONS_WITHOUT_RETURN[(SUBSCRIBED, 'lost')] = (ENDED, ('hang_up', 'tell_loss', 'fail'))

#: Statuses that say "later": not recovered, not there yet (PROTOCOL 1.5), overloaded.
_LATER = frozenset([404, 408, 425, 429, 500, 502, 503, 504])
_ELSEWHERE = frozenset([307, 308])

#: What Mesos answers to a call whose subscription has ended, when it has noticed that first (PROTOCOL 1.5). Status and
#: reason do not tell it from other refusals. Should it say it in other words, a call is refused, and no more.
_OVER = frozenset(['Framework is not subscribed', 'Framework cannot be found', 'Executor is not subscribed'])
_REPLACED = "didn't match the stream ID currently associated"

Order = namedtuple('Order', ['name', 'args'])


class Terms(namedtuple('Terms', ['answer', 'first_patience', 'patience', 'settled', 'returns'])):
    """The numbers of a session.

    `answer`: seconds from a connection to the SUBSCRIBED event. `first_patience`: seconds from the start, `patience`:
    seconds from a loss, after which the session gives up if it is not subscribed. `settled`: seconds that a
    subscription must last before the next loss is again followed by a try at once. `returns`: whether a loss is
    followed by new tries at all.
    """

    __slots__ = ()


def classify_status(status):
    """The stimulus that the status of the answer to SUBSCRIBE stands for."""
    if status == 200:
        return 'accepted'
    if status in _ELSEWHERE:
        return 'redirected'
    return 'unavailable' if status in _LATER else 'refused'


def is_over(text):
    """Whether a call was refused, with `text`, because its subscription has ended as Mesos sees it."""
    return text in _OVER


def is_about_subscription(error):
    """Whether an exception is a refusal of a call for its subscription's sake: it has ended, or another took its place.

    Such a call was not wrong, and with the next subscription it may be made again.
    """
    return isinstance(error, CallRejected) and (is_over(error.body) or _REPLACED in (error.body or ''))


class Session(object):
    """One subscription from start to end.

    `backoff.delay(attempt)` gives the seconds before try number `attempt` (from 0) after a loss.

    Orders: ``dial(address)``, ``subscribe()``, ``hang_up()``, ``arm(timer, seconds)``, ``disarm(timer)``,
    ``tell_loss()``, ``leave()``, ``fail(error)``, ``quit()``. Timers come back as the stimuli ``answer_due``,
    ``retry_due``, ``impatient``, ``settled``.
    """

    def __init__(self, backoff, terms):
        self.state = IDLE
        self.attempt = 0
        self.address = None
        self.delay = 0.0
        self._patience = None
        self._hops = 0                  # redirects since the last subscription
        self._reason = None             # why the last try failed
        self._backoff = backoff
        self._terms = terms
        self._table = TRANSITIONS if terms.returns else TRANSITIONS_WITHOUT_RETURN
        self._candidates = ()
        self._position = 0
        self._detour = None
        self._steps = {
            'dial': self._dial, 'subscribe': self._subscribe, 'wait': self._wait, 'settle': self._settle,
            'hang_up': self._hang_up, 'next_candidate': self._next_candidate, 'forget_tries': self._forget_tries,
            'follow': self._follow, 'watch_first_patience': self._watch_first_patience,
            'watch_patience': self._watch_patience, 'fail': self._fail,
        }

    @property
    def last_failure(self):
        """Why the last try failed, or the last subscription ended, as text; '' if none has."""
        return '' if self._reason is None else str(self._reason)

    def handle(self, stimulus, fact=None):
        """Take in a stimulus; the list of orders that follow, empty if the stimulus came too late to matter.

        `fact` is the tuple of candidates for ``led``, the new address for ``redirected``, and the exception for
        ``dial_failed``, ``lost``, ``unavailable``, ``refused``, ``errored`` and ``crashed``.
        """
        if stimulus == 'led':
            if self._keeps_leader(fact):
                return []
            self._candidates, self._position, self._detour = tuple(fact), 0, None
        elif stimulus == 'redirected':
            self._detour = fact
            self._reason = '%s points to %s' % (self.address, fact)
        elif stimulus in ('dial_failed', 'lost', 'unavailable'):
            self._reason = fact
        elif stimulus == 'answer_due':
            self._reason = '%s did not answer within %g seconds' % (self.address, self._terms.answer)
        elif stimulus == 'unled':
            self._candidates, self._detour, self._reason = (), None, 'nobody is known to lead'
        found = self._table.get((self.state, stimulus))
        if found is None:
            return []
        state, steps = found
        self.state = state
        orders = []
        for step in steps:
            make = self._steps.get(step)
            orders.extend([Order(step, ())] if make is None else make(fact))
        return orders

    def _keeps_leader(self, candidates):
        """Whether news of a leader is no news: the one in use is still a candidate."""
        return self.state in _TRYING + (SUBSCRIBED,) and self.address in candidates and self._detour is None

    def _dial(self, _):
        if self._detour is not None:
            self.address, self._detour = self._detour, None
        else:
            self.address = self._candidates[self._position % len(self._candidates)]
        return [Order('dial', (self.address,))]

    def _subscribe(self, _):
        return [Order('arm', ('answer_due', self._terms.answer)), Order('subscribe', ())]

    def _settle(self, _):
        self._hops = 0
        return [Order('disarm', ('answer_due',)), Order('disarm', ('impatient',)),
                Order('arm', ('settled', self._terms.settled))]

    def _hang_up(self, _):
        return [Order('disarm', (timer,)) for timer in ('answer_due', 'retry_due', 'settled')] + [Order('hang_up', ())]

    def _next_candidate(self, _):
        self._position += 1
        return []

    def _wait(self, _):
        self.delay = self._backoff.delay(self.attempt)
        self.attempt += 1
        return [Order('arm', ('retry_due', self.delay))]

    def _follow(self, _):
        """The first redirect is followed at once; peers that point at each other are not let spin."""
        self._hops += 1
        if self._hops > 1:
            return self._wait(_)
        self.delay = 0.0
        self.attempt += 1
        return [Order('arm', ('retry_due', self.delay))]

    def _forget_tries(self, _):
        self.attempt = 0
        return []

    def _watch_first_patience(self, _):
        return self._be_patient(self._terms.first_patience)

    def _watch_patience(self, _):
        return self._be_patient(self._terms.patience)

    def _be_patient(self, seconds):
        self._patience = seconds
        return [Order('arm', ('impatient', seconds))]

    def _fail(self, fact):
        if fact is None:
            fact = TimedOut('gave up: not subscribed for %g seconds, last tried %s: %s'
                            % (self._patience, self.address, self._reason or 'no answer'), str(self.address))
        return [Order('fail', (fact,))]

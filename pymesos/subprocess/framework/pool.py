"""All commands of a framework and what becomes of them: every decision about offers and tasks. Pure.

The pool is told what happened, and when; :meth:`Pool.decide` says what to do about it. It has no thread, socket or
clock, so that anything that Mesos or the network may do can be played in a test.
"""
from __future__ import absolute_import, division, print_function

import bisect
from collections import OrderedDict

from ...resources import Resources
from ..errors import StartFailed, StartTimeout
from . import placement
from .agents import Agents
from .attempts import OVER, PLACED, Attempt, Attempts, describe
from .market import Market
from .orders import Accept, AskAgents, Decline, Drop, End, Launch, SetRoles, Shutdown
from .timers import Timers

__all__ = ['Pool']

#: Seconds that a command waits before the master is asked whether any agent could hold it, and between two askings.
DOUBT_AFTER, DOUBT_AGAIN = 3.0, 5.0

#: Seconds that a command waits for there to be any agent at all.
NO_AGENTS_LIMIT = 60.0

#: Seconds that a command waits for an offer of an agent that has an executor for it.
PATIENCE = 0.05

#: Seconds that the oldest command waits before an agent is kept free for it, and between two choices of that agent.
STARVING, CLAIM_AGAIN = 5.0, 5.0

#: Seconds before a command that was lost is tried again, doubled each time, and the most.
RETRY, LONGEST_RETRY = 0.25, 8.0

#: How often the master may say no, and how often offers may turn out to be stale, before it is an error.
MOST_REFUSALS, MOST_STALE = 3, 20

#: Seconds before the master is asked again to take roles.
ROLES_AGAIN = 1.0

#: Seconds after which an executor whose end was not told is told once more to shut down, and how often it is told.
SHUTDOWN_AGAIN, MOST_SHUTDOWNS = 10.0, 6

#: A task came to nothing because its offers were not valid any more: the fault of nobody.
STALE = 'REASON_INVALID_OFFERS'

#: A task came for an executor that had ended, or was ending.
EXECUTOR_TERMINATED = 'REASON_EXECUTOR_TERMINATED'

NOTHING = Resources()

_MARKET, _DOUBT, _ROLES, _PATIENCE = ('market', ''), ('doubt', ''), ('roles', ''), ('patience', '')


class Command(object):
    """One command, from its submission to its end."""

    __slots__ = ('attempt', 'attempts', 'claimed', 'max_retries', 'not_before', 'number', 'refusals', 'stale',
                 'start_timeout', 'tries', 'waiting_since', 'wanted')

    def __init__(self, number, wanted, max_retries, start_timeout, now):
        self.number = number
        self.wanted = wanted
        self.max_retries = max_retries
        self.start_timeout = start_timeout
        self.waiting_since = now
        #: The one that may run it, and how many there were.
        self.attempt = None
        self.attempts = 0
        #: How many of them were lost, how often the master refused one, and how often its offers were stale.
        self.tries = self.refusals = self.stale = 0
        #: When it may be tried again.
        self.not_before = now
        #: The agent that is kept free for it.
        self.claimed = None

    def __lt__(self, other):
        return self.number < other.number


class Pool(object):
    """Decides; see the module. `is_linked(task_id)` tells whether the connection of an attempt is open just now."""

    def __init__(self, is_linked, role='*', executor_idle=60.0):
        self._orders = []
        self._timers = Timers()
        self._agents = Agents()
        self._market = Market()
        self._attempts = Attempts(self, self._orders, self._timers, self._agents, is_linked)
        self._commands = {}
        self._waiting = []              # those without an attempt, in order of their numbers
        self._executor_idle = executor_idle
        self._accepts = {}              # serial: the ids of its tasks, and of its offers
        self._serial = 0
        self._leaving = {}              # executor id: its Shutdown, and how often that is still to be sent
        self._is_subscribed = False
        self._subscribed_at = None
        self._roles = {role}            # that commands want
        self._known_roles = {role}      # that the master knows of
        self._asked_roles = None        # that it was asked to take
        self._role_refusals = 0
        self._is_closed = False
        self._is_news = False           # something may fit that did not before

    # ---- looking at it

    @property
    def running(self):
        """How many commands have not ended."""
        return len(self._commands)

    @property
    def tasks(self):
        """How many tasks Mesos may still have."""
        return sum(1 for attempt in self._attempts.all() if attempt.terminal is None)

    @property
    def roles(self):
        """The roles that the framework is to subscribe with, sorted."""
        return sorted(self._roles)

    def next(self):
        """When :meth:`decide` is to be called at the latest; None: when something happens."""
        return self._timers.next()

    # ---- commands

    def submit(self, number, wanted, max_retries, start_timeout, now):
        """A command is to be run; numbers increase."""
        command = Command(number, wanted, max_retries, start_timeout, now)
        self._commands[number] = command
        if start_timeout is not None:
            self._timers.set(('deadline', number), now + start_timeout)
        self._roles.add(wanted.role)
        self._wait(command, now)

    def cancel(self, number, now, why='it was cancelled before it began'):
        """A command is of no more use: withdraw it, or have Mesos kill it."""
        command = self._commands.get(number)
        if command is None:
            return
        attempt = command.attempt
        if attempt is not None and attempt.phase != PLACED:
            self._attempts.kill(attempt, now)
        else:
            self._fail(command, StartFailed(why), now)

    def close(self, now):
        """Cancel all commands, and have no more executors than these need."""
        self._is_closed = True
        for number in sorted(self._commands):
            self.cancel(number, now, 'the cluster was closed')

    def fail(self, make_error):
        """Nothing will happen any more: every command ends with an exception of its own, ``make_error(has_begun)``."""
        for number, command in sorted(self._commands.items()):
            has_begun = command.attempt is not None and command.attempt.phase != PLACED
            self._orders.append(End(number, None, make_error(has_begun)))
        for attempt in self._attempts.all():
            if attempt.phase != OVER or attempt.is_open:
                self._orders.append(Drop(attempt.task_id))
        self._commands.clear()
        self._leaving.clear()
        self._waiting = []
        self._is_subscribed = False
        self._timers.clear()

    # ---- the subscription

    def subscribed(self, now):
        """There is a new subscription, with :attr:`roles` as they were given to it."""
        self._is_subscribed = True
        self._subscribed_at = now
        self._accepts.clear()           # what is known of their tasks is what Mesos says from now on
        self._asked_roles = None
        self._market.reset()
        self._attempts.subscribed(now)
        for executor_id in self._leaving:
            self._timers.set(('leaving', executor_id), now)
        for command in self._waiting:
            command.waiting_since = max(command.waiting_since, now)

    def disconnected(self, now):
        """There is none any more; nothing can be asked of Mesos."""
        self._is_subscribed = False
        self._market.reset()
        self._attempts.disconnected()

    def subscribing_with(self, roles):
        """The next subscription has these roles."""
        self._known_roles = set(roles)

    def offered(self, offers):
        """A list of :class:`placement.Offer`."""
        for offer in offers:
            self._agents.note(offer)
            self._market.add(offer)
        self._is_news = True

    def rescinded(self, offer_id):
        """An offer is not valid any more."""
        self._market.rescind(offer_id)

    def updated(self, update, now):
        """An :class:`orders.Update`."""
        self._attempts.updated(update, now)

    def executor_lost(self, executor_id, now):
        """The process of an executor has ended."""
        if self._leaving.pop(executor_id, None) is not None:
            self._timers.cancel(('leaving', executor_id))
        executor = self._agents.find_executor(executor_id)
        if executor is not None:
            self._attempts.executor_lost(executor, now)

    def agent_lost(self, agent_id, now):
        """An agent is out of reach or gone."""
        self._market.lose_agent(agent_id)
        self._attempts.agent_lost(agent_id, now)
        for command in self._waiting:
            if command.claimed == agent_id:
                command.claimed = None

    def accepted(self, serial, error, now, is_refusal=False):
        """The answer to an Accept: None, or the exception. `is_refusal`: the master said no, and launched nothing."""
        tasks, offer_ids = self._accepts.pop(serial, ((), ()))
        if error is not None and offer_ids and self._is_subscribed:
            self._orders.append(Decline(offer_ids, 0.0))        # which may be ours still
        self._want_offers()             # what the tasks have left can be had now
        for task_id in tasks if error is not None else ():
            attempt = self._attempts.get(task_id)
            if attempt is None or attempt.phase != PLACED or attempt.terminal is not None:
                continue
            command = self._commands[attempt.number]
            self._attempts.give_up(attempt, now)
            command.refusals += is_refusal
            if command.refusals >= MOST_REFUSALS:
                self._fail(command, StartFailed('the master refused to launch the command: %s' % error,
                                                message=str(error)), now)
            else:
                self._wait(command, now, RETRY * 2 ** command.refusals)

    def roles_set(self, roles, error, now, is_refusal=False):
        """The answer to a SetRoles. `is_refusal`: the master said no."""
        if self._asked_roles != set(roles):
            return                      # of an earlier subscription
        self._role_refusals += is_refusal
        if error is not None and self._role_refusals < MOST_REFUSALS:       # perhaps for the moment only
            self._timers.set(_ROLES, now + ROLES_AGAIN)
            return
        self._asked_roles = None
        self._role_refusals = 0
        if error is None:
            self._known_roles = set(roles)
            return
        lacking = set(roles) - self._known_roles
        self._roles -= lacking
        for command in [command for command in self._waiting if command.wanted.role in lacking]:
            self._fail(command, StartFailed('the master does not take the role %s: %s' % (command.wanted.role, error),
                                            message=str(error)), now)

    def _due_roles(self, _key, _now):
        self._asked_roles = None

    def told_of_agents(self, capacities, now):
        """The answer to AskAgents: a list of :class:`placement.Capacity`, None if nobody could tell."""
        if capacities is None:
            return
        explained = {}
        for command in list(self._waiting):
            waited = now - command.waiting_since
            if waited < DOUBT_AFTER:
                continue
            key = id(command.wanted)
            if key not in explained and capacities:
                explained[key] = placement.explain(command.wanted, capacities)
            if explained.get(key) is not None:
                self._fail(command, StartFailed(explained[key], message=explained[key]), now)
            elif not capacities and waited >= NO_AGENTS_LIMIT:
                self._fail(command, StartFailed('the master has had no agent for %d s' % waited), now)

    # ---- connections

    def connected(self, task_id, now):
        """The executor of an attempt has dialled and proved itself, for the first time."""
        attempt = self._attempts.get(task_id)
        if attempt is not None and attempt.phase == PLACED:
            self._attempts.connected(attempt, now)
        else:
            self._orders.append(Drop(task_id))

    def started(self, task_id):
        """The command of an attempt runs."""
        attempt = self._attempts.get(task_id)
        if attempt is not None:
            self._attempts.started(attempt)
            self._timers.cancel(('deadline', attempt.number))

    def exited(self, task_id, returncode, now):
        """The command of an attempt has ended, and what it wrote was written."""
        attempt = self._attempts.get(task_id)
        if attempt is not None:
            self._attempts.exited(attempt, returncode, None, now)

    def not_started(self, task_id, error, now):
        """The command of an attempt could not be begun, because of an exception."""
        attempt = self._attempts.get(task_id)
        if attempt is not None:
            self._attempts.exited(attempt, None, error, now)

    def broken(self, task_id, now):
        """The connection of an attempt is gone for good."""
        attempt = self._attempts.get(task_id)
        if attempt is not None:
            self._attempts.broken(attempt, now)

    def settled(self, task_id, now):
        """The connection of an attempt brings nothing more."""
        attempt = self._attempts.get(task_id)
        if attempt is not None:
            self._attempts.settled(attempt, now)

    # ---- what attempts tell

    def attempt_lost(self, attempt, update, now):
        """An attempt has come to nothing before its command was begun: try again, or give up."""
        command = self._commands.get(attempt.number)
        if command is None or command.attempt is not attempt:
            return
        is_stale = update.reason == STALE
        command.stale += is_stale
        if update.state == 'TASK_ERROR':
            # The task was made for an executor that runs already; perhaps it has just ended, and so nothing was taken
            # for another one. With a new one that cannot be, and what is wrong then will not get right.
            self._agents.lose_executor(attempt.executor)
            if not attempt.was_warm:
                command.tries += 1
                self._give_up(command, attempt, update, now)
                return
        delay = 0.0
        if not is_stale:
            command.tries += 1
            delay = min(RETRY * 2 ** (command.tries - 1), LONGEST_RETRY)
            if update.state == 'TASK_FAILED':
                self._timers.set(('retry', attempt.agent_id), self._agents.failed(attempt.executor, now))
            elif update.reason == EXECUTOR_TERMINATED:
                self._agents.lose_executor(attempt.executor)
        if command.tries > command.max_retries or command.stale > MOST_STALE:
            self._give_up(command, attempt, update, now)
        else:
            self._wait(command, now, delay)

    def attempt_ended(self, attempt, returncode, error, now):
        """The command of an attempt has ended."""
        command = self._commands.get(attempt.number)
        if command is not None:
            self._end(command, returncode, error, now)

    def attempt_freed(self, attempt, now):
        """What an attempt used is free again."""
        if self._waiting:
            self._market.want(attempt.role)

    def attempt_forgotten(self, attempt, now):
        """Nothing more is to be done about an attempt."""
        executor = attempt.executor
        if executor.tasks:
            return
        if executor.is_lost:
            self._shut_down(executor, now)      # should it live after all
        else:
            self._timers.set(('idle', executor.id), now if self._is_closed else now + self._executor_idle)

    # ---- deciding

    def decide(self, now):
        """What is to be done now, a list of :mod:`orders`. To be called after anything was told, and at :meth:`next`.
        """
        for kind, key in self._timers.due(now):
            handler = getattr(self, '_due_' + kind, None)
            if handler is not None:
                handler(key, now)
        if self._is_subscribed:
            if self._waiting:
                self._set_roles()
                self._place(now)
            self._trade(now)
        orders = list(self._orders)
        del self._orders[:]
        return orders

    def _due_look(self, task_id, now):
        self._attempts.look(task_id, now)

    def _due_deadline(self, number, now):
        command = self._commands.get(number)
        if command is not None:
            error = StartTimeout('the command did not start within %g seconds: %s' % (
                command.start_timeout, self._whereabouts(command)), command.start_timeout)
            self._fail(command, error, now)

    def _due_retry(self, _agent_id, _now):
        self._is_news = True            # the agent is not avoided any more
        self._want_offers()

    def _due_again(self, number, _now):
        command = self._commands.get(number)
        if command is not None and command.attempt is None:
            self._is_news = True
            self._market.want(command.wanted.role)

    def _due_idle(self, executor_id, now):
        executor = self._agents.find_executor(executor_id)
        if executor is not None and not executor.tasks:
            self._shut_down(executor, now)

    def _due_doubt(self, _key, now):
        if not self._waiting:
            return
        due = min(command.waiting_since for command in self._waiting) + DOUBT_AFTER
        if now < due:
            self._timers.set(_DOUBT, due)
            return
        if self._is_subscribed:
            self._orders.append(AskAgents())
            for executor in self._agents.idle_executors():      # what they hold may be what is missing
                self._shut_down(executor, now)
        self._timers.set(_DOUBT, now + DOUBT_AGAIN)

    def _shut_down(self, executor, now):
        self._agents.lose_executor(executor)
        self._leaving[executor.id] = [Shutdown(executor.id, executor.agent_id), MOST_SHUTDOWNS]
        self._due_leaving(executor.id, now)

    def _due_leaving(self, executor_id, now):
        """The call may be lost with a subscription, and a master that does not know the agent yet drops it."""
        if executor_id not in self._leaving or not self._is_subscribed:
            return
        order, left = self._leaving[executor_id]
        self._orders.append(order)
        if left > 1:
            self._leaving[executor_id][1] = left - 1
            self._timers.set(('leaving', executor_id), now + SHUTDOWN_AGAIN)
        else:
            del self._leaving[executor_id]

    def _set_roles(self):
        if self._asked_roles is None and not self._roles <= self._known_roles:
            self._asked_roles = set(self._roles)
            self._orders.append(SetRoles(self.roles, self._market.suppressed_roles()))

    def _place(self, now):
        ready = [command for command in self._waiting if command.not_before <= now]
        if ready and self._is_news and len(self._market):
            placements = placement.place(
                ready, self._market.piles(), lambda agent_id, kind: self._agents.executor(agent_id, kind) is not None,
                lambda agent_id: self._agents.is_avoided(agent_id, now), lambda command: self._is_patient(command, now))
            self._accept(placements, now)
        self._is_news = False
        self._see_to_the_starving(now)

    def _is_patient(self, command, now):
        """Whether a command waits for one of the executors that run: offers of their agents come at once if there is
        room, and to start another one takes far longer."""
        until = command.waiting_since + PATIENCE
        if now >= until or not self._agents.has_executors(command.wanted.kind):
            return False
        self._timers.set_if_sooner(_PATIENCE, until)
        return True

    def _due_patience(self, _key, _now):
        self._is_news = True

    def _accept(self, placements, now):
        by_pile = OrderedDict()
        for placed in placements:
            by_pile.setdefault(id(placed.pile), []).append(placed)
        for placed_here in by_pile.values():
            pile = placed_here[0].pile
            launches = tuple(self._launch(placed, now) for placed in placed_here)
            self._serial += 1
            offer_ids = tuple(self._market.take(pile))
            self._accepts[self._serial] = [launch.task_id for launch in launches], offer_ids
            self._orders.append(Accept(self._serial, pile.agent_id, offer_ids, launches))
        if placements:
            self._waiting = [command for command in self._waiting if command.attempt is None]

    def _launch(self, placed, now):
        command = placed.item
        kind = command.wanted.kind
        executor = self._agents.executor(placed.pile.agent_id, kind)
        if executor is None:
            executor = self._agents.begin_executor(placed.pile.agent_id, kind, placed.share)
        command.attempts += 1
        task_id = 'command-%d' % command.number + ('.%d' % command.attempts if command.attempts > 1 else '')
        self._timers.cancel(('idle', executor.id))
        command.claimed = None
        command.attempt = Attempt(task_id, command.number, command.wanted.role, executor, placed.resources,
                                  placed.share is None, now)
        self._attempts.add(command.attempt, now)
        return Launch(task_id, command.number, placed.resources, executor)

    def _see_to_the_starving(self, now):
        seen = set()
        for command in self._waiting:
            if len(seen) == len(self._roles):
                return
            role = command.wanted.role
            if role in seen:
                continue
            seen.add(role)
            patience = command.waiting_since + STARVING
            if now < patience:
                self._timers.set_if_sooner(('claim', role), patience)
            elif ('claim', role) not in self._timers:
                command.claimed = placement.claim(command.wanted, self._prospects(role))
                self._timers.set(('claim', role), now + CLAIM_AGAIN)

    def _prospects(self, role):
        """What every agent could give to a command of a role in time, for :func:`placement.claim`."""
        used = {}
        for attempt in self._attempts.all():
            if attempt.terminal is None and attempt.role == role:
                used[attempt.agent_id] = used.get(attempt.agent_id, NOTHING) + attempt.resources
        offered = dict((pile.agent_id, pile.rest) for pile in self._market.piles() if pile.role == role)
        return [(agent_id, hostname, attributes, offered.get(agent_id) or last, used.get(agent_id, NOTHING))
                for agent_id, hostname, attributes, last in self._agents.known(role)]

    def _trade(self, now):
        waiting = set(command.wanted.role for command in self._waiting if command.not_before <= now)
        crowd = self._attempts.count_young(now) if waiting else 0
        orders, again = self._market.run(self._known_roles, waiting & self._known_roles, crowd, now)
        self._orders.extend(orders)
        if again is None:
            self._timers.cancel(_MARKET)
        else:
            self._timers.set(_MARKET, again)

    def _want_offers(self):
        for role in set(command.wanted.role for command in self._waiting):
            self._market.want(role)

    # ---- what becomes of a command

    def _wait(self, command, now, delay=0.0):
        command.attempt = None
        command.waiting_since = now
        command.not_before = now + delay
        bisect.insort(self._waiting, command)
        self._is_news = True
        self._market.want(command.wanted.role)
        if delay:
            self._timers.set(('again', command.number), command.not_before)
        if _DOUBT not in self._timers:
            self._timers.set(_DOUBT, now + DOUBT_AFTER)

    def _give_up(self, command, attempt, update, now):
        text = 'task %s on agent %s %s' % (attempt.task_id, self._agents.hostname(attempt.agent_id),
                                           describe(update, 'was lost'))
        if command.tries > 1:
            text += ' (and %d before it)' % (command.tries - 1)
        if update.reason == EXECUTOR_TERMINATED:
            text += ("; stderr in the sandbox of executor %s says why: a Python that the agent has not got ('python' "
                     'in CONFIG), perhaps' % attempt.executor.id)
        self._fail(command, StartFailed('the command was not begun: ' + text, update.state, update.reason,
                                        update.message), now)

    def _fail(self, command, error, now):
        """It ends with an exception, whether it has an attempt or not."""
        attempt = command.attempt
        self._end(command, None, error, now)
        if attempt is not None and attempt.phase != OVER:
            self._attempts.give_up(attempt, now)

    def _end(self, command, returncode, error, now):
        if self._commands.pop(command.number, None) is None:
            return
        self._timers.cancel(('deadline', command.number))
        if command.attempt is None:
            self._waiting.remove(command)
        self._orders.append(End(command.number, returncode, error))

    def _whereabouts(self, command):
        if not self._is_subscribed:
            return 'there is no subscription with the master'
        if command.attempt is None:
            return 'no offer was large enough for %s' % (command.wanted,)
        return 'its executor on agent %s has not connected' % self._agents.hostname(command.attempt.agent_id)

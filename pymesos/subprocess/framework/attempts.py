"""The attempts at commands, each a Mesos task: what was heard of them from Mesos and over their connections. Pure.

An attempt is PLACED (an ACCEPT names it), BEGUN (START was sent to it: from here on no other may take its place),
RUNNING, and OVER: of no more use for its command, which has ended or has another attempt. It is kept until Mesos, too,
says that it has ended, and all that its command wrote has arrived.
"""
from __future__ import absolute_import, division, print_function

from collections import deque

from ...wire.events import ENDED
from ..errors import TaskLost
from .orders import Drop, Kill, Reconcile, Signal, Start, Update

__all__ = ['BEGUN', 'OVER', 'PLACED', 'RUNNING', 'Attempt', 'Attempts', 'describe']

PLACED, BEGUN, RUNNING, OVER = 'PLACED', 'BEGUN', 'RUNNING', 'OVER'

#: States of a task that is alive, and of one whose agent is out of reach.
ALIVE = frozenset(['TASK_STAGING', 'TASK_STARTING', 'TASK_RUNNING'])
OUT_OF_REACH = frozenset(['TASK_UNREACHABLE', 'TASK_UNKNOWN'])

#: Seconds after which Mesos is asked about a task first, by what is wrong with it; doubled each time, and the most.
STAGING, NO_UPDATE, BROKEN, KILLING, AFTER_LOSS = 5.0, 10.0, 2.0, 5.0, 1.0
LONGEST = 60.0

#: Seconds after which a task of which nothing is heard but that it is staging is given up.
STAGING_LIMIT = 300.0

#: Seconds that are left to a connection to bring what was under way when Mesos said that the task had ended.
GRACE = 0.5

#: Seconds that are left to the update with the return code after an answer that told only the state (PROTOCOL 2.8).
LATE = 15.0
RECONCILIATION = 'REASON_RECONCILIATION'

#: Seconds after which neither Mesos' silence nor a connection that tells nothing is waited for any more.
LIMIT = 60.0

#: How often Mesos is asked about a task that matters to nobody any more.
MOST_LOOKS = 16

#: Seconds for which an attempt counts as young.
YOUNG = 0.5

TERM = 15


class Attempt(object):
    """One attempt at a command."""

    __slots__ = ('agent_id', 'ended_at', 'executor', 'is_broken', 'is_doomed', 'is_open', 'last', 'looks', 'number',
                 'phase', 'resources', 'role', 'since', 'task_id', 'terminal', 'was_warm')

    def __init__(self, task_id, number, role, executor, resources, was_warm, now):
        self.task_id = task_id
        #: Of the command.
        self.number = number
        self.role = role
        self.executor = executor
        self.agent_id = executor.agent_id
        self.resources = resources
        self.since = now
        self.phase = PLACED
        #: Whether its executor was there before, so that nothing was taken for one.
        self.was_warm = was_warm
        #: Whether something may still come over its connection.
        self.is_open = False
        #: Whether its connection is gone for good.
        self.is_broken = False
        #: Whether it is killed until it is dead.
        self.is_doomed = False
        #: The update with which Mesos ended it, when, and the last that was none such.
        self.terminal = None
        self.ended_at = None
        self.last = None
        #: How often Mesos was asked since it last answered.
        self.looks = 0


class Attempts(object):
    """All attempts. `host` (the pool) is told what follows: ``attempt_lost``, ``attempt_ended``, ``attempt_freed``.

    `orders` is the list that orders are put on, `timers` has a time to look at an attempt under ``('look', task_id)``,
    `is_linked(task_id)` tells whether the connection of an attempt is open just now.
    """

    def __init__(self, host, orders, timers, agents, is_linked):
        self._host = host
        self._orders = orders
        self._timers = timers
        self._agents = agents
        self._is_linked = is_linked
        self._attempts = {}
        self._latest = deque()          # (since, task id) of those that were young a moment ago, the oldest first,
        self._young = set()             # and the ids of those of them that are not over
        self._is_subscribed = False

    def __len__(self):
        return len(self._attempts)

    def get(self, task_id):
        """The attempt of that id, None if there is none any more."""
        return self._attempts.get(task_id)

    def all(self):
        """A list of all attempts."""
        return list(self._attempts.values())

    def count_young(self, now):
        """How many were placed a moment ago and have not ended."""
        self._forget_old(now)
        return len(self._young)

    def _forget_old(self, now):
        while self._latest and self._latest[0][0] < now - YOUNG:
            self._young.discard(self._latest.popleft()[1])

    def add(self, attempt, now):
        """It is placed."""
        self._forget_old(now)
        self._attempts[attempt.task_id] = attempt
        self._latest.append((now, attempt.task_id))
        self._young.add(attempt.task_id)
        attempt.executor.tasks.add(attempt.task_id)
        self._look_at(attempt, now + STAGING)

    # ---- what the pool decides

    def give_up(self, attempt, now):
        """It is of no more use: end its connection, and kill it until it is dead."""
        self._close(attempt)
        self._put_aside(attempt)
        self.kill(attempt, now)

    def kill(self, attempt, now):
        """Kill it until it is dead."""
        if attempt.terminal is not None:
            self._forget_if_done(attempt, now)
        elif not attempt.is_doomed:
            attempt.is_doomed = True
            attempt.looks = 0
            if not self._is_subscribed and attempt.phase in (BEGUN, RUNNING):
                self._orders.append(Signal(attempt.task_id, TERM))      # Mesos cannot be told just now
            self._look_at(attempt, now)

    # ---- the subscription

    def subscribed(self, now):
        """Ask about all that may have changed meanwhile."""
        self._is_subscribed = True
        open_ones = [attempt for attempt in self._attempts.values() if attempt.terminal is None]
        if open_ones:
            self._reconcile(sorted(open_ones, key=lambda attempt: attempt.since))
        for attempt in open_ones:
            attempt.looks = 0
            if attempt.is_doomed:
                self._look_at(attempt, now)
            elif attempt.phase != RUNNING or attempt.is_broken:
                self._look_at(attempt, now + AFTER_LOSS)

    def disconnected(self):
        """Nothing can be asked now."""
        self._is_subscribed = False

    def executor_lost(self, executor, now):
        """Its process has ended: updates for its tasks should come, but may get lost."""
        executor.is_dead = True
        self._agents.lose_executor(executor)
        for task_id in list(executor.tasks):
            is_ended = self._attempts[task_id].terminal is not None
            self._timers.set_if_sooner(('look', task_id), now + (GRACE if is_ended else AFTER_LOSS))

    def agent_lost(self, agent_id, now):
        """It is out of Mesos' reach, or gone."""
        for attempt in self._attempts.values():
            if attempt.agent_id == agent_id:
                self._timers.set_if_sooner(('look', attempt.task_id), now + AFTER_LOSS)

    # ---- the connection

    def connected(self, attempt, now):
        """Its executor has dialled: begin the command there if it is the one that is to run it."""
        self._agents.worked(attempt.agent_id)
        attempt.phase = BEGUN
        attempt.is_open = True
        self._timers.cancel(('look', attempt.task_id))
        self._orders.append(Start(attempt.task_id, attempt.number))

    def started(self, attempt):
        """The command runs."""
        if attempt.phase == BEGUN:
            attempt.phase = RUNNING

    def exited(self, attempt, returncode, error, now):
        """The command has ended with `returncode`, or could not be begun because of `error`."""
        if attempt.phase not in (BEGUN, RUNNING):
            return
        self._end(attempt, returncode, error, now)
        attempt.is_doomed = False
        if attempt.terminal is None:
            self._look_at(attempt, now + NO_UPDATE)

    def broken(self, attempt, now):
        """Its connection is gone for good."""
        attempt.is_broken = True
        attempt.is_open = False
        if attempt.phase in (BEGUN, RUNNING):
            if attempt.terminal is None:
                attempt.looks = 0
                attempt.ended_at = now
            self._look_at(attempt, now)
            return
        self._forget_if_done(attempt, now)

    def settled(self, attempt, now):
        """All that its connection could bring has arrived."""
        attempt.is_open = False
        self._forget_if_done(attempt, now)

    # ---- what Mesos says

    def updated(self, update, now):
        """A status update, perhaps late, repeated or of a task that nobody knows any more."""
        attempt = self._attempts.get(update.task_id)
        if attempt is None:
            if update.state in ALIVE and self._is_subscribed:
                self._orders.append(Kill(update.task_id, update.agent_id))
            return
        if attempt.terminal is not None:
            if attempt.terminal.returncode is None and update.state in ENDED and update.returncode is not None:
                attempt.terminal = update
            return
        attempt.looks = 0
        if update.state in ENDED:
            self._take_end(attempt, update, now)
            return
        attempt.last = update
        if update.state in OUT_OF_REACH:
            self._take_absence(attempt, update, now)

    def _take_end(self, attempt, update, now):
        attempt.terminal = update
        attempt.ended_at = now
        self._timers.cancel(('look', attempt.task_id))
        if attempt.phase in (BEGUN, RUNNING):
            self._look_at(attempt, now + GRACE)
        elif attempt.phase == PLACED:
            self._lose(attempt, update, now)
        self._host.attempt_freed(attempt, now)
        self._forget_if_done(attempt, now)

    def _take_absence(self, attempt, update, now):
        if attempt.phase == PLACED:
            self._lose(attempt, update, now)
            self.kill(attempt, now + STAGING)       # should its agent come back
        elif attempt.phase == OVER and not attempt.is_open:
            self._forget(attempt, now)
        elif attempt.is_broken:
            self._conclude(attempt, now)

    def _lose(self, attempt, update, now):
        """It has come to nothing before its command was begun."""
        self._close(attempt)
        self._put_aside(attempt)
        self._host.attempt_lost(attempt, update, now)

    # ---- looking at it

    def look(self, task_id, now):
        """It is time to look at an attempt."""
        attempt = self._attempts.get(task_id)
        if attempt is None:
            return
        if attempt.terminal is not None:
            if attempt.phase != OVER:
                self._await_connection(attempt, now)
            elif attempt.executor.is_dead and not self._is_linked(task_id):
                self._close(attempt)            # there is nobody to bring the rest of what it wrote
                self._forget_if_done(attempt, now)
        elif attempt.is_doomed:
            self._ask([Kill(attempt.task_id, attempt.agent_id)], attempt, KILLING, now)
        elif attempt.phase == PLACED:
            self._look_at_staging(attempt, now)
        elif attempt.phase == OVER:
            self._ask([], attempt, NO_UPDATE, now)
        elif attempt.is_broken:
            self._look_at_broken(attempt, now)
        elif not self._is_linked(task_id):
            self._ask([], attempt, STAGING, now)

    def _await_connection(self, attempt, now):
        """Mesos says that it has ended; perhaps the connection brings its return code, or what it wrote, still."""
        age = now - attempt.ended_at
        is_linked = self._is_linked(attempt.task_id)
        is_known = attempt.terminal.returncode is not None
        if is_linked:
            is_enough = not is_known and age >= LIMIT
        elif is_known:
            is_enough = attempt.is_broken or attempt.executor.is_dead or age >= LIMIT
        else:
            is_enough = age >= (LATE if attempt.terminal.reason == RECONCILIATION else GRACE)
        if is_enough:
            self._conclude(attempt, now)
        else:
            self._look_at(attempt, now + (GRACE if age < LIMIT else LIMIT))

    def _look_at_staging(self, attempt, now):
        if now < attempt.since + STAGING_LIMIT:
            self._ask([], attempt, STAGING, now)
            return
        silence = Update(attempt.task_id, None, attempt.agent_id, None, None,
                         'its executor did not connect within %d s' % STAGING_LIMIT, None)
        self._lose(attempt, silence, now)
        self.kill(attempt, now)

    def _look_at_broken(self, attempt, now):
        if now < attempt.ended_at + LIMIT:
            self._ask([], attempt, BROKEN, now)
            return
        self._conclude(attempt, now)
        self.kill(attempt, now)

    def _ask(self, orders, attempt, first, now):
        """Give `orders`, ask Mesos for its state if that is all or comes to nothing, and look again later."""
        if attempt.phase == OVER and attempt.looks > MOST_LOOKS:
            self._forget(attempt, now)
            return
        if self._is_subscribed:
            self._orders.extend(orders)
            if not orders or attempt.looks > 1:
                self._reconcile([attempt])
            attempt.looks += 1
        self._look_at(attempt, now + min(first * 2 ** max(attempt.looks - 1, 0), LONGEST))

    def _reconcile(self, attempts):
        tasks = tuple((attempt.task_id, attempt.agent_id) for attempt in attempts)
        if self._orders and isinstance(self._orders[-1], Reconcile):
            tasks = self._orders.pop().tasks + tasks
        self._orders.append(Reconcile(tasks))

    def _look_at(self, attempt, when):
        self._timers.set(('look', attempt.task_id), when)

    # ---- the end

    def _conclude(self, attempt, now):
        """What Mesos knows is all that will ever be known."""
        update = attempt.terminal or attempt.last
        if update is not None and update.returncode is not None:
            if attempt.executor.is_dead:
                self._close(attempt)
            self._end(attempt, update.returncode, None, now)
            return
        self._close(attempt)
        if update is None:
            why = 'its connection broke, and Mesos does not answer'
        elif attempt.terminal is None and update.state not in OUT_OF_REACH:
            why = 'its connection broke; Mesos last said %s of it, and it is killed' % update.state
        else:
            why = describe(update, '')
        error = TaskLost(
            'task %s on agent %s was lost: %s' % (attempt.task_id, self._agents.hostname(attempt.agent_id), why),
            attempt.task_id, attempt.agent_id, update and update.state, update and update.reason,
            update and update.message)
        self._end(attempt, None, error, now)

    def _end(self, attempt, returncode, error, now):
        self._put_aside(attempt)
        attempt.looks = 0
        self._host.attempt_ended(attempt, returncode, error, now)
        self._forget_if_done(attempt, now)

    def _put_aside(self, attempt):
        """It is of no more use."""
        attempt.phase = OVER
        self._young.discard(attempt.task_id)

    def _close(self, attempt):
        """End its connection."""
        self._orders.append(Drop(attempt.task_id))
        attempt.is_open = False

    def _forget_if_done(self, attempt, now):
        if attempt.phase == OVER and attempt.terminal is not None and not attempt.is_open:
            self._forget(attempt, now)

    def _forget(self, attempt, now):
        if self._attempts.pop(attempt.task_id, None) is None:
            return
        self._timers.cancel(('look', attempt.task_id))
        self._agents.release(attempt.executor, attempt.task_id)
        self._host.attempt_forgotten(attempt, now)


def describe(update, otherwise):
    """What an update says, as text: ``TASK_FAILED (REASON_EXECUTOR_TERMINATED): its message``."""
    if update is None:
        return otherwise
    text = update.state or ''
    if update.reason:
        text += ' (%s)' % update.reason
    if update.message:
        text += '%s%s' % (': ' if text else '', update.message)
    return text or otherwise

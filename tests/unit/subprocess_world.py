"""A small Mesos with agents, executors, a network and a clock of its own, on which whole lives of a pool are played.

Whatever may be lost, late, repeated or out of order in the real one may be here, at random.
"""
from __future__ import absolute_import, division, print_function

import heapq
import itertools

from pymesos.resources import Resources, parse
from pymesos.subprocess.framework.orders import (Accept, AskAgents, Decline, Drop, End, Kill, Reconcile, Revive,
                                                 SetRoles, Shutdown, Signal, Start, Suppress, Update)
from pymesos.subprocess.framework.placement import Capacity, Offer
from pymesos.subprocess.framework.pool import Pool

LOST_AFTER = 60.0


class Refused(Exception):
    """What a call fails with."""


class Process(object):
    """A command that was begun on an agent."""

    def __init__(self, task_id, number, returncode):
        self.task_id, self.number, self.returncode = task_id, number, returncode
        self.is_dead = False


class Agent(object):
    """An agent of the small Mesos."""

    def __init__(self, agent_id, resources):
        self.id = agent_id
        self.total = parse(resources)
        self.is_there = True
        self.executors = {}             # id: Resources
        self.tasks = {}                 # id: [executor id, Resources, state]
        self.offered = {}               # offer id: Resources
        self.unacknowledged = {}        # task id: the state in which it ended

    def free(self):
        """What is neither used nor offered."""
        used = [text for text in self.executors.values()] + [task[1] for task in self.tasks.values()] \
            + list(self.offered.values())
        return self.total - sum((one.flatten() for one in used), Resources())


class World(object):
    """See the module. `faults` is how likely each thing that can go wrong is, 0 for never."""

    def __init__(self, random, faults=0.0, agents=('cpus:4;mem:4096',), **options):
        self.random = random
        self.faults = faults
        self.now = 1000.0
        self._events = []
        self._serial = itertools.count()
        self._sent = {}
        self._epoch = 0                 # the number of the subscription
        self.agents = dict(('agent%d' % number, Agent('agent%d' % number, text))
                           for number, text in enumerate(agents, 1))
        self.is_subscribed = False
        self.is_suppressed = False
        self.knows = set()              # agents that this master knows
        self.links = {}                 # task id: [is it open, is it broken for good]
        self.expected = set()           # tasks whose executor is let in
        self.processes = {}             # task id: Process
        self.starts = {}                # number: how often
        self.truth = {}                 # number: return code of what ran to its end
        self.ends = {}                  # number: [End]
        self.calls = []
        self.acknowledged = set()
        self.pool = Pool(lambda task_id: self.links.get(task_id, (False, False))[0], **options)

    # ---- the clock

    def later(self, delay, function, *args):
        """Have something happen."""
        heapq.heappush(self._events, (self.now + delay, next(self._serial), function, args))

    def soon(self, function, *args):
        """Have something happen within milliseconds, or, rarely, seconds."""
        slow = self.random.random() < 0.05
        self.later(self.random.uniform(0.0001, 8.0 if slow and self.faults else 0.005), function, *args)

    def in_order(self, stream, function, *args):
        """The same on a connection: nothing overtakes what was sent before."""
        slow = self.random.random() < 0.02
        at = self.now + self.random.uniform(0.0001, 2.0 if slow and self.faults else 0.005)
        at = self._sent[stream] = max(at, self._sent.get(stream, 0.0))
        heapq.heappush(self._events, (at, next(self._serial), function, args))

    def is_unlucky(self, share=1.0):
        """Whether something goes wrong now."""
        return self.random.random() < self.faults * share

    def run(self, until):
        """Play until the given time."""
        while True:
            due = self.pool.next()
            at = self._events[0][0] if self._events else None
            when = min([time for time in (due, at) if time is not None] or [None])
            if when is None or when > until:
                self.now = until
                return
            self.now = max(self.now, when)
            if at is not None and at <= self.now:
                _, _, function, args = heapq.heappop(self._events)
                function(*args)
            self.decide()

    def decide(self):
        """Do what the pool wants."""
        for order in self.pool.decide(self.now):
            self.calls.append((self.now, order))
            getattr(self, '_do_' + type(order).__name__.lower())(order)

    # ---- the master

    def subscribe(self):
        """The pool gets a subscription."""
        self.is_subscribed, self.is_suppressed = True, False
        self._epoch += 1
        for agent in self.agents.values():
            agent.offered.clear()       # of an earlier subscription
        self.pool.subscribed(self.now)
        self.later(0.001, self.allocate)

    def allocate(self):
        """Offer what is free."""
        if not self.is_subscribed or self.is_suppressed:
            return
        offers = []
        for agent in self.agents.values():
            free = agent.free()
            if agent.id not in self.knows or not agent.is_there or free.cpus < 0.01 or free.mem < 32:
                continue
            offer_id = 'offer%d' % next(self._serial)
            agent.offered[offer_id] = free
            offers.append(self._offer(offer_id, agent, free))
        if offers:
            self._event(self.pool.offered, offers)
        for offer in offers:
            if self.is_unlucky(0.2):
                self.soon(self._rescind, offer.id)

    def _offer(self, offer_id, agent, resources):
        listed = resources.to_list()
        for resource in listed:
            resource['allocation_info'] = {'role': '*'}
        return Offer({'id': {'value': offer_id}, 'agent_id': {'value': agent.id}, 'hostname': agent.id,
                      'allocation_info': {'role': '*'}, 'resources': listed}, self.now)

    def tick(self):
        """The master's own allocation, every second."""
        self.allocate()
        self.later(1.0, self.tick)

    def _event(self, function, *args):
        """Send an event: it arrives, and after those before it, unless the subscription ends."""
        self.in_order('events', self._deliver, self._epoch, function, args)

    def _deliver(self, epoch, function, args):
        if self.is_subscribed and epoch == self._epoch:
            function(*args)

    def _rescind(self, offer_id):
        for agent in self.agents.values():
            if agent.offered.pop(offer_id, None) is not None:
                self._event(self.pool.rescinded, offer_id)

    def fail_over(self):
        """The master dies; another one takes its place, and the agents find it in time."""
        self.is_subscribed = False
        self.knows.clear()
        for agent in self.agents.values():
            agent.offered.clear()
            self.later(self.random.uniform(0.1, 10.0), self.knows.add, agent.id)
        self.pool.disconnected(self.now)
        self.later(self.random.uniform(0.1, 5.0), self.subscribe)

    def update(self, task_id, state, agent_id, reason=None, message=None, returncode=None, is_reliable=True):
        """Send a status update; a reliable one comes again until it has arrived, and perhaps once more."""
        if task_id + state in self.acknowledged and is_reliable:
            return
        update = Update(task_id, state, agent_id, None, reason, message,
                        0 if state == 'TASK_FINISHED' else returncode)
        if self.is_subscribed and (agent_id in self.knows or not is_reliable):
            if not self.is_unlucky():
                self._event(self._arrive, update, is_reliable)
            if self.is_unlucky():
                self._event(self._arrive, update, is_reliable)
        if is_reliable:
            self.later(10.0, self.update, task_id, state, agent_id, reason, message, returncode)

    def _arrive(self, update, is_reliable):
        if is_reliable:
            self.acknowledged.add(update.task_id + update.state)
            if self.agents[update.agent_id].unacknowledged.get(update.task_id) == update.state:
                del self.agents[update.agent_id].unacknowledged[update.task_id]
        self.pool.updated(update, self.now)

    # ---- what the pool orders

    def _call(self, function, *args):
        """A call of the pool's: it arrives, and after those before it, unless the subscription ends."""
        self.in_order('calls', self._take_call, self._epoch, function, args)

    def _take_call(self, epoch, function, args):
        if self.is_subscribed and epoch == self._epoch:
            function(*args)

    def _do_revive(self, _order):
        def revive():
            self.is_suppressed = False
            self.allocate()
        self._call(revive)

    def _do_suppress(self, _order):
        def suppress():
            self.is_suppressed = True
        self._call(suppress)

    def _do_decline(self, order):
        def decline():
            for agent in self.agents.values():
                for offer_id in order.offer_ids:
                    agent.offered.pop(offer_id, None)
        self._call(decline)

    def _do_askagents(self, _order):
        self.soon(self._tell_agents)

    def _tell_agents(self):
        known = [Capacity(agent.id, [], agent.total) for agent in self.agents.values() if agent.id in self.knows]
        self.pool.told_of_agents(None if self.is_unlucky() else known, self.now)

    def _do_setroles(self, order):
        self.soon(self.pool.roles_set, order.roles, None, self.now)

    def _do_accept(self, order):
        fate = self.random.random() if self.is_unlucky() else 1.0
        self.expected.update(launch.task_id for launch in order.launches)
        if fate < 0.3:                  # refused, or lost on the way
            self.soon(self._answer, order, Refused('no'), fate < 0.15)
        else:
            self._call(self._accept, order)
            self.soon(self._answer, order, Refused('the connection broke') if fate < 0.6 else None, False)

    def _answer(self, order, error, is_refusal):
        self.pool.accepted(order.serial, error, self.now, is_refusal)

    def _accept(self, order):
        agent = self.agents[order.agent_id]
        offered = Resources()
        is_good = agent.is_there and agent.id in self.knows
        for offer_id in order.offer_ids:
            is_good = is_good and offer_id in agent.offered
            offered = offered + agent.offered.pop(offer_id, Resources())
        for launch in order.launches:
            if not is_good:
                self.update(launch.task_id, 'TASK_DROPPED', agent.id, 'REASON_INVALID_OFFERS', is_reliable=False)
            else:
                offered = self._launch(agent, launch, offered)

    def _launch(self, agent, launch, offered):
        executor = launch.executor
        need = launch.resources.flatten()
        if executor.id not in agent.executors:
            need = need + executor.resources.flatten()
        if not offered.contains(need):
            self.update(launch.task_id, 'TASK_ERROR', agent.id, 'REASON_TASK_INVALID', 'uses more', is_reliable=False)
            return offered
        agent.executors.setdefault(executor.id, executor.resources.flatten())
        agent.tasks[launch.task_id] = [executor.id, launch.resources.flatten(), 'TASK_STAGING']
        if self.is_unlucky(0.3):
            self.soon(self.kill_executor, agent, executor.id)
        else:
            self.soon(self._dial, agent, launch)
        return offered - need

    def _do_kill(self, order):
        self._call(self._kill, order)

    def _kill(self, order):
        for agent in self.agents.values():
            if order.task_id in agent.tasks:
                if agent.is_there and agent.id in self.knows:
                    self.soon(self.end_task, agent, order.task_id, 'TASK_KILLED', -15)
                return
        self._reconcile_one(order.task_id, order.agent_id)

    def _do_reconcile(self, order):
        for task_id, agent_id in order.tasks:
            self._call(self._reconcile_one, task_id, agent_id)

    def _reconcile_one(self, task_id, agent_id):
        agent = self.agents.get(agent_id)
        if agent is None or agent_id not in self.knows:
            if agent is None or agent.is_there:
                return                  # it may still register
            state = 'TASK_UNREACHABLE'
        else:
            state = agent.tasks[task_id][2] if task_id in agent.tasks else agent.unacknowledged.get(
                task_id, 'TASK_GONE')
        self.update(task_id, state, agent_id, 'REASON_RECONCILIATION', is_reliable=False)

    def _do_shutdown(self, order):
        agent = self.agents[order.agent_id]
        self._call(self.kill_executor, agent, order.executor_id)

    def _do_signal(self, order):
        process = self.processes.get(order.task_id)
        if process is not None and self.links[order.task_id][0]:
            self.soon(self.end_task, self._agent_of(order.task_id), order.task_id, 'TASK_FAILED', -order.signal)

    def _do_drop(self, order):
        self.expected.discard(order.task_id)
        self.links[order.task_id] = (False, True)

    def _do_end(self, order):
        self.ends.setdefault(order.number, []).append(order)

    # ---- executors and their connections

    def _dial(self, agent, launch):
        if launch.task_id not in agent.tasks:
            return
        if launch.task_id not in self.expected:
            self.later(10.0, self.end_task, agent, launch.task_id, 'TASK_FAILED', None, 'cannot reach the program')
            return
        self.links[launch.task_id] = (True, False)
        self.pool.connected(launch.task_id, self.now)

    def _do_start(self, order):
        self.starts[order.number] = self.starts.get(order.number, 0) + 1
        assert order.task_id in self.expected
        self.soon(self._begin, order)

    def _begin(self, order):
        agent = self._agent_of(order.task_id)
        if agent is None or not self.links[order.task_id][0]:
            return
        process = self.processes[order.task_id] = Process(order.task_id, order.number, self.random.randrange(4))
        agent.tasks[order.task_id][2] = 'TASK_RUNNING'
        self.update(order.task_id, 'TASK_RUNNING', agent.id)
        self.pool.started(order.task_id)
        if self.is_unlucky():
            self.soon(self._cut, order.task_id)
        self.later(self.random.choice([0.001, 0.1, 3.0, 30.0]), self._exit, process)

    def _exit(self, process):
        if process.is_dead:
            return
        process.is_dead = True
        self.truth[process.number] = process.returncode
        agent = self._agent_of(process.task_id)
        if agent is not None:
            self.end_task(agent, process.task_id, 'TASK_FAILED' if process.returncode else 'TASK_FINISHED',
                          process.returncode)

    def _tell_exit(self, task_id, returncode):
        is_open, is_broken = self.links.get(task_id, (False, True))
        if is_broken:
            return
        if not is_open:
            self.later(0.5, self._tell_exit, task_id, returncode)
            return
        self.pool.exited(task_id, returncode, self.now)
        self.later(self.random.choice([0.0, 5.0]), self._settle, task_id)

    def _settle(self, task_id):
        self.expected.discard(task_id)
        self.links[task_id] = (False, True)
        self.pool.settled(task_id, self.now)

    def _cut(self, task_id):
        if self.links[task_id][1]:
            return
        self.links[task_id] = (False, False)
        if self.random.random() < 0.5:
            self.later(self.random.uniform(0, 2.0), self._mend, task_id)
        else:
            self.later(LOST_AFTER, self._lose_program, task_id)
        self.later(LOST_AFTER, self._break, task_id)

    def _mend(self, task_id):
        if not self.links[task_id][1] and self._agent_of(task_id) is not None:
            self.links[task_id] = (True, False)

    def _break(self, task_id):
        is_open, is_broken = self.links[task_id]
        if not is_open and not is_broken:
            self.links[task_id] = (False, True)
            self.expected.discard(task_id)
            self.pool.broken(task_id, self.now)

    def _lose_program(self, task_id):
        agent = self._agent_of(task_id)
        if agent is not None and not self.links[task_id][0]:
            self.end_task(agent, task_id, 'TASK_FAILED', -15, 'lost the program')

    def _agent_of(self, task_id):
        for agent in self.agents.values():
            if task_id in agent.tasks:
                return agent
        return None

    def end_task(self, agent, task_id, state, returncode, message=None, reason=None):
        """A task ends, and what it ran with it."""
        if agent is None or task_id not in agent.tasks:
            return
        del agent.tasks[task_id]
        process = self.processes.get(task_id)
        if process is None:
            returncode = None
        else:
            if not process.is_dead and returncode is not None:
                self.truth[process.number] = returncode
            process.is_dead = True
        if returncode is not None:
            self.soon(self._tell_exit, task_id, returncode)
        elif process is not None or not self.links.get(task_id, (False, True))[1]:
            self.links[task_id] = (False, self.links.get(task_id, (False, False))[1])
            self.later(LOST_AFTER, self._break, task_id)
        agent.unacknowledged[task_id] = state
        self.soon(self.update, task_id, state, agent.id, reason, message, returncode)

    def kill_executor(self, agent, executor_id):
        """Its process dies."""
        if executor_id not in agent.executors:
            return
        del agent.executors[executor_id]
        for task_id in [task_id for task_id, task in agent.tasks.items() if task[0] == executor_id]:
            self.end_task(agent, task_id, 'TASK_FAILED', None, 'gone', 'REASON_EXECUTOR_TERMINATED')
        if not self.is_unlucky():
            self._event(self.pool.executor_lost, executor_id, self.now)

    def lose_agent(self, agent):
        """It is cut off from its master, and comes back or dies."""
        agent.is_there = False
        agent.offered.clear()
        self.knows.discard(agent.id)
        for task_id in agent.tasks:
            self.update(task_id, 'TASK_UNREACHABLE', agent.id, 'REASON_AGENT_REMOVED', is_reliable=False)
        if not self.is_unlucky():
            self._event(self.pool.agent_lost, agent.id, self.now)
        if self.random.random() < 0.5:
            for executor_id in list(agent.executors):
                self.kill_executor(agent, executor_id)
        self.later(self.random.uniform(0.1, 30.0), self._return_agent, agent)

    def _return_agent(self, agent):
        agent.is_there = True
        self.knows.add(agent.id)
        for task_id, task in agent.tasks.items():
            self.update(task_id, task[2], agent.id, 'REASON_AGENT_REREGISTERED', is_reliable=False)


#: What a pool may order: all that is handled above.
ORDERS = (Accept, AskAgents, Decline, Drop, End, Kill, Reconcile, Revive, SetRoles, Shutdown, Signal, Start, Suppress)

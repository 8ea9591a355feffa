"""What is known of agents: their attributes, the executors we have there, and where things went wrong. Pure."""
from __future__ import absolute_import, division, print_function

__all__ = ['Agents', 'Executor']

#: Seconds for which an agent gets nothing after a first failure there, doubled with each further one, and the most.
AVOID, LONGEST_AVOID = 1.0, 60.0


class Executor(object):
    """An executor of ours on an agent. Its id is never used again, so that no old one is taken for it."""

    __slots__ = ('agent_id', 'id', 'is_dead', 'is_lost', 'kind', 'resources', 'tasks')

    def __init__(self, executor_id, agent_id, kind, resources):
        self.id = executor_id
        self.agent_id = agent_id
        #: What tells executors apart: commands of equal kinds share one.
        self.kind = kind
        #: What it takes, as it was offered: every task of it must say the same.
        self.resources = resources
        #: The ids of the tasks that need it.
        self.tasks = set()
        #: Whether nothing more is to be started on it, and whether Mesos says that its process has ended.
        self.is_lost = self.is_dead = False


class Agent(object):
    """What is known of an agent."""

    __slots__ = ('attributes', 'avoid_until', 'executors', 'failures', 'hostname', 'offered')

    def __init__(self):
        self.hostname = ''
        self.attributes = []
        self.offered = {}               # role: what the last offer for it held
        self.executors = {}             # by kind
        self.failures = 0
        self.avoid_until = None


class Agents(object):
    """All agents that were heard of, and all executors of ours."""

    def __init__(self):
        self._agents = {}
        self._executors = {}
        self._started = 0

    def note(self, offer):
        """Take what an offer tells of its agent."""
        agent = self._agent(offer.agent_id)
        agent.hostname, agent.attributes = offer.hostname, offer.attributes
        agent.offered[offer.role] = offer.resources

    def _agent(self, agent_id):
        if agent_id not in self._agents:
            self._agents[agent_id] = Agent()
        return self._agents[agent_id]

    def known(self, role):
        """(id, hostname, attributes, what the last offer for a role held) of each that was offered for it."""
        return [(agent_id, agent.hostname, agent.attributes, agent.offered[role])
                for agent_id, agent in self._agents.items() if role in agent.offered]

    def hostname(self, agent_id):
        """Its name, or its id while that is not known."""
        agent = self._agents.get(agent_id)
        return agent.hostname if agent is not None and agent.hostname else agent_id

    # ---- executors

    def executor(self, agent_id, kind):
        """The :class:`Executor` for new tasks of that kind, None if there is none."""
        agent = self._agents.get(agent_id)
        return agent.executors.get(kind) if agent is not None else None

    def has_executors(self, kind):
        """Whether there is one of that kind anywhere."""
        return any(executor.kind == kind and not executor.is_lost for executor in self._executors.values())

    def begin_executor(self, agent_id, kind, resources):
        """A new one, which starts with its first task."""
        self._started += 1
        executor = Executor('pymesos-%s-%d' % (kind, self._started), agent_id, kind, resources)
        self._executors[executor.id] = self._agent(agent_id).executors[kind] = executor
        return executor

    def find_executor(self, executor_id):
        """The :class:`Executor` of that id, None if it is not ours or over."""
        return self._executors.get(executor_id)

    def lose_executor(self, executor):
        """Start nothing more on it."""
        if executor.is_lost:
            return
        executor.is_lost = True
        here = self._agents[executor.agent_id].executors
        if here.get(executor.kind) is executor:
            del here[executor.kind]
        if not executor.tasks:
            self._executors.pop(executor.id, None)

    def release(self, executor, task_id):
        """A task needs it no more."""
        executor.tasks.discard(task_id)
        if executor.is_lost and not executor.tasks:
            self._executors.pop(executor.id, None)

    def idle_executors(self):
        """Those that no task needs."""
        return [executor for executor in self._executors.values() if not executor.tasks and not executor.is_lost]

    # ---- failures

    def failed(self, executor, now):
        """It brought a task to nothing before anything ran: avoid the agent for a while. Returns until when."""
        agent = self._agent(executor.agent_id)
        if not executor.is_lost:            # of many tasks on one executor the first tells enough
            agent.avoid_until = now + min(AVOID * 2 ** agent.failures, LONGEST_AVOID)
            agent.failures += 1
            self.lose_executor(executor)
        return agent.avoid_until if agent.avoid_until is not None else now

    def worked(self, agent_id):
        """A task of ours runs there."""
        agent = self._agents.get(agent_id)
        if agent is not None:
            agent.failures, agent.avoid_until = 0, None

    def is_avoided(self, agent_id, now):
        """Whether nothing should be started there now."""
        agent = self._agents.get(agent_id)
        return agent is not None and agent.avoid_until is not None and now < agent.avoid_until

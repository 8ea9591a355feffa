"""How the embedded master and agents reach one another: messages in order per pair, late or never if a test says so."""
from __future__ import absolute_import, division, print_function

from collections import deque

from .model.effects import MASTER

__all__ = ['Network']


class Network(object):
    """Carries messages between the leading master and the agents. All methods are for the loop's thread.

    It stands for the sockets between them: what is sent to a peer that is down is lost, and both ends are told when
    a peer goes down. A cut, as a test asks for, tells nobody: the ends notice by themselves, or not at all.
    """

    def __init__(self, loop):
        self._loop = loop
        #: The node that leads, None while there is no leader.
        self.leader = None
        self._agents = {}           # pid -> node
        self._queue = deque()       # (sender, receiver, message), to be delivered in the next turn
        self._is_scheduled = False
        self._cut = set()           # pids
        self._delays = {}           # pid -> seconds

    def join(self, node):
        """An agent is up."""
        self._agents[node.pid] = node
        if self.leader is not None:
            node.tell_leader(self.leader.address)

    def leave(self, pid):
        """An agent went down: its socket to the master breaks, unless a cut hides it."""
        self._agents.pop(pid, None)
        if self.leader is not None and pid not in self._cut:
            self.leader.lose_agent(pid)

    def lead(self, node):
        """A master leads from now on; None: nobody does."""
        self.leader = node
        for agent in list(self._agents.values()):
            agent.tell_leader(None if node is None else node.address)

    def cut(self, pid):
        """Lose all messages between the master and an agent until :meth:`mend`."""
        self._cut.add(pid)

    def mend(self, pid):
        """End a cut and a delay."""
        self._cut.discard(pid)
        self._delays.pop(pid, None)

    def delay(self, pid, seconds):
        """Deliver messages between the master and an agent so much later; 0: at once."""
        self._delays[pid] = seconds

    def tell(self, sender, peer, message):
        """Send a message from a node to MASTER or to the agent with this pid."""
        receiver = self.leader if peer == MASTER else self._agents.get(peer)
        pid = sender.pid if peer == MASTER else peer
        if receiver is None or pid in self._cut:
            return
        if self._delays.get(pid):
            self._loop.call_later(self._delays[pid], lambda: self._enqueue(pid, receiver, message))
        else:
            self._enqueue(pid, receiver, message)

    def _enqueue(self, pid, receiver, message):
        self._queue.append((pid, receiver, message))
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.order(self._deliver)

    def _deliver(self):
        self._is_scheduled = False
        touched = []
        for _ in range(len(self._queue)):
            pid, receiver, message = self._queue.popleft()
            # What was on its way when an end went down, or the line was cut, is lost.
            if pid in self._cut or receiver is not self.leader and receiver is not self._agents.get(pid):
                continue
            receiver.receive(message, pid)
            if receiver not in touched:
                touched.append(receiver)
        for node in touched:
            node.settle()

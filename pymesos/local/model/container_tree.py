"""The containers of an agent: those of executors, of tasks in a group, and those that somebody launched by its API.

A container is named by its ContainerID, ``{'value': ..., 'parent': ContainerID}``, and by a token, the values joined
with dots, outermost first, which is its name in effects too. Who launches a container is its owner and hears of it.
"""
from __future__ import absolute_import, division, print_function

from collections import OrderedDict

from .effects import Destroy, Launch, Signal

__all__ = ['Container', 'ContainerTree', 'container_token']

#: The status of what was killed, for a container without a process; and of what could not be started, of which Mesos'
#: launcher exits with 1.
SIGKILL, NOT_STARTED = 9, 256


def container_token(container_id):
    """The token (text) of a ContainerID."""
    parent = container_id.get('parent')
    value = container_id['value']
    return '%s.%s' % (container_token(parent), value) if parent else value


class Container(object):
    """A container that was launched.

    `owner` is told by ``container_started(container)``, ``container_failed(container, text)``,
    ``container_exited(container)`` (`status` is set) and ``container_output(container, name, data)``. `directory` is
    its sandbox. `executor` is that whose container it is or is nested in, None for a standalone one.
    """

    __slots__ = ('children', 'directory', 'executor', 'has_process', 'id', 'is_destroyed', 'is_ended', 'kind', 'owner',
                 'parent', 'pid', 'resources', 'spec', 'status', 'termination', 'token', 'watchers')

    def __init__(self, container_id, owner, directory, executor=None, parent=None, kind='executor', resources=()):
        #: ContainerID, and its token.
        self.id = container_id
        self.token = container_token(container_id)
        self.owner = owner
        self.directory = directory
        self.executor = executor
        #: The Container that it is nested in, or None.
        self.parent = parent
        #: 'executor', 'task', 'nested', 'debug' (a session) or 'standalone'.
        self.kind = kind
        #: [Resource] of its own.
        self.resources = resources
        #: token -> Container
        self.children = OrderedDict()
        #: What it was launched with; None if it has no process, and when it is over.
        self.spec = None
        self.has_process = False
        #: None until it is started, and for ever if it has no process.
        self.pid = None
        #: Whether it was ordered to be destroyed; whether it is over.
        self.is_destroyed = False
        self.is_ended = False
        #: The status of waitpid, None while it runs or if it never ran.
        self.status = None
        #: What WAIT_CONTAINER tells besides the status: {'state', 'reason', 'message'}, any or none of them.
        self.termination = {}
        #: key -> function that is called with it when it is over, once.
        self.watchers = OrderedDict()

    def __repr__(self):
        return '<Container %s>' % self.token


class ContainerTree(object):
    """All containers of an agent by token; `agent` is the :class:`~.agent.AgentModel` that is given the effects."""

    def __init__(self, agent):
        self._agent = agent
        self._all = OrderedDict()

    def __iter__(self):
        return iter(list(self._all.values()))

    def __len__(self):
        return len(self._all)

    def get(self, token):
        """The :class:`Container` with a token, or None."""
        return self._all.get(token)

    def find(self, container_id):
        """The :class:`Container` with a ContainerID, or None."""
        return self._all.get(container_token(container_id))

    def add(self, container):
        """Enter a container that is not launched: one with no process, or one that runs already."""
        self._all[container.token] = container
        if container.parent is not None:
            container.parent.children[container.token] = container

    def launch(self, container, spec):
        """Enter and start one; `spec` is that of :mod:`pymesos.local.launcher`."""
        container.spec = spec
        container.has_process = True
        self.add(container)
        self._agent.effects.append(Launch(container.token, spec))

    def signal(self, container, number):
        """Send a signal to what runs in a container."""
        if container.has_process and not container.is_ended:
            self._agent.effects.append(Signal(container.token, number))

    def destroy(self, container):
        """Kill a container and all that are nested in it; twice is fine. Its owner hears when it is over."""
        for child in list(container.children.values()):
            self.destroy(child)
        if container.is_destroyed or container.is_ended:
            return
        container.is_destroyed = True
        if container.has_process:
            self._agent.effects.append(Destroy(container.token))
        else:
            self.end(container, SIGKILL)

    def end(self, container, status):
        """A container is over: those nested in it are killed, owner and watchers are told, and it may be forgotten."""
        if container.is_ended:
            return
        container.is_ended = True
        container.status = status
        for child in list(container.children.values()):
            self.destroy(child)
        container.owner.container_exited(container)
        watchers, container.watchers = container.watchers, OrderedDict()
        for watcher in watchers.values():
            watcher(container)
        # Only what runs is asked for it, and it is large.
        container.spec = None
        self._forget(container)

    def remove(self, container):
        """Forget a nested container that is over."""
        self._all.pop(container.token, None)
        if container.parent is not None:
            container.parent.children.pop(container.token, None)

    # ---- what the launcher tells, by token

    def on_started(self, token, pid):
        container = self._all.get(token)
        if container is not None and not container.is_ended:
            container.pid = pid
            container.owner.container_started(container)

    def on_launch_failed(self, token, text):
        container = self._all.get(token)
        if container is not None and not container.is_ended:
            container.owner.container_failed(container, text)
            self.end(container, NOT_STARTED)

    def on_exited(self, token, status):
        container = self._all.get(token)
        if container is not None:
            self.end(container, status)

    def on_output(self, token, name, data):
        container = self._all.get(token)
        if container is not None:
            container.owner.container_output(container, name, data)

    def _forget(self, container):
        """What is nested is kept after its end, so that it can be waited for, until its outermost one is over too."""
        top = container
        while top.parent is not None:
            top = top.parent
        if not top.is_ended:
            return
        found = [top]
        for one in found:
            found.extend(one.children.values())
        if all(one.is_ended for one in found):
            for one in found:
                self._all.pop(one.token, None)

"""A master or an agent at work: a model, its server and its timers; carries out what the model orders."""
from __future__ import absolute_import, division, print_function

import logging
import os
import shutil
import threading
from collections import OrderedDict

from .._compat import NetworkError, monotonic, socket_errors
from .files import Files
from .model import effects
from .model.agent import AgentModel
from .model.master import MasterModel
from .model.volumes import VOLUMES
from .server import AgentServer, MasterServer

__all__ = ['AgentNode', 'MasterNode']

#: How many sandboxes of containers that have ended an agent still serves; their folders stay.
SERVED_SANDBOXES = 1000

#: Seconds between two looks whether an agent that was told to stop is done.
LEAVE_INTERVAL = 0.01

logger = logging.getLogger(__name__)


class _Node(object):
    """What master and agent have in common. All methods are for the loop's thread."""

    def __init__(self, cluster, options):
        #: What all nodes share: loop, network, launcher, access, world.
        self.cluster = cluster
        self.options = options
        #: What LIST_FILES and READ_FILE serve.
        self.files = Files()
        #: None while it is down, and on a master that does not lead.
        self.model = None
        #: None while it is down, and on a simulated agent.
        self.server = None
        self._timers = {}
        self._is_settling = False
        self._orders = {
            effects.Send: self._send,
            effects.CloseStream: self._close_stream,
            effects.Answer: self._answer,
            effects.Tell: self._tell,
            effects.Timer: self._set_timer,
            effects.Cancel: self._cancel_timer,
        }

    @property
    def is_up(self):
        return self.server is not None

    @property
    def address(self):
        """``host:port``, the last one if it is down."""
        return self.options.address

    def receive(self, message, pid):
        """A message has come; :meth:`settle` is called after the last of a batch."""
        if self.model is not None:
            self.model.on_message(message, pid)

    def settle(self):
        """Carry out what the model has ordered."""
        if self._is_settling:
            return
        self._is_settling = True
        try:
            while self.model is not None and self.model.effects:
                # The list is exchanged, not emptied: an order may bring the model to give more.
                ordered, self.model.effects = self.model.effects, []
                for effect in ordered:
                    self._carry_out(effect)
        finally:
            self._is_settling = False

    def _carry_out(self, effect):
        try:
            self._orders[type(effect)](effect)
        except Exception:       # a fault of ours: what was ordered besides, for others perhaps, is done all the same
            logger.exception('the embedded cluster cannot carry out a %s', type(effect).__name__)

    def _listen(self, server, **settings):
        """Open the server: on the port of the last time, if there was one."""
        host, port = self.cluster.host, self.options.port
        try:
            self.server = server(self.cluster.loop, self, host, port, self.cluster.access, **settings)
        except socket_errors as error:
            raise NetworkError(error.errno, 'cannot listen on %s:%d: %s' % (host, port, error.strerror))
        self.options.port = self.server.port

    def _halt(self):
        """Forget the model and its timers, and close the server."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers = {}
        self.model = None
        if self.server is not None:
            self.server.stop()
            self.server = None

    def _send(self, effect):
        if self.server is not None:
            self.server.send(effect.stream, effect.event)

    def _close_stream(self, effect):
        if self.server is not None:
            self.server.close_stream(effect.stream)

    def _answer(self, effect):
        if self.server is not None:
            self.server.answer(effect.key, effect.reply)

    def _tell(self, effect):
        self.cluster.network.tell(self, effect.peer, effect.message)

    def _set_timer(self, effect):
        self._cancel_timer(effect)
        model = self.model

        def fire():
            if self.model is model:
                del self._timers[effect.key]
                model.on_timer(effect.key)
                self.settle()

        # Not from the beginning of the turn on, which may be long: it may be a grace period.
        self._timers[effect.key] = self.cluster.loop.call_at(monotonic() + effect.delay, fire)

    def _cancel_timer(self, effect):
        timer = self._timers.pop(effect.key, None)
        if timer is not None:
            timer.cancel()


class MasterNode(_Node):
    """One master: leads, or sends clients to the one that does, or is down."""

    #: A master is told things under this name, whichever leads.
    pid = effects.MASTER

    def start(self):
        """Listen; whether it leads is decided elsewhere."""
        self._listen(MasterServer)

    def lead(self, registry):
        """Become the leader, with what the last one wrote into the registry (None: nothing)."""
        self.model = MasterModel(self.cluster.world, self.options, registry)
        self.model.start()
        self.settle()
        logger.info('the master on %s leads', self.address)

    def halt(self):
        """Go down at once; the registry, if it was the leader."""
        registry = None if self.model is None else self.model.registry()
        self._halt()
        return registry

    def leader(self):
        """Who leads: 'self', (host, port) of another master, or None. For the server."""
        node = self.cluster.network.leader
        if node is self:
            return 'self'
        return None if node is None else (node.options.hostname, node.options.port)

    def lose_agent(self, pid):
        """The line to an agent broke."""
        if self.model is not None:
            self.model.on_agent_disconnected(pid)
            self.settle()


class AgentNode(_Node):
    """One agent: its executors live in the launcher's keeper, and outlive it."""

    def __init__(self, cluster, options):
        super(AgentNode, self).__init__(cluster, options)
        self._snapshot = None
        self._is_down = threading.Event()
        self._running = set()       # containers that were launched and have not ended
        self._missed = OrderedDict()        # container -> what the agent was not there to hear: (function, argument)s
        self._sandboxes = OrderedDict()     # container -> folder that is served, the oldest first
        self._orders.update({
            effects.Launch: self._launch,
            effects.Signal: lambda effect: cluster.launcher.signal(self._shared(effect.container), effect.number),
            effects.Destroy: lambda effect: cluster.launcher.destroy(self._shared(effect.container)),
            effects.Probe: self._probe,
            effects.Feed: lambda effect: cluster.launcher.feed(self._shared(effect.container), effect.data),
            effects.Resize: lambda effect: cluster.launcher.resize(self._shared(effect.container), effect.rows,
                                                                   effect.columns),
        })

    @property
    def pid(self):
        """``slave(1)@127.0.0.1:5051``."""
        return '%s@%s' % (self.options.name, self.options.endpoint)

    @property
    def is_up(self):
        return self.model is not None

    def leader(self):
        """An agent is never redirected."""
        return 'self'

    def start(self):
        """Come up, with what the last one had checkpointed, if it was not wiped."""
        if self.options.simulated_seconds is None:
            self._listen(AgentServer, prefix=self.options.name)
        self._is_down.clear()
        self.model, self._snapshot = AgentModel(self.cluster.world, self.options, self._snapshot), None
        self.model.start()
        missed, self._missed = self._missed, OrderedDict()
        for container, events in missed.items():
            for name, argument in events:
                getattr(self.model, name)(container, argument)
        # Nobody looks after the containers of frameworks that do not checkpoint any more.
        for container in self._running - set(self.model.containers()):
            self.cluster.launcher.destroy(self._shared(container))
        self.cluster.network.join(self)
        self.settle()

    def halt(self):
        """Go down at once, as by kill -9: executors stay."""
        self._snapshot = self.model.snapshot()
        self._halt()
        self.cluster.network.leave(self.pid)
        self._is_down.set()

    def leave(self):
        """Say farewell, kill all executors and go down, as by SIGUSR1; the :class:`threading.Event` of its end."""
        model = self.model
        model.unregister()
        self.settle()

        def look():
            if self.model is model:
                if model.frameworks:
                    self.cluster.loop.call_later(LEAVE_INTERVAL, look)
                else:
                    self.halt()

        # Not now: the line to the master would break before the farewell is there.
        self.cluster.loop.call_later(LEAVE_INTERVAL, look)
        return self._is_down

    def wipe(self):
        """Forget, while it is down, what was checkpointed, and remove the volumes. For any thread."""
        self._snapshot = None
        shutil.rmtree(os.path.join(self.options.work_dir, VOLUMES), ignore_errors=True)

    def tell_leader(self, address):
        """A master leads (``host:port``), or none does (None)."""
        if self.model is not None:
            self.model.on_master(address)
            self.settle()

    # ---- what the launcher tells

    def _shared(self, container):
        """The name that a container has in the launcher: operators may name two alike on two agents."""
        return self.pid + ' ' + container

    def on_started(self, name, pid):
        self._hear('on_started', name, pid)

    def on_launch_failed(self, name, text):
        self._hear('on_launch_failed', name, text)

    def on_exited(self, name, status):
        self._hear('on_exited', name, status)

    def _hear(self, method, name, argument):
        """Hand on how a container fares, now or when the agent is up again."""
        container = _own(name)
        if method != 'on_started':
            self._running.discard(container)
        if self.model is None:
            self._missed.setdefault(container, []).append((method, argument))
        else:
            getattr(self.model, method)(container, argument)
            self.settle()

    def on_output(self, name, stream, data):
        if self.model is not None:
            self.model.on_output(_own(name), stream, data)
            self.settle()

    def on_fed(self, name, size):
        if self.model is not None:
            self.model.on_fed(_own(name), size)
            self.settle()

    def _launch(self, effect):
        self._running.add(effect.container)
        self._serve(effect.container, effect.spec['directory'])
        self.cluster.launcher.launch(self._shared(effect.container), dict(effect.spec, name=effect.container), self)

    def _serve(self, container, directory):
        self._sandboxes[container] = directory
        self.files.attach_sandbox(directory)
        while len(self._sandboxes) > SERVED_SANDBOXES + len(self._running):
            ended = next(name for name in self._sandboxes if name not in self._running)
            self.files.detach_sandbox(self._sandboxes.pop(ended))

    def _probe(self, effect):
        model = self.model

        def done(result):
            if self.model is model:
                model.on_probe(effect.key, result)
                self.settle()

        self.cluster.launcher.probe(effect.check, effect.timeout, done)


def _own(name):
    """The name of a container on its agent; neither that nor the pid before it holds a blank."""
    return name.partition(' ')[2]

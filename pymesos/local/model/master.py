"""The master as a state machine: calls of schedulers and operators, messages of agents and timers go in.

See :mod:`pymesos.local.model`. What it does with them is in :mod:`.frameworks`, :mod:`.offers`, :mod:`.operations`,
:mod:`.updates` and :mod:`.agents`, and for operators in :mod:`.operator`, :mod:`.publisher` and :mod:`.maintenance`.
"""
from __future__ import absolute_import, division, print_function

from collections import OrderedDict, defaultdict

from . import agents, frameworks, metrics, offers, operations, updates
from .allocator import Allocator
from .effects import Reply, Send, Tell, Timer, refuse
from .maintenance import Maintenance
from .operator import Operator
from .publisher import Publisher
from .version import VERSION

__all__ = ['MasterModel']

#: What MasterInfo.capabilities shows: the third, QUOTA_V2, has no name in the v1 API, and Mesos sends it empty.
CAPABILITIES = [{'type': 'AGENT_UPDATE'}, {'type': 'AGENT_DRAINING'}, {}]


def _ignore(master, framework, body):
    """REQUEST: the allocator of Mesos makes nothing of it."""


#: type of a call -> what does it, given master, framework and the field of that name. It returns a Reply or None (202).
_CALLS = {
    'TEARDOWN': lambda master, framework, body: frameworks.remove(master, framework),
    'ACCEPT': operations.accept,
    'DECLINE': offers.decline,
    'ACCEPT_INVERSE_OFFERS': lambda master, framework, body: master.maintenance.accept(framework, body),
    'DECLINE_INVERSE_OFFERS': lambda master, framework, body: master.maintenance.decline(framework, body),
    'REVIVE': offers.revive,
    'SUPPRESS': offers.suppress,
    'KILL': updates.kill,
    'SHUTDOWN': updates.shutdown,
    'ACKNOWLEDGE': updates.acknowledge,
    'ACKNOWLEDGE_OPERATION_STATUS': operations.acknowledge,
    'RECONCILE': updates.reconcile,
    'RECONCILE_OPERATIONS': operations.reconcile,
    'MESSAGE': updates.message,
    'REQUEST': _ignore,
    'UPDATE_FRAMEWORK': frameworks.update,
}

#: type of a call -> name of its metric.
_COUNTED = {
    'TEARDOWN': 'messages_unregister_framework', 'DECLINE': 'messages_decline_offers',
    'REVIVE': 'messages_revive_offers', 'SUPPRESS': 'messages_suppress_offers', 'KILL': 'messages_kill_task',
    'ACKNOWLEDGE': 'messages_status_update_acknowledgement',
    'ACKNOWLEDGE_OPERATION_STATUS': 'messages_operation_status_update_acknowledgement',
    'RECONCILE': 'messages_reconcile_tasks', 'RECONCILE_OPERATIONS': 'messages_reconcile_operations',
    'MESSAGE': 'messages_framework_to_executor', 'REQUEST': 'messages_resource_request',
}

#: type of a message from a registered agent -> what does it, given master and message.
_MESSAGES = {
    'STATUS': updates.on_status,
    'EXITED_EXECUTOR': updates.on_executor_exited,
    'EXECUTOR_MESSAGE': updates.on_executor_message,
    'OPERATION_STATUS': operations.on_status,
}


class MasterModel(object):
    """A leading master.

    `world` is a :class:`~.world.World`, `options` :class:`~pymesos.local.options.MasterOptions`, `registry` what
    :meth:`registry` of the last leader gave. What it orders is in :attr:`effects`, which may be exchanged for another
    list at any time.
    """

    def __init__(self, world, options, registry=None):
        registry = registry or {}
        self.world, self.options = world, options
        self.effects = []
        self.id = world.uuid()
        #: When it began, and began to lead (seconds since the epoch).
        self.start_time = self.elected_time = world.time()
        #: What happened how often: {name of the metric without ``master/``: number}.
        self.counts = defaultdict(int)
        self._numbers = {}
        self.frameworks = OrderedDict()
        self.completed_frameworks = OrderedDict()
        #: stream -> framework id
        self.streams = {}
        #: Registered agents by id, and their ids by pid.
        self.agents = OrderedDict()
        self.agent_ids = {}
        #: Agents of the registry that have not come yet: {id: AgentInfo}.
        self.recovered_agents = OrderedDict(registry.get('agents', {}))
        #: {agent id: when (nanoseconds)}
        self.unreachable_agents = OrderedDict(registry.get('unreachable', {}))
        self.gone_agents = OrderedDict(registry.get('gone', {}))
        #: {agent id: (DrainInfo, when it began in nanoseconds)}, and the ids of agents that are deactivated.
        self.drains = dict(registry.get('drains', {}))
        self.deactivated = set(registry.get('deactivated', ()))
        self.offers, self.inverse_offers = {}, {}
        #: uuid -> Operation
        self.operations = {}
        self.weights = dict(registry.get('weights', options.weights))
        self.quotas = dict(registry.get('quotas', {}))
        self.allocator = Allocator(world, options)
        for role, weight in self.weights.items():
            self.allocator.set_weight(role, weight)
        self.maintenance = Maintenance(self, registry.get('maintenance'))
        self.publisher = Publisher(self)
        self.operator = Operator(self)
        self._due = None            # agents to be allocated soon: None for no run, a set of ids, or _ALL

    # ---- life

    def start(self):
        """Begin to lead."""
        self.effects.append(Timer(('allocate',), self.options.allocation_interval))
        if self.recovered_agents:
            self.effects.append(Timer(('recovery',), self.options.agent_reregister_timeout))

    def registry(self):
        """What outlives this master: plain data for the constructor of the next."""
        known = OrderedDict(self.recovered_agents)
        known.update((agent.id, agent.info) for agent in self.agents.values())
        return {'agents': known, 'unreachable': OrderedDict(self.unreachable_agents),
                'gone': OrderedDict(self.gone_agents), 'drains': dict(self.drains),
                'deactivated': set(self.deactivated), 'weights': dict(self.weights), 'quotas': dict(self.quotas),
                'maintenance': self.maintenance.registry()}

    # ---- what comes in

    def scheduler_call(self, call, principal=None, stream_id=None):
        """A call on the scheduler API that is converted and valid (:mod:`.validation`); the :class:`~.effects.Reply`.

        `principal` is that of the authenticated connection, `stream_id` the Mesos-Stream-Id of the request.
        """
        kind = call['type']
        if kind == 'SUBSCRIBE':
            if stream_id is not None:
                return refuse(400, "Subscribe calls should not include the 'Mesos-Stream-Id' header")
            return frameworks.subscribe(self, call['subscribe'], principal)
        framework = self.frameworks.get(call['framework_id']['value'])
        refusal = self._refusal(framework, principal, stream_id)
        if refusal is not None:
            return refusal
        if kind not in _CALLS:
            return refuse(501, '501 Not Implemented.')
        if kind in _COUNTED:
            self.counts[_COUNTED[kind]] += 1
        metrics.count_call(framework, call)
        return _CALLS[kind](self, framework, call.get(kind.lower())) or Reply(202)

    def _refusal(self, framework, principal, stream_id):
        if framework is None:
            return refuse(400, 'Framework cannot be found')
        if principal is not None and principal != framework.principal:
            return refuse(400, "Authenticated principal '%s' does not match principal '%s' set in `FrameworkInfo`"
                          % (principal, framework.principal or ''))
        if framework.stream is None:
            return refuse(403, 'Framework is not subscribed')
        if stream_id is None:
            return refuse(400, "All non-subscribe calls should include the 'Mesos-Stream-Id' header")
        if stream_id != framework.stream_id:
            return refuse(400, "The stream ID '%s' included in this request didn't match the stream ID currently "
                               "associated with framework ID %s" % (stream_id, framework.id))
        return None

    def operator_call(self, call, principal=None):
        """A call on the operator API that is converted and valid; the Reply."""
        return self.operator.call(call, principal)

    def legacy(self, path, query, principal=None, method='GET', form=None):
        """A request to one of the endpoints that are not API; the Reply, or None if there is no such endpoint."""
        return self.operator.legacy(path, query, principal, method, form)

    def on_stream_closed(self, stream):
        """The client of a stream is gone."""
        if stream in self.streams:
            frameworks.on_stream_closed(self, stream)
        else:
            self.publisher.closed(stream)

    def on_message(self, message, pid):
        """A message of an agent has come (a dict with 'type'); `pid` says from where."""
        kind = message['type']
        if kind == 'REGISTER':
            agents.on_register(self, message)
        elif kind == 'REREGISTER':
            agents.on_reregister(self, message)
        else:
            agent = self.agents.get(self.agent_ids.get(pid))
            if agent is None or message.get('agent_id') not in (None, agent.id):
                # It was given up while it could not be reached, or this master is new to it.
                self.effects.append(Tell(pid, {'type': 'REREGISTER_PLEASE'}))
            elif kind == 'PONG':
                agents.on_pong(self, agent)
            elif kind == 'UNREGISTER':
                agents.on_unregister(self, agent)
            else:
                _MESSAGES[kind](self, message)

    def on_agent_disconnected(self, pid):
        """The line to an agent broke."""
        agents.on_disconnected(self, pid)

    def on_timer(self, key):
        """A timer is due; `key` is that of the :class:`~.effects.Timer`."""
        name = key[0]
        if name == 'allocate':
            self.effects.append(Timer(key, self.options.allocation_interval))
            offers.allocate(self)
        elif name == 'allocate-soon':
            due, self._due = self._due, None
            offers.allocate(self, None if due is _ALL else due)
        elif name == 'heartbeat':
            frameworks.beat(self, key[1])
        elif name == 'failover':
            frameworks.on_failover_timeout(self, key[1])
        elif name == 'offer':
            offers.on_timeout(self, key[1])
        elif name == 'ping':
            agents.on_ping_due(self, key[1])
        elif name == 'reregister':
            agents.on_reregister_timeout(self, key[1])
        elif name == 'recovery':
            agents.on_recovery_timeout(self)
        else:
            self.publisher.on_timer(key)

    # ---- for the modules around it

    def send(self, framework, kind, body):
        """Send an event to a framework; it is lost if the framework is not connected."""
        if framework.stream is not None:
            self.effects.append(Send(framework.stream, {'type': kind, kind.lower(): body}))
            metrics.count_event(framework, kind, body)

    def count(self, what):
        """The next number for an id of 'framework', 'agent' or 'offer'; the first is 0."""
        number = self._numbers.get(what, 0)
        self._numbers[what] = number + 1
        return number

    def new_offer_id(self):
        """An id for an offer or an inverse offer."""
        return '%s-O%d' % (self.id, self.count('offer'))

    def allocate(self, agent_ids=None):
        """Make offers of what is free now, on all agents or on some."""
        offers.allocate(self, agent_ids)

    def allocate_soon(self, agent_ids=None):
        """Make offers in a moment; what asks for that in one go, as a thousand agents do, shares one run."""
        if self._due is None:
            self._due = set()
            self.effects.append(Timer(('allocate-soon',), 0))
        if agent_ids is None:
            self._due = _ALL
        elif self._due is not _ALL:
            self._due.update(agent_ids)

    @property
    def address(self):
        """``host:port``."""
        return self.options.address

    def master_info(self):
        """MasterInfo (PROTOCOL 5.3)."""
        options = self.options
        info = {'id': self.id, 'ip': _as_number(options.ip), 'port': options.port,
                'pid': 'master@%s' % options.endpoint, 'hostname': options.hostname, 'version': VERSION,
                'address': {'hostname': options.hostname, 'ip': options.ip, 'port': options.port}}
        if options.domain:
            info['domain'] = options.domain
        info['capabilities'] = [dict(item) for item in CAPABILITIES]
        return info

    def remove_framework(self, framework):
        """Remove a framework for good."""
        frameworks.remove(self, framework)

    def rescind(self, offer):
        """Take an offer back."""
        offers.rescind(self, offer)

    def remove_inverse(self, inverse):
        """Forget an inverse offer that was answered."""
        offers.remove_inverse(self, inverse)

    def rescind_inverse(self, inverse):
        """Take an inverse offer back."""
        offers.remove_inverse(self, inverse, is_rescinded=True)

    def deactivate_agent(self, agent):
        """Offer nothing of an agent any more."""
        agents.deactivate(self, agent)

    def reactivate_agent(self, agent):
        """Offer an agent again."""
        agents.reactivate(self, agent)

    def drain_agent(self, agent, config):
        """Drain an agent; `config` is a DrainConfig."""
        agents.drain(self, agent, config)

    def shut_down_agent(self, agent, why):
        """Remove an agent and tell it to end."""
        agents.shut_down(self, agent, why)

    def check_drained(self, agent):
        """See whether a draining agent has become empty."""
        agents.check_drained(self, agent)

    def mark_gone(self, agent_id):
        """Give an agent up for good that is registered, recovered or unreachable."""
        agents.mark_gone(self, agent_id)

    def apply_operation(self, agent, operation, framework=None):
        """Do a valid operation on free resources of an agent."""
        return operations.apply_operation(self, agent, operation, framework)


_ALL = object()


def _as_number(ip):
    """An IPv4 address as MasterInfo.ip has it: its bytes in network order, read in the order of this kind of host.

    0 for an IPv6 address, which has no room there.
    """
    if ':' in ip:
        return 0
    return sum(int(part) << 8 * index for index, part in enumerate(ip.split('.')))

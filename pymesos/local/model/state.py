"""What the master remembers: frameworks, agents, offers, tasks and operations. Data with little behaviour.

Ids are text; messages are dicts in the shape of the v1 API (PROTOCOL 5); amounts are
:class:`pymesos.resources.Resources`; times are seconds since the epoch.
"""
from __future__ import absolute_import, division, print_function

from collections import OrderedDict, defaultdict, deque

from ...resources import Resources

__all__ = ['Agent', 'Framework', 'InverseOffer', 'KEPT_AGENTS', 'Offer', 'Operation', 'TERMINAL', 'Task']

#: The task states that are the last of a task (PROTOCOL 2.5).
TERMINAL = frozenset(['TASK_FINISHED', 'TASK_FAILED', 'TASK_KILLED', 'TASK_ERROR', 'TASK_LOST', 'TASK_DROPPED',
                      'TASK_GONE', 'TASK_GONE_BY_OPERATOR'])

#: How many completed and unreachable tasks of a framework are kept, and how many agents that are unreachable or gone
#: (PROTOCOL 9).
KEPT_TASKS = 1000
KEPT_AGENTS = 102400


class Framework(object):
    """A framework that has subscribed, or whose agents speak of it after the master was started anew."""

    def __init__(self, framework_id, info, now):
        self.id = framework_id
        #: FrameworkInfo with `id`, as it is shown.
        self.info = info
        self.principal = info.get('principal')
        #: Roles that it has suppressed.
        self.suppressed = set()
        #: OfferConstraints, or None.
        self.constraints = None
        #: The token of its event stream, None while it is disconnected.
        self.stream = None
        #: The Mesos-Stream-Id of its event stream (text), None while it is disconnected.
        self.stream_id = None
        #: Whether offers may be made to it.
        self.is_active = False
        #: Whether only agents have spoken of it so far.
        self.is_recovered = False
        self.registered_time = now
        self.reregistered_time = None
        self.unregistered_time = None
        #: task id -> Task: all that are not both terminal and acknowledged, but for the unreachable ones.
        self.tasks = OrderedDict()
        #: task id -> Task
        self.unreachable_tasks = OrderedDict()
        self.completed_tasks = deque(maxlen=KEPT_TASKS)
        #: agent id -> {executor id: ExecutorInfo}; only executors that the framework itself described.
        self.executors = {}
        #: offer id -> Offer
        self.offers = OrderedDict()
        #: inverse offer id -> InverseOffer
        self.inverse_offers = OrderedDict()
        #: Ids of the agents that were ever told of it: these must hear when it changes or goes.
        self.agent_ids = set()
        #: operation id -> uuid of its Operation; only of operations that it gave an id.
        self.operation_uuids = {}
        #: What it did and was told how often: {name of the metric without what comes before: number}.
        self.counts = defaultdict(int)
        #: The name that it had at first, under which its metrics are found.
        self.first_name = info.get('name', '')

    def add_unreachable(self, task):
        """Keep a task whose agent cannot be reached; only so many are kept."""
        self.unreachable_tasks[task.id] = task
        if len(self.unreachable_tasks) > KEPT_TASKS:
            self.unreachable_tasks.popitem(last=False)

    @property
    def is_connected(self):
        return self.stream is not None

    @property
    def capabilities(self):
        """The set of its capabilities' names."""
        return set(item.get('type') for item in self.info.get('capabilities', ()))

    def has(self, capability):
        """Whether it has a capability (PROTOCOL 2.5)."""
        return any(item.get('type') == capability for item in self.info.get('capabilities', ()))

    @property
    def roles(self):
        """The roles it subscribes to, a tuple in its order."""
        if self.has('MULTI_ROLE'):
            return tuple(self.info.get('roles', ()))
        return (self.info.get('role', '*'),)

    def __repr__(self):
        return '<Framework %s>' % self.id


class Agent(object):
    """An agent that is registered."""

    def __init__(self, info, pid, version, capabilities, now):
        self.id = info['id']['value']
        #: AgentInfo with `id`.
        self.info = info
        #: Where it listens, ``slave(1)@127.0.0.1:5051``; also the peer to tell things.
        self.pid = pid
        self.version = version
        #: [{'type': ...}, ...]
        self.capabilities = capabilities
        #: Whether messages reach it.
        self.is_connected = True
        #: Whether it was deactivated by an operator or is being drained.
        self.is_deactivated = False
        self.set_total(Resources(info.get('resources', ())))
        self.registered_time = now
        self.reregistered_time = None
        #: {(framework id, task id): Task}
        self.tasks = OrderedDict()
        #: {framework id: {executor id: ExecutorInfo}}
        self.executors = {}
        #: offer id -> Offer
        self.offers = OrderedDict()
        self.inverse_offers = OrderedDict()
        #: operation uuid -> Operation
        self.operations = OrderedDict()
        #: DrainInfo {'state', 'config'} or None, and when draining began (nanoseconds) or None.
        self.drain_info = None
        self.drain_start = None
        #: {(framework id, task id)} that are to be killed; told again when it comes back.
        self.killed = set()
        #: How many pings in a row it has not answered, and whether an answer is due.
        self.missed_pings = 0
        self.is_pinged = False
        #: {(framework id, Resources of one copy of a shared volume): [copies held, tasks that use one]}. Several tasks
        #: may use the one copy that was offered; it is given back after the last of them.
        self.shared_uses = {}

    def set_total(self, total):
        """Take over what it has."""
        #: Resources: all that it has, dynamic reservations and volumes included.
        self.total = total
        #: Whether there is a shared volume among them.
        self.has_shared = any('shared' in item for item in total.to_list())

    def use_shared(self, framework_id, copy, count):
        """`count` tasks have begun to use a copy of a shared volume."""
        uses = self.shared_uses.setdefault((framework_id, copy), [0, 0])
        uses[0] += 1
        uses[1] += count

    def released(self, framework_id, resources):
        """What a task gives back of its `resources`: shared volumes only if no other task needs the copy."""
        for item in resources.to_list():
            uses = self.shared_uses.get((framework_id, Resources([item]))) if 'shared' in item else None
            if uses is None:
                continue
            uses[1] -= 1
            if uses[1] < uses[0]:
                uses[0] -= 1
            else:
                resources = resources - [item]
            if not uses[1]:
                del self.shared_uses[framework_id, Resources([item])]
        return resources

    @property
    def hostname(self):
        return self.info['hostname']

    @property
    def is_active(self):
        """Whether its resources may be offered."""
        return self.is_connected and not self.is_deactivated

    def used(self):
        """{framework id: Resources} of what tasks that still run and executors hold."""
        used = {}
        for (framework_id, _task_id), task in self.tasks.items():
            if not task.is_terminal:
                used[framework_id] = used.get(framework_id, Resources()) + task.resources
        for framework_id, executors in self.executors.items():
            for info in executors.values():
                if info.get('resources'):
                    used[framework_id] = used.get(framework_id, Resources()) + Resources(info['resources'])
        return used

    def offered(self):
        """Resources of the offers that are out."""
        return sum((offer.resources for offer in self.offers.values()), Resources())

    def __repr__(self):
        return '<Agent %s>' % self.id


class Offer(object):
    """An offer that is out: one agent's resources for one role of one framework."""

    __slots__ = ('agent_id', 'framework_id', 'id', 'resources', 'role')

    def __init__(self, offer_id, framework_id, agent_id, role, resources):
        self.id = offer_id
        self.framework_id = framework_id
        self.agent_id = agent_id
        self.role = role
        #: Resources, allocated to `role`.
        self.resources = resources


class InverseOffer(object):
    """A request to leave an agent that is going to be maintained."""

    __slots__ = ('agent_id', 'framework_id', 'id', 'unavailability')

    def __init__(self, offer_id, framework_id, agent_id, unavailability):
        self.id = offer_id
        self.framework_id = framework_id
        self.agent_id = agent_id
        self.unavailability = unavailability


class Task(object):
    """A task as the master knows it."""

    __slots__ = ('agent_id', 'executor_id', 'framework_id', 'id', 'info', 'is_acknowledged', 'resources', 'state',
                 'statuses', 'update_state', 'update_uuid')

    def __init__(self, info, framework_id, executor_id=None, state='TASK_STAGING'):
        self.id = info['task_id']['value']
        #: TaskInfo.
        self.info = info
        self.framework_id = framework_id
        self.agent_id = info['agent_id']['value']
        #: None for a command task.
        self.executor_id = executor_id
        #: The latest state that its agent has told.
        self.state = state
        #: Resources, allocated to a role.
        self.resources = Resources(info['resources'])
        #: TaskStatus of each state that was forwarded, the latest of each; without `data`.
        self.statuses = []
        #: State and uuid (base64 text) of the update that is to be acknowledged next; None before the first.
        self.update_state = None
        self.update_uuid = None
        #: Whether the framework has acknowledged the last of its states.
        self.is_acknowledged = False

    @property
    def is_terminal(self):
        return self.state in TERMINAL

    def __repr__(self):
        return '<Task %s %s>' % (self.id, self.state)


class Operation(object):
    """An offer operation other than a launch, or one that an operator made."""

    __slots__ = ('agent_id', 'framework_id', 'info', 'latest', 'statuses', 'uuid')

    def __init__(self, info, uuid, agent_id, framework_id=None):
        #: Offer.Operation.
        self.info = info
        #: base64 text.
        self.uuid = uuid
        self.agent_id = agent_id
        #: None if an operator made it.
        self.framework_id = framework_id
        #: The latest OperationStatus, and all of them.
        self.latest = {'state': 'OPERATION_PENDING'}
        self.statuses = []

    @property
    def id(self):
        """The id that the framework gave it, None if it gave none."""
        return self.info.get('id', {}).get('value')

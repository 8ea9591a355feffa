"""What a framework implements and what a driver offers: the vocabulary of Mesos, as classes.

:class:`Scheduler`, :class:`Executor` and :class:`OperatorMaster` hold the callbacks, each with a default. A framework
derives from them, or does not: a driver takes any object, and a callback that is missing counts as empty. The
``...Driver`` classes hold the methods of the drivers; the drivers derive from them, and so may a stand-in in a test.

**Callbacks** run on the driver's callback thread, one at a time, in the order in which the events arrived, with none of
the library's locks held. A slow one delays those behind it and nothing else; every method of the driver may be called
inside. One that raises aborts the driver: the traceback goes to the log, or to stderr if that has no handler,
``error()`` is called, and ``run()`` or ``join()`` raise it if they wait on the main thread. Messages are plain dicts,
or :class:`addict.Dict` with ``use_addict=True``, shaped as PROTOCOL 2 to 5 describe; fields of bytes are base64 text
(see :func:`pymesos.decode_data`). They belong to the callback, which may change and keep them.

**Driver methods** may be called from any thread. One that makes a call blocks until Mesos has answered. It raises
:class:`~pymesos.errors.CallRejected` (a RuntimeError) if the answer is no,
:class:`~pymesos.errors.ConnectionFailed` (an OSError) if none came, :class:`~pymesos.errors.UsageError` for arguments
that can only be wrong. Ids are dicts as in Mesos' messages, ``{'value': text}``.
"""
from __future__ import absolute_import, division, print_function

import sys

__all__ = ['Executor', 'ExecutorDriver', 'OperatorAgentDriver', 'OperatorDaemonDriver', 'OperatorMaster',
           'OperatorMasterDriver', 'Scheduler', 'SchedulerDriver']


def _report(message):
    text = 'pymesos: %s' % (message,)
    # A unicode text on 2.7, where stderr may know no encoding for it.
    print(text if isinstance(text, str) else text.encode('utf-8'), file=sys.stderr)


class Scheduler(object):
    """The callbacks of a scheduler. When they run, where, and what if they raise: see :mod:`pymesos.interface`."""

    def registered(self, driver, frameworkId, masterInfo):
        """The master has taken the framework in, under a new id.

        `frameworkId` is to be stored by whoever wants to fail over later. `masterInfo` holds ``hostname``, ``port``
        and, where known, ``version``.
        """

    def reregistered(self, driver, masterInfo):
        """The framework is subscribed again, or for the first time with an id that it brought.

        Offers from before are void. Unreliable events (`slaveLost`, `frameworkMessage`, updates made by the master) may
        have been lost meanwhile: reconcile (PROTOCOL 2.3).
        """

    def disconnected(self, driver):
        """The connection has ended, by ``driver.stop()`` too. Unless it was stopped the driver connects again."""

    def processHeartBeat(self, driver):
        """The master has sent a heartbeat, as it does every 15 s. A method that takes no `driver` is called without."""

    def resourceOffers(self, driver, offers):
        """The master offers resources: `offers` is a list of Offer, each of one agent and one role.

        They are the framework's until it accepts or declines them or they are rescinded; no other framework is
        offered them meanwhile. See :class:`pymesos.resources.Resources` for what is in them.
        """

    def inverseOffers(self, driver, offers):
        """The master asks for resources back, as for maintenance: `offers` is a list of InverseOffer (PROTOCOL 5.2)."""

    def offerRescinded(self, driver, offerId):
        """An offer is void. Tasks launched on it all the same end in TASK_LOST or TASK_DROPPED."""

    def inverseOfferRescinded(self, driver, offerId):
        """An inverse offer is void."""

    def statusUpdate(self, driver, status):
        """The state of a task has changed: `status` is a TaskStatus (PROTOCOL 2.7).

        With implicit acknowledgements the update is acknowledged once this method has returned; otherwise, or if it
        raises, Mesos sends the update again until ``driver.acknowledgeStatusUpdate(status)`` is called. The same update
        may come twice, with the same ``uuid``; after a cut between an executor and its agent even an older one after
        the terminal one, when the agent has forgotten the task and passes on what the executor repeats.
        """

    def operationStatusUpdate(self, driver, status):
        """The state of an operation that was given an id has changed: `status` is an OperationStatus (PROTOCOL 2.6).

        Acknowledged like a task's update, by ``driver.acknowledgeOperationStatusUpdate(status)``.
        """

    def frameworkMessage(self, driver, executorId, slaveId, message):
        """An executor has sent a message (base64 text). Mesos may lose messages."""

    def slaveLost(self, driver, slaveId):
        """An agent is unreachable or gone; every framework is told. Mesos may lose this event."""

    def executorLost(self, driver, executorId, slaveId, status):
        """An executor has ended, with `status` as of waitpid; -1 or None: not known. Mesos may lose this event."""

    def error(self, driver, message):
        """The driver has aborted, because of what `message` (text) says: the master's ERROR event, or an exception.

        The default prints the message to stderr.
        """
        _report(message)


class SchedulerDriver(object):
    """The methods of a scheduler's driver. Threads and errors: see :mod:`pymesos.interface`.

    While the framework is not subscribed a call is dropped with a warning in the log, and the method returns None.
    `offer_ids` are one id or several. `filters`, as ``{'refuse_seconds': 5.0}``, say for how many seconds not to offer
    again what is left over or declined; without them Mesos takes 5 s.
    """

    def start(self):
        """Start to look for the master and subscribe; return at once."""

    def stop(self, failover=False):
        """Stop, at once and from anywhere; a second time does nothing.

        With `failover` the framework's tasks live on for its ``failover_timeout``, so that it can subscribe again under
        its id, from here or elsewhere; without, it is torn down with all its tasks.
        """

    def abort(self):
        """Stop without a TEARDOWN, as after an error."""

    def join(self):
        """Wait until the driver has ended; inside a callback, return at once. Returns None."""

    def run(self):
        """:meth:`start` and :meth:`join`. It may be called again once the driver has ended."""

    def teardown(self):
        """Stop, and end the framework with all its executors and tasks; its id can never be used again."""

    def updateFramework(self, framework, suppressed_roles=None, offer_constraints=None):
        """Change the FrameworkInfo, without a new subscription (Mesos 1.9).

        `suppressed_roles` (an iterable of text) and `offer_constraints` (OfferConstraints) replace the earlier ones;
        left out means none.
        CallRejected for a changed ``principal``, ``user`` or ``checkpoint`` (PROTOCOL 2.1).
        """

    def requestResources(self, requests):
        """Ask for resources: `requests` is a list of Request. The allocator that Mesos comes with ignores it."""

    def launchTasks(self, offer_ids, tasks, filters=None):
        """Launch `tasks`, a list of TaskInfo, on the offers, which are of one agent. No tasks decline the offers."""

    def acceptOffers(self, offer_ids, operations, filters=None):
        """Perform `operations`, a list of Offer.Operation, on the offers. No operations decline the offers.

        See :mod:`pymesos.wire.calls` for functions that build operations.
        """

    def declineOffer(self, offer_ids, filters=None):
        """Give the offers back."""

    def acceptInverseOffers(self, offer_ids, filters=None):
        """Agree to be off the agents in time."""

    def declineInverseOffer(self, offer_ids, filters=None):
        """Refuse to be off the agents; `filters` delay the next inverse offer."""

    def reviveOffers(self, roles=()):
        """Clear all filters, and suppression, for `roles` (an iterable of text), for every role if there are none."""

    def suppressOffers(self, roles=()):
        """Get no further offers for `roles` (an iterable of text), for every role if there are none, until revived."""

    def killTask(self, task_id, agent_id=None, kill_policy=None):
        """Kill a task; the answer is an update.

        `agent_id` lets the master find the agent of a task that it does not know. `kill_policy`
        (``{'grace_period': {'nanoseconds': int}}``) overrides the task's own.
        """

    def shutdownExecutor(self, executor_id, agent_id):
        """Shut an executor down; it is killed after its grace period."""

    def acknowledgeStatusUpdate(self, status):
        """Acknowledge an update, as it came to :meth:`Scheduler.statusUpdate`. One without ``uuid`` needs none."""

    def acknowledgeOperationStatusUpdate(self, status):
        """Acknowledge an update, as it came to :meth:`Scheduler.operationStatusUpdate`, likewise."""

    def reconcileTasks(self, tasks):
        """Ask for updates on `tasks`, dicts with ``task_id`` and, if known, ``agent_id``; on all if there are none."""

    def reconcileOperations(self, operations):
        """Ask for updates on `operations`; on all if there are none.

        They are dicts with ``operation_id`` and, if known, ``agent_id`` and ``resource_provider_id``.
        """

    def sendFrameworkMessage(self, executor_id, agent_id, data):
        """Send `data` (base64 text, see :func:`pymesos.encode_data`) to an executor. Mesos may lose it."""


class Executor(object):
    """The callbacks of an executor. When they run, where, and what if they raise: see :mod:`pymesos.interface`."""

    def registered(self, driver, executorInfo, frameworkInfo, slaveInfo):
        """The agent has taken the executor in: its ExecutorInfo, FrameworkInfo and AgentInfo."""

    def reregistered(self, driver, slaveInfo):
        """The executor is subscribed again, as after a restart of the agent, and has sent its open updates again."""

    def disconnected(self, driver):
        """The connection to the agent has ended.

        If the framework checkpoints, the driver tries to subscribe again until the recovery timeout is over; otherwise
        `shutdown` follows.
        """

    def launchTask(self, driver, task):
        """Run `task` (TaskInfo), and tell by ``driver.sendStatusUpdate``; return soon, since other callbacks wait."""

    def launchTaskGroup(self, driver, task_infos):
        """Run all of `task_infos` (a list of TaskInfo); like :meth:`launchTask`."""

    def killTask(self, driver, taskId):
        """End a task; its TASK_KILLED is for the executor to send.

        A method with a third parameter, best ``kill_policy=None``, gets the KillPolicy there if the kill came with one.
        """

    def frameworkMessage(self, driver, message):
        """The scheduler has sent a message (base64 text). Mesos may lose messages."""

    def shutdown(self, driver):
        """End all tasks. The process group is killed when the shutdown grace period is over."""

    def error(self, driver, message):
        """The driver has aborted, because of what `message` (text) says. The default prints it to stderr."""
        _report(message)


class ExecutorDriver(object):
    """The methods of an executor's driver. Threads and errors: see :mod:`pymesos.interface`."""

    def start(self):
        """Start to subscribe with the agent; return at once."""

    def stop(self):
        """Stop, at once and from anywhere; a second time does nothing."""

    def abort(self):
        """Stop, as after an error."""

    def join(self):
        """Wait until the driver has ended; inside a callback, return at once. Returns None."""

    def run(self):
        """:meth:`start` and :meth:`join`."""

    def sendStatusUpdate(self, status):
        """Send `status` (TaskStatus with ``task_id`` and ``state``) to the scheduler, reliably.

        ``uuid``, ``timestamp`` and ``source`` are filled in where missing. The update is kept until the agent has
        acknowledged it and is sent again after every new subscription.
        """

    def sendFrameworkMessage(self, data):
        """Send `data` (base64 text) to the scheduler. Mesos may lose it, and it is dropped while not subscribed."""


class OperatorMaster(object):
    """The callbacks of an operator, on a master's events. See :mod:`pymesos.interface` and PROTOCOL 4.2."""

    def taskAdded(self, task_info):
        """The master has a new task (Task), launched or brought by an agent."""

    def taskUpdated(self, task_info):
        """A task has a new state: ``framework_id``, ``status`` (TaskStatus) and ``state``, the latest."""

    def frameworkAdded(self, framework_info):
        """The master has a new framework (GetFrameworks.Framework)."""

    def frameworkUpdated(self, framework_info):
        """A framework has subscribed again or has changed (GetFrameworks.Framework)."""

    def frameworkRemoved(self, framework_info):
        """A framework is gone (FrameworkInfo)."""

    def agentAdded(self, agent_info):
        """An agent has registered (GetAgents.Agent)."""

    def agentRemoved(self, agent_id):
        """An agent has deregistered; its id is text. An agent that is marked unreachable or gone is not reported."""


class OperatorDaemonDriver(object):
    """The operator calls that masters and agents have in common (PROTOCOL 4.1, 4.3).

    Each blocks until the answer is there and returns it whole, as ``{'type': 'GET_HEALTH', 'get_health': {...}}``, or
    None where Mesos has nothing to say. Threads and errors: see :mod:`pymesos.interface`.
    """

    def getHealth(self):
        """Whether the daemon is healthy."""

    def getFlags(self):
        """The flags that the daemon runs with."""

    def getVersion(self):
        """The daemon's version."""

    def getMetrics(self, timeout=None):
        """The daemon's metrics; after `timeout` nanoseconds those that are there."""

    def getLoggingLevel(self):
        """The level of the daemon's verbose log."""

    def setLoggingLevel(self, level, duration):
        """Set the level (int, 0 for none) of the daemon's verbose log for `duration` nanoseconds."""

    def listFiles(self, path):
        """The files below a virtual path of the daemon's."""

    def readFile(self, path, length=None, offset=0):
        """At most `length` bytes of a file, from byte `offset` on; base64 text under ``read_file``, ``data``."""

    def getState(self):
        """All that the daemon knows of its cluster or agent."""

    def getFrameworks(self):
        """The frameworks that the daemon knows."""

    def getExecutors(self):
        """The executors that the daemon knows."""

    def getTasks(self):
        """The tasks that the daemon knows."""


class OperatorMasterDriver(OperatorDaemonDriver):
    """The operator calls of a master (PROTOCOL 4.1), and its event stream. Ids are text here."""

    def start(self):
        """Start to subscribe to the master's events; return at once. Calls need no subscription."""

    def stop(self):
        """Stop the subscription, at once and from anywhere; a second time does nothing."""

    def abort(self):
        """Stop, as after an error."""

    def join(self):
        """Wait until the driver has ended; inside a callback, return at once. Returns None."""

    def run(self):
        """:meth:`start` and :meth:`join`."""

    def getAgents(self):
        """The agents that the master knows."""

    def getRoles(self):
        """The roles, with their weights, frameworks and resources."""

    def getWeights(self):
        """The weights of the roles."""

    def updateWeights(self, weight_infos):
        """Set weights: a list of ``{'role': text, 'weight': number}``."""

    def getMaster(self):
        """What the master says of itself."""

    def reserveResources(self, agent_id, resources):
        """Reserve `resources` (a list of Resource with the new reservation) on an agent."""

    def unreserveResources(self, agent_id, resources):
        """Remove the reservation of `resources` (a list of Resource) on an agent."""

    def createVolumes(self, agent_id, volumes):
        """Create persistent volumes (a list of Resource with ``disk``) on an agent."""

    def destroyVolumes(self, agent_id, volumes):
        """Destroy persistent volumes (a list of Resource with ``disk``) on an agent, and what is on them."""

    def getMaintenanceStatus(self):
        """The machines that are drained or down for maintenance."""

    def getMaintenanceSchedule(self):
        """The schedule of maintenance."""

    def updateMaintenanceSchedule(self, windows):
        """Replace the schedule of maintenance by `windows`, a list of maintenance.Window."""

    def startMaintenance(self, machines):
        """Take machines down: a list of dicts with ``hostname``, ``ip`` or both, as they are scheduled."""

    def stopMaintenance(self, machines):
        """Bring machines up again: a list as in :meth:`startMaintenance`."""

    def getQuota(self):
        """The quotas of the roles."""

    def setQuota(self, quota_request):
        """Set a role's quota, by a QuotaRequest."""

    def removeQuota(self, role):
        """Remove the quota of `role` (text)."""

    def markAgentGone(self, agent_id):
        """Declare that an agent will never come back: its tasks end, and it is refused should it try."""


class OperatorAgentDriver(OperatorDaemonDriver):
    """The operator calls of an agent (PROTOCOL 4.3). Ids of containers are text here."""

    def getContainers(self, show_nested=False, show_standalone=False):
        """The containers on the agent, with their status and statistics."""

    def launchNestedContainer(self, launch_nested_container):
        """Launch a container within another, by a LaunchNestedContainer."""

    def waitNestedContainer(self, container_id, parent_id=None):
        """Wait, for as long as it takes, for a nested container to end."""

    def killNestedContainer(self, container_id, parent_id=None):
        """Kill a nested container."""

    def launchNestedContainerSession(self, launch_nested_container_session):
        """Launch a nested container and read its output; it lives as long as the returned iterator is open."""

    def attachContainerInput(self, container_id, process_ios):
        """Feed a container's standard input with `process_ios`, an iterable of ProcessIO (PROTOCOL 4.4)."""

    def attachContainerOutput(self, container_id):
        """Read a container's standard output and error: an iterator of ProcessIO (PROTOCOL 4.4)."""

    def removeNestedContainer(self, container_id, parent_id=None):
        """Remove a nested container that has ended, and its sandbox."""

    def addResourceProviderConfig(self, info):
        """Start a local resource provider, by a ResourceProviderInfo."""

    def updateResourceProviderConfig(self, info):
        """Change a local resource provider, by a ResourceProviderInfo."""

    def removeResourceProviderConfig(self, type, name):
        """Stop the local resource provider of that type and name; it can be added again."""

    def pruneImages(self, excluded_images=None):
        """Drop the container images that are not in use, except `excluded_images` (a list of Image)."""

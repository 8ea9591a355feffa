"""The operator's drivers: look at and steer a master or an agent, and follow what happens in the cluster."""
from __future__ import absolute_import, division, print_function

import logging
import threading

from ._compat import wait_for
from ._operator_http import Client, Records, Request
from .detector import detect
from .errors import CallRejected, ConnectionFailed, TimedOut
from .interface import OperatorAgentDriver, OperatorDaemonDriver, OperatorMasterDriver
from .process import Process, dict_in
from .utils import DAY, MASTER_PORT, basic_credential, hide_secret, parse_address
from .wire import events, httpmsg, messages, operator_calls, recordio

__all__ = ['MesosOperatorAgentDriver', 'MesosOperatorDaemonDriver', 'MesosOperatorMasterDriver']

PATH = '/api/v1'

#: Where an agent listens if an address names no port.
AGENT_PORT = 5051

#: Seconds that connecting may take, and each wait for a peer, as in 0.3.15.
HTTP_TIMEOUT = 10

_JSON = 'application/json'
_RECORDIO = 'application/recordio'

logger = logging.getLogger(__name__)


class MesosOperatorDaemonDriver(OperatorDaemonDriver):
    """The calls that masters and agents have in common (PROTOCOL 4.1, 4.3).

    :param daemon_uri: ``host:port`` (5050 if left out), ``https://host:port``, ``unix:///path``.
    :param principal: with `secret`, the credentials of basic authentication. Without a secret none are sent.
    :param tls: None, an :class:`ssl.SSLContext`, or a dict with any of ``ca_file``, ``ca_dir``, ``cert_file``,
        ``key_file``, ``verify`` (default True); given, ``https`` is spoken where an address names no scheme.
    :param http_timeout: seconds that connecting may take, and that the daemon may be silent before its answer is
        complete. Calls that take longer by their nature (a launch, a change of the registry, a wait) are given longer.

    Calls need no ``start()``, and the constructor connects to nothing. They may be made from any thread, several at
    once; each blocks until its answer is there. Over connections that are kept open, they return the answer, a dict
    such as ``{'type': 'GET_HEALTH', 'get_health': {...}}``, or None where Mesos answers with nothing. They raise

    - :class:`~pymesos.errors.CallRejected` (a RuntimeError) if the daemon said no: `status`, `body`, `call`, `address`;
    - :class:`~pymesos.errors.ConnectionFailed` (an OSError) if there was no connection, its kinds
      :class:`~pymesos.errors.ConnectionLost` and :class:`~pymesos.errors.TimedOut` if there was no answer: then the
      call may or may not have taken effect;
    - :class:`~pymesos.errors.ProtocolError` if the answer was not HTTP, or not JSON.
    """

    _default_port = MASTER_PORT

    def __init__(self, daemon_uri, principal=None, secret=None, tls=None, http_timeout=HTTP_TIMEOUT):
        self._prepare_calls(principal, secret, tls, http_timeout)
        self.init(daemon_uri)

    def init(self, daemon_uri):
        """Talk to the daemon at `daemon_uri` from now on. Raises :class:`~pymesos.errors.InvalidAddress`."""
        self._daemon = parse_address(daemon_uri, self._default_port, self._default_scheme)
        self._leader = None

    def close(self):
        """Close the connections that were kept open. The next call opens one again."""
        self._client.close()

    # ---- the seam

    def _send(self, body, path=PATH, method='POST', headers=None):
        """The seam through which every call leaves.

        `body` is the call as a dict, ``''`` for no body, or, with a Content-Type of ``application/recordio`` among
        `headers` (a dict), an iterable of calls that are streamed. Returns the answer as a dict, ``{}`` if it is empty;
        with ``application/recordio`` among what Accept allows, an iterator of the messages of the answer.
        """
        headers = self._merge_headers(body, headers)
        wants_records = _RECORDIO in headers['Accept']
        request = self._build(body, path, method, headers)
        address, reply = self._exchange(request, wants_records)
        if isinstance(reply, Records):
            return reply
        if not 200 <= reply.status < 300:
            text = reply.body.decode('utf-8', 'replace')
            raise CallRejected('Failed to send %s to %s: HTTP status %d: %s' % (
                request.kind or request.path, address, reply.status, text.strip()[:200]),
                reply.status, text, request.kind or None, str(address))
        return messages.loads(reply.body) if reply.body.strip() else {}

    def _merge_headers(self, body, headers):
        merged = {'Accept': _JSON}
        if body != '' and body is not None:
            merged['Content-Type'] = _JSON
        if self._credential is not None:
            merged['Authorization'] = self._credential
        merged.update(headers or {})
        return merged

    def _build(self, body, path, method, headers):
        kind = operator_calls.kind_of(body)
        if headers.get('Content-Type') == _RECORDIO:
            kind = 'ATTACH_CONTAINER_INPUT'
            data = (recordio.encode(messages.dumps(message)) for message in body)
        else:
            data = b'' if body == '' or body is None else messages.dumps(body)
        return Request(kind, method, path, sorted(headers.items()), data,
                       operator_calls.patience(body, self._http_timeout), kind in operator_calls.REPEATABLE)

    def _exchange(self, request, wants_records):
        """(address, reply or Records) of the first daemon that can be reached."""
        failure = None
        for address in self._candidates():
            try:
                connection = self._client.open(address) if wants_records else self._client.connect(address)
            except ConnectionFailed as error:
                logger.info('%s: %s', request.kind, error)
                failure, self._leader = error, None
                continue
            send = self._client.open_records if wants_records else self._client.call
            try:
                address, reply = send(connection, request)
            except ConnectionFailed:
                self._leader = None
                raise
            # A master that answers 503 does not lead, or not yet.
            self._leader = None if getattr(reply, 'status', None) == 503 else address
            return address, reply
        raise failure

    def _prepare_calls(self, principal, secret, tls, http_timeout):
        self._client = Client(http_timeout, tls)
        self._credential = basic_credential(principal, secret)
        self._http_timeout = http_timeout
        self._default_scheme = 'http' if tls is None else 'https'

    # ---- where the daemon is

    def _candidates(self):
        """Addresses to try, in order: the one that answered last, then those that the user named."""
        last = self._leader
        if last is not None:
            yield last
        for address in self._locate():
            if address != last:
                yield address

    def _locate(self):
        return (self._daemon,)

    # ---- calls

    def getHealth(self):
        """Whether the daemon is healthy: ``get_health``, ``healthy``."""
        return self._send(operator_calls.bare('GET_HEALTH'))

    def getFlags(self):
        """The flags that the daemon runs with: ``get_flags``, ``flags``."""
        return self._send(operator_calls.bare('GET_FLAGS'))

    def getVersion(self):
        """The daemon's version: ``get_version``, ``version_info``."""
        return self._send(operator_calls.bare('GET_VERSION'))

    def getMetrics(self, timeout=None):
        """The daemon's metrics: ``get_metrics``, ``metrics``; after `timeout` nanoseconds those that are there."""
        return self._send(operator_calls.get_metrics(timeout))

    def getLoggingLevel(self):
        """The level of the daemon's verbose log: ``get_logging_level``, ``level``."""
        return self._send(operator_calls.bare('GET_LOGGING_LEVEL'))

    def setLoggingLevel(self, level, duration):
        """Set the level (int, 0 is the least) of the daemon's verbose log for `duration` nanoseconds."""
        return self._send(operator_calls.set_logging_level(level, duration))

    def listFiles(self, path):
        """The files in a folder, by a virtual path: ``list_files``, ``file_infos``."""
        return self._send(operator_calls.list_files(path))

    def readFile(self, path, length=None, offset=0):
        """A file from byte `offset` on, `length` bytes or all there are: ``read_file``, ``data`` (base64), ``size``."""
        return self._send(operator_calls.read_file(path, length, offset))

    def getState(self):
        """All that the daemon knows of its cluster or agent: ``get_state``."""
        return self._send(operator_calls.bare('GET_STATE'))

    def getFrameworks(self):
        """The frameworks that the daemon knows: ``get_frameworks``."""
        return self._send(operator_calls.bare('GET_FRAMEWORKS'))

    def getExecutors(self):
        """The executors that the daemon knows: ``get_executors``."""
        return self._send(operator_calls.bare('GET_EXECUTORS'))

    def getTasks(self):
        """The tasks that the daemon knows: ``get_tasks``."""
        return self._send(operator_calls.bare('GET_TASKS'))


class MesosOperatorMasterDriver(Process, MesosOperatorDaemonDriver, OperatorMasterDriver):
    """The calls of a master (PROTOCOL 4.1), and its events (4.2) for an `operator`.

    :param master_uri: ``host``, ``host:port``, ``https://host:port``, several of them with commas between, ``zk://...``
        or ``file://...``; see :func:`pymesos.detector.detect`. Calls find the leader too, within `http_timeout`.
    :param operator: the object whose callbacks are called, such as a :class:`pymesos.OperatorMaster`; what it lacks
        counts as an empty callback. Only for ``start()`` and ``run()``.
    :param use_addict: whether callbacks get ``addict.Dict`` in place of dict. What calls return is always a dict.
    :param timeout: seconds without a subscription after which the driver gives up; see its `failure`.
    :param principal: and `secret`, `tls`, `http_timeout`: see :class:`MesosOperatorDaemonDriver`, as for calls.
    :param options: see :class:`pymesos.process.Process`: ``max_record``, ``max_queued`` and so on.

    There is no resuming of the events: after a loss the driver subscribes anew, and what happened in between is only
    in the state that comes first (:meth:`on_subscribed`).
    """

    _thread_name = 'pymesos-operator'
    _events = events.OPERATOR

    def __init__(self, master_uri, operator=None, use_addict=False, timeout=DAY, principal=None, secret=None, tls=None,
                 http_timeout=HTTP_TIMEOUT, **options):
        super(MesosOperatorMasterDriver, self).__init__(
            master=master_uri, timeout=timeout, use_addict=use_addict, tls=tls, **options)
        self.operator = operator
        self._prepare_calls(principal, secret, tls, http_timeout)
        self.init(master_uri)

    def init(self, daemon_uri):
        """Talk to the master at `daemon_uri` from now on; the subscription too, from the next start on."""
        detect(daemon_uri, _ignore, self._default_scheme)
        self.master_uri = daemon_uri
        self._leader = None

    def change_master(self, new_master):
        """Subscribe, and call, at another address, text such as ``host:port``; None to hang up and wait for one."""
        self._leader = None
        super(MesosOperatorMasterDriver, self).change_master(new_master)

    def _locate(self):
        found = threading.Event()
        leaders = []

        def listen(candidates):
            if candidates:              # when the leader goes again before we look, who it was is still an answer
                leaders[:] = [candidates]
                found.set()

        detector = detect(self.master_uri, listen, self._default_scheme)
        detector.start()
        try:
            if not wait_for(found, self._http_timeout):
                shown = hide_secret(self.master_uri)
                raise TimedOut('found no leading master at %s within %g seconds' % (shown, self._http_timeout), shown)
            return leaders[0]
        finally:
            detector.stop()

    # ---- the subscription

    def gen_request(self):
        """The bytes of the SUBSCRIBE request."""
        body = operator_calls.bare('SUBSCRIBE')
        headers = [('Host', self.master or '')] + sorted(self._merge_headers(body, None).items())
        return httpmsg.request('POST', PATH, headers + [('Connection', 'close')], messages.dumps(body))

    def request_for(self, address):
        """See :class:`pymesos.transport.engine.Engine`: whoever takes the subscription takes the calls."""
        self._leader = address
        return super(MesosOperatorMasterDriver, self).request_for(address)

    def stop(self):
        """End the subscription; returns at once, from any thread, callbacks and signal handlers included.

        Twice is fine, and so are calls afterwards.
        """
        super(MesosOperatorMasterDriver, self).stop()
        self.close()

    # ---- events, on the callbacks' thread

    def _tell(self, name, value):
        callback = getattr(self.operator, name, None)
        if callback is not None:
            callback(value)

    def on_subscribed(self, info):
        """SUBSCRIBED, with the state of the cluster (``get_state``). There is no callback for it: override this."""

    def on_heartbeat(self, _event):
        """HEARTBEAT: nothing but a sign of life."""

    def on_task_added(self, event):
        """TASK_ADDED: ``taskAdded(task)``."""
        self._tell('taskAdded', self._as_dict(event.get('task')))

    def on_task_updated(self, event):
        """TASK_UPDATED: ``taskUpdated`` with ``framework_id``, ``status`` and ``state``."""
        self._tell('taskUpdated', self._as_dict(event))

    def on_framework_added(self, event):
        """FRAMEWORK_ADDED: ``frameworkAdded(framework)``, with its ``framework_info``."""
        self._tell('frameworkAdded', self._as_dict(event.get('framework')))

    def on_framework_updated(self, event):
        """FRAMEWORK_UPDATED: ``frameworkUpdated(framework)``, with its ``framework_info``."""
        self._tell('frameworkUpdated', self._as_dict(event.get('framework')))

    def on_framework_removed(self, event):
        """FRAMEWORK_REMOVED: ``frameworkRemoved(framework_info)``."""
        self._tell('frameworkRemoved', self._as_dict(event.get('framework_info')))

    def on_agent_added(self, event):
        """AGENT_ADDED: ``agentAdded(agent)``, with its ``agent_info``."""
        self._tell('agentAdded', self._as_dict(event.get('agent')))

    def on_agent_removed(self, event):
        """AGENT_REMOVED: ``agentRemoved``, with the agent's id as text."""
        self._tell('agentRemoved', dict_in(event, 'agent_id').get('value'))

    # ---- calls

    def getAgents(self):
        """The agents that the master knows: ``get_agents``, ``agents`` and ``recovered_agents``."""
        return self._send(operator_calls.bare('GET_AGENTS'))

    def getRoles(self):
        """The roles: ``get_roles``, ``roles``."""
        return self._send(operator_calls.bare('GET_ROLES'))

    def getWeights(self):
        """The weights of the roles: ``get_weights``, ``weight_infos``; no ``get_weights`` if there are none."""
        return self._send(operator_calls.bare('GET_WEIGHTS'))

    def updateWeights(self, weight_infos):
        """Set the weights of roles: a list of ``{'role': text, 'weight': number}``."""
        self._send(operator_calls.update_weights(weight_infos))

    def getMaster(self):
        """What the master says of itself: ``get_master``, ``master_info``."""
        return self._send(operator_calls.bare('GET_MASTER'))

    def reserveResources(self, agent_id, resources):
        """Reserve `resources` (a list of Resource) on an agent. The master has accepted it then, not done it."""
        self._send(operator_calls.reserve_resources(agent_id, resources))

    def unreserveResources(self, agent_id, resources):
        """Remove the reservation of `resources` (a list of Resource) on an agent; as :meth:`reserveResources`."""
        self._send(operator_calls.unreserve_resources(agent_id, resources))

    def createVolumes(self, agent_id, volumes):
        """Create persistent volumes (a list of Resource) on an agent; as :meth:`reserveResources`."""
        self._send(operator_calls.create_volumes(agent_id, volumes))

    def destroyVolumes(self, agent_id, volumes):
        """Destroy persistent volumes (a list of Resource) on an agent; as :meth:`reserveResources`."""
        self._send(operator_calls.destroy_volumes(agent_id, volumes))

    def getMaintenanceStatus(self):
        """The machines that drain or are down: ``get_maintenance_status``, ``status``."""
        return self._send(operator_calls.bare('GET_MAINTENANCE_STATUS'))

    def getMaintenanceSchedule(self):
        """The schedule of maintenance: ``get_maintenance_schedule``, ``schedule``."""
        return self._send(operator_calls.bare('GET_MAINTENANCE_SCHEDULE'))

    def updateMaintenanceSchedule(self, windows):
        """Replace the schedule of maintenance by `windows`, a list of maintenance.Window."""
        self._send(operator_calls.update_maintenance_schedule(windows))

    def startMaintenance(self, machines):
        """Take machines down: a list of dicts with ``hostname`` or ``ip`` or both, as they are scheduled."""
        self._send(operator_calls.start_maintenance(machines))

    def stopMaintenance(self, machines):
        """Bring machines up again: a list as in :meth:`startMaintenance`."""
        self._send(operator_calls.stop_maintenance(machines))

    def getQuota(self):
        """The quotas of the roles: ``get_quota``, ``status``."""
        return self._send(operator_calls.bare('GET_QUOTA'))

    def setQuota(self, quota_request):
        """Set a role's quota, by a QuotaRequest."""
        self._send(operator_calls.set_quota(quota_request))

    def removeQuota(self, role):
        """Remove the quota of `role` (text)."""
        self._send(operator_calls.remove_quota(role))

    def markAgentGone(self, agent_id):
        """Declare that an agent will never come back: its tasks are gone, and it is refused should it try."""
        self._send(operator_calls.mark_agent_gone(agent_id))


class MesosOperatorAgentDriver(MesosOperatorDaemonDriver, OperatorAgentDriver):
    """The calls of an agent (PROTOCOL 4.3). Arguments and errors: :class:`MesosOperatorDaemonDriver`.

    `agent_uri` is as `daemon_uri` there, with the port 5051 if it names none. The id of a container is text, or a
    ContainerID (a dict, for one that is nested more deeply).
    """

    _default_port = AGENT_PORT

    def __init__(self, agent_uri, principal=None, secret=None, tls=None, http_timeout=HTTP_TIMEOUT):
        super(MesosOperatorAgentDriver, self).__init__(agent_uri, principal, secret, tls, http_timeout)

    def getContainers(self, show_nested=False, show_standalone=False):
        """The containers on the agent: ``get_containers``, ``containers``; no ``get_containers`` if there are none."""
        return self._send(operator_calls.get_containers(show_nested, show_standalone))

    def launchNestedContainer(self, launch_nested_container):
        """Launch a container within another, by a LaunchNestedContainer; returns when it is launched."""
        self._send(operator_calls.launch_nested_container(launch_nested_container))

    def waitNestedContainer(self, container_id, parent_id=None):
        """Wait, for as long as it takes, until a nested container has ended.

        Returns ``wait_nested_container`` with its ``exit_status`` (as of waitpid), ``state`` and so on.
        """
        return self._send(operator_calls.wait_nested_container(container_id, parent_id))

    def killNestedContainer(self, container_id, parent_id=None):
        """Kill a nested container."""
        self._send(operator_calls.kill_nested_container(container_id, parent_id))

    def launchNestedContainerSession(self, launch_nested_container_session):
        """Launch a nested container that lives as long as the returned iterator is open, and read its output.

        The argument is a LaunchNestedContainerSession. Returned is what :meth:`attachContainerOutput` returns; to
        close it kills the container.
        """
        return self._send_for_output(operator_calls.launch_nested_container_session(launch_nested_container_session))

    def attachContainerInput(self, container_id, process_ios):
        """Feed a container's standard input, from an iterable of ProcessIO (dicts; PROTOCOL 4.4).

        Each is sent as the iterable yields it, as ``{'type': 'DATA', 'data': {'type': 'STDIN', 'data': base64 text}}``.
        DATA that is empty closes the container's input. Returns None when the agent has taken all; it raises as soon
        as, between two of them, the agent has refused the call, and :class:`~pymesos.errors.UsageError` for what is no
        ProcessIO.
        """
        self._send(operator_calls.attach_container_input(container_id, process_ios),
                   headers={'Content-Type': _RECORDIO, 'Message-Content-Type': _JSON})

    def attachContainerOutput(self, container_id):
        """Read a container's standard output and error, from now on.

        Returns an iterator of ProcessIO (dicts; PROTOCOL 4.4) that blocks until there is one, and ends when the
        container's output does. It is a context manager and has ``close()``, which any thread may call and which ends
        a wait for the next. It raises :class:`~pymesos.errors.ConnectionLost` if the connection broke,
        :class:`~pymesos.errors.TimedOut` if five heartbeats of the agent (every 30 s unless it says otherwise) did not
        come, and :class:`~pymesos.errors.ProtocolError` for what is not a stream of messages.
        """
        return self._send_for_output(operator_calls.attach_container_output(container_id))

    def removeNestedContainer(self, container_id, parent_id=None):
        """Remove a nested container that has ended, and its sandbox."""
        self._send(operator_calls.remove_nested_container(container_id, parent_id))

    def addResourceProviderConfig(self, info):
        """Start a local resource provider, by a ResourceProviderInfo."""
        self._send(operator_calls.add_resource_provider_config(info))

    def updateResourceProviderConfig(self, info):
        """Change a local resource provider, by a ResourceProviderInfo."""
        self._send(operator_calls.update_resource_provider_config(info))

    def removeResourceProviderConfig(self, type, name):                         # noqa: A002
        """Stop the local resource provider of that type and name; it can be added again."""
        self._send(operator_calls.remove_resource_provider_config(type, name))

    def pruneImages(self, excluded_images=None):
        """Drop the container images that are not in use, except `excluded_images` (a list of Image)."""
        self._send(operator_calls.prune_images(excluded_images))

    def _send_for_output(self, body):
        return self._send(body, headers={'Accept': _RECORDIO, 'Message-Accept': _JSON})


def _ignore(_candidates):
    """The listener of a detector that is only made to check an address."""

"""A scripted Mesos agent: the executor API as a test wants it."""
from __future__ import absolute_import, division, print_function

import os
import tempfile
import uuid

from ..serving.http_server import Answer
from .scripted import ScriptedServer, basic, refusal

__all__ = ['ScriptedAgent']

#: Seconds between two heartbeats of a real agent, and before the first.
HEARTBEAT_INTERVAL = 1800.0


class ScriptedAgent(ScriptedServer):
    """An agent that a test scripts: the same server as :class:`ScriptedMaster`, for one executor.

    ::

        with ScriptedAgent() as agent:
            os.environ.update(agent.environment())
            driver = MesosExecutorDriver(executor)
            driver.start()
            agent.await_subscribe()
            agent.send_event({'type': 'LAUNCH', 'launch': {'task': task}})
            update = agent.await_call('UPDATE')

    It promises:

    1.  A SUBSCRIBE is answered with 200 and a chunked body that begins with SUBSCRIBED (executor_info, framework_info,
        agent_info, container_id). The stream before is closed.
    2.  UPDATE, MESSAGE and HEARTBEAT are answered with 202 if they are well formed and the executor has ever
        subscribed; otherwise with the status and the words of Mesos 1.11: 400 for what is malformed, for another
        framework or executor, for an update without a uuid or whose source is not SOURCE_EXECUTOR; 403 before the
        first subscription. A HEARTBEAT is accepted from anyone.
    3.  ACKNOWLEDGED is sent for each update that is accepted, those in SUBSCRIBE's ``unacknowledged_updates``
        included, unless `acknowledges` is false (an attribute that may be changed at any time). It is not sent
        while the stream is closed.
    4.  HEARTBEAT is sent every `heartbeat_interval` seconds (30 minutes, as an agent does), unless `heartbeats` is
        false.
    5.  Promises 7 to 10 of :class:`ScriptedMaster` hold here.
    6.  It launches no process and sends no task by itself.

    Paths are ``/slave(1)/api/v1/executor`` and ``/api/v1/executor``. `host`, `port`, `unix_path`, `ssl_context` and
    `records` as of :class:`ScriptedMaster`. `framework_id`, `executor_id` and `agent_id` are text; `framework_info` and
    `executor_info` dicts that SUBSCRIBED carries. `token` is the executor's authentication token, which is checked
    (401) and part of :meth:`environment`; `credentials` are (principal, secret) instead.
    """

    PATHS = ('/slave(1)/api/v1/executor', '/api/v1/executor')
    CALL_NAME = 'Executor'
    CALLS = {'SUBSCRIBE': True, 'UPDATE': True, 'MESSAGE': True, 'HEARTBEAT': False}

    def __init__(self, framework_id=None, executor_id='executor', agent_id=None, framework_info=None,
                 executor_info=None, heartbeat_interval=HEARTBEAT_INTERVAL, heartbeats=True, acknowledges=True,
                 token=None, credentials=None, host='127.0.0.1', port=0, unix_path=None, ssl_context=None,
                 records=True):
        authorization, challenge = None, 'Basic realm="mesos-agent-executor"'
        if token is not None:
            authorization, challenge = 'Bearer ' + token, 'Bearer realm="mesos-agent-executor"'
        elif credentials is not None:
            authorization = basic(credentials)
        super(ScriptedAgent, self).__init__(host, port, unix_path, ssl_context, authorization, challenge, heartbeats,
                                            heartbeat_interval, records, 'pymesos-scripted-agent')
        master_id = str(uuid.uuid4())
        #: The ids (text) that the executor has to use.
        self.framework_id = framework_id or master_id + '-0000'
        self.executor_id = executor_id
        self.agent_id = agent_id or master_id + '-S0'
        self.container_id = str(uuid.uuid4())
        #: Whether updates are acknowledged.
        self.acknowledges = acknowledges
        self._framework_info = framework_info
        self._executor_info = executor_info
        self._token = token

    # -- for the test -----------------------------------------------------------------------------------

    def environment(self, checkpoint=False, recovery_timeout='15mins', subscription_backoff_max='2secs',
                    grace_period='5secs', directory=None, in_process=True):
        """A dict of the variables that an agent gives to an executor (PROTOCOL 3.3), for a driver of this agent.

        Durations are text as Mesos prints it; the recovery timeout and the back-off are there only with
        `checkpoint`. `directory` is the sandbox (default: the system's temporary directory). `in_process` adds
        MESOS_LOCAL, which keeps the driver from killing its process group when it is shut down; switch it off for an
        executor that is a process of its own.
        """
        directory = directory or os.path.realpath(tempfile.gettempdir())
        variables = {
            'MESOS_FRAMEWORK_ID': self.framework_id, 'MESOS_EXECUTOR_ID': self.executor_id,
            'MESOS_SLAVE_ID': self.agent_id, 'MESOS_SLAVE_PID': 'slave(1)@' + self._endpoint,
            'MESOS_AGENT_ENDPOINT': self._endpoint, 'MESOS_DIRECTORY': directory, 'MESOS_SANDBOX': directory,
            'MESOS_CHECKPOINT': '1' if checkpoint else '0', 'MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD': grace_period,
            'MESOS_HTTP_COMMAND_EXECUTOR': '0', 'LIBPROCESS_PORT': '0',
        }
        if checkpoint:
            variables['MESOS_RECOVERY_TIMEOUT'] = recovery_timeout
            variables['MESOS_SUBSCRIPTION_BACKOFF_MAX'] = subscription_backoff_max
        if self._token is not None:
            variables['MESOS_EXECUTOR_AUTHENTICATION_TOKEN'] = self._token
        if self._unix_path is not None:
            variables['MESOS_DOMAIN_SOCKET'] = self._unix_path
        if in_process:
            variables['MESOS_LOCAL'] = '1'
        return variables

    def acknowledge(self, status):
        """Send ACKNOWLEDGED for a status (a dict with task_id and uuid) on the newest stream; False if it is closed."""
        return self.send_event({'type': 'ACKNOWLEDGED',
                                'acknowledged': {'task_id': status['task_id'], 'uuid': status['uuid']}})

    # -- the server's thread ----------------------------------------------------------------------------

    @property
    def _endpoint(self):
        # With a domain socket there is no port; the variable is there all the same, and names nothing that listens.
        return '127.0.0.1:5051' if self._unix_path is not None else self.netloc

    def _take_call(self, call, request):
        missing = [name for name in ('executor_id', 'framework_id') if name not in call.body]
        if missing:
            return refusal(400, 'Failed to convert JSON into Call protobuf: Missing required fields: %s'
                           % ', '.join(missing))
        if call.type == 'HEARTBEAT':
            return Answer(202)
        if call.body['framework_id'].get('value') != self.framework_id:
            return refusal(400, 'Framework cannot be found')
        if call.body['executor_id'].get('value') != self.executor_id:
            return refusal(400, 'Executor cannot be found')
        if call.type == 'SUBSCRIBE':
            return self._take_subscribe(call)
        with self._changed:
            has_subscribed = bool(self._streams)
        if not has_subscribed:
            return refusal(403, 'Executor is not subscribed')
        return self._take_update(call) if call.type == 'UPDATE' else Answer(202)

    def _take_update(self, call):
        status = call.body['update'].get('status') or {}
        if not status.get('uuid'):
            return refusal(400, "Failed to validate Executor::Call: Expecting 'uuid' to be present")
        if status.get('source') != 'SOURCE_EXECUTOR':
            return refusal(400, 'Failed to validate Executor::Call: Received Call from executor %s of framework %s '
                                "with invalid source, expecting 'SOURCE_EXECUTOR'"
                           % (self.executor_id, self.framework_id))
        self._acknowledge_soon([status])
        return Answer(202)

    def _take_subscribe(self, call):
        with self._changed:
            older = self._streams[-1] if self._streams else None
        if older is not None and older.is_open:
            older.end()
        subscribed = {
            'executor_info': self._executor_info or {
                'type': 'CUSTOM', 'executor_id': {'value': self.executor_id},
                'framework_id': {'value': self.framework_id}, 'command': {'shell': True, 'value': 'true'}},
            'framework_info': self._framework_info or {
                'user': 'nobody', 'name': 'scripted', 'id': {'value': self.framework_id},
                'failover_timeout': 0.0, 'checkpoint': False},
            'agent_info': {'hostname': '127.0.0.1', 'port': self.port or 5051, 'id': {'value': self.agent_id}},
            'container_id': {'value': self.container_id},
        }
        return self._open_stream(call, self.framework_id, [], [{'type': 'SUBSCRIBED', 'subscribed': subscribed}])

    def _stream_opened(self, stream):
        updates = stream.call.body['subscribe'].get('unacknowledged_updates') or []
        self._acknowledge_soon([update['status'] for update in updates])
        super(ScriptedAgent, self)._stream_opened(stream)

    def _acknowledge_soon(self, statuses):
        def acknowledge():
            for status in statuses:
                self.acknowledge(status)

        # Behind the answer to the call, in its turn of the loop.
        if self.acknowledges and statuses:
            self._server.loop.order(acknowledge)

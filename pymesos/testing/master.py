"""A scripted Mesos master: the scheduler API as a test wants it."""
from __future__ import absolute_import, division, print_function

import socket
import struct
import uuid

from ..serving.http_server import Answer
from .scripted import ScriptedServer, basic, refusal

__all__ = ['ScriptedMaster']

#: Seconds between two heartbeats of a real master.
HEARTBEAT_INTERVAL = 15.0


class ScriptedMaster(ScriptedServer):
    """A master that a test scripts: HTTP/1.1 on a free port, in a thread, with as much of Mesos as a scheduler sees.

    ::

        with ScriptedMaster() as master:
            driver = MesosSchedulerDriver(scheduler, framework, master.address)
            driver.start()
            master.await_subscribe()
            master.send_event({'type': 'OFFERS', 'offers': {'offers': [offer]}})
            accept = master.await_call('ACCEPT')

    It promises:

    1.  A SUBSCRIBE is answered with 200, a chunked body and a new Mesos-Stream-Id; SUBSCRIBED comes first, with the
        framework's id, the heartbeat interval and a MasterInfo, then HEARTBEAT.
    2.  A framework without an id gets `framework_id` the first time, or else one that the master makes.
    3.  HEARTBEAT is sent every `heartbeat_interval` seconds on each open stream, unless `heartbeats` is false (an
        attribute that may be changed at any time).
    4.  A SUBSCRIBE for a framework whose stream is open ends that one with ERROR "Framework failed over".
    5.  Every other call is answered with 202 (UPDATE_FRAMEWORK with 200) if it is well formed, its framework is
        subscribed and Mesos-Stream-Id is that of its stream. Otherwise with the status and the words of Mesos 1.11:
        400 for what is malformed, an unknown framework, a wrong or missing stream id; 403 for a framework that is not
        subscribed.
    6.  TEARDOWN ends the stream; the id is refused from then on, a SUBSCRIBE by an ERROR in the stream.
    7.  Every call is recorded, refused or not, before its answer leaves.
    8.  Requests that are pipelined are answered in order; answers that are held or delayed keep it.
    9.  Credentials are checked first (401 as Mesos), then come the redirection, the answers set by
        :meth:`reject_next` and :meth:`answer_next`, the functions of :meth:`on_call`, and only then the checks of
        promise 5.
    10. GET /version and /health are answered.
    11. It does nothing else by itself: no offer, no update.

    `host` is where to listen (``'::1'`` for IPv6), `port` 0 for a free one, `unix_path` the path of a domain socket
    instead. `ssl_context` is a server's :class:`ssl.SSLContext`. `credentials` are (principal, secret) for basic
    authentication. With ``records=False`` calls are counted and not kept, for benchmarks.
    """

    PATHS = ('/api/v1/scheduler', '/master/api/v1/scheduler')
    CALL_NAME = 'scheduler'
    CALLS = dict((name, True) for name in (
        'SUBSCRIBE', 'ACCEPT', 'DECLINE', 'ACCEPT_INVERSE_OFFERS', 'DECLINE_INVERSE_OFFERS', 'KILL', 'SHUTDOWN',
        'ACKNOWLEDGE', 'ACKNOWLEDGE_OPERATION_STATUS', 'RECONCILE', 'RECONCILE_OPERATIONS', 'MESSAGE', 'REQUEST',
        'UPDATE_FRAMEWORK'))
    CALLS.update((name, False) for name in ('TEARDOWN', 'REVIVE', 'SUPPRESS'))

    def __init__(self, framework_id=None, heartbeat_interval=HEARTBEAT_INTERVAL, heartbeats=True, host='127.0.0.1',
                 port=0, unix_path=None, ssl_context=None, credentials=None, records=True):
        super(ScriptedMaster, self).__init__(
            host, port, unix_path, ssl_context, basic(credentials) if credentials else None,
            'Basic realm="mesos-master-scheduler"', heartbeats, heartbeat_interval, records,
            'pymesos-scripted-master')
        #: The master's id (text).
        self.master_id = str(uuid.uuid4())
        self._first_id = framework_id
        self._made_ids = 0
        self._refused = []
        self._by_framework = {}
        self._removed = set()

    def refuse_next_subscription(self, message):
        """Refuse the next SUBSCRIBE as Mesos does: 200, a single ERROR with `message`, the end of the stream."""
        with self._changed:
            self._refused.append(message)

    def master_info(self):
        """The MasterInfo that SUBSCRIBED carries (a dict)."""
        host = '127.0.0.1' if self._unix_path is not None else self._host
        info = {'id': self.master_id, 'ip': 0, 'port': self.port or 0, 'pid': 'master@' + self.netloc,
                'hostname': host, 'version': '1.11.0',
                'address': {'hostname': host, 'ip': host, 'port': self.port or 0},
                'capabilities': [{'type': 'AGENT_UPDATE'}, {'type': 'AGENT_DRAINING'}, {}]}
        if ':' not in host:
            info['ip'] = struct.unpack('<I', socket.inet_aton(socket.gethostbyname(host)))[0]
        return info

    # -- the server's thread ----------------------------------------------------------------------------

    def _take_call(self, call, request):
        if call.type == 'SUBSCRIBE':
            return self._take_subscribe(call)
        framework_id = _id_of(call.body.get('framework_id'))
        if not framework_id:
            return refusal(400, "Failed to validate scheduler::Call: Expecting 'framework_id' to be present")
        stream = self._by_framework.get(framework_id)
        if stream is None:
            return refusal(400, 'Framework cannot be found')
        if not stream.is_open:
            return refusal(403, 'Framework is not subscribed')
        stream_id = call.headers.get('mesos-stream-id')
        if stream_id is None:
            return refusal(400, "All non-subscribe calls should include the 'Mesos-Stream-Id' header")
        if stream_id != stream.stream_id:
            return refusal(400, "The stream ID '%s' included in this request didn't match the stream ID currently "
                                'associated with framework ID %s' % (stream_id, framework_id))
        if call.type == 'TEARDOWN':
            self._removed.add(framework_id)
            del self._by_framework[framework_id]
            stream.end()
        return Answer(200 if call.type == 'UPDATE_FRAMEWORK' else 202)

    def _take_subscribe(self, call):
        if 'mesos-stream-id' in call.headers:
            return refusal(400, "Subscribe calls should not include the 'Mesos-Stream-Id' header")
        framework_id = _id_of(call.body.get('framework_id'))
        info = call.body['subscribe'].get('framework_info') or {}
        missing = ['subscribe.framework_info.' + name for name in ('user', 'name') if name not in info]
        if missing:
            return refusal(400, 'Failed to convert JSON into Call protobuf: Missing required fields: %s'
                           % ', '.join(missing))
        if framework_id != _id_of(info.get('id')):
            return refusal(400, "Failed to validate scheduler::Call: 'framework_id' differs from "
                                "'subscribe.framework_info.id'")
        stream_id = str(uuid.uuid4())
        headers = [('Mesos-Stream-Id', stream_id)]
        with self._changed:
            message = self._refused.pop(0) if self._refused else None
        if message is None and framework_id in self._removed:
            message = 'Framework has been removed'
        if message is not None:
            return self._open_stream(call, framework_id, headers, [_error(message)], stream_id, is_accepted=False)
        framework_id = framework_id or self._new_id()
        self._end_older(framework_id)
        subscribed = {'framework_id': {'value': framework_id}, 'heartbeat_interval_seconds': self.heartbeat_interval,
                      'master_info': self.master_info()}
        events = [{'type': 'SUBSCRIBED', 'subscribed': subscribed}]
        if self.heartbeats:
            events.append({'type': 'HEARTBEAT'})
        return self._open_stream(call, framework_id, headers, events, stream_id)

    def _new_id(self):
        if self._first_id is not None:
            framework_id, self._first_id = self._first_id, None
            return framework_id
        self._made_ids += 1
        return '%s-%04d' % (self.master_id, self._made_ids - 1)

    def _end_older(self, framework_id):
        older = self._by_framework.get(framework_id)
        if older is not None and older.is_open:
            older.send_event(_error('Framework failed over'))
            older.end()

    def _stream_opened(self, stream):
        self._by_framework[stream.framework_id] = stream
        super(ScriptedMaster, self)._stream_opened(stream)


def _id_of(message):
    return (message or {}).get('value') or None


def _error(message):
    return {'type': 'ERROR', 'error': {'message': message}}

"""A scripted master or agent that speaks the operator API, for the tests of the operator's drivers."""
from __future__ import absolute_import, division, print_function

import json
import socket
import threading
from contextlib import contextmanager

from pymesos.testing import Answer
from pymesos.testing.scripted import ScriptedServer, basic


STATE = {'get_tasks': {}, 'get_executors': {}, 'get_frameworks': {}, 'get_agents': {}}

_WITHOUT_FIELD = ('GET_AGENTS GET_EXECUTORS GET_FLAGS GET_FRAMEWORKS GET_HEALTH GET_LOGGING_LEVEL GET_STATE GET_TASKS '
                  'GET_MAINTENANCE_SCHEDULE GET_MAINTENANCE_STATUS GET_MASTER GET_QUOTA GET_ROLES GET_VERSION '
                  'GET_WEIGHTS PRUNE_IMAGES SUBSCRIBE')
_WITH_FIELD = ('GET_METRICS SET_LOGGING_LEVEL LIST_FILES READ_FILE UPDATE_WEIGHTS RESERVE_RESOURCES SET_QUOTA '
               'GET_CONTAINERS WAIT_NESTED_CONTAINER LAUNCH_NESTED_CONTAINER LAUNCH_NESTED_CONTAINER_SESSION '
               'ATTACH_CONTAINER_OUTPUT')


class ScriptedOperator(ScriptedServer):
    """Answers operator calls with 200 and what `answers` (type -> dict) has for them, SUBSCRIBE with a stream."""

    PATHS = ('/api/v1',)
    CALL_NAME = 'master'
    CALLS = dict([(name, False) for name in _WITHOUT_FIELD.split()] + [(name, True) for name in _WITH_FIELD.split()])

    def __init__(self, host='127.0.0.1', unix_path=None, ssl_context=None, credentials=None, heartbeat_interval=15.0):
        super(ScriptedOperator, self).__init__(
            host, 0, unix_path, ssl_context, basic(credentials) if credentials else None,
            'Basic realm="mesos-master-readwrite"', heartbeat_interval=heartbeat_interval)
        self.answers = {'GET_HEALTH': {'type': 'GET_HEALTH', 'get_health': {'healthy': True}}}

    def _take_call(self, call, request):
        if call.type == 'SUBSCRIBE':
            subscribed = {'get_state': STATE, 'heartbeat_interval_seconds': self.heartbeat_interval}
            return self._open_stream(call, None, [], [
                {'type': 'SUBSCRIBED', 'subscribed': subscribed}, {'type': 'HEARTBEAT'}])
        if call.type in ('ATTACH_CONTAINER_OUTPUT', 'LAUNCH_NESTED_CONTAINER_SESSION'):
            return self._open_stream(call, None, [('Message-Content-Type', 'application/json')], [])
        if call.type in self.answers:
            return json_answer(self.answers[call.type])
        return Answer(200)


def json_answer(message):
    """The answer 200 with `message` (a dict)."""
    return Answer(200, json.dumps(message), [('Content-Type', 'application/json')])


@contextmanager
def raw_server(*scripts):
    """``host:port`` of a server whose n-th connection is handed, as a socket, to the n-th script, in a thread."""
    listener = socket.socket()
    listener.bind(('127.0.0.1', 0))
    listener.listen(8)
    failures = []

    def serve():
        for script in scripts:
            connection = listener.accept()[0]
            connection.settimeout(30)
            try:
                script(connection)
            except Exception as error:
                failures.append(error)
            finally:
                connection.close()

    thread = threading.Thread(target=serve, name='raw-server')
    thread.daemon = True
    thread.start()
    try:
        yield '127.0.0.1:%d' % listener.getsockname()[1]
        thread.join(30)
        assert not thread.is_alive(), 'not all scripts got a connection'
        assert not failures, failures
    finally:
        listener.close()


def read_until(connection, mark):
    """The bytes up to and including `mark`."""
    data = b''
    while mark not in data:
        piece = connection.recv(65536)
        assert piece, 'the connection ended behind %r' % data
        data += piece
    return data


def read_request(connection):
    """(head, body) of a request with a Content-Length, as bytes."""
    head, _, body = read_until(connection, b'\r\n\r\n').partition(b'\r\n\r\n')
    length = int(head.lower().partition(b'content-length:')[2].split(b'\r\n')[0])
    while len(body) < length:
        piece = connection.recv(65536)
        assert piece, 'the connection ended inside a body'
        body += piece
    return head, body

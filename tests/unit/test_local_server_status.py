"""The statuses of the embedded servers, and their texts (PROTOCOL 1.5)."""
from __future__ import absolute_import, division, print_function

import json
import socket
import struct

import pytest
from local_server import Serving, call, request, undated, wait_for
from pymesos._compat import PY2
from pymesos.local.model.effects import Reply, deferred, refuse

HEALTH = b'{"type":"GET_HEALTH"}'
SUPPRESS = b'{"type":"SUPPRESS","framework_id":{"value":"f"}}'
HEARTBEAT = b'{"type":"HEARTBEAT","framework_id":{"value":"f"},"executor_id":{"value":"e"}}'


def text_answer(status, text, headers=''):
    return ('HTTP/1.1 %s\r\nDate: X\r\n%sContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n\r\n%s'
            % (status, headers, len(text), text)).encode()


@pytest.mark.parametrize('reply, expected', [
    (Reply(200, {'a': [1.0, '/"<']}), b'HTTP/1.1 200 OK\r\nDate: X\r\nContent-Type: application/json\r\n'
                                      b'Content-Length: 18\r\n\r\n{"a":[1.0,"/\\"<"]}'),
    (Reply(200), b'HTTP/1.1 200 OK\r\nDate: X\r\nContent-Length: 0\r\n\r\n'),
    (Reply(202), b'HTTP/1.1 202 Accepted\r\nDate: X\r\nContent-Length: 0\r\n\r\n'),
    (refuse(400, 'Framework cannot be found'), text_answer('400 Bad Request', 'Framework cannot be found')),
    (refuse(403, '403 Forbidden.'), text_answer('403 Forbidden', '403 Forbidden.')),
    (refuse(404, ''), text_answer('404 Not Found', '')),
    (refuse(409, 'Conflict'), text_answer('409 Conflict', 'Conflict')),
    (refuse(500, 'failed'), text_answer('500 Internal Server Error', 'failed')),
    (refuse(503, 'Agent has not finished recovery'),
     text_answer('503 Service Unavailable', 'Agent has not finished recovery')),
    (Reply(405, 'no', [('Allow', 'GET, PUT')]), text_answer('405 Method Not Allowed', 'no', 'Allow: GET, PUT\r\n')),
    (Reply(200, {'limit': float('inf')}), b'HTTP/1.1 200 OK\r\nDate: X\r\nContent-Type: application/json\r\n'
                                          b'Content-Length: 20\r\n\r\n{"limit":"Infinity"}')])
def test_reply_of_the_model_becomes_an_answer(reply, expected):
    with Serving() as serving:
        serving.model.replies['GET_HEALTH'] = reply
        assert undated(serving.ask(call('/api/v1', HEALTH))) == expected


def test_text_beyond_ascii_is_written():
    with Serving() as serving:
        serving.model.replies['GET_HEALTH'] = Reply(200, {'a': u'\xe9\U0001f600'})
        body = serving.ask(call('/api/v1', HEALTH)).split(b'\r\n\r\n')[1]
        assert json.loads(body.decode('utf-8')) == {'a': u'\xe9\U0001f600'}
        # As it is, in UTF-8; but for 2.7, which would take long for it.
        assert PY2 or u'\xe9'.encode('utf-8') in body
        serving.model.replies['GET_HEALTH'] = refuse(400, u'\xe9')
        assert serving.ask(call('/api/v1', HEALTH)).endswith(b'Content-Length: 2\r\n\r\n' + u'\xe9'.encode('utf-8'))


# ---- who leads

@pytest.mark.parametrize('method, path, location', [
    ('POST', '/api/v1/scheduler', '/api/v1/scheduler'), ('POST', '/master/api/v1', '/master/api/v1'),
    ('GET', '/api/v1', '/api/v1'), ('GET', '/state?jsonp=x', '/state?jsonp=x'), ('PUT', '/weights', '/weights'),
    ('GET', 'http://x/state', '/state')])
def test_who_does_not_lead_redirects_before_it_looks_at_method_or_body(method, path, location):
    with Serving() as serving:
        serving.node.leading = ('master2.example', 5051)
        assert undated(serving.ask(request(method, path, body=b'garbage'))) == (
            'HTTP/1.1 307 Temporary Redirect\r\nDate: X\r\nLocation: //master2.example:5051%s\r\n'
            'Content-Length: 0\r\n\r\n' % location).encode()
        assert serving.model.calls == []


def test_leader_with_an_ipv6_address_is_named_with_brackets():
    with Serving() as serving:
        serving.node.leading = ('::1', 5050)
        assert b'\r\nLocation: //[::1]:5050/state\r\n' in serving.ask(request('GET', '/state'))


@pytest.mark.parametrize('path', ['/health', '/version', '/metrics/snapshot', '/flags', '/help', '/files/debug'])
@pytest.mark.parametrize('leading', [('other', 5050), None])
def test_who_does_not_lead_answers_for_itself(path, leading):
    with Serving() as serving:
        serving.node.leading, serving.node.model = leading, None
        assert serving.ask(request('GET', path)).startswith(b'HTTP/1.1 200 OK\r\n')


def test_redirect_names_the_leader_and_without_one_this_master():
    with Serving(hostname='here') as serving:
        for leading, netloc in ((('other', 5051), 'other:5051'), ('self', 'here:%d' % serving.port),
                                (None, 'here:%d' % serving.port)):
            serving.node.leading = leading
            for path in ('/redirect', '/master/redirect', '/redirect?x=y'):
                assert undated(serving.ask(request('GET', path))) == (
                    'HTTP/1.1 307 Temporary Redirect\r\nDate: X\r\nLocation: //%s\r\nContent-Length: 0\r\n\r\n'
                    % netloc).encode()


def test_without_a_leader_it_is_503():
    with Serving() as serving:
        serving.node.leading = None
        for data in (call('/api/v1', HEALTH), call('/api/v1/scheduler', b'garbage'), request('GET', '/api/v1')):
            assert undated(serving.ask(data)) == text_answer('503 Service Unavailable', 'No leader elected')


def test_leader_that_is_not_up_yet_is_503():
    with Serving() as serving:
        serving.node.model = None
        assert undated(serving.ask(call('/api/v1', HEALTH))) == text_answer(
            '503 Service Unavailable', 'Master has not finished recovery')


@pytest.mark.parametrize('data', [call('/api/v1/executor', HEARTBEAT), call('/api/v1', b'garbage'),
                                  request('GET', '/state')])
def test_agent_that_is_not_up_yet_is_503(data):
    with Serving('agent') as serving:
        serving.node.model = None
        assert undated(serving.ask(data)) == text_answer('503 Service Unavailable', 'Agent has not finished recovery')


def test_agent_that_is_not_up_yet_tells_its_health():
    with Serving('agent') as serving:
        serving.node.model = None
        assert serving.ask(request('GET', '/health')).startswith(b'HTTP/1.1 200')


# ---- bodies

@pytest.mark.parametrize('kind, path, body, text', [
    ('master', '/api/v1', b'', 'Failed to parse body into JSON: syntax error at line 1 near: '),
    ('master', '/api/v1', b'{', 'Failed to parse body into JSON: syntax error at line 1 near: '),
    ('master', '/api/v1', b'[]', 'Failed to convert JSON into Call protobuf: Expecting a JSON object'),
    ('master', '/api/v1', b'{}', "Failed to validate master::Call: Expecting 'type' to be present"),
    ('master', '/api/v1', b'{"type":"NOPE"}', "Failed to validate master::Call: Expecting 'type' to be present"),
    ('master', '/api/v1', b'{"type":"READ_FILE"}',
     "Failed to validate master::Call: Expecting 'read_file' to be present"),
    ('master', '/api/v1/scheduler', b'{"type":"KILL","framework_id":{"value":"f"}}',
     "Failed to validate scheduler::Call: Expecting 'kill' to be present"),
    ('master', '/api/v1/scheduler', b'{"type":"SUPPRESS"}',
     "Failed to validate scheduler::Call: Expecting 'framework_id' to be present"),
    ('agent', '/api/v1', b'{"type":"NOPE"}', "Failed to validate agent::Call: Expecting 'type' to be present"),
    ('agent', '/api/v1/executor', b'{"framework_id":{"value":"f"},"executor_id":{"value":"e"}}',
     "Failed to validate Executor::Call: Expecting 'type' to be present"),
    ('agent', '/api/v1/executor', b'{"type":"HEARTBEAT"}',
     'Failed to convert JSON into Call protobuf: Missing required fields: executor_id, framework_id')])
def test_body_that_is_no_call_is_400(kind, path, body, text):
    with Serving(kind) as serving:
        assert undated(serving.ask(call(path, body))) == text_answer('400 Bad Request', text)
        assert serving.model.calls == []


@pytest.mark.parametrize('kind', ['master', 'agent'])
def test_operators_call_of_type_unknown_is_501(kind):
    with Serving(kind) as serving:
        assert undated(serving.ask(call('/api/v1', b'{"type":"UNKNOWN"}'))) == text_answer(
            '501 Not Implemented', '501 Not Implemented.')


def test_resource_providers_are_501():
    with Serving('agent') as serving:
        assert undated(serving.ask(call('/api/v1/resource_provider', b'{"type":"SUBSCRIBE"}'))) == text_answer(
            '501 Not Implemented', '501 Not Implemented.')


def test_fault_of_ours_is_500_and_others_are_served():
    def fail(*_args):
        raise KeyError('planned')

    with Serving() as serving:
        serving.model.replies['GET_HEALTH'] = fail
        with serving.client() as client:
            client.send(call('/api/v1', HEALTH) + call('/api/v1/scheduler', SUPPRESS))
            assert undated(client.response()) == text_answer('500 Internal Server Error', 'Internal error')
            assert client.response().startswith(b'HTTP/1.1 202')


def test_effects_are_carried_out_after_the_answer_is_queued():
    with Serving() as serving:
        order = []
        serving.node.settle = lambda: order.append('settle')
        serving.model.replies['GET_HEALTH'] = lambda *args: order.append('call') or Reply(200)
        whole = serving.server.responses.whole
        serving.server.responses.whole = lambda *args: order.append('answer') or whole(*args)
        serving.ask(call('/api/v1', HEALTH))
        assert order[:3] == ['call', 'answer', 'settle']


# ---- answers that come later

def test_deferred_answer_comes_when_it_is_given_and_in_its_turn():
    with Serving('agent') as serving:
        serving.model.replies['GET_HEALTH'] = deferred(('wait', 1))
        with serving.client() as client:
            client.send(call('/api/v1', HEALTH) + call('/api/v1/executor', HEARTBEAT))
            wait_for(lambda: len(serving.model.calls) == 2)
            client.sock.settimeout(0.05)
            with pytest.raises(socket.timeout):
                client.exactly(1)
            client.sock.settimeout(30)
            serving.do(lambda: serving.server.answer(('wait', 1), Reply(200, {'type': 'X'})))
            assert client.response().endswith(b'{"type":"X"}')
            assert client.response().startswith(b'HTTP/1.1 202')


def test_deferred_answer_can_be_deferred_again():
    with Serving() as serving:
        serving.model.replies['GET_HEALTH'] = deferred(1)
        with serving.client() as client:
            client.send(call('/api/v1', HEALTH) + call('/api/v1/scheduler', SUPPRESS))
            wait_for(lambda: len(serving.model.calls) == 2)
            serving.do(lambda: serving.server.answer(1, deferred(2)))
            serving.do(lambda: serving.server.answer(1, refuse(400, 'late')))
            serving.do(lambda: serving.server.answer(2, Reply(200)))
            assert client.response().startswith(b'HTTP/1.1 200')


def test_deferred_answer_to_a_client_that_is_gone_is_dropped():
    with Serving() as serving:
        serving.model.replies['GET_HEALTH'] = deferred('key')
        with serving.client() as client:
            client.send(call('/api/v1', HEALTH) + call('/api/v1/scheduler', SUPPRESS))
            wait_for(lambda: len(serving.model.calls) == 2)
            # RST, so that it is seen to be gone and not only to have sent all that it has to say.
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        wait_for(lambda: serving.do(lambda: not serving.server._deferred))
        serving.do(lambda: serving.server.answer('key', Reply(200)))
        serving.do(lambda: serving.server.answer('never', Reply(200)))


def test_client_that_sends_no_more_gets_no_deferred_answer():
    with Serving() as serving:
        serving.model.replies['GET_HEALTH'] = deferred('key')
        with serving.client() as client:
            client.send(call('/api/v1', HEALTH))
            client.sock.shutdown(socket.SHUT_WR)
            assert client.rest() == b''
        wait_for(lambda: serving.model.closed == ['key'])
        assert serving.model.calls

"""The promises of ScriptedMaster, checked by a client that is not ours."""
from __future__ import absolute_import, division, print_function

import base64
import json
import socket
import ssl
import struct
import threading

import pytest
from api_client import Client, UnixConnection, to
from six.moves import http_client

from pymesos._compat import monotonic
from pymesos.errors import UsageError
from pymesos.testing import Answer, ScriptedMaster, wait_until

FRAMEWORK_ID = {'value': 'framework-1'}
REVIVE = {'type': 'REVIVE', 'framework_id': FRAMEWORK_ID}


@pytest.fixture
def master():
    with ScriptedMaster(framework_id='framework-1') as master:
        yield master


@pytest.fixture
def client(master):
    with to(master) as client:
        yield client


def resubscribe_body(framework_id='framework-1'):
    return {'type': 'SUBSCRIBE', 'framework_id': {'value': framework_id},
            'subscribe': {'framework_info': {'user': '', 'name': '', 'id': {'value': framework_id}}}}


def pipelined(master, stream_id, count):
    """So many REVIVE requests as bytes."""
    body = json.dumps(REVIVE)
    return count * (
        'POST /api/v1/scheduler HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nMesos-Stream-Id: %s\r\n'
        'Content-Length: %d\r\n\r\n%s' % (stream_id, len(body), body)).encode('ascii')


# -- subscribing ----------------------------------------------------------------------------------------


def test_subscribe_is_answered_with_a_chunked_stream_and_a_stream_id(master, client):
    response = client.subscribe()
    assert response.status == 200
    assert response.getheader('Transfer-Encoding') == 'chunked'
    assert response.getheader('Content-Type') == 'application/json'
    assert len(response.getheader('Mesos-Stream-Id')) == 36
    assert response.getheader('Date')


def test_first_events_are_subscribed_and_a_heartbeat(master, client):
    client.subscribe()
    event = client.read_event()
    assert event['type'] == 'SUBSCRIBED'
    assert event['subscribed']['framework_id'] == FRAMEWORK_ID
    assert event['subscribed']['heartbeat_interval_seconds'] == 15.0
    info = event['subscribed']['master_info']
    assert (info['id'], info['port'], info['version']) == (master.master_id, master.port, '1.11.0')
    assert info['ip'] == struct.unpack('<I', b'\x7f\0\0\1')[0]
    assert client.read_event() == {'type': 'HEARTBEAT'}


def test_a_second_framework_gets_an_id_of_its_own(master):
    with to(master) as first, to(master) as second:
        first.subscribe()
        second.subscribe()
        assert first.read_event()['subscribed']['framework_id'] == FRAMEWORK_ID
        assert second.read_event()['subscribed']['framework_id'] == {'value': master.master_id + '-0000'}


def test_heartbeats_come_at_the_announced_interval():
    with ScriptedMaster(heartbeat_interval=0.05) as master, to(master) as client:
        began = monotonic()
        client.subscribe()
        assert client.read_event()['subscribed']['heartbeat_interval_seconds'] == 0.05
        for _ in range(4):
            assert client.read_event() == {'type': 'HEARTBEAT'}
        assert monotonic() - began > 0.1


def test_heartbeats_can_be_switched_off():
    with ScriptedMaster(heartbeat_interval=0.01, heartbeats=False) as master, to(master) as client:
        client.subscribe()
        assert client.read_event()['type'] == 'SUBSCRIBED'
        assert client.call(dict(REVIVE, framework_id={'value': master.stream.framework_id}))[0] == 202
        master.end_stream()
        assert client.read_event() is None


def test_resubscription_ends_the_older_stream_with_an_error(master, client):
    client.subscribe()
    with to(master) as other:
        assert other.subscribe(resubscribe_body()).status == 200
        events = [client.read_event() for _ in range(4)]
        assert [event and event['type'] for event in events] == ['SUBSCRIBED', 'HEARTBEAT', 'ERROR', None]
        assert events[2]['error']['message'] == 'Framework failed over'
        assert client.call(REVIVE)[0] == 400
        assert other.call(REVIVE)[0] == 202
    assert master.await_subscribe(2).stream_id == other.stream_id


def test_ids_that_differ_are_refused(master, client):
    body = resubscribe_body()
    body['framework_id'] = {'value': 'other'}
    response = client.subscribe(body)
    assert response.status == 400
    assert response.read() == b"Failed to validate scheduler::Call: 'framework_id' differs from " \
                              b"'subscribe.framework_info.id'"


def test_a_subscription_can_be_refused_inside_the_stream(master, client):
    master.refuse_next_subscription("Role 'x' is not allowed")
    assert client.subscribe().status == 200
    assert client.read_event() == {'type': 'ERROR', 'error': {'message': "Role 'x' is not allowed"}}
    assert client.read_event() is None
    assert master.streams == []
    client.subscribe()
    assert client.read_event()['type'] == 'SUBSCRIBED'


def test_teardown_ends_the_stream_and_the_framework(master, client):
    client.subscribe()
    assert client.call({'type': 'TEARDOWN', 'framework_id': FRAMEWORK_ID}) == (202, '')
    assert client.stream.read().endswith(b'{"type":"HEARTBEAT"}')
    assert client.call(REVIVE) == (400, 'Framework cannot be found')
    client.subscribe(resubscribe_body())
    assert client.read_event() == {'type': 'ERROR', 'error': {'message': 'Framework has been removed'}}


# -- calls ----------------------------------------------------------------------------------------------


def test_calls_are_answered_with_202_and_recorded(master, client):
    client.subscribe()
    before = monotonic()
    assert client.call(REVIVE) == (202, '')
    call = master.await_call('REVIVE')
    assert (call.type, call.body, call.connection, call.status) == ('REVIVE', REVIVE, 2, 202)
    assert call.headers['mesos-stream-id'] == client.stream_id
    assert before <= call.time <= monotonic()
    assert [call.type for call in master.calls] == ['SUBSCRIBE', 'REVIVE']
    assert master.counts == {'SUBSCRIBE': 1, 'REVIVE': 1}
    assert master.connections == 2


def test_update_framework_is_answered_with_200(master, client):
    client.subscribe()
    body = {'type': 'UPDATE_FRAMEWORK', 'framework_id': FRAMEWORK_ID, 'update_framework': {'framework_info': {}}}
    assert client.call(body) == (200, '')


@pytest.mark.parametrize('stream_id, status, text', [
    (None, 400, "All non-subscribe calls should include the 'Mesos-Stream-Id' header"),
    ('nope', 400, "The stream ID 'nope' included in this request didn't match the stream ID currently associated "
                  'with framework ID framework-1'),
])
def test_stream_id_is_checked(master, client, stream_id, status, text):
    client.subscribe()
    assert client.call(REVIVE, Mesos_Stream_Id=stream_id) == (status, text)


def test_a_framework_that_is_not_subscribed_is_refused(master, client):
    client.subscribe()
    master.end_stream()
    assert client.call(REVIVE) == (403, 'Framework is not subscribed')


@pytest.mark.parametrize('body, headers, status, text', [
    (b'{', {}, 400, 'Failed to parse body into JSON: syntax error at line 1 near: '),
    (b'[]', {}, 400, 'Failed to convert JSON into Call protobuf: Expecting a JSON object'),
    ({'type': 'WHAT'}, {}, 400, "Failed to validate scheduler::Call: Expecting 'type' to be present"),
    ({'type': 'UNKNOWN'}, {}, 501, '501 Not Implemented.'),
    ({'type': 'DECLINE', 'framework_id': FRAMEWORK_ID}, {}, 400,
     "Failed to validate scheduler::Call: Expecting 'decline' to be present"),
    ({'type': 'REVIVE'}, {}, 400, "Failed to validate scheduler::Call: Expecting 'framework_id' to be present"),
    (dict(REVIVE, framework_id={'value': 'x'}), {}, 400, 'Framework cannot be found'),
    (REVIVE, {'Content_Type': None}, 400, "Expecting 'Content-Type' to be present"),
    (REVIVE, {'Content_Type': 'application/json; charset=utf-8'}, 415,
     "Expecting 'Content-Type' of application/json or application/x-protobuf"),
    (dict(resubscribe_body()), {'Mesos_Stream_Id': 'x'}, 400,
     "Subscribe calls should not include the 'Mesos-Stream-Id' header"),
])
def test_malformed_calls_are_refused_in_the_words_of_mesos(master, client, body, headers, status, text):
    client.subscribe()
    assert client.call(body, **headers) == (status, text)
    assert master.calls[-1].status == status


def test_other_paths_and_methods(master, client):
    client.calls.request('GET', '/version')
    assert json.loads(client.calls.getresponse().read().decode('ascii'))['version'] == '1.11.0'
    assert client.call(b'', path='/nope') == (404, '404 Not Found.')
    client.calls.request('GET', client.PATH)
    response = client.calls.getresponse()
    assert (response.status, response.getheader('Allow')) == (405, 'POST')
    assert response.read() == b"405 Method Not Allowed. Expecting one of { 'POST' }, but received 'GET'."
    client.calls.request('HEAD', '/version')
    assert client.calls.getresponse().read() == b''
    assert client.subscribe(path='/master/api/v1/scheduler').status == 200


def test_pipelined_requests_are_answered_in_order(master, client):
    client.subscribe()
    master.on_call('REVIVE', lambda call: Answer(200, str(len(master.calls_of('REVIVE')))))
    with_socket = socket.create_connection(('127.0.0.1', master.port), 30)
    try:
        with_socket.sendall(pipelined(master, client.stream_id, 500))
        bodies = []
        reader = with_socket.makefile('rb')
        for _ in range(500):
            head = []
            while head[-1:] != [b'\r\n']:
                head.append(reader.readline())
            length = [line for line in head if line.lower().startswith(b'content-length')][0]
            bodies.append(int(reader.read(int(length.split(b':')[1]))))
        reader.close()
    finally:
        with_socket.close()
    assert bodies == list(range(500))


def test_await_call_says_what_came_instead(master, client):
    client.subscribe()
    with pytest.raises(AssertionError) as caught:
        master.await_call('ACCEPT', timeout=0.05)
    assert str(caught.value) == "waited 0.05 s in vain for call 1 of type ACCEPT; there were {'SUBSCRIBE': 1}" \
        or str(caught.value) == "waited 0.05 s in vain for call 1 of type ACCEPT; there were {u'SUBSCRIBE': 1}"
    with pytest.raises(AssertionError):
        master.await_subscribe(2, timeout=0.05)


def test_calls_can_be_counted_without_being_kept():
    with ScriptedMaster(records=False, framework_id='framework-1') as master, to(master) as client:
        client.subscribe()
        client.call(REVIVE)
        client.call(REVIVE)
        assert master.await_call('REVIVE', count=2) is None
        assert (master.calls, master.counts) == ([], {'SUBSCRIBE': 1, 'REVIVE': 2})


def test_calls_can_be_forgotten(master, client):
    client.subscribe()
    master.forget_calls()
    assert (master.calls, master.counts) == ([], {})
    client.call(REVIVE)
    assert master.await_call('REVIVE').type == 'REVIVE'


# -- the script -----------------------------------------------------------------------------------------


def test_next_calls_can_be_rejected(master, client):
    client.subscribe()
    master.reject_next(503, 'Master has not finished recovery', [('Retry-After', '1')], type='REVIVE', times=2)
    suppress = {'type': 'SUPPRESS', 'framework_id': FRAMEWORK_ID}
    response = client.send(REVIVE)
    assert (response.status, response.getheader('Retry-After')) == (503, '1')
    assert response.read() == b'Master has not finished recovery'
    assert client.call(suppress)[0] == 202
    assert [client.call(REVIVE)[0] for _ in range(2)] == [503, 202]
    master.reject_next(403)
    assert client.subscribe().status == 403
    assert [call.status for call in master.calls_of('REVIVE')] == [503, 503, 202]


def test_calls_are_redirected_as_mesos_does_it(master, client):
    master.redirect_to('10.0.0.1:5050', times=1)
    response = client.send(REVIVE)
    assert (response.status, response.read()) == (307, b'')
    assert response.getheader('Location') == '//10.0.0.1:5050/api/v1/scheduler'
    assert client.call(REVIVE)[0] == 400
    master.redirect_to('http://elsewhere/')
    for _ in range(3):
        response = client.send(REVIVE)
        assert (response.read(), response.getheader('Location')) == (b'', 'http://elsewhere/')
    master.redirect_to(None)
    assert client.call(REVIVE)[0] == 400


@pytest.mark.parametrize('given, status', [(lambda call: 409, 409), (lambda call: None, 202),
                                           (lambda call: Answer(418, call.body['type']), 418),
                                           (lambda call: b'HTTP/1.1 299 Odd\r\nContent-Length: 0\r\n\r\n', 299)])
def test_a_function_can_answer_calls(master, client, given, status):
    client.subscribe()
    master.on_call('REVIVE', given)
    assert client.call(REVIVE)[0] == status
    master.on_call('REVIVE', None)
    assert client.call(REVIVE)[0] == 202


def test_a_function_that_fails_becomes_an_answer_500(master, client):
    client.subscribe()
    master.on_call('REVIVE', lambda call: 1 // 0)
    status, text = client.call(REVIVE)
    assert status == 500 and 'ZeroDivisionError' in text
    assert master.failures == [text]


def test_a_function_can_answer_a_path(master, client):
    master.on_path('/api/v1', lambda request: Answer(200, request.body, [('Content-Type', 'application/json')]))
    assert client.call({'type': 'GET_HEALTH'}, path='/api/v1') == (200, '{"type": "GET_HEALTH"}')


def test_an_answer_can_be_raw_bytes(master, client):
    master.answer_next(b'HTTP/1.1 202 Accepted\r\nContent-Length: -1\r\n\r\n')
    master.answer_next(Answer(raw=b'HTTP/1.1 2', close='silent'))
    with_socket = socket.create_connection(('127.0.0.1', master.port), 30)
    try:
        with_socket.sendall(pipelined(master, 'x', 2))
        received = b''
        while True:
            data = with_socket.recv(65536)
            if not data:
                break
            received += data
    finally:
        with_socket.close()
    assert received == b'HTTP/1.1 202 Accepted\r\nContent-Length: -1\r\n\r\nHTTP/1.1 2'


def test_answers_can_be_held_and_released(master, client):
    client.subscribe()
    master.hold_answers('REVIVE')
    answers = []
    thread = threading.Thread(target=lambda: answers.append(client.call(REVIVE)))
    thread.start()
    master.await_call('REVIVE')
    master.send_event({'type': 'HEARTBEAT'})
    assert [client.read_event()['type'] for _ in range(3)] == ['SUBSCRIBED', 'HEARTBEAT', 'HEARTBEAT']
    assert answers == []
    master.release_answers()
    thread.join(30)
    assert answers == [(202, '')]


def test_held_calls_of_one_connection_are_all_read(master, client):
    client.subscribe()
    master.hold_answers()
    with_socket = socket.create_connection(('127.0.0.1', master.port), 30)
    try:
        with_socket.sendall(pipelined(master, client.stream_id, 5))
        master.await_call('REVIVE', count=5)
        master.release_answers()
        received = b''
        while received.count(b'HTTP/1.1 202') < 5:
            received += with_socket.recv(65536)
    finally:
        with_socket.close()


def test_answers_can_be_delayed(master, client):
    client.subscribe()
    master.delay_answers(0.2)
    began = monotonic()
    assert client.call(REVIVE)[0] == 202
    assert monotonic() - began > 0.19
    master.delay_answers(0)
    assert client.call(REVIVE)[0] == 202


@pytest.mark.parametrize('announce', [False, True])
def test_connections_can_be_closed_after_so_many_answers(master, client, announce):
    client.subscribe()
    master.close_connections_after(2, announce)
    with_socket = socket.create_connection(('127.0.0.1', master.port), 30)
    try:
        with_socket.sendall(pipelined(master, client.stream_id, 3))
        received = b''
        while True:
            data = with_socket.recv(65536)
            if not data:
                break
            received += data
    finally:
        with_socket.close()
    assert received.count(b'HTTP/1.1 202') == 2
    assert (b'onnection: close' in received) is announce
    assert master.counts['REVIVE'] == 2
    master.send_event({'type': 'HEARTBEAT'})
    assert master.stream.is_open


def test_connection_of_one_client_that_ends_is_no_concern_of_the_next(master, client):
    client.subscribe()
    for _ in range(2):
        for asked, answered in (('close', 'close'), (None, None)):
            response = client.send(REVIVE, Connection=asked)
            assert response.read() == b'' and response.status == 202
            assert response.getheader('Connection') == answered


def test_credentials_are_checked_first():
    with ScriptedMaster(credentials=('principal', 'secret')) as master, to(master) as client:
        response = client.send(b'nonsense', Authorization='Basic ' + base64.b64encode(b'principal:x').decode('ascii'))
        assert (response.status, response.read()) == (401, b'401 Unauthorized.')
        assert response.getheader('WWW-Authenticate') == 'Basic realm="mesos-master-scheduler"'
        client.headers['Authorization'] = 'Basic ' + base64.b64encode(b'principal:secret').decode('ascii')
        assert client.subscribe().status == 200


# -- the stream -----------------------------------------------------------------------------------------


def test_events_records_and_bytes_arrive_in_order(master, client):
    client.subscribe()
    client.read_event(), client.read_event()
    master.send_event({'type': 'OFFERS', 'text': u'\xe9'}, chunk_size=1)
    master.send_record(b'not json', chunk_size=3)
    master.send_raw(b'3\nabc2')
    master.send_raw(b'\nde')
    assert client.read_event() == {'type': 'OFFERS', 'text': u'\xe9'}
    assert [client.read_record() for _ in range(3)] == [b'not json', b'abc', b'de']


def test_ended_stream_leaves_its_connection_usable(master, client):
    response = client.subscribe()
    master.end_stream()
    assert response.read().endswith(b'{"type":"HEARTBEAT"}')
    assert not master.stream.is_open
    assert master.send_event({'type': 'HEARTBEAT'}) is False
    client.calls = client._connections[-1]
    assert client.call(REVIVE)[0] == 403
    assert master.connections == 1


def test_cut_stream_ends_with_a_reset_behind_what_was_sent(master, client):
    client.subscribe()
    client.read_event(), client.read_event()
    master.send_raw(b'10\nhalf')
    master.stream.flush()
    sock = client._connections[-1].sock
    master.cut()
    with pytest.raises((socket.error, http_client.HTTPException)) as caught:
        while client.stream.read(1):
            pass
    assert sock is not None and getattr(caught.value, 'errno', 104) == 104
    master.stream.await_closed()
    assert client.call(REVIVE)[0] == 403


def test_half_closed_stream_is_still_read(master, client):
    client.subscribe()
    master.half_close()
    with pytest.raises(http_client.IncompleteRead):
        client.stream.read()
    assert master.stream.is_open
    client.__exit__()
    master.stream.await_closed()


def test_closed_stream_ends_in_the_midst_of_the_body(master, client):
    client.subscribe()
    master.send_raw(b'10\nhalf')
    master.stream.close()
    with pytest.raises(http_client.IncompleteRead) as caught:
        client.stream.read()
    assert caught.value.partial.endswith(b'10\nhalf')
    assert client.call(REVIVE) == (403, 'Framework is not subscribed')
    client.__exit__()
    master.stream.await_closed()


def test_a_stream_can_be_broken_below_http(master, client):
    client.subscribe()
    client.read_event(), client.read_event()
    master.stream.send_wire(b'not a chunk\r\n')
    with pytest.raises((ValueError, http_client.HTTPException)):
        client.stream.read(1)


def test_sending_before_anyone_subscribed_is_a_misuse(master):
    with pytest.raises(UsageError) as caught:
        master.send_event({'type': 'HEARTBEAT'})
    assert str(caught.value) == 'nobody has subscribed yet: call await_subscribe() first'


def test_a_client_that_leaves_is_noticed(master, client):
    client.subscribe()
    stream = master.await_subscribe()
    client.__exit__()
    stream.await_closed()
    master.await_connections(0)


def test_large_events_and_slow_readers(master, client):
    client.subscribe()
    client.read_event(), client.read_event()
    payload = b'x' * 8000000
    for _ in range(3):
        master.send_record(payload)
    assert [client.read_record() == payload for _ in range(3)] == [True] * 3
    master.stream.flush()


# -- where it listens -----------------------------------------------------------------------------------


def test_stop_twice_and_without_start():
    master = ScriptedMaster()
    port = master.port
    master.stop()
    master.stop()
    with ScriptedMaster(port=port) as again:
        assert again.address == '127.0.0.1:%d' % port
    again.stop()


def test_stop_cuts_what_is_open():
    master = ScriptedMaster().start()
    with to(master) as client:
        client.subscribe()
        master.stop()
        with pytest.raises((socket.error, http_client.HTTPException)):
            client.stream.read()


def test_ipv6():
    try:
        master = ScriptedMaster(host='::1')
    except socket.error:
        pytest.skip('no IPv6 here')
    with master, to(master) as client:
        assert master.address == '[::1]:%d' % master.port
        assert client.subscribe().status == 200
        assert client.read_event()['subscribed']['master_info']['hostname'] == '::1'


def test_domain_socket(tmpdir):
    path = str(tmpdir.join('master.sock'))
    with ScriptedMaster(unix_path=path) as master, Client(lambda: UnixConnection(path)) as client:
        assert (master.address, master.port) == ('unix://' + path, None)
        assert client.subscribe().status == 200
        assert client.read_event()['type'] == 'SUBSCRIBED'
    assert not tmpdir.join('master.sock').check()


def test_tls(certificate_files):
    context = ssl.SSLContext(getattr(ssl, 'PROTOCOL_TLS_SERVER', ssl.PROTOCOL_SSLv23))
    context.load_cert_chain(certificate_files.cert_file, certificate_files.key_file)
    trusting = ssl.create_default_context(cafile=certificate_files.ca_file)
    payload = b'x' * 3000000
    with ScriptedMaster(ssl_context=context) as master:
        assert master.address == 'https://127.0.0.1:%d' % master.port
        with Client(lambda: http_client.HTTPSConnection('localhost', master.port, context=trusting,
                                                        timeout=30)) as client:
            assert client.subscribe().status == 200
            client.read_event(), client.read_event()
            master.send_record(payload)
            assert client.read_record() == payload
            big = {'type': 'REVIVE', 'framework_id': {'value': master.stream.framework_id},
                   'padding': 'x' * 1000000}
            assert client.call(big) == (202, '')
            assert len(master.await_call('REVIVE').body['padding']) == 1000000


def test_a_client_that_refuses_the_certificate_is_noted(certificate_files):
    context = ssl.SSLContext(getattr(ssl, 'PROTOCOL_TLS_SERVER', ssl.PROTOCOL_SSLv23))
    context.load_cert_chain(certificate_files.cert_file, certificate_files.key_file)
    with ScriptedMaster(ssl_context=context) as master:
        with Client(lambda: http_client.HTTPSConnection('127.0.0.1', master.port, timeout=30,
                                                        context=ssl.create_default_context())) as client:
            with pytest.raises(ssl.SSLError):
                client.subscribe()
        wait_until(lambda: master.open_connections == 0, message='the connection to end')
        assert master.calls == []


def test_broken_http_is_noted_and_ends_the_connection(master):
    with_socket = socket.create_connection(('127.0.0.1', master.port), 30)
    try:
        with_socket.sendall(b'hello\r\n\r\n')
        assert with_socket.recv(100) == b''
    finally:
        with_socket.close()
    assert len(master.failures) == 1
    assert master.failures[0].startswith('connection 1 broke HTTP: ')

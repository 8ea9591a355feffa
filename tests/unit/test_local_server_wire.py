"""HTTP of the embedded servers: keep-alive, pipelining, old versions, chunks, garbage, limits."""
from __future__ import absolute_import, division, print_function

import socket

import pytest
from local_server import Serving, call, request, undated, wait_for
from pymesos.local import connection
from pymesos.local.model.effects import Reply, deferred

HEALTH = b'{"type":"GET_HEALTH"}'
OK = b'HTTP/1.1 200 OK\r\nDate: X\r\nContent-Length: 0\r\n\r\n'
GET = request('GET', '/health')


@pytest.fixture
def serving():
    with Serving() as serving:
        yield serving


@pytest.mark.parametrize('version, header, is_kept', [
    ('1.1', None, True), ('1.1', 'keep-alive', True), ('1.1', 'close', False), ('1.1', 'Close, x', False),
    ('1.0', None, False), ('1.0', 'keep-alive', True)])
def test_connection_is_kept_as_the_client_wants_it_and_no_header_tells(serving, version, header, is_kept):
    with serving.client() as client:
        client.send(request('GET', '/health', [('Connection', header)] if header else (), version=version))
        assert undated(client.response()) == OK
        if is_kept:
            client.send(GET)
            assert undated(client.response()) == OK
        else:
            assert client.is_closed()


def test_requests_behind_the_last_one_are_not_looked_at(serving):
    with serving.client() as client:
        client.send(request('GET', '/health', [('Connection', 'close')]) + call('/api/v1', HEALTH))
        assert undated(client.rest()) == OK
    assert serving.model.calls == []


def test_pipelined_requests_are_answered_in_order(serving):
    serving.model.replies['GET_HEALTH'] = Reply(200, {'a': 1})
    with serving.client() as client:
        client.send((GET + call('/api/v1', HEALTH) + request('GET', '/nope')) * 100)
        for _ in range(100):
            assert undated(client.response()) == OK
            assert client.response().endswith(b'{"a":1}')
            assert client.response().endswith(b'404 Not Found.')


def test_request_may_come_byte_by_byte(serving):
    with serving.client() as client:
        data = call('/api/v1', HEALTH)
        for place in range(len(data)):
            client.send(data[place:place + 1])
        assert client.response().startswith(b'HTTP/1.1 202')


def test_head_brings_a_body_as_from_mesos(serving):
    assert serving.ask(request('HEAD', '/nope')).endswith(b'\r\n\r\n404 Not Found.')


def test_chunked_request_is_taken(serving):
    head = request('POST', '/api/v1', [('Content-Type', 'application/json'), ('Transfer-Encoding', 'chunked')])
    data = head.replace(b'Content-Length: 0\r\n', b'') + b'5\r\n{"typ\r\n10\r\ne":"GET_HEALTH"}\r\n0\r\n\r\n'
    assert serving.ask(data + GET).startswith(b'HTTP/1.1 202')
    assert serving.model.calls == [('operator', ({'type': 'GET_HEALTH'}, None))]


def test_expect_is_answered_by_the_answer_alone(serving):
    with serving.client() as client:
        data = call('/api/v1', HEALTH, [('Expect', '100-continue')])
        client.send(data[:-len(HEALTH)])
        client.sock.settimeout(0.05)
        with pytest.raises(socket.timeout):
            client.exactly(1)
        client.sock.settimeout(30)
        client.send(HEALTH)
        assert client.response().startswith(b'HTTP/1.1 202')


def test_host_is_not_needed(serving):
    assert undated(serving.ask(b'GET /health HTTP/1.1\r\n\r\n')) == OK


@pytest.mark.parametrize('data', [
    b'hello\r\n\r\n', b'\x16\x03\x01\x02\x00\x01\x00\n\n', b'FOO /health HTTP/1.1\r\n\r\n',
    b'get /health HTTP/1.1\r\n\r\n', b'CONNECT x:80 HTTP/1.1\r\n\r\n', b'GET /health HTTP/1.1\r\nno header\r\n\r\n',
    b'POST /api/v1 HTTP/1.1\r\nContent-Length: x\r\n\r\n', b'GET / HTTP/1.1\r\nX: ' + b'x' * 200000])
def test_garbage_closes_the_connection_without_a_word(serving, data):
    with serving.client() as client:
        client.send(data)
        assert client.is_closed()
    assert undated(serving.ask(GET)) == OK


def test_requests_before_garbage_are_answered(serving):
    with serving.client() as client:
        client.send(GET + GET + b'garbage\r\n\r\n')
        assert undated(client.rest()) == OK + OK


def test_deferred_answer_before_garbage_is_given(serving):
    serving.model.replies['GET_HEALTH'] = deferred('key')
    with serving.client() as client:
        client.send(call('/api/v1', HEALTH) + b'garbage\r\n\r\n')
        wait_for(lambda: serving.model.calls)
        serving.do(lambda: serving.server.answer('key', Reply(200)))
        assert undated(client.rest()) == OK


@pytest.mark.parametrize('data', [
    b'POST /api/v1 HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 1001\r\n\r\n',
    b'POST /api/v1 HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n'
    + b'x' * 1001])
def test_body_that_is_too_large_is_413_and_the_end(data):
    with Serving(max_body=1000) as serving:
        with serving.client() as client:
            client.send(data)
            assert undated(client.rest()) == (
                b'HTTP/1.1 413 Request Entity Too Large\r\nDate: X\r\nContent-Type: text/plain; charset=utf-8\r\n'
                b'Content-Length: 29\r\n\r\n413 Request Entity Too Large.')


def test_client_that_asks_and_does_not_read_is_cut_off(serving, monkeypatch):
    monkeypatch.setattr(connection, 'MAX_UNREAD', 1000000)
    serving.model.replies['/state'] = Reply(200, 'x' * 100000)
    with serving.client() as client:
        client.sock.settimeout(0.1)
        with pytest.raises(socket.error):
            # Until nobody reads it any more: what is under way fits into no buffer.
            for _ in range(2000):
                client.send(request('GET', '/state') * 50)
                if not serving.do(lambda: len(serving.server._listener.connections)):
                    raise socket.error('cut off')
    wait_for(lambda: not serving.do(lambda: len(serving.server._listener.connections)))


def test_one_large_answer_may_be_larger_than_what_may_be_unread(serving, monkeypatch):
    monkeypatch.setattr(connection, 'MAX_UNREAD', 1000000)
    serving.model.replies['/state'] = Reply(200, 'x' * 30000000)
    assert len(serving.ask(request('GET', '/state'))) > 30000000


def test_too_many_requests_behind_one_that_waits_end_the_connection(serving):
    serving.model.replies['GET_HEALTH'] = deferred('key')
    with serving.client() as client:
        client.send(call('/api/v1', HEALTH) + GET * (connection.MAX_PENDING + 1))
        assert client.is_closed()


def test_connections_are_dropped_and_others_are_taken(serving):
    with serving.client() as first:
        first.send(GET)
        first.response()
        serving.do(serving.server.drop_connections)
        assert first.is_closed()
    assert undated(serving.ask(GET)) == OK


def test_stopped_server_frees_its_port_and_stops_twice():
    with Serving() as serving:
        port = serving.port
        with serving.client() as client:
            client.send(GET)
            client.response()
            serving.do(serving.server.stop)
            assert client.is_closed()
        serving.do(serving.server.stop)
        with pytest.raises(socket.error):
            socket.create_connection(('127.0.0.1', port), 30)


def test_taken_port_is_an_error_that_leaves_nothing_behind():
    with Serving() as serving:
        with pytest.raises(socket.error):
            serving.do(lambda: type(serving.server)(serving.loop, serving.node, '127.0.0.1', serving.port,
                                                    serving.access))

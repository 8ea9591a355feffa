"""Streams of the embedded servers: events out, a container's output out, a container's input in."""
from __future__ import absolute_import, division, print_function

import json
import socket
import struct

import pytest
from local_server import Serving, call, request, undated, wait_for
from pymesos.local import connection
from pymesos.local.model.effects import Reply, deferred, refuse
from pymesos.wire.recordio import encode

SUBSCRIBE = b'{"type":"SUBSCRIBE","subscribe":{"framework_info":{"user":"root","name":"x"}}}'
HEAD = (b'HTTP/1.1 200 OK\r\nDate: X\r\nTransfer-Encoding: chunked\r\nMesos-Stream-Id: abc\r\n'
        b'Content-Type: application/json\r\n\r\n')
EVENT = {'type': 'HEARTBEAT'}
CHUNK = b'17\r\n20\n{"type":"HEARTBEAT"}\r\n'
GET = request('GET', '/health')


def subscribing(headers=(('Mesos-Stream-Id', 'abc'),)):
    return Reply(200, headers=headers, stream='s1')


@pytest.fixture
def serving():
    with Serving() as serving:
        serving.model.replies['SUBSCRIBE'] = subscribing()
        yield serving


def subscribe(serving, data=b''):
    client = serving.client()
    try:
        client.send(call('/api/v1/scheduler', SUBSCRIBE) + data)
        assert undated(client.until(b'\r\n\r\n')) == HEAD
    except Exception:
        client.sock.close()
        raise
    return client


def test_stream_has_a_chunk_for_each_event_and_ends_with_the_empty_one(serving):
    with subscribe(serving) as client:
        for _ in range(3):
            serving.do(lambda: serving.server.send('s1', EVENT))
        serving.do(lambda: serving.server.close_stream('s1'))
        assert client.until(b'0\r\n\r\n') == CHUNK * 3 + b'0\r\n\r\n'
        # The connection serves on.
        client.send(GET)
        assert client.response().startswith(b'HTTP/1.1 200')
    assert serving.model.closed == []


def test_events_of_one_settling_follow_the_head(serving):
    def settle():
        if not sent:
            sent.append(serving.server.send('s1', EVENT))

    sent = []
    serving.node.settle = settle
    with subscribe(serving) as client:
        assert client.exactly(len(CHUNK)) == CHUNK


def test_what_is_sent_on_no_stream_is_dropped(serving):
    serving.do(lambda: serving.server.send('none', EVENT))
    serving.do(lambda: serving.server.close_stream('none'))


@pytest.mark.parametrize('how', ['close', 'half-close', 'reset'])
def test_model_is_told_once_of_a_client_that_ends_its_stream(serving, how):
    with subscribe(serving) as client:
        serving.node.settled = 0
        if how == 'half-close':
            client.sock.shutdown(socket.SHUT_WR)
            assert client.is_closed()
        elif how == 'reset':
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    wait_for(lambda: serving.model.closed)
    serving.do(lambda: serving.server.send('s1', EVENT))
    assert serving.model.closed == ['s1'] and serving.node.settled


def test_model_is_not_told_of_streams_that_it_closed_or_that_stopping_ended(serving):
    with subscribe(serving) as client:
        serving.do(lambda: serving.server.close_stream('s1'))
        client.until(b'0\r\n\r\n')
    with subscribe(serving):
        serving.do(serving.server.stop)
    assert serving.model.closed == []


def test_connection_that_the_client_wants_closed_lasts_as_long_as_its_stream(serving):
    with serving.client() as client:
        client.send(call('/api/v1/scheduler', SUBSCRIBE, [('Connection', 'close')]))
        assert undated(client.until(b'\r\n\r\n')) == HEAD
        serving.do(lambda: serving.server.send('s1', EVENT))
        assert client.exactly(len(CHUNK)) == CHUNK
        serving.do(lambda: serving.server.close_stream('s1'))
        assert client.rest() == b'0\r\n\r\n'


def test_client_of_http_1_0_gets_chunks_too(serving):
    with serving.client() as client:
        client.send(request('POST', '/api/v1/scheduler', [('Content-Type', 'application/json')], SUBSCRIBE, '1.0'))
        assert undated(client.until(b'\r\n\r\n')) == HEAD


def test_stream_is_not_compressed(serving):
    with serving.client() as client:
        client.send(call('/api/v1/scheduler', SUBSCRIBE, [('Accept-Encoding', 'gzip')]))
        assert undated(client.until(b'\r\n\r\n')) == HEAD


def test_answers_behind_a_stream_wait_for_its_end(serving):
    with subscribe(serving, GET) as client:
        serving.do(lambda: serving.server.send('s1', EVENT))
        serving.do(lambda: serving.server.close_stream('s1'))
        assert client.until(b'0\r\n\r\n') == CHUNK + b'0\r\n\r\n'
        assert client.response().startswith(b'HTTP/1.1 200 OK')


def test_stream_behind_an_answer_that_waits_begins_later(serving):
    serving.model.replies['GET_HEALTH'] = deferred('key')
    with serving.client() as client:
        client.send(call('/api/v1', b'{"type":"GET_HEALTH"}') + call('/api/v1/scheduler', SUBSCRIBE))
        wait_for(lambda: len(serving.model.calls) == 2)
        serving.do(lambda: serving.server.send('s1', EVENT))
        serving.do(lambda: serving.server.answer('key', Reply(200)))
        assert client.response().startswith(b'HTTP/1.1 200')
        assert undated(client.until(b'\r\n\r\n')) == HEAD
        serving.do(lambda: serving.server.send('s1', EVENT))
        assert client.exactly(2 * len(CHUNK)) == 2 * CHUNK


def test_error_and_the_end_arrive_together(serving):
    error = {'type': 'ERROR', 'error': {'message': 'Framework failed over'}}
    with subscribe(serving) as client:
        serving.do(lambda: (serving.server.send('s1', error), serving.server.close_stream('s1')))
        data = json.dumps(error, separators=(',', ':')).encode()
        assert client.until(b'\r\n0\r\n\r\n').endswith(b'\r\n0\r\n\r\n') and len(data) == 60


def test_client_that_does_not_read_its_stream_is_cut_off_and_the_model_told(serving, monkeypatch):
    monkeypatch.setattr(connection, 'MAX_UNREAD', 1000000)
    event = {'data': 'x' * 100000}
    with subscribe(serving):
        def flood():
            for _ in range(100):
                serving.server.send('s1', event)

        for _ in range(100):
            serving.do(flood)
            if serving.model.closed:
                break
        assert serving.model.closed == ['s1']
    assert serving.loop.carry_out(lambda: len(serving.server._listener.connections)) == 0


def test_broken_http_on_a_stream_ends_it(serving):
    with subscribe(serving) as client:
        client.send(b'garbage\r\n\r\n')
        assert client.rest() == b''
    wait_for(lambda: serving.model.closed == ['s1'])


def test_operators_stream_has_no_stream_id():
    with Serving() as serving:
        serving.model.replies['SUBSCRIBE'] = subscribing(())
        with serving.client() as client:
            client.send(call('/api/v1', b'{"type":"SUBSCRIBE"}'))
            assert undated(client.until(b'\r\n\r\n')) == (
                b'HTTP/1.1 200 OK\r\nDate: X\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n')


# ---- a container's output

ATTACH_OUTPUT = b'{"type":"ATTACH_CONTAINER_OUTPUT","attach_container_output":{"container_id":{"value":"c"}}}'


@pytest.mark.parametrize('headers, kinds', [
    ([('Accept', 'application/json')], b'Content-Type: application/json\r\n'),
    ([('Accept', 'application/recordio'), ('Message-Accept', 'application/json')],
     b'Message-Content-Type: application/json\r\nContent-Type: application/recordio\r\n'),
    ([('Accept', 'application/recordio')],
     b'Message-Content-Type: application/json\r\nContent-Type: application/recordio\r\n')])
def test_output_has_the_type_that_was_asked_for(headers, kinds):
    with Serving('agent') as serving:
        serving.model.replies['ATTACH_CONTAINER_OUTPUT'] = subscribing(())
        with serving.client() as client:
            client.send(request('POST', '/api/v1', [('Content-Type', 'application/json')] + headers, ATTACH_OUTPUT))
            assert undated(client.until(b'\r\n\r\n')) == (
                b'HTTP/1.1 200 OK\r\nDate: X\r\nTransfer-Encoding: chunked\r\n' + kinds + b'\r\n')


# ---- a container's input

def record(attached):
    return encode(json.dumps({'type': 'ATTACH_CONTAINER_INPUT', 'attach_container_input': attached}).encode())


BEGIN = record({'type': 'CONTAINER_ID', 'container_id': {'value': 'c', 'parent': {'value': 'p'}}})
PROCESS_IO = {'type': 'DATA', 'data': {'type': 'STDIN', 'data': 'aGk='}}
INPUT = record({'type': 'PROCESS_IO', 'process_io': PROCESS_IO})

ATTACH_HEADERS = [('Content-Type', 'application/recordio'), ('Message-Content-Type', 'application/json'),
                  ('Accept', 'application/json')]


def attach_head(headers=ATTACH_HEADERS):
    return request('POST', '/api/v1', headers).replace(b'Content-Length: 0', b'Transfer-Encoding: chunked')


def chunk(data):
    return b'%x\r\n%s\r\n' % (len(data), data)


@pytest.fixture
def agent():
    with Serving('agent') as serving:
        yield serving


def attach(agent, *pieces):
    """What a whole request with these pieces is answered."""
    return agent.ask(attach_head() + b''.join(chunk(piece) for piece in pieces) + b'0\r\n\r\n')


def test_input_reaches_the_model_as_it_comes(agent):
    with agent.client() as client:
        client.send(attach_head() + chunk(BEGIN[:20]))
        client.send(chunk(BEGIN[20:] + INPUT[:5]))
        wait_for(lambda: [method for method, _ in agent.model.calls] == [])
        client.send(chunk(INPUT[5:]))
        wait_for(lambda: agent.model.calls == [('attach_data', ('p.c', PROCESS_IO))])
        client.send(chunk(INPUT + INPUT))
        wait_for(lambda: len(agent.model.calls) == 3)
        assert agent.node.settled
        client.send(b'0\r\n\r\n' + GET)
        assert undated(client.response()) == b'HTTP/1.1 200 OK\r\nDate: X\r\nContent-Length: 0\r\n\r\n'
        assert client.response().startswith(b'HTTP/1.1 200')
    assert agent.model.calls[3:] == [('attach_end', ('p.c',))]


def test_input_with_a_length_is_taken_too(agent):
    data = BEGIN + INPUT
    assert agent.ask(request('POST', '/api/v1', ATTACH_HEADERS, data)).startswith(b'HTTP/1.1 200')
    assert [method for method, _ in agent.model.calls] == ['attach_data', 'attach_end']


def test_client_that_goes_away_ends_the_input(agent):
    with agent.client() as client:
        client.send(attach_head() + chunk(BEGIN + INPUT))
        wait_for(lambda: agent.model.calls)
    wait_for(lambda: agent.model.calls[1:] == [('attach_end', ('p.c',))])


def test_input_that_the_model_refuses_is_answered_at_once_and_the_rest_ignored(agent):
    agent.model.replies['attach_begin'] = refuse(404, 'Container p.c cannot be found')
    with agent.client() as client:
        client.send(attach_head() + chunk(BEGIN))
        assert client.response().endswith(b'\r\n\r\nContainer p.c cannot be found')
        client.send(chunk(INPUT) + b'0\r\n\r\n' + GET)
        assert client.response().startswith(b'HTTP/1.1 200')
    assert [method for method, _ in agent.model.calls] == ['attach_begin']


@pytest.mark.parametrize('pieces, status, text', [
    ((), 400, 'Received EOF while reading request body'),
    ((b'200\n{"',), 400, 'Received EOF while reading request body'),
    ((b'2\n{"',), 400, 'Failed to parse body into JSON: syntax error at line 1 near: '),
    ((b'xx\n{}',), 500, 'Decoder failure: '),
    ((encode(b'{"type":"GET_HEALTH"}'),), 415,
     "Streaming 'Content-Type' application/recordio is not supported for GET_HEALTH call"),
    ((record({}),), 400, "Failed to validate agent::Call: Expecting 'attach_container_input.type' to be present"),
    ((INPUT,), 400, "Expecting 'attach_container_input.type' to be CONTAINER_ID"),
    ((BEGIN, BEGIN), 400, "Expecting 'attach_container_input.type' to be 'PROCESS_IO' instead of: 'CONTAINER_ID'"),
    ((BEGIN + b'xx\n{}',), 500, 'Decoder failure: ')])
def test_input_that_is_none_is_refused(agent, pieces, status, text):
    head, body = attach(agent, *pieces).split(b'\r\n\r\n', 1)
    assert int(head.split()[1]) == status
    assert body.decode('utf-8').startswith(text)
    begun = [method for method, _ in agent.model.calls if method == 'attach_begin']
    ended = [method for method, _ in agent.model.calls if method == 'attach_end']
    assert ended == (['attach_end'] if BEGIN in b''.join(pieces) else []) and begun == []


def test_refused_head_of_an_input_leaves_the_connection_usable(agent):
    headers = [('Content-Type', 'application/recordio'), ('Accept', 'application/json')]
    with agent.client() as client:
        client.send(attach_head(headers) + chunk(BEGIN) + b'0\r\n\r\n' + GET)
        assert client.response().endswith(b"Expecting 'Message-Content-Type' to be set for streaming requests")
        assert client.response().startswith(b'HTTP/1.1 200')


def test_input_above_the_ceiling_of_a_record_is_refused():
    with Serving('agent', max_body=1000) as agent:
        answer = agent.ask(attach_head() + chunk(BEGIN) + chunk(INPUT * 100) + chunk(b'1001\nx') + b'0\r\n\r\n')
        assert answer.startswith(b'HTTP/1.1 500')
        assert [method for method, _ in agent.model.calls].count('attach_data') == 100


def test_fault_of_ours_in_the_midst_of_an_input_is_500(agent):
    def fail(*_args):
        raise KeyError('planned')

    agent.model.attach_data = fail
    assert attach(agent, BEGIN, INPUT, INPUT).startswith(b'HTTP/1.1 500')
    assert agent.model.calls == [('attach_end', ('p.c',))]

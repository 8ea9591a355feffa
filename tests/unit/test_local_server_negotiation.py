"""Content types, Accept, compression and the order of checks of the embedded servers (PROTOCOL 1.1, 1.2)."""
from __future__ import absolute_import, division, print_function

import gzip
import io
import json
import zlib

import pytest
from local_server import Serving, call, request, undated
from pymesos.local.model.effects import Reply
from pymesos.local.negotiation import accepts_gzip, accepts_type

JSON, PROTOBUF, RECORDIO = 'application/json', 'application/x-protobuf', 'application/recordio'

HEALTH = b'{"type":"GET_HEALTH"}'
SUPPRESS = b'{"type":"SUPPRESS","framework_id":{"value":"f"}}'
SUBSCRIBE = b'{"type":"SUBSCRIBE","subscribe":{"framework_info":{"user":"root","name":"x"}}}'
EXECUTOR_SUBSCRIBE = b'{"type":"SUBSCRIBE","subscribe":{},"framework_id":{"value":"f"},"executor_id":{"value":"e"}}'
EXECUTOR_MESSAGE = (b'{"type":"MESSAGE","message":{"data":"aGk="},"framework_id":{"value":"f"},'
                    b'"executor_id":{"value":"e"}}')

TWO = "Expecting 'Content-Type' of application/json or application/x-protobuf"
THREE = TWO + ' or application/recordio'
ACCEPT_TWO = "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'"
ACCEPT_THREE = "Expecting 'Accept' to allow application/json or application/x-protobuf or application/recordio"


# Every case was put to a real Mesos 1.11; where it answers in protobuf JSON is not accepted.
@pytest.mark.parametrize('value, is_good', [
    (None, True), ('', False), (JSON, True), ('*/*', True), ('application/*', True), ('text/html', False),
    ('text/html, */*', True), ('APPLICATION/JSON', True), ('application/json; charset=utf-8', True),
    (' application/json ', True), ('application/x-protobuf, application/json;q=0.1', True), (PROTOBUF, False),
    (RECORDIO, False), ('garbage', False), (',', False), ('*', False), ('application/json/x', False),
    ('*/*;q=0', False), ('application/json;q=0', False), ('application/json;q=0.0', False),
    ('application/json;q=0.000', False), ('application/json ; q=0', False), ('application/json;q=0;x=y', False),
    ('application/json;x=y;q=0', False), ('application/json;q=x', True),
    ('application/json;q=0, */*', False), ('*/*, application/json;q=0', False),
    ('application/json;q=0, application/*', False), ('application/*;q=0, application/json', True),
    ('*/*;q=0, application/json', True), ('application/json;q=0, application/json', False),
    ('application/json, application/json;q=0', True), ('application/x-protobuf;q=0', False),
    ('application/x-protobuf;q=0, */*', True)])
def test_accept_allows_json(value, is_good):
    assert accepts_type(value, JSON) is is_good


@pytest.mark.parametrize('value, is_good', [
    (None, False), ('', False), ('gzip', True), ('GZIP', True), ('*', True), ('identity', False), ('deflate', False),
    ('deflate, gzip;q=0.5', True), ('gzip;q=0', False), ('*;q=0', False), ('gzip, *;q=0', True), ('gzip;q=0, *', False),
    ('*;q=0, gzip', True), ('x-gzip', False), ('gzipped', False)])
def test_accept_encoding_allows_gzip(value, is_good):
    assert accepts_gzip(value) is is_good


def post(path, body, content_type=JSON, accept=JSON, **more):
    """A request whose headers are given or, as None, left out."""
    headers = [('Content-Type', content_type), ('Accept', accept)]
    headers += [(name.replace('_', '-'), more[name]) for name in sorted(more)]
    return request('POST', path, [(name, value) for name, value in headers if value is not None], body)


def status_and_text(answer):
    head, body = answer.split(b'\r\n\r\n', 1)
    return int(head.split()[1]), body.decode('utf-8')


@pytest.mark.parametrize('kind, path, body, settings, expected', [
    # Content-Type: a whole string, with the case that it has.
    ('master', '/api/v1/scheduler', SUPPRESS, {'content_type': None}, (400, "Expecting 'Content-Type' to be present")),
    ('master', '/api/v1/scheduler', SUPPRESS, {'content_type': 'text/plain'}, (415, TWO)),
    ('master', '/api/v1/scheduler', SUPPRESS, {'content_type': ''}, (415, TWO)),
    ('master', '/api/v1/scheduler', SUPPRESS, {'content_type': 'APPLICATION/JSON'}, (415, TWO)),
    ('master', '/api/v1/scheduler', SUPPRESS, {'content_type': JSON + '; charset=utf-8'}, (415, TWO)),
    ('master', '/api/v1/scheduler', SUPPRESS, {'content_type': RECORDIO}, (415, TWO)),
    ('master', '/api/v1', HEALTH, {'content_type': None}, (400, "Expecting 'Content-Type' to be present")),
    ('master', '/api/v1', HEALTH, {'content_type': RECORDIO}, (415, TWO)),
    ('agent', '/api/v1/executor', EXECUTOR_MESSAGE, {'content_type': None},
     (400, "Expecting 'Content-Type' to be present")),
    ('agent', '/api/v1/executor', EXECUTOR_MESSAGE, {'content_type': RECORDIO}, (415, TWO)),
    ('agent', '/api/v1', HEALTH, {'content_type': 'text/plain'}, (415, THREE)),
    # Protobuf is not spoken.
    ('master', '/api/v1', HEALTH, {'content_type': PROTOBUF}, (400, 'Failed to parse body into Call protobuf')),
    ('master', '/api/v1/scheduler', HEALTH, {'content_type': PROTOBUF},
     (400, 'Failed to parse body into Call protobuf')),
    ('master', '/api/v1', b'', {'content_type': PROTOBUF},
     (400, "Failed to validate master::Call: Expecting 'type' to be present")),
    ('agent', '/api/v1', HEALTH, {'content_type': PROTOBUF}, (400, 'Failed to parse body into a protobuf object')),
    ('agent', '/api/v1', b'', {'content_type': PROTOBUF},
     (400, "Failed to validate agent::Call: Expecting 'type' to be present")),
    ('agent', '/api/v1/executor', b'', {'content_type': PROTOBUF}, (400, 'Failed to parse body into Call protobuf')),
    ('master', '/api/v1', HEALTH, {'accept': PROTOBUF}, (406, ACCEPT_TWO)),
    # Accept: of all calls of an operator; of few of a scheduler's and an executor's.
    ('master', '/api/v1', HEALTH, {'accept': 'text/html'}, (406, ACCEPT_TWO)),
    ('master', '/api/v1', HEALTH, {'accept': RECORDIO}, (406, ACCEPT_TWO)),
    ('master', '/api/v1', HEALTH, {'accept': None}, (202, '')),
    ('master', '/api/v1/scheduler', SUPPRESS, {'accept': 'text/html'}, (202, '')),
    ('master', '/api/v1/scheduler', SUBSCRIBE, {'accept': 'text/html'}, (406, ACCEPT_TWO)),
    ('master', '/api/v1/scheduler', SUBSCRIBE, {'accept': 'text/html', 'Mesos_Stream_Id': 'x'}, (406, ACCEPT_TWO)),
    ('master', '/api/v1/scheduler',
     b'{"type":"RECONCILE_OPERATIONS","framework_id":{"value":"f"},"reconcile_operations":{}}', {'accept': 'text/html'},
     (406, ACCEPT_TWO)),
    ('agent', '/api/v1/executor', EXECUTOR_MESSAGE, {'accept': 'text/html'}, (202, '')),
    ('agent', '/api/v1/executor', EXECUTOR_SUBSCRIBE, {'accept': 'text/html'}, (406, ACCEPT_TWO)),
    ('agent', '/api/v1', HEALTH, {'accept': 'text/html'}, (406, ACCEPT_THREE)),
    ('agent', '/api/v1', HEALTH, {'accept': PROTOBUF}, (406, ACCEPT_THREE)),
    # Message-Content-Type and Message-Accept: of an agent alone.
    ('master', '/api/v1', HEALTH, {'Message_Accept': 'text/html', 'Message_Content_Type': 'x'}, (202, '')),
    ('agent', '/api/v1', HEALTH, {'Message_Accept': JSON},
     (406, "Expecting 'Message-Accept' to be not set for non-streaming responses")),
    ('agent', '/api/v1', HEALTH, {'accept': RECORDIO, 'Message_Accept': 'text/html'},
     (406, "Expecting 'Message-Accept' to allow application/json or application/x-protobuf")),
    ('agent', '/api/v1', HEALTH, {'accept': RECORDIO},
     (406, 'Streaming response is not supported for GET_HEALTH call')),
    ('agent', '/api/v1', HEALTH, {'Message_Content_Type': JSON},
     (415, "Expecting 'Message-Content-Type' to be not set for non-streaming requests")),
    ('agent', '/api/v1', HEALTH, {'content_type': RECORDIO},
     (400, "Expecting 'Message-Content-Type' to be set for streaming requests")),
    ('agent', '/api/v1', HEALTH, {'content_type': RECORDIO, 'Message_Content_Type': 'text/html'},
     (415, "Expecting 'Message-Content-Type' of application/json or application/x-protobuf")),
    ('agent', '/api/v1', b'{"type":"ATTACH_CONTAINER_INPUT","attach_container_input":{"type":"CONTAINER_ID",'
                         b'"container_id":{"value":"x"}}}', {},
     (415, "Expecting 'Content-Type' to be application/recordio for ATTACH_CONTAINER_INPUT call")),
    # Of two faults the one that Mesos looks for first.
    ('master', '/api/v1', b'x', {'content_type': None, 'accept': 'text/html'},
     (400, "Expecting 'Content-Type' to be present")),
    ('master', '/api/v1', b'x', {'accept': 'text/html'},
     (400, 'Failed to parse body into JSON: syntax error at line 1 near: x')),
    ('master', '/api/v1', b'{}', {'accept': 'text/html'},
     (400, "Failed to validate master::Call: Expecting 'type' to be present")),
    ('master', '/api/v1/scheduler', b'{"type":"SUBSCRIBE"}', {'accept': 'text/html'},
     (400, "Failed to validate scheduler::Call: Expecting 'subscribe' to be present")),
    ('agent', '/api/v1', b'x', {'accept': 'text/html'}, (406, ACCEPT_THREE)),
    ('agent', '/api/v1', b'{}', {'accept': 'text/html'}, (406, ACCEPT_THREE)),
    ('agent', '/api/v1', b'{}', {'Message_Accept': JSON},
     (406, "Expecting 'Message-Accept' to be not set for non-streaming responses")),
    ('agent', '/api/v1', b'x', {'content_type': RECORDIO, 'accept': 'text/html'},
     (400, "Expecting 'Message-Content-Type' to be set for streaming requests")),
    ('agent', '/api/v1', b'x', {'content_type': 'text/plain', 'accept': 'text/html'}, (415, THREE)),
    ('agent', '/api/v1', b'x', {'accept': 'text/html', 'Message_Content_Type': JSON},
     (415, "Expecting 'Message-Content-Type' to be not set for non-streaming requests")),
])
def test_type_is_negotiated(kind, path, body, settings, expected):
    with Serving(kind) as serving:
        assert status_and_text(serving.ask(post(path, body, **settings))) == expected
        assert bool(serving.model.calls) is (expected[0] == 202)


@pytest.mark.parametrize('kind, path', [('master', '/api/v1'), ('master', '/api/v1/scheduler'),
                                        ('agent', '/api/v1'), ('agent', '/api/v1/executor')])
@pytest.mark.parametrize('method', ['GET', 'PUT', 'HEAD', 'OPTIONS', 'DELETE'])
def test_method_is_checked_before_the_types(kind, path, method):
    with Serving(kind) as serving:
        text = "405 Method Not Allowed. Expecting one of { 'POST' }, but received '%s'." % method
        assert undated(serving.ask(request(method, path))) == (
            'HTTP/1.1 405 Method Not Allowed\r\nDate: X\r\nAllow: POST\r\nContent-Type: text/plain; charset=utf-8\r\n'
            'Content-Length: %d\r\n\r\n%s' % (len(text), text)).encode()


# ---- compression

def pack(data):
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode='wb') as stream:
        stream.write(data)
    return out.getvalue()


def test_large_body_is_compressed_if_the_client_allows_it():
    body = {'text': 'x' * 1024}
    with Serving() as serving:
        serving.model.replies['GET_HEALTH'] = Reply(200, body)
        head, data = serving.ask(call('/api/v1', HEALTH, [('Accept-Encoding', 'gzip')])).split(b'\r\n\r\n', 1)
        assert undated(head + b'\r\n\r\n') == (
            'HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nDate: X\r\nContent-Type: application/json\r\n'
            'Content-Length: %d\r\n\r\n' % len(data)).encode()
        assert json.loads(zlib.decompress(data, 16 + zlib.MAX_WBITS).decode()) == body
        plain = serving.ask(call('/api/v1', HEALTH))
        assert b'gzip' not in plain and json.loads(plain.split(b'\r\n\r\n', 1)[1].decode()) == body


def test_large_body_without_a_version_is_compressed_with_its_headers_in_their_order():
    with Serving() as serving:
        serving.model.replies['/state'] = Reply(200, {'text': 'x' * 1024})
        head, data = serving.ask(request('GET', '/state', [('Accept-Encoding', '*')])).split(b'\r\n\r\n', 1)
        assert undated(head + b'\r\n\r\n') == (
            'HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nDate: X\r\nContent-Length: %d\r\n'
            'Content-Type: application/json\r\n\r\n' % len(data)).encode()


@pytest.mark.parametrize('size, is_packed', [(1023, False), (1024, True)])
def test_body_is_compressed_from_1024_bytes_on(size, is_packed):
    with Serving() as serving:
        serving.model.replies['/state'] = Reply(200, 'x' * size)
        answer = serving.ask(request('GET', '/state', [('Accept-Encoding', 'gzip')]))
        assert (b'Content-Encoding: gzip\r\n' in answer) is is_packed


def test_packed_request_is_unpacked():
    with Serving() as serving:
        serving.ask(call('/api/v1', pack(HEALTH), [('Content-Encoding', 'gzip')]))
        assert serving.model.calls == [('operator', ({'type': 'GET_HEALTH'}, None))]


def test_request_that_cannot_be_unpacked_is_500_whatever_it_asks_for():
    with Serving() as serving:
        for path in ('/api/v1', '/nope'):
            answer = serving.ask(call(path, HEALTH, [('Content-Encoding', 'gzip')]))
            assert status_and_text(answer) == (500, 'failed to decode body')


def test_request_that_is_too_large_when_unpacked_is_413():
    with Serving(max_body=1000) as serving:
        answer = serving.ask(call('/api/v1', pack(b' ' * 2000 + HEALTH), [('Content-Encoding', 'gzip')]))
        assert status_and_text(answer) == (413, '413 Request Entity Too Large.')
        assert serving.model.calls == []


def test_other_content_encodings_are_not_looked_at():
    with Serving() as serving:
        assert status_and_text(serving.ask(call('/api/v1', HEALTH, [('Content-Encoding', 'deflate')]))) == (202, '')

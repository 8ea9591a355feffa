"""Credentials and tokens of the embedded cluster (PROTOCOL 7)."""
from __future__ import absolute_import, division, print_function

import base64
import json
import logging
import socket
import ssl
import time

import pytest
from local_server import Client, Serving, call, request, undated, wait_for
from pymesos.local.access import BASIC, BEARER, Access
from pymesos.local.jwt import TokenError, make_token, read_token
from pymesos.local.model.effects import Reply

HEALTH = b'{"type":"GET_HEALTH"}'
HEARTBEAT = b'{"type":"HEARTBEAT","framework_id":{"value":"f"},"executor_id":{"value":"e"}}'
CLAIMS = {'fid': 'f', 'eid': 'e', 'cid': 'c'}


def basic(text):
    return 'Basic ' + base64.b64encode(text.encode('utf-8')).decode('ascii')


# ---- tokens

def test_token_carries_its_claims():
    assert read_token(make_token(CLAIMS, b'key'), b'key', 0) == CLAIMS


def test_token_is_the_one_of_the_standard():
    # RFC 7519 with HS256: header.payload.signature in URL-safe base64 without padding.
    token = make_token({'a': 1}, b'key')
    header, payload, signature = token.split('.')
    assert json.loads(base64.urlsafe_b64decode((header + '==').encode()).decode()) == {'alg': 'HS256', 'typ': 'JWT'}
    assert '=' not in token
    # Made with another implementation.
    other = ('eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.'
             'eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ.'
             'SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c')
    assert read_token(other, b'your-256-bit-secret', 0)['name'] == 'John Doe'


def unsigned(header, payload):
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip('=') for part in (header, payload)]
    return '.'.join(parts + [''])


@pytest.mark.parametrize('token, text', [
    ('a.b', 'Expected 3 components in token, got 2'), ('', 'Expected 3 components in token, got 1'),
    (u'\xe9.b.c', 'Failed to decode token'), ('!.b.c', 'Failed to parse token header'),
    ('W10.b.c', 'Token header is not a JSON object'),
    (unsigned({'alg': 'none'}, CLAIMS), 'Unsupported token algorithm: none'),
    (unsigned({'alg': 'HS256'}, CLAIMS), 'Token signature does not match'),
    (make_token(CLAIMS, b'other'), 'Token signature does not match'),
    (make_token(CLAIMS, b'key')[:-3] + 'AAA', 'Token signature does not match'),
    (make_token({'exp': 100}, b'key'), 'Token has expired'),
    (make_token({'exp': 'x'}, b'key'), "JSON payload 'exp' is not a number"),
    (make_token({'exp': True}, b'key'), "JSON payload 'exp' is not a number")])
def test_token_that_is_not_to_be_trusted_is_refused(token, text):
    with pytest.raises(TokenError) as caught:
        read_token(token, b'key', 100)
    assert str(caught.value) == text


def test_token_holds_until_it_expires():
    assert read_token(make_token({'exp': 100.5}, b'key'), b'key', 100) == {'exp': 100.5}


# ---- who is it

@pytest.mark.parametrize('header, principal', [
    (basic('user:pass'), 'user'), (basic(u'n\xe4me:s\xe4cret'), u'n\xe4me'), (basic('empty:'), 'empty'),
    (None, None), ('', None), ('Basic', None), ('Basic ', None), ('Basic !!!', None), ('Basic \xe9', None),
    (basic('user'), None), (basic('user:'), None), (basic('user:nope'), None), (basic('nobody:pass'), None),
    (basic('user:pass:x'), None), (basic('colon:a:b'), None), (basic(':'), None), (basic('nobody:'), None),
    (basic('user:pass').replace('Basic', 'basic'), None), (basic('user:pass').replace(' ', '  '), None),
    (basic('user:pass') + ' x', None), ('Bearer abc', None)])
def test_secret_proves_a_principal(header, principal):
    access = Access({'user': 'pass', u'n\xe4me': u's\xe4cret', 'empty': '', 'colon': 'a:b'})
    identity = access.identify(header, 'r', (BASIC,), 0)
    assert identity == ((principal, None, None) if principal else (None, None, 'Basic realm="r"'))


@pytest.mark.parametrize('header, more', [
    (None, ''), ('Bearer', ", error=\"invalid_token\", error_description=\"Malformed 'Authorization' header\""),
    (basic('a:b'), ', error="invalid_token", error_description="Scheme \'Basic\' unrecognized"'),
    ('Bearer a.b', ', error="invalid_token", error_description="Invalid JWT: Expected 3 components in token, got 2"'),
    ('"x\\ y', ', error="invalid_token", error_description="Scheme \'x\' unrecognized"')])
def test_challenge_for_a_token_says_what_is_wrong(header, more):
    assert Access().identify(header, 'r', (BEARER,), 0) == (None, None, 'Bearer realm="r"' + more)


def test_token_proves_its_claims():
    access = Access()
    token = access.executor_token(CLAIMS)
    assert access.identify('Bearer ' + token, 'r', (BEARER,), 0) == (None, CLAIMS, None)
    assert Access().identify('Bearer ' + token, 'r', (BEARER,), 0).challenge is not None


def test_one_of_several_ways_is_enough():
    access = Access({'user': 'pass'})
    ways = (BASIC, BEARER)
    assert access.identify(basic('user:pass'), 'r', ways, 0).principal == 'user'
    assert access.identify('Bearer ' + access.executor_token(CLAIMS), 'r', ways, 0).claims == CLAIMS
    assert access.identify(None, 'r', ways, 0).challenge == 'Basic realm="r", Bearer realm="r"'


def test_nobody_is_asked_without_a_way():
    assert Access({'user': 'pass'}).identify('nonsense', 'r', (), 0) == (None, None, None)


def test_secrets_are_in_no_repr():
    shown = repr(Access({'user': 'hunter2'}, key=b'sesame'))
    assert 'hunter2' not in shown and 'sesame' not in shown


# ---- at the servers

def unauthorized(realm):
    return ('HTTP/1.1 401 Unauthorized\r\nDate: X\r\nWWW-Authenticate: Basic realm="%s"\r\n'
            'Content-Type: text/plain; charset=utf-8\r\nContent-Length: 17\r\n\r\n401 Unauthorized.' % realm).encode()


ALL = {'authenticate_readonly': True, 'authenticate_readwrite': True}

READONLY = ['/state', '/state-summary', '/slaves', '/frameworks', '/tasks', '/roles', '/flags', '/metrics/snapshot',
            '/maintenance/status', '/files/debug', '/files/browse?path=/logs', '/files/read?path=/logs/stderr']
READWRITE = ['/api/v1', '/quota', '/weights', '/teardown', '/reserve', '/unreserve', '/create-volumes',
             '/destroy-volumes', '/maintenance/schedule', '/machine/up', '/machine/down', '/logging/toggle']


@pytest.mark.parametrize('path, realm', [(path, 'readonly') for path in READONLY]
                         + [(path, 'readwrite') for path in READWRITE] + [('/api/v1/scheduler', 'scheduler')])
def test_realm_of_a_masters_endpoint(path, realm):
    with Serving(credentials={'user': 'pass'}, authenticate_frameworks=True, **ALL) as serving:
        for header in ([], [('Authorization', basic('user:nope'))], [('Authorization', 'Bearer abc')]):
            assert undated(serving.ask(request('GET', path, header))) == unauthorized('mesos-master-' + realm)
        good = serving.ask(request('GET', path, [('Authorization', basic('user:pass'))]))
        assert not good.startswith(b'HTTP/1.1 401')


@pytest.mark.parametrize('path, realm', [
    ('/state', 'readonly'), ('/flags', 'readonly'), ('/containers', 'readonly'), ('/monitor/statistics', 'readonly'),
    ('/slave(1)/state', 'readonly'), ('/metrics/snapshot', 'readonly'), ('/files/debug', 'readonly'),
    ('/api/v1', 'readwrite'), ('/logging/toggle', 'readwrite')])
def test_realm_of_an_agents_endpoint(path, realm):
    with Serving('agent', credentials={'user': 'pass'}, **ALL) as serving:
        assert undated(serving.ask(request('GET', path))) == unauthorized('mesos-agent-' + realm)


@pytest.mark.parametrize('kind', ['master', 'agent'])
@pytest.mark.parametrize('path', ['/health', '/version', '/help', '/redirect', '/nope'])
def test_endpoint_for_anybody(kind, path):
    with Serving(kind, credentials={'user': 'pass'}, **ALL) as serving:
        assert not serving.ask(request('GET', path)).startswith(b'HTTP/1.1 401')


def test_realms_are_asked_one_by_one():
    with Serving(credentials={'user': 'pass'}, authenticate_readonly=True) as serving:
        assert serving.ask(call('/api/v1', HEALTH)).startswith(b'HTTP/1.1 202')
        assert serving.ask(request('GET', '/state')).startswith(b'HTTP/1.1 401')


def test_principal_reaches_the_model_and_only_where_somebody_asked():
    with Serving(credentials={'user': 'pass'}, authenticate_readwrite=True) as serving:
        header = [('Authorization', basic('user:pass'))]
        serving.model.replies['/weights'] = serving.model.replies['/state'] = Reply(200, {})
        serving.ask(call('/api/v1', HEALTH, header))
        serving.ask(call('/api/v1/scheduler', b'{"type":"SUPPRESS","framework_id":{"value":"f"}}', header))
        serving.ask(request('GET', '/weights', header))
        serving.ask(request('GET', '/state', header))
        assert [arguments[1 if method != 'legacy' else 2] for method, arguments in serving.model.calls] == [
            'user', None, 'user', None]


def test_principal_of_a_framework_must_be_that_of_the_connection():
    with Serving(credentials={'user': 'pass'}, authenticate_frameworks=True) as serving:
        body = b'{"type":"SUBSCRIBE","subscribe":{"framework_info":{"user":"root","name":"x","principal":"other"}}}'
        answer = serving.ask(call('/api/v1/scheduler', body, [('Authorization', basic('user:pass'))]))
        assert answer.startswith(b'HTTP/1.1 400 Bad Request\r\n')
        assert answer.endswith(b"Failed to validate scheduler::Call: Authenticated principal 'user' does not match "
                               b"principal 'other' set in `FrameworkInfo`")


def test_who_it_is_comes_before_the_leader_the_method_and_the_rest():
    with Serving(credentials={'user': 'pass'}, **ALL) as serving:
        serving.node.leading = None
        assert undated(serving.ask(request('GET', '/api/v1'))) == unauthorized('mesos-master-readwrite')


def test_executor_shows_its_token():
    with Serving('agent', authenticate_executors=True) as serving:
        token = serving.access.executor_token(CLAIMS)
        answer = serving.ask(call('/api/v1/executor', HEARTBEAT, [('Authorization', 'Bearer ' + token)]))
        assert answer.startswith(b'HTTP/1.1 202')
        assert serving.model.calls[0][1][1] == CLAIMS
        answer = serving.ask(call('/api/v1/executor', HEARTBEAT))
        assert b'\r\nWWW-Authenticate: Bearer realm="mesos-agent-executor"\r\n' in answer
        wrong = Access(key=b'other').executor_token(CLAIMS)
        answer = serving.ask(call('/api/v1/executor', HEARTBEAT, [('Authorization', 'Bearer ' + wrong)]))
        assert (b'\r\nWWW-Authenticate: Bearer realm="mesos-agent-executor", error="invalid_token", '
                b'error_description="Invalid JWT: Token signature does not match"\r\n') in answer
        assert answer.startswith(b'HTTP/1.1 401') and len(serving.model.calls) == 1


def test_token_that_has_run_out_is_refused_though_its_head_was_seen():
    with Serving('agent', authenticate_executors=True) as serving:
        token = serving.access.executor_token(dict(CLAIMS, exp=time.time() + 1))
        data = call('/api/v1/executor', HEARTBEAT, [('Authorization', 'Bearer ' + token)])
        assert serving.ask(data).startswith(b'HTTP/1.1 202')
        wait_for(lambda: serving.ask(data).startswith(b'HTTP/1.1 401'))


def test_executor_may_use_the_operator_api_with_its_token():
    with Serving('agent', credentials={'user': 'pass'}, authenticate_executors=True, **ALL) as serving:
        token = serving.access.executor_token(CLAIMS)
        serving.ask(call('/api/v1', HEALTH, [('Authorization', 'Bearer ' + token)]))
        serving.ask(call('/api/v1', HEALTH, [('Authorization', basic('user:pass'))]))
        assert [arguments[1] for _, arguments in serving.model.calls] == [CLAIMS, 'user']
        assert serving.ask(request('GET', '/state', [('Authorization', 'Bearer ' + token)])).startswith(b'HTTP/1.1 401')


def test_no_secret_reaches_the_log(caplog):
    def fail(*_args):
        raise ValueError('planned')

    caplog.set_level(logging.DEBUG)
    with Serving(credentials={'user': 'hunter2'}, **ALL) as serving:
        serving.model.replies['GET_HEALTH'] = fail
        header = [('Authorization', basic('user:hunter2'))]
        assert serving.ask(call('/api/v1', HEALTH, header)).startswith(b'HTTP/1.1 500 Internal Server Error\r\n')
        with serving.client() as client:
            client.send(request('GET', '/x', header)[:-2] + b'broken\r\n\r\n')
            assert client.is_closed()
    logged = ''.join(record.getMessage() + str(record.exc_text) for record in caplog.records)
    assert 'planned' in caplog.text
    assert basic('user:hunter2')[6:] not in logged and 'hunter2' not in logged


# ---- TLS

def test_servers_speak_tls(certificate_files):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if hasattr(ssl, 'PROTOCOL_TLS_SERVER') else ssl.PROTOCOL_SSLv23)
    context.load_cert_chain(certificate_files.cert_file, certificate_files.key_file)
    trusting = ssl.create_default_context(cafile=certificate_files.ca_file)
    trusting.check_hostname = False
    with Serving(ssl_context=context) as serving:
        serving.model.replies['/state'] = Reply(200, 'x' * 500000)
        with Client(serving.port, trusting.wrap_socket) as client:
            client.send(call('/api/v1', HEALTH) + request('GET', '/state'))
            assert client.response().startswith(b'HTTP/1.1 202')
            assert client.response().endswith(b'x' * 500000)
        # Who does not speak it is cut off, and others are served.
        with serving.client() as plain:
            plain.send(request('GET', '/health'))
            try:
                assert b'HTTP' not in plain.rest()
            except socket.error:
                pass
        with Client(serving.port, trusting.wrap_socket) as client:
            client.send(request('GET', '/health'))
            assert client.response().startswith(b'HTTP/1.1 200')

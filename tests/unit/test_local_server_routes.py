"""Which endpoint a path reaches, on the embedded master and agent (PROTOCOL 1.1)."""
from __future__ import absolute_import, division, print_function

import json

import pytest
from local_server import JSON, Serving, call, request, undated
from pymesos.local.model.effects import Reply
from pymesos.local.routes import AGENT, MASTER, Router, read_query, split_target

HEALTH = b'{"type":"GET_HEALTH"}'
NOT_FOUND = (b'HTTP/1.1 404 Not Found\r\nDate: X\r\nContent-Type: text/plain; charset=utf-8\r\n'
             b'Content-Length: 14\r\n\r\n404 Not Found.')


@pytest.mark.parametrize('path, kind', [
    ('/api/v1/scheduler', 'scheduler'), ('/master/api/v1/scheduler', 'scheduler'), ('/api/v1/scheduler/x', 'scheduler'),
    ('/api/v1', 'operator'), ('/master/api/v1', 'operator'), ('/api/v1/', 'operator'), ('//api/v1', 'operator'),
    ('/api/v1/operator', 'operator'), ('/api/v1/anything/else', 'operator'), ('/api/v1/executor', 'operator'),
    ('/health', 'health'), ('/master/health', 'health'), ('/health/x/y', 'health'),
    ('/flags', 'flags'), ('/redirect', 'redirect'), ('/master/redirect', 'redirect'),
    ('/version', 'version'), ('/version/', 'version'), ('/metrics/snapshot', 'metrics'), ('/logging/toggle', 'logging'),
    ('/files/browse', 'files'), ('/files/read/x', 'files'), ('/files/download', 'files'), ('/files/debug', 'files'),
    ('/help', 'help'), ('/help/master', 'help'),
    ('/api', None), ('/', None), ('/master', None), ('/master/', None), ('/nope', None), ('/api/v2/scheduler', None),
    ('/api//v1', None), ('/master/../api/v1', None), ('/api%2Fv1', None), ('/ap%69/v1', None),
    ('/version/x', None), ('/redirect/x', None), ('/master/version', None), ('/master/files/debug', None),
    ('/master/metrics/snapshot', None), ('/metrics', None), ('/files', None), ('/state.json', None),
    ('/slave(1)/api/v1', None)])
def test_path_of_a_master(path, kind):
    found = Router(MASTER, 'master').find(path)
    assert (found and found[0].kind) == kind


@pytest.mark.parametrize('path', [
    'state', 'state-summary', 'slaves', 'frameworks', 'tasks', 'roles', 'weights', 'quota', 'teardown', 'reserve',
    'unreserve', 'create-volumes', 'destroy-volumes', 'maintenance/schedule', 'maintenance/status', 'machine/up',
    'machine/down'])
def test_path_without_a_version_is_found_with_and_without_the_name_of_the_process(path):
    router = Router(MASTER, 'master')
    for prefix in ('/', '/master/'):
        route, rest = router.find(prefix + path)
        assert (route.kind, route.path, rest) == ('legacy', '/' + path, '/' + path)


@pytest.mark.parametrize('path, kind', [
    ('/api/v1/executor', 'executor'), ('/slave(1)/api/v1/executor', 'executor'),
    ('/slave%281%29/api/v1/executor', 'executor'), ('/api/v1', 'operator'), ('/slave(1)/api/v1', 'operator'),
    ('/api/v1/resource_provider', 'provider'), ('/health', 'health'), ('/slave(1)/health', 'health'),
    ('/state', 'legacy'), ('/slave(1)/state', 'legacy'), ('/flags', 'legacy'), ('/monitor/statistics', 'legacy'),
    ('/containers', 'legacy'), ('/containerizer/debug', 'legacy'), ('/version', 'version'),
    ('/metrics/snapshot', 'metrics'),
    ('/slave(2)/api/v1', None), ('/slave(1)', None), ('/slave(1)/', None), ('/slave(1)/version', None),
    ('/slaves', None), ('/redirect', None), ('/tasks', None), ('/monitor/statistics.json', None)])
def test_path_of_an_agent(path, kind):
    found = Router(AGENT, 'slave(1)').find(path)
    assert (found and found[0].kind) == kind


def test_second_agent_goes_by_its_own_name():
    router = Router(AGENT, 'slave(2)')
    assert router.find('/slave(2)/api/v1/executor')[0].kind == 'executor'
    assert router.find('/slave(1)/api/v1/executor') is None


@pytest.mark.parametrize('target, expected', [
    ('/a/b?c=d', ('/a/b', 'c=d')), ('/a#x', ('/a', '')), ('http://host:5050/api/v1?x', ('/api/v1', 'x')),
    ('http://host', ('/', '')), ('*', None), ('api/v1', None), ('http://[bad', None)])
def test_target_is_split(target, expected):
    assert split_target(target) == expected


def test_last_value_of_a_query_counts():
    assert read_query(b'a=1&b=&a=%C3%A9+x&c') == {'a': u'\xe9 x', 'b': '', 'c': ''}


def test_unknown_path_is_404_whatever_the_method():
    with Serving() as serving:
        for method in ('GET', 'POST', 'DELETE'):
            assert undated(serving.ask(request(method, '/nope'))) == NOT_FOUND


def test_target_that_is_no_path_is_400():
    with Serving() as serving:
        assert undated(serving.ask(request('OPTIONS', '*'))).endswith(b"\r\n\r\nRequest URL path must start with '/'")


def test_absolute_target_is_taken():
    with Serving() as serving:
        assert serving.ask(request('GET', 'http://example.com/health')).startswith(b'HTTP/1.1 200 OK\r\n')


@pytest.mark.parametrize('path', ['/api/v1', '/master/api/v1', '/api/v1/operator'])
def test_operator_call_reaches_the_model(path):
    with Serving() as serving:
        serving.model.replies['GET_HEALTH'] = Reply(200, {'type': 'GET_HEALTH'})
        assert undated(serving.ask(call(path, HEALTH))) == (
            b'HTTP/1.1 200 OK\r\nDate: X\r\nContent-Type: application/json\r\nContent-Length: 21\r\n\r\n' + HEALTH)
        assert serving.model.calls == [('operator', ({'type': 'GET_HEALTH'}, None))]
        assert serving.node.settled


def test_scheduler_call_reaches_the_model_with_its_stream_id():
    with Serving() as serving:
        body = b'{"type":"SUPPRESS","framework_id":{"value":"f"}}'
        answer = serving.ask(call('/api/v1/scheduler', body, [('mesos-stream-id', 'abc')]))
        assert undated(answer) == b'HTTP/1.1 202 Accepted\r\nDate: X\r\nContent-Length: 0\r\n\r\n'
        serving.ask(call('/api/v1/scheduler', body))
        assert serving.model.calls == [('scheduler', (json.loads(body.decode()), None, stream_id))
                                       for stream_id in ('abc', None)]


@pytest.mark.parametrize('path', ['/api/v1/executor', '/slave(1)/api/v1/executor', '/slave%281%29/api/v1/executor'])
def test_executor_call_reaches_the_model(path):
    with Serving('agent') as serving:
        body = b'{"type":"HEARTBEAT","framework_id":{"value":"f"},"executor_id":{"value":"e"}}'
        assert serving.ask(call(path, body)).startswith(b'HTTP/1.1 202 Accepted\r\n')
        assert serving.model.calls == [('executor', (json.loads(body.decode()), None))]


def test_agents_operator_call_reaches_the_model():
    with Serving('agent') as serving:
        assert serving.ask(call('/slave(1)/api/v1', HEALTH)).startswith(b'HTTP/1.1 202')
        assert serving.model.calls == [('operator', ({'type': 'GET_HEALTH'}, None))]


def test_endpoint_without_a_version_reaches_the_model_with_query_method_and_form():
    with Serving() as serving:
        serving.model.replies['/teardown'] = Reply(200)
        serving.model.replies['/quota'] = serving.model.replies['/quota/eng'] = Reply(200)
        serving.ask(request('POST', '/teardown?x=1', body=b'frameworkId=a%20b'))
        serving.ask(request('POST', '/master/quota', body=b'{"role":"eng"}'))
        serving.ask(request('DELETE', '/quota/eng'))
        assert serving.model.calls == [
            ('legacy', ('/teardown', {'x': '1'}, None, 'POST', {'frameworkId': 'a b'})),
            ('legacy', ('/quota', {}, None, 'POST', b'{"role":"eng"}')),
            ('legacy', ('/quota/eng', {}, None, 'DELETE', b''))]


def test_endpoint_that_the_model_does_not_have_is_404():
    with Serving() as serving:
        assert undated(serving.ask(request('GET', '/state'))) == NOT_FOUND


def test_json_without_a_version_has_its_headers_in_another_order_and_may_be_wrapped():
    with Serving() as serving:
        serving.model.replies['/slaves'] = Reply(200, {'slaves': []})
        assert undated(serving.ask(request('GET', '/slaves'))) == (
            b'HTTP/1.1 200 OK\r\nDate: X\r\nContent-Length: 13\r\nContent-Type: application/json\r\n\r\n{"slaves":[]}')
        assert undated(serving.ask(request('GET', '/slaves?jsonp=f%28g'))) == (
            b'HTTP/1.1 200 OK\r\nDate: X\r\nContent-Length: 18\r\nContent-Type: text/javascript\r\n\r\n'
            b'f(g({"slaves":[]})')


def test_api_does_not_wrap_its_json():
    with Serving() as serving:
        serving.model.replies['GET_HEALTH'] = Reply(200, {'a': 1})
        assert serving.ask(call('/api/v1?jsonp=f', HEALTH)).endswith(b'\r\n\r\n{"a":1}')


def test_version_health_and_logging_are_answered_without_a_model():
    with Serving() as serving:
        serving.node.model = None
        version = serving.ask(request('GET', '/version')).split(b'\r\n\r\n')[1]
        assert json.loads(version.decode())['version'] == '1.11.0'
        assert undated(serving.ask(request('GET', '/health'))) == (
            b'HTTP/1.1 200 OK\r\nDate: X\r\nContent-Length: 0\r\n\r\n')
        assert serving.ask(request('GET', '/logging/toggle')).endswith(b'\r\n\r\n0\n')
        assert serving.ask(request('GET', '/metrics/snapshot')).endswith(b'\r\n\r\n{}')


@pytest.mark.parametrize('query, status, text', [
    ('level=1', 400, "Expecting 'duration=value' in query.\n"),
    ('duration=1secs', 400, "Expecting 'level=value' in query.\n"),
    ('level=x&duration=1secs', 400, "Failed to convert 'x' to number.\n"),
    ('level=1&duration=x', 400, "Failed to convert '' to number.\n"),
    ('level=-1&duration=1secs', 400, "Invalid level '-1'.\n"), ('level=1&duration=1secs', 200, '')])
def test_logging_level_is_checked(query, status, text):
    with Serving() as serving:
        head, body = serving.ask(request('GET', '/logging/toggle?' + query)).split(b'\r\n\r\n')
        assert (int(head.split()[1]), body.decode()) == (status, text)


def test_help_lists_the_endpoints():
    with Serving('agent') as serving:
        answer = serving.ask(request('GET', '/help'))
        assert b'Content-Type: text/html\r\n' in answer and b'/slave(1)/api/v1/executor' in answer
        answer = serving.ask(request('GET', '/help?format=json'))
        assert '/slave(1)/state' in json.loads(answer.split(b'\r\n\r\n')[1].decode())['endpoints']


# ---- files

FILES = [
    ('/files/browse', b'400 Bad Request', b"Expecting 'path=value' in query.\n"),
    ('/files/browse?path=/nope', b'404 Not Found', b''),
    ('/files/read?path=/nope', b'404 Not Found', b''),
    ('/files/download?path=/nope', b'404 Not Found', b'404 Not Found.'),
    ('/files/read?path=/logs', b'400 Bad Request', b'Cannot read a directory.\n'),
    ('/files/download?path=/logs', b'400 Bad Request', b'Cannot download a directory.\n'),
    ('/files/read?path=/logs/stderr&offset=x', b'400 Bad Request',
     b"Failed to parse offset: Failed to convert 'x' to number.\n"),
    ('/files/read?path=/logs/stderr&offset=-3', b'400 Bad Request', b'Negative offset provided: -3.\n'),
    ('/files/read?path=/logs/stderr&length=-3', b'400 Bad Request', b'Negative length provided: -3.\n'),
]


@pytest.mark.parametrize('path, status, text', FILES)
def test_file_that_cannot_be_served_is_refused_in_plain_text(path, status, text):
    with Serving() as serving:
        assert undated(serving.ask(request('GET', path))) == (
            b'HTTP/1.1 %s\r\nDate: X\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n\r\n%s'
            % (status, len(text), text))


@pytest.mark.parametrize('path, body', [
    ('/files/debug', b'{"/logs":"/var/log"}'),
    ('/files/browse?path=/logs', b'[{"gid":"root","mode":"-rw-r--r--","mtime":1795329148.0,"nlink":1,'
                                 b'"path":"/logs/stderr","size":15,"uid":"root"}]'),
    ('/files/read?path=/logs/stderr', b'{"data":"","offset":15}'),
    ('/files/read?path=/logs/stderr&offset=-1', b'{"data":"","offset":15}'),
    ('/files/read?path=/logs/stderr&offset=0', b'{"data":"this is stderr\\n","offset":0}'),
    ('/files/read?path=/logs/stderr&offset=5&length=2', b'{"data":"is","offset":5}')])
def test_files_are_shown(path, body):
    with Serving('agent') as serving:
        assert undated(serving.ask(request('GET', path))) == (
            b'HTTP/1.1 200 OK\r\nDate: X\r\nContent-Length: %d\r\nContent-Type: application/json\r\n\r\n%s'
            % (len(body), body))


def test_file_is_downloaded():
    with Serving() as serving:
        assert undated(serving.ask(request('GET', '/files/download?path=/logs/stderr'))) == (
            b'HTTP/1.1 200 OK\r\nDate: X\r\nContent-Length: 15\r\nContent-Disposition: attachment; filename=stderr\r\n'
            b'Content-Type: application/octet-stream\r\n\r\nthis is stderr\n')


@pytest.mark.parametrize('kind', ['master', 'agent'])
def test_files_are_served_by_the_operator_api(kind):
    with Serving(kind) as serving:
        answer = serving.ask(call('/api/v1', b'{"type":"LIST_FILES","list_files":{"path":"/logs"}}'))
        info = {'path': '/logs/stderr', 'nlink': 1, 'size': 15, 'mtime': {'nanoseconds': 1795329148000000000},
                'mode': 33188, 'uid': 'root', 'gid': 'root'}
        assert json.loads(answer.split(b'\r\n\r\n')[1].decode()) == {
            'type': 'LIST_FILES', 'list_files': {'file_infos': [info]}}
        for more, data in (('', 'dGhpcyBpcyBzdGRlcnIK'), (',"length":4', 'dGhpcw==')):
            body = '{"type":"READ_FILE","read_file":{"path":"/logs/stderr","offset":0%s}}' % more
            answer = serving.ask(call('/api/v1', body.encode()))
            assert json.loads(answer.split(b'\r\n\r\n')[1].decode()) == {
                'type': 'READ_FILE', 'read_file': {'size': 15, 'data': data}}
        answer = serving.ask(call('/api/v1', b'{"type":"READ_FILE","read_file":{"path":"/nope","offset":0}}'))
        assert undated(answer) == (b'HTTP/1.1 404 Not Found\r\nDate: X\r\nContent-Type: text/plain; charset=utf-8\r\n'
                                   b'Content-Length: 0\r\n\r\n')
        assert serving.model.calls == []


def test_methods_do_not_matter_without_a_version():
    with Serving() as serving:
        serving.model.replies['/state'] = Reply(200, {'id': 'x'})
        answers = [undated(serving.ask(request(method, '/state', JSON))) for method in ('GET', 'POST', 'PUT', 'HEAD')]
        assert len(set(answers)) == 1 and answers[0].endswith(b'{"id":"x"}')

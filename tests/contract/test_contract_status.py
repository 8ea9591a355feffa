"""The status codes of the APIs, and what is looked at first (PROTOCOL 1.1, 1.2, 1.5)."""
from __future__ import absolute_import, division, print_function

import gzip
import io
import json

import actors
import pytest
import raw
import targets

row = pytest.mark.row

HTML = {'Accept': 'text/html'}
CHECKED_BOTH = "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'"
TYPES = "Expecting 'Content-Type' of application/json or application/x-protobuf"

HEALTH = {'type': 'GET_HEALTH'}
HEALTHY = {'type': 'GET_HEALTH', 'get_health': {'healthy': True}}


def is_refused(reply, status, text):
    """Whether an answer is a refusal with exactly this text, written as Mesos writes one."""
    assert (reply.status, reply.text) == (status, text)
    assert reply.header('Content-Type') == 'text/plain; charset=utf-8'
    assert reply.header('Content-Length') == str(len(reply.body))
    assert reply.header('Date')
    return True


# ---------------------------------------------------------------- 200 and 202

@row('1.5 200')
def test_subscribe_is_answered_with_200_and_a_chunked_stream(cluster):
    framework = cluster.framework()
    head = framework.stream.head
    assert (head.status, head.reason) == (200, 'OK')
    assert head.header('Transfer-Encoding') == 'chunked' and head.header('Content-Length') is None
    assert head.header('Content-Type') == 'application/json'
    assert head.header('Date')


@row('1.5 200')
def test_operator_call_is_answered_with_200_and_json(cluster):
    reply = cluster.operator('GET_HEALTH')
    assert (reply.status, reply.json()) == (200, HEALTHY)
    assert reply.header('Content-Type') == 'application/json'
    assert reply.header('Content-Length') == str(len(reply.body))


@row('1.5 200')
def test_update_framework_is_answered_with_200_and_nothing(cluster):
    framework = cluster.framework()
    info = dict(framework.info, id={'value': framework.id}, name='renamed')
    reply = framework.call('UPDATE_FRAMEWORK', {'framework_info': info})
    assert (reply.status, reply.body, reply.header('Content-Length')) == (200, b'', '0')


NOBODY = {'value': 'nobody'}
ACCEPTED = {
    'ACCEPT': {'offer_ids': []},
    'DECLINE': {'offer_ids': [NOBODY]},
    'ACCEPT_INVERSE_OFFERS': {'inverse_offer_ids': [NOBODY]},
    'DECLINE_INVERSE_OFFERS': {'inverse_offer_ids': [NOBODY]},
    'REVIVE': None,
    'SUPPRESS': None,
    'KILL': {'task_id': NOBODY},
    'SHUTDOWN': {'executor_id': NOBODY, 'agent_id': NOBODY},
    'ACKNOWLEDGE': {'agent_id': NOBODY, 'task_id': NOBODY, 'uuid': raw.new_uuid()},
    'ACKNOWLEDGE_OPERATION_STATUS': {'agent_id': NOBODY, 'uuid': raw.new_uuid(), 'operation_id': NOBODY},
    'RECONCILE': {'tasks': []},
    'RECONCILE_OPERATIONS': {'operations': []},
    'MESSAGE': {'agent_id': NOBODY, 'executor_id': NOBODY, 'data': ''},
    'REQUEST': {'requests': []},
}


@row('1.5 202')
@pytest.mark.parametrize('kind', sorted(ACCEPTED))
def test_call_is_answered_with_202_and_nothing(cluster, kind):
    framework = cluster.framework()
    reply = framework.call(kind, ACCEPTED[kind])
    assert (reply.status, reply.reason, reply.body) == (202, 'Accepted', b'')
    assert reply.header('Content-Length') == '0' and reply.header('Content-Type') is None


@row('1.5 202')
def test_executor_call_is_answered_with_202_and_nothing(cluster):
    executor = cluster.framework().run_ready()
    for reply in (executor.call('MESSAGE', {'data': 'aGk='}), executor.call('HEARTBEAT'),
                  executor.call('UPDATE', {'status': executor.status(executor.task, 'TASK_RUNNING')})):
        assert (reply.status, reply.body, reply.header('Content-Length')) == (202, b'', '0')


@row('1.5 202')
def test_reservation_by_an_operator_is_answered_with_202(cluster):
    resources = [{'name': 'cpus', 'type': 'SCALAR', 'scalar': {'value': 0.5},
                  'reservations': [{'type': 'DYNAMIC', 'role': 'contract-status'}]}]
    body = {'agent_id': {'value': cluster.agents[0].id}, 'resources': resources}
    for kind in ('RESERVE_RESOURCES', 'UNRESERVE_RESOURCES'):
        reply = cluster.operator(kind, body)
        assert (reply.status, reply.body) == (202, b''), reply


# ---------------------------------------------------------------- 307, 308

@row('1.5 307', '1.5 308')
def test_redirect_leads_to_the_leader_without_a_scheme(cluster):
    for path in ('/redirect', '/master/redirect'):
        reply = cluster.get(path)
        assert (reply.status, reply.body) == (307, b'')
        assert reply.header('Location') == '//' + cluster.master


@row('1.5 307')
def test_nothing_is_redirected_below_redirect(cluster):
    assert is_refused(cluster.get('/redirect/x'), 404, '404 Not Found.')


@row('1.5 307', '1.5 308')
@pytest.mark.local_only('a second master needs ZooKeeper, which start.py does not offer')
@pytest.mark.parametrize('path', [raw.SCHEDULER, raw.OPERATOR, '/master/state', '/tasks?limit=1'])
def test_master_that_does_not_lead_redirects_every_call(own_cluster, path):
    cluster = own_cluster(agents=1, masters=2)
    follower = cluster.target.followers()[0]
    reply = raw.post(follower, path, b'what this is does not matter', {'Content-Type': None})
    assert (reply.status, reply.body) == (307, b'')
    assert reply.header('Location') == '//%s%s' % (cluster.master, path)


@row('1.5 307')
@pytest.mark.local_only('a second master needs ZooKeeper, which start.py does not offer')
def test_master_that_does_not_lead_tells_its_own_health(own_cluster):
    cluster = own_cluster(agents=1, masters=2)
    for path in ('/health', '/flags'):
        assert raw.get(cluster.target.followers()[0], path).status == 200


# ---------------------------------------------------------------- 400

UNREADABLE = [
    ('empty', b'', 'Failed to parse body into JSON: syntax error at line 1 near: '),
    ('cut', b'{"type": ', 'Failed to parse body into JSON: syntax error at line 1 near: '),
    ('array', b'[]', 'Failed to convert JSON into Call protobuf: Expecting a JSON object'),
    ('string', b'"x"', 'Failed to convert JSON into Call protobuf: Expecting a JSON object'),
    ('number for an enum', b'{"type": 5}',
     "Failed to convert JSON into Call protobuf: Not expecting a JSON number for field 'type'"),
]


@row('1.5 400')
@pytest.mark.parametrize('path', [raw.SCHEDULER, raw.OPERATOR, raw.EXECUTOR])
@pytest.mark.parametrize('body, text', [pytest.param(*each[1:], id=each[0]) for each in UNREADABLE])
def test_body_that_is_no_call_is_refused(cluster, path, body, text):
    address = cluster.agents[0].address if path == raw.EXECUTOR else cluster.master
    assert is_refused(raw.post(address, path, body), 400, text)


@row('1.5 400')
@pytest.mark.parametrize('path, name', [(raw.SCHEDULER, 'scheduler::Call'), (raw.OPERATOR, 'master::Call')])
@pytest.mark.parametrize('body', [{}, {'type': 'NOPE'}, {'type': 'decline'}, {'type': None}])
def test_call_without_a_type_that_is_known_is_refused(cluster, path, name, body):
    assert is_refused(raw.post(cluster.master, path, body), 400,
                      "Failed to validate %s: Expecting 'type' to be present" % name)


@row('1.5 400')
@pytest.mark.parametrize('body', [{}, {'type': 'NOPE'}])
def test_agent_refuses_a_call_without_a_type_that_is_known(cluster, body):
    assert is_refused(raw.post(cluster.agents[0].address, raw.OPERATOR, body), 400,
                      "Failed to validate agent::Call: Expecting 'type' to be present")


@row('1.5 400')
def test_missing_content_type_is_refused(cluster):
    for address, path in ((cluster.master, raw.SCHEDULER), (cluster.master, raw.OPERATOR),
                          (cluster.agents[0].address, raw.EXECUTOR), (cluster.agents[0].address, raw.OPERATOR)):
        reply = raw.post(address, path, HEALTH, {'Content-Type': None})
        assert is_refused(reply, 400, "Expecting 'Content-Type' to be present")


@row('1.5 400')
def test_json_that_is_said_to_be_protobuf_is_refused(cluster):
    reply = raw.post(cluster.master, raw.OPERATOR, HEALTH, {'Content-Type': 'application/x-protobuf'})
    assert is_refused(reply, 400, 'Failed to parse body into Call protobuf')


@row('1.5 400')
def test_field_of_another_type_is_refused(cluster):
    framework = cluster.framework()
    reply = framework.call('DECLINE', {'offer_ids': 'x'})
    assert is_refused(reply, 400, "Failed to convert JSON into Call protobuf: "
                                  "Not expecting a JSON string for field 'offer_ids'")


@row('1.5 400')
def test_missing_required_field_is_named(cluster):
    call = {'type': 'SUBSCRIBE', 'subscribe': {'framework_info': {'name': 'x'}}}
    reply = raw.post(cluster.master, raw.SCHEDULER, call)
    assert is_refused(reply, 400, 'Failed to convert JSON into Call protobuf: '
                                  'Missing required fields: subscribe.framework_info.user')


@row('1.5 400')
def test_bytes_that_are_not_base64_are_refused(cluster):
    reply = cluster.framework().call('MESSAGE', dict(ACCEPTED['MESSAGE'], data='!!!'))
    assert is_refused(reply, 400, "Failed to convert JSON into Call protobuf: "
                                  "Failed to base64 decode bytes field 'data': Invalid character '!'")


@row('1.5 400')
@pytest.mark.parametrize('kind', ['ACCEPT', 'DECLINE', 'KILL', 'SHUTDOWN', 'ACKNOWLEDGE', 'RECONCILE', 'MESSAGE',
                                  'REQUEST', 'ACCEPT_INVERSE_OFFERS', 'DECLINE_INVERSE_OFFERS', 'UPDATE_FRAMEWORK',
                                  'RECONCILE_OPERATIONS', 'ACKNOWLEDGE_OPERATION_STATUS'])
def test_call_without_its_field_is_refused(cluster, kind):
    reply = cluster.framework().call(kind)
    assert is_refused(reply, 400, "Failed to validate scheduler::Call: Expecting '%s' to be present" % kind.lower())


@row('1.5 400')
def test_call_without_a_framework_id_is_refused(cluster):
    framework = cluster.framework()
    assert is_refused(framework.post({'type': 'REVIVE'}), 400,
                      "Failed to validate scheduler::Call: Expecting 'framework_id' to be present")


@row('1.5 400')
def test_call_of_a_framework_that_there_is_not_is_refused(cluster):
    framework = cluster.framework()
    reply = framework.post({'type': 'REVIVE', 'framework_id': {'value': 'nope'}})
    assert is_refused(reply, 400, 'Framework cannot be found')


@row('1.5 400')
def test_call_without_the_stream_id_is_refused(cluster):
    reply = cluster.framework().call('REVIVE', headers={'Mesos-Stream-Id': None})
    assert is_refused(reply, 400, "All non-subscribe calls should include the 'Mesos-Stream-Id' header")


@row('1.5 400')
@pytest.mark.parametrize('stream_id', ['nope', '11111111-2222-4333-8444-555555555555'])
def test_call_with_another_stream_id_is_refused(cluster, stream_id):
    framework = cluster.framework()
    reply = framework.call('REVIVE', headers={'Mesos-Stream-Id': stream_id})
    assert is_refused(reply, 400, "The stream ID '%s' included in this request didn't match the stream ID currently "
                                  "associated with framework ID %s" % (stream_id, framework.id))


@row('1.5 400')
def test_executor_call_for_a_framework_or_executor_that_there_is_not_is_refused(cluster):
    executor = cluster.framework().run()
    for field, text in (('framework_id', 'Framework cannot be found'), ('executor_id', 'Executor cannot be found')):
        call = dict(executor.envelope('MESSAGE', {'data': ''}), **{field: {'value': 'nope'}})
        assert is_refused(raw.post(executor.address, raw.EXECUTOR, call), 400, text)


# ---------------------------------------------------------------- 401, 403

@pytest.fixture(scope='module')
def guarded(target_name):
    """A cluster that wants the credentials user:secret from everybody."""
    with targets.make(target_name, agents=1, auth='user:secret') as target:
        yield actors.Cluster(target)


BAD_CREDENTIALS = [
    ('none', {}),
    ('wrong secret', raw.credentials('user:wrong')),
    ('unknown principal', raw.credentials('nobody:secret')),
    ('nonsense', {'Authorization': 'nonsense'}),
    ('lower-case scheme', {'Authorization': raw.credentials('user:secret')['Authorization'].replace('Basic', 'basic')}),
    ('a colon too many', raw.credentials('user:secret:')),
    ('bearer', {'Authorization': 'Bearer x'}),
]


@row('1.5 401')
@pytest.mark.parametrize('headers', [pytest.param(each[1], id=each[0]) for each in BAD_CREDENTIALS])
def test_wrong_credentials_are_answered_with_401(guarded, headers):
    agent = guarded.agents[0].address
    for address, path, realm in ((guarded.master, raw.SCHEDULER, 'mesos-master-scheduler'),
                                 (guarded.master, raw.OPERATOR, 'mesos-master-readwrite'),
                                 (agent, raw.OPERATOR, 'mesos-agent-readwrite')):
        reply = raw.post(address, path, b'not looked at', headers)
        assert is_refused(reply, 401, '401 Unauthorized.')
        # Agents that give their executors tokens offer Bearer besides.
        assert reply.header('WWW-Authenticate').split(', ')[0] == 'Basic realm="%s"' % realm


@row('1.5 401')
def test_right_credentials_are_let_in(guarded):
    framework = guarded.framework()
    framework.do('REVIVE')
    assert guarded.operator('GET_HEALTH', agent=guarded.agents[0].address).json() == HEALTHY
    guarded.close()


@row('1.5 401')
@pytest.mark.parametrize('path, is_open', [('/health', True), ('/version', True), ('/redirect', True),
                                           ('/state', False), ('/slaves', False), ('/metrics/snapshot', False)])
def test_only_harmless_endpoints_are_open_to_everybody(guarded, path, is_open):
    reply = raw.get(guarded.master, path)
    assert (reply.status == 401) != is_open


@row('1.5 400')
def test_principal_of_another_is_refused(guarded):
    call = {'type': 'SUBSCRIBE', 'subscribe': {
        'framework_info': {'user': 'root', 'name': 'x', 'principal': 'other'}}}
    reply = raw.post(guarded.master, raw.SCHEDULER, call, guarded.target.authorization)
    assert is_refused(reply, 400, "Failed to validate scheduler::Call: Authenticated principal 'user' does not match "
                                  "principal 'other' set in `FrameworkInfo`")


@row('1.5 403')
def test_call_of_a_framework_that_is_disconnected_is_forbidden(cluster):
    framework = cluster.framework(failover_timeout=3600.0)
    framework.disconnect()
    assert is_refused(framework.call('REVIVE'), 403, 'Framework is not subscribed')


@row('1.5 403')
def test_executor_call_before_its_subscription_is_forbidden(cluster):
    executor = cluster.framework().run()
    assert is_refused(executor.call('MESSAGE', {'data': ''}), 403, 'Executor is not subscribed')


# ---------------------------------------------------------------- 404, 405, 406, 415

@row('1.5 404')
@pytest.mark.parametrize('path', ['/nope', '/master/nope', '/api', '/api/v2'])
def test_path_without_a_route_is_not_found(cluster, path):
    assert is_refused(cluster.get(path), 404, '404 Not Found.')


@row('1.5 404')
def test_what_an_operator_asks_for_and_is_not_there_is_not_found(cluster):
    agent = cluster.agents[0].address
    for kind, body, address in (
            ('READ_FILE', {'path': '/no/such', 'offset': 0}, agent), ('LIST_FILES', {'path': '/no/such'}, agent),
            ('WAIT_CONTAINER', {'container_id': {'value': 'nope'}}, agent),
            ('KILL_CONTAINER', {'container_id': {'value': 'nope'}}, agent),
            ('MARK_AGENT_GONE', {'agent_id': {'value': 'nope'}}, None)):
        assert cluster.operator(kind, body, address).status == 404, kind


@row('1.5 405')
@pytest.mark.parametrize('method', ['GET', 'PUT', 'DELETE', 'HEAD', 'OPTIONS'])
def test_other_method_than_post_is_not_allowed(cluster, method):
    agent = cluster.agents[0].address
    for address, path in ((cluster.master, raw.SCHEDULER), (cluster.master, raw.OPERATOR),
                          (agent, raw.EXECUTOR), (agent, raw.OPERATOR)):
        reply = raw.post(address, path, b'', {'Content-Type': None}, method=method)
        assert reply.status == 405 and reply.header('Allow') == 'POST'
        if method != 'HEAD':
            assert is_refused(reply, 405, "405 Method Not Allowed. Expecting one of { 'POST' }, but received '%s'."
                              % method)


@row('1.5 406')
@pytest.mark.parametrize('accept', ['text/html', 'application/recordio', 'application/json;q=0'])
def test_subscribe_that_accepts_no_format_is_not_acceptable(cluster, accept):
    call = {'type': 'SUBSCRIBE', 'subscribe': {'framework_info': {'user': 'root', 'name': 'x'}}}
    reply = raw.post(cluster.master, raw.SCHEDULER, call, {'Accept': accept})
    assert is_refused(reply, 406, CHECKED_BOTH)


@row('1.5 406')
def test_operator_call_that_accepts_no_format_is_not_acceptable(cluster):
    assert is_refused(raw.post(cluster.master, raw.OPERATOR, HEALTH, HTML), 406, CHECKED_BOTH)


@row('1.5 406')
@pytest.mark.parametrize('accept', [None, '*/*', 'application/*', 'text/html, application/json', 'application/json'])
def test_json_is_sent_to_whoever_accepts_it(cluster, accept):
    reply = raw.post(cluster.master, raw.OPERATOR, HEALTH, {'Accept': accept})
    assert (reply.status, reply.json()) == (200, HEALTHY)


@row('1.5 406')
def test_other_scheduler_calls_do_not_look_at_accept(cluster):
    assert cluster.framework().call('REVIVE', headers=HTML).status == 202


@row('1.5 415')
@pytest.mark.parametrize('content_type', ['text/plain', 'application/json; charset=utf-8', 'APPLICATION/JSON',
                                          'application/recordio'])
def test_other_content_types_are_not_supported(cluster, content_type):
    for path in (raw.SCHEDULER, raw.OPERATOR):
        reply = raw.post(cluster.master, path, HEALTH, {'Content-Type': content_type})
        assert is_refused(reply, 415, TYPES)


# ---------------------------------------------------------------- 409, 500, 501, 503

@row('1.5 409')
def test_reservation_of_more_than_there_is_is_a_conflict(cluster):
    resources = [{'name': 'cpus', 'type': 'SCALAR', 'scalar': {'value': 1000},
                  'reservations': [{'type': 'DYNAMIC', 'role': 'contract-status'}]}]
    reply = cluster.operator('RESERVE_RESOURCES', {'agent_id': {'value': cluster.agents[0].id},
                                                   'resources': resources})
    assert reply.status == 409


@row('1.5 500')
def test_removal_of_a_container_that_runs_fails_inside(cluster):
    executor = cluster.framework().run_ready()
    container = {'value': 'nested', 'parent': executor.container()['container_id']}
    launch = {'container_id': container, 'command': {'value': 'exec sleep 600'}}
    assert cluster.operator('LAUNCH_CONTAINER', launch, executor.address).status == 200
    reply = cluster.operator('REMOVE_CONTAINER', {'container_id': container}, executor.address)
    assert reply.status == 500 and reply.body


@row('1.5 501')
def test_operator_call_of_the_type_unknown_is_not_implemented(cluster):
    assert is_refused(raw.post(cluster.master, raw.OPERATOR, {'type': 'UNKNOWN'}), 501, '501 Not Implemented.')


@row('1.5 501', '2.1 UNKNOWN')
@pytest.mark.local_only('a real 1.11.0 master dies of it, by a CHECK that fails')
def test_scheduler_call_of_the_type_unknown_is_not_implemented(cluster):
    framework = cluster.framework()
    assert is_refused(framework.call('UNKNOWN'), 501, '501 Not Implemented.')
    framework.fence()


@row('1.5 503')
def test_executor_call_to_an_agent_that_recovers_is_put_off(own_cluster):
    cluster = own_cluster(agents=1, executor_reregistration_timeout=15)
    framework = cluster.framework(checkpoint=True)
    executor = framework.run_ready()
    cluster.target.kill_agent(0)
    cluster.target.start_agent(0, is_awaited=False)
    seen = []

    def is_put_off():
        try:
            seen.append(executor.call('MESSAGE', {'data': ''}))
        except (EnvironmentError, AssertionError):      # it does not listen yet
            return False
        return seen[-1].status == 503

    raw.wait_until(is_put_off, 'an agent that recovers')
    assert is_refused(seen[-1], 503, 'Agent has not finished recovery')


# ---------------------------------------------------------------- the order of checks, routes

@row('1.5 405', '1.5 400')
def test_checks_have_their_order(cluster):
    """Method before Content-Type before body before what the call says."""
    post = raw.post
    path = raw.SCHEDULER
    assert post(cluster.master, path, b'{', {'Content-Type': None}, method='PUT').status == 405
    assert post(cluster.master, path, b'{', {'Content-Type': 'text/plain'}).status == 415
    assert post(cluster.master, path, b'{', HTML).status == 400
    assert post(cluster.master, path, {'type': 'SUBSCRIBE'}, HTML).status == 400


@row('1.5 404')
@pytest.mark.parametrize('path', ['/api/v1', '/api/v1/', '/master/api/v1', '/api/v1/operator', '/api/v1/what/ever'])
def test_route_with_the_longest_prefix_is_taken(cluster, path):
    assert raw.post(cluster.master, path, HEALTH).json() == HEALTHY


@row('1.5 404')
@pytest.mark.parametrize('path', ['/slave(1)/api/v1', '/slave%281%29/api/v1', '/api/v1', '/slave(1)/api/v1/'])
def test_agent_has_its_routes_with_and_without_its_name(cluster, path):
    assert raw.post(cluster.agents[0].address, path, HEALTH).json() == HEALTHY


@row('1.5 202')
@pytest.mark.parametrize('path', ['/master/api/v1/scheduler', '/api/v1/scheduler/'])
def test_scheduler_api_has_these_paths_too(cluster, path):
    assert cluster.framework().call('REVIVE', path=path).status == 202


# ---------------------------------------------------------------- HTTP

@row('1.5 200')
def test_requests_in_a_pipeline_are_answered_in_their_order(cluster):
    health = raw.request(cluster.master, raw.OPERATOR, HEALTH)
    version = raw.request(cluster.master, raw.OPERATOR, {'type': 'GET_VERSION'})
    with raw.Connection(cluster.master) as connection:
        connection.send(health + version + health)
        kinds = [connection.reply().json()['type'] for _ in range(3)]
    assert kinds == ['GET_HEALTH', 'GET_VERSION', 'GET_HEALTH']


@row('1.5 200')
def test_connection_is_closed_when_asked_for(cluster):
    data = raw.request(cluster.master, raw.OPERATOR, HEALTH, {'Connection': 'close'})
    with raw.Connection(cluster.master) as connection:
        connection.send(data)
        assert connection.reply().json() == HEALTHY
        assert connection.is_closed_by_peer()


@row('1.5 200')
def test_large_answer_is_compressed_when_asked_for(cluster):
    headers = {'Accept-Encoding': 'gzip'}
    flags = raw.post(cluster.master, raw.OPERATOR, {'type': 'GET_FLAGS'}, headers)
    assert flags.header('Content-Encoding') == 'gzip'
    with gzip.GzipFile(fileobj=io.BytesIO(flags.body)) as stream:
        assert json.loads(stream.read().decode('utf-8'))['type'] == 'GET_FLAGS'
    small = raw.post(cluster.master, raw.OPERATOR, HEALTH, headers)
    assert small.header('Content-Encoding') is None and small.json() == HEALTHY
    assert raw.post(cluster.master, raw.OPERATOR, {'type': 'GET_FLAGS'}).header('Content-Encoding') is None


@row('1.5 200')
def test_compressed_request_is_read(cluster):
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode='wb') as stream:
        stream.write(json.dumps(HEALTH).encode('ascii'))
    reply = raw.post(cluster.master, raw.OPERATOR, packed.getvalue(), {'Content-Encoding': 'gzip'})
    assert reply.json() == HEALTHY


@row('1.5 200')
def test_chunked_request_is_read(cluster):
    body = json.dumps(HEALTH).encode('ascii')
    head = raw.request(cluster.master, raw.OPERATOR, b'', {'Transfer-Encoding': 'chunked'})
    head = head.replace(b'Content-Length: 0\r\n', b'')
    chunks = b''.join(b'1\r\n' + body[n:n + 1] + b'\r\n' for n in range(len(body))) + b'0\r\n\r\n'
    assert raw.send(cluster.master, head + chunks).json() == HEALTHY

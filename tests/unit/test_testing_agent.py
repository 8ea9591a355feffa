"""The promises of ScriptedAgent, checked by a client that is not ours."""
from __future__ import absolute_import, division, print_function

import pytest
from api_client import Client, UnixConnection, to

from pymesos.testing import ScriptedAgent

FRAMEWORK_ID = {'value': 'framework-1'}
EXECUTOR_ID = {'value': 'executor-1'}
SUBSCRIBE = {'type': 'SUBSCRIBE', 'framework_id': FRAMEWORK_ID, 'executor_id': EXECUTOR_ID, 'subscribe': {}}
STATUS = {'task_id': {'value': 'task-1'}, 'state': 'TASK_RUNNING', 'source': 'SOURCE_EXECUTOR',
          'uuid': 'hX6XtDeUSTCJ9QAxJM22aQ=='}
ACKNOWLEDGED = {'type': 'ACKNOWLEDGED',
                'acknowledged': {'task_id': STATUS['task_id'], 'uuid': STATUS['uuid']}}


def call_of(call_type, **fields):
    return dict({'type': call_type, 'framework_id': FRAMEWORK_ID, 'executor_id': EXECUTOR_ID}, **fields)


def update_of(**changes):
    status = dict(STATUS, **changes)
    return call_of('UPDATE', update={'status': dict(item for item in status.items() if item[1] is not None)})


@pytest.fixture
def agent():
    with ScriptedAgent(framework_id='framework-1', executor_id='executor-1', agent_id='agent-1') as agent:
        yield agent


@pytest.fixture
def client(agent):
    with to(agent) as client:
        client.PATH = '/slave(1)/api/v1/executor'
        yield client


def test_subscribed_tells_of_executor_framework_agent_and_container(agent, client):
    response = client.subscribe(SUBSCRIBE)
    assert (response.status, response.getheader('Mesos-Stream-Id')) == (200, None)
    subscribed = client.read_event()['subscribed']
    assert subscribed['executor_info']['executor_id'] == EXECUTOR_ID
    assert subscribed['executor_info']['framework_id'] == FRAMEWORK_ID
    assert subscribed['framework_info']['id'] == FRAMEWORK_ID
    assert subscribed['agent_info']['id'] == {'value': 'agent-1'}
    assert subscribed['agent_info']['port'] == agent.port
    assert subscribed['container_id'] == {'value': agent.container_id}


@pytest.mark.parametrize('path', ['/api/v1/executor', '/slave%281%29/api/v1/executor'])
def test_other_spellings_of_the_path(agent, client, path):
    assert client.subscribe(SUBSCRIBE, path=path).status == 200


def test_each_update_is_acknowledged(agent, client):
    client.subscribe(SUBSCRIBE)
    client.read_event()
    assert client.call(update_of()) == (202, '')
    assert client.read_event() == ACKNOWLEDGED
    assert agent.await_call('UPDATE').body['update']['status'] == STATUS


def test_updates_replayed_at_subscription_are_acknowledged(agent, client):
    client.subscribe(dict(SUBSCRIBE, subscribe={'unacknowledged_updates': [{'status': STATUS}]}))
    assert client.read_event()['type'] == 'SUBSCRIBED'
    assert client.read_event() == ACKNOWLEDGED


def test_acknowledgements_can_be_switched_off_and_sent_by_hand(agent, client):
    agent.acknowledges = False
    client.subscribe(SUBSCRIBE)
    client.read_event()
    assert client.call(update_of()) == (202, '')
    agent.send_event({'type': 'SHUTDOWN'})
    agent.acknowledge(STATUS)
    assert [client.read_event() for _ in range(2)] == [{'type': 'SHUTDOWN'}, ACKNOWLEDGED]


def test_messages_and_heartbeats_are_accepted(agent, client):
    assert client.call(call_of('HEARTBEAT', framework_id={'value': 'unused'})) == (202, '')
    client.subscribe(SUBSCRIBE)
    assert client.call(call_of('MESSAGE', message={'data': 'aG9sZA=='})) == (202, '')


@pytest.mark.parametrize('body, status, text', [
    (update_of(uuid=None), 400, "Failed to validate Executor::Call: Expecting 'uuid' to be present"),
    (update_of(source=None), 400,
     'Failed to validate Executor::Call: Received Call from executor executor-1 of framework framework-1 with invalid '
     "source, expecting 'SOURCE_EXECUTOR'"),
    (call_of('MESSAGE'), 400, "Failed to validate Executor::Call: Expecting 'message' to be present"),
    (call_of('MESSAGE', message={}, framework_id={'value': 'x'}), 400, 'Framework cannot be found'),
    (call_of('MESSAGE', message={}, executor_id={'value': 'x'}), 400, 'Executor cannot be found'),
    ({'type': 'HEARTBEAT', 'framework_id': FRAMEWORK_ID}, 400,
     'Failed to convert JSON into Call protobuf: Missing required fields: executor_id'),
])
def test_malformed_calls_are_refused_in_the_words_of_mesos(agent, client, body, status, text):
    client.subscribe(SUBSCRIBE)
    assert client.call(body) == (status, text)


def test_calls_before_the_subscription_are_refused(agent, client):
    assert client.call(update_of()) == (403, 'Executor is not subscribed')
    client.subscribe(SUBSCRIBE)
    agent.end_stream()
    assert client.call(update_of()) == (202, '')


def test_a_new_subscription_closes_the_stream_before(agent, client):
    client.subscribe(SUBSCRIBE)
    with to(agent) as other:
        other.subscribe(dict(SUBSCRIBE), path=client.PATH)
        assert client.read_event()['type'] == 'SUBSCRIBED'
        assert client.read_event() is None
        assert other.read_event()['type'] == 'SUBSCRIBED'
    assert len(agent.streams) == 2


def test_heartbeats():
    with ScriptedAgent('framework-1', 'executor-1', heartbeat_interval=0.02) as agent, to(agent) as client:
        client.subscribe(SUBSCRIBE, path='/api/v1/executor')
        assert client.read_event()['type'] == 'SUBSCRIBED'
        assert [client.read_event() for _ in range(3)] == 3 * [{'type': 'HEARTBEAT'}]


def test_token_is_checked_and_handed_over():
    with ScriptedAgent('framework-1', 'executor-1', token='t.o.k') as agent, to(agent) as client:
        response = client.send(SUBSCRIBE, path='/api/v1/executor')
        assert (response.status, response.read()) == (401, b'401 Unauthorized.')
        assert response.getheader('WWW-Authenticate') == 'Bearer realm="mesos-agent-executor"'
        client.headers['Authorization'] = 'Bearer ' + agent.environment()['MESOS_EXECUTOR_AUTHENTICATION_TOKEN']
        assert client.subscribe(SUBSCRIBE, path='/api/v1/executor').status == 200


def test_environment_is_that_of_an_agent(agent):
    netloc = '127.0.0.1:%d' % agent.port
    assert agent.environment(directory='/sandbox') == {
        'LIBPROCESS_PORT': '0', 'MESOS_AGENT_ENDPOINT': netloc, 'MESOS_CHECKPOINT': '0',
        'MESOS_DIRECTORY': '/sandbox', 'MESOS_EXECUTOR_ID': 'executor-1',
        'MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD': '5secs', 'MESOS_FRAMEWORK_ID': 'framework-1',
        'MESOS_HTTP_COMMAND_EXECUTOR': '0', 'MESOS_LOCAL': '1', 'MESOS_SANDBOX': '/sandbox',
        'MESOS_SLAVE_ID': 'agent-1', 'MESOS_SLAVE_PID': 'slave(1)@' + netloc}
    variables = agent.environment(checkpoint=True, in_process=False)
    assert (variables['MESOS_CHECKPOINT'], variables['MESOS_RECOVERY_TIMEOUT']) == ('1', '15mins')
    assert variables['MESOS_SUBSCRIPTION_BACKOFF_MAX'] == '2secs'
    assert 'MESOS_LOCAL' not in variables


def test_domain_socket(tmpdir):
    path = str(tmpdir.join('agent.sock'))
    with ScriptedAgent('framework-1', 'executor-1', unix_path=path) as agent:
        assert agent.environment()['MESOS_DOMAIN_SOCKET'] == path
        with Client(lambda: UnixConnection(path)) as client:
            assert client.subscribe(SUBSCRIBE, path='/slave(1)/api/v1/executor').status == 200

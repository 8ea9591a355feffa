"""What the real Mesos cannot do here: TLS, and the tokens of executors (PROTOCOL 1.5, 7)."""
from __future__ import absolute_import, division, print_function

import json
import ssl

import actors
import pytest
import raw
import targets
from actors import raw_executor_command, unwrap

row = pytest.mark.row

NO_TLS = 'OpenSSL is stubbed out in the real one here: neither TLS nor tokens'


@pytest.fixture
def tls_contexts(certificate_files):
    """(of the servers, of their clients)"""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if hasattr(ssl, 'PROTOCOL_TLS_SERVER') else ssl.PROTOCOL_SSLv23)
    server.load_cert_chain(certificate_files.cert_file, certificate_files.key_file)
    return server, ssl.create_default_context(cafile=certificate_files.ca_file)


@pytest.mark.local_only(NO_TLS)
def test_all_is_spoken_over_tls(target_name, tls_contexts):
    server, client = tls_contexts
    with targets.make(target_name, agents=1, ssl_context=server) as target:
        cluster = actors.Cluster(target)
        for address in (target.master, target.agents[0].address):
            reply = raw.send(address, raw.request(address, raw.OPERATOR, {'type': 'GET_HEALTH'}), context=client)
            assert reply.json()['get_health'] == {'healthy': True}
        call = {'type': 'SUBSCRIBE', 'subscribe': {'framework_info': {'user': 'root', 'name': 'x'}}}
        stream = raw.Stream(target.master, raw.request(target.master, raw.SCHEDULER, call), client)
        cluster.streams.append(stream)
        stream.wait('SUBSCRIBED')
        assert stream.wait('OFFERS')['offers'][0]['url']['scheme'] == 'http'    # as the real one says with TLS, too
        cluster.close()


@pytest.fixture
def guarded(own_cluster):
    """A cluster that wants credentials of everybody, and tokens of executors; its framework."""
    cluster = own_cluster(agents=1, auth='user:secret')
    return cluster, cluster.framework()


def launch(framework):
    """(task, ExecutorInfo) of a task that runs on raw_executor.py."""
    offer = framework.offer()
    info = framework.executor_info(command=raw_executor_command())
    task = framework.task(offer, executor=info)
    framework.launch(offer, task)
    framework.expect(task, 'TASK_STARTING', 'TASK_RUNNING')
    return task, info


def token_of(framework, task, info):
    """What an executor finds in its environment."""
    framework.do('MESSAGE', {'agent_id': task['agent_id'], 'executor_id': info['executor_id'],
                             'data': raw.encode(json.dumps({'do': 'environment'}))})
    payload = framework.stream.wait('MESSAGE', lambda each: (
        each['executor_id'] == info['executor_id'] and each['data'] != raw.encode('from the executor')))
    return unwrap(payload['data'])['environ']['MESOS_EXECUTOR_AUTHENTICATION_TOKEN']


@row('1.5 401', '3.1 SUBSCRIBE')
@pytest.mark.local_only(NO_TLS)
@pytest.mark.parametrize('headers', [{}, {'Authorization': 'Bearer a.b.c'}], ids=['none', 'nonsense'])
def test_executor_without_its_token_is_not_let_in(guarded, headers):
    cluster, framework = guarded
    _task, info = launch(framework)
    call = {'type': 'MESSAGE', 'framework_id': {'value': framework.id}, 'executor_id': info['executor_id'],
            'message': {'data': ''}}
    reply = raw.post(cluster.agents[0].address, raw.EXECUTOR, call, headers)
    assert reply.status == 401
    assert reply.header('WWW-Authenticate').startswith('Bearer realm="mesos-agent-executor"')


@row('1.5 403', '3.1 MESSAGE')
@pytest.mark.local_only(NO_TLS)
def test_executor_cannot_speak_for_another(guarded):
    cluster, framework = guarded
    task, info = launch(framework)
    _other_task, other = launch(framework)
    headers = {'Authorization': 'Bearer ' + token_of(framework, task, info)}
    statuses = []
    for executor_id in (info['executor_id'], other['executor_id']):
        call = {'type': 'MESSAGE', 'framework_id': {'value': framework.id}, 'executor_id': executor_id,
                'message': {'data': ''}}
        statuses.append(raw.post(cluster.agents[0].address, raw.EXECUTOR, call, headers).status)
    assert statuses == [202, 403]

"""The operator's driver where a real ZooKeeper names the leader.

Set PYMESOS_NO_ZOOKEEPER=1 where it cannot run: these tests are skipped then. Without that they fail.
"""
from __future__ import absolute_import, division, print_function

import json
import os

import pytest
from kazoo.client import KazooClient
from zookeeper_server import ZooKeeperMissing, ZooKeeperServer, class_path

from pymesos.errors import TimedOut
from pymesos.operator_v1 import MesosOperatorMasterDriver
from pymesos.testing import Answer, ScriptedMaster, wait_until
from pymesos.testing.stream import chunked, record

pytestmark = pytest.mark.zookeeper


@pytest.fixture(scope='module')
def zookeeper():
    if os.environ.get('PYMESOS_NO_ZOOKEEPER') == '1':
        pytest.skip('PYMESOS_NO_ZOOKEEPER=1: ZooKeeper is not to be used')
    try:
        class_path()
    except ZooKeeperMissing as missing:
        pytest.fail(str(missing), pytrace=False)
    with ZooKeeperServer() as server:
        yield server


@pytest.fixture
def elect(zookeeper):
    """``elect(port)``: a master at that port leads, and no other."""
    client = KazooClient(hosts=zookeeper.hosts, timeout=10.0)
    client.start(timeout=60)
    client.ensure_path('/mesos')

    def elect(port):
        for name in client.get_children('/mesos'):
            client.delete('/mesos/' + name)
        if port is not None:
            info = {'address': {'hostname': 'm', 'ip': '127.0.0.1', 'port': port}, 'port': port}
            client.create('/mesos/json.info_', json.dumps(info).encode(), sequence=True)

    yield elect
    elect(None)
    client.stop()
    client.close()


def answer(request):
    """What a master would say to the operator calls of these tests."""
    if json.loads(request.body.decode())['type'] == 'SUBSCRIBE':
        event = {'type': 'SUBSCRIBED', 'subscribed': {'get_state': {}, 'heartbeat_interval_seconds': 15.0}}
        data = chunked(record(json.dumps(event).encode()))
        return Answer(200, headers=[('Content-Type', 'application/json')], opened=lambda peer: peer.write(data))
    return Answer(200, json.dumps({'type': 'GET_MASTER', 'port': request.connection.server.port}))


@pytest.fixture
def masters():
    with ScriptedMaster() as first, ScriptedMaster() as second:
        for master in (first, second):
            master.on_path('/api/v1', answer)
        yield first, second


def test_calls_find_the_leader_and_the_next(zookeeper, elect, masters):
    first, second = masters
    elect(first.port)
    driver = MesosOperatorMasterDriver('zk://%s/mesos' % zookeeper.hosts)
    assert driver.getMaster()['port'] == first.port
    assert driver.getMaster()['port'] == first.port
    assert first.connections == 1
    first.stop()
    elect(second.port)
    assert driver.getMaster()['port'] == second.port
    driver.close()


def test_call_without_a_leader_ends_in_time(zookeeper, elect):
    driver = MesosOperatorMasterDriver('zk://%s/mesos' % zookeeper.hosts, http_timeout=2)
    elect(None)
    with pytest.raises(TimedOut) as caught:
        driver.getMaster()
    assert 'found no leading master at zk://%s/mesos within 2 seconds' % zookeeper.hosts == str(caught.value)


def test_subscription_follows_the_leader_and_calls_follow_it(zookeeper, elect, masters):
    first, second = masters
    elect(first.port)
    driver = MesosOperatorMasterDriver('zk://%s/mesos' % zookeeper.hosts)
    driver.start()
    wait_until(lambda: driver.connected, message='the subscription')
    assert driver.getMaster()['port'] == first.port
    elect(second.port)
    wait_until(lambda: driver.connected and driver.master == second.netloc, 60, 'the subscription at the next leader')
    assert driver.getMaster()['port'] == second.port
    driver.stop()
    driver.join()

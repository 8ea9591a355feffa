"""The detector on a real ZooKeeper.

Set PYMESOS_NO_ZOOKEEPER=1 where it cannot run: these tests are skipped then. Without that they fail.
"""
from __future__ import absolute_import, division, print_function

import json
import logging
import os
import subprocess
import sys
import textwrap
import threading
import time

import pytest
from kazoo.client import KazooClient
from kazoo.security import OPEN_ACL_UNSAFE, make_digest_acl
from recorders import scheduling
from zookeeper_server import ZooKeeperMissing, ZooKeeperServer, class_path

from pymesos import zookeeper
from pymesos.detector import detect
from pymesos.testing import FaultProxy, ScriptedMaster, wait_until
from pymesos.utils import Address

pytestmark = pytest.mark.zookeeper

#: Seconds of a session in tests that wait for its end. The server grants between 1 and 10.
SHORT_SESSION = 4.0

#: Seconds that what does not wait may take, for a busy machine. To wait for a session's end takes longer.
AT_ONCE = 8.0

SECRET = 'sw0rdf1sh/@:'


class Heard(object):
    """A listener that remembers."""

    def __init__(self):
        self.all = []

    def __call__(self, candidates):
        self.all.append(candidates)

    @property
    def last(self):
        return self.all[-1] if self.all else None

    def wait_for(self, *candidates):
        wait_until(lambda: self.last == candidates, 60, lambda: '%r, heard %r' % (candidates, self.all))


class Tree(object):
    """What masters do in ZooKeeper."""

    def __init__(self, hosts):
        self.client = KazooClient(hosts=hosts, timeout=10.0, connection_retry={'max_tries': -1, 'max_delay': 1.0},
                                  command_retry={'max_tries': 30, 'max_delay': 1.0})
        self.client.start(timeout=60)

    def close(self):
        self.client.stop()
        self.client.close()

    def add(self, path, port, acl=None, name='json.info_', ip='10.0.0.1'):
        """A master comes; its node's path. It is not ephemeral, so that it outlives the server in tests."""
        return self.client.retry(self.client.create, path + '/' + name, master_info(port, ip), acl=acl, sequence=True,
                                 makepath=True)

    def remove(self, node):
        self.client.retry(self.client.delete, node)


def master_info(port, ip='10.0.0.1', hostname='master.example'):
    return json.dumps({'address': {'hostname': hostname, 'ip': ip, 'port': port}, 'hostname': hostname,
                       'id': 'b1946ac9', 'ip': 16777226, 'pid': 'master@10.0.0.1:%d' % port, 'port': port,
                       'version': '1.11.0'}).encode('ascii')


def at(port, host='10.0.0.1', scheme='http'):
    return Address(scheme, host, port, None)


def fail_or_skip():
    if os.environ.get('PYMESOS_NO_ZOOKEEPER') == '1':
        pytest.skip('PYMESOS_NO_ZOOKEEPER=1: no ZooKeeper server is to be used')
    try:
        class_path()
    except ZooKeeperMissing as missing:
        pytest.fail(str(missing), pytrace=False)


@pytest.fixture(scope='module')
def shared_server():
    fail_or_skip()
    with ZooKeeperServer() as server:
        yield server


@pytest.fixture
def own_server():
    """A server to break."""
    fail_or_skip()
    with ZooKeeperServer() as server:
        yield server


@pytest.fixture
def make_tree():
    trees = []

    def make(server):
        trees.append(Tree(server.hosts))
        return trees[-1]

    yield make
    for tree in trees:
        tree.close()


@pytest.fixture
def tree(make_tree, shared_server):
    return make_tree(shared_server)


@pytest.fixture
def path(request):
    return '/' + request.node.name.replace('[', '-').strip(']')


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture
def watch(heard):
    """Makes and starts detectors whose listener is `heard`, and stops them."""
    detectors = []

    def make(uri, *args):
        detector = detect(uri, heard, *args)
        detectors.append(detector)
        detector.start()
        return detector

    yield make
    for detector in detectors:
        detector.stop()
    wait_until(lambda: not threads_of_ours(), 60, threads_of_ours)


def threads_of_ours():
    return [thread for thread in threading.enumerate() if thread.name in ('pymesos-detector', 'pymesos-zookeeper')]


@pytest.fixture
def short_session(monkeypatch):
    monkeypatch.setattr(zookeeper, 'SESSION_TIMEOUT', SHORT_SESSION)


@pytest.fixture
def quick_retry(monkeypatch):
    monkeypatch.setattr(zookeeper, 'RETRY_DELAY', 0.2)


def seconds_of(function):
    begin = time.time()
    function()
    return time.time() - begin


# ---- who leads


def test_the_leader_comes_changes_and_goes(shared_server, tree, watch, heard, path):
    first = tree.add(path, 5051)
    watch('zk://%s%s' % (shared_server.hosts, path))
    heard.wait_for(at(5051))
    second = tree.add(path, 5052)
    third = tree.add(path, 5053)
    tree.remove(first)
    heard.wait_for(at(5052))
    tree.remove(third)
    tree.remove(second)
    heard.wait_for()
    tree.add(path, 5054)
    heard.wait_for(at(5054))
    assert heard.all == [(at(5051),), (at(5052),), (), (at(5054),)]


def test_a_path_that_does_not_exist_yet_is_waited_for(shared_server, tree, watch, heard, path, caplog):
    caplog.set_level(logging.DEBUG)
    detector = watch('zoo://%s%s/deep/inside/' % (shared_server.hosts, path))
    wait_until(lambda: 'Zookeeper connection established' in caplog.text)
    tree.client.ensure_path(path)
    tree.client.ensure_path(path + '/deep/inside')
    tree.add(path + '/deep/inside', 5051)
    heard.wait_for(at(5051))
    assert heard.all == [(at(5051),)], 'nobody leads is no news at first'
    tree.client.delete(path, recursive=True)
    heard.wait_for()
    tree.add(path + '/deep/inside', 5052)
    heard.wait_for(at(5052))
    assert 'INFO' in {record.levelname for record in caplog.records if record.name == 'pymesos.detector'}
    assert 'zoo://%s%s/deep/inside/: the leading master is 10.0.0.1:5051' % (shared_server.hosts, path) in caplog.text
    assert 'zoo://%s%s/deep/inside/: there is no leading master' % (shared_server.hosts, path) in caplog.text
    assert repr(detector) == '<ZooKeeperDetector zoo://%s%s/deep/inside/>' % (shared_server.hosts, path)


def test_nodes_of_other_kinds_do_not_lead(shared_server, tree, watch, heard, path):
    tree.client.ensure_path(path + '/log_replicas/0000000000')
    for name in ('info_', 'json.info', 'json.info_x', 'aaa_', ''):
        tree.add(path, 4000, name=name)
    leader = tree.add(path, 5051)
    watch('zk://%s%s' % (shared_server.hosts, path))
    heard.wait_for(at(5051))
    tree.remove(leader)
    heard.wait_for()


def test_https_takes_the_name_before_the_address(shared_server, tree, watch, heard, path):
    tree.add(path, 5051)
    watch('zk://%s%s' % (shared_server.hosts, path), 'https')
    heard.wait_for(at(5051, 'master.example', 'https'), at(5051, scheme='https'))


def test_one_server_of_several_is_enough(shared_server, tree, watch, heard, path):
    tree.add(path, 5051)
    watch('zk://localhost:1,%s,[::1]:1%s' % (shared_server.hosts, path))
    heard.wait_for(at(5051))


def test_a_server_on_ipv6(heard, make_tree, watch, path):
    fail_or_skip()
    with ZooKeeperServer('::1') as server:
        make_tree(server).add(path, 5051)
        watch('zk://%s%s' % (server.hosts, path))
        heard.wait_for(at(5051))


def test_data_that_cannot_be_read_is_told_and_read_again_when_it_changes(
        shared_server, tree, watch, heard, path, caplog):
    tree.add(path, 5051)
    second = tree.add(path, 5052)
    watch('zk://%s%s' % (shared_server.hosts, path))
    heard.wait_for(at(5051))
    tree.client.set(path + '/json.info_0000000000', b'\x08\x01PB')
    heard.wait_for()
    assert [record.levelname for record in caplog.records if 'cannot be told' in record.getMessage()] == ['WARNING']
    assert 'ZooKeeper %s: the leading master cannot be told: ' % shared_server.hosts in caplog.text
    assert repr(b'\x08\x01PB')[1:] in caplog.text
    tree.client.set(path + '/json.info_0000000000', master_info(5053))
    heard.wait_for(at(5053))
    tree.remove(second)


def test_a_node_that_goes_between_listing_and_reading_does_not_lead(
        shared_server, tree, watch, heard, path, monkeypatch):
    first = tree.add(path, 5051)
    tree.add(path, 5052)
    choose = zookeeper.leading_node

    def slow_choice(names):
        name = choose(names)
        if first.endswith('/' + name):
            tree.remove(first)
        return name

    monkeypatch.setattr(zookeeper, 'leading_node', slow_choice)
    watch('zk://%s%s' % (shared_server.hosts, path))
    heard.wait_for(at(5052))
    assert heard.all == [(at(5052),)]


# ---- authentication


@pytest.fixture
def guarded(tree, path):
    """A path that only user `mesos` can read, with a master."""
    acl = [make_digest_acl('mesos', SECRET, all=True)]
    tree.client.add_auth('digest', 'mesos:' + SECRET)
    tree.client.create(path, acl=acl)
    tree.add(path, 5051, acl=acl)
    return acl


def test_digest_authentication_opens_a_guarded_path(shared_server, guarded, watch, heard, path, caplog):
    caplog.set_level(1)
    detector = watch('zk://mesos:%s@%s%s' % (SECRET, shared_server.hosts, path))
    heard.wait_for(at(5051))
    assert repr(detector) == '<ZooKeeperDetector zk://***@%s%s>' % (shared_server.hosts, path)
    assert 'zk://***@%s%s: the leading master is 10.0.0.1:5051' % (shared_server.hosts, path) in caplog.text
    detector.stop()
    assert not [record for record in caplog.records
                if record.name.startswith('pymesos') and SECRET in record.getMessage()]


def test_a_wrong_password_is_told_and_tried_again(
        shared_server, tree, guarded, watch, heard, path, caplog, quick_retry):
    caplog.set_level(1)
    watch('zk://mesos:%s@%s%s' % ('wrong' + SECRET, shared_server.hosts, path))
    text = 'ZooKeeper %s: cannot read %s (NoAuthError), the next try is in 0.2 s' % (shared_server.hosts, path)
    wait_until(lambda: caplog.text.count(text) > 2)
    assert heard.all == []
    assert not [record for record in caplog.records
                if record.name.startswith('pymesos') and SECRET in record.getMessage()]
    for node in (path, path + '/json.info_0000000000'):
        tree.client.set_acls(node, OPEN_ACL_UNSAFE)
    heard.wait_for(at(5051))


# ---- ZooKeeper goes and comes


def test_start_does_not_wait_for_zookeeper(own_server, make_tree, watch, heard, path):
    make_tree(own_server).add(path, 5051)
    own_server.kill()
    assert seconds_of(lambda: watch('zk://%s%s' % (own_server.hosts, path))) < AT_ONCE
    own_server.start()
    heard.wait_for(at(5051))


def test_a_restart_of_zookeeper_within_the_session_goes_unnoticed(
        own_server, make_tree, watch, heard, path, caplog, monkeypatch, quick_retry):
    # Java may take longer than 10 s to start. The server counts 10 s all the same, from its start on.
    monkeypatch.setattr(zookeeper, 'SESSION_TIMEOUT', 60.0)
    caplog.set_level(logging.INFO, 'pymesos')
    tree = make_tree(own_server)
    tree.add(path, 5051)
    watch('zk://%s%s' % (own_server.hosts, path))
    heard.wait_for(at(5051))
    own_server.kill()
    wait_until(lambda: [record for record in caplog.records if record.name == 'pymesos.zookeeper.kazoo'
                        and record.getMessage() == 'Zookeeper connection lost'])
    own_server.start()
    tree.add(path, 5052)
    tree.remove(path + '/json.info_0000000000')
    heard.wait_for(at(5052))
    assert heard.all == [(at(5051),), (at(5052),)]


def test_the_leader_is_unknown_once_the_session_must_have_ended(
        own_server, short_session, make_tree, watch, heard, path, caplog):
    make_tree(own_server).add(path, 5051)
    watch('zk://%s%s' % (own_server.hosts, path))
    heard.wait_for(at(5051))
    begin = time.time()
    own_server.kill()
    heard.wait_for()
    assert SHORT_SESSION * 0.9 <= time.time() - begin
    assert ('ZooKeeper %s: no connection for 4 s, the leading master is not known any more' % own_server.hosts
            in caplog.text)
    own_server.start()
    heard.wait_for(at(5051))
    assert heard.all == [(at(5051),), (), (at(5051),)]


def test_a_session_that_zookeeper_ended_makes_the_leader_unknown(shared_server, tree, watch, heard, path):
    tree.add(path, 5051)
    with FaultProxy(shared_server.hosts) as proxy:
        detector = watch('zk://%s%s' % (proxy.netloc, path))
        heard.wait_for(at(5051))
        proxy.refuse()                  # or the session would be taken back before it has ended
        # Whoever shows a session's number and password can take it over, and end it.
        thief = KazooClient(hosts=shared_server.hosts, client_id=detector._watch._client.client_id)
        thief.start(timeout=60)
        thief.stop()
        thief.close()
        proxy.accept()
        wait_until(lambda: len(heard.all) == 3, 60, lambda: 'three announcements, not %r' % heard.all)
        assert heard.all == [(at(5051),), (), (at(5051),)]
        tree.add(path, 5052)
        tree.remove(path + '/json.info_0000000000')
        heard.wait_for(at(5052))


def test_a_silent_network_makes_the_leader_unknown(shared_server, tree, short_session, watch, heard, path):
    tree.add(path, 5051)
    with FaultProxy(shared_server.hosts) as proxy:
        watch('zk://%s%s' % (proxy.netloc, path))
        heard.wait_for(at(5051))
        proxy.black_hole()
        heard.wait_for()
        tree.add(path, 5052)
        tree.remove(path + '/json.info_0000000000')
        proxy.pass_through()
        heard.wait_for(at(5052))
    assert heard.all == [(at(5051),), (), (at(5052),)]


def test_connections_that_are_cut_lose_no_change(shared_server, tree, watch, heard, path):
    node = tree.add(path, 5051)
    with FaultProxy(shared_server.hosts) as proxy:
        watch('zk://%s%s' % (proxy.netloc, path))
        heard.wait_for(at(5051))
        for port in range(5052, 5056):
            proxy.reset()
            node, old = tree.add(path, port), node
            tree.remove(old)
            heard.wait_for(at(port))
    assert () not in heard.all


def test_a_server_that_talks_nonsense_is_given_up_and_asked_again(
        shared_server, tree, watch, heard, path, quick_retry, caplog):
    tree.add(path, 5051)
    with FaultProxy(shared_server.hosts) as proxy:
        watch('zk://%s%s' % (proxy.netloc, path))
        heard.wait_for(at(5051))
        proxy.garbage(b'\0\0\0\0' * 100)
        wait_until(lambda: len(heard.all) >= 3, 60, lambda: 'the leader again after %r' % heard.all)
        heard.wait_for(at(5051))
        tree.add(path, 5052)
        tree.remove(path + '/json.info_0000000000')
        heard.wait_for(at(5052))
    assert ('ZooKeeper %s: the connection is given up, the next one is tried in 0.2 s' % proxy.netloc) in caplog.text


class LateEvent(object):
    """An event before whose first clear() something happens, which sets it."""

    def __init__(self, event, happen):
        self._event = event
        self._happen = happen

    def __getattr__(self, name):
        return getattr(self._event, name)

    def clear(self):
        happen, self._happen = self._happen, lambda: None
        happen()
        self._event.clear()


@pytest.mark.parametrize('flag', ['has_ended', '_is_stopped'])
def test_an_end_is_seen_however_late_it_comes(heard, flag):
    """kazoo's end, or ours, just before the watch clears the flag that would wake it."""
    watching = zookeeper.Watch('127.0.0.1:1', '/path', None, 'http', heard, session_timeout=30)
    watching._make_client()

    def happen():
        setattr(watching._handler if flag == 'has_ended' else watching, flag, True)
        watching._wake.set()

    watching._wake = LateEvent(watching._wake, happen)
    thread = threading.Thread(target=watching._follow)
    thread.daemon = True
    thread.start()
    thread.join(30)
    assert not thread.is_alive()


# ---- stop


def test_stop_returns_at_once_and_nothing_is_told_after(shared_server, tree, watch, heard, path):
    tree.add(path, 5051)
    detector = watch('zk://%s%s' % (shared_server.hosts, path))
    heard.wait_for(at(5051))
    assert seconds_of(detector.stop) < AT_ONCE
    assert seconds_of(detector.stop) < AT_ONCE
    tree.remove(path + '/json.info_0000000000')
    detector.start()
    wait_until(lambda: not threads_of_ours())
    assert heard.all == [(at(5051),)]


def test_stop_inside_the_listener(shared_server, tree, path):
    tree.add(path, 5051)
    heard, ended = [], threading.Event()

    def listener(candidates):
        heard.append(candidates)
        detector.stop()
        ended.set()

    detector = detect('zk://%s%s' % (shared_server.hosts, path), listener)
    detector.start()
    assert ended.wait(60)
    tree.remove(path + '/json.info_0000000000')
    assert heard == [(at(5051),)]


def test_stop_while_a_connection_hangs(shared_server, watch, monkeypatch):
    monkeypatch.setattr(zookeeper, 'CONNECT_TIMEOUT', 60.0)
    with FaultProxy(shared_server.hosts) as proxy:
        proxy.black_hole()
        detector = watch('zk://%s/mesos' % proxy.netloc)
        wait_until(lambda: proxy.open_connections)
        wait_until(lambda: len(threads_of_ours()) == 4, message=threads_of_ours)
        assert seconds_of(detector.stop) < AT_ONCE
    wait_until(lambda: not threads_of_ours(), message=threads_of_ours)


def test_stop_while_the_server_is_silent(shared_server, tree, watch, heard, path):
    tree.add(path, 5051)
    with FaultProxy(shared_server.hosts) as proxy:
        detector = watch('zk://%s%s' % (proxy.netloc, path))
        heard.wait_for(at(5051))
        proxy.black_hole()
        assert seconds_of(detector.stop) < AT_ONCE
        wait_until(lambda: not threads_of_ours(), zookeeper.SESSION_TIMEOUT + 30, threads_of_ours)


def test_stop_between_two_tries_to_connect(watch, caplog):
    detector = watch('zk://localhost:1/mesos')
    wait_until(lambda: 'Connection dropped' in caplog.text)
    assert seconds_of(detector.stop) < AT_ONCE


def test_stop_from_many_threads_while_it_starts(shared_server, tree, watch, path):
    tree.add(path, 5051)
    for _ in range(5):
        detector = watch('zk://%s%s' % (shared_server.hosts, path))
        threads = [threading.Thread(target=detector.stop) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def test_a_listener_that_raises_is_told_of_the_next_change(shared_server, tree, path, caplog):
    tree.add(path, 5051)
    heard = Heard()

    def listener(candidates):
        heard(candidates)
        raise KeyError('my fault')

    detector = detect('zk://%s%s' % (shared_server.hosts, path), listener)
    detector.start()
    heard.wait_for(at(5051))
    tree.remove(path + '/json.info_0000000000')
    heard.wait_for()
    detector.stop()
    assert 'the listener of %r raised an exception' % detector in caplog.text
    assert "KeyError: 'my fault'" in caplog.text


def test_a_program_that_ends_without_stop_ends_silently(shared_server, tree, path):
    tree.add(path, 5051)
    program = textwrap.dedent('''
        import logging, sys, threading
        from pymesos.detector import detect
        heard = threading.Event()
        detect(sys.argv[1], lambda candidates: heard.set()).start()
        has_heard = heard.wait(60)
        logging.basicConfig(level=logging.WARNING)      # what it says while it connects is not asked here
        sys.exit(0 if has_heard else 3)
    ''')
    process = subprocess.Popen([sys.executable, '-c', program, 'zk://%s%s' % (shared_server.hosts, path)],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=os.getcwd(), close_fds=True)
    output, _ = process.communicate()
    assert (process.returncode, output.decode('utf-8')) == (0, '')


# ---- drivers


def test_a_scheduler_follows_the_leader(shared_server, tree, path):
    with ScriptedMaster() as one, ScriptedMaster() as two:
        with scheduling('zk://%s%s' % (shared_server.hosts, path)) as (driver, recorder):
            first = tree.add(path, one.port, ip='127.0.0.1')
            recorder.wait('registered')
            assert driver.master == one.netloc
            tree.add(path, two.port, ip='127.0.0.1')
            tree.remove(first)
            recorder.wait('disconnected')
            recorder.wait('reregistered')
            assert driver.master == two.netloc
            assert (one.counts['SUBSCRIBE'], two.counts['SUBSCRIBE']) == (1, 1)


def test_a_scheduler_that_waits_for_a_leader_stops_at_once(no_leaks, watch):
    fail_or_skip()
    with scheduling('zk://127.0.0.1:1/mesos') as (driver, recorder):
        wait_until(threads_of_ours)
        assert seconds_of(driver.stop) < AT_ONCE
        driver.join()
        assert recorder.names == []

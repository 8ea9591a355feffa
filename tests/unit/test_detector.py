"""pymesos.detector and pymesos.zookeeper without a ZooKeeper: addresses, files, lives, and servers that misbehave."""
from __future__ import absolute_import, division, print_function

import json
import logging
import socket
import struct
import subprocess
import sys
import textwrap
import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pymesos import detector as detector_module
from pymesos import zookeeper
from pymesos.detector import FORMS, detect, first_peers, parse_zookeeper
from pymesos.errors import InvalidAddress, MessageError, UsageError
from pymesos.testing import wait_until
from pymesos.utils import Address
from pymesos.zookeeper import leading_node, read_master


def nobody(candidates):
    raise AssertionError('told %r' % (candidates,))


def told_by(uri, *args):
    """What the listener of a detector that needs no ZooKeeper is told."""
    told = []
    detector = detect(uri, told.append, *args)
    assert told == [], 'before start()'
    detector.start()
    detector.start()
    detector.stop()
    detector.stop()
    return told


def http(host, port=5050):
    return Address('http', host, port)


# ---- addresses


@pytest.mark.parametrize('uri, expected', [
    ('master', [http('master')]),
    (' 10.0.0.1:80\n', [http('10.0.0.1', 80)]),
    ('[::1]:5051', [http('::1', 5051)]),
    ('::1', [http('::1')]),
    ('https://master:5051', [Address('https', 'master', 5051)]),
    ('master@10.0.0.1:5050', [http('10.0.0.1')]),
    ('b:2, a:1,[::1]:3,https://c:4/', [http('b', 2), http('a', 1), http('::1', 3), Address('https', 'c', 4)]),
    ('master@a:1,master@b:2', [http('a', 1), http('b', 2)]),
    ('localhost', [http('localhost')]),
])
def test_addresses_are_told_once_in_their_order(uri, expected):
    assert told_by(uri) == [tuple(expected)]


def test_scheme_is_used_where_the_address_names_none():
    assert told_by('a,http://b,https://c', 'https') == [
        (Address('https', 'a', 5050), http('b'), Address('https', 'c', 5050))]


@pytest.mark.parametrize('uri', ['', ' ', ',', 'a,', ',a', 'a,,b', 'ftp://a', 'etcd://a/b', 'a,zk://b/c',
                                 'a,file:///b'])
def test_what_is_no_form_is_refused_with_the_forms(uri):
    with pytest.raises(InvalidAddress) as caught:
        detect(uri, nobody)
    assert str(caught.value) == 'cannot use the master %r: %s' % (uri.strip(), FORMS)
    assert caught.value.address == uri.strip()


@pytest.mark.parametrize('value', [None, 5050, ('a', 5050)])
def test_what_is_no_text_is_refused_with_the_forms(value):
    with pytest.raises(InvalidAddress) as caught:
        detect(value, nobody)
    assert str(caught.value) == 'cannot use the master %r: %s' % (value, FORMS)


def test_a_bad_port_is_refused():
    with pytest.raises(InvalidAddress) as caught:
        detect('a:1,b:0', nobody)
    assert str(caught.value) == "cannot use the address 'b:0': the port is '0', expected 1 to 65535"


def test_a_bad_scheme_is_refused():
    with pytest.raises(UsageError) as caught:
        detect('a', nobody, 'ftp')
    assert str(caught.value) == "the scheme is 'http' or 'https', not 'ftp'"


def test_local_starts_nothing_until_it_is_prepared_or_started():
    detector = detect(' local ', nobody)
    assert repr(detector) == '<LocalDetector local>'
    detector.stop()
    detector.prepare()
    detector.start()


def test_local_tells_the_master_of_the_cluster_that_it_shares():
    told = []
    first, second = detect('local', told.append), detect('local', told.append, 'https')
    first.prepare()
    second.start()
    first.start()
    assert len(told) == 2 and told[0] == told[1]
    assert (told[0][0].scheme, told[0][0].host) == ('http', '127.0.0.1')
    first.stop()
    socket.create_connection((told[0][0].host, told[0][0].port), 30).close()
    second.stop()
    with pytest.raises(socket.error):
        socket.create_connection((told[0][0].host, told[0][0].port), 30)


def test_repr_names_the_addresses():
    assert repr(detect('a:1,b', nobody)) == '<FixedDetector a:1,b>'


# ---- files


def test_file_holds_one_of_the_other_forms(tmpdir):
    path = tmpdir.join('master')
    path.write('\n  a:1,[::1]:2 \n')
    assert told_by('file://%s' % path) == [(http('a', 1), http('::1', 2))]
    path.write('b:2')
    assert told_by('file://%s' % path) == [(http('b', 2),)], 'read each time'
    path.write('zk://me:pA55word@h/mesos\n')
    assert repr(detect('file://%s' % path, nobody)) == '<ZooKeeperDetector zk://***@h/mesos>'
    path.write('local')
    assert repr(detect('file://%s' % path, nobody)) == '<LocalDetector local>'


@pytest.mark.parametrize('content, why', [
    (b'', 'it is empty, ' + FORMS), (b' \n', 'it is empty, ' + FORMS), (b'a' * 65537, 'it is too long, ' + FORMS),
    (b'file:///etc/hostname', 'it names a file again'),
])
def test_file_of_another_content_is_refused(tmpdir, content, why):
    path = tmpdir.join('master')
    path.write_binary(content)
    with pytest.raises(InvalidAddress) as caught:
        detect('file://%s' % path, nobody)
    assert str(caught.value) == 'cannot read the master from file://%s: %s' % (path, why)


def test_file_that_is_no_text_is_refused(tmpdir):
    path = tmpdir.join('master')
    path.write_binary(b'\xff\xfe')
    with pytest.raises(InvalidAddress) as caught:
        detect('file://%s' % path, nobody)
    assert str(caught.value).startswith("cannot read the master from file://%s: 'utf" % path)


def test_file_that_is_not_there_is_refused(tmpdir):
    uri = 'file://%s' % tmpdir.join('none')
    with pytest.raises(InvalidAddress) as caught:
        detect(uri, nobody)
    assert str(caught.value).startswith('cannot read the master from %s: [Errno 2] No such file' % uri)
    with pytest.raises(InvalidAddress):
        detect('file://%s' % tmpdir, nobody)


def test_file_needs_an_absolute_path():
    with pytest.raises(InvalidAddress) as caught:
        detect('file://master', nobody)
    assert str(caught.value) == "cannot use the master 'file://master': file:// wants an absolute path"


# ---- lives


def test_nothing_is_told_after_stop():
    detector = detect('a', nobody)
    detector.stop()
    detector.start()
    detector.stop()


def test_listener_may_stop_the_detector():
    told = []
    detector = detect('a', lambda candidates: (told.append(candidates), detector.stop()))
    begin = time.time()
    detector.start()
    assert told == [(http('a'),)]
    assert time.time() - begin < 60


def test_exception_of_the_listener_is_logged(caplog):
    def listener(candidates):
        raise KeyError('my fault')

    detector = detect('a:1', listener)
    detector.start()
    assert [record.levelname for record in caplog.records] == ['ERROR']
    assert 'the listener of <FixedDetector a:1> raised an exception' in caplog.text
    assert "KeyError: 'my fault'" in caplog.text


def test_stop_does_not_wait_for_a_listener_that_blocks():
    inside, release = threading.Event(), threading.Event()

    def listener(candidates):
        inside.set()
        release.wait(60)

    detector = detect('a', listener)
    thread = threading.Thread(target=detector.start)
    thread.start()
    assert inside.wait(60)
    begin = time.time()
    detector.stop()
    assert time.time() - begin < 30            # it blocks for 60
    release.set()
    thread.join()


def test_stop_awaits_a_listener_that_is_quick(monkeypatch):
    monkeypatch.setattr(detector_module, 'GRACE', 30.0)         # quick for any machine
    told, inside = [], threading.Event()

    def listener(candidates):
        inside.set()
        time.sleep(0.01)
        told.append(candidates)

    detector = detect('a', listener)
    thread = threading.Thread(target=detector.start)
    thread.start()
    assert inside.wait(60)
    detector.stop()
    assert told
    thread.join()


# ---- ZooKeeper's addresses


@pytest.mark.parametrize('uri, expected', [
    ('zk://h/mesos', ('h:2181', '/mesos', None)),
    ('zoo://h/mesos', ('h:2181', '/mesos', None)),
    ('zk://h1:1,h2,[::1]:3/a/b', ('h1:1,h2:2181,[::1]:3', '/a/b', None)),
    ('zk://h/mesos/', ('h:2181', '/mesos', None)),
    ('zk://me:pw@h/mesos', ('h:2181', '/mesos', 'me:pw')),
    ('zk://me:@h/mesos', ('h:2181', '/mesos', 'me:')),
    ('zk://me:p@:w/d@h1,h2/mesos', ('h1:2181,h2:2181', '/mesos', 'me:p@:w/d')),
])
def test_zookeeper_address_is_read(uri, expected):
    assert parse_zookeeper(uri) == expected


PATH = 'expected a path after the servers, such as zk://10.0.0.1:2181/mesos'
PARTS = 'the path may have no empty part, no . and no ..'
USER = 'expected user:password before the @'
HOSTS = 'expected host:port, such as 10.0.0.1:5050 or [::1]:5050'


@pytest.mark.parametrize('uri, why', [
    ('zk://h', PATH), ('zk://h/', PATH), ('zk://h//', PATH), ('zk://', PATH), ('zk://h//a', PATH),
    ('zk://h/a//b', PARTS), ('zk://h/a/../b', PARTS), ('zk://h/./a', PARTS), ('zk://h/a\0', PARTS),
    ('zk:///a', "cannot use the address '': " + HOSTS), ('zk://h1,,h2/a', "cannot use the address '': " + HOSTS),
    ('zk://h:x/a', "cannot use the address 'h:x': the port is 'x', expected 1 to 65535"),
])
def test_bad_zookeeper_address_is_refused(uri, why):
    with pytest.raises(InvalidAddress) as caught:
        detect(uri, nobody)
    text = str(caught.value).replace("u'", "'")         # parts of it are unicode on 2.7
    assert text == 'cannot use the master %r: %s' % (uri, why)


@pytest.mark.parametrize('uri, shown, why', [
    ('zk://pA55word@h/a', 'zk://***@h/a', USER), ('zk://:pA55word@h/a', 'zk://***@h/a', USER),
    ('zk://me:pA55word@h', 'zk://***@h', PATH),
    ('zk://me:pA55word@h:0/a', 'zk://***@h:0/a', "cannot use the address 'h:0': the port is '0', expected 1 to 65535"),
])
def test_password_for_zookeeper_is_in_no_text(uri, shown, why):
    with pytest.raises(InvalidAddress) as caught:
        detect(uri, nobody)
    assert str(caught.value).replace("u'", "'") == 'cannot use the master %r: %s' % (shown, why)
    assert caught.value.address == shown


def test_zookeeper_detector_connects_to_nothing_before_start():
    detector = detect('zk://me:pA55word@127.0.0.1:1/mesos', nobody)
    assert repr(detector) == '<ZooKeeperDetector zk://***@127.0.0.1:1/mesos>'
    assert 'pA55word' not in repr(detector._watch)
    detector.stop()
    detector.start()
    detector.stop()


def test_kazoo_is_imported_only_for_zookeeper():
    program = textwrap.dedent('''
        import sys
        from pymesos.detector import detect
        from pymesos.errors import UsageError
        detect('a,b', None)
        assert not [name for name in sys.modules if name.startswith('kazoo')]
        sys.modules['kazoo'] = sys.modules['kazoo.client'] = None       # cannot be imported any more
        try:
            detect('zk://me:pw@h/mesos', None)
        except UsageError as error:
            text = str(error)
            assert text.startswith('the master zk://***@h/mesos needs kazoo, which cannot be imported ('), text
            assert text.endswith('): pip install pymesos[zookeeper]'), text
        else:
            raise AssertionError('no error')
    ''')
    assert subprocess.call([sys.executable, '-c', program], close_fds=True) == 0


# ---- nodes


@pytest.mark.parametrize('names, leader', [
    ([], None),
    (['json.info_0000000007'], 'json.info_0000000007'),
    (['json.info_0000000010', 'json.info_0000000009', 'json.info_2147483647'], 'json.info_0000000009'),
    (['log_replicas', 'info_0000000001', '0000000001', 'json.info_1', 'json.info_00000000001', 'json.info_',
      'json.info_000000000x', 'xjson.info_0000000001', 'json.info_0000000001\n', 'json-info_0000000001'], None),
    (['log_replicas', 'json.info_0000000003', 'info_0000000001'], 'json.info_0000000003'),
])
def test_the_lowest_number_of_the_right_kind_leads(names, leader):
    assert leading_node(names) == leader


INFO = {'address': {'hostname': 'm1', 'ip': '10.0.0.1', 'port': 5051}, 'hostname': 'm1', 'id': 'x', 'ip': 16777226,
        'pid': 'master@10.0.0.1:5051', 'port': 5051, 'version': '1.11.0'}


def data_of(**fields):
    fields = dict(INFO, **fields)
    return json.dumps({name: fields[name] for name in fields if fields[name] is not None}).encode('ascii')


@pytest.mark.parametrize('fields, hosts', [
    ({}, ['10.0.0.1']),
    ({'address': {'ip': '::1', 'port': 5051}}, ['::1']),
    ({'address': {'hostname': 'm2', 'port': 5051}}, ['m2']),
    ({'address': {'ip': '10.0.0.2'}}, ['10.0.0.2']),
    ({'address': None}, ['m1']),
    ({'address': 'nonsense'}, ['m1']),
    ({'address': {'ip': 16777226, 'port': 5051}}, ['m1']),
    ({'address': {'ip': 'a b', 'port': 5051}}, ['m1']),
])
def test_master_is_read_from_its_node(fields, hosts):
    addresses = read_master(data_of(**fields), 'http')
    assert addresses == tuple(http(host, 5051) for host in hosts)
    assert {type(address.host) for address in addresses} == {str}


@pytest.mark.parametrize('fields, hosts', [
    ({}, ['m1', '10.0.0.1']), ({'hostname': None, 'address': {'ip': '10.0.0.1', 'port': 5051}}, ['10.0.0.1']),
    ({'address': {'hostname': '10.0.0.1', 'ip': '10.0.0.1', 'port': 5051}}, ['10.0.0.1']),
])
def test_master_with_tls_is_tried_by_name_first(fields, hosts):
    assert read_master(data_of(**fields), 'https') == tuple(Address('https', host, 5051) for host in hosts)


@pytest.mark.parametrize('data', [
    b'', b'\xff', b'{', b'[]', b'null', b'[' * 100000, b'{}',
    data_of(port=None, address=None), data_of(port=0, address=None), data_of(port=65536, address=None),
    data_of(port=True, address=None), data_of(port='5050', address=None), data_of(port=5050.0, address=None),
    data_of(address=None, hostname=None), data_of(address=None, hostname=''), data_of(address=None, hostname='a\r\nb'),
    data_of(address=None, hostname=['a']),
])
def test_data_that_names_no_master_is_a_message_error(data):
    with pytest.raises(MessageError) as caught:
        read_master(data, 'http')
    assert repr(data[:200])[:-1] in str(caught.value)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])      # a slow machine is no failure
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5),
                    lambda some: st.lists(some, max_size=3) | st.dictionaries(
                        st.sampled_from(['address', 'ip', 'hostname', 'port']), some), max_leaves=8))
def test_any_json_is_read_or_refused(value):
    try:
        assert read_master(json.dumps(value).encode('ascii'), 'https')
    except MessageError:
        pass


# ---- servers that misbehave


class OddServer(object):
    """Accepts connections on a free port and does ``behave(connection)`` with each, on a thread of its own."""

    def __init__(self, behave):
        self.count = 0
        self._behave = behave
        self._listener = socket.socket()
        self._listener.bind(('127.0.0.1', 0))
        self._listener.listen(50)
        self._listener.settimeout(0.1)
        self._is_stopped = False
        self._thread = threading.Thread(target=self._run, name='odd-server')
        self._thread.start()
        self.hosts = '127.0.0.1:%d' % self._listener.getsockname()[1]

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self._is_stopped = True
        self._thread.join()
        self._listener.close()

    def _run(self):
        while not self._is_stopped:
            try:
                connection, _ = self._listener.accept()
            except socket.timeout:
                continue
            self.count += 1
            try:
                connection.settimeout(30)
                self._behave(connection)
            except (OSError, socket.error):
                pass
            finally:
                connection.close()


def read_packet(connection):
    size, = struct.unpack('>i', read_exactly(connection, 4))
    return read_exactly(connection, size)


def read_exactly(connection, size):
    data = b''
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise socket.error('closed')
        data += part
    return data


def grant_session(connection):
    """Answer to the first packet of a ZooKeeper client."""
    read_packet(connection)
    answer = struct.pack('>iiqi', 0, 10000, 1, 16) + b'p' * 16 + b'\0'
    connection.sendall(struct.pack('>i', len(answer)) + answer)


def refuse_authentication(connection):
    grant_session(connection)
    packet = read_packet(connection)
    assert struct.unpack('>ii', packet[:8]) == (-4, 100) and b'me:pA55word' in packet
    answer = struct.pack('>iqi', -4, 0, -115)
    connection.sendall(struct.pack('>i', len(answer)) + answer)
    connection.recv(1)


@pytest.fixture
def quick_retry(monkeypatch):
    monkeypatch.setattr(zookeeper, 'RETRY_DELAY', 0.3)


@pytest.fixture
def running():
    """Makes and starts detectors that must hear nothing, and stops them."""
    detectors, told = [], []

    def make(uri):
        detectors.append(detect(uri, told.append))
        detectors[-1].start()

    yield make
    begin = time.time()
    for detector in detectors:
        detector.stop()
    assert time.time() - begin < 8              # a session lasts for 10
    assert told == []


def test_refused_authentication_is_told_and_tried_again(running, quick_retry, caplog):
    caplog.set_level(1)
    with OddServer(refuse_authentication) as server:
        running('zk://me:pA55word@%s/mesos' % server.hosts)
        wait_until(lambda: server.count >= 3)
        text = 'ZooKeeper %s: the connection is given up, the next one is tried in 0.3 s' % server.hosts
        wait_until(lambda: text in caplog.text)
        assert 'AUTH_FAILED' in caplog.text
        assert 'WARNING' in {record.levelname for record in caplog.records if record.getMessage() == text}
    assert not [record for record in caplog.records if 'pA55word' in record.getMessage()]


@pytest.mark.parametrize('behave', [
    lambda connection: connection.sendall(b'HTTP/1.1 400 Bad Request\r\n\r\n' * 10),
    lambda connection: (grant_session(connection), connection.sendall(b'\xff' * 1000)),
    lambda connection: (grant_session(connection), connection.sendall(struct.pack('>i', 0))),
    lambda connection: (grant_session(connection), connection.sendall(struct.pack('>iiqi', 16, 77, 0, 0)),
                        connection.recv(1)),
], ids=['http', 'ones', 'empty', 'unasked'])
def test_garbage_is_survived_without_a_busy_loop(running, behave, caplog, recwarn):
    caplog.set_level(logging.CRITICAL)
    with OddServer(behave) as server:
        running('zk://%s/mesos' % server.hosts)
        wait_until(lambda: server.count >= 1)
        begin = time.time()
        count = server.count
        wait_until(lambda: time.time() - begin > 1.5)
        found = server.count - count
        assert found <= 20 * (time.time() - begin)      # a second, however long it was


def test_server_that_closes_at_once_is_asked_less_and_less(running, caplog):
    caplog.set_level(logging.CRITICAL)
    with OddServer(lambda connection: None) as server:
        running('zk://%s/mesos' % server.hosts)
        begin = time.time()
        wait_until(lambda: time.time() - begin > 3 and server.count >= 2)
        found = server.count
        assert found <= 12 + (time.time() - begin)      # the first few seconds bring the most


@pytest.mark.parametrize('uri, expected', [
    ('h', ['h:5050']), (' https://h:1,[::1]:2 ', ['h:1', '[::1]:2']), ('local', []),
    ('zk://user:pass@h1,h2:3/mesos', ['h1:2181', 'h2:3'])])
def test_first_peers_are_the_masters_or_the_servers_of_zookeeper(uri, expected):
    assert [peer.netloc for peer in first_peers(uri)] == expected


def test_first_peers_of_a_file_are_those_of_what_it_says(tmpdir):
    path = tmpdir.join('master')
    path.write('zk://h1/mesos\n')
    assert [peer.netloc for peer in first_peers('file://%s' % path)] == ['h1:2181']

"""The operator's drivers: calls over HTTP, container streams, and the subscription to a master's events."""
from __future__ import absolute_import, division, print_function

import errno
import gzip
import io
import json
import os
import pickle
import socket
import ssl
import threading
import time

import pytest
from operator_server import STATE, ScriptedOperator, json_answer, raw_server, read_request, read_until

from pymesos import _operator_http, operator_v1
from pymesos.errors import (CallRejected, ConnectionFailed, ConnectionLost, HttpError, InvalidAddress, MessageError,
                            RecordError, TimedOut, UsageError)
from pymesos.operator_v1 import MesosOperatorAgentDriver, MesosOperatorDaemonDriver, MesosOperatorMasterDriver
from pymesos.testing import Answer, wait_until
from pymesos.utils import decode_data, encode_data
from pymesos.wire import recordio

HEALTHY = {'type': 'GET_HEALTH', 'get_health': {'healthy': True}}
OK = b'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'


@pytest.fixture
def server():
    with ScriptedOperator() as running:
        yield running
    assert not running.failures


@pytest.fixture
def agent(server):
    driver = MesosOperatorAgentDriver(server.address)
    yield driver
    driver.close()


@pytest.fixture
def closed_port():
    """A port on which nobody listens: it is ours."""
    holder = socket.socket()
    holder.bind(('127.0.0.1', 0))
    yield holder.getsockname()[1]
    holder.close()


def patient(driver):
    """The driver, with time to connect and to send on a slow machine: its http_timeout is for answers alone."""
    driver._client.timeout = 30.0
    return driver


# ---- calls

def test_constructors_connect_to_nothing(closed_port):
    threads = threading.active_count()
    for make in (MesosOperatorAgentDriver, MesosOperatorDaemonDriver, MesosOperatorMasterDriver):
        make('127.0.0.1:%d' % closed_port)
    MesosOperatorMasterDriver('zk://127.0.0.1:%d/mesos' % closed_port)
    assert threading.active_count() == threads


@pytest.mark.parametrize('make,uri', [
    (MesosOperatorAgentDriver, 'host:port'), (MesosOperatorMasterDriver, 'ftp://host'),
    (MesosOperatorMasterDriver, 'zk://host'), (MesosOperatorDaemonDriver, '')])
def test_address_that_cannot_be_read_is_refused_by_the_constructor(make, uri):
    with pytest.raises(InvalidAddress):
        make(uri)


def test_ports_that_are_left_out():
    assert MesosOperatorAgentDriver('agent')._locate()[0].port == 5051
    assert MesosOperatorDaemonDriver('master')._locate()[0].port == 5050
    assert MesosOperatorMasterDriver('master')._locate()[0].port == 5050


def test_calls_share_one_connection(server, agent):
    for _ in range(5):
        assert agent.getHealth() == HEALTHY
    assert server.connections == 1
    call = server.calls[-1]
    assert call.headers['content-type'] == 'application/json'
    assert call.headers['accept'] == 'application/json'
    assert 'authorization' not in call.headers


def test_master_driver_calls_without_start(server):
    driver = MesosOperatorMasterDriver(server.address)
    assert driver.getHealth() == HEALTHY
    assert driver.getFlags() == {}
    driver.stop()
    assert driver.getHealth() == HEALTHY
    driver.close()


def test_empty_answer_is_an_empty_dict(agent):
    assert agent.setLoggingLevel(1, 1) == {}


def test_connection_that_the_peer_closed_is_opened_again(server, agent):
    server.close_connections_after(1)
    for _ in range(5):
        assert agent.getHealth() == HEALTHY
    assert server.counts == {'GET_HEALTH': 5}
    server.close_connections_after(1, announce=True)
    assert agent.getHealth() == HEALTHY
    assert agent.getHealth() == HEALTHY


def answer_then_vanish(connection):
    """Answer one request, read another, close."""
    read_request(connection)
    connection.sendall(OK)
    read_request(connection)


def answer_once(connection):
    read_request(connection)
    connection.sendall(OK)


def test_call_on_a_kept_connection_that_breaks_before_the_answer_is_repeated():
    with raw_server(answer_then_vanish, answer_once) as address:
        driver = MesosOperatorAgentDriver(address)
        assert driver.getHealth() == {}
        assert driver.getState() == {}
        driver.close()


def test_call_that_may_not_be_done_twice_is_not_repeated():
    with raw_server(answer_then_vanish) as address:
        driver = MesosOperatorMasterDriver(address)
        driver.getHealth()
        with pytest.raises(ConnectionLost) as caught:
            driver.reserveResources('a', [])
    assert 'before an answer came' in str(caught.value)


def test_call_on_a_new_connection_is_not_repeated():
    with raw_server(read_request) as address:
        with pytest.raises(ConnectionLost) as caught:
            MesosOperatorAgentDriver(address).getHealth()
    assert str(caught.value) == 'lost the connection to %s: it was closed before an answer came' % address


def test_call_is_not_repeated_once_an_answer_has_begun():
    def script(connection):
        read_request(connection)
        connection.sendall(OK)
        read_request(connection)
        connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{')

    with raw_server(script) as address:
        driver = MesosOperatorAgentDriver(address)
        driver.getHealth()
        with pytest.raises(ConnectionLost) as caught:
            driver.getHealth()
    assert 'in the middle of an answer' in str(caught.value)


def test_refused_call_raises_with_status_body_call_and_address(server, agent):
    server.reject_next(404, 'Agent \'nope\' not found')
    with pytest.raises(RuntimeError) as caught:
        agent.getState()
    error = pickle.loads(pickle.dumps(caught.value))
    assert isinstance(error, CallRejected)
    assert str(error) == "Failed to send GET_STATE to %s: HTTP status 404: Agent 'nope' not found" % server.address
    assert (error.status, error.body, error.call, error.address) == (
        404, "Agent 'nope' not found", 'GET_STATE', server.address)
    assert agent.getHealth() == HEALTHY
    assert server.connections == 1


def test_refusal_with_a_long_text_is_cut(server, agent, monkeypatch):
    server.reject_next(400, 'Invalid: ' + 1000000 * 'x')
    with pytest.raises(CallRejected) as caught:
        agent.getState()
    assert (caught.value.status, len(caught.value.body)) == (400, _operator_http.MAX_REFUSAL)
    assert agent.getHealth() == HEALTHY
    assert server.connections == 1
    monkeypatch.setattr(_operator_http, 'MAX_ANSWER', 500000)
    server.reject_next(400, 1000000 * 'x')
    with pytest.raises(HttpError) as caught:
        agent.getState()
    assert 'more than the 500000 bytes of an answer that are allowed' in str(caught.value)


@pytest.mark.parametrize('body', [b'OK', b'[1]', b'\xff', b'{"a":'])
def test_answer_that_is_no_message_is_an_error(server, agent, body):
    server.answer_next(Answer(200, body))
    with pytest.raises(MessageError):
        agent.getHealth()
    assert agent.getHealth() == HEALTHY


def test_answer_that_is_not_http_is_an_error():
    def script(connection):
        read_request(connection)
        connection.sendall(b'SSH-2.0-OpenSSH_9.2\r\n\r\n')

    with raw_server(script) as address:
        with pytest.raises(HttpError):
            MesosOperatorAgentDriver(address).getHealth()


def test_garbage_behind_an_answer_harms_no_later_call():
    def answer_with_garbage(connection):
        read_request(connection)
        connection.sendall(OK + b'garbage')
        assert connection.recv(1) == b'', 'a call went into a connection that cannot be read any more'

    with raw_server(answer_with_garbage, answer_once) as address:
        driver = MesosOperatorMasterDriver(address)
        assert driver.getHealth() == {}
        assert driver.reserveResources('a', []) is None
        driver.close()


def zipped(data):
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode='wb') as stream:
        stream.write(data)
    return out.getvalue()


def test_compressed_answer_is_read(server, agent):
    server.answer_next(Answer(200, zipped(json.dumps(HEALTHY).encode()), [('Content-Encoding', 'gzip')]))
    assert agent.getHealth() == HEALTHY
    server.answer_next(Answer(200, b'not zipped', [('Content-Encoding', 'gzip')]))
    with pytest.raises(HttpError) as caught:
        agent.getHealth()
    assert 'not gzip' in str(caught.value)


def test_answer_above_the_limit_is_an_error_compressed_or_not(server, agent, monkeypatch):
    monkeypatch.setattr(_operator_http, 'MAX_ANSWER', 100)
    long = json.dumps({'type': 'x' * 200}).encode()
    for answer in (Answer(200, long), Answer(200, zipped(long), [('Content-Encoding', 'gzip')])):
        server.answer_next(answer)
        with pytest.raises(HttpError) as caught:
            agent.getHealth()
        assert 'more than the 100 bytes of an answer that are allowed' in str(caught.value)
    assert agent.getHealth() == HEALTHY


def test_answer_in_chunks_and_answer_until_the_end_are_read():
    body = json.dumps(HEALTHY).encode()

    def chunked(connection):
        read_request(connection)
        connection.sendall(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n%s\r\n' % body[:5])
        connection.sendall(b'%x\r\n%s\r\n0\r\n\r\n' % (len(body) - 5, body[5:]))
        read_request(connection)
        connection.sendall(b'HTTP/1.1 200 OK\r\n\r\n' + body)

    with raw_server(chunked) as address:
        driver = MesosOperatorAgentDriver(address)
        assert driver.getHealth() == HEALTHY
        assert driver.getHealth() == HEALTHY


def test_unreachable_peer_is_an_os_error_with_its_number(closed_port):
    address = '127.0.0.1:%d' % closed_port
    with pytest.raises(OSError) as caught:
        MesosOperatorAgentDriver(address).getHealth()
    assert isinstance(caught.value, ConnectionFailed)
    assert caught.value.errno == errno.ECONNREFUSED
    assert caught.value.address == address


def test_peer_that_does_not_answer_is_given_up(server):
    driver = patient(MesosOperatorAgentDriver(server.address, http_timeout=0.3))
    server.hold_answers()
    began = time.time()
    with pytest.raises(TimedOut) as caught:
        driver.getHealth()
    assert 0.2 < time.time() - began < 60
    assert str(caught.value) == '%s has not answered within 0.3 seconds' % server.address
    server.release_answers()
    driver._http_timeout = 30.0         # this one may take its time
    assert driver.getHealth() == HEALTHY
    driver.close()


def test_peer_that_drips_its_answer_is_given_up(monkeypatch):
    # The driver's time goes on with what is sent, and not while the machine is busy with other things.
    stop, now, heard = threading.Event(), [0.0], []
    monkeypatch.setattr(_operator_http, 'monotonic', lambda: now[0])
    hear = _operator_http.Silence.heard

    def note(silence, size):
        hear(silence, size)
        heard.append(size)

    monkeypatch.setattr(_operator_http.Silence, 'heard', note)

    def drip(connection):
        read_request(connection)
        connection.sendall(b'HTTP/1.1 200 OK\r\nX-Padding: ')
        try:
            while not stop.is_set():
                connection.sendall(b'x')
                now[0] += 0.05
                stop.wait(0.05)
        except socket.error as error:
            assert error.errno in (errno.EPIPE, errno.ECONNRESET)

    def drip_slowly_but_well(connection):
        read_request(connection)
        head = b'HTTP/1.1 200 OK\r\nContent-Length: 6000\r\n\r\n'
        connection.sendall(head)
        for number in range(6):
            connection.sendall(b' ' * 1000)
            wait_until(lambda: sum(heard) == len(head) + 1000 * (number + 1), message='the driver to read it')
            now[0] += 0.1

    with raw_server(drip_slowly_but_well, drip) as address:
        driver = patient(MesosOperatorAgentDriver(address, http_timeout=0.4))
        assert driver.getHealth() == {}
        driver.close()
        with pytest.raises(TimedOut):
            driver.getHealth()
        stop.set()


def test_wait_for_a_container_has_no_limit(server):
    driver = patient(MesosOperatorAgentDriver(server.address, http_timeout=0.2))
    server.answers['WAIT_NESTED_CONTAINER'] = {'type': 'WAIT_NESTED_CONTAINER',
                                               'wait_nested_container': {'exit_status': 256}}
    server.delay_answers(1.0)
    assert driver.waitNestedContainer('c', 'p')['wait_nested_container'] == {'exit_status': 256}
    driver.close()


def test_metrics_may_take_the_time_that_was_given_to_them(server):
    driver = patient(MesosOperatorAgentDriver(server.address, http_timeout=0.2))
    server.delay_answers(0.6)
    assert driver.getMetrics(timeout=30 * 10 ** 9) == {}
    with pytest.raises(TimedOut):
        driver.getMetrics()


def test_calls_of_several_threads_do_not_wait_for_each_other(server, agent):
    server.hold_answers('WAIT_NESTED_CONTAINER')
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(agent.waitNestedContainer('c')))
    waiting.start()
    server.await_call('WAIT_NESTED_CONTAINER')
    assert agent.getHealth() == HEALTHY
    server.release_answers()
    waiting.join(30)
    assert answers == [{}]


def test_many_threads_get_their_own_answers(server, agent):
    server.on_call('LIST_FILES', lambda call: json_answer({'path': call.body['list_files']['path']}))
    server.hold_answers('LIST_FILES')   # until all are there: so all have a connection at once
    wrong = []

    def ask(name):
        for number in range(20):
            path = '/%d/%d' % (name, number)
            if agent.listFiles(path) != {'path': path}:
                wrong.append(path)

    threads = [threading.Thread(target=ask, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    server.await_call('LIST_FILES', count=8)
    server.release_answers()
    for thread in threads:
        thread.join(60)
    assert not wrong
    assert server.counts == {'LIST_FILES': 160}
    server.await_connections(_operator_http.MAX_IDLE)


def test_forked_child_makes_a_connection_of_its_own(server, agent):
    assert agent.getHealth() == HEALTHY
    child = os.fork()
    if not child:
        status = 1
        try:
            status = 0 if agent.getHealth() == HEALTHY else 2
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert agent.getHealth() == HEALTHY
    assert server.connections == 2
    assert [call.connection for call in server.calls] == [1, 2, 1]


def test_connections_are_closed_with_the_driver(server):
    driver = MesosOperatorAgentDriver(server.address)
    driver.getHealth()
    driver.close()
    driver.close()
    server.await_connections(0)


# ---- redirects, credentials, addresses

def test_redirect_is_followed_and_remembered(server):
    with ScriptedOperator() as leader:
        server.redirect_to(leader.netloc)
        driver = MesosOperatorMasterDriver(server.address)
        assert driver.getHealth() == HEALTHY
        assert driver.getHealth() == HEALTHY
        assert server.counts == {'GET_HEALTH': 1}
        assert leader.counts == {'GET_HEALTH': 2}
        leader.stop()
        server.redirect_to(None)
        assert driver.getHealth() == HEALTHY
        driver.close()


def test_circle_of_redirects_ends(server, agent):
    server.redirect_to(server.netloc)
    with pytest.raises(CallRejected) as caught:
        agent.getHealth()
    assert caught.value.status == 307
    assert server.counts == {'GET_HEALTH': 6}


@pytest.mark.parametrize('location', ['//', '//host:port/', 'ftp://host/'])
def test_redirect_to_nowhere_is_the_peers_fault(server, agent, location):
    server.answer_next(Answer(307, headers=[('Location', location)]))
    with pytest.raises(HttpError) as caught:
        agent.getHealth()
    assert 'redirects to a place that cannot be used' in str(caught.value)


def test_credentials_are_sent_and_those_of_another_driver_are_not():
    with ScriptedOperator(credentials=('user', 's3cret')) as server:
        good = MesosOperatorMasterDriver(server.address, principal='user', secret='s3cret')
        bad = MesosOperatorMasterDriver(server.address, principal='user')
        assert good.getHealth() == HEALTHY
        with pytest.raises(CallRejected) as caught:
            bad.getHealth()
        assert caught.value.status == 401
        assert '401' in str(caught.value)
        assert 'authorization' not in server.calls[-1].headers
        assert 's3cret' not in repr(good) + str(caught.value)
        good.close()
        bad.close()


def test_several_masters_are_tried_in_order(server, closed_port):
    uri = '127.0.0.1:%d,%s' % (closed_port, server.address)
    driver = MesosOperatorMasterDriver(uri)
    assert driver.getHealth() == HEALTHY
    driver.close()


def test_file_names_the_master(server, tmpdir):
    path = tmpdir.join('master')
    path.write(server.address + '\n')
    driver = MesosOperatorMasterDriver('file://%s' % path)
    assert driver.getHealth() == HEALTHY
    driver.close()


class LateDetector(object):
    """Tells a leader a moment after its start, or never."""

    made = []

    def __init__(self, listener, leaders):
        self.listener = listener
        self.leaders = leaders
        self.timer = threading.Timer(0.1, self.tell)
        self.is_stopped = False
        self.made.append(self)

    def tell(self):
        self.listener(())
        if self.leaders:
            self.listener(tuple(self.leaders))

    def start(self):
        self.timer.start()

    def stop(self):
        self.is_stopped = True
        self.timer.join()


def detect_late(monkeypatch, *leaders):
    del LateDetector.made[:]
    monkeypatch.setattr(operator_v1, 'detect', lambda uri, listener, scheme: LateDetector(listener, leaders))


def test_call_waits_for_a_leader_and_stops_looking_for_one(server, monkeypatch):
    detect_late(monkeypatch, operator_v1.parse_address(server.address))
    driver = MesosOperatorMasterDriver('zk://127.0.0.1/mesos')
    assert driver.getHealth() == HEALTHY
    assert driver.getHealth() == HEALTHY
    assert [detector.is_stopped for detector in LateDetector.made[1:]] == [True]
    driver.close()


def test_call_does_not_wait_for_ever_for_a_leader(monkeypatch):
    detect_late(monkeypatch)
    driver = MesosOperatorMasterDriver('zk://user:s3cret@127.0.0.1/mesos', http_timeout=0.3)
    with pytest.raises(TimedOut) as caught:
        driver.getHealth()
    assert str(caught.value) == 'found no leading master at zk://***@127.0.0.1/mesos within 0.3 seconds'
    assert LateDetector.made[-1].is_stopped


def test_leader_that_goes_before_it_is_asked_is_asked_all_the_same(monkeypatch, closed_port):
    class Fleeting(LateDetector):
        def start(self):
            for candidates in (self.leaders, ()):
                self.listener(candidates)

        def stop(self):
            pass

    address = operator_v1.parse_address('127.0.0.1:%d' % closed_port)
    monkeypatch.setattr(operator_v1, 'detect', lambda uri, listener, scheme: Fleeting(listener, (address,)))
    with pytest.raises(ConnectionFailed) as caught:
        MesosOperatorMasterDriver('zk://127.0.0.1/mesos').getHealth()
    assert caught.value.errno == errno.ECONNREFUSED


def test_master_that_no_longer_leads_is_looked_for_again(server, monkeypatch):
    detect_late(monkeypatch, operator_v1.parse_address(server.address))
    driver = MesosOperatorMasterDriver('zk://127.0.0.1/mesos')
    driver.getHealth()
    server.reject_next(503, 'No leader elected')
    with pytest.raises(CallRejected):
        driver.getHealth()
    driver.getHealth()
    assert len(LateDetector.made) == 3          # one by the constructor, to check the address
    driver.close()


def test_master_that_stopped_answering_is_looked_for_again(server, monkeypatch):
    detect_late(monkeypatch, operator_v1.parse_address(server.address))
    driver = MesosOperatorMasterDriver('zk://127.0.0.1/mesos', http_timeout=30.0)
    driver.getHealth()
    server.hold_answers()
    driver._http_timeout = 0.5
    with pytest.raises(TimedOut):
        driver.getHealth()
    driver._http_timeout = 30.0
    server.release_answers()
    driver.getHealth()
    assert len(LateDetector.made) == 3          # one by the constructor, to check the address
    driver.close()


def server_context(files):
    context = ssl.SSLContext(getattr(ssl, 'PROTOCOL_TLS_SERVER', ssl.PROTOCOL_SSLv23))
    context.load_cert_chain(files.cert_file, files.key_file)
    return context


def by_name(server):
    """``localhost:port``: the ssl of Python 2.7 knows no IP addresses in certificates."""
    return 'localhost:%d' % server.port


def test_tls_is_verified(certificate_files):
    with ScriptedOperator(ssl_context=server_context(certificate_files)) as server:
        stranger = MesosOperatorAgentDriver(server.address)
        with pytest.raises(ConnectionFailed) as caught:
            stranger.getHealth()
        assert 'certificate verify failed' in str(caught.value).lower()
        for tls in ({'ca_file': certificate_files.ca_file}, {'verify': False}):
            driver = MesosOperatorAgentDriver(by_name(server), tls=tls)
            assert driver.getHealth() == HEALTHY
            assert driver.getHealth() == HEALTHY
            driver.close()
        assert server.counts == {'GET_HEALTH': 4}
        with pytest.raises(ConnectionLost):
            MesosOperatorAgentDriver('http://' + server.netloc).getHealth()
        del server._server.failures[:]
    with pytest.raises(UsageError):
        MesosOperatorAgentDriver('host', tls={'ca': 'x'})


def test_redirect_does_not_leave_tls(certificate_files):
    context = server_context(certificate_files)
    with ScriptedOperator(ssl_context=context) as server, ScriptedOperator(ssl_context=context) as leader:
        server.redirect_to('http://' + by_name(leader))
        driver = MesosOperatorMasterDriver(by_name(server), tls={'ca_file': certificate_files.ca_file})
        assert driver.getHealth() == HEALTHY
        assert leader.counts == {'GET_HEALTH': 1}
        driver.close()


def test_domain_socket_and_ipv6(tmpdir):
    for options in ({'unix_path': str(tmpdir.join('agent.sock'))}, {'host': '::1'}):
        with ScriptedOperator(**options) as server:
            driver = MesosOperatorAgentDriver(server.address)
            assert driver.getHealth() == HEALTHY
            assert server.calls[-1].headers['host'] == server.netloc
            driver.close()


def test_header_with_a_line_break_is_refused(server, agent):
    with pytest.raises(UsageError):
        agent._send({'type': 'GET_HEALTH'}, headers={'X-Tag': 'a\r\nb'})
    assert agent.getHealth() == HEALTHY


def test_another_path_and_method_can_be_asked(server, agent):
    assert agent._send('', path='/version', method='GET')['version'] == '1.11.0'
    with pytest.raises(CallRejected) as caught:
        agent._send('', path='/nope', method='GET')
    assert str(caught.value).startswith('Failed to send /nope to ')


# ---- container streams

def process_io(text, kind='STDOUT'):
    return {'type': 'DATA', 'data': {'type': kind, 'data': encode_data(text)}}


def heartbeat(nanoseconds):
    interval = {'interval': {'nanoseconds': nanoseconds}}
    return {'type': 'CONTROL', 'control': {'type': 'HEARTBEAT', 'heartbeat': interval}}


def test_output_is_streamed_as_it_comes(server, agent):
    with agent.attachContainerOutput('c') as output:
        stream = server.stream
        assert stream.call.headers['accept'] == 'application/recordio'
        assert stream.call.headers['message-accept'] == 'application/json'
        assert stream.call.body['attach_container_output'] == {'container_id': {'value': 'c'}}
        stream.send_event(process_io(b'hello'))
        first = next(output)
        assert decode_data(first['data']['data']) == b'hello'
        stream.send_event(process_io(b'ouch', 'STDERR'), chunk_size=3)
        stream.send_event(heartbeat(30000000000))
        assert next(output)['data']['type'] == 'STDERR'
        assert next(output)['type'] == 'CONTROL'
        stream.end()
        assert list(output) == []
        assert list(output) == []
    server.await_connections(0)


def test_session_is_streamed_and_ends_with_its_iterator(server, agent):
    launch = {'container_id': {'value': 'c', 'parent': {'value': 'p'}}, 'command': {'value': 'date'}}
    output = agent.launchNestedContainerSession(launch)
    server.send_event(process_io(b'x'))
    assert next(output)['type'] == 'DATA'
    assert server.calls[-1].body == {'type': 'LAUNCH_NESTED_CONTAINER_SESSION',
                                     'launch_nested_container_session': launch}
    output.close()
    output.close()
    assert list(output) == []
    server.await_connections(0)


def test_refused_stream_raises_at_once(server, agent):
    server.reject_next(404, 'Container c cannot be found')
    with pytest.raises(CallRejected) as caught:
        agent.attachContainerOutput('c')
    assert caught.value.call == 'ATTACH_CONTAINER_OUTPUT'
    assert caught.value.status == 404


def test_stream_that_breaks_is_an_error(server, agent):
    output = agent.attachContainerOutput('c')
    server.send_event(process_io(b'x'))
    server.stream.flush()
    assert next(output)
    server.stream.close()
    with pytest.raises(ConnectionLost):
        next(output)
    assert list(output) == []


def test_stream_that_ends_inside_a_record_is_an_error(server, agent):
    output = agent.attachContainerOutput('c')
    server.send_raw(b'100\n{"type"')
    server.stream.end()
    with pytest.raises(RecordError):
        next(output)


def test_bad_record_is_an_error_after_those_before_it(server, agent):
    output = agent.attachContainerOutput('c')
    server.send_raw(recordio.encode(json.dumps(process_io(b'x')).encode()) + b'+5\n')
    assert next(output)['type'] == 'DATA'
    with pytest.raises(RecordError):
        next(output)


def test_stream_without_heartbeats_is_given_up(server, agent):
    output = agent.attachContainerOutput('c')
    server.send_event(heartbeat(100000000))
    assert next(output)['type'] == 'CONTROL'
    with pytest.raises(TimedOut) as caught:
        next(output)
    assert 'within 0.5 seconds' in str(caught.value)


def test_close_ends_the_wait_of_another_thread(server, agent):
    output = agent.attachContainerOutput('c')
    got = []
    reader = threading.Thread(target=lambda: got.append(list(output)))
    reader.start()
    wait_until(lambda: output._is_reading, message='the thread to read')
    output.close()
    reader.join(30)
    assert got == [[]]
    server.await_connections(0)


def read_chunks(connection, data):
    """The body in chunks that begins with `data`."""
    while not data.endswith(b'0\r\n\r\n'):
        data += connection.recv(65536)
    body = b''
    while data:
        size, _, data = data.partition(b'\r\n')
        body += data[:int(size, 16)]
        data = data[int(size, 16) + 2:]
    return body


def test_input_is_streamed_as_it_is_produced():
    seen = []
    is_first_there = threading.Event()

    def script(connection):
        head, _, data = read_until(connection, b'\r\n\r\n').partition(b'\r\n\r\n')
        while b'aGk=' not in data:
            data += connection.recv(65536)
        is_first_there.set()
        seen.extend([head, read_chunks(connection, data)])
        connection.sendall(OK)

    def produce():
        yield process_io(b'hi', 'STDIN')
        assert is_first_there.wait(30)
        yield process_io(b'', 'STDIN')

    with raw_server(script) as address:
        driver = MesosOperatorAgentDriver(address)
        assert driver.attachContainerInput('c', produce()) is None
        driver.close()
    head = seen[0].decode().lower().split('\r\n')
    assert 'transfer-encoding: chunked' in head
    assert 'content-type: application/recordio' in head
    assert 'message-content-type: application/json' in head
    assert not [line for line in head if line.startswith('content-length')]
    records = [json.loads(record.decode()) for record in recordio.Decoder().feed(seen[1])]
    assert records[0]['attach_container_input'] == {'type': 'CONTAINER_ID', 'container_id': {'value': 'c'}}
    assert [record['attach_container_input']['process_io'] for record in records[1:]] == [
        process_io(b'hi', 'STDIN'), process_io(b'', 'STDIN')]


def test_input_that_is_refused_stops_the_iterable():
    refused = threading.Event()

    def script(connection):
        read_until(connection, b'CONTAINER_ID')
        connection.sendall(b'HTTP/1.1 409 Conflict\r\nContent-Length: 4\r\n\r\nbusy')
        refused.set()
        while connection.recv(65536):
            pass

    def produce():
        assert refused.wait(30)
        while True:
            yield process_io(b'hi', 'STDIN')

    with raw_server(script) as address:
        driver = MesosOperatorAgentDriver(address)
        with pytest.raises(CallRejected) as caught:
            driver.attachContainerInput('c', produce())
        driver.close()
    assert (caught.value.status, caught.value.body, caught.value.call) == (409, 'busy', 'ATTACH_CONTAINER_INPUT')


def test_input_that_is_no_process_io_ends_the_connection():
    def script(connection):
        with pytest.raises(AssertionError):
            read_until(connection, b'0\r\n\r\n')

    with raw_server(script) as address:
        with pytest.raises(UsageError):
            MesosOperatorAgentDriver(address).attachContainerInput('c', [{'type': 'OUCH'}])


def test_input_over_tls_is_sent(certificate_files):
    # The tickets of TLS 1.3 make a socket readable that has no answer.
    context = server_context(certificate_files)
    listener = socket.socket()
    listener.bind(('127.0.0.1', 0))
    listener.listen(1)
    bodies = []

    def serve():
        connection = context.wrap_socket(listener.accept()[0], server_side=True)
        connection.settimeout(30)
        data = read_until(connection, b'\r\n\r\n').partition(b'\r\n\r\n')[2]
        bodies.append(read_chunks(connection, data))
        connection.sendall(OK)
        connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    driver = MesosOperatorAgentDriver('https://127.0.0.1:%d' % listener.getsockname()[1], tls={'verify': False})
    driver.attachContainerInput('c', [process_io(b'hi', 'STDIN')] * 3)
    thread.join(30)
    listener.close()
    driver.close()
    assert len(recordio.Decoder().feed(bodies[0])) == 4


# ---- the subscription

class Recorder(object):
    """An operator that keeps what it is told."""

    def __init__(self):
        self.told = []

    def taskAdded(self, task):
        self.told.append(('taskAdded', task))

    def taskUpdated(self, update):
        self.told.append(('taskUpdated', update))

    def frameworkAdded(self, framework):
        self.told.append(('frameworkAdded', framework))

    def frameworkUpdated(self, framework):
        self.told.append(('frameworkUpdated', framework))

    def frameworkRemoved(self, info):
        self.told.append(('frameworkRemoved', info))

    def agentAdded(self, agent):
        self.told.append(('agentAdded', agent))

    def agentRemoved(self, agent_id):
        self.told.append(('agentRemoved', agent_id))


FRAMEWORK = {'framework_info': {'name': 'f', 'id': {'value': '1'}}, 'active': True}
EVENTS = [
    ({'task': {'task_id': {'value': 't'}}}, 'TASK_ADDED', 'taskAdded', {'task_id': {'value': 't'}}),
    ({'status': {'state': 'TASK_RUNNING'}, 'state': 'TASK_RUNNING'}, 'TASK_UPDATED', 'taskUpdated',
     {'status': {'state': 'TASK_RUNNING'}, 'state': 'TASK_RUNNING'}),
    ({'framework': FRAMEWORK}, 'FRAMEWORK_ADDED', 'frameworkAdded', FRAMEWORK),
    ({'framework': FRAMEWORK}, 'FRAMEWORK_UPDATED', 'frameworkUpdated', FRAMEWORK),
    ({'framework_info': FRAMEWORK['framework_info']}, 'FRAMEWORK_REMOVED', 'frameworkRemoved',
     FRAMEWORK['framework_info']),
    ({'agent': {'active': True}}, 'AGENT_ADDED', 'agentAdded', {'active': True}),
    ({'agent_id': {'value': 'a'}}, 'AGENT_REMOVED', 'agentRemoved', 'a'),
]


def send_all(server):
    for payload, kind, _name, _value in EVENTS:
        server.send_event({'type': kind, kind.lower(): payload})


def finish(driver):
    driver.stop()
    driver.join()


@pytest.mark.parametrize('use_addict', [False, True])
def test_events_reach_the_operator(server, use_addict):
    operator = Recorder()
    driver = MesosOperatorMasterDriver(server.address, operator, use_addict=use_addict)
    driver.start()
    server.await_subscribe()
    send_all(server)
    wait_until(lambda: len(operator.told) == len(EVENTS), message='the events')
    assert operator.told == [(name, value) for _payload, _kind, name, value in EVENTS]
    if use_addict:
        assert operator.told[2][1].framework_info.name == 'f'
        assert not operator.told[2][1].nothing
    else:
        assert type(operator.told[2][1]) is dict
    finish(driver)
    call = server.calls_of('SUBSCRIBE')[0]
    assert call.body == {'type': 'SUBSCRIBE'}
    assert call.headers['host'] == server.netloc


def test_missing_callbacks_and_a_missing_operator_count_as_empty(server):
    class Partial(object):
        removed = None

        def agentRemoved(self, agent_id):
            self.removed = agent_id

    partial = Partial()
    for count, operator in enumerate((partial, None), 1):
        driver = MesosOperatorMasterDriver(server.address, operator)
        seen = []
        on_event = driver.on_event
        driver.on_event = lambda event: (on_event(event), seen.append(event['type']))
        driver.start()
        server.await_subscribe(count)
        send_all(server)
        wait_until(lambda: seen[-1:] == ['AGENT_REMOVED'], message='the last event')
        assert seen[:2] == ['SUBSCRIBED', 'HEARTBEAT']
        assert driver.failure is None
        finish(driver)
    assert partial.removed == 'a'


def test_unknown_and_broken_events_are_passed_over(server):
    operator = Recorder()
    driver = MesosOperatorMasterDriver(server.address, operator)
    driver.start()
    server.await_subscribe()
    for event in ({'type': 'NEWS', 'news': {}}, {'type': 'EVENT', 'event': {}}, {}, {'type': 'TASK_ADDED'},
                  {'type': 'CLOSE', 'close': {}}, {'type': 7}):
        server.send_event(event)
    send_all(server)
    wait_until(lambda: len(operator.told) == len(EVENTS), message='the events')
    finish(driver)


def test_state_at_the_beginning_is_there_for_a_subclass(server):
    states = []

    class Driver(MesosOperatorMasterDriver):
        def on_subscribed(self, info):
            states.append(info['get_state'])

    driver = Driver(server.address)
    driver.start()
    wait_until(lambda: states, message='the state')
    server.cut()
    wait_until(lambda: len(states) == 2, message='the state after the loss')
    assert states == [STATE, STATE]
    assert driver.connected
    finish(driver)
    assert not driver.connected


def test_callback_may_call(server):
    answers = []

    class Caller(Recorder):
        def agentRemoved(self, agent_id):
            answers.append(driver.getHealth())

    driver = MesosOperatorMasterDriver(server.address, Caller())
    driver.start()
    server.await_subscribe()
    send_all(server)
    wait_until(lambda: answers, message='the answer')
    assert answers == [HEALTHY]
    finish(driver)


def test_subscription_follows_the_leader_and_calls_follow_the_subscription(server):
    with ScriptedOperator() as leader:
        server.redirect_to(leader.netloc)
        driver = MesosOperatorMasterDriver(server.address)
        driver.start()
        leader.await_subscribe()
        wait_until(lambda: driver.connected, message='the subscription')
        assert driver.master == leader.netloc
        assert driver.getHealth() == HEALTHY
        assert server.counts == {'SUBSCRIBE': 1}
        finish(driver)


def test_subscription_carries_credentials_and_a_refused_one_ends_the_driver():
    with ScriptedOperator(credentials=('user', 'secret')) as server:
        driver = MesosOperatorMasterDriver(server.address, principal='user', secret='secret')
        driver.start()
        server.await_subscribe()
        finish(driver)
        driver = MesosOperatorMasterDriver(server.address, principal='user', secret='wrong')
        driver.start()
        driver.join()
        assert isinstance(driver.failure, CallRejected)
        assert driver.failure.status == 401


def test_subscription_over_tls(certificate_files):
    with ScriptedOperator(ssl_context=server_context(certificate_files)) as server:
        driver = MesosOperatorMasterDriver('https://' + by_name(server), tls={'ca_file': certificate_files.ca_file})
        driver.start()
        wait_until(lambda: driver.connected, message='the subscription')
        finish(driver)


def test_silent_master_is_noticed():
    with ScriptedOperator(heartbeat_interval=0.1) as server:
        server.heartbeats = False
        driver = MesosOperatorMasterDriver(server.address)
        driver.start()
        server.await_subscribe()
        server.await_subscribe(count=2)
        finish(driver)


def test_driver_subscribes_elsewhere_when_told(server):
    with ScriptedOperator() as other:
        driver = MesosOperatorMasterDriver(server.address)
        driver.start()
        server.await_subscribe()
        driver.change_master(other.address)
        other.await_subscribe()
        finish(driver)
        driver.init(server.address)
        assert driver.getHealth() == HEALTHY
        assert server.counts['GET_HEALTH'] == 1
        driver.close()

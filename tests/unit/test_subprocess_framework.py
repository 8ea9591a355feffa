"""The framework behind Popen, on a scripted master and with executors played by hand."""
from __future__ import absolute_import, division, print_function

import json
import os
import threading
from binascii import unhexlify
from collections import namedtuple

import pytest
from subprocess_dialling import get, shake_hands

from pymesos._compat import monotonic
from pymesos.errors import ConnectionFailed, UsageError
from pymesos.resources import parse
from pymesos.subprocess import cluster as cluster_module
from pymesos.subprocess import config
from pymesos.subprocess.cluster import Cluster, default
from pymesos.subprocess.errors import StartFailed, StartTimeout, TaskLost
from pymesos.subprocess.request import Request, Stream, Streams, make_spec
from pymesos.subprocess.streams.link import Data, Link
from pymesos.subprocess.streams.protocol import CONTROL, EXECUTOR_SENDS, PROGRAM_SENDS, ControlDecoder, encode_control
from pymesos.testing import ScriptedMaster, wait_until
from pymesos.utils import decode_data, encode_data

NO_STREAMS = Streams(None, None, None)

Peer = namedtuple('Peer', 'identity key')


class Executor(object):
    """An executor's end of a task's connection."""

    made = []

    def __init__(self, cluster, task):
        ticket = json.loads(decode_data(task['data']).decode('ascii'))
        self.sock, _ = shake_hands(cluster._runtime.hub, Peer(unhexlify(ticket['identity']), unhexlify(ticket['key'])))
        self.made.append(self)
        self.sock.settimeout(30.0)
        self._link = Link(EXECUTOR_SENDS, PROGRAM_SENDS)
        self._decoder = ControlDecoder()
        self._link.connected(monotonic())
        self._write()

    def _write(self):
        for piece in self._link.output():
            self.sock.sendall(piece)

    def say(self, **message):
        self._link.send(CONTROL, encode_control(message))
        self._write()

    def hear(self):
        """The next control message."""
        while True:
            data = self.sock.recv(65536)
            assert data, 'the program has closed the connection'
            found = []
            for event in self._link.feed(data):
                if isinstance(event, Data) and event.channel == CONTROL:
                    found += self._decoder.feed(event.data)
                    self._link.consumed(CONTROL, len(event.data))
            self._write()
            if found:
                return found[0]

    def close(self):
        self.sock.close()


@pytest.fixture(autouse=True)
def closed_executors():
    yield
    while Executor.made:
        Executor.made.pop().close()


@pytest.fixture
def master():
    with ScriptedMaster(framework_id='f') as master:
        yield master


@pytest.fixture
def cluster(master):
    with Cluster(master.address, default_cpus=1, default_mem=64) as cluster:
        yield cluster


def launch(cluster, *args, **wanted):
    return cluster.launch(Request(**wanted), make_spec(list(args) or ['true'], stdin='null', stdout='null',
                                                       stderr='null'), NO_STREAMS)


def offer(master, number=1, text='cpus:4;mem:4096', role='*'):
    resources = parse(text).to_list()
    for resource in resources:
        resource['allocation_info'] = {'role': role}
    master.send_event({'type': 'OFFERS', 'offers': {'offers': [{
        'id': {'value': 'o%d' % number}, 'framework_id': {'value': 'f'}, 'agent_id': {'value': 'a1'}, 'hostname': 'h',
        'allocation_info': {'role': role}, 'resources': resources}]}})


def update(master, state, task_id='command-1', returncode=None, **fields):
    status = dict(fields, task_id={'value': task_id}, state=state, agent_id={'value': 'a1'})
    if returncode is not None:
        status['data'] = encode_data(json.dumps({'returncode': returncode}).encode('ascii'))
    master.send_event({'type': 'UPDATE', 'update': {'status': status}})


def accepted(master, count=1):
    """The TaskInfos of the latest ACCEPT, once there were so many."""
    call = master.await_call('ACCEPT', count=count)
    operation, = call.body['accept']['operations']
    return operation['launch']['task_infos']


def framework_info(master, number=1):
    """The FrameworkInfo of a SUBSCRIBE."""
    master.await_subscribe(number)
    return master.calls_of('SUBSCRIBE')[number - 1].body['subscribe']['framework_info']


def place(cluster, master, number=1):
    """Bring a command to an executor; (Remote, Executor)."""
    remote = launch(cluster)
    master.await_subscribe()
    offer(master, number)
    task, = accepted(master, number)
    return remote, Executor(cluster, task)


def test_life_of_a_command(cluster, master):
    remote, executor = place(cluster, master)
    start = executor.hear()
    assert (start['type'], start['args']) == ('START', [encode_data(b'true')])
    assert not remote.wait_started(0.05)
    executor.say(type='STARTED', pid=77, hostname=u'there')
    assert remote.wait_started(30)
    assert (remote.pid, remote.hostname, remote.agent_id, remote.task_id) == (77, 'there', 'a1', 'command-1')
    update(master, 'TASK_RUNNING')
    wait_until(lambda: remote.state == 'TASK_RUNNING', message='the state')
    executor.say(type='EXITED', returncode=-11, drained={})
    assert remote.wait(30)
    assert (remote.returncode, remote.error) == (-11, None)
    update(master, 'TASK_FAILED', returncode=-11)
    executor.close()


def test_first_subscription_is_as_configured(master):
    with Cluster(master.address, role='eng', user='me', name='mine', failover_timeout=7.0) as cluster:
        launch(cluster)
        info = framework_info(master)
        wait_until(lambda: cluster.framework_id, message='the subscription')     # without one there is no farewell
    assert (info['roles'], info['user'], info['name'], info['failover_timeout']) == (['eng'], 'me', 'mine', 7.0)
    assert info['checkpoint'] is True
    master.await_call('TEARDOWN')


def test_nothing_is_connected_before_the_first_command(master):
    with Cluster(master.address):
        pass
    assert master.connections == 0


def test_bundle_is_served_to_who_has_the_task(cluster, master):
    launch(cluster)
    master.await_subscribe()
    offer(master)
    task, = accepted(master)
    uri = task['executor']['command']['uris'][-1]['value']
    hub = cluster._runtime.hub
    assert uri.startswith('http://127.0.0.1:%d/' % hub.port)
    head, body = get(hub, '/' + uri.split('/', 3)[3])
    assert head.startswith(b'HTTP/1.1 200') and body[:2] == b'PK'


def test_agents_are_told_what_they_are_to_dial(master):
    with Cluster(master.address, advertised_host='gate.example', advertised_port=4711) as cluster:
        launch(cluster)
        master.await_subscribe()
        offer(master)
        task, = accepted(master)
        ticket = json.loads(decode_data(task['data']).decode('ascii'))
        assert (ticket['host'], ticket['port']) == ('gate.example', 4711)
        assert task['executor']['command']['uris'][-1]['value'].startswith('http://gate.example:4711/')


def test_address_that_agents_elsewhere_cannot_dial_is_warned_of(caplog, master, monkeypatch):
    monkeypatch.setattr(cluster_module.Driver, 'master', 'mesos.example:5050')
    with Cluster(master.address) as cluster:
        launch(cluster)
        master.await_subscribe()
        wait_until(lambda: [record for record in caplog.records if 'agents are told to dial' in record.getMessage()],
                   message='the warning')


def test_commands_go_in_one_accept(cluster, master):
    remotes = [launch(cluster) for _ in range(3)]
    master.await_subscribe()
    wait_until(lambda: cluster._runtime.keeper._pool.running == 3, message='all commands')
    offer(master)
    assert [task['task_id']['value'] for task in accepted(master)] == ['command-1', 'command-2', 'command-3']
    assert [remote.task_id for remote in remotes] == ['command-1', 'command-2', 'command-3']


def test_rescinded_offer_is_not_accepted(cluster, master):
    launch(cluster, cpus=8)
    master.await_subscribe()
    offer(master)
    master.send_event({'type': 'RESCIND', 'rescind': {'offer_id': {'value': 'o1'}}})
    offer(master, 2, 'cpus:9;mem:999')
    assert master.await_call('ACCEPT').body['accept']['offer_ids'] == [{'value': 'o2'}]


def test_stale_offer_is_tried_again_with_another(cluster, master):
    remote = launch(cluster)
    master.await_subscribe()
    offer(master)
    accepted(master)
    update(master, 'TASK_DROPPED', reason='REASON_INVALID_OFFERS')
    offer(master, 2)
    task, = accepted(master, 2)
    assert task['task_id']['value'] == 'command-1.2'
    wait_until(lambda: remote.task_id == 'command-1.2', message='the second attempt')


def test_repeated_updates_change_nothing(cluster, master):
    remote, executor = place(cluster, master)
    executor.hear()
    executor.say(type='STARTED', pid=77, hostname=u'there')
    for _ in range(3):
        update(master, 'TASK_RUNNING', uuid=encode_data(b'u' * 16))
    executor.say(type='EXITED', returncode=0, drained={})
    for _ in range(3):
        update(master, 'TASK_FINISHED', returncode=0, uuid=encode_data(b'v' * 16))
    assert remote.wait(30) and remote.returncode == 0
    master.await_call('ACKNOWLEDGE', count=6)


def test_refused_accept_is_an_error_in_the_end(cluster, master):
    remote = launch(cluster)
    master.await_subscribe()
    master.reject_next(400, 'what is that', type='ACCEPT', times=None)
    for number in range(1000):          # it waits longer each time, and holds no offer meanwhile
        offer(master, number)
        if remote.wait(0.1):
            break
    assert master.counts['ACCEPT'] == 3
    with pytest.raises(StartFailed) as caught:
        remote.wait_started(30)
    assert 'the master refused to launch the command: ' in str(caught.value) and 'what is that' in str(caught.value)


def test_command_that_cannot_be_begun_raises_what_the_agent_says(cluster, master):
    remote, executor = place(cluster, master)
    executor.hear()
    executor.say(type='NOT_STARTED', exception=u'FileNotFoundError', errno=2, strerror=u'No such file or directory',
                 filename=encode_data(b'true'), text=u'', traceback=u'there')
    with pytest.raises(OSError) as caught:
        remote.wait_started(30)
    assert (caught.value.errno, caught.value.filename, caught.value.remote_traceback) == (2, 'true', 'there')


def test_stray_peer_of_an_old_attempt_is_not_begun(cluster, master):
    launch(cluster)
    master.await_subscribe()
    offer(master)
    task, = accepted(master)
    update(master, 'TASK_LOST')
    offer(master, 2)
    accepted(master, 2)
    with pytest.raises(AssertionError):
        Executor(cluster, task)


def test_role_of_a_command_is_subscribed_to(cluster, master):
    launch(cluster, role='eng')
    call = master.await_call('UPDATE_FRAMEWORK')
    assert sorted(call.body['update_framework']['framework_info']['roles']) == ['*', 'eng']
    wait_until(lambda: [call for call in master.calls_of('REVIVE') if call.body['revive']['roles'] == ['eng']],
               message='REVIVE')
    offer(master, role='eng')
    accepted(master)
    master.cut()                        # the next subscription has it as well
    assert sorted(framework_info(master, 2)['roles']) == ['*', 'eng']


def test_reconciliation_follows_every_subscription(cluster, master):
    _, executor = place(cluster, master)
    executor.hear()
    master.cut()
    tasks = master.await_call('RECONCILE').body['reconcile']['tasks']
    assert tasks == [{'task_id': {'value': 'command-1'}, 'agent_id': {'value': 'a1'}}]


def test_error_of_the_master_ends_everything_and_the_next_command_has_a_new_framework(cluster, master):
    remote, executor = place(cluster, master)
    executor.hear()
    executor.say(type='STARTED', pid=77, hostname=u'there')
    waiting = launch(cluster, cpus=100)
    assert remote.wait_started(30)
    master.send_event({'type': 'ERROR', 'error': {'message': 'Framework has been removed'}})
    assert remote.wait(30) and waiting.wait(30)
    assert isinstance(remote.error, TaskLost)
    with pytest.raises(StartFailed) as caught:
        waiting.wait_started()
    assert str(caught.value) == 'the framework has ended: Framework has been removed'
    wait_until(lambda: cluster.framework_id is None, message='the end of it')
    launch(cluster)
    assert 'id' not in framework_info(master, 2)


def test_start_timeout_is_told(cluster, master):
    remote = launch(cluster, start_timeout=0.2)
    with pytest.raises(StartTimeout):
        remote.wait_started(30)


def test_cancel_is_told_to_mesos(cluster, master):
    remote, executor = place(cluster, master)
    executor.hear()
    executor.say(type='STARTED', pid=77, hostname=u'there')
    assert remote.wait_started(30)
    remote.cancel()
    assert master.await_call('KILL').body['kill']['task_id'] == {'value': 'command-1'}
    executor.say(type='EXITED', returncode=-15, drained={})
    assert remote.wait(30) and remote.returncode == -15


def test_signal_goes_over_the_connection(cluster, master):
    remote, executor = place(cluster, master)
    executor.hear()
    executor.say(type='STARTED', pid=77, hostname=u'there')
    assert remote.wait_started(30)
    remote.send_signal(10)
    assert executor.hear() == {'type': 'SIGNAL', 'number': 10}
    executor.say(type='EXITED', returncode=0, drained={})
    assert remote.wait(30)
    remote.send_signal(10)              # of no effect


def test_idle_executor_is_shut_down(master):
    with Cluster(master.address, executor_idle=0.1) as cluster:
        remote, executor = place(cluster, master)
        executor.hear()
        executor.close()
        update(master, 'TASK_FAILED', returncode=1, source='SOURCE_EXECUTOR')
        master.send_event({'type': 'FAILURE', 'failure': {'agent_id': {'value': 'a1'}, 'status': 9, 'executor_id': {
            'value': accepted(master)[0]['executor']['executor_id']['value']}}})
        assert remote.wait(30) and remote.returncode == 1
        master.await_call('SHUTDOWN')


def test_close_ends_what_nobody_answers_for(master):
    cluster = Cluster(master.address)
    remote, executor = place(cluster, master)
    executor.hear()
    executor.say(type='STARTED', pid=77, hostname=u'there')
    assert remote.wait_started(30)
    cluster.close(timeout=0.2)
    assert remote.wait(0)
    assert isinstance(remote.error, TaskLost)
    assert str(remote.error) == 'the cluster was closed'
    executor.close()
    cluster.close()
    master.await_call('TEARDOWN')
    assert master.counts['TEARDOWN'] == 1


def test_command_that_comes_while_it_closes_is_not_left_waiting(master):
    for _ in range(5):
        cluster = Cluster(master.address)
        launch(cluster)
        runtime = cluster._runtime
        closing = threading.Thread(target=cluster.close)
        closing.start()

        def submit():
            return runtime.submit(runtime.prepare(cluster.settings, Request(), make_spec(['true']), NO_STREAMS))

        remotes = [submit() for _ in range(50)]
        closing.join()
        remotes.append(submit())
        for remote in remotes:
            assert remote.wait(30)
            assert isinstance(remote.error, StartFailed)


# Descriptors and errors of launch().

def pipe_streams():
    reader, writer = os.pipe()
    os.close(writer)
    return Streams(Stream(reader, 'pipe'), None, None), os.fstat(reader).st_ino


def is_open(streams, inode):
    """Whether a descriptor is still the end of the pipe."""
    try:
        return os.fstat(streams.stdin.descriptor).st_ino == inode
    except OSError:
        return False


def test_descriptors_are_closed_if_the_command_never_begins(cluster, master):
    streams, inode = pipe_streams()
    remote = cluster.launch(Request(start_timeout=0.1), make_spec(['true']), streams)
    with pytest.raises(StartTimeout):
        remote.wait_started(30)
    assert not is_open(streams, inode)


@pytest.mark.parametrize('is_told', [False, True])
def test_interrupt_while_a_command_is_handed_over_closes_nothing_twice(cluster, master, is_told, monkeypatch):
    launch(cluster)
    keeper, closed, close = cluster._runtime.keeper, [], os.close
    tell = keeper.tell

    def interrupt(*args):
        del keeper.tell
        if is_told:
            tell(*args)
        raise KeyboardInterrupt

    def note_and_close(number):
        closed.append(number)
        close(number)

    streams, inode = pipe_streams()
    keeper.tell = interrupt
    monkeypatch.setattr(os, 'close', note_and_close)
    with pytest.raises(KeyboardInterrupt):
        cluster.launch(Request(), make_spec(['true']), streams)
    wait_until(lambda: not is_open(streams, inode))
    assert not keeper._submitted
    monkeypatch.undo()
    assert closed.count(streams.stdin.descriptor) == 1
    wait_until(lambda: len(keeper._jobs) == 1)      # the other one's: this one was withdrawn


@pytest.mark.parametrize('wanted', [{'constraints': 'rack'}, {'image': 5}, {'cpus': 0.0001}])
def test_what_cannot_be_asked_raises_at_once_and_closes_the_descriptors(cluster, wanted):
    streams, inode = pipe_streams()
    with pytest.raises(UsageError):
        cluster.launch(Request(**wanted), make_spec(['true']), streams)
    assert not is_open(streams, inode)


def test_port_that_is_taken_raises_and_leaves_nothing(master):
    with Cluster(master.address) as first:
        launch(first)
        with pytest.raises(ConnectionFailed) as caught:
            launch(Cluster(master.address, port=first._runtime.hub.port))
        assert 'cannot listen on 127.0.0.1, port %d' % first._runtime.hub.port in str(caught.value)


def test_master_that_cannot_be_read_raises():
    with pytest.raises(UsageError):
        launch(Cluster('local://what'))


# The default.

@pytest.fixture
def fresh(monkeypatch):
    monkeypatch.setattr(cluster_module, '_clusters', {})
    monkeypatch.setattr(config, 'CONFIG', {})


def test_default_is_the_same_for_the_same_master(fresh, monkeypatch):
    monkeypatch.setenv('MESOS_MASTER', 'one:5050')
    one = default()
    assert default() is one
    monkeypatch.setenv('MESOS_MASTER', 'two:5050')
    assert default() is not one
    monkeypatch.setenv('MESOS_MASTER', 'one:5050')
    assert default() is one


def test_default_takes_what_config_says_of_commands_from_then_on(fresh, monkeypatch):
    monkeypatch.setenv('MESOS_MASTER', 'one:5050')
    assert default().settings.default_cpus == 1
    config.CONFIG['default_cpus'] = 3
    assert default().settings.default_cpus == 3


def test_default_with_an_unknown_name_in_config_is_an_error(fresh):
    config.CONFIG['nonsense'] = 1
    with pytest.raises(UsageError):
        default()


def test_repr_shows_the_master():
    assert repr(Cluster('m', principal='p', secret='hush')) == '<Cluster m>'
    assert repr(Cluster('zk://me:hush@z:1/mesos')) == '<Cluster zk://***@z:1/mesos>'

"""Attacks on a running embedded cluster, while it works for somebody else and must not be disturbed."""
from __future__ import absolute_import, division, print_function

import json
import logging
import os
import pwd
import signal
import socket
import subprocess
import tarfile
import threading
from base64 import b64encode
from collections import namedtuple

import pytest

from pymesos.errors import UsageError
from pymesos.local import LocalCluster
from pymesos.resources import Resources
from pymesos.testing import wait_until
from recorders import FRAMEWORK, Recorder, run_program, scheduling

TIMEOUT = 60.0

SMALL = 'cpus:64;mem:65536;disk:1000'

CREDENTIALS = {'ada': 'sesam-open-thyself'}

Peer = namedtuple('Peer', ['address'])

ENDED = ('TASK_FINISHED', 'TASK_FAILED', 'TASK_KILLED', 'TASK_LOST', 'TASK_ERROR', 'TASK_DROPPED')

is_root = pytest.mark.skipif(os.geteuid() != 0, reason='only root can run processes as somebody else')


class Worker(Recorder):
    """Runs TaskInfos, and remembers how they fare."""

    def __init__(self, *tasks):
        super(Worker, self).__init__()
        self._waiting = list(tasks)
        self._lock = threading.Lock()

    def give(self, *tasks):
        with self._lock:
            self._waiting += tasks

    def resourceOffers(self, driver, offers):
        for offer in offers:
            with self._lock:
                tasks, self._waiting = self._waiting[:20], self._waiting[20:]
            left, infos = Resources(offer['resources']), []
            for task in tasks:
                taken, left = left.take('cpus:0.1;mem:32')
                infos.append(dict(task, agent_id=offer['agent_id'], resources=taken.to_list()))
            driver.launchTasks(offer['id'], infos, {'refuse_seconds': 0})

    def states(self, name):
        """The states of a task so far."""
        return [status['state'] for status, in self.of('statusUpdate') if status['task_id']['value'] == name]

    def end(self, name):
        """The last state of a task."""
        def found():
            return [state for state in self.states(name) if state in ENDED]
        wait_until(found, timeout=TIMEOUT, message='the end of %s' % name)
        return found()[0]


def task(name, command='true', **more):
    command = command if isinstance(command, dict) else {'value': command}
    info = {'task_id': {'value': name}, 'name': name, 'command': command}
    info.update(more)
    return info


class Faults(logging.Handler):
    """Keeps what was logged with a traceback, or as an error."""

    def __init__(self):
        super(Faults, self).__init__()
        self.seen = []

    def emit(self, record):
        if record.exc_info or record.levelno >= logging.ERROR:
            self.seen.append(self.format(record))


@pytest.fixture
def faults():
    handler = Faults()
    logging.getLogger('pymesos').addHandler(handler)
    yield handler.seen
    logging.getLogger('pymesos').removeHandler(handler)


def connect(address):
    host, port = address.split(':')
    return socket.create_connection((host, int(port)), TIMEOUT)


def ask(address, data):
    """The status of the answer to some bytes; None if there is none before the connection is closed."""
    sock = connect(address)
    try:
        sock.sendall(data)
        line = sock.makefile('rb').readline().split()
        return int(line[1]) if line else None
    except socket.timeout:
        raise AssertionError('no answer to %r' % data[:200])
    except socket.error:                # closed before it had read all
        return None
    finally:
        sock.close()


def post(address, path, body, headers=()):
    """The status of the answer to a call; `body` is a dict or bytes."""
    body = body if isinstance(body, bytes) else json.dumps(body).encode('ascii')
    lines = ['POST %s HTTP/1.1' % path, 'Host: ' + address, 'Content-Type: application/json',
             'Accept: application/json', 'Content-Length: %d' % len(body)] + ['%s: %s' % header for header in headers]
    return ask(address, '\r\n'.join(lines + ['', '']).encode('ascii') + body)


def launch(name, command):
    return {'type': 'LAUNCH_CONTAINER', 'launch_container': {
        'container_id': {'value': name}, 'command': {'value': command}}}


# ---- all at once

GARBAGE = [
    b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', b'\0' * 1000, b'GET / HTTP/9.9\r\n\r\n', b'X' * 200000,
    b'GET /' + b'a' * 100000 + b' HTTP/1.1\r\n\r\n', b'GET / HTTP/1.1\r\n' + b'a: b\r\n' * 20000 + b'\r\n',
    b'POST /api/v1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzzzz\r\n',
    b'GET /\xff\xfe HTTP/1.1\r\nHost: \xff\r\n\r\n',
    b'POST /api/v1 HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n',
    b'POST /api/v1 HTTP/1.1\r\nContent-Length: -1\r\n\r\n', b'GET http://[::1 HTTP/1.1\r\n\r\n',
    b'POST /api/v1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n']

BODIES = [
    b'[' * 100000, b'{"a":' * 100000, b'[' * 201 + b'\\"' * 200000, b'{"type":' + b'7' * 200000 + b'}', b'\xff\xfe\x00',
    b'"\\ud800"', b'null', b'5', b'', b'{"type":"LIST_FILES","list_files":{"path":"' + b'/a' * 200000 + b'"}}',
    b'{"type":"UPDATE_WEIGHTS","update_weights":{"weight_infos":[{"role":"a","weight":"Infinity"}]}}',
    b'{"type":"READ_FILE","read_file":{"path":"/../../../etc/passwd","offset":-5,"length":-5}}',
    b'{"type":"WAIT_CONTAINER","wait_container":{"container_id":{"value":"' + b'x' * 100000 + b'"}}}']

#: Fields of a task that once ended the keeper, or a timer.
ENDLESS = [{'health_check': {'type': 'COMMAND', 'command': {'value': 'true'}, 'delay_seconds': 0, name: 'Infinity'}}
           for name in ('delay_seconds', 'interval_seconds', 'timeout_seconds', 'grace_period_seconds')]


def attack(cluster):
    """Send all that is bad to every server, several times."""
    addresses = [cluster.master] + [agent.address for agent in cluster.agents]
    for address in addresses:
        for data in GARBAGE:
            sock = connect(address)
            try:
                sock.sendall(data)
            except socket.error:        # it has closed at once
                pass
            sock.close()
        for body in BODIES:
            for path in ('/api/v1', '/api/v1/scheduler', '/api/v1/executor'):
                assert post(address, path, body) in (400, 403, 404)


def test_work_goes_on_while_the_cluster_is_attacked(faults):
    worker = Worker(*[task('w%d' % number, 'sleep 0.05') for number in range(60)])
    bad = Worker(*[task('e%d' % number, 'sleep 0.3', **more) for number, more in enumerate(ENDLESS)])
    bad.give(task('big', {'value': 'true', 'environment': {'variables': [
        {'name': 'A', 'type': 'VALUE', 'value': u'\xe9' * 3000000}]}}))
    with LocalCluster(agents=2, resources=SMALL, master_options={'allocation_interval': 0.05}) as cluster:
        with scheduling(cluster.master, worker), scheduling(cluster.master, bad):
            for _ in range(3):
                attack(cluster)
            assert [worker.end('w%d' % number) for number in range(60)] == ['TASK_FINISHED'] * 60
            assert [bad.end('e%d' % number) for number in range(len(ENDLESS))] == ['TASK_FINISHED'] * len(ENDLESS)
            assert bad.end('big') == 'TASK_FAILED'
            assert faults == []


def test_connections_that_ask_for_nothing_stop_no_work():
    program = run_program("""
        import resource, sys
        resource.setrlimit(resource.RLIMIT_NOFILE, (384, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        from pymesos.local import LocalCluster
        from recorders import scheduling
        from test_local_attacks import SMALL, Worker, task
        with LocalCluster(resources=SMALL) as cluster:
            print(cluster.master)
            print(cluster.agents[0].address)
            sys.stdout.flush()
            sys.stdin.readline()
            worker = Worker(task('t'))
            with scheduling(cluster.master, worker):
                print(worker.end('t'))
        """, Peer(''), stdin=subprocess.PIPE)
    addresses = [program.stdout.readline().decode('ascii').strip() for _ in range(2)]
    held = []
    try:
        for number in range(600):       # 384 are all that it may have
            held.append(connect(addresses[number % 2]))
            held[-1].sendall((b'', b'GET /state HT', b'POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n{')[number % 3])
        out, errors = program.communicate(b'\n')
    finally:
        for sock in held:
            sock.close()
    assert out.split() == [b'TASK_FINISHED'], errors


# ---- containers

def test_containers_of_one_name_on_two_agents_are_two(faults):
    with LocalCluster(agents=2, resources=SMALL) as cluster:
        first, second = cluster.agents
        assert post(first.address, '/api/v1', launch('x', 'sleep 100')) == 200
        assert post(second.address, '/api/v1', launch('x', 'sleep 100')) == 200
        kill = {'type': 'KILL_CONTAINER', 'kill_container': {'container_id': {'value': 'x'}}}
        assert post(second.address, '/api/v1', kill) == 200
        wait = {'type': 'WAIT_CONTAINER', 'wait_container': {'container_id': {'value': 'x'}}}
        wait_until(lambda: post(second.address, '/api/v1', wait) in (200, 404), timeout=TIMEOUT)
        assert post(first.address, '/api/v1', kill) == 200
        assert faults == []


@pytest.mark.parametrize('name', ['..', '.', 'a/b', '../../x', 'a\\b', 'a\x00b', 'a' * 300, 'a b', 'a.b'])
def test_container_has_no_name_that_leads_elsewhere(name):
    with LocalCluster(resources=SMALL) as cluster:
        assert post(cluster.agents[0].address, '/api/v1', launch(name, 'true')) == 400


@pytest.mark.parametrize('name', ['..', '.', 'a/b', '../../x', 'a\x01b'])
def test_task_has_no_name_that_leads_elsewhere(name):
    worker = Worker(task(name))
    with LocalCluster(resources=SMALL) as cluster, scheduling(cluster.master, worker):
        assert worker.end(name) == 'TASK_ERROR'


def test_archives_do_not_leave_the_sandbox(tmpdir):
    tmpdir.join('x').write('x')
    tasks = []
    for number, (link, name) in enumerate([('..', 'out'), (str(tmpdir), 'out'), (None, '../out')]):
        path = str(tmpdir.join('%d.tar' % number))
        with tarfile.open(path, 'w') as archive:
            if link is not None:
                entry = tarfile.TarInfo('link')
                entry.type, entry.linkname = tarfile.SYMTYPE, link
                archive.addfile(entry)
                name = 'link/' + name
            archive.add(str(tmpdir.join('x')), name)
        tasks.append(task('a%d' % number, {'value': 'true', 'uris': [{'value': path}]}))
    for number, name in enumerate(['../out', '/tmp/out', 'a/../../out']):
        tasks.append(task('o%d' % number, {'value': 'true', 'uris': [
            {'value': str(tmpdir.join('x')), 'output_file': name}]}))
    worker = Worker(*tasks)
    with LocalCluster(resources=SMALL) as cluster, scheduling(cluster.master, worker):
        ends = [worker.end(info['name']) for info in tasks]
        assert ends == ['TASK_FAILED'] * len(tasks)
        found = [name for _folder, _folders, names in os.walk(cluster.work_dir) for name in names]
        assert 'out' not in found and not os.path.exists('/tmp/out')


def test_task_has_no_descriptor_but_its_own(tmpdir):
    out = str(tmpdir.join('fds'))
    worker = Worker(task('t', 'ls /proc/$$/fd > %s' % out))
    with LocalCluster(resources=SMALL) as cluster, scheduling(cluster.master, worker):
        assert worker.end('t') == 'TASK_FINISHED'
    with open(out) as stream:
        assert [number for number in stream.read().split() if int(number) not in (0, 1, 2, 10, 255)] == []


# ---- users

@is_root
def test_health_check_runs_as_the_user_of_the_task():
    check = {'type': 'COMMAND', 'command': {'value': 'id -un > user'}, 'delay_seconds': 0}
    command = {'value': 'while [ ! -s user ]; do sleep 0.05; done', 'user': 'nobody'}
    worker = Worker(task('t', command, health_check=check))
    with LocalCluster(resources=SMALL) as cluster, scheduling(cluster.master, worker):
        assert worker.end('t') == 'TASK_FINISHED'
        with open(os.path.join(cluster.agents[0].sandboxes()[0], 'user')) as stream:
            assert stream.read().strip() == 'nobody'


@is_root
def test_container_that_is_nested_twice_stays_in_the_sandbox(tmpdir):
    victim = tmpdir.mkdir('victim')
    script = 'mv containers old; mkdir -p containers; ln -s %s containers/one; touch ready; sleep 100' % victim
    command = {'value': 'while [ ! -e go ]; do sleep 0.02; done; ' + script, 'user': 'nobody'}
    worker = Worker(task('t', command))
    with LocalCluster(resources=SMALL) as cluster, scheduling(cluster.master, worker):
        agent = cluster.agents[0]
        wait_until(lambda: 'TASK_RUNNING' in worker.states('t'), timeout=TIMEOUT)
        sandbox = agent.sandboxes()[0]
        one = {'value': 'one', 'parent': {'value': os.path.basename(sandbox)}}
        call = {'type': 'LAUNCH_NESTED_CONTAINER', 'launch_nested_container': {
            'container_id': one, 'command': {'value': 'sleep 100'}}}
        assert post(agent.address, '/api/v1', call) == 200
        open(os.path.join(sandbox, 'go'), 'w').close()          # earlier, the first could not enter its folder
        wait_until(lambda: os.path.exists(os.path.join(sandbox, 'ready')), timeout=TIMEOUT)
        call['launch_nested_container']['container_id'] = {'value': 'two', 'parent': one}
        assert post(agent.address, '/api/v1', call) == 400
        assert victim.listdir() == []
        assert victim.stat().uid == 0


# ---- secrets

@pytest.mark.parametrize('options', [
    {'master_options': {'authenticate_frameworks': False}}, {'agent_options': {'authenticate_executors': False}}])
def test_nobody_from_elsewhere_is_let_in_unasked(options):
    with pytest.raises(UsageError) as caught:
        LocalCluster(host='0.0.0.0', credentials=CREDENTIALS, **options)
    assert 'cannot be turned off for a cluster that listens on 0.0.0.0' in str(caught.value)


def test_nobody_without_a_secret_does_or_sees_anything():
    with LocalCluster(resources=SMALL, credentials=CREDENTIALS) as cluster:
        agent = cluster.agents[0].address
        for address, path in ((cluster.master, '/api/v1'), (cluster.master, '/api/v1/scheduler'), (agent, '/api/v1'),
                              (agent, '/api/v1/executor'), (cluster.master, '/state'), (cluster.master, '/teardown'),
                              (agent, '/state'), (agent, '/files/browse?path=/'), (agent, '/files/debug'),
                              (cluster.master, '/flags'), (agent, '/flags'), (agent, '/slave(1)/state'),
                              (agent, '/%73lave(1)/state'), (cluster.master, '//master//state'),
                              (cluster.master, '/master/state/'), (cluster.master, '/metrics/snapshot'),
                              (agent, '/containers'), (cluster.master, '/machine/down')):
            for headers in ((), [('Authorization', 'Basic ' + b64encode(b'ada:').decode('ascii'))],
                            [('Authorization', 'Basic ' + b64encode(b':').decode('ascii'))],
                            [('Authorization', 'Bearer e30.e30.')]):
                assert post(address, path, {'type': 'GET_STATE'}, headers) in (401, 404)


def test_secrets_are_neither_in_arguments_nor_in_reprs_nor_in_logs(tmpdir):
    lines = []

    class Lines(logging.Handler):
        def emit(self, record):
            lines.append(self.format(record))

    handler, out = Lines(), str(tmpdir.join('arguments'))
    logging.getLogger('pymesos').addHandler(handler)
    logging.getLogger('pymesos').setLevel(logging.DEBUG)
    executor = {'executor_id': {'value': 'e'}, 'command': {
        'value': 'cat /proc/[0-9]*/cmdline > %s; echo "$MESOS_EXECUTOR_AUTHENTICATION_TOKEN" > token' % out}}
    worker = Worker({'task_id': {'value': 't'}, 'name': 't', 'executor': executor})
    try:
        with LocalCluster(resources=SMALL, credentials=CREDENTIALS) as cluster:
            secret = CREDENTIALS['ada']
            with scheduling(cluster.master, worker, dict(FRAMEWORK, principal='ada'), principal='ada', secret=secret):
                assert worker.end('t') == 'TASK_FAILED'
                with open(os.path.join(cluster.agents[0].sandboxes()[0], 'token')) as stream:
                    token = stream.read().strip()
            shown = repr(cluster) + repr(cluster.agents) + repr(vars(cluster)['_machinery'].access)
    finally:
        logging.getLogger('pymesos').removeHandler(handler)
        logging.getLogger('pymesos').setLevel(logging.NOTSET)
    with open(out, 'rb') as stream:
        arguments = stream.read().decode('utf-8', 'replace')
    assert token.count('.') == 2
    for hidden in (token, secret, b64encode(b'ada:' + secret.encode('ascii')).decode('ascii')):
        assert hidden not in arguments + shown + '\n'.join(lines)


# ---- the end

def test_nothing_is_left_of_a_host_that_was_killed():
    program = run_program("""
        import sys, time
        from pymesos.local import LocalCluster
        from recorders import scheduling
        from test_local_attacks import SMALL, Worker, task, wait_until
        cluster = LocalCluster(resources=SMALL).start()
        worker = Worker(task('t', 'echo $$ > pid; (setsid sleep 300 &) ; exec sleep 300'))
        with scheduling(cluster.master, worker):
            wait_until(lambda: 'TASK_RUNNING' in worker.states('t'))
            print(cluster.master)
            print(cluster.work_dir)
            sys.stdout.flush()
            time.sleep(300)
        """, Peer(''))
    address, work_dir = (program.stdout.readline().decode('ascii').strip() for _ in range(2))
    os.kill(program.pid, signal.SIGKILL)
    program.communicate()
    wait_until(lambda: not os.path.exists(work_dir), timeout=TIMEOUT, message='the folder to go')
    with pytest.raises(socket.error):
        connect(address).close()
    wait_until(lambda: not processes_with(work_dir), timeout=TIMEOUT, message=lambda: processes_with(work_dir))


def processes_with(text):
    """The pids of the processes with a text in their environment."""
    found = []
    for pid in os.listdir('/proc'):
        try:
            with open('/proc/%s/environ' % pid, 'rb') as stream:
                if text.encode('ascii') in stream.read():
                    found.append(pid)
        except (IOError, OSError):      # no process, or not ours
            pass
    return found


def test_folder_of_the_cluster_is_not_for_others():
    with LocalCluster(resources=SMALL) as cluster:
        status = os.stat(cluster.work_dir)
        assert status.st_mode & 0o777 == 0o711 and pwd.getpwuid(status.st_uid).pw_uid == os.geteuid()

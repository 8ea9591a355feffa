"""Containers are real processes: how they start, what they are given, how they end, and that nothing is left."""
from __future__ import absolute_import, division, print_function

import json
import os
import pwd
import signal
import socket
import subprocess
import sys
import threading

import pytest
from launched import DEADLINE, PATH, Harness, Listener

import pymesos
from pymesos._compat import monotonic
from pymesos.errors import UsageError
from pymesos.local import processes
from pymesos.local.streams import Streams

IS_ROOT = os.geteuid() == 0


@pytest.fixture
def harness(tmpdir):
    made = Harness(str(tmpdir.join('work')))
    yield made
    made.close()


def wait_until(question, what):
    deadline = monotonic() + DEADLINE
    while not question():
        assert monotonic() < deadline, what
        threading.Event().wait(0.01)


def is_alive(pid):
    entry = processes.snapshot().get(pid)
    return entry is not None and not entry.is_ended


# ---- what a process is given

def test_a_shell_command_runs_in_its_sandbox(harness):
    assert harness.run('one', 'pwd; echo oops >&2; exit 3') == 3 << 8
    assert harness.read('one').decode() == os.path.realpath(harness.sandbox('one')) + '\n'
    assert harness.read('one', 'stderr') == b'oops\n'


def test_a_program_gets_its_arguments_as_they_are(harness):
    command = {'shell': False, 'value': 'printf', 'arguments': ['other name', '%s|', 'a b', '$HOME', u'\xe9']}
    assert harness.run('one', command) == 0
    assert harness.read('one') == u'a b|$HOME|\xe9|'.encode('utf-8')


def test_the_environment_is_what_is_given_and_nothing_else(harness):
    environment = {'PATH': PATH, 'A': 'x y', 'B': u'\xe9'}
    assert harness.run('one', {'shell': False, 'value': 'env'}, environment=environment) == 0
    assert sorted(harness.read('one').splitlines()) == sorted(
        [b'PATH=' + PATH.encode(), b'A=x y', u'B=\xe9'.encode('utf-8')])


def test_no_descriptor_is_inherited_but_the_three(harness):
    assert harness.run('one', 'ls /proc/self/fd') == 0
    # One is that of ls itself.
    assert harness.read('one').split() == [b'0', b'1', b'2', b'3']
    harness.launch('two', 'ls /proc/self/fd; cat', io='pipes')
    harness.launch('three', 'ls /proc/self/fd', io='pipes')
    harness.listener.wait_for('three', 'exited')
    assert harness.listener.output('three').split() == [b'0', b'1', b'2', b'3']


def test_standard_input_is_empty(harness):
    assert harness.run('one', 'cat; echo done') == 0
    assert harness.read('one') == b'done\n'


def test_signals_are_as_at_birth(harness):
    assert harness.run('one', 'cat /proc/self/status') == 0
    masks = dict(line.split(b':\t') for line in harness.read('one').splitlines() if line.startswith(b'Sig'))
    assert [masks[name] for name in (b'SigBlk', b'SigIgn', b'SigCgt')] == [b'0' * 16] * 3


def test_the_process_leads_a_session_of_its_own(harness):
    assert harness.run('one', 'cut -d" " -f1,5,6 /proc/$$/stat') == 0
    pid, group, session = harness.read('one').split()
    assert pid == group == session
    assert int(pid) == harness.listener.wait_for('one', 'started')


def test_umask_and_limits_are_set(harness):
    limits = [{'type': 'RLMT_NOFILE', 'soft': 50, 'hard': 60}, {'type': 'RLMT_CORE', 'soft': 0, 'hard': 0}]
    assert harness.run('one', 'umask; ulimit -Sn; ulimit -Hn; ulimit -c', rlimits=limits) == 0
    assert harness.read('one').split() == [b'0022', b'50', b'60', b'0']
    assert harness.run('two', 'umask', umask=0o077) == 0
    assert harness.read('two').split() == [b'0077']


def test_an_unknown_limit_fails_the_launch(harness):
    assert harness.run('one', 'true', rlimits=[{'type': 'RLMT_NONE'}]) == (
        "Failed to set 'RLMT_NONE' limit: it is unknown here")


@pytest.mark.skipif(not IS_ROOT, reason='only root can become somebody else')
def test_a_user_owns_its_sandbox_and_keeps_no_group(harness, tmpdir):
    for folder in tmpdir.parts():
        if folder.stat().mode & 0o777 == 0o700:
            folder.chmod(0o711)
    assert harness.run('one', 'id -un; id -Gn; touch mine; pwd', user='nobody') == 0
    group = subprocess.check_output(['id', '-Gn', 'nobody'])
    assert harness.read('one').splitlines()[:2] == [b'nobody', group.strip()]
    owner = pwd.getpwnam('nobody').pw_uid
    assert os.stat(harness.sandbox('one')).st_uid == owner
    assert os.stat(harness.sandbox('one')).st_mode & 0o7777 == 0o750
    assert os.stat(os.path.join(harness.sandbox('one'), 'stdout')).st_uid == owner


def test_latest_leads_to_the_newest_sandbox(harness):
    link = os.path.join(harness.folder, 'runs', 'latest')
    for name in ('one', 'two'):
        assert harness.run(name, 'true', latest=True) == 0
        assert os.readlink(link) == harness.sandbox(name)


def test_a_working_directory_can_be_elsewhere(harness, tmpdir):
    assert harness.run('one', 'pwd', work=str(tmpdir)) == 0
    assert harness.read('one').decode().strip() == os.path.realpath(str(tmpdir))
    assert harness.run('two', 'pwd', work=str(tmpdir.join('none'))) == (
        "Failed to chdir into current working directory '%s': No such file or directory" % tmpdir.join('none'))


def test_uris_are_fetched_before_the_start(harness, tmpdir):
    tmpdir.join('tool').write('#!/bin/sh\necho fetched\n')
    uris = [{'value': str(tmpdir.join('tool')), 'executable': True}]
    assert harness.run('one', './tool', uris=uris) == 0
    assert harness.read('one') == b'fetched\n'
    assert b"Fetching URI '" in harness.read('one', 'stderr')


# ---- what cannot be launched

def test_an_unknown_user_is_told_as_mesos_does(harness):
    assert harness.run('one', 'true', user='no-such-user') == (
        "Failed to create executor directory '%s': Failed to chown directory to 'no-such-user': "
        "No such user 'no-such-user'" % harness.sandbox('one'))
    assert harness.run('two', 'true', user='no-such-user', title='nested sandbox').startswith(
        'Failed to create nested sandbox ')


def test_a_failed_fetch_is_told_as_mesos_does(harness):
    assert harness.run('one', 'true', uris=[{'value': '/none/such'}]) == (
        "Failed to fetch all URIs for container 'one': exited with status 1")
    assert b"Failed to fetch '/none/such': No such file or directory" in harness.read('one', 'stderr')


@pytest.mark.parametrize('command', ['/none/such', 'no-such-program'])
def test_a_program_that_cannot_be_executed_exits_with_1_as_in_mesos(harness, command):
    assert harness.run('one', {'shell': False, 'value': command}) == 256
    assert harness.read('one', 'stderr') == b'Failed to execute command: No such file or directory\n'


def test_a_nul_in_a_command_is_an_error_of_the_container(harness):
    assert harness.run('one', 'echo \0') == 256
    assert harness.run('two', 'echo ok') == 0


def test_a_sandbox_is_not_made_through_a_link_below_its_root(harness, tmpdir):
    outside = tmpdir.mkdir('outside')
    assert harness.run('one', 'ln -s %s containers' % outside) == 0
    told = harness.run('two', 'true', directory=harness.sandbox('one') + '/containers/two', root=harness.sandbox('one'))
    assert told.endswith('Failed to create directory: Not a directory')
    assert not outside.listdir()


@pytest.mark.parametrize('trap', ['ln -s ../../outside stdout', 'mkfifo stdout', 'ln ../../outside stdout'])
def test_output_goes_to_a_plain_file_only(harness, tmpdir, trap):
    outside = tmpdir.join('work', 'outside')
    outside.write('kept', ensure=True)
    assert harness.run('one', trap, stdout=None) == 0
    told = harness.run('two', 'echo overwritten', directory=harness.sandbox('one'))
    assert told.startswith("Failed to open 'stdout': ")
    assert outside.read() == 'kept'


def test_a_name_that_is_taken_is_refused(harness):
    harness.launch('one', 'cat', io='pipes')
    with pytest.raises(UsageError):
        harness.launch('one', 'true')


# ---- how a process ends

def test_each_end_is_told_once_with_the_raw_status(harness):
    assert harness.run('one', 'kill -TERM $$') == signal.SIGTERM
    assert harness.run('two', 'exit 7') == 7 << 8
    harness.run('three', 'true')
    ends = [event[0] for event in harness.listener.heard if event[1] == 'exited']
    assert ends == ['one', 'two', 'three']
    assert harness.do('containers') == []


def test_a_start_is_told_before_all_else(harness):
    for number in range(20):
        harness.launch('c%d' % number, 'echo hello', io='pipes')
    for number in range(20):
        harness.listener.wait_for('c%d' % number, 'exited')
        kinds = [event[1] for event in harness.listener.heard if event[0] == 'c%d' % number]
        assert (kinds[0], kinds[-1]) == ('started', 'exited')
        assert 'stdout' in kinds


def test_a_signal_reaches_the_whole_group(harness):
    harness.launch('one', 'trap "echo first >&2; exit 1" TERM; sh -c \'trap "echo second; exit" TERM; echo ready; '
                          'while :; do sleep 0.05; done\' & wait', io='pipes')
    harness.listener.wait_until(lambda: b'ready' in harness.listener.output('one'))
    harness.do('signal', 'one', signal.SIGTERM)
    assert harness.listener.wait_for('one', 'exited') == 256
    assert b'first' in harness.listener.output('one', 'stderr')


def test_a_signal_that_does_not_exist_does_no_harm(harness):
    harness.launch('one', 'cat', io='pipes')
    harness.listener.wait_for('one', 'started')
    harness.do('signal', 'one', 999)
    harness.do('signal', 'nobody', 9)
    harness.do('feed', 'one', None)
    assert harness.listener.wait_for('one', 'exited') == 0


#: Processes in the group, in another session, orphaned in another session, and without an environment; their pids.
BREED = (': > pids; '
         'sh -c "echo \\$\\$ >> pids; exec sleep 1000" & setsid sh -c "echo \\$\\$ >> pids; exec sleep 1000" & '
         '(setsid sh -c "echo \\$\\$ >> pids; exec sleep 1000" &); '
         '(env -i setsid sh -c "echo \\$\\$ >> pids; exec /bin/sleep 1000" &); '
         'while [ $(wc -l < pids) -lt 4 ]; do sleep 0.02; done; ')


def breed(harness, name, then, **spec):
    """Launch something with a large family; the pids of its members."""
    harness.launch(name, BREED + 'echo bred; ' + then, **spec)
    path = os.path.join(harness.sandbox(name), 'stdout')
    wait_until(lambda: os.path.exists(path) and b'bred' in harness.read(name), 'the family is there')
    return [int(line) for line in harness.read(name, 'pids').split()]


def test_destroy_kills_what_has_left_the_group_and_the_session(harness):
    pids = breed(harness, 'one', 'sleep 1000')
    assert all(is_alive(pid) for pid in pids)
    harness.do('destroy', 'one')
    assert harness.listener.wait_for('one', 'exited') == 9
    assert not any(is_alive(pid) for pid in pids)


def test_nothing_of_a_container_survives_the_end_of_its_process(harness):
    harness.launch('other', 'exec sleep 1000')
    pids = breed(harness, 'one', 'exit 4')
    assert harness.listener.wait_for('one', 'exited') == 4 << 8
    assert not any(is_alive(pid) for pid in pids)
    assert is_alive(harness.listener.wait_for('other', 'started'))


def test_a_launch_can_be_called_off(harness):
    server = socket.socket()
    server.bind(('127.0.0.1', 0))
    server.listen(1)
    try:        # it takes the connection and never answers
        harness.launch('one', 'true', uris=[{'value': 'http://127.0.0.1:%d/x' % server.getsockname()[1]}])
        taken, _ = server.accept()
        harness.do('destroy', 'one')
        assert harness.listener.wait_for('one', 'failed') == 'Container is being destroyed during fetching'
        taken.close()
    finally:
        server.close()


def test_the_next_listener_hears_of_an_end_that_nobody_heard(harness):
    harness.launch('one', 'cat', io='pipes')
    harness.listener.wait_for('one', 'started')
    harness.do('detach', 'one')
    harness.do('feed', 'one', None)
    wait_until(lambda: not is_alive(harness.do('pid', 'one')), 'it has ended')
    later = Listener()
    assert harness.do('attach', 'one', later)
    assert later.wait_for('one', 'exited') == 0
    assert [event[1] for event in harness.listener.heard] == ['started']
    assert not harness.do('attach', 'one', later)


def test_a_container_goes_on_with_another_listener(harness):
    harness.launch('one', 'cat', io='pipes')
    harness.listener.wait_for('one', 'started')
    later = Listener()
    assert harness.do('attach', 'one', later)
    harness.do('feed', 'one', b'hello')
    harness.do('feed', 'one', None)
    later.wait_for('one', 'exited')
    assert later.output('one') == b'hello'


def test_hundreds_of_quick_processes(harness):
    for number in range(200):
        harness.launch('c%d' % number, 'exit %d' % (number % 100))
    for number in range(200):
        assert harness.listener.wait_for('c%d' % number, 'exited') == (number % 100) << 8


# ---- streams

def test_pipes_carry_input_and_output_of_any_size(harness):
    data = os.urandom(3 * 1024 * 1024)
    harness.launch('one', 'cat; echo over >&2; exit 2', io='pipes')
    for start in range(0, len(data), 500000):
        harness.do('feed', 'one', data[start:start + 500000])
    harness.do('feed', 'one', None)
    assert harness.listener.wait_for('one', 'exited') == 2 << 8
    assert harness.listener.output('one') == data
    assert harness.listener.output('one', 'stderr') == b'over\n'
    assert harness.read('one') == data
    assert sum(event[2] for event in harness.listener.heard if event[1] == 'fed') == len(data)
    assert harness.do('pending', 'one') == 0


def test_what_nobody_reads_waits(harness):
    harness.launch('one', 'sleep 1000', io='pipes', stdout=None, stderr=None)
    harness.do('feed', 'one', b'x' * 1000000)
    harness.listener.wait_for('one', 'started')
    harness.listener.wait_for('one', 'fed')
    assert 0 < harness.do('pending', 'one') < 1000000
    harness.do('destroy', 'one')
    harness.listener.wait_for('one', 'exited')
    assert sum(event[2] for event in harness.listener.heard if event[1] == 'fed') == 1000000
    assert not os.path.exists(os.path.join(harness.sandbox('one'), 'stdout'))


def test_a_flood_of_output_is_held_back_while_the_host_is_busy(harness):
    busy, is_free = threading.Event(), threading.Event()

    def block():
        busy.set()
        is_free.wait(DEADLINE)

    harness.loop.order(block)
    assert busy.wait(DEADLINE)
    harness.loop.order(lambda: harness.launcher.launch(
        'one', {'command': {'value': 'head -c 20000000 /dev/zero; echo end >&2'}, 'environment': {'PATH': PATH},
                'directory': harness.sandbox('one'), 'io': 'pipes', 'stdout': None, 'stderr': None}, harness.listener))
    is_free.set()
    harness.listener.wait_for('one', 'exited')
    assert len(harness.listener.output('one')) == 20000000
    assert harness.listener.output('one', 'stderr') == b'end\n'


def test_a_terminal_is_one(harness):
    harness.launch('one', 'tty; stty size; read line; echo "got $line"; stty size', io='tty',
                   window={'rows': 11, 'columns': 22})
    harness.listener.wait_until(lambda: b'11 22' in harness.listener.output('one'))
    harness.do('resize', 'one', 33, 44)
    harness.do('feed', 'one', b'hello\n')
    assert harness.listener.wait_for('one', 'exited') == 0
    output = harness.listener.output('one')
    assert output.startswith(b'/dev/pts/') or output.startswith(b'/dev/tty')
    assert b'got hello' in output and b'33 44' in output
    assert harness.read('one') == output


def test_a_stream_that_a_stranger_holds_does_not_hold_up_the_end(harness, tmpdir):
    fifo = str(tmpdir.join('fifo'))
    os.mkfifo(fifo)
    # The second container has the first one's output open, and outlives it.
    first = 'exec 3>&1; echo $$ > %s; read line < %s' % (fifo, fifo)
    harness.launch('one', first, io='pipes', stdout=None, stderr=None)
    harness.launch('two', 'read pid < %s; exec 5> /proc/$pid/fd/3; echo > %s; sleep 1000' % (fifo, fifo))
    assert harness.listener.wait_for('one', 'exited') == 0


def test_output_that_nobody_has_looked_for_is_read_before_a_stream_is_given_up():
    """The keeper may have had other things to do for as long as it has patience."""
    told = []
    streams = Streams({'io': 'pipes', 'stdout': None, 'stderr': None}, lambda *_: None,
                      lambda what, data=b'', **details: told.append((what, data, details)))
    streams.begin()
    os.write(streams.theirs[1], b'late')
    assert not streams.is_silent(0.0, 1.0)
    assert told == [('output', b'late', {'name': 'stdout'})]
    streams.last_output = 0.0
    assert streams.is_silent(0.0, 1.0)
    streams.pause(True)
    os.write(streams.theirs[1], b'more')
    assert not streams.is_silent(0.0, 1.0) and len(told) == 1
    streams.pause(False)
    streams.last_output = 0.0
    assert not streams.is_silent(0.0, 1.0) and told[1][1] == b'more'
    streams.close()


# ---- probes

def test_a_command_probe_gives_the_exit_code(harness):
    harness.run('one', 'echo 5 > code')
    check = {'type': 'COMMAND', 'command': {'value': 'exit $(cat code)'}, 'environment': {'PATH': PATH},
             'directory': harness.sandbox('one')}
    assert harness.probe(check) == {'exit_code': 5}
    check['command'] = {'value': 'kill -9 $$'}
    assert harness.probe(check) == {'error': 'terminated with signal 9'}
    assert 'No such file' in harness.probe(dict(check, directory='/none/such'))['error']


def test_a_probe_that_takes_too_long_is_killed(harness):
    harness.run('one', ': > pid')
    check = {'type': 'COMMAND', 'command': {'value': 'echo $$ > pid; exec sleep 1000'}, 'environment': {'PATH': PATH},
             'directory': harness.sandbox('one')}
    assert harness.probe(check, 1.5) == {'error': 'COMMAND timed out after 1.5secs'}
    assert not is_alive(int(harness.read('one', 'pid') or 0))


def test_a_tcp_probe_tells_whether_something_listens(harness):
    server = socket.socket()
    server.bind(('127.0.0.1', 0))
    check = {'type': 'TCP', 'port': server.getsockname()[1]}
    assert harness.probe(check) == {'succeeded': False}
    server.listen(1)
    assert harness.probe(check) == {'succeeded': True}
    server.close()


def serve(server, answers):
    for answer in answers:
        taken, _ = server.accept()
        taken.recv(4096)
        taken.sendall(answer)
        taken.close()


def test_an_http_probe_gives_the_status_and_follows_redirects(harness):
    server = socket.socket()
    server.bind(('127.0.0.1', 0))
    server.listen(5)
    port = server.getsockname()[1]
    answers = [b'HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n',
               ('HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%d/b\r\n\r\n' % port).encode(),
               b'HTTP/1.0 200 OK\r\n\r\nbody', b'SSH-2.0-nonsense\r\n']
    thread = threading.Thread(target=serve, args=(server, answers))
    thread.start()
    try:
        check = {'type': 'HTTP', 'port': port, 'path': '/a'}
        assert harness.probe(check) == {'status_code': 503}
        assert harness.probe(check) == {'status_code': 200}
        assert harness.probe(check) == {
            'error': 'Failed to connect to 127.0.0.1 port %d: it does not speak HTTP' % port}
    finally:
        thread.join()
        server.close()
    assert harness.probe(check) == {'error': 'Failed to connect to 127.0.0.1 port %d: Connection refused' % port}


# ---- the keeper

def test_stop_kills_all_and_removes_what_it_was_told(tmpdir):
    harness = Harness(str(tmpdir.join('work')))
    try:
        pids = breed(harness, 'one', 'sleep 1000')
        harness.do('remove_at_end', harness.folder)
    finally:
        harness.close()
    assert not any(is_alive(pid) for pid in pids)
    assert not os.path.exists(harness.folder)
    harness.do('stop')


HOST = '''
import json, os, sys, time
sys.path[:0] = json.loads(sys.argv[2])
from launched import Harness
from test_local_launcher import breed
harness = Harness(sys.argv[1])
harness.do('remove_at_end', os.path.join(sys.argv[1], 'runs', 'two'))
harness.run('two', 'true')
pids = breed(harness, 'one', 'sleep 1000') + [harness.launcher._keeper.pid]
print(json.dumps(pids))
sys.stdout.flush()
if os.fork() == 0:      # holds the socket to the keeper open
    time.sleep(1000)
time.sleep(1000)
'''


def test_kill_9_of_the_host_leaves_nothing(tmpdir):
    folder = str(tmpdir.join('work'))
    paths = [os.path.dirname(os.path.abspath(__file__)), os.path.dirname(os.path.dirname(pymesos.__file__))]
    host = subprocess.Popen([sys.executable, '-W', 'ignore', '-c', HOST, folder, json.dumps(paths)],
                            stdout=subprocess.PIPE, preexec_fn=os.setsid)
    try:
        pids = json.loads(host.stdout.readline().decode())
        assert all(is_alive(pid) for pid in pids)
        os.kill(host.pid, signal.SIGKILL)
        wait_until(lambda: not any(is_alive(pid) for pid in pids), 'all processes have ended')
        wait_until(lambda: not os.path.exists(os.path.join(folder, 'runs', 'two')), 'the folder is removed')
        assert os.path.exists(os.path.join(folder, 'runs', 'one'))
    finally:
        os.killpg(host.pid, signal.SIGKILL)
        host.stdout.close()
        host.wait()


def test_a_keeper_that_is_killed_takes_its_containers_with_it(harness, caplog):
    harness.launch('one', 'exec sleep 1000')
    pid = harness.listener.wait_for('one', 'started')
    os.kill(harness.launcher._keeper.pid, signal.SIGKILL)
    assert harness.listener.wait_for('one', 'exited') == 9
    wait_until(lambda: not is_alive(pid), 'it was killed')
    assert 'the keeper of containers has ended unexpectedly' in caplog.text
    assert harness.run('two', 'true') == 'The keeper of containers is gone'
    assert harness.probe({'type': 'TCP', 'port': 1}) == {'error': 'The keeper of containers is gone'}


def test_the_keeper_does_not_heed_the_signals_of_the_terminal(harness):
    harness.run('one', 'true')
    keeper = harness.launcher._keeper.pid
    assert os.getsid(keeper) == keeper


def test_paths_need_not_be_ascii(tmpdir, monkeypatch):
    name = u'n\xe4m \u4e2d'
    folder = os.path.join(str(tmpdir), name.encode('utf-8') if str is bytes else name)
    monkeypatch.setattr(sys, 'path', sys.path + [folder])
    harness = Harness(folder)
    try:
        assert harness.run('one', 'echo hi') == 0
        assert harness.read('one') == b'hi\n'
    finally:
        harness.close()


def test_the_keeper_keeps_no_descriptor(harness):
    def descriptors():
        return len(os.listdir('/proc/%d/fd' % harness.launcher._keeper.pid))

    harness.run('first', 'true')
    before = descriptors()
    for number in range(20):
        assert harness.run('c%d' % number, 'true', io=(None, 'pipes', 'tty')[number % 3]) == 0
    harness.run('bad', 'true', user='no-such-user')
    harness.probe({'type': 'TCP', 'port': 1})
    assert descriptors() == before

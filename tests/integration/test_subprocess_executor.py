"""The executor of commands as a process: streams, ends, kills, and everything that can be lost under way."""
from __future__ import absolute_import, division, print_function

import errno
import json
import os
import platform
import signal
import socket
import threading
import time

import pytest
from remote_commands import Site, children_of, is_alive

from pymesos._compat import monotonic
from pymesos.testing import FaultProxy, wait_until
from pymesos.utils import decode_data, encode_data

#: A command that ignores SIGTERM, and says when it does.
STUBBORN = ['sh', '-c', 'trap "" TERM; echo ready; while :; do sleep 0.1; done']

#: What a task has whose grace nobody waits for.
PATIENT = {'kill_policy': {'grace_period': {'nanoseconds': 300 * 10 ** 9}}}

#: The agent's grace of executors that are shut down: they keep what is above 5 s, to tell how their commands ended.
GRACE = '20secs'

#: kB that may go for memory that is not given back, and PyPy's for what it compiles meanwhile.
GROWTH = 64 * 1024 if platform.python_implementation() == 'PyPy' else 8 * 1024


@pytest.fixture
def make_site(tmpdir):
    sites = []

    def make(**options):
        sites.append(Site(str(tmpdir.mkdir('sandbox%d' % len(sites))), **options))
        return sites[-1]

    yield make
    for site in sites:
        site.close()


@pytest.fixture
def site(make_site):
    return make_site()


def first_line(remote):
    """What a command writes until a line is whole, or until its end."""
    remote.wait('connected')
    data = more = os.read(remote.ends['stdout'], 100)
    while more and b'\n' not in data:
        more = os.read(remote.ends['stdout'], 100)
        data += more
    return data


# ---- what goes well

def test_streams_and_the_exit_status_reach_the_program_and_mesos(site):
    remote = site.launch(['sh', '-c', 'tr a-z A-Z; echo bad >&2; exit 3'])
    remote.wait('started')
    remote.write(b'hello')
    assert remote.read() == b'HELLO' and remote.read('stderr') == b'bad\n'
    assert remote.wait('exited') == 3
    remote.wait('settled')
    assert site.await_end(remote) == ('TASK_FAILED', 'Command exited with status 3', {'returncode': 3})


def test_success_is_task_finished(site):
    remote = site.launch(['true'], stdin='null', stdout='null', stderr='null')
    assert remote.wait('exited') == 0
    assert site.await_end(remote) == ('TASK_FINISHED', 'Command exited with status 0', {'returncode': 0})


def test_running_is_told_of_what_runs_for_a_while(site):
    remote = site.launch(['cat'])
    pid = remote.wait('started')
    wait_until(lambda: site.updates(remote.name))
    assert site.updates(remote.name) == [('TASK_RUNNING', None, None)]
    assert is_alive(pid) and children_of(site.process.pid) == [pid]
    remote.write(b'')
    assert site.await_end(remote)[0] == 'TASK_FINISHED'


def test_working_directory_is_the_sandbox_where_the_programs_is_not_there(site):
    remote = site.launch(['pwd'], start={'cwd': encode_data(b'/no/such/folder'), 'cwd_must_exist': False})
    assert remote.read().decode().strip() == os.path.realpath(site.folder)


def test_error_of_starting_reaches_the_program_and_mesos(site):
    remote = site.launch(['no-such-program'])
    message = remote.wait('not started')
    assert (message['exception'], message['errno'], decode_data(message['filename'])) == (
        'FileNotFoundError', errno.ENOENT, b'no-such-program')
    remote.wait('settled')
    assert remote.read() == remote.read('stderr') == b''
    assert site.await_end(remote) == (
        'TASK_FAILED', "cannot start the command: [Errno 2] No such file or directory: 'no-such-program'", None)


def test_preexec_fn_comes_with_the_task(site):
    remote = site.launch(['sh', '-c', 'echo $$; ps -o sid= -p $$'], code=os.setsid)
    pid, session = remote.read().split()
    assert pid == session and remote.wait('exited') == 0


def test_signals_reach_the_command(site):
    remote = site.launch(['sh', '-c', 'trap "echo caught; exit 4" USR1; echo ready; while :; do sleep 0.1; done'])
    assert first_line(remote) == b'ready\n'
    site.hub.loop.carry_out(lambda: remote.session.signal(signal.SIGUSR1))
    assert remote.wait('exited') == 4
    assert remote.read() == b'caught\n'


def test_much_flows_both_ways_at_once(site):
    data = os.urandom(3 * 1024 * 1024)
    remote = site.launch(['cat'])
    remote.wait('started')
    writer = threading.Thread(target=lambda: remote.write(data))
    writer.start()
    assert remote.read() == data
    writer.join()
    assert remote.wait('exited') == 0


def test_command_whose_output_nobody_reads_stands_still(site):
    remote = site.launch(['yes'])
    pid = remote.wait('started')
    before = None
    deadline = monotonic() + 60
    while before != processor_time(pid) or before is None:
        assert monotonic() < deadline, 'it goes on and on'
        before = processor_time(pid)
        time.sleep(0.5)
    memory = site.holds()[3]
    assert memory < 200 * 1024
    site.kill(remote)
    remote.wait('exited')


def test_command_gets_sigpipe_when_its_reader_has_gone(site):
    remote = site.launch(['yes'])
    assert first_line(remote)
    remote.close()
    assert remote.wait('exited') == -signal.SIGPIPE


def test_command_that_does_not_read_its_input_ends_the_programs_writing(site):
    remote = site.launch(['sh', '-c', 'exec <&-; echo ready; sleep 100'])
    assert first_line(remote) == b'ready\n'
    with pytest.raises((IOError, OSError)) as caught:
        while True:
            os.write(remote.ends['stdin'], b'x' * 65536)
    assert caught.value.errno == errno.EPIPE


def test_output_of_what_a_command_leaves_running_still_comes(site):
    go = os.path.join(site.folder, 'go')
    text = '(for n in $(seq 1000); do [ -e "$0" ] && break; sleep 0.1; done; echo late) & exit 0'
    remote = site.launch(['sh', '-c', text, go])
    assert remote.wait('exited') == 0
    assert site.await_end(remote)[0] == 'TASK_FINISHED'
    assert not remote.has('settled')
    with open(go, 'w'):
        pass
    assert remote.read() == b'late\n'
    remote.wait('settled')


# ---- kills

def test_kill_ends_the_group_and_is_told_as_killed(site):
    remote = site.launch(['sh', '-c', 'sleep 100 & echo $!; wait'])
    other = int(first_line(remote))
    site.kill(remote)
    assert remote.wait('exited') == -signal.SIGTERM
    assert site.await_end(remote) == ('TASK_KILLED', 'Command was killed', {'returncode': -15})
    wait_until(lambda: not is_alive(other))


def test_what_ignores_sigterm_is_killed_after_the_grace_of_the_kill(site):
    remote = site.launch(STUBBORN, task=PATIENT)
    first_line(remote)
    began = monotonic()
    site.kill(remote, grace=1)
    assert remote.wait('exited') == -signal.SIGKILL
    assert monotonic() - began > 0.9
    assert site.await_end(remote)[0] == 'TASK_KILLED'


def test_grace_is_that_of_the_task_unless_the_kill_has_its_own_and_may_only_be_shortened(site):
    remote = site.launch(STUBBORN, task=PATIENT)
    first_line(remote)
    site.kill(remote)
    site.kill(remote, grace=0.5)
    site.kill(remote, grace=200)
    assert remote.wait('exited') == -signal.SIGKILL


def test_what_a_killed_command_leaves_behind_gets_sigkill(site):
    remote = site.launch(['sh', '-c', 'sh -c \'trap "" TERM; echo $$; while :; do sleep 0.1; done\' & wait'])
    other = int(first_line(remote))
    site.kill(remote, grace=0.5)
    assert remote.wait('exited') == -signal.SIGTERM
    wait_until(lambda: not is_alive(other))


def test_kill_before_the_program_has_said_what_to_run(site):
    with FaultProxy('%s:%d' % site.hub.address) as proxy:
        proxy.black_hole()
        remote = site.launch(['cat'], address=('127.0.0.1', proxy.port))
        wait_until(lambda: proxy.connections)
        site.kill(remote)
        assert site.await_end(remote) == ('TASK_KILLED', 'Command was killed', None)
    assert not remote.has('connected')


def test_kill_of_what_has_ended_or_never_was_does_nothing(site):
    remote = site.launch(['true'])
    remote.wait('settled')
    site.await_end(remote)
    site.kill(remote)
    remote.name = 'never'
    site.kill(remote)
    assert site.launch(['true']).wait('exited') == 0
    remote.name = 't0'
    assert site.updates('never') == [] and site.await_end(remote)[0] == 'TASK_FINISHED'


@pytest.mark.parametrize('is_group', [False, True], ids=['process', 'group'])
def test_command_killed_from_outside_is_told_as_it_is(site, is_group):
    remote = site.launch(['sleep', '100'])
    (os.killpg if is_group else os.kill)(remote.wait('started'), signal.SIGKILL)
    assert remote.wait('exited') == -signal.SIGKILL
    assert site.await_end(remote) == ('TASK_FAILED', 'Command terminated with signal Killed', {'returncode': -9})


# ---- the end of the executor

def left_behind_and_running(site):
    """(pids, remotes): a command that has ended and left something, one that runs, and one that is stubborn."""
    remotes = [site.launch(['sh', '-c', 'sleep 100 & echo $!']), site.launch(['sh', '-c', 'echo $$; exec sleep 100']),
               site.launch(['sh', '-c', 'trap "" TERM; echo $$; while :; do sleep 0.1; done'])]
    pids = [int(first_line(remote)) for remote in remotes]
    site.await_end(remotes[0])
    return pids, remotes


def test_shutdown_kills_everything_and_tells_everybody(make_site):
    site = make_site(grace_period=GRACE)
    pids, remotes = left_behind_and_running(site)
    site.agent.send_event({'type': 'SHUTDOWN'})
    assert remotes[1].wait('exited') == -signal.SIGTERM and remotes[2].wait('exited') == -signal.SIGKILL
    assert site.process.wait() == 0
    for remote, returncode in ((remotes[1], -15), (remotes[2], -9)):
        assert site.await_end(remote) == ('TASK_KILLED', 'the executor was shut down', {'returncode': returncode})
    wait_until(lambda: not any(is_alive(pid) for pid in pids))


def test_sigterm_is_a_shutdown(make_site):
    site = make_site(grace_period=GRACE)
    pids, remotes = left_behind_and_running(site)
    site.process.terminate()
    assert site.process.wait() == 0
    assert site.await_end(remotes[1]) == ('TASK_KILLED', 'the executor got signal 15', {'returncode': -15})
    assert site.await_end(remotes[2])[0] == 'TASK_KILLED'
    wait_until(lambda: not any(is_alive(pid) for pid in pids))


def test_agent_that_is_lost_without_checkpoint_is_a_shutdown(make_site):
    site = make_site(grace_period=GRACE)
    pids, remotes = left_behind_and_running(site)
    site.agent.cut()
    assert remotes[1].wait('exited') == -signal.SIGTERM
    site.process.wait()
    wait_until(lambda: not any(is_alive(pid) for pid in pids))


def test_agent_that_does_not_come_back_in_time_is_a_shutdown(make_site):
    site = make_site(checkpoint=True, recovery_timeout='1secs', subscription_backoff_max='100ms', grace_period=GRACE)
    remote = site.launch(['sleep', '100'])
    pid = remote.wait('started')
    site.agent.stop()
    site.process.wait()
    assert remote.wait('exited') == -signal.SIGTERM and not is_alive(pid)


def test_commands_survive_a_restart_of_the_agent(make_site):
    site = make_site(checkpoint=True, subscription_backoff_max='100ms')
    remote = site.launch(['cat'])
    pid = remote.wait('started')
    wait_until(lambda: site.updates(remote.name))
    quick = site.launch(['sh', '-c', 'read line; exit 5'])
    quick.wait('started')
    site.agent.reject_next(503, 'Agent has not finished recovery', type='SUBSCRIBE', times=5)
    site.agent.cut()
    quick.write(b'ends while there is no agent\n')
    assert quick.wait('exited') == 5
    site.agent.await_subscribe(2)
    assert is_alive(pid)
    remote.write(b'still here')
    assert remote.read() == b'still here'
    assert site.await_end(remote)[0] == 'TASK_FINISHED'
    states = [update['status']['state'] for call in site.agent.calls_of('SUBSCRIBE')
              for update in call.body['subscribe']['unacknowledged_updates']
              if update['status']['task_id']['value'] == quick.name]
    wait_until(lambda: 'TASK_FAILED' in states + [update[0] for update in site.updates(quick.name)])


# ---- the way to the program

def test_nothing_is_lost_when_the_connection_is_cut_again_and_again(site):
    data = os.urandom(2 * 1024 * 1024)
    with FaultProxy('%s:%d' % site.hub.address) as proxy:
        remote = site.launch(['cat'], address=('127.0.0.1', proxy.port))
        remote.wait('started')
        writer = threading.Thread(target=lambda: remote.write(data))
        reader = threading.Thread(target=lambda: got.append(remote.read()))
        got = []
        writer.start()
        reader.start()
        for _ in range(8):
            before = proxy.connections
            proxy.reset()
            wait_until(lambda: proxy.connections > before or remote.has('exited'))
        writer.join()
        reader.join()
        assert got == [data]
        assert remote.wait('exited') == 0


def test_program_that_is_lost_for_long_ends_the_command(make_site):
    site = make_site(patience='back=4')
    remote = site.launch(['sleep', '100'])
    pid = remote.wait('started')
    port = site.hub.port
    site.hub.stop()
    state, message, data = site.await_end(remote)
    assert state == 'TASK_FAILED' and data == {'returncode': -15}
    assert message.startswith('lost the program at 127.0.0.1:%d: cannot connect to 127.0.0.1:%d: ' % (port, port))
    assert not is_alive(pid)


def test_output_that_no_program_takes_any_more_is_given_up(make_site):
    site = make_site(patience='back=1')
    remote = site.launch(['sh', '-c', 'sleep 100 & exit 0'])
    remote.wait('exited')
    site.await_end(remote)
    before = site.holds()[0]
    site.hub.stop()
    wait_until(lambda: site.holds()[0] <= before - 3)
    assert site.await_end(remote)[0] == 'TASK_FINISHED'


def test_program_that_cannot_be_reached_is_the_end_of_the_task(make_site):
    site = make_site(patience='reach=3')
    holder = socket.socket()
    holder.bind(('127.0.0.1', 0))
    port = holder.getsockname()[1]
    remote = site.launch(['true'], address=('127.0.0.1', port))
    state, message, data = site.await_end(remote)
    holder.close()
    assert (state, data) == ('TASK_FAILED', None)
    assert message == ('cannot reach the program at 127.0.0.1:%d: cannot connect to 127.0.0.1:%d: '
                       '[Errno 111] Connection refused' % (port, port))


def test_program_that_does_not_know_the_task_is_the_end_of_it(make_site):
    site = make_site(patience='reach=4')
    remote = site.launch(['true'], is_expected=False)
    assert site.await_end(remote)[:2] == (
        'TASK_FAILED', 'cannot reach the program at 127.0.0.1:%d: it closed the connection without a word'
        % site.hub.port)


def test_program_that_says_nothing_is_the_end_of_the_task(make_site):
    site = make_site(patience='reach=5, attempt=0.5')
    with FaultProxy('%s:%d' % site.hub.address) as proxy:
        proxy.black_hole()
        remote = site.launch(['true'], address=('127.0.0.1', proxy.port))
        assert site.await_end(remote)[:2] == (
            'TASK_FAILED', 'cannot reach the program at 127.0.0.1:%d: it took the connection and did not answer'
            % proxy.port)
        assert proxy.connections >= 2


def test_name_of_the_program_is_looked_up(site):
    remote = site.launch(['echo', 'hi'], address=('localhost', site.hub.port))
    assert remote.wait('exited') == 0


def test_name_that_nobody_has_is_the_end_of_the_task(make_site):
    site = make_site(patience='reach=15')
    remote = site.launch(['true'], address=('no-such-host.invalid', 1))
    assert 'cannot resolve no-such-host.invalid' in site.await_end(remote)[1]


def test_data_that_makes_no_sense_is_the_end_of_the_task_and_is_not_repeated(site):
    secret = 'do not tell'
    for number, data in enumerate([b'', b'no json ' + secret.encode(), b'{}', json.dumps(
            {'host': 'x', 'port': 'y', 'identity': 'ab', 'key': secret}).encode()]):
        site.launch_raw('bad%d' % number, data)
        wait_until(lambda: site.updates('bad%d' % number))
        ((state, message, _),) = site.updates('bad%d' % number)
        assert state == 'TASK_FAILED' and message.startswith('cannot read the data of the task: ')
        assert secret not in message
    assert secret not in site.log()


def test_no_key_is_logged(site):
    remote = site.launch(['true'])
    remote.wait('settled')
    site.await_end(remote)
    ticket = site.ticket(remote.session)
    assert ticket['key'] not in site.log() and ticket['identity'] not in site.log()


# ---- many

def test_thousand_in_a_row_and_two_hundred_at_once_leave_nothing(make_site):
    site = make_site(patience='reach=100, attempt=100')     # a busy machine takes its time for two hundred connections
    first = site.launch(['true'])
    first.wait('settled')
    site.await_end(first)
    wait_until(lambda: not site.streams() and site.holds()[2] == 0, timeout=MANY)
    descriptors, threads = site.holds()[:2]
    run_many(site, 200, 200)
    wait_until(lambda: not site.streams() and site.holds()[2] == 0, timeout=MANY)
    memory = site.holds()[3]
    run_many(site, 1000, 8)
    run_many(site, 200, 200)
    for remote in site.remotes:
        assert remote.wait('exited') == 0
    wait_until(lambda: len(ended_tasks(site)) >= len(site.remotes), timeout=MANY)
    assert sorted(ended_tasks(site)) == sorted(remote.name for remote in site.remotes)
    wait_until(lambda: all(now <= before for now, before in zip(site.holds(), (descriptors, threads, 0))), timeout=MANY,
               message=lambda: '%r to become %r; open are %r' % (site.holds(), (descriptors, threads, 0),
                                                                 site.descriptors()))
    assert site.holds()[3] < memory + GROWTH


#: Seconds that the end of so many may take.
MANY = 120.0


def run_many(site, count, at_once):
    waiting = []
    for _ in range(count):
        waiting.append(site.launch(['true']))
        if len(waiting) == at_once:
            waiting.pop(0).wait('settled')
            site.remotes[-at_once].close()
    for remote in waiting:
        remote.wait('settled')
        remote.close()


def ended_tasks(site):
    statuses = [call.body['update']['status'] for call in site.agent.calls_of('UPDATE')]
    return [status['task_id']['value'] for status in statuses if status['state'] == 'TASK_FINISHED']


def processor_time(pid):
    with open('/proc/%d/stat' % pid) as stream:
        return sum(int(field) for field in stream.read().rpartition(')')[2].split()[11:13])

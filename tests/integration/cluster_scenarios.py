"""What holds for commands on every cluster: the tests are the same on the embedded one and on the real Mesos.

A module that has the fixtures `site`, a :class:`Site` with two agents (``rack:a`` and ``rack:b``) that many tests
share, and `sites`, which makes such as may be broken, imports all of it.
"""
from __future__ import absolute_import, division, print_function

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest
from subprocess_holdings import await_none_with, executors_of, in_threads, processes_with

from pymesos._compat import monotonic
from pymesos.subprocess import PIPE, Cluster, Popen, call, check_output
from pymesos.subprocess.errors import StartFailed, StartTimeout, SubprocessError, TaskLost
from pymesos.testing import wait_until

#: What commands of the tests take, if they do not say.
DEFAULTS = {'default_cpus': 0.1, 'default_mem': 16}


class Site(object):
    """A Mesos to run commands on. `mesos` has ``master`` and whatever breaks it."""

    def __init__(self, mesos):
        self.mesos = mesos
        self.master = mesos.master
        self.clusters = []

    def cluster(self, **options):
        """A :class:`Cluster`, closed behind the test."""
        made = Cluster(self.master, **dict(DEFAULTS, **options))
        self.clusters.append(made)
        return made

    def close(self):
        for cluster in self.clusters:
            cluster.close()
        self.clusters = []

    def get(self, path):
        """What the master answers to a GET, a dict."""
        raise NotImplementedError

    def framework(self, cluster):
        """What the master says of a cluster's framework, None if it is over."""
        found = [framework for framework in self.get('/state')['frameworks'] if framework['id'] == cluster.framework_id]
        return found[0] if found else None

    # What breaks it; agents count from 0.

    def kill_master(self):
        raise NotImplementedError

    def start_master(self):
        raise NotImplementedError

    def kill_agent(self, number=0):
        raise NotImplementedError

    def start_agent(self, number=0):
        raise NotImplementedError


def unique():
    """A number of seconds to sleep that no other test has: by it the process is found."""
    return '%d.%d' % (5000 + os.getpid() % 1000, int(monotonic() * 1e6) % 10 ** 9)


def executor_of(cluster):
    """The pid of the only executor."""
    return wait_until(lambda: executors_of(cluster.framework_id), message='an executor')[0]


def kill_all(pids):
    """SIGKILL to processes, of which some may have ended since they were seen."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError as error:
            if error.errno != errno.ESRCH:
                raise


# ---- the usual

def test_command_knows_where_it_runs(site):
    cluster = site.cluster()
    process = Popen(['sh', '-c', 'exit 3'], cluster=cluster)
    assert process.wait() == 3
    assert process.pid > 0 and process.hostname and process.agent_id
    assert process.task_id == 'command-1'
    agents = [agent['id'] for agent in site.get('/slaves')['slaves']]
    assert process.agent_id in agents


def test_state_is_what_mesos_says(site):
    process = Popen(['sleep', unique()], cluster=site.cluster())
    wait_until(lambda: process.state == 'TASK_RUNNING', message=lambda: 'TASK_RUNNING, not %s' % process.state)
    process.kill()
    assert process.wait() == -signal.SIGKILL


def test_commands_of_a_program_share_an_executor(site):
    cluster = site.cluster()
    # On one agent: where offers come slowly, another one's may be the first.
    tasks = [Popen(['sleep', unique()], cluster=cluster, constraints='rack:a') for _ in range(3)]
    assert len(set(task['executor_id'] for task in site.framework(cluster)['tasks'])) == 1
    assert len(executors_of(cluster.framework_id)) == 1
    for task in tasks:
        task.kill()
        task.wait()


def test_many_threads_run_many_commands(site):
    cluster = site.cluster()
    assert in_threads(16, lambda number: [
        call(['sh', '-c', 'exit %d' % number], cluster=cluster) for _ in range(4)]) == [[n] * 4 for n in range(16)]


def test_name_and_labels_are_those_of_the_task(site):
    cluster = site.cluster()
    process = Popen(['sleep', unique()], cluster=cluster, name='a name', labels={'a': 'b'})
    task, = wait_until(lambda: site.framework(cluster)['tasks'], message='the task')
    assert task['name'] == 'a name'
    assert task['labels'] == [{'key': 'a', 'value': 'b'}]
    process.kill()
    process.wait()


def test_task_is_named_after_its_command(site):
    cluster = site.cluster()
    seconds = unique()
    process = Popen(['sleep', seconds], cluster=cluster)
    task, = wait_until(lambda: site.framework(cluster)['tasks'], message='the task')
    assert task['name'] == 'sleep ' + seconds
    process.kill()
    process.wait()


def test_uris_are_fetched_into_the_folder_of_a_command_that_has_none_of_its_own(site, tmpdir, monkeypatch):
    tmpdir.join('fetched.txt').write('fetched')
    monkeypatch.chdir(tmpdir.mkdir('gone'))
    tmpdir.join('gone').remove()
    assert check_output(['cat', 'fetched.txt'], cluster=site.cluster(), uris=str(tmpdir.join('fetched.txt'))) \
        == b'fetched'


def test_installed_executor_is_used_if_wanted(site):
    cluster = site.cluster(use_installed_executor=True, python=sys.executable, executor_environment={
        'PYTHONPATH': os.pathsep.join(path for path in sys.path if path)})
    assert call(['true'], cluster=cluster) == 0


def test_environment_of_executors_is_as_configured(site):
    cluster = site.cluster(executor_environment={'OF_THE_EXECUTOR': 'yes'})
    assert call(['true'], cluster=cluster) == 0
    with open('/proc/%d/environ' % executor_of(cluster)) as stream:
        assert 'OF_THE_EXECUTOR=yes' in stream.read().split('\0')


def test_every_address_can_be_listened_on(site):
    assert call(['true'], cluster=site.cluster(host='0.0.0.0')) == 0


# ---- where

def test_constraints_choose_the_agent(site):
    cluster = site.cluster()
    racks = dict((agent['id'], agent['attributes']['rack']) for agent in site.get('/slaves')['slaves'])
    for rack in 'abab':
        process = Popen(['true'], cluster=cluster, constraints='rack:' + rack)
        assert process.wait() == 0
        assert racks[process.agent_id] == rack


def test_attributes_that_no_agent_has_are_an_error(site):
    with pytest.raises(StartFailed) as caught:
        Popen(['true'], cluster=site.cluster(), constraints='rack:z')
    assert str(caught.value) == 'no agent can hold cpus:0.1;mem:16 (rack:z): none of 2 has the attributes'


def test_resources_that_no_agent_has_are_an_error(site):
    with pytest.raises(StartFailed) as caught:
        Popen(['true'], cluster=site.cluster(), cpus=1000)
    assert str(caught.value).startswith('no agent can hold cpus:1000;mem:16, and cpus:0.01;mem:32 for the executor: '
                                        'the largest of 2 have cpus:4;mem:4096 on ')


def test_command_may_take_all_of_an_agent(sites):
    cluster = sites(resources='cpus:1;mem:128').cluster()
    for _ in range(2):                  # with a new executor, and with one that runs already
        assert call(['true'], cluster=cluster, cpus=1, mem=128) == 0


def test_command_that_needs_an_agent_for_itself_gets_its_turn(sites):
    site = sites(resources='cpus:1;mem:1024')
    cluster = site.cluster()
    stop = threading.Event()

    def keep_busy(_number):
        while not stop.is_set():
            call(['sleep', '0.2'], cluster=cluster, cpus=0.3)

    threads = [threading.Thread(target=keep_busy, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    try:
        call(['true'], cluster=cluster, cpus=0.1)
        began = monotonic()
        assert call(['true'], cluster=cluster, cpus=0.9) == 0
        assert monotonic() - began < 120
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_role_of_the_cluster_and_roles_of_commands(site):
    cluster = site.cluster(role='eng')
    assert call(['true'], cluster=cluster) == 0
    process = Popen(['sleep', unique()], cluster=cluster, role='ops')
    assert sorted(site.framework(cluster)['roles']) == ['eng', 'ops']
    # The end of the first may not be acknowledged yet.
    wait_until(lambda: [task['role'] for task in site.framework(cluster)['tasks']] == ['ops'],
               message='the task of ops to be the only one')
    process.kill()
    process.wait()
    assert call(['true'], cluster=cluster) == 0


def test_role_that_the_master_does_not_take_is_an_error(sites):
    cluster = sites(roles='eng').cluster(role='eng')
    with pytest.raises(StartFailed) as caught:
        Popen(['true'], cluster=cluster, role='ops')
    assert str(caught.value).startswith('the master does not take the role ops: ')
    assert call(['true'], cluster=cluster) == 0


def test_idle_program_holds_no_offer_and_gives_the_master_no_work(site):
    cluster = site.cluster()
    assert call(['true'], cluster=cluster) == 0
    wait_until(lambda: not site.framework(cluster)['tasks'] and not site.framework(cluster)['offers'],
               message='the framework to hold nothing')

    def calls():
        found = site.get('/metrics/snapshot')
        return dict((name, found[name]) for name in found
                    if name.startswith('master/messages_') and 'offers' in name or name.endswith('reconcile_tasks'))

    def is_idle():
        before = calls()
        time.sleep(3.0)
        return calls() == before

    # The first time it may still be about to say that it wants no more.
    wait_until(is_idle, message='the program to leave the master alone')
    assert site.framework(cluster)['offers'] == []


# ---- what does not start

def test_python_that_agents_do_not_have_is_an_error_that_names_it(site):
    began = monotonic()
    with pytest.raises(StartFailed) as caught:
        Popen(['true'], cluster=site.cluster(python='/no/such/python'), max_retries=1)
    assert str(caught.value).startswith('the command was not begun: task command-1.2 on agent ')
    assert monotonic() - began < 120


def test_start_timeout_is_kept_and_leaves_nothing(site):
    seconds = unique()
    cluster = site.cluster()
    assert call(['true'], cluster=cluster) == 0
    holders = [Popen(['sleep', unique()], cluster=cluster, cpus=3.5) for _ in range(2)]
    began = monotonic()
    with pytest.raises(StartTimeout) as caught:
        Popen(['sleep', seconds], cluster=cluster, cpus=3.5, start_timeout=1.0)
    assert 0.9 < monotonic() - began < 60
    assert caught.value.timeout == 1.0
    for holder in holders:
        holder.kill()
        holder.wait()
    assert call(['true'], cluster=cluster, cpus=3.5) == 0
    assert not processes_with(seconds)


def test_master_that_is_not_there_is_an_error_in_time():
    cluster = Cluster('127.0.0.1:1', master_timeout=4.0, **DEFAULTS)
    with pytest.raises(StartFailed) as caught:
        Popen(['true'], cluster=cluster)
    assert 'there was no subscription with 127.0.0.1:1 within 4 s: cannot connect to 127.0.0.1:1: ' in str(caught.value)
    cluster.close()


# ---- cancelling

def test_cancelled_command_ends_with_its_whole_group(site):
    seconds = unique()
    process = Popen('sleep %s & sleep %s' % (seconds, seconds), shell=True, cluster=site.cluster())
    wait_until(lambda: len(processes_with('sleep ' + seconds)) >= 2, message='the processes')
    process.cancel()
    assert process.wait(timeout=90) == -signal.SIGTERM
    await_none_with('sleep ' + seconds)


def test_cancelled_command_that_does_not_listen_is_killed(site):
    seconds = unique()
    process = Popen('trap "" TERM; echo; sleep %s' % seconds, shell=True, stdout=PIPE, cluster=site.cluster())
    process.stdout.readline()
    process.cancel()
    assert process.wait(timeout=90) == -signal.SIGKILL
    await_none_with('sleep ' + seconds)
    process.stdout.close()


def test_close_kills_what_runs_and_tears_the_framework_down(site):
    seconds = unique()
    cluster = site.cluster()
    process = Popen(['sleep', seconds], cluster=cluster)
    framework_id = cluster.framework_id
    began = monotonic()
    cluster.close(timeout=30.0)         # which it does not use up: it ends when the command has ended
    assert monotonic() - began < 30
    assert process.wait(timeout=0) == -signal.SIGTERM
    await_none_with(seconds)
    wait_until(lambda: framework_id not in frameworks(site), message='the framework to be torn down')
    assert framework_id in [framework['id'] for framework in site.get('/state')['completed_frameworks']]
    wait_until(lambda: not executors_of(framework_id), message='the executor to end')


def test_closed_cluster_begins_anew(site):
    cluster = site.cluster()
    assert call(['true'], cluster=cluster) == 0
    first = cluster.framework_id
    cluster.close()
    cluster.close()
    assert call(['true'], cluster=cluster) == 0
    assert cluster.framework_id != first


# ---- faults

def test_executor_that_is_killed_ends_its_commands_and_the_next_ones_run(site):
    cluster = site.cluster()
    seconds = unique()
    process = Popen(['sleep', seconds], cluster=cluster)
    os.kill(executor_of(cluster), signal.SIGKILL)
    began = monotonic()
    with pytest.raises(TaskLost) as caught:
        process.wait(timeout=90)
    assert monotonic() - began < 60
    assert caught.value.state == 'TASK_FAILED'
    assert caught.value.task_id == process.task_id and caught.value.agent_id == process.agent_id
    assert call(['true'], cluster=cluster) == 0
    kill_all(processes_with(seconds))           # what the agent leaves of it


def test_commands_run_on_while_their_agent_is_restarted(sites):
    site = sites(agents=1)
    cluster = site.cluster()
    process = Popen(['sh', '-c', 'read line; echo "$line"; exit 5'], stdin=PIPE, stdout=PIPE, cluster=cluster)
    site.kill_agent()
    site.start_agent()
    assert process.communicate(b'still here\n') == (b'still here\n', None)
    assert process.returncode == 5
    assert call(['true'], cluster=cluster) == 0


def test_command_that_ends_while_its_agent_is_down_is_told_of(sites):
    site = sites(agents=1)
    cluster = site.cluster()
    process = Popen(['sh', '-c', 'read line; exit 6'], stdin=PIPE, cluster=cluster)
    site.kill_agent()
    process.communicate(b'\n')
    assert process.returncode == 6
    site.start_agent()
    assert call(['true'], cluster=cluster) == 0


def test_commands_run_on_while_the_master_is_restarted(sites):
    site = sites(agents=1)
    cluster = site.cluster()
    process = Popen(['sh', '-c', 'read line; exit 7'], stdin=PIPE, cluster=cluster)
    framework_id = cluster.framework_id
    site.kill_master()
    site.start_master()
    assert call(['true'], cluster=cluster) == 0
    process.communicate(b'\n')
    assert process.returncode == 7
    assert cluster.framework_id == framework_id


def test_command_that_ends_without_a_master_is_told_of(sites):
    site = sites(agents=1)
    cluster = site.cluster()
    process = Popen(['sh', '-c', 'read line; exit 8'], stdin=PIPE, cluster=cluster)
    site.kill_master()
    process.communicate(b'\n')
    assert process.returncode == 8
    site.start_master()
    assert call(['true'], cluster=cluster) == 0


def test_commands_that_are_started_without_a_master_run_when_there_is_one(sites):
    site = sites(agents=1)
    cluster = site.cluster()
    assert call(['true'], cluster=cluster) == 0
    site.kill_master()
    found = []
    thread = threading.Thread(target=lambda: found.append(call(['sh', '-c', 'exit 9'], cluster=cluster)))
    thread.start()
    site.start_master()
    thread.join(90)
    assert found == [9]


def status_or_none(cluster):
    try:
        return call(['true'], cluster=cluster)
    except TaskLost:
        return None


def test_commands_through_all_of_it_end_with_the_truth(sites):
    site = sites(agents=2)
    cluster = site.cluster()
    stop = threading.Event()

    def work(number):
        wrong = []
        while not stop.is_set():
            try:
                returncode = call(['sh', '-c', 'sleep 0.1; exit %d' % number], cluster=cluster)
            except SubprocessError as error:        # it may be lost, but not in silence
                returncode = None if isinstance(error, (TaskLost, StartFailed)) else repr(error)
            if returncode not in (None, number):
                wrong.append(returncode)
        return wrong

    found = []
    thread = threading.Thread(target=lambda: found.extend(in_threads(8, work)))
    thread.start()
    try:
        call(['true'], cluster=cluster)
        site.kill_master()
        site.start_master()
        site.kill_agent(0)
        site.start_agent(0)
        kill_all(executors_of(cluster.framework_id))
        site.kill_master()
        site.kill_agent(1)
        site.start_master()
        site.start_agent(1)
        # Whoever begins on an executor that the agent is about to give up may be lost as well; the next is not.
        wait_until(lambda: status_or_none(cluster) == 0, timeout=60, message='commands to run again')
    finally:
        stop.set()
        thread.join(180)
    assert found == [[]] * 8


# ---- processes

PROGRAM = """
    from __future__ import print_function
    import os, sys, time
    from pymesos.subprocess import Popen, call, configure
    configure(master=%(master)r, default_cpus=0.1, default_mem=16)
"""


def run_program(site, source, timeout=180, **names):
    """Run a program of its own; (exit status, output, seconds)."""
    text = textwrap.dedent(PROGRAM) % {'master': site.master} + textwrap.dedent(source) % names
    env = dict(os.environ, PYTHONPATH=os.pathsep.join(path for path in sys.path if path), PYTHONDONTWRITEBYTECODE='1')
    began = monotonic()
    process = subprocess.Popen([sys.executable, '-c', text], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env)
    timer = threading.Timer(timeout, process.kill)
    timer.start()
    try:
        output = process.communicate()[0].decode()
    finally:
        timer.cancel()
        timer.join()
    print(output)
    return process.returncode, output, monotonic() - began


def frameworks(site):
    """The ids of those that are not over."""
    return set(framework['id'] for framework in site.get('/state')['frameworks'])


@pytest.mark.parametrize('end,status', [
    ('', 0), ('sys.exit(4)', 4), ('raise ValueError("the program is wrong")', 1)])
def test_end_of_the_program_kills_what_runs_and_tears_down(site, end, status):
    seconds = unique()
    before = frameworks(site)
    found, output, _ = run_program(site, """
        process = Popen(['sleep', %(seconds)r])
        print('runs')
        %(end)s
    """, seconds=seconds, end=end)
    assert (found, 'runs' in output) == (status, True)
    await_none_with(seconds)
    wait_until(lambda: frameworks(site) <= before, message='the framework to be torn down')


def test_program_that_is_killed_leaves_nothing_in_the_end(site):
    seconds = unique()
    before = frameworks(site)
    status, _, _ = run_program(site, """
        configure(failover_timeout=1.0)
        process = Popen(['sleep', %(seconds)r])
        os.kill(os.getpid(), 9)
    """, seconds=seconds)
    assert status == -signal.SIGKILL
    await_none_with(seconds)
    wait_until(lambda: frameworks(site) <= before, message='the framework to be removed')


def test_forked_child_has_a_framework_of_its_own_and_leaves_the_parents_alone(site):
    status, output, _ = run_program(site, """
        from pymesos.subprocess.cluster import default
        assert call(['true']) == 0
        process = Popen(['sh', '-c', 'sleep 1; exit 3'])
        first = default().framework_id
        pid = os.fork()
        if not pid:
            assert call(['sh', '-c', 'exit 7']) == 7
            assert default().framework_id not in (None, first)
            print('child done')
            sys.exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        assert process.wait() == 3
        assert call(['true']) == 0
        assert default().framework_id == first
        print('parent done')
    """)
    assert status == 0 and 'child done' in output and 'parent done' in output


def test_children_of_multiprocessing_end_their_frameworks(site):
    before = frameworks(site)
    seconds = unique()
    status, output, _ = run_program(site, """
        import multiprocessing

        def work(number):
            Popen(['sleep', %(seconds)r])
            return call(['sh', '-c', 'exit %%d' %% number])

        if hasattr(multiprocessing, 'get_context'):
            multiprocessing = multiprocessing.get_context('fork')
        assert call(['true']) == 0
        pool = multiprocessing.Pool(2)
        assert pool.map(work, [3, 4]) == [3, 4]
        pool.close()
        pool.join()
        assert call(['true']) == 0
        print('done')
    """, seconds=seconds)
    assert status == 0 and 'done' in output
    await_none_with(seconds)
    wait_until(lambda: frameworks(site) <= before, message='the frameworks to be torn down')


def test_explicit_cluster_can_be_used_in_a_forked_child(site):
    cluster = site.cluster()
    assert call(['true'], cluster=cluster) == 0
    first = cluster.framework_id
    pid = os.fork()
    if not pid:
        status = 1
        try:
            if cluster.framework_id is None and call(['sh', '-c', 'exit 7'], cluster=cluster) == 7:
                cluster.close()
                status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    assert cluster.framework_id == first
    assert call(['true'], cluster=cluster) == 0


assert multiprocessing      # imported here, so that what a forked child has of it is no leak of a test

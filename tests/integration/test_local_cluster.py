"""The embedded cluster as programs use it: its life, its faults on demand, and who may reach it."""
from __future__ import absolute_import, division, print_function

import json
import os
import signal
import socket
import threading

import pytest
from six.moves.urllib.request import urlopen

from certificates import Authority
from pymesos.errors import UsageError
from pymesos.local import LocalCluster
from pymesos.resources import Resources
from pymesos.testing import wait_until
from pymesos.transport import engine
from recorders import FRAMEWORK, Recorder, run_program, scheduling

SMALL = 'cpus:4;mem:1024;disk:1000'

#: Pings that find out within seconds that an agent is cut off.
QUICK = {'agent_ping_timeout': 0.2, 'max_agent_ping_timeouts': 3}


class Launcher(Recorder):
    """Launches one command task on the first offer; what is left goes back for a moment."""

    def __init__(self, command, name='task'):
        super(Launcher, self).__init__()
        self.command, self.name = command, name
        self.is_launched = False

    def resourceOffers(self, driver, offers):
        for offer in offers:
            if self.is_launched:
                driver.declineOffer(offer['id'], {'refuse_seconds': 0.1})
                continue
            self.is_launched = True
            task, _rest = Resources(offer['resources']).take('cpus:0.1;mem:32')
            driver.launchTasks(offer['id'], [{
                'task_id': {'value': self.name}, 'name': self.name, 'agent_id': offer['agent_id'],
                'command': {'value': self.command}, 'resources': task.to_list()}], {'refuse_seconds': 0.1})

    def wait_state(self, state):
        """The first status with this state."""
        def found():
            return [status for status, in self.of('statusUpdate') if status['state'] == state]
        wait_until(found, 60, lambda: '%s; there were %s' % (state, self.of('statusUpdate')))
        return found()[0]


def get(address, path):
    """The JSON at a path of a server."""
    stream = urlopen('http://%s%s' % (address, path))
    try:
        return json.loads(stream.read().decode('utf-8'))
    finally:
        stream.close()


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    with open('/proc/%d/stat' % pid) as stream:
        return stream.read().rpartition(')')[2].split()[0] != 'Z'


def has_ended(pid):
    try:
        return not is_alive(pid)
    except EnvironmentError:            # between the two looks
        return True


# ---- life


def test_a_cluster_has_a_master_agents_and_folders_and_leaves_nothing():
    with LocalCluster(agents=3, resources=SMALL) as cluster:
        assert cluster.is_running
        state = get(cluster.master, '/state')
        assert state['activated_slaves'] == 3
        assert sorted(agent['id'] for agent in state['slaves']) == sorted(agent.id for agent in cluster.agents)
        assert all(get(agent.address, '/state')['id'] == agent.id for agent in cluster.agents)
        folder = cluster.work_dir
        assert os.path.isdir(folder)
    assert not cluster.is_running
    assert not os.path.exists(folder)
    with pytest.raises(EnvironmentError):
        urlopen('http://%s/state' % cluster.master)


def test_close_twice_and_close_before_start_are_fine():
    LocalCluster().close()
    cluster = LocalCluster(resources=SMALL).start()
    cluster.close()
    cluster.close()


def test_a_cluster_can_be_started_once():
    with LocalCluster(resources=SMALL) as cluster:
        with pytest.raises(UsageError) as caught:
            cluster.start()
    assert str(caught.value) == 'a LocalCluster can be started once; make another one'
    with pytest.raises(UsageError):
        cluster.kill_master()


def test_without_start_it_says_how_to_start_it():
    cluster = LocalCluster()
    for use in (lambda: cluster.master, cluster.kill_agent, cluster.heal):
        with pytest.raises(UsageError) as caught:
            use()
        assert str(caught.value) == ('the embedded cluster is not started: call start(), or write '
                                     '`with LocalCluster() as cluster:`')
    assert repr(cluster) == '<LocalCluster not started>'
    cluster.close()
    assert repr(cluster) == '<LocalCluster closed>'


def test_a_child_that_was_forked_can_neither_steer_nor_end_it():
    program = run_program('''
        import os, sys
        from pymesos.errors import UsageError
        from pymesos.local import LocalCluster
        from six.moves.urllib.request import urlopen
        with LocalCluster(resources='cpus:1;mem:64') as cluster:
            child = os.fork()
            if not child:
                try:
                    cluster.kill_agent()
                except UsageError as error:
                    print(error)
                sys.exit(3)                 # it leaves the with statement, too
            print(os.WEXITSTATUS(os.waitpid(child, 0)[1]))
            urlopen('http://%s/state' % cluster.master, timeout=60).close()
            print(os.path.isdir(cluster.work_dir))
        print(os.path.isdir(cluster.work_dir))
    ''', Peer())
    output, errors = program.communicate()
    assert output.decode().splitlines() == [
        'this process was forked from the one that started the embedded cluster; steer it there', '3', 'True',
        'False'], errors


def test_a_folder_that_was_given_is_kept(tmpdir):
    with LocalCluster(resources=SMALL, work_dir=str(tmpdir.join('kept'))) as cluster:
        with scheduling(cluster.master, Launcher('echo hello')) as (_driver, recorder):
            recorder.wait_state('TASK_FINISHED')
        sandbox, = cluster.agents[0].sandboxes()
        # What "latest" is made of may be seen, and be gone a moment later.
        for number, target in enumerate((sandbox, '/nowhere')):
            os.symlink(target, os.path.join(os.path.dirname(sandbox), '.latest.%d' % number))
        assert cluster.agents[0].sandboxes() == [sandbox]
    with open(os.path.join(sandbox, 'stdout')) as stream:
        assert 'hello\n' in stream.read()


def test_a_port_that_is_taken_is_an_error_and_leaves_nothing():
    with LocalCluster(resources=SMALL) as cluster:
        port = int(cluster.master.rpartition(':')[2])
        with pytest.raises((OSError, socket.error)):
            LocalCluster(resources=SMALL, port=port).start()


@pytest.mark.parametrize('settings, why', [
    ({'agents': -1}, 'a cluster has one master or more and no negative number of agents, not 1 and -1'),
    ({'masters': 0}, 'a cluster has one master or more'),
    ({'agents': '3'}, "agents is a number, not '3'"),
    ({'port': '5051'}, "port is a number, not '5051'"),
    ({'port': 65536}, 'a port is a number from 1 to 65535, or 0 for a free one, not 65536'),
    ({'roles': 'a,b'}, "roles is a list of names, such as ['a,b'], not text"),
    ({'host': '0.0.0.0'}, 'a cluster that listens on 0.0.0.0 can be reached by others and runs commands for them: '
                          'give credentials={principal: secret}, or leave host alone for loopback'),
])
def test_settings_that_cannot_be_are_refused_at_once(settings, why):
    with pytest.raises(UsageError) as caught:
        LocalCluster(**settings)
    assert why in str(caught.value)


@pytest.mark.parametrize('host, ip', [('127.0.0.1', '127.0.0.1'), ('localhost', '127.0.0.1'), ('::1', '[::1]')])
def test_a_cluster_listens_on_ipv6_and_on_a_name_as_well(host, ip):
    with LocalCluster(resources=SMALL, host=host) as cluster:
        with scheduling(cluster.master, Launcher('echo $MESOS_AGENT_ENDPOINT $MESOS_SLAVE_PID')) as (driver, recorder):
            recorder.wait_state('TASK_FINISHED')
            assert driver.master == cluster.master == '%s:%s' % (
                '[::1]' if host == '::1' else host, cluster.master.rpartition(':')[2])
        sandbox, = cluster.agents[0].sandboxes()
        port = cluster.agents[0].address.rpartition(':')[2]
        with open(os.path.join(sandbox, 'stdout')) as stream:
            assert stream.read() == '%s:%s slave(1)@%s:%s\n' % (ip, port, ip, port)
        assert cluster.agents[0].pid == 'slave(1)@%s:%s' % (ip, port)


def test_a_custom_executor_finds_its_agent_on_ipv6():
    with LocalCluster(resources=SMALL, host='::1') as cluster:
        output, errors = run_hello(cluster.master, 3).communicate()
        assert b'3 of 3 tasks finished' in output, errors


def test_a_host_that_does_not_resolve_is_refused():
    with pytest.raises(UsageError) as caught:
        LocalCluster(host='no.such.host.invalid', credentials={'user': 'secret'})
    assert "cannot resolve the host 'no.such.host.invalid' that the cluster is to listen on" in str(caught.value)


def test_resources_for_each_agent_must_be_as_many(tmpdir):
    with pytest.raises(UsageError) as caught:
        LocalCluster(agents=2, resources=['cpus:1']).start()
    assert str(caught.value) == 'got a list of 1 for 2 agents: give one for each, or one for all'


def test_an_unknown_setting_names_those_there_are():
    with pytest.raises(TypeError) as caught:
        LocalCluster(master_options={'alocation_interval': 1})
    assert "MasterOptions has no setting 'alocation_interval'; it has: agent_ping_timeout" in str(caught.value)


def test_a_host_that_is_killed_leaves_no_process_no_port_and_no_folder():
    program = run_program('''
        from __future__ import print_function
        import sys, time
        from pymesos import MesosSchedulerDriver
        sys.path.insert(0, FOLDER)
        from test_local_cluster import Launcher, LocalCluster, FRAMEWORK
        cluster = LocalCluster(resources='cpus:4;mem:1024;disk:1000').start()
        launcher = Launcher('echo $$; sleep 1000 & sleep 1000')
        driver = MesosSchedulerDriver(launcher, FRAMEWORK, cluster.master)
        driver.start()
        launcher.wait_state('TASK_RUNNING')
        sandbox, = cluster.agents[0].sandboxes()
        while True:
            with open(sandbox + '/stdout') as stream:
                lines = [line for line in stream.read().split() if line.isdigit()]
            if lines:
                break
            time.sleep(0.01)
        print(cluster.master, cluster.work_dir, lines[0])
        sys.stdout.flush()
        time.sleep(1000)
    '''.replace('FOLDER', repr(os.path.dirname(os.path.abspath(__file__)))), Peer())
    try:
        line = program.stdout.readline().decode('utf-8')
        if not line:
            program.kill()
            raise AssertionError(program.communicate()[1].decode('utf-8'))
        address, folder, pid = line.split()
        assert is_alive(int(pid)) and os.path.isdir(folder)
        with open('/proc/%s/stat' % pid) as stream:
            session = stream.read().rpartition(')')[2].split()[3]
        program.send_signal(signal.SIGKILL)
    finally:
        if program.poll() is None:
            program.kill()
        program.communicate()
    wait_until(lambda: has_ended(int(pid)) and not processes_of(session), message='the task to be killed')
    wait_until(lambda: not os.path.exists(folder), message='the folder to be removed')
    host, _, port = address.partition(':')
    with pytest.raises((OSError, socket.error)):
        socket.create_connection((host, int(port)), 5)


class Peer(object):
    address = ''


def processes_of(session):
    """The pids in a session."""
    found = []
    for name in os.listdir('/proc'):
        try:
            with open('/proc/%s/stat' % name) as stream:
                fields = stream.read().rpartition(')')[2].split()
        except EnvironmentError:
            continue
        if fields[3] == session and fields[0] != 'Z':
            found.append(int(name))
    return found


# ---- the address 'local'


def test_local_as_an_address_is_a_cluster_that_ends_with_the_driver():
    with scheduling('local', Launcher('exit 0')) as (driver, recorder):
        assert recorder.wait_state('TASK_FINISHED')['source'] == 'SOURCE_EXECUTOR'
        master = driver.master
    with pytest.raises(EnvironmentError):
        urlopen('http://%s/state' % master)


def test_local_twice_is_one_cluster_that_ends_with_the_last(monkeypatch):
    monkeypatch.setenv('MESOS_NUM_SLAVES', '2')
    monkeypatch.setenv('MESOS_RESOURCES', 'cpus:3;mem:512;disk:100')
    monkeypatch.setenv('MESOS_ATTRIBUTES', 'rack:r1')
    with scheduling('local') as (first, one):
        one.wait('registered')
        with scheduling('local') as (second, two):
            two.wait('registered')
            assert first.master == second.master
            state = get(first.master, '/state')
            assert [(agent['resources']['cpus'], agent['attributes']) for agent in state['slaves']] == [
                (3.0, {'rack': 'r1'})] * 2
            assert len(state['frameworks']) == 2
        assert get(first.master, '/state')['activated_slaves'] == 2


def test_a_driver_of_a_local_cluster_can_be_started_again(monkeypatch):
    monkeypatch.setattr(engine, 'LEAVE_TIMEOUT', 30.0)      # as long as a busy machine needs to confirm it
    with scheduling('local') as (driver, recorder):
        recorder.wait('registered')
        driver.stop()
        driver.join()
        driver.start()
        recorder.wait('registered', 2)


def test_a_wrong_environment_is_an_error_out_of_start(monkeypatch):
    monkeypatch.setenv('MESOS_NUM_SLAVES', 'many')
    with pytest.raises(UsageError) as caught:
        with scheduling('local'):
            raise AssertionError('it started')
    assert str(caught.value) == "MESOS_NUM_SLAVES is the number of agents of the embedded cluster, not 'many'"


# ---- faults


def test_a_master_that_is_killed_and_started_finds_framework_agents_and_task_again():
    with LocalCluster(resources=SMALL) as cluster:
        with scheduling(cluster.master, Launcher('sleep 1000')) as (driver, recorder):
            recorder.wait_state('TASK_RUNNING')
            before = cluster.master
            cluster.kill_master()
            recorder.wait('disconnected')
            cluster.start_master()
            assert cluster.master == before
            recorder.wait('reregistered')
            driver.killTask({'value': 'task'})
            wait_until(lambda: retry_kill(driver, recorder), message='the task to be killed')


def retry_kill(driver, recorder):
    """Whether a task was killed; the order is lost while its agent is not back at the new master."""
    if any(status['state'] == 'TASK_KILLED' for status, in recorder.of('statusUpdate')):
        return True
    driver.killTask({'value': 'task'})
    return False


def test_another_master_leads_when_the_first_one_dies_and_clients_are_sent_to_it():
    with LocalCluster(resources=SMALL, masters=3) as cluster:
        assert len(set(cluster.masters)) == 3 and cluster.master == cluster.masters[0]
        with scheduling(','.join(cluster.masters[::-1]), Launcher('sleep 1000')) as (driver, recorder):
            recorder.wait_state('TASK_RUNNING')
            assert driver.master == cluster.masters[0]
            cluster.kill_master()
            assert cluster.master == cluster.masters[1]
            recorder.wait('reregistered')
            wait_until(lambda: driver.master == cluster.masters[1], message='the driver to follow')
            cluster.start_master()
            assert cluster.master == cluster.masters[1]


def test_an_agent_that_is_killed_and_started_recovers_a_checkpointed_task():
    framework = dict(FRAMEWORK, checkpoint=True)
    with LocalCluster(resources=SMALL) as cluster:
        with scheduling(cluster.master, Launcher('sleep 1000'), framework) as (driver, recorder):
            recorder.wait_state('TASK_RUNNING')
            name = cluster.agents[0].id
            cluster.kill_agent(0)
            assert not cluster.agents[0].is_up
            with pytest.raises(UsageError) as caught:
                cluster.kill_agent(0)
            assert str(caught.value) == 'agent 0 is down already'
            cluster.start_agent(0)
            wait_until(lambda: get(cluster.master, '/state')['activated_slaves'] == 1, message='the agent to be back')
            assert cluster.agents[0].id == name
            driver.killTask({'value': 'task'})
            recorder.wait_state('TASK_KILLED')


def test_an_agent_that_is_killed_loses_the_task_of_a_framework_that_does_not_checkpoint():
    with LocalCluster(resources=SMALL) as cluster:
        with scheduling(cluster.master, Launcher('sleep 1000')) as (_driver, recorder):
            recorder.wait_state('TASK_RUNNING')
            cluster.kill_agent(0)
            status = recorder.wait_state('TASK_LOST')
            assert (status['source'], status['reason']) == ('SOURCE_MASTER', 'REASON_AGENT_DISCONNECTED')
            sandbox, = cluster.agents[0].sandboxes()
            cluster.start_agent(0)


def test_an_agent_that_is_stopped_says_farewell_kills_its_executors_and_comes_back():
    framework = dict(FRAMEWORK, checkpoint=True)
    with LocalCluster(resources=SMALL) as cluster:
        with scheduling(cluster.master, Launcher('echo $$ > pid; exec sleep 1000'), framework) as (_driver, recorder):
            recorder.wait_state('TASK_RUNNING')
            sandbox, = cluster.agents[0].sandboxes()
            wait_until(lambda: os.path.exists(os.path.join(sandbox, 'pid')) and read_pid(sandbox), message='the pid')
            cluster.stop_agent(0)
            assert not cluster.agents[0].is_up
            assert has_ended(read_pid(sandbox))
            assert recorder.wait_state('TASK_LOST')['reason'] == 'REASON_AGENT_REMOVED'
            with pytest.raises(UsageError) as caught:
                cluster.stop_agent(0)
            assert str(caught.value) == 'agent 0 is down already'
            cluster.start_agent(0)
            wait_until(lambda: get(cluster.master, '/state')['activated_slaves'] == 1, message='the agent to be back')


def read_pid(sandbox):
    with open(os.path.join(sandbox, 'pid')) as stream:
        return int(stream.read() or 0)


def test_an_agent_is_stopped_before_its_executors_have_ended_if_the_cluster_is_closed():
    options = {'executor_shutdown_grace_period': 60.0}
    with LocalCluster(resources=SMALL, agent_options=options) as cluster:
        command = "trap '' TERM; touch ready; while :; do sleep 0.1; done"
        with scheduling(cluster.master, Launcher(command)) as (_driver, recorder):
            recorder.wait_state('TASK_RUNNING')
            sandbox, = cluster.agents[0].sandboxes()
            wait_until(lambda: os.path.exists(os.path.join(sandbox, 'ready')), message='the task to ignore signals')
            stopper = threading.Thread(target=cluster.stop_agent)
            stopper.start()
            recorder.wait_state('TASK_LOST')
            cluster.close()
            stopper.join(30)
            assert not stopper.is_alive()


def test_an_agent_that_is_wiped_comes_as_a_new_one_and_keeps_its_sandboxes_only():
    framework = dict(FRAMEWORK, checkpoint=True)
    with LocalCluster(resources=SMALL) as cluster:
        with scheduling(cluster.master, Launcher('sleep 1000'), framework) as (_driver, recorder):
            recorder.wait_state('TASK_RUNNING')
            agent = cluster.agents[0]
            before, sandboxes = agent.id, agent.sandboxes()
            volume = os.path.join(agent.work_dir, 'volumes', 'roles', 'web', 'data')
            os.makedirs(volume)
            cluster.kill_agent(0)
            cluster.start_agent(0, wiped=True)
            assert recorder.wait_state('TASK_LOST')['reason'] == 'REASON_AGENT_REMOVED'
            wait_until(lambda: agent.id is not None, message='the agent to be registered')
            assert agent.id != before
            assert agent.sandboxes() == sandboxes and not os.path.exists(volume)


@pytest.mark.parametrize('forget, recovered', [(False, 1), (True, 0)])
def test_a_master_knows_the_agents_of_the_last_one_unless_it_forgets(forget, recovered):
    with LocalCluster(resources=SMALL) as cluster:
        cluster.kill_agent(0)
        cluster.kill_master()
        cluster.start_master(forget=forget)
        assert len(get(cluster.master, '/state')['recovered_slaves']) == recovered


def test_a_master_that_follows_another_one_cannot_forget_what_that_one_has():
    with LocalCluster(agents=0, masters=2) as cluster:
        cluster.kill_master()
        with pytest.raises(UsageError) as caught:
            cluster.start_master(forget=True)
        assert str(caught.value) == 'master %s leads, and has the registry' % cluster.master
        cluster.start_master()


def test_a_partition_makes_an_agent_unreachable_and_healing_brings_its_task_back():
    framework = dict(FRAMEWORK, checkpoint=True, capabilities=[{'type': 'PARTITION_AWARE'}])
    with LocalCluster(resources=SMALL, master_options=QUICK, agent_options={'master_ping_timeout': 1.0}) as cluster:
        with scheduling(cluster.master, Launcher('sleep 1000'), framework) as (_driver, recorder):
            recorder.wait_state('TASK_RUNNING')
            cluster.partition(0)
            assert recorder.wait_state('TASK_UNREACHABLE')['reason'] == 'REASON_SLAVE_REMOVED'.replace(
                'SLAVE', 'AGENT')
            cluster.heal()
            wait_until(lambda: any(status.get('reason') == 'REASON_AGENT_REREGISTERED'
                                   for status, in recorder.of('statusUpdate')), message='the agent to come back')


def test_a_delay_holds_up_messages_between_master_and_agent():
    with LocalCluster(resources=SMALL) as cluster:
        with scheduling(cluster.master, Launcher('exit 0')) as (_driver, recorder):
            recorder.wait('registered')
            cluster.delay(0.05, 0)
            recorder.wait_state('TASK_FINISHED')
            cluster.heal(0)


def test_a_framework_can_be_expired():
    with LocalCluster(resources=SMALL) as cluster:
        with scheduling(cluster.master) as (driver, recorder):
            framework_id = recorder.wait('registered')[0]['value']
            driver.stop(failover=True)
            driver.join()
            cluster.expire_framework(framework_id)
            assert [framework['id'] for framework in get(cluster.master, '/state')['completed_frameworks']] == [
                framework_id]
            with pytest.raises(UsageError) as caught:
                cluster.expire_framework(framework_id)
            assert str(caught.value) == 'the master knows no framework %s' % framework_id


@pytest.mark.parametrize('number', [-1, 1])
def test_an_agent_that_is_not_there_is_an_error(number):
    with LocalCluster(resources=SMALL) as cluster:
        with pytest.raises(UsageError) as caught:
            cluster.kill_agent(number)
    assert str(caught.value) == 'there is no agent %d: they are numbered from 0 to 0' % number


@pytest.mark.parametrize('number', [-1, 1])
def test_a_master_that_is_not_there_is_an_error(number):
    with LocalCluster(resources=SMALL) as cluster:
        for method in (cluster.kill_master, cluster.start_master):
            with pytest.raises(UsageError) as caught:
                method(number)
            assert str(caught.value) == 'there is no master %d: they are numbered from 0 to 0' % number


# ---- who may reach it


def run_hello(master, tasks):
    """examples/hello.py, with its own executor, as a program."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return run_program("""
        import runpy, sys
        sys.argv = ['hello.py', %r, '--tasks', %r]
        sys.path.insert(0, %r)
        runpy.run_path(sys.path[0] + '/hello.py', run_name='__main__')
    """ % (master, str(tasks), os.path.join(root, 'examples')), Peer())


def test_with_credentials_everybody_must_show_who_he_is_and_executors_have_a_token(monkeypatch):
    with LocalCluster(resources=SMALL, credentials={'user': 'secret'}) as cluster:
        with pytest.raises(EnvironmentError):
            urlopen('http://%s/state' % cluster.master)
        with scheduling(cluster.master, principal='user', secret='wrong') as (driver, recorder):
            wait_until(lambda: driver.failure is not None, message='the driver to be refused')
            assert '401' in str(driver.failure)
        assert b'401' in run_hello(cluster.master, 3).communicate()[1]
        monkeypatch.setenv('DEFAULT_PRINCIPAL', 'user')
        monkeypatch.setenv('DEFAULT_SECRET', 'secret')
        output, errors = run_hello(cluster.master, 3).communicate()
        assert b'3 of 3 tasks finished' in output, errors


def test_a_cluster_can_speak_tls(tmpdir):
    authority = Authority(tmpdir)
    # By name: 2.7 cannot verify a certificate for an IP address.
    with LocalCluster(resources=SMALL, host='localhost', ssl_context=authority.server_context()) as cluster:
        with scheduling('https://' + cluster.master, Launcher('exit 0'),
                        tls={'ca_file': authority.ca_file}) as (_driver, recorder):
            recorder.wait_state('TASK_FINISHED')


# ---- simulated agents


def test_simulated_agents_run_no_process_and_finish_every_task():
    with LocalCluster(agents=20, resources=SMALL, simulated=0.05) as cluster:
        assert len(cluster.agents) == 20 and cluster.agents[0].address is None
        with scheduling(cluster.master, Launcher('exit 1')) as (_driver, recorder):
            assert recorder.wait_state('TASK_FINISHED')
        assert not cluster.agents[0].sandboxes()

"""What an executor makes of the tasks, orders and ends of commands, without a process of its own for it."""
from __future__ import absolute_import, division, print_function

import json
import os
import signal
import subprocess
import sys
import threading
from binascii import hexlify

import pytest

from pymesos.errors import MessageError
from pymesos.subprocess import executor as executor_module
from pymesos.subprocess.agent import command as command_module
from pymesos.subprocess.agent.children import SignalWatch
from pymesos.subprocess.agent.command import describe_end, read_ticket
from pymesos.subprocess.agent.dialler import Patience
from pymesos.subprocess.executor import CommandExecutor
from pymesos.subprocess.request import make_spec
from pymesos.subprocess.streams.hub import Hub
from pymesos.subprocess.streams.link import Link
from pymesos.subprocess.streams.protocol import CONTROL, DATA, END, HEAD_SIZE, STDERR, STDOUT, read_head
from pymesos.subprocess.streams.session import Session
from pymesos.testing import wait_until
from pymesos.utils import encode_data

pytestmark = pytest.mark.filterwarnings('ignore:.*fork.*:DeprecationWarning')


class Driver(object):
    """Takes updates."""

    grace_shutdown_period = 3.0

    def __init__(self):
        self.updates = []
        self.unanswered = 0

    def report(self, status):
        self.updates.append(status)


class House(object):
    """An executor and a program in one process."""

    def __init__(self):
        self.driver = Driver()
        self.watch = SignalWatch()
        self.executor = CommandExecutor(self.watch, Patience(reach=5, back=1))
        self.executor.start(self.driver)
        self.hub = Hub().start()
        self.loop = self.executor.exchange.loop
        self.sessions = []

    def task(self, name='t', **more):
        session = Session(self.hub.loop, os.urandom(16), os.urandom(32))
        self.sessions.append(session)
        self.hub.loop.carry_out(lambda: self.hub.expect(session))
        host, port = self.hub.address
        data = {'host': host, 'port': port, 'identity': hexlify(session.identity).decode('ascii'),
                'key': hexlify(session.key).decode('ascii')}
        return dict({'task_id': {'value': name}, 'data': encode_data(json.dumps(data).encode('ascii'))}, **more)

    def launch(self, args, on_started=None, on_exited=None, **options):
        """The session of a command that was told to start, and whose handlers are there before."""
        task = self.task()
        session = self.sessions[-1]
        session.on_started = on_started or session.on_started
        session.on_exited = on_exited or session.on_exited
        spec = make_spec(args, stdin='null', **dict({'stdout': 'null', 'stderr': 'null'}, **options))

        def start(session):
            for name, channel in (('stdout', STDOUT), ('stderr', STDERR)):
                if spec[name] == 'pipe':
                    session.attach(channel, os.open(os.devnull, os.O_WRONLY))
            session.start(spec)

        session.on_connected = start
        self.executor.launchTask(self.driver, task)
        return session

    def ends(self):
        """The updates that tell of an end; on a slow machine TASK_RUNNING is told of quick commands, too."""
        return [update for update in self.driver.updates if update['state'] != 'TASK_RUNNING']

    def await_end(self):
        wait_until(self.ends)
        return self.ends()[-1]

    def close(self):
        self.executor.stop('the test is over')
        self.executor.close()
        self.hub.stop()
        self.watch.close()


@pytest.fixture
def house():
    house = House()
    yield house
    house.close()


def ticket(**changes):
    data = dict({'host': 'h', 'port': 5, 'identity': '00' * 16, 'key': 'ff' * 32}, **changes)
    return {'data': encode_data(json.dumps(data).encode('ascii'))}


def test_ticket_says_where_the_program_is_and_what_proves_us():
    found = read_ticket(ticket(preexec=encode_data(b'code')))
    assert (found.address, found.identity, found.key, found.code) == (('h', 5), b'\0' * 16, b'\xff' * 32, b'code')
    assert read_ticket(ticket()).code is None


@pytest.mark.parametrize('task', [
    {}, {'data': None}, {'data': '!'}, {'data': encode_data(b'[]')}, ticket(port='x'), ticket(port=None),
    ticket(identity='00'), ticket(identity='zz' * 16), ticket(key='00' * 31), ticket(key=7), ticket(preexec=7)])
def test_ticket_that_cannot_be_read_is_an_error_that_repeats_nothing_of_it(task):
    with pytest.raises(MessageError) as caught:
        read_ticket(task)
    assert str(caught.value).startswith('cannot read the data of the task: ') and len(str(caught.value)) < 60


@pytest.mark.parametrize('returncode, text', [
    (0, 'Command exited with status 0'), (3, 'Command exited with status 3'),
    (-9, 'Command terminated with signal Killed'), (-64, 'Command terminated with signal 64')])
def test_end_is_told_in_the_words_of_mesos(returncode, text):
    assert describe_end(returncode) == text


def test_launch_while_all_ends_is_refused_as_dropped(house):
    house.executor.stop('the end')
    house.executor.launchTask(house.driver, house.task())
    assert house.await_end() == {'task_id': {'value': 't'}, 'state': 'TASK_DROPPED',
                                 'message': 'the executor is shutting down'}


def test_task_that_is_launched_twice_runs_once(house):
    task = house.task()
    started = []
    house.sessions[0].on_connected = lambda session: session.start(
        make_spec(['true'], stdin='null', stdout='null', stderr='null'))
    house.sessions[0].on_started = lambda pid, hostname: started.append(pid)
    house.executor.launchTask(house.driver, task)
    house.executor.launchTask(house.driver, task)
    assert house.await_end()['state'] == 'TASK_FINISHED'
    wait_until(lambda: started)
    assert len(started) == len(house.ends()) == 1


def test_hostname_and_pid_are_told(house):
    heard = []
    house.launch(['true'], on_started=lambda *args: heard.append(args))
    wait_until(lambda: heard)
    assert heard[0][0] > 0 and heard[0][1] == house.executor.hostname


@pytest.mark.parametrize('message', [
    {'type': 'START', 'args': []}, {'type': 'SIGNAL', 'number': 'x'}, {'type': 'SIGNAL', 'number': -1},
    {'type': 'SIGNAL', 'number': signal.NSIG}, {'type': 'SIGNAL'}])
def test_program_that_breaks_the_protocol_loses_its_command(house, message):
    house.launch(['sleep', '100'], on_started=lambda pid, hostname: house.sessions[-1].send_message(message))
    update = house.await_end()
    assert update['state'] == 'TASK_FAILED' and 'broke the protocol: a ' in update['message']


def test_signal_zero_and_messages_of_later_versions_do_nothing(house):
    def started(pid, hostname):
        house.sessions[-1].signal(0)
        house.sessions[-1].send_message({'type': 'DANCE'})

    house.launch(['sleep', '0.5'], on_started=started)
    assert house.await_end()['state'] == 'TASK_FINISHED'


def test_stop_waits_until_the_agent_has_answered(house, monkeypatch):
    monkeypatch.setattr(executor_module, 'RESERVE', 600.0)
    house.driver.unanswered = 1
    stopping = threading.Thread(target=house.executor.stop, args=('so it goes',))
    stopping.start()
    stopping.join(0.3)
    assert stopping.is_alive()
    house.driver.unanswered = 0
    stopping.join(30)
    assert not stopping.is_alive()


def test_stop_does_not_wait_for_an_agent_that_answers_nothing(house):
    house.driver.unanswered = 1
    house.executor.stop('so it goes')


def packets(house, monkeypatch):
    """The frames that the executor sends from now on, a list of (type, channel) for each packet."""
    sent = []
    output = Link.output

    def noted(link):
        pieces = output(link)
        data, frames = b''.join(bytes(piece) for piece in pieces), []
        while data:
            head = read_head(data)
            frames.append((head.kind, head.channel))
            data = data[HEAD_SIZE + head.length:]
        if frames and threading.current_thread().name == 'pymesos-commands':
            sent.append(frames)
        return pieces

    monkeypatch.setattr(Link, 'output', noted)
    return sent


def test_end_of_a_command_is_told_in_one_packet(house, monkeypatch):
    monkeypatch.setattr(command_module, 'HOLD', 30.0)
    sent = packets(house, monkeypatch)
    whole = {(DATA, CONTROL), (END, CONTROL), (END, STDOUT), (END, STDERR)}
    # Whoever is interrupted while it closes one pipe after the other is seen to end bit by bit.
    for number in range(1, 21):
        house.launch(['true'], stdout='pipe', stderr='pipe')
        wait_until(lambda: len(house.ends()) == number)
        wait_until(lambda: len([frame for frames in sent for frame in frames if frame[0] == END]) == 3 * number)
        if any(whole.issubset(frames) for frames in sent):
            return
    raise AssertionError(sent)


def test_in_a_crowd_the_start_is_told_with_the_end(house, monkeypatch):
    monkeypatch.setattr(command_module, 'HOLD', 30.0)
    monkeypatch.setattr(CommandExecutor, 'is_crowded', True)
    started, exited = [], []
    sent = packets(house, monkeypatch)
    house.launch(['true'], on_started=lambda *args: started.append(args), on_exited=exited.append)
    wait_until(lambda: exited)
    assert len(started) == 1 and len([frames for frames in sent if (DATA, CONTROL) in frames]) == 1


def test_in_a_crowd_the_start_of_a_command_that_goes_on_is_told_all_the_same(house, monkeypatch):
    monkeypatch.setattr(CommandExecutor, 'is_crowded', True)
    started = []
    house.launch(['sleep', '600'], on_started=lambda *args: started.append(args))
    wait_until(lambda: started)
    house.executor.killTask(house.driver, {'value': 't'})
    assert house.await_end()['state'] == 'TASK_KILLED'


def test_in_a_crowd_the_start_is_told_before_any_output(house, monkeypatch):
    monkeypatch.setattr(command_module, 'HOLD', 600.0)
    monkeypatch.setattr(CommandExecutor, 'is_crowded', True)
    started = []
    house.launch(['sh', '-c', 'echo; exec sleep 600'], on_started=lambda *args: started.append(args), stdout='pipe')
    wait_until(lambda: started)
    house.executor.killTask(house.driver, {'value': 't'})
    house.await_end()


def test_it_is_crowded_while_many_commands_wait_to_begin(house):
    tasks = [house.task('t%d' % number) for number in range(executor_module.CROWD)]
    for task in tasks[1:]:
        house.executor.launchTask(house.driver, task)
    wait_until(lambda: len(house.executor._waiting) == len(tasks) - 1)
    assert not house.executor.is_crowded
    house.executor.launchTask(house.driver, tasks[0])
    wait_until(lambda: house.executor.is_crowded)
    for number in range(len(tasks)):
        house.executor.killTask(house.driver, {'value': 't%d' % number})
    wait_until(lambda: not house.executor._waiting)


def test_fault_of_ours_is_logged_and_ends_nobody_else(house, caplog):
    def fail():
        raise ZeroDivisionError('ours')

    house.loop.order(fail)
    house.launch(['true'])
    assert house.await_end()['state'] == 'TASK_FINISHED'
    assert 'a fault of the executor' in caplog.text and 'ZeroDivisionError' in caplog.text


def test_command_that_cannot_even_be_tried_is_told_as_failed(house, caplog, monkeypatch):
    def fail(*_args):
        raise OSError(28, 'No more watches')

    monkeypatch.setattr(type(house.executor.children), '_spawn', staticmethod(fail))
    house.launch(['true'])
    update = house.await_end()
    assert update['state'] == 'TASK_FAILED' and 'the executor cannot start the command: ' in update['message']
    assert 'cannot start the command' in caplog.text


def test_stop_may_be_called_by_several_at_once_and_kills_what_runs(house):
    started = []
    house.launch(['sleep', '100'], on_started=lambda *args: started.append(args))
    wait_until(lambda: started)
    threads = [threading.Thread(target=house.executor.stop, args=('the end',)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert [update['state'] for update in house.ends()] == ['TASK_KILLED']


def test_stop_waits_for_a_moment_for_programs_that_do_not_take_what_is_left(house):
    exited = []
    house.launch(['true'], on_exited=exited.append)
    wait_until(lambda: exited)
    house.hub.stop()
    house.executor.stop('the end')
    assert [update['state'] for update in house.ends()] == ['TASK_FINISHED']


def test_executor_imports_nothing_of_the_programs_side():
    text = ('import sys, pymesos.subprocess.executor\n'
            'print([name for name in sys.modules if name.startswith("pymesos.subprocess.")])')
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(path for path in sys.path if path))
    output = subprocess.check_output([sys.executable, '-c', text], env=environment).decode('ascii')
    ours = ['agent', 'agent.children', 'agent.command', 'agent.dialler', 'agent.spawn', 'executor', 'streams',
            'streams.carrier', 'streams.descriptors', 'streams.link', 'streams.protocol', 'streams.pumps']
    names = [name[len('pymesos.subprocess.'):] for name in eval(output)]
    assert sorted(name for name in names if name != 'agent.posix_spawn') == ours


def test_descriptors_are_allowed_as_far_as_the_system_lets_us(monkeypatch):
    asked = []
    monkeypatch.setattr(executor_module.resource, 'setrlimit', lambda which, limits: asked.append(limits))
    for limits, expected in (((1024, 2048), [(2048, 2048)]), ((1024, -1), [(4096, -1)]), ((8192, 8192), []),
                             ((-1, -1), [])):
        monkeypatch.setattr(executor_module.resource, 'getrlimit', lambda which, limits=limits: limits)
        del asked[:]
        executor_module._allow_descriptors()
        assert asked == expected

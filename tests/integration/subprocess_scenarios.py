"""Faults while commands of pymesos.subprocess run, for the embedded cluster and the real Mesos alike.

Each function is a scenario. `ground` is a LocalCluster or a RealMesos, `cluster` what commands are run with.
"""
from __future__ import absolute_import, division, print_function

import contextlib
import hashlib
import json
import os
import select
import signal
import socket
import sys
import threading
import uuid

import pytest
from six.moves.urllib.request import Request, urlopen
from subprocess_holdings import await_idle_master, await_none_with, await_rest, executors_of, holdings

import pymesos
from pymesos._compat import monotonic
from pymesos.subprocess import PIPE, Cluster, Popen, StartFailed, StartTimeout, TaskLost, call
from pymesos.subprocess.agent.command import DEFAULT_GRACE
from pymesos.testing import FaultProxy, wait_until

#: Seconds that anything may take that is not told another limit: far more than it needs on a machine with nothing
#: else to do, and still what one may call bounded.
DEADLINE = 120.0

#: Answers each line; with the end of its input it ends. The second argument is what it is known by.
TALK = 'while read line; do echo "got $line"; done; exit %d'

MEGABYTE = 1 << 20

#: kB by which an executor may grow whose commands have ended.
WOBBLE = 16 * 1024

DEFAULTS = dict(default_cpus=0.1, default_mem=16, executor_idle=600.0)

#: Where pymesos is imported from.
LIBRARY = os.path.dirname(os.path.dirname(os.path.abspath(pymesos.__file__)))

#: The executor runs from this installation: nothing is fetched.
INSTALLED = dict(use_installed_executor=True, python=sys.executable,
                 executor_environment={'PYTHONPATH': os.pathsep.join(path for path in sys.path if path)})


def make_cluster(ground, **options):
    """A :class:`Cluster` on it."""
    return Cluster(ground.master, **dict(DEFAULTS, **options))


class Talker(object):
    """A command that answers until its input ends, and ends with a status of its own then."""

    def __init__(self, cluster, status=7, before='', **options):
        self.token = uuid.uuid4().hex
        self.status = status
        self._count = 0
        self._cluster = cluster
        self.process = Popen(['sh', '-c', before + TALK % status, self.token], stdin=PIPE, stdout=PIPE, bufsize=0,
                             cluster=cluster, **options)

    def ask(self, timeout=DEADLINE):
        """It answers."""
        self._count += 1
        os.write(self.process.stdin.fileno(), b'%d\n' % self._count)
        wanted = b'got %d\n' % self._count
        assert read_some(self.process.stdout, len(wanted), timeout) == wanted

    def finish(self):
        """It ends, with its status, and all is at its end."""
        self.process.stdin.close()
        assert self.process.wait(DEADLINE) == self.status
        assert read_some(self.process.stdout, 1, DEADLINE) == b''
        self.close()

    def await_loss(self, timeout=DEADLINE):
        """It ends with TaskLost, and what it wrote is at its end; returns the exception."""
        with pytest.raises(TaskLost) as caught:
            self.process.wait(timeout)
        assert caught.value.task_id == self.process.task_id
        assert read_some(self.process.stdout, 1, DEADLINE) == b''
        self.close()
        return caught.value

    def await_end(self, timeout=DEADLINE):
        """It ends: with its return code, or TaskLost, whose exception is returned then."""
        try:
            return self.process.wait(timeout)
        except TaskLost as error:
            return error
        finally:
            self.close()

    def close(self):
        """Close the pipes, and see that nothing of it is left."""
        self.process.stdin.close()
        self.process.stdout.close()
        await_none_with(self.token)


def read_some(stream, count, timeout):
    """Read `count` bytes, or fewer at the end; AssertionError after `timeout` seconds."""
    deadline, data = monotonic() + timeout, b''
    while len(data) < count:
        left = deadline - monotonic()
        assert left > 0, 'waited %g s for %d bytes, got %r' % (timeout, count, data)
        if select.select([stream.fileno()], [], [], left)[0]:
            more = os.read(stream.fileno(), count - len(data))
            if not more:
                break
            data += more
    return data


class Background(object):
    """A function under way in a thread."""

    def __init__(self, function):
        self._function = function
        self._found = []
        self._thread = threading.Thread(target=self._run, name='background')
        self._thread.daemon = True
        self._thread.start()

    def _run(self):
        try:
            self._found.append((self._function(), None))
        except Exception as error:      # handed to who wants the result
            self._found.append((None, error))

    @property
    def is_over(self):
        """Whether there is a result."""
        return bool(self._found)

    def result(self, timeout=DEADLINE):
        """What it returned or raised."""
        wait_until(lambda: self._found, timeout, 'the end of what is in the background')
        self._thread.join()
        value, error = self._found[0]
        if error is not None:
            raise error
        return value


def status_of(cluster, status):
    """The return code of a command that ends with `status`."""
    return call(['sh', '-c', 'exit %d' % status], cluster=cluster)


def fails_to_start(cluster, error=StartFailed, **options):
    """Run a command that cannot be started; returns the text of the error."""
    token = uuid.uuid4().hex
    begun = monotonic()
    with pytest.raises(error) as caught:
        Background(lambda: Popen(['sh', '-c', 'sleep 1000', token], cluster=cluster, **options)).result()
    print('%.1f s: %s' % (monotonic() - begun, caught.value))
    assert type(caught.value) is error
    await_none_with(token)
    return str(caught.value)


@contextlib.contextmanager
def through_proxy(ground, **options):
    """A proxy between the program's port and its executors, and a :class:`Cluster` that tells these of it."""
    with FaultProxy('127.0.0.1:1') as proxy:
        with make_cluster(ground, advertised_host=proxy.host, advertised_port=proxy.port, **options) as cluster:
            proxy.target = '127.0.0.1:%d' % cluster._runtime_for().hub.port
            yield proxy, cluster


def driver_of(cluster):
    """The driver of a cluster's framework, which begins if it has not."""
    return cluster._runtime_for().driver


def tear_down(ground, framework_id):
    """Remove a framework as an operator does."""
    body = json.dumps({'type': 'TEARDOWN', 'teardown': {'framework_id': {'value': framework_id}}}).encode('ascii')
    urlopen(Request('http://%s/api/v1' % ground.master, body, {'Content-Type': 'application/json'}),
            timeout=DEADLINE).close()


def executor_of(cluster):
    """The pid of the only executor of a cluster; others are ending."""
    def find():
        found = executors_of(cluster.framework_id)
        return found if len(found) == 1 else None

    return wait_until(find, DEADLINE, lambda: 'one executor: %s' % executors_of(cluster.framework_id))[0]


@contextlib.contextmanager
def nothing_left(ground, cluster):
    """Afterwards the executor, which there was before, holds no more than then, and the master has no task."""
    assert status_of(cluster, 0) == 0
    await_idle_master(ground.master, cluster.framework_id)      # by then it has all the connections that it keeps
    executor = executor_of(cluster)
    before = holdings(executor)
    yield executor
    await_idle_master(ground.master, cluster.framework_id)
    assert executor_of(cluster) == executor
    await_rest(executor, before, WOBBLE)


# ---- scenarios

def master_is_restarted(ground, cluster, **how):
    """Commands go on and end meanwhile, and what was begun meanwhile is run afterwards."""
    with nothing_left(ground, cluster):
        ended_meanwhile, asked_meanwhile, ended_after = [Talker(cluster, status) for status in (3, 4, 5)]
        ground.kill_master()
        for talker in (ended_meanwhile, asked_meanwhile):
            talker.ask()
        ended_meanwhile.finish()
        begun_meanwhile = Background(lambda: status_of(cluster, 6))
        wait_until(lambda: not cluster._runtime_for().driver.connected, message='the loss of the master to be noticed')
        text = fails_to_start(cluster, error=StartTimeout, start_timeout=2.0)
        assert 'there is no subscription with the master' in text, text
        asked_meanwhile.ask()
        assert not begun_meanwhile.is_over
        ground.start_master(**how)
        assert begun_meanwhile.result() == 6
        for talker in (asked_meanwhile, ended_after):
            talker.ask()
            talker.finish()


def agent_is_restarted(ground, cluster):
    """Commands go on and end while the agent is down; afterwards it is used again."""
    with nothing_left(ground, cluster):
        ended_meanwhile, asked_meanwhile, ended_after = [Talker(cluster, status) for status in (3, 4, 5)]
        ground.kill_agent()
        for talker in (ended_meanwhile, asked_meanwhile):
            talker.ask()
        ended_meanwhile.finish()
        asked_meanwhile.ask()
        ground.start_agent()
        for talker in (asked_meanwhile, ended_after):
            talker.ask()
        assert Background(lambda: status_of(cluster, 6)).result() == 6
        for talker in (asked_meanwhile, ended_after):
            talker.finish()


def executor_is_killed(ground, cluster):
    """Its commands are lost, and are told to be; nothing of them is left, and others are run."""
    talkers = [Talker(cluster) for _ in range(3)] + [Talker(cluster, start_new_session=True)]
    for talker in talkers:
        talker.ask()
    os.kill(executor_of(cluster), signal.SIGKILL)
    for talker in talkers:
        error = talker.await_loss()
        assert error.state in ('TASK_FAILED', 'TASK_LOST', 'TASK_GONE'), error
        assert 'executor' in str(error).lower(), error
    assert Background(lambda: status_of(cluster, 6)).result() == 6
    await_idle_master(ground.master, cluster.framework_id)


def executor_is_killed_while_commands_begin(ground, cluster, count=20):
    """Whatever it was about to do, each command is run once, or is lost."""
    lost = []
    for ended in (0, 1, count // 2):
        assert status_of(cluster, 6) == 6
        executor = executor_of(cluster)
        begun = [Background(lambda status=status: status_of(cluster, status)) for status in range(count)]
        wait_until(lambda: sum(background.is_over for background in begun) >= ended, DEADLINE)
        os.kill(executor, signal.SIGKILL)
        for status, background in enumerate(begun):
            try:
                assert background.result() == status
            except TaskLost:
                lost.append(status)
    print('%d of %d were lost' % (len(lost), 3 * count))
    assert status_of(cluster, 6) == 6
    await_idle_master(ground.master, cluster.framework_id)


def port_is_refused(ground):
    """Where nothing can be fetched, and where nothing can be dialled."""
    with socket.socket() if hasattr(socket.socket, '__enter__') else contextlib.closing(socket.socket()) as nobody:
        nobody.bind(('127.0.0.1', 0))           # and does not listen
        options = dict(advertised_port=nobody.getsockname()[1], max_retries=1)
        with make_cluster(ground, **options) as cluster:
            text = fails_to_start(cluster)
            assert 'the command was not begun' in text and 'etch' in text, text
            await_idle_master(ground.master, cluster.framework_id)
        with make_cluster(ground, **dict(options, max_retries=0, **INSTALLED)) as cluster:
            text = fails_to_start(cluster)
            assert 'cannot reach the program at 127.0.0.1:%d' % options['advertised_port'] in text, text
            assert 'onnection refused' in text, text
            await_idle_master(ground.master, cluster.framework_id)


def port_is_behind_a_firewall(ground):
    """Packets to it vanish: it takes longer to find out."""
    with through_proxy(ground, max_retries=0, **INSTALLED) as (proxy, cluster):
        proxy.black_hole()
        text = fails_to_start(cluster)
        assert 'cannot reach the program at %s' % proxy.netloc in text, text
        proxy.pass_through()
        assert status_of(cluster, 6) == 6
        await_idle_master(ground.master, cluster.framework_id)


def connection_is_cut_while_data_flows(ground, megabytes=16, cuts=12):
    """Whatever is cut, all of it arrives, once."""
    with through_proxy(ground) as (proxy, cluster), nothing_left(ground, cluster):
        data = os.urandom(MEGABYTE) * megabytes
        process = Popen(['cat'], stdin=PIPE, stdout=PIPE, bufsize=0, cluster=cluster)

        def write(view):
            while len(view):
                view = view[os.write(process.stdin.fileno(), view[:MEGABYTE]):]

        before = proxy.connections
        got, size = hashlib.sha256(), len(data) // cuts
        for number in range(cuts):
            # All of a part passes the proxy behind that, both ways, and so the cut comes: it is far smaller.
            proxy.cut_after(1 + 12345 * number % 70000, ('down', 'up')[number % 2], with_reset=bool(number % 3))
            part = data[number * size:(number + 1) * size if number < cuts - 1 else len(data)]
            writer = Background(lambda: write(memoryview(part)))
            got.update(read_some(process.stdout, len(part), DEADLINE))
            writer.result()
        process.stdin.close()
        assert read_some(process.stdout, 1, DEADLINE) == b''
        process.stdout.close()
        assert process.wait(DEADLINE) == 0
        assert got.digest() == hashlib.sha256(data).digest()
        assert proxy.connections - before >= cuts


def connection_is_cut_at_the_end(ground, count=16):
    """The return code arrives though the connection goes while the command ends, or before it is begun."""
    with through_proxy(ground) as (proxy, cluster), nothing_left(ground, cluster):
        before = proxy.connections
        for number in range(count):
            # Up go 133 bytes of handshake, what is resumed, and after some 200 the first messages; down 48, and the
            # rest is START.
            proxy.cut_after((100 if number < 2 else 170) + 20 * number, ('up', 'down')[number % 2])
            assert Background(lambda: status_of(cluster, 10 + number)).result() == 10 + number
        proxy.pass_through()
        assert proxy.connections - before >= count + count // 2


def connection_is_silent_for_a_while(ground, seconds=2.0):
    """What was under way goes on."""
    with through_proxy(ground) as (proxy, cluster), nothing_left(ground, cluster):
        talker = Talker(cluster)
        talker.ask()
        proxy.black_hole()
        answered = Background(talker.ask)
        begun = Background(lambda: status_of(cluster, 6))
        threading.Event().wait(seconds)
        assert not answered.is_over and not begun.is_over
        proxy.pass_through()
        answered.result()
        talker.finish()
        assert begun.result() == 6


def connection_is_gone_for_good(ground, **options):
    """A command without its program is killed; the program is told that it was lost."""
    with through_proxy(ground, **options) as (proxy, cluster), nothing_left(ground, cluster):
        talker = Talker(cluster)
        talker.ask()
        wait_until(lambda: talker.process.state == 'TASK_RUNNING', DEADLINE)
        proxy.refuse()
        proxy.close_connections()
        error = talker.await_loss()
        assert str(error).endswith('its connection broke; Mesos last said TASK_RUNNING of it, and it is killed'), error


def updates_come_twice(ground):
    """And late, and of tasks that nobody knows any more."""
    with make_cluster(ground) as cluster:
        driver = driver_of(cluster)
        on_event, late = driver.on_event, []

        def repeat(event):
            on_event(event)
            if event['type'] == 'UPDATE':
                late.append(event)
                on_event(event)
                for one in late[-20:]:
                    on_event(one)

        driver.on_event = repeat
        with nothing_left(ground, cluster):
            talker = Talker(cluster)
            for status in range(30):
                assert status_of(cluster, status) == status
            talker.ask()
            talker.finish()
            wait_until(lambda: len(late) >= 30, DEADLINE)       # they come behind what the connections tell


def updates_are_lost(ground):
    """The scheduler never sees an update, as if it was acknowledged by one that failed then."""
    with make_cluster(ground) as cluster:
        driver = driver_of(cluster)
        on_event, lost = driver.on_event, []

        def lose(event):
            if event['type'] == 'UPDATE' and event['update']['status'].get('uuid'):
                lost.append(event)
                driver.acknowledgeStatusUpdate(event['update']['status'])
            else:
                on_event(event)

        driver.on_event = lose
        with nothing_left(ground, cluster):
            talker = Talker(cluster)
            for status in range(10):
                assert status_of(cluster, status) == status
            talker.ask()
            talker.finish()
            wait_until(lambda: len(lost) >= 10, DEADLINE)       # they come behind what the connections tell


def offers_are_stale(ground):
    """Offers reach the program when they are rescinded already; `ground` rescinds them after less than a second."""
    with make_cluster(ground) as cluster:
        driver = driver_of(cluster)
        on_event, held = driver.on_event, []

        def hold(event):
            if event['type'] == 'OFFERS' and len(held) < 3:
                held.append(event)
                if len(held) == 2:
                    threading.Event().wait(2.0)         # and so comes before the RESCIND, and is not valid any more
            on_event(event)

        driver.on_event = hold
        assert Background(lambda: status_of(cluster, 6)).result() == 6
        for status in range(5):
            assert Background(lambda: status_of(cluster, status)).result() == status
            threading.Event().wait(0.8)                 # for what is kept to be rescinded
        assert len(held) >= 2
        await_idle_master(ground.master, cluster.framework_id)


def framework_is_torn_down(ground, remove=tear_down):
    """Its commands are killed or lost; the next command begins another framework."""
    with make_cluster(ground) as cluster:
        talkers = [Talker(cluster) for _ in range(3)]
        framework_id = cluster.framework_id
        waiting = Background(lambda: Popen(['true'], cpus=1000000, cluster=cluster))
        threading.Event().wait(0.2)
        remove(ground, framework_id)
        for talker in talkers:
            ended = talker.await_end()
            print(repr(ended))
            assert isinstance(ended, TaskLost) or ended in (-signal.SIGTERM, -signal.SIGKILL), ended
        with pytest.raises(StartFailed) as caught:
            waiting.result()
        print(caught.value)
        assert status_of(cluster, 6) == 6
        assert cluster.framework_id != framework_id
        wait_until(lambda: not executors_of(framework_id), DEADLINE)


def task_is_killed(ground):
    """By somebody else in the framework's name: with SIGTERM, and after its grace with SIGKILL."""
    with make_cluster(ground) as cluster, nothing_left(ground, cluster):
        talker, stubborn = Talker(cluster), Talker(cluster, before='trap "" TERM; ')
        for one in (talker, stubborn):
            one.ask()
        begun = monotonic()
        for one in (talker, stubborn):
            driver_of(cluster).killTask({'value': one.process.task_id})
        assert talker.await_end() == -signal.SIGTERM
        assert stubborn.await_end() == -signal.SIGKILL
        assert monotonic() - begun > DEFAULT_GRACE - 0.5


def nothing_can_hold_it(ground):
    """What is asked, and what there is, is told."""
    with make_cluster(ground) as cluster:
        too_large = Background(lambda: fails_to_start(cluster, cpus=1000000))
        text = fails_to_start(cluster, constraints='no_such_attribute:1')
        assert 'no_such_attribute' in text, text
        text = too_large.result()
        assert '1000000' in text, text
        assert status_of(cluster, 6) == 6


def master_is_not_there():
    """The first command tells so, and so does the next."""
    with Cluster('127.0.0.1:1', master_timeout=1.0) as cluster:
        for _ in range(2):
            text = fails_to_start(cluster)
            assert 'no subscription with 127.0.0.1:1' in text, text


def python_is_missing(ground):
    """The error tells so."""
    with make_cluster(ground, python='/no/such/python', max_retries=1) as cluster:
        print(fails_to_start(cluster))
        await_idle_master(ground.master, cluster.framework_id)
    with make_cluster(ground, python='/bin/false', max_retries=1) as cluster:
        print(fails_to_start(cluster))
        await_idle_master(ground.master, cluster.framework_id)


def bundle_is_spoilt(ground):
    """What was fetched is not what was sent: nothing of it is run."""
    with make_cluster(ground, max_retries=1) as cluster:
        files = cluster._runtime_for().hub._files
        for path, response in list(files.items()):
            files[path] = response[:-2000] + b'x' + response[-1999:]
        print(fails_to_start(cluster))
        await_idle_master(ground.master, cluster.framework_id)


#: A program that runs two commands and is killed.
PROGRAM = """
import sys
from pymesos.subprocess import Cluster, Popen, PIPE
cluster = Cluster(sys.argv[1], default_cpus=0.1, default_mem=16, failover_timeout=float(sys.argv[3]))
first = Popen(['sh', '-c', 'echo running; sleep 1000', sys.argv[2]], stdout=PIPE, cluster=cluster)
second = Popen(['sh', '-c', 'trap "" TERM; while :; do sleep 1; done', sys.argv[2]], start_new_session=True,
               cluster=cluster)
first.stdout.readline()
print(cluster.framework_id)
sys.stdout.flush()
second.wait()
"""


def program_is_killed(ground, failover_timeout=1.0):
    """Its commands end on the agent, those too that take no notice of SIGTERM; so does its executor.

    If the master waits for the program, it is the executor which ends them, when it has missed it for a minute.
    """
    import subprocess
    token = uuid.uuid4().hex
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(path for path in sys.path if path))
    program = subprocess.Popen([sys.executable, '-c', PROGRAM, ground.master, token, str(failover_timeout)],
                               stdout=subprocess.PIPE, env=environment)
    try:
        framework_id = program.stdout.readline().decode().strip()
        assert executors_of(framework_id)
    finally:
        program.kill()
        program.wait()
        program.stdout.close()
    await_none_with(token, DEADLINE)
    if failover_timeout > DEADLINE:
        tear_down(ground, framework_id)
    wait_until(lambda: not executors_of(framework_id), DEADLINE)

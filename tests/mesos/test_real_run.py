"""``pymesos run`` and the examples of pymesos.subprocess on the real Mesos."""
from __future__ import absolute_import, division, print_function

import os
import re
import signal
import socket

import pymesos
import pytest
from children import EXAMPLES, Child

from pymesos.testing import wait_until

pytestmark = pytest.mark.mesos

COMMAND = os.path.join(os.path.dirname(os.path.abspath(pymesos.__file__)), '__main__.py')
LITTLE = ['--cpus', '0.1', '--mem', '32']


@pytest.fixture
def child(tmpdir):
    """A function that starts a program: its path, its arguments; ended with the test."""
    children = []

    def start(path, *args, **environment):
        children.append(Child(tmpdir.join('output-%d' % len(children)), path, *args, **environment))
        return children[-1]

    yield start
    for one in children:
        one.__exit__()


@pytest.fixture
def run(child):
    """A function that starts ``pymesos run``."""
    def start(*arguments, **environment):
        return child('-m', 'pymesos', 'run', *arguments, **environment)
    return start


@pytest.mark.mesos_main
def test_copies_run_on_the_agents(mesos, run):
    text = 'echo $PYMESOS_SIZE `hostname`'
    copies = run('--master', mesos.master, '-n', 8, '--tag', *(LITTLE + ['--', 'sh', '-c', text]))
    assert copies.wait() == 0, copies.text
    assert sorted(copies.text.splitlines()) == ['[%d] 8 %s' % (rank, socket.gethostname()) for rank in range(8)]


@pytest.mark.mesos_main
def test_programs_of_the_readme_and_the_docs(mesos, child):
    command = child(os.path.join(EXAMPLES, 'remote_command.py'), MESOS_MASTER=mesos.master)
    assert command.wait() == 0, command.text
    assert re.match(r"one ran on \S+\nanother \[u?'has', u?'sorted'\] on \S+\n$", command.text), command.text
    pool = child(os.path.join(EXAMPLES, 'remote_pool.py'), __file__, COMMAND, MESOS_MASTER=mesos.master)
    assert pool.wait() == 0, pool.text
    assert len(re.findall(r'^/\S+: \d+$', pool.text, re.MULTILINE)) == 2, pool.text


def test_status_is_the_worst(mesos, run):
    failing = run('--master', mesos.master, '-n', 3, '-k', *(LITTLE + ['sh', '-c', 'exit $PYMESOS_RANK']))
    assert failing.wait() == 2, failing.text
    assert sorted(failing.text.splitlines()) == ['pymesos: [1] exit status 1', 'pymesos: [2] exit status 2']


def test_what_mesos_cannot_give_is_told(mesos, run):
    greedy = run('--master', mesos.master, '--mem', 10 ** 9, 'true')
    assert greedy.wait() == 125, greedy.text
    assert greedy.text.startswith('pymesos: no agent can hold cpus:1;mem:1000000000')


def test_interrupt_kills_all_on_the_cluster(mesos, run, tmpdir):
    def is_alive(pid):
        try:
            with open('/proc/%d/stat' % pid) as stat:
                return stat.read().rpartition(')')[2].split()[0] != 'Z'
        except EnvironmentError:
            return False

    sleeping = run('--master', mesos.master, '-n', 2, *(LITTLE + ['sh', '-c', 'echo pid $$; exec sleep 600']))
    wait_until(lambda: len(re.findall(r'pid \d+\n', sleeping.text)) == 2, 120,
               lambda: 'the commands: %s' % sleeping.text)
    pids = [int(pid) for pid in re.findall(r'pid (\d+)\n', sleeping.text)]
    assert all(is_alive(pid) for pid in pids)
    assert sleeping.kill(signal.SIGINT) == 130
    assert sleeping.text.endswith('pymesos: ended by SIGINT: 0 had ended, 2 killed\n')
    wait_until(lambda: not any(is_alive(pid) for pid in pids), 60, 'the commands to be dead')
    mesos.wait_for(lambda: not [one for one in mesos.get('/state')['frameworks'] if 'sleep' in one['name']],
                   'the framework to end')

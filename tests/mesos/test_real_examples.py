"""The programs in examples/ do on the real Mesos what they say."""
from __future__ import absolute_import, division, print_function

import glob
import json
import os
import re
import signal

import pytest
from children import EXAMPLES, Child

from pymesos.testing import wait_until

pytestmark = pytest.mark.mesos


@pytest.fixture
def example(tmpdir):
    """A function that starts an example: ``example('hello.py', address, ...)``, ended with the test."""
    children = []

    def start(program, *args, **environment):
        children.append(Child(tmpdir.join('output-%d' % len(children)), os.path.join(EXAMPLES, program), *args,
                              **environment))
        return children[-1]

    yield start
    for child in children:
        child.__exit__()


def framework_id(text):
    return re.search(r'^registered (?:again )?as (\S+)', text, re.MULTILINE).group(1)


def frameworks(mesos, kind, agent=None):
    """The ids of the frameworks that a master or agent has under 'frameworks' or 'completed_frameworks'."""
    return [framework['id'] for framework in mesos.get('/state', agent)[kind]]


def executor_logs(mesos, framework):
    """What the executors of a framework, which has ended, wrote into their logs."""
    for agent in (1, 2):
        mesos.wait_for(lambda: framework not in frameworks(mesos, 'frameworks', agent), 'the executors to end')
    found = glob.glob(os.path.join(mesos.folder, 'agent*/agents/*/*/slaves/*/frameworks', framework,
                                   'executors/*/runs/*/stderr'))
    texts = []
    for path in found:
        with open(path) as stream:
            texts.append(stream.read())
    return texts


@pytest.mark.mesos_main
def test_hello_runs_100_tasks_to_finished(mesos, example):
    hello = example('hello.py', mesos.master, '--tasks', 100)
    assert hello.wait() == 0, hello.text
    lines = hello.text.splitlines()
    assert sorted(lines[1:-1]) == sorted('hello-%d: TASK_FINISHED: Hello from hello-%d.' % (n, n) for n in range(100))
    assert lines[-1] == '100 of 100 tasks finished'
    mine = framework_id(hello.text)
    mesos.wait_for(lambda: mine in frameworks(mesos, 'completed_frameworks'), 'the framework to end')
    logs = executor_logs(mesos, mine)
    assert logs and not [log for log in logs if 'Traceback' in log], logs


@pytest.mark.mesos_main
def test_hello_in_addict_style_gets_messages_too(mesos, example):
    hello = example('hello_addict.py', mesos.master, '--tasks', 20)
    assert hello.wait() == 0, hello.text
    for number in range(20):
        assert 'hello-%d: TASK_FINISHED' % number in hello.text
        assert 'hello-addict: Hello from hello-%d.' % number in hello.text
    assert hello.text.splitlines()[-1] == '20 of 20 tasks finished'


@pytest.mark.parametrize('program', ['hello.py', 'hello_addict.py', 'task_group.py', 'failover.py'])
def test_address_that_cannot_be_read_is_named(program, example, tmpdir):
    args = {'task_group.py': ['true'], 'failover.py': ['--state', tmpdir.join('state')]}.get(program, [])
    child = example(program, 'nowhere:port', *args)
    assert child.wait() == 2
    assert "%s: error: cannot use the address 'nowhere:port': the port is 'port'" % program in child.text
    assert 'Traceback' not in child.text


def test_master_that_is_not_there_is_named(example):
    child = example('hello.py', '127.0.0.1:1', '--timeout', 3)
    assert child.wait() == 1
    assert 'cannot connect to 127.0.0.1:1: [Errno 111] Connection refused; trying again in' in child.text
    assert 'pymesos: gave up: not subscribed for 3 seconds, last tried 127.0.0.1:1' in child.text
    assert 'Traceback' not in child.text


def test_hello_ends_its_framework_on_ctrl_c(mesos, example):
    hello = example('hello.py', mesos.master, '--executor', 'sleep 600')
    hello.await_text('registered as')
    mine = framework_id(hello.text)
    mesos.wait_for(lambda: [f for f in mesos.get('/state')['frameworks'] if f['id'] == mine and f['tasks']],
                   'a task to be launched')
    assert hello.kill(signal.SIGINT) != 0
    assert 'KeyboardInterrupt' in hello.text
    mesos.wait_for(lambda: mine in frameworks(mesos, 'completed_frameworks'), 'the framework to end')


def test_hello_authenticates_by_its_environment(mesos_factory, example):
    cluster = mesos_factory(agents=1, auth='user:secret')
    hello = example('hello.py', cluster.master, DEFAULT_PRINCIPAL='user', DEFAULT_SECRET='secret')
    assert hello.wait() == 0, hello.text
    hello = example('hello.py', cluster.master, DEFAULT_PRINCIPAL='user', DEFAULT_SECRET='wrong')
    assert hello.wait() == 1
    assert 'HTTP status 401' in hello.text and 'wrong' not in hello.text


@pytest.mark.mesos_main
def test_task_group_shares_a_sandbox(mesos, example):
    group = example('task_group.py', mesos.master, 'echo from the first > file; sleep 1',
                    'while [ ! -s file ]; do sleep 0.1; done; cat file', 'true')
    assert group.wait() == 0, group.text
    assert 'member-1: TASK_FINISHED: from the first\n' in group.text
    assert group.text.count('TASK_FINISHED') == 3
    assert group.text.splitlines()[-1] == 'the group has finished'


def test_task_group_ends_together_if_one_fails(mesos, example):
    group = example('task_group.py', mesos.master, 'sleep 600; true', 'sleep 1; exit 3')
    assert group.wait() == 1, group.text
    assert 'member-1: TASK_FAILED: exit status 3\n' in group.text
    assert 'member-0: TASK_KILLED: exit status -15\n' in group.text
    assert group.text.splitlines()[-1] == 'the group has not finished'


def jobs_of(state):
    with open(str(state)) as stream:
        return json.load(stream)['jobs']


@pytest.mark.mesos_main
def test_failover_takes_over_after_a_kill(mesos, example, tmpdir):
    state = tmpdir.join('state.json')
    args = ['failover.py', mesos.master, '--state', state, '--jobs', 40, '--seconds', 4]
    first = example(*args)
    wait_until(lambda: first.text.count('TASK_RUNNING') == 40, 60, lambda: '40 running jobs in:\n' + first.text)
    first.kill(signal.SIGKILL)
    # One more that the file says was launched, though the master never heard of it: it has to be launched again.
    with open(str(state)) as stream:
        ledger = json.load(stream)
    agent_id = ledger['jobs']['job-0']['agent_id']
    ledger['jobs']['lost'] = {'state': 'TASK_STAGING', 'tries': 1, 'task_id': 'lost.1', 'agent_id': agent_id}
    with open(str(state), 'w') as stream:
        json.dump(ledger, stream)
    # On a busy machine some have ended by now.
    alive = ('TASK_STAGING', 'TASK_STARTING', 'TASK_RUNNING')
    asked = [job for job in ledger['jobs'].values() if job['state'] in alive]

    second = example(*args)
    second.await_text('reconciling %d tasks' % len(asked))
    second.await_text('lost.2: TASK_RUNNING')
    second.kill(signal.SIGTERM)                 # the gentle end keeps the tasks as well
    assert jobs_of(state)['lost']['tries'] == 2

    third = example(*args)
    assert third.wait() == 0, third.text
    assert third.text.splitlines()[-1] == '41 of 41 jobs finished'
    assert framework_id(first.text) == framework_id(second.text) == framework_id(third.text)
    everything = first.text + second.text + third.text
    # The answer to a reconciliation may tell of the end before the update does, which says the status.
    finished = re.findall(r'^job-(\d+)\.1: TASK_FINISHED: (?:exit status 0|Reconciliation: .*)$', everything, re.M)
    # Who was killed may have said it, and not written it down.
    assert sorted(set(map(int, finished))) == list(range(40)), everything
    assert everything.count('.2: TASK_FINISHED') == 1, everything       # none was launched twice
    assert 'lost.2: TASK_FINISHED' in everything and 'Traceback' not in everything
    assert not state.exists()


def test_failover_takes_over_from_a_master_that_died(mesos_factory, example, tmpdir):
    cluster = mesos_factory(agents=2, registry='replicated_log')
    args = ['failover.py', cluster.master, '--state', tmpdir.join('state.json'), '--jobs', 20, '--seconds', 4]
    first = example(*args)
    wait_until(lambda: first.text.count('TASK_RUNNING') == 20, 120, lambda: '20 running jobs in:\n' + first.text)
    cluster.kill_master()
    first.kill(signal.SIGKILL)
    cluster.start_master()
    second = example(*args)
    assert second.wait() == 0, second.text
    assert '20 of 20 jobs finished' in second.text
    assert 'TASK_LOST' not in second.text and '.2:' not in second.text


def test_failover_of_a_framework_that_is_gone_says_so(mesos, example, tmpdir):
    state = tmpdir.join('state.json')
    child = example('failover.py', mesos.master, '--state', state, '--jobs', 1, '--seconds', 600)
    child.await_text('TASK_RUNNING')
    child.kill(signal.SIGKILL)
    mesos.call({'type': 'TEARDOWN', 'teardown': {'framework_id': {'value': framework_id(child.text)}}})
    child = example('failover.py', mesos.master, '--state', state)
    assert child.wait() == 1
    assert 'pymesos: Framework has been removed' in child.text
    assert '0 of 1 jobs finished' in child.text

"""The ``pymesos`` command, as a user types it."""
from __future__ import absolute_import, division, print_function

import os
import re
import signal
import subprocess
import sys
import threading

import pytest

import pymesos


def start(*arguments, **options):
    """The command with `arguments`, or `program` (keyword) in its place."""
    how = ['-c', options['program']] if options else ['-m', 'pymesos']
    env = dict(os.environ, PYTHONPATH=os.pathsep.join(path for path in sys.path if path))
    return subprocess.Popen([sys.executable] + how + list(arguments), env=env, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, bufsize=0)


@pytest.fixture
def started():
    """:func:`start`, whose children are killed behind the test if they still run."""
    children = []

    def begin(*arguments, **options):
        children.append(start(*arguments, **options))
        return children[-1]

    yield begin
    for child in children:
        if child.poll() is None:
            child.kill()
            child.communicate()


def run(*arguments):
    """(exit status, what it printed, what it complained)."""
    child = start(*arguments)
    output, errors = child.communicate()
    return child.returncode, output.decode('utf-8'), errors.decode('utf-8')


def test_without_a_command_it_tells_what_there_is():
    status, output, _ = run()
    assert status == 0 and 'run an embedded cluster in the foreground' in output


def test_version_is_the_packages():
    status, output, errors = run('--version')
    assert status == 0 and 'pymesos %s' % pymesos.__version__ in output + errors


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_local_prints_the_address_and_how_to_use_it_and_ends_cleanly(number, started):
    child = started('local', '--agents', '3', '--resources', 'cpus:4;mem:4096', '--port', '0')
    lines = [child.stdout.readline().decode('utf-8') for _ in range(6)]
    found = re.search(r'The master is on (127\.0\.0\.1:[0-9]+); agent 0 on 127\.0\.0\.1:[0-9]+, agent 1 on', lines[0])
    assert found, lines
    assert re.match('Sandboxes are in /.*, which is removed at the end\n', lines[1])
    assert "MesosSchedulerDriver(scheduler, framework, '%s')" % found.group(1) in ''.join(lines)
    assert 'Ctrl-C' in ''.join(lines)
    child.send_signal(number)
    output, errors = child.communicate()
    assert (child.returncode, errors) == (0, b'')
    assert b'The embedded cluster has ended.' in output


#: Ends the cluster by SIGTERM at one line of what waits for its end.
ENDED_AT_A_LINE = '''
import os, signal, sys
from pymesos.cli import main

left = [%d]

def trace(frame, event, _):
    if event == 'line' and frame.f_code.co_name == 'wait':
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGTERM)
    return trace

class Output(object):
    write = sys.stdout.write

    def flush(self):
        sys.settrace(trace)

sys.stdout = Output()
sys.exit(main(['local', '--agents', '0', '--port', '0']))
'''


@pytest.mark.parametrize('line', range(1, 9))
def test_local_ends_wherever_the_signal_comes(line, started):
    child = started(program=ENDED_AT_A_LINE % line)
    killer = threading.Timer(60, child.kill)
    killer.start()
    output, errors = child.communicate()
    killer.cancel()
    killer.join()
    assert (child.returncode, errors) == (0, b'')
    assert b'The embedded cluster has ended.' in output


@pytest.mark.parametrize('arguments, status, why', [
    (['local', '--agnets', '3'], 2, 'unrecognized arguments: --agnets 3'),
    (['local', '--agnets', '3'], 2, 'usage: pymesos local'),
    (['--bogus', 'local'], 2, 'usage: pymesos [-h]'),
    (['run', '--master', '', 'true'], 2, "pymesos: master='': expected text that is not empty"),
    (['local', '--agents', 'x'], 2, "argument --agents: invalid int value: 'x'"),
    (['local', '--agents', '-1', '--port', '0'], 1, 'pymesos: a cluster has one master or more'),
    (['local', '--port', '99999'], 1, 'pymesos: a port is a number from 1 to 65535, or 0 for a free one, not 99999'),
    (['local', '--resources', 'cpus', '--port', '0'], 1, "pymesos: "),
    (['local', '--host', '0.0.0.0', '--port', '0'], 1, 'give credentials={principal: secret}, or leave host alone'),
    (['local', '--credentials', '/nowhere', '--port', '0'], 1, '/nowhere'),
])
def test_what_cannot_be_is_told(arguments, status, why):
    found, _, errors = run(*arguments)
    assert found == status, errors
    assert why in errors
    assert 'Traceback' not in errors


def test_a_port_that_is_taken_is_told(started):
    child = started('local', '--agents', '0', '--port', '0')
    port = child.stdout.readline().decode('utf-8').split(';')[0].rpartition(':')[2]
    status, _, errors = run('local', '--port', port)
    assert status == 1 and errors.startswith('pymesos: ') and 'Traceback' not in errors
    assert port in errors and errors.endswith('; --port 0 takes a free one\n')


def test_credentials_come_from_a_file(tmpdir, started):
    path = tmpdir.join('credentials')
    path.write('# who may\nuser secret\n\n')
    child = started('local', '--agents', '1', '--port', '0', '--credentials', str(path))
    line = child.stdout.readline().decode('utf-8')
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate()
    assert 'The master is on' in line and child.returncode == 0, errors
    path.write('user\n')
    status, _, errors = run('local', '--port', '0', '--credentials', str(path))
    assert status == 1 and "line 1 of %s is not 'principal secret'" % path in errors

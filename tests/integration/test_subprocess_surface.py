"""What Popen promises that only a whole cluster shows: streams of the program's own, signals, descriptors."""
from __future__ import absolute_import, division, print_function

import os
import signal
import subprocess as standard
import sys
import time

import pytest

import pymesos
import pymesos.subprocess as subprocess
from pymesos._compat import PY2
from pymesos.local import LocalCluster
from pymesos.testing import wait_until


@pytest.fixture(scope='module')
def local():
    """An embedded cluster with little to give, and the program's own framework on it."""
    with LocalCluster(resources='cpus:4;mem:2048') as cluster:
        yield cluster


@pytest.fixture
def cluster(local):
    """What the tests run their commands on."""
    with subprocess.Cluster(local.master, default_cpus=0.1, default_mem=32) as cluster:
        yield cluster


def python(text):
    return [sys.executable, '-c', text]


def run_program(local, code, **options):
    """Run a program of its own with `code`, on the cluster; (exit status, stdout, stderr)."""
    environment = dict(os.environ, MESOS_MASTER=local.master,
                       PYTHONPATH=os.path.dirname(os.path.dirname(os.path.abspath(pymesos.__file__))))
    code = ('import os, sys, time\n'
            'import pymesos.subprocess as subprocess\n'
            'subprocess.configure(default_cpus=0.1, default_mem=32)\n' + code)
    data = options.pop('input', b'')
    process = standard.Popen([sys.executable, '-c', code], stdin=standard.PIPE, stdout=standard.PIPE,
                             stderr=standard.PIPE, env=environment, **options)
    out, err = process.communicate(data)
    return process.returncode, out, err


def test_program_is_a_filter_when_its_command_is(local):
    status, out, err = run_program(local, 'sys.exit(subprocess.call(["tr", "a-z", "A-Z"]))', input=b'hi\n')
    assert (status, out) == (0, b'HI\n'), err


if not PY2:                     # whose files cannot tell that they are read
    def test_program_that_reads_what_a_filter_writes_feeds_it(local):
        status, out, err = run_program(local, 'process = subprocess.Popen(["cat"], stdout=subprocess.PIPE)\n'
                                              'print(process.stdout.read())\n'
                                              'process.wait()\n', input=b'hi')
        assert (status, out) == (0, b"b'hi'\n"), err


def test_input_that_is_not_waited_for_stays_the_programs(local):
    status, out, err = run_program(local, 'process = subprocess.Popen(["cat"])\n'
                                          'time.sleep(0.5)\n'
                                          'print(os.read(0, 100).decode())\n'
                                          'process.kill()\n'
                                          'process.wait()\n', input=b'mine')
    assert (status, out) == (0, b'mine\n'), err


def test_output_of_several_commands_is_in_order_with_the_programs(local):
    status, out, err = run_program(local, 'for n in range(20):\n'
                                          '    os.write(1, b"before\\n")\n'
                                          '    subprocess.call("echo one; echo two >&2; echo three", shell=True,\n'
                                          '                    stderr=subprocess.STDOUT)\n')
    assert (status, out) == (0, b'before\none\ntwo\nthree\n' * 20), err


def test_what_the_program_cannot_write_ends_the_command_by_its_signal(cluster):
    process = subprocess.Popen(['yes'], stdout=subprocess.PIPE, cluster=cluster)
    process.stdout.read(100)
    process.stdout.close()
    assert process.wait(90) == -signal.SIGPIPE


def test_descriptors_are_closed_when_a_command_has_ended(local):
    # In a program of its own: the embedded cluster opens connections when it likes.
    status, _, err = run_program(local, 'def held():\n'
                                        '    return set(name for name in os.listdir("/proc/self/fd"))\n'
                                        'for _ in range(5): subprocess.call(["true"])\n'
                                        'before = held()\n'
                                        'for _ in range(20):\n'
                                        '    subprocess.run(["cat"], input=b"x", capture_output=True)\n'
                                        '    subprocess.call(["true"])\n'
                                        'end = time.time() + 90\n'
                                        'while not held() <= before and time.time() < end: time.sleep(0.01)\n'
                                        'assert held() <= before, (held(), before)\n')
    assert status == 0, err


def test_program_that_closes_a_standard_stream_and_opens_it_again_keeps_it(local):
    # In a program of its own: the files that the embedded cluster opens for a moment would take the number.
    status, _, err = run_program(local, 'import fcntl\n'
                                        'subprocess.call(["true"])\n'
                                        'saved = fcntl.fcntl(0, fcntl.F_DUPFD, 10)\n'
                                        'os.close(0)\n'
                                        'process = subprocess.Popen(["cat"], stdin=subprocess.PIPE,\n'
                                        '                           stdout=subprocess.PIPE)\n'
                                        'try:\n'
                                        '    os.fstat(0)\n'
                                        'except OSError:\n'
                                        '    os.dup2(saved, 0)\n'
                                        'else:\n'
                                        '    sys.exit("the number is taken")\n'
                                        'os.close(saved)\n'
                                        'assert process.communicate(b"x") == (b"x", None)\n'
                                        'for _ in range(5):\n'
                                        '    subprocess.call(["true"])\n'
                                        'os.fstat(0)\n')
    assert status == 0, err


def test_command_may_signal_its_parent_as_it_may_locally(cluster):
    code = 'import os, signal\nfor number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP):\n' \
           '    os.kill(os.getppid(), number)\n'
    other = subprocess.Popen(['sleep', '60'], cluster=cluster)
    assert subprocess.call(python(code), cluster=cluster) == 0
    assert subprocess.call(['true'], cluster=cluster) == 0
    assert other.poll() is None
    other.kill()
    assert other.wait() == -signal.SIGKILL


@pytest.mark.parametrize('env, expected', [(None, b'apple\n'), ({'FRUIT': 'pear', 'PATH': os.defpath}, b'pear\n')])
def test_preexec_fn_changes_the_environment_that_is_inherited(cluster, env, expected):
    assert subprocess.check_output('echo $FRUIT', shell=True, env=env, cluster=cluster,
                                   preexec_fn=lambda: os.putenv('FRUIT', 'apple')) == expected


def test_error_on_the_agent_has_its_traceback(cluster):
    with pytest.raises(OSError) as caught:
        subprocess.call(['/no/such/program'], cluster=cluster)
    assert caught.value.filename == '/no/such/program'
    assert 'Traceback (most recent call last)' in caught.value.remote_traceback


def test_cancelled_command_ends_with_all_that_it_started(cluster, tmpdir):
    started = tmpdir.join('pid')
    process = subprocess.Popen('sleep 61 & echo $! >%s; wait' % started, shell=True, cluster=cluster)
    wait_until(lambda: started.check() and started.read().strip())
    process.cancel()
    assert process.wait(90) == -signal.SIGTERM
    wait_until(lambda: not is_alive(int(started.read())))


def is_alive(pid):
    try:
        with open('/proc/%d/stat' % pid) as stat:
            return stat.read().rpartition(')')[2].split()[0] != 'Z'
    except EnvironmentError:
        return False


def test_interrupted_program_ends_at_once_and_kills_what_it_called(local, tmpdir):
    started = tmpdir.join('pid')
    environment = dict(os.environ, MESOS_MASTER=local.master,
                       PYTHONPATH=os.path.dirname(os.path.dirname(os.path.abspath(pymesos.__file__))))
    code = ('import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n'
            'import pymesos.subprocess as subprocess\n'
            'subprocess.configure(default_cpus=0.1, default_mem=32)\n'
            'try:\n'
            '    subprocess.call("echo $$ >%s; exec sleep 610", shell=True)\n'
            'except KeyboardInterrupt:\n'
            # Not by itself: PyPy then forgets what was to be done at its exit.
            '    raise SystemExit("interrupted")\n' % started)
    process = standard.Popen([sys.executable, '-c', code], stderr=standard.PIPE, env=environment)
    wait_until(lambda: started.check() and started.read().strip())
    begun = time.time()
    process.send_signal(signal.SIGINT)
    error = process.communicate()[1]
    assert time.time() - begun < 120
    assert error.endswith(b'interrupted\n')
    wait_until(lambda: not is_alive(int(started.read())))


def test_program_that_just_ends_kills_what_it_left_running(local, tmpdir):
    started = tmpdir.join('pid')
    status, _, err = run_program(local, 'subprocess.Popen("echo $$ >%s; exec sleep 61", shell=True)\n'
                                        'while not (os.path.exists(%r) and os.path.getsize(%r)): time.sleep(0.01)\n'
                                        % (started, str(started), str(started)))
    assert status == 0, err
    wait_until(lambda: started.read().strip() and not is_alive(int(started.read())))

"""pymesos run as a user types it, on the embedded cluster."""
from __future__ import absolute_import, division, print_function

import fcntl
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading

import pytest

from pymesos.testing import wait_until

TIMEOUT = 90.0
LITTLE = ['--cpus', '0.1', '--mem', '32']
SAID = b'pymesos: no master is given (--master or MESOS_MASTER), so it runs on this machine\n'


class Run(object):
    """A ``pymesos run`` under way, or done: `status`, `output`, `errors` (bytes)."""

    def __init__(self, *arguments, **options):
        env = dict(os.environ, PYTHONPATH=os.pathsep.join(path for path in sys.path if path))
        env.pop('MESOS_MASTER', None)
        env.update(options.pop('env', {}))
        options.setdefault('stdin', subprocess.PIPE)
        options.setdefault('stdout', subprocess.PIPE)
        options.setdefault('stderr', subprocess.PIPE)
        self.process = subprocess.Popen([sys.executable, '-m', 'pymesos', 'run'] + list(arguments), env=env, bufsize=0,
                                        close_fds=True, **options)
        self.timer = threading.Timer(TIMEOUT, self.process.kill)
        self.timer.start()

    def end(self, data=None):
        self.output, self.errors = self.process.communicate(data)
        self.timer.cancel()
        self.timer.join()
        self.status = self.process.returncode
        return self

    def interrupt(self, number=signal.SIGINT):
        self.process.send_signal(number)


def run(*arguments, **options):
    """What came of a whole run; `data` is its standard input."""
    data = options.pop('data', b'')
    return Run(*arguments, **options).end(data)


def open_terminal():
    """A terminal of 80 columns: (our end, its end)."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 80, 0, 0))
    return ours, its


def is_alive(pid):
    try:
        with open('/proc/%d/stat' % pid) as stat:
            return stat.read().rpartition(')')[2].split()[0] != 'Z'
    except EnvironmentError:
        return False


def test_first_command_of_the_readme():
    ran = run('-n', '4', '--', 'hostname')
    assert (ran.status, ran.output, ran.errors) == (0, (socket.gethostname() + '\n').encode() * 4, SAID)


def test_pipe_works_as_it_looks():
    ran = run('--', 'tr', 'a-z', 'A-Z', data=b'hi\n' * 100000)
    assert (ran.status, ran.output, ran.errors) == (0, b'HI\n' * 100000, SAID)


def test_ranks_tags_and_variables():
    ran = run('-q', '-n', '3', '--tag', '--env', 'COLOUR=a b', *(LITTLE + [
        '--', 'sh', '-c', 'echo $PYMESOS_RANK/$PYMESOS_SIZE "$COLOUR"']))
    assert (ran.status, ran.errors) == (0, b'')
    assert sorted(ran.output.decode().splitlines()) == ['[%d] %d/3 a b' % (rank, rank) for rank in range(3)]


def test_each_line_of_input_is_a_command():
    ran = run('-q', '--each', '--jobs', '4', *(LITTLE + ['--', 'sh', '-c', 'echo "<$0>"', '{}']), data=b'a b\n\nc\n*')
    assert (ran.status, sorted(ran.output.splitlines()), ran.errors) == (0, [b'<*>', b'<a b>', b'<c>'], b'')


def test_each_copy_gets_the_input():
    ran = run('-q', '-n', '2', *(LITTLE + ['wc', '-c']), data=b'x' * 1000000)
    assert (ran.status, ran.output.split()) == (0, [b'1000000'] * 2)


@pytest.mark.parametrize('arguments, status, why', [
    (['sh', '-c', 'exit 7'], 7, b''),
    (['sh', '-c', 'kill -9 $$'], 137, b''),
    (['/nowhere/nosuch'], 127, b'pymesos: cannot be run: /nowhere/nosuch: No such file or directory\n'),
    (['/etc/passwd'], 126, b'pymesos: cannot be run: /etc/passwd: Permission denied\n'),
    (['--timeout', '0.5', 'sleep', '60'], 124, b'pymesos: timed out after 0.5 s\n'),
    (['--cpus', '100000', 'true'], 125, b'pymesos: no agent can hold cpus:100000;mem:1024'),
    (['--constraint', 'rack:r9', 'true'], 125, b'none of 1 has the attributes'),
])
def test_status_and_text_of_what_fails(arguments, status, why):
    ran = run('-q', *arguments)
    assert ran.status == status and why in ran.errors and ran.output == b''
    assert len(ran.errors.splitlines()) == (1 if why else 0)


def test_first_failure_ends_the_others():
    ran = run('-q', '-n', '3', *(LITTLE + ['sh', '-c', '[ $PYMESOS_RANK = 1 ] && exit 9; exec sleep 60']))
    assert ran.status == 9
    assert ran.errors.startswith(b'pymesos: [1] exit status 9\npymesos: the others were ended for that (-k goes on): ')


@pytest.mark.parametrize('number, status', [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupt_kills_all_and_says_so(number, status):
    ran = Run('-q', '-n', '2', *(LITTLE + ['sh', '-c', 'sleep 60 & echo $$ $!; wait']))
    pids = [int(pid) for _ in range(2) for pid in ran.process.stdout.readline().split()]
    assert len(pids) == 4 and all(is_alive(pid) for pid in pids)
    ran.interrupt(number)
    ran.end()
    assert ran.status == status
    name = b'SIGINT' if number == signal.SIGINT else b'SIGTERM'
    # One that has just begun, and has written already, may not be known to have.
    told = re.match(b'pymesos: ended by ' + name + br': 0 had ended, (\d) killed(?:, (\d) not begun)?\n\Z', ran.errors)
    assert told and sum(int(number or 0) for number in told.groups()) == 2, ran.errors
    wait_until(lambda: not any(is_alive(pid) for pid in pids), timeout=TIMEOUT, message='the commands to be dead')


def test_second_interrupt_leaves_at_once():
    # It does not die of SIGTERM, and so is waited for.
    ran = Run('-q', '-n', '2', *(LITTLE + ['sh', '-c', 'trap "" TERM; echo $$; while :; do sleep 1; done']))
    pids = [int(ran.process.stdout.readline()) for _ in range(2)]
    ran.interrupt()
    assert ran.process.poll() is None
    ran.interrupt()
    assert ran.process.wait() == 130
    # The embedded cluster was the same process: its executors see that it is gone.
    wait_until(lambda: not any(is_alive(pid) for pid in pids), timeout=TIMEOUT, message='the commands to be dead')
    ran.end()


@pytest.mark.parametrize('arguments', [['-n', '3'] + LITTLE, []])
def test_reader_that_has_enough_ends_all_quietly(arguments):
    ran = Run('-q', *(arguments + ['--', 'sh', '-c', 'echo $$; exec yes']))
    pid = int(ran.process.stdout.readline())
    ran.process.stdout.close()
    ran.process.stdout = None
    ran.end()
    assert (ran.status, ran.errors) == (141, b'')
    wait_until(lambda: not is_alive(pid), timeout=TIMEOUT, message='the command to be dead')


def test_closed_output_is_told():
    def close_stdout():
        os.close(1)

    ran = run('-q', '-n', '2', *(LITTLE + ['echo', 'hi']), preexec_fn=close_stdout)
    assert (ran.status, ran.errors[:44]) == (1, b'pymesos: cannot write: Bad file descriptor: ')


def test_bar_is_on_the_terminal_and_never_in_the_output(tmpdir):
    ours, its = open_terminal()
    shown = []

    def read():
        while True:
            try:
                data = os.read(ours, 65536)
            except OSError:             # EIO: nobody has the other end any more
                return
            shown.append(data)

    thread = threading.Thread(target=read)
    thread.start()
    go = tmpdir.join('go')
    text = 'for i in 1 2 3 4; do echo line $PYMESOS_RANK; sleep 0.1; done; until [ -e %s ]; do sleep 0.1; done' % go
    ran = Run('-n', '3', *(LITTLE + ['sh', '-c', text]), stderr=its)
    os.close(its)
    # Then all run at the same time, and the bar has been drawn.
    wait_until(lambda: b'3 running]' in b''.join(shown) or not thread.is_alive(), timeout=TIMEOUT)
    go.write('')
    ran.end(b'')
    thread.join(TIMEOUT)
    os.close(ours)
    assert ran.status == 0
    assert re.match(b'(line [012]\n){12}$', ran.output)
    screen = b''.join(shown)
    assert b'| 0/3 [' in screen and b'3 running]' in screen
    assert b'line' not in screen and screen.endswith(b'\r')


def test_bar_shares_a_terminal_with_the_output(tmpdir):
    ours, its = open_terminal()
    go = tmpdir.join('go')
    text = 'until [ -e %s ]; do sleep 0.1; done; echo line; sleep 0.5' % go
    ran = Run('-n', '2', *(LITTLE + ['sh', '-c', text]), stdin=its, stdout=its, stderr=its)
    os.close(its)
    shown = b''
    while True:
        try:
            data = os.read(ours, 65536)
        except OSError:
            break
        shown += data
        if not data:
            break
        if b'0/2 [' in shown:           # the bar is there before any of them writes
            go.write('')
    ran.end()
    os.close(ours)
    assert ran.status == 0 and b'0/2 [' in shown
    # What stands on each line of the screen at last, after the carriage returns.
    lines = [line.rstrip(b'\r').rpartition(b'\r')[2] for line in shown.split(b'\n')]
    assert lines.count(b'line') == 2, shown


def test_output_that_nobody_reads_costs_nothing_and_ends_on_interrupt():
    ran = Run('-q', '-n', '2', *(LITTLE + ['yes']))
    ran.process.stdout.read(1)
    ran.interrupt()
    ran.process.stdout.close()
    ran.process.stdout = None
    ran.end()
    assert ran.status in (130, 141)

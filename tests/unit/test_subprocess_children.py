"""Commands as processes: every option of START on every Python, errors as the program would see them, no zombies."""
from __future__ import absolute_import, division, print_function

import errno
import grp
import os
import pickle
import pwd
import select
import signal
import threading
import time

import pytest

from pymesos._compat import monotonic
from pymesos.serving.loop import Loop
from pymesos.subprocess.agent import spawn as spawn_module
from pymesos.subprocess.agent.children import Children, SignalWatch
from pymesos.subprocess.request import make_spec
from pymesos.testing import wait_until
from pymesos.utils import decode_data

#: Python 3.12 on warn of what a fork may find locked.
pytestmark = pytest.mark.filterwarnings('ignore:.*fork.*:DeprecationWarning')

NOBODY = pwd.getpwnam('nobody')

is_root = pytest.mark.skipif(os.geteuid() != 0, reason='only root may become somebody else')


class Listener(object):
    """Remembers what it hears of one child, and reads what that writes."""

    def __init__(self):
        self.heard = []
        self.child = None
        self.fields = None
        self.threads = set()

    def opened(self, child):
        self._note('opened', child)

    def started(self, child):
        self._note('started', child)

    def not_started(self, child, fields):
        self.fields = fields
        self._note('not started', child)

    def ended(self, child):
        self._note('ended', child)

    def _note(self, what, child):
        self.child = child
        self.threads.add(threading.current_thread().name)
        self.heard.append(what)

    def output(self, name='stdout'):
        """All that it writes, until its end."""
        pieces = []
        descriptor = getattr(self.child, name)
        while not pieces or pieces[-1]:
            assert select.select([descriptor], [], [], 30)[0], 'it neither writes nor ends'
            pieces.append(os.read(descriptor, 65536))
        return b''.join(pieces).decode('utf-8')

    def close(self):
        for name in ('stdin', 'stdout', 'stderr'):
            descriptor = self.child and getattr(self.child, name)
            if descriptor is not None:
                os.close(descriptor)
                setattr(self.child, name, None)


class Home(object):
    """Children on a loop of their own."""

    def __init__(self):
        self.watch = SignalWatch()
        self.failures = []
        self.loop = Loop('children', failed=self.failures.append).start()
        self.children = Children(self.loop, self.watch)
        self.loop.carry_out(self.children.open)
        self.listeners = []

    def start(self, args, code=None, stdin='null', stdout='pipe', stderr='null', **options):
        """The listener of a command that is on its way."""
        if code is not None:
            code = pickle.dumps(code, 2)
        spec = make_spec(args, stdin=stdin, stdout=stdout, stderr=stderr, has_preexec=code is not None, **options)
        listener = Listener()
        self.listeners.append(listener)
        self.loop.carry_out(lambda: self.children.start(spec, code, listener))
        return listener

    def run(self, args, **options):
        """The listener of a command that has ended."""
        listener = self.start(args, **options)
        wait_until(lambda: 'ended' in listener.heard or 'not started' in listener.heard)
        return listener

    def output_of(self, args, **options):
        """What a command writes."""
        listener = self.run(args, **options)
        assert listener.fields is None, listener.fields
        assert listener.child.returncode == 0
        return listener.output()

    def do(self, function):
        return self.loop.carry_out(function)

    def close(self):
        self.do(lambda: self.children.kill_all(signal.SIGKILL))
        wait_until(lambda: not len(self.children))
        for listener in self.listeners:
            listener.close()
        self.do(self.children.close)
        self.loop.stop()
        self.watch.close()
        assert not self.failures


@pytest.fixture(params=['as it comes', 'by hand'])
def home(request, monkeypatch):
    """With what starts commands here, and with a fork for all of them."""
    if request.param == 'by hand':
        monkeypatch.setattr(spawn_module, 'posix_spawn', None)
        monkeypatch.setattr(spawn_module, '_CAN_POPEN', False)
    home = Home()
    try:
        yield home
    finally:
        home.close()


# ---- what is asked for

def test_command_is_started_heard_of_and_waited_for(home):
    listener = home.run(['sh', '-c', 'echo out; exit 3'])
    assert listener.heard == ['opened', 'started', 'ended']
    assert listener.child.returncode == 3
    assert listener.output() == 'out\n'
    assert listener.threads == {'children'}
    with pytest.raises(OSError) as caught:
        os.waitpid(listener.child.pid, os.WNOHANG)
    assert caught.value.errno == errno.ECHILD


def test_shell_takes_the_first_argument_as_its_command_and_the_rest_as_its_arguments(home):
    assert home.output_of(['echo $0 $1', 'zero', 'one'], shell=True) == 'zero one\n'
    assert home.output_of('echo $0', shell=True, executable='/bin/sh') == '/bin/sh\n'


def test_executable_goes_before_the_first_argument(home):
    assert home.output_of(['not-sh', '-c', 'echo $0'], executable='sh') == 'not-sh\n'


def test_environment_is_exactly_what_is_asked_for(home):
    assert home.output_of(['/usr/bin/env'], env={'ONE': '1', 'EMPTY': ''}).splitlines() in (
        ['ONE=1', 'EMPTY='], ['EMPTY=', 'ONE=1'])


def test_program_is_looked_for_in_the_path_of_its_own_environment(home, tmpdir):
    tmpdir.join('mine').write('#!/bin/sh\necho here\n')
    tmpdir.join('mine').chmod(0o755)
    assert home.output_of(['mine'], env={'PATH': '/nowhere:%s:/bin' % tmpdir}) == 'here\n'
    assert home.run(['mine'], env={'PATH': '/nowhere'}).fields['exception'] == 'FileNotFoundError'


def test_relative_path_is_relative_to_the_folder_of_the_command(home, tmpdir):
    tmpdir.join('mine').write('#!/bin/sh\npwd\n')
    tmpdir.join('mine').chmod(0o755)
    where = os.path.realpath(str(tmpdir)) + '\n'
    assert home.output_of(['./mine'], cwd=str(tmpdir)) == where
    assert home.output_of(['mine'], cwd=str(tmpdir), env={'PATH': '.'}) == where


def test_folder_that_need_not_exist_is_replaced_by_the_sandbox(home):
    spec = make_spec(['pwd'], stdin='null', stderr='null')
    assert not spec['cwd_must_exist']
    spec['cwd'] = make_spec(['pwd'], cwd='/no/such/folder')['cwd']
    listener = Listener()
    home.listeners.append(listener)
    home.do(lambda: home.children.start(spec, None, listener))
    wait_until(lambda: 'ended' in listener.heard)
    assert listener.output() == os.path.realpath(os.getcwd()) + '\n'


def test_streams_are_pipes_the_null_device_or_one_for_both(home):
    listener = home.start(['sh', '-c', 'read line; echo got $line; echo bad >&2; readlink /proc/self/fd/0'],
                          stdin='pipe', stderr='stdout')
    os.write(listener.child.stdin, b'a line\n')
    assert listener.output().splitlines()[:2] == ['got a line', 'bad']
    listener = home.run(['sh', '-c', 'readlink /proc/self/fd/0; cat'], stderr='pipe')
    assert listener.output() == '/dev/null\n' and listener.output('stderr') == ''
    assert listener.child.stdin is None


def test_child_has_its_standard_streams_and_nothing_else_open(home):
    spawn_module.close_all_on_exec()            # as an executor does; what a test runner has open may be inheritable
    first = home.start(['cat'], stdin='pipe')           # whose pipes others must not hold open
    # The fourth is that of ls itself, to look.
    assert home.output_of(['ls', '/proc/self/fd'], stdin='pipe').split() == ['0', '1', '2', '3']
    os.close(first.child.stdin)
    first.child.stdin = None
    wait_until(lambda: 'ended' in first.heard)


def test_signals_that_python_ignores_are_restored_unless_told_otherwise(home):
    def ignored(**options):
        text = home.output_of(['grep', 'SigIgn', '/proc/self/status'], **options)
        return int(text.split()[1], 16)

    python_ignores = sum(1 << number - 1 for number in (signal.SIGPIPE, signal.SIGXFSZ))
    assert ignored() & python_ignores == 0
    assert ignored(restore_signals=False) & python_ignores == python_ignores


def test_child_leads_a_group_in_the_session_of_the_executor(home):
    listener = home.run(['sh', '-c', 'ps -o pgid=,sid= -p $$'])
    group, session = listener.output().split()
    assert int(group) == listener.child.pid and int(session) == os.getsid(0)


def test_new_session_when_asked_for(home):
    listener = home.start(['sleep', '100'], start_new_session=True)
    wait_until(lambda: 'started' in listener.heard)
    assert os.getsid(listener.child.pid) == listener.child.group == listener.child.pid


def test_process_group_when_asked_for(home):
    first = home.start(['sleep', '100'])
    wait_until(lambda: 'started' in first.heard)
    second = home.start(['sleep', '100'], process_group=first.child.pid)
    wait_until(lambda: 'started' in second.heard)
    assert os.getpgid(second.child.pid) == first.child.pid and second.child.group is None
    third = home.start(['sleep', '100'], process_group=0)
    wait_until(lambda: 'started' in third.heard)
    assert third.child.group == third.child.pid
    home.do(lambda: second.child.kill(signal.SIGTERM))          # of the group, which is another's, nothing else
    wait_until(lambda: 'ended' in second.heard)
    assert first.heard[-1] == 'started'


def test_process_group_that_is_none_is_an_error_as_locally(home):
    fields = home.run(['true'], process_group=2 ** 30).fields
    assert (fields['exception'], fields['errno']) == ('PermissionError', errno.EPERM)


def test_umask_when_asked_for(home):
    assert home.output_of(['sh', '-c', 'umask'], umask=0o27).strip() == '0027'
    assert home.output_of(['sh', '-c', 'umask'], umask=0).strip() == '0000'


@is_root
def test_user_group_and_extra_groups_by_name_and_number(home):
    group = grp.getgrgid(NOBODY.pw_gid).gr_name
    ids = home.output_of(['sh', '-c', 'id -u; id -g; id -G'], user='nobody', group=group, extra_groups=[7, group])
    assert ids.split() == [str(NOBODY.pw_uid), str(NOBODY.pw_gid), str(NOBODY.pw_gid), '7'] or set(
        ids.split()[2:]) == {str(NOBODY.pw_gid), '7'}
    assert home.output_of(['id', '-u'], user=NOBODY.pw_uid).split() == [str(NOBODY.pw_uid)]
    assert home.output_of(['id', '-u'], extra_groups=[]).split() == ['0']


# ---- errors

@pytest.mark.parametrize('options, exception, number, filename', [
    (dict(args=['no-such-program']), 'FileNotFoundError', errno.ENOENT, b'no-such-program'),
    (dict(args=['/no/such/program']), 'FileNotFoundError', errno.ENOENT, b'/no/such/program'),
    (dict(args=['true'], executable='no-such'), 'FileNotFoundError', errno.ENOENT, b'no-such'),
    (dict(args=['true'], cwd='/no/such/folder'), 'FileNotFoundError', errno.ENOENT, b'/no/such/folder'),
    (dict(args=['/etc/passwd']), 'PermissionError', errno.EACCES, b'/etc/passwd'),
    (dict(args=['/etc']), 'PermissionError', errno.EACCES, b'/etc'),
    (dict(args=['true'], cwd='/etc/passwd'), 'NotADirectoryError', errno.ENOTDIR, b'/etc/passwd'),
    (dict(args=['/etc/passwd/sub']), 'NotADirectoryError', errno.ENOTDIR, b'/etc/passwd/sub'),
])
def test_error_is_that_of_the_standard_library(home, options, exception, number, filename):
    listener = home.run(**options)
    assert listener.heard == ['opened', 'not started']
    fields = listener.fields
    assert (fields['exception'], fields['errno'], fields['strerror']) == (exception, number, os.strerror(number))
    assert decode_data(fields['filename']) == filename
    assert fields['text'] == "[Errno %d] %s: '%s'" % (number, os.strerror(number), filename.decode('ascii'))
    assert fields['traceback'].startswith('Traceback (most recent call last):')
    assert listener.child.pid is None and listener.output() == ''


def test_file_that_is_no_program_is_an_error(home, tmpdir):
    tmpdir.join('empty').write('no program')
    tmpdir.join('empty').chmod(0o755)
    fields = home.run([str(tmpdir.join('empty'))]).fields
    assert (fields['exception'], fields['errno']) == ('OSError', errno.ENOEXEC)


def test_unknown_user_is_an_error(home):
    fields = home.run(['true'], user='no-such-user').fields
    assert fields['exception'] == 'KeyError' and 'no-such-user' in fields['text']


@pytest.mark.skipif(os.geteuid() == 0, reason='root may do everything')
def test_user_that_one_may_not_become_is_an_error(home):
    fields = home.run(['true'], user=0).fields
    assert (fields['exception'], fields['errno']) == ('PermissionError', errno.EPERM)


def test_message_that_makes_no_sense_is_an_error_and_no_crash(home):
    for spec in ({}, {'args': []}, {'args': 5}, {'args': ['!']}, {'args': ['dHJ1ZQ=='], 'env': 7},
                 {'args': ['dHJ1ZQBl']}, {'args': ['dHJ1ZQ=='], 'umask': 'x'}, {'args': ['dHJ1ZQ=='], 'env': 'eA=='}):
        listener = Listener()
        home.do(lambda: home.children.start(spec, None, listener))
        wait_until(lambda: listener.heard == ['opened', 'not started'])
        assert listener.fields['traceback']


def test_too_many_descriptors_are_an_error(home, monkeypatch):
    def fail(*_args):
        raise OSError(errno.EMFILE, 'Too many open files')

    monkeypatch.setattr(os, 'pipe', fail)
    fields = home.run(['true']).fields
    monkeypatch.undo()
    assert (fields['exception'], fields['errno'], fields['filename']) == ('OSError', errno.EMFILE, None)


# ---- preexec_fn

def note_and_leave_a_group():
    os.write(1, b'before ')
    os.setsid()


def fail_at_length():
    raise ValueError('what if two swallows ' + 100000 * 'x')


def fail_unprintably():
    raise ValueError(b'\xff\xfe')


def leave():
    os._exit(7)


def sleep_long():
    time.sleep(100)


def show_handlers():
    os.write(1, repr([signal.getsignal(n) == signal.SIG_DFL for n in (signal.SIGTERM, signal.SIGCHLD)]).encode())


class TestPreexec(object):

    def test_function_runs_in_the_child_before_the_program_and_may_make_a_session(self, home):
        listener = home.run(['echo', 'after'], code=note_and_leave_a_group)
        assert listener.output() == 'before after\n'
        assert listener.heard == ['opened', 'started', 'ended'] and listener.threads == {'children'}

    def test_child_leads_a_group_all_the_same(self, home):
        listener = home.start(['sleep', '100'], code=leave_nothing)
        wait_until(lambda: 'started' in listener.heard)
        assert listener.child.group == listener.child.pid

    def test_exception_is_reported_with_its_traceback(self, home):
        fields = home.run(['true'], code=fail_at_length).fields
        assert (fields['exception'], fields['text']) == ('SubprocessError', 'Exception occurred in preexec_fn.')
        assert fields['errno'] is fields['filename'] is None
        assert len(fields['traceback']) == 16384
        fields = home.run(['true'], code=fail_unprintably).fields
        assert fields['exception'] == 'SubprocessError' and 'ValueError' in fields['traceback']

    def test_function_that_cannot_be_read_is_reported(self, home):
        listener = Listener()
        home.do(lambda: home.children.start(make_spec(['true'], stdout='null', stdin='null', stderr='null'),
                                            b'no pickle', listener))
        wait_until(lambda: 'not started' in listener.heard)
        assert listener.fields['exception'] == 'SubprocessError' and 'Unpickling' in listener.fields['traceback'] or (
            'Error' in listener.fields['traceback'])

    def test_function_that_exits_is_the_end_of_the_command(self, home):
        assert home.run(['true'], code=leave).child.returncode == 7

    def test_missing_program_is_the_usual_error(self, home):
        assert home.run(['no-such-program'], code=leave_nothing).fields['exception'] == 'FileNotFoundError'

    def test_function_that_takes_long_holds_up_nobody_and_can_be_killed(self, home):
        slow = home.start(['true'], code=sleep_long)
        began = monotonic()
        assert home.output_of(['echo', 'quick']) == 'quick\n'
        assert home.run(['no-such-program']).fields['exception'] == 'FileNotFoundError'
        other = home.start(['cat'], stdin='pipe')
        os.close(other.child.stdin)             # of which the fork must not hold a copy
        other.child.stdin = None
        assert other.output() == ''
        assert monotonic() - began < 60 and slow.heard == ['opened'] and len(home.children) >= 1
        home.do(lambda: slow.child.kill(signal.SIGTERM))
        wait_until(lambda: 'ended' in slow.heard)
        assert slow.child.returncode == -signal.SIGTERM

    def test_descriptors_that_the_function_opens_are_closed(self, home):
        assert home.output_of(['ls', '/proc/self/fd'], code=open_more).split() == ['0', '1', '2', '3']

    def test_handlers_of_the_executor_do_not_run_in_it(self, home):
        assert home.output_of(['true'], code=show_handlers) == '[True, True]'


def leave_nothing():
    pass


def open_more():
    os.open('/dev/null', os.O_RDONLY)
    os.dup2(os.open('/dev/null', os.O_RDONLY), 50)


# ---- ends

@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_end_by_a_signal_is_negative(home, number):
    assert home.run('kill -%d $$' % number, shell=True).child.returncode == -number


def test_signal_reaches_the_process_alone_and_a_kill_its_group(home):
    command = ('sh -c "trap \'echo inner; exit\' TERM; echo up; while :; do sleep 0.1; done" & '
               'trap "echo outer" USR1; wait; wait')
    listener = home.start(command, shell=True)
    assert os.read(listener.child.stdout, 100) == b'up\n'
    wait_until(lambda: handles(listener.child.pid, signal.SIGUSR1))
    home.do(lambda: listener.child.signal(signal.SIGUSR1))
    assert os.read(listener.child.stdout, 100) == b'outer\n'
    home.do(lambda: listener.child.kill(signal.SIGTERM))
    assert listener.output() == 'inner\n'
    wait_until(lambda: 'ended' in listener.heard)


def test_signal_after_the_end_goes_nowhere(home):
    listener = home.run(['true'])
    sent = []
    home.do(lambda: listener.child.signal(signal.SIGKILL))
    home.do(lambda: listener.child.kill(signal.SIGKILL))
    assert not sent and listener.child.group is None


def test_what_a_command_leaves_behind_is_known_and_killed_with_all(home):
    listener = home.run(['sh', '-c', 'sleep 100 & echo $!'])
    pid = int(os.read(listener.child.stdout, 100))
    assert home.do(lambda: home.children.has_left_over)
    home.do(lambda: home.children.kill_all(signal.SIGKILL))
    wait_until(lambda: is_gone(pid))
    assert listener.output() == ''


def test_whatever_ends_is_waited_for(home):
    pid = os.fork()
    if not pid:
        os._exit(0)
    wait_until(lambda: is_gone(pid, and_waited_for=True))


def test_hundred_at_once_and_two_hundred_in_a_row(home):
    at_once = [home.start(['sh', '-c', 'exit 5'], stdout='null') for _ in range(100)]
    wait_until(lambda: all('ended' in listener.heard for listener in at_once), 120.0)
    assert set(listener.child.returncode for listener in at_once) == {5}
    for _ in range(200):
        home.start(['true'], stdout='null')
    wait_until(lambda: not len(home.children), 120.0)


def handles(pid, number):
    """Whether a process has a handler for a signal."""
    with open('/proc/%d/status' % pid) as stream:
        caught = [line.split()[1] for line in stream if line.startswith('SigCgt')]
    return bool(int(caught[0], 16) & 1 << number - 1)


def is_gone(pid, and_waited_for=False):
    try:
        with open('/proc/%d/stat' % pid) as stream:
            return not and_waited_for and stream.read().rpartition(')')[2].split()[0] == 'Z'
    except (IOError, OSError):
        return True


# ---- signals of the process

def test_handlers_run_while_the_main_thread_waits():
    seen = []

    def handle(number, _frame):
        seen.append(number)
        watch.release()

    before = signal.getsignal(signal.SIGUSR1), signal.getsignal(signal.SIGCHLD)
    watch = SignalWatch({signal.SIGUSR1: handle})
    try:
        timer = threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGUSR1))
        timer.start()
        watch.wait()
        assert seen == [signal.SIGUSR1]
        timer.join()
    finally:
        watch.close()
    assert (signal.getsignal(signal.SIGUSR1), signal.getsignal(signal.SIGCHLD)) == before

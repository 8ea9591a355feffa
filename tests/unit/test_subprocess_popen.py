from __future__ import absolute_import, division, print_function

import errno
import functools
import gc
import os
import pickle
import signal
import stat
import sys
import threading
import time
import warnings

import pytest
from subprocess_standin import StandIn

from pymesos._compat import PY2
from pymesos.errors import UsageError
from pymesos.subprocess import DEVNULL, PIPE, STDOUT, Popen, SubprocessError, TaskLost, TimeoutExpired
from pymesos.subprocess.files import Attention
from pymesos.testing import wait_until
from pymesos.utils import decode_data

SLEEP = [sys.executable, '-c', 'import time; time.sleep(60)']
NOTHING = [sys.executable, '-c', '']

#: Seconds after which a test gives up.
DEADLINE = 30


@pytest.fixture
def cluster():
    """A stand-in for the cluster; nothing that it ran goes on."""
    standin = StandIn()
    yield standin
    for remote in standin.launched:
        if remote.process is not None and remote.process.poll() is None:
            remote.process.kill()
            remote.process.wait()


@pytest.fixture
def popen(cluster):
    """Popen on the stand-in."""
    return lambda args, *more, **options: Popen(args, *more, cluster=cluster, **options)


class Stubborn(object):
    def __call__(self):
        pass

    def __reduce__(self):
        raise TypeError('not me')


def python(text):
    return [sys.executable, '-c', text]


def descriptors():
    return set(os.listdir('/proc/self/fd'))


@pytest.fixture
def interrupt():
    """Send this process SIGINT in a moment, once the test is in a call of Popen."""
    threads = []
    main = threading.current_thread().ident

    def is_in_popen():
        frame = sys._current_frames()[main]
        while frame is not None and frame.f_globals.get('__name__') != Popen.__module__:
            frame = frame.f_back
        return frame is not None

    def start(is_time=is_in_popen):
        def run():
            wait_until(is_time, message='the call that is to be interrupted')
            time.sleep(0.2)             # somewhere in its midst
            os.kill(os.getpid(), signal.SIGINT)
        threads.append(threading.Thread(target=run))
        threads[-1].start()

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield start
    for thread in threads:
        thread.join()
    signal.signal(signal.SIGINT, before)


# ---------------------------------------------------------------- arguments


def test_what_is_asked_of_the_cluster_reaches_it(popen, cluster):
    popen(NOTHING, cpus=0.5, mem=32, gpus=1, disk=10, role='r', constraints='rack:a', image='i', uris=['u'], name='n',
          labels={'a': 'b'}, max_retries=2, start_timeout=9).wait()
    request = cluster.launched[0].request
    assert request == (0.5, 32, 1, 10, 'r', 'rack:a', 'i', ['u'], 'n', {'a': 'b'}, 2, 9, None)


def test_what_nobody_knows_is_refused(popen):
    with pytest.raises(TypeError) as caught:
        popen(NOTHING, cpu=1)
    assert str(caught.value) == "__init__() got an unexpected keyword argument 'cpu'"


@pytest.mark.parametrize('options, error, text', [
    (dict(stdout=STDOUT), ValueError, 'STDOUT can only be used for stderr'),
    (dict(bufsize='1'), TypeError, 'bufsize must be an integer'),
    (dict(pipesize=1.5), TypeError, 'pipesize must be an integer'),
    (dict(startupinfo=1), ValueError, 'startupinfo is only supported on Windows platforms'),
    (dict(creationflags=1), ValueError, 'creationflags is only supported on Windows platforms'),
    (dict(pass_fds=(3,)), ValueError, 'pass_fds: no descriptor of this program can be passed to a command on another '
                                      'machine'),
    (dict(text=True, universal_newlines=False), SubprocessError, 'text and universal_newlines mean the same: they '
                                                                 'cannot be True and False'),
    (dict(cpus=-1), UsageError, 'cpus=-1: expected a number of at least 0')])
def test_what_cannot_be_done_is_refused_before_anything_is_opened(popen, cluster, options, error, text):
    before = descriptors()
    with pytest.raises(error) as caught:
        popen(NOTHING, stdin=PIPE, **options)
    assert str(caught.value) == text
    assert not cluster.launched
    assert descriptors() == before


@pytest.mark.skipif(PY2, reason='the default of 2.7')
def test_descriptors_that_are_to_be_inherited_are_warned_of(popen):
    with pytest.warns(RuntimeWarning) as caught:
        popen(NOTHING, close_fds=False).wait()
    assert [str(warning.message) for warning in caught] == [
        'close_fds=False: a command on another machine inherits no descriptor of this program']
    assert caught[0].filename == __file__


def test_defaults_are_those_of_this_python(popen):
    process = popen(NOTHING, stdout=PIPE, close_fds=not PY2)
    assert process.wait() == 0
    assert isinstance(process.stdout.read(), bytes)
    assert not process.text_mode and not process.universal_newlines
    process.stdout.close()


def test_preexec_fn_is_called_on_the_other_side(popen, cluster, tmpdir):
    popen(NOTHING, preexec_fn=functools.partial(os.rmdir, str(tmpdir.mkdir('gone')))).wait()
    assert not tmpdir.join('gone').check()
    assert isinstance(cluster.launched[0].request.preexec, bytes)


def test_preexec_fn_that_cannot_be_pickled_is_refused_with_the_reason(popen, cluster):
    with pytest.raises(UsageError) as caught:
        popen(NOTHING, preexec_fn=Stubborn())
    assert 'cannot be pickled, to be called on the agent: not me' in str(caught.value)
    assert not cluster.launched


def test_repr_is_that_of_the_standard_library(popen):
    process = popen(NOTHING)
    process.wait()
    for args in ('ls', ['x' * 47], ['x' * 48], NOTHING):
        process.args = args
        whole = '<Popen: returncode: 0 args: %r>' % (args,)
        assert repr(process) == (whole if len(whole) <= 80 else whole[:76] + '...>')


def test_facts_of_the_cluster_are_attributes(popen, cluster):
    process = popen(NOTHING)
    assert process.pid == cluster.launched[0].pid
    assert (process.hostname, process.agent_id, process.task_id, process.state) == (
        cluster.launched[0].hostname, 'agent-1', 'task-1', 'TASK_RUNNING')
    process.wait()


# ---------------------------------------------------------------- streams


def test_streams_that_are_one_file_are_one_stream(popen, cluster, tmpdir):
    with open(str(tmpdir.join('out')), 'wb') as output:
        popen(python('import sys; sys.stdout.write("a"); sys.stdout.flush(); sys.stderr.write("b")'), stdout=output,
              stderr=output).wait()
    assert tmpdir.join('out').read() == 'ab'
    assert cluster.launched[0].spec['stderr'] == 'stdout'


def test_streams_of_two_files_are_two_streams(popen, cluster, tmpdir):
    with open(str(tmpdir.join('out')), 'wb') as output, open(str(tmpdir.join('out')), 'ab') as errors:
        popen(NOTHING, stdout=output, stderr=errors).wait()
    assert cluster.launched[0].spec['stderr'] == 'pipe'


def test_two_descriptors_of_one_pipe_are_one_stream(popen, cluster):
    reading, writing = os.pipe()
    again = os.dup(writing)
    popen(python('print("x")'), stdout=writing, stderr=again).wait()
    for end in (writing, again):
        os.close(end)
    assert os.read(reading, 10) == b'x\n'
    os.close(reading)
    assert cluster.launched[0].spec['stderr'] == 'stdout'


def test_what_goes_nowhere_here_does_not_travel(popen, cluster):
    with open(os.devnull, 'r+b', 0) as null:
        popen(NOTHING, stdin=null, stdout=null, stderr=null.fileno()).wait()
    popen(NOTHING, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL).wait()
    for remote in cluster.launched:
        assert (remote.spec['stdin'], remote.spec['stdout'], remote.spec['stderr']) == ('null', 'null', 'null')


def test_stream_that_the_program_has_closed_is_nothing_for_the_command(popen, cluster):
    saved = os.dup(0)
    os.close(0)
    try:
        popen(NOTHING).wait()
    finally:
        os.dup2(saved, 0)
        os.close(saved)
    assert cluster.launched[0].spec['stdin'] == 'null'


def test_no_descriptor_of_ours_takes_the_number_of_a_standard_stream(popen):
    saved = os.dup(0)
    os.close(0)
    try:
        process = popen(python('print("x")'), stdin=PIPE, stdout=PIPE)
        assert min(process.stdin.fileno(), process.stdout.fileno()) > 2
        assert process.communicate() == (b'x\n', None)
    finally:
        os.dup2(saved, 0)
        os.close(saved)


def test_descriptor_that_is_not_open_is_the_systems_error(popen):
    before = descriptors()
    with pytest.raises(OSError) as caught:
        popen(NOTHING, stdin=PIPE, stdout=9999)
    assert caught.value.errno == errno.EBADF
    assert descriptors() == before


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='pipes of a chosen size are of Linux')
def test_pipes_have_the_size_that_was_asked_for(popen):
    import fcntl
    process = popen(NOTHING, stdout=PIPE, pipesize=4096)
    assert fcntl.fcntl(process.stdout.fileno(), getattr(fcntl, 'F_GETPIPE_SZ', 1032)) == 4096
    process.communicate()


def test_every_descriptor_is_closed_in_programs_that_are_executed(popen):
    import fcntl
    process = popen(NOTHING, stdin=PIPE, stdout=PIPE, stderr=PIPE)
    for stream in (process.stdin, process.stdout, process.stderr):
        assert fcntl.fcntl(stream.fileno(), fcntl.F_GETFD) & fcntl.FD_CLOEXEC
    process.communicate()


def test_text_with_an_encoding_is_unicode_on_every_python(popen):
    process = popen(python('import sys; sys.stdout.write(sys.stdin.read())'), stdin=PIPE, stdout=PIPE,
                    encoding='utf-8')
    assert process.communicate(u'h\xe9\r\n') == (u'h\xe9\n', None)


def test_text_without_an_encoding_is_the_native_str(popen):
    process = popen(python('import os; os.write(1, b"a\\r\\nb\\rc\\n")'), stdout=PIPE, text=True)
    assert process.stdout.read() == 'a\nb\nc\n'
    process.communicate()
    for options in (dict(universal_newlines=True), dict(text=True)):
        process = popen(python('import os; os.write(1, b"a\\r\\nb\\rc\\n")'), stdout=PIPE, **options)
        assert process.communicate() == ('a\nb\nc\n', None)
        assert process.universal_newlines


def test_text_is_flushed_line_by_line_when_asked(popen):
    process = popen(python('import sys; sys.stdout.write(sys.stdin.readline())'), stdin=PIPE, stdout=PIPE, bufsize=1,
                    encoding='utf-8')
    process.stdin.write(u'line\n')
    assert process.stdout.readline() == u'line\n'
    process.communicate()


# ---------------------------------------------------------------- errors


def test_missing_command_is_the_systems_error_by_the_name_that_was_given(popen):
    before = descriptors()
    for args, options in ((['/no/such/program'], {}), ('/no/such/program', {}),
                          (NOTHING, {'executable': '/no/such/program'})):
        with pytest.raises(OSError) as caught:
            popen(args, stdin=PIPE, stdout=PIPE, stderr=PIPE, **options)
        assert caught.value.errno == errno.ENOENT
        if not PY2:         # the stand-in's standard library does not say it there
            assert caught.value.filename == '/no/such/program'
        assert 'Traceback' in caught.value.remote_traceback
    del caught
    gc.collect()
    assert descriptors() == before


@pytest.mark.skipif(PY2, reason='the standard library of 2.7, behind the stand-in, names no file')
def test_missing_folder_is_named_as_it_was_given(popen, tmpdir, monkeypatch):
    monkeypatch.chdir(tmpdir)
    with pytest.raises(OSError) as caught:
        popen(NOTHING, cwd='below')
    assert caught.value.filename == 'below'


def test_error_before_the_launch_closes_everything(popen, cluster):
    before = descriptors()

    class Failing(Popen):
        def _execute_child(self, *args, **kwargs):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Failing(NOTHING, stdin=PIPE, stdout=PIPE, stderr=PIPE, cluster=cluster)
    assert descriptors() == before


def test_lost_task_is_told_each_time_with_a_traceback_of_its_own(popen, cluster):
    process = popen(SLEEP, stdout=PIPE)
    cluster.launched[0].process.kill()
    cluster.launched[0].error = TaskLost('gone', 'task', 'agent', 'TASK_LOST')
    for ask in (process.poll, process.wait, process.communicate):
        with pytest.raises(TaskLost) as caught:
            ask()
        assert caught.value.state == 'TASK_LOST'
    process.kill()                      # nothing is left to kill
    assert process.returncode is None
    with pytest.raises(TaskLost):
        with process:
            process.wait()


def test_dropping_a_lost_task_is_not_warned_of(popen, cluster, recwarn):
    process = popen(SLEEP)
    cluster.launched[0].error = TaskLost('gone')
    with pytest.raises(TaskLost):
        process.wait()
    del process
    gc.collect()
    assert not recwarn.list


# ---------------------------------------------------------------- life


def test_timeout_tells_how_long_it_was(popen):
    process = popen(SLEEP)
    with pytest.raises(TimeoutExpired) as caught:
        process.wait(timeout=0.01)
    assert (caught.value.cmd, caught.value.timeout) == (SLEEP, 0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL


def test_signals_to_what_has_ended_do_nothing(popen):
    process = popen(NOTHING)
    process.wait()
    for order in (process.kill, process.terminate, lambda: process.send_signal(signal.SIGINT)):
        order()
    assert process.returncode == 0


def test_cancel_is_passed_on(popen, cluster):
    process = popen(SLEEP)
    process.cancel()
    assert cluster.launched[0].cancelled == 1
    assert process.wait() == -signal.SIGKILL


def test_leaving_the_block_closes_and_waits(popen):
    with popen(python('import sys; sys.exit(len(sys.stdin.read()))'), stdin=PIPE, stdout=PIPE, stderr=PIPE) as process:
        process.stdin.write(b'abc')
    assert process.returncode == 3
    assert process.stdin.closed and process.stdout.closed and process.stderr.closed


@pytest.mark.skipif(PY2, reason='2.7 has no ResourceWarning')
def test_dropping_a_running_command_is_warned_of(popen, cluster):
    process = popen(SLEEP)
    pid = process.pid
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        del process
        gc.collect()
    assert [(warning.category.__name__, str(warning.message)) for warning in caught] == [
        ('ResourceWarning', 'subprocess %d is still running' % pid)]
    assert not cluster.launched[0].wait(0)      # it goes on


def test_fork_must_not_touch_what_belongs_to_the_program(popen):
    process = popen(SLEEP)
    child = os.fork()
    if not child:
        status = 1
        try:
            process.wait()
        except UsageError as error:
            status = 0 if 'is a fork' in str(error) else 2
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    process.kill()
    process.wait()


def test_interrupt_ends_a_wait_after_a_moment_for_the_command(popen, interrupt):
    process = popen(SLEEP)
    interrupt()
    begin = time.time()
    with pytest.raises(KeyboardInterrupt):
        process.wait()
    assert time.time() - begin < DEADLINE
    waits = []
    process._wait = lambda timeout: waits.append(timeout)
    with pytest.raises(KeyboardInterrupt):      # the moment was given
        with process:
            raise KeyboardInterrupt
    del process._wait
    assert waits == []
    assert process.poll() is None
    process.kill()
    process.wait()


@pytest.mark.parametrize('options', [{}, {'stdout': PIPE}, {'stdout': PIPE, 'stderr': PIPE, 'stdin': PIPE}])
def test_interrupt_ends_a_conversation(popen, interrupt, options):
    process = popen(SLEEP, **options)
    interrupt()
    with pytest.raises(KeyboardInterrupt):
        process.communicate()
    process.kill()
    process.communicate()


def test_interrupt_withdraws_what_has_not_begun(interrupt, cluster):
    class Slow(object):
        cancelled = 0

        def __init__(self):
            self.is_waited_for = threading.Event()

        def launch(self, request, spec, streams):
            for stream in streams:
                if stream is not None:
                    os.close(stream.descriptor)
            return self

        def wait_started(self, timeout=None):
            self.is_waited_for.set()
            time.sleep(DEADLINE)

        def cancel(self):
            self.cancelled += 1

    slow = Slow()
    interrupt(slow.is_waited_for.is_set)
    with pytest.raises(KeyboardInterrupt):
        Popen(NOTHING, stdout=PIPE, cluster=slow)
    assert slow.cancelled == 1


def test_own_input_is_read_only_while_somebody_waits(popen, cluster):
    reading, writing = os.pipe()
    saved = os.dup(0)
    os.dup2(reading, 0)
    try:
        process = popen(SLEEP)
        remote = cluster.launched[0]
        process.poll()
        assert remote.wanted == []
        with pytest.raises(TimeoutExpired):
            process.wait(0.01)
        assert remote.wanted == [True, False]
        threads = [threading.Thread(target=process.wait) for _ in range(3)]
        for thread in threads:
            thread.start()
        wait_until(lambda: remote.wanted[2:3], message='a thread to wait')
        process.kill()
        for thread in threads:
            thread.join()
        assert remote.wanted[2:] in ([True, False], [True, False] * 2, [True, False] * 3)
    finally:
        os.dup2(saved, 0)
        for descriptor in (saved, reading, writing):
            os.close(descriptor)


@pytest.mark.skipif(PY2, reason='files of 2.7 cannot tell that they are read')
@pytest.mark.parametrize('options', [{}, {'bufsize': 0}, {'bufsize': 1, 'text': True}])
def test_own_input_is_read_while_somebody_reads_the_output(popen, cluster, options):
    reading, writing = os.pipe()
    saved = os.dup(0)
    os.dup2(reading, 0)
    try:
        process = popen(python('print(input())'), stdout=PIPE, stderr=PIPE, **options)
        os.write(writing, b'line\n')
        assert cluster.launched[0].wanted == []
        assert process.stdout.readline() in (b'line\n', 'line\n')
        assert cluster.launched[0].wanted[:2] == [True, False]
        assert process.stdout.read() in (b'', '')
        assert process.stderr.read(10) in (b'', '')
        process.communicate()
        assert cluster.launched[0].wanted[-1] is False
    finally:
        os.dup2(saved, 0)
        for descriptor in (saved, reading, writing):
            os.close(descriptor)


def test_own_input_is_nobodys_business_when_there_is_another(popen, cluster):
    process = popen(NOTHING, stdin=DEVNULL)
    process.communicate()
    assert cluster.launched[0].wanted == []


# ---------------------------------------------------------------- conversation


def test_conversation_goes_on_after_a_timeout_and_loses_nothing(popen):
    process = popen(python('import sys, time; sys.stdout.write("a"); sys.stdout.flush(); data = sys.stdin.read();'
                           'time.sleep(0.5); sys.stdout.write(data)'), stdin=PIPE, stdout=PIPE, stderr=PIPE)
    data = b'x' * 300000
    with pytest.raises(TimeoutExpired) as caught:
        process.communicate(data, timeout=0.3)
    assert caught.value.timeout == 0.3
    assert caught.value.output in (None, b'a')
    with pytest.raises(ValueError):
        process.communicate(b'more', timeout=1)
    assert process.communicate() == (b'a' + data, b'')
    assert process.returncode == 0


def test_input_that_nobody_reads_is_no_error(popen):
    for options in ({}, {'stdout': PIPE}):
        process = popen(NOTHING, stdin=PIPE, **options)
        process.communicate(b'x' * 1000000)
        assert process.returncode == 0


def test_input_may_be_any_bytes(popen):
    for data in (bytearray(b'abc'), memoryview(b'abc')):
        process = popen(python('import sys; sys.stdout.write(sys.stdin.read())'), stdin=PIPE, stdout=PIPE)
        assert process.communicate(data) == (b'abc', None)


def test_streams_that_were_closed_are_left_alone(popen):
    process = popen(NOTHING, stdout=PIPE, stderr=PIPE)
    process.stdout.close()
    assert process.communicate() == (b'', b'')


def test_nothing_refers_to_a_popen_that_was_dropped(popen, cluster):
    import weakref
    process = popen(NOTHING, stdin=PIPE, stdout=PIPE)
    process.communicate()
    there = weakref.ref(process)
    del process
    gc.collect()
    assert there() is None


def test_descriptors_are_as_many_as_before(popen):
    before = descriptors()
    for _ in range(3):
        popen(NOTHING, stdin=PIPE, stdout=PIPE, stderr=PIPE).communicate()
        popen(NOTHING).wait()
    assert descriptors() == before


def test_kinds_of_streams_are_what_the_cluster_is_told(cluster, tmpdir):
    seen = []

    class Watching(StandIn):
        def launch(self, request, spec, streams):
            seen.append([stream and (stream.kind, stat.S_ISFIFO(os.fstat(stream.descriptor).st_mode))
                         for stream in streams])
            return cluster.launch(request, spec, streams)

    with open(str(tmpdir.join('file')), 'w+b') as regular:
        Popen(NOTHING, stdin=regular, stdout=PIPE, stderr=STDOUT, cluster=Watching()).communicate()
        Popen(NOTHING, stdin=PIPE, stdout=None, stderr=regular, cluster=Watching()).communicate()
    assert seen == [[('file', False), ('pipe', True), None],
                    [('pipe', True), ('inherited', stat.S_ISFIFO(os.fstat(1).st_mode)), ('file', False)]]


def test_folder_and_environment_are_the_programs(popen, cluster):
    popen(NOTHING).wait()
    spec = cluster.launched[0].spec
    assert decode_data(spec['cwd']) == os.getcwd().encode()
    assert spec['env_is_inherited']


def test_errors_of_popen_pickle(popen):
    with pytest.raises(OSError) as caught:
        popen(['/no/such/program'])
    again = pickle.loads(pickle.dumps(caught.value, 2))
    assert (again.errno, again.remote_traceback) == (caught.value.errno, caught.value.remote_traceback)


def test_interrupt_while_input_is_asked_for_leaves_nobody_waiting():
    attention, told = Attention(), []

    class Remote(object):
        def want_input(self, is_wanted):
            told.append(is_wanted)
            if len(told) == 1:
                raise KeyboardInterrupt

    attention.turn_to(Remote())
    with pytest.raises(KeyboardInterrupt):
        attention.__enter__()
    assert told == [True, False]
    with attention:
        assert told[2:] == [True]


def test_signal_handler_that_waits_too_does_not_rely_on_what_it_has_interrupted():
    attention, told, interrupted = Attention(), [], []

    class Remote(object):
        def want_input(self, is_wanted):
            if not interrupted:
                interrupted.append(True)
                with attention:             # the handler, before the interrupted one has told
                    assert told == [True]
                assert told == [True]
            told.append(is_wanted)

    attention.turn_to(Remote())
    with attention:
        assert told == [True, True]
        with attention:
            assert told == [True, True]
    assert told == [True, True, False]
    with attention:
        assert told[3:] == [True]
    assert told[4:] == [False]

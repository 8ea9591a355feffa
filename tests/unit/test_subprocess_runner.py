"""Commands side by side, with their output made one: the work of pymesos run, on a stand-in for the cluster."""
from __future__ import absolute_import, division, print_function

import errno
import os
import re
import signal
import threading

import pytest
from subprocess_standin import StandIn

from pymesos.errors import MesosError
from pymesos.subprocess.cli.outlet import make_pipe
from pymesos.subprocess.cli.progress import NoBar
from pymesos.subprocess.cli.runner import Plan, Runner, insert_line
from pymesos.subprocess.popen import Popen
from pymesos.testing import wait_until

TIMEOUT = 60.0


class Streams(object):
    """The program's standard streams: a pipe in, and pipes out that threads read to their end."""

    def __init__(self, data=b''):
        self.output = {}
        self._ends, self._threads = [], []
        self.stdin, self.feed = make_pipe()
        if data is not None:
            self._threads.append(threading.Thread(target=self._give, args=(data,)))
            self._threads[-1].start()
        self.stdout = self._drained('stdout')
        self.stderr = self._drained('stderr')

    @property
    def all(self):
        return (self.stdin, self.stdout, self.stderr)

    def write(self, data):
        while data:
            data = data[os.write(self.feed, data):]

    def close_input(self):
        os.close(self.feed)

    def _give(self, data):
        try:
            self.write(data)
        finally:
            self.close_input()

    def _drained(self, name):
        ours, its = make_pipe()
        self._ends.append(its)
        self.output[name] = b''
        self._threads.append(threading.Thread(target=self._drain, args=(name, ours)))
        self._threads[-1].start()
        return its

    def _drain(self, name, end):
        while True:
            data = os.read(end, 65536)
            if not data:
                break
            self.output[name] += data
        os.close(end)

    def close(self):
        for end in self._ends + [self.stdin]:
            os.close(end)
        for thread in self._threads:
            thread.join(TIMEOUT)


class Ran(object):
    """What came of a run: `status`, `stdout`, `stderr` (bytes), `said` (texts)."""

    def __init__(self, plan, streams, popen=Popen, bar=None):
        self.said = []
        try:
            self.status = Runner(plan, popen, lambda: end(plan.options['cluster']), streams.all, bar,
                                 self.said.append).run()
        finally:
            streams.close()
        self.stdout, self.stderr = streams.output['stdout'], streams.output['stderr']


def end(cluster):
    """Kill what runs, and what is just coming up, as a cluster that is closed does."""
    def is_over():
        for remote in list(cluster.launched):
            if remote.process is not None and remote.returncode is None:
                remote.send_signal(signal.SIGKILL)
        return not [thread for thread in threading.enumerate() if thread.name.startswith('pymesos-run-')]

    wait_until(is_over, timeout=TIMEOUT)


def shell(text, *args, **options):
    """A Plan for a line of shell."""
    cluster = options.pop('cluster', None) or StandIn()
    return Plan(['sh', '-c', text] + list(args), options={'cluster': cluster, 'cwd': '/'}, **options)


def run(plan, data=b'', **options):
    return Ran(plan, Streams(data), **options)


class Told(NoBar):
    """A bar that keeps what it is told."""

    interval = 0.01

    def __init__(self):
        self.calls = []

    def show(self, ended, running, failed):
        self.calls.append((ended, running, failed))

    def close(self):
        self.calls.append('closed')


def interrupt_when(condition, number=signal.SIGINT):
    """Send this process a signal when the condition holds; returns the thread."""
    def work():
        wait_until(condition, timeout=TIMEOUT)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_copies_know_their_rank_and_how_many_they_are():
    ran = run(shell('echo $PYMESOS_RANK of $PYMESOS_SIZE', copies=3, jobs=2))
    assert ran.status == 0 and ran.said == [] and ran.stderr == b''
    assert sorted(ran.stdout.splitlines()) == [b'0 of 3', b'1 of 3', b'2 of 3']


def test_output_and_errors_go_where_they_belong_with_tags():
    ran = run(shell('echo out; echo err >&2; printf "no end"', copies=11, jobs=4, tag=True))
    lines = ran.stdout.splitlines()
    for rank in range(11):
        tag = ('[%2d] ' % rank).encode()
        assert [line for line in lines if line.startswith(tag)] == [tag + b'out', tag + b'no end']
        assert tag + b'err' in ran.stderr.splitlines()
    assert len(lines) == 22


def test_one_copy_can_have_a_tag():
    assert run(shell('echo out', tag=True)).stdout == b'[0] out\n'


def test_each_of_several_gets_all_of_the_input():
    data = b'x' * 300000 + b'\n'
    ran = run(shell('cksum', copies=4, jobs=2), data)
    assert ran.status == 0
    assert len(set(ran.stdout.splitlines())) == 1 and b' 300001' in ran.stdout


def test_one_command_for_each_line():
    plan = Plan(['echo', 'got'], None, jobs=3, options={'cluster': StandIn(), 'cwd': '/'})
    ran = run(plan, b'one two\n\nthree\nlast')
    assert sorted(ran.stdout.splitlines()) == [b'got last', b'got one two', b'got three']


def test_line_takes_the_place_of_braces():
    assert insert_line(['mv', '{}', '{}.old'], 'a b') == ['mv', 'a b', 'a b.old']
    assert insert_line(['rm', '--'], '-f') == ['rm', '--', '-f']


def test_lines_alone_are_for_the_shell():
    plan = Plan([], None, jobs=1, options={'cluster': StandIn(), 'cwd': '/'})
    assert run(plan, b'echo $PYMESOS_RANK${PYMESOS_SIZE-none} | tr 0 x\nexit 0\n').stdout == b'xnone\n'


def test_lines_are_read_when_there_is_room():
    streams, cluster = Streams(None), StandIn()
    fed = []

    def feed():
        for number in range(3):
            streams.write(b'%d\n' % number)
            wait_until(lambda: len(cluster.launched) == number + 1, timeout=TIMEOUT)
            fed.append(number)
        streams.close_input()

    thread = threading.Thread(target=feed)
    thread.start()
    ran = Ran(Plan(['echo'], None, options={'cluster': cluster, 'cwd': '/'}), streams)
    thread.join(TIMEOUT)
    assert fed == [0, 1, 2] and sorted(ran.stdout.split()) == [b'0', b'1', b'2']


def test_no_more_run_at_once_than_may():
    class Counting(Popen):
        now, most, lock = set(), [], threading.Lock()

        def __init__(self, *args, **options):
            super(Counting, self).__init__(*args, **options)
            with self.lock:
                self.now.add(self)
                self.most.append(len(self.now))

        def wait(self, timeout=None):
            try:
                return super(Counting, self).wait(timeout)
            finally:
                with self.lock:
                    self.now.discard(self)

    ran = run(Plan(['sleep'], None, jobs=3, options={'cluster': StandIn(), 'cwd': '/'}), b'0.02\n' * 30, popen=Counting)
    assert ran.status == 0 and max(Counting.most) <= 3 and len(Counting.most) == 30


def test_first_failure_ends_the_others_and_is_told():
    ran = run(shell('[ $PYMESOS_RANK = 1 ] && exit 3; exec sleep 60', copies=4, jobs=3))
    assert ran.status == 3
    assert ran.said[0] == '[1] exit status 3'
    found = re.match(r'the others were ended for that \(-k goes on\): (\d) killed, (\d) not begun$',
                     ran.said[1])
    assert found, ran.said
    assert int(found.group(1)) + int(found.group(2)) == 3


def test_last_one_that_fails_ends_no_others():
    ran = run(shell('exit $PYMESOS_RANK', copies=2, jobs=1))
    assert (ran.status, ran.said) == (1, ['[1] exit status 1'])


def test_keeping_going_lets_all_run_and_returns_the_worst():
    text = 'echo ran; [ $PYMESOS_RANK = 2 ] && kill -9 $$; exit $PYMESOS_RANK'
    ran = run(shell(text, copies=5, jobs=5, keep_going=True))
    assert ran.status == 137
    assert sorted(ran.said) == ['[1] exit status 1', '[2] killed by SIGKILL', '[3] exit status 3', '[4] exit status 4']
    assert ran.stdout == b'ran\n' * 5


def test_command_that_is_not_there_is_told_in_one_line():
    plan = Plan(['/nowhere/nosuch'], 2, keep_going=True, options={'cluster': StandIn(), 'cwd': '/'})
    ran = run(plan)
    assert ran.status == 127
    assert len(ran.said) == 2
    for number, said in enumerate(sorted(ran.said)):        # 2.7 does not say what file
        assert re.match(r'\[%d\] cannot be run: (/nowhere/nosuch: )?No such file or directory' % number, said)


def test_what_mesos_refuses_is_told_and_is_125():
    def refuse(_args, **options):
        for name in ('stdout', 'stderr', 'stdin'):
            assert options[name] >= 0
        raise MesosError('no agent has 1000 cpus')

    ran = run(shell('true', copies=2, keep_going=True), popen=refuse)
    assert (ran.status, sorted(ran.said)) == (125, ['[0] no agent has 1000 cpus', '[1] no agent has 1000 cpus'])


def test_copy_that_takes_too_long_is_killed_and_is_124():
    streams = Streams(b'')

    class Prompt(Popen):
        """The time begins when the first has ended and the second is where it is to be."""

        def __init__(self, *args, **options):
            super(Prompt, self).__init__(*args, **options)
            if options['env']['PYMESOS_RANK'] == '0':
                wait_until(lambda: self.poll() is not None, timeout=TIMEOUT)
            else:
                wait_until(lambda: streams.output['stdout'] == b'begun\n' * 2, timeout=TIMEOUT)

    ran = Ran(shell('echo begun; [ $PYMESOS_RANK = 0 ] || exec sleep 60', copies=2, timeout=2, keep_going=True),
              streams, Prompt)
    assert (ran.status, ran.said) == (124, ['[1] timed out after 2 s'])
    assert ran.stdout == b'begun\n' * 2


@pytest.mark.parametrize('number, name, status', [(signal.SIGINT, 'SIGINT', 130), (signal.SIGTERM, 'SIGTERM', 143)])
def test_signal_kills_all_and_what_became_of_them_is_told(number, name, status):
    streams, cluster = Streams(b''), StandIn()
    bar = Told()
    thread = interrupt_when(lambda: (0, 2, 0) in bar.calls, number)
    ran = Ran(shell('exec sleep 60', copies=5, jobs=2, cluster=cluster), streams, bar=bar)
    thread.join(TIMEOUT)
    assert (ran.status, ran.said) == (status, ['ended by %s: 0 had ended, 2 killed, 3 not begun' % name])
    assert [remote.cancelled for remote in cluster.launched] == [1, 1]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_copy_that_comes_up_after_the_end_was_asked_for_is_killed():
    streams, cluster = Streams(b''), StandIn()
    is_slow, may_run = threading.Event(), threading.Event()

    class Slow(Popen):
        def __init__(self, *args, **options):
            super(Slow, self).__init__(*args, **options)
            if options['env']['PYMESOS_RANK'] == '1':
                is_slow.set()
                may_run.wait(TIMEOUT)

        def cancel(self):
            may_run.set()               # the first is being killed; it ends when the second runs
            wait_until(lambda: len([remote for remote in cluster.launched if remote.pid]) == 2, timeout=TIMEOUT)
            super(Slow, self).cancel()

    bar = Told()
    thread = interrupt_when(lambda: is_slow.is_set() and (0, 1, 0) in bar.calls)
    ran = Ran(shell('exec sleep 60', copies=2, cluster=cluster), streams, Slow, bar=bar)
    thread.join(TIMEOUT)
    assert ran.status == 130
    assert ran.said[0] in ('ended by SIGINT: 0 had ended, 2 killed',
                           'ended by SIGINT: 0 had ended, 1 killed, 1 not begun')


def test_reader_that_goes_away_ends_all_without_a_word():
    ours, its = make_pipe()
    streams = Streams(b'')
    streams.stdout = its

    def read_a_line():
        os.read(ours, 1)
        os.close(ours)

    thread = threading.Thread(target=read_a_line)
    thread.start()
    ran = Ran(shell('while echo y; do :; done', copies=2), streams)
    thread.join(TIMEOUT)
    os.close(its)
    assert (ran.status, ran.said) == (141, [])


def test_descriptor_that_takes_nothing_is_told():
    streams = Streams(b'')
    descriptor = os.open('/dev/full', os.O_WRONLY)
    streams.stdout = descriptor
    ran = Ran(shell('echo out', copies=2, jobs=1), streams)
    os.close(descriptor)
    assert ran.status == 1
    assert ran.said[0].startswith('cannot write: %s' % os.strerror(errno.ENOSPC))


def test_output_goes_to_a_file_as_well(tmpdir):
    streams = Streams(b'')
    with open(str(tmpdir.join('out')), 'wb') as output:
        streams.stdout = output.fileno()
        ran = Ran(shell('seq 20000', copies=3), streams)
    assert ran.status == 0
    assert len(tmpdir.join('out').read().splitlines()) == 60000


def test_input_comes_from_a_file_as_well(tmpdir):
    tmpdir.join('in').write('a\nb\n')
    streams = Streams(b'')
    os.close(streams.stdin)
    with open(str(tmpdir.join('in')), 'rb') as data:
        streams.stdin = os.dup(data.fileno())
    ran = Ran(shell('cat', copies=3), streams)
    assert ran.stdout == b'a\nb\n' * 3


def test_slow_reader_gets_all_and_nothing_is_piled_up():
    ours, its = make_pipe()
    streams = Streams(b'')
    streams.stdout = its
    found = []

    def read():
        wait_until(lambda: len(cluster.launched) == 4, timeout=TIMEOUT)
        while True:
            data = os.read(ours, 65536)
            if not data:
                break
            found.append(data)
        os.close(ours)

    cluster = StandIn()
    thread = threading.Thread(target=read)
    thread.start()
    ran = Ran(shell('seq 100000', copies=4, tag=True, cluster=cluster), streams)
    os.close(its)
    thread.join(TIMEOUT)
    lines = b''.join(found).splitlines()
    assert ran.status == 0 and len(lines) == 400000
    for rank in range(4):
        tag = b'[%d] ' % rank
        assert [line[4:] for line in lines if line.startswith(tag)] == [b'%d' % number for number in range(1, 100001)]


def test_what_a_command_leaves_behind_is_not_waited_for():
    ran = run(shell('sleep 60 & echo $!', copies=2))
    assert ran.status == 0
    for pid in ran.stdout.split():
        os.kill(int(pid), signal.SIGKILL)       # it is there still


def test_bar_is_told_how_it_stands_and_taken_away():
    bar, streams = Told(), Streams(None)

    def end_input():
        try:
            wait_until(lambda: (0, 2, 0) in bar.calls, timeout=TIMEOUT)
        finally:
            streams.close_input()

    thread = threading.Thread(target=end_input)
    thread.start()
    ran = Ran(shell('cat; exit $PYMESOS_RANK', copies=2, keep_going=True), streams, bar=bar)
    thread.join(TIMEOUT)
    assert ran.status == 1
    assert bar.calls[0] == (0, 0, 0) and (0, 2, 0) in bar.calls and bar.calls[-1] == 'closed'

"""Many commands, much data, long runs on the embedded cluster: everything arrives, nothing is left behind.

PYMESOS_FULL_LOAD=1 runs the full sizes, which take many minutes.
"""
from __future__ import absolute_import, division, print_function

import collections
import hashlib
import os
import resource
import subprocess
import sys
import threading

import pytest
from subprocess_holdings import (IS_EXACT, await_idle_master, await_nothing_passing, await_rest, executors_of, holdings,
                                 in_threads)

import pymesos
from pymesos._compat import monotonic
from pymesos.subprocess import PIPE, Cluster, Popen, call
from pymesos.testing import wait_until

#: Each test's sizes: for every run, and the full ones.
SIZES = {'at once': (200, 1000), 'both ways': (16, 200), 'megabytes both ways': (2, 5), 'long stream': (100, 2048),
         'in a row': (300, 10000)}

IS_FULL = os.environ.get('PYMESOS_FULL_LOAD') == '1'

#: How many run at a time of many.
WIDTH = 64

#: kB by which a process may grow that has rested, in its allocator and caches, whatever it has done in between.
WOBBLE = 8 * 1024

#: Commands of which a process may keep what their connections had while they lingered, and how many kB of each: it is
#: used again, and so the rest of any number of commands is no more.
LINGERING, PER_COMMAND = 1500, 24

#: kB that a stream may take on its way: the windows of both ends, what waits in pipes, the pieces under way.
PER_STREAM = 2 * 1024

BLOCK = 1 << 16
MEGABYTE = 1 << 20

#: A reader that nobody hurries must not be taken for one that hangs.
pytestmark = [pytest.mark.timeout(7200 if IS_FULL else 600)] + ([pytest.mark.slow] if IS_FULL else [])


def size(name):
    return SIZES[name][IS_FULL]


class Site(object):
    """A cluster of commands, on an embedded Mesos that is a process of its own: what this process holds is the
    program's. `rest()` tells whether anything is left of the commands."""

    def __init__(self, master):
        self.master = master
        self.cluster = Cluster(master, default_cpus=0.05, default_mem=8, executor_idle=600.0)
        in_threads(WIDTH, lambda _number: call(['true'], cluster=self.cluster))     # all that stays is there now
        self.framework_id = self.cluster.framework_id
        self.executor, = executors_of(self.framework_id)
        await_nothing_passing()
        self.before = [(pid, holdings(pid)) for pid in (os.getpid(), self.executor)]

    def call(self, args):
        return call(args, cluster=self.cluster)

    def popen(self, args, **options):
        return Popen(args, cluster=self.cluster, **options)

    def look_again(self):
        """Take what processes have now for what they had before, but for the number of things."""
        await_nothing_passing()
        self.before = [(pid, before._replace(kilobytes=holdings(pid).kilobytes)) for pid, before in self.before]

    def check_rest(self, wobble=WOBBLE):
        """Nothing is left but what was there before."""
        await_nothing_passing()
        await_idle_master(self.master, self.framework_id)
        for pid, before in self.before:
            print('%d: %s, now %s' % (pid, before, await_rest(pid, before, wobble)))
        assert executors_of(self.framework_id) == [self.executor]


@pytest.fixture(scope='module', autouse=True)
def many_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4096
    if soft != resource.RLIM_INFINITY and soft < wanted:
        if hard != resource.RLIM_INFINITY and hard < wanted:
            pytest.skip('needs %d descriptors' % wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope='module')
def master():
    """The address of an embedded cluster in a process of its own."""
    code = 'import sys; from pymesos.cli import main; sys.exit(main(sys.argv[1:]))'
    environment = dict(os.environ, PYTHONUNBUFFERED='1',
                       PYTHONPATH=os.path.dirname(os.path.dirname(os.path.abspath(pymesos.__file__))))
    process = subprocess.Popen([sys.executable, '-c', code, 'local', '--port', '0', '--resources',
                                'cpus:32;mem:8192;disk:10000'], stdout=subprocess.PIPE, env=environment)
    try:
        line = process.stdout.readline().decode()
        assert line.startswith('The master is on '), 'the embedded cluster did not start: %r' % line
        yield line.split()[4].rstrip(';')
    finally:
        process.terminate()
        process.communicate()


@pytest.fixture
def site(master):
    site = Site(master)
    with site.cluster:
        yield site


def test_many_commands_at_once_all_end_well_and_leave_nothing(site):
    numbers = list(range(size('at once')))

    def work(_number):
        codes = collections.Counter()
        while True:
            try:
                number = numbers.pop()
            except IndexError:
                return codes
            # Every tenth tells by its status which one it is.
            wanted = number % 200 if number % 10 == 0 else 0
            found = site.popen(['sh', '-c', 'exit %d' % wanted] if wanted else ['true']).wait()
            codes['right' if found == wanted else 'wanted %d, got %d' % (wanted, found)] += 1

    begun = monotonic()
    found = in_threads(WIDTH, work)
    assert not [error for error in found if not isinstance(error, collections.Counter)]
    assert dict(sum(found, collections.Counter())) == {'right': size('at once')}
    print('%d commands in %.1f s' % (size('at once'), monotonic() - begun))
    site.check_rest(WOBBLE + min(size('at once'), LINGERING) * PER_COMMAND)


class Flow(object):
    """Random data through a ``cat``, checked at its end. `blocks` of 64 KiB go, each with its number in front."""

    def __init__(self, site, blocks):
        self._blocks = blocks
        self._data = os.urandom(BLOCK - 8)
        self._process = site.popen(['cat'], stdin=PIPE, stdout=PIPE, bufsize=0)

    def _numbered(self):
        for number in range(self._blocks):
            yield b'%08d' % number + self._data

    def _write(self):
        with self._process.stdin as stream:
            for block in self._numbered():
                view = memoryview(block)
                while len(view):
                    view = view[os.write(stream.fileno(), view):]

    def run(self, looked=None):
        """Whether all came back, and the return code. ``looked()`` is called now and then."""
        writer = threading.Thread(target=self._write, name='writer')
        writer.daemon = True
        writer.start()
        got, count, said = hashlib.sha256(), 0, 0
        descriptor = self._process.stdout.fileno()
        while True:
            data = os.read(descriptor, MEGABYTE)
            if not data:
                break
            got.update(data)
            count += len(data)
            if looked is not None and count - said > 16 * MEGABYTE:
                said = count
                looked()
        writer.join()
        sent = hashlib.sha256()
        for block in self._numbered():
            sent.update(block)
        self._process.stdout.close()
        return count == self._blocks * BLOCK, got.digest() == sent.digest(), self._process.wait()


def test_many_commands_stream_both_ways_at_once(site):
    count = size('both ways')
    blocks = size('megabytes both ways') * MEGABYTE // BLOCK
    ready = []

    def work(number):
        flow = Flow(site, blocks)
        ready.append(number)
        wait_until(lambda: len(ready) == count, timeout=600)    # all are there before the first byte flows
        return flow.run()

    begun = monotonic()
    found = in_threads(count, work)
    assert found == [(True, True, 0)] * count, [one for one in found if one != (True, True, 0)]
    print('%d streams of %d MB both ways in %.1f s' % (count, size('megabytes both ways'), monotonic() - begun))
    # The allocator keeps what so many streams had for a while.
    site.check_rest(WOBBLE + count * PER_STREAM)


def test_long_stream_takes_no_memory(site):
    amount = size('long stream')
    peaks = []

    def look():
        peaks.append([holdings(pid).kilobytes for pid in (os.getpid(), site.executor)])

    begun = monotonic()
    assert Flow(site, amount * MEGABYTE // BLOCK).run(look) == (True, True, 0)
    print('%d MB both ways in %.1f s' % (amount, monotonic() - begun))
    for (pid, before), peak in zip(site.before, zip(*peaks)):
        assert not IS_EXACT or max(peak) < before.kilobytes + WOBBLE + 4 * PER_STREAM, (pid, before, max(peak))
    site.check_rest(WOBBLE + 4 * PER_STREAM)


def test_many_commands_in_a_row_leave_nothing(site):
    begun = monotonic()
    for number in range(size('in a row')):
        if number == size('in a row') // 2:
            site.look_again()           # by now the allocator has what it needs
        wanted = number % 100 if number % 20 == 0 else 0
        assert site.call(['sh', '-c', 'exit %d' % wanted] if wanted else ['true']) == wanted
    print('%d commands in %.1f s' % (size('in a row'), monotonic() - begun))
    site.check_rest()


def test_many_commands_that_cannot_start_leave_nothing(site):
    for _ in range(size('in a row') // 10):
        with pytest.raises(OSError):
            site.popen(['/no/such/command'], stdin=PIPE, stdout=PIPE, stderr=PIPE)
    site.check_rest()


def test_commands_that_are_let_go_are_forgotten_when_they_end(site):
    processes = [site.popen(['cat'], stdin=PIPE, stdout=PIPE) for _ in range(20)]
    for process in processes:
        process.returncode = 0          # the program wants to know nothing more: no ResourceWarning
        process.stdin.close()
        process.stdout.close()
    del processes, process
    wait_until(lambda: holdings(site.executor).children == 0, timeout=60)
    site.check_rest()

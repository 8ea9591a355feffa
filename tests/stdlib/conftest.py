"""The cluster that the interpreters' own tests of subprocess run on: PYMESOS_STDLIB_TARGET=local (default) or mesos."""
from __future__ import absolute_import, division, print_function

import contextlib
import os
import signal
import subprocess
import sys

import pytest

import pymesos
import pymesos.subprocess

HERE = os.path.dirname(os.path.abspath(__file__))

#: Of the environment that has the library; the suite is told the interpreter's own.
EXECUTABLE = sys.executable

#: Each of the suite's commands asks for little, and there is more than any of its tests takes at once.
RESOURCES = 'cpus:8;mem:4096;disk:10000'
DEFAULTS = {'default_cpus': 0.1, 'default_mem': 32}


@contextlib.contextmanager
def local_master():
    """The address of an embedded cluster in a process of its own: the suite reaps whatever children its process has."""
    code = 'import sys; from pymesos.cli import main; sys.exit(main(sys.argv[1:]))'
    environment = dict(os.environ, PYTHONUNBUFFERED='1',
                       PYTHONPATH=os.path.dirname(os.path.dirname(os.path.abspath(pymesos.__file__))))
    process = subprocess.Popen([EXECUTABLE, '-c', code, 'local', '--port', '0', '--resources', RESOURCES],
                               stdout=subprocess.PIPE, env=environment)
    try:
        line = process.stdout.readline().decode()
        assert line.startswith('The master is on '), 'the embedded cluster did not start: %r' % line
        yield line.split()[4].rstrip(';')
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate()


@contextlib.contextmanager
def mesos_master():
    """The address of a real Mesos."""
    sys.path.insert(0, os.path.join(os.path.dirname(HERE), 'mesos'))
    import real_mesos
    with real_mesos.RealMesos(resources=RESOURCES) as mesos:
        yield mesos.master


TARGETS = {'local': local_master, 'mesos': mesos_master}


@pytest.fixture(scope='session', autouse=True)
def cluster():
    """The program's cluster is the target; what stays of it as long as the program runs is there from the first."""
    target = os.environ.get('PYMESOS_STDLIB_TARGET', 'local')
    assert target in TARGETS, 'PYMESOS_STDLIB_TARGET=%s: expected one of %s' % (target, ', '.join(sorted(TARGETS)))
    with TARGETS[target]() as master:
        pymesos.subprocess.configure(master=master, **DEFAULTS)
        pymesos.subprocess.check_call(['true'])
        yield
        pymesos.subprocess.cluster.default().close()

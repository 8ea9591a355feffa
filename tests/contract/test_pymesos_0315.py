"""A client that nobody here wrote: pymesos 0.3.15 of the package index, on Python 3.10, runs its drivers on a cluster.

PYMESOS_0315_ENV names a folder where its virtual environment is made once and kept; without it, it is made anew.
"""
from __future__ import absolute_import, division, print_function

import fcntl
import glob
import json
import os
import subprocess
import sys
import threading

import actors
import pytest
import raw

#: What is installed. Its dependency http-parser is built, which wants a compiler.
PACKAGES = ['pymesos==0.3.15', 'http-parser<0.10']

#: Seconds for making the environment, and for the framework to run.
INSTALLATION, RUN = 240, 120


def find_python310():
    """The path of a CPython 3.10, None if there is none."""
    check = ('import platform, sys; '
             'sys.exit(sys.version_info[:2] != (3, 10) or platform.python_implementation() != "CPython")')
    versions = os.path.join(os.environ.get('PYENV_ROOT') or os.path.expanduser('~/.pyenv'), 'versions')
    folders = os.environ.get('PATH', os.defpath).split(os.pathsep)
    paths = [sys.executable] + [os.path.join(folder, 'python3.10') for folder in folders]
    for path in paths + sorted(glob.glob(os.path.join(versions, '3.10.*', 'bin', 'python'))):
        if os.access(path, os.X_OK) and run([path, '-c', check], 30)[0] == 0:
            return path
    return None


def run(command, seconds, **options):
    """(exit status, output, errors) of a program that may take so many seconds."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(('PYTHON', 'MESOS_'))}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, close_fds=True, env=environ,
                               **options)
    timer = threading.Timer(seconds, process.kill)
    timer.daemon = True
    timer.start()
    try:
        output, errors = process.communicate()
    finally:
        timer.cancel()
        timer.join()
    return process.returncode, output.decode('utf-8', 'replace'), errors.decode('utf-8', 'replace')


@pytest.fixture(scope='module')
def old_python(tmpdir_factory):
    """The Python of an environment with pymesos 0.3.15."""
    base = find_python310()
    if base is None:
        pytest.skip('there is no CPython 3.10, and the parser of pymesos 0.3.15 is not to be built on a newer one')
    folder = os.environ.get('PYMESOS_0315_ENV') or str(tmpdir_factory.mktemp('pymesos-0315'))
    python = os.path.join(folder, 'bin', 'python')
    ready = os.path.join(folder, 'ready')
    with open(folder + '.lock', 'w') as lock:       # another run may be making it
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(ready):
            for command in ([base, '-m', 'venv', folder], [python, '-m', 'pip', 'install', '-q'] + PACKAGES):
                status, output, errors = run(command, INSTALLATION)
                assert status == 0, '%s: %s%s' % (' '.join(command), output, errors)
            with open(ready, 'w'):
                pass
    return python


@pytest.mark.timeout(400)
def test_drivers_of_pymesos_0315_run_twenty_tasks(own_cluster, old_python):
    cluster = own_cluster()
    script = os.path.join(actors.HERE, 'foreign_scheduler.py')
    status, output, errors = run([old_python, script, cluster.master], RUN, cwd=os.path.dirname(old_python))
    assert status == 0, errors[-4000:]
    seen = json.loads(output.splitlines()[-1])
    names = ['task-%d' % n for n in range(20)]
    expected = {name: ['TASK_RUNNING', 'TASK_FINISHED'] for name in names}
    expected['task-19'][-1] = 'TASK_KILLED'
    assert seen['states'] == expected
    assert sorted(seen['messages']) == sorted('echo:' + name for name in names[:-1])
    assert seen['errors'] == []
    (framework_id, version), = seen['registered']
    assert version == '1.11.0'
    # It stopped with a TEARDOWN.
    raw.wait_until(lambda: cluster.described(framework_id, 'completed_frameworks'), 'the framework to be completed')

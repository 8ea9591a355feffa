"""The programs of the tutorial do on an embedded cluster what it shows."""
from __future__ import absolute_import, division, print_function

import os
import re
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EXAMPLES = os.path.join(ROOT, 'examples')


def run(*arguments):
    """(exit status, output) of this Python with these arguments, among the examples."""
    paths = [path for path in sys.path if path]
    child = subprocess.Popen((sys.executable,) + arguments, cwd=EXAMPLES, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, env=dict(os.environ, PYTHONPATH=os.pathsep.join(paths)))
    output, errors = child.communicate()
    print(errors.decode('utf-8', 'replace'))
    return child.returncode, output.decode('utf-8')


def blocks(page):
    """The lines of a page of the docs, without indentation."""
    with open(os.path.join(ROOT, 'docs', page)) as stream:
        return [line.strip() for line in stream]


@pytest.mark.parametrize('arguments, status', [
    (('minimal.py', 'local'), 0),
    (('batch.py', 'local', 'echo one', 'sleep 1', 'exit 3'), 1),
])
def test_programs_print_what_the_tutorial_shows(arguments, status):
    found, output = run(*arguments)
    lines = output.splitlines()
    assert found == status
    # The order in which commands end is not promised, only what is said of each.
    assert lines and not {line.strip() for line in lines} - set(blocks('tutorial.rst'))


REMOTE_SORT = r"""sorted on \S+: \[u?'1', u?'9', u?'10'\]
sum: 3
done: 0 A TEXT
Command '\['sh', '-c', 'exit 3'\]' returned non-zero exit status 3\.
not started: No such file or directory
$"""


@pytest.mark.parametrize('arguments, wanted', [
    (('remote_command.py',), r"one ran on \S+\nanother \[u?'has', u?'sorted'\] on \S+\n$"),
    (('remote_sort.py',), REMOTE_SORT),
    (('remote_pool.py', 'minimal.py', 'batch.py'), r'((minimal|batch)\.py: \d\d+\n){2}$'),
])
def test_programs_with_subprocess_print_what_they_say(arguments, wanted):
    status, output = run(*arguments)
    assert status == 0
    assert re.match(wanted, output), output


def test_tests_of_the_tutorial_pass_with_strict_markers():
    status, output = run('-m', 'pytest', '-q', '--strict-markers', '-p', 'no:cacheprovider', '-c', os.devnull,
                         '--rootdir', EXAMPLES, 'test_batch.py')
    assert status == 0 and '3 passed' in output and 'warning' not in output, output

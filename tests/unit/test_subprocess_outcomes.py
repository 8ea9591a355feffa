"""What came of the commands of pymesos run: exit statuses and texts."""
from __future__ import absolute_import, division, print_function

import errno

import pytest

from pymesos.errors import UsageError
from pymesos.subprocess.cli.outcomes import Outcome, Outcomes
from pymesos.subprocess.errors import TaskLost


@pytest.mark.parametrize('returncode, status, text', [
    (0, 0, None),
    (3, 3, 'exit status 3'),
    (255, 255, 'exit status 255'),
    (-9, 137, 'killed by SIGKILL'),
    (-15, 143, 'killed by SIGTERM'),
    (-45, 173, 'killed by signal 45'),
])
def test_status_is_what_a_shell_makes_of_it(returncode, status, text):
    outcome = Outcome.of_returncode(0, returncode)
    assert (outcome.status, outcome.text) == (status, text)


@pytest.mark.parametrize('error, status, text', [
    (OSError(errno.ENOENT, 'No such file or directory', 'nosuch'), 127,
     'cannot be run: nosuch: No such file or directory'),
    (OSError(errno.EACCES, 'Permission denied', '/etc/passwd'), 126, 'cannot be run: /etc/passwd: Permission denied'),
    (OSError(errno.EMFILE, 'Too many open files'), 126, 'cannot be run: Too many open files'),
    (TaskLost('the agent\n  was removed'), 125, 'the agent was removed'),
    (UsageError('cpus=-1'), 125, 'cpus=-1'),
    (KeyError(), 125, 'KeyError'),
])
def test_what_has_no_status_of_its_own_gets_a_usual_one(error, status, text):
    outcome = Outcome.of_error(0, error)
    assert (outcome.status, outcome.text) == (status, text)


def test_folder_that_is_missing_is_not_taken_for_the_command():
    error = OSError(errno.ENOENT, 'No such file or directory', '/nope')
    assert Outcome.of_error(0, error, '/nope').text == 'cannot be run in the folder /nope: No such file or directory'
    assert Outcome.of_error(0, error, '/elsewhere').text == 'cannot be run: /nope: No such file or directory'


def test_highest_status_is_that_of_all():
    outcomes = Outcomes()
    assert (outcomes.worst, outcomes.lines()) == (0, [])
    for rank, returncode in enumerate((0, 3, -9, 1)):
        outcomes.add(Outcome.of_returncode(rank, returncode))
    assert (outcomes.worst, outcomes.failed) == (137, 3)
    assert outcomes.lines() == ['[1] exit status 3', '[2] killed by SIGKILL', '[3] exit status 1']


def test_ten_are_told_of_and_the_rest_counted():
    outcomes = Outcomes()
    for rank in range(40):
        outcomes.add(Outcome.of_timeout(rank, 1.5))
    assert outcomes.lines()[0] == '[0] timed out after 1.5 s'
    assert outcomes.lines()[10:] == ['30 more have failed']
    assert outcomes.worst == 124


@pytest.mark.parametrize('outcome, lines', [
    (Outcome.of_returncode(0, 3), []),
    (Outcome.of_returncode(0, -11), []),
    (Outcome.of_timeout(0, 2), ['timed out after 2 s']),
    (Outcome.of_error(0, TaskLost('lost')), ['lost']),
])
def test_of_one_alone_the_status_says_enough(outcome, lines):
    outcomes = Outcomes(is_alone=True)
    outcomes.add(outcome)
    assert outcomes.lines() == lines

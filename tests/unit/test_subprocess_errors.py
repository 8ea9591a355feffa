from __future__ import absolute_import, division, print_function

import copy
import errno
import pickle
import signal
import subprocess

import pytest

from pymesos._compat import PY2
from pymesos.errors import MesosError
from pymesos.subprocess.errors import (CalledProcessError, StartFailed, StartTimeout, SubprocessError, TaskLost,
                                       TimeoutExpired, remote_error)
from pymesos.utils import encode_data

ERRORS = [
    CalledProcessError(3, ['a'], output='out', stderr='err'), CalledProcessError(-9, 'a'),
    TimeoutExpired(['a'], 0.5, output='out', stderr='err'),
    TaskLost('gone', 'task', 'agent', 'TASK_LOST', 'REASON', 'message'),
    StartFailed('refused', 'TASK_ERROR', 'REASON', 'message'), StartTimeout('late', 3.5),
    remote_error({'exception': u'FileNotFoundError', 'errno': 2, 'strerror': u'No such file or directory',
                  'filename': encode_data(b'/x'), 'text': u'text', 'traceback': u'told'}),
    remote_error({'exception': u'ValueError', 'text': u'text', 'traceback': u'told'})]


@pytest.mark.parametrize('error', ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
def test_error_survives_pickling_with_its_facts(error, protocol):
    again = copy.copy(pickle.loads(pickle.dumps(error, protocol)))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert again.args == error.args
    assert again.__dict__ == error.__dict__


def test_errors_of_the_standard_library_are_caught_by_its_names():
    assert issubclass(CalledProcessError, subprocess.CalledProcessError)
    for name in ('SubprocessError', 'TimeoutExpired'):
        assert globals()[name] is getattr(subprocess, name, globals()[name])
    assert issubclass(CalledProcessError, SubprocessError)
    assert issubclass(TimeoutExpired, SubprocessError)


def test_output_is_stdout_too():
    for error in (CalledProcessError(1, 'a', 'out', 'err'), TimeoutExpired('a', 1, 'out', 'err')):
        assert (error.output, error.stdout, error.stderr) == ('out', 'out', 'err')
        error.stdout = 'other'
        assert error.output == 'other'


def test_errors_tell_what_happened():
    assert str(CalledProcessError(3, 'a')) == "Command 'a' returned non-zero exit status 3."
    assert 'SIGKILL' in str(CalledProcessError(-signal.SIGKILL, 'a'))
    assert str(CalledProcessError(-12345, 'a')) == "Command 'a' died with unknown signal 12345."
    assert str(TimeoutExpired('a', 0.5)) == "Command 'a' timed out after 0.5 seconds"


def test_what_only_a_cluster_brings_is_an_error_of_both_houses():
    for kind in (TaskLost, StartFailed, StartTimeout):
        assert issubclass(kind, SubprocessError)
        assert issubclass(kind, MesosError)
    lost = TaskLost('gone', 'task', 'agent', 'TASK_LOST', 'REASON', 'message')
    assert (lost.task_id, lost.agent_id, lost.state) == ('task', 'agent', 'TASK_LOST')
    assert (lost.reason, lost.message) == ('REASON', 'message')
    assert StartTimeout('late', 3.5).timeout == 3.5


def test_error_of_the_system_on_the_agent_arrives_as_here():
    error = remote_error({'exception': u'FileNotFoundError', 'errno': errno.ENOENT,
                          'strerror': u'No such file or directory', 'filename': encode_data(b'/x'),
                          'text': u'[Errno 2] ...', 'traceback': u'Traceback: told'})
    assert type(error).__name__ == ('OSError' if PY2 else 'FileNotFoundError')
    assert (error.errno, error.strerror, error.filename) == (errno.ENOENT, 'No such file or directory', '/x')
    assert error.remote_traceback == 'Traceback: told'
    if PY2:
        assert error.child_traceback == 'Traceback: told'


def test_error_without_a_filename_has_none():
    error = remote_error({'exception': u'PermissionError', 'errno': errno.EPERM, 'strerror': u'no', 'filename': None})
    assert (error.errno, error.filename) == (errno.EPERM, None)


@pytest.mark.parametrize('name, kind', [
    (u'ValueError', ValueError), (u'KeyError', KeyError), (u'SubprocessError', SubprocessError),
    (u'SystemExit', SubprocessError), (u'KeyboardInterrupt', SubprocessError), (u'eval', SubprocessError),
    (None, SubprocessError), (3, SubprocessError), ([], SubprocessError)])
def test_agent_chooses_only_among_errors_that_starting_a_command_has(name, kind):
    error = remote_error({'exception': name, 'text': u'what it says'})
    assert type(error) is kind
    assert 'what it says' in str(error)


@pytest.mark.parametrize('reply', [
    {}, {'text': 5, 'errno': 'x', 'strerror': [], 'filename': 7, 'traceback': {}},
    {'errno': 2, 'strerror': 3, 'filename': u'not base64!', 'text': u'x'}])
def test_odd_reply_is_an_error_all_the_same(reply):
    assert isinstance(remote_error(reply), Exception)

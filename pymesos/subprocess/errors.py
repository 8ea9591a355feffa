"""The exceptions of the module: the standard library's own where it has them, and what only a cluster can bring.

::

    SubprocessError                     the standard library's; on Python 2.7 ours
    |-- CalledProcessError              a command returned non-zero (on 2.7 also the standard library's)
    |-- TimeoutExpired                  it did not end in time
    |-- TaskLost                        its exit status will never be known (a MesosError)
    `-- StartFailed                     it could not be placed or begun (a MesosError)
        `-- StartTimeout                ... within `start_timeout`

All pickle. What comes from the agent's side, such as FileNotFoundError, has its traceback as `remote_traceback`, text.
"""
from __future__ import absolute_import, division, print_function

import binascii
import signal

from six.moves import builtins

from .._compat import PY2, fsdecode
from ..errors import MesosError
from ..utils import decode_data

try:
    from subprocess import CalledProcessError, SubprocessError, TimeoutExpired      # novm: 2.7 has but one
except ImportError:                 # 2.7
    from subprocess import CalledProcessError as _CalledProcessError

    class SubprocessError(Exception):
        """What all errors of the module descend from."""

        def __reduce__(self):
            return _rebuild, (type(self), self.args, dict(self.__dict__))

    class CalledProcessError(SubprocessError, _CalledProcessError):
        """A command returned non-zero. Attributes: `returncode`, `cmd`, `output` (also `stdout`), `stderr`."""

        def __init__(self, returncode, cmd, output=None, stderr=None):
            Exception.__init__(self, returncode, cmd)
            self.returncode = returncode
            self.cmd = cmd
            self.output = output
            self.stderr = stderr

        def __str__(self):
            if self.returncode >= 0:
                return "Command '%s' returned non-zero exit status %d." % (self.cmd, self.returncode)
            return "Command '%s' died with %s." % (self.cmd, _signal_text(-self.returncode))

        @property
        def stdout(self):
            """The same as `output`."""
            return self.output

        @stdout.setter
        def stdout(self, value):
            self.output = value

    class TimeoutExpired(SubprocessError):
        """A command did not end in time. Attributes: `cmd`, `timeout`, `output` (also `stdout`), `stderr`."""

        def __init__(self, cmd, timeout, output=None, stderr=None):
            Exception.__init__(self, cmd, timeout)
            self.cmd = cmd
            self.timeout = timeout
            self.output = output
            self.stderr = stderr

        def __str__(self):
            return "Command '%s' timed out after %s seconds" % (self.cmd, self.timeout)

        @property
        def stdout(self):
            """The same as `output`."""
            return self.output

        @stdout.setter
        def stdout(self, value):
            self.output = value

__all__ = ['CalledProcessError', 'StartFailed', 'StartTimeout', 'SubprocessError', 'TaskLost', 'TimeoutExpired',
           'remote_error']


def _rebuild(cls, args, facts):
    error = cls.__new__(cls)
    Exception.__init__(error, *args)
    error.__dict__.update(facts)
    return error


def _signal_text(number):
    names = sorted(name for name, value in vars(signal).items()
                   if value == number and name.startswith('SIG') and not name.startswith('SIG_'))
    return 'signal %d (%s)' % (number, names[0]) if names else 'unknown signal %d' % number


class TaskLost(SubprocessError, MesosError):
    """A command's exit status will never be known: Mesos lost its executor, its agent, or the task.

    `task_id`, `agent_id` are text or None; `state` the task's last, such as ``'TASK_LOST'``; `reason` Mesos' reason,
    such as ``'REASON_AGENT_REMOVED'``, and `message` its text, or None. The command may have run, to its end even.
    """

    def __init__(self, text, task_id=None, agent_id=None, state=None, reason=None, message=None):
        super(TaskLost, self).__init__(text)
        self.task_id = task_id
        self.agent_id = agent_id
        self.state = state
        self.reason = reason
        self.message = message


class StartFailed(SubprocessError, MesosError):
    """A command was not begun: no agent can hold it, or Mesos refused it.

    `state`, `reason` and `message` are those of Mesos, or None.
    """

    def __init__(self, text, state=None, reason=None, message=None):
        super(StartFailed, self).__init__(text)
        self.state = state
        self.reason = reason
        self.message = message


class StartTimeout(StartFailed):
    """A command was not begun within `timeout` seconds; it was withdrawn."""

    def __init__(self, text, timeout=None):
        super(StartTimeout, self).__init__(text)
        self.timeout = timeout


# ---------------------------------------------------------------- errors of the other side

#: The exceptions that an agent may let this program raise, by name; anything else is a SubprocessError.
#: What only later Pythons tell apart is an OSError here, which makes the right class of it by its errno.
_REMOTE = {'SubprocessError': SubprocessError, 'OSError': OSError}
for _name in ('KeyError', 'LookupError', 'MemoryError', 'OverflowError', 'TypeError', 'UnicodeError', 'ValueError'):
    _REMOTE[_name] = getattr(builtins, _name)


def remote_error(reply):
    """The exception behind a NOT_STARTED message (dict): what the constructor of Popen raises.

    An OSError has its `errno`, `strerror` and `filename`. Whatever fields are missing or of a wrong type do no harm.
    """
    errno, strerror, filename = reply.get('errno'), reply.get('strerror'), reply.get('filename')
    text = reply.get('text')
    text = text if isinstance(text, type(u'')) else u'the command could not be started'
    if isinstance(errno, int) and errno:
        facts = (errno, _native(strerror) if strerror else _native(text))
        error = OSError(*facts + ((_path(filename),) if filename else ()))
    else:
        name = reply.get('exception')
        error = _REMOTE.get(name if isinstance(name, type(u'')) else '', SubprocessError)(_native(text))
    error.remote_traceback = _native(reply.get('traceback') or u'')
    if PY2:
        error.child_traceback = error.remote_traceback      # where 2.7's subprocess puts it
    return error


def _native(text):
    """Text of the other side as a str of this Python."""
    text = text if isinstance(text, type(u'')) else u'(%s)' % type(text).__name__
    return text.encode('utf-8') if PY2 else text


def _path(filename):
    try:
        return fsdecode(decode_data(filename))
    except (TypeError, ValueError, binascii.Error):
        return _native(filename)

"""What came of the commands of ``pymesos run``: exit statuses, and what is said of them. Pure."""
from __future__ import absolute_import, division, print_function

import errno
import signal

from ..._compat import fsencode
from ...errors import MesosError

__all__ = ['FAILED', 'LOST', 'NOT_FOUND', 'NOT_RUNNABLE', 'Outcome', 'Outcomes', 'TIMED_OUT', 'USAGE', 'describe',
           'signal_name', 'signal_status']

#: Exit statuses when the program itself failed, or was called wrongly.
FAILED, USAGE = 1, 2

#: Exit statuses for what has none of its own, as env(1), timeout(1) and shells have them: it took too long; Mesos lost
#: or refused it; it is there and cannot be executed; it is not there.
TIMED_OUT, LOST, NOT_RUNNABLE, NOT_FOUND = 124, 125, 126, 127

#: How many commands that failed are told of one by one.
MOST_TOLD = 10


class Outcome(object):
    """How one command ended: its `rank`, its exit `status` as a shell has it, and a `text` if it failed.

    `has_run` tells whether the status is its own.
    """

    def __init__(self, rank, status, text=None, has_run=True):
        self.rank = rank
        self.status = status
        self.text = text
        self.has_run = has_run

    @classmethod
    def of_returncode(cls, rank, returncode):
        """Of a return code as Popen has it: negative for a signal."""
        if returncode >= 0:
            return cls(rank, returncode, 'exit status %d' % returncode if returncode else None)
        return cls(rank, signal_status(-returncode), 'killed by %s' % signal_name(-returncode))

    @classmethod
    def of_timeout(cls, rank, seconds):
        """Of a command that was killed because it took too long."""
        return cls(rank, TIMED_OUT, 'timed out after %g s' % seconds, False)

    @classmethod
    def of_error(cls, rank, error, folder=None):
        """Of a command that could not be begun, in `folder`, or whose end is unknown."""
        return cls(rank, _status_of_error(error), describe(error, folder), False)


def signal_status(number):
    """What a shell makes of a death by a signal."""
    return 128 + number


def signal_name(number):
    """The name of a signal, such as SIGTERM."""
    names = sorted(name for name, value in vars(signal).items()
                   if value == number and name.startswith('SIG') and not name.startswith('SIG_'))
    return names[0] if names else 'signal %d' % number


def describe(error, folder=None):
    """An exception in one line. `folder` is where the command was to run, if that was asked for."""
    if isinstance(error, EnvironmentError) and not isinstance(error, MesosError) and error.strerror:
        if folder is not None and error.filename is not None and fsencode(error.filename) == fsencode(folder):
            return 'cannot be run in the folder %s: %s' % (folder, error.strerror)
        where = '%s: ' % (error.filename,) if error.filename else ''
        return 'cannot be run: %s%s' % (where, error.strerror)
    return ' '.join(str(error).split()) or type(error).__name__


class Outcomes(object):
    """What came of all; remembers no more of them than it tells. `is_alone`: there is one, whose status says enough."""

    def __init__(self, is_alone=False):
        #: The exit status of all: the highest.
        self.worst = 0
        #: How many have failed.
        self.failed = 0
        self._is_alone = is_alone
        self._told = []

    def add(self, outcome):
        """One command is over."""
        self.worst = max(self.worst, outcome.status)
        if outcome.status:
            self.failed += 1
            if self.failed <= MOST_TOLD:
                self._told.append(outcome)

    def lines(self):
        """What people are told of those that failed: a list of lines."""
        if self._is_alone:
            return [outcome.text for outcome in self._told if not outcome.has_run]
        lines = ['[%d] %s' % (outcome.rank, outcome.text) for outcome in self._told]
        if self.failed > MOST_TOLD:
            lines.append('%d more have failed' % (self.failed - MOST_TOLD))
        return lines


def _status_of_error(error):
    if isinstance(error, EnvironmentError) and not isinstance(error, MesosError):
        return NOT_FOUND if error.errno == errno.ENOENT else NOT_RUNNABLE
    return LOST

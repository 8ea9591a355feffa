"""One command as those see it who wait for it."""
from __future__ import absolute_import, division, print_function

from ..._compat import Latch

__all__ = ['Remote']


class Remote(object):
    """A command that was given to a cluster. For any thread, and signal handlers.

    `pid` and `hostname` are known once it runs, `agent_id` and `task_id` once it is placed; `state` is what Mesos last
    said of it, ``'TASK_STAGING'`` before it says anything, None before it is placed. After the end there is a
    `returncode` (int), or an `error`: :class:`~.errors.TaskLost` if no exit status will ever be known.
    """

    def __init__(self, keeper, number):
        self.number = number
        self.pid = self.hostname = self.agent_id = self.task_id = self.state = None
        self.returncode = self.error = None
        self._keeper = keeper
        self._begun = Latch()           # it runs, or never will
        self._ended = Latch()

    def __repr__(self):
        return '<Remote %d: %s>' % (self.number, self.state or 'waiting')

    def wait_started(self, timeout=None):
        """Wait until it runs, for `timeout` seconds at most; whether it does.

        Raises what kept it from running: what the agent said, :class:`~.errors.StartFailed`,
        :class:`~.errors.StartTimeout` or :class:`~.errors.TaskLost`.
        """
        if not self._begun.wait(timeout):
            return False
        if self.pid is None and self.error is not None:
            raise self.error
        return True

    def wait(self, timeout=None):
        """Wait until it has ended, for `timeout` seconds at most; whether it has."""
        return self._ended.wait(timeout)

    def send_signal(self, number):
        """Send a signal to its process. Returns at once; nothing happens if it has ended."""
        self._keeper.tell(self._keeper.send_signal, self.number, number)

    def cancel(self):
        """Withdraw it if it has not begun, else have Mesos kill it. Returns at once; twice is fine."""
        self._keeper.tell(self._keeper.cancel, self.number)

    def want_input(self, is_wanted):
        """Whether the program's own standard input is to be read for it just now."""
        self._keeper.tell(self._keeper.want_input, self.number, is_wanted)

    # ---- the keeper's

    def placed(self, task_id, agent_id):
        """An attempt is made somewhere."""
        self.task_id, self.agent_id, self.state = task_id, agent_id, 'TASK_STAGING'

    def started(self, pid, hostname):
        """It runs."""
        self.pid, self.hostname = pid, hostname
        self._begun.set()

    def end(self, returncode, error):
        """It has ended, or nothing more will be known of it."""
        self.returncode, self.error = returncode, error
        self._begun.set()
        self._ended.set()

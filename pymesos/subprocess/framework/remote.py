"""One command as those see it who wait for it."""
from __future__ import absolute_import, division, print_function

from ..._compat import Latch
from .attempts import ALIVE

__all__ = ['Remote']


class Remote(object):
    """A command that was given to a cluster. For any thread, and signal handlers.

    `pid` and `hostname` are known once it runs, `agent_id` and `task_id` once it is placed; `state` is the task's, None
    before it is placed, by what Mesos and, sooner, the executor have said. After the end there is a
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
        self._keeper.pass_on(self._keeper.send_signal, self.number, number)

    def cancel(self):
        """Withdraw it if it has not begun, else have Mesos kill it. Returns at once; twice is fine."""
        self._keeper.tell(self._keeper.cancel, self.number)

    def want_input(self, is_wanted):
        """Whether the program's own standard input is to be read for it just now."""
        if not self._ended.is_set():
            self._keeper.pass_on(self._keeper.want_input, self.number, is_wanted)

    # ---- the keeper's

    def updated(self, state):
        """Mesos says that its task is in a state, perhaps after the executor has told its end."""
        if self.returncode is None or state not in ALIVE:
            self.state = state

    def placed(self, task_id, agent_id):
        """An attempt is made somewhere."""
        self.task_id, self.agent_id, self.state = task_id, agent_id, 'TASK_STAGING'

    def started(self, pid, hostname):
        """It runs; who waits for that hears of it by :meth:`tell_begun`."""
        self.pid, self.hostname = pid, hostname
        self.state = 'TASK_RUNNING'

    def tell_begun(self):
        """End :meth:`wait_started`."""
        self._begun.set()

    def end(self, returncode, error):
        """It has ended, or nothing more will be known of it."""
        self.returncode, self.error = returncode, error
        if returncode is not None and self.state in ALIVE:      # as Mesos will say
            self.state = 'TASK_FAILED' if returncode else 'TASK_FINISHED'
        self._ended.set()               # first, so that who waits for both wakes up once
        self._begun.set()

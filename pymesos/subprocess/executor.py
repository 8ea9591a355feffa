"""The executor that runs the commands of a program on an agent: ``python -m pymesos.subprocess.executor``.

One process for all commands of the program that the agent has, started by Mesos. The main thread takes signals, the
loop's thread does everything with commands and links, and the driver has its two.
"""
from __future__ import absolute_import, division, print_function

import logging
import resource
import signal
import socket
import sys
import threading

from .._compat import monotonic
from ..errors import MessageError
from ..executor import MesosExecutorDriver
from ..serving.loop import Loop
from .agent.children import Children, SignalWatch
from .agent.command import Command, read_ticket
from .agent.dialler import Exchange, Patience
from .agent.spawn import close_all_on_exec

__all__ = ['CommandExecutor', 'main']

#: Seconds of the agent's grace that are kept for what comes after SIGKILL: to wait for the processes, and to tell.
RESERVE = 1.0

#: The longest that a shutdown gives commands between SIGTERM and SIGKILL, in seconds.
LONGEST_GRACE = 5.0

#: Seconds that programs have to take what their ended commands have written, at the end.
LINGER = 0.5

#: Seconds between two looks whether all is over, at the end.
LOOK_EVERY = 0.05

#: From so many commands on that are about to begin packets matter more than how soon one is heard of.
CROWD = 4

#: Descriptors that the executor may have, where the system lets it: a command takes up to four.
DESCRIPTORS = 4096

# Not by __name__, which is __main__ in the process of an executor.
logger = logging.getLogger('pymesos.subprocess.executor')


class CommandExecutor(object):
    """The callbacks of the driver, and all commands. What is not a callback is for the loop's thread.

    `watch` is the process's :class:`SignalWatch`; `patience` is the diallers'.
    """

    def __init__(self, watch, patience=None):
        self.hostname = socket.gethostname()
        self.patience = patience or Patience()
        self._loop = Loop('pymesos-commands', failed=_failed)
        self.exchange = Exchange(self._loop)
        self.children = Children(self._loop, watch)
        self._driver = None
        self._commands = {}             # task id: Command
        self._waiting = set()           # those of them that have not begun
        self._is_ending = False
        self._has_ended = threading.Event()

    def start(self, driver):
        """Start the threads; `driver` is the :class:`~pymesos.MesosExecutorDriver`. Any thread."""
        self._driver = driver
        self._loop.start()
        self._loop.carry_out(self.children.open)

    def stop(self, message):
        """Kill all that runs, tell Mesos that it was because of `message`, and stop. Any thread but the loop's.

        Returns when all is over, at the latest a second or so after the agent's grace period. Twice is fine.
        """
        self._loop.order(lambda: self._end_all(message))
        self._has_ended.wait(self._driver.grace_shutdown_period + LONGEST_GRACE)

    def close(self):
        """Stop the threads."""
        self._loop.carry_out(self.children.close)
        self._loop.stop()

    # ---- the driver's callbacks, on its thread

    def registered(self, _driver, _executor_info, framework_info, agent_info):
        """SUBSCRIBED, the first time."""
        logger.info('this is the executor of framework %s on %s', framework_info.get('id', {}).get('value'),
                    agent_info.get('hostname'))

    def launchTask(self, _driver, task):
        """LAUNCH: dial the program."""
        self._loop.order(lambda: self._launch(task))

    def killTask(self, _driver, task_id, kill_policy=None):
        """KILL: end the command."""
        self._loop.order(lambda: self._kill(task_id.get('value'), kill_policy))

    def shutdown(self, _driver):
        """SHUTDOWN, or the agent is gone: end all. Blocks until it is done, for the driver ends afterwards."""
        self.stop('the executor was shut down')

    def error(self, _driver, message):
        """The driver has ended."""
        logger.error('the driver ends: %s', message)

    # ---- commands

    def _launch(self, task):
        task_id = task['task_id']['value']
        if task_id in self._commands:
            logger.warning('task %s is launched twice', task_id)
            return
        if self._is_ending:
            self._refuse(task_id, 'TASK_DROPPED', 'the executor is shutting down')
            return
        try:
            ticket = read_ticket(task)
        except MessageError as error:
            self._refuse(task_id, 'TASK_FAILED', str(error))
            return
        logger.debug('task %s: launched', task_id)
        command = self._commands[task_id] = Command(self, task, ticket)
        self._waiting.add(command)
        command.start()

    def _refuse(self, task_id, state, message):
        self.update({'task_id': {'value': task_id}, 'state': state, 'message': message})

    def _kill(self, task_id, kill_policy):
        command = self._commands.get(task_id)
        if command is None:
            logger.info('task %s is to be killed and has ended already', task_id)
        else:
            command.kill('TASK_KILLED', 'Command was killed', kill_policy)

    def update(self, status):
        """Send a TaskStatus (dict), in order with all others."""
        self._driver.report(status)

    @property
    def is_crowded(self):
        """Whether many commands are about to begin."""
        return len(self._waiting) >= CROWD

    def began(self, command):
        """A command begins."""
        self._waiting.discard(command)

    def forget(self, command):
        """A command has ended and the program has all of it, or cannot be told."""
        self._waiting.discard(command)
        if self._commands.get(command.task_id) is command:
            del self._commands[command.task_id]

    # ---- the end

    def _end_all(self, message):
        if self._is_ending:
            return
        self._is_ending = True
        grace = max(0.0, min(LONGEST_GRACE, self._driver.grace_shutdown_period - RESERVE))
        logger.info('%s; %d commands are ended, within %g s', message, len(self._commands), grace)
        for command in list(self._commands.values()):
            command.kill('TASK_KILLED', message, grace=grace)
        self.children.kill_left_over(signal.SIGTERM)
        self._look(monotonic() + grace, None)

    def _look(self, kill_at, leave_at):
        """Whether all is over: first that nothing runs, then, for a moment, that the programs and Mesos have all."""
        now = monotonic()
        is_quiet = not len(self.children) and not self.children.has_left_over
        if leave_at is None and (is_quiet or now >= kill_at):
            self.children.kill_all(signal.SIGKILL)
            leave_at = now + LINGER
        if leave_at is not None and (now >= leave_at or is_quiet and not self._commands) and (
                not self._driver.unanswered or now >= leave_at - LINGER + RESERVE):
            self._has_ended.set()
            return
        self._loop.call_later(LOOK_EVERY, lambda: self._look(kill_at, leave_at))


class _Driver(MesosExecutorDriver):
    """A driver for a thread that must not wait; it tells of its end without anybody waiting in a lock: on 2.7 that is
    a wait that polls.
    """

    def __init__(self, executor, ended):
        super(_Driver, self).__init__(executor)
        self._tell_ended = ended
        self._reported = self._answered = 0

    def report(self, status):
        """Send a TaskStatus (dict), in order with all others. For the commands' loop."""
        self._reported += 1
        self._report(status, self._count_answer)

    @property
    def unanswered(self):
        """How many updates were written and the agent has not answered."""
        return self._reported - self._answered

    def _count_answer(self):
        with self._ledger_lock:
            self._answered += 1

    def ended(self):
        """See the base class."""
        super(_Driver, self).ended()
        self._tell_ended()


def _failed(_error):
    """Something on the loop's thread raised: a fault of ours, which must not end all other commands."""
    logger.exception('a fault of the executor')


def _ignore(_number, _frame):
    """Do nothing. Not SIG_IGN, which commands would inherit."""


def _allow_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < DESCRIPTORS:
        wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def main(patience=None):
    """Run the executor until the agent or a signal ends it; the exit status. `patience` is that of its diallers."""
    logging.basicConfig(level=logging.INFO, format='%(asctime)s %(levelname)s %(name)s: %(message)s')
    _allow_descriptors()
    close_all_on_exec()                 # what the agent left open is none of the commands' business
    taken = []

    def take(number, _frame):
        taken.append(number)
        watch.release()

    # The others are what a command may send to its parent, as it would locally: they must not end all commands.
    watch = SignalWatch({signal.SIGTERM: take, signal.SIGINT: take, signal.SIGHUP: _ignore, signal.SIGUSR1: _ignore,
                         signal.SIGUSR2: _ignore})
    executor = CommandExecutor(watch, patience)
    driver = _Driver(executor, watch.release)
    executor.start(driver)
    driver.start()
    watch.wait()
    executor.stop('the executor got signal %d' % taken[0] if taken else 'the driver has ended')
    driver.stop()
    driver.join()
    executor.close()
    watch.close()
    return 0 if driver.failure is None else 1


if __name__ == '__main__':
    sys.exit(main())

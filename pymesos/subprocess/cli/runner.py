"""The work of ``pymesos run``: commands side by side, their output made one, and all of them ended together."""
from __future__ import absolute_import, division, print_function

import collections
import errno
import functools
import logging
import os
import signal
import threading

from ..._compat import fsdecode, pipe, selectors, wait_for
from ...serving.loop import Loop
from ..files import DEVNULL
from .inlet import Inlet, Reader
from .lines import LineReader
from .outcomes import FAILED, USAGE, Outcome, Outcomes, signal_name, signal_status
from .outlet import Outlet, make_pipe
from .progress import NoBar

__all__ = ['Plan', 'Runner', 'insert_line']

logger = logging.getLogger(__name__)

#: Seconds that commands have to end after they were killed: the grace after SIGTERM, and what the news takes.
KILL_WAIT = 10.0

#: The signals that end all.
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

#: The environment of a command: which one it is, counted from 0, and of how many, where that is known.
RANK, SIZE = 'PYMESOS_RANK', 'PYMESOS_SIZE'


class Plan(object):
    """What is to be run, and how.

    :param command: list of text: the command and its arguments
    :param copies: how many times, or None: once for each line of the standard input
    :param jobs: how many at the same time at most
    :param tag: whether lines of output tell which command they are of
    :param keep_going: whether a failure leaves the others running
    :param timeout: seconds that each may take, or None
    :param environment: dict: that of the commands
    :param options: dict: more arguments for Popen
    """

    def __init__(self, command, copies=1, jobs=64, tag=False, keep_going=False, timeout=None, environment=None,
                 options=None):
        self.command = list(command)
        self.copies = copies
        self.jobs = jobs
        self.tag = tag
        self.keep_going = keep_going
        self.timeout = timeout
        self.environment = dict(os.environ if environment is None else environment)
        self.options = dict(options or {})

    @property
    def is_alone(self):
        """Whether there is one command, which then has the streams of the program for itself."""
        return self.copies == 1 and not self.tag

    def arguments(self, rank, line=None):
        """What Popen is given for the command of that rank, and that line of input: (args, keyword arguments)."""
        environment = dict(self.environment)
        environment[RANK] = str(rank)
        if self.copies is not None:
            environment[SIZE] = str(self.copies)
        options = dict(self.options, env=environment)
        if line is None:
            return self.command, options
        if not self.command:
            return line, dict(options, shell=True)
        return insert_line(self.command, line), options

    def tag_of(self, rank):
        """What each line of the output of that command begins with, bytes."""
        if not self.tag:
            return b''
        width = len(str(self.copies - 1)) if self.copies else 1
        return ('[%*d] ' % (width, rank)).encode('ascii')


def insert_line(command, line):
    """The command with the line in the place of each ``{}`` in its arguments, or else as its last argument."""
    if any('{}' in argument for argument in command):
        return [argument.replace('{}', line) for argument in command]
    return command + [line]


class _Copy(object):
    """One of the commands. `unread` is how many of its outputs are not at their end."""

    def __init__(self, rank, args, options):
        self.rank = rank
        self.args = args
        self.options = options
        self.process = None
        self.sources = []
        self.unread = 0
        self.input_end = None           # the write end of its standard input, until it runs
        self.feed = None
        self.timer = None
        self.has_timed_out = False
        self.is_killed = False          # for another's sake: how it ends is not its fault
        self.outcome = None

    def close_input(self):
        """It gets no more."""
        if self.feed is not None:
            self.feed.close()
        elif self.input_end is not None:
            os.close(self.input_end)
            self.input_end = None


#: Why all are to end before their time: a text for people (None: nothing is said), and the exit status.
_Ending = collections.namedtuple('_Ending', 'text status')


class Runner(object):
    """Runs a :class:`Plan`, once.

    :param popen: the class of the commands
    :param end_all: called at the end of all: to kill what still runs; may wait
    :param streams: the descriptors of standard input, output and error
    :param bar: a :class:`~pymesos.subprocess.cli.progress.NoBar`
    :param say: called with each line for people
    """

    def __init__(self, plan, popen, end_all, streams=(0, 1, 2), bar=None, say=None):
        self.plan = plan
        self._popen = popen
        self._end_all = end_all
        self._streams = streams
        self._bar = bar or NoBar()
        self._say = say or (lambda text: None)
        self._loop = Loop('pymesos-run', failed=self._crash)
        self._over = threading.Event()
        self._signals = []              # the handler appends, the loop reads
        self._alarm, self._waker = pipe()
        # The rest belongs to the loop's thread.
        self._outlets = []
        self._inlet = None
        self._reader = None
        self._lines = LineReader()
        self._waiting = collections.deque()     # lines that no command was begun for
        self._has_all = plan.copies is not None
        self._begun = self._ended = 0
        self._culprit = None            # the first that failed, if that ends the others
        self._live = set()
        self._outcomes = Outcomes(plan.is_alone)
        self._ending = None
        self._killed = 0
        self._is_finished = False
        self._error = None

    def run(self):
        """Run all of it; returns the exit status. On the main thread, which takes the signals meanwhile."""
        before = dict((number, signal.signal(number, self._on_signal)) for number in ENDING
                      if signal.getsignal(number) is not signal.SIG_IGN)
        try:
            self._loop.start()
            self._loop.order(self._begin)
            wait_for(self._over)
            self._loop.stop()
            self._end_all()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            for end in (self._alarm, self._waker):
                os.close(end)
        if self._error is not None:
            raise self._error
        for text in self._outcomes.lines() + self._last_words():
            self._say(text)
        return self._ending.status if self._ending and self._ending.status else self._outcomes.worst

    def _on_signal(self, number, _frame):
        """Handle a signal, on the main thread: nothing that takes a lock. The second one leaves at once."""
        if self._signals:
            os._exit(signal_status(number))
        self._signals.append(number)
        os.write(self._waker, b'!')

    def _last_words(self):
        """What is said of an end before its time, a list of lines."""
        if self._ending is None or self._ending.text is None:
            return []
        if self.plan.is_alone:
            return [self._ending.text]
        parts = ['%d had ended' % self._ended, '%d killed' % self._killed]
        if not self._ending.status:     # the one that failed has ended, too, and is not one of the others
            others = self._ended - (self._culprit not in self._live)
            parts[:1] = ['%d had ended' % others] if others else []
        never = len([copy for copy in self._live if copy.process is None])
        if self.plan.copies is not None:
            never += self.plan.copies - self._begun
        if never:
            parts.append('%d not begun' % never)
        still = len([copy for copy in self._live if copy.process is not None and copy.outcome is None])
        if still:
            parts.append('%d may still run' % still)
        if not self._ending.status and not self._killed and not never:
            return []                   # the one that failed was the last
        return ['%s: %s' % (self._ending.text, ', '.join(parts))]

    # ---------------------------------------------------------------- beginning; from here on the loop's thread

    def _crash(self, error):
        logger.error('pymesos run gives up', exc_info=True)
        self._error = self._error or error
        self._over.set()

    def _begin(self):
        self._loop.selector.register(self._alarm, selectors.EVENT_READ, self._heard_signal)
        stdin, stdout, stderr = self._streams
        if self.plan.copies is None:
            self._reader = Reader(self._loop, stdin, self._received, self._received_all)
        elif self.plan.copies > 1 and not _is_terminal(stdin):
            self._inlet = Inlet(self._loop, stdin)
        if not self.plan.is_alone:
            self._outlets = [self._outlet(stdout, self._cannot_write), self._outlet(stderr, lambda error: None)]
            self._show()
        self._go_on()

    def _outlet(self, descriptor, broken):
        before = self._bar.hide if _is_terminal(descriptor) else lambda: None
        return Outlet(self._loop, descriptor, before, broken, self._look_for_end)

    def _received(self, data):
        try:
            self._waiting.extend(line for line in self._lines.feed(data) if line)
        except ValueError as error:
            self._stop('cannot read commands from the standard input: %s' % error, USAGE)
        self._go_on()

    def _received_all(self):
        self._has_all = True
        self._waiting.extend(self._lines.close())
        self._go_on()

    def _go_on(self):
        """Begin what may begin; see whether all is over."""
        while self._ending is None and len(self._live) < self.plan.jobs:
            if self.plan.copies is not None:
                if self._begun == self.plan.copies:
                    break
                self._launch(None)
            elif self._waiting:
                self._launch(fsdecode(self._waiting.popleft()))
            else:
                break
        if self._reader is not None:
            self._reader.want(self._ending is None and not self._waiting and len(self._live) < self.plan.jobs)
        self._look_for_end()

    def _launch(self, line):
        args, options = self.plan.arguments(self._begun, line)
        copy = _Copy(self._begun, args, options)
        self._begun += 1
        self._live.add(copy)
        try:
            ends = self._connect(copy)
        except EnvironmentError as error:       # such as too many open files
            self._loop.order(functools.partial(self._has_ended, copy, Outcome.of_error(copy.rank, error)))
            return
        thread = threading.Thread(target=self._work, args=(copy, ends), name='pymesos-run-%d' % copy.rank)
        thread.daemon = True
        thread.start()

    def _connect(self, copy):
        """Make the streams of a command; returns the ends that are its own."""
        if self.plan.is_alone:
            return []
        ends = []
        try:
            for name, outlet in zip(('stdout', 'stderr'), self._outlets):
                ours, its = make_pipe()
                ends.append(its)
                copy.options[name] = its
                copy.unread += 1
                copy.sources.append(outlet.add(ours, self.plan.tag_of(copy.rank),
                                               functools.partial(self._has_read, copy)))
            copy.options['stdin'] = DEVNULL
            if self._inlet is not None:
                copy.options['stdin'], copy.input_end = make_pipe()
                ends.append(copy.options['stdin'])
        except EnvironmentError:
            for end in ends:
                os.close(end)
            raise
        return ends

    def _work(self, copy, ends):
        """Run a command; the thread of its own."""
        try:
            try:
                if self._is_finished:       # a cluster that was closed would start again
                    return
                process = self._popen(copy.args, **copy.options)
            finally:
                for end in ends:
                    os.close(end)
            self._loop.order(functools.partial(self._runs, copy, process))
            outcome = Outcome.of_returncode(copy.rank, process.wait())
        except Exception as error:      # whatever it is, it is told, and the others go on
            outcome = Outcome.of_error(copy.rank, error, copy.options.get('cwd'))
        self._loop.order(functools.partial(self._has_ended, copy, outcome))

    def _runs(self, copy, process):
        if self._is_finished:
            return                      # it ends with the cluster
        copy.process = process
        if copy.input_end is not None:
            copy.feed = self._inlet.add(copy.input_end)
            copy.input_end = None
        if self.plan.timeout is not None:
            copy.timer = self._loop.call_later(self.plan.timeout, functools.partial(self._has_timed_out, copy))
        if copy.is_killed:
            self._kill([copy])

    # ---------------------------------------------------------------- ending

    def _has_timed_out(self, copy):
        copy.has_timed_out = True
        _cancel([copy.process])

    def _has_ended(self, copy, outcome):
        if self._is_finished:
            return
        if copy.has_timed_out:
            outcome = Outcome.of_timeout(copy.rank, self.plan.timeout)
        copy.outcome = outcome
        if copy.timer is not None:
            copy.timer.cancel()
        if not copy.is_killed:
            self._outcomes.add(outcome)
            if outcome.status and not self.plan.keep_going and not self.plan.is_alone:
                self._culprit = self._culprit or copy
                self._stop('the others were ended for that (-k goes on)', 0)
        copy.close_input()
        for source in copy.sources:
            source.finish()
        self._settle(copy)

    def _has_read(self, copy):
        copy.unread -= 1
        self._settle(copy)

    def _settle(self, copy):
        """A command is over when it has ended and its output is read."""
        if copy.outcome is not None and not copy.unread and copy in self._live and not self._is_finished:
            self._live.remove(copy)
            self._ended += not copy.is_killed
            self._go_on()

    def _heard_signal(self, _events):
        self._loop.selector.unregister(self._alarm)
        self._stop('ended by %s' % signal_name(self._signals[0]), signal_status(self._signals[0]))

    def _cannot_write(self, error):
        if error.errno == errno.EPIPE:          # as with head(1): nobody is told, as of a local command
            self._stop(None, signal_status(signal.SIGPIPE))
        else:
            self._stop('cannot write: %s' % error.strerror, FAILED)

    def _stop(self, text, status):
        """Begin no more, and kill all that runs."""
        if self._ending is not None:
            return
        self._ending = _Ending(text, status)
        running = [copy for copy in self._live if copy.outcome is None]
        for copy in running:
            copy.is_killed = True
        self._kill([copy for copy in running if copy.process is not None])
        self._loop.call_later(KILL_WAIT, self._finish)
        self._go_on()

    def _kill(self, copies):
        self._killed += len(copies)
        _cancel([copy.process for copy in copies])

    def _look_for_end(self):
        if self._ending is None:
            is_over = self._has_all and not self._waiting and not self._live and (
                self.plan.copies is None or self._begun == self.plan.copies)
        else:                                   # those that were not begun end with the cluster
            is_over = all(copy.process is None and copy.outcome is None for copy in self._live)
        if is_over and all(outlet.is_idle for outlet in self._outlets):
            self._finish()

    def _finish(self):
        if self._is_finished:
            return
        self._is_finished = True
        for copy in self._live:
            copy.close_input()
            for source in copy.sources:
                source.close()
        for part in self._outlets + [self._inlet, self._reader, self._bar]:
            if part is not None:
                part.close()
        self._over.set()

    def _show(self):
        if not self._is_finished and self._bar.interval is not None:
            self._bar.show(self._ended, len([copy for copy in self._live if copy.process is not None]),
                           self._outcomes.failed)
            self._loop.call_later(self._bar.interval, self._show)


def _cancel(processes):
    """Have Mesos kill commands: the whole group of each, with a grace. Does not wait."""
    for process in processes:
        process.cancel()


def _is_terminal(descriptor):
    try:
        return os.isatty(descriptor)
    except EnvironmentError:
        return False

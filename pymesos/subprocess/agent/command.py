"""One task of the executor: the command, the link to the program, and what Mesos is told of it."""
from __future__ import absolute_import, division, print_function

import logging
import signal
from binascii import Error as Base64Error
from binascii import unhexlify

from ..._compat import monotonic
from ...errors import MessageError, ProtocolError
from ...utils import decode_data, encode_data
from ...wire.messages import dumps, loads
from ..streams.carrier import Conduit
from ..streams.protocol import (CONTROL, EXECUTOR_SENDS, IDENTITY_SIZE, KEY_SIZE, PROGRAM_SENDS, STDERR, STDIN, STDOUT,
                                encode_control)
from .dialler import Dialler

__all__ = ['Command', 'Ticket', 'read_ticket']

#: Seconds from SIGTERM to SIGKILL where nobody says otherwise.
DEFAULT_GRACE = 5.0

#: Seconds after which Mesos is told that a command runs. One that ends before is only told to have ended: an update
#: less for master, agent and program.
TELL_RUNNING_AFTER = 0.05

#: Seconds for which a command may have closed its outputs, or in a crowd have begun, before the program is told so. Its
#: end, which mostly comes soon, is told in the same packet.
HOLD = 0.01

#: Signal number: name, as C's strsignal() gives it for those that end commands, which is how Mesos words it.
_SIGNALS = {signal.SIGHUP: 'Hangup', signal.SIGINT: 'Interrupt', signal.SIGQUIT: 'Quit',
            signal.SIGILL: 'Illegal instruction', signal.SIGABRT: 'Aborted', signal.SIGFPE: 'Floating point exception',
            signal.SIGKILL: 'Killed', signal.SIGSEGV: 'Segmentation fault', signal.SIGPIPE: 'Broken pipe',
            signal.SIGALRM: 'Alarm clock', signal.SIGTERM: 'Terminated'}

logger = logging.getLogger(__name__)


class Ticket(object):
    """What the data of a task says: where the program is and how to prove that we are this task."""

    __slots__ = ('address', 'code', 'identity', 'key')

    def __init__(self, address, identity, key, code):
        self.address = address
        self.identity = identity
        self.key = key
        #: The pickled ``preexec_fn`` (bytes) or None.
        self.code = code


def read_ticket(task):
    """The :class:`Ticket` in the data of a TaskInfo (dict); :class:`MessageError` if there is none."""
    try:
        data = loads(decode_data(task['data']))
        code = data.get('preexec')
        ticket = Ticket((data['host'], int(data['port'])), unhexlify(data['identity']), unhexlify(data['key']),
                        None if code is None else decode_data(code))
        if len(ticket.identity) != IDENTITY_SIZE or len(ticket.key) != KEY_SIZE:
            raise ValueError('the identity or the key has a wrong length')
    except (KeyError, TypeError, ValueError, Base64Error, MessageError) as error:
        # Not a word of the data itself, which has the key.
        raise MessageError('cannot read the data of the task: %s' % type(error).__name__)
    return ticket


class Command(Conduit):
    """A task, on the loop's thread, from its launch until nothing is left to do for it.

    `host` has `exchange`, `children`, `patience`, `is_crowded` (whether many other commands are about to begin) and
    ``update(status)``, which sends a TaskStatus, and is told ``began(command)`` and at the end ``forget(command)``.
    `task` is the TaskInfo.
    """

    def __init__(self, host, task, ticket):
        super(Command, self).__init__(host.exchange.loop, EXECUTOR_SENDS, PROGRAM_SENDS)
        self.task_id = task['task_id']['value']
        self._host = host
        self._code = ticket.code
        self._dialler = Dialler(host.exchange, ticket.address, ticket.identity, ticket.key, self._proven, self._lost,
                                host.patience)
        self._grace = _grace_of(task.get('kill_policy'))
        self._child = None
        self._has_started = False       # START has come
        self._has_ended = False         # Mesos was told so, or is about to be
        self._verdict = None            # (state, message) that is to be told instead of how it ended
        self._kill_timer = self._running_timer = self._hold_timer = None
        self._started_message = None    # that is held back
        self._is_flush_due = False

    def start(self):
        """Dial the program, which says what to run."""
        self._dialler.start()

    @property
    def is_running(self):
        """Whether Mesos was not told of its end."""
        return not self._has_ended

    def kill(self, state, message, kill_policy=None, grace=None):
        """End it: SIGTERM to its group, SIGKILL after the grace; Mesos is told `state` and `message` of the end.

        `grace` (seconds) is the longest, whatever the policies say: `kill_policy`, that of an earlier kill, the
        task's, the default.
        """
        if self._has_ended:
            return
        self._verdict = self._verdict or (state, message)
        child = self._child
        if child is None:
            self._finish(*self._verdict)
            self._dispose()
            return
        self._grace = _grace_of(kill_policy, self._grace)
        seconds = self._grace if grace is None else min(grace, self._grace)
        kill_at = monotonic() + seconds         # not from the beginning of the turn on, which may be long
        if self._kill_timer is None:
            child.kill(signal.SIGTERM)
        elif not self._kill_timer.is_pending or self._kill_timer.when <= kill_at:
            return                      # a later kill may only shorten what is left
        else:
            self._kill_timer.cancel()
        self._kill_timer = self.loop.call_at(kill_at, self._kill_now)

    def _kill_now(self):
        logger.info('task %s: its grace is over, SIGKILL', self.task_id)
        self._child.kill(signal.SIGKILL)

    # ---- the connection

    def flush(self):
        """Write what the link has to say, at the end of this turn of the loop.

        The end of a small command is the end of its process and of two pipes, all at once: one packet tells of all.
        What is dear about packets is that each wakes the program.
        """
        if not self._is_flush_due:
            self._is_flush_due = True
            self.loop.order(self._flush_now)

    def _flush_now(self):
        self._is_flush_due = False
        if self._may_hold():
            if self._hold_timer is None:
                self._hold_timer = self.loop.call_later(HOLD, self._hold_no_longer)
            return
        self._say_started()
        super(Command, self).flush()

    def _may_hold(self):
        """Whether what there is to say may wait for the end of the command."""
        is_over = self._hold_timer is not None and not self._hold_timer.is_pending
        return (self._child is not None and not self._has_ended and not is_over and self.link.may_be_silent
                and (self._started_message is not None or not any(source.is_open for source in self.sources.values())))

    def _hold_no_longer(self):
        self._say_started()
        super(Command, self).flush()

    def _say_started(self):
        message, self._started_message = self._started_message, None
        if message is not None and not self.is_closed:
            self.link.send(CONTROL, encode_control(message))

    def _proven(self, sock, trailing):
        self.adopt(sock, trailing)

    def connection_lost(self, error):
        """The connection is gone: make another one."""
        self._dialler.again(str(error))

    def protocol_broken(self, error):
        """The program does what it must not: it cannot be served."""
        self._lost('the program at %s broke the protocol: %s' % (self._dialler.address, error))

    def _lost(self, text):
        """There will be no more connection."""
        logger.warning('task %s: %s', self.task_id, text)
        self.kill('TASK_FAILED', text)
        self._dispose()

    def settled(self):
        """The program has everything."""
        self._dispose()

    def _dispose(self):
        """The link has no more use; the command, if it still runs, is only waited for."""
        self._dialler.cancel()
        self.close()
        if self._has_ended:
            self._host.forget(self)

    # ---- what the program wants

    def message_received(self, message):
        """START and SIGNAL; what is not known is of a later version, and no harm."""
        kind = message['type']
        if kind == 'START':
            if self._has_started:
                raise ProtocolError('a second START')
            self._has_started = True
            self._start_child(message)
        elif kind == 'SIGNAL':
            number = message.get('number')
            if not isinstance(number, int) or not 0 <= number < signal.NSIG:
                raise ProtocolError('a SIGNAL with the number %r' % (number,))
            if self._child is not None:
                self._child.signal(number)

    def _start_child(self, message):
        code, self._code = self._code, None
        try:
            self._host.children.start(message, code, self)
        except Exception as error:      # a fault of ours, or of the system: no more watches, say
            logger.exception('task %s: cannot start the command', self.task_id)
            if self._child is not None and self._child.pid is None:
                self._child = None      # nothing more will be heard of it
            self._lost('the executor cannot start the command: %s' % (error,))

    # ---- what happens to the child

    def opened(self, child):
        """Its pipes are there: move what flows through them."""
        self._child = child
        self._host.began(self)
        if child.stdin is not None:
            self.attach_sink(STDIN, child.stdin)
        else:
            self.link.stop(STDIN)
        for channel, descriptor in ((STDOUT, child.stdout), (STDERR, child.stderr)):
            if descriptor is not None:
                self.attach_source(channel, descriptor)
            else:
                self.link.end(channel)

    def started(self, child):
        """It runs."""
        logger.debug('task %s: runs as process %d', self.task_id, child.pid)
        self._started_message = {'type': 'STARTED', 'pid': child.pid, 'hostname': self._host.hostname}
        if not self._host.is_crowded:
            self._say_started()
        self.flush()
        self._running_timer = self.loop.call_later(TELL_RUNNING_AFTER, self._tell_running)

    def _tell_running(self):
        self._host.update({'task_id': {'value': self.task_id}, 'state': 'TASK_RUNNING'})

    def not_started(self, _child, fields):
        """It could not be started."""
        self._say(dict(fields, type='NOT_STARTED'))
        self._over()
        state, message = self._verdict or ('TASK_FAILED', 'cannot start the command: %s' % fields['text'])
        self._finish(state, message)

    def ended(self, child):
        """The process has ended; others may still hold its streams."""
        drained = dict((str(channel), self.sources[channel].reachable()) for channel in (STDOUT, STDERR)
                       if channel in self.sources)
        self._say_started()
        self._say({'type': 'EXITED', 'returncode': child.returncode, 'drained': drained})
        self._over()
        state, message = self._verdict or ('TASK_FINISHED' if child.returncode == 0 else 'TASK_FAILED',
                                           describe_end(child.returncode))
        self._finish(state, message, child.returncode)

    def _say(self, message):
        if not self.is_closed:
            self.send_message(message)

    def _over(self):
        """Nothing more will be said: end the channel, and with it, once all is through, the link."""
        if not self.is_closed:
            self.link.end(CONTROL)
            self.flush()

    def _finish(self, state, message, returncode=None):
        """Tell Mesos of the end."""
        self._has_ended = True
        for timer in (self._running_timer, self._hold_timer):
            if timer is not None:
                timer.cancel()
        # What it leaves behind of its group when it is killed gets SIGKILL all the same.
        if self._kill_timer is not None and self._child.group is None:
            self._kill_timer.cancel()
        status = {'task_id': {'value': self.task_id}, 'state': state, 'message': message}
        if returncode is not None:
            status['data'] = encode_data(dumps({'returncode': returncode}))
        logger.log(logging.DEBUG if self._verdict is None else logging.INFO, 'task %s: %s, %s', self.task_id, state,
                   message)
        self._host.update(status)
        if self.is_closed:
            self._host.forget(self)


def describe_end(returncode):
    """How a command ended, in Mesos' words."""
    if returncode >= 0:
        return 'Command exited with status %d' % returncode
    return 'Command terminated with signal %s' % _SIGNALS.get(-returncode, '%d' % -returncode)


def _grace_of(kill_policy, otherwise=DEFAULT_GRACE):
    """The seconds of a KillPolicy (dict or None)."""
    try:
        return max(0.0, kill_policy['grace_period']['nanoseconds'] / 1e9)
    except (KeyError, TypeError):
        return otherwise

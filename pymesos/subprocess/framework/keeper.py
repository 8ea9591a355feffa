"""Between the pool, which decides, and the world: commands and their sessions, calls, timers. On the hub's loop."""
from __future__ import absolute_import, division, print_function

import logging
import os
import threading
from collections import deque
from functools import partial

from ..._compat import Latch, monotonic, socket_errors
from ...errors import CallRejected, ConnectionFailed, MesosError, Stopped, UsageError
from ...operator_v1 import MesosOperatorMasterDriver
from ...process import dict_in, list_in
from ...resources import Resources
from ...wire import calls
from ...wire.session import is_about_subscription
from ..errors import StartFailed, TaskLost, remote_error
from ..request import INHERITED
from ..streams import protocol
from ..streams.session import Session
from . import infos
from .placement import Capacity
from .pool import Pool

__all__ = ['Keeper']

logger = logging.getLogger(__name__)


class Job(object):
    """A command, as the user gave it."""

    __slots__ = ('kind', 'remote', 'request', 'spec', 'streams', 'task_id', 'wants_input')

    def __init__(self, remote, request, spec, streams, kind):
        self.remote = remote
        self.request = request
        self.spec = spec
        #: Its streams as long as no session has them, in the order stdin, stdout, stderr.
        self.streams = list(streams)
        self.kind = kind
        #: The id of the attempt that is to run it.
        self.task_id = None
        #: Whether somebody waits for it, and its input is to be read.
        self.wants_input = False


class Keeper(object):
    """Carries out what the pool orders, and tells it what happens. What does not say otherwise is the loop's thread's.

    `hub` is the :class:`Hub`, started; `driver` is set before anything is submitted. `settings` are the cluster's,
    `gone` is called once if the driver has ended by itself.
    """

    def __init__(self, hub, settings, gone):
        self.driver = None
        #: Set after :meth:`close` when no command is left.
        self.idle = Latch()
        #: Set while there is a subscription; another one after the next loss.
        self.online = Latch()
        self._loop = hub.loop
        self._hub = hub
        self._settings = settings
        self._gone = gone
        self._pool = Pool(self._is_linked, settings.role, settings.executor_idle)
        self._submitted = deque()       # arguments of submit() that the loop has not seen yet
        self._is_over = False           # the loop has ended, or is about to
        self._jobs = {}                 # number: Job
        self._sessions = {}             # task id: Session
        self._placed = {}               # task id: Job, of the attempts that are to run them
        self._begun = []                # Remotes that run, and who waits for that is to be told
        self._is_touched = False
        self._is_closing = False
        self._timer = None
        self._failure = None            # text: why nothing goes any more
        self._has_complained = False    # of a master that does not tell of its agents
        self._has_subscribed = False
        self._patience = None

    # ---- any thread

    def tell(self, function, *args):
        """Have a function called on the loop, and then what follows decided."""
        self._loop.order(partial(self._told, function, args))

    def pass_on(self, function, *args):
        """Have a function called on the loop that is about a session only: nothing has to be decided after it."""
        self._loop.order(partial(function, *args))

    def submit(self, job, wanted, max_retries, start_timeout):
        """Run a command."""
        try:
            self._submitted.append((job, wanted, max_retries, start_timeout))
            self.tell(self._take_submitted)
            # First on the list, then the look; ending does it the other way round, so one of the two sees the other.
            if self._is_over:
                self._loop.carry_out(self._take_submitted)
        except BaseException:           # KeyboardInterrupt: it is ours all the same, and nobody will wait for it
            self.tell(self._take_submitted)
            job.remote.cancel()
            if self._is_over:
                self._loop.carry_out(self._take_submitted)
            raise

    @staticmethod
    def now():
        """The time (monotonic), for who is not on the loop's thread."""
        return monotonic()

    def _told(self, function, args):
        function(*args)
        self._touch()

    # ---- users

    def _take_submitted(self):
        while self._submitted:
            self._take(*self._submitted.popleft())

    def _take(self, job, wanted, max_retries, start_timeout):
        number = job.remote.number
        self._jobs[number] = job
        if self._failure is not None or self._is_closing:
            self._end(number, None, self._make_failure(False))
            return
        self._pool.submit(number, wanted, max_retries, start_timeout, self._loop.now)
        if self._patience is None and not self._has_subscribed:
            self._patience = self._loop.call_later(self._settings.master_timeout, self._lose_patience)

    def send_signal(self, number, signal):
        """Send a command a signal."""
        job = self._jobs.get(number)
        session = job and self._sessions.get(job.task_id)
        if session is not None:
            session.signal(signal)

    def cancel(self, number):
        """A command is of no more use."""
        self._pool.cancel(number, self._loop.now)

    def want_input(self, number, is_wanted):
        """Whether the program's standard input is to be read for a command."""
        job = self._jobs.get(number)
        if job is None:
            return
        job.wants_input = is_wanted
        session = self._sessions.get(job.task_id)
        if session is not None:
            session.want_input(is_wanted)

    def close(self):
        """Cancel everything; `idle` is set once that is done."""
        self._is_closing = True
        self._pool.close(self._loop.now)
        self._look_whether_idle()

    # ---- the driver's callbacks

    def subscribed(self):
        """There is a subscription."""
        if not self._has_subscribed:
            self._look_at_addresses()
        self._has_subscribed = True
        if self._patience is not None:
            self._patience.cancel()
        self.online.set()
        self._pool.subscribing_with(self.driver.framework['roles'])
        self._pool.subscribed(self._loop.now)

    def _look_at_addresses(self):
        """Warn of what cannot work: agents elsewhere that are told to dial themselves."""
        told, master = self._hub.address[0], self.driver.master or ''
        if _is_loopback(told) and not _is_loopback(master.rpartition(':')[0].strip('[]')):
            logger.warning('agents are told to dial %s, which only agents on this machine can: for those that %s has '
                           'elsewhere, configure host (or advertised_host)', told, master)

    def disconnected(self):
        """There is none any more."""
        self.online = Latch()
        self._pool.disconnected(self._loop.now)

    def offered(self, offers):
        """Offers came."""
        self._pool.offered(offers)

    def rescinded(self, offer_id):
        """An offer is gone."""
        self._pool.rescinded(offer_id)

    def updated(self, update):
        """A status update came."""
        job = self._placed.get(update.task_id)
        if job is not None:
            job.remote.updated(update.state)
        self._pool.updated(update, self._loop.now)

    def executor_lost(self, executor_id):
        """An executor's process has ended."""
        self._pool.executor_lost(executor_id, self._loop.now)

    def agent_lost(self, agent_id):
        """An agent is out of reach."""
        self._pool.agent_lost(agent_id, self._loop.now)

    def fail(self, message):
        """The driver has ended."""
        if self._failure is not None:
            return
        self._failure = 'the framework has ended: %s' % message
        self._pool.fail(self._make_failure)
        self._gone(self._failure)

    def _make_failure(self, has_begun):
        text = self._failure or 'the cluster was closed'
        return (TaskLost if has_begun else StartFailed)(text, message=text)

    def over(self):
        """The loop is about to end: nobody is left waiting."""
        self._is_over = self._is_closing = True
        self._take_submitted()
        for number, job in sorted(self._jobs.items()):
            self._end(number, None, self._make_failure(job.remote.pid is not None))

    def _lose_patience(self):
        if not self._has_subscribed:
            why = self.driver.why_not_subscribed
            self.fail('there was no subscription with %s within %g s%s' % (
                self._settings.shown_master, self._settings.master_timeout, why and ': %s' % why))
            self._touch()

    # ---- deciding

    def _touch(self):
        """Something has happened: decide, once the loop has done all that it has to do just now."""
        if not self._is_touched:
            self._is_touched = True
            self._loop.order(self._decide)

    def _decide(self):
        self._is_touched = False
        for order in self._pool.decide(self._loop.now):
            # Each by itself: should one fail for a fault of ours, the others are carried out.
            self._loop.order(partial(self._PERFORM[type(order).__name__], self, *order))
        if self._begun:                 # after them: a command may have ended as well
            self._loop.order(self._tell_begun)
        when = self._pool.next()
        if self._timer is not None and (when is None or not self._timer.is_pending or when < self._timer.when):
            self._timer.cancel()
            self._timer = None
        if when is not None and self._timer is None:
            self._timer = self._loop.call_at(when, self._touch)

    # ---- calls

    def _call(self, build, *args):
        """A call whose failure changes nothing: what it was for is asked again, or follows from what comes then."""
        self.driver.order(build, args, partial(_note, build.__name__.upper()), is_forgotten=True)

    def _accept(self, serial, agent_id, offer_ids, launches):
        try:
            tasks = [self._make_task(launch, agent_id) for launch in launches]
        except Exception as error:      # a fault of ours: neither the offers nor who waits may be forgotten
            self._accepted(serial, UsageError('cannot make a task: %s' % (error,)))
            raise
        logger.debug('%d tasks are launched on agent %s', len(tasks), agent_id)
        arguments = _ids(offer_ids), [calls.launch(tasks)], {'refuse_seconds': 0.0}
        self.driver.order(calls.accept, arguments, partial(self.tell, self._accepted, serial))

    def _make_task(self, launch, agent_id):
        job = self._jobs[launch.number]
        session = self._expect(launch.task_id)
        ticket = infos.make_ticket(self._hub.address, session.identity, session.key, job.request.preexec)
        task = infos.make_task(launch, job.kind, job.request, job.spec, ticket)
        self._placed.pop(job.task_id, None)
        self._placed[launch.task_id] = job
        job.task_id = launch.task_id
        job.remote.placed(launch.task_id, agent_id)
        return task

    def _accepted(self, serial, error):
        if error is not None:
            logger.warning('ACCEPT came to nothing: %s', error)
        self._pool.accepted(serial, error, self._loop.now, isinstance(error, UsageError) or _is_refusal(error))

    def _set_roles(self, roles, suppressed):
        framework = dict(self.driver.framework, roles=list(roles))
        self.driver.order_update(framework, list(suppressed), partial(self.tell, self._roles_set, roles))

    def _roles_set(self, roles, error):
        self._pool.roles_set(roles, error, self._loop.now, _is_refusal(error))

    def _ask_agents(self):
        thread = threading.Thread(target=self._ask, name='pymesos-subprocess-agents')
        thread.daemon = True
        try:
            thread.start()
        except RuntimeError as error:   # the interpreter is ending
            logger.debug('the master is not asked for its agents: %s', error)

    def _ask(self):
        """On a thread of its own: what the master's agents have."""
        settings = self._settings
        address = self.driver.master or ''
        if settings.master.startswith('https://'):
            address = 'https://' + address
        try:
            operator = MesosOperatorMasterDriver(address, principal=settings.principal, secret=settings.secret,
                                                 tls=settings.tls)
            try:
                found = _capacities(operator.getAgents())
            finally:
                operator.close()
        except MesosError as error:
            level = logging.DEBUG if self._has_complained else logging.WARNING
            self._has_complained = True
            logger.log(level, '%s does not tell what its agents have, so that a command that none can hold waits: %s',
                       address, error)
            found = None
        self.tell(self._told_of_agents, found)

    def _told_of_agents(self, found):
        self._pool.told_of_agents(found, self._loop.now)

    # ---- sessions

    def _is_linked(self, task_id):
        session = self._sessions.get(task_id)
        return session is not None and session.is_connected

    def _expect(self, task_id):
        secret = os.urandom(protocol.IDENTITY_SIZE + protocol.KEY_SIZE)
        session = Session(self._loop, secret[:protocol.IDENTITY_SIZE], secret[protocol.IDENTITY_SIZE:])
        pool = self._pool
        session.on_connected = lambda _session: self._told(pool.connected, (task_id, self._loop.now))
        session.on_not_started = lambda message: self._told(
            pool.not_started, (task_id, remote_error(message), self._loop.now))
        session.on_exited = lambda returncode: self._told(pool.exited, (task_id, returncode, self._loop.now))
        session.on_broken = lambda error: self._broken(task_id, session)
        session.on_settled = lambda: self._told(pool.settled, (task_id, self._loop.now))
        self._sessions[task_id] = session
        self._hub.expect(session)
        forget = session.on_closed

        def closed(_session):
            forget(session)
            if self._sessions.get(task_id) is session:
                del self._sessions[task_id]
                self._told(pool.settled, (task_id, self._loop.now))

        session.on_closed = closed
        return session

    def _broken(self, task_id, session):
        session.close()
        self._told(self._pool.broken, (task_id, self._loop.now))

    def _start(self, task_id, number):
        job, session = self._jobs[number], self._sessions[task_id]
        session.on_started = partial(self._started, task_id, job)
        streams, job.streams = job.streams, []
        try:
            for channel, stream in zip((protocol.STDIN, protocol.STDOUT, protocol.STDERR), streams):
                if stream is not None:
                    is_wanted = stream.kind != INHERITED or job.wants_input
                    session.attach(channel, stream.descriptor, stream.kind, is_wanted)
            session.start(job.spec)
        except socket_errors + (MesosError, ValueError) as error:     # a descriptor that cannot be waited for; too long
            session.close()
            self._told(self._pool.not_started, (task_id, error, self._loop.now))

    def _started(self, task_id, job, pid, hostname):
        job.remote.started(pid, hostname)
        self._begun.append(job.remote)
        self._told(self._pool.started, (task_id,))

    def _tell_begun(self):
        begun, self._begun = self._begun, []
        for remote in begun:
            remote.tell_begun()

    def _signal(self, task_id, signal):
        session = self._sessions.get(task_id)
        if session is not None:
            session.signal(signal)

    def _drop(self, task_id):
        session = self._sessions.get(task_id)
        if session is not None:
            session.close()

    # ---- the end

    def _end(self, number, returncode, error):
        job = self._jobs.pop(number)
        self._placed.pop(job.task_id, None)
        for stream in job.streams:
            if stream is not None:
                os.close(stream.descriptor)
        job.streams = []
        job.remote.end(returncode, error)
        self._look_whether_idle()

    def _look_whether_idle(self):
        if self._is_closing and not self._jobs:
            self.idle.set()

    _PERFORM = {
        'Accept': _accept,
        'AskAgents': _ask_agents,
        'Decline': lambda self, offer_ids, seconds: self._call(
            calls.decline, _ids(offer_ids), {'refuse_seconds': seconds}),
        'Drop': _drop,
        'End': _end,
        'Kill': lambda self, task_id, agent_id: self._call(
            calls.kill, {'value': task_id}, agent_id and {'value': agent_id}),
        'Reconcile': lambda self, tasks: self._call(calls.reconcile, [
            {'task_id': {'value': task_id}, 'agent_id': {'value': agent_id}} for task_id, agent_id in tasks]),
        'Revive': lambda self, role: self._call(calls.revive, [role]),
        'SetRoles': _set_roles,
        'Shutdown': lambda self, executor_id, agent_id: self._call(
            calls.shutdown, {'value': executor_id}, {'value': agent_id}),
        'Signal': _signal,
        'Start': _start,
        'Suppress': lambda self, role: self._call(calls.suppress, [role]),
    }


def _is_loopback(host):
    return host in ('localhost', '::1') or host.startswith('127.')


def _is_refusal(error):
    """Whether the master does not want what a call asked for, whenever it is asked."""
    return isinstance(error, CallRejected) and not is_about_subscription(error)


def _ids(values):
    return [{'value': value} for value in values]


def _note(name, error):
    if error is not None:
        # Without a subscription it is past help, and what it was for is seen to after the next.
        level = logging.DEBUG if isinstance(error, (ConnectionFailed, Stopped)) else logging.WARNING
        logger.log(level, '%s came to nothing: %s', name, error)


def _capacities(answer):
    """The :class:`Capacity` of each agent in the answer to GET_AGENTS; None if some are still to come back."""
    found = dict_in(answer or {}, 'get_agents')
    if found.get('recovered_agents'):
        return None
    capacities = []
    for agent in list_in(found, 'agents'):
        info = dict_in(agent, 'agent_info')
        capacities.append(Capacity(info.get('hostname') or '', info.get('attributes') or [],
                                   Resources(agent.get('total_resources') or info.get('resources') or ())))
    return capacities

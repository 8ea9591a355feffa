"""LocalCluster: masters and agents inside this process, to be started, stopped and broken on purpose."""
from __future__ import absolute_import, division, print_function

import logging
import os
import random
import shutil
import socket
import tempfile
import threading
import time

import six

from .._compat import monotonic, socket_errors
from ..errors import UsageError
from ..serving.loop import Loop
from .access import Access
from .launcher import Launcher
from .machine import agent_attributes, agent_resources
from .model.world import World
from .network import Network
from .node import AgentNode, MasterNode
from .options import AgentOptions, MasterOptions

__all__ = ['LocalAgent', 'LocalCluster']

#: Addresses from which nobody but this machine can be reached.
LOOPBACK = ('127.0.0.1', '::1', 'localhost')

#: Addresses to listen on that nobody can connect to from elsewhere, and what is said in their place.
EVERYWHERE = {'0.0.0.0': '127.0.0.1', '::': '::1'}

#: Seconds that start() waits for all agents to be registered: far above what it needs.
START_TIMEOUT = 60.0

NOT_STARTED = 'the embedded cluster is not started: call start(), or write `with LocalCluster() as cluster:`'

logger = logging.getLogger(__name__)


class LocalAgent(object):
    """One agent of a :class:`LocalCluster`: `number` (from 0), and what it has."""

    def __init__(self, node, number):
        self._node = node
        self.number = number

    @property
    def id(self):
        """Its id (text), None before it is registered."""
        model = self._node.model
        return None if model is None else model.agent_id

    @property
    def address(self):
        """``host:port`` of its API; None for a simulated agent, which has none."""
        return None if self._node.options.simulated_seconds is not None else self._node.address

    @property
    def pid(self):
        """``slave(1)@host:port``."""
        return self._node.pid

    @property
    def work_dir(self):
        """The folder of its sandboxes."""
        return self._node.options.work_dir

    @property
    def is_up(self):
        """Whether it was not killed."""
        return self._node.is_up

    def sandboxes(self):
        """The paths of all sandboxes of its executors, the oldest first; they stay until the cluster is closed."""
        found = []
        for folder, folders, _files in os.walk(self.work_dir or ''):
            if os.path.basename(folder) == 'runs':
                # "latest", and what it is made of, which may be gone again by now, are no sandboxes.
                found += [os.path.join(folder, name) for name in folders if name != 'latest' and name[0] != '.']
                folders[:] = []
        return sorted(found, key=lambda path: os.stat(path).st_mtime)

    def __repr__(self):
        return '<LocalAgent %d %s%s>' % (self.number, self.pid, '' if self.is_up else ' down')


class _Machinery(object):
    """What the nodes of one cluster share; for the loop's thread."""

    def __init__(self, host, access, loop):
        self.host = host
        self.access = access
        self.loop = loop
        self.network = Network(loop)
        self.launcher = Launcher(loop)
        self.world = World(time.time, monotonic, random.SystemRandom())


class LocalCluster(object):
    """An embedded Mesos cluster: a master and agents in this process, on loopback, with real executor processes.

    ::

        with LocalCluster(agents=2, resources='cpus:4;mem:4096') as cluster:
            driver = MesosSchedulerDriver(scheduler, framework, cluster.master)

    It speaks the same v1 HTTP APIs as Mesos 1.11 and behaves like it; what differs is told in
    docs/local_differences.rst. All its work is done on one thread, executors are children of one small process of its
    own, which kills them when this process ends, however it ends. Methods are for any thread but the cluster's own; a
    cluster can be started once. In a process that was forked from this one :meth:`close` does nothing, and methods that
    steer the cluster raise :class:`pymesos.errors.UsageError`; frameworks may use its address there.

    - `agents`: how many
    - `resources`: of each agent: text such as ``'cpus:4;mem:4096'``, a list of Resource dicts, or a list with one of
      these for each agent. What is not named of cpus, mem, disk and ports is this machine's (agents share out ports
      31000-32000)
    - `attributes`: of each agent: text such as ``'rack:a;level:10'``, or a list with one text for each agent
    - `roles`: the only roles that frameworks may use; None: any. `weights`: {role: weight}
    - `credentials`: {principal: secret}. If given, every client has to authenticate itself, executors with a token
      that they are given
    - `work_dir`: folder for sandboxes and logs, made if it is missing and kept; None: a temporary one, removed by
      :meth:`close`
    - `port`: of the (first) master; 0: a free one. `host`: the address to listen on, loopback unless told otherwise:
      others demand `credentials`. `hostname`: what is told to clients, if not `host`
    - `masters`: how many; one leads, the others redirect to it
    - `simulated`: None for real executors; a number makes agents that start no process and say of every task that it
      runs, and after so many seconds that it has finished. For clusters of a thousand agents
    - `ssl_context`: an :class:`ssl.SSLContext` for servers: all APIs speak https
    - `master_options`, `agent_options`: more settings, as {name: value} of
      :class:`pymesos.local.options.MasterOptions` and :class:`~pymesos.local.options.AgentOptions`: intervals, timeouts

    Raises :class:`pymesos.errors.UsageError` for settings that cannot be, :class:`OSError` for a port that is taken.
    """

    def __init__(self, agents=1, resources=None, attributes=None, roles=None, credentials=None, work_dir=None, port=0,
                 host='127.0.0.1', hostname=None, masters=1, weights=None, simulated=None, ssl_context=None,
                 master_options=None, agent_options=None):
        _check(agents, masters, host, port, roles, credentials)
        _check_all_ask(host, master_options, agent_options)
        #: The folder of sandboxes and logs.
        self.work_dir = os.path.abspath(work_dir) if work_dir else None
        self._is_own_folder = not work_dir
        self._credentials = dict(credentials or {})
        self._ssl_context = ssl_context
        self._host, self._ip = host, _resolve(host)
        self._hostname = hostname or (socket.getfqdn() if host in EVERYWHERE else host)
        self._settings = (agents, resources, attributes, simulated)
        self._shared = self._server_settings()
        self._agent_options = dict(agent_options or {})
        master_options = dict(self._shared, roles=roles, weights=dict(weights or {}), **(master_options or {}))
        if self._credentials:
            master_options.setdefault('authenticate_frameworks', True)
        self._master_options = [MasterOptions(**dict(master_options, port=port if number == 0 else 0))
                                for number in range(masters)]
        self._lock = threading.Lock()       # guards _state
        self._state = 'new'
        self._process = os.getpid()
        self._registry = None
        self._loop = self._machinery = None
        self._masters, self._agents = [], []
        #: :class:`LocalAgent` of each agent.
        self.agents = []

    # ---- life

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc_info):
        self.close()

    def start(self):
        """Start all; returns the cluster when every agent is registered with the master.

        Raises :class:`pymesos.errors.UsageError` the second time, :class:`OSError` if it cannot listen or make folders.
        """
        with self._lock:
            if self._state != 'new':
                raise UsageError('a LocalCluster can be started once; make another one')
            self._state, self._process = 'up', os.getpid()
        try:
            self._start()
        except Exception:
            self.close()
            raise
        logger.info('an embedded cluster of %d agents is up: master %s, sandboxes in %s', len(self._agents),
                    self.master, self.work_dir)
        return self

    def close(self):
        """Kill all executors and end all; twice is fine. Nothing of it is left, unless `work_dir` was given.

        Does nothing in a process that was forked from the one which started the cluster: there it lives on.
        """
        if self._process != os.getpid():
            return
        with self._lock:
            was, self._state = self._state, 'closed'
        if was != 'up':
            return
        if self._machinery is not None:
            self._loop.carry_out(self._halt_all)
            self._machinery.launcher.join()
        if self._loop is not None:
            self._loop.stop()
        if self._is_own_folder and self.work_dir:
            shutil.rmtree(self.work_dir, ignore_errors=True)

    @property
    def is_running(self):
        """Whether it was started and not closed."""
        return self._state == 'up'

    # ---- what it has

    @property
    def master(self):
        """``host:port`` of the master that leads; of the first one if none does."""
        return self._leader_or_first().address

    @property
    def masters(self):
        """``host:port`` of every master."""
        return [node.address for node in self._masters]

    def __repr__(self):
        if self._state == 'up' and self._masters:
            return '<LocalCluster %s>' % self.master
        return '<LocalCluster %s>' % ('closed' if self._state == 'closed' else 'not started')

    # ---- faults on demand

    def kill_master(self, number=None):
        """Kill a master as kill -9 does (None: the one that leads). If it led and another one is up, that one leads."""
        self._check_up()
        self._loop.carry_out(lambda: self._kill_master(number))

    def start_master(self, number=None, forget=False):
        """Start a master that was killed, on its old port (None: the first that is down); leads if nobody does.

        With `forget` it leads without what the last leader wrote into the registry, as Mesos does whose registry is in
        memory: no agent is known before it has registered again. Raises UsageError if another master leads.
        """
        self._check_up()
        self._loop.carry_out(lambda: self._start_master(number, forget))

    def kill_agent(self, number=0):
        """Kill an agent as kill -9 does. Its executors stay."""
        node = self._agent(number)
        if not node.is_up:
            raise UsageError('agent %d is down already' % number)
        self._loop.carry_out(node.halt)

    def stop_agent(self, number=0):
        """Stop an agent as SIGUSR1 does: it says farewell to the master, kills its executors, and ends.

        Returns when it has; an executor may take ``executor_shutdown_grace_period`` seconds for its end.
        """
        node = self._agent(number)
        if not node.is_up:
            raise UsageError('agent %d is down already' % number)
        self._loop.carry_out(node.leave).wait()

    def start_agent(self, number=0, wiped=False):
        """Start an agent that is down, on its old port; it recovers the executors of checkpointing frameworks.

        With `wiped` it has lost all that it remembered: it registers as a new agent, the executors of the old one are
        killed, persistent volumes are gone. Sandboxes stay, to be looked at.
        """
        node = self._agent(number)
        if node.is_up:
            raise UsageError('agent %d is up already' % number)
        if wiped:
            node.wipe()
        self._loop.carry_out(node.start)

    def partition(self, number=0):
        """Lose every message between the master and an agent, until :meth:`heal`. Nobody is told: the master notices
        after ``agent_ping_timeout * max_agent_ping_timeouts`` seconds."""
        node = self._agent(number)
        self._loop.carry_out(lambda: self._machinery.network.cut(node.pid))

    def delay(self, seconds, number=0):
        """Deliver messages between the master and an agent `seconds` later than sent, until :meth:`heal`."""
        node = self._agent(number)
        self._loop.carry_out(lambda: self._machinery.network.delay(node.pid, seconds))

    def heal(self, number=None):
        """End :meth:`partition` and :meth:`delay` for an agent; None: for all."""
        nodes = self._agents if number is None else [self._agent(number)]
        self._check_up()

        def mend():
            for node in nodes:
                self._machinery.network.mend(node.pid)

        self._loop.carry_out(mend)

    def expire_framework(self, framework_id):
        """Remove a framework as if its failover timeout had passed. Raises UsageError if there is none with this id."""
        self._check_up()
        if not self._loop.carry_out(lambda: self._expire(framework_id)):
            raise UsageError('the master knows no framework %s' % framework_id)

    # ---- on the caller's thread

    def _server_settings(self):
        given = bool(self._credentials)
        return {'ip': self._ip, 'hostname': self._hostname, 'authenticate_readonly': given,
                'authenticate_readwrite': given}

    def _start(self):
        if self.work_dir is None:
            # The real path, as executors see it.
            self.work_dir = os.path.realpath(tempfile.mkdtemp(prefix='pymesos-local-'))
            # Executors may run as other users: they get through, but see no names.
            os.chmod(self.work_dir, 0o711)
        self._loop = Loop('pymesos-local', failed=_failed)
        self._loop.start()
        listened_on = self._host if self._host in EVERYWHERE else self._ip
        self._machinery = _Machinery(listened_on, Access(self._credentials, self._ssl_context), self._loop)
        registered = self._loop.carry_out(self._start_all)
        if not registered.wait(START_TIMEOUT):
            raise UsageError('the agents of the embedded cluster did not register within %d s' % START_TIMEOUT)

    def _options_of(self, number):
        count, resources, attributes, simulated = self._settings
        work_dir = os.path.join(self.work_dir, 'agents', str(number))
        options = dict(self._shared, work_dir=work_dir, is_tls=self._ssl_context is not None,
                       simulated_seconds=simulated, authenticate_executors=bool(self._credentials),
                       resources=agent_resources(_for_agent(resources, number, count), number, count, self.work_dir),
                       attributes=agent_attributes(_for_agent(attributes, number, count)))
        if self._credentials:
            access = self._machinery.access
            options['make_executor_token'] = lambda framework_id, executor_id, container: access.executor_token(
                {'fid': framework_id, 'eid': executor_id, 'cid': container})
        if simulated is None:
            if not os.path.isdir(work_dir):
                os.makedirs(work_dir)
        else:
            # They do not listen, and differ by their names.
            options.update(name='slave(%d)' % (number + 1), port=1)
        return AgentOptions(**dict(options, **self._agent_options))

    def _agent(self, number):
        self._check_up()
        if not 0 <= number < len(self._agents):
            raise UsageError('there is no agent %r: they are numbered from 0 to %d' % (number, len(self._agents) - 1))
        return self._agents[number]

    def _master(self, number):
        if not 0 <= number < len(self._masters):
            raise UsageError('there is no master %r: they are numbered from 0 to %d' % (number, len(self._masters) - 1))
        return self._masters[number]

    def _check_up(self):
        if self._state != 'up':
            raise UsageError('the embedded cluster was closed; make another one' if self._state == 'closed'
                             else NOT_STARTED)
        if self._process != os.getpid():
            raise UsageError('this process was forked from the one that started the embedded cluster; steer it there')

    def _leader_or_first(self):
        if not self._masters:
            raise UsageError(NOT_STARTED)
        return self._machinery.network.leader or self._masters[0]

    # ---- on the loop's thread

    def _start_all(self):
        self._machinery.launcher.start()
        if self._is_own_folder:
            self._machinery.launcher.remove_at_end(self.work_dir)
        for options in self._master_options:
            node = MasterNode(self._machinery, options)
            node.start()
            self._masters.append(node)
        self._elect()
        for number in range(self._settings[0]):
            node = AgentNode(self._machinery, self._options_of(number))
            self._agents.append(node)
            self.agents.append(LocalAgent(node, number))
            node.start()
        done = threading.Event()
        self._wait_for_agents(done)
        return done

    def _wait_for_agents(self, done):
        # An agent is registered when it has heard so; then it has its id.
        if all(node.model is not None and node.model.is_registered for node in self._agents):
            done.set()
        else:
            self._loop.call_later(0.002, lambda: self._wait_for_agents(done))

    def _halt_all(self):
        # Executors first: an agent that is still there would report their end.
        self._machinery.network.leader = None
        for node in self._agents + self._masters:
            if node.is_up:
                node.halt()
        self._machinery.launcher.stop()

    def _elect(self):
        for node in self._masters:
            if node.is_up:
                node.lead(self._registry)
                self._machinery.network.lead(node)
                return
        self._machinery.network.lead(None)

    def _kill_master(self, number):
        node = self._leader_or_first() if number is None else self._master(number)
        if not node.is_up:
            raise UsageError('master %s is down already' % node.address)
        is_leader = node is self._machinery.network.leader
        registry = node.halt()
        if is_leader:
            self._registry = registry
            self._elect()

    def _start_master(self, number, forget):
        down = [node for node in self._masters if not node.is_up]
        node = self._master(number) if number is not None else down and down[0]
        if not node or node.is_up:
            raise UsageError('no master is down' if not down else 'master %s is up already' % node.address)
        leader = self._machinery.network.leader
        if forget and leader is not None:
            raise UsageError('master %s leads, and has the registry' % leader.address)
        node.start()
        if forget:
            self._registry = None
        if leader is None:
            self._elect()

    def _expire(self, framework_id):
        leader = self._machinery.network.leader
        framework = leader and leader.model.frameworks.get(framework_id)
        if framework:
            leader.model.remove_framework(framework)
            leader.settle()
        return framework is not None


def _check_all_ask(host, *all_options):
    """Where others can come in every API asks who they are, whatever the settings say."""
    for options in all_options if host not in LOOPBACK else ():
        for name in sorted(options or ()):
            if name.startswith('authenticate_') and not options[name]:
                raise UsageError('%s cannot be turned off for a cluster that listens on %s' % (name, host))


def _check(agents, masters, host, port, roles, credentials):
    if host not in LOOPBACK and not credentials:
        raise UsageError('a cluster that listens on %s can be reached by others and runs commands for them: give '
                         'credentials={principal: secret}, or leave host alone for loopback' % host)
    for name, value in (('agents', agents), ('masters', masters), ('port', port)):
        if not isinstance(value, six.integer_types):
            raise UsageError('%s is a number, not %r' % (name, value))
    if agents < 0 or masters < 1:
        raise UsageError('a cluster has one master or more and no negative number of agents, not %r and %r'
                         % (masters, agents))
    if not 0 <= port <= 65535:
        raise UsageError('a port is a number from 1 to 65535, or 0 for a free one, not %d' % port)
    if isinstance(roles, six.string_types):
        raise UsageError('roles is a list of names, such as [%r], not text' % str(roles))


def _failed(_error):
    # On the loop's thread, which goes on: one thing that went wrong must not end the whole cluster.
    logger.exception('the embedded cluster failed at something')


def _resolve(host):
    """The IP address (text) of a host; UsageError if it has none."""
    name = socket.gethostname() if host in EVERYWHERE else host
    try:
        found = [info[4][0] for info in socket.getaddrinfo(name, None, 0, socket.SOCK_STREAM)
                 if info[0] in (socket.AF_INET, socket.AF_INET6)]
    except socket_errors as error:
        if host in EVERYWHERE:
            return EVERYWHERE[host]
        raise UsageError('cannot resolve the host %r that the cluster is to listen on: %s' % (host, error))
    # IPv4 first: it is what most clients of a name try.
    return sorted(found, key=lambda address: (':' in address) != (host == '::'))[0]


def _for_agent(given, number, count):
    """What agent `number` gets of something that is for all, or a list with one for each."""
    is_each = isinstance(given, (list, tuple)) and given and not isinstance(given[0], dict)
    if not is_each:
        return given
    if len(given) != count:
        raise UsageError('got a list of %d for %d agents: give one for each, or one for all' % (len(given), count))
    item = given[number]
    if not isinstance(item, (six.string_types, list, tuple)) and item is not None:
        raise UsageError('cannot use %r for an agent: expected text or a list' % (item,))
    return item

"""What the contract is tested on: the embedded cluster (``local``) and a real Mesos (``mesos``).

PYMESOS_CONTRACT names the target, or several with a comma between; without it, it is ``local``.
"""
from __future__ import absolute_import, division, print_function

import glob
import os
import shutil
import sys
from collections import namedtuple

import raw

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TESTS, 'mesos'))

import real_mesos  # noqa: E402  the path comes first

NAMES = ('local', 'mesos')

#: What an agent has, the same on both; the ranges of ports must not overlap on one host.
PORTS = 400
AGENT_RESOURCES = 'cpus:4;mem:4096;disk:10000;ports:[%d-%d]'

#: Settings that every cluster of the contract has. Intervals are short so that tests need not wait.
SETTINGS = {'allocation_interval': 0.1, 'executor_shutdown_grace_period': 2}

#: The flags of Mesos for settings (seconds, or text as it is): for the master, for the agent.
MASTER_FLAGS = {
    'allocation_interval': 'MESOS_ALLOCATION_INTERVAL',
    'agent_reregister_timeout': 'MESOS_AGENT_REREGISTER_TIMEOUT',
    'offer_timeout': 'MESOS_OFFER_TIMEOUT',
    'roles': 'MESOS_ROLES',
    'root_submissions': 'MESOS_ROOT_SUBMISSIONS',
    'max_completed_frameworks': 'MESOS_MAX_COMPLETED_FRAMEWORKS',
    'max_operator_subscribers': 'MESOS_MAX_OPERATOR_EVENT_STREAM_SUBSCRIBERS',
    'filter_gpu_resources': 'MESOS_FILTER_GPU_RESOURCES',
}
AGENT_FLAGS = {
    'executor_registration_timeout': 'MESOS_EXECUTOR_REGISTRATION_TIMEOUT',
    'executor_reregistration_timeout': 'MESOS_EXECUTOR_REREGISTRATION_TIMEOUT',
    'executor_shutdown_grace_period': 'MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD',
    'recovery_timeout': 'MESOS_RECOVERY_TIMEOUT',
    'heartbeat_interval': 'MESOS_HTTP_HEARTBEAT_INTERVAL',
}

Agent = namedtuple('Agent', ['address', 'id', 'work_dir'])


def chosen():
    """The names of the targets to test."""
    names = [name.strip() for name in (os.environ.get('PYMESOS_CONTRACT') or 'local').split(',')]
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        raise ValueError('PYMESOS_CONTRACT names %s; there are: %s' % (', '.join(unknown), ', '.join(NAMES)))
    return names


def default_resources(agents):
    """What each of so many agents has."""
    first = [31000 + n * PORTS for n in range(agents)]
    return [AGENT_RESOURCES % (port, port + PORTS - 1) for port in first]


def default_attributes(agents):
    """``rack:a`` on the first agent, ``rack:b`` on the second; the first has a number, the second a range as well."""
    return ['rack:%s;zone:%s' % ('abcdefgh'[n], '1' if n % 2 == 0 else '[1-3]') for n in range(agents)]


class Target(object):
    """A cluster that can be broken. Keywords: the number of `agents`, their `resources` and `attributes` (lists of
    text in the form of Mesos' flags), `auth` (``'principal:secret'``), `executor_env` (dict), `is_durable` (whether the
    master's registry outlives it), `agent_ping_timeout`, `max_agent_ping_timeouts` and what the tables name.
    """

    name = None

    def __init__(self, agents=2, resources=None, attributes=None, auth=None, executor_env=None, is_durable=False,
                 agent_ping_timeout=15, max_agent_ping_timeouts=5, **settings):
        self.count = agents
        self.resources = resources or default_resources(agents)
        self.attributes = default_attributes(agents) if attributes is None else attributes
        self.auth = auth
        self.executor_env = executor_env
        self.is_durable = is_durable
        self.ping = (agent_ping_timeout, max_agent_ping_timeouts)
        self.settings = dict(SETTINGS, **settings)
        unknown = set(self.settings) - set(MASTER_FLAGS) - set(AGENT_FLAGS)
        if unknown:
            raise TypeError('no such settings: %s' % ', '.join(sorted(unknown)))

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc_info):
        self.stop()

    @property
    def authorization(self):
        """The header that calls need, if any."""
        return raw.credentials(self.auth) if self.auth else {}

    def operator(self, kind, address=None):
        """The payload of an answer to an operator call."""
        reply = raw.post(address or self.master, raw.OPERATOR, {'type': kind}, self.authorization)
        return reply.json()[kind.lower()]

    def sandbox_errors(self, limit=2000):
        """The ends of what executors wrote to their stderr."""
        texts = []
        for agent in self.agents:
            for path in glob.glob(os.path.join(agent.work_dir, 'slaves/*/frameworks/*/executors/*/runs/latest/stderr')):
                with open(path, 'rb') as stream:
                    text = stream.read()[-limit:].decode('utf-8', 'replace')
                texts += ['---- %s' % path, text] if text else []
        return '\n'.join(texts)

    def wait_for_agents(self):
        """Wait until the master counts all agents as active."""
        def are_active():
            agents = self.operator('GET_AGENTS').get('agents', [])
            return sum(1 for agent in agents if agent.get('active')) >= self.count
        raw.wait_until(are_active, 'the agents to register')


class RealTarget(Target):
    """Mesos 1.11 of ../shared/mesos."""

    name = 'mesos'

    def start(self):
        self.cluster = real_mesos.RealMesos(
            agents=self.count, resources=self.resources, attributes=self.attributes, auth=self.auth,
            master_env=self._flags(MASTER_FLAGS), agent_env=self._flags(AGENT_FLAGS), executor_env=self.executor_env,
            ping='%gsecs,%d' % self.ping, registry='replicated_log' if self.is_durable else 'in_memory').start()
        self.master = self.cluster.master
        self.look_again()
        return self

    def stop(self):
        self.cluster.stop()

    def _flags(self, table):
        return {flag: self._text(name) for name, flag in table.items() if name in self.settings}

    def _text(self, name):
        value = self.settings[name]
        if isinstance(value, bool):
            return 'true' if value else 'false'
        return '%gsecs' % value if name.endswith(('_timeout', '_interval', '_period')) else str(value)

    def _agent(self, n):
        address = self.cluster.agent(n + 1)

        def state_with_id():
            state = raw.get(address, '/state', self.authorization).json()
            return state['id'] and state

        state = raw.wait_until(state_with_id, 'agent %d to have an id' % n)
        return Agent(address, state['id'], state['flags']['work_dir'])

    def kill_master(self):
        self.cluster.kill_master()

    def start_master(self):
        """Start it again; returns when it leads."""
        self.cluster.start_master()

    def kill_agent(self, n):
        """End an agent's process at once; its executors stay."""
        self.cluster.kill_agent(n + 1)

    def look_again(self):
        """Take note of the agents' ids anew."""
        self.agents = [self._agent(n) for n in range(self.count)]

    def wipe_agent(self, n):
        """Take from an agent that is down all that it remembers."""
        shutil.rmtree(self.agents[n].work_dir)

    def unregister_agent(self, n):
        """End an agent that says farewell."""
        self.cluster.kill_agent(n + 1, 'USR1')

    def start_agent(self, n, is_awaited=True):
        """Start an agent again; returns when the master has it."""
        self.cluster.start_agent(n + 1, is_awaited)

    def log(self):
        return self.cluster.log_tail(2000)


class LocalTarget(Target):
    """The embedded cluster of this library."""

    name = 'local'

    def __init__(self, masters=1, ssl_context=None, executor_heartbeat_interval=None, **options):
        super(LocalTarget, self).__init__(**options)
        self.masters = masters
        self.ssl_context = ssl_context
        self._wiped = set()         # the agents that begin anew when they are started
        self.agent_options = {name: self.settings[name] for name in AGENT_FLAGS if name in self.settings}
        if executor_heartbeat_interval is not None:
            self.agent_options['executor_heartbeat_interval'] = executor_heartbeat_interval
        if self.executor_env is not None:
            self.agent_options['executor_environment_variables'] = self.executor_env

    def start(self):
        from pymesos.local import LocalCluster

        master_options = {name: self.settings[name] for name in MASTER_FLAGS if name in self.settings}
        roles = master_options.pop('roles', None)
        master_options.update(zip(('agent_ping_timeout', 'max_agent_ping_timeouts'), self.ping))
        self.cluster = LocalCluster(
            agents=self.count, resources=self.resources, attributes=self.attributes or None, masters=self.masters,
            roles=roles and roles.split(','), credentials=dict([self.auth.split(':')]) if self.auth else None,
            ssl_context=self.ssl_context, master_options=master_options, agent_options=self.agent_options).start()
        self.master = self.cluster.master
        self.look_again()
        return self

    def stop(self):
        self.cluster.close()

    def look_again(self):
        """Take note of the agents' ids anew."""
        raw.wait_until(lambda: all(agent.id for agent in self.cluster.agents), 'the agents to have ids')
        self.agents = [Agent(agent.address, agent.id, agent.work_dir) for agent in self.cluster.agents]

    def followers(self):
        """The addresses of the masters that do not lead."""
        return [address for address in self.cluster.masters if address != self.cluster.master]

    def kill_master(self):
        self.cluster.kill_master()

    def start_master(self):
        self.cluster.start_master(forget=not self.is_durable)

    def kill_agent(self, n):
        self.cluster.kill_agent(n)

    def wipe_agent(self, n):
        self._wiped.add(n)

    def unregister_agent(self, n):
        self.cluster.stop_agent(n)

    def start_agent(self, n, is_awaited=True):
        self.cluster.start_agent(n, wiped=n in self._wiped)
        self._wiped.discard(n)
        if is_awaited:
            pid = self.cluster.agents[n].pid
            raw.wait_until(lambda: any(agent['pid'] == pid and agent.get('active') for agent in
                                       self.operator('GET_AGENTS').get('agents', [])), 'the agent to register')

    def log(self):
        return ''


def make(name, **options):
    """A target, not yet started."""
    return {'local': LocalTarget, 'mesos': RealTarget}[name](**options)

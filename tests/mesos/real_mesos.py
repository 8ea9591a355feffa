"""A real Mesos 1.11 for tests: a master and its agents, each its own process, on free ports of the loopback.

It drives ``start.py`` of the folder ``../shared/mesos`` beside the repository (or ``$PYMESOS_SHARED/mesos``),
which needs Python 3.7; this module itself runs on every Python that the library runs on.
"""
from __future__ import absolute_import, division, print_function

import atexit
import base64
import errno
import fcntl
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

from six.moves import http_client

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

#: Master and agents take one block of ports. All lie below the range that the kernel takes for outgoing
#: connections (32768 and up) and below the `ports` resources that the agents offer (31000 and up).
FIRST_PORT, LAST_PORT, BLOCK_PORTS = 12000, 28000, 16

#: Where an agent's ranges of `ports` resources begin, and how many each has: they must not overlap on one host.
FIRST_RESOURCE_PORT, RESOURCE_PORTS = 31000, 400

#: Seconds that one command of start.py may take; it builds from nothing in about 10.
COMMAND_DEADLINE = 180

LOG_TAIL_BYTES = 6000

_lock = threading.Lock()            # guards _running
_running = []
_pythons = []                       # what find_python3 has found


class MesosMissing(Exception):
    """The real Mesos cannot be started here; the text says what is missing."""


def start_script():
    """The path of start.py; :class:`MesosMissing` if there is none."""
    shared = os.environ.get('PYMESOS_SHARED') or os.path.join(os.path.dirname(REPOSITORY), 'shared')
    script = os.path.join(shared, 'mesos', 'start.py')
    if not os.path.exists(script):
        raise MesosMissing(
            'the real Mesos for the tests is missing: no %s. Put the folder shared/ beside the repository, or name '
            'it in PYMESOS_SHARED, or set PYMESOS_NO_MESOS=1 to skip what needs it.' % script)
    return script


def home():
    """The folder in which start.py builds and keeps its clusters."""
    cache = os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')
    return os.path.realpath(os.environ.get('MESOS_REAL_HOME') or os.path.join(cache, 'mesos-real'))


def find_python3():
    """A CPython that start.py runs with: this one, or one on the PATH.

    Not PyPy: start.py leaves it to the reference counter to close, and so to write, its files.
    """
    if _pythons:
        return _pythons[0]
    check = 'import platform, sys; sys.exit(sys.version_info < (3, 7) or platform.python_implementation() != "CPython")'
    folders = os.environ.get('PATH', os.defpath).split(os.pathsep) + ['/usr/bin', '/usr/local/bin']
    names = ['python3'] + ['python3.%d' % minor for minor in range(20, 6, -1)]
    with open(os.devnull, 'r+b') as null:
        for path in [sys.executable] + [os.path.join(folder, name) for name in names for folder in folders]:
            if path and os.access(path, os.X_OK):
                if subprocess.call([path, '-c', check], stdin=null, stdout=null, stderr=null, close_fds=True) == 0:
                    _pythons.append(path)
                    return path
    raise MesosMissing('no Python 3.7 or later on the PATH: start.py of the real Mesos needs one')


def running():
    """The clusters that this process has started and not stopped."""
    with _lock:
        return [cluster for cluster in _running if cluster.owner == os.getpid()]


def default_resources(agents):
    """What each agent has, with disjoint ranges of ports."""
    first = [FIRST_RESOURCE_PORT + n * RESOURCE_PORTS for n in range(agents)]
    return ['cpus:4;mem:4096;disk:10000;ports:[%d-%d]' % (port, port + RESOURCE_PORTS - 1) for port in first]


class RealMesos(object):
    """A master and agents; a context manager that starts and always stops them.

    `agents` is their number; `resources` one text for all agents or a list with one for each; `attributes` the same;
    `auth` ``'principal:secret'`` switches basic authentication on, for `auth_for` (``'frameworks,operator'``);
    `env`, `master_env` and `agent_env` are dicts of Mesos flags (``{'MESOS_FLAG': 'value'}``); `executor_env` a dict
    of the environment of all executors (they inherit nothing but PATH); `ping` the master's agent_ping_timeout and
    max_agent_ping_timeouts; `registry` ``'in_memory'`` or ``'replicated_log'`` (a master that is started again
    remembers its agents only with the latter).
    """

    def __init__(self, agents=1, resources=None, attributes=None, auth=None, auth_for=None, env=None,
                 master_env=None, agent_env=None, executor_env=None, ping='15secs,5', registry='in_memory'):
        self.agents = agents
        self.auth = auth
        self.owner = os.getpid()
        self.port = None
        self._block = None
        agent_env = dict(agent_env or {})
        if executor_env is not None:
            agent_env['MESOS_EXECUTOR_ENVIRONMENT_VARIABLES'] = json.dumps(executor_env)
        if os.geteuid() != 0:
            agent_env.setdefault('MESOS_SWITCH_USER', 'false')
        self._options = ['--agents', str(agents), '--ping', ping, '--registry', registry]
        for text in _as_list(default_resources(agents) if resources is None else resources):
            self._options += ['--resources', text]
        for text in _as_list(attributes or []):
            self._options += ['--attributes', text]
        if auth:
            self._options += ['--auth', auth] + (['--auth-for', auth_for] if auth_for else [])
        for option, flags in (('--env', env), ('--master-env', master_env), ('--agent-env', agent_env)):
            for name in sorted(flags or {}):
                self._options += [option, '%s=%s' % (name, flags[name])]

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc_info):
        self.stop()

    def __repr__(self):
        return '<RealMesos %s with %d agents>' % (self.master if self.port else 'stopped', self.agents)

    # ------------------------------------------------------------ life

    def start(self):
        """Start master and agents, wait until the agents are registered; returns self."""
        start_script()
        find_python3()
        _stop_orphans()
        for _ in range(5):
            self._block = _Block.reserve(self.agents + 1)
            self.port = self._block.port
            try:
                status, text = _run(['start', '--port', str(self.port)] + self._options)
            except BaseException:       # KeyboardInterrupt
                self._release()
                raise
            if status == 0:
                with _lock:
                    _running.append(self)
                return self
            tail = self.log_tail()
            self._release()
            if 'Address already in use' not in text:
                break
        raise RuntimeError('the real Mesos did not start: %s\n%s' % (text, tail))

    def stop(self):
        """Stop all its processes, executors too, and remove its files. Twice is fine."""
        with _lock:
            if self not in _running:
                return
            _running.remove(self)
        self._release()

    def _release(self):
        _run(['stop', '--port', str(self.port)])
        shutil.rmtree(self.folder, ignore_errors=True)
        self._block.release()
        self.port = None

    def _do(self, command, *options):
        status, text = _run([command, '--port', str(self.port)] + list(options))
        if status != 0:
            raise RuntimeError('%s of the real Mesos failed: %s\n%s' % (command, text, self.log_tail()))

    def kill_master(self, signal='KILL'):
        """Kill the master; returns when its process is gone."""
        self._do('kill-master', '--signal', signal)

    def start_master(self):
        """Start the master again on its port; returns when it leads, before the agents have re-registered."""
        self._do('start-master')

    def kill_agent(self, n=1, signal='KILL'):
        """Kill agent `n` (1 ..) with KILL, TERM or USR1 (which unregisters it); its executors stay."""
        self._do('kill-agent', '--agent', str(n), '--signal', signal)

    def start_agent(self, n=1, is_awaited=True):
        """Start agent `n` again; returns when the master has (re-)registered it."""
        self._do('start-agent', '--agent', str(n))
        if not is_awaited:
            return
        try:
            self.wait_for(lambda: self.is_registered(n), 'agent %d to register' % n)
        except AssertionError:
            # Seen once, on a busy machine: the new process had not written a line to its log.
            self._do('restart-agent', '--agent', str(n))
            self.wait_for(lambda: self.is_registered(n), 'agent %d to register' % n)

    # ------------------------------------------------------------ looking at it

    @property
    def master(self):
        """``127.0.0.1:port`` of the master."""
        return '127.0.0.1:%d' % self.port

    def agent(self, n=1):
        """``127.0.0.1:port`` of agent `n` (1 ..)."""
        return '127.0.0.1:%d' % (self.port + n)

    @property
    def folder(self):
        """Where the logs (master.log, agent1.log ...) and the agents' work folders are."""
        return os.path.join(home(), 'clusters', str(self.port))

    def call(self, body, agent=None):
        """The answer (dict, ``{}`` if empty) to an operator call, by no code of the library."""
        address = self.master if agent is None else self.agent(agent)
        return self._http('POST', address, '/api/v1', json.dumps(body))

    def get(self, path, agent=None):
        """The answer (dict) of an endpoint such as ``/state``."""
        return self._http('GET', self.master if agent is None else self.agent(agent), path)

    def _http(self, method, address, path, body=None):
        connection = http_client.HTTPConnection(address, timeout=30)
        headers = {'Content-Type': 'application/json', 'Accept': 'application/json'}
        if self.auth:
            headers['Authorization'] = 'Basic ' + base64.b64encode(self.auth.encode()).decode()
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            data = response.read()
        finally:
            connection.close()
        if not 200 <= response.status < 300:
            raise RuntimeError('%s %s of %s: %d %r' % (method, path, address, response.status, data[:200]))
        return json.loads(data.decode('utf-8')) if data else {}

    def is_registered(self, n=1):
        """Whether agent `n` considers itself registered with the master."""
        try:
            return self.get('/metrics/snapshot', agent=n).get('slave/registered') == 1.0
        except (EnvironmentError, http_client.HTTPException, RuntimeError):
            return False

    def wait_for(self, question, what, deadline=60):
        """Ask `question()` until it is true, at most `deadline` seconds; returns its answer."""
        end = time.time() + deadline
        while True:
            answer = question()
            if answer:
                return answer
            if time.time() > end:
                raise AssertionError('waited %d s for %s\n%s' % (deadline, what, self.log_tail()))
            time.sleep(0.05)

    def log_tail(self, limit=LOG_TAIL_BYTES):
        """The ends of the logs of master and agents."""
        parts = []
        for name in ['master'] + ['agent%d' % n for n in range(1, self.agents + 1)]:
            try:
                with open(os.path.join(self.folder, name + '.log'), 'rb') as log:
                    log.seek(0, os.SEEK_END)
                    log.seek(max(0, log.tell() - limit))
                    parts.append('---- end of %s.log\n%s' % (name, log.read().decode('utf-8', 'replace')))
            except EnvironmentError:
                continue
        return '\n'.join(parts)


class _Block(object):
    """A block of ports that no other test process takes: a lock on a file, kept as long as the cluster runs.

    The file holds the port while a cluster may be alive, so that the next run finds the clusters of a
    process that was killed.
    """

    def __init__(self, path, port, descriptor):
        self.path, self.port, self.descriptor = path, port, descriptor

    @classmethod
    def take(cls, path, port):
        """The block, or None if another process has it."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.fcntl(descriptor, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except EnvironmentError:
            os.close(descriptor)
            return None
        return cls(path, port, descriptor)

    @classmethod
    def reserve(cls, size):
        """A block whose first `size` ports are free."""
        ports = list(range(FIRST_PORT, LAST_PORT, BLOCK_PORTS))
        random.SystemRandom().shuffle(ports)
        for port in ports:
            block = cls.take(os.path.join(_lock_folder(), str(port)), port)
            if block is None:
                continue
            if _are_free(range(port, port + size)):
                os.ftruncate(block.descriptor, 0)
                os.write(block.descriptor, str(port).encode('ascii'))
                return block
            os.close(block.descriptor)
        raise RuntimeError('no %d free ports in a row between %d and %d' % (size, FIRST_PORT, LAST_PORT))

    def release(self):
        os.ftruncate(self.descriptor, 0)
        fcntl.flock(self.descriptor, fcntl.LOCK_UN)     # a forked child may hold a copy of the descriptor
        os.close(self.descriptor)


def _lock_folder():
    folder = os.path.join(tempfile.gettempdir(), 'pymesos-real-mesos-%d' % os.getuid())
    try:
        os.mkdir(folder, 0o700)
    except OSError as error:
        if error.errno != errno.EEXIST:
            raise
    return folder


def _are_free(ports):
    for port in ports:
        probe = socket.socket()
        try:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(('127.0.0.1', port))
        except EnvironmentError:
            return False
        finally:
            probe.close()
    return True


def _stop_orphans():
    """Stop the clusters of test processes that were killed."""
    for name in os.listdir(_lock_folder()):
        path = os.path.join(_lock_folder(), name)
        if name.isdigit() and os.path.getsize(path):
            block = _Block.take(path, int(name))
            if block is None:
                continue
            try:
                _run(['stop', '--port', name])
                shutil.rmtree(os.path.join(home(), 'clusters', name), ignore_errors=True)
            except BaseException:       # there is no start.py here: the block stays marked
                os.close(block.descriptor)
                raise
            block.release()


def _run(arguments):
    """Run start.py; (exit status, what it printed). One `start` at a time on a machine, for it may build."""
    command = [find_python3(), start_script()] + arguments
    with open(os.path.join(_lock_folder(), 'build.lock'), 'a') as build:
        if arguments[0] == 'start':
            fcntl.flock(build, fcntl.LOCK_EX)
        with tempfile.TemporaryFile() as output, open(os.devnull, 'rb') as null:
            process = subprocess.Popen(command, stdin=null, stdout=output, stderr=output, close_fds=True)
            timer = threading.Timer(COMMAND_DEADLINE, process.kill)
            timer.daemon = True
            timer.start()
            try:
                status = process.wait()
            finally:
                timer.cancel()
                timer.join()
            output.seek(0)
            return status, output.read().decode('utf-8', 'replace').strip()


def _as_list(value):
    return list(value) if isinstance(value, (list, tuple)) else [value]


@atexit.register
def stop_all():
    """Stop every cluster that this process has started."""
    for cluster in running():
        cluster.stop()

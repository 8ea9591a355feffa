"""An executor of commands as a process of its own, with a scripted agent and a real port of the program."""
from __future__ import absolute_import, division, print_function

import errno
import json
import os
import pickle
import subprocess
import sys
import threading
from binascii import hexlify

from pymesos._compat import close_on_exec, monotonic
from pymesos.subprocess.request import make_spec
from pymesos.subprocess.streams.hub import Hub
from pymesos.subprocess.streams.protocol import STDERR, STDIN, STDOUT
from pymesos.subprocess.streams.session import Session
from pymesos.testing import ScriptedAgent, wait_until
from pymesos.utils import decode_data, encode_data

CHANNELS = {'stdin': STDIN, 'stdout': STDOUT, 'stderr': STDERR}

TIMEOUT = 60.0

START = ('import sys; from pymesos.subprocess.executor import main; '
         'from pymesos.subprocess.agent.dialler import Patience; ')


class Remote(object):
    """A command: what its session was told, and our ends of its streams."""

    def __init__(self, name, spec, session):
        self.name = name
        self.spec = spec
        self.session = session
        self.heard = []
        self.ends = {}
        self._changed = threading.Condition()
        session.on_connected = self._connected
        session.on_started = lambda pid, hostname: self._note('started', pid)
        session.on_not_started = lambda message: self._note('not started', message)
        session.on_exited = lambda returncode: self._note('exited', returncode)
        session.on_broken = lambda error: self._note('broken', error)
        session.on_settled = lambda: self._note('settled', None)

    def _connected(self, session):
        for name in CHANNELS:
            if self.spec[name] == 'pipe':
                reader, writer = os.pipe()
                for end in (reader, writer):
                    close_on_exec(end)
                self.ends[name], theirs = (writer, reader) if name == 'stdin' else (reader, writer)
                session.attach(CHANNELS[name], theirs)
        session.start(self.spec)
        self._note('connected', None)

    def _note(self, *heard):
        with self._changed:
            self.heard.append(heard)
            self._changed.notify_all()

    def has(self, what):
        """Whether something was heard."""
        return what in [heard[0] for heard in list(self.heard)]

    def wait(self, what, timeout=TIMEOUT):
        """What was heard, once it is."""
        deadline = monotonic() + timeout
        with self._changed:
            while not self.has(what):
                left = deadline - monotonic()
                assert left > 0, 'waited in vain for %r; heard %r' % (what, self.heard)
                self._changed.wait(left)
        return [heard[1] for heard in self.heard if heard[0] == what][0]

    def write(self, data):
        """Write all to its standard input, and close that."""
        self.wait('connected')
        with os.fdopen(self.ends.pop('stdin'), 'wb') as stream:
            stream.write(data)

    def read(self, name='stdout'):
        """Everything it writes, until its end."""
        self.wait('connected')
        with os.fdopen(self.ends.pop(name), 'rb') as stream:
            return stream.read()

    def close(self):
        """Close our ends."""
        for name in list(self.ends):
            os.close(self.ends.pop(name))


class Site(object):
    """An agent, a program's port, and the executor; `patience` (text) are the arguments of Patience."""

    def __init__(self, folder, patience='', python=None, **environment):
        self.folder = folder
        self.agent = ScriptedAgent().start()
        self.hub = Hub().start()
        self.remotes = []
        self._sessions = []
        variables = dict(os.environ, PYTHONPATH=os.pathsep.join(path for path in sys.path if path))
        variables.update(self.agent.environment(in_process=False, directory=folder, **environment))
        if python is None:
            python = [sys.executable, '-c', START + 'sys.exit(main(Patience(%s)))' % patience]
        self.log_path = os.path.join(folder, 'stderr')
        with open(self.log_path, 'wb') as log:
            self.process = subprocess.Popen(python, env=variables, cwd=folder, stderr=log, preexec_fn=os.setsid,
                                            close_fds=True)
        self.agent.await_subscribe(timeout=TIMEOUT)

    def ticket(self, session, **more):
        """The data of a task, as the program makes it."""
        host, port = self.hub.address
        return dict({'host': host, 'port': port, 'identity': hexlify(session.identity).decode('ascii'),
                     'key': hexlify(session.key).decode('ascii')}, **more)

    def launch(self, args, code=None, task=None, address=None, is_expected=True, start=None, **options):
        """A :class:`Remote` on its way.

        `task` and `start` are members of its TaskInfo and of START, `address` is another (host, port).
        """
        for name in CHANNELS:
            options.setdefault(name, 'pipe')
        spec = dict(make_spec(args, has_preexec=code is not None, **options), **(start or {}))
        session = Session(self.hub.loop, os.urandom(16), os.urandom(32))
        remote = Remote('t%d' % len(self.remotes), spec, session)
        self.remotes.append(remote)
        if is_expected:
            self.hub.loop.carry_out(lambda: self.hub.expect(session))
        ticket = self.ticket(session)
        if code is not None:
            ticket['preexec'] = encode_data(pickle.dumps(code, 2))
        if address is not None:
            ticket['host'], ticket['port'] = address
        self.launch_raw(remote.name, json.dumps(ticket).encode('ascii'), **(task or {}))
        return remote

    def launch_raw(self, name, data, **more):
        """Launch a task with this data (bytes)."""
        task = dict({'name': name, 'task_id': {'value': name}, 'agent_id': {'value': self.agent.agent_id},
                     'data': encode_data(data)}, **more)
        self.agent.send_event({'type': 'LAUNCH', 'launch': {'task': task}})

    def kill(self, remote, grace=None):
        """Send KILL, with a grace in seconds."""
        kill = {'task_id': {'value': remote.name}}
        if grace is not None:
            kill['kill_policy'] = {'grace_period': {'nanoseconds': int(grace * 1e9)}}
        self.agent.send_event({'type': 'KILL', 'kill': kill})

    def updates(self, name):
        """[(state, message, data)] of the updates of a task."""
        found = [call.body['update']['status'] for call in self.agent.calls_of('UPDATE')]
        return [(status['state'], status.get('message'),
                 json.loads(decode_data(status['data']).decode('ascii')) if 'data' in status else None)
                for status in found if status['task_id']['value'] == name]

    def await_end(self, remote, timeout=TIMEOUT):
        """The last update of a command, once it is terminal; it is the only one that is."""
        wait_until(lambda: any(is_terminal(update) for update in self.updates(remote.name)), timeout=timeout)
        found = self.updates(remote.name)
        assert [is_terminal(update) for update in found] == [False] * (len(found) - 1) + [True]
        return found[-1]

    def log(self):
        """What the executor has logged."""
        with open(self.log_path) as stream:
            return stream.read()

    def holds(self):
        """(descriptors, threads, children, kB of memory) of the executor."""
        root = '/proc/%d' % self.process.pid
        with open(root + '/status') as stream:
            memory = [int(line.split()[1]) for line in stream if line.startswith('VmRSS')][0]
        children = len(children_of(self.process.pid))
        return len(os.listdir(root + '/fd')), len(os.listdir(root + '/task')), children, memory

    def descriptors(self):
        """What the descriptors of the executor are: a list of texts."""
        found = []
        for name in os.listdir('/proc/%d/fd' % self.process.pid):
            try:
                found.append(os.readlink('/proc/%d/fd/%s' % (self.process.pid, name)))
            except OSError:             # closed since
                continue
        return found

    def streams(self):
        """The connections of the executor to the program: how many."""
        port = ':%04X ' % self.hub.port
        with open('/proc/%d/net/tcp' % self.process.pid) as table:
            inodes = set('socket:[%s]' % line.split()[9] for line in table if port in line.partition(': ')[2])
        return len(inodes & set(self.descriptors()))

    def close(self):
        """End the executor, if it has not ended, and everything else."""
        if self.process.poll() is None:
            # Seen while they have this parent; some end by themselves when it has gone.
            children = children_of(self.process.pid)
            self.process.kill()
            for pid in children:
                try:
                    os.kill(pid, 9)
                except OSError as error:
                    if error.errno != errno.ESRCH:
                        raise
        self.process.wait()
        self.hub.stop()
        self.agent.stop()
        for remote in self.remotes:
            remote.close()


def is_terminal(update):
    return update[0] not in ('TASK_STARTING', 'TASK_RUNNING', 'TASK_KILLING')


def children_of(pid):
    """The pids of the children of a process, zombies included."""
    found = []
    for name in os.listdir('/proc'):
        if name.isdigit() and parent_of(int(name)) == pid:
            found.append(int(name))
    return found


def parent_of(pid):
    try:
        with open('/proc/%d/stat' % pid) as stream:
            return int(stream.read().rpartition(')')[2].split()[1])
    except (IOError, OSError):
        return None


def is_alive(pid):
    """Whether a process is there and no zombie."""
    try:
        with open('/proc/%d/stat' % pid) as stream:
            return stream.read().rpartition(')')[2].split()[0] != 'Z'
    except (IOError, OSError):
        return False

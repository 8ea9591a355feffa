"""A stand-in for the cluster behind Popen: it runs what it is told on this machine, with the standard library."""
from __future__ import absolute_import, division, print_function

import fcntl
import os
import pickle
import socket
import subprocess
import sys
import threading
import traceback

from pymesos._compat import fsdecode
from pymesos.subprocess.errors import remote_error
from pymesos.subprocess.streams.protocol import unpack_environment
from pymesos.utils import decode_data, encode_data


class StandIn(object):
    """What Popen knows of a cluster: ``launch``. Keeps what was launched, in order."""

    def __init__(self):
        self.launched = []

    def launch(self, request, spec, streams):
        """Run the command; returns a :class:`Remote`."""
        remote = Remote(request, spec, streams)
        self.launched.append(remote)
        return remote


class Remote(object):
    """What Popen knows of a command."""

    hostname = socket.gethostname()
    agent_id, task_id, state = 'agent-1', 'task-1', 'TASK_RUNNING'

    def __init__(self, request, spec, streams):
        self.request, self.spec = request, spec
        self.pid = self.returncode = self.error = self.process = None
        self.wanted = []            # each argument of want_input
        self.cancelled = 0
        self.failure = None
        try:
            self.process = self._spawn(request, spec, streams)
            self.pid = self.process.pid
        except Exception as error:
            self.failure = remote_error(self._reply(error))
        finally:
            for stream in streams:
                if stream is not None:
                    os.close(stream.descriptor)
        # Guards process.wait, which is no business of two threads on 2.7.
        self.lock = threading.Lock()

    @staticmethod
    def _spawn(request, spec, streams):
        null = open(os.devnull, 'r+b')
        try:
            ends = []
            for name, stream in zip(('stdin', 'stdout', 'stderr'), streams):
                if stream is None:
                    ends.append(subprocess.STDOUT if spec[name] == 'stdout' else null)
                    continue
                # The command's end of a pipe may block; ours must not, but here both are one.
                flags = fcntl.fcntl(stream.descriptor, fcntl.F_GETFL)
                fcntl.fcntl(stream.descriptor, fcntl.F_SETFL, flags & ~os.O_NONBLOCK)
                ends.append(stream.descriptor)
            options = {'restore_signals': spec['restore_signals']} if sys.version_info >= (3, 2) else {}
            for name in ('user', 'group', 'extra_groups', 'umask'):
                if spec[name] is not None and sys.version_info >= (3, 9):
                    options[name] = spec[name]
            if spec['process_group'] is not None and sys.version_info >= (3, 11):
                options['process_group'] = spec['process_group']
            if spec['start_new_session']:
                options['start_new_session'] = True
            args = [decode_data(arg) for arg in spec['args']]
            executable = spec['executable'] and decode_data(spec['executable'])
            return subprocess.Popen(
                args[0] if spec['shell'] and len(args) == 1 else args, executable=executable,
                stdin=ends[0], stdout=ends[1], stderr=ends[2], close_fds=True, shell=spec['shell'],
                cwd=fsdecode(decode_data(spec['cwd'])),
                preexec_fn=request.preexec and pickle.loads(request.preexec),
                env=unpack_environment(spec['env']), **options)
        finally:
            null.close()

    @staticmethod
    def _reply(error):
        filename = getattr(error, 'filename', None)
        if filename is not None and not isinstance(filename, bytes):
            filename = os.fsencode(filename)
        return {'exception': u'%s' % type(error).__name__, 'errno': getattr(error, 'errno', None),
                'strerror': getattr(error, 'strerror', None) and u'%s' % error.strerror,
                'filename': filename and encode_data(filename), 'text': u'%s' % error,
                'traceback': u'%s' % (getattr(error, 'child_traceback', None) or traceback.format_exc())}

    def wait_started(self, timeout=None):
        """Raise what kept the command from starting."""
        if self.failure is not None:
            raise self.failure

    def wait(self, timeout=None):
        """Whether the command has ended, after `timeout` seconds at most."""
        if self.error is not None:
            return True
        step = threading.Event()
        while self.returncode is None:
            with self.lock:
                self.returncode = self.process.poll()
            if timeout is not None:
                timeout -= 0.005
            if self.returncode is None:
                if timeout is not None and timeout <= 0:
                    return False
                step.wait(0.005)
        return True

    def send_signal(self, number):
        """Send a signal."""
        with self.lock:
            if self.returncode is None and self.process.poll() is None:
                self.process.send_signal(number)

    def want_input(self, is_wanted):
        """Note it."""
        self.wanted.append(is_wanted)

    def cancel(self):
        """Kill it."""
        self.cancelled += 1
        if self.process is not None:
            self.send_signal(9)

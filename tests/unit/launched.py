"""A launcher on a loop of its own, and a listener that remembers: for tests with real processes."""
from __future__ import absolute_import, division, print_function

import os
import threading

from pymesos._compat import monotonic
from pymesos.local.launcher import Launcher
from pymesos.serving.loop import Loop

DEADLINE = 60.0

PATH = '/usr/local/bin:/usr/bin:/bin'


class Listener(object):
    """Remembers what it hears; :meth:`wait_for` is for the test's thread."""

    def __init__(self):
        self.heard = []
        self._changed = threading.Condition()

    def _note(self, *event):
        with self._changed:
            self.heard.append(event)
            self._changed.notify_all()

    def on_started(self, container, pid):
        self._note(container, 'started', pid)

    def on_launch_failed(self, container, text):
        self._note(container, 'failed', text)

    def on_exited(self, container, status):
        self._note(container, 'exited', status)

    def on_output(self, container, name, data):
        self._note(container, name, data)

    def on_fed(self, container, size):
        self._note(container, 'fed', size)

    def wait_for(self, container, *kinds):
        """The argument of the first event of one of these kinds that a container brought; the end ends it too."""
        return self.wait_until(lambda: [event for event in self.heard
                                        if event[0] == container and event[1] in kinds])[0][2]

    def wait_until(self, question):
        """The first true answer to a question about `heard`."""
        deadline = monotonic() + DEADLINE
        with self._changed:
            while True:
                answer = question()
                if answer:
                    return answer
                if monotonic() > deadline:
                    raise AssertionError('it did not happen; heard last: %r' % (self.heard[-10:],))
                self._changed.wait(0.2)

    def output(self, container, name='stdout'):
        """All that a container has written."""
        return b''.join(event[2] for event in list(self.heard) if event[:2] == (container, name))


class Harness(object):
    """A launcher whose sandboxes are in `folder` (text)."""

    def __init__(self, folder):
        self.folder = folder
        self.listener = Listener()
        self.loop = Loop('launcher').start()
        self.launcher = Launcher(self.loop)
        self.do('start')

    def do(self, method, *args):
        """Call a method of the launcher on its thread."""
        return self.loop.carry_out(lambda: getattr(self.launcher, method)(*args))

    def sandbox(self, container):
        return os.path.join(self.folder, 'runs', container)

    def launch(self, container, command, **spec):
        """Launch a shell command (text) or a CommandInfo (dict)."""
        if not isinstance(command, dict):
            command = {'value': command}
        given = {'command': command, 'environment': {'PATH': PATH}, 'directory': self.sandbox(container)}
        given.update(spec)
        self.do('launch', container, given, self.listener)

    def run(self, container, command, **spec):
        """Launch a command and wait for its status, or why it could not be launched."""
        self.launch(container, command, **spec)
        return self.listener.wait_for(container, 'exited', 'failed')

    def read(self, container, name='stdout'):
        """What is in a file of a sandbox, bytes."""
        with open(os.path.join(self.sandbox(container), name), 'rb') as stream:
            return stream.read()

    def probe(self, check, timeout=DEADLINE):
        """The result of a probe."""
        results = []

        def done(result):
            results.append(result)
            self.listener._note(None, 'probed', result)

        self.do('probe', check, timeout, done)
        return self.listener.wait_until(lambda: results)[0]

    def close(self):
        self.do('stop')
        is_over = self.launcher.join()
        self.loop.stop()
        assert is_over

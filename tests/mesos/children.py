"""Programs that a test starts, with what they print, and that never outlive it."""
from __future__ import absolute_import, division, print_function

import os
import signal
import subprocess
import sys

import pymesos
from pymesos.testing import wait_until

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EXAMPLES = os.path.join(REPOSITORY, 'examples')
HERE = os.path.join(REPOSITORY, 'tests', 'mesos')

#: Where pymesos is imported from: what a child must be told if it is not installed.
LIBRARY = os.path.dirname(os.path.dirname(os.path.abspath(pymesos.__file__)))

#: Seconds that a program may take for what is asked of it.
DEADLINE = 120


def executor_command(program, **environment):
    """The CommandInfo that runs a program of this folder, under this Python, with `environment`."""
    environment['PYTHONPATH'] = LIBRARY
    return {
        'value': 'exec "%s" "%s"' % (sys.executable, os.path.join(HERE, program)),
        'environment': {'variables': [{'name': name, 'value': environment[name]} for name in sorted(environment)]},
    }


class Child(object):
    """A Python program under way; a context manager that kills it if need be. `path` and `args` are its command line.

    What it prints, errors too, goes into the file `output`.
    """

    def __init__(self, output, path, *args, **environment):
        environ = dict(os.environ, PYTHONPATH=LIBRARY, PYTHONUNBUFFERED='1', PYTHONDONTWRITEBYTECODE='1')
        environ.update(environment)
        self.path = str(output)
        self.command = [sys.executable, path] + [str(arg) for arg in args]
        with open(self.path, 'wb') as stream, open(os.devnull, 'rb') as null:
            self.process = subprocess.Popen(self.command, stdin=null, stdout=stream, stderr=stream, close_fds=True,
                                            env=environ)

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    @property
    def text(self):
        """What it has printed so far."""
        with open(self.path, 'rb') as stream:
            return stream.read().decode('utf-8', 'replace')

    def await_text(self, text, deadline=DEADLINE):
        """Wait until it has printed `text`."""
        def is_there():
            return text in self.text or self.process.poll() is not None

        wait_until(is_there, deadline, lambda: '%r from %s, which printed:\n%s' % (text, self.command, self.text))
        assert text in self.text, '%s ended with %s:\n%s' % (self.command, self.process.returncode, self.text)

    def wait(self, deadline=DEADLINE):
        """Wait for its end; its exit status."""
        wait_until(lambda: self.process.poll() is not None, deadline,
                   lambda: 'the end of %s, which printed:\n%s' % (self.command, self.text))
        return self.process.returncode

    def kill(self, number=signal.SIGKILL):
        """Send it a signal and wait for its end."""
        self.process.send_signal(number)
        return self.wait()

"""A scheduler and an executor that remember what was called, for tests to wait for."""
from __future__ import absolute_import, division, print_function

import os
import subprocess
import sys
import textwrap
import threading
from contextlib import contextmanager

from pymesos import MesosExecutorDriver, MesosSchedulerDriver
from pymesos._compat import monotonic

FRAMEWORK = {'user': 'root', 'name': 'test', 'failover_timeout': 60}

TIMEOUT = 60.0


class Recorder(object):
    """Any callback is taken, recorded as (name, arguments without the driver, thread) and passed to `do[name]`."""

    def __init__(self, **do):
        self.do = do
        self.seen = []
        self._changed = threading.Condition()

    def __getattr__(self, name):
        if name.startswith('_'):
            raise AttributeError(name)

        def callback(driver, *args):
            with self._changed:
                self.seen.append((name, args, threading.current_thread()))
                self._changed.notify_all()
            action = self.do.get(name)
            if action is not None:
                return action(driver, *args)
        return callback

    @property
    def names(self):
        with self._changed:
            return [name for name, _args, _thread in self.seen]

    def of(self, wanted):
        """The arguments of all calls of one callback so far."""
        with self._changed:
            return [args for name, args, _thread in self.seen if name == wanted]

    def wait(self, wanted, count=1, timeout=TIMEOUT):
        """The arguments of the `count`-th call of a callback, once there was one."""
        deadline = monotonic() + timeout
        with self._changed:
            while True:
                found = [args for name, args, _thread in self.seen if name == wanted]
                if len(found) >= count:
                    return found[count - 1]
                left = deadline - monotonic()
                assert left > 0, 'waited in vain for %s number %d; there were %s' % (wanted, count, self.seen)
                self._changed.wait(left)


def run_program(text, peer, **options):
    """A child process that runs the lines of `text` with this Python; MASTER is the address of `peer`."""
    env = dict(os.environ, PYTHONPATH=os.pathsep.join(path for path in sys.path if path), MASTER=peer.address)
    return subprocess.Popen([sys.executable, '-c', textwrap.dedent(text)], env=env, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, **options)


@contextmanager
def scheduling(address, recorder=None, framework=FRAMEWORK, **options):
    """(driver, recorder) of a running scheduler."""
    recorder = recorder or Recorder()
    driver = MesosSchedulerDriver(recorder, dict(framework), address, **options)
    driver.start()
    try:
        yield driver, recorder
    finally:
        driver.stop(failover=True)
        driver.join()


@contextmanager
def executing(agent, monkeypatch, recorder=None, environment=None, **options):
    """(driver, recorder) of a running executor of a scripted agent; `environment` is for ``agent.environment()``."""
    recorder = recorder or Recorder()
    variables = agent.environment(**(environment or {}))
    for name in variables:
        monkeypatch.setenv(name, variables[name])
    driver = MesosExecutorDriver(recorder, **options)
    driver.start()
    try:
        yield driver, recorder
    finally:
        driver.stop()
        driver.join()

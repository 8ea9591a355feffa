"""Checks and health checks of tasks, as Mesos' own executors make them (PROTOCOL 5.3)."""
from __future__ import absolute_import, division, print_function

from .effects import Probe
from .executor_specs import command_environment

__all__ = ['Checker', 'empty_check_status']

#: What stands for a timeout of 0, which is none.
NEVER = 10.0 ** 9

#: What a check of a type tells, and where in a CheckStatusInfo it is.
_RESULTS = {'COMMAND': ('command', 'exit_code'), 'HTTP': ('http', 'status_code'), 'TCP': ('tcp', 'succeeded')}


def check_type(info):
    """The type of a CheckInfo or HealthCheck, which may be left to be guessed."""
    if info.get('type') in _RESULTS:
        return info['type']
    for name in ('http', 'tcp'):
        if name in info:
            return name.upper()
    return 'COMMAND'


def empty_check_status(info):
    """The CheckStatusInfo of a CheckInfo that has no result (yet)."""
    kind = check_type(info)
    return {'type': kind, _RESULTS[kind][0]: {}}


class Checker(object):
    """Looks again and again how a task is, and has `driver` (:class:`~.builtin.BuiltinExecutor`) say so.

    Once a task has failed its health check often enough, ``driver.kill_unhealthy(run)`` is called.
    `kind` is 'check' (`info` is a CheckInfo) or 'health' (a HealthCheck).
    """

    def __init__(self, driver, run, kind, info):
        self._driver = driver
        self._run = run
        self._kind = kind
        self._info = info
        self._type = check_type(info)
        self._is_paused = False
        self._number = 0
        self._start = driver.agent.world.monotonic()
        self._shown = empty_check_status(info)      # of a check: what was last said
        self._failures = 0                          # of a health check: in a row
        self._is_initial = True                     # whether it never succeeded
        driver.set_timer(kind, run, self._seconds('delay_seconds', 15.0))

    def pause(self):
        """Look no more."""
        self._is_paused = True
        self._driver.cancel_timer(self._kind, self._run)

    def perform(self):
        """Look once."""
        if self._is_paused:
            return
        self._number += 1
        driver = self._driver
        key = ('probe', driver.executor.container.token, self._kind, self._run.id, self._number)
        driver.agent.effects.append(Probe(key, self._probe(), self._seconds('timeout_seconds', 20.0) or NEVER))

    def take(self, number, result):
        """The result of a look."""
        if self._is_paused or number != self._number:
            return
        self._driver.set_timer(self._kind, self._run, self._seconds('interval_seconds', 10.0))
        if self._kind == 'check':
            self._take_check(result)
        elif self._is_good(result):
            self._succeed()
        else:
            self._fail()

    def _seconds(self, name, default):
        # A float for the text 'Infinity', too.
        return min(float(self._info.get(name, default)), NEVER)

    def _probe(self):
        if self._type == 'COMMAND':
            # A CheckInfo has it one level deeper than a HealthCheck.
            command = self._info['command']['command'] if self._kind == 'check' else self._info['command']
            container = self._run.container
            environment = dict((container.spec or {}).get('environment', {}), **command_environment(command))
            return {'type': 'COMMAND', 'command': command, 'container': container.token, 'environment': environment,
                    'directory': container.directory, 'user': (container.spec or {}).get('user')}
        if self._type == 'HTTP':
            http = self._info['http']
            return {'type': 'HTTP', 'port': http['port'], 'path': http.get('path') or '/',
                    'scheme': http.get('scheme', 'http')}
        return {'type': 'TCP', 'port': self._info['tcp']['port']}

    def _take_check(self, result):
        group, name = _RESULTS[self._type]
        shown = {'type': self._type, group: {name: result[name]} if name in result else {}}
        if shown != self._shown:
            self._shown = shown
            self._driver.say_again(self._run, 'REASON_TASK_CHECK_STATUS_UPDATED', check_status=shown)

    def _is_good(self, result):
        value = result.get(_RESULTS[self._type][1])
        if value is None:
            return False
        if self._type == 'HTTP':
            return 200 <= value < 400
        return value == 0 if self._type == 'COMMAND' else value

    def _succeed(self):
        if self._is_initial or self._failures:
            self._say(True)
        self._is_initial, self._failures = False, 0

    def _fail(self):
        grace = self._seconds('grace_period_seconds', 10.0)
        if self._is_initial and grace > 0 and self._driver.agent.world.monotonic() - self._start <= grace:
            return
        self._failures += 1
        self._say(False)
        if self._failures >= self._info.get('consecutive_failures', 3):
            self._driver.kill_unhealthy(self._run)

    def _say(self, is_healthy):
        self._driver.say_again(self._run, 'REASON_TASK_HEALTH_CHECK_STATUS_UPDATED', healthy=is_healthy)

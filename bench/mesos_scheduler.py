"""Runs no-op tasks through one executor on a real Mesos, with whichever pymesos this interpreter imports.

``mesos_scheduler.py [--checkpoint] [--true] MASTER TASKS BATCH [AT_ONCE]`` launches BATCH tasks on every offer until
there were TASKS, but no more than AT_ONCE that are not finished, waits until all are, and prints one line of JSON:
``seconds`` from the first launch to the last TASK_FINISHED, ``scheduler_cpu`` and ``executor_cpu`` (CPU seconds of
the two processes from their registration on), ``version``, ``file`` and ``parsers`` of the library. The executor is
mesos_executor.py on the same interpreter. With ``--true`` each task runs ``true``.
"""
from __future__ import absolute_import, division, print_function

import getpass
import json
import os
import sys
import threading

import pymesos

import clock

DEADLINE = 120
EXECUTOR = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'mesos_executor.py')


TASK_CPUS, TASK_MEM = 0.001, 1
EXECUTOR_CPUS, EXECUTOR_MEM = 0.1, 64


def has_room(offer, count):
    """Whether `count` tasks fit into an offer; it may be what the last batch has left."""
    has = dict((resource['name'], resource['scalar']['value']) for resource in offer['resources']
               if resource['type'] == 'SCALAR')
    return (has.get('cpus', 0) >= EXECUTOR_CPUS + count * TASK_CPUS
            and has.get('mem', 0) >= EXECUTOR_MEM + count * TASK_MEM)


def scalar(name, value):
    return {'name': name, 'type': 'SCALAR', 'scalar': {'value': value}}


def executor_info(command):
    variables = [{'name': 'PYTHONPATH', 'value': os.environ['PYTHONPATH']}] if 'PYTHONPATH' in os.environ else []
    return {'executor_id': {'value': 'bench'}, 'name': 'bench', 'type': 'CUSTOM',
            'command': {'value': ' '.join(['exec', sys.executable, EXECUTOR, command]),
                        'environment': {'variables': variables}},
            'resources': [scalar('cpus', EXECUTOR_CPUS), scalar('mem', EXECUTOR_MEM)]}


class Launcher(pymesos.Scheduler):
    """The scheduler."""

    def __init__(self, command, tasks, batch, at_once=None):
        self.executor = executor_info(command)
        self.tasks = tasks
        self.batch = batch
        self.at_once = at_once or tasks
        self.launched = 0
        self.finished = 0
        self.cpu = None
        self.first = self.last = None
        self.agent_id = None
        self.failure = None
        self.report = None
        self.is_finished = threading.Event()
        self.is_reported = threading.Event()

    def registered(self, driver, framework_id, master_info):
        self.cpu = clock.cpu_seconds()

    def resourceOffers(self, driver, offers):
        for offer in offers:
            left = self.tasks - self.launched
            count = min(self.batch, left, self.at_once - (self.launched - self.finished))
            if not count or not has_room(offer, count):
                driver.declineOffer(offer['id'], {'refuse_seconds': 0 if left else 3600})
                continue
            self.agent_id = offer['agent_id']
            self.first = self.first or clock.seconds()
            first = self.launched
            self.launched += count
            driver.launchTasks(offer['id'], [self._task(number, offer) for number in range(first, first + count)],
                               {'refuse_seconds': 0})

    def _task(self, number, offer):
        return {'name': 'noop', 'task_id': {'value': 'task-%d' % number}, 'agent_id': offer['agent_id'],
                'executor': self.executor, 'resources': [scalar('cpus', TASK_CPUS), scalar('mem', TASK_MEM)]}

    def statusUpdate(self, driver, status):
        if status['state'] == 'TASK_FINISHED':
            self.finished += 1
            if self.finished == self.tasks:
                self.last = clock.seconds()
                self.cpu = clock.cpu_seconds() - self.cpu
                self.is_finished.set()
        elif status['state'] != 'TASK_RUNNING':
            self.fail('%s: %s' % (status['state'], status.get('message')))

    def frameworkMessage(self, driver, executor_id, agent_id, data):
        self.report = json.loads(pymesos.decode_data(data).decode('ascii'))
        self.is_reported.set()

    def error(self, driver, message):
        self.fail(message)

    def fail(self, why):
        self.failure = why
        self.is_finished.set()


def main():
    flags = [text for text in sys.argv[1:] if text.startswith('--')]
    arguments = [text for text in sys.argv[1:] if not text.startswith('--')]
    master, numbers = arguments[0], [int(text) for text in arguments[1:]]
    tasks, checkpoint = numbers[0], '--checkpoint' in flags
    launcher = Launcher('true' if '--true' in flags else '', *numbers)
    framework = {'user': getpass.getuser(), 'name': 'bench', 'checkpoint': checkpoint}
    driver = pymesos.MesosSchedulerDriver(launcher, framework, master)
    driver.start()
    if not launcher.is_finished.wait(DEADLINE) or launcher.failure:
        raise RuntimeError('%d of %d tasks finished: %s' % (launcher.finished, tasks, launcher.failure))
    driver.sendFrameworkMessage({'value': 'bench'}, launcher.agent_id, pymesos.encode_data(b'report'))
    if not launcher.is_reported.wait(DEADLINE):
        raise RuntimeError('the executor sent no report')
    driver.stop()
    driver.join()
    print(json.dumps({
        'seconds': launcher.last - launcher.first, 'scheduler_cpu': launcher.cpu,
        'executor_cpu': launcher.report['cpu'], 'version': pymesos.__VERSION__, 'file': pymesos.__file__,
        'parsers': clock.parsers()}))


if __name__ == '__main__':
    main()

"""hello.py once more, with attributes in place of keys: all that the callbacks get is of addict.Dict.

    python hello_addict.py 10.0.0.1:5050 --tasks 5

Its executor is hello_addict_executor.py, which sends each task's data back as a message.
"""
from __future__ import absolute_import, division, print_function

import getpass
import logging
import sys

from addict import Dict
from hello import ENDED, FOR_EXECUTOR, FOR_TASK, command_line, executor_info, make_driver, run

from pymesos import Scheduler, decode_data, encode_data
from pymesos.resources import Resources


class HelloScheduler(Scheduler):
    """Launches `count` tasks, and stops the driver when all have ended."""

    def __init__(self, executor, count):
        self.executor = executor
        self.waiting = ['hello-%d' % number for number in range(count)]
        self.open = set(self.waiting)
        self.finished = 0

    def registered(self, driver, framework_id, master_info):
        print('registered as %s at %s:%d' % (framework_id.value, master_info.hostname, master_info.port))

    def resourceOffers(self, driver, offers):
        for offer in offers:
            rest, tasks = Resources(offer.resources), []
            while self.waiting and rest.has(FOR_TASK + FOR_EXECUTOR):
                resources, rest = rest.take(FOR_TASK)
                tasks.append(self.task(self.waiting.pop(0), offer.agent_id, resources))
            driver.launchTasks(offer.id, tasks)
        if not self.waiting:
            driver.suppressOffers()

    def task(self, name, agent_id, resources):
        """A TaskInfo."""
        task = Dict()
        task.task_id.value = name
        task.name = name
        task.agent_id = agent_id
        task.executor = self.executor
        task.resources = resources.to_list()
        task.data = encode_data(('Hello from %s.' % name).encode('utf-8'))
        return task

    def frameworkMessage(self, driver, executor_id, agent_id, message):
        print('%s: %s' % (executor_id.value, decode_data(message).decode('utf-8')))

    def statusUpdate(self, driver, status):
        # A key that is missing reads as an empty Dict, which is false.
        print('%s: %s %s' % (status.task_id.value, status.state, status.message or ''))
        if status.state not in ENDED or status.task_id.value not in self.open:
            return
        self.open.remove(status.task_id.value)
        self.finished += status.state == 'TASK_FINISHED'
        if not self.open:
            driver.stop()


def main():
    parser = command_line('Run some tasks on Mesos.')
    parser.add_argument('--tasks', type=int, default=5, help='how many (5)')
    options = parser.parse_args()
    executor = executor_info('hello-addict', 'hello_addict_executor.py', options.executor)
    framework = Dict()
    framework.name = 'hello-addict'
    framework.user = getpass.getuser()
    framework.checkpoint = True
    scheduler = HelloScheduler(executor, options.tasks)
    run(make_driver(scheduler, framework, options, use_addict=True), parser)
    print('%d of %d tasks finished' % (scheduler.finished, options.tasks))
    sys.exit(0 if scheduler.finished == options.tasks else 1)


if __name__ == '__main__':
    logging.basicConfig(level=logging.WARNING)
    main()

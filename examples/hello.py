"""A minimal scheduler: it runs some tasks on its own executor, hello_executor.py, and ends when all have ended.

    python hello.py 10.0.0.1:5050 --tasks 5

An agent starts the executor with this Python and from this folder, so both must be on its machine, in the same places,
and pymesos too; or --executor says how to start it there. If the master wants authentication: the principal is taken
from the environment's DEFAULT_PRINCIPAL, its secret from DEFAULT_SECRET.
"""
from __future__ import absolute_import, division, print_function

import argparse
import getpass
import json
import logging
import os
import sys

import pymesos
from pymesos import MesosSchedulerDriver, Scheduler, decode_data, encode_data
from pymesos.errors import InvalidAddress
from pymesos.resources import Resources, parse

FOR_TASK = parse('cpus:0.1;mem:32')
FOR_EXECUTOR = parse('cpus:0.1;mem:32')
ENDED = ('TASK_FINISHED', 'TASK_FAILED', 'TASK_KILLED', 'TASK_ERROR', 'TASK_LOST')


class HelloScheduler(Scheduler):
    """Launches `count` tasks, and stops the driver when all have ended."""

    def __init__(self, executor, count):
        self.executor = executor
        self.waiting = ['hello-%d' % number for number in range(count)]
        self.open = set(self.waiting)
        self.finished = 0

    def registered(self, driver, framework_id, master_info):
        print('registered as %s at %s' % (framework_id['value'], driver.master))

    def resourceOffers(self, driver, offers):
        for offer in offers:
            rest, tasks = Resources(offer['resources']), []
            # What the executor needs must be left; there is one on each agent, for all tasks.
            while self.waiting and rest.has(FOR_TASK + FOR_EXECUTOR):
                resources, rest = rest.take(FOR_TASK)
                tasks.append(self.task(self.waiting.pop(0), offer['agent_id'], resources))
            driver.launchTasks(offer['id'], tasks)      # without tasks it declines the offer
        if not self.waiting:
            driver.suppressOffers()

    def task(self, name, agent_id, resources):
        """A TaskInfo."""
        command = ['echo', 'Hello from %s.' % name]
        return {
            'task_id': {'value': name},
            'name': name,
            'agent_id': agent_id,
            'executor': self.executor,
            'resources': resources.to_list(),
            'data': encode_data(json.dumps(command).encode('utf-8')),
        }

    def statusUpdate(self, driver, status):
        name, state = status['task_id']['value'], status['state']
        if state not in ENDED or name not in self.open:     # the same update may come twice
            return
        self.open.remove(name)
        output = decode_data(status.get('data', '')).decode('utf-8', 'replace').strip()
        print('%s: %s: %s' % (name, state, output or status.get('message', '')))
        self.finished += state == 'TASK_FINISHED'
        if not self.open:
            driver.stop()


def executor_info(name, program, command=None):
    """ExecutorInfo: `command` (shell) starts it; without one this Python, with `program` of this folder."""
    here = os.path.dirname(os.path.abspath(__file__))
    # Of our environment an agent hands on nothing, and pymesos may be found only by it.
    library = os.path.dirname(os.path.dirname(os.path.abspath(pymesos.__file__)))
    return {
        'executor_id': {'value': name},
        'name': name,
        'command': {
            'value': command or '"%s" "%s"' % (sys.executable, os.path.join(here, program)),
            'environment': {'variables': [{'name': 'PYTHONPATH', 'value': library}]},
        },
        'resources': FOR_EXECUTOR.to_list(),
    }


def command_line(description):
    """A parser with the options that all the examples have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('master', help='address of the master, such as 10.0.0.1:5050 or zk://10.0.0.1:2181/mesos')
    parser.add_argument('--executor', metavar='COMMAND', help='how an agent starts the executor, if not as we would')
    parser.add_argument('--timeout', type=float, default=60, help='seconds to wait for the master (60)')
    return parser


def make_driver(scheduler, framework, options, **more):
    """A driver for what the command line says; `more` are further arguments of MesosSchedulerDriver."""
    return MesosSchedulerDriver(
        scheduler, framework, options.master, timeout=options.timeout,
        principal=os.environ.get('DEFAULT_PRINCIPAL'), secret=os.environ.get('DEFAULT_SECRET'), **more)


def run(driver, parser):
    """Run the driver until it ends. If it is we who have to go, as after Ctrl-C, the framework ends."""
    try:
        driver.run()
    except InvalidAddress as error:
        parser.error(str(error))
    finally:
        driver.stop()
        driver.join()


def main():
    parser = command_line('Run some tasks on Mesos.')
    parser.add_argument('--tasks', type=int, default=5, help='how many (5)')
    options = parser.parse_args()
    scheduler = HelloScheduler(executor_info('hello', 'hello_executor.py', options.executor), options.tasks)
    framework = {'name': 'hello', 'user': getpass.getuser(), 'checkpoint': True}
    run(make_driver(scheduler, framework, options), parser)
    print('%d of %d tasks finished' % (scheduler.finished, options.tasks))
    sys.exit(0 if scheduler.finished == options.tasks else 1)


if __name__ == '__main__':
    logging.basicConfig(level=logging.WARNING)
    main()

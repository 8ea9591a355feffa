"""The scheduler that belongs to journal_executor.py: it launches many tasks and writes down what it is told of them.

As a program, ``journal_scheduler.py MASTER FOLDER``, it takes over the framework whose id it finds in the folder.
"""
from __future__ import absolute_import, division, print_function

import logging
import os
import signal
import sys

from children import executor_command

from pymesos import MesosSchedulerDriver, Scheduler
from pymesos.resources import Resources, parse

#: How many tasks there are on each executor, and executors on each agent.
TASKS, EXECUTORS = 80, 2

FOR_TASK = parse('cpus:0.01;mem:1')
FOR_EXECUTOR = parse('cpus:0.1;mem:32')


class JournalScheduler(Scheduler):
    """Fills each of `agents` agents with tasks once.

    It writes a line for each update into the file ``received-...`` of `folder`: the task's id, the message (which is
    the update's number), state, uuid, source and reason, ``-`` for what is missing; other lines begin with a word in
    capitals. `endpoint_of(offer)` is what the executors there are told of their agent's address, None for the truth.
    """

    def __init__(self, folder, agents, endpoint_of=lambda offer: None):
        self.folder = folder
        self.agents = agents
        self.endpoint_of = endpoint_of
        self.filled = set()
        self.journal = os.open(os.path.join(folder, 'received-%d' % os.getpid()),
                               os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def close(self):
        os.close(self.journal)

    def note(self, *words):
        os.write(self.journal, (' '.join(str(word) for word in words) + '\n').encode('ascii'))

    def registered(self, driver, framework_id, master_info):
        with open(os.path.join(self.folder, 'framework-id'), 'w') as stream:
            stream.write(framework_id['value'])
        self.note('REGISTERED')

    def reregistered(self, driver, master_info):
        self.note('REREGISTERED')

    def disconnected(self, driver):
        self.note('DISCONNECTED')

    def error(self, driver, message):
        self.note('ERROR', repr(message))

    def executorLost(self, driver, executor_id, agent_id, status):
        self.note('EXECUTOR_LOST', executor_id['value'], status)

    def slaveLost(self, driver, agent_id):
        self.note('AGENT_LOST', agent_id['value'])

    def resourceOffers(self, driver, offers):
        for offer in offers:
            tasks = []
            if offer['agent_id']['value'] not in self.filled and len(self.filled) < self.agents:
                self.filled.add(offer['agent_id']['value'])
                tasks = self.tasks_for(offer, len(self.filled))
            driver.launchTasks(offer['id'], tasks, {'refuse_seconds': 3600.0})

    def tasks_for(self, offer, agent):
        """The tasks for agent number `agent`."""
        rest, tasks = Resources(offer['resources']), []
        environment = {'JOURNAL_DIR': self.folder}
        if self.endpoint_of(offer):
            environment['MESOS_AGENT_ENDPOINT'] = self.endpoint_of(offer)
        for number in range(EXECUTORS):
            name = 'agent-%d-executor-%d' % (agent, number)
            executor = {'executor_id': {'value': name}, 'name': name, 'resources': FOR_EXECUTOR.to_list(),
                        'command': executor_command('journal_executor.py', **environment)}
            _, rest = rest.take(FOR_EXECUTOR)
            for task in range(TASKS):
                resources, rest = rest.take(FOR_TASK)
                task_id = '%s-task-%d' % (name, task)
                tasks.append({'task_id': {'value': task_id}, 'name': task_id, 'agent_id': offer['agent_id'],
                              'executor': executor, 'resources': resources.to_list()})
        return tasks

    def statusUpdate(self, driver, status):
        self.note(status['task_id']['value'], status.get('message', '-').replace(' ', '_'), status['state'],
                  status.get('uuid', '-'), status['source'], status.get('reason', '-'))


def framework_info(folder):
    """The FrameworkInfo, with the id that an earlier scheduler left in `folder`."""
    info = {'name': 'journal', 'user': 'root', 'checkpoint': True, 'failover_timeout': 600.0}
    path = os.path.join(folder, 'framework-id')
    if os.path.exists(path):
        with open(path) as stream:
            info['id'] = {'value': stream.read()}
    return info


def main():
    master, folder, agents = sys.argv[1:]
    logging.basicConfig(level=logging.DEBUG, format='%(asctime)s %(levelname)s %(name)s: %(message)s')
    info = framework_info(folder)
    # Who takes over launches nothing.
    scheduler = JournalScheduler(folder, 0 if 'id' in info else int(agents))
    driver = MesosSchedulerDriver(scheduler, info, master)
    signal.signal(signal.SIGTERM, lambda *_: driver.stop())
    driver.run()


if __name__ == '__main__':
    main()

"""A framework on pymesos 0.3.15, run by its own Python: ``foreign_scheduler.py MASTER``; prints what it saw as JSON.

It launches TASKS tasks, sends each executor a message for each of them, ends one with a kill, and stops.
"""
from __future__ import absolute_import, division, print_function

import getpass
import json
import os
import sys

from addict import Dict
from pymesos import MesosSchedulerDriver, Scheduler, decode_data, encode_data

TASKS = 20
VICTIM = 'task-19'
TERMINAL = ('TASK_FINISHED', 'TASK_FAILED', 'TASK_KILLED', 'TASK_LOST', 'TASK_ERROR')


class Foreign(Scheduler):

    def __init__(self):
        self.waiting = ['task-%d' % n for n in range(TASKS)]
        self.seen = {'registered': [], 'states': {}, 'messages': [], 'errors': [], 'offers': 0}

    def registered(self, driver, framework_id, master_info):
        self.seen['registered'].append([framework_id.value, master_info.version])

    def resourceOffers(self, driver, offers):
        self.seen['offers'] += len(offers)
        for offer in offers:
            tasks = [self.task(offer, self.waiting.pop(0)) for _ in range(min(7, len(self.waiting)))]
            if tasks:
                driver.launchTasks(offer.id, tasks, Dict(refuse_seconds=0))
            else:
                driver.declineOffer(offer.id, Dict(refuse_seconds=3600))

    def task(self, offer, task_id):
        task = Dict(name=task_id, data=encode_data(task_id.encode()))
        task.task_id.value = task_id
        task.agent_id.value = offer.agent_id.value
        task.resources = [dict(name='cpus', type='SCALAR', scalar={'value': 0.05}),
                          dict(name='mem', type='SCALAR', scalar={'value': 16})]
        task.executor.executor_id.value = 'foreign'
        task.executor.name = 'foreign'
        task.executor.type = 'CUSTOM'
        task.executor.framework_id.value = self.seen['registered'][0][0]
        task.executor.command.value = '%s %s' % (
            sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'foreign_executor.py'))
        task.executor.resources = [dict(name='cpus', type='SCALAR', scalar={'value': 0.1}),
                                   dict(name='mem', type='SCALAR', scalar={'value': 32})]
        return task

    def statusUpdate(self, driver, update):
        task_id = update.task_id.value
        self.seen['states'].setdefault(task_id, []).append(update.state)
        if update.state == 'TASK_RUNNING':
            if task_id == VICTIM:
                driver.killTask(update.task_id)
            else:
                driver.sendFrameworkMessage(Dict(value='foreign'), update.agent_id, encode_data(task_id.encode()))
        self.end_if_all_is_over(driver)

    def frameworkMessage(self, driver, executor_id, agent_id, message):
        self.seen['messages'].append(decode_data(message).decode())
        self.end_if_all_is_over(driver)

    def end_if_all_is_over(self, driver):
        ended = [states for states in self.seen['states'].values() if states[-1] in TERMINAL]
        if len(ended) == TASKS and len(self.seen['messages']) == TASKS - 1:
            driver.stop()

    def error(self, driver, message):
        self.seen['errors'].append(message)
        driver.stop()


def main():
    framework = Dict(user=getpass.getuser(), name='foreign', hostname='localhost')
    scheduler = Foreign()
    driver = MesosSchedulerDriver(scheduler, framework, sys.argv[1], use_addict=True)
    driver.run()
    print(json.dumps(scheduler.seen))


if __name__ == '__main__':
    main()

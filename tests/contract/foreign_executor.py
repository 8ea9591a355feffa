"""The executor of foreign_scheduler.py, on pymesos 0.3.15: a task finishes when a message names it."""
from __future__ import absolute_import, division, print_function

import time

from addict import Dict
from pymesos import Executor, MesosExecutorDriver, decode_data, encode_data


class Foreign(Executor):

    def launchTask(self, driver, task):
        self.tell(driver, task.task_id.value, 'TASK_RUNNING')

    def frameworkMessage(self, driver, message):
        task_id = decode_data(message).decode()
        driver.sendFrameworkMessage(encode_data(b'echo:' + task_id.encode()))
        self.tell(driver, task_id, 'TASK_FINISHED')

    def killTask(self, driver, task_id):
        self.tell(driver, task_id.value, 'TASK_KILLED')

    def tell(self, driver, task_id, state):
        update = Dict(state=state, timestamp=time.time())
        update.task_id.value = task_id
        driver.sendStatusUpdate(update)


if __name__ == '__main__':
    MesosExecutorDriver(Foreign(), use_addict=True).run()

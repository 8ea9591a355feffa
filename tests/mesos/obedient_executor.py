"""An executor that does what a test tells it.

A task whose data is ``finish`` finishes at once; any other runs until it is killed. A message comes back with ``echo:``
before it; the message ``pid`` brings the process id.
"""
from __future__ import absolute_import, division, print_function

import json
import logging
import os

from pymesos import Executor, MesosExecutorDriver, decode_data, encode_data


class ObedientExecutor(Executor):

    def __init__(self):
        self.running = []

    def launchTask(self, driver, task):
        self.report(driver, task['task_id'], 'TASK_RUNNING')
        if decode_data(task.get('data', '')) == b'finish':
            self.report(driver, task['task_id'], 'TASK_FINISHED')
        else:
            self.running.append(task['task_id'])

    def killTask(self, driver, task_id, kill_policy=None):
        if task_id in self.running:
            self.running.remove(task_id)
            self.report(driver, task_id, 'TASK_KILLED', message='killed',
                        data=encode_data(json.dumps(kill_policy).encode('utf-8')))

    def frameworkMessage(self, driver, message):
        text = decode_data(message)
        answer = str(os.getpid()).encode('ascii') if text == b'pid' else b'echo:' + text
        driver.sendFrameworkMessage(encode_data(answer))

    def shutdown(self, driver):
        for task_id in self.running:
            self.report(driver, task_id, 'TASK_KILLED', message='shut down')

    def report(self, driver, task_id, state, **details):
        driver.sendStatusUpdate(dict(details, task_id=task_id, state=state))


if __name__ == '__main__':
    logging.basicConfig(level=logging.DEBUG)
    MesosExecutorDriver(ObedientExecutor()).run()

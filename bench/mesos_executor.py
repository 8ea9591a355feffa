"""An executor whose tasks are finished as soon as they run, or if it has arguments when that command has ended.

To any message it answers with its CPU time.
"""
from __future__ import absolute_import, division, print_function

import json
import subprocess
import sys
import threading

from pymesos import Executor, MesosExecutorDriver, encode_data

import clock


class Noop(Executor):
    """Sends TASK_RUNNING and TASK_FINISHED for every task."""

    def __init__(self):
        self.cpu = 0.0

    def registered(self, driver, executor_info, framework_info, agent_info):
        self.cpu = clock.cpu_seconds()

    def launchTask(self, driver, task):
        for state in ('TASK_RUNNING', 'TASK_FINISHED'):
            driver.sendStatusUpdate({'task_id': task['task_id'], 'state': state})

    def frameworkMessage(self, driver, message):
        report = json.dumps({'cpu': clock.cpu_seconds() - self.cpu})
        driver.sendFrameworkMessage(encode_data(report.encode('ascii')))


class Running(Noop):
    """The same around a command, on a thread for each task."""

    def launchTask(self, driver, task):
        threading.Thread(target=self.run, args=(driver, task)).start()

    def run(self, driver, task):
        driver.sendStatusUpdate({'task_id': task['task_id'], 'state': 'TASK_RUNNING'})
        state = 'TASK_FAILED' if subprocess.call(sys.argv[1:]) else 'TASK_FINISHED'
        driver.sendStatusUpdate({'task_id': task['task_id'], 'state': state})


if __name__ == '__main__':
    MesosExecutorDriver(Running() if sys.argv[1:] else Noop()).run()

"""The executor of hello.py: a task's data is a command, a JSON list of text, whose exit status makes the task's state.

An agent starts this program, with the environment that MesosExecutorDriver needs.
"""
from __future__ import absolute_import, division, print_function

import json
import logging
import os
import signal
import subprocess
import threading

from pymesos import Executor, MesosExecutorDriver, decode_data, encode_data

#: Bytes of a command's output that go with the last update.
MOST_OUTPUT = 1000


class CommandExecutor(Executor):
    """Runs one process for each task."""

    def __init__(self):
        self.processes = {}             # task id -> Popen, of the tasks that run
        self.killed = set()             # ids of the tasks that were to be killed

    def launchTask(self, driver, task):
        command = json.loads(decode_data(task['data']).decode('utf-8'))
        try:
            # A process group of its own, so that killTask finds the command's own children as well.
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, close_fds=True,
                                       preexec_fn=os.setpgrp)
        except OSError as error:
            self.report(driver, task['task_id'], 'TASK_FAILED', message='%s: %s' % (command[0], error))
            return
        self.processes[task['task_id']['value']] = process
        self.report(driver, task['task_id'], 'TASK_RUNNING')
        # A callback should return soon: the next one waits for it.
        waiter = threading.Thread(target=self.wait, args=(driver, task['task_id'], process))
        waiter.daemon = True
        waiter.start()

    def wait(self, driver, task_id, process):
        """Report the end of a task's process."""
        output, _ = process.communicate()
        del self.processes[task_id['value']]
        state = 'TASK_FINISHED' if process.returncode == 0 else 'TASK_FAILED'
        if task_id['value'] in self.killed:
            state = 'TASK_KILLED'
        self.report(driver, task_id, state, message='exit status %d' % process.returncode,
                    data=encode_data(output[-MOST_OUTPUT:]))

    def report(self, driver, task_id, state, **details):
        """Send an update. The driver keeps it until the agent has it: what happens to the connection is no matter."""
        driver.sendStatusUpdate(dict(details, task_id=task_id, state=state))

    def killTask(self, driver, task_id):
        process = self.processes.get(task_id['value'])
        if process is None:
            return                      # it has ended
        self.killed.add(task_id['value'])
        try:
            os.killpg(process.pid, signal.SIGTERM)
        except OSError:                 # it has ended just now
            self.killed.discard(task_id['value'])

    def shutdown(self, driver):
        for name in list(self.processes):
            self.killTask(driver, {'value': name})


if __name__ == '__main__':
    logging.basicConfig(level=logging.INFO)     # the agent puts it into the sandbox's stderr
    MesosExecutorDriver(CommandExecutor()).run()

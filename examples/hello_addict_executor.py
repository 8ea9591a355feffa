"""The executor of hello_addict.py: it sends a task's data back as a message and finishes the task."""
from __future__ import absolute_import, division, print_function

import threading

from addict import Dict

from pymesos import Executor, MesosExecutorDriver


class EchoExecutor(Executor):
    """Runs each task in a thread."""

    def launchTask(self, driver, task):
        # A callback should return soon: the next one waits for it.
        thread = threading.Thread(target=self.work, args=(driver, task))
        thread.daemon = True
        thread.start()

    def work(self, driver, task):
        """What a task does."""
        status = Dict()
        status.task_id = task.task_id
        status.state = 'TASK_RUNNING'
        driver.sendStatusUpdate(status)

        driver.sendFrameworkMessage(task.data)

        status = Dict()
        status.task_id = task.task_id
        status.state = 'TASK_FINISHED'
        driver.sendStatusUpdate(status)


if __name__ == '__main__':
    MesosExecutorDriver(EchoExecutor(), use_addict=True).run()

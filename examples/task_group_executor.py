"""The executor of task_group.py: it runs the tasks of a group together, and if one does not finish it ends the rest."""
from __future__ import absolute_import, division, print_function

import logging

from hello_executor import CommandExecutor

from pymesos import MesosExecutorDriver


class GroupExecutor(CommandExecutor):
    """Mesos says only which tasks are a group: what that means is the executor's to say."""

    def __init__(self):
        super(GroupExecutor, self).__init__()
        self.group = []
        self.is_broken = False

    def launchTaskGroup(self, driver, tasks):
        self.group = [task['task_id'] for task in tasks]
        for task in tasks:
            self.launchTask(driver, task)
        if self.is_broken:              # by one that ended before the others had begun
            self.kill_all(driver)

    def report(self, driver, task_id, state, **details):
        super(GroupExecutor, self).report(driver, task_id, state, **details)
        if state in ('TASK_FAILED', 'TASK_KILLED'):
            self.is_broken = True
            self.kill_all(driver)

    def kill_all(self, driver):
        """End what is left of the group."""
        for task_id in self.group:
            self.killTask(driver, task_id)


if __name__ == '__main__':
    logging.basicConfig(level=logging.INFO)
    MesosExecutorDriver(GroupExecutor()).run()

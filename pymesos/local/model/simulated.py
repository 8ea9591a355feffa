"""An executor that only pretends: for clusters of a thousand agents, to test schedulers at scale."""
from __future__ import absolute_import, division, print_function

from .builtin import BuiltinExecutor, Run

__all__ = ['SimulatedExecutor']

#: What the first update of each task says, so that nobody is led to believe.
MESSAGE = 'Simulated: no process was started'


class SimulatedExecutor(BuiltinExecutor):
    """Says that every task runs and, after ``options.simulated_seconds``, that it has finished.

    It stands for any executor, and ends when it has no task left.
    """

    def launch(self, tasks, is_group):
        for task in tasks:
            run = self.runs[task.id] = Run(task.info, self.executor.container)
            self.say(run, 'TASK_RUNNING', MESSAGE)
            self.set_timer('done', run, self.agent.options.simulated_seconds)

    def kill(self, task_id, kill_policy=None):
        if task_id in self.runs:
            self._finish(self.runs[task_id], 'TASK_KILLED')

    def shutdown(self):
        for run in list(self.runs.values()):
            self._finish(run, 'TASK_KILLED')
        self._end_if_idle()

    def on_timer(self, what, task_id):
        run = self.runs.get(task_id)
        if run is not None and what == 'done':
            self._finish(run, 'TASK_FINISHED')

    def recover(self, items):
        super(SimulatedExecutor, self).recover(items)
        for run in self.runs.values():
            self.set_timer('done', run, self.agent.options.simulated_seconds)
        self._end_if_idle()

    def _finish(self, run, state):
        self.cancel_timer('done', run)
        del self.runs[run.id]
        self.say(run, state, MESSAGE)
        self._end_if_idle()

    def _end_if_idle(self):
        if not self.runs:
            self.agent.tree.end(self.executor.container, 0)

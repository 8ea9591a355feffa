"""A framework of the tutorial: runs commands, each as a task, wherever there is room, and tells how each has ended.

    python batch.py local 'echo one' 'sleep 1' 'exit 3'
"""
from __future__ import absolute_import, division, print_function

import getpass
import sys

from pymesos import MesosSchedulerDriver, Scheduler
from pymesos.resources import Resources

FOR_TASK = 'cpus:0.1;mem:32'
ENDED = ('TASK_FINISHED', 'TASK_FAILED', 'TASK_KILLED', 'TASK_ERROR')
RUN_AGAIN = ('TASK_LOST',)


class Batch(Scheduler):
    """Runs `commands` (a list of shell commands); `ended` is {number of the command: state it ended in}."""

    def __init__(self, commands):
        self.commands = commands
        self.waiting = list(range(len(commands)))
        self.ended = {}

    def resourceOffers(self, driver, offers):
        for offer in offers:
            rest, tasks = Resources(offer['resources']), []
            while self.waiting and rest.has(FOR_TASK):
                resources, rest = rest.take(FOR_TASK)
                tasks.append(self.task(self.waiting.pop(0), offer['agent_id'], resources))
            driver.launchTasks(offer['id'], tasks)      # without tasks it declines the offer
        if not self.waiting:
            driver.suppressOffers()

    def task(self, number, agent_id, resources):
        """The TaskInfo of a command."""
        return {'task_id': {'value': str(number)}, 'name': self.commands[number], 'agent_id': agent_id,
                'command': {'value': self.commands[number]}, 'resources': resources.to_list()}

    def statusUpdate(self, driver, status):
        number, state = int(status['task_id']['value']), status['state']
        if number in self.ended:                        # the same update may come twice
            return
        if state in RUN_AGAIN:
            self.waiting.append(number)
            driver.reviveOffers()
        elif state in ENDED:
            self.ended[number] = state
            print('%s: %s %s' % (self.commands[number], state, status.get('message', '')))
        if len(self.ended) == len(self.commands):
            driver.stop()


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    batch = Batch(sys.argv[2:])
    driver = MesosSchedulerDriver(batch, {'name': 'batch', 'user': getpass.getuser()}, sys.argv[1])
    try:
        driver.run()
    finally:                    # also on Ctrl-C: without it a master waits for the framework to come back
        driver.stop()
        driver.join()
    sys.exit(0 if set(batch.ended.values()) == {'TASK_FINISHED'} else 1)


if __name__ == '__main__':
    main()

"""Launches shell commands as one task group: all of them on one agent, or none.

    python task_group.py 10.0.0.1:5050 'date > when; sleep 1' 'sleep 0.5; cat when'

They share a folder, the sandbox of the executor, task_group_executor.py. If one fails the others are killed.
"""
from __future__ import absolute_import, division, print_function

import getpass
import json
import logging
import sys

from hello import ENDED, FOR_TASK, command_line, executor_info, make_driver, run

from pymesos import Scheduler, decode_data, encode_data
from pymesos.resources import Resources, parse
from pymesos.wire.calls import launch_group

#: Unlike that of single tasks the executor of a group must have disk.
FOR_EXECUTOR = parse('cpus:0.1;mem:32;disk:10')


class GroupScheduler(Scheduler):
    """Launches one group and stops the driver when all its tasks have ended."""

    def __init__(self, executor, commands):
        self.executor = executor
        self.commands = commands
        self.states = {}                # name -> latest state

    def resourceOffers(self, driver, offers):
        for offer in offers:
            rest = Resources(offer['resources'])
            if self.states or not rest.has(sum([FOR_TASK] * len(self.commands), FOR_EXECUTOR)):
                driver.declineOffer(offer['id'])
                continue
            tasks = []
            for number, command in enumerate(self.commands):
                resources, rest = rest.take(FOR_TASK)
                tasks.append(self.task('member-%d' % number, command, offer['agent_id'], resources))
                self.states['member-%d' % number] = 'TASK_STAGING'
            # For a group Mesos does not fill in the executor's framework id.
            executor = dict(self.executor, type='CUSTOM', framework_id={'value': driver.framework_id},
                            resources=FOR_EXECUTOR.to_list())
            driver.acceptOffers(offer['id'], [launch_group(executor, tasks)])

    def task(self, name, command, agent_id, resources):
        """A TaskInfo; the executor is the group's."""
        return {
            'task_id': {'value': name},
            'name': name,
            'agent_id': agent_id,
            'resources': resources.to_list(),
            'data': encode_data(json.dumps(['/bin/sh', '-c', command]).encode('utf-8')),
        }

    def statusUpdate(self, driver, status):
        output = decode_data(status.get('data', '')).decode('utf-8', 'replace').strip()
        print('%s: %s: %s' % (status['task_id']['value'], status['state'], output or status.get('message', '')))
        self.states[status['task_id']['value']] = status['state']
        if all(state in ENDED for state in self.states.values()):
            driver.stop()


def main():
    parser = command_line('Run shell commands as one task group.')
    parser.add_argument('commands', nargs='+', metavar='COMMAND', help='a shell command, one for each task')
    options = parser.parse_args()
    executor = executor_info('task-group', 'task_group_executor.py', options.executor)
    scheduler = GroupScheduler(executor, options.commands)
    framework = {'name': 'task-group', 'user': getpass.getuser(), 'checkpoint': True}
    run(make_driver(scheduler, framework, options), parser)
    is_done = bool(scheduler.states) and set(scheduler.states.values()) == {'TASK_FINISHED'}
    print('the group has finished' if is_done else 'the group has not finished')
    sys.exit(0 if is_done else 1)


if __name__ == '__main__':
    logging.basicConfig(level=logging.WARNING)
    main()

"""A minimal framework: runs one command somewhere on the cluster. python minimal.py 10.0.0.1:5050"""
from __future__ import absolute_import, division, print_function

import getpass
import logging
import sys

from pymesos import MesosSchedulerDriver, Scheduler
from pymesos.resources import Resources

logging.basicConfig(level=logging.INFO)


class Minimal(Scheduler):
    launched = False

    def resourceOffers(self, driver, offers):
        for offer in offers:
            offered = Resources(offer['resources'])
            if self.launched or not offered.has('cpus:0.1;mem:32'):
                driver.declineOffer(offer['id'])
                continue
            self.launched = True
            task, _rest = offered.take('cpus:0.1;mem:32')
            driver.launchTasks(offer['id'], [{
                'task_id': {'value': 'hello'}, 'name': 'hello', 'agent_id': offer['agent_id'],
                'command': {'value': 'echo Hello from $(hostname)'}, 'resources': task.to_list()}])

    def statusUpdate(self, driver, status):
        print(status['task_id']['value'], status['state'], status.get('message', ''))
        if status['state'] not in ('TASK_STAGING', 'TASK_STARTING', 'TASK_RUNNING'):
            driver.stop()


if len(sys.argv) != 2:
    sys.exit(__doc__)
driver = MesosSchedulerDriver(Minimal(), {'name': 'minimal', 'user': getpass.getuser()}, sys.argv[1])
try:
    driver.run()
finally:                    # also on Ctrl-C: without it the master waits for the framework to come back
    driver.stop()
sys.exit(1 if driver.failure else 0)

"""A scheduler that can be killed at any time: started again, it picks up where it stopped.

    python failover.py 10.0.0.1:5050 --state /var/lib/batch.json --jobs 20

It keeps its framework id and its jobs in a file that it writes before it acts. When it has subscribed it reconciles:
it asks for the state of its tasks until it has an answer for each, since what the master sent meanwhile may be lost.
After Ctrl-C and SIGTERM the tasks live on as well. The executor is that of hello.py.
"""
from __future__ import absolute_import, division, print_function

import getpass
import json
import logging
import os
import signal
import sys
import threading

from hello import ENDED, FOR_EXECUTOR, FOR_TASK, command_line, executor_info, make_driver

from pymesos import Scheduler, encode_data
from pymesos.errors import ConnectionFailed, InvalidAddress
from pymesos.resources import Resources

#: Seconds that the tasks live on without a scheduler.
FAILOVER_TIMEOUT = 3600.0

#: Seconds until a question that was not answered is asked again, at first and at most.
FIRST_REPEAT, LAST_REPEAT = 1.0, 60.0

#: Seconds from one round of questions to the next, all answered or not: an update of the master's may get lost.
PERIOD = 900.0

#: The state of a job that has no task yet.
WAITING = 'WAITING'


class Ledger(object):
    """The framework's id and its jobs, in memory and in a file.

    A job is a dict: ``state``, ``tries``, and of its latest task ``task_id`` and ``agent_id``. Only the callbacks'
    thread changes anything.
    """

    def __init__(self, path, count):
        self.path = path
        self.framework_id = None
        self.jobs = dict(('job-%d' % number, {'state': WAITING, 'tries': 0}) for number in range(count))
        if os.path.exists(path):
            with open(path) as stream:
                found = json.load(stream)
            self.framework_id, self.jobs = found['framework_id'], found['jobs']

    def save(self):
        """Replace the file: a reader, and a crash, find the old one or the new one, whole."""
        with open(self.path + '.new', 'w') as stream:
            json.dump({'framework_id': self.framework_id, 'jobs': self.jobs}, stream, indent=1, sort_keys=True)
            stream.flush()
            os.fsync(stream.fileno())
        os.rename(self.path + '.new', self.path)

    def forget(self):
        """Remove the file: the framework is no more, and the next one begins anew."""
        if os.path.exists(self.path):
            os.remove(self.path)

    def in_state(self, *states):
        """The names of the jobs in one of these states."""
        return sorted(name for name in self.jobs if self.jobs[name]['state'] in states)

    @property
    def is_done(self):
        """Whether all jobs have ended."""
        return len(self.in_state(*ENDED)) == len(self.jobs)

    @property
    def under_way(self):
        """The jobs that have a task which has not ended."""
        return [job for job in self.jobs.values() if job['state'] != WAITING and job['state'] not in ENDED]


class Reconciler(object):
    """Asks for the state of tasks until each has an answer (truncated exponential back-off), one round at a time.

    A master that has just started gives no answer for agents that it waits for: one question is not enough.
    """

    def __init__(self, ledger):
        self.ledger = ledger
        self.timer = None
        self.is_active = False
        self.unanswered = {}            # task id -> what reconcileTasks takes
        self.lock = threading.Lock()    # guards the above: the timers have threads of their own

    def begin(self, driver):
        """Begin a round, in place of one that is under way; further rounds follow until :meth:`stop`."""
        self.is_active = True
        self.ask_for_all(driver)

    def ask_for_all(self, driver):
        """Ask for all tasks that have not ended."""
        tasks = dict((job['task_id'], {'task_id': {'value': job['task_id']}, 'agent_id': {'value': job['agent_id']}})
                     for job in self.ledger.under_way)
        with self.lock:
            self.unanswered = tasks
        self.ask(driver, FIRST_REPEAT)

    def ask(self, driver, repeat):
        """Ask for what is unanswered, and again after `repeat` seconds."""
        with self.lock:
            if not self.is_active:
                return
            tasks = list(self.unanswered.values())
            if tasks:
                self.arm(repeat, self.ask, driver, min(2 * repeat, LAST_REPEAT))
            else:
                self.arm(PERIOD, self.ask_for_all, driver)
        if tasks:
            print('reconciling %d tasks' % len(tasks))
            try:
                driver.reconcileTasks(tasks)
            except ConnectionFailed as error:       # the driver connects again, and then this begins anew
                logging.warning('not reconciled: %s', error)

    def answered(self, task_id):
        """There is news of a task."""
        with self.lock:
            self.unanswered.pop(task_id, None)

    def stop(self):
        """Ask no more, until the next :meth:`begin`."""
        with self.lock:
            self.is_active = False
            if self.timer is not None:
                self.timer.cancel()

    def close(self):
        """The same, and wait for the timer's thread."""
        self.stop()
        if self.timer is not None:
            self.timer.join()

    def arm(self, delay, function, *args):
        """Have the timer call a function; the lock is held."""
        if self.timer is not None:
            self.timer.cancel()
        self.timer = threading.Timer(delay, function, args)
        self.timer.daemon = True
        self.timer.start()


class BatchScheduler(Scheduler):
    """Runs each job once, and once more if its task is lost; stops the driver when all have ended."""

    def __init__(self, executor, ledger, seconds):
        self.executor = executor
        self.ledger = ledger
        self.seconds = seconds
        self.reconciler = Reconciler(ledger)

    def registered(self, driver, framework_id, master_info):
        print('registered as %s' % framework_id['value'])
        self.ledger.framework_id = framework_id['value']
        self.ledger.save()

    def reregistered(self, driver, master_info):
        print('registered again as %s' % driver.framework_id)
        self.reconciler.begin(driver)

    def disconnected(self, driver):
        self.reconciler.stop()

    def resourceOffers(self, driver, offers):
        for offer in offers:
            rest, tasks = Resources(offer['resources']), []
            for name in self.ledger.in_state(WAITING):
                if not rest.has(FOR_TASK + FOR_EXECUTOR):
                    break
                resources, rest = rest.take(FOR_TASK)
                tasks.append(self.task(name, offer['agent_id'], resources))
            self.ledger.save()          # before the launch: a task that is not in the file could not be taken over
            try:
                driver.launchTasks(offer['id'], tasks)
            except ConnectionFailed as error:
                logging.warning('it is not known whether these were launched: %s', error)
                self.reconciler.begin(driver)

    def task(self, name, agent_id, resources):
        """A TaskInfo for the next try of a job, which is under way from here on."""
        tries = self.ledger.jobs[name]['tries'] + 1
        task_id = '%s.%d' % (name, tries)
        self.ledger.jobs[name] = {
            'state': 'TASK_STAGING', 'tries': tries, 'task_id': task_id, 'agent_id': agent_id['value']}
        command = ['sleep', '%g' % self.seconds]
        return {
            'task_id': {'value': task_id},
            'name': name,
            'agent_id': agent_id,
            'executor': self.executor,
            'resources': resources.to_list(),
            'data': encode_data(json.dumps(command).encode('utf-8')),
        }

    def statusUpdate(self, driver, status):
        task_id, state = status['task_id']['value'], status['state']
        self.reconciler.answered(task_id)
        job = self.ledger.jobs.get(task_id.rpartition('.')[0])
        if job is None or job.get('task_id') != task_id:
            if state not in ENDED:      # a task that was lost has come back, but there is another by now
                self.kill(driver, status)
        elif job['state'] not in ENDED and job['state'] != state:
            print('%s: %s: %s' % (task_id, state, status.get('message', '')))
            job['state'] = WAITING if state == 'TASK_LOST' else state
            # The update is acknowledged when this has returned, so it has to be in the file by then.
            self.ledger.save()
        if self.ledger.is_done:
            driver.teardown()

    def kill(self, driver, status):
        """Kill the task that an update is about."""
        try:
            driver.killTask(status['task_id'], status.get('agent_id'))
        except ConnectionFailed as error:       # its next update gives another chance
            logging.warning('not killed: %s', error)


def run(driver, parser):
    """Run the driver until it ends; a signal ends it, but not its tasks."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: driver.stop(failover=True))
    try:
        driver.run()
    except InvalidAddress as error:
        parser.error(str(error))
    finally:
        driver.sched.reconciler.close()


def main():
    parser = command_line('Run jobs on Mesos, and take over those of an earlier run.')
    parser.add_argument('--state', required=True, metavar='FILE', help='where what has to be remembered is kept')
    parser.add_argument('--jobs', type=int, default=10, help='how many, in a new file (10)')
    parser.add_argument('--seconds', type=float, default=1.0, help='how long each one takes (1)')
    options = parser.parse_args()
    ledger = Ledger(options.state, options.jobs)
    framework = {'name': 'batch', 'user': getpass.getuser(), 'checkpoint': True, 'failover_timeout': FAILOVER_TIMEOUT}
    if ledger.framework_id:
        framework['id'] = {'value': ledger.framework_id}
    executor = executor_info('batch', 'hello_executor.py', options.executor)
    if not ledger.is_done:
        run(make_driver(BatchScheduler(executor, ledger, options.seconds), framework, options, failover=True), parser)
    finished = len(ledger.in_state('TASK_FINISHED'))
    print('%d of %d jobs finished' % (finished, len(ledger.jobs)))
    if ledger.is_done:
        ledger.forget()
    sys.exit(0 if finished == len(ledger.jobs) else 1)


if __name__ == '__main__':
    logging.basicConfig(level=logging.WARNING)
    main()

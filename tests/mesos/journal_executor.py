"""An executor that reports a lot and writes down, in files of JOURNAL_DIR, what it reported.

Each task reports twice when it is launched, once more when there is a file ``go``, and twice more when there is a file
``end``; the last time with a state that only the executor knows, for it is drawn. The journal has one line for each
update, written before it is sent: the task's id, the number of the update, its state and its uuid. Other lines begin
with a word in capitals.
"""
from __future__ import absolute_import, division, print_function

import logging
import os
import random
import threading
import time
import uuid

from pymesos import Executor, MesosExecutorDriver, encode_data

#: What a task reports when it is launched, and what when there is one file and the other.
FIRST = ('TASK_STARTING', 'TASK_RUNNING')
LATER = (('go', 'TASK_RUNNING'), ('end', 'TASK_RUNNING'), ('end', None))
ENDS = ('TASK_FINISHED', 'TASK_FAILED', 'TASK_KILLED')

#: Seconds between two looks for the file.
INTERVAL = 0.02

#: Seconds between two updates: the faults of the tests shall find some on their way, and some yet to come.
PACE = 0.005


class JournalExecutor(Executor):

    def __init__(self, folder, name):
        self.folder = folder
        self.journal = os.open(os.path.join(folder, 'journal-%s-%d' % (name, os.getpid())),
                               os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.tasks = []
        self.worker = None

    def note(self, *words):
        os.write(self.journal, (' '.join(str(word) for word in words) + '\n').encode('ascii'))

    def registered(self, driver, executor_info, framework_info, agent_info):
        self.note('REGISTERED')
        self.worker = threading.Thread(target=self.work, args=(driver,))
        self.worker.daemon = True
        self.worker.start()

    def reregistered(self, driver, agent_info):
        self.note('REREGISTERED')

    def disconnected(self, driver):
        self.note('DISCONNECTED')

    def launchTask(self, driver, task):
        self.tasks.append(task['task_id'])

    def killTask(self, driver, task_id):
        self.note('KILL', task_id['value'])

    def shutdown(self, driver):
        self.note('SHUTDOWN')

    def error(self, driver, message):
        self.note('ERROR', repr(message))

    def work(self, driver):
        """Report, one update after the other."""
        begun = 0
        while not self.may('go') or begun < len(self.tasks):
            if begun == len(self.tasks):
                time.sleep(INTERVAL)
                continue
            for number, state in enumerate(FIRST):
                self.report(driver, self.tasks[begun], number, state)
            begun += 1
        for number, (gate, state) in enumerate(LATER):
            while not self.may(gate):
                time.sleep(INTERVAL)
            for task_id in self.tasks:
                self.report(driver, task_id, len(FIRST) + number, state or random.choice(ENDS))
                time.sleep(PACE)

    def may(self, gate):
        return os.path.exists(os.path.join(self.folder, gate))

    def report(self, driver, task_id, number, state):
        status = {'task_id': task_id, 'state': state, 'message': str(number),
                  'uuid': encode_data(uuid.uuid4().bytes)}
        self.note(task_id['value'], number, state, status['uuid'])
        driver.sendStatusUpdate(status)


if __name__ == '__main__':
    logging.basicConfig(level=logging.DEBUG, format='%(asctime)s %(levelname)s %(name)s: %(message)s')
    executor = JournalExecutor(os.environ['JOURNAL_DIR'], os.environ['MESOS_EXECUTOR_ID'])
    MesosExecutorDriver(executor).run()

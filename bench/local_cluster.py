"""Runs many tasks through the embedded cluster and through a real Mesos, in one run, and looks for what is left over.

``python bench/local_cluster.py [--agents 10] [--commands 5000] [--tasks 20000] [--real-share 0.1]`` prints for both
clusters the tasks per second, their ratio, and what the embedded one has left over: descriptors, threads, children,
and resident memory after the first and after the last tenth. The real one gets `--real-share` of the tasks, as its
figure is tasks per second too. ``--simulated 1000 --frameworks 200`` runs frameworks on agents that start no process
instead.
"""
from __future__ import absolute_import, division, print_function

import argparse
import gc
import getpass
import os
import sys
import threading

import clock
import pymesos
from pymesos.local import LocalCluster
from pymesos.resources import Resources, parse

HERE = os.path.dirname(os.path.abspath(__file__))
EXECUTOR = os.path.join(HERE, 'mesos_executor.py')
RESOURCES = 'cpus:4;mem:8192;disk:10000'

FOR_COMMAND, FOR_TASK, FOR_EXECUTOR = parse('cpus:0.1;mem:32'), parse('cpus:0.001;mem:1'), parse('cpus:0.1;mem:64')

#: Offers come again at once, so that neither cluster waits for them.
ALLOCATION_INTERVAL = 0.02

DEADLINE = 3600


class Load(pymesos.Scheduler):
    """Keeps up to `at_once` tasks on the cluster until `count` have finished.

    `executor` makes an ExecutorInfo for an agent's id, or is None for command tasks.
    """

    def __init__(self, count, at_once, executor=None, resources=FOR_COMMAND, command='exit 0'):
        self.count = count
        self.at_once = at_once
        self.executor = executor
        self.resources = resources
        self.command = command
        self.launched = self.finished = 0
        self.is_done = threading.Event()
        self.failure = None
        self.begun = self.ended = None

    def resourceOffers(self, driver, offers):
        unused = []
        for offer in offers:
            rest, tasks = Resources(offer['resources']), []
            needs = self.resources if self.executor is None else self.resources + FOR_EXECUTOR
            room = rest.has(needs)
            while room and self.launched < self.count and self.launched - self.finished < self.at_once:
                taken, rest = rest.take(self.resources)
                tasks.append(self._task(offer, taken))
                self.launched += 1
                room = rest.has(needs)
            self.begun = self.begun or clock.seconds()
            if tasks:
                driver.launchTasks(offer['id'], tasks, self._filters())
            else:
                unused.append(offer['id'])
        if unused:
            driver.declineOffer(unused, self._filters())

    def _filters(self):
        return {'refuse_seconds': 0 if self.launched < self.count else 3600}

    def _task(self, offer, taken):
        task = {'name': 'load', 'task_id': {'value': 'task-%d' % self.launched}, 'agent_id': offer['agent_id'],
                'resources': taken.to_list()}
        if self.executor is None:
            task['command'] = {'value': self.command}
        else:
            task['executor'] = self.executor(offer['agent_id']['value'])
        return task

    def statusUpdate(self, driver, status):
        if status['state'] == 'TASK_FINISHED':
            self.finished += 1
            if self.finished == self.count:
                self.ended = clock.seconds()
                self.is_done.set()
        elif status['state'] not in ('TASK_STARTING', 'TASK_RUNNING'):
            self.fail('%s: %s' % (status['state'], status.get('message')))

    def error(self, driver, message):
        self.fail(message)

    def fail(self, why):
        self.failure = why
        self.is_done.set()


def executor_info(_agent_id):
    library = os.path.dirname(os.path.dirname(os.path.abspath(pymesos.__file__)))
    return {'executor_id': {'value': 'load'}, 'name': 'load', 'type': 'CUSTOM',
            'command': {'value': 'exec %s %s' % (sys.executable, EXECUTOR),
                        'environment': {'variables': [{'name': 'PYTHONPATH', 'value': library}]}},
            'resources': FOR_EXECUTOR.to_list()}


def run(master, load):
    """Tasks per second of a load."""
    driver = pymesos.MesosSchedulerDriver(load, {'user': getpass.getuser(), 'name': 'load'}, master)
    driver.start()
    if not load.is_done.wait(DEADLINE) or load.failure:
        raise RuntimeError('%d of %d tasks finished: %s' % (load.finished, load.count, load.failure))
    driver.stop()
    driver.join()
    return load.count / (load.ended - load.begun)


class Loads(object):
    """The two kinds of task, in the numbers that the command line says."""

    def __init__(self, options):
        self.options = options

    def commands(self, share=1.0):
        return Load(int(self.options.commands * share), 100)

    def tasks(self, share=1.0):
        return Load(int(self.options.tasks * share), 1000, executor_info, FOR_TASK)


def used():
    """What this process holds: (descriptors, threads, children, resident MB)."""
    gc.collect()                        # PyPy closes what nobody refers to only then
    pid = os.getpid()
    children = 0
    for name in os.listdir('/proc'):
        try:
            with open('/proc/%s/stat' % name) as stat:
                children += stat.read().rpartition(')')[2].split()[1] == str(pid)
        except EnvironmentError:
            continue
    with open('/proc/self/statm') as statm:
        resident = int(statm.read().split()[1]) * os.sysconf('SC_PAGE_SIZE') / 2.0 ** 20
    return len(os.listdir('/proc/self/fd')), threading.active_count(), children, resident


def run_embedded(loads, agents):
    """{kind: tasks per second}; prints what is held before, after a tenth and after the rest."""
    found = {}
    show('before', used())
    with LocalCluster(agents=agents, resources=RESOURCES,
                      master_options={'allocation_interval': ALLOCATION_INTERVAL}) as cluster:
        for kind in ('commands', 'tasks'):
            run(cluster.master, getattr(loads, kind)(0.1))
            show('%s, a tenth' % kind, used())
            found[kind] = run(cluster.master, getattr(loads, kind)())
            show('%s, all' % kind, used())
    show('closed', used())
    return found


def run_real(loads, agents, share):
    sys.path.insert(0, os.path.join(os.path.dirname(HERE), 'tests', 'mesos'))
    import real_mesos
    with real_mesos.RealMesos(agents=agents, resources=[RESOURCES] * agents,
                              master_env={'MESOS_ALLOCATION_INTERVAL': '20ms'}) as mesos:
        return {kind: run(mesos.master, getattr(loads, kind)(share)) for kind in ('commands', 'tasks')}


def run_simulated(agents, frameworks, tasks):
    """Frameworks side by side on simulated agents."""
    begun = clock.seconds()
    with LocalCluster(agents=agents, resources=RESOURCES, simulated=0.1) as cluster:
        print('%d simulated agents are up after %.2f s' % (agents, clock.seconds() - begun))
        loads = [Load(tasks, tasks) for _ in range(frameworks)]
        begun = clock.seconds()
        drivers = [pymesos.MesosSchedulerDriver(load, {'user': 'nobody', 'name': 'load'}, cluster.master)
                   for load in loads]
        for driver in drivers:
            driver.start()
        for load in loads:
            if not load.is_done.wait(DEADLINE) or load.failure:
                raise RuntimeError('%d of %d tasks: %s' % (load.finished, load.count, load.failure))
        print('%d frameworks with %d tasks each: %.1f s' % (frameworks, tasks, clock.seconds() - begun))
        show('at work', used())
        for driver in drivers:
            driver.stop()
        for driver in drivers:
            driver.join()
    show('closed', used())


def show(when, held):
    print('%-20s %4d descriptors %4d threads %3d children %7.1f MB resident' % ((when,) + held))
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--agents', type=int, default=10)
    parser.add_argument('--commands', type=int, default=5000)
    parser.add_argument('--tasks', type=int, default=20000)
    parser.add_argument('--real-share', type=float, default=0.1, help='0: no real Mesos')
    parser.add_argument('--simulated', type=int, metavar='AGENTS')
    parser.add_argument('--frameworks', type=int, default=200)
    options = parser.parse_args()
    print('pymesos %s (%s), Python %s' % (pymesos.__version__, clock.parsers(), sys.version.split()[0]))
    if options.simulated:
        return run_simulated(options.simulated, options.frameworks, 20)
    loads = Loads(options)
    embedded = run_embedded(loads, options.agents)
    real = run_real(loads, options.agents, options.real_share) if options.real_share else {}
    for kind in ('commands', 'tasks'):
        line = '%-10s embedded %8.1f per s' % (kind, embedded[kind])
        if real:
            line += ', real %8.1f per s, ratio %.2f' % (real[kind], embedded[kind] / real[kind])
        print(line)


if __name__ == '__main__':
    main()

"""A pool, a clock, and short ways to tell it what Mesos, the network and users do."""
from __future__ import absolute_import, division, print_function

from pymesos.resources import parse
from pymesos.subprocess.framework.orders import Accept, End, Update
from pymesos.subprocess.framework.placement import Offer, Wanted
from pymesos.subprocess.framework.pool import Pool

SHARE = parse('cpus:0.01;mem:32')
SMALL = Wanted(parse('cpus:1;mem:64'), (), '*', 'k', SHARE)
BIG = Wanted(parse('cpus:4;mem:64'), (), '*', 'k', SHARE)


class Play(object):
    """A pool, a clock, and what has been ordered so far."""

    def __init__(self, is_subscribed=True, **options):
        self.now = 100.0
        self.linked = set()
        self.pool = Pool(lambda task_id: task_id in self.linked, **options)
        self.offers = 0
        self.log = []
        if is_subscribed:
            self.pool.subscribed(self.now)
            self.go()

    def go(self, seconds=0.0):
        """Let time pass, deciding whenever it is time; returns what was ordered meanwhile."""
        until, found = self.now + seconds, []
        for _ in range(100000):
            found += self.pool.decide(self.now)
            due = self.pool.next()
            if due is None or due > until:
                break
            assert due > self.now - 1e-9
            self.now = max(self.now, due)
        else:
            raise AssertionError('it never comes to rest')
        self.now = until
        self.log += found
        return found

    def submit(self, *numbers, **options):
        for number in numbers:
            self.pool.submit(number, options.get('wanted', SMALL), options.get('max_retries', 3),
                             options.get('start_timeout'), self.now)
        return self.go()

    def offer(self, text='cpus:4;mem:4096', agent='a1', role='*', attributes=()):
        self.offers += 1
        resources = parse(text).to_list()
        for resource in resources:
            resource['allocation_info'] = {'role': role}
        self.pool.offered([Offer({
            'id': {'value': 'o%d' % self.offers}, 'agent_id': {'value': agent}, 'hostname': agent + '.example',
            'allocation_info': {'role': role}, 'resources': resources, 'attributes': list(attributes)}, self.now)])
        return self.go()

    def accept(self, error=None, is_refusal=False):
        """Answer the last ACCEPT."""
        last = [order for order in self.log if isinstance(order, Accept)][-1]
        self.pool.accepted(last.serial, error, self.now, is_refusal)
        return self.go()

    def update(self, task_id, state, reason=None, message=None, returncode=None):
        self.pool.updated(Update(task_id, state, 'a1', 'SOURCE_AGENT', reason, message, returncode), self.now)
        return self.go()

    def connect(self, task_id):
        self.linked.add(task_id)
        self.pool.connected(task_id, self.now)
        return self.go()

    def cut(self, task_id):
        self.linked.discard(task_id)

    def break_(self, task_id):
        self.linked.discard(task_id)
        self.pool.broken(task_id, self.now)
        return self.go()

    def exit(self, task_id, returncode=0):
        self.pool.exited(task_id, returncode, self.now)
        return self.go()

    def settle(self, task_id):
        self.linked.discard(task_id)
        self.pool.settled(task_id, self.now)
        return self.go()

    def run(self, number=1, agent='a1'):
        """Bring a command to run; returns the id of its task."""
        self.submit(number)
        self.offer(agent=agent)
        self.accept()
        task_id = self.tasks()[-1]
        self.connect(task_id)
        self.pool.started(task_id)
        self.go()
        return task_id

    def finish(self, task_id, returncode=0):
        """Let what runs come to its proper end."""
        found = self.exit(task_id, returncode)
        found += self.settle(task_id)
        return found + self.update(task_id, 'TASK_FINISHED', returncode=returncode)

    def of(self, kind, among=None):
        """The orders of a kind, of all so far or of some."""
        return [order for order in (self.log if among is None else among) if isinstance(order, kind)]

    def tasks(self):
        """The ids of all tasks launched so far."""
        return [launch.task_id for order in self.of(Accept) for launch in order.launches]

    def ended(self, number=1):
        """The end of a command, which must have come once."""
        ends = [order for order in self.of(End) if order.number == number]
        assert len(ends) == 1
        return ends[0]

"""What becomes of commands, offers and tasks, whatever Mesos and the network may do."""
from __future__ import absolute_import, division, print_function

import random

import pytest
from subprocess_world import World, parse

from pymesos.subprocess.errors import StartFailed, StartTimeout, TaskLost
from pymesos.subprocess.orders import (Accept, AskAgents, Decline, Drop, End, Kill, Reconcile, Revive, SetRoles,
                                       Shutdown, Signal, Start, Suppress, Update)
from pymesos.subprocess.placement import Capacity, Offer, Wanted
from pymesos.subprocess.pool import Pool

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


# ---- the usual

def test_life_of_a_command():
    play = Play()
    assert play.of(Revive, play.submit(1)) == [Revive('*')]
    accept, = play.of(Accept, play.offer())
    assert (accept.agent_id, accept.offer_ids) == ('a1', ('o1',))
    launch, = accept.launches
    assert (launch.task_id, launch.number, str(launch.resources.flatten())) == ('command-1', 1, 'cpus:1;mem:64')
    assert str(launch.executor.resources.flatten()) == 'cpus:0.01;mem:32'
    assert play.accept() == []
    assert play.connect('command-1') == [Start('command-1', 1)]
    play.pool.started('command-1')
    assert play.go() == []
    assert play.update('command-1', 'TASK_RUNNING') == []
    assert play.exit('command-1', 7) == [End(1, 7, None)]
    assert play.update('command-1', 'TASK_FAILED', returncode=7) == []
    assert play.settle('command-1') == []
    assert (play.pool.running, play.pool.tasks) == (0, 0)


def test_wait_ends_by_the_update_if_it_comes_first_and_the_connection_is_gone():
    play = Play()
    task_id = play.run()
    play.cut(task_id)
    assert play.update(task_id, 'TASK_FAILED', returncode=3) == []
    play.break_(task_id)
    assert play.ended() == End(1, 3, None)


def test_commands_that_wait_are_launched_together():
    play = Play()
    play.submit(1, 2, 3)
    accept, = play.of(Accept, play.offer())
    assert [launch.number for launch in accept.launches] == [1, 2, 3]
    assert len(set(launch.executor.id for launch in accept.launches)) == 1


def test_each_agent_has_an_accept_of_its_own():
    play = Play()
    play.submit(1, 2, wanted=BIG)
    accepts = play.of(Accept, play.offer(text='cpus:4.5;mem:999', agent='a1'))
    assert [accept.agent_id for accept in accepts] == ['a1']
    accepts = play.of(Accept, play.offer(text='cpus:4.5;mem:999', agent='a2') + play.go(0.1))
    assert [accept.agent_id for accept in accepts] == ['a2']


def test_executor_that_runs_is_waited_for_before_another_is_started():
    play = Play()
    play.finish(play.run(1))
    play.go(1.0)
    play.submit(2)
    assert play.of(Accept, play.offer(agent='a2') + play.go(0.03)) == []
    accept, = play.of(Accept, play.offer(agent='a1'))
    assert accept.agent_id == 'a1'


def test_executor_that_runs_is_not_waited_for_for_long():
    play = Play()
    play.finish(play.run(1))
    play.go(1.0)
    play.submit(2)
    accept, = play.of(Accept, play.offer(agent='a2') + play.go(0.06))
    assert accept.agent_id == 'a2'


def test_all_offers_of_an_agent_are_taken_together():
    play = Play()
    play.submit(1, wanted=BIG)
    play.offer('cpus:2;mem:99')
    accept, = play.of(Accept, play.offer('cpus:2.5;mem:99'))
    assert accept.offer_ids == ('o1', 'o2')


def test_executor_is_used_again_while_it_lives():
    play = Play()
    play.finish(play.run(1))
    play.run(2)
    first, second = play.of(Accept)
    assert first.launches[0].executor is second.launches[0].executor


def test_executor_that_was_lost_is_never_used_again():
    play = Play()
    play.finish(play.run(1))
    play.pool.executor_lost(play.of(Accept)[0].launches[0].executor.id, play.now)
    play.run(2)
    first, second = play.of(Accept)
    assert first.launches[0].executor.id != second.launches[0].executor.id


def test_idle_executor_is_shut_down():
    play = Play(executor_idle=60.0)
    play.finish(play.run())
    assert play.of(Shutdown, play.go(59.0)) == []
    executor = play.of(Accept)[0].launches[0].executor
    assert play.of(Shutdown, play.go(2.0)) == [Shutdown(executor.id, 'a1')]
    assert play.pool.next() is None


def test_executor_is_not_idle_while_output_is_under_way():
    play = Play(executor_idle=60.0)
    task_id = play.run()
    play.exit(task_id)
    play.update(task_id, 'TASK_FINISHED', returncode=0)
    assert play.of(Shutdown, play.go(600.0)) == []
    play.settle(task_id)
    assert len(play.of(Shutdown, play.go(61.0))) == 1


# ---- offers

def test_idle_pool_suppresses_and_then_does_nothing_at_all():
    play = Play()
    assert play.go(0.31) == [Suppress('*')]
    assert play.pool.next() is None


def test_offer_that_nothing_fits_is_given_back_soon():
    play = Play()
    play.submit(1, wanted=BIG)
    play.offer('cpus:1;mem:99')
    assert play.of(Decline, play.go(0.2)) == []
    assert play.of(Decline, play.go(0.11)) == [Decline(['o1'], 30.0)]


def test_offer_for_an_idle_pool_is_given_back_at_once_and_the_suppression_repeated():
    play = Play()
    play.go(1.0)
    assert play.offer() == [Suppress('*'), Decline(['o1'], 5.0)]
    assert play.pool.next() is None


def test_rescinded_offer_is_not_used():
    play = Play()
    play.offer()
    play.pool.rescinded('o1')
    assert play.of(Accept, play.submit(1)) == []


def test_rescind_of_an_unknown_offer_is_harmless():
    play = Play()
    play.pool.rescinded('o9')
    assert play.go() == []


def test_held_offer_is_used_without_asking():
    play = Play()
    play.offer()
    found = play.submit(1)
    assert len(play.of(Accept, found)) == 1
    assert play.of(Revive, found) == []


def test_rest_of_an_offer_is_asked_for_as_soon_as_the_accept_is_answered():
    play = Play()
    play.submit(1, 2, wanted=BIG)
    play.go(1.0)
    play.offer('cpus:5;mem:999')
    assert play.of(Revive, play.accept()) == [Revive('*')]


def test_freed_resources_are_asked_for_at_once():
    play = Play()
    task_id = play.run(1)
    play.submit(2, wanted=BIG)
    play.go(1.0)
    play.exit(task_id)
    assert play.of(Revive, play.update(task_id, 'TASK_FINISHED', returncode=0)) == [Revive('*')]


def test_revives_are_far_between_while_they_bring_nothing():
    play = Play()
    play.submit(1, wanted=BIG)
    count = len(play.of(Revive))
    for number in range(200):
        play.submit(2 + number, wanted=BIG)
        play.go(0.001)
    assert 2 <= len(play.of(Revive)) - count <= 25
    before = len(play.of(Revive))
    play.go(60.0)
    assert 5 <= len(play.of(Revive)) - before <= 7


def test_slow_master_is_asked_less_often():
    play = Play()
    play.submit(1)
    play.go(0.2)
    play.offer()                        # 0.2 s after it was asked
    play.accept()
    play.submit(2, wanted=BIG)
    count = len(play.of(Revive))
    for _ in range(20):
        play.update('command-%d' % (100 + _), 'TASK_FINISHED')
        play.pool.accepted(77, None, play.now)
        play.go(0.01)
    assert len(play.of(Revive)) <= count + 1


def test_offers_of_a_lost_agent_are_not_used():
    play = Play()
    play.offer()
    play.pool.agent_lost('a1', play.now)
    assert play.of(Accept, play.submit(1)) == []


def test_offers_end_with_the_subscription():
    play = Play()
    play.offer()
    play.pool.disconnected(play.now)
    assert play.submit(1) == []
    play.pool.subscribed(play.now)
    assert play.go() == [Revive('*')]


# ---- fairness

def test_big_command_does_not_hold_up_small_ones():
    play = Play()
    play.submit(1, wanted=BIG)
    play.submit(2)
    accept, = play.of(Accept, play.offer('cpus:2;mem:999'))
    assert [launch.number for launch in accept.launches] == [2]


def test_big_command_is_not_starved_by_small_ones():
    play = Play()
    running = []
    play.submit(0, wanted=BIG)
    number = 0
    for step in range(200):
        number += 1
        play.submit(number)
        free = 4.5 - len(running) - (0.01 if play.of(Accept) else 0)
        found = play.offer('cpus:%g;mem:9999' % free) if free > 0.5 else []
        for accept in play.of(Accept, found):
            for launch in accept.launches:
                if launch.number == 0:
                    assert step < 20
                    return
                running.append(launch.task_id)
                play.connect(launch.task_id)
                play.pool.started(launch.task_id)
            play.accept()
        play.go(1.0)
        if len(running) >= 4 or step % 3 == 0 and running:
            play.finish(running.pop(0))
    raise AssertionError('it never ran')


def test_idle_executors_make_room_for_who_waits():
    play = Play()
    play.finish(play.run(1))
    play.submit(2, wanted=Wanted(parse('cpus:4;mem:64'), (), '*', 'other', SHARE))
    assert len(play.of(Shutdown, play.go(4.0))) == 1


# ---- what is lost before it runs

@pytest.mark.parametrize('state,reason', [
    ('TASK_LOST', 'REASON_AGENT_REMOVED'), ('TASK_DROPPED', 'REASON_AGENT_DISCONNECTED'), ('TASK_GONE', None),
    ('TASK_FAILED', 'REASON_CONTAINER_LAUNCH_FAILED'), ('TASK_KILLED', 'REASON_TASK_KILLED_DURING_LAUNCH'),
    ('TASK_UNREACHABLE', 'REASON_AGENT_REMOVED'), ('TASK_UNKNOWN', 'REASON_RECONCILIATION'),
    ('TASK_DROPPED', 'REASON_INVALID_OFFERS')])
def test_attempt_that_is_lost_before_it_ran_is_tried_again(state, reason):
    play = Play()
    play.submit(1)
    play.offer()
    play.accept()
    assert play.of(Drop, play.update('command-1', state, reason)) == [Drop('command-1')]
    play.go(5.0)
    play.offer(agent='a2')
    assert play.tasks() == ['command-1', 'command-1.2']
    assert play.connect('command-1.2') == [Start('command-1.2', 1)]


def test_lost_attempt_can_begin_nothing_any_more():
    play = Play()
    play.submit(1)
    play.offer()
    play.accept()
    play.update('command-1', 'TASK_UNREACHABLE', 'REASON_AGENT_REMOVED')
    assert play.connect('command-1') == [Drop('command-1')]


def test_lost_attempt_that_comes_back_is_killed():
    play = Play()
    play.submit(1)
    play.offer()
    play.accept()
    play.update('command-1', 'TASK_LOST')
    assert Kill('command-1', 'a1') in play.update('command-1', 'TASK_RUNNING')


def test_task_that_nobody_knows_is_killed_and_only_if_it_lives():
    play = Play()
    assert play.update('command-99', 'TASK_RUNNING') == [Kill('command-99', 'a1')]
    for state in ('TASK_FINISHED', 'TASK_UNREACHABLE', 'TASK_UNKNOWN', 'TASK_KILLING', 'TASK_LOST'):
        assert play.update('command-99', state) == []


def test_command_that_is_lost_too_often_ends_with_what_mesos_said():
    play = Play()
    play.submit(1, max_retries=1)
    for number in (1, 2):
        play.go(5.0)
        play.offer(agent='a%d' % number)
        play.update(play.tasks()[-1], 'TASK_FAILED', 'REASON_EXECUTOR_TERMINATED', 'Executor terminated')
    error = play.ended().error
    assert isinstance(error, StartFailed)
    assert str(error) == ('the command was not begun: task command-1.2 on agent a2.example TASK_FAILED '
                          '(REASON_EXECUTOR_TERMINATED): Executor terminated (and 1 before it)')
    assert (error.state, error.reason, error.message) == (
        'TASK_FAILED', 'REASON_EXECUTOR_TERMINATED', 'Executor terminated')


def test_no_retries_means_none():
    play = Play()
    play.submit(1, max_retries=0)
    play.offer()
    play.update('command-1', 'TASK_LOST', None, 'gone')
    assert isinstance(play.ended().error, StartFailed)


def test_stale_offers_are_not_held_against_the_command():
    play = Play()
    play.submit(1, max_retries=0)
    for _ in range(10):
        play.offer()
        play.update(play.tasks()[-1], 'TASK_DROPPED', 'REASON_INVALID_OFFERS')
    play.offer()
    assert play.connect('command-1.11') == [Start('command-1.11', 1)]


def test_retries_wait_longer_and_longer():
    play = Play()
    play.submit(1, max_retries=3)
    times = []
    for number in range(4):
        began = play.now
        while len(play.tasks()) == number:
            play.offer(agent='a%d' % (10 * number))
            play.go(0.05)
        times.append(play.now - began)
        play.update(play.tasks()[-1], 'TASK_LOST')
    assert times[0] < 0.1 and 0.2 < times[1] < 0.4 and 0.4 < times[2] < 0.7 and 0.9 < times[3] < 1.2


def test_agent_where_the_executor_failed_is_avoided_for_a_while():
    play = Play()
    play.submit(1)
    play.offer()
    play.update('command-1', 'TASK_FAILED', 'REASON_EXECUTOR_TERMINATED')
    play.go(0.5)
    assert play.of(Accept, play.offer()) == []
    assert play.of(Accept, play.offer(agent='a2'))[0].agent_id == 'a2'


def test_agent_is_used_again_after_a_while():
    play = Play()
    play.submit(1)
    play.offer()
    play.update('command-1', 'TASK_FAILED', 'REASON_EXECUTOR_TERMINATED')
    revives = play.of(Revive, play.go(1.1))
    assert revives
    assert len(play.of(Accept, play.offer())) == 1


def test_error_of_the_master_is_the_end():
    play = Play()
    play.submit(1)
    play.offer()
    play.update('command-1', 'TASK_ERROR', 'REASON_TASK_INVALID', "Task's name is bad")
    error = play.ended().error
    assert isinstance(error, StartFailed)
    assert "TASK_ERROR (REASON_TASK_INVALID): Task's name is bad" in str(error)


def test_error_for_an_executor_that_has_just_ended_is_tried_with_a_new_one():
    play = Play()
    play.finish(play.run(1))
    play.submit(2)
    play.offer()
    play.update('command-2', 'TASK_ERROR', 'REASON_TASK_INVALID', 'uses more than is offered')
    play.go(1.0)
    play.offer()
    first, second = play.of(Accept)[-2:]
    assert first.launches[0].executor is not second.launches[0].executor
    play.update('command-2.2', 'TASK_ERROR', 'REASON_TASK_INVALID', 'uses more than is offered')
    assert isinstance(play.ended(2).error, StartFailed)


# ---- ACCEPT

def test_accept_that_came_to_nothing_is_made_again_with_another_task():
    play = Play()
    play.submit(1)
    play.offer()
    found = play.accept(Exception('the connection broke'))
    assert play.of(Drop, found) == [Drop('command-1')]
    assert play.of(Decline, found) == [Decline(('o1',), 0.0)]
    play.go(1.0)
    play.offer()
    assert play.tasks() == ['command-1', 'command-1.2']
    assert play.connect('command-1') == [Drop('command-1')]
    assert play.connect('command-1.2') == [Start('command-1.2', 1)]


def test_task_of_an_accept_that_seemed_lost_is_killed():
    play = Play()
    play.submit(1)
    play.offer()
    found = play.accept(Exception('the connection broke')) + play.go(30.0)
    assert Kill('command-1', 'a1') in found
    play.update('command-1', 'TASK_KILLED')
    assert Kill('command-1', 'a1') not in play.go(300.0)


def test_master_that_keeps_refusing_is_an_error_with_its_words():
    play = Play()
    play.submit(1)
    for _ in range(3):
        play.go(5.0)
        play.offer()
        play.accept(Exception('400: what is that'), is_refusal=True)
    assert str(play.ended().error) == 'the master refused to launch the command: 400: what is that'


def test_answer_to_an_accept_that_is_long_over_is_harmless():
    play = Play()
    task_id = play.run()
    play.finish(task_id)
    play.pool.accepted(1, Exception('late'), play.now)
    play.pool.accepted(77, None, play.now)
    play.go()
    assert play.ended() == End(1, 0, None)


# ---- what is lost while it runs

def test_begun_command_is_never_begun_again():
    play = Play()
    play.submit(1)
    play.offer()
    play.connect('command-1')
    play.cut('command-1')
    play.update('command-1', 'TASK_LOST', 'REASON_AGENT_REMOVED', 'gone')
    play.go(100.0)
    play.offer()
    assert play.tasks() == ['command-1']
    error = play.ended().error
    assert isinstance(error, TaskLost)
    assert str(error) == ('task command-1 on agent a1.example was lost: TASK_LOST (REASON_AGENT_REMOVED): gone')
    assert (error.task_id, error.agent_id, error.state, error.reason, error.message) == (
        'command-1', 'a1', 'TASK_LOST', 'REASON_AGENT_REMOVED', 'gone')


def test_connection_that_brings_the_return_code_late_goes_before_the_update():
    play = Play()
    task_id = play.run()
    assert play.of(End, play.update(task_id, 'TASK_FAILED', 'REASON_EXECUTOR_TERMINATED')) == []
    assert play.exit(task_id, 5) == [End(1, 5, None)]
    play.go(100.0)
    play.ended()


def test_connection_that_lives_is_waited_for_when_the_update_tells_the_return_code():
    play = Play()
    task_id = play.run()
    play.update(task_id, 'TASK_FINISHED', returncode=0)
    assert play.of(End, play.go(3600.0)) == []      # what it wrote is still being read
    assert play.exit(task_id, 0) == [End(1, 0, None)]


def test_lost_executor_ends_its_commands_in_seconds():
    play = Play()
    task_id = play.run()
    play.cut(task_id)
    play.pool.executor_lost(play.of(Accept)[0].launches[0].executor.id, play.now)
    assert play.of(Reconcile, play.go(1.1)) == [Reconcile(((task_id, 'a1'),))]
    play.update(task_id, 'TASK_FAILED', 'REASON_EXECUTOR_TERMINATED', 'signal 9')
    play.go(1.0)
    assert play.ended().error.message == 'signal 9'


def test_return_code_in_the_update_counts_when_the_executor_is_gone():
    play = Play()
    task_id = play.run()
    play.cut(task_id)
    play.update(task_id, 'TASK_FAILED', returncode=-9)
    assert play.of(End, play.go(5.0)) == []
    play.pool.executor_lost(play.of(Accept)[0].launches[0].executor.id, play.now)
    play.go(1.0)
    assert play.ended() == End(1, -9, None)


def test_unreachable_agent_matters_not_while_the_connection_lives():
    play = Play()
    task_id = play.run()
    play.update(task_id, 'TASK_UNREACHABLE', 'REASON_AGENT_REMOVED')
    play.pool.agent_lost('a1', play.now)
    assert play.of(End, play.go(3600.0)) == []
    assert play.exit(task_id, 0) == [End(1, 0, None)]


def test_unreachable_agent_and_no_connection_is_lost():
    play = Play()
    task_id = play.run()
    play.update(task_id, 'TASK_UNREACHABLE', 'REASON_AGENT_REMOVED', 'health check timed out')
    play.break_(task_id)
    play.go(70.0)
    assert play.ended().error.state == 'TASK_UNREACHABLE'


def test_broken_connection_asks_mesos_at_once_and_ends_in_bounded_time():
    play = Play()
    task_id = play.run()
    assert play.of(Reconcile, play.break_(task_id)) == [Reconcile(((task_id, 'a1'),))]
    play.go(65.0)
    error = play.ended().error
    assert isinstance(error, TaskLost)
    assert str(error).endswith('was lost: its connection broke, and Mesos does not answer')
    assert Kill(task_id, 'a1') in play.log


def test_broken_connection_ends_in_bounded_time_without_a_subscription():
    play = Play()
    task_id = play.run()
    play.pool.disconnected(play.now)
    play.break_(task_id)
    play.go(65.0)
    assert isinstance(play.ended().error, TaskLost)


def test_update_with_the_return_code_may_come_after_an_answer_without():
    play = Play()
    task_id = play.run()
    play.cut(task_id)
    play.update(task_id, 'TASK_FAILED', 'REASON_RECONCILIATION')
    play.go(5.0)
    play.update(task_id, 'TASK_FAILED', returncode=3)
    play.break_(task_id)
    assert play.ended() == End(1, 3, None)


def test_end_that_mesos_insists_on_is_believed_in_the_end():
    play = Play()
    task_id = play.run()
    play.update(task_id, 'TASK_GONE', 'REASON_RECONCILIATION')
    assert play.of(End, play.go(50.0)) == []
    play.go(15.0)
    assert play.ended().error.state == 'TASK_GONE'
    assert Drop(task_id) in play.log


@pytest.mark.parametrize('updates', [
    ['TASK_RUNNING', 'TASK_RUNNING', 'TASK_FINISHED', 'TASK_FINISHED'],
    ['TASK_FINISHED', 'TASK_RUNNING'],
    ['TASK_FINISHED', 'TASK_LOST', 'TASK_STAGING'],
    ['TASK_UNREACHABLE', 'TASK_RUNNING', 'TASK_FINISHED'],
])
def test_repeated_late_and_unordered_updates_are_harmless(updates):
    play = Play()
    task_id = play.run()
    for state in updates:
        play.update(task_id, state, returncode=0 if state == 'TASK_FINISHED' else None)
    play.exit(task_id, 0)
    play.settle(task_id)
    for state in updates:
        play.update(task_id, state, returncode=0 if state == 'TASK_FINISHED' else None)
    assert play.ended() == End(1, 0, None)
    play.go(100.0)
    assert (play.pool.running, play.pool.tasks, play.pool.next()) == (0, 0, None)


def test_mesos_is_asked_for_the_end_that_only_the_connection_told():
    play = Play()
    task_id = play.run()
    play.exit(task_id)
    assert play.of(Reconcile, play.go(9.0)) == []
    assert play.of(Reconcile, play.go(2.0)) == [Reconcile(((task_id, 'a1'),))]
    play.settle(task_id)
    play.update(task_id, 'TASK_GONE', 'REASON_RECONCILIATION')
    assert play.pool.tasks == 0


# ---- staging

def test_long_staging_is_asked_about_less_and_less_often():
    play = Play()
    play.submit(1)
    play.offer()
    play.accept()
    times = []
    while len(times) < 6:
        for _ in play.of(Reconcile, play.go(0.5)):
            times.append(play.now)
    gaps = [later - earlier for earlier, later in zip(times, times[1:])]
    assert gaps == sorted(gaps) and gaps[-1] > 3 * gaps[0]


def test_staging_for_ever_is_given_up():
    play = Play()
    play.submit(1, max_retries=0)
    play.offer()
    play.accept()
    for _ in range(70):
        play.go(5.0)
        play.update('command-1', 'TASK_STAGING', 'REASON_RECONCILIATION')
    assert 'its executor did not connect within 300 s' in str(play.ended().error)
    assert Kill('command-1', 'a1') in play.log


def test_answer_that_the_task_is_unknown_makes_another_attempt():
    play = Play()
    play.submit(1)
    play.offer()
    play.accept()
    play.go(6.0)
    play.update('command-1', 'TASK_GONE', 'REASON_RECONCILIATION')
    play.go(1.0)
    play.offer()
    assert play.tasks() == ['command-1', 'command-1.2']


def test_start_timeout_withdraws_the_command():
    play = Play()
    play.submit(1, start_timeout=2.0, wanted=BIG)
    play.go(2.1)
    error = play.ended().error
    assert isinstance(error, StartTimeout)
    assert error.timeout == 2.0
    assert str(error) == 'the command did not start within 2 seconds: no offer was large enough for cpus:4;mem:64'


def test_start_timeout_withdraws_what_is_placed_and_it_cannot_begin_any_more():
    play = Play()
    play.submit(1, start_timeout=2.0)
    play.offer()
    found = play.go(2.1)
    assert Drop('command-1') in found and Kill('command-1', 'a1') in found
    assert str(play.ended().error).endswith('its executor on agent a1.example has not connected')
    assert play.connect('command-1') == [Drop('command-1')]


def test_start_timeout_does_not_concern_what_runs():
    play = Play()
    play.submit(1, start_timeout=2.0)
    play.offer()
    play.connect('command-1')
    play.pool.started('command-1')
    assert play.of(End, play.go(60.0)) == []


# ---- cancelling

def test_cancelled_while_waiting():
    play = Play()
    play.submit(1)
    play.pool.cancel(1, play.now)
    play.go(1.0)
    assert str(play.ended().error) == 'it was cancelled before it began'
    assert play.of(Accept, play.offer()) == []


def test_cancelled_while_placed_is_over_at_once_and_killed():
    play = Play()
    play.submit(1)
    play.offer()
    play.pool.cancel(1, play.now)
    found = play.go()
    assert Drop('command-1') in found and Kill('command-1', 'a1') in found
    assert isinstance(play.ended().error, StartFailed)
    assert play.connect('command-1') == [Drop('command-1')]


@pytest.mark.parametrize('is_running', [False, True])
def test_cancelled_once_begun_is_killed_until_it_is_dead(is_running):
    play = Play()
    play.submit(1)
    play.offer()
    play.connect('command-1')
    if is_running:
        play.pool.started('command-1')
    play.pool.cancel(1, play.now)
    play.pool.cancel(1, play.now)
    assert play.of(Kill, play.go()) == [Kill('command-1', 'a1')]
    assert len(play.of(Kill, play.go(20.0))) >= 2
    assert play.exit('command-1', -15) == [End(1, -15, None)]
    play.update('command-1', 'TASK_KILLED', returncode=-15)
    assert play.of(Kill, play.go(200.0)) == []


def test_cancelled_without_a_subscription_gets_a_signal_and_is_killed_later():
    play = Play()
    task_id = play.run()
    play.pool.disconnected(play.now)
    play.pool.cancel(1, play.now)
    assert play.go() == [Signal(task_id, 15)]
    play.pool.subscribed(play.now)
    assert Kill(task_id, 'a1') in play.go(1.0)


def test_cancel_after_the_end_and_of_the_unknown_is_harmless():
    play = Play()
    play.finish(play.run())
    play.pool.cancel(1, play.now)
    play.pool.cancel(99, play.now)
    assert play.of(Kill, play.go()) == []


def test_close_cancels_everything():
    play = Play()
    task_id = play.run(1)
    play.submit(2, wanted=BIG)
    play.pool.close(play.now)
    assert Kill(task_id, 'a1') in play.go()
    assert str(play.ended(2).error) == 'the cluster was closed'


def test_failure_of_the_framework_ends_everything():
    play = Play()
    play.run(1)
    play.submit(2, wanted=BIG)
    play.pool.fail(lambda has_begun: TaskLost('gone') if has_begun else StartFailed('gone'))
    play.go(1000.0)
    assert isinstance(play.ended(1).error, TaskLost)
    assert isinstance(play.ended(2).error, StartFailed)
    assert play.pool.next() is None


# ---- the master

def test_all_tasks_are_reconciled_after_every_subscription():
    play = Play()
    running = play.run(1)
    play.submit(2)
    play.offer()
    play.pool.disconnected(play.now)
    assert play.go(30.0) == []
    play.pool.subscribed(play.now)
    assert play.of(Reconcile, play.go()) == [Reconcile(((running, 'a1'), ('command-2', 'a1')))]


def test_silence_after_a_subscription_is_not_taken_for_an_answer():
    play = Play()
    play.submit(1)
    play.offer()
    play.pool.disconnected(play.now)
    play.pool.subscribed(play.now)
    assert len(play.of(Reconcile, play.go(30.0))) >= 3


def test_command_runs_on_through_a_fail_over():
    play = Play()
    task_id = play.run()
    play.pool.disconnected(play.now)
    play.go(30.0)
    assert play.exit(task_id, 4) == [End(1, 4, None)]


def test_nothing_is_asked_of_mesos_without_a_subscription():
    play = Play()
    play.run(1)
    play.submit(2, start_timeout=10.0)
    play.offer()
    play.pool.disconnected(play.now)
    assert set(type(order) for order in play.go(100.0)) <= {End, Drop}


# ---- roles

def test_role_of_a_command_is_added_to_the_framework():
    play = Play()
    eng = Wanted(parse('cpus:1;mem:64'), (), 'eng', 'k', SHARE)
    assert play.submit(1, wanted=eng) == [SetRoles(['*', 'eng'], [])]
    play.submit(2, wanted=eng)
    assert play.of(SetRoles) == [SetRoles(['*', 'eng'], [])]
    play.pool.roles_set(['*', 'eng'], None, play.now)
    assert play.of(Revive, play.go()) == [Revive('eng')]
    assert len(play.of(Accept, play.offer(role='eng'))) == 1


def test_role_that_the_master_does_not_take_is_an_error_with_its_words():
    play = Play()
    play.submit(1, wanted=Wanted(parse('cpus:1;mem:64'), (), 'eng', 'k', SHARE))
    for _ in range(3):                  # as it says no as well while it thinks that there is no subscription
        play.pool.roles_set(['*', 'eng'], Exception('400: no such role'), play.now, True)
        play.go(1.1)
    assert str(play.ended().error) == 'the master does not take the role eng: 400: no such role'
    assert play.of(Accept, play.submit(2) + play.offer())


def test_role_is_asked_for_again_when_the_call_got_lost():
    play = Play()
    play.submit(1, wanted=Wanted(parse('cpus:1;mem:64'), (), 'eng', 'k', SHARE))
    play.pool.roles_set(['*', 'eng'], Exception('the connection broke'), play.now)
    assert play.of(SetRoles, play.go(0.5)) == []
    assert len(play.of(SetRoles, play.go(1.0))) == 1


def test_only_the_role_that_has_something_to_do_is_revived():
    play = Play(role='ops')
    play.go(1.0)
    eng = Wanted(parse('cpus:1;mem:64'), (), 'eng', 'k', SHARE)
    assert play.submit(1, wanted=eng) == [SetRoles(['eng', 'ops'], ['ops'])]
    play.pool.roles_set(['eng', 'ops'], None, play.now)
    assert play.go() == [Revive('eng')]


# ---- what can never be

def tell_agents(play, *texts):
    play.pool.told_of_agents(None if texts == (None,) else [
        Capacity('h%d' % number, [], parse(text)) for number, text in enumerate(texts)], play.now)
    return play.go()


def test_agents_are_asked_for_after_a_while_and_again():
    play = Play()
    play.submit(1, wanted=BIG)
    assert play.of(AskAgents, play.go(2.9)) == []
    assert len(play.of(AskAgents, play.go(0.2))) == 1
    assert len(play.of(AskAgents, play.go(10.0))) == 1


def test_what_no_agent_can_hold_is_an_error():
    play = Play()
    play.submit(1, wanted=BIG)
    play.submit(2)
    play.go(3.1)
    tell_agents(play, 'cpus:2;mem:4096')
    assert str(play.ended(1).error) == (
        'no agent can hold cpus:4;mem:64, and cpus:0.01;mem:32 for the executor: the largest of 1 have '
        'cpus:2;mem:4096 on h0')
    assert play.pool.running == 1


def test_what_an_agent_can_hold_goes_on_waiting():
    play = Play()
    play.submit(1, wanted=BIG)
    play.go(3.1)
    assert tell_agents(play, 'cpus:2;mem:4096', 'cpus:8;mem:999') == []


def test_master_that_does_not_tell_is_no_error():
    play = Play()
    play.submit(1, wanted=BIG)
    play.go(100.0)
    assert tell_agents(play, None) == []


def test_no_agent_at_all_is_waited_for_and_then_an_error():
    play = Play()
    play.submit(1, wanted=BIG)
    play.go(30.0)
    assert tell_agents(play) == []
    play.go(31.0)
    tell_agents(play)
    assert str(play.ended().error) == 'the master has had no agent for 61 s'


# ---- whole lives, at random

def live(seed, faults, commands=30):
    """Let a pool live through a minute of trouble, and then come to rest; returns the world."""
    luck = random.Random(seed)
    world = World(luck, faults, ['cpus:%d;mem:4096' % luck.randint(1, 4) for _ in range(luck.randint(1, 3))])
    world.knows.update(world.agents)
    wishes = [Wanted(parse('cpus:%g;mem:64' % cpus), (), '*', kind, SHARE) for cpus in (0.1, 1) for kind in 'ab']
    began = world.now
    world.later(0, world.subscribe)
    world.tick()

    def submit(number):
        world.pool.submit(number, luck.choice(wishes), 3, luck.choice([None, None, 5.0]), world.now)
        if luck.random() < 0.1:
            world.later(luck.uniform(0, 5), lambda: world.pool.cancel(number, world.now))

    def kill_one():
        agent = luck.choice(sorted(world.agents.values(), key=lambda agent: agent.id))
        if agent.executors:
            world.kill_executor(agent, luck.choice(sorted(agent.executors)))

    for number in range(commands):
        world.later(luck.uniform(0, 10), submit, number)
    for _ in range(3 if faults else 0):
        world.later(luck.uniform(0, 20), kill_one)
        if luck.random() < 0.5:
            world.later(luck.uniform(0, 20), world.fail_over)
        if luck.random() < 0.3:
            world.later(luck.uniform(0, 20), lambda: world.lose_agent(
                luck.choice(sorted(world.agents.values(), key=lambda agent: agent.id))))
    world.run(began + 60)
    world.faults = 0.0
    world.run(began + 3000)
    return world


@pytest.mark.parametrize('faults', [0.0, 0.05, 0.2, 0.6])
def test_whatever_happens_every_command_ends_once_runs_once_and_nothing_is_left(faults, random_seed):
    for seed in range(random_seed, random_seed + 8):
        world = live(seed, faults)
        context = 'seed %d, faults %g' % (seed, faults)
        for number in range(30):
            end, = world.ends[number]
            assert world.starts.get(number, 0) <= 1, context
            if end.returncode is not None:
                assert world.truth[number] == end.returncode, context
            elif not faults:
                assert isinstance(end.error, StartFailed), context
        for agent in world.agents.values():
            assert not agent.tasks and not agent.executors and not agent.offered, context
        assert world.is_suppressed, context
        assert (world.pool.running, world.pool.tasks, world.pool.next()) == (0, 0, None), context
        assert max(when for when, order in world.calls if isinstance(order, End)) < 1000 + 60 + 400, context


def test_after_the_last_command_the_master_has_no_work_with_an_idle_pool(random_seed):
    world = live(random_seed, 0.0)
    last = max(when for when, order in world.calls if isinstance(order, End))
    assert [order for when, order in world.calls if when > last + 130] == []

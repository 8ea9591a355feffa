"""What becomes of commands, offers and roles while all goes well, and what can never be."""
from __future__ import absolute_import, division, print_function

from subprocess_play import BIG, SHARE, Play

from pymesos.resources import parse
from pymesos.subprocess.framework.orders import (Accept, AskAgents, Decline, End, Revive, SetRoles, Shutdown, Start,
                                                 Suppress)
from pymesos.subprocess.framework.placement import Capacity, Wanted

TINY = Wanted(parse('cpus:0.02;mem:1'), (), '*', 'k', SHARE)


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
    play.pool.executor_lost(executor.id, play.now)
    assert play.pool.next() is None


def test_executor_whose_end_is_not_told_is_shut_down_again_for_a_while():
    play = Play(executor_idle=60.0)
    play.finish(play.run())
    play.go(59.0)
    assert len(play.of(Shutdown, play.go(2.0))) == 1
    play.pool.disconnected(play.now)            # which may have lost the call
    assert play.of(Shutdown, play.go(600.0)) == []
    play.pool.subscribed(play.now)
    assert len(play.of(Shutdown, play.go(12.0))) == 2
    assert len(play.of(Shutdown, play.go(600.0))) == 3
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


def first_revive(play, commands):
    """Seconds from a REVIVE to the next for the rest of an offer that held all of `commands` but one."""
    play.submit(*range(1, commands + 2), wanted=TINY)
    play.offer('cpus:%g;mem:99999' % (0.02 * commands))
    asked = play.now
    play.accept()
    while not play.of(Revive, play.go(0.001)):
        assert play.now < asked + 1.0
    return play.now - asked


def test_many_short_commands_are_gathered_for_an_offer_and_single_ones_are_not_held_up():
    assert first_revive(Play(), 1) < 0.008
    assert 0.015 < first_revive(Play(), 32) < 0.025
    old = Play()
    old.submit(*range(100, 132), wanted=TINY)
    old.offer('cpus:0.65;mem:99999')
    old.accept()
    old.go(2.0)                         # they still run, and say nothing of what comes and goes
    assert first_revive(old, 1) < 0.008


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
    assert len(play.of(AskAgents, play.go(5.0))) == 1


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

"""What becomes of commands when updates, calls, connections, agents and masters are lost, late or repeated."""
from __future__ import absolute_import, division, print_function

import pytest
from subprocess_play import BIG, Play

from pymesos.subprocess.errors import StartFailed, StartTimeout, TaskLost
from pymesos.subprocess.framework.orders import Accept, Decline, Drop, End, Kill, Reconcile, Revive, Signal, Start


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
                          '(REASON_EXECUTOR_TERMINATED): Executor terminated (and 1 before it); stderr in the '
                          "sandbox of executor pymesos-k-2 says why: a Python that the agent has not got ('python' in "
                          'CONFIG), perhaps')
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


def test_rest_of_the_output_of_a_dead_executor_is_not_waited_for():
    play = Play()
    task_id = play.run()
    play.exit(task_id)
    play.update(task_id, 'TASK_FINISHED', returncode=0)
    play.cut(task_id)
    play.pool.executor_lost(play.of(Accept)[0].launches[0].executor.id, play.now)
    assert Drop(task_id) in play.go(1.0)
    play.go(100.0)
    assert play.pool.next() is None


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
    play.go(200.0)
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

"""Status updates of the embedded agent: kept, sent in order and again until they are acknowledged (PROTOCOL 2.7)."""
from __future__ import absolute_import, division, print_function

import time

from local_agent import FRAMEWORK, Bench, executor_info, framework_info, task_info

STARTING, RUNNING, FINISHED = 'TASK_STARTING', 'TASK_RUNNING', 'TASK_FINISHED'


def running(**options):
    bench = Bench(**options)
    bench.custom()
    bench.take()
    return bench


def acknowledge(bench, status):
    bench.hear('ACK', framework_id=FRAMEWORK, task_id=status['task_id']['value'], uuid=status['uuid'])


def test_updates_of_a_task_are_sent_one_after_the_other():
    bench = running()
    sent = [bench.update('t', state) for state in (STARTING, RUNNING, FINISHED)]
    messages = bench.told('STATUS')
    assert [(message['status']['state'], message['latest_state']) for message in messages] == [(STARTING, STARTING)]
    for status, following in ((sent[0], RUNNING), (sent[1], FINISHED)):
        acknowledge(bench, status)
        message, = bench.told('STATUS')
        assert (message['status']['state'], message['latest_state']) == (following, FINISHED)
    acknowledge(bench, sent[2])
    bench.pass_time(100)
    assert bench.told('STATUS') == []


def test_tasks_do_not_wait_for_each_other():
    bench = Bench()
    bench.custom(tasks=('t1', 't2'))
    bench.take()
    bench.update('t1')
    bench.update('t2')
    assert bench.states() == [('t1', RUNNING), ('t2', RUNNING)]


def test_update_is_sent_again_ever_more_slowly():
    bench = running(master_ping_timeout=1e6)
    sent = bench.update('t')
    bench.take()
    waited, since = [], bench.world.now
    for _ in range(2600):
        bench.pass_time(1)
        for message in bench.told('STATUS'):
            assert (message['status']['uuid'], message['is_retry']) == (sent['uuid'], True)
            waited.append(bench.world.now - since)
            since = bench.world.now
    assert waited == [10, 20, 40, 80, 160, 320, 600, 600, 600]


def test_acknowledgement_starts_the_delays_anew():
    bench = running()
    first = bench.update('t')
    bench.update('t', FINISHED)
    bench.pass_time(35)
    bench.take()
    acknowledge(bench, first)
    assert bench.states() == [('t', FINISHED)]
    bench.pass_time(9)
    assert bench.states() == []
    bench.pass_time(2)
    assert bench.states() == [('t', FINISHED)]


def test_acknowledgement_that_does_not_fit_changes_nothing():
    bench = running()
    first, second = bench.update('t'), bench.update('t', FINISHED)
    bench.take()
    acknowledge(bench, second)
    bench.hear('ACK', framework_id='other', task_id='t', uuid=first['uuid'])
    bench.hear('ACK', framework_id=FRAMEWORK, task_id='other', uuid=first['uuid'])
    assert bench.states() == []
    acknowledge(bench, first)
    acknowledge(bench, first)
    assert bench.states() == [('t', FINISHED)]


def test_update_that_comes_twice_is_acknowledged_and_not_sent_again():
    bench = running()
    sent = bench.update('t')
    bench.take()
    bench.call('UPDATE', update={'status': dict(sent)})
    event, = bench.events()
    assert event['acknowledged']['uuid'] == sent['uuid']
    acknowledge(bench, sent)
    bench.call('UPDATE', update={'status': dict(sent)})
    assert [effect.event['type'] for effect in bench.take()] == ['ACKNOWLEDGED']


def test_second_end_of_a_task_is_acknowledged_and_not_passed_on():
    bench = running()
    first = bench.update('t', FINISHED)
    second = bench.update('t', 'TASK_FAILED')
    assert [event['acknowledged']['uuid'] for event in bench.events()] == [first['uuid'], second['uuid']]
    acknowledge(bench, first)
    assert bench.states() == []


def test_same_state_again_is_passed_on():
    bench = running()
    sent = [bench.update('t', healthy=True), bench.update('t', healthy=False)]
    bench.take()
    acknowledge(bench, sent[0])
    assert [status['healthy'] for status in bench.statuses()] == [False]
    task = bench.model.frameworks[FRAMEWORK].executors['e'].launched['t']
    assert [status['healthy'] for status in task.statuses] == [False]


def test_update_for_an_unknown_task_is_passed_on_but_not_acknowledged_to_the_executor():
    bench = running()
    sent = bench.update('unknown')
    effect, = bench.take()
    assert effect.message['status']['uuid'] == sent['uuid']
    assert 'container_status' not in effect.message['status']
    bench.pass_time(11)
    assert bench.states() == [('unknown', RUNNING)]
    acknowledge(bench, sent)
    bench.pass_time(100)
    assert bench.states() == []


def test_update_of_one_executor_for_the_task_of_another_is_acknowledged_to_that():
    bench = Bench()
    bench.custom('e1', tasks=('t1',))
    bench.custom('e2', tasks=('t2',))
    bench.take()
    bench.update('t1', sender='e2')
    send = [effect for effect in bench.take() if hasattr(effect, 'event')]
    executor = bench.model.frameworks[FRAMEWORK].executors['e1']
    assert [effect.stream for effect in send] == [executor.stream]


def test_nothing_is_sent_while_there_is_no_master_and_all_at_once_then():
    bench = Bench()
    bench.custom(tasks=('t1', 't2'))
    bench.take()
    first = bench.update('t1')
    bench.model.on_master(None)
    bench.take()
    acknowledge(bench, first)
    bench.update('t1', FINISHED)
    bench.update('t2')
    bench.pass_time(1000)
    assert bench.states() == []
    bench.register()
    assert sorted(bench.states()) == [('t1', FINISHED), ('t2', RUNNING)]


def test_task_id_may_be_used_again_once_it_is_over_and_acknowledged():
    bench = running()
    acknowledge(bench, bench.update('t', FINISHED))
    bench.run(task_info('t'), executor_info())
    bench.take()
    sent = bench.update('t', RUNNING)
    assert [status['uuid'] for status in bench.statuses()] == [sent['uuid']]


def test_master_is_given_copies():
    bench = running()
    bench.update('t')
    status, = bench.statuses()
    status.clear()
    bench.pass_time(11)
    assert bench.states() == [('t', RUNNING)]


def test_two_hundred_completed_tasks_are_kept():
    bench = running()
    for number in range(210):
        bench.run(task_info('t%d' % number), executor_info())
        acknowledge(bench, bench.update('t%d' % number, FINISHED))
    executor = bench.model.frameworks[FRAMEWORK].executors['e']
    assert len(executor.completed) == 200
    assert len(executor.framework.task_owners) == 1
    assert len(bench.model.updates) == 0


def test_updates_are_cheap():
    bench = Bench(info=framework_info(checkpoint=True))
    bench.custom(tasks=['t%d' % number for number in range(2000)])
    bench.take()
    statuses = [[{'task_id': {'value': 't%d' % number}, 'state': state, 'source': 'SOURCE_EXECUTOR',
                  'uuid': '%d-%s' % (number, state)} for number in range(2000)] for state in (RUNNING, FINISHED)]
    call = {'type': 'UPDATE', 'framework_id': {'value': FRAMEWORK}, 'executor_id': {'value': 'e'}}
    start = time.time()
    for batch in statuses:
        for status in batch:
            bench.model.executor_call(dict(call, update={'status': status}))
            bench.model.on_message({'type': 'ACK', 'framework_id': FRAMEWORK, 'task_id': status['task_id']['value'],
                                    'uuid': status['uuid']})
            del bench.model.effects[:]
    # Ten times the goal, for machines that are busy.
    assert (time.time() - start) / 4000 < 1500e-6

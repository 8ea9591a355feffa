"""Calls from many threads at once, which write them themselves where they can: none is lost, none overtakes another."""
from __future__ import absolute_import, division, print_function

import os
import signal
import threading

import pytest
from recorders import Recorder, executing, scheduling

from pymesos.errors import ConnectionFailed, Stopped, UsageError
from pymesos.testing import FaultProxy, ScriptedAgent, ScriptedMaster, wait_until
from pymesos.transport.channel import Channel

CHECKPOINT = {'checkpoint': True}

THREADS = ('a', 'b', 'c', 'd')


def run_all(work):
    """Run `work(name)` on a thread for each of THREADS; the threads."""
    threads = [threading.Thread(target=work, args=(name,)) for name in THREADS]
    for thread in threads:
        thread.start()
    return threads


def join_all(threads):
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)


def send_update(driver, name, number):
    driver.sendStatusUpdate({'task_id': {'value': name}, 'state': 'TASK_RUNNING', 'message': '%d' % number})


def arrived(agent, name):
    """The numbers of the updates of a task in the order in which the agent first had them."""
    statuses = []
    for call in list(agent.calls):
        if call.type == 'UPDATE':
            statuses.append(call.body['update']['status'])
        elif call.type == 'SUBSCRIBE':
            statuses += [one['status'] for one in call.body['subscribe']['unacknowledged_updates']]
    numbers = [int(status['message']) for status in statuses if status['task_id']['value'] == name]
    return sorted(set(numbers), key=dict((number, -at) for at, number in enumerate(numbers[::-1])).get)


def await_more_updates(agent, count):
    seen = len(agent.calls_of('UPDATE'))
    wait_until(lambda: len(agent.calls_of('UPDATE')) > seen + count)


def repeat_until(is_enough, act):
    """Call `act()`, and that again until `is_enough()`: which thread writes a call depends on what the others do."""
    wait_until(lambda: act() or is_enough(), 120, message='enough calls that were written by the threads wanted')


@pytest.fixture
def written(monkeypatch):
    """A list that gets the kind of every call that its own thread has written."""
    kinds = []
    original = Channel.write_now

    def write_now(channel, call):
        is_written = original(channel, call)
        if is_written:
            kinds.append(call.kind)
        return is_written

    monkeypatch.setattr(Channel, 'write_now', write_now)
    return kinds


def test_updates_of_many_threads_arrive_in_the_order_of_each(monkeypatch, written):
    with ScriptedAgent() as agent, executing(agent, monkeypatch) as (driver, recorder):
        recorder.wait('registered')
        numbers = []

        def send_more():
            more = range(len(numbers), len(numbers) + 150)
            join_all(run_all(lambda name: [send_update(driver, name, number) for number in more]))
            numbers.extend(more)

        repeat_until(lambda: written.count('UPDATE') > 10, send_more)
        wait_until(lambda: not driver.updates)
        for name in THREADS:
            assert arrived(agent, name) == numbers


def test_updates_survive_resets_amid_them(monkeypatch, written):
    with ScriptedAgent() as agent, FaultProxy(agent.address) as proxy:
        monkeypatch.setattr(agent, 'environment', lambda **options: dict(
            ScriptedAgent.environment(agent, **options), MESOS_AGENT_ENDPOINT=proxy.address))
        with executing(agent, monkeypatch, environment=dict(CHECKPOINT, subscription_backoff_max='50ms')) as (
                driver, recorder):
            recorder.wait('registered')
            is_over = threading.Event()
            counts = {}

            def send(name):
                counts[name] = 0
                while not is_over.is_set():
                    send_update(driver, name, counts[name])
                    counts[name] += 1

            threads = run_all(send)
            for number in range(1, 5):
                await_more_updates(agent, 15)
                connections = agent.connections
                proxy.cut_after(700 * number, 'up')         # the connection of the calls, in the middle of one
                wait_until(lambda: agent.connections > connections)
                await_more_updates(agent, 15)
                proxy.reset()
                recorder.wait('reregistered', number)
            wait_until(lambda: written)
            is_over.set()
            join_all(threads)
            wait_until(lambda: not driver.updates)
            for name in THREADS:
                assert arrived(agent, name) == list(range(counts[name]))


def test_call_behind_one_that_the_loop_has_yet_to_write_does_not_overtake_it(written):
    with ScriptedMaster() as peer:
        def acknowledge_and_decline(driver, status):
            driver.declineOffer({'value': 'after ' + status['task_id']['value']})

        sent = []

        def send_updates():
            """The first DECLINE has nothing before it, the others an ACKNOWLEDGE that is the loop's to write."""
            for _ in range(20):
                sent.append('%d' % len(sent))
                peer.send_event({'type': 'UPDATE', 'update': {'status': {
                    'task_id': {'value': sent[-1]}, 'state': 'TASK_RUNNING', 'agent_id': {'value': 'S0'},
                    'uuid': 'AAAAAAAAAAAAAAAAAAAAAA=='}}})
            peer.await_call('ACKNOWLEDGE', count=len(sent))

        def has_seen_both():
            own = written.count('DECLINE')
            return own > 10 and len(sent) - own > 10

        recorder = Recorder(statusUpdate=acknowledge_and_decline)
        with scheduling(peer.address, recorder=recorder) as (driver, _):
            recorder.wait('registered')
            repeat_until(has_seen_both, send_updates)
        calls = [call.body for call in peer.calls if call.type in ('ACKNOWLEDGE', 'DECLINE')]
        expected = []
        for number in sent:
            expected += [('DECLINE', 'after ' + number), ('ACKNOWLEDGE', number)]
        assert [(body['type'], body['acknowledge']['task_id']['value'] if body['type'] == 'ACKNOWLEDGE' else
                 body['decline']['offer_ids'][0]['value']) for body in calls] == expected


def test_stop_amid_calls_ends_each_of_them(written):
    for _ in range(10):
        outcomes, before = [], len(written)
        with ScriptedMaster() as peer, scheduling(peer.address) as (driver, recorder):
            recorder.wait('registered')

            def decline(name):
                try:
                    while driver.connected:
                        driver.declineOffer({'value': name})
                except (Stopped, ConnectionFailed) as error:
                    outcomes.append(error)

            threads = run_all(decline)
            peer.await_call('DECLINE', count=30)
            wait_until(lambda: len(written) > before)
            driver.stop(failover=True)
            join_all(threads)
            driver.join()
            assert all(isinstance(error, Stopped) for error in outcomes)


def test_nothing_is_sent_once_stop_has_returned(monkeypatch):
    with ScriptedMaster() as peer:
        left = []

        def stop_and_decline(driver, *_):
            driver.declineOffer({'value': 'before'})
            driver.stop(failover=True)
            try:
                driver.declineOffer({'value': 'after'})
            except Stopped:
                left.append('stopped')

        with scheduling(peer.address, recorder=Recorder(frameworkMessage=stop_and_decline)) as (driver, recorder):
            recorder.wait('registered')
            peer.send_event({'type': 'MESSAGE', 'message': {
                'agent_id': {'value': 'S0'}, 'executor_id': {'value': 'e'}, 'data': 'aGVsbG8='}})
            driver.join()
        assert [call.body['decline']['offer_ids'][0]['value'] for call in peer.calls_of('DECLINE')] == ['before']


def test_fork_in_a_callback_amid_calls_of_other_threads(written):
    statuses = []

    def fork(driver, *_):
        for _ in range(5):
            child = os.fork()
            if child == 0:
                signal.alarm(30)        # a child that waits for a lock of ours is killed
                try:
                    driver.stop(failover=True)
                    driver.reviveOffers()
                except UsageError:
                    os._exit(0)
                finally:
                    os._exit(3)
            statuses.append(os.waitpid(child, 0)[1])

    recorder = Recorder(frameworkMessage=fork)
    with ScriptedMaster() as peer, scheduling(peer.address, recorder=recorder) as (driver, _):
        recorder.wait('registered')
        is_over = threading.Event()

        def decline(name):
            while not is_over.is_set():
                driver.declineOffer({'value': name})

        threads = run_all(decline)
        peer.await_call('DECLINE', count=30)
        for number in range(4):
            peer.send_event({'type': 'MESSAGE', 'message': {
                'agent_id': {'value': 'S0'}, 'executor_id': {'value': 'e'}, 'data': 'aGVsbG8='}})
        wait_until(lambda: len(statuses) == 20, 120)
        is_over.set()
        join_all(threads)
        assert statuses == [0] * 20


@pytest.mark.skipif(not hasattr(signal, 'setitimer'), reason='there are no interval timers')
def test_signal_handler_may_call_amid_calls_of_the_main_thread(written):
    handled, made = [], 0
    with ScriptedMaster() as peer, scheduling(peer.address) as (driver, recorder):
        recorder.wait('registered')

        def handler(*_):
            handled.append(driver.declineOffer({'value': 'of the handler'}))
            if len(handled) < 50:
                signal.setitimer(signal.ITIMER_REAL, 0.002)     # not before: else they pile up, one in another

        before = signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.001)
        try:
            while len(handled) < 50:
                driver.declineOffer({'value': 'of the main thread'})
                made += 1
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        assert len(peer.calls_of('DECLINE')) == 50 + made
        assert not written

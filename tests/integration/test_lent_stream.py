"""Events that come one after the other are read by the callbacks' thread itself: what holds must hold there, too."""
from __future__ import absolute_import, division, print_function

import os
import signal
import sys
import threading
import time

import pytest
from recorders import scheduling

from pymesos._compat import monotonic
from pymesos.errors import CallRejected, SubscriptionEnded
from pymesos.testing import ScriptedMaster, wait_until
from pymesos.transport import stream as module


@pytest.fixture
def lent(monkeypatch):
    """A list with an entry for each batch that the callbacks' thread read; what comes within 2 s comes fast."""
    batches = []
    read_lent = module.Stream.read_lent

    def counted(self, decode, deliver):
        has_read = read_lent(self, decode, deliver)
        if has_read:
            batches.append(self._lock)          # one for each stream; itself it would be kept alive
        return has_read

    monkeypatch.setattr(module.Stream, 'read_lent', counted)
    monkeypatch.setattr(module, 'LENT', 2.0)
    return batches


def update(number, **more):
    status = dict({'task_id': {'value': 't%d' % number}, 'agent_id': {'value': 'a1'}, 'state': 'TASK_RUNNING',
                   'uuid': 'AAAAAAAAAAAAAAAAAAAAAA=='}, **more)
    return {'type': 'UPDATE', 'update': {'status': status}}


def names(recorder):
    return [args[0]['task_id']['value'] for args in recorder.of('statusUpdate')]


def send_one_by_one(peer, recorder, first, last):
    """Send each update when the one before has arrived."""
    for number in range(first, last):
        peer.send_event(update(number))
        recorder.wait('statusUpdate', count=number + 1)


def test_updates_arrive_in_order_and_are_acknowledged(lent):
    with ScriptedMaster() as peer, scheduling(peer.address) as (_driver, recorder):
        peer.await_subscribe()
        send_one_by_one(peer, recorder, 0, 100)
        assert names(recorder) == ['t%d' % number for number in range(100)]
        peer.await_call('ACKNOWLEDGE', count=100)
        tasks = [call.body['acknowledge']['task_id']['value'] for call in peer.calls_of('ACKNOWLEDGE')]
        assert tasks == names(recorder)
        assert len(lent) > 90


@pytest.mark.parametrize('cut', ['end_stream', 'cut', 'half_close'])
def test_end_of_the_connection_is_told_behind_what_came_before(lent, cut):
    with ScriptedMaster() as peer, scheduling(peer.address) as (_driver, recorder):
        peer.await_subscribe()
        for turn in range(3):
            send_one_by_one(peer, recorder, 10 * turn, 10 * turn + 10)
            peer.send_raw(b'100\n{"half')       # a record that is cut
            getattr(peer, cut)()
            recorder.wait('disconnected', count=turn + 1)
            recorder.wait('reregistered', count=turn + 1)
        told = ('statusUpdate', 'disconnected', 'reregistered')
        seen = [name for name in recorder.names if name in told]
        assert seen == 3 * (10 * ['statusUpdate'] + ['disconnected', 'reregistered'])
        assert len(set(lent)) == 3


def test_loss_is_noticed_while_a_callback_blocks(lent, monkeypatch):
    gate = threading.Event()
    with ScriptedMaster() as peer, scheduling(peer.address) as (driver, recorder):
        peer.await_subscribe()
        send_one_by_one(peer, recorder, 0, 10)
        assert lent
        monkeypatch.setattr(module, 'LENT', 0.05)
        wait_until(lambda: driver._life.engine._stream._is_reading)     # the next loan is a short one
        recorder.do['statusUpdate'] = lambda driver, status: gate.wait(60)
        send_one_by_one(peer, recorder, 10, 11)
        peer.cut()
        wait_until(lambda: peer.counts['SUBSCRIBE'] == 2)
        assert not recorder.of('disconnected')
        gate.set()
        recorder.wait('reregistered')


def test_loss_is_noticed_by_silence(lent, monkeypatch):
    with ScriptedMaster(heartbeats=False, heartbeat_interval=1.0) as peer, scheduling(peer.address) as (_, recorder):
        peer.await_subscribe()
        send_one_by_one(peer, recorder, 0, 10)
        assert lent
        monkeypatch.setattr(module, 'LENT', 0.05)
        recorder.wait('reregistered')


@pytest.mark.parametrize('is_inside', [True, False])
def test_stop_takes_effect_at_once(lent, is_inside, monkeypatch):
    monkeypatch.setattr(module, 'LENT', 60.0)
    with ScriptedMaster(heartbeats=False, heartbeat_interval=60.0) as peer, \
            scheduling(peer.address) as (driver, recorder):
        peer.await_subscribe()
        send_one_by_one(peer, recorder, 0, 10)
        assert lent
        began = monotonic()
        if is_inside:
            recorder.do['statusUpdate'] = lambda driver, status: driver.stop(failover=True)
            peer.send_event(update(10))
        else:
            driver.stop(failover=True)
        driver.join()
        assert monotonic() - began < 30.0       # the loan would last for 60 s
        assert recorder.of('disconnected')


def test_error_event_ends_the_driver(lent):
    with ScriptedMaster() as peer, scheduling(peer.address) as (driver, recorder):
        peer.await_subscribe()
        send_one_by_one(peer, recorder, 0, 10)
        assert lent
        peer.send_event({'type': 'ERROR', 'error': {'message': 'enough'}})
        recorder.wait('error')
        wait_until(lambda: driver.failure is not None)
        assert isinstance(driver.failure, SubscriptionEnded) and recorder.of('error') == [('enough',)]


def test_record_that_is_no_event_ends_the_subscription_behind_what_came_before(lent):
    with ScriptedMaster() as peer, scheduling(peer.address) as (_driver, recorder):
        peer.await_subscribe()
        send_one_by_one(peer, recorder, 0, 10)
        assert lent
        peer.send_record(b'{"type": "UPDATE", ')
        recorder.wait('reregistered')
        assert len(recorder.of('statusUpdate')) == 10


def test_queue_that_is_full_is_waited_for(lent):
    with ScriptedMaster() as peer, scheduling(peer.address, max_queued=1000) as (_driver, recorder):
        peer.await_subscribe()
        send_one_by_one(peer, recorder, 0, 10)
        for number in range(10, 40):
            peer.send_event(update(number, message=3000 * 'x'))
        recorder.wait('statusUpdate', count=40)
        send_one_by_one(peer, recorder, 40, 50)
        assert names(recorder) == ['t%d' % number for number in range(50)]
        assert lent


def test_large_events_arrive_whole(lent):
    with ScriptedMaster() as peer, scheduling(peer.address) as (_driver, recorder):
        peer.await_subscribe()
        send_one_by_one(peer, recorder, 0, 10)
        for number in range(10, 20):
            peer.send_event(update(number, message=(number - 9) * 100000 * 'x'), chunk_size=5000)
        recorder.wait('statusUpdate', count=20)
        sizes = [len(args[0].get('message', '')) for args in recorder.of('statusUpdate')]
        assert sizes == 10 * [0] + [100000 * number for number in range(1, 11)]
        assert lent


def test_peer_that_drips_is_as_good_as_dead(lent, monkeypatch):
    with ScriptedMaster(heartbeats=False, heartbeat_interval=1.0) as peer, scheduling(peer.address) as (_, recorder):
        stream = peer.await_subscribe()
        send_one_by_one(peer, recorder, 0, 10)
        assert lent
        monkeypatch.setattr(module, 'LENT', 0.05)
        stream.send_raw(b'100000\n{')
        deadline = monotonic() + 30
        while not recorder.of('disconnected') and monotonic() < deadline:
            stream.send_raw(b'x')
            time.sleep(0.02)
        assert recorder.of('disconnected')
        recorder.wait('reregistered')


def test_what_came_before_a_refusal_that_ends_the_subscription_is_told_before_its_end(lent):
    gate = threading.Event()

    def revive(driver, status):
        if status['task_id']['value'] == 't10':
            gate.wait(60)
            driver.reviveOffers()

    with ScriptedMaster() as peer, scheduling(peer.address) as (_driver, recorder):
        peer.await_subscribe()
        send_one_by_one(peer, recorder, 0, 10)
        assert lent
        recorder.do['statusUpdate'] = revive
        send_one_by_one(peer, recorder, 10, 11)
        for number in range(11, 16):            # they stay in the socket as long as the callback lasts
            peer.send_event(update(number))
        peer.end_stream()
        peer.await_call('ACKNOWLEDGE', count=10)
        peer.reject_next(403, 'Framework is not subscribed', type='REVIVE')
        gate.set()
        recorder.wait('reregistered')
        assert names(recorder) == ['t%d' % number for number in range(16)]
        told = recorder.names
        assert told.index('disconnected') > max(i for i, name in enumerate(told) if name == 'statusUpdate')


def test_refusal_that_ends_the_subscription_wakes_the_reader(lent, monkeypatch):
    monkeypatch.setattr(module, 'LENT', 60.0)
    with ScriptedMaster() as peer, scheduling(peer.address) as (driver, recorder):
        peer.await_subscribe()
        send_one_by_one(peer, recorder, 0, 10)
        wait_until(lambda: driver._life.engine._stream._has_reader)
        peer.reject_next(403, 'Framework is not subscribed', type='REVIVE')
        with pytest.raises(CallRejected):
            driver.reviveOffers()
        recorder.wait('reregistered')           # within 30 s


def test_child_that_a_callback_forks_takes_nothing_from_its_parent(lent):
    children = []

    def fork(_driver, status):
        if status['task_id']['value'] == 't10':
            pid = os.fork()
            if pid == 0:
                signal.alarm(60)                # it goes on as if it were the parent
            else:
                children.append(pid)

    with ScriptedMaster() as peer, scheduling(peer.address) as (_driver, recorder):
        peer.await_subscribe()
        send_one_by_one(peer, recorder, 0, 10)
        assert lent
        recorder.do['statusUpdate'] = fork
        try:
            send_one_by_one(peer, recorder, 10, 40)
        finally:
            for pid in children:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        assert len(children) == 1


def test_loop_that_takes_the_stream_back_is_not_overtaken_by_its_reader(lent, monkeypatch):
    resume, hits = module.Stream.resume, []
    held, blocked = threading.Event(), threading.Event()

    def late_resume(self):
        if sys._getframe(1).f_code.co_name == '_look_after' and not held.is_set():
            held.set()                          # the callback returns now, and its thread wants to read
            deadline = monotonic() + 0.5
            while not self._has_reader and monotonic() < deadline:
                time.sleep(0.001)
            hits.append(self)
        return resume(self)

    def wait(_driver, status):
        {'t10': held, 't11': blocked}[status['task_id']['value']].wait(60)

    with ScriptedMaster() as peer, scheduling(peer.address) as (_driver, recorder):
        peer.await_subscribe()
        send_one_by_one(peer, recorder, 0, 10)
        assert lent
        monkeypatch.setattr(module.Stream, 'resume', late_resume)
        recorder.do['statusUpdate'] = wait
        send_one_by_one(peer, recorder, 10, 11)
        monkeypatch.setattr(module, 'LENT', 0.05)       # not before: who reads now may read for long
        wait_until(lambda: hits)
        del hits[:]
        send_one_by_one(peer, recorder, 11, 12)
        peer.cut()
        wait_until(lambda: peer.counts['SUBSCRIBE'] == 2)
        blocked.set()


def test_what_an_older_promise_has_read_is_not_forgotten(lent, monkeypatch):
    lend, hits = module.Stream.lend, []
    held = threading.Event()

    def late_lend(self, may_fetch):
        def late():
            if is_armed and not hits:
                held.set()                      # the callback returns, and its thread reads, as was promised before
                wait_until(lambda: not self._is_lent)
                hits.append(self._lock)
            return may_fetch()

        return lend(self, late)

    is_armed = []
    monkeypatch.setattr(module, 'LENT', 10.0)           # however slow the machine is, the next comes fast
    monkeypatch.setattr(module.Stream, 'lend', late_lend)
    with ScriptedMaster(heartbeats=False, heartbeat_interval=60.0) as peer, \
            scheduling(peer.address) as (driver, recorder):
        peer.await_subscribe()
        send_one_by_one(peer, recorder, 0, 10)
        assert lent
        recorder.do['statusUpdate'] = lambda driver, status: held.wait(60)
        send_one_by_one(peer, recorder, 10, 11)
        # The loan is over, the promise is not kept yet.
        wait_until(lambda: driver._life.engine._stream._is_reading)
        driver._life.engine._stream._handed_over = monotonic()          # the next comes fast
        is_armed.append(True)
        peer.send_event(update(11))
        wait_until(held.is_set)
        peer.send_event({'type': 'ERROR', 'error': {'message': 'enough'}})
        recorder.wait('error')
        assert hits

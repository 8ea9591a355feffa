"""Each way in which a peer can be dead or mad ends in the documented state, in time, without a busy loop."""
from __future__ import absolute_import, division, print_function

import resource
import time

import pytest
from recorders import scheduling

from pymesos._compat import monotonic
from pymesos.testing import FaultProxy, ScriptedMaster, wait_until

#: Heartbeats this often make five missed ones a matter of a second.
INTERVAL = 0.2

#: Where a connection must not be lost the allowed silence is longer than a busy machine may keep a thread waiting.
CALM_INTERVAL = 1.0
CALM_SILENCE = 5 * CALM_INTERVAL


def master(**options):
    return ScriptedMaster(heartbeat_interval=INTERVAL, **options)


def calm_master():
    return ScriptedMaster(heartbeat_interval=CALM_INTERVAL)


def cpu_seconds():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


@pytest.fixture
def no_busy_loop():
    """Whatever a test does, most of its time the process sleeps; a loop that spins would use a core or two."""
    began, used = monotonic(), cpu_seconds()
    yield
    passed = monotonic() - began
    if passed > 1.0:
        assert cpu_seconds() - used < 0.85 * passed


def subscribed_through_proxy(proxy, peer, recorder):
    recorder.wait('registered')
    peer.await_subscribe()
    wait_until(lambda: proxy.bytes_down > 0)


def test_black_hole_after_subscribed_is_noticed_after_five_heartbeats(no_busy_loop):
    with calm_master() as peer, FaultProxy(peer.address) as proxy, scheduling(proxy.address) as (driver, recorder):
        subscribed_through_proxy(proxy, peer, recorder)
        began, before = monotonic(), proxy.bytes_down
        wait_until(lambda: proxy.bytes_down > before)       # a heartbeat passes after `began`, the last or not
        proxy.black_hole()
        recorder.wait('disconnected')
        assert monotonic() - began >= CALM_SILENCE
        proxy.pass_through()
        recorder.wait('reregistered')
        assert not driver.aborted


def test_heartbeats_keep_a_quiet_connection_alive():
    with calm_master() as peer, scheduling(peer.address) as (_driver, recorder):
        recorder.wait('processHeartBeat', count=8)       # longer than the allowed silence
        assert peer.counts['SUBSCRIBE'] == 1
        assert 'disconnected' not in recorder.names


def test_dripping_peer_is_lost_like_a_silent_one(no_busy_loop):
    with master() as peer, FaultProxy(peer.address) as proxy, scheduling(proxy.address) as (_driver, recorder):
        subscribed_through_proxy(proxy, peer, recorder)
        proxy.drip(1)
        recorder.wait('disconnected')
        proxy.pass_through()
        recorder.wait('reregistered')


def test_half_closed_connection_is_lost_at_once(no_busy_loop):
    with ScriptedMaster() as peer, FaultProxy(peer.address) as proxy, scheduling(proxy.address) as (_driver, recorder):
        subscribed_through_proxy(proxy, peer, recorder)
        proxy.half_close()
        recorder.wait('disconnected')
        recorder.wait('reregistered')


def test_reset_connection_is_lost_at_once(no_busy_loop):
    with ScriptedMaster() as peer, FaultProxy(peer.address) as proxy, scheduling(proxy.address) as (_driver, recorder):
        subscribed_through_proxy(proxy, peer, recorder)
        proxy.reset()
        recorder.wait('disconnected')
        recorder.wait('reregistered')


def test_garbage_in_the_stream_is_a_lost_connection(no_busy_loop):
    with ScriptedMaster() as peer, FaultProxy(peer.address) as proxy, scheduling(proxy.address) as (_driver, recorder):
        subscribed_through_proxy(proxy, peer, recorder)
        proxy.garbage()
        recorder.wait('disconnected')
        recorder.wait('reregistered')


@pytest.mark.parametrize('data', [b'9' * 21, b'nonsense\n', b'-1\n', b'5\n{"a":', b'3\n{]}', b'2\n\xff\xfe'])
def test_what_is_no_record_of_json_is_a_lost_connection(data, caplog, no_busy_loop):
    with ScriptedMaster() as peer, scheduling(peer.address) as (_driver, recorder):
        recorder.wait('registered')
        peer.send_raw(data)
        if data == b'5\n{"a":':
            peer.end_stream()
        recorder.wait('disconnected')
        recorder.wait('reregistered')
    assert any('trying again in' in record.getMessage() for record in caplog.records)


def test_events_before_a_bad_record_are_not_lost():
    with ScriptedMaster() as peer, scheduling(peer.address) as (_driver, recorder):
        recorder.wait('registered')
        good = b'{"type":"RESCIND","rescind":{"offer_id":{"value":"o1"}}}'
        peer.send_raw(b'%d\n%sX\n' % (len(good), good))
        assert recorder.wait('offerRescinded') == ({'value': 'o1'},)
        recorder.wait('disconnected')


def test_record_that_never_ends_is_a_lost_connection_and_takes_no_memory(no_busy_loop):
    with master() as peer, scheduling(peer.address) as (_driver, recorder):
        recorder.wait('registered')
        peer.heartbeats = False
        peer.send_raw(b'1000000\n{"type":')
        recorder.wait('disconnected')
        recorder.wait('reregistered')


def test_record_of_two_gigabytes_is_refused_by_its_header(caplog):
    with ScriptedMaster() as peer, scheduling(peer.address) as (_driver, recorder):
        recorder.wait('registered')
        peer.send_raw(b'2147483648\n')
        recorder.wait('disconnected')
    assert any('2147483648' in record.getMessage() for record in caplog.records)


def test_fault_in_the_same_bytes_as_a_good_event_is_noticed_at_once():
    rescind = b'{"type":"RESCIND","rescind":{"offer_id":{"value":"o1"}}}'
    with ScriptedMaster() as peer, scheduling(peer.address) as (_driver, recorder):     # silence would take 75 s
        recorder.wait('registered')
        peer.send_raw(b'%d\n%s2147483648\n' % (len(rescind), rescind))
        recorder.wait('offerRescinded')
        recorder.wait('disconnected')


def test_error_event_ends_the_driver():
    with ScriptedMaster() as peer:
        peer.refuse_next_subscription('Framework has been removed')
        with scheduling(peer.address) as (driver, recorder):
            driver.join()
            assert recorder.of('error') == [('Framework has been removed',)]
            assert driver.aborted
            assert 'Framework has been removed' in str(driver.failure)
            assert peer.counts['SUBSCRIBE'] == 1


def test_error_event_after_subscribed_ends_the_driver_without_teardown():
    with ScriptedMaster() as peer, scheduling(peer.address) as (driver, recorder):
        recorder.wait('registered')
        peer.send_event({'type': 'ERROR', 'error': {'message': 'Framework failed over'}})
        driver.join()
        assert recorder.names[-2:] == ['error', 'disconnected']
        assert recorder.of('error') == [('Framework failed over',)]
        assert set(peer.counts) == {'SUBSCRIBE'}


def test_redirect_to_itself_backs_off(no_busy_loop):
    with ScriptedMaster() as peer:
        peer.redirect_to(peer.netloc)
        with scheduling(peer.address) as (driver, _recorder):
            wait_until(lambda: peer.counts.get('SUBSCRIBE', 0) >= 3)
            time.sleep(2.0)             # the time in which a busy loop would make hundreds of connections
            assert peer.counts['SUBSCRIBE'] <= 8
            assert not driver.connected and not driver.aborted
            peer.redirect_to(None)
            peer.await_subscribe()


def test_redirect_leads_to_the_leader():
    with ScriptedMaster() as leader, ScriptedMaster() as follower:
        follower.redirect_to(leader.netloc)
        with scheduling(follower.address) as (driver, recorder):
            recorder.wait('registered')
            assert driver.master == leader.netloc


@pytest.mark.parametrize('status, text', [(400, 'no such thing'), (401, '401 Unauthorized.'), (403, '403 Forbidden.'),
                                          (415, 'wrong type')])
def test_refused_subscription_ends_the_driver_and_says_why(status, text):
    with ScriptedMaster() as peer:
        peer.reject_next(status, text, type='SUBSCRIBE', times=None)
        with scheduling(peer.address) as (driver, recorder):
            driver.join()
            (message,), = recorder.of('error')
            assert 'HTTP status %d' % status in message and text in message
            assert driver.failure.status == status and driver.failure.call == 'SUBSCRIBE'
            assert peer.counts['SUBSCRIBE'] == 1


def test_unavailable_master_is_tried_again(no_busy_loop):
    with ScriptedMaster() as peer:
        peer.reject_next(503, 'Master has not finished recovery', type='SUBSCRIBE', times=3)
        with scheduling(peer.address) as (_driver, recorder):
            recorder.wait('registered')
            assert peer.counts['SUBSCRIBE'] == 4
            assert 'error' not in recorder.names


def test_negative_content_length_is_a_lost_connection(no_busy_loop):
    with ScriptedMaster() as peer:
        peer.answer_next(b'HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n', type='SUBSCRIBE')
        with scheduling(peer.address) as (_driver, recorder):
            recorder.wait('registered')
            assert peer.counts['SUBSCRIBE'] == 2


def test_no_answer_to_subscribe_is_a_lost_connection(no_busy_loop):
    with master() as peer:
        peer.hold_answers('SUBSCRIBE')
        with scheduling(peer.address, call_timeout=0.5) as (_driver, recorder):
            peer.await_call('SUBSCRIBE', count=2)
            peer.release_answers()
            recorder.wait('registered')


def test_nobody_there_is_tried_until_the_timeout(no_busy_loop):
    with FaultProxy('127.0.0.1:1') as proxy:
        proxy.refuse()
        with scheduling(proxy.address, timeout=1.5) as (driver, recorder):
            driver.join()
            (message,), = recorder.of('error')
            assert 'gave up: not subscribed for 1.5 seconds' in message


def test_subscription_that_is_cut_again_and_again_backs_off(no_busy_loop):
    with ScriptedMaster() as peer, scheduling(peer.address) as (_driver, recorder):
        for count in range(1, 4):
            peer.await_subscribe(count)
            recorder.wait('registered' if count == 1 else 'reregistered', max(1, count - 1))
            peer.cut()
        time.sleep(1.0)
        assert peer.counts['SUBSCRIBE'] <= 5


def test_callback_that_blocks_is_not_the_peers_silence():
    released = []

    def block(_driver, _offers):
        wait_until(lambda: released)

    with calm_master() as peer, scheduling(peer.address) as (driver, recorder):
        recorder.do['resourceOffers'] = block
        recorder.wait('registered')
        peer.send_event({'type': 'OFFERS', 'offers': {'offers': [{'id': {'value': 'o1'}}]}})
        recorder.wait('resourceOffers')
        time.sleep(1.3 * CALM_SILENCE)
        assert driver.connected and peer.counts['SUBSCRIBE'] == 1
        released.append(True)


def test_full_queue_is_not_the_peers_silence():
    released = []

    def block(_driver, _offers):
        wait_until(lambda: released)

    offers = {'type': 'OFFERS', 'offers': {'offers': [{'id': {'value': 'x' * 1000}}]}}
    with calm_master() as peer, scheduling(peer.address, max_queued=2000) as (driver, recorder):
        recorder.do['resourceOffers'] = block
        recorder.wait('registered')
        for _ in range(1000):
            peer.send_event(offers)
        recorder.wait('resourceOffers')
        time.sleep(1.3 * CALM_SILENCE)
        assert driver.connected and peer.counts['SUBSCRIBE'] == 1
        released.append(True)
        recorder.wait('resourceOffers', count=1000)
        assert peer.counts['SUBSCRIBE'] == 1

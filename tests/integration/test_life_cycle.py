"""A driver's life: callbacks in order on one thread, exceptions, restarts, forks, many descriptors."""
from __future__ import absolute_import, division, print_function

import logging
import multiprocessing
import os
import resource
import socket
import subprocess
import sys
import threading

import pytest
import six
from recorders import FRAMEWORK, Recorder, run_program, scheduling

from pymesos import MesosSchedulerDriver
from pymesos.errors import CallRejected, ConnectionLost, InvalidAddress, SubscriptionEnded, TimedOut, UsageError
from pymesos.testing import FaultProxy, ScriptedMaster, wait_until
from pymesos.transport import channel as channel_module
from pymesos.transport import engine


def offer(name='o1', **more):
    return dict({'id': {'value': name}, 'agent_id': {'value': 'a1'}, 'hostname': 'h', 'resources': []}, **more)


def offers(*names):
    return {'type': 'OFFERS', 'offers': {'offers': [offer(name) for name in names]}}


def update(number, uuid='AAAAAAAAAAAAAAAAAAAAAA=='):
    status = {'task_id': {'value': 't%d' % number}, 'agent_id': {'value': 'a1'}, 'state': 'TASK_RUNNING'}
    if uuid:
        status['uuid'] = uuid
    return {'type': 'UPDATE', 'update': {'status': status}}


def test_callbacks_run_in_order_on_one_thread_that_is_not_the_main_one():
    with ScriptedMaster() as peer, scheduling(peer.address) as (driver, recorder):
        peer.await_subscribe()
        for number in range(200):
            peer.send_event(update(number, uuid=None))
        recorder.wait('statusUpdate', count=200)
        assert [args[0]['task_id']['value'] for args in recorder.of('statusUpdate')] == ['t%d' % n for n in range(200)]
        assert len(set(thread for _name, _args, thread in recorder.seen)) == 1
        assert recorder.seen[0][2] is not threading.current_thread()


def test_calls_return_when_the_master_has_answered():
    with ScriptedMaster() as peer, scheduling(peer.address) as (driver, recorder):
        recorder.wait('registered')
        driver.reviveOffers()
        assert peer.counts['REVIVE'] == 1           # nothing to wait for: it is there


def test_refused_call_raises_and_the_driver_goes_on():
    with ScriptedMaster() as peer, scheduling(peer.address) as (driver, recorder):
        recorder.wait('registered')
        peer.reject_next(400, 'Failed to validate', type='KILL')
        with pytest.raises(CallRejected) as caught:
            driver.killTask({'value': 't1'})
        assert isinstance(caught.value, RuntimeError)
        assert (caught.value.status, caught.value.body, caught.value.call) == (400, 'Failed to validate', 'KILL')
        assert '400' in str(caught.value) and 'Failed to validate' in str(caught.value)
        driver.killTask({'value': 't1'})
        assert not driver.aborted


@pytest.mark.parametrize('status, text, subscribes', [
    (403, 'Framework is not subscribed', True),
    (400, 'Framework cannot be found', True),
    (400, "The stream ID 'a' included in this request didn't match the stream ID currently associated with framework "
          "ID f", False),
])
def test_callback_is_not_to_blame_that_the_master_saw_the_subscription_end_first(status, text, subscribes):
    with ScriptedMaster() as peer, scheduling(peer.address) as (driver, recorder):
        recorder.do['resourceOffers'] = lambda driver, found: driver.declineOffer([one['id'] for one in found])
        recorder.wait('registered')
        peer.reject_next(status, text, type='DECLINE')
        peer.send_event(offers('o1'))
        peer.await_call('DECLINE')
        if subscribes:
            recorder.wait('reregistered')
        peer.send_event(offers('o2'))
        peer.await_call('DECLINE', count=2)
        assert peer.counts['SUBSCRIBE'] == (2 if subscribes else 1)
        assert driver.connected and not driver.aborted


@pytest.mark.parametrize('is_implicit', [True, False])
def test_refusal_of_a_subscription_that_has_ended_starts_the_next_though_nobody_waits(is_implicit):
    def acknowledge(driver, status):
        if not is_implicit:
            driver.acknowledgeStatusUpdate(status)

    options = {'implicit_acknowledgements': is_implicit, 'recorder': Recorder(statusUpdate=acknowledge)}
    with ScriptedMaster() as peer, scheduling(peer.address, **options) as (driver, recorder):
        recorder.wait('registered')
        peer.reject_next(403, 'Framework is not subscribed', type='ACKNOWLEDGE')
        peer.send_event(update(1))
        recorder.wait('reregistered')
        peer.send_event(update(2))
        peer.await_call('ACKNOWLEDGE', count=2)
        assert driver.connected and not driver.aborted and peer.counts['SUBSCRIBE'] == 2


def test_text_of_a_callbacks_exception_need_not_be_ascii():
    def fail(*_):
        raise ValueError(u'\xfcbel')

    with ScriptedMaster() as peer:
        with scheduling(peer.address, recorder=Recorder(registered=fail)) as (driver, recorder):
            text, = recorder.wait('error')
            assert text == ('ValueError: \\xfcbel' if six.PY2 else u'ValueError: \xfcbel')
            with pytest.raises(ValueError):
                driver.join()


def test_text_of_a_peer_need_not_be_ascii():
    text = u'\xfcberlastet'
    with ScriptedMaster() as peer:
        peer.reject_next(503, text.encode('utf-8'), type='SUBSCRIBE')
        location = u'//\xfcber:5050/'.encode('utf-8')
        peer.answer_next(b'HTTP/1.1 307 Temporary Redirect\r\nContent-Length: 0\r\nLocation: ' + location
                         + b'\r\n\r\n', type='SUBSCRIBE')
        with scheduling(peer.address) as (driver, recorder):
            recorder.wait('registered')
            peer.reject_next(400, text.encode('utf-8'), type='KILL')
            with pytest.raises(CallRejected) as caught:
                driver.killTask({'value': 't1'})
            assert caught.value.body == text and 'HTTP status 400' in str(caught.value)
            peer.send_event({'type': 'ERROR', 'error': {'message': text}})
            recorder.wait('error')
            assert recorder.of('error') == [(text,)]
            wait_until(lambda: driver.failure is not None)
            assert isinstance(driver.failure, SubscriptionEnded) and driver.failure.reason == text
            assert 'ended the subscription' in str(driver.failure)


def test_callback_that_lets_another_refusal_through_ends_the_driver():
    with ScriptedMaster() as peer:
        with scheduling(peer.address) as (driver, recorder):
            recorder.do['resourceOffers'] = lambda driver, found: driver.declineOffer([one['id'] for one in found])
            recorder.wait('registered')
            peer.reject_next(403, '403 Forbidden.', type='DECLINE')
            peer.send_event(offers('o1'))
            with pytest.raises(CallRejected):
                driver.join()
            assert driver.aborted
        assert peer.counts['SUBSCRIBE'] == 1


def test_calls_from_many_threads_and_callbacks_are_pipelined_on_one_connection():
    with ScriptedMaster() as peer, scheduling(peer.address) as (driver, recorder):
        answered = []

        def decline(driver, found):
            driver.declineOffer([one['id'] for one in found])
            answered.append(True)

        recorder.do['resourceOffers'] = decline
        recorder.wait('registered')
        threads = [threading.Thread(target=lambda: [driver.reviveOffers() for _ in range(20)]) for _ in range(10)]
        for thread in threads:
            thread.start()
        for number in range(20):
            peer.send_event(offers('o%d' % number))
        for thread in threads:
            thread.join()
        peer.await_call('DECLINE', count=20)
        wait_until(lambda: answered == [True] * 20)
        assert peer.counts['REVIVE'] == 200
        assert peer.connections == 2                # the stream and the calls


def test_call_connection_is_opened_again_when_the_peer_closed_it():
    with ScriptedMaster() as peer, scheduling(peer.address) as (driver, recorder):
        recorder.wait('registered')
        for announce in (False, True):
            peer.close_connections_after(1, announce)
            for _ in range(5):
                driver.reviveOffers()
            threads = [threading.Thread(target=driver.reviveOffers) for _ in range(10)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert driver.connected


def test_call_follows_a_redirect_and_keeps_its_body():
    with ScriptedMaster() as peer, ScriptedMaster() as other, scheduling(peer.address) as (driver, recorder):
        recorder.wait('registered')
        other.reject_next(403, 'Framework is not subscribed', times=None)
        peer.redirect_to(other.netloc)
        with pytest.raises(CallRejected) as caught:
            driver.killTask({'value': 't1'})
        assert caught.value.status == 403
        assert other.await_call('KILL').body['kill'] == {'task_id': {'value': 't1'}}


def test_call_that_is_not_answered_times_out_as_an_oserror():
    with ScriptedMaster() as peer, scheduling(peer.address, call_timeout=0.5) as (driver, recorder):
        recorder.wait('registered')
        peer.hold_answers('KILL')
        with pytest.raises((OSError, socket.error)) as caught:
            driver.killTask({'value': 't1'})
        # The second if even connecting took as long.
        assert str(caught.value) in ('%s did not answer KILL within 0.5 seconds' % peer.netloc,
                                     'cannot connect to %s within 0.5 seconds, to send KILL' % peer.netloc)
        peer.release_answers()

        def revive():
            try:
                driver.reviveOffers()
            except TimedOut:            # the machine was busy for half a second
                return False
            return True

        wait_until(revive, message='a call that is answered')


def test_accept_is_not_repeated_when_its_connection_breaks():
    with ScriptedMaster() as peer, scheduling(peer.address) as (driver, recorder):
        recorder.wait('registered')
        peer.hold_answers('ACCEPT')
        errors = []

        def launch():
            try:
                driver.launchTasks({'value': 'o1'}, [{'name': 'x', 'task_id': {'value': 't1'}}])
            except (OSError, socket.error) as error:
                errors.append(error)

        thread = threading.Thread(target=launch)
        thread.start()
        peer.await_call('ACCEPT')
        peer.cut_all()
        thread.join()
        assert len(errors) == 1
        recorder.wait('reregistered')
        assert peer.counts['ACCEPT'] == 1


def test_calls_while_not_subscribed_are_dropped_with_a_warning(caplog):
    driver = MesosSchedulerDriver(Recorder(), dict(FRAMEWORK), '127.0.0.1:1')
    driver.declineOffer({'value': 'o1'})
    driver.reconcileTasks([])
    texts = [record.getMessage() for record in caplog.records if record.levelname == 'WARNING']
    assert texts == ['DECLINE is dropped: there is no subscription now',
                     'RECONCILE is dropped: there is no subscription now']


def test_acknowledgement_of_a_last_update_goes_with_the_next_call_or_at_the_end(monkeypatch):
    monkeypatch.setattr(channel_module, 'REST', 60.0)

    def updated(number, state):
        peer.send_event({'type': 'UPDATE', 'update': {'status': {
            'task_id': {'value': 't%d' % number}, 'agent_id': {'value': 'a1'}, 'state': state,
            'uuid': 'AAAAAAAAAAAAAAAAAAAAAA=='}}})
        recorder.wait('statusUpdate', count=number + 1)

    def acknowledged():
        return [call.body['acknowledge']['task_id']['value'] for call in peer.calls_of('ACKNOWLEDGE')]

    with ScriptedMaster() as peer, scheduling(peer.address) as (driver, recorder):
        peer.await_subscribe()
        updated(0, 'TASK_RUNNING')
        peer.await_call('ACKNOWLEDGE')
        wait_until(lambda: driver._life.engine.channel._is_resting)
        updated(1, 'TASK_FINISHED')
        wait_until(lambda: driver._life.engine.channel._postponed)
        assert acknowledged() == ['t0']
        updated(2, 'TASK_RUNNING')
        peer.await_call('ACKNOWLEDGE', count=3)
        assert acknowledged() == ['t0', 't1', 't2']
        updated(3, 'TASK_LOST')
        wait_until(lambda: driver._life.engine.channel._postponed)
        driver.stop(failover=True)
        peer.await_call('ACKNOWLEDGE', count=4)
        assert acknowledged() == ['t0', 't1', 't2', 't3']


@pytest.mark.parametrize('state', [['TASK_FINISHED'], {}, 7, None])
def test_update_with_a_state_that_is_none_is_acknowledged_all_the_same(state):
    with ScriptedMaster() as peer, scheduling(peer.address) as (driver, recorder):
        peer.await_subscribe()
        event = update(0)
        event['update']['status']['state'] = state
        peer.send_event(event)
        peer.await_call('ACKNOWLEDGE')
        assert not driver.aborted and recorder.of('statusUpdate')[0][0]['state'] == state


def test_implicit_acknowledgements_wait_for_nothing():
    with ScriptedMaster() as peer, scheduling(peer.address) as (_driver, recorder):
        recorder.wait('registered')
        peer.hold_answers('ACKNOWLEDGE')
        for number in range(50):
            peer.send_event(update(number))
        recorder.wait('statusUpdate', count=50)
        peer.await_call('ACKNOWLEDGE', count=50)
        peer.release_answers()


def test_explicit_acknowledgement_is_the_users_affair():
    with ScriptedMaster() as peer, scheduling(peer.address, implicit_acknowledgements=False) as (driver, recorder):
        recorder.wait('registered')
        peer.send_event(update(1))
        (status,) = recorder.wait('statusUpdate')
        assert 'ACKNOWLEDGE' not in peer.counts
        driver.acknowledgeStatusUpdate(status)
        assert peer.await_call('ACKNOWLEDGE').body['acknowledge'] == {
            'agent_id': {'value': 'a1'}, 'task_id': {'value': 't1'}, 'uuid': status['uuid']}


def test_update_whose_callback_raised_is_not_acknowledged(capsys):
    def fail(_driver, _status):
        raise ZeroDivisionError('mine')

    with ScriptedMaster() as peer:
        with scheduling(peer.address, recorder=Recorder(statusUpdate=fail)) as (driver, recorder):
            recorder.wait('registered')
            peer.send_event(update(1))
            with pytest.raises(ZeroDivisionError):
                driver.join()
            assert recorder.of('error') == [('ZeroDivisionError: mine',)]
            assert recorder.names[-1] == 'disconnected'
        assert set(peer.counts) == {'SUBSCRIBE'}    # no ACKNOWLEDGE, and no TEARDOWN


def test_exception_of_a_callback_reaches_stderr_and_run_raises_it():
    program = '''
        import os
        from pymesos import MesosSchedulerDriver, Scheduler
        class Mine(Scheduler):
            def registered(self, driver, framework_id, master_info):
                raise ZeroDivisionError('mine')
        try:
            MesosSchedulerDriver(Mine(), {'user': 'root', 'name': 'x'}, os.environ['MASTER']).run()
        except ZeroDivisionError:
            print('raised')
    '''
    with ScriptedMaster() as peer:
        child = run_program(program, peer)
        out, err = child.communicate()
    assert out.strip() == b'raised'
    assert b'Traceback' in err and b'ZeroDivisionError: mine' in err


def test_join_elsewhere_than_on_the_main_thread_returns_after_an_exception():
    returned = []

    def fail(*_):
        raise ZeroDivisionError('mine')

    with ScriptedMaster() as peer:
        driver = MesosSchedulerDriver(Recorder(registered=fail), dict(FRAMEWORK), peer.address)
        thread = threading.Thread(target=lambda: returned.append(driver.run()))
        thread.start()
        thread.join()
    assert returned == [None]


def test_run_again_subscribes_with_the_id_it_had(monkeypatch):
    monkeypatch.setattr(engine, 'LEAVE_TIMEOUT', 30.0)      # as long as a busy machine needs to confirm it
    with ScriptedMaster() as peer:
        driver = MesosSchedulerDriver(Recorder(), dict(FRAMEWORK), peer.address)
        driver.start()
        framework_id = driver.sched.wait('registered')[0]
        driver.stop(failover=True)
        driver.join()
        driver.start()
        driver.sched.wait('reregistered')
        assert peer.calls_of('SUBSCRIBE')[1].body['framework_id'] == framework_id
        driver.stop()
        driver.join()
        assert driver.framework_id is None          # torn down: the id is of no more use
        driver.start()
        driver.sched.wait('registered', count=2)
        driver.stop()
        driver.join()


def test_restart_from_the_last_callback():
    restarted = []

    def again(driver):
        if not restarted:
            restarted.append(True)
            driver.start()

    with ScriptedMaster() as peer:
        driver = MesosSchedulerDriver(Recorder(disconnected=again), dict(FRAMEWORK), peer.address)
        driver.start()
        driver.sched.wait('registered')
        driver.stop(failover=True)
        driver.sched.wait('reregistered')
        driver.stop()
        driver.join()
        assert driver.aborted


def test_start_twice_is_a_warning(caplog):
    with ScriptedMaster() as peer, scheduling(peer.address) as (driver, _recorder):
        driver.start()
        assert 'started already' in caplog.text
        peer.await_subscribe()
        assert peer.counts['SUBSCRIBE'] == 1


@pytest.mark.parametrize('address', ['', 'host:port', 'ftp://host', 'host:0', 'host:70000', 'zk://host', '[::1'])
def test_address_that_cannot_be_used_is_an_error_of_start(address):
    driver = MesosSchedulerDriver(Recorder(), dict(FRAMEWORK), address)
    with pytest.raises(InvalidAddress):
        driver.start()
    assert driver.aborted


def test_list_of_masters_is_tried_in_turn():
    with ScriptedMaster() as peer, FaultProxy(peer.address) as dead:
        dead.refuse()
        with scheduling('%s,%s' % (dead.address, peer.address)) as (driver, recorder):
            recorder.wait('registered')
            assert driver.master == peer.netloc


def test_another_master_is_subscribed_when_told_to_change():
    with ScriptedMaster() as one, ScriptedMaster() as two, scheduling(one.address) as (driver, recorder):
        recorder.wait('registered')
        driver.change_master(two.address)
        recorder.wait('disconnected')
        recorder.wait('reregistered')
        assert driver.master == two.netloc
        driver.change_master(None)
        recorder.wait('disconnected', count=2)
        assert not driver.connected


def test_ipv6():
    with ScriptedMaster(host='::1') as peer, scheduling(peer.address) as (driver, recorder):
        recorder.wait('registered')
        driver.reviveOffers()
        assert driver.master == '[::1]:%d' % peer.port


def test_name_whose_first_address_is_dead(monkeypatch):
    look_up = socket.getaddrinfo
    with ScriptedMaster() as peer:
        def two(host, port, family=0, kind=0, protocol=0, flags=0):
            if host != 'mesos.example':
                return look_up(host, port, family, kind, protocol, flags)
            if flags & socket.AI_NUMERICHOST:
                raise socket.gaierror(socket.EAI_NONAME, 'a name')
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, '', ('127.0.0.1', 1)),
                    (socket.AF_INET, socket.SOCK_STREAM, 6, '', ('127.0.0.1', peer.port))]

        monkeypatch.setattr(socket, 'getaddrinfo', two)
        with scheduling('mesos.example:%d' % peer.port) as (_driver, recorder):
            recorder.wait('registered')


def test_descriptors_above_1024():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 1200:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard) if hard > 0 else 4096, hard))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        with ScriptedMaster() as peer, scheduling(peer.address) as (driver, recorder):
            recorder.wait('registered')
            driver.reviveOffers()
    finally:
        for descriptor in held:
            os.close(descriptor)


def child_work(queue):
    queue.put(sorted(os.listdir('/proc/self/fd')) and 'worked')


def test_fork_inside_a_callback():
    results = []

    def fork(_driver, *_):
        queue = multiprocessing.Queue()
        child = multiprocessing.Process(target=child_work, args=(queue,))
        child.start()
        results.append(queue.get(True, 60))
        child.join()
        queue.close()
        queue.join_thread()

    with ScriptedMaster(heartbeat_interval=0.05) as peer, scheduling(peer.address, recorder=Recorder(registered=fork)):
        wait_until(lambda: results == ['worked'])


def test_driver_of_the_parent_refuses_calls_in_a_forked_child():
    with ScriptedMaster() as peer, scheduling(peer.address) as (driver, recorder):
        recorder.wait('registered')
        child = os.fork()
        if child == 0:
            try:
                driver.reviveOffers()
            except UsageError as error:
                os._exit(0 if 'forked' in str(error) else 2)
            finally:
                os._exit(3)
        assert os.waitpid(child, 0)[1] == 0
        driver.reviveOffers()


def test_connections_end_for_the_peer_though_a_forked_child_holds_them():
    with ScriptedMaster() as peer:
        reader, writer = os.pipe()
        with scheduling(peer.address) as (driver, recorder):
            recorder.wait('registered')
            driver.reviveOffers()
            child = os.fork()
            if child == 0:
                os.close(writer)
                os.read(reader, 1)
                os._exit(0)
        peer.await_connections(0)
        os.write(writer, b'x')
        os.waitpid(child, 0)
        os.close(reader)
        os.close(writer)


def test_descriptors_are_not_inherited_by_programs():
    def inherited():
        listing = subprocess.Popen([sys.executable, '-c', 'import os; print(len(os.listdir("/proc/self/fd")))'],
                                   stdout=subprocess.PIPE, close_fds=False)
        return int(listing.communicate()[0])

    with ScriptedMaster() as peer:
        before = inherited()
        with scheduling(peer.address) as (driver, recorder):
            recorder.wait('registered')
            driver.reviveOffers()
            assert inherited() == before


def test_stop_while_another_thread_waits_for_an_answer():
    with ScriptedMaster() as peer, scheduling(peer.address) as (driver, recorder):
        recorder.wait('registered')
        peer.hold_answers('KILL')
        raised = []

        def kill():
            try:
                driver.killTask({'value': 't1'})
            except Exception as error:
                raised.append(error)

        thread = threading.Thread(target=kill)
        thread.start()
        peer.await_call('KILL')
        driver.stop(failover=True)
        thread.join()
        assert [type(error).__name__ for error in raised] == ['Stopped']


def test_interrupt_main_is_opt_in():
    program = '''
        import os, time
        from pymesos import MesosSchedulerDriver, Scheduler
        class Mine(Scheduler):
            def registered(self, driver, framework_id, master_info):
                raise ZeroDivisionError('mine')
        driver = MesosSchedulerDriver(Mine(), {'user': 'root', 'name': 'x'}, os.environ['MASTER'])
        driver.interrupt_main = True
        try:
            driver.start()              # the callback may run before it returns
            while True:
                time.sleep(0.1)
        except KeyboardInterrupt:
            print('interrupted')
    '''
    with ScriptedMaster() as peer:
        child = run_program(program, peer)
        out, _err = child.communicate()
    assert out.strip() == b'interrupted'


def test_call_that_the_network_ate_does_not_end_the_driver_of_the_callback_that_made_it():
    def decline(driver, found):
        driver.declineOffer([one['id'] for one in found])

    seen = Recorder(resourceOffers=decline)
    with ScriptedMaster() as peer, scheduling(peer.address, recorder=seen) as (driver, _recorder):
        seen.wait('registered')
        peer.hold_answers('DECLINE')
        peer.send_event(offers('o1'))
        peer.await_call('DECLINE')
        peer.cut_all()
        seen.wait('disconnected')
        peer.release_answers()
        seen.wait('reregistered')
        assert 'error' not in seen.names and not driver.aborted


def test_call_that_the_network_ate_loses_none_of_the_events_behind_it():
    def decline(driver, _found):
        driver.reviveOffers()

    with ScriptedMaster() as peer, scheduling(peer.address, recorder=Recorder(resourceOffers=decline),
                                              call_timeout=0.5) as (driver, seen):
        seen.wait('registered')
        peer.hold_answers('REVIVE')
        batch = b''
        for event in (b'{"type":"OFFERS","offers":{"offers":[{"id":{"value":"o1"}}]}}',
                      b'{"type":"RESCIND","rescind":{"offer_id":{"value":"o1"}}}'):
            batch += b'%d\n%s' % (len(event), event)
        peer.send_raw(batch)                            # one write, so most likely one batch
        seen.wait('offerRescinded')
        peer.release_answers()
        assert driver.connected and 'error' not in seen.names


def test_network_error_of_somebody_else_is_an_exception_like_any_other():
    def fail(*_):
        raise ConnectionLost('of another driver')

    with ScriptedMaster() as peer:
        driver = MesosSchedulerDriver(Recorder(registered=fail), dict(FRAMEWORK), peer.address)
        with pytest.raises(ConnectionLost):
            driver.run()


@pytest.mark.parametrize('raised', [SystemExit, KeyboardInterrupt, ValueError])
def test_error_callback_that_raises_ends_the_driver_and_is_called_once(raised):
    def fail(_driver, message):
        raise raised(message)

    with ScriptedMaster() as peer:
        peer.refuse_next_subscription('removed')
        driver = MesosSchedulerDriver(Recorder(error=fail), dict(FRAMEWORK), peer.address)
        with pytest.raises(raised):
            driver.run()
        assert len(driver.sched.of('error')) == 1


@pytest.mark.parametrize('is_closed', [False, True])
def test_exception_ends_the_driver_though_stderr_is_gone(is_closed, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError('mine')

    stderr = open(os.devnull, 'w')
    stderr.close()
    monkeypatch.setattr(sys, 'stderr', stderr if is_closed else None)
    monkeypatch.setattr(logging.getLogger('pymesos'), 'propagate', False)
    with ScriptedMaster() as peer:
        driver = MesosSchedulerDriver(Recorder(registered=fail), dict(FRAMEWORK), peer.address)
        with pytest.raises(ZeroDivisionError):
            driver.run()
        assert driver.aborted


def test_start_from_a_thread_and_from_the_last_callback_at_once():
    for _ in range(20):
        starting = threading.Event()

        def again(driver):
            starting.set()
            driver.start()

        with ScriptedMaster() as peer:
            driver = MesosSchedulerDriver(Recorder(disconnected=again), dict(FRAMEWORK), peer.address)
            driver.start()
            driver.sched.wait('registered')
            driver.stop(failover=True)
            driver.start()
            assert starting.wait(30)
            driver.sched.do.pop('disconnected')
            driver.sched.wait('reregistered')
            driver.stop()
            driver.join()


def test_restart_inside_error_begins_a_new_life_after_the_old_one():
    def again(driver, _message):
        assert driver.aborted and not driver.connected
        driver.start()

    with ScriptedMaster() as peer:
        peer.refuse_next_subscription('removed')
        driver = MesosSchedulerDriver(Recorder(error=again), dict(FRAMEWORK), peer.address)
        driver.start()
        driver.sched.wait('registered')
        assert driver.sched.names[:2] == ['error', 'registered']
        driver.stop()
        driver.join()


def test_events_of_the_old_life_do_not_run_beside_those_of_the_new_one():
    seen = []

    def again(driver, offer_id):
        seen.append(offer_id['value'])
        if len(seen) == 1:
            driver.stop(failover=True)
            driver.start()

    rescind = b'{"type":"RESCIND","rescind":{"offer_id":{"value":"old"}}}'
    with ScriptedMaster() as peer:
        recorder = Recorder(offerRescinded=again)
        driver = MesosSchedulerDriver(recorder, dict(FRAMEWORK), peer.address)
        driver.start()
        recorder.wait('registered')
        peer.send_raw((b'%d\n%s' % (len(rescind), rescind)) * 50)
        recorder.wait('reregistered')
        driver.stop()
        driver.join()
    assert seen == ['old']
    assert [name for name in recorder.names if name != 'processHeartBeat'] == [
        'registered', 'offerRescinded', 'disconnected', 'reregistered', 'disconnected']


def test_stop_without_a_subscription_says_that_nothing_was_torn_down(caplog):
    with ScriptedMaster() as peer:
        driver = MesosSchedulerDriver(Recorder(), dict(FRAMEWORK, id={'value': 'f1'}), peer.address)
        peer.hold_answers()
        driver.start()
        peer.await_connections(1)
        driver.stop()
        driver.join()
    assert 'the framework f1 is not torn down' in caplog.text


def test_exception_after_stop_does_not_cut_the_teardown_off(monkeypatch):
    monkeypatch.setattr(engine, 'LEAVE_TIMEOUT', 30.0)      # as long as a busy machine needs to connect

    def leave(driver, *_):
        driver.stop()
        raise SystemExit(0)

    with ScriptedMaster() as peer:
        driver = MesosSchedulerDriver(Recorder(registered=leave), dict(FRAMEWORK), peer.address)
        with pytest.raises(SystemExit):
            driver.run()
        peer.await_call('TEARDOWN')             # it may be read after the driver has ceased to wait for its answer
        assert peer.counts['TEARDOWN'] == 1


@pytest.mark.parametrize('event', [
    {'type': 'UPDATE', 'update': {}}, {'type': 'UPDATE', 'update': {'status': 5}},
    {'type': 'UPDATE', 'update': {'status': {'uuid': 'dQ=='}}}, {'type': 'OFFERS', 'offers': {'offers': 5}},
    {'type': 'OFFERS', 'offers': {'offers': [5]}}, {'type': 'RESCIND', 'rescind': {}},
    {'type': 'FAILURE', 'failure': {}}, {'type': 'MESSAGE', 'message': {}}, {'type': 'ERRORS'}])
def test_odd_event_does_not_end_the_driver(event):
    with ScriptedMaster() as peer, scheduling(peer.address) as (driver, recorder):
        recorder.wait('registered')
        peer.send_event(event)
        peer.send_event({'type': 'RESCIND', 'rescind': {'offer_id': {'value': 'last'}}})
        wait_until(lambda: ({'value': 'last'},) in recorder.of('offerRescinded'))
        assert not driver.aborted and 'error' not in recorder.names


def test_timeouts_longer_than_the_system_can_count():
    with FaultProxy('127.0.0.1:1') as proxy:
        proxy.refuse()
        with scheduling(proxy.address, timeout=400 * 86400) as (driver, recorder):
            wait_until(lambda: proxy.connections == 0 and driver._life.engine.session.attempt > 1)
            assert 'error' not in recorder.names


def test_location_that_is_no_name_is_a_failed_try():
    with ScriptedMaster() as peer:
        peer.redirect_to('//a..b:5050/api/v1/scheduler', times=1)
        with scheduling(peer.address) as (_driver, recorder):
            recorder.wait('registered')


def test_names_are_resolved_by_one_thread_at_a_time(monkeypatch):
    gate, asked = threading.Event(), []
    look_up = socket.getaddrinfo

    def slow(host, port, family=0, kind=0, protocol=0, flags=0):
        if flags & socket.AI_NUMERICHOST or host != 'mesos.example':
            return look_up(host, port, family, kind, protocol, flags)
        asked.append(host)
        gate.wait(60)
        raise socket.gaierror(socket.EAI_NONAME, 'no such name')

    monkeypatch.setattr(socket, 'getaddrinfo', slow)
    with scheduling('mesos.example:5050', connect_timeout=0.05) as (driver, _recorder):
        wait_until(lambda: driver._life.engine.session.attempt >= 4)
        assert asked == ['mesos.example']
        gate.set()


def test_threads_that_cannot_be_started_are_an_error_of_start(monkeypatch):
    driver = MesosSchedulerDriver(Recorder(), dict(FRAMEWORK), '127.0.0.1:1')
    start = threading.Thread.start

    def refuse(thread):
        if thread.name.endswith('-loop'):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, 'start', refuse)
    with pytest.raises(RuntimeError):
        driver.start()
    assert driver.aborted
    driver.stop()
    driver.join()


def test_header_that_cannot_be_written_fails_its_call_only():
    with ScriptedMaster() as peer, scheduling(peer.address) as (driver, recorder):
        recorder.wait('registered')
        with pytest.raises(UsageError):
            driver._send({'type': 'REVIVE', 'framework_id': {'value': driver.framework_id}}, headers={'X': 'a\nb'})
        driver.reviveOffers()


def test_signal_handler_stops_a_driver_whose_main_thread_waits_for_an_answer():
    program = '''
        import os, signal, sys, threading
        from pymesos import MesosSchedulerDriver, Scheduler
        ready = threading.Event()
        class Mine(Scheduler):
            def registered(self, driver, framework_id, master_info):
                ready.set()
        driver = MesosSchedulerDriver(Mine(), {'user': 'root', 'name': 'x'}, os.environ['MASTER'])
        signal.signal(signal.SIGTERM, lambda *_: driver.stop(True))
        driver.start()
        ready.wait(60)
        try:
            driver.reviveOffers()
        except Exception as error:
            print(type(error).__name__)
        driver.join()
    '''
    with ScriptedMaster() as peer:
        peer.hold_answers('REVIVE')
        child = run_program(program, peer)
        peer.await_call('REVIVE')
        child.send_signal(15)
        assert child.communicate()[0].strip() == b'Stopped'

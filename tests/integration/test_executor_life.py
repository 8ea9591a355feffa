"""An executor's driver against a scripted agent: no update is lost, and it goes when its agent is gone."""
from __future__ import absolute_import, division, print_function

import os
import socket
import subprocess
import sys
import textwrap
import threading
from contextlib import contextmanager

import pytest
import six
from recorders import executing

from pymesos import MesosExecutorDriver
from pymesos import executor as executor_module
from pymesos._compat import monotonic
from pymesos.errors import CallRejected, UsageError
from pymesos.testing import FaultProxy, ScriptedAgent, wait_until

CHECKPOINT = {'checkpoint': True}


def task(name='t1'):
    return {'name': name, 'task_id': {'value': name}, 'agent_id': {'value': 'a1'}}


def launch(name='t1'):
    return {'type': 'LAUNCH', 'launch': {'task': task(name)}}


def status(name='t1', state='TASK_RUNNING', **more):
    return dict({'task_id': {'value': name}, 'state': state}, **more)


def behind(proxy, agent, monkeypatch):
    """The agent, whose executors reach it through a proxy."""
    monkeypatch.setattr(agent, 'environment', lambda **options: dict(
        ScriptedAgent.environment(agent, **options), MESOS_AGENT_ENDPOINT=proxy.address))
    return agent


def replayed(call):
    return [(one['status']['task_id']['value'], one['status']['state'])
            for one in call.body['subscribe']['unacknowledged_updates']]


def unacknowledged_tasks(call):
    return [one['task_id']['value'] for one in call.body['subscribe']['unacknowledged_tasks']]


def test_registered_then_launched_then_acknowledged(monkeypatch):
    with ScriptedAgent() as agent, executing(agent, monkeypatch) as (driver, recorder):
        executor_info, framework_info, agent_info = recorder.wait('registered')
        assert executor_info['executor_id'] == driver.executor_id
        assert framework_info['id'] == driver.framework_id
        assert agent_info['id'] == {'value': agent.agent_id}
        agent.send_event(launch())
        assert recorder.wait('launchTask') == (task(),)
        assert list(driver.tasks) == ['t1']
        sent = status()
        driver.sendStatusUpdate(sent)
        body = agent.await_call('UPDATE').body
        assert body['update']['status'] == sent
        assert set(sent) == {'task_id', 'state', 'uuid', 'timestamp', 'source'}
        wait_until(lambda: not driver.tasks and not driver.updates)


def test_call_path_has_the_agents_process_id(monkeypatch):
    with ScriptedAgent() as agent:
        seen = []
        agent.on_path('/slave(1)/api/v1/executor', lambda request: seen.append(request.target))
        with executing(agent, monkeypatch) as (driver, _recorder):
            wait_until(lambda: seen)
        assert seen[0] == '/slave(1)/api/v1/executor'


def test_wrapped_on_event_sees_acknowledgements_too(monkeypatch):
    seen = []
    with ScriptedAgent() as agent, executing(agent, monkeypatch) as (driver, recorder):
        recorder.wait('registered')
        original = driver.on_event
        driver.on_event = lambda event: (seen.append(event['type']), original(event))
        driver.sendStatusUpdate(status())
        wait_until(lambda: seen == ['ACKNOWLEDGED'])


def test_unacknowledged_updates_are_replayed_in_order(monkeypatch):
    with ScriptedAgent(acknowledges=False) as agent, executing(
            agent, monkeypatch, environment=CHECKPOINT) as (driver, recorder):
        agent.await_subscribe()
        agent.send_event(launch('t1'))
        agent.send_event(launch('t2'))
        recorder.wait('launchTask', count=2)
        for name, state in (('t1', 'TASK_RUNNING'), ('t2', 'TASK_RUNNING'), ('t1', 'TASK_FINISHED')):
            driver.sendStatusUpdate(status(name, state))
        agent.cut()
        recorder.wait('reregistered')
        call = agent.calls_of('SUBSCRIBE')[1]
        assert replayed(call) == [('t1', 'TASK_RUNNING'), ('t2', 'TASK_RUNNING'), ('t1', 'TASK_FINISHED')]
        assert unacknowledged_tasks(call) == ['t1', 't2']


def test_updates_made_while_disconnected_are_kept_and_sent(monkeypatch):
    keeps_and_sends(monkeypatch, lambda driver, update: driver.sendStatusUpdate(update))      # returns at once


def keeps_and_sends(monkeypatch, send):
    """Have updates sent by ``send(driver, status)`` without a connection: they come with the next one."""
    with ScriptedAgent() as agent, FaultProxy(agent.address) as proxy:
        with executing(behind(proxy, agent, monkeypatch), monkeypatch, environment=CHECKPOINT) as (driver, recorder):
            recorder.wait('registered')
            proxy.refuse()
            proxy.reset()
            recorder.wait('disconnected')
            for state in ('TASK_RUNNING', 'TASK_FINISHED'):
                send(driver, status('t1', state))
            assert len(driver.updates) == 2
            proxy.accept()
            recorder.wait('reregistered')
            assert replayed(agent.calls_of('SUBSCRIBE')[-1]) == [('t1', 'TASK_RUNNING'), ('t1', 'TASK_FINISHED')]
            wait_until(lambda: not driver.updates)


def test_updates_made_before_the_subscription_are_sent_after_it(monkeypatch):
    with ScriptedAgent() as agent:
        agent.hold_answers('SUBSCRIBE')
        with executing(agent, monkeypatch) as (driver, recorder):
            agent.await_call('SUBSCRIBE')
            driver.sendStatusUpdate(status('t1', 'TASK_RUNNING'))
            driver.sendStatusUpdate(status('t1', 'TASK_FINISHED'))
            agent.release_answers()
            agent.await_call('UPDATE', count=2)
            assert [call.body['update']['status']['state'] for call in agent.calls_of('UPDATE')] == [
                'TASK_RUNNING', 'TASK_FINISHED']
            wait_until(lambda: not driver.updates)


def test_update_that_is_answered_with_garbage_is_replayed_by_the_next_subscription(monkeypatch):
    with ScriptedAgent() as agent, executing(agent, monkeypatch, environment=CHECKPOINT) as (driver, recorder):
        recorder.wait('registered')
        agent.answer_next(b'\x00\xffgarbage\r\n\r\n', 'UPDATE')
        driver.sendStatusUpdate(status())
        recorder.wait('reregistered')
        assert replayed(agent.calls_of('SUBSCRIBE')[1]) == [('t1', 'TASK_RUNNING')]
        wait_until(lambda: not driver.updates)


def test_update_whose_connection_broke_is_replayed_by_the_next_subscription(monkeypatch):
    with ScriptedAgent() as agent, FaultProxy(agent.address) as proxy, executing(
            behind(proxy, agent, monkeypatch), monkeypatch, environment=CHECKPOINT) as (driver, recorder):
        recorder.wait('registered')
        proxy.refuse()                                  # the stream lives on
        driver.sendStatusUpdate(status())               # nothing is raised, it is kept
        recorder.wait('disconnected')
        proxy.accept()
        recorder.wait('reregistered')
        assert replayed(agent.calls_of('SUBSCRIBE')[-1]) == [('t1', 'TASK_RUNNING')]
        assert not agent.calls_of('UPDATE')


def test_task_launched_but_not_yet_delivered_is_among_the_unacknowledged(monkeypatch):
    gate = threading.Event()
    with ScriptedAgent() as agent, executing(agent, monkeypatch, environment=CHECKPOINT) as (driver, recorder):
        recorder.do['launchTask'] = lambda *_: gate.wait(60)
        recorder.wait('registered')
        agent.send_event(launch('t1'))
        recorder.wait('launchTask')
        agent.send_event(launch('t2'))                  # waits behind a callback that blocks
        wait_until(lambda: len(driver.tasks) == 2)
        agent.cut()
        agent.await_subscribe(2)
        assert unacknowledged_tasks(agent.calls_of('SUBSCRIBE')[1]) == ['t1', 't2']
        gate.set()
        recorder.wait('launchTask', count=2)


def test_refused_update_raises_and_is_not_kept(monkeypatch):
    with ScriptedAgent() as agent, executing(agent, monkeypatch) as (driver, recorder):
        recorder.wait('registered')
        with pytest.raises(CallRejected) as caught:
            driver.sendStatusUpdate(status(source='SOURCE_MASTER'))
        assert caught.value.status == 400 and 'invalid source' in str(caught.value)
        assert not driver.updates


@pytest.mark.parametrize('status_code', [503, 403])
def test_update_that_an_agent_cannot_take_yet_is_kept_and_replayed(monkeypatch, status_code):
    with ScriptedAgent(acknowledges=False) as agent, executing(
            agent, monkeypatch, environment=CHECKPOINT) as (driver, recorder):
        recorder.wait('registered')
        agent.reject_next(status_code, 'Agent has not finished recovery', type='UPDATE')
        driver.sendStatusUpdate(status())
        recorder.wait('reregistered')
        assert replayed(agent.calls_of('SUBSCRIBE')[1]) == [('t1', 'TASK_RUNNING')]


def test_status_dict_that_is_sent_again_with_another_state_gets_a_new_uuid(monkeypatch):
    with ScriptedAgent() as agent, executing(agent, monkeypatch) as (driver, recorder):
        recorder.wait('registered')
        mine = status()
        driver.sendStatusUpdate(mine)
        mine['state'] = 'TASK_FINISHED'
        driver.sendStatusUpdate(mine)
        agent.await_call('UPDATE', count=2)
        uuids = [call.body['update']['status']['uuid'] for call in agent.calls_of('UPDATE')]
        assert uuids[0] != uuids[1]


def test_bad_uuid_is_a_usage_error(monkeypatch):
    with ScriptedAgent() as agent, executing(agent, monkeypatch) as (driver, _recorder):
        with pytest.raises(UsageError) as caught:
            driver.sendStatusUpdate(status(uuid='short'))
        assert 'expected 16 bytes in base64' in str(caught.value)


def test_task_id_may_be_used_again_before_its_acknowledgement(monkeypatch):
    with ScriptedAgent(acknowledges=False) as agent, executing(agent, monkeypatch) as (driver, recorder):
        recorder.wait('registered')
        agent.send_event(launch('t1'))
        agent.send_event(launch('t1'))
        recorder.wait('launchTask', count=2)
        assert not driver.aborted and list(driver.tasks) == ['t1']


def test_kill_policy_reaches_a_method_that_takes_it(monkeypatch):
    class Taking(object):
        def __init__(self):
            self.killed = []

        def killTask(self, driver, task_id, kill_policy=None):
            self.killed.append((task_id, kill_policy))

    class NotTaking(object):
        def __init__(self):
            self.killed = []

        def killTask(self, driver, task_id):
            self.killed.append(task_id)

    policy = {'grace_period': {'nanoseconds': 5}}
    kill = {'type': 'KILL', 'kill': {'task_id': {'value': 't1'}, 'kill_policy': policy}}
    for executor, expected in ((Taking(), ({'value': 't1'}, policy)), (NotTaking(), {'value': 't1'})):
        with ScriptedAgent() as agent, executing(agent, monkeypatch, recorder=executor):
            agent.await_subscribe()
            agent.send_event(kill)
            wait_until(lambda: executor.killed)
            assert executor.killed == [expected]


def test_task_group_messages_and_unknown_events(monkeypatch):
    with ScriptedAgent() as agent, executing(agent, monkeypatch, use_addict=True) as (driver, recorder):
        recorder.wait('registered')
        agent.send_event({'type': 'NEW_IN_2030', 'new_in_2030': {}})
        agent.send_event({'type': 'LAUNCH'})            # malformed: logged, and the driver goes on
        agent.send_event({'type': 'LAUNCH_GROUP', 'launch_group': {'task_group': {'tasks': [task('t1'), task('t2')]}}})
        (tasks,) = recorder.wait('launchTaskGroup')
        assert [one.task_id.value for one in tasks] == ['t1', 't2']
        assert list(driver.tasks) == ['t1', 't2']
        agent.send_event({'type': 'MESSAGE', 'message': {'data': 'aGk='}})
        assert recorder.wait('frameworkMessage') == ('aGk=',)
        driver.sendFrameworkMessage('eW8=')
        assert agent.await_call('MESSAGE').body['message'] == {'data': 'eW8='}


def test_without_checkpoint_a_lost_agent_shuts_the_executor_down(monkeypatch):
    with ScriptedAgent() as agent, executing(agent, monkeypatch) as (driver, recorder):
        recorder.wait('registered')
        agent.cut()
        driver.join()
        assert recorder.names == ['registered', 'disconnected', 'shutdown']
        assert agent.counts['SUBSCRIBE'] == 1


def test_with_checkpoint_it_gives_up_after_the_recovery_timeout(monkeypatch):
    with ScriptedAgent() as agent:
        environment = dict(CHECKPOINT, recovery_timeout='700ms', subscription_backoff_max='100ms')
        with executing(agent, monkeypatch, environment=environment) as (driver, recorder):
            recorder.wait('registered')
            began = monotonic()             # before the loss, which is noticed while the agent stops
            agent.stop()
            driver.join()
            assert 0.6 < monotonic() - began < 60
            assert recorder.names == ['registered', 'disconnected', 'shutdown']


def test_with_checkpoint_it_tries_at_least_every_backoff_max(monkeypatch):
    with ScriptedAgent() as agent:
        environment = dict(CHECKPOINT, subscription_backoff_max='100ms')
        with executing(agent, monkeypatch, environment=environment) as (_driver, recorder):
            recorder.wait('registered')
            agent.reject_next(503, 'Agent has not finished recovery', type='SUBSCRIBE', times=10)
            agent.cut()
            began = monotonic()
            recorder.wait('reregistered')
            assert agent.counts['SUBSCRIBE'] == 12
            assert monotonic() - began < 60


def test_shutdown_runs_the_callback_and_ends_the_driver(monkeypatch):
    def last_words(driver):
        driver.sendStatusUpdate(status(state='TASK_KILLED'))

    with ScriptedAgent() as agent, executing(agent, monkeypatch) as (driver, recorder):
        recorder.do['shutdown'] = last_words
        recorder.wait('registered')
        agent.send_event({'type': 'SHUTDOWN'})
        driver.join()
        assert agent.await_call('UPDATE').body['update']['status']['state'] == 'TASK_KILLED'


@pytest.mark.parametrize('blocks', [True, False])
def test_process_group_is_killed_after_the_grace_period(blocks):
    program = textwrap.dedent('''
        import subprocess, sys, time
        from pymesos import Executor, MesosExecutorDriver
        class Mine(Executor):
            def shutdown(self, driver):
                time.sleep(%d)
        subprocess.Popen(['sleep', '1000'])
        MesosExecutorDriver(Mine()).run()
        time.sleep(1000)
    ''' % (1000 if blocks else 0))
    with ScriptedAgent() as agent:
        variables = agent.environment(grace_period='300ms', in_process=False)
        env = dict(os.environ, PYTHONPATH=os.pathsep.join(path for path in sys.path if path), **variables)
        env.pop('MESOS_LOCAL', None)
        child = subprocess.Popen([sys.executable, '-c', program], env=env, preexec_fn=os.setsid)
        agent.await_subscribe()
        agent.send_event({'type': 'SHUTDOWN'})
        assert child.wait() == -9
        wait_until(lambda: not group_has_members(child.pid))


def group_has_members(group):
    try:
        os.killpg(group, 0)
    except OSError:
        return False
    return True


def test_heartbeat_calls_keep_the_connection_of_calls_in_use(monkeypatch):
    monkeypatch.setattr(executor_module, 'HEARTBEAT_INTERVAL', 0.05)
    with ScriptedAgent() as agent, executing(agent, monkeypatch) as (driver, recorder):
        recorder.wait('registered')
        agent.reject_next(400, 'unknown call', type='HEARTBEAT')
        call = agent.await_call('HEARTBEAT', count=3)
        assert call.body == {'type': 'HEARTBEAT', 'framework_id': driver.framework_id,
                             'executor_id': driver.executor_id}
        assert driver.connected


def test_token_is_used_and_removed_from_the_environment(monkeypatch):
    with ScriptedAgent(token='s3cret') as agent, executing(agent, monkeypatch) as (driver, recorder):
        recorder.wait('registered')
        driver.sendStatusUpdate(status())
        assert 'MESOS_EXECUTOR_AUTHENTICATION_TOKEN' not in os.environ
        assert agent.await_call('UPDATE').headers['authorization'] == 'Bearer s3cret'
        assert 's3cret' not in repr(driver)


def test_domain_socket(monkeypatch, tmpdir):
    path = str(tmpdir.join('agent.sock'))
    with ScriptedAgent(unix_path=path) as agent, executing(agent, monkeypatch) as (driver, recorder):
        recorder.wait('registered')
        driver.sendStatusUpdate(status())
        agent.await_call('UPDATE')


def test_domain_socket_with_a_long_path(monkeypatch, tmpdir):
    folder = tmpdir.mkdir('x' * 60).mkdir('y' * 60)
    monkeypatch.chdir(str(folder))
    with ScriptedAgent(unix_path='agent.sock') as agent:
        monkeypatch.setattr(agent, 'environment', lambda **options: dict(
            ScriptedAgent.environment(agent, **options), MESOS_DOMAIN_SOCKET=str(folder.join('agent.sock'))))
        with executing(agent, monkeypatch) as (_driver, recorder):
            recorder.wait('registered')


@pytest.mark.parametrize('value, expected', [('0', False), ('1', True), ('', False), ('true', True)])
def test_checkpoint_is_read_by_its_value(monkeypatch, value, expected):
    for name in ('MESOS_FRAMEWORK_ID', 'MESOS_EXECUTOR_ID', 'MESOS_AGENT_ENDPOINT'):
        monkeypatch.setenv(name, 'x:1')
    monkeypatch.setenv('MESOS_CHECKPOINT', value)
    assert MesosExecutorDriver(None).checkpoint is expected


def test_environment_is_read_when_constructed(monkeypatch):
    variables = {'MESOS_FRAMEWORK_ID': 'f1', 'MESOS_EXECUTOR_ID': 'e1', 'MESOS_SLAVE_PID': 'slave(3)@10.0.0.1:5051',
                 'MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD': '2mins'}
    monkeypatch.delenv('MESOS_AGENT_ENDPOINT', raising=False)
    for name in variables:
        monkeypatch.setenv(name, variables[name])
    driver = MesosExecutorDriver(None)
    for name in variables:
        monkeypatch.delenv(name)
    assert driver.framework_id == {'value': 'f1'} and driver.executor_id == {'value': 'e1'}
    assert driver.grace_shutdown_period == 120.0
    assert driver.gen_request().startswith(b'POST /slave(3)/api/v1/executor HTTP/1.1\r\n')


@pytest.mark.parametrize('missing', ['MESOS_FRAMEWORK_ID', 'MESOS_EXECUTOR_ID'])
def test_missing_variable_is_named(monkeypatch, missing):
    for name in ('MESOS_FRAMEWORK_ID', 'MESOS_EXECUTOR_ID', 'MESOS_AGENT_ENDPOINT'):
        monkeypatch.setenv(name, 'x:1')
    monkeypatch.delenv(missing)
    with pytest.raises(UsageError) as caught:
        MesosExecutorDriver(None)
    assert 'the environment has no %s' % missing in str(caught.value)


def expect_answers_within(driver, seconds):
    """Shorten the time for answers only: a subscription and a connection may take as long as a busy machine needs."""
    engine = driver._life.engine
    engine.channel._timeout = seconds
    engine.loop.post(engine.channel._check_deadline)        # its timer may be set for later


def in_thread(function, *args):
    """Call it where calls are written by their own thread, which the main one never does."""
    thread = threading.Thread(target=function, args=args)
    thread.start()
    return thread


@pytest.mark.parametrize('environment', [{}, CHECKPOINT], ids=['without checkpoint', 'with checkpoint'])
@pytest.mark.parametrize('is_reported', [False, True], ids=['sent', 'reported'])
@pytest.mark.parametrize('is_first', [False, True], ids=['on a used connection', 'on a new one'])
def test_updates_that_a_busy_agent_does_not_answer_are_sent_again_in_order(monkeypatch, environment, is_reported,
                                                                           is_first):
    states = ['TASK_STARTING', 'TASK_RUNNING', 'TASK_FINISHED']
    answered = []
    with ScriptedAgent() as agent, executing(
            agent, monkeypatch, environment=environment, connect_timeout=30) as (driver, recorder):
        recorder.wait('registered')
        if not is_first:
            in_thread(driver.sendStatusUpdate, status('t0')).join()
            wait_until(lambda: not driver.updates)
        agent.acknowledges = False
        agent.forget_calls()
        agent.hold_answers('UPDATE')
        expect_answers_within(driver, 0.3)
        for state in states:
            if is_reported:
                report(driver, answered, status(state=state))
            else:
                in_thread(driver.sendStatusUpdate, status(state=state)).join()      # nothing is raised, it is kept
        wait_until(lambda: len(agent.calls_of('UPDATE')) > 2 * len(states))
        assert states_of(driver) == states and not answered
        agent.acknowledges = True
        wait_until(lambda: not driver.updates)
        agent.release_answers()
        wait_until(lambda: len(answered) == (len(states) if is_reported else 0))
        for sent in sent_states(agent):
            assert sent == sorted(set(sent), key=states.index)
        assert not agent.calls_of('SUBSCRIBE') and recorder.names == ['registered']


def states_of(driver):
    """What is not acknowledged yet."""
    return [update['status']['state'] for update in list(driver.updates.values())]


def sent_states(agent):
    """The states that the updates told, in their order, of each connection."""
    found = {}
    for call in agent.calls_of('UPDATE'):
        found.setdefault(call.connection, []).append(call.body['update']['status']['state'])
    return list(found.values())


@contextmanager
def busy_agent(monkeypatch, seconds=0.3):
    """(agent, driver, recorder): an agent that takes updates and answers none, of an executor with checkpoint."""
    with ScriptedAgent(acknowledges=False) as agent, executing(
            agent, monkeypatch, environment=CHECKPOINT, connect_timeout=30) as (driver, recorder):
        recorder.wait('registered')
        agent.hold_answers('UPDATE')
        expect_answers_within(driver, seconds)
        yield agent, driver, recorder


def test_updates_of_many_threads_that_a_busy_agent_does_not_answer_leave_the_subscription_alone(monkeypatch):
    with busy_agent(monkeypatch, 0.5) as (agent, driver, recorder):
        threads = []
        for number in range(8):
            threads.append(in_thread(driver.sendStatusUpdate, status('t%d' % number)))
            threading.Event().wait(0.04)                # their deadlines come one after the other
        for thread in threads:
            thread.join()
        wait_until(lambda: len(agent.calls_of('UPDATE')) > 2 * len(threads))
        assert len(driver.updates) == len(threads)
        agent.acknowledges = True
        wait_until(lambda: not driver.updates)
        assert recorder.names == ['registered']


def test_updates_without_an_answer_are_replayed_once_the_subscription_is_lost(monkeypatch):
    with busy_agent(monkeypatch) as (agent, driver, recorder):
        for state in ('TASK_RUNNING', 'TASK_FINISHED'):
            driver.sendStatusUpdate(status(state=state))
        agent.cut()
        recorder.wait('reregistered')
        assert replayed(agent.calls_of('SUBSCRIBE')[-1]) == [('t1', 'TASK_RUNNING'), ('t1', 'TASK_FINISHED')]


def test_last_word_after_an_update_without_an_answer_is_said(monkeypatch):
    with busy_agent(monkeypatch) as (agent, driver, recorder):
        driver.sendStatusUpdate(status(state='TASK_RUNNING'))
        agent.release_answers()
        expect_answers_within(driver, 30)
        driver.sendStatusUpdate(status(state='TASK_FINISHED'))
        driver.stop()
        driver.join()
        assert any('TASK_FINISHED' in sent for sent in sent_states(agent))


def test_refusal_that_comes_late_is_logged_and_the_update_not_kept(monkeypatch, caplog):
    with busy_agent(monkeypatch) as (agent, driver, recorder):
        agent.reject_next(400, 'invalid for some reason', type='UPDATE', times=None)
        driver.sendStatusUpdate(status())
        assert len(driver.updates) == 1
        agent.release_answers()
        wait_until(lambda: not driver.updates)
        wait_until(lambda: 'an update is lost, the agent refused it: ' in caplog.text)
        assert recorder.names == ['registered']


def test_task_id_that_is_no_text_is_refused_and_leaves_nothing(monkeypatch):
    with ScriptedAgent() as agent, executing(agent, monkeypatch, environment=CHECKPOINT) as (driver, recorder):
        recorder.wait('registered')
        agent.reject_next(400, 'not a string', type='UPDATE')
        with pytest.raises(CallRejected):
            driver.sendStatusUpdate({'task_id': {'value': ['t1']}, 'state': 'TASK_RUNNING'})
        assert not driver.updates


def test_newer_updates_do_not_overtake_those_that_waited_for_the_subscription(monkeypatch):
    states = ['TASK_STARTING', 'TASK_RUNNING', 'TASK_KILLING', 'TASK_KILLED']
    with ScriptedAgent() as agent:
        agent.hold_answers('SUBSCRIBE')
        with executing(agent, monkeypatch) as (driver, recorder):
            agent.await_call('SUBSCRIBE')
            names = ['t%d' % number for number in range(50)]
            for name in names:
                driver.sendStatusUpdate(status(name, states[0]))
            threads = [threading.Thread(target=lambda name=name: [
                driver.sendStatusUpdate(status(name, state)) for state in states[1:]]) for name in names[:8]]
            for thread in threads:
                thread.start()
            agent.release_answers()
            for thread in threads:
                thread.join()
            wait_until(lambda: not driver.updates)
            for name in names[:8]:
                seen = [call.body['update']['status']['state'] for call in agent.calls_of('UPDATE')
                        if call.body['update']['status']['task_id']['value'] == name]
                first = sorted(set(seen), key=seen.index)
                assert first == states


def report(driver, answered, *updates):
    """Have updates reported by a thread that waits for nothing."""
    thread = threading.Thread(target=lambda: [
        driver._report(update, lambda: answered.append(driver)) for update in updates])
    thread.start()
    thread.join()


def test_report_waits_for_no_answer(monkeypatch):
    answered = []
    with ScriptedAgent(acknowledges=False) as agent, executing(agent, monkeypatch) as (driver, recorder):
        recorder.wait('registered')
        agent.hold_answers('UPDATE')
        report(driver, answered, status(state='TASK_RUNNING'), status(state='TASK_FINISHED'))
        agent.await_call('UPDATE')
        assert not answered and len(driver.updates) == 2
        agent.release_answers()
        agent.await_call('UPDATE', count=2)
        wait_until(lambda: len(answered) == 2)
        assert [call.body['update']['status']['state'] for call in agent.calls_of('UPDATE')] == [
            'TASK_RUNNING', 'TASK_FINISHED']


def test_report_that_is_refused_is_logged_and_the_next_one_sent(monkeypatch, caplog):
    answered = []
    with ScriptedAgent() as agent, executing(agent, monkeypatch) as (driver, recorder):
        recorder.wait('registered')
        report(driver, answered, status(source='SOURCE_MASTER'))
        wait_until(lambda: 'an update is lost, the agent refused it: ' in caplog.text)
        assert not driver.updates
        report(driver, answered, status(state='TASK_FINISHED'))
        wait_until(lambda: len(answered) == 2 and not driver.updates)


def test_reports_without_a_connection_are_kept_and_replayed(monkeypatch):
    answered = []
    keeps_and_sends(monkeypatch, lambda driver, update: report(driver, answered, update))
    assert len(answered) == 2


def test_same_dict_with_other_content_gets_a_new_uuid(monkeypatch):
    with ScriptedAgent() as agent, executing(agent, monkeypatch) as (driver, recorder):
        recorder.wait('registered')
        mine = status(healthy=True)
        for healthy in (True, False):
            mine['healthy'] = healthy
            driver.sendStatusUpdate(mine)
        driver.sendStatusUpdate(mine)                   # a repetition stays one
        uuids = [call.body['update']['status']['uuid'] for call in agent.calls_of('UPDATE')]
        assert uuids[0] != uuids[1] == uuids[2]


def test_status_without_a_task_is_a_usage_error_and_not_kept(monkeypatch):
    with ScriptedAgent() as agent, executing(agent, monkeypatch) as (driver, _recorder):
        with pytest.raises(UsageError) as caught:
            driver.sendStatusUpdate({'state': 'TASK_RUNNING'})
        assert 'without task_id' in str(caught.value)
        assert not driver.updates


def test_state_that_no_agent_can_read_is_a_usage_error(monkeypatch):
    with ScriptedAgent() as agent, executing(agent, monkeypatch) as (driver, _recorder):
        with pytest.raises(UsageError) as caught:
            driver.sendStatusUpdate(status(state='RUNNING'))
        assert "the state 'RUNNING': expected one of" in str(caught.value)
        assert not driver.updates


@pytest.mark.parametrize('name, shown', [('t7', 't7'), (u't\xe4sk', 't\\xe4sk' if six.PY2 else u't\xe4sk')])
def test_stop_says_which_updates_are_left(monkeypatch, caplog, name, shown):
    with ScriptedAgent(acknowledges=False) as agent, executing(agent, monkeypatch) as (driver, recorder):
        recorder.wait('registered')
        driver.sendStatusUpdate(status(name))
        driver.stop()
        driver.join()
    assert 'the driver ends with 1 updates that the agent has not acknowledged, of the tasks ' + shown in caplog.text


def test_domain_socket_whose_backlog_is_full_is_tried_again(monkeypatch, tmpdir):
    path = str(tmpdir.join('agent.sock'))
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(0)
    crowd = []
    for _ in range(4):
        sock = socket.socket(socket.AF_UNIX)
        sock.setblocking(False)
        sock.connect_ex(path)
        crowd.append(sock)
    for name, value in (('MESOS_FRAMEWORK_ID', 'f1'), ('MESOS_EXECUTOR_ID', 'e1'), ('MESOS_LOCAL', '1'),
                        ('MESOS_DOMAIN_SOCKET', path)):
        monkeypatch.setenv(name, value)
    driver = MesosExecutorDriver(None, connect_timeout=30)
    driver.start()
    wait_until(lambda: driver._life.engine.session.state == 'DIALLING')
    for sock in crowd:
        sock.close()
    accepted = [listener.accept()[0] for _ in range(2)]
    wait_until(lambda: driver._life.engine.session.state == 'SUBSCRIBING', message='the way to become free')
    driver.stop()
    driver.join()
    for sock in accepted + [listener]:
        sock.close()

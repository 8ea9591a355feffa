"""The embedded agent and its master: registration, pings, operations, draining, the end (PROTOCOL 2.5, 2.6, 8.1)."""
from __future__ import absolute_import, division, print_function

from local_agent import AGENT, FRAMEWORK, OWN, RESOURCES, Bench, command_task, executor_info, framework_info, task_info

from pymesos.local.model.effects import Destroy

CAPABILITIES = ['MULTI_ROLE', 'HIERARCHICAL_ROLE', 'RESERVATION_REFINEMENT', 'RESOURCE_PROVIDER', 'RESIZE_VOLUME',
                'AGENT_OPERATION_FEEDBACK', 'AGENT_DRAINING', 'TASK_RESOURCE_LIMITS']


def test_agent_registers_as_soon_as_there_is_a_master():
    bench = Bench(is_registered=False, attributes=[{'name': 'rack', 'type': 'TEXT', 'text': {'value': 'a'}}])
    assert bench.told() == []
    bench.model.on_master('127.0.0.1:5050')
    message, = bench.told()
    assert message['type'] == 'REGISTER'
    assert message['pid'] == 'slave(1)@127.0.0.1:5051'
    assert message['version'] == '1.11.0'
    assert [item['type'] for item in message['capabilities']] == CAPABILITIES
    assert message['agent_info'] == {
        'hostname': '127.0.0.1', 'port': 5051, 'resources': RESOURCES,
        'attributes': [{'name': 'rack', 'type': 'TEXT', 'text': {'value': 'a'}}]}


def test_registration_is_tried_again_ever_more_slowly():
    bench = Bench(is_registered=False)
    bench.model.on_master('127.0.0.1:5050')
    bench.told()
    waited, since = [], bench.world.now
    for _ in range(3000):
        bench.pass_time(0.1)
        if bench.told('REGISTER'):
            waited.append(bench.world.now - since)
            since = bench.world.now
    assert 0.4 < waited[0] <= 1.1
    assert all(25 < one <= 60.2 for one in waited[7:])
    bench.hear('REGISTERED', agent_id=AGENT, master='127.0.0.1:5050')
    bench.pass_time(60)
    assert bench.told('REGISTER') == []
    assert bench.model.agent_id == AGENT


def test_lost_master_is_waited_for_and_the_new_one_told_everything():
    bench = Bench()
    bench.custom(tasks=('t1', 't2'))
    bench.command('c')
    bench.update('t1', 'TASK_RUNNING')
    bench.take()
    bench.model.on_master(None)
    bench.update('t2', 'TASK_FINISHED')
    bench.pass_time(100)
    assert bench.told() == []
    bench.model.on_master('127.0.0.1:5060')
    message, = bench.told()
    assert message['type'] == 'REREGISTER'
    assert message['agent_info']['id'] == {'value': AGENT}
    assert message['frameworks'] == [bench.info]
    assert message['executors'] == [{'framework_id': FRAMEWORK, 'executor_info': executor_info()}]
    assert message['total'] == RESOURCES
    tasks = dict((item['task_info']['task_id']['value'], item) for item in message['tasks'])
    assert dict((name, (item['executor_id'], item['state'], item['status_update_state']))
                for name, item in tasks.items()) == {
        't1': ('e', 'TASK_RUNNING', 'TASK_RUNNING'), 't2': ('e', 'TASK_FINISHED', None),
        'c': (None, 'TASK_RUNNING', 'TASK_RUNNING')}
    bench.hear('REREGISTERED', agent_id=AGENT, master='127.0.0.1:5060')
    assert sorted(bench.states()) == [('t1', 'TASK_RUNNING'), ('t2', 'TASK_FINISHED')]


def test_ping_is_answered_and_silence_leads_to_registration():
    bench = Bench()
    bench.hear('PING')
    assert [message['type'] for message in bench.told()] == ['PONG']
    bench.pass_time(74)
    assert bench.told() == []
    bench.hear('PING')
    bench.pass_time(74)
    assert [message['type'] for message in bench.told()] == ['PONG']
    bench.pass_time(1.1)
    assert set(message['type'] for message in bench.told()) == {'REREGISTER'}


def test_master_that_takes_the_agent_for_disconnected_is_told_otherwise():
    bench = Bench()
    bench.hear('PING', is_connected=False)
    assert [message['type'] for message in bench.told()] == ['PONG', 'REREGISTER']
    bench.hear('REREGISTERED', agent_id=AGENT, master='127.0.0.1:5050')
    bench.hear('REREGISTER_PLEASE')
    assert [message['type'] for message in bench.told()] == ['REREGISTER']


def test_task_that_only_the_master_knows_is_dropped():
    bench = Bench(info=framework_info(capabilities=['PARTITION_AWARE']))
    bench.custom()
    bench.model.on_master('127.0.0.1:5050')
    bench.take()
    bench.hear('REREGISTERED', agent_id=AGENT, master='127.0.0.1:5050', reconciliations=[
        {'framework_id': FRAMEWORK, 'task_id': 't'}, {'framework_id': FRAMEWORK, 'task_id': 'lost'},
        {'framework_id': 'other', 'task_id': 'unknown'}])
    told = [(status['task_id']['value'], status['state'], status['reason'], status['message'], status['source'])
            for status in bench.statuses()]
    text = 'Reconciliation: task unknown to the agent'
    assert told == [('lost', 'TASK_DROPPED', 'REASON_RECONCILIATION', text, 'SOURCE_AGENT'),
                    ('unknown', 'TASK_LOST', 'REASON_RECONCILIATION', text, 'SOURCE_AGENT')]


def test_agent_that_got_the_id_of_another_ends():
    bench = Bench()
    bench.custom()
    bench.model.on_master('127.0.0.1:5050')
    bench.take()
    bench.hear('REREGISTERED', agent_id='M-S7', master='127.0.0.1:5050')
    assert bench.model.is_terminating
    assert {'type': 'SHUTDOWN'} in bench.events()


# ---- operations

def reserve(operation_id=None):
    operation = {'type': 'RESERVE', 'reserve': {'resources': OWN}}
    return operation if operation_id is None else dict(operation, id={'value': operation_id})


def test_operation_changes_the_resources_and_is_told_until_acknowledged():
    bench = Bench()
    bench.hear('APPLY', framework_id=FRAMEWORK, operation=reserve('r1'), uuid='dXVpZA==', total=OWN)
    message, = bench.told()
    assert message['type'] == 'OPERATION_STATUS'
    assert (message['framework_id'], message['operation_uuid']) == (FRAMEWORK, 'dXVpZA==')
    status = message['status']
    assert status == message['latest']
    assert status == {'operation_id': {'value': 'r1'}, 'state': 'OPERATION_FINISHED', 'uuid': status['uuid'],
                      'agent_id': {'value': AGENT}}
    assert bench.model.total == OWN
    waited = []
    for second in range(1, 75):
        bench.pass_time(1)
        waited += [second for _ in bench.told('OPERATION_STATUS')]
    assert waited == [10, 30, 70]
    bench.hear('ACK_OPERATION', uuid='dXVpZA==')
    bench.pass_time(1000)
    assert bench.told('OPERATION_STATUS') == []


def test_operation_without_id_is_told_once_and_has_no_uuid():
    bench = Bench()
    bench.hear('APPLY', framework_id=None, operation=reserve(), uuid='dXVpZA==', total=OWN)
    message, = bench.told()
    assert message['status'] == {'state': 'OPERATION_FINISHED', 'agent_id': {'value': AGENT}}
    bench.pass_time(70)
    assert bench.told('OPERATION_STATUS') == []
    assert bench.model.total == OWN


def test_operations_survive_master_and_agent():
    bench = Bench()
    bench.hear('APPLY', framework_id=FRAMEWORK, operation=reserve('r1'), uuid='dXVpZA==', total=OWN)
    bench = bench.restart()
    bench.model.on_master('127.0.0.1:5050')
    message, = bench.told()
    assert message['type'] == 'REREGISTER'
    assert message['total'] == OWN
    assert [(item['info'], item['uuid'], item['latest_status']['state']) for item in message['operations']] == [
        (reserve('r1'), {'value': 'dXVpZA=='}, 'OPERATION_FINISHED')]
    bench.hear('REREGISTERED', agent_id=AGENT, master='127.0.0.1:5050')
    assert [message['operation_uuid'] for message in bench.told('OPERATION_STATUS')] == ['dXVpZA==']


# ---- draining

def test_drain_kills_all_tasks_and_says_so():
    bench = Bench(info=framework_info(capabilities=['TASK_KILLING_STATE']))
    container = bench.command('c')
    bench.custom(tasks=('t',))
    bench.take()
    bench.hear('DRAIN', config={'max_grace_period': {'nanoseconds': 2 * 10 ** 9}, 'mark_gone': False})
    effects = bench.take()
    kill, = [effect.event for effect in effects if hasattr(effect, 'event')]
    assert kill == {'type': 'KILL', 'kill': {'task_id': {'value': 't'},
                                             'kill_policy': {'grace_period': {'nanoseconds': 2 * 10 ** 9}}}}
    bench.update('t', 'TASK_KILLED')
    bench.model.on_exited(container, 15)
    states = [(status['task_id']['value'], status['state'], status['reason']) for status in bench.statuses()]
    assert states == [('t', 'TASK_KILLED', 'REASON_AGENT_DRAINING')]
    task = bench.model.frameworks[FRAMEWORK].executors['c'].terminated['c']
    assert [status['state'] for status in task.statuses] == ['TASK_STARTING', 'TASK_RUNNING', 'TASK_KILLING',
                                                             'TASK_KILLED']


def test_drained_tasks_of_an_agent_that_goes_are_gone():
    bench = Bench()
    bench.custom()
    bench.take()
    bench.hear('DRAIN', config={'mark_gone': True})
    assert bench.events() == [{'type': 'KILL', 'kill': {'task_id': {'value': 't'}}}]
    bench.update('t', 'TASK_KILLED')
    status, = bench.statuses()
    assert (status['state'], status['reason']) == ('TASK_GONE_BY_OPERATOR', 'REASON_AGENT_DRAINING')


def test_shorter_grace_of_a_task_is_kept_when_draining():
    bench = Bench()
    policy = {'grace_period': {'nanoseconds': 10 ** 9}}
    bench.run(task_info('t', kill_policy=policy), executor_info())
    bench.start_all()
    bench.subscribe()
    bench.take()
    bench.hear('DRAIN', config={'max_grace_period': {'nanoseconds': 5 * 10 ** 9}, 'mark_gone': False})
    assert bench.events() == [{'type': 'KILL', 'kill': {'task_id': {'value': 't'}}}]


def test_draining_agent_takes_no_tasks_and_ends_draining_when_idle():
    bench = Bench(info=framework_info(capabilities=['PARTITION_AWARE']))
    container = bench.command('c')
    bench.hear('DRAIN', config={'mark_gone': False})
    bench.take()
    bench.run(command_task('late'))
    status, = bench.statuses()
    assert (status['state'], status['reason'], status['message']) == (
        'TASK_DROPPED', 'REASON_AGENT_DRAINING', 'Task was received while agent was already draining')
    bench.hear('ACK', framework_id=FRAMEWORK, task_id='late', uuid=status['uuid'])
    assert bench.model.drain == {'mark_gone': False}
    bench.model.on_exited(container, 15)
    bench.acknowledge_all()
    assert bench.model.drain is None


def test_idle_agent_is_drained_at_once():
    bench = Bench()
    bench.hear('DRAIN', config={'mark_gone': False})
    assert bench.model.drain is None


# ---- the end

def test_agent_that_is_sent_away_kills_all_and_does_not_come_back():
    bench = Bench()
    bench.custom()
    container = bench.command('c')
    bench.take()
    bench.hear('SHUTDOWN', message='Agent has been marked gone')
    effects = bench.take()
    assert [effect.event for effect in effects if hasattr(effect, 'event')] == [{'type': 'SHUTDOWN'}]
    assert [effect.container for effect in effects if hasattr(effect, 'number')] == [container]
    bench.pass_time(10)
    assert [effect.container for effect in bench.take(Destroy)] == bench.model.containers()
    for name in bench.model.containers():
        bench.model.on_exited(name, 9)
    bench.model.on_master('127.0.0.1:5060')
    bench.hear('PING')
    bench.pass_time(100)
    assert [message['type'] for message in bench.told()] == ['EXITED_EXECUTOR']
    assert bench.model.containers() == []
    assert not bench.model.frameworks


def test_agent_unregisters():
    bench = Bench()
    bench.model.unregister()
    assert [message['type'] for message in bench.told()] == ['UNREGISTER']
    assert bench.model.is_terminating

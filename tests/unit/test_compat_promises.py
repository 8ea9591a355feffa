"""What programs written for pymesos 0.3.15 rely on: a test for each promise."""
from __future__ import absolute_import, division, print_function

import abc
import base64
import inspect
import json
import logging
import os
import subprocess
import sys
import threading

import addict
import pytest
import six

import pymesos
import pymesos.interface
from pymesos import (Executor, MesosExecutorDriver, MesosOperatorAgentDriver, MesosOperatorMasterDriver,
                     MesosSchedulerDriver, OperatorMaster, Scheduler, decode_data, encode_data)
from pymesos._compat import getfullargspec
from pymesos.errors import CallRejected, ConnectionFailed
from pymesos.transport.life import Life
from pymesos.utils import DAY, parse_duration

FRAMEWORK_ID = {'value': 'f1'}
AGENT_ID = {'value': 'a1'}
TASK_ID = {'value': 't1'}
OFFER_ID = {'value': 'o1'}


class Sent(list):
    """Takes the place of ``driver._send`` as users' tests do: it remembers the bodies."""

    def __call__(self, body, *_args, **_kwargs):
        self.append(body)
        return {}


class Mine(object):
    """A scheduler or an executor that derives from nothing: it has only the callbacks that it was given."""

    def __init__(self, **callbacks):
        for name in callbacks:
            setattr(self, name, callbacks[name])


def scheduling(sched=None, framework=None, **options):
    """A driver that believes that it is subscribed, and what it sends."""
    framework = {'user': 'u', 'name': 'n', 'id': dict(FRAMEWORK_ID)} if framework is None else framework
    driver = MesosSchedulerDriver(sched or Mine(), framework, 'h:5050', **options)
    driver._stream_id, driver._master = 'stream', 'h:5050'
    driver._send = Sent()
    return driver, driver._send


@pytest.fixture
def executing(monkeypatch):
    def make(executor=None, **options):
        for name, value in (('MESOS_FRAMEWORK_ID', 'f1'), ('MESOS_EXECUTOR_ID', 'e1'),
                            ('MESOS_AGENT_ENDPOINT', '10.0.0.1:5051')):
            monkeypatch.setenv(name, value)
        driver = MesosExecutorDriver(executor or Mine(), **options)
        driver._stream_id, driver._master = '', '10.0.0.1:5051'
        driver._send = Sent()
        return driver, driver._send
    return make


def call(kind, **fields):
    return dict({'type': kind, 'framework_id': FRAMEWORK_ID}, **fields)


# ---- names

def test_names():
    assert issubclass(MesosSchedulerDriver, pymesos.interface.SchedulerDriver)
    assert issubclass(MesosExecutorDriver, pymesos.interface.ExecutorDriver)
    assert issubclass(MesosOperatorMasterDriver, pymesos.interface.OperatorMasterDriver) or MesosOperatorMasterDriver
    assert MesosOperatorAgentDriver and OperatorMaster
    for name in ('Scheduler', 'SchedulerDriver', 'Executor', 'ExecutorDriver', 'OperatorMaster', 'OperatorDaemonDriver',
                 'OperatorMasterDriver', 'OperatorAgentDriver'):
        assert inspect.isclass(getattr(pymesos.interface, name))
    assert (DAY, parse_duration('2mins')) == (86400, 120.0)


def test_star_import():
    namespace = {}
    exec('from pymesos import *', namespace)
    assert namespace['MesosSchedulerDriver'] is MesosSchedulerDriver
    assert set(pymesos.__all__) <= set(namespace)


@pytest.mark.parametrize('module', ['scheduler', 'executor', 'operator_v1', 'process', 'detector', 'utils'])
def test_module_paths(module):
    __import__('pymesos.' + module)


def test_version_is_in_the_range_that_users_pin():
    assert pymesos.__VERSION__ == pymesos.__version__
    numbers = tuple(int(number) for number in pymesos.__version__.split('.'))
    assert (0, 3, 16) <= numbers < (0, 4)


def run(program):
    env = dict(os.environ, PYTHONPATH=os.pathsep.join(path for path in sys.path if path))
    child = subprocess.Popen([sys.executable, '-c', program], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = child.communicate()
    assert child.returncode == 0, err
    return out.decode().strip()


def test_import_on_a_thread_that_is_not_the_main_one():
    assert run("import threading\nfound = []\n"
               "def load():\n    import pymesos\n    found.append(pymesos)\n"
               "t = threading.Thread(target=load); t.start(); t.join(); print(len(found))") == '1'


def test_import_changes_nothing():
    assert run("import signal, logging, threading\nbefore = signal.getsignal(signal.SIGINT)\nimport pymesos\n"
               "log = logging.getLogger('pymesos')\n"
               "print(signal.getsignal(signal.SIGINT) is before, log.level, len(logging.getLogger().handlers),\n"
               "      [type(h).__name__ for h in log.handlers], threading.active_count())"
               ).replace('(', '').replace(')', '').replace(',', '') == "True 0 0 [] 1"


# ---- base classes

def test_base_classes_are_mixed_into_abstract_hierarchies():
    class Other(six.with_metaclass(abc.ABCMeta, object)):
        def __init__(self, color, **more):
            super(Other, self).__init__(**more)
            self.color = color

    for base in (Scheduler, Executor, OperatorMaster):
        assert '__init__' not in vars(base) and '__slots__' not in vars(base)
        assert not getattr(base, '__abstractmethods__', None)
        mixed = type('Mixed', (Other, base), {})(color='red')
        assert mixed.color == 'red'


def test_super_error_can_be_called():
    class Telling(Scheduler):
        def error(self, driver, message):
            super(Telling, self).error(driver, message)

    Telling().error(None, 'x')
    Executor().error(None, 'x')


def test_missing_callbacks_count_as_empty(executing):
    driver, _sent = scheduling(object())
    for event in ({'type': 'OFFERS', 'offers': {'offers': [{'id': OFFER_ID}]}}, {'type': 'HEARTBEAT'},
                  {'type': 'UPDATE', 'update': {'status': {'task_id': TASK_ID}}},
                  {'type': 'ERROR', 'error': {'message': 'x'}}):
        driver.on_event(event)
    driver, _sent = executing(object())
    driver.on_event({'type': 'LAUNCH', 'launch': {'task': {'task_id': TASK_ID}}})


def test_heartbeat_callback_may_take_the_driver_or_not():
    seen = []

    class Without(object):
        def processHeartBeat(self):
            seen.append('without')

    class With(object):
        def processHeartBeat(self, driver):
            seen.append(driver)

    for sched in (Without(), With(), Mine(processHeartBeat=lambda driver: seen.append(driver))):
        driver, _sent = scheduling(sched)
        driver.on_event({'type': 'HEARTBEAT'})
    assert seen[0] == 'without' and isinstance(seen[1], MesosSchedulerDriver) and seen[2] is driver


def test_driver_methods_are_ordinary_methods():
    for cls in (MesosSchedulerDriver, MesosExecutorDriver):
        for name in ('start', 'stop', 'join', 'run', 'abort', 'sendFrameworkMessage'):
            assert inspect.isroutine(getattr(cls, name))
    autospec = pytest.importorskip('unittest.mock').create_autospec if six.PY3 else None
    if autospec is not None:
        fake = autospec(MesosSchedulerDriver)
        fake.declineOffer(OFFER_ID)
        fake.declineOffer.assert_called_once_with(OFFER_ID)


# ---- constructors

def arguments(cls):
    return getfullargspec(cls.__init__).args[1:]


def test_constructors_begin_with_the_arguments_of_0_3_15():
    assert arguments(MesosSchedulerDriver)[:9] == [
        'sched', 'framework', 'master_uri', 'use_addict', 'implicit_acknowledgements', 'principal', 'secret',
        'failover', 'timeout']
    assert arguments(MesosExecutorDriver)[:4] == ['executor', 'use_addict', 'timeout', 'http_timeout']
    assert arguments(MesosOperatorMasterDriver)[:4] == ['master_uri', 'operator', 'use_addict', 'timeout']
    assert arguments(MesosOperatorAgentDriver)[:1] == ['agent_uri']


def test_no_constructor_connects(executing):
    threads = threading.active_count()
    MesosSchedulerDriver(Mine(), {}, 'mesos.invalid')
    MesosOperatorMasterDriver('mesos.invalid')
    MesosOperatorAgentDriver('mesos.invalid')
    executing()
    assert threading.active_count() == threads


def head(request):
    lines = request.split(b'\r\n\r\n', 1)[0].decode().split('\r\n')
    return lines[0], dict(line.split(': ', 1) for line in lines[1:])


def test_principal_without_secret_sends_no_authorization():
    driver, _sent = scheduling(principal='p')
    assert 'Authorization' not in head(driver.gen_request())[1]
    driver, _sent = scheduling(principal='p', secret='s')
    assert head(driver.gen_request())[1]['Authorization'] == 'Basic ' + base64.b64encode(b'p:s').decode()


@pytest.mark.parametrize('framework', [
    {'user': 'u', 'name': 'n', 'role': 'r'}, addict.Dict(user='u', name='n', roles=['a', 'b'])])
def test_framework_may_be_a_dict_or_an_addict_dict(framework):
    driver, _sent = scheduling(framework=framework)
    body = json.loads(driver.gen_request().split(b'\r\n\r\n', 1)[1].decode())
    info = body['subscribe']['framework_info']
    assert info['name'] == 'n' and (info.get('role') == 'r' or info.get('roles') == ['a', 'b'])


def capabilities(driver):
    return [one['type'] for one in driver.framework.get('capabilities', [])]


def test_gpu_resources_is_added_where_the_master_knows_it_and_nothing_is_removed():
    driver, _sent = scheduling(framework={'capabilities': [{'type': 'MULTI_ROLE'}]})
    assert capabilities(driver) == ['MULTI_ROLE']
    driver.version = '1.11.0'
    assert capabilities(driver) == ['MULTI_ROLE', 'GPU_RESOURCES']
    assert driver._framework['capabilities'] == [{'type': 'MULTI_ROLE'}]
    driver, _sent = scheduling(framework={'capabilities': [{'type': 'GPU_RESOURCES'}]})
    driver.version = '0.28.0'
    assert capabilities(driver) == ['GPU_RESOURCES']


@pytest.mark.parametrize('version', ['1.12.0-rc1', '1.5.0-dev', '10.0'])
def test_versions_with_suffixes_are_read(version):
    driver, _sent = scheduling()
    driver.version = version
    assert capabilities(driver) == ['GPU_RESOURCES']


def subscribed():
    return {'type': 'SUBSCRIBED', 'subscribed': {
        'framework_id': FRAMEWORK_ID, 'heartbeat_interval_seconds': 15.0, 'master_info': {'version': '1.11.0'}}}


def test_first_subscription_registers_unless_the_framework_has_an_id():
    seen = []
    sched = Mine(registered=lambda driver, framework_id, master: seen.append(('registered', framework_id)),
                 reregistered=lambda driver, master: seen.append('reregistered'))
    driver, _sent = scheduling(sched, framework={'name': 'n'})
    driver.on_event(subscribed())
    driver.on_event(subscribed())
    assert seen == [('registered', FRAMEWORK_ID), 'reregistered']
    driver, _sent = scheduling(sched)
    driver.on_event(subscribed())
    assert seen[-1] == 'reregistered'


# ---- life cycle; what needs a server is in tests/integration

def test_attributes(executing):
    driver, _sent = scheduling()
    assert (driver.connected, driver.aborted, driver.master, driver.stream_id) == (True, True, 'h:5050', 'stream')
    assert driver.framework_id == 'f1' and driver.framework['name'] == 'n' and driver.version is None
    driver, _sent = executing()
    assert driver.framework_id == {'value': 'f1'} and driver.executor_id == {'value': 'e1'}


def test_version_is_text_inside_registered():
    seen = []
    sched = Mine(registered=lambda driver, framework_id, master: seen.append((driver.version, master['version'])))
    driver, _sent = scheduling(sched, framework={'name': 'n'})
    driver.on_event(subscribed())
    assert seen == [('1.11.0', '1.11.0')] and isinstance(seen[0][0], str)


def test_join_and_stop_without_a_start():
    driver, _sent = scheduling()
    assert driver.join() is None
    driver.stop(True)
    driver.stop()


def test_zero_scalar_is_passed_on():
    driver, sent = scheduling()
    gpus = {'name': 'gpus', 'type': 'SCALAR', 'scalar': {'value': 0}}
    driver.launchTasks(OFFER_ID, [{'task_id': TASK_ID, 'resources': [gpus]}])
    assert sent[0]['accept']['operations'][0]['launch']['task_infos'][0]['resources'] == [gpus]


@pytest.mark.parametrize('use_addict', [False, True])
def test_status_arrives_unchanged(use_addict):
    seen = []
    status = {'task_id': TASK_ID, 'state': 'TASK_FAILED', 'source': 'SOURCE_AGENT', 'reason': 'REASON_X',
              'message': u'\u00fc', 'data': 'aGk=', 'timestamp': 1700000000.12}
    driver, _sent = scheduling(Mine(statusUpdate=lambda driver, found: seen.append(found)), use_addict=use_addict)
    driver.on_event({'type': 'UPDATE', 'update': {'status': dict(status)}})
    assert seen == [status]


# ---- calls

@pytest.mark.parametrize('ids', [OFFER_ID, [OFFER_ID], (OFFER_ID,)])
def test_offer_ids_are_one_or_a_list(ids):
    driver, sent = scheduling()
    driver.declineOffer(ids, {'refuse_seconds': 2 ** 40})
    driver.declineOffer(ids, filters={'refuse_seconds': 1})
    assert sent[0] == call('DECLINE', decline={'offer_ids': [OFFER_ID], 'filters': {'refuse_seconds': 2 ** 40}})
    assert sent[1]['decline']['filters'] == {'refuse_seconds': 1}


def test_nothing_to_launch_declines():
    driver, sent = scheduling()
    driver.launchTasks([OFFER_ID], [])
    driver.acceptOffers([OFFER_ID], [], {'refuse_seconds': 1})
    assert [one['type'] for one in sent] == ['DECLINE', 'DECLINE']
    assert sent[1]['decline']['filters'] == {'refuse_seconds': 1}


def test_launch_body():
    driver, sent = scheduling()
    task = {'name': 'n', 'task_id': TASK_ID}
    driver.launchTasks(OFFER_ID, [task], {'refuse_seconds': 1})
    assert sent == [call('ACCEPT', accept={
        'offer_ids': [OFFER_ID], 'filters': {'refuse_seconds': 1},
        'operations': [{'type': 'LAUNCH', 'launch': {'task_infos': [task]}}]})]


@pytest.mark.parametrize('roles', [{'a'}, ['a'], ('a',), iter(['a'])])
def test_roles_are_any_iterable(roles):
    driver, sent = scheduling()
    driver.reviveOffers(roles)
    assert sent == [call('REVIVE', revive={'roles': ['a']})]


def test_no_roles_are_left_out():
    driver, sent = scheduling()
    driver.reviveOffers()
    driver.suppressOffers()
    assert sent == [call('REVIVE'), call('SUPPRESS')]


def test_other_bodies():
    driver, sent = scheduling()
    status = {'agent_id': AGENT_ID, 'task_id': TASK_ID, 'uuid': 'dQ==', 'state': 'TASK_RUNNING'}
    driver.suppressOffers({'a'})
    driver.acceptInverseOffers(OFFER_ID)
    driver.declineInverseOffer([OFFER_ID], {'refuse_seconds': 1})
    driver.killTask(TASK_ID)
    driver.acknowledgeStatusUpdate(status)
    driver.reconcileTasks([{'task_id': TASK_ID, 'agent_id': AGENT_ID, 'state': 'TASK_RUNNING'}])
    driver.reconcileTasks([])
    driver.reconcileOperations([{'operation_id': {'value': 'p'}, 'agent_id': AGENT_ID}])
    driver.sendFrameworkMessage({'value': 'e1'}, AGENT_ID, 'aGk=')
    driver.requestResources([{'resources': []}])
    assert sent == [
        call('SUPPRESS', suppress={'roles': ['a']}),
        call('ACCEPT_INVERSE_OFFERS', accept_inverse_offers={'inverse_offer_ids': [OFFER_ID]}),
        call('DECLINE_INVERSE_OFFERS', decline_inverse_offers={
            'inverse_offer_ids': [OFFER_ID], 'filters': {'refuse_seconds': 1}}),
        call('KILL', kill={'task_id': TASK_ID}),
        call('ACKNOWLEDGE', acknowledge={'agent_id': AGENT_ID, 'task_id': TASK_ID, 'uuid': 'dQ=='}),
        call('RECONCILE', reconcile={'tasks': [{'task_id': TASK_ID, 'agent_id': AGENT_ID}]}),
        call('RECONCILE', reconcile={'tasks': []}),
        call('RECONCILE_OPERATIONS', reconcile_operations={
            'operations': [{'operation_id': {'value': 'p'}, 'agent_id': AGENT_ID}]}),
        call('MESSAGE', message={'executor_id': {'value': 'e1'}, 'agent_id': AGENT_ID, 'data': 'aGk='}),
        call('REQUEST', request={'requests': [{'resources': []}]}),
    ]


def test_new_calls():
    driver, sent = scheduling()
    driver.killTask(TASK_ID, AGENT_ID, {'grace_period': {'nanoseconds': 1}})
    driver.shutdownExecutor({'value': 'e1'}, AGENT_ID)
    driver.updateFramework({'user': 'u', 'name': 'other'}, ['r'], {'role_constraints': {}})
    assert sent == [
        call('KILL', kill={'task_id': TASK_ID, 'agent_id': AGENT_ID,
                           'kill_policy': {'grace_period': {'nanoseconds': 1}}}),
        call('SHUTDOWN', shutdown={'executor_id': {'value': 'e1'}, 'agent_id': AGENT_ID}),
        call('UPDATE_FRAMEWORK', update_framework={
            'framework_info': {'user': 'u', 'name': 'other', 'id': FRAMEWORK_ID}, 'suppressed_roles': ['r'],
            'offer_constraints': {'role_constraints': {}}}),
    ]
    assert driver.framework['name'] == 'other'
    body = json.loads(driver.gen_request().split(b'\r\n\r\n', 1)[1].decode())
    assert body['subscribe']['suppressed_roles'] == ['r']


def test_operation_acknowledgement_is_what_mesos_takes():
    driver, sent = scheduling()
    status = {'operation_id': {'value': 'p'}, 'agent_id': AGENT_ID, 'state': 'OPERATION_FINISHED',
              'uuid': {'value': 'dQ=='}, 'converted_resources': []}
    driver.acknowledgeOperationStatusUpdate(status)
    driver.acknowledgeOperationStatusUpdate({'state': 'OPERATION_ERROR', 'operation_id': {'value': 'p'}})
    assert sent == [call('ACKNOWLEDGE_OPERATION_STATUS', acknowledge_operation_status={
        'agent_id': AGENT_ID, 'uuid': 'dQ==', 'operation_id': {'value': 'p'}})]


def test_before_registration_calls_are_dropped():
    driver = MesosSchedulerDriver(Mine(), {'name': 'n'}, 'h:5050')
    driver._send = Sent()
    driver.reconcileTasks([])
    driver.declineOffer(OFFER_ID)
    driver.updateFramework({'name': 'n'})
    assert driver._send == []


def test_addict_status_is_acknowledged_later_from_another_thread():
    kept = []
    driver, sent = scheduling(Mine(statusUpdate=lambda driver, status: kept.append(status)), use_addict=True,
                              implicit_acknowledgements=False)
    driver.on_event({'type': 'UPDATE', 'update': {'status': {
        'agent_id': AGENT_ID, 'task_id': TASK_ID, 'uuid': 'dQ=='}}})
    thread = threading.Thread(target=driver.acknowledgeStatusUpdate, args=(kept[0],))
    thread.start()
    thread.join()
    assert json.loads(json.dumps(sent[0]))['acknowledge'] == {'agent_id': AGENT_ID, 'task_id': TASK_ID, 'uuid': 'dQ=='}


def test_update_without_uuid_is_not_acknowledged():
    driver, sent = scheduling(Mine())
    driver.on_event({'type': 'UPDATE', 'update': {'status': {'agent_id': AGENT_ID, 'task_id': TASK_ID}}})
    assert sent == []


def test_status_update_is_filled_in(executing):
    driver, sent = executing()
    status = addict.Dict()
    status.task_id = TASK_ID
    status.state = 'TASK_RUNNING'
    driver.sendStatusUpdate(status)
    assert sent[0]['type'] == 'UPDATE' and sent[0]['executor_id'] == {'value': 'e1'}
    assert sent[0]['framework_id'] == {'value': 'f1'}
    found = sent[0]['update']['status']
    assert found['source'] == 'SOURCE_EXECUTOR' and len(decode_data(found['uuid'])) == 16
    assert isinstance(found['timestamp'], float)
    given = {'uuid': encode_data(b'0' * 16), 'timestamp': 5, 'source': 'SOURCE_EXECUTOR', 'state': 'TASK_FINISHED'}
    driver.sendStatusUpdate(dict(given))
    assert sent[1]['update']['status'] == given


def test_second_terminal_update_does_no_harm(executing):
    driver, sent = executing()
    for _ in range(2):
        driver.sendStatusUpdate({'task_id': TASK_ID, 'state': 'TASK_FINISHED'})
    assert len(sent) == 2


def test_executor_message_body(executing):
    driver, sent = executing()
    driver.sendFrameworkMessage('aGk=')
    assert sent == [{'type': 'MESSAGE', 'framework_id': {'value': 'f1'}, 'executor_id': {'value': 'e1'},
                     'message': {'data': 'aGk='}}]


def test_subscribe_request_of_a_scheduler():
    framework = {'user': 'u', 'name': 'n', 'id': dict(FRAMEWORK_ID), 'failover_timeout': 5}
    driver, _sent = scheduling(framework=framework)
    request = driver.gen_request()
    line, headers = head(request)
    assert line == 'POST /api/v1/scheduler HTTP/1.1'
    body = request.split(b'\r\n\r\n', 1)[1]
    assert headers == {'Host': 'h:5050', 'Content-Type': 'application/json', 'Accept': 'application/json',
                       'Connection': 'close', 'Content-Length': str(len(body))}
    assert json.loads(body.decode()) == {'type': 'SUBSCRIBE', 'framework_id': FRAMEWORK_ID,
                                         'subscribe': {'framework_info': framework}}


def test_subscribe_request_of_an_executor(executing):
    driver, _sent = executing()
    line, headers = head(driver.gen_request())
    assert line == 'POST /api/v1/executor HTTP/1.1' and headers['Host'] == '10.0.0.1:5051'
    body = json.loads(driver.gen_request().split(b'\r\n\r\n', 1)[1].decode())
    assert body == {'type': 'SUBSCRIBE', 'framework_id': {'value': 'f1'}, 'executor_id': {'value': 'e1'},
                    'subscribe': {'unacknowledged_tasks': [], 'unacknowledged_updates': []}}


def test_on_event_is_looked_up_on_the_instance():
    seen = []
    driver, _sent = scheduling()
    original = driver.on_event
    driver.on_event = lambda event: (seen.append(event), original(event))
    life = Life('test', driver._settings(), 1000, driver, None)
    driver._deliver(life, 1, [(b'', {'type': 'HEARTBEAT'})] * 2)
    assert seen == [{'type': 'HEARTBEAT'}] * 2


# ---- data

OFFERS = {'type': 'OFFERS', 'offers': {'offers': [{'id': OFFER_ID, 'resources': [{'name': 'cpus'}]}]}}


def test_offers_are_a_mutable_list_of_mutable_dicts():
    seen = []
    driver, _sent = scheduling(Mine(resourceOffers=lambda driver, offers: seen.append(offers)))
    driver.on_event(json.loads(json.dumps(OFFERS)))
    seen[0][0]['resources'].append('x')
    seen[0].pop()
    assert type(seen[0]) is list


def test_with_addict_everything_is_a_dict_all_the_way_down():
    seen = []
    driver, _sent = scheduling(Mine(resourceOffers=lambda driver, offers: seen.append(offers[0])), use_addict=True)
    driver.on_event(json.loads(json.dumps(OFFERS)))
    offer = seen[0]
    assert isinstance(offer, addict.Dict) and isinstance(offer.resources[0], addict.Dict)
    assert [attribute for attribute in offer.attributes] == []
    assert 'attributes' not in offer and 'limitation' not in offer


def test_without_addict_dicts_are_plain():
    seen = []
    driver, _sent = scheduling(Mine(resourceOffers=lambda driver, offers: seen.append(offers[0])))
    driver.on_event(json.loads(json.dumps(OFFERS)))
    assert type(seen[0]) is dict


def test_message_data_is_base64_text():
    seen = []
    driver, _sent = scheduling(Mine(frameworkMessage=lambda driver, *args: seen.append(args)))
    driver.on_event({'type': 'MESSAGE', 'message': {'executor_id': {'value': 'e1'}, 'agent_id': AGENT_ID,
                                                    'data': encode_data(b'hi')}})
    assert seen == [({'value': 'e1'}, AGENT_ID, 'aGk=')] and decode_data(seen[0][2]) == b'hi'


def test_failures():
    seen = []
    driver, _sent = scheduling(Mine(slaveLost=lambda driver, agent_id: seen.append(agent_id),
                                    executorLost=lambda driver, *args: seen.append(args)))
    driver.on_event({'type': 'FAILURE', 'failure': {'agent_id': AGENT_ID}})
    driver.on_event({'type': 'FAILURE', 'failure': {'agent_id': AGENT_ID, 'executor_id': {'value': 'e1'}, 'status': 9}})
    driver.on_event({'type': 'FAILURE', 'failure': {'agent_id': AGENT_ID, 'executor_id': {'value': 'e1'}}})
    assert seen == [AGENT_ID, ({'value': 'e1'}, AGENT_ID, 9), ({'value': 'e1'}, AGENT_ID, None)]


def test_other_events():
    seen = []

    def note(name):
        return lambda driver, *args: seen.append((name,) + args)

    driver, _sent = scheduling(Mine(**{name: note(name) for name in (
        'offerRescinded', 'inverseOffers', 'inverseOfferRescinded', 'error', 'operationStatusUpdate')}))
    status = {'state': 'OPERATION_ERROR', 'operation_id': {'value': 'p'}}
    driver.on_event({'type': 'RESCIND', 'rescind': {'offer_id': OFFER_ID}})
    driver.on_event({'type': 'INVERSE_OFFERS', 'inverse_offers': {'inverse_offers': [{'id': OFFER_ID}]}})
    driver.on_event({'type': 'RESCIND_INVERSE_OFFER', 'rescind_inverse_offer': {'inverse_offer_id': OFFER_ID}})
    driver.on_event({'type': 'UPDATE_OPERATION_STATUS', 'update_operation_status': {'status': status}})
    driver.on_event({'type': 'ERROR', 'error': {'message': 'as it came'}})
    assert seen == [('offerRescinded', OFFER_ID), ('inverseOffers', [{'id': OFFER_ID}]),
                    ('inverseOfferRescinded', OFFER_ID), ('operationStatusUpdate', status), ('error', 'as it came')]


@pytest.mark.parametrize('event', [{}, {'type': None}, {'type': 'NEW'}, {'type': 5}, {'type': 'OFFERS'},
                                   {'type': 'OFFERS', 'offers': []}, {'type': '__init__', '__init__': {}}])
def test_unknown_or_malformed_event_is_logged_and_nothing_more(event, caplog):
    caplog.set_level(logging.INFO, 'pymesos')
    driver, _sent = scheduling()
    driver.on_event(event)
    assert 'ignored an event' in caplog.text


# ---- errors and logging

def test_refused_call_is_a_runtime_error_with_its_status():
    error = CallRejected('HTTP status 400', 400, 'text', 'KILL')
    assert isinstance(error, RuntimeError) and error.status == 400


def test_network_errors_are_os_errors():
    assert issubclass(ConnectionFailed, OSError)


def test_loggers_are_all_below_pymesos():
    script = ("import logging, pymesos.scheduler, pymesos.executor, pymesos.operator_v1, pymesos.detector\n"
              "print(sorted(set(n.split('.')[0] for n in logging.root.manager.loggerDict if 'mesos' in n)))")
    assert run(script) == "['pymesos']"


def test_scheduler_without_offers_of_its_own_is_a_warning(caplog):
    for sched in (Scheduler(), object()):
        MesosSchedulerDriver(sched, {'name': 'n'}, 'h:0')
        with pytest.raises(ValueError):
            MesosSchedulerDriver(sched, {'name': 'n'}, 'h:0').start()
        assert 'the scheduler has no resourceOffers of its own' in caplog.text
        caplog.clear()
    with pytest.raises(ValueError):
        MesosSchedulerDriver(Mine(resourceOffers=print), {'name': 'n'}, 'h:0').start()
    assert not caplog.text

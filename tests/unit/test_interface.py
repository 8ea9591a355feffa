"""pymesos.interface: the names and signatures that programs written for 0.3.15 rely on, and plain base classes."""
from __future__ import absolute_import, division, print_function

import abc
import io
import sys

import pytest
import six

from pymesos import interface
from pymesos._compat import getfullargspec
from pymesos.executor import MesosExecutorDriver
from pymesos.operator_v1 import (MesosOperatorAgentDriver, MesosOperatorDaemonDriver, MesosOperatorMasterDriver)
from pymesos.scheduler import MesosSchedulerDriver

#: Class -> its methods in 0.3.15 with their arguments. Where its interface and its driver had other names or more
#: arguments, those of the driver.
METHODS = {
    'Scheduler': '''
        registered driver frameworkId masterInfo; reregistered driver masterInfo; disconnected driver;
        processHeartBeat driver; resourceOffers driver offers; inverseOffers driver offers; offerRescinded driver
        offerId; inverseOfferRescinded driver offerId; statusUpdate driver status; operationStatusUpdate driver
        status; frameworkMessage driver executorId slaveId message; slaveLost driver slaveId; executorLost driver
        executorId slaveId status; error driver message''',
    'SchedulerDriver': '''
        start; stop failover; abort; join; run; requestResources requests; launchTasks offer_ids tasks filters;
        killTask task_id; acceptOffers offer_ids operations filters; acceptInverseOffers offer_ids filters;
        declineOffer offer_ids filters; declineInverseOffer offer_ids filters; reviveOffers roles; suppressOffers
        roles; acknowledgeStatusUpdate status; acknowledgeOperationStatusUpdate status; sendFrameworkMessage
        executor_id agent_id data; reconcileTasks tasks; reconcileOperations operations''',
    'Executor': '''
        registered driver executorInfo frameworkInfo slaveInfo; reregistered driver slaveInfo; disconnected driver;
        launchTask driver task; launchTaskGroup driver task_infos; killTask driver taskId; frameworkMessage driver
        message; shutdown driver; error driver message''',
    'ExecutorDriver': 'start; stop; abort; join; run; sendStatusUpdate status; sendFrameworkMessage data',
    'OperatorMaster': '''
        taskAdded task_info; taskUpdated task_info; frameworkAdded framework_info; frameworkUpdated framework_info;
        frameworkRemoved framework_info; agentAdded agent_info; agentRemoved agent_id''',
    'OperatorDaemonDriver': '''
        getHealth; getFlags; getVersion; getMetrics timeout; getLoggingLevel; setLoggingLevel level duration;
        listFiles path; readFile path length offset; getState; getFrameworks; getExecutors; getTasks''',
    'OperatorMasterDriver': '''
        start; stop; abort; join; run; getAgents; getRoles; getWeights; updateWeights weight_infos; getMaster;
        reserveResources agent_id resources; unreserveResources agent_id resources; createVolumes agent_id volumes;
        destroyVolumes agent_id volumes; getMaintenanceStatus; getMaintenanceSchedule; updateMaintenanceSchedule
        windows; startMaintenance machines; stopMaintenance machines; getQuota; setQuota quota_request; removeQuota
        role; markAgentGone agent_id''',
    'OperatorAgentDriver': '''
        getContainers show_nested show_standalone; launchNestedContainer launch_nested_container;
        waitNestedContainer container_id parent_id; killNestedContainer container_id parent_id;
        launchNestedContainerSession launch_nested_container_session; attachContainerInput container_id process_ios;
        attachContainerOutput container_id; removeNestedContainer container_id parent_id; addResourceProviderConfig
        info; updateResourceProviderConfig info; removeResourceProviderConfig type name; pruneImages excluded_images''',
}

#: Arguments that may be left out, in 0.3.15.
OPTIONAL = {'failover', 'filters', 'roles', 'parent_id', 'show_nested', 'show_standalone', 'excluded_images'}

#: Methods that 0.3.15 lacks.
NEW = {'SchedulerDriver': {'shutdownExecutor', 'teardown', 'updateFramework'}}

DRIVERS = [(MesosSchedulerDriver, interface.SchedulerDriver), (MesosExecutorDriver, interface.ExecutorDriver),
           (MesosOperatorDaemonDriver, interface.OperatorDaemonDriver),
           (MesosOperatorMasterDriver, interface.OperatorMasterDriver),
           (MesosOperatorAgentDriver, interface.OperatorAgentDriver)]

CALLBACKS = [interface.Scheduler, interface.Executor, interface.OperatorMaster]


def methods_of(cls):
    return dict((name, getattr(cls, name)) for name in dir(cls)
                if not name.startswith('_') and callable(getattr(cls, name)))


@pytest.mark.parametrize('name, signature', [
    (name, signature.split()) for name in sorted(METHODS) for signature in METHODS[name].split(';')], ids=str)
def test_every_method_of_0_3_15_is_there_with_its_arguments(name, signature):
    spec = getfullargspec(vars(getattr(interface, name))[signature[0]])
    wanted = signature[1:]
    assert spec.args[1:len(wanted) + 1] == wanted
    assert spec.varargs is None
    needed = spec.args[1:len(spec.args) - len(spec.defaults or ())]
    assert set(needed) <= set(wanted) - OPTIONAL, 'a call that worked lacks an argument now'


@pytest.mark.parametrize('name', sorted(METHODS))
def test_nothing_is_there_that_nobody_decided(name):
    known = set(signature.split()[0] for signature in METHODS[name].split(';')) | NEW.get(name, set())
    assert set(method for method in vars(getattr(interface, name)) if not method.startswith('_')) == known


@pytest.mark.parametrize('driver, described', DRIVERS, ids=lambda cls: cls.__name__)
def test_a_driver_has_every_method_of_its_interface_as_an_ordinary_method(driver, described):
    assert issubclass(driver, described)
    for name, method in methods_of(described).items():
        function, default = (six.get_unbound_function(found) for found in (getattr(driver, name), method))
        assert function is not default, '%s is not implemented' % name
        ours, theirs = getfullargspec(function).args, getfullargspec(default).args
        assert ours[:len(theirs)] == theirs


@pytest.mark.parametrize('name', interface.__all__)
def test_every_class_and_method_says_what_it_does(name):
    cls = getattr(interface, name)
    assert cls.__doc__
    for method in methods_of(cls).values():
        assert method.__doc__


@pytest.mark.parametrize('cls', CALLBACKS)
def test_base_classes_are_plain(cls):
    assert cls.__mro__ == (cls, object)
    assert type(cls) is type
    assert not {'__init__', '__new__', '__slots__'} & set(vars(cls))
    cls().anything = 1


@pytest.mark.parametrize('cls', CALLBACKS)
def test_base_classes_mix_with_abstract_ones_and_cooperative_constructors(cls):
    class Named(six.with_metaclass(abc.ABCMeta)):
        def __init__(self, name, **others):
            super(Named, self).__init__(**others)
            self.name = name

        @abc.abstractmethod
        def work(self):
            """Work."""

    class Framework(Named, cls):
        def work(self):
            return self.name

    assert Framework(name='me').work() == 'me'


@pytest.mark.parametrize('cls', CALLBACKS)
def test_default_callbacks_do_nothing(cls, capsys):
    target = cls()
    for name, method in methods_of(cls).items():
        if name != 'error':
            assert getattr(target, name)(*[None] * (len(getfullargspec(method).args) - 1)) is None
    assert capsys.readouterr() == ('', '')


@pytest.mark.parametrize('cls', [interface.Scheduler, interface.Executor])
def test_the_default_of_error_can_be_called_through_super_and_prints_the_message(cls, capsys):
    class Framework(cls):
        def error(self, driver, message):
            super(Framework, self).error(driver, message)

    Framework().error(None, 'Framework has been removed')
    assert capsys.readouterr() == ('', 'pymesos: Framework has been removed\n')


def test_the_default_of_error_takes_any_text(monkeypatch):
    # An ASCII stream as in a daemon: bytes on 2.7, text with an error handler on 3.
    stream = io.BytesIO()
    if not six.PY2:
        stream = io.TextIOWrapper(stream, encoding='ascii', errors='backslashreplace')
    monkeypatch.setattr(sys, 'stderr', stream)
    interface.Scheduler().error(None, u'Kein Zugriff f\xfcr \u201eeng\u201c')
    interface.Scheduler().error(None, ('a', 'tuple'))

"""Fixtures for pytest: ``pytest_plugins = ['pymesos.testing.plugin']`` in the topmost ``conftest.py``.

They work on pytest 4.6 (Python 2.7) and newer.
"""
from __future__ import absolute_import, division, print_function

import pytest

from ..local import LocalCluster
from .agent import ScriptedAgent
from .leaks import LeakCheck
from .master import ScriptedMaster
from .proxy import FaultProxy

__all__ = ['fault_proxy', 'mesos_cluster', 'no_leaks', 'pytest_configure', 'scripted_agent', 'scripted_master']


def pytest_configure(config):
    """Make the marker known to ``--strict-markers`` and ``pytest --markers``."""
    config.addinivalue_line('markers', 'mesos_cluster(agents=2, ...): what the fixture mesos_cluster gives to '
                                       'pymesos.local.LocalCluster')


@pytest.fixture
def mesos_cluster(request):
    """A started :class:`pymesos.local.LocalCluster`, closed behind the test: real executors, no Mesos needed.

    It has one agent with 4 cpus and 4096 MB of mem, unless the test says otherwise:
    ``@pytest.mark.mesos_cluster(agents=3, resources='cpus:1;mem:512')``.
    """
    marker = request.node.get_closest_marker('mesos_cluster')
    settings = {'resources': 'cpus:4;mem:4096;disk:10000'}
    settings.update(marker.kwargs if marker is not None else {})
    with LocalCluster(**settings) as cluster:
        yield cluster


@pytest.fixture
def scripted_master():
    """A :class:`ScriptedMaster` with its defaults, started; stopped behind the test."""
    with ScriptedMaster() as master:
        yield master


@pytest.fixture
def scripted_agent():
    """A :class:`ScriptedAgent` with its defaults, started; stopped behind the test."""
    with ScriptedAgent() as agent:
        yield agent


@pytest.fixture
def fault_proxy():
    """A function that makes a started :class:`FaultProxy`: ``fault_proxy(master.address)``.

    All are stopped behind the test.
    """
    proxies = []

    def make(target, **options):
        proxy = FaultProxy(target, **options)
        proxies.append(proxy)
        return proxy.start()

    yield make
    for proxy in proxies:
        proxy.stop()


@pytest.fixture
def no_leaks():
    """Fails the test if it leaves a thread, a descriptor or a child process behind (:class:`LeakCheck`).

    What the fixtures named behind it in the test's arguments leave counts as well.
    """
    check = LeakCheck()
    yield check
    check.check()

"""Fixtures of the contract: each test runs on every target that PYMESOS_CONTRACT names (see :mod:`targets`).

``@pytest.mark.row('2.1 KILL')`` says which row of the protocol's tables a test is for (see :mod:`rows`);
``@pytest.mark.local_only('reason')`` keeps a test off the real Mesos, which cannot do here what it asks for.
"""
from __future__ import absolute_import, division, print_function

import os

import pytest

import actors
import targets

#: The cluster that the tests share, by target; started by the first test that asks for it.
SHARED = {}


def pytest_collection_modifyitems(config, items):
    """Take the tests that a target cannot run out of its run, and say why at the end."""
    kept, left_out = [], []
    for item in items:
        mark = item.get_closest_marker('local_only')
        is_real = getattr(item, 'callspec', None) and item.callspec.params.get('target_name') == 'mesos'
        (left_out if mark and is_real else kept).append(item)
    if left_out:
        config.left_out = getattr(config, 'left_out', []) + left_out
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept


def pytest_terminal_summary(terminalreporter):
    """Name what did not run on the real Mesos, with the reasons."""
    left_out = getattr(terminalreporter.config, 'left_out', [])
    if left_out:
        terminalreporter.section('not for the real Mesos')
    for item in left_out:
        terminalreporter.write_line('%s: %s' % (item.name, item.get_closest_marker('local_only').args[0]))


@pytest.fixture(scope='session', params=targets.chosen())
def target_name(request):
    """The name of the target that a test runs on."""
    return request.param


@pytest.fixture(scope='session')
def shared_target(target_name):
    """The target that all tests share that break nothing."""
    if target_name == 'mesos' and os.environ.get('PYMESOS_NO_MESOS') == '1':
        pytest.skip('PYMESOS_NO_MESOS=1: the real Mesos is not to be used')
    with targets.make(target_name) as target:
        SHARED[target_name] = target
        yield target
        del SHARED[target_name]


@pytest.fixture
def cluster(shared_target):
    """A master and two agents, shared: leave them as you found them. What you open is closed for you."""
    cluster = actors.Cluster(shared_target)
    yield cluster
    cluster.close()


@pytest.fixture
def own_cluster(target_name):
    """Start a cluster of your own, to break or to set up otherwise: ``own_cluster(agents=1, ...)``."""
    started = []

    def start(**options):
        target = targets.make(target_name, **options).start()
        started.append(actors.Cluster(target))
        return started[-1]

    yield start
    for cluster in started:
        cluster.close()
        cluster.target.stop()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Show the ends of the logs of the shared cluster, and what its executors complained of."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for target in SHARED.values():
            report.sections.append(('cluster at %s' % target.master, target.log()))
            report.sections.append(('sandboxes', target.sandbox_errors()))

"""Fixtures that run against the real Mesos of ../shared/mesos.

Set PYMESOS_NO_MESOS=1 where it cannot run: its tests are skipped then. Without that they fail.
"""
from __future__ import absolute_import, division, print_function

import os

import pytest
from real_mesos import MesosMissing, RealMesos, find_python3, running, start_script


@pytest.fixture(scope='session')
def mesos_is_here():
    """Fail with a clear text if the real Mesos is missing; skip if PYMESOS_NO_MESOS=1."""
    if os.environ.get('PYMESOS_NO_MESOS') == '1':
        pytest.skip('PYMESOS_NO_MESOS=1: the real Mesos is not to be used')
    try:
        start_script()
        find_python3()
    except MesosMissing as missing:
        pytest.fail(str(missing), pytrace=False)


@pytest.fixture(scope='session')
def mesos(mesos_is_here):
    """A master with two agents, one for the whole session: leave it as you found it."""
    with RealMesos(agents=2) as cluster:
        yield cluster


@pytest.fixture
def mesos_factory(mesos_is_here):
    """Start clusters of your own, to break them: ``mesos_factory(agents=1, auth='user:secret', ...)``."""
    clusters = []

    def start(**options):
        cluster = RealMesos(**options)
        clusters.append(cluster)
        return cluster.start()

    yield start
    for cluster in clusters:
        cluster.stop()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Show the ends of the logs of the clusters that a failed test ran on."""
    outcome = yield
    report = outcome.get_result()
    if report.failed and {'mesos', 'mesos_factory'} & set(getattr(item, 'fixturenames', ())):
        for cluster in running():
            report.sections.append(('real Mesos at %s' % cluster.master, cluster.log_tail()))

"""Whatever fails while commands run on the real Mesos, each ends with the truth, in time, and leaves nothing."""
from __future__ import absolute_import, division, print_function

import os
import sys

import pytest
from real_mesos import RealMesos

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'integration'))
import subprocess_scenarios as scenarios  # noqa: E402
from subprocess_holdings import await_nothing_passing  # noqa: E402

pytestmark = pytest.mark.mesos


@pytest.fixture(scope='module')
def ground(mesos_is_here):
    """A master that remembers its agent; neither that nor executors are declared lost because this machine is busy."""
    with RealMesos(registry='replicated_log', ping='15secs,20',
                   agent_env={'MESOS_EXECUTOR_REREGISTRATION_TIMEOUT': '6secs'}) as ground:
        yield ground


@pytest.fixture(autouse=True)
def nothing_passing_left(nothing_left_behind):
    yield
    await_nothing_passing()


@pytest.fixture
def cluster(ground):
    with scenarios.make_cluster(ground) as cluster:
        yield cluster


@pytest.mark.mesos_main
def test_master_is_restarted(ground, cluster):
    scenarios.master_is_restarted(ground, cluster)


@pytest.mark.mesos_main
def test_agent_is_restarted(ground, cluster):
    scenarios.agent_is_restarted(ground, cluster)


@pytest.mark.mesos_main
def test_executor_is_killed(ground, cluster):
    scenarios.executor_is_killed(ground, cluster)


def test_executor_is_killed_while_commands_begin(ground, cluster):
    scenarios.executor_is_killed_while_commands_begin(ground, cluster)


def test_port_is_refused(ground):
    scenarios.port_is_refused(ground)


def test_connection_is_cut_while_data_flows(ground):
    scenarios.connection_is_cut_while_data_flows(ground)


def test_connection_is_cut_at_the_end(ground):
    scenarios.connection_is_cut_at_the_end(ground)


def test_connection_is_silent_for_a_while(ground):
    scenarios.connection_is_silent_for_a_while(ground)


def test_updates_come_twice(ground):
    scenarios.updates_come_twice(ground)


def test_updates_are_lost(ground):
    scenarios.updates_are_lost(ground)


def test_offers_are_stale(mesos_factory):
    scenarios.offers_are_stale(mesos_factory(master_env={'MESOS_OFFER_TIMEOUT': '200ms'}))


def test_framework_is_torn_down(ground):
    scenarios.framework_is_torn_down(ground)


def test_task_is_killed(ground):
    scenarios.task_is_killed(ground)


def test_nothing_can_hold_it(ground):
    scenarios.nothing_can_hold_it(ground)


def test_python_is_missing(ground):
    scenarios.python_is_missing(ground)


def test_bundle_is_spoilt(ground):
    scenarios.bundle_is_spoilt(ground)


def test_program_is_killed(ground):
    scenarios.program_is_killed(ground)

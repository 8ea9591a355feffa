"""Whatever fails while commands run on the embedded cluster, each ends with the truth, in time, and leaves nothing."""
from __future__ import absolute_import, division, print_function

import functools
import os

import pytest
import subprocess_scenarios as scenarios
from subprocess_holdings import await_nothing_passing

from pymesos.local import LocalCluster
from pymesos.subprocess.framework import attempts, keeper
from pymesos.testing import FaultProxy

#: Seconds in the place of 60 for which a connection is missed, and after which Mesos is not asked any more.
SOON = 3.0


@pytest.fixture(autouse=True)
def nothing_goes_wrong(caplog):
    """Nothing is left, and no exception was left to the log here."""
    yield
    await_nothing_passing()
    assert not [record.getMessage() for record in caplog.records if record.exc_info]


def check_sandboxes(ground):
    """No executor has been at fault."""
    for agent in ground.agents:
        for sandbox in agent.sandboxes():
            with open(os.path.join(sandbox, 'stderr')) as stream:
                text = stream.read()
            assert 'Traceback' not in text and ' ERROR ' not in text, text


@pytest.fixture
def ground():
    """An embedded cluster with one agent."""
    # Executors that come back to an agent dial at random within half that time: of Mesos' two seconds too little may be
    # left to one that stands still for a moment.
    with LocalCluster(resources='cpus:8;mem:4096', agent_options={'executor_reregistration_timeout': 6.0}) as ground:
        yield ground
        check_sandboxes(ground)


@pytest.fixture
def cluster(ground):
    with scenarios.make_cluster(ground) as cluster:
        yield cluster


@pytest.mark.parametrize('forget', [False, True])
def test_master_is_restarted(ground, cluster, forget):
    scenarios.master_is_restarted(ground, cluster, forget=forget)


def test_agent_is_restarted(ground, cluster):
    scenarios.agent_is_restarted(ground, cluster)


def test_executor_is_killed(ground, cluster):
    scenarios.executor_is_killed(ground, cluster)


def test_executor_is_killed_while_commands_begin(ground, cluster):
    scenarios.executor_is_killed_while_commands_begin(ground, cluster)


def test_port_is_refused(ground):
    scenarios.port_is_refused(ground)


def test_port_is_behind_a_firewall(ground):
    scenarios.port_is_behind_a_firewall(ground)


def test_connection_is_cut_while_data_flows(ground):
    scenarios.connection_is_cut_while_data_flows(ground)


def test_connection_is_cut_at_the_end(ground):
    scenarios.connection_is_cut_at_the_end(ground)


def test_connection_is_silent_for_a_while(ground):
    scenarios.connection_is_silent_for_a_while(ground)


def test_connection_is_gone_for_good(ground, monkeypatch):
    monkeypatch.setattr(keeper, 'Session', functools.partial(keeper.Session, lost_after=SOON))
    monkeypatch.setattr(attempts, 'LIMIT', SOON)
    scenarios.connection_is_gone_for_good(ground)


def test_updates_come_twice(ground):
    scenarios.updates_come_twice(ground)


def test_updates_are_lost(ground):
    scenarios.updates_are_lost(ground)


def test_offers_are_stale():
    with LocalCluster(resources='cpus:8;mem:4096', master_options={'offer_timeout': 0.5}) as ground:
        scenarios.offers_are_stale(ground)


def test_framework_is_torn_down(ground):
    scenarios.framework_is_torn_down(ground)


def test_framework_expires(ground):
    scenarios.framework_is_torn_down(ground, LocalCluster.expire_framework)


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


@pytest.mark.slow
def test_program_is_killed_and_missed_by_the_executor_alone(ground):
    scenarios.program_is_killed(ground, 300.0)


def test_master_is_not_there():
    scenarios.master_is_not_there()


def test_messages_to_the_agent_are_slow(ground, cluster):
    ground.delay(1.0)
    talker = scenarios.Talker(cluster)
    talker.ask()
    talker.finish()
    assert [scenarios.status_of(cluster, status) for status in range(3)] == [0, 1, 2]


def test_commands_go_on_where_mesos_has_lost_the_agent():
    """The connection is still there, and tells how they end."""
    options = {'agent_ping_timeout': 0.5, 'max_agent_ping_timeouts': 4}
    with LocalCluster(resources='cpus:8;mem:4096', master_options=options) as ground:
        with scenarios.make_cluster(ground) as cluster:
            talkers = [scenarios.Talker(cluster) for _ in range(2)]
            ground.partition()
            scenarios.wait_until(lambda: talkers[0].process.state == 'TASK_UNREACHABLE', scenarios.DEADLINE)
            talkers[0].ask()
            talkers[0].finish()
            ground.heal()
            talkers[1].ask()
            talkers[1].finish()
            assert scenarios.Background(lambda: scenarios.status_of(cluster, 6)).result() == 6
            scenarios.await_idle_master(ground.master, cluster.framework_id)


def test_agent_is_stopped(ground, cluster):
    """It says farewell, and its executors end their commands."""
    talkers = [scenarios.Talker(cluster) for _ in range(2)]
    ground.stop_agent()
    for talker in talkers:
        ended = talker.await_end()
        assert isinstance(ended, scenarios.TaskLost) or ended == -15, ended
    ground.start_agent()
    assert scenarios.Background(lambda: scenarios.status_of(cluster, 6)).result() == 6


def test_subscription_is_cut(ground):
    with FaultProxy(ground.master) as proxy, scenarios.Cluster(proxy.address, **scenarios.DEFAULTS) as cluster:
        talker = scenarios.Talker(cluster)
        for number in range(6):
            running = scenarios.Background(lambda: scenarios.status_of(cluster, number))
            proxy.cut_after(300 * (number + 1), ('up', 'down')[number % 2])
            assert running.result() == number
            proxy.pass_through()
        proxy.reset()
        talker.ask()
        talker.finish()
        scenarios.await_idle_master(ground.master, cluster.framework_id)

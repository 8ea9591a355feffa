"""The helper that starts the real Mesos."""
from __future__ import absolute_import, division, print_function

import os

import pytest
import real_mesos
from real_mesos import RealMesos


def test_two_clusters_run_beside_each_other_and_stop(mesos, mesos_factory):
    other = mesos_factory(agents=1, auth='user:secret')
    assert other.port != mesos.port
    assert other.call({'type': 'GET_HEALTH'})['get_health'] == {'healthy': True}
    assert len(mesos.get('/slaves')['slaves']) == 2
    port, folder = other.port, other.folder
    other.stop()
    other.stop()
    assert not os.path.exists(folder)
    assert real_mesos._are_free([port, port + 1])


def test_master_and_agent_are_killed_and_started_again(mesos_factory):
    cluster = mesos_factory(agents=1)
    cluster.kill_agent(1)
    assert not cluster.is_registered(1)
    cluster.start_agent(1)
    assert cluster.is_registered(1)
    cluster.kill_master()
    cluster.start_master()
    cluster.wait_for(lambda: cluster.get('/slaves')['slaves'], 'the agent to register again')


def test_cluster_of_a_killed_process_is_stopped_by_the_next_run(mesos_factory):
    orphan = mesos_factory(agents=0)
    port = orphan.port
    real_mesos._running.remove(orphan)
    os.close(orphan._block.descriptor)          # what the kernel does to the lock of a killed process
    new = mesos_factory(agents=0)
    assert new.port == port or real_mesos._are_free([port])


def test_missing_mesos_is_named(monkeypatch, tmpdir):
    monkeypatch.setenv('PYMESOS_SHARED', str(tmpdir))
    with pytest.raises(real_mesos.MesosMissing) as caught:
        RealMesos().start()
    assert 'PYMESOS_NO_MESOS=1' in str(caught.value)
    assert str(tmpdir) in str(caught.value)

"""How to test a framework on an embedded cluster: `pytest test_batch.py`. Its conftest.py asks for the fixtures."""
from __future__ import absolute_import, division, print_function

import os

import pytest

from batch import Batch
from pymesos import MesosSchedulerDriver
from pymesos.testing import wait_until

FRAMEWORK = {'user': '', 'name': 'batch', 'failover_timeout': 60}


def start(batch, cluster):
    driver = MesosSchedulerDriver(batch, FRAMEWORK, cluster.master)
    driver.start()
    return driver


# The three lines that a test needs.
def test_a_command_that_fails_is_told(mesos_cluster):
    batch = Batch(['true', 'exit 3'])
    start(batch, mesos_cluster).join()
    assert batch.ended == {0: 'TASK_FINISHED', 1: 'TASK_FAILED'}


@pytest.mark.mesos_cluster(agents=2, resources='cpus:1;mem:256')
def test_commands_find_room_on_several_agents(mesos_cluster):
    batch = Batch(['test -d "$MESOS_SANDBOX"'] * 30)
    start(batch, mesos_cluster).join()
    assert set(batch.ended.values()) == {'TASK_FINISHED'}
    assert all(agent.sandboxes() for agent in mesos_cluster.agents)


# What the dead master swallowed an agent repeats after 10 seconds, unless it is told otherwise.
@pytest.mark.mesos_cluster(agent_options={'status_update_retry_min': 0.5})
def test_a_master_that_fails_over_is_survived(mesos_cluster, tmpdir):
    gate = str(tmpdir.join('gate'))
    batch = Batch(['while [ ! -e %s ]; do sleep 0.1; done' % gate])
    driver = start(batch, mesos_cluster)
    wait_until(lambda: any(agent.sandboxes() for agent in mesos_cluster.agents), message='the command to run')
    mesos_cluster.kill_master()
    mesos_cluster.start_master()
    open(gate, 'w').close()
    driver.join()
    assert batch.ended == {0: 'TASK_FINISHED'}
    assert os.path.exists(gate)

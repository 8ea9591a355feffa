"""Commands on the embedded cluster; see cluster_scenarios."""
from __future__ import absolute_import, division, print_function

import json
import os
import signal

import pytest
from cluster_scenarios import *  # noqa: F401,F403
from cluster_scenarios import Site, executor_of, kill_all, unique
from six.moves.urllib.request import urlopen
from subprocess_holdings import processes_with

from pymesos.local import LocalCluster
from pymesos.subprocess import Popen, call
from pymesos.subprocess.errors import TaskLost
from pymesos.subprocess.framework import keeper
from pymesos.subprocess.streams.session import Session
from pymesos.testing import wait_until

RACKS = ['rack:a', 'rack:b']

#: Seconds that executors have to come back to an agent that was started again. They dial at random within half as
#: many: of Mesos' two seconds too little may be left to one that stands still for a moment.
REREGISTRATION = 6.0


class LocalSite(Site):
    """The embedded cluster."""

    def get(self, path):
        stream = urlopen('http://%s%s' % (self.master, path), timeout=30)
        try:
            return json.loads(stream.read().decode('utf-8'))
        finally:
            stream.close()

    def kill_master(self):
        self.mesos.kill_master()

    def start_master(self):
        self.mesos.start_master(forget=True)

    def kill_agent(self, number=0):
        self.mesos.kill_agent(number)

    def start_agent(self, number=0):
        self.mesos.start_agent(number)


@pytest.fixture(scope='module')
def shared_mesos():
    with LocalCluster(agents=2, resources='cpus:4;mem:4096;disk:10000', attributes=RACKS) as mesos:
        yield mesos


@pytest.fixture
def site(shared_mesos):
    made = LocalSite(shared_mesos)
    yield made
    made.close()


@pytest.fixture
def sites():
    made = []

    def make(agents=1, resources='cpus:4;mem:4096;disk:10000', roles=None, **options):
        mesos = LocalCluster(agents=agents, resources=resources, roles=roles and roles.split(','),
                             agent_options={'executor_reregistration_timeout': REREGISTRATION}, **options).start()
        made.append(LocalSite(mesos))
        return made[-1]

    yield make
    for site in made:
        site.close()
        site.mesos.close()


def test_framework_that_is_removed_ends_its_commands_and_another_takes_its_place(sites):
    site = sites()
    cluster = site.cluster()
    process = Popen(['sleep', unique()], cluster=cluster)
    framework_id = cluster.framework_id
    site.mesos.expire_framework(framework_id)
    try:
        assert process.wait(timeout=60) == -signal.SIGTERM      # of the executor, if that can still tell
    except TaskLost as error:
        assert 'the framework has ended: ' in str(error)
    wait_until(lambda: cluster.framework_id is None, message='the framework to end')
    assert call(['true'], cluster=cluster) == 0
    assert cluster.framework_id != framework_id


def test_agent_that_is_lost_for_good_ends_its_commands_in_bounded_time(sites, monkeypatch):
    monkeypatch.setattr(keeper, 'Session', lambda *args: Session(*args, lost_after=2.0))
    site = sites(master_options={'agent_ping_timeout': 0.5, 'max_agent_ping_timeouts': 2})
    cluster = site.cluster()
    seconds = unique()
    process = Popen(['sleep', seconds], cluster=cluster)
    site.kill_agent()
    os.kill(executor_of(cluster), signal.SIGKILL)
    with pytest.raises(TaskLost):
        process.wait(timeout=60)
    kill_all(processes_with(seconds))


def test_credentials_are_used(sites):
    site = sites(credentials={'me': 'hush'})
    cluster = site.cluster(principal='me', secret='hush')
    assert call(['true'], cluster=cluster) == 0

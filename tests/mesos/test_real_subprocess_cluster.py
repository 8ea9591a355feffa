"""Commands on the real Mesos; see tests/integration/cluster_scenarios.py."""
from __future__ import absolute_import, division, print_function

import os
import sys

import pytest
from real_mesos import RealMesos, default_resources

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'integration'))

from cluster_scenarios import *  # noqa: E402,F401,F403
from cluster_scenarios import Site  # noqa: E402

RACKS = ['rack:a', 'rack:b']


class RealSite(Site):
    """The real one."""

    def get(self, path):
        return self.mesos.get(path)

    def kill_master(self):
        self.mesos.kill_master()

    def start_master(self):
        self.mesos.start_master()

    def kill_agent(self, number=0):
        self.mesos.kill_agent(number + 1)

    def start_agent(self, number=0):
        self.mesos.start_agent(number + 1)


@pytest.fixture(scope='module')
def shared_mesos(mesos_is_here):
    with RealMesos(agents=2, attributes=RACKS) as mesos:
        yield mesos


@pytest.fixture
def site(shared_mesos):
    made = RealSite(shared_mesos)
    yield made
    made.close()


@pytest.fixture
def sites(mesos_factory):
    made = []

    def make(agents=1, resources=None, roles=None):
        ports = [text[text.index('ports:'):] for text in default_resources(agents)]
        texts = resources and ['%s;disk:1000;%s' % (resources, one) for one in ports]
        mesos = mesos_factory(agents=agents, resources=texts, master_env={'MESOS_ROLES': roles} if roles else None,
                              agent_env={'MESOS_EXECUTOR_REREGISTRATION_TIMEOUT': '6secs'})
        made.append(RealSite(mesos))
        return made[-1]

    yield make
    for site in made:
        site.close()

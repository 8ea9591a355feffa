"""Many commands, much data, long runs on the real Mesos; see tests/integration/test_subprocess_load.py."""
from __future__ import absolute_import, division, print_function

import os
import sys

import pytest
from real_mesos import RealMesos

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'integration'))

from test_subprocess_load import *  # noqa: E402,F401,F403


@pytest.fixture(scope='module')
def master(mesos_is_here):
    """The address of a real Mesos with one large agent."""
    with RealMesos(resources='cpus:32;mem:8192;disk:10000') as mesos:
        yield mesos.master

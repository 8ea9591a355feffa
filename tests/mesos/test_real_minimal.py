"""The framework of the README runs its command on the real Mesos, wherever an agent is."""
from __future__ import absolute_import, division, print_function

import os

import pytest
from children import EXAMPLES, Child

pytestmark = [pytest.mark.mesos, pytest.mark.mesos_main]


def test_minimal_runs_its_command_and_ends(mesos, tmpdir):
    with Child(tmpdir.join('output'), os.path.join(EXAMPLES, 'minimal.py'), mesos.master) as minimal:
        assert minimal.wait() == 0, minimal.text
        assert 'hello TASK_RUNNING' in minimal.text
        assert 'hello TASK_FINISHED' in minimal.text

"""Persistent volumes are folders that outlive containers, and links in their sandboxes (PROTOCOL 5.1)."""
from __future__ import absolute_import, division, print_function

import os
import pwd

import pytest
from launched import Harness


@pytest.fixture
def harness(tmpdir):
    made = Harness(str(tmpdir.join('work')))
    yield made
    made.close()


def test_what_is_in_a_volume_is_there_for_the_next_container(harness, tmpdir):
    volumes = [{'path': 'data', 'source': str(tmpdir.join('work', 'volumes', 'roles', 'eng', 'v'))}]
    assert harness.run('one', 'echo kept > data/file', volumes=volumes) == 0
    assert harness.run('two', 'cat data/file', volumes=volumes) == 0
    assert harness.read('two') == b'kept\n'


def test_path_of_a_volume_may_have_several_steps(harness, tmpdir):
    volumes = [{'path': './a/b', 'source': str(tmpdir.join('v1'))}, {'path': 'a/c', 'source': str(tmpdir.join('v2'))}]
    assert harness.run('one', 'touch a/b/here && pwd', volumes=volumes) == 0
    assert tmpdir.join('v1', 'here').check() and tmpdir.join('v2').check(dir=True)
    assert harness.read('one').decode().strip() == os.path.realpath(harness.sandbox('one'))


@pytest.mark.skipif(os.geteuid() != 0, reason='needs root')
def test_volume_belongs_to_the_user_of_the_task(harness, tmpdir):
    tmpdir.chmod(0o755)
    os.chmod(str(tmpdir.join('..')), 0o755)
    source = tmpdir.join('v')
    assert harness.run('one', 'true', user='nobody', volumes=[{'path': 'data', 'source': str(source)}]) == 0
    assert os.stat(str(source)).st_uid == pwd.getpwnam('nobody').pw_uid


@pytest.mark.parametrize('path', ['/etc', '../out', 'a/../../out', '.', '', 'taken'])
def test_volume_cannot_lead_out_of_a_sandbox_nor_replace_what_is_there(harness, tmpdir, path):
    volumes = [{'path': 'taken', 'source': str(tmpdir.join('v1'))}, {'path': path, 'source': str(tmpdir.join('v2'))}]
    failure = harness.run('one', 'true', volumes=volumes)
    assert failure.startswith('Failed to link ')
    assert not tmpdir.join('out').check() and not tmpdir.join('work', 'runs', 'out').check()

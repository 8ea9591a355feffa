"""Where the port of subprocess is, unless somebody says: on the address that faces the master, and on no other."""
from __future__ import absolute_import, division, print_function

import logging

import pytest

from pymesos.subprocess.cluster import Cluster, _facing_address


@pytest.mark.parametrize('master, expected', [
    ('local', '127.0.0.1'), ('127.0.0.1:5050', '127.0.0.1'), ('zk://u:p@127.0.0.1,h2/mesos', '127.0.0.1'),
    ('unix:///run/mesos', '127.0.0.1'), ('unix:///run/mesos,127.0.0.2:1', '127.0.0.1')])
def test_loopback_is_listened_on_for_a_master_on_this_machine(master, expected):
    assert _facing_address(master) == expected


def test_name_that_is_unknown_is_told_and_the_next_one_tried(caplog):
    with caplog.at_level(logging.WARNING):
        assert _facing_address('no.such.host.invalid:1,127.0.0.1:2') == '127.0.0.1'
    assert 'cannot tell which address of this machine faces no.such.host.invalid:1' in caplog.text


def test_address_that_is_configured_is_taken(monkeypatch):
    asked = []
    monkeypatch.setattr('pymesos.subprocess.cluster._facing_address', asked.append)
    with Cluster('127.0.0.1:1', host='127.0.0.3', port=0) as cluster:
        assert cluster._runtime_for().hub.address[0] == '127.0.0.3'
    assert not asked

"""What an agent of the embedded cluster offers, from what a user writes and what this machine has."""
from __future__ import absolute_import, division, print_function

import pytest

from pymesos.errors import UsageError
from pymesos.local.machine import agent_attributes, agent_resources
from pymesos.resources import Resources


def named(resources):
    return {resource['name']: resource for resource in resources}


def test_what_is_not_named_is_this_machines(tmpdir):
    found = named(agent_resources('cpus:4;mem:512', 0, 1, str(tmpdir)))
    assert sorted(found) == ['cpus', 'disk', 'mem', 'ports']
    assert found['cpus']['scalar']['value'] == 4 and found['mem']['scalar']['value'] == 512
    assert found['disk']['scalar']['value'] > 0
    assert found['ports']['ranges']['range'] == [{'begin': 31000, 'end': 32000}]


def test_nothing_named_is_all_of_this_machine(tmpdir):
    found = Resources(agent_resources(None, 0, 1, str(tmpdir)))
    assert found.cpus >= 1 and found.mem >= 1 and found.disk >= 1


@pytest.mark.parametrize('count', [1, 3, 10, 400])
def test_agents_share_out_the_ports(tmpdir, count):
    ranges = [Resources(agent_resources('cpus:1;mem:1', number, count, str(tmpdir))).ports for number in range(count)]
    ports = [port for pairs in ranges for begin, end in pairs for port in range(begin, end + 1)]
    assert sorted(ports) == list(range(31000, 32001))


def test_more_agents_than_ports_have_none(tmpdir):
    assert 'ports' not in named(agent_resources('cpus:1;mem:1', 5, 2000, str(tmpdir)))


def test_zero_is_how_one_says_none(tmpdir):
    assert 'disk' not in named(agent_resources('cpus:1;disk:0', 0, 1, str(tmpdir)))


def test_a_list_of_resources_is_taken_as_it_stands(tmpdir):
    given = [{'name': 'cpus', 'type': 'SCALAR', 'scalar': {'value': 2.0},
              'reservations': [{'type': 'STATIC', 'role': 'eng'}]}]
    assert given[0] in agent_resources(given, 0, 1, str(tmpdir))


def test_attributes_have_the_type_that_their_text_looks_like():
    assert agent_attributes('rack:r1; level:10;load:1.5;slots:[1-5,7-9];path:a:b') == [
        {'name': 'rack', 'type': 'TEXT', 'text': {'value': 'r1'}},
        {'name': 'level', 'type': 'SCALAR', 'scalar': {'value': 10.0}},
        {'name': 'load', 'type': 'SCALAR', 'scalar': {'value': 1.5}},
        {'name': 'slots', 'type': 'RANGES',
         'ranges': {'range': [{'begin': 1, 'end': 5}, {'begin': 7, 'end': 9}]}},
        {'name': 'path', 'type': 'TEXT', 'text': {'value': 'a:b'}},
    ]
    assert agent_attributes(None) == []


@pytest.mark.parametrize('text, why', [
    ('rack', "cannot read the attribute 'rack': expected name:value, several with ';' between them"),
    (':r1', "cannot read the attribute ':r1': expected name:value"),
    ('slots:[1-]', "cannot read the ranges of the attribute 'slots:[1-]': expected [1-5,7-9]"),
])
def test_attributes_that_cannot_be_read_are_refused(text, why):
    with pytest.raises(UsageError) as caught:
        agent_attributes(text)
    assert why in str(caught.value)

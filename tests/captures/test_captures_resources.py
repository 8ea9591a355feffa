"""The offers that a real Mesos 1.11 made, read and written again by pymesos.resources."""
from __future__ import absolute_import, division, print_function

import io
import json
import os

import captured

from pymesos.resources import Resources


def offers():
    """(name of the capture, offer) of each captured offer."""
    folder = captured.folder('scheduler')
    for name in sorted(os.listdir(folder)):
        if name.endswith('.events.jsonl'):
            with io.open(os.path.join(folder, name), encoding='utf-8') as stream:
                for line in stream:
                    for offer in json.loads(line)['event'].get('offers', {}).get('offers', []):
                        yield name, offer


def ordered(resources):
    return sorted(json.dumps(resource, sort_keys=True) for resource in resources)


def test_every_captured_offer_is_written_as_it_was_read():
    formats = set()
    for name, offer in offers():
        resources = offer['resources']
        is_old = any('role' in resource for resource in resources)
        formats.add(is_old)
        assert ordered(Resources(resources).to_list(refined=not is_old)) == ordered(resources), name
    assert formats == {True, False}, 'both reservation formats are among the captures'


def test_every_captured_offer_serves_a_task_and_keeps_the_rest():
    count = 0
    for name, offer in offers():
        offered = Resources(offer['resources'])
        if not offered.has('cpus:0.1;mem:32'):
            continue
        task, rest = offered.take('cpus:0.1;mem:32')
        ports, rest = rest.take_ports(2)
        assert offered - task - ports == rest, name
        assert offered.contains((task + ports).to_list()), name
        count += 1
    assert count > 20

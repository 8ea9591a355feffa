"""Whole lives of a pool, at random: every command ends once, runs once at most, and nothing is left."""
from __future__ import absolute_import, division, print_function

import random

import pytest
from subprocess_play import SHARE
from subprocess_world import World

from pymesos.resources import parse
from pymesos.subprocess.errors import StartFailed
from pymesos.subprocess.framework.orders import End
from pymesos.subprocess.framework.placement import Wanted


def live(seed, faults, commands=30):
    """Let a pool live through a minute of trouble, and then come to rest; returns the world."""
    luck = random.Random(seed)
    world = World(luck, faults, ['cpus:%d;mem:4096' % luck.randint(1, 4) for _ in range(luck.randint(1, 3))])
    world.knows.update(world.agents)
    wishes = [Wanted(parse('cpus:%g;mem:64' % cpus), (), '*', kind, SHARE) for cpus in (0.1, 1) for kind in 'ab']
    began = world.now
    world.later(0, world.subscribe)
    world.tick()

    def submit(number):
        world.pool.submit(number, luck.choice(wishes), 3, luck.choice([None, None, 5.0]), world.now)
        if luck.random() < 0.1:
            world.later(luck.uniform(0, 5), lambda: world.pool.cancel(number, world.now))

    def kill_one():
        agent = luck.choice(sorted(world.agents.values(), key=lambda agent: agent.id))
        if agent.executors:
            world.kill_executor(agent, luck.choice(sorted(agent.executors)))

    for number in range(commands):
        world.later(luck.uniform(0, 10), submit, number)
    for _ in range(3 if faults else 0):
        world.later(luck.uniform(0, 20), kill_one)
        if luck.random() < 0.5:
            world.later(luck.uniform(0, 20), world.fail_over)
        if luck.random() < 0.3:
            world.later(luck.uniform(0, 20), lambda: world.lose_agent(
                luck.choice(sorted(world.agents.values(), key=lambda agent: agent.id))))
    world.run(began + 60)
    world.faults = 0.0
    world.run(began + 3000)
    return world


@pytest.mark.parametrize('faults', [0.0, 0.05, 0.2, 0.6])
def test_whatever_happens_every_command_ends_once_runs_once_and_nothing_is_left(faults, random_seed):
    for seed in range(random_seed, random_seed + 8):
        world = live(seed, faults)
        context = 'seed %d, faults %g' % (seed, faults)
        for number in range(30):
            end, = world.ends[number]
            assert world.starts.get(number, 0) <= 1, context
            if end.returncode is not None:
                assert world.truth[number] == end.returncode, context
            elif not faults:
                assert isinstance(end.error, StartFailed), context
        for agent in world.agents.values():
            assert not agent.tasks and not agent.executors and not agent.offered, context
        assert world.is_suppressed, context
        assert (world.pool.running, world.pool.tasks, world.pool.next()) == (0, 0, None), context
        assert max(when for when, order in world.calls if isinstance(order, End)) < 1000 + 60 + 400, context


def test_after_the_last_command_the_master_has_no_work_with_an_idle_pool(random_seed):
    world = live(random_seed, 0.0)
    last = max(when for when, order in world.calls if isinstance(order, End))
    assert [order for when, order in world.calls if when > last + 130] == []

"""What the embedded master and agent remember has an end."""
from __future__ import absolute_import, division, print_function

import local_agent
import local_master
from pymesos.local.model import agents


def test_of_agents_that_are_unreachable_or_gone_so_many_are_remembered(monkeypatch):
    monkeypatch.setattr(agents, 'KEPT_AGENTS', 2)
    bench = local_master.Bench(agent_reregister_timeout=1.0)
    framework = bench.framework()
    names = []
    for number in range(8):
        agent = bench.agent(6000 + number)
        names.append(agent.id)
        framework.launch(framework.last_offer(), local_master.command_task('t%d' % number, agent.id))
        agent.disconnect()
        bench.wait(1.5)
        if number < 4:
            bench.model.mark_gone(agent.id)
    assert list(bench.model.gone_agents) == names[2:4]
    assert list(bench.model.unreachable_agents) == names[6:]
    assert framework.state.agent_ids == set()


def test_orders_of_operators_for_an_agent_end_when_it_is_removed():
    bench = local_master.Bench()
    agent = bench.agent()
    bench.model.drain_agent(agent.state, {})
    assert bench.model.drains and bench.model.deactivated
    agent.say('UNREGISTER')
    assert not bench.model.drains and not bench.model.deactivated


def filters_of(bench, framework):
    client = bench.model.allocator._clients[framework.id]
    return [len(known) for agents in client.filters.values() for known in agents.values()]


def test_a_filter_makes_smaller_ones_before_it_superfluous():
    bench = local_master.Bench()
    framework, agent = bench.framework(), bench.agent()
    for number in range(5):
        task = local_master.command_task('t%d' % number, agent.id)
        framework.launch(framework.last_offer(), task, filters={'refuse_seconds': 100})
        status = agent.update(framework, 't%d' % number, 'TASK_FINISHED')
        framework.acknowledge(status)
    assert filters_of(bench, framework) == [1]
    bench.wait(10.0)
    offer = framework.last_offer()
    framework.decline([offer], 50)
    assert filters_of(bench, framework) == [2], 'the earlier one lasts longer'


def test_executors_that_are_over_do_not_keep_those_before_them():
    bench = local_agent.Bench(max_completed_executors_per_framework=3)
    for number in range(6):
        container = bench.command('c%d' % number)
        bench.model.on_exited(container, 0)
        bench.acknowledge_all()
        assert not bench.model.frameworks
    framework, = bench.model.completed_frameworks.values()
    assert [executor.id for executor in framework.completed_executors] == ['c3', 'c4', 'c5']
    assert all(executor.framework.completed_executors is framework.completed_executors
               for executor in framework.completed_executors)
    assert all(executor.container.spec is None for executor in framework.completed_executors)


def test_a_default_executor_forgets_groups_that_are_over():
    bench = local_agent.Bench()
    staying = bench.group(local_agent.command_task('t0'))
    driver = bench.model.tree.get(staying[0]).executor.driver
    for number in range(1, 5):
        container, = bench.group(local_agent.command_task('t%d' % number))
        bench.model.on_exited(container, 0)
        bench.acknowledge_all()
    assert driver._groups == [['t0']]


def test_who_waits_no_more_is_forgotten():
    bench = local_agent.Bench()
    name = bench.command()
    container = bench.model.tree.get(name)
    reply = bench.model.operator_call({'type': 'WAIT_CONTAINER', 'wait_container': {'container_id': container.id}})
    assert list(container.watchers) == [reply.key]
    bench.model.on_abandoned(reply.key)
    assert not container.watchers
    bench.model.on_abandoned(reply.key)
    bench.model.on_exited(name, 0)
    bench.model.on_abandoned(reply.key)

"""An agent's node: what happens to containers while the agent is down is told to it when it is up again."""
from __future__ import absolute_import, division, print_function

import pytest
from local_agent import AGENT, FRAMEWORK, RESOURCES, command_task, executor_info, framework_info, task_info
from local_world import FakeWorld

from pymesos.local.node import AgentNode
from pymesos.local.options import AgentOptions

INFO = framework_info(checkpoint=True)


class Machinery(object):
    """Loop, network and launcher in one, which only note what they are asked for."""

    def __init__(self):
        self.loop = self.network = self.launcher = self
        self.world = FakeWorld()
        self.host = self.access = None
        self.told, self.launched, self.destroyed = [], [], []

    def call_later(self, delay, function):
        return self

    def cancel(self):
        """Of a timer."""

    def join(self, node):
        node.tell_leader('127.0.0.1:5050')

    def leave(self, pid):
        pass

    def tell(self, sender, peer, message):
        self.told.append(message)

    def launch(self, container, spec, listener):
        self.launched.append(container)

    def destroy(self, container):
        self.destroyed.append(container)

    def signal(self, container, number):
        pass


class Node(AgentNode):
    def _listen(self, server, **settings):
        """Nobody calls."""


@pytest.fixture
def machinery():
    return Machinery()


@pytest.fixture
def node(machinery, tmpdir):
    node = Node(machinery, AgentOptions(port=5051, work_dir=str(tmpdir), resources=RESOURCES))
    node.start()
    hear(node, 'REGISTERED', agent_id=AGENT, master='127.0.0.1:5050')
    return node


def hear(node, kind, **fields):
    node.receive(dict(fields, type=kind), None)
    node.settle()


def run(node, machinery, task, executor=None):
    """The container that a task brings about."""
    hear(node, 'RUN_TASK', framework_info=INFO, executor_info=executor, task=task, is_new_executor=True)
    return machinery.launched[-1]


def statuses(machinery):
    found = [message['status'] for message in machinery.told if message['type'] == 'STATUS']
    del machinery.told[:]
    return found


def test_launch_that_failed_meanwhile_fails_the_task(node, machinery):
    container = run(node, machinery, task_info(), executor_info())
    node.halt()
    node.on_launch_failed(container, 'no such file')
    node.start()
    executor = node.model.frameworks[FRAMEWORK].executors['e']
    assert executor.terminated['t'].statuses[-1]['message'] == 'Failed to launch container: no such file'
    assert node.model.containers() == []


def test_start_and_end_of_a_container_are_heard_in_their_order(node, machinery):
    container = run(node, machinery, task_info(), executor_info())
    node.halt()
    node.on_started(container, 4711)
    node.start()
    assert node.model.tree.get(container.split()[-1]).pid == 4711
    node.halt()
    node.on_exited(container, 256)
    node.start()
    assert node.model.containers() == []


def test_end_of_a_command_task_is_not_lost(node, machinery):
    container = run(node, machinery, command_task())
    node.on_started(container, 4711)
    node.halt()
    node.on_exited(container, 3 << 8)
    node.start()
    task = node.model.frameworks[FRAMEWORK].executors['c'].terminated['c']
    assert task.statuses[-1]['message'] == 'Command exited with status 3'


def test_containers_that_nobody_looks_after_are_killed(node, machinery):
    hear(node, 'RUN_TASK', framework_info=framework_info(), executor_info=None, task=command_task(),
         is_new_executor=True)
    container = machinery.launched[-1]
    node.on_started(container, 4711)
    assert [status['state'] for status in statuses(machinery)] == ['TASK_STARTING']
    node.halt()
    node.start()
    assert machinery.destroyed == [container]

"""The agent's operator API for containers says and does what that of Mesos 1.11 does (PROTOCOL 4.3, 4.4)."""
from __future__ import absolute_import, division, print_function

import base64
from collections import OrderedDict

import pytest
from launched import Harness
from local_world import FakeWorld, take_effects

from pymesos.local.model.container_streams import check_process_io
from pymesos.local.model.container_tree import Container, ContainerTree
from pymesos.local.model.containers import Containers
from pymesos.local.model.effects import (
    Answer, CloseStream, Destroy, Feed, Launch, Reply, Resize, Send, Signal, deferred)
from pymesos.local.options import AgentOptions

HEARTBEAT = {'type': 'CONTROL', 'control': {'type': 'HEARTBEAT', 'heartbeat': {'interval': {
    'nanoseconds': 30000000000}}}}


class Framework(object):
    id = 'F'
    info = {'user': 'someone'}


class Executor(object):
    """An executor that runs in container ``E``; the owner of that, too."""

    def __init__(self, directory):
        self.id, self.framework = 'ex', Framework()
        self.info = {'executor_id': {'value': 'ex'}, 'name': 'name', 'command': {'value': 'x'}, 'resources': [
            {'name': 'cpus', 'type': 'SCALAR', 'scalar': {'value': 0.5}},
            {'name': 'mem', 'type': 'SCALAR', 'scalar': {'value': 64.0}}]}
        self.launched, self.queued = OrderedDict(), OrderedDict()
        self.container = Container({'value': 'E'}, self, directory, self)
        self.container.pid, self.container.has_process = 100, True
        self.container.spec = {'environment': {'OF': 'parent'}, 'io': None}

    def container_exited(self, container):
        pass


class Agent(object):
    """What containers need of an agent."""

    def __init__(self, work_dir='/srv', **options):
        self.world = FakeWorld()
        self.options = AgentOptions(work_dir=work_dir, **options)
        self.effects = []
        self.tree = ContainerTree(self)
        self.containers = Containers(self)
        self.executor = Executor(work_dir + '/E')
        self.tree.add(self.executor.container)
        self.timers = {}

    def call(self, kind, container_id=None, **fields):
        if container_id is not None:
            fields['container_id'] = container_id
        return self.containers.call({'type': kind, kind.lower(): fields})

    def on_timer(self, key):
        assert key[0] == 'containers'
        self.containers.on_timer(*key[1:])

    def take(self):
        """The effects since, timers apart."""
        return take_effects(self.world, self, self.timers)

    def launch(self, container_id, kind='LAUNCH_CONTAINER', pid=7, **fields):
        """Launch something that starts well; the Reply."""
        fields.setdefault('command', {'value': 'run'})
        reply = self.call(kind, container_id, **fields)
        launched = self.take()[-1]
        self.tree.on_started(launched.container, pid)
        answer = self.take()[0]
        assert answer.key == reply.key
        return answer.reply


@pytest.fixture
def agent():
    return Agent()


def nested(value, parent=None):
    return {'value': value, 'parent': parent or {'value': 'E'}}


def encoded(data):
    return base64.b64encode(data).decode()


# ---- to launch

def test_a_nested_container_is_launched_in_the_sandbox_of_its_parent(agent):
    reply = agent.call('LAUNCH_CONTAINER', nested('n'), command={
        'value': 'run', 'environment': {'variables': [{'name': 'A', 'type': 'VALUE', 'value': '1'}]}})
    assert reply.key is not None
    launched, = agent.take()
    assert isinstance(launched, Launch) and launched.container == 'E.n'
    spec = launched.spec
    assert (spec['directory'], spec['root'], spec['title']) == ('/srv/E/containers/n', '/srv/E', 'nested sandbox')
    assert spec['environment'] == {'MESOS_SANDBOX': '/srv/E/containers/n', 'A': '1', 'PATH': agent.options.path}
    assert (spec['user'], spec['io'], spec['latest']) == ('someone', None, False)
    agent.tree.on_started('E.n', 7)
    assert agent.take() == [Answer(reply.key, Reply(200))]


def test_the_user_is_that_of_the_command_or_of_the_executor(agent):
    agent.call('LAUNCH_CONTAINER', nested('a'), command={'value': 'x', 'user': 'mine'})
    agent.executor.info['command']['user'] = 'its'
    agent.call('LAUNCH_NESTED_CONTAINER', nested('b'), command={'value': 'x'})
    assert [effect.spec['user'] for effect in agent.take()] == ['mine', 'its']
    other = Agent(switch_user=False)
    other.call('LAUNCH_CONTAINER', nested('a'), command={'value': 'x', 'user': 'mine'})
    assert other.take()[0].spec['user'] is None


def test_a_standalone_container_has_a_sandbox_of_its_own(agent):
    assert agent.call('LAUNCH_CONTAINER', {'value': 's'}, command={'value': 'x'}).key is not None
    launched, = agent.take()
    assert (launched.container, launched.spec['directory']) == ('s', '/srv/containers/s')
    assert launched.spec['user'] is None and not launched.spec['latest']


def test_what_is_launched_already_is_accepted(agent):
    assert agent.launch(nested('n')) == Reply(200)
    for kind in ('LAUNCH_CONTAINER', 'LAUNCH_NESTED_CONTAINER', 'LAUNCH_NESTED_CONTAINER_SESSION'):
        assert agent.call(kind, nested('n'), command={'value': 'x'}) == Reply(202)
    agent.tree.on_exited('E.n', 0)
    assert agent.launch(nested('n')) == Reply(200)


@pytest.mark.parametrize('container_id, about, text', [
    (nested('n', {'value': 'nope'}), {}, 'Parent container nope does not exist'),
    (nested('n', nested('nope')), {}, 'Parent container E.nope does not exist'),
    (nested('n'), {'type': 'DOCKER', 'docker': {'image': 'x'}}, 'The provided ContainerInfo is not supported'),
    (nested('n'), {'type': 'MESOS', 'mesos': {'image': {'type': 'DOCKER'}}},
     'Unsupported container image type: DOCKER'),
])
def test_what_cannot_be_launched_is_refused(agent, container_id, about, text):
    assert agent.call('LAUNCH_CONTAINER', container_id, command={'value': 'x'}, container=about) == Reply(400, text)
    assert agent.take() == []


def test_a_parent_that_is_over_or_being_killed_takes_no_more(agent):
    agent.launch(nested('n'))
    agent.call('KILL_CONTAINER', nested('n'))
    agent.tree.on_exited('E.n', 9)
    reply = agent.call('LAUNCH_CONTAINER', nested('x', nested('n')), command={'value': 'x'})
    assert reply == Reply(400, 'Parent container E.n does not exist')
    agent.tree.destroy(agent.executor.container)
    reply = agent.call('LAUNCH_CONTAINER', nested('y'), command={'value': 'x'})
    assert reply == Reply(400, "Parent container E is in 'DESTROYING' state")


def test_a_failed_fetch_leaves_a_container_that_exited_with_1(agent):
    reply = agent.call('LAUNCH_CONTAINER', nested('n'), command={'value': 'x', 'uris': [{'value': '/x'}]})
    assert agent.take()[0].spec['uris'] == [{'value': '/x'}]
    text = "Failed to fetch all URIs for container 'E.n': exited with status 1"
    agent.tree.on_launch_failed('E.n', text)
    assert agent.take() == [Answer(reply.key, Reply(400, text))]
    assert agent.call('WAIT_CONTAINER', nested('n')).body == {
        'type': 'WAIT_CONTAINER', 'wait_container': {'exit_status': 256}}


def test_a_sandbox_that_cannot_be_made_leaves_nothing(agent):
    reply = agent.call('LAUNCH_CONTAINER', nested('n'), command={'value': 'x'})
    text = "Failed to create nested sandbox '/srv/E/containers/n': Failed to chown directory to 'x': No such user 'x'"
    agent.tree.on_launch_failed('E.n', text)
    assert agent.take()[-1] == Answer(reply.key, Reply(400, text))
    assert agent.call('WAIT_CONTAINER', nested('n')) == Reply(404, 'Container E.n cannot be found')
    reply = agent.call('LAUNCH_CONTAINER', {'value': 's'}, command={'value': 'x'})
    agent.tree.on_launch_failed('s', "Failed to create sandbox '/srv/containers/s': Failed to chown directory to "
                                     "'x': No such user 'x'")
    assert agent.take()[-1] == Answer(reply.key, Reply(
        500, "Failed to create sandbox: Failed to chown directory to 'x': No such user 'x'"))


def test_a_launch_ends_with_its_parent(agent):
    reply = agent.call('LAUNCH_CONTAINER', nested('n'), command={'value': 'x'})
    agent.take()
    agent.tree.on_exited('E', 0)
    assert Destroy('E.n') in agent.take()
    agent.tree.on_launch_failed('E.n', 'Container is being destroyed during preparing')
    assert agent.take() == [Answer(reply.key, Reply(400, 'Container is being destroyed during preparing'))]


# ---- to wait, to kill, to remove

@pytest.mark.parametrize('kind', ['WAIT_CONTAINER', 'WAIT_NESTED_CONTAINER'])
def test_waiting_lasts_until_the_end(agent, kind):
    agent.launch(nested('n'))
    first, second = agent.call(kind, nested('n')), agent.call(kind, nested('n'))
    assert agent.take() == [] and first.key != second.key
    agent.tree.on_exited('E.n', 5 << 8)
    body = {'type': kind, kind.lower(): {'exit_status': 1280}}
    assert agent.take() == [Answer(first.key, Reply(200, body)), Answer(second.key, Reply(200, body))]
    assert agent.call(kind, nested('n')) == Reply(200, body)


def test_who_is_unknown_cannot_be_waited_for(agent):
    assert agent.call('WAIT_CONTAINER', {'value': 'nope'}) == Reply(404, 'Container nope cannot be found')
    assert agent.call('WAIT_NESTED_CONTAINER', nested('n')) == Reply(404, 'Container E.n cannot be found')
    agent.launch({'value': 's'})
    agent.tree.on_exited('s', 0)
    assert agent.call('WAIT_CONTAINER', {'value': 's'}) == Reply(404, 'Container s cannot be found')


def test_a_kill_sends_a_signal(agent):
    agent.launch(nested('n'))
    assert agent.call('KILL_CONTAINER', nested('n'), signal=15) == Reply(200)
    assert agent.call('KILL_NESTED_CONTAINER', nested('n')) == Reply(200)
    assert agent.take() == [Signal('E.n', 15), Signal('E.n', 9)]
    for number in (-1, 65, 999):
        assert agent.call('KILL_CONTAINER', nested('n'), signal=number) == Reply(
            500, 'Unable to send signal to container: Invalid argument')
    agent.tree.on_exited('E.n', 9)
    text = "Container 'E.n' cannot be found (or is already killed)"
    assert agent.call('KILL_CONTAINER', nested('n')) == Reply(404, text)
    assert agent.call('KILL_CONTAINER', {'value': 'nope'}).body == (
        "Container 'nope' cannot be found (or is already killed)")


@pytest.mark.parametrize('kind', ['REMOVE_CONTAINER', 'REMOVE_NESTED_CONTAINER'])
def test_only_what_is_over_is_removed_with_all_in_it(agent, kind):
    agent.launch(nested('n'))
    agent.launch(nested('m', nested('n')))
    assert agent.call(kind, nested('n')) == Reply(500, 'Nested container has not terminated yet')
    agent.tree.on_exited('E.n', 0)
    agent.tree.on_exited('E.n.m', 9)
    assert agent.call('WAIT_CONTAINER', nested('m', nested('n'))).status == 200
    assert agent.call(kind, nested('n')) == Reply(200)
    for container_id in (nested('n'), nested('m', nested('n'))):
        assert agent.call('WAIT_CONTAINER', container_id).status == 404
        assert agent.call(kind, container_id) == Reply(200)
    assert agent.call(kind, nested('n', {'value': 'nope'})) == Reply(500, 'Unknown root container')


def test_what_nobody_knows_is_not_implemented(agent):
    assert agent.call('SOMETHING').status == 501


# ---- to look

def test_containers_are_shown_as_mesos_shows_them(agent):
    agent.launch(nested('n'), pid=8)
    agent.launch({'value': 's'}, pid=9, resources=[{'name': 'cpus', 'type': 'SCALAR', 'scalar': {'value': 0.25}}])
    agent.call('LAUNCH_CONTAINER', nested('starting'), command={'value': 'x'})
    now = agent.world.time()
    own = {'framework_id': {'value': 'F'}, 'executor_id': {'value': 'ex'}, 'executor_name': 'name',
           'container_id': {'value': 'E'}, 'container_status': {'container_id': {'value': 'E'}, 'executor_pid': 100},
           'resource_statistics': {'timestamp': now, 'cpus_user_time_secs': 0.0, 'cpus_system_time_secs': 0.0,
                                   'cpus_soft_limit': 0.5, 'mem_limit_bytes': 67108864,
                                   'mem_soft_limit_bytes': 67108864, 'mem_rss_bytes': 0}}
    inner = {'container_id': {'value': 'n'}, 'container_status': {'container_id': nested('n'), 'executor_pid': 8},
             'resource_statistics': {'timestamp': now}}
    alone = {'container_id': {'value': 's'}, 'container_status': {'container_id': {'value': 's'}, 'executor_pid': 9},
             'resource_statistics': {'timestamp': now, 'cpus_soft_limit': 0.25}}
    for wanted, expected in [({}, [own]), ({'show_nested': True}, [own, inner]),
                             ({'show_standalone': True}, [own, alone]),
                             ({'show_nested': True, 'show_standalone': True}, [own, inner, alone])]:
        assert agent.call('GET_CONTAINERS', **wanted).body == {
            'type': 'GET_CONTAINERS', 'get_containers': {'containers': expected}}
    assert agent.containers.call({'type': 'GET_CONTAINERS'}).status == 200


# ---- sessions and output

def begin_session(agent, **fields):
    reply = agent.launch(nested('s'), 'LAUNCH_NESTED_CONTAINER_SESSION', **fields)
    assert reply.status == 200 and reply.stream
    return reply.stream


def test_a_session_streams_its_output_and_ends_with_its_container(agent):
    stream = begin_session(agent)
    agent.tree.on_output('E.s', 'stdout', b'hello\xff')
    agent.tree.on_output('E.s', 'stderr', b'oops')
    agent.tree.on_exited('E.s', 0)
    assert agent.take() == [
        Send(stream, {'type': 'DATA', 'data': {'type': 'STDOUT', 'data': encoded(b'hello\xff')}}),
        Send(stream, {'type': 'DATA', 'data': {'type': 'STDERR', 'data': encoded(b'oops')}}), CloseStream(stream)]
    assert agent.timers == {}
    assert agent.call('WAIT_CONTAINER', nested('s')).body['wait_container'] == {'exit_status': 0}


def test_a_session_has_pipes_and_the_environment_of_its_parent(agent):
    agent.call('LAUNCH_NESTED_CONTAINER_SESSION', nested('s'), command={'value': 'x'})
    agent.call('LAUNCH_NESTED_CONTAINER_SESSION', nested('t'), command={'value': 'x'}, container={
        'type': 'MESOS', 'tty_info': {'window_size': {'rows': 1, 'columns': 2}}})
    first, second = [effect.spec for effect in agent.take()]
    assert first['io'] == 'pipes' and first['environment']['OF'] == 'parent'
    assert first['environment']['MESOS_SANDBOX'] == '/srv/E/containers/s'
    assert second['io'] == 'tty' and second['window'] == {'rows': 1, 'columns': 2}


def test_a_session_is_killed_when_its_client_goes(agent):
    stream = begin_session(agent)
    agent.containers.on_stream_closed(stream)
    assert agent.take() == [Destroy('E.s')]
    agent.tree.on_output('E.s', 'stdout', b'late')
    agent.tree.on_exited('E.s', 9)
    assert agent.take() == [] and agent.timers == {}


def test_heartbeats_come_after_each_interval(agent):
    stream = begin_session(agent)
    assert agent.world.pass_time(agent, 29.0, agent.timers) == []
    assert agent.world.pass_time(agent, 62.0, agent.timers) == [Send(stream, HEARTBEAT)] * 3


def test_several_can_watch_one_output(agent):
    begin_session(agent)
    other = agent.call('ATTACH_CONTAINER_OUTPUT', nested('s'))
    third = agent.call('ATTACH_CONTAINER_OUTPUT', nested('s'))
    agent.containers.on_stream_closed(third.stream)
    agent.tree.on_output('E.s', 'stdout', b'x')
    assert len(agent.take()) == 2
    agent.tree.on_exited('E.s', 0)
    assert CloseStream(other.stream) in agent.take()


@pytest.mark.parametrize('container_id, status, text', [
    ({'value': 'nope'}, 404, 'Container nope cannot be found'),
    (nested('n', {'value': 'nope'}), 404, 'Container nope.n cannot be found'),
    ({'value': 'alone'}, 404, 'Container alone cannot be found'),
    (nested('nope'), 500, 'Unknown container E.nope'),
    (nested('plain'), 500, 'I/O switchboard server was disabled for this container'),
    ({'value': 'E'}, 500, 'I/O switchboard server was disabled for this container'),
])
def test_only_what_has_streams_can_be_attached_to(agent, container_id, status, text):
    agent.launch(nested('plain'))
    agent.launch({'value': 'alone'})
    assert agent.call('ATTACH_CONTAINER_OUTPUT', container_id) == Reply(status, text)
    assert attach(agent, container_id) == Reply(status, text)


# ---- input

def attach(agent, container_id):
    return agent.containers.attach_begin({'type': 'ATTACH_CONTAINER_INPUT', 'attach_container_input': {
        'type': 'CONTAINER_ID', 'container_id': container_id}})


def stdin(data):
    return {'type': 'DATA', 'data': {'type': 'STDIN', 'data': encoded(data)}}


def test_input_is_fed_and_its_end_closes_it(agent):
    begin_session(agent)
    assert attach(agent, nested('s')) is None
    for data in (b'hello', b''):
        assert agent.containers.attach_data('E.s', stdin(data)) is None
    assert agent.containers.attach_data('E.s', HEARTBEAT) is None
    assert agent.take() == [Feed('E.s', b'hello'), Feed('E.s', None)]
    assert agent.containers.attach_end('E.s') == Reply(200)


def test_a_terminal_is_resized_and_has_no_end(agent):
    begin_session(agent, container={'type': 'MESOS', 'tty_info': {}})
    assert attach(agent, nested('s')) is None
    size = {'type': 'CONTROL', 'control': {'type': 'TTY_INFO', 'tty_info': {'window_size': {
        'rows': 3, 'columns': 100000}}}}
    assert agent.containers.attach_data('E.s', size) is None
    assert agent.containers.attach_data('E.s', stdin(b'')) is None
    assert agent.take() == [Resize('E.s', 3, 0xffff)]


def test_only_one_can_write(agent):
    begin_session(agent)
    assert attach(agent, nested('s')) is None
    assert attach(agent, nested('s')) == Reply(409, 'Multiple input connections are not allowed')
    agent.containers.attach_end('E.s')
    assert attach(agent, nested('s')) is None
    agent.tree.on_exited('E.s', 0)
    assert agent.containers.attach_data('E.s', stdin(b'x')) == Reply(200)


def test_input_that_is_not_read_has_a_limit(agent):
    begin_session(agent)
    attach(agent, nested('s'))
    block = stdin(b'x' * 32 * 1024 * 1024)
    assert agent.containers.attach_data('E.s', block) is None
    assert agent.containers.attach_data('E.s', block) is None
    assert agent.containers.attach_data('E.s', block).status == 500
    agent.containers.on_fed('E.s', 40 * 1024 * 1024)
    assert agent.containers.attach_data('E.s', block) is None


@pytest.mark.parametrize('message, text', [
    ({}, "Expecting 'process_io.type' to be present"),
    ({'type': 'UNKNOWN'}, "'process_io.type' is unknown"),
    ({'type': 'DATA'}, "Expecting 'process_io.data' to be present"),
    ({'type': 'DATA', 'data': {'data': ''}}, "Expecting 'process_io.data.type' to be present"),
    ({'type': 'DATA', 'data': {'type': 'STDOUT', 'data': ''}}, "Expecting 'process_io.data.type' to be STDIN"),
    ({'type': 'DATA', 'data': {'type': 'STDIN'}}, "Expecting 'process_io.data.data' to be present"),
    ({'type': 'CONTROL'}, "Expecting 'process_io.control' to be present"),
    ({'type': 'CONTROL', 'control': {}}, "Expecting 'process_io.control.type' to be present"),
    ({'type': 'CONTROL', 'control': {'type': 'UNKNOWN'}}, "'process_io.control.type' is unknown"),
    ({'type': 'CONTROL', 'control': {'type': 'TTY_INFO'}}, "Expecting 'process_io.control.tty_info' to be present"),
    ({'type': 'CONTROL', 'control': {'type': 'TTY_INFO', 'tty_info': {}}},
     "Expecting 'process_io.control.tty_info.window_size' to be present"),
    ({'type': 'CONTROL', 'control': {'type': 'HEARTBEAT'}}, "Expecting 'process_io.control.heartbeat' to be present"),
    (stdin(b'x'), None), (HEARTBEAT, None)])
def test_each_input_is_checked(message, text):
    assert check_process_io(message) == text


# ---- with real processes

class Host(object):
    """Carries out what the containers of an agent order, with a real launcher."""

    def __init__(self, harness):
        self.harness = harness
        self.agent = Agent(harness.folder, switch_user=False)
        self.answers, self.sent, self.closed = {}, [], []
        self.listener = harness.listener

    def __getattr__(self, name):        # on_started and its like
        note = getattr(self.listener, name)

        def tell(*event):
            getattr(self.agent.containers if name == 'on_fed' else self.agent.tree, name)(*event)
            self.settle()
            note(*event)

        return tell

    def settle(self):
        launcher, effects = self.harness.launcher, self.agent.take()
        for effect in effects:
            if isinstance(effect, Launch):
                launcher.launch(effect.container, effect.spec, self)
            elif isinstance(effect, Signal):
                launcher.signal(effect.container, effect.number)
            elif isinstance(effect, Destroy):
                launcher.destroy(effect.container)
            elif isinstance(effect, Feed):
                launcher.feed(effect.container, effect.data)
            elif isinstance(effect, Resize):
                launcher.resize(effect.container, effect.rows, effect.columns)
            elif isinstance(effect, Answer):
                self.answers[effect.key] = effect.reply
            elif isinstance(effect, Send):
                self.sent.append(effect.event)
            else:
                self.closed.append(effect.stream)

    def order(self, function):
        def carry():
            reply = function()
            self.settle()
            return reply

        return self.harness.loop.carry_out(carry)

    def call(self, *args, **fields):
        """The Reply to a call, even if it comes later."""
        reply = self.order(lambda: self.agent.call(*args, **fields))
        if reply == deferred(reply.key) and reply.key is not None:
            return self.listener.wait_until(lambda: self.answers.get(reply.key))
        return reply

    def output(self, kind):
        return b''.join(base64.b64decode(event['data']['data']) for event in list(self.sent)
                        if event['data']['type'] == kind)


@pytest.fixture
def host(tmpdir):
    harness = Harness(str(tmpdir.join('work')))
    yield Host(harness)
    harness.close()


def test_remote_execution_as_a_client_does_it(host):
    reply = host.call('LAUNCH_NESTED_CONTAINER_SESSION', nested('s'), command={
        'value': 'echo started; while read line; do echo "got $line"; done; echo over >&2; exit 3'})
    assert host.order(lambda: attach(host.agent, nested('s'))) is None
    for data in (b'one\n', b'two\n', b''):
        assert host.order(lambda data=data: host.agent.containers.attach_data('E.s', stdin(data))) is None
    assert host.call('WAIT_CONTAINER', nested('s')).body['wait_container'] == {'exit_status': 3 << 8}
    assert host.output('STDOUT') == b'started\ngot one\ngot two\n'
    assert host.output('STDERR') == b'over\n'
    assert host.closed == [reply.stream]


def test_containers_nest_and_end_with_their_parents(host):
    assert host.call('LAUNCH_CONTAINER', {'value': 'alone'}, command={'value': 'sleep 1000'}).status == 200
    inner = nested('in', {'value': 'alone'})
    assert host.call('LAUNCH_CONTAINER', inner, command={'value': 'echo hi; sleep 1000'}).status == 200
    assert host.call('KILL_CONTAINER', {'value': 'alone'}, signal=15).status == 200
    host.listener.wait_for('alone.in', 'exited')
    assert host.call('WAIT_CONTAINER', inner).status == 404
    with open(host.harness.folder + '/containers/alone/containers/in/stdout', 'rb') as stream:
        assert stream.read() in (b'hi\n', b'')

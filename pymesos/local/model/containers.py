"""The agent's operator API for containers: nested and standalone ones, their input and output (PROTOCOL 4.3, 4.4)."""
from __future__ import absolute_import, division, print_function

from collections import namedtuple

from .agent_shapes import resource_statistics
from .container_streams import ContainerStreams
from .container_tree import Container, container_token
from .effects import Answer, Reply, deferred, refuse
from .executor_specs import launch_spec, nested_sandbox

__all__ = ['Containers']

SIGKILL = 9

#: The signals of Linux are numbered up to this; 0 is none and may be sent.
MAX_SIGNAL = 64

#: The status of waitpid of a program that exited with 1, as the launcher and the fetcher of Mesos do when they fail.
EXITED_1 = 256

SANDBOX_ERROR = 'Failed to create '

#: What runs if there is no command: what Mesos' launcher does then.
NO_COMMAND = {'shell': True, 'value': 'echo "Launch command is not specified" >&2; exit 1'}

#: The framework of a container that has none: it names no user.
_Nobody = namedtuple('_Nobody', ['info'])
NOBODY = _Nobody({})


class Containers(object):
    """Answers what an operator asks of the containers in `agent.tree`, and owns those that it launches."""

    def __init__(self, agent):
        self._agent = agent
        self._streams = ContainerStreams(agent)
        self._calls = {'GET_CONTAINERS': self._get}
        for name, function in (('LAUNCH', self._launch), ('WAIT', self._wait), ('KILL', self._kill),
                               ('REMOVE', self._remove)):
            self._calls[name + '_CONTAINER'] = self._calls[name + '_NESTED_CONTAINER'] = function
        self._calls['LAUNCH_NESTED_CONTAINER_SESSION'] = self._launch
        self._calls['ATTACH_CONTAINER_OUTPUT'] = self._attach_output
        # Token of a container that is being launched -> the key of the call.
        self._launching = {}
        self._count = 0

    def call(self, call, principal=None):
        """The Reply to an agent.Call about containers; 501 for what is not known.

        `principal` is a dict, the claims of its token, if an executor calls.
        """
        kind = call['type']
        if kind not in self._calls:
            return refuse(501, '501 Not Implemented.')
        wanted = call.get(kind.lower(), {})
        if isinstance(principal, dict) and not self._is_same_user(wanted):
            return refuse(403, '403 Forbidden. An executor may not run commands as another user.')
        return self._calls[kind](kind, wanted)

    def _is_same_user(self, wanted):
        """Whether a container would run as the executor does in which it is nested, if it is launched at all."""
        user = wanted.get('command', {}).get('user')
        outermost = self._agent.tree.find(wanted.get('container_id', {}).get('parent') or {'value': ''})
        while outermost is not None and outermost.parent is not None:
            outermost = outermost.parent
        return not user or outermost is None or user == (outermost.spec or {}).get('user')

    def on_timer(self, what, stream):
        """A Timer whose key is ('containers', what, stream) is due."""
        self._streams.on_heartbeat(stream)

    def on_stream_closed(self, stream):
        """A client has closed an output stream."""
        self._streams.on_stream_closed(stream)

    def on_abandoned(self, key):
        """Nobody waits for a deferred answer any more."""
        container = self._agent.tree.get(key[2])
        if container is not None:
            container.watchers.pop(key, None)

    def on_output(self, container, name, data):
        """A Container has written bytes; also told by the other owners."""
        self._streams.on_output(container, name, data)

    def on_fed(self, token, size):
        """A container has taken `size` bytes of its standard input, or never will."""
        self._streams.on_fed(token, size)

    # ---- standard input: a request whose body is a stream

    def attach_begin(self, call):
        """The first record of an ATTACH_CONTAINER_INPUT; a Reply that refuses it, or None.

        The token of its container is the key of what follows.
        """
        container_id = call['attach_container_input']['container_id']
        return self._streams.attach_begin(container_id, container_token(container_id))

    def attach_data(self, key, process_io):
        """A further record; a Reply that ends the request, or None."""
        return self._streams.attach_data(key, process_io)

    def attach_end(self, key):
        """The end of the request, or of its client; Reply or None."""
        self._streams.attach_end(key)
        return Reply(200)

    # ---- to look

    def _get(self, kind, wanted):
        shown = []
        for container in self._agent.tree:
            if container.is_ended or container.has_process and container.pid is None:
                continue
            if container.parent is not None and not wanted.get('show_nested'):
                continue
            if container.kind == 'standalone' and not wanted.get('show_standalone'):
                continue
            shown.append(self._shape(container))
        return Reply(200, {'type': kind, 'get_containers': {'containers': shown} if shown else {}})

    def _shape(self, container):
        executor = container.executor
        status = {'container_id': container.id}
        if container.pid is not None:
            status['executor_pid'] = container.pid
        if executor is not None and container is executor.container:
            return {'framework_id': {'value': executor.framework.id}, 'executor_id': {'value': executor.id},
                    'executor_name': executor.info.get('name', ''), 'container_id': container.id,
                    'container_status': status, 'resource_statistics': resource_statistics(self._agent, container)}
        usage = {'timestamp': self._agent.world.time()}
        if container.resources:
            usage['cpus_soft_limit'] = resource_statistics(self._agent, container)['cpus_soft_limit']
        # Mesos names no parent here, only in the status.
        return {'container_id': {'value': container.id['value']}, 'container_status': status,
                'resource_statistics': usage}

    def _wait(self, kind, wanted):
        token = container_token(wanted['container_id'])
        container = self._agent.tree.get(token)
        if container is None or container.is_ended and container.parent is None:
            return refuse(404, 'Container %s cannot be found' % token)
        if container.is_ended:
            return _waited(kind, container)
        key = self._new_key(token)
        container.watchers[key] = lambda container: self._answer(key, _waited(kind, container))
        return deferred(key)

    # ---- to launch

    def _launch(self, kind, wanted):
        tree = self._agent.tree
        token = container_token(wanted['container_id'])
        known = tree.get(token)
        if known is not None and not known.is_ended:
            return Reply(202)
        refusal = self._refusal(wanted)
        if refusal is not None:
            return refusal
        if known is not None:
            tree.remove(known)
        container = self._make(kind, wanted)
        tree.launch(container, self._spec(container, wanted))
        key = self._launching[token] = self._new_key(token)
        return deferred(key)

    def _refusal(self, wanted):
        """Why a container cannot be launched, a Reply; None if it can."""
        above = wanted['container_id'].get('parent')
        if above:
            parent = self._agent.tree.find(above)
            if parent is None or parent.is_ended:
                return refuse(400, 'Parent container %s does not exist' % container_token(above))
            if parent.is_destroyed:
                return refuse(400, "Parent container %s is in 'DESTROYING' state" % container_token(above))
        about = wanted.get('container', {})
        if about.get('type') == 'DOCKER':
            return refuse(400, 'The provided ContainerInfo is not supported')
        image = about.get('mesos', {}).get('image')
        if image is not None:
            return refuse(400, 'Unsupported container image type: %s' % image.get('type'))
        return None

    def _make(self, kind, wanted):
        """The Container of a call that can be followed."""
        container_id = wanted['container_id']
        value, resources = container_id['value'], wanted.get('resources', ())
        if not container_id.get('parent'):
            directory = '%s/containers/%s' % (self._agent.options.work_dir, value)
            return Container(container_id, self, directory, kind='standalone', resources=resources)
        parent = self._agent.tree.find(container_id['parent'])
        return Container(container_id, self, nested_sandbox(parent.directory, value), parent.executor, parent,
                         'debug' if kind.endswith('_SESSION') else 'nested', resources)

    def _spec(self, container, wanted):
        command = wanted.get('command') or NO_COMMAND
        executor = container.executor
        environment = {'MESOS_SANDBOX': container.directory}
        if container.kind == 'debug' and container.parent.spec:
            # A session looks at what its parent does from within.
            environment = dict(container.parent.spec['environment'], **environment)
        spec = launch_spec(self._agent, NOBODY if executor is None else executor.framework, command, container,
                           environment, wanted.get('container'))
        spec.update(latest=False, title='nested sandbox' if container.parent is not None else 'sandbox')
        own = None if executor is None else executor.info.get('command', {}).get('user')
        if self._agent.options.switch_user and own and not command.get('user'):
            spec['user'] = own
        if 'tty_info' in wanted.get('container', {}):       # which may be empty
            spec['io'] = 'tty'
        elif container.kind == 'debug':
            spec['io'] = 'pipes'
        return spec

    # ---- to end

    def _kill(self, kind, wanted):
        token = container_token(wanted['container_id'])
        container = self._agent.tree.get(token)
        if container is None or container.is_ended or container.is_destroyed:
            return refuse(404, "Container '%s' cannot be found (or is already killed)" % token)
        number = wanted.get('signal', SIGKILL)
        if not 0 <= number <= MAX_SIGNAL:
            return refuse(500, 'Unable to send signal to container: Invalid argument')
        if container.has_process:
            self._agent.tree.signal(container, number)
        elif number == SIGKILL:
            self._agent.tree.destroy(container)
        return Reply(200)

    def _remove(self, kind, wanted):
        container_id = wanted['container_id']
        container = self._agent.tree.find(container_id)
        if container_id.get('parent'):
            top = container_id
            while top.get('parent'):
                top = top['parent']
            if self._agent.tree.find(top) is None:
                return refuse(500, 'Unknown root container')
        if container is None:
            return Reply(200)
        if not container.is_ended:
            return refuse(500, '%s has not terminated yet' % (
                'Container' if container.parent is None else 'Nested container'))
        self._forget(container)
        return Reply(200)

    def _forget(self, container):
        for child in list(container.children.values()):
            self._forget(child)
        self._agent.tree.remove(container)

    # ---- streams

    def _attach_output(self, kind, wanted):
        container_id = wanted['container_id']
        return self._streams.attach_output(container_id, container_token(container_id))

    # ---- the owner of containers

    def container_started(self, container):
        """It runs: the call that launched it is answered."""
        key = self._launching.pop(container.token, None)
        if key is not None:
            self._answer(key, self._streams.open_output(container, True) if container.kind == 'debug' else Reply(200))

    def container_failed(self, container, text):
        """It could not be launched; what is left of it can be waited for if Mesos would have had a process."""
        has_sandbox = not text.startswith(SANDBOX_ERROR)
        container.termination = {'exit_status': EXITED_1} if has_sandbox else {'is_forgotten': True}
        key = self._launching.pop(container.token, None)
        if key is None:
            return
        if container.parent is None and not has_sandbox:
            # There Mesos' text does not name the folder.
            self._answer(key, refuse(500, text.replace(" '%s':" % container.directory, ':', 1)))
        else:
            self._answer(key, refuse(400, text))

    def container_exited(self, container):
        """It is over. A launch that failed has no status of its own."""
        left = container.termination
        if 'exit_status' in left:
            container.status = left['exit_status']
        container.termination = {}
        key = self._launching.pop(container.token, None)
        if key is not None:             # its parent was killed first
            self._answer(key, refuse(400, 'Container is being destroyed during preparing'))
        if left.get('is_forgotten'):
            self._agent.tree.remove(container)

    def container_output(self, container, name, data):
        """It has written."""
        self.on_output(container, name, data)

    def _new_key(self, token):
        self._count += 1
        return ('containers', self._count, token)

    def _answer(self, key, reply):
        self._agent.effects.append(Answer(key, reply))


def _waited(kind, container):
    """The Reply to a WAIT for a container that is over."""
    about = {}
    if container.status is not None:
        about['exit_status'] = container.status
    for name in ('state', 'reason', 'message'):
        if name in container.termination:
            about[name] = container.termination[name]
    return Reply(200, {'type': kind, kind.lower(): about})

"""Input and output of containers as streams: ATTACH_CONTAINER_OUTPUT, ATTACH_CONTAINER_INPUT, sessions (PROTOCOL 4.4).
"""
from __future__ import absolute_import, division, print_function

from collections import OrderedDict

from ...utils import decode_data, encode_data
from .effects import Cancel, CloseStream, Feed, Reply, Resize, Send, Timer, refuse

__all__ = ['ContainerStreams', 'check_process_io']

#: Bytes that may wait for a container that does not read its standard input.
MAX_PENDING = 64 * 1024 * 1024

#: The largest window that the system can be told of.
MAX_WINDOW = 0xffff


class ContainerStreams(object):
    """Who is attached to which container of `agent` (:class:`~.agent.AgentModel`)."""

    def __init__(self, agent):
        self._agent = agent
        # Stream -> (Container, whether the container ends with the stream).
        self._outputs = OrderedDict()
        # Token of a container -> Container that somebody writes to.
        self._inputs = {}
        # Token of a container -> bytes that it was fed and has not taken.
        self._pending = {}

    # ---- output

    def open_output(self, container, is_session=False):
        """The Reply that begins an output stream of a container."""
        stream = 'output-' + self._agent.world.uuid()
        self._outputs[stream] = (container, is_session)
        container.watchers[stream] = lambda _container: self._close_output(stream)
        self._set_timer(stream)
        return Reply(200, stream=stream)

    def attach_output(self, container_id, token):
        """Answer ATTACH_CONTAINER_OUTPUT for a ContainerID and its token."""
        return self._refusal(container_id, token) or self.open_output(self._agent.tree.get(token))

    def on_output(self, container, name, data):
        """A container has written `data` (bytes) to 'stdout' or 'stderr'."""
        listeners = [stream for stream, (other, _) in self._outputs.items() if other is container]
        if listeners:
            event = {'type': 'DATA', 'data': {'type': name.upper(), 'data': encode_data(data)}}
            self._agent.effects += [Send(stream, event) for stream in listeners]

    def on_stream_closed(self, stream):
        """The client has gone: the container of a session is killed."""
        container, is_session = self._outputs.pop(stream, (None, False))
        if container is not None:
            container.watchers.pop(stream, None)
            self._agent.effects.append(Cancel(('containers', 'heartbeat', stream)))
            if is_session:
                self._agent.tree.destroy(container)

    def on_heartbeat(self, stream):
        """A stream is to be shown to be alive."""
        if stream in self._outputs:
            interval = int(self._agent.options.heartbeat_interval * 1e9)
            self._agent.effects.append(Send(stream, {'type': 'CONTROL', 'control': {
                'type': 'HEARTBEAT', 'heartbeat': {'interval': {'nanoseconds': interval}}}}))
            self._set_timer(stream)

    def _set_timer(self, stream):
        self._agent.effects.append(Timer(('containers', 'heartbeat', stream), self._agent.options.heartbeat_interval))

    def _close_output(self, stream):
        if self._outputs.pop(stream, None) is not None:
            self._agent.effects += [Cancel(('containers', 'heartbeat', stream)), CloseStream(stream)]

    # ---- input

    def attach_begin(self, container_id, token):
        """Begin to write to a container; a Reply that refuses it, or None."""
        refusal = self._refusal(container_id, token)
        if refusal is not None:
            return refusal
        if token in self._inputs:
            return refuse(409, 'Multiple input connections are not allowed')
        self._inputs[token] = self._agent.tree.get(token)
        return None

    def attach_data(self, token, process_io):
        """Take a ProcessIO for the container that :meth:`attach_begin` was for; a Reply that ends it, or None."""
        wrong = check_process_io(process_io)
        if wrong is not None:
            return refuse(400, wrong)
        container = self._inputs[token]
        if container.is_ended:
            return Reply(200)
        if process_io['type'] == 'DATA':
            return self._feed(container, decode_data(process_io['data']['data']))
        if process_io['control']['type'] == 'TTY_INFO':
            return self._resize(container, process_io['control']['tty_info']['window_size'])
        return None

    def attach_end(self, token):
        """The client has ended its input, or has gone. What runs is not told: for that there is empty data."""
        self._inputs.pop(token, None)

    def on_fed(self, token, size):
        """A container has taken bytes."""
        left = self._pending.pop(token, 0) - size
        if left > 0:
            self._pending[token] = left

    def _feed(self, container, data):
        if not data:
            if container.spec['io'] != 'tty':
                self._agent.effects.append(Feed(container.token, None))
            return None
        pending = self._pending.get(container.token, 0) + len(data)
        if pending > MAX_PENDING:
            return refuse(500, 'The container does not read its input: %d bytes are waiting' % pending)
        if container.token not in self._pending:
            container.watchers['input'] = lambda container: self._pending.pop(container.token, None)
        self._pending[container.token] = pending
        self._agent.effects.append(Feed(container.token, data))
        return None

    def _resize(self, container, size):
        if container.spec['io'] != 'tty':
            return refuse(400, 'Unable to set the window size: Inappropriate ioctl for device')
        rows, columns = (min(max(0, size[name]), MAX_WINDOW) for name in ('rows', 'columns'))
        self._agent.effects.append(Resize(container.token, rows, columns))
        return None

    # ---- both

    def _refusal(self, container_id, token):
        """Why nobody can attach to a container, a Reply; None if it can be done."""
        top = container_id
        while top.get('parent'):
            top = top['parent']
        outermost = self._agent.tree.get(top['value'])
        if outermost is None or outermost.executor is None or outermost.is_ended:
            return refuse(404, 'Container %s cannot be found' % token)
        container = self._agent.tree.get(token)
        if container is None or container.is_ended:
            return refuse(500, 'Unknown container %s' % token)
        if not container.spec or not container.spec.get('io'):
            return refuse(500, 'I/O switchboard server was disabled for this container')
        return None


def check_process_io(message):
    """What is wrong with a ProcessIO for standard input, a text; None if nothing is."""
    if 'type' not in message:
        return "Expecting 'process_io.type' to be present"
    if message['type'] == 'DATA':
        return _check_data(message.get('data'))
    if message['type'] == 'CONTROL':
        return _check_control(message.get('control'))
    return "'process_io.type' is unknown"


def _check_data(data):
    if data is None:
        return "Expecting 'process_io.data' to be present"
    if 'type' not in data:
        return "Expecting 'process_io.data.type' to be present"
    if data['type'] != 'STDIN':
        return "Expecting 'process_io.data.type' to be STDIN"
    if 'data' not in data:
        return "Expecting 'process_io.data.data' to be present"
    return None


def _check_control(control):
    if control is None:
        return "Expecting 'process_io.control' to be present"
    if 'type' not in control:
        return "Expecting 'process_io.control.type' to be present"
    if control['type'] == 'TTY_INFO':
        if 'tty_info' not in control:
            return "Expecting 'process_io.control.tty_info' to be present"
        if 'window_size' not in control['tty_info']:
            return "Expecting 'process_io.control.tty_info.window_size' to be present"
        return None
    if control['type'] == 'HEARTBEAT':
        return None if 'heartbeat' in control else "Expecting 'process_io.control.heartbeat' to be present"
    return "'process_io.control.type' is unknown"

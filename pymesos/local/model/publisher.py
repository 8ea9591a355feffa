"""The stream of events for operators (PROTOCOL 4.2)."""
from __future__ import absolute_import, division, print_function

from collections import OrderedDict

from . import shapes, views
from .effects import Cancel, CloseStream, Reply, Send, Timer

__all__ = ['Publisher']

BEAT = 'operator-heartbeat'


class Publisher(object):
    """Tells every subscriber what happens in `master`, a :class:`~.master.MasterModel`."""

    def __init__(self, master):
        self._master = master
        self._streams = OrderedDict()

    def __len__(self):
        """How many subscribers there are."""
        return len(self._streams)

    def subscribe(self):
        """SUBSCRIBE: the Reply that opens a stream. The oldest stream is closed if there are too many."""
        stream = self._master.world.uuid()
        if len(self._streams) >= self._master.options.max_operator_subscribers:
            oldest = next(iter(self._streams))
            self.closed(oldest)
            self._master.effects.append(CloseStream(oldest))
        self._streams[stream] = True
        self._send(stream, {'type': 'SUBSCRIBED', 'subscribed': {
            'get_state': views.state(self._master),
            'heartbeat_interval_seconds': float(self._master.options.heartbeat_interval)}})
        self.on_timer((BEAT, stream))
        return Reply(200, stream=stream)

    def closed(self, stream):
        """A client is gone; whether the stream was one of these."""
        if self._streams.pop(stream, None) is None:
            return False
        self._master.effects.append(Cancel((BEAT, stream)))
        return True

    def on_timer(self, key):
        """A heartbeat is due."""
        name, stream = key
        if name == BEAT and stream in self._streams:
            self._send(stream, {'type': 'HEARTBEAT'})
            self._master.effects.append(Timer(key, self._master.options.heartbeat_interval))

    # ---- what happens

    def task_added(self, task):
        """A task was launched, or an agent told of it."""
        if self._streams:
            self._publish('TASK_ADDED', {'task': shapes.task_message(task)})

    def task_updated(self, task, status):
        """A task has a new state, or its check has a new result."""
        if self._streams:
            self._publish('TASK_UPDATED', {'framework_id': {'value': task.framework_id}, 'status': status,
                                           'state': task.state})

    def agent_added(self, agent):
        """An agent has registered or has come back."""
        if self._streams:
            self._publish('AGENT_ADDED', {'agent': views.agent_event(agent)})

    def agent_removed(self, agent_id):
        """An agent was removed; not told of those that are unreachable or gone."""
        self._publish('AGENT_REMOVED', {'agent_id': {'value': agent_id}})

    def framework_added(self, framework):
        """A framework has subscribed, or an agent told of it."""
        self._publish_framework('FRAMEWORK_ADDED', framework)

    def framework_updated(self, framework):
        """A framework has subscribed again, or has changed."""
        self._publish_framework('FRAMEWORK_UPDATED', framework)

    def framework_removed(self, framework):
        """A framework is gone for good."""
        self._publish('FRAMEWORK_REMOVED', {'framework_info': framework.info})

    def _publish_framework(self, kind, framework):
        if self._streams:
            self._publish(kind, {'framework': views.framework_event(framework)})

    def _publish(self, kind, body):
        event = {'type': kind, kind.lower(): body}
        for stream in self._streams:
            self._send(stream, event)

    def _send(self, stream, event):
        self._master.effects.append(Send(stream, event))

"""Reliable status updates of an agent: one queue per task, its head sent again until it is acknowledged (PROTOCOL 2.7).

The same is used for statuses of operations, whose streams have one update each.
"""
from __future__ import absolute_import, division, print_function

import heapq
import itertools
from collections import OrderedDict, deque

from .effects import Cancel, Timer
from .state import TERMINAL

__all__ = ['Resender', 'StatusUpdates', 'Stream']


class Stream(object):
    """The updates of one task that are not acknowledged."""

    __slots__ = ('delay', 'due', 'framework_id', 'is_checkpointed', 'is_sent', 'key', 'pending', 'received')

    def __init__(self, key, framework_id, is_checkpointed=False):
        #: (framework id, task id), or what else names it.
        self.key = key
        self.framework_id = framework_id
        self.is_checkpointed = is_checkpointed
        #: Statuses; the first is the one to be acknowledged.
        self.pending = deque()
        #: The uuids of all there ever were.
        self.received = set()
        #: When the head is sent again (monotonic), None while it is not to be; and after how long the time after.
        self.due = None
        self.delay = None
        #: Whether the head was sent before.
        self.is_sent = False


class Resender(object):
    """Sends the heads of streams again and again, with one timer for all of them, whose key `name` is.

    A subclass says how a head is sent, in `_send`, and keeps `_streams`. While paused nothing is sent.
    """

    def __init__(self, agent, name):
        self._agent = agent
        self._streams = OrderedDict()       # key -> Stream
        self._timer = (name,)
        self._heap = []                     # (due, number, stream), stale ones included
        self._numbers = itertools.count()
        self._armed = None                  # when the timer is due
        self._is_paused = True

    def _send(self, stream, is_retry):
        raise NotImplementedError

    def _begin(self, stream):
        """Send the head of a stream for the first time, unless paused."""
        if not self._is_paused:
            stream.delay = self._agent.options.status_update_retry_min
            self._forward(stream)

    def pause(self):
        """The master is lost: nothing is sent until :meth:`resume`."""
        self._is_paused = True
        self._heap, self._armed = [], None
        self._agent.effects.append(Cancel(self._timer))

    def resume(self):
        """There is a master: all heads are sent at once."""
        self._is_paused = False
        for stream in self._streams.values():
            if stream.pending:
                self._begin(stream)

    def on_timer(self):
        """Send the heads that are due again."""
        now, self._armed = self._agent.world.monotonic(), None
        while self._heap and self._heap[0][0] <= now:
            due, _, stream = heapq.heappop(self._heap)
            if stream.due == due and stream.pending:
                stream.delay = min(stream.delay * 2, self._agent.options.status_update_retry_max)
                self._forward(stream)
        self._arm()

    def _forward(self, stream):
        stream.due = self._agent.world.monotonic() + stream.delay
        heapq.heappush(self._heap, (stream.due, next(self._numbers), stream))
        is_retry, stream.is_sent = stream.is_sent, True
        self._send(stream, is_retry)
        self._arm()

    def _arm(self):
        heap = self._heap
        while heap and heap[0][0] != heap[0][2].due:
            heapq.heappop(heap)
        if heap and (self._armed is None or heap[0][0] < self._armed):
            self._armed = heap[0][0]
            self._agent.effects.append(Timer(self._timer, max(0.0, self._armed - self._agent.world.monotonic())))


class StatusUpdates(Resender):
    """The streams of all tasks. `agent.forward(framework_id, status, is_retry)` sends one to the master."""

    def __init__(self, agent):
        super(StatusUpdates, self).__init__(agent, 'updates')
        self._counts = {}                   # framework id -> how many streams

    def __len__(self):
        return sum(len(stream.pending) for stream in self._streams.values())

    def update(self, framework_id, status, is_checkpointed=False):
        """Take a status that has a `uuid`; one that was taken before is passed over."""
        key = (framework_id, status['task_id']['value'])
        stream = self._streams.get(key)
        if stream is None:
            stream = self._add(Stream(key, framework_id, is_checkpointed))
        uuid = status['uuid']
        if uuid in stream.received:
            return
        stream.received.add(uuid)
        stream.pending.append(status)
        if len(stream.pending) == 1:
            self._begin(stream)

    def acknowledge(self, framework_id, task_id, uuid):
        """The scheduler has acknowledged an update; whether that was the last of the task.

        What is not the head of its queue (an acknowledgement of an update that was sent twice) is passed over.
        """
        key = (framework_id, task_id)
        stream = self._streams.get(key)
        if stream is None or not stream.pending or stream.pending[0]['uuid'] != uuid:
            return False
        status = stream.pending.popleft()
        stream.due, stream.is_sent = None, False
        if status['state'] in TERMINAL:
            self._remove(key)
            return True
        if stream.pending:
            self._begin(stream)
        return False

    def forget(self, framework_id):
        """Drop all of a framework."""
        for key in [key for key in self._streams if key[0] == framework_id]:
            self._remove(key)

    def has(self, framework_id):
        """Whether anything of a framework is not acknowledged, or may be followed by more."""
        return framework_id in self._counts

    def snapshot(self):
        """What a disk would hold: [{'framework_id', 'task_id', 'received', 'pending'}] of checkpointing frameworks."""
        return [{'framework_id': stream.framework_id, 'task_id': stream.key[1], 'received': sorted(stream.received),
                 'pending': list(stream.pending)} for stream in self._streams.values() if stream.is_checkpointed]

    def recover(self, items):
        """Take up what :meth:`snapshot` gave."""
        for item in items:
            stream = self._add(Stream((item['framework_id'], item['task_id']), item['framework_id'], True))
            stream.received.update(item['received'])
            stream.pending.extend(item['pending'])

    def _add(self, stream):
        self._streams[stream.key] = stream
        self._counts[stream.framework_id] = self._counts.get(stream.framework_id, 0) + 1
        return stream

    def _remove(self, key):
        stream = self._streams.pop(key)
        stream.pending.clear()
        self._counts[stream.framework_id] -= 1
        if not self._counts[stream.framework_id]:
            del self._counts[stream.framework_id]

    def _send(self, stream, is_retry):
        self._agent.forward(stream.framework_id, stream.pending[0], is_retry)

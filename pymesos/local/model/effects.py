"""What a model orders: each effect is carried out by the node that runs the model, in the order of the list."""
from __future__ import absolute_import, division, print_function

from collections import namedtuple

__all__ = ['Answer', 'Cancel', 'CloseStream', 'Destroy', 'Feed', 'Launch', 'MASTER', 'Probe', 'Reply', 'Resize', 'Send',
           'Signal', 'Tell', 'Timer', 'deferred', 'refuse']

#: The peer that an agent's :class:`Tell` is for.
MASTER = 'master'


class Reply(namedtuple('Reply', ['status', 'body', 'headers', 'stream', 'key'])):
    """The answer to a call.

    `status` is an int; `body` a dict or list (answered as JSON), text (as text/plain), or None (empty); `headers` pairs
    of text beside those that the server adds; `stream` the token (text, chosen by the model) of an event stream that
    the answer opens, later named by :class:`Send` and :class:`CloseStream`; `key`, if not None, says that the
    answer comes later as an :class:`Answer` with this key, and that nothing else here counts.
    """

    __slots__ = ()

    def __new__(cls, status=202, body=None, headers=(), stream=None, key=None):
        return super(Reply, cls).__new__(cls, status, body, tuple(headers), stream, key)


def refuse(status, text):
    """The :class:`Reply` that says no, with a text."""
    return Reply(status, text)


def deferred(key):
    """The :class:`Reply` for a call that is answered later; `key` is anything hashable that is used once."""
    return Reply(key=key)


#: Answer the call whose reply was ``deferred(key)``; dropped if its connection is gone, of which ``on_abandoned(key)``
#: tells the model.
Answer = namedtuple('Answer', ['key', 'reply'])

#: Send an event (a dict) on an open stream; dropped if the stream is gone.
Send = namedtuple('Send', ['stream', 'event'])

#: End a stream after what was sent on it. No `on_stream_closed` follows.
CloseStream = namedtuple('CloseStream', ['stream'])

#: Give a message (a dict with 'type') to a peer: MASTER, or the pid of an agent (text, ``slave(1)@host:port``).
#: It arrives soon, in order per pair, or never if the peer is down or cut off.
Tell = namedtuple('Tell', ['peer', 'message'])

#: Call ``model.on_timer(key)`` after `delay` seconds; an earlier timer with the same key is replaced.
Timer = namedtuple('Timer', ['key', 'delay'])

#: Call a timer off; harmless if there is none.
Cancel = namedtuple('Cancel', ['key'])

#: Start a container's process; `spec` is a dict, see :mod:`pymesos.local.launcher`. Answered by ``on_started`` or
#: ``on_launch_failed``, and after a start by one ``on_exited``.
Launch = namedtuple('Launch', ['container', 'spec'])

#: Send a signal (int) to all processes of a container's group.
Signal = namedtuple('Signal', ['container', 'number'])

#: Kill (SIGKILL) every process of a container, wherever it has gone; ``on_exited`` follows if it was started.
Destroy = namedtuple('Destroy', ['container'])

#: Look once whether something answers; ``model.on_probe(key, result)`` follows. `check` is a dict {'type': 'COMMAND',
#: 'command': CommandInfo, 'container': id, 'environment': {}, 'directory': path} or {'type': 'HTTP', 'port', 'path',
#: 'scheme'} or {'type': 'TCP', 'port'}; `timeout` seconds. The result is {'exit_code': n}, {'status_code': n},
#: {'succeeded': bool}, or {'error': text} when there was none in time.
Probe = namedtuple('Probe', ['key', 'check', 'timeout'])

#: Give bytes to the standard input of a container that was launched with ``io``; None closes it.
Feed = namedtuple('Feed', ['container', 'data'])

#: Set the window size of a container that was launched with a tty.
Resize = namedtuple('Resize', ['container', 'rows', 'columns'])

"""The one port of the program: executors dial it with a task's secret, and fetch what they run from it.

Whoever does not know a secret is closed without a byte. What is held of a peer until it has shown one is limited, and
so are the number of such peers and their time.
"""
from __future__ import absolute_import, division, print_function

import logging
import os
import re
import socket
from collections import OrderedDict

from ..._compat import block_sigpipe, socket_errors
from ...errors import ConnectionFailed, UsageError
from ...serving.listener import Listener
from ...serving.loop import Loop
from ...serving.peer import Peer
from .protocol import HELLO_SIZE, MAGIC, NONCE_SIZE, PROOF_SIZE, is_hello_genuine, is_proof, make_welcome, read_hello

__all__ = ['HANDSHAKE_TIMEOUT', 'Hub', 'MAX_HEAD', 'MAX_STRANGERS', 'STALLED_AFTER']

logger = logging.getLogger(__name__)

#: How many peers may be connected that have shown no secret; beyond, the oldest goes.
MAX_STRANGERS = 256

#: Seconds that one has for it.
HANDSHAKE_TIMEOUT = 10.0

#: Bytes that the head of a request for a file may have.
MAX_HEAD = 4096

#: Seconds after which a peer that takes nothing of a file is closed.
STALLED_AFTER = 30.0

_GET = b'GET '
_REQUEST = re.compile(br'GET (/[!-~]*) HTTP/1\.[01]\r?\n')
_HEAD_END = re.compile(br'\r?\n\r?\n')

MAX_PORT = 65535

_WILDCARDS = ('', '0.0.0.0', '::')


class Hub(object):
    """The port and its loop; see the module. What does not say otherwise is for any thread.

    `host` and `port` (0: any) are listened on. `advertised_host` and `advertised_port` are what executors are told
    instead, as behind a firewall that forwards. `closing`, if given, is called on the loop's thread when it ends, and
    `failed` there with an exception that nothing else has caught; it is logged if there is none. Raises
    :class:`UsageError` for a port that cannot be.
    """

    def __init__(self, host='127.0.0.1', port=0, advertised_host=None, advertised_port=None, closing=None, failed=None):
        if not 0 <= port <= MAX_PORT:
            raise UsageError('cannot listen on port %r: expected 0 to %d' % (port, MAX_PORT))
        #: The loop, whose thread everything happens on.
        self.loop = Loop('pymesos-subprocess', self._close_all, failed or _log_failure)
        self._host = host
        self._port = port
        self._advertised = advertised_host, advertised_port
        self._closing = closing or (lambda: None)
        self._listener = None
        # What follows belongs to the loop's thread.
        self._expected = {}             # identity: Session
        self._sessions = set()          # those that hold descriptors, too
        self._strangers = OrderedDict()         # of Visitor, the oldest first
        self._proving = {}              # identity: the Visitor that has its secret, and is to show that it is no copy
        self._files = {}                # path: the whole response

    def start(self):
        """Listen and serve; returns the hub. Raises :class:`ConnectionFailed` if it cannot listen there."""
        try:
            self._listener = Listener(self.loop, Visitor.make(self), self._host, self._port, report=logger.debug)
        except socket_errors as error:
            self.loop.stop()
            raise ConnectionFailed('cannot listen on %s, port %s: %s' % (self._host, self._port, error),
                                   address='%s:%s' % (self._host, self._port), errno=getattr(error, 'errno', None))
        self.loop.start()
        self.loop.carry_out(block_sigpipe)
        self.loop.carry_out(self._listener.open)
        return self

    def stop(self):
        """Close the port, all connections and all descriptors, and wait for the thread; twice is fine."""
        self.loop.stop()

    @property
    def port(self):
        """The port listened on."""
        return self._listener.port

    @property
    def address(self):
        """(host, port) that executors are to dial."""
        host, port = self._advertised
        if host is None:
            host = socket.gethostname() if self._host in _WILDCARDS else self._host
        return host, port or self.port

    def publish(self, token, name, data):
        """Serve `data` (bytes) to whoever asks for the path that is returned: ``/token/name``.

        `token` is what makes the path a secret; the same path may be published again.
        """
        path = '/%s/%s' % (token, name)
        head = ('HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n'
                'Connection: close\r\n\r\n' % len(data))
        self._files[path.encode('ascii')] = head.encode('ascii') + data
        return path

    def withdraw(self, path):
        """Serve it no more."""
        self._files.pop(path.encode('ascii'), None)

    # -- the loop's thread

    def expect(self, session):
        """Let the executor of a :class:`Session` in from now on, until it is closed or forgotten."""
        session.on_closed = self.forget
        session.on_gone = self._sessions.discard
        self._expected[session.identity] = session
        self._sessions.add(session)

    def forget(self, session):
        """Let the executor of a session in no more. On the loop's thread."""
        self._expected.pop(session.identity, None)

    def find(self, identity):
        """The session that is expected under an identity, or None."""
        return self._expected.get(identity)

    def file(self, path):
        """The response for a path (bytes), None if there is none."""
        return self._files.get(path)

    def arrived(self, visitor):
        """A stranger has connected; another one may have to go."""
        self._strangers[visitor] = None
        if len(self._strangers) > MAX_STRANGERS:
            next(iter(self._strangers)).close()

    def departed(self, visitor):
        """A visitor is none any more, or gone."""
        self._strangers.pop(visitor, None)
        if self._proving.get(visitor.identity) is visitor:
            del self._proving[visitor.identity]

    def recognized(self, visitor):
        """A visitor has the secret of its identity, and is no stranger. Of those with the same the last one counts."""
        self.departed(visitor)
        earlier = self._proving.get(visitor.identity)
        if earlier is not None:
            earlier.close()
        self._proving[visitor.identity] = visitor

    def _close_all(self):
        try:
            self._closing()
        finally:
            if self._listener is not None:
                self._listener.close()
            for session in list(self._sessions):
                session.abandon()


class Visitor(Peer):
    """A connection to the port, until it has proved itself or got its file. Everything is the loop's thread's."""

    read_size = MAX_HEAD

    def __init__(self, hub, listener, sock, number):
        super(Visitor, self).__init__(listener, sock, number)
        self._hub = hub
        self._held = b''
        self._session = self._hello = self._nonce = None
        self.identity = None            # that it has shown the secret of
        self._timer = listener.loop.call_later(HANDSHAKE_TIMEOUT, self.close)
        self._unsent = None             # of a file, at the last look
        self.worth = number             # if there are too many descriptors, the first comer goes first
        hub.arrived(self)

    @classmethod
    def make(cls, hub):
        """What a Listener makes its peers with."""
        return lambda listener, sock, number: cls(hub, listener, sock, number)

    def received(self, data):
        """Bytes of a handshake or of a request; of anything else the first is the last."""
        data = self._held + data
        if self._session is not None:
            self._read_proof(data)
        elif _may_begin(data, MAGIC):
            self._read_hello(data)
        elif _may_begin(data, _GET):
            self._read_request(data)
        else:
            self.close()

    def close(self):
        """Close at once."""
        self._timer.cancel()
        self._hub.departed(self)
        super(Visitor, self).close()

    def _read_hello(self, data):
        self._held = data[:HELLO_SIZE]
        if len(data) < HELLO_SIZE:
            return
        hello = read_hello(self._held)
        session = self._hub.find(hello.identity)
        # Who has made a HELLO waits for the answer; and one whose counter is not new is a copy.
        if (len(data) > HELLO_SIZE or session is None or not is_hello_genuine(session.key, hello)
                or hello.counter <= session.counter):
            self.close()
            return
        session.counter = hello.counter
        # From here on no stranger can push it out.
        self.worth = None
        self.identity = hello.identity
        self._hub.recognized(self)
        self._session, self._hello, self._nonce, self._held = session, hello, os.urandom(NONCE_SIZE), b''
        self.write(make_welcome(session.key, hello, self._nonce))

    def _read_proof(self, data):
        self._held = data[:PROOF_SIZE]
        if len(data) < PROOF_SIZE:
            return
        session = self._session
        if not is_proof(session.key, self._hello, self._nonce, self._held) or self._hub.find(
                session.identity) is not session:
            self.close()
            return
        session.adopt(self._hand_over(), data[PROOF_SIZE:])

    def _hand_over(self):
        """The socket, which this peer has nothing to do with any more."""
        self._timer.cancel()
        self._hub.departed(self)
        self.is_open = False
        self.server.loop.watch(self.sock, self._events, 0, None)
        self.server.forget(self)
        return self.sock

    def _read_request(self, data):
        self._held = data[:MAX_HEAD]
        end = _HEAD_END.search(data)
        if end is None and len(data) < MAX_HEAD:
            return
        request = _REQUEST.match(data)
        response = None if request is None else self._hub.file(request.group(1))
        if end is None or end.end() > MAX_HEAD or response is None:
            self.close()
            return
        self._held = b''
        self._hub.departed(self)
        self._timer.cancel()
        self._timer = self.server.loop.call_later(STALLED_AFTER, self._look_whether_stalled)
        self.write(response)
        self.end('close')

    def _look_whether_stalled(self):
        if self.unsent == self._unsent:
            self.close()
        else:
            self._unsent = self.unsent
            self._timer = self.server.loop.call_later(STALLED_AFTER, self._look_whether_stalled)


def _may_begin(data, beginning):
    return data[:len(beginning)] == beginning[:len(data)]


def _log_failure(error):
    logger.error('the loop of subprocess: %s: %s', type(error).__name__, error, exc_info=True)

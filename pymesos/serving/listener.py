"""A listening socket on a loop, and the connections that it has accepted."""
from __future__ import absolute_import, division, print_function

import errno
import os
import resource
import socket
import ssl

from .._compat import clear_of_standard_streams, selectors, socket_errors
from .loop import listen

__all__ = ['Listener']

#: Of the descriptors that a process may have the connections of a loop take up one half.
SHARE = 2

#: Seconds without accepting when there are no descriptors left for more connections.
PAUSE = 0.2

#: Connections accepted in one turn of the loop, so that those who have one get their turn as well.
AT_ONCE = 32


class Listener(object):
    """Listens from the constructor on and accepts from :meth:`open` on; all of it on the loop's thread.

    It is the `server` of its :class:`~pymesos.serving.peer.Peer`\\ s, which ``make(listener, sock, number)`` makes.
    `closed` is called with each that has ended, `report` with texts of what clients did wrong. `unix_path`
    goes before `host` and `port`. Raises OSError (socket.error) if it cannot listen there.
    """

    def __init__(self, loop, make, host='127.0.0.1', port=0, unix_path=None, ssl_context=None, closed=None,
                 report=None):
        self.loop = loop
        self.ssl_context = ssl_context
        self.report = report or (lambda text: None)
        #: How many connections were accepted.
        self.accepted = 0
        #: The connections that are open, by number.
        self.connections = {}
        self._make = make
        self._closed = closed or (lambda peer: None)
        self._unix_path = unix_path
        self._socket = listen(host, port, unix_path)
        #: The port listened on; None for a domain socket.
        self.port = None if unix_path is not None else self._socket.getsockname()[1]
        self._is_watched = self._is_closed = False

    def open(self):
        """Begin to accept."""
        if not self._is_watched and not self._is_closed:
            self._is_watched = True
            self.loop.watch(self._socket, 0, selectors.EVENT_READ, self._accept)

    def close(self):
        """Close all connections and the port; twice is fine."""
        if self._is_closed:
            return
        self._is_closed = True
        self._unwatch()
        self.drop_connections()
        self._socket.close()
        if self._unix_path is not None and os.path.exists(self._unix_path):
            os.unlink(self._unix_path)

    def drop_connections(self):
        """Close all connections at once."""
        for peer in list(self.connections.values()):
            peer.close()

    def forget(self, peer):
        """A connection is closed."""
        del self.connections[peer.number]
        self.loop.peers.discard(peer)
        self._closed(peer)

    def _unwatch(self):
        if self._is_watched:
            self._is_watched = False
            self.loop.watch(self._socket, selectors.EVENT_READ, 0, None)

    def _accept(self, _events):
        most = _most_peers()
        for _ in range(AT_ONCE):
            if self._is_closed:
                return
            if len(self.loop.peers) >= most:
                self._make_room()
            try:
                sock, _ = self._socket.accept()
            except socket_errors as error:
                if error.errno in (errno.EMFILE, errno.ENFILE) and self._make_room():
                    continue
                if error.errno not in (errno.EAGAIN, errno.ECONNABORTED, errno.EINTR):
                    self.report('cannot accept a connection: %s' % error)
                    # The socket stays ready: to go on at once would take all of the processor.
                    self._unwatch()
                    self.loop.call_later(PAUSE, self.open)
                return
            try:
                sock = clear_of_standard_streams(sock)
            except socket_errors as error:
                self.report('cannot keep a connection: %s' % error)
                continue
            self._take(sock)

    def _make_room(self):
        """Close the connection of all on the loop that is worth least; whether there was one that may be closed."""
        found = [peer for peer in self.loop.peers if peer.worth is not None]
        if found:
            least = min(found, key=lambda peer: peer.worth)
            least.server.report('connection %d is closed, which asks for nothing: there are %d'
                                % (least.number, len(self.loop.peers)))
            least.close()
        return bool(found)

    def _take(self, sock):
        sock.setblocking(False)
        if self._unix_path is None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.ssl_context is not None:
            sock = self._wrap(sock)
            if sock is None:
                return
        self.accepted += 1
        peer = self._make(self, sock, self.accepted)
        self.connections[peer.number] = peer
        self.loop.peers.add(peer)
        self.loop.watch(sock, 0, selectors.EVENT_READ, peer.ready)

    def _wrap(self, sock):
        try:
            return self.ssl_context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        except (ssl.SSLError, socket.error) as error:
            self.report('cannot begin TLS: %s' % error)
            sock.close()
            return None


def _most_peers():
    """How many connections a loop may have."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return float('inf') if limit == resource.RLIM_INFINITY else limit // SHARE

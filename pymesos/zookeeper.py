"""The leading master as ZooKeeper knows it: a thread that watches the masters' nodes.

Every master that may lead keeps an ephemeral node ``json.info_NNNNNNNNNN`` whose data is its MasterInfo as JSON;
the one with the lowest number leads (PROTOCOL 6). Imports kazoo, and so is imported only when ZooKeeper is used.
"""
from __future__ import absolute_import, division, print_function

import logging
import re
import socket
import threading

import six
from kazoo.client import KazooClient
from kazoo.exceptions import (ConnectionClosedError, ConnectionLoss, KazooException, NoNodeError,
                              OperationTimeoutError, SessionExpiredError)
from kazoo.handlers.threading import SequentialThreadingHandler
from kazoo.protocol.states import KazooState

from ._compat import close_on_exec, monotonic, socket_errors
from .errors import MessageError, excerpt
from .utils import Address
from .wire import messages

__all__ = ['RETRY_DELAY', 'SESSION_TIMEOUT', 'Watch', 'leading_node', 'read_master']

#: Seconds that a session outlives its connection: Mesos' own number (PROTOCOL 6).
SESSION_TIMEOUT = 10.0

#: Seconds before ZooKeeper is asked again after it refused; the longest pause between two tries to connect.
RETRY_DELAY = 5.0

#: Seconds for TCP to connect and, again, for the server to grant a session. More than one try must fit into a session:
#: a server that is just starting may accept a connection and never answer on it (seen with 3.8.0).
CONNECT_TIMEOUT = 4.0

logger = logging.getLogger(__name__)

_NODE = re.compile(r'json\.info_([0-9]{10})\Z')


class _NoTraffic(logging.Filter):
    """Drops kazoo's DEBUG lines: one of them is the authentication, with the password in clear."""

    def filter(self, record):
        return record.levelno > logging.DEBUG


_kazoo_logger = logging.getLogger(__name__ + '.kazoo')
_kazoo_logger.addFilter(_NoTraffic())


def leading_node(names):
    """The one of the nodes' names that leads, or None: the lowest number, other kinds of nodes left out."""
    masters = [name for name in names if _NODE.match(name)]
    return min(masters, key=lambda name: int(_NODE.match(name).group(1))) if masters else None


def read_master(data, scheme):
    """Where the master listens whose node has `data` (bytes): a tuple of :class:`Address` in the order to try.

    That is its IP address, or its host name if it tells none. With ``https`` the name comes first and the IP address
    after it, because certificates are made out to names. Raises :class:`MessageError`.
    """
    info = messages.loads(data)
    address = info.get('address')
    if not isinstance(address, dict):
        address = {}
    name, port = address.get('hostname', info.get('hostname')), address.get('port', info.get('port'))
    # The ip outside of `address` is the number that IPv4 made of it.
    hosts = [host for host in (address.get('ip'), name) if _is_host(host)]
    if not hosts or isinstance(port, bool) or not isinstance(port, int) or not 0 < port < 65536:
        raise MessageError('cannot find an address and a port in the MasterInfo %s' % excerpt(data))
    hosts = hosts[::-1] if scheme == 'https' else hosts[:1]
    return tuple(Address(scheme, str(host), port, None) for host in sorted(set(hosts), key=hosts.index))


def _is_host(value):
    return isinstance(value, six.string_types) and re.match(r'[0-9A-Za-z._:%-]+\Z', value) is not None


class _Handler(SequentialThreadingHandler):
    """kazoo's threads, with names, and its sockets, closed in programs that are executed."""

    def __init__(self, wake):
        super(_Handler, self).__init__()
        #: Whether a thread of it has ended, which is the end of the client; it tells so in no other way.
        self.has_ended = False
        #: Whether there is a session; to be set to what the client says.
        self.is_connected = lambda: False
        self._wake = wake
        self._may_stop = False
        self._socket = None

    def spawn(self, func, *args, **kwargs):
        thread = threading.Thread(target=self._main, args=(func, args, kwargs), name='pymesos-zookeeper')
        thread.daemon = True
        thread.start()
        return thread

    def _main(self, func, args, kwargs):
        try:
            func(*args, **kwargs)
        except Exception:
            _kazoo_logger.exception('a thread of kazoo failed')
        finally:
            self.has_ended = True
            self._wake.set()

    def create_socket_pair(self):
        return tuple(close_on_exec(end) for end in super(_Handler, self).create_socket_pair())

    def create_connection(self, *args, **kwargs):
        self._socket = super(_Handler, self).create_connection(*args, **dict(kwargs, timeout=CONNECT_TIMEOUT))
        return self._socket

    def select(self, rlist, wlist, xlist, timeout=None):
        if not self.is_connected():
            # kazoo would wait a whole session timeout for the session.
            timeout = CONNECT_TIMEOUT if timeout is None else min(timeout, CONNECT_TIMEOUT)
        return super(_Handler, self).select(rlist, wlist, xlist, timeout)

    def end(self, at_once):
        """Let the client stop, if `at_once` without an answer from the server that it waits for."""
        self._may_stop = True
        if at_once and self._socket is not None:
            try:
                self._socket.shutdown(socket.SHUT_RDWR)
            except socket_errors:           # closed already
                pass

    def stop(self):
        # kazoo has it called at the interpreter's exit, too, which would look like a lost ZooKeeper; the threads are
        # daemons and need no end there.
        if self._may_stop:
            super(_Handler, self).stop()


class Watch(object):
    """Follows the masters' nodes under a path, from :meth:`start` to :meth:`stop`.

    `hosts` is ``host:port,...``; `path` absolute; `credential` ``user:password`` or None; `scheme` goes into the
    addresses. ``announce(candidates)`` is called on the watch's thread with what :func:`read_master` made of the
    leader's node, or with () if none leads or none is known; the same may be announced twice running.

    A leader stays for `session_timeout` seconds after the connection to ZooKeeper was lost, as the masters' own
    sessions do.
    """

    def __init__(self, hosts, path, credential, scheme, announce, session_timeout=SESSION_TIMEOUT):
        self._hosts = hosts
        self._path = path
        self._credential = credential
        self._scheme = scheme
        self._announce = announce
        self._session_timeout = session_timeout
        self._client = None
        self._handler = None
        self._is_stopped = False
        # Set by kazoo's threads before they wake ours, which clears a flag before it acts on it.
        self._is_stale = False              # the nodes may have changed
        self._is_lost = False               # a session ended
        self._suspended_at = None           # since when there is no connection, None while there is one
        self._given_up = None               # the value of _suspended_at for which the leader was given up
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name='pymesos-detector')
        self._thread.daemon = True

    def start(self):
        """Begin; returns at once, whether or not ZooKeeper is there. Once only."""
        self._thread.start()

    def stop(self):
        """End; returns at once. The thread and its connection are gone within a session timeout, mostly at once."""
        self._is_stopped = True
        self._wake.set()

    # ---- the thread

    def _run(self):
        while not self._is_stopped:
            try:
                self._make_client()
                try:
                    self._client.start_async()
                    self._follow()
                finally:
                    self._disconnect()
            except Exception:       # a fault of ours or of kazoo's; without this a driver would wait for ever
                logger.exception('ZooKeeper %s: the watch for the leading master failed', self._hosts)
            if not self._is_stopped:
                self._announce(())
                logger.warning('ZooKeeper %s: the connection is given up, the next one is tried in %g s',
                               self._hosts, RETRY_DELAY)
                self._pause(RETRY_DELAY)

    def _make_client(self):
        self._is_stale = self._is_lost = False
        self._suspended_at = None
        self._handler = _Handler(self._wake)
        self._client = KazooClient(
            hosts=self._hosts, timeout=self._session_timeout, handler=self._handler, logger=_kazoo_logger,
            auth_data=[('digest', self._credential)] if self._credential else None,
            connection_retry={'max_tries': -1, 'delay': 0.1, 'backoff': 2, 'max_delay': RETRY_DELAY})
        self._handler.is_connected = lambda: self._client.connected
        self._client.add_listener(self._state_changed)

    def _disconnect(self):
        """Takes up to CONNECT_TIMEOUT in an attempt to connect, up to a session timeout if the server is silent."""
        self._handler.end(at_once=not self._client.connected)
        try:
            self._client.stop()
        finally:
            self._client.close()

    def _follow(self):
        """Until stop(), or until kazoo has given up."""
        retry_at = None
        while True:
            self._wake.clear()          # before any flag is read: a wake-up that comes from here on is kept
            if self._is_stopped or self._handler.has_ended:
                return
            if not self._client.connected:
                # Requests would pile up in kazoo. The connection's return will make us look.
                retry_at = None
            if self._is_over():
                self._announce(())
            elif self._client.connected and (self._is_stale or _is_due(retry_at)):
                self._is_stale = False
                delay = self._look()
                retry_at = None if delay is None else monotonic() + delay
            else:
                self._wake.wait(self._patience(retry_at))

    def _is_over(self):
        """Whether a session has ended since the last time, by ZooKeeper's word or because its time is up."""
        since = self._suspended_at
        if since != self._given_up and _is_due(since, self._session_timeout):
            self._given_up = since
            logger.warning('ZooKeeper %s: no connection for %g s, the leading master is not known any more',
                           self._hosts, self._session_timeout)
            return True
        is_lost, self._is_lost = self._is_lost, False
        return is_lost

    def _patience(self, retry_at):
        """The seconds until something is due, None if nothing is."""
        since = self._suspended_at
        dues = [] if retry_at is None else [retry_at]
        if since is not None and since != self._given_up:
            dues.append(since + self._session_timeout)
        return max(0.0, min(dues) - monotonic()) if dues else None

    def _look(self):
        """Read who leads and announce it; the seconds after which to look again even if nothing happens, or None."""
        try:
            leader = self._read_leader()
        except (ConnectionLoss, SessionExpiredError, OperationTimeoutError) as error:
            # Most likely the connection went, and its return will make us look; the delay is for other cases.
            logger.debug('ZooKeeper %s: %r', self._hosts, error)
            return RETRY_DELAY
        except MessageError as error:
            logger.warning('ZooKeeper %s: the leading master cannot be told: %s', self._hosts, error)
            leader = ()
        except KazooException as error:
            logger.warning('ZooKeeper %s: cannot read %s (%s), the next try is in %g s',
                           self._hosts, self._path, _name_of(error), RETRY_DELAY)
            self._announce(())
            return RETRY_DELAY
        if leader is not None:
            self._announce(leader)
        return None

    def _read_leader(self):
        """The leader's addresses, () if there is none, None if it went while we looked and must be read again."""
        try:
            names = self._ask(self._client.get_children_async(self._path, watch=self._changed))
        except NoNodeError:
            # No master was ever there; the watch for the path's appearance is set by asking for it.
            if self._ask(self._client.exists_async(self._path, watch=self._changed)) is None:
                return ()
            self._is_stale = True
            return None
        name = leading_node(names)
        if name is None:
            return ()
        try:
            data, _ = self._ask(self._client.get_async(self._path + '/' + name, watch=self._changed))
        except NoNodeError:
            self._is_stale = True
            return None
        return read_master(data, self._scheme)

    def _ask(self, result):
        """What kazoo's `result` comes to; gives up when the watch is stopped."""
        result.rawlink(self._answered)
        deadline = monotonic() + self._session_timeout
        while not result.ready():
            if self._is_stopped or self._handler.has_ended:
                raise ConnectionClosedError('stopped')
            remaining = deadline - monotonic()
            if remaining <= 0:
                raise OperationTimeoutError('no answer for %g s' % self._session_timeout)
            self._wake.wait(remaining)
            self._wake.clear()
        return result.get_nowait()

    def _pause(self, seconds):
        deadline = monotonic() + seconds
        while not self._is_stopped and not _is_due(deadline):
            self._wake.wait(max(0.0, deadline - monotonic()))
            self._wake.clear()

    # ---- on kazoo's threads

    def _state_changed(self, state):
        self._suspended_at = monotonic() if state == KazooState.SUSPENDED else None
        if state == KazooState.LOST:
            self._is_lost = True
        elif state == KazooState.CONNECTED:
            self._is_stale = True
        self._wake.set()

    def _changed(self, event):
        self._is_stale = True
        self._wake.set()

    def _answered(self, result):
        self._wake.set()


def _is_due(start, delay=0.0):
    return start is not None and start + delay <= monotonic()


def _name_of(error):
    return '%s: %s' % (type(error).__name__, error) if str(error) else type(error).__name__

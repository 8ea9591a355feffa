"""A TCP proxy whose faults a test switches on and off."""
from __future__ import absolute_import, division, print_function

import errno
import socket
import struct

from .._compat import close_on_exec, monotonic, selectors, socket_errors
from ..errors import UsageError
from ..serving.loop import Loop, listen
from ..utils import parse_address

__all__ = ['FaultProxy']

#: Bytes read and forwarded at once.
PIECE = 256 * 1024

#: Seconds between two portions of a drip, at least.
TICK = 0.01

#: What :meth:`FaultProxy.garbage` injects by default: neither HTTP, nor a chunk, nor a record.
GARBAGE = b'\x00\xff\xfegarbage\r\n\r\n'

#: close() with this sends RST (struct linger: on, 0 s).
RESET = struct.pack('ii', 1, 0)

UP, DOWN, BOTH = 'up', 'down', 'both'


class _Way(object):
    """One direction of a link."""

    def __init__(self, name, left):
        self.name = name
        self.waiting = b''          # read and not forwarded yet
        self.left = left            # bytes until the link is cut, or None
        self.credit = 0             # bytes that a drip lets through until its next tick
        self.is_eof = False         # the source has ended
        self.must_shut = False      # the test wants the sink to believe so: what comes is thrown away
        self.is_shut = False        # the sink was told


class _Link(object):
    """A client's connection and the one to the target."""

    def __init__(self, proxy, client):
        self.proxy = proxy
        self.client = client
        self.target = None
        self.is_open = True
        self.ways = dict((name, _Way(name, proxy.cut_left(name))) for name in (UP, DOWN))
        self._is_connected = False
        self._watched = {}

    def update(self):
        """Forward what may be forwarded and wait for the rest."""
        if not self.is_open:
            return
        if self.target is None:
            if self.proxy.allowed(self.ways[UP]):
                self._connect()
        elif self._is_connected:
            self._push(self.ways[UP], self.target)
            self._push(self.ways[DOWN], self.client)
        if self.is_open and self.ways[UP].is_shut and self.ways[DOWN].is_shut:
            self.close()
        if self.is_open:
            self._watch(self.client, self.ways[UP], self.ways[DOWN])
            if self.target is not None:
                self._watch(self.target, self.ways[DOWN], self.ways[UP])

    def reset(self):
        """RST to both sides."""
        for sock in (self.client, self.target):
            if self.is_open and sock is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.close()

    def close(self):
        """FIN to both sides."""
        if not self.is_open:
            return
        self.is_open = False
        for sock in (self.client, self.target):
            if sock is not None:
                self.proxy.loop.watch(sock, self._watched.get(sock, 0), 0, None)
                sock.close()
        self.proxy.links.remove(self)

    def _connect(self):
        family, address = self.proxy.target_address
        self.target = close_on_exec(socket.socket(family, socket.SOCK_STREAM))
        self.target.setblocking(False)
        if family != socket.AF_UNIX:
            self.target.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.target.connect_ex(address) not in (0, errno.EINPROGRESS, errno.EAGAIN):
            self.reset()

    def _ready(self, sock, events):
        if not self.is_open:            # closed by what was handled before it in the same turn
            return
        if sock is self.target and not self._is_connected:
            if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                self.reset()
                return
            self._is_connected = True
        elif events & selectors.EVENT_READ:
            self._fill(self.ways[UP if sock is self.client else DOWN], sock)
        self.update()

    def _fill(self, way, source):
        if way.waiting or way.is_eof:
            return
        try:
            data = source.recv(PIECE)
        except socket_errors as error:
            if error.errno not in (errno.EAGAIN, errno.EINTR):
                self.reset()
            return
        if not data:
            way.is_eof = True
        elif not way.must_shut:
            way.waiting = data

    def _push(self, way, sink):
        while self.is_open and way.waiting:
            if way.left == 0:
                self.proxy.cut(self)
                return
            size = self.proxy.allowed(way)
            if way.left is not None:
                size = min(size, way.left)
            if not size:
                return
            try:
                sent = sink.send(way.waiting[:size])
            except socket_errors as error:
                if error.errno not in (errno.EAGAIN, errno.EINTR):
                    self.reset()
                return
            self._count(way, sent)
        if self.is_open and (way.is_eof or way.must_shut) and not way.is_shut and self.proxy.allowed(way):
            way.is_shut = True
            try:
                sink.shutdown(socket.SHUT_WR)
            except socket_errors:
                self.reset()

    def _count(self, way, sent):
        way.waiting = way.waiting[sent:]
        way.credit = max(0, way.credit - sent)
        self.proxy.counted[way.name] += sent
        if way.left is not None:
            way.left -= sent
            if way.left == 0:
                self.proxy.cut(self)

    def _watch(self, sock, inward, outward):
        if sock is self.target and not self._is_connected:
            events = selectors.EVENT_WRITE
        else:
            events = 0
            if not inward.waiting and not inward.is_eof and self.proxy.allowed(inward):
                events |= selectors.EVENT_READ
            if outward.waiting and self.proxy.allowed(outward) and self._is_connected:
                events |= selectors.EVENT_WRITE
        before = self._watched.get(sock, 0)
        if events != before:
            self._watched[sock] = events
            self.proxy.loop.watch(sock, before, events, lambda ready: self._ready(sock, ready))


class FaultProxy(object):
    """A TCP proxy on a free port of loopback, with faults that a test switches at any time.

    ::

        with FaultProxy(master.address) as proxy:
            driver = MesosSchedulerDriver(scheduler, framework, proxy.address)
            driver.start()
            master.await_subscribe()
            proxy.black_hole()

    `target` is ``host:port``, ``https://host:port`` (whose TLS passes through) or ``unix:///path``; the attribute may
    be set at any time and holds for new connections. A direction is ``'up'`` (from the client to the target),
    ``'down'`` or, where it is allowed, ``'both'``. It works in a thread of its own, between :meth:`start` and
    :meth:`stop` or inside ``with``. All methods are for any thread; a fault is in force when its method returns.
    A direction that is none raises UsageError.
    """

    def __init__(self, target, host='127.0.0.1', port=0):
        self.target = target
        self.host = host
        #: Connections accepted so far.
        self.connections = 0
        #: What is open (the proxy's thread's).
        self.links = []
        #: Bytes forwarded so far, by direction (the proxy's thread's).
        self.counted = {UP: 0, DOWN: 0}
        self.loop = Loop('pymesos-fault-proxy', self._close_all)
        # Keeps the port ours while nobody listens.
        self._holder = socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET, socket.SOCK_STREAM)
        close_on_exec(self._holder).setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._holder.bind((host, port))
        #: The port it listens on.
        self.port = self._holder.getsockname()[1]
        self._listener = None
        self._listen()
        self._holes = set()
        self._drips = {}
        self._cut = None

    # -- life -------------------------------------------------------------------------------------------

    def start(self):
        """Begin to forward; returns the proxy itself."""
        self.loop.start()
        return self

    def stop(self):
        """Close all connections and the port, and wait for the thread. Twice is fine."""
        self.loop.stop()

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc_info):
        self.stop()

    @property
    def target(self):
        """Where new connections lead (text)."""
        return self._target

    @target.setter
    def target(self, text):
        address = parse_address(text)
        if address.scheme == 'unix':
            self.target_address = socket.AF_UNIX, address.path
        else:
            found = socket.getaddrinfo(address.host, address.port, socket.AF_UNSPEC, socket.SOCK_STREAM)[0]
            self.target_address = found[0], found[4]
        self._target = text

    @property
    def netloc(self):
        """``host:port`` of the proxy, with brackets round an IPv6 address."""
        return ('[%s]:%d' if ':' in self.host else '%s:%d') % (self.host, self.port)

    @property
    def address(self):
        """What a driver takes for the target: the proxy's ``host:port``, with ``https://`` if the target has it."""
        return 'https://' + self.netloc if self.target.startswith('https://') else self.netloc

    @property
    def open_connections(self):
        """How many connections are open. Inside a black hole one that a side has left counts as open."""
        return len(self.links)

    @property
    def bytes_up(self):
        """Bytes forwarded to the target so far."""
        return self.loop.carry_out(lambda: self.counted[UP])

    @property
    def bytes_down(self):
        """Bytes forwarded to clients so far."""
        return self.loop.carry_out(lambda: self.counted[DOWN])

    # -- faults -----------------------------------------------------------------------------------------

    def pass_through(self):
        """End :meth:`black_hole`, :meth:`drip` and :meth:`cut_after`; what was held back goes on."""
        self.loop.carry_out(self._pass_through)

    def black_hole(self, direction=BOTH):
        """Keep all connections open, accept new ones, and forward nothing in a direction, not even the end.

        Nothing is lost: :meth:`pass_through` forwards it. A connection accepted while ``'up'`` is closed reaches the
        target only then.
        """
        self._change(lambda: self._holes.update(_ways(direction)))

    def drip(self, bytes_per_second, direction=DOWN):
        """Forward so few bytes a second (at least 1) on each connection."""
        if bytes_per_second < 1:
            raise UsageError('cannot drip %r bytes per second: expected 1 or more' % (bytes_per_second,))
        interval = max(1.0 / bytes_per_second, TICK)
        drip = (interval, max(1, int(bytes_per_second * interval)))
        for way in _ways(direction):
            self.loop.carry_out(lambda way=way: self._begin_drip(way, drip))

    def half_close(self, direction=DOWN):
        """FIN on all open connections: ``'down'`` tells the clients that the target sends no more."""
        def shut():
            for link in list(self.links):
                for way in _ways(direction):
                    link.ways[way].must_shut = True
        self._change(shut)

    def reset(self):
        """RST on both sides of all open connections."""
        self.loop.carry_out(lambda: [link.reset() for link in list(self.links)])

    def close_connections(self):
        """FIN on both sides of all open connections, as when the target's process dies."""
        self.loop.carry_out(lambda: [link.close() for link in list(self.links)])

    def refuse(self):
        """Stop listening: new connections are refused, open ones stay."""
        self.loop.carry_out(self._refuse)

    def accept(self):
        """Listen again, on the same port."""
        self.loop.carry_out(self._listen)

    def cut_after(self, count, direction=DOWN, with_reset=True):
        """Cut the first connection on which `count` more bytes went in a direction: exactly so many, once.

        With RST to both sides, or FIN without `with_reset`.
        """
        def arm():
            self._cut = (_one_way(direction), count, with_reset)
            self._set_left()
        self._change(arm)

    def garbage(self, data=GARBAGE, direction=DOWN):
        """Inject bytes into all open connections, behind what is on its way."""
        def inject():
            for link in self.links:
                for way in _ways(direction):
                    link.ways[way].waiting += data
        self._change(inject)

    # -- the proxy's thread -----------------------------------------------------------------------------

    def allowed(self, way):
        """How many bytes may go a way now."""
        if way.name in self._holes:
            return 0
        return way.credit if way.name in self._drips else PIECE

    def cut_left(self, name):
        """After how many bytes that way a new link is to be cut, or None."""
        return self._cut[1] if self._cut is not None and self._cut[0] == name else None

    def cut(self, link):
        """The link has forwarded as many bytes as :meth:`cut_after` wants."""
        _, _, with_reset = self._cut
        self._cut = None
        self._set_left()
        if with_reset:
            link.reset()
        else:
            link.close()

    def _set_left(self):
        for link in self.links:
            for name, way in link.ways.items():
                way.left = self.cut_left(name)

    def _change(self, change):
        def carry():
            change()
            for link in list(self.links):
                link.update()
        self.loop.carry_out(carry)

    def _pass_through(self):
        self._holes.clear()
        self._drips.clear()
        self._cut = None
        self._set_left()
        for link in list(self.links):
            link.update()

    def _begin_drip(self, way, drip):
        self._drips[way] = drip

        def tick():
            if self._drips.get(way) is not drip:
                return
            for link in list(self.links):
                link.ways[way].credit = drip[1]
                link.update()
            self.loop.call_at(monotonic() + drip[0], tick)

        tick()

    def _accept(self, _events):
        try:
            client, _ = self._listener.accept()
        except socket_errors:           # gone again
            return
        close_on_exec(client)
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connections += 1
        link = _Link(self, client)
        self.links.append(link)
        link.update()

    def _refuse(self):
        if self._listener is not None:
            self.loop.watch(self._listener, selectors.EVENT_READ, 0, None)
            self._listener.close()
            self._listener = None

    def _listen(self):
        if self._listener is None:
            self._listener = listen(self.host, self.port, None)
            self.loop.watch(self._listener, 0, selectors.EVENT_READ, self._accept)

    def _close_all(self):
        for link in list(self.links):
            link.close()
        for sock in (self._listener, self._holder):
            if sock is not None:
                sock.close()


def _ways(direction):
    if direction not in (UP, DOWN, BOTH):
        raise UsageError("there is no direction %r: expected 'up', 'down' or 'both'" % (direction,))
    return (UP, DOWN) if direction == BOTH else (direction,)


def _one_way(direction):
    if direction not in (UP, DOWN):
        raise UsageError("there is no direction %r: expected 'up' or 'down'" % (direction,))
    return direction

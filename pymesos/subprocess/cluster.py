"""The cluster that commands run on: one framework for each master and process, from its first use to its end."""
from __future__ import absolute_import, division, print_function

import atexit
import itertools
import logging
import os
import socket
import sys
import threading
import uuid

from .._compat import monotonic, socket_errors
from ..detector import first_peers
from ..errors import UsageError
from .config import resolve
from .framework import infos
from .framework.bundle import bundle, command_line, installed_command_line
from .framework.keeper import Job, Keeper
from .framework.placement import Wanted, parse_constraints
from .framework.remote import Remote
from .scheduler import CommandScheduler, Driver, make_framework
from .streams.hub import Hub

__all__ = ['Cluster', 'default']

logger = logging.getLogger(__name__)

#: Seconds that the end of a cluster waits for its commands to be dead.
CLOSE_TIMEOUT = 5.0

#: Seconds that it waits for a subscription that is under way.
ONLINE_TIMEOUT = 1.0

#: Which wishes are remembered, so that equal ones are one object.
MOST_WISHES = 1000

WILDCARDS = ('0.0.0.0', '::')

LOOPBACK = '127.0.0.1'

# Of this process and its parents: (pid, Runtime). Appending and copying are atomic, and need no lock in a child.
_runtimes = []

# (master, principal, secret): Cluster. setdefault is atomic.
_clusters = {}


def default():
    """The :class:`Cluster` for CONFIG and the environment as they are now; the same one for the same master.

    What CONFIG says of commands (``default_cpus`` and so on) holds for those that are launched after it changed. From
    any thread; in a forked child it is another framework than in the parent, whose one is left alone.
    """
    settings = resolve()
    cluster = _clusters.get(settings.key())
    if cluster is None:
        cluster = _clusters.setdefault(settings.key(), Cluster._of(settings))
    cluster.settings = settings
    return cluster


class Cluster(object):
    """A master, and what runs commands on it. For any thread; a context manager that closes it.

    `master` and `options` are those of :data:`pymesos.subprocess.CONFIG`, which counts for what is left out, and the
    environment after it. Nothing is connected before the first command. Raises :class:`UsageError`.

    In a forked child it makes a framework of its own when it is used there; the parent's is left alone.
    """

    def __init__(self, master=None, **options):
        #: The :class:`~.config.Settings`.
        self.settings = resolve(dict(options, master=master))
        self._set_up()

    @classmethod
    def _of(cls, settings):
        made = cls.__new__(cls)
        made.settings = settings
        made._set_up()
        return made

    def _set_up(self):
        # By process: a lock that guards the making of a runtime, and the Runtime. Those of a parent are not touched.
        self._locks = {}
        self._runtime = None

    def __repr__(self):
        return '<Cluster %s>' % self.settings.shown_master

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.close()

    @property
    def framework_id(self):
        """The framework's id, None before there is one."""
        runtime = self._running()
        return runtime.driver.framework_id if runtime is not None else None

    def launch(self, request, spec, streams):
        """Run a command; returns its :class:`~.remote.Remote` at once.

        `request` is a :class:`~.request.Request`, `spec` the START message of :func:`~.request.make_spec`, `streams`
        :class:`~.request.Streams`: their descriptors are the cluster's from now on, even if this raises.
        Raises :class:`UsageError` for what cannot be asked, :class:`pymesos.errors.ConnectionFailed` if the port cannot
        be listened on.
        """
        try:
            settings = self.settings
            runtime = self._runtime_for()
            prepared = runtime.prepare(settings, request, spec, streams)
        except BaseException:
            for stream in streams:
                if stream is not None:
                    os.close(stream.descriptor)
            raise
        # From here on the keeper closes them, whatever interrupts us.
        return runtime.submit(prepared)

    def close(self, timeout=CLOSE_TIMEOUT):
        """Kill what runs, wait for up to `timeout` seconds until it is dead, and tear the framework down.

        Whatever a command has written and nobody has read by then may be lost. The next command starts a new
        framework. Twice is fine, and so is a process that has not used it.
        """
        runtime = self._running()
        if runtime is not None:
            runtime.close(timeout)

    def _running(self):
        runtime = self._runtime
        return runtime if runtime is not None and runtime.is_usable() else None

    def _runtime_for(self):
        runtime = self._running()
        if runtime is not None:
            return runtime
        with self._locks.setdefault(os.getpid(), threading.Lock()):
            runtime = self._running()
            if runtime is None:
                if self.settings.is_assumed:
                    logger.info('no master is configured (MESOS_MASTER is not set): commands run on the embedded '
                                'cluster of this program')
                runtime = self._runtime = Runtime(self.settings)
            return runtime


class Runtime(object):
    """What a :class:`Cluster` has while it is in use, in one process: a port, a framework, a keeper."""

    def __init__(self, settings):
        self._settings = settings
        self._pid = os.getpid()
        self._numbers = itertools.count(1)
        self._kinds = {}
        self._wishes = {}
        self._bundle_path = None
        self._has_ended = False
        # Guards close(): one thread at a time.
        self._closing = threading.Lock()
        made = None if settings.use_installed_executor else bundle()
        self._command = (installed_command_line(settings.python) if made is None
                         else command_line(settings.python, made))
        host, advertised = settings.host, settings.advertised_host
        if host is None or (advertised is None and host in WILDCARDS):
            facing = _facing_address(settings.master)
            host, advertised = host or facing, advertised or facing
        self.hub = Hub(host, settings.port, advertised, settings.advertised_port,
                       lambda: self.keeper.over())
        self.keeper = Keeper(self.hub, settings, self._gone)
        self.hub.start()
        try:
            if made is not None:
                self._bundle_path = self.hub.publish(uuid.uuid4().hex, made.name, made.data)
            self.driver = Driver(CommandScheduler(self.keeper), make_framework(settings, [settings.role]),
                                 settings.master, principal=settings.principal, secret=settings.secret,
                                 timeout=max(settings.failover_timeout, settings.master_timeout), tls=settings.tls)
            self.keeper.driver = self.driver
            self.driver.start()
        except BaseException:
            self.hub.stop()
            raise
        _remember(self)

    def is_usable(self):
        """Whether it belongs to this process and has not ended."""
        return self._pid == os.getpid() and not self._has_ended

    def prepare(self, settings, request, spec, streams):
        """What :meth:`submit` takes for a command. See :meth:`Cluster.launch` for the arguments and what is raised.

        `settings` are those of the moment, for what the request leaves open.
        """
        wanted, kind = self._wish(settings, request)
        max_retries = settings.max_retries if request.max_retries is None else request.max_retries
        start_timeout = settings.start_timeout if request.start_timeout is None else request.start_timeout
        remote = Remote(self.keeper, next(self._numbers))
        return Job(remote, request, spec, streams, kind), wanted, max_retries, start_timeout

    def submit(self, prepared):
        """Run a command; returns its :class:`~.remote.Remote`."""
        self.keeper.submit(*prepared)
        return prepared[0].remote

    def _wish(self, settings, request):
        """(:class:`Wanted`, :class:`infos.Kind`), the same objects for requests that want the same."""
        role = settings.role if request.role is None else request.role
        defaults = settings.default_cpus, settings.default_mem, settings.default_gpus, settings.default_disk
        key = repr((request.cpus, request.mem, request.gpus, request.disk, role, request.constraints, request.image,
                    request.uris, defaults))
        found = self._wishes.get(key)
        if found is None:
            kind = infos.make_kind(self._command, self._bundle_uri(), request, self._settings, role)
            kind = self._kinds.setdefault(kind.name, kind)
            wanted = Wanted(infos.make_resources(request, settings), parse_constraints(request.constraints), role,
                            kind.name, self._settings.executor_resources)
            if len(self._wishes) >= MOST_WISHES:
                self._wishes.clear()
            found = self._wishes.setdefault(key, (wanted, kind))
        return found

    def _bundle_uri(self):
        if self._bundle_path is None:
            return None
        host, port = self.hub.address
        return 'http://%s:%d%s' % ('[%s]' % host if ':' in host else host, port, self._bundle_path)

    def _gone(self, why):
        """The driver has ended by itself. On the hub's loop."""
        logger.error('%s', why)
        self._has_ended = True
        thread = threading.Thread(target=self._clean_up, name='pymesos-subprocess-end')
        thread.daemon = True
        try:
            thread.start()
        except RuntimeError as error:   # the interpreter is ending
            logger.debug('the threads of the framework are left to their end: %s', error)

    def close(self, timeout):
        """Kill what runs, wait, tear down; see :meth:`Cluster.close`."""
        if self._pid != os.getpid():
            return                      # the lock may have been taken when this process was forked
        with self._closing:
            if not self.is_usable():
                return
            deadline = monotonic() + timeout
            self._has_ended = True
            self.keeper.tell(self.keeper.close)
            if not self.keeper.idle.wait(max(0.0, deadline - monotonic())):
                logger.warning('commands are still running after %g s; they end with the framework', timeout)
            # The master may know a framework that does not know so yet; without a subscription it cannot be torn down.
            self.keeper.online.wait(min(ONLINE_TIMEOUT, timeout))
            self.driver.stop()
            self.driver.finish_leaving()
            self._clean_up()

    def _clean_up(self):
        self.driver.stop()
        if not self.driver._life.is_own_thread():
            self.driver.join()
        self.hub.stop()
        _forget(self)


def _facing_address(master):
    """The address (text) of this machine with which it reaches the master: loopback for one on this machine."""
    for peer in first_peers(master):
        if peer.scheme == 'unix':
            continue
        try:
            # What is sent nothing needs no answer: the system only chooses the way.
            family, kind, protocol, _name, address = socket.getaddrinfo(peer.host, peer.port, 0, socket.SOCK_DGRAM)[0]
            probe = socket.socket(family, kind, protocol)
            try:
                probe.connect(address)
                return probe.getsockname()[0]
            finally:
                probe.close()
        except socket_errors as error:
            logger.warning('cannot tell which address of this machine faces %s: %s', peer, error)
    return LOOPBACK


def _remember(runtime):
    _runtimes.append(runtime)
    # Again for each: what is registered last runs first, and with the master 'local' the embedded cluster's own end
    # has been registered just now.
    atexit.register(_close_all)
    if 'multiprocessing.util' in sys.modules:
        # A process of multiprocessing ends without atexit.
        sys.modules['multiprocessing.util'].Finalize(None, _close_all, exitpriority=100)


def _forget(runtime):
    try:
        _runtimes.remove(runtime)
    except ValueError:
        pass                            # twice


def _close_all():
    """End all clusters of this process."""
    for runtime in list(_runtimes):
        try:
            runtime.close(CLOSE_TIMEOUT)
        except (RuntimeError, UsageError) as error:     # the interpreter is ending
            logger.debug('a cluster could not be ended: %s', error)

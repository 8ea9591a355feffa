"""Who leads? Turns what a user wrote for the master into addresses to try, and tells when they change."""
from __future__ import absolute_import, division, print_function

import io
import logging
import threading

import six

from .errors import InvalidAddress, UsageError, excerpt
from .utils import hide_secret, parse_address

__all__ = ['Detector', 'FixedDetector', 'LocalDetector', 'ZooKeeperDetector', 'detect', 'first_peers']

#: Where ZooKeeper listens if an address names no port.
ZOOKEEPER_PORT = 2181

#: Bytes that are read of a file that names the master.
FILE_LIMIT = 65536

#: Seconds that stop() waits for a listener that is being called; one that is quick has returned by then.
GRACE = 0.05

FORMS = ('expected host:port, https://host:port, several of these with commas between them, '
         'zk://host:port,.../path, file:///path or local')

_ZOOKEEPER = ('zk://', 'zoo://')

logger = logging.getLogger(__name__)


def detect(master_uri, listener, scheme='http'):
    """A :class:`Detector` for `master_uri`, which tells `listener` who leads once it is started.

    `master_uri` is one of (PROTOCOL 6)

    - ``host``, ``host:port`` (5050 if left out), ``[::1]:5050``, ``https://host:port``, ``master@host:port``
    - several of these with commas between them, to be tried in their order
    - ``zk://[user:password@]host:port,.../path`` (2181 if left out), or ``zoo://``: ZooKeeper names the leader. With
      a user, digest authentication is used; the last ``@`` ends the password
    - ``local``: the embedded cluster that this process shares, started if nobody uses it yet
      (:func:`pymesos.local.shared.acquire`)
    - ``file:///path``: the file holds, with space around it, one of the forms above. It is read here, once

    `listener` is called with a tuple of :class:`pymesos.utils.Address` in the order to try, () if nobody leads or it
    is not known any more: each time that this changes (it is () before the first time), on the thread that calls
    ``start()`` or on one of the detector's own. It must not block. What it raises is logged and changes nothing.

    `scheme` (``'http'`` or ``'https'``) is used where the address names none; ZooKeeper never names one.

    Connects to nothing. Raises :class:`InvalidAddress` for what is none of these and for a file that cannot be read,
    and :class:`UsageError` where ZooKeeper is wanted and kazoo is missing.
    """
    if scheme not in ('http', 'https'):
        raise UsageError("the scheme is 'http' or 'https', not %r" % (scheme,))
    if not isinstance(master_uri, six.string_types):
        raise InvalidAddress('cannot use the master %r: %s' % (master_uri, FORMS), master_uri)
    uri = master_uri.strip()
    if uri.startswith('file://'):
        uri = _read_file(uri)
    if uri == 'local':
        return LocalDetector(listener)
    if uri.startswith(_ZOOKEEPER):
        return ZooKeeperDetector(uri, listener, scheme)
    return FixedDetector(uri, listener, scheme)


def first_peers(master_uri):
    """The addresses, a list of :class:`pymesos.utils.Address`, with which one gets to the leader of `master_uri`.

    Masters, or ZooKeeper's servers; [] for the embedded cluster, which is in this process. Connects to nothing. Raises
    :class:`InvalidAddress`.
    """
    uri = master_uri.strip()
    if uri.startswith('file://'):
        uri = _read_file(uri)
    if uri == 'local':
        return []
    if uri.startswith(_ZOOKEEPER):
        return [parse_address(server, ZOOKEEPER_PORT) for server in parse_zookeeper(uri)[0].split(',')]
    return [_parse_master(item, uri, 'http') for item in uri.split(',')]


class Detector(object):
    """Tells a listener who leads, from :meth:`start` to :meth:`stop`; for one use."""

    def __init__(self, name, listener):
        self._name = name                   # for texts, without a password
        self._listener = listener
        self._last = ()
        self._is_started = False
        self._is_stopped = False
        self._caller = None                 # the thread that is in the listener
        self._idle = threading.Event()      # set while none is
        self._idle.set()

    def __repr__(self):
        return '<%s %s>' % (type(self).__name__, self._name)

    def prepare(self):
        """Do what :meth:`start` would have to do and what may fail or take a while; before it, once if at all.

        Raises :class:`OSError` and :class:`pymesos.errors.UsageError` if the embedded cluster cannot be started.
        """

    def start(self):
        """Begin to tell; returns at once. Does nothing after :meth:`stop`, or the second time."""
        if not self._is_started and not self._is_stopped:
            self._is_started = True
            self._begin()

    def stop(self):
        """Tell nothing any more. Returns at once, from any thread, the listener and a signal handler; twice is fine.

        The listener is not called after this has returned. If a call is under way on another thread, its end is
        awaited for up to 50 ms.
        """
        # No lock: a signal handler may have interrupted this very method.
        if self._is_stopped:
            return
        self._is_stopped = True
        self._end()
        if self._caller is not threading.current_thread():
            self._idle.wait(GRACE)

    def _announce(self, candidates):
        """Tell the listener unless it knows; by one thread at a time."""
        if candidates == self._last:
            return
        self._caller = threading.current_thread()
        self._idle.clear()
        try:
            # Here idle is cleared before the flag is read and in stop() the flag is set before idle is read, so one
            # of the two sees the other.
            if not self._is_stopped:
                self._last = candidates
                self._log_change(candidates)
                self._listener(candidates)
        except Exception:
            logger.exception('the listener of %r raised an exception', self)
        finally:
            self._caller = None
            self._idle.set()

    def _begin(self):
        raise NotImplementedError

    def _end(self):
        pass

    def _log_change(self, candidates):
        pass


class FixedDetector(Detector):
    """Tells the addresses that the user wrote, once."""

    def __init__(self, uri, listener, scheme='http'):
        super(FixedDetector, self).__init__(uri, listener)
        self._addresses = tuple(_parse_master(item, uri, scheme) for item in uri.split(','))

    def _begin(self):
        self._announce(self._addresses)


class LocalDetector(Detector):
    """Tells the master of the embedded cluster, which lives as long as somebody who said ``local`` is not stopped."""

    def __init__(self, listener):
        super(LocalDetector, self).__init__('local', listener)
        self._cluster = None

    def prepare(self):
        if self._cluster is None and not self._is_stopped:
            # Here and not above: most programs never use it.
            from .local import shared
            self._cluster = shared.acquire()
            if self._is_stopped:
                self._end()

    def _begin(self):
        self.prepare()
        if self._cluster is not None:
            self._announce((parse_address(self._cluster.master, scheme='http'),))

    def _end(self):
        cluster, self._cluster = self._cluster, None
        if cluster is not None:
            from .local import shared
            shared.release(cluster)


class ZooKeeperDetector(Detector):
    """Tells the leader that ZooKeeper names, at each change."""

    def __init__(self, uri, listener, scheme='http'):
        super(ZooKeeperDetector, self).__init__(shown(uri), listener)
        hosts, path, credential = parse_zookeeper(uri)
        try:
            from . import zookeeper
        except (ImportError, SyntaxError) as error:     # SyntaxError: a kazoo made for another Python
            raise UsageError('the master %s needs kazoo, which cannot be imported (%s): pip install pymesos[zookeeper]'
                             % (self._name, error))
        self._watch = zookeeper.Watch(hosts, path, credential, scheme, self._announce, zookeeper.SESSION_TIMEOUT)

    def _begin(self):
        self._watch.start()

    def _end(self):
        self._watch.stop()

    def _log_change(self, candidates):
        if candidates:
            logger.info('%s: the leading master is %s', self._name, candidates[0])
        else:
            logger.info('%s: there is no leading master', self._name)


def parse_zookeeper(uri):
    """(``host:port,...``, path, ``user:password`` or None) of a ``zk://`` address; raises :class:`InvalidAddress`."""
    text = uri.decode('utf-8', 'replace') if isinstance(uri, bytes) else uri        # 2.7's str
    credential, _, rest = text.partition('://')[2].rpartition('@')
    servers, _, path = rest.partition('/')
    names = path.rstrip('/').split('/')
    if credential and (':' not in credential or credential.startswith(':')):
        raise _invalid(uri, 'expected user:password before the @')
    if not names[0]:
        raise _invalid(uri, 'expected a path after the servers, such as zk://10.0.0.1:2181/mesos')
    if not all(names) or '.' in names or '..' in names or u'\0' in path:
        raise _invalid(uri, 'the path may have no empty part, no . and no ..')
    try:
        addresses = [parse_address(server, ZOOKEEPER_PORT) for server in servers.split(',')]
    except InvalidAddress as error:
        raise _invalid(uri, error)
    return ','.join(address.netloc for address in addresses), '/' + '/'.join(names), credential or None


def _parse_master(item, uri, scheme):
    item = item.strip()
    if not item or '://' in item and not item.startswith(('http://', 'https://', 'unix://')):
        raise _invalid(uri, FORMS)
    return parse_address(item, scheme=scheme)


def _read_file(uri):
    path = uri[len('file://'):]
    if not path.startswith('/'):
        raise InvalidAddress('cannot use the master %s: file:// wants an absolute path' % excerpt(uri), uri)
    try:
        with io.open(path, 'rb') as stream:
            data = stream.read(FILE_LIMIT + 1)
        text = data.decode('utf-8')
    except (EnvironmentError, ValueError) as error:     # ValueError: not UTF-8, or a NUL in the path
        raise InvalidAddress('cannot read the master from %s: %s' % (uri, error), uri)
    content = (data if isinstance(data, str) else text).strip()        # 2.7's str is bytes
    if not content or len(data) > FILE_LIMIT:
        raise InvalidAddress('cannot read the master from %s: it is %s, %s'
                             % (uri, 'too long' if content else 'empty', FORMS), uri)
    if content.startswith('file://'):
        raise InvalidAddress('cannot read the master from %s: it names a file again' % uri, uri)
    return content


def shown(uri):
    """`uri` as a text may quote it. Before the ``@`` of ZooKeeper's there is a password, or half of one."""
    if uri.startswith(_ZOOKEEPER) and '@' in uri:
        return uri.partition('://')[0] + '://***@' + uri.rpartition('@')[2]
    return hide_secret(uri)


def _invalid(uri, why):
    text = shown(uri)
    return InvalidAddress('cannot use the master %s: %s' % (excerpt(text), why), text)

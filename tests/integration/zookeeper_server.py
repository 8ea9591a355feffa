"""A real ZooKeeper for tests: one server on a free port of the loopback, from Debian's package ``zookeeper``."""
from __future__ import absolute_import, division, print_function

import errno
import io
import os
import random
import shutil
import socket
import subprocess
import tempfile

from pymesos.testing import wait_until

#: Below the ports that the kernel takes for outgoing connections (32768 and up), so that a server that was killed
#: finds its port free, and apart from those of the real Mesos.
FIRST_PORT, LAST_PORT = 28500, 30900

#: Seconds that a server may take to answer. Java needs two, on a busy machine ten times that.
START_TIMEOUT = 120.0

#: Milliseconds. The shortest session that the server grants is two of them.
TICK = 500

LOG_TAIL_BYTES = 6000

CONFIGURATION = u"""\
tickTime={tick}
dataDir={folder}/data
clientPort={port}
clientPortAddress={host}
maxClientCnxns=0
admin.enableServer=false
4lw.commands.whitelist=srvr,conf
"""


class ZooKeeperMissing(Exception):
    """ZooKeeper cannot be started here; the text says what is missing."""


def class_path():
    """Java's class path of ZooKeeper; :class:`ZooKeeperMissing` if there is none, or no Java."""
    folder = os.environ.get('PYMESOS_JARS', '/usr/share/java')
    jar = os.path.join(folder, 'zookeeper.jar')
    if not os.path.exists(jar):
        raise ZooKeeperMissing(
            'the ZooKeeper server for the tests is missing: no %s. Install it (apt-get install zookeeper), or set '
            'PYMESOS_NO_ZOOKEEPER=1 to skip what needs it.' % jar)
    try:
        with open(os.devnull, 'r+b') as null:
            subprocess.call(['java', '-version'], stdin=null, stdout=null, stderr=null, close_fds=True)
    except OSError as error:
        raise ZooKeeperMissing(
            'the ZooKeeper server for the tests needs java on the PATH: %s. Install it (apt-get install '
            'default-jre-headless), or set PYMESOS_NO_ZOOKEEPER=1 to skip what needs it.' % error)
    # The first is to make the server write what happens; without it, it is mute.
    return os.path.join(folder, 'slf4j-simple.jar') + os.pathsep + jar


class ZooKeeperServer(object):
    """``with ZooKeeperServer() as server``: a server with an empty tree; ``server.hosts`` is ``host:port``."""

    def __init__(self, host='127.0.0.1'):
        self.host = host
        self.port = None
        self._folder = None
        self._process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc_info):
        self.stop()

    @property
    def hosts(self):
        """``host:port``, with brackets round an IPv6 address."""
        return ('[%s]:%d' if ':' in self.host else '%s:%d') % (self.host, self.port)

    def start(self):
        """Start, and wait until it answers; after :meth:`kill` on the same port, with the same tree."""
        if self._folder is None:
            self._folder = tempfile.mkdtemp(prefix='pymesos-zookeeper-')
        candidates = [self.port] if self.port else random.sample(range(FIRST_PORT, LAST_PORT), 20)
        for port in candidates:
            if _is_free(self.host, port):
                self.port = port
                self._launch()
                if wait_until(lambda: self._is_answering() or self._has_ended(), START_TIMEOUT,
                              'ZooKeeper to answer') == 'answering':
                    return self
                self.kill()
        raise AssertionError('ZooKeeper did not start on any of the ports %s:\n%s' % (candidates, self.log_tail()))

    def kill(self):
        """Kill -9 and wait for the end."""
        process, self._process = self._process, None
        if process is not None:
            if process.poll() is None:
                process.kill()
            process.wait()

    def stop(self):
        """Kill it and remove its files. Twice is fine."""
        self.kill()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def log_tail(self):
        """The last lines that the server wrote."""
        try:
            with io.open(os.path.join(self._folder, 'log'), encoding='utf-8', errors='replace') as stream:
                return stream.read()[-LOG_TAIL_BYTES:]
        except (IOError, OSError, TypeError):
            return 'no log'

    def _launch(self):
        path = os.path.join(self._folder, 'zoo.cfg')
        with io.open(path, 'w') as stream:
            stream.write(CONFIGURATION.format(tick=TICK, folder=self._folder, port=self.port, host=self.host))
        command = ['java', '-Xmx256m', '-XX:+UseSerialGC', '-Djava.net.preferIPv4Stack=%s'
                   % ('false' if ':' in self.host else 'true'), '-Dzookeeper.admin.enableServer=false', '-cp',
                   class_path(), 'org.apache.zookeeper.server.ZooKeeperServerMain', path]
        with open(os.path.join(self._folder, 'log'), 'ab') as log, open(os.devnull, 'rb') as null:
            self._process = subprocess.Popen(command, stdin=null, stdout=log, stderr=log, close_fds=True,
                                             cwd=self._folder)

    def _has_ended(self):
        return 'ended' if self._process.poll() is not None else None

    def _is_answering(self):
        # Before it serves it says so, and does not answer what wants a session. Nor may it be somebody else's server.
        is_ours = self._folder.encode('utf-8') in self._ask(b'conf') and b'Mode: ' in self._ask(b'srvr')
        return 'answering' if is_ours else None

    def _ask(self, word):
        try:
            connection = socket.create_connection((self.host, self.port), 1.0)
        except (OSError, socket.error):
            return b''
        try:
            connection.sendall(word)
            return _read_all(connection)
        except (OSError, socket.error):
            return b''
        finally:
            connection.close()


def _read_all(connection):
    parts = []
    while not parts or parts[-1]:
        parts.append(connection.recv(4096))
    return b''.join(parts)


def _is_free(host, port):
    listener = socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        return True
    except (OSError, socket.error) as error:
        if error.errno == errno.EADDRINUSE:
            return False
        raise
    finally:
        listener.close()

"""The one embedded cluster that everybody shares who says ``local`` for the master."""
from __future__ import absolute_import, division, print_function

import atexit
import os
import threading

from ..errors import UsageError
from .cluster import LocalCluster

__all__ = ['acquire', 'release']

# Guards _held. It is held while the cluster starts and ends: who comes meanwhile waits for it.
_lock = threading.Lock()


class _Held(object):
    """The cluster, how many use it, and in which process."""

    cluster = None
    users = 0
    process = None


_held = _Held()


def acquire():
    """The shared cluster, started if this is its first user; :func:`release` it afterwards. From any thread.

    It is made as the environment says (PROTOCOL 6): MESOS_NUM_SLAVES agents (1), with MESOS_RESOURCES (this machine's)
    and MESOS_ATTRIBUTES each, MESOS_ROLES, and sandboxes in MESOS_WORK_DIR (a temporary folder). Raises
    :class:`UsageError` for a value that cannot be, :class:`OSError` if it cannot listen or make folders.
    """
    with _lock:
        if _held.process != os.getpid():
            # A child that was forked has its parent's record, and nothing of the cluster itself.
            if _held.process is None:
                atexit.register(_end)
            _held.process, _held.cluster, _held.users = os.getpid(), None, 0
        if _held.cluster is None:
            _held.cluster = LocalCluster(**_settings(os.environ)).start()
        _held.users += 1
        return _held.cluster


def release(cluster):
    """Say that a user of the shared cluster is done; the last one ends it."""
    with _lock:
        if _held.process != os.getpid() or cluster is not _held.cluster:
            return
        _held.users -= 1
        if not _held.users:
            _close()


def _end():
    # At the end of the program, whoever has not released it.
    with _lock:
        if _held.process == os.getpid() and _held.cluster is not None:
            _close()


def _close():
    cluster, _held.cluster, _held.users = _held.cluster, None, 0
    cluster.close()


def _settings(environment):
    """Keywords for :class:`LocalCluster`."""
    number = environment.get('MESOS_NUM_SLAVES', '1')
    if not number.isdigit():
        raise UsageError('MESOS_NUM_SLAVES is the number of agents of the embedded cluster, not %r' % number)
    roles = environment.get('MESOS_ROLES')
    return {'agents': int(number), 'resources': environment.get('MESOS_RESOURCES') or None,
            'attributes': environment.get('MESOS_ATTRIBUTES') or None, 'work_dir': environment.get('MESOS_WORK_DIR'),
            'roles': tuple(role.strip() for role in roles.split(',')) if roles else None}

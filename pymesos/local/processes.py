"""Looks through /proc for the processes that belong together, and kills them. Elsewhere than on Linux it finds none."""
from __future__ import absolute_import, division, print_function

import errno
import os
import signal

__all__ = ['Entry', 'family', 'is_marked', 'kill', 'kill_group', 'snapshot']

#: States of a process that has ended: it waits to be reaped, or is just being removed.
ENDED = frozenset('ZX')


class Entry(object):
    """A process as /proc shows it."""

    __slots__ = ('is_ended', 'parent', 'pid', 'session', 'start')

    def __init__(self, pid, parent, session, start, is_ended):
        self.pid = pid
        self.parent = parent
        self.session = session
        #: When it was started (text): with the pid it names a process for good.
        self.start = start
        self.is_ended = is_ended


def snapshot():
    """{pid: Entry} of all processes."""
    found = {}
    try:
        names = os.listdir('/proc')
    except OSError:
        return found
    for name in names:
        if name.isdigit():
            entry = _read(int(name))
            if entry is not None:
                found[entry.pid] = entry
    return found


def _read(pid):
    try:
        with open('/proc/%d/stat' % pid, 'rb') as stream:
            text = stream.read()
    except (IOError, OSError):          # it has ended since
        return None
    # pid (name) state ppid pgrp session ...; the name may hold brackets and blanks. starttime is the 22nd field.
    fields = text[text.rfind(b')') + 1:].split(None, 20)
    if len(fields) < 20:
        return None
    return Entry(pid, int(fields[1]), int(fields[3]), fields[19], fields[0].decode('ascii') in ENDED)


def family(table, sessions, roots=()):
    """{pid: session} of the processes in `table` that are in one of `sessions`, are one of `roots` ({pid: session}), or
    descend from such a one, whatever session they are in themselves.
    """
    children = {}
    for entry in table.values():
        children.setdefault(entry.parent, []).append(entry.pid)
    found = dict((pid, owner) for pid, owner in dict(roots).items() if pid in table)
    found.update((entry.pid, entry.session) for entry in table.values() if entry.session in sessions)
    waiting = list(found)
    while waiting:
        pid = waiting.pop()
        for child in children.get(pid, ()):
            if child not in found:
                found[child] = found[pid]
                waiting.append(child)
    return found


def is_marked(pid, directory):
    """Whether a process works in `directory` (bytes) or was given it in its environment."""
    try:
        if _is_below(os.readlink(b'/proc/%s/cwd' % str(pid).encode('ascii')), directory):
            return True
        with open('/proc/%d/environ' % pid, 'rb') as stream:
            variables = stream.read().split(b'\0')
    except (IOError, OSError):          # it has ended, or is not ours
        return False
    return any(_is_below(variable.partition(b'=')[2], directory) for variable in variables)


def _is_below(path, directory):
    return path == directory or path.startswith(directory + b'/')


def kill(pid, number=signal.SIGKILL):
    """Send a signal; False if there is no such process any more, or no such signal, or it is not ours."""
    return _send(os.kill, pid, number)


def kill_group(group, number=signal.SIGKILL):
    """Send a signal to a process group; False if there is none any more."""
    return _send(os.killpg, group, number)


def _send(function, target, number):
    try:
        function(target, number)
    except OSError as error:
        if error.errno not in (errno.ESRCH, errno.EPERM, errno.EINVAL):
            raise
        return False
    return True

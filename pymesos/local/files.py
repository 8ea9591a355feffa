"""Serves the files of sandboxes and logs, and no others: what LIST_FILES, READ_FILE and ``/files/*`` give."""
from __future__ import absolute_import, division, print_function

import errno
import fcntl
import grp
import os
import pwd
import stat

from .._compat import close_on_exec

__all__ = ['Files', 'Inaccessible', 'IsFolder']

#: Bytes that a file may have to be read as a whole: it is held in memory.
MAX_WHOLE = 256 * 1024 * 1024

#: Bytes of a path; none that the system takes is longer.
MAX_PATH = 4096

#: Where the descriptors of this process lead; None elsewhere than on Linux.
_DESCRIPTORS = '/proc/self/fd' if os.path.isdir('/proc/self/fd') else None

#: fcntl of macOS: the path of an open file.
F_GETPATH = 50


class Inaccessible(ValueError):
    """A path leads out of what is attached, or to something that is no file; the text is that of Mesos."""


class IsFolder(ValueError):
    """A folder cannot be read; the text is that of Mesos."""


class Files(object):
    """Folders and files under virtual paths (PROTOCOL 4.1, LIST_FILES and READ_FILE).

    Paths may hold ``..`` and go by symbolic links as long as they stay in what is attached: that is looked up for the
    file that was opened, so that nobody can exchange it meanwhile. Methods are for one thread; they read small pieces
    of local files and open no FIFO or device. A path that is not attached, or not there, is a LookupError.
    """

    def __init__(self):
        self._attached = {}             # virtual path -> real path, both bytes
        self._names = {}                # ('uid' or 'gid', number) -> name

    def attach(self, path, name):
        """Serve a folder or file, which may still be missing, under the virtual path `name`, now and below."""
        self._attached[_to_bytes(name).rstrip(b'/')] = _target(path)

    def attach_sandbox(self, directory):
        """Serve a sandbox as Mesos' agent does: under its own path, and that of an executor, which is
        ``.../frameworks/F/executors/E/runs/C``, as ``runs/latest`` too, there and below ``/frameworks``.
        """
        for name in _names_of(directory):
            self.attach(directory, name)

    def detach_sandbox(self, directory):
        """Serve a sandbox no longer; ``runs/latest`` stays if it is another one by now."""
        for name in _names_of(directory):
            if self._attached.get(_to_bytes(name)) == _target(directory):
                self.detach(name)

    def detach(self, name):
        """Serve it no longer; harmless if it was not."""
        self._attached.pop(_to_bytes(name).rstrip(b'/'), None)

    def attachments(self):
        """{virtual path: real path} of all, as ``/files/debug`` shows it."""
        return dict((_to_text(name), _to_text(path)) for name, path in self._attached.items())

    def list(self, path):
        """What is in a folder, sorted by name: [{'path', 'nlink', 'size', 'mtime', 'mode', 'uid', 'gid'}].

        `path` of an entry begins as it was asked for, `mtime` is in seconds, `uid` and `gid` are names. A file has
        no entries. A link is shown as what it leads to if that is attached too, else as a link. Raises
        :class:`Inaccessible` and LookupError.
        """
        asked = _to_bytes(path).rstrip(b'/')
        number, root, shown = self._open(asked)
        try:
            if not stat.S_ISDIR(os.fstat(number).st_mode):
                return []
            place = _place(number)
            # By way of the descriptor: the path may lead elsewhere by now.
            folder = place if _DESCRIPTORS is None else _descriptor_path(number)
            try:
                names = sorted(os.listdir(folder))
            except OSError:
                raise _inaccessible(shown)
            found = [(name, _status(folder, place, name, root)) for name in names]
            return [self._describe(asked + b'/' + name, status) for name, status in found if status is not None]
        finally:
            os.close(number)

    def read(self, path, offset=0, length=None):
        """(size, bytes): how long a file is, and up to `length` bytes of it from `offset` on; None: all, up to 256 MiB.

        Raises :class:`Inaccessible`, :class:`IsFolder` and LookupError.
        """
        number, _root, shown = self._open(_to_bytes(path).rstrip(b'/'))
        try:
            status = os.fstat(number)
            if stat.S_ISDIR(status.st_mode):
                raise IsFolder('Cannot read a directory.')
            if not stat.S_ISREG(status.st_mode):
                raise _inaccessible(shown)
            size = status.st_size
            wanted = max(0, size - offset)
            if length is None and wanted > MAX_WHOLE:
                raise Inaccessible("'%s' is too large to be read at once." % _to_text(shown))
            wanted = wanted if length is None else min(wanted, length)
            if wanted <= 0:
                return size, b''
            os.lseek(number, offset, os.SEEK_SET)
            return size, _read(number, wanted)
        finally:
            os.close(number)

    # ---- to find and to open

    def _find(self, path):
        """(what is attached, the path in it), both bytes, for the longest virtual path that fits."""
        if len(path) > MAX_PATH or b'\0' in path:
            raise LookupError('no file has such a path')
        name = path
        while name not in self._attached:
            if not name.strip(b'/'):
                raise LookupError('%s is not attached' % _to_text(path))
            name = name[:name.rfind(b'/')] if b'/' in name else b''
        return self._attached[name], path[len(name):]

    def _open(self, path):
        """(a descriptor, what is attached, the path to show) for a path without slashes at its end."""
        root, rest = self._find(path)
        shown = root + rest
        place = os.path.realpath(shown)
        if not _is_within(place, root):
            raise _inaccessible(shown)
        try:
            kind = os.lstat(place).st_mode
            if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):
                return os.open(os.devnull, os.O_RDONLY), root, shown       # as such it has no entries and no bytes
            # O_NONBLOCK and O_NOFOLLOW: it may have become something else since.
            number = close_on_exec(os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY))
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR):
                raise LookupError('%s is missing' % _to_text(shown))
            raise _inaccessible(shown)
        is_good = False
        try:
            is_good = _leads_within(number, place, root)
        finally:
            if not is_good:
                os.close(number)
        if not is_good:
            raise _inaccessible(shown)
        return number, root, shown

    # ---- to describe

    def _describe(self, path, status):
        return {'path': _to_text(path), 'nlink': status.st_nlink, 'size': status.st_size, 'mtime': status.st_mtime,
                'mode': status.st_mode, 'uid': self._name('uid', status.st_uid),
                'gid': self._name('gid', status.st_gid)}

    def _name(self, kind, number):
        name = self._names.get((kind, number))
        if name is None:
            try:
                name = pwd.getpwuid(number).pw_name if kind == 'uid' else grp.getgrgid(number).gr_name
            except KeyError:
                name = '%d' % number
            self._names[kind, number] = name
        return name


def _target(path):
    """What is opened for a path that is served."""
    folder, last = os.path.split(os.path.abspath(_to_bytes(path)))
    # The folder above is ours; the last step must not become a link, or all behind it would be served.
    return os.path.join(os.path.realpath(folder), last)


def _names_of(directory):
    """The paths under which a sandbox is served."""
    names = [directory]
    steps = directory.split('/')
    if len(steps) > 6 and (steps[-6], steps[-4], steps[-2]) == ('frameworks', 'executors', 'runs'):
        names += ['/'.join(steps[:-1] + ['latest']), '/'.join([''] + steps[-6:-1] + ['latest'])]
    return names


def _to_bytes(path):
    return path if isinstance(path, bytes) else path.encode('utf-8', 'surrogateescape')


def _to_text(path):
    return path.decode('utf-8', 'replace')


def _inaccessible(path):
    return Inaccessible("'%s' is inaccessible." % _to_text(path))


def _is_within(place, root):
    return place == root or place.startswith(root.rstrip(b'/') + b'/')


def _descriptor_path(number):
    return _to_bytes('%s/%d' % (_DESCRIPTORS, number))


def _place(number):
    """Where an open file is, as the system knows it, whatever its path was when it was looked up."""
    if _DESCRIPTORS is not None:
        return os.readlink(_descriptor_path(number))
    return fcntl.fcntl(number, F_GETPATH, b'\0' * 1024).rstrip(b'\0')


def _leads_within(number, place, root):
    """Whether what was opened is what was looked up, and lies in `root`."""
    found = _place(number)
    return found == place and _is_within(found, root)


def _status(folder, place, name, root):
    """What stat says of an entry; None if it has gone. What leads out is only looked at as the link that it is."""
    path = os.path.join(folder, name)
    try:
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode):
            target = os.path.realpath(os.path.join(place, name))
            if _is_within(target, root):
                status = os.lstat(target)
    except OSError:
        return None
    return status


def _read(number, wanted):
    parts = []
    while wanted > 0:
        data = os.read(number, min(wanted, 1024 * 1024))
        if not data:                    # it was cut meanwhile
            break
        parts.append(data)
        wanted -= len(data)
    return b''.join(parts)

"""Writes files below a folder, and nowhere else: no name and no symbolic link leads out of it."""
from __future__ import absolute_import, division, print_function

import errno
import os
import stat

__all__ = ['Escape', 'Folder', 'TooBig', 'chunks_of', 'split_name']

CHUNK = 256 * 1024

FOLDER_MODE, FILE_MODE = 0o755, 0o644


class Escape(ValueError):
    """A name leads, or could lead, out of the folder."""


class TooBig(ValueError):
    """More is written than is allowed."""


def split_name(name):
    """The steps (bytes) of a relative path; [] for the folder itself. :class:`Escape` for one that leads out of it."""
    name = name if isinstance(name, bytes) else name.encode('utf-8', 'surrogateescape')
    if name.startswith(b'/'):
        raise Escape('%s is an absolute path' % _show(name))
    steps = [step for step in name.split(b'/') if step not in (b'', b'.')]
    if b'..' in steps:
        raise Escape("%s contains '..'" % _show(name))
    if b'\0' in name:
        raise Escape('%s contains a NUL' % _show(name))
    return steps


def _show(name):
    return "'%s'" % name.decode('utf-8', 'replace')


class Folder(object):
    """A folder to write to. It works by changing the working directory, so it is for processes of one thread.

    That way each step of a path is taken by itself, without following a link, also on Pythons that cannot open
    relative to a descriptor. :meth:`close` goes back to where we were. `allowed` is how many bytes may be written
    in all. Besides what the methods tell, all raise :class:`OSError`.
    """

    def __init__(self, path, allowed):
        self.path = path if isinstance(path, bytes) else path.encode('utf-8', 'surrogateescape')
        self._allowed = allowed
        self._left = allowed
        self._before = os.open(b'.', os.O_RDONLY)
        self._root = None
        try:
            self._root = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        finally:
            if self._root is None:
                os.close(self._before)

    def close(self):
        """Go back to the working directory of before."""
        os.fchdir(self._before)
        os.close(self._before)
        os.close(self._root)

    def _enter(self, steps):
        """Make the folders that are missing, and be in the last one."""
        os.fchdir(self._root)
        for number, step in enumerate(steps):
            try:
                os.mkdir(step, FOLDER_MODE)
            except OSError as error:
                if error.errno != errno.EEXIST:
                    raise
            try:
                folder = os.open(step, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            except OSError as error:
                if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                    raise
                raise Escape('%s is no folder, or a link to one' % _show(b'/'.join(steps[:number + 1])))
            try:
                os.fchdir(folder)
            finally:
                os.close(folder)

    def _make_way(self, steps):
        """Be in the folder of a file, which is not there any more if it was; its name there."""
        if not steps:
            raise Escape('a file must have a name')
        self._enter(steps[:-1])
        try:
            os.unlink(steps[-1])
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
        return steps[-1]

    def make_folder(self, name):
        """Make a folder and those above it."""
        self._enter(split_name(name))

    def write(self, name, chunks, mode=FILE_MODE, mtime=None):
        """Write a new file from an iterable of bytes, in the place of what is there. How long it is.

        Only the rwx bits of `mode` count, and the owner may always read and write. Raises :class:`Escape` and
        :class:`TooBig`.
        """
        last = self._make_way(split_name(name))
        number = os.open(last, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        size = 0
        with os.fdopen(number, 'wb') as stream:
            for chunk in chunks:
                size += len(chunk)
                self._left -= len(chunk)
                if self._left < 0:
                    raise TooBig('more than %d bytes' % self._allowed)
                stream.write(chunk)
            os.fchmod(stream.fileno(), mode & 0o777 | 0o600)
        if mtime is not None:
            # `chunks` may have led elsewhere.
            self._enter(split_name(name)[:-1])
            os.utime(last, (mtime, mtime))
        return size

    def read(self, name):
        """A file of the folder, open for reading. :class:`Escape` if it is no plain file."""
        steps = split_name(name)
        self._enter(steps[:-1])
        number = os.open(steps[-1] if steps else b'.', os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(number).st_mode):
            os.close(number)
            raise Escape('%s is no plain file' % _show(b'/'.join(steps)))
        return os.fdopen(number, 'rb')

    def link(self, name, target):
        """Make a symbolic link; :class:`Escape` if it leads out of the folder."""
        steps = split_name(name)
        target = target if isinstance(target, bytes) else target.encode('utf-8', 'surrogateescape')
        depth = len(steps) - 1
        for step in target.split(b'/'):
            depth += {b'..': -1, b'.': 0, b'': 0}.get(step, 1)
            if depth < 0 or target.startswith(b'/'):
                raise Escape('%s is a link to %s' % (_show(b'/'.join(steps)), _show(target)))
        last = self._make_way(steps)
        os.symlink(target, last)
        # By way of another link it may lead out all the same.
        root = os.path.realpath(self.path)
        place = os.path.realpath(os.path.join(root, *steps))
        if place != root and not place.startswith(root + b'/'):
            os.unlink(last)
            raise Escape('%s is a link to %s' % (_show(b'/'.join(steps)), _show(target)))

    def set_mode(self, name, added):
        """Add bits to the mode of a file of the folder."""
        with self.read(name) as stream:
            os.fchmod(stream.fileno(), os.fstat(stream.fileno()).st_mode & 0o777 | added)


def chunks_of(stream):
    """What a stream gives until its end, in pieces."""
    return iter(lambda: stream.read(CHUNK), b'')

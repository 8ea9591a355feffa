"""Unpacks archives into a sandbox: tar, plain or packed, gz, and zip. What would leave the sandbox is refused."""
from __future__ import absolute_import, division, print_function

import gzip
import os
import stat
import subprocess
import tarfile
import zipfile
import zlib

from .sandbox import Escape, chunks_of

try:
    import lzma         # novm: 2.7 has none
except ImportError:                     # 2.7, or a Python that was built without it
    lzma = None

__all__ = ['BadArchive', 'kind_of', 'unpack']

#: How files of each kind end, as Mesos' fetcher knows them.
ENDINGS = (('.tar', 'tar'), ('.tar.gz', 'gz'), ('.tgz', 'gz'), ('.tar.bz2', 'bz2'), ('.tbz2', 'bz2'),
           ('.tar.xz', 'xz'), ('.txz', 'xz'), ('.gz', 'gunzip'), ('.zip', 'zip'))

#: An archive with more entries than this is taken for an attack.
MAX_ENTRIES = 1000000

#: A link in a zip is a small file that holds its target.
MAX_LINK = 4096


class BadArchive(ValueError):
    """It is damaged, or of a kind that cannot be unpacked here."""


def kind_of(name):
    """What an archive of this name is: 'tar', 'gz', 'bz2' or 'xz' (tar too), 'gunzip', 'zip'; None for no archive."""
    for ending, kind in sorted(ENDINGS, key=lambda item: -len(item[0])):
        if name.endswith(ending):
            return kind
    return None


def unpack(folder, name):
    """Unpack the file `name` of a :class:`pymesos.local.sandbox.Folder` into that folder.

    Raises :class:`BadArchive`, :class:`~pymesos.local.sandbox.Escape` for an entry that would leave the sandbox or is
    neither file, folder nor link, :class:`~pymesos.local.sandbox.TooBig`, and :class:`OSError`.
    """
    kind = kind_of(name)
    with folder.read(name) as stream:
        try:
            if kind == 'zip':
                _unzip(folder, stream)
            elif kind == 'gunzip':
                folder.write(name[:-len('.gz')], chunks_of(gzip.GzipFile(fileobj=stream)))
            elif kind == 'xz':
                _unpack_xz(folder, stream)
            else:
                _untar(folder, stream, 'r:' + ('' if kind == 'tar' else kind))
        except (tarfile.TarError, zipfile.BadZipfile, zlib.error, EOFError, NotImplementedError, UnicodeError) as error:
            raise BadArchive('%s' % error)
        except RuntimeError as error:           # an encrypted zip
            raise BadArchive('%s' % error)


def _unpack_xz(folder, stream):
    if lzma is not None:
        try:
            _untar(folder, lzma.LZMAFile(stream), 'r|')
        except lzma.LZMAError as error:
            raise BadArchive('%s' % error)
        return
    try:
        program = subprocess.Popen(['xz', '-dc'], stdin=stream, stdout=subprocess.PIPE, close_fds=True)
    except OSError as error:
        raise BadArchive('this Python has no lzma, and the program xz cannot be started: %s' % error.strerror)
    try:
        _untar(folder, program.stdout, 'r|')
    finally:
        program.stdout.close()
        status = program.wait()
    if status > 0:                      # below: it was still writing what nobody needs
        raise BadArchive('xz exited with %d' % status)


def _untar(folder, stream, mode):
    archive = tarfile.open(fileobj=stream, mode=mode)
    for count, entry in enumerate(archive):
        if count > MAX_ENTRIES:
            raise BadArchive('it has more than %d entries' % MAX_ENTRIES)
        if entry.isdir():
            folder.make_folder(entry.name)
        elif entry.issym():
            folder.link(entry.name, entry.linkname)
        elif entry.islnk():             # becomes a copy: a real one could be to anything that is there
            with folder.read(entry.linkname) as source:
                # Opened before the name is cleared for it: it may be the same.
                folder.write(entry.name, chunks_of(source), os.fstat(source.fileno()).st_mode, entry.mtime)
        elif entry.isreg():
            folder.write(entry.name, chunks_of(archive.extractfile(entry)), entry.mode, entry.mtime)
        else:
            raise Escape("'%s' is a device or the like" % entry.name)
        archive.members = []            # it would remember all of them


def _unzip(folder, stream):
    with zipfile.ZipFile(stream) as archive:
        entries = archive.infolist()
        if len(entries) > MAX_ENTRIES:
            raise BadArchive('it has more than %d entries' % MAX_ENTRIES)
        for entry in entries:
            mode = entry.external_attr >> 16
            kind = stat.S_IFMT(mode)
            if entry.filename.endswith('/') or kind == stat.S_IFDIR:
                folder.make_folder(entry.filename)
            elif kind == stat.S_IFLNK:
                with archive.open(entry) as source:
                    folder.link(entry.filename, source.read(MAX_LINK))
            elif kind in (0, stat.S_IFREG):
                with archive.open(entry) as source:
                    folder.write(entry.filename, chunks_of(source), mode & 0o777 or 0o644)
            else:
                raise Escape("'%s' is a device or the like" % entry.filename)

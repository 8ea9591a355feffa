"""The endpoints of an embedded master or agent that are no API and need no model: version, files, logging, help."""
from __future__ import absolute_import, division, print_function

import mimetypes
import posixpath
import re
import stat
from collections import OrderedDict

from ..errors import UsageError
from ..utils import encode_data, parse_duration
from .model.effects import Reply, refuse
from .model.version import BUILD

__all__ = ['browse_files', 'help_page', 'list_files', 'read_file', 'set_logging_level', 'version']

JSON = 'application/json'

#: What one request may read of a file; Mesos has 16 pages.
READ_BYTES = 16 * 4096

_NUMBER = re.compile(r'-?[0-9]{1,18}\Z')


def version():
    """The Reply of ``/version``."""
    return Reply(200, OrderedDict(sorted(BUILD.items())))


def help_page(paths, query):
    """The Reply of ``/help``: a list of `paths`, in HTML, or in JSON with ``format=json``."""
    if query.get('format') == 'json':
        return Reply(200, {'endpoints': list(paths)})
    items = ''.join('<li><code>%s</code></li>' % path for path in paths)
    return Reply(200, '<html><head><title>Help</title></head><body><ul>%s</ul></body></html>' % items,
                 headers=[('Content-Type', 'text/html')])


def set_logging_level(query):
    """The Reply of ``/logging/toggle``, which has nothing to toggle here."""
    level, duration = query.get('level'), query.get('duration')
    if level is None and duration is None:
        return Reply(200, '0\n')
    for name in ('level', 'duration'):
        if query.get(name) is None:
            return refuse(400, "Expecting '%s=value' in query.\n" % name)
    if not _NUMBER.match(level):
        return refuse(400, "Failed to convert '%s' to number.\n" % level)
    try:
        parse_duration(duration)
    except UsageError:
        return refuse(400, "Failed to convert '%s' to number.\n" % duration.rstrip('abcdefghijklmnopqrstuvwxyz'))
    if int(level) < 0:
        return refuse(400, "Invalid level '%s'.\n" % level)
    return Reply(200)


# ---- files

def list_files(files, call):
    """The Reply to LIST_FILES; `files` is a :class:`pymesos.local.files.Files`."""
    found, refusal = _ask(files.list, call['list_files']['path'])
    return refusal or Reply(200, {'type': 'LIST_FILES', 'list_files': {'file_infos': [_info(item) for item in found]}})


def read_file(files, call):
    """The Reply to READ_FILE."""
    wanted = call['read_file']
    found, refusal = _ask(files.read, wanted['path'], wanted['offset'],
                          min(wanted.get('length', READ_BYTES), READ_BYTES))
    if refusal is not None:
        return refusal
    size, data = found
    return Reply(200, {'type': 'READ_FILE', 'read_file': {'size': size, 'data': encode_data(data)}})


def browse_files(files, path, query):
    """The Reply of ``/files/browse``, ``/files/read``, ``/files/download`` and ``/files/debug``."""
    kind = path.split('/')[2]
    if kind == 'debug':
        return Reply(200, OrderedDict(sorted(files.attachments().items())))
    name = query.get('path')
    if not name:
        return refuse(400, "Expecting 'path=value' in query.\n")
    if kind == 'browse':
        found, refusal = _ask(files.list, name)
        return refusal or Reply(200, [_legacy_info(item) for item in found])
    if kind == 'download':
        return _download(files, name)
    return _legacy_read(files, name, query)


def _legacy_read(files, name, query):
    offset, refusal = _number(query, 'offset')
    if refusal is not None:
        return refusal
    length, refusal = _number(query, 'length')
    if refusal is not None:
        return refusal
    # Without an offset the size is told, and nothing read.
    wanted = 0 if offset == -1 else READ_BYTES if length == -1 else min(length, READ_BYTES)
    found, refusal = _ask(files.read, name, max(offset, 0), wanted)
    if refusal is not None:
        return refusal
    size, data = found
    return Reply(200, OrderedDict([('data', data.decode('utf-8', 'replace')),
                                   ('offset', size if offset == -1 else offset)]))


def _download(files, name):
    found, refusal = _ask(files.read, name, 0, None)
    if refusal is not None:
        return refuse(404, '404 Not Found.') if refusal.status == 404 else refuse(400, 'Cannot download a directory.\n')
    base = posixpath.basename(name.rstrip('/'))
    kind = mimetypes.guess_type(base)[0] or 'application/octet-stream'
    # A name that would break the head is left to the client.
    disposition = 'attachment; filename=%s' % re.sub(u'[^\x20-\x7e]', '_', base)
    return Reply(200, found[1], headers=[('Content-Disposition', disposition), ('Content-Type', kind)])


def _number(query, name):
    """(the number that a query has under a name, -1 if it has none; None), or (None, the refusal)."""
    text = query.get(name)
    if text is None:
        return -1, None
    if not _NUMBER.match(text):
        return None, refuse(400, "Failed to parse %s: Failed to convert '%s' to number.\n" % (name, text))
    if int(text) < -1:
        return None, refuse(400, 'Negative %s provided: %s.\n' % (name, text))
    return int(text), None


def _ask(function, path, *args):
    """(what it gives, None), or (None, the refusal) for a path that is not served, or in a way that cannot be."""
    try:
        return function(path, *args), None
    except LookupError:
        return None, refuse(404, '')
    except ValueError as error:
        return None, refuse(400, '%s\n' % error)


def _info(item):
    return OrderedDict([
        ('path', item['path']), ('nlink', item['nlink']), ('size', item['size']),
        ('mtime', {'nanoseconds': int(item['mtime']) * 10 ** 9}), ('mode', item['mode']), ('uid', item['uid']),
        ('gid', item['gid'])])


def _legacy_info(item):
    return OrderedDict([
        ('gid', item['gid']), ('mode', _mode_text(item['mode'])), ('mtime', float(int(item['mtime']))),
        ('nlink', item['nlink']), ('path', item['path']), ('size', item['size']), ('uid', item['uid'])])


def _mode_text(mode):
    """A mode as ``ls -l`` shows it; 2.7 has no stat.filemode()."""
    kinds = ((stat.S_ISDIR, 'd'), (stat.S_ISLNK, 'l'), (stat.S_ISCHR, 'c'), (stat.S_ISBLK, 'b'), (stat.S_ISFIFO, 'p'),
             (stat.S_ISSOCK, 's'))
    kind = ([letter for is_of, letter in kinds if is_of(mode)] or ['-'])[0]
    return kind + ''.join(letter if mode & 1 << 8 - place else '-' for place, letter in enumerate('rwxrwxrwx'))

"""Fetches the URIs of a CommandInfo into a sandbox, and unpacks them there. For a process of its own: it blocks."""
from __future__ import absolute_import, division, print_function

import os
import stat

from six.moves.http_client import HTTPException
from six.moves.urllib import request as urllib_request
from six.moves.urllib.error import HTTPError, URLError
from six.moves.urllib.parse import urlsplit

from . import archives
from .sandbox import Folder, chunks_of, split_name

__all__ = ['FetchError', 'MAX_BYTES', 'fetch']

#: Bytes that all URIs of one container may come to, unpacked: what is more is taken for a bomb.
MAX_BYTES = 8 * 1024 ** 3

#: Seconds that a server may be silent.
TIMEOUT = 60.0

LOOPBACK = ('localhost', '127.0.0.1', '::1')

EXECUTABLE = 0o111


class FetchError(Exception):
    """A URI could not be fetched or unpacked; the text says which and why."""


class _Unusable(ValueError):
    """A URI is not one that can be fetched."""


def fetch(uris, directory, log, max_bytes=MAX_BYTES):
    """Fetch all `uris` (CommandInfo.URI) into `directory`; nothing is written anywhere else.

    A URI is a path, ``file://``, ``http://`` or ``https://``. What ends like an archive is unpacked beside itself,
    unless `extract` is false or `executable` is true; `output_file` is a relative path; `cache` is ignored. Entries of
    archives with absolute names, ``..``, links that lead out, devices and the like are errors; hard links become
    copies, set-uid bits are dropped. ``log(text)`` is told what is done. Raises :class:`FetchError`; blocks, and
    changes the working directory for the time being. PROTOCOL 5.3.
    """
    folder = Folder(directory, max_bytes)
    try:
        for uri in uris:
            value = uri.get('value', '').strip()
            try:
                _fetch_one(folder, uri, value, log)
            except HTTPError as error:
                error.close()
                raise FetchError("Failed to fetch '%s': the server answered %d" % (value, error.code))
            except URLError as error:
                raise FetchError("Failed to fetch '%s': %s" % (value, _reason(error.reason)))
            except (EnvironmentError, HTTPException, ValueError) as error:
                raise FetchError("Failed to fetch '%s': %s" % (value, _reason(error)))
    finally:
        folder.close()


def _reason(error):
    return getattr(error, 'strerror', None) or '%s' % (error,) or type(error).__name__


def _fetch_one(folder, uri, value, log):
    name = uri.get('output_file') or _last_part(value)
    if not split_name(name) or name.endswith('/'):
        raise _Unusable("'%s' is no name of a file" % name)
    log("Fetching URI '%s' to '%s'" % (value, name))
    if '://' in value and not value.startswith('file://'):
        _download(folder, value, name)
    else:
        _copy(folder, value, name)
    if uri.get('executable'):
        folder.set_mode(name, EXECUTABLE)
    elif uri.get('extract', True) and archives.kind_of(name):
        archives.unpack(folder, name)
        log("Extracted '%s' into the sandbox" % name)


def _last_part(value):
    """The name that Mesos gives the file: all after the last slash, a query too."""
    if '\\' in value or "'" in value or '\0' in value:
        raise _Unusable('Illegal characters in URI')
    scheme, colon, rest = value.partition('://')
    if colon and len(scheme) > 1 and not rest.partition('/')[2]:
        raise _Unusable('Malformed URI (missing path): %s' % value)
    return value.rstrip('/').rpartition('/')[2]


def _copy(folder, value, name):
    path = value
    if value.startswith('file://'):
        path = value[len('file://'):]
        if path.startswith('localhost/'):
            path = path[len('localhost'):]
    if not path.startswith('/'):
        raise _Unusable('A relative path was passed for the resource but the Mesos framework home was not specified. '
                        'Please either provide this config option or avoid using a relative path')
    # O_NONBLOCK: a FIFO must not hold us up.
    path = path if isinstance(path, bytes) else path.encode('utf-8', 'surrogateescape')
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    mode = os.fstat(number).st_mode
    if not stat.S_ISREG(mode):
        os.close(number)
        raise _Unusable('it is no plain file')
    with os.fdopen(number, 'rb') as source:
        folder.write(name, chunks_of(source), mode)


def _download(folder, value, name):
    parts = urlsplit(value)
    if parts.scheme.lower() not in ('http', 'https') or not parts.hostname:
        raise _Unusable('only paths, file://, http:// and https:// can be fetched here')
    opener = _opener(parts.hostname in LOOPBACK)
    response = opener.open(urllib_request.Request(value, headers={'User-Agent': 'pymesos'}), timeout=TIMEOUT)
    try:
        expected = response.headers.get('Content-Length')
        size = folder.write(name, chunks_of(response))
        if expected is not None and size < int(expected):       # as the reader of 2.7 and 3 does not tell
            raise _Unusable('the connection broke after %d of %s bytes' % (size, expected))
    finally:
        response.close()


def _opener(is_near):
    """What opens http and https, and nothing else that a redirect may lead to; no proxy stands before ourselves."""
    opener = urllib_request.OpenerDirector()
    handlers = [urllib_request.ProxyHandler({}) if is_near else urllib_request.ProxyHandler(),
                urllib_request.HTTPHandler(), urllib_request.HTTPRedirectHandler(), urllib_request.UnknownHandler(),
                urllib_request.HTTPDefaultErrorHandler(), urllib_request.HTTPErrorProcessor()]
    if hasattr(urllib_request, 'HTTPSHandler'):
        handlers.append(urllib_request.HTTPSHandler())
    for handler in handlers:
        opener.add_handler(handler)
    return opener

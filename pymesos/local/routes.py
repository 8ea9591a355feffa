"""Which endpoint of a master or an agent a request is for (PROTOCOL 1.1), and who may use it (PROTOCOL 7)."""
from __future__ import absolute_import, division, print_function

import binascii
import re
from collections import namedtuple

from six.moves.urllib.parse import unquote, urlsplit

__all__ = ['AGENT', 'MASTER', 'Route', 'Router', 'read_query', 'split_target']

READONLY, READWRITE, SCHEDULER, EXECUTOR = 'readonly', 'readwrite', 'scheduler', 'executor'


class Route(namedtuple('Route', ['kind', 'path', 'realm', 'is_of_leader'])):
    """An endpoint.

    `kind` says who answers it, `path` is where it is found, without the name of the process; `realm` the last word of
    its realm, None if it is for anybody; `is_of_leader` whether only the leading master answers.
    """

    __slots__ = ()


def _routes(kind, realm, paths, is_of_leader=True):
    return [Route(kind, '/' + path, realm, is_of_leader) for path in paths.split()]


# Endpoints of other processes than the master's and the agent's, which are not below their names.
_COMMON = (_routes('version', None, 'version', False)
           + _routes('metrics', READONLY, 'metrics/snapshot', False)
           + _routes('logging', READWRITE, 'logging/toggle', False)
           + _routes('files', READONLY, 'files/browse files/read files/download files/debug', False)
           + _routes('help', None, 'help', False))

_MASTER = (_routes('operator', READWRITE, 'api/v1')
           + _routes('scheduler', SCHEDULER, 'api/v1/scheduler')
           + _routes('health', None, 'health', False)
           + _routes('flags', READONLY, 'flags', False)
           + _routes('redirect', None, 'redirect', False)
           + _routes('legacy', READONLY, 'state state-summary slaves frameworks tasks roles maintenance/status')
           + _routes('legacy', READWRITE, 'weights quota teardown reserve unreserve create-volumes destroy-volumes '
                                          'maintenance/schedule machine/up machine/down'))

_AGENT = (_routes('operator', READWRITE, 'api/v1')
          + _routes('executor', EXECUTOR, 'api/v1/executor')
          + _routes('provider', EXECUTOR, 'api/v1/resource_provider')
          + _routes('health', None, 'health')
          + _routes('legacy', READONLY, 'flags state monitor/statistics containers containerizer/debug'))

#: The tables for :class:`Router`: (what others have as well, what is also below the name of the process).
MASTER = (_COMMON, _MASTER)
AGENT = (_COMMON, _AGENT)

#: Endpoints that answer for themselves alone, and not for what is below them as well.
_EXACT = frozenset(['/version', '/redirect'])

_ESCAPE = re.compile(br'%([0-9A-Fa-f]{2})')


class Router(object):
    """Finds routes: the longest one that the path begins with, in whole components.

    `name` is that of the process, ``master`` or ``slave(1)``, whose endpoints are found with and without it.
    """

    def __init__(self, table, name):
        common, own = table
        self._name = name
        self._common = dict((route.path, route) for route in common)
        self._own = dict((route.path, route) for route in own)
        #: The paths of all endpoints, sorted.
        self.paths = sorted(self._common) + ['/%s%s' % (name, path) for path in sorted(self._own)]

    def find(self, path):
        """(the :class:`Route` for a path, the path without the name of the process), or None."""
        path = '/' + path.strip('/')
        first, _, rest = path[1:].partition('/')
        # Only the name of a process may be percent-encoded.
        if unquote(first) == self._name:
            return _longest(self._own, '/' + rest)
        return _longest(self._common, path) or _longest(self._own, path)


def _longest(routes, path):
    end = len(path)
    while end > 0:
        route = routes.get(path[:end])
        if route is not None:
            return None if end < len(path) and route.path in _EXACT else (route, path)
        end = path.rfind('/', 0, end)
    return None


def split_target(target):
    """(path, query) of the target of a request, both text; None if it is no path."""
    if not target.startswith('/'):
        try:
            parts = urlsplit(target)
        except ValueError:
            return None
        if not parts.scheme or not parts.netloc:
            return None
        return parts.path or '/', parts.query
    path, _, query = target.partition('#')[0].partition('?')
    return path, query


def read_query(data):
    """{name: value}, both text, of a query or of a form (bytes); of a name that is there twice, the last."""
    found = {}
    for field in data.split(b'&'):
        if field:
            name, _, value = field.partition(b'=')
            found[_unquote(name)] = _unquote(value)
    return found


def _unquote(data):
    # By hand: the standard library's takes bytes on some Pythons, text on others, and does not give UTF-8 on all.
    data = _ESCAPE.sub(lambda match: binascii.unhexlify(match.group(1)), data.replace(b'+', b' '))
    return data.decode('utf-8', 'replace')

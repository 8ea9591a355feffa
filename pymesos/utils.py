"""Small pure helpers: data in base64, durations as Mesos prints them, addresses."""
from __future__ import absolute_import, division, print_function

import re
from binascii import a2b_base64, b2a_base64

import six

from .errors import InvalidAddress, UsageError, excerpt

__all__ = ['Address', 'DAY', 'MASTER_PORT', 'basic_credential', 'decode_data', 'encode_data', 'hide_secret',
           'parse_address', 'parse_duration', 'redirected_address']

#: A day in seconds.
DAY = 86400

#: Where a master listens if an address names no port.
MASTER_PORT = 5050

#: Seconds in each unit of Mesos' Duration (PROTOCOL 3.3).
UNIT_SECONDS = {
    'ns': 1e-9,
    'us': 1e-6,
    'ms': 1e-3,
    'secs': 1,
    'mins': 60,
    'hrs': 60 * 60,
    'days': DAY,
    'weeks': 7 * DAY,
}

_DURATION = re.compile(r'([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|ms|secs|mins|hrs|days|weeks)\Z')

_SCHEME = re.compile(r'(?:([A-Za-z][A-Za-z0-9+.-]*):)?//')

#: What can be an IPv6 address: eight parts, or fewer and ``::``, the last two perhaps as IPv4; host:port with a colon
#: too many cannot.
_IPV6 = re.compile(r'(?=[^%]*::|(?:[^:]+:){6,7}[^:]+\Z)[0-9A-Fa-f:.]+(%[0-9A-Za-z._~-]+)?\Z')


def encode_data(data):
    """`data` (bytes) as the base64 text that the v1 API carries in its bytes fields."""
    return b2a_base64(data).strip().decode('ascii')


def decode_data(data):
    """The bytes behind base64 text, as of ``status['data']``; binascii.Error for what is not base64."""
    return a2b_base64(data)


def basic_credential(principal, secret):
    """The value of the Authorization header for basic authentication, None unless there are both.

    They are bytes, as a file or an environment may give them, or text, which is sent as UTF-8 (PROTOCOL 7).
    """
    if principal is None or secret is None:
        return None
    return 'Basic ' + encode_data(b':'.join(
        part if isinstance(part, bytes) else (u'%s' % (part,)).encode('utf-8') for part in (principal, secret)))


def parse_duration(text):
    """Seconds (float) of a duration as Mesos prints it, such as ``'15mins'`` or ``'250ms'``.

    Raises :class:`UsageError` for anything else. Grammar: PROTOCOL 3.3.
    """
    match = _DURATION.match(text.strip())
    if match is None:
        raise UsageError('cannot read the duration %r: expected a number and one of the units %s'
                         % (text, ', '.join(sorted(UNIT_SECONDS, key=UNIT_SECONDS.get))))
    number, unit = match.groups()
    return float(number) * UNIT_SECONDS[unit]


class Address(object):
    """Where a peer listens. Equal if all parts are; not to be changed.

    `scheme` is ``'http'``, ``'https'`` or ``'unix'``; `host` a name or an IP address without brackets;
    `path` the path of a domain socket. Text is what ``driver.master`` and a Host header show:
    ``host:port``, with brackets round an IPv6 address.
    """

    __slots__ = ('scheme', 'host', 'port', 'path')

    def __init__(self, scheme, host, port, path=None):
        self.scheme = scheme
        self.host = host
        self.port = port
        self.path = path

    @property
    def is_tls(self):
        """Whether TLS is spoken there."""
        return self.scheme == 'https'

    @property
    def netloc(self):
        """``host:port``; ``localhost`` for a domain socket."""
        if self.scheme == 'unix':
            return 'localhost'
        return ('[%s]:%d' if ':' in self.host else '%s:%d') % (self.host, self.port)

    def with_scheme(self, scheme):
        """The same place, spoken to in another way."""
        return Address(scheme, self.host, self.port, self.path)

    def _parts(self):
        return self.scheme, self.host, self.port, self.path

    def __eq__(self, other):
        return isinstance(other, Address) and self._parts() == other._parts()

    def __ne__(self, other):
        return not self == other

    def __hash__(self):
        return hash(self._parts())

    def __str__(self):
        return 'unix://' + self.path if self.scheme == 'unix' else self.netloc

    def __repr__(self):
        return 'Address(%r, %r, %r, %r)' % self._parts()


_SECRET = re.compile(r'[^/,:@\s]*:[^/,\s]*@')


def hide_secret(text):
    """`text`, an address or several, with ``***`` for every ``user:password`` before an ``@``."""
    head, _, tail = text.rpartition('@')
    before, slashes, user = head.rpartition('://')
    shown = before + slashes + '***@' + tail if ':' in user else text
    return _SECRET.sub('***@', shown)       # those before the last, in a list


def parse_address(text, default_port=MASTER_PORT, scheme='http'):
    """The :class:`Address` that `text` names.

    `text` is ``host``, ``host:port``, ``[ipv6]:port``, a bare IPv6 address, each with or without ``http://`` or
    ``https://`` before and one ``/`` after it (``//host:port/path`` too, as in a Location), ``master@host:port``, or
    ``unix:///path``. `scheme` (``'http'`` or ``'https'``) is used where the text names none. Raises
    :class:`InvalidAddress`, also for a password in the address, which nothing here would use.
    """
    if not isinstance(text, six.string_types):
        raise InvalidAddress('cannot use the address %r: expected text' % (text,), text)
    rest = text.strip()
    if rest.startswith('unix://'):
        path = rest[len('unix://'):]
        if not path.startswith('/'):
            raise _invalid(text, 'unix:// wants an absolute path')
        return Address('unix', None, None, path)
    start = _SCHEME.match(rest)
    if start is not None:
        scheme, rest = (start.group(1) or scheme).lower(), rest[start.end():]
    if scheme not in ('http', 'https'):
        raise _invalid(text, 'expected http://, https:// or unix://, not %s' % excerpt(scheme))
    if hide_secret(rest) != rest:
        raise _invalid(text, 'a name and a password do not belong here; drivers take them as principal and secret')
    netloc = re.split('[/?#]', rest, maxsplit=1)[0].rpartition('@')[2]
    host, port = _split_netloc(netloc, default_port, text)
    return Address(scheme, host, port, None)


def redirected_address(location, current):
    """Where the Location of a redirect points, as seen by a client that talks to `current`.

    Mesos sends ``//host:port/path``, and the client keeps its scheme (PROTOCOL 1.5): a peer must not talk it out of
    TLS. Raises :class:`InvalidAddress`.
    """
    scheme = 'https' if current.is_tls else 'http'
    address = parse_address(location, scheme=scheme)
    if address.scheme == 'unix':
        raise _invalid(location, 'a redirect cannot lead to a domain socket')
    return address.with_scheme(scheme)


def _invalid(text, why):
    shown = hide_secret(text)
    return InvalidAddress('cannot use the address %s: %s' % (excerpt(shown), why), shown)


def _ascii_host(host):
    """A host's name as DNS has it. UnicodeError if there is none; of bytes on 2.7 nobody knows what they mean."""
    try:
        return str(host.encode('ascii').decode('ascii'))
    except UnicodeError:
        return str(host.encode('idna').decode('ascii'))


def _split_netloc(netloc, default_port, text):
    if netloc.startswith('['):
        host, closing, port = netloc[1:].partition(']')
        is_good = bool(closing) and (not port or port.startswith(':')) and _IPV6.match(host)
        port = port[1:]
    elif netloc.count(':') > 1:
        host, port, is_good = netloc, '', _IPV6.match(netloc)
    else:
        host, _, port = netloc.partition(':')
        is_good = bool(host) and not re.search(r'[\s\x00-\x20\[\]]', host)
    try:
        host = _ascii_host(host)
    except UnicodeError:
        is_good = False
    if not is_good:
        raise _invalid(text, 'expected host:port, such as 10.0.0.1:5050 or [::1]:5050')
    if not port:
        return host, default_port
    if not re.match(r'[0-9]{1,5}\Z', port) or not 0 < int(port) < 65536:
        raise _invalid(text, 'the port is %s, expected 1 to 65535' % excerpt(port))
    return host, int(port)

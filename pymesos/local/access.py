"""Who may speak to the embedded cluster: credentials of operators and schedulers, tokens of executors (PROTOCOL 7)."""
from __future__ import absolute_import, division, print_function

import binascii
import hmac
import os
import re
from base64 import b64decode
from collections import namedtuple

from .jwt import TokenError, make_token, read_token

__all__ = ['ANYBODY', 'Access', 'BASIC', 'BEARER', 'Identity', 'is_foreign', 'may_call']

#: What the ways to authenticate oneself are called.
BASIC, BEARER = 'Basic', 'Bearer'

KEY_BYTES = 32

_PORT = re.compile(r':[0-9]*\Z')
_ADDRESS = re.compile(r'[0-9.]+\Z|\[[0-9A-Fa-f:.]+\]\Z')

#: Calls of an agent that tell nothing of what it does.
_HARMLESS = frozenset(['GET_HEALTH', 'GET_VERSION'])

#: What must not stand in a quoted text of a header, or in any header: the client has chosen some of it.
_UNQUOTABLE = re.compile(u'[^\x20-\x7e]|["\\\\]')


class Identity(namedtuple('Identity', ['principal', 'claims', 'challenge'])):
    """Who a client is.

    `principal` is the name (text) of who has a secret, `claims` (a dict) those of a token; None if it has none or
    need not say. `challenge`, if not None, says that it is nobody: the value of WWW-Authenticate.
    """

    __slots__ = ()


#: Where nobody is asked.
ANYBODY = Identity(None, None, None)


def is_foreign(headers, hostname, is_open):
    """Whether a request comes from a page of another site, in the browser of somebody who may use the cluster.

    `headers` are those of the request ({lower-case name: text}). If anybody may do anything (`is_open`) it has also to
    be for a host that is an address, localhost or `hostname`: the names of all others can be made to lead here.
    """
    host = headers.get('host', '')
    origin = headers.get('origin')
    if origin is not None and origin.partition('://')[2] != host:
        return True
    if headers.get('sec-fetch-site') in ('cross-site', 'same-site') and headers.get('sec-fetch-mode') != 'navigate':
        return True
    name = _PORT.sub('', host).lower()
    return is_open and not _ADDRESS.match(name) and name not in ('', 'localhost', hostname.lower())


def may_call(claims, call):
    """Whether the `claims` of an executor's token allow an agent.Call: for what is nested in its own container."""
    if call['type'] in _HARMLESS:
        return True
    container_id = call.get(call['type'].lower(), {}).get('container_id', {})
    while container_id.get('parent'):
        container_id = container_id['parent']
    return 'value' in container_id and container_id['value'] == claims.get('cid')


class Access(object):
    """Secrets of a cluster, none of which is in its repr.

    `credentials` is {principal: secret}, both text or bytes; `ssl_context` the :class:`ssl.SSLContext` that the servers
    speak TLS with, or None; `key` (bytes) signs the tokens, a random one if None.
    """

    def __init__(self, credentials=None, ssl_context=None, key=None):
        self.ssl_context = ssl_context
        self._credentials = dict((_octets(name), _octets(secret)) for name, secret in (credentials or {}).items())
        self._key = os.urandom(KEY_BYTES) if key is None else key

    @property
    def is_open(self):
        """Whether nobody has to say who he is."""
        return not self._credentials

    def __repr__(self):
        return '<Access of %d principals%s>' % (len(self._credentials), ', TLS' if self.ssl_context else '')

    def executor_token(self, claims):
        """The token (text) for MESOS_EXECUTOR_AUTHENTICATION_TOKEN; `claims` are {'fid', 'eid', 'cid'}, texts."""
        return make_token(claims, self._key)

    def identify(self, header, realm, ways, now):
        """The :class:`Identity` that the Authorization `header` (text or None) proves.

        `ways` are those that `realm` takes, of BASIC and BEARER; () asks nobody. `now` is in epoch seconds.
        """
        challenges = []
        for way in ways:
            found = (self._by_secret if way == BASIC else self._by_token)(header, realm, now)
            if found.challenge is None:
                return found
            challenges.append(found.challenge)
        return Identity(None, None, ', '.join(challenges)) if challenges else ANYBODY

    def _by_secret(self, header, realm, _now):
        principal = self._principal(header)
        if principal is None:
            return Identity(None, None, 'Basic realm="%s"' % realm)
        return Identity(principal, None, None)

    def _principal(self, header):
        parts = (header or '').split(' ')
        if len(parts) != 2 or parts[0] != BASIC:
            return None
        try:
            # A secret with a colon never fits, as in Mesos.
            name, secret = b64decode(parts[1].encode('latin-1')).split(b':')
            expected = self._credentials.get(name)
            # A comparison for unknown names as well: the time must not tell which names there are.
            is_good = hmac.compare_digest(b'' if expected is None else expected, secret)
            return name.decode('utf-8') if is_good and expected is not None else None
        except (TypeError, ValueError, binascii.Error):
            return None

    def _by_token(self, header, realm, now):
        if header is None:
            return Identity(None, None, 'Bearer realm="%s"' % realm)
        parts = header.split(' ')
        if len(parts) != 2:
            why = "Malformed 'Authorization' header"
        elif parts[0] != BEARER:
            why = "Scheme '%s' unrecognized" % parts[0]
        else:
            try:
                return Identity(None, read_token(parts[1], self._key, now), None)
            except TokenError as error:
                why = 'Invalid JWT: %s' % error.args[0]
        return Identity(None, None, 'Bearer realm="%s", error="invalid_token", error_description="%s"' % (
            realm, _UNQUOTABLE.sub('', why)))


def _octets(value):
    return value if isinstance(value, bytes) else (u'%s' % (value,)).encode('utf-8')

"""Tokens for executors: JSON Web Tokens signed with HMAC SHA-256, as Mesos issues and checks them (PROTOCOL 7)."""
from __future__ import absolute_import, division, print_function

import binascii
import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode

__all__ = ['TokenError', 'make_token', 'read_token']

_HEADER = {'alg': 'HS256', 'typ': 'JWT'}


class TokenError(ValueError):
    """A token is not to be trusted; the text is for the one who sent it."""


def make_token(claims, key):
    """`claims` (a dict) signed with `key` (bytes), as text."""
    signed = _encode(json.dumps(_HEADER, sort_keys=True)) + b'.' + _encode(json.dumps(claims, sort_keys=True))
    return (signed + b'.' + _strip(urlsafe_b64encode(_sign(signed, key)))).decode('ascii')


def read_token(token, key, now):
    """The claims (a dict) of a token (text) that was signed with `key` and has not run out at `now`, in epoch seconds.

    Raises :class:`TokenError`. Nothing of it is read before the signature was seen to be right.
    """
    try:
        parts = token.encode('ascii').split(b'.')
    except UnicodeError:
        raise TokenError('Failed to decode token')
    if len(parts) != 3:
        raise TokenError('Expected 3 components in token, got %d' % len(parts))
    header = _object(parts[0], 'header')
    if header.get('alg') != _HEADER['alg']:
        raise TokenError("Unsupported token algorithm: %s" % header.get('alg'))
    if not hmac.compare_digest(_sign(parts[0] + b'.' + parts[1], key), _decode(parts[2], 'signature')):
        raise TokenError('Token signature does not match')
    claims = _object(parts[1], 'payload')
    expires = claims.get('exp')
    if expires is not None:
        if isinstance(expires, bool) or not isinstance(expires, (int, float)):
            raise TokenError("JSON payload 'exp' is not a number")
        if now >= expires:
            raise TokenError('Token has expired')
    return claims


def _sign(data, key):
    return hmac.new(key, data, hashlib.sha256).digest()


def _strip(data):
    return data.rstrip(b'=')


def _encode(text):
    return _strip(urlsafe_b64encode(text.encode('utf-8')))


def _decode(part, name):
    try:
        return urlsafe_b64decode(part + b'=' * (-len(part) % 4))
    except (TypeError, binascii.Error):
        raise TokenError('Failed to decode token %s' % name)


def _object(part, name):
    try:
        value = json.loads(_decode(part, name).decode('utf-8'))
    except (ValueError, RuntimeError) as error:
        if isinstance(error, TokenError):
            raise
        raise TokenError('Failed to parse token %s' % name)
    if not isinstance(value, dict):
        raise TokenError('Token %s is not a JSON object' % name)
    return value

"""TLS contexts: verification is on unless the caller turns it off."""
from __future__ import absolute_import, division, print_function

import ssl

from ..errors import UsageError

__all__ = ['context_from_environment', 'make_context']

_KEYS = ('ca_file', 'ca_dir', 'cert_file', 'key_file', 'verify')


def make_context(tls=None):
    """The :class:`ssl.SSLContext` that `tls` describes.

    `tls` is an SSLContext (used as it is), None (the system's authorities), or a dict with any of ``ca_file`` and
    ``ca_dir`` (PEM authorities that replace the system's), ``cert_file`` and ``key_file`` (the client's certificate),
    and ``verify`` (default True; False accepts any certificate for any name). Raises :class:`UsageError`.
    """
    if isinstance(tls, ssl.SSLContext):
        return tls
    options = dict(tls or {})
    unknown = sorted(set(options) - set(_KEYS))
    if unknown:
        raise UsageError('tls has the unknown key %s: expected any of %s' % (', '.join(unknown), ', '.join(_KEYS)))
    try:
        return _build(options)
    except (IOError, OSError, ssl.SSLError) as error:
        raise UsageError('cannot use the TLS files %s: %s' % (
            ', '.join('%s=%s' % (key, options[key]) for key in _KEYS[:4] if options.get(key)), error))


def _build(options):
    ca_file, ca_dir = options.get('ca_file'), options.get('ca_dir')
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=ca_file, capath=ca_dir)
    if not options.get('verify', True):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if options.get('cert_file'):
        context.load_cert_chain(options['cert_file'], options.get('key_file'))
    elif options.get('key_file'):
        raise UsageError('tls names key_file=%s but no cert_file' % options['key_file'])
    return context


def context_from_environment(environ):
    """The context that an executor's LIBPROCESS_SSL_* variables describe, None where TLS is not enabled.

    A server's certificate is verified unless LIBPROCESS_SSL_VERIFY_SERVER_CERT (or its older name
    ``_VERIFY_CERT``) is false. The still older names without LIBPROCESS are not read: OpenSSL
    has its own use for SSL_CERT_FILE. Source: PROTOCOL 7.
    """
    def value(*names):
        found = [environ['LIBPROCESS_SSL_' + name] for name in names if environ.get('LIBPROCESS_SSL_' + name)]
        return found[0] if found else None

    if (value('ENABLED') or '').lower() not in ('1', 'true'):
        return None
    verify = (value('VERIFY_SERVER_CERT', 'VERIFY_CERT') or 'true').lower() not in ('0', 'false')
    return make_context({'ca_file': value('CA_FILE'), 'ca_dir': value('CA_DIR'), 'cert_file': value('CERT_FILE'),
                         'key_file': value('KEY_FILE'), 'verify': verify})

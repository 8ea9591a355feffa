"""Looks once whether something listens or answers: HTTP and TCP checks, made in a forked child, which may block."""
from __future__ import absolute_import, division, print_function

import re
import socket

__all__ = ['look']

HOST = '127.0.0.1'
MAX_HEAD = 64 * 1024
MAX_REDIRECTS = 10

_STATUS = re.compile(br'HTTP/1\.[01] ([0-9]{3})')
_LOCATION = re.compile(br'\r\nlocation:[ \t]*(https?)://(?:127\.0\.0\.1|localhost)(?::([0-9]+))?(/[^\r\n]*)?\r\n', re.I)


def look(check, timeout):
    """The result of an HTTP or TCP check, see :class:`pymesos.local.model.effects.Probe`. Blocks."""
    try:
        if check['type'] == 'TCP':
            return _look_tcp(check, timeout)
        return _look_http(check.get('scheme') or 'http', check['port'], check.get('path') or '/', timeout)
    except (EnvironmentError, ValueError) as error:
        return {'error': 'Failed to connect to %s port %d: %s' % (HOST, check['port'], _reason(error))}


def _reason(error):
    return getattr(error, 'strerror', None) or '%s' % error


def _look_tcp(check, timeout):
    try:
        socket.create_connection((HOST, check['port']), timeout).close()
    except socket.timeout:
        raise
    except EnvironmentError:
        return {'succeeded': False}
    return {'succeeded': True}


def _look_http(scheme, port, path, timeout):
    """The status code of the last answer: redirects to this host are followed, as Mesos' curl does."""
    code = None
    for _ in range(MAX_REDIRECTS + 1):
        head = _ask(scheme, port, path, timeout)
        status = _STATUS.match(head)
        if status is None:
            raise ValueError('it does not speak HTTP')
        code = int(status.group(1))
        location = _LOCATION.search(head)
        if code not in (301, 302, 303, 307, 308) or location is None:
            break
        scheme = location.group(1).decode('ascii').lower()
        port = int(location.group(2) or {'http': 80, 'https': 443}[scheme])
        path = (location.group(3) or b'/').decode('latin-1')
    return {'status_code': code}


def _ask(scheme, port, path, timeout):
    """The head of the answer to a GET."""
    sock = socket.create_connection((HOST, port), timeout)
    try:
        if scheme == 'https':
            import ssl                  # few need it
            context = ssl.SSLContext(ssl.PROTOCOL_SSLv23)
            # As curl -k, which Mesos uses.
            context.check_hostname = False      # novm: from 2.7.9 on
            context.verify_mode = ssl.CERT_NONE
            sock = context.wrap_socket(sock)
        sock.sendall(('GET %s HTTP/1.1\r\nHost: %s:%d\r\nUser-Agent: pymesos\r\nAccept: */*\r\n'
                      'Connection: close\r\n\r\n' % (path, HOST, port)).encode('utf-8'))
        head = b''
        while b'\r\n\r\n' not in head and len(head) < MAX_HEAD:
            data = sock.recv(4096)
            if not data:
                break
            head += data
        return head.partition(b'\r\n\r\n')[0] + b'\r\n'
    finally:
        sock.close()

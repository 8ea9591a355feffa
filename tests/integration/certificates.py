"""Certificates for tests, made by the openssl command."""
from __future__ import absolute_import, division, print_function

import os
import ssl
import subprocess


class Authority(object):
    """A certificate authority in `folder`; :meth:`issue` makes certificates that it has signed."""

    def __init__(self, folder, name='ca'):
        self.folder = str(folder)
        self.ca_file = os.path.join(self.folder, name + '.pem')
        self._key_file = os.path.join(self.folder, name + '.key')
        self._name = name
        run('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '30', '-subj', '/CN=' + name,
            '-addext', 'keyUsage=critical,keyCertSign,cRLSign', '-keyout', self._key_file, '-out', self.ca_file)

    def issue(self, name, subject_alternatives):
        """(certificate's file, key's file) for text such as ``'DNS:localhost,IP:127.0.0.1'``."""
        base = os.path.join(self.folder, '%s-%s' % (self._name, name))
        with open(base + '.ext', 'w') as extensions:
            extensions.write('subjectAltName=%s\nauthorityKeyIdentifier=keyid\n' % subject_alternatives)
        run('req', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=' + name, '-keyout', base + '.key',
            '-out', base + '.csr')
        run('x509', '-req', '-in', base + '.csr', '-CA', self.ca_file, '-CAkey', self._key_file, '-CAcreateserial',
            '-days', '30', '-extfile', base + '.ext', '-out', base + '.pem')
        return base + '.pem', base + '.key'

    def server_context(self, subject_alternatives='DNS:localhost,IP:127.0.0.1', wants_client=False):
        """An :class:`ssl.SSLContext` for a server with a certificate of this authority."""
        certificate, key = self.issue('server', subject_alternatives)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self.ca_file)
        context.load_cert_chain(certificate, key)
        if wants_client:
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def run(*command):
    child = subprocess.Popen(('openssl',) + command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output, _ = child.communicate()
    assert child.returncode == 0, output

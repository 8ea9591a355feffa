"""For all tests: nothing may be left behind, nothing may hang, and what is random can be repeated.

PYMESOS_SEED=N repeats a run whose test printed ``random seed: N``.
"""
from __future__ import absolute_import, division, print_function

import os
import random
import subprocess
import sys
from collections import namedtuple

import pytest

from pymesos.testing import LeakCheck

pytest_plugins = ['pymesos.testing.plugin']

CertificateFiles = namedtuple('CertificateFiles', ['ca_file', 'cert_file', 'key_file'])


def pytest_collection_modifyitems(items):
    """End a hanging run of 2.7 from a thread: there a main thread that waits for a lock sees no signal."""
    if sys.version_info < (3, 3):
        for item in items:
            if item.get_closest_marker('timeout') is None:
                item.add_marker(pytest.mark.timeout(method='thread'))


@pytest.fixture(autouse=True)
def nothing_left_behind():
    """No test leaves a thread, a descriptor or a child process behind."""
    check = LeakCheck()
    yield
    check.check()


@pytest.fixture
def random_seed():
    """The seed (an int) for what is random in a test; printed, so that a failure can be repeated."""
    seed = int(os.environ.get('PYMESOS_SEED') or random.SystemRandom().randrange(2 ** 32))
    print('random seed: %d (PYMESOS_SEED=%d repeats it)' % (seed, seed))
    return seed


@pytest.fixture(scope='session')
def certificate_files(tmpdir_factory):
    """Paths of a certificate for localhost, 127.0.0.1 and ::1, its key, and the authority that signed it (itself)."""
    directory = tmpdir_factory.mktemp('certificates')
    config = directory.join('openssl.cnf')
    config.write('[req]\ndistinguished_name = name\nx509_extensions = extensions\nprompt = no\n'
                 '[name]\nCN = localhost\n'
                 '[extensions]\nsubjectAltName = DNS:localhost,IP:127.0.0.1,IP:::1\n'
                 'basicConstraints = critical,CA:TRUE\n')
    certificate, key = str(directory.join('cert.pem')), str(directory.join('key.pem'))
    subprocess.check_output(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-config',
                             str(config), '-out', certificate, '-keyout', key], stderr=subprocess.STDOUT)
    return CertificateFiles(certificate, certificate, key)

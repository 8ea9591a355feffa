"""Where the traffic lies that was recorded from a real Mesos: ``../shared/captures``, or $PYMESOS_SHARED/captures."""
from __future__ import absolute_import, division, print_function

import glob
import os
import sys

import pytest

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SHARED = os.environ.get('PYMESOS_SHARED') or os.path.join(os.path.dirname(os.path.dirname(TESTS)), 'shared')

# Helpers that stand beside the unit tests are of use here as well.
sys.path.insert(0, os.path.join(TESTS, 'unit'))


def folder(kind):
    """The folder of the captures of a kind, such as ``'scheduler'``. Without it the test fails."""
    found = os.path.join(SHARED, 'captures', kind)
    if not os.path.isdir(found):
        pytest.fail('there is no folder %s: put the captures beside the repository, or name their parent folder in '
                    'PYMESOS_SHARED' % found)
    return found


def paths(kind, pattern):
    """The files of a kind whose names match; there are some, or the test fails."""
    found = sorted(glob.glob(os.path.join(folder(kind), pattern)))
    if not found:
        pytest.fail('there is no %s in %s' % (pattern, folder(kind)))
    return found

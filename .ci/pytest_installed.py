"""Run pytest on the installed library, not on the folder beside the tests.

The current directory is kept off the path, and a `pymesos` that is found in the checkout all the same
ends the run: the wheel is what users get.
"""
from __future__ import absolute_import, division, print_function

import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
CHECKOUT = os.path.dirname(HERE)
sys.path[:] = [each for each in sys.path if os.path.realpath(each or '.') not in (HERE, CHECKOUT)]
os.environ.pop('PYTHONPATH', None)

import pytest  # noqa: E402  the path comes first
import pymesos  # noqa: E402

if os.path.realpath(pymesos.__file__).startswith(CHECKOUT + os.sep + 'pymesos'):
    sys.exit('pymesos is imported from %s and not from the wheel' % pymesos.__file__)
sys.exit(pytest.main(sys.argv[1:]))

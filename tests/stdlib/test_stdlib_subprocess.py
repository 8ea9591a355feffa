"""The interpreter's own tests of subprocess, run on :mod:`pymesos.subprocess` and a cluster; one test for each."""
from __future__ import absolute_import, division, print_function

import pytest
import skipped
import suite

# The suite has its own mind about warnings.
pytestmark = pytest.mark.filterwarnings('ignore')

#: How often a test is tried that demands a speed of the machine.
TRIES = 3

try:
    MODULE = suite.load()
    TESTS = suite.find_tests(MODULE)
    MISSING = None
except suite.SuiteMissing as error:
    MODULE, TESTS, MISSING = None, {}, str(error)


@pytest.fixture(scope='session', autouse=True)
def module_is_set_up(cluster):
    """What unittest calls before the tests of the module."""
    if hasattr(MODULE, 'setUpModule'):
        MODULE.setUpModule()


def test_this_interpreter_has_its_own_tests_of_subprocess():
    assert MISSING is None, MISSING
    assert len(TESTS) > 100


def test_list_of_what_is_not_run_names_only_what_there_is():
    suite.reasons(TESTS)


@pytest.mark.timeout(180)
@pytest.mark.parametrize('name', sorted(TESTS))
def test_of_the_interpreter(name):
    reason = suite.reasons(TESTS).get(name)
    if reason is not None:
        pytest.skip(reason)
    method = name.partition('.')[2]
    for _ in range(TRIES if method in skipped.TIMED else 1):
        result = suite.run(TESTS[name], method)
        wrong = [text for _, text in result.failures + result.errors]
        if not wrong:
            break
    if wrong:
        pytest.fail('\n'.join(wrong), pytrace=False)
    if result.skipped:
        pytest.skip('by itself: %s' % result.skipped[0][1])

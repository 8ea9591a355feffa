"""The interpreter's own tests of subprocess (``test.test_subprocess``), bound to :mod:`pymesos.subprocess`."""
from __future__ import absolute_import, division, print_function

import importlib
import os
import sys
import unittest

import skipped

import pymesos.subprocess
import pymesos.subprocess.communicate

#: What the suite looks for in the standard library's module besides what is public: Popen objects that were dropped
#: before their commands had ended, after each test (ours keeps none); and whether children are started by code in C,
#: to know which text to expect of a preexec_fn that failed.
#: And whether it can do without poll(): then the tests that gather output are run a second time, with select().
LOOKED_FOR = {'_active': [], '_cleanup': lambda: None, '_fork_exec': True, '_posixsubprocess': True, '_has_poll': True}


class SuiteMissing(Exception):
    """This interpreter was installed without its own tests."""


def load():
    """The module ``test.test_subprocess`` with ours in place of ``subprocess``; raises :class:`SuiteMissing`.

    Its classes use the name while they are made, so it is imported with the name bound. What it imports in turn
    keeps the standard library's.
    """
    try:
        importlib.import_module('test.test_subprocess')
    except ImportError as error:
        raise SuiteMissing('%s has no test.test_subprocess (%s): its own tests of subprocess cannot be run on ours. '
                           'Use an interpreter that was installed with the package `test`.' % (sys.executable, error))
    _leave_virtual_environment()
    standard = sys.modules['subprocess']
    for name in LOOKED_FOR:
        setattr(pymesos.subprocess, name, LOOKED_FOR[name])
    for name in pymesos.subprocess.__all__:
        getattr(pymesos.subprocess, name)           # a test looks at all that there is
    del sys.modules['test.test_subprocess']
    sys.modules['subprocess'] = pymesos.subprocess
    try:
        return importlib.import_module('test.test_subprocess')
    finally:
        sys.modules['subprocess'] = standard


def _leave_virtual_environment():
    """Let sys tell of the interpreter itself: a few tests give it another name, by which it finds no environment."""
    for name in ('prefix', 'exec_prefix'):
        setattr(sys, name, getattr(sys, 'base_' + name, getattr(sys, 'real_prefix', getattr(sys, name))))
    base = os.path.join(sys.exec_prefix, 'bin', 'python%d.%d' % sys.version_info[:2])
    sys.executable = base if os.path.exists(base) else os.path.realpath(sys.executable)


def find_tests(module):
    """{'Class.test_method': class} of all tests of the module."""
    found = {}
    for name in sorted(vars(module)):
        case = getattr(module, name)
        if isinstance(case, type) and issubclass(case, unittest.TestCase) and case.__module__ == module.__name__:
            for method in unittest.TestLoader().getTestCaseNames(case):
                found['%s.%s' % (name, method)] = case
    return found


def reasons(tests):
    """{test: why it is not run} on this Python; KeyError with what the list names and this Python should have."""
    version = '%d.%d' % sys.version_info[:2]
    chosen, unknown = {}, []
    for name, reason, versions in skipped.SKIPPED:
        if versions is not None and version not in versions:
            continue
        names = [test for test in tests if test == name or test.startswith(name + '.')]
        if not names and (versions is not None or version == skipped.NEWEST):
            unknown.append(name)
        chosen.update((test, reason) for test in names)
    if unknown:
        raise KeyError('%s names what %s does not have: %s' % (skipped.__file__, version, ', '.join(unknown)))
    return chosen


def run(case, method):
    """Run one test; returns its unittest.TestResult."""
    result = unittest.TestResult()
    selector = pymesos.subprocess.communicate.Selector
    if case.__name__.endswith('NoPoll'):
        pymesos.subprocess.communicate.Selector = pymesos._compat.selectors.SelectSelector
        # Where the suite puts the same choice for the standard library.
        pymesos.subprocess._PopenSelector = None
    try:
        case(method).run(result)
    finally:
        pymesos.subprocess.communicate.Selector = selector
    return result

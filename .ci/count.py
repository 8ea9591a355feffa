"""Count tests in pytest's JUnit reports: fails if none ran, if one failed, with --no-skips if one was skipped.

With --total the last line is the sum of all reports, in the form ``total: N passed, N failed, N skipped``.
"""
from __future__ import absolute_import, division, print_function

import os
import sys
from xml.etree import ElementTree


def counts(path):
    """(passed, failed, skipped, [names and reasons of the skipped]) of one report."""
    tests = failed = skipped = 0
    reasons = []
    for suite in ElementTree.parse(path).getroot().iter('testsuite'):
        tests += int(suite.get('tests'))
        failed += int(suite.get('failures')) + int(suite.get('errors'))
        # Older releases call it skips; those expected to fail are among them.
        skipped += int(suite.get('skipped') or suite.get('skips') or 0)
        for case in suite.iter('testcase'):
            for mark in case.iter('skipped'):
                reasons.append('%s.%s: %s' % (case.get('classname'), case.get('name'), mark.get('message')))
    return max(tests - failed - skipped, 0), failed, skipped, reasons


def main(arguments):
    options = [each for each in arguments if each.startswith('--')]
    reports = [each for each in arguments if not each.startswith('--')]
    total = [0, 0, 0]
    bad = []
    for path in reports:
        if not os.path.exists(path):
            bad.append('%s: no report, pytest did not get to its end' % path)
            continue
        passed, failed, skipped, reasons = counts(path)
        total = [sum(pair) for pair in zip(total, (passed, failed, skipped))]
        if failed:
            bad.append('%s: %d failed' % (path, failed))
        if not passed and not failed:
            bad.append('%s: no test ran' % path)
        if skipped and '--no-skips' in options:
            bad.append('%s: %d skipped where none may be:\n  %s' % (path, skipped, '\n  '.join(reasons)))
    for text in bad:
        print('error: ' + text)
    label = 'total: ' if '--total' in options else ''
    print('%s%d passed, %d failed, %d skipped' % ((label,) + tuple(total)))
    return 1 if bad or not reports else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))

"""Wait for a condition, with a deadline."""
from __future__ import absolute_import, division, print_function

import time

from .._compat import monotonic

__all__ = ['TIMEOUT', 'wait_until']

#: Seconds that a helper waits by default: far above what a test needs on a loaded machine.
TIMEOUT = 30.0

#: Seconds between two looks.
INTERVAL = 0.01


def wait_until(predicate, timeout=TIMEOUT, message=None):
    """Call `predicate` every 10 ms until what it returns is true, and return that.

    `timeout` is in seconds. Raises AssertionError when it is over: `message` (text, or a function that makes the text
    then) says what was waited for. Exceptions of `predicate` pass through. For any thread.
    """
    deadline = monotonic() + timeout
    while True:
        value = predicate()
        if value:
            return value
        if monotonic() > deadline:
            text = message() if callable(message) else message
            raise AssertionError('waited %g s in vain for %s' % (timeout, text or predicate))
        time.sleep(INTERVAL)

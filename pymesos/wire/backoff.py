"""How long to wait before an attempt: from its number, bounds and a given source of randomness."""
from __future__ import absolute_import, division, print_function

__all__ = ['Backoff', 'Spread']


def _zero():
    return 0.0


class Backoff(object):
    """Waits that grow: `first` before attempt 0, then `base`, `base * factor`, ... and never more than `cap`.

    All in seconds. Of each wait but the first a random part, at most the share `jitter` (0 to 1), is left out, so that
    many clients that lost one peer do not come back all at once. `random` is a function such as `random.random`,
    which returns a float from 0 up to 1; without one nothing is left out.
    """

    def __init__(self, first=0.0, base=0.5, factor=2.0, cap=15.0, jitter=0.5, random=None):
        self._random = random or _zero
        self._first = first
        self._base = base
        self._factor = float(factor)
        self._cap = cap
        self._jitter = jitter

    def delay(self, attempt):
        """Seconds to wait before attempt number `attempt`, counted from 0."""
        if attempt <= 0:
            return min(self._cap, self._first)
        try:
            whole = min(self._cap, self._base * self._factor ** (attempt - 1))
        except OverflowError:
            whole = self._cap
        return whole * (1.0 - self._jitter * self._random())


class Spread(object):
    """Waits without growth: anything from 0 to `maximum` seconds, but none before attempt 0.

    It is how executors come back to an agent, within MESOS_SUBSCRIPTION_BACKOFF_MAX (PROTOCOL 3.4).
    `random` is a function as for :class:`Backoff`.
    """

    def __init__(self, maximum, random):
        self._random = random
        self._maximum = maximum

    def delay(self, attempt):
        """Seconds to wait before attempt number `attempt`, counted from 0."""
        return 0.0 if attempt <= 0 else self._maximum * self._random()

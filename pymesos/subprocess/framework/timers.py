"""What is due when. Pure: the time is given."""
from __future__ import absolute_import, division, print_function

import heapq

__all__ = ['Timers']


class Timers(object):
    """A time for each of any number of keys, which can be compared with each other."""

    def __init__(self):
        self._when = {}
        self._heap = []                 # of (when, key), those that were changed since included

    def set(self, key, when):
        """`key` is due at `when`, and at no other time any more."""
        self._when[key] = when
        heapq.heappush(self._heap, (when, key))
        if len(self._heap) > 64 and len(self._heap) > 4 * len(self._when):
            self._heap = [(when, key) for key, when in self._when.items()]
            heapq.heapify(self._heap)

    def set_if_sooner(self, key, when):
        """`key` is due at `when`, unless it is due before that."""
        if key not in self._when or when < self._when[key]:
            self.set(key, when)

    def cancel(self, key):
        """`key` is never due; fine if it was not."""
        self._when.pop(key, None)

    def clear(self):
        """Nothing is due any more."""
        self._when.clear()
        del self._heap[:]

    def __contains__(self, key):
        return key in self._when

    def next(self):
        """When the next one is due, None if none is."""
        while self._heap and self._when.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def due(self, now):
        """A list of the keys that are due, in the order of their times; they are taken off."""
        found = []
        while True:
            when = self.next()
            if when is None or when > now:
                return found
            key = heapq.heappop(self._heap)[1]
            del self._when[key]
            found.append(key)

"""A world for models of the embedded cluster whose clock a test moves by hand, and whose randomness is seeded."""
from __future__ import absolute_import, division, print_function

import random

from pymesos.local.model.effects import Cancel, Timer
from pymesos.local.model.world import World

START = 1700000000.0


class FakeWorld(World):
    """`now` is seconds since :data:`START`; :meth:`pass_time` moves it and fires a model's timers."""

    def __init__(self, seed=1):
        self.now = 0.0
        super(FakeWorld, self).__init__(lambda: START + self.now, lambda: self.now, random.Random(seed))

    def pass_time(self, model, seconds, timers):
        """Move the clock and call ``model.on_timer`` for what falls due, in order.

        `timers` is {key: due}, kept by :func:`take_effects`; the effects that the timers bring about are returned.
        """
        until, found = self.now + seconds, []
        while True:
            due = [(when, repr(key), key) for key, when in timers.items() if when <= until]
            if not due:
                break
            when, _, key = min(due)
            del timers[key]
            self.now = max(self.now, when)
            model.on_timer(key)
            found += take_effects(self, model, timers)
        self.now = until
        return found


def take_effects(world, model, timers):
    """What a model has ordered since, without its timers, which are noted in `timers` ({key: due})."""
    effects, model.effects[:] = list(model.effects), []
    for effect in effects:
        if isinstance(effect, Timer):
            timers[effect.key] = world.now + effect.delay
        elif isinstance(effect, Cancel):
            timers.pop(effect.key, None)
    return [effect for effect in effects if not isinstance(effect, (Timer, Cancel))]

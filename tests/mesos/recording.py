"""A scheduler that writes down what happens to it, for tests to wait for."""
from __future__ import absolute_import, division, print_function

import threading

from pymesos import Scheduler
from pymesos._compat import monotonic

#: Seconds that an event may take.
DEADLINE = 60

CALLBACKS = [name for name in vars(Scheduler) if not name.startswith('_')]


def _recorder(name):
    def callback(self, driver, *args):
        with self.changed:
            self.calls.append((name, args))
            self.changed.notify_all()
        self.respond(driver, name, args)
    callback.__name__ = name
    return callback


class RecordingScheduler(Scheduler):
    """Keeps every callback's name and arguments (without the driver) in `calls`; `respond` may be overridden."""

    def __init__(self):
        self.changed = threading.Condition()        # guards calls
        self.calls = []

    def respond(self, driver, name, args):
        """Called in every callback, after it was recorded."""

    def seen(self, name, start=0):
        """The arguments of each call of callback `name` since position `start`."""
        with self.changed:
            return [args for called, args in self.calls[start:] if called == name]

    @property
    def position(self):
        """Where the calls that are still to come will begin."""
        with self.changed:
            return len(self.calls)

    def await_call(self, name, is_wanted=lambda *args: True, start=0, deadline=DEADLINE):
        """Wait for a call of `name`, since position `start`, whose arguments satisfy `is_wanted`; the arguments."""
        end = monotonic() + deadline
        with self.changed:
            while True:
                for called, args in self.calls[start:]:
                    if called == name and is_wanted(*args):
                        return args
                left = end - monotonic()
                if left <= 0:
                    raise AssertionError('waited %d s for %s; since then there were %s'
                                         % (deadline, name, self.calls[start:][-20:]))
                self.changed.wait(min(left, 1.0))   # 2.7 cannot be interrupted in a longer one

    def await_offer(self, start=0, is_wanted=lambda offer: True):
        """Wait for an offer, since position `start`, that satisfies `is_wanted`."""
        offers, = self.await_call('resourceOffers', lambda offers: any(map(is_wanted, offers)), start)
        return next(offer for offer in offers if is_wanted(offer))

    def await_status(self, task_id, state, start=0, deadline=DEADLINE):
        """Wait for an update on a task (text) that has a state."""
        status, = self.await_call(
            'statusUpdate', lambda status: (status['task_id']['value'], status['state']) == (task_id, state), start,
            deadline)
        return status


for _name in CALLBACKS:
    setattr(RecordingScheduler, _name, _recorder(_name))

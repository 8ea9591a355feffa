"""A bar on the terminal that shows how many commands have ended."""
from __future__ import absolute_import, division, print_function

import threading

from tqdm import tqdm

__all__ = ['Bar', 'NoBar']

#: Of a known number of commands, and of an unknown one.
FORMAT = '{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]'
ENDLESS = '{n_fmt} ended [{elapsed}{postfix}]'


class _Quiet(tqdm):
    """A bar without the thread that watches over bars, and without the lock for bars of several processes."""

    monitor_interval = 0


_Quiet.set_lock(threading.RLock())


class NoBar(object):
    """What is used where there is no terminal."""

    #: Seconds between two looks, or None: there is nothing to look at.
    interval = None

    def hide(self):
        """Make room for other output."""

    def show(self, ended, running, failed):
        """Say how it stands."""

    def close(self):
        """Take it away."""


class Bar(NoBar):
    """A bar on `stream`, for `total` commands (None: unknown). It shows up with :meth:`show`; one thread at a time."""

    interval = 0.2

    def __init__(self, stream, total):
        # With a delay it is not drawn here and now.
        self._bar = _Quiet(total=total, file=stream, leave=False, dynamic_ncols=True, delay=1e-9,
                           bar_format=ENDLESS if total is None else FORMAT)
        self._is_shown = False

    def hide(self):
        if self._is_shown:
            self._is_shown = False
            self._bar.clear(nolock=True)

    def show(self, ended, running, failed):
        self._is_shown = True
        self._bar.n = ended
        self._bar.set_postfix_str('%d running%s' % (running, ', %d failed' % failed if failed else ''), refresh=False)
        self._bar.refresh(nolock=True)

    def close(self):
        self.hide()
        self._bar.close()

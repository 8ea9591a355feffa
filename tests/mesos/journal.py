"""Compare what executors reported with what schedulers were told: the heart of "nothing is lost"."""
from __future__ import absolute_import, division, print_function

import glob
import os
from collections import OrderedDict, namedtuple

from journal_executor import FIRST, LATER
from journal_scheduler import EXECUTORS, TASKS

from pymesos.testing import wait_until

#: How many updates each task has.
UPDATES = len(FIRST) + len(LATER)

Update = namedtuple('Update', ['task', 'number', 'state', 'uuid'])


#: How much of each program's log is shown when a test fails.
LOG_TAIL = 3000


def program_logs(folder, cluster):
    """The ends of the logs in a folder and of those of the executors of a :class:`real_mesos.RealMesos`."""
    in_sandboxes = 'agent*/agents/*/*/slaves/*/frameworks/*/executors/*/runs/*/stderr'
    parts = []
    for pattern in (os.path.join(folder, '*.log'), os.path.join(cluster.folder, in_sandboxes)):
        for path in sorted(glob.glob(pattern)):
            if '/latest/' not in path:
                with open(path) as stream:
                    parts.append('---- end of %s\n%s' % (path, stream.read()[-LOG_TAIL:]))
    return '\n'.join(parts)


class Journal(object):
    """The files of one run in `folder`, on a cluster (:class:`real_mesos.RealMesos`)."""

    def __init__(self, folder, cluster):
        self.folder = str(folder)
        self.cluster = cluster
        self.executors = cluster.agents * EXECUTORS
        self.tasks = self.executors * TASKS
        self._counted = 0, 0            # received and reported when the last gate was opened

    # ---- reading

    def _lines(self, pattern):
        for path in sorted(glob.glob(os.path.join(self.folder, pattern)), key=os.path.getctime):
            with open(path) as stream:
                text = stream.read()
            # A process that was killed may have left an unfinished line; nothing was done with that update.
            for line in text[:text.rfind('\n') + 1].splitlines():
                yield line.split(' ')

    def reported(self):
        """task -> list of the updates that its executor sent, in order."""
        found = OrderedDict()
        for words in self._lines('journal-*'):
            if not words[0].isupper():
                found.setdefault(words[0], []).append(Update(*words))
        return found

    def received(self):
        """task -> list of the updates that schedulers were told of reliably, in order."""
        found = OrderedDict()
        for words in self._lines('received-*'):
            if not words[0].isupper() and words[3] != '-':
                found.setdefault(words[0], []).append(Update(*words[:4]))
        return found

    def unreliable(self):
        """The updates without uuid: made by a master, or an answer to a reconciliation."""
        return [words for words in self._lines('received-*') if not words[0].isupper() and words[3] == '-']

    def events(self, kind, source='received-*'):
        """The lines that begin with `kind`, of the schedulers or (``'journal-*'``) of the executors."""
        return [words for words in self._lines(source) if words[0] == kind]

    def counted(self, updates):
        return sum(len(of_task) for of_task in updates.values())

    # ---- waiting

    def await_running(self, deadline=120):
        """Wait until every task has reported that it runs, and the scheduler knows."""
        self._await(lambda: self._is_complete(len(FIRST)), deadline, 'all tasks to run')

    def open(self, gate):
        """Let the executors report what comes behind a gate, ``'go'`` or ``'end'``."""
        self._counted = self.counted(self.received()), self.counted(self.reported())
        open(os.path.join(self.folder, gate), 'w').close()

    def await_received(self, more, deadline=120):
        """Wait until the scheduler was told of `more` updates than when the last gate was opened."""
        start = self._counted[0]
        self._await(lambda: self.counted(self.received()) >= start + more, deadline, '%d more updates' % more)

    def await_reported(self, more, deadline=120):
        """Wait until executors have sent `more` updates than when the last gate was opened."""
        start = self._counted[1]
        self._await(lambda: self.counted(self.reported()) >= start + more, deadline, '%d more reports' % more)

    def await_events(self, count, kind, source='received-*', deadline=120):
        """Wait until there are `count` events of a kind."""
        self._await(lambda: len(self.events(kind, source)) >= count, deadline, '%d times %s' % (count, kind))

    def await_end(self, deadline=120):
        """Wait until every update of every task has arrived."""
        self._await(lambda: self._is_complete(UPDATES), deadline, 'every update')

    def _is_complete(self, updates):
        received = self.received()
        return len(received) == self.tasks and all(
            len(set(update.number for update in of_task)) >= updates for of_task in received.values())

    def _await(self, question, deadline, what):
        wait_until(question, deadline, lambda: '%s: %d were reported, %d have arrived\n%s' % (
            what, self.counted(self.reported()), self.counted(self.received()),
            program_logs(self.folder, self.cluster)))

    # ---- judging

    def check(self, is_replayed=False):
        """Every update arrived, in order, and nothing else; and nobody who should live was ended.

        `is_replayed` says that executors lost their agent. One that did not hear that the agent took an update sends it
        again; and if the task's last update is acknowledged by then, the agent has forgotten the task and takes it
        for a new one. So a repetition, which has the uuid of the first, may then come after a later update.
        """
        reported, received = self.reported(), self.received()
        assert len(reported) == self.tasks
        for task, sent in reported.items():
            assert [update.number for update in sent] == [str(n) for n in range(UPDATES)], (task, sent)
            arrived = received[task]
            assert list(OrderedDict.fromkeys(arrived)) == sent, (task, sent, arrived)
            if not is_replayed:
                assert arrived == sorted(arrived, key=lambda update: int(update.number)), (task, arrived)
        assert set(received) == set(reported)
        assert self.unreliable() == []
        for kind in ('EXECUTOR_LOST', 'AGENT_LOST', 'ERROR'):
            assert self.events(kind) == []
        for kind in ('KILL', 'SHUTDOWN', 'ERROR'):
            assert self.events(kind, 'journal-*') == []
        # No executor was started twice.
        assert len(glob.glob(os.path.join(self.folder, 'journal-*'))) == self.executors
        assert len(self.events('REGISTERED', 'journal-*')) == self.executors

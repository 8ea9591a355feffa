"""Whatever dies on the way, every update of 320 tasks arrives, in order, and no task ends that should live."""
from __future__ import absolute_import, division, print_function

import logging
import os
import re
import signal

import pytest
from children import HERE, Child
from journal import Journal
from journal_scheduler import JournalScheduler, framework_info

from pymesos import MesosSchedulerDriver
from pymesos._compat import monotonic
from pymesos.testing import FaultProxy, wait_until

pytestmark = [pytest.mark.mesos, pytest.mark.slow]

AGENTS = 2

#: A master that is started again has to know its agents, and neither they nor executors may be declared lost because
#: this machine is busy.
MESOS = dict(agents=AGENTS, registry='replicated_log', ping='15secs,20',
             agent_env={'MESOS_EXECUTOR_REREGISTRATION_TIMEOUT': '6secs'})


class Run(object):
    """320 tasks under way, with a scheduler in this process; a context manager."""

    def __init__(self, cluster, folder, master=None, endpoint_of=lambda offer: None):
        self.cluster = cluster
        self.journal = Journal(folder, cluster)
        self.scheduler = JournalScheduler(str(folder), AGENTS, endpoint_of)
        self.driver = MesosSchedulerDriver(self.scheduler, framework_info(str(folder)), master or cluster.master)

    def __enter__(self):
        self.driver.start()
        self.journal.await_running()
        return self

    def __exit__(self, *exc_info):
        self.driver.stop()
        self.driver.join()
        self.scheduler.close()

    def finish(self, **options):
        """Wait for the rest and judge."""
        self.journal.await_end()
        self.journal.check(**options)
        check_master(self.cluster, self.journal)


def check_master(cluster, journal):
    """The master, too, has every task in the state that its executor reported, and all is acknowledged."""
    def framework():
        found, = cluster.get('/state')['frameworks']
        return found

    cluster.wait_for(lambda: not framework()['tasks'], 'all updates to be acknowledged', 120)
    known = dict((task['id'], task['state']) for task in framework()['completed_tasks'])
    assert known == dict((task, sent[-1].state) for task, sent in journal.reported().items())


def test_master_is_killed_and_started_again(mesos_factory, tmpdir):
    cluster = mesos_factory(**MESOS)
    with Run(cluster, tmpdir) as run:
        run.journal.open('go')
        run.journal.await_received(100)
        cluster.kill_master()
        run.journal.open('end')
        run.journal.await_reported(100)
        run.journal.await_events(1, 'DISCONNECTED')
        cluster.start_master()
        run.finish()
        assert len(run.journal.events('REREGISTERED')) >= 1


def test_agents_are_killed_and_started_again(mesos_factory, tmpdir):
    cluster = mesos_factory(**MESOS)
    with Run(cluster, tmpdir) as run:
        run.journal.open('go')
        run.journal.await_received(100)
        for agent in (1, 2):
            cluster.kill_agent(agent)
        # What is reported now has nobody to take it.
        run.journal.open('end')
        run.journal.await_reported(100)
        run.journal.await_events(run.journal.executors, 'DISCONNECTED', 'journal-*')
        for agent in (1, 2):
            cluster.start_agent(agent)
        run.finish(is_replayed=True)
        assert len(run.journal.events('REREGISTERED', 'journal-*')) >= run.journal.executors
        assert not run.journal.events('DISCONNECTED')       # the scheduler's own connection had no part in it


def test_connection_of_the_scheduler_is_cut_inside_records(mesos_factory, fault_proxy, caplog, tmpdir):
    cluster = mesos_factory(**MESOS)
    proxy = fault_proxy(cluster.master)
    caplog.set_level(logging.WARNING, 'pymesos')
    with Run(cluster, tmpdir, proxy.address) as run:
        for gate in ('go', 'end'):
            for number in range(3):
                # Inside the second or third record from here; by RST and by FIN in turn.
                cut(run.journal, proxy, 1001 + 97 * number, with_reset=bool(number % 2), gate=None if number else gate)
        run.finish()
    assert re.search('the stream ended after [0-9]+ of the [0-9]+ bytes of a record', caplog.text)


def cut(journal, proxy, size, with_reset, gate):
    """Cut connections until it was the stream's, and wait until the scheduler is subscribed again.

    A `gate` is opened when the first cut is prepared.
    """
    cuts = len(journal.events('REREGISTERED'))
    while len(journal.events('REREGISTERED')) == cuts:
        connections = proxy.connections
        proxy.cut_after(size, with_reset=with_reset)
        if gate is not None:
            journal.open(gate)
            gate = None
        wait_until(lambda: proxy.connections > connections or len(journal.events('REREGISTERED')) > cuts, 60,
                   'another connection')


def test_scheduler_is_killed_and_another_takes_over(mesos_factory, tmpdir):
    cluster = mesos_factory(**MESOS)
    journal = Journal(tmpdir, cluster)
    program = [os.path.join(HERE, 'journal_scheduler.py'), cluster.master, tmpdir, AGENTS]
    with Child(tmpdir.join('first.log'), *program) as first:
        journal.await_running()
        journal.open('go')
        journal.await_received(100)
        first.kill()
    journal.open('end')
    journal.await_reported(100)
    with Child(tmpdir.join('second.log'), *program) as second:
        journal.await_received(100)
        second.kill()
    with Child(tmpdir.join('third.log'), *program) as third:
        journal.await_end()
        journal.check()
        check_master(cluster, journal)
        assert third.kill(signal.SIGTERM) == 0, third.text
    assert len(journal.events('REREGISTERED')) == 2


def test_connections_of_the_executors_are_cut(mesos_factory, fault_proxy, tmpdir):
    cluster = mesos_factory(**MESOS)
    proxies = dict((cluster.agent(n), fault_proxy(cluster.agent(n))) for n in range(1, AGENTS + 1))

    def endpoint_of(offer):
        address = offer['url']['address']
        return proxies['%s:%d' % (address['ip'], address['port'])].netloc

    with Run(cluster, tmpdir, endpoint_of=endpoint_of) as run:
        journal = run.journal
        assert all(proxy.open_connections for proxy in proxies.values())
        for gate, options in (('go', {'with_reset': False}), ('end', {'direction': 'up'})):
            connections = [proxy.connections for proxy in proxies.values()]
            for proxy in proxies.values():
                proxy.cut_after(1013, **options)
            journal.open(gate)
            wait_until(lambda: all(proxy.connections > before for proxy, before in zip(proxies.values(), connections)),
                       60, 'another connection of each agent')
            for fault in (FaultProxy.reset, FaultProxy.close_connections, FaultProxy.garbage):
                before = len(journal.events('REREGISTERED', 'journal-*'))
                for proxy in proxies.values():
                    fault(proxy)
                journal.await_events(before + journal.executors, 'REREGISTERED', 'journal-*')
        run.finish(is_replayed=True)


@pytest.mark.minute
@pytest.mark.timeout(400)
def test_silence_of_the_master_is_noticed(mesos_factory, fault_proxy, tmpdir):
    cluster = mesos_factory(**MESOS)
    proxy = fault_proxy(cluster.master)
    with Run(cluster, tmpdir, proxy.address) as run:
        run.journal.open('go')
        run.journal.await_received(100)
        proxy.black_hole()
        begin = monotonic()
        run.journal.open('end')
        run.journal.await_events(1, 'DISCONNECTED')
        # 5 times the 15 s that were announced, from the last record on, which may be a heartbeat old.
        assert 60 <= monotonic() - begin <= 120
        assert run.driver.connected is False and run.driver.aborted is False
        proxy.pass_through()
        run.journal.await_events(1, 'REREGISTERED')
        run.finish()

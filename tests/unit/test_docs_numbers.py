# -*- coding: utf-8 -*-
"""The numbers on the page of limits are those of the code."""
from __future__ import absolute_import, division, print_function

import io
import os

import pytest

from pymesos import _operator_http, detector, errors, executor, operator_v1, process, scheduler, zookeeper
from pymesos.subprocess import executor as subprocess_executor
from pymesos.subprocess.agent import dialler
from pymesos.subprocess.cli import lines, runner
from pymesos.subprocess.framework import attempts, market, pool
from pymesos.subprocess.streams import hub, link, protocol, session
from pymesos.transport import channel, dial, engine, stream
from pymesos.utils import DAY, parse_duration
from pymesos.wire import backoff, httpmsg, recordio

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, os.pardir, 'docs', 'limits.rst')
KIB, MIB = 1024, 1024 * 1024

NUMBERS = [
    ('without a subscription', '%d s' % DAY),
    ('one connection', '%g s' % process.CONNECT_TIMEOUT),
    ('one call, and SUBSCRIBE', '%g s' % process.CALL_TIMEOUT),
    ('silence that is a lost master', '%d heartbeats' % engine.MISSED_HEARTBEATS),
    ('silence that is a lost master', 'interval, %g s' % process.DEFAULT_HEARTBEAT),
    ('delay before later tries, scheduler', '%g s' % process.BACKOFF_CAP),
    ('delay before later tries, scheduler', '%g s' % backoff.Backoff(first=0, jitter=0).delay(1)),
    ('delay before later tries, executor', '%g s' % (
        executor.BACKOFF_SHARE * parse_duration(executor.DEFAULT_BACKOFF_MAX))),
    ('a subscription counts as settled', '%g s' % process.BACKOFF_CAP),
    ("``stop()`` waits for TEARDOWN's answer", '%g s' % engine.LEAVE_TIMEOUT),
    ('an executor waits for a lost agent', '%g min' % (parse_duration(executor.DEFAULT_RECOVERY_TIMEOUT) / 60)),
    ('HEARTBEAT call of an executor', '%g min' % (executor.HEARTBEAT_INTERVAL / 60)),
    ('an update that could not be sent', '%g s' % executor.RESEND_DELAY),
    ('ZooKeeper session', '%g s' % zookeeper.SESSION_TIMEOUT),
    ('TCP keep-alive', '%d s, %d s, %d' % tuple(number for _, number in dial.KEEPALIVE)),
    ('``failover_timeout``', '%d s' % scheduler.DEFAULT_FAILOVER_TIMEOUT),
    ("an operator's call", '%d s' % operator_v1.HTTP_TIMEOUT),
    ('one event', '%d MiB' % (recordio.DEFAULT_MAX_RECORD // MIB)),
    ("digits of an event's length", '20'),
    ('events that wait', '%d MiB' % (process.MAX_QUEUED // MIB)),
    ('head of an HTTP response', '%d KiB' % (httpmsg.MAX_HEAD // KIB)),
    ('answer to a call', '%d MiB' % (channel.LONGEST_ANSWER // MIB)),
    ("answer to an operator's call", '%d MiB' % (_operator_http.MAX_ANSWER // MIB)),
    ('text of a refusal', '%d KiB' % (stream.LONGEST_REFUSAL // KIB)),
    ('redirects', '%d' % channel.MOST_HOPS),
    ('progress of an unfinished event', '%d KiB' % (stream.LEAST_PROGRESS // KIB)),
    ('path of a domain socket', '%d bytes' % dial.LONGEST_SOCKET_PATH),
    ('file that names the master', '%d KiB' % (detector.FILE_LIMIT // KIB)),
    ('data of a peer', '%d bytes' % errors.EXCERPT_BYTES),
    ("the executor's first connection", '%g s' % dialler.REACH_WITHIN),
    ('a connection that was cut', '%g s' % dialler.RETURN_WITHIN),
    ('a connection that was cut', '%g s' % session.LOST_AFTER),
    ('delay between two tries to connect', u'%g … %g s' % (dialler.SHORTEST_DELAY, dialler.LONGEST_DELAY)),
    ('silence after which', '%g s' % link.ASK_AFTER),
    ('silence after which', 'after %g s' % link.GIVE_UP_AFTER),
    ('peers that have shown', '%d' % hub.MAX_STRANGERS),
    ("a peer's time", '%g s' % hub.HANDSHAKE_TIMEOUT),
    ('head of a request for the', '%d KiB' % (hub.MAX_HEAD // KIB)),
    ('bytes under way', '%d KiB' % (link.WINDOW // KIB)),
    ('a message about a command', '%d MiB' % (protocol.MAX_RECORD // MIB)),
    ('a command waits for the first agent', '%g s' % pool.NO_AGENTS_LIMIT),
    ('a command waits before agents', '%g s' % pool.DOUBT_AFTER),
    ('a task is only staging', '%g s' % attempts.STAGING_LIMIT),
    ('an unused offer', '%g s' % market.KEEP),
    ('a killed command has', '%g s' % subprocess_executor.LONGEST_GRACE),
    ('``pymesos run``: a line that', '%d KiB' % (lines.MAX_HELD // KIB)),
    ('``pymesos run --each``', '%d MiB' % (lines.MAX_LINE // MIB)),
    ('``pymesos run``: killed', '%g s' % runner.KILL_WAIT),
]


@pytest.mark.parametrize('row, number', NUMBERS)
def test_page_of_limits_tells_the_number_in_the_code(row, number):
    with io.open(PAGE, encoding='utf-8') as page:
        lines = [line for line in page if line.startswith(row)]
    assert lines, 'docs/limits.rst has no row %r' % row
    assert any(number in line[len(row):] for line in lines), lines

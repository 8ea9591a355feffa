"""The program's end of one attempt at a command: what its executor says, and what its owner is told."""
from __future__ import absolute_import, division, print_function

import os

import pytest

from pymesos._compat import monotonic
from pymesos.errors import ConnectionLost, ProtocolError, UsageError
from pymesos.subprocess.streams import session as session_module
from pymesos.subprocess.streams.protocol import CONTROL, DATA, STDERR, STDIN, STDOUT, encode_control, pack_head
from pymesos.subprocess.streams.session import Session
from pymesos.testing import wait_until
from subprocess_conduits import World, is_open, make_pipe, read_all

START = {'type': 'START', 'args': ['dHJ1ZQ==']}
STARTED = {'type': 'STARTED', 'pid': 17, 'hostname': u'agent'}


class Attempt(World):
    """A session in place of the program's conduit, and what its owner was told."""

    def __init__(self, lost_after=60.0):
        super(Attempt, self).__init__()
        self.told = []
        self.session = self.program = Session(self.loop, b'i' * 16, b'k' * 32, lost_after=lost_after)
        for name in ('connected', 'started', 'not_started', 'exited', 'broken', 'settled', 'closed', 'gone'):
            setattr(self.session, 'on_' + name, self._teller(name))

    def _teller(self, name):
        return lambda *args: self.told.append((name,) + args)

    def wait(self, *expected):
        """Wait until the owner was told that, by name, and no more but the end that comes of itself after a while."""
        wait_until(lambda: len(self.told) >= len(expected), message=lambda: '%s, not %s' % (expected, self.told))
        names = self.names()
        later = ['closed', 'gone'] if expected[-1] == 'settled' else []
        assert names == list(expected) + later[:len(names) - len(expected)]

    def names(self):
        return [event[0] for event in self.told]

    def says(self, *messages):
        for message in messages:
            self.do(self.executor.send_message, message)

    def start(self):
        self.connect()
        self.do(self.session.start, START)

    def exits(self, returncode=0, **drained):
        """What an executor says and does when its command has ended."""
        self.says({'type': 'EXITED', 'returncode': returncode,
                   'drained': dict((name[1:], drained[name]) for name in drained)})
        self.do(self.end_channels)

    def end_channels(self, but=()):
        link = self.executor.link
        link.stop(1)
        for channel in (0, 2, 3):
            if channel not in but:
                link.end(channel)
        self.executor.flush()

    def output(self, channel, data):
        self.do(self.executor.link.send, channel, data)
        self.do(self.executor.flush)


@pytest.fixture
def make():
    made = []

    def make(**kwargs):
        made.append(Attempt(**kwargs))
        return made[-1]

    yield make
    for attempt in made:
        attempt.do(attempt.session.abandon)
        attempt.close()


@pytest.fixture
def attempt(make):
    return make()


def test_identity_and_key_of_another_size_are_misuse():
    with pytest.raises(UsageError) as caught:
        Session(None, b'i' * 15, b'k' * 32)
    assert str(caught.value) == 'a session wants 16 bytes of identity and 32 of key, not 15 and 32'


def test_owner_is_told_of_the_first_connection_only(attempt):
    attempt.connect()
    attempt.wait('connected')
    assert attempt.told[0] == ('connected', attempt.session)
    attempt.connect()
    attempt.cut()
    attempt.connect()
    attempt.rests()
    assert attempt.names() == ['connected']


def test_command_runs_its_course(attempt):
    attempt.start()
    wait_until(lambda: attempt.executor.messages == [START])
    attempt.says(STARTED)
    attempt.wait('connected', 'started')
    assert attempt.told[1] == ('started', 17, u'agent')
    attempt.do(attempt.session.signal, 15)
    wait_until(lambda: attempt.executor.messages[1:] == [{'type': 'SIGNAL', 'number': 15}])
    attempt.exits(-15)
    attempt.wait('connected', 'started', 'exited', 'settled')
    assert attempt.told[2] == ('exited', -15)
    wait_until(lambda: attempt.executor.settlings)
    attempt.do(attempt.executor.drop)
    attempt.wait('connected', 'started', 'exited', 'settled', 'closed', 'gone')


def test_command_that_could_not_be_started_is_told_as_it_was_said(attempt):
    attempt.start()
    message = {'type': 'NOT_STARTED', 'exception': u'FileNotFoundError', 'errno': 2}
    attempt.says(message)
    attempt.do(attempt.end_channels)
    attempt.wait('connected', 'not_started', 'settled')
    assert attempt.told[1] == ('not_started', message)


def test_streams_flow_to_and_from_what_is_attached(attempt):
    given, taken = {}, {}
    attempt.connect()
    for channel in (STDOUT, STDERR):
        taken[channel], writing = make_pipe()
        attempt.do(attempt.session.attach, channel, writing)
    feeding, given = make_pipe()
    attempt.do(attempt.session.attach, STDIN, feeding)
    read_by_command, writing = make_pipe()
    attempt.do(attempt.executor.attach_sink, STDIN, writing)
    attempt.do(attempt.session.start, START)
    attempt.says(STARTED)
    os.write(given, b'in')
    os.close(given)
    assert read_all(read_by_command) == b'in'
    attempt.output(STDOUT, b'out')
    attempt.output(STDERR, b'err')
    attempt.exits()
    assert (read_all(taken[STDOUT]), read_all(taken[STDERR])) == (b'out', b'err')
    attempt.wait('connected', 'started', 'exited', 'settled')
    attempt.do(attempt.session.close)
    attempt.wait('connected', 'started', 'exited', 'settled', 'closed', 'gone')


def test_stdin_that_is_not_attached_is_at_its_end(attempt):
    read_by_command, writing = make_pipe()
    attempt.connect()
    attempt.do(attempt.executor.attach_sink, STDIN, writing)
    attempt.do(attempt.session.start, START)
    assert read_all(read_by_command) == b''


def test_inherited_stdin_is_read_only_while_it_is_wanted(attempt):
    feeding, given = make_pipe()
    read_by_command, writing = make_pipe()
    attempt.connect()
    attempt.do(attempt.session.attach, STDIN, os.dup(feeding), 'inherited', False)
    attempt.do(attempt.executor.attach_sink, STDIN, writing)
    attempt.do(attempt.session.start, START)
    os.write(given, b'mine')
    attempt.rests()
    assert os.read(feeding, 100) == b'mine'
    attempt.do(attempt.session.want_input, True)
    os.write(given, b'yours')
    assert os.read(read_by_command, 100) == b'yours'
    attempt.do(attempt.session.want_input, False)
    os.close(given)
    attempt.do(attempt.session.abandon)
    attempt.do(attempt.executor.close)
    for end in (feeding, read_by_command):
        assert read_all(end) == b''


# ---- the order of the end

def test_exit_is_held_back_until_foreign_streams_have_what_was_written_before_it(attempt):
    taken, writing = make_pipe()
    attempt.connect()
    attempt.do(attempt.session.attach, STDOUT, writing, 'file')
    attempt.do(attempt.session.start, START)
    attempt.says(STARTED)
    attempt.output(STDOUT, b'x' * 200000)
    attempt.exits(_2=200000)
    wait_until(lambda: attempt.session._returncode == 0)
    attempt.rests()
    assert attempt.names() == ['connected', 'started']
    left = 200000
    while left:
        assert 'exited' not in attempt.names() or left <= 65536
        left -= len(os.read(taken, 8192))
    attempt.wait('connected', 'started', 'exited', 'settled')
    os.close(taken)


def test_exit_is_not_held_back_by_what_nobody_reads_any_more(attempt):
    taken, writing = make_pipe()
    attempt.connect()
    attempt.do(attempt.session.attach, STDOUT, writing, 'file')
    attempt.do(attempt.session.start, START)
    attempt.says(STARTED)
    attempt.output(STDOUT, b'x' * 200000)
    attempt.exits(3, _2=200000)
    os.close(taken)
    wait_until(lambda: ('exited', 3) in attempt.told)


def test_exit_is_not_held_back_by_a_pipe_that_the_user_reads_later(attempt):
    taken, writing = make_pipe()
    attempt.connect()
    attempt.do(attempt.session.attach, STDOUT, writing)
    attempt.do(attempt.session.start, START)
    attempt.says(STARTED)
    attempt.output(STDOUT, b'x' * 200000)
    attempt.exits(_2=200000)
    wait_until(lambda: ('exited', 0) in attempt.told)
    attempt.rests()
    assert 'settled' not in attempt.names()
    assert read_all(taken) == b'x' * 200000
    wait_until(lambda: 'settled' in attempt.names())


def test_exit_is_not_held_back_by_what_the_command_has_left_running(attempt):
    taken, writing = make_pipe()
    attempt.connect()
    attempt.do(attempt.session.attach, STDOUT, writing, 'inherited')
    attempt.do(attempt.session.start, START)
    attempt.says(STARTED)
    attempt.output(STDOUT, b'early')
    attempt.says({'type': 'EXITED', 'returncode': 0, 'drained': {'2': 5}})
    attempt.do(attempt.end_channels, but=[STDOUT])
    wait_until(lambda: ('exited', 0) in attempt.told)
    attempt.output(STDOUT, b' and late')
    attempt.do(attempt.executor.link.end, STDOUT)
    attempt.do(attempt.executor.flush)
    assert read_all(taken) == b'early and late'
    wait_until(lambda: 'settled' in attempt.names())


# ---- connections

def test_command_survives_a_cut_at_any_time(attempt):
    taken, writing = make_pipe()
    attempt.connect()
    attempt.do(attempt.session.attach, STDOUT, writing)
    steps = [lambda: attempt.do(attempt.session.start, START), lambda: attempt.says(STARTED),
             lambda: attempt.output(STDOUT, b'x' * 60000), lambda: attempt.exits(5)]
    for step in steps:
        attempt.cut()
        step()
        attempt.connect()
        if step is steps[0]:
            wait_until(lambda: attempt.executor.messages)
    wait_until(lambda: ('exited', 5) in attempt.told)
    assert read_all(taken) == b'x' * 60000
    attempt.wait('connected', 'started', 'exited', 'settled')


def test_executor_that_does_not_come_back_breaks_the_session(make):
    attempt = make(lost_after=0.1)
    taken, writing = make_pipe()
    attempt.connect()
    attempt.do(attempt.session.attach, STDOUT, writing)
    attempt.do(attempt.session.start, START)
    attempt.says(STARTED)
    attempt.output(STDOUT, b'so far')
    wait_until(lambda: attempt.session.link.received(STDOUT) == 6)
    attempt.cut()
    attempt.wait('connected', 'started', 'closed', 'broken')
    error = attempt.told[-1][1]
    assert isinstance(error, ConnectionLost)
    assert str(error) == 'the executor has not been heard of for 0.1 s'
    attempt.do(attempt.session.close)
    assert read_all(taken) == b'so far'


def test_executor_that_is_lost_after_the_exit_was_said_makes_no_secret_of_it(make):
    attempt = make(lost_after=0.1)
    taken, writing = make_pipe()
    attempt.connect()
    attempt.do(attempt.session.attach, STDOUT, writing, 'file')
    attempt.do(attempt.session.start, START)
    attempt.says(STARTED, {'type': 'EXITED', 'returncode': 9, 'drained': {'2': 1000}})
    wait_until(lambda: attempt.session._returncode == 9)
    attempt.cut()
    attempt.wait('connected', 'started', 'closed', 'exited', 'gone')
    assert attempt.told[3] == ('exited', 9)
    assert read_all(taken) == b''


def test_session_without_a_command_waits_for_its_owner_to_decide(make):
    attempt = make(lost_after=0.05)
    attempt.connect()
    attempt.cut()
    attempt.rests()
    assert attempt.names() == ['connected'] and attempt.session._timer is None
    attempt.do(attempt.session.start, START)
    wait_until(lambda: 'broken' in attempt.names())


def test_session_that_has_all_lingers_for_an_executor_that_does_not_know(make, monkeypatch):
    monkeypatch.setattr(session_module, 'LINGER', 0.1)
    attempt = make()
    attempt.start()
    attempt.says(STARTED)
    attempt.exits()
    attempt.wait('connected', 'started', 'exited', 'settled')
    wait_until(lambda: 'gone' in attempt.names())
    assert not attempt.session.is_connected


def test_session_whose_executor_has_left_does_not_linger(attempt, monkeypatch):
    monkeypatch.setattr(session_module, 'LINGER', 100.0)
    taken, writing = make_pipe()
    attempt.connect()
    attempt.do(attempt.session.attach, STDOUT, writing)
    attempt.do(attempt.session.start, START)
    attempt.says(STARTED)
    attempt.output(STDOUT, b'x' * 100000)
    attempt.exits()
    wait_until(lambda: attempt.executor.settlings)
    attempt.cut()
    assert attempt.session._timer is None
    begun = monotonic()
    assert read_all(taken) == b'x' * 100000
    attempt.wait('connected', 'started', 'exited', 'settled', 'closed', 'gone')
    assert monotonic() - begun < session_module.LINGER / 2


def test_program_hangs_up_first_and_does_not_linger_long(attempt, monkeypatch):
    monkeypatch.setattr(session_module, 'LINGER', 100.0)
    attempt.start()
    attempt.says(STARTED)
    attempt.exits()
    attempt.wait('connected', 'started', 'exited', 'settled')
    assert not attempt.session.is_connected
    wait_until(lambda: attempt.executor.settlings)
    begun = monotonic()
    attempt.wait('connected', 'started', 'exited', 'settled', 'closed', 'gone')
    assert monotonic() - begun < session_module.LINGER / 2


def test_executor_that_misses_our_last_words_gets_them_on_its_next_connection(attempt):
    attempt.start()
    attempt.says(STARTED)

    def speak_and_hang_up():
        attempt.executor.send_message({'type': 'EXITED', 'returncode': 4, 'drained': {}})
        attempt.end_channels()
        attempt.executor.drop()

    attempt.do(speak_and_hang_up)
    wait_until(lambda: ('exited', 4) in attempt.told and not attempt.session.is_connected)
    assert not attempt.executor.settlings
    attempt.connect()
    wait_until(lambda: attempt.executor.settlings)


# ---- what executors must not do

@pytest.mark.parametrize('message, text', [
    ({'type': 'EXITED', 'returncode': 0, 'drained': {}}, 'the executor says EXITED while the command is started'),
    ({'type': 'STARTED', 'pid': 'x', 'hostname': u'h'}, 'a STARTED without a pid or a hostname'),
    ({'type': 'STARTED', 'pid': True, 'hostname': u'h'}, 'a STARTED without a pid or a hostname'),
    ({'type': 'STARTED', 'pid': 1}, 'a STARTED without a pid or a hostname'),
    ({'type': 'STARTED', 'pid': 0, 'hostname': u'h'}, 'a STARTED without a pid or a hostname'),
    ({'type': 'STARTED', 'pid': 2 ** 31, 'hostname': u'h'}, 'a STARTED without a pid or a hostname'),
    ({'type': 'STARTED', 'pid': 1, 'hostname': u'h' * 300000}, 'cannot decode records: '),
])
def test_wrong_message_breaks_the_session(attempt, message, text):
    attempt.start()
    attempt.says(message)
    attempt.wait('connected', 'closed', 'broken')
    assert isinstance(attempt.told[-1][1], ProtocolError)
    assert str(attempt.told[-1][1]).startswith(text)


def test_fault_of_ours_breaks_the_session(attempt, monkeypatch):
    """Whatever an executor's words do to this side, the rest of its stream does not seem whole."""
    def fail(_message):
        raise RuntimeError('maximum recursion depth exceeded')

    attempt.start()
    monkeypatch.setattr(attempt.session, 'message_received', fail)
    attempt.says(STARTED)
    attempt.wait('connected', 'closed', 'broken')
    assert isinstance(attempt.told[-1][1], ProtocolError)
    assert 'RuntimeError' in str(attempt.told[-1][1])
    fault, = attempt.faults             # and it was told, once
    assert isinstance(fault, RuntimeError)
    attempt.faults.remove(fault)


@pytest.mark.parametrize('message', [
    STARTED, {'type': 'NOT_STARTED'}, {'type': 'EXITED', 'returncode': 0}, {'type': 'EXITED', 'returncode': 0.5,
                                                                            'drained': {}},
    {'type': 'EXITED', 'returncode': 0, 'drained': {'2': 'x'}}, {'type': 'EXITED', 'returncode': 0, 'drained': []},
])
def test_wrong_message_of_a_running_command_breaks_the_session(attempt, message):
    attempt.start()
    attempt.says(STARTED, message)
    attempt.wait('connected', 'started', 'closed', 'broken')
    assert isinstance(attempt.told[-1][1], ProtocolError)


def test_nothing_is_written_before_start(attempt):
    attempt.connect()
    attempt.rests()
    assert not attempt.executor.link._is_resumed
    attempt.do(attempt.session.start, START)
    wait_until(lambda: attempt.executor.messages == [START])


def test_message_before_start_breaks_the_session(attempt):
    attempt.connect()
    record = encode_control(STARTED)            # a decent executor waits for our RESUME
    attempt.do(attempt.executor._carrier._socket.send, pack_head(DATA, CONTROL, len(record)) + record)
    attempt.wait('connected', 'closed', 'broken')
    assert str(attempt.told[-1][1]) == 'the executor says STARTED while the command is connected'


def test_executor_that_falls_silent_before_the_exit_breaks_the_session(attempt):
    attempt.start()
    attempt.says(STARTED)
    attempt.do(attempt.end_channels)
    attempt.wait('connected', 'started', 'closed', 'broken')
    assert str(attempt.told[-1][1]) == 'the executor falls silent while the command is running'


def test_message_of_a_kind_that_is_not_known_is_passed_over(attempt):
    attempt.start()
    attempt.says({'type': 'HINT'}, STARTED)
    attempt.wait('connected', 'started')


# ---- closing

def test_closed_session_writes_what_has_come_and_tells_nothing_but_that_it_is_gone(attempt):
    taken, writing = make_pipe()
    feeding, given = make_pipe()
    attempt.connect()
    attempt.do(attempt.session.attach, STDOUT, writing)
    attempt.do(attempt.session.attach, STDIN, feeding)
    attempt.do(attempt.session.start, START)
    attempt.output(STDOUT, b'x' * 200000)
    wait_until(lambda: attempt.session.link.received(STDOUT) == 200000)
    attempt.do(attempt.session.close)
    attempt.do(attempt.session.close)
    attempt.do(attempt.session.start, START)
    assert attempt.names() == ['connected', 'closed']
    assert not is_open(feeding)
    os.close(given)
    assert read_all(taken) == b'x' * 200000
    attempt.wait('connected', 'closed', 'gone')


def test_abandoned_session_closes_all_at_once(attempt):
    taken, writing = make_pipe()
    attempt.connect()
    attempt.do(attempt.session.attach, STDOUT, writing)
    attempt.do(attempt.session.start, START)
    attempt.output(STDOUT, b'x' * 200000)
    wait_until(lambda: attempt.session.link.received(STDOUT) == 200000)
    attempt.do(attempt.session.abandon)
    assert not is_open(writing)
    assert len(read_all(taken)) == 65536
    assert 'gone' in attempt.names()


def test_neither_key_nor_identity_is_shown():
    with_loop = Session(None, b'i' * 16, b'k' * 32)
    assert repr(with_loop) == '<Session new>'

"""The channel of calls: each call gets its answer or its error, once, and in order."""
from __future__ import absolute_import, division, print_function

import socket
import threading

import pytest

from pymesos._compat import monotonic
from pymesos.errors import CallRejected, ConnectionFailed, ConnectionLost, HttpError, Stopped, TimedOut
from pymesos.testing import Answer, FaultProxy, ScriptedMaster, wait_until
from pymesos.transport import channel as module
from pymesos.transport.channel import Call, Channel
from pymesos.transport.loop import WRITE, Loop
from pymesos.utils import parse_address


class Calling(object):
    """A channel to an address, on a loop with a thread of its own."""

    def __init__(self, address, timeout=30.0):
        self.loop = Loop()
        self.channel = Channel(self.loop, parse_address(address), 30.0, timeout, None)
        self.results = []
        self.thread = threading.Thread(target=self.loop.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.loop.post(self.channel.close, Stopped('the test is over'))
        self.loop.post(self.loop.close)
        self.thread.join()
        self.loop = self.channel = None

    def submit(self, kind='KILL', body=b'{}', target='/call'):
        headers = [('Content-Type', 'application/json')]
        self.loop.post(self.channel.submit, Call(
            kind, target, headers, body, lambda answer, error: self.results.append((kind, answer, error))))

    def wait(self, count):
        wait_until(lambda: len(self.results) >= count, message=lambda: '%d results, not %s' % (count, self.results))
        return self.results


@pytest.fixture
def server():
    with ScriptedMaster() as peer:
        yield peer


def test_answers_reach_their_calls_in_order(server):
    server.on_path('/call', lambda request: Answer(200, request.body))
    with Calling(server.address) as calling:
        for number in range(100):
            calling.submit('KILL', b'%d' % number)
        assert [answer for _kind, answer, _error in calling.wait(100)] == [b'%d' % number for number in range(100)]
        assert server.connections == 1


def test_rejection_has_status_text_call_and_peer(server):
    server.on_path('/call', lambda request: Answer(403, 'Framework is not subscribed'))
    with Calling(server.address) as calling:
        calling.submit()
        (_kind, answer, error), = calling.wait(1)
        assert answer is None and isinstance(error, CallRejected)
        assert (error.status, error.body, error.call, error.address) == (
            403, 'Framework is not subscribed', 'KILL', server.netloc)
        assert str(error) == 'Failed to send KILL to %s: HTTP status 403: %r' % (
            server.netloc, u'Framework is not subscribed')


def test_long_text_of_a_rejection_is_cut_in_the_message_and_whole_in_the_body(server):
    server.on_path('/call', lambda request: Answer(400, 'x' * 5000))
    with Calling(server.address) as calling:
        calling.submit()
        (_kind, _answer, error), = calling.wait(1)
        assert len(str(error)) < 400 and error.body == 'x' * 5000


def test_nobody_there_fails_every_call_that_waits():
    listener = socket.socket()
    listener.bind(('127.0.0.1', 0))
    address = '127.0.0.1:%d' % listener.getsockname()[1]        # ours, so that nobody else listens there
    with Calling(address) as calling:
        for _ in range(3):
            calling.submit()
        for _kind, _answer, error in calling.wait(3):
            assert isinstance(error, ConnectionFailed)
            assert 'cannot connect to %s' % address in str(error)
    listener.close()


class Lasting(object):
    """Takes what is told of a lasting call, and says whether it is wanted."""

    def __init__(self, calling, body, is_wanted=True):
        self.told = []
        self.wanted = is_wanted
        calling.loop.post(calling.channel.submit, Call('UPDATE', '/call', [], body, self, is_lasting=True))

    def __call__(self, body, error):
        self.told.append((body, error))

    def late(self, error):
        self.told.append(str(error))

    def is_wanted(self):
        return self.wanted


def test_lasting_calls_are_told_when_they_are_late_and_written_again_in_order_until_they_are_answered(server):
    seen, gate = [], threading.Event()

    def answer(request):
        seen.append((request.connection, request.body))
        return Answer(202, gate=gate)

    server.on_path('/call', answer)
    with Calling(server.address, timeout=0.3) as calling:
        lasting = [Lasting(calling, b'%d' % number) for number in range(5)]
        unwanted = Lasting(calling, b'5', is_wanted=False)
        wait_until(lambda: len(set(connection for connection, _body in seen)) > 2)
        wait_until(lambda: all(one.told for one in lasting))
        gate.set()
        wait_until(lambda: all(len(one.told) == 2 for one in lasting))
        for one in lasting:
            assert 'UPDATE' in one.told[0] and 'within 0.3 seconds' in one.told[0] and one.told[1] == (b'', None)
        assert unwanted.told[-1] == (b'', None)
    by_connection = {}
    for connection, body in seen:
        by_connection.setdefault(connection, []).append(body)
    assert all(bodies == sorted(bodies) for bodies in by_connection.values())
    assert [body for _connection, body in seen].count(b'5') == 1


def run_on(calling, function):
    """Call it on the loop's thread and wait."""
    done = threading.Event()
    calling.loop.post(lambda: (function(), done.set()))
    assert done.wait(60)


def check_late(calling, count):
    """Have the first `count` calls that were sent be late; the connection was quiet for long, unless it answered."""
    def check():
        for call in list(calling.channel._sent)[:count]:
            call.deadline = 0.0
        calling.channel._patient_until = 0.0
        calling.channel._check_deadline()
    run_on(calling, check)


def test_peer_that_is_silent_is_not_dialled_for_every_call_that_is_late(server):
    server.on_path('/call', lambda request: Answer(202, gate=threading.Event()))
    with Calling(server.address) as calling:
        for _ in range(10):
            calling.submit('KILL')
        for count in (1, 10):
            wait_until(lambda: len(calling.channel._sent) == 10 - len(calling.results))
            check_late(calling, 1)
            calling.wait(count)
        assert all(isinstance(error, (TimedOut, ConnectionLost)) for _kind, _answer, error in calling.results)
        wait_until(lambda: server.connections >= 2)         # the kernel has accepted the second for it
        assert server.connections == 2


def test_call_that_was_never_sent_says_so_and_the_attempt_to_connect_goes_on(monkeypatch):
    dials = []

    class Endless(object):
        def __init__(self, loop, address, timeout, done, failed, tls_context):
            dials.append(self)
            self.failed = failed
            self.is_cancelled = False

        def cancel(self):
            self.is_cancelled = True

    monkeypatch.setattr(module, 'Dial', Endless)
    late = 'cannot connect to 127.0.0.1:1 within 0.2 seconds, to send '
    with Calling('127.0.0.1:1', timeout=0.2) as calling:
        for count in (1, 2):
            calling.submit('KILL')
            error = calling.wait(count)[-1][2]
            assert type(error) is TimedOut and str(error) == late + 'KILL'
        lasting = Lasting(calling, b'')
        wait_until(lambda: lasting.told == [late + 'UPDATE'])
        assert len(dials) == 1 and not dials[0].is_cancelled
        error = ConnectionFailed('nobody is there')
        calling.loop.post(dials[0].failed, error)
        wait_until(lambda: lasting.told[1:] == [(None, error)])


def slam(listener, count, seen):
    """Accept `count` connections, read a request on each, and close it without an answer."""
    for _ in range(count):
        sock, _address = listener.accept()
        data = b''
        while not data.endswith(b'"'):
            data += sock.recv(4096)
        seen.append(data.split(b'\r\n\r\n')[1])
        sock.close()


def test_only_what_may_be_repeated_is_repeated_and_that_once():
    seen = []
    listener = socket.socket()
    listener.bind(('127.0.0.1', 0))
    listener.listen(5)
    server = threading.Thread(target=slam, args=(listener, 3, seen))
    server.start()
    with Calling('127.0.0.1:%d' % listener.getsockname()[1]) as calling:
        calling.submit('ACCEPT', b'"accept"')
        (_kind, _answer, error), = calling.wait(1)
        assert isinstance(error, ConnectionLost) and 'before it answered ACCEPT' in str(error)
        calling.submit('REVIVE', b'"revive"')
        assert isinstance(calling.wait(2)[1][2], ConnectionLost)
    server.join()
    listener.close()
    assert seen == [b'"accept"', b'"revive"', b'"revive"']


@pytest.mark.parametrize('kind', ['KILL', 'ACCEPT'])
def test_answer_that_is_cut_is_a_lost_connection(server, kind):
    server.on_path('/call', lambda request: Answer(200, b'a whole answer'))
    with FaultProxy(server.address) as proxy, Calling(proxy.address) as calling:
        proxy.cut_after(12, with_reset=False)
        calling.submit(kind)
        _kind, answer, error = calling.wait(1)[0]
        if kind == 'KILL':
            assert (answer, error) == (b'a whole answer', None)
        else:
            assert isinstance(error, ConnectionLost) and isinstance(error, OSError)
            assert "before it answered ACCEPT: cannot read HTTP: the connection ended inside" in str(error)


def test_late_call_ends_alone_and_the_others_go_on(server):
    server.on_path('/other', lambda request: Answer(200, b'other'))
    with Calling(server.address, timeout=0.5) as calling:
        server.on_path('/never', lambda request: Answer(200, b'late', gate=threading.Event()))
        calling.submit('KILL', b'"slow"', '/never')
        (_kind, _answer, error), = calling.wait(1)
        assert isinstance(error, TimedOut)
        # The second if even connecting took as long.
        assert str(error) in ('%s did not answer KILL within 0.5 seconds' % server.netloc,
                              'cannot connect to %s within 0.5 seconds, to send KILL' % server.netloc)
        calling.channel._timeout = 30.0     # the others may take their time
        calling.submit('KILL', b'{}', '/other')
        assert calling.wait(2)[1][1] == b'other'


def test_redirect_is_followed_with_the_body_and_remembered(server):
    with ScriptedMaster() as leader:
        leader.on_path('/call', lambda request: Answer(200, request.body))
        asked = []

        def point(request):
            asked.append(request.body)
            return Answer(307, b'', [('Location', '//%s/call' % leader.netloc)])

        server.on_path('/call', point)
        with Calling(server.address) as calling:
            calling.submit('KILL', b'1')
            assert calling.wait(1)[0][1] == b'1'
            calling.submit('KILL', b'2')
            assert calling.wait(2)[1][1] == b'2'
        assert asked == [b'1']


def test_redirects_in_a_circle_end(server):
    server.on_path('/call', lambda request: Answer(307, b'', [('Location', '//%s/call' % server.netloc)]))
    with Calling(server.address) as calling:
        calling.submit()
        (_kind, _answer, error), = calling.wait(1)
        assert isinstance(error, CallRejected) and 'redirected 6 times' in str(error)


def test_redirect_to_nowhere_is_an_error(server):
    server.on_path('/call', lambda request: Answer(307, b'', [('Location', 'ftp://x')]))
    with Calling(server.address) as calling:
        calling.submit()
        assert 'ftp' in str(calling.wait(1)[0][2])


@pytest.mark.parametrize('answer', [b'nonsense\r\n\r\n', b'HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n',
                                    b'HTTP/1.1 202 OK\r\nContent-Length: 0\r\n\r\n' * 2])
def test_answer_that_is_none_fails_the_call_or_the_connection(server, answer):
    server.on_path('/call', lambda request: answer)
    with Calling(server.address) as calling:
        calling.submit('ACCEPT')
        error = calling.wait(1)[0][2]
        assert error is None or isinstance(error, HttpError)
        server.on_path('/call', lambda request: Answer(200, b'fine'))
        calling.submit('KILL')
        calling.wait(2)
        assert calling.results[1][2] is None or isinstance(calling.results[1][2], (HttpError, ConnectionLost))


def test_answer_above_the_limit_is_refused(server, monkeypatch):
    monkeypatch.setattr(module, 'LONGEST_ANSWER', 1000)
    server.on_path('/call', lambda request: Answer(200, b'x' * 2000))
    with Calling(server.address) as calling:
        calling.submit()
        assert 'with more than 1000 bytes' in str(calling.wait(1)[0][2])


def test_close_ends_what_is_under_way(server):
    server.on_path('/call', lambda request: Answer(200, b'late', gate=threading.Event()))
    with Calling(server.address) as calling:
        calling.submit()
        wait_until(lambda: server.connections == 1)
        calling.loop.post(calling.channel.close, Stopped('mine'))
        assert str(calling.wait(1)[0][2]) == 'mine'


def write(calling, body, kind='KILL'):
    """Have this thread write a call if it can, else the loop; returns whether it could."""
    call = Call(kind, '/call', [('Content-Type', 'application/json')], body,
                lambda answer, error: calling.results.append((body, answer, error)), is_forgotten=True)
    if calling.channel.write_now(call):
        return True
    calling.loop.post(calling.channel.submit, call)
    return False


def test_another_thread_writes_calls_once_there_is_a_connection(server):
    server.on_path('/call', lambda request: Answer(200, request.body))
    with Calling(server.address) as calling:
        assert not write(calling, b'0')
        calling.wait(1)
        for number in range(1, 50):
            write_at_once(calling, b'%d' % number)
        assert [answer for _body, answer, _error in calling.wait(50)] == [b'%d' % number for number in range(50)]
        assert server.connections == 1


def test_call_written_by_another_thread_has_a_deadline(server):
    server.on_path('/call', lambda request: Answer(200))
    with Calling(server.address, timeout=0.5) as calling:
        write(calling, b'0')
        calling.wait(1)
        server.on_path('/call', lambda request: Answer(200, gate=threading.Event()))
        write(calling, b'1')
        assert isinstance(calling.wait(2)[1][2], TimedOut)


def test_calls_of_several_threads_end_once_each_while_the_peer_keeps_closing(server):
    count = [0]

    def answer(request):
        count[0] += 1
        return Answer(200, request.body, close={3: 'announced', 10: 'silent'}.get(count[0] % 20))

    server.on_path('/call', answer)
    with Calling(server.address) as calling:
        def many(name):
            for number in range(200):
                write(calling, b'%s%d' % (name, number))
                if number % 10 == 0:
                    wait_until(lambda: any(body == b'%s%d' % (name, number) for body, _, _ in list(calling.results)))

        threads = [threading.Thread(target=many, args=(name,)) for name in (b'a', b'b')]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        results = calling.wait(400)
        assert sorted(body for body, _, _ in results) == sorted(
            b'%s%d' % (name, number) for name in (b'a', b'b') for number in range(200))
        assert all(answer == body or isinstance(error, ConnectionLost) for body, answer, error in results)


def test_what_may_be_done_only_once_is_written_by_the_loop(server):
    server.on_path('/call', lambda request: Answer(200, request.body))
    with Calling(server.address) as calling:
        write(calling, b'0')
        calling.wait(1)
        assert not write(calling, b'1', 'ACCEPT')
        calling.wait(2)
        write_at_once(calling, b'2')
        assert [answer for _body, answer, _error in calling.wait(3)] == [b'0', b'1', b'2']


def test_loop_writes_what_another_thread_could_not(server):
    """The peer reads late: most of the call stays behind, and what is made next must not come before it."""
    bodies = [b'0', b'1' * 8000000, b'2', b'3']
    server.on_path('/call', lambda request: Answer(200, request.body[:1]))
    with FaultProxy(server.address) as proxy, Calling(proxy.address) as calling:
        write(calling, bodies[0])
        calling.wait(1)
        proxy.black_hole('up')
        write_at_once(calling, bodies[1])
        assert not write(calling, bodies[2])        # behind what is left of it
        assert not write(calling, bodies[3])
        proxy.pass_through()
        assert [answer for _body, answer, _error in calling.wait(4)] == [b'0', b'1', b'2', b'3']
        assert server.connections == 1


def test_close_while_other_threads_write_ends_every_call(server):
    server.on_path('/call', lambda request: Answer(200))
    for _ in range(20):
        written = []
        with Calling(server.address) as calling:
            write(calling, b'0')
            calling.wait(1)
            is_over, is_closed = threading.Event(), threading.Event()

            def many():
                while not is_over.is_set():
                    call = Call('KILL', '/call', [], b'{}',
                                lambda answer, error: calling.results.append((b'', answer, error)), is_forgotten=True)
                    if calling.channel.write_now(call):
                        written.append(call)

            thread = threading.Thread(target=many)
            thread.start()
            wait_until(lambda: len(calling.results) > 20)
            calling.loop.post(calling.channel.close, Stopped('mine'))
            calling.loop.post(is_closed.set)
            assert is_closed.wait(30)
            is_over.set()
            thread.join()
            assert len(calling.results) == len(written) + 1     # only now is all counted that was written


def write_at_once(calling, body):
    """Have this thread write a call that nobody waits for, as soon as it can: the loop may be at the channel."""
    call = Call('KILL', '/call', [('Content-Type', 'application/json')], body,
                lambda answer, error: calling.results.append((body, answer, error)), is_forgotten=True)
    wait_until(lambda: calling.channel.write_now(call))


class Waiting(object):
    """Calls that threads of their own wait for, on a channel that has answered one."""

    def __init__(self, calling):
        self.calling = calling
        write(calling, b'0')
        calling.wait(1)
        self.threads = []

    def write(self, body=b'1', kind='KILL'):
        """Have a thread write a call; once it is over the thread, in a list."""
        ended_on = []

        def finished(answer, error):
            ended_on.append(threading.current_thread())
            self.calling.results.append((body, answer, error))

        def run():
            call = Call(kind, '/call', [], body, finished)
            if not self.calling.channel.write_now(call):
                self.calling.loop.post(self.calling.channel.submit, call)

        thread = threading.Thread(target=run)
        thread.start()
        self.threads.append(thread)
        return ended_on

    def join(self):
        for thread in self.threads:
            thread.join(30.0)
            assert not thread.is_alive()


def test_thread_that_waits_reads_its_own_answer(server, monkeypatch):
    monkeypatch.setattr(module, 'REST', 60.0)       # however slow the machine is
    server.on_path('/call', lambda request: Answer(202))
    with Calling(server.address) as calling:
        waiting = Waiting(calling)
        own = 0
        for number in range(20):
            ended_on = waiting.write()
            assert calling.wait(number + 2)[-1] == (b'1', b'', None)
            waiting.join()
            own += ended_on == waiting.threads[-1:]
        assert own >= 10                # but where the loop was at the channel just then


def test_thread_that_waits_reads_answers_that_nobody_waits_for_as_well(server):
    server.on_path('/call', lambda request: Answer(202))
    with Calling(server.address) as calling:
        waiting = Waiting(calling)
        for _ in range(5):
            write(calling, b'forgotten')
        waiting.write()
        answered = [body for body, _answer, error in calling.wait(7) if error is None]
        assert answered == [b'0'] + [b'forgotten'] * 5 + [b'1']
        waiting.join()


YES = b'HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n'


class Peer(object):
    """A server whose answers are sent by the test, bytes on a connection."""

    def __init__(self):
        self.listener = socket.socket()
        self.listener.bind(('127.0.0.1', 0))
        self.listener.listen(2)
        self.address = '127.0.0.1:%d' % self.listener.getsockname()[1]
        self.sock = None
        self.seen = b''

    def warm_up(self, calling):
        """Answer the first call of a channel, which is made for that; the :class:`Waiting` of it."""
        thread = threading.Thread(target=self._answer_first)
        thread.start()
        waiting = Waiting(calling)
        thread.join()
        wait_until(lambda: calling.channel._is_resting)
        return waiting

    def _answer_first(self):
        self.sock = self.listener.accept()[0]
        self.await_call(b'0')
        self.sock.sendall(YES)

    def await_call(self, body):
        """Read until a call with that body has come."""
        while not self.seen.endswith(b'\r\n\r\n' + body):
            self.seen += self.sock.recv(65536)

    def close(self):
        self.sock.close()
        self.listener.close()


@pytest.fixture
def peer(monkeypatch):
    monkeypatch.setattr(module, 'REST', 60.0)       # however slow the machine is, the channel rests when it is to
    peer = Peer()
    yield peer
    peer.close()


def test_connection_that_brings_answers_is_not_given_up_for_lasting_calls(peer):
    with Calling(peer.address) as calling:
        lasting = [Lasting(calling, b'%d' % number) for number in range(4)]
        peer.sock = first = peer.listener.accept()[0]
        peer.await_call(b'3')
        for number in range(3):
            first.sendall(YES)
            wait_until(lambda: lasting[number].told[-1:] == [(b'', None)])
            check_late(calling, 1)
            assert len(lasting[number + 1].told) == 1
        check_late(calling, 1)                              # since the last time there was no answer
        peer.sock = peer.listener.accept()[0]
        assert not first.recv(1)
        first.close()
        peer.seen = b''
        peer.await_call(b'3')
        peer.sock.sendall(YES)
        wait_until(lambda: lasting[3].told[1:] == [(b'', None)])


def postpone(calling, body):
    """Have this thread write a call that may wait, while the channel rests."""
    call = Call('KILL', '/call', [], body, lambda answer, error: calling.results.append((body, answer, error)),
                is_forgotten=True, may_wait=True)
    wait_until(lambda: calling.channel.write_now(call))


def bodies(peer, count):
    """Those of so many calls more that come, in order; they are answered."""
    while peer.seen.count(b'\r\n\r\n') < count + 1 or len(peer.seen.split(b'\r\n\r\n')[-1]) < 2:
        peer.seen += peer.sock.recv(65536)
    peer.sock.sendall(YES * count)
    return [part[:2] for part in peer.seen.split(b'\r\n\r\n')[2:]]


def test_call_that_may_wait_goes_with_the_next_one(peer):
    with Calling(peer.address) as calling:
        waiting = peer.warm_up(calling)
        for body in (b'p1', b'p2'):
            postpone(calling, body)
        peer.sock.settimeout(0.2)
        with pytest.raises(socket.timeout):
            peer.sock.recv(1)
        peer.sock.settimeout(30.0)
        waiting.write(b'w1')
        assert bodies(peer, 3) == [b'p1', b'p2', b'w1']
        assert [(body, error) for body, _answer, error in calling.wait(4)[1:]] == [
            (b'p1', None), (b'p2', None), (b'w1', None)]
        waiting.join()


def test_call_that_may_wait_goes_with_the_next_one_of_the_loop(peer):
    with Calling(peer.address) as calling:
        peer.warm_up(calling)
        postpone(calling, b'p1')
        calling.submit('ACCEPT', b'a1')
        assert bodies(peer, 2) == [b'p1', b'a1']
        assert [error for _body, _answer, error in calling.wait(3)[1:]] == [None, None]


def test_call_that_may_wait_goes_when_the_loop_looks_in(peer):
    with Calling(peer.address) as calling:
        peer.warm_up(calling)
        postpone(calling, b'p1')
        calling.loop.post(calling.channel._rest_on)     # REST is over
        assert bodies(peer, 1) == [b'p1']
        wait_until(lambda: calling.loop.post(calling.channel._rest_on) or len(calling.results) == 2)
        assert calling.results[1] == (b'p1', b'', None)


def test_call_that_may_wait_is_written_before_the_end(peer):
    with Calling(peer.address) as calling:
        peer.warm_up(calling)
        postpone(calling, b'p1')
        calling.loop.post(calling.channel.close, Stopped('mine'))
        assert bodies(peer, 1) == [b'p1']
        assert str(calling.wait(2)[1][2]) == 'mine'


@pytest.mark.parametrize('looks_in', [False, True])
def test_call_that_may_wait_outlives_its_connection(server, monkeypatch, looks_in):
    """Nor is what may be done only once written to the dead one because the loop looks in."""
    monkeypatch.setattr(module, 'REST', 60.0)
    server.on_path('/call', lambda request: Answer(202))
    with FaultProxy(server.address) as proxy, Calling(proxy.address) as calling:
        Waiting(calling)
        wait_until(lambda: calling.channel._is_resting)
        postpone(calling, b'p1')
        proxy.close_connections()               # which the channel does not see while it rests
        wait_until(lambda: not proxy.open_connections)

        def submit():
            calling.channel.submit(Call('ACCEPT', '/call', [], b'a1',
                                        lambda answer, error: calling.results.append((b'a1', answer, error))))
            if looks_in:
                calling.channel._rest_on()

        calling.loop.post(submit)
        assert [str(error) for _body, _answer, error in calling.wait(3)[1:]] == ['None', 'None']
        assert server.connections == 2


def test_call_that_may_wait_does_not_keep_the_loop_busy(peer):
    looks = []
    with Calling(peer.address) as calling:
        peer.warm_up(calling)
        channel = calling.channel
        check, channel._check_deadline = channel._check_deadline, lambda: (looks.append(1), check())
        channel._timeout = 0.2
        postpone(calling, b'p1')
        calling.loop.post(channel._check_deadline)
        threading.Event().wait(1.0)             # longer than a call may take: it is not written yet
        wait_until(lambda: looks)
        assert 1 <= len(looks) <= 100 and channel._postponed
        calling.loop.post(channel._rest_on)
        assert bodies(peer, 1) == [b'p1']


def test_call_that_may_wait_has_a_deadline_once_it_is_written(peer):
    with Calling(peer.address) as calling:
        peer.warm_up(calling)
        calling.channel._timeout = 0.2
        postpone(calling, b'p1')
        calling.loop.post(calling.channel._rest_on)     # REST is over
        peer.await_call(b'p1')
        wait_until(lambda: calling.loop.post(calling.channel._check_deadline) or len(calling.results) == 2)
        assert isinstance(calling.results[1][2], (TimedOut, ConnectionLost))


def test_what_one_thread_has_left_to_the_loop_is_taken_before_another_one_reads(peer):
    with Calling(peer.address) as calling:
        waiting, go_on, may_call = peer.warm_up(calling), threading.Event(), threading.Event()
        first = waiting.write(b'first')
        peer.await_call(b'first')
        write_at_once(calling, b'refused')
        peer.await_call(b'refused')
        calling.loop.post(go_on.wait, 30.0)         # so that the loop takes nothing for the moment
        may_call.wait(0.1)
        peer.sock.sendall(YES + b'HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno')
        wait_until(lambda: first)
        waiting.write(b'second')
        peer.await_call(b'second')
        peer.sock.sendall(YES)
        may_call.wait(0.2)
        go_on.set()
        found = dict((body, error) for body, _answer, error in calling.wait(4))
        assert found[b'first'] is None and found[b'second'] is None
        assert isinstance(found[b'refused'], CallRejected)
        waiting.join()


def test_answer_that_comes_too_late_is_nobodys(peer, monkeypatch):
    with Calling(peer.address) as calling:
        waiting = peer.warm_up(calling)
        lose = calling.channel._lose

        def answer_and_lose(*args, **options):
            try:
                peer.sock.sendall(YES)
            except socket.error:            # as it should be: the connection is gone
                pass
            threading.Event().wait(0.2)
            lose(*args, **options)

        monkeypatch.setattr(calling.channel, '_lose', answer_and_lose)
        write_at_once(calling, b'late')
        waiting.write(b'later')
        wait_until(lambda: calling.channel._reader is not None, message='the thread to read')
        for number, call in enumerate(list(calling.channel._sent), 2):      # one is late before the other one is
            call.deadline = monotonic()
            calling.loop.post(calling.channel._check_deadline)
            calling.wait(number)
        found = [(body, error) for body, _answer, error in calling.results[1:]]
        waiting.join()
        assert [body for body, _error in found] == [b'late', b'later']
        assert all(isinstance(error, TimedOut) for _body, error in found)


@pytest.mark.parametrize('answer', [Answer(202, b'a body'), Answer(202, close='announced'), Answer(403, 'no')])
def test_answer_that_is_more_than_a_yes_ends_the_call_all_the_same(server, answer):
    server.on_path('/call', lambda request: answer if request.body == b'1' else Answer(202))
    with Calling(server.address) as calling:
        waiting = Waiting(calling)
        for body in (b'1', b'2'):
            waiting.write(body)
            waiting.join()
        _zero, (_body, found, error), two = calling.wait(3)
        if answer.status == 403:
            assert isinstance(error, CallRejected) and error.body == 'no'
        else:
            assert (found, error) == (answer.body, None)
        assert two == (b'2', b'', None)


@pytest.mark.parametrize('answer, kind', [
    (b'garbage\r\n\r\n', HttpError), (b'HTTP/1.1 202 OK\r\nX: ', None), (b'', None)])
def test_connection_that_fails_the_thread_that_waits_is_handled_as_ever(answer, kind):
    """What may be repeated is, on a new connection; what is no answer ends the call."""
    listener = socket.socket()
    listener.bind(('127.0.0.1', 0))
    listener.listen(5)

    def serve():
        good = b'HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n'
        for replies in ([good, answer], [good]):
            sock, _address = listener.accept()
            for reply in replies:
                data = b''
                while b'\r\n\r\n' not in data:
                    data += sock.recv(4096)
                sock.sendall(reply)
            sock.close()

    server = threading.Thread(target=serve)
    server.daemon = True
    server.start()
    with Calling('127.0.0.1:%d' % listener.getsockname()[1]) as calling:
        waiting = Waiting(calling)
        waiting.write(b'')
        _body, found, error = calling.wait(2)[1]
        waiting.join()
        if kind is None:
            assert (found, error) == (b'', None)
        else:
            assert isinstance(error, kind)
            write(calling, b'')
            calling.wait(3)
    server.join()
    listener.close()


def test_threads_that_wait_are_told_at_once_when_the_channel_is_closed(server):
    gate = threading.Event()
    server.on_path('/call', lambda request: Answer(202, gate=gate) if request.body == b'1' else Answer(202))
    with Calling(server.address) as calling:
        waiting = Waiting(calling)
        for _ in range(3):
            waiting.write()
        wait_until(lambda: len(calling.channel._sent) == 3)
        began = monotonic()
        calling.loop.post(calling.channel.close, Stopped('mine'))
        assert [str(error) for _body, _answer, error in calling.wait(4)[1:]] == ['mine'] * 3
        waiting.join()
        assert monotonic() - began < 20.0       # and not when their time is over
        gate.set()


def test_answers_that_came_unseen_count_when_the_channel_is_closed(server, monkeypatch):
    monkeypatch.setattr(module, 'REST', 60.0)
    server.on_path('/call', lambda request: Answer(202))
    with FaultProxy(server.address) as proxy, Calling(proxy.address) as calling:
        Waiting(calling)
        before = proxy.bytes_down
        wait_until(lambda: write(calling, b'1') and len(calling.channel._sent) == 1)
        wait_until(lambda: proxy.bytes_down > before)
        calling.loop.post(calling.channel.close, Stopped('mine'))
        assert calling.wait(2)[1] == (b'1', b'', None)


def test_call_that_a_thread_waits_for_has_a_deadline(server):
    server.on_path('/call', lambda request: Answer(202, gate=threading.Event() if request.body == b'1' else None))
    with Calling(server.address, timeout=0.5) as calling:
        waiting = Waiting(calling)
        waiting.write()
        assert isinstance(calling.wait(2)[1][2], TimedOut)
        waiting.join()


def test_several_threads_that_wait_get_their_answers(server):
    server.on_path('/call', lambda request: Answer(202))
    with Calling(server.address) as calling:
        waiting = Waiting(calling)
        for number in range(100):
            waiting.write(b'%d' % number)
        assert sorted(body for body, _answer, error in calling.wait(101) if error is None) == sorted(
            [b'0'] + [b'%d' % number for number in range(100)])
        waiting.join()
        assert server.connections == 1


@pytest.mark.parametrize('kind', ['KILL', 'ACCEPT'])
def test_peer_that_closed_unseen_gets_no_call(server, monkeypatch, kind):
    """While the loop does not watch the connection it looks before it writes."""
    monkeypatch.setattr(module, 'REST', 60.0)
    server.on_path('/call', lambda request: Answer(202))
    with FaultProxy(server.address) as proxy, Calling(proxy.address) as calling:
        Waiting(calling)
        proxy.close_connections()
        wait_until(lambda: not proxy.open_connections)
        calling.submit(kind)
        assert calling.wait(2)[1] == (kind, b'', None)
        assert server.connections == 2


def test_connection_that_has_closed_while_it_rests_is_not_written_to_although_the_rest_ends(server, monkeypatch):
    monkeypatch.setattr(module, 'REST', 60.0)
    server.on_path('/call', lambda request: Answer(202))
    with FaultProxy(server.address) as proxy, Calling(proxy.address) as calling:
        Waiting(calling)
        wait_until(lambda: calling.channel._is_resting)
        calling.loop.post(lambda: setattr(calling.channel, '_is_used', False))
        proxy.close_connections()
        wait_until(lambda: not proxy.open_connections)
        ended = threading.Event()

        def submit_and_end():               # in one turn of the loop
            calling.channel.submit(Call('ACCEPT', '/call', [], b'{}', lambda answer, error: (
                calling.results.append((b'', answer, error)), ended.set())))
            calling.channel._rest_on()

        calling.loop.post(submit_and_end)
        assert ended.wait(30.0)
        assert calling.results[-1] == (b'', b'', None)
        assert server.connections == 2


def test_connection_that_has_closed_behind_an_answer_is_not_written_to(peer):
    with Calling(peer.address) as calling:
        peer.warm_up(calling)
        write_at_once(calling, b'f1')
        peer.await_call(b'f1')
        wait_until(lambda: calling.channel._is_resting)
        peer.sock.sendall(YES)                  # which the channel does not see while it rests
        peer.sock.close()
        calling.submit('ACCEPT', b'a1')
        peer.sock = peer.listener.accept()[0]
        peer.await_call(b'a1')
        peer.sock.sendall(YES)
        assert calling.wait(3)[2] == ('ACCEPT', b'', None)


def test_peer_that_sends_without_an_end_is_left(peer, monkeypatch):
    monkeypatch.setattr(module, 'MOST_READS', 3)
    with Calling(peer.address) as calling:
        peer.warm_up(calling)
        write_at_once(calling, b'f1')
        peer.await_call(b'f1')
        wait_until(lambda: calling.channel._is_resting)
        reads = []

        def look():
            calling.channel._read = lambda: not reads.append(1)
            calling.channel._look()
            del calling.channel._read

        calling.loop.post(look)
        first = peer.sock
        peer.sock = peer.listener.accept()[0]           # it is sent again, to whoever is there now
        peer.seen = b''
        peer.await_call(b'f1')
        peer.sock.sendall(YES)
        assert not first.recv(1) and len(reads) == 4
        first.close()


def test_call_that_may_wait_and_comes_as_a_rest_ends_has_the_loop_look_in_again(peer):
    with Calling(peer.address) as calling:
        peer.warm_up(calling)
        channel, states = calling.channel, []
        look = channel._look

        def look_later(may_rest=True):
            assert channel.write_now(Call('KILL', '/call', [], b'p1', lambda answer, error: None, is_forgotten=True,
                                          may_wait=True))
            look(may_rest)

        def end_the_rest():
            channel._is_used, channel._look = False, look_later
            channel._rest_on()
            channel._look = look
            states.append((channel._is_resting, channel._rest_timer is not None, len(channel._postponed)))

        calling.loop.post(end_the_rest)
        wait_until(lambda: states)
        assert states == [(True, True, 1)]
        calling.loop.post(channel._rest_on)
        assert bodies(peer, 1) == [b'p1']


def test_room_to_write_does_not_send_what_waits_for_a_reader(peer):
    with Calling(peer.address) as calling:
        waiting, kept = peer.warm_up(calling), []
        waiting.write(b'own')
        peer.await_call(b'own')
        wait_until(calling.channel._has_reader)
        calling.submit('ACCEPT', b'a1')
        calling.loop.post(lambda: (calling.channel._ready(WRITE), kept.extend(calling.channel._waiting)))
        wait_until(lambda: kept)
        peer.sock.sendall(YES)
        peer.await_call(b'a1')
        peer.sock.sendall(YES)
        assert [error for _body, _answer, error in calling.wait(3)] == [None, None, None]
        waiting.join()


def test_connection_does_not_rest_between_calls_that_the_loop_makes_for_who_waits(server, monkeypatch):
    monkeypatch.setattr(module, 'REST', 60.0)       # however slow the machine is
    rests = []

    def call_and_look(calling):
        count = len(calling.results)
        calling.submit()
        calling.wait(count + 1)
        looked = threading.Event()
        calling.loop.post(lambda: (rests.append(calling.channel._is_resting), looked.set()))
        assert looked.wait(30.0)

    server.on_path('/call', lambda request: Answer(202))
    with Calling(server.address) as calling:
        for _ in range(3):
            call_and_look(calling)
        assert rests == [True, False, False]
        write_at_once(calling, b'forgotten')
        wait_until(lambda: calling.channel._is_resting)
        call_and_look(calling)
        assert rests[3] is False


def test_connection_in_no_use_is_watched_again(server, monkeypatch):
    server.on_path('/call', lambda request: Answer(202))
    with Calling(server.address) as calling:
        channel, rested = calling.channel, []
        rest_on = channel._rest_on

        def note_and_rest_on():
            rested.append(channel._is_resting)
            rest_on()

        monkeypatch.setattr(channel, '_rest_on', note_and_rest_on)
        Waiting(calling)
        wait_until(lambda: rested and not channel._is_resting and channel._rest_timer is None
                   and channel._sock in calling.loop._keys)
        assert rested[0]

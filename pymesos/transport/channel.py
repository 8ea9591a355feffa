"""The connection beside the stream: calls go out in order, pipelined, and each gets its answer or its error."""
from __future__ import absolute_import, division, print_function

import errno
import logging
import threading
from collections import deque

from .._compat import monotonic, socket_errors
from ..errors import CallRejected, ConnectionLost, HttpError, MesosError, ProtocolError, TimedOut, UsageError, excerpt
from ..utils import redirected_address
from ..wire import httpmsg
from .dial import Dial
from .loop import READ, READ_BYTES, WRITE
from .sockets import Waiter, close_socket, hang_up, read_some, send_some

__all__ = ['Call', 'Channel']

#: How often one call follows a redirect.
MOST_HOPS = 5

#: How much of an answer's body is read before the peer is taken for mad.
LONGEST_ANSWER = 64 * 1024 * 1024

#: How often more is there at once before the peer is taken for mad.
MOST_READS = LONGEST_ANSWER // READ_BYTES

#: Calls that may be sent again when the connection broke before their answer: doing them twice is doing them once.
#: An ACCEPT is not among them: the second would end tasks that the first has launched.
REPEATABLE = frozenset([
    'ACKNOWLEDGE', 'ACKNOWLEDGE_OPERATION_STATUS', 'DECLINE', 'HEARTBEAT', 'KILL', 'RECONCILE',
    'RECONCILE_OPERATIONS', 'REQUEST', 'REVIVE', 'SUPPRESS', 'TEARDOWN', 'UPDATE', 'UPDATE_FRAMEWORK'])

#: Seconds between two looks at answers that nobody waits for.
REST = 0.2

logger = logging.getLogger(__name__)


class Call(object):
    """A call under way.

    `kind` is its type, `target` the path, `headers` a list of pairs without Host and Content-Length, `body` bytes.
    `finished(body, error)` is called once, with the answer's bytes, or None and the error: on the loop's thread, or in
    :meth:`Channel.write_now` on the thread that called it. If it `is_forgotten` the answer matters only if it is an
    error, and then not soon; it may be told on any thread that reads it. One that also `may_wait` need not be written
    at once: it goes with the next call.

    One that `is_lasting` is not over when its time is, and keeps its place before those that were made after it: then
    ``finished.late(error)`` is called, once, on the loop's thread. It is written again when the connection has brought
    nothing for as long, if ``finished.is_wanted()`` still says so.
    """

    __slots__ = ('kind', 'method', 'target', 'headers', 'body', 'finished', 'is_forgotten', 'may_wait', 'is_lasting',
                 'is_late', 'deadline', 'hops', 'tries', 'status', 'location', 'answer', 'answer_size')

    def __init__(self, kind, target, headers, body, finished, method='POST', is_forgotten=False, may_wait=False,
                 is_lasting=False):
        self.kind = kind
        self.method = method
        self.target = target
        self.headers = headers
        self.body = body
        self.finished = finished
        self.is_forgotten = is_forgotten
        self.may_wait = may_wait
        self.is_lasting = is_lasting
        self.is_late = False
        self.deadline = None
        self.hops = 0
        self.tries = 0
        self.begin()

    def begin(self):
        """Forget what was read of an answer."""
        self.status = None
        self.location = None
        self.answer = []
        self.answer_size = 0


class Channel(object):
    """Sends calls to one address over one connection, opened when needed and again when the peer closed it.

    `timeout` is the seconds that a call may take from :meth:`submit` to its answer; a lasting one may take longer.
    `refused(error)` is called with each CallRejected, on the loop's thread, before the call is told. All methods but
    :meth:`write_now` belong to the loop's thread.

    To be woken is what a call costs most. So once there was an answer, and nobody waits for another, the socket rests:
    the loop does not watch it but looks in every :data:`REST` seconds, until there was no call between two looks. While
    it rests a thread that writes its own call reads the answer itself, and answers that nobody waits for are read
    together. What a thread cannot make sense of it leaves to the loop. Calls that may wait are written with the next
    call, or when the loop looks in: each packet wakes the peer as well. When a call that the loop makes, and whose
    answer matters, ends a rest, the next one is expected to be such a call: there is no rest until a thread writes one
    itself, or one is forgotten.
    """

    def __init__(self, loop, address, dial_timeout, timeout, tls_context, refused=None):
        self._refused = refused or (lambda error: None)
        self._loop = loop
        self._address = address
        self._dial_timeout = dial_timeout
        self._timeout = timeout
        self._tls_context = tls_context
        self._waiting = deque()         # not written yet
        self._postponed = []            # (call, its bytes) that may wait; only while there is a _sock that rests
        self._sent = deque()            # written, in the order in which the answers will come
        self._out = b''
        self._sock = None
        self._dial = None
        self._parser = None
        self._timer = None
        self._has_answered = False      # this connection brought an answer
        self._patient_until = 0.0       # before then the connection is not given up for lasting calls
        self._has_brought = False       # it brought an answer since that was set
        self._is_last = False           # the answer at hand announced that the peer will close
        self._is_flush_posted = False
        self._is_closed = False
        self._head_key = self._head = None
        self._may_rest = True           # a rest is of use; any thread may write it, and no harm is done if it is stale
        self._is_resting = False        # the loop does not watch _sock for answers
        self._is_used = False           # there was a call since the loop looked in
        self._reader = None             # the socket that a thread other than the loop's reads its answer from
        self._waiter = None             # what that thread waits with, None where none may
        self._left = None               # what it read and could not make sense of, and what the parser made of it
        self._rest_timer = None
        # For write_now() on other threads: that one adds to _sent and _postponed and sets _out, and only while there is
        # a _sock and a _timer and nothing in _waiting. So this guards _sock becoming None, _out, _postponed, _timer
        # becoming None, and whatever goes through _sent or _waiting while there is a _sock; without a _sock nothing
        # needs it. And _reader, _is_resting and _is_used: the loop neither reads nor closes a socket that has a reader.
        # Held for one send() that does not block, and never while a call is finished. A child of fork() never needs it:
        # a driver refuses its calls before they come here.
        self._writing = threading.Lock()

    def submit(self, call):
        """Send `call`; what becomes of it is told to ``call.finished``."""
        if call.deadline is None:
            call.deadline = monotonic() + self._timeout
        if call.is_forgotten:
            self._may_rest = True
        elif self._is_resting:
            self._may_rest = False
        self._waiting.append(call)
        if self._timer is None:
            self._timer = self._loop.call_later(self._timeout, self._check_deadline)
        if not self._is_flush_posted:
            # Calls that are submitted in one turn of the loop leave in one write.
            self._is_flush_posted = True
            self._loop.call_last(self._flush_posted)

    def write_now(self, call):
        """Write `call` on the calling thread, any but the main one; False, and nothing done, if it has to wait.

        It saves the loop a turn, and waking up for it. Unless the call is forgotten this returns only when it has its
        answer, or when the loop has to read that. The loop must have taken what this thread submitted before. Not for
        the main thread: a signal handler may interrupt it in here, and wait for a loop that waits for the lock. Not for
        what may be done only once: the loop may not have seen yet that the peer has closed. Nor over TLS, whose
        connections are for one thread at a time.
        """
        if call.kind not in REPEATABLE or self._address.is_tls:
            return False
        self._may_rest = True
        if not self._writing.acquire(False):
            return False
        try:
            if self._sock is None or self._timer is None or self._out or self._waiting:
                return False
            call.deadline = monotonic() + self._timeout
            call.begin()
            try:
                request = self._request_of(call)
            except UsageError:          # submit() tells of it
                return False
            if call.may_wait and self._is_resting:
                self._postponed.append((call, request))
                self._is_used = True
                return True
            sock = self._sock
            request = self._take_postponed() + request
            may_read = self._may_read(call)
            self._sent.append(call)
            try:
                self._out = send_some(sock, request)
            except socket_errors as error:
                self._loop.post(self._lose_if, sock, error)
                return True
            if self._out:               # the loop waits until there is room for the rest
                self._loop.post(self._flush_posted)
            self._is_used = True
            if not self._is_resting or call.is_forgotten:
                return True
            if not may_read:
                self._loop.post(self._flush_posted)     # the loop has to watch again
                return True
            self._reader, waiter, parser = sock, self._waiter, self._parser
        finally:
            self._writing.release()
        self._read_own(sock, waiter, parser, call)
        return True

    def _take_postponed(self):
        """The bytes of the calls that may wait, which count as written from now on. With the lock."""
        if not self._postponed:
            return b''
        postponed, self._postponed = self._postponed, []
        deadline = monotonic() + self._timeout
        for call, _request in postponed:
            call.deadline = deadline
            self._sent.append(call)
        return b''.join(request for _call, request in postponed)

    def _may_read(self, call):
        """Whether the thread that writes `call` reads the answer, too. With the lock."""
        # While the socket rests and has no reader the loop takes nothing out of _sent. What the last reader has left
        # for the loop is to be taken before anything else is read.
        return (self._is_resting and self._left is None and not call.is_forgotten and self._waiter is not None
                and not self._has_reader() and self._is_forgotten())

    def _lose_if(self, sock, error):
        if self._sock is sock:
            self._lose(error)

    def _read_own(self, sock, waiter, parser, call):
        """Read the answer of `call` on the thread that waits for it; what is not plain is left to the loop."""
        answered = []
        try:
            while self._read_some_own(sock, waiter, parser, call, answered):
                pass
        except BaseException as error:      # out of memory, say, or whatever another thread has raised in this one
            with self._writing:
                self._leave(sock, None, [], parser)
            self._loop.post(self._lose_if, sock, error)
            raise
        finally:
            for one in answered:
                one.finished(b'', None)

    def _read_some_own(self, sock, waiter, parser, call, answered):
        """Read once; whether to go on."""
        data, parts = None, []
        try:
            data = waiter.read()
        except socket_errors as error:
            self._loop.post(self._lose_if, sock, error)
        if data is not None:
            parts = _parse(parser, data)
        with self._writing:
            if self._sock is sock:
                self._take_plain(parts, call, answered)
            goes_on = (bool(data) and not parts and parser.error is None and self._sock is sock
                       and call not in answered)
            if not goes_on:
                self._leave(sock, data, parts, parser)
        return goes_on

    def _take_plain(self, parts, call, answered):
        """Move calls from those sent to `answered`, up to `call`, as long as `parts` are answers that only say yes."""
        while self._sent and call not in answered and _is_plain(parts):
            if self._sent[0] is not call and not self._sent[0].is_forgotten:
                break
            answered.append(self._sent.popleft())
            self._has_answered = self._has_brought = True
            del parts[:2]

    def _leave(self, sock, data, parts, parser):
        """Have the loop go on with what another thread has read, if there is anything to go on with. With the lock."""
        if self._reader is sock:
            self._reader = None
        if self._sock is not sock:
            close_socket(sock)          # the loop has left that to us
        elif parts or data == b'' or parser.error is not None:
            self._left = data, parts
            self._loop.post(self._flush_posted)
        elif self._waiting or not self._is_forgotten():
            self._loop.post(self._flush_posted)

    def close(self, error):
        """Close the connection; every call under way ends with `error`."""
        if self._has_unread() and not self._loop.is_closed:
            self._look()                # what was answered meanwhile has not failed
        self._say_postponed()
        self._is_closed = True
        self._disconnect()
        if self._timer is not None:
            self._timer.cancel()
        calls = list(self._sent) + list(self._waiting)
        self._sent.clear()
        self._waiting.clear()
        for call in calls:
            call.finished(None, error)

    def _say_postponed(self):
        """Write at last what may wait, if that can be done now; its answers are not waited for."""
        with self._writing:
            if self._postponed and not self._out:
                try:
                    send_some(self._sock, self._take_postponed())
                except socket_errors as error:
                    logger.debug('%s is gone before all was said to it: %s', self._address, error)

    # ---- the connection

    def _flush_posted(self):
        self._is_flush_posted = False
        if self._is_closed:
            return
        if self._has_unread():
            self._look()                # the peer may have closed meanwhile, and not all may be sent twice
        if self._sock is not None:
            if not self._waits_for_reader():
                self._flush()
        elif self._dial is None and self._waiting:
            self._dial = Dial(self._loop, self._address, self._dial_timeout, self._connected, self._dial_failed,
                              self._tls_context)

    def _has_unread(self):
        """Whether there may be answers that the loop is not told of."""
        return self._sock is not None and (self._is_resting or self._left is not None)

    def _waits_for_reader(self):
        """Whether a call that may be done only once waits, and another thread is about to see if the peer has closed.

        That one has the loop go on when it has read.
        """
        with self._writing:
            return self._has_reader() and any(call.kind not in REPEATABLE for call in self._waiting)

    def _connected(self, sock):
        self._dial = None
        self._sock = sock
        self._parser = httpmsg.ResponseParser()
        self._waiter = None if self._address.is_tls else Waiter(sock)
        self._has_answered = False
        self._has_brought = True        # from now on it is waited for
        self._flush()

    def _dial_failed(self, error):
        self._dial = None
        self._fail(list(self._sent) + list(self._waiting), error)

    def _disconnect(self):
        if self._dial is not None:
            self._dial.cancel()
            self._dial = None
        if self._rest_timer is not None:
            self._rest_timer.cancel()
            self._rest_timer = None
        with self._writing:
            self._detach()

    def _detach(self):
        """Have nothing to do with the socket any more; its reader, if any, takes no answer more. With the lock."""
        sock, self._sock = self._sock, None
        self._out, self._left, self._is_resting = b'', None, False
        self._waiting.extendleft(call for call, _request in reversed(self._postponed))
        self._postponed = []
        if sock is None:
            return
        self._loop.unwatch(sock)
        if self._reader is sock:
            # Its thread wakes up and closes it: until then the number must not serve another file.
            hang_up(sock)
        else:
            close_socket(sock)

    def _flush(self, takes_waiting=True):
        unusable = []
        try:
            with self._writing:
                self._is_used = self._is_used or bool(self._waiting)
                self._out += self._take_postponed()
                if takes_waiting:
                    self._take_waiting(unusable)
                self._out = send_some(self._sock, self._out)
                self._choose_rest(self._is_resting)
        except socket_errors as error:
            self._lose(error)
        else:
            self._watch()
        for call, error in unusable:
            call.finished(None, error)

    def _take_waiting(self, unusable):
        """Add what waits to what is to be written, and to `unusable` what has a header that cannot be."""
        requests = [self._out] if self._out else []
        while self._waiting:
            call = self._waiting.popleft()
            call.begin()
            try:
                requests.append(self._request_of(call))
            except UsageError as error:
                unusable.append((call, error))
            else:
                self._sent.append(call)
        self._out = b''.join(requests)

    def _request_of(self, call):
        """The bytes of a call. Most calls have the head of the one before."""
        key = (call.method, call.target, call.headers, self._address)
        if key != self._head_key:
            headers = [('Host', self._address.netloc)] + call.headers
            self._head_key, self._head = key, httpmsg.request_head(call.method, call.target, headers)
        return self._head + ('Content-Length: %d\r\n\r\n' % len(call.body)).encode('ascii') + call.body

    def _ready(self, ready):
        if ready & READ:
            self._read()
            self._rest_if_useful()
        if ready & WRITE and self._sock is not None:
            self._flush(False)          # what waits may have to until it is seen whether the peer has closed

    def _is_forgotten(self):
        """Whether nobody waits for an answer."""
        return all(call.is_forgotten for call in self._sent)

    def _has_reader(self):
        return self._reader is not None and self._reader is self._sock

    def _watch(self):
        events = (0 if self._is_resting else READ) | (WRITE if self._out else 0)
        if events:
            self._loop.watch(self._sock, events, self._ready)
        else:
            self._loop.unwatch(self._sock)

    def _choose_rest(self, may_rest):
        """Rest if that may be, is of use, and nobody waits for an answer of the loop. With the lock."""
        if not self._has_reader():
            self._is_resting = may_rest and self._may_rest and self._is_forgotten()

    def _rest_if_useful(self):
        if self._sock is not None and self._may_rest:
            self._rest()

    def _rest(self, may_rest=True):
        with self._writing:
            self._choose_rest(may_rest or self._is_used)
        self._watch()
        if self._is_resting and self._rest_timer is None:
            self._rest_timer = self._loop.call_later(REST, self._rest_on)

    def _rest_on(self):
        """See what has come while the socket rested. Watch it again if there was no call meanwhile."""
        self._rest_timer = None
        # Not what is in _waiting: for that it is looked first whether the peer has closed, and _flush_posted() is due.
        if self._postponed and not self._waiting:
            self._flush()
            if self._sock is None:
                return
        with self._writing:
            is_used, self._is_used = self._is_used, False
        if self._is_resting:
            self._look(is_used)

    def _look(self, may_rest=True):
        """Read what has come while the socket rested. It rests again if it `may_rest`."""
        sock = self._sock
        with self._writing:
            may_read = not self._has_reader()
            # Whoever writes a call from here on leaves the answer to this thread.
            self._is_resting = not may_read
        reads = 0
        while may_read and self._sock is sock and self._read():     # behind an answer there may be the end
            reads += 1
            if reads > MOST_READS and self._sock is sock:
                self._lose('it sends without an end')
        if self._sock is sock:
            self._rest(may_rest)

    def _read(self):
        """Take what has come; whether there may be more."""
        if self._left is not None:
            (data, parts), self._left = self._left, None
        else:
            try:
                data = read_some(self._sock, self._loop.read_buffer)
            except socket_errors as error:
                self._lose(error)
                return False
            if data is None:
                return False
            parts = _parse(self._parser, data)
        self._take_read(data, parts)
        return bool(data)

    def _take_read(self, data, parts):
        sock = self._sock
        try:
            for part in parts:
                if self._sock is not sock:      # the last answer closed the connection
                    return
                self._take(part)
            if self._sock is sock and self._parser.error is not None:
                raise self._parser.error
        except ProtocolError as error:
            if not data:                        # an answer that ends too soon is the connection's fault
                self._lose(error)
                return
            self._disconnect()
            self._fail(list(self._sent), error)
            self._flush_posted()
            return
        if self._sock is sock and not data:
            self._lose('the peer closed it')
        elif self._sock is sock and getattr(sock, 'pending', None) is not None and sock.pending():
            self._loop.post(self._read_again, sock)

    def _read_again(self, sock):
        if self._sock is sock:
            self._read()
            self._rest_if_useful()

    # ---- answers

    def _take(self, part):
        if not self._sent:
            raise HttpError('%s answered a call that was not made' % self._address)
        call = self._sent[0]
        if isinstance(part, httpmsg.Head):
            call.status = part.status
            call.location = part.headers.get('location')
            self._is_last = 'close' in part.headers.get('connection', '').lower()
        elif isinstance(part, httpmsg.Body):
            call.answer.append(part.data)
            call.answer_size += len(part.data)
            if call.answer_size > LONGEST_ANSWER:
                raise HttpError('%s answered %s with more than %d bytes' % (self._address, call.kind, LONGEST_ANSWER))
        else:
            self._sent.popleft()
            self._has_answered = self._has_brought = True
            if self._is_last:
                self._reopen()
            self._settle(call, b''.join(call.answer))

    def _settle(self, call, body):
        if 200 <= call.status < 300:
            call.finished(body, None)
        elif call.status in (307, 308) and call.location:
            self._redirect(call)
        else:
            text = body.decode('utf-8', 'replace')
            error = CallRejected(
                'Failed to send %s to %s: HTTP status %d: %s' % (call.kind, self._address, call.status, excerpt(text)),
                call.status, text, call.kind, str(self._address))
            self._refused(error)
            call.finished(None, error)

    def _redirect(self, call):
        """Send a call again to where the peer points, with our scheme; the calls after it go there, too."""
        call.hops += 1
        if call.hops > MOST_HOPS:
            call.finished(None, CallRejected(
                'Failed to send %s: redirected %d times, at last by %s to %r'
                % (call.kind, call.hops, self._address, call.location), call.status, '', call.kind, str(self._address)))
            return
        try:
            address = redirected_address(call.location, self._address)
        except MesosError as error:
            call.finished(None, error)
            return
        logger.info('%s sent %s on to %s', self._address, call.kind, address)
        self._address = address
        self._disconnect()
        # What was sent after it will be redirected as well: all go again, in their order.
        self._waiting.extendleft(reversed([call] + list(self._sent)))
        self._sent.clear()
        self._flush_posted()

    def _reopen(self):
        """The peer answers nothing more on this connection, and so has not done what it has not answered."""
        self._disconnect()
        self._waiting.extendleft(reversed(self._sent))
        self._sent.clear()
        self._flush_posted()

    # ---- trouble

    def _lose(self, reason, is_ours=False):
        """The connection broke, or with `is_ours` we have given it up: what may be repeated once is, for the rest the
        caller has to decide. Lasting calls are not to blame if we did.
        """
        self._disconnect()
        calls = list(self._sent)
        self._sent.clear()
        # If there were answers only the first is to blame: the peer may close after so many. If there was none, all
        # are, so that a peer that closes at once is not dialled for each of them.
        for call in calls[:1] if self._has_answered else calls:
            if not (is_ours and call.is_lasting):
                call.tries += 1
        lost, unwanted = [], []
        for call in reversed(calls):
            if call.is_lasting and not call.finished.is_wanted():
                unwanted.append(call)
            elif call.kind in REPEATABLE and call.tries < 2:
                self._waiting.appendleft(call)
            else:
                lost.append(call)
        for call in reversed(unwanted):
            call.finished(b'', None)
        for call in reversed(lost):
            call.finished(None, ConnectionLost(
                'lost the connection to %s before it answered %s: %s' % (self._address, call.kind, reason),
                str(self._address), getattr(reason, 'errno', None)))
        self._flush_posted()

    def _fail(self, calls, error):
        """End `calls`, a part of those under way, with `error`."""
        ended = set(map(id, calls))
        with self._writing:
            for queue in (self._sent, self._waiting):
                kept = [call for call in queue if id(call) not in ended]
                queue.clear()
                queue.extend(kept)
        for call in calls:
            call.finished(None, error)

    def _check_deadline(self):
        """One timer serves all calls."""
        if self._has_unread():
            self._look()                # what was answered meanwhile is not late
        now = monotonic()
        with self._writing:
            self._timer = None
            if self._has_brought:
                self._has_brought, self._patient_until = False, now + self._timeout
            calls = list(self._sent) + list(self._waiting)
            due = [call for call in calls if call.deadline <= now and not call.is_late]
            failed = [call for call in due if not call.is_lasting]
            has_late = len(due) > len(failed) or any(call.is_late for call in calls)
            # Answers come in order: while the first is missing there is no other, and only a new connection helps. A
            # thread that reads its own answer waits for nothing else, not even for being told that it is late.
            is_connected = self._sock is not None
            is_stuck = has_late and (now >= self._patient_until or bool(due) and self._has_reader())
            gives_up = is_connected and (bool(failed) or is_stuck)
            if gives_up:
                self._detach()          # before another thread takes an answer that is not its own
        if due:
            self._fail_late(due, self._lateness(due, is_connected))
        if gives_up:
            self._lose('an earlier call got no answer', is_ours=True)
        with self._writing:
            calls = list(self._sent) + list(self._waiting)
            left = [call.deadline for call in calls if not call.is_late]
            left += [self._patient_until if is_connected and not gives_up else now + self._timeout] * has_late
            left += [now + self._timeout] * bool(self._postponed)
            if self._timer is not None:         # of a call that was made meanwhile
                self._timer.cancel()
                self._timer = None
            if left:
                self._timer = self._loop.call_later(max(0.0, min(left) - now), self._check_deadline)

    def _fail_late(self, due, error):
        """End the calls whose time is over; those that last are only told."""
        for call in due:
            if call.is_lasting:
                call.is_late = True
                call.finished.late(error)
        self._fail([call for call in due if not call.is_lasting], error)

    def _lateness(self, late, is_connected):
        kinds = ', '.join(sorted(set(call.kind for call in late)))
        if is_connected:
            text = '%s did not answer %s within %g seconds' % (self._address, kinds, self._timeout)
        else:
            text = 'cannot connect to %s within %g seconds, to send %s' % (self._address, self._timeout, kinds)
        return TimedOut(text, str(self._address), errno.ETIMEDOUT)


def _parse(parser, data):
    """What `data` holds for a parser, b'' being the end; an error is left in the parser."""
    try:
        return parser.feed(data) if data else parser.close()
    except ProtocolError:
        return []


def _is_plain(parts):
    """Whether they begin with a whole answer that says yes, without a body, and the connection goes on."""
    if len(parts) < 2 or not isinstance(parts[0], httpmsg.Head) or not isinstance(parts[1], httpmsg.End):
        return False
    return 200 <= parts[0].status < 300 and 'close' not in parts[0].headers.get('connection', '').lower()

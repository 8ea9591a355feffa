"""What the scripted master and the scripted agent share: reading calls, recording them, following the script."""
from __future__ import absolute_import, division, print_function

import json
import threading
from base64 import b64encode
from collections import namedtuple

from six.moves.urllib.parse import unquote

from .._compat import monotonic
from ..errors import UsageError
from ..serving.http_server import Answer, HttpServer
from .stream import Stream
from .waiting import TIMEOUT

__all__ = ['Recorded', 'ScriptedServer', 'refusal']

PLAIN_TEXT = ('Content-Type', 'text/plain; charset=utf-8')
JSON = 'application/json'
VERSION = {'build_date': '2020-11-24 15:38:37', 'build_time': 1606232317.0, 'build_user': 'pymesos.testing',
           'version': '1.11.0'}


def refusal(status, text, headers=()):
    """An answer as Mesos gives it to a call that it refuses: plain text (PROTOCOL 1.5)."""
    return Answer(status, text, [PLAIN_TEXT] + list(headers))


class Recorded(namedtuple('Recorded', ['type', 'body', 'headers', 'connection', 'time', 'status'])):
    """A call that arrived.

    `type` is the call's type (text; None if the body is no call), `body` the call as a dict (as bytes if it is not
    JSON), `headers` a dict of lower-case name to text, `connection` the number of the connection it came on (the
    first is 1), `time` when it arrived (monotonic, in seconds), `status` what it was answered with.
    """

    __slots__ = ()


class _Rule(object):
    """An answer kept for calls of a type (None: any), so many times (None: always)."""

    def __init__(self, answer, call_type, times):
        self.answer = answer
        self.type = call_type
        self.times = times


class ScriptedServer(object):
    """The base of :class:`ScriptedMaster` and :class:`ScriptedAgent`.

    The server listens from the constructor on and serves between :meth:`start` and :meth:`stop`, or inside ``with``.
    All public methods are for any thread, and for functions given to :meth:`on_call` as well.
    """

    #: Paths at which calls are taken.
    PATHS = ()
    #: Every call of the API: whether it needs a field of its own name in lower case.
    CALLS = {}
    #: How refusals name a call.
    CALL_NAME = ''

    def __init__(self, host='127.0.0.1', port=0, unix_path=None, ssl_context=None, authorization=None, challenge=None,
                 heartbeats=True, heartbeat_interval=15.0, records=True, name='pymesos-scripted'):
        self._server = HttpServer(self._answer, self._closed, host, port, unix_path, ssl_context, name)
        #: Whether heartbeats are sent.
        self.heartbeats = heartbeats
        #: Seconds between two heartbeats.
        self.heartbeat_interval = heartbeat_interval
        self._host = host
        self._unix_path = unix_path
        self._is_tls = ssl_context is not None
        self._authorization = authorization
        self._challenge = challenge
        self._is_recording = records
        # Guards what follows, and is notified of each call, stream and closed connection.
        self._changed = threading.Condition()
        self._calls = []
        self._counts = {}
        self._streams = []
        self._rules = []
        self._functions = {}
        self._paths = {}
        self._redirect = None
        self._hold = None
        self._delay = (0, None)
        self._close_after = (None, None)

    # -- life -------------------------------------------------------------------------------------------

    def start(self):
        """Begin to serve; returns the server itself."""
        self._server.start()
        return self

    def stop(self):
        """Close all connections and the port, and wait for the thread. Twice is fine."""
        self.release_answers()
        self._server.stop()

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc_info):
        self.stop()

    # -- where it is ------------------------------------------------------------------------------------

    @property
    def port(self):
        """The port it listens on; None for a domain socket."""
        return self._server.port

    @property
    def netloc(self):
        """``host:port``, with brackets round an IPv6 address; ``localhost`` for a domain socket."""
        if self._unix_path is not None:
            return 'localhost'
        return ('[%s]:%d' if ':' in self._host else '%s:%d') % (self._host, self.port)

    @property
    def address(self):
        """What a driver takes: ``host:port``, ``https://host:port`` with TLS, ``unix:///path``."""
        if self._unix_path is not None:
            return 'unix://' + self._unix_path
        return 'https://' + self.netloc if self._is_tls else self.netloc

    # -- what arrived -----------------------------------------------------------------------------------

    @property
    def calls(self):
        """A list of all calls so far, :class:`Recorded`, refused ones included, in order of arrival."""
        with self._changed:
            return list(self._calls)

    @property
    def counts(self):
        """A dict of type to the number of calls of that type so far."""
        with self._changed:
            return dict(self._counts)

    @property
    def connections(self):
        """How many connections were accepted so far."""
        return self._server.accepted

    @property
    def open_connections(self):
        """How many connections are open."""
        return len(self._server.connections)

    @property
    def failures(self):
        """Texts of what went wrong here: requests that broke HTTP, TLS handshakes, exceptions of given functions."""
        return list(self._server.failures)

    def calls_of(self, call_type):
        """The calls of one type so far, in order."""
        return [call for call in self.calls if call.type == call_type]

    def forget_calls(self):
        """Begin to count and record afresh."""
        with self._changed:
            self._calls, self._counts = [], {}

    def await_call(self, call_type, timeout=TIMEOUT, count=1):
        """Wait for the `count`-th call of a type since the start, and return it (:class:`Recorded`).

        Refused calls count. AssertionError after `timeout` seconds, with what came instead. With
        ``records=False`` it returns None.
        """
        self._await(lambda: self._counts.get(call_type, 0) >= count, timeout,
                    lambda: 'call %d of type %s; there were %s' % (count, call_type, self.counts or 'none'))
        calls = self.calls_of(call_type)
        return calls[count - 1] if len(calls) >= count else None

    def await_subscribe(self, count=1, timeout=TIMEOUT):
        """Wait until `count` subscriptions were accepted since the start; returns the last of them (:class:`Stream`).

        AssertionError after `timeout` seconds.
        """
        self._await(lambda: len(self._streams) >= count, timeout,
                    lambda: 'subscription %d; there were %d and these calls: %s'
                    % (count, len(self._streams), self.counts or 'none'))
        return self._streams[count - 1]

    def await_connections(self, count, timeout=TIMEOUT):
        """Wait until `count` connections are open, no more and no fewer; AssertionError after `timeout` seconds."""
        self._await(lambda: self.open_connections == count, timeout,
                    lambda: '%d open connections; there were %d' % (count, self.open_connections))

    # -- the stream -------------------------------------------------------------------------------------

    @property
    def streams(self):
        """All subscriptions so far, in order."""
        with self._changed:
            return list(self._streams)

    @property
    def stream(self):
        """The newest subscription (:class:`Stream`); UsageError if there was none."""
        with self._changed:
            if not self._streams:
                raise UsageError('nobody has subscribed yet: call await_subscribe() first')
            return self._streams[-1]

    def send_event(self, event, chunk_size=None):
        """Send a dict as an event on the newest stream; False if that is closed."""
        return self.stream.send_event(event, chunk_size)

    def send_record(self, data, chunk_size=None):
        """Send bytes as a record on the newest stream; False if that is closed."""
        return self.stream.send_record(data, chunk_size)

    def send_raw(self, data, chunk_size=None):
        """Send bytes of the body as they are on the newest stream; False if that is closed."""
        return self.stream.send_raw(data, chunk_size)

    def end_stream(self):
        """End the newest stream with the zero-length chunk."""
        self.stream.end()

    def cut(self):
        """Cut the newest stream's connection with RST."""
        self.stream.cut()

    def half_close(self):
        """Send FIN on the newest stream's connection and keep reading."""
        self.stream.half_close()

    def cut_all(self):
        """Cut all connections with RST, those of calls as well."""
        self._server.loop.carry_out(
            lambda: [connection.reset() for connection in list(self._server.connections.values())])

    # -- the script -------------------------------------------------------------------------------------

    def reject_next(self, status, body='', headers=(), type=None, times=1):
        """Answer the next `times` calls of a type (None: any call) with an HTTP status; ``times=None``: always."""
        self._add_rule(refusal(status, body, headers), type, times)

    def answer_next(self, answer, type=None, times=1):
        """Answer the next `times` calls of a type with an :class:`Answer`, or with bytes as they stand.

        Bytes replace the whole response: status line, headers, body.
        """
        self._add_rule(_as_answer(answer), type, times)

    def redirect_to(self, location, times=None):
        """Answer calls with 307 to `location`, `times` times or always; ``redirect_to(None)`` stops it.

        `location` is ``host:port``, which becomes ``//host:port`` and the path asked for, as Mesos does it, or a
        complete Location with ``//`` in it.
        """
        with self._changed:
            self._redirect = None if location is None else [location, times]

    def on_call(self, type, function):
        """Let `function` answer the calls of a type; None takes the function away.

        It is called on the server's thread with the :class:`Recorded` call, before any check of the call, and gives
        None (answer as usual), a status, bytes (the whole response as it stands) or an :class:`Answer`. While it
        runs, the server does nothing else; what it raises becomes an answer 500 and an entry of `failures`.
        """
        with self._changed:
            self._functions[type] = function

    def on_path(self, path, function):
        """Let `function` answer all requests to a path, with any method.

        It is called as in :meth:`on_call`, with a :class:`Request`; None for an answer means 404.
        """
        with self._changed:
            self._paths[path] = function

    def hold_answers(self, type=None):
        """Keep the answers to calls of a type (None: all) until :meth:`release_answers`.

        Calls are read and recorded meanwhile. Answers leave in the order of the requests, so that one that is held
        holds those behind it on its connection.
        """
        with self._changed:
            if self._hold is None:
                self._hold = (type, threading.Event())

    def release_answers(self):
        """Let the answers go that are held, and hold no more."""
        with self._changed:
            hold, self._hold = self._hold, None
        if hold is not None:
            hold[1].set()
            self._server.loop.order(lambda: [c.flush() for c in list(self._server.connections.values())])

    def delay_answers(self, seconds, type=None):
        """Send each answer to a call of a type (None: all) `seconds` later; 0 ends that."""
        with self._changed:
            self._delay = (seconds, type)

    def close_connections_after(self, answers, announce=False):
        """Close each connection after so many answers (None: never), as a server does that tires of keep-alive.

        With `announce` the last answer carries ``Connection: close``.
        """
        with self._changed:
            self._close_after = (answers, 'announced' if announce else 'silent')

    # -- the server's thread ----------------------------------------------------------------------------

    def _add_rule(self, answer, call_type, times):
        with self._changed:
            self._rules.append(_Rule(answer, call_type, times))

    def _await(self, is_done, timeout, message):
        deadline = monotonic() + timeout
        with self._changed:
            while not is_done():
                left = deadline - monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            else:
                return
        raise AssertionError('waited %g s in vain for %s' % (timeout, message()))

    def _closed(self, _connection):
        with self._changed:
            self._changed.notify_all()

    def _answer(self, request):
        path = unquote(request.target.split('?', 1)[0]).rstrip('/') or '/'
        function = self._paths.get(path)
        if function is not None:
            return _as_answer(function(request), refusal(404, '404 Not Found.'))
        if path not in self.PATHS:
            return self._answer_other(request, path)
        call = _read_call(request)
        answer = self._choose(call, request, path)
        return self._shape(self._record(call, answer), answer, request.connection)

    def _answer_other(self, request, path):
        if path == '/version':
            return Answer(200, json.dumps(VERSION), [('Content-Type', JSON)])
        if path == '/health':
            return Answer(200)
        return refusal(404, '404 Not Found.')

    def _choose(self, call, request, path):
        if self._authorization is not None and call.headers.get('authorization') != self._authorization:
            return refusal(401, '401 Unauthorized.', [('WWW-Authenticate', self._challenge)])
        answer = self._take_redirect(path) or self._take_rule(call)
        if answer is None and self._functions.get(call.type) is not None:
            answer = _as_answer(self._functions[call.type](call))
        return answer or self._check_request(call, request) or self._take_call(call, request)

    def _take_redirect(self, path):
        with self._changed:
            if self._redirect is None:
                return None
            location, times = self._redirect
            if times is not None:
                self._redirect = [location, times - 1] if times > 1 else None
        if '//' not in location:
            location = '//%s%s' % (location, path)
        return Answer(307, headers=[('Location', location)])

    def _take_rule(self, call):
        with self._changed:
            for rule in self._rules:
                if rule.type is None or rule.type == call.type:
                    if rule.times is not None:
                        rule.times -= 1
                        if rule.times < 1:
                            self._rules.remove(rule)
                    return rule.answer
        return None

    def _check_request(self, call, request):
        """The refusal of what is no call, in the words of Mesos 1.11, or None."""
        if request.method != 'POST':
            return refusal(405, "405 Method Not Allowed. Expecting one of { 'POST' }, but received '%s'."
                           % request.method, [('Allow', 'POST')])
        content_type = call.headers.get('content-type')
        if content_type is None:
            return refusal(400, "Expecting 'Content-Type' to be present")
        if content_type != JSON:
            return refusal(415, "Expecting 'Content-Type' of application/json or application/x-protobuf")
        if isinstance(call.body, bytes):
            return refusal(400, 'Failed to parse body into JSON: syntax error at line 1 near: ')
        if not isinstance(call.body, dict):
            return refusal(400, 'Failed to convert JSON into Call protobuf: Expecting a JSON object')
        if call.type == 'UNKNOWN':
            return refusal(501, '501 Not Implemented.')
        missing = 'type' if call.type not in self.CALLS else call.type.lower()
        if missing == 'type' or self.CALLS[call.type] and missing not in call.body:
            return refusal(400, "Failed to validate %s::Call: Expecting '%s' to be present" % (self.CALL_NAME, missing))
        return None

    def _take_call(self, call, request):
        """The answer to a call that is well formed."""
        raise NotImplementedError

    def _record(self, call, answer):
        call = call._replace(status=answer.status)
        with self._changed:
            self._counts[call.type] = self._counts.get(call.type, 0) + 1
            if self._is_recording:
                self._calls.append(call)
            self._changed.notify_all()
        return call

    def _shape(self, call, answer, connection):
        """The answer with what the script says of its time and of the connection."""
        with self._changed:
            hold, (delay, delayed), (answers, close) = self._hold, self._delay, self._close_after
        gate = None
        if hold is not None and hold[0] in (None, call.type):
            gate = hold[1]
        elif delay and delayed in (None, call.type):
            gate = threading.Event()
            self._server.loop.call_at(call.time + delay, lambda: (gate.set(), connection.flush()))
        if answers is not None and answer.opened is None and connection.answered + 1 >= answers:
            return Answer(answer.status, answer.body, answer.headers, close, answer.raw, gate)
        if gate is not None:
            return Answer(answer.status, answer.body, answer.headers, answer.close, answer.raw, gate, answer.opened)
        return answer

    def _open_stream(self, call, framework_id, headers, events, stream_id=None, is_accepted=True):
        """An answer 200 whose body begins with `events`; ended behind them if the subscription is not accepted."""
        def opened(connection):
            stream = Stream(self._server, connection, call._replace(status=200), framework_id, stream_id)
            for event in events:
                stream.send_event(event)
            if not is_accepted:
                stream.end()
                return
            with self._changed:
                self._streams.append(stream)
                self._changed.notify_all()
            self._stream_opened(stream)

        return Answer(200, headers=headers + [('Content-Type', JSON)], opened=opened)

    def _stream_opened(self, stream):
        """A subscription was accepted and its first events are queued."""
        self._arm_heartbeat(stream)

    def _arm_heartbeat(self, stream):
        def beat():
            if stream.is_open:
                if self.heartbeats:
                    stream.send_event({'type': 'HEARTBEAT'})
                self._arm_heartbeat(stream)

        self._server.loop.call_at(monotonic() + self.heartbeat_interval, beat)


def _read_call(request):
    """The request as a call, without a status yet."""
    try:
        body = json.loads(request.body.decode('utf-8'))
    except ValueError:
        body = request.body
    call_type = body.get('type') if isinstance(body, dict) else None
    if isinstance(call_type, (dict, list)):
        call_type = None
    return Recorded(call_type, body, request.headers, request.connection.number, monotonic(), None)


def _as_answer(value, default=None):
    if value is None:
        return default
    if isinstance(value, bytes):
        return Answer(raw=value)
    return Answer(value) if isinstance(value, int) else value


def basic(credentials):
    """The Authorization header of (principal, secret)."""
    return 'Basic ' + b64encode(':'.join(credentials).encode('utf-8')).decode('ascii')

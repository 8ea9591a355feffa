"""HTTP of an embedded master and an embedded agent: finds the endpoint, checks in Mesos' order, asks the model.

The order (PROTOCOL 1.1): who it is, who leads, the method, the Content-Type, the body, the call, the Accept; only then
the call reaches the model. Protobuf is not spoken: such a body cannot be parsed (400), such an answer not given (406).
A body may have 64 MiB (413 for more), a client leave 64 MiB of its answers and events unread (it is cut off).
"""
from __future__ import absolute_import, division, print_function

import logging
import time
import zlib

from ..serving.listener import Listener
from ..serving.requests import HeadMemory
from . import convert, negotiation, pages
from .access import ANYBODY, BASIC, BEARER, is_foreign, may_call
from .attach import AttachInput
from .connection import Connection
from .model import validation
from .model.effects import Reply, refuse
from .negotiation import JSON, PROTOBUF, RECORDIO
from .responses import Responses, event_chunk
from .routes import AGENT, MASTER, Router, read_query, split_target

__all__ = ['AgentServer', 'MAX_BODY', 'MasterServer']

#: Bytes that the body of a request may have, unpacked too.
MAX_BODY = 64 * 1024 * 1024

_NOT_FOUND = refuse(404, '404 Not Found.')
_FOREIGN = refuse(403, '403 Forbidden. The request comes from a page of another site, or names a host that is not this '
                       'one.')
_FORBIDDEN = refuse(403, '403 Forbidden.')
_NOT_IMPLEMENTED = refuse(501, '501 Not Implemented.')

#: What a form is read from; other bodies are JSON, for the endpoint itself.
_FORMS = ('/teardown', '/reserve', '/unreserve', '/create-volumes', '/destroy-volumes')

logger = logging.getLogger(__name__)


class _Plan(object):
    """What follows from the head of a request alone. Kept with the head, which most requests have in common."""

    __slots__ = ('accepted', 'identity', 'is_gzipped', 'is_streamed', 'jsonp', 'may_gzip', 'not_acceptable', 'path',
                 'query', 'refusal', 'route')

    def __init__(self, headers):
        self.route = None
        self.path = self.query = self.jsonp = None
        self.identity = ANYBODY
        self.may_gzip = negotiation.accepts_gzip(headers.get('accept-encoding'))
        self.is_gzipped = headers.get('content-encoding') == 'gzip'
        self.is_streamed = False
        #: The refusal for what is checked before the body, or None.
        self.refusal = None
        #: The type to answer with; the refusal if there is none.
        self.accepted, self.not_acceptable = JSON, None


class _Server(object):
    """What both have in common. `node` has `model`, `options`, `files`, `leader()` and `settle()`.

    It listens and serves from the constructor on. All methods are for the loop's thread.
    """

    def __init__(self, loop, node, host, port, access, router, max_body=MAX_BODY):
        self.max_body = max_body
        self.heads = HeadMemory()
        self.responses = Responses()
        self._node = node
        self._access = access
        self._router = router
        self._streams = {}          # token -> Exchange
        self._deferred = {}         # key -> Exchange
        self._kinds = {
            'health': lambda plan, head, body: Reply(200),
            'version': lambda plan, head, body: pages.version(),
            'help': lambda plan, head, body: pages.help_page(self._router.paths, plan.query),
            'logging': lambda plan, head, body: pages.set_logging_level(plan.query),
            'files': lambda plan, head, body: pages.browse_files(self._node.files, plan.route.path, plan.query),
            'metrics': self._ask_legacy, 'legacy': self._ask_legacy, 'operator': self._ask_operator,
        }
        self._listener = Listener(loop, lambda *args: Connection(self, *args), host, port,
                                  ssl_context=access.ssl_context, report=_report)
        #: The port that it listens on.
        self.port = self._listener.port
        loop.carry_out(self._listener.open)

    # ---- for the node

    def send(self, stream, event):
        """Send an event (a dict) on a stream (its token); dropped if that is gone."""
        exchange = self._streams.get(stream)
        if exchange is not None:
            exchange.write(event_chunk(event), False)

    def close_stream(self, stream):
        """End a stream after what was sent on it; the model is not told."""
        exchange = self._streams.pop(stream, None)
        if exchange is not None:
            exchange.stream = None
            exchange.end()

    def answer(self, key, reply):
        """Answer the call whose reply was deferred; dropped if its client is gone."""
        exchange = self._deferred.pop(key, None)
        if exchange is not None:
            exchange.key = None
            self._give(exchange, reply)

    def drop_connections(self):
        """Close all connections at once, as if the network had broken."""
        self._listener.drop_connections()

    def stop(self):
        """Close all connections and the port; twice is fine. The model is told nothing any more."""
        self._streams, self._deferred = {}, {}
        self._listener.close()

    # ---- for connections

    def is_streamed(self, head):
        """Whether the body of a request is to be taken in pieces."""
        return self._plan(head).is_streamed

    def take(self, exchange, body):
        """Answer a request, now or later; `body` is None if it comes in pieces, to :meth:`read_on`."""
        reply = self._guarded(exchange.head, self._reply, exchange, exchange.head, body)
        if reply is not None:
            self._give(exchange, reply)
        self._node.settle()

    def read_on(self, exchange, data):
        """More of a streamed body, None at its end."""
        reply = self._guarded(exchange.head, exchange.reader.feed, data)
        if reply is not None:
            exchange.reader.close()
            exchange.reader = None
            self._give(exchange, reply)
        self._node.settle()

    def abandoned(self, exchanges):
        """The client of requests that are not answered yet, or whose answers are streams, is gone."""
        model = self._node.model
        for exchange in exchanges:
            if self._deferred.pop(exchange.key, None) is not None and model is not None:
                model.on_abandoned(exchange.key)
            if self._streams.pop(exchange.stream, None) is not None and model is not None:
                model.on_stream_closed(exchange.stream)
            if exchange.reader is not None and model is not None:
                exchange.reader.close()
        if exchanges:
            self._node.settle()

    # ---- the way of a request

    def _guarded(self, head, function, *args):
        try:
            return function(*args)
        except Exception:           # a fault of ours: the client and the log are told, the others go on being served
            logger.exception('the embedded server failed at %s %s', head.method, head.target)
            return refuse(500, 'Internal error')

    def _reply(self, exchange, head, body):
        """The Reply to a request; None if it comes later."""
        plan = self._plan(head)
        if plan.is_gzipped and body:
            body = _unzip(body, self.max_body)
            if isinstance(body, Reply):
                return body
        if plan.route is None:
            return plan.refusal
        if plan.identity.challenge is not None:
            return Reply(401, '401 Unauthorized.', [('WWW-Authenticate', plan.identity.challenge)])
        refusal = self._check_leader(plan, head) or plan.refusal
        if refusal is not None:
            return refusal
        if plan.is_streamed:
            return self._attach(exchange, plan)
        return self._kinds[plan.route.kind](plan, head, body)

    def _plan(self, head):
        plan = head.plan
        if plan is None:
            plan = self._guarded(head, self._make_plan, head)
            if isinstance(plan, Reply):
                refusal, plan = plan, _Plan(head.headers)
                plan.refusal = refusal
            # What a token may say that runs out is asked again, all else holds for ever.
            if plan.identity.claims is None or 'exp' not in plan.identity.claims:
                head.plan = plan
        return plan

    def _make_plan(self, head):
        plan = _Plan(head.headers)
        split = split_target(head.target)
        if split is None:
            plan.refusal = refuse(400, "Request URL path must start with '/'")
            return plan
        found = self._router.find(split[0])
        if found is None:
            plan.refusal = _NOT_FOUND
            return plan
        if is_foreign(head.headers, self._node.options.hostname, self._access.is_open):
            plan.refusal = _FOREIGN
            return plan
        plan.route, plan.path = found
        plan.query = read_query(split[1].encode('latin-1'))
        plan.jsonp = plan.query.get('jsonp')
        plan.identity = self._identify(plan.route, head.headers.get('authorization'))
        if plan.route.kind in ('operator', 'scheduler', 'executor', 'provider'):
            self._plan_call(plan, head)
        return plan

    def _plan_call(self, plan, head):
        plan.refusal = negotiation.check_method(head.method) or negotiation.check_content_type(head.headers)
        plan.accepted, plan.not_acceptable = negotiation.check_accept(head.headers)

    def _identify(self, route, header):
        ways = self._ways(route.realm)
        return self._access.identify(header, 'mesos-%s-%s' % (self.NAME, route.realm), ways, time.time())

    def _ways(self, realm):
        """How clients of a realm may show who they are; () if they need not."""
        return (BASIC,) if realm is not None and getattr(self._node.options, 'authenticate_' + realm) else ()

    def _check_leader(self, plan, head):
        """The refusal of a request that this one cannot answer at present, or None."""
        raise NotImplementedError

    def _attach(self, exchange, plan):
        raise NotImplementedError

    def _read(self, kind, name, plan, head, body, *args):
        """(the call in a body, None) or (None, the refusal); `name` is how refusals call it."""
        if head.headers['content-type'] == PROTOBUF:
            return None, self._refuse_protobuf(plan, name, body)
        try:
            call = convert.parse(kind, body)
        except convert.ConvertError as error:
            return None, refuse(400, str(error))
        wrong = self._validators[kind](call, *args)
        if wrong is not None:
            return None, refuse(400, 'Failed to validate %s::Call: %s' % (name, wrong))
        return call, None

    def _refuse_protobuf(self, plan, name, body):
        # The empty message is the only one that can be read here.
        if not body and plan.route.kind != 'executor':
            return refuse(400, "Failed to validate %s::Call: Expecting 'type' to be present" % name)
        return refuse(400, 'Failed to parse body into Call protobuf')

    def _ask_legacy(self, plan, head, body):
        if self._node.model is None:
            return Reply(200, {}) if plan.route.kind == 'metrics' else _NOT_FOUND
        return self._legacy(plan, head, body) or _NOT_FOUND

    def _files_call(self, call):
        """The Reply to LIST_FILES and READ_FILE; None for other calls."""
        if call['type'] == 'LIST_FILES':
            return pages.list_files(self._node.files, call)
        if call['type'] == 'READ_FILE':
            return pages.read_file(self._node.files, call)
        return _NOT_IMPLEMENTED if call['type'] == 'UNKNOWN' else None

    # ---- answers

    def _give(self, exchange, reply):
        if reply.key is not None:
            exchange.key = reply.key
            self._deferred[reply.key] = exchange
            return
        plan = self._plan(exchange.head)
        if reply.stream is None:
            kind = plan.route.kind if plan.route is not None else None
            is_legacy = kind in ('legacy', 'version', 'metrics', 'files', 'flags')
            jsonp = plan.jsonp if is_legacy else None
            data = self._guarded(exchange.head, self.responses.whole, reply, plan.may_gzip, is_legacy, jsonp)
            exchange.write(data if isinstance(data, bytes) else self.responses.whole(data), True)
            return
        kinds = [('Content-Type', plan.accepted)]
        if plan.accepted == RECORDIO:
            kinds.insert(0, ('Message-Content-Type', JSON))
        exchange.stream = reply.stream
        self._streams[reply.stream] = exchange
        exchange.write(self.responses.stream(reply, kinds), False)


class MasterServer(_Server):
    """The HTTP server of an embedded master.

    `loop` is the :class:`~pymesos.serving.loop.Loop` that carries it, `node` the
    :class:`~pymesos.local.node.MasterNode`, `access` the :class:`~pymesos.local.access.Access`. Raises OSError if it
    cannot listen on `host` and `port` (0: a free one).
    """

    NAME = 'master'

    def __init__(self, loop, node, host, port, access, max_body=MAX_BODY):
        self._validators = {'scheduler.Call': validation.scheduler_call, 'master.Call': validation.master_call}
        super(MasterServer, self).__init__(loop, node, host, port, access, Router(MASTER, 'master'), max_body)
        self._kinds.update(scheduler=self._ask_scheduler, redirect=self._redirect, flags=self._ask_flags)

    def _ways(self, realm):
        return super(MasterServer, self)._ways('frameworks' if realm == 'scheduler' else realm)

    def _check_leader(self, plan, head):
        if not plan.route.is_of_leader:
            return None
        leader = self._node.leader()
        if leader is None:
            return refuse(503, 'No leader elected')
        if leader != 'self':
            path, query = split_target(head.target)
            return self._send_to(leader, path + ('?' + query if query else ''))
        return None if self._node.model is not None else refuse(503, 'Master has not finished recovery')

    def _send_to(self, leader, path):
        # Without a scheme, so that the client keeps its own.
        form = '//[%s]:%d%s' if ':' in leader[0] else '//%s:%d%s'
        return Reply(307, headers=[('Location', form % (leader + (path,)))])

    def _redirect(self, plan, head, body):
        leader = self._node.leader()
        if leader is None or leader == 'self':
            leader = self._node.options.hostname, self.port
        return self._send_to(leader, '')

    def _ask_flags(self, plan, head, body):
        return Reply(200, {'flags': {}}) if self._node.model is None else self._ask_legacy(plan, head, body)

    def _ask_scheduler(self, plan, head, body):
        principal = plan.identity.principal
        call, refusal = self._read('scheduler.Call', 'scheduler', plan, head, body, principal)
        if refusal is not None:
            return refusal
        if plan.not_acceptable is not None and call['type'] in ('SUBSCRIBE', 'RECONCILE_OPERATIONS'):
            return plan.not_acceptable
        return self._node.model.scheduler_call(call, principal, head.headers.get('mesos-stream-id'))

    def _ask_operator(self, plan, head, body):
        principal = plan.identity.principal
        call, refusal = self._read('master.Call', 'master', plan, head, body, principal)
        return (refusal or plan.not_acceptable or self._files_call(call)
                or self._node.model.operator_call(call, principal))

    def _legacy(self, plan, head, body):
        form = read_query(body) if plan.route.path in _FORMS else body
        path = plan.path if plan.route.path == '/quota' else plan.route.path
        return self._node.model.legacy(path, plan.query, plan.identity.principal, head.method, form)


class AgentServer(_Server):
    """The HTTP server of an embedded agent; `prefix` is the part of its pid before the ``@``. Else as MasterServer."""

    NAME = 'agent'

    def __init__(self, loop, node, host, port, access, prefix='slave(1)', max_body=MAX_BODY):
        self._validators = {'executor.Call': validation.executor_call, 'agent.Call': validation.agent_call}
        super(AgentServer, self).__init__(loop, node, host, port, access, Router(AGENT, prefix), max_body)
        self._kinds.update(executor=self._ask_executor, provider=lambda plan, head, body: _NOT_IMPLEMENTED)

    def _ways(self, realm):
        # An executor's token is good for the operator API as well: for the containers of its own.
        has_tokens = self._node.options.authenticate_executors
        if realm == 'executor':
            return (BEARER,) if has_tokens else ()
        ways = super(AgentServer, self)._ways(realm)
        return ways + (BEARER,) if ways and has_tokens and realm == 'readwrite' else ways

    def _plan_call(self, plan, head):
        if plan.route.kind != 'operator':
            super(AgentServer, self)._plan_call(plan, head)
            return
        headers = head.headers
        plan.refusal = (negotiation.check_method(head.method) or negotiation.check_content_type(headers, True)
                        or negotiation.check_message_type(headers))
        plan.accepted, refusal = negotiation.check_accept(headers, True)
        if plan.refusal is None:
            plan.refusal = refusal or negotiation.check_message_accept(headers, plan.accepted)
        plan.is_streamed = (plan.refusal is None and plan.identity.challenge is None
                            and headers['content-type'] == RECORDIO)

    def _check_leader(self, plan, head):
        if self._node.model is None and plan.route.is_of_leader and plan.route.kind != 'health':
            return refuse(503, 'Agent has not finished recovery')
        return None

    def _attach(self, exchange, plan):
        exchange.reader = AttachInput(self._node.model, plan.accepted, self.max_body, plan.identity.claims)

    def _ask_executor(self, plan, head, body):
        call, refusal = self._read('executor.Call', 'Executor', plan, head, body)
        if refusal is not None:
            return refusal
        if plan.not_acceptable is not None and call['type'] == 'SUBSCRIBE':
            return plan.not_acceptable
        return self._node.model.executor_call(call, plan.identity.claims)

    def _ask_operator(self, plan, head, body):
        call, refusal = self._read('agent.Call', 'agent', plan, head, body)
        identity = plan.identity
        if refusal is None and identity.claims is not None and not may_call(identity.claims, call):
            refusal = _FORBIDDEN
        return (refusal or negotiation.check_streaming(call['type'], False, plan.accepted) or self._files_call(call)
                or self._node.model.operator_call(call, identity.claims or identity.principal))

    def _refuse_protobuf(self, plan, name, body):
        if body and plan.route.kind == 'operator':
            return refuse(400, 'Failed to parse body into a protobuf object')
        return super(AgentServer, self)._refuse_protobuf(plan, name, body)

    def _legacy(self, plan, head, body):
        return self._node.model.legacy(plan.route.path, plan.query, plan.identity.principal)


def _unzip(body, limit):
    """What a body was packed from, or the Reply that refuses it."""
    inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        data = inflater.decompress(body, limit)
    except zlib.error:
        return refuse(500, 'failed to decode body')
    if inflater.unconsumed_tail:
        return refuse(413, '413 Request Entity Too Large.')
    return data


def _report(text):
    logger.warning('the embedded server: %s', text)

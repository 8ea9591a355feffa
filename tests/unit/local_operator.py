"""An operator at a master of the embedded cluster without network; see :mod:`local_master`."""
from __future__ import absolute_import, division, print_function

import json

from local_master import Bench, resources, scalar
from pymesos.local import convert
from pymesos.local.model import validation

#: The endpoints that are given a form, and not the body.
FORMS = ('/teardown', '/reserve', '/unreserve', '/create-volumes', '/destroy-volumes')

PORTS = {'name': 'ports', 'type': 'RANGES', 'ranges': {'range': [{'begin': 31000, 'end': 31499}]}}


def dynamic(role, **fields):
    """The fields of a Resource that is reserved dynamically."""
    return {'reservations': [dict({'type': 'DYNAMIC', 'role': role}, **fields)]}


def volume(size, volume_id='v1', **fields):
    """A persistent volume for the role eng."""
    disk = {'persistence': {'id': volume_id}, 'volume': {'mode': 'RW', 'container_path': 'data'}}
    return scalar('disk', size, disk=disk, **dict(dynamic('eng'), **fields))


def value(number):
    """A Scalar, or the message of an id."""
    return {'value': number}


class Desk(Bench):
    """A :class:`Bench` with an operator."""

    def ask(self, kind, **body):
        """(status, body) of a call: the body of the Response, text, or None."""
        call = {'type': kind}
        if body:
            call[kind.lower()] = body
        try:
            call = convert.parse('master.Call', json.dumps(call).encode('utf-8'))
        except convert.ConvertError as error:
            return 400, str(error)
        wrong = validation.master_call(call)
        if wrong is not None:
            return 400, 'Failed to validate master::Call: ' + wrong
        reply = self.model.operator_call(call)
        self.take()
        if isinstance(reply.body, dict):
            assert reply.body['type'] == kind
            return reply.status, json.loads(json.dumps(reply.body.get(kind.lower())))
        return reply.status, reply.body

    def look(self, kind):
        """The body of the Response to a call that only looks."""
        status, body = self.ask(kind)
        assert status == 200
        return body

    def browse(self, path, method='GET', form=None, **query):
        """(status, body) of an older endpoint; the body in JSON if there is one, as a browser would see it."""
        if path in FORMS:
            form = form or {}
        elif not isinstance(form, bytes):
            form = b'' if form is None else json.dumps(form).encode('utf-8')
        reply = self.model.legacy(path, query, None, method, form)
        self.take()
        if reply is None:
            return 404, None
        if isinstance(reply.body, (dict, list)):
            return reply.status, json.loads(json.dumps(reply.body))
        return reply.status, reply.body

    def subscribe(self):
        """The stream of a new subscriber."""
        reply = self.model.operator_call({'type': 'SUBSCRIBE'})
        self.take()
        assert reply.status == 200
        return reply.stream

    def seen(self, stream):
        """What happened, on a stream: [(type, body)], without the state at its beginning and heartbeats."""
        return [(event['type'], event.get(event['type'].lower())) for known, event in self.sent
                if known == stream and event['type'] not in ('SUBSCRIBED', 'HEARTBEAT')]


def two_agents(desk):
    """An agent with 4 cpus, 4096 MB, 10000 MB of disk and ports; one with 2, 2048, 5000 and a static reservation."""
    first = desk.agent(5051, resources(4, 4096) + [scalar('disk', 10000), PORTS])
    second = desk.agent(5052, resources(2, 2048) + [scalar('disk', 5000), scalar(
        'cpus', 1, reservations=[{'type': 'STATIC', 'role': 'static'}])])
    return first, second

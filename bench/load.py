"""The bytes that the benchmarks' server sends: streams of events in the shapes of a real Mesos 1.11."""
from __future__ import absolute_import, division, print_function

import base64
import itertools
import json

__all__ = ['ANSWER', 'STREAM_HEAD', 'SUBSCRIBED', 'VERSION', 'chunk', 'offers_records', 'stream']

FRAMEWORK = '61011e53-227a-4934-8266-fc29e4278b0f-0009'
AGENT = '61011e53-227a-4934-8266-fc29e4278b0f-S%d'

_DATE = b'Date: Sun, 22 Nov 2026 06:32:36 GMT\r\n'
_VERSION_BODY = b'{"version":"1.11.0"}'

ANSWER = b'HTTP/1.1 202 Accepted\r\n' + _DATE + b'Content-Length: 0\r\n\r\n'
VERSION = (b'HTTP/1.1 200 OK\r\n' + _DATE + b'Content-Type: application/json\r\nContent-Length: 20\r\n\r\n'
           + _VERSION_BODY)
STREAM_HEAD = (b'HTTP/1.1 200 OK\r\n' + _DATE + b'Transfer-Encoding: chunked\r\n'
               b'Mesos-Stream-Id: 3550797e-0e53-46d7-88fa-fba6da37c734\r\nContent-Type: application/json\r\n\r\n')


def _dumps(event):
    return json.dumps(event, separators=(',', ':')).encode('ascii')


def chunk(record):
    """A record in its frame, in a chunk of its own: Mesos writes one chunk for one record."""
    framed = ('%d\n' % len(record)).encode('ascii') + record
    return ('%x\r\n' % len(framed)).encode('ascii') + framed + b'\r\n'


SUBSCRIBED = chunk(_dumps({'type': 'SUBSCRIBED', 'subscribed': {
    'framework_id': {'value': FRAMEWORK}, 'heartbeat_interval_seconds': 15.0,
    'master_info': {'id': FRAMEWORK[:-5], 'ip': 16777343, 'port': 5050, 'hostname': '127.0.0.1', 'version': '1.11.0',
                    'address': {'hostname': '127.0.0.1', 'ip': '127.0.0.1', 'port': 5050}}}}))


def _scalar(name, value, role='*'):
    return {'name': name, 'type': 'SCALAR', 'scalar': {'value': value}, 'role': role}


def _text(name, value):
    return {'name': name, 'type': 'TEXT', 'text': {'value': value}}


def _offer(number):
    """An offer of 1.3 KB."""
    agent = number % 5000
    return {
        'id': {'value': '%s-O%07d' % (FRAMEWORK[:-5], number)}, 'framework_id': {'value': FRAMEWORK},
        'agent_id': {'value': AGENT % agent}, 'hostname': 'node%04d.cluster.example' % agent,
        'url': {'scheme': 'http', 'path': '/slave(1)', 'address': {
            'hostname': 'node%04d.cluster.example' % agent, 'ip': '10.1.%d.%d' % divmod(agent, 250), 'port': 5051}},
        'resources': [
            {'name': 'ports', 'type': 'RANGES', 'role': '*',
             'ranges': {'range': [{'begin': 31000, 'end': 31003 + agent}, {'begin': 37000, 'end': 37999}]}},
            _scalar('cpus', 3.75), _scalar('mem', 4096.0 + agent), _scalar('disk', 10000.0), _scalar('gpus', 2.0),
            _scalar('cpus', 0.25, 'analytics')],
        'attributes': [_text('rack', 'r%02d' % (agent % 40)), _text('zone', 'eu-west-1%s' % 'abc'[agent % 3]),
                       _text('kernel', '5.10.0-23-amd64'),
                       _text('image', 'registry.cluster.example/base/worker:2023.4'),
                       _scalar('generation', 3.0), _text('owner', 'platform')],
        'allocation_info': {'role': '*'}}


def offers_records(events, offers):
    """`events` OFFERS events of `offers` offers each: a list of JSON in bytes."""
    numbers = itertools.count()
    return [_dumps({'type': 'OFFERS', 'offers': {'offers': [_offer(next(numbers)) for _ in range(offers)]}})
            for _ in range(events)]


def _update(number):
    return _dumps({'type': 'UPDATE', 'update': {'status': {
        'task_id': {'value': 'task-%d' % number}, 'state': 'TASK_RUNNING', 'source': 'SOURCE_EXECUTOR',
        'agent_id': {'value': AGENT % (number % 5000)}, 'executor_id': {'value': 'executor-%d' % number},
        'timestamp': 1795329156.7304568 + number,
        'uuid': base64.b64encode(('%016d' % number).encode('ascii')).decode('ascii'),
        'container_status': {
            'container_id': {'value': '1a1502d2-cfec-410f-b99b-0223a64c0165'}, 'executor_pid': 8751,
            'network_infos': [{'ip_addresses': [{'protocol': 'IPv4', 'ip_address': '127.0.0.1'}]}]}}}})


#: Events that are made once and sent over and over, where a hundred thousand different ones would not fit.
_MOST_MADE = 20000


def stream(kind, events, offers):
    """What the server sends: (bytes, how often). `kind` is ``offers``, ``updates``, ``heartbeats`` or ``none``."""
    if kind == 'none':
        return b'', 0
    made = min(events, 400 if kind == 'offers' else _MOST_MADE)
    if events % made:
        raise ValueError('%d events are not a multiple of %d' % (events, made))
    if kind == 'offers':
        records = offers_records(made, offers)
    elif kind == 'updates':
        records = [_update(number) for number in range(made)]
    else:
        records = [b'{"type":"HEARTBEAT"}'] * made
    return b''.join(chunk(record) for record in records), events // made

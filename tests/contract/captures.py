"""The exchanges that were recorded from a real Mesos (../shared/captures), as they are in the files."""
from __future__ import absolute_import, division, print_function

import io
import json
import os
import re

import raw
import targets

FOLDER = os.path.join(os.environ.get('PYMESOS_SHARED')
                      or os.path.join(os.path.dirname(os.path.dirname(targets.TESTS)), 'shared'), 'captures')

#: What was substituted when it was recorded: the ids of masters, frameworks, agents, offers, containers and streams.
TOKEN = re.compile('[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?:-[OS][0-9]+|-[0-9]{4,})?')


class Capture(object):
    """One exchange: `kind` is its folder, `name` that of its files."""

    def __init__(self, kind, name):
        self.kind, self.name = kind, name

    def __repr__(self):
        return '%s/%s' % (self.kind, self.name)

    def _path(self, suffix):
        return os.path.join(FOLDER, self.kind, '%s.%s' % (self.name, suffix))

    def has(self, suffix):
        return os.path.exists(self._path(suffix))

    def _read(self, suffix):
        with open(self._path(suffix), 'rb') as stream:
            return stream.read()

    @property
    def request(self):
        """The bytes of the request."""
        return self._read('request')

    @property
    def response(self):
        """The bytes of the answer; of a stream no more than was there when it was written."""
        return self._read('response')

    @property
    def is_stream(self):
        return self.has('events.jsonl')

    def events(self):
        """The events of the stream that it opened."""
        with io.open(self._path('events.jsonl'), encoding='utf-8') as stream:
            return [json.loads(line)['event'] for line in stream]


def index(kind):
    """The lines of INDEX.txt: (name, what is said of it), in the order in which it was recorded."""
    with io.open(os.path.join(FOLDER, kind, 'INDEX.txt'), encoding='utf-8') as stream:
        lines = [line.rstrip('\n') for line in stream]
    return [(line.split()[0], line.partition(' ')[2].strip()) for line in lines if line.strip()]


def names(kind):
    """The names of all exchanges of a kind that have an answer."""
    return sorted(name[:-len('.response')] for name in os.listdir(os.path.join(FOLDER, kind))
                  if name.endswith('.response'))


def parse(response):
    """The first answer in some bytes, a :class:`raw.Reply`; None if there is none."""
    if not response:
        return None
    head, _, body = response.partition(b'\r\n\r\n')
    lines = head.decode('latin-1').split('\r\n')
    _version, status, reason = (lines[0].split(' ', 2) + [''])[:3]
    reply = raw.Reply(int(status), reason, [tuple(line.split(': ', 1)) if ': ' in line else (line.rstrip(':'), '')
                                            for line in lines[1:]], body)
    length = reply.header('Content-Length')
    return reply._replace(body=body[:int(length)]) if length else reply


def where_tokens_come_from():
    """{token of a request: ('offer', stream, offer), ('inverse', stream, inverse offer), ('stream', stream),
    ('container', stream, task id), ('uuid', stream, task id, status) or ('operation', stream, operation id)}."""
    found = {}
    for name in names('scheduler'):
        capture = Capture('scheduler', name)
        head = parse(capture.response)
        if head is not None and head.header('Mesos-Stream-Id'):
            found[head.header('Mesos-Stream-Id')] = ('stream', name)
        if not capture.is_stream:
            continue
        for event in capture.events():
            for offer in event.get('offers', {}).get('offers', ()):
                found[offer['id']['value']] = ('offer', name, offer)
            for offer in event.get('inverse_offers', {}).get('inverse_offers', ()):
                found[offer['id']['value']] = ('inverse', name, offer)
            status = event.get('update', {}).get('status')
            if status:
                if status.get('uuid'):
                    found.setdefault(status['uuid'], ('uuid', name, status['task_id']['value'], status))
                container = status.get('container_status', {}).get('container_id', {}).get('value')
                if container:
                    found.setdefault(container, ('container', name, status['task_id']['value']))
            operation = event.get('update_operation_status', {}).get('status')
            if operation and operation.get('uuid'):
                found[operation['uuid']['value']] = ('operation', name, operation['operation_id']['value'])
    return found

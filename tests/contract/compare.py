"""What two answers, or two streams of events, must have in common. Differences are texts; none is agreement."""
from __future__ import absolute_import, division, print_function

import gzip
import io
import json
import re

#: Headers whose values must be the same.
VALUES = ('Content-Type', 'Transfer-Encoding', 'WWW-Authenticate', 'Allow', 'Location', 'Content-Encoding')

#: What texts hold that is never the same.
VOLATILE = [
    (re.compile('[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(-[OS]?[0-9]+)?'), '<id>'),
    (re.compile(r'127\.0\.0\.1:[0-9]+'), '<address>'),
    (re.compile(r"'?/[^ ']*/(slaves|agents|meta|runs)/[^ ']*"), '<path>'),
    (re.compile(r':\[[0-9]+-[0-9]+\]'), ':<range>'),
]

ENUM = re.compile('[A-Z][A-Z0-9_]{2,}$')


def normal(text):
    """A text without what is never the same."""
    for pattern, replacement in VOLATILE:
        text = pattern.sub(replacement, text)
    return text


def signature(value, path=''):
    """The set of all fields of a JSON value: where they are, of what type, and which enum they hold."""
    if isinstance(value, dict):
        found = set(['%s: object' % path])
        for key in value:
            found |= signature(value[key], '%s.%s' % (path, normal(key)) if path else normal(key))
        return found
    if isinstance(value, list):
        found = set(['%s: list' % path])
        for item in value:
            found |= signature(item, path + '[]')
        return found
    if isinstance(value, bool):
        return set(['%s: bool' % path])
    if isinstance(value, float):
        return set(['%s: float' % path])
    if value is None or isinstance(value, int) or not hasattr(value, 'encode'):
        return set(['%s: %s' % (path, 'null' if value is None else 'int')])
    return set(['%s: %s' % (path, value if ENUM.match(value) else 'text')])


def sets(recorded, seen, what):
    """The difference of two sets as texts."""
    found = []
    if recorded - seen:
        found.append('%s missing: %s' % (what, ', '.join(sorted(recorded - seen))))
    if seen - recorded:
        found.append('%s too many: %s' % (what, ', '.join(sorted(seen - recorded))))
    return found


def unpacked(reply):
    if reply.header('Content-Encoding') == 'gzip':
        with gzip.GzipFile(fileobj=io.BytesIO(reply.body)) as stream:
            return stream.read()
    return reply.body


def replies(recorded, seen, has_body=True):
    """The differences of two answers."""
    if recorded is None:
        return ['status %d where there was no answer' % seen.status]
    found = []
    if (recorded.status, recorded.reason) != (seen.status, seen.reason):
        return ['status %d %s for %d %s: %r'
                % (seen.status, seen.reason, recorded.status, recorded.reason, seen.body[:200])]
    if recorded.names != seen.names:
        found.append('headers %s for %s' % (', '.join(seen.names), ', '.join(recorded.names)))
    for name in VALUES:
        values = [normal(reply.header(name) or '') for reply in (recorded, seen)]
        if values[0] != values[1]:
            found.append('%s: %s for %s' % (name, values[1], values[0]))
    return found + (bodies(recorded, seen) if has_body else [])


def bodies(recorded, seen):
    if recorded.header('Content-Type') == 'application/json':
        if seen.header('Content-Type') != 'application/json':
            return []                   # said already
        fields = [signature(json.loads(unpacked(reply).decode('utf-8'))) for reply in (recorded, seen)]
        return sets(*fields, what='field')
    if not (recorded.header('Content-Type') or '').startswith('text/plain'):
        return [] if bool(recorded.body) == bool(seen.body) else ['body %r for %r' % (seen.body, recorded.body)]
    texts = [normal(reply.body.decode('utf-8')) for reply in (recorded, seen)]
    return [] if texts[0] == texts[1] else ['text %r for %r' % (texts[1], texts[0])]


# ---------------------------------------------------------------- streams

#: Events whose number, and whether there are any, is a question of time; and a field of which that is true.
OF_TIME = ('HEARTBEAT', 'OFFERS', 'RESCIND')
FIELD_OF_TIME = 'executor_ids'


def streams(recorded, seen):
    """The differences of two streams of events: which there are, with which fields, and what was said of each task."""
    kinds = [set(event.get('type') for event in events) for events in (recorded, seen)]
    found = sets(*[each - set(OF_TIME) for each in kinds], what='event')
    for kind in sorted(kinds[0] & kinds[1]):
        fields = [set().union(*[signature(event) for event in events if event.get('type') == kind])
                  for events in (recorded, seen)]
        if kind in OF_TIME:
            fields = [set(field for field in each if FIELD_OF_TIME not in field) for each in fields]
        found += sets(*fields, what=kind + ' field')
    stories = [story(events) for events in (recorded, seen)]
    for key in sorted(set(stories[0]) | set(stories[1])):
        if stories[0].get(key) != stories[1].get(key):
            found.append('%s: %s for %s' % (key, stories[1].get(key), stories[0].get(key)))
    return found


def story(events):
    """{what it is about: what was said, in order}; repetitions are left out, for they are a question of time."""
    found = {}

    def tell(key, what):
        said = found.setdefault(key, [])
        if what not in said[-1:]:
            said.append(what)

    uuids = set()
    if events:
        found['beginning'] = events[0].get('type')
    for event in events:
        kind = event.get('type')
        payload = event.get((kind or '').lower(), {})
        if kind == 'UPDATE':
            status = payload['status']
            if status.get('uuid') not in uuids:
                tell('task ' + status['task_id']['value'], told(status))
            if status.get('uuid'):
                uuids.add(status['uuid'])
        elif kind == 'TASK_UPDATED':
            tell('task ' + payload['status']['task_id']['value'], told(payload['status']))
        elif kind in ('LAUNCH', 'TASK_ADDED'):
            tell(kind, payload['task']['task_id']['value'])
        elif kind == 'MESSAGE':
            tell('message %s' % payload.get('executor_id', {}).get('value', ''), payload['data'])
        elif kind == 'ERROR':
            tell('error', normal(payload['message']))
        elif kind == 'UPDATE_OPERATION_STATUS':
            status = payload['status']
            tell('operation ' + status['operation_id']['value'], (status['state'], normal(status.get('message', ''))))
        elif kind == 'FAILURE':
            tell('failures', (payload.get('executor_id', {}).get('value'), payload.get('status')))
        elif kind in ('FRAMEWORK_ADDED', 'FRAMEWORK_REMOVED'):
            info = payload.get('framework_info') or payload['framework']['framework_info']
            tell(kind, info['name'])
    return found


def told(status):
    return ' '.join([status['state'], status.get('source', '-'), status.get('reason', '-'),
                     normal(status.get('message', ''))])

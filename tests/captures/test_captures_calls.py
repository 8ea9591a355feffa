"""The requests that a real Mesos 1.11 accepted, built again by our builders."""
from __future__ import absolute_import, division, print_function

import io
import json
import os

import captured

from pymesos.wire import calls

#: The one body that a real Mesos refused without its being wrong on purpose.
REFUSED = 'reserve-02-ACKNOWLEDGE_OPERATION_STATUS.request'

#: Bodies that were wrong on purpose: our builders have to differ from them, or refuse.
FAULTY = ('bad-', 'crash-type-NOPE-call', 'crash-type-UNKNOWN-call', 'crash-type-lowercase-call',
          'crash-type-number-call', 'ex-t1-bad-')


def body_of(path):
    """The JSON body of a captured request."""
    with io.open(path, 'rb') as stream:
        return json.loads(stream.read().partition(b'\r\n\r\n')[2].decode('utf-8'))


def bodies(kind):
    """(name, body) of each captured request that Mesos was meant to accept."""
    folder = captured.folder(kind)
    for name in sorted(os.listdir(folder)):
        if name.endswith('.request') and not name.startswith(FAULTY) and name != REFUSED:
            yield name, body_of(os.path.join(folder, name))


def without_empty_lists(value):
    """A repeated field that is empty and one that is not there are the same to Mesos (PROTOCOL 1.4)."""
    if isinstance(value, dict):
        return dict((name, without_empty_lists(value[name])) for name in value if value[name] != [])
    return [without_empty_lists(item) for item in value] if isinstance(value, list) else value


def rebuilt_operation(operation):
    kind = operation['type'].lower()
    body = dict(operation[kind])
    if kind == 'launch_group':
        body['tasks'] = body.pop('task_group')['tasks']
    if 'id' in operation:
        body['operation_id'] = operation['id']
    return getattr(calls, kind)(**body)


def rebuilt(call):
    """The call of a scheduler, built again from what it says."""
    kind = call['type'].lower()
    body = dict(call.get(kind, {}))
    if kind in ('subscribe', 'update_framework'):
        return getattr(calls, kind)(**body)
    if kind == 'accept':
        body['operations'] = [rebuilt_operation(operation) for operation in body.get('operations', [])]
    if 'inverse_offer_ids' in body:
        body['offer_ids'] = body.pop('inverse_offer_ids')
    if kind == 'reconcile':
        body.setdefault('tasks', [])
    if kind in ('acknowledge', 'acknowledge_operation_status'):
        body = {'status': body}
    return getattr(calls, kind)(call['framework_id']['value'], **body)


def rebuilt_by_executor(call):
    envelope = call['framework_id'], call['executor_id']
    if call['type'] == 'SUBSCRIBE':
        body = call['subscribe']
        return calls.executor_subscribe(*envelope, tasks=body['unacknowledged_tasks'], statuses=[
            update['status'] for update in body['unacknowledged_updates']])
    if call['type'] == 'UPDATE':
        return calls.update(*envelope, status=call['update']['status'])
    return calls.executor_message(*envelope, data=call['message']['data'])


def test_every_captured_call_of_a_scheduler_is_built_the_same():
    seen = set()
    for name, body in bodies('scheduler'):
        assert without_empty_lists(rebuilt(body)) == without_empty_lists(body), name
        seen.add(body['type'])
    assert seen == calls.SCHEDULER_CALLS - set(['ACKNOWLEDGE_OPERATION_STATUS'])


def test_every_captured_call_of_an_executor_is_built_the_same():
    seen = set()
    for name, body in bodies('executor'):
        assert rebuilt_by_executor(body) == body, name
        seen.add(body['type'])
    assert seen == calls.EXECUTOR_CALLS - set(['HEARTBEAT'])


def test_the_acknowledgement_that_mesos_refused_is_built_right():
    body = body_of(os.path.join(captured.folder('scheduler'), REFUSED))
    refused = body['acknowledge_operation_status']
    built = calls.acknowledge_operation_status(body['framework_id']['value'], refused)
    assert built['acknowledge_operation_status'] == dict(refused, uuid=refused['uuid']['value'])

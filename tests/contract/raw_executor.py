"""An executor that uses neither the library nor anything but the standard library (and :mod:`raw` beside it).

A task's data says what becomes of it once its updates are acknowledged: ``finish``, ``crash`` (the executor exits with
7), ``selfkill`` (it kills itself), anything else runs until it is killed. A message that is JSON with a ``do`` is an
order:

``environment``     send a message with `environ`, `argv` and `cwd`
``update``          UPDATE with the fields of `status` beside what every status has
``exit``            exit with `status`
``ignore``          be deaf to KILL and SHUTDOWN from now on

Any other message is sent back. What it sends and gets is written to the folder $CAP_DIR, if that is set, under names
that begin with $CAP_NAME: NN-KIND.request, .response and .events.jsonl. With $CAP_MALFORMED it sends an UPDATE
before it subscribes.
"""
from __future__ import absolute_import, division, print_function

import json
import os
import signal
import sys
import time

import raw

RETRY_SECONDS = 0.1


class Recorder(object):
    """Writes down exchanges, under numbers in their order."""

    def __init__(self, folder, name):
        self.folder, self.name, self.number = folder, name, 0

    def path(self, kind, suffix):
        return self.folder and os.path.join(self.folder, '%s-%02d-%s.%s' % (self.name, self.number, kind, suffix))

    def write(self, kind, data, head, body=b''):
        if not self.folder:
            return
        lines = ['HTTP/1.1 %d %s' % (head.status, head.reason)] + ['%s: %s' % pair for pair in head.headers]
        response = '\r\n'.join(lines + ['', '']).encode('latin-1') + body
        for suffix, content in (('request', data), ('response', response)):
            with open(self.path(kind, suffix), 'wb') as stream:
                stream.write(content)
        self.number += 1

    def event(self, path, event):
        if self.folder:
            with open(path, 'a') as stream:
                stream.write(json.dumps({'event': event}) + '\n')


class Executor(object):

    def __init__(self, environ):
        self.environ = environ
        self.address = environ['MESOS_AGENT_ENDPOINT']
        self.path = '/%s%s' % (environ['MESOS_SLAVE_PID'].split('@')[0], raw.EXECUTOR)
        self.recorder = Recorder(environ.get('CAP_DIR'), environ.get('CAP_NAME', environ['MESOS_EXECUTOR_ID']))
        self.tasks = {}                 # task id -> TaskInfo, until its first update is acknowledged
        self.updates = []               # [TaskStatus], until they are acknowledged
        self.running = []
        self.orders = []                # [(task id, what becomes of it)], carried out when nothing is unacknowledged
        self.is_deaf = False

    # ------------------------------------------------------------ calls

    def envelope(self, kind, body):
        return {'type': kind, 'framework_id': {'value': self.environ['MESOS_FRAMEWORK_ID']},
                'executor_id': {'value': self.environ['MESOS_EXECUTOR_ID']}, kind.lower(): body}

    def headers(self):
        token = self.environ.get('MESOS_EXECUTOR_AUTHENTICATION_TOKEN')
        return {'Authorization': 'Bearer ' + token} if token else {}

    def call(self, kind, body, name=None):
        """Make a call; answers of an agent that is away or starting are not waited for."""
        data = raw.request(self.address, self.path, self.envelope(kind, body), self.headers())
        try:
            reply = raw.send(self.address, data)
        except (EnvironmentError, AssertionError) as error:
            print('%s: %s' % (kind, error))
            return
        self.recorder.write(name or kind, data, reply, reply.body)
        print('%s: %d %s' % (kind, reply.status, reply.body))
        sys.stdout.flush()

    def update(self, task_id, state, **fields):
        status = dict({'task_id': {'value': task_id}, 'state': state, 'source': 'SOURCE_EXECUTOR',
                       'executor_id': {'value': self.environ['MESOS_EXECUTOR_ID']}, 'uuid': raw.new_uuid(),
                       'timestamp': time.time()}, **fields)
        self.updates.append(status)
        self.call('UPDATE', {'status': status}, 'UPDATE-' + state)

    def message(self, text, name=None):
        self.call('MESSAGE', {'data': raw.encode(text)}, name)

    # ------------------------------------------------------------ events

    def on_subscribed(self, _payload):
        pass

    def on_launch(self, payload):
        task = payload['task']
        task_id = task['task_id']['value']
        self.tasks[task_id] = task
        self.running.append(task_id)
        self.update(task_id, 'TASK_STARTING')
        self.update(task_id, 'TASK_RUNNING', message='running', data=raw.encode('data'),
                    labels={'labels': [{'key': 'k', 'value': 'v'}]})
        self.message('from the executor')
        self.orders.append((task_id, raw.decode(task.get('data', ''))))

    def obey(self, task_id, order):
        if order == 'finish':
            self.end(task_id, 'TASK_FINISHED')
        elif order == 'crash':
            os._exit(7)
        elif order == 'selfkill':
            os.kill(os.getpid(), signal.SIGKILL)

    def on_launch_group(self, payload):
        for task in payload['task_group']['tasks']:
            self.on_launch({'task': task})

    def end(self, task_id, state, **fields):
        if task_id in self.running:
            self.running.remove(task_id)
            self.update(task_id, state, **fields)

    def on_kill(self, payload):
        if not self.is_deaf:
            self.end(payload['task_id']['value'], 'TASK_KILLED')

    def on_acknowledged(self, payload):
        self.updates = [status for status in self.updates if status['uuid'] != payload['uuid']]
        self.tasks.pop(payload['task_id']['value'], None)
        while self.orders and not self.updates:
            self.obey(*self.orders.pop(0))

    def on_message(self, payload):
        text = raw.decode(payload['data'])
        try:
            order = json.loads(text)
            what = order['do']
        except (ValueError, KeyError, TypeError):
            self.message(text, 'MESSAGE-echo')
            return
        if what == 'environment':
            self.message(json.dumps({'environ': dict(self.environ), 'argv': sys.argv, 'cwd': os.getcwd(),
                                     'pid': os.getpid()}))
        elif what == 'update':
            self.update(order['status'].pop('task'), order['status'].pop('state'), **order['status'])
        elif what == 'exit':
            os._exit(order['status'])
        elif what == 'ignore':
            self.is_deaf = True

    def on_shutdown(self, _payload):
        if not self.is_deaf:
            os._exit(0)

    # ------------------------------------------------------------ life

    def subscribe(self, name):
        """The stream of events, None if the agent is away or does not take the call now."""
        body = {'unacknowledged_tasks': [self.tasks[key] for key in sorted(self.tasks)],
                'unacknowledged_updates': [{'status': status} for status in self.updates]}
        data = raw.request(self.address, self.path, self.envelope('SUBSCRIBE', body), self.headers())
        try:
            stream = raw.Stream(self.address, data)
        except (EnvironmentError, AssertionError) as error:
            print('%s: %s' % (name, error))
            return None
        if stream.error is not None:
            print('%s: %d %s' % (name, stream.head.status, stream.error))
            return None
        self.events_path = self.recorder.path(name, 'events.jsonl')
        self.recorder.write(name, data, stream.head)
        return stream

    def serve(self, stream):
        """Handle events until the stream ends."""
        done = 0
        is_open = True
        while is_open:
            is_open = stream.read(time.time() + 86400)
            for event in stream.events[done:]:
                self.recorder.event(self.events_path, event)
                handler = getattr(self, 'on_' + event['type'].lower(), None)
                if handler is not None:
                    handler(event.get(event['type'].lower()))
            done = len(stream.events)

    def run(self):
        if self.environ.get('CAP_MALFORMED'):
            status = {'task_id': {'value': 'x'}, 'state': 'TASK_RUNNING', 'source': 'SOURCE_EXECUTOR',
                      'uuid': raw.new_uuid()}
            self.call('UPDATE', {'status': status}, 'UPDATE-before-subscribe')
        name = 'SUBSCRIBE'
        end = time.time() + raw.DEADLINE
        while time.time() < end:
            stream = self.subscribe(name)
            if stream is not None:
                self.serve(stream)
                if self.environ.get('MESOS_CHECKPOINT') != '1':
                    break
                name = 'RESUBSCRIBE'
                end = time.time() + raw.DEADLINE
            time.sleep(RETRY_SECONDS)


if __name__ == '__main__':
    print('hello from the executor %s' % os.environ['MESOS_EXECUTOR_ID'])
    sys.stdout.flush()
    sys.stderr.write('this is stderr\n')
    sys.stderr.flush()
    Executor(os.environ).run()

"""The executor API of an agent: calls in, events out (PROTOCOL 3.1, 3.2, 3.4)."""
from __future__ import absolute_import, division, print_function

import json

from .agent_state import REGISTERING, RUNNING, TERMINATED, TERMINATING
from .effects import Cancel, CloseStream, Reply, Send, Timer, refuse

__all__ = ['ExecutorApi']

ACCEPTED = Reply(202)


class ExecutorApi(object):
    """Streams of executors, and what they ask for; `agent` is the :class:`~.agent.AgentModel`."""

    def __init__(self, agent):
        self._agent = agent
        self._streams = {}                  # token -> Executor
        self._count = 0
        self._calls = {'SUBSCRIBE': self._subscribe, 'UPDATE': self._update, 'MESSAGE': self._message}

    def call(self, call, claims=None):
        """Answer an executor.Call that is valid; `claims` are those of its token, None if none is asked for."""
        kind = call['type']
        if kind == 'HEARTBEAT':
            return ACCEPTED
        if self._agent.is_recovering and kind != 'SUBSCRIBE':
            return refuse(503, 'Agent has not finished recovery')
        framework = self._agent.frameworks.get(call['framework_id']['value'])
        if framework is None:
            return refuse(400, 'Framework cannot be found')
        executor = framework.executors.get(call['executor_id']['value'])
        if executor is None or executor.driver is not None:
            # Nobody speaks for an executor that is part of the agent.
            return refuse(400, 'Executor cannot be found')
        wrong = claims is not None and _wrong_claims(claims, call, executor)
        if wrong:
            return refuse(403, wrong)
        if kind != 'SUBSCRIBE' and (executor.state == REGISTERING or executor.is_awaited):
            return refuse(403, 'Executor is not subscribed')
        if kind not in self._calls:
            return refuse(501, '501 Not Implemented.')
        return self._calls[kind](executor, call)

    def send(self, executor, event):
        """Send an event to an executor; it is lost if it is not connected."""
        if executor.stream is not None:
            self._agent.effects.append(Send(executor.stream, event))

    def acknowledge(self, executor, status):
        """Tell an executor that its update is safe."""
        if executor.stream is not None:
            self._agent.effects.append(Send(executor.stream, {
                'type': 'ACKNOWLEDGED',
                'acknowledged': {'task_id': status['task_id'], 'uuid': status['uuid']}}))

    def give(self, executor, tasks, is_group):
        """Send AgentTasks to an executor."""
        if is_group:
            self.send(executor, {'type': 'LAUNCH_GROUP', 'launch_group': {
                'task_group': {'tasks': [task.info for task in tasks]}}})
            return
        for task in tasks:
            self.send(executor, {'type': 'LAUNCH', 'launch': {'task': task.info}})

    def close(self, executor):
        """End an executor's stream, if it has one."""
        if executor.stream is not None:
            self._forget(executor)
            self._agent.effects.append(CloseStream(executor.stream))
            executor.stream = None

    def on_stream_closed(self, stream):
        """An executor is gone or has hung up, which says nothing of its tasks; False if it is no executor's stream."""
        executor = self._streams.get(stream)
        if executor is None:
            return False
        self._forget(executor)
        executor.stream = None
        return True

    def on_heartbeat(self, stream):
        """It is time for the next HEARTBEAT on a stream."""
        if stream in self._streams:
            self._agent.effects.append(Send(stream, {'type': 'HEARTBEAT'}))
            self._beat(stream)

    def _forget(self, executor):
        del self._streams[executor.stream]
        self._agent.effects.append(Cancel(('heartbeat', executor.stream)))

    def _beat(self, stream):
        self._agent.effects.append(Timer(('heartbeat', stream), self._agent.options.executor_heartbeat_interval))

    def _open(self, executor):
        self._count += 1
        return 'executor/%s/%d' % (executor.container.token, self._count)

    def _subscribe(self, executor, call):
        agent, stream = self._agent, self._open(executor)
        if (agent.is_terminating or executor.framework.is_terminating or executor.state in (TERMINATING, TERMINATED)):
            agent.effects += [Send(stream, {'type': 'SHUTDOWN'}), CloseStream(stream)]
            return Reply(200, stream=stream)
        self.close(executor)
        executor.stream = stream
        executor.state = RUNNING
        executor.is_awaited = False
        self._streams[stream] = executor
        agent.effects.append(Cancel(('registration', executor.container.token)))
        self._beat(stream)
        subscribe = call['subscribe']
        # First, as in Mesos: a task that is in an update, but not among the tasks, is lost.
        self._drop_unknown(executor, subscribe.get('unacknowledged_tasks', ()))
        if not executor.has_had_task and not executor.queued:
            # All that it was started for was killed meanwhile, or never reached it.
            agent.executors.shutdown(executor)
            return Reply(200, stream=stream)
        self.send(executor, {'type': 'SUBSCRIBED', 'subscribed': {
            'executor_info': executor.info, 'framework_info': executor.framework.info, 'agent_info': agent.info,
            'container_id': executor.container.id}})
        for update in subscribe.get('unacknowledged_updates', ()):
            agent.executors.receive(executor, update['status'])
        agent.executors.give_queued(executor)
        return Reply(200, stream=stream)

    def _drop_unknown(self, executor, tasks):
        """Tasks that were sent, but never reached the executor."""
        known = set(task['task_id']['value'] for task in tasks)
        for task in list(executor.launched.values()):
            if task.state == 'TASK_STAGING' and task.id not in known:
                self._agent.executors.report(
                    executor.framework, executor.id, task.id, executor.framework.lost('TASK_DROPPED'),
                    'REASON_AGENT_RESTARTED', 'Task launched during agent restart')

    def _update(self, executor, call):
        self._agent.executors.receive(executor, call['update']['status'])
        return ACCEPTED

    def _message(self, executor, call):
        agent = self._agent
        if agent.is_registered and not executor.framework.is_terminating:
            agent.counts['valid_framework_messages'] += 1
            agent.tell('EXECUTOR_MESSAGE', framework_id=executor.framework.id, executor_id=executor.id,
                       data=call['message']['data'])
        return ACCEPTED


def _wrong_claims(claims, call, executor):
    """What is wrong with the claims of a token (PROTOCOL 7), as Mesos says it; None if nothing is."""
    principal = json.dumps({'claims': claims}, sort_keys=True, separators=(',', ':'))
    for name, wanted, meaning in (
            ('fid', call['framework_id']['value'], "an 'fid' claim with the framework ID %s, which is set in the call"),
            ('eid', call['executor_id']['value'], "an 'eid' claim with the executor ID %s, which is set in the call"),
            ('cid', executor.container.token, "a 'cid' claim with the correct active ContainerID")):
        if claims.get(name) != wanted:
            return "Authenticated principal '%s' does not contain %s" % (
                principal, meaning % wanted if '%s' in meaning else meaning)
    return None

"""Operations at the agent: its resources change, and the master is told until it acknowledges (PROTOCOL 2.6)."""
from __future__ import absolute_import, division, print_function

from collections import OrderedDict

from .status_updates import Resender, Stream

__all__ = ['AgentOperations']


class AgentOperations(Resender):
    """The operations that `agent` (:class:`~.agent.AgentModel`) was given and whose end is not acknowledged."""

    def __init__(self, agent):
        super(AgentOperations, self).__init__(agent, 'operations')
        #: operation uuid -> Operation as GET_OPERATIONS shows it.
        self.shown = OrderedDict()

    def apply(self, message):
        """APPLY has come: all that it asks for is done at once."""
        agent, operation, uuid = self._agent, message['operation'], message['uuid']
        agent.total = list(message['total'])
        if uuid in self.shown:
            return
        agent.volumes.apply(operation)
        status = {'state': 'OPERATION_FINISHED'}
        if 'id' in operation:
            status = {'operation_id': operation['id'], 'state': 'OPERATION_FINISHED',
                      'uuid': {'value': agent.world.uuid_base64()}}
        status['agent_id'] = agent.id_message
        shown = {'agent_id': agent.id_message, 'info': operation, 'latest_status': status, 'statuses': [status],
                 'uuid': {'value': uuid}}
        if message.get('framework_id'):
            shown['framework_id'] = {'value': message['framework_id']}
        if 'id' not in operation:
            # Nobody wants to hear of it but the master, which knows what it has asked for.
            self._tell(shown)
            return
        self.shown[uuid] = shown
        stream = self._streams[uuid] = Stream(uuid, message.get('framework_id'), True)
        stream.pending.append(status)
        self._begin(stream)

    def acknowledge(self, uuid):
        """ACK_OPERATION has come."""
        stream = self._streams.pop(uuid, None)
        if stream is not None:
            stream.pending.clear()
            del self.shown[uuid]

    def snapshot(self):
        """What a disk would hold."""
        return list(self.shown.values())

    def recover(self, items):
        """Take up what :meth:`snapshot` gave."""
        for shown in items:
            uuid = shown['uuid']['value']
            self.shown[uuid] = shown
            stream = self._streams[uuid] = Stream(uuid, shown.get('framework_id', {}).get('value'), True)
            stream.pending.append(shown['latest_status'])

    def _send(self, stream, _is_retry):
        self._tell(self.shown[stream.key])

    def _tell(self, shown):
        status = shown['latest_status']
        self._agent.tell('OPERATION_STATUS', framework_id=shown.get('framework_id', {}).get('value'),
                         operation_uuid=shown['uuid']['value'], status=status, latest=status)

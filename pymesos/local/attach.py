"""A request whose body is a stream of records: ATTACH_CONTAINER_INPUT of an agent (PROTOCOL 4.4)."""
from __future__ import absolute_import, division, print_function

from ..errors import RecordError
from ..wire.recordio import Decoder
from . import convert
from .access import may_call
from .model import validation
from .model.container_tree import container_token
from .model.effects import Reply, refuse
from .negotiation import check_streaming

__all__ = ['AttachInput']


class AttachInput(object):
    """Reads the records of one request and gives them to the model; for the loop's thread.

    `model` is the :class:`~.model.agent.AgentModel`, `accepted` the type of its answer,
    `claims` what the client's token says, if it has one. :meth:`feed` gives a Reply once
    there is one; what comes after it is thrown away.
    """

    def __init__(self, model, accepted, max_record, claims=None):
        self._model = model
        self._accepted = accepted
        self._claims = claims
        self._decoder = Decoder(max_record)
        self._key = None                # what the model knows the attachment by
        self._is_over = False

    def feed(self, data):
        """Take bytes of the body, None at its end; a Reply, or None if there is none yet."""
        if self._is_over:
            return None
        reply = self._finish() if data is None else self._read(data)
        if reply is not None:
            self._is_over = True
            self._let_go()
        return reply

    def close(self):
        """The client is gone."""
        self._is_over = True
        self._let_go()

    def _let_go(self):
        key, self._key = self._key, None
        if key is not None:
            self._model.attach_end(key)

    def _finish(self):
        if self._key is None:
            return refuse(400, 'Received EOF while reading request body')
        key, self._key = self._key, None
        return self._model.attach_end(key) or Reply(200)

    def _read(self, data):
        try:
            records = self._decoder.feed(data)
        except RecordError as error:
            return _broken(error)
        for record in records:
            reply = self._take(record)
            if reply is not None:
                return reply
        if self._decoder.error is not None:
            return _broken(self._decoder.error)
        return None

    def _take(self, record):
        try:
            call = convert.parse('agent.Call', record)
        except convert.ConvertError as error:
            return refuse(400, str(error))
        wrong = validation.agent_call(call)
        if wrong is not None:
            return refuse(400, 'Failed to validate agent::Call: ' + wrong)
        refusal = check_streaming(call['type'], True, self._accepted)
        if refusal is not None:
            return refusal
        attached = call['attach_container_input']
        if self._key is None:
            return self._begin(call, attached)
        if attached.get('type') != 'PROCESS_IO':
            return refuse(400, "Expecting 'attach_container_input.type' to be 'PROCESS_IO' instead of: '%s'"
                          % attached['type'])
        return self._model.attach_data(self._key, attached['process_io'])

    def _begin(self, call, attached):
        if attached.get('type') != 'CONTAINER_ID':
            return refuse(400, "Expecting 'attach_container_input.type' to be CONTAINER_ID")
        if self._claims is not None and not may_call(self._claims, call):
            return refuse(403, '403 Forbidden.')
        refusal = self._model.attach_begin(call)
        if refusal is None:
            self._key = container_token(attached['container_id'])
        return refusal


def _broken(error):
    return refuse(500, 'Decoder failure: %s' % error)

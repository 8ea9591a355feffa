"""Tables of the events of the v1 APIs: type -> where its data stands and which callback it is for.

Sources: PROTOCOL 2.2 (scheduler), 3.2 (executor), 4.2 (operator).
"""
from __future__ import absolute_import, division, print_function

from collections import namedtuple

import six

from ..errors import MessageError, excerpt


class Event(namedtuple('Event', ['field', 'callback', 'alternative'])):
    """One row.

    `field` names the object that holds the event's data, None if it has none; `callback` the method of the user's
    object, None if there is none; `alternative` the method called instead: for every SUBSCRIBED but the first, and for
    a FAILURE that names an executor.
    """

    __slots__ = ()

    def __new__(cls, field, callback, alternative=None):
        return super(Event, cls).__new__(cls, field, callback, alternative)


#: The states that are the last of a task (PROTOCOL 2.5).
ENDED = frozenset(['TASK_FINISHED', 'TASK_FAILED', 'TASK_KILLED', 'TASK_ERROR', 'TASK_LOST', 'TASK_DROPPED',
                   'TASK_GONE', 'TASK_GONE_BY_OPERATOR'])

#: Events of the scheduler API; callbacks of :class:`pymesos.Scheduler`.
SCHEDULER = {
    'SUBSCRIBED': Event('subscribed', 'registered', 'reregistered'),
    'OFFERS': Event('offers', 'resourceOffers'),
    'INVERSE_OFFERS': Event('inverse_offers', 'inverseOffers'),
    'RESCIND': Event('rescind', 'offerRescinded'),
    'RESCIND_INVERSE_OFFER': Event('rescind_inverse_offer', 'inverseOfferRescinded'),
    'UPDATE': Event('update', 'statusUpdate'),
    'UPDATE_OPERATION_STATUS': Event('update_operation_status', 'operationStatusUpdate'),
    'MESSAGE': Event('message', 'frameworkMessage'),
    'FAILURE': Event('failure', 'slaveLost', 'executorLost'),
    'ERROR': Event('error', 'error'),
    'HEARTBEAT': Event(None, 'processHeartBeat'),
}

#: Events of the executor API; callbacks of :class:`pymesos.Executor`.
EXECUTOR = {
    'SUBSCRIBED': Event('subscribed', 'registered', 'reregistered'),
    'LAUNCH': Event('launch', 'launchTask'),
    'LAUNCH_GROUP': Event('launch_group', 'launchTaskGroup'),
    'KILL': Event('kill', 'killTask'),
    'ACKNOWLEDGED': Event('acknowledged', None),
    'MESSAGE': Event('message', 'frameworkMessage'),
    'SHUTDOWN': Event(None, 'shutdown'),
    'ERROR': Event('error', 'error'),
    'HEARTBEAT': Event(None, None),
}

#: Events of a master's operator API; callbacks of :class:`pymesos.OperatorMaster`.
OPERATOR = {
    'SUBSCRIBED': Event('subscribed', None),
    'TASK_ADDED': Event('task_added', 'taskAdded'),
    'TASK_UPDATED': Event('task_updated', 'taskUpdated'),
    'AGENT_ADDED': Event('agent_added', 'agentAdded'),
    'AGENT_REMOVED': Event('agent_removed', 'agentRemoved'),
    'FRAMEWORK_ADDED': Event('framework_added', 'frameworkAdded'),
    'FRAMEWORK_UPDATED': Event('framework_updated', 'frameworkUpdated'),
    'FRAMEWORK_REMOVED': Event('framework_removed', 'frameworkRemoved'),
    'HEARTBEAT': Event(None, None),
}


def read(event, table=None):
    """(type, data) of `event`, a decoded record.

    The type is None if the event has none, and may be one that no table has: a client ignores both (PROTOCOL 1.4). The
    data is the object of the same name in lower case, or None. With a `table`, a type that it has must bring the
    object that it promises; a :class:`~pymesos.errors.MessageError` is raised if it does not, and for data that is not
    an object.
    """
    kind = event.get('type')
    if not isinstance(kind, six.string_types) or not kind:
        return None, None
    data = event.get(kind.lower())
    if data is not None and not isinstance(data, dict):
        raise MessageError('event of type %s: its data is a %s, expected an object'
                           % (excerpt(kind), type(data).__name__))
    known = table.get(kind) if table is not None else None
    if data is None and known is not None and known.field is not None:
        raise MessageError('event %s has no field %s' % (kind, known.field))
    return kind, data

"""The rows of the protocol's tables (../shared/PROTOCOL.md) that the contract must cover, and where they stand.

A test names the rows that it is for: ``@pytest.mark.row('2.1 KILL')``. The name is section and first cell; for the
lists of 8.2 to 8.4 it is section and a word of ours, with the beginning of the item beside it.
"""
from __future__ import absolute_import, division, print_function

#: Sections whose rows are those of a table: the first cell of each.
TABLES = {
    '1.5': ['200', '202', '307', '308', '400', '401', '403', '404', '405', '406 / 415', '409', '500', '501', '503'],
    '2.1': ['SUBSCRIBE', 'TEARDOWN', 'ACCEPT', 'DECLINE', 'ACCEPT_INVERSE_OFFERS', 'DECLINE_INVERSE_OFFERS', 'REVIVE',
            'SUPPRESS', 'KILL', 'SHUTDOWN', 'ACKNOWLEDGE', 'ACKNOWLEDGE_OPERATION_STATUS', 'RECONCILE',
            'RECONCILE_OPERATIONS', 'MESSAGE', 'REQUEST', 'UPDATE_FRAMEWORK', 'UNKNOWN'],
    '2.2': ['SUBSCRIBED', 'OFFERS', 'INVERSE_OFFERS', 'RESCIND', 'RESCIND_INVERSE_OFFER', 'UPDATE',
            'UPDATE_OPERATION_STATUS', 'MESSAGE', 'FAILURE', 'ERROR', 'HEARTBEAT'],
    '3.1': ['SUBSCRIBE', 'UPDATE', 'MESSAGE', 'HEARTBEAT'],
    '3.2': ['SUBSCRIBED', 'LAUNCH', 'LAUNCH_GROUP', 'KILL', 'ACKNOWLEDGED', 'MESSAGE', 'SHUTDOWN', 'ERROR',
            'HEARTBEAT'],
    '8.1': ['master id', 'framework', 'agent', 'offer & inverse offer', 'container (top level)', 'stream id',
            'status uuid', 'sandbox'],
}

#: Sections whose rows are the items of a list: our word for each and how it begins, in the order of the list.
LISTS = {
    '8.2': [('batch allocation', 'Batch allocation every'), ('coarse-grained', 'Coarse-grained:'),
            ('minimum', 'Minimum:'), ('no limit', 'No limit on outstanding offers'), ('reserved', 'Reserved resources'),
            ('filters', 'DECLINE/ACCEPT remainder'), ('accept consumes', 'ACCEPT consumes'), ('rescind', 'RESCIND:'),
            ('suppressed', 'Suppressed roles'), ('inverse offers', 'Inverse offers only')],
    '8.3': [('launch', 'On LAUNCH'), ('executor start', 'Executor start'), ('command task', 'Command task'),
            ('default executor', 'Default executor'), ('kill grace', 'Kill grace'), ('executor exit', 'Executor exit'),
            ('update', 'Agent processing of an executor UPDATE'), ('acknowledged', 'ACKNOWLEDGED is sent'),
            ('kill', 'KILL:'), ('messages', 'Executor MESSAGE'), ('framework removal', 'Framework removal'),
            ('agent unreachable', 'Agent unreachable'), ('update order', 'Updates with state transitions')],
    '8.4': [('ids', 'Ids ('), ('roles', 'Roles:')],
}

#: Rows of the tables that are two of ours.
SPLIT = {'1.5 406 / 415': ['1.5 406', '1.5 415'], '8.2 suppressed': ['8.2 suppressed', '8.2 filters end']}


def names():
    """The names of all rows."""
    found = ['%s %s' % (section, row) for section in sorted(TABLES) for row in TABLES[section]]
    found += ['%s %s' % (section, row) for section in sorted(LISTS) for row, _beginning in LISTS[section]]
    return [name for row in found for name in SPLIT.get(row, [row])]

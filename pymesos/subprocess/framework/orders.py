"""What the pool wants done: to the master, to connections of commands, and to those who wait for them. Pure data."""
from __future__ import absolute_import, division, print_function

from collections import namedtuple

__all__ = ['Accept', 'AskAgents', 'Decline', 'Drop', 'End', 'Kill', 'Launch', 'Reconcile', 'Revive', 'SetRoles',
           'Shutdown', 'Signal', 'Start', 'Suppress', 'Update']

# ---- calls

#: Launch tasks on offers of one agent; the pool is told by ``accepted(serial, error)`` what the master answered.
Accept = namedtuple('Accept', 'serial agent_id offer_ids launches')

#: One task of an Accept: `resources` (Resources) are its own, `executor` (agents.Executor) runs it.
Launch = namedtuple('Launch', 'task_id number resources executor')

#: Give offers back, not to see what they hold for so many seconds.
Decline = namedtuple('Decline', 'offer_ids seconds')

#: Ask for offers for a role, and ask for no more.
Revive = namedtuple('Revive', 'role')
Suppress = namedtuple('Suppress', 'role')

#: Kill a task.
Kill = namedtuple('Kill', 'task_id agent_id')

#: Ask for the states of tasks: pairs of task id and agent id.
Reconcile = namedtuple('Reconcile', 'tasks')

#: Shut an executor down.
Shutdown = namedtuple('Shutdown', 'executor_id agent_id')

#: Change the framework's roles, of which some are suppressed; the pool is told by ``roles_set(roles, error)``.
SetRoles = namedtuple('SetRoles', 'roles suppressed')

#: Find out what the master's agents have; the pool is told by ``told_of_agents(capacities)``.
AskAgents = namedtuple('AskAgents', '')

# ---- connections

#: Begin the command: the attempt's executor is connected. Once for each command at most.
Start = namedtuple('Start', 'task_id number')

#: Send a signal to the running command of an attempt.
Signal = namedtuple('Signal', 'task_id signal')

#: End the connection of an attempt: nothing that it says matters any more.
Drop = namedtuple('Drop', 'task_id')

# ---- those who wait

#: The command has ended: with a return code, or with an exception that says why it is not known.
End = namedtuple('End', 'number returncode error')


class Update(namedtuple('Update', 'task_id state agent_id source reason message returncode')):
    """A status update: texts or None, and the return code if its data has one."""

    __slots__ = ()

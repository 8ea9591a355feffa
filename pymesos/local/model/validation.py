"""Whether Mesos would take a call, a framework, a task, an operation: pure functions, its order of checks, its texts.

Each function returns None if all is well, else the text of the error. Messages are those that
:func:`pymesos.local.convert.read` gives. PROTOCOL 1.5, 2.1, 2.3, 5.4, 8.4.
"""
from __future__ import absolute_import, division, print_function

__all__ = ['agent_call', 'executor_call', 'framework', 'framework_change', 'group', 'id_', 'master_call', 'offers',
           'operation', 'operation_resources', 'role', 'scheduler_call', 'task']


def scheduler_call(call, principal=None):
    """A scheduler's call; `principal` is that of the authenticated connection, None if there is none.

    The text follows 'Failed to validate scheduler::Call: ' in the answer.
    """


def executor_call(call):
    """An executor's call; the text follows 'Failed to validate executor::Call: '."""


def master_call(call, principal=None):
    """An operator's call to a master; the text follows 'Failed to validate master::Call: '."""


def agent_call(call):
    """An operator's call to an agent; the text follows 'Failed to validate agent::Call: '."""


def framework(info, suppressed=(), constraints=None, allowed_roles=None, root_submissions=True):
    """A FrameworkInfo that wants to subscribe, with its suppressed roles and OfferConstraints (PROTOCOL 2.3).

    `allowed_roles` is the master's whitelist (None: any role), `root_submissions` whether user root may. The text is
    that of the ERROR event, or of the 400 to UPDATE_FRAMEWORK.
    """


def framework_change(old, new, is_update=False):
    """The change of a framework's FrameworkInfo by a SUBSCRIBE, or, if `is_update`, by an UPDATE_FRAMEWORK."""


def role(name):
    """The name of a role (PROTOCOL 8.4)."""


def id_(text):
    """The text of an id (PROTOCOL 8.4)."""


def offers(offer_ids, framework, offers):
    """The offers that an ACCEPT names: `offer_ids` is [{'value': id}], `offers` {id: state.Offer} of all that are out.

    The text goes into the updates with REASON_INVALID_OFFERS.
    """


def operation_resources(operation):
    """The form of all resources in an Offer.Operation; for launches too. To be asked before anything else of it.

    If it is not None: TASK_ERROR for every task of a launch, else the operation is dropped.
    """


def operation(operation, framework, agent, offered):
    """An Offer.Operation other than a launch.

    `offered` are the Resources that are left of the offers (allocated). `framework` is None for an operator's.
    The operation's resources are allocated (:func:`pymesos.local.model.amounts.adopted`).
    """


def task(task, framework, agent, offered):
    """A TaskInfo of a LAUNCH: `framework` and `agent` of :mod:`.state`, `offered` the Resources that are left.

    The text goes into TASK_ERROR with REASON_TASK_INVALID.
    """


def group(launch_group, framework, agent, offered):
    """A LaunchGroup ({'executor': ..., 'task_group': {'tasks': [...]}}); for REASON_TASK_GROUP_INVALID."""

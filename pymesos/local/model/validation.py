"""Whether Mesos would take a call, a framework, a task, an operation: pure functions, its order of checks, its texts.

Each function returns None if all is well, else the text of the error. Messages are those that
:func:`pymesos.local.convert.read` gives. PROTOCOL 1.5, 2.1, 2.3, 5.4, 8.4. This module only gathers the names; what the
rules are is in the modules that it imports.
"""
from __future__ import absolute_import, division, print_function

from .validation_calls import agent_call, container_id, executor_call, master_call, scheduler_call
from .validation_common import id_, resource_form, resource_forms, role
from .validation_framework import framework, framework_change
from .validation_launch import group, is_same_executor, task
from .validation_offers import inverse_offers, offers
from .validation_operations import operation, operation_resources, operator_operation

__all__ = ['agent_call', 'container_id', 'executor_call', 'framework', 'framework_change', 'group', 'id_',
           'inverse_offers', 'is_same_executor', 'master_call', 'offers', 'operation', 'operation_resources',
           'operator_operation', 'resource_form', 'resource_forms', 'role', 'scheduler_call', 'task']

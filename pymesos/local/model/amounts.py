"""What operations do to resources, and the two formats that resources are shown in. Pure; Resources in and out."""
from __future__ import absolute_import, division, print_function

from ...resources import Resources

__all__ = ['adopted', 'allocate', 'converted', 'to_offer_format', 'unallocate']


def allocate(resources, role):
    """The Resources, allocated to `role`."""
    return Resources([dict(item, allocation_info={'role': role}) for item in resources.to_list()])


def unallocate(resources):
    """The Resources, allocated to nobody."""
    return Resources([dict((key, item[key]) for key in item if key != 'allocation_info')
                      for item in resources.to_list()])


def adopted(operation, role, framework_id):
    """A copy of an Offer.Operation as Mesos keeps it: its resources in the refined format and allocated to `role`.

    Where a resource has an allocation it is left alone. For LAUNCH, `executor.framework_id` is filled in. To be called
    after :func:`~pymesos.local.model.validation.operation_resources` has found nothing.
    """
    return operation


def converted(offered, operation):
    """What of the Resources `offered` becomes by RESERVE, UNRESERVE, CREATE, DESTROY and the like; all of it."""
    return offered


def to_offer_format(resources, framework):
    """The list of Resource dicts that `framework` (:class:`~.state.Framework`) is shown.

    Without RESERVATION_REFINEMENT in the older format, without MULTI_ROLE with no allocation.
    """
    return resources.to_list(refined=framework.has('RESERVATION_REFINEMENT'))

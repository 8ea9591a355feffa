"""Whether a framework may subscribe or change as it wants (PROTOCOL 2.3, 2.4)."""
from __future__ import absolute_import, division, print_function

from . import texts
from .regexes import complaint
from .validation_common import first, id_, role

__all__ = ['framework', 'framework_change']

REMOVED = 'Framework has been removed'

#: The longest Duration in seconds: 2 ** 63 nanoseconds, as far as a double can tell.
MAX_SECONDS = 9223372036.854775

#: What a double that is not zero must reach to be normal.
_NORMAL = 2.2250738585072014e-308


def framework(info, suppressed=(), constraints=None, allowed_roles=None, root_submissions=True, is_removed=False):
    """A FrameworkInfo that wants to subscribe, with its suppressed roles and OfferConstraints.

    `allowed_roles` is the master's whitelist (None: any role), `root_submissions` whether user root may, `is_removed`
    whether its id is that of a completed framework. The text is that of the ERROR event.
    """
    return first(lambda: _supplied(info, suppressed, allowed_roles, root_submissions),
                 lambda: REMOVED if is_removed else None,
                 lambda: _failover_timeout(info),
                 lambda: _constraints(constraints))


def framework_change(old, new, is_update=False):
    """A SUBSCRIBE with the id of a framework that is known by the FrameworkInfo `old`; the text of the ERROR event.

    With `is_update` for an UPDATE_FRAMEWORK, in which more may not change.
    """
    if old.get('principal') != new.get('principal'):
        return "Changing framework's principal is not allowed."
    return _fixed(old, new) if is_update else None


def _fixed(old, new):
    for name in ('user', 'checkpoint'):
        before, after = (('true' if value is True else 'false' if value is False else value)
                         for value in (old[name], new[name]))
        if before != after:
            return ("Updating 'FrameworkInfo.%s' is unsupported; attempted to update from '%s' to '%s'"
                    % (name, before, after))
    return None


def _supplied(info, suppressed, allowed_roles, root_submissions):
    return first(lambda: _roles(info),
                 lambda: id_(info['id']['value']) if info.get('id', {}).get('value') else None,
                 lambda: _offer_filters(info),
                 lambda: _allowed(info, allowed_roles),
                 lambda: _suppressed(info, suppressed),
                 lambda: _user(info, root_submissions))


def _is_multi_role(info):
    return any(item.get('type') == 'MULTI_ROLE' for item in info.get('capabilities', ()))


def _roles_of(info):
    return info.get('roles', ()) if _is_multi_role(info) else (info.get('role', '*'),)


def _roles(info):
    if not _is_multi_role(info):
        if info.get('roles'):
            return "'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable"
        error = role(info.get('role', '*'))
        return None if error is None else "'FrameworkInfo.role' is not a valid role: " + error
    if 'role' in info:
        return "'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable"
    seen, repeated = set(), []
    for name in info.get('roles', ()):
        if name in seen and name not in repeated:
            repeated.append(name)
        seen.add(name)
    if repeated:
        return "'FrameworkInfo.roles' contains duplicate items: " + texts.names(repeated)
    for name in info.get('roles', ()):
        error = role(name)
        if error is not None:
            return "'FrameworkInfo.roles' contains invalid role: " + error
    return None


def _allowed(info, allowed_roles):
    if allowed_roles is None:
        return None
    strangers = [name for name in _roles_of(info) if name != '*' and name not in allowed_roles]
    return "Roles %s are not present in the master's --roles" % texts.names(strangers) if strangers else None


def _suppressed(info, suppressed):
    for name in suppressed:
        if name not in _roles_of(info):
            return "Suppressed role '%s' is not contained in the list of roles" % name
    return None


def _user(info, root_submissions):
    if info['user'] == 'root' and not root_submissions:
        return "User 'root' is not allowed to run frameworks without --root_submissions set"
    return None


def _failover_timeout(info):
    seconds = float(info['failover_timeout'])
    if abs(seconds) < MAX_SECONDS:
        return None
    return 'The framework failover_timeout (%g) is invalid' % seconds


def _offer_filters(info):
    for name in sorted(info.get('offer_filters', ())):
        for group in info['offer_filters'][name].get('min_allocatable_resources', {}).get('quantities', ()):
            quantities = group.get('quantities', {})
            if not quantities:
                return 'Resource quantities must contain at least one quantity'
            for resource in sorted(quantities):
                error = _quantity(float(quantities[resource]['value']))
                if error is not None:
                    return "Invalid resource quantity for '%s': %s" % (resource, error)
    return None


def _quantity(value):
    if abs(value) == float('inf'):
        return 'Infinite values not supported'
    if 0 < abs(value) < _NORMAL:
        return 'Subnormal values not supported'
    return 'Negative values not supported' if value < 0 else None


# Offer constraints (PROTOCOL 2.1).

def _constraints(constraints):
    by_role = (constraints or {}).get('role_constraints', {})
    for name in sorted(by_role):
        groups = by_role[name].get('groups', ())
        if not groups:
            return ("'OfferConstraints::role_constraints' has an empty 'RoleConstraints::groups' for role %s" % name)
        for group in groups:
            if not group.get('attribute_constraints'):
                # Mesos lacks the blank.
                return ("'OfferConstraints::RoleConstraints::groups' for role %scontains an empty "
                        "RoleConstraints::Group" % name)
            for constraint in group['attribute_constraints']:
                error = _constraint(constraint)
                if error is not None:
                    return "A role %s has an invalid 'AttributeConstraint': %s" % (name, error)
    return None


def _constraint(constraint):
    selector, predicate = constraint['selector'], constraint['predicate']
    if not selector:
        return ("Exactly one of 'AttributeConstraint::Selector::name' or "
                "'AttributeConstraint::Selector::pseudoattribute_type' must be set")
    if selector.get('pseudoattribute_type') == 'UNKNOWN':
        return 'Unknown pseudoattribute type'
    if not predicate:
        return 'Unknown predicate type'
    for value in predicate.values():
        if 'regex' in value:
            return complaint(value['regex'])
    return None

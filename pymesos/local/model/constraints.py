"""Offer constraints (PROTOCOL 2.1): which agents a framework wants to be offered at all."""
from __future__ import absolute_import, division, print_function

import re

__all__ = ['Constraints', 'regex_error']

#: What RE2 has not: look-around, back-references, conditions, comments, possessive and atomic groups.
_NOT_RE2 = re.compile(r'\\[1-9]|\(\?[=!<#(>&PR]|\(\?P[=>]|[*+?}]\+|\\[gkGZ]')
_NAMED = re.compile(r'\(\?P<[A-Za-z0-9_]+>')
#: A part that is repeated without end and itself has such a repetition: what makes `re` take for ever, RE2 never.
_NESTED = re.compile(r'\([^()]*([*+]|\{\d*,\})[^()]*\)([*+]|\{\d*,\})')
#: Longest expression and longest text that are tried; Mesos limits the size of RE2's program instead.
MAX_REGEX = 256
MAX_TEXT = 4096

_PSEUDO = ('HOSTNAME', 'REGION', 'ZONE')


def regex_error(regex):
    """Why a regular expression cannot be used (text), or None."""
    if len(regex) > MAX_REGEX:
        return 'pattern too large - compile failed'
    plain = _NAMED.sub('(?:', regex)
    if _NOT_RE2.search(plain):
        return 'invalid perl operator: %s' % _NOT_RE2.search(plain).group()
    if _NESTED.search(plain):
        return 'nested repetition operators are not supported here'
    try:
        re.compile(regex)
    except (re.error, OverflowError, RuntimeError, MemoryError) as error:
        return str(error)
    return None


class Constraints(object):
    """OfferConstraints, ready to be asked. They must be valid: see :func:`regex_error` for their expressions."""

    def __init__(self, message):
        self._roles = {}
        for role, constraints in (message.get('role_constraints') or {}).items():
            self._roles[role] = [[_compiled(constraint) for constraint in group.get('attribute_constraints', ())]
                                 for group in constraints.get('groups', ())]

    def admits(self, role, info):
        """Whether the agent with AgentInfo `info` may be offered for `role`."""
        groups = self._roles.get(role)
        if groups is None:
            return True
        return any(all(is_met(_selected(selector, info)) for selector, is_met in group) for group in groups)


def _compiled(constraint):
    """(selector, function of what it selects)."""
    selector = constraint.get('selector', {})
    for name, predicate in constraint.get('predicate', {}).items():
        if name in _PREDICATES:
            return selector, _PREDICATES[name](predicate or {})
    return selector, _unmet


def _unmet(_selected):
    return False


def _selected(selector, info):
    """The text that a selector finds, False for an attribute that is not a text, None for nothing."""
    pseudo = selector.get('pseudoattribute_type')
    if pseudo == 'HOSTNAME':
        return info.get('hostname')
    if pseudo in _PSEUDO:
        fault_domain = (info.get('domain') or {}).get('fault_domain') or {}
        return (fault_domain.get(pseudo.lower()) or {}).get('name')
    for attribute in info.get('attributes', ()):
        if attribute.get('name') == selector.get('attribute_name'):
            return (attribute.get('text') or {}).get('value', '') if attribute.get('type') == 'TEXT' else False
    return None


def _equals(predicate):
    value = predicate.get('value')
    return lambda selected: selected is not None and selected in (False, value)


def _differs(predicate):
    value = predicate.get('value')
    return lambda selected: selected is None or selected is False or selected != value


def _matching(predicate):
    compiled = re.compile(r'(?:%s)\Z' % predicate.get('regex', ''))
    return lambda text: len(text) <= MAX_TEXT and compiled.match(text) is not None


def _matches(predicate):
    is_match = _matching(predicate)
    return lambda selected: selected is not None and (selected is False or is_match(selected))


def _matches_not(predicate):
    is_match = _matching(predicate)
    return lambda selected: selected is None or selected is False or not is_match(selected)


_PREDICATES = {
    'exists': lambda predicate: lambda selected: selected is not None,
    'not_exists': lambda predicate: lambda selected: selected is None,
    'text_equals': _equals,
    'text_not_equals': _differs,
    'text_matches': _matches,
    'text_not_matches': _matches_not,
}

"""Offer constraints (PROTOCOL 2.1): which agents a framework wants to be offered at all."""
from __future__ import absolute_import, division, print_function

import re

__all__ = ['Constraints', 'regex_error']

#: A part that is repeated without end and itself has such a repetition: what makes `re` take for ever, RE2 never.
_NESTED = re.compile(r'\([^()]*([*+]|\{\d*,\})[^()]*\)([*+]|\{\d*,\})')
#: Flags for the whole expression, and flags for what follows within it, which `re` has not.
_FLAGS = re.compile(r'\(\?([imsU]+)\)')
_LATER_FLAGS = re.compile(r'\(\?[imsU-]+\)')
#: Escapes that only RE2 knows.
_FOREIGN = re.compile(r'\\[pPQEC]')

#: The longest text that is matched; RE2's time is linear, that of `re` need not be.
MAX_TEXT = 1024

#: Classes that RE2 knows by name within brackets.
_CLASSES = (('alnum', 'A-Za-z0-9'), ('alpha', 'A-Za-z'), ('digit', '0-9'), ('lower', 'a-z'), ('upper', 'A-Z'),
            ('word', 'A-Za-z0-9_'), ('xdigit', '0-9A-Fa-f'), ('space', r'\t\n\v\f\r '), ('blank', r'\t '))

_PSEUDO = ('HOSTNAME', 'REGION', 'ZONE')


def regex_error(regex):
    """Why an expression that RE2 takes cannot be used here (text), or None."""
    if _NESTED.search(regex):
        return "invalid nested repetition operator: %s" % _NESTED.search(regex).group()
    start = _FLAGS.match(regex)
    if _LATER_FLAGS.search(regex, 0 if start is None else start.end()):
        return 'flags not at the start of the expression'
    foreign = _FOREIGN.search(regex.replace('\\\\', ''))
    if foreign is not None:
        return 'invalid escape sequence: %s' % foreign.group()
    try:
        re.compile(_translated(regex))
    except (re.error, OverflowError, RuntimeError) as error:
        return str(error)
    return None


def _translated(regex):
    """An expression of RE2 for whole texts, as `re` has it, where there is a difference that can be bridged."""
    for name, members in _CLASSES:
        regex = regex.replace('[:%s:]' % name, members)
    flags, start = '', _FLAGS.match(regex)
    if start is not None:
        # Newer Pythons want them first; what is greedy makes no difference to a whole text.
        letters = ''.join(sorted(set(start.group(1)) - set('U')))
        flags, regex = '(?%s)' % letters if letters else '', regex[start.end():]
    return r'%s(?:%s)\Z' % (flags, regex.replace('\\z', '\\Z'))


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
    compiled = re.compile(_translated(predicate.get('regex', '')))
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

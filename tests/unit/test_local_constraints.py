"""Offer constraints at the embedded master (PROTOCOL 2.1)."""
from __future__ import absolute_import, division, print_function

import pytest
from local_master import framework_info, resources
from local_operator import Desk

from pymesos.local.model.constraints import Constraints, regex_error

INFO = {'hostname': 'h1.example.com', 'domain': {'fault_domain': {'region': {'name': 'r'}, 'zone': {'name': 'z'}}},
        'attributes': [{'name': 'rack', 'type': 'TEXT', 'text': {'value': 'a1'}},
                       {'name': 'rack', 'type': 'TEXT', 'text': {'value': 'second'}},
                       {'name': 'slots', 'type': 'SCALAR', 'scalar': {'value': 4.0}}]}


def constraint(predicate, value=None, name='rack', **selector):
    key = 'regex' if 'matches' in predicate else 'value'
    return {'selector': selector or {'attribute_name': name},
            'predicate': {predicate: {} if value is None else {key: value}}}


def admits(*groups, **fields):
    """Whether an agent is let through by groups (lists) of constraints."""
    message = {'role_constraints': {'eng': {'groups': [{'attribute_constraints': list(group)} for group in groups]}}}
    return Constraints(message).admits(fields.get('role', 'eng'), fields.get('info', INFO))


@pytest.mark.parametrize('one, is_met', [
    (constraint('exists'), True), (constraint('exists', name='gone'), False),
    (constraint('not_exists'), False), (constraint('not_exists', name='gone'), True),
    (constraint('text_equals', 'a1'), True), (constraint('text_equals', 'a'), False),
    (constraint('text_equals', 'a1', name='gone'), False),
    (constraint('text_not_equals', 'a1'), False), (constraint('text_not_equals', 'b'), True),
    (constraint('text_not_equals', 'a1', name='gone'), True),
    (constraint('text_matches', 'a[0-9]'), True), (constraint('text_matches', 'a'), False),
    (constraint('text_matches', '1'), False), (constraint('text_matches', 'b|a1'), True),
    (constraint('text_matches', '.*', name='gone'), False),
    (constraint('text_not_matches', 'a[0-9]'), False), (constraint('text_not_matches', 'a'), True),
    (constraint('text_not_matches', '.*', name='gone'), True)])
def test_predicates_look_at_the_first_attribute_of_a_name_and_match_the_whole_text(one, is_met):
    assert admits([one]) == is_met


@pytest.mark.parametrize('predicate', ['exists', 'text_equals', 'text_not_equals', 'text_matches', 'text_not_matches'])
def test_attribute_that_is_not_a_text_meets_all_that_asks_for_texts(predicate):
    assert admits([constraint(predicate, None if predicate == 'exists' else 'x', name='slots')])


@pytest.mark.parametrize('pseudo, text', [('HOSTNAME', 'h1.example.com'), ('REGION', 'r'), ('ZONE', 'z')])
def test_host_region_and_zone_can_be_asked_for(pseudo, text):
    assert admits([constraint('text_equals', text, pseudoattribute_type=pseudo)])
    assert not admits([constraint('text_not_equals', text, pseudoattribute_type=pseudo)])


@pytest.mark.parametrize('pseudo', ['REGION', 'ZONE'])
def test_agent_without_a_domain_has_no_region(pseudo):
    assert admits([constraint('not_exists', pseudoattribute_type=pseudo)], info={'hostname': 'h'})


def test_one_group_must_be_met_and_of_that_all():
    yes, no = constraint('exists'), constraint('not_exists')
    assert admits([yes, yes]) and not admits([yes, no])
    assert admits([yes, no], [yes]) and not admits([no], [yes, no])


def test_other_roles_are_not_constrained():
    assert admits([constraint('not_exists')], role='ops')


def test_unknown_predicate_is_not_met():
    assert not admits([constraint('text_resembles', 'a1')])


@pytest.mark.parametrize('regex, text, is_match', [
    (r'[[:alpha:]][[:digit:]]', 'a1', True), (r'[[:upper:]]1', 'a1', False), (r'a1\z', 'a1', True),
    (r'(?i)A1', 'a1', True), (r'(?iU)A+1', 'aa1', True), (r'(?i)b|A1', 'a1', True), (r'(?P<letter>a)1', 'a1', True),
    (r'a\\p', 'a\\p', True)])
def test_expressions_of_re2_are_understood(regex, text, is_match):
    info = {'hostname': 'h', 'attributes': [{'name': 'rack', 'type': 'TEXT', 'text': {'value': text}}]}
    assert regex_error(regex) is None
    assert admits([constraint('text_matches', regex)], info=info) == is_match


@pytest.mark.parametrize('regex', ['(a+)+b', '(a*)*', '(x{2,})+', '(', r'\pL', r'\Qa\E', 'a(?i)b'])
def test_expressions_that_would_take_for_ever_or_are_unknown_here_are_refused(regex):
    assert regex_error(regex)


def test_framework_is_offered_only_what_its_constraints_let_through():
    desk = Desk()
    for port, rack in ((5051, 'a'), (5052, 'b')):
        desk.agent(port, resources(1, 64), attributes=[{'name': 'rack', 'type': 'TEXT', 'text': {'value': rack}}])
    wanted = {'role_constraints': {'*': {'groups': [{'attribute_constraints': [constraint('text_equals', 'b')]}]}}}
    framework = desk.framework(framework_info(), offer_constraints=wanted)
    desk.wait(1)
    assert [offer['attributes'][0]['text']['value'] for offer in framework.offers()] == ['b']
    framework.call('UPDATE_FRAMEWORK', {'framework_info': framework.info})
    desk.wait(1)
    assert [offer['attributes'][0]['text']['value'] for offer in framework.offers()] == ['b', 'a']
    assert framework.rescinded() == []


def test_agent_with_new_attributes_is_looked_at_again():
    desk = Desk()
    agent = desk.agent()
    wanted = {'role_constraints': {'*': {'groups': [{'attribute_constraints': [constraint('exists')]}]}}}
    framework = desk.framework(framework_info(), offer_constraints=wanted)
    desk.wait(1)
    assert framework.offers() == []
    agent.state.info['attributes'] = INFO['attributes']
    desk.model.allocator.update_agent(agent.state)
    desk.wait(1)
    assert len(framework.offers()) == 1

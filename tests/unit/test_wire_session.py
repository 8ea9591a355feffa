"""The transition table: every way through a subscription's life, with no socket and no clock."""
from __future__ import absolute_import, division, print_function

import itertools

import pytest

from pymesos.errors import CallRejected, ConnectionLost, SubscriptionEnded, TimedOut
from pymesos.wire import session as module
from pymesos.wire.backoff import Backoff
from pymesos.wire.session import STATES, TRANSITIONS, Session, Terms, classify_status

STIMULI = sorted(set(stimulus for _state, stimulus in TRANSITIONS))


class Delays(object):
    """A back-off whose delays are the attempts' numbers."""

    def delay(self, attempt):
        return attempt * 10.0


def new(**terms):
    values = dict(answer=75.0, first_patience=86400.0, patience=900.0, settled=15.0, returns=True)
    values.update(terms)
    return Session(Delays(), Terms(**values))


def names(orders):
    return [order.name for order in orders]


def walk(session, *steps):
    """Take in several stimuli, text or (text, fact); the orders of the last one."""
    orders = []
    for step in steps:
        stimulus, fact = step if isinstance(step, tuple) else (step, None)
        orders = session.handle(stimulus, fact)
    return orders


def subscribed(**terms):
    session = new(**terms)
    walk(session, 'started', ('led', ('a', 'b')), 'dialled', 'accepted', 'subscribed')
    assert session.state == 'SUBSCRIBED'
    return session


def test_from_start_to_subscribed():
    session = new()
    assert session.handle('started') == [('arm', ('impatient', 86400.0))]
    assert session.handle('led', ('a',))[-1] == ('dial', ('a',))
    assert session.handle('dialled') == [('arm', ('answer_due', 75.0)), ('subscribe', ())]
    assert session.handle('accepted') == []
    assert session.handle('subscribed') == [('disarm', ('answer_due',)), ('disarm', ('impatient',)),
                                            ('arm', ('settled', 15.0))]
    assert session.state == 'SUBSCRIBED' and session.address == 'a'


def test_first_try_after_a_loss_is_at_once_and_the_same_peer_is_tried_first():
    session = subscribed()
    orders = session.handle('lost', ConnectionLost('gone'))
    assert ('arm', ('retry_due', 0.0)) in orders and 'tell_loss' in names(orders)
    assert ('arm', ('impatient', 900.0)) in orders
    assert session.handle('retry_due') == [('dial', ('a',))]


def test_failing_tries_wait_longer_and_go_round_the_candidates():
    session = subscribed()
    walk(session, ('lost', ConnectionLost('gone')))
    tried = []
    for _ in range(4):
        tried.append(session.handle('retry_due')[0].args[0])
        session.handle('dial_failed')
        tried.append(session.delay)
    assert tried == ['a', 10.0, 'b', 20.0, 'a', 30.0, 'b', 40.0]


def test_loss_before_the_subscription_settled_does_not_begin_anew():
    session = subscribed()
    walk(session, ('lost', ConnectionLost('gone')), 'retry_due', 'dialled', 'subscribed', ('lost', ConnectionLost('x')))
    assert session.delay == 10.0


def test_settled_subscription_forgets_the_tries():
    session = subscribed()
    walk(session, ('lost', ConnectionLost('gone')), 'retry_due', 'dialled', 'subscribed', 'settled',
         ('lost', ConnectionLost('x')))
    assert session.delay == 0.0


def test_redirect_is_followed_and_forgotten_if_nobody_is_there():
    session = new()
    walk(session, 'started', ('led', ('a',)), 'dialled', ('redirected', 'c'))
    assert session.handle('retry_due') == [('dial', ('c',))]
    session.handle('dial_failed')
    assert session.handle('retry_due') == [('dial', ('a',))]


def test_redirect_after_failed_tries_is_followed_at_once():
    session = new()
    walk(session, 'started', ('led', ('a',)))
    for _ in range(5):
        walk(session, 'dial_failed', 'retry_due')
    walk(session, 'dialled', ('redirected', 'c'))
    assert session.delay == 0.0


def test_redirects_in_a_circle_back_off():
    session = new()
    walk(session, 'started', ('led', ('a',)), 'dialled')
    delays = []
    for _ in range(4):
        walk(session, ('redirected', 'a'))
        delays.append(session.delay)
        walk(session, 'retry_due', 'dialled')
    assert delays == [0.0, 10.0, 20.0, 30.0]


@pytest.mark.parametrize('stimulus', ['refused', 'errored'])
def test_no_from_mesos_is_the_end(stimulus):
    session = new()
    error = SubscriptionEnded('removed', 'removed')
    orders = walk(session, 'started', ('led', ('a',)), 'dialled', (stimulus, error))
    assert orders[-1] == ('fail', (error,)) and 'hang_up' in names(orders)
    assert session.state == 'ENDED'


def test_error_event_of_a_subscription_tells_the_loss_first():
    session = subscribed()
    assert names(session.handle('errored', SubscriptionEnded('x')))[-2:] == ['tell_loss', 'fail']


def test_impatience_names_how_long_it_took_and_who_was_tried():
    session = subscribed()
    orders = walk(session, ('lost', ConnectionLost('gone')), 'impatient')
    (error,) = orders[-1].args
    assert isinstance(error, TimedOut)
    assert str(error) == 'gave up: not subscribed for 900 seconds, last tried a: gone'


def test_without_return_a_loss_is_the_end():
    session = subscribed(returns=False)
    error = ConnectionLost('gone')
    assert session.handle('lost', error)[-1] == ('fail', (error,))
    assert session.state == 'ENDED'


def test_news_that_the_leader_in_use_still_leads_is_no_news():
    session = subscribed()
    assert session.handle('led', ('b', 'a')) == []
    assert session.state == 'SUBSCRIBED'


def test_new_leader_is_subscribed_at_once():
    session = subscribed()
    orders = session.handle('led', ('c',))
    assert names(orders)[-1] == 'dial' and 'tell_loss' in names(orders)
    assert session.address == 'c'


def test_no_leader_hangs_up_and_waits_for_news():
    session = subscribed()
    assert 'tell_loss' in names(session.handle('unled'))
    assert session.state == 'DETECTING'
    assert session.handle('retry_due') == []
    assert session.handle('led', ('c',))[-1] == ('dial', ('c',))


def test_leaving_waits_for_the_farewell():
    session = subscribed()
    assert names(session.handle('left')) == ['leave']
    assert session.state == 'LEAVING'
    assert names(session.handle('leave_done'))[-2:] == ['tell_loss', 'quit']


def test_leaving_without_a_subscription_just_ends():
    for steps in ([], ['started'], ['started', ('led', ('a',))], ['started', ('led', ('a',)), 'dialled']):
        session = new()
        walk(session, *steps)
        assert names(session.handle('left'))[-1] == 'quit'


def test_every_state_but_the_last_can_be_stopped():
    for state in STATES:
        expected = state not in ('LEAVING', 'ENDED')       # LEAVING ends by itself, soon
        assert ((state, 'stopped') in TRANSITIONS) is expected, state


def test_nothing_happens_after_the_end():
    assert not [state for state, _stimulus in TRANSITIONS if state == 'ENDED']


def test_table_names_only_states_and_steps_that_exist():
    session = new()
    orders = ('hang_up', 'tell_loss', 'leave', 'quit')
    for (state, _stimulus), (following, steps) in TRANSITIONS.items():
        assert state in STATES and following in STATES
        assert all(step in session._steps or step in orders for step in steps)


def test_every_state_is_reached_and_can_end():
    reached = {following for following, _steps in TRANSITIONS.values()} | {'IDLE'}
    assert reached == set(STATES)


def test_any_sequence_of_stimuli_keeps_the_rules():
    """All sequences of three stimuli after a start: one subscription at a time, and a loss is told exactly once."""
    facts = {'led': ('a',), 'redirected': 'c'}
    for sequence in itertools.product(STIMULI, repeat=3):
        session = new()
        is_told = True
        for stimulus in ('started', ('led'), 'dialled') + sequence:
            before = session.state
            orders = names(session.handle(stimulus, facts.get(stimulus, ConnectionLost('x'))))
            if session.state == 'SUBSCRIBED' and before != 'SUBSCRIBED':
                assert is_told
                is_told = False
            if 'tell_loss' in orders:
                assert not is_told and 'hang_up' in orders
                is_told = True
            assert ('dial' in orders) == (session.state == 'DIALLING' and bool(orders))
            if session.state == 'ENDED':
                assert is_told


@pytest.mark.parametrize('status, expected', [
    (200, 'accepted'), (307, 'redirected'), (308, 'redirected'), (503, 'unavailable'), (404, 'unavailable'),
    (500, 'unavailable'), (429, 'unavailable'), (400, 'refused'), (401, 'refused'), (403, 'refused'), (405, 'refused'),
    (406, 'refused'), (415, 'refused'), (501, 'refused'), (202, 'refused'), (301, 'refused')])
def test_statuses(status, expected):
    assert classify_status(status) == expected


def test_refusal_is_passed_on_as_it_is():
    error = CallRejected('no', 401, 'no', 'SUBSCRIBE')
    assert walk(new(), 'started', ('led', ('a',)), 'dialled', ('refused', error))[-1].args == (error,)


def test_works_with_the_real_back_off():
    session = Session(Backoff(random=lambda: 0.5), Terms(75.0, 1.0, 1.0, 15.0, True))
    walk(session, 'started', ('led', ('a',)))
    delays = []
    for _ in range(12):
        session.handle('dial_failed')
        delays.append(session.delay)
        session.handle('retry_due')
    assert delays[0] == 0.0 and delays[1] > 0 and max(delays) <= 15.0


def test_every_public_name_exists():
    assert all(hasattr(module, name) for name in module.__all__)

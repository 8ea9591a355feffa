"""Delays."""
from __future__ import absolute_import, division, print_function

import random

import pytest

from pymesos.wire.backoff import Backoff, Spread


def _never():
    return 0.0


def _nearly_always():
    return 1.0 - 2.0 ** -53


def test_the_first_attempt_is_at_once():
    assert Backoff(random=random.random).delay(0) == 0.0
    assert Backoff(first=3.0, random=random.random).delay(0) == 3.0
    assert Spread(15.0, random.random).delay(0) == 0.0


def test_delays_double_up_to_the_cap():
    backoff = Backoff(random=_never)
    assert [backoff.delay(attempt) for attempt in range(9)] == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0]


def test_without_a_random_source_there_is_no_jitter():
    backoff = Backoff(base=1.0, factor=3.0, cap=10.0)
    assert [backoff.delay(attempt) for attempt in range(5)] == [0.0, 1.0, 3.0, 9.0, 10.0]


def test_jitter_takes_away_at_most_its_share():
    backoff = Backoff(jitter=0.5, random=_nearly_always)
    assert backoff.delay(1) == pytest.approx(0.25)
    assert backoff.delay(100) == pytest.approx(7.5)


def test_a_delay_is_never_above_the_cap_nor_below_nothing():
    seed = random.randrange(2 ** 32)
    print('seed', seed)
    source = random.Random(seed)
    for _ in range(1000):
        cap = source.uniform(0.0, 20.0)
        backoff = Backoff(first=source.uniform(0.0, 30.0), base=source.uniform(0.0, 30.0),
                          factor=source.uniform(1.0, 10.0), cap=cap, jitter=source.random(), random=source.random)
        spread = Spread(cap, source.random)
        attempt = source.choice([0, 1, 2, 3, 10, 1000])
        assert 0.0 <= backoff.delay(attempt) <= cap
        assert 0.0 <= spread.delay(attempt) <= cap


def test_attempts_without_end_overflow_nothing():
    assert Backoff().delay(10 ** 9) == 15.0
    assert Backoff(factor=1e300, base=1e300).delay(3) == 15.0


def test_a_spread_is_even_from_nothing_to_its_maximum():
    assert Spread(2.0, _never).delay(1) == 0.0
    assert Spread(2.0, _nearly_always).delay(7) == pytest.approx(2.0)
    assert Spread(2.0, lambda: 0.25).delay(3) == 0.5

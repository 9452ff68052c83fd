"""Guessing gets slower and slower; nobody is locked out by what a stranger does."""

from __future__ import annotations

import pytest

from ringfence.decide.guessing import (
    FORGET_SECONDS,
    LONGEST_HOLD_SECONDS,
    LONGEST_WAIT_SECONDS,
    Failures,
    Heard,
    NotYet,
    Tally,
    judge_attempt,
    tallies_of,
)

pytestmark = pytest.mark.unit


def after(count: int, tally: Tally = Tally.PAIR, age_seconds: float = 0.0) -> Heard | NotYet:
    return judge_attempt({tally: Failures(count=count, age_seconds=age_seconds)})


def test_a_few_mistakes_cost_nothing() -> None:
    assert after(0) == after(4) == Heard(hold_seconds=0.0)


def test_each_further_failure_doubles_the_wait_up_to_its_bound() -> None:
    waits = [after(count).retry_after_seconds for count in range(5, 20)]
    assert waits[:4] == [1, 2, 4, 8]
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_WAIT_SECONDS
    assert after(10**9).retry_after_seconds == LONGEST_WAIT_SECONDS


def test_who_waited_long_enough_is_heard() -> None:
    assert not after(8, age_seconds=7.5)
    assert after(8, age_seconds=8.0)


def test_a_tally_is_forgotten() -> None:
    assert not after(10**6, age_seconds=LONGEST_WAIT_SECONDS - 1)
    assert after(10**6, age_seconds=FORGET_SECONDS) == Heard(hold_seconds=0.0)


def test_one_source_that_tries_account_after_account_has_to_wait() -> None:
    assert after(29, Tally.SOURCE)
    assert not after(31, Tally.SOURCE)


@pytest.mark.parametrize("count", [0, 50, 51, 60, 10**9])
def test_whatever_strangers_do_to_an_account_its_owner_is_heard_within_seconds(count: int) -> None:
    verdict = after(count, Tally.ACCOUNT)
    assert isinstance(verdict, Heard)
    assert verdict.hold_seconds <= LONGEST_HOLD_SECONDS


def test_an_account_that_is_guessed_at_from_everywhere_is_slow_for_strangers() -> None:
    assert after(10**9, Tally.ACCOUNT) == Heard(hold_seconds=LONGEST_HOLD_SECONDS)


def test_a_known_device_shares_no_tally_with_strangers() -> None:
    strangers = set(tallies_of("ada", "192.0.2.1", None).values())
    known = set(tallies_of("ada", "192.0.2.1", "d1").values())
    assert not strangers & known
    assert known != set(tallies_of("ada", "192.0.2.1", "d2").values())


def test_addresses_of_one_ipv6_network_are_one_source() -> None:
    assert tallies_of("a", "2001:db8::1", None) == tallies_of("a", "2001:db8::ffff:2", None)
    assert tallies_of("a", "2001:db8::1", None) != tallies_of("a", "2001:db8:0:1::1", None)
    assert tallies_of("a", "192.0.2.1", None) != tallies_of("a", "192.0.2.2", None)

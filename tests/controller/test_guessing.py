"""Guessing over HTTP: it gets slow, and its victim is not locked out."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import delete, insert, select
from tests.controller.test_signing_in import ADA, PASSWORD, WRONG, ada, code_of, person, store_of

from ringfence.decide.guessing import FORGET_SECONDS
from ringfence.store import sign_ins, tables
from ringfence.store.ids import at

__all__ = ["ada", "person"]

pytestmark = pytest.mark.store

FREE = 5


def failures_of(cloud, tally: str, failed: int, seconds_ago: float = 0.0) -> None:
    with store_of(cloud).transaction() as session:
        moment = at(seconds_from_now=-seconds_ago)
        session.execute(delete(tables.sign_in_failures).where(tables.sign_in_failures.c.tally == tally))
        session.execute(insert(tables.sign_in_failures).values(tally=tally, failed=failed, last_at=moment))


def test_after_a_few_wrong_passwords_even_the_right_one_has_to_wait(ada, person) -> None:  # noqa: ARG001
    guesser = person()
    for _ in range(FREE):
        assert code_of(guesser.sign_in(ADA, WRONG)) == "401 sign-in-denied"
    failed = [guesser.sign_in(ADA, PASSWORD) for _ in range(2)]
    assert "429 too-many-attempts" in [code_of(each) for each in failed if each.status_code != 201]
    refused = next(each for each in failed if each.status_code == 429)
    assert 1 <= int(refused.headers["retry-after"]) <= 2


def test_who_waited_is_heard_and_forgiven(cloud, ada, person) -> None:  # noqa: ARG001
    failures_of(cloud, f"{ADA} from 127.0.0.1", 10, seconds_ago=60)
    assert person().sign_in(ADA, PASSWORD).status_code == 201
    with store_of(cloud).reading() as session:
        tallies = session.execute(select(tables.sign_in_failures.c.tally)).scalars().all()
    assert f"{ADA} from 127.0.0.1" not in tallies


def test_a_known_device_is_heard_though_a_stranger_guesses_from_the_same_address(cloud, ada, person) -> None:
    for tally in (f"{ADA} from 127.0.0.1", "from 127.0.0.1", f"{ADA} from anywhere"):
        failures_of(cloud, tally, 10_000)
    assert code_of(person().sign_in(ADA, PASSWORD)) == "429 too-many-attempts"
    assert ada.sign_in(ADA, PASSWORD).status_code == 201


def test_a_device_known_to_one_account_is_a_stranger_to_another(cloud, ada) -> None:
    failures_of(cloud, "from 127.0.0.1", 10_000)
    assert code_of(ada.sign_in("somebody", WRONG)) == "429 too-many-attempts"


def test_guessing_with_a_known_device_has_to_wait_too(ada) -> None:
    answers = [code_of(ada.sign_in(ADA, WRONG)) for _ in range(FREE + 3)]
    assert answers[:FREE] == ["401 sign-in-denied"] * FREE
    assert "429 too-many-attempts" in answers[FREE:]


def test_many_guesses_at_once_are_counted_each(cloud, ada, person) -> None:  # noqa: ARG001
    answers: list[int] = []

    def guess() -> None:
        answers.append(person().sign_in(ADA, WRONG).status_code)

    threads = [threading.Thread(target=guess) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(answers) == 20
    assert set(answers) == {401, 429}
    assert answers.count(401) <= FREE + 2, "what waits a second may be over before the last of them comes"


def test_the_same_account_is_slow_but_open_to_others_while_it_is_guessed_at(cloud, ada, person) -> None:  # noqa: ARG001
    failures_of(cloud, f"{ADA} from anywhere", 10_000)
    assert person().sign_in(ADA, PASSWORD).status_code == 201


def test_an_own_account_does_not_wash_a_source_clean(cloud, ada, person) -> None:  # noqa: ARG001
    failures_of(cloud, "from 127.0.0.1", 20)
    for _ in range(3):
        assert person().sign_in(ADA, PASSWORD).status_code == 201
    with store_of(cloud).reading() as session:
        query = select(tables.sign_in_failures.c.failed).where(tables.sign_in_failures.c.tally == "from 127.0.0.1")
        assert session.execute(query).scalar_one() == 20


def test_tallies_are_forgotten_and_pruned(cloud, ada, person) -> None:  # noqa: ARG001
    failures_of(cloud, f"{ADA} from 127.0.0.1", 10_000, seconds_ago=FORGET_SECONDS)
    failures_of(cloud, "other from 192.0.2.1", 10_000, seconds_ago=FORGET_SECONDS)
    assert code_of(person().sign_in(ADA, WRONG)) == "401 sign-in-denied"
    with store_of(cloud).transaction() as session:
        sign_ins.prune_failures(session)
        left = session.execute(select(tables.sign_in_failures.c.tally, tables.sign_in_failures.c.failed)).all()
    assert (f"{ADA} from 127.0.0.1", 1) in [tuple(row) for row in left]
    assert "other from 192.0.2.1" not in [row.tally for row in left]


def test_denied_sign_ins_are_in_the_ledger_under_the_account(cloud, ada, person) -> None:
    person().sign_in(ADA, WRONG)
    failures_of(cloud, f"{ADA} from 127.0.0.1", 10_000)
    person().sign_in(ADA, PASSWORD)
    found = ada.ask("GET", "/v1/ledger/entries?subject=ada&kind=account").json()["items"]
    denied = [entry for entry in found if entry["outcome"] == "denied"]
    assert [entry["action"] for entry in denied] == ["POST /v1/session", "sign-in: too many attempts"]
    assert {entry["actor"]["source"] for entry in denied} == {"127.0.0.1"}
    assert {entry["actor"]["kind"] for entry in denied} == {"stranger"}

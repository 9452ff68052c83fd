"""What signing in keeps, on both databases."""

from __future__ import annotations

import threading

import pytest

from ringfence.decide.guessing import Heard, NotYet, Tally, tallies_of
from ringfence.model.accounts import AccountKind
from ringfence.model.sessions import Means
from ringfence.model.signins import SetUpRefused
from ringfence.store import accounts, challenges, passkeys, passwords, sessions, setup_links, sign_ins
from ringfence.store.challenges import Purpose

pytestmark = pytest.mark.store

TALLIES = tallies_of("ada", "192.0.2.1", None)


@pytest.fixture
def ada(store) -> str:
    with store.transaction() as session:
        return accounts.add_account(session, name="ada", kind=AccountKind.PERSON).id


def test_a_password_is_stored_replaced_and_refreshed_only_if_it_is_still_the_same(store, ada):
    with store.transaction() as session:
        assert passwords.stored_password(session, "ada") == ("", "")
        passwords.put_password(session, ada, "first")
        passwords.put_password(session, ada, "second")
        passwords.refresh_password(session, ada, old="first", fresh="too late")
        assert passwords.stored_password(session, "ada") == (ada, "second")
        passwords.refresh_password(session, ada, old="second", fresh="at a new cost")
        assert passwords.stored_password(session, "ada") == (ada, "at a new cost")
        accounts.change_account(session, ada, disabled=True)
        assert passwords.stored_password(session, "ada") == ("", "")


def test_a_session_is_found_by_its_secret_until_it_is_removed(store, ada):
    with store.transaction() as session:
        begun, secret = sessions.add_session(session, ada, Means.PASSWORD, source="192.0.2.1", client="x\x00y" * 200)
        assert sessions.session_of(session, secret) == begun
        assert sessions.session_of(session, secret + "x") is None
        assert begun.client == ("xy" * 200)[:200]
        sessions.add_session(session, ada, Means.PASSKEY, source="", client="")
        sessions.remove_sessions(session, ada, but=begun.id)
        assert sessions.sessions(session, ada).items == (begun,)
        sessions.remove_session_of(session, secret)
        assert sessions.session_of(session, secret) is None


def test_a_known_device_is_known_to_its_account_only_and_until_the_password_changes(store, ada):
    with store.transaction() as session:
        accounts.add_account(session, name="grace", kind=AccountKind.PERSON)
        secret = sessions.add_known_device(session, ada)
        assert sessions.known_device(session, "ada", secret) is not None
        assert sessions.known_device(session, "grace", secret) is None
        sessions.remove_sessions(session, ada)
        assert sessions.known_device(session, "ada", secret) is None


def test_a_link_replaces_those_before_it_for_the_same_account_alone(store, ada):
    with store.transaction() as session:
        setup_links.add_setup_link(session, "a", account_id=None)
        setup_links.add_setup_link(session, "b", account_id=ada)
        setup_links.add_setup_link(session, "c", account_id=None)
        assert setup_links.check_setup_link(session, "b") == ada
        assert setup_links.check_setup_link(session, "c") is None
        with pytest.raises(SetUpRefused, match="replaced"):
            setup_links.check_setup_link(session, "a")


def test_of_many_who_come_with_one_link_one_gets_in(store, ada):
    with store.transaction() as session:
        setup_links.add_setup_link(session, "a", account_id=ada)
    outcomes: list[str] = []

    def use() -> None:
        try:
            with store.transaction() as session:
                outcomes.append(str(setup_links.use_setup_link(session, "a")))
        except SetUpRefused as refused:
            outcomes.append(refused.why)

    threads = [threading.Thread(target=use) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(outcomes) == sorted([ada, *["used already"] * 5])


def test_attempts_at_once_are_counted_each_and_forgiven_by_one_that_succeeds(store):
    verdicts: list[Heard | NotYet] = []

    def attempt() -> None:
        with store.losable() as session:
            verdicts.append(sign_ins.begin_attempt(session, TALLIES))

    threads = [threading.Thread(target=attempt) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    heard = [verdict for verdict in verdicts if verdict]
    with store.transaction() as session:
        counted = sign_ins.failures(session, TALLIES)
        assert {counted[tally].count for tally in Tally} == {len(heard)}
        sign_ins.end_attempt(session, TALLIES)
        after = sign_ins.failures(session, TALLIES)
    assert Tally.PAIR not in after
    assert after[Tally.SOURCE].count == after[Tally.ACCOUNT].count == len(heard) - 1


def test_a_challenge_is_taken_once_and_for_its_own_purpose(store, ada):
    with store.losable() as session:
        taken = challenges.add_challenge(session, Purpose.SIGN_IN, {"challenge": "x"}, account_id=ada)
    with store.transaction() as session:
        assert challenges.take_challenge(session, Purpose.REGISTER, taken) is None
        found = challenges.take_challenge(session, Purpose.SIGN_IN, taken)
        assert found is not None
        assert (found.account_id, dict(found.facts)) == (ada, {"challenge": "x"})
        assert challenges.take_challenge(session, Purpose.SIGN_IN, taken) is None


def test_a_passkey_that_was_used_meanwhile_is_not_noted_again(store, ada):
    with store.transaction() as session:
        added = passkeys.add_passkey(session, ada, name="k", credential_id="c", public_key=b"\x00\xff", uses=1)
        assert passkeys.passkey_of(session, "c") == added
        assert passkeys.note_use(session, added, uses=2)
        assert not passkeys.note_use(session, added, uses=3)
        accounts.change_account(session, ada, disabled=True)
        assert passkeys.passkey_of(session, "c") is None

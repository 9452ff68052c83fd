"""Passkeys over HTTP, with an authenticator in software."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import update
from tests.controller.authenticator import Authenticator
from tests.controller.conftest import Cloud, Loop, settings_for, start_cloud
from tests.controller.test_guessing import failures_of
from tests.controller.test_signing_in import ADA, PASSWORD, ada, code_of, link_for, person, store_of

from ringfence.model.accounts import AccountKind
from ringfence.store import accounts, tables
from ringfence.store.ids import at

__all__ = ["ada", "person"]

pytestmark = pytest.mark.store

ORIGIN = "https://cloud.example.org"


@pytest.fixture
def cloud(loop: Loop, tmp_path) -> Iterator[Cloud]:
    """A controller that people reach under a name."""
    running = start_cloud(loop, settings_for(tmp_path / "data", public_url=ORIGIN))
    yield running
    running.close()


def register(person, authenticator: Authenticator, name: str = "my key"):
    asked = person.ask("POST", "/v1/account/passkeys/options").json()
    body = {"challenge_id": asked["challenge_id"], "name": name, "credential": authenticator.register(asked["options"])}
    return person.ask("POST", "/v1/account/passkeys", body)


def sign_in(person, authenticator: Authenticator, asked: dict | None = None):
    asked = asked or person.ask("POST", "/v1/session/passkey/options").json()
    body = {"challenge_id": asked["challenge_id"], "credential": authenticator.sign(asked["options"])}
    return person.ask("POST", "/v1/session/passkey", body)


@pytest.fixture
def key(ada) -> Authenticator:
    made = Authenticator(ORIGIN)
    answer = register(ada, made)
    assert answer.status_code == 201, answer.text
    return made


def test_a_passkey_alone_signs_its_account_in(ada, key, person) -> None:
    bert = person()
    assert bert.ask("GET", "/v1/about").json()["passkeys"] is True
    told = sign_in(bert, key)
    assert told.status_code == 201, told.text
    assert told.json()["account"]["name"] == ADA
    assert bert.ask("GET", "/v1/account/sessions").json()["items"][-1]["means"] == "passkey"
    assert sign_in(person(), key).status_code == 201
    assert ada.ask("GET", "/v1/account/passkeys").json()["items"][0]["last_used_at"] is not None


def test_with_a_passkey_the_password_is_half_of_a_sign_in(ada, key, person) -> None:  # noqa: ARG001
    bert = person()
    asked = bert.sign_in(ADA, PASSWORD)
    assert code_of(asked) == "428 passkey-needed"
    assert bert.cookie() == ""
    # After a password, a key that only feels a touch is enough.
    key.sees_user = False
    assert sign_in(bert, key, asked.json()["facts"]).status_code == 201
    assert bert.ask("GET", "/v1/account/sessions").json()["items"][-1]["means"] == "password+passkey"


def test_a_wrong_password_is_told_nothing_of_passkeys(ada, key, person) -> None:  # noqa: ARG001
    assert code_of(person().sign_in(ADA, "not the right one")) == "401 sign-in-denied"


def test_alone_a_passkey_has_to_have_seen_its_user(key, person) -> None:
    key.sees_user = False
    assert code_of(sign_in(person(), key)) == "401 sign-in-denied"


def test_a_challenge_serves_once_and_only_for_a_while(cloud, key, person) -> None:
    bert = person()
    asked = bert.ask("POST", "/v1/session/passkey/options").json()
    assert sign_in(bert, key, asked).status_code == 201
    assert code_of(sign_in(person(), key, asked)) == "401 sign-in-denied"
    late = person().ask("POST", "/v1/session/passkey/options").json()
    with store_of(cloud).transaction() as session:
        session.execute(update(tables.challenges).values(expires_at=at(seconds_from_now=-1)))
    assert code_of(sign_in(person(), key, late)) == "401 sign-in-denied"


def test_an_answer_to_another_challenge_is_denied(key, person) -> None:
    first, second = (person().ask("POST", "/v1/session/passkey/options").json() for _ in range(2))
    mixed = {"challenge_id": first["challenge_id"], "options": second["options"]}
    assert code_of(sign_in(person(), key, mixed)) == "401 sign-in-denied"


def test_an_answer_from_another_page_is_denied(key, person) -> None:
    key.origin = "https://cloud.example.org.evil.example"
    assert code_of(sign_in(person(), key)) == "401 sign-in-denied"


def test_another_key_under_a_known_name_is_denied(key, person) -> None:
    other = Authenticator(ORIGIN, credential_id=key.credential_id, uses=10)
    assert code_of(sign_in(person(), other)) == "401 sign-in-denied"


def test_a_key_whose_counter_went_back_is_a_copy_and_denied(key, person) -> None:
    key.uses = 10
    assert sign_in(person(), key).status_code == 201
    key.uses = 5
    assert code_of(sign_in(person(), key)) == "401 sign-in-denied"


def test_somebody_elses_passkey_is_no_second_half_of_ones_password(cloud, ada, key, person) -> None:  # noqa: ARG001
    with store_of(cloud).transaction() as session:
        accounts.add_account(session, name="grace", kind=AccountKind.PERSON)
    grace, hers = person(), Authenticator(ORIGIN)
    grace.set_up(link_for(cloud, "grace", "t" * 43), None, "a quiet purple kettle")
    assert register(grace, hers).status_code == 201
    asked = person().sign_in(ADA, PASSWORD).json()["facts"]
    assert code_of(sign_in(person(), hers, asked)) == "401 sign-in-denied"


def test_a_challenge_for_registering_signs_nobody_in(ada, key, person) -> None:
    asked = ada.ask("POST", "/v1/account/passkeys/options").json()
    asked["options"]["rpId"] = "cloud.example.org"
    assert code_of(sign_in(person(), key, asked)) == "401 sign-in-denied"


def test_one_cannot_add_a_passkey_by_a_token_nor_by_somebody_elses_challenge(cloud, ada, person) -> None:
    assert code_of(cloud.http.post("/v1/account/passkeys/options")) == "403 session-needed"
    asked = ada.ask("POST", "/v1/account/passkeys/options").json()
    body = {
        "challenge_id": asked["challenge_id"],
        "name": "x",
        "credential": Authenticator(ORIGIN).register(asked["options"]),
    }
    assert code_of(cloud.http.post("/v1/account/passkeys", json=body)) == "403 session-needed"
    other = {**body, "credential": Authenticator("https://evil.example").register(asked["options"])}
    assert code_of(ada.ask("POST", "/v1/account/passkeys", other)) == "409 passkey-refused"
    assert code_of(ada.ask("POST", "/v1/account/passkeys", body)) == "409 passkey-refused", "the challenge is used up"
    assert person().sign_in(ADA, PASSWORD).status_code == 201


@pytest.mark.parametrize(
    "credential", [{}, {"id": "x"}, {"id": 5}, {"id": "", "response": {}}, {"id": "a", "rawId": []}]
)
def test_what_is_no_credential_is_refused(ada, key, person, credential) -> None:  # noqa: ARG001
    asked = person().ask("POST", "/v1/session/passkey/options").json()
    body = {"challenge_id": asked["challenge_id"], "credential": credential}
    assert code_of(person().ask("POST", "/v1/session/passkey", body)) == "401 sign-in-denied"
    asked = ada.ask("POST", "/v1/account/passkeys/options").json()
    body = {"challenge_id": asked["challenge_id"], "name": "x", "credential": credential}
    assert code_of(ada.ask("POST", "/v1/account/passkeys", body)) == "409 passkey-refused"


def test_a_removed_passkey_opens_nothing_and_is_needed_no_more(ada, key, person) -> None:
    listed = ada.ask("GET", "/v1/account/passkeys").json()["items"]
    assert [each["name"] for each in listed] == ["my key"]
    assert ada.ask("DELETE", f"/v1/account/passkeys/{listed[0]['id']}").status_code == 204
    assert code_of(sign_in(person(), key)) == "401 sign-in-denied"
    assert person().sign_in(ADA, PASSWORD).status_code == 201


def test_a_passkey_of_a_disabled_account_opens_nothing(cloud, key, person) -> None:
    with store_of(cloud).transaction() as session:
        session.execute(update(tables.accounts).where(tables.accounts.c.name == ADA).values(disabled=True))
    assert code_of(sign_in(person(), key)) == "401 sign-in-denied"


def test_a_passkey_gets_in_while_passwords_are_guessed(cloud, key, person) -> None:
    for tally in (f"{ADA} from 127.0.0.1", "from 127.0.0.1", f"{ADA} from anywhere"):
        failures_of(cloud, tally, 10_000)
    assert sign_in(person(), key).status_code == 201

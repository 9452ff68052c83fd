"""Signing in and out over HTTP: what proves who one is, what a session is good for, and how it ends."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import update
from tests.controller.conftest import Cloud
from tests.controller.people import Person

from ringfence.client.sealing import Recipient, seal
from ringfence.model.access import Role
from ringfence.model.accounts import AccountKind
from ringfence.model.sessions import IDLE_SECONDS, LONGEST_SECONDS
from ringfence.store import accounts, setup_links, tables
from ringfence.store.engine import Store
from ringfence.store.ids import at, digest_of

pytestmark = pytest.mark.store

ADA, PASSWORD, WRONG = "ada", "my dog eats moss", "my dog eats grass"


def store_of(cloud: Cloud) -> Store:
    return cloud.controller._parts.store


def link_for(cloud: Cloud, account: str, secret: str = "s" * 43) -> str:
    """Make a set-up link for an account that is there."""
    with store_of(cloud).transaction() as session:
        account_id = accounts.account(session, account).id
        setup_links.add_setup_link(session, digest_of(secret), account_id=account_id)
    return f"#{secret}"


@pytest.fixture
def person(cloud: Cloud) -> Iterator[Callable[[], Person]]:
    """Make people, each with a browser of their own."""
    made: list[Person] = []

    def make() -> Person:
        made.append(Person(str(cloud.http.base_url)))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def ada(cloud: Cloud, person) -> Person:
    """Somebody with an account and a password, signed in as an administrator."""
    with store_of(cloud).transaction() as session:
        accounts.add_account(session, name=ADA, kind=AccountKind.PERSON, roles=[Role.CLOUD_ADMIN])
    ada = person()
    assert ada.set_up(link_for(cloud, ADA), None, PASSWORD).status_code == 201
    return ada


def code_of(response) -> str:
    return f"{response.status_code} {response.json()['code']}"


def test_the_right_password_begins_a_session_and_a_wrong_one_does_not(ada, person) -> None:
    bert = person()
    assert code_of(bert.sign_in(ADA, WRONG)) == "401 sign-in-denied"
    assert bert.cookie() == ""
    told = bert.sign_in(ADA, PASSWORD).json()
    assert told["account"]["name"] == ADA
    assert told["roles"] == ["cloud-admin"]
    assert bert.ask("GET", "/v1/session").json() == told
    assert bert.ask("GET", "/v1/zones").status_code == 200
    assert ada.ask("GET", "/v1/session").status_code == 200, "each session is its own"


def test_an_unknown_account_is_told_no_more_than_a_wrong_password(ada, person) -> None:  # noqa: ARG001
    known, unknown = person().sign_in(ADA, WRONG), person().sign_in("nobody", WRONG)
    assert known.json() == unknown.json()
    assert sorted(known.headers) == sorted(unknown.headers)


def test_a_disabled_account_cannot_sign_in_and_its_sessions_end(cloud, ada, person) -> None:
    with store_of(cloud).transaction() as session:
        session.execute(update(tables.accounts).where(tables.accounts.c.name == ADA).values(disabled=True))
    assert code_of(ada.ask("GET", "/v1/zones")) == "401 session-ended"
    assert code_of(person().sign_in(ADA, PASSWORD)) == "401 sign-in-denied"


def test_no_route_takes_a_password_in_clear(ada) -> None:
    key = ada.http.get("/v1/session/key").json()
    for body in (
        {"account": ADA, "password": PASSWORD},
        {"account": ADA, "key_id": key["key_id"], "sealed_password": PASSWORD},
        {"account": ADA, "key_id": key["key_id"], "sealed_password": base64.b64encode(PASSWORD.encode()).decode()},
    ):
        assert ada.ask("POST", "/v1/session", body).status_code == 422


def test_a_sign_in_that_was_overheard_cannot_be_repeated(ada, person) -> None:
    body = {"account": ADA, **ada.sealed(password=PASSWORD)}
    assert person().ask("POST", "/v1/session", body).status_code == 201
    assert code_of(person().ask("POST", "/v1/session", body)) == "409 sealed-to-another-key"


def test_a_password_sealed_to_another_key_is_told_so(ada, person) -> None:
    body = {"account": ADA, **ada.sealed(password=PASSWORD)}
    assert code_of(person().ask("POST", "/v1/session", {**body, "key_id": "other"})) == "409 sealed-to-another-key"
    other = {"public_key": base64.b64encode(bytes(range(32))).decode()}
    body["sealed_password"] = seal(PASSWORD, other)
    assert code_of(person().ask("POST", "/v1/session", body)) == "422 seal-refused"


def test_cookies_are_for_this_host_over_tls_and_no_script_or_other_site_has_them(ada, person) -> None:
    answer = person().sign_in(ADA, PASSWORD)
    cookies = answer.headers.get_list("set-cookie")
    assert [cookie.partition("=")[0] for cookie in cookies] == ["__Host-ringfence", "__Host-ringfence-device"]
    for cookie in cookies:
        marks = {mark.strip().lower() for mark in cookie.split(";")[1:]}
        assert {"secure", "httponly", "samesite=strict", "path=/"} <= marks
        assert not any(mark.startswith("domain") for mark in marks)
    assert answer.headers["cache-control"] == "no-store"
    assert ada.cookie() not in answer.text


def test_a_change_with_the_cookie_needs_the_sessions_own_csrf_token(ada, person) -> None:
    bert = person()
    bert.sign_in(ADA, PASSWORD)
    zone = {"name": "red"}
    for wrong in ("", "0" * 64, bert.csrf):
        assert code_of(ada.ask("POST", "/v1/zones", zone, **{"X-CSRF-Token": wrong})) == "403 csrf-token-wrong"
    assert ada.ask("POST", "/v1/zones", zone).status_code == 201
    assert ada.ask("GET", "/v1/zones", **{"X-CSRF-Token": ""}).status_code == 200


def test_a_session_as_bearer_token_needs_no_csrf_token(cloud, ada) -> None:
    headers = {"Authorization": f"Bearer {ada.cookie()}"}
    assert cloud.http.post("/v1/zones", json={"name": "red"}, headers=headers).status_code == 201


def test_each_sign_in_has_a_new_secret_and_ends_the_session_before(ada) -> None:
    before, csrf = ada.cookie(), ada.csrf
    assert ada.sign_in(ADA, PASSWORD).status_code == 201
    assert ada.cookie() != before
    assert ada.csrf != csrf
    assert ada.ask("GET", "/v1/session", Cookie=f"__Host-ringfence={before}").status_code == 401


def test_a_planted_cookie_does_not_become_a_session(person, ada) -> None:  # noqa: ARG001
    bert = person()
    bert._cookies["__Host-ringfence"] = planted = "planted" * 6
    assert bert.sign_in(ADA, PASSWORD).status_code == 201
    assert bert.cookie() != planted
    assert person().ask("GET", "/v1/session", Cookie=f"__Host-ringfence={planted}").status_code == 401


def test_signing_out_ends_the_session_at_once(ada) -> None:
    secret = ada.cookie()
    out = ada.ask("DELETE", "/v1/session")
    assert out.status_code == 204
    assert ada.cookie() == '""' or ada.cookie() == ""
    assert code_of(ada.ask("GET", "/v1/session", Cookie=f"__Host-ringfence={secret}")) == "401 session-ended"


@pytest.mark.parametrize(("column", "age"), [("used_at", IDLE_SECONDS), ("expires_at", 0.0)])
def test_a_session_ends_when_unused_for_an_hour_and_after_its_time_whatever_was_done(cloud, ada, column, age) -> None:
    with store_of(cloud).transaction() as session:
        session.execute(update(tables.sessions).values({column: at(seconds_from_now=5 - age)}))
    assert ada.ask("GET", "/v1/session").status_code == 200
    with store_of(cloud).transaction() as session:
        session.execute(update(tables.sessions).values({column: at(seconds_from_now=-age - 1)}))
    assert code_of(ada.ask("GET", "/v1/session")) == "401 session-ended"


def test_use_does_not_lengthen_a_session_beyond_its_time(cloud, ada) -> None:
    expires_at = ada.ask("GET", "/v1/session").json()["expires_at"]
    assert at(seconds_from_now=LONGEST_SECONDS - 60) < expires_at <= at(seconds_from_now=LONGEST_SECONDS)
    with store_of(cloud).transaction() as session:
        session.execute(update(tables.sessions).values(used_at=at(seconds_from_now=-IDLE_SECONDS + 60)))
    assert ada.ask("GET", "/v1/session").json()["expires_at"] == expires_at
    used = ada.ask("GET", "/v1/account/sessions").json()["items"][0]["used_at"]
    assert used > at(seconds_from_now=-60), "and use is noted"


def test_one_sees_and_ends_ones_own_sessions_and_nobody_elses(cloud, ada, person) -> None:
    with store_of(cloud).transaction() as session:
        accounts.add_account(session, name="grace", kind=AccountKind.PERSON)
    grace, elsewhere = person(), person()
    grace.set_up(link_for(cloud, "grace", "t" * 43), None, "a quiet purple kettle")
    elsewhere.sign_in(ADA, PASSWORD)
    listed = ada.ask("GET", "/v1/account/sessions").json()["items"]
    assert [each["current"] for each in listed] == [True, False]
    of_grace = grace.ask("GET", "/v1/account/sessions").json()["items"]
    assert len(of_grace) == 1
    assert ada.ask("DELETE", f"/v1/account/sessions/{of_grace[0]['id']}").status_code == 404
    assert ada.ask("DELETE", f"/v1/account/sessions/{listed[1]['id']}").status_code == 204
    assert elsewhere.ask("GET", "/v1/session").status_code == 401
    assert grace.ask("GET", "/v1/session").status_code == 200


def test_a_changed_password_ends_the_other_sessions_and_only_it_is_right_from_then_on(ada, person) -> None:
    elsewhere = person()
    elsewhere.sign_in(ADA, PASSWORD)
    new = "a quiet purple kettle"
    denied = ada.ask("PUT", "/v1/account/password", ada.sealed(current=WRONG, new=new))
    assert code_of(denied) == "401 sign-in-denied"
    unfit = ada.ask("PUT", "/v1/account/password", ada.sealed(current=PASSWORD, new="password1234"))
    assert code_of(unfit) == "422 password-unfit"
    assert elsewhere.ask("GET", "/v1/session").status_code == 200
    assert ada.ask("PUT", "/v1/account/password", ada.sealed(current=PASSWORD, new=new)).status_code == 204
    assert ada.ask("GET", "/v1/session").status_code == 200
    assert elsewhere.ask("GET", "/v1/session").status_code == 401
    assert person().sign_in(ADA, PASSWORD).status_code == 401
    assert person().sign_in(ADA, new).status_code == 201


def test_a_token_cannot_change_a_password(cloud, ada) -> None:
    body = ada.sealed(current=PASSWORD, new="a quiet purple kettle")
    assert code_of(cloud.http.put("/v1/account/password", json=body)) == "403 session-needed"


def test_no_secret_of_a_session_or_link_and_no_password_is_in_the_database(cloud, ada) -> None:
    secrets = [ada.cookie(), ada.cookie("__Host-ringfence-device"), ada.csrf, PASSWORD, "s" * 43]
    with store_of(cloud).reading() as session:
        rows = [row for table in tables.metadata.sorted_tables for row in session.execute(table.select()).all()]
    text = json.dumps([list(map(str, row)) for row in rows])
    assert "$argon2id$" in text
    assert [secret for secret in secrets if secret in text] == []


def test_a_setup_link_serves_once_and_only_for_its_account(cloud, ada, person) -> None:
    assert code_of(person().set_up("#" + "s" * 43, None, PASSWORD)) == "403 set-up-refused"
    assert "used already" in person().set_up("#" + "s" * 43, None, PASSWORD).json()["detail"]
    assert "not one of" in person().set_up("#" + "x" * 43, None, PASSWORD).json()["detail"]
    link = link_for(cloud, ADA, "u" * 43)
    lost = person()
    assert code_of(lost.set_up(link, None, "password1234")) == "422 password-unfit"
    assert lost.set_up(link, None, "a quiet purple kettle").json()["account"]["name"] == ADA
    assert ada.ask("GET", "/v1/session").status_code == 401, "who lost it may have lost the session, too"


def test_an_expired_link_and_one_that_was_replaced_are_refused(cloud, ada, person) -> None:  # noqa: ARG001
    first = link_for(cloud, ADA, "u" * 43)
    second = link_for(cloud, ADA, "v" * 43)
    assert "replaced" in person().set_up(first, None, PASSWORD).json()["detail"]
    with store_of(cloud).transaction() as session:
        session.execute(update(tables.setup_links).values(expires_at=at(seconds_from_now=-1)))
    assert "expired" in person().set_up(second, None, PASSWORD).json()["detail"]


def test_the_first_link_makes_an_administrator_and_needs_a_name(cloud, person) -> None:
    with store_of(cloud).transaction() as session:
        setup_links.add_setup_link(session, digest_of("f" * 43))
    first = person()
    assert first.ask("GET", "/v1/setup").json() == {"needed": True}
    assert code_of(first.set_up("#" + "f" * 43, None, PASSWORD)) == "422 invalid"
    assert first.set_up("#" + "f" * 43, "root@example.org", PASSWORD).json()["roles"] == ["cloud-admin"]
    assert first.ask("GET", "/v1/setup").json() == {"needed": False}
    assert code_of(person().set_up("#" + "f" * 43, "eve", PASSWORD)) == "403 set-up-refused"


@pytest.mark.parametrize("key", [bytes(32), bytes(33)])
def test_a_secret_is_not_made_for_a_recipient_that_is_no_key(ada, key) -> None:
    recipient = base64.b64encode(key).decode()
    for path, body in (("/v1/tokens", {"name": "ci"}), ("/v1/accounts/ada/setup-link", {})):
        refused = ada.ask("POST", path, {**body, "recipient": recipient})
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid"), refused.text
        assert refused.json()["facts"]["field"] == "recipient"
    assert "ci" not in [token["name"] for token in ada.ask("GET", "/v1/tokens").json()["items"]]


def test_an_administrator_makes_a_link_that_only_the_asker_can_read(cloud, ada, person) -> None:
    ada.ask("POST", "/v1/zones", {"name": "red"})
    with store_of(cloud).transaction() as session:
        accounts.add_account(session, name="grace", kind=AccountKind.PERSON)
    recipient = Recipient()
    made = ada.ask("POST", "/v1/accounts/grace/setup-link", {"recipient": recipient.public_key})
    assert made.status_code == 201
    secret = recipient.open(made.json()["sealed_secret"])
    assert secret not in made.text
    assert made.json()["page"] == f"http://{cloud.controller.api_address}/setup", "the port that the system chose"
    grace = person().set_up(f"#{secret}", None, "a quiet purple kettle")
    assert (grace.json()["account"]["name"], grace.json()["roles"]) == ("grace", [])

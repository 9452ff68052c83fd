"""Tokens: shown once, kept as digests, the first one made once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from ringfence.errors import NameTaken
from ringfence.model.access import Permission
from ringfence.model.accounts import AccountKind
from ringfence.store import accounts, tokens
from ringfence.store.engine import Store, make_engine

pytestmark = pytest.mark.store


def test_the_first_token_is_shown_once(store):
    with store.transaction() as session:
        secret = tokens.first_token(session)
    with store.transaction() as session:
        assert tokens.first_token(session) is None
        assert tokens.token_of(session, secret).name == "admin"


def test_controllers_that_start_at_once_make_one_first_token(store, url):
    start = threading.Barrier(3, timeout=20)

    def first(_number: int) -> str | None:
        own = Store(make_engine(url))
        start.wait()
        with own.transaction() as session:
            secret = tokens.first_token(session)
        own.close()
        return secret

    with ThreadPoolExecutor(3) as threads:
        made = [secret for secret in threads.map(first, range(3)) if secret is not None]
    assert len(made) == 1
    with store.reading() as session:
        assert tokens.token_of(session, made[0]) is not None


@pytest.fixture
def robot(store):
    with store.transaction() as session:
        return accounts.add_account(session, name="robot", kind=AccountKind.SERVICE)


def test_a_secret_that_is_wrong_expired_or_removed_opens_nothing(store, robot):
    with store.transaction() as session:
        added, secret = tokens.add_token(session, account=robot.id, name="ci")
        assert tokens.token_of(session, secret) == added
        assert tokens.token_of(session, secret[:-1]) is None
        session.execute(text("UPDATE tokens SET expires_at = '2020-01-01T00:00:00.000000+00:00'"))
        assert tokens.token_of(session, secret) is None
        session.execute(text("UPDATE tokens SET expires_at = NULL"))
        accounts.change_account(session, "robot", disabled=True)
        assert tokens.token_of(session, secret) is None
        accounts.change_account(session, "robot", disabled=False)
        assert tokens.token_of(session, secret) == added
        tokens.remove_token(session, added.id)
        assert tokens.token_of(session, secret) is None


def test_no_secret_is_in_the_database_and_each_is_long(store, robot):
    with store.transaction() as session:
        made = [tokens.add_token(session, account=robot.id, name=f"t{number}")[1] for number in range(3)]
        kept = str(session.execute(text("SELECT * FROM tokens")).all())
    assert len(set(made)) == 3
    assert all(len(secret) >= 43 and secret not in kept for secret in made)


def test_two_tokens_of_an_account_have_two_names_and_two_accounts_may_use_one(store, robot):
    with store.transaction() as session:
        other = accounts.person_named(session, "ann")
        for account in (robot, other):
            tokens.add_token(session, account=account.id, name="nightly")
    with pytest.raises(NameTaken), store.transaction() as session:  # noqa: PT012
        tokens.add_token(session, account=robot.id, name="ci")
        tokens.add_token(session, account=robot.id, name="ci")


def test_a_token_keeps_its_scope_and_ends_in_time(store, robot):
    with store.transaction() as session:
        scope = {Permission.VM_READ, Permission.VM_OPERATE}
        added, secret = tokens.add_token(session, account="robot", name="ci", scope=scope, valid_seconds=60)
        assert (added.account, added.scope, added.created_at < added.expires_at) == ("robot", scope, True)
        assert accounts.grants_of(session, robot.id, tokens.token_of(session, secret).scope).scope == scope
        _, ended = tokens.add_token(session, account="robot", name="old", valid_seconds=-1)
        assert tokens.token_of(session, ended) is None


def test_the_use_of_a_token_is_noted_but_not_each_time(store, robot):
    with store.transaction() as session:
        added, _ = tokens.add_token(session, account=robot.id, name="ci")
        assert added.last_used_at is None
        assert not tokens.is_use_noted(added)
        tokens.note_use(session, added.id)
        assert tokens.is_use_noted(tokens.token(session, added.id))
        session.execute(text("UPDATE tokens SET last_used_at = '2020-01-01T00:00:00.000000+00:00'"))
        assert not tokens.is_use_noted(tokens.token(session, added.id))

"""Tokens: shown once, kept as digests, the first one made once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from ringfence.errors import NameTaken
from ringfence.store import tokens
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


def test_a_secret_that_is_wrong_expired_or_removed_opens_nothing(store):
    with store.transaction() as session:
        added, secret = tokens.add_token(session, name="ci")
        assert tokens.token_of(session, secret) == added
        assert tokens.token_of(session, secret[:-1]) is None
        session.execute(text("UPDATE tokens SET expires_at = '2020-01-01T00:00:00.000000+00:00'"))
        assert tokens.token_of(session, secret) is None
        session.execute(text("UPDATE tokens SET expires_at = NULL"))
        tokens.remove_token(session, "ci")
        assert tokens.token_of(session, secret) is None


def test_no_secret_is_in_the_database_and_each_is_long(store):
    with store.transaction() as session:
        made = [tokens.add_token(session, name=f"t{number}")[1] for number in range(3)]
        kept = str(session.execute(text("SELECT * FROM tokens")).all())
    assert len(set(made)) == 3
    assert all(len(secret) >= 43 and secret not in kept for secret in made)


def test_two_tokens_have_two_names(store):
    with pytest.raises(NameTaken), store.transaction() as session:  # noqa: PT012
        tokens.add_token(session, name="ci")
        tokens.add_token(session, name="ci")

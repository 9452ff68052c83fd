"""Invitations: one host, once, in time; the secret is not in the database."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from ringfence.errors import Invalid, NameTaken
from ringfence.model.hosts import JoinTokenRefused
from ringfence.store import hosts, invitations
from ringfence.store.engine import Store, make_engine

pytestmark = pytest.mark.store


def invite(store, **more) -> str:
    with store.transaction() as session:
        return invitations.add_invitation(session, name="h1", **more)[1]


def use(store, secret: str):
    with store.transaction() as session:
        return invitations.use_invitation(session, secret)


def test_an_invitation_serves_once(store):
    secret = invite(store)
    assert use(store, secret).name == "h1"
    with pytest.raises(JoinTokenRefused, match="used"):
        use(store, secret)


def test_of_two_hosts_with_one_token_one_joins(store, url):
    secret = invite(store)
    start = threading.Barrier(2, timeout=20)

    def join(_number: int) -> str:
        own = Store(make_engine(url))
        start.wait()
        try:
            return use(own, secret).name
        except JoinTokenRefused as error:
            return error.why
        finally:
            own.close()

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(join, range(2))) == ["h1", "used already"]


def test_a_join_that_fails_leaves_the_invitation_as_it_was(store):
    secret = invite(store)
    with pytest.raises(Invalid), store.transaction() as session:  # noqa: PT012
        invitations.use_invitation(session, secret)
        hosts.add_host(session, name="Not A Name", underlay_address="192.0.2.1")
    assert use(store, secret).used_at is not None


def test_an_unknown_or_expired_invitation_is_refused(store):
    with pytest.raises(JoinTokenRefused, match="unknown"):
        use(store, "guess")
    secret = invite(store)
    with store.transaction() as session:
        session.execute(text("UPDATE invitations SET expires_at = '2020-01-01T00:00:00.000000+00:00'"))
    with pytest.raises(JoinTokenRefused, match="expired"):
        use(store, secret)
    with store.transaction() as session:
        assert invitations.prune_invitations(session) == 1


def test_the_secret_is_not_in_the_database(store):
    secret = invite(store)
    with store.reading() as session:
        row = session.execute(text("SELECT * FROM invitations")).one()
    assert not any(secret in str(value) for value in row)


def test_a_name_that_a_host_has_is_not_invited(cloud):
    cloud.add_host("h1")
    with pytest.raises(NameTaken):
        invite(cloud.store)
    with pytest.raises(Invalid):
        invite(cloud.store, valid_seconds=0)

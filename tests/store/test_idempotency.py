"""Idempotency keys: sent twice, done once, answered twice."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from ringfence.errors import IdempotencyKeyReused, Invalid, RequestInFlight
from ringfence.store import accounts, idempotency, projects
from ringfence.store.engine import Store, make_engine

pytestmark = pytest.mark.store


@pytest.fixture
def request_key(store):
    with store.transaction() as session:
        account = accounts.person_named(session, "ann")
    return {"account_id": account.id, "route": "POST /v1/projects", "key": "k"}


def begin(store, request_key, digest="d"):
    with store.transaction() as session:
        return idempotency.begin_request(session, digest=digest, **request_key)


def test_a_request_that_ended_is_answered_again_as_it_was(store, request_key):
    assert begin(store, request_key) is None
    with store.transaction() as session:
        reply = {"status": 201, "body": {"id": "1", "labels": {}}, "headers": {"ETag": '"1"'}}
        idempotency.finish_request(session, **reply, **request_key)
    assert begin(store, request_key) == idempotency.Reply(**reply)


def test_another_body_under_a_key_is_refused(store, request_key):
    begin(store, request_key)
    with pytest.raises(IdempotencyKeyReused):
        begin(store, request_key, digest="other")


def test_the_same_key_on_another_route_is_another_request(store, request_key):
    begin(store, request_key)
    assert begin(store, {**request_key, "route": "POST /v1/zones"}, digest="other") is None


def test_a_request_in_flight_is_told_to_wait_until_it_is_forgotten_or_abandoned(store, request_key):
    begin(store, request_key)
    with pytest.raises(RequestInFlight):
        begin(store, request_key)
    with store.transaction() as session:
        idempotency.forget_request(session, **request_key)
    assert begin(store, request_key) is None
    with store.transaction() as session:
        session.execute(text("UPDATE idempotency SET created_at = '2020-01-01T00:00:00.000000+00:00'"))
    assert begin(store, request_key) is None
    with pytest.raises(RequestInFlight):
        begin(store, request_key)


def test_a_request_that_failed_in_its_transaction_leaves_no_key(store, request_key):
    with pytest.raises(Invalid), store.transaction() as session:  # noqa: PT012
        idempotency.begin_request(session, digest="d", **request_key)
        projects.add_project(session, name="shop", owner="")
    assert begin(store, request_key) is None


def test_requests_sent_at_once_are_done_once_and_all_answered_alike(store, url, request_key):
    start = threading.Barrier(4, timeout=20)
    stores = [Store(make_engine(url)) for _ in range(2)]

    def send(number: int) -> str:
        start.wait()
        with stores[number % 2].transaction() as session:
            earlier = idempotency.begin_request(session, digest="d", **request_key)
            if earlier is not None:
                return earlier.body["id"]
            made = projects.add_project(session, name=f"p{number}", owner="ann")
            idempotency.finish_request(session, status=201, body={"id": made.id}, **request_key)
            return made.id

    with ThreadPoolExecutor(4) as threads:
        answers = set(threads.map(send, range(4)))
    for each in stores:
        each.close()
    with store.reading() as session:
        assert {project.id for project in projects.projects(session).items} == answers
    assert len(answers) == 1


def test_old_keys_are_pruned_and_new_ones_stay(store, request_key):
    begin(store, request_key)
    with store.transaction() as session:
        assert idempotency.prune_requests(session) == 0
        assert idempotency.prune_requests(session, older_than_seconds=-1) == 1


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_of_no_sensible_length_is_refused(store, request_key, key):
    with pytest.raises(Invalid):
        begin(store, {**request_key, "key": key})

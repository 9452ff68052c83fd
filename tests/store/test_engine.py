"""Transactions: whole or nothing, bells after the commit only, and the database's errors in our own words."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import event, text
from tests.store.conftest import new_vm

from ringfence.errors import (
    Invalid,
    NotFound,
    ReferenceLost,
    StoreBroken,
    StoreBusy,
    StoreFull,
    StoreUnreachable,
    known_errors,
)
from ringfence.model.operations import OperationKind
from ringfence.model.policies import Protocol, Selector
from ringfence.store import operations, policies, projects, vms, zones
from ringfence.store.engine import Store, changed, make_engine

pytestmark = pytest.mark.store


@pytest.fixture
def rung(store):
    heard = []
    store.on_change(lambda kind, noun_id: heard.append((kind, noun_id)))
    return heard


def test_a_bell_rings_after_the_commit_and_sees_what_was_committed(store):
    seen = []

    def look(kind: str, noun_id: str) -> None:
        if kind == "project":
            with store.reading() as session:
                seen.append(projects.project(session, noun_id).name)

    store.on_change(look)
    with store.transaction() as session:
        projects.add_project(session, name="shop", owner="ann")
        assert seen == []
    assert seen == ["shop"]


def test_a_transaction_that_fails_rings_no_bell_and_leaves_nothing(store, rung):
    with pytest.raises(NotFound), store.transaction() as session:  # noqa: PT012
        projects.add_project(session, name="shop", owner="ann")
        projects.project(session, "none")
    assert rung == []
    with store.reading() as session:
        assert projects.projects(session).items == ()


def test_what_may_be_lost_rings_its_bell_too_and_tells_no_ledger(store, rung):
    with store.transaction() as session:
        operation = operations.add_operation(
            session, kind=OperationKind.APPLY_FENCE, subject_id="fence", subject_name="fence"
        )
        before = session.execute(text("SELECT count(*) FROM ledger_pending")).scalar_one()
    rung.clear()
    with store.losable() as session:
        operations.step_began(session, operation.id, 1, "look")
    assert rung == [("operation", operation.id)]
    with store.reading() as session:
        assert session.execute(text("SELECT count(*) FROM ledger_pending")).scalar_one() == before
        assert session.execute(text("SELECT count(*) FROM ledger_pending WHERE actor_kind = ''")).scalar_one() == 0


def test_a_change_rings_once_however_often_it_is_noted(store, rung):
    with store.transaction() as session:
        changed(session, "vm", "1")
        changed(session, "vm", "1")
    assert rung == [("vm", "1")]


def test_a_bell_that_fails_does_not_make_the_commit_look_undone(store, rung, caplog):
    def broken(_kind: str, _noun_id: str) -> None:
        raise ValueError("broken bell")

    store.on_change(broken)
    with store.transaction() as session:
        projects.add_project(session, name="shop", owner="ann")
    assert [kind for kind, _ in rung] == ["account", "project"]
    assert "a bell failed" in caplog.text


def test_a_reading_transaction_cannot_write(store):
    with pytest.raises((StoreBroken, StoreUnreachable)), store.reading() as session:
        session.execute(text("UPDATE counters SET value = 0"))


def test_writing_works_on_a_connection_that_read_before(store):
    for number in range(3):
        with store.reading() as session:
            assert len(projects.projects(session).items) == number
        with store.transaction() as session:
            projects.add_project(session, name=f"p{number}", owner="ann")


def test_a_reading_transaction_sees_one_moment(store):
    with store.reading() as session:
        before = projects.projects(session)
        with store.transaction() as writing:
            projects.add_project(writing, name="shop", owner="ann")
        assert projects.projects(session) == before


def test_a_transaction_that_reads_first_and_writes_later_never_loses_to_another(store):
    """What SQLite's deferred transactions would fail at: both read, then both write."""

    def work(number: int) -> None:
        for turn in range(10):
            with store.transaction() as session:
                projects.projects(session)
                projects.add_project(session, name=f"p{number}-{turn}", owner="ann")

    with ThreadPoolExecutor(4) as pool:
        # Read one by one: what one of them raises is raised here.
        for _ in pool.map(work, range(4)):
            pass
    with store.reading() as session:
        assert len(projects.projects(session).items) == 40


def test_the_fences_revision_grows_with_each_change_that_matters_and_no_other(cloud, rung):
    def revision() -> int:
        with cloud.store.reading() as session:
            return session.execute(text("SELECT value FROM counters")).scalar_one()

    before = revision()
    vm = cloud.add_vm("r")
    assert revision() == before + 1
    assert ("intent", str(before + 1)) in rung
    host = cloud.add_host("h1")
    assert revision() == before + 1
    with cloud.store.transaction() as session:
        vms.bind_ports(session, vm.id, [host])
        vms.bind_ports(session, vm.id, [host])
    assert revision() == before + 2
    with cloud.store.transaction() as session:
        vms.bind_ports(session, vm.id, [host])
    assert revision() == before + 2
    with cloud.store.transaction() as session:
        zones.change_zone(session, "red", name="crimson")
        vms.change_vm(session, vm.id, labels={"tier": "web"})
    assert revision() == before + 3


def test_a_reference_to_nothing_is_refused(store):
    nothing = Selector(zone_id="01a207dd-0000-7000-8000-000000000000")
    with pytest.raises(ReferenceLost), store.transaction() as session:
        policies.add_policy(session, name="p", source=nothing, target=nothing, protocol=Protocol.ANY)


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_full_disk_is_said_to_be_full_and_leaves_nothing_half_written(cloud, url):
    engine = make_engine(url)

    @event.listens_for(engine, "connect")
    def limit(connection, _record):
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 2}")

    full = Store(engine)
    before = cloud.store
    with pytest.raises(StoreFull), full.transaction() as session:  # noqa: PT012
        for number in range(200):
            new_vm(session, f"v{number}", user_data="x" * 10_000)
    with before.reading() as session:
        assert vms.all_vms(session) == ()
        assert operations.operations(session).items == ()
    # What fits still works, and so does the rest once there is room.
    with full.transaction() as session:
        projects.change_project(session, "shop", owner="bob")
    full.close()
    with before.transaction() as session:
        for number in range(20):
            new_vm(session, f"v{number}", user_data="x" * 10_000)


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_database_locked_by_another_program_is_said_to_be_busy(store, url):
    impatient = make_engine(url)
    event.listen(impatient, "connect", lambda connection, _record: connection.execute("PRAGMA busy_timeout = 10"))
    with store.transaction(), pytest.raises(StoreBusy), Store(impatient).transaction():
        pass
    impatient.dispose()


STATES = {
    "53100": StoreFull,
    "40001": StoreBusy,
    "40P01": StoreBusy,
    "55P03": StoreBusy,
    "57014": StoreBusy,
    "53300": StoreUnreachable,
    "57P03": StoreUnreachable,
    "XX001": StoreBroken,
    "23514": Invalid,
}


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_what_postgresql_says_comes_out_in_our_words(store):
    for state, family in STATES.items():
        with pytest.raises(family), store.transaction() as session:
            session.execute(text(f"DO $$ BEGIN RAISE EXCEPTION 'because' USING ERRCODE = '{state}'; END $$"))


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_a_connection_that_breaks_is_unreachable_and_the_next_one_works(store):
    with pytest.raises(StoreUnreachable), store.transaction() as session:  # noqa: PT012
        projects.add_project(session, name="shop", owner="ann")
        own = session.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with store.transaction() as other:
            other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": own})
        session.execute(text("SELECT 1"))
    with store.transaction() as session:
        assert projects.projects(session).items == ()


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_a_deadlock_ends_as_busy_and_not_as_a_hang(cloud):
    met = threading.Barrier(2, timeout=20)
    told = []

    def cross(first: str, second: str) -> None:
        try:
            with cloud.store.transaction() as session:
                zones.change_zone(session, first, colour="x")
                met.wait()
                zones.change_zone(session, second, colour="y")
        except StoreBusy as error:
            told.append(error.code)

    threads = [threading.Thread(target=cross, args=pair) for pair in (("red", "blue"), ("blue", "red"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told == ["store-busy"]


def test_every_error_of_the_store_is_known_by_its_code():
    codes = {"store-full", "store-busy", "store-unreachable", "store-broken", "stale-revision", "reference-lost"}
    assert codes <= set(known_errors())

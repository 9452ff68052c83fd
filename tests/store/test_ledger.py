"""Every change is an entry, made with it or not at all; entries get their places in the order of what they tell."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from tests.store.conftest import beat
from tests.store.ledgers import new_key, place, tables_now, tables_told

from ringfence.errors import Invalid, NotFound
from ringfence.model.access import Role
from ringfence.model.accounts import AccountKind
from ringfence.model.actors import Actor, ActorKind
from ringfence.model.hosts import Certificate
from ringfence.model.ledger import Outcome, Subject
from ringfence.model.operations import OperationKind, OperationState
from ringfence.model.policies import Protocol, Selector
from ringfence.model.vms import VmState
from ringfence.store import (
    accounts,
    claims,
    flavors,
    hosts,
    images,
    invitations,
    ledger,
    members,
    networks,
    operations,
    policies,
    projects,
    signing,
    tokens,
    triggers,
    vms,
    zones,
)
from ringfence.store.acting import acting
from ringfence.store.engine import Store, make_engine
from ringfence.store.ids import now
from ringfence.store.ledgered import LEDGERED, UNLEDGERED
from ringfence.store.tables import metadata

pytestmark = pytest.mark.store

ANN = Actor(kind=ActorKind.SERVICE, id="a-1", name="robot", on_behalf_of="ann", source="192.0.2.7", reason="ticket 12")


@pytest.fixture(scope="module")
def key():
    return new_key()


def renew(session, host_id):
    hosts.set_certificate(session, host_id, Certificate(serial="5", fingerprint="f" * 64, expires_at=now()))
    hosts.offer_certificate(session, host_id, Certificate(serial="6", fingerprint="e" * 64, expires_at=now()))
    hosts.take_certificate(session, host_id, "e" * 64)


def a_life(cloud) -> str:
    """Do everything to every noun that the store can do; give the id of the VM that lived and went."""
    store = cloud.store
    h1, h2 = cloud.add_host("h1"), cloud.add_host("h2")
    with store.transaction() as session:
        zones.change_zone(session, "red", mixes_with=["blue"], colour='grün "quoted" colour \\ with\ttabs\x01')
        zones.change_zone(session, "red", mixes_with=[])
        zones.add_zone(session, name="green", mixes_with=["blue"])
        zones.remove_zone(session, "green")
        projects.add_project(session, name="bank", owner="bea@example.org")
        projects.change_project(session, "bank", owner="cyd@example.org")
        projects.remove_project(session, "bank")
        flavors.change_flavor(session, "small", memory_mib=2**40)
        flavors.remove_flavor(session, flavors.add_flavor(session, name="f", vcpus=1, memory_mib=1, disk_bytes=1).id)
        networks.change_network(session, networks.networks(session).items[0].id, mtu=1300)
        spare = networks.add_network(session, name="spare", cidr="10.9.0.0/24", project="shop")
        networks.remove_network(session, spare.id)
        images.change_image(session, "tiny", file_bytes=7)
        red, shop = Selector(zone_id=cloud.red.id, labels={"a": "b"}), Selector(project_id=cloud.project.id)
        one = policies.add_policy(session, name="one", source=red, target=shop, protocol=Protocol.TCP, ports=[80])
        policies.change_policy(session, one.id, ports=[443])
        policies.remove_policy(session, one.id)
        accounts.add_account(session, name="robot", kind=AccountKind.SERVICE)
        members.put_member(session, "shop", "robot", Role.PROJECT_MEMBER)
        token, _secret = tokens.add_token(session, account="robot", name="ci")
        tokens.note_use(session, token.id)
        accounts.remove_account(session, "robot")
        invitations.use_invitation(session, invitations.add_invitation(session, name="h9")[1])
        hosts.cordon(session, h2)
        hosts.uncordon(session, h2)
        renew(session, h2)
        hosts.heartbeat(session, h2, beat(vcpus=9))
    with store.transaction() as session:
        vm, operation = vms.add_vm(
            session, name="v", project="shop", zone="red", flavor="small", image="tiny", networks=["web"],
            user_data="password: hunter2",
        )  # fmt: skip
        flavors.change_flavor(session, "small", memory_mib=64)
        operations.operation_became(session, operation.id, OperationState.RUNNING)
        operations.step_began(session, operation.id, 1, "place")
        operations.operation_became(session, operation.id, OperationState.FAILED, error=NotFound("a", "b").record())
        vms.vm_became(session, vm.id, VmState.RUNNING)
        accounts.person_named(session, "dan@example.org")
        vms.change_vm(session, vm.id, labels={"role": "web"}, owner="dan@example.org")
    with store.transaction() as session:
        session.execute(text("UPDATE vms SET memory_mib = 64"))
        claims.claim(session, vm.id, h1, reason="emptiest")
        vms.bind_ports(session, vm.id, [h1])
        vms.begin_vm_operation(session, vm.id, OperationKind.MOVE_VM)
        claims.claim(session, vm.id, h2, reason="")
        claims.settle(session, vm.id, h2, reason="moved")
        claims.release(session, vm.id, h1)
        hosts.remove_host(session, h1)
        vms.forget_vm(session, vm.id)
    return vm.id


def test_every_table_is_told_of_or_has_a_reason_not_to_be():
    assert set(LEDGERED) | set(UNLEDGERED) == set(metadata.tables)
    assert not set(LEDGERED) & set(UNLEDGERED)


@pytest.mark.parametrize("name", LEDGERED)
def test_every_column_of_a_ledgered_table_is_shown_or_secret_or_left_out_on_purpose(name):
    told = LEDGERED[name]
    columns = [*told.shown, *told.secret, *told.unrecorded]
    assert sorted(columns) == sorted(metadata.tables[name].columns.keys())


def test_the_entries_add_up_to_the_tables(cloud, key):
    a_life(cloud)
    entries = place(cloud.store, key)
    with cloud.store.reading() as session:
        assert tables_told(entries) == tables_now(session)
    told = {(entry.subject.kind, entry.action) for entry in entries}
    for kind in (
        "account",
        "member",
        "token",
        "zone",
        "project",
        "flavor",
        "network",
        "policy",
        "VM",
        "port",
        "placement",
        "host",
    ):
        assert {(kind, "create"), (kind, "remove")} <= told, kind


def test_an_entry_tells_who_for_whom_from_where_why_and_what(store, key):
    with acting(ANN), store.transaction() as session:
        zones.add_zone(session, name="red", colour="red")
    with acting(ANN), store.transaction() as session:
        zones.change_zone(session, "red", colour="blue")
    entry = place(store, key)[-1]
    assert entry.actor == ANN
    assert (entry.action, entry.subject.kind, entry.subject.name) == ("change", "zone", "red")
    assert (entry.before["colour"], entry.after["colour"]) == ("red", "blue")
    assert entry.outcome is Outcome.DONE


def test_a_change_that_is_rolled_back_leaves_no_entry(store, key):
    with pytest.raises(NotFound), store.transaction() as session:  # noqa: PT012
        projects.add_project(session, name="shop", owner="ann")
        projects.project(session, "none")
    assert place(store, key) == []


def test_no_change_is_no_entry(cloud, key):
    before = len(place(cloud.store, key))
    with cloud.store.transaction() as session:
        session.execute(text("UPDATE zones SET claim_changes = claim_changes + 1"))
        session.execute(text("UPDATE projects SET name = name"))
    assert len(place(cloud.store, key)) == before


def test_no_secret_is_in_an_entry_and_its_change_is(cloud, key):
    a_life(cloud)
    with cloud.store.transaction() as session:
        accounts.add_account(session, name="robot", kind=AccountKind.SERVICE)
        _token, secret = tokens.add_token(session, account="robot", name="second")
        digest = session.execute(text("SELECT secret_sha256 FROM tokens")).scalar_one()
    with cloud.store.transaction() as session:
        session.execute(text("UPDATE tokens SET secret_sha256 = 'other'"))
    entries = place(cloud.store, key)
    told = "\n".join(entry.body for entry in entries)
    for word in ("hunter2", secret, digest):
        assert word not in told
    assert entries[-1].after["secret_sha256"] == triggers.SECRET_CHANGED


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_a_change_past_ringfence_is_refused_by_postgresql(store, url):
    engine = create_engine(url)
    with pytest.raises(DBAPIError, match="fk_ledger_pending_actor_kind"), engine.begin() as connection:
        connection.execute(text("INSERT INTO zones (id, name, colour, classification) VALUES ('1', 'red', '', '')"))
    engine.dispose()
    with store.reading() as session:
        assert zones.zones(session).items == ()


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_change_past_ringfence_is_told_as_somebodys_who_was_at_the_database(store, url, key):
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO zones (id, name, colour, classification) VALUES ('1', 'red', '', '')"))
    engine.dispose()
    with acting(ANN), store.transaction() as session:
        zones.add_zone(session, name="own")
    told = [(entry.actor.id, entry.subject.name) for entry in place(store, key)]
    assert told == [("outside", "red"), ("a-1", "own")]


def test_a_change_that_nobody_puts_a_name_to_is_refused(url):
    engine = make_engine(url)
    with pytest.raises(DBAPIError), engine.begin() as connection:
        connection.execute(text("INSERT INTO zones (id, name, colour, classification) VALUES ('1', 'red', '', '')"))
    engine.dispose()


def test_an_entry_is_never_changed_nor_removed(cloud, key):
    place(cloud.store, key)
    for statement in ("UPDATE ledger_entries SET body = ''", "DELETE FROM ledger_entries WHERE leaf = 0"):
        with pytest.raises(Invalid, match="ledger-entries-never-change"), cloud.store.transaction() as session:
            session.execute(text(statement))


def test_entries_of_racing_changes_and_racing_sequencers_get_each_place_once_and_in_order(url, key):
    stores = [Store(make_engine(url)) for _ in range(2)]
    with stores[0].transaction() as session:
        zones.add_zone(session, name="red")
    done = threading.Event()

    def write(store: Store) -> None:
        for _ in range(15):
            with store.transaction() as session:
                # Each change waits for the one before, and reads what that one left.
                row = session.execute(text("UPDATE zones SET revision = revision + 1 RETURNING revision")).one()
                session.execute(text("UPDATE zones SET colour = :colour"), {"colour": f"c{row.revision}"})

    def sequence(store: Store) -> None:
        while not done.is_set():
            with store.transaction() as session:
                ledger.sequence(session, key, most=5)

    with ThreadPoolExecutor(4) as threads:
        sequencing = [threads.submit(sequence, store) for store in stores]
        writing = [threads.submit(write, store) for store in stores]
        try:
            for each in writing:
                each.result(60)
        finally:
            done.set()
        for each in sequencing:
            each.result(60)
    entries = place(stores[0], key)
    assert [entry.index for entry in entries] == list(range(61))
    for entry, following in itertools.pairwise(entries):
        assert following.before == entry.after
    for store in stores:
        store.close()


def test_entries_are_found_by_subject_kind_actor_time_and_project(cloud, key):
    vm_id = a_life(cloud)
    with acting(ANN), cloud.store.transaction() as session:
        zones.add_zone(session, name="own")
    entries = place(cloud.store, key)

    def found(**wanted) -> list[int]:
        with cloud.store.reading() as session:
            return [entry.index for entry in ledger.entries(session, ledger.Wanted(**wanted), limit=1000).items]

    of_vm = [entry.index for entry in entries if vm_id in (entry.subject.id, entry.subject.related_id)]
    assert found(subject=vm_id) == of_vm
    assert {entries[index].subject.kind for index in of_vm} == {"VM", "port", "placement", "operation"}
    assert found(actor="robot") == found(actor="a-1") == [entries[-1].index]
    assert found(kind="zone") == [entry.index for entry in entries if entry.subject.kind == "zone"]
    assert found(since=entries[-1].at) == [entries[-1].index]
    assert found(until=entries[-1].at) == [entry.index for entry in entries[:-1]]
    assert {entries[index].subject.project_id for index in found(projects=[cloud.project.id])} == {cloud.project.id}


def test_pages_follow_one_another_without_a_gap(cloud, key):
    whole = place(cloud.store, key)
    seen, after = [], None
    with cloud.store.reading() as session:
        while True:
            page = ledger.entries(session, ledger.Wanted(), limit=2, after=after)
            seen += page.items
            after = page.next
            if after is None:
                break
        assert seen == whole
        with pytest.raises(Invalid):
            ledger.entries(session, ledger.Wanted(), limit=2, after="x")


def test_what_is_no_change_of_a_row_is_an_entry_too(store, key):
    with acting(ANN), store.transaction() as session:
        subject = Subject(kind="VM", id="1", name="web", project_id="2")
        signing.note(session, "vm:delete", subject, outcome=Outcome.DENIED, facts={"times": 1})
    (entry,) = place(store, key)
    assert (entry.actor, entry.action, entry.outcome, entry.after) == (ANN, "vm:delete", Outcome.DENIED, {"times": 1})


def test_a_second_start_makes_no_trigger_anew(store):
    with store.engine.begin() as connection:
        assert triggers.missing(connection) == ()
        before = triggers._present(connection)
        triggers.install(connection)
        assert triggers._present(connection) == before

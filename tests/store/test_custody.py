"""The ledger answers for any VM and any instant: whose, where, beside whom, under which addresses, watched by whom."""

from __future__ import annotations

import shutil
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Table, select
from tests.store.conftest import furnish
from tests.store.ledgers import new_key, place

from ringfence.decide.custody import custody_at, periods
from ringfence.errors import NotFound
from ringfence.model.actors import Actor, ActorKind
from ringfence.model.custody import Address, Custody, Named, Neighbour
from ringfence.model.ledger import Subject
from ringfence.model.vms import VmState
from ringfence.store import accounts, claims, hosts, signing, tables, vms, zones
from ringfence.store.acting import acting
from ringfence.store.custody import custody_entries
from ringfence.store.engine import Session, Store, make_engine

pytestmark = pytest.mark.store

KEY = new_key()
EVE = Actor(kind=ActorKind.PERSON, id="e-1", name="eve", source="192.0.2.9")
ANN = Actor(kind=ActorKind.PERSON, id="a-1", name="ann")


def entries_for(store: Store, vm_id: str):
    place(store, KEY)
    with store.reading() as session:
        return custody_entries(session, vm_id)


def moment(store: Store) -> str:
    """The time of the newest entry."""
    return place(store, KEY)[-1].at


def naive(session: Session, vm_id: str) -> Custody | None:
    """Tell a VM's custody from the tables as they are now, with plain queries; of the viewers nothing."""

    def tell(table: Table, id_: str) -> Named:
        return Named(name=session.execute(select(table.c.name).where(table.c.id == id_)).scalar_one(), id=id_)

    vm = session.execute(select(tables.vms).where(tables.vms.c.id == vm_id)).one_or_none()
    if vm is None:
        return None
    taken = session.execute(select(tables.claims)).all()
    own = {claim.host_id for claim in taken if claim.vm_id == vm_id}
    beside = [claim for claim in taken if claim.host_id in own and claim.vm_id != vm_id]
    ports = session.execute(select(tables.ports).where(tables.ports.c.vm_id == vm_id)).all()
    neighbours = [
        Neighbour(
            vm=tell(tables.vms, claim.vm_id),
            zone=tell(tables.zones, claim.zone_id),
            host=tell(tables.hosts, claim.host_id),
        )
        for claim in beside
    ]
    return Custody(
        vm=Named(name=vm.name, id=vm_id),
        project_id=vm.project_id,
        zone=tell(tables.zones, vm.zone_id),
        owner=vm.owner,
        state=vm.state,
        host=None if vm.host_id is None else tell(tables.hosts, vm.host_id),
        places=tuple(sorted(tell(tables.hosts, host_id) for host_id in own)),
        neighbours=tuple(sorted(neighbours)),
        addresses=tuple(sorted(Address(address=p.address, mac=p.mac, network_id=p.network_id) for p in ports)),
        viewers=(),
    )


def test_a_vm_is_answered_for_from_birth_to_after_its_end(cloud):
    store, h1, h2 = cloud.store, cloud.add_host("h1"), cloud.add_host("h2")
    with acting(ANN):
        vm = cloud.add_vm("web")
    born = moment(store)
    with store.transaction() as session:
        claims.claim(session, vm.id, h1, reason="emptiest")
    alone = moment(store)
    other = cloud.add_vm("db")
    with store.transaction() as session:
        claims.claim(session, other.id, h1, reason="")
    beside = moment(store)
    with store.transaction() as session:
        accounts.person_named(session, "bea@example.org")
        vms.change_vm(session, vm.id, owner="bea@example.org")
        zones.change_zone(session, "red", name="crimson")
    handed = moment(store)
    with store.transaction() as session:
        claims.claim(session, vm.id, h2, reason="a move")
    moving = moment(store)
    with store.transaction() as session:
        claims.settle(session, vm.id, h2, reason="moved")
        claims.release(session, vm.id, h1)
    moved = moment(store)
    with store.transaction() as session:
        vms.forget_vm(session, vm.id)
        vms.forget_vm(session, other.id)
        hosts.remove_host(session, h1)
    entries = entries_for(store, vm.id)
    told = {at: custody_at(vm.id, entries, at) for at in (born, alone, beside, handed, moving, moved)}

    assert custody_at(vm.id, entries, "2000-01-01T00:00:00.000000+00:00") is None
    assert (told[born].owner, told[born].host, told[born].zone.name) == ("ann@example.org", None, "red")
    assert [address.address for address in told[born].addresses] == ["10.1.0.2"]
    assert (told[alone].host, told[alone].neighbours) == (Named(name="h1", id=h1), ())
    assert [(n.vm.name, n.zone.name, n.host.name) for n in told[beside].neighbours] == [("db", "red", "h1")]
    assert (told[handed].owner, told[handed].zone.name) == ("bea@example.org", "crimson")
    assert [place.name for place in told[moving].places] == ["h1", "h2"]
    assert (told[moved].host.name, told[moved].neighbours) == ("h2", ())
    assert custody_at(vm.id, entries, moment(store)) is None
    life = periods(vm.id, entries)
    assert life[0].by == "ann"
    assert life[-1].until is not None
    for one, following in pairwise(life):
        assert one.until == following.since


def test_who_looks_at_a_console_is_told_for_as_long_as_they_do(cloud):
    store, vm = cloud.store, cloud.add_vm("web")
    console = Subject(kind="console", id="s-1", name="web", related_id=vm.id)
    before = moment(store)
    with acting(EVE), store.transaction() as session:
        signing.note(session, "open-console", console, facts={"controller": "c-1"})
    during = moment(store)
    with acting(EVE), store.transaction() as session:
        signing.note(session, "close-console", console)
    after = moment(store)
    entries = entries_for(store, vm.id)
    (viewer,) = custody_at(vm.id, entries, during).viewers
    assert (viewer.name, viewer.id, viewer.source, viewer.since) == ("eve", "e-1", "192.0.2.9", during)
    assert custody_at(vm.id, entries, before).viewers == custody_at(vm.id, entries, after).viewers == ()


def test_a_console_ends_with_the_controller_that_had_it(cloud):
    store, vm = cloud.store, cloud.add_vm("web")
    with acting(EVE), store.transaction() as session:
        for number, controller in enumerate(("c-1", "c-2")):
            console = Subject(kind="console", id=f"s-{number}", name="web", related_id=vm.id)
            signing.note(session, "open-console", console, facts={"controller": controller})
    with store.transaction() as session:
        signing.note(session, "start", Subject(kind="controller", id="c-1", name="controller"))
    entries = entries_for(store, vm.id)
    assert len(custody_at(vm.id, entries, moment(store)).viewers) == 1


def test_a_vm_that_never_was_is_not_found(cloud):
    with pytest.raises(NotFound):
        entries_for(cloud.store, cloud.red.id)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("claim"), st.integers(0, 3), st.integers(0, 2)),
        st.tuples(st.just("release"), st.integers(0, 3), st.integers(0, 2)),
        st.tuples(st.just("settle"), st.integers(0, 3), st.integers(0, 2)),
        st.tuples(st.just("owner"), st.integers(0, 3), st.integers(0, 2)),
        st.tuples(st.just("state"), st.integers(0, 3), st.integers(0, 2)),
        st.tuples(st.just("rename-zone"), st.integers(0, 1), st.integers(0, 2)),
        st.tuples(st.just("forget"), st.integers(0, 3), st.just(0)),
    ),
    max_size=25,
)


@pytest.fixture(scope="module")
def furnished(migrated_sqlite):
    """A database with four VMs and three hosts in it, and their ids."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "furnished.sqlite"
        shutil.copy(migrated_sqlite, path)
        cloud = furnish(Store(make_engine(f"sqlite:///{path}")))
        with cloud.store.transaction() as session:
            zones.change_zone(session, "red", mixes_with=["blue"])
        host_ids = [cloud.add_host(f"h{number}") for number in range(3)]
        vm_ids = [cloud.add_vm(f"v{number}", zone=("red", "blue")[number % 2]).id for number in range(4)]
        cloud.store.close()
        yield path, host_ids, vm_ids


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(steps)
def test_what_the_ledger_tells_of_any_instant_is_what_the_tables_said_then(furnished, script):
    path, host_ids, vm_ids = furnished
    with TemporaryDirectory() as folder:
        shutil.copy(path, Path(folder) / "walk.sqlite")
        store = Store(make_engine(f"sqlite:///{folder}/walk.sqlite"))
        seen: list[tuple[str, list[Custody | None]]] = []
        for number, step in enumerate(script):
            with store.transaction() as session:
                _do(session, step, number, host_ids, vm_ids)
            with store.reading() as session:
                seen.append((moment(store), [naive(session, vm_id) for vm_id in vm_ids]))
        for at, vm_id in enumerate(vm_ids):
            entries = entries_for(store, vm_id)
            for instant, was in seen:
                assert custody_at(vm_id, entries, instant) == was[at]
            for one, following in pairwise(periods(vm_id, entries)):
                assert (one.until, one.custody != following.custody) == (following.since, True)
        store.close()


def _do(session: Session, step: tuple[str, int, int], number: int, host_ids: list[str], vm_ids: list[str]) -> None:
    what, one, other = step
    red = zones.zones(session).items[0].id
    present = {vm.id for vm in vms.all_vms(session)}
    zones.change_zone(session, red, colour=f"c{number}")  # each step has an instant of its own
    if what == "rename-zone":
        zones.change_zone(session, zones.zones(session).items[one].id, name=f"z{one}-{other}")
        return
    vm_id, host_id = vm_ids[one], host_ids[other]
    if vm_id not in present:
        return
    placed = claims.claims_of(session, vm_id)
    if what == "claim":
        claims.claim(session, vm_id, host_id, reason="")
    elif what == "release":
        claims.release(session, vm_id, host_id)
    elif what == "settle" and host_id in placed:
        claims.settle(session, vm_id, host_id, reason="")
    elif what == "owner":
        accounts.person_named(session, f"owner{other}@example.org")
        vms.change_vm(session, vm_id, owner=f"owner{other}@example.org")
    elif what == "state":
        vms.vm_became(session, vm_id, list(VmState)[other])
    elif what == "forget":
        vms.forget_vm(session, vm_id)

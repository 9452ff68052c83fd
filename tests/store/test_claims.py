"""Promise 2 (company) in the database: zones that do not mix never meet on a host, whatever SQL runs, whoever races."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from ringfence.errors import NotFound, RingfenceError, StillUsed, StoreBusy, WrongState
from ringfence.model.hosts import CapacityExceeded, HostFilledUp
from ringfence.model.zones import ZoneForbids
from ringfence.store import claims, flavors, hosts, vms, zones
from ringfence.store.engine import Store, make_engine
from ringfence.store.signing import sign_off

pytestmark = pytest.mark.store

BAD_COMPANY = text(
    "SELECT one.host_id FROM claims AS one JOIN claims AS other ON other.host_id = one.host_id"
    " WHERE one.zone_id < other.zone_id AND NOT EXISTS"
    " (SELECT 1 FROM zone_mixes WHERE zone_a = one.zone_id AND zone_b = other.zone_id)"
)
LEVELS = [
    ("sqlite", "SERIALIZABLE"),
    ("postgresql", "READ COMMITTED"),
    ("postgresql", "REPEATABLE READ"),
    ("postgresql", "SERIALIZABLE"),
]
RAW_CLAIM = text(
    "INSERT INTO claims (vm_id, host_id, zone_id, vcpus, memory_mib, disk_bytes) VALUES (:vm, :host, :zone, 1, 1, 1)"
)


def claim(store: Store, vm_id: str, host_id: str) -> None:
    with store.transaction() as session:
        claims.claim(session, vm_id, host_id, reason="asked for")


@pytest.fixture
def raw(url):
    """The database as somebody has it who does not use our code: plain SQL, the driver's own settings."""
    engine = create_engine(url)
    yield engine
    engine.dispose()


def test_a_claim_beside_a_zone_that_does_not_mix_is_refused_with_the_facts(cloud):
    host = cloud.add_host("h1")
    claim(cloud.store, cloud.add_vm("r").id, host)
    with pytest.raises(ZoneForbids) as refused:
        claim(cloud.store, cloud.add_vm("b", zone="blue").id, host)
    assert refused.value.facts == {"zone": "blue", "host": "h1", "beside": ["red"]}


def test_a_host_that_filled_up_since_it_was_chosen_is_refused_and_keeps_no_claim(cloud):
    host = cloud.add_host("h1")
    first, second = cloud.add_vm("one"), cloud.add_vm("two")

    def claim_expecting(vm_id, claimed_memory_mib):
        with cloud.store.transaction() as session:
            claims.claim(session, vm_id, host, reason="", claimed_memory_mib=claimed_memory_mib)

    claim_expecting(first.id, 0)
    claim_expecting(first.id, 0)
    with pytest.raises(HostFilledUp):
        claim_expecting(second.id, 0)
    with cloud.store.reading() as session:
        assert claims.claims_of(session, second.id) == ()
        claimed = hosts.host(session, host).claimed.memory_mib
    claim_expecting(second.id, claimed)
    with cloud.store.reading() as session:
        assert claims.claims_of(session, second.id) == (host,)


def test_of_two_claims_at_once_for_a_host_chosen_empty_one_is_sent_to_choose_again(cloud):
    host = cloud.add_host("h1")
    wanted = [cloud.add_vm(name).id for name in ("one", "two")]
    both = threading.Barrier(2)

    def race(vm_id):
        both.wait(10)
        try:
            with cloud.store.transaction() as session:
                claims.claim(session, vm_id, host, reason="", claimed_memory_mib=0)
        except HostFilledUp:
            return "again"
        return "taken"

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(race, wanted)) == ["again", "taken"]


def test_zones_that_mix_share_a_host_until_the_mix_is_to_go(cloud):
    host = cloud.add_host("h1")
    with cloud.store.transaction() as session:
        zones.change_zone(session, "red", mixes_with=["blue"])
    red, blue = cloud.add_vm("r"), cloud.add_vm("b", zone="blue")
    claim(cloud.store, red.id, host)
    claim(cloud.store, blue.id, host)
    with pytest.raises(StillUsed) as refused, cloud.store.transaction() as session:
        zones.change_zone(session, "blue", mixes_with=[])
    assert refused.value.used_by == ["host h1"]
    with cloud.store.transaction() as session:
        claims.release(session, blue.id, host)
        assert zones.change_zone(session, "blue", mixes_with=[]).mixes_with == frozenset()


def test_a_claim_over_the_hosts_capacity_is_refused_with_what_is_scarce(cloud):
    host = cloud.add_host("h1", vcpus=8, memory_mib=300)
    claim(cloud.store, cloud.add_vm("one").id, host)
    with pytest.raises(CapacityExceeded) as refused:
        claim(cloud.store, cloud.add_vm("two").id, host)
    assert refused.value.what == "memory"


def test_a_host_that_is_cordoned_takes_no_claim(cloud):
    host = cloud.add_host("h1")
    with cloud.store.transaction() as session:
        hosts.cordon(session, host)
    with pytest.raises(WrongState):
        claim(cloud.store, cloud.add_vm("r").id, host)


def test_the_first_claim_gives_the_vm_its_host_and_a_moves_claim_does_not(cloud):
    one, two = cloud.add_host("h1"), cloud.add_host("h2")
    vm_id = cloud.add_vm("r").id
    with cloud.store.transaction() as session:
        claims.claim(session, vm_id, one, reason="emptiest")
        claims.claim(session, vm_id, one, reason="again")
        claims.claim(session, vm_id, two, reason="a move")
        born = vms.vm(session, vm_id)
        assert (born.host_id, born.placement) == (one, "emptiest")
        claims.settle(session, vm_id, two, reason="moved")
        claims.release(session, vm_id, one)
        claims.release(session, vm_id, one)
        moved = vms.vm(session, vm_id)
        assert (moved.host_id, moved.placement) == (two, "moved")
        claims.release(session, vm_id, two)
        assert vms.vm(session, vm_id).host_id is None


def test_a_vm_settles_only_where_it_has_a_claim(cloud):
    host = cloud.add_host("h1")
    vm_id = cloud.add_vm("r").id
    with pytest.raises(NotFound), cloud.store.transaction() as session:
        claims.settle(session, vm_id, host, reason="no")


def test_sizes_are_the_vms_from_birth_whatever_becomes_of_its_flavor(cloud):
    host = cloud.add_host("h1")
    vm_id = cloud.add_vm("r").id
    with cloud.store.transaction() as session:
        flavors.change_flavor(session, "small", memory_mib=4096)
        claims.claim(session, vm_id, host, reason="")
        assert hosts.host(session, host).claimed.memory_mib == 256
        assert vms.vm_spec(session, vm_id).memory_mib == 256


def test_plain_sql_cannot_bring_zones_together(cloud, raw):
    host = cloud.add_host("h1")
    red, blue = cloud.add_vm("r"), cloud.add_vm("b", zone="blue")
    claim(cloud.store, red.id, host)
    pair = dict(zip(("a", "b"), sorted((cloud.red.id, cloud.blue.id)), strict=True))
    given = {"vm": blue.id, "host": host, "zone": cloud.blue.id, "other": cloud.red.id, "red": red.id, **pair}
    attempts = {
        RAW_CLAIM.text: "zone-forbids",
        # A claim that lies about its VM's zone.
        RAW_CLAIM.text.replace(":zone", ":other"): "claim-of-no-vm",
        # Changing what is there instead.
        "UPDATE claims SET zone_id = :zone WHERE vm_id = :red": "claims-never-change",
        "UPDATE claims SET vcpus = 0 WHERE vm_id = :red": "claims-never-change",
        "UPDATE vms SET zone_id = :other WHERE id = :vm": "vm-zone-and-project-never-change",
    }
    for statement, rule in attempts.items():
        with pytest.raises(DBAPIError, match=f"ringfence:{rule}"), raw.begin() as connection:
            connection.execute(text(statement), given)
    with raw.begin() as connection:
        connection.execute(text("INSERT INTO zone_mixes (zone_a, zone_b) VALUES (:a, :b)"), given)
        connection.execute(RAW_CLAIM, given)
        sign_off(connection)
    for statement in ("DELETE FROM zone_mixes", "UPDATE zone_mixes SET zone_a = zone_b"):
        with pytest.raises(DBAPIError, match="ringfence:mix"), raw.begin() as connection:
            connection.execute(text(statement))


def test_plain_sql_cannot_replace_or_truncate_its_way_round(cloud, raw, dialect):
    vm = cloud.add_vm("r")
    bad = {
        "sqlite": ["INSERT OR REPLACE INTO vms SELECT * FROM vms"],
        "postgresql": ["TRUNCATE zone_mixes", "TRUNCATE claims CASCADE"],
    }
    for statement in bad[dialect]:
        with pytest.raises(DBAPIError, match=r"ringfence:.*never-change"), raw.begin() as connection:
            connection.execute(text(statement))
    with cloud.store.reading() as session:
        assert vms.vm(session, vm.id) == vm


@pytest.mark.parametrize(("dialect", "level"), LEVELS, indirect=["dialect"])
def test_of_two_racing_claims_that_do_not_mix_one_is_refused_at_every_isolation_level(cloud, url, level):
    host = cloud.add_host("h1")
    pairs = [(cloud.add_vm("r"), cloud.red.id), (cloud.add_vm("b", zone="blue"), cloud.blue.id)]
    both_looked = threading.Barrier(2, timeout=20)

    def race(vm_id: str, zone_id: str) -> bool:
        engine = create_engine(url, isolation_level=level)
        try:
            with engine.begin() as connection:
                # Each has its snapshot, and sees an empty host, before either claims it.
                assert connection.execute(text("SELECT count(*) FROM claims")).scalar_one() == 0
                both_looked.wait()
                connection.execute(RAW_CLAIM, {"vm": vm_id, "host": host, "zone": zone_id})
                sign_off(connection)
        except DBAPIError:
            return False
        else:
            return True
        finally:
            engine.dispose()

    with ThreadPoolExecutor(2) as threads:
        won = list(threads.map(lambda pair: race(pair[0].id, pair[1]), pairs))
    assert sorted(won) == [False, True]
    with cloud.store.reading() as session:
        assert session.execute(text("SELECT count(*) FROM claims")).scalar_one() == 1


@pytest.mark.parametrize(("dialect", "level"), LEVELS, indirect=["dialect"])
def test_a_claim_and_the_removal_of_its_mix_never_both_succeed(cloud, url, level):
    host = cloud.add_host("h1")
    red, blue = cloud.add_vm("r"), cloud.add_vm("b", zone="blue")
    with cloud.store.transaction() as session:
        zones.change_zone(session, "red", mixes_with=["blue"])
    claim(cloud.store, red.id, host)
    both_looked = threading.Barrier(2, timeout=20)

    def race(statement: str) -> bool:
        engine = create_engine(url, isolation_level=level)
        try:
            with engine.begin() as connection:
                connection.execute(text("SELECT count(*) FROM claims")).scalar_one()
                connection.execute(text("SELECT count(*) FROM zone_mixes")).scalar_one()
                both_looked.wait()
                connection.execute(text(statement), {"vm": blue.id, "host": host, "zone": cloud.blue.id})
                sign_off(connection)
        except DBAPIError:
            return False
        else:
            return True
        finally:
            engine.dispose()

    with ThreadPoolExecutor(2) as threads:
        won = list(threads.map(race, [RAW_CLAIM.text, "DELETE FROM zone_mixes"]))
    assert sorted(won) == [False, True]
    with cloud.store.reading() as session:
        assert session.execute(BAD_COMPANY).all() == []


def test_racing_claims_through_the_store_end_in_our_own_errors(cloud, url):
    host = cloud.add_host("h1")
    racers = [cloud.add_vm(f"{zone}{number}", zone=zone) for number in range(4) for zone in ("red", "blue")]
    stores = [Store(make_engine(url)) for _ in range(2)]
    start = threading.Barrier(len(racers), timeout=20)

    def race(number: int) -> str:
        start.wait()
        try:
            claim(stores[number % 2], racers[number].id, host)
        except RingfenceError as error:
            return error.code
        return "claimed"

    with ThreadPoolExecutor(len(racers)) as threads:
        told = list(threads.map(race, range(len(racers))))
    for opened in stores:
        opened.close()
    assert sorted(told) == ["claimed"] * 4 + ["zone-forbids"] * 4
    with cloud.store.reading() as session:
        assert session.execute(BAD_COMPANY).all() == []


ZONES, HOSTS, VMS = 3, 2, 6
A_STEP = st.one_of(
    st.tuples(st.just("claim"), st.integers(0, VMS - 1), st.integers(0, HOSTS - 1)),
    st.tuples(st.just("release"), st.integers(0, VMS - 1), st.integers(0, HOSTS - 1)),
    st.tuples(st.just("mix"), st.integers(0, ZONES - 1), st.integers(0, ZONES - 1)),
    st.tuples(st.just("unmix"), st.integers(0, ZONES - 1), st.just(0)),
)
SCRIPTS = st.lists(st.lists(A_STEP, min_size=3, max_size=8), min_size=3, max_size=3)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(scripts=SCRIPTS)
def test_no_interleaving_of_claims_releases_and_mix_edits_reaches_bad_company(cloud, url, scripts):
    with cloud.store.transaction() as session:
        session.execute(text("DELETE FROM claims"))
        session.execute(text("DELETE FROM zone_mixes"))
        known = session.execute(text("SELECT count(*) FROM zones")).scalar_one()
        if known < ZONES:
            zones.add_zone(session, name="green")
    with cloud.store.reading() as session:
        names = [zone.name for zone in zones.zones(session).items]
        born = [vm.id for vm in vms.all_vms(session)]
        ready = [host.id for host in hosts.all_hosts(session)]
    ready = ready or [cloud.add_host(f"h{number}", vcpus=4) for number in range(HOSTS)]
    born = born or [cloud.add_vm(f"v{number}", zone=names[number % ZONES]).id for number in range(VMS)]
    seen_bad: list[object] = []

    def do(session, step) -> None:
        what, one, two = step
        if what == "claim":
            claims.claim(session, born[one], ready[two], reason="")
        elif what == "release":
            claims.release(session, born[one], ready[two])
        else:
            zones.change_zone(session, names[one], mixes_with=[names[two]] if what == "mix" else [])

    def run(script) -> None:
        own = Store(make_engine(url))
        for step in script:
            try:
                with own.transaction() as session:
                    do(session, step)
            except (ZoneForbids, CapacityExceeded, StillUsed, StoreBusy):
                pass
            except RingfenceError as error:
                assert error.code == "stale-revision", error  # noqa: PT017
            with own.reading() as session:
                seen_bad.extend(session.execute(BAD_COMPANY).all())
        own.close()

    with ThreadPoolExecutor(len(scripts)) as threads:
        list(threads.map(run, scripts))
    assert seen_bad == []

"""Quotas hold in the database, whoever races and whatever SQL runs."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from tests.store.conftest import new_vm

from ringfence.errors import Invalid, RingfenceError
from ringfence.model.projects import Quota, QuotaExceeded, Usage
from ringfence.store import projects, quotas, vms
from ringfence.store.engine import Store, make_engine
from ringfence.store.signing import sign_off

pytestmark = pytest.mark.store

MIB = 1 << 20


def allow(cloud, **bounds) -> None:
    with cloud.store.transaction() as session:
        quotas.set_quota(session, "shop", Quota(**bounds))


def used(cloud) -> Usage:
    with cloud.store.reading() as session:
        return quotas.usage_of(session, [cloud.project.id])[cloud.project.id]


@pytest.mark.parametrize(
    ("bounds", "fits", "what", "asked", "spent"),
    [
        ({"vms": 2}, 2, "vms", 1, 2),
        ({"vcpus": 3}, 3, "vcpus", 1, 3),
        ({"memory_mib": 600}, 2, "memory_mib", 256, 512),
        ({"disk_bytes": 2**30 - 1}, 0, "disk_bytes", 2**30, 0),
        ({"ports": 1}, 1, "ports", 1, 1),
        ({"vms": 0, "ports": 5}, 0, "vms", 1, 0),
    ],
)
def test_a_project_gets_what_it_may_have_and_no_more(cloud, bounds, fits, what, asked, spent):
    allow(cloud, **bounds)
    for number in range(fits):
        cloud.add_vm(f"v{number}")
    with pytest.raises(QuotaExceeded) as refused:
        cloud.add_vm("more")
    told = refused.value
    assert (told.project, told.what, told.asked, told.used, told.allowed) == ("shop", what, asked, spent, bounds[what])
    assert used(cloud).vms == used(cloud).ports == fits


def test_a_vm_with_too_many_ports_leaves_nothing(cloud):
    allow(cloud, ports=1)
    with pytest.raises(QuotaExceeded) as refused:
        cloud.add_vm("v", networks=["web", "web"])
    assert (refused.value.what, refused.value.asked, refused.value.used) == ("ports", 2, 0)
    assert used(cloud) == Usage()


def test_what_is_given_back_can_be_had_again(cloud):
    allow(cloud, vms=1, ports=1)
    vm = cloud.add_vm("v0")
    with cloud.store.transaction() as session:
        vms.forget_vm(session, vm.id)
    cloud.add_vm("v1")
    with pytest.raises(QuotaExceeded):
        cloud.add_vm("v2")


def test_a_quota_below_what_there_is_takes_nothing_away_and_gives_nothing_more(cloud):
    cloud.add_vm("v0")
    cloud.add_vm("v1")
    allow(cloud, vms=1)
    with pytest.raises(QuotaExceeded):
        cloud.add_vm("v2")
    assert used(cloud).vms == 2
    allow(cloud)
    cloud.add_vm("v2")


def test_one_projects_quota_is_no_others(cloud):
    allow(cloud, vms=0)
    with cloud.store.transaction() as session:
        projects.add_project(session, name="other", owner="bob")
    cloud.add_vm("v", project="other")


def test_a_bound_below_nothing_is_refused(cloud):
    with pytest.raises(Invalid):
        allow(cloud, vms=-1)


@pytest.mark.parametrize("bounds", [{"vms": 3}, {"vcpus": 3}, {"ports": 3}])
def test_creates_that_race_get_no_more_than_there_is(cloud, url, bounds):
    allow(cloud, **bounds)
    start = threading.Barrier(8, timeout=30)
    stores = [Store(make_engine(url)) for _ in range(2)]

    def create(number: int) -> str:
        start.wait()
        try:
            with stores[number % 2].transaction() as session:
                new_vm(session, f"v{number}")
        except QuotaExceeded as error:
            return error.code
        return "made"

    with ThreadPoolExecutor(8) as threads:
        told = list(threads.map(create, range(8)))
    for each in stores:
        each.close()
    assert (told.count("made"), told.count("quota-exceeded")) == (3, 5)
    assert used(cloud).vms == 3


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_plain_sql_that_races_exceeds_no_quota_at_any_isolation_level(cloud, isolation):
    """Two transactions that both saw room: the second waits for the first, and is then refused or ended."""
    vm = cloud.add_vm("v0")
    allow(cloud, vms=2)
    copied = "owner, zone_id, project_id, flavor_id, image_id, vcpus, memory_mib, disk_bytes, state, labels"
    statement = text(f"INSERT INTO vms (id, name, {copied}) SELECT :id, :id, {copied} FROM vms WHERE id = :vm")
    engine = cloud.store.engine.execution_options(isolation_level=isolation)
    seen = threading.Barrier(2, timeout=20)

    def insert(name: str) -> str:
        try:
            with engine.connect() as connection, connection.begin():
                connection.execute(text("SELECT count(*) FROM vms"))
                seen.wait()
                connection.execute(statement, {"id": name, "vm": vm.id})
                sign_off(connection)
        except DBAPIError as error:
            return "refused" if "quota-exceeded" in str(error) or "serialize" in str(error) else str(error)
        return "made"

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(insert, ["a", "b"])) == ["made", "refused"]


def test_plain_sql_makes_no_vm_larger_than_its_quota_and_a_smaller_one_any_time(cloud):
    cloud.add_vm("v")
    allow(cloud, vcpus=2)
    with pytest.raises(RingfenceError) as refused, cloud.store.transaction() as session:
        session.execute(text("UPDATE vms SET vcpus = 3"))
    assert "quota-exceeded" in str(refused.value)
    with cloud.store.transaction() as session:
        session.execute(text("UPDATE vms SET vcpus = 2"))
    allow(cloud, vcpus=0)
    with cloud.store.transaction() as session:
        session.execute(text("UPDATE vms SET vcpus = 1"))

"""Hosts: what they report, what is left of them, and leaving only when empty."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from tests.store.conftest import beat

from ringfence.errors import NameTaken, NotFound, StillUsed, WrongState
from ringfence.model.hosts import Capacity, Certificate, HostState
from ringfence.store import claims, commands, hosts, vms
from ringfence.store.ids import at
from ringfence.wire import ObserveVms, SeenVm

pytestmark = pytest.mark.store


def test_a_host_is_reachable_for_fifteen_seconds_after_its_heartbeat(cloud):
    with cloud.store.transaction() as session:
        host = hosts.add_host(session, name="h1", underlay_address="192.0.2.1")
        assert (host.last_seen, host.reachable, host.state) == (None, False, HostState.READY)
        hosts.heartbeat(session, host.id, beat())
        assert hosts.host(session, "h1").reachable
        for age, reachable in ((14, True), (16, False)):
            session.execute(text("UPDATE host_reports SET last_seen = :at"), {"at": at(seconds_from_now=-age)})
            assert hosts.host(session, "h1").reachable is reachable


def test_a_heartbeat_tells_capacity_facts_and_vms(cloud):
    seen = SeenVm(vm_id="v", name="r", state="running", zone_id="z", zone="red", mixes_with=("a", "b"))
    host_id = cloud.add_host("h1")
    with cloud.store.transaction() as session:
        hosts.heartbeat(session, host_id, beat(vcpus=4, memory_mib=100, disk_bytes=2**50, seen=(seen,)))
        host = hosts.host(session, host_id)
        assert hosts.host_vms(session, host_id) == (seen,)
    assert (host.total, host.facts) == (Capacity(vcpus=4, memory_mib=100, disk_bytes=2**50), {"kernel": "6.12"})


def test_a_heartbeat_of_a_host_that_was_removed_is_refused(cloud):
    host_id = cloud.add_host("h1")
    with cloud.store.transaction() as session:
        hosts.remove_host(session, host_id)
    with pytest.raises(NotFound), cloud.store.transaction() as session:
        hosts.heartbeat(session, host_id, beat())


def test_a_placement_sees_what_is_left_of_each_host_and_its_zones(cloud):
    one, two = cloud.add_host("h1"), cloud.add_host("h2")
    vm = cloud.add_vm("r")
    with cloud.store.transaction() as session:
        claims.claim(session, vm.id, one, reason="")
        hosts.cordon(session, two)
    with cloud.store.reading() as session:
        first, second = hosts.host_snapshots(session)
    assert (first.id, first.zones, first.free.memory_mib, first.total.memory_mib) == (one, {cloud.red.id}, 7936, 8192)
    assert (second.zones, second.free, second.state) == (frozenset(), second.total, HostState.CORDONED)


def test_a_cordon_comes_and_goes_and_again_is_no_error(cloud):
    cloud.add_host("h1")
    with cloud.store.transaction() as session:
        assert hosts.cordon(session, "h1").state is HostState.CORDONED
        assert hosts.cordon(session, "h1").state is HostState.CORDONED
        assert hosts.uncordon(session, "h1").state is HostState.READY
        hosts.set_host_state(session, "h1", HostState.QUARANTINED)
    with pytest.raises(WrongState), cloud.store.transaction() as session:
        hosts.uncordon(session, "h1")


def certificate(fingerprint):
    return Certificate(serial="1", fingerprint=fingerprint, expires_at=f"until {fingerprint}")


def is_known(session, fingerprint):
    try:
        return bool(hosts.host_by_fingerprint(session, fingerprint))
    except NotFound:
        return False


def test_a_certificate_is_of_one_host_until_it_is_replaced(cloud):
    host_id = cloud.add_host("h1")
    with cloud.store.transaction() as session:
        hosts.set_certificate(session, host_id, certificate("aa"))
        assert hosts.host_by_fingerprint(session, "aa").id == host_id
        hosts.offer_certificate(session, host_id, certificate("next"))
        hosts.set_certificate(session, host_id, certificate("bb"))
        assert [name for name in ("aa", "", "next", "bb") if is_known(session, name)] == ["bb"]


def test_a_renewed_certificate_takes_the_place_of_the_one_before_once_it_is_shown(cloud):
    host_id = cloud.add_host("h1")
    with cloud.store.transaction() as session:
        hosts.set_certificate(session, host_id, certificate("aa"))
        for name in ("lost", "next"):
            hosts.offer_certificate(session, host_id, certificate(name))
        assert [name for name in ("aa", "lost", "next") if is_known(session, name)] == ["aa", "next"]
        assert hosts.host(session, host_id).certificate_expires_at == "until aa"
        for name in ("lost", "next", "next", "aa"):
            hosts.take_certificate(session, host_id, name)
        assert [name for name in ("aa", "lost", "next") if is_known(session, name)] == ["next"]
        host = hosts.host_by_fingerprint(session, "next")
        assert (host.certificate_fingerprint, host.certificate_expires_at) == ("next", "until next")


def test_a_host_with_a_vm_stays_and_an_empty_one_goes_with_its_mailbox_and_certificate(cloud):
    host_id = cloud.add_host("h1")
    vm = cloud.add_vm("r")
    with cloud.store.transaction() as session:
        claims.claim(session, vm.id, host_id, reason="")
        hosts.set_certificate(session, host_id, certificate("aa"))
        commands.add_command(session, host_id, ObserveVms(), key="k", patience_seconds=1)
    with pytest.raises(StillUsed) as refused, cloud.store.transaction() as session:
        hosts.remove_host(session, "h1")
    assert refused.value.used_by == ["VM r"]
    with cloud.store.transaction() as session:
        vms.forget_vm(session, vm.id)
        hosts.remove_host(session, "h1")
        assert session.execute(text("SELECT count(*) FROM commands")).scalar_one() == 0
        with pytest.raises(NotFound):
            hosts.host_by_fingerprint(session, "aa")
    cloud.add_host("h1")


def test_two_hosts_have_two_names(cloud):
    cloud.add_host("h1")
    with pytest.raises(NameTaken):
        cloud.add_host("h1")
    with cloud.store.reading() as session:
        assert [host.name for host in hosts.hosts(session).items] == ["h1"]

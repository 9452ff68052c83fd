"""Zones: names, mixes that are symmetric, revisions, and removal only when unused."""

from __future__ import annotations

import pytest

from ringfence.errors import Invalid, NameTaken, NotFound, StaleRevision, StillUsed
from ringfence.store import vms, zones

pytestmark = pytest.mark.store


def test_a_mix_is_symmetric_whoever_it_was_told_to(cloud):
    with cloud.store.transaction() as session:
        green = zones.add_zone(session, name="green", mixes_with=["red", cloud.blue.id])
        assert green.mixes_with == {cloud.red.id, cloud.blue.id}
        assert zones.zone(session, "red").mixes_with == {green.id}
        zones.change_zone(session, "red", mixes_with=["blue", "red"])
        every = zones.all_zones(session)
    assert every[green.id].mixes_with == {cloud.blue.id}
    assert every[cloud.blue.id].mixes_with == {green.id, cloud.red.id}
    assert every[cloud.red.id].mixes_with == {cloud.blue.id}


def test_a_mix_changes_the_revision_of_both_zones(cloud):
    with cloud.store.transaction() as session:
        assert zones.change_zone(session, "red", mixes_with=["blue"]).revision == cloud.red.revision + 1
        assert zones.zone(session, "blue").revision == cloud.blue.revision + 1
        assert zones.change_zone(session, "red", mixes_with=["blue"]).revision == cloud.red.revision + 1


def test_a_name_is_taken_once(cloud):
    with pytest.raises(NameTaken) as refused, cloud.store.transaction() as session:
        zones.add_zone(session, name="red")
    assert refused.value.facts == {"kind": "zone", "name": "red"}
    with pytest.raises(NameTaken), cloud.store.transaction() as session:
        zones.change_zone(session, "blue", name="red")


def test_a_name_is_a_dns_label(store):
    with pytest.raises(Invalid), store.transaction() as session:
        zones.add_zone(session, name="Red Zone")


def test_an_unknown_zone_is_not_found_by_name_or_id(store):
    for ref in ("none", "01a207dd-0000-7000-8000-000000000000"):
        with pytest.raises(NotFound), store.reading() as session:
            zones.zone(session, ref)


def test_a_change_for_an_old_revision_is_refused(cloud):
    with cloud.store.transaction() as session:
        zones.change_zone(session, "red", revision=1, colour="#f00")
    with pytest.raises(StaleRevision) as refused, cloud.store.transaction() as session:
        zones.change_zone(session, "red", revision=1, colour="#e00")
    assert refused.value.facts == {"kind": "zone", "name": "red", "asked": 1, "current": 2}
    with pytest.raises(StaleRevision), cloud.store.transaction() as session:
        zones.remove_zone(session, "red", revision=1)


def test_a_zone_with_a_vm_stays_and_one_without_goes_with_its_mixes(cloud):
    vm = cloud.add_vm("r")
    with cloud.store.transaction() as session:
        zones.change_zone(session, "red", mixes_with=["blue"])
    with pytest.raises(StillUsed) as refused, cloud.store.transaction() as session:
        zones.remove_zone(session, "red")
    assert refused.value.used_by == ["VM r"]
    with cloud.store.transaction() as session:
        vms.forget_vm(session, vm.id)
        zones.remove_zone(session, "red")
        assert [zone.name for zone in zones.zones(session).items] == ["blue"]
        assert zones.zone(session, "blue").mixes_with == frozenset()


def test_pages_follow_one_another_and_end(store):
    with store.transaction() as session:
        for number in range(5):
            zones.add_zone(session, name=f"z{number}")
    seen, cursor = [], None
    with store.reading() as session:
        while True:
            page = zones.zones(session, limit=2, after=cursor)
            seen += [zone.name for zone in page.items]
            cursor = page.next
            if cursor is None:
                break
    assert seen == [f"z{number}" for number in range(5)]


@pytest.mark.parametrize("bad", [{"limit": 0}, {"limit": 1001}, {"after": "' OR 1=1"}])
def test_a_page_that_makes_no_sense_is_refused(store, bad):
    with pytest.raises(Invalid), store.reading() as session:
        zones.zones(session, **bad)

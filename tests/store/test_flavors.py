"""Flavors: sizes that make sense."""

from __future__ import annotations

import pytest

from ringfence.errors import Invalid, StillUsed
from ringfence.model.flavors import PriorityClass
from ringfence.store import flavors

pytestmark = pytest.mark.store
SIZES = {"vcpus": 1, "memory_mib": 256, "disk_bytes": 2**30}


@pytest.mark.parametrize("bad", [{"vcpus": 0}, {"memory_mib": -1}, {"disk_bytes": 2**63}, {"vcpus": 2**31}])
def test_a_size_that_makes_no_sense_is_refused(store, bad):
    with pytest.raises(Invalid), store.transaction() as session:
        flavors.add_flavor(session, name="odd", **{**SIZES, **bad})


def test_a_flavor_comes_back_as_it_was_added_and_changed(store):
    with store.transaction() as session:
        added = flavors.add_flavor(session, name="big", priority=PriorityClass.HIGH, **SIZES)
        assert flavors.flavor(session, "big") == flavors.flavor(session, added.id) == added
        changed = flavors.change_flavor(session, "big", memory_mib=512, priority=PriorityClass.LOW)
    assert (changed.memory_mib, changed.priority, changed.vcpus, changed.revision) == (512, PriorityClass.LOW, 1, 2)


def test_a_flavor_that_a_vm_has_stays(cloud):
    cloud.add_vm("r")
    with pytest.raises(StillUsed), cloud.store.transaction() as session:
        flavors.remove_flavor(session, "small")

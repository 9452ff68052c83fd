"""Projects: always owned."""

from __future__ import annotations

import pytest

from ringfence.errors import Invalid, NameTaken, StaleRevision, StillUsed
from ringfence.store import networks, projects

pytestmark = pytest.mark.store


@pytest.mark.parametrize("owner", ["", "  ", "x" * 256])
def test_a_project_without_a_proper_owner_is_refused(store, owner):
    with pytest.raises(Invalid), store.transaction() as session:
        projects.add_project(session, name="shop", owner=owner)


def test_a_project_never_loses_its_owner(cloud):
    with pytest.raises(Invalid), cloud.store.transaction() as session:
        projects.change_project(session, "shop", owner="")
    with cloud.store.transaction() as session:
        assert projects.change_project(session, "shop", owner="bob").owner == "bob"


def test_a_project_is_changed_at_its_revision_only(cloud):
    with cloud.store.transaction() as session:
        assert projects.change_project(session, "shop", revision=1, name="store").revision == 2
    with pytest.raises(StaleRevision), cloud.store.transaction() as session:
        projects.change_project(session, "store", revision=1, name="shop")


def test_two_projects_have_two_names(cloud):
    with pytest.raises(NameTaken), cloud.store.transaction() as session:
        projects.add_project(session, name="shop", owner="bob")


def test_a_project_with_a_vm_or_a_network_stays(cloud):
    cloud.add_vm("r")
    with cloud.store.transaction() as session:
        networks.add_network(session, name="own", cidr="10.2.0.0/24", project="shop")
    with pytest.raises(StillUsed) as refused, cloud.store.transaction() as session:
        projects.remove_project(session, "shop")
    assert refused.value.used_by == ["VM r", "network own"]


def test_an_empty_project_goes(store):
    with store.transaction() as session:
        projects.add_project(session, name="shop", owner="ann")
        projects.remove_project(session, "shop")
        assert projects.projects(session).items == ()

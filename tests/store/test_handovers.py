"""A VM gets another owner when that one accepts, and not before."""

from __future__ import annotations

import pytest

from ringfence.errors import Invalid, NotFound, StillUsed
from ringfence.model.access import Role
from ringfence.model.accounts import NotAMember
from ringfence.store import accounts, handovers, members, vms

pytestmark = pytest.mark.store


@pytest.fixture
def vm(cloud):
    with cloud.store.transaction() as session:
        accounts.person_named(session, "stranger")
        for name in ("bob", "eve"):
            accounts.person_named(session, name)
            members.put_member(session, "shop", name, Role.PROJECT_MEMBER)
    return cloud.add_vm("r")


def offer(cloud, vm, to="bob"):
    with cloud.store.transaction() as session:
        return handovers.offer(session, vm.id, to, offered_by="ann@example.org")


def owner(cloud, vm) -> str:
    with cloud.store.reading() as session:
        return vms.vm(session, vm.id).owner


def test_an_offer_changes_nothing_until_it_is_accepted(cloud, vm):
    offered = offer(cloud, vm)
    assert (offered.vm, offered.owner, offered.to) == ("r", "ann@example.org", "bob")
    assert owner(cloud, vm) == "ann@example.org"
    with cloud.store.transaction() as session:
        handovers.accept(session, offered.id)
    assert owner(cloud, vm) == "bob"
    with pytest.raises(NotFound), cloud.store.transaction() as session:
        handovers.accept(session, offered.id)


def test_a_second_offer_replaces_the_first(cloud, vm):
    first = offer(cloud, vm)
    second = offer(cloud, vm, "eve")
    with pytest.raises(NotFound), cloud.store.transaction() as session:
        handovers.accept(session, first.id)
    with cloud.store.transaction() as session:
        handovers.withdraw(session, second.id)
        assert handovers.handovers(session).items == ()
    assert owner(cloud, vm) == "ann@example.org"


def test_a_vm_is_offered_to_members_of_its_project_only_and_not_to_its_owner(cloud, vm):
    with pytest.raises(NotAMember):
        offer(cloud, vm, "stranger")
    with pytest.raises(Invalid):
        offer(cloud, vm, "ann@example.org")
    offered = offer(cloud, vm)
    with cloud.store.transaction() as session:
        members.remove_member(session, "shop", "bob")
    with pytest.raises(NotAMember), cloud.store.transaction() as session:
        handovers.accept(session, offered.id)


def test_an_offer_goes_with_its_vm_and_with_whom_it_was_made_to(cloud, vm):
    offer(cloud, vm)
    with cloud.store.transaction() as session:
        accounts.remove_account(session, "bob")
        assert handovers.handovers(session).items == ()
    offer(cloud, vm, "eve")
    with cloud.store.transaction() as session:
        vms.forget_vm(session, vm.id)
        assert handovers.handovers(session).items == ()


def test_who_accepted_a_vm_stays_until_it_is_handed_over(cloud, vm):
    offered = offer(cloud, vm)
    with cloud.store.transaction() as session:
        handovers.accept(session, offered.id)
    with pytest.raises(StillUsed), cloud.store.transaction() as session:
        accounts.remove_account(session, "bob")


@pytest.mark.usefixtures("vm")
def test_a_vm_is_born_to_a_member_of_its_project(cloud):
    assert cloud.add_vm("of-bob", owner="bob").owner == "bob"
    with pytest.raises(NotAMember):
        cloud.add_vm("of-stranger", owner="stranger")

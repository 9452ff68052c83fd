"""Accounts: roles, owners that stay while they own, and an administrator that always remains."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import text

from ringfence.errors import Invalid, NameTaken, NotFound, RingfenceError, StaleRevision, StillUsed
from ringfence.model.access import Role
from ringfence.model.accounts import AccountKind, LastAdministrator, LastOwner
from ringfence.model.actors import CONTROLLER, Actor, ActorKind
from ringfence.model.operations import OperationKind
from ringfence.store import accounts, members, operations, projects, vms
from ringfence.store.acting import acting
from ringfence.store.engine import Store, make_engine

pytestmark = pytest.mark.store


def add(store, name="ann", *, roles=(), kind=AccountKind.PERSON):
    with store.transaction() as session:
        return accounts.add_account(session, name=name, kind=kind, roles=roles)


@pytest.mark.parametrize("name", ["", "Ann", "ann smith", "-ann", "ann@", "a" * 121, "än", "ann\n"])
def test_an_account_has_a_name_that_cannot_be_mistaken(store, name):
    with pytest.raises(Invalid):
        add(store, name)


@pytest.mark.parametrize("name", ["a", "ann.smith+cloud@bank.example", "x" * 120])
def test_an_account_may_be_named_by_a_mail_address(store, name):
    assert add(store, name).name == name


def test_two_accounts_have_two_names(store):
    add(store)
    with pytest.raises(NameTaken):
        add(store)


def test_an_account_is_changed_at_its_revision_and_keeps_its_name_and_kind(store):
    added = add(store, roles=[Role.AUDITOR])
    with store.transaction() as session:
        changed = accounts.change_account(
            session, "ann", revision=1, email="a@b.example", roles=[Role.SECURITY_OFFICER]
        )
        assert (changed.email, changed.roles, changed.revision) == ("a@b.example", {Role.SECURITY_OFFICER}, 2)
    with pytest.raises(StaleRevision), store.transaction() as session:
        accounts.change_account(session, "ann", revision=1, disabled=True)
    for column, value in (("name", "eve"), ("kind", "service")):
        with pytest.raises(RingfenceError), store.transaction() as session:
            session.execute(text(f"UPDATE accounts SET {column} = '{value}' WHERE id = '{added.id}'"))


def test_a_role_of_projects_is_not_held_in_the_cloud_nor_the_other_way_round(store):
    with pytest.raises(Invalid):
        add(store, roles=[Role.PROJECT_OWNER])
    with store.transaction() as session:
        projects.add_project(session, name="shop", owner="bob")
    with pytest.raises(Invalid), store.transaction() as session:
        members.put_member(session, "shop", "bob", Role.CLOUD_ADMIN)


def test_the_last_administrator_stays_one(store):
    add(store, "ann", roles=[Role.CLOUD_ADMIN])
    add(store, "off", roles=[Role.CLOUD_ADMIN])
    with store.transaction() as session:
        accounts.change_account(session, "off", disabled=True)
    for harm in ({"roles": []}, {"disabled": True}):
        with pytest.raises(LastAdministrator), store.transaction() as session:
            accounts.change_account(session, "ann", **harm)
    with pytest.raises(LastAdministrator), store.transaction() as session:
        accounts.remove_account(session, "ann")
    with store.transaction() as session:
        accounts.change_account(session, "off", disabled=False)
        accounts.remove_account(session, "ann")


def test_of_two_administrators_that_remove_each_other_at_once_one_remains(store, url):
    for name in ("ann", "bob"):
        add(store, name, roles=[Role.CLOUD_ADMIN])
    start, told = threading.Barrier(2, timeout=20), []

    def remove(name: str) -> None:
        own = Store(make_engine(url))
        start.wait()
        try:
            with own.transaction() as session:
                accounts.remove_account(session, name)
        except RingfenceError as error:
            told.append(error.code)
        own.close()

    threads = [threading.Thread(target=remove, args=(name,)) for name in ("ann", "bob")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == 1
    with store.reading() as session:
        assert len(accounts.accounts(session).items) == 1


def test_an_account_that_owns_a_vm_or_a_project_stays(cloud):
    with cloud.store.transaction() as session:
        accounts.person_named(session, "bob")
        members.put_member(session, "shop", "bob", Role.PROJECT_MEMBER)
    cloud.add_vm("r", owner="bob")
    for name, owned in (("bob", ["VM r"]), ("ann@example.org", ["project shop"])):
        with pytest.raises(StillUsed) as refused, cloud.store.transaction() as session:
            accounts.remove_account(session, name)
        assert refused.value.used_by == owned


def test_plain_sql_cannot_leave_a_vm_or_a_project_without_an_account_for_owner(cloud):
    vm = cloud.add_vm("r")
    for statement in (
        "DELETE FROM accounts",
        f"UPDATE vms SET owner = 'nobody' WHERE id = '{vm.id}'",
        "UPDATE projects SET owner = 'nobody'",
        f"INSERT INTO projects (id, name, owner) VALUES ('{vm.id}', 'p', 'nobody')",
    ):
        with pytest.raises(RingfenceError) as refused, cloud.store.transaction() as session:
            session.execute(text(statement))
        assert any(rule in str(refused.value) for rule in ("owner-unknown", "account-owns"))


def test_who_is_given_a_vm_and_removed_at_once_is_not_both(cloud, url):
    """The removal and the gift race; whichever wins, no VM belongs to nobody."""
    vm = cloud.add_vm("r")
    for turn in range(8):
        name = f"bob{turn}"
        add(cloud.store, name)
        start = threading.Barrier(2, timeout=20)

        def give(name: str = name, start: threading.Barrier = start) -> None:
            start.wait()
            with cloud.store.transaction() as session:
                vms.change_vm(session, vm.id, owner=name)

        def remove(name: str = name, start: threading.Barrier = start) -> None:
            own = Store(make_engine(url))
            start.wait()
            try:
                with own.transaction() as session:
                    accounts.remove_account(session, name)
            finally:
                own.close()

        outcomes = run_both(give, remove)
        assert outcomes.count("done") == 1, outcomes
        with cloud.store.transaction() as session:
            accounts.account(session, vms.vm(session, vm.id).owner)
            vms.change_vm(session, vm.id, owner="ann@example.org")


def run_both(*tasks) -> list[str]:
    told: list[str] = []

    def run(task) -> None:
        try:
            task()
        except RingfenceError as error:
            told.append(error.code)
        else:
            told.append("done")

    threads = [threading.Thread(target=run, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return told


def test_a_projects_owner_is_its_member_and_stays_one(cloud):
    with cloud.store.transaction() as session:
        assert [(m.account, m.role) for m in members.members(session, "shop")] == [("ann@example.org", "project-owner")]
    for harm in (
        lambda session: members.remove_member(session, "shop", "ann@example.org"),
        lambda session: members.put_member(session, "shop", "ann@example.org", Role.PROJECT_VIEWER),
    ):
        with pytest.raises(LastOwner), cloud.store.transaction() as session:
            harm(session)
    with cloud.store.transaction() as session:
        projects.change_project(session, "shop", owner="bob")
        members.remove_member(session, "shop", "ann@example.org")
        assert [m.account for m in members.members(session, "shop")] == ["bob"]


def test_a_member_that_owns_a_vm_stays_until_it_is_handed_over(cloud):
    with cloud.store.transaction() as session:
        bob = accounts.person_named(session, "bob")
        members.put_member(session, "shop", "bob", Role.PROJECT_MEMBER)
    vm = cloud.add_vm("r", owner="bob")
    with pytest.raises(StillUsed), cloud.store.transaction() as session:
        members.remove_member(session, "shop", bob.id)
    with cloud.store.transaction() as session:
        vms.change_vm(session, vm.id, owner="ann@example.org")
        members.remove_member(session, "shop", bob.id)
        assert members.role_in(session, cloud.project.id, bob.id) is None
    with pytest.raises(NotFound), cloud.store.transaction() as session:
        members.remove_member(session, "shop", bob.id)


def test_a_membership_ends_with_its_account_and_its_project(cloud):
    with cloud.store.transaction() as session:
        accounts.person_named(session, "bob")
        members.put_member(session, "shop", "bob", Role.PROJECT_VIEWER)
        accounts.remove_account(session, "bob")
        assert [m.account for m in members.members(session, "shop")] == ["ann@example.org"]
        projects.remove_project(session, "shop")
        assert accounts.grants_of(session, accounts.account(session, "ann@example.org").id).projects == {}


def test_an_operation_knows_who_asked_and_acts_on_their_behalf(cloud):
    asker = Actor(kind=ActorKind.PERSON, id="1", name="ann", source="192.0.2.9", reason="patching")
    with acting(asker), cloud.store.transaction() as session:
        added = operations.add_operation(session, kind=OperationKind.VERIFY, subject_id="", subject_name="cloud")
        alone = operations.operation(session, added.id)
    assert alone.asked_by == asker
    assert (alone.actor.kind, alone.actor.on_behalf_of, alone.actor.reason) == (ActorKind.CONTROLLER, "ann", "patching")
    with cloud.store.transaction() as session:
        added = operations.add_operation(session, kind=OperationKind.VERIFY, subject_id="", subject_name="cloud")
    assert (added.asked_by, added.actor) == (None, CONTROLLER)

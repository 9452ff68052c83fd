"""The table of roles, and what is asked of it."""

from __future__ import annotations

import pytest

from ringfence.decide.access import ROLES, Grants, cloud_permissions, may, may_give, projects_where
from ringfence.model.access import Permission, Role, RoleScope
from ringfence.model.accounts import Account, AccountKind
from ringfence.model.names import AccountId, ProjectId

pytestmark = pytest.mark.unit

SHOP, BANK = ProjectId("shop"), ProjectId("bank")
GUESTS = {each for each in Permission if each.startswith("vm:")} - {Permission.VM_READ}


def grants(*roles: Role, disabled: bool = False, scope=None, **projects: Role) -> Grants:
    account = Account(id=AccountId("1"), name="ann", kind=AccountKind.PERSON, roles=frozenset(roles), disabled=disabled)
    held = {ProjectId(name): role for name, role in projects.items()}
    return Grants(account=account, projects=held, scope=None if scope is None else frozenset(scope))


def test_every_role_has_its_row():
    assert set(ROLES) == set(Role)
    assert all(row.about for row in ROLES.values())


def test_an_auditor_changes_nothing_and_reads_all():
    assert ROLES[Role.AUDITOR].permissions == {each for each in Permission if each.endswith(":read")}


def test_a_security_officer_cannot_touch_guests_and_sees_all():
    officer = ROLES[Role.SECURITY_OFFICER].permissions
    assert officer & GUESTS == set()
    assert officer > ROLES[Role.AUDITOR].permissions


def test_a_viewer_changes_nothing_and_no_role_of_a_project_reaches_beyond_it():
    assert all(each.endswith(":read") for each in ROLES[Role.PROJECT_VIEWER].permissions)
    beyond = {"host", "account", "ledger", "cloud", "zone:manage", "image:manage", "flavor:manage", "project:manage"}
    for row in ROLES.values():
        if row.scope is RoleScope.PROJECT:
            assert not [each for each in row.permissions if each in beyond or each.split(":")[0] in beyond]
            assert Permission.VM_PLACE not in row.permissions


def test_who_holds_nothing_may_nothing():
    assert not [each for each in Permission if may(grants(), each) or may(grants(), each, SHOP)]


def test_a_denial_is_false_and_names_what_is_missing():
    denied = may(grants(), Permission.ZONE_READ)
    assert not denied
    assert denied.reason is Permission.ZONE_READ


def test_a_role_in_one_project_says_nothing_of_another():
    owner = grants(shop=Role.PROJECT_OWNER)
    assert [each for each in Permission if may(owner, each, SHOP)] == sorted(
        ROLES[Role.PROJECT_OWNER].permissions, key=list(Permission).index
    )
    assert not [each for each in Permission if may(owner, each, BANK)]
    assert {each for each in Permission if may(owner, each)} == {
        "zone:read",
        "image:read",
        "flavor:read",
        "network:read",
    }
    assert projects_where(owner, Permission.VM_READ) == {SHOP}
    assert projects_where(owner, Permission.HOST_READ) == frozenset()


def test_a_role_held_where_it_does_not_belong_permits_nothing():
    assert cloud_permissions(grants(Role.PROJECT_OWNER)) == frozenset()
    assert not may(grants(shop=Role.CLOUD_ADMIN), Permission.VM_READ, SHOP)


def test_a_disabled_account_may_nothing():
    off = grants(Role.CLOUD_ADMIN, disabled=True, shop=Role.PROJECT_OWNER)
    assert not [each for each in Permission if may(off, each) or may(off, each, SHOP)]
    assert projects_where(off, Permission.VM_READ) == frozenset()


def test_a_scope_narrows_and_never_widens():
    narrow = grants(Role.AUDITOR, scope={Permission.VM_READ, Permission.VM_DELETE}, shop=Role.PROJECT_MEMBER)
    assert {each for each in Permission if may(narrow, each)} == {Permission.VM_READ}
    assert {each for each in Permission if may(narrow, each, SHOP)} == {Permission.VM_READ, Permission.VM_DELETE}
    assert projects_where(narrow, Permission.VM_READ) is None
    assert projects_where(narrow, Permission.VM_DELETE) == {SHOP}
    assert projects_where(narrow, Permission.ZONE_READ) == frozenset()


def test_nobody_gives_a_role_that_may_more_than_they_may():
    owner = grants(shop=Role.PROJECT_OWNER)
    assert may_give(owner, [Role.PROJECT_OWNER], SHOP)
    assert not may_give(owner, [Role.PROJECT_VIEWER], BANK)
    assert not may_give(owner, [Role.AUDITOR])
    assert not may_give(grants(shop=Role.PROJECT_MEMBER), [Role.PROJECT_OWNER], SHOP)
    assert may_give(grants(Role.CLOUD_ADMIN), list(Role))
    assert not may_give(grants(Role.CLOUD_ADMIN, scope={Permission.ACCOUNT_MANAGE}), [Role.AUDITOR])

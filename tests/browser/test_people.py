"""Projects, accounts and what is one's own, as people see them in the web interface."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect
from tests.browser.conftest import OwnSeat, open_context, take_seat
from tests.browser.example import create
from tests.browser.test_pages import serious
from tests.browser.test_roles import token_of
from tests.browser.test_stories import PASSWORD, VM, menu
from tests.controller.tenants import add_person

from ringfence.model.access import Role

pytestmark = pytest.mark.browser


def confirm(page: Page, name: str, verb: str, reason: str = "") -> None:
    """Type the name, and the reason where one is asked for; before, the button is of no use."""
    dialog = page.get_by_role("dialog")
    button = dialog.get_by_role("button", name=verb)
    expect(button).to_be_disabled()
    dialog.get_by_label("to confirm").fill(name)
    if reason:
        expect(button).to_be_disabled()
        dialog.get_by_label("Reason").fill(reason)
    button.click()


def test_a_project_shows_its_members_who_come_get_roles_and_go(own_seat: OwnSeat) -> None:
    own_seat.expected += ["409"]
    add_person(own_seat.cloud, "lin")
    page = own_seat.go("/projects")
    page.get_by_role("link", name="shop", exact=True).click()
    expect(page.get_by_role("heading", name="shop", level=1)).to_be_visible()
    members = page.get_by_role("grid", name="Members")
    row = members.get_by_role("row").filter(has_text="lin")
    expect(members.get_by_role("row").filter(has_text="ada")).to_contain_text("Project owner")
    page.get_by_role("button", name="Add a member").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Account").fill("lin")
    dialog.get_by_label("Role", exact=True).select_option("project-viewer")
    expect(dialog).to_contain_text("no consoles")
    assert serious(page) == []
    dialog.get_by_role("button", name="Add").click()
    expect(row).to_contain_text("Project viewer")
    menu(page, "Actions of lin", "Change role …")
    dialog.get_by_label("Role", exact=True).select_option("project-member")
    dialog.get_by_role("button", name="Save").click()
    expect(row).to_contain_text("Project member")
    menu(page, "Actions of lin", "Remove …")
    confirm(page, "lin", "Remove")
    expect(row).to_have_count(0)
    menu(page, "Actions of ada", "Remove …")
    confirm(page, "ada", "Remove")
    expect(dialog.get_by_test_id("problem")).to_contain_text("last-owner")


def test_a_project_shows_what_it_has_of_its_quota_which_is_changed_there(own_seat: OwnSeat) -> None:
    create(own_seat.cloud, {"name": "web-1", **VM})
    page = own_seat.go("/projects/shop")
    expect(page.get_by_text("1, no bound").first).to_be_visible()
    page.get_by_role("button", name="Change the quota").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("VMs").fill("4")
    dialog.get_by_label("Disk, in GiB").fill("10")
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_text("1 of 4")).to_be_visible()
    expect(page.get_by_text("10 GiB of 10 GiB")).to_be_visible()
    quota = own_seat.cloud.get("/v1/projects/shop")["quota"]
    assert (quota["vms"], quota["disk_bytes"], quota["vcpus"]) == (4, 10 << 30, None)


def test_what_needs_a_reason_asks_for_one_which_the_ledger_keeps_letter_by_letter(own_seat: OwnSeat) -> None:
    # What is removed may be asked for once more while its page is left.
    own_seat.expected += ["404"]
    page = own_seat.go("/projects/intranet")
    page.get_by_role("button", name="Delete …").click()
    confirm(page, "intranet", "Delete", "größer geplant: siehe №7")
    expect(page.get_by_role("heading", name="Projects", level=1)).to_be_visible()
    expect(page.get_by_role("link", name="intranet", exact=True)).to_have_count(0)
    page = own_seat.go("/zones")
    menu(page, "Actions of office", "Delete …")
    confirm(page, "office", "Delete", "never used")
    expect(page.get_by_role("grid", name="Zones")).not_to_contain_text("office")
    page = own_seat.go("/hosts/h4")
    page.get_by_role("button", name="Remove …").click()
    confirm(page, "h4", "Remove", "sold")
    expect(page.get_by_role("grid", name="Hosts")).not_to_contain_text("h4")
    reasons = [entry["reason"] for entry in own_seat.cloud.get("/v1/ledger/entries", limit=1000)["items"]]
    assert {"größer geplant: siehe №7", "never used", "sold"} <= set(reasons)


def test_an_account_is_made_with_a_link_that_is_shown_once_and_opens_the_door(own_seat: OwnSeat, browser) -> None:
    # Whoever opens the link has no session yet.
    own_seat.expected += ["401"]
    page = own_seat.go("/accounts")
    page.get_by_role("button", name="Create account").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox", name="Account").fill("eve@example.org")
    dialog.get_by_label("Auditor").check()
    assert serious(page) == []
    dialog.get_by_role("button", name="Create").click()
    dialog.get_by_role("button", name="Make the link").click()
    link = dialog.get_by_label("The set-up link").input_value()
    assert link.startswith(f"{own_seat.url}/setup#")
    assert serious(page) == []
    dialog.get_by_role("button", name="Done").click()
    assert link.partition("#")[2] not in page.content()
    row = page.get_by_role("grid", name="Accounts").get_by_role("row").filter(has_text="eve@example.org")
    expect(row).to_contain_text("Auditor")
    context = open_context(browser)
    eve = take_seat(own_seat.cloud, context)
    eve.page.goto(link)
    eve.page.get_by_role("textbox", name="Password", exact=True).fill(PASSWORD)
    eve.page.get_by_role("textbox", name="The password again").fill(PASSWORD)
    eve.page.get_by_role("button", name="Set up").click()
    expect(eve.page.get_by_role("heading", name="Overview", level=1)).to_be_visible()
    menu(page, "Actions of eve@example.org", "Lock …")
    dialog.get_by_role("button", name="Lock").click()
    expect(row).to_contain_text("Locked")
    eve.page.reload()
    expect(eve.page.get_by_role("heading", name="Sign in")).to_be_visible()
    context.close()


def test_an_account_has_its_roles_changed_and_is_deleted_unless_it_owns_something(own_seat: OwnSeat) -> None:
    own_seat.expected += ["409"]
    add_person(own_seat.cloud, "lin")
    page = own_seat.go("/accounts")
    row = page.get_by_role("grid", name="Accounts").get_by_role("row").filter(has_text="lin")
    expect(row).to_contain_text("None")
    menu(page, "Actions of lin", "Change …")
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Security officer").check()
    dialog.get_by_label("Name", exact=True).fill("Lin Zhao")
    dialog.get_by_role("button", name="Save").click()
    expect(row).to_contain_text("Security officer")
    expect(row).to_contain_text("Lin Zhao")
    menu(page, "Actions of lin", "Delete …")
    confirm(page, "lin", "Delete")
    expect(row).to_have_count(0)
    create(own_seat.cloud, {"name": "web-1", **VM, "project": "intranet"})
    menu(page, "Actions of grace", "Delete …")
    confirm(page, "grace", "Delete")
    expect(dialog.get_by_test_id("problem")).to_contain_text("VM web-1")
    expect(dialog.get_by_test_id("problem")).to_contain_text("project intranet")


def test_a_member_makes_a_vm_without_being_told_of_hosts(furnished, browser) -> None:
    context = open_context(browser)
    seat = take_seat(furnished, context)
    seat.sign_in(token_of(furnished, "lin", shop=Role.PROJECT_MEMBER))
    page = seat.go("/vms/new")
    following = page.get_by_role("button", name="Next")
    page.get_by_label("Name").fill("web-9")
    expect(page.get_by_label("Project").get_by_role("option")).to_have_text(["Choose a project", "shop"])
    page.get_by_label("Project").select_option("shop")
    page.get_by_label("Zone").select_option("public")
    following.click()
    page.get_by_label("Image").select_option("debian-13")
    page.get_by_label("Flavor").select_option("small")
    following.click()
    page.get_by_label("backbone").check()
    following.click()
    page.get_by_role("button", name="Create", exact=True).click()
    expect(page.get_by_role("heading", name="web-9", level=1)).to_be_visible()
    expect(page.locator("main").get_by_text("Running", exact=True)).to_be_visible()
    assert seat.unexpected() == []
    context.close()

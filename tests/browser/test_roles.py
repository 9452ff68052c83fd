"""Whoever one is: every page one is led to is answered, and what one may not do is not offered."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from tests.browser.conftest import Cloud, open_context, take_seat
from tests.browser.test_pages import serious, settle
from tests.controller.tenants import add_person, store_of

from ringfence.model.access import Role
from ringfence.store import tokens

pytestmark = pytest.mark.browser

OF_CLOUD = ["Overview", "Promises", "Operations", "Ledger", "VMs", "Images", "Flavors", "Hosts", "Fence", "Zones"]
OF_CLOUD += ["Networks", "Projects", "Accounts"]
OF_PROJECT = ["Overview", "Operations", "VMs", "Images", "Flavors", "Fence", "Zones", "Networks", "Projects"]
CREATES = ["Verify now", "Create VM", "Import image", "Create flavor", "Invite a host", "Create policy", "Create zone"]
CREATES += ["Create network", "Create project", "Create account"]
PEOPLE = {
    "admin": ([Role.CLOUD_ADMIN], {}, OF_CLOUD, set(CREATES)),
    "officer": ([Role.SECURITY_OFFICER], {}, OF_CLOUD, {"Verify now", "Create policy", "Create zone"}),
    "auditor": ([Role.AUDITOR], {}, OF_CLOUD, set()),
    "owner": ([], {"shop": Role.PROJECT_OWNER}, OF_PROJECT, {"Create VM", "Create policy", "Create network"}),
    "member": ([], {"shop": Role.PROJECT_MEMBER}, OF_PROJECT, {"Create VM"}),
    "viewer": ([], {"shop": Role.PROJECT_VIEWER}, OF_PROJECT, set()),
    "nobody": ([], {}, ["Overview"], set()),
}


def token_of(cloud: Cloud, name: str, *roles: Role, **projects: Role) -> str:
    add_person(cloud, name, *roles, **projects)
    with store_of(cloud).transaction() as session:
        return tokens.add_token(session, account=name, name="browser")[1]


@pytest.mark.parametrize("who", PEOPLE)
def test_somebody_is_led_to_what_they_may_see_and_offered_what_they_may_do(populated, browser, who: str) -> None:
    cloud, _ = populated
    roles, projects, places, offered = PEOPLE[who]
    context = open_context(browser)
    seat = take_seat(cloud, context)
    page = seat.sign_in(token_of(cloud, f"a-{who}", *roles, **projects))
    nav = page.get_by_role("navigation", name="Pages")
    seen = set()
    for place in places:
        nav.get_by_role("link", name=place, exact=True).click()
        expect(page.get_by_role("heading", name=place, level=1)).to_be_visible()
        settle(page)
        expect(page.get_by_test_id("problem")).to_have_count(0)
        if place == "Fence":
            page.get_by_role("tab", name="Policies").click()
            nothing = page.get_by_role("heading", name="No policy of your projects")
            expect(page.get_by_role("grid", name="Policies").or_(nothing)).to_be_visible()
        buttons = page.locator("main").get_by_role("button").all_inner_texts()
        seen |= {text.strip() for text in buttons} & set(CREATES)
    assert nav.get_by_role("link").all_inner_texts() == places
    assert seen == offered
    assert serious(page) == []
    # Nothing was asked for that is answered by 403 or 404.
    assert seat.unexpected() == []
    context.close()


@pytest.mark.parametrize(
    ("who", "acts"), [("member", ["Start", "Stop", "Console", "Screen", "Delete …"]), ("viewer", [])]
)
def test_a_vm_of_ones_project_offers_what_ones_role_permits(populated, browser, who: str, acts: list[str]) -> None:
    cloud, ids = populated
    context = open_context(browser)
    seat = take_seat(cloud, context)
    seat.sign_in(token_of(cloud, f"vm-{who}", shop=PEOPLE[who][1]["shop"]))
    page = seat.go(f"/vms/{ids['web-1']}")
    expect(page.get_by_role("heading", name="web-1", level=1)).to_be_visible()
    settle(page)
    expect(page.get_by_role("grid", name="History")).to_be_visible()
    expect(page.get_by_role("heading", name="Custody")).to_have_count(0)
    expect(page.get_by_role("button", name="Open console")).to_have_count(1 if acts else 0)
    expect(page.get_by_role("button", name="Edit labels")).to_have_count(1 if acts else 0)
    if acts:
        page.get_by_role("button", name="Actions").click()
        expect(page.get_by_role("menuitem")).to_have_text(acts)
    else:
        expect(page.get_by_role("button", name="Actions")).to_have_count(0)
    assert seat.unexpected() == []
    context.close()


def test_a_projects_owner_makes_a_policy_of_the_project(populated, browser) -> None:
    cloud, _ = populated
    context = open_context(browser)
    seat = take_seat(cloud, context)
    seat.sign_in(token_of(cloud, "boss", shop=Role.PROJECT_OWNER))
    page = seat.go("/fence/policies")
    page.get_by_role("button", name="Create policy").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox", name="Name").fill("shop-among-itself")
    dialog.get_by_label("Of").select_option("shop")
    dialog.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("grid", name="Policies")).to_contain_text("shop-among-itself")
    [made] = [one for one in cloud.get("/v1/policies")["items"] if one["name"] == "shop-among-itself"]
    assert (made["project"], made["source"]["project"], made["target"]["project"]) == ("shop", "shop", "shop")
    assert seat.unexpected() == []
    context.close()

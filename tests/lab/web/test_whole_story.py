"""What two people see in the browser of a cloud whose hosts and guests are real; each probe asks the guest itself."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect
from tests.browser.test_pages import look
from tests.browser.test_stories import menu
from tests.lab.tenants import address
from tests.lab.web.conftest import OPERATION_MS

from ringfence.lab.probes import ECHO_PORT, OTHER_PORT, tcp_echoes

pytestmark = pytest.mark.lab

ADMIN, OTHERS_OWNER = "ada@cloud.example", "bert@shop.example"


def test_a_vm_is_made_typed_at_fenced_moved_and_answered_for_and_is_nothing_to_others(tenants, sit_down) -> None:
    cloud = tenants.cloud
    caller = tenants.vm("red")
    page = sit_down(ADMIN).page
    vm_id = _create(page, f"{cloud.url}/vms/new")
    vm = cloud.client.get(f"/v1/vms/{vm_id}")
    # Its shell answers, so the guest is up; the line is left to the browser.
    cloud.shell(vm).close()
    _type(page)
    shell = tenants.shell(caller)
    _fence(page, cloud.url, lambda port: tcp_echoes(shell, address(vm), port))
    came_from, went_to = _move(page, f"{cloud.url}/vms/{vm_id}")
    assert cloud.client.get(f"/v1/vms/{vm_id}")["host"] == went_to
    custody = page.get_by_role("grid", name="Custody")
    for told in (ADMIN, came_from, went_to, caller["name"], address(vm)):
        expect(custody).to_contain_text(told)
    look(page, "lab-custody", "light")
    _others_see_nothing(sit_down(OTHERS_OWNER), vm_id)


def _create(page: Page, url: str) -> str:
    page.goto(url)
    following = page.get_by_role("button", name="Next")
    page.get_by_label("Name").fill("vault")
    page.get_by_label("Project").select_option("ledger")
    page.get_by_label("Zone").select_option("red")
    following.click()
    page.get_by_label("Image").select_option("tiny")
    page.get_by_label("Flavor").select_option("tiny")
    following.click()
    page.get_by_label("overlay").check()
    page.get_by_label("Labels").fill("app=vault")
    following.click()
    expect(page.get_by_role("grid", name="Where it could run")).to_contain_text("Yes, the first choice")
    following.click()
    page.get_by_role("button", name="Create", exact=True).click()
    expect(page.get_by_role("heading", name="vault", level=1)).to_be_visible()
    expect(page.get_by_role("grid", name="Custody")).to_contain_text("Running", timeout=OPERATION_MS)
    look(page, "lab-vm", "light")
    return page.url.rpartition("/")[2]


def _type(page: Page) -> None:
    page.get_by_role("button", name="Open console").click()
    expect(page.get_by_text("Connected")).to_be_visible()
    # The sum is not among what is typed: who says it has done it.
    page.keyboard.type("echo $(hostname) says $((40+2))\n")
    expect(page.locator(".rf-terminal .xterm-rows")).to_contain_text("vault says 42")
    look(page, "lab-console", "light")
    page.keyboard.press("Control+]")


def _fence(page: Page, url: str, echoes) -> None:
    """Open one port, then another instead, then the first again."""
    page.goto(f"{url}/fence/policies")
    assert not echoes(ECHO_PORT)
    page.get_by_role("button", name="Create policy").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("to-vault")
    dialog.get_by_label("Zone").first.select_option("red")
    dialog.get_by_label("Labels").last.fill("app=vault")
    _apply(page, ECHO_PORT, "Opens 1 pair")
    assert echoes(ECHO_PORT)
    menu(page, "Actions of to-vault", "Change …")
    _apply(page, OTHER_PORT, "alters")
    assert not echoes(ECHO_PORT)
    look(page, "lab-policies", "light")
    menu(page, "Actions of to-vault", "Change …")
    _apply(page, ECHO_PORT, "alters")
    assert echoes(ECHO_PORT)
    page.get_by_role("tab", name="Who may call whom").click()
    cell = re.compile(f"ledger in red calls ledger in red: tcp {ECHO_PORT}")
    expect(page.get_by_role("button", name=cell)).to_be_visible()
    look(page, "lab-matrix", "light")


def _apply(page: Page, port: int, effect: str) -> None:
    """Have the policy that is being written open this port, and wait until it does."""
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Ports").fill(str(port))
    expect(dialog.get_by_test_id("effect")).to_contain_text(effect)
    dialog.get_by_role("button", name=re.compile("^Apply")).click()
    expect(page.get_by_role("grid", name="Policies")).to_contain_text(f"tcp {port}")
    _see_done(page, "to-vault")


def _see_done(page: Page, subject: str) -> None:
    """Wait until the page tells that what was begun is done, and put that away."""
    done = page.get_by_label("What goes on").locator(".pf-m-success").filter(has_text=subject)
    done.get_by_role("button", name="Close").click(timeout=OPERATION_MS)
    expect(done).to_have_count(0)


def _move(page: Page, url: str) -> tuple[str, str]:
    """Move the VM to a host that the page offers; gives both hosts."""
    page.goto(url)
    here = page.get_by_role("link", name=re.compile("^host[123]$"))
    came_from = here.inner_text()
    went_to = "host1" if came_from != "host1" else "host2"
    menu(page, "Actions", "Move …")
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("To").select_option(went_to)
    dialog.get_by_role("button", name="Move", exact=True).click()
    expect(page.get_by_role("grid", name="Custody")).to_contain_text("Moving")
    look(page, "lab-moving", "light")
    _see_done(page, "vault")
    expect(here).to_have_text(went_to)
    moved = page.get_by_role("grid", name="History").get_by_role("row").filter(has_text="Move VM")
    expect(moved).to_contain_text("Done")
    return came_from, went_to


def _others_see_nothing(seat, vm_id: str) -> None:
    """Somebody of another project is told of no such VM, on its page, at its console, and in the list."""
    # What the cloud runs on is not theirs to see either.
    seat.expected += ["404", "/v1/overview", "/v1/hosts"]
    page = seat.go("/vms")
    expect(page.get_by_text("No VM yet")).to_be_visible()
    page = seat.go(f"/vms/{vm_id}")
    expect(page.get_by_test_id("problem").first).to_contain_text("not-found")
    look(page, "lab-others", "light")
    page = seat.go(f"/vms/{vm_id}/console")
    expect(page.get_by_test_id("problem")).to_contain_text("not-found")

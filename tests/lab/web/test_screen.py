"""A real guest's screen in the browser, through a host that listens on nothing for it."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from tests.browser.rfb import colours
from tests.browser.test_pages import look

pytestmark = pytest.mark.lab


def test_a_screen_shows_the_guest_takes_keys_moves_along_and_nothing_listens_for_it(tenants, admin_seat) -> None:
    cloud, page = tenants.cloud, admin_seat.page
    vm = tenants.vm("red")
    shell = tenants.shell(vm)
    quiet = _listeners(cloud, vm["host"])
    page.goto(f"{cloud.url}/vms/{vm['id']}")
    page.get_by_role("button", name="Open screen").click()
    expect(page.get_by_text("Connected")).to_be_visible()
    assert colours(page) > 1
    assert _listeners(cloud, vm["host"]) == quiet
    # As fast as people type: a PS/2 keyboard holds 16 codes for a guest that is slow to fetch them.
    page.keyboard.type("touch /tmp/typed\n", delay=100)
    shell.run("until [ -e /tmp/typed ]; do usleep 100000; done", timeout_seconds=30)
    look(page, "lab-screen", "light")
    shell.close()
    # Who looks holds no move up; the line ends with the VM's process there, and is joined anew here.
    moved = tenants.move(vm)
    assert moved["state"] == "done", moved["error"]
    expect(page.get_by_text("The screen has ended")).to_be_visible()
    page.get_by_role("button", name="Connect again").click()
    expect(page.get_by_text("Connected")).to_be_visible()
    assert colours(page) > 1
    seen_by = cloud.client.get(f"/v1/vms/{vm['id']}/custody")["periods"][-1]["viewers"]
    assert [viewer["name"] for viewer in seen_by] == ["bootstrap"]


def _listeners(cloud, host: str) -> set[str]:
    """What listens on the host, in its own network and in its file system."""
    lines = cloud.on_host(host, ["ss", "-Hlntxp"]).splitlines()
    assert [line for line in lines if line.startswith("tcp") and "qemu" in line] == []
    return {line.split()[4] for line in lines}

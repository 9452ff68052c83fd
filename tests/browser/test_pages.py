"""Every page in both themes: no serious finding of axe, nothing the browser objects to, a picture kept of each."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect
from tests.browser.conftest import ROOT, SCREENSHOTS, OwnSeat, take_seat

pytestmark = pytest.mark.browser

AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
PAGES = {
    "overview": "/",
    "promises": "/promises",
    "operations": "/operations",
    "ledger": "/ledger",
    "entry": "/ledger/20",
    "vms": "/vms",
    "vm": "/vms/{vm}",
    "vm-create": "/vms/new",
    "console": "/vms/{vm}/console",
    "screen": "/vms/{vm}/screen",
    "images": "/images",
    "flavors": "/flavors",
    "hosts": "/hosts",
    "host": "/hosts/h1",
    "fence-picture": "/fence/picture",
    "fence-matrix": "/fence/matrix",
    "fence-policies": "/fence/policies",
    "zones": "/zones",
    "networks": "/networks",
    "projects": "/projects",
    "project": "/projects/shop",
    "accounts": "/accounts",
    "account": "/account",
    "not-found": "/nowhere",
}
THEMES = ("dark", "light")


def serious(page: Page) -> list[str]:
    """What axe finds that keeps somebody out."""
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']}: {one['help']} ({one['nodes'][0]['html'][:160]} {one['nodes'][0]['failureSummary'][:200]})"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]


def settle(page: Page) -> None:
    """Wait until everything that was asked for is there."""
    page.locator("main h1").wait_for()
    expect(page.locator(".rf-loading")).to_have_count(0)
    expect(page.get_by_role("status").filter(has_text="Live")).to_be_visible()


STILL = """() => Promise.allSettled(
  document.getAnimations().filter((a) => a.effect.getComputedTiming().iterations < 9).map((a) => a.finished))"""
"""Waits until colours have faded into one another; a spinner never ends, and is not waited for."""


def look(page: Page, name: str, theme: str) -> None:
    page.evaluate(STILL)
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}-{theme}.png")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_keeps_nobody_out_in_either_theme(tour: OwnSeat, name: str) -> None:
    page = tour.go(PAGES[name].format(vm=tour.ids["web-1"]))
    settle(page)
    for theme in THEMES:
        page.get_by_role("button", name=f"Switch to the {theme} theme").click()
        look(page, name, theme)
        assert serious(page) == [], theme


def test_the_sign_in_page_keeps_nobody_out_in_either_theme(populated, context) -> None:
    seat = take_seat(populated[0], context)
    seat.expected += ["401"]
    for theme in THEMES:
        seat.page.emulate_media(color_scheme=theme)
        page = seat.go("/login")
        page.get_by_role("button", name="Sign in", exact=True).wait_for()
        look(page, "sign-in", theme)
        assert serious(page) == [], theme
    assert seat.unexpected() == []

"""Debian's Chromium before a real controller. A page that breaks its own rules fails whatever test it is in."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from tests.browser.example import furnish, populate
from tests.controller.conftest import Cloud, loop, settings_for, start_cloud

from ringfence.controller import web

__all__ = ["loop"]

ROOT = Path(__file__).resolve().parents[2]
SCREENSHOTS = ROOT / "build" / "screenshots"
# As root, and without asking anyone for anything.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass(kw_only=True)
class Seat:
    """Somebody at a browser. `complaints` are what the browser objected to: scripts, policies, requests."""

    url: str
    page: Page
    complaints: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)
    """Parts of complaints that a test provokes."""

    def __post_init__(self) -> None:
        self.page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        self.page.on(
            "console",
            lambda told: (
                self.complaints.append(f"{told.text} ({told.location['url']})")
                if told.type in ("error", "warning")
                else None
            ),
        )
        self.page.on(
            "request",
            lambda asked: (
                None
                if asked.url.startswith((self.url, self.url.replace("http", "ws", 1), "data:", "blob:"))
                else self.complaints.append(f"asked a stranger: {asked.url}")
            ),
        )

    def go(self, path: str) -> Page:
        self.page.goto(f"{self.url}{path}")
        return self.page

    def sign_in(self, token: str) -> Page:
        self.page.goto(f"{self.url}/")
        self.page.get_by_role("button", name="Sign in with an API token").click()
        self.page.get_by_label("API token").fill(token)
        self.page.get_by_role("button", name="Sign in", exact=True).click()
        self.page.get_by_role("heading", name="Overview", level=1).wait_for()
        # Nobody was signed in before: that the controller said so is no complaint.
        self.complaints = [one for one in self.complaints if "401" not in one]
        return self.page

    def unexpected(self) -> list[str]:
        return [one for one in self.complaints if not any(part in one for part in self.expected)]


@dataclass(kw_only=True)
class OwnSeat(Seat):
    """Before a controller in the tests' own process."""

    cloud: Cloud
    ids: dict[str, str] = field(default_factory=dict)


PATIENCE_MS = 15_000
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A module's own: while Playwright runs, its event loop runs in this thread, and no later test could have one."""
    assert web.is_built(), "run `make web` first"
    chromium = shutil.which("chromium")
    assert chromium is not None, "these tests need Debian's chromium: `make test` installs it"
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield running
        running.close()


@pytest.fixture(scope="module")
def populated(loop, tmp_path_factory) -> Iterator[tuple[Cloud, dict[str, str]]]:
    """A cloud to look at. Those who change something take one of their own, in another module: one runs at a time."""
    running = start_cloud(loop, settings_for(tmp_path_factory.mktemp("populated") / "data"))
    furnish(running)
    yield running, populate(running)
    running.close()


@pytest.fixture
def furnished(loop, tmp_path) -> Iterator[Cloud]:
    """A cloud with hosts and everything else that a VM needs."""
    running = start_cloud(loop, settings_for(tmp_path / "data"))
    furnish(running)
    yield running
    running.close()


@pytest.fixture
def empty(loop, tmp_path) -> Iterator[Cloud]:
    """A cloud as it is first started."""
    running = start_cloud(loop, settings_for(tmp_path / "data"))
    yield running
    running.close()


def open_context(browser: Browser) -> BrowserContext:
    opened = browser.new_context(
        viewport={"width": 1440, "height": 900}, reduced_motion="reduce", locale="en-GB", color_scheme="light"
    )
    opened.set_default_timeout(PATIENCE_MS)
    return opened


@pytest.fixture
def context(browser) -> Iterator[BrowserContext]:
    opened = open_context(browser)
    yield opened
    opened.close()


def take_seat(cloud: Cloud, context: BrowserContext, ids: dict[str, str] | None = None) -> OwnSeat:
    return OwnSeat(url=cloud.controller._parts.page_url, page=context.new_page(), cloud=cloud, ids=ids or {})


@pytest.fixture(scope="module")
def long_seat(populated, browser) -> Iterator[OwnSeat]:
    cloud, ids = populated
    context = open_context(browser)
    seat = take_seat(cloud, context, ids)
    seat.sign_in(seat.cloud.token)
    yield seat
    context.close()


@pytest.fixture
def tour(long_seat) -> Iterator[OwnSeat]:
    """Signed in to the populated cloud, to go from page to page in it."""
    long_seat.complaints.clear()
    yield long_seat
    assert long_seat.unexpected() == []


@pytest.fixture
def own_seat(furnished, context) -> Iterator[OwnSeat]:
    """Signed in to a furnished cloud of one's own."""
    seat = take_seat(furnished, context)
    seat.sign_in(seat.cloud.token)
    yield seat
    assert seat.unexpected() == []


@pytest.fixture
def strangers_seat(empty, context) -> Iterator[OwnSeat]:
    """At the sign-in page of an empty cloud."""
    seat = take_seat(empty, context)
    yield seat
    assert seat.unexpected() == []


@pytest.fixture
def first_seat(empty, context) -> Iterator[OwnSeat]:
    """Signed in to an empty cloud."""
    seat = take_seat(empty, context)
    seat.sign_in(seat.cloud.token)
    yield seat
    assert seat.unexpected() == []

"""Chromium before the lab's controller, behind which are real hosts with real guests."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

import pytest
from playwright.sync_api import expect
from tests.browser.conftest import Seat, browser, open_context

from ringfence.lab import commands
from ringfence.lab.joined import Cloud

__all__ = ["browser"]

PASSWORD = "nine violet tractors hum"
OPERATION_MS = 90_000
"""How long an operation may take on hosts without hardware acceleration."""


@pytest.fixture
def sit_down(cloud: Cloud, browser) -> Iterator[Callable[[str], Seat]]:
    """Have a person choose a password by a set-up link of the controller's, in a browser of their own.

    The first one becomes the administrator, as in every new cloud.
    """
    seats: list[Seat] = []
    with ExitStack() as stack:

        def sit(account: str) -> Seat:
            context = open_context(browser)
            stack.callback(context.close)
            seat = Seat(url=cloud.url, page=context.new_page())
            first = not seats
            seats.append(seat)
            # Nobody is signed in at first.
            seat.expected += ["401"]
            page = seat.go(_setup_path(cloud, [] if first else ["--account", account]))
            if first:
                page.get_by_role("textbox", name="Account").fill(account)
            page.get_by_role("textbox", name="Password", exact=True).fill(PASSWORD)
            page.get_by_role("textbox", name="The password again").fill(PASSWORD)
            page.get_by_role("button", name="Set up").click()
            expect(page.locator("main h1")).to_be_visible()
            return seat

        yield sit
    assert [one for seat in seats for one in seat.unexpected()] == []


@pytest.fixture
def admin_seat(cloud: Cloud, browser) -> Iterator[Seat]:
    """Signed in as the lab's own administrator."""
    context = open_context(browser)
    seat = Seat(url=cloud.url, page=context.new_page())
    seat.sign_in(cloud.token_file.read_text().strip())
    yield seat
    context.close()
    assert seat.unexpected() == []


def _setup_path(cloud: Cloud, whose: Sequence[str]) -> str:
    said = commands.run([*cloud.controller_argv(), "setup-link", *whose], timeout_seconds=60)
    found = re.search(r"/setup#\S+", said.out)
    assert found is not None, said.out
    return found[0]

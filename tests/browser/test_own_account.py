"""What is one's own, as a person sees it: ways to sign in, tokens, passkeys, sessions, the password."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest
from playwright.sync_api import Page, Route, expect
from tests.browser.conftest import OwnSeat, open_context, take_seat
from tests.browser.test_pages import look, serious
from tests.browser.test_people import confirm
from tests.browser.test_stories import PASSWORD
from tests.controller.conftest import Cloud, settings_for, start_cloud
from tests.controller.provider import CLIENT, SECRET, SmallProvider, small_provider
from tests.controller.tenants import add_person
from tests.controller.test_signing_in import link_for

from ringfence.controller.settings import Address
from ringfence.model.access import Role

pytestmark = pytest.mark.browser

GRACE = {"sub": "1", "preferred_username": "grace", "name": "Grace Hopper", "email": "grace@example.org"}


@pytest.fixture(scope="module")
def provider() -> Iterator[SmallProvider]:
    with small_provider() as running:
        running.user = {**GRACE, "email_verified": True, "groups": ["ops"]}
        yield running


@pytest.fixture
def named(loop, tmp_path, provider) -> Iterator[Cloud]:
    """A cloud that people reach by a name, which passkeys need, and whose organisation has a sign-on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    secret = tmp_path / "client-secret"
    secret.write_text(SECRET + "\n")
    settings = settings_for(
        tmp_path / "data",
        public_url=f"http://localhost:{port}",
        oidc_issuer=provider.issuer,
        oidc_client_id=CLIENT,
        oidc_client_secret_file=str(secret),
        oidc_roles=(("ops", Role.CLOUD_ADMIN),),
    )
    running = start_cloud(loop, replace(settings, listen=Address(host="127.0.0.1", port=port)))
    yield running
    running.close()


@pytest.fixture
def seat(named, context, provider) -> Iterator[OwnSeat]:
    """At the sign-in page; ada has a link that nobody used yet."""
    add_person(named, "ada", Role.CLOUD_ADMIN)
    seat = take_seat(named, context)
    # Nobody is signed in at first, and the organisation's sign-on is elsewhere.
    seat.expected += ["401", provider.issuer]
    yield seat
    assert seat.unexpected() == []


def set_up(seat: OwnSeat, account: str = "ada") -> Page:
    """Open the account's set-up link and choose a password."""
    page = seat.go(f"/setup{link_for(seat.cloud, account)}")
    page.get_by_role("textbox", name="Password", exact=True).fill(PASSWORD)
    page.get_by_role("textbox", name="The password again").fill(PASSWORD)
    page.get_by_role("button", name="Set up").click()
    expect(page.get_by_role("heading", name="Overview", level=1)).to_be_visible()
    return page


def sign_out(page: Page) -> None:
    page.get_by_role("button", name="My account").click()
    page.get_by_role("menuitem", name="Sign out").click()


def add_authenticator(page: Page) -> None:
    """Plug in a key that sees its user and confirms whatever it is asked."""
    wire = page.context.new_cdp_session(page)
    wire.send("WebAuthn.enable")
    looks = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True}
    sees = {"hasUserVerification": True, "isUserVerified": True, "automaticPresenceSimulation": True}
    wire.send("WebAuthn.addVirtualAuthenticator", {"options": looks | sees})


def test_nothing_takes_the_focus_from_a_password_that_is_being_typed(seat: OwnSeat) -> None:
    page, held = seat.page, []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/v1/setup", hold)
    with page.expect_request("**/v1/setup"):
        seat.go(f"/setup{link_for(seat.cloud, 'ada')}")
    expect(page.get_by_role("heading", name="Choose your password")).to_be_visible()
    expect(page.get_by_role("textbox")).to_have_count(0)
    held[0].continue_()
    expect(page.get_by_role("textbox", name="Password", exact=True)).to_be_visible()
    expect(page.get_by_role("textbox", name="Account")).to_be_focused()


def test_a_token_is_made_narrow_shown_once_and_deleted(own_seat: OwnSeat) -> None:
    page = own_seat.go("/account")
    page.get_by_role("button", name="Make a token").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("nightly")
    dialog.get_by_label("Ends").select_option("30")
    dialog.get_by_label("Only what is chosen here").check()
    expect(dialog.get_by_role("button", name="Make")).to_be_disabled()
    dialog.get_by_label("zone:read").check()
    assert serious(page) == []
    with page.expect_response(lambda answer: answer.url.endswith("/v1/tokens") and answer.status == 201) as made:
        dialog.get_by_role("button", name="Make").click()
    secret = dialog.get_by_label("The token's secret").input_value()
    assert secret not in made.value.text(), "the web server never has it"
    headers = {"Authorization": f"Bearer {secret}"}
    assert httpx.get(f"{own_seat.url}/v1/zones", headers=headers).status_code == 200
    assert httpx.get(f"{own_seat.url}/v1/hosts", headers=headers).status_code == 403
    dialog.get_by_role("button", name="Done").click()
    row = page.get_by_role("grid", name="My API tokens").get_by_role("row").filter(has_text="nightly")
    expect(row).to_contain_text("zone:read")
    page.reload()
    expect(row).to_be_visible()
    assert secret not in page.content()
    row.get_by_role("button", name="Delete token nightly").click()
    confirm(page, "nightly", "Delete")
    expect(row).to_have_count(0)
    assert httpx.get(f"{own_seat.url}/v1/zones", headers=headers).status_code == 401


def test_a_passkey_is_added_signs_in_alone_and_after_the_password_and_is_removed(seat: OwnSeat) -> None:
    page = set_up(seat)
    add_authenticator(page)
    # After the password, the passkey is asked for: that is no complaint.
    seat.expected += ["428"]
    seat.go("/account")
    page.get_by_role("button", name="Add a passkey").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("my laptop")
    dialog.get_by_role("button", name="Add").click()
    row = page.get_by_role("grid", name="My passkeys").get_by_role("row").filter(has_text="my laptop")
    expect(row).to_contain_text("Never")
    assert serious(page) == []
    sign_out(page)
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("My account")
    expect(page.get_by_role("grid", name="My sessions")).to_contain_text("Passkey")
    sign_out(page)
    page.get_by_role("textbox", name="Account").fill("ada")
    page.get_by_role("textbox", name="Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("grid", name="My sessions")).to_contain_text("Password+passkey")
    row.get_by_role("button", name="Remove the passkey my laptop").click()
    confirm(page, "my laptop", "Remove")
    expect(row).to_have_count(0)


def test_somebody_without_a_passkey_is_told_what_to_do(seat: OwnSeat) -> None:
    page = seat.go("/login")
    # It has no passkey yet.
    add_authenticator(page)
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_test_id("problem")).to_contain_text("passkey-not-given")


def test_the_organisations_sign_on_lets_its_people_in(seat: OwnSeat, provider) -> None:
    page = seat.go("/login")
    way = page.get_by_role("link", name="Sign in with your organisation")
    expect(way).to_be_visible()
    look(page, "sign-in-all-ways", "light")
    assert serious(page) == []
    provider.forge = lambda claims: claims | {"nonce": "another"}
    way.click()
    expect(page.get_by_test_id("problem")).to_contain_text("provider-denied")
    expect(page).to_have_url(f"{seat.url}/login")
    provider.forge = lambda claims: claims
    way.click()
    expect(page.get_by_role("heading", name="Overview", level=1)).to_be_visible()
    seat.go("/account")
    expect(page.get_by_text("grace@example.org")).to_be_visible()
    expect(page.get_by_role("grid", name="My sessions")).to_contain_text("Provider")


def test_a_way_that_is_not_there_is_not_offered(strangers_seat: OwnSeat) -> None:
    strangers_seat.expected += ["401"]
    page = strangers_seat.go("/login")
    expect(page.get_by_text("open the set-up link")).to_be_visible()
    expect(page.get_by_role("button", name="Sign in", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Sign in with a passkey")).to_have_count(0)
    expect(page.get_by_role("link", name="Sign in with your organisation")).to_have_count(0)


def test_changing_the_password_ends_my_other_sessions_and_each_can_be_ended_by_hand(seat: OwnSeat, browser) -> None:
    page = set_up(seat)
    elsewhere = [open_context(browser), open_context(browser)]
    others = []
    for context in elsewhere:
        other = take_seat(seat.cloud, context).page
        other.goto(f"{seat.url}/login")
        other.get_by_role("textbox", name="Account").fill("ada")
        other.get_by_role("textbox", name="Password").fill(PASSWORD)
        other.get_by_role("button", name="Sign in", exact=True).click()
        expect(other.get_by_role("heading", name="Overview", level=1)).to_be_visible()
        others.append(other)
    seat.go("/account")
    sessions = page.get_by_role("grid", name="My sessions").locator("tbody tr")
    expect(sessions).to_have_count(3)
    page.get_by_role("button", name="End the session").first.click()
    expect(sessions).to_have_count(2)
    page.get_by_role("button", name="Change my password").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Current password").fill(PASSWORD)
    dialog.get_by_role("textbox", name="New password", exact=True).fill("six amber ladders rust")
    dialog.get_by_role("textbox", name="The new password again").fill("six amber ladders rust")
    dialog.get_by_role("button", name="Change").click()
    expect(sessions).to_have_count(1)
    for other in others:
        other.reload()
        expect(other.get_by_role("heading", name="Sign in")).to_be_visible()
    for context in elsewhere:
        context.close()

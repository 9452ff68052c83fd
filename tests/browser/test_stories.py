"""What people do in the web interface, from set-up to clearing away, before a controller with agents behind it."""

from __future__ import annotations

import re
import secrets

import pytest
from playwright.sync_api import Locator, Page, expect
from tests.browser.conftest import OwnSeat
from tests.browser.example import create, policy
from tests.browser.rfb import HEIGHT, WIDTH, colours, keys
from tests.browser.test_pages import serious

from ringfence.store import setup_links, vms
from ringfence.store.tokens import digest_of

pytestmark = pytest.mark.browser

PASSWORD = "nine violet tractors hum"
VM = {"project": "shop", "zone": "public", "flavor": "small", "image": "debian-13", "networks": ["backbone"]}


def size_of(shown: Locator) -> tuple[float, float]:
    box = shown.bounding_box()
    return box["width"], box["height"]


def menu(page: Page, of: str, action: str) -> None:
    page.get_by_role("button", name=of).click()
    page.get_by_role("menuitem", name=action).click()


def test_the_first_administrator_sets_up_signs_out_and_in_again_and_no_script_can_read_the_session(
    strangers_seat,
) -> None:
    seat: OwnSeat = strangers_seat
    # Nobody is signed in at first, and a wrong password is refused.
    seat.expected += ["401"]
    secret = secrets.token_urlsafe(32)
    with seat.cloud.controller._parts.store.transaction() as session:
        setup_links.add_setup_link(session, digest_of(secret))
    page = seat.go(f"/setup#{secret}")
    page.get_by_role("textbox", name="Account").fill("ada")
    page.get_by_role("textbox", name="Password", exact=True).fill(PASSWORD)
    page.get_by_role("textbox", name="The password again").fill(PASSWORD)
    assert secret not in page.url
    page.get_by_role("button", name="Set up").click()
    expect(page.get_by_role("heading", name="Overview", level=1)).to_be_visible()
    assert (
        page.evaluate("document.cookie + JSON.stringify({...sessionStorage, ...localStorage})").count("ringfence.token")
        == 0
    )
    # A change made with the cookie carries the CSRF token, or it would be refused.
    page.goto(f"{seat.url}/zones")
    page.get_by_role("button", name="Create zone").first.click()
    page.get_by_label("Name").fill("lab")
    page.get_by_role("button", name="Create", exact=True).click()
    expect(page.get_by_role("grid", name="Zones")).to_contain_text("lab")
    page.get_by_role("button", name="My account").click()
    page.get_by_role("menuitem", name="Sign out").click()
    page.get_by_role("textbox", name="Account").fill("ada")
    page.get_by_role("textbox", name="Password").fill("not this one at all")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_test_id("problem")).to_contain_text("code")
    page.get_by_role("textbox", name="Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.goto(f"{seat.url}/account")
    expect(page.get_by_text("This one")).to_be_visible()
    expect(page.get_by_text("Cloud admin")).to_be_visible()
    assert serious(page) == []


def test_an_empty_cloud_says_on_every_page_what_to_do_next(first_seat) -> None:
    page = first_seat.page
    for place, label in {
        "/vms": "Create the first VM",
        "/hosts": "Invite a host",
        "/zones": "Create zone",
        "/projects": "Create project",
        "/images": "Import image",
        "/flavors": "Create flavor",
        "/networks": "Create network",
        "/fence/policies": "Create policy",
        "/fence/matrix": "Create a VM",
    }.items():
        first_seat.go(place)
        expect(page.locator(".pf-v6-c-empty-state").get_by_text(label)).to_be_visible()
    assert serious(page) == []


def test_a_vm_is_made_by_the_wizard_which_says_where_it_may_not_run(own_seat) -> None:
    create(own_seat.cloud, {"name": "vault", **VM, "project": "ledger", "zone": "payments", "host": "h1"})
    page = own_seat.go("/vms/new")
    following = page.get_by_role("button", name="Next")
    page.get_by_label("Name").fill("web-9")
    page.get_by_label("Project").select_option("shop")
    page.get_by_label("Zone").select_option("public")
    following.click()
    page.get_by_label("Image").select_option("debian-13")
    page.get_by_label("Flavor").select_option("small")
    following.click()
    page.get_by_label("backbone").check()
    page.get_by_label("Labels").fill("role=web")
    following.click()
    where = page.get_by_role("grid", name="Where it could run")
    refused = where.get_by_role("row").filter(has_text=re.compile("^h1"))
    expect(refused).to_contain_text("it runs zone payments, which does not mix with public")
    assert serious(page) == []
    where.get_by_label("h3").check()
    following.click()
    page.get_by_role("button", name="Create", exact=True).click()
    expect(page.get_by_role("heading", name="web-9", level=1)).to_be_visible()
    # Nobody reloads: the operation's end is told.
    expect(page.locator("main").get_by_text("Running", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="h3")).to_be_visible()


def test_what_is_typed_in_the_console_reaches_the_guest(own_seat) -> None:
    vm_id = create(own_seat.cloud, {"name": "web-1", **VM})
    page = own_seat.go(f"/vms/{vm_id}")
    page.get_by_role("button", name="Open console").click()
    expect(page.get_by_text("Connected")).to_be_visible()
    page.keyboard.type("uname")
    # The guest on these hosts gives back what it gets, in capitals.
    expect(page.locator(".rf-terminal .xterm-rows")).to_contain_text("UNAME")
    colour = page.evaluate("getComputedStyle(document.querySelector('.rf-terminal .xterm-rows')).color")
    assert colour == "rgb(240, 240, 240)", "the terminal's own styles are in force under the policy"
    page.keyboard.press("Control+]")
    expect(page.get_by_role("button", name="Reconnect")).to_be_focused()


def test_the_screen_shows_what_the_guest_draws_takes_its_keys_and_can_be_left(own_seat) -> None:
    vm_id = create(own_seat.cloud, {"name": "web-1", **VM})
    page = own_seat.go(f"/vms/{vm_id}")
    page.get_by_role("button", name="Open screen").click()
    expect(page.get_by_text("Connected")).to_be_visible()
    assert colours(page) == 2
    page.keyboard.press("a")
    assert keys(vm_id, 2) == [(ord("a"), True), (ord("a"), False)]
    page.get_by_role("button", name="Send Ctrl+Alt+Del").click()
    control, alt, delete = 0xFFE3, 0xFFE9, 0xFFFF
    pressed = [(control, True), (alt, True), (delete, True)]
    assert keys(vm_id, 6) == [*pressed, (delete, False), (alt, False), (control, False)]
    # Tab is the guest's, and Ctrl+] is not: the guest is left without a key held down.
    page.keyboard.press("Tab")
    assert keys(vm_id, 2) == [(0xFF09, True), (0xFF09, False)]
    page.keyboard.press("Control+]")
    expect(page.get_by_role("button", name="Reconnect")).to_be_focused()
    assert keys(vm_id, 3) == [(control, True), (control, False), (control + 1, False)]
    assert size_of(page.locator(".rf-screen canvas")) > (WIDTH, HEIGHT)
    page.get_by_label("Fit to the page").uncheck(force=True)
    assert size_of(page.locator(".rf-screen canvas")) == (WIDTH, HEIGHT)
    own_seat.cloud.end_of(own_seat.cloud.post(f"/v1/vms/{vm_id}/stop", expect=202)["id"])
    page.get_by_role("button", name="Reconnect").click()
    own_seat.expected += ["WebSocket", "Failed when connecting"]
    expect(page.get_by_test_id("problem")).to_contain_text("wrong-state")


def test_a_policy_shows_what_it_opens_before_it_does_and_what_its_end_closes(own_seat) -> None:
    cloud = own_seat.cloud
    create(cloud, {"name": "web-1", **VM, "labels": {"role": "web"}})
    create(cloud, {"name": "db-1", **VM, "zone": "payments", "labels": {"role": "db"}})
    page = own_seat.go("/fence/policies")
    page.get_by_role("button", name="Create policy").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("web-to-db")
    dialog.get_by_label("Labels").first.fill("role=web")
    dialog.get_by_label("Labels").last.fill("role=db")
    dialog.get_by_label("Ports").fill("5432")
    expect(dialog.get_by_test_id("effect")).to_contain_text("Opens 1 pair of VMs, closes nothing.")
    assert serious(page) == []
    assert cloud.get("/v1/policies")["items"] == []
    dialog.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("grid", name="Policies")).to_contain_text("tcp 5432")
    page.get_by_role("tab", name="Who may call whom").click()
    page.get_by_role("button", name=re.compile("shop in public calls shop in payments: tcp 5432")).click()
    expect(page.get_by_text("by web-to-db")).to_be_visible()
    page.get_by_role("tab", name="Policies").click()
    menu(page, "Actions of web-to-db", "Delete …")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_test_id("effect")).to_contain_text("Opens nothing, closes 1 pair.")
    expect(dialog.get_by_role("button", name="Delete")).to_be_disabled()
    dialog.get_by_role("textbox").fill("web-to-db")
    dialog.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("No policy: everything is denied")).to_be_visible()


def test_custody_is_told_of_all_time_and_of_one_instant(own_seat) -> None:
    vm_id = create(own_seat.cloud, {"name": "web-1", **VM})
    page = own_seat.go(f"/vms/{vm_id}")
    shown = page.get_by_role("grid", name="Custody")
    expect(shown).to_contain_text("Running")
    at = page.get_by_label("At one instant")
    at.fill("2020-01-01T12:00:00")
    expect(page.get_by_text("The ledger knows of no such VM at that instant")).to_be_visible()
    at.fill("2099-01-01T12:00:00")
    expect(shown.get_by_role("row")).to_have_count(2)
    expect(shown).to_contain_text("Running")
    page.get_by_role("button", name="Show all of it").click()
    expect(shown.get_by_role("row").nth(2)).to_be_visible()


def test_a_vm_is_deleted_only_once_its_name_is_typed_and_by_keys_alone(own_seat) -> None:
    # Its page may ask for it once more when it is gone.
    own_seat.expected += ["404"]
    vm_id = create(own_seat.cloud, {"name": "web-1", **VM})
    page = own_seat.go(f"/vms/{vm_id}")
    page.get_by_role("button", name="Actions").focus()
    page.keyboard.press("Enter")
    page.get_by_role("menuitem", name="Delete …").focus()
    page.keyboard.press("Enter")
    field = page.get_by_role("dialog").get_by_role("textbox")
    expect(field).to_be_focused()
    page.keyboard.type("web-")
    page.keyboard.press("Enter")
    assert own_seat.cloud.get(f"/v1/vms/{vm_id}")["state"] == "running"
    page.keyboard.type("1")
    page.keyboard.press("Enter")
    expect(page.get_by_text("No VM yet")).to_be_visible()


def test_a_long_list_is_paged_by_the_server_and_filtered_by_its_address(own_seat) -> None:
    cloud = own_seat.cloud
    with cloud.controller._parts.store.transaction() as session:
        for number in range(60):
            vms.add_vm(session, name=f"vm-{number:02}", **VM)
    page = own_seat.go("/vms")
    rows = page.get_by_role("grid", name="VMs").locator("tbody tr")
    expect(rows).to_have_count(50)
    page.get_by_role("button", name="Next page").click()
    expect(rows).to_have_count(10)
    page.get_by_role("button", name="Previous page").click()
    expect(rows).to_have_count(50)
    page.get_by_label("Part of the name").fill("vm-5")
    expect(rows).to_have_count(10)
    expect(page).to_have_url(re.compile("search=vm-5"))
    page.reload()
    expect(rows).to_have_count(10)
    page.get_by_label("Part of the name").fill("nothing like it")
    page.get_by_role("button", name="Clear the filters").click()
    expect(rows).to_have_count(50)


def test_what_is_refused_says_why_what_to_do_and_its_code(own_seat) -> None:
    own_seat.expected += ["409"]
    create(own_seat.cloud, {"name": "web-1", **VM})
    page = own_seat.go("/zones")
    menu(page, "Actions of public", "Delete …")
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("to confirm").fill("public")
    dialog.get_by_label("Reason").fill("not used")
    dialog.get_by_role("button", name="Delete").click()
    told = dialog.get_by_test_id("problem")
    expect(told).to_contain_text("still-used")
    expect(told).to_contain_text("web-1")


def test_what_others_do_is_seen_without_reloading(own_seat) -> None:
    page = own_seat.go("/hosts")
    row = page.get_by_role("row").filter(has_text="h2")
    expect(row).to_contain_text("Ready")
    own_seat.cloud.post("/v1/hosts/h2/cordon", expect=200)
    expect(row).to_contain_text("Cordoned")
    page.get_by_role("button", name="Uncordon h2").click()
    expect(row).to_contain_text("Ready")
    own_seat.go("/fence/policies")
    body = policy("office", {"zone": "office"}, {"zone": "office"}, protocol="any")
    own_seat.cloud.post("/v1/policies", body, expect=201)
    expect(page.get_by_role("grid", name="Policies")).to_contain_text("office")

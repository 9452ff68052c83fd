"""Signing in by an OpenID Connect provider: a real one, small, in this process."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from joserfc.jwk import OctKey, RSAKey
from tests.controller.conftest import Cloud, Loop, settings_for, start_cloud
from tests.controller.people import Person
from tests.controller.provider import CLIENT, SECRET, SmallProvider, small_provider
from tests.controller.tenants import add_tenant, furnish_cloud
from tests.controller.test_signing_in import code_of, link_for, person, store_of

from ringfence.controller.settings import GroupInProject
from ringfence.model.access import Role
from ringfence.model.accounts import AccountKind
from ringfence.store import accounts, handovers, projects

__all__ = ["person"]

pytestmark = pytest.mark.store

STATE = "__Host-ringfence-state"
GRACE = {"sub": "1", "preferred_username": "Grace Hopper", "name": "Grace Hopper", "email": "grace@example.org"}


@pytest.fixture
def provider() -> Iterator[SmallProvider]:
    with small_provider() as running:
        running.user = {**GRACE, "email_verified": True, "groups": []}
        yield running


@pytest.fixture
def cloud(loop: Loop, tmp_path, provider) -> Iterator[Cloud]:
    """A controller that knows the provider."""
    secret = tmp_path / "client-secret"
    secret.write_text(SECRET + "\n")
    settings = settings_for(
        tmp_path / "data",
        public_url="https://cloud.example.org",
        oidc_issuer=provider.issuer,
        oidc_client_id=CLIENT,
        oidc_client_secret_file=str(secret),
        oidc_roles=(("ops", Role.CLOUD_ADMIN), ("audit", Role.AUDITOR)),
        oidc_members=tuple(
            GroupInProject(group=group, role=role, project=project)
            for group, role, project in (
                ("shop-devs", Role.PROJECT_MEMBER, "shop"),
                ("shop-leads", Role.PROJECT_OWNER, "shop"),
                ("devs", Role.PROJECT_VIEWER, "bank"),
                ("devs", Role.PROJECT_MEMBER, "nowhere"),
            )
        ),
    )
    running = start_cloud(loop, settings)
    yield running
    running.close()


def back_from(provider: SmallProvider, person: Person) -> str:
    """Go to the provider and agree; gives the path that the browser comes back to."""
    sent = person.ask("GET", "/v1/session/oidc")
    assert sent.status_code == 303, sent.text
    back = urlsplit(provider.authorize(sent.headers["location"]))
    assert f"{back.scheme}://{back.netloc}" == "https://cloud.example.org"
    return f"{back.path}?{back.query}"


def sign_in(provider: SmallProvider, person: Person):
    return person.ask("GET", back_from(provider, person))


def test_somebody_the_provider_knows_has_an_account_and_a_session(provider, person) -> None:
    grace = person()
    assert grace.ask("GET", "/v1/about").json()["provider"] is True
    done = sign_in(provider, grace)
    assert (done.status_code, done.headers["location"]) == (303, "/")
    told = grace.ask("GET", "/v1/session").json()
    assert told["account"]["name"] == "grace@example.org"
    assert told["account"]["display_name"] == "Grace Hopper"
    assert told["roles"] == []
    assert sign_in(provider, person()).status_code == 303, "the second time it is the same account"
    assert len(grace.ask("GET", "/v1/account/sessions").json()["items"]) == 2


def test_groups_give_roles_and_take_them(provider, person) -> None:
    for groups, roles in ([["ops", "x"], ["cloud-admin"]], [["ops", "audit"], ["auditor", "cloud-admin"]], [["x"], []]):
        provider.user["groups"] = groups
        grace = person()
        assert sign_in(provider, grace).status_code == 303
        assert grace.ask("GET", "/v1/session").json()["roles"] == roles


def roles_in(person: Person) -> dict[str, str]:
    return {each["name"]: each["role"] for each in person.ask("GET", "/v1/session").json()["projects"]}


def test_groups_give_roles_in_projects_and_take_them(cloud, provider, person) -> None:
    furnish_cloud(cloud)
    for name in ("shop", "bank", "mill"):
        add_tenant(cloud, name)
    grace = person()
    sign_in(provider, grace)
    account = grace.ask("GET", "/v1/session").json()["account"]["id"]
    cloud.http.put(f"/v1/projects/mill/members/{account}", json={"role": "project-viewer"})
    for groups, roles in (
        (["shop-devs", "devs"], {"shop": "project-member", "bank": "project-viewer"}),
        (["shop-devs", "shop-leads"], {"shop": "project-owner"}),
        (["shop-devs"], {"shop": "project-member"}),
        ([], {}),
    ):
        provider.user["groups"] = groups
        again = person()
        assert sign_in(provider, again).status_code == 303
        assert roles_in(again) == {"mill": "project-viewer"} | roles, "what no group speaks of stays as it is"
    entries = cloud.get("/v1/ledger/entries", kind="member", subject=account)["items"]
    by_the_sign_ins = [entry for entry in entries if entry["actor"]["id"] == GRACE["sub"]]
    assert len(by_the_sign_ins) == 6, "each that was given, changed or taken"


def test_who_owns_a_vm_or_a_project_there_is_not_taken_out_of_it(cloud, provider, person) -> None:
    furnish_cloud(cloud)
    shop, bank = add_tenant(cloud, "shop"), add_tenant(cloud, "bank")
    provider.user["groups"] = ["shop-devs", "devs"]
    assert sign_in(provider, person()).status_code == 303
    with store_of(cloud).transaction() as session:
        offer = handovers.offer(session, shop.ids["vm"], GRACE["email"], offered_by=shop.names["owner"])
        handovers.accept(session, offer.id)
        projects.change_project(session, bank.ids["project"], owner=GRACE["email"])
    provider.user["groups"] = []
    grace = person()
    assert sign_in(provider, grace).status_code == 303
    assert roles_in(grace) == {"shop": "project-viewer", "bank": "project-owner"}


@pytest.mark.parametrize(
    "forged",
    [
        {"iss": "https://other.example"},
        {"aud": "another program"},
        {"aud": ["another program", CLIENT], "azp": "another program"},
        {"nonce": "another"},
        {"nonce": None},
        {"exp": 1},
        {"exp": None},
        {"sub": None},
    ],
    ids=str,
)
def test_a_token_for_another_party_time_or_sign_in_is_denied(provider, person, forged) -> None:
    provider.forge = lambda claims: {k: v for k, v in {**claims, **forged}.items() if v is not None}
    denied = person()
    assert code_of(sign_in(provider, denied)) == "401 provider-denied"
    assert denied.cookie() == ""


def test_a_token_that_another_key_signed_is_denied(provider, person) -> None:
    provider.signs_with = RSAKey.generate_key(2048, {"kid": "1"})
    assert code_of(sign_in(provider, person())) == "401 provider-denied"


def test_a_token_signed_with_the_shared_secret_is_denied(provider, person) -> None:
    provider.algorithm, provider.signs_with = "HS256", OctKey.import_key(SECRET.ljust(32, "."))
    assert code_of(sign_in(provider, person())) == "401 provider-denied"


def test_a_code_that_was_stolen_is_of_no_use_without_the_browser_that_began(provider, person) -> None:
    victim, thief = person(), person()
    path = back_from(provider, victim)
    assert code_of(thief.ask("GET", path)) == "401 provider-denied"
    assert victim.ask("GET", path).status_code == 303
    assert code_of(victim.ask("GET", path)) == "401 provider-denied", "and it serves once"


def test_nobody_is_signed_in_to_somebody_elses_account_by_a_link(provider, person) -> None:
    victim, attacker = person(), person()
    back_from(provider, victim)
    assert code_of(victim.ask("GET", back_from(provider, attacker))) == "401 provider-denied"
    assert victim.cookie() == ""


def test_the_state_is_kept_where_no_script_and_no_other_site_reads_it(provider, person) -> None:  # noqa: ARG001
    cookie = person().ask("GET", "/v1/session/oidc").headers["set-cookie"].lower()
    assert cookie.startswith(f"{STATE.lower()}=")
    assert all(mark in cookie for mark in ("secure", "httponly", "samesite=lax", "path=/"))


def test_an_account_that_somebody_signs_in_to_is_not_taken_over(cloud, provider, person) -> None:
    with store_of(cloud).transaction() as session:
        accounts.add_account(session, name=GRACE["email"], kind=AccountKind.PERSON)
    person().set_up(link_for(cloud, GRACE["email"]), None, "a quiet purple kettle")
    assert code_of(sign_in(provider, person())) == "409 name-taken"


@pytest.mark.parametrize(("verified", "status"), [(True, 303), (False, 409)])
def test_an_account_that_waits_for_its_owner_is_had_by_a_verified_address_only(
    cloud, provider, person, verified, status
) -> None:
    with store_of(cloud).transaction() as session:
        waiting = accounts.add_account(session, name=GRACE["email"], kind=AccountKind.PERSON)
    provider.user |= {"email_verified": verified, "preferred_username": GRACE["email"]}
    grace = person()
    assert sign_in(provider, grace).status_code == status
    if status == 303:
        assert grace.ask("GET", "/v1/session").json()["account"]["id"] == waiting.id


def test_a_disabled_account_is_denied(cloud, provider, person) -> None:
    sign_in(provider, person())
    with store_of(cloud).transaction() as session:
        accounts.change_account(session, GRACE["email"], disabled=True)
    assert code_of(sign_in(provider, person())) == "401 provider-denied"


def test_what_the_provider_refuses_is_told(provider, person) -> None:  # noqa: ARG001
    assert "access_denied" in person().ask("GET", "/v1/session/oidc/callback?error=access_denied").json()["detail"]


def test_a_provider_that_calls_itself_something_else_is_not_believed(provider, person) -> None:
    true, provider.issuer = provider.issuer, "https://other.example"
    assert code_of(person().ask("GET", "/v1/session/oidc")) == "503 provider-unreachable"
    provider.issuer = true
    assert sign_in(provider, person()).status_code == 303

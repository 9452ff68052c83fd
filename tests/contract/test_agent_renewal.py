"""Renewing a host's certificate: what root takes, and what the part that dials does when the file is replaced."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from tests import needs
from tests.contract.lone_controller import LoneController, key_pem

from ringfence.agent.dial import Controller
from ringfence.agent.identity import Identity
from ringfence.agent.renewal import Renewal
from ringfence.agent.settings import Settings
from ringfence.errors import Invalid, Relayed, WrongState
from ringfence.model.hosts import CertificateExpired

pytestmark = pytest.mark.contract

HOST = "0197a1c2-0000-7000-8000-000000000001"
OTHER = "0197a1c2-0000-7000-8000-000000000002"


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[LoneController]:
    made = LoneController(tmp_path / "ca")
    yield made
    made.close()


@pytest.fixture
def settings(controller: LoneController, tmp_path: Path) -> Settings:
    """A host that has joined."""
    made = Settings(config=str(tmp_path), host_id=HOST, name="h1", agent_user="root")
    made.ca_file.write_text(controller.ca_pem)
    show(made, controller)
    return made


def show(settings: Settings, controller: LoneController, *, good_seconds: float = 86400) -> str:
    """Give the host another key and certificate, as a join does; gives the certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = controller.issue(HOST, key.public_key(), good_seconds=good_seconds)
    fresh = settings.identity_file.with_suffix(".new")
    fresh.write_text(key_pem(key) + certificate)
    fresh.replace(settings.identity_file)
    return certificate


def key_of(csr: str) -> object:
    return x509.load_pem_x509_csr(csr.encode()).public_key()


def test_root_keeps_a_certificate_of_the_key_it_made_and_of_no_other(
    controller: LoneController, settings: Settings, tmp_path: Path
) -> None:
    needs.root()
    renewal, before = Renewal(settings), settings.identity_file.read_bytes()
    with pytest.raises(WrongState):
        renewal.keep(controller.issue(HOST, ec.generate_private_key(ec.SECP256R1()).public_key()))
    earlier = key_of(renewal.request())
    key = key_of(renewal.request())
    stranger = LoneController(tmp_path / "stranger")
    stranger.close()
    for refused in ("", controller.issue(HOST, earlier), controller.issue(OTHER, key), stranger.issue(HOST, key)):
        with pytest.raises(Invalid):
            renewal.keep(refused)
    assert settings.identity_file.read_bytes() == before
    renewal.keep(controller.issue(HOST, key))
    assert settings.identity_file.read_bytes() != before
    assert settings.identity_file.stat().st_mode & 0o777 == 0o640
    # Key and certificate belong together, or this would be refused.
    Identity(settings).tls()
    with pytest.raises(WrongState):
        renewal.keep(controller.issue(HOST, key))


def test_a_certificate_that_was_replaced_is_not_shown_any_more(controller: LoneController, settings: Settings) -> None:
    dialled = Controller(controller.url, Identity(settings).tls)
    assert dialled.request("GET", "/agent/v1/ca")[0] == 200
    controller.refuse(controller.shown[-1])
    with pytest.raises(Relayed):
        dialled.request("POST", "/agent/v1/heartbeat", b"{}")
    show(settings, controller)
    assert dialled.request("GET", "/agent/v1/ca")[0] == 200
    assert len(set(controller.shown)) == 2
    dialled.hang_up()


def test_what_was_refused_because_the_certificate_was_just_replaced_is_asked_again(
    controller: LoneController, settings: Settings
) -> None:
    dialled = Controller(controller.url, Identity(settings).tls)
    dialled.request("GET", "/agent/v1/ca")
    controller.refuse(controller.shown[-1], then=lambda: show(settings, controller))
    assert dialled.request("GET", "/agent/v1/commands?session=s")[0] == 204
    assert len(set(controller.shown)) == 2
    dialled.hang_up()


def test_an_expired_certificate_is_told_with_what_to_do(controller: LoneController, settings: Settings) -> None:
    identity = Identity(settings)
    assert isinstance(identity.tls(), ssl.SSLContext)
    show(settings, controller, good_seconds=-1)
    with pytest.raises(CertificateExpired, match="host invite --again h1"):
        identity.tls()
    show(settings, controller)
    assert isinstance(identity.tls(), ssl.SSLContext)


def test_a_host_that_has_not_joined_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="has not joined"):
        Identity(Settings(config=str(tmp_path))).tls()

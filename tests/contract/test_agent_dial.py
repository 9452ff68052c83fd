"""What the agent dials, against a listener that speaks the protocol over real TLS."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.contract.lone_controller import LoneController, digest_of

from ringfence.agent.dial import Controller
from ringfence.agent.disks import Disks
from ringfence.agent.join import fetch_ca
from ringfence.agent.settings import Settings, read_settings
from ringfence.errors import Invalid
from ringfence.model.hosts import ControllerAway, HostDiskFull, JoinTokenRefused
from ringfence.model.images import ImageRefused, WrongDigest
from ringfence.wire import PROTOCOL, JoinRequest, JoinToken, encode

pytestmark = pytest.mark.contract


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[LoneController]:
    made = LoneController(tmp_path / "ca")
    yield made
    made.close()


def test_a_controller_with_another_certificate_is_refused_before_the_secret_is_told(controller: LoneController) -> None:
    token = JoinToken.parse(controller.invite("host1"))
    assert "BEGIN CERTIFICATE" in fetch_ca(token)
    with pytest.raises(JoinTokenRefused):
        fetch_ca(msgspec.structs.replace(token, f="0" * 64))
    assert token.s in controller.secrets


def test_a_used_token_is_refused_with_its_code(controller: LoneController) -> None:
    token = JoinToken.parse(controller.invite("host1"))
    tls = ssl.create_default_context(cadata=fetch_ca(token))
    dialled = Controller(token.u, lambda: tls)
    controller.secrets.clear()
    request = JoinRequest(protocol=PROTOCOL, secret=token.s, csr="", underlay_address="192.0.2.1", agent_version="1")
    with pytest.raises(JoinTokenRefused):
        dialled.request("POST", "/agent/v1/join", encode(request))
    dialled.hang_up()


def test_a_listener_that_the_ca_did_not_certify_is_not_spoken_to(controller: LoneController) -> None:
    with pytest.raises(ControllerAway):
        Controller(controller.url, ssl.create_default_context).request("GET", "/agent/v1/ca")


def test_a_controller_that_is_away_is_told_as_such() -> None:
    with pytest.raises(ControllerAway):
        Controller("https://127.0.0.1:1", ssl.create_default_context).request("GET", "/agent/v1/ca")


@pytest.fixture
def disks(tmp_path: Path) -> Disks:
    made = Disks(Settings(state=str(tmp_path / "state")))
    made.begin()
    return made


def left(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "state").rglob("*") if path.is_file()]


def test_a_wrong_digest_leaves_nothing(disks: Disks, tmp_path: Path) -> None:
    with pytest.raises(WrongDigest):
        disks.hold_image(digest_of(b"wanted"), "raw", 5, lambda take: take(b"other"))
    with pytest.raises(WrongDigest):
        disks.hold_image(digest_of(b"wanted"), "raw", 6, lambda take: [take(b"wanted and more")])  # type: ignore[arg-type,func-returns-value]
    assert left(tmp_path) == []


def test_an_image_that_cannot_fit_is_refused_before_it_is_fetched(disks: Disks, tmp_path: Path) -> None:
    with pytest.raises(HostDiskFull):
        disks.hold_image(digest_of(b"x"), "raw", 1 << 60, lambda _: pytest.fail("it was fetched"))
    assert left(tmp_path) == []


def test_a_broken_download_leaves_nothing_and_can_be_tried_again(disks: Disks, tmp_path: Path) -> None:
    content = bytes(1 << 20)

    def broken(take: object) -> None:
        take(content[:1000])  # type: ignore[operator]
        raise ControllerAway(why="cut")

    with pytest.raises(ControllerAway):
        disks.hold_image(digest_of(content), "raw", len(content), broken)
    assert left(tmp_path) == []
    assert disks.hold_image(digest_of(content), "raw", len(content), lambda take: take(content)) == len(content)
    assert disks.hold_image(digest_of(content), "raw", len(content), lambda _: pytest.fail("fetched twice")) == 0


def test_an_image_that_refers_to_another_file_is_refused(disks: Disks, tmp_path: Path) -> None:
    header = b"QFI\xfb" + (3).to_bytes(4, "big") + (512).to_bytes(8, "big") + (11).to_bytes(4, "big")
    content = bytearray((header + (16).to_bytes(4, "big") + (1 << 20).to_bytes(8, "big")).ljust(1 << 20, b"\0"))
    content[36:40] = (1).to_bytes(4, "big")  # one entry in the first table, which is at 64 KiB
    content[40:48] = (1 << 16).to_bytes(8, "big")
    content[48:56] = (1 << 17).to_bytes(8, "big")
    content[56:60] = (1).to_bytes(4, "big")
    content[96:104] = (4).to_bytes(4, "big") + (104).to_bytes(4, "big")
    content[512:523] = b"/etc/shadow"
    image = bytes(content)
    with pytest.raises(ImageRefused):
        disks.hold_image(digest_of(image), "qcow2", len(image), lambda take: take(image))
    assert left(tmp_path) == []


def test_a_setting_that_is_misspelt_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text('accelerater = "tcg"\n')
    with pytest.raises(Invalid):
        read_settings(file)
    file.write_text('accelerator = "xen"\n')
    with pytest.raises(Invalid):
        read_settings(file)


def test_what_the_join_found_out_wins(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text('accelerator = "tcg"\nname = "old"\n')
    (tmp_path / "joined.toml").write_text('name = "host1"\nhost_id = "x"\n')
    settings = read_settings(tmp_path / "agent.toml")
    assert (settings.name, settings.accelerator, settings.config) == ("host1", "tcg", str(tmp_path))

"""What comes in from the controller, or from whoever pretends to be it, is hostile until decoded."""

from __future__ import annotations

import json

import pytest
from tests.unit.agent.specs import PORT, VM, spec

from ringfence.agent.admission import check_digest, check_qcow2_header, check_vm, check_vm_id
from ringfence.agent.disks import seed_files
from ringfence.agent.link import read_command
from ringfence.errors import Invalid
from ringfence.model.hosts import CommandUnknown, JoinTokenRefused
from ringfence.model.vms import Nic
from ringfence.wire import Command, JoinToken, StopVm, encode

pytestmark = pytest.mark.unit


def command(verb: object) -> bytes:
    return json.dumps({"id": "1", "key": "k", "patience_seconds": 1, "verb": verb}).encode()


def test_a_command_as_the_controller_sends_it_is_read() -> None:
    sent = Command(id="1", key="k", patience_seconds=1.0, verb=StopVm(vm_id=VM, graceful_seconds=1.0))
    assert read_command(encode(sent))[1] == sent


def test_an_unknown_verb_is_answered_as_unknown() -> None:
    _, error = read_command(command({"verb": "format-disk", "disk": "/dev/sda"}))
    assert isinstance(error, CommandUnknown)
    assert error.verb == "format-disk"


@pytest.mark.parametrize(
    "verb",
    [
        {"verb": "stop-vm", "vm_id": 1, "graceful_seconds": 1},
        {"verb": "stop-vm", "vm_id": VM},
        {"verb": "stop-vm", "vm_id": VM, "graceful_seconds": 1, "more": True},
        {"verb": 7},
        {},
        [],
        "stop-vm",
        None,
    ],
)
def test_a_verb_that_does_not_fit_is_answered_as_invalid(verb: object) -> None:
    _, error = read_command(command(verb))
    assert isinstance(error, Invalid)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"id":"","key":"","patience_seconds":1,"verb":{}}', b"\xff" * 9]
)
def test_what_is_no_command_at_all_is_not_answered(content: bytes) -> None:
    with pytest.raises(Invalid):
        read_command(content)


@pytest.mark.parametrize("vm_id", ["", "..", "../../etc", VM.upper().replace("0", "A"), VM + "\n", VM + "/x"])
def test_an_id_that_could_be_a_path_is_refused(vm_id: str) -> None:
    with pytest.raises(Invalid):
        check_vm_id(vm_id)


@pytest.mark.parametrize("digest", ["sha256:..", "sha256:" + "G" * 64, "md5:" + "0" * 32, "sha256:" + "0" * 64 + "\n"])
def test_a_digest_that_could_be_a_path_is_refused(digest: str) -> None:
    with pytest.raises(Invalid):
        check_digest(digest)


@pytest.mark.parametrize(
    "told",
    [
        {"name": "a b"},
        {"name": "A"},
        {"owner": ""},
        {"owner": "a\nb"},
        {"zone_id": "red"},
        {"mixes_with": ("*",)},
        {"vcpus": 0},
        {"memory_mib": 1 << 40},
        {"disk_bytes": 1000},
        {"user_data": "x" * 70_000},
        {"nics": (Nic(port_id=PORT, mac="52:54:00:00:00:01", address="10.0.0", prefix_length=24, mtu=1442),)},
        {"nics": (Nic(port_id="br-phy", mac="52:54:00:00:00:01", address="10.0.0.1", prefix_length=24, mtu=1442),)},
        {"nics": (Nic(port_id=PORT, mac="'", address="10.0.0.1", prefix_length=24, mtu=1442),)},
    ],
)
def test_a_vm_that_makes_no_sense_is_refused(told: dict[str, object]) -> None:
    check_vm(spec())
    with pytest.raises(Invalid):
        check_vm(spec(**told))


def test_names_cannot_break_out_of_the_seed() -> None:
    files = seed_files(spec())
    assert json.loads(files["meta-data"]) == {"instance-id": VM, "local-hostname": "web-1"}
    assert json.loads(files["network-config"])["ethernets"]["nic0"]["match"] == {"macaddress": "52:54:00:00:00:01"}


def qcow2(*, backing_offset: int = 0, features: int = 0, version: int = 3, magic: bytes = b"QFI\xfb") -> bytes:
    start = magic + version.to_bytes(4, "big") + backing_offset.to_bytes(8, "big") + bytes(4)
    return start.ljust(72, b"\0") + features.to_bytes(8, "big") + bytes(24)


def test_a_disk_of_its_own_is_accepted() -> None:
    check_qcow2_header(qcow2())


@pytest.mark.parametrize(
    "header",
    [qcow2(backing_offset=512), qcow2(features=4), qcow2(version=2), qcow2(magic=b"\0\0\0\0"), b"QFI\xfb"],
)
def test_a_disk_that_refers_to_other_files_is_refused(header: bytes) -> None:
    with pytest.raises(Invalid):
        check_qcow2_header(header)


TOKEN = JoinToken(u="https://192.0.2.1:8471", s="secret", f="0" * 64, n="host1")


def test_a_token_reads_back_as_it_was_written() -> None:
    assert JoinToken.parse(f" {TOKEN.text()}\n") == TOKEN


@pytest.mark.parametrize(
    "text",
    ["", "rf1.", "rf2." + TOKEN.text()[4:], TOKEN.text()[:-3], TOKEN.text() + "é", "rf1." + "A" * 5000, "rf1.W10",
     JoinToken(u="http://192.0.2.1", s="s", f="0" * 64, n="h").text()],
)  # fmt: skip
def test_what_is_no_whole_token_is_refused(text: str) -> None:
    with pytest.raises(JoinTokenRefused):
        JoinToken.parse(text)

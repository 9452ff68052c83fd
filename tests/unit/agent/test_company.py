"""Who may join whom on a host, and what an incoming domain may not be."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest
from tests.unit.agent.specs import BLUE, RED, VM, spec

from ringfence.agent import company
from ringfence.agent.company import Member, NotAdmittedError
from ringfence.agent.domain_xml import domain_xml

pytestmark = pytest.mark.unit
OTHER = "01920000-0000-7000-8000-000000000002"
INCOMING = domain_xml(spec(), "tcg", folder=f"/v/{VM}", bridge="br-int", userspace_datapath=True)


def member(vm_id: str, zone_id: str, *mixes_with: str, until: float = 0.0) -> Member:
    return Member(vm_id, "name", zone_id, "red" if zone_id == RED else "blue", mixes_with, until)


@pytest.mark.parametrize(
    ("newcomer", "present", "beside"),
    [
        (member(VM, RED), member(OTHER, RED), []),
        (member(VM, RED), member(OTHER, BLUE), ["blue"]),
        (member(VM, RED, BLUE), member(OTHER, BLUE), ["blue"]),
        (member(VM, RED), member(OTHER, BLUE, RED), ["blue"]),
        (member(VM, RED, BLUE), member(OTHER, BLUE, RED), []),
        (member(VM, RED), member(VM, BLUE), []),
    ],
)
def test_two_zones_share_a_host_only_if_both_say_so(newcomer: Member, present: Member, beside: list[str]) -> None:
    assert company.strangers(newcomer, [present]) == beside


def test_who_is_refused_leaves_no_trace(tmp_path: Path) -> None:
    company.admit(member(OTHER, BLUE), tmp_path)
    with pytest.raises(NotAdmittedError) as refused:
        company.admit(member(VM, RED), tmp_path)
    assert refused.value.beside == ["blue"]
    assert [m.vm_id for m in company.members(tmp_path)] == [OTHER]


def test_a_kept_place_keeps_strangers_out_and_becomes_a_running_vms(tmp_path: Path) -> None:
    company.admit(member(VM, RED, until=time.time() + 60), tmp_path)
    with pytest.raises(NotAdmittedError):
        company.admit(member(OTHER, BLUE), tmp_path)
    company.admit(member(VM, RED), tmp_path)
    assert company.admit(member(VM, RED, until=time.time() + 60), tmp_path) is False
    assert company.members(tmp_path)[0].until == 0


def test_an_entry_that_cannot_be_read_admits_nobody(tmp_path: Path) -> None:
    (tmp_path / f"{OTHER}.json").write_text("{}")
    with pytest.raises(NotAdmittedError):
        company.admit(member(VM, RED), tmp_path)
    company.reconcile([member(OTHER, BLUE)], {OTHER}, now=time.time(), folder=tmp_path)
    with pytest.raises(NotAdmittedError, match="does not mix"):
        company.admit(member(VM, RED), tmp_path)


def test_reconciling_forgets_only_what_libvirt_has_not_and_is_old(tmp_path: Path) -> None:
    now = time.time()
    company.admit(member(VM, RED), tmp_path)
    company.reconcile([], set(), now=now, folder=tmp_path)
    assert len(company.members(tmp_path)) == 1, "its domain may be on its way"
    os.utime(tmp_path / f"{VM}.json", (now - 100, now - 100))
    company.reconcile([member(VM, RED)], {VM}, now=now, folder=tmp_path)
    assert len(company.members(tmp_path)) == 1
    company.reconcile([], set(), now=now, folder=tmp_path)
    assert company.members(tmp_path) == []


def test_reconciling_adds_what_runs_and_was_forgotten(tmp_path: Path) -> None:
    company.reconcile([member(VM, RED)], {VM}, now=time.time(), folder=tmp_path)
    with pytest.raises(NotAdmittedError):
        company.admit(member(OTHER, BLUE), tmp_path)


def test_a_refusal_survives_libvirts_error_text() -> None:
    told = NotAdmittedError("red", ["blue", "a'b\"c"], "why")
    found = company.read_refusal(f"internal error: Child process (…) status 1: no {told.line()}\n")
    assert found is not None
    assert (found.zone, found.beside, found.why) == ("red", ["blue", "a'b\"c"], "why")
    assert company.read_refusal("ringfence-refused:zz") is None


@pytest.mark.parametrize(
    "domain",
    [
        "<domain><uuid>x</uuid></domain>",
        "not xml",
        re.sub("<metadata>.*</metadata>", "", INCOMING, flags=re.DOTALL),
        INCOMING.replace(f"<uuid>{VM}</uuid>", f"<uuid>{OTHER}</uuid>"),
    ],
)
def test_a_domain_of_unknown_zone_is_refused(domain: str) -> None:
    with pytest.raises(NotAdmittedError):
        company.member_of(domain)


def window() -> dict[str, str]:
    return {"xml": INCOMING}


def test_the_domain_that_was_told_may_come_in() -> None:
    company.check_incoming(INCOMING, window())


@pytest.mark.parametrize(
    ("wanted", "instead"),
    [
        (f"/v/{VM}/disk.qcow2", "/etc/shadow"),
        (f"/v/{VM}/seed.iso", "/var/lib/ringfence/vms/other/disk.qcow2"),
        ('bridge="br-int"', 'bridge="br-phy"'),
        ("<devices>", "<devices><hostdev mode='subsystem' type='pci'/>"),
        ("<devices>", "<devices><filesystem type='mount'/>"),
        ("<devices>", "<devices><disk type='block' device='disk'><source dev='/dev/vda'/></disk>"),
        ("<devices>", "<devices><graphics type='vnc' listen='0.0.0.0'/>"),
        ("<devices>", "<devices><graphics type='vnc'/>"),
        ("<devices>", "<devices><graphics type='vnc'><listen type='socket' socket='/run/x'/></graphics>"),
        ('<graphics type="vnc">', '<graphics type="vnc" port="5900">'),
        ('<graphics type="vnc">', '<graphics type="spice">'),
        ('<listen type="none" />', '<listen type="none" /><listen type="address" address="0.0.0.0" />'),
        ('<model type="vga"', '<model type="virtio"'),
        ("<video>", "<video><driver name='vhostuser'/>"),
        ("<devices>", "<devices><video><model type='vga'><acceleration rendernode='/dev/dri/x'/></model></video>"),
        ("<devices>", "<devices><input type='passthrough' bus='virtio'><source evdev='/dev/input/event0'/></input>"),
        ("<devices>", "<devices><audio id='1' type='file' path='/etc/cron.d/x'/>"),
        ("<devices>", "<seclabel type='none'/><devices>"),
        ("</domain>", "<q:commandline xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'/></domain>"),
        ('<serial type="pty">', '<serial type="tcp">'),
        ('<serial type="pty">', '<serial type="pty"><log file="/etc/cron.d/x"/>'),
        ("/usr/bin/qemu-system-x86_64", "/bin/sh"),
        ('<boot dev="hd" />', "<kernel>/etc/shadow</kernel>"),
        ('<memory unit="MiB">256<', '<memory unit="MiB">999256<'),
        ("/dev/urandom", "/dev/vda"),
        ('<channel type="unix">', '<channel type="unix"><source mode="bind" path="/run/x"/>'),
        (RED, OTHER),
    ],
)
def test_a_compromised_source_cannot_reach_this_host_through_the_domain_it_sends(wanted: str, instead: str) -> None:
    assert wanted in INCOMING
    with pytest.raises(NotAdmittedError):
        company.check_incoming(INCOMING.replace(wanted, instead, 1), window())


def test_a_vm_comes_in_only_while_its_window_is_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(company, "WINDOWS", tmp_path)
    with pytest.raises(NotAdmittedError, match="no move of this VM"):
        company.hook(["name", "migrate", "begin", "-"], INCOMING)

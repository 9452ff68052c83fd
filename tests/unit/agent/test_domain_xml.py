"""A VM as libvirt's domain XML."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from tests.unit.agent.specs import BLUE, RED, VM, spec

from ringfence.agent.company import member_of
from ringfence.agent.domain_xml import domain_xml
from ringfence.model.vms import VmSpec

pytestmark = pytest.mark.unit
GOLDEN = Path(__file__).parent / "golden"


def write(vm: VmSpec, accelerator: str = "tcg", *, userspace: bool = True) -> str:
    folder = f"/var/lib/ringfence/vms/{vm.vm_id}"
    return domain_xml(vm, accelerator, folder=folder, bridge="br-int", userspace_datapath=userspace)


@pytest.mark.parametrize(("accelerator", "userspace"), [("tcg", True), ("kvm", False)])
def test_the_domain_is_the_one_that_was_looked_at_and_kept(accelerator: str, userspace: bool) -> None:
    kept = (GOLDEN / f"{accelerator}.xml").read_text()
    assert write(spec(), accelerator, userspace=userspace) == kept


def test_the_guard_reads_back_from_the_domain_whom_the_vm_mixes_with() -> None:
    member = member_of(write(spec()))
    assert (member.vm_id, member.zone_id, member.zone, member.mixes_with) == (VM, RED, "red", (BLUE,))


def test_no_text_of_a_user_becomes_markup() -> None:
    nasty = "</rf:owner><devices/>&\"'"
    domain = ET.fromstring(write(spec(owner=nasty, zone=nasty, project=nasty)))
    assert len(domain.findall("devices")) == 1
    assert member_of(ET.tostring(domain, encoding="unicode")).zone == nasty


def test_a_guests_discards_never_reach_the_hosts_disk() -> None:
    drivers = ET.fromstring(write(spec())).findall("devices/disk[@device='disk']/driver")
    assert [driver.get("discard") for driver in drivers] == ["ignore"]


def test_nothing_of_a_domain_listens_on_a_network() -> None:
    devices = ET.fromstring(write(spec())).find("devices")
    assert devices is not None
    assert [[dict(listen.attrib) for listen in graphics] for graphics in devices.findall("graphics")] == [
        [{"type": "none"}]
    ]
    assert {port.get("type") for port in [*devices.findall("serial"), *devices.findall("console")]} == {"pty"}
    assert {channel.get("type") for channel in devices.findall("channel")} == {"unix"}

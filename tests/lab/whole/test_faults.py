"""Promise 7 against what goes wrong on a real host: a clear error with its code each time, and nothing left behind."""

import asyncio
import time

import pytest
from tests.lab.orders import order
from tests.lab.whole.leftovers import check_nothing_left

from ringfence import wire
from ringfence.errors import NameTaken, NotFound
from ringfence.fakes.agent import FakeAgent
from ringfence.lab import agents, commands
from ringfence.wire import Nothing

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

VMS = "/var/lib/ringfence/vms"
IMAGES = "/var/lib/ringfence/images"
REMEMBERED = "/var/lib/ringfence/passed"
BEFORE_THE_DISK = ("hold-image/begun", "hold-image/done", "hold-image/kept", "prepare-vm/begun")
WIRE = "/usr/lib/ringfence-agent/ringfence/wire.py"
IDENTITY = ["sha256sum", agents.IDENTITY, "/etc/ringfence/joined.toml"]


def refused(cloud, operation):
    """Follow the operation, which must fail, and give its error's code and family."""
    ended = cloud.follow(operation)
    assert ended["state"] == "failed", ended
    assert ended["error"]["message"]
    return ended["error"]["code"], ended["error"]["family"]


def mount_small_disk(host, options):
    """Lay a small disk over the host's folder of VMs."""
    agent = host.run(["id", "-u", "ringfence-agent"]).out.strip()
    told = f"mode=711,uid={agent},gid={agent},{options}"
    host.run(["mount", "-t", "tmpfs", "-o", told, "tmpfs", VMS])


def test_a_full_disk_on_the_host_is_told_and_leaves_nothing(cloud, tenants):
    host = cloud.lab.host("host1")
    tenants.vm("red", host="host1")
    tenants.close()
    mount_small_disk(host, "size=300m")
    try:
        # As VMs' disks would be: what the host offers to placements stays the same.
        host.run(["mkdir", f"{VMS}/others"])
        host.run(["fallocate", "-l", "290M", f"{VMS}/others/disk"])
        assert refused(cloud, tenants.ask_vm("red", host="host1")) == ("host-disk-full", "refused")
        host.run(["rm", "-r", f"{VMS}/others"])
        check_nothing_left(cloud, "a full disk")
    finally:
        host.run(["umount", VMS])
    cloud.done(tenants.ask_vm("red", host="host1"))


@pytest.mark.parametrize("files", [1, 2, 3], ids=["the VM's folder", "its disk", "its seed"])
def test_a_disk_that_fills_up_on_the_way_is_told_and_leaves_nothing(cloud, tenants, files):
    host = cloud.lab.host("host1")
    # Room for so many files and no more, the folder itself included: what is made next meets a full disk.
    mount_small_disk(host, f"size=300m,nr_inodes={files}")
    try:
        assert refused(cloud, tenants.ask_vm("red", host="host1")) == ("host-disk-full", "refused")
        check_nothing_left(cloud, files)
    finally:
        host.run(["umount", VMS])


def test_a_host_whose_agent_is_dead_is_told_as_such_and_nothing_waits_for_it(cloud, tenants):
    host = cloud.lab.host("host1")
    agents.kill(host)
    try:
        assert refused(cloud, tenants.ask_vm("red", host="host1")) == ("command-not-taken", "unreachable")
        check_nothing_left(cloud, "a dead agent")
        # By now it counts as unreachable, and a placement says so.
        assert refused(cloud, tenants.ask_vm("red", host="host1")) == ("no-host-fits", "refused")
    finally:
        agents.start(host)
        cloud.await_hosts()
    check_nothing_left(cloud, "a dead agent that came back")


def test_a_host_that_vanishes_during_a_create_is_told_and_is_clean_once_it_is_back(cloud, tenants):
    host = cloud.lab.host("host1")
    link = agents.UNITS[1]
    agents.kill(host, link)
    # The power goes when the disk is made and nobody was told: of the points on the way, the agent dies at that one.
    passed = "".join(f"{point}\n" for point in BEFORE_THE_DISK)
    host.run(["setpriv", "--reuid=ringfence-agent", "--clear-groups", "tee", REMEMBERED], input_text=passed)
    agents.start(host, name=link, environment={"RINGFENCE_CRASH_ONCE": REMEMBERED})
    operation = tenants.ask_vm("red", host="host1")
    await_true(lambda: not agents.pids(host, link) or ended(cloud, operation), "the agent to reach the point")
    assert not ended(cloud, operation), cloud.follow(operation)
    assert host.run(["ls", VMS]).out.strip() == operation["subject_id"]
    cloud.lab.power_off(host)
    try:
        await_true(lambda: state(cloud, operation) == "rolling-back", "the create to be given up")
        # It may have something of the VM's: its place stays taken, and no other host has it.
        assert [vm["id"] for vm in cloud.client.pages("/v1/vms", limit=10)] == [operation["subject_id"]]
    finally:
        cloud.power_on(host)
        host.run(["rm", REMEMBERED])
    assert refused(cloud, operation) == ("host-unreachable", "unreachable")
    check_nothing_left(cloud, "a host that vanished")


def test_an_image_that_changed_on_its_way_to_the_host_is_refused_and_leaves_nothing(cloud, tenants):
    (image,) = cloud.client.pages("/v1/images", limit=10)
    file = cloud.data / "images" / image["digest"].removeprefix("sha256:")
    host = cloud.lab.host("host1")
    cached = f"{IMAGES}/{file.name}"
    host.run(["rm", "-f", cached])
    good = file.with_suffix(".good")
    file.rename(good)
    try:
        content = bytearray(good.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
        assert refused(cloud, tenants.ask_vm("red", host="host1")) == ("wrong-digest", "refused")
    finally:
        good.rename(file)
    assert host.run(["ls", "-A", IMAGES]).out.split() == []
    check_nothing_left(cloud, "a wrong digest")
    cloud.done(tenants.ask_vm("red", host="host1"))


def test_a_zone_that_is_unknown_and_a_name_that_is_taken_are_told_and_leave_nothing(cloud, tenants):
    with pytest.raises(NotFound) as unknown:
        tenants.ask_vm("green")
    assert (unknown.value.kind, unknown.value.ref) == ("zone", "green")
    check_nothing_left(cloud, "an unknown zone")
    vm = tenants.vm("red")
    with pytest.raises(NameTaken) as taken:
        tenants.ask_vm("red", name=vm["name"])
    assert taken.value.code == "name-taken"
    assert cloud.ports_in_ovn() == {port["id"] for port in vm["ports"]}
    assert tenants.read(vm)["state"] == "running"


def test_a_second_join_with_a_used_token_is_refused_and_the_host_stays_what_it_was(cloud, tmp_path):
    host = cloud.lab.host("host1")
    token = cloud.client.create("/v1/hosts/invitations", {"name": "spare"})["token"]

    async def obey(_host_id, _verb):
        return Nothing()

    asyncio.run(FakeAgent.join(token, underlay_address="192.0.2.99", folder=tmp_path, act=obey))
    try:
        before = host.run(IDENTITY).out
        with pytest.raises(commands.CommandFailed, match=r"\[join-token-refused\]"):
            agents.join(host, token, anew=True)
        assert host.run(IDENTITY).out == before
        assert host.run(["find", "/etc/ringfence", "-name", "*.new"]).out == ""
    finally:
        cloud.client.delete("/v1/hosts/spare")
    cloud.await_hosts()


def test_a_command_that_an_older_agent_does_not_know_is_answered_with_its_code(cloud, tenants):
    vm = tenants.vm("red", host="host1")
    host, link = cloud.lab.host("host1"), agents.UNITS[1]
    # The agent as it was before there were consoles.
    host.run(["sed", "-i.kept", "s/ | OpenConsole$//", WIRE])
    assert not host.run(["cmp", WIRE, f"{WIRE}.kept"], checked=False).ok
    try:
        agents.kill(host, link)
        agents.start(host)
        answer = order(cloud, vm["host_id"], wire.OpenConsole(vm_id=vm["id"], session_id="s"))
        assert answer.error is not None
        assert (answer.error.code, answer.error.facts) == ("command-unknown", {"verb": "open-console"})
        assert order(cloud, vm["host_id"], wire.ObserveVms()).error is None
    finally:
        host.run(["mv", f"{WIRE}.kept", WIRE])
        agents.kill(host, link)
        agents.start(host)
        cloud.await_hosts()


def state(cloud, operation):
    return cloud.client.get(f"/v1/operations/{operation['id']}")["state"]


def ended(cloud, operation):
    return state(cloud, operation) in ("done", "failed")


def await_true(there, what, *, timeout_seconds=200):
    deadline = time.monotonic() + timeout_seconds
    while not there():
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(0.1)

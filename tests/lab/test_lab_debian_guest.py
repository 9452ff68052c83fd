"""The Debian guest is what people expect of a cloud image: it does what its user data says, grows, and answers.

Minutes without hardware acceleration; the bound is ten.
"""

import base64
import json
import time

import pytest
from tests.lab.tenants import Tenants

from ringfence.lab import guests

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(1500)]

BOOT_SECONDS = 600
VIRSH = ["virsh", "-c", "qemu:///system"]
USER_DATA = """\
#cloud-config
users:
  - default
  - name: rosa
    gecos: Rosa of the ledgers
    shell: /bin/bash
write_files:
  - path: /etc/told-by-user-data
    content: apples
"""


class Agent:
    """The guest agent of one VM, asked through libvirt on the VM's host."""

    def __init__(self, cloud, vm):
        self.host = cloud.lab.host(vm["host"])
        self.domain = f"rf-{vm['id']}"

    def await_there(self, seconds):
        """Return when the guest has opened its end of the channel, as libvirt tells it."""
        wait = [*VIRSH, "event", "--event", "agent-lifecycle", "--domain", self.domain, "--timeout", str(int(seconds))]
        # Asked once before waiting: what happened before is told to nobody. Booting takes far longer than this.
        if not self._channel_is_open():
            said = self.host.run(wait, timeout_seconds=seconds + 10).out
            assert "connected" in said, said

    def ask(self, command, **arguments):
        asked = json.dumps({"execute": command, **({"arguments": arguments} if arguments else {})})
        argv = [*VIRSH, "qemu-agent-command", "--timeout", "30", self.domain, asked]
        return json.loads(self.host.run(argv, timeout_seconds=40).out)["return"]

    def run(self, script, *, seconds=60):
        """Run a line of shell in the guest; gives what it printed."""
        pid = self.ask("guest-exec", path="/bin/sh", arg=["-c", script], **{"capture-output": "merged"})["pid"]
        deadline = time.monotonic() + seconds
        # The agent has no call that waits.
        while not (ended := self.ask("guest-exec-status", pid=pid))["exited"]:
            assert time.monotonic() < deadline, script
            time.sleep(0.5)
        said = base64.b64decode(ended.get("out-data", "")).decode().strip()
        assert ended["exitcode"] == 0, f"{script}: {said}"
        return said

    def _channel_is_open(self):
        return "state='connected'" in self.host.run([*VIRSH, "dumpxml", self.domain]).out


@pytest.fixture(scope="module")
def guest(cloud):
    """One Debian guest, asked for through the API, when cloud-init has ended; gives how long that took, too."""
    file = guests.debian(print)
    digest = f"sha256:{guests.digest(file)}"
    with file.open("rb") as content:
        chunks = iter(lambda: content.read(1 << 20), b"")
        cloud.client.upload("/v1/images/debian/file", chunks, size=file.stat().st_size, digest=digest)
    cloud.client.create("/v1/flavors", {"name": "debian", "vcpus": 1, "memory_mib": 1024, "disk_bytes": 4 << 30})
    made = Tenants(cloud)
    try:
        began = time.monotonic()
        vm = made.vm("red", name="ledger-7", image="debian", flavor="debian", user_data=USER_DATA)
        agent = Agent(cloud, vm)
        agent.await_there(BOOT_SECONDS)
        assert "done" in agent.run("cloud-init status --wait", seconds=began + BOOT_SECONDS - time.monotonic())
        yield vm, agent, time.monotonic() - began
    finally:
        made.close()


def test_the_debian_guest_does_what_its_user_data_says_and_answers(guest, record_property):
    vm, agent, took = guest
    record_property("ready_seconds", round(took))
    assert took < BOOT_SECONDS
    assert agent.ask("guest-get-host-name") == {"host-name": "ledger-7"}
    assert agent.run("id --user --name rosa") == "rosa"
    assert agent.run("cat /etc/told-by-user-data") == "apples"
    interfaces = agent.ask("guest-network-get-interfaces")
    addresses = {each["ip-address"] for one in interfaces for each in one.get("ip-addresses", [])}
    assert vm["ports"][0]["address"] in addresses


def test_the_debian_guests_root_grows_to_its_disk(guest):
    assert int(guest[1].run("findmnt --noheadings --bytes --output SIZE /")) > 3 << 30


def test_the_debian_guest_has_nothing_that_other_guests_have_and_may_install_packages(guest):
    agent = guest[1]
    # Nobody logs in with a password that was in the image, nor meets a key that was.
    assert agent.run("cut -d: -f2 /etc/shadow | grep -c '^[$]' || true") == "0"
    agent.run("test /etc/ssh/ssh_host_ed25519_key -nt /etc/fstab")
    assert len(agent.run("cat /etc/machine-id")) == 32
    assert "trixie" in agent.run("cat /etc/apt/sources.list.d/*.sources")


def test_the_debian_guest_keeps_the_kernel_it_starts_with_current(guest):
    agent = guest[1]
    agent.run("cmp /vmlinuz /boot/start/vmlinuz && cmp /initrd.img /boot/start/initrd", seconds=120)
    agent.run("echo stale > /boot/start/vmlinuz; echo stale > /boot/start/initrd")
    # As installing a kernel does.
    agent.run("run-parts --exit-on-error --regex boot-start /etc/kernel/postinst.d", seconds=120)
    agent.run("cmp /vmlinuz /boot/start/vmlinuz && cmp /initrd.img /boot/start/initrd", seconds=120)
    agent.run("test ! -e /boot/start/initrd.new")

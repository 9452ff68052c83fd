"""Creating and moving VMs on a lab of real hosts, each beside what the tools below ringfence take by themselves."""

from __future__ import annotations

import contextlib
import statistics
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.lab.tenants import Tenants, address, furnish

from bench.figures import Figure, Unmeasured, figure
from ringfence.lab.guest_shell import GuestShell
from ringfence.lab.hosts import Host
from ringfence.lab.joined import Cloud
from ringfence.lab.probes import DatagramRun, PingRun, ping

Json = dict[str, Any]
CREATES = 12
MOVES = 20
QUIET_RUNS = 5
ALLOWED_PER_SECOND = 100
DENIED_PER_SECOND = 1000
_LONGEST_SECONDS = 1800
_NORTHBOUND = ("ovn-nbctl", "--no-leader-only")
_VIRSH = ("virsh", "-c", "qemu:///system")


@contextlib.contextmanager
def _cloud(host_count: int) -> Iterator[tuple[Cloud, Tenants]]:
    cloud = Cloud(name="bench", host_count=host_count)
    try:
        cloud.up()
        furnish(cloud)
        yield cloud, Tenants(cloud)
    finally:
        cloud.down()


def _where(cloud: Cloud) -> Json:
    record = cloud.lab.record
    return {"hosts": record.hosts, "accelerator": record.accelerator, "datapath": record.datapath}


# create


def create() -> Iterator[Figure]:
    """Yield `create`: asked of the API → QEMU runs, beside the same by hand on the same host."""
    with _cloud(1) as (cloud, tenants):
        # It stays: the image is then cached, and the network known on the host, for both sides alike.
        model = tenants.vm("red")
        by_hand = _ByHand.like(cloud, model)
        ours: list[float] = []
        reference: list[float] = []
        hand_steps: dict[str, list[float]] = defaultdict(list)
        steps: dict[str, list[float]] = defaultdict(list)
        for number in range(CREATES + 1):
            began = time.perf_counter()
            operation = cloud.done(tenants.ask_vm("red", host=model["host"]))
            took = 1e3 * (time.perf_counter() - began)
            # ORDER: each is gone before the other is made. A guest that boots beside it takes a core for some seconds,
            # and whatever the product does to the network takes a port away that is not its own.
            cloud.done(cloud.client.delete(f"/v1/vms/{operation['subject_id']}"))
            hand_took = by_hand.create(number)
            by_hand.remove()
            if number == 0:
                continue
            ours.append(took)
            reference.append(sum(hand_took.values()))
            for name, spent in hand_took.items():
                hand_steps[name].append(spent)
            for step in operation["steps"]:
                steps[step["name"]].append(_spent_ms(step))
        yield figure(
            "create",
            ours,
            reference,
            reference_is="by hand: qemu-img, ovn-nbctl, virsh create",
            unit="ms",
            image_bytes=by_hand.image_bytes,
            memory_mib=128,
            steps_ms={name: round(statistics.median(spent)) for name, spent in steps.items()},
            by_hand_ms={name: round(statistics.median(spent)) for name, spent in hand_steps.items()},
            **_where(cloud),
        )


def _spent_ms(step: Json) -> float:
    began, ended = (datetime.fromisoformat(step[key]) for key in ("started_at", "ended_at"))
    return 1e3 * (ended - began).total_seconds()


@dataclass
class _ByHand:
    """A VM like the product's, made with the tools' own commands."""

    host: Host
    central: Host
    image: str
    image_bytes: int
    domain: str
    model: Json
    switch: str
    settings: list[str]
    vm_id: str = ""
    port_id: str = ""

    @classmethod
    def like(cls, cloud: Cloud, model: Json) -> _ByHand:
        host, central = cloud.lab.host(model["host"]), cloud.lab.central
        image = host.run(["find", "/var/lib/ringfence/images", "-type", "f"]).out.split()[0]
        port = model["ports"][0]["id"]
        shown = central.run([*_NORTHBOUND, "--bare", "--columns=name,ports", "list", "Logical_Switch"]).out
        row = central.run([*_NORTHBOUND, "get", "Logical_Switch_Port", port, "_uuid"]).out.strip()
        blocks = [block.split("\n") for block in shown.strip().split("\n\n")]
        switch = next(name for name, ports in blocks if row in ports)
        # By hand as the product has it: DHCP from OVN, and the port on this host.
        dhcp = central.run([*_NORTHBOUND, "get", "Logical_Switch_Port", port, "dhcpv4_options"]).out.strip()
        chassis = central.run([*_NORTHBOUND, "get", "Logical_Switch_Port", port, "options:requested-chassis"]).out
        return cls(
            host=host,
            central=central,
            image=image,
            image_bytes=(host.root / image.lstrip("/")).stat().st_size,
            domain=host.run([*_VIRSH, "dumpxml", "--inactive", f"rf-{model['id']}"]).out,
            model=model,
            switch=switch,
            settings=[f"dhcpv4_options={dhcp}", f"options:requested-chassis={chassis.strip()}"],
        )

    @property
    def folder(self) -> str:
        return f"/var/lib/ringfence/vms/{self.vm_id}"

    def create(self, number: int) -> dict[str, float]:
        """Make it; gives the milliseconds that each command took."""
        self.vm_id, self.port_id = str(uuid.uuid4()), str(uuid.uuid4())
        mac, port = f"02:be:00:00:00:{number:02x}", self.model["ports"][0]
        text = self.domain.replace(self.model["id"], self.vm_id)
        text = text.replace(port["mac"], mac).replace(port["id"], self.port_id)
        self.host.write("/tmp/by-hand.xml", text)
        addresses = f"{mac} 10.20.0.{200 + number}"
        old, seed = f"/var/lib/ringfence/vms/{self.model['id']}", "seed.iso"
        add = [*_NORTHBOUND, "lsp-add", self.switch, self.port_id]
        add += ["--", "lsp-set-addresses", self.port_id, addresses]
        add += ["--", "lsp-set-port-security", self.port_id, addresses]
        add += ["--", "set", "Logical_Switch_Port", self.port_id, *self.settings]
        convert = f"mkdir {self.folder} && cp {old}/{seed} {self.folder}/ && "
        convert += f"qemu-img convert -O qcow2 {self.image} {self.folder}/disk.qcow2"
        work = (
            ("qemu-img", self.host, ["sh", "-ec", convert]),
            ("ovn-nbctl", self.central, add),
            ("sync", self.central, [*_NORTHBOUND, "--wait=hv", "sync"]),
            ("virsh", self.host, [*_VIRSH, "create", "/tmp/by-hand.xml"]),
        )
        took = {}
        for name, place, argv in work:
            began = time.perf_counter()
            place.run(argv)
            took[name] = 1e3 * (time.perf_counter() - began)
        return took

    def remove(self) -> None:
        self.host.run([*_VIRSH, "destroy", f"rf-{self.vm_id}"])
        self.central.run([*_NORTHBOUND, "--if-exists", "lsp-del", self.port_id])
        self.host.run(["rm", "-r", self.folder])


# move-gap, move-leaks


def moves() -> Iterator[Figure]:
    """Yield `move-gap` and `move-leaks`: what a friend misses of a VM in a move, and what a stranger gets through."""
    with _cloud(3) as (cloud, tenants):
        mover, friend_vm = tenants.pair()
        stranger_vm = tenants.vm("blue")
        # It has booted, and answers.
        tenants.shell(mover).close()
        friend, stranger = tenants.shell(friend_vm), tenants.shell(stranger_vm)
        red, blue = address(mover), address(stranger_vm)
        tenants.policy({"zone": "red"}, {"zone": "red"})
        both = [mover["host"], friend_vm["host"]]
        with cloud.capture(both, f"src {address(friend_vm)} and dst {red} and icmp") as control:
            if not ping(friend, red, count=5).received:
                raise Unmeasured("the friend's pings are not answered before any move")
        if not (control.worked and control.count):
            raise Unmeasured("the capture does not see packets that pass, so seeing none would prove nothing")
        quiet = [_gap_ms(friend, red, f"quiet-{number}", lambda: time.sleep(4)) for number in range(QUIET_RUNS)]
        gaps: list[float] = []
        moved: list[Json] = []
        with cloud.capture(both, f"src {blue} and dst {red}") as leaks:
            began = time.monotonic()
            denied = DatagramRun(stranger, mover, per_second=DENIED_PER_SECOND)
            for number in range(MOVES):
                wanted = {"host": both[1 - number % 2]}

                def move(wanted: Json = wanted) -> None:
                    operation = cloud.done(cloud.client.create(f"/v1/vms/{mover['id']}/move", wanted))
                    moved.append(operation["result"])
                    # The stream runs on, so that a late loss is seen as well.
                    time.sleep(1)

                gaps.append(_gap_ms(friend, red, f"move-{number}", move))
            sent = denied.stop()
            seconds = time.monotonic() - began
        if not leaks.worked:
            raise Unmeasured("a capture broke off")
        where = _where(cloud) | {"memory_mib": 128, "disk_bytes": 64 << 20}
        yield figure(
            "move-gap",
            gaps,
            [move["downtime_ms"] for move in moved],
            reference_is="QEMU's own downtime",
            unit="ms",
            allowed_per_second=ALLOWED_PER_SECOND,
            over_downtime_of_the_same_move_ms=round(
                statistics.median(gap - move["downtime_ms"] for gap, move in zip(gaps, moved, strict=True)), 1
            ),
            longest_gap_without_a_move_ms=round(statistics.median(quiet), 1),
            denied_per_second_meanwhile=round(sent / seconds),
            move_total_ms=round(statistics.median(move["total_ms"] for move in moved)),
            **where,
        )
        yield figure(
            "move-leaks",
            [leaks.count],
            [0],
            digits=0,
            reference_is="none may pass",
            unit=f"of {sent} denied packets",
            denied_sent=sent,
            denied_per_second=round(sent / seconds),
            moves=MOVES,
            seconds=round(seconds),
            **where,
        )


def _gap_ms(friend: GuestShell, red: str, name: str, meanwhile: Callable[[], None]) -> float:
    """The longest time between two answers while something happens; raises `Unmeasured` if hardly any came."""
    stream = PingRun(friend, red, per_second=ALLOWED_PER_SECOND, seconds=_LONGEST_SECONDS, name=name)
    time.sleep(0.5)
    meanwhile()
    seen = stream.stop()
    if seen.received < ALLOWED_PER_SECOND // 2:
        raise Unmeasured(f"only {seen.received} of {seen.sent} allowed pings were answered")
    return 1e3 * seen.longest_gap_seconds

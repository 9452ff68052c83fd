"""A whole lab: central and hosts, brought up, looked at, and taken away again after whatever happened to it.

The face of `ringfence.lab` for tests, the demo and the command line. Up again repairs; down finds what there is by its
mark and needs no record. One lock a lab: two commands on one lab wait for one another, two labs do not.
"""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from ringfence.errors import Invalid, NotFound, Refused
from ringfence.lab import commands, kvm, namespaces, places, rootfs
from ringfence.lab.addresses import MOST_HOSTS, Underlay, choose_subnet, observe_subnets
from ringfence.lab.central import Central
from ringfence.lab.hosts import Host
from ringfence.lab.places import Places

Tell = Callable[[str], None]
_LOCK_SECONDS = 120.0


@dataclass(eq=False)
class NotRoot(Refused):
    """The lab makes namespaces and network interfaces; this user may not.

    Run it as root.
    """


@dataclass(eq=False)
class LabMissing(Refused):
    """There is no lab {name}.

    Bring it up with `ringfence lab up --name {name}`; `ringfence lab status` tells which there are.
    """

    status: ClassVar[int] = 404
    name: str


@dataclass(eq=False)
class LabBusy(Refused):
    """Another command has been working on lab {name} for {waited_seconds} s.

    Wait for it, or end it; then try again.
    """

    name: str
    waited_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is written down of a lab: what cannot be seen on its processes."""

    name: str
    subnet: str
    hosts: int
    root: str
    accelerator: str
    accelerator_because: str
    datapath: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HostStatus:
    """A host as it is at this moment; `runs` names the daemons that do."""

    name: str
    address: str
    is_up: bool
    runs: tuple[str, ...]


class Lab:
    """The lab of one name, whether it is up or not."""

    def __init__(self, name: str = places.DEFAULT_NAME) -> None:
        self.places = Places(name)

    @property
    def name(self) -> str:
        return self.places.name

    @property
    def record(self) -> Record:
        """What was written down when it came up; raises `LabMissing`."""
        try:
            return Record(**json.loads(self.places.record.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            raise LabMissing(name=self.name) from None

    @property
    def underlay(self) -> Underlay:
        return Underlay(ipaddress.IPv4Network(self.record.subnet))

    @property
    def controller_address(self) -> str:
        """The machine's own address in the underlay: where hosts can dial a controller on this machine."""
        return self.underlay.machine

    @property
    def central(self) -> Central:
        return Central(places=self.places, underlay=self.underlay)

    @property
    def hosts(self) -> list[Host]:
        return [self._host(number) for number in range(1, self.record.hosts + 1)]

    def host(self, name: str) -> Host:
        """Return the host of this name (`central` too); raises `NotFound`, or `LabMissing` if there is no lab."""
        for host in [*self.hosts, self.central]:
            if host.name == name:
                return host
        raise NotFound(kind="lab host", ref=name)

    def up(self, hosts: int = 3, *, tell: Tell = lambda _line: None) -> None:
        """Have central and this many hosts running; what runs already is left as it is."""
        if os.geteuid() != 0:
            raise NotRoot
        if not 1 <= hosts <= MOST_HOSTS:
            raise Invalid(field="hosts", why=f"{hosts} is not between 1 and {MOST_HOSTS}")
        root = rootfs.root(rootfs.host_recipe(), tell)
        accelerator = kvm.choose_accelerator(root, tell)
        with self._locked():
            # ORDER: the record first: it holds the subnet for this lab before anything uses it.
            self._write_down(hosts=hosts, root=root, accelerator=accelerator)
            self._up_central(tell)
            with ThreadPoolExecutor(max_workers=4) as pool:
                datapaths = list(pool.map(lambda host: self._up_host(host, tell), self.hosts))
            self._update(datapath=datapaths[0])

    def down(self) -> bool:
        """Have nothing of the lab on the machine; returns whether there was anything."""
        if os.geteuid() != 0:
            raise NotRoot
        with self._locked():
            killed = namespaces.kill(self.name)
            # It goes with central's network namespace, but the kernel takes its time.
            commands.run(["ip", "link", "delete", self.places.machine_interface], timeout_seconds=10, checked=False)
            existed = bool(killed) or self.places.run.exists() or self.places.disk.exists()
            # ORDER: the record last: while there is one, `status` still names this lab.
            namespaces.remove_tree(self.places.disk)
            namespaces.remove_tree(self.places.run)
            self.places.lock.unlink(missing_ok=True)
        for parent in (places.RUN, places.DISK):
            with contextlib.suppress(OSError):
                parent.rmdir()
        return existed

    def power_off(self, host: Host) -> None:
        """Take a host away as a power cut does; its disk stays."""
        namespaces.kill(self.name, host.name)

    def power_on(self, host: Host) -> None:
        """Bring a host up again that was powered off, with the disk it had, and central's wire to it."""
        with self._locked():
            self._up_host(host, lambda _line: None)

    def status(self) -> list[HostStatus]:
        """Look at every host of the lab; raises `LabMissing`."""
        return [_status(host) for host in [self.central, *self.hosts]]

    def _host(self, number: int) -> Host:
        address = self.underlay.host(number)
        return Host(places=self.places, name=f"host{number}", address=address, underlay=self.underlay)

    def _up_central(self, tell: Tell) -> None:
        central = self.central
        if not central.is_up:
            self._boot(central)
        central.start_underlay()
        central.start_ovn()
        tell(f"central: OVN runs at {central.address}")

    def _up_host(self, host: Host, tell: Tell) -> str:
        if not host.is_up:
            self._boot(host)
        self.central.plug(host)
        datapath = host.start_switch()
        host.start_libvirt()
        tell(f"{host.name}: OVS ({datapath}) and libvirt run at {host.address}")
        return datapath

    def _boot(self, host: Host) -> None:
        namespaces.start_init(
            lab=self.name,
            host=host.name,
            lower=Path(self.record.root),
            disk=self.places.disk / host.name,
            shared=host.shared,
            accelerator=self.record.accelerator,
            log=self.places.run / f"{host.name}.log",
        )
        host.write("/etc/hostname", f"{host.name}\n")
        names = "".join(f"{each.address} {each.name}\n" for each in [self.central, *self.hosts])
        host.write("/etc/hosts", f"127.0.0.1 localhost\n{names}")

    def _write_down(self, *, hosts: int, root: Path, accelerator: kvm.Accelerator) -> None:
        try:
            before = self.record
        except LabMissing:
            with _lock(places.RUN / ".subnets.lock"):
                subnet = str(choose_subnet(self.name, observe_subnets()).subnet)
                self._save(
                    Record(
                        name=self.name,
                        subnet=subnet,
                        hosts=hosts,
                        root=str(root),
                        accelerator=accelerator.name,
                        accelerator_because=accelerator.because,
                        datapath="",
                    )
                )
            return
        self._save(_replaced(before, hosts=max(hosts, before.hosts)))

    def _update(self, **changes: Any) -> None:
        self._save(_replaced(self.record, **changes))

    def _save(self, record: Record) -> None:
        self.places.run.mkdir(parents=True, exist_ok=True)
        written = self.places.record.with_suffix(".new")
        written.write_text(json.dumps(asdict(record), indent=2), encoding="utf-8")
        written.rename(self.places.record)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with _lock(self.places.lock, name=self.name):
            yield


def labs() -> list[str]:
    """Return the names of all labs that anything is left of on this machine."""
    names = {found.lab for found in namespaces.marked()}
    for folder in (places.RUN, places.DISK):
        names.update(entry.name for entry in folder.glob("*/") if not entry.name.startswith("."))
    return sorted(names)


def _replaced(record: Record, **changes: Any) -> Record:
    return Record(**(asdict(record) | changes))


def _status(host: Host) -> HostStatus:
    if not host.is_up:
        return HostStatus(name=host.name, address=host.address, is_up=False, runs=())
    root = host.root
    pidfiles = [*root.glob("run/*.pid"), *root.glob("run/openvswitch/*.pid"), *root.glob("run/ovn/*.pid")]
    pids = {pidfile.stem: pidfile.read_text().strip() for pidfile in pidfiles}
    running = sorted(name for name, pid in pids.items() if pid and (root / "proc" / pid).exists())
    return HostStatus(name=host.name, address=host.address, is_up=True, runs=tuple(running))


@contextlib.contextmanager
def _lock(path: Path, *, name: str = "") -> Iterator[None]:
    """Hold an exclusive lock, which the kernel lets go when its holder dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        with path.open("w") as held:
            _flock_until(held.fileno(), deadline, name)
            # The holder before may have removed the file: a lock on what nobody else can open guards nothing.
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_ino == os.fstat(held.fileno()).st_ino:
                    yield
                    return


def _flock_until(fd: int, deadline: float, name: str) -> None:
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise LabBusy(name=name, waited_seconds=_LOCK_SECONDS) from None
            time.sleep(0.05)
        else:
            return

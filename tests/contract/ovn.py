"""A real OVN in a throw-away folder, without root: databases and northd, and hosts with a switch and ovn-controller.

The programs are those of the lab's Debian root, started through that root's own loader, so they run on any machine. A
host's switch has OVS's userspace datapath with dummy devices: packets are handed to a port as bytes, and what another
port puts out is read from its capture file.
"""

from __future__ import annotations

import shutil
import signal
import struct
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.needs import missing

from ringfence.lab.places import cache

PATIENCE_SECONDS = 90.0


def lab_root() -> Path:
    """Find the lab's root file system; without one there is no test (`needs.missing`)."""
    for place in sorted(cache().glob("rootfs-*")):
        if (place / "usr/bin/ovn-northd").exists():
            return place
    raise missing("no root file system of the lab: run `make lab-root`")


@dataclass
class Programs:
    """Programs of the lab's root. Everything started here is stopped here."""

    root: Path
    folder: Path
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def command(self, program: str, *arguments: str) -> list[str]:
        folders = ("usr/bin", "usr/sbin", "usr/lib/openvswitch-switch")
        place = next(path for folder in folders if (path := self.root / folder / program).exists())
        libraries = self.root / "usr/lib/x86_64-linux-gnu"
        return [str(self.root / "lib64/ld-linux-x86-64.so.2"), "--library-path", str(libraries), str(place), *arguments]

    def environment(self) -> dict[str, str]:
        there = str(self.folder)
        return {"OVS_RUNDIR": there, "OVN_RUNDIR": there, "OVS_LOGDIR": there, "OVN_LOGDIR": there, "OVS_DBDIR": there}

    def run(self, program: str, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            self.command(program, *arguments),
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"{program} {' '.join(arguments)}: {done.stderr}{done.stdout}")
        return done.stdout + ("" if check else done.stderr)

    def start(self, name: str, program: str, *arguments: str, ready: Path) -> None:
        log = (self.folder / f"{name}.out").open("ab")
        self.running[name] = subprocess.Popen(
            self.command(program, *arguments), env=self.environment(), stdout=log, stderr=log, start_new_session=True
        )
        self.await_true(ready.exists, f"{name} to start")

    def stop(self, name: str, *, with_signal: int = signal.SIGTERM) -> None:
        process = self.running.pop(name)
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
            process.send_signal(with_signal)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)

    def stop_all(self) -> None:
        for name in reversed(list(self.running)):
            self.stop(name, with_signal=signal.SIGKILL)

    def await_true(self, holds: Callable[[], object], what: str, *, seconds: float = PATIENCE_SECONDS) -> None:
        """Poll what gives no event (files, other programs' state)."""
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, f"waited {seconds} s in vain for {what}"
            time.sleep(0.02)


@dataclass
class Certificates:
    """PEM files of one holder, as OVSDB's programs take them."""

    key: Path
    certificate: Path
    ca: Path

    def flags(self) -> tuple[str, ...]:
        return ("-p", str(self.key), "-c", str(self.certificate), "-C", str(self.ca))


class Central:
    """The northbound and southbound databases with northd."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.programs = Programs(root, folder)
        self.folder = folder
        self.northbound = f"unix:{folder}/nb.sock"
        self.southbound = f"unix:{folder}/sb.sock"

    def start(self, *, tls: Certificates | None = None) -> None:
        for name in ("nb", "sb"):
            database = self.folder / f"{name}.db"
            schema = self.programs.root / f"usr/share/ovn/ovn-{name}.ovsschema"
            self.programs.run("ovsdb-tool", "create", str(database), str(schema))
            self.start_database(name, tls=tls if name == "sb" else None)
        self.start_northd()

    def start_database(self, name: str, *, tls: Certificates | None = None) -> None:
        secure = (*tls.flags(), "--remote=db:OVN_Southbound,SB_Global,connections") if tls else ()
        socket = self.folder / f"{name}.sock"
        self.programs.start(
            name, "ovsdb-server", str(self.folder / f"{name}.db"), f"--remote=punix:{socket}", *secure,
            f"--unixctl={self.folder}/{name}.ctl", "-vconsole:off", "-vsyslog:off",
            f"--log-file={self.folder}/{name}.log",
            ready=socket,
        )  # fmt: skip

    def start_northd(self) -> None:
        control = self.folder / "northd.ctl"
        self.programs.start(
            "northd", "ovn-northd", f"--ovnnb-db={self.northbound}", f"--ovnsb-db={self.southbound}",
            f"--unixctl={control}", "-vconsole:off", "-vsyslog:off", f"--log-file={self.folder}/northd.log",
            ready=control,
        )  # fmt: skip
        self.sync()

    def nbctl(self, *arguments: str) -> str:
        return self.programs.run("ovn-nbctl", f"--db={self.northbound}", "--timeout=30", *arguments)

    def sbctl(self, *arguments: str) -> str:
        return self.programs.run("ovn-sbctl", f"--db={self.southbound}", "--timeout=30", *arguments)

    def sync(self) -> None:
        """Wait until the southbound follows the northbound."""
        self.nbctl("--wait=sb", "sync")

    def stop(self) -> None:
        self.programs.stop_all()


class SwitchHost:
    """A host's switch: OVS with dummy devices, and ovn-controller; its chassis is named `name`."""

    def __init__(self, central: Central, folder: Path, name: str, address: str) -> None:
        folder.mkdir()
        self.name, self.address, self.folder = name, address, folder
        self.programs = Programs(central.programs.root, folder)
        self.central = central

    def start(self, southbound: str | None = None, tls: Certificates | None = None) -> None:
        here, root = self.folder, self.programs.root
        schema = root / "usr/share/openvswitch/vswitch.ovsschema"
        self.programs.run("ovsdb-tool", "create", str(here / "conf.db"), str(schema))
        quiet = ("-vconsole:off", "-vsyslog:off")
        self.programs.start(
            "ovsdb", "ovsdb-server", str(here / "conf.db"), f"--remote=punix:{here}/db.sock",
            f"--unixctl={here}/db.ctl", *quiet, ready=here / "db.sock",
        )  # fmt: skip
        self.vsctl(
            "--no-wait", "init", "--", "set", "open", ".", f"external-ids:system-id={self.name}",
            f"external-ids:hostname={self.name}", f"external-ids:ovn-remote={southbound or self.central.southbound}",
            "external-ids:ovn-encap-type=geneve", f"external-ids:ovn-encap-ip={self.address}",
            "external-ids:ovn-monitor-all=true",
            "--", "add-br", "br-int", "--", "set", "bridge", "br-int", "datapath_type=dummy", "fail_mode=secure",
        )  # fmt: skip
        self.programs.start(
            "vswitchd", "ovs-vswitchd", f"unix:{here}/db.sock", "--enable-dummy=override", "--disable-system",
            f"--unixctl={here}/vswitchd.ctl", *quiet, f"--log-file={here}/vswitchd.log", ready=here / "vswitchd.ctl",
        )  # fmt: skip
        self.start_controller(tls)

    def start_controller(self, tls: Certificates | None = None) -> None:
        here = self.folder
        self.programs.start(
            "controller", "ovn-controller", f"unix:{here}/db.sock", *(tls.flags() if tls else ()),
            f"--unixctl={here}/controller.ctl", "-vconsole:off", "-vsyslog:off", f"--log-file={here}/controller.log",
            ready=here / "controller.ctl",
        )  # fmt: skip

    def vsctl(self, *arguments: str) -> str:
        return self.programs.run("ovs-vsctl", f"--db=unix:{self.folder}/db.sock", "--timeout=30", *arguments)

    def switch(self, *arguments: str) -> str:
        """Ask the switch's control socket."""
        return self.programs.run("ovs-appctl", "-t", str(self.folder / "vswitchd.ctl"), *arguments)

    def plug(self, port_id: str) -> None:
        """Plug a guest's NIC: a dummy device that writes what it is given into a capture file."""
        device = self.device(port_id)
        self.vsctl(
            "add-port", "br-int", device, "--", "set", "interface", device, "type=dummy",
            f"external-ids:iface-id={port_id}", f"options:tx_pcap={self.capture(port_id)}",
        )  # fmt: skip

    def device(self, port_id: str) -> str:
        return "d" + port_id[:12]

    def capture(self, port_id: str) -> Path:
        return self.folder / f"{self.device(port_id)}.pcap"

    def send(self, port_id: str, *packets: bytes) -> None:
        """Have the guest on the port send the packets."""
        self.switch("netdev-dummy/receive", self.device(port_id), *(packet.hex() for packet in packets))

    def received(self, port_id: str) -> list[bytes]:
        """Read every packet the guest on the port was given so far."""
        return list(read_capture(self.capture(port_id)))

    def stop(self) -> None:
        self.programs.stop_all()


def read_capture(path: Path) -> Iterator[bytes]:
    """Read the packets of a pcap file, as libpcap writes them."""
    content = path.read_bytes()
    at = 24
    while at + 16 <= len(content):
        (length,) = struct.unpack_from("<I", content, at + 8)
        yield content[at + 16 : at + 16 + length]
        at += 16 + length


@contextmanager
def running_central(folder: Path, *, tls: Certificates | None = None) -> Iterator[Central]:
    # Socket paths hold at most 107 characters, so the folder must be a short one.
    central = Central(lab_root(), folder)
    try:
        central.start(tls=tls)
        yield central
    finally:
        central.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running_hosts(central: Central, names: Sequence[str]) -> Iterator[list[SwitchHost]]:
    hosts = [SwitchHost(central, central.folder / f"h{i}", name, f"127.0.0.{11 + i}") for i, name in enumerate(names)]
    try:
        for host in hosts:
            host.start()
        yield hosts
    finally:
        for host in hosts:
            host.stop()

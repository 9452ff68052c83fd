"""OVN's central, and the underlay's bridge, in a host of their own: northbound, southbound, northd.

The northbound listens on a unix socket only, in a folder of the machine where the controller finds it. The southbound
listens for hosts over TLS, with RBAC, once it has been given keys. Who may do what there is the controller's to say.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from ringfence.lab import commands, namespaces
from ringfence.lab.addresses import Underlay
from ringfence.lab.hosts import UNDERLAY_MTU, Host
from ringfence.lab.places import Places

NAME = "central"
SOUTHBOUND_PORT = 6642
_BRIDGE = "underlay"
_KEYS = "/etc/ovn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """What the southbound shows to hosts and checks theirs with: PEM texts."""

    private_key: str
    certificate: str
    ca: str


class Central(Host):
    """The host that carries OVN's central."""

    def __init__(self, *, places: Places, underlay: Underlay) -> None:
        super().__init__(places=places, name=NAME, address=underlay.central, underlay=underlay)

    @property
    def northbound(self) -> str:
        """Where the controller, on this machine, finds the northbound."""
        return f"unix:{self.shared}/ovnnb_db.sock"

    @property
    def southbound(self) -> str:
        """Where the controller, on this machine, finds the southbound."""
        return f"unix:{self.shared}/ovnsb_db.sock"

    @property
    def southbound_for_hosts(self) -> str:
        return f"ssl:{self.address}:{SOUTHBOUND_PORT}"

    # the underlay

    def start_underlay(self) -> None:
        """Make the bridge that all hosts are on, and the wire from it to the machine's own network."""
        script = f"""
            ip link show {_BRIDGE} >/dev/null 2>&1 || ip link add {_BRIDGE} type bridge
            ip link set {_BRIDGE} mtu {UNDERLAY_MTU} up
            ip address replace {self.address}/{self.underlay.prefix} dev {_BRIDGE}
            ethtool -K {_BRIDGE} tx off >/dev/null
        """
        self.run(["sh", "-ec", script])
        mine = self.places.machine_interface
        if not Path("/sys/class/net", mine).exists():
            self._plug("machine", ["name", mine])
        self._ip("address", "replace", f"{self.underlay.machine}/{self.underlay.prefix}", "dev", mine)
        self._ip("link", "set", mine, "mtu", str(UNDERLAY_MTU), "up")
        # The machine need not have ethtool: the host's own is run on the machine's network.
        ethtool = ["ethtool", "-K", mine, "tx", "off", "rx", "off"]
        commands.run(namespaces.enter_disks(self.pid, ethtool), timeout_seconds=10, marks=self.marks)

    def plug(self, host: Host) -> None:
        """Lay the wire from the bridge to the host's `eth0`; one that is there stays."""
        has_wire = (host.root / "sys/class/net/eth0").exists() and (self.root / "sys/class/net" / host.name).exists()
        if not has_wire:
            self._plug(host.name, ["name", "eth0", "netns", str(host.pid)])
        host.run(["ip", "link", "set", "eth0", "mtu", str(UNDERLAY_MTU), "up"])

    def _plug(self, port: str, peer: list[str]) -> None:
        # A host that died takes its wire along, but some time later: make room for the new one.
        self.run(["ip", "link", "delete", port], checked=False)
        self._ip("link", "add", port, "netns", str(self.pid), "type", "veth", "peer", *peer)
        script = (
            f"ip link set {port} mtu {UNDERLAY_MTU} master {_BRIDGE} up; ethtool -K {port} tx off rx off >/dev/null"
        )
        self.run(["sh", "-ec", script])

    def _ip(self, *argv: str) -> None:
        commands.run(["ip", *argv], timeout_seconds=10, marks=self.marks)

    # OVN

    def start_ovn(self) -> None:
        """Start the two databases and northd; the southbound listens for hosts as soon as it has had keys."""
        for name, schema in (("ovnnb_db", "ovn-nb"), ("ovnsb_db", "ovn-sb")):
            if not (self.root / f"var/lib/ovn/{name}.db").exists():
                self.run(["mkdir", "-p", "/var/lib/ovn", "/var/log/ovn", _KEYS])
                self.run(["ovsdb-tool", "create", f"/var/lib/ovn/{name}.db", f"/usr/share/ovn/{schema}.ovsschema"])
        if not self.runs("/run/ovn/ovnnb_db.pid"):
            self._start_database("ovnnb_db", "OVN_Northbound,NB_Global")
            self.run(["ovn-nbctl", "--no-leader-only", "init"])
        if not self.runs("/run/ovn/ovnsb_db.pid"):
            self._start_database("ovnsb_db", "OVN_Southbound,SB_Global")
            self.run(["ovn-sbctl", "--no-leader-only", "init"])
        if not self.runs("/run/ovn/ovn-northd.pid"):
            databases = ["--ovnnb-db=unix:/run/ovn/ovnnb_db.sock", "--ovnsb-db=unix:/run/ovn/ovnsb_db.sock"]
            self._start_ovn(["ovn-northd", *databases], "ovn-northd")

    def secure_southbound(self, certificates: Certificates, *, role: str) -> None:
        """Have the southbound listen for hosts over TLS, each confined to what `role` allows it.

        The role is a row that the controller writes; as long as there is none of that name, a host can write nothing.
        """
        wanted = {"key": certificates.private_key, "crt": certificates.certificate, "ca": certificates.ca}
        if self._keys() != wanted:
            self.write(f"{_KEYS}/southbound.key", wanted["key"], mode=0o600)
            self.write(f"{_KEYS}/southbound.crt", wanted["crt"])
            self.write(f"{_KEYS}/southbound.ca", wanted["ca"])
            # The server takes keys at its start: later is too late for the first connections.
            self.run(["ovs-appctl", "-t", "/run/ovn/ovnsb_db.ctl", "exit"])
            self._await_gone("/run/ovn/ovnsb_db.pid")
            self._start_database("ovnsb_db", "OVN_Southbound,SB_Global")
        listener = f"pssl:{SOUTHBOUND_PORT}:{self.address}"
        self.run(
            ["ovn-sbctl", "--no-leader-only", "--inactivity-probe=60000", "set-connection", f"role={role}", listener]
        )

    def _keys(self) -> dict[str, str]:
        with contextlib.suppress(FileNotFoundError):
            kinds = ("key", "crt", "ca")
            return {kind: (self.root / f"etc/ovn/southbound.{kind}").read_text(encoding="utf-8") for kind in kinds}
        return {}

    def _start_database(self, name: str, table: str) -> None:
        argv = ["ovsdb-server", f"/var/lib/ovn/{name}.db", f"--remote=punix:/run/ovn/{name}.sock"]
        argv += [f"--remote=db:{table},connections", f"--unixctl=/run/ovn/{name}.ctl"]
        if name == "ovnsb_db" and self._keys():
            tls = {"private-key": "key", "certificate": "crt", "ca-cert": "ca"}
            argv += [f"--{option}={_KEYS}/southbound.{kind}" for option, kind in tls.items()]
        self._start_ovn(argv, name)

    def _await_gone(self, path: str) -> None:
        gone = self.run(["sh", "-c", f"for i in $(seq 500); do [ -e {path} ] || exit 0; sleep 0.01; done; exit 1"])
        assert gone.ok

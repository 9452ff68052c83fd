"""One lab host: a hypervisor with OVS and libvirt, as a Debian 13 machine would have them, on a wire to the underlay.

It is the same for the agent's host and for what carries OVN's central (`central.py`): both are a `Host`. What differs
from a real hypervisor is written in `_LIBVIRT_CONFIGURATION` and `_QEMU_CONFIGURATION`.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ringfence.errors import Unreachable
from ringfence.lab import commands, namespaces
from ringfence.lab.addresses import Underlay
from ringfence.lab.commands import Ran, Running
from ringfence.lab.places import Places

UNDERLAY_MTU = 9000
_QEMU_CONFIGURATION = """\
# The lab's machine may have neither AppArmor nor a cgroup tree of its own for each host.
security_driver = "none"
cgroup_controllers = []
namespaces = []
remember_owner = 0
stdio_handler = "file"
"""
_LIBVIRT_CONFIGURATION = """\
# All lab hosts have the machine's firmware UUID; libvirt refuses a move between hosts of one UUID.
host_uuid = "{host_uuid}"
"""


_END_LIBVIRT = """\
pid=$(cat /run/libvirtd.pid)
tries=0
while kill -s "$([ $tries -lt 100 ] && echo TERM || echo KILL)" "$pid" 2>/dev/null; do
    tries=$((tries + 1))
    sleep 0.1
done
"""


@dataclass(eq=False)
class HostDown(Unreachable):
    """Lab host {host} is not running.

    Bring it up with `ringfence lab up`.
    """

    host: str


class Host:
    """A host of the lab, whether it runs or not; holds no state but its name and number."""

    def __init__(self, *, places: Places, name: str, address: str, underlay: Underlay) -> None:
        self.places = places
        self.name = name
        self.address = address
        self.underlay = underlay

    @property
    def pid(self) -> int:
        """The pid of the host's init on the machine; raises `HostDown`."""
        pid = namespaces.inits(self.places.name).get(self.name)
        if pid is None:
            raise HostDown(host=self.name)
        return pid

    @property
    def is_up(self) -> bool:
        return self.name in namespaces.inits(self.places.name)

    @property
    def root(self) -> Path:
        """The host's root as the machine's root user sees it: for reading and writing its files."""
        return Path(f"/proc/{self.pid}/root")

    @property
    def shared(self) -> Path:
        """The folder on the machine that is `/run/ovn` in the host: its OVN sockets."""
        return self.places.run / self.name

    @property
    def marks(self) -> dict[str, str]:
        return namespaces.marks(self.places.name, self.name)

    def run(
        self, argv: Sequence[str], *, timeout_seconds: float = 30, input_text: str = "", checked: bool = True
    ) -> Ran:
        """Run a command in the host, as root, to its end."""
        inside = namespaces.enter(self.pid, argv)
        return commands.run(
            inside, timeout_seconds=timeout_seconds, input_text=input_text, marks=self.marks, checked=checked
        )

    def start(self, argv: Sequence[str], *, log: str) -> None:
        """Start a program that stays in the foreground, as a daemon of the host; `log` is a path in the host."""
        script = 'log=$1; shift; exec setsid -f "$@" >>"$log" 2>&1 </dev/null'
        self.run(["sh", "-c", script, "sh", log, *argv])

    def open(self, argv: Sequence[str]) -> Running:
        """Start a command in the host whose output the caller reads as it comes; the caller ends it."""
        return commands.open_process(namespaces.enter(self.pid, argv), marks=self.marks)

    def shell(self, argv: Sequence[str] = ("bash", "-l")) -> int:
        """Give the caller's terminal to a shell in the host."""
        return commands.hand_over(namespaces.enter(self.pid, argv, working_folder="/root"), marks=self.marks)

    def write(self, path: str, text: str, *, mode: int = 0o644) -> None:
        """Write a file in the host, by its path there, making its folder."""
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        target.chmod(mode)

    def runs(self, pidfile: str) -> bool:
        """Tell whether the daemon of this pid file, by its path in the host, is running."""
        return self.run(["sh", "-c", 'kill -0 "$(cat "$1")"', "sh", pidfile], checked=False).ok

    def await_path(self, path: str, *, timeout_seconds: float = 15) -> None:
        """Wait until there is a file or socket at the path in the host."""
        deadline = time.monotonic() + timeout_seconds
        while not (self.root / path.lstrip("/")).exists():
            if time.monotonic() > deadline:
                raise commands.CommandLate(command=f"{self.name}: {path}", timeout_seconds=timeout_seconds, said="")
            time.sleep(0.02)

    # what a hypervisor runs

    def start_switch(self) -> str:
        """Start OVS, with the underlay's wire in `br-phy`; returns the datapath it uses: system or netdev."""
        self._start_switch_daemons()
        # Userspace leaves checksums to the NIC that is not there: TCP dies while ping works.
        self.run(["ethtool", "-K", "eth0", "tx", "off", "rx", "off", "gro", "off"])
        datapath = self._choose_datapath()
        set_ids = ["ovs-vsctl", "set", "open", ".", f"external-ids:hostname={self.name}"]
        set_ids += ["external-ids:ovn-encap-type=geneve", f"external-ids:ovn-encap-ip={self.address}"]
        self.run([*set_ids, f"external-ids:ovn-bridge-datapath-type={datapath}"])
        bridge = ["ovs-vsctl", "--may-exist", "add-br", "br-phy"]
        bridge += ["--", "set", "bridge", "br-phy", f"datapath_type={datapath}", "fail_mode=standalone"]
        bridge += ["--", "--may-exist", "add-port", "br-phy", "eth0"]
        self.run([*bridge, "--", "set", "interface", "br-phy", f"mtu_request={UNDERLAY_MTU}"])
        self.run(["ip", "link", "set", "br-phy", "up"])
        self.run(["ip", "address", "replace", f"{self.address}/{self.underlay.prefix}", "dev", "br-phy"])
        self.run(["ethtool", "-K", "br-phy", "tx", "off"], checked=False)
        return datapath

    def start_libvirt(self) -> None:
        """Start libvirtd: Debian 13 has no modular daemons."""
        if self.runs("/run/libvirtd.pid"):
            return
        if (self.root / "etc/libvirt/qemu.conf").read_text() != _QEMU_CONFIGURATION:
            self.write("/etc/libvirt/qemu.conf", _QEMU_CONFIGURATION, mode=0o600)
            self.write("/etc/libvirt/libvirtd.conf", _LIBVIRT_CONFIGURATION.format(host_uuid=uuid.uuid4()))
        self.run(["libvirtd", "--daemon", "--pid-file", "/run/libvirtd.pid"])

    def restart_libvirt(self) -> None:
        """Restart libvirtd; domains go on running."""
        if self.runs("/run/libvirtd.pid"):
            # Again until it is gone: libvirtd forgets a signal that reaches it just after its start. And as an init
            # would, with SIGKILL in the end: on a busy machine it was seen to hang as it ended.
            self.run(["sh", "-c", _END_LIBVIRT])
        self.start_libvirt()

    def start_ovn_controller(self) -> None:
        """Start ovn-controller; its key and certificate the switch tells it, as the agent has set it."""
        if not self.runs("/run/ovn/ovn-controller.pid"):
            self._start_ovn(["ovn-controller"], "ovn-controller")

    def stop_ovn_controller(self) -> None:
        """End ovn-controller as kill -9 does: what it said of itself stays in the southbound, and the flows stay."""
        if self.runs("/run/ovn/ovn-controller.pid"):
            self.run(["sh", "-c", 'kill -9 "$(cat /run/ovn/ovn-controller.pid)"'])

    def _start_ovn(self, argv: Sequence[str], name: str) -> None:
        paths = [f"--pidfile=/run/ovn/{name}.pid", f"--log-file=/var/log/ovn/{name}.log"]
        self.run([*argv, *paths, "--detach", "-vconsole:off"])

    def _start_switch_daemons(self) -> None:
        database = "/etc/openvswitch/conf.db"
        if not self.runs("/run/openvswitch/ovsdb-server.pid"):
            self.run(["mkdir", "-p", "/run/openvswitch", "/var/log/openvswitch", "/var/log/ovn"])
            # Asked inside: Debian's package makes it a link with an absolute path, which leads elsewhere from outside.
            if not self.run(["test", "-e", database], checked=False).ok:
                self.run(["ovsdb-tool", "create", database, "/usr/share/openvswitch/vswitch.ovsschema"])
            remotes = ["--remote=punix:/run/openvswitch/db.sock"]
            log = ["--pidfile", "--log-file=/var/log/openvswitch/ovsdb-server.log", "-vconsole:off"]
            self.run(["ovsdb-server", database, *remotes, *log, "--detach"])
            self.run(["ovs-vsctl", "--no-wait", "init"])
        if not self.runs("/run/openvswitch/ovs-vswitchd.pid"):
            log = ["--pidfile", "--log-file=/var/log/openvswitch/ovs-vswitchd.log", "-vconsole:off"]
            self.run(["ovs-vswitchd", *log, "--detach"])

    def _choose_datapath(self) -> str:
        """Try the kernel's datapath, for only trying tells; the kernel loads its module by itself where it has one."""
        probe = "system@rf-probe"
        if not self.run(["ovs-dpctl", "add-dp", probe], checked=False).ok:
            return "netdev"
        self.run(["ovs-dpctl", "del-dp", probe])
        return "system"

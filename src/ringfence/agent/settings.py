"""Where the agent's things are, and what the operator or the join said. No defaults are decided anywhere else."""

from __future__ import annotations

import os
import pwd
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from ringfence.errors import Invalid

DEFAULT_FILE = Path("/etc/ringfence/agent.toml")
JOINED_FILE = "joined.toml"


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`agent.toml` is the operator's; `joined.toml` beside it is written by the join and wins.

    `accelerator`: `kvm`, `tcg`, or empty to find out. `memory_mib`: 0 means the host's less
    `memory_reserve_mib`. `datapath`: `system` or `netdev` (userspace), or empty for what the switch is set to.
    """

    controller: str = ""
    host_id: str = ""
    name: str = ""
    underlay_address: str = ""
    southbound: str = ""

    accelerator: str = ""
    datapath: str = ""
    vcpu_overcommit: float = 4.0
    memory_reserve_mib: int = 512
    memory_mib: int = 0
    integration_bridge: str = "br-int"
    move_port: int = 8472
    agent_user: str = "ringfence-agent"
    qemu_user: str = "libvirt-qemu"
    libvirt_socket: str = "/run/libvirt/libvirt-sock"
    qemu_logs: str = "/var/log/libvirt/qemu"
    heartbeat_seconds: float = 5.0

    config: str = "/etc/ringfence"
    state: str = "/var/lib/ringfence"
    root_state: str = "/var/lib/ringfence-root"
    runtime: str = "/run/ringfence"

    @property
    def identity_file(self) -> Path:
        return Path(self.config, "host.pem")

    @property
    def ca_file(self) -> Path:
        return Path(self.config, "ca.crt")

    @property
    def images(self) -> Path:
        return Path(self.state, "images")

    @property
    def vms(self) -> Path:
        return Path(self.state, "vms")

    @property
    def journal(self) -> Path:
        return Path(self.state, "journal")

    @property
    def fellows_file(self) -> Path:
        return Path(self.root_state, "fellows.json")

    @property
    def company(self) -> Path:
        return Path(self.runtime, "company")

    @property
    def windows(self) -> Path:
        return Path(self.runtime, "windows")

    @property
    def moves(self) -> Path:
        return Path(self.runtime, "moves")

    @property
    def privileged_socket(self) -> Path:
        return Path(self.runtime, "privileged.sock")

    def agent_uid(self) -> int:
        return pwd.getpwnam(self.agent_user).pw_uid


def read_settings(file: Path | None = None) -> Settings:
    """Read the settings; raises `Invalid` for a setting that is unknown or of the wrong type."""
    file = file or Path(os.environ.get("RINGFENCE_AGENT_SETTINGS", str(DEFAULT_FILE)))
    told: dict[str, Any] = {"config": str(file.parent)}
    for source in (file, file.parent / JOINED_FILE):
        try:
            told |= tomllib.loads(source.read_text())
        except FileNotFoundError:
            continue
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise Invalid(field=str(source), why=str(error)) from None
    try:
        settings = msgspec.convert(told, Settings)
    except msgspec.ValidationError as error:
        raise Invalid(field=str(file), why=str(error)) from None
    if settings.accelerator not in {"", "kvm", "tcg"}:
        raise Invalid(field="accelerator", why="it is kvm, tcg or empty")
    return settings

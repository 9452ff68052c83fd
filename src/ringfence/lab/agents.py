"""The agent on a lab host: the same package that a real Debian 13 host would get, started as its units say.

There is no systemd in a lab host. What of a unit is honoured here: `ExecStart`, `User`, `RuntimeDirectory`,
`NoNewPrivileges` and `CapabilityBoundingSet`; what else hardens is left to real hosts.
"""

from __future__ import annotations

import configparser
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from ringfence.lab import commands, places
from ringfence.lab.hosts import Host

IDENTITY = "/etc/ringfence/host.pem"
"""A host's key and certificate."""
UNITS = ("ringfence-agent-root.service", "ringfence-agent.service")
"""In the order in which they start."""
_SETTINGS = "/etc/ringfence/agent.toml"
_SOCKET = "/run/ringfence/privileged.sock"


def package() -> Path:
    """Build the agent's Debian package, and return it."""
    out = places.cache() / "packages"
    out.mkdir(parents=True, exist_ok=True)
    builder = places.checkout() / "deploy" / "agent" / "build_deb.py"
    printed = commands.run([sys.executable, str(builder), str(out)], timeout_seconds=60).out
    return Path(printed.strip().splitlines()[-1])


def install(host: Host, deb: Path, *, accelerator: str) -> None:
    """Install the package in the host, as `dpkg` does there, and tell it which accelerator the lab found to work."""
    inside = f"/root/{deb.name}"
    (host.root / inside.lstrip("/")).write_bytes(deb.read_bytes())
    host.run(["dpkg", "--install", inside], timeout_seconds=120)
    host.run(["rm", inside])
    # libvirt looks for hooks when it starts; on a real host the package's script restarts it.
    host.restart_libvirt()
    host.write(_SETTINGS, f'accelerator = "{accelerator}"\nmemory_mib = {_share_of_memory_mib()}\n')


def join(host: Host, token: str, *, anew: bool = False) -> None:
    """Join the controller, as the operator of a host does; `anew`: as another than it is."""
    options = ["--anew"] if anew else []
    host.run(["ringfence-agent", "join", *options], timeout_seconds=60, input_text=f"{token}\n")


def start(host: Host, *, name: str | None = None, environment: Mapping[str, str] | None = None) -> None:
    """Start both parts of the agent, or the one of this unit, unless they run; `environment` is given to them."""
    for each in (name,) if name else UNITS:
        unit = _unit(host, each)
        if pids(host, each):
            continue
        for folder in unit.get("RuntimeDirectory", "").split():
            owner = unit.get("User", "root")
            host.run(["install", "-d", "-o", owner, "-m", unit.get("RuntimeDirectoryMode", "755"), f"/run/{folder}"])
        argv = [*_confined(unit), "env", *_settings(environment), *shlex.split(unit["ExecStart"])]
        host.start(argv, log=f"/var/log/{each}.log")
        if each == UNITS[0]:
            host.await_path(_SOCKET)


def kill(host: Host, name: str | None = None) -> None:
    """Kill the agent -9, both parts or the one of this unit."""
    for unit in (name,) if name else UNITS:
        if found := pids(host, unit):
            host.run(["kill", "-9", *found], checked=False)


def pids(host: Host, name: str) -> list[str]:
    """The pids, in the host, of the unit's process: what runs the packaged agent with the unit's verb."""
    verb = shlex.split(_unit(host, name)["ExecStart"])[-1]
    return host.run(["pgrep", "-f", f"ringfence-agent/run.py {verb}$"], checked=False).out.split()


def _unit(host: Host, name: str) -> Mapping[str, str]:
    for folder in ("usr/lib/systemd/system", "lib/systemd/system"):
        file = host.root / folder / name
        if file.exists():
            parser = configparser.RawConfigParser(strict=False, interpolation=None)
            parser.optionxform = str  # type: ignore[assignment, method-assign]
            parser.read(file, encoding="utf-8")
            return dict(parser["Service"])
    raise commands.CommandFailed(command=name, exit_code=1, said="the package installed no such unit")


def _confined(unit: Mapping[str, str]) -> list[str]:
    argv = ["setpriv"]
    if unit.get("NoNewPrivileges") == "yes":
        argv.append("--no-new-privs")
    if "CapabilityBoundingSet" in unit:
        kept = (name.removeprefix("CAP_").lower() for name in unit["CapabilityBoundingSet"].split())
        argv.append(",".join(["--bounding-set=-all", *(f"+{name}" for name in kept)]))
    if "User" in unit:
        argv += [f"--reuid={unit['User']}", f"--regid={unit['User']}", "--init-groups"]
    return [*argv, "--"]


def _settings(environment: Mapping[str, str] | None) -> list[str]:
    return [f"{name}={value}" for name, value in (environment or {}).items()]


def _share_of_memory_mib() -> int:
    """A quarter of the machine's memory for each host: together they promise no more than there is."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // (4 << 20)

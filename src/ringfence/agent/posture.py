"""What the host is and shows: its size, its versions, and what listens in its network (promise 5). It only looks."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import struct
from pathlib import Path

from ringfence.agent.settings import Settings

_LISTENING = {"tcp": "0A", "udp": "07"}
_MOST_SHOWN = 256


def listening(proc: Path = Path("/proc")) -> tuple[str, ...]:
    """Tell the listening sockets that others could reach, as `tcp ADDRESS:PORT PROCESS`; names need root."""
    names = _socket_owners(proc)
    found = set()
    for protocol, state in _LISTENING.items():
        for suffix in ("", "6"):
            with contextlib.suppress(OSError):
                for line in (proc / "net" / f"{protocol}{suffix}").read_text().splitlines()[1:]:
                    shown = _shown(line, protocol, state, names)
                    if shown:
                        found.add(shown)
    return tuple(sorted(found)[:_MOST_SHOWN])


def _shown(line: str, protocol: str, state: str, names: dict[str, str]) -> str:
    words = line.split()
    if len(words) < 10 or words[3] != state:
        return ""
    address_hex, port_hex = words[1].split(":")
    address = decode_address(address_hex)
    if address.is_loopback:
        return ""
    # A UDP socket that is connected to a peer receives from that peer alone.
    if protocol == "udp" and int(words[2].split(":")[1], 16) != 0:
        return ""
    shown = f"[{address}]" if address.version == 6 else str(address)
    return f"{protocol} {shown}:{int(port_hex, 16)} {names.get(words[9], '?')}"


def decode_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Read an address as /proc/net writes it: words of 32 bits in the host's byte order, hexadecimal."""
    words = [int(text[start : start + 8], 16) for start in range(0, len(text), 8)]
    packed = b"".join(struct.pack("=I", word) for word in words)
    address = ipaddress.ip_address(packed)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


def _socket_owners(proc: Path) -> dict[str, str]:
    owners: dict[str, str] = {}
    for process in proc.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            name = (process / "comm").read_text().strip()
            for descriptor in os.scandir(process / "fd"):
                with contextlib.suppress(OSError):
                    found = re.fullmatch(r"socket:\[(\d+)\]", str(Path(descriptor.path).readlink()))
                    if found:
                        owners.setdefault(found[1], name)
    return owners


def size(settings: Settings) -> tuple[int, int]:
    """Tell how many vCPUs and MiB of memory the host offers to VMs."""
    vcpus = int(len(os.sched_getaffinity(0)) * settings.vcpu_overcommit)
    if settings.memory_mib:
        return vcpus, settings.memory_mib
    total_kib = int(re.findall(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())[0])
    return vcpus, max(0, total_kib // 1024 - settings.memory_reserve_mib)


def facts() -> dict[str, str]:
    """Tell what the host runs on."""
    told = {"kernel": os.uname().release, "machine": os.uname().machine, "cpus": str(os.cpu_count() or 0)}
    with contextlib.suppress(OSError):
        found = re.search(r'^PRETTY_NAME="?([^"\n]*)', Path("/etc/os-release").read_text(), re.MULTILINE)
        if found:
            told["system"] = found[1]
    return told

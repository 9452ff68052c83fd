"""What listens on a host, read from /proc as the kernel writes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ringfence.agent.posture import listening

pytestmark = pytest.mark.unit
HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


def line(local: str, remote: str, state: str, inode: int) -> str:
    return f"   0: {local} {remote} {state} 00000000:00000000 00:00000000 00000000     0        0 {inode} 1 0 0\n"


def proc(tmp_path: Path, **tables: str) -> Path:
    (tmp_path / "net").mkdir()
    for name, lines in tables.items():
        (tmp_path / "net" / name).write_text(HEAD + lines)
    return tmp_path


def test_sockets_that_others_reach_are_told_with_their_process(tmp_path: Path) -> None:
    table = line("00000000:1F97", "00000000:0000", "0A", 42) + line("0B02C0C0:20A8", "00000000:0000", "0A", 43)
    where = proc(tmp_path, tcp=table)
    descriptors = where / "7" / "fd"
    descriptors.mkdir(parents=True)
    (where / "7" / "comm").write_text("sshd\n")
    (descriptors / "3").symlink_to("socket:[42]")
    assert listening(where) == ("tcp 0.0.0.0:8087 sshd", "tcp 192.192.2.11:8360 ?")


def test_loopback_connections_and_peers_are_not_told(tmp_path: Path) -> None:
    where = proc(
        tmp_path,
        tcp=line("0100007F:1F97", "00000000:0000", "0A", 1) + line("0B02C0C0:1F97", "0C02C0C0:0050", "01", 2),
        tcp6=line("00000000000000000000000001000000:1F97", "0" * 32 + ":0000", "0A", 3),
        udp=line("0B02C0C0:1F97", "0C02C0C0:0050", "07", 4),
    )
    assert listening(where) == ()


def test_udp_and_v6_sockets_are_told(tmp_path: Path) -> None:
    where = proc(
        tmp_path,
        udp=line("00000000:17C1", "00000000:0000", "07", 1),
        tcp6=line("0" * 32 + ":0016", "0" * 32 + ":0000", "0A", 2),
    )
    assert listening(where) == ("tcp [::]:22 ?", "udp 0.0.0.0:6081 ?")

"""Probes run inside guests, and captures taken at hosts: what really passes between two VMs.

A guest answers pings and echoes TCP on `ECHO_PORT` and on `OTHER_PORT`. A probe says what was seen, never what was
expected of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ringfence.lab.guest_shell import GuestShell

ECHO_PORT = 8080
OTHER_PORT = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinged:
    """Echo requests sent, answers received, and the longest time between two answers in seconds (0 of fewer than 2)."""

    sent: int
    received: int
    longest_gap_seconds: float = 0.0


def ping(shell: GuestShell, address: str, *, count: int = 3) -> Pinged:
    """Send `count` pings, five a second."""
    _ask_anew(shell, address)
    said = shell.run(f"/usr/bin/ping -n -c {count} -i 0.2 -W 1 {address} 2>&1 | tail -n 2", timeout_seconds=count + 20)
    return _pinged(said.text)


def tcp_echoes(shell: GuestShell, address: str, port: int = ECHO_PORT) -> bool:
    """Open a TCP connection, send a word, and tell whether the same word came back."""
    _ask_anew(shell, address)
    said = shell.run(f"echo ringfence | timeout 4 nc -w 2 {address} {port} 2>/dev/null | head -n 1", timeout_seconds=20)
    return said.text.strip() == "ringfence"


def await_address(shell: GuestShell, address: str, *, timeout_seconds: float = 60) -> None:
    """Return once the guest has the address; raises `GuestSilent`."""
    shell.run(
        f"until ip -4 address show dev eth0 | grep -q 'inet {address}/'; do usleep 100000; done",
        timeout_seconds=timeout_seconds,
    )


def _ask_anew(shell: GuestShell, address: str) -> None:
    """Have the guest forget that it asks, or asked in vain, for this address's MAC; a MAC it knows, it keeps.

    Its kernel asks three times, a second apart, and then fails whatever waited. A probe that begins before the third
    second of a denied one would be told of that one's failure, though what it asks is allowed by now.
    """
    shell.run(f"grep -q '^{address} .* 0x0 ' /proc/net/arp && arp -d {address}")


def know_neighbour(shell: GuestShell, vm: dict[str, Any]) -> None:
    """Tell a guest another one's MAC: one to whom ARP is denied as well would otherwise send nothing to be denied."""
    port = vm["ports"][0]
    said = shell.run(f"arp -s {port['address']} {port['mac']}")
    assert said.ok, said.text


class HeldConnection:
    """A TCP connection that a guest keeps open, to see what becomes of it when the policy goes away."""

    def __init__(self, shell: GuestShell, address: str, port: int = ECHO_PORT) -> None:
        """Open it, over two named pipes in the guest's `/tmp`."""
        self._shell = shell
        shell.run(
            f"rm -f /tmp/say /tmp/heard; mkfifo /tmp/say; (nc {address} {port} </tmp/say >/tmp/heard 2>/dev/null &) ;"
            " exec 3>/tmp/say"
        )

    def echoes(self, word: str, *, patience_seconds: int = 3) -> bool:
        """Say a word on it, and tell whether it came back in time."""
        self._shell.run(f"echo {word} >&3")
        heard = (
            f"i=0; while [ $i -lt {patience_seconds * 10} ] && ! grep -qx {word} /tmp/heard;"
            f" do usleep 100000; i=$((i+1)); done; grep -qx {word} /tmp/heard"
        )
        return self._shell.run(heard, timeout_seconds=patience_seconds + 20).ok

    def close(self) -> None:
        self._shell.run("exec 3>&-; rm -f /tmp/say")


class PingRun:
    """A stream of pings that a guest sends in the background while something else happens."""

    def __init__(self, shell: GuestShell, address: str, *, per_second: int, seconds: int, name: str) -> None:
        """Start it; `name` tells runs of one guest apart."""
        self._shell = shell
        self._log = f"/tmp/ping-{name}"
        shell.run(
            f"/usr/bin/ping -n -D -i {1 / per_second:g} -w {seconds} {address} >{self._log} 2>&1 &"
            f" echo $! >{self._log}.pid"
        )

    def stop(self, shell: GuestShell | None = None) -> Pinged:
        """End it, and tell what came of it; on another shell of the same guest where the first one is gone."""
        self._shell = shell or self._shell
        self._shell.run(f"p=$(cat {self._log}.pid); kill -INT $p 2>/dev/null; wait $p")
        longest = "/icmp_seq/ && /from/ { if (p && $2-p > g) g = $2-p; p = $2 } END { print g+0 }"
        gap = self._shell.run(f"awk -F'[][]' '{longest}' {self._log}")
        tail = self._shell.run(f"tail -n 2 {self._log}")
        pinged = _pinged(tail.text)
        return Pinged(sent=pinged.sent, received=pinged.received, longest_gap_seconds=float(gap.text.strip() or 0))


class DatagramRun:
    """UDP datagrams that a guest's kernel sends at a steady rate (Linux's pktgen), whatever is answered.

    A program in a guest without hardware acceleration falls far short of such rates. The target's MAC is given, so that
    a guest to whom ARP is denied as well sends nonetheless.
    """

    def __init__(self, shell: GuestShell, vm: dict[str, Any], *, per_second: int, udp_port: int = OTHER_PORT) -> None:
        """Start it, towards the VM's first port."""
        self._shell = shell
        port = vm["ports"][0]
        settings = (
            ("kpktgend_0", "rem_device_all"),
            ("kpktgend_0", "add_device eth0"),
            *(("eth0", line) for line in ("count 0", f"ratep {per_second}", "pkt_size 64")),
            *(("eth0", line) for line in (f"dst {port['address']}", f"dst_mac {port['mac']}")),
            *(("eth0", f"udp_dst_{end} {udp_port}") for end in ("min", "max")),
        )
        lines = " && ".join(f"echo {line} >/proc/net/pktgen/{file}" for file, line in settings)
        said = shell.run(f"modprobe pktgen && {lines} && {{ echo start >/proc/net/pktgen/pgctrl & }}")
        assert said.ok, said.text

    def stop(self) -> int:
        """End it, and tell how many were sent."""
        sent = "sed -n 's/.*pkts-sofar: *\\([0-9]*\\).*/\\1/p' /proc/net/pktgen/eth0"
        said = self._shell.run(f"echo stop >/proc/net/pktgen/pgctrl; wait; {sent}").text
        return int(said.split()[0])  # after it comes the shell's own word on the job that ended


def _pinged(text: str) -> Pinged:
    """Read ping's last lines: `3 packets transmitted, 3 received, 0% packet loss, time 402ms`."""
    for line in text.splitlines():
        words = line.replace(",", " ").split()
        if "transmitted" in words and "received" in words:
            return Pinged(sent=int(words[0]), received=int(words[words.index("received") - 1]))
    return Pinged(sent=0, received=0)

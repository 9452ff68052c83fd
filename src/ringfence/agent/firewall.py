"""The host's firewall, as root keeps it: whom the overlay tunnel and the port of moves are open to. A table of our own.

Closed to everybody it was not told of: a host that knows no fellows lets nobody into its tunnel. What it was told of
fellows is kept on disk, for a start without the controller. When a move's window opens is `windows.py`'s business.
"""

from __future__ import annotations

import ipaddress
import json
import os
import threading
from collections.abc import Sequence
from typing import Any

import msgspec

from ringfence.agent import commands
from ringfence.agent.admission import check_address
from ringfence.agent.bridge_guard import BridgeGuard
from ringfence.agent.settings import Settings
from ringfence.errors import Invalid
from ringfence.model.hosts import HostToolFailed
from ringfence.wire import Tunnel

TUNNEL_PORT = 6081
"""Geneve's (RFC 8926)."""
_MOST_FELLOWS = 10_000
_PATIENCE_SECONDS = 10.0


class Firewall:
    """The table `inet ringfence`. The operator's own rules are not touched; what they drop stays dropped.

    `userspace`: the switch's datapath is, and packets for the tunnel are guarded on its bridge as well.
    """

    def __init__(self, settings: Settings, *, userspace: bool = False) -> None:
        self._settings = settings
        self._guard = BridgeGuard(settings.underlay_address, port=TUNNEL_PORT) if userspace else None
        self._lock = threading.Lock()

    def reset(self) -> None:
        """Put the whole table in place, with the fellows known and nobody at the port of moves."""
        with self._lock:
            fellows = known_fellows(self._settings)
            _nft(table(fellows, move_port=self._settings.move_port))
            if self._guard:
                self._guard.apply(fellows)

    def put_back(self) -> bool:
        """Put in place again what somebody took away, as `flush ruleset` does; False if all was there."""
        with self._lock:
            fellows = known_fellows(self._settings)
            gone = _seen() is None
            if gone:
                _nft(table(fellows, move_port=self._settings.move_port))
            if self._guard:
                guarded = self._guard.observe()
                if not guarded.whole or set(guarded.admitted) != set(fellows):
                    self._guard.apply(fellows)
                    gone = True
        return gone

    def admit_fellows(self, addresses: Sequence[str]) -> bool:
        """Let these hosts and nobody else into the tunnel; False if it was so. Raises `Invalid`."""
        fellows = check_fellows(addresses)
        with self._lock:
            if fellows == known_fellows(self._settings):
                return False
            # ORDER: kept first. A crash before the firewall has it is followed by a start that puts in what is kept.
            _keep(self._settings, fellows)
            _nft("flush set inet ringfence fellows\n" + _elements(fellows))
            if self._guard:
                self._guard.apply(fellows)
        return True

    def admit_peer(self, address: str, *, seconds: int) -> None:
        """Let the peer of a move in, for that long; again moves the end."""
        # An element's timeout cannot be changed: take it away (adding it first, so that there is one) and add it anew.
        element = f"element inet ringfence move_peers {{ {address}"
        _nft(f"add {element} }}\ndelete {element} }}\nadd {element} timeout {seconds}s }}\n")

    def refuse_peer(self, address: str) -> None:
        """Let the peer in no more; that it was let in is not needed."""
        element = f"element inet ringfence move_peers {{ {address} }}\n"
        _nft(f"add {element}delete {element}")

    def tunnel(self) -> Tunnel | None:
        """Tell whom the tunnel is open to and what was counted there, by the firewall; None if it is not held."""
        seen = _seen()
        held = None if seen is None else read_tunnel(seen)
        if held is None or self._guard is None:
            return held
        guarded = self._guard.observe()
        if not guarded.whole:
            return None
        return Tunnel(
            fellows=tuple(sorted({*held.fellows, *guarded.admitted})),
            admitted_packets=sum(guarded.admitted.values()),
            refused_packets=guarded.refused,
        )


def check_fellows(addresses: Sequence[str]) -> list[str]:
    """Give the addresses back, sorted, each once; raises `Invalid` for one that can be no other host's."""
    if len(addresses) > _MOST_FELLOWS:
        raise Invalid(field="fellows", why=f"there are more than {_MOST_FELLOWS}")
    fellows = {ipaddress.IPv4Address(check_address(address, field="fellows")) for address in addresses}
    if wrong := [each for each in fellows if each.is_unspecified or each.is_loopback or int(each) >= 224 << 24]:
        raise Invalid(field="fellows", why=f"{wrong[0]} can be no host's")
    return [str(each) for each in sorted(fellows)]


def known_fellows(settings: Settings) -> list[str]:
    """Read which fellows were told last; none if nothing was, or what is there cannot be read: then nobody gets in."""
    try:
        return check_fellows(msgspec.json.decode(settings.fellows_file.read_bytes(), type=list[str]))
    except (FileNotFoundError, msgspec.MsgspecError, UnicodeDecodeError, Invalid):
        return []


def table(fellows: Sequence[str], *, move_port: int) -> str:
    """Write the table as `nft -f` takes it, all of it at once or not at all."""
    # SAFETY: replaces our own table only; the operator's rules are not touched.
    return (
        "table inet ringfence {}\ndelete table inet ringfence\n"
        "table inet ringfence {\n"
        "  set fellows { type ipv4_addr; }\n"
        "  set move_peers { type ipv4_addr; flags timeout; }\n"
        "  counter tunnel_admitted {}\n"
        "  counter tunnel_refused {}\n"
        "  counter moves_admitted {}\n"
        "  counter moves_refused {}\n"
        "  chain input {\n"
        "    type filter hook input priority -10; policy accept;\n"
        f'    udp dport {TUNNEL_PORT} iifname "lo" accept\n'
        f"    udp dport {TUNNEL_PORT} ip saddr @fellows counter name tunnel_admitted accept\n"
        f"    udp dport {TUNNEL_PORT} counter name tunnel_refused drop\n"
        f"    tcp dport {move_port} ip saddr @move_peers counter name moves_admitted accept\n"
        f"    tcp dport {move_port} counter name moves_refused drop\n"
        "  }\n}\n" + _elements(fellows)
    )


def read_tunnel(listed: Sequence[dict[str, Any]]) -> Tunnel | None:
    """Read the table back from what `nft --json` lists; None unless strangers' packets are dropped in it."""
    counters = {each["counter"]["name"]: int(each["counter"]["packets"]) for each in listed if "counter" in each}
    sets = {each["set"]["name"]: each["set"].get("elem", []) for each in listed if "set" in each}
    rules = [json.dumps(each["rule"]["expr"]) for each in listed if "rule" in each]
    drops = [rule for rule in rules if f'"right": {TUNNEL_PORT}' in rule and '"drop"' in rule and "saddr" not in rule]
    if not drops or "fellows" not in sets or not {"tunnel_admitted", "tunnel_refused"} <= set(counters):
        return None
    return Tunnel(
        fellows=tuple(str(each) for each in sets["fellows"]),
        admitted_packets=counters["tunnel_admitted"],
        refused_packets=counters["tunnel_refused"],
    )


def _elements(fellows: Sequence[str]) -> str:
    return f"add element inet ringfence fellows {{ {', '.join(fellows)} }}\n" if fellows else ""


def _keep(settings: Settings, fellows: Sequence[str]) -> None:
    file = settings.fellows_file
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = file.with_suffix(".new")
    with fresh.open("w") as out:
        out.write(json.dumps(list(fellows)))
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(file)


def _seen() -> list[dict[str, Any]] | None:
    """List the table; None if there is none."""
    asked = ["nft", "--json", "list", "table", "inet", "ringfence"]
    ended = commands.run(asked, timeout_seconds=_PATIENCE_SECONDS, may_fail=True)
    if ended.code != 0:
        return None
    try:
        listed: list[dict[str, Any]] = json.loads(ended.output)["nftables"]
    except (ValueError, KeyError) as error:
        raise HostToolFailed(tool="nft", why=f"its list cannot be read: {error}") from None
    return listed


def _nft(rules: str) -> None:
    commands.run(["nft", "-f", "-"], stdin=rules.encode(), timeout_seconds=_PATIENCE_SECONDS)

"""How long somebody who guesses passwords has to wait, without anybody being locked out by a stranger.

Three tallies of failures. An account from one source (or one known device): after a few, each further try has to wait
twice as long. A source, whatever the account: the same, later. An account from anywhere: strangers' tries are held back
a few seconds, never refused, so that its owner gets in though a thousand machines guess at it. A device from which the
account was signed in to before is its own source, and is not held back for what strangers do.

Reads no clock: `age_seconds` is how long ago the last failure was.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

FORGET_SECONDS = 3600.0
"""A tally counts until so long after its last failure."""
LONGEST_WAIT_SECONDS = 900.0
LONGEST_HOLD_SECONDS = 4.0


class Tally(StrEnum):
    """What failures are counted by."""

    PAIR = "pair"
    SOURCE = "source"
    ACCOUNT = "account"


_FREE: Mapping[Tally, int] = {Tally.PAIR: 5, Tally.SOURCE: 30, Tally.ACCOUNT: 50}
"""So many failures have no consequence: people mistype, and many of them share the address of an office."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """How many there were, and how long ago the last was."""

    count: int
    age_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """The attempt is judged, after it was held for so long."""

    hold_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NotYet:
    """The attempt is not judged."""

    retry_after_seconds: int

    def __bool__(self) -> Literal[False]:
        return False


def tallies_of(account: str, source: str, device: str | None) -> dict[Tally, str]:
    """Name the tallies that this attempt counts in; `device` is the id of one that the account is known by."""
    if device is not None:
        return {Tally.PAIR: f"{account} device {device}"}
    network = _network_of(source)
    return {
        Tally.PAIR: f"{account} from {network}",
        Tally.SOURCE: f"from {network}",
        Tally.ACCOUNT: f"{account} from anywhere",
    }


def judge_attempt(failures: Mapping[Tally, Failures]) -> Heard | NotYet:
    """Say whether an attempt is heard now, and after which hold."""
    counting = {tally: each for tally, each in failures.items() if each.age_seconds < FORGET_SECONDS}
    waits = [
        _doubled(each.count - _FREE[tally], 1.0, LONGEST_WAIT_SECONDS) - each.age_seconds
        for tally, each in counting.items()
        if tally is not Tally.ACCOUNT
    ]
    if (wait := max(waits, default=0.0)) > 0:
        return NotYet(retry_after_seconds=math.ceil(wait))
    strangers = counting.get(Tally.ACCOUNT)
    hold = _doubled(strangers.count - _FREE[Tally.ACCOUNT], 0.25, LONGEST_HOLD_SECONDS) if strangers else 0.0
    return Heard(hold_seconds=hold)


def _doubled(times: int, first: float, most: float) -> float:
    return 0.0 if times < 0 else min(most, first * 2.0 ** min(times, 30))


def _network_of(source: str) -> str:
    """An IPv6 host has a whole /64 of addresses to guess from: they are one source."""
    try:
        address = ipaddress.ip_address(source)
    except ValueError:
        return source
    if address.version == 6:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return source

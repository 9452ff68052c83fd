"""Count packets at hosts while something else happens; what is counted is what really was on an interface there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from ringfence.lab.commands import Running
from ringfence.lab.hosts import Host

_STOP_SECONDS = 15


class Capture:
    """tcpdump on every interface of some hosts. `count` and `worked` are told once the context has ended.

    `worked` is True if every tcpdump told, at its end, how much it had captured: a capture that saw nothing because it
    did not run is no evidence.
    """

    def __init__(self, hosts: Sequence[Host], expression: str) -> None:
        self._hosts = hosts
        self._expression = expression
        self._running: list[Running] = []
        self.count = 0
        self.worked = False

    def __enter__(self) -> Self:
        # Whole lines at once (-l), no names looked up (-n), packets not printed but counted at the end.
        argv = ["tcpdump", "-i", "any", "-n", "-U", "-w", "/dev/null", *self._expression.split()]
        for host in self._hosts:
            process = host.open(argv)
            self._running.append(process)
            assert process.stdout is not None
            # The event awaited: tcpdump says so when it listens.
            while line := process.stdout.readline():
                if b"listening on" in line:
                    break
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        told = []
        for host, process in zip(self._hosts, self._running, strict=True):
            # nsenter waits for tcpdump, and passes no signal on: it is told inside.
            host.run(["pkill", "-INT", "-f", self._expression], checked=False)
            said = process.communicate(timeout=_STOP_SECONDS)[0].decode(errors="replace")
            told += re.findall(r"(\d+) packets? captured", said)
        self.worked = len(told) == len(self._hosts)
        self.count = sum(int(number) for number in told)

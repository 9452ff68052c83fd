"""What a figure is, and how it is written down. A figure that could not be measured is absent, never invented."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

RESULTS = Path("build/bench")


class Unmeasured(Exception):
    """The figure could not be measured, and why."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """Ours and the reference, measured alternately: medians, or what `unit` says.

    `spread` is [smallest, largest] of ours.
    """

    name: str
    ours: float
    reference: float
    reference_is: str
    unit: str
    runs: int
    spread: tuple[float, float]
    at: dict[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """Ours over the reference; None where the reference is zero."""
        return round(self.ours / self.reference, 3) if self.reference else None

    def line(self) -> str:
        ratio = f"{self.ratio} ×" if self.ratio is not None else "–"  # noqa: RUF001
        low, high = self.spread
        return (
            f"{self.name:14} {self.ours:g} {self.unit} ({low:g} to {high:g}, {self.runs} runs); "
            f"{self.reference_is}: {self.reference:g}; {ratio}"
        )

    def write(self) -> Path:
        RESULTS.mkdir(parents=True, exist_ok=True)
        path = RESULTS / f"{self.name}.json"
        path.write_text(json.dumps(asdict(self) | {"ratio": self.ratio}, indent=2) + "\n")
        return path


def figure(
    name: str,
    ours: Sequence[float],
    reference: Sequence[float],
    *,
    reference_is: str,
    unit: str,
    digits: int = 1,
    middle: Callable[[Sequence[float]], float] = statistics.median,
    **at: Any,
) -> Figure:
    """Build a figure from its runs; `middle` makes one number of them, `at` tells the sizes it was measured at."""
    # What else the machine was doing bears on every figure: the reader is told.
    busy = round(os.getloadavg()[1], 1)
    return Figure(
        name=name,
        ours=round(middle(ours), digits),
        reference=round(middle(reference), digits),
        reference_is=reference_is,
        unit=unit,
        runs=len(ours),
        spread=(round(min(ours), digits), round(max(ours), digits)),
        at={
            "cpus": os.cpu_count(),
            "load_over_5_minutes": busy,
            "kernel": platform.release(),
            **at,
        },
    )


def p99(runs: Sequence[float]) -> float:
    """The smallest of the runs that 99 of 100 do not exceed."""
    return sorted(runs)[-(-99 * len(runs) // 100) - 1]

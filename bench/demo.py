"""How long `make demo` takes: in a fresh clone without any cache, and in a checkout that has its caches."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.figures import Figure, Unmeasured, figure
from ringfence.lab.cloud import labs
from ringfence.lab.places import cache, checkout

COLD_TARGET_SECONDS = 360
WARM_TARGET_SECONDS = 90
_PATIENCE_SECONDS = 1800
_LAB = "demo"


def cold() -> Iterator[Figure]:
    """Yield `demo-cold`: in a clone of what is committed here; Debian packages stay installed where they are."""
    with tempfile.TemporaryDirectory(prefix="ringfence-demo-") as folder:
        clone = Path(folder) / "ringfence"
        _run(["git", "clone", "--quiet", str(checkout()), str(clone)], Path.cwd(), os.environ)
        # Nothing of this user's caches either: Python packages come anew from where pip gets them.
        fresh = {
            name: value for name, value in os.environ.items() if name not in ("RINGFENCE_LAB_CACHE", "VIRTUAL_ENV")
        }
        seconds = _demo(clone, fresh | {"PIP_NO_CACHE_DIR": "1"})
    yield _figure("demo-cold", seconds, COLD_TARGET_SECONDS, debian_packages="those installed here already")


def warm() -> Iterator[Figure]:
    """Yield `demo-warm`: in this checkout. Without its caches, a first run makes them and is not counted."""
    if not any(cache().glob("*")):
        _demo(checkout(), os.environ)
    yield _figure("demo-warm", _demo(checkout(), os.environ), WARM_TARGET_SECONDS)


def _figure(name: str, seconds: float, target: float, **at: Any) -> Figure:
    return figure(name, [seconds], [target], reference_is="target", unit="s", **at)


def _demo(folder: Path, environment: Mapping[str, str]) -> float:
    """Run `make demo` in the folder; gives its seconds. Raises `Unmeasured` if it fails or cannot be."""
    # The demo takes away a lab of its own name before it begins: that may be somebody's.
    if _LAB in labs():
        raise Unmeasured(
            f"a lab named {_LAB} is up: another demo runs, or was kept; `ringfence lab down --name {_LAB}` ends it"
        )
    began = time.monotonic()
    _run(["make", "demo"], folder, environment)
    return time.monotonic() - began


def _run(argv: list[str], folder: Path, environment: Mapping[str, str]) -> None:
    try:
        # A pipe, so that the demo prints plainly; what it says is shown only where it fails.
        ran = subprocess.run(
            argv, cwd=folder, env=dict(environment), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", timeout=_PATIENCE_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise Unmeasured(f"`{' '.join(argv)}` had not ended after {_PATIENCE_SECONDS} s") from None
    if ran.returncode:
        print(ran.stdout[-3000:], file=sys.stderr)
        raise Unmeasured(f"`{' '.join(argv)}` failed with exit code {ran.returncode}")

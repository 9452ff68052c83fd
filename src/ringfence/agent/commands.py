"""The one gate through which the agent starts processes: argument lists, a time limit, resource limits, never a shell.

It knows no tool; callers give whole argument lists. Output is bounded, and the environment is not inherited.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ringfence.model.hosts import HostToolFailed

_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "HOME": "/nonexistent"}
_SHOWN_BYTES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a process may use. None: as the agent itself."""

    cpu_seconds: int | None = None
    memory_bytes: int | None = None
    file_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a process ended."""

    code: int
    output: str
    errors: str


def run(
    arguments: Sequence[str],
    *,
    timeout_seconds: float,
    limits: Limits | None = None,
    stdin: bytes = b"",
    user: str | None = None,
    may_fail: bool = False,
) -> Ended:
    """Run a program to its end; raises `HostToolFailed` unless it ends well or `may_fail`.

    `user`: drop to that user, with its own groups only; the agent's root part alone may ask for it.
    """
    assert arguments, "a program is needed"
    try:
        process = subprocess.Popen(
            list(arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_ENVIRONMENT,
            cwd="/",
            user=user,
            group=user,
            extra_groups=[] if user else None,
            start_new_session=True,
            umask=0o077,  # what tools make is disks: for their owner's eyes
            preexec_fn=_limiter(limits) if limits else None,  # noqa: PLW1509  (sets limits only: safe beside threads)
        )
    except OSError as error:
        raise HostToolFailed(tool=arguments[0], why=f"it cannot be started ({error.strerror})") from None
    try:
        output, errors = process.communicate(stdin, timeout=timeout_seconds)
    except subprocess.TimeoutExpired:
        # SAFETY: the whole session goes, so that no child of the tool outlives the time it was given.
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise HostToolFailed(tool=arguments[0], why=f"it had not ended after {timeout_seconds:g} s") from None
    ended = Ended(
        code=process.returncode,
        output=output.decode(errors="replace"),
        errors=errors.decode(errors="replace"),
    )
    if ended.code != 0 and not may_fail:
        told = (ended.errors or ended.output).strip()[-_SHOWN_BYTES:]
        raise HostToolFailed(tool=arguments[0], why=told or f"it ended with code {ended.code}")
    return ended


def _limiter(limits: Limits) -> Callable[[], None]:
    def apply() -> None:
        for which, value in (
            (resource.RLIMIT_CPU, limits.cpu_seconds),
            (resource.RLIMIT_AS, limits.memory_bytes),
            (resource.RLIMIT_FSIZE, limits.file_bytes),
        ):
            if value is not None:
                resource.setrlimit(which, (value, value))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    return apply

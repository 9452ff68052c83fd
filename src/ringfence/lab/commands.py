"""The lab's one gate for processes: argument lists only, each with a bound, its output kept, its failure told in words.

It knows nothing of hosts or namespaces.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ringfence.errors import Unfinished

Running = subprocess.Popen[bytes]
"""A process that someone reads from; others name its type by this."""
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_TOLD_CHARACTERS = 1500


@dataclass(eq=False)
class CommandFailed(Unfinished):
    """`{command}` failed with exit code {exit_code}: {said}.

    Run it again by hand to see more; `ringfence lab down` takes away what it left.
    """

    command: str
    exit_code: int
    said: str


@dataclass(eq=False)
class CommandLate(Unfinished):
    """`{command}` did not end within {timeout_seconds} s and was killed; it said: {said}.

    See whether the machine is overloaded; `ringfence lab down` takes away what it left.
    """

    command: str
    timeout_seconds: float
    said: str


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command printed, and its exit code (128 + N if signal N ended it)."""

    out: str
    err: str
    code: int

    @property
    def ok(self) -> bool:
        return self.code == 0


def environment(marks: Mapping[str, str]) -> dict[str, str]:
    """Make the environment that the lab's processes get: nothing of the caller's, and the marks."""
    return {"PATH": _PATH, "HOME": "/root", "LANG": "C.UTF-8", "TERM": os.environ.get("TERM", "linux"), **marks}


def run(
    argv: Sequence[str],
    *,
    timeout_seconds: float,
    input_text: str = "",
    marks: Mapping[str, str] | None = None,
    checked: bool = True,
) -> Ran:
    """Run a command to its end; raises `CommandFailed` if it fails and is `checked`, `CommandLate` if it hangs."""
    with subprocess.Popen(
        list(argv),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(marks or {}),
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(input_text, timeout=timeout_seconds)
        except subprocess.TimeoutExpired as late:
            _kill_session(process)
            said = _shown(late.stderr) or _shown(late.stdout)
            raise CommandLate(command=" ".join(argv), timeout_seconds=timeout_seconds, said=said) from late
        except BaseException:
            _kill_session(process)
            raise
    ran = Ran(out, err, process.returncode if process.returncode >= 0 else 128 - process.returncode)
    if checked and not ran.ok:
        raise CommandFailed(command=" ".join(argv), exit_code=ran.code, said=_shown(err) or _shown(out))
    return ran


def run_told(
    argv: Sequence[str], *, timeout_seconds: float, tell: Callable[[str], None], marks: Mapping[str, str] | None = None
) -> None:
    """Run a long command, telling each line it prints on either stream as it comes; checked as in `run`."""
    # SAFETY: mmdebstrap mounts the machine's /sys, /proc and devices below the folder it fills. Killed, it leaves them
    # there, and whoever removes the folder removes devices. In namespaces whose first process dies with this one,
    # nothing of it outlives a lab command that is killed.
    contained = ["unshare", "--pid", "--mount", "--mount-proc", "--fork", "--kill-child"]
    argv = ["setpriv", "--pdeathsig", "KILL", "--", *contained, "--", *argv]
    deadline = time.monotonic() + timeout_seconds
    lines: list[str] = []
    with subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment(marks or {}),
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None
            for line in _Lines(process.stdout, deadline):
                lines.append(line)
                tell(line)
        except TimeoutError as late:
            _kill_session(process)
            said = _shown("\n".join(lines))
            raise CommandLate(command=" ".join(argv), timeout_seconds=timeout_seconds, said=said) from late
        except BaseException:
            _kill_session(process)
            raise
    if process.returncode != 0:
        raise CommandFailed(command=" ".join(argv), exit_code=process.returncode, said=_shown("\n".join(lines)))


def start(
    argv: Sequence[str],
    *,
    marks: Mapping[str, str],
    log: Path,
    stdout: int | None = None,
) -> int:
    """Start a process that outlives this one, in a session of its own, writing to `log`; returns its pid.

    `stdout` is a descriptor for its standard output, where that shall not go to the log as well.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=output if stdout is None else stdout,
            stderr=output,
            env=environment(marks),
            start_new_session=True,
        )
    # Reaped by whoever asks first: nobody here waits for it, and Popen would complain when it is collected.
    process.returncode = 0
    return process.pid


def open_process(argv: Sequence[str], *, marks: Mapping[str, str]) -> Running:
    """Start a process whose output the caller reads from `stdout` as it comes; the caller ends it."""
    return subprocess.Popen(
        list(argv),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment(marks),
        start_new_session=True,
    )


def hand_over(argv: Sequence[str], *, marks: Mapping[str, str]) -> int:
    """Run a command on the caller's own terminal until it ends; returns its exit code."""
    return subprocess.call(list(argv), env=environment(marks))


class _Lines:
    """The lines of a pipe, until it ends; raises `TimeoutError` at the deadline."""

    def __init__(self, stream: IO[bytes], deadline: float) -> None:
        self._fd = stream.fileno()
        self._deadline = deadline
        self._rest = b""

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        while b"\n" not in self._rest:
            wait = self._deadline - time.monotonic()
            if wait <= 0 or not select.select([self._fd], [], [], wait)[0]:
                raise TimeoutError
            chunk = os.read(self._fd, 65536)
            if not chunk:
                if not self._rest:
                    raise StopIteration
                chunk = b"\n"
            self._rest += chunk
        line, self._rest = self._rest.split(b"\n", 1)
        return line.decode(errors="replace").rstrip("\r")


def _kill_session(process: subprocess.Popen[str] | Running) -> None:
    # SAFETY: start_new_session made the process the leader of a group that holds only its own children.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=10)


def _shown(text: str | bytes | None) -> str:
    if isinstance(text, bytes):
        text = text.decode(errors="replace")
    return (text or "").strip()[-_TOLD_CHARACTERS:]

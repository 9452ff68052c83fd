"""A lab host's processes: one init with mount, PID, UTS and network namespaces of its own, found again by a mark.

Every process of a lab bears the lab's name in its environment, from its first instruction on: what a killed lab command
left is found by that, whatever was or was not written down. What runs in a host is not known here.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ringfence.errors import Unfinished
from ringfence.lab import commands

MARK_LAB = "RINGFENCE_LAB"
MARK_HOST = "RINGFENCE_LAB_HOST"
_INIT_SCRIPT = Path(__file__).with_name("host_init.sh")
_READY_SECONDS = 20.0
_DEATH_SECONDS = 30.0


@dataclass(eq=False)
class HostNotUp(Unfinished):
    """Lab host {host} did not come up: {said}.

    `ringfence lab down` takes away what is left of it; then try again.
    """

    host: str
    said: str


@dataclass(frozen=True, slots=True)
class Marked:
    """A process that bears a lab's mark. `host` is "" for one that belongs to no host; `is_init` for a host's PID 1."""

    pid: int
    lab: str
    host: str
    is_init: bool


def marks(lab: str, host: str) -> dict[str, str]:
    """Return what the environment of a process of this host says."""
    return {MARK_LAB: lab, MARK_HOST: host}


def marked() -> list[Marked]:
    """Return every process on the machine that bears a lab's mark."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [found for pid in pids if (found := _mark_of(pid))]


def inits(lab: str) -> dict[str, int]:
    """Return the pid of each host's init, by host."""
    return {found.host: found.pid for found in marked() if found.lab == lab and found.is_init}


def start_init(*, lab: str, host: str, lower: Path, disk: Path, shared: Path, accelerator: str, log: Path) -> int:
    """Start a host's init and wait until the host can be entered; returns its pid."""
    for folder in (disk, shared, log.parent):
        folder.mkdir(parents=True, exist_ok=True)
    told, tells = os.pipe()
    try:
        argv = ["unshare", "--mount", "--pid", "--uts", "--net", "--ipc", "--fork", "--kill-child", "--"]
        argv += ["sh", str(_INIT_SCRIPT), host, str(lower), str(disk), str(shared), accelerator]
        commands.start(argv, marks=marks(lab, host), log=log, stdout=tells)
    finally:
        os.close(tells)
    try:
        ready = select.select([told], [], [], _READY_SECONDS)[0] and os.read(told, 16) == b"ready\n"
    finally:
        os.close(told)
    pid = inits(lab).get(host)
    if not ready or pid is None:
        raise HostNotUp(host=host, said=log.read_text(errors="replace")[-800:] if log.exists() else "nothing")
    return pid


def enter(pid: int, argv: Sequence[str], *, working_folder: str = "/") -> list[str]:
    """Return the command that runs `argv` inside the host whose init is `pid`."""
    inside = [
        "nsenter",
        "--target",
        str(pid),
        "--mount",
        "--pid",
        "--uts",
        "--net",
        "--ipc",
        f"--wdns={working_folder}",
    ]
    return [*inside, "--", *argv]


def enter_disks(pid: int, argv: Sequence[str]) -> list[str]:
    """Return the command that runs `argv` on the host's files, but in the machine's own network."""
    return ["nsenter", "--target", str(pid), "--mount", "--wdns=/", "--", *argv]


def kill(lab: str, host: str | None = None) -> int:
    """Kill every process of the lab, or of one of its hosts, and wait until they are gone; returns how many."""
    deadline = time.monotonic() + _DEATH_SECONDS
    killed = 0
    # Again until none is found: one may have been forking while it was looked for.
    while found := [one for one in marked() if one.lab == lab and host in (None, one.host)]:
        killed += sum(_kill_and_wait(one, deadline) for one in found)
        if time.monotonic() > deadline:
            raise HostNotUp(host=host or lab, said=f"processes {[one.pid for one in found]} do not die")
    return killed


def remove_tree(path: Path) -> None:
    """Remove a lab's folder on the machine, with all in it."""
    # SAFETY: a host's mounts are in its own namespace; this one shows plain folders, and rmtree follows no links.
    for inner in (path, *path.glob("*"), *path.glob("*/root")):
        assert not os.path.ismount(inner), f"{inner} is mounted in the machine's own mount namespace"
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(path)


def _kill_and_wait(one: Marked, deadline: float) -> bool:
    with _pidfd(one.pid) as fd:
        # SAFETY: the mark is read again now that the descriptor holds the process, or a reused pid could be killed.
        if fd is None or _mark_of(one.pid) != one:
            return False
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(fd, signal.SIGKILL)
        select.select([fd], [], [], max(0.0, deadline - time.monotonic()))
        with contextlib.suppress(ChildProcessError):
            os.waitpid(one.pid, os.WNOHANG)
        return True


@contextlib.contextmanager
def _pidfd(pid: int) -> Iterator[int | None]:
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        yield None
        return
    try:
        yield fd
    finally:
        os.close(fd)


def _mark_of(pid: int) -> Marked | None:
    proc = Path("/proc") / str(pid)
    try:
        environ = (proc / "environ").read_bytes()
        if MARK_LAB.encode() not in environ:
            return None
        told = dict(pair.split("=", 1) for pair in environ.decode(errors="replace").split("\0") if "=" in pair)
        status = (proc / "status").read_text()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    if MARK_LAB not in told:
        return None
    pids = next(line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:"))
    return Marked(pid=pid, lab=told[MARK_LAB], host=told.get(MARK_HOST, ""), is_init=len(pids) > 1 and pids[-1] == "1")

"""What a lab has on the machine, looked for past its own record: processes, namespaces, mounts, interfaces, loops."""

from dataclasses import dataclass
from pathlib import Path

from ringfence.lab import namespaces
from ringfence.lab.places import Places

KINDS = ("mnt", "net", "pid", "uts", "ipc")


@dataclass(frozen=True)
class Holdings:
    """Everything found of one lab. Empty is falsy."""

    processes: frozenset[int]
    in_its_namespaces: frozenset[str]
    mounts: frozenset[str]
    interfaces: frozenset[str]
    loops: frozenset[str]
    folders: frozenset[str]

    def __bool__(self):
        return any(vars(self).values())


def namespaces_of(lab):
    """The namespaces that the lab's processes are in and this process is not."""
    own = {Path(f"/proc/self/ns/{kind}").stat().st_ino for kind in KINDS}
    pids = [found.pid for found in namespaces.marked() if found.lab == lab]
    return frozenset(number for pid in pids for number in _numbers(pid)) - own


def holdings(lab, its_namespaces=frozenset()):
    """Look at the whole machine; `its_namespaces` are those seen while the lab was up."""
    places = Places(lab)
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    paths = (f"{places.disk}/", f"{places.run}/")
    return Holdings(
        processes=frozenset(found.pid for found in namespaces.marked() if found.lab == lab),
        in_its_namespaces=frozenset(
            f"{pid}: {_read(f'/proc/{pid}/cmdline')}" for pid in pids if _lives(pid) and _numbers(pid) & its_namespaces
        ),
        mounts=frozenset(
            line
            for pid in pids
            for line in _read(f"/proc/{pid}/mountinfo").splitlines()
            if any(p in line for p in paths)
        ),
        interfaces=frozenset(p.name for p in Path("/sys/class/net").iterdir() if p.name == places.machine_interface),
        loops=frozenset(
            str(loop)
            for loop in Path("/sys/block").glob("loop*/loop/backing_file")
            if _read(str(loop)).startswith(paths)
        ),
        folders=frozenset(str(p) for p in (places.run, places.disk, places.lock) if p.exists()),
    )


def _numbers(pid):
    found = set()
    for kind in KINDS:
        try:
            found.add(Path(f"/proc/{pid}/ns/{kind}").stat().st_ino)
        except OSError:
            continue
    return frozenset(found)


def _lives(pid):
    """A zombie holds nothing but its number, until its parent asks for it."""
    return "State:\tZ" not in (status := _read(f"/proc/{pid}/status")) and bool(status)


def _read(path):
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""

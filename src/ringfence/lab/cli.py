"""`ringfence lab`: the one-machine cloud for terminals. No controller is asked; only `up --cloud` starts one.

What takes time to import is imported where it is used: `ringfence lab --help` answers at once.
"""

from __future__ import annotations

import enum
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringfence.lab import places

if TYPE_CHECKING:
    from ringfence.lab.cloud import Lab

app = typer.Typer(no_args_is_help=True, help="The lab: a cloud of real hosts on this one machine.")

NameOption = Annotated[str, typer.Option("--name", help="The lab's name; labs of different names run side by side.")]


class Output(enum.StrEnum):
    """How an answer is printed."""

    TABLE = "table"
    JSON = "json"


class Image(enum.StrEnum):
    """The guest images that can be built."""

    TINY = "tiny"
    DEBIAN = "debian"


@app.command()
def up(
    hosts: Annotated[int, typer.Option("--hosts", help="How many hypervisors, beside OVN's central.")] = 3,
    name: NameOption = places.DEFAULT_NAME,
    with_cloud: Annotated[
        bool,
        typer.Option("--cloud", help="Start a controller too, and join the hosts; any lab of this name goes first."),
    ] = False,
) -> None:
    """Bring up hosts with libvirt, QEMU, OVS and OVN on this machine; what runs already is left as it is.

    Needs root. The first time, it builds the hosts' root file system from Debian's packages, which takes a minute.

    Example: ringfence lab up --hosts 2

    Example: eval "$(ringfence lab up --cloud)"
    """
    tell = _teller()
    if with_cloud:
        _up_cloud(name, hosts, tell)
    else:
        _lab(name).up(hosts, tell=tell)
    tell(f"lab {name} is up; look into a host with: ringfence lab shell --name {name} host1")


@app.command()
def down(
    name: Annotated[str | None, typer.Option("--name", help=f"The lab's name; else {places.DEFAULT_NAME}.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Take down every lab on this machine.")] = False,
) -> None:
    """Take the lab away: its processes, mounts, namespaces, interfaces and disks, whatever state it is in.

    Example: ringfence lab down --all
    """
    from ringfence.lab.cloud import labs  # noqa: PLC0415  # see the module's docstring

    if name and everything:
        raise typer.BadParameter("say --name or --all, not both")
    tell = _teller()
    for each in labs() if everything else [name or places.DEFAULT_NAME]:
        tell(f"lab {each} is gone" if _lab(each).down() else f"there is no lab {each}")


@app.command()
def status(
    name: NameOption = "",
    output: Annotated[Output, typer.Option("--output", "-o", help="How to print it.")] = Output.TABLE,
) -> None:
    """Show the labs on this machine, or one of them: hosts, addresses, what runs there, and what guests run under.

    Example: ringfence lab status -o json
    """
    from ringfence.lab.cloud import labs  # noqa: PLC0415  # see the module's docstring

    shown = {each: _seen(_lab(each)) for each in ([name] if name else labs())}
    if output is Output.JSON:
        print(json.dumps(shown, indent=2))
        return
    if not shown:
        print("There are no labs: see `ringfence lab up --help`.", file=sys.stderr)
        return
    _show(shown)


@app.command()
def shell(
    host: Annotated[str, typer.Argument(help="central, host1, host2, …")],
    command: Annotated[list[str] | None, typer.Argument(help="What to run there; else a shell.")] = None,
    name: NameOption = places.DEFAULT_NAME,
) -> None:
    """Open a root shell in a lab host, or run one command there and leave with its exit code.

    Example: ringfence lab shell host1 -- virsh list
    """
    raise typer.Exit(_lab(name).host(host).shell(tuple(command) if command else ("bash", "-l")))


@app.command()
def image(
    kind: Annotated[Image, typer.Argument(help="tiny boots in seconds anywhere; debian is for people.")],
    output: Annotated[
        Path | None, typer.Option("--output", help="Where to copy the image; else it stays cached.")
    ] = None,
) -> None:
    """Build a guest image from Debian's packages, and print its path and its digest.

    Example: ringfence lab image debian --output debian.qcow2
    """
    import shutil  # noqa: PLC0415  # see the module's docstring

    from ringfence.lab import guests  # noqa: PLC0415

    built = {Image.TINY: guests.tiny, Image.DEBIAN: guests.debian}[kind](_teller())
    if output is not None:
        shutil.copyfile(built, output)
        built = output
    print(f"{built} sha256:{guests.digest(built)}")


def _lab(name: str) -> Lab:
    from ringfence.lab.cloud import Lab  # noqa: PLC0415  # see the module's docstring

    return Lab(name)


def _up_cloud(name: str, hosts: int, tell: Callable[[str], None]) -> None:
    """Bring up the whole cloud; standard output gets what a shell evaluates to talk to it, and nothing else."""
    from ringfence.lab.joined import Cloud  # noqa: PLC0415  # see the module's docstring

    cloud = Cloud(name=name, host_count=hosts, tell=tell)
    cloud.up()
    # The token itself stays in its file, out of terminals' scrollback.
    print(f"export RINGFENCE_URL={cloud.url} RINGFENCE_TOKEN=$(cat {cloud.token_file})")


def _seen(lab: Lab) -> dict[str, Any]:
    """Look at a lab; of one that was cut short while it came up, its name is all there is."""
    from ringfence.lab.cloud import LabMissing, labs  # noqa: PLC0415  # see the module's docstring

    try:
        record, hosts = lab.record, lab.status()
    except LabMissing:
        if lab.name in labs():
            return {"hosts": []}
        raise
    return {
        "accelerator": record.accelerator,
        "accelerator_because": record.accelerator_because,
        "datapath": record.datapath,
        "hosts": [asdict(host) for host in hosts],
    }


def _show(shown: dict[str, dict[str, Any]]) -> None:
    from rich.console import Console  # noqa: PLC0415  # see the module's docstring
    from rich.table import Table  # noqa: PLC0415

    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False)
    table = Table("LAB", "HOST", "STATE", "ADDRESS", "RUNS", box=None, header_style="bold", pad_edge=False)
    for lab, seen in shown.items():
        for host in seen["hosts"]:
            state = "[green]up" if host["is_up"] else "[red]down"
            table.add_row(lab, host["name"], state, host["address"], " ".join(host["runs"]))
        if not seen["hosts"]:
            table.add_row(lab, "", "[red]broken", "", f"take it away with: ringfence lab down --name {lab}")
    console.print(table)
    for lab, seen in shown.items():
        if seen["hosts"]:
            console.print(f"{lab}: guests run under {seen['accelerator']}: {seen['accelerator_because']}", markup=False)


def _teller() -> Callable[[str], None]:
    """Tell progress on the error stream, each line with the seconds since the start."""
    began = time.monotonic()
    return lambda line: print(f"{time.monotonic() - began:6.1f} s  {line}", file=sys.stderr, flush=True)

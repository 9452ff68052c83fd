"""`ringfence lab`: the one-machine cloud for terminals. No controller is asked or needed."""

from __future__ import annotations

import enum
import json
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from ringfence.errors import NotFound
from ringfence.lab import guests, places
from ringfence.lab.cloud import HostStatus, Lab, labs

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


_BUILDS = {Image.TINY: guests.tiny, Image.DEBIAN: guests.debian}


@app.command()
def up(
    hosts: Annotated[int, typer.Option("--hosts", help="How many hypervisors, beside OVN's central.")] = 3,
    name: NameOption = places.DEFAULT_NAME,
) -> None:
    """Bring up hosts with libvirt, QEMU, OVS and OVN on this machine; what runs already is left as it is.

    Needs root. The first time, it builds the hosts' root file system from Debian's packages, which takes a minute.

    Example: ringfence lab up --hosts 2
    """
    lab = Lab(name)
    tell = _teller()
    lab.up(hosts, tell=tell)
    tell(f"lab {name} is up; look into a host with: ringfence lab shell --name {name} host1")


@app.command()
def down(
    name: NameOption = places.DEFAULT_NAME,
    everything: Annotated[bool, typer.Option("--all", help="Take down every lab on this machine.")] = False,
) -> None:
    """Take the lab away: its processes, mounts, namespaces, interfaces and disks, whatever state it is in.

    Example: ringfence lab down --all
    """
    tell = _teller()
    for each in labs() if everything else [name]:
        tell(f"lab {each} is gone" if Lab(each).down() else f"there is no lab {each}")


@app.command()
def status(
    name: NameOption = "",
    output: Annotated[Output, typer.Option("--output", "-o", help="How to print it.")] = Output.TABLE,
) -> None:
    """Show the labs on this machine, or one of them: its hosts, their addresses, and the daemons that run there.

    Example: ringfence lab status -o json
    """
    shown = {each: _hosts(Lab(each)) for each in ([name] if name else labs())}
    if output is Output.JSON:
        print(json.dumps({lab: [asdict(host) for host in hosts] for lab, hosts in shown.items()}, indent=2))
        return
    table = Table("LAB", "HOST", "STATE", "ADDRESS", "RUNS", box=None, header_style="bold")
    for lab, hosts in shown.items():
        for host in hosts:
            table.add_row(lab, host.name, "up" if host.is_up else "down", host.address, " ".join(host.runs))
        if not hosts:
            table.add_row(lab, "", "broken", "", f"take it away with: ringfence lab down --name {lab}")
    Console(soft_wrap=True).print(table)


@app.command()
def shell(
    host: Annotated[str, typer.Argument(help="central, host1, host2, …")],
    command: Annotated[list[str] | None, typer.Argument(help="What to run there; else a shell.")] = None,
    name: NameOption = places.DEFAULT_NAME,
) -> None:
    """Open a root shell in a lab host, or run one command there and leave with its exit code.

    Example: ringfence lab shell host1 -- virsh list
    """
    raise typer.Exit(Lab(name).host(host).shell(tuple(command) if command else ("bash", "-l")))


@app.command()
def image(
    kind: Annotated[Image, typer.Argument(help="tiny boots in seconds anywhere; debian is for people.")],
    output: Annotated[
        Path | None, typer.Option("--output", help="Where to copy the image; else it stays cached.")
    ] = None,
) -> None:
    """Build a guest image from Debian's packages, and print its path and its digest.

    Example: ringfence lab image tiny --output tiny.qcow2
    """
    built = _BUILDS[kind](_teller())
    if output is not None:
        shutil.copyfile(built, output)
        built = output
    print(f"{built} sha256:{guests.digest(built)}")


def _hosts(lab: Lab) -> list[HostStatus]:
    try:
        return lab.status()
    except NotFound:
        if lab.name in labs():
            return []
        raise


def _teller() -> Callable[[str], None]:
    """Tell progress on the error stream, each line with the seconds since the start."""
    began = time.monotonic()
    return lambda line: print(f"{time.monotonic() - began:6.1f} s  {line}", file=sys.stderr, flush=True)

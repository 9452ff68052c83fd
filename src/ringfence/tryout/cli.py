"""`ringfence try`: for terminals. What takes time to import is imported when it is run.

It starts everything in this process, tells where to look, and takes everything away at Ctrl-C.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ringfence.errors import Invalid, RingfenceError

if TYPE_CHECKING:
    from ringfence.tryout.simulation import Simulation

app = typer.Typer(no_args_is_help=False)

BY_THE_API = 60
"""So many VMs are created as a user would; what `--vms` asks for beyond comes as a crowd."""
WAIT_SECONDS = 5.0


@app.command("try")
def look_around(
    vms: Annotated[int, typer.Option("--vms", min=0, max=20_000, help="How many VMs the example begins with.")] = 60,
    still: Annotated[
        bool, typer.Option("--still", help="Let nothing happen by itself once all VMs are there.")
    ] = False,
    listen: Annotated[str, typer.Option("--listen", help="Loopback address and port; port 0: any.")] = "127.0.0.1:0",
    data: Annotated[
        Path | None, typer.Option("--data", help="Keep the cloud in this folder, to go on with; else nothing is kept.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Another seed, another life.")] = 1,
) -> None:
    """Look around without a lab: the real controller over simulated hosts, with an example cloud that lives.

    Runs on any machine, not as root, until Ctrl-C. Nothing it shows is proof of anything: no guest runs.

    Example: ringfence try

    Example: ringfence try --vms 10000 --still
    """
    from ringfence.controller.assembly import restrict_files  # noqa: PLC0415  # see the module's docstring
    from ringfence.controller.settings import parse_address  # noqa: PLC0415
    from ringfence.tryout.simulation import Simulation  # noqa: PLC0415

    address = parse_address(listen, field="listen")
    if not address.loopback:
        raise Invalid(field="listen", why="a simulation is for this machine alone; give a loopback address")
    restrict_files()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    with _folder(data) as folder:
        simulation = Simulation(folder=folder, listen=address, seed=seed, hurried=True)
        asyncio.run(_Run(simulation, vm_count=vms, still=still, kept=data).until_told())


@contextlib.contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        yield kept.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="ringfence-try-", ignore_cleanup_errors=True) as folder:
        yield Path(folder) / "cloud"


@dataclass(eq=False)
class _Run:
    """One run: starts, tells, lets the example live in a thread of its own, and ends."""

    simulation: Simulation
    vm_count: int
    still: bool
    kept: Path | None
    ended: threading.Event = field(default_factory=threading.Event)
    broken: RingfenceError | None = None

    async def until_told(self) -> None:
        from ringfence.tryout.example import host_names  # noqa: PLC0415  # see the module's docstring

        loop, told = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, told.set)

        def live() -> None:
            try:
                self._live()
            except RingfenceError as error:
                if not self.ended.is_set():
                    self.broken = error
                    loop.call_soon_threadsafe(told.set)

        async with self.simulation.running(host_names(self.vm_count)):
            self._tell()
            # A daemon: whatever it waits for, the process ends without it.
            example = threading.Thread(target=live, name="example", daemon=True)
            example.start()
            await told.wait()
            _say("Ending …")
            self.ended.set()
            self.simulation.hurried = True
            await asyncio.to_thread(example.join, WAIT_SECONDS)
        if self.broken is not None:
            raise self.broken
        _say(f"Ended. The cloud is kept in {self.kept}." if self.kept else "Ended. Nothing is left.")

    def _live(self) -> None:
        """Make what is not there yet, and have it live."""
        from ringfence.tryout import example  # noqa: PLC0415  # see the module's docstring
        from ringfence.tryout.crowd import add_crowd  # noqa: PLC0415
        from ringfence.tryout.life import Life  # noqa: PLC0415

        with self.simulation.client() as client:
            if self.simulation.fresh:
                example.furnish(client)
                bodies = list(example.wanted(self.vm_count))
                example.create_vms(client, bodies[:BY_THE_API], ended=self.ended)
                if bodies[BY_THE_API:]:
                    _say(f"{BY_THE_API} VMs are there; the rest comes as a crowd, a thousand in about 20 s.")
                    add_crowd(self.simulation.store, bodies[BY_THE_API:], ended=self.ended)
            if not self.simulation.fresh or self.vm_count > BY_THE_API:
                self.simulation.adopt()
            if self.ended.is_set():
                return
            _say("All VMs are there." + ("" if self.still else " From now on, something happens every few seconds."))
            self.simulation.hurried = False
            if not self.still:
                life = Life(client, seed=self.simulation.seed, vm_count=self.vm_count, ended=self.ended, tell=_say_when)
                life.live()

    def _tell(self) -> None:
        url, token = self.simulation.url, self.simulation.token
        vms = f"{self.vm_count} VMs, which are made now" if self.simulation.fresh else "the VMs of last time"
        _say(f"""
ringfence try: the real controller over SIMULATED hosts. No guest runs, and nothing here is proof of anything.

  Look at     {url}/   (the API is described at {url}/docs)
  Token       {token}
  You see     a bank and a hospital on {self.simulation.host_count} hosts, in zones that do not mix, with {vms}

  In another terminal:

    export RINGFENCE_URL={url} RINGFENCE_TOKEN={token}
    ringfence vm list
    ringfence vm create mine -p wards -z hospital-wards --flavor small --image debian-13-simulated --network wards
    ringfence verify

  To have an account of your own there, run `ringfence setup`, which asks for this link:
""")
        self.simulation.print_setup_link()
        _say("  End it with Ctrl-C.\n")


def _say_when(text: str) -> None:
    _say(f"  {time.strftime('%H:%M:%S')}  {text}")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()

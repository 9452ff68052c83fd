"""`ringfence`: the root command, which loads a noun's commands only when they are asked for, and the exit codes.

Other parts of ringfence add commands of theirs through the entry point group `ringfence.commands`.
"""

from __future__ import annotations

import importlib
import sys
from importlib.metadata import EntryPoint, entry_points, version
from typing import Annotated

import typer
from typer.core import TyperCommand, TyperGroup

from ringfence.errors import RingfenceError

EXIT_FAILED = 1
EXIT_UNREACHABLE = 3

NOUNS: dict[str, tuple[str, str]] = {
    "overview": ("overview", "Show what there is in the cloud, and what room each zone has."),
    "whoami": ("whoami", "Show which account you are, and what it may."),
    "account": ("accounts", "Accounts: the people and services that use the cloud, and your own."),
    "role": ("roles", "Roles: what is permitted to whom."),
    "token": ("tokens", "Tokens: secrets that act for an account."),
    "zone": ("zones", "Security zones: who may share a host with whom."),
    "project": ("projects", "Projects: the tenants, each with an owner."),
    "host": ("hosts", "Hosts: the hypervisors under management."),
    "image": ("images", "Images: the disks VMs start from."),
    "flavor": ("flavors", "Flavors: the sizes a VM can have."),
    "network": ("networks", "Networks: the logical switches VMs are on."),
    "policy": ("policies", "Policies: what may pass between VMs; all else is denied."),
    "fence": ("fence", "The fence: who may call whom. What is not told is denied."),
    "vm": ("vms", "VMs: create, start, stop, move, delete, console."),
    "operation": ("operations", "Operations: the long-running actions, with their steps."),
    "ledger": ("ledger", "The ledger: who changed what, and the proof that nobody changed that."),
    "verify": ("verification", "Examine the running cloud, promise by promise."),
    "login": ("login", "Sign in: the session lasts twelve hours, or an hour without a command."),
    "logout": ("logout", "Sign out."),
    "setup": ("setup", "Use a set-up link: choose the password of an account, once."),
    "config": ("config", "Where the controller is, and the token for it."),
}
"""Noun → its module in `ringfence.cli`, and its line of help, kept here so that `--help` loads none of them."""


class LazyGroup(TyperGroup):
    """A group whose commands are imported when one of them is used, and only named in its own help."""

    _naming = False

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]  # Typer's own context class
        return [*super().list_commands(ctx), *NOUNS, *sorted(set(_others()) - set(NOUNS))]

    def get_command(self, ctx: typer.Context, cmd_name: str):  # type: ignore[no-untyped-def, override]  # noqa: ANN201
        if self._naming:
            return _named(cmd_name)
        return super().get_command(ctx, cmd_name) or _load(cmd_name)

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]
        try:
            return super().invoke(ctx)
        except typer.BadParameter as wrong:
            # Typer passes on what its validator says, with the validator's own word for the kind of error.
            wrong.message = wrong.message.removeprefix("Value error, ")
            raise

    def format_help(self, ctx: typer.Context, formatter: object) -> None:  # type: ignore[override]
        self._naming = True
        super().format_help(ctx, formatter)  # type: ignore[arg-type]

    def shell_complete(self, ctx: typer.Context, incomplete: str):  # type: ignore[no-untyped-def, override]  # noqa: ANN201
        self._naming = True
        return super().shell_complete(ctx, incomplete)


app = typer.Typer(cls=LazyGroup, no_args_is_help=True, pretty_exceptions_enable=False)


def _tell_version(asked: bool) -> None:
    """Leave before Typer misses a command."""
    if asked:
        print(f"ringfence {version('ringfence')}")
        raise typer.Exit


@app.callback()
def ringfence(
    url: Annotated[
        str | None, typer.Option("--url", help="The controller's URL; else RINGFENCE_URL, else the settings file.")
    ] = None,
    reason: Annotated[
        str | None, typer.Option("--reason", help="Why you change what you change: kept in the ledger.")
    ] = None,
    show_version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and leave.", is_eager=True, callback=_tell_version),
    ] = False,
) -> None:
    """Run a private cloud that keeps its tenants apart and can prove it.

    Every command has examples in its own --help. Exit codes: 0 done, 1 refused or failed, 2 wrong usage,
    3 the controller is out of reach.
    """
    assert url is None or url
    assert reason is None or reason
    assert not show_version, "its callback leaves"


def run() -> None:
    """Run the program, and leave with its exit code."""
    try:
        typer.main.get_command(app)(prog_name="ringfence")
    except RingfenceError as error:
        sys.exit(tell(error))


def tell(error: RingfenceError) -> int:
    """Print the error and give the exit code that stands for its family."""
    importlib.import_module("ringfence.cli.output").show_error(error)
    return EXIT_UNREACHABLE if error.record().family == "unreachable" else EXIT_FAILED


def _load(name: str):  # type: ignore[no-untyped-def]  # noqa: ANN202
    """Import the command; Typer's groups and commands share no public type."""
    if name in NOUNS:
        loaded: typer.Typer = importlib.import_module(f"ringfence.cli.{NOUNS[name][0]}").app
    elif name in (others := _others()):
        loaded = others[name].load()
    else:
        return None
    # A module with one command and nothing else is that command; `get_command` would add completion options to it.
    single = len(loaded.registered_commands) == 1 and not loaded.registered_groups and not loaded.registered_callback
    loaded._add_completion = False  # noqa: SLF001  # the only way to say so of an app that another part made
    command = typer.main.get_command(loaded) if single else typer.main.get_group(loaded)
    command.name = name
    return command


def _named(name: str) -> TyperCommand:
    return TyperCommand(name, help=NOUNS[name][1] if name in NOUNS else _package_line(_others()[name]))


def _package_line(point: EntryPoint) -> str:
    """Give the first line of the docstring of the package a command comes from: cheap, where its module may not be."""
    package = importlib.import_module(point.module.rpartition(".")[0])
    return (package.__doc__ or "").strip().split("\n")[0]


def _others() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group="ringfence.commands")}

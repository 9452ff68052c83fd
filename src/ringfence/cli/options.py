"""The options and arguments that several commands share, and the completion of names by asking the controller."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any

import typer

from ringfence.cli.output import Output, notice
from ringfence.client.connection import Client
from ringfence.client.settings import Settings, read_settings
from ringfence.errors import RingfenceError

COMPLETION_SECONDS = 1.0
SIMULATED_NOTICE = "SIMULATED: the hosts behind this controller are simulated; nothing here is proof of anything."


def connect(ctx: typer.Context, *, reason: str | None = None) -> Client:
    """Open the client that the settings and `--url` tell of; `reason` goes with all that it changes."""
    why = reason or ctx.find_root().params.get("reason") or ""
    settings = replace(read_settings(url_of(ctx)), reason=str(why))
    return Client(settings, on_simulated=lambda: notice(SIMULATED_NOTICE))


def meet(settings: Settings) -> Client:
    """Open a client that shows no token: to sign in with."""
    return Client(settings, stranger=True, on_simulated=lambda: notice(SIMULATED_NOTICE))


def url_of(ctx: typer.Context) -> str | None:
    """Find the `--url` that was given to `ringfence` itself."""
    found = ctx.find_root().params.get("url")
    return str(found) if found else None


def names_of(path: str, key: str = "name") -> Callable[[typer.Context, str], list[str]]:
    """Make a completion that asks the controller for names; it stays silent when that fails or takes long."""

    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        try:
            settings: Settings = replace(read_settings(url_of(ctx)), timeout_seconds=COMPLETION_SECONDS)
            with Client(settings) as client:
                found = [str(item.get(key, "")) for item in client.pages(path, limit=200)]
        except RingfenceError:
            return []
        return sorted(name for name in found if name.startswith(incomplete))

    return complete


complete_zones = names_of("/v1/zones")
complete_projects = names_of("/v1/projects")
complete_hosts = names_of("/v1/hosts")
complete_images = names_of("/v1/images")
complete_flavors = names_of("/v1/flavors")
complete_networks = names_of("/v1/networks")
complete_policies = names_of("/v1/policies")
complete_vms = names_of("/v1/vms")
complete_accounts = names_of("/v1/accounts")
complete_operations = names_of("/v1/operations", "id")

OutputOption = Annotated[Output, typer.Option("--output", "-o", help="How to print the result.")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, help="Show at most so many.")]
WaitOption = Annotated[
    bool, typer.Option("--wait/--no-wait", help="Follow the operation to its end, or only begin it.")
]
ReasonOption = Annotated[str | None, typer.Option("--reason", help="Why: kept in the ledger.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask whether you are sure.")]

ZoneArgument = Annotated[str, typer.Argument(help="The zone's name or id.", autocompletion=complete_zones)]
ProjectArgument = Annotated[str, typer.Argument(help="The project's name or id.", autocompletion=complete_projects)]
HostArgument = Annotated[str, typer.Argument(help="The host's name or id.", autocompletion=complete_hosts)]
ImageArgument = Annotated[str, typer.Argument(help="The image's name or id.", autocompletion=complete_images)]
FlavorArgument = Annotated[str, typer.Argument(help="The flavor's name or id.", autocompletion=complete_flavors)]
NetworkArgument = Annotated[str, typer.Argument(help="The network's name or id.", autocompletion=complete_networks)]
PolicyArgument = Annotated[str, typer.Argument(help="The policy's name or id.", autocompletion=complete_policies)]
VmArgument = Annotated[str, typer.Argument(help="The VM's name or id.", autocompletion=complete_vms)]
OperationArgument = Annotated[str, typer.Argument(help="The operation's id.", autocompletion=complete_operations)]
AccountArgument = Annotated[str, typer.Argument(help="The account's name or id.", autocompletion=complete_accounts)]
RenameOption = Annotated[str | None, typer.Option("--name", help="A new name.")]
InProjectOption = Annotated[
    str | None,
    typer.Option(
        "--project", "-p", help="The VM's project, where two have VMs of one name.", autocompletion=complete_projects
    ),
]

LIST_LIMIT = 1000


def confirm(what: str, *, yes: bool) -> None:
    """Ask before something is destroyed; a script has to say `--yes`."""
    if not yes:
        typer.confirm(what, abort=True, err=True)


def parse_pairs(pairs: list[str], *, option: str) -> dict[str, str]:
    """Read `key=value` words."""
    parsed = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not sign or not key:
            raise typer.BadParameter(f"{pair!r} is not key=value", param_hint=option)
        parsed[key] = value
    return parsed


def parse_bytes(text: str, *, option: str) -> int:
    """Read a size with a binary unit: `512MiB`, `10GiB`; a number alone is bytes."""
    units = {"": 1, "b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40}
    number = text.strip().rstrip("BKMGTibkmgt")
    unit = text.strip()[len(number) :].lower()
    unit = {"k": "kib", "m": "mib", "g": "gib", "t": "tib"}.get(unit, unit)
    try:
        amount = float(number) * units[unit]
    except (ValueError, KeyError):
        raise typer.BadParameter(f"{text!r} is not a size such as 512MiB or 10GiB", param_hint=option) from None
    return int(amount)


def changes(**fields: Any) -> dict[str, Any]:
    """Keep the fields that were given; refuse when none was."""
    given = {key: value for key, value in fields.items() if value is not None}
    if not given:
        raise typer.BadParameter("say what to change: see --help")
    return given

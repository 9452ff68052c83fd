"""The commands of `ringfence vm` that give a VM another owner, by an offer that is accepted."""

from __future__ import annotations

from typing import Annotated

import typer

from ringfence.cli.options import (
    LIST_LIMIT,
    InProjectOption,
    LimitOption,
    OutputOption,
    VmArgument,
    complete_accounts,
    connect,
)
from ringfence.cli.output import Json, Output, field, notice, show_list, show_one
from ringfence.cli.vm_names import vm_id
from ringfence.client.connection import Client
from ringfence.errors import NotFound

COLUMNS = (
    field("VM", "vm"),
    field("OWNER", "owner"),
    field("OFFERED TO", "to"),
    field("BY", "offered_by"),
    field("ID", "id"),
)
OfferArgument = Annotated[str, typer.Argument(help="The VM's name, or the offer's id.")]


def list_offers(ctx: typer.Context, limit: LimitOption = LIST_LIMIT, output: OutputOption = Output.TABLE) -> None:
    """List the VMs that are offered to you, and the offers you may see.

    Example: ringfence vm offers
    """
    with connect(ctx) as client:
        show_list(list(client.pages("/v1/handovers", limit=limit)), COLUMNS, output, what="offers")


def offer_vm(
    ctx: typer.Context,
    vm: VmArgument,
    to: Annotated[str, typer.Option("--to", help="Who is to own it.", autocompletion=complete_accounts)],
    project: InProjectOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Offer a VM to another member of its project; it is theirs once they accept.

    Example: ringfence vm offer web-1 --to grace@example.org
    """
    with connect(ctx) as client:
        show_one(client.create(f"/v1/vms/{vm_id(client, vm, project)}/handover", {"to": to}), COLUMNS, output)


def accept_vm(ctx: typer.Context, offer: OfferArgument) -> None:
    """Accept a VM that is offered to you: you own it from now on.

    Example: ringfence vm accept web-1
    """
    with connect(ctx) as client:
        accepted = client.create(f"/v1/handovers/{_offer(client, offer)['id']}/accept")
    notice(f"VM {accepted['vm']} is yours.")


def decline_vm(ctx: typer.Context, offer: OfferArgument) -> None:
    """Decline a VM that is offered to you, or withdraw an offer.

    Example: ringfence vm decline web-1
    """
    with connect(ctx) as client:
        declined = _offer(client, offer)
        client.delete(f"/v1/handovers/{declined['id']}")
    notice(f"VM {declined['vm']} stays with {declined['owner']}.")


def _offer(client: Client, ref: str) -> Json:
    for offer in client.pages("/v1/handovers", limit=LIST_LIMIT):
        if ref in (offer["id"], offer["vm"], offer["vm_id"]):
            return offer
    raise NotFound(kind="offer", ref=ref)


def add_commands(app: typer.Typer) -> None:
    """Add the commands to `ringfence vm`."""
    for name, command in (
        ("offer", offer_vm),
        ("offers", list_offers),
        ("accept", accept_vm),
        ("decline", decline_vm),
    ):
        app.command(name)(command)

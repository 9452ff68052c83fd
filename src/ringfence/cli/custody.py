"""How `ringfence vm custody` finds a VM that may be gone, and shows what the ledger tells of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ringfence.cli.output import Column, Output, field, show_list, show_one, show_value
from ringfence.client.connection import Client
from ringfence.errors import NotFound

LOOK_BACK = 10_000


def _neighbours(item: dict[str, Any]) -> str:
    return "\n".join(f"{each['vm']} ({each['zone']}) on {each['host']}" for each in item["neighbours"])


def _viewers(item: dict[str, Any]) -> str:
    return "\n".join(f"{each['name']} from {each['source']}" for each in item["viewers"])


def _time(key: str) -> Callable[[dict[str, Any]], str]:
    return lambda item: str(item[key] or "")[:19].replace("T", " ")


COLUMNS = (
    Column(title="SINCE", cell=_time("since")),
    Column(title="UNTIL", cell=_time("until")),
    field("OWNER", "owner"),
    field("STATE", "state"),
    field("HOST", "host"),
    Column(title="BESIDE", cell=_neighbours),
    Column(title="ADDRESSES", cell=lambda item: ", ".join(each["address"] for each in item["addresses"])),
    Column(title="CONSOLE", cell=_viewers),
    field("BY", "by"),
)
SHEET = (field("NAME", "name"), *COLUMNS, field("ZONE", "zone"), field("PLACES", "places"), field("ENTRY", "entry"))


def known_id(client: Client, ref: str, project: str | None, present: Callable[[Client, str, str | None], str]) -> str:
    """Find the id of the VM that a name or id means; if there is none now, the last that the ledger knows by it."""
    try:
        return present(client, ref, project)
    except NotFound:
        entries = client.pages("/v1/ledger/entries", limit=LOOK_BACK, kind="VM", name=ref)
        gone = [str(entry["subject"]["id"]) for entry in entries]
        if not gone:
            raise
        return gone[-1]


def show(client: Client, vm_id: str, at: str | None, output: Output) -> None:
    """Show a VM's life, or one instant of it."""
    told = client.get(f"/v1/vms/{vm_id}/custody", at=at)
    periods = told["periods"]
    if output is not Output.TABLE:
        show_value(told, output)
    elif at is None:
        show_list(periods, COLUMNS, output, what="periods")
    elif periods:
        show_one(periods[0], SHEET, output)
    else:
        raise NotFound(kind="VM", ref=f"{vm_id} at {at}")

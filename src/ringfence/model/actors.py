"""Who does something: the person, service account, host or controller behind a change. What they may is `access`'s."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class ActorKind(StrEnum):
    """What kind of thing acts."""

    PERSON = "person"
    SERVICE = "service"
    HOST = "host"
    CONTROLLER = "controller"
    STRANGER = "stranger"
    """Somebody who did not say who they are, or was not believed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """One who acts, as the ledger names them.

    `on_behalf_of` is the person a service, or the controller carrying out an operation, acts for; `source` the address
    the request came from, "" if it came from nowhere outside; `reason` what they gave as one.
    """

    kind: ActorKind
    id: str
    name: str
    on_behalf_of: str = ""
    source: str = ""
    reason: str = ""

    def served_by_controller(self) -> Actor:
        """Name the controller that carries out what this one asked for."""
        return replace(CONTROLLER, on_behalf_of=self.on_behalf_of or self.name, source=self.source, reason=self.reason)


CONTROLLER = Actor(kind=ActorKind.CONTROLLER, id="controller", name="controller")
"""The controller itself, where nobody asked: housekeeping, first start."""

OUTSIDE = Actor(kind=ActorKind.STRANGER, id="outside", name="somebody at the database")
"""Whoever changed the database past ringfence."""
STRANGER = Actor(kind=ActorKind.STRANGER, id="stranger", name="stranger")
"""Who is refused before anybody knows who they are."""

"""Hosts over HTTP: inviting, cordoning and removing them. How a host joins is told in `controller/agents`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import Field

from ringfence.controller.api.requests import (
    Done,
    IdempotencyKey,
    IfMatchMaybe,
    RefInPath,
    WithPaging,
    WithParts,
    create,
    cursor_for,
    etag,
    told,
)
from ringfence.controller.api.shapes import Asked, Name, PageOf, Told
from ringfence.controller.fences import release_address
from ringfence.controller.parts import Parts
from ringfence.errors import StaleRevision
from ringfence.model.hosts import Host, HostState
from ringfence.store import hosts, invitations
from ringfence.store.engine import Session
from ringfence.wire import JoinToken

router = APIRouter(prefix="/v1/hosts", tags=["hosts"])


class InvitationAsked(Asked):
    name: Name
    valid_seconds: Annotated[int, Field(ge=60, le=7 * 86400)] = 3600
    again: bool = Field(
        default=False,
        description="For a host that is here: it stays what it is, and its certificate up to then is refused.",
    )


class InvitationTold(Told):
    """Run `ringfence-agent join` on the host, and paste the token. It serves once, and is not shown again."""

    name: str
    token: str
    expires_at: str


class CapacityTold(Told):
    vcpus: int
    memory_mib: int
    disk_bytes: int


class HostTold(Told):
    """A hypervisor. `reachable` tells whether its agent has been heard of lately."""

    id: str
    name: str
    state: HostState
    underlay_address: str
    total: CapacityTold
    claimed: CapacityTold
    certificate_expires_at: str | None = Field(description="It is renewed long before, unless the agent is away.")
    last_seen: str | None
    reachable: bool
    facts: dict[str, str]
    zones: list[str] = Field(description="The zones of the VMs that have a place on it.")
    vms: int = Field(description="How many VMs have a place on it.")
    revision: int


def shown(host: Host, company: hosts.Company) -> HostTold:
    """Build the body that tells a host."""
    return HostTold(
        id=host.id,
        name=host.name,
        state=host.state,
        underlay_address=host.underlay_address,
        total=CapacityTold.model_validate(host.total),
        claimed=CapacityTold.model_validate(host.claimed),
        certificate_expires_at=host.certificate_expires_at,
        last_seen=host.last_seen,
        reachable=host.reachable,
        facts=dict(host.facts),
        zones=list(company.zones),
        vms=company.vms,
        revision=host.revision,
    )


@router.get("", response_model=PageOf[HostTold])
def list_hosts(parts: WithParts, paging: WithPaging) -> Response:
    """List the hosts."""
    with parts.store.reading() as session:
        page = hosts.hosts(session, limit=paging.limit, after=paging.after)
        company = hosts.company_of(session, [host.id for host in page.items])
    items = [shown(host, company[host.id]) for host in page.items]
    return told(PageOf[HostTold](items=items, next=cursor_for(page.next)))


@router.post("/invitations", status_code=201, response_model=InvitationTold)
def invite_host(parts: WithParts, body: InvitationAsked) -> Response:
    """Invite a host, or one that is here already to join again: make its join token.

    There is no idempotency here, since a repetition would have to keep the secret; an unused token just expires.
    """
    with parts.store.transaction() as session:
        invitation, secret = invitations.add_invitation(
            session, name=body.name, valid_seconds=body.valid_seconds, again=body.again
        )
    url = f"https://{parts.agents_address}"
    token = JoinToken(u=url, s=secret, f=parts.authority.fingerprint, n=invitation.name, h=invitation.host_id or "")
    invited = InvitationTold(name=invitation.name, token=token.text(), expires_at=invitation.expires_at)
    return told(invited, status=201, headers={"Cache-Control": "no-store"})


@router.get("/{ref}", response_model=HostTold)
def get_host(parts: WithParts, ref: RefInPath) -> Response:
    """Show one host."""
    with parts.store.reading() as session:
        host = hosts.host(session, ref)
        company = hosts.company_of(session, [host.id])[host.id]
    return told(shown(host, company), headers=etag(host.revision))


@router.post("/{ref}/cordon", response_model=HostTold)
def cordon_host(parts: WithParts, request: Request, ref: RefInPath, idempotency_key: IdempotencyKey = None) -> Response:
    """Cordon a host: no VM is placed on it any more; those it runs stay."""
    return _changed(parts, request, idempotency_key, lambda session: hosts.cordon(session, ref))


@router.post("/{ref}/uncordon", response_model=HostTold)
def uncordon_host(
    parts: WithParts, request: Request, ref: RefInPath, idempotency_key: IdempotencyKey = None
) -> Response:
    """Let a host have VMs again."""
    return _changed(parts, request, idempotency_key, lambda session: hosts.uncordon(session, ref))


@router.delete("/{ref}", status_code=204, response_class=Response)
def delete_host(parts: WithParts, ref: RefInPath, revision: IfMatchMaybe) -> Response:
    """Remove a host that has no VM. Its certificate is refused from then on, and other hosts take nothing of its."""
    with parts.store.transaction() as session:
        host = hosts.host(session, ref)
        if revision is not None and revision != host.revision:
            raise StaleRevision(kind="host", name=host.name, asked=revision, current=host.revision)
        hosts.remove_host(session, ref)
    # ORDER: removed first: what its switch says of itself after this is written by no host any more.
    release_address(parts.fence, host.underlay_address, keep=None)
    return Response(status_code=204)


def _changed(parts: Parts, request: Request, key: str | None, do: Callable[[Session], Host]) -> Response:
    def done(session: Session) -> Done:
        host = do(session)
        company = hosts.company_of(session, [host.id])[host.id]
        return Done(status=200, body=shown(host, company), headers=etag(host.revision))

    return create(parts, request, key, None, done)

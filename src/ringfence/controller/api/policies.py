"""Policies over HTTP. They select VMs by zone, project and label; each change is brought into force by an operation."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import Field

from ringfence.controller.api.requests import (
    Done,
    IdempotencyKey,
    IfMatch,
    IfMatchMaybe,
    RefInPath,
    WithPaging,
    WithParts,
    apply_fence,
    change,
    create,
    cursor_for,
    etag,
    told,
)
from ringfence.controller.api.shapes import Asked, Labels, Name, Ordered, PageOf, Ref, Told
from ringfence.errors import Invalid
from ringfence.model.names import OperationId, PolicyId, check_labels
from ringfence.model.policies import Policy, Protocol, Selector
from ringfence.store import policies, projects, zones
from ringfence.store.engine import Session

router = APIRouter(prefix="/v1/policies", tags=["policies"])

PortNumbers = Annotated[list[Annotated[int, Field(ge=1, le=65535)]], Field(max_length=64)]
ProtocolName = Annotated[Protocol, Field(strict=False)]


class SelectorAsked(Asked):
    """Selects the VMs that match every part given; at least one must be."""

    zone: Ref | None = None
    project: Ref | None = None
    labels: Labels = Field(default={})


class PolicyAsked(Asked):
    name: Name
    source: SelectorAsked = Field(description="Who may open connections.")
    target: SelectorAsked = Field(description="To whom.")
    protocol: ProtocolName = Protocol.ANY
    ports: PortNumbers = Field(default=[], description="Of TCP or UDP; none means all.")


class PolicyChanges(Asked):
    name: Name | None = None
    source: SelectorAsked | None = None
    target: SelectorAsked | None = None
    protocol: ProtocolName | None = None
    ports: PortNumbers | None = None


class SelectorTold(Told):
    zone: str | None
    zone_id: str | None
    project: str | None
    project_id: str | None
    labels: dict[str, str]


class PolicyTold(Told):
    """An allow rule. Everything that no policy allows is denied."""

    id: str
    name: str
    source: SelectorTold
    target: SelectorTold
    protocol: Protocol
    ports: list[int]
    revision: int
    operation: str | None = Field(default=None, description="In answers to changes: what brings it into force.")


@router.get("", response_model=PageOf[PolicyTold])
def list_policies(parts: WithParts, paging: WithPaging) -> Response:
    """List the policies."""
    with parts.store.reading() as session:
        page = policies.policies(session, limit=paging.limit, after=paging.after)
        items = [shown(session, policy) for policy in page.items]
    return told(PageOf[PolicyTold](items=items, next=cursor_for(page.next)))


@router.post("", status_code=201, response_model=PolicyTold)
def create_policy(
    parts: WithParts, request: Request, body: PolicyAsked, idempotency_key: IdempotencyKey = None
) -> Response:
    """Create a policy. It is in force once its `operation` is done."""

    def do(session: Session) -> Done:
        added = policies.add_policy(
            session,
            name=body.name,
            source=_selector(session, body.source, field="source"),
            target=_selector(session, body.target, field="target"),
            protocol=body.protocol,
            ports=_ports(body.ports, body.protocol),
        )
        return _done(session, added, status=201)

    return create(parts, request, idempotency_key, body, do)


@router.get("/{ref}", response_model=PolicyTold)
def get_policy(parts: WithParts, ref: RefInPath) -> Response:
    """Show one policy."""
    with parts.store.reading() as session:
        policy = policies.policy(session, ref)
        return told(shown(session, policy), headers=etag(policy.revision))


@router.patch("/{ref}", response_model=PolicyTold)
def change_policy(parts: WithParts, ref: RefInPath, body: PolicyChanges, revision: IfMatch) -> Response:
    """Change a policy. What is given replaces what was there."""

    def do(session: Session) -> Done:
        before = policies.policy(session, ref)
        protocol = body.protocol or before.protocol
        ports = _ports(list(before.ports) if body.ports is None else body.ports, protocol)
        changed = policies.change_policy(
            session,
            ref,
            revision=revision,
            name=body.name,
            source=_selector(session, body.source, field="source") if body.source is not None else None,
            target=_selector(session, body.target, field="target") if body.target is not None else None,
            protocol=body.protocol,
            ports=ports,
        )
        return _done(session, changed, status=200)

    return change(parts, do)


@router.delete("/{ref}", status_code=202, response_model=Ordered)
def delete_policy(parts: WithParts, ref: RefInPath, revision: IfMatchMaybe) -> Response:
    """Delete a policy. What it allowed is denied once the operation is done, open connections included."""

    def do(session: Session) -> Done:
        policy = policies.policy(session, ref)
        policies.remove_policy(session, ref, revision=revision)
        operation = apply_fence(session, subject_id=policy.id, subject_name=policy.name)
        headers = {"Location": f"/v1/operations/{operation}"}
        return Done(status=202, body=Ordered(operation=operation), headers=headers, operation_id=operation)

    return change(parts, do)


def shown(session: Session, policy: Policy, operation: OperationId | None = None) -> PolicyTold:
    """Build the body that tells a policy."""
    return PolicyTold(
        id=policy.id,
        name=policy.name,
        source=_selector_told(session, policy.source),
        target=_selector_told(session, policy.target),
        protocol=policy.protocol,
        ports=list(policy.ports),
        revision=policy.revision,
        operation=operation,
    )


def imagined(session: Session, asked: PolicyAsked, policy_id: PolicyId | None) -> Policy:
    """Build the policy that is asked for, without keeping it."""
    return Policy(
        id=policy_id or PolicyId(""),
        name=asked.name,
        source=_selector(session, asked.source, field="source"),
        target=_selector(session, asked.target, field="target"),
        protocol=asked.protocol,
        ports=_ports(asked.ports, asked.protocol),
    )


def _selector_told(session: Session, selector: Selector) -> SelectorTold:
    return SelectorTold(
        zone=zones.zone(session, selector.zone_id).name if selector.zone_id is not None else None,
        zone_id=selector.zone_id,
        project=projects.project(session, selector.project_id).name if selector.project_id is not None else None,
        project_id=selector.project_id,
        labels=dict(selector.labels),
    )


def _selector(session: Session, asked: SelectorAsked, *, field: str) -> Selector:
    if asked.zone is None and asked.project is None and not asked.labels:
        raise Invalid(field=field, why="it selects nothing; give a zone, a project or labels")
    return Selector(
        zone_id=zones.zone(session, asked.zone).id if asked.zone is not None else None,
        project_id=projects.project(session, asked.project).id if asked.project is not None else None,
        labels=check_labels(asked.labels),
    )


def _ports(ports: list[int], protocol: Protocol) -> tuple[int, ...]:
    if ports and protocol not in (Protocol.TCP, Protocol.UDP):
        raise Invalid(field="ports", why=f"only tcp and udp have ports, and the protocol is {protocol}")
    return tuple(sorted(set(ports)))


def _done(session: Session, policy: Policy, *, status: int) -> Done:
    operation = apply_fence(session, subject_id=policy.id, subject_name=policy.name)
    headers = {**etag(policy.revision), "Location": f"/v1/policies/{policy.id}"}
    return Done(status=status, body=shown(session, policy, operation), headers=headers, operation_id=operation)

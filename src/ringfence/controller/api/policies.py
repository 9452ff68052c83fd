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
    project_asked,
    told,
)
from ringfence.controller.api.shapes import Asked, Labels, Name, Ordered, PageOf, Ref, Told
from ringfence.controller.enforcement import WithAccess
from ringfence.decide.access import Grants, may
from ringfence.errors import Invalid
from ringfence.model.access import Permission
from ringfence.model.names import OperationId, PolicyId, ProjectId, check_labels
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
    project: Ref | None = Field(default=None, description="Whose it is; the cloud's if not given.")
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
    elsewhere: bool = Field(description="It selects in a project that you do not see; no more is told of it.")


class PolicyTold(Told):
    """An allow rule. Everything that no policy allows is denied."""

    id: str
    name: str
    project: str | None = Field(description="Whose it is; null: the cloud's, or of a project that you do not see.")
    project_id: str | None
    source: SelectorTold
    target: SelectorTold
    protocol: Protocol
    ports: list[int]
    revision: int
    operation: str | None = Field(default=None, description="In answers to changes: what brings it into force.")


@router.get("", response_model=PageOf[PolicyTold])
def list_policies(parts: WithParts, paging: WithPaging, access: WithAccess) -> Response:
    """List the policies one sees: those that are of one's projects, or concern them."""
    with parts.store.reading() as session:
        page = policies.policies(session, limit=paging.limit, after=paging.after, seen_by=access.grants)
        items = [shown(session, access.grants, policy) for policy in page.items]
    return told(PageOf[PolicyTold](items=items, next=cursor_for(page.next)))


@router.post("", status_code=201, response_model=PolicyTold)
def create_policy(
    parts: WithParts,
    request: Request,
    body: PolicyAsked,
    access: WithAccess,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Create a policy. It is in force once its `operation` is done.

    Who manages policies in a project, and not in the cloud, names that `project`, and opens its own VMs to one another.
    """

    def do(session: Session) -> Done:
        project_id = project_asked(session, access.grants, body.project, Permission.POLICY_MANAGE)
        added = policies.add_policy(
            session,
            name=body.name,
            project_id=project_id,
            source=_selector(session, access.grants, body.source, field="source"),
            target=_selector(session, access.grants, body.target, field="target"),
            protocol=body.protocol,
            ports=_ports(body.ports, body.protocol),
        )
        return _done(session, access.grants, added, status=201)

    return create(parts, request, idempotency_key, body, do)


@router.get("/{ref}", response_model=PolicyTold)
def get_policy(parts: WithParts, ref: RefInPath, access: WithAccess) -> Response:
    """Show one policy."""
    with parts.store.reading() as session:
        policy = policies.policy(session, ref)
        return told(shown(session, access.grants, policy), headers=etag(policy.revision))


@router.patch("/{ref}", response_model=PolicyTold)
def change_policy(
    parts: WithParts, ref: RefInPath, body: PolicyChanges, revision: IfMatch, access: WithAccess
) -> Response:
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
            source=_selector(session, access.grants, body.source, field="source") if body.source is not None else None,
            target=_selector(session, access.grants, body.target, field="target") if body.target is not None else None,
            protocol=body.protocol,
            ports=ports,
        )
        return _done(session, access.grants, changed, status=200)

    return change(parts, do)


@router.delete("/{ref}", status_code=202, response_model=Ordered)
def delete_policy(parts: WithParts, ref: RefInPath, revision: IfMatchMaybe) -> Response:
    """Delete a policy. What it allowed is denied once the operation is done, open connections included."""

    def do(session: Session) -> Done:
        policy = policies.policy(session, ref)
        policies.remove_policy(session, ref, revision=revision)
        operation = apply_fence(session, subject_id=policy.id, subject_name=policy.name, project_id=policy.project_id)
        headers = {"Location": f"/v1/operations/{operation}"}
        return Done(status=202, body=Ordered(operation=operation), headers=headers, operation_id=operation)

    return change(parts, do)


def shown(session: Session, grants: Grants, policy: Policy, operation: OperationId | None = None) -> PolicyTold:
    """Build the body that tells a policy, less what belongs to a project that the asker does not see."""
    of = policy.project_id if policy.project_id is not None and _sees(grants, policy.project_id) else None
    return PolicyTold(
        id=policy.id,
        name=policy.name,
        project=projects.project(session, of).name if of is not None else None,
        project_id=of,
        source=_selector_told(session, grants, policy.source),
        target=_selector_told(session, grants, policy.target),
        protocol=policy.protocol,
        ports=list(policy.ports),
        revision=policy.revision,
        operation=operation,
    )


def imagined(session: Session, grants: Grants, asked: PolicyAsked, policy_id: PolicyId | None) -> Policy:
    """Build the policy that is asked for, without keeping it."""
    read = Permission.POLICY_READ
    return Policy(
        id=policy_id or PolicyId(""),
        name=asked.name,
        source=_selector(session, grants, asked.source, field="source", permission=read),
        target=_selector(session, grants, asked.target, field="target", permission=read),
        protocol=asked.protocol,
        ports=_ports(asked.ports, asked.protocol),
    )


def _sees(grants: Grants, project_id: ProjectId) -> bool:
    return bool(may(grants, Permission.PROJECT_READ, project_id))


def _selector_told(session: Session, grants: Grants, selector: Selector) -> SelectorTold:
    if selector.project_id is not None and not _sees(grants, selector.project_id):
        return SelectorTold(zone=None, zone_id=None, project=None, project_id=None, labels={}, elsewhere=True)
    return SelectorTold(
        zone=zones.zone(session, selector.zone_id).name if selector.zone_id is not None else None,
        zone_id=selector.zone_id,
        project=projects.project(session, selector.project_id).name if selector.project_id is not None else None,
        project_id=selector.project_id,
        labels=dict(selector.labels),
        elsewhere=False,
    )


def _selector(
    session: Session,
    grants: Grants,
    asked: SelectorAsked,
    *,
    field: str,
    permission: Permission = Permission.POLICY_MANAGE,
) -> Selector:
    """Build the selector; the asker must be permitted where it selects."""
    if asked.zone is None and asked.project is None and not asked.labels:
        raise Invalid(field=field, why="it selects nothing; give a zone, a project or labels")
    return Selector(
        zone_id=zones.zone(session, asked.zone).id if asked.zone is not None else None,
        project_id=project_asked(session, grants, asked.project, permission),
        labels=check_labels(asked.labels),
    )


def _ports(ports: list[int], protocol: Protocol) -> tuple[int, ...]:
    if ports and protocol not in (Protocol.TCP, Protocol.UDP):
        raise Invalid(field="ports", why=f"only tcp and udp have ports, and the protocol is {protocol}")
    return tuple(sorted(set(ports)))


def _done(session: Session, grants: Grants, policy: Policy, *, status: int) -> Done:
    operation = apply_fence(session, subject_id=policy.id, subject_name=policy.name, project_id=policy.project_id)
    headers = {**etag(policy.revision), "Location": f"/v1/policies/{policy.id}"}
    return Done(status=status, body=shown(session, grants, policy, operation), headers=headers, operation_id=operation)

"""Operations and their steps: what a user watches. The workflows that carry them out are kept elsewhere."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Row, insert, select, update
from sqlalchemy.orm import Session

from ringfence.decide.access import Grants
from ringfence.errors import ErrorRecord, NotFound
from ringfence.model.actors import Actor, ActorKind
from ringfence.model.names import OperationId, ProjectId
from ringfence.model.operations import Operation, OperationKind, OperationState, OperationStep, StepState
from ringfence.store import rows
from ringfence.store.access import seen_operations
from ringfence.store.acting import current_actor
from ringfence.store.engine import changed
from ringfence.store.ids import new_id, now
from ringfence.store.pages import Page, page_of_rows
from ringfence.store.tables import operation_steps as steps
from ringfence.store.tables import operations as table

KIND = "operation"
_ENDED = [str(state) for state in OperationState if state.ended]


def add_operation(
    session: Session,
    *,
    kind: OperationKind,
    subject_id: str,
    subject_name: str,
    asked: Mapping[str, Any] | None = None,
    project_id: str | None = None,
) -> Operation:
    """Add a pending operation; in the transaction that makes what it is to act on.

    `project_id` is the subject's: who sees that project sees the operation.
    """
    values = {
        "id": new_id(),
        "kind": str(kind),
        "state": str(OperationState.PENDING),
        "subject_id": subject_id,
        "subject_name": subject_name,
        "project_id": project_id,
        "asked": dict(asked or {}),
        "created_at": now(),
        "result": {},
        "asked_by": None if current_actor().kind is ActorKind.CONTROLLER else asdict(current_actor()),
    }
    session.execute(insert(table).values(**values))
    changed(session, KIND, str(values["id"]))
    return operation(session, str(values["id"]))


def operation(session: Session, operation_id: str) -> Operation:
    """Read an operation with its steps; raises `NotFound`."""
    return _built(session, [rows.find_row(session, table, KIND, operation_id)])[0]


def operations(
    session: Session,
    *,
    limit: int = 100,
    after: str | None = None,
    state: OperationState | None = None,
    subject_id: str | None = None,
    kind: OperationKind | None = None,
    newest_first: bool = True,
    seen_by: Grants | None = None,
) -> Page[Operation]:
    """Read a page of the operations that match what is given, of those that one sees if it is asked for someone."""
    query = select(table)
    if seen_by is not None:
        query = query.where(seen_operations(seen_by))
    if state is not None:
        query = query.where(table.c.state == str(state))
    if subject_id is not None:
        query = query.where(table.c.subject_id == subject_id)
    if kind is not None:
        query = query.where(table.c.kind == str(kind))
    found, following = page_of_rows(session, query, table.c.id, limit=limit, after=after, newest_first=newest_first)
    return Page(items=tuple(_built(session, found)), next=following)


def unfinished_operations(session: Session) -> Sequence[Operation]:
    """Read every operation that has not ended, oldest first."""
    query = select(table).where(table.c.state.not_in(_ENDED)).order_by(table.c.id)
    return _built(session, session.execute(query).all())


def step_began(session: Session, operation_id: str, number: int, name: str) -> None:
    """Record that a step runs; a step that is repeated keeps the time it first began."""
    _bump(session, operation_id, {})
    this = (steps.c.operation_id == operation_id) & (steps.c.number == number)
    if session.execute(select(steps.c.number).where(this)).one_or_none() is None:
        fresh = {"operation_id": operation_id, "number": number, "name": name, "started_at": now(), "detail": ""}
        session.execute(insert(steps).values(**fresh, state=str(StepState.RUNNING)))
    else:
        again = {"name": name, "state": str(StepState.RUNNING), "ended_at": None, "detail": ""}
        session.execute(update(steps).where(this).values(**again))


def step_ended(session: Session, operation_id: str, number: int, state: StepState, detail: str) -> None:
    """Record how a step ended; again the same is no change, so that a repeated step keeps its time."""
    this = (steps.c.operation_id == operation_id) & (steps.c.number == number)
    row = session.execute(select(steps).where(this)).one_or_none()
    if row is None:
        raise NotFound(kind="step", ref=f"{number} of operation {operation_id}")
    if (row.state, row.detail) == (str(state), detail):
        return
    _bump(session, operation_id, {})
    session.execute(update(steps).where(this).values(state=str(state), detail=detail, ended_at=now()))


def operation_became(
    session: Session,
    operation_id: str,
    state: OperationState,
    *,
    error: ErrorRecord | None = None,
    result: Mapping[str, Any] | None = None,
) -> None:
    """Record the operation's state; one that ended stays as it ended, whatever a repeated step says later."""
    row = rows.find_row(session, table, KIND, operation_id)
    if OperationState(row.state).ended:
        return
    values: dict[str, Any] = {"state": str(state)}
    if error is not None:
        values["error"] = asdict(error)
    if result is not None:
        values["result"] = dict(result)
    if state.ended:
        values["ended_at"] = now()
    _bump(session, operation_id, values)


def _bump(session: Session, operation_id: str, values: Mapping[str, Any]) -> None:
    newer = update(table).where(table.c.id == operation_id).values(**values, version=table.c.version + 1)
    if session.execute(newer.returning(table.c.id)).one_or_none() is None:
        raise NotFound(kind=KIND, ref=operation_id)
    changed(session, KIND, operation_id)


def _built(session: Session, found: Collection[Row[Any]]) -> list[Operation]:
    query = select(steps).where(steps.c.operation_id.in_([row.id for row in found]))
    done: dict[str, list[OperationStep]] = defaultdict(list)
    for row in session.execute(query.order_by(steps.c.operation_id, steps.c.number)):
        done[row.operation_id].append(_built_step(row))
    return [
        Operation(
            id=OperationId(row.id),
            kind=OperationKind(row.kind),
            state=OperationState(row.state),
            subject_id=row.subject_id,
            subject_name=row.subject_name,
            asked=row.asked,
            created_at=row.created_at,
            ended_at=row.ended_at,
            steps=tuple(done[row.id]),
            result=row.result,
            error=None if row.error is None else ErrorRecord(**row.error),
            version=row.version,
            project_id=None if row.project_id is None else ProjectId(row.project_id),
            asked_by=None if row.asked_by is None else _built_actor(row.asked_by),
        )
        for row in found
    ]


def _built_actor(told: Mapping[str, Any]) -> Actor:
    return Actor(**{**told, "kind": ActorKind(told["kind"])})


def _built_step(row: Row[Any]) -> OperationStep:
    return OperationStep(
        number=row.number,
        name=row.name,
        state=StepState(row.state),
        started_at=row.started_at,
        ended_at=row.ended_at,
        detail=row.detail,
    )

"""Operations over HTTP, and their progress as server-sent events. Starting them is the other nouns' business."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import fields as dataclass_fields
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from ringfence.adapters import bells
from ringfence.controller.admission import Access, renewed
from ringfence.controller.api.requests import Filter, RefInPath, WithPaging, WithParts, cursor_for, told
from ringfence.controller.api.shapes import PageOf, Told
from ringfence.controller.enforcement import WithAccess
from ringfence.controller.parts import Parts
from ringfence.decide.access import Grants, judge, may
from ringfence.decide.discretion import discreet_operation
from ringfence.model.access import Permission
from ringfence.model.operations import Operation, OperationKind, OperationState, StepState
from ringfence.store import operations
from ringfence.store.access import operation_subject

router = APIRouter(prefix="/v1/operations", tags=["operations"])

LOOK_AGAIN_SECONDS = 1.0
PING_SECONDS = 10.0


class StepTold(Told):
    number: int
    name: str
    state: StepState
    started_at: str
    ended_at: str | None
    detail: str


class ErrorTold(Told):
    """Why it failed: as in a problem document."""

    code: str
    family: str
    status: int
    message: str
    remedy: str
    facts: dict[str, Any]


class OperationTold(Told):
    """A long-running action. It has ended when its state is `done` or `failed`."""

    id: str
    kind: OperationKind
    state: OperationState
    subject_id: str
    subject_name: str
    asked: dict[str, Any]
    created_at: str
    ended_at: str | None
    steps: list[StepTold]
    result: dict[str, Any]
    error: ErrorTold | None
    version: int = Field(description="Grows with each change.")
    asked_by: str | None = Field(description="The account that asked for it; null: the controller itself.")
    project_id: str | None = Field(description="Its subject's project.")


def shown(operation: Operation, grants: Grants) -> OperationTold:
    """Build the body that tells an operation, less what tells of hosts if the asker does not see those."""
    told_of = operation if may(grants, Permission.HOST_READ) else discreet_operation(operation)
    asker = operation.asked_by.name if operation.asked_by is not None else None
    fields = {each.name: getattr(told_of, each.name) for each in dataclass_fields(told_of)}
    return OperationTold.model_validate({**fields, "asked_by": asker})


@router.get("", response_model=PageOf[OperationTold])
def list_operations(
    parts: WithParts,
    paging: WithPaging,
    access: WithAccess,
    state: Annotated[OperationState | None, Query(description="Only those in this state.")] = None,
    subject: Filter = None,
    kind: Annotated[OperationKind | None, Query(description="Only those of this kind.")] = None,
) -> Response:
    """List the operations one sees, newest first."""
    with parts.store.reading() as session:
        page = operations.operations(
            session,
            limit=paging.limit,
            after=paging.after,
            state=state,
            subject_id=subject,
            kind=kind,
            seen_by=access.grants,
        )
    items = [shown(operation, access.grants) for operation in page.items]
    return told(PageOf[OperationTold](items=items, next=cursor_for(page.next)))


@router.get("/{ref}", response_model=OperationTold)
def get_operation(parts: WithParts, ref: RefInPath, access: WithAccess) -> Response:
    """Show one operation."""
    return told(shown(_read(parts, ref), access.grants))


@router.get(
    "/{ref}/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "Events `operation`, each with all of it."}},
)
async def follow_operation(parts: WithParts, ref: RefInPath, access: WithAccess) -> StreamingResponse:
    """Follow an operation: it is told whole at once and after each change; the stream ends when the operation has.

    It ends as well when the asker may no longer see the operation.

    Since each event tells all, a reader that comes back needs no `Last-Event-ID`; one that sends it is told the same.
    """
    first = await anyio.to_thread.run_sync(_read, parts, ref)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_events(parts, access, first), media_type="text/event-stream", headers=headers)


async def _events(parts: Parts, access: Access, operation: Operation) -> AsyncIterator[str]:
    told_version: int | None = None
    silent_seconds = 0.0
    with parts.bells.listen(f"operation:{operation.id}") as bell:
        # ORDER: listen, then look. A change between would otherwise be told a second late.
        operation = await anyio.to_thread.run_sync(_read, parts, operation.id)
        while not parts.bells.stopped:
            if operation.version != told_version:
                told_version, silent_seconds = operation.version, 0.0
                data = shown(operation, access.grants).model_dump_json()
                yield f"event: operation\nid: {operation.version}\ndata: {data}\n\n"
                if operation.state.ended:
                    return
            elif silent_seconds >= PING_SECONDS:
                silent_seconds = 0.0
                yield ": still here\n\n"
            if not await bells.wait(bell, timeout_seconds=LOOK_AGAIN_SECONDS):
                silent_seconds += LOOK_AGAIN_SECONDS
            operation, still = await anyio.to_thread.run_sync(_read_again, parts, access, operation.id)
            if still is None:
                return
            access = still


def _read_again(parts: Parts, access: Access, ref: str) -> tuple[Operation, Access | None]:
    """Read the operation, and whether it may still be told to who follows it."""
    still = renewed(parts.store, access)
    operation = _read(parts, ref)
    with parts.store.reading() as session:
        subject = operation_subject(session, access.grants, ref)
    return operation, still if still is not None and judge(still.grants, subject.read, subject) else None


def _read(parts: Parts, ref: str) -> Operation:
    with parts.store.reading() as session:
        return operations.operation(session, ref)

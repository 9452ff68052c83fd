"""Operations over HTTP, and their progress as server-sent events. Starting them is the other nouns' business."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from ringfence.adapters import bells
from ringfence.controller.api.requests import Filter, RefInPath, WithPaging, WithParts, cursor_for, told
from ringfence.controller.api.shapes import PageOf, Told
from ringfence.controller.parts import Parts
from ringfence.model.operations import Operation, OperationKind, OperationState, StepState
from ringfence.store import operations

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


def shown(operation: Operation) -> OperationTold:
    """Build the body that tells an operation."""
    return OperationTold.model_validate(operation)


@router.get("", response_model=PageOf[OperationTold])
def list_operations(
    parts: WithParts,
    paging: WithPaging,
    state: Annotated[OperationState | None, Query(description="Only those in this state.")] = None,
    subject: Filter = None,
    kind: Annotated[OperationKind | None, Query(description="Only those of this kind.")] = None,
) -> Response:
    """List the operations, newest first."""
    with parts.store.reading() as session:
        page = operations.operations(
            session, limit=paging.limit, after=paging.after, state=state, subject_id=subject, kind=kind
        )
    items = [shown(operation) for operation in page.items]
    return told(PageOf[OperationTold](items=items, next=cursor_for(page.next)))


@router.get("/{ref}", response_model=OperationTold)
def get_operation(parts: WithParts, ref: RefInPath) -> Response:
    """Show one operation."""
    return told(shown(_read(parts, ref)))


@router.get(
    "/{ref}/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "Events `operation`, each with all of it."}},
)
async def follow_operation(parts: WithParts, ref: RefInPath) -> StreamingResponse:
    """Follow an operation: it is told whole at once and after each change; the stream ends when the operation has.

    Since each event tells all, a reader that comes back needs no `Last-Event-ID`; one that sends it is told the same.
    """
    first = await anyio.to_thread.run_sync(_read, parts, ref)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_events(parts, first), media_type="text/event-stream", headers=headers)


async def _events(parts: Parts, operation: Operation) -> AsyncIterator[str]:
    told_version: int | None = None
    silent_seconds = 0.0
    with parts.bells.listen(f"operation:{operation.id}") as bell:
        # ORDER: listen, then look. A change between would otherwise be told a second late.
        operation = await anyio.to_thread.run_sync(_read, parts, operation.id)
        while not parts.bells.stopped:
            if operation.version != told_version:
                told_version, silent_seconds = operation.version, 0.0
                yield f"event: operation\nid: {operation.version}\ndata: {shown(operation).model_dump_json()}\n\n"
                if operation.state.ended:
                    return
            elif silent_seconds >= PING_SECONDS:
                silent_seconds = 0.0
                yield ": still here\n\n"
            if not await bells.wait(bell, timeout_seconds=LOOK_AGAIN_SECONDS):
                silent_seconds += LOOK_AGAIN_SECONDS
            operation = await anyio.to_thread.run_sync(_read, parts, operation.id)


def _read(parts: Parts, ref: str) -> Operation:
    with parts.store.reading() as session:
        return operations.operation(session, ref)

"""What changed, as server-sent events: a reader asks again for what it shows. Says nothing of what changed how."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from ringfence.adapters import bells
from ringfence.adapters.changes import TOPIC, kinds_changed
from ringfence.controller.api.requests import WithParts
from ringfence.controller.parts import Parts

router = APIRouter(prefix="/v1/events", tags=["events"])

PING_SECONDS = 10.0
GATHER_SECONDS = 0.5
"""Changes that come together are told together: hosts' heartbeats alone would be an event a second."""
INTERNAL = frozenset({"command", "answer", "intent"})
"""What changes between controller and hosts only."""


@router.get(
    "",
    response_class=StreamingResponse,
    responses={
        200: {
            "content": {"text/event-stream": {}},
            "description": 'Events `changed`, each with the kinds that did: `["operation", "vm"]`.',
        }
    },
)
async def follow_changes(parts: WithParts) -> StreamingResponse:
    """Follow what changes, by kind: an event `changed` says that things of these kinds are worth another look.

    No ids are told, since not everyone may see everything. Changes made through another controller over the same
    database are not told here: look again by yourself now and then.
    """
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_events(parts), media_type="text/event-stream", headers=headers)


async def _events(parts: Parts) -> AsyncIterator[str]:
    with parts.bells.listen(TOPIC) as bell:
        seen = parts.changes.counts()
        yield ": here\n\n"
        while not parts.bells.stopped:
            if not await bells.wait(bell, timeout_seconds=PING_SECONDS):
                yield ": still here\n\n"
                continue
            now = parts.changes.counts()
            kinds = [kind for kind in kinds_changed(seen, now) if kind not in INTERNAL]
            seen = now
            if kinds:
                yield f"event: changed\ndata: {json.dumps(kinds)}\n\n"
                await asyncio.sleep(GATHER_SECONDS)

"""What routes share: paging, If-Match and ETag, idempotent creates, operations begun. No noun and no rule of one."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, Header, Path, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel

from ringfence.controller.enforcement import access_in, check_may
from ringfence.controller.parts import Parts
from ringfence.controller.problems import PreconditionMissing
from ringfence.decide.access import Grants
from ringfence.errors import Invalid
from ringfence.model.access import Permission
from ringfence.model.names import OperationId, ProjectId
from ringfence.model.operations import Operation, OperationKind
from ringfence.store import idempotency, operations
from ringfence.store.access import project_for
from ringfence.store.engine import Session


def _parts(request: Request) -> Parts:
    parts = request.app.state.parts
    assert isinstance(parts, Parts)
    return parts


WithParts = Annotated[Parts, Depends(_parts)]
PRINTABLE = r"^[^\x00-\x1f\x7f]+$"
RefInPath = Annotated[str, Path(max_length=63, pattern=PRINTABLE, description="Its name or its id.")]
VmInPath = Annotated[str, Path(max_length=63, pattern=PRINTABLE, description="The VM's id.")]
Filter = Annotated[str | None, Query(max_length=63, pattern=PRINTABLE, description="Only those of this one.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Paging:
    """How much of a list is asked for, after which item."""

    limit: int
    after: str | None


_CURSOR_PREFIX = b"after:"


def cursor_for(next_: str | None) -> str | None:
    """Make the cursor that a client hands back. Opaque: what is in it may change."""
    return None if next_ is None else base64.urlsafe_b64encode(_CURSOR_PREFIX + next_.encode()).decode().rstrip("=")


def _paging(
    limit: Annotated[int, Query(ge=1, le=1000, description="How many items at most.")] = 100,
    cursor: Annotated[str | None, Query(max_length=120, description="`next` of the page before.")] = None,
) -> Paging:
    if cursor is None:
        return Paging(limit=limit, after=None)
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        raw = base64.b64decode(padded, altchars=b"-_", validate=True)
    except (ValueError, UnicodeEncodeError):
        raw = b""
    if not raw.startswith(_CURSOR_PREFIX):
        raise Invalid(field="cursor", why="it is not a cursor that an earlier page gave")
    return Paging(limit=limit, after=raw[len(_CURSOR_PREFIX) :].decode("ascii", errors="replace"))


WithPaging = Annotated[Paging, Depends(_paging)]


def _if_match(
    if_match: Annotated[str | None, Header(max_length=64, description="The ETag of what you changed, or `*`.")] = None,
) -> int | None:
    if if_match is None:
        raise PreconditionMissing
    return _revision(if_match)


def _if_match_maybe(
    if_match: Annotated[str | None, Header(max_length=64, description="The ETag of what you mean, or `*`.")] = None,
) -> int | None:
    return None if if_match is None else _revision(if_match)


def _revision(tag: str) -> int | None:
    tag = tag.strip()
    if tag == "*":
        return None
    digits = tag[1:-1] if len(tag) > 2 and tag[0] == tag[-1] == '"' else ""
    if not digits.isascii() or not digits.isdigit():
        raise Invalid(field="If-Match", why="it is neither an ETag of this API nor *")
    return int(digits)


IfMatch = Annotated[int | None, Depends(_if_match)]
IfMatchMaybe = Annotated[int | None, Depends(_if_match_maybe)]
IdempotencyKey = Annotated[
    str | None,
    Header(min_length=1, max_length=128, pattern=r"^[\x21-\x7e]+$", description="Repeat a request safely with it."),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What came of a request: the body to tell, and operations to start once it is committed."""

    status: int
    body: BaseModel
    headers: Mapping[str, str] = field(default_factory=dict)
    operation_id: OperationId | None = None


def etag(revision: int) -> dict[str, str]:
    """Build the header that tells the version of what is told."""
    return {"ETag": f'"{revision}"'}


def told(body: BaseModel, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Build the response that tells the body."""
    return Response(
        body.model_dump_json(), status_code=status, headers=dict(headers or {}), media_type="application/json"
    )


def change(parts: Parts, do: Callable[[Session], Done]) -> Response:
    """Do it in one transaction, start its operation once that is committed, and tell what came of it."""
    with parts.store.transaction() as session:
        done = do(session)
    if done.operation_id is not None:
        # ORDER: committed, then started. The process may die between: unfinished operations go on at the next start.
        parts.operations.start(done.operation_id)
    return told(done.body, status=done.status, headers=_headers(done))


def create(
    parts: Parts, request: Request, key: str | None, body: BaseModel | None, do: Callable[[Session], Done]
) -> Response:
    """Like `change`, but a repetition under the same idempotency key is told what came of the first."""
    if key is None:
        return change(parts, do)
    account_id = access_in(request).grants.account.id
    route = f"{request.method} {request.url.path}"
    digest = hashlib.sha256(body.model_dump_json().encode() if body is not None else b"").hexdigest()
    with parts.store.transaction() as session:
        reply = idempotency.begin_request(session, account_id=account_id, route=route, key=key, digest=digest)
        if reply is not None:
            headers = {**reply.headers, "Idempotent-Replayed": "true"}
            return JSONResponse(reply.body, status_code=reply.status, headers=headers)
        done = do(session)
        idempotency.finish_request(
            session,
            account_id=account_id,
            route=route,
            key=key,
            status=done.status,
            body=done.body.model_dump(mode="json"),
            headers=_headers(done),
        )
    if done.operation_id is not None:
        parts.operations.start(done.operation_id)
    return told(done.body, status=done.status, headers=_headers(done))


def project_asked(session: Session, grants: Grants, ref: str | None, permission: Permission) -> ProjectId | None:
    """Find the project a body names, if it names one, and see that the asker may do it there, or else in the cloud."""
    if ref is None:
        check_may(grants, permission)
        return None
    return ProjectId(project_for(session, grants, ref, permission).id)


def apply_fence(
    session: Session, *, subject_id: str, subject_name: str, project_id: ProjectId | None = None
) -> OperationId:
    """Add the operation that brings the fence up to what the store says now."""
    added: Operation = operations.add_operation(
        session,
        kind=OperationKind.APPLY_FENCE,
        subject_id=subject_id,
        subject_name=subject_name,
        project_id=project_id,
    )
    return added.id


def _headers(done: Done) -> dict[str, str]:
    headers: dict[str, Any] = dict(done.headers)
    if done.operation_id is not None:
        headers["Ringfence-Operation"] = done.operation_id
    return headers

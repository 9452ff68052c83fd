"""Verifications over HTTP: ask for one; the operation it returns holds the evidence as its result."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from ringfence.controller.api.operations import OperationTold, shown
from ringfence.controller.api.requests import Done, IdempotencyKey, WithParts, create
from ringfence.controller.api.shapes import Asked
from ringfence.controller.enforcement import WithAccess
from ringfence.model.operations import OperationKind
from ringfence.store import operations
from ringfence.store.engine import Session

router = APIRouter(prefix="/v1/verifications", tags=["verifications"])


class VerificationAsked(Asked):
    """Nothing needs to be said: all promises are examined."""


@router.post("", status_code=202, response_model=OperationTold)
def create_verification(
    parts: WithParts,
    request: Request,
    access: WithAccess,
    body: VerificationAsked | None = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Examine the running cloud, promise by promise."""

    def do(session: Session) -> Done:
        added = operations.add_operation(session, kind=OperationKind.VERIFY, subject_id="", subject_name="cloud")
        headers = {"Location": f"/v1/operations/{added.id}"}
        return Done(status=202, body=shown(added, access.grants), headers=headers, operation_id=added.id)

    return create(parts, request, idempotency_key, body, do)

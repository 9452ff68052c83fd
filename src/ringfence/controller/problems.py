"""Errors as RFC 9457 problem documents, the same for every way in which a request can fail. Logs only what is a bug."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from ringfence.decide.discretion import discreet_error
from ringfence.errors import (
    ErrorRecord,
    Invalid,
    NotFound,
    Refused,
    RingfenceError,
    Unfinished,
    Unreachable,
    from_record,
)

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """What went wrong (RFC 9457). `code` is stable; `family` says what may now be assumed."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": "urn:ringfence:error:not-found",
                "title": "Not found",
                "status": 404,
                "detail": "There is no zone red.",
                "code": "not-found",
                "family": "refused",
                "remedy": "List what there is, and check the spelling.",
                "facts": {"kind": "zone", "ref": "red"},
            }
        }
    )

    type: str = Field(description="`urn:ringfence:error:` and the code.")
    title: str = Field(description="The code in words.")
    status: int
    detail: str = Field(description="What went wrong this time.")
    code: str = Field(description="Stable, for programs.")
    family: str = Field(
        description="`refused`: nothing changed; `unreachable`: unknown; `unfinished`: begun, not ended."
    )
    remedy: str = Field(description="What to do about it.")
    facts: dict[str, Any]


@dataclass(eq=False)
class TokenMissing(Refused):
    """This request carries neither a token nor a session.

    Sign in, or send `Authorization: Bearer TOKEN`; the first token was printed at the controller's first start.
    """

    status: ClassVar[int] = 401


@dataclass(eq=False)
class TokenUnknown(Refused):
    """The token or session is not known here.

    It may have been revoked, have ended, or belong to another controller; sign in, or ask an administrator for a token.
    """

    status: ClassVar[int] = 401


@dataclass(eq=False)
class CertificateRefused(Refused):
    """The client certificate is {why}.

    Give the host a new one: `ringfence host invite --again NAME` (without `--again` if it was removed), then, on the
    host, `ringfence-agent join`.
    """

    status: ClassVar[int] = 403
    why: str


@dataclass(eq=False)
class ProtocolMismatch(Refused):
    """The agent speaks protocol {spoken}, and this controller {known}.

    Bring both to the same version of ringfence.
    """

    spoken: int
    known: int


@dataclass(eq=False)
class PreconditionMissing(Refused):
    """A change needs an If-Match header.

    Send the ETag that came with the version you changed.
    """

    status: ClassVar[int] = 428


@dataclass(eq=False)
class TooLarge(Refused):
    """The request's {what} is larger than {limit_bytes} bytes.

    Send less.
    """

    status: ClassVar[int] = 413
    what: str
    limit_bytes: int


@dataclass(eq=False)
class TooSlow(Refused):
    """The request's body did not come within {limit_seconds} s.

    Send it again, over a better line.
    """

    status: ClassVar[int] = 408
    limit_seconds: float


@dataclass(eq=False)
class RequestRefused(Refused):
    """The request was refused: {why}.

    See the API's description at /docs.
    """

    status: ClassVar[int] = 400
    why: str


@dataclass(eq=False)
class ControllerFull(Refused):
    """The controller has no room left for {what}.

    Free space in its data folder, then try again; nothing of this attempt was kept.
    """

    status: ClassVar[int] = 507
    what: str


@dataclass(eq=False)
class Stopping(Unreachable):
    """The controller is stopping.

    Try again in a moment.
    """


@dataclass(eq=False)
class Bug(Unfinished):
    """Something unexpected happened in the controller.

    It is in the controller's log under number {incident}; please report it.
    """

    incident: str


def problem(record: ErrorRecord) -> dict[str, Any]:
    """Build the problem document of an error record."""
    return {
        "type": f"urn:ringfence:error:{record.code}",
        "title": record.code.replace("-", " ").capitalize(),
        "status": record.status,
        "detail": record.message,
        "code": record.code,
        "family": record.family,
        "remedy": record.remedy,
        "facts": record.facts,
    }


def problem_response(error: RingfenceError, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Build the response that tells of the error."""
    extra = dict(headers or {})
    if error.status == 401:
        extra.setdefault("WWW-Authenticate", 'Bearer realm="ringfence"')
    if error.status in (429, 503):
        extra.setdefault("Retry-After", str(error.facts.get("retry_after_seconds", 1)))
    record = error.record()
    return JSONResponse(problem(record), status_code=record.status, headers=extra, media_type=MEDIA_TYPE)


def install(app: Starlette) -> None:
    """Make every error of the application a problem document."""
    app.add_exception_handler(RingfenceError, _told)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


async def _told(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RingfenceError)
    if getattr(request.state, "hosts_hidden", False):
        error = from_record(discreet_error(error.record()))
    return problem_response(error)


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        at, why = first["loc"][-1], first.get("ctx", {}).get("error", "")
        return problem_response(Invalid(field="body", why=f"it is no JSON (at character {at}: {why})"[:300]))
    where = [str(part) for part in first["loc"] if part not in ("body", "query", "path", "header")]
    field = ".".join(where)[:120] or str(first["loc"][0])
    # A regular expression says nothing to people.
    unlike = first["type"] == "string_pattern_mismatch"
    why = "it is empty, or has characters that are not allowed there" if unlike else str(first["msg"])
    return problem_response(Invalid(field=field, why=why.removeprefix("Value error, ")[:300]))


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    told: RingfenceError
    if error.status_code == 404:
        told = NotFound(kind="path", ref=request.url.path[:200])
    else:
        told = RequestRefused(why=str(error.detail)[:200])
    response = problem_response(told, error.headers)
    if error.status_code != response.status_code:
        body = {**problem(told.record()), "status": error.status_code}
        return JSONResponse(body, status_code=error.status_code, headers=error.headers, media_type=MEDIA_TYPE)
    return response


OPENAPI_RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {
        "model": Problem,
        "description": "Refused: nothing was changed.",
        "content": {MEDIA_TYPE: {}},
    },
    "5XX": {
        "model": Problem,
        "description": "Unreachable (503) or unfinished (500); `family` says what may be assumed.",
        "content": {MEDIA_TYPE: {}},
    },
}

"""The API as one application: its routes, who is let in, and its description. What a route does is in its own file."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import anyio.to_thread
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from ringfence import __version__
from ringfence.controller import problems
from ringfence.controller.admission import access_of
from ringfence.controller.api import (
    about,
    accounts,
    consoles,
    custody,
    events,
    fence,
    flavors,
    handovers,
    hosts,
    images,
    ledger,
    members,
    networks,
    operations,
    overview,
    own_account,
    passkeys,
    placements,
    policies,
    projects,
    provider,
    roles,
    sessions,
    setup,
    tokens,
    verifications,
    vms,
    zones,
)
from ringfence.controller.api.routes import ROUTES, check_routes
from ringfence.controller.enforcement import Of, enforcing
from ringfence.controller.gate import Gate
from ringfence.controller.parts import Parts
from ringfence.controller.problems import Problem
from ringfence.controller.queries import check_query, query_names
from ringfence.controller.signing_in import SignIns
from ringfence.controller.web import web_app
from ringfence.decide.access import may
from ringfence.model.access import Permission
from ringfence.model.actors import Actor

NOUNS = (
    about,
    overview,
    events,
    fence,
    placements,
    custody,
    ledger,
    sessions,
    setup,
    own_account,
    passkeys,
    provider,
    roles,
    accounts,
    tokens,
    zones,
    projects,
    members,
    hosts,
    images,
    flavors,
    networks,
    policies,
    vms,
    handovers,
    consoles,
    operations,
    verifications,
)
_UPLOAD = re.compile(r"/v1/images/[^/]+/file")
_DESCRIPTION = """
A private cloud for KVM hosts that keeps its tenants apart and can prove it.

Every request carries `Authorization: Bearer TOKEN`. What takes long is an **operation**: it is returned at once, and
followed at `/v1/operations/{id}/events`. Errors are problem documents (RFC 9457) whose `code` is stable and whose
`family` says what may now be assumed. Lists are paged by `cursor`. A change needs the `ETag` of what was changed in
`If-Match`. A create repeated with the same `Idempotency-Key` is done once. Fields and query
parameters that are not known are refused.
"""
_CONTENT_POLICY = "default-src 'self' 'unsafe-inline'; img-src 'self' data:"


def api_app(parts: Parts) -> FastAPI:
    """Build the application behind the API's listener."""
    app = routes(simulated=parts.simulated)
    app.state.parts = parts
    app.state.sign_ins = SignIns(parts)

    async def admit(scope: Scope) -> Actor | None:
        if not scope["path"].startswith("/v1"):
            return None
        if any(route.matches(scope)[0] is Match.FULL for route in app.state.for_nobody):
            # Not even looked at: a token or a session that ended must keep nobody from signing in.
            return None
        access = await anyio.to_thread.run_sync(access_of, parts.store, scope)
        scope["state"]["access"] = access
        scope["state"]["hosts_hidden"] = not may(access.grants, Permission.HOST_READ)
        return access.actor

    app.add_middleware(Gate, admit=admit, streams=_is_upload, deny=parts.ledger.denials.deny)
    if parts.simulated:
        # SAFETY: outermost, so that no answer goes out without it.
        app.add_middleware(about.Labelled)
    return app


def routes(*, simulated: bool = False) -> FastAPI:
    """Build the routes alone, as they are described at `/openapi.json`: the web interface's types come from there."""
    app = FastAPI(
        title="ringfence (simulated)" if simulated else "ringfence",
        version=__version__,
        description=f"\n{about.NOTICE}\n{_DESCRIPTION}" if simulated else _DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        generate_unique_id_function=_operation_id,
        dependencies=[Depends(enforcing(ROUTES)), Depends(check_query)],
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    problems.install(app)
    pages = APIRouter()
    _add_docs(app, pages)
    routers = [pages, setup.accounts_router, *(noun.router for noun in NOUNS)]
    for router in routers:
        app.include_router(router)
    every = [route for router in routers for route in router.routes]
    check_routes(every)
    app.state.query_names = {route.name: query_names(route) for route in every}
    app.state.for_nobody = [route for route in every if ROUTES[route.name].of is Of.NOBODY]
    app.router.default = web_app
    return app


def _operation_id(route: APIRoute) -> str:
    return route.name


def _is_upload(scope: Scope) -> bool:
    return scope["method"] == "PUT" and _UPLOAD.fullmatch(scope["path"]) is not None


def _add_docs(app: FastAPI, pages: APIRouter) -> None:
    """Serve the description, readable offline: no page of ours asks anything of a third party."""
    package = importlib.util.find_spec("fastapi_offline")
    assert package is not None, "fastapi-offline carries the pages' scripts"
    assert package.origin is not None
    app.mount("/docs/assets", StaticFiles(directory=Path(package.origin).parent / "static"), name="docs-assets")

    @pages.get("/docs", include_in_schema=False)
    def docs(_: Request) -> Response:
        page = get_swagger_ui_html(
            openapi_url="/openapi.json",
            title="ringfence API",
            swagger_js_url="/docs/assets/swagger-ui-bundle.js",
            swagger_css_url="/docs/assets/swagger-ui.css",
            swagger_favicon_url="/docs/assets/favicon.png",
        )
        page.headers["Content-Security-Policy"] = _CONTENT_POLICY
        return page

    app.openapi = lambda: _described(app)  # type: ignore[method-assign]


def _described(app: FastAPI) -> dict[str, Any]:
    """Complete FastAPI's description: the token, and the problem documents that every route may answer with."""
    if app.openapi_schema is not None:
        return app.openapi_schema
    described = FastAPI.openapi(app)
    components = described.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas["Problem"] = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    described["security"] = [{"token": []}]
    content = {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for methods in described["paths"].values():
        for operation in methods.values():
            operation["responses"].pop("422", None)
            if ROUTES[operation["operationId"]].of is Of.NOBODY:
                operation["security"] = []
            operation["responses"]["4XX"] = {"description": "Refused: nothing was changed.", "content": content}
            operation["responses"]["5XX"] = {"description": "Unreachable, or unfinished.", "content": content}
    return described

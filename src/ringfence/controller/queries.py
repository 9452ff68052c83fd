"""Refuses what a query says that its route does not know: a filter with a typing error would otherwise filter nothing.

A dependency of the whole application. What the values may be is each route's own.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

from fastapi.dependencies.utils import get_flat_params
from fastapi.params import ParamTypes, Query
from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute

from ringfence.errors import Invalid, Refused

LONGEST_NAME = 120
OTHERS_MAY_ADD = frozenset({"end_provider_session"})
"""Routes to which others send a browser with more than is asked of them, and may (RFC 6749, 4.1.2)."""


@dataclass(eq=False)
class UnknownParameter(Refused):
    """There is no query parameter {parameter} here; known are: {known}.

    Correct it and send the request again.
    """

    status: ClassVar[int] = 422
    parameter: str
    known: list[str]


def query_names(route: BaseRoute) -> frozenset[str]:
    """Give the names of the query parameters that a route reads."""
    if not isinstance(route, APIRoute | APIWebSocketRoute):
        return frozenset()
    infos = [field.field_info for field in get_flat_params(route.dependant)]
    return frozenset(
        str(info.alias) for info in infos if isinstance(info, Query) and info.in_ is ParamTypes.query and info.alias
    )


async def check_query(connection: HTTPConnection) -> None:
    """Refuse a parameter that the route does not know, and one that is given twice: one of both would be ignored."""
    name = connection.scope["route"].name
    given = Counter(key for key, _ in connection.query_params.multi_items())
    if not given or name in OTHERS_MAY_ADD:
        return
    known: frozenset[str] = connection.app.state.query_names[name]
    if unknown := sorted(set(given) - known):
        raise UnknownParameter(parameter=unknown[0][:LONGEST_NAME], known=sorted(known))
    if twice := sorted(key for key, times in given.items() if times > 1):
        raise Invalid(field=twice[0], why="it is given more than once")

"""Lists, paged by cursor: the cursor is the last id seen, so a page stays right while rows come and go."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnClause, Row, Select
from sqlalchemy.orm import Session

from ringfence.errors import Invalid
from ringfence.model.names import UUID_PATTERN

T = TypeVar("T")
LIMIT = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """Some of a list. `next` is the cursor of the next page, None at the end."""

    items: tuple[T, ...]
    next: str | None


def page_of_rows(
    session: Session,
    query: Select[Any],
    key: ColumnClause[str],
    *,
    limit: int,
    after: str | None,
    newest_first: bool = False,
) -> tuple[Sequence[Row[Any]], str | None]:
    """Read one page of the query in the order of `key`, a column of ids in it; refuses a bad limit or cursor."""
    if not 1 <= limit <= LIMIT:
        raise Invalid(field="limit", why=f"a page has 1 to {LIMIT} items")
    if after is not None:
        if not re.fullmatch(UUID_PATTERN, after):
            raise Invalid(field="cursor", why="it is not a cursor that an earlier page gave")
        query = query.where(key < after if newest_first else key > after)
    ordered = query.order_by(key.desc() if newest_first else key.asc())
    # One row more than asked for tells whether there is a next page.
    rows = session.execute(ordered.limit(limit + 1)).all()
    more = len(rows) > limit
    rows = rows[:limit]
    return rows, str(getattr(rows[-1], key.name)) if more else None

"""Images as records; their bytes lie in the controller's folder, which is not this module's business."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from ringfence.errors import NotFound
from ringfence.model.images import Image, ImageFormat, ImageState
from ringfence.model.names import ImageId, check_name
from ringfence.store import rows
from ringfence.store.engine import changed
from ringfence.store.ids import new_id
from ringfence.store.pages import Page
from ringfence.store.tables import images as table
from ringfence.store.tables import vms

KIND = "image"


def add_image(
    session: Session,
    *,
    name: str,
    digest: str,
    format: ImageFormat,  # noqa: A002
    file_bytes: int,
    virtual_bytes: int,
    source: str,
    state: ImageState = ImageState.READY,
) -> Image:
    """Add an image; two names may have one digest."""
    values = {
        "id": new_id(),
        "name": check_name(name),
        "digest": digest,
        "format": str(format),
        "file_bytes": file_bytes,
        "virtual_bytes": virtual_bytes,
        "source": source,
        "state": str(state),
    }
    rows.insert_row(session, table, KIND, values)
    changed(session, KIND, str(values["id"]))
    return image(session, str(values["id"]))


def image(session: Session, ref: str) -> Image:
    """Read an image by id or name."""
    return _built(rows.find_row(session, table, KIND, ref))


def image_by_digest(session: Session, digest: str) -> Image:
    """Read an image with this digest; the first, if several have it."""
    query = select(table).where(table.c.digest == digest).order_by(table.c.id).limit(1)
    row = session.execute(query).one_or_none()
    if row is None:
        raise NotFound(kind=KIND, ref=digest)
    return _built(row)


def images(session: Session, *, limit: int = 100, after: str | None = None) -> Page[Image]:
    return rows.page(session, table, _built, limit=limit, after=after)


def change_image(
    session: Session,
    ref: str,
    *,
    revision: int | None = None,
    state: ImageState | None = None,
    digest: str | None = None,
    format: ImageFormat | None = None,  # noqa: A002
    file_bytes: int | None = None,
    virtual_bytes: int | None = None,
) -> Image:
    """Change what is given: what an import finds out."""
    row = rows.find_row(session, table, KIND, ref)
    wanted = {
        "state": state and str(state),
        "digest": digest,
        "format": format and str(format),
        "file_bytes": file_bytes,
        "virtual_bytes": virtual_bytes,
    }
    if rows.change_row(session, table, KIND, row, revision, wanted):
        changed(session, KIND, row.id)
    return image(session, row.id)


def remove_image(session: Session, ref: str, *, revision: int | None = None) -> None:
    """Remove an image that no VM was started from."""
    row = rows.find_row(session, table, KIND, ref)
    rows.check_revision(KIND, row, revision)
    rows.remove_row(session, table, KIND, row, {"VM": select(vms.c.name).where(vms.c.image_id == row.id)})
    changed(session, KIND, row.id)


def _built(row: Row[Any]) -> Image:
    return Image(
        id=ImageId(row.id),
        name=row.name,
        digest=row.digest,
        format=ImageFormat(row.format),
        file_bytes=row.file_bytes,
        virtual_bytes=row.virtual_bytes,
        source=row.source,
        state=ImageState(row.state),
        revision=row.revision,
    )

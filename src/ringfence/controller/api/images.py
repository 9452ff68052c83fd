"""Images over HTTP: uploaded, or fetched from a URL. Formats are seen by content, never believed."""

from __future__ import annotations

import asyncio
from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field, StringConstraints
from starlette.requests import ClientDisconnect

from ringfence.controller.api.requests import (
    Done,
    IdempotencyKey,
    IfMatchMaybe,
    RefInPath,
    WithPaging,
    WithParts,
    create,
    cursor_for,
    etag,
    told,
)
from ringfence.controller.api.shapes import Asked, Name, PageOf, Told
from ringfence.controller.image_fetching import check_source
from ringfence.controller.image_files import Incoming, check_digest
from ringfence.controller.parts import Parts
from ringfence.controller.problems import RequestRefused
from ringfence.errors import Invalid, NameTaken, NotFound, RingfenceError
from ringfence.model.images import Image, ImageFormat, ImageState
from ringfence.model.names import NAME_PATTERN, OperationId
from ringfence.model.operations import OperationKind
from ringfence.store import images, operations
from ringfence.store.engine import Session

router = APIRouter(prefix="/v1/images", tags=["images"])

CHUNK_BYTES = 1 << 20
SILENCE_SECONDS = 60.0

Digest = Annotated[str, StringConstraints(max_length=80)]


class ImageAsked(Asked):
    name: Name
    digest: Digest = Field(description="`sha256:` and 64 hex digits.")
    source: Annotated[str, StringConstraints(max_length=2000)] = Field(description="An http or https URL.")


class ImageTold(Told):
    """A read-only disk that VMs start from. What its content tells is null while it is being imported."""

    id: str
    name: str
    digest: str
    state: ImageState
    format: ImageFormat | None
    file_bytes: int | None
    virtual_bytes: int | None
    source: str
    revision: int
    operation: str | None = Field(default=None, description="In the answer to an import: what fetches it.")


def shown(image: Image, operation: OperationId | None = None) -> ImageTold:
    """Build the body that tells an image."""
    known = image.state is ImageState.READY
    return ImageTold(
        id=image.id,
        name=image.name,
        digest=image.digest,
        state=image.state,
        format=image.format if known else None,
        file_bytes=image.file_bytes if known else None,
        virtual_bytes=image.virtual_bytes if known else None,
        source=image.source,
        revision=image.revision,
        operation=operation,
    )


@router.get("", response_model=PageOf[ImageTold])
def list_images(parts: WithParts, paging: WithPaging) -> Response:
    """List the images."""
    with parts.store.reading() as session:
        page = images.images(session, limit=paging.limit, after=paging.after)
    return told(PageOf[ImageTold](items=[shown(image) for image in page.items], next=cursor_for(page.next)))


@router.post("", status_code=202, response_model=ImageTold)
def import_image(
    parts: WithParts, request: Request, body: ImageAsked, idempotency_key: IdempotencyKey = None
) -> Response:
    """Import an image from a URL. It is `ready` once the `operation` is done; one that fails leaves no image."""
    digest = check_digest(body.digest)
    check_source(body.source)
    begun: list[OperationId] = []

    def do(session: Session) -> Done:
        image = images.add_image(
            session,
            name=body.name,
            digest=digest,
            format=ImageFormat.RAW,
            file_bytes=0,
            virtual_bytes=0,
            source=body.source,
            state=ImageState.IMPORTING,
        )
        operation = operations.add_operation(
            session,
            kind=OperationKind.IMPORT_IMAGE,
            subject_id=image.id,
            subject_name=image.name,
            asked={"source": body.source, "digest": digest},
        )
        begun.append(operation.id)
        headers = {"Location": f"/v1/images/{image.id}", "Ringfence-Operation": operation.id, **etag(image.revision)}
        return Done(status=202, body=shown(image, operation.id), headers=headers)

    response = create(parts, request, idempotency_key, body, do)
    for operation_id in begun:
        parts.imports.start(operation_id)
    return response


@router.get("/{ref}", response_model=ImageTold)
def get_image(parts: WithParts, ref: RefInPath) -> Response:
    """Show one image."""
    with parts.store.reading() as session:
        image = images.image(session, ref)
    return told(shown(image), headers=etag(image.revision))


@router.put(
    "/{name}/file",
    status_code=201,
    response_model=ImageTold,
    responses={200: {"model": ImageTold, "description": "It is here already, with this digest."}},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def upload_image(
    parts: WithParts,
    request: Request,
    name: Annotated[str, Path(pattern=NAME_PATTERN, max_length=63)],
    digest: Annotated[str, Query(max_length=80, description="`sha256:` and 64 hex digits.")],
) -> Response:
    """Upload an image: the body is the file. A file with another digest, or refused for its content, leaves nothing."""
    wanted = check_digest(digest)
    length = request.headers.get("content-length", "0")
    if not length.isdigit():
        raise Invalid(field="Content-Length", why="it is not a number")
    parts.images.check_room(int(length))
    already = await anyio.to_thread.run_sync(_already, parts, name, wanted)
    if already is not None:
        return told(shown(already), headers=etag(already.revision))
    with parts.images.receive() as incoming:
        await _take_in(request, incoming)
        image = await anyio.to_thread.run_sync(_keep, parts, incoming, name, wanted)
    headers = {**etag(image.revision), "Location": f"/v1/images/{image.id}"}
    return told(shown(image), status=201, headers=headers)


@router.delete("/{ref}", status_code=204, response_class=Response)
def delete_image(parts: WithParts, ref: RefInPath, revision: IfMatchMaybe) -> Response:
    """Delete an image that no VM was made from. Hosts forget it in their own time."""
    with parts.images.lock:
        with parts.store.transaction() as session:
            image = images.image(session, ref)
            images.remove_image(session, ref, revision=revision)
        # ORDER: row, then file. A crash between leaves a file that the next start sweeps away.
        if not _digest_used(parts, image.digest):
            parts.images.remove(image.digest)
    return Response(status_code=204)


async def _take_in(request: Request, incoming: Incoming) -> None:
    buffer = bytearray()
    stream = request.stream()
    try:
        while True:
            async with asyncio.timeout(SILENCE_SECONDS):
                chunk = await anext(stream, None)
            buffer += chunk or b""
            # Hashing and writing happen off the event loop, in pieces worth a thread's while.
            if len(buffer) >= CHUNK_BYTES or chunk is None:
                await anyio.to_thread.run_sync(incoming.write, bytes(buffer))
                buffer.clear()
            if chunk is None:
                return
    except ClientDisconnect:
        raise RequestRefused(why="the upload broke off") from None
    except TimeoutError:
        raise RequestRefused(why=f"nothing came for {SILENCE_SECONDS:.0f} s") from None


def _already(parts: Parts, name: str, wanted: str) -> Image | None:
    """Give the image of this name if it is this very file: an upload repeated is no error."""
    with parts.store.reading() as session:
        try:
            image = images.image(session, name)
        except NotFound:
            return None
    if image.digest == wanted and image.state is ImageState.READY:
        return image
    raise NameTaken(kind="image", name=name)


def _keep(parts: Parts, incoming: Incoming, name: str, wanted: str) -> Image:
    with parts.images.lock:
        kept = incoming.keep(wanted)
        try:
            # ORDER: file, then row. A crash between leaves a file that the next start sweeps away.
            with parts.store.transaction() as session:
                return images.add_image(
                    session,
                    name=name,
                    digest=kept.digest,
                    format=kept.inspected.format,
                    file_bytes=kept.file_bytes,
                    virtual_bytes=kept.inspected.virtual_bytes,
                    source="upload",
                )
        except RingfenceError:
            if not _digest_used(parts, kept.digest):
                parts.images.remove(kept.digest)
            raise


def _digest_used(parts: Parts, digest: str) -> bool:
    with parts.store.reading() as session:
        try:
            images.image_by_digest(session, digest)
        except NotFound:
            return False
    return True

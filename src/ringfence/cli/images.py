"""`ringfence image`: a local file is read twice, once for its digest and once to send it; nothing is kept in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from ringfence.cli.options import LIST_LIMIT, ImageArgument, LimitOption, OutputOption, YesOption, confirm, connect
from ringfence.cli.output import Column, Output, err, field, notice, show_list, show_one, size, state
from ringfence.cli.progress import watch
from ringfence.client.connection import Client
from ringfence.model.images import WrongDigest

app = typer.Typer(no_args_is_help=True, help="Images: the disks VMs start from.")

COLUMNS = (
    field("NAME", "name"),
    state(),
    field("FORMAT", "format"),
    size("FILE", "file_bytes"),
    size("DISK", "virtual_bytes"),
    Column(title="DIGEST", cell=lambda item: f"{item.get('digest', '')[:19]}…"),
    field("FROM", "source"),
)
SHEET = (*COLUMNS[:5], field("DIGEST", "digest"), field("FROM", "source"), field("ID", "id"))

CHUNK_BYTES = 1 << 20


@app.command("list")
def list_images(ctx: typer.Context, limit: LimitOption = LIST_LIMIT, output: OutputOption = Output.TABLE) -> None:
    """List the images.

    Example: ringfence image list
    """
    with connect(ctx) as client:
        show_list(list(client.pages("/v1/images", limit=limit)), COLUMNS, output, what="images")


@app.command("show")
def show_image(ctx: typer.Context, image: ImageArgument, output: OutputOption = Output.TABLE) -> None:
    """Show one image.

    Example: ringfence image show debian-13
    """
    with connect(ctx) as client:
        show_one(client.get(f"/v1/images/{image}"), SHEET, output)


@app.command("import")
def import_image(
    ctx: typer.Context,
    source: Annotated[str, typer.Argument(metavar="FILE|URL", help="A disk: raw, qcow2, vmdk, vhd, vhdx or vdi.")],
    name: Annotated[str, typer.Option("--name", help="The image's name.")],
    digest: Annotated[
        str | None, typer.Option("--digest", help="Its sha256, as sha256:HEX; needed for a URL, checked for a file.")
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Import a disk as an image. Its format is seen from its content; one that refers to other files is refused.

    Example: ringfence image import ./debian-13.qcow2 --name debian-13

    Example: ringfence image import https://example.org/disk.qcow2 --name disk --digest sha256:…
    """
    wanted = f"sha256:{digest}" if digest and ":" not in digest else digest
    remote = "://" in source
    if remote and not wanted:
        raise typer.BadParameter(
            "an image from a URL needs its digest, or nobody knows what came", param_hint="--digest"
        )
    if not remote and not Path(source).is_file():
        raise typer.BadParameter(f"there is no file {source}", param_hint="FILE|URL")
    with connect(ctx) as client:
        if remote:
            image = client.create("/v1/images", {"name": name, "digest": wanted, "source": source})
            operation = image.get("operation")
            if operation:
                watch(client, operation if isinstance(operation, dict) else {"id": operation})
                image = client.get(f"/v1/images/{name}")
        else:
            image = _upload(client, Path(source), name, wanted)
    show_one(image, SHEET, output)


@app.command("delete")
def delete_image(ctx: typer.Context, image: ImageArgument, yes: YesOption = False) -> None:
    """Delete an image that no VM was made from.

    Example: ringfence image delete debian-13 --yes
    """
    confirm(f"Delete image {image}?", yes=yes)
    with connect(ctx) as client:
        client.delete(f"/v1/images/{image}")
    notice(f"Image {image} is deleted.")


def _upload(client: Client, path: Path, name: str, wanted: str | None) -> dict[str, Any]:
    file_bytes = path.stat().st_size
    bars = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*bars, console=err()) as progress:
        hashing = progress.add_task("digest", total=file_bytes)
        sha256 = hashlib.sha256()
        for chunk in _chunks(path):
            sha256.update(chunk)
            progress.advance(hashing, len(chunk))
        found = f"sha256:{sha256.hexdigest()}"
        if wanted and wanted != found:
            raise WrongDigest(wanted=wanted, found=found)
        sending = progress.add_task("upload", total=file_bytes)

        def watched() -> Iterator[bytes]:
            for chunk in _chunks(path):
                yield chunk
                progress.advance(sending, len(chunk))

        return client.upload(f"/v1/images/{name}/file", watched(), size=file_bytes, digest=found)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk

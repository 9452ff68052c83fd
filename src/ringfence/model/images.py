"""Images: read-only disks that VMs start from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from ringfence.errors import Refused
from ringfence.model.names import ImageId


class ImageFormat(StrEnum):
    """Formats by the names qemu-img uses: `vpc` is VHD."""

    RAW = "raw"
    QCOW2 = "qcow2"
    VMDK = "vmdk"
    VPC = "vpc"
    VHDX = "vhdx"
    VDI = "vdi"


class ImageState(StrEnum):
    IMPORTING = "importing"
    READY = "ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An imported disk. `digest` is `sha256:HEX` of the file as imported; sizes are bytes.

    `source` tells where it came from. `virtual_bytes` is the size of the disk a guest sees.
    """

    id: ImageId
    name: str
    digest: str
    format: ImageFormat
    file_bytes: int
    virtual_bytes: int
    source: str
    state: ImageState
    revision: int = 1


@dataclass(eq=False)
class WrongDigest(Refused):
    """The image has digest {found}, and {wanted} was asked for.

    The file is damaged or not the one meant: get it again, or correct the digest.
    """

    status: ClassVar[int] = 422
    wanted: str
    found: str


@dataclass(eq=False)
class ImageRefused(Refused):
    """The image was refused: {why}.

    Convert it to a self-contained raw or qcow2 file first (`qemu-img convert -O qcow2`).
    """

    status: ClassVar[int] = 422
    why: str

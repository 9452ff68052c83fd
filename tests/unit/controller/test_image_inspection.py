"""An image is what its content says it is, and nothing that is not self-contained gets in."""

from __future__ import annotations

import struct
import uuid

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ringfence.controller.image_inspection import Inspected, inspect_image
from ringfence.model.images import ImageFormat, ImageRefused

pytestmark = pytest.mark.unit

MIB = 1 << 20


def inspect(content: bytes, *, limit: int = 1 << 40) -> Inspected:
    return inspect_image(
        lambda offset, length: content[offset : offset + length], len(content), virtual_bytes_limit=limit
    )


def qcow2(
    *,
    version=3,
    size=10 * MIB,
    backing=0,
    crypt=0,
    cluster_bits=16,
    features=0,
    l1_entries=1,
    l1_offset=3 << 16,
    extensions=b"",
    length=1 << 18,
) -> bytes:
    head = struct.pack(
        ">4sIQIIQIIQQIIQ", b"QFI\xfb", version, backing, 0, cluster_bits, size, crypt, l1_entries, l1_offset, 0, 0, 0, 0
    )
    if version == 3:
        head += struct.pack(">QQQII", features, 0, 0, 4, 104)
    return (head + extensions).ljust(length, b"\0")


def vmdk(
    *,
    capacity=20480,
    kind="monolithicSparse",
    parent="ffffffff",
    extents='RW 20480 SPARSE "a.vmdk"',
    more="",
    directory=21,
) -> bytes:
    head = struct.pack("<4sIIQQQQIQQQ", b"KDMV", 1, 3, capacity, 128, 1, 20, 512, 0, directory, 128)
    text = f'# Disk DescriptorFile\nversion=1\nCID=1\nparentCID={parent}\ncreateType="{kind}"\n{extents}\n{more}\n'
    return head.ljust(512, b"\0") + text.encode().ljust(20 * 512, b"\0") + bytes(65536)


def with_vhd_sum(block: bytes, at: int) -> bytes:
    total = ~(sum(block) - sum(block[at : at + 4])) & 0xFFFFFFFF
    return block[:at] + struct.pack(">I", total) + block[at + 4 :]


def vhd_footer(*, size=MIB, kind=2, creator=b"win ") -> bytes:
    block = struct.pack(
        ">8sIIQI4sI4sQQHBBI",
        b"conectix",
        2,
        0x10000,
        512 if kind != 2 else 2**64 - 1,
        0,
        creator,
        0,
        b"Wi2k",
        size,
        size,
        100,
        16,
        63,
        kind,
    )
    return with_vhd_sum(block.ljust(512, b"\0"), 64)


def vdi(*, kind=1, size=10 * MIB, blocks=10, allocated=0, parent=bytes(16)) -> bytes:
    head = b"<<< Oracle VM VirtualBox Disk Image >>>\n".ljust(64, b"\0") + b"\x7f\x10\xda\xbe"
    head += struct.pack("<III", 0x10001, 400, kind)
    head = head.ljust(0x154, b"\0") + struct.pack("<II", 512, 1024)
    head = head.ljust(0x168, b"\0") + struct.pack("<I", 512)
    head = head.ljust(0x170, b"\0") + struct.pack("<QIIII", size, MIB, 0, blocks, allocated)
    head = head.ljust(0x1B8, b"\0") + parent
    return head.ljust(4096, b"\0")


def vhdx(*, log=bytes(16), flags=0, size=10 * MIB, parent=False) -> bytes:
    content = bytearray(4 * MIB)
    content[0:8] = b"vhdxfile"
    for offset, sequence in ((64 << 10, 1), (128 << 10, 2)):
        content[offset : offset + 64] = struct.pack("<4sIQ16s16s16s", b"head", 0, sequence, bytes(16), bytes(16), log)
    guid = lambda text: uuid.UUID(text).bytes_le  # noqa: E731
    regions = [
        (guid("2dc27766-f623-4200-9d64-115e9bfd4a08"), 3 * MIB, MIB),
        (guid("8b7ca206-4790-4b9a-b8fe-575f050f886e"), 2 * MIB, MIB),
    ]
    table = struct.pack("<4sIII", b"regi", 0, len(regions), 0)
    table += b"".join(struct.pack("<16sQII", *region, 1) for region in regions)
    content[192 << 10 : (192 << 10) + len(table)] = table
    items = [
        ("caa16737-fa36-4d43-b3b6-33f0aa44e76b", struct.pack("<II", 8 * MIB, flags)),
        ("2fa54224-cd1b-4876-b211-5dbed83bf4b8", struct.pack("<Q", size)),
        ("8141bf1d-a96f-4709-ba47-f233a8faab5f", struct.pack("<I", 512)),
    ]
    if parent:
        items.append(("a8d35f2d-b30b-454d-abf7-d3d84834ab0c", b"somewhere else  "))
    metadata = struct.pack("<8sHH20x", b"metadata", 0, len(items))
    for number, (item, value) in enumerate(items):
        place = 65536 + number * 64
        metadata += struct.pack("<16sIIII", guid(item), place, len(value), 4, 0)
        content[2 * MIB + place : 2 * MIB + place + len(value)] = value
    content[2 * MIB : 2 * MIB + len(metadata)] = metadata
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "format_", "virtual_bytes"),
    [
        (bytes(MIB), ImageFormat.RAW, MIB),
        (qcow2(), ImageFormat.QCOW2, 10 * MIB),
        (qcow2(version=2), ImageFormat.QCOW2, 10 * MIB),
        (qcow2(features=0b11001), ImageFormat.QCOW2, 10 * MIB),
        (vmdk(), ImageFormat.VMDK, 10 * MIB),
        (bytes(MIB) + vhd_footer(), ImageFormat.VPC, MIB),
        (bytes(MIB) + vhd_footer(creator=b"vpc "), ImageFormat.VPC, 100 * 16 * 63 * 512),
        (vdi(), ImageFormat.VDI, 10 * MIB),
        (vhdx(), ImageFormat.VHDX, 10 * MIB),
    ],
)
def test_a_format_is_seen_by_content(content, format_, virtual_bytes) -> None:
    assert inspect(content) == Inspected(format=format_, virtual_bytes=virtual_bytes)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (bytes(1000), "no known format"),
        (b"\x1f\x8b" + bytes(1022), "gzip"),
        (b"LUKS\xba\xbe" + bytes(1018), "encrypted"),
        (bytes(257) + b"ustar" + bytes(762), "tar"),
        (qcow2(backing=512), "backing file"),
        (qcow2(crypt=2), "encrypted"),
        (qcow2(features=0b100), "external data file"),
        (qcow2(features=0b10), "corrupt"),
        (qcow2(features=1 << 40), "unknown qcow2 features"),
        (qcow2(extensions=struct.pack(">II8s", 0x44415441, 5, b"x.dat")), "external data file"),
        (qcow2(extensions=struct.pack(">II16s", 0x0537BE77, 16, b"")), "encrypted"),
        (qcow2(cluster_bits=40), "cluster size"),
        (qcow2(version=9), "version 9"),
        (qcow2(l1_offset=1 << 60), "truncated"),
        (qcow2(size=1 << 50), "does not fit"),
        (qcow2(size=0), "allowed"),
        (qcow2(size=1001), "multiple of 512"),
        (qcow2()[:60], "truncated"),
        (
            b'# Disk DescriptorFile\nversion=1\ncreateType="monolithicFlat"\nRW 1 FLAT "/etc/shadow" 0\n'.ljust(512),
            "descriptor",
        ),
        (vmdk(capacity=0), "other files"),
        (vmdk(kind="twoGbMaxExtentSparse"), "not self-contained"),
        (vmdk(parent="12345678"), "difference"),
        (vmdk(more='parentFileNameHint="/etc/shadow"'), "difference"),
        (vmdk(extents='RW 20480 FLAT "/etc/shadow" 0'), "other files"),
        (vmdk(extents='RW 1 SPARSE "a.vmdk"\nRW 1 SPARSE "b.vmdk"'), "other files"),
        (vmdk(more="encryption.keySafe=x"), "encrypted"),
        (vmdk(directory=2**64 - 1), "footer"),
        (bytes(MIB) + vhd_footer(kind=4), "difference"),
        (bytes(MIB) + vhd_footer(size=2 * MIB), "does not fit"),
        (vdi(kind=4), "difference"),
        (vdi(parent=b"p" * 16), "difference"),
        (vdi(allocated=5), "truncated"),
        (vhdx(flags=2), "difference"),
        (vhdx(parent=True), "difference"),
        (vhdx(log=b"l" * 16), "shut down cleanly"),
        (vhdx()[: 2 * MIB], "truncated"),
    ],
)
def test_what_is_not_self_contained_or_whole_is_refused_in_words(content, why) -> None:
    with pytest.raises(ImageRefused) as refused:
        inspect(content)
    assert why in refused.value.why


def test_a_disk_larger_than_allowed_is_refused() -> None:
    with pytest.raises(ImageRefused):
        inspect(qcow2(), limit=MIB)


SEEDS = [qcow2(), qcow2(version=2), vmdk(), bytes(4096) + vhd_footer(size=4096), vdi(), vhdx()]


@given(data=st.data(), seed=st.sampled_from(range(len(SEEDS))))
def test_no_header_however_broken_raises_anything_but_a_refusal(data, seed) -> None:
    content = bytearray(SEEDS[seed])
    for _ in range(data.draw(st.integers(0, 6))):
        # Headers and tables lie at the start, and at these places in vhdx files.
        start = data.draw(
            st.sampled_from([0, 0, 0, 64 << 10, 128 << 10, 192 << 10, 2 * MIB, 2 * MIB + 65536, len(content) - 512])
        )
        at = min(start + data.draw(st.integers(0, 600)), len(content) - 1)
        piece = data.draw(
            st.binary(min_size=1, max_size=16) | st.sampled_from([b"\xff" * 8, b"\0" * 8, b"\x7f" + b"\xff" * 7])
        )
        content[at : at + len(piece)] = piece
    cut = data.draw(st.none() | st.integers(0, len(content)))
    _refused_or_bounded(bytes(content[:cut]))


@given(
    st.sampled_from([b"", b"QFI\xfb", b"KDMV", b"vhdxfile", b"conectix", b"# Disk DescriptorFile\n"]),
    st.binary(max_size=2048),
)
@example(b"", b"conectix".rjust(512, b"\0"))
def test_no_bytes_raise_anything_but_a_refusal(magic, rest) -> None:
    _refused_or_bounded(magic + rest)


def _refused_or_bounded(content: bytes) -> None:
    try:
        inspected = inspect(content, limit=1 << 40)
    except ImageRefused:
        return
    assert 0 < inspected.virtual_bytes <= 1 << 40

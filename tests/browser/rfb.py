"""A screen for hosts that have none: it speaks RFB (RFC 6143), shows two colours, and keeps what is typed."""

from __future__ import annotations

import contextlib
import queue
import struct
from collections import defaultdict

from playwright.sync_api import Page
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from ringfence.controller.consoles import FRAME_BYTES

KEYS: defaultdict[str, queue.Queue[tuple[int, bool]]] = defaultdict(queue.Queue)
"""By VM: keysyms as they came, and whether the key went down."""
WIDTH, HEIGHT = 640, 400
_LENGTHS = {0: 20, 3: 10, 4: 8, 5: 6}
"""How long a client's message of each kind is: pixel format, update request, key, pointer."""

_COLOURS = """(canvas) => new Promise((resolve) => {
  const ends = performance.now() + 30000;
  const look = () => {
    // A copy, for Chromium complains of a canvas that is read again and again.
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    const pixels = copy.getImageData(0, 0, canvas.width, canvas.height).data;
    const seen = new Set(new Uint32Array(pixels.buffer)).size;
    if (seen > 1 || performance.now() > ends) resolve(seen);
    else requestAnimationFrame(look);
  };
  look();
})"""


def colours(page: Page) -> int:
    """Tell how many colours the screen on the page has, once it has more than one, or after a while."""
    return page.locator(".rf-screen canvas").evaluate(_COLOURS)


def keys(vm_id: str, count: int) -> list[tuple[int, bool]]:
    """Give the next keys that the guest was told of."""
    return [KEYS[vm_id].get(timeout=10) for _ in range(count)]


async def painted(vm_id: str, line: ClientConnection) -> None:
    """Be the screen."""
    client = _Client(line)
    with contextlib.suppress(ConnectionClosed):
        await line.send(b"RFB 003.008\n")
        await client.read(12)
        await line.send(bytes([1, 1]))
        await client.read(1)
        await line.send(bytes(4))
        await client.read(1)
        format_ = struct.pack(">BBBBHHHBBBxxx", 32, 24, 0, 1, 255, 255, 255, 0, 8, 16)
        await line.send(struct.pack(">HH", WIDTH, HEIGHT) + format_ + struct.pack(">I", 5) + b"guest")
        while True:
            await _answer(vm_id, line, client)


async def _answer(vm_id: str, line: ClientConnection, client: _Client) -> None:
    kind = (await client.read(1))[0]
    if kind == 2:
        await client.read(4 * struct.unpack(">xH", await client.read(3))[0])
        return
    body = await client.read(_LENGTHS[kind] - 1)
    if kind == 3 and body[0] == 0:
        half = struct.pack("<I", 0x00CC66) * (WIDTH * HEIGHT // 2)
        rectangle = struct.pack(">BxHHHHHi", 0, 1, 0, 0, WIDTH, HEIGHT, 0)
        picture = rectangle + half + bytes(len(half))
        for start in range(0, len(picture), FRAME_BYTES):
            await line.send(picture[start : start + FRAME_BYTES])
    if kind == 4:
        down, keysym = struct.unpack(">BxxI", body)
        KEYS[vm_id].put((keysym, bool(down)))


class _Client:
    """What the viewer sends, as the bytes that it is; frames mean nothing."""

    def __init__(self, line: ClientConnection) -> None:
        self._line, self._pending = line, b""

    async def read(self, count: int) -> bytes:
        while len(self._pending) < count:
            frame = await self._line.recv()
            self._pending += frame if isinstance(frame, bytes) else frame.encode()
        taken, self._pending = self._pending[:count], self._pending[count:]
        return taken

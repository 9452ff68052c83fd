"""A bounds-checked view of a file that nobody trusts. Reads at most what is asked for; opens nothing."""

from __future__ import annotations

from collections.abc import Callable

from ringfence.model.images import ImageRefused

MOST = 4 << 20
"""No header or table of any format needs a longer read."""


class Window:
    """`read(offset, length)` over `size` bytes."""

    def __init__(self, read: Callable[[int, int], bytes], size: int) -> None:
        self._read = read
        self.size = size

    def exactly(self, offset: int, length: int) -> bytes:
        """Read all of it, or refuse the image as truncated."""
        if offset < 0 or length < 0 or length > MOST or offset + length > self.size:
            raise ImageRefused(why="a header points outside the file; it may be truncated")
        found = self._read(offset, length)
        if len(found) != length:
            raise ImageRefused(why="it is shorter than it was said to be")
        return found

    def up_to(self, offset: int, length: int) -> bytes:
        """Read what there is of it."""
        return self.exactly(offset, max(0, min(length, self.size - offset)))

"""Memory for secrets: locked, so that it is never swapped; left out of core dumps; wiped when a use of it ends."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
from collections.abc import Iterator

_libc = ctypes.CDLL(None, use_errno=True)


class LockedMemory:
    """Whole pages of this process. `address` is where they are, `view` the same bytes for Python.

    Index `view`, or pass `address` to C. A slice turned into `bytes` or `str` would be a copy that nobody wipes.
    """

    def __init__(self, size_bytes: int) -> None:
        self._pages = mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.size_bytes = len(self._pages)
        self.view = memoryview(self._pages)
        self.address: int = ctypes.addressof(ctypes.c_char.from_buffer(self._pages))
        if _libc.mlock(ctypes.c_void_p(self.address), ctypes.c_size_t(size_bytes)) != 0:
            raise OSError(ctypes.get_errno(), "memory for passwords cannot be locked; raise LimitMEMLOCK (ulimit -l)")
        if hasattr(mmap, "MADV_DONTDUMP"):
            self._pages.madvise(mmap.MADV_DONTDUMP)

    @contextlib.contextmanager
    def wiped_after(self) -> Iterator[None]:
        """Wipe it all when the block is left, however it is left."""
        try:
            yield
        finally:
            ctypes.memset(self.address, 0, self.size_bytes)

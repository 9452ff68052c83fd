"""The ledger's tree as rows: tiles of 256 hashes, as in C2SP's tlog-tiles. What the hashes are of is `ledger`'s."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from ringfence.decide.merkle import root_of
from ringfence.store.tables import ledger_tiles as table

HEIGHT = 8
WIDTH = 1 << HEIGHT
HASH_BYTES = 32


class Tree:
    """The tree in one transaction; a tile is read once."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._tiles: dict[tuple[int, int], bytes] = {}

    def append(self, size: int, hashes: Sequence[bytes]) -> None:
        """Add leaves' hashes to a tree of `size` leaves: one row a level, and one more for each that became full."""
        level = 0
        while hashes:
            number, present = divmod(size, WIDTH)
            grown = (self.tile(level, number) if present else b"") + b"".join(hashes)
            full: list[bytes] = []
            for at in range(0, len(grown), WIDTH * HASH_BYTES):
                tile = grown[at : at + WIDTH * HASH_BYTES]
                self._write(level, number + at // (WIDTH * HASH_BYTES), tile, fresh=at > 0 or not present)
                if len(tile) == WIDTH * HASH_BYTES:
                    full.append(root_of(hashes_in(tile)))
            level, size, hashes = level + 1, number, full

    def node(self, height: int, number: int) -> bytes:
        """Give the hash of a full subtree, as `decide.merkle` asks for it."""
        level, within = divmod(height, HEIGHT)
        first = number << within
        tile, offset = divmod(first, WIDTH)
        held = self.tile(level, tile)[offset * HASH_BYTES : (offset + (1 << within)) * HASH_BYTES]
        return root_of(hashes_in(held))

    def tile(self, level: int, number: int) -> bytes:
        """Read a row of hashes; empty if there is none."""
        if (level, number) not in self._tiles:
            this = (table.c.level == level) & (table.c.number == number)
            found = self._session.execute(select(table.c.hashes).where(this)).scalar_one_or_none()
            self._tiles[level, number] = found or b""
        return self._tiles[level, number]

    def _write(self, level: int, number: int, hashes: bytes, *, fresh: bool) -> None:
        self._tiles[level, number] = hashes
        if fresh:
            self._session.execute(insert(table).values(level=level, number=number, hashes=hashes))
            return
        this = (table.c.level == level) & (table.c.number == number)
        self._session.execute(update(table).where(this).values(hashes=hashes))


def hashes_in(tile: bytes) -> list[bytes]:
    """Cut a tile into its hashes."""
    return [tile[at : at + HASH_BYTES] for at in range(0, len(tile), HASH_BYTES)]

"""The answers given, on disk: a command that comes twice is done once, whatever was killed between.

Only what a command changed is worth remembering; a look at the host is taken anew, and so is what may pass.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

import msgspec

from ringfence.wire import Answer, Seen

_MOST_ANSWERS = 2000


class Journal:
    """One small file an answer, named by the key's digest. The oldest are forgotten beyond a bound."""

    def __init__(self, folder: Path, *, most_answers: int = _MOST_ANSWERS) -> None:
        self._folder, self._most = folder, most_answers

    def answer(self, key: str) -> Answer | None:
        """Give the answer given to this key; None if there is none that can be read."""
        try:
            return msgspec.json.decode(self._file(key).read_bytes(), type=Answer)
        except (FileNotFoundError, msgspec.MsgspecError):
            return None

    def keep(self, key: str, answer: Answer) -> None:
        """Remember the answer, unless asking again could rightly give another."""
        passing = answer.error is not None and answer.error.family == "unreachable"
        if passing or isinstance(answer.result, Seen):
            return
        file = self._file(key)
        fresh = file.with_suffix(f".{os.getpid()}.new")
        try:
            with fresh.open("wb") as out:
                out.write(msgspec.json.encode(answer))
                out.flush()
                os.fsync(out.fileno())
            fresh.replace(file)
        finally:
            fresh.unlink(missing_ok=True)
        self._forget_oldest()

    def _forget_oldest(self) -> None:
        kept = list(self._folder.glob("*.json"))
        if len(kept) <= self._most:
            return
        # A tenth at once, so that the folder is not read over for each answer.
        kept.sort(key=lambda file: file.stat().st_mtime)
        for file in kept[: len(kept) - self._most + self._most // 10]:
            with contextlib.suppress(FileNotFoundError):
                file.unlink()

    def _file(self, key: str) -> Path:
        return self._folder / f"{hashlib.sha256(key.encode()).hexdigest()}.json"

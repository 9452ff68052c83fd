"""What this machine knows of a controller's ledger since it last looked: the key, and the last checkpoint."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Trusted:
    """One ledger, in a file of its own. Empty words: it was never looked at."""

    file: Path
    key: str = ""
    note: str = ""

    @classmethod
    def of(cls, url: str) -> Trusted:
        """Read what is known of the ledger of the controller at this URL."""
        state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
        file = state / "ringfence" / f"ledger-{sha256(url.encode()).hexdigest()[:16]}.json"
        try:
            told = json.loads(file.read_text())
            return cls(file=file, key=str(told["key"]), note=str(told["note"]))
        except FileNotFoundError:
            return cls(file=file)

    def keep(self, key: str, note: str) -> None:
        """Know this from now on; whole or not at all."""
        self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = self.file.with_suffix(".new")
        fresh.write_text(json.dumps({"key": key, "note": note}))
        fresh.replace(self.file)

    def forgotten(self) -> Trusted:
        """Know nothing from now on."""
        self.file.unlink(missing_ok=True)
        return Trusted(file=self.file)

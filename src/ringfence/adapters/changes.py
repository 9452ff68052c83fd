"""Which kinds of things changed lately, for those who watch: never which one, nor how. Wakes by the process's bells."""

from __future__ import annotations

import threading
from collections import Counter

from ringfence.adapters.bells import Bells

TOPIC = "changes"


class Changes:
    """Counts the changes of each kind. A watcher compares two countings, so that nothing is queued for anyone."""

    def __init__(self, bells: Bells) -> None:
        self._bells = bells
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def note(self, kind: str) -> None:
        """Count a change of this kind, and wake the watchers; from any thread."""
        with self._lock:
            self._counts[kind] += 1
        self._bells.ring(TOPIC)

    def counts(self) -> Counter[str]:
        """Tell the changes of each kind since the process began."""
        with self._lock:
            return self._counts.copy()


def kinds_changed(before: Counter[str], after: Counter[str]) -> list[str]:
    """Name the kinds that changed between two countings, sorted."""
    return sorted(kind for kind, count in after.items() if count != before[kind])

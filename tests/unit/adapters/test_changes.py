"""Changes are told by kind, whoever began to look when."""

from __future__ import annotations

import pytest

from ringfence.adapters.bells import Bells
from ringfence.adapters.changes import TOPIC, Changes, kinds_changed

pytestmark = pytest.mark.unit


def test_a_watcher_learns_each_kind_that_changed_since_it_looked_and_no_other() -> None:
    changes = Changes(Bells())
    changes.note("vm")
    seen = changes.counts()
    for kind in ("host", "operation", "host"):
        changes.note(kind)
    assert kinds_changed(seen, changes.counts()) == ["host", "operation"]
    assert kinds_changed(changes.counts(), changes.counts()) == []


def test_each_change_wakes_who_waits() -> None:
    bells = Bells()
    changes = Changes(bells)
    with bells.listen_in_thread(TOPIC) as bell:
        assert not bell.is_set()
        changes.note("vm")
        assert bell.is_set()

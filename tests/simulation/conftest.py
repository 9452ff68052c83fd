"""Makes the cloud that each simulation begins with, once, and lets DBOS look for work more often than it need."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from cloud import Cloud

from ringfence.workflows import crash_points, runtime


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(runtime, "_RECOVERY_POLL_SECONDS", 0.02)
    monkeypatch.setattr(runtime, "_LISTENER_POLL_SECONDS", 0.01)
    before = crash_points.hook
    yield
    crash_points.hook = before


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the databases of a furnished cloud that was launched once."""
    folder = tmp_path_factory.mktemp("template")
    cloud = Cloud.build(folder)
    cloud.launch()
    cloud.close()
    return folder


@pytest.fixture
def cloud(template: Path, tmp_path: Path) -> Iterator[Cloud]:
    cloud = Cloud.build(tmp_path, template=template)
    yield cloud
    cloud.close()

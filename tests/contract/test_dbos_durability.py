"""What the workflows count on in DBOS, at the version pinned: no pickles, the version pinned, no step twice."""

from __future__ import annotations

import base64
import os
import pickle
import sqlite3
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "simulation"))

from cloud import Cloud

from ringfence.workflows import crash_points, runtime

pytestmark = pytest.mark.contract


class Killed(BaseException):
    pass


class Payload:
    """Runs code when it is unpickled: makes the folder it names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (str(self.folder),))


def _pickled(folder: Path) -> str:
    return base64.b64encode(pickle.dumps(Payload(folder))).decode()


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    monkeypatch.setattr(runtime, "_RECOVERY_POLL_SECONDS", 0.02)
    before = crash_points.hook
    cloud = Cloud.build(tmp_path)
    yield cloud
    crash_points.hook = before
    cloud.close()


def _killed_create(cloud: Cloud, at: str) -> str:
    """Begin a create, kill it at the point, and stop the runtime; give the operation's id."""

    def hook(point: str) -> None:
        if point == at:
            raise Killed

    crash_points.hook = hook
    cloud.launch()
    _, operation_id = cloud.ask_create("web")
    assert cloud.runtime is not None
    cloud.runtime.start(operation_id)
    cloud.runtime.wait_told(operation_id, timeout_seconds=20)
    cloud.stop()
    crash_points.hook = lambda _point: None
    return operation_id


def _edit(cloud: Cloud, statement: str, *values: object) -> int:
    with sqlite3.connect(cloud.folder / "workflows.sqlite") as connection:
        return connection.execute(statement, values).rowcount


def test_the_payload_would_run_code_if_it_were_read(tmp_path: Path) -> None:
    pickle.loads(base64.b64decode(_pickled(tmp_path / "ran")))
    assert (tmp_path / "ran").exists()


def test_a_step_retagged_as_a_pickle_is_refused_and_runs_nothing(cloud: Cloud) -> None:
    operation_id = _killed_create(cloud, "create-vm/start it/before")
    changed = _edit(
        cloud,
        "UPDATE operation_outputs SET output = ?, serialization = 'py_pickle' WHERE workflow_uuid = ?",
        _pickled(cloud.folder / "ran"),
        operation_id,
    )
    assert changed > 3
    launched = cloud.launch()
    launched.wait_told(operation_id, timeout_seconds=20)
    assert not (cloud.folder / "ran").exists()


def test_an_input_retagged_as_a_pickle_is_refused_and_runs_nothing(cloud: Cloud) -> None:
    operation_id = _killed_create(cloud, "create-vm/start it/before")
    changed = _edit(
        cloud,
        "UPDATE workflow_status SET inputs = ?, serialization = 'py_pickle' WHERE workflow_uuid = ?",
        _pickled(cloud.folder / "ran"),
        operation_id,
    )
    assert changed == 1
    cloud.launch()
    # A good operation beside it runs as if nothing were: by then the bad row has been met too, being older.
    cloud.new_vm("beside")
    assert not (cloud.folder / "ran").exists()


def test_nothing_is_written_as_a_pickle(cloud: Cloud) -> None:
    cloud.launch()
    cloud.new_vm("web")
    with sqlite3.connect(cloud.folder / "workflows.sqlite") as connection:
        tags = {row[0] for row in connection.execute("SELECT serialization FROM operation_outputs")}
        tags |= {row[0] for row in connection.execute("SELECT serialization FROM workflow_status")}
    assert tags == {"portable_json"}


def test_the_database_is_its_owners_alone(cloud: Cloud) -> None:
    cloud.launch()
    cloud.new_vm("web")
    for file in cloud.folder.glob("workflows.sqlite*"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file.name


def test_runs_are_kept_under_the_version_pinned(cloud: Cloud) -> None:
    cloud.launch()
    cloud.new_vm("web")
    with sqlite3.connect(cloud.folder / "workflows.sqlite") as connection:
        rows = connection.execute("SELECT application_version, executor_id FROM workflow_status").fetchall()
    assert rows == [(runtime.VERSION, "sim")]


def test_a_run_resumed_does_not_repeat_the_steps_that_ended(cloud: Cloud) -> None:
    operation_id = _killed_create(cloud, "create-vm/start it/before")
    repeated: list[str] = []
    crash_points.hook = repeated.append
    cloud.launch().wait(operation_id, timeout_seconds=20)
    assert repeated[0] == "create-vm/start it/before"


def test_a_step_killed_before_it_was_recorded_is_repeated(cloud: Cloud) -> None:
    operation_id = _killed_create(cloud, "create-vm/start it/after")
    repeated: list[str] = []
    crash_points.hook = repeated.append
    cloud.launch().wait(operation_id, timeout_seconds=20)
    assert repeated[0] == "create-vm/start it/before"


def test_an_operation_committed_and_never_started_is_started_at_launch(cloud: Cloud) -> None:
    _, operation_id = cloud.ask_create("web")
    assert cloud.launch().wait(operation_id, timeout_seconds=20).state == "done"


def test_starting_an_operation_twice_is_one_run(cloud: Cloud) -> None:
    launched = cloud.launch()
    passed: list[str] = []
    crash_points.hook = passed.append
    _, operation_id = cloud.ask_create("web")
    launched.start(operation_id)
    launched.start(operation_id)
    launched.wait(operation_id, timeout_seconds=20)
    launched.start(operation_id)
    assert len(passed) == len(set(passed))

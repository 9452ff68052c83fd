"""The only door to DBOS: runs operations durably, and goes on with them after a crash.

One `Runtime` a process, as DBOS is one a process. Its own database (a SQLite file, or a schema of PostgreSQL) records
which steps are done; what they did is in the store. Pickles are refused: DBOS reads a row as its own tag says, so a
row retagged by whoever can write the tables would otherwise run code here. No Conductor, no telemetry. What an
operation does is told in the files beside this one.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from dbos import DBOS, SetWorkflowID
from dbos import _serialization as dbos_serialization
from dbos._logger import dbos_logger
from dbos._utils import INTERNAL_QUEUE_NAME, GlobalParams

from ringfence.errors import NotFound, RingfenceError
from ringfence.model.names import OperationId
from ringfence.model.operations import Operation, OperationState
from ringfence.workflows.kinds import KINDS
from ringfence.workflows.story import Clock, Patience, StepBroke, Stopping, Story, World

__all__ = ["VERSION", "Patience", "PickleRefused", "Runtime", "World"]

_log = logging.getLogger(__name__)

VERSION = "1"
"""Version of the stories. A run goes on only under the version it began with: raise it when steps change order."""
_SCHEMA = "workflows"
_POOL_SIZE = 10
_THREADS = 256
_RECOVERY_POLL_SECONDS = 0.2
_LISTENER_POLL_SECONDS = 0.1
"""How often DBOS looks whether to end its listener; it listens for nothing of ours, so that a look costs nothing."""


class PickleRefused(Exception):
    """A row of the workflows' database holds a pickle. It was not read: nobody but an attacker puts one there."""


def _refuse(_serializer: object, _value: object) -> NoReturn:
    raise PickleRefused


# SAFETY: DBOS picks the reader by the row's own tag, before it looks at the serializer configured. Without this,
# writing one row of its tables runs code in the controller. Held by tests/contract/test_dbos_pickles.py.
dbos_serialization.DefaultSerializer.deserialize = _refuse  # type: ignore[method-assign, assignment]
dbos_serialization.DefaultSerializer.serialize = _refuse  # type: ignore[method-assign, assignment]


class SystemClock:
    """The clock of a running controller: pauses end when it stops."""

    def __init__(self) -> None:
        self.stopping = threading.Event()

    def now(self) -> float:
        return time.time()

    def pause(self, seconds: float) -> None:
        if self.stopping.wait(seconds):
            raise Stopping

    def check(self) -> None:
        if self.stopping.is_set():
            raise Stopping


class Runtime:
    """Runs operations. `database` is a SQLAlchemy URL; `executor_id` stays the same across restarts of a controller."""

    def __init__(
        self,
        world: World,
        *,
        database: str,
        executor_id: str,
        patience: Patience | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._world = world
        self._patience = patience or Patience()
        self._system_clock = SystemClock()
        self._clock: Clock = clock or self._system_clock
        self._database = database
        self._executor_id = executor_id
        self._ended = threading.Condition()
        self._told: set[OperationId] = set()

    def launch(self) -> None:
        """Begin, going on with what an earlier process left, and with what was committed but never started."""
        global _current  # noqa: PLW0603 - DBOS is one a process, and so is this
        assert _current is None, "there is a runtime in this process already"
        _current = self
        try:
            _secure_sqlite_file(self._database)
            _configure(self._database, self._executor_id)
            DBOS.launch()
        except BaseException:
            _current = None
            DBOS.destroy()
            raise
        for operation in self._world.records.unfinished_operations():
            self._take_up(operation)

    def start(self, operation_id: OperationId) -> None:
        """Run a committed operation, in the background; starting it twice is one run."""
        with SetWorkflowID(operation_id):
            DBOS.start_workflow(_operation, operation_id)

    def stop(self) -> None:
        """End; what is under way stays pending, and goes on at the next launch."""
        global _current  # noqa: PLW0603
        self._system_clock.stopping.set()
        DBOS.destroy()
        _current = None

    def wait(self, operation_id: OperationId, *, timeout_seconds: float) -> Operation:
        """Wait until the operation has ended, and give it; raises `TimeoutError`. For tests and tools."""
        until = time.monotonic() + timeout_seconds
        while True:
            operation = self._world.records.operation(operation_id)
            if operation.state.ended:
                return operation
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"operation {operation_id} is {operation.state}")
            with self._ended:
                # Another controller may end it without a word to this one: look again now and then.
                self._ended.wait(min(left, 0.5))

    def wait_told(self, operation_id: OperationId, *, timeout_seconds: float) -> None:
        """Wait until a run of the operation in this process is over, ended or broken off; raises `TimeoutError`."""
        with self._ended:
            if not self._ended.wait_for(lambda: operation_id in self._told, timeout_seconds):
                raise TimeoutError(f"operation {operation_id} is being run")

    def has_told(self, operation_id: OperationId) -> bool:
        """Tell whether a run of the operation in this process is over."""
        with self._ended:
            return operation_id in self._told

    def tell(self, operation_id: OperationId) -> None:
        """Tell the operation's story to its end. Called by DBOS alone."""
        thread = threading.current_thread()
        thread_name, thread.name = thread.name, f"operation-{operation_id}"
        try:
            # Read outside a step: what is used of it never changes.
            operation = self._world.records.operation(operation_id)
            story = Story(operation, world=self._world, patience=self._patience, clock=self._clock, durable=_durable)
            with self._world.acting(operation.actor):
                _tell(story)
        except NotFound:
            _log.warning("operation %s was started but never committed", operation_id)
        finally:
            thread.name = thread_name
            with self._ended:
                self._told.add(operation_id)
                self._ended.notify_all()

    def _take_up(self, operation: Operation) -> None:
        """Start what was never started; close what DBOS holds for ended while its record does not say so."""
        status = DBOS.get_workflow_status(operation.id)
        if status is None:
            self.start(operation.id)
        elif status.status in ("ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"):
            _log.error("operation %s broke off: %s", operation.id, status.status)
            error = StepBroke(step="run", what=status.status.lower())
            self._world.records.operation_became(operation.id, OperationState.FAILED, error=error.record())


_current: Runtime | None = None


@DBOS.workflow(name="operation", max_recovery_attempts=None)
def _operation(operation_id: str) -> None:
    runtime = _current
    if runtime is None:
        raise Stopping
    runtime.tell(OperationId(operation_id))


def _tell(story: Story) -> None:
    story.begins()
    try:
        result = KINDS[story.operation.kind](story)
    except RingfenceError as error:
        story.ends(error)
    except Exception as bug:  # noqa: BLE001 - the last to meet it
        # A defect between steps. Whatever it left is for verify to find; the operation does not claim to be done.
        _log.exception("%s %s broke", story.operation.kind, story.operation.id)
        story.ends(StepBroke(step="between steps", what=type(bug).__name__))
    else:
        story.ends(None, result)


def _durable(name: str, effect: Callable[[], Any]) -> Any:
    return DBOS.run_step({"name": name}, effect)


def _secure_sqlite_file(database: str) -> None:
    """Make the file, for its owner alone, in WAL mode, which is kept in the file itself."""
    if not database.startswith("sqlite:///"):
        return
    path = Path(database.removeprefix("sqlite:///"))
    # SAFETY: who can write this file chooses what the controller does next. -wal and -shm take over its mode.
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    path.chmod(0o600)
    connection = sqlite3.connect(path)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()


def _configure(database: str, executor_id: str) -> None:
    # SAFETY: an environment variable must not hand operations to somebody's cloud.
    GlobalParams.dbos_cloud = False
    dbos = DBOS(
        config={
            "name": "ringfence",
            "system_database_url": database,
            "dbos_system_schema": _SCHEMA,
            "sys_db_pool_size": _POOL_SIZE,
            "max_executor_threads": _THREADS,
            "application_version": VERSION,
            "executor_id": executor_id,
            "serializer": dbos_serialization.DBOSPortableJSON,
            "use_listen_notify": False,
            "notification_listener_polling_interval_sec": _LISTENER_POLL_SECONDS,
            "enable_otlp": False,
            "log_level": "WARNING",
        }
    )
    # Its messages go where ours go, not to a handler of its own.
    for handler in list(dbos_logger.handlers):
        dbos_logger.removeHandler(handler)
    dbos_logger.propagate = True
    # Recovery goes through this queue, whose second of polling would be a second of standing still.
    queue = dbos._registry.get_internal_queue()  # noqa: SLF001 - there is no public way
    assert queue.name == INTERNAL_QUEUE_NAME
    queue._polling_interval_sec = _RECOVERY_POLL_SECONDS  # noqa: SLF001

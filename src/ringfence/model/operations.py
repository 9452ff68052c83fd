"""Operations: long-running actions that a user can watch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ringfence.errors import ErrorRecord
from ringfence.model.actors import CONTROLLER, Actor
from ringfence.model.names import OperationId, ProjectId


class OperationKind(StrEnum):
    CREATE_VM = "create-vm"
    START_VM = "start-vm"
    STOP_VM = "stop-vm"
    DELETE_VM = "delete-vm"
    MOVE_VM = "move-vm"
    APPLY_FENCE = "apply-fence"
    IMPORT_IMAGE = "import-image"
    VERIFY = "verify"


class OperationState(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    ROLLING_BACK = "rolling-back"
    DONE = "done"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        return self in (OperationState.DONE, OperationState.FAILED)


class StepState(StrEnum):
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationStep:
    """One step as a user sees it. Times are UTC, ISO 8601. `detail` is a sentence, with figures where there are."""

    number: int
    name: str
    state: StepState
    started_at: str
    ended_at: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """`subject_id` is the record it acts on; `asked` what was asked; `result` what came of it; `error` why not.

    `asked_by` is who asked for it, None if the controller began it by itself; `project_id` whose its subject is.

    `version` grows with every change of the operation, so that a watcher can tell what it has seen.
    """

    id: OperationId
    kind: OperationKind
    state: OperationState
    subject_id: str
    subject_name: str
    asked: Mapping[str, Any]
    created_at: str
    ended_at: str | None = None
    steps: tuple[OperationStep, ...] = ()
    result: Mapping[str, Any] = field(default_factory=dict)
    error: ErrorRecord | None = None
    version: int = 1
    asked_by: Actor | None = None
    project_id: ProjectId | None = None

    @property
    def actor(self) -> Actor:
        """Who acts in it: the controller, on behalf of whoever asked."""
        return CONTROLLER if self.asked_by is None else self.asked_by.served_by_controller()

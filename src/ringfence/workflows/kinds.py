"""Which story each kind of operation is. One line a kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ringfence.model.operations import OperationKind
from ringfence.workflows.apply_fence import apply_fence
from ringfence.workflows.create_vm import create_vm
from ringfence.workflows.delete_vm import delete_vm
from ringfence.workflows.move_vm import move_vm
from ringfence.workflows.start_vm import start_vm
from ringfence.workflows.stop_vm import stop_vm
from ringfence.workflows.story import Story
from ringfence.workflows.verify import verify

KINDS: dict[OperationKind, Callable[[Story], Mapping[str, Any]]] = {
    OperationKind.CREATE_VM: create_vm,
    OperationKind.START_VM: start_vm,
    OperationKind.STOP_VM: stop_vm,
    OperationKind.DELETE_VM: delete_vm,
    OperationKind.MOVE_VM: move_vm,
    OperationKind.APPLY_FENCE: apply_fence,
    OperationKind.VERIFY: verify,
}

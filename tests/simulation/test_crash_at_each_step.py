"""Promise 7: an operation killed at any step ends whole or rolled back. The steps are found by a recording run."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import uuid4

import pytest
from cloud import Cloud, Fault

from ringfence.decide.lifecycle import TRANSITIONS
from ringfence.model.names import OperationId, VmId
from ringfence.model.operations import Operation, OperationKind, OperationState
from ringfence.model.vms import VmState
from ringfence.wire import AnyVerb, PrepareVm, ReceiveMove, SendMove, StartVm, StopVm
from ringfence.workflows import crash_points

pytestmark = pytest.mark.simulation


class Killed(BaseException):
    """The process is gone at this instant, as far as the run can tell."""


@dataclass
class Killer:
    """Kills the run at the `at`-th point it passes, and every run after that until the next launch."""

    at: int = 10**6
    passed: list[str] = field(default_factory=list)
    dead: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, point: str) -> None:
        with self.lock:
            if not self.dead:
                self.passed.append(point)
            self.dead = self.dead or len(self.passed) == self.at
            if self.dead:
                raise Killed(point)


def _fail(kind: type, fault: Fault) -> Callable[[object, AnyVerb, str], Fault | None]:
    return lambda _host, verb, _key: fault if isinstance(verb, kind) else None


@dataclass(frozen=True)
class Life:
    """One operation with what goes wrong in it. `prepare` gives the VM; `ask` what is killed again and again."""

    kind: OperationKind
    fault: tuple[type, Fault] | None = None
    ends_failed: bool = False

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.fault[0].__name__}-{self.fault[1]}" if self.fault else str(self.kind)


# In this order each finds VMs of the one before in the state that it needs.
WHOLE = (
    Life(OperationKind.APPLY_FENCE),
    Life(OperationKind.CREATE_VM),
    Life(OperationKind.MOVE_VM),
    Life(OperationKind.STOP_VM),
    Life(OperationKind.START_VM),
    Life(OperationKind.DELETE_VM),
)
BROKEN = (
    Life(OperationKind.CREATE_VM, (PrepareVm, Fault.BREAKS), ends_failed=True),
    Life(OperationKind.CREATE_VM, (StartVm, Fault.BREAKS), ends_failed=True),
    Life(OperationKind.STOP_VM, (StopVm, Fault.FAILS), ends_failed=True),
    Life(OperationKind.MOVE_VM, (ReceiveMove, Fault.BREAKS), ends_failed=True),
    Life(OperationKind.MOVE_VM, (SendMove, Fault.FAILS), ends_failed=True),
    Life(OperationKind.MOVE_VM, (SendMove, Fault.BREAKS)),
    Life(OperationKind.MOVE_VM, (SendMove, Fault.UNANSWERED)),
    Life(OperationKind.START_VM, (StartVm, Fault.BREAKS), ends_failed=True),
)


def _points(cloud: Cloud, life: Life) -> int:
    """Run the operation once undisturbed, and count the points it passes."""
    operation_id = _ask(cloud, life, set())
    recorder = crash_points.hook = Killer()
    cloud.run(operation_id)
    crash_points.hook = lambda _point: None
    return len(recorder.passed)


def _killed_at_each(cloud: Cloud, life: Life) -> dict[str, Operation]:
    """Kill one run of the operation at each of its points, launch anew, and give how each ended."""
    runtime = cloud.launch()
    points = _points(cloud, life)
    killed: dict[str, OperationId] = {}
    used: set[VmId] = set()
    for at in range(1, points + 1):
        operation_id = _ask(cloud, life, used)
        killer = crash_points.hook = Killer(at)
        runtime.start(operation_id)
        runtime.wait_told(operation_id, timeout_seconds=30)
        crash_points.hook = lambda _point: None
        assert killer.dead, f"{life.name} passed {len(killer.passed)} points, not {points}"
        killed[killer.passed[-1]] = operation_id
    assert len(killed) == points, "two points have one name"
    cloud.stop()
    runtime = cloud.launch()
    ended = {point: runtime.wait(operation_id, timeout_seconds=60) for point, operation_id in killed.items()}
    cloud.hypervisors.faults = lambda _host, _verb, _key: None
    cloud.stop()
    return ended


def _ask(cloud: Cloud, life: Life, used: set[VmId]) -> OperationId:
    """Ask for the operation on a VM in the state for it that was not used yet, and let go wrong what shall."""
    cloud.hypervisors.faults = lambda _host, _verb, _key: None
    if life.kind is OperationKind.CREATE_VM:
        operation_id = cloud.ask_create(f"vm-{uuid4().hex[:8]}")[1]
    elif life.kind is OperationKind.APPLY_FENCE:
        operation_id = cloud.ask_fence()
    else:
        vm_id = _vm_for(cloud, life.kind, used)
        used.add(vm_id)
        operation_id = cloud.ask(vm_id, life.kind)
    if life.fault:
        cloud.hypervisors.faults = _fail(*life.fault)
    return operation_id


def _vm_for(cloud: Cloud, kind: OperationKind, used: set[VmId]) -> VmId:
    free = [vm for vm in cloud.records.vms() if vm.id not in used]
    for vm in free:
        if vm.state in TRANSITIONS[kind].begins_in:
            return vm.id
    running = [vm.id for vm in free if vm.state is VmState.RUNNING]
    vm_id = running[0] if running else cloud.new_vm(f"vm-{uuid4().hex[:8]}")
    if kind is OperationKind.START_VM:
        cloud.must(vm_id, OperationKind.STOP_VM)
    return vm_id


@pytest.mark.parametrize("lives", [WHOLE, BROKEN], ids=["nothing else goes wrong", "something else goes wrong"])
def test_an_operation_killed_at_any_step_ends_whole_or_rolled_back(cloud: Cloud, lives: tuple[Life, ...]) -> None:
    for life in lives:
        for point, operation in _killed_at_each(cloud, life).items():
            wanted = OperationState.FAILED if life.ends_failed else OperationState.DONE
            assert operation.state is wanted, (life.name, point, operation.error)
        cloud.check()

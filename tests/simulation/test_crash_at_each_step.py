"""Promise 7: an operation killed at any step ends whole or rolled back. The steps are found by a recording run."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from cloud import Cloud, Fault

from ringfence.model.names import OperationId, VmId
from ringfence.model.operations import Operation, OperationKind, OperationState
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


VMS = 32
"""As many as an operation on a VM has points, at least: each VM's operation is killed at a point of its own."""

# In this order each finds the VMs in the state that it needs.
LIVES = (
    Life(OperationKind.APPLY_FENCE),
    Life(OperationKind.CREATE_VM, (PrepareVm, Fault.BREAKS), ends_failed=True),
    Life(OperationKind.CREATE_VM, (StartVm, Fault.BREAKS), ends_failed=True),
    Life(OperationKind.CREATE_VM),
    Life(OperationKind.STOP_VM, (StopVm, Fault.FAILS), ends_failed=True),
    Life(OperationKind.MOVE_VM, (ReceiveMove, Fault.BREAKS), ends_failed=True),
    Life(OperationKind.MOVE_VM, (SendMove, Fault.FAILS), ends_failed=True),
    Life(OperationKind.MOVE_VM, (SendMove, Fault.BREAKS)),
    Life(OperationKind.MOVE_VM, (SendMove, Fault.UNANSWERED)),
    Life(OperationKind.MOVE_VM),
    Life(OperationKind.STOP_VM),
    Life(OperationKind.START_VM, (StartVm, Fault.BREAKS), ends_failed=True),
    Life(OperationKind.START_VM),
    Life(OperationKind.DELETE_VM),
)


def _points(cloud: Cloud, life: Life, vm_id: VmId | None) -> int:
    """Run the operation once undisturbed, and count the points it passes."""
    recorder = crash_points.hook = Killer()
    cloud.run(_ask(cloud, life, vm_id, "recorded"))
    crash_points.hook = lambda _point: None
    return len(recorder.passed)


def _killed_at_each(cloud: Cloud, life: Life) -> dict[str, Operation]:
    """Kill one run of the operation at each of its points, launch anew, and give how each ended."""
    cloud.launch()
    if life.fault:
        cloud.hypervisors.faults = _fail(*life.fault)
    present = [vm.id for vm in cloud.records.vms()] if life.kind is not OperationKind.CREATE_VM else []
    points = _points(cloud, life, present.pop() if present else None)
    assert cloud.runtime is not None
    killed: dict[str, OperationId] = {}
    for at in range(1, points + 1):
        operation_id = _ask(cloud, life, present.pop() if present else None, f"vm-{at}")
        killer = crash_points.hook = Killer(at)
        cloud.runtime.start(operation_id)
        cloud.runtime.wait_told(operation_id, timeout_seconds=30)
        assert killer.dead, f"{life.name} passed {len(killer.passed)} points, not {points}"
        killed[killer.passed[-1]] = operation_id
    assert len(killed) == points, "two points have one name"
    cloud.stop()
    crash_points.hook = lambda _point: None
    runtime = cloud.launch()
    ended = {point: runtime.wait(operation_id, timeout_seconds=60) for point, operation_id in killed.items()}
    cloud.hypervisors.faults = lambda _host, _verb, _key: None
    cloud.stop()
    return ended


def _ask(cloud: Cloud, life: Life, vm_id: VmId | None, name: str) -> OperationId:
    if life.kind is OperationKind.CREATE_VM:
        return cloud.ask_create(f"{name}-{len(cloud.hypervisors.done)}")[1]
    if life.kind is OperationKind.APPLY_FENCE:
        return cloud.ask_fence()
    assert vm_id is not None, "too few VMs for so many points"
    return cloud.ask(vm_id, life.kind)


def test_an_operation_killed_at_any_step_ends_whole_or_rolled_back(cloud: Cloud) -> None:
    cloud.launch()
    for number in range(VMS):
        cloud.new_vm(f"first-{number}")
    cloud.stop()
    for life in LIVES:
        for point, operation in _killed_at_each(cloud, life).items():
            wanted = OperationState.FAILED if life.ends_failed else OperationState.DONE
            assert operation.state is wanted, (life.name, point, operation.error)
        cloud.check()

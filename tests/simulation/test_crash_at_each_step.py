"""Promise 7: an operation killed at any step ends whole or rolled back. The steps are found by a recording run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cloud import Cloud, Fault

from ringfence.model.names import OperationId, VmId
from ringfence.model.operations import Operation, OperationKind
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


LIVES = (
    Life(OperationKind.CREATE_VM),
    Life(OperationKind.STOP_VM),
    Life(OperationKind.START_VM),
    Life(OperationKind.MOVE_VM),
    Life(OperationKind.DELETE_VM),
    Life(OperationKind.APPLY_FENCE),
    Life(OperationKind.CREATE_VM, (PrepareVm, Fault.BREAKS), ends_failed=True),
    Life(OperationKind.CREATE_VM, (StartVm, Fault.BREAKS), ends_failed=True),
    Life(OperationKind.START_VM, (StartVm, Fault.BREAKS), ends_failed=True),
    Life(OperationKind.STOP_VM, (StopVm, Fault.FAILS), ends_failed=True),
    Life(OperationKind.MOVE_VM, (ReceiveMove, Fault.BREAKS), ends_failed=True),
    Life(OperationKind.MOVE_VM, (SendMove, Fault.FAILS), ends_failed=True),
    Life(OperationKind.MOVE_VM, (SendMove, Fault.BREAKS)),
    Life(OperationKind.MOVE_VM, (SendMove, Fault.UNANSWERED)),
)


def _killed_runs(cloud: Cloud, life: Life) -> Iterator[tuple[str, Operation]]:
    """Run the operation anew for each point found so far, killed there once; give each point and how it ended."""
    at, points = 1, 10**6
    while at <= points:
        cloud.launch()
        operation_id = _ask(cloud, life)
        killer = crash_points.hook = Killer(at)
        if life.fault:
            cloud.hypervisors.faults = _fail(*life.fault)
        assert cloud.runtime is not None
        cloud.runtime.start(operation_id)
        if at == 1:
            # ORDER: the first run is killed at the first point too; the run that is not killed tells how many there are.
            points = _record(cloud, operation_id, killer)
        else:
            _until_dead(cloud, operation_id)
        cloud.stop()
        crash_points.hook = lambda _point: None
        cloud.launch()
        assert cloud.runtime is not None
        ended = cloud.runtime.wait(operation_id, timeout_seconds=30)
        cloud.hypervisors.faults = lambda _host, _verb, _key: None
        yield killer.passed[-1], ended
        cloud.stop()
        at += 1


def _record(cloud: Cloud, operation_id: OperationId, killer: Killer) -> int:
    _until_dead(cloud, operation_id)
    cloud.stop()
    recorder = crash_points.hook = Killer()
    cloud.launch()
    assert cloud.runtime is not None
    cloud.runtime.wait(operation_id, timeout_seconds=30)
    assert recorder.passed[0] == killer.passed[0], "a run killed at its first point begins there again"
    return len(recorder.passed)


def _until_dead(cloud: Cloud, operation_id: OperationId) -> None:
    assert cloud.runtime is not None
    cloud.runtime.wait_told(operation_id, timeout_seconds=30)


def _ask(cloud: Cloud, life: Life) -> OperationId:
    if life.kind is OperationKind.CREATE_VM:
        return cloud.ask_create(f"vm-{len(cloud.hypervisors.done)}")[1]
    if life.kind is OperationKind.APPLY_FENCE:
        return cloud.ask_fence()
    known = list(cloud.records.vms())
    vm_id = known[0].id if known else cloud.new_vm(f"vm-{len(cloud.hypervisors.done)}")
    _bring(cloud, vm_id, running=life.kind is not OperationKind.START_VM)
    return cloud.ask(vm_id, life.kind)


def _bring(cloud: Cloud, vm_id: VmId, *, running: bool) -> None:
    is_running = cloud.records.vm(vm_id).state == "running"
    if running and not is_running:
        cloud.must(vm_id, OperationKind.START_VM)
    if not running and is_running:
        cloud.must(vm_id, OperationKind.STOP_VM)


@pytest.mark.parametrize("life", LIVES, ids=lambda life: life.name)
def test_an_operation_killed_at_any_step_ends_whole_or_rolled_back(cloud: Cloud, life: Life, tmp_path: Path) -> None:
    seen = []
    for point, operation in _killed_runs(cloud, life):
        seen.append(point)
        assert operation.state == ("failed" if life.ends_failed else "done"), (point, operation.error)
        cloud.check()
        if life.kind is OperationKind.CREATE_VM:
            for vm in cloud.records.vms():
                assert not life.ends_failed, f"killed at {point}: {vm.name} is left"
                cloud.must(vm.id, OperationKind.DELETE_VM)
    assert len(seen) >= 8, seen

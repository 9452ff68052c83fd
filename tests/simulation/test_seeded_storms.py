"""Many operations at once, with faults and crashes drawn from a seed. Afterwards all hosts come back, and all is whole.

One run holds the baton at a time and hands it on at each crash point, to whom the seed says: seed and commit replay a
bug. `RINGFENCE_SEED` runs one seed; `RINGFENCE_SEEDS` says how many to try.
"""

from __future__ import annotations

import os
import random
import threading
import time
from pathlib import Path

import pytest
from cloud import Cloud, Fault

from ringfence.errors import Refused
from ringfence.model.names import HostId, OperationId
from ringfence.model.operations import OperationKind
from ringfence.wire import AnyVerb
from ringfence.workflows import crash_points

pytestmark = pytest.mark.simulation

SEEDS = (
    [int(os.environ["RINGFENCE_SEED"])]
    if "RINGFENCE_SEED" in os.environ
    else range(int(os.environ.get("RINGFENCE_SEEDS", "8")))
)
FAULTS = 0.25
CRASHES = 0.004


class Killed(BaseException):
    pass


class Baton:
    """Lets one run go on at a time, from point to point; kills them all when the seed says so."""

    def __init__(self, chance: random.Random, operations: set[OperationId]) -> None:
        self.chance = chance
        self.operations = operations
        self._names = {f"operation-{operation_id}" for operation_id in operations}
        self.dead = False
        self._turn = threading.Condition()
        self._waiting: set[str] = set()
        self._holder = ""

    def __call__(self, _point: str) -> None:
        # A run's thread is named after its operation, whose ids sort by age: so the seed chooses alike each time.
        me = threading.current_thread().name
        with self._turn:
            if self.dead:
                raise Killed
            if me not in self._names:
                # It ended before the crash, which DBOS had not recorded yet: nothing of it is left to be done.
                return
            self._waiting.add(me)
            self._holder = "" if self._holder == me else self._holder
            self._turn.notify_all()
            self._turn.wait_for(lambda: self.dead or self._holder == me)
            self._waiting.discard(me)
            if self.dead:
                raise Killed

    def conduct(self, cloud: Cloud) -> bool:
        """Let the runs go on by turns until all have ended; True if the seed killed them before that."""
        assert cloud.runtime is not None
        operations = self.operations
        until = time.monotonic() + 60
        while time.monotonic() < until:
            ended = {operation_id for operation_id in operations if cloud.runtime.has_told(operation_id)}
            if ended == operations:
                return False
            with self._turn:
                if len(self._waiting) < len(operations - ended):
                    self._turn.wait(0.002)
                    continue
                if self.chance.random() < CRASHES:
                    self.dead = True
                    self._turn.notify_all()
                    return True
                self._holder = self.chance.choice(sorted(self._waiting))
                self._waiting.discard(self._holder)
                self._turn.notify_all()
        stuck = [cloud.records.operation(operation_id) for operation_id in sorted(operations - ended)]
        told = [(op.kind, op.state, [step.name for step in op.steps][-1:]) for op in stuck]
        raise AssertionError(f"not ended: {told}; waiting {len(self._waiting)}; clock {cloud.clock.seconds}")


def _faults(chance: random.Random) -> object:
    def choose(_host: HostId, _verb: AnyVerb, _key: str) -> Fault | None:
        return chance.choice(list(Fault)) if chance.random() < FAULTS else None

    return choose


def _ask_something(cloud: Cloud, chance: random.Random, number: int) -> OperationId | None:
    vms = sorted(cloud.records.vms(), key=lambda vm: vm.name)
    kinds = [OperationKind.START_VM, OperationKind.STOP_VM, OperationKind.MOVE_VM, OperationKind.DELETE_VM]
    if not vms or chance.random() < 0.4:
        return cloud.ask_create(f"vm-{number}", chance.choice(["red", "blue"]))[1]
    if chance.random() < 0.1:
        return cloud.ask_fence()
    try:
        return cloud.ask(chance.choice(vms).id, chance.choice(kinds))
    except Refused:
        return None


def _revive(cloud: Cloud, chance: random.Random) -> None:
    """Some hosts come back while the operations wait."""
    for host in cloud.hypervisors.hosts.values():
        if not host.alive and chance.random() < 0.3:
            cloud.hypervisors.boots(host.host_id)


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_comes_between_everything_ends_whole(seed: int, cloud: Cloud) -> None:
    print(f"RINGFENCE_SEED={seed}")  # noqa: T201 - what a failure needs to be replayed
    _storm(cloud, seed)
    assert cloud.broken == []
    cloud.check()


def test_a_seed_brings_the_same_storm_again(template: Path, tmp_path: Path) -> None:
    told = []
    for name in ("once", "again"):
        (tmp_path / name).mkdir()
        cloud = Cloud.build(tmp_path / name, template=template)
        _storm(cloud, 5)
        cloud.close()
        told.append([(host_id, type(verb).__name__) for host_id, verb, _key in cloud.hypervisors.done])
    assert told[0] == told[1]


def _storm(cloud: Cloud, seed: int) -> None:
    chance = random.Random(seed)
    cloud.hypervisors.faults = _faults(chance)
    cloud.fence.late = lambda _host: chance.random() < FAULTS / 8
    cloud.clock.passing = lambda: _revive(cloud, chance)
    cloud.launch()
    number = 0
    for _round in range(3):
        asked: set[OperationId] = set()
        for _ in range(6):
            number += 1
            if operation_id := _ask_something(cloud, chance, number):
                asked.add(operation_id)
        _conduct_to_the_end(cloud, chance, asked)
        for host_id in cloud.hypervisors.hosts:
            cloud.hypervisors.boots(host_id)
        cloud.hypervisors.catch_up()
    cloud.hypervisors.faults = lambda _host, _verb, _key: None


def _conduct_to_the_end(cloud: Cloud, chance: random.Random, asked: set[OperationId]) -> None:
    """Run what was asked, launching anew after each crash; what a crash left is begun at once, in any order."""
    baton = crash_points.hook = Baton(chance, asked)
    assert cloud.runtime is not None
    for operation_id in sorted(asked):
        cloud.runtime.start(operation_id)
    while baton.conduct(cloud):
        for operation_id in asked:
            cloud.runtime.wait_told(operation_id, timeout_seconds=30)
        cloud.stop()
        asked = {operation.id for operation in cloud.records.unfinished_operations()}
        baton = crash_points.hook = Baton(chance, asked)
        cloud.launch()

"""Placements that are made at the same time see each other."""

from __future__ import annotations

import threading

import pytest
from cloud import Cloud

from ringfence.workflows import crash_points

pytestmark = pytest.mark.simulation


def test_two_creates_that_choose_at_once_go_to_two_hosts(cloud: Cloud) -> None:
    runtime = cloud.launch()
    # Neither claims its place before both have chosen: the same, emptiest host.
    both = threading.Barrier(2)
    chosen = threading.Semaphore(0)

    def meet(point: str) -> None:
        if point == "create-vm/claim its place/before":
            both.wait(20)
            chosen.release()

    crash_points.hook = meet
    asked = [cloud.ask_create(name) for name in ("one", "other")]
    for _, operation_id in asked:
        runtime.start(operation_id)
    ended = [runtime.wait(operation_id, timeout_seconds=60) for _, operation_id in asked]
    assert [operation.error for operation in ended] == [None, None]
    assert chosen.acquire(blocking=False)
    places = {cloud.records.vm(vm_id).host_id for vm_id, _ in asked}
    assert len(places) == 2
    cloud.check()

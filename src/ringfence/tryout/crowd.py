"""Thousands of VMs at once, to see how long lists behave: written to the store, where the API would take an hour.

Each is whole: with its ports, its claim, which the database's own rules of company and capacity check, and the
operation that would have made it, ended. No host was asked for any of them: `Simulation.adopt` has hosts run them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ringfence.model.operations import OperationState
from ringfence.model.vms import VmState
from ringfence.store import claims, hosts, operations, vms
from ringfence.store.engine import Session, open_store

TOGETHER = 25
"""VMs in one transaction: other writers wait for no longer than these take."""
REASON = "one of a crowd, made all at once"


def add_crowd(database: str, bodies: Sequence[dict[str, Any]], *, go_on: Callable[[], bool]) -> int:
    """Add running VMs as the API's bodies ask for them, while `go_on` says so; gives how many."""
    store = open_store(database)
    added = 0
    try:
        while added < len(bodies) and go_on():
            together = bodies[added : added + TOGETHER]
            with store.transaction() as session:
                for body in together:
                    _add(session, **body)
            added += len(together)
    finally:
        store.close()
    return added


def _add(session: Session, *, host: str, **body: Any) -> None:
    host_id = hosts.host(session, host).id
    vm, operation = vms.add_vm(session, host=host, **body)
    claims.claim(session, vm.id, host_id, reason=REASON)
    vms.bind_ports(session, vm.id, [host_id])
    vms.vm_became(session, vm.id, VmState.RUNNING)
    result = {"host_id": host_id, "host": host, "reason": REASON, "rejected": {}}
    operations.operation_became(session, operation.id, OperationState.DONE, result=result)

"""Thousands of VMs at once, to see how long lists behave: written to the store, where the API would take an hour.

Each is whole: with its ports, its claim, which the database's own rules of company and capacity check, and the
operation that would have made it, ended. No host was asked for any of them: `Simulation.adopt` has hosts run them.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from ringfence.model.operations import OperationState
from ringfence.model.vms import VmState
from ringfence.store import claims, hosts, operations, vms
from ringfence.store.engine import Session, Store

TOGETHER = 10
"""VMs in one transaction: other writers wait for no longer than these take."""
PAUSE_SECONDS = 0.01
"""Between two of them, so that who waits to write has a turn: hosts that cannot report are soon taken for dead."""
REASON = "one of a crowd, made all at once"


def add_crowd(store: Store, bodies: Sequence[dict[str, Any]], *, ended: threading.Event) -> int:
    """Add running VMs as the API's bodies ask for them, until all are there or it is `ended`; gives how many."""
    added = 0
    while added < len(bodies) and not ended.wait(PAUSE_SECONDS):
        together = bodies[added : added + TOGETHER]
        with store.transaction() as session:
            for body in together:
                _add(session, **body)
        added += len(together)
    return added


def _add(session: Session, *, host: str, **body: Any) -> None:
    host_id = hosts.host(session, host).id
    vm, operation = vms.add_vm(session, host=host, **body)
    claims.claim(session, vm.id, host_id, reason=REASON)
    vms.bind_ports(session, vm.id, [host_id])
    vms.vm_became(session, vm.id, VmState.RUNNING)
    result = {"host_id": host_id, "host": host, "reason": REASON, "rejected": {}}
    operations.operation_became(session, operation.id, OperationState.DONE, result=result)

"""The store as the workflows see it: `ports.Records`, one transaction a call. No logic of its own."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from ringfence.decide.segmentation import Intent
from ringfence.errors import ErrorRecord, StoreBusy
from ringfence.model.hosts import Host, HostSnapshot
from ringfence.model.images import Image
from ringfence.model.ledger import Audit
from ringfence.model.names import HostId, OperationId, VmId, ZoneId
from ringfence.model.operations import Operation, OperationState, StepState
from ringfence.model.vms import Vm, VmSpec, VmState
from ringfence.model.zones import Zone
from ringfence.store import claims, company, hosts, ledger, ledger_audit, networks, operations, policies, vms, zones
from ringfence.store.engine import Store
from ringfence.store.ledger import Seal
from ringfence.store.tables import counters

T = TypeVar("T")
TRIES = 5


class StoredRecords:
    """Implements `ports.Records`. A transaction that lost a race (`StoreBusy`) did nothing, and is tried again."""

    def __init__(self, store: Store, *, seal: Seal | None = None) -> None:
        self._store = store
        self._seal = seal

    def operation(self, operation_id: OperationId) -> Operation:
        return self._read(lambda session: operations.operation(session, operation_id))

    def unfinished_operations(self) -> Sequence[Operation]:
        return self._read(operations.unfinished_operations)

    def step_began(self, operation_id: OperationId, number: int, name: str) -> None:
        # After a power cut that takes it back, the step is done again, and says again that it began.
        self._write(lambda session: operations.step_began(session, operation_id, number, name), losable=True)

    def step_ended(self, operation_id: OperationId, number: int, state: StepState, detail: str) -> None:
        self._write(lambda session: operations.step_ended(session, operation_id, number, state, detail))

    def operation_became(
        self,
        operation_id: OperationId,
        state: OperationState,
        *,
        error: ErrorRecord | None = None,
        result: Mapping[str, Any] | None = None,
    ) -> None:
        self._write(
            lambda session: operations.operation_became(session, operation_id, state, error=error, result=result)
        )

    def vm(self, vm_id: VmId) -> Vm:
        return self._read(lambda session: vms.vm(session, vm_id))

    def vms(self) -> Sequence[Vm]:
        return self._read(vms.all_vms)

    def vm_spec(self, vm_id: VmId) -> VmSpec:
        return self._read(lambda session: vms.vm_spec(session, vm_id))

    def vm_became(self, vm_id: VmId, state: VmState) -> None:
        self._write(lambda session: vms.vm_became(session, vm_id, state))

    def forget_vm(self, vm_id: VmId) -> None:
        self._write(lambda session: vms.forget_vm(session, vm_id))

    def image_of(self, vm_id: VmId) -> Image:
        return self._read(lambda session: vms.image_of(session, vm_id))

    def zones(self) -> Mapping[ZoneId, Zone]:
        return self._read(zones.all_zones)

    def hosts(self) -> Sequence[Host]:
        return self._read(hosts.all_hosts)

    def host(self, host_id: HostId) -> Host:
        return self._read(lambda session: hosts.host(session, host_id))

    def host_snapshots(self) -> Sequence[HostSnapshot]:
        return self._read(hosts.host_snapshots)

    def claim(self, vm_id: VmId, host_id: HostId, *, reason: str, claimed_memory_mib: int | None = None) -> None:
        self._write(
            lambda session: claims.claim(session, vm_id, host_id, reason=reason, claimed_memory_mib=claimed_memory_mib)
        )

    def claimed_hosts(self, vm_id: VmId) -> Sequence[HostId]:
        return [HostId(host_id) for host_id in self._read(lambda session: claims.claims_of(session, vm_id))]

    def release(self, vm_id: VmId, host_id: HostId) -> None:
        self._write(lambda session: claims.release(session, vm_id, host_id))

    def settle(self, vm_id: VmId, host_id: HostId, *, reason: str) -> None:
        self._write(lambda session: claims.settle(session, vm_id, host_id, reason=reason))

    def bind_ports(self, vm_id: VmId, host_ids: Sequence[HostId]) -> None:
        self._write(lambda session: vms.bind_ports(session, vm_id, host_ids))

    def company_refusals(self) -> Mapping[str, str]:
        with self._store.transaction() as session:
            return company.company_refusals(session)

    def ledger_audit(self) -> Audit | None:
        if self._seal is None:
            return None
        seal = self._seal
        while True:
            with self._store.transaction() as session:
                if ledger.sequence(session, seal) == 0:
                    break
        found = self._read(lambda session: ledger_audit.audit(session, seal, since_last=True))
        self._write(lambda session: ledger_audit.remember(session, found))
        return found

    def intent(self) -> Intent:
        return self._read(_intent)

    def _read(self, read: Callable[[Session], T]) -> T:
        with self._store.reading() as session:
            return read(session)

    def _write(self, write: Callable[[Session], None], *, losable: bool = False) -> None:
        for attempt in range(TRIES):
            try:
                with self._store.losable() if losable else self._store.transaction() as session:
                    write(session)
            except StoreBusy:
                if attempt == TRIES - 1:
                    raise
                time.sleep(random.uniform(0.01, 0.05) * 2**attempt)  # noqa: S311
            else:
                return


def _intent(session: Session) -> Intent:
    revision = session.execute(select(counters.c.value).where(counters.c.name == "intent")).scalar_one()
    present = vms.all_vms(session)
    return Intent(
        revision=revision,
        networks=networks.all_networks(session),
        vms=present,
        ports=tuple(port for vm in present for port in vm.ports),
        policies=policies.all_policies(session),
    )

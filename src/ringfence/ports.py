"""What workflows need from the world, as Protocols; `adapters`, `store` and `fakes` implement them. No code here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ringfence.decide.segmentation import Fabric, Intent
from ringfence.errors import ErrorRecord
from ringfence.model.hosts import Host, HostSnapshot
from ringfence.model.images import Image
from ringfence.model.ledger import Audit
from ringfence.model.names import HostId, OperationId, VmId, ZoneId
from ringfence.model.operations import Operation, OperationState, StepState
from ringfence.model.vms import Vm, VmSpec, VmState
from ringfence.model.zones import Zone
from ringfence.wire import AnyResult, AnyVerb


class Hypervisors(Protocol):
    """Every host's agent, reached through its mailbox."""

    def ask(self, host_id: HostId, verb: AnyVerb, *, key: str, patience_seconds: float) -> AnyResult:
        """Have the host do the verb; the same key is the same command, sent once.

        Raises the error the agent answered with, or `HostUnreachable` when it did not answer in time. A command that
        no agent had fetched by then is withdrawn first, so that it can never be done later.
        """
        ...

    def withdraw(self, host_id: HostId, *, key: str) -> bool:
        """Take a command back; True if no agent ever had it, or there is none of that key."""
        ...


class Fence(Protocol):
    """The switches of every host, through OVN."""

    def apply(self, wanted: Fabric) -> Sequence[str]:
        """Make the northbound say `wanted`, as the smallest change, in one transaction; tell what was changed.

        A `wanted` of an older revision than the one applied last is not applied, and tells nothing.
        """
        ...

    def observe(self, wanted: Fabric) -> Sequence[str]:
        """Tell what `apply(wanted)` would change, changing nothing: the drift."""
        ...

    def wait_in_force(self, host_ids: Sequence[HostId], *, timeout_seconds: float) -> None:
        """Return once the switches of these hosts follow the northbound as it is now; raises `FenceLate`."""
        ...

    def release_address(self, address: str, *, keep: HostId | None) -> None:
        """Have no switch at this underlay address but the one of host `keep`, and no tunnel to any other."""
        ...

    def bound_hosts(self, port_id: str) -> Sequence[HostId]:
        """The hosts whose switches have the port bound at this moment; the first is the one that sends and receives."""
        ...


class Records(Protocol):
    """The store, as workflows use it. Each call is one transaction."""

    # operations
    def operation(self, operation_id: OperationId) -> Operation: ...
    def unfinished_operations(self) -> Sequence[Operation]: ...
    def step_began(self, operation_id: OperationId, number: int, name: str) -> None: ...
    def step_ended(self, operation_id: OperationId, number: int, state: StepState, detail: str) -> None: ...
    def operation_became(
        self,
        operation_id: OperationId,
        state: OperationState,
        *,
        error: ErrorRecord | None = None,
        result: Mapping[str, Any] | None = None,
    ) -> None: ...

    # VMs and their place
    def vm(self, vm_id: VmId) -> Vm:
        """Raises `NotFound`."""
        ...

    def vms(self) -> Sequence[Vm]: ...
    def vm_spec(self, vm_id: VmId) -> VmSpec: ...
    def vm_became(self, vm_id: VmId, state: VmState) -> None: ...
    def forget_vm(self, vm_id: VmId) -> None:
        """Remove the VM, its ports and its claims; no error if it is gone."""
        ...

    def image_of(self, vm_id: VmId) -> Image: ...
    def zones(self) -> Mapping[ZoneId, Zone]: ...
    def hosts(self) -> Sequence[Host]: ...
    def host(self, host_id: HostId) -> Host: ...
    def host_snapshots(self) -> Sequence[HostSnapshot]: ...

    def claim(self, vm_id: VmId, host_id: HostId, *, reason: str, claimed_memory_mib: int | None = None) -> None:
        """Take the VM's place on the host; again is no error.

        The first claim of a VM also makes it the VM's host; another one is a move's destination. Raises `ZoneForbids`
        or `CapacityExceeded`, from constraints in the database, whatever anyone decided before; and `HostFilledUp` if
        more memory is claimed there than `claimed_memory_mib`, what was when the host was chosen.
        """
        ...

    def claimed_hosts(self, vm_id: VmId) -> Sequence[HostId]:
        """The hosts on which the VM has a claim: its own, and what a move may have left another one."""
        ...

    def release(self, vm_id: VmId, host_id: HostId) -> None:
        """Give the VM's place on the host back; again is no error."""
        ...

    def settle(self, vm_id: VmId, host_id: HostId, *, reason: str) -> None:
        """Make a host on which the VM has a claim the VM's host; the claim on the other one stays until released."""
        ...

    def bind_ports(self, vm_id: VmId, host_ids: Sequence[HostId]) -> None:
        """Say which hosts may bind the VM's ports: none, its host, or a move's source and destination, in order."""
        ...

    def company_refusals(self) -> Mapping[str, str]:
        """Try, and undo, to put VMs beside zones that do not mix: what was tried → what the database answered.

        "" where it let the attempt pass; empty where there are no two zones apart to try it with.
        """
        ...

    # the ledger
    def ledger_audit(self) -> Audit | None:
        """Walk the ledger from where the last walk found it whole; None where no key of it is at hand."""
        ...

    # the fence
    def intent(self) -> Intent:
        """Everything the fence is compiled from, read in one transaction, with its revision."""
        ...

"""Which operation may begin on a VM in which state, and what state it is in meanwhile. Pure.

How an operation ends is the workflow's to say, not this module's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ringfence.errors import WrongState
from ringfence.model.operations import OperationKind
from ringfence.model.vms import Vm, VmState


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """The states an operation may begin in, and the state while it is under way."""

    begins_in: frozenset[VmState]
    meanwhile: VmState


TRANSITIONS: Mapping[OperationKind, Transition] = {
    OperationKind.START_VM: Transition(begins_in=frozenset({VmState.STOPPED}), meanwhile=VmState.STARTING),
    OperationKind.STOP_VM: Transition(begins_in=frozenset({VmState.RUNNING}), meanwhile=VmState.STOPPING),
    OperationKind.MOVE_VM: Transition(begins_in=frozenset({VmState.RUNNING}), meanwhile=VmState.MOVING),
    # A quarantined VM is one whose operation could not be ended; deleting it is how a person clears it away.
    OperationKind.DELETE_VM: Transition(
        begins_in=frozenset({VmState.RUNNING, VmState.STOPPED, VmState.QUARANTINED}), meanwhile=VmState.DELETING
    ),
}


def check_may_begin(vm: Vm, kind: OperationKind) -> VmState:
    """Give the state the VM is in while the operation is under way, or refuse it as `WrongState`."""
    transition = TRANSITIONS[kind]
    if vm.state not in transition.begins_in:
        needs = " or ".join(sorted(transition.begins_in))
        raise WrongState(kind="VM", name=vm.name, state=vm.state, verb=kind, needs=needs)
    return transition.meanwhile

"""A cloud in memory around the real store and the real workflows, and the promises it is held to at every moment."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.store.ledgers import new_key, place, tables_now, tables_told

from ringfence.controller.ledger_key import LedgerKey
from ringfence.decide.fabric import Fabric
from ringfence.decide.fabric_changes import diff_fabric
from ringfence.fakes.hypervisors import FakeHypervisors, Fault
from ringfence.model.hosts import Host, HostSnapshot, HostState
from ringfence.model.images import ImageFormat
from ringfence.model.names import HostId, OperationId, VmId
from ringfence.model.networks import FenceLate
from ringfence.model.operations import OperationKind
from ringfence.model.vms import Vm, VmState
from ringfence.store import flavors, hosts, images, networks, operations, policies, projects, vms, zones
from ringfence.store.engine import Store, open_store
from ringfence.store.records import StoredRecords
from ringfence.wire import AnyVerb, Heartbeat
from ringfence.workflows.runtime import Patience, Runtime, World
from ringfence.workflows.story import Stopping

HOSTS = ("lab-1", "lab-2", "lab-3")
ENDED = (VmState.RUNNING, VmState.STOPPED, VmState.QUARANTINED)


class SimulatedFence:
    """Switches that follow the northbound only when waited for; a host's switch knows what it knew last."""

    def __init__(self) -> None:
        self.northbound: Fabric | None = None
        self.in_force: dict[HostId, Fabric] = {}
        self.late: Callable[[HostId], bool] = lambda _host: False
        self.changed: Callable[[], None] = lambda: None

    def apply(self, wanted: Fabric) -> Sequence[str]:
        if self.northbound is not None and wanted.revision < self.northbound.revision:
            return ()
        before, self.northbound = self.northbound, wanted
        self.changed()
        return [f"{len(wanted.ports)} ports"] if before is None or before != wanted else []

    def observe(self, wanted: Fabric) -> Sequence[str]:
        if self.northbound is None:
            return ["everything"]
        return [str(change) for change in diff_fabric(self.northbound, wanted)]

    def wait_in_force(self, host_ids: Sequence[HostId], *, timeout_seconds: float) -> None:
        late = [host for host in host_ids if self.late(host)]
        if late:
            raise FenceLate(hosts=list(late), timeout_seconds=timeout_seconds)
        assert self.northbound is not None
        for host in host_ids:
            self.in_force[host] = self.northbound
        self.changed()

    def release_address(self, address: str, *, keep: HostId | None) -> None:
        """Hosts have no addresses here."""

    def bound_hosts(self, port_id: str) -> Sequence[HostId]:
        return [host for host, fabric in self.in_force.items() if carries(fabric, port_id, host)]


def carries(fabric: Fabric | None, port_id: str, host: HostId) -> bool:
    """Whether the fabric lets the host bind the port."""
    if fabric is None or port_id not in fabric.ports:
        return False
    return host in fabric.ports[port_id].options["requested-chassis"].split(",")


class SimulatedRecords(StoredRecords):
    """The real store, in which a host is reachable when it lives, and not when its last heartbeat is young."""

    lives: Callable[[HostId], bool] = staticmethod(lambda _host: True)

    def hosts(self) -> Sequence[Host]:
        return [replace(host, reachable=self.lives(host.id)) for host in super().hosts()]

    def host(self, host_id: HostId) -> Host:
        return replace(super().host(host_id), reachable=self.lives(host_id))

    def host_snapshots(self) -> Sequence[HostSnapshot]:
        return [replace(host, reachable=self.lives(host.id)) for host in super().host_snapshots()]


class JumpingClock:
    """Time that passes only in pauses, at once; `passing` is told, so that a test can let things happen meanwhile."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.passing: Callable[[], None] = lambda: None
        self.ending = False

    def now(self) -> float:
        return self.seconds

    def pause(self, seconds: float) -> None:
        self.check()
        self.seconds += max(seconds, 1.0)
        self.passing()

    def check(self) -> None:
        if self.ending:
            raise Stopping


@dataclass
class Cloud:
    """Three hosts, zones red and blue that do not mix, and one of everything a VM needs."""

    folder: Path
    store: Store
    records: StoredRecords
    hypervisors: FakeHypervisors
    fence: SimulatedFence
    host_ids: dict[str, HostId]
    patience: Patience = field(default_factory=Patience)
    clock: JumpingClock = field(default_factory=JumpingClock)
    broken: list[str] = field(default_factory=list)
    runtime: Runtime | None = None
    ledger_key: LedgerKey = field(default_factory=new_key)

    @classmethod
    def build(cls, folder: Path, *, template: Path | None = None) -> Cloud:
        """Make a cloud, with its databases copied from the folder of one made before."""
        if template is not None:
            for file in template.iterdir():
                shutil.copy(file, folder / file.name)
        store = open_store(f"sqlite:///{folder}/store.sqlite")
        if template is None:
            _furnish(store)
        with store.reading() as session:
            host_ids = {host.name: host.id for host in hosts.all_hosts(session)}
        hypervisors, fence = FakeHypervisors(list(host_ids.values())), SimulatedFence()
        cloud = cls(folder, store, SimulatedRecords(store), hypervisors, fence, host_ids)
        cloud.records.lives = lambda host_id: hypervisors.hosts[host_id].alive  # type: ignore[method-assign]
        hypervisors.changed = fence.changed = cloud.look
        return cloud

    def launch(self) -> Runtime:
        world = World(records=self.records, hypervisors=self.hypervisors, fence=self.fence)
        self.clock.ending = False
        database = f"sqlite:///{self.folder}/workflows.sqlite"
        self.runtime = Runtime(world, database=database, executor_id="sim", patience=self.patience, clock=self.clock)
        self.runtime.launch()
        return self.runtime

    def stop(self) -> None:
        assert self.runtime is not None
        self.clock.ending = True
        self.runtime.stop()
        self.runtime = None

    def close(self) -> None:
        if self.runtime is not None:
            self.stop()
        self.store.close()

    # what users ask

    def ask_create(self, name: str, zone: str = "red", host: str | None = None) -> tuple[VmId, OperationId]:
        with self.store.transaction() as session:
            vm, operation = vms.add_vm(
                session, name=name, project="shop", zone=zone, flavor="small", image="tiny", networks=["net"], host=host
            )
        return vm.id, operation.id

    def ask(self, vm_id: VmId, kind: OperationKind, **asked: Any) -> OperationId:
        with self.store.transaction() as session:
            return vms.begin_vm_operation(session, vm_id, kind, asked).id

    def ask_fence(self) -> OperationId:
        with self.store.transaction() as session:
            added = operations.add_operation(
                session, kind=OperationKind.APPLY_FENCE, subject_id="all", subject_name="fence"
            )
        return added.id

    def run(self, operation_id: OperationId, *, timeout_seconds: float = 30) -> Any:
        assert self.runtime is not None
        self.runtime.start(operation_id)
        return self.runtime.wait(operation_id, timeout_seconds=timeout_seconds)

    def must(self, vm_id: VmId, kind: OperationKind) -> None:
        """Run an operation that has no reason to fail."""
        operation = self.run(self.ask(vm_id, kind))
        assert operation.error is None, operation.error

    def new_vm(self, name: str, zone: str = "red", host: str | None = None) -> VmId:
        vm_id, operation_id = self.ask_create(name, zone, host)
        operation = self.run(operation_id)
        assert operation.error is None, operation.error
        return vm_id

    # what must hold

    def look(self) -> None:
        """Note every promise that is broken at this moment. Called at every change of a host or of the fence."""
        for host_id, host in self.hypervisors.hosts.items():
            zones_here = {vm.zone for vm in host.running()}
            if len(zones_here) > 1:
                self.broken.append(f"promise 2: {sorted(zones_here)} run on one host")
            for vm in host.running():
                for nic in vm.nics:
                    if not carries(self.fence.in_force.get(host_id), nic.port_id, host_id) and not self._cut_off(nic):
                        self.broken.append(f"promise 1: {vm.name} runs where no fence in force knows its port")
        for vm_id in {vm_id for host in self.hypervisors.hosts.values() for vm_id in host.domains}:
            running = [h.host_id for h in self.hypervisors.hosts.values() if _state(h, vm_id) == "running"]
            if len(running) > 1:
                self.broken.append(f"VM {vm_id} runs twice")

    def _cut_off(self, nic: Any) -> bool:
        # A port that nobody may carry any more passes nothing: that is closed, not open.
        fabric = self.fence.northbound
        port = fabric.ports.get(nic.port_id) if fabric else None
        return port is None or port.options["requested-chassis"] == "-"

    def check(self) -> None:
        """Assert that all is whole: nothing under way, nothing left over, every record true."""
        assert self.broken == []
        assert [op.kind for op in self.records.unfinished_operations()] == []
        known = {vm.id: vm for vm in self.records.vms()}
        for host_id, host in self.hypervisors.hosts.items():
            for vm_id in {*host.disks, *host.domains, *host.windows}:
                vm = known.get(VmId(vm_id))
                assert vm is not None, f"orphan of {vm_id} on {host_id}"
                assert vm.host_id == host_id or vm.state is VmState.QUARANTINED, (
                    f"{vm.name} left something on {host_id}"
                )
            assert not host.windows, "a window was left open"
        for vm in known.values():
            self._check_vm(vm)
        intent = self.records.intent()
        if self.fence.northbound is not None:
            assert set(self.fence.northbound.ports) == {port.id for port in intent.ports}, "orphan in the fence"
            assert self.fence.observe(_compiled(intent)) == [], "the fence is not what it should be"
        entries = place(self.store, self.ledger_key)
        with self.store.reading() as session:
            assert tables_told(entries) == tables_now(session), "the ledger does not tell what is"

    def _check_vm(self, vm: Vm) -> None:
        assert vm.state in ENDED, f"{vm.name} is left {vm.state}"
        if vm.state is VmState.QUARANTINED:
            return
        assert list(self.records.claimed_hosts(vm.id)) == [vm.host_id]
        state = _state(self.hypervisors.hosts[vm.host_id], vm.id) if vm.host_id else ""
        if vm.state is VmState.RUNNING:
            assert vm.host_id is not None
            lost = vm.id in self.hypervisors.hosts[vm.host_id].lost
            assert state == "running" or lost, f"{vm.name} is said to run and is {state!r}"
        else:
            assert state != "running", f"{vm.name} is said to be stopped and runs"
        expected = (vm.host_id,) if vm.state is VmState.RUNNING else ()
        assert all(port.hosts == expected for port in vm.ports), f"{vm.name} {vm.state}: ports on {vm.ports}"


_HEARTBEAT = Heartbeat(
    protocol=1, agent_version="fake", vcpus=128, memory_mib=131072, disk_bytes=1 << 44, facts={}, vms=()
)


def _furnish(store: Store) -> None:
    with store.transaction() as session:
        zones.add_zone(session, name="red", colour="red", classification="secret")
        zones.add_zone(session, name="blue", colour="blue", classification="public")
        projects.add_project(session, name="shop", owner="ann@example.org")
        flavors.add_flavor(session, name="small", vcpus=1, memory_mib=1024, disk_bytes=1 << 30)
        images.add_image(
            session,
            name="tiny",
            digest="sha256:" + "ab" * 32,
            format=ImageFormat.QCOW2,
            file_bytes=1 << 24,
            virtual_bytes=1 << 28,
            source="file",
        )
        networks.add_network(session, name="net", cidr="10.9.0.0/24")
        for number, name in enumerate(HOSTS, start=1):
            host = hosts.add_host(session, name=name, underlay_address=f"192.0.2.{number}", state=HostState.READY)
            hosts.heartbeat(session, host.id, _HEARTBEAT)


def _state(host: Any, vm_id: str) -> str:
    domain = host.domains.get(vm_id)
    return domain.state if domain else ""


def _compiled(intent: Any) -> Fabric:
    from ringfence.decide.segmentation import compile_fabric  # noqa: PLC0415 - one use

    return compile_fabric(intent)


__all__ = ["AnyVerb", "Cloud", "Fault", "policies"]

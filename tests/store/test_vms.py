"""VMs: born whole, owned, in one zone and project for life; one operation at a time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ringfence.errors import Invalid, NameTaken, NotFound, StaleRevision, WrongState
from ringfence.model.images import ImageFormat, ImageState
from ringfence.model.operations import OperationKind, OperationState
from ringfence.model.vms import VmState
from ringfence.store import accounts, claims, images, operations, projects, vms, zones
from ringfence.store.engine import Store, make_engine

pytestmark = pytest.mark.store


def test_a_vm_is_born_with_owner_ports_and_operation(cloud):
    host = cloud.add_host("h1")
    with cloud.store.transaction() as session:
        vm, operation = vms.add_vm(
            session,
            name="r",
            project="shop",
            zone="red",
            flavor="small",
            image="tiny",
            networks=["web"],
            labels={"tier": "web"},
            user_data="#cloud-config",
            host="h1",
        )
    assert (vm.state, vm.owner, vm.host_id, vm.labels) == (VmState.CREATING, "ann@example.org", None, {"tier": "web"})
    assert [port.vm_id for port in vm.ports] == [vm.id]
    assert (operation.kind, operation.state, operation.subject_id) == (
        OperationKind.CREATE_VM,
        OperationState.PENDING,
        vm.id,
    )
    assert operation.asked == {"vm_id": vm.id, "host_id": host}
    with cloud.store.reading() as session:
        assert vms.vm(session, vm.id) == vm


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"zone": "none"}, NotFound),
        ({"image": "none"}, NotFound),
        ({"host": "none"}, NotFound),
        ({"networks": ["web", "none"]}, NotFound),
        ({"networks": ["web"] * 9}, Invalid),
        ({"labels": {"UPPER": "x"}}, Invalid),
        ({"owner": " "}, NotFound),
        ({"owner": "nobody"}, NotFound),
        ({"user_data": "ä" * 9000}, Invalid),
    ],
)
def test_a_vm_that_cannot_be_born_leaves_nothing(cloud, asked, error):
    with pytest.raises(error):
        cloud.add_vm("r", **asked)
    with cloud.store.reading() as session:
        assert vms.all_vms(session) == ()
        assert operations.operations(session).items == ()


def test_an_image_that_is_not_ready_or_too_large_starts_no_vm(cloud):
    facts = {"digest": "sha256:x", "format": ImageFormat.RAW, "file_bytes": 1, "source": "upload"}
    with cloud.store.transaction() as session:
        images.add_image(session, name="new", virtual_bytes=1, state=ImageState.IMPORTING, **facts)
        images.add_image(session, name="large", virtual_bytes=2**40, **facts)
    with pytest.raises(WrongState):
        cloud.add_vm("r", image="new")
    with pytest.raises(Invalid):
        cloud.add_vm("r", image="large")


def test_a_vms_name_is_unique_within_its_project_only(cloud):
    cloud.add_vm("r")
    with pytest.raises(NameTaken) as refused:
        cloud.add_vm("r", zone="blue")
    assert refused.value.facts == {"kind": "VM", "name": "r"}
    with cloud.store.transaction() as session:
        projects.add_project(session, name="other", owner="bob")
    assert cloud.add_vm("r", project="other").owner == "bob"


def test_vms_are_listed_by_what_is_asked_for(cloud):
    host = cloud.add_host("h1")
    red, blue = cloud.add_vm("r"), cloud.add_vm("b", zone="blue")
    with cloud.store.transaction() as session:
        claims.claim(session, red.id, host, reason="")
        vms.vm_became(session, red.id, VmState.RUNNING)

        def listed(**asked):
            return [vm.name for vm in vms.vms(session, **asked).items]

        assert listed() == ["r", "b"]
        assert listed(zone="blue") == listed(name="b") == listed(state=VmState.CREATING) == ["b"]
        assert listed(host="h1") == listed(project="shop", limit=1) == ["r"]
        assert listed(after=red.id) == [blue.name]
        with pytest.raises(NotFound):
            listed(zone="none")


def test_names_of_all_that_vms_refer_to_are_read_at_once(cloud):
    host = cloud.add_host("h1")
    vm = cloud.add_vm("r")
    with cloud.store.transaction() as session:
        claims.claim(session, vm.id, host, reason="")
        vm = vms.vm(session, vm.id)
        names = vms.vm_names(session, [vm])
    assert names.zones[vm.zone_id] == "red"
    assert names.projects[vm.project_id] == "shop"
    assert names.flavors[vm.flavor_id] == "small"
    assert names.images[vm.image_id] == "tiny"
    assert names.hosts[host] == "h1"
    assert names.networks[vm.ports[0].network_id] == "web"


def test_labels_and_owner_change_at_their_revision(cloud):
    vm = cloud.add_vm("r")
    with cloud.store.transaction() as session:
        accounts.person_named(session, "bob")
        changed = vms.change_vm(session, vm.id, revision=1, labels={"tier": "app"}, owner="bob")
        assert (changed.labels, changed.owner, changed.revision) == ({"tier": "app"}, "bob", 2)
        assert vms.change_vm(session, vm.id, labels={}).labels == {}
    with pytest.raises(StaleRevision), cloud.store.transaction() as session:
        vms.change_vm(session, vm.id, revision=1, owner="eve")
    with pytest.raises(NotFound), cloud.store.transaction() as session:
        vms.change_vm(session, vm.id, owner="nobody")


@pytest.mark.parametrize(
    ("kind", "begins", "meanwhile"),
    [
        (OperationKind.START_VM, VmState.STOPPED, VmState.STARTING),
        (OperationKind.STOP_VM, VmState.RUNNING, VmState.STOPPING),
        (OperationKind.MOVE_VM, VmState.RUNNING, VmState.MOVING),
        (OperationKind.DELETE_VM, VmState.QUARANTINED, VmState.DELETING),
    ],
)
def test_an_operation_begins_in_its_state_and_only_once(cloud, kind, begins, meanwhile):
    vm = cloud.add_vm("r")
    with pytest.raises(WrongState), cloud.store.transaction() as session:
        vms.begin_vm_operation(session, vm.id, kind)
    with cloud.store.transaction() as session:
        vms.vm_became(session, vm.id, begins)
        operation = vms.begin_vm_operation(session, vm.id, kind, {"host_id": None})
        assert operation.asked == {"vm_id": vm.id, "host_id": None}
        assert vms.vm(session, vm.id).state is meanwhile
    with pytest.raises(WrongState), cloud.store.transaction() as session:
        vms.begin_vm_operation(session, vm.id, kind)


def test_of_two_operations_that_begin_at_once_one_is_refused(cloud, url):
    vm = cloud.add_vm("r")
    with cloud.store.transaction() as session:
        vms.vm_became(session, vm.id, VmState.RUNNING)
    start = threading.Barrier(2, timeout=20)

    def begin(kind: OperationKind) -> bool:
        own = Store(make_engine(url))
        start.wait()
        try:
            with own.transaction() as session:
                vms.begin_vm_operation(session, vm.id, kind)
        except WrongState:
            return False
        else:
            return True
        finally:
            own.close()

    with ThreadPoolExecutor(2) as threads:
        begun = list(threads.map(begin, [OperationKind.DELETE_VM, OperationKind.MOVE_VM]))
    assert sorted(begun) == [False, True]


def test_what_a_host_is_told_of_a_vm_is_complete(cloud):
    vm = cloud.add_vm("r", user_data="#cloud-config")
    with cloud.store.transaction() as session:
        zones.change_zone(session, "red", mixes_with=["blue"])
        spec = vms.vm_spec(session, vm.id)
    assert (spec.zone, spec.mixes_with, spec.project, spec.owner) == ("red", (cloud.blue.id,), "shop", vm.owner)
    assert (spec.vcpus, spec.memory_mib, spec.disk_bytes) == (1, 256, 2**30)
    assert (spec.image_digest, spec.image_format) == ("sha256:" + "0" * 64, ImageFormat.QCOW2)
    assert [(nic.port_id, nic.prefix_length, nic.mtu) for nic in spec.nics] == [(vm.ports[0].id, 24, 1442)]
    assert spec.user_data == "#cloud-config"


def test_a_forgotten_vm_leaves_no_port_and_no_claim(cloud):
    host = cloud.add_host("h1")
    vm = cloud.add_vm("r")
    with cloud.store.transaction() as session:
        claims.claim(session, vm.id, host, reason="")
        vms.bind_ports(session, vm.id, [host])
        vms.forget_vm(session, vm.id)
        vms.forget_vm(session, vm.id)
        assert claims.claims_of(session, vm.id) == ()
    with pytest.raises(NotFound), cloud.store.reading() as session:
        vms.vm(session, vm.id)

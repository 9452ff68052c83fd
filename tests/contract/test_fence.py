"""What every fence does, the fake and the real one alike; `ovn` is a real northbound, southbound and northd."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest
from tests.contract.ovn import Central, SwitchHost, running_central, running_hosts

from ringfence.adapters.northbound import OvnFence
from ringfence.decide.fabric import Fabric
from ringfence.decide.segmentation import Intent, compile_fabric
from ringfence.fakes.fence import FakeFence
from ringfence.model.names import FlavorId, HostId, ImageId, NetworkId, PolicyId, PortId, ProjectId, VmId, ZoneId
from ringfence.model.networks import FenceLate, FenceUnreachable, Network, Port
from ringfence.model.policies import Policy, Protocol, Selector
from ringfence.model.vms import Vm, VmState

pytestmark = pytest.mark.contract

NETWORK = Network(id=NetworkId("net"), name="net", cidr="10.1.0.0/24")
RED = Selector(zone_id=ZoneId("red"))
H1, H2 = HostId("h1"), HostId("h2")
WITHIN_RED = Policy(id=PolicyId("1"), name="within", source=RED, target=RED, protocol=Protocol.TCP, ports=(80,))


def intent(revision: int, *hosts: HostId, policies: tuple[Policy, ...] = (WITHIN_RED,), vms: int = 2) -> Intent:
    return Intent(
        revision=revision,
        networks=(NETWORK,),
        vms=tuple(
            Vm(
                id=VmId(f"vm{n}"), name=f"vm{n}", project_id=ProjectId("p"), zone_id=ZoneId("red"), owner="o",
                flavor_id=FlavorId("f"), image_id=ImageId("i"), state=VmState.RUNNING, labels={}, ports=(),
            )
            for n in range(vms)
        ),
        ports=tuple(
            Port(
                id=PortId(f"port{n}"), vm_id=VmId(f"vm{n}"), network_id=NETWORK.id, mac=f"52:54:00:00:00:{n:02x}",
                address=f"10.1.0.{10 + n}", hosts=hosts,
            )
            for n in range(vms)
        ),
        policies=policies,
    )  # fmt: skip


@pytest.fixture(scope="module")
def central() -> Iterator[Central]:
    with running_central(Path(mkdtemp(prefix="rf"))) as central:
        yield central


@pytest.fixture(params=["fake", "ovn"])
def fence(request: pytest.FixtureRequest) -> Iterator[FakeFence | OvnFence]:
    if request.param == "fake":
        yield FakeFence()
        return
    central: Central = request.getfixturevalue("central")
    central.nbctl("--", "clear", "NB_Global", ".", "external_ids")
    ovn = OvnFence(northbound=central.northbound, southbound=central.southbound, patience_seconds=20)
    ovn.apply(Fabric(revision=0))
    central.nbctl("--", "clear", "NB_Global", ".", "external_ids")
    yield ovn
    ovn.close()


def test_what_was_applied_is_no_drift_and_applying_it_again_changes_nothing(fence: FakeFence | OvnFence) -> None:
    wanted = compile_fabric(intent(1, H1))
    foreseen = fence.observe(wanted)
    assert fence.apply(wanted) == foreseen != ()
    assert fence.observe(wanted) == ()
    assert fence.apply(wanted) == ()


def test_an_older_revision_never_overwrites_a_newer_one(fence: FakeFence | OvnFence) -> None:
    newer = compile_fabric(intent(7, H1, policies=()))
    fence.apply(newer)
    assert fence.apply(compile_fabric(intent(6, H1))) == ()
    assert fence.observe(newer) == ()


def test_a_fabric_taken_back_leaves_nothing(fence: FakeFence | OvnFence) -> None:
    empty = compile_fabric(Intent(revision=2, networks=(), vms=(), ports=(), policies=()))
    fence.apply(compile_fabric(intent(1, H1)))
    fence.apply(empty)
    assert fence.observe(empty) == ()


def test_of_many_threads_that_apply_the_newest_revision_stays(fence: FakeFence | OvnFence) -> None:
    fabrics = [compile_fabric(intent(1 + n, H1, vms=1 + n)) for n in range(8)]
    threads = [threading.Thread(target=fence.apply, args=(fabric,)) for fabric in fabrics]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert fence.observe(fabrics[-1]) == ()


def test_waiting_for_nobody_returns(fence: FakeFence | OvnFence) -> None:
    fence.apply(compile_fabric(intent(1)))
    fence.wait_in_force([], timeout_seconds=0)


def test_a_port_that_no_host_has_is_bound_nowhere(fence: FakeFence | OvnFence) -> None:
    fence.apply(compile_fabric(intent(1)))
    assert tuple(fence.bound_hosts("port0")) == ()


def test_two_controllers_racing_leave_the_newest_revision(central: Central) -> None:
    central.nbctl("--", "clear", "NB_Global", ".", "external_ids")
    fences = [OvnFence(northbound=central.northbound, southbound=central.southbound) for _ in range(3)]
    fabrics = [compile_fabric(intent(1 + n, H1, vms=1 + n % 5)) for n in range(15)]
    threads = [
        threading.Thread(
            target=lambda fence, mine: [fence.apply(fabric) for fabric in mine], args=(fence, fabrics[n::3])
        )
        for n, fence in enumerate(fences)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [fence.observe(fabrics[-1]) for fence in fences] == [(), (), ()]
    rows = central.nbctl("--bare", "--columns=_uuid", "list", "ACL").split()
    assert len(rows) == len(fabrics[-1].rules), "a race left rows twice"
    for fence in fences:
        fence.close()


@pytest.mark.parametrize(
    "tampering",
    [
        ("acl-add", "net", "from-lport", "3000", "1", "allow"),
        ("acl-del", "net", "to-lport"),
        ("lsp-set-port-security", "port0"),
        ("lsp-set-addresses", "port0", "unknown"),
        ("lsp-set-options", "port0", "requested-chassis="),
        ("lsp-add", "net", "stranger"),
        ("pg-add", "theirs", "port0"),
        ("pg-del", "@red"),
        ("lsp-del", "port1"),
        ("set", "Logical_Switch", "net", "other_config:mcast_snoop=true"),
        ("clear", "Logical_Switch_Port", "port0", "dhcpv4_options"),
        ("clear", "Logical_Switch_Port", "port0", "external_ids"),
        ("lsp-set-enabled", "port0", "disabled"),
        ("ls-del", "net"),
    ],
    ids=lambda tampering: "-".join(tampering[:2]),
)
def test_whatever_is_altered_in_the_northbound_is_seen_and_set_right(
    central: Central, tampering: tuple[str, ...]
) -> None:
    central.nbctl("--", "clear", "NB_Global", ".", "external_ids")
    fence = OvnFence(northbound=central.northbound, southbound=central.southbound)
    try:
        wanted = compile_fabric(intent(1, H1))
        fence.apply(wanted)
        group = next(iter(wanted.groups))
        central.nbctl(*(part.replace("@red", group) for part in tampering))
        # Another client's write reaches this replica when it does: OVSDB promises order, not a moment.
        central.programs.await_true(lambda: fence.observe(wanted), "the drift to be seen", seconds=10)
        assert fence.apply(wanted) != ()
        assert fence.observe(wanted) == ()
    finally:
        fence.close()


def test_a_northbound_that_is_gone_is_unreachable_and_found_again() -> None:
    folder = Path(mkdtemp(prefix="rf"))
    with running_central(folder) as central:
        fence = OvnFence(northbound=central.northbound, southbound=central.southbound, patience_seconds=20)
        fence.apply(compile_fabric(intent(1, H1)))
        central.programs.stop("nb")
        (folder / "nb.sock").unlink(missing_ok=True)
        fence._patience_seconds = 0.5
        with pytest.raises(FenceUnreachable):
            fence.apply(compile_fabric(intent(2, H1)))
        fence._patience_seconds = 20
        central.start_database("nb")
        fence.apply(compile_fabric(intent(3, H1, vms=3)))
        assert fence.observe(compile_fabric(intent(3, H1, vms=3))) == ()
        fence.close()


class TestHosts:
    """With two switches that follow the southbound."""

    @pytest.fixture(scope="class")
    def hosts(self, central: Central) -> Iterator[list[SwitchHost]]:
        with running_hosts(central, [H1, H2]) as hosts:
            yield hosts

    @pytest.fixture
    def ovn(self, central: Central) -> Iterator[OvnFence]:
        central.nbctl("--", "clear", "NB_Global", ".", "external_ids")
        fence = OvnFence(northbound=central.northbound, southbound=central.southbound, patience_seconds=20)
        yield fence
        fence.close()

    def test_only_the_hosts_named_are_waited_for(self, ovn: OvnFence, hosts: list[SwitchHost]) -> None:
        ovn.apply(compile_fabric(intent(1, H1)))
        ovn.wait_in_force([H1, H2], timeout_seconds=20)
        hosts[1].programs.stop("controller")
        try:
            ovn.apply(compile_fabric(intent(2, H1, vms=3)))
            ovn.wait_in_force([H1], timeout_seconds=20)
            with pytest.raises(FenceLate) as late:
                ovn.wait_in_force([H1, H2], timeout_seconds=0.5)
            assert late.value.hosts == ["h2"]
        finally:
            (hosts[1].folder / "controller.ctl").unlink(missing_ok=True)
            hosts[1].start_controller()
        ovn.wait_in_force([H2], timeout_seconds=20)

    def test_a_port_is_bound_where_it_may_be_and_by_both_during_a_move(
        self, ovn: OvnFence, hosts: list[SwitchHost], central: Central
    ) -> None:
        ovn.apply(compile_fabric(intent(1, H1)))
        for host in hosts:
            host.plug("port0")
        await_true = central.programs.await_true
        await_true(lambda: ovn.bound_hosts("port0") == (H1,), "the port to be bound by its host alone")
        ovn.apply(compile_fabric(intent(2, H1, H2)))
        ovn.wait_in_force([H1, H2], timeout_seconds=20)
        await_true(lambda: ovn.bound_hosts("port0") == (H1, H2), "the port to be bound by both")
        ovn.apply(compile_fabric(intent(3, H2)))
        ovn.wait_in_force([H1, H2], timeout_seconds=20)
        await_true(lambda: ovn.bound_hosts("port0") == (H2,), "the port to be bound by the destination")
        ovn.apply(compile_fabric(intent(4)))
        ovn.wait_in_force([H1, H2], timeout_seconds=20)
        await_true(lambda: ovn.bound_hosts("port0") == (), "the port to be bound by nobody")

    def test_a_host_that_left_gives_up_its_address_and_all_tunnels_to_it(
        self, ovn: OvnFence, hosts: list[SwitchHost], central: Central
    ) -> None:
        stays, leaves = hosts
        await_true = central.programs.await_true
        tunnels = ("--bare", "--columns=options", "find", "Interface", "type=geneve")
        await_true(lambda: leaves.address in stays.vsctl(*tunnels), "the tunnel to the host that leaves")
        leaves.programs.stop("controller", with_signal=signal.SIGKILL)
        try:
            ovn.release_address(leaves.address, keep=H2)
            assert set(central.sbctl("--bare", "--columns=name", "list", "Chassis").split()) == {"h1", "h2"}
            ovn.release_address(leaves.address, keep=None)
            ovn.release_address(leaves.address, keep=None)
            for table in ("Chassis", "Chassis_Private"):
                assert central.sbctl("--bare", "--columns=name", "list", table).split() == ["h1"]
            await_true(lambda: leaves.address not in stays.vsctl(*tunnels), "the tunnel to go")
            ovn.wait_in_force([H1], timeout_seconds=20)
        finally:
            (leaves.folder / "controller.ctl").unlink(missing_ok=True)
            leaves.start_controller()
        ovn.wait_in_force([H1, H2], timeout_seconds=20)


def test_a_late_host_of_the_fake_keeps_the_fence_it_had() -> None:
    fence = FakeFence()
    fence.apply(compile_fabric(intent(1, H1, policies=())))
    fence.late.add(H1)
    fence.apply(compile_fabric(intent(2, H1)))
    assert fence.in_force(H1).revision == 1
    with pytest.raises(FenceLate):
        fence.wait_in_force([H1], timeout_seconds=0)
    fence.catch_up(H1)
    fence.wait_in_force([H1], timeout_seconds=0)
    assert fence.may_pass("port0", "port1", protocol="tcp", port=80)
    assert not fence.may_pass("port0", "port1", protocol="tcp", port=81)

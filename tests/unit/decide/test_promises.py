"""What a verification concludes from what it saw."""

from dataclasses import replace

import pytest

from ringfence.decide.promises import judge
from ringfence.model.evidence import CloudSighted, HostSighted, Promise, SeenDomain, SeenTunnel, Verdict
from ringfence.model.hosts import Host, HostState
from ringfence.model.ledger import Audit
from ringfence.model.names import FlavorId, HostId, ImageId, NetworkId, PortId, ProjectId, VmId, ZoneId
from ringfence.model.networks import Port
from ringfence.model.vms import Vm, VmState
from ringfence.model.zones import Zone

pytestmark = pytest.mark.unit

RED, BLUE = ZoneId("z-red"), ZoneId("z-blue")
H1, H2 = HostId("h-1"), HostId("h-2")


def zone(zone_id, *mixes):
    return Zone(id=zone_id, name=zone_id[2:], colour="", classification="", mixes_with=frozenset(mixes))


def host(host_id):
    return Host(id=host_id, name=f"host{host_id[-1]}", state=HostState.READY, underlay_address=f"192.0.2.{host_id[-1]}")


def vm(name, zone_id, host_id):
    port = Port(
        id=PortId(f"p-{name}"), vm_id=VmId(name), network_id=NetworkId("n"), mac="", address="", hosts=(host_id,)
    )
    return Vm(
        id=VmId(name),
        name=name,
        project_id=ProjectId("p"),
        zone_id=zone_id,
        owner="ann",
        flavor_id=FlavorId("f"),
        image_id=ImageId("i"),
        state=VmState.RUNNING,
        labels={},
        ports=(port,),
        host_id=host_id,
    )


def domain(name, zone_id, state="running"):
    return SeenDomain(vm_id=VmId(name), name=name, state=state, zone_id=zone_id)


def tunnel(*fellows):
    return SeenTunnel(fellows=frozenset(fellows), admitted_packets=40, refused_packets=2)


@pytest.fixture
def sound():
    """A cloud with nothing wrong: a red VM on one host, a blue one on the other."""
    return CloudSighted(
        hosts=(
            HostSighted(
                host=host(H1),
                domains=(domain("r", RED),),
                disks=(VmId("r"),),
                listening=("udp 0.0.0.0:6081",),
                tunnel=tunnel("192.0.2.2"),
            ),
            HostSighted(host=host(H2), domains=(domain("b", BLUE),), disks=(VmId("b"),), tunnel=tunnel("192.0.2.1")),
        ),
        vms=(vm("r", RED, H1), vm("b", BLUE, H2)),
        zones={RED: zone(RED), BLUE: zone(BLUE)},
        drift=(),
        fence_ports=2,
        late={},
        bound={"p-r": (H1,), "p-b": (H2,)},
        database_refusals={"red beside blue": "zone-forbids"},
        ledger=Audit(first=0, size=12, problems=()),
    )


def verdicts(seen, promise):
    return {finding.verdict for finding in judge(seen) if finding.promise is promise}


def first_sighted(seen, **changes):
    return replace(seen, hosts=(replace(seen.hosts[0], **changes), *seen.hosts[1:]))


def test_every_promise_has_a_finding_and_a_sound_cloud_breaks_none(sound):
    findings = judge(sound)
    assert {finding.promise for finding in findings} == set(Promise)
    assert not [finding for finding in findings if finding.verdict in (Verdict.BROKEN, Verdict.UNKNOWN)]


def test_simulated_hosts_show_no_promise(sound):
    for finding in judge(replace(sound, simulated=True)):
        assert finding.verdict in (Verdict.UNKNOWN, Verdict.PENDING), finding
        assert finding.seen == "simulated hosts prove nothing"


def test_a_ledger_that_was_not_walked_is_unknown(sound):
    assert Verdict.UNKNOWN in verdicts(replace(sound, ledger=None), Promise.CUSTODY)


def test_a_defect_found_on_simulated_hosts_is_still_told(sound):
    drifted = replace(sound, drift=("add rule x",), simulated=True)
    assert Verdict.BROKEN in verdicts(drifted, Promise.FENCE)
    assert not [finding for finding in judge(drifted) if finding.verdict is Verdict.KEPT]


def test_what_is_not_built_yet_is_pending_and_never_kept(sound):
    assert verdicts(sound, Promise.CLEARANCE) == {Verdict.PENDING}
    assert verdicts(sound, Promise.SECRETS) == {Verdict.PENDING}


BREAKS = {
    "a rule that the northbound lacks": (Promise.FENCE, lambda s: replace(s, drift=("add rule x",))),
    "a switch that does not follow": (Promise.FENCE, lambda s: replace(s, late={H1: "no answer for 10 s"})),
    "a port bound on a strange host": (Promise.FENCE, lambda s: replace(s, bound={**s.bound, "p-r": (H2,)})),
    "two zones apart on one host": (
        Promise.COMPANY,
        lambda s: first_sighted(s, domains=(domain("r", RED), domain("b", BLUE))),
    ),
    "a paused stranger on a host": (
        Promise.COMPANY,
        lambda s: first_sighted(s, domains=(domain("r", RED), domain("b", BLUE, "paused"))),
    ),
    "a domain without a zone": (Promise.COMPANY, lambda s: first_sighted(s, domains=(domain("r", ZoneId("")),))),
    "a database that lets strangers in": (
        Promise.COMPANY,
        lambda s: replace(s, database_refusals={"red beside blue": ""}),
    ),
    "a VM without an owner": (Promise.CUSTODY, lambda s: replace(s, vms=(replace(s.vms[0], owner=" "), s.vms[1]))),
    "an entry of the ledger that was changed": (
        Promise.CUSTODY,
        lambda s: replace(s, ledger=Audit(first=0, size=12, problems=("entry 7 is not the one that the tree holds",))),
    ),
    "a host that listens": (Promise.SILENCE, lambda s: first_sighted(s, listening=("tcp 0.0.0.0:22 sshd",))),
    "a TCP socket on the tunnel's port": (
        Promise.SILENCE,
        lambda s: first_sighted(s, listening=("tcp 0.0.0.0:6081 nc",)),
    ),
    "a tunnel that no firewall holds": (Promise.SILENCE, lambda s: first_sighted(s, tunnel=None)),
    "a stranger let into the tunnel": (
        Promise.SILENCE,
        lambda s: first_sighted(s, tunnel=tunnel("192.0.2.2", "192.0.2.9")),
    ),
    "an orphan domain": (
        Promise.WHOLE_OR_NOTHING,
        lambda s: first_sighted(s, domains=(domain("r", RED), domain("x", RED))),
    ),
    "an orphan disk": (Promise.WHOLE_OR_NOTHING, lambda s: first_sighted(s, disks=(VmId("r"), VmId("x")))),
    "a VM's leftover on another host": (
        Promise.WHOLE_OR_NOTHING,
        lambda s: first_sighted(s, disks=(VmId("r"), VmId("b"))),
    ),
    "a VM that should run and does not": (Promise.WHOLE_OR_NOTHING, lambda s: first_sighted(s, domains=())),
}


@pytest.mark.parametrize("broken", BREAKS)
def test_it_finds(sound, broken):
    promise, break_it = BREAKS[broken]
    assert Verdict.BROKEN in verdicts(break_it(sound), promise)


def test_a_host_that_does_not_answer_leaves_its_promises_unknown(sound):
    silent = first_sighted(sound, domains=None, why="no answer within 10 s")
    for promise in (Promise.COMPANY, Promise.SILENCE, Promise.WHOLE_OR_NOTHING):
        assert Verdict.UNKNOWN in verdicts(silent, promise)
        assert Verdict.BROKEN not in verdicts(silent, promise)


def test_what_an_operation_under_way_holds_is_no_orphan(sound):
    moving = first_sighted(sound, disks=(VmId("r"), VmId("b")))
    assert Verdict.BROKEN not in verdicts(replace(moving, busy=frozenset({VmId("b")})), Promise.WHOLE_OR_NOTHING)

"""Policies: rules that mean something, and come back as they were told."""

from __future__ import annotations

import pytest

from ringfence.errors import Invalid, StillUsed
from ringfence.model.policies import Protocol, Selector
from ringfence.store import policies, zones

pytestmark = pytest.mark.store


@pytest.fixture
def sides(cloud):
    return {
        "source": Selector(zone_id=cloud.blue.id),
        "target": Selector(zone_id=cloud.red.id, project_id=cloud.project.id, labels={"tier": "web"}),
    }


def test_a_policy_comes_back_as_it_was_told(cloud, sides):
    with cloud.store.transaction() as session:
        added = policies.add_policy(session, name="web", protocol=Protocol.TCP, ports=[443, 80, 80], **sides)
        assert policies.policy(session, added.id) == added
    assert (added.source, added.target, added.ports) == (sides["source"], sides["target"], (80, 443))


def test_a_selector_can_lose_its_zone_but_not_everything(cloud, sides):
    with cloud.store.transaction() as session:
        added = policies.add_policy(session, name="web", protocol=Protocol.TCP, **sides)
        changed = policies.change_policy(session, added.id, source=Selector(labels={"tier": "app"}))
        assert changed.source == Selector(labels={"tier": "app"})
    with pytest.raises(Invalid), cloud.store.transaction() as session:
        policies.change_policy(session, added.id, source=Selector())


@pytest.mark.parametrize(
    ("protocol", "ports"), [(Protocol.ICMP, [80]), (Protocol.TCP, [0]), (Protocol.UDP, [65536]), (Protocol.ANY, [1])]
)
def test_ports_that_mean_nothing_are_refused(cloud, sides, protocol, ports):
    with pytest.raises(Invalid), cloud.store.transaction() as session:
        policies.add_policy(session, name="odd", protocol=protocol, ports=ports, **sides)


def test_a_protocol_that_has_no_ports_is_refused_while_there_are_ports(cloud, sides):
    with cloud.store.transaction() as session:
        added = policies.add_policy(session, name="web", protocol=Protocol.TCP, ports=[80], **sides)
    with pytest.raises(Invalid), cloud.store.transaction() as session:
        policies.change_policy(session, added.id, protocol=Protocol.ICMP)


def test_a_zone_that_a_policy_names_stays_until_the_policy_goes(cloud, sides):
    with cloud.store.transaction() as session:
        added = policies.add_policy(session, name="web", protocol=Protocol.TCP, **sides)
    with pytest.raises(StillUsed) as refused, cloud.store.transaction() as session:
        zones.remove_zone(session, "red")
    assert refused.value.used_by == ["policy web"]
    with cloud.store.transaction() as session:
        policies.remove_policy(session, added.id)
        zones.remove_zone(session, "red")

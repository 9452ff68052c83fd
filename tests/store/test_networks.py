"""Networks: each address and MAC given once, whoever races, and none that the network needs itself."""

from __future__ import annotations

import ipaddress
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import IntegrityError
from tests.store.conftest import new_vm

from ringfence.errors import Invalid, NotFound, StillUsed
from ringfence.model.networks import NetworkFull, NetworksOverlap
from ringfence.store import networks, projects, vms
from ringfence.store.engine import Store, make_engine

pytestmark = pytest.mark.store


def test_addresses_are_given_from_the_second_on_and_never_the_networks_own(cloud):
    with cloud.store.transaction() as session:
        networks.add_network(session, name="tight", cidr="10.9.0.0/29")
        given = [new_vm(session, f"v{number}", networks=["tight"]).ports[0].address for number in range(5)]
    assert given == [f"10.9.0.{number}" for number in range(2, 7)]
    with pytest.raises(NetworkFull) as refused:
        cloud.add_vm("more", networks=["tight"])
    assert refused.value.facts == {"network": "tight", "cidr": "10.9.0.0/29"}
    with cloud.store.reading() as session:
        assert len(vms.all_vms(session)) == 5


def test_an_address_that_came_back_is_given_again(cloud):
    first = cloud.add_vm("one")
    cloud.add_vm("two")
    with cloud.store.transaction() as session:
        vms.forget_vm(session, first.id)
    assert cloud.add_vm("three").ports[0].address == first.ports[0].address


@pytest.mark.usefixtures("cloud")
def test_vms_born_at_once_by_two_controllers_get_addresses_of_their_own(url):
    stores = [Store(make_engine(url)) for _ in range(2)]

    def bear(number: int):
        with stores[number % 2].transaction() as session:
            return new_vm(session, f"v{number}", networks=["web", "web"])

    with ThreadPoolExecutor(6) as threads:
        born = list(threads.map(bear, range(12)))
    for opened in stores:
        opened.close()
    ports = [port for vm in born for port in vm.ports]
    assert len({port.address for port in ports}) == len({port.mac for port in ports}) == 24
    assert all(ipaddress.ip_address(port.address) in ipaddress.ip_network("10.1.0.0/24") for port in ports)
    assert all(port.mac.startswith("52:54:00:") for port in ports)


def test_plain_sql_cannot_give_an_address_or_a_mac_twice(cloud, url):
    with cloud.store.transaction() as session:
        new_vm(session, "one")
        new_vm(session, "two")
    engine = create_engine(url)
    for column in ("address", "mac"):
        with pytest.raises(IntegrityError), engine.begin() as connection:
            connection.execute(text(f"UPDATE ports SET {column} = (SELECT min({column}) FROM ports)"))
    engine.dispose()


@pytest.mark.parametrize(
    "cidr", ["10.0.0.1/24", "10.0.0.0/30", "10.0.0.0/7", "fd00::/64", "224.0.0.0/24", "127.0.0.0/24", "red"]
)
def test_a_range_that_guests_cannot_use_is_refused(store, cidr):
    with pytest.raises(Invalid), store.transaction() as session:
        networks.add_network(session, name="odd", cidr=cidr)


@pytest.mark.parametrize("mtu", [575, 9001])
def test_an_mtu_out_of_bounds_is_refused(store, mtu):
    with pytest.raises(Invalid), store.transaction() as session:
        networks.add_network(session, name="odd", cidr="10.0.0.0/24", mtu=mtu)


def test_a_network_of_another_project_is_not_there(cloud):
    with cloud.store.transaction() as session:
        projects.add_project(session, name="other", owner="bob")
        networks.add_network(session, name="theirs", cidr="10.2.0.0/24", project="other")
    with pytest.raises(NotFound):
        cloud.add_vm("r", networks=["theirs"])


@pytest.mark.parametrize(
    ("cidr", "apart"),
    [("10.1.0.0/24", False), ("10.1.0.128/25", False), ("10.0.0.0/8", False), ("10.1.1.0/24", True)],
    ids=["the same range", "a part of it", "more than it", "the range beside it"],
)
def test_a_vm_is_on_two_networks_only_if_their_ranges_are_apart(cloud, cidr, apart):
    with cloud.store.transaction() as session:
        networks.add_network(session, name="other", cidr=cidr)
        networks.add_network(session, name="between", cidr="192.168.0.0/24")
    if apart:
        assert len(cloud.add_vm("r", networks=["web", "between", "other"]).ports) == 3
        return
    with pytest.raises(NetworksOverlap) as refused:
        cloud.add_vm("r", networks=["web", "between", "other"])
    assert refused.value.facts == {"one": "web", "one_cidr": "10.1.0.0/24", "other": "other", "other_cidr": cidr}
    assert "web (10.1.0.0/24) and other" in str(refused.value)
    with cloud.store.reading() as session:
        assert vms.all_vms(session) == ()


def test_a_network_with_a_vm_stays_and_an_empty_one_goes(cloud):
    vm = cloud.add_vm("r")
    web = vm.ports[0].network_id
    with pytest.raises(StillUsed) as refused, cloud.store.transaction() as session:
        networks.remove_network(session, web)
    assert refused.value.used_by == ["VM r"]
    with cloud.store.transaction() as session:
        assert networks.change_network(session, web, name="www", mtu=1400).mtu == 1400
        vms.forget_vm(session, vm.id)
        networks.remove_network(session, web)
        assert networks.networks(session).items == ()

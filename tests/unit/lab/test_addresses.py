"""Where the underlay of a lab is chosen to be."""

import ipaddress

import pytest

from ringfence.errors import Invalid
from ringfence.lab.addresses import NoSubnetLeft, choose_subnet
from ringfence.lab.places import Places

pytestmark = pytest.mark.unit


def test_a_lab_prefers_the_same_subnet_whenever_it_is_free():
    assert choose_subnet("demo", []) == choose_subnet("demo", [])


def test_a_subnet_that_overlaps_anything_taken_is_not_chosen():
    first = choose_subnet("demo", []).subnet
    wider = first.supernet(prefixlen_diff=4)
    assert not choose_subnet("demo", [first]).subnet.overlaps(first)
    assert not choose_subnet("demo", [wider]).subnet.overlaps(wider)


def test_labs_are_refused_when_all_subnets_are_taken():
    with pytest.raises(NoSubnetLeft):
        choose_subnet("demo", [ipaddress.IPv4Network("198.18.0.0/15")])


def test_everyone_in_the_underlay_has_an_address_of_their_own():
    underlay = choose_subnet("demo", [])
    addresses = [underlay.central, underlay.machine, *(underlay.host(number) for number in range(1, 201))]
    assert len(set(addresses)) == len(addresses)
    assert all(ipaddress.IPv4Address(address) in underlay.subnet for address in addresses)


@pytest.mark.parametrize("name", ["", "Lab", "a/b", "..", "-x", "a" * 32])
def test_a_name_that_could_lead_out_of_the_labs_folders_is_refused(name):
    with pytest.raises(Invalid):
        Places(name)


@pytest.mark.parametrize("name", ["a", "demo", "t123-own", "a" * 31])
def test_the_interface_and_the_sockets_of_every_name_are_short_enough(name):
    places = Places(name)
    assert len(places.machine_interface) <= 15
    assert len(f"{places.run}/central/ovnnb_db.sock") < 100

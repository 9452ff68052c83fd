"""Whom the overlay tunnel is open to: whom the host was told of, and nobody else."""

import json
from pathlib import Path

import pytest

from ringfence.agent.firewall import check_fellows, known_fellows, read_tunnel, table
from ringfence.agent.settings import Settings
from ringfence.errors import Invalid
from ringfence.wire import Tunnel

pytestmark = pytest.mark.unit

LISTED = json.loads((Path(__file__).parent / "golden" / "nft-table.json").read_text())["nftables"]


@pytest.mark.parametrize(
    "address", ["::1", "host2", "192.0.2.0/24", "0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "1.2.3.4 }", ""]
)
def test_what_can_be_no_hosts_address_is_refused(address):
    with pytest.raises(Invalid, match="fellows"):
        check_fellows(["192.0.2.1", address])


def test_more_fellows_than_any_cloud_has_are_refused():
    with pytest.raises(Invalid, match="10000"):
        check_fellows([f"10.{n >> 8}.{n & 255}.1" for n in range(10_001)])


def test_an_address_told_twice_is_let_in_once():
    assert check_fellows(["192.0.2.10", "192.0.2.9", "192.0.2.10"]) == ["192.0.2.9", "192.0.2.10"]


@pytest.mark.parametrize("kept", [None, "", "[", "{}", "7", '["192.0.2.1", "}"]', "[7]", "\udcff"])
def test_a_host_that_does_not_know_its_fellows_lets_nobody_in(tmp_path, kept):
    settings = Settings(root_state=str(tmp_path))
    if kept is not None:
        settings.fellows_file.write_text(kept, errors="surrogateescape")
    assert known_fellows(settings) == []
    assert "add element" not in table(known_fellows(settings), move_port=8472)


def test_fellows_that_were_told_are_let_in_by_the_first_rules_there_are(tmp_path):
    settings = Settings(root_state=str(tmp_path))
    settings.fellows_file.write_text('["192.0.2.2", "192.0.2.1"]')
    rules = table(known_fellows(settings), move_port=8472)
    assert "add element inet ringfence fellows { 192.0.2.1, 192.0.2.2 }" in rules


def test_the_tunnel_is_read_back_from_what_nft_lists():
    read = read_tunnel(LISTED)
    assert read == Tunnel(fellows=("192.0.2.11", "192.0.2.12"), admitted_packets=21, refused_packets=3)


def test_a_table_whose_drop_is_gone_holds_nothing():
    without = [each for each in LISTED if '"drop"' not in json.dumps(each.get("rule", {}))]
    assert len(without) < len(LISTED)
    assert read_tunnel(without) is None


def test_a_table_without_the_set_holds_nothing():
    assert read_tunnel([each for each in LISTED if each.get("set", {}).get("name") != "fellows"]) is None

"""What people type and read: sizes, ages, labels, selectors."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import typer

from ringfence.cli.options import parse_bytes, parse_pairs
from ringfence.cli.output import ago, binary_size, shown, zone_name
from ringfence.cli.policies import parse_selector
from ringfence.cli.vms import changed_labels

pytestmark = pytest.mark.unit

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("512", 512), ("512MiB", 512 << 20), ("1.5GiB", 3 << 29), ("10 gib", 10 << 30), ("4k", 4096), ("2TiB", 2 << 40)],
)
def test_a_size_is_read_in_binary_units(text: str, expected: int) -> None:
    assert parse_bytes(text, option="--disk") == expected


@pytest.mark.parametrize("text", ["", "ten", "5 parsecs", "GiB", "1GB2"])
def test_what_is_no_size_is_wrong_usage(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse_bytes(text, option="--disk")


@pytest.mark.parametrize(
    ("amount", "expected"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (10 << 30, "10 GiB"), (None, "")]
)
def test_a_size_is_shown_in_binary_units(amount: object, expected: str) -> None:
    assert binary_size(amount) == expected


@pytest.mark.parametrize(
    ("then", "expected"),
    [
        ("2026-03-01T12:00:00Z", "now"),
        ("2026-03-01T11:59:20+00:00", "40 s ago"),
        ("2026-03-01T13:57:00+02:00", "3 min ago"),
        ("2026-03-01T05:00:00Z", "7 h ago"),
        ("2026-02-20T12:00:00Z", "9 d ago"),
        (None, ""),
    ],
)
def test_a_time_is_shown_as_an_age(then: str | None, expected: str) -> None:
    assert ago(then, NOW) == expected


def test_a_zone_of_an_unknown_colour_is_still_shown() -> None:
    assert zone_name("red", {"red": "not a colour"}).plain == "red"
    assert str(zone_name("red", {"red": "#ff0000"}).style) == "#ff0000"
    assert str(zone_name("red", {"red": "#f0a"}).style) == "#ff00aa"


def test_a_cell_shows_mappings_and_lists_in_words() -> None:
    assert shown({"a": [1, 2], "b": True}) == "a=1, 2 b=yes"


def test_labels_are_set_and_taken_away() -> None:
    assert changed_labels({"role": "web", "stage": "x"}, ["role=db", "stage-", "new=1"]) == {"role": "db", "new": "1"}
    assert changed_labels({}, ["a=b-"]) == {"a": "b-"}
    assert changed_labels({"a": "1"}, ["gone-"]) == {"a": "1"}


def test_a_label_without_a_value_is_wrong_usage() -> None:
    with pytest.raises(typer.BadParameter):
        parse_pairs(["role"], option="--label")


def test_a_selector_tells_zones_and_projects_from_labels() -> None:
    assert parse_selector(["zone=red", "project=p", "role=web"], option="--to") == {
        "zone": "red",
        "project": "p",
        "labels": {"role": "web"},
    }
    with pytest.raises(typer.BadParameter):
        parse_selector(["red"], option="--to")

"""A point of the demo is ok by what was seen alone."""

import io

import pytest
from rich.console import Console

from ringfence.errors import NotFound
from ringfence.lab import demo


def told(tell):
    return demo._tell(3, "a point", tell, None, Console(file=io.StringIO()))


def test_a_point_is_ok_when_all_that_should_be_seen_was_seen():
    point = told(lambda _story: {"seen_a": True, "seen_b": 1, "gap_ms": 0})
    assert (point.ok, point.measured["gap_ms"]) == (True, 0)


@pytest.mark.parametrize("measured", [{"seen_a": True, "seen_b": False}, {"seen_a": 0}, {"seen_a": None}])
def test_a_point_is_not_ok_when_something_was_not_seen(measured):
    assert not told(lambda _story: measured).ok


def test_a_point_that_saw_nothing_at_all_is_not_ok():
    assert not told(lambda _story: {"gap_ms": 400}).ok


def test_a_point_that_could_not_be_carried_out_is_not_ok_and_says_why():
    def tell(_story):
        raise NotFound(kind="VM", ref="red-1")

    point = told(tell)
    assert not point.ok
    assert "red-1" in point.measured["problem"]

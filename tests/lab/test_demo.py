"""The demo as a newcomer runs it: each of its points is seen, and it leaves nothing of its lab."""

import io
import json
import os

import pytest
from rich.console import Console

from ringfence.lab import demo
from ringfence.lab.cloud import labs

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]


def test_every_point_of_the_demo_is_seen(lab_root, tmp_path):
    assert lab_root.is_dir()
    name, result, said = f"t{os.getpid()}-demo", tmp_path / "demo.json", io.StringIO()
    whole = demo.show(Console(file=said, width=120), keep=False, name=name, result=result)
    points = json.loads(result.read_text())["points"]
    assert [point["n"] for point in points] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [point for point in points if not point["ok"]] == [], said.getvalue()
    assert whole
    assert name not in labs()

"""What lab tests run on: a lab, or a whole cloud in one."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import needs
from tests.lab.tenants import Tenants, furnish

from ringfence.lab import rootfs
from ringfence.lab.cloud import Lab, labs
from ringfence.lab.joined import Cloud

_OF_TESTS = re.compile(r"[tl](\d+)(-own|-demo)?")
"""The names of tests' labs carry the pid of the tests."""


@pytest.fixture(scope="session")
def lab_root() -> Path:
    """The root of lab hosts, built if need be; the labs of tests that died are gone."""
    needs.root()
    for name in labs():
        tests = _OF_TESTS.fullmatch(name)
        if tests and not Path("/proc", tests[1]).exists():
            Lab(name).down()
    return rootfs.root(rootfs.host_recipe(), print)


@pytest.fixture(scope="session")
def lab(lab_root: Path) -> Iterator[Lab]:
    """One lab of two hosts without a controller, for the tests of the lab itself."""
    assert lab_root.is_dir()
    lab = Lab(f"l{os.getpid()}")
    try:
        lab.up(2)
        yield lab
    finally:
        lab.down()


@pytest.fixture(scope="session")
def cloud() -> Iterator[Cloud]:
    """One cloud of three joined hosts for all tests of this run, with two zones apart, taken away at the end."""
    needs.root()
    cloud = Cloud(name=f"t{os.getpid()}", host_count=3)
    try:
        cloud.up()
        furnish(cloud)
        yield cloud
    finally:
        cloud.down()


@pytest.fixture
def tenants(cloud: Cloud) -> Iterator[Tenants]:
    """VMs and policies for one test, gone after it."""
    made = Tenants(cloud)
    try:
        yield made
    finally:
        made.close()

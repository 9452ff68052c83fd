"""What lab tests run on: a lab, or a whole cloud in one."""

import os
from collections.abc import Iterator

import pytest
from tests.lab.tenants import Tenants, furnish

from ringfence.lab.joined import Cloud


@pytest.fixture(scope="session")
def cloud() -> Iterator[Cloud]:
    """One cloud of three joined hosts for all tests of this run, with two zones apart, taken away at the end."""
    if os.geteuid() != 0:
        pytest.skip("the lab makes namespaces: run as root")
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

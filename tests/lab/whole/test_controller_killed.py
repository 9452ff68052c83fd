"""Promise 7 against kill -9 of the controller at every point of an operation; the points are found, not listed.

One and the same operation is killed at its first point, taken up by the next controller, killed at its second point,
and so on to its last: as many crashes as it has points. What it comes to in the end must be whole or rolled back.
"""

import contextlib

import pytest
from tests.lab.whole.leftovers import check_nothing_left, check_verified

from ringfence.client.connection import ControllerUnreachable

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]


def points_of(tenants, kind, act):
    """Run the operation once, undisturbed, with the controller told to write down each point it passes."""
    log = tenants.cloud.data / f"points-{kind}"
    tenants.cloud.restart_controller(environment={"RINGFENCE_CRASH_LOG": str(log)})
    operation = tenants.cloud.follow(act())
    assert operation["state"] == "done", operation["error"]
    points = [point for point in dict.fromkeys(log.read_text().split("\n")) if point.startswith(f"{kind}/")]
    assert len(points) > 4
    return points


def killed_at_each(tenants, points, act):
    """Ask for the operation, have the controller die at each point of it in turn, and give it as it ended."""
    cloud = tenants.cloud
    cloud.restart_controller(environment={"RINGFENCE_CRASH_AT": points[0]})
    before = {operation["id"] for operation in cloud.client.pages("/v1/operations", limit=1000)}
    with contextlib.suppress(ControllerUnreachable):
        act()
    cloud.await_controller_gone()
    for point in points[1:]:
        cloud.start_controller(environment={"RINGFENCE_CRASH_AT": point}, answering=False)
        cloud.await_controller_gone()
    cloud.start_controller()
    (operation,) = [o for o in cloud.client.pages("/v1/operations", limit=1000) if o["id"] not in before]
    return cloud.follow(operation)


def test_create_is_whole_though_the_controller_is_killed_at_each_of_its_points(tenants):
    points = points_of(tenants, "create-vm", lambda: tenants.ask_vm("red"))
    operation = killed_at_each(tenants, points, lambda: tenants.ask_vm("red"))
    assert operation["state"] == "done", operation["error"]
    assert tenants.cloud.client.get(f"/v1/vms/{operation['subject_id']}")["state"] == "running"
    check_verified(tenants.cloud, "create")
    tenants.close()
    check_nothing_left(tenants.cloud, "create")


def test_a_create_that_is_refused_leaves_nothing_though_the_controller_is_killed_at_each_point(tenants):
    tenants.vm("blue", host="host1")

    def act():
        return tenants.ask_vm("red", host="host1")

    log = tenants.cloud.data / "points-refused"
    tenants.cloud.restart_controller(environment={"RINGFENCE_CRASH_LOG": str(log)})
    assert tenants.cloud.follow(act())["state"] == "failed"
    points = [point for point in dict.fromkeys(log.read_text().split("\n")) if point.startswith("create-vm/")]
    operation = killed_at_each(tenants, points, act)
    assert operation["error"]["code"] == "no-host-fits"
    tenants.close()
    check_nothing_left(tenants.cloud, "refused create")

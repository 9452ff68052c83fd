"""Promise 7 against kill -9 of the controller, at every point of every operation; the points are found, not listed."""

import contextlib

import pytest
from tests.lab.whole.leftovers import check_nothing_left, check_verified

from ringfence.client.connection import ControllerUnreachable

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1500)]


def points_of(tenants, kind, act):
    """Run the operation once with the controller told to write down each point it passes."""
    log = tenants.cloud.data / f"points-{kind}"
    tenants.cloud.restart_controller(environment={"RINGFENCE_CRASH_LOG": str(log)})
    operation = tenants.cloud.follow(act())
    assert operation["state"] == "done", operation["error"]
    points = [point for point in dict.fromkeys(log.read_text().split("\n")) if point.startswith(f"{kind}/")]
    assert len(points) > 4
    return points


def killed_at(tenants, point, act):
    """Ask for the operation of a controller that dies at the point; start it again; give the operation as it ended."""
    tenants.cloud.restart_controller(environment={"RINGFENCE_CRASH_AT": point})
    before = {operation["id"] for operation in tenants.cloud.client.pages("/v1/operations", limit=1000)}
    with contextlib.suppress(ControllerUnreachable):
        act()
    tenants.cloud.await_controller_gone()
    tenants.cloud.start_controller()
    (operation,) = [
        operation
        for operation in tenants.cloud.client.pages("/v1/operations", limit=1000)
        if operation["id"] not in before
    ]
    return tenants.cloud.follow(operation)


def test_create_is_whole_or_rolled_back_wherever_the_controller_dies(tenants):
    for point in points_of(tenants, "create-vm", lambda: tenants.ask_vm("red")):
        operation = killed_at(tenants, point, lambda: tenants.ask_vm("red"))
        vms = {vm["id"]: vm["state"] for vm in tenants.cloud.client.pages("/v1/vms", limit=1000)}
        if operation["state"] == "done":
            assert vms[operation["subject_id"]] == "running", point
        else:
            assert operation["subject_id"] not in vms, point
        check_verified(tenants.cloud, point)
        tenants.close()
        check_nothing_left(tenants.cloud, point)


def test_delete_is_whole_wherever_the_controller_dies(tenants):
    vm = tenants.vm("red")
    delete = tenants.cloud.client
    for point in points_of(tenants, "delete-vm", lambda: delete.delete(f"/v1/vms/{vm['id']}")):
        victim = tenants.vm("red")
        operation = killed_at(
            tenants, point, lambda victim=victim: tenants.cloud.client.delete(f"/v1/vms/{victim['id']}")
        )
        assert operation["state"] == "done", (point, operation["error"])
        check_nothing_left(tenants.cloud, point)


def test_a_move_is_whole_or_rolled_back_wherever_the_controller_dies(tenants):
    vm = tenants.vm("red")
    for point in points_of(tenants, "move-vm", lambda: tenants.cloud.client.create(f"/v1/vms/{vm['id']}/move")):
        before = tenants.read(vm)["host"]
        operation = killed_at(tenants, point, lambda: tenants.cloud.client.create(f"/v1/vms/{vm['id']}/move"))
        now = tenants.read(vm)
        assert now["state"] == "running", point
        assert (now["host"] != before) == (operation["state"] == "done"), point
        check_verified(tenants.cloud, point)

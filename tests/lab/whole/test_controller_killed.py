"""Promise 7 against kill -9 of the controller at every point of an operation, with promises 1 and 2 kept meanwhile.

One and the same operation is killed at its first point, taken up by the next controller, killed at its second point,
and so on to its last: as many crashes as it has points. What it comes to in the end must be whole or rolled back.
"""

import pytest
from tests.lab.whole.kills import check_company, controller_killed_at_each_point, nothing_denied_passes
from tests.lab.whole.leftovers import check_nothing_left, check_verified

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]


def test_create_is_whole_though_the_controller_is_killed_at_each_of_its_points(cloud, tenants):
    ended, points = controller_killed_at_each_point(cloud, "create-vm", lambda: tenants.ask_vm("red"))
    assert ended["state"] == "done", ended["error"]
    assert len(points) >= 20
    assert cloud.client.get(f"/v1/vms/{ended['subject_id']}")["state"] == "running"
    check_verified(cloud, "create")
    tenants.close()
    check_nothing_left(cloud, "create")


def test_a_create_that_is_refused_leaves_nothing_though_the_controller_is_killed_at_each_point(cloud, tenants):
    tenants.vm("blue", host="host1")
    ended, points = controller_killed_at_each_point(cloud, "create-vm", lambda: tenants.ask_vm("red", host="host1"))
    assert ended["error"]["code"] == "no-host-fits"
    assert "create-vm/roll back/after" in points
    tenants.close()
    check_nothing_left(cloud, "refused create")


def test_a_move_is_whole_and_the_fence_holds_though_the_controller_is_killed_at_each_of_its_points(cloud, tenants):
    stranger, mover = tenants.all_vms([{"zone": "blue", "host": "host1"}, {"zone": "red", "host": "host2"}])
    with nothing_denied_passes(tenants, stranger, mover):
        ended, points = controller_killed_at_each_point(
            cloud, "move-vm", lambda: cloud.client.create(f"/v1/vms/{mover['id']}/move")
        )
    assert ended["state"] == "done", ended["error"]
    assert len(points) >= 30
    assert (tenants.read(mover)["state"], tenants.read(mover)["host"]) == ("running", "host3")
    assert check_company(cloud, "move") == {"host1": {"blue"}, "host2": set(), "host3": {"red"}}
    check_verified(cloud, "move")


def test_delete_is_whole_though_the_controller_is_killed_at_each_of_its_points(cloud, tenants):
    victim = tenants.vm("red")
    ended, points = controller_killed_at_each_point(
        cloud, "delete-vm", lambda: cloud.client.delete(f"/v1/vms/{victim['id']}")
    )
    assert ended["state"] == "done", ended["error"]
    assert len(points) >= 16
    check_nothing_left(cloud, "delete")
    check_verified(cloud, "delete")

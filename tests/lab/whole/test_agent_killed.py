"""Promise 7 against kill -9 of the agents: before a command is done, after it, and after its answer is kept."""

import time

import pytest
from tests.lab.whole.leftovers import check_nothing_left, check_verified

from ringfence.lab import agents

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(1500)]

MOMENTS = ("begun", "done", "kept")
CREATE = ("hold-image", "prepare-vm", "start-vm")
MOVE = ("receive-move", "send-move", "close-move", "remove-vm")
DELETE = ("stop-vm", "remove-vm")
LINK = "ringfence-agent.service"


def restart(cloud, environment=None):
    """Start the networked part of every agent anew."""
    for host in cloud.lab.hosts:
        agents.kill(host, LINK)
        agents.start(host, environment=environment)


def killed_at(cloud, verb, moment, act):
    """Have every agent die at this point of this verb; start each again when it has; give the operation as it ended."""
    restart(cloud, {"RINGFENCE_CRASH_AT": f"{verb}/{moment}"})
    operation = act()
    deadline = time.monotonic() + 60
    died = False
    while time.monotonic() < deadline:
        for host in cloud.lab.hosts:
            if not agents.pids(host, LINK):
                died = True
                agents.start(host)
        if died or cloud.client.get(f"/v1/operations/{operation['id']}")["state"] in ("done", "failed", "undone"):
            break
        time.sleep(0.1)
    ended = cloud.follow(operation)
    restart(cloud)
    return ended, died


@pytest.mark.parametrize("verb", CREATE)
def test_create_is_whole_or_rolled_back_wherever_the_agent_dies(cloud, tenants, verb):
    for moment in MOMENTS:
        ended, died = killed_at(cloud, verb, moment, lambda: tenants.ask_vm("red"))
        assert died, (verb, moment)
        vms = {vm["id"]: vm["state"] for vm in cloud.client.pages("/v1/vms", limit=1000)}
        if ended["state"] == "done":
            assert vms[ended["subject_id"]] == "running", (verb, moment)
        else:
            assert ended["subject_id"] not in vms, (verb, moment)
        tenants.close()
        check_nothing_left(cloud, (verb, moment))


@pytest.mark.parametrize("verb", MOVE)
def test_a_move_is_whole_or_rolled_back_wherever_the_agent_dies(cloud, tenants, verb):
    vm = tenants.vm("red")
    for moment in MOMENTS:
        before = tenants.read(vm)["host"]
        ended, died = killed_at(cloud, verb, moment, lambda: cloud.client.create(f"/v1/vms/{vm['id']}/move"))
        assert died, (verb, moment)
        now = tenants.read(vm)
        assert now["state"] == "running", (verb, moment)
        assert (now["host"] != before) == (ended["state"] == "done"), (verb, moment)
        check_verified(cloud, (verb, moment))


@pytest.mark.parametrize("verb", DELETE)
def test_delete_is_whole_wherever_the_agent_dies(cloud, tenants, verb):
    for moment in MOMENTS:
        victim = tenants.vm("red")
        ended, died = killed_at(
            cloud, verb, moment, lambda victim=victim: cloud.client.delete(f"/v1/vms/{victim['id']}")
        )
        assert died or verb == "stop-vm", (verb, moment)
        assert ended["state"] == "done", (verb, moment, ended["error"])
        check_nothing_left(cloud, (verb, moment))

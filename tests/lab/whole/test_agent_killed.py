"""Promise 7 against kill -9 of the agents, with promises 1 and 2 kept meanwhile.

The part that talks to the network dies before a command is done, after it, and after its answer is kept; the root part
before it does what it is asked, and after that. Each dies once at each such point of each host.
"""

import time
from dataclasses import dataclass

import pytest
from tests.lab.whole.kills import LINK, ROOT, AgentsKilled, check_company, nothing_denied_passes
from tests.lab.whole.leftovers import check_nothing_left, check_verified

from ringfence.lab import agents

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]


@dataclass(frozen=True)
class Part:
    """A part of the agent, the moments at which it dies, and what it does in each operation."""

    unit: str
    moments: tuple[str, ...]
    create: tuple[str, ...]
    move: tuple[str, ...]
    delete: tuple[str, ...]

    def points(self, verbs):
        return {f"{verb}/{moment}" for verb in verbs for moment in self.moments}


PARTS = (
    Part(
        unit=LINK,
        moments=("begun", "done", "kept"),
        create=("hold-image", "prepare-vm", "start-vm"),
        move=("receive-move", "send-move", "close-move", "remove-vm"),
        delete=("remove-vm",),
    ),
    Part(
        unit=ROOT,
        moments=("begun", "done"),
        create=("root/list", "root/start"),
        move=("root/open-window", "root/open-channel", "root/ready-send", "root/migrate", "root/close-window"),
        delete=("root/remove",),
    ),
)
for_each_part = pytest.mark.parametrize("part", PARTS, ids=["the part that talks", "the root part"])


@for_each_part
def test_create_is_whole_or_rolled_back_wherever_an_agent_dies(cloud, tenants, part):
    with AgentsKilled(cloud, part.unit) as killed:
        for ended in killed.until_died_at(part.points(part.create), lambda: tenants.ask_vm("red")):
            states = {vm["id"]: vm["state"] for vm in cloud.client.pages("/v1/vms", limit=1000)}
            assert states.get(ended["subject_id"]) == ("running" if ended["state"] == "done" else None)
    check_verified(cloud, "create")
    tenants.close()
    check_nothing_left(cloud, "create")


@for_each_part
def test_a_move_is_whole_or_rolled_back_and_the_fence_holds_wherever_an_agent_dies(cloud, tenants, part):
    stranger, mover = tenants.all_vms([{"zone": "blue", "host": "host1"}, {"zone": "red", "host": "host2"}])
    with nothing_denied_passes(tenants, stranger, mover), AgentsKilled(cloud, part.unit) as killed:
        before = mover["host"]
        for ended in killed.until_died_at(part.points(part.move), lambda: ask_move(cloud, mover)):
            before = check_moved(cloud, tenants.read(mover), ended, before)
    check_verified(cloud, "move")


def test_a_move_is_whole_or_rolled_back_though_an_agent_is_killed_while_the_vm_is_on_its_way(cloud, tenants):
    stranger, mover = tenants.all_vms([{"zone": "blue", "host": "host1"}, {"zone": "red", "host": "host2"}])
    with nothing_denied_passes(tenants, stranger, mover):
        for unit in (LINK, ROOT):
            for of_source in (True, False):
                before = tenants.read(mover)["host"]
                operation = ask_move(cloud, mover)
                await_sending(cloud, operation)
                host = cloud.lab.host(before if of_source else {"host2": "host3", "host3": "host2"}[before])
                agents.kill(host, unit)
                agents.start(host)
                ended = cloud.follow(operation)
                check_moved(cloud, tenants.read(mover), ended, before)
    check_verified(cloud, "move")


@for_each_part
def test_delete_is_whole_wherever_an_agent_dies(cloud, tenants, part):
    victims = tenants.all_vms([{"zone": "red"}, {"zone": "red"}])

    def ask():
        return cloud.client.delete(f"/v1/vms/{victims.pop()['id']}")

    with AgentsKilled(cloud, part.unit) as killed:
        for ended in killed.until_died_at(part.points(part.delete), ask):
            assert ended["state"] == "done", ended["error"]
    tenants.close()
    check_nothing_left(cloud, "delete")
    check_verified(cloud, "delete")


def ask_move(cloud, vm):
    return cloud.client.create(f"/v1/vms/{vm['id']}/move")


def await_sending(cloud, operation):
    """Return once the source has been told to send the VM, or the operation has come past that."""
    deadline = time.monotonic() + 60
    while not any(step["name"] == "move it" for step in cloud.client.get(f"/v1/operations/{operation['id']}")["steps"]):
        assert time.monotonic() < deadline


def check_moved(cloud, vm, ended, before):
    """The VM runs, in one place: where it was if its move failed, and elsewhere if it was done. Gives where."""
    assert vm["state"] == "running", ended["error"]
    assert (vm["host"] != before) == (ended["state"] == "done"), ended["error"]
    elsewhere = {"host2", "host3"} - {vm["host"]}
    assert check_company(cloud, ended) == {"host1": {"blue"}, vm["host"]: {"red"}} | {host: set() for host in elsewhere}
    return vm["host"]

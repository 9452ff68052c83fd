"""kill -9 at every point of an operation, on the lab; the points are found on the way, not listed.

What is to be killed is started with a file to remember points in: at each point that is not in it, it adds the point
and dies. Started again whenever it has died, until the operation has ended, it has died once at every point it passed.
"""

import contextlib
import re
import select
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

from tests.lab.tenants import address

from ringfence.client.connection import ControllerUnreachable, has_ended
from ringfence.lab import agents, commands, namespaces
from ringfence.lab.probes import PingRun, know_neighbour

REMEMBERED = "RINGFENCE_CRASH_ONCE"
LINK, ROOT = "ringfence-agent.service", "ringfence-agent-root.service"
STUCK_SECONDS = 150
"""Longer than any step waits for a host or a switch before it is given up."""
MOST_OPERATIONS = 12
# A VM that goes away between the two questions has no XML to show.
ZONES = "running=$(virsh -q list --name) && for vm in $running; do virsh -q dumpxml $vm 2>/dev/null || true; done"


def controller_killed_at_each_point(cloud, kind, ask):
    """Ask for the operation, have the controller die at each point of it; give it as it ended, and the points."""
    file = cloud.data / f"killed-{uuid.uuid4()}"
    before = {operation["id"] for operation in cloud.client.pages("/v1/operations", limit=1000)}
    cloud.kill_controller()
    with Forks(cloud, {REMEMBERED: str(file)}) as controllers:
        controllers.start()
        cloud.await_controller()
        with contextlib.suppress(ControllerUnreachable):
            ask()
        controllers.await_death()
        # The end is a point like every other: as long as it was not reached, the next controller dies as well.
        while (points := file.read_text().splitlines())[-1] != f"{kind}/end/after":
            check_company(cloud, points[-1])
            controllers.start()
            controllers.await_death()
            assert len(file.read_text().splitlines()) == len(points) + 1, f"it died elsewhere, after {points[-1]}"
    cloud.start_controller()
    (operation,) = [o for o in cloud.client.pages("/v1/operations", limit=1000) if o["id"] not in before]
    ended = cloud.follow(operation)
    steps = [step["name"] for step in ended["steps"]]
    missed = {f"{kind}/{step}/{when}" for step in ("begin", *steps, "end") for when in ("before", "after")} - {*points}
    assert not missed
    return ended, points


class Forks:
    """Starts controllers in no time: each is a fork of a process that has done nothing yet but import the program."""

    PROGRAM = """
import os, sys
from ringfence.controller.main import run
sys.argv = sys.argv[1:]
log = os.open(sys.argv.pop(1), os.O_WRONLY | os.O_APPEND)
for _ in sys.stdin:
    child = os.fork()
    if child == 0:
        os.dup2(log, 1)
        os.dup2(log, 2)
        run()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""

    def __init__(self, cloud, environment):
        # Named like the controller, so that the lab finds them as such.
        argv = [
            sys.executable,
            "-c",
            self.PROGRAM,
            "ringfence-controller",
            str(cloud.log),
            *cloud.controller_argv()[1:],
        ]
        self._log = cloud.log
        self._process = commands.open_process(argv, marks=namespaces.marks(cloud.lab.name, "") | environment)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.kill()
        self._process.wait(timeout=10)
        self._process.stdout.close()

    def start(self):
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()

    def await_death(self):
        """Return when the controller started last has killed itself."""
        assert select.select([self._process.stdout], [], [], STUCK_SECONDS)[0], self._log.read_text()[-2000:]
        assert self._process.stdout.readline() == b"-9\n", self._log.read_text()[-2000:]


class AgentsKilled:
    """One part of the agent on each host, dying once at every point it passes while the context lasts."""

    def __init__(self, cloud, unit):
        self.cloud, self.unit = cloud, unit
        self._file = f"/var/killed-{uuid.uuid4()}"

    def __enter__(self):
        for host in self.cloud.lab.hosts:
            host.write(self._file, "", mode=0o666)
        self._restart({REMEMBERED: self._file})
        return self

    def __exit__(self, *_):
        self._restart(None)

    def points(self):
        """The points at which one died on some host."""
        files = [host.root / self._file.lstrip("/") for host in self.cloud.lab.hosts]
        return {point for file in files for point in file.read_text().split()}

    def until_died_at(self, wanted, ask):
        """Ask for operations, one by one, until some agent has died at each of these points; give each as it ended."""
        for _ in range(MOST_OPERATIONS):
            if wanted <= self.points():
                return
            yield self._follow(ask())
        raise AssertionError(f"after {MOST_OPERATIONS} operations no agent died at {wanted - self.points()}")

    def _follow(self, operation):
        """Start again what has died, until the operation has ended, and give it as it ended."""
        deadline = time.monotonic() + STUCK_SECONDS
        while not has_ended(now := self.cloud.client.get(f"/v1/operations/{operation['id']}")):
            assert time.monotonic() < deadline, (self.points(), now)
            for host in self.cloud.lab.hosts:
                if not agents.pids(host, self.unit):
                    check_company(self.cloud, self.points())
                    agents.start(host, environment={REMEMBERED: self._file})
                    deadline = time.monotonic() + STUCK_SECONDS
        return now

    def _restart(self, environment):
        for host in self.cloud.lab.hosts:
            agents.kill(host, self.unit)
            agents.start(host, environment=environment)


@contextlib.contextmanager
def nothing_denied_passes(tenants, stranger, mover):
    """Have the stranger send to the mover all the while, and see that nothing of it passes on any other host."""
    shell = tenants.shell(stranger)
    know_neighbour(shell, mover)
    hosts = [host.name for host in tenants.cloud.lab.hosts if host.name != stranger["host"]]
    with tenants.cloud.capture(hosts, f"src {address(stranger)} and dst {address(mover)}") as leaks:
        denied = PingRun(shell, address(mover), per_second=100, seconds=900, name="denied")
        began = time.monotonic()
        shell.close()
        yield
        kept_out = denied.stop(tenants.shell(stranger))
        seconds = time.monotonic() - began
    assert leaks.worked
    assert leaks.count == 0
    assert kept_out.sent > 5 * seconds
    assert kept_out.received == 0


def check_company(cloud, where):
    """No host runs red beside blue: asked of each host's libvirt itself. Gives the zones on each."""
    with ThreadPoolExecutor(len(cloud.lab.hosts)) as pool:
        found = dict(pool.map(lambda host: (host.name, _zones(host)), cloud.lab.hosts))
    assert all(len(zones) <= 1 for zones in found.values()), (where, found)
    return found


def _zones(host):
    shown = host.run(["env", "LIBVIRT_DEFAULT_URI=qemu:///system", "sh", "-c", ZONES]).out
    return set(re.findall(r"<rf:zone>([^<]*)<", shown))

"""A lab comes up, is repaired, and goes without leaving anything, whatever was killed on the way."""

import os
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.lab.leftovers_of_labs import holdings, namespaces_of

from ringfence.lab import namespaces
from ringfence.lab.cloud import Lab, LabMissing, labs

pytestmark = pytest.mark.lab

HOST_RUNS = {"libvirtd", "ovs-vswitchd", "ovsdb-server"}
CENTRAL_RUNS = {"ovn-northd", "ovnnb_db", "ovnsb_db"}


@pytest.fixture
def name(lab_root):
    """The name of a lab that only this test uses, taken down after it."""
    assert lab_root.is_dir()
    name = f"l{os.getpid()}-own"
    yield name
    Lab(name).down()


def processes_of(name, command):
    """The lab's processes whose command line has this word."""
    lines = {one.pid: _command_line(one.pid) for one in namespaces.marked() if one.lab == name}
    return [pid for pid, line in lines.items() if command in line]


def _command_line(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


# Each is true from some moment of `up` on: that is when it is killed.
MOMENTS = {
    "it is written down": lambda name: Lab(name).places.record.exists(),
    "the first process starts": lambda name: any(one.lab == name for one in namespaces.marked()),
    "central's init runs": lambda name: "central" in namespaces.inits(name),
    "the machine is wired": lambda name: Path("/sys/class/net", Lab(name).places.machine_interface).exists(),
    "northd runs": lambda name: processes_of(name, "ovn-northd"),
    "a host's init runs": lambda name: "host1" in namespaces.inits(name),
    "a switch starts": lambda name: processes_of(name, "ovs-vswitchd"),
    "libvirt starts": lambda name: processes_of(name, "libvirtd"),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_down_leaves_nothing_of_a_lab_whose_up_was_killed(name, moment):
    program = "from ringfence.cli.main import run; run()"
    argv = [sys.executable, "-c", program, "lab", "up", "--hosts", "2", "--name", name]
    up = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not MOMENTS[moment](name):
        assert up.poll() is None, up.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.001)
    up.kill()
    up.communicate()
    its_namespaces = namespaces_of(name)
    assert Lab(name).down()
    assert not (left := holdings(name, its_namespaces)), left
    assert name not in labs()


def test_what_a_long_command_mounted_and_started_dies_with_the_lab_command_that_ran_it():
    inside = "mount -t tmpfs killed-with-it /mnt; echo mounted; sleep 1234"
    program = (
        "import sys; from ringfence.lab.commands import run_told;"
        "run_told(['sh', '-c', sys.argv[1]], timeout_seconds=60, tell=lambda line: print(line, flush=True))"
    )
    with subprocess.Popen([sys.executable, "-c", program, inside], stdout=subprocess.PIPE, text=True) as command:
        assert command.stdout.readline() == "mounted\n"
        assert "killed-with-it" not in Path("/proc/self/mountinfo").read_text()
        inside_pids = [pid for pid in all_pids() if "killed-with-it" in _mounts(pid)]
        assert inside_pids
        deaths = [os.pidfd_open(pid) for pid in inside_pids]
        command.kill()
    for death in deaths:
        assert select.select([death], [], [], 10)[0]
        os.close(death)
    assert not [pid for pid in all_pids() if "killed-with-it" in _mounts(pid)]


def all_pids():
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _mounts(pid):
    try:
        return Path(f"/proc/{pid}/mountinfo").read_text()
    except OSError:
        return ""


def test_up_runs_everything_and_down_leaves_nothing(name):
    lab = Lab(name)
    lab.up(2)
    status = {host.name: host for host in lab.status()}
    assert set(status.pop("central").runs) >= CENTRAL_RUNS
    assert set(status) == {"host1", "host2"}
    assert all(set(host.runs) >= HOST_RUNS for host in status.values())
    its_namespaces = namespaces_of(name)
    seen = holdings(name, its_namespaces)
    # What the search finds of a lab that is up shows that finding nothing means something.
    assert seen.processes
    assert seen.in_its_namespaces
    assert seen.mounts
    assert seen.interfaces
    assert lab.down()
    assert not (left := holdings(name, its_namespaces)), left
    with pytest.raises(LabMissing):
        lab.status()
    assert not lab.down()


def test_down_needs_no_record(name):
    lab = Lab(name)
    lab.up(1)
    its_namespaces = namespaces_of(name)
    lab.places.record.unlink()
    assert name in labs()
    assert lab.down()
    assert not (left := holdings(name, its_namespaces)), left


def test_up_again_brings_back_a_host_that_died_with_its_disk_and_leaves_the_other_alone(name):
    lab = Lab(name)
    lab.up(2)
    one, other = lab.hosts
    one.write("/var/lib/kept", "still here")
    before = other.pid
    lab.power_off(one)
    assert not one.is_up
    lab.up(2)
    assert other.pid == before
    assert (one.root / "var/lib/kept").read_text() == "still here"
    assert one.run(["ping", "-c", "1", "-W", "5", other.address]).ok
    assert all(set(host.runs) >= HOST_RUNS for host in lab.status()[1:])


def test_two_labs_side_by_side_do_not_see_one_another(name, lab):
    second = Lab(name)
    second.up(1)
    assert second.record.subnet != lab.record.subnet
    mine, its = lab.hosts[0], second.hosts[0]
    assert mine.run(["ping", "-c", "1", "-W", "5", lab.controller_address]).ok
    assert its.run(["ping", "-c", "1", "-W", "5", second.controller_address]).ok
    assert not mine.run(["ping", "-c", "1", "-W", "1", its.address], checked=False).ok
    inits = namespaces.inits(lab.name)
    second.down()
    assert namespaces.inits(lab.name) == inits
    assert mine.run(["ping", "-c", "1", "-W", "5", lab.hosts[1].address]).ok

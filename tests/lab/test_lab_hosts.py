"""A lab host is what a hypervisor is: a wire at full MTU, libvirt, and guests that run on it."""

import contextlib
import select
import shutil
import time
from pathlib import Path

import pytest

from ringfence.lab import guests, kvm, rootfs
from ringfence.lab.hosts import UNDERLAY_MTU

pytestmark = pytest.mark.lab

ICMP_AND_IP_BYTES = 28


def quiet(_line):
    return None


def await_words(process, words, *, seconds):
    """Read what the process prints until these words; gives all it said."""
    said = b""
    deadline = time.monotonic() + seconds
    while words not in said:
        left = deadline - time.monotonic()
        assert left > 0, said[-500:]
        assert select.select([process.stdout], [], [], left)[0], said[-500:]
        chunk = process.stdout.read1(4096)
        assert chunk, said[-500:]
        said += chunk
    return said


@contextlib.contextmanager
def guest(host, accelerator):
    """The tiny guest under plain QEMU in a host, with a seed; its console is the process's standard streams."""
    shutil.copyfile(guests.tiny(quiet), host.root / "var/tmp/tiny.qcow2")
    host.write("/var/tmp/seed/meta-data", "instance-id: one\nlocal-hostname: called-so\n")
    host.write("/var/tmp/seed/user-data", "#!/bin/sh\necho from-user-data > /tmp/told\n")
    host.run(["xorriso", "-as", "mkisofs", "-V", "cidata", "-J", "-r", "-o", "/var/tmp/seed.iso", "/var/tmp/seed"])
    argv = ["qemu-system-x86_64", "-accel", accelerator, "-machine", "q35", "-m", "128", "-nodefaults"]
    argv += ["-display", "none", "-serial", "stdio", "-qmp", "unix:/run/qmp,server=on,wait=off"]
    argv += ["-drive", "file=/var/tmp/tiny.qcow2,format=qcow2,if=virtio", "-nic", "user,model=virtio-net-pci"]
    argv += ["-drive", "file=/var/tmp/seed.iso,format=raw,if=virtio,readonly=on"]
    process = host.open(argv)
    try:
        yield process
    finally:
        host.run(["pkill", "-KILL", "-f", "/var/tmp/tiny.qcow2"], checked=False)
        process.communicate(timeout=20)


def test_the_underlay_carries_whole_frames_between_hosts(lab):
    one, other = lab.hosts
    biggest = UNDERLAY_MTU - ICMP_AND_IP_BYTES
    assert one.run(["ping", "-M", "do", "-c", "2", "-i", "0.2", "-W", "5", "-s", str(biggest), other.address]).ok
    too_big = one.run(["ping", "-M", "do", "-c", "1", "-W", "1", "-s", str(biggest + 1), other.address], checked=False)
    assert not too_big.ok


def test_hosts_differ_in_what_libvirt_needs_to_differ(lab):
    assert len({host.run(["hostname"]).out for host in lab.hosts}) == len(lab.hosts)
    uuids = {host.run(["grep", "^host_uuid", "/etc/libvirt/libvirtd.conf"]).out for host in lab.hosts}
    assert len(uuids) == len(lab.hosts)
    for host in lab.hosts:
        assert "Running hypervisor: QEMU" in host.run(["virsh", "-c", "qemu:///system", "version"]).out


def test_what_a_host_does_to_its_devices_stays_in_the_host(lab):
    host, other = lab.hosts
    before = Path("/dev/null").stat()
    host.run(["chown", "tcpdump:tcpdump", "/dev/null"])
    try:
        assert host.run(["stat", "-c", "%U", "/dev/null"]).out == "tcpdump\n"
        assert other.run(["stat", "-c", "%U", "/dev/null"]).out == "root\n"
        assert (Path("/dev/null").stat().st_uid, Path("/dev/null").stat().st_gid) == (before.st_uid, before.st_gid)
    finally:
        host.run(["chown", "root:root", "/dev/null"])


def test_the_probe_of_kvm_answers_within_its_bound_and_believes_a_guest_only(lab_root):
    began = time.monotonic()
    chosen = kvm.choose_accelerator(lab_root, quiet)
    took = time.monotonic() - began
    assert took < kvm.PROBE_SECONDS + 1
    assert chosen.name in {"kvm", "tcg"}
    assert chosen.because
    # The same guest speaks under TCG, where it always does: so a silent one was the accelerator's doing.
    kernel = max(rootfs.root(rootfs.builder_recipe(), quiet).glob("boot/vmlinuz-*"))
    assert b"Linux version" in kvm.first_words(lab_root, kernel, accelerator="tcg", within_seconds=60)


def test_the_tiny_guest_gets_ready_takes_its_seed_and_obeys_the_power_button(lab):
    host = lab.hosts[0]
    with guest(host, lab.record.accelerator) as process:
        await_words(process, b"RINGFENCE-GUEST-READY called-so 10.0.2.15", seconds=90)
        process.stdin.write(b"while [ ! -s /tmp/told ]; do usleep 9999; done; cat /tmp/told\n")
        process.stdin.write(b"nc -w 2 127.0.0.1 7 </tmp/told; uname -n\n")
        process.stdin.flush()
        await_words(process, b"from-user-data\r\ncalled-so", seconds=20)
        button = '{"execute":"qmp_capabilities"}\n{"execute":"system_powerdown"}\n'
        talk = "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect('/run/qmp'); f=s.makefile('rw')"
        talk += "\nfor line in sys.stdin: f.write(line); f.flush(); print(f.readline())"
        host.run(["python3", "-c", talk], input_text=button)
        process.wait(timeout=30)
        assert process.returncode == 0


@pytest.mark.usefixtures("lab_root")
def test_the_tiny_guests_image_is_small_and_the_cache_knows_it_again():
    first = guests.tiny(quiet)
    stamp = first.stat().st_mtime_ns
    assert first.stat().st_size <= 25 << 20
    assert guests.tiny(quiet) == first
    assert first.stat().st_mtime_ns == stamp

#!/bin/sh
# PID 1 of a lab host, until it becomes tini: makes the host's root in its own mount namespace, and steps into it.
# Every mount is made here, in a namespace that dies with this process: nothing of a host can stay mounted.
# Arguments: the host's name, the cached root, the host's folder, what of the machine shows up at its /run/ovn, kvm or tcg.
# On standard output it says "ready" when the host can be entered, and nothing else.
set -eu
exec 3>&1 1>&2
name=$1 lower=$2 disk=$3 shared=$4 accelerator=$5
root=$disk/root

mkdir -p "$disk/upper" "$disk/work" "$root"
if ! mount -t overlay "lab-$name" -o "lowerdir=$lower,upperdir=$disk/upper,workdir=$disk/work" "$root" 2>/dev/null; then
    # A machine that is itself on an overlay (a container) cannot hold the changes of another one: keep them in memory.
    mount -t tmpfs lab-disk "$disk"
    mkdir -p "$disk/upper" "$disk/work" "$root"
    mount -t overlay "lab-$name" -o "lowerdir=$lower,upperdir=$disk/upper,workdir=$disk/work" "$root"
fi

mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
# From this network namespace, or libvirt finds neither its own NICs nor its CPUs.
mount -t sysfs -o nosuid,nodev,noexec sysfs "$root/sys"
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs "$root/run"
mount -t tmpfs -o mode=755,nosuid tmpfs "$root/dev"
mkdir -p "$root/dev/pts" "$root/dev/shm" "$root/dev/net" "$root/run/ovn" "$root/run/lock"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5,nosuid,noexec devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$root/dev/shm"
mount --bind "$shared" "$root/run/ovn"
for node in null zero full random urandom tty kvm fuse net/tun; do
    [ -e "/dev/$node" ] || continue
    # libvirt takes a /dev/kvm that opens for one that works, and probes every emulator anew at each start.
    [ "$node/$accelerator" != kvm/tcg ] || continue
    # Nodes of the host's own: a tcpdump that writes to /dev/null gives it to another user, on the machine too if shared.
    # shellcheck disable=SC2046  # two numbers
    mknod -m 666 "$root/dev/$node" c $(stat -c '0x%t 0x%T' "/dev/$node") && continue
    # Where making nodes is forbidden (a container), the machine's must do.
    : > "$root/dev/$node"
    mount --bind "/dev/$node" "$root/dev/$node"
done
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
ln -s /proc/self/fd/0 "$root/dev/stdin"
ln -s /proc/self/fd/1 "$root/dev/stdout"
ln -s /proc/self/fd/2 "$root/dev/stderr"

cd "$root"
pivot_root . .
umount -l .
cd /
hostname "$name"
ip link set lo up
# ORDER: ready is said once this process is tini. In the middle of an exec its mark cannot be read, and the lab looks for it.
exec /usr/bin/tini -- sh -c 'echo ready >&3; exec 3>&-; exec sleep infinity'

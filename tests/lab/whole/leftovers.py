"""What must be nowhere after an operation: looked for on every host, in OVN and in the store, past the API."""

VIRSH = ["virsh", "-c", "qemu:///system"]


def check_nothing_left(cloud, where):
    """No VM, no domain, no disk, no port: for tests that have just taken away all they had."""
    assert list(cloud.client.pages("/v1/vms", limit=10)) == [], where
    for host in cloud.lab.hosts:
        domains = cloud.on_host(host.name, [*VIRSH, "list", "--all", "--name"]).split()
        assert domains == [], (where, host.name)
        disks = cloud.on_host(host.name, ["find", "/var/lib/ringfence/vms", "-mindepth", "1"]).split()
        assert disks == [], (where, host.name)
        ports = cloud.on_host(
            host.name, ["ovs-vsctl", "--bare", "--columns=name", "find", "Interface", "external_ids:iface-id!=none"]
        )
        assert "vnet" not in ports, (where, host.name)
    assert cloud.ports_in_ovn() == set(), where


def check_verified(cloud, where):
    """`ringfence verify` finds nothing broken, and nothing it could not look at."""
    operation = cloud.follow(cloud.client.create("/v1/verifications"))
    assert operation["state"] == "done", (where, operation["error"])
    wrong = [f for f in operation["result"]["findings"] if f["verdict"] in ("broken", "unknown")]
    # With VMs of one zone only there is nothing to try the database's refusal with; that has a test of its own.
    untried = "there are no two zones apart to try it with"
    wrong = [f for f in wrong if f["seen"] != untried]
    assert wrong == [], (where, wrong)

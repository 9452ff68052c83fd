"""Promise 5: a host joins again only on purpose; it loses nothing by it, and what it showed before is refused."""

import ssl

import pytest

from ringfence.agent.dial import Controller
from ringfence.errors import RingfenceError
from ringfence.lab import agents, commands

pytestmark = pytest.mark.lab

IDENTITY = ["sha256sum", agents.IDENTITY, "/etc/ringfence/joined.toml"]


def invite(cloud, name, *, again=False):
    return cloud.client.create("/v1/hosts/invitations", {"name": name, "again": again})["token"]


def host_told(cloud, name):
    return cloud.client.get(f"/v1/hosts/{name}")


def dialled_as(cloud, host):
    """Fetch as the host does, with its key and certificate of now."""
    tls = ssl.create_default_context(cafile=cloud.ca_file)
    tls.load_cert_chain(host.root / agents.IDENTITY.lstrip("/"))
    return Controller(cloud.agents_url, lambda: tls)


def answer(dialled):
    """What the listener answers to one who asks for an image that is not there: its status, or the refusal's code."""
    try:
        return dialled.request("GET", f"/agent/v1/images/sha256:{'0' * 64}")[0]
    except RingfenceError as error:
        return error.record().code


def test_a_host_that_has_joined_refuses_to_join_and_goes_on(cloud):
    host = cloud.lab.host("host1")
    before = host.run(IDENTITY).out
    for token in (invite(cloud, "spare"), invite(cloud, "host2", again=True)):
        with pytest.raises(commands.CommandFailed, match=r"\[joined-already\]"):
            agents.join(host, token)
    assert host.run(IDENTITY).out == before
    assert {each["name"] for each in cloud.client.pages("/v1/hosts", limit=10)} == {"host1", "host2", "host3"}


def test_a_host_with_a_vm_becomes_no_other_host(cloud, tenants):
    vm = tenants.vm("red", host="host1")
    host = cloud.lab.host("host1")
    before = host.run(IDENTITY).out
    token = invite(cloud, "spare")
    with pytest.raises(commands.CommandFailed, match=rf"{vm['id']}.*\[vms-here\]"):
        agents.join(host, token, anew=True)
    assert host.run(IDENTITY).out == before


def test_a_known_host_joins_again_under_its_vms_and_the_certificate_before_is_refused(cloud, tenants):
    vm = tenants.vm("red", host="host1")
    host, before = cloud.lab.host("host1"), host_told(cloud, "host1")
    old = dialled_as(cloud, host)
    with cloud.shell(vm):
        pass
    assert answer(old) == "not-found"
    agents.kill(host)
    agents.join(host, invite(cloud, "host1", again=True))
    agents.start(host)
    cloud.await_hosts()
    assert answer(old) == "certificate-refused"
    assert answer(dialled_as(cloud, host)) == "not-found"
    after = host_told(cloud, "host1")
    assert (after["id"], after["vms"], after["zones"]) == (before["id"], 1, ["red"])
    # The guest went on, and what is asked of the host is done there.
    with cloud.shell(vm):
        pass

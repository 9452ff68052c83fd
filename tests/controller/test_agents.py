"""How hosts join, and what the agents' listener tells whom."""

from __future__ import annotations

import asyncio
import ssl
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from tests.controller.conftest import obey

from ringfence.controller.authority import Authority
from ringfence.controller.problems import CertificateRefused
from ringfence.errors import Invalid, NameTaken, NotFound
from ringfence.fakes.agent import FakeAgent, certificate_request, check, client_context, fetch_ca
from ringfence.model.hosts import Certificate, HostState, HostUnreachable, JoinTokenRefused
from ringfence.model.zones import ZoneForbids
from ringfence.store import commands, hosts
from ringfence.store.ids import age_seconds, at
from ringfence.wire import Answer, JoinToken, Nothing, StopVm

pytestmark = pytest.mark.store


def test_a_host_joins_and_is_ready_once_it_was_heard_of(cloud_on_both) -> None:
    cloud = cloud_on_both
    agent = cloud.join("h1")
    assert agent.southbound == "ssl:192.0.2.250:6642"
    assert cloud.get("/v1/hosts/h1")["state"] == HostState.JOINING
    cloud.run(agent)
    host = cloud.get("/v1/hosts/h1")
    assert (host["id"], host["state"], host["reachable"]) == (agent.host_id, "ready", True)
    assert host["total"] == {"vcpus": 16, "memory_mib": 32768, "disk_bytes": 1 << 40}
    assert (host["underlay_address"], host["facts"]) == ("192.0.2.1", {"hypervisor": "none"})


def test_a_second_join_with_a_used_token_is_refused(cloud_on_both, tmp_path) -> None:
    cloud = cloud_on_both
    token = cloud.invite("h1")
    cloud.loop.run(FakeAgent.join(token, underlay_address="192.0.2.1", folder=tmp_path / "a", act=obey))
    with pytest.raises(JoinTokenRefused, match="used already"):
        cloud.loop.run(FakeAgent.join(token, underlay_address="192.0.2.2", folder=tmp_path / "b", act=obey))
    assert [host["underlay_address"] for host in cloud.get("/v1/hosts")["items"]] == ["192.0.2.1"]


def test_of_two_hosts_that_join_with_one_token_at_once_one_gets_in(cloud, tmp_path) -> None:
    token = cloud.invite("h1")

    async def both():
        joins = (
            FakeAgent.join(token, underlay_address=f"192.0.2.{n}", folder=tmp_path / str(n), act=obey) for n in (1, 2)
        )
        return await asyncio.gather(*joins, return_exceptions=True)

    came = cloud.loop.run(both())
    assert sorted(type(one).__name__ for one in came) == ["FakeAgent", "JoinTokenRefused"]
    assert len(cloud.get("/v1/hosts")["items"]) == 1


def test_a_join_that_fails_leaves_the_token_good(cloud, tmp_path) -> None:
    token = cloud.invite("h1")
    for address in ("127.0.0.1", "::1", "not an address"):
        with pytest.raises(Invalid, match="underlay_address"):
            cloud.loop.run(FakeAgent.join(token, underlay_address=address, folder=tmp_path / "a", act=obey))
    cloud.loop.run(FakeAgent.join(token, underlay_address="192.0.2.1", folder=tmp_path / "a", act=obey))


def test_a_host_does_not_join_a_controller_whose_fingerprint_is_another(cloud) -> None:
    token = JoinToken.parse(cloud.invite("h1"))
    forged = JoinToken(u=token.u, s=token.s, f="0" * 64, n=token.n)
    with pytest.raises(JoinTokenRefused, match="fingerprint"):
        cloud.loop.run(fetch_ca(forged))


def test_a_made_up_secret_is_refused(cloud, tmp_path) -> None:
    token = JoinToken.parse(cloud.invite("h1"))
    forged = JoinToken(u=token.u, s="x" * 43, f=token.f, n=token.n)
    with pytest.raises(JoinTokenRefused, match="unknown"):
        cloud.loop.run(FakeAgent.join(forged.text(), underlay_address="192.0.2.1", folder=tmp_path / "a", act=obey))


def test_without_a_certificate_only_the_ca_and_the_join_are_open(cloud) -> None:
    token = JoinToken.parse(cloud.invite("h1"))
    ca = cloud.loop.run(fetch_ca(token))
    with httpx.Client(base_url=token.u, verify=client_context(ca), trust_env=False) as stranger:
        for method, path in [
            ("POST", "/agent/v1/heartbeat"),
            ("GET", "/agent/v1/commands?session=s"),
            ("POST", "/agent/v1/answers"),
            ("GET", "/agent/v1/images/sha256:" + "0" * 64),
            ("GET", "/agent/v1/nowhere"),
            ("GET", "/v1/zones"),
        ]:
            with pytest.raises(CertificateRefused, match="missing"):
                check(stranger.request(method, path))


def test_a_certificate_of_another_ca_does_not_pass_tls(cloud, tmp_path) -> None:
    token = JoinToken.parse(cloud.invite("h1"))
    context = client_context(cloud.loop.run(fetch_ca(token)))
    pair = Authority(tmp_path / "other").certify(
        tmp_path / "tls", name="0197a1c2-0000-7000-8000-000000000001", addresses=[]
    )
    context.load_cert_chain(pair.certificate, pair.key)
    with (
        httpx.Client(base_url=token.u, verify=context, trust_env=False) as stranger,
        pytest.raises((httpx.TransportError, ssl.SSLError)),
    ):
        stranger.get("/agent/v1/ca")


def test_our_own_certificate_of_something_else_is_no_hosts(cloud, tmp_path) -> None:
    authority = cloud.controller._parts.authority
    host = cloud.join("h1")
    pair = authority.certify(tmp_path / "tls", name=host.host_id, addresses=["192.0.2.1"])
    context = client_context(authority.certificate_pem)
    context.load_cert_chain(pair.certificate, pair.key)
    with httpx.Client(base_url=host.url, verify=context, trust_env=False) as forged, pytest.raises(CertificateRefused):
        check(forged.get("/agent/v1/commands?session=s"))


def test_a_removed_hosts_certificate_is_refused_at_once(cloud) -> None:
    agent = cloud.join("h1")

    async def beat_twice():
        async with agent.http() as http:
            await agent.beat(http)
            why = {"Ringfence-Reason": "sold"}
            removed = await asyncio.to_thread(cloud.http.delete, "/v1/hosts/h1", headers=why)
            assert removed.status_code == 204
            with pytest.raises(CertificateRefused):
                await agent.beat(http)

    cloud.loop.run(beat_twice())
    assert cloud.get("/v1/hosts/h1", expect=404)["code"] == "not-found"


def test_a_host_that_joins_again_stays_what_it_is_and_its_certificate_before_is_refused(
    cloud_on_both, tmp_path
) -> None:
    cloud = cloud_on_both
    before = cloud.join("h1")
    cloud.loop.run(_beat(before))
    cloud.post("/v1/hosts/h1/cordon", expect=200)
    token = cloud.post("/v1/hosts/invitations", {"name": "h1", "again": True}, expect=201)["token"]
    assert JoinToken.parse(token).h == before.host_id
    cloud.loop.run(_beat(before))
    after = cloud.loop.run(FakeAgent.join(token, underlay_address="192.0.2.7", folder=tmp_path / "again", act=obey))
    with pytest.raises(CertificateRefused):
        cloud.loop.run(_beat(before))
    cloud.loop.run(_beat(after))
    host = cloud.get("/v1/hosts/h1")
    assert (after.host_id, after.name) == (before.host_id, "h1")
    assert (host["id"], host["state"], host["underlay_address"]) == (before.host_id, "cordoned", "192.0.2.7")
    with pytest.raises(JoinTokenRefused, match="used already"):
        cloud.loop.run(FakeAgent.join(token, underlay_address="192.0.2.7", folder=tmp_path / "more", act=obey))


def test_a_certificate_near_its_end_is_renewed_and_the_one_before_is_refused_once_the_new_is_shown(
    cloud_on_both,
) -> None:
    cloud = cloud_on_both
    agent = cloud.join("h1")
    before = cloud.get("/v1/hosts/h1")["certificate_expires_at"]
    assert 0 < -age_seconds(before) - 71 * 3600 < 3600
    cloud.loop.run(_beat(agent))
    assert cloud.get("/v1/hosts/h1")["certificate_expires_at"] == before
    context = client_context((agent.folder / "ca.pem").read_text())
    context.load_cert_chain(agent.folder / "identity.pem")
    # 48 hours and a little, then a little less.
    for left_seconds, renewed in ((48 * 3600 + 60, False), (48 * 3600 - 60, True)):
        _set_expiry(cloud, agent, left_seconds)
        cloud.loop.run(_beat(agent))
        assert (-age_seconds(cloud.get("/v1/hosts/h1")["certificate_expires_at"]) > 71 * 3600) is renewed
    with httpx.Client(base_url=agent.url, verify=context, trust_env=False) as old, pytest.raises(CertificateRefused):
        check(old.get("/agent/v1/commands?session=s"))


def test_a_renewal_whose_answer_was_lost_leaves_the_certificate_good(cloud) -> None:
    agent = cloud.join("h1")
    request = certificate_request(ec.generate_private_key(ec.SECP256R1()), "h1")

    async def ask_and_lose():
        async with agent.http() as http:
            for _ in range(2):
                check(await http.post("/agent/v1/certificate", json={"csr": request}))
                await agent.beat(http)

    cloud.loop.run(ask_and_lose())


def test_a_host_that_was_removed_gets_no_certificate(cloud) -> None:
    agent = cloud.join("h1")

    async def ask(http, csr):
        return (await http.post("/agent/v1/certificate", json={"csr": csr})).json()["code"]

    async def ask_before_and_after():
        async with agent.http() as http:
            assert await ask(http, "none") == "invalid"
            await asyncio.to_thread(cloud.delete, "/v1/hosts/h1", expect=204, reason="sold")
            assert await ask(http, "none") == "certificate-refused"

    cloud.loop.run(ask_before_and_after())


def test_an_expired_certificate_does_not_pass_tls_and_is_known_as_expired(cloud) -> None:
    agent, parts = cloud.join("h1"), cloud.controller._parts
    assert FakeAgent.can_resume(agent.folder)
    key = ec.generate_private_key(ec.SECP256R1())
    pem, kept = parts.authority.issue_for_host(
        agent.host_id, certificate_request(key, "h1"), "192.0.2.1", good_seconds=-1
    )
    (agent.folder / "identity.pem").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + pem.encode()
    )
    with parts.store.transaction() as session:
        hosts.set_certificate(session, agent.host_id, kept)
    assert not FakeAgent.can_resume(agent.folder)
    agent.tls.load_cert_chain(agent.folder / "identity.pem")
    with pytest.raises(httpx.TransportError):
        cloud.loop.run(_beat(agent))


def _set_expiry(cloud, agent, left_seconds) -> None:
    with cloud.controller._parts.store.transaction() as session:
        host = hosts.host(session, agent.host_id)
        kept = Certificate(
            serial="1", fingerprint=host.certificate_fingerprint, expires_at=at(seconds_from_now=left_seconds)
        )
        hosts.set_certificate(session, host.id, kept)


def test_only_a_host_that_is_there_is_invited_again_and_one_that_was_removed_is_not_let_in(cloud, tmp_path) -> None:
    again = {"name": "h1", "again": True}
    assert cloud.post("/v1/hosts/invitations", again, expect=404)["code"] == "not-found"
    cloud.join("h1")
    token = cloud.post("/v1/hosts/invitations", again, expect=201)["token"]
    cloud.delete("/v1/hosts/h1", expect=204, reason="sold")
    cloud.join("h1")
    with pytest.raises(JoinTokenRefused, match="removed"):
        cloud.loop.run(FakeAgent.join(token, underlay_address="192.0.2.9", folder=tmp_path / "late", act=obey))


def test_a_token_made_for_a_name_before_a_host_of_that_name_joined_does_not_make_its_holder_that_host(
    cloud, tmp_path
) -> None:
    token = cloud.invite("h1")
    cloud.join("h1")
    with pytest.raises(NameTaken):
        cloud.loop.run(FakeAgent.join(token, underlay_address="192.0.2.9", folder=tmp_path / "late", act=obey))


async def _beat(agent) -> None:
    async with agent.http() as http:
        await agent.beat(http)


def test_a_host_is_told_its_fellows_as_they_come_and_go(cloud) -> None:
    h1, h2 = cloud.join("h1"), cloud.join("h2")

    def told(agent):
        async def beat():
            async with agent.http() as http:
                await agent.beat(http)

        cloud.loop.run(beat())
        return agent.fellows

    assert (told(h1), told(h2)) == (("192.0.2.2",), ("192.0.2.1",))
    cloud.join("h3")
    assert (told(h1), told(h2)) == (("192.0.2.2", "192.0.2.3"), ("192.0.2.1", "192.0.2.3"))
    cloud.delete("/v1/hosts/h2", expect=204, reason="sold")
    assert told(h1) == ("192.0.2.3",)


def test_no_switch_keeps_an_address_that_another_host_has_or_none(cloud) -> None:
    first = cloud.join("h1")
    cloud.delete("/v1/hosts/h1", expect=204, reason="sold")
    assert cloud.fence.released == [("192.0.2.1", first.host_id), ("192.0.2.1", None)]


def test_a_host_answers_only_its_own_commands(cloud) -> None:
    h1, h2 = cloud.join("h1"), cloud.join("h2")

    async def steal():
        asking = asyncio.create_task(asyncio.to_thread(_ask, cloud, h1, "k", 5.0))
        async with h1.http() as first, h2.http() as second:
            command = await h1.next_command(first)
            with pytest.raises(NotFound):
                await h2.answer(second, Answer(command_id=command.id, result=Nothing()))
            assert await h2.next_command(second, wait_seconds=0) is None
            await h1.answer(first, Answer(command_id=command.id, result=Nothing(changed=False)))
            await h1.answer(first, Answer(command_id=command.id, result=Nothing(changed=True)))
        return await asking

    assert cloud.loop.run(steal()) == Nothing(changed=False)


ERROR = b'{"code": "a", "family": "b", "status": 1, "message": "", "remedy": "", "facts": {}}'


HOSTILE = [
    b"",
    b"{",
    b"[]",
    b'{"command_id": 5}',
    b'{"command_id": "x"}',
    b'{"command_id": "x", "result": {"result": "made-up"}}',
    b'{"command_id": "x", "result": {"result": "nothing"}, "error": ' + ERROR + b"}",
    b'{"command_id": "\\ud800", "result": {"result": "nothing"}}',
    b"\xff\xfe",
    b"[" * 100_000,
]


def test_a_hostile_answer_is_refused_as_invalid(cloud) -> None:
    agent = cloud.join("h1")

    async def post(body):
        async with agent.http() as http:
            return (await http.post("/agent/v1/answers", content=body)).json()["code"]

    assert [cloud.loop.run(post(body)) for body in HOSTILE] == ["invalid"] * len(HOSTILE)


def test_hostile_heartbeats_and_joins_are_refused(cloud) -> None:
    agent = cloud.join("h1")
    beat = {"protocol": 1, "agent_version": "x", "vcpus": 1, "memory_mib": 1, "disk_bytes": 1, "facts": {}, "vms": []}

    async def post(path, body):
        async with agent.http() as http:
            return (await http.post(path, json=body)).json()["code"]

    hostile = [
        {"vcpus": -1},
        {"vcpus": 2**70},
        {"disk_bytes": 2**62},
        {"facts": {"a": "x" * 2000}},
        {"facts": {str(n): "" for n in range(100)}},
        {"agent_version": "x" * 100},
        {"vms": [{}]},
    ]
    for wrong in hostile:
        assert cloud.loop.run(post("/agent/v1/heartbeat", {**beat, **wrong})) == "invalid"
    assert cloud.loop.run(post("/agent/v1/heartbeat", {**beat, "protocol": 99})) == "protocol-mismatch"
    assert cloud.loop.run(post("/agent/v1/heartbeat", {**beat, "agent_version": "a\0"})) == "request-refused"
    assert cloud.loop.run(post("/agent/v1/heartbeat", {**beat, "facts": {"a": "x" * (2 << 20)}})) == "too-large"
    join = {"protocol": 1, "secret": "s", "csr": "c", "underlay_address": "192.0.2.1", "agent_version": "x"}
    assert cloud.loop.run(post("/agent/v1/join", {**join, "more": 1})) == "invalid"
    assert cloud.loop.run(post("/agent/v1/join", {**join, "protocol": 2})) == "protocol-mismatch"


def _ask(cloud, agent, key, patience):
    verb = StopVm(vm_id="0197a1c2-0000-7000-8000-000000000001", graceful_seconds=1)
    return cloud.controller._parts.hypervisors.ask(agent.host_id, verb, key=key, patience_seconds=patience)


def test_one_key_is_one_command_and_one_answer(cloud_on_both) -> None:
    cloud = cloud_on_both
    agent = cloud.run(cloud.join("h1"))
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: _ask(cloud, agent, "same", 10.0), range(4)))
    assert answers == [Nothing()] * 4
    assert [command.key for command in agent.received] == ["same"]


def test_a_host_that_does_not_fetch_never_gets_what_was_given_up(cloud) -> None:
    agent = cloud.join("h1")
    with pytest.raises(HostUnreachable) as told:
        _ask(cloud, agent, "k", 0.3)
    assert told.value.host == "h1"
    assert told.value.asked == "stop-vm"

    async def poll():
        async with agent.http() as http:
            return await agent.next_command(http, wait_seconds=1)

    assert cloud.loop.run(poll()) is None


def test_an_error_answered_by_the_host_is_raised_as_it_was(cloud) -> None:
    async def refuse(_host, _verb):
        raise ZoneForbids(zone="blue", host="h1", beside=["red"])

    agent = cloud.run(cloud.join("h1", act=refuse))
    with pytest.raises(ZoneForbids) as told:
        _ask(cloud, agent, "k", 5.0)
    assert told.value.beside == ["red"]


def test_a_restarted_agent_gets_again_what_it_had_not_answered(cloud) -> None:
    agent = cloud.join("h1")

    async def crash_and_return():
        asking = asyncio.create_task(asyncio.to_thread(_ask, cloud, agent, "k", 20.0))
        async with agent.http() as http:
            before = await agent.next_command(http)
            assert await agent.next_command(http, wait_seconds=0) is None
            agent.session = "after the crash"
            after = await agent.next_command(http)
            assert after == before
            await agent.answer(http, Answer(command_id=after.id, result=Nothing()))
        return await asking

    assert cloud.loop.run(crash_and_return()) == Nothing()


def test_the_poll_of_an_agent_that_was_killed_takes_nothing_from_those_after_it(cloud) -> None:
    agent = cloud.join("h1")

    def await_poll() -> None:
        deadline = time.monotonic() + 10
        while not any(topic.startswith("command:") for topic in cloud.controller._parts.bells._listeners):
            assert time.monotonic() < deadline
            time.sleep(0.01)

    async def restart_twice():
        async with agent.http() as killed:
            polling = asyncio.create_task(agent.next_command(killed))
            await asyncio.to_thread(await_poll)
            polling.cancel()
        async with agent.http() as http:
            for agent.session in ("two", "three"):
                assert await agent.next_command(http, wait_seconds=0) is None
            asking = asyncio.create_task(asyncio.to_thread(_ask, cloud, agent, "k", 20.0))
            command = await agent.next_command(http)
            assert await agent.next_command(http, wait_seconds=1) is None
            await agent.answer(http, Answer(command_id=command.id, result=Nothing()))
        return await asking

    assert cloud.loop.run(restart_twice()) == Nothing()


def test_an_agent_is_woken_by_a_command_and_does_not_wait_for_the_next_look(cloud) -> None:
    """Without the bell it would be half a second on average; `make bench NAME=mailbox-wake` tells how fast it is."""
    agent = cloud.join("h1")
    parts = cloud.controller._parts
    wakes: list[float] = []

    async def measure() -> None:
        def write(number: int) -> float:
            verb = StopVm(vm_id="v", graceful_seconds=1)
            with parts.store.transaction() as session:
                commands.add_command(session, agent.host_id, verb, key=f"k{number}", patience_seconds=10)
            return time.perf_counter()

        async with agent.http() as http:
            await agent.next_command(http, wait_seconds=0)
            for number in range(20):
                polling = asyncio.create_task(agent.next_command(http))
                await asyncio.sleep(0.03)
                written = await asyncio.to_thread(write, number)
                command = await polling
                wakes.append(time.perf_counter() - written)
                await agent.answer(http, Answer(command_id=command.id, result=Nothing()))

    cloud.loop.run(measure())
    # Half of the fallback's second, which no load on the machine makes of a wake that works.
    assert statistics.median(wakes) < 0.5


def test_a_cordoned_host_stays_cordoned_through_heartbeats(cloud) -> None:
    cloud.run(cloud.join("h1"))
    assert cloud.post("/v1/hosts/h1/cordon", expect=200)["state"] == "cordoned"
    assert cloud.post("/v1/hosts/h1/cordon", expect=200)["state"] == "cordoned"
    assert cloud.post("/v1/hosts/h1/uncordon", expect=200)["state"] == "ready"
    assert cloud.post("/v1/hosts/invitations", {"name": "h1"}, expect=409)["code"] == "name-taken"

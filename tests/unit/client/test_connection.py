"""The client's manners, against answers made up by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import httpx
import pytest

from ringfence.client import connection as client_module
from ringfence.client.connection import Client, ControllerUnreachable, NotTheController
from ringfence.client.settings import NoToken, Settings, SettingsRefused
from ringfence.errors import Relayed
from ringfence.model.zones import ZoneForbids

pytestmark = pytest.mark.unit

Answer = Callable[[httpx.Request], httpx.Response]


def client(answer: Answer) -> Client:
    return Client(Settings(token="secret"), transport=httpx.MockTransport(answer))


def problem(code: str, **facts: object) -> httpx.Response:
    told = {"code": code, "family": "refused", "detail": "No.", "remedy": "Do not.", "facts": facts}
    return httpx.Response(409, json=told)


class Broken(httpx.SyncByteStream):
    """A stream that ends in the middle."""

    def __iter__(self) -> Iterator[bytes]:
        yield b'event: operation\ndata: {"id": "1", "state": "running"}\n\n'
        raise httpx.ReadError("gone")


@pytest.mark.parametrize("unsendable", ["hush\n", "hush\nhush", " hush", "hush\x00", "hush\x7f"])
def test_a_token_or_reason_that_no_header_can_carry_is_refused_and_not_shown(unsendable: str) -> None:
    for settings in (Settings(token=unsendable), Settings(token="secret", reason=unsendable)):
        with pytest.raises(SettingsRefused) as refused:
            Client(settings)
        assert "hush" not in refused.value.message


def test_the_token_is_sent_with_every_request() -> None:
    seen = []
    client(lambda request: seen.append(request.headers["Authorization"]) or httpx.Response(200, json={})).get(
        "/v1/zones/a"
    )
    assert seen == ["Bearer secret"]


def test_what_is_simulated_is_told_once_and_what_is_real_never() -> None:
    told = []
    for headers, times in (({"Ringfence-Simulated": "true"}, 1), ({}, 0)):
        transport = httpx.MockTransport(lambda _, headers=headers: httpx.Response(200, headers=headers, json={}))
        asking = Client(Settings(token="t"), transport=transport, on_simulated=lambda: told.append("simulated"))
        asking.get("/v1/zones/a")
        asking.get("/v1/zones/b")
        assert len(told) == times
        assert asking.simulated is bool(times)
        told.clear()


def test_nothing_is_sent_without_a_token() -> None:
    with pytest.raises(NoToken):
        Client(Settings())


def test_a_problem_comes_out_as_the_error_it_tells_of() -> None:
    refusing = client(lambda _: problem("zone-forbids", zone="red", host="h1", beside=["blue"]))
    with pytest.raises(ZoneForbids) as raised:
        refusing.get("/v1/vms/1")
    assert raised.value.beside == ["blue"]


def test_a_problem_of_an_unknown_code_keeps_its_words() -> None:
    with pytest.raises(Relayed) as raised:
        client(lambda _: problem("from-the-future", x=1)).get("/v1/vms/1")
    assert (raised.value.record().code, raised.value.message, raised.value.remedy) == (
        "from-the-future",
        "No.",
        "Do not.",
    )


@pytest.mark.parametrize("answer", [httpx.Response(502, text="<html>"), httpx.Response(200, text="hello")])
def test_a_stranger_is_not_taken_for_the_controller(answer: httpx.Response) -> None:
    with pytest.raises(NotTheController):
        client(lambda _: answer).get("/v1/zones/a")


def test_a_list_is_read_page_by_page_and_no_further_than_the_limit() -> None:
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(dict(request.url.params))
        start = int(request.url.params.get("cursor", 0))
        count = int(request.url.params["limit"])
        return httpx.Response(
            200, json={"items": [{"n": n} for n in range(start, start + count)], "next": str(start + count)}
        )

    found = list(client(answer).pages("/v1/vms", limit=250, project=None))
    assert [item["n"] for item in found] == list(range(250))
    assert asked == [{"limit": "200"}, {"limit": "50", "cursor": "200"}]


def test_a_create_that_is_sent_again_keeps_its_idempotency_key() -> None:
    keys = []

    def answer(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["Idempotency-Key"])
        if len(keys) == 1:
            raise httpx.ReadError("the connection broke")
        return httpx.Response(202, json={"id": "1"})

    assert client(answer).create("/v1/vms", {}) == {"id": "1"}
    assert keys[0] == keys[1]


def test_a_change_is_refused_if_another_came_between() -> None:
    seen = {}

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json={}, headers={"ETag": '"7"'})
        seen.update(match=request.headers["If-Match"], body=json.loads(request.content))
        return httpx.Response(200, json={})

    client(answer).change("/v1/zones/red", {"colour": "blue"})
    assert seen == {"match": '"7"', "body": {"colour": "blue"}}


def test_following_survives_a_stream_that_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "RETRY_SECONDS", 0.0)
    streams = [
        httpx.Response(200, stream=Broken()),
        httpx.Response(200, text='event: operation\ndata: {"id": "1", "state": "done"}\n\n'),
    ]
    states = [operation["state"] for operation in client(lambda _: streams.pop(0)).follow("1")]
    assert states == ["running", "done"]


def test_following_gives_up_on_a_controller_that_stays_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(client_module, "RECONNECT_SECONDS", 0.0)

    def answer(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(ControllerUnreachable):
        list(client(answer).follow("1"))

"""How soon a page of a long list is there: a real controller, a program of its own, with 10,000 VMs of one project.

A hundred clients keep their connections. Each asks for one page every few seconds, as an open browser does, and then
all of them as fast as they are answered. The reference does the same with the query alone, straight on the database.
"""

from __future__ import annotations

import http.client
import json
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tests.controller.people import program
from tests.store.conftest import furnish

from bench.figures import Figure, figure, p99
from ringfence.controller.api.requests import cursor_for
from ringfence.model.names import OperationId, VmId
from ringfence.model.operations import OperationState
from ringfence.model.vms import VmState
from ringfence.store import claims, ledger, networks, operations, vms
from ringfence.store.engine import Session, Store, open_store

VMS = 10_000
VMS_A_HOST = 100
VMS_A_NETWORK = 200
VMS_AT_ONCE = 100
PAGE = 100
CLIENTS = 100
EVERY_SECONDS = 5.0
ROUNDS = 6
ASKED_AT_FULL_SPEED = 5
Ask = Callable[[str | None], int]
"""Asks for the page after this VM; gives how many VMs are on it."""


def pages() -> Iterator[Figure]:
    """Yield `api-list`: a page of 100 VMs asked of the API → it is there, 100 clients, p99."""
    with tempfile.TemporaryDirectory(prefix="ringfence-bench-") as folder:
        data = Path(folder) / "data"
        with program(data) as first:
            token = first.token
        with_vms = open_store(f"sqlite:///{data}/ringfence.db")
        starts = [None, *_populate(with_vms)]
        with program(data) as server:
            _await_ledger(with_vms)
            ours = _paced(starts, partial(_over_http, server.url, token))
            bare = _paced(starts, partial(_straight, with_vms))
            at_full_speed = _unpaced(starts, partial(_over_http, server.url, token))
        with_vms.close()
    yield figure(
        "api-list",
        ours,
        bare,
        middle=p99,
        digits=2,
        reference_is="the same pages straight from the database, p99",
        unit="ms p99",
        p50_ms=round(sorted(ours)[len(ours) // 2], 2),
        vms=VMS,
        page=PAGE,
        clients=CLIENTS,
        pages_a_second=round(CLIENTS / EVERY_SECONDS, 1),
        as_fast_as_answered_ms_p99=round(p99(at_full_speed), 1),
        database="sqlite",
    )


def _populate(store: Store) -> list[str]:
    """Make the VMs, all of them running; gives the id before each page but the first."""
    cloud = furnish(store)
    ids: list[str] = []
    for number in range(0, VMS, VMS_AT_ONCE):
        if number % VMS_A_NETWORK == 0:
            _add_network(store, number // VMS_A_NETWORK)
        if number % VMS_A_HOST == 0:
            host_id = cloud.add_host(f"h{number // VMS_A_HOST}", vcpus=1024, memory_mib=2**20)
        with store.transaction() as session:
            ids += [
                _add_vm(session, f"vm{number + i}", f"n{number // VMS_A_NETWORK}", host_id) for i in range(VMS_AT_ONCE)
            ]
    ids.sort()
    return ids[PAGE - 1 : -1 : PAGE]


def _await_ledger(store: Store) -> None:
    """Wait until the controller has placed the ledger's entries of what was made: that is no part of listing it."""
    while True:
        with store.reading() as session:
            if not ledger.is_waiting(session):
                return
        time.sleep(0.2)


def _add_network(store: Store, number: int) -> None:
    with store.transaction() as session:
        networks.add_network(session, name=f"n{number}", cidr=f"10.2.{number}.0/24")


def _add_vm(session: Session, name: str, network: str, host_id: str) -> str:
    vm, operation = vms.add_vm(
        session,
        name=name,
        project="shop",
        zone="red",
        flavor="small",
        image="tiny",
        networks=[network],
        labels={"tier": "web"},
    )
    claims.claim(session, vm.id, host_id, reason="the emptiest")
    vms.vm_became(session, VmId(vm.id), VmState.RUNNING)
    operations.operation_became(session, OperationId(operation.id), OperationState.DONE)
    return vm.id


def _over_http(url: str, token: str) -> Ask:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
    headers = {"Authorization": f"Bearer {token}"}

    def ask(after: str | None) -> int:
        cursor = f"&cursor={cursor_for(after)}" if after else ""
        connection.request("GET", f"/v1/vms?limit={PAGE}{cursor}", headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body
        return len(json.loads(body)["items"])

    return ask


def _straight(store: Store) -> Ask:
    def ask(after: str | None) -> int:
        with store.reading() as session:
            return len(vms.vms(session, limit=PAGE, after=after).items)

    return ask


def _paced(starts: list[str | None], asking: Callable[[], Ask]) -> list[float]:
    """Have each client ask a page every `EVERY_SECONDS`, each at its own moment; gives milliseconds."""
    begin = time.monotonic() + 1

    def moments(client: int) -> Iterator[None]:
        for number in range(ROUNDS):
            # At its own moment, however late the page before came.
            due = begin + (number + client / CLIENTS) * EVERY_SECONDS
            threading.Event().wait(max(0.0, due - time.monotonic()))
            yield

    return _measured(starts, asking, moments)


def _unpaced(starts: list[str | None], asking: Callable[[], Ask]) -> list[float]:
    return _measured(starts, asking, lambda _client: iter([None] * ASKED_AT_FULL_SPEED))


def _measured(
    starts: list[str | None], asking: Callable[[], Ask], moments: Callable[[int], Iterator[None]]
) -> list[float]:
    def client(number: int) -> list[float]:
        chosen, ask = random.Random(number), asking()
        took = []
        for _ in moments(number):
            after = chosen.choice(starts)
            began = time.perf_counter()
            found = ask(after)
            took.append(1e3 * (time.perf_counter() - began))
            assert found == PAGE
        return took

    with ThreadPoolExecutor(CLIENTS) as pool:
        return [ms for told in pool.map(client, range(CLIENTS)) for ms in told]

"""How many people can sign in a second, and what stays of their passwords: a real controller, a program of its own."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence, Sized
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from nacl.pwhash import argon2id
from tests.controller.people import Person, Program, program
from tests.secrets.canaries import ACCOUNT, Canaries, Wire, attempt, person_at
from tests.secrets.memory_scan import plant

from bench.figures import Figure, Unmeasured, figure
from ringfence.client.sealing import seal
from ringfence.passwords.sodium import HASH_MEMORY_BYTES, HASH_PASSES

CPUS = os.cpu_count() or 1
ROUNDS = 8
A_ROUND = 48
CONNECTIONS = 4
SIGN_INS = 1000
PASSWORD = "my dog eats moss"
ShareT = TypeVar("ShareT", bound=Sized)


def logins() -> Iterator[Figure]:
    """Yield `login`: sign-ins a second over connections kept alive, beside the bare hash on as many threads."""
    with tempfile.TemporaryDirectory(prefix="ringfence-bench-") as folder, program(Path(folder) / "data") as server:
        person = Person(server.url)
        assert person.set_up(server.link, ACCOUNT, PASSWORD).status_code == 201
        device = person.cookie("__Host-ringfence-device")
        ours, bare = [], []
        for _ in range(ROUNDS):
            bodies = _sealed_before(person)
            ours.append(_rate(CONNECTIONS, lambda mine: _sign_in(server, device, mine), _dealt(bodies, CONNECTIONS)))
            bare.append(_rate(CPUS, _hash, [range(A_ROUND // CPUS)] * CPUS))
        person.close()
    yield figure(
        "login",
        ours,
        bare,
        reference_is="Argon2id alone, on as many threads as processors",
        unit="/s",
        connections=CONNECTIONS,
        argon2id=f"m={HASH_MEMORY_BYTES >> 10} KiB, t={HASH_PASSES}, p=1",
        database="sqlite",
        clients="on the same processors",
    )


def residue() -> Iterator[Figure]:
    """Yield `password-residue`: copies of pieces of passwords in all memory of the server, after 1,000 sign-ins."""
    if os.geteuid() != 0:
        raise Unmeasured("reading another process's memory needs root")
    folder = tempfile.TemporaryDirectory(prefix="ringfence-bench-")
    with folder as path, program(Path(path) / "data", "--tls") as server:
        right, wrong, planted = Canaries(), Canaries(), Canaries()
        password = right.password()
        assert person_at(server).set_up(server.link, ACCOUNT, password).status_code == 201
        wires = [Wire(server, seed=seed) for seed in range(4)]
        for wire in wires:
            wire.sign_in(password)
        for number in range(SIGN_INS):
            expected, told = attempt(wires[number % len(wires)], number // len(wires), password, wrong)
            assert told == expected
        left = {**right.left_in(server), **wrong.left_in(server)}
        found, processes = 0, len(server.pids)
        for pid in server.pids.values():
            with plant(pid, planted.pieces[1].encode(), "anonymous"):
                found += sum(len(regions) for regions in planted.left_in(server).values())
    yield figure(
        "password-residue",
        [float(sum(len(regions) for regions in left.values()))],
        [0.0],
        reference_is="none",
        unit="copies",
        sign_ins=SIGN_INS,
        tls=True,
        processes=processes,
        copies_planted_and_found=found,
    )


def _sealed_before(person: Person) -> list[bytes]:
    """Seal each sign-in of a round ahead of it: that is the clients' work."""
    key = person.http.get("/v1/session/key").json()
    about = {"account": ACCOUNT, "key_id": key["key_id"]}
    return [json.dumps({**about, "sealed_password": seal(PASSWORD, key)}).encode() for _ in range(A_ROUND)]


def _dealt(bodies: list[bytes], hands: int) -> list[list[bytes]]:
    return [list(itertools.islice(bodies, hand, None, hands)) for hand in range(hands)]


def _rate(threads: int, work: Callable[[ShareT], None], shares: Sequence[ShareT]) -> float:
    """Give how much of the work is done a second, each thread doing its share."""
    with ThreadPoolExecutor(threads) as pool:
        began = time.perf_counter()
        for done in [pool.submit(work, share) for share in shares]:
            done.result()
        return sum(len(share) for share in shares) / (time.perf_counter() - began)


def _sign_in(server: Program, device: str, bodies: list[bytes]) -> None:
    headers = {"Content-Type": "application/json", "Cookie": f"__Host-ringfence-device={device}"}
    with contextlib.closing(http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=60)) as connection:
        for body in bodies:
            connection.request("POST", "/v1/session", body, headers)
            answer = connection.getresponse()
            assert answer.status == 201, answer.read()
            answer.read()


def _hash(times: range) -> None:
    for _ in times:
        argon2id.kdf(32, PASSWORD.encode(), secrets.token_bytes(16), opslimit=HASH_PASSES, memlimit=HASH_MEMORY_BYTES)

"""After a thousand sign-ins over TLS, the whole memory of every process of the server is read: no piece of a password.

Requests go out by hand, over connections kept alive, in pieces that end anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.controller.people import Program, program
from tests.secrets.canaries import ACCOUNT, Canaries, Wire, attempt, person_at
from tests.secrets.memory_scan import copies, plant

from ringfence.client.sealing import Recipient

pytestmark = [pytest.mark.contract, pytest.mark.timeout(1200)]

SIGN_INS = 1000


@pytest.fixture
def server(root, tmp_path: Path) -> Iterator[Program]:  # noqa: ARG001
    with program(tmp_path / "data", "--tls") as running:
        yield running


def test_after_a_thousand_sign_ins_no_piece_of_a_password_is_left(server) -> None:
    right, wrong = Canaries(), Canaries()
    password = right.password()
    assert person_at(server).set_up(server.link, ACCOUNT, password).status_code == 201
    wires = [Wire(server, seed=seed) for seed in range(4)]
    for wire in wires:
        assert wire.sign_in(password) == 201
    worst: dict[str, list[str]] = {}
    for number in range(SIGN_INS):
        wire = wires[number % len(wires)]
        expected, told = attempt(wire, number // len(wires), password, wrong)
        assert told == expected, f"attempt {number}"
        if number % 250 == 100:
            worst |= right.left_in(server) | wrong.left_in(server)
    assert worst | right.left_in(server) | wrong.left_in(server) == {}
    for wire in wires:
        wire.close()


def test_a_new_password_and_the_set_up_link_leave_nothing(server) -> None:
    first, second, unfit = Canaries(), Canaries(), Canaries()
    secret = server.link.partition("#")[2]
    pieces = [secret[start : start + 14].encode() for start in (0, 14, len(secret) - 14)]
    link = lambda: {what: found for what, pid in server.pids.items() if any((found := copies(pid, pieces)).values())}  # noqa: E731
    assert link() == {}, "printed, and not kept"
    person = person_at(server)
    passwords = [first.password(), second.password()]
    assert person.set_up(server.link, ACCOUNT, "too short").status_code == 422
    assert person.set_up(server.link, ACCOUNT, passwords[0]).status_code == 201
    for number in range(20):
        old, new = passwords[number % 2], passwords[1 - number % 2]
        short = person.sealed(current=old, new=unfit.pieces[0][:11])
        assert person.ask("PUT", "/v1/account/password", short).status_code == 422
        changed = person.ask("PUT", "/v1/account/password", person.sealed(current=old, new=new))
        assert changed.status_code == 204, changed.text
    assert link() == {}
    assert first.left_in(server) | second.left_in(server) == {}
    found = {what: copies(pid, [unfit.pieces[0][:11].encode()]) for what, pid in server.pids.items()}
    assert not any(regions for each in found.values() for regions in each.values()), found


def test_a_token_that_is_made_sealed_leaves_nothing(server) -> None:
    person = person_at(server)
    assert person.set_up(server.link, ACCOUNT, "my dog eats moss").status_code == 201
    pieces: list[bytes] = []
    for number in range(20):
        recipient = Recipient()
        made = person.ask("POST", "/v1/tokens", {"name": f"t{number}", "recipient": recipient.public_key})
        assert made.status_code == 201, made.text
        secret = recipient.open(made.json()["sealed_secret"]).encode()
        pieces += [secret[:14], secret[14:28], secret[-14:]]
    for what, pid in server.pids.items():
        left = {piece: regions for piece, regions in copies(pid, pieces).items() if regions}
        assert left == {}, what
    answer = person.http.get("/v1/session", headers={"Authorization": f"Bearer {secret.decode()}"})
    assert answer.json()["account"]["name"] == ACCOUNT, "and it opens the API"


def test_the_same_scan_finds_a_copy_that_is_there(server) -> None:
    planted, sent = Canaries(), Canaries()
    for what, pid in server.pids.items():
        with plant(pid, planted.pieces[1].encode(), "anonymous"):
            assert list(planted.left_in(server)) == [f"{what}: {planted.pieces[1]}"]
    assert planted.left_in(server) == {}
    # A password in clear is refused, and all the same it is in the web server's memory: what sealing is for.
    body = {"account": ACCOUNT, "password": sent.password()}
    assert person_at(server).ask("POST", "/v1/session", body).status_code == 422
    assert {name.partition(":")[0] for name in sent.left_in(server)} == {"controller"}

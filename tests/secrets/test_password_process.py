"""The process that alone sees passwords: what it answers, what it may not do, and that nothing stays in its memory."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import secrets
import select
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from tests.secrets.memory_scan import copies, plant

from ringfence.client.sealing import Recipient
from ringfence.errors import Invalid
from ringfence.model.signins import PasswordUnfit, SealedToAnotherKey, SealRefused, SignInsUnavailable

pytestmark = pytest.mark.contract

PASSWORD = "my dog eats moss"


def test_only_the_right_password_is_right(desk) -> None:
    stored = desk.hash(PASSWORD)
    assert desk.is_right(PASSWORD, stored)
    assert not desk.is_right(PASSWORD + " ", stored)
    assert not desk.is_right(PASSWORD[:-1], stored)


def test_the_hash_is_argon2id_at_the_cost_we_say_and_salted(desk) -> None:
    first, second = desk.hash(PASSWORD), desk.hash(PASSWORD)
    assert first.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert first != second


def test_a_hash_of_another_cost_is_replaced_once_the_password_was_right(desk) -> None:
    # Of the password, at m=8192, t=1.
    old = "$argon2id$v=19$m=8192,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$"
    old += base64.b64encode(_argon2id(PASSWORD, b"0123456789abcdef")).decode().rstrip("=")
    wrong = desk.passwords.verify(*desk.sealed("another one, quite"), old)
    assert (wrong.right, wrong.fresh) == (False, "")
    right = desk.passwords.verify(*desk.sealed(PASSWORD), old)
    assert right.right
    assert desk.is_right(PASSWORD, right.fresh)
    assert desk.passwords.verify(*desk.sealed(PASSWORD), right.fresh).fresh == ""


def _argon2id(password: str, salt: bytes) -> bytes:
    return Argon2id(salt=salt, length=32, iterations=1, lanes=1, memory_cost=8192).derive(password.encode())


def test_no_password_is_right_for_nobody_and_it_takes_as_long(desk) -> None:
    stored = desk.hash(PASSWORD)
    for hash_ in ("", "$argon2id$nonsense", "x"):
        assert not desk.is_right(PASSWORD, hash_)
    nobody, wrong = [], []
    for _ in range(15):
        for times, hash_ in ((nobody, ""), (wrong, stored)):
            asked = desk.sealed("not the password at all")
            began = time.perf_counter()
            assert not desk.passwords.verify(*asked, hash_).right
            times.append(time.perf_counter() - began)
    # Medians of tens of milliseconds each, taken in turn: what remains between them is the machine's other work.
    assert 0.5 < statistics.median(nobody) / statistics.median(wrong) < 2


def test_an_unfit_password_is_refused_in_words(desk) -> None:
    with pytest.raises(PasswordUnfit, match="12 are the least"):
        desk.hash("short")
    with pytest.raises(PasswordUnfit, match="tried first"):
        desk.hash("ada-lovelace-99", "ada-lovelace")


def test_a_box_serves_once(desk) -> None:
    stored = desk.hash(PASSWORD)
    asked = desk.sealed(PASSWORD)
    assert desk.passwords.verify(*asked, stored).right
    with pytest.raises(SealedToAnotherKey):
        desk.passwords.verify(*asked, stored)


@pytest.mark.parametrize("bit", [0, 7, 31 * 8 + 7, 40 * 8, 60 * 8])
def test_a_box_with_a_bit_changed_does_not_open(desk, bit) -> None:
    stored = desk.hash(PASSWORD)
    key_id, box = desk.sealed(PASSWORD)
    changed = bytearray(box)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SealRefused):
        desk.passwords.verify(key_id, bytes(changed), stored)
    assert desk.passwords.verify(key_id, box, stored).right, "what did not open is not used up"


@pytest.mark.parametrize("box", [b"", b"x", bytes(48), bytes(49), bytes(1072), bytes(1073), bytes(5000)])
def test_what_is_no_box_is_refused(desk, box) -> None:
    with pytest.raises(SealRefused):
        desk.passwords.verify(desk.passwords.key().key_id, box, "")


def test_the_longest_secret_fits_and_a_longer_one_does_not(desk) -> None:
    longest = "ab cd efghik " * 100
    stored = desk.hash(longest[:1024])
    assert desk.is_right(longest[:1024], stored)
    with pytest.raises(SealRefused):
        desk.hash(longest[:1025])


def test_a_box_for_the_key_of_an_earlier_process_is_told_apart(desk) -> None:
    asked = desk.sealed(PASSWORD)
    _kill(desk)
    with pytest.raises(SealedToAnotherKey):
        desk.passwords.verify(*asked, "")


def test_a_process_that_died_is_started_anew(desk) -> None:
    first = desk.pid
    stored = desk.hash(PASSWORD)
    _kill(desk)
    assert desk.is_right(PASSWORD, stored)
    assert desk.pid != first


def test_a_process_that_hangs_is_given_up_and_not_waited_for_without_end(desk) -> None:
    stored = desk.hash(PASSWORD)
    asked = desk.sealed(PASSWORD)
    first = desk.pid
    os.kill(first, signal.SIGSTOP)
    began = time.monotonic()
    with pytest.raises(SignInsUnavailable):
        desk.passwords.verify(*asked, stored)
    assert time.monotonic() - began < 15
    assert desk.is_right(PASSWORD, stored)
    assert desk.pid != first


def test_it_ends_with_the_controller_however_that_ends() -> None:
    script = (
        "import os, signal, sys; from ringfence.controller.passwords import Passwords; p = Passwords(); p.key();"
        "print(p.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    with (
        subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as controller,
        contextlib.suppress(ProcessLookupError),
    ):
        # It may have ended before it can be looked at.
        ended = os.pidfd_open(int(controller.stdout.readline()))
        assert select.select([ended], [], [], 10)[0]
        os.close(ended)
    assert controller.returncode == -signal.SIGKILL


def test_a_secret_it_makes_is_read_by_its_recipient_alone(desk) -> None:
    recipient = Recipient()
    made = desk.passwords.make_secret(base64.b64decode(recipient.public_key))
    secret = recipient.open(base64.b64encode(made.sealed).decode())
    assert len(secret) == 43
    assert hashlib.sha256(secret.encode()).hexdigest() == made.sha256
    assert desk.passwords.digest(*desk.sealed(secret)) == made.sha256
    with pytest.raises(Invalid, match="recipient: it is no X25519 public key"):
        desk.passwords.make_secret(b"no key")


@pytest.mark.parametrize(
    "attempt",
    [
        "open('/etc/hostname')",
        "open('/tmp/written', 'w')",
        "__import__('socket').socket()",
        "__import__('socket').socketpair()",
        "os.execv('/bin/true', ['true'])",
        "__import__('ctypes').CDLL(None).ptrace(0, 0, 0, 0) == 0 or denied()",
    ],
)
def test_what_it_does_not_need_the_kernel_refuses_it(attempt) -> None:
    script = (
        "import os, socket, ctypes\n"
        "from ringfence.passwords.confinement import confine\n"
        "def denied(): raise PermissionError\n"
        "def attempt(): return " + attempt + "\n"
        "confine()\n"
        "try:\n    attempt()\nexcept PermissionError:\n    print('refused', flush=True)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert ended.stdout == "refused\n", ended.stderr


def test_it_runs_confined_and_its_memory_is_locked(desk) -> None:
    desk.passwords.key()
    told = dict(line.split(":", 1) for line in Path(f"/proc/{desk.pid}/status").read_text().splitlines())
    assert (told["Seccomp"].strip(), told["NoNewPrivs"].strip()) == ("2", "1")
    assert int(told["VmLck"].split()[0]) >= 12
    limits = Path(f"/proc/{desk.pid}/limits").read_text()
    assert next(line for line in limits.splitlines() if line.startswith("Max core file size")).split()[4:6] == [
        "0",
        "0",
    ]
    environment = Path(f"/proc/{desk.pid}/environ").read_bytes()
    assert environment == b""


def test_the_scan_finds_a_copy_wherever_it_is_planted(root, desk) -> None:  # noqa: ARG001
    canary = secrets.token_hex(12).encode()
    desk.passwords.key()
    assert copies(desk.pid, [canary]) == {canary: []}
    for region in ("[heap]", "[stack]", "anonymous"):
        with plant(desk.pid, canary, region):
            assert copies(desk.pid, [canary]) == {canary: [region]}
    assert copies(desk.pid, [canary]) == {canary: []}


def test_after_each_kind_of_question_no_piece_of_the_secret_is_left(root, desk) -> None:  # noqa: ARG001
    stored = desk.hash(PASSWORD)
    pieces = [secrets.token_hex(8) for _ in range(3)]
    password = "-".join(pieces)

    def replay(asked: tuple[str, bytes]) -> None:
        desk.passwords.verify(*asked, stored)
        with pytest.raises(SealedToAnotherKey):
            desk.passwords.verify(*asked, stored)

    questions = {
        "wrong password": lambda asked: desk.passwords.verify(*asked, stored),
        "unknown account": lambda asked: desk.passwords.verify(*asked, ""),
        "new password": lambda asked: desk.passwords.hash(*asked, names=("ada",)),
        "set-up secret": lambda asked: desk.passwords.digest(*asked),
        "sent again": replay,
    }
    for what, ask in questions.items():
        ask(desk.sealed(password))
        found = copies(desk.pid, [piece.encode() for piece in pieces])
        assert not any(found.values()), f"{what}: {found}"
    with pytest.raises(PasswordUnfit):
        desk.hash(pieces[0][:11])
    assert not any(copies(desk.pid, [pieces[0][:11].encode()]).values())
    own = desk.hash(password)
    assert desk.is_right(password, own)
    assert not any(copies(desk.pid, [piece.encode() for piece in pieces]).values())
    recipient = Recipient()
    made = desk.passwords.make_secret(base64.b64decode(recipient.public_key))
    secret = recipient.open(base64.b64encode(made.sealed).decode()).encode()
    assert not any(copies(desk.pid, [secret[:14], secret[14:28], secret[-14:]]).values())


def _kill(desk) -> None:
    os.kill(desk.pid, signal.SIGKILL)
    os.waitid(os.P_PID, desk.pid, os.WEXITED | os.WNOWAIT)

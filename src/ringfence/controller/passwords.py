"""The controller's side of the password process: starts it, asks it, starts it anew when it died. Sees no password.

The sockets are pairs made here and inherited: they have no name, so nothing else on the machine can ask.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from typing import TypeVar

import msgspec

from ringfence.errors import Invalid
from ringfence.model.signins import PasswordUnfit, SealedToAnotherKey, SealRefused, SignInsUnavailable
from ringfence.passwords.messages import (
    LINE_BYTES,
    AnyAnswer,
    AnyQuestion,
    Digested,
    DigestOf,
    Hashed,
    Judged,
    Key,
    MakeHash,
    MakeSecret,
    PrintSecret,
    Refused,
    TellKey,
    Unfit,
    Verify,
)

logger = logging.getLogger(__name__)

ANSWER_SECONDS = 10.0
QUEUE_SECONDS = 20.0
STOP_SECONDS = 5.0
RESTART_SECONDS = 1.0
"""A process that dies at once is not started more often than so."""
_ANSWERS = msgspec.json.Decoder(AnyAnswer)
AnswerT = TypeVar("AnswerT", bound=AnyAnswer)


class Passwords:
    """Asks the password process. Safe to share between threads, each of which may wait while others are answered."""

    def __init__(self, *, restart_seconds: float = RESTART_SECONDS) -> None:
        self._restart_seconds = restart_seconds
        self._starting = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._free: queue.Queue[socket.socket] = queue.Queue()
        self._started_at = 0.0
        self._stopped = False

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Have the process running; does nothing if it is."""
        with self._starting:
            if self._stopped:
                raise SignInsUnavailable
            if self._process is not None and self._process.poll() is None:
                return
            if self._process is not None:
                if time.monotonic() - self._started_at < self._restart_seconds:
                    raise SignInsUnavailable
                logger.error("the password process ended with %s; a new one is started", self._process.returncode)
            self._drop_sockets()
            self._started_at = time.monotonic()
            self._launch()

    def _launch(self) -> None:
        pairs = [socket.socketpair() for _ in range(max(2, os.cpu_count() or 1))]
        theirs = [their_end.fileno() for _, their_end in pairs]
        command = [sys.executable, "-I", "-m", "ringfence.passwords", *map(str, theirs)]
        # SAFETY: no environment: a debugger's or a profiler's hooks would see what the process sees.
        self._process = subprocess.Popen(command, pass_fds=theirs, stdin=subprocess.DEVNULL, env={})
        for our_end, their_end in pairs:
            their_end.close()
            our_end.settimeout(ANSWER_SECONDS)
            self._free.put(our_end)

    def stop(self) -> None:
        """End the process: it goes once the sockets are closed."""
        with self._starting:
            self._stopped = True
            self._drop_sockets()
            if self._process is not None:
                try:
                    self._process.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    self._process.kill()
                    self._process.wait()

    def key(self) -> Key:
        """Give the key that passwords are sealed to."""
        return self._ask(TellKey(), Key)

    def verify(self, key_id: str, box: bytes, stored: str) -> Judged:
        """Judge a sealed password; an empty `stored` takes as long as another, and is wrong."""
        return self._ask(Verify(key_id=key_id, box=box, stored=stored), Judged)

    def hash(self, key_id: str, box: bytes, *, names: tuple[str, ...]) -> str:
        """Hash a new password; raises `PasswordUnfit`."""
        return self._ask(MakeHash(key_id=key_id, box=box, names=names), Hashed).stored

    def digest(self, key_id: str, box: bytes) -> str:
        """Give the digest of a sealed secret."""
        return self._ask(DigestOf(key_id=key_id, box=box), Digested).sha256

    def make_secret(self, recipient: bytes) -> Digested:
        """Make a secret that only the holder of the recipient's private key can read; raises `Invalid` for no key."""
        try:
            return self._ask(MakeSecret(recipient=recipient), Digested)
        except SealRefused:
            raise Invalid(field="recipient", why="it is no X25519 public key") from None

    def print_secret(self, before: str, after: str) -> str:
        """Have a new secret written to standard output between the two texts; gives its digest."""
        sys.stdout.flush()
        return self._ask(PrintSecret(before=before, after=after), Digested).sha256

    def _ask(self, question: AnyQuestion, expected: type[AnswerT]) -> AnswerT:
        self.start()
        try:
            asked = self._free.get(timeout=QUEUE_SECONDS)
        except queue.Empty:
            raise SignInsUnavailable from None
        try:
            answer = _exchange(asked, question)
        except (OSError, msgspec.MsgspecError) as error:
            # A process that fails one question is not trusted with another.
            asked.close()
            self._give_up()
            raise SignInsUnavailable from error
        self._free.put(asked)
        match answer:
            case Refused(why=Refused.SHUT):
                raise SealRefused(what="secret")
            case Refused():
                raise SealedToAnotherKey
            case Unfit(why=why):
                raise PasswordUnfit(why=why)
        assert isinstance(answer, expected), f"{type(answer).__name__} is no answer to {type(question).__name__}"
        return answer

    def _give_up(self) -> None:
        with self._starting:
            self._drop_sockets()
            if self._process is not None and not self._stopped:
                self._process.kill()
                self._process.wait()

    def _drop_sockets(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._free.get_nowait().close()


def _exchange(asked: socket.socket, question: AnyQuestion) -> AnyAnswer:
    asked.sendall(msgspec.json.encode(question) + b"\n")
    line = b""
    while not line.endswith(b"\n"):
        piece = asked.recv(LINE_BYTES)
        if not piece or len(line) > LINE_BYTES:
            raise ConnectionError("the password process closed the connection")
        line += piece
    answer: AnyAnswer = _ANSWERS.decode(line)
    return answer

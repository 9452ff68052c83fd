"""Scanning another process's memory is root's to do: skipped for others, unless RINGFENCE_NEED_LAB is set."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest
from tests import needs

from ringfence.client.sealing import seal
from ringfence.controller.passwords import Passwords


@pytest.fixture
def root() -> None:
    needs.root()


class Desk:
    """The password process, and what a client does to ask it something."""

    def __init__(self) -> None:
        self.passwords = Passwords(restart_seconds=0)
        self.passwords.start()

    @property
    def pid(self) -> int:
        assert self.passwords.pid is not None
        return self.passwords.pid

    def sealed(self, secret: str) -> tuple[str, bytes]:
        """Seal to the key of now; gives the key's id and the box."""
        key = self.passwords.key()
        box = seal(secret, {"public_key": base64.b64encode(key.public_key).decode()})
        return key.key_id, base64.b64decode(box)

    def hash(self, secret: str, *names: str) -> str:
        return self.passwords.hash(*self.sealed(secret), names=names)

    def is_right(self, secret: str, stored: str) -> bool:
        return self.passwords.verify(*self.sealed(secret), stored).right


@pytest.fixture
def desk() -> Iterator[Desk]:
    running = Desk()
    yield running
    running.passwords.stop()

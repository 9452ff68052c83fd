"""Run commands inside a guest through its serial console, over the same public API that a user's console takes.

Made for the tiny guest, whose console is a root shell without a login. No agent in the guest, no address, no network.
"""

from __future__ import annotations

import re
import secrets
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

from ringfence.errors import Unreachable


@dataclass(eq=False)
class GuestSilent(Unreachable):
    """Guest {vm} did not answer `{asked}` on its console within {timeout_seconds} s; it last said: {last}.

    See what it does with `ringfence vm console {vm}`.
    """

    vm: str
    asked: str
    timeout_seconds: float
    last: str


@dataclass(frozen=True, slots=True)
class Said:
    """What a command in a guest printed, and its exit code."""

    text: str
    code: int

    @property
    def ok(self) -> bool:
        return self.code == 0


class GuestShell:
    """One console, held open. Not thread safe: one guest does one thing at a time here."""

    def __init__(self, *, vm: str, url: str, token: str, timeout_seconds: float = 60) -> None:
        """Open the console at `url` and wait until its shell answers."""
        # Two threads use the connection here, which only a plain one bears; a lab's API is on loopback.
        assert url.startswith("ws://"), url
        self.vm = vm
        try:
            self._socket: ClientConnection = connect(
                url,
                additional_headers={"Authorization": f"Bearer {token}"},
                max_size=None,
                compression=None,
                proxy=None,
                open_timeout=timeout_seconds,
            )
        except (OSError, WebSocketException) as refusal:
            last = refusal.response.body if isinstance(refusal, InvalidStatus) else str(refusal)
            raise GuestSilent(vm=vm, asked="attach", timeout_seconds=timeout_seconds, last=str(last)) from refusal
        self._pending = ""
        try:
            self._await_shell(timeout_seconds)
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def run(self, command: str, *, timeout_seconds: float = 30) -> Said:
        """Run one line of shell in the guest; raises `GuestSilent` when it has not ended in time."""
        mark = secrets.token_hex(6)
        # The mark is split in the command, so that an echo of the command is never taken for its end.
        self._send(f'{command}\necho "<{mark[:6]}""{mark[6:]} $?>"\n')
        found = self._read_until(re.compile(rf"<{mark} (\d+)>"), command, timeout_seconds)
        before = self._pending[: found.start()]
        self._pending = self._pending[found.end() :]
        lines = [line for line in before.replace("\r", "").split("\n") if line.strip() and mark[:6] not in line]
        return Said("\n".join(lines), int(found[1]))

    def _await_shell(self, timeout_seconds: float) -> None:
        """Knock until a shell answers: a guest that is still booting throws away what is typed."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            mark = secrets.token_hex(6)
            self._send(f'\nstty -echo; PS1=; echo "<{mark[:6]}""{mark[6:]}>"\n')
            try:
                found = self._read_until(re.compile(f"<{mark}>"), "echo", min(1.0, deadline - time.monotonic()))
            except GuestSilent:
                if time.monotonic() >= deadline:
                    raise
                continue
            self._pending = self._pending[found.end() :]
            return

    def _send(self, text: str) -> None:
        self._socket.send(text.encode())

    def _read_until(self, pattern: re.Pattern[str], asked: str, timeout_seconds: float) -> re.Match[str]:
        deadline = time.monotonic() + timeout_seconds
        while not (found := pattern.search(self._pending)):
            try:
                chunk = self._socket.recv(timeout=max(deadline - time.monotonic(), 0.001))
            except (TimeoutError, ConnectionClosed) as problem:
                raise GuestSilent(
                    vm=self.vm, asked=asked, timeout_seconds=timeout_seconds, last=self._pending[-200:]
                ) from problem
            self._pending += chunk if isinstance(chunk, str) else chunk.decode(errors="replace")
        return found

"""Dials out over mutual TLS: to the controller, and to the one peer of a move. It listens on nothing."""

from __future__ import annotations

import contextlib
import http
import http.client
import json
import socket
import ssl
import urllib.parse
from collections.abc import Callable, Iterator

from ringfence.errors import ErrorRecord, RingfenceError, from_record
from ringfence.model.hosts import ControllerAway

_LONGEST_ANSWER = 1 << 20
_PIECE = 1 << 18
_CONNECT_SECONDS = 10.0


def peer_name(connection: ssl.SSLSocket) -> str:
    """Give the common name in the peer's verified certificate: a host's id."""
    certificate = connection.getpeercert() or {}
    subject: tuple[tuple[tuple[str, str], ...], ...] = certificate.get("subject", ())  # type: ignore[assignment]
    names = [value for part in subject for key, value in part if key == "commonName"]
    return names[0] if len(names) == 1 else ""


class Controller:
    """The controller's agents' listener. One instance a thread: it keeps one connection.

    `tls` gives the context to dial with; once it gives another, a connection made with the one before is not used.
    """

    def __init__(self, url: str, tls: Callable[[], ssl.SSLContext]) -> None:
        self.url = url
        parts = urllib.parse.urlsplit(url)
        assert parts.scheme == "https", "only TLS leaves this host"
        assert parts.hostname
        self._place = (parts.hostname, parts.port or 443)
        self._tls = tls
        self._dialled_with: ssl.SSLContext | None = None
        self._connection: http.client.HTTPSConnection | None = None

    @contextlib.contextmanager
    def another(self) -> Iterator[Controller]:
        """Give another connection to the same controller, for one thread's use."""
        other = Controller(self.url, self._tls)
        try:
            yield other
        finally:
            other.hang_up()

    def request(
        self, method: str, path: str, body: bytes | None = None, *, patience_seconds: float = 30.0
    ) -> tuple[int, bytes]:
        """Ask once; gives status and body. Raises `ControllerAway`, or the error the controller tells."""
        status, content = self._ask(method, path, body, patience_seconds)
        if status == http.HTTPStatus.FORBIDDEN and self._dialled_with is not self._tls():
            # The certificate that was shown was replaced while this was asked: every request here may be sent twice.
            status, content = self._ask(method, path, body, patience_seconds)
        if status >= 400:
            raise _told(status, content)
        return status, content

    def _ask(self, method: str, path: str, body: bytes | None, patience_seconds: float) -> tuple[int, bytes]:
        try:
            answer = self._send(method, path, body, patience_seconds)
            content = answer.read(_LONGEST_ANSWER + 1)
        except (OSError, http.client.HTTPException) as error:
            self.hang_up()
            raise ControllerAway(why=str(error) or type(error).__name__) from None
        if len(content) > _LONGEST_ANSWER:
            self.hang_up()
            raise ControllerAway(why="its answer is too long")
        return answer.status, content

    def download(self, path: str, take: Callable[[bytes], None]) -> None:
        """Give a body to `take`, piece by piece."""
        try:
            answer = self._send("GET", path, None, 60.0)
            if answer.status >= 400:
                raise _told(answer.status, answer.read(_LONGEST_ANSWER))
            while piece := answer.read(_PIECE):
                take(piece)
        except (TimeoutError, ConnectionError, ssl.SSLError, http.client.HTTPException) as error:
            raise ControllerAway(why=str(error) or type(error).__name__) from None
        finally:
            self.hang_up()

    def _send(self, method: str, path: str, body: bytes | None, patience: float) -> http.client.HTTPResponse:
        reused = self._connection is not None
        try:
            return self._exchange(method, path, body, patience)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            # A kept connection that the other side had closed: every request here may be sent twice.
            self.hang_up()
            if not reused:
                raise
            return self._exchange(method, path, body, patience)

    def _exchange(self, method: str, path: str, body: bytes | None, patience: float) -> http.client.HTTPResponse:
        tls = self._tls()
        if tls is not self._dialled_with:
            self.hang_up()
        if self._connection is None:
            self._dialled_with = tls
            self._connection = http.client.HTTPSConnection(*self._place, timeout=_CONNECT_SECONDS, context=tls)
            self._connection.connect()
        self._connection.sock.settimeout(patience)
        headers = {"Content-Type": "application/json"} if body is not None else {}
        self._connection.request(method, path, body, headers)
        return self._connection.getresponse()

    def hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _told(status: int, content: bytes) -> RingfenceError:
    """Read problem+json back into the error it tells."""
    try:
        told = json.loads(content)
        known = {name: told[name] for name in ("code", "family", "message", "remedy", "facts") if name in told}
        record = ErrorRecord(
            **{"family": "refused", "message": str(told.get("detail", "")), "remedy": "", "facts": {}} | known,
            status=status,
        )
    except (ValueError, TypeError, AttributeError, KeyError):
        return ControllerAway(why=f"it answered {status}")
    return from_record(record) if isinstance(record.facts, dict) else ControllerAway(why=f"it answered {status}")


def own_address(url: str) -> str:
    """Find the address from which the controller is reached: the underlay's, unless the operator says otherwise."""
    parts = urllib.parse.urlsplit(url)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((parts.hostname or "", parts.port or 443))  # sends nothing
        return str(probe.getsockname()[0])

"""The one HTTP client: token, trust, problems turned back into errors, pages, uploads, the events of operations.

It knows the API's manners, not its nouns; what is asked for stands in the noun's own file.
"""

from __future__ import annotations

import contextlib
import json
import ssl
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, ClassVar, Self

import httpx

from ringfence import __version__
from ringfence.client.settings import NoToken, Settings, SettingsRefused
from ringfence.errors import ErrorRecord, Refused, RingfenceError, Unreachable, from_record

Json = dict[str, Any]

PAGE_LIMIT = 200
SESSION_COOKIE = "__Host-ringfence"
SIMULATED = "Ringfence-Simulated"
"""The header of every answer of a controller without real hosts."""
RETRY_SECONDS = 0.5
RECONNECT_SECONDS = 60.0
"""How long `follow` outlives a controller that is away: operations go on after its restart, so following does too."""


@dataclass(eq=False)
class ControllerUnreachable(Unreachable):
    """The controller at {url} cannot be reached: {why}.

    See that it runs (`ringfence-controller`) and that the URL is right (`ringfence config show`).
    """

    url: str
    why: str


@dataclass(eq=False)
class NotTheController(Refused):
    """What answers at {url} is not a ringfence controller: {why}.

    Check the URL (`ringfence config show`), and that the controller is of the same version ({version}).
    """

    status: ClassVar[int] = 502
    url: str
    why: str
    version: str


class Client:
    """Speaks to one controller. Every failure comes out as a `RingfenceError`.

    `on_simulated` is called at the first answer of a controller that says its hosts are simulated. A `stranger` shows
    no token, and can do no more than sign in.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        stranger: bool = False,
        transport: httpx.BaseTransport | None = None,
        on_simulated: Callable[[], None] = lambda: None,
    ) -> None:
        if not settings.token and not stranger:
            raise NoToken(url=settings.url)
        # SAFETY: checked here, or the HTTP library quotes the token in the error that a terminal or a log then shows.
        for what, value in (("The token", settings.token), ("The reason", settings.reason)):
            if not value.isprintable() or value != value.strip():
                raise SettingsRefused(what=what, why="it has line ends, control characters or blanks around it")
        self.settings = settings
        self.simulated = False
        self._on_simulated = on_simulated
        headers = {"User-Agent": f"ringfence/{__version__}"}
        headers |= {} if stranger else {"Authorization": f"Bearer {settings.token}"}
        headers |= {"Ringfence-Reason": settings.reason} if settings.reason else {}
        self._http = httpx.Client(
            base_url=settings.url,
            # As bytes: a reason may be in any language.
            headers={name.encode(): value.encode() for name, value in headers.items()},
            timeout=httpx.Timeout(settings.timeout_seconds, connect=5.0),
            verify=trust(settings),
            transport=transport,
            event_hooks={"response": [self._heard]},
            # The environment's proxies are for the web, and would be handed the token.
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, path: str, **query: Any) -> Json:
        """Read one thing."""
        return self._object(self._send("GET", path, query=query))

    def text(self, path: str) -> str:
        """Read what is text."""
        return self._send("GET", path).text

    def stream(self, path: str, **query: Any) -> Iterator[bytes]:
        """Read what is too long to hold, piece by piece."""
        timeout = httpx.Timeout(self.settings.timeout_seconds, connect=5.0)
        with self._translated(), self._http.stream("GET", path, params=query, timeout=timeout) as response:
            if response.status_code != httpx.codes.OK:
                response.read()
                raise problem_of(self.settings.url, response.status_code, response.content)
            yield from response.iter_raw()

    def pages(self, path: str, *, limit: int, **query: Any) -> Iterator[Json]:
        """Read at most `limit` items of a list, page by page."""
        cursor: str | None = None
        while limit > 0:
            asked = {**query, "limit": min(limit, PAGE_LIMIT), "cursor": cursor}
            page = self._object(self._send("GET", path, query=asked))
            items = page.get("items", [])
            yield from items[:limit]
            limit -= len(items)
            cursor = page.get("next")
            if not cursor or not items:
                return

    def create(self, path: str, body: Json | None = None) -> Json:
        """Ask for something once, however often the request has to be sent: its idempotency key stays the same."""
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        try:
            return self._object(self._send("POST", path, body=body or {}, headers=headers))
        except ControllerUnreachable:
            return self._object(self._send("POST", path, body=body or {}, headers=headers))

    def change(self, path: str, changes: Json) -> Json:
        """Change what was just read, and be refused if another change came between."""
        read = self._send("GET", path)
        headers = {"If-Match": read.headers.get("ETag", "*")}
        return self._object(self._send("PATCH", path, body=changes, headers=headers))

    def put(self, path: str, body: Json) -> Json:
        """Put something in place of what was there; putting it twice is putting it once."""
        return self._object(self._send("PUT", path, body=body))

    def delete(self, path: str) -> Json:
        """Delete; gives the operation where deleting is one, else an empty object."""
        return self._object(self._send("DELETE", path))

    def replace(self, path: str, body: Json) -> Json:
        """Put something in the place of what is there."""
        return self._object(self._send("PUT", path, body=body))

    def begin_session(self, path: str, body: Json) -> tuple[Json, str]:
        """Sign in; gives who one is, and the secret of the session, which comes as a cookie."""
        response = self._send("POST", path, body=body)
        for cookie in response.headers.get_list("set-cookie"):
            name, _, value = cookie.partition(";")[0].partition("=")
            if name == SESSION_COOKIE:
                return self._object(response), value
        raise self._stranger("it begins no session")

    def upload(self, path: str, content: Iterable[bytes], *, size: int, **query: Any) -> Json:
        """Stream a file's bytes; `size` in bytes is told ahead, so that a full disk is refused at once."""
        headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
        return self._object(self._send("PUT", path, query=query, content=content, headers=headers, patient=True))

    def follow(self, operation_id: str) -> Iterator[Json]:
        """Yield the operation each time it changes, until it has ended.

        A stream that breaks is taken up again, for at most `RECONNECT_SECONDS` without a word from the controller.
        """
        heard = time.monotonic()
        while True:
            try:
                for operation in self._events(f"/v1/operations/{operation_id}/events"):
                    heard = time.monotonic()
                    yield operation
                    if has_ended(operation):
                        return
                operation = self.get(f"/v1/operations/{operation_id}")
                yield operation
                if has_ended(operation):
                    return
                heard = time.monotonic()
            except ControllerUnreachable:
                if time.monotonic() - heard > RECONNECT_SECONDS:
                    raise
            time.sleep(RETRY_SECONDS)

    def _events(self, path: str) -> Iterator[Json]:
        headers = {"Accept": "text/event-stream"}
        # The server pings every few seconds; a stream silent for longer is a dead one.
        timeout = httpx.Timeout(45.0, connect=5.0)
        with self._translated(), self._http.stream("GET", path, headers=headers, timeout=timeout) as response:
            if response.status_code != httpx.codes.OK:
                response.read()
                raise problem_of(self.settings.url, response.status_code, response.content)
            lines: list[str] = []
            for line in response.iter_lines():
                if line.startswith("data:"):
                    lines.append(line[5:].strip())
                elif not line and lines:
                    yield json.loads("\n".join(lines))
                    lines = []

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Json | None = None,
        content: Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        patient: bool = False,
    ) -> httpx.Response:
        asked = {key: value for key, value in (query or {}).items() if value is not None}
        timeout = httpx.Timeout(None, connect=5.0) if patient else self._http.timeout
        with self._translated():
            response = self._http.request(
                method, path, params=asked, json=body, content=content, headers=headers, timeout=timeout
            )
        if response.is_success:
            return response
        raise problem_of(self.settings.url, response.status_code, response.content)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except httpx.TransportError as error:
            why = str(error) or type(error).__name__
            raise ControllerUnreachable(url=self.settings.url, why=why) from error

    def _heard(self, response: httpx.Response) -> None:
        if SIMULATED in response.headers and not self.simulated:
            self.simulated = True
            self._on_simulated()

    def _object(self, response: httpx.Response) -> Json:
        if not response.content:
            return {}
        try:
            value = response.json()
        except ValueError as error:
            raise self._stranger("it answers with something that is not JSON") from error
        if not isinstance(value, dict):
            raise self._stranger("it answers with something that is not a JSON object")
        return value

    def _stranger(self, why: str) -> RingfenceError:
        return NotTheController(url=self.settings.url, why=why, version=__version__)


def problem_of(url: str, status: int, body: bytes) -> RingfenceError:
    """Turn problem+json (RFC 9457) into the error it tells of."""
    try:
        told = json.loads(body)
    except ValueError:
        told = None
    if not isinstance(told, dict) or "code" not in told:
        return NotTheController(url=url, why=f"it answers {status} without a code", version=__version__)
    return from_record(
        ErrorRecord(
            code=str(told["code"]),
            family=str(told.get("family", "refused" if status < 500 else "unfinished")),
            status=status,
            message=str(told.get("message") or told.get("detail") or told.get("title") or ""),
            remedy=str(told.get("remedy") or ""),
            facts=dict(told.get("facts") or {}),
        )
    )


def trust(settings: Settings) -> ssl.SSLContext:
    """Build the TLS trust: the pinned CA alone where one is set, else the machine's trust store."""
    try:
        return ssl.create_default_context(cafile=str(settings.ca) if settings.ca else None)
    except (OSError, ssl.SSLError) as error:
        raise SettingsRefused(
            what=str(settings.ca), why=f"no CA certificate could be read from it ({error})"
        ) from error


def has_ended(operation: Mapping[str, Any]) -> bool:
    """Tell whether the operation, as JSON, is over."""
    return operation.get("state") in ("done", "failed")

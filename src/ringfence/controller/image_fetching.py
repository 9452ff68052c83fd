"""Fetch an image file from a URL that a user gave: bounded in time, size and redirects, and never from the inside.

SAFETY: the controller sits where a user does not. So a name is resolved once, the addresses are checked, and the
connection is made to a checked address, not to the name again. No proxies, no cookies, no credentials.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import SplitResult, urljoin, urlsplit

from ringfence import __version__
from ringfence.errors import Refused, Unreachable

REDIRECTS = 5
SILENCE_SECONDS = 30.0
CHUNK_BYTES = 1 << 20


@dataclass(eq=False)
class SourceRefused(Refused):
    """Nothing is fetched from {source}: {why}.

    Give an http or https URL that anyone may fetch, or upload the file itself.
    """

    status: ClassVar[int] = 422
    source: str
    why: str


@dataclass(eq=False)
class SourceUnreachable(Unreachable):
    """{source} could not be fetched: {why}.

    See that the URL is right and that the controller may reach it; then ask again.
    """

    source: str
    why: str


def check_source(source: str) -> SplitResult:
    """Read the URL; raises `SourceRefused` for what is never fetched."""
    try:
        parts = urlsplit(source)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise SourceRefused(source=source[:200], why="it is not a URL") from None
    if parts.scheme not in ("http", "https") or not host:
        raise SourceRefused(source=source[:200], why="it is not an http or https URL")
    if parts.username is not None or parts.password is not None:
        # SAFETY: the source is shown to everyone who may see the image.
        raise SourceRefused(source=f"{parts.scheme}://…@{host}", why="it carries credentials")
    if not source.isascii() or any(character <= " " for character in source):
        raise SourceRefused(source=source[:200], why="it holds characters that a URL has not")
    return parts


def fetch(
    source: str,
    write: Callable[[bytes], None],
    *,
    timeout_seconds: float,
    bytes_limit: int,
    inside: bool,
    stopping: Callable[[], bool] = lambda: False,
) -> None:
    """Fetch the file, giving each chunk to `write`. `inside` True: loopback and link-local addresses too."""
    deadline = time.monotonic() + timeout_seconds
    url = source
    for _ in range(REDIRECTS + 1):
        parts = check_source(url)
        connection = _connect(parts, source=url, inside=inside)
        try:
            location = _request(connection, parts, url, write, deadline, bytes_limit, stopping)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise SourceUnreachable(source=url[:200], why=_reason(error)) from error
        finally:
            connection.close()
        if location is None:
            return
        # A redirect from https to http would undo what https was for.
        following = urljoin(url, location)
        if parts.scheme == "https" and not following.startswith("https:"):
            raise SourceRefused(source=url[:200], why="it redirects from https to something else")
        url = following
    raise SourceRefused(source=source[:200], why=f"it redirects more than {REDIRECTS} times")


def _request(
    connection: http.client.HTTPConnection,
    parts: SplitResult,
    url: str,
    write: Callable[[bytes], None],
    deadline: float,
    bytes_limit: int,
    stopping: Callable[[], bool],
) -> str | None:
    """Ask once; gives where a redirect leads, or None when the whole file was written."""
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {"User-Agent": f"ringfence/{__version__}", "Accept": "*/*", "Accept-Encoding": "identity"}
    connection.request("GET", target, headers=headers)
    response = connection.getresponse()
    if response.status in (301, 302, 303, 307, 308):
        return response.getheader("Location") or ""
    if response.status != 200:
        raise SourceUnreachable(source=url[:200], why=f"it answered {response.status} {response.reason[:60]}")
    told = response.getheader("Content-Length")
    if told is not None and told.isdigit() and int(told) > bytes_limit:
        raise SourceRefused(source=url[:200], why=f"it has {told} bytes, and {bytes_limit} are allowed")
    received = 0
    while chunk := response.read1(CHUNK_BYTES):
        received += len(chunk)
        if time.monotonic() > deadline or stopping():
            raise SourceUnreachable(source=url[:200], why=f"it did not end in time; {received} bytes had come")
        write(chunk)
    if told is not None and told.isdigit() and received != int(told):
        raise SourceUnreachable(source=url[:200], why=f"it broke off after {received} of {told} bytes")
    return None


def _connect(parts: SplitResult, *, source: str, inside: bool) -> http.client.HTTPConnection:
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise SourceUnreachable(source=source[:200], why=f"the name {host} does not resolve") from error
    addresses = [str(entry[4][0]) for entry in found]
    # All of them, not one that happens to be good: a name that also leads inside is not for us.
    for address in addresses:
        if not inside and is_inside(address):
            raise SourceRefused(source=source[:200], why=f"{address} is an address of the inside")
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(
            host, port, timeout=SILENCE_SECONDS, context=ssl.create_default_context()
        )
    else:
        connection = http.client.HTTPConnection(host, port, timeout=SILENCE_SECONDS)

    def to_checked(_address: object, timeout: float | None = None, *_: object) -> socket.socket:
        refused: OSError = OSError("no address")
        for address in addresses:
            try:
                return socket.create_connection((address, port), timeout=timeout)
            except OSError as error:
                refused = error
        raise refused

    # http.client connects through this attribute; TLS still checks the certificate against the name.
    connection._create_connection = to_checked  # type: ignore[attr-defined]  # noqa: SLF001
    return connection


def is_inside(address: str) -> bool:
    """Tell whether the address is loopback, link-local (cloud metadata!), multicast or otherwise no one's server."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        ip = ip.ipv4_mapped or ip.sixtofour or ip
    return ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip.is_reserved


def _reason(error: BaseException) -> str:
    return str(error)[:200] or type(error).__name__

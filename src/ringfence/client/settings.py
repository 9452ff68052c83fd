"""Where the controller is and how to be let in: flags, then the environment, then a file. Talks to nobody."""

from __future__ import annotations

import os
import stat
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from ringfence.errors import Refused

DEFAULT_URL = "http://127.0.0.1:8470"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`ca` is a PEM file that alone is trusted for TLS; None: the machine's own trust store. Times are seconds.

    `token` is what the client shows: an API token, or the secret of the session that `ringfence login` began.
    `reason` is why what is changed is changed, as the ledger is to tell it.
    """

    url: str = DEFAULT_URL
    token: str = ""
    ca: Path | None = None
    timeout_seconds: float = 30.0
    reason: str = ""


@dataclass(eq=False)
class NoToken(Refused):
    """You are not signed in at {url}.

    Sign in (`ringfence login`), or give a token: RINGFENCE_TOKEN, or `ringfence config set --token-stdin`. The
    controller shows its first token once, when it first starts.
    """

    status: ClassVar[int] = 401
    url: str


@dataclass(eq=False)
class UnsafeUrl(Refused):
    """{url} would carry the token over the network unencrypted.

    Use https:// and the controller's CA (`ringfence config set --url https://… --ca FILE`); plain http:// is for
    loopback only.
    """

    status: ClassVar[int] = 400
    url: str


@dataclass(eq=False)
class SettingsRefused(Refused):
    """{what} was not used: {why}.

    Correct it where it was given: a flag, the environment (RINGFENCE_URL, RINGFENCE_TOKEN, RINGFENCE_CA), or the
    settings file, which `ringfence config set` writes.
    """

    status: ClassVar[int] = 400
    what: str
    why: str


def settings_file() -> Path:
    """Give the path of the settings file, by the XDG rule."""
    configured = os.environ.get("XDG_CONFIG_HOME")
    folder = Path(configured) if configured else Path.home() / ".config"
    return folder / "ringfence" / "config.toml"


def read_settings(url: str | None = None) -> Settings:
    """Read the settings; `url` is the flag's and wins over the environment, which wins over the file."""
    stored = _read_file(settings_file())
    ca = os.environ.get("RINGFENCE_CA") or stored.get("ca")
    settings = Settings(
        url=(url or os.environ.get("RINGFENCE_URL") or stored.get("url") or DEFAULT_URL).rstrip("/"),
        # A session was begun after a token was stored, and ends by itself or by `ringfence logout`.
        token=os.environ.get("RINGFENCE_TOKEN") or stored.get("session") or stored.get("token") or "",
        ca=Path(ca).expanduser() if ca else None,
    )
    check_url(settings.url)
    return settings


def check_url(url: str) -> str:
    """Give the URL back, or refuse one that is none, or that would send the token in clear beyond this machine."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsRefused(what=url, why="it is not an http or https URL")
    loopback = parts.hostname in ("localhost", "::1") or parts.hostname.startswith("127.")
    if parts.scheme == "http" and not loopback:
        raise UnsafeUrl(url=url)
    return url


def write_settings(changes: dict[str, str]) -> Path:
    """Store the changes beside what is stored, "" for nothing; the file is readable by its owner only."""
    path = settings_file()
    stored = {**_read_file(path), **changes}
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = "".join(f"{key} = {_quoted(value)}\n" for key, value in sorted(stored.items()) if value)
    # SAFETY: created 0600 before a byte is in it, and put in place whole, so that no other user ever reads the token.
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    fresh.replace(path)
    return path


def _read_file(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise SettingsRefused(what=str(path), why=f"others can read it (`chmod 600 {path}`)")
    try:
        with path.open("rb") as file:
            return {key: str(value) for key, value in tomllib.load(file).items()}
    except tomllib.TOMLDecodeError as error:
        raise SettingsRefused(what=str(path), why=str(error)) from error


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'

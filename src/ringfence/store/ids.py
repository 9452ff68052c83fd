"""New ids and the time of day, as the store writes them. Nothing else in the store reads the clock or randomness."""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC, datetime, timedelta

import uuid_utils


def new_id() -> str:
    """Make a UUIDv7: ids made later sort later, so that a list paged by id shows new rows at its end."""
    return str(uuid_utils.uuid7())


def now() -> str:
    """Tell the time as the store keeps it: UTC, ISO 8601, of one width, so that text order is time order."""
    return at(seconds_from_now=0)


def at(*, seconds_from_now: float) -> str:
    """Tell a time before or after now, in the same form as `now`."""
    return (datetime.now(UTC) + timedelta(seconds=seconds_from_now)).isoformat(timespec="microseconds")


def age_seconds(moment: str) -> float:
    """Tell how many seconds ago the moment was."""
    return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()


def new_secret() -> str:
    """Make 256 random bits as URL-safe text."""
    return secrets.token_urlsafe(32)


def digest_of(secret: str) -> str:
    """Give the SHA-256 of a secret, in hex: what the store keeps instead of it.

    A slow, salted hash guards secrets that people choose, because those can be guessed. These are 256 random bits: no
    guessing finds one, however fast the hash is, so a plain SHA-256 is as strong and costs a request nothing.
    """
    return hashlib.sha256(secret.encode()).hexdigest()

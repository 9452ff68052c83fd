"""Sessions: what lasts between signing in and signing out, and the links by which somebody gets to sign in at all."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ringfence.model.names import AccountId, PasskeyId, SessionId

IDLE_SECONDS = 3600.0
LONGEST_SECONDS = 12 * 3600.0
"""NIST SP 800-63B, at its second assurance level: an hour of inactivity, less than a day in all."""
DEVICE_SECONDS = 180 * 86400.0
LINK_SECONDS = 86400.0


class Means(StrEnum):
    """How somebody proved who they are."""

    PASSWORD = "password"  # noqa: S105 - a word, no password
    PASSWORD_AND_PASSKEY = "password+passkey"  # noqa: S105
    PASSKEY = "passkey"
    PROVIDER = "provider"
    LINK = "link"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """A session. `expires_at` is when it ends whatever is done; `source` and `client` are those of its beginning."""

    id: SessionId
    account_id: AccountId
    means: Means
    created_at: str
    used_at: str
    expires_at: str
    source: str
    client: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Passkey:
    """A passkey (WebAuthn credential) of an account. `uses` is the counter that the authenticator last told."""

    id: PasskeyId
    account_id: AccountId
    name: str
    credential_id: str
    public_key: bytes
    uses: int
    created_at: str
    last_used_at: str | None

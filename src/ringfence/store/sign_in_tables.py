"""The tables of signing in: by what, how long, from where, and how often it failed. No queries.

`tables` has them too, with all others.
"""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Integer, LargeBinary, String, Table, UniqueConstraint

from ringfence.store.columns import id_column, metadata, owned_column

passwords = Table(
    "passwords",
    metadata,
    owned_column("account_id", "accounts", primary_key=True),
    # Argon2id in PHC form, which is at most 127 characters.
    Column("stored", String(128), nullable=False),
    Column("changed_at", String(32), nullable=False),
)

passkeys = Table(
    "passkeys",
    metadata,
    id_column(),
    owned_column("account_id", "accounts"),
    Column("name", String(63), nullable=False),
    # At most 1,023 bytes, in base64url.
    Column("credential_id", String(1364), nullable=False, unique=True),
    Column("public_key", LargeBinary, nullable=False),
    Column("uses", BigInteger, nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("last_used_at", String(32), nullable=True),
    UniqueConstraint("account_id", "name"),
)

identities = Table(
    "identities",
    metadata,
    Column("issuer", String(255), primary_key=True),
    Column("subject", String(255), primary_key=True),
    owned_column("account_id", "accounts"),
    Column("created_at", String(32), nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    id_column(),
    owned_column("account_id", "accounts"),
    Column("secret_sha256", String(64), nullable=False, unique=True),
    Column("means", String(31), nullable=False),
    Column("source", String(63), nullable=False),
    Column("client", String(200), nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("used_at", String(32), nullable=False),
    Column("expires_at", String(32), nullable=False),
)

known_devices = Table(
    "known_devices",
    metadata,
    id_column(),
    owned_column("account_id", "accounts"),
    Column("secret_sha256", String(64), nullable=False, unique=True),
    Column("created_at", String(32), nullable=False),
    Column("expires_at", String(32), nullable=False),
)

setup_links = Table(
    "setup_links",
    metadata,
    id_column(),
    # Null: the link of the first start, which makes an account.
    Column("account_id", String(36), ForeignKey("accounts.id", ondelete="CASCADE"), nullable=True, index=True),
    Column("secret_sha256", String(64), nullable=False, unique=True),
    Column("created_at", String(32), nullable=False),
    Column("expires_at", String(32), nullable=False),
    Column("used_at", String(32), nullable=True),
)

sign_in_failures = Table(
    "sign_in_failures",
    metadata,
    Column("tally", String(255), primary_key=True),
    Column("failed", Integer, nullable=False),
    Column("last_at", String(32), nullable=False),
)

challenges = Table(
    "challenges",
    metadata,
    id_column(),
    Column("purpose", String(31), nullable=False),
    Column("account_id", String(36), ForeignKey("accounts.id", ondelete="CASCADE"), nullable=True, index=True),
    Column("facts", JSON, nullable=False),
    Column("expires_at", String(32), nullable=False),
)

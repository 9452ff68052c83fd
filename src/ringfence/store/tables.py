"""The tables, as SQLAlchemy Core: what the migrations add up to. No queries; the triggers are in `migrations`.

Times are UTC text of one width (`ids.now`), sizes MiB or bytes as named, JSON columns are never searched by content.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

# Every constraint has a name that says its table and columns: the translation of errors reads it.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _id() -> Column[str]:
    return Column("id", String(36), primary_key=True)


def _name() -> Column[str]:
    return Column("name", String(63), nullable=False, unique=True)


def _revision() -> Column[int]:
    return Column("revision", Integer, nullable=False, server_default="1")


def _refers(name: str, target: str, *, nullable: bool = False, index: bool = True) -> Column[str]:
    return Column(name, String(36), ForeignKey(f"{target}.id"), nullable=nullable, index=index)


def _owned(name: str, target: str, *, primary_key: bool = False) -> Column[str]:
    # The row goes with what it belongs to.
    reference = ForeignKey(f"{target}.id", ondelete="CASCADE")
    return Column(name, String(36), reference, nullable=False, primary_key=primary_key, index=not primary_key)


counters = Table(
    "counters",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

zones = Table(
    "zones",
    metadata,
    _id(),
    _name(),
    Column("colour", String(63), nullable=False),
    Column("classification", String(255), nullable=False),
    # Written by every claim of the zone and every mix taken from it, so that those two never pass each other.
    Column("claim_changes", BigInteger, nullable=False, server_default="0"),
    _revision(),
)

zone_mixes = Table(
    "zone_mixes",
    metadata,
    Column("zone_a", String(36), ForeignKey("zones.id"), primary_key=True),
    Column("zone_b", String(36), ForeignKey("zones.id"), primary_key=True, index=True),
    # One row a pair: a mix that only one of the two zones allows cannot be written down.
    CheckConstraint("zone_a < zone_b", name="ordered"),
)

accounts = Table(
    "accounts",
    metadata,
    _id(),
    Column("name", String(120), nullable=False, unique=True),
    Column("kind", String(15), nullable=False),
    Column("display_name", String(200), nullable=False, server_default=""),
    Column("email", String(254), nullable=False, server_default=""),
    Column("disabled", Boolean, nullable=False),
    _revision(),
)

account_roles = Table(
    "account_roles",
    metadata,
    _owned("account_id", "accounts", primary_key=True),
    Column("role", String(31), primary_key=True),
)

projects = Table(
    "projects",
    metadata,
    _id(),
    _name(),
    Column("owner", String(255), nullable=False, index=True),
    _revision(),
    CheckConstraint("owner <> ''", name="owned"),
)

project_members = Table(
    "project_members",
    metadata,
    _owned("project_id", "projects", primary_key=True),
    Column("account_id", String(36), ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True, index=True),
    Column("role", String(31), nullable=False),
)

flavors = Table(
    "flavors",
    metadata,
    _id(),
    _name(),
    Column("vcpus", Integer, nullable=False),
    Column("memory_mib", BigInteger, nullable=False),
    Column("disk_bytes", BigInteger, nullable=False),
    Column("priority", String(15), nullable=False),
    _revision(),
    CheckConstraint("vcpus > 0 AND memory_mib > 0 AND disk_bytes > 0", name="sized"),
)

images = Table(
    "images",
    metadata,
    _id(),
    _name(),
    Column("digest", String(71), nullable=False, index=True),
    Column("format", String(15), nullable=False),
    Column("file_bytes", BigInteger, nullable=False),
    Column("virtual_bytes", BigInteger, nullable=False),
    Column("source", Text, nullable=False),
    Column("state", String(15), nullable=False),
    _revision(),
)

networks = Table(
    "networks",
    metadata,
    _id(),
    _name(),
    Column("cidr", String(18), nullable=False),
    _refers("project_id", "projects", nullable=True),
    Column("mtu", Integer, nullable=False),
    _revision(),
)

hosts = Table(
    "hosts",
    metadata,
    _id(),
    _name(),
    Column("state", String(15), nullable=False),
    Column("underlay_address", String(45), nullable=False),
    Column("vcpus", Integer, nullable=False, server_default="0"),
    Column("memory_mib", BigInteger, nullable=False, server_default="0"),
    Column("disk_bytes", BigInteger, nullable=False, server_default="0"),
    Column("certificate_serial", String(63), nullable=False, server_default=""),
    Column("certificate_fingerprint", String(127), nullable=True, unique=True),
    # Written by every claim: two claims of one host wait for each other at this row.
    Column("claim_changes", BigInteger, nullable=False, server_default="0"),
    _revision(),
)

# Apart from `hosts`, so that a heartbeat and a claim do not wait for each other.
host_reports = Table(
    "host_reports",
    metadata,
    _owned("host_id", "hosts", primary_key=True),
    Column("last_seen", String(32), nullable=True),
    Column("agent_version", String(63), nullable=False, server_default=""),
    Column("facts", JSON, nullable=False),
    Column("vms", JSON, nullable=False),
    Column("agent_session", String(255), nullable=False, server_default=""),
    Column("replaced_session", String(255), nullable=False, server_default=""),
)

vms = Table(
    "vms",
    metadata,
    _id(),
    Column("name", String(63), nullable=False),
    _refers("project_id", "projects", index=False),
    _refers("zone_id", "zones"),
    # An account's name, as a trigger sees to: what is shown and told to hosts needs no second look.
    Column("owner", String(255), nullable=False, index=True),
    _refers("flavor_id", "flavors"),
    _refers("image_id", "images"),
    # Copied from the flavor at birth: a flavor that changes later does not resize a VM that has its place.
    Column("vcpus", Integer, nullable=False),
    Column("memory_mib", BigInteger, nullable=False),
    Column("disk_bytes", BigInteger, nullable=False),
    Column("state", String(15), nullable=False),
    Column("labels", JSON, nullable=False),
    _refers("host_id", "hosts", nullable=True),
    Column("placement", Text, nullable=False, server_default=""),
    Column("user_data", Text, nullable=False, server_default=""),
    _revision(),
    CheckConstraint("owner <> ''", name="owned"),
    UniqueConstraint("project_id", "name"),
    # So that a claim can refer to a VM together with its zone.
    UniqueConstraint("id", "zone_id"),
)

ports = Table(
    "ports",
    metadata,
    _id(),
    _owned("vm_id", "vms"),
    Column("network_id", String(36), ForeignKey("networks.id"), nullable=False),
    Column("mac", String(17), nullable=False, unique=True),
    Column("address", String(15), nullable=False),
    Column("position", Integer, nullable=False),
    Column("hosts", JSON, nullable=False),
    UniqueConstraint("network_id", "address"),
)

claims = Table(
    "claims",
    metadata,
    Column("vm_id", String(36), primary_key=True),
    Column("host_id", String(36), ForeignKey("hosts.id"), primary_key=True, index=True),
    Column("zone_id", String(36), ForeignKey("zones.id"), nullable=False, index=True),
    Column("vcpus", Integer, nullable=False),
    Column("memory_mib", BigInteger, nullable=False),
    Column("disk_bytes", BigInteger, nullable=False),
    ForeignKeyConstraint(["vm_id", "zone_id"], ["vms.id", "vms.zone_id"]),
    CheckConstraint("vcpus >= 0 AND memory_mib >= 0 AND disk_bytes >= 0", name="sized"),
)

policies = Table(
    "policies",
    metadata,
    _id(),
    _name(),
    _refers("source_zone_id", "zones", nullable=True),
    _refers("source_project_id", "projects", nullable=True),
    Column("source_labels", JSON, nullable=False),
    _refers("target_zone_id", "zones", nullable=True),
    _refers("target_project_id", "projects", nullable=True),
    Column("target_labels", JSON, nullable=False),
    Column("protocol", String(15), nullable=False),
    Column("ports", JSON, nullable=False),
    _revision(),
)

operations = Table(
    "operations",
    metadata,
    _id(),
    Column("kind", String(31), nullable=False),
    Column("state", String(15), nullable=False, index=True),
    # No reference: the operation that deletes a VM is there when the VM no longer is.
    Column("subject_id", String(36), nullable=False, index=True),
    Column("subject_name", String(63), nullable=False),
    Column("asked", JSON, nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("ended_at", String(32), nullable=True),
    Column("result", JSON, nullable=False),
    Column("error", JSON(none_as_null=True), nullable=True),
    Column("version", Integer, nullable=False, server_default="1"),
    # Who asked for it; null for what the controller began by itself.
    Column("asked_by", JSON(none_as_null=True), nullable=True),
)

operation_steps = Table(
    "operation_steps",
    metadata,
    _owned("operation_id", "operations", primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("name", String(255), nullable=False),
    Column("state", String(15), nullable=False),
    Column("started_at", String(32), nullable=False),
    Column("ended_at", String(32), nullable=True),
    Column("detail", Text, nullable=False, server_default=""),
)

commands = Table(
    "commands",
    metadata,
    _id(),
    Column("host_id", String(36), ForeignKey("hosts.id", ondelete="CASCADE"), nullable=False),
    Column("key", String(255), nullable=False),
    Column("verb", JSON, nullable=False),
    Column("patience_seconds", Float, nullable=False),
    Column("state", String(15), nullable=False),
    # False once its asker gave up: it is not delivered (again), and an answer that still comes is kept.
    Column("wanted", Boolean, nullable=False),
    Column("answer", JSON(none_as_null=True), nullable=True),
    Column("created_at", String(32), nullable=False),
    Column("fetched_at", String(32), nullable=True),
    Column("ended_at", String(32), nullable=True),
    UniqueConstraint("host_id", "key"),
    Index("ix_commands_host_id_state", "host_id", "state"),
)

invitations = Table(
    "invitations",
    metadata,
    _id(),
    Column("name", String(63), nullable=False),
    Column("secret_sha256", String(64), nullable=False, unique=True),
    Column("created_at", String(32), nullable=False),
    Column("expires_at", String(32), nullable=False),
    Column("used_at", String(32), nullable=True),
)

tokens = Table(
    "tokens",
    metadata,
    _id(),
    _owned("account_id", "accounts"),
    Column("name", String(63), nullable=False),
    Column("secret_sha256", String(64), nullable=False, unique=True),
    # The permissions it is narrowed to; none: it may all that its account may.
    Column("scope", JSON, nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("expires_at", String(32), nullable=True),
    Column("last_used_at", String(32), nullable=True),
    UniqueConstraint("account_id", "name"),
)

passwords = Table(
    "passwords",
    metadata,
    _owned("account_id", "accounts", primary_key=True),
    # Argon2id in PHC form, which is at most 127 characters.
    Column("stored", String(128), nullable=False),
    Column("changed_at", String(32), nullable=False),
)

passkeys = Table(
    "passkeys",
    metadata,
    _id(),
    _owned("account_id", "accounts"),
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
    _owned("account_id", "accounts"),
    Column("created_at", String(32), nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    _id(),
    _owned("account_id", "accounts"),
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
    _id(),
    _owned("account_id", "accounts"),
    Column("secret_sha256", String(64), nullable=False, unique=True),
    Column("created_at", String(32), nullable=False),
    Column("expires_at", String(32), nullable=False),
)

setup_links = Table(
    "setup_links",
    metadata,
    _id(),
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
    _id(),
    Column("purpose", String(31), nullable=False),
    Column("account_id", String(36), ForeignKey("accounts.id", ondelete="CASCADE"), nullable=True, index=True),
    Column("facts", JSON, nullable=False),
    Column("expires_at", String(32), nullable=False),
)

idempotency = Table(
    "idempotency",
    metadata,
    _owned("account_id", "accounts", primary_key=True),
    Column("route", String(255), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("status", Integer, nullable=True),
    Column("body", JSON(none_as_null=True), nullable=True),
    Column("headers", JSON, nullable=False),
    Column("created_at", String(32), nullable=False),
)

# Their triggers look the owner up: no reference that SQLAlchemy could order them by.
projects.add_is_dependent_on(accounts)
vms.add_is_dependent_on(accounts)

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
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from ringfence.store.columns import id_column, metadata, name_column, owned_column, refers_column, revision_column
from ringfence.store.ledger_tables import ledger_actor_kinds, ledger_entries, ledger_heads, ledger_pending, ledger_tiles
from ringfence.store.sign_in_tables import (
    challenges,
    identities,
    known_devices,
    passkeys,
    passwords,
    sessions,
    setup_links,
    sign_in_failures,
)

__all__ = [
    "challenges",
    "identities",
    "known_devices",
    "ledger_actor_kinds",
    "ledger_entries",
    "ledger_heads",
    "ledger_pending",
    "ledger_tiles",
    "metadata",
    "passkeys",
    "passwords",
    "sessions",
    "setup_links",
    "sign_in_failures",
]


def _named_within_project() -> tuple[UniqueConstraint, Index]:
    # Nulls differ from one another: what is of no project has names of its own by an index of its own.
    of_cloud = text("project_id IS NULL")
    alone = Index(None, "name", unique=True, sqlite_where=of_cloud, postgresql_where=of_cloud)
    return UniqueConstraint("project_id", "name"), alone


counters = Table(
    "counters",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

zones = Table(
    "zones",
    metadata,
    id_column(),
    name_column(),
    Column("colour", String(63), nullable=False),
    Column("classification", String(255), nullable=False),
    # Written by every claim of the zone and every mix taken from it, so that those two never pass each other.
    Column("claim_changes", BigInteger, nullable=False, server_default="0"),
    revision_column(),
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
    id_column(),
    Column("name", String(120), nullable=False, unique=True),
    Column("kind", String(15), nullable=False),
    Column("display_name", String(200), nullable=False, server_default=""),
    Column("email", String(254), nullable=False, server_default=""),
    Column("disabled", Boolean, nullable=False),
    revision_column(),
)

account_roles = Table(
    "account_roles",
    metadata,
    owned_column("account_id", "accounts", primary_key=True),
    Column("role", String(31), primary_key=True),
)

projects = Table(
    "projects",
    metadata,
    id_column(),
    name_column(),
    Column("owner", String(255), nullable=False, index=True),
    revision_column(),
    CheckConstraint("owner <> ''", name="owned"),
)

project_members = Table(
    "project_members",
    metadata,
    owned_column("project_id", "projects", primary_key=True),
    Column("account_id", String(36), ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True, index=True),
    Column("role", String(31), nullable=False),
)

# What a project may have at most; null: as much as there is. No row: no bounds.
quotas = Table(
    "quotas",
    metadata,
    owned_column("project_id", "projects", primary_key=True),
    Column("vms", Integer, nullable=True),
    Column("vcpus", Integer, nullable=True),
    Column("memory_mib", BigInteger, nullable=True),
    Column("disk_bytes", BigInteger, nullable=True),
    Column("ports", Integer, nullable=True),
    # Written by everything that counts: two that race for what is left wait for each other at this row.
    Column("changes", BigInteger, nullable=False, server_default="0"),
)

flavors = Table(
    "flavors",
    metadata,
    id_column(),
    name_column(),
    Column("vcpus", Integer, nullable=False),
    Column("memory_mib", BigInteger, nullable=False),
    Column("disk_bytes", BigInteger, nullable=False),
    Column("priority", String(15), nullable=False),
    revision_column(),
    CheckConstraint("vcpus > 0 AND memory_mib > 0 AND disk_bytes > 0", name="sized"),
)

images = Table(
    "images",
    metadata,
    id_column(),
    name_column(),
    Column("digest", String(71), nullable=False, index=True),
    Column("format", String(15), nullable=False),
    Column("file_bytes", BigInteger, nullable=False),
    Column("virtual_bytes", BigInteger, nullable=False),
    Column("source", Text, nullable=False),
    Column("state", String(15), nullable=False),
    revision_column(),
)

networks = Table(
    "networks",
    metadata,
    id_column(),
    Column("name", String(63), nullable=False),
    Column("cidr", String(18), nullable=False),
    refers_column("project_id", "projects", nullable=True),
    Column("mtu", Integer, nullable=False),
    revision_column(),
    *_named_within_project(),
)

hosts = Table(
    "hosts",
    metadata,
    id_column(),
    name_column(),
    Column("state", String(15), nullable=False),
    Column("underlay_address", String(45), nullable=False),
    Column("vcpus", Integer, nullable=False, server_default="0"),
    Column("memory_mib", BigInteger, nullable=False, server_default="0"),
    Column("disk_bytes", BigInteger, nullable=False, server_default="0"),
    Column("certificate_serial", String(63), nullable=False, server_default=""),
    Column("certificate_fingerprint", String(127), nullable=True, unique=True),
    Column("certificate_expires_at", String(32), nullable=True),
    # The next one, from when it was issued until the host shows it.
    Column("next_certificate_serial", String(63), nullable=True),
    Column("next_certificate_fingerprint", String(64), nullable=True, index=True),
    Column("next_certificate_expires_at", String(32), nullable=True),
    # Written by every claim: two claims of one host wait for each other at this row.
    Column("claim_changes", BigInteger, nullable=False, server_default="0"),
    revision_column(),
)

# Apart from `hosts`, so that a heartbeat and a claim do not wait for each other.
host_reports = Table(
    "host_reports",
    metadata,
    owned_column("host_id", "hosts", primary_key=True),
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
    id_column(),
    Column("name", String(63), nullable=False),
    refers_column("project_id", "projects", index=False),
    refers_column("zone_id", "zones"),
    # An account's name, as a trigger sees to: what is shown and told to hosts needs no second look.
    Column("owner", String(255), nullable=False, index=True),
    refers_column("flavor_id", "flavors"),
    refers_column("image_id", "images"),
    # Copied from the flavor at birth: a flavor that changes later does not resize a VM that has its place.
    Column("vcpus", Integer, nullable=False),
    Column("memory_mib", BigInteger, nullable=False),
    Column("disk_bytes", BigInteger, nullable=False),
    Column("state", String(15), nullable=False),
    Column("labels", JSON, nullable=False),
    refers_column("host_id", "hosts", nullable=True),
    Column("placement", Text, nullable=False, server_default=""),
    Column("user_data", Text, nullable=False, server_default=""),
    revision_column(),
    CheckConstraint("owner <> ''", name="owned"),
    UniqueConstraint("project_id", "name"),
    # So that a claim can refer to a VM together with its zone.
    UniqueConstraint("id", "zone_id"),
)

ports = Table(
    "ports",
    metadata,
    id_column(),
    owned_column("vm_id", "vms"),
    Column("network_id", String(36), ForeignKey("networks.id"), nullable=False),
    Column("mac", String(17), nullable=False, unique=True),
    Column("address", String(15), nullable=False),
    Column("position", Integer, nullable=False),
    Column("hosts", JSON, nullable=False),
    UniqueConstraint("network_id", "address"),
)

# A VM that is offered to another owner. It changes hands when they accept, and until then nothing does.
handovers = Table(
    "handovers",
    metadata,
    id_column(),
    Column("vm_id", String(36), ForeignKey("vms.id", ondelete="CASCADE"), nullable=False, unique=True),
    owned_column("account_id", "accounts"),
    Column("offered_by", String(120), nullable=False),
    Column("created_at", String(32), nullable=False),
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
    id_column(),
    Column("name", String(63), nullable=False),
    # Whose it is, which says who may change it and nothing of what it selects; null: the cloud's.
    refers_column("project_id", "projects", nullable=True),
    refers_column("source_zone_id", "zones", nullable=True),
    refers_column("source_project_id", "projects", nullable=True),
    Column("source_labels", JSON, nullable=False),
    refers_column("target_zone_id", "zones", nullable=True),
    refers_column("target_project_id", "projects", nullable=True),
    Column("target_labels", JSON, nullable=False),
    Column("protocol", String(15), nullable=False),
    Column("ports", JSON, nullable=False),
    revision_column(),
    *_named_within_project(),
)

operations = Table(
    "operations",
    metadata,
    id_column(),
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
    # Its subject's. No reference: the operation is there when the project no longer is.
    Column("project_id", String(36), nullable=True, index=True),
)

operation_steps = Table(
    "operation_steps",
    metadata,
    owned_column("operation_id", "operations", primary_key=True),
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
    id_column(),
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
    id_column(),
    Column("name", String(63), nullable=False),
    Column("secret_sha256", String(64), nullable=False, unique=True),
    Column("created_at", String(32), nullable=False),
    Column("expires_at", String(32), nullable=False),
    Column("used_at", String(32), nullable=True),
    # Of the host that joins again by it; it may be gone by then.
    Column("host_id", String(36), nullable=True),
)

tokens = Table(
    "tokens",
    metadata,
    id_column(),
    owned_column("account_id", "accounts"),
    Column("name", String(63), nullable=False),
    Column("secret_sha256", String(64), nullable=False, unique=True),
    # The permissions it is narrowed to; none: it may all that its account may.
    Column("scope", JSON, nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("expires_at", String(32), nullable=True),
    Column("last_used_at", String(32), nullable=True),
    UniqueConstraint("account_id", "name"),
)

idempotency = Table(
    "idempotency",
    metadata,
    owned_column("account_id", "accounts", primary_key=True),
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

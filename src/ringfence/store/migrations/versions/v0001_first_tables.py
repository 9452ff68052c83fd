"""The first tables, and the triggers that keep company (promise 2) whatever SQL runs."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_TRIGGERS = Path(__file__).parent.parent / "triggers_0001"


def upgrade() -> None:
    """Make the tables in the order of their references, then the triggers and the first rows."""
    _make_counters()
    _make_flavors()
    _make_hosts()
    _make_images()
    _make_invitations()
    _make_operations()
    _make_projects()
    _make_tokens()
    _make_zones()
    _make_commands()
    _make_host_reports()
    _make_idempotency()
    _make_networks()
    _make_operation_steps()
    _make_policies()
    _make_vms()
    _make_zone_mixes()
    _make_claims()
    _make_ports()
    script = (_TRIGGERS / f"{op.get_bind().dialect.name}.sql").read_text()
    for statement in script.split("\n--\n"):
        # Not as bound text: a colon in the triggers is no parameter.
        op.get_bind().exec_driver_sql(statement.replace("%", "%%"))
    op.get_bind().exec_driver_sql("INSERT INTO counters (name, value) VALUES ('intent', 1)")


def _make_counters() -> None:
    op.create_table(
        "counters",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_counters")),
    )


def _make_flavors() -> None:
    op.create_table(
        "flavors",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("vcpus", sa.Integer(), nullable=False),
        sa.Column("memory_mib", sa.BigInteger(), nullable=False),
        sa.Column("disk_bytes", sa.BigInteger(), nullable=False),
        sa.Column("priority", sa.String(length=15), nullable=False),
        sa.Column("revision", sa.Integer(), server_default="1", nullable=False),
        sa.CheckConstraint("vcpus > 0 AND memory_mib > 0 AND disk_bytes > 0", name=op.f("ck_flavors_sized")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flavors")),
        sa.UniqueConstraint("name", name=op.f("uq_flavors_name")),
    )


def _make_hosts() -> None:
    op.create_table(
        "hosts",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("state", sa.String(length=15), nullable=False),
        sa.Column("underlay_address", sa.String(length=45), nullable=False),
        sa.Column("vcpus", sa.Integer(), server_default="0", nullable=False),
        sa.Column("memory_mib", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("disk_bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("certificate_serial", sa.String(length=63), server_default="", nullable=False),
        sa.Column("certificate_fingerprint", sa.String(length=127), nullable=True),
        sa.Column("claim_changes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("revision", sa.Integer(), server_default="1", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hosts")),
        sa.UniqueConstraint("certificate_fingerprint", name=op.f("uq_hosts_certificate_fingerprint")),
        sa.UniqueConstraint("name", name=op.f("uq_hosts_name")),
    )


def _make_images() -> None:
    op.create_table(
        "images",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("format", sa.String(length=15), nullable=False),
        sa.Column("file_bytes", sa.BigInteger(), nullable=False),
        sa.Column("virtual_bytes", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=15), nullable=False),
        sa.Column("revision", sa.Integer(), server_default="1", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_images")),
        sa.UniqueConstraint("name", name=op.f("uq_images_name")),
    )
    op.create_index(op.f("ix_images_digest"), "images", ["digest"], unique=False)


def _make_invitations() -> None:
    op.create_table(
        "invitations",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("secret_sha256", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.Column("expires_at", sa.String(length=32), nullable=False),
        sa.Column("used_at", sa.String(length=32), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitations")),
        sa.UniqueConstraint("secret_sha256", name=op.f("uq_invitations_secret_sha256")),
    )


def _make_operations() -> None:
    op.create_table(
        "operations",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=31), nullable=False),
        sa.Column("state", sa.String(length=15), nullable=False),
        sa.Column("subject_id", sa.String(length=36), nullable=False),
        sa.Column("subject_name", sa.String(length=63), nullable=False),
        sa.Column("asked", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.Column("ended_at", sa.String(length=32), nullable=True),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.Column("error", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operations")),
    )
    op.create_index(op.f("ix_operations_state"), "operations", ["state"], unique=False)
    op.create_index(op.f("ix_operations_subject_id"), "operations", ["subject_id"], unique=False)


def _make_projects() -> None:
    op.create_table(
        "projects",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("revision", sa.Integer(), server_default="1", nullable=False),
        sa.CheckConstraint("owner <> ''", name=op.f("ck_projects_owned")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_projects")),
        sa.UniqueConstraint("name", name=op.f("uq_projects_name")),
    )


def _make_tokens() -> None:
    op.create_table(
        "tokens",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("secret_sha256", sa.String(length=64), nullable=False),
        sa.Column("scope", sa.String(length=63), nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.Column("expires_at", sa.String(length=32), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tokens")),
        sa.UniqueConstraint("name", name=op.f("uq_tokens_name")),
        sa.UniqueConstraint("secret_sha256", name=op.f("uq_tokens_secret_sha256")),
    )


def _make_zones() -> None:
    op.create_table(
        "zones",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("colour", sa.String(length=63), nullable=False),
        sa.Column("classification", sa.String(length=255), nullable=False),
        sa.Column("claim_changes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("revision", sa.Integer(), server_default="1", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_zones")),
        sa.UniqueConstraint("name", name=op.f("uq_zones_name")),
    )


def _make_commands() -> None:
    op.create_table(
        "commands",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("host_id", sa.String(length=36), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("verb", sa.JSON(), nullable=False),
        sa.Column("patience_seconds", sa.Float(), nullable=False),
        sa.Column("state", sa.String(length=15), nullable=False),
        sa.Column("wanted", sa.Boolean(), nullable=False),
        sa.Column("answer", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.Column("fetched_at", sa.String(length=32), nullable=True),
        sa.Column("ended_at", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(["host_id"], ["hosts.id"], name=op.f("fk_commands_host_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commands")),
        sa.UniqueConstraint("host_id", "key", name=op.f("uq_commands_host_id_key")),
    )
    op.create_index("ix_commands_host_id_state", "commands", ["host_id", "state"], unique=False)


def _make_host_reports() -> None:
    op.create_table(
        "host_reports",
        sa.Column("host_id", sa.String(length=36), nullable=False),
        sa.Column("last_seen", sa.String(length=32), nullable=True),
        sa.Column("agent_version", sa.String(length=63), server_default="", nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("vms", sa.JSON(), nullable=False),
        sa.Column("agent_session", sa.String(length=255), server_default="", nullable=False),
        sa.Column("replaced_session", sa.String(length=255), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["host_id"], ["hosts.id"], name=op.f("fk_host_reports_host_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("host_id", name=op.f("pk_host_reports")),
    )


def _make_idempotency() -> None:
    op.create_table(
        "idempotency",
        sa.Column("token_id", sa.String(length=36), nullable=False),
        sa.Column("route", sa.String(length=255), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("body", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("headers", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["token_id"], ["tokens.id"], name=op.f("fk_idempotency_token_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("token_id", "route", "key", name=op.f("pk_idempotency")),
    )


def _make_networks() -> None:
    op.create_table(
        "networks",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("cidr", sa.String(length=18), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=True),
        sa.Column("mtu", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), server_default="1", nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_networks_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_networks")),
        sa.UniqueConstraint("name", name=op.f("uq_networks_name")),
    )
    op.create_index(op.f("ix_networks_project_id"), "networks", ["project_id"], unique=False)


def _make_operation_steps() -> None:
    op.create_table(
        "operation_steps",
        sa.Column("operation_id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("state", sa.String(length=15), nullable=False),
        sa.Column("started_at", sa.String(length=32), nullable=False),
        sa.Column("ended_at", sa.String(length=32), nullable=True),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["operation_id"], ["operations.id"], name=op.f("fk_operation_steps_operation_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("operation_id", "number", name=op.f("pk_operation_steps")),
    )


def _make_policies() -> None:
    op.create_table(
        "policies",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("source_zone_id", sa.String(length=36), nullable=True),
        sa.Column("source_project_id", sa.String(length=36), nullable=True),
        sa.Column("source_labels", sa.JSON(), nullable=False),
        sa.Column("target_zone_id", sa.String(length=36), nullable=True),
        sa.Column("target_project_id", sa.String(length=36), nullable=True),
        sa.Column("target_labels", sa.JSON(), nullable=False),
        sa.Column("protocol", sa.String(length=15), nullable=False),
        sa.Column("ports", sa.JSON(), nullable=False),
        sa.Column("revision", sa.Integer(), server_default="1", nullable=False),
        sa.ForeignKeyConstraint(["source_project_id"], ["projects.id"], name=op.f("fk_policies_source_project_id")),
        sa.ForeignKeyConstraint(["source_zone_id"], ["zones.id"], name=op.f("fk_policies_source_zone_id")),
        sa.ForeignKeyConstraint(["target_project_id"], ["projects.id"], name=op.f("fk_policies_target_project_id")),
        sa.ForeignKeyConstraint(["target_zone_id"], ["zones.id"], name=op.f("fk_policies_target_zone_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policies")),
        sa.UniqueConstraint("name", name=op.f("uq_policies_name")),
    )
    op.create_index(op.f("ix_policies_source_project_id"), "policies", ["source_project_id"], unique=False)
    op.create_index(op.f("ix_policies_source_zone_id"), "policies", ["source_zone_id"], unique=False)
    op.create_index(op.f("ix_policies_target_project_id"), "policies", ["target_project_id"], unique=False)
    op.create_index(op.f("ix_policies_target_zone_id"), "policies", ["target_zone_id"], unique=False)


def _make_vms() -> None:
    op.create_table(
        "vms",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("zone_id", sa.String(length=36), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("flavor_id", sa.String(length=36), nullable=False),
        sa.Column("image_id", sa.String(length=36), nullable=False),
        sa.Column("vcpus", sa.Integer(), nullable=False),
        sa.Column("memory_mib", sa.BigInteger(), nullable=False),
        sa.Column("disk_bytes", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=15), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("host_id", sa.String(length=36), nullable=True),
        sa.Column("placement", sa.Text(), server_default="", nullable=False),
        sa.Column("user_data", sa.Text(), server_default="", nullable=False),
        sa.Column("revision", sa.Integer(), server_default="1", nullable=False),
        sa.CheckConstraint("owner <> ''", name=op.f("ck_vms_owned")),
        sa.ForeignKeyConstraint(["flavor_id"], ["flavors.id"], name=op.f("fk_vms_flavor_id")),
        sa.ForeignKeyConstraint(["host_id"], ["hosts.id"], name=op.f("fk_vms_host_id")),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name=op.f("fk_vms_image_id")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_vms_project_id")),
        sa.ForeignKeyConstraint(["zone_id"], ["zones.id"], name=op.f("fk_vms_zone_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vms")),
        sa.UniqueConstraint("id", "zone_id", name=op.f("uq_vms_id_zone_id")),
        sa.UniqueConstraint("project_id", "name", name=op.f("uq_vms_project_id_name")),
    )
    op.create_index(op.f("ix_vms_flavor_id"), "vms", ["flavor_id"], unique=False)
    op.create_index(op.f("ix_vms_host_id"), "vms", ["host_id"], unique=False)
    op.create_index(op.f("ix_vms_image_id"), "vms", ["image_id"], unique=False)
    op.create_index(op.f("ix_vms_zone_id"), "vms", ["zone_id"], unique=False)


def _make_zone_mixes() -> None:
    op.create_table(
        "zone_mixes",
        sa.Column("zone_a", sa.String(length=36), nullable=False),
        sa.Column("zone_b", sa.String(length=36), nullable=False),
        sa.CheckConstraint("zone_a < zone_b", name=op.f("ck_zone_mixes_ordered")),
        sa.ForeignKeyConstraint(["zone_a"], ["zones.id"], name=op.f("fk_zone_mixes_zone_a")),
        sa.ForeignKeyConstraint(["zone_b"], ["zones.id"], name=op.f("fk_zone_mixes_zone_b")),
        sa.PrimaryKeyConstraint("zone_a", "zone_b", name=op.f("pk_zone_mixes")),
    )
    op.create_index(op.f("ix_zone_mixes_zone_b"), "zone_mixes", ["zone_b"], unique=False)


def _make_claims() -> None:
    op.create_table(
        "claims",
        sa.Column("vm_id", sa.String(length=36), nullable=False),
        sa.Column("host_id", sa.String(length=36), nullable=False),
        sa.Column("zone_id", sa.String(length=36), nullable=False),
        sa.Column("vcpus", sa.Integer(), nullable=False),
        sa.Column("memory_mib", sa.BigInteger(), nullable=False),
        sa.Column("disk_bytes", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("vcpus >= 0 AND memory_mib >= 0 AND disk_bytes >= 0", name=op.f("ck_claims_sized")),
        sa.ForeignKeyConstraint(["host_id"], ["hosts.id"], name=op.f("fk_claims_host_id")),
        sa.ForeignKeyConstraint(["vm_id", "zone_id"], ["vms.id", "vms.zone_id"], name=op.f("fk_claims_vm_id_zone_id")),
        sa.ForeignKeyConstraint(["zone_id"], ["zones.id"], name=op.f("fk_claims_zone_id")),
        sa.PrimaryKeyConstraint("vm_id", "host_id", name=op.f("pk_claims")),
    )
    op.create_index(op.f("ix_claims_host_id"), "claims", ["host_id"], unique=False)
    op.create_index(op.f("ix_claims_zone_id"), "claims", ["zone_id"], unique=False)


def _make_ports() -> None:
    op.create_table(
        "ports",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("vm_id", sa.String(length=36), nullable=False),
        sa.Column("network_id", sa.String(length=36), nullable=False),
        sa.Column("mac", sa.String(length=17), nullable=False),
        sa.Column("address", sa.String(length=15), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("hosts", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["network_id"], ["networks.id"], name=op.f("fk_ports_network_id")),
        sa.ForeignKeyConstraint(["vm_id"], ["vms.id"], name=op.f("fk_ports_vm_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ports")),
        sa.UniqueConstraint("mac", name=op.f("uq_ports_mac")),
        sa.UniqueConstraint("network_id", "address", name=op.f("uq_ports_network_id_address")),
    )
    op.create_index(op.f("ix_ports_vm_id"), "ports", ["vm_id"], unique=False)

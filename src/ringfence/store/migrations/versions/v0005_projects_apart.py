"""Projects apart: names of their own, quotas, operations and policies that know whose they are, hand-overs."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_TRIGGERS = Path(__file__).parent.parent / "triggers_0005"


def upgrade() -> None:
    """Make the tables and columns, then the triggers that hold the quotas."""
    _name_within_projects("networks")
    _name_within_projects("policies")
    op.add_column("operations", sa.Column("project_id", sa.String(length=36), nullable=True))
    op.create_index(op.f("ix_operations_project_id"), "operations", ["project_id"], unique=False)
    # What is there already is of the project of the VM it was about, if that still is.
    op.get_bind().exec_driver_sql(
        "UPDATE operations SET project_id = (SELECT project_id FROM vms WHERE vms.id = operations.subject_id)"
    )
    _make_quotas()
    _make_handovers()
    script = (_TRIGGERS / f"{op.get_bind().dialect.name}.sql").read_text()
    for statement in script.split("\n--\n"):
        op.get_bind().exec_driver_sql(statement.replace("%", "%%"))


def _name_within_projects(table: str) -> None:
    naming = {"fk": "fk_%(table_name)s_%(column_0_N_name)s"}
    with op.batch_alter_table(table, naming_convention=naming) as batch:
        batch.drop_constraint(op.f(f"uq_{table}_name"), type_="unique")
        if table == "policies":
            batch.add_column(sa.Column("project_id", sa.String(length=36), nullable=True))
            batch.create_foreign_key(op.f("fk_policies_project_id"), "projects", ["project_id"], ["id"])
            batch.create_index(op.f("ix_policies_project_id"), ["project_id"], unique=False)
        batch.create_unique_constraint(op.f(f"uq_{table}_project_id_name"), ["project_id", "name"])
    of_cloud = sa.text("project_id IS NULL")
    op.create_index(
        op.f(f"ix_{table}_name"), table, ["name"], unique=True, sqlite_where=of_cloud, postgresql_where=of_cloud
    )


def _make_quotas() -> None:
    op.create_table(
        "quotas",
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("vms", sa.Integer(), nullable=True),
        sa.Column("vcpus", sa.Integer(), nullable=True),
        sa.Column("memory_mib", sa.BigInteger(), nullable=True),
        sa.Column("disk_bytes", sa.BigInteger(), nullable=True),
        sa.Column("ports", sa.Integer(), nullable=True),
        sa.Column("changes", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_quotas_project_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("project_id", name=op.f("pk_quotas")),
    )


def _make_handovers() -> None:
    op.create_table(
        "handovers",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("vm_id", sa.String(length=36), nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("offered_by", sa.String(length=120), nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_handovers_account_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["vm_id"], ["vms.id"], name=op.f("fk_handovers_vm_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_handovers")),
        sa.UniqueConstraint("vm_id", name=op.f("uq_handovers_vm_id")),
    )
    op.create_index(op.f("ix_handovers_account_id"), "handovers", ["account_id"], unique=False)

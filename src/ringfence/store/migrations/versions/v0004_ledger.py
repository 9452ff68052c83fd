"""The ledger's tables, and the triggers that only let it grow. Those that write it are made by `store/triggers`."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_PLACE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_ACTOR_KINDS = ("person", "service", "host", "controller", "stranger")


def upgrade() -> None:
    """Make the tables, the kinds of actor, and the guards of what is written."""
    kinds = op.create_table(
        "ledger_actor_kinds",
        sa.Column("kind", sa.String(length=15), nullable=False),
        sa.PrimaryKeyConstraint("kind", name=op.f("pk_ledger_actor_kinds")),
    )
    op.bulk_insert(kinds, [{"kind": kind} for kind in _ACTOR_KINDS])
    _make_pending()
    _make_entries()
    _make_tree()
    for statement in _guards(op.get_bind().dialect.name):
        op.get_bind().exec_driver_sql(statement)


def _text(name: str, length: int, default: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.String(length=length), nullable=False, server_default=default)


def _make_pending() -> None:
    op.create_table(
        "ledger_pending",
        sa.Column("seq", _PLACE, nullable=False),
        _text("action", 63),
        _text("subject_kind", 31),
        _text("subject_id", 255, ""),
        _text("subject_name", 255, ""),
        _text("related_id", 255, ""),
        _text("project_id", 36, ""),
        sa.Column("before", sa.Text(), nullable=True),
        sa.Column("after", sa.Text(), nullable=True),
        _text("outcome", 15, "done"),
        _text("at", 32, ""),
        _text("actor_kind", 15, ""),
        _text("actor_id", 255, ""),
        _text("actor_name", 255, ""),
        _text("on_behalf_of", 255, ""),
        _text("source", 255, ""),
        _text("reason", 500, ""),
        sa.ForeignKeyConstraint(
            ["actor_kind"],
            ["ledger_actor_kinds.kind"],
            name=op.f("fk_ledger_pending_actor_kind"),
            deferrable=True,
            initially="DEFERRED",
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_ledger_pending")),
    )
    unsigned = sa.text("actor_kind = ''")
    op.create_index(
        "ix_ledger_pending_unsigned", "ledger_pending", ["seq"], sqlite_where=unsigned, postgresql_where=unsigned
    )


def _make_entries() -> None:
    op.create_table(
        "ledger_entries",
        sa.Column("leaf", _PLACE, autoincrement=False, nullable=False),
        _text("at", 32),
        _text("actor_id", 255),
        _text("actor_name", 255),
        _text("action", 63),
        _text("subject_kind", 31),
        _text("subject_id", 255),
        _text("subject_name", 255),
        _text("related_id", 255),
        _text("project_id", 36),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("leaf", name=op.f("pk_ledger_entries")),
    )
    op.create_index(op.f("ix_ledger_entries_at"), "ledger_entries", ["at"])
    for column in ("actor_id", "subject_id", "related_id", "subject_kind", "project_id"):
        op.create_index(f"ix_ledger_entries_{column}_leaf", "ledger_entries", [column, "leaf"])


def _make_tree() -> None:
    op.create_table(
        "ledger_tiles",
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "number", name=op.f("pk_ledger_tiles")),
    )
    op.create_table(
        "ledger_heads",
        _text("name", 15),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_ledger_heads")),
    )


def _guards(dialect: str) -> list[str]:
    """Against mistakes, not against who owns the database: him the tree and its signed checkpoints find out."""
    if dialect == "postgresql":
        refuse = "FOR EACH {} EXECUTE FUNCTION refuse_change('ledger-entries-never-change')"
        return [
            f"CREATE TRIGGER ledger_entries_stay BEFORE UPDATE OR DELETE ON ledger_entries {refuse.format('ROW')}",
            f"CREATE TRIGGER ledger_entries_all_stay BEFORE TRUNCATE ON ledger_entries {refuse.format('STATEMENT')}",
        ]
    return [
        f"CREATE TRIGGER ledger_entries_stay_{event.lower()} BEFORE {event} ON ledger_entries"
        " BEGIN SELECT RAISE(ABORT, 'ringfence:ledger-entries-never-change'); END"
        for event in ("UPDATE", "DELETE")
    ]

"""The ledger's own tables. No queries; the triggers that write and guard them are made elsewhere.

`tables` has them too, with all others.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Text, text

from ringfence.store.columns import metadata

ledger_actor_kinds = Table("ledger_actor_kinds", metadata, Column("kind", String(15), primary_key=True))

_UNSIGNED = text("actor_kind = ''")

# What the triggers of `ledgered` write, in the change's own transaction; `ledger.sequence` moves it to its place.
ledger_pending = Table(
    "ledger_pending",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("action", String(63), nullable=False),
    Column("subject_kind", String(31), nullable=False),
    Column("subject_id", String(255), nullable=False, server_default=""),
    Column("subject_name", String(255), nullable=False, server_default=""),
    Column("related_id", String(255), nullable=False, server_default=""),
    Column("project_id", String(36), nullable=False, server_default=""),
    Column("before", Text, nullable=True),
    Column("after", Text, nullable=True),
    Column("outcome", String(15), nullable=False, server_default="done"),
    Column("at", String(32), nullable=False, server_default=""),
    # SAFETY: "" is no kind of actor, and the database looks at the commit: a change that nobody put a name to fails.
    Column(
        "actor_kind",
        String(15),
        ForeignKey("ledger_actor_kinds.kind", deferrable=True, initially="DEFERRED"),
        nullable=False,
        server_default="",
    ),
    Column("actor_id", String(255), nullable=False, server_default=""),
    Column("actor_name", String(255), nullable=False, server_default=""),
    Column("on_behalf_of", String(255), nullable=False, server_default=""),
    Column("source", String(255), nullable=False, server_default=""),
    Column("reason", String(500), nullable=False, server_default=""),
    Index("ix_ledger_pending_unsigned", "seq", sqlite_where=_UNSIGNED, postgresql_where=_UNSIGNED),
)

# Only ever added to: a trigger refuses the rest. The body is what is hashed; every other column is in it, too.
ledger_entries = Table(
    "ledger_entries",
    metadata,
    Column("leaf", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("at", String(32), nullable=False, index=True),
    Column("actor_id", String(255), nullable=False),
    Column("actor_name", String(255), nullable=False),
    Column("action", String(63), nullable=False),
    Column("subject_kind", String(31), nullable=False),
    Column("subject_id", String(255), nullable=False),
    Column("subject_name", String(255), nullable=False),
    Column("related_id", String(255), nullable=False),
    Column("project_id", String(36), nullable=False),
    Column("body", Text, nullable=False),
    Index("ix_ledger_entries_actor_id_leaf", "actor_id", "leaf"),
    Index("ix_ledger_entries_subject_id_leaf", "subject_id", "leaf"),
    Index("ix_ledger_entries_related_id_leaf", "related_id", "leaf"),
    Index("ix_ledger_entries_subject_kind_leaf", "subject_kind", "leaf"),
    Index("ix_ledger_entries_project_id_leaf", "project_id", "leaf"),
)

# The tree's hashes, 256 in a row: level 0 holds those of entries, each level above one hash for each full row below.
ledger_tiles = Table(
    "ledger_tiles",
    metadata,
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("hashes", LargeBinary, nullable=False),
)

# `head` is the tree as it is now; `audited` as it was when a walk last found it whole.
ledger_heads = Table(
    "ledger_heads",
    metadata,
    Column("name", String(15), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
)

"""What tables are made of: the metadata they are in, and the columns that many of them have. No table."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Integer, MetaData, String

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


def id_column() -> Column[str]:
    return Column("id", String(36), primary_key=True)


def name_column() -> Column[str]:
    return Column("name", String(63), nullable=False, unique=True)


def revision_column() -> Column[int]:
    return Column("revision", Integer, nullable=False, server_default="1")


def refers_column(name: str, target: str, *, nullable: bool = False, index: bool = True) -> Column[str]:
    return Column(name, String(36), ForeignKey(f"{target}.id"), nullable=nullable, index=index)


def owned_column(name: str, target: str, *, primary_key: bool = False) -> Column[str]:
    # The row goes with what it belongs to.
    reference = ForeignKey(f"{target}.id", ondelete="CASCADE")
    return Column(name, String(36), reference, nullable=False, primary_key=primary_key, index=not primary_key)

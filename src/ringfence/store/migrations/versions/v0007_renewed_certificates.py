"""Renewed certificates: until when a host's is good, and the next one until it is shown."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the columns."""
    op.add_column("hosts", sa.Column("certificate_expires_at", sa.String(length=32), nullable=True))
    op.add_column("hosts", sa.Column("next_certificate_serial", sa.String(length=63), nullable=True))
    op.add_column("hosts", sa.Column("next_certificate_fingerprint", sa.String(length=64), nullable=True))
    op.add_column("hosts", sa.Column("next_certificate_expires_at", sa.String(length=32), nullable=True))
    op.create_index(op.f("ix_hosts_next_certificate_fingerprint"), "hosts", ["next_certificate_fingerprint"])

"""Joining again: an invitation may be for a host that is known."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the column."""
    op.add_column("invitations", sa.Column("host_id", sa.String(length=36), nullable=True))

"""Accounts, their roles and memberships; tokens belong to an account, and so does whatever has an owner."""

from __future__ import annotations

import re
from pathlib import Path

import sqlalchemy as sa
import uuid_utils
from alembic import op

revision = "0002"
down_revision = "0001"

_TRIGGERS = Path(__file__).parent.parent / "triggers_0002"


def upgrade() -> None:
    """Make the tables; give the token that is there, and each owner, an account."""
    _make_accounts()
    _make_account_roles()
    _make_project_members()
    _account_for_owners()
    _renew_tokens()
    op.add_column("operations", sa.Column("asked_by", sa.JSON(none_as_null=True), nullable=True))
    op.create_index(op.f("ix_projects_owner"), "projects", ["owner"], unique=False)
    op.create_index(op.f("ix_vms_owner"), "vms", ["owner"], unique=False)
    script = (_TRIGGERS / f"{op.get_bind().dialect.name}.sql").read_text()
    for statement in script.split("\n--\n"):
        op.get_bind().exec_driver_sql(statement.replace("%", "%%"))


def _make_accounts() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("kind", sa.String(length=15), nullable=False),
        sa.Column("display_name", sa.String(length=200), server_default="", nullable=False),
        sa.Column("email", sa.String(length=254), server_default="", nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("revision", sa.Integer(), server_default="1", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        sa.UniqueConstraint("name", name=op.f("uq_accounts_name")),
    )


def _make_account_roles() -> None:
    op.create_table(
        "account_roles",
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("role", sa.String(length=31), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_account_roles_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", "role", name=op.f("pk_account_roles")),
    )


def _make_project_members() -> None:
    op.create_table(
        "project_members",
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("role", sa.String(length=31), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_project_members_account_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_project_members_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project_id", "account_id", name=op.f("pk_project_members")),
    )
    op.create_index(op.f("ix_project_members_account_id"), "project_members", ["account_id"], unique=False)


def _account_for_owners() -> None:
    """Make an account for each owner there is. Owners were free text, and become the account's name."""
    bind = op.get_bind()
    known: dict[str, str] = {}
    for table in ("projects", "vms"):
        for (owner,) in bind.execute(sa.text(f"SELECT DISTINCT owner FROM {table} ORDER BY owner")).all():  # noqa: S608
            name = re.sub(r"[^a-z0-9._+@-]+", "-", owner.lower()).strip("._+@-")[:120].strip("._+@-") or "owner"
            if name not in known:
                known[name] = _add_account(name, "person", owner[:200])
            bind.execute(
                sa.text(f"UPDATE {table} SET owner = :name WHERE owner = :owner"),  # noqa: S608
                {"name": name, "owner": owner},
            )
    for project_id, owner in bind.execute(sa.text("SELECT id, owner FROM projects")).all():
        bind.execute(
            sa.text("INSERT INTO project_members (project_id, account_id, role) VALUES (:project, :account, :role)"),
            {"project": project_id, "account": known[owner], "role": "project-owner"},
        )
    members = """
        INSERT INTO project_members (project_id, account_id, role)
        SELECT DISTINCT vms.project_id, accounts.id, 'project-member'
        FROM vms JOIN accounts ON accounts.name = vms.owner
        WHERE NOT EXISTS (
            SELECT 1 FROM project_members AS known
            WHERE known.project_id = vms.project_id AND known.account_id = accounts.id
        )
    """
    bind.execute(sa.text(members))


def _add_account(name: str, kind: str, display_name: str) -> str:
    account_id = str(uuid_utils.uuid7())
    op.get_bind().execute(
        sa.text(
            "INSERT INTO accounts (id, name, kind, display_name, disabled) VALUES (:id, :name, :kind, :display, :off)"
        ),
        {"id": account_id, "name": name, "kind": kind, "display": display_name, "off": False},
    )
    return account_id


def _renew_tokens() -> None:
    """Give every token an account: that of the first start. Idempotency keys live a day, and are forgotten."""
    bind = op.get_bind()
    columns = "id, name, secret_sha256, created_at, expires_at"
    rows = bind.execute(sa.text(f"SELECT {columns} FROM tokens")).mappings().all()  # noqa: S608
    op.drop_table("idempotency")
    op.drop_table("tokens")
    _make_tokens()
    _make_idempotency()
    if not rows:
        return
    taken = set(bind.execute(sa.text("SELECT name FROM accounts")).scalars())
    name = next(each for each in ("bootstrap", *(f"bootstrap-{n}" for n in range(2, 1000))) if each not in taken)
    account_id = _add_account(name, "service", "Made at the controller's first start")
    bind.execute(
        sa.text("INSERT INTO account_roles (account_id, role) VALUES (:id, 'cloud-admin')"), {"id": account_id}
    )
    for row in rows:
        bind.execute(
            sa.text(
                f"INSERT INTO tokens ({columns}, account_id, scope)"  # noqa: S608
                " VALUES (:id, :name, :secret_sha256, :created_at, :expires_at, :account_id, '[]')"
            ),
            {**row, "account_id": account_id},
        )


def _make_tokens() -> None:
    op.create_table(
        "tokens",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("secret_sha256", sa.String(length=64), nullable=False),
        sa.Column("scope", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.Column("expires_at", sa.String(length=32), nullable=True),
        sa.Column("last_used_at", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_tokens_account_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tokens")),
        sa.UniqueConstraint("account_id", "name", name=op.f("uq_tokens_account_id_name")),
        sa.UniqueConstraint("secret_sha256", name=op.f("uq_tokens_secret_sha256")),
    )
    op.create_index(op.f("ix_tokens_account_id"), "tokens", ["account_id"], unique=False)


def _make_idempotency() -> None:
    op.create_table(
        "idempotency",
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("route", sa.String(length=255), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("body", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("headers", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_idempotency_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", "route", "key", name=op.f("pk_idempotency")),
    )

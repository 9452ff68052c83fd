"""The migrations make what the tables say, once, whoever starts at the same time."""

from __future__ import annotations

import multiprocessing
import os
import stat
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from ringfence.errors import Invalid, StoreUnreachable
from ringfence.model.access import Role
from ringfence.store import accounts, members, projects, tokens
from ringfence.store.engine import make_engine, migrate, open_store
from ringfence.store.ids import digest_of
from ringfence.store.tables import metadata

pytestmark = pytest.mark.store


def test_migrations_from_empty_make_exactly_the_tables(empty_url):
    migrate(empty_url)
    engine = make_engine(empty_url)
    # Alembic takes an empty default for none on SQLite.
    opts = {"compare_type": True, "compare_server_default": engine.dialect.name == "postgresql"}
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=opts)
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_migrating_again_changes_nothing(empty_url):
    migrate(empty_url)
    migrate(empty_url)


def test_owners_and_tokens_of_before_there_were_accounts_have_one_and_go_on(empty_url):
    migrate(empty_url, revision="0001")
    engine = make_engine(empty_url)
    with engine.begin() as connection:
        for number, owner in enumerate(["rosa@bank.example", "Rosa@bank.example", " Bert Ü Smith "]):
            values = f"('{number}', 'p{number}', '{owner}')"
            connection.execute(text(f"INSERT INTO projects (id, name, owner) VALUES {values}"))
        connection.execute(
            text(
                "INSERT INTO tokens (id, name, secret_sha256, scope, created_at) VALUES ('t', 'admin', :d, 'admin', '')"
            ),
            {"d": digest_of("secret")},
        )
    engine.dispose()
    store = open_store(empty_url)
    with store.reading() as session:
        owners = [project.owner for project in projects.projects(session).items]
        assert owners == ["rosa@bank.example", "rosa@bank.example", "bert-smith"]
        names = [account.name for account in accounts.accounts(session).items]
        assert sorted(names) == sorted([*owners[1:], "bootstrap"])
        assert [member.role for member in members.members(session, "p2")] == ["project-owner"]
        token = tokens.token_of(session, "secret")
        assert (token.account, token.name) == ("bootstrap", "admin")
        assert accounts.account(session, "bootstrap").roles == {Role.CLOUD_ADMIN}
    store.close()


def test_controllers_that_start_at_once_migrate_once(empty_url):
    fresh = multiprocessing.get_context("spawn")
    starting = [fresh.Process(target=migrate, args=(empty_url,)) for _ in range(3)]
    for process in starting:
        process.start()
    for process in starting:
        process.join(timeout=60)
    assert [process.exitcode for process in starting] == [0, 0, 0]
    store = open_store(empty_url)
    with store.reading() as session:
        assert session.execute(text("SELECT value FROM counters WHERE name = 'intent'")).scalars().all() == [1]
    store.close()


def test_a_database_of_a_newer_version_is_refused(empty_url):
    migrate(empty_url)
    engine = make_engine(empty_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(Invalid):
        migrate(empty_url)


@pytest.mark.parametrize("bad", ["sqlite://", "sqlite:///:memory:", "mysql://root@example.org/x"])
def test_a_database_that_is_neither_sqlite_nor_postgresql_is_refused(bad):
    with pytest.raises(Invalid):
        make_engine(bad)


def test_the_sqlite_file_is_its_owners_alone(tmp_path):
    before = os.umask(0)
    try:
        store = open_store(f"sqlite:///{tmp_path}/cloud.sqlite")
        with store.transaction():
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in Path(tmp_path).iterdir()}
    finally:
        os.umask(before)
    assert len(modes) == 3
    assert set(modes.values()) == {0o600}
    store.close()


def test_a_folder_that_is_not_there_is_said_to_be_unreachable(tmp_path):
    with pytest.raises(StoreUnreachable):
        open_store(f"sqlite:///{tmp_path}/none/cloud.sqlite")


def test_a_server_that_is_not_there_is_said_to_be_unreachable(tmp_path):
    with pytest.raises(StoreUnreachable):
        open_store(f"postgresql://nobody@/none?host={tmp_path}")

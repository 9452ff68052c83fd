"""The triggers that write an entry for every change of a ledgered table, whatever SQL makes it. Made from `ledgered`.

A trigger cannot know who acts: the entry it leaves names nobody until `ledger.sign_off` does, and a transaction that
would commit one of those is refused by the database. A trigger's name carries a digest of its text, so that one that is
there is the right one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import JSON, Boolean, Column, Connection, Float, Integer, Table, text

from ringfence.store.ledgered import LEDGERED, Told
from ringfence.store.tables import metadata

_PREFIX = "ledger_of_"
_ACTIONS = {"INSERT": "create", "UPDATE": "change", "DELETE": "remove"}
_COLUMNS = "action, subject_kind, subject_id, subject_name, related_id, project_id, before, after"
SECRET, SECRET_CHANGED = "(secret)", "(secret, changed)"
_CATALOGUE = {
    "sqlite": "SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger' AND name GLOB 'ledger_of_*'",
    "postgresql": "SELECT tgname, relname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid"
    " WHERE tgname LIKE 'ledger\\_of\\_%' AND tgenabled = 'O'",
}


@dataclass(frozen=True, slots=True)
class _Trigger:
    name: str
    statements: tuple[str, ...]


def install(connection: Connection) -> None:
    """Make the triggers that are missing, and take away those of an earlier text; nothing if all are there."""
    dialect = connection.dialect.name
    present = _present(connection)
    wanted = _wanted(dialect)
    for name, of_table in present.items():
        if name not in wanted:
            on = f" ON {of_table}" if dialect == "postgresql" else ""
            connection.exec_driver_sql(f"DROP TRIGGER {name}{on}")
            if dialect == "postgresql":
                connection.exec_driver_sql(f"DROP FUNCTION IF EXISTS {name}()")
    for trigger in wanted.values():
        if trigger.name not in present:
            for statement in trigger.statements:
                connection.exec_driver_sql(statement.replace("%", "%%"))
    known = set(present.values())
    for name, told in LEDGERED.items():
        if name not in known:
            # What is there before its table is ledgered is told now, so that the entries add up from the first one on.
            table = metadata.tables[name]
            record = _record(table, told, "present", dialect)
            connection.exec_driver_sql(_insert(told, "adopt", "present", "NULL", record, f" FROM {name} AS present"))


def missing(connection: Connection) -> tuple[str, ...]:
    """Tell which triggers are not there, or do nothing: none, unless somebody took them away."""
    return tuple(sorted(set(_wanted(connection.dialect.name)) - set(_present(connection))))


def _present(connection: Connection) -> Mapping[str, str]:
    found = connection.execute(text(_CATALOGUE[connection.dialect.name]))
    return {str(row[0]): str(row[1]) for row in found}


def _wanted(dialect: str) -> Mapping[str, _Trigger]:
    make = _of_sqlite if dialect == "sqlite" else _of_postgresql
    made = [make(metadata.tables[name], told, event) for name, told in LEDGERED.items() for event in _ACTIONS]
    return {trigger.name: trigger for trigger in made}


def _of_sqlite(table: Table, told: Told, event: str) -> _Trigger:
    when = f" WHEN {_differs(table, told, 'sqlite')}" if event == "UPDATE" else ""
    body = f"AFTER {event} ON {table.name}{when}\nBEGIN\n{_entry(table, told, event, 'sqlite')};\nEND"
    name = _name(table, event, body)
    return _Trigger(name, (f"CREATE TRIGGER {name} {body}",))


def _of_postgresql(table: Table, told: Told, event: str) -> _Trigger:
    entry = f"{_entry(table, told, event, 'postgresql')};"
    if event == "UPDATE":
        # Not in the trigger's own condition, which would forbid a migration to touch these columns.
        entry = f"IF {_differs(table, told, 'postgresql')} THEN\n{entry}\nEND IF;"
    body = f"BEGIN\n{entry}\nRETURN NULL;\nEND"
    name = _name(table, event, body)
    return _Trigger(
        name,
        (
            f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$\n{body} $$",
            f"CREATE TRIGGER {name} AFTER {event} ON {table.name} FOR EACH ROW EXECUTE FUNCTION {name}()",
        ),
    )


def _name(table: Table, event: str, body: str) -> str:
    return f"{_PREFIX}{table.name}_{event.lower()}_{hashlib.sha256(body.encode()).hexdigest()[:12]}"


def _entry(table: Table, told: Told, event: str, dialect: str) -> str:
    row = "OLD" if event == "DELETE" else "NEW"
    before = "NULL" if event == "INSERT" else _record(table, told, "OLD", dialect)
    after = "NULL" if event == "DELETE" else _record(table, told, "NEW", dialect, changed=event == "UPDATE")
    return _insert(told, _ACTIONS[event], row, before, after)


def _insert(told: Told, action: str, row: str, before: str, after: str, source: str = "") -> str:
    about = [f"coalesce({sql.format(row=row)}, '')" for sql in (told.id, told.name, told.related, told.project)]
    values = ", ".join([f"'{action}'", f"'{told.kind}'", *about, before, after])
    # All of it is written in this file and in `ledgered`; nothing comes from outside.
    return f"INSERT INTO ledger_pending ({_COLUMNS}) SELECT {values}{source}"


def _record(table: Table, told: Told, row: str, dialect: str, *, changed: bool = False) -> str:
    parts: list[tuple[str, str]] = []
    for column in table.columns:
        if column.name in told.shown:
            parts.append((column.name, _value(column, row, dialect)))
        elif column.name in told.secret:
            parts.append((column.name, _mark(column, dialect, changed=changed)))
    if dialect == "sqlite":
        # Not json_object(): SQLite before 3.41 lets no trigger use it while the schema is not trusted.
        fields = " || ',' || ".join(f"'\"{name}\":' || {value}" for name, value in parts)
        return f"'{{' || {fields} || '}}'"
    listed = ", ".join(f"'{name}', {value}" for name, value in parts)
    return f"json_build_object({listed})::text"


def _value(column: Column[Any], row: str, dialect: str) -> str:
    value = f"{row}.{column.name}"
    if dialect == "postgresql":
        return value
    if isinstance(column.type, Boolean):
        return f"CASE {value} WHEN 1 THEN 'true' WHEN 0 THEN 'false' ELSE 'null' END"
    if isinstance(column.type, JSON | Integer | Float):
        return f"coalesce({value}, 'null')"
    return f"coalesce('\"' || {_escaped(value)} || '\"', 'null')"


def _escaped(value: str) -> str:
    """Escape text for JSON, but for the rarer control characters, which `ledger` reads as they are."""
    for character, instead in (("'\\'", "'\\\\'"), ("'\"'", "'\\\"'"), ("char(10)", "'\\n'"), ("char(13)", "'\\r'")):
        value = f"replace({value}, {character}, {instead})"
    return value


def _mark(column: Column[Any], dialect: str, *, changed: bool) -> str:
    quote = '"' if dialect == "sqlite" else ""
    if not changed:
        return f"'{quote}{SECRET}{quote}'"
    distinct = "IS NOT" if dialect == "sqlite" else "IS DISTINCT FROM"
    differs = f"OLD.{column.name} {distinct} NEW.{column.name}"
    return f"CASE WHEN {differs} THEN '{quote}{SECRET_CHANGED}{quote}' ELSE '{quote}{SECRET}{quote}' END"


def _differs(table: Table, told: Told, dialect: str) -> str:
    watched = [column for column in table.columns if column.name in told.shown | told.secret]
    if dialect == "sqlite":
        return " OR ".join(f"OLD.{column.name} IS NOT NEW.{column.name}" for column in watched)
    # JSON has no equality in PostgreSQL.
    as_text = [f"{column.name}{'::text' if isinstance(column.type, JSON) else ''}" for column in watched]
    return " OR ".join(f"OLD.{column} IS DISTINCT FROM NEW.{column}" for column in as_text)

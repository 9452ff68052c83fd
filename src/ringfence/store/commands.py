"""The mailbox: commands waiting for a host, and what it answered. Who waits for whom is `adapters/mailbox`'s business.

A command is `waiting`, then `fetched` by an agent, then `answered`; or `withdrawn` before any agent had it.
"""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Row, and_, delete, select, update
from sqlalchemy.orm import Session

from ringfence.errors import IdempotencyKeyReused, NotFound
from ringfence.store import rows
from ringfence.store.engine import changed
from ringfence.store.ids import at, new_id, now
from ringfence.store.tables import commands as table
from ringfence.store.tables import host_reports, hosts
from ringfence.wire import Answer, AnyVerb, Command

WAITING, FETCHED, ANSWERED, WITHDRAWN = "waiting", "fetched", "answered", "withdrawn"


def add_command(session: Session, host_id: str, verb: AnyVerb, *, key: str, patience_seconds: float) -> str:
    """Put a command into the host's mailbox and give its id; the same key is the same command, put there once.

    One that was taken back is wanted again. While no agent has had it, it says what was asked last: facts in it, such
    as a zone's mixes, may have changed between two attempts. Another kind of verb is `IdempotencyKeyReused`.
    """
    rows.find_by_id(session, hosts, "host", host_id)
    told = _json(verb)
    fresh = {
        "id": new_id(),
        "host_id": host_id,
        "key": key,
        "verb": told,
        "patience_seconds": patience_seconds,
        "state": WAITING,
        "wanted": True,
        "created_at": now(),
    }
    if rows.insert_unless_there(session, table, fresh):
        changed(session, "command", host_id)
        return str(fresh["id"])
    row = session.execute(select(table).where(_keyed(host_id, key)).with_for_update()).one()
    if row.verb["verb"] != told["verb"]:
        raise IdempotencyKeyReused(key=key)
    if row.state == WITHDRAWN or (row.state == WAITING and row.fetched_at is None):
        again: dict[str, Any] = {"state": WAITING, "wanted": True, "ended_at": None, "verb": told}
    else:
        again = {"wanted": True}
    session.execute(update(table).where(table.c.id == row.id).values(**again))
    if row.state in (WAITING, WITHDRAWN):
        changed(session, "command", host_id)
    return str(row.id)


def has_command(session: Session, host_id: str, *, agent_session: str, begins: bool = True) -> bool:
    """Tell whether `next_command` would give this agent something; or would begin its session, which must not wait."""
    report = session.execute(select(host_reports).where(host_reports.c.host_id == host_id)).one_or_none()
    if report is None or agent_session == report.replaced_session:
        return False
    if agent_session != report.agent_session:
        return begins
    return session.execute(_deliverable(host_id).limit(1)).one_or_none() is not None


def next_command(session: Session, host_id: str, *, agent_session: str, begins: bool = True) -> Command | None:
    """Give the oldest command that waits, and mark it fetched; None if none does.

    `agent_session` is new with each start of an agent. With a new one, commands that the agent before it fetched and
    never answered wait again: it died with them, and each may be done twice. An agent whose session was replaced gets
    nothing any more. `begins` is False for a poll that has waited: it began its session when it came, and if another
    has begun since, its agent is dead.
    """
    if not _in_session(session, host_id, agent_session, begins=begins):
        return None
    # SAFETY: a row that another controller is about to hand out is skipped, so that no command goes out twice.
    query = _deliverable(host_id).limit(1).with_for_update(skip_locked=True)
    row = session.execute(query).one_or_none()
    if row is None:
        return None
    session.execute(update(table).where(table.c.id == row.id).values(state=FETCHED, fetched_at=now()))
    told = {"id": row.id, "key": row.key, "patience_seconds": row.patience_seconds, "verb": row.verb}
    return msgspec.convert(told, Command)


def answer_command(session: Session, host_id: str, answer: Answer) -> bool:
    """Keep the answer; False if the command was withdrawn, or answered before: the first answer stays.

    Raises `NotFound` if it is no command of this host: a host answers only for itself.
    """
    row = session.execute(select(table).where(table.c.id == answer.command_id).with_for_update()).one_or_none()
    if row is None or row.host_id != host_id:
        raise NotFound(kind="command", ref=answer.command_id)
    if row.state not in (WAITING, FETCHED):
        return False
    told = {"state": ANSWERED, "answer": _json(answer), "ended_at": now()}
    session.execute(update(table).where(table.c.id == row.id).values(**told))
    changed(session, "answer", row.id)
    return True


def answer_of(session: Session, host_id: str, key: str) -> Answer | None:
    """Read the answer to the command of this key, if it came."""
    told = session.execute(select(table.c.answer).where(_keyed(host_id, key))).scalar_one_or_none()
    return None if told is None else msgspec.convert(told, Answer)


def withdraw_command(session: Session, host_id: str, key: str) -> bool:
    """Take a command back: it is not handed out from now on. True if no agent ever had it, or there is none.

    False says that an agent had it: it may have done it, or be doing it. Its answer is still kept if it comes.
    """
    row: Row[Any] | None = session.execute(select(table).where(_keyed(host_id, key)).with_for_update()).one_or_none()
    if row is None:
        return True
    if row.state in (ANSWERED, WITHDRAWN):
        return bool(row.state == WITHDRAWN)
    never_had = row.fetched_at is None
    values = {"state": WITHDRAWN, "ended_at": now()} if never_had else {"wanted": False}
    session.execute(update(table).where(table.c.id == row.id).values(**values))
    changed(session, "answer", row.id)
    return never_had


def prune_commands(session: Session, *, older_than_seconds: float = 7 * 86400) -> int:
    """Remove commands that ended that long ago; their keys are forgotten with them."""
    ended = table.c.ended_at < at(seconds_from_now=-older_than_seconds)
    return len(session.execute(delete(table).where(ended).returning(table.c.id)).all())


def _json(message: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(message))


def _keyed(host_id: str, key: str) -> Any:
    return and_(table.c.host_id == host_id, table.c.key == key)


def _deliverable(host_id: str) -> Any:
    waiting = and_(table.c.host_id == host_id, table.c.state == WAITING, table.c.wanted)
    return select(table).where(waiting).order_by(table.c.id)


def _in_session(session: Session, host_id: str, agent_session: str, *, begins: bool) -> bool:
    of_host = host_reports.c.host_id == host_id
    report = session.execute(select(host_reports).where(of_host).with_for_update()).one_or_none()
    if report is None or agent_session == report.replaced_session:
        return False
    if agent_session != report.agent_session:
        if not begins:
            return False
        newer = {"agent_session": agent_session, "replaced_session": report.agent_session}
        session.execute(update(host_reports).where(of_host).values(**newer))
        orphaned = and_(table.c.host_id == host_id, table.c.state == FETCHED)
        session.execute(update(table).where(orphaned).values(state=WAITING))
    return True

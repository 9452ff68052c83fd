"""Attempts at signing in: how many failed lately, by what they are counted. What follows from that is `guessing`'s."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from ringfence.decide.guessing import FORGET_SECONDS, Failures, Heard, NotYet, Tally, judge_attempt
from ringfence.store import rows
from ringfence.store.ids import age_seconds, at, now
from ringfence.store.tables import sign_in_failures as table


def begin_attempt(session: Session, tallies: Mapping[Tally, str]) -> Heard | NotYet:
    """Judge whether the attempt is heard; if so it counts as failed from now on, until `end_attempt` says otherwise.

    Counted first, so that of many attempts sent at once each finds those before it.
    """
    verdict = judge_attempt(failures(session, tallies))
    if verdict:
        for tally in sorted(tallies.values()):
            _count(session, tally)
    return verdict


def failures(session: Session, tallies: Mapping[Tally, str]) -> dict[Tally, Failures]:
    """Read how many failures there are."""
    found = session.execute(select(table).where(table.c.tally.in_(tallies.values())).with_for_update()).all()
    by_name = {row.tally: Failures(count=row.failed, age_seconds=age_seconds(row.last_at)) for row in found}
    return {tally: by_name[name] for tally, name in tallies.items() if name in by_name}


def end_attempt(session: Session, tallies: Mapping[Tally, str]) -> None:
    """Say that the attempt succeeded: whoever it was knows the password, and what they mistyped before is forgiven.

    The tally of a source loses this attempt only: somebody with an account of their own could else guess on at others.
    """
    for tally, name in tallies.items():
        if tally is Tally.PAIR:
            session.execute(delete(table).where(table.c.tally == name))
        else:
            session.execute(update(table).where(table.c.tally == name).values(failed=table.c.failed - 1))


def prune_failures(session: Session) -> int:
    """Remove the tallies that count no more."""
    old = table.c.last_at < at(seconds_from_now=-FORGET_SECONDS)
    return len(session.execute(delete(table).where(old).returning(table.c.tally)).all())


def _count(session: Session, tally: str) -> None:
    moment = now()
    if rows.insert_unless_there(session, table, {"tally": tally, "failed": 1, "last_at": moment}):
        return
    this = table.c.tally == tally
    forgotten = this & (table.c.last_at < at(seconds_from_now=-FORGET_SECONDS))
    begun = session.execute(update(table).where(forgotten).values(failed=1, last_at=moment).returning(table.c.tally))
    if begun.one_or_none() is None:
        session.execute(update(table).where(this).values(failed=table.c.failed + 1, last_at=moment))

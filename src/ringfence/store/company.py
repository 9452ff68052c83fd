"""Try the company constraint on the live database: attempts that must be refused, each undone whatever comes of it."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import and_, exists, insert, or_, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, aliased

from ringfence.store.tables import claims, hosts, vms, zone_mixes, zones
from ringfence.store.translation import in_our_words, rule_broken

MOST_TRIALS = 20


def company_refusals(session: Session) -> Mapping[str, str]:
    """Try to put a VM on a host beside a zone that does not mix with its own; at most `MOST_TRIALS` pairs of zones.

    Gives for each attempt, in words, the rule that refused it, or "" where the database let it pass. Empty where no
    two zones apart have VMs. An attempt refused for another reason (a full or cordoned host) shows nothing, and is left
    out. Every attempt is rolled back before the next.
    """
    refusals: dict[str, str] = {}
    for vm, host, own, other in _attempts(session):
        trial = session.begin_nested()
        try:
            session.execute(insert(claims).values(**vm, host_id=host["id"]))
        except DBAPIError as error:
            rule = rule_broken(error)
            if rule is None:
                raise in_our_words(error) from error
            if rule == "zone-forbids":
                refusals[f"{own} beside {other}"] = rule
        else:
            refusals[f"{own} beside {other}"] = ""
        finally:
            # SAFETY: what was tried never stays, refused or not.
            trial.rollback()
    return refusals


def _attempts(session: Session) -> list[tuple[dict[str, object], dict[str, object], str, str]]:
    """One VM and one host for each pair of zones apart, of those that have VMs with a place."""
    theirs, own_zone, other_zone = aliased(claims), aliased(zones), aliased(zones)
    mixes = exists().where(
        or_(
            and_(zone_mixes.c.zone_a == vms.c.zone_id, zone_mixes.c.zone_b == theirs.c.zone_id),
            and_(zone_mixes.c.zone_a == theirs.c.zone_id, zone_mixes.c.zone_b == vms.c.zone_id),
        )
    )
    found = session.execute(
        select(
            vms.c.id,
            vms.c.zone_id,
            hosts.c.id.label("host_id"),
            own_zone.c.name.label("own"),
            other_zone.c.name.label("other"),
        )
        .select_from(vms)
        .join(theirs, theirs.c.zone_id != vms.c.zone_id)
        .join(hosts, hosts.c.id == theirs.c.host_id)
        .join(own_zone, own_zone.c.id == vms.c.zone_id)
        .join(other_zone, other_zone.c.id == theirs.c.zone_id)
        .where(~mixes, hosts.c.state == "ready")
        .order_by(own_zone.c.name, other_zone.c.name, vms.c.id, hosts.c.id)
    )
    attempts: dict[tuple[str, str], tuple[dict[str, object], dict[str, object], str, str]] = {}
    for row in found:
        # Nothing is taken of the host's capacity: only the zone can be what refuses it.
        vm = {"vm_id": row.id, "zone_id": row.zone_id, "vcpus": 0, "memory_mib": 0, "disk_bytes": 0}
        attempts.setdefault((row.own, row.other), (vm, {"id": row.host_id}, row.own, row.other))
        if len(attempts) == MOST_TRIALS:
            break
    return list(attempts.values())

"""The trial of the company constraint, as `ringfence verify` runs it: it tells the truth, and leaves nothing."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from ringfence.store import zones
from ringfence.store.records import StoredRecords

pytestmark = pytest.mark.store
SWITCHES = {
    "sqlite": ("DROP TRIGGER claims_keep_company", "SELECT 1"),  # each SQLite test has a file of its own
    "postgresql": (
        "ALTER TABLE claims DISABLE TRIGGER claims_keep_company",
        "ALTER TABLE claims ENABLE TRIGGER claims_keep_company",
    ),
}


@pytest.fixture
def records(cloud):
    records = StoredRecords(cloud.store)
    one, two = cloud.add_host("h1"), cloud.add_host("h2")
    records.claim(cloud.add_vm("r").id, one, reason="")
    records.claim(cloud.add_vm("b", zone="blue").id, two, reason="")
    return records


def claimed(store) -> list[object]:
    with store.reading() as session:
        return list(session.execute(text("SELECT * FROM claims ORDER BY vm_id")).all())


def test_every_pair_apart_is_tried_and_refused_and_nothing_of_it_stays(cloud, records):
    before = claimed(cloud.store)
    assert records.company_refusals() == {"red beside blue": "zone-forbids", "blue beside red": "zone-forbids"}
    assert claimed(cloud.store) == before


def test_zones_that_mix_are_not_tried(cloud, records):
    with cloud.store.transaction() as session:
        zones.change_zone(session, "red", mixes_with=["blue"])
    assert records.company_refusals() == {}


def test_a_constraint_that_is_gone_is_noticed(cloud, records, dialect):
    before = claimed(cloud.store)
    off, on = SWITCHES[dialect]
    with cloud.store.transaction() as session:
        session.execute(text(off))
    try:
        assert records.company_refusals() == {"red beside blue": "", "blue beside red": ""}
        assert claimed(cloud.store) == before
    finally:
        with cloud.store.transaction() as session:
            session.execute(text(on))

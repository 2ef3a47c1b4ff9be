"""Fingerprints of what came in: made once, made anew when scans come, searched and compared."""

from __future__ import annotations

import numpy as np
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from spectralid.reachback.errors import NotFoundError
from spectralid.reachback.intelligence import linkage_archive, links
from spectralid.reachback.intelligence.linkage_archive import Fingerprints, catch_up, is_behind
from spectralid.reachback.intelligence.tables import case_digests, fingerprints
from spectralid.reachback.store.tables import audit, case_links, metadata
from tests.reachback.mixtures import scan

RECIPE = {1: 0.5, 2: 0.3, 3: 0.2}
OTHER = {1: 0.25, 2: 0.6, 3: 0.15}


def seize(desk, seizure, parts, seed, *, scans=2, tablet=None, **how):
    tablet = tablet or desk.tablet
    for k in range(scans):
        case_id = desk.ingest(scan(tablet, seizure, parts, 100 * seed + k, **how)).case
    return case_id


def archive(desk):
    catch_up(desk.db)
    out = Fingerprints()
    out.refresh(desk.db)
    return out


def rows(desk):
    """Rows of the table by case and item."""
    with desk.db.read() as tx:
        found = tx.execute(sa.select(fingerprints)).mappings().all()
    return {(row["case_id"], row["item_ref"]): row for row in found}


def test_the_migration_makes_the_tables_that_the_code_uses(db):
    mine = {"case_digests", "fingerprints", "alerts", "alert_cases"}

    def own(thing, name, kind, *_):
        return name in mine if kind == "table" else thing.table.name in mine

    with db.read() as tx:
        context = MigrationContext.configure(tx, opts={"include_object": own})
        assert compare_metadata(context, metadata) == []
        assert mine <= set(sa.inspect(tx).get_table_names())


def test_the_same_mixture_is_found_before_others(desk):
    one = seize(desk, "S-1", RECIPE, 1)
    same = seize(desk, "S-2", RECIPE, 2, tablet=desk.other, serial="U-2", how={"shift": 1.5})
    other = seize(desk, "S-3", OTHER, 3)
    unrelated = seize(desk, "S-4", {11: 0.5, 12: 0.5}, 4)
    found = archive(desk).similar(one)
    assert [row.other_id for row in found][:2] == [same, other]
    assert found[0].log10_ratio > 0 > found[1].log10_ratio
    assert (found[0].same_unit, found[1].same_unit) == (False, True)
    assert unrelated not in [row.other_id for row in found if row.log10_substances > 0]
    back = archive(desk).similar(same)[0]
    assert (back.other_id, back.log10_ratio) == (one, pytest.approx(found[0].log10_ratio))


def test_what_was_read_is_not_read_again_and_what_is_new_is(desk):
    one, other = seize(desk, "S-1", RECIPE, 1), seize(desk, "S-2", OTHER, 2)
    assert is_behind(desk.db)
    assert catch_up(desk.db) == 2
    assert not is_behind(desk.db)
    assert catch_up(desk.db) == 0
    before = rows(desk)
    memory = Fingerprints()
    memory.refresh(desk.db)
    case_id = seize(desk, "S-2", OTHER, 3, scans=1)
    assert catch_up(desk.db) == 1
    after = rows(desk)
    assert after[one, "I-1"] == before[one, "I-1"]
    assert after[other, "I-1"]["n"] > max(row["n"] for row in before.values())
    assert after[other, "I-1"]["scans"] == 3
    memory.refresh(desk.db)
    assert [one.fingerprint.scans for one in memory.entries(case_id)] == [3]
    assert len(memory.entries()) == 2


def test_it_keeps_up_in_small_steps(desk, monkeypatch):
    monkeypatch.setattr(linkage_archive, "_AT_ONCE", 2)
    for number in range(3):
        seize(desk, f"S-{number}", RECIPE, number, scans=1)
    assert catch_up(desk.db, at_most=1) == 2
    assert catch_up(desk.db) == 1
    assert len(rows(desk)) == 3


def test_items_of_a_seizure_have_fingerprints_of_their_own(desk):
    seize(desk, "S-1", RECIPE, 1, item="bag 1")
    case_id = seize(desk, "S-1", {11: 1.0}, 2, item="bag 2", scans=1)
    other = seize(desk, "S-2", RECIPE, 3, item="only")
    found = archive(desk).between(case_id, other)
    scans = {key: row["scans"] for key, row in rows(desk).items()}
    assert scans == {(case_id, "bag 1"): 2, (case_id, "bag 2"): 1, (other, "only"): 2}
    assert (found.item_ref, found.other_item, found.pairs) == ("bag 1", "only", 2)
    memory = archive(desk)
    first = next(one for one in memory.entries(case_id) if one.item_ref == "bag 1")
    single = memory.compare(first, memory.entries(other)[0])
    assert found.log10_ratio == pytest.approx(single.mixture - np.log10(2), abs=0.01)


def test_a_pure_substance_is_no_evidence_for_one_source(desk):
    one = seize(desk, "S-1", {5: 1.0}, 1, substances=("ketamine",))
    other = seize(desk, "S-2", {5: 1.0}, 2, substances=("ketamine",))
    memory = archive(desk)
    found = memory.between(one, other)
    assert found.log10_ratio == 0.0
    assert found.words.startswith("no support")
    assert found.log10_substances > 0
    different = seize(desk, "S-3", {5: 0.5, 6: 0.5}, 3, substances=("ketamine",))
    assert archive(desk).between(one, different).log10_ratio < 0


def test_what_cannot_be_read_is_passed_over(desk):
    case_id = desk.scan("S-1")  # three points
    assert catch_up(desk.db) == 1
    assert archive(desk).entries(case_id) == ()
    assert archive(desk).similar(case_id) == ()


def test_how_it_came_is_read_from_the_opening(desk):
    desk.ingest(desk.tablet.seizure("S-1", mode="mail"))
    seize(desk, "S-1", RECIPE, 1)
    seize(desk, "S-2", RECIPE, 2)
    desk.ingest(desk.tablet.seizure("S-3", mode="brought by Mr Smith"))
    catch_up(desk.db)
    with desk.db.read() as tx:
        modes = sorted(tx.execute(sa.select(case_digests.c.mode)).scalars())
    assert modes == ["", "mail", "other"]


def test_unknown_is_what_no_scan_of_an_item_matched(desk):
    one = seize(desk, "S-1", RECIPE, 1, decision="no_match", substances=())
    other = seize(desk, "S-2", RECIPE, 2, decision="no_match", substances=())
    seize(desk, "S-2", RECIPE, 3)
    catch_up(desk.db)
    assert {key[0]: row["unknown"] for key, row in rows(desk).items()} == {one: True, other: False}


def test_a_link_is_made_by_a_person_and_carries_what_it_rests_on(desk):
    one, other = seize(desk, "S-1", RECIPE, 1), seize(desk, "S-2", RECIPE, 2)
    far = seize(desk, "S-3", OTHER, 3)
    memory = archive(desk)
    found = links.similar(desk.db, memory, one, sites=None, limit=5)
    assert (found.searched, [row["case_id"] for row in found.rows]) == (2, [other, far])
    assert found.rows[0]["linked"] == []
    with desk.db.read() as tx:
        assert tx.execute(sa.select(case_links)).all() == []
    new, fact = links.accept(desk.db, memory, one, other, by="ada", now=desk.time)
    assert new
    assert '"log10_ratio"' in fact
    assert links.accept(desk.db, memory, other, one, by="ben", now=desk.time)[0] is False
    with desk.db.read() as tx:
        row = tx.execute(sa.select(case_links)).mappings().one()
        said = tx.execute(sa.select(audit.c.actor).where(audit.c.action == "link")).scalars().all()
    assert (row["why"], row["by"], row["fact"]) == ("fingerprint", "ada", fact)
    assert said == ["ada"]
    again = links.similar(desk.db, memory, one, sites=None, limit=5)
    assert again.rows[0]["linked"] == ["fingerprint"]


def test_only_cases_of_ones_own_places_are_shown(desk):
    south = desk.enrol("tablet-9", site="south")
    one = seize(desk, "S-1", RECIPE, 1)
    seize(desk, "S-2", RECIPE, 2, tablet=south)
    memory = archive(desk)
    assert links.similar(desk.db, memory, one, sites={"north"}, limit=5).rows == ()
    assert links.similar(desk.db, memory, one, sites={"north"}, limit=5).searched == 0
    assert len(links.similar(desk.db, memory, one, sites=None, limit=5).rows) == 1


def test_what_cannot_be_compared_is_not_linked_by_fingerprint(desk):
    one, other = seize(desk, "S-1", RECIPE, 1), desk.scan("S-2")
    with pytest.raises(NotFoundError, match="compared"):
        links.accept(desk.db, archive(desk), one, other, by="ada", now=desk.time)
    with pytest.raises(NotFoundError):
        links.accept(desk.db, archive(desk), one, "C-0", by="ada", now=desk.time)

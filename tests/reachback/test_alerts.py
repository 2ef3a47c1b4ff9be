"""Alerts: raised when something is new, once, and rarely when nothing is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import sqlalchemy as sa

from spectralid.casework.clock import to_text
from spectralid.proportion import clopper_pearson
from spectralid.reachback.classification import classify
from spectralid.reachback.errors import ConflictError, DecisionError, NotFoundError
from spectralid.reachback.intelligence import alerts, trends
from spectralid.reachback.intelligence.alerts import FALSE_ALARMS, WEEKS, chance, increases, significant
from spectralid.reachback.intelligence.linkage_archive import Fingerprints
from spectralid.reachback.intelligence.trends import Finding, Seizure
from spectralid.reachback.store.tables import audit, case_links
from tests.reachback.mixtures import scan

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)  # a Wednesday
MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
SLUGS = ("fentanyl", "cocaine", "methamphetamine", "mdma", "ketamine", "isotonitazene", "heroin", "lsd")
FOUND = {slug: (Finding(classify(slug), "field"),) for slug in SLUGS}
SITES, MODES = ("north", "south", "airport"), ("mail", "land")


# --- the test of an increase -------------------------------------------------------------------------------


def test_chance_is_the_exact_binomial_one():
    from scipy.stats import binom

    assert chance(7, 10, 20, 120) == pytest.approx(binom.sf(6, 27, 10 / 130))
    assert chance(0, 10, 20, 120) == 1.0
    assert chance(3, 10, 0, 120) == pytest.approx((10 / 130) ** 3)
    assert chance(9, 10, 20, 120, dispersion=2.0) > chance(9, 10, 20, 120)


def test_more_scanning_alone_is_no_increase():
    assert chance(20, 200, 60, 600) > 0.4
    assert chance(20, 50, 60, 600) < 1e-4


def test_several_tests_are_judged_together():
    assert significant([0.03] * 5, level=0.05) == [True] * 5
    assert significant([0.03, 0.9, 0.9, 0.9, 0.9], level=0.05) == [False] * 5
    assert significant([0.004, 0.9, 0.012, 0.9, 0.9], level=0.05) == [True, False, True, False, False]
    assert significant([]) == []


def stream(rng, *, weekly=60.0, burst=0.0, raised=None):
    """Fourteen weeks of seizures of which nothing changes, but for `raised` (slug, factor) in the last."""
    shares = np.array([0.12, 0.10, 0.08, 0.04, 0.04, 0.01, 0.05, 0.02])
    out = []
    for week in range(WEEKS + 2):
        p = shares * rng.gamma(1 / burst, burst, shares.size) if burst else shares.copy()
        if raised and week == 0:
            p[SLUGS.index(raised[0])] *= raised[1]
        n = int(rng.poisson(weekly))
        utc = to_text(MONDAY - timedelta(weeks=week + 1))
        edges = np.cumsum(p)
        for number, (u, site, mode) in enumerate(
            zip(rng.random(n), rng.integers(3, size=n), rng.integers(2, size=n), strict=True)
        ):
            k = int(np.searchsorted(edges, u))
            findings = FOUND[SLUGS[k]] if k < len(SLUGS) else ()
            out.append(Seizure(f"C-{week}-{number}", utc, SITES[site], MODES[mode], "field", False, findings))
    return out


def test_the_rate_of_false_alarms_is_not_above_the_stated_one():
    """Clean streams of eight classes, everywhere, at three places and by two modes: 48 tests a week.

    By the exact interval, the rate is not above the stated one; counts being whole numbers, it lies below.
    """
    rng = np.random.default_rng(11)
    runs = 80
    false = sum(bool(increases(stream(rng), now=NOW)) for _ in range(runs))
    assert clopper_pearson(false, runs, confidence=0.99)[0] <= FALSE_ALARMS
    assert false / runs <= 2.5 * FALSE_ALARMS


def test_streams_that_vary_more_than_by_chance_do_not_alarm_much_more():
    """Shares that wander from week to week (30 %): the dispersion of the weeks before is allowed for."""
    rng = np.random.default_rng(12)
    runs = 30
    false = sum(bool(increases(stream(rng, burst=0.09), now=NOW)) for _ in range(runs))
    assert false / runs <= 0.15


@pytest.mark.parametrize(("factor", "least"), [(3.0, 10), (4.0, 17)])
def test_an_increase_is_found(factor, least):
    """Seven seizures a week that become twenty-one, or twenty-eight, in one of 48 streams."""
    rng = np.random.default_rng(13)
    found = [increases(stream(rng, raised=("fentanyl", factor)), now=NOW) for _ in range(18)]
    assert sum(any(one.key == "opioid / fentanyl-related" for one in each) for each in found) >= least
    one = next(one for each in found for one in each)
    assert one.week == "2026-W47"
    assert one.p < FALSE_ALARMS


def test_what_has_no_history_has_not_grown():
    rng = np.random.default_rng(14)
    late = [one for one in stream(rng) if one.utc >= to_text(MONDAY - timedelta(weeks=4))]
    assert increases(late, now=NOW) == ()


# --- on record ---------------------------------------------------------------------------------------------

RECIPE = {1: 0.5, 2: 0.3, 3: 0.2}


def run(desk, **options):
    return alerts.run(desk.db, Fingerprints(), now=desk.time, **options)


def old(desk):
    """A record that began long ago."""
    desk.scan("S-0", substances=("cocaine",))
    desk.passes(days=40)


def test_a_first_sighting_is_said_once_and_is_in_the_audit_log(desk):
    old(desk)
    assert run(desk) == ()
    case_id = desk.scan("S-1", substances=("acetylfentanyl", "lactose"))
    desk.passes(hours=1)
    raised = run(desk)
    assert [(one.kind, one.subject) for one in raised] == [
        ("first_sighting", "substance:acetylfentanyl"),
        ("first_sighting", "class:opioid / fentanyl-related"),
    ]
    assert "presumptive" in raised[0].headline
    assert "analogue of fentanyl" in raised[0].headline
    assert raised[0].facts["dangerous"] is True
    assert raised[0].case_ids == (case_id,)
    desk.scan("S-2", substances=("acetylfentanyl",))
    desk.passes(hours=1)
    assert run(desk) == ()
    with desk.db.read() as tx:
        said = tx.execute(sa.select(audit.c.subject).where(audit.c.action == "alert")).scalars().all()
    assert said == [one.alert_id for one in raised]


def test_a_young_record_learns_before_it_speaks(desk):
    desk.scan("S-1", substances=("cocaine",))
    desk.passes(days=1)
    desk.scan("S-2", substances=("fentanyl",))
    desk.passes(days=1)
    assert run(desk) == ()


def test_an_alert_is_acknowledged_by_one_person(desk):
    old(desk)
    desk.scan("S-1", substances=("acetylfentanyl",))
    desk.passes(hours=1)
    first, second = run(desk)
    done = alerts.acknowledge(desk.db, first.alert_id, by="ada", note="told the laboratory", now=desk.time)
    assert (done.acknowledged_by, done.note) == ("ada", "told the laboratory")
    same = alerts.acknowledge(desk.db, first.alert_id, by="ada", note="told the laboratory", now=desk.time)
    assert same == done
    with pytest.raises(ConflictError, match="ada"):
        alerts.acknowledge(desk.db, first.alert_id, by="ben", note="", now=desk.time)
    with pytest.raises(NotFoundError):
        alerts.acknowledge(desk.db, "A-0", by="ben", note="", now=desk.time)
    with pytest.raises(DecisionError):
        alerts.acknowledge(desk.db, second.alert_id, by="ben", note="x" * 2001, now=desk.time)
    assert [one.alert_id for one in alerts.listed(desk.db, open_only=True)] == [second.alert_id]
    assert len(alerts.listed(desk.db)) == 2
    assert alerts.listed(desk.db, kind="increase") == ()
    assert alerts.listed(desk.db, sites={"south"}) == ()
    assert len(alerts.listed(desk.db, sites={"north"})) == 2
    with pytest.raises(NotFoundError):
        alerts.see(desk.db, first.alert_id, sites={"south"})
    alerts.see(desk.db, first.alert_id, sites={"north"})
    with desk.db.read() as tx:
        said = tx.execute(sa.select(audit.c.actor).where(audit.c.action == "acknowledge")).scalars().all()
    assert said == ["ada"]


def test_an_increase_is_said_for_the_whole_week_and_not_again_for_four(desk, monkeypatch):
    rng = np.random.default_rng(15)
    seizures = stream(rng, raised=("fentanyl", 5.0))
    case_id = desk.scan("S-1")
    seizures = [Seizure(case_id, s.utc, s.site, s.mode, s.basis, s.no_match, s.findings) for s in seizures]
    monkeypatch.setattr(trends, "collect", lambda *_, **__: tuple(sorted(seizures, key=lambda s: s.utc)))
    desk.time = NOW
    raised = [one for one in run(desk) if one.kind == "increase"]
    assert {one.facts["key"] for one in raised} == {"opioid / fentanyl-related"}
    everywhere = next(one for one in raised if one.facts["split"] == "")
    assert "2026-W47" in everywhere.headline
    assert everywhere.facts["count"] > 3 * everywhere.facts["before"] / WEEKS
    monkeypatch.setattr(alerts, "increases", lambda *_, now, **__: _again(everywhere, now))
    desk.passes(weeks=1)
    assert [one for one in run(desk) if one.kind == "increase"] == []
    desk.passes(weeks=4)
    assert len([one for one in run(desk) if one.kind == "increase"]) == 1


def _again(alert, now):
    names = {name: alert.facts[name] for name in alerts.Increase.__slots__}
    return (
        alerts.Increase(**{**names, "week": trends.period_of(to_text(now - timedelta(weeks=1)), "week")}),
    )


def unknown(desk, seizure, parts, seed, **how):
    for k in range(2):
        raw = scan(desk.tablet, seizure, parts, 100 * seed + k, decision="no_match", substances=(), **how)
        case_id = desk.ingest(raw).case
    return case_id


def test_an_unknown_substance_seen_twice_is_said_once(desk):
    old(desk)
    one = unknown(desk, "S-1", {21: 1.0}, 1)
    desk.passes(hours=2)
    assert run(desk) == ()
    unknown(desk, "S-2", {33: 1.0}, 2)
    desk.passes(hours=2)
    assert run(desk) == ()
    third = unknown(desk, "S-3", {21: 1.0}, 3)
    desk.passes(hours=2)
    (raised,) = run(desk, link_from=None)
    assert (raised.kind, set(raised.case_ids)) == ("unknown_cluster", {one, third})
    unknown(desk, "S-4", {21: 1.0}, 4)
    desk.passes(hours=2)
    assert run(desk, link_from=None) == ()


def test_a_link_is_proposed_and_not_made(desk):
    old(desk)
    for number, parts in enumerate((RECIPE, {1: 0.2, 2: 0.7, 3: 0.1}, RECIPE), 1):
        for k in range(3):
            desk.ingest(scan(desk.tablet, f"S-{number}", parts, 100 * number + k))
        desk.passes(hours=1)
    raised = run(desk)
    (link,) = [one for one in raised if one.kind == "linked_seizures"]
    assert len(link.case_ids) == 2
    assert link.facts["log10_ratio"] >= alerts.LINK
    assert "another mixture" in link.headline
    with desk.db.read() as tx:
        assert tx.execute(sa.select(case_links)).all() == []
    assert run(desk) == ()

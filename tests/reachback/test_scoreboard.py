"""Presumptive against laboratory, and how long everything takes."""

import csv
import io
import random
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectralid.proportion import clopper_pearson
from spectralid.reachback.lab import ages, laboratory, scoreboard
from spectralid.reachback.lab.reports import Substance
from spectralid.reachback.lab.scoreboard import Claim, compare
from tests.reachback.desk import START, says

DAY = timedelta(days=1)


def board(desk, **options):
    return scoreboard.scoreboard(desk.db, since=START - DAY, until=START + 30 * DAY, **options)


def lab(desk, case_id, result, *slugs, sample=None, **more):
    return laboratory.record(
        desk.db, desk.keys, case_id, result=result, substances=slugs, laboratory="Lab",
        sample_ref=sample or f"for {case_id}", by="lab-ann", now=desk.time, **more,
    )  # fmt: skip


def answered(desk, seizure, *substances, decided=None, tablet=None, **body):
    """A case that was answered, by two where it takes two."""
    case_id = desk.scan(seizure, tablet, substances=substances, **body)
    outcome = desk.decide(desk.lease(case_id), says(*(decided or substances)))
    if outcome.state == "SECOND_REVIEW":
        desk.review(desk.lease(case_id, "bea", senior=True))
    return case_id


class Said:
    """A result of a laboratory, as far as a comparison looks at it."""

    def __init__(self, result, *slugs):
        self.result = result
        self.substances = tuple(map(Substance, slugs))


@pytest.mark.parametrize(
    ("named", "families", "result", "found", "outcome"),
    [
        (["fentanyl"], [], "confirmed", ["fentanyl"], "agree"),
        (["fentanyl", "lactose"], ["fentanyl-related"], "confirmed", ["fentanyl"], "agree"),
        (["fentanyl"], [], "confirmed", [], "agree"),
        (["fentanyl"], [], "refuted", ["carfentanil", "fentanyl"], "same_family"),
        ([], ["fentanyl-related"], "confirmed", ["para-fluorofentanyl"], "same_family"),
        (["fentanyl"], [], "refuted", ["para-fluorofentanyl"], "same_family"),
        (["cocaine"], [], "refuted", ["cocaine", "fentanyl"], "incomplete"),
        (["cocaine", "fentanyl"], [], "refuted", ["cocaine"], "excess"),
        (["cocaine"], [], "refuted", ["fentanyl"], "wrong_substance"),
        (["cocaine"], [], "refuted", [], "false_positive"),
        (["cocaine"], [], "refuted", ["lactose"], "false_positive"),
        (["lactose"], [], "refuted", ["fentanyl"], "false_negative"),
        (["lactose"], ["sugar or polyol"], "confirmed", ["lactose"], "true_negative"),
        (["lactose"], [], "refuted", [], None),
        (["cocaine"], [], "inconclusive", ["cocaine"], None),
    ],
)  # fmt: skip
def test_what_a_comparison_comes_to(named, families, result, found, outcome):
    compared = compare(Claim.of(named, families), Said(result, *found))
    assert (compared and compared[0]) == outcome


slugs = st.sets(st.sampled_from(["fentanyl", "para-fluorofentanyl", "cocaine", "mdma", "lactose", "x-17"]))


@given(slugs, slugs)
def test_exchanging_field_and_laboratory_exchanges_the_errors(one, other):
    left, right = Claim.of(one), Claim.of(other)
    mirror = {
        "false_positive": "false_negative", "false_negative": "false_positive",
        "wrong_substance": "wrong_substance", "agree": "agree", "same_family": "same_family",
        "true_negative": "true_negative",
    }  # fmt: skip
    there, back = scoreboard._outcome(left, right), scoreboard._outcome(right, left)
    if there in mirror:
        assert back == mirror[there]
    else:
        # Where each says more than the other, either name would do for it; the missed one comes first.
        assert {there, back} <= {"incomplete", "excess", "same_family"}
        assert "incomplete" in (there, back)
    assert (there == "agree") == (left == right and left.positive)


def test_counts_are_those_of_what_happened(desk):
    right = [answered(desk, f"S-{i}", "cocaine") for i in range(3)]
    # A substance of which the field said nothing of interest.
    missed = desk.answered("S-m")
    open_ = desk.scan("S-o", substances=("cocaine",))
    for case_id in right[:2]:
        lab(desk, case_id, "confirmed", "cocaine")
    lab(desk, right[2], "refuted", "caffeine")
    lab(desk, missed, "refuted", "fentanyl")
    lab(desk, open_, "inconclusive")
    found = board(desk)
    field = found.find("all", "all")
    assert (field.items, field.verified, field.inconclusive) == (5, 4, 1)
    assert field.outcomes == {"agree": 2, "wrong_substance": 1, "false_negative": 1}
    assert (field.confirmed.hits, field.confirmed.of) == (2, 3)
    assert (field.confirmed.low, field.confirmed.high) == clopper_pearson(2, 3)
    assert field.false_positive is None
    assert (field.false_negative.hits, field.false_negative.of) == (2, 4)
    cocaine = found.find("substance", "cocaine")
    assert (cocaine.items, cocaine.outcomes) == (4, {"both": 2, "said_only": 1, "found_only": 0})
    family = found.find("family", "opioid / fentanyl-related")
    assert (family.items, family.outcomes["found_only"]) == (0, 1)
    assert found.find("device", "tablet-1").verified == 4
    assert found.find("library", "test 1").verified == 4
    assert found.find("technique", "raman").verified == 4
    assert found.find("site", "north").verified == 4
    assert found.find("engine", "0").verified == 4
    assert board(desk, sites={"south"}).lines == ()


def test_field_and_chemist_are_counted_apart(desk):
    case_id = answered(desk, "S-1", "cocaine", decided=("fentanyl",))
    lab(desk, case_id, "confirmed", "fentanyl")
    found = board(desk)
    assert found.find("all", "all", "field").outcomes == {"wrong_substance": 1}
    assert found.find("all", "all", "chemist").outcomes == {"agree": 1}
    # What a chemist says with the laboratory's result before his eyes is no test of the chemist.
    other = answered(desk, "S-2", "cocaine")
    lab(desk, other, "refuted", "fentanyl")
    desk.passes(minutes=5)
    desk.decide(desk.lease(other), says("fentanyl"))
    desk.review(desk.lease(other, "bea", senior=True))
    assert board(desk).find("all", "all", "chemist").outcomes == {"agree": 1, "wrong_substance": 1}


def test_the_newest_scan_of_an_item_is_what_the_field_said(desk):
    case_id = desk.scan(substances=("cocaine",))
    desk.scan(substances=("mdma",), result={"library": {"name": "test", "version": "2"}})
    desk.scan(substances=("cocaine",), instrument={"technique": "ftir"})
    lab(desk, case_id, "refuted", "mdma")
    found = board(desk)
    assert found.find("all", "all").outcomes == {"wrong_substance": 1}
    assert found.find("technique", "raman").outcomes == {"agree": 1}
    assert found.find("technique", "ftir").outcomes == {"wrong_substance": 1}
    assert found.find("library", "test 2") is None


def test_a_refuting_correction_takes_the_place_of_what_it_corrects(desk):
    case_id = answered(desk, "S-1", "cocaine")
    lab(desk, case_id, "confirmed", report_ref="1")
    assert board(desk).find("all", "all").outcomes == {"agree": 1}
    lab(desk, case_id, "refuted", report_ref="2", corrects="1")
    assert board(desk).find("all", "all").outcomes == {"false_positive": 1}


def test_weighting_brings_back_what_choosing_the_suspicious_took_away():
    """A population with known rates, of which mostly positives are verified, at random within strata."""
    chance = random.Random(7)
    whole, tally = [], scoreboard._Tally()
    for _ in range(4000):
        truth = chance.random() < 0.2
        said = truth if chance.random() < 0.9 else not truth
        whole.append((said, truth))
        claim = Claim(frozenset({"cocaine"} if said else ()))
        sent = chance.random() < (0.8 if said else 0.05)
        word = Said("confirmed" if truth else "refuted", "cocaine" if truth else "lactose")
        tally.add(claim, "escalated" if said else "routine", word if sent else None)
    line = tally.line("all", "all", "field")
    false_negative = sum(t and not s for s, t in whole) / sum(t for _, t in whole)
    false_positive = sum(s and not t for s, t in whole) / sum(not t for _, t in whole)
    assert line.weighted_false_negative.low < false_negative < line.weighted_false_negative.high
    assert line.weighted_false_positive.low < false_positive < line.weighted_false_positive.high
    # Among the verified alone both are far off.
    assert line.false_negative.high < false_negative
    assert line.false_positive.low > false_positive
    assert line.unseen == 0


def test_samples_drawn_for_quality_assurance_have_rates_of_their_own(desk):
    for i, (why, result) in enumerate(
        [("qa_sample", "confirmed"), ("qa_sample", "refuted"), ("forced", "confirmed")]
    ):
        case_id = answered(desk, f"S-{i}", "cocaine", escalation={"why": [why]})
        lab(desk, case_id, result, *(["lactose"] if result == "refuted" else []))
    desk.scan("S-9", substances=("cocaine",), escalation={"why": ["uncertain"]})
    desk.scan("S-10", escalation={"why": ["uncertain"]})
    found = board(desk)
    line = found.find("all", "all")
    assert found.sampling == {"escalated": 1, "qa_sample": 2}
    assert (line.confirmed.hits, line.confirmed.of) == (2, 3)
    assert (line.qa_confirmed.hits, line.qa_confirmed.of) == (1, 2)
    # Two of quality assurance stand for themselves, one for itself and another that nobody verified.
    assert line.weighted_confirmed.share == pytest.approx(3 / 4)
    assert line.unseen == pytest.approx(1 / 5)
    assert "not for what was scanned" in found.caveat


def test_the_board_goes_out_as_table_and_figure(desk):
    case_id = answered(desk, "S-1", "cocaine")
    lab(desk, case_id, "confirmed", "cocaine")
    desk.scan("S-2", desk.other, substances=("=cmd",))
    found = board(desk)
    rows = list(csv.DictReader(io.StringIO(found.to_csv().decode())))
    assert len(rows) == len(found.lines)
    first = rows[0]
    assert (first["by"], first["agree"], first["confirmed_hits"], first["confirmed_of"]) == (
        "all",
        "1",
        "1",
        "1",
    )
    assert float(first["confirmed_low"]) == pytest.approx(0.025)
    assert "'=cmd" in {row["key"] for row in rows}
    assert found.to_dict()["lines"][0]["confirmed"]["hits"] == 1
    drawn = scoreboard.figure(found)
    (axes,) = drawn.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["tablet-1  (n = 1)", "all  (n = 1)"]


def span(found, name):
    return next(one for one in found.spans if one.name == name)


def test_every_age_is_measured(desk):
    case_id = desk.scan(result={})
    desk.passes(minutes=30)
    desk.decide(desk.lease(case_id))
    desk.passes(hours=2)
    laboratory.send(desk.db, desk.keys, case_id, laboratory="F", sample_ref="1", by="x", now=desk.time)
    desk.passes(hours=10)
    laboratory.record(
        desk.db, desk.keys, case_id, result="confirmed", laboratory="F", sample_ref="1", by="lab",
        measured_utc=desk.time - timedelta(hours=1), now=desk.time,
    )  # fmt: skip
    desk.passes(hours=1)
    laboratory.send(
        desk.db, desk.keys, case_id, laboratory="R", sample_ref="1", stage="regional", by="x", now=desk.time
    )
    desk.passes(hours=48)
    laboratory.record(
        desk.db, desk.keys, case_id, result="confirmed", laboratory="R", sample_ref="1", stage="regional",
        by="lab", now=desk.time,
    )  # fmt: skip
    desk.scan("S-2")
    found = ages.ages(desk.db, since=START - DAY, until=START + 9 * DAY)
    assert found.cases == 2
    hours = {one.name: one.p50_h for one in found.spans if one.n}
    assert hours == {
        "scan to server": 0.0,
        "server to first answer": 0.5,
        "first answer to forward laboratory": 2.0,
        "forward laboratory to its result": 10.0,
        "forward laboratory to regional laboratory": 11.0,
        "regional laboratory to its result": 48.0,
        "measured to received": 1.0,
        "first answer to result": 12.0,
    }
    assert span(found, "server to first answer").without == 1
    assert span(found, "result to shown on the device").without == 1
    assert (
        span(found, "forward laboratory to its result").goal_h,
        span(found, "server to first answer").late,
    ) == (
        24.0,
        0,
    )
    assert ages.ages(desk.db, since=START, until=START + DAY, sites={"south"}).cases == 0
    rows = list(csv.DictReader(io.StringIO(ages.ages_csv(found).decode())))
    assert [row["name"] for row in rows] == list(ages.SPANS)


def test_a_result_counts_as_shown_when_the_server_learns_of_it(desk):
    from spectralid.casework import messages
    from spectralid.reachback.tablets import answers

    case_id = desk.answered()
    desk.passes(hours=1)
    laboratory.record(
        desk.db, desk.keys, case_id, result="confirmed", laboratory="F", sample_ref="1", by="l", now=desk.time
    )
    desk.passes(hours=3)
    for raw in answers.after(desk.db, desk.keys, "tablet-1", 0, now=desk.time):
        answer = messages.kept(raw, messages.Answer)
        shown = desk.tablet.shown(raw, shown_utc="1970-01-01T00:00:00Z")
        answers.take_shown(desk.db, "tablet-1", answer.answer_id, shown, now=desk.time)
    found = ages.ages(desk.db, since=START, until=START + DAY)
    assert span(found, "result to shown on the device").most_h == 3.0
    assert span(found, "scan to result shown on the device").most_h == 4.0


def test_a_device_whose_clock_is_not_known_gives_no_age_of_its_scan(desk):
    captured = {
        "wall_utc": "1970-01-01T00:00:00Z",
        "monotonic_us": 1,
        "boot_id": "b",
        "clock_state": "unsynced",
    }
    desk.scan(captured=captured)
    found = ages.ages(desk.db, since=START, until=START + DAY)
    assert (span(found, "scan to server").n, span(found, "scan to server").without) == (0, 0)


def test_what_is_overdue(desk):
    plain = desk.answered("S-1")
    sent = desk.answered("S-2")
    done = desk.answered("S-4")
    hazard = desk.scan("S-3", alarm="danger")
    desk.decide(desk.lease(hazard))
    desk.review(desk.lease(hazard, "bea", senior=True))
    laboratory.send(desk.db, desk.keys, sent, laboratory="F", sample_ref="1", by="x", now=desk.time)
    lab(desk, done, "confirmed")
    assert ages.overdue(desk.db, now=desk.time + timedelta(hours=23)) == ()
    found = ages.overdue(desk.db, now=desk.time + timedelta(hours=30))
    assert {(one.case_id, one.why, one.hours) for one in found} == {
        (sent, "no-result", 30.0),
        (hazard, "not-sent", 30.0),
        (done, "not-shown", 30.0),
    }
    assert plain not in {one.case_id for one in found}
    assert ages.overdue(desk.db, now=desk.time + 2 * DAY, sites={"south"}) == ()
    lab(desk, sent, "confirmed", sample="9")
    # The result of another sample is not that of the one that was sent.
    assert (sent, "no-result") in {
        (one.case_id, one.why) for one in ages.overdue(desk.db, now=desk.time + 2 * DAY)
    }

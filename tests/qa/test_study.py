"""Validation studies: manifests, outcomes against known truth, and the figures made of them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import spectralid
from spectralid.errors import ParameterError, UnreadableFileError
from spectralid.io import write
from spectralid.qa import measures
from spectralid.qa.manifest import read_manifest
from spectralid.qa.study import NOT_READ, Outcome, Study, run_study
from spectralid.qa.tables import Rate, by_condition, confusion, detections, summary
from spectralid.spectrum import Spectrum
from tests.reachback.bench import SUBSTANCES, build, spectrum

A, B, C, D, E = SUBSTANCES[:5]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> spectralid.ReferenceLibrary:
    """Seven substances, one reference each; the eighth is unknown to it."""
    return build(tmp_path_factory.mktemp("library") / "mine.h5", [(slug, 7) for slug in SUBSTANCES[:7]])


def blank() -> Spectrum:
    return spectrum(SUBSTANCES[7], seed=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Spectra of a study, and its manifest."""
    place = tmp_path_factory.mktemp("study")
    rows = ["file,truth,target,level,unit,group,container,sha256"]
    for number, slug in enumerate((A, B, C, D)):
        for unit in ("U1", "U2"):
            name = f"{slug}-{unit}.jdx"
            write(spectrum(slug, seed=100 + 10 * number + (unit == "U2")), place / name)
            rows.append(f"{name},{slug.replace('-', ' ').title()},,,{unit},{slug},bag,")
    write(blank(), place / "other.jdx")
    digest = hashlib.sha256((place / "other.jdx").read_bytes()).hexdigest()
    rows.append(f"other.jdx,none,{A},0,U1,,vial,{digest}")
    rows.append(f"other.jdx,{SUBSTANCES[7]},,,U1,,vial,{'0' * 64}")
    rows.append("gone.jdx,none,,,,,vial,")
    (place / "manifest.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return place


@pytest.fixture(scope="module")
def study(folder: Path, library: spectralid.ReferenceLibrary) -> Study:
    done: list[int] = []
    made = run_study(read_manifest(folder / "manifest.csv"), library, processes=1, progress=done.append)
    assert done == sorted(done)
    assert done[-1] == 11
    return made


def test_every_sample_has_its_outcome(study: Study) -> None:
    assert len(study.outcomes) == 11
    assert [outcome.kind for outcome in study.outcomes[:8]] == ["identified"] * 8
    assert all(outcome.complete and outcome.listed for outcome in study.outcomes[:8])
    assert {slug for slug, *_ in study.outcomes[0].shares} >= {A}
    other, wrong, gone = study.outcomes[8:]
    assert not other.false
    assert (other.held, other.target) == ((), A)
    assert (wrong.kind, gone.kind) == (NOT_READ, NOT_READ)
    assert "SHA-256" in wrong.error
    assert "gone.jdx" in gone.error


def test_the_study_says_what_judged_it(
    study: Study, folder: Path, library: spectralid.ReferenceLibrary
) -> None:
    assert study.library_sha256 == library.sha256
    assert study.manifest.sha256 == hashlib.sha256((folder / "manifest.csv").read_bytes()).hexdigest()
    again = run_study(study.manifest, library, processes=2)
    assert again.outcomes == study.outcomes


def test_rates_are_those_counted_by_hand(study: Study) -> None:
    rates = summary(study.outcomes)
    assert (rates["read"].hits, rates["read"].of) == (9, 11)
    assert (rates["complete"].hits, rates["complete"].of) == (8, 8)
    assert (rates["false_unknown"].hits, rates["false_unknown"].of) == (0, 1)
    assert rates["complete"].low == pytest.approx(0.025 ** (1 / 8))
    # Four specimens on two units: what may be claimed is what four say.
    by = rates["complete"].grouped
    assert by is not None
    assert (by.groups, by.worth) == (4, 4)
    assert by.low == pytest.approx(0.025 ** (1 / 4))
    assert rates["complete"].at_least == pytest.approx(0.05 ** (1 / 4))
    assert confusion(study.outcomes)[A, A] == 2
    assert confusion(study.outcomes)["(nothing)", f"({NOT_READ})"] == 2
    found = {row.slug: row for row in detections(study.outcomes)}
    assert (found[B].found.hits, found[B].found.of, found[B].false.hits, found[B].false.of) == (2, 2, 0, 7)
    assert by_condition(study.outcomes, "unit")["U2"]["complete"].of == 4
    assert set(by_condition(study.outcomes, "container")) == {"bag", "vial"}
    assert measures.conditions(study.outcomes) == {"container": ("bag", "vial"), "unit": ("U1", "U2")}


def outcome(held: tuple[str, ...], named: tuple[str, ...], sample: object, **facts: object) -> Outcome:
    kind = "identified" if named else "no_match"
    return Outcome(sample, held, (), kind, named=named, **facts)  # type: ignore[arg-type]


def with_outcomes(study: Study, outcomes: list[Outcome]) -> Study:
    return Study(
        tuple(outcomes),
        study.manifest,
        study.library,
        study.library_version,
        study.library_sha256,
        study.policy,
    )


def test_what_is_named_in_vain_counts_as_false(study: Study) -> None:
    sample = study.outcomes[0].sample
    outcomes = [
        outcome((A,), (A, B), sample),
        outcome((A, B), (A,), sample),
        outcome((), (C,), sample),
        outcome((A,), (), sample),
    ]
    rates = summary(outcomes)
    assert (rates["complete"].hits, rates["some"].hits, rates["complete"].of) == (0, 2, 3)
    assert (rates["false"].hits, rates["false"].of) == (2, 4)
    assert (rates["false_unknown"].hits, rates["false_unknown"].of) == (1, 1)
    assert confusion(outcomes) == {
        ("(nothing)", C): 1, (A, "(no_match)"): 1, (A, f"{A} + {B}"): 1, (f"{A} + {B}", A): 1,
    }  # fmt: skip
    rows = {row.slug: row for row in detections(outcomes)}
    assert (rows[A].found.hits, rows[A].found.of) == (2, 3)
    assert (rows[C].found.of, rows[C].false.hits, rows[C].false.of) == (0, 1, 4)
    assert str(Rate.counted(0, 0)) == "– (0)"


def test_detection_limits_come_from_the_levels(study: Study) -> None:
    rng = np.random.default_rng(1)
    outcomes = []
    sample = study.outcomes[0].sample
    for level in (0.0, 0.02, 0.04, 0.08, 0.16, 0.32):
        chance = 0.0 if not level else 1 / (1 + (0.08 / level) ** 4)
        for _ in range(200):
            at = type(sample)(sample.line, sample.file, 0, (A,), A, level)
            outcomes.append(outcome((A,), (A,) if rng.random() < chance else (), at, target=A))
    (levels,) = measures.detection_limits(with_outcomes(study, outcomes))
    assert levels.target == A
    assert levels.curve is not None
    assert levels.curve.limits[0].share == pytest.approx(0.08, rel=0.1)
    assert levels.found[0].hits == 0
    none_found = [entry for entry in outcomes if not entry.named]
    (empty,) = measures.detection_limits(with_outcomes(study, none_found))
    assert empty.curve is None
    assert "missed" in empty.why_not


def test_calibration_is_that_of_the_probabilities(study: Study) -> None:
    rng = np.random.default_rng(2)
    sample = study.outcomes[0].sample
    outcomes = []
    for _ in range(3000):
        p = float(rng.uniform(0.2, 1.0))
        there = (A,) if rng.random() < p else ()
        outcomes.append(outcome(there, (), sample, probabilities=((A, p),)))
    found = measures.calibration(outcomes)
    assert found is not None
    assert found.n == 3000
    assert found.ece < 0.03
    shifted = [
        outcome(o.held, (), sample, probabilities=((A, o.probabilities[0][1] ** 2),)) for o in outcomes
    ]
    worse = measures.calibration(shifted)
    assert worse is not None
    assert worse.ece > 0.1
    assert worse.brier > found.brier
    # A monotone change spoils the calibration and nothing else.
    assert found.cllr is not None
    assert worse.cllr is not None
    assert found.cllr == pytest.approx(found.cllr_min, abs=0.02)
    assert worse.cllr > found.cllr + 0.05
    assert worse.cllr_min == pytest.approx(found.cllr_min)
    sure = measures.calibration([outcome((A,), (A,), sample, probabilities=((A, 0.9),))])
    assert sure is not None
    assert sure.cllr is None
    assert measures.calibration([outcome((A,), (A,), sample)]) is None


def test_levels_all_found_are_bounded_by_their_groups(study: Study) -> None:
    sample = study.outcomes[0].sample
    at = [
        replace(sample, line=n, group=str(n // 2), target=A, level=0.1 if n < 20 else 0.2) for n in range(60)
    ]
    found = [outcome((A,), (A,), one, target=A) for one in at]
    (levels,) = measures.detection_limits(with_outcomes(study, found))
    assert levels.curve is None
    # Ten groups at 0.1, thirty in all.
    assert [(bound.low, bound.high) for bound in levels.bounds] == [(0.0, 0.1), (0.0, 0.2)]
    blank = outcome((), (A,), replace(sample, line=99, target=A, level=0.0), target=A)
    (alarmed,) = measures.detection_limits(with_outcomes(study, [*found[:-1], blank]))
    assert alarmed.bounds == ()


def test_shares_are_compared_with_levels(study: Study) -> None:
    sample = study.outcomes[0].sample

    def one(level: float, *share: float) -> Outcome:
        stated = ((A, *share),) if share else ()
        at = replace(sample, target=A, level=level)
        return outcome((A,), (), at, target=A, shares=stated)  # type: ignore[arg-type]

    (found,) = measures.shares([one(0.1, 0.2, 0.1, 0.3), one(0.3, 0.5, 0.4, 0.6), one(0.2)])
    assert (found.n, found.listed, found.covered.hits, found.covered.of) == (3, 2, 1, 2)
    assert found.bias == pytest.approx((0.1 + 0.2 - 0.2) / 3)
    assert found.rms == pytest.approx(((0.01 + 0.04 + 0.04) / 3) ** 0.5)
    assert found.correlation == pytest.approx(np.corrcoef([0.1, 0.3, 0.2], [0.2, 0.5, 0.0])[0, 1])
    assert found.calibrated_rms is None
    assert measures.shares([one(5.0, 0.2, 0.1, 0.3)]) == ()


def test_a_straight_line_from_other_groups_takes_bias_and_slope_away(study: Study) -> None:
    sample = study.outcomes[0].sample
    rng = np.random.default_rng(6)
    true = rng.uniform(0.1, 0.3, 400)
    outcomes = [
        outcome((A,), (), replace(sample, line=n, group=str(n // 4), target=A, level=float(level)), target=A,
                shares=((A, float(0.1 + 2 * level + 0.02 * rng.normal()), 0.0, 1.0),))
        for n, level in enumerate(true)
    ]  # fmt: skip
    (found,) = measures.shares(outcomes)
    # A line of found on true with slope 2 and noise 0.02, read backwards: regression to the mean by R².
    r2 = (2 * true.std()) ** 2 / ((2 * true.std()) ** 2 + 0.02**2)
    assert found.bias > 0.2
    assert found.calibrated_rms == pytest.approx(true.std() * (1 - r2) ** 0.5, rel=0.1)


def test_repeatability_tells_units_apart(study: Study) -> None:
    found = measures.repeatability(study.outcomes)
    assert (found.between.hits, found.between.of, found.groups) == (4, 4, 4)
    first = study.outcomes[0]
    changed = Outcome(first.sample, first.held, (), "identified", named=(C,))
    worse = measures.repeatability([changed, *study.outcomes[1:]])
    assert (worse.between.hits, worse.between.of) == (3, 4)


def test_two_methods_are_compared_pair_by_pair(study: Study) -> None:
    sample = study.outcomes[0].sample
    right, wrong = outcome((A,), (A,), sample), outcome((A,), (), sample)
    pattern = [(right, right)] * 10 + [(wrong, right)] * 9 + [(right, wrong)] * 1 + [(wrong, wrong)] * 5
    first = with_outcomes(study, [pair[0] for pair in pattern])
    second = with_outcomes(study, [pair[1] for pair in pattern])
    found = measures.compare(first, second)
    assert (found.both, found.first, found.second, found.neither) == (10, 1, 9, 5)
    # Of 10 discordant pairs 9 or more to one side: 2 * (10 + 1) / 2**10.
    assert found.p == pytest.approx(22 / 1024)
    assert found.difference == pytest.approx(8 / 25)
    assert 0 < found.low < found.difference < found.high
    same = measures.compare(first, first)
    assert (same.p, same.difference) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no column 'file'"),
        ("file,truth\n", "no sample"),
        ('file,truth,"level\nx.spc,a,5\n', "header is no CSV"),
        ("file\nx.spc\n", "no column 'truth'"),
        ("file,truth,truth\nx,y,z\n", "twice"),
        ("file,truth\nx.spc,\n", "line 2: no truth"),
        ("file,truth\n,lactose\n", "line 2: no file"),
        ("file,truth\nx.spc,none;lactose\n", "stands alone"),
        ("file,truth\nx.spc,a,b\n", "more fields"),
        ("file,truth,level\nx.spc,a,5\n", "go together"),
        ("file,truth,target,level\nx.spc,a,a,-5\n", "0 or more"),
        ("file,truth,target,level\nx.spc,a,a,much\n", "must be a number"),
        ("file,truth,record\nx.spc,a,1.5\n", "whole number"),
    ],
)
def test_what_is_no_manifest_is_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "manifest.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UnreadableFileError, match=said):
        read_manifest(file)


def test_every_bad_line_is_named(tmp_path: Path) -> None:
    file = tmp_path / "manifest.csv"
    file.write_text("file,truth\nx,\ny,a\nz,\n", encoding="utf-8")
    with pytest.raises(UnreadableFileError, match=r"line 2.*line 4"):
        read_manifest(file)
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UnreadableFileError, match="UTF-8"):
        read_manifest(file)
    with pytest.raises(UnreadableFileError, match="cannot be read"):
        read_manifest(tmp_path / "nowhere.csv")


@pytest.mark.parametrize("row", [f"{A}.jdx,{A},{B},5", f"{A}.jdx,{A},sawdust,5"])
def test_a_target_that_cannot_be_is_refused(
    tmp_path: Path, library: spectralid.ReferenceLibrary, row: str
) -> None:
    file = tmp_path / "manifest.csv"
    file.write_text(f"file,truth,target,level\n{row}\n", encoding="utf-8")
    with pytest.raises(ParameterError, match="line 2"):
        run_study(read_manifest(file), library, processes=1)


def test_counts_of_independent_samples_need_59(study: Study) -> None:
    sample = study.outcomes[0].sample
    perfect = [outcome((A,), (A,), replace(sample, line=line, group="")) for line in range(59)]
    assert summary(perfect)["complete"].at_least == pytest.approx(0.95, abs=0.001)

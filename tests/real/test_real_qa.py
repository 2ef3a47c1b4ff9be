"""Validation studies on measured spectra: a part of each; `benchmarks/qa/studies.py` makes them whole.

What is asserted are figures of docs/qa-studies.md, within what they may be by chance.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks" / "qa"))

import _samples
import studies
from _wasatch import wasatch_library

from spectralid.calibration import axis_standard, calibrate_axis
from spectralid.qa import measures
from spectralid.qa.tables import summary


@pytest.fixture(scope="module")
def measured(shared_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("libraries")
    return folder, wasatch_library(shared_data, folder)


def made(collection, folder, step=1):
    few = studies.thinned(collection, step)
    return few, studies.by_target(few, studies.study_of(few, folder))


def test_tablets_are_all_named_and_bound_the_limit(shared_data, tmp_path):
    _, (study,) = made(_samples.tablets(shared_data, tmp_path), tmp_path, 5)
    rates = summary(study.outcomes)
    assert (rates["complete"].hits, rates["complete"].of, rates["false"].hits) == (12, 12, 0)
    (levels,) = measures.detection_limits(study)
    assert levels.curve is None
    # One of each of twelve batches: enough for LOD50, not for LOD90.
    lod50, lod90 = levels.bounds
    assert lod50.high < 0.085
    assert lod90.high == float("inf")
    (shares,) = measures.shares(study.outcomes)
    assert 0.12 < shares.bias < 0.24
    assert shares.calibrated_rms < 0.02


def test_fame_has_a_curve_where_the_page_says(shared_data, tmp_path):
    _, (study,) = made(_samples.biodiesel(shared_data, tmp_path), tmp_path)
    (levels,) = measures.detection_limits(study)
    lod50, lod90 = levels.curve.limits
    assert 0.015 < lod50.share < 0.055
    assert lod50.low < lod50.share < lod90.share
    assert summary(study.outcomes)["false"].hits == 0


def test_textiles_count_by_blend(shared_data, tmp_path):
    _, (study,) = made(_samples.textiles(shared_data, tmp_path), tmp_path, 3)
    rates = summary(study.outcomes)
    assert rates["false"].hits == 0
    assert rates["complete"].value < 0.2
    by = rates["some"].grouped
    assert by.groups == 9
    assert by.high - by.low > rates["some"].high - rates["some"].low


def test_of_salts_nothing_is_named_that_is_not_there(shared_data, tmp_path):
    four, seven = (c for c in _samples.salts(shared_data, tmp_path) if "raman" in c.slug)
    few, made_of_four = made(four, tmp_path, 6)
    assert [study.outcomes[0].target for study in made_of_four] == list(_samples.SALTS)
    rates = summary(made_of_four[0].outcomes)
    assert rates["false"].hits == 0
    # Some of them hold what the library lacks, as the manifest says.
    unexpected = [outcome for outcome in made_of_four[0].outcomes if outcome.not_held]
    assert 0 < len(unexpected) < len(few.rows)
    assert {name for outcome in unexpected for name in outcome.not_held} <= {
        "phosphate",
        "acetate",
        "oxalate",
    }
    assert len(seven.rows) == len(four.rows) == 52
    assert len({row.group for row in four.rows}) == 38


def test_binaries_name_nothing_that_is_not_there(shared_data, measured, tmp_path):
    _, library = measured
    held = {reference.compound_slug for reference in library.references}
    _, (study,) = made(_samples.binaries(shared_data, str(library.path), held), tmp_path)
    rates = summary(study.outcomes)
    assert rates["false"].hits == 0
    assert rates["some"].low < 0.4 < rates["some"].high
    assert len(study.outcomes) == 10


def test_acetaminophen_is_named_on_units_that_are_not_the_reference(shared_data, measured, tmp_path):
    folder, _ = measured
    raman, _ = _samples.acetaminophen(shared_data, folder)
    # Powder and tablet, and of each plate a film without any.
    blanks = [row for row in raman.rows if row.levels.get("acetaminophen") == 0][::12]
    few = studies.replace(raman, rows=(*raman.rows[:2], *blanks))
    study = studies.by_target(few, studies.study_of(few, tmp_path))[0]
    assert [outcome.named for outcome in study.outcomes[:2]] == [("acetaminophen",)] * 2
    assert not any("acetaminophen" in outcome.named for outcome in study.outcomes[2:])
    assert measures.repeatability(study.outcomes).groups == 0
    standard = axis_standard("acetaminophen", "raman")
    off = [-calibrate_axis(row.scan(), standard, order=1).shift_cm1 for row in few.rows[:2]]
    assert off == pytest.approx([3.5, -0.5], abs=0.5)


def test_every_sample_of_the_plates_is_in_its_place(shared_data, measured):
    folder, _ = measured
    raman, infrared = _samples.acetaminophen(shared_data, folder)
    assert len(raman.rows) == 2 + 3 * 48
    films = [row for row in raman.rows if row.group]
    assert sum(not row.levels["acetaminophen"] for row in films) == 36
    assert len({row.group for row in films}) == 3 * (1 + 3 * 4)
    assert len(infrared.rows) == 1

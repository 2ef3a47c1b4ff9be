"""Pipelines: scikit-learn's contract, the axis that travels, and the record that can be replayed."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline as SklearnPipeline

from spectralid.errors import InvalidSpectrumError, ParameterError, TechniqueError
from spectralid.preprocess import Baseline, Crop, Derivative, Normalize, Pipeline, Resample, SavitzkyGolay
from spectralid.spectrum import ProcessingStep
from tests.preprocess._data import AXIS, STEPS, absorbing, spectra


def usual() -> Pipeline:
    return Pipeline([Baseline(), Resample(5.0), Derivative(7, 3), Normalize("vector")], axis=AXIS)


def test_array_and_spectrum_agree() -> None:
    X = spectra(3)
    out = usual().fit_transform(X)
    for row, values in zip(X, out, strict=True):
        np.testing.assert_allclose(usual()(absorbing(row)).intensity, values, atol=1e-12)


def test_steps_in_order_are_the_composition() -> None:
    raw = absorbing(spectra(1)[0])
    by_hand = Normalize("vector")(Derivative(7, 3)(Resample(5.0)(Baseline()(raw))))
    assert usual()(raw) == by_hand
    assert usual()(raw).history == by_hand.history


def test_history_names_every_step_with_what_came_out() -> None:
    history = usual()(absorbing(spectra(1)[0])).history
    assert [s.name for s in history] == ["baseline", "resample", "derivative", "normalize"]
    assert history[0].parameters["outcome"]["converged"] is True
    assert history[0].parameters["outcome"]["lam"] == pytest.approx((335 / (2 * np.pi * 4)) ** 4)


def test_list_round_trip() -> None:
    pipeline = usual()
    again = Pipeline.from_list(json.loads(json.dumps(pipeline.to_list())))
    assert again.to_list() == pipeline.to_list()
    raw = absorbing(spectra(1)[0])
    assert again(raw) == pipeline(raw)


def test_replay_warns_of_another_version() -> None:
    record = ProcessingStep("crop", {"low_cm1": 500.0, "high_cm1": 900.0}, "spectralid 0.0.1")
    with pytest.warns(UserWarning, match=r"crop was done by spectralid 0\.0\.1"):
        Pipeline.from_history([record])


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (ProcessingStep("merge_axis", {"points": 3}), "a step of spectralid.preprocess"),
        (ProcessingStep("crop", {"low": 500.0}), "made of parameters of the step crop"),
        (ProcessingStep("crop", {"low_cm1": "here"}), "low_cm1 must be"),
        (ProcessingStep("derivative", {"window": 4}), "odd whole number"),
    ],
)
def test_what_cannot_be_replayed_is_refused(record: ProcessingStep, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        Pipeline.from_history([record])


def test_get_and_set_params() -> None:
    pipeline = Pipeline([Normalize("snv"), Derivative(5, 2), Normalize("max")])
    params = pipeline.get_params()
    assert params["normalize__method"] == "snv"
    assert params["normalize-2__method"] == "max"
    pipeline.set_params(**{"derivative__window": 11, "normalize-2__method": "vector"})
    assert pipeline.steps[1].window == 11
    assert [s.method for s in (pipeline.steps[0], pipeline.steps[2])] == ["snv", "vector"]
    pipeline.set_params(derivative=SavitzkyGolay(7, 2), axis=AXIS)
    assert pipeline.steps[1].name == "savitzky_golay"
    pipeline.set_params(steps=[Crop(500.0)])
    assert list(pipeline.get_params()) == [
        "axis",
        "steps",
        "crop",
        *(f"crop__{k}" for k in Crop().get_params()),
    ]
    with pytest.raises(ParameterError, match="one of axis, steps"):
        pipeline.set_params(window=3)
    with pytest.raises(ParameterError, match="'smooth__window'"):
        pipeline.set_params(smooth__window=3)


def test_clone_is_deep_and_equal() -> None:
    pipeline = usual()
    twin = clone(pipeline)
    assert twin.to_list() == pipeline.to_list()
    twin.set_params(derivative__window=15)
    assert pipeline.steps[2].window == 7


def test_pickle() -> None:
    X = spectra(2)
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(usual().fit(X))).transform(X), usual().transform(X)
    )


def test_inside_scikit_learn() -> None:
    X = np.concatenate([spectra(12, seed=1), spectra(12, seed=2)[:, ::-1]])
    y = np.repeat([0, 1], 12)
    model = SklearnPipeline([("prepare", usual()), ("classify", KNeighborsClassifier(3))])
    search = GridSearchCV(model, {"prepare__derivative__window": [5, 9]}, cv=3).fit(X, y)
    assert search.best_score_ == 1.0
    assert search.best_params_["prepare__derivative__window"] in (5, 9)


@pytest.mark.parametrize("steps", [[], None, ["crop"], Crop(), [Crop]])
def test_what_is_no_list_of_steps_is_refused(steps: object) -> None:
    with pytest.raises(ParameterError, match="steps must be"):
        Pipeline(steps).transform(spectra(1))


def test_a_step_with_its_own_axis_is_refused() -> None:
    with pytest.raises(ParameterError, match="axis of the step crop"):
        Pipeline([Crop(500.0, axis=AXIS)], axis=AXIS).fit(spectra(1))


def test_without_axis_only_steps_that_count_points() -> None:
    X = spectra(2)
    assert Pipeline([SavitzkyGolay(5, 2), Normalize("snv")]).transform(X).shape == X.shape
    with pytest.raises(ParameterError, match="resample with these parameters works in cm⁻¹"):
        Pipeline([SavitzkyGolay(5, 2), Resample(4.0)]).transform(X)


def test_diagnostics_of_every_step() -> None:
    diagnostics = usual().apply(AXIS, spectra(2)).diagnostics
    assert diagnostics["baseline"]["baseline"].shape == (2, AXIS.size)
    assert diagnostics["normalize"]["scale"].shape == (2,)


def test_a_step_that_fails_leaves_nothing_behind() -> None:
    raw = absorbing(spectra(1)[0])
    with pytest.raises(InvalidSpectrumError, match="leaves 0 of the points"):
        Pipeline([Normalize("snv"), Crop(5000.0)])(raw)
    assert raw.history == ()


def test_technique_is_checked() -> None:
    from spectralid.preprocess import ATRCorrection

    raman = absorbing(spectra(1)[0]).replace(technique="raman")
    with pytest.raises(TechniqueError, match="this one is raman"):
        ATRCorrection()(raman)
    transmittance = absorbing(spectra(1)[0]).replace(unit="transmittance")
    with pytest.raises(TechniqueError, match="use Convert"):
        ATRCorrection()(transmittance)


@settings(max_examples=25, deadline=None)
@given(order=st.permutations(range(len(STEPS))), n=st.integers(1, 4), seed=st.integers(0, 1000))
def test_any_pipeline_replays_to_the_same_bytes(order: list[int], n: int, seed: int) -> None:
    raw = absorbing(spectra(1, seed)[0])
    done, steps = raw, []
    for index in order:
        if len(steps) == n:
            break
        try:
            done = STEPS[index](done)
        except (ParameterError, InvalidSpectrumError, TechniqueError):
            continue
        steps.append(STEPS[index])
    again = Pipeline.from_history(done.history[len(raw.history) :])(raw) if steps else raw
    assert again.sha256 == done.sha256
    assert again.history == done.history


def test_matching_loads_no_scikit_learn_and_spectralid_no_preprocess() -> None:
    code = (
        "import sys, spectralid; assert 'spectralid.preprocess' not in sys.modules\n"
        "from spectralid.preprocess import resample; resample([1, 2, 3], [1.0, 2, 3], [1.5, 2.5])\n"
        "bad = {'sklearn', 'pybaselines', 'matplotlib', 'scipy.signal'} & set(sys.modules)\n"
        "assert not bad, bad\n"
        "import spectralid.preprocess as p; assert p.resample is resample and p.Resample(3.0).step_cm1 == 3"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

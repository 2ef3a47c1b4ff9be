"""What every step must do, tried on every step."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.base import clone

from spectralid.errors import InvalidSpectrumError, ParameterError
from spectralid.preprocess import STEPS as REGISTRY
from spectralid.preprocess import Pipeline
from spectralid.preprocess._base import Step
from spectralid.spectrum import ProcessingStep
from tests.preprocess._data import AXIS, STEPS, absorbing, label, spectra

every_step = pytest.mark.parametrize("step", STEPS, ids=label)


def fresh(step: Step) -> Step:
    """The step for arrays on the axis of the test data."""
    return clone(step).set_params(axis=AXIS)


def test_every_step_of_the_registry_is_tried() -> None:
    assert {step.name for step in STEPS} == set(REGISTRY)


@every_step
def test_clone_keeps_parameters(step: Step) -> None:
    twin = clone(step)
    assert twin is not step
    assert json.dumps(twin.parameters()) == json.dumps(step.parameters())
    assert set(twin.get_params()) == set(step.constraints) | {"axis"}


@every_step
def test_input_is_not_changed(step: Step) -> None:
    X, axis = spectra(), AXIS.copy()
    before = X.copy()
    X.flags.writeable = axis.flags.writeable = False
    clone(step).set_params(axis=axis).fit(X).transform(X)
    np.testing.assert_array_equal(X, before)


@every_step
def test_the_result_is_not_a_view_of_the_input(step: Step) -> None:
    X = spectra()
    out = fresh(step).transform(X)
    assert not np.shares_memory(out, X)


@every_step
def test_what_was_fitted_does_not_matter(step: Step) -> None:
    a, b = spectra(seed=1), 7 * spectra(seed=2) + 3
    used = fresh(step).fit(a)
    used.transform(a)
    np.testing.assert_array_equal(used.transform(b), fresh(step).transform(b))


@every_step
def test_batch_equals_one_by_one(step: Step) -> None:
    X = spectra(5)
    X[1, 40:42] = np.nan
    X[3, :30] = np.nan
    X[4] = X[1]
    batch = fresh(step).transform(X)
    single = np.concatenate([fresh(step).transform(row[np.newaxis]) for row in X])
    np.testing.assert_allclose(batch, single, rtol=1e-9, atol=1e-12)


@every_step
def test_missing_points_are_not_spread(step: Step) -> None:
    X = spectra(2)
    X[0, :12] = np.nan
    X[0, [60, 61, 150]] = np.nan
    result = fresh(step).apply(AXIS, X)
    whole = fresh(step).apply(AXIS, spectra(2))
    np.testing.assert_array_equal(np.isnan(result.intensity[1]), np.isnan(whole.intensity[1]))
    # Resampling bridges gaps within the resolution; nothing else fills any.
    if step.name != "resample" and np.array_equal(result.axis, AXIS):
        assert np.isnan(result.intensity[0][np.isnan(X[0])]).all()
        already = np.isnan(whole.intensity[0])
        np.testing.assert_array_equal(np.isnan(result.intensity[0]), np.isnan(X[0]) | already)
    # On any axis: what is more than 40 cm⁻¹ from a missing point is there.
    far = np.min(np.abs(result.axis[:, np.newaxis] - AXIS[np.isnan(X[0])]), axis=1) > 40
    assert (np.isnan(result.intensity[0][far]) == np.isnan(whole.intensity[0][far])).all()


@every_step
def test_a_spectrum_without_any_point_stays_one(step: Step) -> None:
    X = spectra(2)
    X[0] = np.nan
    out = fresh(step).transform(X)
    assert np.isnan(out[0]).all()
    np.testing.assert_allclose(out[1], fresh(step).transform(X[1:])[0], rtol=1e-9, atol=1e-12)


@every_step
def test_spectrum_call_equals_array_call(step: Step) -> None:
    X = spectra(1)
    spectrum = absorbing(X[0])
    after = step(spectrum)
    expected = step.apply(AXIS, X)
    np.testing.assert_array_equal(after.intensity, expected.intensity[0])
    np.testing.assert_array_equal(after.axis, expected.axis)
    assert spectrum.history == ()
    assert [s.name for s in after.history] == [step.name]


@every_step
def test_history_replays_to_the_same_bytes(step: Step) -> None:
    X = spectra(1)
    X[0, 100:102] = np.nan
    raw = absorbing(X[0])
    after = step(raw)
    stored = [ProcessingStep.from_dict(json.loads(json.dumps(s.to_dict()))) for s in after.history]
    assert Pipeline.from_history(stored)(raw).sha256 == after.sha256


@every_step
def test_version_is_recorded(step: Step) -> None:
    recorded = step(absorbing(spectra(1)[0])).history[0].version
    assert recorded.startswith("spectralid 0")
    assert ("pybaselines 1." in recorded) == (step.name == "baseline")


@every_step
@pytest.mark.parametrize(
    ("X", "words"),
    [
        (np.ones(5), "shape"),
        (np.ones((2, 1)), "two points"),
        (np.empty((0, 5)), "At least one"),
        ([["a", "b"]], "not a real number"),
        (np.ones((1, AXIS.size)) * 1j, "not a real number"),
        (np.full((1, AXIS.size), np.inf), "infinite in spectrum 0 at point 0"),
    ],
)
def test_bad_intensities_are_refused(step: Step, X: object, words: str) -> None:
    with pytest.raises(InvalidSpectrumError, match=words):
        fresh(step).transform(X)


@every_step
def test_bad_axes_are_refused(step: Step) -> None:
    X = spectra(1)
    with pytest.raises(InvalidSpectrumError, match="differ in length: 299 against 300"):
        step.apply(AXIS[:-1], X)
    for bad in (AXIS[::-1], np.full(300, np.nan), np.zeros((2, 2)), "no axis"):
        with pytest.raises(ParameterError, match="axis must be"):
            step.apply(bad, X)


@every_step
def test_other_number_of_points_than_fitted_is_refused(step: Step) -> None:
    fitted = fresh(step).fit(spectra(2))
    with pytest.raises(InvalidSpectrumError, match="fitted to spectra of 300 points"):
        fitted.transform(spectra(2)[:, :-1])


@every_step
def test_unknown_kinds_of_parameters_are_refused(step: Step) -> None:
    for name in step.constraints:
        wrong = clone(step).set_params(**{name: object()})
        with pytest.raises(ParameterError, match=name):
            wrong.fit(spectra(1))
        with pytest.raises(ParameterError, match=name):
            wrong.set_params(axis=AXIS).transform(spectra(1))


@every_step
def test_numbers_out_of_range_are_refused(step: Step) -> None:
    from spectralid.preprocess._constraints import Number

    for name, constraint in step.constraints.items():
        if not isinstance(constraint, Number):
            continue
        wrong = [np.nan, True, "3"]
        if np.isfinite(constraint.low):
            wrong += [constraint.low - 1, *([constraint.low] if constraint.open_low else [])]
        if np.isfinite(constraint.high):
            wrong += [constraint.high + 1, *([constraint.high] if constraint.open_high else [])]
        for value in wrong:
            with pytest.raises(ParameterError, match=name):
                clone(step).set_params(**{name: value}).validate()


@every_step
def test_without_an_axis_it_works_or_says_so(step: Step) -> None:
    X = spectra(2)
    if step._needs_axis():
        with pytest.raises(ParameterError, match="axis must be the axis in cm⁻¹"):
            clone(step).transform(X)
    else:
        assert clone(step).transform(X).shape == X.shape

"""The data file of standards: what may be in it, and the curves against their own definitions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq

from spectralid.calibration import axis_standard, axis_standards, intensity_standard, intensity_standards
from spectralid.errors import ParameterError


def test_every_standard_says_where_it_comes_from() -> None:
    known = [*axis_standards("raman"), *axis_standards("infrared")]
    assert {"polystyrene", "acetaminophen", "cyclohexane", "naphthalene", "sulfur", "benzonitrile",
            "toluene-acetonitrile", "bis-methylstyrylbenzene", "silicon", "polystyrene-film"} <= {
        s.name for s in known
    }  # fmt: skip
    for standard in known:
        assert len(standard.source) > 20
        assert standard.certainty in ("high", "medium", "low")
        positions = [line.position_cm1 for line in standard.lines]
        assert positions == sorted(set(positions))


def test_the_two_liquids_make_up_their_mixture() -> None:
    parts = [
        line.position_cm1
        for name in ("toluene", "acetonitrile")
        for line in axis_standard(name, "raman").lines
    ]
    mixture = [line.position_cm1 for line in axis_standard("toluene-acetonitrile", "raman").lines]
    assert sorted(parts) == mixture


def test_unverified_and_unsuitable_film_bands_do_not_calibrate() -> None:
    lines = axis_standard("polystyrene", "infrared").lines
    assert 906.6 not in [line.position_cm1 for line in lines]
    assert [line.position_cm1 for line in lines if not line.fitted] == [2849.5]


@pytest.mark.parametrize("name", ["Paracetamol", "tylenol", "acetaminophen", "4-acetamidophenol"])
def test_names(name: str) -> None:
    assert axis_standard(name, "raman").name == "acetaminophen"


@pytest.mark.parametrize("name", ["2241", "SRM 2241", "srm-2241", "NIST SRM 2241", "SRM2241"])
def test_names_of_glasses(name: str) -> None:
    assert intensity_standard(name).laser_nm == 785


def test_unknown_names_list_the_known() -> None:
    with pytest.raises(ParameterError, match="polystyrene, acetaminophen"):
        axis_standard("salt", "raman")
    with pytest.raises(ParameterError, match="srm-2242a"):
        intensity_standard("2243")  # discontinued


def test_curves_are_positive_where_certified_and_nothing_elsewhere() -> None:
    for glass in intensity_standards():
        low, high = glass.range_cm1
        inside = glass.curve(np.linspace(low, high, 500))
        assert np.all(inside > 0), glass.name
        assert 0.5 < inside.max() < 1.1, glass.name
        assert np.isnan(glass.curve([low - 1, high + 1])).all()


@pytest.mark.parametrize("name", ["srm-2242a", "srm-2246a"])
def test_lognormal_curves_have_the_height_and_width_they_state(name: str) -> None:
    glass = intensity_standard(name)
    height, width, _, centre, slope, offset = glass.coefficients

    def band(x: float) -> float:
        # The certified range need not hold both half heights; the definition does.
        from spectralid.calibration.standards import _lognormal

        return float(_lognormal(np.array([x]), glass.coefficients)[0] - slope * x - offset)

    assert band(centre) == pytest.approx(height)
    left = brentq(lambda x: band(x) - height / 2, centre - width, centre)
    right = brentq(lambda x: band(x) - height / 2, centre, centre + width)
    assert right - left == pytest.approx(width, rel=1e-6)

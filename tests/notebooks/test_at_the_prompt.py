"""What a chemist meets at the prompt of a notebook: names that load, scans to try, values that show."""

import importlib
import subprocess
import sys

import numpy as np
import pytest

from spectralid import Spectrum, open_library
from spectralid.devices.sim import simulate, simulated_substances
from spectralid.errors import ParameterError
from spectralid.identify import Identifier
from spectralid.plot import spectrum_figure
from spectralid.verdict import decide


@pytest.fixture(scope="module")
def scan():
    return simulate({"acetaminophen": 0.7, "lactose": 0.3}, seed=3)


@pytest.fixture(scope="module")
def engine():
    with open_library() as library:
        yield Identifier(library)


@pytest.mark.parametrize("room", ["spectralid.qa", "spectralid.devices.sim", "spectralid.plot"])
def test_every_public_name_loads_and_is_no_module(room):
    module = importlib.import_module(room)
    for name in module.__all__:
        assert getattr(module, name).__module__.startswith(room)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = module.nonsense


def test_planning_a_study_loads_no_engine():
    program = (
        "import sys; from spectralid.qa import samples_needed; print('spectralid.identify' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_same_seed_gives_the_same_scan_and_another_does_not(scan):
    again, other = (simulate({"acetaminophen": 0.7, "lactose": 0.3}, seed=seed) for seed in (3, 4))
    assert again == scan
    assert other != scan
    assert "simulated" in scan.acquisition.flags
    assert scan.name == "simulated acetaminophen + lactose"


def test_a_true_laser_above_the_stated_one_moves_the_axis():
    # Bands of a longer laser wavelength come at longer wavelengths: the stated one makes them higher shifts.
    sound, off = (simulate("polystyrene", fluorescence=0, axis_error_nm=error) for error in (0.0, 0.3))
    near = (sound.axis > 950) & (sound.axis < 1050)
    moved = (
        off.axis[near][np.argmax(off.intensity[near])] - sound.axis[near][np.argmax(sound.intensity[near])]
    )
    assert moved == pytest.approx(1e7 / 785 - 1e7 / 785.3, abs=3)


@pytest.mark.parametrize(
    ("sample", "more", "said"),
    [
        ("moon dust", {}, "moon dust"),
        ({}, {}, "one substance"),
        ("lactose", {"seed": -1}, "0 or more"),
        ("lactose", {"container": "sock"}, "sock"),
        ({"lactose": -1.0}, {}, "above 0"),
    ],
)
def test_what_cannot_be_simulated_is_refused(sample, more, said):
    with pytest.raises(ParameterError, match=said):
        simulate(sample, **more)


def test_every_listed_substance_is_known_to_the_simulator():
    names = simulated_substances()
    assert list(names) == sorted(names)
    assert simulate(names[-1], averages=1).n_points == 1024


def test_a_figure_shows_itself(scan):
    png = scan.plot()._repr_png_()
    assert png.startswith(b"\x89PNG")
    assert png == scan.plot()._repr_png_()
    assert png != scan.plot(title="another")._repr_png_()


def test_a_spectrum_draws_itself_with_others(scan):
    other = simulate("lactose", seed=1)
    drawn = scan.plot(other, title="both")
    (axes,) = drawn.axes
    assert [line.get_label() for line in axes.lines] == [scan.name, other.name]
    assert axes.get_title(loc="left") == "both"
    assert spectrum_figure(scan)._repr_png_() == scan.plot()._repr_png_()


def test_a_result_and_a_verdict_are_a_line_each(scan, engine):
    found = engine.identify(scan)
    verdict = decide(found, engine.library)
    assert "fit of Acetaminophen 6" in repr(found)
    assert repr(verdict).startswith("<Verdict mixture, presumptive, alarm ")
    assert all("\n" not in text and len(text) < 250 for text in (repr(found), repr(verdict)))
    ranked = engine.retrieve(scan)
    assert f"likest Acetaminophen {ranked.candidates[0].score:.2f}" in repr(ranked)


def test_a_fit_that_explains_nothing_does_not_read_like_an_answer(engine):
    axis = np.arange(200.0, 3000.0, 2.0)
    bands = sum(np.exp(-(((axis - x) / 7) ** 2)) for x in (333, 745, 911, 1290, 1777, 2010, 2555))
    noise = np.random.default_rng(1).normal(0, 0.005, axis.size)
    found = engine.identify(Spectrum(axis, bands + noise, technique="raman"))
    assert decide(found, engine.library).kind not in ("identified", "mixture")
    lacks = int(repr(found).partition("something the library lacks ")[2].rstrip("%>"))
    assert lacks > 50

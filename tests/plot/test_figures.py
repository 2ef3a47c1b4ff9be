"""Figures show the numbers they were given, and are drawn without a display or global state."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.text import Text

from spectralid import LibraryBuilder, Spectrum, open_library
from spectralid.errors import FileError, ParameterError
from spectralid.identify import identify
from spectralid.library import Compound, Tier
from spectralid.plot import _glyphs, match_figure, save, spectrum_figure

AXIS = np.arange(300.0, 1800.0, 2.0)


def _spectrum(*positions: float, technique: str = "raman", slope: float = 0.0) -> Spectrum:
    y = sum(np.exp(-0.5 * ((AXIS - p) / 6) ** 2) for p in positions) + slope * AXIS
    return Spectrum(AXIS, y, technique, name="sample")


def test_the_curve_is_the_spectrum_and_gaps_stay_gaps() -> None:
    spectrum = _spectrum(1001)
    values = spectrum.intensity.copy()
    values[100:120] = np.nan
    (axes,) = spectrum_figure(spectrum.replace(intensity=values)).axes
    (curve,) = axes.lines
    np.testing.assert_array_equal(curve.get_xdata(), AXIS)
    np.testing.assert_array_equal(curve.get_ydata(), values)
    assert axes.get_xlabel() == "Raman shift / cm⁻¹"


def test_infrared_runs_from_high_to_low_wavenumber() -> None:
    (axes,) = spectrum_figure(_spectrum(1001, technique="ftir_atr").replace(unit="absorbance")).axes
    left, right = axes.get_xlim()
    assert left > right
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("wavenumber / cm⁻¹", "absorbance")


def test_baseline_and_uncertainty_are_drawn() -> None:
    spectrum = _spectrum(1001).replace(sd=np.full(AXIS.size, 0.1))
    (axes,) = spectrum_figure(spectrum, baseline=np.full(AXIS.size, 0.5)).axes
    assert [line.get_label() for line in axes.lines] == ["sample", "baseline"]
    assert len(axes.collections) == 1


def test_spectra_that_do_not_belong_in_one_figure_are_refused() -> None:
    with pytest.raises(ParameterError, match="one technique and one unit"):
        spectrum_figure([_spectrum(1001), _spectrum(1001, technique="ftir")])
    with pytest.raises(ParameterError, match="1 to 4"):
        spectrum_figure([])


def test_match_figure_shows_fit_residual_and_presumptive(tmp_path: Path) -> None:
    builder = LibraryBuilder("test")
    for name, positions in {"a": (500, 1001, 1600), "b": (700, 1300), "c": (420, 880, 1450)}.items():
        builder.add(_spectrum(*positions), Compound(name, name.upper()), tier=Tier.LITERATURE)
    builder.write(tmp_path / "x.h5")
    measured = _spectrum(500, 1001, 1600, slope=1e-3)
    with open_library(tmp_path / "x.h5") as library:
        figure = match_figure(measured, identify(measured, library), library)
    raw, upper, lower = figure.axes
    np.testing.assert_array_equal(raw.lines[0].get_ydata(), measured.intensity)
    target, fitted = (line.get_ydata() for line in upper.lines[:2])
    residual = lower.lines[0].get_ydata()
    np.testing.assert_allclose(residual, target - fitted)
    # The right substance leaves next to nothing; the scale of the panel is the strongest band, 1.
    assert np.nanmax(np.abs(residual)) < 0.1
    assert "A" in upper.lines[1].get_label()
    assert "band table" in upper.lines[1].get_label()
    assert any("PRESUMPTIVE" in axes.get_title(loc="right") for axes in figure.axes)


def test_saving(tmp_path: Path) -> None:
    figure = spectrum_figure(_spectrum(1001))
    for name, magic in {"x.png": b"\x89PNG", "x.pdf": b"%PDF", "x.svg": b"<?xml"}.items():
        save(figure, tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(magic)
    with pytest.raises(ParameterError, match=r"\.png, \.pdf or \.svg"):
        save(figure, tmp_path / "x.xyz")
    with pytest.raises(FileError, match="cannot be written"):
        save(figure, tmp_path / "absent" / "x.png")


def test_drawing_leaves_pyplot_alone() -> None:
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


def test_characters_no_font_has_are_spelled_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_glyphs, "FALLBACKS", ())
    spectra = [_spectrum(1001).replace(name="混合样1, Größe µm"), _spectrum(900)]
    figure = spectrum_figure(spectra, title="未知")
    # Warnings are errors here, and a glyph that is missing is one.
    save(figure, tmp_path / "a.png")
    words = " ".join(t.get_text() for t in figure.findobj(Text))
    assert r"\u6df7\u5408\u68371, Größe µm" in words
    assert r"\u672a\u77e5" in words


def test_another_font_draws_what_the_first_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = get_font(findfont(FontProperties())).get_charmap()
    second = get_font(findfont(FontProperties(family="STIXGeneral"))).get_charmap()
    character = chr(min(code for code in second if code not in first and chr(code).isprintable()))
    monkeypatch.setattr(_glyphs, "FALLBACKS", ("No Such Font", "STIXGeneral"))
    figure = spectrum_figure(_spectrum(1001), title=f"a {character}")
    save(figure, tmp_path / "a.png")
    (text,) = [t for t in figure.findobj(Text) if character in t.get_text()]
    assert text.get_fontfamily()[-1] == "STIXGeneral"

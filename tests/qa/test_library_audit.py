"""Audits of libraries: planted faults are found, and nothing is found in a sound library."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import spectralid
from spectralid.cli import main
from spectralid.cli._exit import Exit
from spectralid.qa.library_audit import Audit, audit_library
from spectralid.qa.library_report import audit_document
from spectralid.qa.likeness import NoiseMatch, likeness, noise_match
from spectralid.spectrum import Spectrum
from tests.reachback.bench import SUBSTANCES, build, spectrum

SOUND = [(slug, seed) for slug in SUBSTANCES for seed in (1, 2, 3)]


def audit(folder: Path, entries: list[tuple[str, object]], **options: object) -> Audit:
    with build(folder / "library.h5", entries) as library:
        return audit_library(library, **options)  # type: ignore[arg-type]


def kinds(found: Audit) -> set[str]:
    return {finding.kind for finding in found.findings}


def saved_again(scan: Spectrum) -> Spectrum:
    """The same scan as another program wrote it: scaled, lifted, cut, a third of its digits gone."""
    inside = (scan.axis > 300) & (scan.axis < 2400)
    x, y = scan.axis[inside], scan.intensity[inside]
    lifted = np.round(0.37 * y + 50 + 0.02 * (x - 300), 2)
    return Spectrum(x, lifted, technique="raman", unit="counts")


def test_a_sound_library_raises_nothing(tmp_path: Path) -> None:
    found = audit(tmp_path, list(SOUND))
    assert found.findings == ()
    assert found.confusable == ()
    assert found.references == len(SOUND)


def test_a_wrong_label_is_found(tmp_path: Path) -> None:
    wrong = spectrum(SUBSTANCES[4], seed=77)
    found = audit(tmp_path, [*SOUND, (SUBSTANCES[0], wrong)])
    (finding,) = (one for one in found.findings if one.kind == "mislabelled")
    assert finding.references[0].startswith(SUBSTANCES[0])
    assert finding.references[1].startswith(SUBSTANCES[4])
    # It makes the two compounds look alike, which is said, too.
    assert {(one.first, one.second) for one in found.confusable} == {(SUBSTANCES[0], SUBSTANCES[4])}


def test_a_scan_saved_twice_is_found_by_its_noise(tmp_path: Path) -> None:
    first = spectrum(SUBSTANCES[2], seed=50, noise=0.01)
    found = audit(tmp_path, [*SOUND, (SUBSTANCES[2], first), (SUBSTANCES[2], saved_again(first))])
    (finding,) = found.findings
    assert finding.kind == "same_scan"
    assert all(ref.startswith(SUBSTANCES[2]) for ref in finding.references)


def test_a_scan_that_is_like_nothing_is_odd(tmp_path: Path) -> None:
    found = audit(tmp_path, [*SOUND, (SUBSTANCES[1], spectrum("something else", seed=4))])
    assert kinds(found) == {"odd"}


def test_a_watch_list_is_covered_or_not(tmp_path: Path) -> None:
    found = audit(tmp_path, list(SOUND), watch_list=["Substance A", "substance-b", "sawdust"])
    assert [one.slug for one in found.coverage] == ["substance-a", "substance-b", ""]
    assert found.coverage[0].references == {"raman": 3}
    assert found.coverage[2].references == {}


def matched(one: Spectrum, other: Spectrum) -> NoiseMatch:
    match = noise_match(one.axis, one.intensity, other.axis, other.intensity)
    assert match is not None
    return match


def test_independent_scans_have_independent_noise() -> None:
    """Even of one substance, and with one of them smoothed: no agreement comes near the 0.8 asked for."""
    for seed in range(20):
        one = spectrum(SUBSTANCES[0], seed=seed, noise=0.01)
        other = spectrum(SUBSTANCES[0], seed=1000 + seed, noise=0.01)
        for copy in (other, *(change(other) for change in CHANGES.values())):
            match = matched(one, copy)
            assert not match.same
            assert match.agreement < 0.7


def smoothed(scan: Spectrum) -> Spectrum:
    weights = np.array([0.1, 0.25, 0.3, 0.25, 0.1])
    return scan.replace(intensity=np.convolve(scan.intensity, weights, mode="same"))


def resampled(scan: Spectrum) -> Spectrum:
    """On a grid of its own, half as fine again, through straight lines."""
    x = np.arange(scan.axis[0], scan.axis[-1], 4.4)
    return Spectrum(x, np.interp(x, scan.axis, scan.intensity), technique="raman", unit="counts")


def under_another_axis(scan: Spectrum) -> Spectrum:
    return scan.replace(axis=scan.axis * 1.001 + 3)


def without_baseline(scan: Spectrum) -> Spectrum:
    fitted = np.polynomial.Polynomial.fit(scan.axis, scan.intensity, 5)
    return scan.replace(intensity=scan.intensity - fitted(scan.axis))


CHANGES = {
    change.__name__: change
    for change in (saved_again, smoothed, resampled, under_another_axis, without_baseline)
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_a_program_does_to_a_scan_does_not_hide_it(change: Callable[[Spectrum], Spectrum]) -> None:
    for seed in range(10):
        scan = spectrum(SUBSTANCES[seed % 8], seed=seed, noise=0.01)
        assert matched(scan, change(scan)).same
    twice = smoothed(smoothed(scan))
    assert (matched(scan, twice).same, matched(scan, twice).smoothed) == (True, True)


def test_structure_that_is_no_noise_is_not_taken_for_it() -> None:
    """Two scans with hardly any noise over many narrow bands: what they share is the substance."""
    x = np.arange(200.0, 2600.0, 1.0)
    rng = np.random.default_rng(5)
    at, height = rng.uniform(200, 2600, 150), rng.uniform(0.2, 1, 150)
    lines = (height / (1 + ((x[:, None] - at) / 3.0) ** 2)).sum(axis=1)
    one, other = (lines + rng.normal(0, 1e-4, x.size) for _ in range(2))
    assert not matched(Spectrum(x, one, technique="raman"), Spectrum(x, other, technique="raman")).same


def test_curves_without_noise_say_nothing() -> None:
    x = np.arange(200.0, 2400.0, 3.0)
    smooth = np.exp(-(((x - 1000) / 200) ** 2))
    assert noise_match(x, smooth, x, 2 * smooth) is None
    assert noise_match(x[:50], smooth[:50], x, smooth) is None


def test_likeness_is_the_cosine_over_common_points() -> None:
    rng = np.random.default_rng(1)
    values = np.cumsum(rng.normal(size=(3, 600)), axis=1)
    values[1] = 3 * values[0] + 7
    values[2, 400:] = np.nan
    found = likeness(values, 3.0)
    assert found[0, 1] == pytest.approx(1.0)
    assert found[0, 2] == pytest.approx(likeness(values[[0, 2], :400], 3.0)[0, 1], abs=0.02)
    values[2, 100:] = np.nan
    assert np.isnan(likeness(values, 3.0)[0, 2])


def test_the_bundled_library_is_looked_through() -> None:
    """Tables of bands have no noise: none of them may pass for a scan saved twice."""
    with spectralid.open_library() as library:
        found = audit_library(library, watch_list=["fentanyl", "lactose"])
    assert "same_scan" not in kinds(found)
    assert "undocumented" not in kinds(found)
    fentanyl, lactose = found.coverage
    assert (fentanyl.references, fentanyl.computed > 0) == ({}, True)
    assert lactose.references


def test_the_command_says_what_to_look_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(tmp_path / "bad.h5", [*SOUND, (SUBSTANCES[0], spectrum(SUBSTANCES[4], seed=77))]).close()
    build(tmp_path / "good.h5", SOUND).close()
    report = tmp_path / "audit.html"
    assert main(["qa", "library", str(tmp_path / "bad.h5"), "--report", str(report)]) == Exit.GOAL_MISSED
    assert "label may be wrong" in capsys.readouterr().out
    assert "label may be wrong" in report.read_text(encoding="utf-8")
    assert main(["qa", "library", str(tmp_path / "good.h5"), "--json"]) == Exit.IDENTIFIED
    assert json.load(io.StringIO(capsys.readouterr().out))["findings"] == []
    wanted = tmp_path / "watch.txt"
    wanted.write_text("# mine\nSubstance A\nsawdust\n", encoding="utf-8")
    status = main(["qa", "library", str(tmp_path / "good.h5"), "--watch-list", str(wanted)])
    assert status == Exit.GOAL_MISSED
    assert "sawdust: nothing that could name it" in capsys.readouterr().out


def test_the_report_says_none_where_there_is_none(tmp_path: Path) -> None:
    document = audit_document(audit(tmp_path, list(SOUND)))
    texts = [getattr(block, "text", "") for block in document.blocks]
    assert texts.count("None found.") == 5

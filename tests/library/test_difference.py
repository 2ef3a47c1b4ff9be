"""What `compare_libraries` and ``library diff`` say of two libraries."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from spectralid import LibraryBuilder
from spectralid.cli import main
from spectralid.cli._exit import Exit
from spectralid.library import Compound, Tier, compare_libraries, open_library
from tests.library.builders import band_spectrum, build_small, compound

COCAINE = Compound("cocaine", "Cocaine", cas="50-36-2")


def built(path, *references, name="made", **about):
    """A library of (spectrum, compound, facts) in that order."""
    builder = LibraryBuilder(name, **about)
    for spectrum, substance, facts in references:
        builder.add(spectrum, substance, **{"tier": Tier.MEASURED, "source": "s", **facts})
    builder.write(path)
    return open_library(path)


def test_order_and_what_a_library_is_called_make_no_difference(tmp_path):
    one, two = (band_spectrum(500), compound(1), {}), (band_spectrum(600), compound(2), {})
    before = built(tmp_path / "a.h5", one, two, version="1")
    after = built(tmp_path / "b.h5", two, one, version="2", created="2026-02-02")
    found = compare_libraries(before, after)
    assert found.same
    assert [(c.field, c.before, c.after) for c in found.about] == [
        ("created", "", "2026-02-02"),
        ("version", "1", "2"),
    ]
    assert compare_libraries(before, before).about == ()


def test_added_removed_and_changed_are_told_apart(tmp_path):
    kept = (band_spectrum(500), compound(1), {"licence": "CC0-1.0"})
    before = built(tmp_path / "a.h5", kept, (band_spectrum(600), compound(2), {}))
    relicensed = (
        band_spectrum(500),
        compound(1),
        {"licence": "MIT", "tier": Tier.LITERATURE, "quality": 0.5},
    )
    after = built(tmp_path / "b.h5", relicensed, (band_spectrum(700), COCAINE, {}))
    found = compare_libraries(before, after)
    assert not found.same
    assert (found.compounds_added, found.compounds_removed) == (("cocaine",), ("compound-2",))
    assert [id.rsplit("-", 1)[0] for id in found.references_added] == ["cocaine-raman"]
    assert [id.rsplit("-", 1)[0] for id in found.references_removed] == ["compound-2-raman"]
    (changed,) = found.references_changed
    assert changed.before_id == changed.after_id
    assert {c.field: (c.before, c.after) for c in changed.changes} == {
        "licence": ("CC0-1.0", "MIT"),
        "quality": (None, 0.5),
        "tier": ("measured", "literature"),
    }
    assert changed.largest_difference is None


def test_changed_values_are_one_change_with_its_size(tmp_path):
    spectrum = band_spectrum(500)
    louder = spectrum.replace(intensity=spectrum.intensity * 1.25)
    found = compare_libraries(
        built(tmp_path / "a.h5", (spectrum, COCAINE, {})), built(tmp_path / "b.h5", (louder, COCAINE, {}))
    )
    assert found.references_added == found.references_removed == ()
    (changed,) = found.references_changed
    assert changed.before_id != changed.after_id
    assert [c.field for c in changed.changes] == ["spectrum_sha256"]
    assert changed.largest_difference == pytest.approx(0.25)


def test_changed_axis_has_no_size_and_two_candidates_are_not_paired(tmp_path):
    spectrum = band_spectrum(500)
    moved = spectrum.replace(axis=spectrum.axis + 1)
    first = built(tmp_path / "a.h5", (spectrum, COCAINE, {}))
    (changed,) = compare_libraries(first, built(tmp_path / "b.h5", (moved, COCAINE, {}))).references_changed
    assert changed.largest_difference is None
    assert "range_cm1" in {c.field for c in changed.changes}
    twice = built(tmp_path / "c.h5", (moved, COCAINE, {}), (band_spectrum(700), COCAINE, {}))
    found = compare_libraries(first, twice)
    assert not found.references_changed
    assert (len(found.references_added), len(found.references_removed)) == (2, 1)


def test_a_fact_of_the_spectrum_that_is_not_in_its_identity_counts(tmp_path):
    spectrum = band_spectrum(500)
    before = built(tmp_path / "a.h5", (spectrum, COCAINE, {}))
    found = compare_libraries(before, built(tmp_path / "b.h5", (spectrum.replace(name="other"), COCAINE, {})))
    assert [c.field for c in found.references_changed[0].changes] == ["spectrum.name"]


def test_a_fact_of_a_compound(tmp_path):
    schedule = dataclasses.replace(COCAINE, schedule="II", synonyms=("Coke",))
    found = compare_libraries(
        built(tmp_path / "a.h5", (band_spectrum(500), COCAINE, {})),
        built(tmp_path / "b.h5", (band_spectrum(500), schedule, {})),
    )
    assert {c.field: (c.before, c.after) for c in found.compounds_changed["cocaine"]} == {
        "schedule": (None, "II"),
        "synonyms": (None, ["Coke"]),
    }
    assert not found.references_changed


def test_not_a_number_is_equal_to_itself(tmp_path):
    spectrum = band_spectrum(500)
    gap = spectrum.intensity.copy()
    gap[:10] = np.nan
    library = built(tmp_path / "a.h5", (spectrum.replace(intensity=gap), COCAINE, {}))
    assert compare_libraries(library, library).same


def test_command(tmp_path, capsys):
    a, b = tmp_path / "a.h5", tmp_path / "b.h5"
    build_small(a)
    build_small(b, raman=3)
    assert main(["library", "diff", str(a), str(a)]) == 0
    assert "The same compounds and references." in capsys.readouterr().out
    assert main(["library", "diff", str(a), str(b)]) == Exit.DIFFERENT == 20
    text = capsys.readouterr().out
    assert "- compound compound-3" in text
    assert "References: 0 added, 1 removed, 0 changed." in text
    assert main(["library", "diff", str(b), str(a), "--json"]) == Exit.DIFFERENT
    first = capsys.readouterr().out
    assert json.loads(first)["compounds"]["added"] == ["compound-3"]
    main(["library", "diff", str(b), str(a), "--json"])
    assert capsys.readouterr().out == first
    assert main(["library", "diff", str(a), str(tmp_path / "absent.h5")]) == Exit.LIBRARY


def test_command_says_what_changed(tmp_path, capsys):
    spectrum = band_spectrum(500)
    louder = spectrum.replace(intensity=spectrum.intensity * 1.25)
    built(tmp_path / "a.h5", (spectrum, COCAINE, {}), version="1")
    built(tmp_path / "b.h5", (louder, dataclasses.replace(COCAINE, schedule="II"), {}), version="2")
    assert main(["library", "diff", str(tmp_path / "a.h5"), str(tmp_path / "b.h5")]) == 20
    lines = capsys.readouterr().out.splitlines()
    assert "  version: '1' → '2'" in lines
    assert "~ compound cocaine" in lines
    assert "    schedule: None → 'II'" in lines
    assert "    values differ by up to 25 % of the largest" in lines

"""Learning the families of a library by command, and what identify makes of it."""

from __future__ import annotations

import json

import pytest

from spectralid.cli import main
from spectralid.cli._exit import Exit
from spectralid.identify import Identifier
from spectralid.identify.family_model import FamilyModel
from spectralid.library import Compound, ReferenceLibrary, Tier, open_library
from spectralid.spectrum import Technique
from tests.identify.builders import GRID, library, raman, substance, with_noise
from tests.identify.test_family_model import held, member

__all__ = ["held"]


def test_what_was_learned_is_kept_and_used(
    held: ReferenceLibrary, capsys: pytest.CaptureFixture[str]
) -> None:
    assert FamilyModel.kept(held, Technique.RAMAN) is None
    assert Identifier(held).families == ()
    assert main(["library", "families", str(held.path), "--json"]) == Exit.IDENTIFIED
    (entry,) = json.loads(capsys.readouterr().out)["learned"]
    assert set(entry["families"]) == {"fentanyl-related", "nitazene"}
    identifier = Identifier(held)
    (kept,) = identifier.families
    assert kept.sha256 == FamilyModel.of(held, Technique.RAMAN).sha256
    unknown = raman(1000 * with_noise(member("opioid/nitazene", 9003), 0.003))
    found = identifier.identify(unknown)
    assert found.families[0].family == "nitazene"
    assert "Family, nitazene: log ratio" in found.explain()


def test_a_damaged_or_foreign_model_is_not_used(held: ReferenceLibrary, tmp_path) -> None:  # type: ignore[no-untyped-def]
    other = library(tmp_path, [(Compound("a", "A"), raman(substance(GRID, 0)), Tier.MEASURED)])
    place = FamilyModel.place(other, Technique.RAMAN)
    FamilyModel.of(held, Technique.RAMAN).save(place)
    assert FamilyModel.kept(other, Technique.RAMAN) is None
    place.write_bytes(b"garbage")
    assert FamilyModel.kept(other, Technique.RAMAN) is None


def test_a_library_without_families_says_so(tmp_path, capsys) -> None:  # type: ignore[no-untyped-def]
    plain = library(tmp_path, [(Compound("a", "A"), raman(substance(GRID, 0)), Tier.MEASURED)])
    assert main(["library", "families", str(plain.path)]) == Exit.LIBRARY
    assert "No family has" in capsys.readouterr().err
    assert open_library(plain.path).sha256 == plain.sha256

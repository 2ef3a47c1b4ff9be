"""The joint fit on real mixtures of another instrument, whose axis is 5 to 7 cm⁻¹ off."""

from __future__ import annotations

from pathlib import Path

import pytest

from spectralid import open_library, read_all
from spectralid.identify import Analysis, Identifier


@pytest.fixture(scope="module")
def identifier() -> Identifier:
    return Identifier(open_library())


def _analysis(identifier: Identifier, folder: Path, pattern: str) -> Analysis:
    (file,) = (folder / "whenfung-raman").rglob(pattern)
    return identifier.analyse(read_all(file, technique="raman")[0])


def test_two_solvents_are_told_apart(identifier: Identifier, shared_data: Path) -> None:
    result = _analysis(identifier, shared_data, "二氯甲烷40%*.txt")
    assert {c.compound_slug for c in result.components} == {"ethanol", "dichloromethane"}
    assert result.explained


def test_an_acid_the_library_lacks_is_seen_beside_ether(identifier: Identifier, shared_data: Path) -> None:
    result = _analysis(identifier, shared_data, "甲酸20%*.txt")
    assert not result.explained
    assert result.components[0].compound_slug == "diethyl-ether"
    # Formic acid: C=O stretching, C–H bending, C–O stretching, O–C=O deformation. Some of them may be taken
    # for bands of something else; what is left over is the acid's all the same.
    left = [u.position_cm1 for u in result.unexplained]
    assert left
    for position in left:
        assert min(abs(position - band) for band in (1725.0, 1390.0, 1200.0, 680.0)) < 15


@pytest.mark.parametrize("name", ["苯巴比妥.txt", "吡啶.txt", "盐酸麻黄碱.txt"])
def test_substances_without_a_reference_are_not_explained(
    identifier: Identifier, shared_data: Path, name: str
) -> None:
    assert not _analysis(identifier, shared_data, name).explained
